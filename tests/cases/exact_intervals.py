"""Interval arithmetic without rounding: what an enclosure would be if floats were real numbers.

Ends are mpmath numbers of :data:`BITS` bits in NumPy arrays of objects.  :func:`misfit` tells where
a float enclosure leaves an exact one out, or is wider than its own roundings explain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from looprate.theory.enclosure import Interval

__all__ = ["BITS", "Exact", "misfit", "numbers"]

BITS = 300
TINY = mpmath.mpf(2) ** -260  # roundings at 300 bits
ULP = 2.0**-52


def numbers(array: Any) -> np.ndarray:
    """Return floats as exact numbers."""
    given = np.asarray(array)
    return np.array([mpmath.mpf(float(v)) for v in given.ravel()], object).reshape(given.shape)


@dataclass(frozen=True)
class Exact:
    """Intervals [lo, hi]; operations give the hull of what they can give."""

    lo: np.ndarray
    hi: np.ndarray

    @classmethod
    def of(cls, value: Any) -> Exact:
        """Return the same intervals, or numbers as points."""
        if isinstance(value, Exact):
            return value
        if isinstance(value, Interval):
            return cls(numbers(value.lo), numbers(value.hi))
        return cls(numbers(value), numbers(value))

    def __add__(self, other: Any) -> Exact:
        b = Exact.of(other)
        return Exact(self.lo + b.lo, self.hi + b.hi)

    def __neg__(self) -> Exact:
        return Exact(-self.hi, -self.lo)

    def __sub__(self, other: Any) -> Exact:
        return self + -Exact.of(other)

    def __mul__(self, other: Any) -> Exact:
        b = Exact.of(other)
        products = [x * y for x in (self.lo, self.hi) for y in (b.lo, b.hi)]
        return Exact(np.minimum.reduce(products), np.maximum.reduce(products))

    def __truediv__(self, other: Any) -> Exact:
        b = Exact.of(other)
        assert not ((b.lo <= 0) & (b.hi >= 0)).any()
        return self * Exact(1 / b.hi, 1 / b.lo)

    def __getitem__(self, key: Any) -> Exact:
        return Exact(self.lo[key], self.hi[key])

    def __abs__(self) -> Exact:
        low = np.maximum(np.maximum(self.lo, -self.hi), mpmath.mpf(0))
        return Exact(low, np.maximum(abs(self.lo), abs(self.hi)))

    @property
    def size(self) -> np.ndarray:
        """The largest absolute values."""
        return np.maximum(abs(self.lo), abs(self.hi))

    def sum(self, axis: int, *, keepdims: bool = False) -> Exact:
        """Return sums over an axis."""
        return Exact(self.lo.sum(axis, keepdims=keepdims), self.hi.sum(axis, keepdims=keepdims))

    def exp(self) -> Exact:
        """Return the exponential."""
        e = np.vectorize(mpmath.exp, otypes=[object])
        return Exact(e(self.lo), e(self.hi))


def misfit(found: Interval, exact: Exact, ulps: float = 64, inner: float = 0.0) -> str:
    """Return what is wrong with an enclosure, "" if nothing is.

    It must hold the exact interval, but for ``inner``, and no end may be further out than ``ulps``
    of the largest entry.
    """
    if found.shape != exact.lo.shape:
        return f"shape {found.shape} for {exact.lo.shape}"
    size = max(exact.size.ravel(), default=0)
    below = exact.lo - numbers(found.lo)
    above = numbers(found.hi) - exact.hi
    for name, gap in (("lower", below), ("upper", above)):
        least, most = min(gap.ravel()), max(gap.ravel())
        if least < -(TINY + inner) * (1 + size):
            return f"the {name} end leaves out {float(-least)}"
        if most > ulps * ULP * size:
            return f"the {name} end is {float(most / size / ULP):.0f} ulp too far out"
    return ""
