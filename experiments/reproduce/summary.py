"""What the rows of a reproduction come to: cells of tables, and plain answers.

An answer is "yes", "no" or "not clear" and no verdict on any theorem.  Fits that diverged are
counted and left out of medians, ranges and answers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.eta.statistics import within_level_rank
from looprate.experiments.reproduce.catalogue import MODELS
from looprate.experiments.study.summary import answer
from looprate.theory.statistics.paired import CONFIDENCE, LEAST_PAIRS, paired_mean, paired_p_value

Row = dict[str, Any]
Place = tuple[str, int]  # model and loop count
Array = NDArray[np.float64]
HIGHER_IS_BETTER = {"accuracy": True, "squared error": False, "perplexity": False}
LEAST_COUNTS = 3  # loop counts for a trend
LEAST_REPEATS = 2  # seeds for a range
CLEAR = 0.8  # Spearman's correlation of the medians that counts as a trend
RULES = (
    "A trend by rank is a yes where Spearman's correlation of loops and medians is at least "
    f"{CLEAR:g}, that of every seed is above 0, the worst seed at the most loops is better "
    "than the best seed at the fewest, and no step from one loop count to the next gets worse by "
    "more than its spread (mean and standard deviation of the change, seed by seed); a no where "
    "none of these correlations is above 0. TMLT better than Looped is a yes (no) where Student's "
    f"{CONFIDENCE:.0%} interval of the mean difference, paired by seed, lies above (below) 0, with "
    f"at least {LEAST_PAIRS} pairs, and Holm's p over all such comparisons of the report is at "
    f"most {1 - CONFIDENCE:.2g}. All else is not clear."
)


def diverged(row: Row) -> bool:
    """Tell whether a fit was stopped, or ended without a number."""
    return row["diverged_at"] >= 0 or not _finite(row["value"])


def spread(values: Sequence[float]) -> Row:
    """Return median, least and largest value, None for none, and how many there are."""
    if not values:
        return {"median": None, "low": None, "high": None, "seeds": 0}
    ends = {"low": min(values), "high": max(values)}
    return {"median": float(median(values)), **ends, "seeds": len(values)}


def rate_of(row: Row) -> float | None:
    """Return the peak learning rate of a fit; None where its row does not say."""
    rate = row.get("recipe", {}).get("learning_rate")
    return None if rate is None else float(rate)


def at_chosen_rates(rows: Sequence[Row]) -> list[Row]:
    """Return the fits at the learning rate that validates best, of each model and loop count.

    By the median over seeds of the last validation metric, a fit that diverged being the worst; the
    rule is one and the same for every model.  Test rows have no part in it.
    """
    kept = []
    for key in dict.fromkeys((row["name"], row["model"], row["loops"]) for row in rows):
        own = [row for row in rows if (row["name"], row["model"], row["loops"]) == key]
        by_rate = {rate: [r for r in own if rate_of(r) == rate] for rate in map(rate_of, own)}
        best = max(by_rate, key=lambda rate: _validated(by_rate[rate]))
        kept += by_rate[best]
    return kept


def _validated(rows: Sequence[Row]) -> float:
    """Return the median over fits of the last validation metric, higher for better."""
    sign = 1.0 if HIGHER_IS_BETTER[rows[0]["metric"]] else -1.0
    last = [-math.inf if diverged(row) else sign * row["curve_value"][-1] for row in rows]
    return median(value if math.isfinite(value) else -math.inf for value in last)


def cells(rows: Sequence[Row]) -> list[Row]:
    """Return one cell a model and loop count of one task: spread, size, time, device."""
    found = []
    for model, loops in _keys(rows, "model", "loops"):
        own = [row for row in rows if (row["model"], row["loops"]) == (model, loops)]
        sound = [row for row in own if not diverged(row)]
        found.append(
            {"model": model, "loops": loops, "parameters": own[0]["parameters"]}
            | {"rate": rate_of(own[0])}
            | spread([row["value"] for row in sound])
            | {"diverged": len(own) - len(sound)}
            | {"seconds": float(median(row["seconds"] for row in own))}
            | {"device": ", ".join(dict.fromkeys(row["device"] for row in own))}
        )
    return found


def test_loop_cells(rows: Sequence[Row]) -> list[Row]:
    """Return one cell a model, trained loop count and loop count at test time."""
    found = []
    for model, trained in _keys([row for row in rows if row["test_loops"]], "model", "loops"):
        own = [row for row in rows if (row["model"], row["loops"]) == (model, trained)]
        sound = [row for row in own if not diverged(row)]
        for loops in sorted({count for row in own for count in row["test_loops"]}):
            values = [
                value
                for row in sound
                for count, value in zip(row["test_loops"], row["at_test_loops"], strict=True)
                if count == loops and _finite(value)
            ]
            cell = {"model": model, "trained": trained, "loops": loops, **spread(values)}
            found.append(cell | {"diverged": len(own) - len(sound)})
    return found


def rises(rows: Sequence[Row], model: str) -> Row:
    """Answer whether a model gets better with loops, from one task's rows."""
    own = [row for row in rows if row["model"] == model and not diverged(row)]
    good = _goodness(rows)
    metric = rows[0]["metric"]
    word = "rises" if HIGHER_IS_BETTER[metric] else "falls"
    counts, seeds = (sorted({row[name] for row in own}) for name in ("loops", "seed"))
    span = f", r = {counts[0]} to {counts[-1]}" if counts else ""
    claim = f"{metric} {word} with loops, by rank{span}: {model}"
    if len(counts) < LEAST_COUNTS or len(seeds) < LEAST_REPEATS:
        reason = (
            f"needs {LEAST_COUNTS} loop counts and {LEAST_REPEATS} seeds that did not diverge, got "
            f"{len(counts)} and {len(seeds)}"
        )
        return answer(claim, "not clear", reason, {"loops": counts, "seeds": len(seeds)})
    at = [[good(row) for row in own if row["loops"] == r] for r in counts]
    medians = [float(median(values)) for values in at]
    rank = _rank(counts, medians)
    per_seed = [rank_ for s in seeds if (rank_ := _seed_rank(own, s, good)) is not None]
    evidence: Row = {"rank": rank, "per_seed": per_seed, "loops": counts, "seeds": len(seeds)}
    apart = min(at[-1]) > max(at[0])
    evidence["ends_apart"] = apart
    if rank is None or not per_seed:
        return answer(claim, "not clear", "all medians are equal", evidence)
    reason = (
        f"Spearman {rank:+.2f} over r = {', '.join(map(str, counts))} (single seeds "
        f"{min(per_seed):+.2f} to {max(per_seed):+.2f}); all seeds at r = {counts[-1]} "
        f"{'are' if apart else 'are not'} better than all at r = {counts[0]}"
    )
    best = counts[medians.index(max(medians))]
    reason += "" if best == counts[-1] else f"; the best median is at r = {best}"
    evidence["worse_steps"] = worse = _worse_steps(own, counts, good)
    if worse:
        reason += f"; worse by more than its spread: {', '.join(worse)}"
    if rank >= CLEAR and min(per_seed) > 0 and apart and not worse:
        return answer(claim, "yes", reason, evidence)
    none = rank <= 0 and max(per_seed) <= 0
    return answer(claim, "no" if none else "not clear", reason, evidence)


def beats(rows: Sequence[Row], loops: int) -> Row:
    """Answer whether TMLT is better than Looped at one loop count, paired by seed."""
    claim = f"TMLT better than Looped at r = {loops} ({rows[0]['metric']})"
    gains, lost = paired_gains(rows, ("tmlt", loops), ("looped", loops))
    evidence: Row = {"pairs": len(gains), "left_out": lost, "interval": None, "p": None}
    evidence["mean"] = float(gains.mean()) if len(gains) else None
    left_out = f", {lost} left out" if lost else ""
    told = f"{len(gains)} pair{'' if len(gains) == 1 else 's'}{left_out}"
    if len(gains):
        told = f"mean gain of TMLT {gains.mean():+.3g}, {told}"
    if len(gains) < LEAST_PAIRS:
        return answer(claim, "not clear", f"needs {LEAST_PAIRS} pairs: {told}", evidence)
    low, high = found[1] if (found := paired_mean(gains)) else (-math.inf, math.inf)
    evidence |= {"interval": [low, high], "p": paired_p_value(gains)}
    word = "yes" if low > 0 else "no" if high < 0 else "not clear"
    return answer(claim, word, f"{told}, {CONFIDENCE:.0%} {low:+.3g} to {high:+.3g}", evidence)


def paired_gains(rows: Sequence[Row], better: Place, other: Place) -> tuple[Array, int]:
    """Return how much better one model and loop count is than another, seed by seed.

    Above 0 is better, whatever the metric; a fit that diverged takes its pair with it.

    Returns
    -------
    gains, left_out
        One of each pair, by seed; how many pairs were left out.
    """
    good = _goodness(rows)
    places = [
        {row["seed"]: row for row in rows if (row["model"], row["loops"]) == place}
        for place in (better, other)
    ]
    shared = sorted(places[0].keys() & places[1].keys())
    sound = [s for s in shared if not any(diverged(of[s]) for of in places)]
    gains = [good(places[0][s]) - good(places[1][s]) for s in sound]
    return np.array(gains, dtype=float), len(shared) - len(sound)


def _worse_steps(
    rows: Sequence[Row], counts: Sequence[int], good: Callable[[Row], float]
) -> list[str]:
    """Return the steps between loop counts that get worse by more than the spread over seeds."""
    by_loops = [{row["seed"]: good(row) for row in rows if row["loops"] == r} for r in counts]
    found = []
    for k, (before, after) in enumerate(pairwise(by_loops)):
        changes = np.array([after[s] - before[s] for s in before.keys() & after.keys()])
        if len(changes) > 1 and -changes.mean() > changes.std(ddof=1):
            found.append(f"r = {counts[k]} to {counts[k + 1]} by {-changes.mean():.3g}")
    return found


def _goodness(rows: Sequence[Row]) -> Callable[[Row], float]:
    """Return what is higher for a better row."""
    sign = 1.0 if HIGHER_IS_BETTER[rows[0]["metric"]] else -1.0
    return lambda row: sign * row["value"]


def _seed_rank(rows: Sequence[Row], seed: int, good: Callable[[Row], float]) -> float | None:
    """Spearman's correlation of one seed; 0 where its values are equal, None for too few."""
    own = [row for row in rows if row["seed"] == seed]
    if len(own) < LEAST_COUNTS:
        return None
    return _rank([row["loops"] for row in own], [good(row) for row in own]) or 0.0


def _rank(loops: Sequence[int], values: Sequence[float]) -> float | None:
    """Spearman's correlation, None where all values are equal."""
    rank = within_level_rank(np.array(values), np.array(loops, float), ["all"] * len(loops))
    return rank if math.isfinite(rank) else None


def _keys(rows: Sequence[Row], *names: str) -> list[tuple[Any, ...]]:
    """Return the distinct values of some fields, models in their usual order, numbers rising."""
    found = {tuple(row[name] for name in names) for row in rows}
    return sorted(found, key=lambda key: (list(MODELS).index(key[0]), *key[1:]))


def _finite(value: float | None) -> bool:
    """Tell whether there is a number."""
    return value is not None and math.isfinite(value)
