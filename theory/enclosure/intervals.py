"""Arrays of intervals with outward rounding: every operation contains the exact result.

What is assumed: float64 is IEEE 754 rounded to nearest, and exp, log, sin, cos, tanh and pow are
within :data:`looprate.theory.enclosure.rounding.LIBM_ULPS`.  Ends may be infinite: an operation
that is not bounded on its interval gives the whole line rather than an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure import rounding
from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.deadline import check_time
from looprate.theory.enclosure.functions import Increasing

__all__ = ["Interval", "intersection", "rational_power"]

Array = NDArray[np.float64]
SHORT_CONTRACTION = 8  # products of matrices with fewer terms are summed term by term


@final
class Interval(EnclosureArray):
    """An array of closed intervals [lo, hi].

    Parameters
    ----------
    lo, hi : array_like of equal shape
        Ends, float64 numbers; lo <= hi, lo < inf, hi > -inf.  ``hi`` left out makes points.

    Raises
    ------
    TypeError, ValueError
        If the ends are no such numbers.

    Examples
    --------
    >>> x = Interval([-1.0, 2.0], [1.0, 3.0])
    >>> print(x * x)
    Interval([-1.  4.], [1. 9.])
    """

    __slots__ = ("hi", "lo")

    def __init__(self, lo: Any, hi: Any = None) -> None:
        check_time()  # every enclosure comes by here
        self.lo = rounding.exact_floats(lo, "lo")
        self.hi = self.lo if hi is None else rounding.exact_floats(hi, "hi")
        if self.lo.shape != self.hi.shape:
            raise ValueError(
                f"`lo` and `hi` must have equal shapes, got {self.lo.shape} and {self.hi.shape}"
            )
        if not (self.lo <= self.hi).all():
            worst = np.unravel_index(np.argmin(self.lo <= self.hi), self.shape)
            raise ValueError(
                f"`lo` must be at most `hi` everywhere and neither may be NaN, got "
                f"{self.lo[worst]!r} and {self.hi[worst]!r}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.lo.shape

    @property
    def value(self) -> Interval:
        """The intervals themselves, as they stand in enclosures that carry more than values."""
        return self

    def middle(self) -> Array:
        """Return numbers near the midpoints; 0 on the whole line, an end on half lines."""
        lo, hi = np.isfinite(self.lo), np.isfinite(self.hi)
        left, right = np.where(lo, self.lo, 0.0), np.where(hi, self.hi, 0.0)
        share = np.where(lo == hi, 0.5, 1.0)
        return left * share + right * share

    def reach(self) -> Array:
        """Return how far the ends are from :meth:`middle`, up to the rounding of a difference."""
        middle = self.middle()
        return np.maximum(self.hi - middle, middle - self.lo)

    @property
    def width(self) -> Array:
        """Upper bounds of hi - lo."""
        return rounding.up_sum(self.hi - self.lo)

    @property
    def magnitude(self) -> Array:
        """The largest absolute values."""
        return np.maximum(np.abs(self.lo), np.abs(self.hi))

    @property
    def mignitude(self) -> Array:
        """The smallest absolute values."""
        return np.maximum(np.maximum(self.lo, -self.hi), 0.0)

    def contains(self, values: Any) -> NDArray[np.bool_]:
        """Tell which numbers, or intervals, lie inside."""
        inner = values if isinstance(values, Interval) else Interval(values)
        return (self.lo <= inner.lo) & (inner.hi <= self.hi)

    def __repr__(self) -> str:
        return f"Interval({self.lo}, {self.hi})"

    def operand(self, value: Any) -> Interval:
        """Return numbers as point intervals."""
        if isinstance(value, Interval):
            return value
        if isinstance(value, EnclosureArray):
            raise TypeError(f"`Interval` meets {type(value).__name__}: put the latter first")
        return Interval(value)

    def plus(self, other: Interval) -> Interval:
        with np.errstate(over="ignore"):
            return Interval(
                rounding.down_sum(self.lo + other.lo), rounding.up_sum(self.hi + other.hi)
            )

    def times(self, other: Interval) -> Interval:
        """Return the hull of the products of the ends, 0 * inf being 0; {0} * anything is {0}."""
        with np.errstate(over="ignore", invalid="ignore"):
            lo, hi = rounding.extremes(np.multiply, self.lo, self.hi, other.lo, other.hi)
        zero = ((self.lo == 0) & (self.hi == 0)) | ((other.lo == 0) & (other.hi == 0))
        return Interval(
            np.where(zero, 0.0, rounding.down(lo)), np.where(zero, 0.0, rounding.up(hi))
        )

    def over(self, other: Interval) -> Interval:
        """Return the quotients; the whole line where the divisor contains 0."""
        through = (other.lo <= 0) & (other.hi >= 0)
        safe = Interval(np.where(through, 1.0, other.lo), np.where(through, 1.0, other.hi))
        with np.errstate(over="ignore", invalid="ignore"):
            lo, hi = rounding.extremes(np.divide, self.lo, self.hi, safe.lo, safe.hi)
        zero = (self.lo == 0) & (self.hi == 0)
        lo = np.where(zero, 0.0, rounding.down(lo))
        hi = np.where(zero, 0.0, rounding.up(hi))
        return Interval(np.where(through, -np.inf, lo), np.where(through, np.inf, hi))

    def matrix(self, other: Interval, *, left: bool) -> Interval:
        a, b = (other, self) if left else (self, other)
        if a.shape[-1] >= SHORT_CONTRACTION and (b.lo is b.hi) and b.ndim == 2:
            return Interval(*rounding.long_product(a.lo, a.hi, b.lo))
        return super().matrix(other, left=left)

    def reduce(self, how: str, axis: int, keepdims: bool) -> Interval:
        if how == "amax":
            return Interval(
                self.lo.max(axis, keepdims=keepdims), self.hi.max(axis, keepdims=keepdims)
            )
        if not self.shape[axis]:
            return Interval(self.lo.sum(axis, keepdims=keepdims))
        before = (slice(None),) * axis
        places = range(self.shape[axis])
        return added([self[(*before, slice(k, k + 1) if keepdims else k)] for k in places])

    def power(self, exponent: float) -> Interval:
        """Return self ** exponent.

        Whole exponents take any sign of the base; others only the part of the base that is >= 0,
        which is where the function being followed is defined.

        Raises
        ------
        ValueError
            If the base is negative and the exponent not whole, or the exponent not finite.
        """
        if not math.isfinite(exponent):
            raise ValueError(f"`exponent` must be finite, got {exponent}")
        if exponent < 0:
            return Interval(1.0).over(self.power(-exponent))
        if exponent == 0:
            return Interval(np.ones(self.shape))
        if exponent == 1:
            return self
        if exponent.is_integer() and exponent % 2 == 1:
            return _signed(self, exponent)
        if exponent.is_integer():
            return _powers(abs(self), exponent)
        if (self.hi < 0).any():
            raise ValueError(
                f"the base of `exponent` {exponent:g} must reach 0 or more, got {self.hi.min():g}"
            )
        return _powers(self._positive_part(), exponent)

    def maximum(self, other: Any) -> Interval:
        b = self.operand(other)
        return Interval(np.maximum(self.lo, b.lo), np.maximum(self.hi, b.hi))

    def __neg__(self) -> Interval:
        return Interval(-self.hi, -self.lo)

    def __abs__(self) -> Interval:
        return Interval(self.mignitude, self.magnitude)

    def sqrt(self) -> Interval:
        """Return square roots of the part that is >= 0."""
        if (self.hi < 0).any():
            raise ValueError(f"`sqrt` needs numbers that reach 0 or more, got {self.hi.min():g}")
        base = self._positive_part()
        lo = np.maximum(rounding.down_sum(np.sqrt(base.lo)), 0.0)  # roots are far from underflow
        return Interval(lo, rounding.up_sum(np.sqrt(base.hi)))

    def exp(self) -> Interval:
        lo, hi = self._monotone(np.exp)
        return Interval(np.maximum(lo, 0.0), hi)

    def log(self) -> Interval:
        """Return logarithms of the part that is > 0."""
        if (self.hi <= 0).any():
            raise ValueError(f"`log` needs numbers that reach above 0, got {self.hi.min():g}")
        with np.errstate(divide="ignore"):
            return Interval(*self._positive_part()._monotone(np.log))

    def tanh(self) -> Interval:
        lo, hi = self._monotone(np.tanh)
        return Interval(np.maximum(lo, -1.0), np.minimum(hi, 1.0))

    def sin(self) -> Interval:
        return Interval(*rounding.sinusoid(self.lo, self.hi, np.sin, 0.25))

    def cos(self) -> Interval:
        return Interval(*rounding.sinusoid(self.lo, self.hi, np.cos, 0.0))

    def logsumexp(self, axis: int, *, keepdims: bool = False) -> Interval:
        if self.lo is self.hi:
            return super().logsumexp(axis, keepdims=keepdims)
        ends = (Interval(end).logsumexp(axis, keepdims=keepdims) for end in (self.lo, self.hi))
        return hull(*ends)  # it increases

    def known(self, low: float, high: float) -> Interval:
        return intersection(self, Interval(np.full(self.shape, low), np.full(self.shape, high)))

    def increasing(self, rule: Increasing) -> Interval:
        lo, hi = self._monotone(rule.function)
        return Interval(np.maximum(lo, rule.low), np.minimum(hi, rule.high))

    def entrywise(self, function: Callable[[Any], Any]) -> Interval:
        made: Interval = function(self)
        return made

    def zeros_like(self) -> Interval:
        return Interval(np.zeros(self.shape))

    def broadcast_to(self, shape: tuple[int, ...]) -> Interval:
        """Return the intervals repeated to a shape."""
        return self.moved(lambda ends, _: np.broadcast_to(ends, shape))

    def picked(self, which: NDArray[Any]) -> Interval:
        """Return the intervals at an array of indices of the first axis."""
        return self.moved(lambda ends, _: ends[which])

    def moved(self, move: Callable[[Any, int], Any]) -> Interval:
        """Return the intervals with both ends moved; points stay points."""
        return Interval(move(self.lo, 0), None if self.lo is self.hi else move(self.hi, 0))

    def _positive_part(self) -> Interval:
        """Return the intersection with [0, inf)."""
        return Interval(np.maximum(self.lo, 0.0), np.maximum(self.hi, 0.0))

    def _monotone(self, function: Callable[[Array], Array]) -> tuple[Array, Array]:
        """Return bounds of an increasing function of the C library."""
        with np.errstate(over="ignore"):
            return (
                rounding.function_down(function(self.lo)),
                rounding.function_up(function(self.hi)),
            )


def _powers(base: Interval, exponent: float) -> Interval:
    """Return base ** exponent for base >= 0 and exponent > 0."""
    with np.errstate(over="ignore"):
        if exponent == 2:
            lo, hi = rounding.down(base.lo * base.lo), rounding.up(base.hi * base.hi)
        else:
            lo = rounding.function_down(base.lo**exponent)
            hi = rounding.function_up(base.hi**exponent)
    return Interval(np.maximum(lo, 0.0), np.where(base.hi == 0, 0.0, hi))


def _signed(base: Interval, exponent: float) -> Interval:
    """Return base ** exponent for an odd exponent: increasing."""
    lo = _powers(Interval(np.abs(base.lo)), exponent)
    hi = _powers(Interval(np.abs(base.hi)), exponent)
    return Interval(np.where(base.lo < 0, -lo.hi, lo.lo), np.where(base.hi < 0, -hi.lo, hi.hi))


def added(terms: list[Interval]) -> Interval:
    """Return the sum of terms, pairwise."""
    while len(terms) > 1:
        pairs = zip(terms[::2], terms[1::2], strict=False)
        terms = [a.plus(b) for a, b in pairs] + (terms[-1:] if len(terms) % 2 else [])
    return terms[0]


def lifted(part: Any, ndim: int) -> Any:
    """Return a part (n, *S) with axes of length 1 put in, as broadcasting S to ``ndim`` would."""
    count, *rest = part.shape
    if len(rest) == ndim:
        return part
    return part.reshape((count, *(1,) * (ndim - len(rest)), *rest))


def spread(part: Interval, shape: tuple[int, ...]) -> Interval:
    """Return a part (n, *S) broadcast to values of a shape."""
    wide: Interval = lifted(part, len(shape))
    return wide.broadcast_to((len(wide), *shape))


def hull(a: Interval, b: Interval) -> Interval:
    """Return the smallest intervals that contain both."""
    return Interval(np.minimum(a.lo, b.lo), np.maximum(a.hi, b.hi))


def intersection(a: Interval, b: Interval) -> Interval:
    """Return what two enclosures of the same numbers have in common."""
    return Interval(np.maximum(a.lo, b.lo), np.minimum(a.hi, b.hi))


def rational_power(base: Interval, exponent: Fraction) -> Interval:
    """Return base ** exponent for a base >= 0, where the exponent need not be a float.

    base^q is monotone in q at every base, so the two neighbouring floats bound it.
    """
    near = float(exponent)
    if Fraction(near) == exponent:
        return base.power(near)
    below, above = math.nextafter(near, -math.inf), math.nextafter(near, math.inf)
    return hull(base.power(below), base.power(above))
