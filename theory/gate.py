"""The one place that decides what may be said: verdicts of totals, and which outranks which.

A claim is *violated* only where every hypothesis holds; a bound is *vacuous* only where it is
clearly not below the trivial one; what rests on lower bounds of moduli is never *proven*.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from looprate.theory.outputs import at_least, at_most
from looprate.theory.verdict import Finding, Verdict

__all__ = [
    "Contradiction",
    "Onset",
    "Total",
    "below_trivial",
    "check_sampled",
    "failures",
    "judged_total",
    "state_of",
    "under_hypotheses",
]

SECONDS = 5.0  # of certified upper bounds, where nothing else is asked for
STDERR_MARGIN = 3.0  # standard errors of the trivial bound within which nothing is decided
SAMPLED_MARGIN = 6.0  # standard errors between a sampled and an enclosed error: never by chance
UNSEEN = 20.0  # points times the measure of a set that all of them miss: probability e^-20
Side = Literal["exact", "upper", "lower"]


class Contradiction(RuntimeError):
    """A proven bound lies below what an input attains: a fault of this project, never a number."""


@dataclass(frozen=True)
class Total:
    """A bound's value with what it is judged by.

    Attributes
    ----------
    value : float
        The bound, in the L^p norm.
    side : {"exact", "upper", "lower"}
        Worst side among the moduli used: ``"lower"`` makes the value a lower estimate of the bound.
    p : float
    ceiling : float
        (Nd)^{1/p} D: some constant always has an error of at most half of it.
    trivial, trivial_stderr : float or None
        The best constant's error and its standard error.
    """

    value: float
    side: Side
    p: float
    ceiling: float
    trivial: float | None
    trivial_stderr: float | None


def judged_total(total: Total, open_point: str | None = None) -> tuple[Verdict, str]:
    """Return the verdict on a bound's total, and why.

    Parameters
    ----------
    total : Total
    open_point : str, optional
        What is not proven although the total is below the trivial bound.

    Returns
    -------
    verdict : Verdict
        ``VACUOUS`` at half the ceiling (of a D that is no lower bound itself), or 3 standard errors
        above the best constant's error; at p = inf that error is a sampled lower estimate, so the
        ceiling alone decides.  ``HOLDS`` 3 standard errors below it, if all is proven.
        ``NOT_TESTABLE`` otherwise.
    reason : str
    """
    value, half = total.value, total.ceiling / 2.0
    if total.side != "lower" and value >= half:
        known = (
            "" if total.trivial is None else f"; the best constant's error is {total.trivial:.4g}"
        )
        return Verdict.VACUOUS, (
            f"the bound {value:.4g} is not below (Nd)^(1/p) D/2 = {half:.4g}, "
            f"which some constant always reaches{known}"
        )
    if total.trivial is None:
        return Verdict.NOT_TESTABLE, "the trivial bound (best constant's error) was not given"
    if not below_trivial(value, total.trivial, total.trivial_stderr):
        return _not_below(total, total.trivial)
    if total.side == "lower":
        return Verdict.NOT_TESTABLE, (
            "the moduli are lower bounds, so is this total: needs upper bounds of the moduli"
        )
    if open_point is not None:
        return Verdict.NOT_TESTABLE, open_point
    return Verdict.HOLDS, (
        f"the hypotheses are met and the bound {value:.4g} is below the best constant's error "
        f"{total.trivial:.4g}, so it promises more than any constant gives"
    )


def _not_below(total: Total, trivial: float) -> tuple[Verdict, str]:
    """Verdict and reason where the total is not clearly below the best constant's error."""
    margin = STDERR_MARGIN * (total.trivial_stderr or 0.0)
    if math.isinf(total.p):
        return Verdict.NOT_TESTABLE, (
            f"the bound {total.value:.4g} is not below the best constant's error, of which only a "
            f"lower estimate is known at p = inf: {trivial:.4g}"
        )
    if total.value >= trivial + margin:
        return Verdict.VACUOUS, (
            f"the bound {total.value:.4g} is not below the best constant's error {trivial:.4g}"
        )
    return Verdict.NOT_TESTABLE, (
        f"undecided: the bound {total.value:.4g} is within {STDERR_MARGIN:g} standard errors of "
        f"the best constant's error {trivial:.4g} (standard error {total.trivial_stderr:.1g})"
    )


def check_sampled(
    enclosed: tuple[float, float],
    sampled: float,
    stderr: float | None,
    *,
    points: int,
    strips: float,
    ceiling: float,
    p: float,
) -> None:
    """Raise where a sampled error cannot be that of an enclosure.

    Parameters
    ----------
    enclosed : (float, float)
        Proven ends of the error.
    sampled : float
        Its estimate from random inputs.
    stderr : float or None
        None at p = inf, where the estimate is a lower one.
    points : int
        How many inputs.
    strips : float
        What the estimate leaves out: an upper bound of the error in the strips.
    ceiling : float
        (Nd)^{1/p} D: what inputs that were not seen, fewer than one in points/20, may add.
    p : float

    Raises
    ------
    Contradiction
        If the two are further apart than 6 standard errors and what the estimate leaves out.
    """
    lower, upper = enclosed
    slack = SAMPLED_MARGIN * (stderr or 0.0) + strips + 1e-9 * max(ceiling, upper)
    unseen = 0.0 if math.isinf(p) else ceiling * (UNSEEN / points) ** (1.0 / p)
    low = -math.inf if stderr is None else lower - slack - unseen
    if not low <= sampled <= upper + slack:
        raise Contradiction(
            f"the error is certified to lie in [{at_least(lower)}, {at_most(upper)}], and "
            f"{points} random inputs give {sampled:.6g} (standard error {stderr or 0.0:.1g})"
        )


def below_trivial(value: float, trivial: float, stderr: float | None) -> bool:
    """Tell whether a value is below the best constant's error by more than its uncertainty.

    Parameters
    ----------
    value : float
    trivial : float
        The best constant's error.
    stderr : float or None
        Its standard error.
    """
    return value < trivial - STDERR_MARGIN * (stderr or 0.0)


@dataclass(frozen=True)
class Onset:
    """From which loop count on a bound is below the trivial one, and whether that is proven.

    Attributes
    ----------
    loops : int or None
        None: not up to ``cap``.
    proven : bool
        Whether the bound holds there; otherwise it is below no earlier, and perhaps never.
    cap : int
    """

    loops: int | None
    proven: bool
    cap: int

    @property
    def words(self) -> str:
        """``"from r = 34 on"``, ``"not proven; not before r = 34"``, or that there is none."""
        if self.loops is None:
            return f"at no r up to {_count(self.cap)}"
        if self.proven:
            return f"from r = {_count(self.loops, up=True)} on"
        return f"not proven; not before r = {_count(self.loops)}"


def _count(loops: int, *, up: bool = False) -> str:
    """A loop count of any size in a few characters; three digits of it, rounded down or up."""
    if loops < 10**9:
        return f"{loops:,}"
    power = len(str(loops)) - 1
    digits = (loops * 100 + up * (10**power - 1)) // 10**power
    if digits == 1000:
        power, digits = power + 1, 100
    return f"10^{power}" if digits == 100 else f"{digits / 100:g} * 10^{power}"


def state_of(finding: Finding) -> str:
    """Return what is said of a hypothesis: holds as far as was looked, fails, or is open.

    Parameters
    ----------
    finding : Finding
        From :func:`looprate.theory.hypotheses.check_hypotheses`.
    """
    if finding.verdict is Verdict.HOLDS:
        return "holds"
    return "open" if finding.evidence.get("skipped") else "fails"


def failures(hypotheses: Sequence[Finding]) -> list[str]:
    """Return one line for each hypothesis that fails, with its witness.

    Those not looked at because an earlier one fails are left out.
    """
    return [
        f'"{finding.claim}" fails: {finding.reason}'
        for finding in hypotheses
        if state_of(finding) == "fails"
    ]


def under_hypotheses(finding: Finding, hypotheses: Sequence[Finding]) -> Finding:
    """Return a finding as it is, or not testable where it is violated and a hypothesis fails.

    Parameters
    ----------
    finding : Finding
    hypotheses : sequence of Finding
        One that does not hold, or was not looked at, outranks a broken finding.
    """
    if finding.verdict is not Verdict.VIOLATED:
        return finding
    if all(hypothesis.verdict is Verdict.HOLDS for hypothesis in hypotheses):
        return finding
    why = "; ".join(failures(hypotheses)) or "a hypothesis was not looked at"
    return replace(
        finding, verdict=Verdict.NOT_TESTABLE, reason=f"{why}; otherwise: {finding.reason}"
    )
