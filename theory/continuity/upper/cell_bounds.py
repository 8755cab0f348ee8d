r"""Upper bounds of ‖f(X) - f(Y)‖_p over cells of pairs: X = c + D/2, Y = c - D/2, ‖D‖_2 <= δ.

A cell is a box of centres c times a box of differences D; both points stay in the cube.  With J the
first and H the second derivatives of f (slopes, where f has kinks), the least of these is taken::

    range       f(X) - f(Y) from the ranges of f on the boxes of X and of Y;
    slopes      f(X) - f(Y) = G D with slopes G on the hull of both boxes;
    centre      f(X) - f(Y) = J(c) D + ρ, |ρ| <= rad(H)[|D|, |D|] / 4 with H on the hull, because
                J(c + sD) - J(c - sD) is 2s rad(H)|D| from what cancels; J(c) is affine in c up to
                rad(H)|c - c0|, and the norm of J(c), being convex, largest at corners;
    ends        f(X) = f(x0) + J(x0)(X - x0) + ½ H[X - x0, X - x0], the same at Y: a function of
                (c, D) that is linear up to second order, on the box of c and on box and ball of D.
                Its norm is bounded by rows, or by the functional dual to its value in the middle.

The centre form settles cells of all D at small δ; the ends form has an error of second order in the
cell's size at every δ.  A cell holds no maximiser, and is dropped, where the norm strictly grows as
both points move along one coordinate while neither may touch the face of the cube ahead.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.cells import CellProblem, Cells, Derivatives, Ends, lengths
from looprate.theory.continuity.upper.centre_form import CentreForm
from looprate.theory.continuity.upper.ends_form import EndsForm
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    entries_norm_upper_bound,
    operator_norm_upper_bound,
    positive_norm_upper_bound,
)
from looprate.theory.enclosure.intervals import Interval

Array = NDArray[np.float64]


def cell_bounds(
    problem: CellProblem, cells: Cells, threshold: float
) -> tuple[Array, NDArray[np.intp], Cells]:
    """Return upper bounds (B,), the sides to halve (B,), and the cells without settled parts.

    Settled is what holds no maximiser, and what is at most ``threshold``: a cell of which
    nothing else is left gets the bound -inf.  Work is spent on cells it may bring down.
    """
    ends = Ends.of(problem, cells)
    if problem.steep is not None:
        around = problem.steep.meet(*ends.hull())
        if not around.all():
            return _among(problem, cells, around, threshold)
    hull = problem.derivatives(Interval(*ends.hull()))
    bound = _slopes(problem, hull, ends)
    form = CentreForm.of(problem, cells, ends)
    bent = form.bent(problem, ends, hull)
    near = np.flatnonzero((form.steep <= threshold) & (form.steep + bent > threshold))
    if len(near):
        bent[near] = form.bent_by_shells(problem, cells.picked(near), ends.picked(near))
    bound = np.minimum(bound, (form.steep + bent) * (1 + SLACK))
    wide = (cells.c_high - cells.c_low).max(1) > (cells.d_high - cells.d_low).max(1) / 2
    column, centres = hull.column(), (form.spread > bent) | wide
    differences = ~centres
    if problem.p == 2:
        cells = cells.cut(*form.cap(threshold, bent, ends))
    apart = ((cells.d_low > 0) | (cells.d_high < 0)).any(1) & (bound > threshold)
    apart_at = np.flatnonzero(apart & (cells.d_low <= cells.d_high).all(1))
    if len(apart_at):
        inner, some = problem.contracted(cells.picked(apart_at))
        apart_at, inner = apart_at[some], inner.picked(some)
    if len(apart_at):
        points = Ends.of(problem, inner)
        pair = EndsForm.of(problem, points)
        found = pair.bound(problem.p)
        better = apart_at[found < bound[apart_at]]
        column[apart_at] = pair.column
        centres[better] = differences[better] = True
        bound[apart_at] = np.minimum(bound[apart_at], found)
        inner = inner.cut(*pair.half_space(problem.p, threshold, points, problem.delta))
        cells = cells.replaced(apart_at, inner)
        without = pair.without_maximiser(problem.p, points)
        bound[apart_at[without]] = -np.inf
    empty = (cells.d_low > cells.d_high).any(1) | (cells.c_low > cells.c_high).any(1)
    bound[empty & (bound > threshold)] = -np.inf
    return bound, _side(problem, cells, column, centres, differences), cells


def _among(
    problem: CellProblem, cells: Cells, some: NDArray[np.bool_], threshold: float
) -> tuple[Array, NDArray[np.intp], Cells]:
    """Return bounds and sides of some cells; the others are settled."""
    bound, side = np.full(len(cells), -np.inf), np.zeros(len(cells), dtype=np.intp)
    if some.any():
        at = np.flatnonzero(some)
        bound[at], side[at], found = cell_bounds(problem, cells.picked(at), threshold)
        cells = cells.replaced(at, found)
    return bound, side, cells


def _slopes(problem: CellProblem, hull: Derivatives, ends: Ends) -> Array:
    """Return the bounds by range and by slopes on the hull of a pair."""
    moving = problem.movable
    reach = np.minimum(problem.delta, lengths(ends.d_most))
    middle, radius = hull.middle[:, :, moving], hull.radius[:, :, moving]
    ratio = operator_norm_upper_bound(middle, problem.p)
    ratio += positive_norm_upper_bound(radius, problem.p)
    with np.errstate(invalid="ignore"):
        rows = ((np.abs(middle) + radius) * ends.d_most[:, None]).sum(2) * (1 + SLACK)
    rows = np.minimum(np.where(np.isnan(rows), np.inf, rows), hull.value.width)
    return np.minimum(ratio * reach * (1 + SLACK), entries_norm_upper_bound(rows, problem.p))


def _side(
    problem: CellProblem,
    cells: Cells,
    column: Array,
    centres: NDArray[np.bool_],
    differences: NDArray[np.bool_],
) -> NDArray[np.intp]:
    """Return the side whose halving promises most: width times the size of its column.

    ``centres`` and ``differences`` tell where a side of c, of D or of both is asked for.
    """
    centre = (cells.c_high - cells.c_low).clip(0) * column  # below 0 where nothing is left
    difference = (cells.d_high - cells.d_low).clip(0) / 2 * column[:, problem.movable]
    centre = np.where(centres[:, None], centre, -1.0)
    difference = np.where(differences[:, None], difference, -1.0)
    return np.concatenate([centre, difference], 1).argmax(1)
