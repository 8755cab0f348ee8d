"""Whether points lie on a line: how the slope of log error changes along the tail.

A quadratic in log x is fitted beside the line: if the slope it describes changes along the tail by
more than a tolerance and more than noise explains, the fit is "not in the asymptotic range".
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from looprate.theory.statistics.seed_intervals import Array, Interval, linear_interval

Status = Literal["asymptotic", "not in the asymptotic range", "undecided"]

DRIFT_TOLERANCE = 0.2  # change of the local slope along the tail, as a share of the slope
ROUNDING = 1e-9  # slopes closer than this to each other differ by rounding
STATUS_POINTS = 4  # fewer points cannot show a curvature beside noise


def slope_drift(
    x: Array, y: Array, picks: NDArray[np.int64] | None, confidence: float
) -> tuple[float | None, Interval | None]:
    """Change of the slope from the first to the last point by a quadratic, with an interval."""
    if len(x) < 3:
        return None, None
    span = float(x[-1] - x[0])
    per_seed = 2.0 * span * np.polyfit(x, y.T, 2)[0]  # (S,)
    drift = float(per_seed.mean())
    if picks is not None:
        return drift, linear_interval(per_seed, picks, confidence)
    freedom = len(x) - 3
    if freedom == 0:
        return drift, None
    design = np.vander(x - x.mean(), 3)
    residual = y[0] - design @ np.linalg.lstsq(design, y[0], rcond=None)[0]
    variance = float(residual @ residual) / freedom * float(np.linalg.inv(design.T @ design)[0, 0])
    from scipy.special import stdtrit  # slow to import, and pages that only draw need none

    half = float(stdtrit(freedom, (1.0 + confidence) / 2.0)) * 2.0 * span * math.sqrt(variance)
    return drift, (drift - half, drift + half)


def is_drifting(drift: float | None, interval: Interval | None, slope: float) -> bool:
    """Whether the slope changes by more than the tolerance, and by more than noise explains."""
    if drift is None or abs(drift) <= max(DRIFT_TOLERANCE * abs(slope), ROUNDING):
        return False
    return interval is None or not interval[0] <= 0.0 <= interval[1]


def tail_status(points: int, drifting: bool, interval: Interval | None, slope: float) -> Status:
    """One of the three statuses of :class:`looprate.theory.statistics.slopes.SlopeFit`."""
    if drifting:
        return "not in the asymptotic range"
    reach = 0.0 if interval is None else max(abs(interval[0]), abs(interval[1]))
    if points < STATUS_POINTS or reach > max(abs(slope), ROUNDING):
        return "undecided"
    return "asymptotic"
