r"""Upper bounds of ‖f(X) - f(Y)‖_p over cells of pairs: X = c + D/2, Y = c - D/2, ‖D‖_2 <= δ.

A cell is a box of centres c times a box of differences D; both points stay in the cube.  With J the
first and H the second derivatives of f (slopes, where f has kinks), the least of these is taken:

    range       f(X) - f(Y) from the ranges of f on the boxes of X and of Y;
    slopes      f(X) - f(Y) = G D with slopes G on the hull of both boxes;
    centre      f(X) - f(Y) = J(c) D + ρ, |ρ| <= rad(H)[|D|, |D|] / 4 with H on the hull, because
                J(c + sD) - J(c - sD) is 2s rad(H)|D| from what cancels; J(c) is affine in c up to
                rad(H)|c - c0|, and the norm of J(c), being convex, largest at corners;
    ends        f(X) = f(x0) + J(x0)(X - x0) + ½ H[X - x0, X - x0], the same at Y: a function of
                (c, D) that is linear up to second order, on the box of c and on box and ball of D.
                Its norm is bounded by its rows, or by the functional dual to its value in the middle.

The centre form settles cells of all D at small δ; the ends form has an error of second order in the
cell's size at every δ.  A cell holds no maximiser, and is dropped, where the norm strictly grows as
both points move along one coordinate while neither may touch the face of the cube ahead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.continuity.operator_norm import (
    SLACK,
    operator_norm_upper_bound,
    positive_norm_upper_bound,
)
from theory.enclosure.curved import Curved, curved_variables
from theory.enclosure.forms import evaluated
from theory.enclosure.intervals import Interval
from theory.enclosure.jets import Jet, variables
from theory.enclosure.rounding import EPS

__all__ = ["CellProblem", "Cells"]

Array = NDArray[np.float64]
Function = Callable[[Any], Any]

MULTIPLIERS = 3  # of Lagrange's dual over box and ball, each from the last
SHELLS = 4  # of a pair, in the centre form, where finer ones can settle a cell
CORNERS = 4  # directions of c whose corners are all tried, 2^4 of them; the others are added
SHARE_OF_SIZE = 0.1  # how much the steepness of a column counts in splitting, beside its radius


@dataclass(frozen=True)
class Cells:
    """Boxes of centres (B, K), K = N·d, and of differences (B, M) of the M movable entries."""

    c_low: Array
    c_high: Array
    d_low: Array
    d_high: Array

    def __len__(self) -> int:
        return len(self.c_low)

    def picked(self, which: NDArray[Any]) -> Cells:
        """Return some of the cells, by mask or indices."""
        return Cells(self.c_low[which], self.c_high[which], self.d_low[which], self.d_high[which])

    def cut(self, c_low: Array, c_high: Array, d_low: Array, d_high: Array) -> Cells:
        """Return the parts of the cells in other boxes; low above high where there is none."""
        return Cells(
            np.maximum(self.c_low, c_low),
            np.minimum(self.c_high, c_high),
            np.maximum(self.d_low, d_low),
            np.minimum(self.d_high, d_high),
        )

    def replaced(self, which: NDArray[np.intp], others: Cells) -> Cells:
        """Return the cells with some of them replaced."""
        parts = []
        for name in ("c_low", "c_high", "d_low", "d_high"):
            part = getattr(self, name).copy()
            part[which] = getattr(others, name)
            parts.append(part)
        return Cells(*parts)

    @staticmethod
    def joined(parts: list[Cells]) -> Cells:
        """Return all cells of several arrays."""
        return Cells(
            np.concatenate([part.c_low for part in parts]),
            np.concatenate([part.c_high for part in parts]),
            np.concatenate([part.d_low for part in parts]),
            np.concatenate([part.d_high for part in parts]),
        )

    def halved(self, side: NDArray[np.intp]) -> Cells:
        """Return both halves of every cell along a side: c first (0 to K-1), then D."""
        lines, width = np.arange(len(self)), self.c_low.shape[1]
        low = np.concatenate([self.c_low, self.d_low], 1)
        high = np.concatenate([self.c_high, self.d_high], 1)
        middle = low[lines, side] / 2 + high[lines, side] / 2
        below, above = high.copy(), low.copy()
        below[lines, side], above[lines, side] = middle, middle
        lows, highs = np.concatenate([low, above]), np.concatenate([below, high])
        return Cells(lows[:, :width], highs[:, :width], lows[:, width:], highs[:, width:])


@dataclass(frozen=True)
class CellProblem:
    """One modulus at one radius.

    Attributes
    ----------
    f : callable
        Takes enclosures of shape (B, N, d).
    tokens, dim : int
    moving : bool array of shape (N,)
        Tokens that may differ.
    row : int or None
        The output token that is watched; None for all.
    p, delta : float
    sorted_tokens : tuple of int
        Tokens whose first coordinates may be taken in increasing order: f does not mind.
    """

    f: Function
    tokens: int
    dim: int
    moving: NDArray[np.bool_]
    row: int | None
    p: float
    delta: float
    sorted_tokens: tuple[int, ...] = ()

    @property
    def movable(self) -> NDArray[np.intp]:
        """Entries that may differ, row by row."""
        return np.flatnonzero(np.repeat(self.moving, self.dim))

    def root(self) -> Cells:
        """Return the one cell of all pairs; X and Y change places, so that one D is >= 0."""
        width, count = self.tokens * self.dim, len(self.movable)
        reach = np.full((1, count), min(self.delta, 1.0))
        low = -reach
        low[0, 0] = 0.0
        return Cells(np.zeros((1, width)), np.ones((1, width)), low, reach)

    def contracted(self, cells: Cells) -> tuple[Cells, NDArray[np.bool_]]:
        """Return the cells without what no pair can reach, and which have any pair."""
        movable = self.movable
        least = np.maximum(np.maximum(cells.d_low, -cells.d_high), 0.0)
        square = self.delta**2 * (1 + SLACK)
        total = (least**2).sum(1, keepdims=True)
        room = np.sqrt(np.maximum(square - (total - least**2) * (1 - SLACK), 0.0)) * (1 + SLACK)
        c_low, c_high = cells.c_low.copy(), cells.c_high.copy()
        c_low[:, movable] = np.maximum(c_low[:, movable], least / 2)
        c_high[:, movable] = np.minimum(c_high[:, movable], 1 - least / 2 + EPS)
        room = np.minimum(room, 2 * np.minimum(c_high, 1 - c_low + EPS)[:, movable])
        d_low, d_high = np.maximum(cells.d_low, -room), np.minimum(cells.d_high, room)
        some = (total[:, 0] * (1 - SLACK) <= square) & (c_low <= c_high).all(1)
        some &= (d_low <= d_high).all(1)
        for first, second in zip(self.sorted_tokens[:-1], self.sorted_tokens[1:], strict=True):
            some &= c_low[:, first * self.dim] <= c_high[:, second * self.dim]
        return Cells(c_low, c_high, d_low, d_high), some

    def bounds(
        self, cells: Cells, threshold: float
    ) -> tuple[Array, NDArray[np.intp], Cells]:
        """Return upper bounds (B,), the sides to halve (B,), and the cells without settled parts.

        Settled is what holds no maximiser, and what is at most ``threshold``: a cell of which
        nothing else is left gets the bound -inf.  Work is spent on cells it may bring down.
        """
        ends = _Ends.of(self, cells)
        hull = self.derivatives(Interval(*ends.hull()))
        bound = self._slopes(hull, ends)
        form = _CentreForm.of(self, cells, ends)
        bent = form.bent(self, ends, hull)
        near = np.flatnonzero((form.steep <= threshold) & (form.steep + bent > threshold))
        if len(near):
            bent[near] = form.bent_by_shells(self, cells.picked(near), ends.picked(near))
        bound = np.minimum(bound, (form.steep + bent) * (1 + SLACK))
        column, centres = hull.column(), form.spread > bent
        differences = ~centres
        if self.p == 2:
            cells = cells.cut(*form.cap(threshold, bent, ends))
        apart = ((cells.d_low > 0) | (cells.d_high < 0)).any(1) & (bound > threshold)
        apart_at = np.flatnonzero(apart & (cells.d_low <= cells.d_high).all(1))
        if len(apart_at):
            inner, some = self.contracted(cells.picked(apart_at))
            apart_at, inner = apart_at[some], inner.picked(some)
        if len(apart_at):
            points = _Ends.of(self, inner)
            pair = _EndsForm.of(self, points)
            found = pair.bound(self.p)
            better = apart_at[found < bound[apart_at]]
            column[apart_at] = pair.column
            centres[better] = differences[better] = True
            bound[apart_at] = np.minimum(bound[apart_at], found)
            inner = inner.cut(*pair.half_space(self.p, threshold, points, self.delta))
            cells = cells.replaced(apart_at, inner)
            without = pair.without_maximiser(self.p, points)
            bound[apart_at[without]] = -np.inf
        empty = (cells.d_low > cells.d_high).any(1) | (cells.c_low > cells.c_high).any(1)
        bound[empty] = -np.inf
        return bound, self._side(cells, column, centres, differences), cells

    def rows(self, values: Any) -> Any:
        """Return the watched rows of (..., B, N, d) as (..., B, E)."""
        if self.row is not None:
            values = values[..., self.row : self.row + 1, :]
        return values.reshape((*values.shape[:-2], -1))

    def _slopes(self, hull: _Derivatives, ends: _Ends) -> Array:
        """Return the bounds by range and by slopes on the hull of a pair."""
        moving = self.movable
        reach = np.minimum(self.delta, _length(ends.d_most))
        middle, radius = hull.middle[:, :, moving], hull.radius[:, :, moving]
        ratio = operator_norm_upper_bound(middle, self.p)
        ratio += positive_norm_upper_bound(radius, self.p)
        with np.errstate(invalid="ignore"):
            rows = ((np.abs(middle) + radius) * ends.d_most[:, None]).sum(2) * (1 + SLACK)
        rows = np.minimum(np.where(np.isnan(rows), np.inf, rows), hull.value.width)
        return np.minimum(ratio * reach * (1 + SLACK), _norm(rows, self.p))

    def derivatives(self, box: Interval, *, bend: bool = True) -> _Derivatives:
        """Return values, slopes and, with ``bend``, second derivatives of the watched rows."""
        boxes = box.reshape((-1, self.tokens, self.dim))
        count, width = len(boxes), self.tokens * self.dim
        found = evaluated(self.f, (curved_variables if bend else variables)(boxes))
        jet = found.jet if isinstance(found, Curved) else found
        if isinstance(jet, Interval):  # a constant
            jet = Jet(jet, Interval(np.zeros((width, *boxes.shape))))
        middle, radius = _split(self.rows(jet.slope))
        middle, radius = np.moveaxis(middle, 0, 2), np.moveaxis(radius, 0, 2)
        value = self.rows(jet.value)
        square = (
            np.zeros((count, value.shape[1], width, width)) if bend else np.zeros((count, 1, 1, 1))
        )
        bent, rest = square, square.copy()
        if isinstance(found, Curved):
            i, j = np.triu_indices(width)
            parts = _split(self.rows(found.curvature))
            for whole, part in zip((bent, rest), parts, strict=True):
                whole[:, :, i, j] = whole[:, :, j, i] = np.moveaxis(part, 0, 2)
        return _Derivatives(value, middle, radius, bent, rest)

    def at(self, points: Interval) -> Interval:
        """Return values (B, E) of the watched rows at points (B, K)."""
        boxes = points.reshape((-1, self.tokens, self.dim))
        return self.rows(evaluated(self.f, boxes))

    def _side(
        self,
        cells: Cells,
        column: Array,
        centres: NDArray[np.bool_],
        differences: NDArray[np.bool_],
    ) -> NDArray[np.intp]:
        """Return the side whose halving promises most: width times the size of its column.

        ``centres`` and ``differences`` tell where a side of c, of D or of both is asked for.
        """
        centre = (cells.c_high - cells.c_low) * column
        difference = (cells.d_high - cells.d_low) / 2 * column[:, self.movable]
        centre = np.where(centres[:, None], centre, -1.0)
        difference = np.where(differences[:, None], difference, -1.0)
        return np.concatenate([centre, difference], 1).argmax(1)


@dataclass(frozen=True)
class _Derivatives:
    """What is known of the watched rows on boxes.

    Attributes
    ----------
    value : Interval of shape (B, E)
    middle, radius : ndarray of shape (B, E, K)
        Of the slopes; radius inf where they are unbounded.
    bend, bend_radius : ndarray of shape (B, E, K, K)
        Of the second derivatives.
    """

    value: Interval
    middle: Array
    radius: Array
    bend: Array
    bend_radius: Array

    def picked(self, which: NDArray[Any]) -> _Derivatives:
        """Return those of some boxes."""
        return _Derivatives(
            self.value.picked(which),
            self.middle[which],
            self.radius[which],
            self.bend[which],
            self.bend_radius[which],
        )

    def column(self) -> Array:
        """Return how much each input direction matters to a bound, shape (B, K)."""
        radius = np.where(np.isfinite(self.radius), self.radius, 1e100)
        return np.asarray((radius + SHARE_OF_SIZE * np.abs(self.middle)).max(1))


@dataclass(frozen=True)
class _Ends:
    """Boxes of X and Y, their middles, and how far c and D reach from c0 and D0."""

    x: Interval
    y: Interval
    x0: Interval
    y0: Interval
    c0: Interval
    c_reach: Interval
    d_reach: Interval
    d0: Array
    d_low: Array
    d_high: Array
    d_most: Array

    @classmethod
    def of(cls, problem: CellProblem, cells: Cells) -> _Ends:
        """Return the ends of cells that :meth:`CellProblem.contracted` returned."""
        movable = problem.movable
        shape = cells.c_low.shape

        def full(values: Array) -> Array:
            wide = np.zeros(shape)
            wide[:, movable] = values
            return wide

        half = Interval(full(cells.d_low), full(cells.d_high)).times(Interval(0.5))
        centre = Interval(cells.c_low, cells.c_high)
        d0 = np.clip(cells.d_low / 2 + cells.d_high / 2, cells.d_low, cells.d_high)
        wide = full(np.abs(d0)) / 2
        c0 = np.clip(cells.c_low / 2 + cells.c_high / 2, wide, 1 - wide)
        half0 = Interval(full(d0)).times(Interval(0.5))
        inside = [
            _in_cube(centre.plus(half)),
            _in_cube(centre.plus(-half)),
            _in_cube(Interval(c0).plus(half0)),
            _in_cube(Interval(c0).plus(-half0)),
        ]
        return cls(
            *inside,
            Interval(c0),
            centre.plus(-Interval(c0)),
            Interval(cells.d_low, cells.d_high).plus(-Interval(d0)),
            d0,
            cells.d_low,
            cells.d_high,
            np.maximum(np.abs(cells.d_low), np.abs(cells.d_high)),
        )

    def picked(self, which: NDArray[np.intp]) -> _Ends:
        """Return those of some cells."""
        parts = [getattr(self, part.name) for part in fields(self)]
        return _Ends(
            *(part.picked(which) if isinstance(part, Interval) else part[which] for part in parts)
        )

    def hull(self) -> tuple[Array, Array]:
        """Return the corners of boxes that contain every segment from Y to X."""
        return np.minimum(self.x.lo, self.y.lo), np.maximum(self.x.hi, self.y.hi)


def _in_cube(box: Interval) -> Interval:
    """Return the part of boxes in the cube."""
    low, high = np.clip(box.lo, 0.0, 1.0), np.clip(box.hi, 0.0, 1.0)
    return Interval(low, high)


def _split(slopes: Interval) -> tuple[Array, Array]:
    """Return middles and radii of slopes; middle 0 and radius inf where they are unbounded."""
    known = np.isfinite(slopes.lo) & np.isfinite(slopes.hi)
    low, high = np.where(known, slopes.lo, 0.0), np.where(known, slopes.hi, 0.0)
    middle = low / 2 + high / 2
    radius = np.maximum(high - middle, middle - low) * (1 + 4 * EPS)
    return middle, np.where(known, radius, np.inf)


def _length(differences: Array) -> Array:
    """Return upper bounds of Euclidean lengths of (B, M)."""
    return np.asarray(np.sqrt((differences**2).sum(1)) * (1 + SLACK))


def _norm(rows: Array, p: float) -> Array:
    """Return upper bounds of the p-norm of entries bounded by rows (B, E)."""
    most = rows.max(1)
    if math.isinf(p):
        return np.asarray(most)
    scale = np.where((most > 0) & np.isfinite(most), most, 1.0)
    with np.errstate(over="ignore"):
        total = ((rows / scale[:, None]) ** p).sum(1) ** (1 / p)
    return np.asarray(scale * total * (1 + SLACK))


@dataclass(frozen=True)
class _CentreForm:
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
    def of(cls, problem: CellProblem, cells: Cells, ends: _Ends) -> _CentreForm:
        """Return the form on cells."""
        reach = np.minimum(problem.delta, _length(ends.d_most))
        steep, spread = np.full(len(reach), np.inf), np.zeros(len(reach))
        change, start = np.full(len(reach), np.inf), None
        core = problem.derivatives(Interval(cells.c_low, cells.c_high))
        smooth = np.flatnonzero(np.isfinite(core.bend_radius).all((1, 2, 3)))
        if len(smooth):
            *parts, change[smooth], known = _steepness(
                problem, core.picked(smooth), ends.picked(smooth)
            )
            steep[smooth], spread[smooth] = (part * reach[smooth] for part in parts)
            start = np.zeros((len(reach), *known.shape[1:]))
            start[smooth] = known
        if start is None:
            start = np.zeros((len(reach), 1, len(problem.movable)))
        return cls(steep, spread, reach, start, change)

    def cap(
        self, threshold: float, bent: Array, ends: _Ends
    ) -> tuple[Array, Array, Array, Array]:
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
        low, high = _cap_box(axis, height, self.reach)
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

    def bent(self, problem: CellProblem, ends: _Ends, hull: _Derivatives) -> Array:
        """Return bounds of ‖ρ‖_p with second derivatives on the hull."""
        return _bent(problem, hull, ends, self.reach, 0.25)

    def bent_by_shells(self, problem: CellProblem, cells: Cells, ends: _Ends) -> Array:
        """Return bounds of ‖ρ‖_p with second derivatives on shells: boxes of c + t D, t <= 1/2.

        ρ = ∫_0^(1/2) (1/2 - t) [H(c + tD) - H(c - tD)] D D dt.
        """
        reach = np.minimum(problem.delta, _length(ends.d_most))
        total = np.zeros(len(cells))
        for k in range(SHELLS):
            inner, outer = k / (2 * SHELLS), (k + 1) / (2 * SHELLS)
            weight = (outer - inner) / 2 - (outer**2 - inner**2) / 2
            step = np.zeros(cells.c_low.shape)
            step[:, problem.movable] = ends.d_most * outer * (1 + SLACK)
            box = Interval(cells.c_low - step - EPS, cells.c_high + step + EPS)
            on = problem.derivatives(_in_cube(box))
            total += _bent(problem, on, ends, reach, 2 * weight)
        return total


def _cap_box(axis: Array, height: Array, reach: Array) -> tuple[Array, Array]:
    """Return the box (B, M) of {D: axis · D >= height, ‖D‖ <= reach}, axis of length 1."""
    across = np.sqrt((reach**2 * (1 + SLACK) - height**2).clip(0))[:, None]
    across = across * np.sqrt((1 + SLACK - axis**2).clip(0))
    slack = 64 * SLACK * reach[:, None]
    ends = axis * height[:, None], axis * reach[:, None]
    return np.minimum(*ends) - across - slack, np.maximum(*ends) + across + slack


def _steepness(
    problem: CellProblem, core: _Derivatives, ends: _Ends
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
    order = np.argsort(-np.abs(turn).sum((1, 3)), axis=1)
    kept, rest = order[:, :CORNERS], order[:, CORNERS:]
    pick = np.arange(len(order))[:, None]
    turn = np.moveaxis(turn, 2, 1)  # (B, K, E, M)
    ratio = positive_norm_upper_bound(loose, p)
    ratio += operator_norm_upper_bound(turn[pick, rest], p).sum(1)
    some = turn[pick, kept]
    corners = np.array(list(product((1.0, -1.0), repeat=some.shape[1])))
    moved = np.tensordot(corners, some, (1, 1)).swapaxes(0, 1)  # (B, corners, E, M)
    ratio += operator_norm_upper_bound(start[:, None] + moved, p).max(1)
    change = positive_norm_upper_bound(loose, p)
    change += operator_norm_upper_bound(turn, p).sum(1)
    spread = ratio - operator_norm_upper_bound(start, p)
    return ratio * (1 + 4 * SLACK), spread, change * (1 + 4 * SLACK), start


def _bent(
    problem: CellProblem, on: _Derivatives, ends: _Ends, reach: Array, factor: float
) -> Array:
    """Return bounds of factor ‖rad(H)[|D|, |D|]‖_p."""
    moving = problem.movable
    bent = on.bend_radius[:, :, moving][:, :, :, moving]
    most = ends.d_most
    with np.errstate(invalid="ignore"):
        square = (bent * most[:, None, :, None] * most[:, None, None, :]).sum((2, 3))
        square = np.minimum(square, np.sqrt((bent**2).sum((2, 3))) * reach[:, None] ** 2)
    square = np.where(np.isnan(square), np.inf, square)
    return _norm(square, problem.p) * factor * (1 + SLACK)


@dataclass(frozen=True)
class _EndsForm:
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
    def of(cls, problem: CellProblem, ends: _Ends) -> _EndsForm:
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
        bound = _norm(np.maximum(self.high, -self.low), p)
        size = np.sqrt((self.v0**2).sum(1, keepdims=True))
        if p == 1:
            signs = np.where(self.v0 < 0, -1.0, 1.0)
            against = np.where(signs > 0, -self.low, self.high).clip(0).sum(1)
            dual = self.above(signs[:, None])[:, 0] + 2 * against * (1 + SLACK)
            return np.minimum(bound, np.where(np.isnan(dual), np.inf, dual))
        if p != 2:
            return bound
        count = self.v0.shape[1]
        unit = np.where(size > 0, self.v0, 1.0) / np.where(size > 0, size, math.sqrt(count))
        along = self.above(np.stack([unit, -unit], 1)).max(1)
        across = np.eye(count) - unit[:, :, None] * unit[:, None]
        rest = np.maximum(self.above(across), self.above(-across))
        with np.errstate(over="ignore"):
            dual = np.sqrt(along.clip(0) ** 2 + (rest.clip(0) ** 2).sum(1)) * (1 + SLACK)
        return np.minimum(bound, np.where(np.isnan(dual), np.inf, dual))

    def half_space(
        self, p: float, threshold: float, ends: _Ends, delta: float
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
            cap = _cap_box(g / length[:, None], np.where(top > 0, top, 0.0), reach)
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

    def without_maximiser(self, p: float, ends: _Ends) -> NDArray[np.bool_]:
        """Tell which cells hold no maximiser: moving c along some axis makes the norm grow."""
        if math.isinf(p):
            return np.zeros(len(self.v0), dtype=bool)
        weights = [_dual_weight(end, p) for end in (self.low, self.high)]
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
            size = np.maximum.reduce([np.abs(part) for part in products]).sum(1) * SLACK
            grows = (least > size) & (ends.x.hi < 1) & (ends.y.hi < 1)
            shrinks = (most < -size) & (ends.x.lo > 0) & (ends.y.lo > 0)
        return np.asarray((grows | shrinks).any(1))


def _stacked(first: Interval, second: Interval) -> Interval:
    """Return boxes one after the other."""
    return Interval(np.concatenate([first.lo, second.lo]), np.concatenate([first.hi, second.hi]))


def _best_linear(on: _Derivatives, at: _Derivatives, reach: Array) -> tuple[Array, Array]:
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


def _slope_range(on: _Derivatives, at: _Derivatives, reach: Array) -> tuple[Array, Array]:
    """Return the range of slopes on the box, by themselves and by the second derivatives."""
    with np.errstate(invalid="ignore", over="ignore"):
        bent = ((np.abs(on.bend) + on.bend_radius) * reach[:, None, None]).sum(3) + at.radius
        bent = np.where(np.isnan(bent), np.inf, bent * (1 + SLACK))
        slack = SLACK * (np.abs(on.middle) + np.abs(at.middle))
        low = np.maximum(on.middle - on.radius, at.middle - bent) - slack
        high = np.minimum(on.middle + on.radius, at.middle + bent) + slack
    return np.minimum(low, high), np.maximum(low, high)


def _dual_weight(values: Array, p: float) -> Array:
    """Return sign(v) |v|^(p-1), which increases with v: the gradient of the norm up to a factor."""
    with np.errstate(over="ignore"):
        return np.asarray(np.sign(values) * np.abs(values) ** (p - 1))


def _above(
    functionals: Array,
    v0: Array,
    loose: Array,
    in_c: Array,
    in_d: Array,
    ends: _Ends,
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


def _ball(g: Array, ends: _Ends, delta: float) -> Array:
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
