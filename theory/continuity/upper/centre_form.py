r"""The centre form: f(X) - f(Y) = J(c) D + ρ on cells of pairs, whatever the direction of D.

|ρ| <= rad(H)[|D|, |D|] / 4 with second derivatives H on the hull of a pair, because what J(c + sD)
and J(c - sD) differ from J(c) by cancels up to 2s rad(H)|D|.  J(c) is affine in c up to
rad(H)|c - c0|, and the norm of an affine function, being convex, is largest at corners.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.affine_norm import affine_norm
from looprate.theory.continuity.upper.cells import (
    CellProblem,
    Cells,
    Derivatives,
    Ends,
    in_cube,
    lengths,
)
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    entries_norm_upper_bound,
)
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import EPS

Array = NDArray[np.float64]

SHELLS = 4  # of a pair, where finer ones can settle a cell


@dataclass(frozen=True)
class CentreForm:
    """The centre form on cells: f(X) - f(Y) = J(c) D + ρ.

    Attributes
    ----------
    steep : ndarray of shape (B,)
        Bounds of ‖J(c) D‖_p; inf where second derivatives are unbounded.
    spread : ndarray of shape (B,)
        How much of it comes from the size of the box of c.
    reach : ndarray of shape (B,)
        Bounds of ‖D‖_2.
    start : ndarray of shape (B, E, M)
        Middle of J(c0).
    change : ndarray of shape (B,)
        Bounds of ‖J(c) - start‖_(2->p).
    """

    steep: Array
    spread: Array
    reach: Array
    start: Array
    change: Array

    @classmethod
    def of(cls, problem: CellProblem, cells: Cells, ends: Ends) -> CentreForm:
        """Return the form on cells."""
        reach = np.minimum(problem.delta, lengths(ends.d_most))
        family = problem.expansion(cells.c_low, cells.c_high)
        if family is not None:
            norm = affine_norm(*family, problem.p)
            return cls(norm.most * reach, norm.spread * reach, reach, family[0], norm.change)
        steep, spread = np.full(len(reach), np.inf), np.zeros(len(reach))
        change, start = np.full(len(reach), np.inf), None
        core = problem.derivatives(Interval(cells.c_low, cells.c_high))
        smooth = np.flatnonzero(np.isfinite(core.bend_radius).all((1, 2, 3)))
        if len(smooth):
            *parts, change[smooth], known = steepness(
                problem, core.picked(smooth), ends.picked(smooth)
            )
            steep[smooth], spread[smooth] = (part * reach[smooth] for part in parts)
            start = np.zeros((len(reach), *known.shape[1:]))
            start[smooth] = known
        if start is None:
            start = np.zeros((len(reach), 1, len(problem.movable)))
        return cls(steep, spread, reach, start, change)

    def cap(self, threshold: float, bent: Array, ends: Ends) -> tuple[Array, Array, Array, Array]:
        """Return boxes of c and D outside which ‖f(X) - f(Y)‖_2 is at most the threshold.

        With λ1 >= λ2 the largest eigenvalues of start^T start and v the first eigenvector,
        ‖start D‖² <= λ1 (v·D)² + λ2 (‖D‖² - (v·D)²), so that |v·D| cannot be small.
        """
        gram = self.start.swapaxes(1, 2) @ self.start
        values, vectors = np.linalg.eigh(gram)
        size = np.trace(gram, axis1=1, axis2=2)
        rest = gram - (vectors * values[:, None]) @ vectors.swapaxes(1, 2)
        eye = vectors.swapaxes(1, 2) @ vectors - np.eye(gram.shape[1])
        fine = np.abs(rest).max((1, 2)) <= SLACK * size
        fine &= np.abs(eye).max((1, 2)) <= SLACK
        top = values[:, -1] + 64 * SLACK * size
        second = (values[:, -2] if values.shape[1] > 1 else 0.0 * top).clip(0) + 64 * SLACK * size
        with np.errstate(invalid="ignore", divide="ignore"):
            least = threshold - bent - self.change * self.reach
            square = (least.clip(0) ** 2 - second * self.reach**2) / (top - second)
            height = np.sqrt(square.clip(0)) * (1 - 64 * SLACK) - 64 * SLACK * self.reach
        known = fine & np.isfinite(square) & (least > 0) & (height > 0)
        height = np.where(known, height, 0.0)
        axis = vectors[:, :, -1]
        ends_ = (axis * ends.d_low, axis * ends.d_high)
        farthest = np.maximum(*ends_).sum(1) + SLACK * self.reach
        nearest = np.minimum(*ends_).sum(1) - SLACK * self.reach
        ahead, behind = farthest >= height, nearest <= -height
        low, high = cap_box(axis, height, self.reach)
        back = (-high, -low)
        low, high = (
            np.where(ahead[:, None], np.where(behind[:, None], minmax(a, b), a), b)
            for a, b, minmax in ((low, back[0], np.minimum), (high, back[1], np.maximum))
        )
        none = known & ~ahead & ~behind
        low = np.where(none[:, None], np.inf, np.where(known[:, None], low, -np.inf))
        high = np.where(none[:, None], -np.inf, np.where(known[:, None], high, np.inf))
        whole = np.full(ends.x.shape, np.inf)
        return -whole, whole, low, high

    def bent(self, problem: CellProblem, ends: Ends, hull: Derivatives) -> Array:
        """Return bounds of ‖ρ‖_p with second derivatives on the hull."""
        return _bent(problem, hull, ends, self.reach, 0.25)

    def bent_by_shells(self, problem: CellProblem, cells: Cells, ends: Ends) -> Array:
        """Return bounds of ‖ρ‖_p with second derivatives on shells: boxes of c + t D, t <= 1/2.

        ρ = ∫_0^(1/2) (1/2 - t) [H(c + tD) - H(c - tD)] D D dt.
        """
        reach = np.minimum(problem.delta, lengths(ends.d_most))
        total = np.zeros(len(cells))
        for k in range(SHELLS):
            inner, outer = k / (2 * SHELLS), (k + 1) / (2 * SHELLS)
            weight = (outer - inner) / 2 - (outer**2 - inner**2) / 2
            step = np.zeros(cells.c_low.shape)
            step[:, problem.movable] = ends.d_most * outer * (1 + SLACK)
            box = Interval(cells.c_low - step - EPS, cells.c_high + step + EPS)
            on = problem.derivatives(in_cube(box))
            total += _bent(problem, on, ends, reach, 2 * weight)
        return total


def cap_box(axis: Array, height: Array, reach: Array) -> tuple[Array, Array]:
    """Return the box (B, M) of {D: axis · D >= height, ‖D‖ <= reach}, axis of length 1."""
    across = np.sqrt((reach**2 * (1 + SLACK) - height**2).clip(0))[:, None]
    across = across * np.sqrt((1 + SLACK - axis**2).clip(0))
    slack = 64 * SLACK * reach[:, None]
    ends = axis * height[:, None], axis * reach[:, None]
    return np.minimum(*ends) - across - slack, np.maximum(*ends) + across + slack


def steepness(
    problem: CellProblem, core: Derivatives, ends: Ends
) -> tuple[Array, Array, Array, Array]:
    """Return bounds of ‖J(c)‖_(2->p) on the boxes of c, what their size adds, and the middle.

    The third is a bound of the norm of the difference to the middle, the fourth, of J(c0).
    """
    moving, p = problem.movable, problem.p
    at = problem.derivatives(ends.c0, bend=False)
    step = ends.c_reach.magnitude  # (B, K)
    turn = core.bend[:, :, :, moving] * step[:, None, :, None]  # (B, E, K, M)
    loose = (core.bend_radius[:, :, :, moving] * step[:, None, :, None]).sum(2)
    loose += at.radius[:, :, moving]
    start = at.middle[:, :, moving]
    found = affine_norm(start, np.moveaxis(turn, 2, 1), loose, p)
    return found.most, found.spread, found.change, start


def _bent(problem: CellProblem, on: Derivatives, ends: Ends, reach: Array, factor: float) -> Array:
    """Return bounds of factor ‖rad(H)[|D|, |D|]‖_p."""
    moving = problem.movable
    bent = on.bend_radius[:, :, moving][:, :, :, moving]
    most = ends.d_most
    with np.errstate(invalid="ignore"):
        square = (bent * most[:, None, :, None] * most[:, None, None, :]).sum((2, 3))
        square = np.minimum(square, np.sqrt((bent**2).sum((2, 3))) * reach[:, None] ** 2)
    square = np.where(np.isnan(square), np.inf, square)
    return entries_norm_upper_bound(square, problem.p) * factor * (1 + SLACK)
