"""Gains: enclosures of values together with Euclidean Lipschitz constants by groups of inputs.

An array of gains of u over a convex box has values U and gains l_g >= 0, one for each group g of
input variables, with

    (L)  |u(X) - u(Y)| <= Σ_g l_g ‖(X - Y)_g‖_2 for all X, Y in the box.

It is kept by sums (gains add), products (|U| l_v + |V| l_u), functions of one number (times the
largest slope) and maxima: |max u_i - max v_i| <= max |u_i - v_i|, so that a maximum of entries is
no steeper than the steepest of them.  That is what intervals of slopes lose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.chained import Chained
from looprate.theory.enclosure.intervals import Interval, lifted
from looprate.theory.enclosure.namespace import Axis
from looprate.theory.enclosure.rounding import up, up_sum
from looprate.theory.enclosure.shapes import axes_of

__all__ = ["Gain", "grouped_variables"]

Array = NDArray[np.float64]


@final
class Gain(Chained):
    """Values of shape S and gains of shape ``(G, *S)`` for G groups of input variables."""

    __slots__ = ("gain", "value")

    def __init__(self, value: Interval, gain: Array) -> None:
        self.value, self.gain = value, gain

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape

    def middle(self) -> Array:
        return self.value.middle()

    def operand(self, value: Any) -> Gain:
        """Return numbers as constants: gains 0."""
        if isinstance(value, Gain):
            return value
        constant = self.value.operand(value)
        return Gain(constant, np.zeros((len(self.gain), *constant.shape)))

    def plus(self, other: Gain) -> Gain:
        mine, theirs = _lifted(self, other)
        return Gain(self.value.plus(other.value), up_sum(mine + theirs))

    def times(self, other: Gain) -> Gain:
        value = self.value.times(other.value)
        mine, theirs = _lifted(self, other)
        gain = up_sum(_up(mine, other.value.magnitude) + _up(theirs, self.value.magnitude))
        return Gain(value, np.broadcast_to(gain, (len(gain), *value.shape)))

    def over(self, other: Gain) -> Gain:
        value = self.value.over(other.value)
        mine, theirs = _lifted(self, other)
        gain = up_sum(mine + _up(theirs, value.magnitude))
        inverse = Interval(1.0).over(other.value).magnitude
        gain = _up(gain, inverse)
        return Gain(value, np.broadcast_to(gain, (len(gain), *value.shape)))

    def maximum(self, other: Any) -> Gain:
        b = self.operand(other)
        value = self.value.maximum(b.value)
        mine, theirs = _lifted(self, b)
        first, second = self.value.lo > b.value.hi, b.value.lo > self.value.hi
        gain = np.where(first, mine, np.where(second, theirs, np.maximum(mine, theirs)))
        return Gain(value, gain)

    def reduce(self, how: str, axis: int, keepdims: bool) -> Gain:
        value = self.value.reduce(how, axis, keepdims)
        if how == "sum":
            return Gain(value, _up_sum(self.gain, axis + 1, keepdims))
        can = self.value.hi >= self.value.lo.max(axis, keepdims=True)  # can be the largest
        return Gain(value, np.where(can, self.gain, 0.0).max(axis + 1, keepdims=keepdims))

    def logsumexp(self, axis: int, *, keepdims: bool = False) -> Gain:
        """Moves by no more than the entry that moves most."""
        place = range(self.ndim)[axis]
        value = self.value.logsumexp(place, keepdims=keepdims)
        return Gain(value, self.gain.max(place + 1, keepdims=keepdims))

    def known(self, low: float, high: float) -> Gain:
        return Gain(self.value.known(low, high), self.gain)

    def euclidean(self, axis: Axis = None, *, keepdims: bool = False) -> Gain:
        """A norm moves by no more than the norm of what its entries move by."""
        places = tuple(k + 1 for k in axes_of(self, axis))
        gain = Interval(self.gain).euclidean(places, keepdims=keepdims).hi
        return Gain(self.value.euclidean(axis, keepdims=keepdims), gain)

    def __neg__(self) -> Gain:
        return Gain(-self.value, self.gain)

    def moved(self, move: Callable[[Any, int], Any]) -> Gain:
        return Gain(move(self.value, 0), move(self.gain, 1))

    def chain(self, value: Interval, slope: Interval, second: Callable[[], Interval]) -> Gain:
        return Gain(value, _up(self.gain, slope.magnitude))


def grouped_variables(box: Interval) -> Gain:
    """Return the inputs as gains: one group a coordinate, all tokens of it together.

    Parameters
    ----------
    box : Interval of shape (B, N, d)

    Returns
    -------
    Gain
        Gains of shape (d, B, N, d).
    """
    dim = box.shape[2]
    gain = np.broadcast_to(np.eye(dim).reshape(dim, 1, 1, dim), (dim, *box.shape))
    return Gain(box, gain)


def _lifted(a: Gain, b: Gain) -> tuple[Array, Array]:
    """Return the gains of both with axes of length 1 put in, as broadcasting would."""
    ndim = max(a.ndim, b.ndim)
    return lifted(a.gain, ndim), lifted(b.gain, ndim)


def _up(gain: Array, factor: Array) -> Array:
    """Return upper bounds of products >= 0; 0 times anything, inf too, is 0."""
    with np.errstate(invalid="ignore", over="ignore"):
        result = up(gain * factor)
    return np.where((gain == 0) | (factor == 0), 0.0, result)


def _up_sum(gain: Array, axis: int, keepdims: bool) -> Array:
    """Return upper bounds of sums over an axis."""
    total = np.zeros_like(gain.take(0, axis))
    for k in range(gain.shape[axis]):
        total = up_sum(total + gain.take(k, axis))
    return np.expand_dims(total, axis) if keepdims else total
