"""The certificate of a constructed network: what it does on the whole cube, against the inequality.

The cube is cut into its cells.  Off the transition strips the network is constant on a cell, so

    ‖net - f‖^p  =  Σ_cells ∫ |output - f|^p  +  (strips)

where the integrals are enclosed by :mod:`theory.enclosure` and the strips, of measure at most
dN(m-1)/M, by (Nd) D^p: there too every output stays within the labels' range.  The enclosure is
rigorous; a Monte Carlo estimate through another road (the oracle's cells, floats) stands beside it
as a cross-check, named so.  Each term of the explicit inequality is measured on its own, next to
its bound:

discretisation  ‖f̂ - f‖ over collision-free cells                <= w(δ√(Nd)/2)
memoriser       (Nd)^{1/p} max |output - f̂| over labels in use    <= (Nd)^{1/p} e_mem
collisions      ‖net - f‖ over cells that two tokens share          <= (Nd)^{1/p} D μ_c^{1/p}
strips          ‖net - f‖ over the strips, from their measure alone  <= the bound's share of strips
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.bounds import BoundRow, Moduli
from theory.construction.cells import CellRun, expected_outputs, run_cells
from theory.construction.compare import differences
from theory.construction.compile import Construction, compile_construction
from theory.enclosure.boxes import cell_boxes
from theory.enclosure.integral import error_integral, norm_from_integral
from theory.enclosure.intervals import Interval
from theory.explicit import explicit_bound
from theory.targets import Target
from theory.verdict import Finding, Verdict

__all__ = ["Certificate", "Term", "certify"]

STRIP_SAMPLES = 128  # random inputs in strips on which the range claim is checked
MONTE_CARLO = 2**14
LISTED = 3  # differing weights that a reason names
SHARES = (0.4, 0.5, 0.1)  # of the progress: running, integrals, the rest


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
        The specification, the target's name and p.
    sizes : dict
        rows, width, heads, loops, paper_loops, labels, weight_bits.
    memoriser_error : float
        Largest |output - f̂| over labels in use and coordinates, from exact numbers.
    error_lower, error_upper : float or None
        Rigorous enclosure of the error; None where the target has no enclosures.
    sampled : dict
        Monte Carlo estimate of the error: value, stderr, points.  Not rigorous.
    terms : dict of str to Term
    bound : BoundRow
        The explicit inequality at this grid and slope.
    checks : tuple of Finding
        Hypotheses, weights, outputs and range, in the order they were looked at.
    verdict : Verdict
        ``HOLDS``: everything was checked, the error is below the bound and the bound below the
        best constant's error.  ``VACUOUS``: the same, but the bound says nothing.  ``VIOLATED``: an
        output is not the construction's, or the error exceeds the bound.  ``NOT_TESTABLE``: a
        hypothesis fails, a weight is not the construction's, or the numbers cannot decide.
    reason : str
    """

    construction: dict[str, Any]
    sizes: dict[str, int]
    memoriser_error: float
    error_lower: float | None
    error_upper: float | None
    sampled: dict[str, float]
    terms: dict[str, Term]
    bound: BoundRow
    checks: tuple[Finding, ...]
    verdict: Verdict
    reason: str
    boxes: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary with the sizes at top level."""
        return {
            **self.construction,
            **self.sizes,
            "memoriser_error": self.memoriser_error,
            "error_lower": self.error_lower,
            "error_upper": self.error_upper,
            "error_sampled": self.sampled,
            "bound": _finite(self.bound.total),
            "trivial": self.bound.trivial,
            "terms": {
                name: {"lower": term.lower, "upper": term.upper, "bound": _finite(term.bound)}
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
    *,
    p: float,
    moduli: Moduli,
    oscillation: float,
    trivial: float | None = None,
    trivial_stderr: float | None = None,
    hypotheses: Sequence[Finding] = (),
    tolerance: float = 5e-3,
    budget: int = 1_000_000,
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
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    moduli, oscillation, trivial, trivial_stderr
        As in :func:`theory.explicit.explicit_bound`.
    hypotheses : sequence of Finding
        Checks of the target made before; one that does not hold makes the verdict NOT_TESTABLE.
    tolerance : float
        Relative width of the error's enclosure that is aimed at.
    budget : int
        Boxes evaluated at most for it.
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
        If an argument is out of range, or the network cannot be run in 64 bits.
    """
    spec, rng = construction.spec, np.random.default_rng(seed)
    tell = report or (lambda part: None)
    run = run_cells(
        construction, strips=STRIP_SAMPLES, rng=rng, report=lambda part: tell(SHARES[0] * part)
    )
    fresh = compile_construction(target, spec)
    bound = explicit_bound(
        moduli,
        spec.loops,
        tokens=spec.tokens,
        dim=spec.dim,
        p=p,
        oscillation=oscillation,
        memoriser=spec.memoriser,
        coding=spec.coding,
        bits=spec.bits,
        grid=spec.grid,
        slope=float(spec.slope),
        trivial=trivial,
        trivial_stderr=trivial_stderr,
    )
    checks = (
        *hypotheses,
        _outputs_finding(run, fresh),
        _range_finding(run, fresh),
        _weights_finding(construction, fresh),
    )
    measured = _Measured(run, fresh, target, p, oscillation, tolerance, budget)
    errors = measured.errors(lambda part: tell(SHARES[0] + SHARES[1] * part))
    terms = _terms(measured, errors, bound, p)
    verdict, reason = _judge(checks, errors, bound)
    block = construction.network.block
    tell(1.0)
    return Certificate(
        construction={"target": str(target), **spec.as_dict(), "p": _finite(p)},
        sizes={
            "rows": len(block.rows),
            "width": block.width,
            "heads": len(block.heads),
            "loops": construction.network.loops,
            "paper_loops": spec.paper_loops,
            "labels": spec.last_label + 1,
            "weight_bits": construction.network.weight_bits(),
        },
        memoriser_error=float(measured.memoriser),
        error_lower=errors.total[0],
        error_upper=errors.total[1],
        sampled=measured.monte_carlo(rng),
        terms=terms,
        bound=bound,
        checks=checks,
        verdict=verdict,
        reason=reason,
        boxes=errors.boxes,
    )


# -- checks of the network -------------------------------------------------------------------------
def _outputs_finding(run: CellRun, fresh: Construction) -> Finding:
    """Every output on the cells is, exactly, what the steps of the proof answer."""
    claim = "on every cell the network answers exactly what the steps of the proof answer"
    expected = expected_outputs(fresh, run.cells)
    for where, found in (("centre", run.centres), ("lower corner", run.low), ("end", run.high)):
        wrong = np.argwhere(found != expected)
        if len(wrong):
            k, n, i = (int(v) for v in wrong[0])
            cells = run.cells[k].tolist()
            reason = (
                f"at the {where} of cells {cells} token {n} outputs {float(found[k, n, i]):.6g}, "
                f"expected {float(expected[k, n, i]):.6g} ({len(wrong)} of {found.size} entries)"
            )
            return Finding(claim, Verdict.VIOLATED, reason, {"cells": cells, "token": n})
    count = f"{len(run.cells)} sets of cells, centres and corners"
    return Finding(claim, Verdict.HOLDS, f"{count}, compared as exact numbers")


def _range_finding(run: CellRun, fresh: Construction) -> Finding:
    """No output leaves the labels' range: all cells, and random inputs in strips."""
    claim = "no output leaves the range of the labels, collisions and strips included"
    ranges = fresh.table.ranges
    for where, found in (("cells", run.centres), ("strips", run.strips)):
        for i, (low, high) in enumerate(ranges):
            for value in found[..., i].ravel():
                if not low <= value <= high:
                    reason = (
                        f"in {where} an output is {float(value):.6g}, outside [{float(low):.6g}, "
                    )
                    return Finding(claim, Verdict.VIOLATED, reason + f"{float(high):.6g}]")
    reason = (
        f"all cells and {len(run.strips)} random inputs in strips; proved in the steps' modules"
    )
    return Finding(claim, Verdict.HOLDS, reason)


def _weights_finding(construction: Construction, fresh: Construction) -> Finding:
    """Every weight is the compiler's: the proof speaks of these weights."""
    claim = "every weight is the one the compiler gives for this target"
    found = differences(construction.network, fresh.network)
    if not found:
        return Finding(claim, Verdict.HOLDS, "equal to a fresh compilation")
    more = f" and {len(found) - LISTED} more" if len(found) > LISTED else ""
    reason = "; ".join(found[:LISTED]) + more
    return Finding(claim, Verdict.NOT_TESTABLE, reason, {"differences": found[:50]})


# -- the error -------------------------------------------------------------------------------------
Enclosed = tuple[float | None, float | None]


@dataclass(frozen=True)
class _Errors:
    """Enclosures of the norms; None where the target has no enclosures."""

    total: Enclosed
    discretisation: Enclosed
    collisions: Enclosed
    strips: Enclosed
    boxes: int
    note: str = ""


class _Measured:
    """The error of one network, from its outputs on the cells."""

    def __init__(
        self,
        run: CellRun,
        fresh: Construction,
        target: Target,
        p: float,
        oscillation: float,
        tolerance: float,
        budget: int,
    ) -> None:
        self.run, self.spec, self.target, self.p = run, fresh.spec, target, p
        self.table, self.oscillation = fresh.table, oscillation
        self.tolerance, self.budget = tolerance, budget
        tied = run.cells[:, 1:] == run.cells[:, :-1]
        self.colliding = tied.any(axis=1)
        self.wanted = self._wanted()

    def _wanted(self) -> NDArray[np.object_]:
        """Label table's values on collision-free cells, (K', N, d)."""
        from theory.construction.oracle import oracle_labels

        free = self.run.cells[~self.colliding].tolist()
        values = [[self.table.value(k) for k in oracle_labels(row, self.spec)] for row in free]
        shape = (len(free), self.spec.tokens, self.spec.dim)
        return np.array(values, dtype=object).reshape(shape)

    @property
    def memoriser(self) -> Fraction:
        """Largest |output - f̂| over labels in use."""
        gaps = np.abs(self.run.centres[~self.colliding] - self.wanted)
        return Fraction(gaps.max()) if gaps.size else Fraction(0)

    @property
    def strip_norm(self) -> float:
        """Upper bound of ‖net - f‖ over the strips, by their measure and the oscillation."""
        spec = self.spec
        measure = spec.dim * spec.tokens * (spec.grid - 1) / spec.slope
        if not measure:
            return 0.0
        # outputs lie in f's range up to half a unit of the table: the slack below covers that too
        span = (self.oscillation + float(self.table.unit)) * (1 + 1e-12)
        if math.isinf(self.p):
            return span
        return span * (spec.tokens * spec.dim * min(1.0, measure)) ** (1 / self.p) * (1 + 1e-12)

    def errors(self, tell: Callable[[float], None]) -> _Errors:
        """Enclose the error and its parts."""
        centres, free = self.run.centres, ~self.colliding
        try:
            good = self._integral(free, centres[free], lambda part: tell(0.5 * part))
            same = self.memoriser == 0
            plain = good if same else self._integral(free, self.wanted, lambda part: None)
            shared = self._integral(self.colliding, centres[self.colliding], lambda part: None)
        except ValueError as error:
            none: Enclosed = (None, None)
            return _Errors(none, none, none, (0.0, self.strip_norm), 0, str(error))
        strip = self.strip_norm
        norm = self._norm
        if math.isinf(self.p):
            total = max(good[0], shared[0]), max(good[1], shared[1], strip)
        else:
            lost = strip**self.p * (1 + 1e-12)
            low = max(0.0, (good[0] + shared[0]) * (1 - 1e-15) - lost)
            total = norm(low, (good[1] + shared[1] + lost) * (1 + 1e-15))
        boxes = int(good[2] + shared[2] + (0 if same else plain[2]))
        return _Errors(total, norm(*plain[:2]), norm(*shared[:2]), (0.0, strip), boxes)

    def _norm(self, lower: float, upper: float) -> tuple[float, float]:
        """The L^p norm of an integral's ends."""
        return norm_from_integral(lower, upper, self.p)

    def _integral(
        self, chosen: NDArray[np.bool_], outputs: NDArray[np.object_], tell: Callable[[float], None]
    ) -> tuple[float, float, int]:
        """∫ Σ |output - f|^p over the chosen cells, all orders of tokens."""
        if not chosen.any():
            return 0.0, 0.0, 0
        spec = self.spec
        powers = np.array([spec.grid**i for i in range(spec.dim)], dtype=np.int64)
        indices = self.run.cells[chosen][..., None] // powers % spec.grid
        low, high = cell_boxes(indices, spec.grid)
        found = error_integral(
            self.target,
            low,
            high,
            _interval(outputs),
            p=self.p,
            weights=self.run.copies[chosen],
            tolerance=self.tolerance,
            budget=self.budget,
            report=tell,
        )
        return found.lower, found.upper, found.boxes

    def monte_carlo(self, rng: np.random.Generator) -> dict[str, float]:
        """Estimate the error from random inputs: cells by division, outputs looked up."""
        spec, shape = self.spec, (MONTE_CARLO, self.spec.tokens, self.spec.dim)
        x = rng.random(shape)
        cells = np.minimum((x * spec.grid).astype(np.int64), spec.grid - 1)
        numbers = cells @ np.array([spec.grid**i for i in range(spec.dim)], dtype=np.int64)
        order = np.argsort(-numbers, axis=1, kind="stable")
        ranked = np.take_along_axis(numbers, order, axis=1)
        base = np.array([spec.cells ** (spec.tokens - 1 - j) for j in range(spec.tokens)])
        keys = self.run.cells @ base
        place = np.argsort(keys)
        rows = place[np.searchsorted(keys[place], ranked @ base)]
        outputs = self.run.centres.astype(np.float64)[rows]
        gap = np.abs(outputs - np.take_along_axis(self.target(x), order[..., None], axis=1))
        if math.isinf(self.p):
            return {"value": float(gap.max()), "stderr": math.nan, "points": MONTE_CARLO}
        powers = (gap**self.p).sum(axis=(1, 2))
        mean, stderr = powers.mean(), powers.std(ddof=1) / math.sqrt(MONTE_CARLO)
        value = mean ** (1 / self.p)
        return {
            "value": float(value),
            "stderr": float(value * stderr / (self.p * mean)) if mean else 0.0,
            "points": MONTE_CARLO,
        }


def _interval(values: NDArray[np.object_]) -> Interval:
    """Fractions as float64 intervals."""
    near = values.astype(np.float64)
    low, high = np.nextafter(near, -np.inf), np.nextafter(near, np.inf)
    return Interval(low, high)


def _terms(measured: _Measured, errors: _Errors, bound: BoundRow, p: float) -> dict[str, Term]:
    """Each measured term next to its bound."""
    spec, of = measured.spec, bound.terms
    memoriser = float(measured.memoriser) * (spec.tokens * spec.dim) ** (1 / p)
    return {
        "discretisation": Term(*errors.discretisation, of["sequence"]),
        "memoriser": Term(memoriser, memoriser, of["token"] + of["context"] + of["memoriser"]),
        "collisions": Term(*errors.collisions, of["collisions"]),
        "strips": Term(*errors.strips, of["strips"]),
    }


def _judge(checks: Sequence[Finding], errors: _Errors, bound: BoundRow) -> tuple[Verdict, str]:
    """One word for everything."""
    broken = [finding for finding in checks if finding.verdict is Verdict.VIOLATED]
    open_ones = [finding for finding in checks if finding.verdict is not Verdict.HOLDS]
    if broken:
        reasons = [f.reason for f in open_ones]
        return Verdict.VIOLATED, "; ".join(reasons)
    if open_ones:
        return Verdict.NOT_TESTABLE, "; ".join(f"{f.claim}: {f.reason}" for f in open_ones)
    lower, upper = errors.total
    if lower is None or upper is None:
        return Verdict.NOT_TESTABLE, f"no enclosure of the error: {errors.note}"
    if bound.moduli_side == "lower":
        return Verdict.NOT_TESTABLE, (
            "the target's moduli are lower bounds only, so the inequality's right-hand side is not "
            "proven"
        )
    found = f"the error lies in [{lower:.6g}, {upper:.6g}]"
    if lower > bound.total:
        return Verdict.VIOLATED, f"{found}, above the bound {bound.total:.6g}"
    if upper > bound.total:
        return Verdict.NOT_TESTABLE, f"{found}, around the bound {bound.total:.6g}: larger budget"
    if bound.verdict is Verdict.HOLDS:
        return Verdict.HOLDS, f"{found}, below the bound {bound.total:.6g}, which says something"
    return bound.verdict, f"{found}, below the bound; but {bound.reason}"


def _finite(value: float) -> float | None:
    """Return a JSON number, or None for inf and nan."""
    return value if math.isfinite(value) else None
