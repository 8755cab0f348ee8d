"""From stored rows to what they say: chosen recipes, gains, slopes, findings with their evidence.

The recipe of each model is chosen by one rule for every family: the learning rate with the smallest
median validation error over seeds.  Everything here is recomputed from rows alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from looprate.theory.bounds.rates import theorem_exponent
from looprate.theory.bounds.rows import BoundRow, first_informative_loops
from looprate.theory.statistics.paired import LEAST_PAIRS, paired_mean
from looprate.theory.statistics.slopes import SlopeFit, fit_slope
from looprate.theory.verdict import Finding, Verdict

__all__ = ["cells", "recipe_of"]

Row = dict[str, Any]
NAMES = {"lt": "LT", "tmlt": "TMLT", "untied": "untied Transformer"}
CONVERGED = 0.05  # relative gain over the last quarter of training below which a fit has converged
REACH = 0.99  # a lower bound should come this close to an exact modulus


def cells(rows: Sequence[Row]) -> list[Row]:
    """Return one entry per target, shape, family, loop count and recipe, at its chosen rate.

    Rows of other recipes (steps, batch, width and the like) are never one entry's seeds.
    Each has ``errors`` by seed (None where a fit diverged), their median and range, the chosen
    rate, the share of converged fits, and the chosen rows themselves.
    """
    groups: dict[tuple[Any, ...], dict[float, list[Row]]] = {}
    for row in rows:
        place = (row["target"], row["tokens"], row["dim"], row["p"], row["family"], row["loops"])
        key = (*place, recipe_of(row))
        groups.setdefault(key, {}).setdefault(row["learning_rate"], []).append(row)
    return [_cell(key[:-1], by_rate) for key, by_rate in groups.items()]


def recipe_of(row: Row) -> str:
    """Return how a row's network was trained and measured, as a text to compare."""
    return json.dumps(row.get("config"), sort_keys=True)


def _cell(place: tuple[Any, ...], by_rate: dict[float, list[Row]]) -> Row:
    """Choose the rate of one cell and summarise its seeds."""

    def score(rate: float) -> float:
        found = [row["validation_error"] for row in by_rate[rate]]
        return float(np.median([math.inf if e is None else e for e in found]))

    rate = min(sorted(by_rate), key=score)
    chosen = sorted(by_rate[rate], key=lambda row: row["seed"])
    errors = [row["error"] for row in chosen]
    finite = [e for e in errors if e is not None]
    names = ("target", "tokens", "dim", "p", "family", "loops")
    return {
        **dict(zip(names, place, strict=True)),
        "learning_rate": rate,
        "validation_by_rate": {f"{r:g}": _number(score(r)) for r in sorted(by_rate)},
        "parameters": chosen[0]["parameters"],
        "errors": errors,
        "median": float(np.median(finite)) if finite else None,
        "low": min(finite) if finite else None,
        "high": max(finite) if finite else None,
        "diverged": len(errors) - len(finite),
        "late_gain": float(np.median([row["late_gain"] for row in chosen])),
        "converged": sum(row["late_gain"] < CONVERGED for row in chosen) / len(chosen),
        "rows": chosen,
    }


def paired_gain(before: Sequence[float | None], after: Sequence[float | None]) -> Row | None:
    """Return the geometric mean of after/before over seeds with a 95 % interval.

    None where fewer than two seeds have both.
    """
    logs = [math.log(b / a) for a, b in zip(before, after, strict=True) if a and b]
    found = paired_mean(logs)
    if found is None:
        return None
    mean, ends = found
    return {"ratio": math.exp(mean), "interval": [*map(math.exp, ends)], "seeds": len(logs)}


def slope_of(group: Sequence[Row], *, tokens: int) -> SlopeFit | None:
    """Fit the slope of one family's errors in log r, over all loop counts and shared seeds."""
    table = np.array([[math.nan if e is None else e for e in cell["errors"]] for cell in group])
    whole = table[:, np.isfinite(table).all(0)].T  # (seeds, loops)
    if len(group) < 2 or not whole.size:
        return None
    return fit_slope(
        [cell["loops"] for cell in group],
        whole,
        tokens=tokens,
        variable="loops",
        offset_resamples=40,
        rng=np.random.default_rng(0),
    )


def findings(
    theory: Row, group: Sequence[Row], bounds: dict[str, Callable[[int], BoundRow]]
) -> list[Finding]:
    """Return what was checked of the moduli of one target and shape, and of Theorem 3.6 there.

    Parameters
    ----------
    theory : the stored theory row
    group : the cells of this target and shape
    bounds : version -> (loops -> BoundRow)
    """
    moduli = _moduli_finding(theory["moduli"])
    sound = all(f["verdict"] == Verdict.HOLDS for f in theory["hypotheses"])
    sound = sound and moduli.verdict is not Verdict.VIOLATED
    trained = sorted({cell["loops"] for cell in group})
    return [moduli, _bound_finding(theory, bounds["theorem-3.6"], trained, sound=sound)]


def answers(group: Sequence[Row]) -> list[Row]:
    """Return plain answers to what may be asked of the trained networks of one target and shape.

    They are yes, no or not clear, and no verdict: nothing proven speaks of training.
    """
    families = [family for family in NAMES if any(cell["family"] == family for cell in group)]
    found = []
    for family in families:
        own = sorted((c for c in group if c["family"] == family), key=lambda cell: cell["loops"])
        found.append(_loops_answer(family, own))
    if {"lt", "tmlt"} <= set(families):
        found.append(_clock_answer(group))
    return found


def answer(claim: str, word: str, reason: str, evidence: Row) -> Row:
    """Return a plain answer to a question that no theorem decides: yes, no or not clear."""
    return {"claim": claim, "answer": word, "reason": reason, "evidence": evidence}


def _moduli_finding(rows: Sequence[Row]) -> Finding:
    """Lower bounds reach the exact closed forms; above one is an internal error before this."""
    proven = [row for row in rows if row["upper"] is not None and row["delta"] > 0]
    claim = "lower bounds of the moduli stay below the closed forms and reach the exact ones"
    if not proven:
        return Finding(claim, Verdict.NOT_TESTABLE, "no closed form is known for this function")
    exact = [row for row in proven if row["exact"]]
    worst = min((row["lower"] / row["exact"] for row in exact), default=None)
    evidence = {"compared": len(proven), "exact": len(exact), "worst_ratio": worst}
    reason = f"{len(proven)} radii compared"
    if worst is not None:
        reason += f", worst lower/exact {worst:.4f}"
    if worst is not None and worst < REACH:
        return Finding(claim, Verdict.VIOLATED, reason + f", below {REACH}", evidence)
    return Finding(claim, Verdict.HOLDS, reason, evidence)


def _bound_finding(
    theory: Row, bound_at: Callable[[int], BoundRow], trained: Sequence[int], *, sound: bool
) -> Finding:
    """Say what Theorem 3.6 says at the trained loop counts, and from where on it says anything."""
    tokens, dim = theory["tokens"], theory["dim"]
    exponent = theorem_exponent(tokens=tokens, dim=dim)
    claim = (
        "Theorem 3.6 (v7), with O-constants of this project, is below the best constant's error "
        f"at the trained loop counts up to r = {trained[-1]}"
    )
    if not sound:
        return Finding(claim, Verdict.NOT_TESTABLE, "a hypothesis on the target is not met")
    inside = [r for r in trained if r > tokens]
    if not inside:
        return Finding(claim, Verdict.NOT_TESTABLE, f"the theorem needs r > N = {tokens} loops")
    row = bound_at(inside[-1])
    first = first_informative_loops(bound_at, tokens=tokens)
    reason = (
        f"at r = {inside[-1]} the bound is {row.total:.3g} against {theory['trivial']:.3g} for the "
        f"best constant; it is below: {first.words} (delta falls like r^-{exponent:.3g})"
    )
    if row.verdict is Verdict.HOLDS:
        reason = f"at r = {inside[-1]} the bound is {row.total:.3g}, below the best constant"
    evidence = {"row": row.as_dict(), "first_informative_loops": first.loops}
    return Finding(claim, row.verdict, reason, evidence)


def _loops_answer(family: str, own: Sequence[Row]) -> Row:
    """Is this family's trained error lower at the last loop count than at the first?"""
    first, last = own[0], own[-1]
    claim = (
        f"{NAMES[family]}: the trained error at r = {last['loops']} is below that at "
        f"r = {first['loops']}"
    )
    gain = paired_gain(first["errors"], last["errors"]) if first is not last else None
    if gain is None or gain["seeds"] < LEAST_PAIRS:
        reason = f"needs two loop counts and {LEAST_PAIRS} seeds that did not diverge"
        return answer(claim, "not clear", reason, {"gain": gain})
    low, high = gain["interval"]
    best = min((c for c in own if c["median"] is not None), key=lambda cell: cell["median"])
    rises = [
        f"{a['loops']} to {b['loops']}"
        for a, b in pairwise(own)
        if (step := paired_gain(a["errors"], b["errors"])) and step["interval"][0] > 1
    ]
    reason = (
        f"error at r = {last['loops']} over r = {first['loops']}: {gain['ratio']:.3g} "
        f"(95 % over seeds {low:.3g} to {high:.3g}); smallest median at r = {best['loops']}"
    )
    if rises:
        reason += f"; the error rose from r = {', '.join(rises)}"
    evidence = {"gain": gain, "best_loops": best["loops"], "rises": rises}
    if low < 1 < high:
        return answer(claim, "not clear", reason + "; seeds cannot decide", evidence)
    return answer(claim, "yes" if high <= 1 else "no", reason, evidence)


def _clock_answer(group: Sequence[Row]) -> Row:
    """Is TMLT more accurate than LT at equal parameters, over all loop counts above 1?"""
    claim = "timestep modulation lowers the trained error at equal parameters"
    pair = {(c["family"], c["loops"]): c for c in group}
    ratios = {}
    for loops in sorted({c["loops"] for c in group}):
        lt, tmlt = pair.get(("lt", loops)), pair.get(("tmlt", loops))
        if lt and tmlt and (gain := paired_gain(lt["errors"], tmlt["errors"])):
            ratios[loops] = gain
    several = {loops: gain for loops, gain in ratios.items() if loops > 1}
    evidence = {"ratios": {str(r): gain for r, gain in ratios.items()}}
    if not several or min(gain["seeds"] for gain in several.values()) < LEAST_PAIRS:
        reason = f"needs r > 1 and {LEAST_PAIRS} seeds of both families that did not diverge"
        return answer(claim, "not clear", reason, evidence)
    better = [r for r, gain in several.items() if gain["interval"][1] < 1]
    worse = [r for r, gain in several.items() if gain["interval"][0] > 1]
    listed = ", ".join(f"r = {r}: {gain['ratio']:.2f}" for r, gain in several.items())
    reason = f"TMLT/LT error ratio at {listed}; better at {_at(better)}, worse at {_at(worse)}"
    if better and not worse and 2 * len(better) > len(several):
        return answer(claim, "yes", reason, evidence)
    if worse and not better and 2 * len(worse) > len(several):
        return answer(claim, "no", reason, evidence)
    return answer(claim, "not clear", reason + "; no clear sign", evidence)


def _at(loops: Sequence[int]) -> str:
    """Loop counts in words."""
    return f"r = {', '.join(map(str, loops))}" if loops else "no r"


def convergence(group: Sequence[Row]) -> Row:
    """Return how many of the reported fits had stopped improving: a note, no claim rests on it."""
    fits = [fit for cell in group for fit in cell["rows"]]
    done = sum(fit["late_gain"] < CONVERGED and fit["error"] is not None for fit in fits)
    return {
        "fits": len(fits),
        "converged": done,
        "diverged": sum(fit["error"] is None for fit in fits),
        "median_gain": float(np.median([fit["late_gain"] for fit in fits])),
    }


def _number(value: float) -> float | None:
    """Return None for inf and NaN, which JSON cannot hold."""
    return value if math.isfinite(value) else None
