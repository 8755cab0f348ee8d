"""From stored certificates to what they say: slopes against the construction's rates, findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from looprate.theory.bounds.explicit import collision_power
from looprate.theory.bounds.loop_counts import Coding
from looprate.theory.bounds.rates import construction_exponent, holder_exponent
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.outputs import at_least, at_most
from looprate.theory.statistics.slopes import SlopeFit, fit_slope
from looprate.theory.verdict import Finding, Verdict

__all__ = ["constructed_slope", "expected_slope"]

Row = dict[str, Any]
TAIL = 4  # the slope is read off grids from the largest over this on
POINTS = 4  # fewer carry no slope
TOLERANCE = 0.05  # of a slope: grids this small carry terms of higher order
STRAIGHT = 0.1  # local slopes that differ by more do not lie on a line


def constructed_curve(certificates: Sequence[Row], memoriser: str) -> list[Row]:
    """Return one memoriser's certificates with an error between two positive numbers, by loops."""
    own = [row for row in certificates if row["memoriser"] == memoriser]
    enclosed = [row for row in own if row["error_lower"] and row["error_upper"]]
    return sorted(enclosed, key=lambda row: row["loops"])


def constructed_slope(curve: Sequence[Row]) -> SlopeFit | None:
    """Fit log error on log r over the tail, on log (r/q) for digits; None below four points.

    r/q is taken as the number of labels, which it exceeds by (m + N)/q; in two levels r^2/q is.
    """
    most = max((row["grid"] for row in curve), default=0)
    tail = [row for row in curve if row["grid"] * TAIL >= most]
    if len(tail) < POINTS:
        return None
    counted = "labels" if MEMORISERS[tail[0]["memoriser"]].takes_bits else "loops"
    return fit_slope(
        [row[counted] for row in tail],
        [(row["error_lower"] + row["error_upper"]) / 2 for row in tail],
        tokens=tail[0]["tokens"],
        variable="loops",
        offset=False,
        rng=np.random.default_rng(0),
    )


def expected_slope(
    *, tokens: int, dim: int, p: float, holder: float, coding: Coding, levels: int = 1
) -> float:
    """Return the slope of the explicit inequality at the construction's own loop counts.

    It falls like δ^min(s, c/p), c the power of the collisions, the error at least as fast.
    """
    exponent = min(holder, 1.0, collision_power(tokens, dim, coding) / p)
    return -exponent * construction_exponent(tokens=tokens, dim=dim, coding=coding, levels=levels)


def constructed_findings(facts: Row, certificates: Sequence[Row]) -> list[Finding]:
    """Return what the constructed networks of one target and shape show."""
    findings = []
    for memoriser, kind in MEMORISERS.items():
        own = [row for row in certificates if row["memoriser"] == memoriser]
        if own:
            findings.append(_inequality_finding(memoriser, kind.coding, own))
            findings.append(_slope_finding(facts, memoriser, kind.coding, own))
    return findings


def _inequality_finding(memoriser: str, coding: Coding, own: Sequence[Row]) -> Finding:
    """Does every constructed network keep the explicit inequality, and does that say something?"""
    claim = f"constructed networks ({memoriser}, {coding} code) keep the explicit inequality"
    by = {word: [r for r in own if r["verdict"] == word] for word in map(str, Verdict)}
    bad = [*by[Verdict.VIOLATED], *by[Verdict.NOT_TESTABLE]]
    evidence = {"verdicts": {str(row["grid"]): row["verdict"] for row in own}}
    if bad:
        return Finding(claim, Verdict(bad[0]["verdict"]), bad[0]["reason"], evidence)
    last = max(own, key=lambda row: row["grid"])
    reason = (
        f"{len(own)} certificates, m = {min(r['grid'] for r in own)} to {last['grid']}; at "
        f"r = {last['loops']} the error is in [{at_least(last['error_lower'], 4)}, "
        f"{at_most(last['error_upper'], 4)}], the bound {last['bound']:.4g}"
    )
    if not by[Verdict.HOLDS]:
        return Finding(claim, Verdict.VACUOUS, reason + ", above the best constant", evidence)
    first = min(row["loops"] for row in by[Verdict.HOLDS])
    return Finding(claim, Verdict.HOLDS, reason + f"; informative from r = {first} on", evidence)


def _slope_finding(facts: Row, memoriser: str, coding: Coding, own: Sequence[Row]) -> Finding:
    """Does the error of the constructed networks fall at least at the inequality's rate?"""
    holder = facts["smoothness"]["exponent"]
    kind, shape = MEMORISERS[memoriser], {name: facts[name] for name in ("tokens", "dim", "p")}
    levels = 1 if kind.takes_bits else kind.levels  # of digits labels are counted, not loops
    expected = expected_slope(**shape, holder=holder, coding=coding, levels=levels)
    variable = ("r", "(r/q)", "(r^2/q)")[kind.levels if kind.takes_bits else 0]
    printed = -holder_exponent(
        tokens=facts["tokens"], dim=facts["dim"], holder=min(holder, 1.0), p=facts["p"]
    )
    tolerance = min(TOLERANCE, (printed - expected) / 2)  # nearer than the printed exponent
    claim = (
        f"constructed networks ({memoriser}, {coding} code): over the grids tried the error falls "
        f"like {variable}^{expected:.3g} or faster, up to {tolerance:.2g} in the exponent"
    )
    fit = constructed_slope(constructed_curve(own, memoriser))
    if fit is None:
        reason = f"needs {POINTS} certified errors on the tail, got fewer: larger grids"
        return Finding(claim, Verdict.NOT_TESTABLE, reason)
    evidence = {"expected": expected, "tolerance": tolerance, "fit": fit.as_dict()}
    local = ", ".join(f"{slope:.3f}" for slope in fit.local_slopes)
    reason = f"slope {fit.slope:.3f} over {len(fit.loops)} grids (local slopes {local})"
    if fit.slope <= expected + tolerance:
        return Finding(claim, Verdict.HOLDS, reason, evidence)
    if max(fit.local_slopes) - min(fit.local_slopes) > STRAIGHT:
        reason += ": no line yet, the cells are too coarse for this target"
        return Finding(claim, Verdict.NOT_TESTABLE, reason, evidence)
    return Finding(claim, Verdict.VIOLATED, reason, evidence)
