r"""Upper bounds by forms of second order on hulls of pairs, for functions with steep inner steps.

With m parts of equal length, w(δ) <= m sup ‖f(c + D/2) - f(c - D/2)‖_p over centres c in the cube
and ‖D‖_2 <= δ/m.  On the hull of all such pairs with c in a cell, affine forms whose symbols are
the inputs and their products give f = quadratic + ρ, |ρ| <= r.  Of a quadratic the difference is
exactly its gradient at c times D, so that

    ‖f(c + D/2) - f(c - D/2)‖_p <= ‖G(c)‖_(2->p) δ/m + ‖2r‖_p,

with G affine on the cell.  Slopes of a deep network on a box grow with the sizes of its weights;
these forms do not, and ask for no derivatives: corners of f cost what they bend.
"""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.affine_norm import affine_norm
from looprate.theory.continuity.upper.branching import THREADS, branch_and_bound
from looprate.theory.continuity.upper.cells import CellProblem, Cells, in_cube
from looprate.theory.continuity.upper.operator_norm import SLACK, entries_norm_upper_bound
from looprate.theory.enclosure.affine import Affine, affine_variables
from looprate.theory.enclosure.forms import evaluated
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import EPS

Array = NDArray[np.float64]

AT_ONCE = 32  # cells bounded in one call of f: their symbols fill the cache
SAMPLE, TRIED = 8, (2.0**-3, 2.0**-4)  # cells tried before, and their sides
PARTS = (1, 2, 4, 8)  # m
FAR = 4.0  # times steeper than by forms: slopes are then no use
SHARE = 0.5  # of the cells, for the grid to start from


def prefers_hulls(problem: CellProblem) -> bool:
    """Tell whether slopes on small cells exceed by far what forms of second order say."""
    cells = _tried(problem, TRIED[-1])
    try:
        found, _, _ = _bounds(problem, cells, 0.0, parts=PARTS[-1])
        slopes = problem.derivatives(Interval(cells.c_low, cells.c_high), bend=False)
    except ValueError:  # an operation that has slopes only
        return False
    middle, radius = (part[:, :, problem.movable] for part in (slopes.middle, slopes.radius))
    none = np.zeros((len(middle), 0, *middle.shape[1:]))
    ratio = affine_norm(middle, none, radius, problem.p).most
    return bool(np.median(ratio) * problem.delta > FAR * np.median(found))


def hulls_upper_bound(
    problem: CellProblem,
    threshold: float,
    seconds: float,
    least: float,
    report: Callable[[float], None] | None = None,
    *,
    most: int = sys.maxsize,
) -> tuple[float, int]:
    """Return a certified upper bound of one modulus at one radius, and the cells it took.

    Parameters are those of
    :func:`looprate.theory.continuity.upper.steepest.steepest_upper_bound`.
    """
    began = time.monotonic()
    side, parts, cost = _plan(problem, seconds, most)
    left = seconds - (time.monotonic() - began)
    room = most if most < sys.maxsize else left * THREADS / cost
    root = _grid(problem, room * SHARE, side)
    found = branch_and_bound(
        problem,
        threshold,
        seconds=left,
        most=most,
        least=least,
        root=root,
        bounds=functools.partial(_bounds, parts=parts),
        at_once=AT_ONCE * THREADS,
        report=report,
    )
    return found.value, found.boxes


def _plan(problem: CellProblem, seconds: float, most: int) -> tuple[float, int, float]:
    """Return the side of cells that can be paid for, m for them, and the seconds of a cell."""
    best, cost, side = 1, math.inf, TRIED[0]
    for side in TRIED:
        cells, sizes = _tried(problem, side), []
        for parts in PARTS:
            began = time.monotonic()
            sizes.append(np.median(_bounds(problem, cells, 0.0, parts=parts)[0]))
            cost = min(cost, (time.monotonic() - began) / len(cells))
        best = PARTS[int(np.argmin(sizes))]
        room = most if most < sys.maxsize else seconds * THREADS / cost
        if _count(problem, side / 2) > room:
            break
    return side, best, cost


def _count(problem: CellProblem, side: float) -> float:
    """Return about how many cells of a side there are, tokens being sorted."""
    width = problem.tokens * problem.dim
    return side**-width / math.factorial(max(1, len(problem.sorted_tokens)))


def _tried(problem: CellProblem, side: float) -> Cells:
    """Return a few cells of a side, anywhere in the cube."""
    low = np.random.default_rng(0).random((SAMPLE, problem.tokens * problem.dim)) * (1 - side)
    return _centres(problem, low, low + side)


def _centres(problem: CellProblem, low: Array, high: Array) -> Cells:
    """Return cells of centres alone."""
    none = np.zeros((len(low), len(problem.movable)))
    return Cells(low, high, none, none)


def _grid(problem: CellProblem, room: float, side: float) -> Cells:
    """Return the cells to start from: no more than there is room for, and no smaller."""
    k, width = 0, problem.tokens * problem.dim
    cells = _centres(problem, np.zeros((1, width)), np.ones((1, width)))
    while 2 * len(cells) <= room and k < width * round(-math.log2(side)):
        cells = cells.halved(np.full(len(cells), k % width))
        cells, some = problem.contracted(cells)
        cells, k = cells.picked(some), k + 1
    return cells


def _bounds(
    problem: CellProblem, cells: Cells, threshold: float, *, parts: int
) -> tuple[Array, NDArray[np.intp], Cells]:
    """Return upper bounds (B,) on cells of centres, the sides to halve (B,), and the cells."""
    found = [
        _some(problem, cells.picked(np.arange(k, min(k + AT_ONCE, len(cells)))), parts)
        for k in range(0, len(cells), AT_ONCE)
    ]
    bound, side = (np.concatenate(part) for part in zip(*found, strict=True))
    return bound, side, cells


def _some(problem: CellProblem, cells: Cells, parts: int) -> tuple[Array, NDArray[np.intp]]:
    """Return bounds and sides to halve of a few cells."""
    step = np.zeros(cells.c_low.shape[1])
    step[problem.movable] = problem.delta / parts / 2 * (1 + SLACK)
    hull = in_cube(Interval(cells.c_low - step - EPS, cells.c_high + step + EPS))
    form = evaluated(
        problem.f,
        affine_variables(hull.reshape((-1, problem.tokens, problem.dim)), squares=True),
    )
    sides = cells.c_high - cells.c_low
    if not isinstance(form, Affine):  # a constant
        return np.zeros(len(cells)), sides.argmax(1)
    middle = hull.lo / 2 + hull.hi / 2
    _, gradient, bend, rest = form.quadratic(np.maximum(hull.hi - middle, middle - hull.lo))
    away = (cells.c_low / 2 + cells.c_high / 2 - middle).T[:, :, None, None]
    start = gradient + (bend * away).sum(1)
    turn = bend * (sides / 2 * (1 + SLACK)).T[:, :, None, None]  # (K of D, K of c, B, N, d)
    start, turn = (problem.rows(part[problem.movable]) for part in (start, turn))
    start, turn = np.moveaxis(start, 0, 2), np.moveaxis(turn, (0, 1), (3, 1))
    missed, range_ = problem.rows(rest), problem.rows(form.value.width)
    steep = affine_norm(start, turn, np.zeros(start.shape), problem.p).most
    bound = steep * (problem.delta / parts) + entries_norm_upper_bound(2 * missed, problem.p)
    bound = np.fmin(bound, entries_norm_upper_bound(range_, problem.p))
    size = np.abs(problem.rows(gradient)).sum(2).T  # (B, K)
    size = size + size.mean(1, keepdims=True)
    return bound * parts * (1 + SLACK), (sides * np.where(np.isfinite(size), size, 1.0)).argmax(1)
