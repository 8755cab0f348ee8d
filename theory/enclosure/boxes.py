r"""Two-sided enclosures of L^p errors against a function that is constant on boxes.

Let e = y - f on a box, one entry, with f(X) = f(c) + g·(X - c) + ρ(X)
(:class:`~looprate.theory.enclosure.forms.LocalForm`), and X uniform on the box with sides h around
its centre.  Then e = A - ρ with A = α - Σ u_k, α = y - f(c), and u_k independent, uniform on [-a_k,
a_k], a_k = |g_k| h_k / 2, and |ρ| <= Σ r_k |X - c|_k with radii r_k of slopes.  Put s = Σ a_k, R =
Σ r_k h_k / 2 and m = E|A|^p, bounded in :mod:`looprate.theory.enclosure.moments`. The mean of |e|^p
over the box lies between::

    by its mean      (|α| - R/2)_+^p, because E|e|^p >= |E e|^p (Jensen) and E|ρ| <= R/2
    by its norm      (m^{1/p} - r)_+^p and (m^{1/p} + r)^p with r = R/(p+1)^{1/p} (Minkowski),
                     because (E|X - c|_k^p)^{1/p} = h_k/2 / (p+1)^{1/p}
    by the range     min |y - f|^p and max |y - f|^p over an enclosure of f on the box,

and the best of them is taken.  For p = inf the supremum of |e| lies between |α| + s - R (an affine
function takes its bounds at corners) and |α| + s + R, and by the range.

Corners: a cell [j/m, (j+1)/m] has corners that floats miss by half an ulp.  Every end of a box
stands for a true end within one ulp of it, but 0 and 1 are exact; true boxes tile the cube as the
given ones do.  Ranges and slopes are taken on boxes widened by an ulp, half sides and volumes are
intervals that contain the true ones, and c is off the true centre by at most two ulp, which adds
(|g_k| + r_k) times as much to R/2 and r.  What the affine form of
:class:`~looprate.theory.enclosure.forms.SharedSymbols` misses, however far from c, is added there,
too.  So results are valid for the float boxes and for the
rational cells they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.columns import Columns
from looprate.theory.enclosure.forms import (
    SharedSymbols,
    affine_form,
    check_boxes,
    directions,
    local_form,
)
from looprate.theory.enclosure.intervals import Interval, rational_power
from looprate.theory.enclosure.moments import absolute_moments
from looprate.theory.enclosure.rounding import EPS, TINY
from looprate.theory.notation import check_p

__all__ = ["cell_boxes"]

Array = NDArray[np.float64]
Function = Callable[[Any], Any]
CHUNK = 2**15  # slopes of output entries evaluated together: bounds the memory
SHARED_CHUNK = 2**10  # the same of affine forms, whose many symbols should stay in a cache
HUGE, FAINT = 1e100, 1e-100  # order of the sides: unbounded slopes first, equal ones by length
LARGEST_GRID = 2**26  # cells a side; far below 2^52, where 0 and 1 would not be exact


@dataclass(frozen=True)
class BoxErrors(Columns):
    """Bounds of ∫_box Σ |y - f|^p (or of the supremum), and where they are loose.

    Attributes
    ----------
    lower, upper : ndarray of shape (B,)
    side : ndarray of shape (B,)
        The input direction, 0 to N·d - 1, along which a box is best cut.
    """

    lower: Array
    upper: Array
    side: NDArray[np.intp]


def cell_boxes(indices: Any, grid: int) -> tuple[Array, Array]:
    """Return the float corners of cells of the cube, j/m and (j+1)/m.

    Parameters
    ----------
    indices : integer array of shape (B, N, d)
        j, from 0 to grid - 1.
    grid : int
        m, cells a side.

    Returns
    -------
    low, high : ndarray of shape (B, N, d)
        Each number within half an ulp of the true corner; what that means for enclosures is said
        at the top of the module.

    Raises
    ------
    TypeError, ValueError
        If the indices are no integers from 0 to grid - 1.
    """
    cells = np.asarray(indices)
    if cells.dtype.kind not in "iu":
        raise TypeError(f"`indices` must hold integers, got {cells.dtype}")
    if not 1 <= grid <= LARGEST_GRID:
        raise ValueError(f"`grid` must be from 1 to {LARGEST_GRID}, got {grid}")
    if cells.ndim != 3 or (cells.size and not (cells.min() >= 0 and cells.max() < grid)):
        raise ValueError(
            f"`indices` must have shape (B, N, d) and lie from 0 to grid - 1 = {grid - 1}, got "
            f"shape {cells.shape}" + (f", {cells.min()} to {cells.max()}" if cells.size else "")
        )
    return cells / grid, (cells + 1) / grid


@np.errstate(all="ignore")
def box_errors(
    target: Function, low: Any, high: Any, outputs: Any, *, p: float, scale: float = 1.0
) -> BoxErrors:
    """Return bounds of ∫_box Σ_{n,i} |y - f|^p dX, or of the supremum of |y - f| for p = inf.

    Parameters
    ----------
    target : Target or function
        f, see :func:`looprate.theory.enclosure.enclose`.
    low, high : array_like of shape (B, N, d)
        Corners, see the top of the module.
    outputs : Interval or array_like of shape (B, N, d)
        y, the constant on each box; numbers are taken as exact.
    p : float
        Exponent, 1 <= p <= inf.
    scale : float
        Finite and > 0: |y - f| is divided by it.

    Raises
    ------
    ValueError
        If an argument is out of range or the function has no enclosure.
    """
    exponent = check_p(p)
    low, high = check_boxes(low, high)
    y = outputs if isinstance(outputs, Interval) else Interval(outputs)
    if y.shape != low.shape:
        raise ValueError(f"`outputs` must have the shape of the boxes {low.shape}, got {y.shape}")
    entries = low[0].size if len(low) else 1
    size = SHARED_CHUNK if isinstance(target, SharedSymbols) else CHUNK
    step = max(1, size // entries**2)
    parts = [
        _errors(target, low[k : k + step], high[k : k + step], y[k : k + step], exponent, scale)
        for k in range(0, len(low), step)
    ]
    if not parts:
        return BoxErrors(np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.intp))
    return BoxErrors.joined(parts)


def _errors(
    target: Function, low: Array, high: Array, y: Interval, p: float, scale: float
) -> BoxErrors:
    """Return the bounds of one chunk."""
    ulp = EPS * np.maximum(np.abs(low), np.abs(high)) + TINY  # of either end, at least
    exact_low, exact_high = (low == 0) | (low == 1), (high == 0) | (high == 1)
    wide = np.where(exact_low, low, low - ulp), np.where(exact_high, high, high + ulp)
    shared = isinstance(target, SharedSymbols)
    form, missed = affine_form(target, *wide) if shared else (local_form(target, *wide), 0.0)
    half = Interval(high).plus(Interval(-low)).times(Interval(0.5)).plus(Interval(-ulp, ulp))
    half = half.maximum(0.0)
    slopes = abs(Interval(form.gradient))
    parts = slopes.times(directions(half))  # a_k, (N·d, B, N, d)
    spread = Interval(form.spread)
    wobble = spread.times(directions(half))
    rest = wobble.reduce("sum", 0, keepdims=False)
    shift = slopes.plus(spread).times(directions(Interval(2 * ulp)))
    shift = shift.reduce("sum", 0, keepdims=False).plus(Interval(missed))
    alpha, outside = abs(y.plus(-form.value)), abs(y.plus(-form.bounds))
    lost = wobble.hi + np.where(parts.hi > 0, parts.hi, TINY) * missed  # of what is missed at all
    side = _side(lost.sum((2, 3)), alpha, parts, low, high)
    if scale != 1:  # all of them are >= 0
        unit = Interval(scale)
        alpha, parts, rest, shift, outside = (
            each.over(unit).maximum(0.0) for each in (alpha, parts, rest, shift, outside)
        )
    lower, upper = _entry_bounds(alpha, parts, rest, shift, p)
    outside = outside if math.isinf(p) else outside.power(p)
    lower, upper = np.maximum(lower, outside.lo), np.minimum(upper, outside.hi)
    if math.isinf(p):
        return BoxErrors(lower.max((1, 2)), upper.max((1, 2)), side)
    integral = Interval(lower, upper).sum((1, 2)).times(_volumes(half))
    return BoxErrors(np.maximum(integral.lo, 0.0), integral.hi, side)


def _volumes(half: Interval) -> Interval:
    """Return the volumes (B,) of boxes with half sides (B, N, d)."""
    sides = half.times(Interval(2.0)).reshape((len(half), -1))
    volume = sides[:, 0]
    for k in range(1, sides.shape[1]):
        volume = volume.times(sides[:, k])
    return volume


def _entry_bounds(
    alpha: Interval, parts: Interval, rest: Interval, shift: Interval, p: float
) -> tuple[Array, Array]:
    """Return bounds of the mean of |e|^p from the affine form, see the top of the module.

    ``alpha`` holds |α|, ``rest`` Σ r_k h_k / 2 and ``shift`` what the true centre adds, all of
    shape (B, N, d); ``parts`` holds a_k, (N·d, B, N, d).
    """
    s = parts.reduce("sum", 0, keepdims=False)
    if math.isinf(p):
        reach, r = alpha.plus(s), rest.plus(shift)
        return np.maximum(reach.plus(-r).lo, 0.0), reach.plus(r).hi
    root = 1 / Fraction(p)
    r = rest.over(rational_power(Interval(p).plus(Interval(1.0)), root)).plus(shift)
    mean_r = rest.times(Interval(0.5)).plus(shift)
    jensen = alpha.plus(-mean_r).maximum(0.0).power(p)
    size = rational_power(absolute_moments(alpha, parts, p), root)
    below, above = size.plus(-r).maximum(0.0).power(p), size.plus(r).power(p)
    return np.maximum(jensen.lo, below.lo), above.hi


def _side(
    wobble: Array, alpha: Interval, parts: Interval, low: Array, high: Array
) -> NDArray[np.intp]:
    """Return which side of each box adds most to the gap; only speed depends on it.

    Remainders count in full, affine parts by s / |α|: far from a zero of the error they matter to
    second order.
    """
    total = parts.hi.sum(0)
    share = np.minimum(total / np.maximum(alpha.hi, np.maximum(total, TINY)), 1.0)
    gain = wobble + (parts.hi * share).sum((2, 3))
    length = (high - low).reshape(len(low), -1).T
    gain = np.where(np.isfinite(gain), gain, HUGE * length) + FAINT * length
    return np.argmax(gain, axis=0)
