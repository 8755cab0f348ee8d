r"""Absolute moments of affine functions on a box, between proven bounds.

A = α + Σ u_k with independent u_k uniform on [-a_k, a_k], s = Σ a_k; the bounds of m = E|A|^p are

* |α|^p from below (Jensen) and ((|α|+s)^p + ||α|-s|^p)/2 from above, because |A|^p is a convex
  function of a number in [-s, s] with mean 0;
* by the second and fourth moment, M2 = α² + v and M4 = α⁴ + 6 α² v + 3 v² - (2/15) Σ a_k⁴ with
  v = Σ a_k²/3 (kurtosis of the uniform distribution).  (E|A|^q)^{1/q} grows in q and log E|A|^q is
  convex in q, so that with L = M2^{(4-p)/2} M4^{(p-2)/2}

      p <= 2: L <= m <= M2^{p/2};    2 <= p <= 4: M2^{p/2} <= m <= L;    p > 4: M2^{p/2} <= m;

* in closed form: with F_j(x) = |x|^{p+j} sign(x)^j / ((p+1)···(p+j)), the j-fold antiderivative of
  |x|^p, integrating over j of the u_k gives

      E|α + u_1 + ... + u_j|^p = Σ_{signs σ} σ_1···σ_j F_j(α + Σ σ_k a_k) / Π 2 a_k.

  The other parts, too small to divide by or too many, are left out for the lower side (Jensen) and
  for the upper side replaced by ±s', s' the sum of theirs, each with probability 1/2 (a convex
  function of a mean-zero number in [-s', s']).
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.intervals import Interval, intersection, rational_power

Array = NDArray[np.float64]
MOST_PARTS = 4  # parts integrated in closed form, 2^4 corners
SMALLEST_PART = 1e-2  # of the sum of all; smaller ones cancel too many digits
NEAR_ZERO = 64.0  # |α| / s up to which the closed form is worth its cancellation
NEAR_ZERO_ALONE = 1000.0  # ... for p > 4, where M4 gives no upper bound


def absolute_moments(alpha: Interval, parts: Interval, p: float) -> Interval:
    """Return bounds of E|α + Σ u_k|^p.

    Parameters
    ----------
    alpha : Interval of shape S
        |α|, >= 0.
    parts : Interval of shape ``(K, *S)``
        a_k >= 0.
    p : float
        Exponent, 1 <= p < inf.

    Returns
    -------
    Interval of shape S
    """
    found = _by_even_moments(alpha, parts, p)
    if p in (2, 4):
        return found  # exact
    found = intersection(found, _by_convexity(alpha, parts, p))
    lower, upper = found.lo.ravel(), found.hi.ravel()
    flat, rows = alpha.reshape(-1), parts.reshape((parts.shape[0], -1))
    order = np.argsort(-rows.hi, axis=0, kind="stable")
    low, high = np.take_along_axis(rows.lo, order, 0), np.take_along_axis(rows.hi, order, 0)
    total = high.sum(0)
    reach = 1.0 if p == 1 else NEAR_ZERO if p < 4 else NEAR_ZERO_ALONE  # p = 1: m = |α| beyond s
    near = flat.lo < reach * total
    count = (low[:MOST_PARTS] > SMALLEST_PART * total).sum(0)
    for j in range(1, MOST_PARTS + 1):
        where = np.flatnonzero(near & (count == j))
        if len(where):
            main = Interval(low[:j, where], high[:j, where])
            rest = Interval(low[j:, where], high[j:, where])
            closed = _closed_form(flat.picked(where), main, rest, p)
            lower[where] = np.maximum(lower[where], closed.lo)
            upper[where] = np.minimum(upper[where], closed.hi)
    return Interval(lower.reshape(alpha.shape), upper.reshape(alpha.shape))


def _by_convexity(alpha: Interval, parts: Interval, p: float) -> Interval:
    """Return the bounds by Jensen's inequality and by two points."""
    s = parts.reduce("sum", 0, keepdims=False)
    if p == 1:  # the two points without rounding: the larger of |α| and s
        return Interval(alpha.lo, np.maximum(alpha.hi, s.hi))
    ends = [abs(alpha.plus(end)).power(p) for end in (s, -s)]
    return Interval(alpha.power(p).lo, ends[0].plus(ends[1]).times(Interval(0.5)).hi)


def _by_even_moments(alpha: Interval, parts: Interval, p: float) -> Interval:
    """Return the bounds by the second and the fourth moment."""
    squares = parts.power(2.0)
    mean = alpha.power(2.0)
    variance = squares.reduce("sum", 0, keepdims=False).over(Interval(3.0))
    second = mean.plus(variance)
    exponent = Fraction(p)
    plain = rational_power(second, exponent / 2)
    if p == 2:
        return plain
    if p > 4:
        return Interval(plain.lo, np.full(alpha.shape, np.inf))
    fourths = squares.power(2.0).reduce("sum", 0, keepdims=False)
    fourth = mean.power(2.0).plus(mean.times(variance).times(Interval(6.0)))
    fourth = fourth.plus(variance.power(2.0).times(Interval(3.0)))
    fourth = fourth.plus(-fourths.times(Interval(2.0).over(Interval(15.0)))).maximum(0.0)
    if p == 4:
        return fourth
    mixed = rational_power(second, (4 - exponent) / 2).times(
        rational_power(fourth, (exponent - 2) / 2)
    )
    return Interval(mixed.lo, plain.hi) if p < 2 else Interval(plain.lo, mixed.hi)


def _closed_form(alpha: Interval, main: Interval, rest: Interval, p: float) -> Interval:
    """Return the bounds by integrating over the main parts (j, E), the rest (K-j, E) bounded."""
    centre = _integrated(alpha, main, p)
    if not rest.hi.any():
        return centre
    spread = rest.reduce("sum", 0, keepdims=False)
    ends = _integrated(alpha.plus(spread), main, p).plus(_integrated(alpha.plus(-spread), main, p))
    return Interval(centre.lo, ends.times(Interval(0.5)).hi)


def _integrated(alpha: Interval, main: Interval, p: float) -> Interval:
    """Return E|α + u_1 + ... + u_j|^p by the sum over the corners."""
    count = main.shape[0]
    exponent = Fraction(p) + count
    total = Interval(np.zeros(alpha.shape))
    for minus in product((False, True), repeat=count):
        corner = alpha
        for k, negative in enumerate(minus):
            corner = corner.plus(-main[k] if negative else main[k])
        term = _signed_power(corner, exponent) if count % 2 else _even_power(corner, exponent)
        total = total.plus(-term if sum(minus) % 2 else term)
    for k in range(count):
        total = total.over(main[k].times(Interval(2.0)))
        total = total.over(Interval(p).plus(Interval(k + 1.0)))
    return total


def _even_power(x: Interval, exponent: Fraction) -> Interval:
    """Return |x| ** exponent."""
    return rational_power(abs(x), exponent)


def _signed_power(x: Interval, exponent: Fraction) -> Interval:
    """Return sign(x) |x| ** exponent, which increases."""
    low = rational_power(Interval(np.abs(x.lo)), exponent)
    high = rational_power(Interval(np.abs(x.hi)), exponent)
    return Interval(np.where(x.lo < 0, -low.hi, low.lo), np.where(x.hi < 0, -high.lo, high.hi))
