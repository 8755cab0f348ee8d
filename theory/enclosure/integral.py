"""The L^p error against a function that is constant on boxes, enclosed by cutting boxes.

The bounds of one box, and their proofs, are in :mod:`looprate.theory.enclosure.boxes`.  Sums over
boxes are rounded once, outwards; however many there are, the result contains the true error.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.boxes import box_errors
from looprate.theory.enclosure.columns import Columns
from looprate.theory.enclosure.deadline import OutOfTimeError, until
from looprate.theory.enclosure.forms import check_boxes
from looprate.theory.enclosure.intervals import Interval, rational_power
from looprate.theory.enclosure.rounding import down, up
from looprate.theory.enclosure.soundness import check_arithmetic
from looprate.theory.notation import check_p

__all__ = ["error_norm"]

Array = NDArray[np.float64]
LARGEST = 1e290  # stands for infinity where boxes are ordered
AIM = 0.9  # of the tolerated gap, aimed at when boxes are chosen
CUT = 0.5  # what one cut is expected to leave of the gap of a box
MOST_CUT = 2**17  # boxes cut in one round: bounds the memory
UNCUT_EXPONENT = 20.0  # up to which the range on the given boxes is scale enough
SPREAD = 60.0  # e^-60 of the largest power is far from underflow
SUPREMUM_SHARE = 4  # of the boxes, a quarter for the supremum


@dataclass(frozen=True)
class ErrorIntegral:
    """A certified enclosure of Σ_boxes weight · ∫ Σ |y - f|^p, its p-th root or, p = inf, supremum.

    Attributes
    ----------
    lower, upper : float
        The true value lies between them, however many boxes there are.
    boxes : int
        Boxes evaluated.
    converged : bool
        Whether upper - lower <= tolerance * upper.
    """

    lower: float
    upper: float
    boxes: int
    converged: bool


@dataclass(frozen=True)
class _Leaves(Columns):
    """Boxes that tile the given ones, with their bounds; first axis B everywhere."""

    low: Array
    high: Array
    y_low: Array
    y_high: Array
    weight: Array
    lower: Array
    upper: Array
    side: NDArray[np.intp]


@np.errstate(all="ignore")
def error_integral(
    target: Callable[[Any], Any],
    low: Any,
    high: Any,
    outputs: Any,
    *,
    p: float,
    weights: Any = None,
    tolerance: float = 1e-3,
    boxes: int = 2_000_000,
    report: Callable[[float], None] | None = None,
    scale: float = 1.0,
    end: float = math.inf,
) -> ErrorIntegral:
    """Enclose ∫ Σ_{n,i} |y - f|^p dX over boxes, or the supremum of |y - f| for p = inf.

    Parameters
    ----------
    target : Target or function
        f, see :func:`looprate.theory.enclosure.enclose`.
    low, high : array_like of shape (B, N, d)
        Corners of boxes that do not overlap; cells come from
        :func:`looprate.theory.enclosure.boxes.cell_boxes`, which says how their rounding is
        handled.
    outputs : Interval or array_like of shape (B, N, d)
        y on each box; numbers are taken as exact.
    p : float
        Exponent, 1 <= p <= inf.
    weights : integer array of shape (B,), optional
        How many boxes each stands for, by symmetry; 1 where left out.  Only whether a weight is 0
        matters for p = inf.
    tolerance : float
        Stop at upper - lower <= tolerance * upper.
    boxes : int
        Stop before more boxes than this are evaluated; the given boxes are evaluated in any case.
    report : callable, optional
        Called after each round with the share of the way to the end, from 0 to 1.
    scale : float
        Finite and > 0: |y - f| is divided by it.
    end : float
        Monotonic time after which no more boxes are cut.

    Returns
    -------
    ErrorIntegral

    Raises
    ------
    ValueError
        If an argument is out of range or the function has no enclosure.
    OutOfTimeError
        If the time is over before the given boxes are evaluated.

    Notes
    -----
    Boxes with the largest gaps are cut in half, rounds of many at a time, along the side that adds
    most to the gap.  A box too thin to be cut is left as it is.
    """
    exponent = check_p(p)
    check_arithmetic()
    given = _given(low, high, outputs, weights)
    clock = _Clock(end)
    leaves = clock.evaluated(target, *given, exponent, scale)
    _check_tolerance(tolerance)
    count = len(leaves.low)
    lower, upper = _totals(leaves, exponent)
    while not (closed := _closed(lower, upper, tolerance)):
        room = min((boxes - count) // 2, MOST_CUT, clock.room() // 2)
        chosen = _to_cut(leaves, exponent, lower, tolerance * min(upper, LARGEST), room)
        if not chosen.any():
            break
        try:
            halves = clock.evaluated(target, *_halves(leaves.picked(chosen)), exponent, scale)
        except OutOfTimeError:
            break
        leaves = _Leaves.joined([leaves.picked(~chosen), halves])
        count += len(halves.low)
        lower, upper = _totals(leaves, exponent)
        if report is not None:
            report(_share(upper - lower, tolerance * upper, max(count / boxes, clock.spent())))
    check_arithmetic()  # the function may have changed it
    return ErrorIntegral(lower, upper, count, closed)


@np.errstate(all="ignore")
def error_norm(
    target: Callable[[Any], Any],
    low: Any,
    high: Any,
    outputs: Any,
    *,
    p: float,
    tolerance: float = 1e-3,
    boxes: int = 2_000_000,
    weights: Any = None,
    report: Callable[[float], None] | None = None,
    end: float = math.inf,
) -> ErrorIntegral:
    """Enclose the p-th root of :func:`error_integral`, whose powers may leave the floats.

    Parameters
    ----------
    target, low, high, outputs, p, boxes, weights, report, end
        As in :func:`error_integral`.
    tolerance : float
        Stop at upper - lower <= tolerance * upper, of the root.

    Notes
    -----
    |y - f| is divided by an upper bound of its supremum, sharper for larger p, so that the powers
    that count are near 1.
    """
    exponent = check_p(p)
    enclosed = partial(error_integral, target, low, high, outputs, weights=weights)
    if exponent in (1, math.inf):
        return enclosed(p=p, tolerance=tolerance, boxes=boxes, report=report, end=end)
    _check_tolerance(tolerance)
    cuts = 0 if exponent <= UNCUT_EXPONENT else boxes // SUPREMUM_SHARE
    half = time.monotonic() + (end - time.monotonic()) / 2
    top = enclosed(p=math.inf, tolerance=SPREAD / exponent, boxes=cuts, end=half)
    scale = top.upper if 0 < top.upper < math.inf else 1.0
    power = -math.expm1(-exponent * tolerance)  # 1 - (1 - t)^p, about
    left = max(boxes - top.boxes, 1)
    found = enclosed(p=p, tolerance=power, boxes=left, report=report, scale=scale, end=end)
    lower, upper = norm_from_integral(found.lower, found.upper, exponent)
    norm = Interval(lower, upper).times(Interval(scale)).maximum(0.0)
    ends = float(norm.lo), float(norm.hi)
    return ErrorIntegral(*ends, top.boxes + found.boxes, _closed(*ends, tolerance))


@np.errstate(all="ignore")
def norm_from_integral(lower: float, upper: float, p: float) -> tuple[float, float]:
    """Return bounds of an L^p error from bounds of its p-th power, rounded outwards.

    Parameters
    ----------
    lower, upper : float
        Bounds of ∫ Σ |y - f|^p, 0 <= lower <= upper; of the supremum for p = inf.
    p : float
        Exponent, 1 <= p <= inf.

    Raises
    ------
    ValueError
        If an argument is out of range.
    """
    exponent = check_p(p)
    if not 0 <= lower <= upper:
        raise ValueError(f"`lower` and `upper` must be 0 <= lower <= upper, got {lower}, {upper}")
    if math.isinf(exponent):
        return float(lower), float(upper)
    root = rational_power(Interval(float(lower), float(upper)), 1 / Fraction(exponent))
    return float(root.lo), float(root.hi)


def _check_tolerance(tolerance: float) -> None:
    """Raise unless a tolerance is finite and > 0."""
    if not (tolerance > 0 and math.isfinite(tolerance)):
        raise ValueError(f"`tolerance` must be a finite number > 0, got {tolerance}")


def _given(low: Any, high: Any, outputs: Any, weights: Any) -> tuple[Array, Array, Interval, Array]:
    """Return the arguments as arrays, checked."""
    low, high = check_boxes(low, high)
    if not len(low):
        raise ValueError("`low` must hold at least one box, got none")
    y = outputs if isinstance(outputs, Interval) else Interval(outputs)
    if weights is None:
        return low, high, y, np.ones(len(low))
    given = np.asarray(weights)
    if given.dtype.kind not in "iu" or given.shape != (len(low),) or (given < 0).any():
        raise ValueError(
            f"`weights` must hold one integer >= 0 for each of the {len(low)} boxes, got "
            f"{given.dtype} of shape {given.shape}; count the boxes that each one stands for"
        )
    return low, high, y, Interval(given).lo  # refuses integers beyond 2^53


class _Clock:
    """Evaluates boxes until a time is over, and knows how many more fit."""

    def __init__(self, end: float) -> None:
        self.start, self.end, self.rate = time.monotonic(), end, 0.0

    def evaluated(self, target: Any, low: Array, *rest: Any) -> _Leaves:
        """Return boxes with their bounds, or raise if the time is over."""
        before = time.monotonic()
        with until(self.end):
            leaves = _evaluated_leaves(target, low, *rest)
        self.rate = (time.monotonic() - before) / len(low)
        return leaves

    def room(self) -> int:
        """Return how many boxes the time left allows."""
        left = max(self.end - time.monotonic(), 0.0)
        return MOST_CUT * 2 if left >= 2 * MOST_CUT * self.rate else int(left / self.rate)

    def spent(self) -> float:
        """Return the share of the time that is over."""
        whole = self.end - self.start
        return (time.monotonic() - self.start) / whole if whole > 0 else 1.0


def _evaluated_leaves(
    target: Any, low: Array, high: Array, y: Interval, weight: Array, p: float, scale: float
) -> _Leaves:
    """Return boxes with their bounds."""
    found = box_errors(target, low, high, y, p=p, scale=scale)
    return _Leaves(low, high, y.lo, y.hi, weight, found.lower, found.upper, found.side)


def _totals(leaves: _Leaves, p: float) -> tuple[float, float]:
    """Return the bounds of the whole: sums, correctly rounded and moved outwards, or maxima."""
    if math.isinf(p):
        used = leaves.weight > 0
        return float(leaves.lower.max(initial=0, where=used)), float(
            leaves.upper.max(initial=0, where=used)
        )
    with np.errstate(over="ignore", invalid="ignore"):
        lower = _outward(leaves.weight, leaves.lower, down)
        upper = _outward(leaves.weight, leaves.upper, up)
    total = math.fsum(lower.tolist()), math.fsum(upper.tolist())
    return max(math.nextafter(total[0], -math.inf), 0.0), math.nextafter(total[1], math.inf)


def _outward(weight: Array, bound: Array, move: Callable[[Array], Array]) -> Array:
    """Return weight * bound rounded in one direction; products with 0 and 1 are exact."""
    exact = (weight <= 1) | (bound == 0)
    product = np.where(weight == 0, 0.0, weight * bound)
    return np.where(exact, product, move(product))


def _to_cut(
    leaves: _Leaves, p: float, lower: float, tolerated: float, room: int
) -> NDArray[np.bool_]:
    """Return which boxes to cut: those with the largest gaps, no more than ``room``."""
    middle = leaves.low / 2 + leaves.high / 2
    rows = np.arange(len(middle))
    inner = ((leaves.low < middle) & (middle < leaves.high)).reshape(len(middle), -1)
    can = inner[rows, leaves.side] & (leaves.weight > 0)
    if math.isinf(p):
        gap = np.where(can, leaves.upper - lower, 0.0)
        needed = int((gap > AIM * tolerated).sum())
    else:
        with np.errstate(invalid="ignore"):
            gap = np.where(can, leaves.weight * (leaves.upper - leaves.lower), 0.0)
    order = np.argsort(-gap, kind="stable")
    if not math.isinf(p):
        gap = np.minimum(gap, LARGEST)  # infinite gaps are cut first
        saved = np.cumsum(gap[order]) * (1 - CUT)
        needed = 1 + int(np.searchsorted(saved, gap.sum() - AIM * tolerated))
    chosen = np.zeros(len(gap), dtype=bool)
    chosen[order[: max(min(needed, room), 0)]] = True
    return chosen & (gap > 0)


def _halves(leaves: _Leaves) -> tuple[Array, Array, Interval, Array]:
    """Return both halves of every box: corners, outputs and weights."""
    shape, rows = leaves.low.shape, np.arange(len(leaves.low))
    low, high = leaves.low.reshape(shape[0], -1), leaves.high.reshape(shape[0], -1)
    cut = (low / 2 + high / 2)[rows, leaves.side]
    first_high, second_low = high.copy(), low.copy()
    first_high[rows, leaves.side] = cut
    second_low[rows, leaves.side] = cut
    y = Interval(np.concatenate([leaves.y_low] * 2), np.concatenate([leaves.y_high] * 2))
    return (
        np.concatenate([low, second_low]).reshape(-1, *shape[1:]),
        np.concatenate([first_high, high]).reshape(-1, *shape[1:]),
        y,
        np.concatenate([leaves.weight] * 2),
    )


def _closed(lower: float, upper: float, tolerance: float) -> bool:
    """Tell whether the bounds are close enough; an infinite upper bound never is."""
    return upper < math.inf and upper - lower <= tolerance * upper


def _share(gap: float, tolerated: float, spent: float) -> float:
    """Return how far the work is, by the gap still to close or the boxes spent."""
    done = 0.0 if math.isinf(gap) else tolerated / gap if gap > tolerated else 1.0
    return min(max(done, spent), 1.0)
