"""What a claim of the ledger is: its exact words, a check of it on finitely many cases, controls.

A check returns a finding whose evidence holds ``figure``, the one number or short phrase that the
table shows.  A control hands the same check a broken ingredient and must come out violated or not
testable: otherwise the check would let anything pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from looprate.theory.verdict import Finding, Verdict

Check = Callable[[], Finding]
Row = tuple[str, float | Fraction, float | Fraction]
PAPER = "Xu & Sato, ICML 2025, arXiv 2410.01405v7"
THIS = "theory of this project"
REJECTED = (Verdict.VIOLATED, Verdict.NOT_TESTABLE)
ROUNDING = 1e-9  # relative slack between two numbers computed in floats
TINY = 1e-11  # absolute slack: label tables round the target's values to 40 bits


@dataclass(frozen=True)
class Control:
    """A wrong variant of a claim: what was broken, and the claim's own check on it."""

    name: str
    check: Check


def wrong(name: str, check: Callable[..., Finding], *args: Any, **kwargs: Any) -> Control:
    """Return a control whose check is called with some arguments."""
    return Control(name, partial(check, *args, **kwargs))


@dataclass(frozen=True)
class Drawn:
    """The figure that shows a claim, and the command that draws it."""

    name: str
    command: str


@dataclass(frozen=True)
class Claim:
    """One entry of the ledger.

    Attributes
    ----------
    id : str
        In kebab case, unique.
    title : str
    statement : str
        Exact, with its quantifiers.
    source : str
        A statement of the paper with its version, or this project's theory.
    hypotheses : tuple of str
    reading : str
        What it means in plain words, and what it does not say.
    scope : str
        The finite set on which the check looks; a verdict speaks of this set alone.
    check : callable
        () -> Finding.
    controls : tuple of Control
        None only for what is reported and not checked.
    drawn : Drawn or None
        The figure that shows it, if one does.
    seconds : float
        Rough cost on one core, for the progress.
    quick : bool
        Whether it runs when no claim is named.
    reported : bool
        Whether it is copied from a report and cannot be checked here.
    """

    id: str
    title: str
    statement: str
    source: str
    hypotheses: tuple[str, ...]
    reading: str
    scope: str
    check: Check
    controls: tuple[Control, ...] = ()
    drawn: Drawn | None = None
    seconds: float = 1.0
    quick: bool = True
    reported: bool = False

    def run(self) -> Finding:
        """Return the check's finding under the claim's own statement."""
        return _under(self.statement, self.check())

    def run_controls(self) -> Iterator[tuple[Control, Finding]]:
        """Yield what the check says of each wrong variant."""
        for control in self.controls:
            words = f"wrong variant of {self.id}: {control.name}"
            yield control, _under(words, control.check())


def found(verdict: Verdict | bool, figure: str, reason: str, **evidence: Any) -> Finding:
    """Return a finding; True stands for holds, False for violated."""
    word = verdict
    if not isinstance(word, Verdict):
        word = Verdict.HOLDS if verdict else Verdict.VIOLATED
    return Finding("", word, reason, {"figure": figure, **_ready(evidence)})


def compared(rows: Iterable[Row], what: str, *, exact: bool = False) -> Finding:
    """Return the finding of "left <= right in every row".

    Parameters
    ----------
    rows : iterable of (label, left, right)
    what : str
        Of what left and right are, for the reason.
    exact : bool
        Whether rows hold exact numbers, compared without slack for rounding.
    """
    listed = list(rows)
    if not listed:
        return found(Verdict.NOT_TESTABLE, "nothing", f"no case of {what} to compare")
    slack, more = (0.0, 0.0) if exact else (ROUNDING, TINY)
    bad = [row for row in listed if not row[1] <= row[2] * (1 + slack) + more]
    label, left, right = max(bad or listed, key=_tightness)
    evidence = {"compared": len(listed), "beyond": len(bad), "case": label}
    evidence |= {"left": left, "right": right}
    if bad:
        reason = f"{what}: {float(left):.6g} > {float(right):.6g} at {label}"
        return found(False, f"{len(bad)} of {len(listed)} fail", reason, **evidence)
    tight: float = _tightness((label, left, right))
    closest = f"closest {float(left):.6g} <= {float(right):.6g} at {label}" if tight else "all 0"
    figure = f"{len(listed)} cases, " + (f"closest ratio {tight:.3g}" if tight else "all 0")
    return found(True, figure, f"{what}: {len(listed)} cases, none beyond; {closest}", **evidence)


def _tightness(row: Row) -> float:
    """left / right; of numbers that are 0 up to rounding 0, of others inf beyond 0."""
    _, left, right = row
    if abs(float(right)) > TINY:
        return max(0.0, float(left) / float(right))
    return math.inf if float(left - right) > TINY else 0.0


def _under(claim: str, finding: Finding) -> Finding:
    """The same finding under a claim's words."""
    return Finding(claim, finding.verdict, finding.reason, finding.evidence)


def _ready(value: Any) -> Any:
    """Evidence as strict JSON has it: None for what is not finite, floats for fractions."""
    if isinstance(value, dict):
        return {str(key): _ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_ready(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return _ready(value.tolist())
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
