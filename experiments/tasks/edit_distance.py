"""Edit distance: insert and delete cost 2, replace 3; the border as in the published data, or not.

In the published data the first row and column of the table grow by 1 a step, though an insertion
or deletion costs 2 anywhere else.  So the answer is not a weighted Levenshtein distance: it lets
letters at the start of either string go at half price.  ``border=1`` is that rule, ``border=2`` the
true distance with weights (2, 2, 3).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.tasks.strings import Pairs, StringTask, draw_alphabets, random_strings
from looprate.experiments.tasks.tables import last_cells

__all__ = ["EditDistance", "cost", "costs"]

Array = NDArray[Any]
GAP, REPLACE = 2, 3
BORDERS = (1, 2)
BLOCK = 2048  # rows edited together
RANDOM_SHARE = 0.4
SHORTEST = 2  # letters, of a string that is not shortened
REACH = 3  # lengths L - 3 ... L + 2 of the second string


def cost(first: Sequence[Hashable], second: Sequence[Hashable], *, border: int = 1) -> int:
    """Return the edit distance of two strings, the plain way.

    Parameters
    ----------
    first, second : str or sequence
    border : 1 or 2
        Cost of a step along the first row or column: 1 is the published rule, 2 the true distance.

    Raises
    ------
    ValueError
        If ``border`` is neither.

    Examples
    --------
    >>> cost("xa", "a"), cost("ax", "a"), cost("xa", "a", border=2)
    (1, 2, 2)
    """
    _check_border(border)
    above = [border * j for j in range(len(second) + 1)]
    for i, mine in enumerate(first, 1):
        row = [border * i]
        for j, yours in enumerate(second, 1):
            replaced = above[j - 1] + (0 if mine == yours else REPLACE)
            row.append(min(above[j] + GAP, row[j - 1] + GAP, replaced))
        above = row
    return above[-1]


def costs(
    first: Array, second: Array, lengths_first: Array, lengths_second: Array, *, border: int = 1
) -> NDArray[np.int64]:
    """Return the edit distances of many pairs of strings, shape (B,).

    Parameters
    ----------
    first, second, lengths_first, lengths_second
        As in :func:`looprate.experiments.tasks.tables.last_cells`.
    border : 1 or 2
        As in :func:`cost`.
    """
    _check_border(border)
    return last_cells(
        first,
        second,
        lengths_first,
        lengths_second,
        border=border,
        compare=np.not_equal,
        combine=_cheapest,
        # a cell is at most 2 (i + j); one step more is added before the minimum is taken
        largest=GAP * (first.shape[-1] + second.shape[-1]) + REPLACE,
    )


def _cheapest(above: Array, beside: Array, diagonal: Array, differs: Array, out: Array) -> None:
    """Write the cheapest of delete, insert and replace (or keep)."""
    np.minimum(above, beside, out=out)
    np.add(out, GAP, out=out)
    np.multiply(differs, REPLACE, out=differs)
    np.add(diagonal, differs, out=diagonal)
    np.minimum(out, diagonal, out=out)


def _check_border(border: int) -> None:
    """Raise if the border's cost is not one of the two rules."""
    if border not in BORDERS:
        raise ValueError(
            f"`border` must be 1 (the published rule) or 2 (the true distance), got {border!r}"
        )


@dataclass(frozen=True)
class EditDistance(StringTask):
    """Edit distance of two strings of about ``size`` letters.

    A row's alphabet is 3...``letters`` letters drawn without replacement.  The first string has
    ``size`` of them.  With probability 0.4 the second is random, of length ``size`` - 3 ...
    ``size`` + 2, else it is the first after 1...``size`` random deletions, replacements and
    insertions.  Equal pairs and second strings of other lengths are drawn again, with as many
    edits.  The shorter comes first.

    The vocabulary has 5 + ``letters`` + 3 ``size`` entries, 211 as published for size 60: <pad>,
    <sep>, <eos>, "|", "," (which no row uses), the letters, and the numbers 0 ... 3 ``size`` - 1.
    A pair whose answer has no token is drawn again; in practice only tiny strings are that far
    apart.

    "train" and "test" share no pair of strings: see :mod:`looprate.experiments.tasks.strings`.

    Parameters
    ----------
    size, letters : int
    border : 1 or 2
        As in :func:`cost`.
    """

    size: int = 60
    letters: int = 26
    border: int = 1

    key: ClassVar[str] = "edit-distance"
    summary: ClassVar[str] = "edit distance of two strings, the border as published or true"
    salt: ClassVar[int] = 0xED17
    slack: ClassVar[int] = REACH - 1
    smallest: ClassVar[int] = REACH + 1
    specials: ClassVar[tuple[str, ...]] = (*StringTask.specials, ",")

    def __post_init__(self) -> None:
        """Refuse sizes for which there are no rows, and other borders."""
        super().__post_init__()
        _check_border(self.border)

    @property
    def numbers(self) -> int:
        """Answers 0 ... 3 ``size`` - 1 have a token."""
        return REPLACE * self.size

    def answers(self, pairs: Pairs) -> Array:
        """Return the distances of all pairs, shape (B,)."""
        return costs(*pairs, border=self.border)

    def answer(self, first: str, second: str) -> int:
        """Return the distance of one pair, the plain way."""
        return cost(first, second, border=self.border)

    def draw(self, rng: np.random.Generator, steps: Array) -> tuple[Array, Pairs]:
        """Return pairs after ``steps`` edits (B,) or random, and which entries they are for.

        Lengths are known before letters are: rows with another length are given up at once.
        """
        edits = np.where(rng.random(len(steps)) < RANDOM_SHARE, 0, steps)
        moves, lengths = random_moves(rng, self.size, edits)
        low, high = self.size - REACH, self.size + REACH
        lengths = np.where(edits, lengths, rng.integers(low, high, len(steps)))
        kept = np.flatnonzero((lengths >= low) & (lengths < high))
        order = kept[np.argsort(-edits[kept], kind="stable")]  # rows with edits left come first
        blocks = []
        for start in range(0, max(1, len(order)), BLOCK):
            rows = order[start : start + BLOCK]
            blocks.append(self._pairs(rng, edits[rows], moves[:, rows], lengths[rows]))
        *parts, differ = (np.concatenate(part) for part in zip(*blocks, strict=True))
        back = np.argsort(order, kind="stable")
        back = back[differ[back]]
        return order[back], Pairs(*parts).at(back)

    def _pairs(
        self, rng: np.random.Generator, edits: Array, moves: Array, lengths: Array
    ) -> tuple[Array, ...]:
        """Return a block's parts of pairs, and whether the strings differ; 0 edits is random."""
        width = self.size + self.slack
        order, used = draw_alphabets(rng, len(edits), self.letters)
        first = random_strings(rng, (order, used), self.size)
        second = edited_strings(rng, first, edits, moves, (order, used))[:, :width].copy()
        random = np.flatnonzero(edits == 0)
        second[random] = random_strings(rng, (order[random], used[random]), width)
        second *= np.arange(width) < lengths[:, None]
        first = np.pad(first, ((0, 0), (0, self.slack)))
        shorter = lengths < self.size
        swap = shorter[:, None]
        return (
            np.where(swap, second, first)[:, : self.size],
            np.where(swap, first, second),
            np.where(shorter, lengths, self.size),
            np.where(shorter, self.size, lengths),
            (first != second).any(1),
        )


def random_moves(rng: np.random.Generator, size: int, edits: Array) -> tuple[Array, Array]:
    """Return what each edit does to the length of strings of ``size`` letters.

    Deletion (-1), replacement (0) and insertion (+1) are as likely, but a string of two letters is
    not shortened: it gets an insertion instead.

    Returns
    -------
    int8 array of shape (edits.max(), B), 0 beyond a row's ``edits``, and int64 array of shape (B,)
        Changes of length, and the lengths after all edits.
    """
    moves = rng.integers(-1, 2, (int(edits.max(initial=0)), len(edits)), np.int8)
    moves *= np.arange(len(moves))[:, None] < edits
    lengths = np.full(len(edits), size)
    for move in moves:
        if size - len(moves) < SHORTEST:
            move[(move < 0) & (lengths <= SHORTEST)] = 1
        lengths += move
    return moves, lengths


def edited_strings(
    rng: np.random.Generator,
    strings: Array,
    edits: Array,
    moves: Array,
    alphabets: tuple[Array, Array],
) -> NDArray[np.uint8]:
    """Return strings after edits at random places, with random letters.

    Parameters
    ----------
    rng : numpy.random.Generator
    strings : uint8 array of shape (B, n)
    edits : int64 array of shape (B,)
        Numbers of edits, 0...n, in falling order.
    moves : int8 array of shape (at least edits.max(), B)
        As :func:`random_moves` returns them.
    alphabets : pair of arrays
        As :func:`looprate.experiments.tasks.strings.draw_alphabets` returns them.

    Returns
    -------
    uint8 array of shape (B, w), w > n + n/2 + 2
        Strings, padded with 0.  What a string longer than w had beyond w is lost; within its n
        edits such a string cannot come back to a length that is used.
    """
    (count, n), steps = strings.shape, int(edits.max(initial=0))
    width = n + n // 2 + REACH
    small = np.min_scalar_type(width + 3)
    letters = np.zeros((width + 3, count), np.uint8)  # rows 0 and w + 1 stay empty, w + 2 is waste
    letters[1 : n + 1] = strings.T
    moves = moves[:steps].astype(np.int64)
    places = n + moves.cumsum(0) - moves + (moves > 0)  # an insertion may be at the end
    at = (rng.random(moves.shape, np.float32) * places.astype(np.float32)).astype(np.int64)
    at = np.minimum(at, width - 1)
    drawn = random_strings(rng, alphabets, steps).T
    write = np.where(moves < 0, width + 2, at + 1)
    delete, insert = np.where(moves < 0, at, width), np.where(moves > 0, at, width)
    delete, insert, column = delete.astype(small), insert.astype(small), np.arange(count)
    active = np.searchsorted(-edits, -np.arange(steps))  # rows with edits > step
    for step, rows in enumerate(active):
        _shift(letters[:-1, :rows], delete[step, :rows], insert[step, :rows])
        letters[write[step, :rows], column[:rows]] = drawn[step, :rows]
    return letters[1 : width + 1].T


def _shift(letters: Array, delete: Array, insert: Array) -> None:
    """Close the gap at ``delete``, open one at ``insert``: columns are strings, in place."""
    inner = letters[1:-1]
    place = np.arange(len(inner), dtype=delete.dtype)[:, None]
    closing, opening = inner ^ letters[2:], inner ^ letters[:-2]
    closing *= place >= delete
    opening *= place > insert
    inner ^= closing
    inner ^= opening
