"""Branch and bound over cells of pairs: at any moment the largest bound of a cell is valid."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.cell_bounds import cell_bounds
from looprate.theory.continuity.upper.cells import CellProblem, Cells
from looprate.theory.enclosure.deadline import OutOfTimeError, time_limit, until

Array = NDArray[np.float64]
Bounds = Callable[[CellProblem, Cells, float], tuple[Array, NDArray[np.intp], Cells]]

ENTRIES = 2**13  # input entries of the cells bounded at once
THREADS = min(4, os.cpu_count() or 1)
MOST_CELLS = 2**21  # kept at once: bounds the memory


@dataclass(frozen=True)
class Outcome:
    """What a search ended with.

    Attributes
    ----------
    value : float
        A certified upper bound.
    boxes : int
        Cells that were bounded.
    live : Cells
        What is left above the threshold: none where the search was finished.
    """

    value: float
    boxes: int
    live: Cells


def branch_and_bound(
    problem: CellProblem,
    threshold: float,
    *,
    seconds: float,
    most: int = sys.maxsize,
    least: float = np.inf,
    root: Cells | None = None,
    bounds: Bounds | None = None,
    finest: float = 0.0,
    at_once: int = 0,
    report: Callable[[float], None] | None = None,
) -> Outcome:
    """Return an upper bound of the supremum over all pairs of a problem.

    Cells with the largest bounds are halved first; a cell whose bound is at most ``threshold`` is
    settled.  The result is the largest bound of any cell, settled or not.

    Parameters
    ----------
    problem : CellProblem
    threshold : float
        How low the bound need be: the lower bound times one plus the tolerance.
    seconds : float
        Time after which the search ends with what it has.
    most : int
        Cells after which it ends, whatever the clock says: then on any machine the same.
    least : float
        An upper bound known otherwise: the search has nothing to do above it.
    root : Cells, optional
        What to start from; default: the cell of all pairs.
    bounds : callable, optional
        What bounds cells; default:
        :func:`looprate.theory.continuity.upper.cell_bounds.cell_bounds`.
    finest : float
        Cells no side of which is larger are left as they are.
    at_once : int
        Cells bounded at once; default: by :data:`ENTRIES`.
    report : callable, optional
        Called with the bound reached.

    Returns
    -------
    Outcome
    """
    end = time.monotonic() + seconds
    batch = at_once or max(1, ENTRIES // (problem.tokens * problem.dim))
    value, boxes, left = 0.0, 0, list[Cells]()
    bound = bounds or cell_bounds
    live = root or problem.root()
    heights = np.full(len(live), least)
    limit = time_limit()
    with ThreadPoolExecutor(THREADS) as pool:

        def alone(cells: Cells) -> tuple[Array, NDArray[np.intp], Cells]:
            """Bound cells in a thread of their own, which has its own clock and error state."""
            with until(limit), np.errstate(all="ignore"):
                return bound(problem, cells, threshold)

        def bounded(cells: Cells) -> tuple[Array, NDArray[np.intp], Cells]:
            """Bound cells on every core: NumPy works without the interpreter's lock."""
            parts = np.array_split(np.arange(len(cells)), THREADS)
            parts = [part for part in parts if len(part)]
            tasks = [pool.submit(alone, cells.picked(part)) for part in parts]
            done = [task.result() for task in tasks]
            return (
                np.concatenate([part for part, _, _ in done]),
                np.concatenate([sides for _, sides, _ in done]),
                Cells.joined([part for _, _, part in done]),
            )

        while len(live):
            if boxes and (boxes >= most or time.monotonic() > end or len(live) > MOST_CELLS):
                break
            chosen, live, heights, ceiling = _highest(
                live, heights, max(1, min(batch, most - boxes))
            )
            cells, some = problem.contracted(chosen)
            cells, ceiling = cells.picked(some), ceiling[some]
            if not len(cells):
                continue
            try:
                found, sides, tried = bounded(cells)
            except OutOfTimeError:
                left.append(cells)
                value = max(value, float(ceiling.max()))
                break
            boxes, cells = boxes + len(cells), tried
            found = np.fmin(found, ceiling)  # NaN is no bound
            open_ = found > threshold
            small = open_ & (cells.widest <= finest)
            left.append(cells.picked(small))
            open_ &= ~small
            value = max(value, float(found[~open_].max(initial=0.0)))
            if open_.any() or np.isneginf(found).any():
                value = max(value, threshold)  # whatever was cut off is at most this large
            halves = cells.picked(open_).halved(sides[open_])
            live = Cells.joined([live, halves])
            heights = np.concatenate([heights, np.tile(found[open_], 2)])
            if report is not None and len(heights):
                report(float(heights.max()))
    value = max(value, float(heights.max(initial=0.0)))
    return Outcome(value, boxes, Cells.joined([*left, live]))


def _highest(live: Cells, heights: Array, count: int) -> tuple[Cells, Cells, Array, Array]:
    """Take the cells with the largest bounds out: those, the rest, and both their bounds."""
    if len(live) <= count:
        return live, live.picked(np.zeros(0, dtype=int)), heights[:0], heights
    order = np.argpartition(-heights, count)
    first, rest = order[:count], order[count:]
    return live.picked(first), live.picked(rest), heights[rest], heights[first]
