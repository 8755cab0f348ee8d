"""The offset model of an error against the loop count: E + A x^b with E >= 0.

b is what is left of the slope once a floor E (optimisation error, collisions at p = inf, noise) is
taken out.  It is fitted to the logarithm of the error, like the pure power of
:mod:`looprate.theory.statistics.slopes`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from looprate.theory.statistics.seed_intervals import Array, Interval, expanded_percentiles

OFFSET_POINTS = 4  # three parameters and one degree of freedom
SEARCHES = 4  # of the starts, those nearest to the data are followed to the end
TINY = 1e-300  # keeps the logarithm of E = 0 finite
LARGEST_LOG = 100.0  # bound on log A and log E in units of the mean error
STEEPEST = 50.0  # bound on -b of the offset model; no exponent here comes near
FLOOR_STARTS = (0.0, 0.5, 0.9)  # E at the start of a search, as a share of the smallest error
SLOPE_STARTS = (0.25, 0.5, 1.0, 2.0, 4.0)  # -b at the start of a search, beside the pure slope


def offset_starts(mean: Array, slope: float) -> list[Array]:
    """Starting points (E, log A, -b) of the offset search, in relative units, x centred."""
    smallest = math.exp(float((mean - mean.mean()).min()))
    steepness = (max(-slope, 0.01), *SLOPE_STARTS)
    return [np.array([share * smallest, 0.0, b]) for share in FLOOR_STARTS for b in steepness]


def fit_offset(x: Array, mean: Array, starts: list[Array]) -> tuple[float, float, float] | None:
    """Least squares of log(E + A x^b) against log errors; the best of the starts, or None."""
    centre, scale = float(x.mean()), float(mean.mean())
    u, v = x - centre, mean - scale

    def residuals(theta: Array) -> Array:
        return np.logaddexp(np.log(theta[0] + TINY), theta[1] - theta[2] * u) - v

    def jacobian(theta: Array) -> Array:
        power = np.exp(theta[1] - theta[2] * u)
        total = theta[0] + TINY + power
        return np.stack([1.0 / total, power / total, -u * power / total], axis=1)

    from scipy.optimize import least_squares  # late, as it takes a while

    bounds = ([0.0, -LARGEST_LOG, 0.0], [math.exp(LARGEST_LOG), LARGEST_LOG, STEEPEST])
    nearest = sorted(starts, key=lambda start: float((residuals(start) ** 2).sum()))[:SEARCHES]
    runs = [least_squares(residuals, s, jac=jacobian, bounds=bounds) for s in nearest]
    runs = [run for run in runs if run.success]
    if not runs:
        return None
    floor, log_scale, steepness = (float(v) for v in min(runs, key=lambda run: run.cost).x)
    unit = math.exp(scale)
    return floor * unit, math.exp(log_scale + steepness * centre) * unit, -steepness


def offset_slope_interval(
    x: Array,
    y: Array,
    picks: NDArray[np.int64] | None,
    offset: tuple[float, float, float] | None,
    resamples: int,
    confidence: float,
) -> Interval | None:
    """Bootstrap interval of the offset model's slope, each refit started from the whole fit."""
    if picks is None or offset is None or resamples < 1:
        return None
    slopes = []
    for pick in picks[:resamples]:
        mean = y[pick].mean(axis=0)
        unit = math.exp(float(mean.mean()))
        start = np.array([offset[0] / unit, 0.0, -offset[2]])
        start[1] = math.log(offset[1] / unit) + offset[2] * float(x.mean())
        refit = fit_offset(x, mean, [start])
        if refit is not None:
            slopes.append(refit[2])
    if len(slopes) < 2:
        return None
    return expanded_percentiles(np.array(slopes), len(y), confidence)
