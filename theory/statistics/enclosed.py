"""The slope through errors that are known to lie between two numbers: an interval, no estimate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from looprate.theory.statistics.seed_intervals import Interval
from looprate.theory.verdict import Finding, Verdict

__all__ = ["enclosed_slope", "enclosed_slope_finding"]

ROUNDING = 1e-12  # of the logarithms and their sum, in units of the slope


def enclosed_slope(
    loops: Sequence[int], lower: Sequence[float], upper: Sequence[float]
) -> Interval:
    """Return the least and the largest least-squares slope of log error on log r.

    Parameters
    ----------
    loops : sequence of int
        r, at least two different ones.
    lower, upper : sequences of float
        Ends > 0 of the errors.

    Returns
    -------
    (float, float)
        Attained: a slope is Σ w log(error), w of both signs, so each error takes one of its ends.

    Raises
    ------
    ValueError
        If there are fewer than two loop counts, or an error has no two positive ends in order.

    Examples
    --------
    >>> low, high = enclosed_slope([10, 100], [0.9, 0.1], [1.0, 0.1])
    >>> round(low, 6), round(high, 6)
    (-1.0, -0.954243)
    """
    x = np.log(np.asarray(loops, dtype=np.float64))
    low, high = np.asarray(lower, dtype=np.float64), np.asarray(upper, dtype=np.float64)
    if len(np.unique(x)) < 2 or not len(x) == len(low) == len(high):
        raise ValueError(
            f"`loops` must hold two different counts or more, one an error, got {list(loops)} for "
            f"{len(low)} errors"
        )
    if not ((low > 0) & (low <= high) & np.isfinite(high)).all():
        raise ValueError("`lower` and `upper` must be positive, finite and in order; narrow them")
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    ends = [weights * np.log(low), weights * np.log(high)]
    return (
        float(np.minimum(*ends).sum()) - ROUNDING,
        float(np.maximum(*ends).sum()) + ROUNDING,
    )


def enclosed_slope_finding(
    interval: Interval, predicted: float, *, tolerance: float, claim: str, at_least: bool = False
) -> Finding:
    """Judge a predicted slope: does every slope of the interval lie within a tolerance of it?

    Parameters
    ----------
    interval : (float, float)
        Of :func:`enclosed_slope`.
    predicted, tolerance : float
    claim : str
    at_least : bool
        Whether a steeper slope is as good.

    Returns
    -------
    Finding
        ``VIOLATED`` if none does, ``NOT_TESTABLE`` if the interval cannot decide.
    """
    low, high = interval
    far = max(0.0 if at_least else predicted - low, high - predicted)
    near = max(0.0 if at_least else predicted - high, low - predicted)
    words = f"slope in [{low:.4f}, {high:.4f}], predicted {predicted:.4f}"
    evidence = {"interval": [low, high], "predicted": predicted, "tolerance": tolerance}
    if far <= tolerance:
        reason = f"{words}: {'at least so steep up to' if at_least else 'within'} {tolerance:g}"
        return Finding(claim, Verdict.HOLDS, reason, evidence)
    if near > tolerance:
        return Finding(
            claim, Verdict.VIOLATED, f"{words}: off by more than {tolerance:g}", evidence
        )
    return Finding(claim, Verdict.NOT_TESTABLE, f"{words}: narrower errors may decide", evidence)
