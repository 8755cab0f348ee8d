r"""The ends form: f(X) - f(Y) on cells of pairs, linear in (c, D) up to second order.

f(X) = f(x0) + J(x0)(X - x0) + ½ H[X - x0, X - x0] with H the second derivatives on the box of X,
and the same at Y.  Where H is unbounded, J(x0) gives way to the middle of the slopes on the box.
Linear functionals are maximised over the box of c, and over the box and the ball of D.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.cells import CellProblem, Derivatives, Ends
from looprate.theory.continuity.upper.centre_form import cap_box
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    dual_norm_upper_bound,
    entries_norm_upper_bound,
)
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import EPS

Array = NDArray[np.float64]

FAINT = 1e-300  # of slopes: weights below may have underflowed
MULTIPLIERS = 3  # of Lagrange's dual over box and ball, each from the last


@dataclass(frozen=True)
class EndsForm:
    """The ends form on cells: bounds of functionals of f(X) - f(Y).

    Attributes
    ----------
    v0 : ndarray of shape (B, E)
        Middle of the difference at (c0, D0).
    low, high : ndarray of shape (B, E)
        The range of each entry of the difference.
    above : callable
        Functionals W (B, F, E) to upper bounds (B, F) of W · (f(X) - f(Y)).
    c_low, c_high : ndarray of shape (B, E, K)
        Slopes in c on the cell.
    column : ndarray of shape (B, K)
        What each direction contributes.
    loose : ndarray of shape (B, E)
        What the linear function misses.
    in_c, in_d : ndarray of shape (B, E, K) and (B, E, M)
        The linear function.
    """

    v0: Array
    low: Array
    high: Array
    above: Callable[[Array], Array]
    c_low: Array
    c_high: Array
    column: Array
    loose: Array
    in_c: Array
    in_d: Array

    @classmethod
    def of(cls, problem: CellProblem, ends: Ends) -> EndsForm:
        """Return the form on cells."""
        count, movable = len(ends.d0), problem.movable
        on = problem.derivatives(_stacked(ends.x, ends.y))
        at = problem.derivatives(_stacked(ends.x0, ends.y0), bend=False)
        reach = ends.c_reach.magnitude.copy()
        reach[:, movable] += ends.d_reach.magnitude / 2
        reach = np.concatenate([reach, reach]) * (1 + SLACK)
        middle, loose = _best_linear(on, at, reach)
        in_c = middle[:count] - middle[count:]
        in_d = ((middle[:count] + middle[count:]) / 2)[:, :, movable]
        start = at.value[:count].plus(-at.value[count:])
        ranges = on.value[:count].plus(-on.value[count:])
        v0 = start.middle()
        rest = loose[:count] + loose[count:] + np.maximum(start.hi - v0, v0 - start.lo)

        def above(functionals: Array) -> Array:
            return _above(functionals, v0, rest, in_c, in_d, ends, problem.delta)

        eye = np.broadcast_to(np.eye(v0.shape[1]), (count, v0.shape[1], v0.shape[1]))
        high = np.minimum(above(eye), ranges.hi)
        low = np.maximum(-above(-eye), ranges.lo)
        slope_low, slope_high = _slope_range(on, at, reach)
        with np.errstate(invalid="ignore"):
            c_low = slope_low[:count] - slope_high[count:]
            c_high = slope_high[:count] - slope_low[count:]
        column = on.column()
        return cls(
            v0,
            np.minimum(low, high),
            np.maximum(low, high),
            above,
            c_low,
            c_high,
            column[:count] + column[count:],
            rest,
            in_c,
            in_d,
        )

    def bound(self, p: float) -> Array:
        """Return upper bounds of the p-norm, shape (B,)."""
        bound = entries_norm_upper_bound(np.maximum(self.high, -self.low), p)
        if p == 1:
            signs = np.where(self.v0 < 0, -1.0, 1.0)
            against = np.where(signs > 0, -self.low, self.high).clip(0).sum(1)
            dual = self.above(signs[:, None])[:, 0] + 2 * against * (1 + SLACK)
            return np.minimum(bound, np.where(np.isnan(dual), np.inf, dual))
        if p != 2:
            return bound
        return np.minimum(bound, dual_norm_upper_bound(self.v0, self.above))

    def half_space(
        self, p: float, threshold: float, ends: Ends, delta: float
    ) -> tuple[Array, Array, Array, Array]:
        """Return boxes of c and D outside which the p-norm is at most the threshold.

        Beyond it some functional u exceeds a height: for p = 2 the dual one, as the rest across it
        is bounded; for p = 1 the signs.  What every entry must then contribute is known from what
        the others can at most.
        """
        whole_c, whole_d = np.full(ends.x.shape, np.inf), np.full(ends.d0.shape, np.inf)
        if p == 2:
            size = np.sqrt((self.v0**2).sum(1, keepdims=True))
            u = self.v0 / np.where(size > 0, size, 1.0)
            across = np.eye(u.shape[1]) - u[:, :, None] * u[:, None]
            rest = np.maximum(self.above(across), self.above(-across)).clip(0)
            height = np.sqrt((threshold**2 * (1 - SLACK) - (rest**2).sum(1)).clip(0))
            sure = (size[:, 0] > 0) & (self.above(-u[:, None])[:, 0] < height)
        elif p == 1:
            u = np.where(self.v0 < 0, -1.0, 1.0)
            against = np.where(u > 0, -self.low, self.high).clip(0).sum(1)
            height = threshold - 2 * against * (1 + SLACK)
            sure = height > 0
        else:
            return -whole_c, whole_c, -whole_d, whole_d
        a = (u[:, None] @ self.in_c)[:, 0]
        g = (u[:, None] @ self.in_d)[:, 0]
        with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
            missing = (np.abs(u) * self.loose).sum(1)
            c_most = np.maximum(a * ends.c_reach.lo, a * ends.c_reach.hi)
            d_most = np.maximum(g * ends.d_reach.lo, g * ends.d_reach.hi)
            turned = _ball(g[:, None], ends, delta)[:, 0] - (g * ends.d0).sum(1)
            turned = np.minimum(turned, d_most.sum(1))
            size = np.abs(u * self.v0).sum(1) + missing + np.abs(c_most).sum(1)
            size += (np.abs(g) * (np.abs(ends.d0) + ends.d_most)).sum(1)
            need = height - (u * self.v0).sum(1) - missing - 16 * SLACK * size
            c_need = (need - c_most.sum(1) - turned)[:, None] + c_most
            c_at = ends.c0.lo + c_need / a
            d_need = (need - c_most.sum(1) - d_most.sum(1))[:, None] + d_most
            d_at = ends.d0 + d_need / g
            length = np.sqrt((g**2).sum(1))
            top = (need - c_most.sum(1) + (g * ends.d0).sum(1)) / length
            reach = np.full(len(top), delta)
            cap = cap_box(g / length[:, None], np.where(top > 0, top, 0.0), reach)
        pad = 4 * SLACK
        sure &= np.isfinite(need)
        rows = sure[:, None]
        c_low = np.where(rows & (a > 0) & np.isfinite(c_at), c_at - pad, -np.inf)
        c_high = np.where(rows & (a < 0) & np.isfinite(c_at), c_at + pad, np.inf)
        d_low = np.where(rows & (g > 0) & np.isfinite(d_at), d_at - pad, -np.inf)
        d_high = np.where(rows & (g < 0) & np.isfinite(d_at), d_at + pad, np.inf)
        tight = rows & (top > 0)[:, None] & (top <= delta)[:, None] & np.isfinite(cap[0])
        d_low = np.where(tight, np.maximum(d_low, cap[0]), d_low)
        d_high = np.where(tight, np.minimum(d_high, cap[1]), d_high)
        return c_low, c_high, d_low, d_high

    def without_maximiser(self, p: float, ends: Ends) -> NDArray[np.bool_]:
        """Tell which cells hold no maximiser: moving c along some axis makes the norm grow."""
        if math.isinf(p):
            return np.zeros(len(self.v0), dtype=bool)
        top = np.maximum(np.abs(self.low), np.abs(self.high)).max(1, keepdims=True)
        scale = np.where((top > 0) & np.isfinite(top), top, 1.0)
        weights = [_dual_weight(end, p, scale) for end in (self.low, self.high)]
        if p == 1:  # every subgradient where an entry may be 0
            through = (self.low <= 0) & (self.high >= 0)
            weights = [
                np.where(through, -1.0, np.sign(self.low)),
                np.where(through, 1.0, np.sign(self.high)),
            ]
        with np.errstate(invalid="ignore", over="ignore"):
            products = [w[:, :, None] * s for w in weights for s in (self.c_low, self.c_high)]
            least = np.minimum.reduce(products).sum(1)
            most = np.maximum.reduce(products).sum(1)
            size = np.maximum.reduce([np.abs(part) for part in products]).sum(1)
            steep = np.maximum(np.abs(self.c_low), np.abs(self.c_high)).sum(1)
            size = size * (SLACK + p * EPS) + FAINT * steep  # of rounding v / scale, of underflow
            grows = (least > size) & (ends.x.hi < 1) & (ends.y.hi < 1)
            shrinks = (most < -size) & (ends.x.lo > 0) & (ends.y.lo > 0)
        return np.asarray((grows | shrinks).any(1))


def _stacked(first: Interval, second: Interval) -> Interval:
    """Return boxes one after the other."""
    return Interval(np.concatenate([first.lo, second.lo]), np.concatenate([first.hi, second.hi]))


def _best_linear(on: Derivatives, at: Derivatives, reach: Array) -> tuple[Array, Array]:
    """Return slopes (B, E, K) of a linear function and bounds (B, E) of what it misses.

    Either the middle of the slopes on the box, or the derivative in the middle with second
    derivatives, whichever misses less.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        first = (on.radius * reach[:, None]).sum(2)
        size = np.abs(on.bend) + on.bend_radius
        second = (size * reach[:, None, :, None] * reach[:, None, None, :]).sum((2, 3)) / 2
        second += (at.radius * reach[:, None]).sum(2)
    first = np.where(np.isnan(first), np.inf, first)
    second = np.where(np.isnan(second), np.inf, second)
    smooth = second < first
    middle = np.where(smooth[:, :, None], at.middle, on.middle)
    return middle, np.where(smooth, second, first) * (1 + SLACK)


def _slope_range(on: Derivatives, at: Derivatives, reach: Array) -> tuple[Array, Array]:
    """Return the range of slopes on the box, by themselves and by the second derivatives."""
    with np.errstate(invalid="ignore", over="ignore"):
        bent = ((np.abs(on.bend) + on.bend_radius) * reach[:, None, None]).sum(3) + at.radius
        bent = np.where(np.isnan(bent), np.inf, bent * (1 + SLACK))
        slack = SLACK * (np.abs(on.middle) + np.abs(at.middle))
        low = np.maximum(on.middle - on.radius, at.middle - bent) - slack
        high = np.minimum(on.middle + on.radius, at.middle + bent) + slack
    return np.minimum(low, high), np.maximum(low, high)


def _dual_weight(values: Array, p: float, scale: Array) -> Array:
    """Return sign(v) (|v|/scale)^(p-1), which increases with v: the gradient up to a factor > 0."""
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(np.sign(values) * (np.abs(values) / scale) ** (p - 1))


def _above(
    functionals: Array,
    v0: Array,
    loose: Array,
    in_c: Array,
    in_d: Array,
    ends: Ends,
    delta: float,
) -> Array:
    """Return upper bounds (B, F) of functionals (B, F, E) of v0 + in_c (c - c0) + in_d (D - D0).

    ``loose`` (B, E) bounds what is missing in each entry.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        start = (functionals * v0[:, None]).sum(2)
        weights = np.abs(functionals)
        missing = (np.where(weights > 0, weights * loose[:, None], 0.0)).sum(2)
        a, g = functionals @ in_c, functionals @ in_d
        low, high = ends.c_reach.lo[:, None], ends.c_reach.hi[:, None]
        moved = np.maximum(a * low, a * high).sum(2)
        low, high = ends.d_reach.lo[:, None], ends.d_reach.hi[:, None]
        turned = np.maximum(g * low, g * high).sum(2)
        turned = np.minimum(turned, _ball(g, ends, delta) - (g * ends.d0[:, None]).sum(2))
        size = (weights * np.abs(v0)[:, None]).sum(2)
        size += (weights @ np.abs(in_c) * ends.c_reach.magnitude[:, None]).sum(2)
        size += (weights @ np.abs(in_d) * (ends.d_reach.magnitude + ends.d_most)[:, None]).sum(2)
        total = start + missing + moved + turned + SLACK * (size + missing)
    return np.where(np.isnan(total), np.inf, total)


def _ball(g: Array, ends: Ends, delta: float) -> Array:
    """Return upper bounds of g · D over the box of D and the ball, by Lagrange's dual.

    For every λ > 0, g · D <= Σ max over the box of (g D - λ D²/2) + λ δ²/2.
    """
    low, high = ends.d_low[:, None], ends.d_high[:, None]
    length = np.sqrt((g**2).sum(2))
    best = length * delta * (1 + SLACK)
    multiplier = np.where(length > 0, length, 1.0) / delta
    for _ in range(MULTIPLIERS):
        point = np.clip(g / multiplier[..., None], low, high)
        square = (point**2).sum(2)
        parts = (g * point - multiplier[..., None] * point**2 / 2).sum(2)
        sizes = (np.abs(g * point) + multiplier[..., None] * point**2).sum(2)
        total = parts + multiplier * delta**2 / 2
        best = np.minimum(best, total + SLACK * (sizes + multiplier * delta**2))
        ratio = np.sqrt(np.maximum(square, 1e-300)) / delta
        multiplier = multiplier * np.clip(ratio, 0.1, 10.0)
    return best
