"""Every hypothesis in a fixed order, each a claim with a verdict and its evidence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from looprate.theory.hypotheses import shape, values
from looprate.theory.hypotheses.probes import Checked, Probes
from looprate.theory.hypotheses.subject import EvaluationFailed, subject_of
from looprate.theory.hypotheses.witness import plain, with_witness
from looprate.theory.notation import check_dim, check_loops, check_tokens
from looprate.theory.verdict import Finding, Verdict

DETERMINISTIC = "the target is deterministic"
ALONE = "the target treats each input of a batch on its own"
CHECKS: tuple[tuple[str, Callable[[Probes], Checked]], ...] = (
    ("the target is defined on the whole cube", values.defined),
    ("the target's values are finite", values.finite),
    (DETERMINISTIC, values.deterministic),
    ("the target computes in floating point", values.floating),
    (ALONE, values.alone),
    ("the target is permutation-equivariant", shape.equivariant),
    ("the target is continuous", shape.continuous),
)  # in the order in which one rests on the ones before
RESTED_ON = (DETERMINISTIC, ALONE)  # without these the later checks mean nothing
EXPONENT = "the exponent p is at least 1"
LOOPS = "the loop count exceeds the number of tokens"


def check_hypotheses(
    f: Callable[[Any], Any],
    *,
    tokens: int,
    dim: int,
    p: float,
    loops: int | None = None,
    effort: float = 1.0,
    seed: int = 0,
) -> list[Finding]:
    """Check the hypotheses of Theorem 3.6 (v7), and those that this project's checks rest on.

    In this order: f is permutation-equivariant; continuous; defined on the whole closed cube; its
    values are finite; it is deterministic; it computes in floating point; it treats each input of a
    batch on its own; p >= 1; and, where ``loops`` is given, r > N.

    Every check of f looks at finitely many inputs: it can refute, with a witness in its evidence,
    and never prove.  Permutations are exact: all of them up to 4 tokens, generators and random
    ones beyond; what may differ by rounding is measured in the precision f computes in.

    Parameters
    ----------
    f : callable
        (B, N, d) to (B, N, d): a target, a torch module, a NumPy or a torch function.
    tokens, dim : int
        N and d.
    p : float
        Exponent of the entrywise output norm; below 1 or NaN is a finding, not an error.
    loops : int, optional
        r; left out, the hypothesis r > N is left out too.
    effort : float
        Scales the number of inputs, not seconds; > 0.
    seed : int
        Of the inputs: results are reproducible.

    Returns
    -------
    list of Finding
        Verdict ``HOLDS`` or ``NOT_TESTABLE``; JSON-ready evidence.  A witness has ``x``, and ``y``,
        ``order``, ``first`` and ``second`` (outputs) where the hypothesis is about them.  Where f
        cannot be evaluated, is random or mixes a batch, what rests on that is not looked at and
        its evidence is ``{"skipped": True}``.

    Raises
    ------
    TypeError, ValueError
        If f is not callable, or ``tokens``, ``dim`` or ``effort`` is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> for finding in check_hypotheses(np.round, tokens=2, dim=1, p=2, loops=2):
    ...     if finding.verdict != "holds":
    ...         print(finding.claim)
    the target is continuous
    the loop count exceeds the number of tokens
    """
    tokens, dim = check_tokens(tokens), check_dim(dim)
    if not math.isfinite(effort) or effort <= 0:
        raise ValueError(f"`effort` (amount of work) must be finite and > 0, got {effort:g}")
    subject = subject_of(f, tokens=tokens, dim=dim)
    norm = p if p >= 1 else 1.0
    found = _of_function(Probes(subject, norm, effort, seed))
    found.append(_finding(EXPONENT, (p >= 1, f"p = {p:g}", {"p": plain(float(p))})))
    if loops is not None:
        enough = check_loops(loops) > tokens
        reason = f"r = {loops} is {'' if enough else 'not '}above N = {tokens}"
        found.append(_finding(LOOPS, (enough, reason, {"loops": loops, "tokens": tokens})))
    return found


def testable(findings: Sequence[Finding]) -> bool:
    """Tell whether every hypothesis holds, as far as was looked."""
    return all(finding.verdict is Verdict.HOLDS for finding in findings)


def _of_function(probes: Probes) -> list[Finding]:
    """The hypotheses on f, the theorem's two first.

    Once one that the later checks rest on fails, these are not looked at.
    """
    found: list[Finding] = []
    broken = ""
    for claim, check in CHECKS:
        if broken:
            reason = f'not looked at, for "{broken}" fails'
            found.append(Finding(claim, Verdict.NOT_TESTABLE, reason, {"skipped": True}))
            continue
        try:
            checked = check(probes)
        except EvaluationFailed as error:
            checked = values.raised(error)
        holds, _, evidence = checked
        if "raised" in evidence or (claim in RESTED_ON and not holds):
            broken = claim
        found.append(_finding(claim, checked))
    return [*found[-2:], *found[:-2]]


def _finding(claim: str, checked: Checked) -> Finding:
    """One hypothesis with its verdict."""
    holds, reason, evidence = checked
    if holds:
        return Finding(claim, Verdict.HOLDS, reason, evidence)
    told = with_witness(f"{reason}: the theorem does not apply", evidence)
    return Finding(claim, Verdict.NOT_TESTABLE, told, evidence)
