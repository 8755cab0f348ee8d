"""Reading rates off measured errors: slopes with intervals, and when not to believe them.

Two models of an error against the loop count, both fitted to the logarithm of the error:

* pure power, log error = a + b log x: the slope b with an interval from resampling the seeds;
* offset, error = E + A x^b with E >= 0, see :mod:`looprate.theory.statistics.offset_model`.

x is r - N ("excess", the variable of Theorem 3.6 (v7)) or r ("loops").  A slope means something
only where the points lie on a line.  How far they do not, :mod:`looprate.theory.statistics.drift`
says.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from looprate.theory.notation import check_tokens
from looprate.theory.statistics.drift import Status, is_drifting, slope_drift, tail_status
from looprate.theory.statistics.offset_model import (
    OFFSET_POINTS,
    fit_offset,
    offset_slope_interval,
    offset_starts,
)
from looprate.theory.statistics.seed_intervals import Array, Interval, linear_interval
from looprate.theory.verdict import Finding, Verdict

__all__ = ["SlopeFit", "fit_slope", "slope_finding"]

Variable = Literal["excess", "loops"]
VARIABLES: tuple[Variable, ...] = get_args(Variable)
Relation = Literal["equal", "at_least"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)


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
    drift, drift_interval = slope_drift(x, y, picks, confidence)
    drifting = is_drifting(drift, drift_interval, slope)
    offset = offset_interval = None
    if offset_resamples is not None and len(x) >= OFFSET_POINTS:
        offset = fit_offset(x, mean, offset_starts(mean, slope))
        offset_interval = offset_slope_interval(x, y, picks, offset, offset_resamples, confidence)
    return SlopeFit(
        variable=variable,
        loops=loops,
        dropped=dropped,
        seeds=seeds,
        slope=slope,
        intercept=intercept,
        interval=linear_interval(np.polyfit(x, y.T, 1)[0], picks, confidence),
        confidence=confidence,
        local_slopes=tuple(float(v) for v in np.diff(mean) / np.diff(x)),
        drift=drift,
        drift_interval=drift_interval,
        drifting=drifting,
        status=tail_status(len(x), drifting, drift_interval, slope),
        offset_floor=None if offset is None else offset[0],
        offset_scale=None if offset is None else offset[1],
        offset_slope=None if offset is None else offset[2],
        offset_interval=offset_interval,
    )


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
