"""Bootstrap intervals over seeds, widened for few of them.

Percentile intervals are too narrow with few seeds; their quantile levels are widened to those of
Student's t (the "expanded percentile" interval of Hesterberg, The American Statistician 69(4),
2015).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "expanded_percentiles"]

Array = NDArray[np.float64]
Interval = tuple[float, float]


def linear_interval(
    per_seed: Array, picks: NDArray[np.int64] | None, confidence: float
) -> Interval | None:
    """Bootstrap interval of a statistic that is linear in the data: the mean over the seeds."""
    if picks is None:
        return None
    return expanded_percentiles(per_seed[picks].mean(axis=1), len(per_seed), confidence)


def expanded_percentiles(values: Array, seeds: int, confidence: float) -> Interval:
    """Percentile interval whose levels are widened to Student's t for few seeds."""
    from scipy.special import ndtr, stdtrit  # slow to import, and few who import this need them

    quantile = stdtrit(seeds - 1, (1.0 - confidence) / 2.0) * math.sqrt(seeds / (seeds - 1))
    level = float(ndtr(quantile))
    low, high = np.quantile(values, [level, 1.0 - level])
    return float(low), float(high)
