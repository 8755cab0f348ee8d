r"""Upper bounds of moduli from one partition of the cube: every box is bounded once, then paired.

The boxes of a partition each have a linear form f(X) = v + G (X - c) + ρ, |ρ| <= r, by affine forms
or by slopes.  For boxes A and B that may hold a pair with ‖X - Y‖_2 <= δ, with the same half sides
h, X = c_A + m + t/2 and Y = c_B + m - t/2,

    f(X) - f(Y) = v_A - v_B + (G_A - G_B) m + ½ (G_A + G_B) t + ρ,   |m| <= h, |t| <= 2h,

where c_A - c_B + t lies in the ball of radius δ.  A pair of boxes whose bound is above the
threshold becomes the pairs of their halves.  Branch and bound over pairs would enclose f in 2K
dimensions again and again; here it is enclosed in K, which pays where enclosures are expensive.

Tokens that do not move have X = Y: both boxes have the same side there, boxes being closed.
Where f is permutation-equivariant, tokens may be renamed in both points at once, so that those of X
descend by their first coordinate: pairs of boxes of which neither holds such a point are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    dual_norm_upper_bound,
    entries_norm_upper_bound,
)
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.columns import Columns
from looprate.theory.enclosure.deadline import OutOfTimeError
from looprate.theory.enclosure.forms import evaluated, local_form
from looprate.theory.enclosure.intervals import Interval

Array = NDArray[np.float64]
Whole = NDArray[np.intp]
Function = Callable[[Any], Any]

FIRST, LAST = 8, 12  # halvings of the cube to start from, in all
SAMPLE = 64  # boxes tried before
SHARE = 0.8  # of the time, for the start
AT_ONCE = 256  # boxes that are bounded in one call of f
PAIRS_A_BOX = 8  # that take about as long to bound as to enclose f on one box
PAIRS_AT_ONCE = 2**15
MOST_PAIRS = 2**22  # kept at once: bounds the memory
HUGE = 1e140  # entries of forms beyond it are as good as unknown
MULTIPLIERS = 3  # of Lagrange's dual over box and ball, each from the last
MOST_LEVELS = 45  # sides stay exact floats


def ranges_upper_bound(
    f: Function,
    delta: float,
    *,
    tokens: int,
    dim: int,
    moving: NDArray[np.bool_],
    row: int | None,
    p: float,
    threshold: float,
    seconds: float,
    most: int | None = None,
    others: tuple[int, ...] = (),
) -> tuple[float, int]:
    """Return a certified upper bound of sup ‖f(X) - f(Y)‖_p over ‖X - Y‖_2 <= delta.

    Anytime: the bound is valid whenever the search ends.

    Parameters
    ----------
    f : callable
        Takes enclosures of shape (B, N, d).
    delta : float
        Radius, Frobenius norm, > 0.
    tokens, dim : int
        N and d; meant for N·d up to 4.
    moving : bool array of shape (N,)
        Tokens that may differ.
    row : int or None
        The output token that is watched; None for all.
    p : float
        Exponent of the entrywise output norm, 1 <= p <= inf.
    threshold : float
        How low the bound need be.
    seconds : float
        Time after which the search ends with what it has.
    most : int, optional
        Boxes, pairs counting :data:`PAIRS_A_BOX` a box, after which it ends: on any machine the
        same.
    others : tuple of int, optional
        Tokens that may be renamed among each other, f being equivariant.

    Returns
    -------
    value : float
        inf where nothing is known yet.
    boxes : int
        Boxes of the cube that were bounded.
    """
    end = time.monotonic() + seconds
    movable = np.repeat(np.asarray(moving, dtype=bool), dim)
    tree = _Tree(f, tokens, dim, row, seconds * SHARE, most, (others, delta))
    first, second = np.triu_indices(len(tree.forms))
    pairs = _Pairs(first, second, np.full(len(first), np.inf))
    live, settled = pairs.bounded(tree, delta, movable, p, threshold)
    seen = len(pairs)
    while len(live) and tree.divisible:
        if time.monotonic() > end or len(live) > MOST_PAIRS:
            break
        if most is not None and len(tree.forms) + seen // PAIRS_A_BOX >= most:
            break
        chosen, rest = live.highest(tree)
        try:
            halves = chosen.halved(tree)
        except OutOfTimeError:
            break
        seen += len(halves)
        more, done = halves.bounded(tree, delta, movable, p, threshold)
        live = rest
        settled = max(settled, done)
        live = _Pairs.joined([live, more])
    return float(max([settled, *live.bound.max(initial=0.0, keepdims=True)])), len(tree.forms)


@dataclass(frozen=True)
class _Forms(Columns):
    """Linear forms on boxes.

    Attributes
    ----------
    low, high : ndarray of shape (B, K)
    level : ndarray of shape (B,)
        How often the first boxes were halved.
    centre : ndarray of shape (B, K)
    value : ndarray of shape (B, E)
        v, of the watched rows.
    gradient : ndarray of shape (B, E, K)
    rest : ndarray of shape (B, E)
        r, inf where nothing is known.
    least, most : ndarray of shape (B, E)
        The range of f.
    """

    low: Array
    high: Array
    level: Whole
    centre: Array
    value: Array
    gradient: Array
    rest: Array
    least: Array
    most: Array


class _Tree:
    """Boxes of the cube, halved when asked for, each with its form."""

    def __init__(
        self,
        f: Function,
        tokens: int,
        dim: int,
        row: int | None,
        seconds: float,
        most: int | None = None,
        alike: tuple[tuple[int, ...], float] = ((), 0.0),
    ) -> None:
        self.f, self.shape, self.affine = f, (tokens, dim), True
        self.order = [dim * n for n in alike[0]]  # coordinates that descend in one of two points
        self.rows = slice(None) if row is None else slice(row, row + 1)
        self.width = tokens * dim
        self.first = self._start(seconds, most)
        corners, side = _grid(self.first), 2.0**-self.first
        reach = 1.5 * alike[1]  # > √2 δ, by which the other point may be out of order
        corners = corners[self._descend(corners * side, (corners + 1) * side, reach)]
        self.forms = self._bounded(corners * side, (corners + 1) * side, np.zeros(len(corners)))
        self.children = np.full(len(self.forms), -1)

    def _start(self, seconds: float, most: int | None) -> Whole:
        """Return how often to halve each side: until forms say something, if that may be."""
        steps, rng = FIRST, np.random.default_rng(0)
        while True:
            times = np.bincount(np.arange(steps) % self.width, minlength=self.width)
            corners = rng.integers(0, 2**times, (SAMPLE, self.width))
            began = time.monotonic()
            found = self._form(corners * 2.0**-times, (corners + 1) * 2.0**-times)
            spent = (time.monotonic() - began) / SAMPLE
            span = np.abs(found[2]).sum(2) * 2.0 ** -times.max()
            informed = np.median(found[3]) < np.median(span)
            long = 2 * spent * 2**steps > seconds if most is None else 2 ** (steps + 3) > most
            if informed or steps >= LAST or long:
                return times
            steps += 2

    def in_order(self, which: Whole) -> NDArray[np.bool_]:
        """Tell which boxes may hold a point in order."""
        return self._descend(self.forms.low[which], self.forms.high[which], 0.0)

    def _descend(self, low: Array, high: Array, reach: float) -> NDArray[np.bool_]:
        """Tell which boxes may hold a point in order, or one out of order by at most ``reach``."""
        if len(self.order) < 2:
            return np.ones(len(low), dtype=bool)
        least = np.minimum.accumulate(high[:, self.order], axis=1)[:, :-1]
        return np.asarray((low[:, self.order][:, 1:] <= least + reach).all(1))

    @property
    def divisible(self) -> bool:
        """Tell whether sides of halved boxes are exact floats."""
        return int(self.forms.level.max()) < MOST_LEVELS

    def halves(self, which: Whole) -> Whole:
        """Return the first of the two halves of every box, which are next to each other."""
        new = np.unique(which[self.children[which] < 0])
        if len(new):
            self.children[new] = len(self.forms) + 2 * np.arange(len(new))
            old = self.forms.picked(new)
            side = (int(self.first.sum()) + old.level) % len(self.first)
            lines = np.arange(len(new))
            below, above = old.high.copy(), old.low.copy()
            middle = old.low[lines, side] / 2 + old.high[lines, side] / 2
            below[lines, side], above[lines, side] = middle, middle
            low = np.stack([old.low, above], 1).reshape(-1, len(self.first))
            high = np.stack([below, old.high], 1).reshape(-1, len(self.first))
            found = self._bounded(low, high, np.repeat(old.level + 1, 2))
            self.forms = _Forms.joined([self.forms, found])
            self.children = np.concatenate([self.children, np.full(len(found), -1)])
        return self.children[which]

    def _bounded(self, low: Array, high: Array, level: Any) -> _Forms:
        """Return the forms of boxes, some at a time."""
        parts = []
        for start in range(0, len(low), AT_ONCE):
            some = slice(start, start + AT_ONCE)
            parts.append(self._form(low[some], high[some]))
        columns = (np.concatenate(column) for column in zip(*parts, strict=True))
        return _Forms(low, high, level.astype(int), *columns)

    def _form(self, low: Array, high: Array) -> tuple[Array, ...]:
        """Return centre, value, gradient, rest, range: by affine forms, else by slopes."""
        box = Interval(low.reshape(-1, *self.shape), high.reshape(-1, *self.shape))
        centre = box.lo / 2 + box.hi / 2
        if self.affine:
            try:
                found = evaluated(self.f, affine_variables(box))
            except ValueError:  # an operation that has slopes only
                self.affine = False
        if not self.affine:
            form = local_form(self.f, box.lo, box.hi)
            value = form.value.middle()
            known = np.isfinite(value)
            value = np.where(known, value, 0.0)
            rest = np.where(known, form.remainder + form.value.width, np.inf)
            gradient, bounds = form.gradient, form.bounds
        elif isinstance(found, Interval):  # a constant
            value, bounds, rest = found.middle(), found, found.width
            gradient = np.zeros((low.shape[1], *box.shape))
        else:
            value, gradient, rest = found.linear((high - low) / 2)
            bounds = found.value
        huge = ~((np.abs(gradient).max(0) < HUGE) & (np.abs(value) < HUGE))  # squares overflow
        value, rest = np.where(huge, 0.0, value), np.where(huge, np.inf, rest)
        gradient = np.where(huge, 0.0, gradient)
        flat = [self._watched(x) for x in (value, rest, bounds.lo, bounds.hi)]
        steep = np.moveaxis(self._watched(gradient), 0, 2)
        return centre.reshape(low.shape), flat[0], steep, *flat[1:]

    def _watched(self, values: Array) -> Array:
        """Return the watched rows of (..., B, N, d) as (..., B, E)."""
        rows = values[..., self.rows, :]
        return rows.reshape((*rows.shape[:-2], -1))


def _grid(times: Whole) -> Array:
    """Return the lower corners of a grid of boxes, counted in sides: (B, K)."""
    axes = [np.arange(2.0**k) for k in times]
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(times))


@dataclass(frozen=True)
class _Pairs(Columns):
    """Pairs of boxes of one level each, and upper bounds."""

    first: Whole
    second: Whole
    bound: Array

    def highest(self, tree: _Tree) -> tuple[_Pairs, _Pairs]:
        """Take pairs with the largest bounds out that need few new boxes: those, and the rest."""
        order = np.arange(len(self))
        if len(self) > PAIRS_AT_ONCE:
            order = np.argpartition(-self.bound, PAIRS_AT_ONCE)[:PAIRS_AT_ONCE]
        order = order[np.argsort(-self.bound[order], kind="stable")]
        boxes = np.stack([self.first[order], self.second[order]], 1).ravel()
        new = np.zeros(len(boxes), dtype=bool)
        new[np.unique(boxes, return_index=True)[1]] = True  # where a box is met first
        new &= tree.children[boxes] < 0
        count = max(1, int(np.searchsorted(np.cumsum(new), AT_ONCE // 2, side="right")) // 2)
        mask = np.zeros(len(self), dtype=bool)
        mask[order[:count]] = True
        return self.picked(mask), self.picked(~mask)

    def halved(self, tree: _Tree) -> _Pairs:
        """Return the pairs of the halves; a box with itself has three."""
        both = tree.halves(np.concatenate([self.first, self.second]))
        a, b = both[: len(self)], both[len(self) :]
        parts = []
        for i, j in ((0, 0), (0, 1), (1, 0), (1, 1)):
            some = np.flatnonzero((self.first != self.second) | (i <= j))
            parts.append(_Pairs(a[some] + i, b[some] + j, self.bound[some]))
        return _Pairs.joined(parts)

    def bounded(
        self, tree: _Tree, delta: float, movable: NDArray[np.bool_], p: float, threshold: float
    ) -> tuple[_Pairs, float]:
        """Return the pairs above the threshold, bounded, and the largest bound of the others."""
        parts, settled = [self.picked(np.zeros(0, dtype=int))], 0.0
        for start in range(0, len(self), PAIRS_AT_ONCE):
            some = self.picked(slice(start, start + PAIRS_AT_ONCE))
            some = some.picked(_admissible(tree.forms, some, delta, movable))
            some = some.picked(tree.in_order(some.first) | tree.in_order(some.second))
            if not len(some):
                continue
            a, b = tree.forms.picked(some.first), tree.forms.picked(some.second)
            bound = np.fmin(some.bound, _upper_bound(a, b, delta, movable, p))  # NaN is no bound
            above = bound > threshold
            settled = max(settled, float(bound[~above].max(initial=0.0)))
            parts.append(_Pairs(some.first[above], some.second[above], bound[above]))
        return _Pairs.joined(parts), settled


def _admissible(
    forms: _Forms, pairs: _Pairs, delta: float, movable: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Tell which pairs of boxes can hold a pair of points; gaps between dyadic sides are exact."""
    a, b = pairs.first, pairs.second
    gap = np.maximum(forms.low[a] - forms.high[b], forms.low[b] - forms.high[a]).clip(0.0)
    near = (gap[:, movable] ** 2).sum(1) <= delta**2 * (1 + SLACK)
    return np.asarray(near & (forms.low[a] == forms.low[b])[:, ~movable].all(1))


def _upper_bound(a: _Forms, b: _Forms, delta: float, movable: NDArray[np.bool_], p: float) -> Array:
    """Return upper bounds of ‖f(X) - f(Y)‖_p over pairs of boxes."""
    difference = _Difference.of(a, b, delta, movable)
    with np.errstate(invalid="ignore"):
        ranges = np.maximum(a.most - b.least, b.most - a.least) * (1 + SLACK)
    ranges = np.where(np.isnan(ranges), np.inf, ranges)
    eye = np.eye(ranges.shape[1])
    rows = np.maximum(difference.above(eye[None]), difference.above(-eye[None]))
    rows = np.minimum(ranges, rows).clip(0.0)
    bound = entries_norm_upper_bound(rows, p)
    if p != 2 or len(eye) == 1:
        return bound
    return np.minimum(bound, dual_norm_upper_bound(difference.value, difference.above))


@dataclass(frozen=True)
class _Difference:
    """f(X) - f(Y) on pairs of boxes: ``value`` + turn · m + slope · t, up to ``rest``."""

    value: Array
    turn: Array
    slope: Array
    rest: Array
    size: Array
    apart: Array
    half: Array
    reach: Array
    delta: float

    @classmethod
    def of(cls, a: _Forms, b: _Forms, delta: float, movable: NDArray[np.bool_]) -> _Difference:
        """Return the difference of two forms."""
        half = (a.high - a.low) / 2
        value = a.value - b.value
        size = np.abs(a.value) + np.abs(b.value)
        size += ((np.abs(a.gradient) + np.abs(b.gradient)) * (2 * half)[:, None]).sum(2)
        return cls(
            value,
            a.gradient - b.gradient,
            (a.gradient / 2 + b.gradient / 2)[:, :, movable],
            a.rest + b.rest,
            size,
            (a.centre - b.centre)[:, movable],
            half,
            2 * half[:, movable],
            delta,
        )

    def above(self, functionals: Array) -> Array:
        """Return upper bounds (B, F) of functionals (B or 1, F, E) of the difference."""
        weights = np.abs(functionals)
        with np.errstate(invalid="ignore"):
            rest = np.where(weights > 0, weights * self.rest[:, None], 0.0).sum(2)
        slack = SLACK * (weights * self.size[:, None]).sum(2)
        start = (functionals * self.value[:, None]).sum(2)
        moved = (np.abs(functionals @ self.turn) * self.half[:, None]).sum(2)
        turned = self._turned(functionals @ self.slope)
        return np.asarray(start + moved + turned + (rest + slack) * (1 + SLACK))

    def _turned(self, g: Array) -> Array:
        """Return upper bounds of g · t with t in its box and ‖apart + t‖_2 <= δ.

        For every λ > 0, g · D <= Σ max over the box of (g D - λ D²/2) + λ δ²/2, D = apart + t.
        """
        apart, reach = self.apart[:, None], self.reach[:, None]
        low, high = apart - reach, apart + reach
        best = (np.abs(g) * reach).sum(2)
        length = np.sqrt((g**2).sum(2))
        multiplier = np.where(length > 0, length, 1.0) / self.delta
        for _ in range(MULTIPLIERS):
            point = np.clip(g / multiplier[..., None], low, high)
            square = (point**2).sum(2)
            inner = (g * (point - apart)).sum(2) - multiplier * (square - self.delta**2) / 2
            sizes = (np.abs(g) * (np.abs(point) + np.abs(apart))).sum(2)
            sizes += multiplier * (square + self.delta**2)
            best = np.minimum(best, inner + SLACK * sizes)
            ratio = np.sqrt(np.maximum(square, 1e-300)) / self.delta
            multiplier = multiplier * np.clip(ratio, 0.1, 10.0)
        return np.asarray(best)
