"""Reading rates off measured errors: slopes with intervals, and when not to believe them.

Two models of an error against the loop count, both fitted to the logarithm of the error:

* pure power, log error = a + b log x: the slope b with an interval from resampling the seeds;
* offset, error = E + A x^b with E >= 0: what is left of the slope once a floor E (optimisation
  error, collisions at p = inf, noise) is taken out.

x is r - N ("excess", the variable of Theorem 3.6 (v7)) or r ("loops").  A slope means something
only where the points lie on a line.  A quadratic in log x is fitted beside it: if the slope it
describes changes along the tail by more than a tolerance and more than noise explains, the fit is
"not in the asymptotic range".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import least_squares
from scipy.stats import norm, t

from theory.notation import check_tokens
from theory.verdict import Finding, Verdict

__all__ = ["Interval", "SlopeFit", "fit_slope", "slope_finding"]

Array = NDArray[np.float64]
Interval = tuple[float, float]
Variable = Literal["excess", "loops"]
VARIABLES: tuple[Variable, ...] = get_args(Variable)
Status = Literal["asymptotic", "not in the asymptotic range", "undecided"]
Relation = Literal["equal", "at_least"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)

DRIFT_TOLERANCE = 0.2  # change of the local slope along the tail, as a share of the slope
ROUNDING = 1e-9  # slopes closer than this to each other differ by rounding
STATUS_POINTS = 4  # fewer points cannot show a curvature beside noise
OFFSET_POINTS = 4  # three parameters and one degree of freedom
SEARCHES = 4  # of the starts, those nearest to the data are followed to the end
TINY = 1e-300  # keeps the logarithm of E = 0 finite
LARGEST_LOG = 100.0  # bound on log A and log E in units of the mean error
STEEPEST = 50.0  # bound on -b of the offset model; no exponent here comes near
FLOOR_STARTS = (0.0, 0.5, 0.9)  # E at the start of a search, as a share of the smallest error
SLOPE_STARTS = (0.25, 0.5, 1.0, 2.0, 4.0)  # -b at the start of a search, beside the pure slope


@dataclass(frozen=True)
class SlopeFit:
    """Slope of log error on log x, x = r - N or r, and what qualifies it.

    Attributes
    ----------
    variable : {"excess", "loops"}
        x = r - N or x = r.
    loops : tuple of int
        The loop counts used, increasing.
    dropped : tuple of int
        Loop counts left out: below the tail, or r <= N with x = r - N.
    seeds : int
        Number of seeds (replicates).
    slope, intercept : float
        log error = intercept + slope log x, errors averaged over seeds as geometric means.
    interval : (float, float) or None
        Bootstrap interval of the slope over the seeds; None with one seed.
    confidence : float
        Nominal coverage of all intervals.
    local_slopes : tuple of float
        Slopes between neighbouring points.
    drift : float or None
        Change of the slope along the tail by the quadratic fit; None below 3 points.
    drift_interval : (float, float) or None
        Interval of the drift: over seeds, or from the residuals with one seed.
    drifting : bool
        The drift exceeds the tolerance and its interval excludes 0.
    status : {"asymptotic", "not in the asymptotic range", "undecided"}
        Undecided: below 4 points, or the drift's interval reaches beyond plus or minus the slope.
    offset_floor, offset_scale, offset_slope : float or None
        E, A and b of E + A x^b; None below 4 points, without convergence or if not asked for.
    offset_interval : (float, float) or None
        Bootstrap interval of the offset model's slope b.
    """

    variable: Variable
    loops: tuple[int, ...]
    dropped: tuple[int, ...]
    seeds: int
    slope: float
    intercept: float
    interval: Interval | None
    confidence: float
    local_slopes: tuple[float, ...]
    drift: float | None
    drift_interval: Interval | None
    drifting: bool
    status: Status
    offset_floor: float | None
    offset_scale: float | None
    offset_slope: float | None
    offset_interval: Interval | None

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary: lists for tuples, None for what does not exist."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}


def fit_slope(
    loops: Sequence[int] | ArrayLike,
    errors: ArrayLike,
    *,
    tokens: int,
    variable: Variable = "excess",
    tail_from: int = 1,
    confidence: float = 0.95,
    resamples: int = 2000,
    offset: bool = True,
    offset_resamples: int = 200,
    rng: np.random.Generator,
) -> SlopeFit:
    """Fit the slope of log error on log(r - N) or log r, with intervals and a drift check.

    Parameters
    ----------
    loops : (R,) array_like of int
        Loop counts, distinct, in any order.
    errors : (S, R) or (R,) array_like
        Errors > 0 of S seeds at these loop counts, in any norm.
    tokens : int
        Sequence length N.
    variable : {"excess", "loops"}
        Regress on log(r - N), which drops r <= N, or on log r, which keeps every r.
    tail_from : int
        Smallest r that is used.
    confidence : float
        Nominal coverage of the intervals, in (0, 1).
    resamples : int
        Bootstrap resamples of the seeds.
    offset : bool
        Whether to fit the offset model, far the slower one.
    offset_resamples : int
        How many of them the offset model uses, a nonlinear fit each; 0 for no interval.
    rng : numpy.random.Generator
        Source of the resamples: the same state gives the same result.

    Returns
    -------
    SlopeFit

    Raises
    ------
    ValueError
        If shapes do not match, errors are not positive and finite, loop counts repeat, an option
        is out of range, or fewer than two points remain.

    Notes
    -----
    With few seeds the percentile bootstrap is too narrow; its quantile levels are widened to those
    of Student's t (the "expanded percentile" interval of Hesterberg, The American Statistician
    69(4), 2015).  No bootstrap leaves the range of its data: below five seeds read the interval as
    too narrow.  Seeds are resampled as whole rows, so errors of one seed may depend on each other.
    """
    n = check_tokens(tokens)
    _check_options(variable, confidence, resamples)
    r, table = _check_data(loops, errors)
    keep = (r >= tail_from) & ((r > n) if variable == "excess" else (r > 0))
    if keep.sum() < 2:
        raise ValueError(
            f"`loops` must leave at least 2 points with r >= tail_from={tail_from} for "
            f'variable="{variable}" and tokens={n}, got {r.tolist()}'
        )
    x = np.log((r - n if variable == "excess" else r)[keep].astype(np.float64))
    y = np.log(table[:, keep])  # (S, points)
    return _fit(
        x,
        y,
        variable=variable,
        loops=tuple(int(v) for v in r[keep]),
        dropped=tuple(int(v) for v in r[~keep]),
        confidence=confidence,
        resamples=resamples,
        offset_resamples=offset_resamples if offset else None,
        rng=rng,
    )


def slope_finding(
    fit: SlopeFit,
    predicted: float,
    *,
    claim: str,
    relation: Relation = "equal",
    tolerance: float = 0.0,
) -> Finding:
    """Judge a predicted slope against a fitted one.

    Parameters
    ----------
    fit : SlopeFit
        A fit with an interval, that is of at least two seeds.
    predicted : float
        Predicted slope, negative for a falling error.
    claim : str
        What is being claimed, for the ledger.
    relation : {"equal", "at_least"}
        The error falls like the prediction, or at least as fast (an upper bound's exponent).
    tolerance : float
        Slack added on both sides of the interval, in units of the slope.

    Returns
    -------
    Finding
        ``NOT_TESTABLE`` unless the fit is asymptotic and has an interval; else ``HOLDS`` or
        ``VIOLATED``.

    Raises
    ------
    ValueError
        If the relation is unknown or the tolerance negative.
    """
    if relation not in RELATIONS:
        raise ValueError(f"`relation` must be one of {', '.join(RELATIONS)}, got {relation!r}")
    if not tolerance >= 0:
        raise ValueError(f"`tolerance` must be >= 0, got {tolerance:g}")
    evidence = {"predicted": predicted, "relation": relation, "fit": fit.as_dict()}
    if fit.interval is None:
        return Finding(claim, Verdict.NOT_TESTABLE, "one seed gives no interval", evidence)
    if fit.status != "asymptotic":
        return Finding(claim, Verdict.NOT_TESTABLE, f"the fit is {fit.status}", evidence)
    low, high = fit.interval[0] - tolerance, fit.interval[1] + tolerance
    holds = low <= predicted and (predicted <= high or relation == "at_least")
    word = "agrees with" if holds else "contradicts"
    reason = f"predicted slope {predicted:.4g} {word} the interval [{low:.4g}, {high:.4g}]"
    return Finding(claim, Verdict.HOLDS if holds else Verdict.VIOLATED, reason, evidence)


def _fit(
    x: Array,
    y: Array,
    *,
    variable: Variable,
    loops: tuple[int, ...],
    dropped: tuple[int, ...],
    confidence: float,
    resamples: int,
    offset_resamples: int | None,
    rng: np.random.Generator,
) -> SlopeFit:
    """Fit to log errors ``y`` (S, points) at log ``x``; no offset model for None resamples."""
    seeds, mean = len(y), y.mean(axis=0)
    slope, intercept = (float(v) for v in np.polyfit(x, mean, 1))
    picks = rng.integers(seeds, size=(resamples, seeds)) if seeds > 1 else None
    drift, drift_interval = _drift(x, y, picks, confidence)
    drifting = _is_drifting(drift, drift_interval, slope)
    offset = offset_interval = None
    if offset_resamples is not None and len(x) >= OFFSET_POINTS:
        offset = _fit_offset(x, mean, _offset_starts(mean, slope))
        offset_interval = _offset_interval(x, y, picks, offset, offset_resamples, confidence)
    return SlopeFit(
        variable=variable,
        loops=loops,
        dropped=dropped,
        seeds=seeds,
        slope=slope,
        intercept=intercept,
        interval=_linear_interval(np.polyfit(x, y.T, 1)[0], picks, confidence),
        confidence=confidence,
        local_slopes=tuple(float(v) for v in np.diff(mean) / np.diff(x)),
        drift=drift,
        drift_interval=drift_interval,
        drifting=drifting,
        status=_status(len(x), drifting, drift_interval, slope),
        offset_floor=None if offset is None else offset[0],
        offset_scale=None if offset is None else offset[1],
        offset_slope=None if offset is None else offset[2],
        offset_interval=offset_interval,
    )


def _linear_interval(
    per_seed: Array, picks: NDArray[np.int64] | None, confidence: float
) -> Interval | None:
    """Bootstrap interval of a statistic that is linear in the data: the mean over the seeds."""
    if picks is None:
        return None
    return _expanded_percentiles(per_seed[picks].mean(axis=1), len(per_seed), confidence)


def _expanded_percentiles(values: Array, seeds: int, confidence: float) -> Interval:
    """Percentile interval whose levels are widened to Student's t for few seeds."""
    quantile = t.ppf((1.0 - confidence) / 2.0, seeds - 1) * math.sqrt(seeds / (seeds - 1))
    level = float(norm.cdf(quantile))
    low, high = np.quantile(values, [level, 1.0 - level])
    return float(low), float(high)


def _drift(
    x: Array, y: Array, picks: NDArray[np.int64] | None, confidence: float
) -> tuple[float | None, Interval | None]:
    """Change of the slope from the first to the last point by a quadratic, with an interval."""
    if len(x) < 3:
        return None, None
    span = float(x[-1] - x[0])
    per_seed = 2.0 * span * np.polyfit(x, y.T, 2)[0]  # (S,)
    drift = float(per_seed.mean())
    if picks is not None:
        return drift, _linear_interval(per_seed, picks, confidence)
    freedom = len(x) - 3
    if freedom == 0:
        return drift, None
    design = np.vander(x - x.mean(), 3)
    residual = y[0] - design @ np.linalg.lstsq(design, y[0], rcond=None)[0]
    variance = float(residual @ residual) / freedom * float(np.linalg.inv(design.T @ design)[0, 0])
    half = float(t.ppf((1.0 + confidence) / 2.0, freedom)) * 2.0 * span * math.sqrt(variance)
    return drift, (drift - half, drift + half)


def _is_drifting(drift: float | None, interval: Interval | None, slope: float) -> bool:
    """Whether the slope changes by more than the tolerance, and by more than noise explains."""
    if drift is None or abs(drift) <= max(DRIFT_TOLERANCE * abs(slope), ROUNDING):
        return False
    return interval is None or not interval[0] <= 0.0 <= interval[1]


def _status(points: int, drifting: bool, interval: Interval | None, slope: float) -> Status:
    """One of the three statuses of :class:`SlopeFit`."""
    if drifting:
        return "not in the asymptotic range"
    reach = 0.0 if interval is None else max(abs(interval[0]), abs(interval[1]))
    if points < STATUS_POINTS or reach > max(abs(slope), ROUNDING):
        return "undecided"
    return "asymptotic"


def _offset_starts(mean: Array, slope: float) -> list[Array]:
    """Starting points (E, log A, -b) of the offset search, in relative units, x centred."""
    smallest = math.exp(float((mean - mean.mean()).min()))
    steepness = (max(-slope, 0.01), *SLOPE_STARTS)
    return [np.array([share * smallest, 0.0, b]) for share in FLOOR_STARTS for b in steepness]


def _fit_offset(x: Array, mean: Array, starts: list[Array]) -> tuple[float, float, float] | None:
    """Least squares of log(E + A x^b) against log errors; the best of the starts, or None."""
    centre, scale = float(x.mean()), float(mean.mean())
    u, v = x - centre, mean - scale

    def residuals(theta: Array) -> Array:
        return np.logaddexp(np.log(theta[0] + TINY), theta[1] - theta[2] * u) - v

    def jacobian(theta: Array) -> Array:
        power = np.exp(theta[1] - theta[2] * u)
        total = theta[0] + TINY + power
        return np.stack([1.0 / total, power / total, -u * power / total], axis=1)

    bounds = ([0.0, -LARGEST_LOG, 0.0], [math.exp(LARGEST_LOG), LARGEST_LOG, STEEPEST])
    nearest = sorted(starts, key=lambda start: float((residuals(start) ** 2).sum()))[:SEARCHES]
    runs = [least_squares(residuals, s, jac=jacobian, bounds=bounds) for s in nearest]
    runs = [run for run in runs if run.success]
    if not runs:
        return None
    floor, log_scale, steepness = (float(v) for v in min(runs, key=lambda run: run.cost).x)
    unit = math.exp(scale)
    return floor * unit, math.exp(log_scale + steepness * centre) * unit, -steepness


def _offset_interval(
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
        refit = _fit_offset(x, mean, [start])
        if refit is not None:
            slopes.append(refit[2])
    if len(slopes) < 2:
        return None
    return _expanded_percentiles(np.array(slopes), len(y), confidence)


def _check_options(variable: Variable, confidence: float, resamples: int) -> None:
    """Raise unless the options of :func:`fit_slope` are in range."""
    if variable not in VARIABLES:
        raise ValueError(f"`variable` must be one of {', '.join(VARIABLES)}, got {variable!r}")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"`confidence` must be in (0, 1), got {confidence:g}")
    if resamples < 1:
        raise ValueError(f"`resamples` must be >= 1, got {resamples}")


def _check_data(
    loops: Sequence[int] | ArrayLike, errors: ArrayLike
) -> tuple[NDArray[np.int64], Array]:
    """Return loop counts (R,), increasing, and errors (S, R); raise unless they make sense."""
    r = np.asarray(loops)
    table = np.atleast_2d(np.asarray(errors, dtype=np.float64))
    if r.ndim != 1 or not np.issubdtype(r.dtype, np.integer) or (r < 1).any():
        raise ValueError(f"`loops` must be a 1-D sequence of integers >= 1, got {loops!r}")
    if len(np.unique(r)) != len(r):
        raise ValueError(f"`loops` must not repeat, got {r.tolist()}")
    if table.ndim != 2 or table.shape[1] != len(r):
        raise ValueError(
            f"`errors` must have shape (seeds, {len(r)}) for {len(r)} loop counts, "
            f"got {table.shape}"
        )
    if not (np.isfinite(table).all() and (table > 0).all()):
        raise ValueError("`errors` must be positive and finite; drop failed runs first")
    order = np.argsort(r)
    return r[order].astype(np.int64), table[:, order]
