"""Sudoku boards, solved and counted exactly, many at once.

A board is a row of ``order**2`` cells, 0 for empty.  Inside, a cell is a set of digits as bits and
many boards are one array of shape (order, order, M), boards last, so that each step is a few NumPy
operations on all of them: digits placed in a unit (row, column or box) leave its other cells, and a
digit with one cell left in a unit goes there.  Where this stops, the cell with the fewest digits is
split into one digit and the rest; the rest waits on a stack of its own board.  Nothing is guessed:
a board is left only when its whole tree is searched or enough solutions are found.  One that takes
many steps goes to :mod:`looprate.experiments.tasks.sudoku_hard`, and is refused where that gives
up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint16]
Boards = NDArray[np.int64]
CHUNK = 2048  # boards searched together: keeps the stack in tens of megabytes
PATIENCE = 2000  # steps after which a board counts as hard: most take fewer than 100
MAX_ORDER = 9  # digits are single characters in text and in files


@dataclass(frozen=True)
class Box:
    """The shape of a box; a board has ``order = rows * columns`` rows, columns, boxes and digits.

    Attributes
    ----------
    rows, columns : int
        At least 2 each, at most 9 cells together.
    """

    rows: int = 3
    columns: int = 3

    def __post_init__(self) -> None:
        for name in ("rows", "columns"):
            value = getattr(self, name)
            if type(value) is not int or value < 2:
                raise ValueError(f"`box_{name}` must be an integer >= 2, got {value!r}; try 3")
        if self.order > MAX_ORDER:
            raise ValueError(
                f"`box_rows` times `box_columns` must be at most {MAX_ORDER}, got {self.order}; "
                "try 2 and 2, 2 and 3, or 3 and 3"
            )

    @property
    def order(self) -> int:
        """Digits, and cells of every unit."""
        return self.rows * self.columns

    @property
    def cells(self) -> int:
        """Cells of a board."""
        return self.order**2

    @property
    def full(self) -> int:
        """The set of all digits, as bits."""
        return (1 << self.order) - 1

    def by_box(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Return cells (order, order, M) as (place in the box, box, M)."""
        n, r, c = self.order, self.rows, self.columns
        return cells.reshape(n // r, r, n // c, c, -1).transpose(1, 3, 0, 2, 4).reshape(n, n, -1)

    def over_cells(self, boxes: NDArray[Any]) -> NDArray[Any]:
        """Return values of boxes (order, M) at every cell, (order, order, M)."""
        r, c = self.rows, self.columns
        grid = boxes.reshape(self.order // r, self.order // c, -1)
        return grid.repeat(r, axis=0).repeat(c, axis=1)


def to_bits(boards: Boards, box: Box) -> Bits:
    """Return boards (B, cells) as sets of digits (order, order, B); empty cells hold all."""
    bits = np.where(boards > 0, 1 << np.maximum(boards - 1, 0), box.full).astype(np.uint16)
    return np.ascontiguousarray(bits.T).reshape(box.order, box.order, len(boards))


def from_bits(bits: Bits, box: Box) -> Boards:
    """Return single digits (order, order, B) as boards (B, cells); no digit gives 0."""
    digits = np.bitwise_count(np.where(bits > 0, 2 * bits.astype(np.int64) - 1, 0))
    return digits.reshape(box.cells, -1).T.astype(np.int64)


def _units(cells: Bits, singles: Bits) -> tuple[Bits, Bits, NDArray[np.bool_]]:
    """Of units along axis 0: digits placed, digits with one cell left, contradictions (M,)."""
    once, twice = cells[0].copy(), np.zeros_like(cells[0])
    for cell in cells[1:]:
        twice |= once & cell
        once |= cell
    placed = np.bitwise_or.reduce(singles, axis=0)
    double = np.add.reduce(singles, axis=0, dtype=np.uint16) != placed
    return placed, once & ~twice, double.any(0)


def conclusions(bits: Bits, box: Box) -> tuple[Bits, NDArray[np.bool_]]:
    """Draw the direct conclusions once; return the boards and which hold a contradiction."""
    single = (bits & (bits - 1)) == 0
    singles = np.where(single, bits, np.uint16(0))
    down = _units(bits, singles)
    across = _units(bits.transpose(1, 0, 2), singles.transpose(1, 0, 2))
    boxed = _units(box.by_box(bits), box.by_box(singles))
    placed, last = (down[k][None] | across[k][:, None] | box.over_cells(boxed[k]) for k in (0, 1))
    after = np.where(single, bits, bits & ~placed)
    forced = bits & last
    after = np.where(forced > 0, after & forced, after)
    return after, down[2] | across[2] | boxed[2] | (after == 0).any((0, 1))


def _one_digit(bits: Bits, rng: np.random.Generator | None) -> tuple[NDArray[Any], Bits]:
    """Return the undecided cell with the fewest digits, and one of these, of every board."""
    flat = bits.reshape(-1, bits.shape[2])
    sizes = np.bitwise_count(flat)
    cell = np.where(sizes > 1, sizes, 99).argmin(0)
    digits = flat[cell, np.arange(flat.shape[1])]
    if rng is None:
        return cell, digits & -digits
    held = (digits[:, None] >> np.arange(16)) & 1
    return cell, (1 << (held * rng.random(held.shape)).argmax(1)).astype(np.uint16)


class _Stack:
    """The branches that wait, one stack a board."""

    def __init__(self, order: int, boards: int) -> None:
        self.held = np.empty((4, order, order, boards), np.uint16)
        self.height = np.zeros(boards, np.int64)

    def push(self, who: NDArray[np.int64], bits: Bits) -> None:
        """Put one branch on the stack of every board of ``who``."""
        if len(who) and self.height[who].max() == len(self.held):
            self.held = np.concatenate([self.held, np.empty_like(self.held)])
        self.held[self.height[who], :, :, who] = bits.transpose(2, 0, 1)
        self.height[who] += 1

    def pop(self, who: NDArray[np.int64]) -> Bits:
        """Take one branch from the stack of every board of ``who``."""
        self.height[who] -= 1
        return self.held[self.height[who], :, :, who].transpose(1, 2, 0)


def search(
    bits: Bits,
    box: Box,
    *,
    limit: int,
    rng: np.random.Generator | None = None,
    most: float = np.inf,
) -> tuple[NDArray[np.int64], Bits, NDArray[np.int64]]:
    """Search many boards exactly, depth first.

    Parameters
    ----------
    bits : uint16 array of shape (order, order, M)
        Digits each cell may hold, as bits.
    box : Box
    limit : int
        Solutions after which a board is left.
    rng : numpy.random.Generator, optional
        Draws the digit tried first; without it the smallest.
    most : int, optional
        Steps after which the search is given up.

    Returns
    -------
    counts : int64 array of shape (M,)
        Number of solutions, at most ``limit``.
    first : uint16 array of shape (order, order, M)
        The first solution found as bits, 0 where there is none.
    unfinished : int64 array
        Numbers of the boards given up.
    """
    counts, first = np.zeros(bits.shape[2], np.int64), np.zeros_like(bits)
    stack, active = _Stack(box.order, bits.shape[2]), np.arange(bits.shape[2])
    step = 0
    while active.size and step < most:
        step += 1
        after, dead = conclusions(bits, box)
        solved = ~dead & ((bits & (bits - 1)) == 0).all((0, 1))  # of bits: dead judges these
        who = active[solved]
        new = counts[who] == 0
        first[:, :, who[new]] = after[:, :, solved][:, :, new]
        counts[who] += 1
        split = np.flatnonzero(~dead & ~solved & (after == bits).all((0, 1)))
        if split.size:
            cell, digit = _one_digit(after[:, :, split], rng)
            place = (*np.divmod(cell, box.order), split)
            after[place] &= ~digit
            stack.push(active[split], after[:, :, split])
            after[place] = digit
        back = np.flatnonzero(dead | solved)
        back = back[(stack.height[active[back]] > 0) & (counts[active[back]] < limit)]
        after[:, :, back] = stack.pop(active[back])
        keep = ~(dead | solved)
        keep[back] = True
        active, bits = active[keep], after[:, :, keep]
    return counts, first, active


def random_grids(count: int, box: Box, rng: np.random.Generator) -> Boards:
    """Return ``count`` full boards (count, cells), each a random depth-first fill.

    The draw is random but not uniform over all grids.
    """
    empty = np.full((box.order, box.order, count), box.full, np.uint16)
    return from_bits(search(empty, box, limit=1, rng=rng)[1], box)


def _boards(boards: Any, box: Box) -> Boards:
    """Return boards (B, cells), or raise naming what is wrong."""
    array = np.asarray(boards)
    if array.ndim != 2 or array.shape[1] != box.cells or array.dtype.kind not in "iu":
        raise ValueError(
            f"`boards` must be integers of shape (B, {box.cells}) for {box.rows} by {box.columns} "
            f"boxes, got {array.dtype} of shape {array.shape}"
        )
    if array.size and (array.min() < 0 or array.max() > box.order):
        raise ValueError(
            f"`boards` must hold 0 (empty) to {box.order}, got {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)


def solve_all(boards: Any, box: Box, *, limit: int = 2) -> tuple[Boards, NDArray[np.int64]]:
    """Return a solution of every board and the number of its solutions, at most ``limit``.

    Parameters
    ----------
    boards : int array of shape (B, cells)
        0 for empty.
    box : Box
    limit : int

    Returns
    -------
    solutions : int64 array of shape (B, cells)
        Zeros for a board without solution.
    counts : int64 array of shape (B,)

    Raises
    ------
    ValueError
        If the boards have another shape or hold other digits, ``limit`` < 1, or a board takes more
        than ``sudoku_hard.MOST_BRANCHES`` branches, as some with few clues or no solution do.
    """
    from looprate.experiments.tasks.sudoku_hard import MOST_BRANCHES, search_hard

    checked = _boards(boards, box)
    if limit < 1:
        raise ValueError(f"`limit` must be >= 1, got {limit}; 2 tells unique solutions apart")
    solutions, counts = np.zeros_like(checked), np.zeros(len(checked), np.int64)
    for start in range(0, len(checked), CHUNK):
        part = slice(start, start + CHUNK)
        bits = to_bits(checked[part], box)
        counts[part], first, hard = search(bits, box, limit=limit, most=PATIENCE)
        for place in hard.tolist():
            found = search_hard(bits[:, :, place : place + 1], box, limit=limit)
            if found is None:
                raise ValueError(
                    f"`boards` must be solved within {MOST_BRANCHES:,} branches, board "
                    f"{start + place + 1} was not: it has no solution or hides it; give more clues"
                )
            counts[start + place], first[:, :, place] = found
        solutions[part] = from_bits(first, box)
    return solutions, counts


def conflicts(boards: Boards, box: Box) -> NDArray[np.bool_]:
    """Return which boards (B, cells) hold a digit twice in a row, column or box, shape (B,)."""
    bits = np.where(boards.T.reshape(box.order, box.order, -1) > 0, to_bits(boards, box), 0)
    units = (bits, bits.transpose(1, 0, 2), box.by_box(bits))
    double = [unit.sum(0) != np.bitwise_or.reduce(unit, axis=0) for unit in units]
    return np.any(double, axis=(0, 1))
