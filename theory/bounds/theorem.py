"""Theorem 3.6 (v7): its right-hand side, and where it is proved with this project's constants.

The paper leaves the constants of its two O-terms open; here they are those of the explicit
inequality of :mod:`looprate.theory.bounds.explicit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from looprate.theory.bounds import loop_counts
from looprate.theory.bounds.cell_width import delta_of_loops, delta_of_stages
from looprate.theory.bounds.rates import DELTA_RULES, DeltaRule
from looprate.theory.bounds.rows import (
    TERM_NAMES,
    BoundProblem,
    BoundRow,
    Moduli,
    ModuliRecorder,
    all_terms,
    judged_row,
)
from looprate.theory.notation import check_choice, check_loops, check_tokens
from looprate.theory.verdict import Verdict

__all__ = ["Placement", "theorem_3_6_bound"]

Placement = Literal["all", "inner"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
READING: dict[Placement, str] = {
    "all": "weaker reading: (Nd)^(1/p) multiplies all three moduli",
    "inner": "sharper reading: (Nd)^(1/p) does not multiply w",
}
WIDTH: dict[DeltaRule, str] = {
    "printed": "cell width as reported",
    "stages": "cell width of its stage counts",
}
UNPROVED = (
    "the O-constants are this project's and not proved at this r: the grid ceil(1/delta) needs "
    "more loops"
)


def theorem_3_6_bound(
    moduli: Moduli,
    loops: int,
    *,
    tokens: int,
    dim: int,
    p: float,
    oscillation: float,
    slope: float = math.inf,
    placement: Placement = "all",
    delta_rule: DeltaRule = "printed",
    trivial: float | None = None,
    trivial_stderr: float | None = None,
) -> BoundRow:
    """Right-hand side of Theorem 3.6 (v7) at r loops, with explicit constants.

    (Nd)^{1/p} [w_tok(δ√d) + w_cont(δ√(Nd)) + w(δ√(Nd))]
    + (Nd)^{1/p} D min(1, C(N,2) δ^d)^{1/p} + (Nd)^{1/p} D min(1, dN/(Mδ))^{1/p}

    Parameters
    ----------
    moduli : callable
        ``(kind, delta) -> (value, side)``: a modulus of f at a Euclidean radius, in the p-norm of
        the output, and whether it is exact, an upper or a lower bound.
    loops : int
        Loop count r >= 1.
    tokens, dim : int
        Sequence length N and coordinates per token d.
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    oscillation : float
        D, an upper bound of max - min over the cube of every entry of f.
    slope : float, optional
        Slope M of the quantiser, a free weight; inf by default, where the strips vanish.
    placement : {"all", "inner"}
        Summaries of the paper disagree whether (Nd)^{1/p} multiplies w, too: with ``"all"`` it
        does, which follows from both readings; ``"inner"`` is the sharper one, without it.
    delta_rule : {"printed", "stages"}
        δ of the theorem's statement or the smaller one of the paper's own stage counts.
    trivial, trivial_stderr : float, optional
        L^p error of the best constant and its standard error.

    Returns
    -------
    BoundRow
        For r <= N or p = inf the theorem says nothing: the total is inf and the verdict
        ``NOT_TESTABLE``.

    Raises
    ------
    ValueError
        If an argument is out of range or an option unknown.

    Notes
    -----
    Source: Theorem 3.6 (v7).  ``collisions`` and ``strips`` are O(N^{2/p} δ^{d/p}) and
    O(((Mδ)^{-1} dN)^{1/p}) there; their constants here are this project's, the paper's factor
    (Nd)^{1/p} D hidden in O as a bound on the p-norm of an output difference.  The whole is proved
    with these constants wherever :func:`theorem_constants_are_proved`; a row elsewhere that would
    say something is ``NOT_TESTABLE``.
    """
    problem = BoundProblem(tokens, dim, p, oscillation, slope, trivial, trivial_stderr)
    r, recorder = check_loops(loops), ModuliRecorder(moduli)
    check_choice(placement, "placement", PLACEMENTS)
    check_choice(delta_rule, "delta_rule", DELTA_RULES)
    version = f"Theorem 3.6 (v7), {READING[placement]}; {WIDTH[delta_rule]}"
    if r <= tokens:
        reason = f"Theorem 3.6 needs loops > tokens={problem.tokens}, got {r}"
        return _hypothesis_fails(problem, r, version, reason)
    if math.isinf(problem.p):
        reason = "Theorem 3.6 is stated for p < inf, got p = inf"
        return _hypothesis_fails(problem, r, version, reason)
    delta_of = delta_of_loops if delta_rule == "printed" else delta_of_stages
    delta = delta_of(r, tokens=tokens, dim=dim)
    terms = _theorem_terms(problem, recorder, delta, placement)
    proved = theorem_constants_are_proved(r, tokens=tokens, dim=dim, delta_rule=delta_rule)
    open_point = None if proved else UNPROVED
    return judged_row(
        problem,
        r,
        terms,
        delta=delta,
        grid=None,
        side=recorder.side,
        version=version,
        open_point=open_point,
        up_to_constant=("collisions", "strips"),
    )


def theorem_constants_are_proved(
    loops: int, *, tokens: int, dim: int, delta_rule: DeltaRule = "printed"
) -> bool:
    """Say whether Theorem 3.6's bound with this project's constants is proved at r loops.

    Parameters
    ----------
    loops : int
        Loop count r > N.
    tokens, dim : int
        Sequence length N and coordinates per token d.
    delta_rule : {"printed", "stages"}
        Which cell width δ.

    Returns
    -------
    bool
        True if the increments on the sum code with grid ceil(1/δ) fit into r loops: each of that
        grid's terms in the explicit inequality is at most the theorem's at δ, and so follows it.
        True also where ceil(1/δ)^d < N: the collision term is then the whole range of f.

    Raises
    ------
    ValueError
        If r <= N.
    """
    n = check_tokens(tokens)
    r = check_loops(loops, tokens=n)
    count = loop_counts.printed_loops if delta_rule == "printed" else loop_counts.paper_stage_loops
    grid = _smallest_at_least(lambda m: count(m, tokens=n, dim=dim), r)  # ceil(1/δ), exactly
    if grid < loop_counts.smallest_grid(tokens=n, dim=dim):
        return True
    needed = loop_counts.construction_loops(
        grid, tokens=n, dim=dim, memoriser="increments", coding="sum"
    )
    return needed <= r


def _theorem_terms(
    problem: BoundProblem, modulus: ModuliRecorder, delta: float, placement: Placement
) -> dict[str, float]:
    """Terms of Theorem 3.6 at cell width δ."""
    n, d = problem.tokens, problem.dim
    far = delta * math.sqrt(n * d)
    return all_terms(
        token=problem.root * modulus("token", delta * math.sqrt(d)),
        context=problem.root * modulus("contextual", far),
        sequence=(problem.root if placement == "all" else 1.0) * modulus("sequence", far),
        collisions=problem.on_measures(problem.collision_root(delta)),
        strips=problem.on_measures(problem.root_of(d * n / (problem.slope * delta))),
    )


def _hypothesis_fails(problem: BoundProblem, loops: int, version: str, reason: str) -> BoundRow:
    """Row where Theorem 3.6 is silent."""
    return BoundRow(
        loops=loops,
        delta=math.inf,
        grid=None,
        terms=dict.fromkeys(TERM_NAMES, math.inf),
        total=math.inf,
        trivial=problem.trivial,
        trivial_stderr=problem.trivial_stderr,
        verdict=Verdict.NOT_TESTABLE,
        reason=reason,
        version=version,
        moduli_side="exact",
        up_to_constant=("collisions", "strips"),
    )


def _smallest_at_least(count: Callable[[int], int], value: int) -> int:
    """Smallest m >= 1 with count(m) >= value, for an increasing count."""
    high = 1
    while count(high) < value:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if count(middle) >= value else (middle, high)
    return high
