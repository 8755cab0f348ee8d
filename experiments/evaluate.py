"""The theory of one target as plain rows: moduli, trivial bound, bounds.

Shared by ``looprate moduli``, ``looprate bound`` and the study.  Needs torch only where the search
of moduli uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from theory.bounds import BoundRow, Moduli, Side
from theory.continuity import ModulusLowerCurve, modulus_lower_bound
from theory.explicit import explicit_bound
from theory.hypotheses import failures
from theory.hypotheses.inputs import special_points
from theory.loop_counts import SUITED_CODING, Memoriser
from theory.notation import KINDS, Kind, check_delta, check_loops
from theory.targets import Target
from theory.theorem import Placement, theorem_3_6_bound
from theory.trivial import best_constant_error
from theory.verdict import Finding, Verdict

__all__ = [
    "DELTAS",
    "HYPOTHESES_BUDGET",
    "VERSIONS",
    "bound_function",
    "lower_curves",
    "moduli_of",
    "moduli_rows",
    "oscillation_of",
    "trivial_error",
    "under_hypotheses",
]

DELTAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
HYPOTHESES_BUDGET = 0.3  # of their checks, and of the search of moduli of own functions
ROUNDING = 1e-9  # relative slack when a lower bound meets a closed form
VERSIONS = ("theorem-3.6", "theorem-3.6-stages", "increments", "digits", "timestep")
_TRIVIAL_POINTS = 2**12


def lower_curves(
    target: Target,
    deltas: Sequence[float],
    *,
    tokens: int,
    dim: int,
    p: float,
    budget: float = 1.0,
    seed: int = 0,
    kinds: Sequence[Kind] = KINDS,
    report: Callable[[float], None] | None = None,
) -> dict[Kind, ModulusLowerCurve]:
    """Return a curve of lower bounds for each kind of modulus."""
    radii = np.array([check_delta(delta) for delta in deltas])
    curves: dict[Kind, ModulusLowerCurve] = {}
    for done, kind in enumerate(kinds, start=1):
        curves[kind] = modulus_lower_bound(
            target,
            radii,
            kind=kind,
            tokens=tokens,
            dim=dim,
            p=p,
            budget=budget,
            rng=np.random.default_rng(seed),
        )
        if report is not None:
            report(done / len(kinds))
    return curves


def moduli_rows(
    target: Target, curves: dict[Kind, ModulusLowerCurve], *, tokens: int, dim: int, p: float
) -> list[dict[str, Any]]:
    """Return rows {kind, delta, lower, exact, upper, side}.

    ``lower`` is guaranteed up to rounding; ``exact`` and ``upper`` come from a proven closed form,
    None where there is none; ``side`` names the best that is known: exact, upper or lower.
    """
    rows = []
    for kind, curve in curves.items():
        for delta, lower in zip(curve.delta.tolist(), curve.lower.tolist(), strict=True):
            form = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
            rows.append(
                {
                    "kind": kind,
                    "delta": delta,
                    "lower": lower,
                    "exact": form.value if form and form.side == "exact" else None,
                    "upper": form.value if form else None,
                    "side": form.side if form else "lower",
                }
            )
    return rows


def moduli_of(
    target: Target, rows: Sequence[dict[str, Any]], *, tokens: int, dim: int, p: float
) -> Moduli:
    """Return ``(kind, delta) -> (value, side)`` from closed forms, else from lower-bound rows.

    Between the radii of the rows a lower bound is extended by monotonicity and subadditivity, so it
    stays one.
    """

    def modulus(kind: Kind, delta: float) -> tuple[float, Side]:
        form = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
        if form is not None:
            return form.value, form.side
        known = [(row["delta"], row["lower"]) for row in rows if row["kind"] == kind]
        best = 0.0
        for radius, lower in known:
            if radius > 0 and delta > 0:
                best = max(best, lower / math.ceil(radius / delta - 1e-12))
        return best, "lower"

    return modulus


def oscillation_of(target: Target, *, tokens: int, dim: int, points: int = 2**12) -> float:
    """Return D, a proven upper bound of every entry's oscillation; of an own function, a sampled
    lower one, corners included (its bounds are lower estimates anyway, their moduli being so)."""
    proven = target.oscillation(tokens=tokens, dim=dim)
    if proven is not None:
        return proven
    rng = np.random.default_rng(0)
    special = special_points(tokens, dim, count=points // 16, rng=rng)
    x = np.concatenate([rng.random((points, tokens, dim)), special])
    values = np.asarray(target(x))
    return float((values.max((0, 1)) - values.min((0, 1))).max())


def trivial_error(target: Target, *, tokens: int, dim: int, p: float) -> tuple[float, float]:
    """Return the L^p error of the best constant and its standard error."""
    rng = np.random.default_rng(0)
    value, stderr, _ = best_constant_error(
        target, tokens=tokens, dim=dim, p=p, points=_TRIVIAL_POINTS, rng=rng
    )
    return value, stderr


def bound_function(
    version: str,
    moduli: Moduli,
    *,
    tokens: int,
    dim: int,
    p: float,
    oscillation: float,
    trivial: float | None,
    trivial_stderr: float | None,
    placement: Placement = "default",
    slope: float = math.inf,
) -> Callable[[int], BoundRow]:
    """Return ``loops -> BoundRow`` for one of :data:`VERSIONS`.

    ``theorem-3.6`` is the statement (v7), ``theorem-3.6-stages`` the same with the cell width of
    the paper's own stage counts; the other three are the explicit inequality for the increments
    memoriser with the sum code, and for digits and timestep with the rank code.
    """
    if version not in VERSIONS:
        raise ValueError(f"`version` must be one of {', '.join(VERSIONS)}, got {version!r}")

    def at(loops: int) -> BoundRow:
        r = check_loops(loops, tokens=tokens)
        if version.startswith("theorem"):
            return theorem_3_6_bound(
                moduli,
                r,
                tokens=tokens,
                dim=dim,
                p=p,
                oscillation=oscillation,
                slope=slope,
                placement=placement,
                delta_rule="stages" if version.endswith("stages") else "printed",
                trivial=trivial,
                trivial_stderr=trivial_stderr,
            )
        memoriser: Memoriser = version  # type: ignore[assignment]
        return explicit_bound(
            moduli,
            r,
            tokens=tokens,
            dim=dim,
            p=p,
            oscillation=oscillation,
            memoriser=memoriser,
            coding=SUITED_CODING[memoriser],
            slope=slope,
            trivial=trivial,
            trivial_stderr=trivial_stderr,
        )

    return at


def under_hypotheses(row: BoundRow, findings: Sequence[Finding]) -> BoundRow:
    """Return a bound as it is, or as not testable where a hypothesis on the target fails."""
    failed = failures(findings)
    if not failed:
        return row
    return replace(row, verdict=Verdict.NOT_TESTABLE, reason="; ".join(failed))
