"""Outward rounding: lower and upper bounds of what a float64 operation rounded to nearest.

One IEEE operation returns the float nearest to the exact result, so that the exact result lies
between the two neighbours of the float.  The functions of the C library and of NumPy's vector loops
promise less; what is assumed of them is ``LIBM_ULPS``, and the tests hold it against mpmath.

Why ``down`` and ``up`` are bounds: with e = fl(2^-52 |x| + 2^-1074) one has e >= ulp(x) (2^-52 |x|
is at least ulp(x) for normal x, and 2^-1074 is ulp(x) below), so x - e is at most the predecessor
of x, which is a float, and rounding is monotone.  They move by one to two ulp, and take a quarter
of the time of ``numpy.nextafter``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["EPS", "TINY", "up_sum"]

Array = NDArray[np.float64]

EPS = 2.0**-52  # ulp(x) <= EPS |x| for normal x
TINY = 2.0**-1074  # the smallest positive float
EXACT_KINDS = "fiub"  # number types whose values are float64 values, up to size
LARGEST_INTEGER = 2.0**53
LARGEST = float(np.finfo(np.float64).max)
LIBM_ULPS = 4  # of exp, log, sin, cos, tanh, pow: assumed error in ulp of the exact value
FUNCTION_SLACK = (LIBM_ULPS + 1) * EPS  # |y - t| <= 4 EPS |t| gives |y - t| <= 5 EPS |y|
FUNCTION_TINY = (LIBM_ULPS + 1) * TINY
WHOLE_TURN = 2 * math.pi
LARGEST_ANGLE = 1e6  # beyond it sin and cos are only known to lie in [-1, 1]
TURN_SLACK = 8 * EPS  # of |turns| + 1; three roundings of 2^-53 and that of 2π come to less


def exact_floats(value: Any, name: str) -> Array:
    """Return numbers as float64, or raise where that would change them."""
    given = np.asarray(value)
    if given.dtype.kind not in EXACT_KINDS:
        raise TypeError(f"`{name}` must hold real numbers, got {given.dtype}")
    array = given.astype(np.float64, copy=False)
    if given.dtype.kind in "iu" or given.dtype.itemsize > 8:
        small = (np.abs(array) <= LARGEST_INTEGER).all()
        if not (small and (array.astype(given.dtype) == given).all()):
            raise ValueError(
                f"`{name}` must hold numbers that float64 represents, got {given.dtype} beyond it"
            )
    return array


def down(x: Array) -> Array:
    """Return floats below every real that rounds to ``x``; +inf (an overflow) turns finite."""
    with np.errstate(over="ignore"):
        finite = np.minimum(x, LARGEST)
        return finite - (np.abs(finite) * EPS + TINY)


def up(x: Array) -> Array:
    """Return floats above every real that rounds to ``x``; -inf (an overflow) turns finite."""
    with np.errstate(over="ignore"):
        finite = np.maximum(x, -LARGEST)
        return finite + (np.abs(finite) * EPS + TINY)


def down_sum(x: Array) -> Array:
    """Return lower bounds of sums that rounded to ``x``: sums never underflow, 0 stays 0."""
    with np.errstate(over="ignore"):
        finite = np.minimum(x, LARGEST)
        return finite - np.abs(finite) * EPS


def up_sum(x: Array) -> Array:
    """Return upper bounds of sums that rounded to ``x``: sums never underflow, 0 stays 0."""
    with np.errstate(over="ignore"):
        finite = np.maximum(x, -LARGEST)
        return finite + np.abs(finite) * EPS


def function_down(y: Array) -> Array:
    """Return lower bounds of values computed within ``LIBM_ULPS`` as ``y``."""
    with np.errstate(over="ignore"):
        finite = np.minimum(y, LARGEST)
        return down(finite - (np.abs(finite) * FUNCTION_SLACK + FUNCTION_TINY))


def function_up(y: Array) -> Array:
    """Return upper bounds of values computed within ``LIBM_ULPS`` as ``y``."""
    return -function_down(-y)


def extremes(operation: Any, a: Array, b: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """Return the least and the largest of an operation over the ends of [a, b] and [c, d].

    Ends that are one and the same array, points, are taken once; NaN, from 0 * inf and inf / inf,
    counts as 0.
    """
    first = [a] if a is b else [a, b]
    second = [c] if c is d else [c, d]
    results = [operation(x, y) for x in first for y in second]
    lo = hi = results[0]
    for other in results[1:]:
        lo, hi = np.minimum(lo, other), np.maximum(hi, other)
    if np.isnan(lo).any():
        results = [np.where(np.isnan(r), 0.0, r) for r in results]
        lo, hi = np.minimum.reduce(results), np.maximum.reduce(results)
    return lo, hi


def long_product(lo: Array, hi: Array, b: Array) -> tuple[Array, Array]:
    """Return bounds of the matrix product of intervals (..., n) and points (n, m).

    Midpoints and radii are multiplied.  A sum of n products in any order, fused or not, is off by
    at most (n+1) 2^-53 Σ|a||b| to first order, and n 2^-1074 from underflow; twice that is allowed
    for, and the computed sizes themselves get a factor 1 + 4 (n+2) EPS.
    """
    terms, width = b.shape
    shape = (*lo.shape[:-1], width)
    with np.errstate(over="ignore", invalid="ignore"):
        middle = lo / 2 + hi / 2
        radius = np.maximum(up_sum(hi - middle), up_sum(middle - lo)).reshape(-1, terms)
        middle = middle.reshape(-1, terms)
        centre, slack = middle @ b, (terms + 2) * EPS
        reach = (radius + slack * np.abs(middle)) @ np.abs(b) * (1 + 4 * slack)
        reach += 4 * terms * TINY
        lower, upper = down_sum(centre - reach), up_sum(centre + reach)
    known = np.isfinite(centre) & np.isfinite(reach)
    lower, upper = np.where(known, lower, -np.inf), np.where(known, upper, np.inf)
    return lower.reshape(shape), upper.reshape(shape)


def sinusoid(
    lo: Array, hi: Array, function: Callable[[Array], Array], peak: float
) -> tuple[Array, Array]:
    """Return bounds of sin or cos over [lo, hi].

    Parameters
    ----------
    lo, hi : ndarray of equal shape
        Ends of the arguments.
    function : callable
        ``numpy.sin`` or ``numpy.cos``, assumed within ``LIBM_ULPS`` EPS absolutely up to
        ``LARGEST_ANGLE``.
    peak : float
        Where in a turn the maximum 1 is: 1/4 or 0; the minimum is half a turn on.

    Returns
    -------
    lower, upper : ndarray

    Notes
    -----
    Counted in turns t = x/2π, known within ``TURN_SLACK`` (|t| + 1), an extremum lies inside unless
    no integer does between the ends, each moved outwards by its slack.  Otherwise the function is
    monotone on [lo, hi] and takes its bounds at the ends.
    """
    known = (lo >= -LARGEST_ANGLE) & (hi <= LARGEST_ANGLE)
    left, right = np.where(known, lo, 0.0), np.where(known, hi, 0.0)
    at_left, at_right = function(left), function(right)
    lower = np.minimum(at_left, at_right) - FUNCTION_SLACK
    upper = np.maximum(at_left, at_right) + FUNCTION_SLACK
    highest = ~known | _passes(left, right, peak)
    lowest = ~known | _passes(left, right, peak + 0.5)
    return (
        np.where(lowest, -1.0, np.maximum(lower, -1.0)),
        np.where(highest, 1.0, np.minimum(upper, 1.0)),
    )


def _passes(lo: Array, hi: Array, phase: float) -> NDArray[np.bool_]:
    """Tell where [lo, hi] may hold an angle of ``phase`` turns plus whole turns."""
    first, last = lo / WHOLE_TURN, hi / WHOLE_TURN
    first = first - phase - TURN_SLACK * (np.abs(first) + 1)
    last = last - phase + TURN_SLACK * (np.abs(last) + 1)
    return np.ceil(first) <= np.floor(last)
