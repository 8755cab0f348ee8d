"""What is checked of a constructed network (outputs, range, weights), and the verdict on it all."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from looprate.theory.bounds.rows import BoundRow
from looprate.theory.construction.build.compare import differences
from looprate.theory.construction.build.compile import Construction
from looprate.theory.construction.build.network import Network
from looprate.theory.construction.certify.cells import CellRun, expected_outputs
from looprate.theory.construction.certify.error import Enclosed, MeasuredError
from looprate.theory.hypotheses import failures, testable
from looprate.theory.outputs import at_least, at_most
from looprate.theory.verdict import Finding, Verdict

__all__ = ["range_finding"]

LISTED = 3  # differing weights that a reason names
KEPT = 50  # ... and that the evidence holds


def outputs_finding(run: CellRun, fresh: Construction) -> Finding:
    """Every output on the cells is, exactly, what the steps of the proof answer."""
    claim = "on every cell the network answers exactly what the steps of the proof answer"
    expected = expected_outputs(fresh, run.cells)
    places = {"centre": run.centres, "lower corner": run.low, "upper corner": run.high}
    for where, found in places.items():
        wrong = np.argwhere(found != expected)
        if len(wrong):
            k, n, i = (int(v) for v in wrong[0])
            cells, got, right = run.cells[k].tolist(), found[k, n, i], expected[k, n, i]
            reason = (
                f"at the {where} of cells {cells} token {n} outputs {_told(got, right)} in "
                f"coordinate {i} ({len(wrong)} of {found.size} entries differ)"
            )
            return Finding(claim, Verdict.VIOLATED, reason, {"cells": cells, "token": n})
    count = f"{len(run.cells)} sets of cells, centres and corners"
    return Finding(claim, Verdict.HOLDS, f"{count}, compared as exact numbers")


def range_finding(run: CellRun, fresh: Construction) -> Finding:
    """No output leaves the labels' range: all cells, and random inputs in strips."""
    claim = "no output leaves the range of the labels, collisions and strips included"
    for where, found in (("on a cell", run.centres), ("in a strip", run.strips)):
        for i, (low, high) in enumerate(fresh.table.ranges):
            outside = [v for v in found[..., i].ravel() if not low <= v <= high]
            if outside:
                reason = (
                    f"{where} coordinate {i} of an output is {float(outside[0]):.6g}, outside the "
                    f"labels' range [{float(low):.6g}, {float(high):.6g}]"
                )
                return Finding(claim, Verdict.VIOLATED, reason)
    reason = (
        f"all cells, {len(run.strips)} random inputs in strips; for the compiler's weights the "
        "steps' modules prove it everywhere"
    )
    return Finding(claim, Verdict.HOLDS, reason)


def weights_finding(network: Network, fresh: Construction) -> Finding:
    """Every weight is the compiler's: the proof speaks of these weights."""
    claim = "every weight is the one the compiler gives for this target"
    found = differences(network, fresh.network)
    if not found:
        return Finding(claim, Verdict.HOLDS, "equal to a fresh compilation")
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    reason = "; ".join(found[:LISTED]) + more
    return Finding(claim, Verdict.NOT_TESTABLE, reason, {"differences": found[:KEPT]})


def _told(got: Fraction, right: Fraction) -> str:
    """Two numbers, with as many digits as tell them apart."""
    for digits in (6, 17):
        texts = f"{float(got):.{digits}g}", f"{float(right):.{digits}g}"
        if texts[0] != texts[1]:
            return f"{texts[0]}, expected {texts[1]}"
    return f"{got}, expected {right}"


def judge(
    hypotheses: Sequence[Finding],
    checks: Sequence[Finding],
    measured: MeasuredError,
    bound: BoundRow,
    rounding: float,
) -> tuple[Verdict, str]:
    """One word for everything, and one sentence; a failed hypothesis outranks all else."""
    if not testable(hypotheses):
        others = [finding.reason for finding in checks if finding.verdict is not Verdict.HOLDS]
        return Verdict.NOT_TESTABLE, "; ".join([*failures(hypotheses), *others])
    failed = [finding for finding in checks if finding.verdict is not Verdict.HOLDS]
    if failed:
        broken = [finding for finding in failed if finding.verdict is Verdict.VIOLATED]
        rest = [finding for finding in failed if finding not in broken]
        reason = "; ".join(finding.reason for finding in (*broken, *rest))
        return Verdict.VIOLATED if broken else Verdict.NOT_TESTABLE, reason
    if measured.total is None:
        return Verdict.NOT_TESTABLE, f"there is no enclosure of the error: {measured.note}"
    low, high = measured.total
    found = f"the error lies in [{at_least(low)}, {at_most(high)}]"
    if measured.note:
        found += f" ({measured.note})"
    if bound.moduli_side == "lower":
        return Verdict.NOT_TESTABLE, (
            "the target's moduli are lower bounds only, so the inequality's right-hand side is "
            f"not proven; {found}"
        )
    cure = "more time" if measured.note else "a smaller tolerance"
    return _compared(measured.total, bound, rounding, found, cure)


def _compared(
    error: Enclosed, bound: BoundRow, rounding: float, found: str, cure: str
) -> tuple[Verdict, str]:
    """The error against the bound, once all else holds."""
    lower, upper = error
    if lower > bound.total + rounding:
        return Verdict.VIOLATED, f"{found}, above the bound {bound.total:.6g}"
    if upper > bound.total + rounding:
        return Verdict.NOT_TESTABLE, (
            f"{found}, around the bound {bound.total:.6g}: {cure} may decide"
        )
    if bound.verdict is Verdict.HOLDS:
        return Verdict.HOLDS, f"{found}, below the bound {bound.total:.6g}, which is not vacuous"
    return bound.verdict, f"{found}, below the bound, but {bound.reason}"
