"""Jets: enclosures of values together with slopes over a box, carried forward.

A jet of u over a convex box has a value U, which contains u(X) for X in the box, and slopes G with
the property

    (P)  for all X, Y in the box some g in G has u(X) - u(Y) = g · (X - Y).

It is kept by every operation, also where u has corners:

* sums: add the g; products: uv(X) - uv(Y) = [u(X) g_v + v(Y) g_u] · (X - Y), in U G_v + V G_u;
* quotients: (u/v)(X) - (u/v)(Y) = [g_u - (u/v)(Y) g_v] / v(X) · (X - Y);
* a function φ of one number: φ(u(X)) - φ(u(Y)) = s (u(X) - u(Y)), s between the least and the
  largest slope of φ on U (mean value theorem; for |u| the hull of the signs on U);
* norms: ‖u(X)‖ - ‖u(Y)‖ = c · (u(X) - u(Y)) with c = (u(X) + u(Y)) / (‖u(X)‖ + ‖u(Y)‖), a convex
  combination of unit vectors along u(X) and u(Y), or anything where both are 0;
* log Σ exp: a convex combination of the slopes of the entries, by softmax weights;
* maxima: with i maximal at X and j at Y the difference lies between those of u_i and u_j, so it is
  a convex combination of theirs; i and j are among the entries that can be maximal on the box.

Where slopes are unbounded, such as √u at u = 0, they are the whole line and callers fall back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.chained import Chained
from looprate.theory.enclosure.intervals import (
    Interval,
    added,
    hull,
    intersection,
    lifted,
    spread,
)
from looprate.theory.enclosure.namespace import Axis
from looprate.theory.enclosure.shapes import along, concatenated

__all__ = ["Jet", "variables"]

MOST_DIFFERENCES = 8  # entries of a softmax whose differences are taken


@final
class Jet(Chained):
    """Values of shape S and slopes of shape ``(K, *S)`` in K input directions.

    Parameters
    ----------
    value : Interval of shape S
    slope : Interval of shape ``(K, *S)``

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """

    __slots__ = ("slope", "value")

    def __init__(self, value: Interval, slope: Interval) -> None:
        if slope.shape[1:] != value.shape:
            raise ValueError(
                f"`slope` must have shape (K, *{value.shape}) for values of shape {value.shape}, "
                f"got {slope.shape}"
            )
        self.value = value
        self.slope = slope

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def __repr__(self) -> str:
        return f"Jet({self.value}, slope={self.slope})"

    def middle(self) -> NDArray[np.float64]:
        return self.value.middle()

    def operand(self, value: Any) -> Jet | Interval:
        """Return numbers as intervals: constants, without slopes."""
        return value if isinstance(value, Jet) else self.value.operand(value)

    def plus(self, other: Jet | Interval) -> Jet:
        value = self.value.plus(other.value)
        mine = spread(self.slope, value.shape)
        if isinstance(other, Interval):
            return Jet(value, mine)
        return Jet(value, mine.plus(spread(other.slope, value.shape)))

    def times(self, other: Jet | Interval) -> Jet:
        value = self.value.times(other.value)
        slope = lifted(self.slope, value.ndim).times(other.value)
        if isinstance(other, Jet):
            theirs = lifted(other.slope, value.ndim).times(self.value)
            slope = slope.plus(theirs)
        return Jet(value, spread(slope, value.shape))

    def over(self, other: Jet | Interval) -> Jet:
        quotient = self.value.over(other.value)
        slope = lifted(self.slope, quotient.ndim)
        if isinstance(other, Jet):
            theirs = lifted(other.slope, quotient.ndim)
            slope = slope.plus(-theirs.times(quotient))
        slope = slope.over(other.value)
        return Jet(quotient, spread(slope, quotient.shape))

    def under(self, other: Jet | Interval) -> Jet:
        if isinstance(other, Jet):
            return other.over(self)
        quotient = other.over(self.value)
        slope = lifted(-self.slope, quotient.ndim).times(quotient).over(self.value)
        return Jet(quotient, slope)

    def matrix(self, other: Jet | Interval, *, left: bool) -> Jet:
        value = self.value.matrix(other.value, left=left)
        slope = lifted(self.slope, value.ndim).matrix(other.value, left=left)
        if isinstance(other, Jet):
            theirs = lifted(other.slope, value.ndim)
            slope = slope.plus(theirs.matrix(self.value, left=not left))
        return Jet(value, slope)

    def maximum(self, other: Any) -> Jet:
        b = self.operand(other)
        value = self.value.maximum(b.value)
        count = self.slope.shape[0]
        mine = spread(self.slope, value.shape)
        theirs = (
            spread(b.slope, value.shape)
            if isinstance(b, Jet)
            else Interval(np.zeros((count, *value.shape)))
        )
        first, second = self.value.lo > b.value.hi, b.value.lo > self.value.hi
        both = hull(mine, theirs)
        lo = np.where(first, mine.lo, np.where(second, theirs.lo, both.lo))
        hi = np.where(first, mine.hi, np.where(second, theirs.hi, both.hi))
        return Jet(value, Interval(lo, hi))

    def reduce(self, how: str, axis: int, keepdims: bool) -> Jet:
        value = self.value.reduce(how, axis, keepdims)
        if how == "sum":
            return Jet(value, self.slope.reduce("sum", axis + 1, keepdims))
        can = self.value.hi >= self.value.lo.max(axis, keepdims=True)  # can be the largest
        lo = np.where(can, self.slope.lo, np.inf).min(axis + 1, keepdims=keepdims)
        hi = np.where(can, self.slope.hi, -np.inf).max(axis + 1, keepdims=keepdims)
        return Jet(value, Interval(lo, hi))

    def logsumexp(self, axis: int, *, keepdims: bool = False) -> Jet:
        """lse u(X) - lse u(Y) = w · (u(X) - u(Y)), w a mean of softmax weights, whose sum is 1."""
        place = range(self.ndim)[axis]
        parts = Jet(self.value, self.slope.times(_weights(self.value, place)))
        slope, own = parts.sum(place, keepdims=keepdims).slope, self.slope
        ends = own.lo.min(place + 1, keepdims=keepdims), own.hi.max(place + 1, keepdims=keepdims)
        value = self.value.logsumexp(place, keepdims=keepdims)
        return Jet(value, intersection(slope, Interval(*ends)))

    def known(self, low: float, high: float) -> Jet:
        return Jet(self.value.known(low, high), self.slope)

    def euclidean(self, axis: Axis = None, *, keepdims: bool = False) -> Jet:
        """‖u(X)‖ - ‖u(Y)‖ = c · (u(X) - u(Y)), c between the unit vectors along u(X) and u(Y)."""
        size = self.value.euclidean(axis, keepdims=True)
        ones = np.ones(self.shape)
        unit = intersection(self.value.over(size), Interval(-ones, ones))
        slope = Jet(self.value, self.slope.times(unit)).sum(axis, keepdims=keepdims).slope
        return Jet(self.value.euclidean(axis, keepdims=keepdims), slope)

    def __neg__(self) -> Jet:
        return Jet(-self.value, -self.slope)

    def moved(self, move: Callable[[Any, int], Any]) -> Jet:
        return Jet(move(self.value, 0), move(self.slope, 1))

    def chain(self, value: Interval, slope: Interval, second: Callable[[], Interval]) -> Jet:
        return Jet(value, self.slope.times(slope))


def _weights(values: Interval, axis: int) -> Interval:
    """Return softmax weights over an axis, 1 / (1 + Σ exp(differences)): exact for few entries."""
    parts = [values[along(axis, slice(k, k + 1))] for k in range(values.shape[axis])]
    if len(parts) > MOST_DIFFERENCES:
        whole = values.logsumexp(axis, keepdims=True)
        return values.plus(-whole).exp().minimum(1.0)
    shares = []
    for part in parts:
        others = [(other - part).exp() for other in parts if other is not part]
        shares.append(1.0 / (added([*others, Interval(np.ones(part.shape))])))
    made: Interval = concatenated(shares, axis)
    return made


def variables(box: Interval) -> Jet:
    """Return the inputs themselves as a jet: the identity, slope 1 in the own direction.

    Parameters
    ----------
    box : Interval of shape (B, N, d)

    Returns
    -------
    Jet
        Slopes of shape (N·d, B, N, d), directions in the order of the entries of an input.
    """
    batch, *entry = box.shape
    count = int(np.prod(entry))
    eye = np.eye(count).reshape(count, 1, *entry)
    return Jet(box, Interval(np.broadcast_to(eye, (count, batch, *entry))))
