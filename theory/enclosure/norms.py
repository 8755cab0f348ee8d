"""p-norms of intervals, rounded outwards; no power under- or overflows before its root."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np

from looprate.theory.enclosure.intervals import Interval, rational_power

__all__ = ["interval_norm"]


def interval_norm(values: Interval, p: float, *, axis: int = 0) -> Interval:
    """Enclose (Σ v^p)^{1/p} of numbers v >= 0 along an axis, or the largest for p = inf.

    Parameters
    ----------
    values : Interval
        Ends >= 0; upper ones may be infinite.
    p : float
        Exponent, 1 <= p <= inf.
    axis : int

    Returns
    -------
    Interval
        Without the axis.
    """
    top = values.hi.max(axis, keepdims=True)
    largest = Interval(values.lo.max(axis), values.hi.max(axis))
    if math.isinf(p):
        return largest
    if p == 1:
        return values.reduce("sum", axis, keepdims=False)
    unit = Interval(np.where((top > 0) & np.isfinite(top), top, 1.0))
    shares = values.over(unit).maximum(0.0).power(p).reduce("sum", axis, keepdims=False)
    root = rational_power(shares.maximum(0.0), 1 / Fraction(p))
    norm = root.times(Interval(unit.lo.squeeze(axis)))
    return Interval(np.maximum(norm.lo, largest.lo), np.maximum(norm.hi, largest.hi))
