"""Checks of the claims about formulas: cell widths, exponents, what Theorem 3.6 says where."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

from looprate.experiments.claims.check_moduli import by_place
from looprate.experiments.claims.claim import Row, compared, found
from looprate.theory.bounds import loop_counts, rates
from looprate.theory.bounds.cell_width import delta_of_loops, loops_of_delta
from looprate.theory.bounds.rows import BoundRow, all_terms, first_informative_loops
from looprate.theory.bounds.theorem import Placement
from looprate.theory.facts import Facts, facts_of
from looprate.theory.gate import state_of
from looprate.theory.hypotheses import check_hypotheses as hypotheses
from looprate.theory.targets import TARGETS, OwnFunction, Target, resolve_target
from looprate.theory.verdict import Finding, Verdict

SHAPES = ((1, 1), (2, 1), (3, 1), (2, 2), (8, 4))  # (N, d)
GRIDS = (2, 3, 4, 8, 16)
BOUNDED = ("mean-field", "token-sine", "others-mean", "dial", "context-max", "token-times-mean")
NEAR = (1, 2, 3)  # r - N
FAR = (10**60, 10**80)  # r between which an exponent is read: slower terms have died out
SAME = 1e-9  # relative, of a power of a large integer in floats
TOLERANCE = 1e-3  # of an exponent read between two loop counts
STRAIGHT = 0.02  # relative, of a slope in which a slower term may still be felt

UNEQUAL = OwnFunction("weighted by place", by_place)
STEP_FUNCTION = OwnFunction("step at 1/2", lambda x: (x > 0.5).astype(x.dtype))


# -- formulas --------------------------------------------------------------------------------------
def check_delta_inverts(delta_of: Callable[..., float] = delta_of_loops) -> Finding:
    """The cell width of r loops needs r loops, and r(1/m) loops give the width 1/m."""
    rows: list[Row] = []
    for n, d in SHAPES:
        for m in GRIDS:
            r = loop_counts.printed_loops(m, tokens=n, dim=d)
            delta = delta_of(r, tokens=n, dim=d)
            back = loops_of_delta(delta, tokens=n, dim=d)
            place = f"N={n}, d={d}, m={m}"
            rows += [(place, abs(m * delta - 1), SAME), (place, abs(back / r - 1), SAME)]
    return compared(rows, "relative gap of δ(r(1/m)) to 1/m and of r(δ(r)) to r", exact=True)


def check_printed_exponent(
    stage_loops: Callable[..., int] = loop_counts.paper_stage_loops,
) -> Finding:
    """The stages of the proof take fewer loops than printed, by a power of m."""
    rows: list[Row] = []
    for n, d in SHAPES:
        shape = {"tokens": n, "dim": d}
        rows += [
            (f"N={n}, d={d}, m={m}", stage_loops(m, **shape) + 1, printed)
            for m in GRIDS
            if (printed := loop_counts.printed_loops(m, **shape))
        ]
        far, power = 10**6, (n + 1) * d
        measured = math.log(stage_loops(10 * far, **shape) / stage_loops(far, **shape), 10)
        rows.append((f"power of m, N={n}, d={d}", abs(measured - power), TOLERANCE))
        tight = 1 / rates.stage_exponent(**shape)
        rows.append((f"exponent, N={n}, d={d}", abs(tight - power), SAME))
        rows.append((f"order, N={n}, d={d}", 1 + tight, 1 / rates.theorem_exponent(**shape)))
    return compared(rows, "stage loops below printed loops, growing like m^((N+1)d)")


def check_constructions_fit(memoriser: Any = "increments", bits: int | None = None) -> Finding:
    """The increments' loops never exceed the paper's stage sum, nor that the printed count."""
    rows = [
        (
            f"N={n}, d={d}, m={m}",
            loop_counts.construction_loops(
                m, tokens=n, dim=d, memoriser=memoriser, coding="sum", bits=bits
            ),
            loop_counts.paper_stage_loops(m, tokens=n, dim=d),
        )
        for n, d in SHAPES
        for m in GRIDS
        if m**d >= n
    ]
    return compared(rows, "loops of the construction against the paper's stages", exact=True)


def check_exponent(exponent: Callable[..., float] = rates.holder_exponent) -> Finding:
    """The printed bound of a Lipschitz target falls in r - N with the stated exponent."""
    rows: list[Row] = []
    for n, d in ((1, 1), (2, 1), (2, 2)):
        for p in (1.0, 2.0, 4.0):
            low, high = (theorem_at("mean-field", r, tokens=n, dim=d, p=p).total for r in FAR)
            slope = math.log(low / high) / math.log((FAR[1] - n) / (FAR[0] - n))
            wanted = exponent(tokens=n, dim=d, holder=1.0, p=p)
            rows.append((f"N={n}, d={d}, p={p:g}", abs(slope / wanted - 1), STRAIGHT))
    return compared(rows, "relative gap of the bound's slope to the exponent", exact=True)


def check_whole_limit(slope: Any = None) -> Finding:
    """SymPy's limit of the right-hand side as r grows is 0."""
    import sympy as sp

    from looprate.theory.bounds.symbolic import limit_at_infinity

    given = sp.oo if slope is None else sp.Integer(slope)
    limits = {
        f"N={n}, d={d}, p={p}": limit_at_infinity(tokens=n, dim=d, p=p, slope=given)
        for n, d, p in ((1, 1, 1), (2, 1, 1), (2, 2, 2))
    }
    rows = [(place, float(value), 0.0) for place, value in limits.items()]
    return compared(rows, "limit of the right-hand side against 0", exact=True)


# -- Theorem 3.6 -----------------------------------------------------------------------------------
@lru_cache(maxsize=64)
def facts_at(of: Target | str, tokens: int, dim: int, p: float) -> Facts:
    """What is known of a target, or of the one a text names, once for each setting."""
    target = resolve_target(of) if isinstance(of, str) else of
    return facts_of(target, tokens=tokens, dim=dim, p=p)


def theorem_at(
    name: str,
    loops: int,
    *,
    tokens: int = 2,
    dim: int = 1,
    p: float = 1.0,
    placement: Placement = "all",
) -> BoundRow:
    """Theorem 3.6's bound of a built-in target."""
    return facts_at(name, tokens, dim, p).bound("theorem-3.6", placement=placement)(loops)


def only_token_term(name: str, loops: int, **given: Any) -> BoundRow:
    """The bound with every term but the token one dropped."""
    row = theorem_at(name, loops, **given)
    terms = all_terms(token=row.terms["token"])
    return replace(row, terms=terms, total=sum(terms.values()))


def check_vacuous_near_n(bound: Callable[..., BoundRow] = theorem_at) -> Finding:
    """Just above r = N the bound is not below the best constant's error."""
    rows: list[Row] = []
    for name in BOUNDED:
        for n, d in ((1, 1), (2, 1), (3, 1), (2, 2)):
            for more in NEAR:
                row = bound(name, n + more, tokens=n, dim=d)
                if row.trivial is None or row.trivial == 0:
                    continue  # others-mean is constant at N = 1
                rows.append((f"{name}, N={n}, d={d}, r=N+{more}", row.trivial, row.total))
    finding = compared(rows, "best constant's error against the bound")
    first = {
        name: first_informative_loops(partial(theorem_at, name), tokens=2).loops
        for name in BOUNDED[:3]
    }
    if finding.verdict is not Verdict.HOLDS:
        return finding
    listed = ", ".join(f"{name} r = {r:.3g}" for name, r in first.items() if r)
    reason = (
        f"{finding.reason}; at N = 2, d = 1, p = 1 it is below the best constant from: {listed}"
    )
    figure = f"first informative r >= {min(r for r in first.values() if r):.3g}"
    evidence = finding.evidence | {"figure": figure, "first_informative_loops": first}
    return replace(finding, reason=reason, evidence=evidence)


def check_placement(weaker: Placement = "all", stronger: Placement = "inner") -> Finding:
    """With (Nd)^(1/p) on w as well the bound is at least as large, and larger where Nd > 1."""
    rows: list[Row] = []
    for name in BOUNDED:
        for n, d, p in ((1, 1, 1.0), (2, 1, 1.0), (2, 2, 2.0), (3, 1, 4.0)):
            for r in (n + 10, 10**6, 10**12):
                small = theorem_at(name, r, tokens=n, dim=d, p=p, placement=stronger)
                large = theorem_at(name, r, tokens=n, dim=d, p=p, placement=weaker)
                factor = (n * d) ** (1 / p) - 1
                gap = small.total + factor * small.terms["sequence"]
                rows.append((f"{name}, N={n}, d={d}, p={p:g}, r={r:.0e}", gap, large.total))
    return compared(rows, "the sharper reading plus its share of w against the weaker")


# -- hypotheses ------------------------------------------------------------------------------------
@lru_cache(maxsize=64)
def _hypotheses(target: Target, tokens: int, dim: int) -> tuple[Finding, ...]:
    """Both hypotheses of a target, looked at once."""
    return tuple(hypotheses(target, tokens=tokens, dim=dim, p=2.0, effort=0.1))


def check_hypotheses(place: int, targets: Sequence[Target | str] | None = None) -> Finding:
    """Hypothesis 0, equivariance, or 1, continuity, is not refuted for any target.

    Not testable where it was not looked at, as another one fails.
    """
    chosen = [resolve_target(t) if isinstance(t, str) else t for t in targets or TARGETS]
    findings = [(str(f), _hypotheses(f, n, d)[place]) for f in chosen for n, d in ((2, 1), (3, 2))]
    bad = [(name, one) for name, one in findings if one.verdict is not Verdict.HOLDS]
    if bad:
        refuted = [(name, one) for name, one in bad if state_of(one) == "fails"]
        name, one = (refuted or bad)[0]
        if not refuted:
            return found(Verdict.NOT_TESTABLE, "not looked at", f"{name}: {one.reason}")
        return found(False, f"{len(refuted)} refuted", f"{name}: {one.reason}", **one.evidence)
    reason = f"{len(findings)} targets and shapes, none refuted by a witness"
    return found(True, f"{len(findings)} of {len(findings)}", reason, checked=len(findings))
