"""Sudoku boards that resist: thousands of branches of one board at a time, up to a limit.

A branch is split where fewest choices are left: a cell with its digits, or a digit with its cells
in a row, column or box.  The search is depth first but for its breadth, so that memory stays small.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.engine.progress import Progress

# sudoku_solver imports this file inside a function: both share its steps
from looprate.experiments.tasks.sudoku_solver import Bits, Box, conclusions

BREADTH = 4096  # branches taken together
MOST_BRANCHES = 2**21  # about 20 s on one core of an AMD EPYC, 2.6 GHz
NEVER = 99  # more choices than any cell or unit has


def search_hard(
    bits: Bits, box: Box, *, limit: int, most: int = MOST_BRANCHES
) -> tuple[int, Bits] | None:
    """Search one board exactly.

    Parameters
    ----------
    bits : uint16 array of shape (order, order, 1)
        Digits each cell may hold, as bits.
    box : Box
    limit : int
        Solutions after which the search ends.
    most : int
        Branches after which it is given up.

    Returns
    -------
    (int, array of shape (order, order)) or None
        Number of solutions, at most ``limit``, and one of them, 0 where there is none; None where
        it was given up.
    """
    count, first, taken = 0, np.zeros_like(bits[:, :, 0]), 0
    with Progress(most, "a hard Sudoku board") as bar:
        while bits.shape[2]:
            if taken >= most:
                return None
            now, rest = bits[:, :, -BREADTH:], bits[:, :, :-BREADTH]
            taken += now.shape[2]
            after, dead = conclusions(now, box)
            solved = ~dead & ((now & (now - 1)) == 0).all((0, 1))
            if solved.any() and not count:
                first = now[:, :, solved.argmax()]
            count += int(solved.sum())
            if count >= limit:
                break
            still = (after == now).all((0, 1)) & ~dead & ~solved
            moved = ~still & ~dead & ~solved
            bits = np.concatenate([rest, *_split(after[:, :, still], box), after[:, :, moved]], 2)
            bar.to(taken)
    return min(count, limit), first


def _split(bits: Bits, box: Box) -> tuple[Bits, Bits]:
    """Return every branch without one choice of its cell and digit, and with it alone."""
    n, boards = box.order, np.arange(bits.shape[2])
    if not boards.size:
        return bits, bits
    flat, units = bits.reshape(n * n, -1), _units(box)
    choices = np.bitwise_count(flat)
    choices = np.where(choices > 1, choices, NEVER)
    cell = choices.argmin(0)
    digit = flat[cell, boards] & -flat[cell, boards]
    held = (flat[None] >> np.arange(n, dtype=np.uint16)[:, None, None]) & 1  # (digits, cells, M)
    places = held[:, units].sum(2, dtype=np.uint8)  # (digits, units, M)
    places = np.where(places > 1, places, NEVER).reshape(-1, len(boards))
    best = places.argmin(0)
    by_unit = np.flatnonzero(places[best, boards] < choices[cell, boards])
    name, unit = np.divmod(best[by_unit], len(units))
    inside = held[name[:, None], units[unit], by_unit[:, None]]
    cell[by_unit] = units[unit, inside.argmax(1)]
    digit[by_unit] = 1 << name
    without, alone = flat.copy(), flat.copy()
    without[cell, boards] &= ~digit
    alone[cell, boards] = digit
    return without.reshape(bits.shape), alone.reshape(bits.shape)


@cache
def _units(box: Box) -> NDArray[np.int64]:
    """Return the cells of every row, column and box, shape (units, order)."""
    cells = np.arange(box.cells).reshape(box.order, box.order)
    boxes = box.by_box(cells[:, :, None])[:, :, 0].T
    return np.concatenate([cells, cells.T, boxes])
