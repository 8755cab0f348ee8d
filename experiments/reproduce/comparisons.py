"""Fits compared seed by seed: with the paper's directions, and how many pairs it takes.

Above 0 is better, whatever the metric; fits that diverged take their pair with them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from looprate.experiments.reproduce.summary import Array, Place, diverged, paired_gains
from looprate.theory.statistics.paired import (
    CONFIDENCE,
    LEAST_PAIRS,
    POWER,
    holm,
    paired_mean,
    paired_p_value,
    pairs_needed,
    power_of,
)

Row = dict[str, Any]
POINTS = 0.05  # the difference to be told: 5 points of an accuracy, 5 % of another metric's median
FAMILIES = ("timestep", "loops")  # of comparisons, one a task each
LEVEL = 1.0 - CONFIDENCE
RULES = (
    "A task agrees with the paper (differs) where the mean difference of pairs that share a seed "
    f"goes its way (the other way), with Holm's p over the tasks at most {LEVEL:.2g} and at least "
    f"{LEAST_PAIRS} pairs; else it is open. Differences are in points of accuracy, or in per cent "
    f"of the median metric, above 0 where better; intervals are Student's at {CONFIDENCE:.0%}, "
    "each on its own."
)


def corrected(answers: Sequence[Row]) -> list[Row]:
    """Return answers with Holm's p over all of them that were tested; a weak yes is not clear."""
    tested = [one for one in answers if one["evidence"].get("p") is not None]
    values = dict(zip(map(id, tested), holm([one["evidence"]["p"] for one in tested]), strict=True))
    found = []
    for one in answers:
        if id(one) not in values:
            found.append(one)
            continue
        p = values[id(one)]
        word = one["answer"] if p <= LEVEL else "not clear"
        reason = f"{one['reason']}; Holm's p over {len(tested)} comparisons {p:.2g}"
        evidence = one["evidence"] | {"holm": p, "comparisons": len(tested)}
        found.append({**one, "answer": word, "reason": reason, "evidence": evidence})
    return found


# -- the paper's directions ------------------------------------------------------------------------
def compared_tasks(parts: Sequence[Sequence[Row]]) -> list[Row]:
    """Return for each task whether eta(t), and more loops, make it better.

    Parameters
    ----------
    parts : sequence of sequences of dict
        The fits of each task.

    Returns
    -------
    list of dict
        {timestep, loops}: "timestep" is TMLT against Looped at the most loops, "loops" is TMLT at
        the most loops against the fewest; each {answer, claim, mean, interval, pairs, p, holm},
        the answer yes (better), no (worse) or not clear.
    """
    found = [_both(rows) for rows in parts]
    for family in FAMILIES:
        tested = [one[family] for one in found if one[family]["p"] is not None]
        for one, p in zip(tested, holm([one["p"] for one in tested]), strict=True):
            one["holm"] = p
            if p <= LEVEL:
                one["answer"] = "yes" if one["mean"] > 0 else "no"
    return found


def _both(rows: Sequence[Row]) -> Row:
    """The two comparisons of one task, undecided yet."""
    counts = [{row["loops"] for row in rows if row["model"] == m} for m in ("looped", "tmlt")]
    shared, own = sorted(set.intersection(*counts)), sorted(counts[1])
    scale = unit_of(rows)
    nothing: Row = {"answer": "not clear", "claim": "not run", "mean": None, "interval": None}
    nothing |= {"pairs": 0, "p": None, "holm": None}
    found = {family: dict(nothing) for family in FAMILIES}
    if shared:
        places = (("tmlt", shared[-1]), ("looped", shared[-1]))
        found["timestep"] = _compared(
            rows, *places, scale, f"TMLT against Looped, r = {shared[-1]}"
        )
    if len(own) > 1:
        places = (("tmlt", own[-1]), ("tmlt", own[0]))
        found["loops"] = _compared(rows, *places, scale, f"TMLT, r = {own[-1]} against {own[0]}")
    return found


def _compared(rows: Sequence[Row], good: Place, other: Place, scale: float, claim: str) -> Row:
    """One comparison, undecided yet."""
    gains, _ = paired_gains(rows, good, other)
    gains = gains / scale
    enough = len(gains) >= LEAST_PAIRS
    mean, interval = paired_mean(gains) or (float(gains.mean()) if len(gains) else None, None)
    return {
        "answer": "not clear",
        "claim": claim,
        "mean": mean,
        "interval": None if interval is None else list(interval),
        "pairs": len(gains),
        "p": paired_p_value(gains) if enough else None,
        "holm": None,
    }


def unit_of(rows: Sequence[Row]) -> float:
    """Return what one point is: 0.01 of an accuracy, 1 % of another metric's median."""
    if rows[0]["metric"] == "accuracy":
        return 0.01
    values = [row["value"] for row in rows if row["model"] == "looped" and not diverged(row)]
    values = values or [row["value"] for row in rows if not diverged(row)]
    return 0.01 * float(median(values)) if values else 0.01


# -- power -----------------------------------------------------------------------------------------
def power_rows(parts: Sequence[Sequence[Row]]) -> list[Row]:
    """Return for each task how many pairs tell a difference of 5 points, from the rows' spread.

    The spread of a pair is pooled over the loop counts; ``freedom`` says on how many differences
    beyond the means it rests.
    """
    found = []
    for rows in parts:
        gains = _gains_by_loops(rows)
        freedom = sum(len(one) - 1 for one in gains)
        scale = unit_of(rows)
        spread, needed, corrected_, power = None, None, None, None
        pairs = max(map(len, gains), default=0)
        if freedom:
            squares = sum(float(((one - one.mean()) ** 2).sum()) for one in gains)
            spread = math.sqrt(squares / freedom) / scale
            effect = 100 * POINTS
            needed = pairs_needed(effect, spread)
            corrected_ = pairs_needed(effect, spread, comparisons=len(parts))
            power = power_of(pairs, effect, spread) if pairs > 1 and spread > 0 else None
        found.append(
            {"name": rows[0]["name"], "metric": rows[0]["metric"], "pairs": pairs}
            | {"spread": spread, "freedom": freedom, "needed": needed}
            | {"needed_corrected": corrected_, "comparisons": len(parts), "power": power}
            | {"steps": max(row["steps"] for row in rows), "settled": settled_at(rows)}
        )
    return found


def _gains_by_loops(rows: Sequence[Row]) -> list[Array]:
    """Return the differences of TMLT and Looped at every loop count that has two pairs or more."""
    counts = [{row["loops"] for row in rows if row["model"] == m} for m in ("looped", "tmlt")]
    found = [
        paired_gains(rows, ("tmlt", r), ("looped", r))[0] for r in sorted(set.intersection(*counts))
    ]
    return [gains for gains in found if len(gains) > 1]


def settled_at(rows: Sequence[Row]) -> int | None:
    """Return the step from which the curves at the most loops stay within 5 points of their end.

    Medians over seeds, of Looped and of TMLT; None where that is the last mark alone, so that more
    steps may matter.
    """
    last = []
    for model in ("looped", "tmlt"):
        own = [row for row in rows if row["model"] == model and not diverged(row)]
        if not own:
            continue
        most = max(row["loops"] for row in own)
        curves = [row for row in own if row["loops"] == most]
        steps = curves[0]["curve_step"]
        values = np.array([row["curve_value"] for row in curves if row["curve_step"] == steps])
        middle = np.median(values.astype(float), axis=0)
        near = np.abs(middle - middle[-1]) <= 100 * POINTS * unit_of(rows)
        first = len(near) - int(np.argmin(near[::-1])) if not near.all() else 0
        last.append(None if first >= len(near) - 1 and len(near) > 1 else steps[first])
    if not last or None in last:
        return None
    return max(step for step in last if step is not None)


def power_words() -> str:
    """Return what the columns on power mean."""
    return (
        f"Pairs of seeds that tell a difference of {100 * POINTS:g} points (of an accuracy; "
        f"{POINTS:.0%} of the median of another metric) with a chance of {POWER:.0%}, by Student's "
        f"paired t at {LEVEL:.2g}, alone and with the first step of Holm's over the tasks. The "
        "spread of a pair is the standard deviation of its difference, pooled over loop counts, so "
        "with few degrees of freedom it is rough. Settled: the step from which the median curves "
        "at the most loops stay within that difference of their end."
    )
