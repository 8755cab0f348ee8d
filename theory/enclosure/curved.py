"""Enclosures of values, first and second derivatives over a box, carried forward.

A curved array of u over a convex box has a value U, slopes G as
:mod:`looprate.theory.enclosure.jets` has them, and a curvature H that contains the second
derivatives of u on the box:

* products: H_uv = U H_v + V H_u + G_u G_v^T + G_v G_u^T;
* quotients q = u/v: H_q = [H_u - q H_v - G_q G_v^T - G_v G_q^T] / V;
* a function φ of one number: φ''(U) G G^T + φ'(U) H;
* maxima: of the largest entry where it is the same on the whole box, else the whole line.

Second derivatives are symmetric; the pairs i <= j are kept, in the order of ``numpy.triu_indices``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.chained import Chained
from looprate.theory.enclosure.intervals import Interval, lifted, spread
from looprate.theory.enclosure.jets import Jet, variables
from looprate.theory.enclosure.namespace import Axis

__all__ = ["Curved", "curved_variables"]


@final
class Curved(Chained):
    """A jet (values of shape S, slopes of shape ``(K, *S)``) with a curvature of shape ``(Q, *S)``.

    Q = K(K+1)/2 pairs of the K input directions.
    """

    __slots__ = ("curvature", "jet")

    def __init__(self, jet: Jet, curvature: Interval) -> None:
        self.jet, self.curvature = jet, curvature

    @property
    def value(self) -> Interval:  # type: ignore[override]
        """Values, of shape S."""
        return self.jet.value

    @property
    def shape(self) -> tuple[int, ...]:
        return self.jet.shape

    def middle(self) -> NDArray[np.float64]:
        return self.jet.middle()

    def operand(self, value: Any) -> Curved | Interval:
        """Return numbers as intervals: constants, without derivatives."""
        return value if isinstance(value, Curved) else self.value.operand(value)

    def plus(self, other: Curved | Interval) -> Curved:
        jet = self.jet.plus(_jet(other))
        mine = spread(self.curvature, jet.shape)
        if isinstance(other, Interval):
            return Curved(jet, mine)
        return Curved(jet, mine.plus(spread(other.curvature, jet.shape)))

    def times(self, other: Curved | Interval) -> Curved:
        jet = self.jet.times(_jet(other))
        if isinstance(other, Interval):
            curvature = lifted(self.curvature, jet.ndim).times(other)
            return Curved(jet, spread(curvature, jet.shape))
        curvature = lifted(self.curvature, jet.ndim).times(other.value)
        curvature = curvature.plus(lifted(other.curvature, jet.ndim).times(self.value))
        curvature = curvature.plus(_crossed(self.jet, other.jet, jet.ndim))
        return Curved(jet, spread(curvature, jet.shape))

    def over(self, other: Curved | Interval) -> Curved:
        jet = self.jet.over(_jet(other))
        curvature = lifted(self.curvature, jet.ndim)
        if isinstance(other, Curved):
            curvature = curvature.plus(-lifted(other.curvature, jet.ndim).times(jet.value))
            curvature = curvature.plus(-_crossed(jet, other.jet, jet.ndim))
        curvature = curvature.over(other.value)
        return Curved(jet, spread(curvature, jet.shape))

    def under(self, other: Any) -> Curved:
        if isinstance(other, Curved):
            return other.over(self)
        quotient = self.jet.under(other)
        twice = _crossed(quotient, self.jet, quotient.ndim)
        curvature = lifted(self.curvature, quotient.ndim).times(quotient.value).plus(twice)
        return Curved(quotient, -curvature.over(self.value))

    def matrix(self, other: Curved | Interval, *, left: bool) -> Curved:
        if isinstance(other, Interval):
            curvature = lifted(self.curvature, max(self.ndim, other.ndim))
            return Curved(self.jet.matrix(other, left=left), curvature.matrix(other, left=left))
        return super().matrix(other, left=left)

    def maximum(self, other: Any) -> Curved:
        b = self.operand(other)
        jet = self.jet.maximum(_jet(b))
        first, second = self.value.lo > b.value.hi, b.value.lo > self.value.hi
        mine = spread(self.curvature, jet.shape)
        count = mine.shape[0]
        theirs = (
            spread(b.curvature, jet.shape)
            if isinstance(b, Curved)
            else Interval(np.zeros((count, *jet.shape)))
        )
        lo = np.where(first, mine.lo, np.where(second, theirs.lo, -np.inf))
        hi = np.where(first, mine.hi, np.where(second, theirs.hi, np.inf))
        return Curved(jet, Interval(lo, hi))

    def reduce(self, how: str, axis: int, keepdims: bool) -> Curved:
        jet = self.jet.reduce(how, axis, keepdims)
        if how == "sum":
            return Curved(jet, self.curvature.reduce("sum", axis + 1, keepdims))
        can = self.value.hi >= self.value.lo.max(axis, keepdims=True)
        alone = can.sum(axis, keepdims=keepdims) == 1
        lo = np.where(can, self.curvature.lo, np.inf).min(axis + 1, keepdims=keepdims)
        hi = np.where(can, self.curvature.hi, -np.inf).max(axis + 1, keepdims=keepdims)
        return Curved(jet, Interval(np.where(alone, lo, -np.inf), np.where(alone, hi, np.inf)))

    def logsumexp(self, axis: int, *, keepdims: bool = False) -> Curved:
        curvature = super().logsumexp(axis, keepdims=keepdims).curvature
        return Curved(self.jet.logsumexp(axis, keepdims=keepdims), curvature)

    def known(self, low: float, high: float) -> Curved:
        return Curved(self.jet.known(low, high), self.curvature)

    def euclidean(self, axis: Axis = None, *, keepdims: bool = False) -> Curved:
        curvature = super().euclidean(axis, keepdims=keepdims).curvature
        return Curved(self.jet.euclidean(axis, keepdims=keepdims), curvature)

    def __neg__(self) -> Curved:
        return Curved(-self.jet, -self.curvature)

    def moved(self, move: Callable[[Any, int], Any]) -> Curved:
        return Curved(move(self.jet, 0), move(self.curvature, 1))

    def chain(self, value: Interval, slope: Interval, second: Callable[[], Interval]) -> Curved:
        jet = self.jet.chain(value, slope, second)
        i, j = np.triu_indices(self.jet.slope.shape[0])
        squares = slope_products(self.jet.slope.picked(i), self.jet.slope.picked(j), i == j)
        curvature = squares.times(second()).plus(self.curvature.times(slope))
        return Curved(jet, curvature)


def curved_variables(box: Interval) -> Curved:
    """Return the inputs themselves: slope 1 in the own direction, no curvature.

    Parameters
    ----------
    box : Interval of shape (B, N, d)
    """
    jet = variables(box)
    count = jet.slope.shape[0]
    return Curved(jet, Interval(np.zeros((count * (count + 1) // 2, *box.shape))))


def slope_products(a: Interval, b: Interval, square: NDArray[np.bool_]) -> Interval:
    """Return products of slopes; those of one slope with itself are >= 0.

    Parameters
    ----------
    a, b : Interval of shape (Q, ...)
    square : bool array of shape (Q,)
        Which pairs are one slope twice.
    """
    result = a.times(b)
    own = square[(slice(None), *(None,) * (a.ndim - 1))]
    lo = np.where(own, result.lo.clip(0.0), result.lo)
    return Interval(lo, np.maximum(lo, result.hi))


def _crossed(a: Jet, b: Jet, ndim: int) -> Interval:
    """Return G_a G_b^T + G_b G_a^T, one pair of directions after the other."""
    first, second = lifted(a.slope, ndim), lifted(b.slope, ndim)
    i, j = np.triu_indices(first.shape[0])
    return first.picked(i).times(second.picked(j)).plus(first.picked(j).times(second.picked(i)))


def _jet(operand: Curved | Interval) -> Jet | Interval:
    """Return the jet of an operand, or the constant."""
    return operand.jet if isinstance(operand, Curved) else operand
