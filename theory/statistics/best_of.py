"""What many starts gave: the best of n against n, and the exponent of a curve of best errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

__all__ = ["best_of", "power_law"]

RESAMPLES, CONFIDENCE = 2_000, 0.95
LEAST_POINTS = 4  # of a power law: a line through three says little
STRAIGHT = 0.25  # largest residual of the log error on the line


@dataclass(frozen=True)
class BestOf:
    """Bootstrap of the best of n starts: n, median of the best, ends of the central 90 %."""

    starts: int
    median: float
    low: float
    high: float


def best_of(errors: Sequence[float], *, seed: int = 0) -> list[BestOf]:
    """Return the best of n starts drawn with replacement, n = 1, 2, 4, ... up to their number.

    Nothing is extrapolated beyond the starts there are.

    Parameters
    ----------
    errors : sequence of float
        Of single starts, inf where one diverged.
    seed : int
        Of the resampling.
    """
    values, rng = np.asarray(errors, dtype=np.float64), np.random.default_rng(seed)
    if not len(values) or np.isnan(values).any():
        raise ValueError(f"`errors` must hold at least one number and no NaN, got {errors}")
    counts = [2**k for k in range(int(math.log2(len(values))) + 1)]
    counts += [len(values)] * (counts[-1] < len(values))
    found = []
    for n in counts:
        best = np.sort(values[rng.integers(len(values), size=(RESAMPLES, n))].min(axis=1))
        low, median, high = (float(best[int(q * (RESAMPLES - 1))]) for q in (0.05, 0.5, 0.95))
        found.append(BestOf(n, median, low, high))
    return found


@dataclass(frozen=True)
class PowerLaw:
    """A stretch of loop counts on which errors lie on error = A r^slope.

    Attributes
    ----------
    slope : float
    interval : (float, float)
        95 %, of the regression's residuals (Student's t).
    first, last : int
        Loop counts of the stretch.
    residual : float
        Largest deviation of log error from the line.
    """

    slope: float
    interval: tuple[float, float]
    first: int
    last: int
    residual: float

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {**asdict(self), "interval": list(self.interval)}


def power_law(loops: Sequence[int], errors: Sequence[float]) -> PowerLaw | None:
    """Return the longest stretch on which errors fall like a power of r; None: not a power law.

    A stretch has at least four neighbouring loop counts, no error off the line by more than a
    quarter, and an interval of the slope below 0; of equally long ones the last is taken.

    Parameters
    ----------
    loops : sequence of int
        Increasing.
    errors : sequence of float
        Positive.
    """
    from scipy.stats import linregress  # takes half a second
    from scipy.stats import t as student

    x, y = np.log(np.asarray(loops, dtype=float)), np.log(np.asarray(errors, dtype=float))
    for count in range(len(x), LEAST_POINTS - 1, -1):
        for start in range(len(x) - count, -1, -1):
            part = slice(start, start + count)
            line = linregress(x[part], y[part])
            slope, off = line.slope, y[part] - (line.intercept + line.slope * x[part])
            reach = float(student.ppf((1 + CONFIDENCE) / 2, count - 2)) * line.stderr
            if np.abs(off).max() <= STRAIGHT and slope + reach < 0:
                ends = float(slope - reach), float(slope + reach)
                where = int(loops[start]), int(loops[start + count - 1])
                return PowerLaw(float(slope), ends, *where, float(np.abs(off).max()))
    return None
