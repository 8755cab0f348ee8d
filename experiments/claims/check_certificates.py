"""Checks of the claims about errors: certificates of constructed networks against the bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from looprate.experiments.claims.check_bounds import facts_at, theorem_at
from looprate.experiments.claims.claim import Row, compared, found
from looprate.experiments.study.certificates import asked_spec, certificate_of
from looprate.experiments.study.constructed_findings import constructed_slope, expected_slope
from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.loop_counts import (
    Coding,
    printed_loops,
)
from looprate.theory.bounds.rates import holder_exponent
from looprate.theory.bounds.rows import BoundRow, Moduli, Side
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.network import Network
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify.certificate import Certificate, certify
from looprate.theory.construction.memorisers import MEMORISERS, memoriser_kind
from looprate.theory.facts import Facts
from looprate.theory.gate import under_hypotheses
from looprate.theory.notation import Kind
from looprate.theory.targets import Target, resolve_target
from looprate.theory.verdict import Finding, Verdict

TOLERANCE = 2e-2  # relative width asked of the enclosures
IDENTITY = "token-power:alpha=1,center=0"  # f(X) = X
DIAL = "dial:token=0.5,context=0.5,periods=1"
Change = Callable[[Facts], Facts]


@dataclass(frozen=True)
class Case:
    """A construction of a target and the norm of its error."""

    target: str
    memoriser: str
    grid: int
    tokens: int = 2
    dim: int = 1
    p: float = 1.0

    @property
    def spec(self) -> ConstructionSpec:
        """The code that suits the memoriser, three digits beyond the grid."""
        return asked_spec(
            tokens=self.tokens, dim=self.dim, grid=self.grid, memoriser=self.memoriser
        )

    def __str__(self) -> str:
        shape = f"N={self.tokens}, d={self.dim}, p={self.p:g}"
        return f"{self.target}, {self.memoriser}, m={self.grid}, {shape}"


CASES = tuple(
    Case(name, memoriser, grid, *shape)
    for memoriser in MEMORISERS
    for name, grid, shape in (
        ("mean-field", 4, (2, 1, 1.0)),
        ("token-times-mean", 5, (2, 1, 2.0)),
        (DIAL, 6, (2, 1, 1.0)),
        ("others-mean", 3, (3, 1, 2.0)),
        ("mean-field", 2, (2, 2, 1.0)),
        (IDENTITY, 6, (1, 1, 2.0)),
    )
)
INFORMATIVE = (  # the bound is below the best constant's error
    Case(IDENTITY, "timestep", 8, tokens=1),
    Case(IDENTITY, "increments", 8, tokens=1),
    Case("mean-field", "timestep", 8),
    Case("mean-field", "digits", 9),
    Case("mean-field", "increments", 14),
    Case("others-mean", "increments", 12),
    Case("context-max", "timestep", 9),
    Case("token-times-mean", "digits", 11),
    Case(DIAL, "timestep", 13),
)


@lru_cache(maxsize=256)
def certified(case: Case) -> Certificate:
    """The certificate of a case."""
    target = resolve_target(case.target)
    facts = facts_at(case.target, case.tokens, case.dim, case.p)
    return certificate_of(target, case.spec, facts, tolerance=TOLERANCE)[1]


def judged(finding: Finding, cases: Iterable[Case]) -> Finding:
    """The finding, not testable where it is violated and a case's target fails a hypothesis."""
    shapes = {(case.target, case.tokens, case.dim, case.p) for case in cases}
    known = [facts_at(*shape) for shape in shapes]
    return under_hypotheses(finding, [one for facts in known for one in facts.hypotheses])


# -- broken ingredients ----------------------------------------------------------------------------
def broken(case: Case, change: Change) -> Certificate:
    """The certificate of a case with wrong facts of its target."""
    target = resolve_target(case.target)
    facts = change(facts_at(case.target, case.tokens, case.dim, case.p))
    return certify(compile_construction(target, case.spec), target, facts, tolerance=TOLERANCE)


def shrunk(facts: Facts, factor: float = 0.05) -> Facts:
    """Every modulus and the oscillation taken too small."""
    return replace(
        facts,
        moduli=_scaled(facts.moduli, factor, ("sequence", "token", "contextual")),
        oscillation=factor * facts.oscillation,
    )


def without(facts: Facts, *, kinds: Sequence[Kind]) -> Facts:
    """Some moduli left out."""
    return replace(facts, moduli=_scaled(facts.moduli, 0.0, kinds))


def no_oscillation(facts: Facts) -> Facts:
    """D taken as 0."""
    return replace(facts, oscillation=0.0)


def biased(case: Case) -> Certificate:
    """The certificate of a network with one bias changed by one."""
    target = resolve_target(case.target)
    built = compile_construction(target, case.spec)
    block = built.network.block
    units = tuple(
        replace(unit, bias=unit.bias - 1) if unit.name == "leave" else unit for unit in block.units
    )
    network: Network = replace(built.network, block=replace(block, units=units))
    facts = facts_at(case.target, case.tokens, case.dim, case.p)
    return certificate_of(target, case.spec, facts, network=network, tolerance=TOLERANCE)[1]


def on_target(case: Case, target: Target) -> Certificate:
    """The certificate of another target in the same setting."""
    facts = facts_at(target, case.tokens, case.dim, case.p)
    return certificate_of(target, case.spec, facts, tolerance=TOLERANCE)[1]


def _scaled(moduli: Moduli, factor: float, kinds: Sequence[Kind]) -> Moduli:
    """Moduli with some of them scaled."""

    def modulus(kind: Kind, delta: float) -> tuple[float, Side]:
        value, side = moduli(kind, delta)
        return (factor * value if kind in kinds else value), side

    return modulus


# -- checks ----------------------------------------------------------------------------------------
def check_term(
    name: str,
    certificate: Callable[[Case], Certificate] = certified,
    cases: Sequence[Case] = CASES,
) -> Finding:
    """One part of the error, enclosed, is at most its term of the explicit inequality."""
    rows: list[Row] = []
    for case in cases:
        term = certificate(case).terms[name]
        if term.upper is None:
            reason = f"{case}: this part of the error has no enclosure"
            return found(Verdict.NOT_TESTABLE, "no enclosure", reason)
        rows.append((str(case), term.upper, term.bound))
    return judged(compared(rows, f"{name}, upper end of its enclosure against its term"), cases)


def check_inequality(
    certificate: Callable[[Case], Certificate] = certified, cases: Sequence[Case] = INFORMATIVE
) -> Finding:
    """The certified error keeps the explicit inequality, where that says something."""
    certificates = [(case, certificate(case)) for case in cases]
    for word in (Verdict.VIOLATED, Verdict.NOT_TESTABLE, Verdict.VACUOUS):
        for case, one in certificates:
            if one.verdict is word:
                finding = found(word, str(case), f"{case}: {one.reason}", case=str(case))
                return judged(finding, [case])
    rows = [(str(case), one.error_upper or 0.0, one.bound.total) for case, one in certificates]
    finding = compared(rows, "certified error, upper end, against the explicit inequality")
    extra = {
        "errors": {str(case): [one.error_lower, one.error_upper] for case, one in certificates}
    }
    return judged(replace(finding, evidence=finding.evidence | extra), cases)


def check_theorem_above_error(
    bound: Callable[..., BoundRow] = theorem_at,
    finer: int = 1,
    cases: Sequence[Case] = (*CASES, *INFORMATIVE),
) -> Finding:
    """At the loops it asks for, Theorem 3.6 is not below the error of the network it is about."""
    rows: list[Row] = []
    for case in cases:
        error = certified(case).error_upper
        if case.memoriser != "increments" or error is None:
            continue
        r = printed_loops(finer * case.grid, tokens=case.tokens, dim=case.dim)
        row = bound(case.target, r, tokens=case.tokens, dim=case.dim, p=case.p)
        rows.append((f"{case}, r={r:,}", error, row.total))
    what = "upper end of the certified error against Theorem 3.6 at its loops"
    return judged(compared(rows, what), cases)


def check_density(
    shares: Sequence[float] = (0.5, 0.25, 0.125),
    targets: Sequence[Target | str] = ("mean-field", "context-max"),
    grids: Sequence[int] = (2, 4, 6, 8, 12, 16),
    memoriser: str = "digits",
) -> Finding:
    """For every ε of a list some weight-tied network is certified below it."""
    reached: dict[str, list[int]] = {}
    for target in map(_target, targets):
        loops = reached[str(target)] = []
        for grid in grids:
            case = Case(str(target), memoriser, grid)
            one = on_target(case, target)
            if one.verdict in (Verdict.VIOLATED, Verdict.NOT_TESTABLE):
                return found(one.verdict, "none", f"{case}: {one.reason}")
            below = sum(_below(one, share) for share in shares[len(loops) :])
            loops += [case.spec.loops] * below
        if len(loops) < len(shares):
            reason = f"{target}: no grid of {list(grids)} is certified below {shares[len(loops)]:g}"
            reason += " times the best constant's error"
            return found(Verdict.NOT_TESTABLE, "not reached", reason, reached=reached)
    listed = "; ".join(f"{name}: r = {loops}" for name, loops in reached.items())
    figure = f"r <= {max(map(max, reached.values())):,} for 1/8 of the best constant's error"
    reason = f"certified below {list(shares)} times the best constant's error at {listed}"
    return found(True, figure, reason, reached=reached)


def _target(name: Target | str) -> Target:
    """A target, or the one a text names."""
    return resolve_target(name) if isinstance(name, str) else name


def _below(certificate: Certificate, share: float) -> bool:
    """Whether the error is certified at most a share of the best constant's."""
    top, trivial = certificate.error_upper, certificate.bound.trivial
    return top is not None and trivial is not None and top <= share * trivial


def check_slope(
    memoriser: str,
    coding: Coding,
    grids: Sequence[int],
    target: str = "mean-field",
    tolerance: float = 0.05,
) -> Finding:
    """The certified errors fall at least like the explicit inequality of a coding."""
    cases = [Case(target, memoriser, grid) for grid in grids]
    rows = [certified(case).as_dict() for case in cases]
    fit = constructed_slope(rows)
    shape: dict[str, Any] = {"tokens": 2, "dim": 1, "p": 1.0, "holder": 1.0}
    kind = memoriser_kind(memoriser)
    levels = 1 if kind.takes_bits else kind.levels
    wanted = expected_slope(coding=coding, levels=levels, **shape)
    printed = -holder_exponent(**shape)
    if fit is None:
        return found(Verdict.NOT_TESTABLE, "too few grids", "needs four certified errors")
    local = ", ".join(f"{slope:.3f}" for slope in fit.local_slopes)
    loops = "r/q" if kind.takes_bits else "r"
    reason = (
        f"slope {fit.slope:.3f} in log {loops}, m = {grids[0]} to {grids[-1]} (local {local}); "
        f"wanted at most {wanted:.3f} + {tolerance:g}, printed {printed:.3f}"
    )
    evidence = {"slope": fit.slope, "wanted": wanted, "printed": printed, "fit": fit.as_dict()}
    figure = f"slope {fit.slope:.3f}, wanted {wanted:.3f}"
    nearer = min(tolerance, abs(wanted - printed) / 2)  # nearer to it than to the printed one
    return judged(found(fit.slope <= wanted + nearer, figure, reason, **evidence), cases)


def check_no_extra_terms(memoriser: str = "digits", cases: Sequence[Case] = INFORMATIVE) -> Finding:
    """A weight-tied network whose bound has no token and no contextual term, and keeps it."""
    rows: list[Row] = []
    for case in cases:
        own = replace(case, memoriser=memoriser)
        target = resolve_target(case.target)
        network = compile_construction(target, own.spec).network
        rows.append((f"eta(t), {own}", len(network.eta), 0))
        facts = facts_at(own.target, own.tokens, own.dim, own.p)
        bound = explicit_bound(
            facts.moduli,
            own.spec.loops,
            tokens=own.tokens,
            dim=own.dim,
            p=own.p,
            oscillation=facts.oscillation,
            memoriser=memoriser,
            coding=own.spec.coding,
            bits=own.spec.bits,
            grid=own.grid,
            slope=float(own.spec.slope),
        )
        rows.append((f"token and context, {own}", bound.terms["token"] + bound.terms["context"], 0))
        error = certified(own).error_upper
        if error is None:
            return found(Verdict.NOT_TESTABLE, "no enclosure", f"{own}: {certified(own).reason}")
        rows.append((f"error, {own}", error, bound.total))
    what = "eta and the token and context terms against 0, error against the bound"
    return judged(compared(rows, what), cases)
