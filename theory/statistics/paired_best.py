"""The best of n starts, compared between arms that share their starts.

What is compared is a mean, over all subsets of n of the S starts, of the logarithm of the smallest
error: smooth in the errors where the smallest of all S is not, so that resampling starts is sound
as long as n is well below S.  Bootstrap and exchange act on starts as a whole: the errors of one
start in all arms and cells stay together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from looprate.theory.statistics.paired import CONFIDENCE
from looprate.theory.statistics.seed_intervals import Interval
from looprate.theory.verdict import Finding, Verdict

__all__ = ["PairedStarts", "contrast_finding"]

Array = NDArray[np.float64]
RESAMPLES = 2_000
SAME = 1e-12  # of statistics that differ by rounding alone


def mean_log_best(errors: ArrayLike, n: int) -> Array:
    """Return the mean over all subsets of n starts of the log of their smallest error.

    Parameters
    ----------
    errors : array_like, shape (..., S, C)
        Positive; of S starts in C cells.  Infinity or NaN is a start that diverged: it counts as
        the largest finite error of its cell.
    n : int
        1 to S.

    Returns
    -------
    ndarray, shape (..., C)

    Notes
    -----
    The k-th smallest of S (k = 1, 2, ...) is the smallest of a subset with probability
    C(S - k, n - 1) / C(S, n).
    """
    values = np.asarray(errors, dtype=np.float64)
    starts = values.shape[-2]
    if not 1 <= n <= starts:
        raise ValueError(f"`n` must be an integer from 1 to the {starts} starts, got {n}")
    ordered = np.sort(np.log(_finite(values)), axis=-2)
    left = starts - 1.0 - np.arange(starts - n + 1)  # starts above the k-th
    weights = np.exp(_log_binomial(left, n - 1.0) - _log_binomial(float(starts), float(n)))
    return np.asarray(np.einsum("k,...kc->...c", weights, ordered[..., : len(weights), :]))


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of gains over cells.

    Attributes
    ----------
    value : float
        Sum over cells of weight x (log best of the opponent - log best of the arm).
    interval : (float, float)
        95 %, percentiles over resampled starts.
    p_value : float
        Two-sided, of the arms exchanged start by start.
    """

    value: float
    interval: Interval
    p_value: float

    @property
    def sign(self) -> int:
        """1 or -1 where interval and exchange agree that it is not 0, else 0."""
        low, high = self.interval
        return 0 if low <= 0 <= high or self.p_value > 1 - CONFIDENCE else int(np.sign(low))


@dataclass
class PairedStarts:
    """Arms that share starts and cells.

    Parameters
    ----------
    errors : mapping of str to array_like, shape (S, C)
        Arm -> errors of its starts in every cell.
    n : int
        Starts that the best is of.
    seed : int
        Of every resampling: the same errors give the same answer.
    resamples : int
    """

    errors: Mapping[str, ArrayLike]
    n: int
    seed: int = 0
    resamples: int = RESAMPLES
    _tables: dict[str, Array] = field(init=False)
    _draws: dict[str, Array] = field(init=False, default_factory=dict)
    _swaps: dict[tuple[str, str], Array] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._tables = {k: _finite(np.asarray(v, dtype=float)) for k, v in self.errors.items()}
        shapes = {table.shape for table in self._tables.values()}
        if len(shapes) != 1:
            raise ValueError(f"`errors` must have one shape (S, C) for all arms, got {shapes}")
        (self.starts, self.cells) = next(iter(shapes))

    def log_best(self, arm: str) -> Array:
        """Return an arm's mean log best of n, shape (C,)."""
        return mean_log_best(self._tables[arm], self.n)

    def interval(self, arm: str) -> Array:
        """Return both ends (2, C) of the 95 % interval of an arm's mean log best of n."""
        tail = (1 - CONFIDENCE) / 2
        return np.asarray(np.quantile(self._resampled(arm), [tail, 1 - tail], axis=0))

    def contrast(self, arm: str, opponent: str, weights: ArrayLike) -> Contrast:
        """Return the weighted gain of an arm over its opponent.

        Parameters
        ----------
        arm, opponent : str
        weights : array_like, shape (C,)
            Of the cells; 1/C each for the mean gain.
        """
        w = np.asarray(weights, dtype=float)
        value = float((self.log_best(opponent) - self.log_best(arm)) @ w)
        draws = (self._resampled(opponent) - self._resampled(arm)) @ w
        tail = (1 - CONFIDENCE) / 2
        low, high = (float(end) for end in np.quantile(draws, [tail, 1 - tail]))
        beyond = int((np.abs(self._exchanged(arm, opponent) @ w) >= abs(value) - SAME).sum())
        return Contrast(value, (low, high), (1 + beyond) / (1 + self.resamples))

    def _resampled(self, arm: str) -> Array:
        """Return the log best of n of resampled starts, (K, C); the same starts for every arm."""
        if arm not in self._draws:
            rng = np.random.default_rng(self.seed)
            picks = rng.integers(self.starts, size=(self.resamples, self.starts))
            self._draws[arm] = mean_log_best(self._tables[arm][picks], self.n)
        return self._draws[arm]

    def _exchanged(self, arm: str, opponent: str) -> Array:
        """Return gains (K, C) with the two arms of each start exchanged at random."""
        if (arm, opponent) not in self._swaps:
            rng = np.random.default_rng(self.seed + 1)
            swap = rng.random((self.resamples, self.starts, 1)) < 0.5
            a, b = self._tables[arm], self._tables[opponent]
            gains = mean_log_best(np.where(swap, a, b), self.n)
            gains -= mean_log_best(np.where(swap, b, a), self.n)
            self._swaps[arm, opponent] = gains
        return self._swaps[arm, opponent]


def contrast_finding(found: Contrast, *, claim: str, unit: str = "ratio of bests") -> Finding:
    """Judge whether a contrast is positive: holds, violated (negative), or undecided.

    Parameters
    ----------
    found : Contrast
    claim : str
    unit : str
        What exp(contrast) is, in words.
    """
    value, low, high = np.exp([found.value, *found.interval]).tolist()
    reason = f"{unit} {value:.3g} (95 % {low:.3g} to {high:.3g}), exchange p = {found.p_value:.2g}"
    evidence = {"value": value, "interval": [low, high], "p_value": found.p_value}
    if not found.sign:
        return Finding(claim, Verdict.NOT_TESTABLE, f"undecided: {reason}", evidence)
    return Finding(claim, Verdict.HOLDS if found.sign > 0 else Verdict.VIOLATED, reason, evidence)


def _finite(values: Array) -> Array:
    """Return errors (..., S, C) with the largest finite one of a cell where a start diverged."""
    there = np.isfinite(values)
    if there.all():
        return values
    worst = np.where(there, values, -np.inf).max(axis=-2, keepdims=True)
    if not np.isfinite(worst).all():
        raise ValueError("`errors` must hold a finite one in every cell; a cell has none")
    return np.where(there, values, worst)


def _log_binomial(top: Array | float, bottom: float) -> Array:
    """Return log C(top, bottom)."""
    return np.asarray(gammaln(top + 1) - gammaln(bottom + 1.0) - gammaln(top - bottom + 1))
