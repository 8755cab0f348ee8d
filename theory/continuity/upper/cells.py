"""Cells of pairs of inputs, and what is known of a function on them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.operator_norm import SLACK
from looprate.theory.continuity.upper.places import Places
from looprate.theory.enclosure.bent import bent_variables
from looprate.theory.enclosure.columns import Columns
from looprate.theory.enclosure.curved import Curved, curved_variables
from looprate.theory.enclosure.expanded import expanded_variables
from looprate.theory.enclosure.forms import evaluated
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.jets import Jet, variables
from looprate.theory.enclosure.rounding import EPS

Array = NDArray[np.float64]
Function = Callable[[Any], Any]

HUGE = 1e140  # slopes beyond it count as unbounded: their squares would overflow
SHARE_OF_SIZE = 0.1  # how much the steepness of a column counts in splitting, beside its radius


@dataclass(frozen=True)
class Cells(Columns):
    """Boxes of centres (B, K), K = N·d, and of differences (B, M) of the M movable entries."""

    c_low: Array
    c_high: Array
    d_low: Array
    d_high: Array

    @property
    def widest(self) -> Array:
        """The longest sides, shape (B,)."""
        sides = np.concatenate([self.c_high - self.c_low, self.d_high - self.d_low], 1)
        return np.asarray(sides.max(1))

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
        parts = [part.copy() for part in self._columns()]
        for part, other in zip(parts, others._columns(), strict=True):
            part[which] = other
        return Cells(*parts)

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
    steep : Places, optional
        Where f may be steep enough: a pair whose segment stays away is settled.
    """

    f: Function
    tokens: int
    dim: int
    moving: NDArray[np.bool_]
    row: int | None
    p: float
    delta: float
    sorted_tokens: tuple[int, ...] = ()
    steep: Places | None = None

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
        unit = self.delta or 1.0  # squares of tiny radii would be 0; twice the radius is too far
        share, square = np.minimum(least / unit, 2.0), (self.delta / unit) ** 2 * (1 + SLACK)
        total = (share**2).sum(1, keepdims=True)
        room = np.sqrt(np.maximum(square - (total - share**2) * (1 - SLACK), 0.0)) * (1 + SLACK)
        room = np.maximum(room * unit, np.nextafter(0.0, 1.0))  # rounded, never to 0
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

    def rows(self, values: Any) -> Any:
        """Return the watched rows of (..., B, N, d) as (..., B, E)."""
        if self.row is not None:
            values = values[..., self.row : self.row + 1, :]
        return values.reshape((*values.shape[:-2], -1))

    def expansion(self, low: Array, high: Array) -> tuple[Array, Array, Array] | None:
        """Return J on boxes (B, K) as start + turn + loose, or None where f has no expansion.

        See :func:`looprate.theory.continuity.upper.affine_norm.affine_norm`, M movable entries.
        """
        box = Interval(low, high).reshape((-1, self.tokens, self.dim))
        try:
            found = evaluated(self.f, expanded_variables(box))
        except ValueError:  # an operation that has no expansion
            return None
        if isinstance(found, Interval):
            return None
        reach = (box.reach() * (1 + EPS)).reshape(len(low), -1)
        moving = self.movable
        turn = np.moveaxis(self.rows(found.turn[moving]), (0, 1), (3, 1))  # (B, K, E, M)
        start, loose = (
            np.moveaxis(self.rows(part[moving]), 0, 2) for part in (found.start, found.loose)
        )
        return start, turn * reach[:, :, None, None], loose

    def bend(self, low: Array, high: Array) -> tuple[Array, Array, Array, Array] | None:
        """Return how f bends about middles in boxes (B, K), or None where that is not known.

        Third derivatives (B, E, M, M, M), what half a side of the box adds (B, K, E, M, M, M), what
        they are off by, and what they miss (B, E): see :mod:`looprate.theory.enclosure.bent`.
        """
        box = Interval(low, high).reshape((-1, self.tokens, self.dim))
        try:
            found = evaluated(self.f, bent_variables(box, self.delta))
        except ValueError:  # an operation that is not known to bend
            return None
        if isinstance(found, Interval):
            return None
        count, moving = self.tokens * self.dim, self.movable
        cube = np.arange(count**3).reshape(count, count, count)[np.ix_(moving, moving, moving)]
        third, loose = (
            np.moveaxis(self.rows(part[cube]), (3, 4), (0, 1))
            for part in (found.third.start, found.third.loose)
        )
        turn = np.moveaxis(self.rows(found.third.turn[cube]), (4, 3, 5), (0, 1, 2))
        reach = (box.reach() * (1 + EPS)).reshape(len(low), -1)
        return third, turn * reach[:, :, None, None, None, None], loose, self.rows(found.beyond)

    def derivatives(self, box: Interval, *, bend: bool = True) -> Derivatives:
        """Return values, slopes and, with ``bend``, second derivatives of the watched rows."""
        boxes = box.reshape((-1, self.tokens, self.dim))
        count, width = len(boxes), self.tokens * self.dim
        found = evaluated(self.f, (curved_variables if bend else variables)(boxes))
        jet = found.jet if isinstance(found, Curved) else found
        if isinstance(jet, Interval):  # a constant
            jet = Jet(jet, Interval(np.zeros((width, *boxes.shape))))
        middle, radius = middle_and_radius(self.rows(jet.slope))
        middle, radius = np.moveaxis(middle, 0, 2), np.moveaxis(radius, 0, 2)
        value = self.rows(jet.value)
        square = (
            np.zeros((count, value.shape[1], width, width)) if bend else np.zeros((count, 1, 1, 1))
        )
        bent, rest = square, square.copy()
        if isinstance(found, Curved):
            i, j = np.triu_indices(width)
            parts = middle_and_radius(self.rows(found.curvature))
            for whole, part in zip((bent, rest), parts, strict=True):
                whole[:, :, i, j] = whole[:, :, j, i] = np.moveaxis(part, 0, 2)
        return Derivatives(value, middle, radius, bent, rest)


@dataclass(frozen=True)
class Derivatives(Columns):
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

    def column(self) -> Array:
        """Return how much each input direction matters to a bound, shape (B, K)."""
        radius = np.where(np.isfinite(self.radius), self.radius, 1e100)
        return np.asarray((radius + SHARE_OF_SIZE * np.abs(self.middle)).max(1))


@dataclass(frozen=True)
class Ends(Columns):
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
    def of(cls, problem: CellProblem, cells: Cells) -> Ends:
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
        return cls(
            x=in_cube(centre.plus(half)),
            y=in_cube(centre.plus(-half)),
            x0=in_cube(Interval(c0).plus(half0)),
            y0=in_cube(Interval(c0).plus(-half0)),
            c0=Interval(c0),
            c_reach=centre.plus(-Interval(c0)),
            d_reach=Interval(cells.d_low, cells.d_high).plus(-Interval(d0)),
            d0=d0,
            d_low=cells.d_low,
            d_high=cells.d_high,
            d_most=np.maximum(np.abs(cells.d_low), np.abs(cells.d_high)),
        )

    def hull(self) -> tuple[Array, Array]:
        """Return the corners of boxes that contain every segment from Y to X."""
        return np.minimum(self.x.lo, self.y.lo), np.maximum(self.x.hi, self.y.hi)


def in_cube(box: Interval) -> Interval:
    """Return the part of boxes in the cube."""
    low, high = np.clip(box.lo, 0.0, 1.0), np.clip(box.hi, 0.0, 1.0)
    return Interval(low, high)


def middle_and_radius(slopes: Interval) -> tuple[Array, Array]:
    """Return middles and radii of slopes; middle 0 and radius inf where they are too large."""
    known = slopes.magnitude < HUGE
    low, high = np.where(known, slopes.lo, 0.0), np.where(known, slopes.hi, 0.0)
    middle = low / 2 + high / 2
    radius = np.maximum(high - middle, middle - low) * (1 + 4 * EPS)
    return middle, np.where(known, radius, np.inf)


def lengths(differences: Array) -> Array:
    """Return upper bounds of Euclidean lengths of (B, M)."""
    most = np.abs(differences).max(1, initial=0.0, keepdims=True)
    shares = differences / np.where(most > 0, most, 1.0)  # squares of small ones would be 0
    return np.asarray(np.sqrt((shares**2).sum(1)) * most[:, 0] * (1 + SLACK))
