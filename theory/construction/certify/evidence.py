"""What there is to judge a constructed network by: checks, its error, an estimate of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from looprate.theory.construction.build.compile import Construction
from looprate.theory.construction.certify.cells import CellRun, run_cells
from looprate.theory.construction.certify.checks import (
    outputs_finding,
    range_finding,
    weights_finding,
)
from looprate.theory.construction.certify.error import (
    Enclosed,
    ErrorProblem,
    MeasuredError,
    enclosed_error,
    memoriser_norm,
)
from looprate.theory.construction.certify.sampled import sampled_error
from looprate.theory.targets import Target
from looprate.theory.verdict import Finding, Verdict

__all__ = ["STRIP_SAMPLES"]

STRIP_SAMPLES = 128  # random inputs in strips on which the range claim is checked
RUNNING = 0.4  # of the progress; the rest is the error's
NOT_MEASURED = MeasuredError(note="the network is not the one compiled")


@dataclass(frozen=True)
class Evidence:
    """What was found out about a network; nothing but checks where it cannot be run."""

    checks: tuple[Finding, ...]
    error: MeasuredError = NOT_MEASURED
    memoriser_error: float | None = None
    memoriser_norm: Enclosed | None = None
    sampled: dict[str, Any] | None = None


def gathered(
    construction: Construction,
    fresh: Construction,
    target: Target,
    *,
    p: float,
    tolerance: float,
    boxes: int,
    seconds: float,
    seed: int,
    tell: Callable[[float], None],
) -> Evidence:
    """Run the network, compare it with a fresh compilation and measure its error."""
    weights, rng = weights_finding(construction.network, fresh), np.random.default_rng(seed)
    run = _run(construction, rng, weights, lambda part: tell(RUNNING * part))
    if isinstance(run, Finding):
        return Evidence((run, weights))
    checks = (outputs_finding(run, fresh), range_finding(run, fresh), weights)
    found = ErrorProblem(run, construction.spec, fresh.table, target, p)
    error = NOT_MEASURED
    if weights.verdict is Verdict.HOLDS:  # else outputs at points say nothing about whole cells
        error = enclosed_error(
            found,
            tolerance=tolerance,
            boxes=boxes,
            seconds=seconds,
            report=lambda part: tell(RUNNING + (1 - RUNNING) * part),
        )
    exact, ends = found.memoriser_error, memoriser_norm(found)
    return Evidence(checks, error, float(exact), ends, sampled_error(found, rng))


def _run(
    construction: Construction,
    rng: np.random.Generator,
    weights: Finding,
    report: Callable[[float], None],
) -> CellRun | Finding:
    """Outputs of the network, or why a changed one has none."""
    try:
        return run_cells(construction, strips=STRIP_SAMPLES, rng=rng, report=report)
    except (ValueError, OverflowError) as error:
        if weights.verdict is Verdict.HOLDS:
            raise
        claim = "the network can be run in exact arithmetic"
        return Finding(claim, Verdict.NOT_TESTABLE, f"the network cannot be run exactly, {error}")
