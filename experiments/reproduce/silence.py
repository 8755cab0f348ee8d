"""Why the theorems are silent on a task: their hypotheses one by one, with numbers.

Every number is computed from the task, the configuration of the network and the formulas of
:mod:`looprate.theory`.  Readings are the kindest: a token id counts as one coordinate, d = 1, and
the moduli of the bound are put at 0.  A hypothesis that "holds" was not refuted where it was looked
at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from looprate.approx.models.sequence_config import SequenceConfig
from looprate.experiments.reproduce.witnesses import (
    Checked,
    continuous,
    equivariant,
    is_function,
    on_the_cube,
)
from looprate.experiments.tasks.base import Task
from looprate.theory.bounds.loop_counts import construction_loops, printed_loops, smallest_grid
from looprate.theory.bounds.rows import Side
from looprate.theory.bounds.theorem import theorem_3_6_bound
from looprate.theory.notation import Kind, check_loops
from looprate.theory.verdict import Finding, Verdict

Row = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One task at one size, the network that runs on it, and its loop count."""

    task: Task
    config: SequenceConfig
    loops: int

    def __post_init__(self) -> None:
        check_loops(self.loops)

    @property
    def tokens(self) -> int:
        """N, positions of a row."""
        return self.task.length

    @property
    def dim(self) -> int:
        """d, entries of a vector; 1 for token ids."""
        return self.task.channels or 1


def silence(setting: Setting) -> Row:
    """Say which hypotheses fail at one size, and what the bounds come to there.

    Returns
    -------
    dict
        ``tokens``, ``dim``, ``loops``; ``delta`` of Theorem 3.6 (None for r <= N); ``hypotheses``,
        ``bound`` and ``storage``, findings as dictionaries; ``verdict`` and ``sentence``.  The
        verdict is "not testable" where a hypothesis fails, else that of the bound.
    """
    found, (delta, bound) = hypotheses(setting), _bound(setting)
    unmet = [finding for finding in found if finding.verdict is not Verdict.HOLDS]
    skipped = sum("skipped" in finding.evidence for finding in unmet)
    sentence = f"{len(unmet) - skipped} of {len(found)} hypotheses fail"
    sentence += f", {skipped} not looked at" * (skipped > 0) + f"; {bound.reason}"
    verdict = Verdict.NOT_TESTABLE if unmet else bound.verdict
    return {
        "tokens": setting.tokens,
        "dim": setting.dim,
        "loops": setting.loops,
        "delta": delta,
        "hypotheses": [finding.as_dict() for finding in found],
        "bound": bound.as_dict(),
        "storage": _storage(setting).as_dict(),
        "verdict": str(verdict),
        "sentence": sentence,
    }


def hypotheses(setting: Setting) -> list[Finding]:
    """Return one finding a hypothesis of Theorem 3.6: on the sizes, the network, the target.

    A hypothesis can be refuted here, with a witness, and never proven.
    """
    function, config = is_function(setting.task), setting.config
    block = {"norm": config.norm, "activation": config.activation}
    checks: dict[str, Checked] = {
        "the loop count exceeds the number of tokens": _enough_loops(setting),
        "the network takes no positions": (
            config.positions == "none",
            f"positions: {config.positions}",
            {"positions": config.positions},
        ),
        "the network sees all tokens": (
            not config.causal,
            "causal mask" if config.causal else "no causal mask",
            {"causal": config.causal},
        ),
        "the block has ReLU and no normalisation": (
            block == {"norm": "none", "activation": "relu"},
            f"norm: {config.norm}, activation: {config.activation}",
            block,
        ),
        "the target is a function of what the network sees": function,
        "the target is defined on the whole cube": on_the_cube(setting.task, config.vocabulary),
        "the target is permutation-equivariant": (
            equivariant(setting.task)
            if function[0]
            else (False, "not looked at, for the target is no function", {"skipped": True})
        ),
        "the target is continuous": continuous(setting.task),
    }
    return [
        Finding(claim, Verdict.HOLDS if holds else Verdict.NOT_TESTABLE, reason, evidence)
        for claim, (holds, reason, evidence) in checks.items()
    ]


def _enough_loops(setting: Setting) -> Checked:
    """Compare r with N, and with the loops at which the printed cell width is 1/2."""
    n, d, r = setting.tokens, setting.dim, setting.loops
    half = math.log10(printed_loops(2, tokens=n, dim=d))
    sides = f"r = {r} is {'' if r > n else 'not '}above N = {n}"
    reason = f"{sides}; the cell width is 1/2 from about 10^{half:.0f} loops on"
    return r > n, reason, {"tokens": n, "dim": d, "loops": r, "log10_loops_of_half": half}


def _nothing(kind: Kind, delta: float) -> tuple[float, Side]:
    """Moduli of 0: no target has smaller ones."""
    return 0.0, "exact"


def _bound(setting: Setting) -> tuple[float | None, Finding]:
    """Theorem 3.6 in its kindest case: moduli 0, p = 1, range 1; only the collisions are left."""
    row = theorem_3_6_bound(
        _nothing, setting.loops, tokens=setting.tokens, dim=setting.dim, p=1.0, oscillation=1.0
    )
    delta = row.delta if math.isfinite(row.delta) else None
    reason = row.reason
    if delta is not None:
        reason = f"delta = {delta:.4g}, and with all moduli at 0 (p = 1, range 1) {reason}"
    evidence = row.as_dict()
    return delta, Finding(
        "Theorem 3.6 promises more at this size than a constant gives",
        row.verdict,
        reason,
        evidence,
    )


def _storage(setting: Setting) -> Finding:
    """Loops that Theorem 4.2's memoriser needs for the labels of the coarsest grid of use."""
    n, d, r = setting.tokens, setting.dim, setting.loops
    grid = smallest_grid(tokens=n, dim=d)
    needed = construction_loops(grid, tokens=n, dim=d, memoriser="timestep", coding="rank")
    power = math.log10(needed)
    verdict = Verdict.HOLDS if r >= needed else Verdict.NOT_TESTABLE
    reason = (
        f"r = {r}; a grid on which {n} tokens can lie apart has m = {grid} cells a side, and its "
        f"labels take about 10^{power:.1f} loops, with eta(t) and the rank code"
    )
    evidence = {"grid": grid, "loops": r, "log10_loops_needed": power}
    return Finding("r loops store a value for every label (Theorem 4.2)", verdict, reason, evidence)
