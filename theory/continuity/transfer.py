"""Bounds of a modulus carried from one radius to another, exactly, rounded outward.

On a convex domain w is non-decreasing and subadditive: w(s) <= w(t) for s <= t, and
w(t) <= k w(s) for the least whole k with t <= k s.  Radii are taken as the numbers that their
floats are, so k is decided in rational arithmetic: 0.05 exceeds five times 0.01, by its last bit.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["lower_from"]

Array = NDArray[np.float64]
Rule = Literal["pair", "monotone", "subadditive"]
MOST_PIECES = 2**16


def pieces(radius: float, step: float) -> int:
    """Return the least whole k >= 1 with radius <= k step, exactly.

    Parameters
    ----------
    radius, step : float
        Finite; ``step`` > 0.

    Raises
    ------
    ValueError
        If they are out of range.
    """
    if not (math.isfinite(radius) and math.isfinite(step) and radius >= 0 and step > 0):
        raise ValueError(
            f"`radius` must be finite and >= 0 and `step` finite and > 0, got {radius:g}, {step:g}"
        )
    return max(1, math.ceil(Fraction(radius) / Fraction(step)))


def lower_from(delta: float, known: Iterable[tuple[float, float]]) -> tuple[float, float | None]:
    """Return the largest lower bound of w(delta) that follows from others, and whose.

    Parameters
    ----------
    delta : float
        Radius >= 0.
    known : iterable of (radius, lower bound)

    Returns
    -------
    lower : float
        Rounded down; 0.0 where nothing follows.
    source : float or None
        The radius that it follows from.
    """
    best, source = 0.0, None
    for radius, lower in known:
        offer = _carried_down(delta, radius, lower)
        if offer > best:
            best, source = offer, radius
    return best, source


def upper_from(delta: float, known: Iterable[tuple[float, float]]) -> tuple[float, str]:
    """Return the least upper bound of w(delta) that follows from others, and its rule.

    Parameters
    ----------
    delta : float
        Radius >= 0.
    known : iterable of (radius, upper bound)

    Returns
    -------
    upper : float
        Rounded up; inf where nothing follows.
    rule : {"direct", "monotone", "subadditive"}
        ``"direct"`` where nothing follows.
    """
    best, rule = math.inf, "direct"
    for radius, upper in known:
        if radius <= 0 or math.isinf(upper):
            continue
        parts = pieces(delta, radius)
        offer = _rounded_up(Fraction(upper) * parts)
        if offer < best:
            best, rule = offer, "monotone" if parts == 1 else "subadditive"
    return best, rule


def strengthened_lower_bounds(
    delta: ArrayLike, direct: ArrayLike
) -> tuple[Array, tuple[Rule, ...], Array]:
    """Strengthen lower bounds of one modulus by monotonicity and subadditivity.

    w(t) >= w(s) for s <= t, and w(t) >= w(s)/k for s > t and the least k with s <= k t.  A k above
    2^16 is left out: so many pieces of a pair are never tried for the one that attains the bound.

    Parameters
    ----------
    delta : array of shape (L,)
        Radii >= 0.
    direct : array of shape (L,)
        Lower bounds at these radii.

    Returns
    -------
    lower : array of shape (L,)
    rules : tuple of {"pair", "monotone", "subadditive"}
    sources : array of shape (L,)
        The radius each value comes from.

    Raises
    ------
    ValueError
        If the shapes differ or are not (L,).
    """
    radii, values = np.asarray(delta, dtype=float), np.asarray(direct, dtype=float)
    if radii.ndim != 1 or radii.shape != values.shape:
        raise ValueError(
            f"`delta` and `direct` must both have shape (L,), got {radii.shape}, {values.shape}"
        )
    known = list(zip(radii.tolist(), values.tolist(), strict=True))
    lower: list[float] = []
    rules: list[Rule] = []
    sources: list[float] = []
    for radius, value in known:
        near = [pair for pair in known if pair[0] <= MOST_PIECES * radius]
        best, source = lower_from(radius, near)
        if source is None or best <= value:
            best, source = value, radius
            rules.append("pair")
        else:
            rules.append("monotone" if source <= radius else "subadditive")
        lower.append(best)
        sources.append(source)
    return np.array(lower), tuple(rules), np.array(sources)


def _carried_down(delta: float, radius: float, lower: float) -> float:
    """What a lower bound at one radius says at another; 0 where it says nothing."""
    if radius <= delta:
        return lower
    if delta <= 0:
        return 0.0  # nothing reaches radius 0
    parts = pieces(radius, delta)
    attained = min(lower, sys.float_info.max)  # inf stands for an overflow, and for no more
    return _rounded_down(Fraction(attained) / parts)


def _rounded_down(value: Fraction) -> float:
    """The largest float at most a number >= 0."""
    near = _nearest(value)
    return near if math.isfinite(near) and Fraction(near) <= value else math.nextafter(near, 0.0)


def _rounded_up(value: Fraction) -> float:
    """The smallest float at least a number >= 0."""
    near = _nearest(value)
    return near if math.isinf(near) or Fraction(near) >= value else math.nextafter(near, math.inf)


def _nearest(value: Fraction) -> float:
    """The float nearest to a number, inf beyond them."""
    try:
        return float(value)
    except OverflowError:
        return math.inf
