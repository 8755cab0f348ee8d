"""The certificate of a constructed network: what it does on the whole cube, against the inequality.

The network is run on every cell and its weights are compared with a fresh compilation
(:mod:`looprate.theory.construction.certify.checks`); its error is enclosed
(:mod:`looprate.theory.construction.certify.error`).  Each term of the explicit inequality is
measured on its own, next to its bound:

discretisation  ‖f̂ - f‖ over collision-free cells                <= w(δ√(Nd)/2)
memoriser       (Nd)^{1/p} max |output - f̂| over labels in use    <= (Nd)^{1/p} e_mem
collisions      ‖net - f‖ over cells that collide                   <= (Nd)^{1/p} D μ_c^{1/p}
strips          ‖net - f‖ over the strips                           <= (Nd)^{1/p} D μ_s^{1/p}

The inequality puts μ_c + μ_s under one root: for p > 1 the last two bounds add to more than they do
there.  It speaks of f at the cells' centres, and the label table rounds these values by less than a
unit (1e-12 of the largest); comparisons allow for that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.loop_counts import strip_count
from looprate.theory.bounds.rows import BoundProblem, BoundRow, Moduli
from looprate.theory.construction.build.compile import Construction, compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify.checks import judge
from looprate.theory.construction.certify.error import Enclosed
from looprate.theory.construction.certify.evidence import Evidence, gathered
from looprate.theory.gate import check_sampled
from looprate.theory.hypotheses import testable
from looprate.theory.notation import check_p
from looprate.theory.targets import Target
from looprate.theory.verdict import Finding, Verdict

if TYPE_CHECKING:
    from looprate.theory.facts import Facts

__all__ = ["BOXES", "TOLERANCE", "Certificate", "certify", "stored_certificate"]

TOLERANCE = 5e-3  # relative width of the error's enclosure
BOXES = 1_000_000  # evaluated for it at most
SIZES = ("rows", "width", "heads", "loops", "paper_loops", "labels", "weight_bits")


@dataclass(frozen=True)
class Term:
    """One term of the explicit inequality: an enclosure of what the network does, and its bound."""

    lower: float | None
    upper: float | None
    bound: float


@dataclass(frozen=True)
class Certificate:
    """What was certified, in the L^p norm over the cube of the entrywise p-norm.

    Attributes
    ----------
    construction : dict
        The specification, the target's name and p (None for inf).
    sizes : dict
        rows, width, heads, loops, paper_loops, labels, weight_bits.
    memoriser_error : float or None
        Largest |output - f̂| over labels in use and coordinates, from exact numbers; None where the
        network cannot be run.
    error_lower, error_upper : float or None
        Rigorous enclosure of the error; None where the target has no enclosures, or a weight is
        not the compiler's.
    sampled : dict or None
        Monte Carlo estimate of the error: value, stderr, points.  Not rigorous.
    terms : dict of str to Term
    bound : BoundRow
        The explicit inequality at this grid and slope.
    checks : tuple of Finding
        Hypotheses, outputs, range and weights, in this order.
    verdict : Verdict
        ``HOLDS``: everything was checked, the error is below the bound and the bound below the
        best constant's error.  ``VACUOUS``: the same, but the bound says nothing.  ``VIOLATED``: an
        output is not the construction's, or the error exceeds the bound.  ``NOT_TESTABLE``: a
        hypothesis fails, a weight is not the construction's, or the numbers cannot decide.
    reason : str
        One sentence.
    boxes : int
        Boxes evaluated for the enclosures.
    """

    construction: dict[str, Any]
    sizes: dict[str, int]
    memoriser_error: float | None
    error_lower: float | None
    error_upper: float | None
    sampled: dict[str, Any] | None
    terms: dict[str, Term]
    bound: BoundRow
    checks: tuple[Finding, ...]
    verdict: Verdict
    reason: str
    boxes: int

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary with the sizes at top level; infinite numbers are None."""
        return {
            **self.construction,
            **self.sizes,
            "memoriser_error": self.memoriser_error,
            "error_lower": _finite(self.error_lower),
            "error_upper": _finite(self.error_upper),
            "error_sampled": self.sampled,
            "bound": _finite(self.bound.total),
            "trivial": self.bound.trivial,
            "terms": {
                name: {key: _finite(value) for key, value in vars(term).items()}
                for name, term in self.terms.items()
            },
            "boxes": self.boxes,
            "verdict": str(self.verdict),
            "reason": self.reason,
            "checks": [finding.as_dict() for finding in self.checks],
        }


def certify(
    construction: Construction,
    target: Target,
    facts: Facts,
    *,
    tolerance: float = TOLERANCE,
    boxes: int = BOXES,
    seconds: float = math.inf,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> Certificate:
    """Certify a constructed network against the explicit inequality.

    Parameters
    ----------
    construction : Construction
        Its network may come from a file or have been changed: every weight is compared with a fresh
        compilation, every output with the steps of the proof.
    target : Target
    facts : Facts
        Of this target, N and d.
    tolerance, boxes, seconds
        As in :func:`looprate.theory.construction.certify.error.enclosed_error`.
    seed : int
        Of the inputs in strips and of the Monte Carlo cross-check.
    report : callable, optional
        Called with the fraction done.

    Returns
    -------
    Certificate

    Raises
    ------
    ValueError, OverflowError
        If an argument is out of range, or the compiled network cannot be run in 64 bits.
    Contradiction
        If random inputs give an error outside the enclosure: a fault of this project.
    """
    spec, tell = construction.spec, report or _silent
    problem = _problem(spec, facts)
    fresh = compile_construction(target, spec)
    bound = _bound(problem, spec, facts.moduli)
    found = gathered(
        construction,
        fresh,
        target,
        p=problem.p,
        tolerance=tolerance,
        boxes=boxes,
        seconds=seconds,
        seed=seed,
        tell=tell,
    )
    checks, ends = (*facts.hypotheses, *found.checks), found.error.total
    if ends is not None and found.sampled is not None and testable(facts.hypotheses):
        strips = found.error.strips
        check_sampled(
            ends,
            found.sampled["value"],
            found.sampled["stderr"],
            points=found.sampled["points"],
            strips=strips[1] if strips else 0.0,
            ceiling=problem.ceiling,
            p=problem.p,
        )
    rounding = problem.root * float(fresh.table.unit)
    verdict, reason = judge(facts.hypotheses, found.checks, found.error, bound, rounding)
    if bound.moduli_side == "lower" and facts.uncertified and verdict is Verdict.NOT_TESTABLE:
        reason += f"; {facts.uncertified}"
    tell(1.0)
    return Certificate(
        construction={"target": str(target), **spec.as_dict(), "p": _finite(problem.p)},
        sizes=_sizes(construction),
        memoriser_error=found.memoriser_error,
        error_lower=ends[0] if ends else None,
        error_upper=ends[1] if ends else None,
        sampled=found.sampled,
        terms=_terms(found, bound, problem, spec),
        bound=bound,
        checks=checks,
        verdict=verdict,
        reason=reason,
        boxes=found.error.boxes,
    )


def stored_certificate(row: dict[str, Any], spec: ConstructionSpec, facts: Facts) -> Certificate:
    """Return the certificate that a row of :meth:`Certificate.as_dict` holds.

    Parameters
    ----------
    row : dict
    spec : ConstructionSpec
    facts : Facts
        Those that it was made with.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the row is none, or its enclosure and its inequality are not.
    """
    ends = row["error_lower"], row["error_upper"]
    bound = _bound(_problem(spec, facts), spec, facts.moduli)
    if _finite(bound.total) != row["bound"] or (None not in ends and not 0 <= ends[0] <= ends[1]):
        raise ValueError("the row is not the certificate of this construction")
    return Certificate(
        construction={name: row[name] for name in ("target", *spec.as_dict(), "p")},
        sizes={name: row[name] for name in SIZES},
        memoriser_error=row["memoriser_error"],
        error_lower=ends[0],
        error_upper=ends[1],
        sampled=row["error_sampled"],
        terms={
            name: Term(term["lower"], term["upper"], _infinite(term["bound"]))
            for name, term in row["terms"].items()
        },
        bound=bound,
        checks=tuple(map(Finding.from_dict, row["checks"])),
        verdict=Verdict(row["verdict"]),
        reason=str(row["reason"]),
        boxes=row["boxes"],
    )


def _infinite(value: float | None) -> float:
    """Return a number, inf for None: the other way round than :func:`_finite`."""
    return math.inf if value is None else value


def _problem(spec: ConstructionSpec, facts: Facts) -> BoundProblem:
    """Return what the explicit inequality speaks of."""
    return BoundProblem(
        tokens=spec.tokens,
        dim=spec.dim,
        p=check_p(facts.p),
        oscillation=facts.oscillation,
        slope=float(spec.slope),
        trivial=facts.trivial,
        trivial_stderr=facts.trivial_stderr,
    )


def _bound(problem: BoundProblem, spec: ConstructionSpec, moduli: Moduli) -> BoundRow:
    """The explicit inequality of a construction."""
    return explicit_bound(
        moduli,
        spec.loops,
        tokens=spec.tokens,
        dim=spec.dim,
        p=problem.p,
        oscillation=problem.oscillation,
        memoriser=spec.memoriser,
        coding=spec.coding,
        bits=spec.bits,
        grid=spec.grid,
        slope=problem.slope,
        trivial=problem.trivial,
        trivial_stderr=problem.trivial_stderr,
    )


def _sizes(construction: Construction) -> dict[str, int]:
    """Sizes of the network at hand and the counts of its specification."""
    network, spec = construction.network, construction.spec
    counts = (len(network.block.rows), network.block.width, len(network.block.heads))
    of_spec = (network.loops, spec.paper_loops, spec.last_label + 1)
    return dict(zip(SIZES, (*counts, *of_spec, network.weight_bits()), strict=True))


def _terms(
    found: Evidence, bound: BoundRow, problem: BoundProblem, spec: ConstructionSpec
) -> dict[str, Term]:
    """Each measured term next to its bound."""
    error, of = found.error, bound.terms
    e_mem = of["token"] + of["context"] + of["memoriser"]
    count = strip_count(spec.grid, tokens=spec.tokens, dim=spec.dim, coding=spec.coding)
    strips = problem.on_measures(problem.root_of(count / spec.slope))
    return {
        "discretisation": _term(error.discretisation, of["sequence"]),
        "memoriser": _term(found.memoriser_norm, e_mem),
        "collisions": _term(error.collisions, of["collisions"]),
        "strips": _term(error.strips, strips),
    }


def _term(ends: Enclosed | None, bound: float) -> Term:
    """One term; without ends where it was not measured."""
    return Term(None, None, bound) if ends is None else Term(ends[0], ends[1], bound)


def _finite(value: float | None) -> float | None:
    """Return a JSON number, or None for inf and nan."""
    return value if value is not None and math.isfinite(value) else None


def _silent(part: float) -> None:
    """Report nothing."""
