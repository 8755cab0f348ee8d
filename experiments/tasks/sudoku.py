"""Sudoku: fill a board whose rows, columns and boxes hold every digit once.

Puzzles have one solution each, by construction: clues of a full board are taken away one at a time,
in random order, as long as an exact search finds no second solution.  A pool of such base puzzles
is made once per process; a row is a base under a random symmetry of Sudoku (digits renamed, bands
and rows in bands permuted, the same for columns, transposed where boxes are square), which keeps
the solution unique, with clues added back up to a random number, which does too.

**Splits.**  A full board belongs to "train" or "test" by a hash of its cells, about one in eight to
"test": no solution, so no row, occurs in both, whatever the seeds.  Boards of one split may be
symmetric images of boards of the other; the pools of base puzzles are drawn apart.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.engine.progress import Progress
from looprate.experiments.tasks.base import Batch, Split, Task, check_split, generator
from looprate.experiments.tasks.checks import check_integer
from looprate.experiments.tasks.sudoku_files import box_of, read_csv
from looprate.experiments.tasks.sudoku_solver import (
    Boards,
    Box,
    random_grids,
    search,
    solve_all,
    to_bits,
)

__all__ = ["Sudoku"]

SALT, POOL_SALT = 70_001, 70_002
TEST_SHARE = 8  # one solution in so many is of the split "test"
FEWEST = {(2, 2): 4, (2, 3): 8, (2, 4): 14, (3, 3): 17}  # known least clues of a unique puzzle
EASIEST, HARDEST = 0.42, 0.32  # shares of given cells, the default range: 26 to 35 of 81
SPARE = 1.25  # boards dug for each base at first: some stay above the clues asked for
CHUNK = 4096  # boards drawn together
ROUNDS = 40  # attempts at a pool of base puzzles
MIXERS = (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # of splitmix64


@dataclass(frozen=True)
class Sudoku(Task):
    """Boards with some cells given; the whole solution is asked for.

    Inputs are the cells, row after row, 0 for empty; targets are the solution; every cell counts,
    given ones too, so the accuracy is that of whole boards.

    Attributes
    ----------
    box_rows, box_columns : int
        Shape of a box: 3 and 3 for boards of 9 by 9, 2 and 2 for 4 by 4, 2 and 3 for 6 by 6.
    clues : int or (int, int), optional
        Given cells of a board, or the least and most of them, drawn evenly; by default 32 % to 42 %
        of the cells.  Fewer are harder; below about 24 of 81 the pool takes long or fails.
    bases : int
        Base puzzles of a split's pool.
    path : str, optional
        CSV file to draw rows from instead, with replacement; see :func:`read_csv`.
    """

    key: ClassVar[str] = "sudoku"
    summary: ClassVar[str] = "fill a Sudoku board that has one solution"
    causal: ClassVar[bool] = False

    box_rows: int = 3
    box_columns: int = 3
    clues: int | tuple[int, int] | None = None
    bases: int = 512
    path: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.clues, list):  # from JSON
            object.__setattr__(self, "clues", tuple(self.clues))
        box, clues = self.box, self.clues
        check_integer("bases", self.bases, least=1)
        if clues is None:
            return
        if self.path is not None:
            raise ValueError(
                f"`clues` must be left out beside `path`, got {clues}; the file has its own"
            )
        least = FEWEST.get((min(box.rows, box.columns), max(box.rows, box.columns)), box.order)
        given = clues if isinstance(clues, tuple) else (clues, clues)
        whole = len(given) == 2 and all(type(number) is int for number in given)
        if not whole or not least <= given[0] <= given[1] <= box.cells:
            raise ValueError(
                f"`clues` must be a number or a least and a most from {least} to {box.cells}, got "
                f"{clues!r}; try {self._default_clues}"
            )

    @classmethod
    def from_csv(cls, path: str | os.PathLike[str]) -> Sudoku:
        """Return the task on the puzzles of a CSV file, read and checked at once.

        Raises
        ------
        ValueError
            In one line with file, line and cure; see :func:`read_csv`.
        """
        box = box_of(path)
        read_csv(path, box)
        return cls(box_rows=box.rows, box_columns=box.columns, path=os.fspath(path))

    def files(self) -> list[Path]:
        """Return the file that rows are drawn from, if there is one."""
        return [] if self.path is None else [Path(self.path)]

    @property
    def box(self) -> Box:
        """The shape of a box."""
        return Box(self.box_rows, self.box_columns)

    @property
    def _default_clues(self) -> tuple[int, int]:
        """Least and most clues where none are asked for."""
        cells = self.box.cells
        return math.ceil(HARDEST * cells), math.ceil(EASIEST * cells)

    @property
    def clue_range(self) -> tuple[int, int]:
        """Least and most clues of a generated board."""
        if self.clues is None:
            return self._default_clues
        return (self.clues, self.clues) if isinstance(self.clues, int) else self.clues

    @property
    def length(self) -> int:
        """Cells of a board."""
        return self.box.cells

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """A point for empty, then the digits."""
        return (".", *(str(digit) for digit in range(1, self.box.order + 1)))

    def sample(self, split: Split, seed: int | tuple[int, ...], count: int) -> Batch:
        """Return ``count`` boards of a split; the first call of a process makes the pool.

        Raises
        ------
        ValueError
            If an argument is out of range, digging does not reach the least clues, or the file has
            no row of the split.
        """
        check_integer("count", count, least=1)
        rng = generator(split, seed, salt=SALT)
        draw = self._generated if self.path is None else self._from_file
        puzzles, solutions = draw(check_split(split), rng, count)
        return Batch(puzzles, solutions, np.ones(puzzles.shape, np.bool_))

    def _generated(
        self, split: Split, rng: np.random.Generator, count: int
    ) -> tuple[Boards, Boards]:
        """Draw bases, symmetries and clues until enough solutions are of the split."""
        least, most = self.clue_range
        masks, grids = _pool(self.box, least, self.bases, split)
        share = 1 / TEST_SHARE if split == "test" else 1 - 1 / TEST_SHARE
        held: list[tuple[Boards, Boards]] = []
        while (missing := count - sum(len(part[0]) for part in held)) > 0:
            wanted = min(math.ceil(1.1 * missing / share) + 8, CHUNK)
            base = rng.integers(self.bases, size=wanted)
            boards = symmetric(np.stack([grids[base], masks[base]]), self.box, rng)
            mine = np.flatnonzero(is_test(boards[0]) == (split == "test"))[:missing]
            solutions, given = boards[0][mine], boards[1][mine] > 0
            shown = rng.integers(least, most + 1, size=len(mine))
            order = np.where(given, -1.0, rng.random(given.shape)).argsort(1).argsort(1)
            held.append((np.where(order < shown[:, None], solutions, 0), solutions))
        return np.concatenate([part[0] for part in held]), np.concatenate([p[1] for p in held])

    def _from_file(
        self, split: Split, rng: np.random.Generator, count: int
    ) -> tuple[Boards, Boards]:
        """Draw rows of the file whose solutions are of the split, with replacement."""
        puzzles, solutions = read_csv(str(self.path), self.box)
        mine = np.flatnonzero(is_test(solutions) == (split == "test"))
        if not len(mine):
            raise ValueError(
                f"`path` must hold boards of the split {split!r} (one in {TEST_SHARE} is of "
                f"'test', by a hash), got none among {len(puzzles)}; add rows"
            )
        rows = mine[rng.integers(len(mine), size=count)]
        return puzzles[rows].astype(np.int64), solutions[rows].astype(np.int64)

    def oracle(self, inputs: Any) -> Boards:
        """Return solutions by an exact search; zeros where a board has none."""
        return solve_all(inputs, self.box, limit=1)[0]

    def text(self, ids: Any) -> str:
        """Return a board as its rows, a point for empty."""
        rows = np.asarray(ids).reshape(self.box.order, self.box.order)
        return " ".join("".join(self.vocabulary[int(k)] for k in row) for row in rows)


def is_test(solutions: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which full boards (B, cells) are of the split "test", shape (B,)."""
    mixed = np.zeros(len(solutions), np.uint64)
    for cells in solutions.T.astype(np.uint64):
        mixed = (mixed + cells) * np.uint64(MIXERS[0])
        for shift, factor in zip((30, 27), MIXERS[1:], strict=True):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed >> np.uint64(32)) % np.uint64(TEST_SHARE) == 0


def symmetric(boards: Boards, box: Box, rng: np.random.Generator) -> Boards:
    """Return boards under random symmetries of Sudoku, another one for each.

    Parameters
    ----------
    boards : int64 array of shape (..., B, cells)
        Boards of equal B, in any leading axes, share a symmetry.
    box : Box
    rng : numpy.random.Generator
    """
    count, n = boards.shape[-2], box.order
    rows = _lines(rng, count, n // box.rows, box.rows)[:, :, None]
    columns = _lines(rng, count, n // box.columns, box.columns)[:, None, :]
    cells = rows * n + columns
    if box.rows == box.columns:
        turned = rng.random((count, 1, 1)) < 0.5
        cells = np.where(turned, columns * n + rows, cells)
    names = np.zeros((count, n + 1), np.int64)
    names[:, 1:] = rng.random((count, n)).argsort(1) + 1
    each = np.arange(count)[:, None]
    return names[each, boards[..., each, cells.reshape(count, -1)]]


def _lines(rng: np.random.Generator, count: int, bands: int, size: int) -> NDArray[np.int64]:
    """Return random orders (count, bands * size) of lines: bands, and lines in each band."""
    band = rng.random((count, bands, 1)).argsort(1)
    inside = rng.random((count, bands, size)).argsort(2)
    return (band * size + inside).reshape(count, -1)


@lru_cache(maxsize=16)
def _pool(box: Box, clues: int, bases: int, split: Split) -> tuple[Boards, Boards]:
    """Return clues (as 0 or 1) and solutions of base puzzles with just so many clues."""
    rng = generator(split, (box.rows, box.columns, clues, bases), salt=POOL_SALT)
    masks, solutions = (np.zeros((0, box.cells), np.int64) for _ in range(2))
    tried = 0
    with Progress(bases, "Sudoku puzzles") as bar:
        for _ in range(ROUNDS):
            missing = bases - len(masks)
            share = max(len(masks), 1) / tried if tried else 1 / SPARE
            grids = random_grids(min(math.ceil(missing / share) + 8, CHUNK), box, rng)
            tried += len(grids)
            hope = min(0.9 * missing, share * len(grids)) / box.cells  # bases a step of digging

            def tell(steps: int, found: int = len(masks), hope: float = hope) -> None:
                bar.to(found + hope * steps)

            given = _dug(grids, box, clues, rng, tell)
            good = np.flatnonzero(given.sum(1) == clues)[:missing]
            masks = np.concatenate([masks, given[good].astype(np.int64)])
            solutions = np.concatenate([solutions, grids[good]])
            if len(masks) == bases:
                return masks, solutions
    raise ValueError(
        f"`clues` must be reached by taking clues away at random, got {clues}, where {len(masks)} "
        f"of {bases} base puzzles were found; ask for more clues or fewer `bases`"
    )


def _dug(
    grids: Boards, box: Box, clues: int, rng: np.random.Generator, report: Callable[[int], None]
) -> NDArray[np.bool_]:
    """Take clues away in random order while the solution stays unique; return what is left."""
    given = np.ones(grids.shape, np.bool_)
    order = rng.random(grids.shape).argsort(1)
    for place, cells in enumerate(order.T):
        rows = np.flatnonzero(given.sum(1) > clues)
        if not len(rows):
            break
        cell = cells[rows]
        bits = to_bits(np.where(given[rows], grids[rows], 0), box)
        digit = (1 << (grids[rows, cell] - 1)).astype(np.uint16)
        bits[(*np.divmod(cell, box.order), np.arange(len(rows)))] = box.full & ~digit
        others, *_ = search(bits, box, limit=1)  # is there a solution with another digit here?
        given[rows, cell] = others > 0
        report(place + 1)
    return given
