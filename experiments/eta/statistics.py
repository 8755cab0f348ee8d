"""Gains, their rank correlation with the moduli, and the verdicts drawn from them.

A gain is log(error of LT / error of TMLT).  Two sources of chance are kept apart: seeds (of trained
networks) and targets (which dials were swept).  "eta(t) helps" is a statement about these targets,
so only seeds are resampled.  "the gain grows with ..." must not rest on a lucky order of a few
targets: its interval resamples seeds and, within each level of roughness, targets, and a verdict
also needs a permutation test, gains shuffled within each level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from looprate.theory.statistics.paired import CONFIDENCE, LEAST_PAIRS, paired_mean
from looprate.theory.statistics.seed_intervals import (
    Interval,
    expanded_percentiles,
)
from looprate.theory.verdict import Finding, Verdict

__all__ = ["within_level_rank"]

Array = NDArray[np.float64]
RESAMPLES = 2000
LEAST_TARGETS = 4  # of one level: fewer have too few orders for a permutation test
SAME = 1e-9  # relative: moduli that differ by less are rounding of one number


@dataclass(frozen=True)
class Growth:
    """Rank correlation of gains with a quantity, averaged over levels of roughness.

    Attributes
    ----------
    rank : float or None
        Mean over the levels of Spearman's correlation; None where none is defined.
    interval : (float, float) or None
        Bootstrap interval over seeds, and over targets within each level.
    p_value : float or None
        Two-sided, from gains permuted within each level.
    levels, targets : int
    """

    rank: float | None
    interval: Interval | None
    p_value: float | None
    levels: int
    targets: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self)


def seed_draws(gains: Array, rng: np.random.Generator) -> Array:
    """Return means over resampled seeds, shape (RESAMPLES, T), of gains (S, T) by seed."""
    picks = rng.integers(len(gains), size=(RESAMPLES, len(gains)))
    return np.asarray(gains[picks].mean(axis=1))


def within_level_rank(gains: Array, x: Array, levels: Sequence[str]) -> float:
    """Return the mean over levels of Spearman's correlation of gains and x, both (T,).

    A level in which either does not vary is left out; nan if none is left.
    """
    per_level = [_spearman(gains[None, own], x[None, own])[0] for own in _places(levels)]
    return float(_mean_of_defined(np.array(per_level)[:, None])[0])


def growth(
    gains: Array,
    x: Array,
    levels: Sequence[str],
    *,
    draws: Array,
    replicates: int,
    rng: np.random.Generator,
) -> Growth:
    """Correlate gains with x within each level.

    Parameters
    ----------
    gains, x : ndarray, shape (T,)
        One number a target.
    levels : sequence of str, length T
        Targets of one level are compared with each other only.
    draws : ndarray, shape (K, T)
        Gains as they might have been measured: resampled seeds, or points of an enclosure.
    replicates : int
        Seeds behind the draws, or targets a level where nothing is random but the choice of
        targets; the interval is widened for few of them.
    rng : numpy.random.Generator

    Returns
    -------
    Growth
    """
    x = _without_rounding(x)
    rank = within_level_rank(gains, x, levels)
    counts = [list(levels).count(one) for one in dict.fromkeys(levels)]
    size = {"levels": len(counts), "targets": len(gains)}
    if math.isnan(rank) or min(counts) < LEAST_TARGETS or replicates < 2:
        return Growth(None if math.isnan(rank) else rank, None, None, **size)
    resampled, shuffled = [], []
    for own in _places(levels):
        picks = rng.integers(len(own), size=(len(draws), len(own)))
        resampled.append(_spearman(np.take_along_axis(draws[:, own], picks, 1), x[own][picks]))
        mixed = rng.permuted(np.broadcast_to(gains[own], picks.shape), axis=1)
        shuffled.append(_spearman(mixed, np.broadcast_to(x[own], picks.shape)))
    values = _mean_of_defined(np.array(resampled))
    interval = expanded_percentiles(values[np.isfinite(values)], replicates, CONFIDENCE)
    beyond = int((np.abs(_mean_of_defined(np.array(shuffled))) >= abs(rank) - SAME).sum())
    return Growth(rank, interval, (1 + beyond) / (1 + len(draws)), **size)


def growth_finding(found: Growth, *, claim: str, quantity: str, note: str = "") -> Finding:
    """Judge whether the gain grows with a quantity.

    ``HOLDS`` and ``VIOLATED`` (it falls) need an interval that excludes 0 and p <= 0.05.
    """
    evidence = found.as_dict()
    if found.rank is None or found.interval is None or found.p_value is None:
        reason = f"needs {LEAST_TARGETS} targets a level whose gains differ, and replicates"
        return Finding(claim, Verdict.NOT_TESTABLE, reason, evidence)
    low, high = found.interval
    reason = (
        f"rank correlation with {quantity} {found.rank:+.2f} (95 % {low:+.2f} to {high:+.2f}), "
        f"permutation p = {found.p_value:.2g}, {found.targets} targets"
        f"{note}"
    )
    if found.p_value > 1 - CONFIDENCE or low <= 0 <= high:
        return Finding(claim, Verdict.NOT_TESTABLE, f"undecided: {reason}", evidence)
    return Finding(claim, Verdict.HOLDS if low > 0 else Verdict.VIOLATED, reason, evidence)


def mean_gain_finding(gains: Array, *, claim: str) -> Finding:
    """Judge whether the mean gain over targets is positive, from gains (S, T) by seed."""
    seeds = len(gains)
    if seeds < LEAST_PAIRS or not gains.size:
        reason = f"needs {LEAST_PAIRS} seeds that did not diverge, got {seeds}"
        return Finding(claim, Verdict.NOT_TESTABLE, reason, {"seeds": seeds})
    each = [found for part in (gains.mean(axis=1), *gains.T) if (found := paired_mean(part))]
    (mean, (low, high)), *per_target = each
    better = sum(low_ > 0 for _, (low_, _) in per_target)
    worse = sum(high_ < 0 for _, (_, high_) in per_target)
    evidence = {"mean": mean, "interval": [low, high], "seeds": seeds}
    evidence |= {"better": better, "worse": worse, "targets": gains.shape[1]}
    reason = (
        f"LT/TMLT error ratio {math.exp(mean):.3g} (geometric mean, 95 % over {seeds} seeds "
        f"{math.exp(low):.3g} to {math.exp(high):.3g}); better on {better}, worse on {worse} of "
        f"{gains.shape[1]} targets"
    )
    if low <= 0 <= high:
        return Finding(claim, Verdict.NOT_TESTABLE, f"undecided: {reason}", evidence)
    return Finding(claim, Verdict.HOLDS if low > 0 else Verdict.VIOLATED, reason, evidence)


def certified_gain_finding(low: Array, high: Array, *, claim: str) -> Finding:
    """Judge whether every certified gain is positive, from the ends (T,) of their enclosures."""
    better, worse = int((low > 0).sum()), int((high < 0).sum())
    middle = float(((low + high) / 2).mean()) if len(low) else math.nan
    evidence = {"better": better, "worse": worse, "targets": len(low)}
    if not len(low):
        return Finding(claim, Verdict.NOT_TESTABLE, "no target has certified errors", evidence)
    reason = (
        f"LT/TMLT certified error ratio {math.exp(middle):.3g} (geometric mean); certainly above "
        f"1 on {better}, certainly below on {worse}, not separated on "
        f"{len(low) - better - worse} of {len(low)} targets"
    )
    if worse:
        return Finding(claim, Verdict.VIOLATED, reason, evidence)
    if better < len(low):
        return Finding(claim, Verdict.NOT_TESTABLE, f"undecided: {reason}", evidence)
    return Finding(claim, Verdict.HOLDS, reason, evidence)


def _spearman(a: Array, b: Array) -> Array:
    """Return Spearman's correlation of each row with average ranks, nan where one is constant."""
    u, v = rankdata(a, axis=1), rankdata(b, axis=1)
    u, v = u - u.mean(axis=1, keepdims=True), v - v.mean(axis=1, keepdims=True)
    size = np.sqrt((u * u).sum(axis=1) * (v * v).sum(axis=1))
    return np.asarray((u * v).sum(axis=1) / np.where(size > 0, size, math.nan))


def _mean_of_defined(values: Array) -> Array:
    """Return the mean over axis 0 of what is not nan, nan where nothing is left."""
    there = np.isfinite(values)
    count = there.sum(axis=0)
    total = np.where(there, values, 0.0).sum(axis=0)
    return np.asarray(total / np.where(count > 0, count, math.nan))


def _without_rounding(x: Array) -> Array:
    """Return x in multiples of its rounding, so that equal moduli are ties."""
    unit = SAME * float(np.abs(x).max()) if len(x) else 0.0
    return np.round(x / unit) if unit > 0 else x


def _places(levels: Sequence[str]) -> list[NDArray[np.int64]]:
    """Return the indices of each level's targets."""
    names = np.asarray(levels)
    return [np.flatnonzero(names == one) for one in dict.fromkeys(levels)]
