"""Constructed networks for the commands and the study: what one costs, and its certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from experiments import evaluate
from theory.bounds import Moduli
from theory.construction.cells import cell_count
from theory.construction.certificate import Certificate, certify
from theory.construction.compile import Construction, compile_construction
from theory.construction.labels import MOST_LABELS
from theory.construction.network import Network
from theory.construction.spec import ConstructionSpec
from theory.loop_counts import Coding, Memoriser, smallest_grid
from theory.targets import Target
from theory.verdict import Finding

__all__ = [
    "STANDARD",
    "TOLERANCE",
    "Cost",
    "TargetFacts",
    "affordable",
    "certificate_of",
    "cost_of",
    "default_bits",
    "default_coding",
    "target_facts",
]

STANDARD: tuple[tuple[Memoriser, Coding], ...] = (
    ("increments", "sum"),
    ("timestep", "rank"),
    ("digits", "rank"),
)
"""The memorisers, each with the code that suits it."""

BITS_BEYOND_GRID = 3  # digits below 1/m: the memoriser's error is a small share of the cells'
TOLERANCE = 5e-3  # relative width of the error's enclosure
BOXES = 1_000_000  # evaluated for it at most
HYPOTHESES_BUDGET = 0.3  # of the search of moduli that looks for a jump
# Measured on one core of an AMD EPYC, 2.6 GHz: seconds a loop, and a loop and a column of the batch
SECONDS_A_LOOP = {"increments": 1.5e-4, "timestep": 4e-5, "digits": 1.2e-4}
SECONDS_A_COLUMN = {"increments": 1.5e-8, "timestep": 1e-8, "digits": 3e-8}
SECONDS_A_BIT = 1.2e-9  # and loop: increments and digits shift an integer of so many bits
SECONDS_AN_ENTRY = 2e-5  # of the table of outputs, compared as fractions


@dataclass(frozen=True)
class Cost:
    """What certifying a construction takes.

    Attributes
    ----------
    labels, loops, inputs : int
        Labels 0..L, loops, and sets of cells the network is run on.
    seconds : float
        Rough estimate for one core; the enclosure of the error comes on top.
    """

    labels: int
    loops: int
    inputs: int
    seconds: float


def default_coding(memoriser: Memoriser) -> Coding:
    """Return the code that suits a memoriser: sum for increments, rank for the others."""
    return "sum" if memoriser == "increments" else "rank"


def default_bits(memoriser: Memoriser, grid: int) -> int | None:
    """Return q for digits: three digits beyond the cell width; None for the other memorisers."""
    return (grid - 1).bit_length() + BITS_BEYOND_GRID if memoriser == "digits" else None


def cost_of(spec: ConstructionSpec) -> Cost:
    """Estimate the cost of a certificate before anything is computed."""
    loops, inputs = spec.loops, cell_count(spec)
    columns = 3 * inputs * spec.tokens
    bits = {"increments": 2.0, "timestep": 0.0, "digits": 1.0}[spec.memoriser] * spec.dim * loops
    a_loop = SECONDS_A_LOOP[spec.memoriser] * spec.dim + bits * SECONDS_A_BIT
    a_loop += SECONDS_A_COLUMN[spec.memoriser] * spec.dim * columns
    entries = inputs * spec.tokens * spec.dim
    return Cost(spec.last_label + 1, loops, inputs, loops * a_loop + entries * SECONDS_AN_ENTRY)


def affordable(spec: ConstructionSpec, budget: float) -> Cost:
    """Return the cost of a construction within a budget.

    Raises
    ------
    ValueError
        If it exceeds ``budget`` seconds; the message says which grid would fit.
    """
    cost = cost_of(spec)
    if cost.seconds <= budget and cost.labels <= MOST_LABELS:
        return cost
    fits = _largest_affordable(spec, budget)
    cure = f"grid <= {fits} fits" if fits else "no grid fits: fewer tokens or coordinates"
    raise ValueError(
        f"`grid`={spec.grid} needs {cost.labels:,} labels, {cost.loops:,} loops and "
        f"{cost.inputs:,} inputs, about {cost.seconds:,.0f} s, over the budget of {budget:g} s "
        f"(labels grow like m^{_label_power(spec)}): {cure}"
    )


def _label_power(spec: ConstructionSpec) -> int:
    """The power of m in the number of labels."""
    return (spec.tokens + (spec.coding == "sum")) * spec.dim


def _largest_affordable(spec: ConstructionSpec, budget: float) -> int | None:
    """Largest grid below the given one within the budget."""
    best = None
    for grid in range(smallest_grid(tokens=spec.tokens, dim=spec.dim), spec.grid):
        cost = cost_of(replace(spec, grid=grid))
        if cost.seconds > budget or cost.labels > MOST_LABELS:
            break
        best = grid
    return best


@dataclass(frozen=True)
class TargetFacts:
    """What certificates of one target share, in one setting (N, d, p).

    Attributes
    ----------
    hypotheses : list of Finding
        Equivariance and continuity.
    moduli : Moduli
    oscillation, trivial, trivial_stderr : float
        D, and the best constant's error with its standard error.
    """

    p: float
    hypotheses: list[Finding]
    moduli: Moduli
    oscillation: float
    trivial: float
    trivial_stderr: float


def target_facts(target: Target, *, tokens: int, dim: int, p: float) -> TargetFacts:
    """Return what certificates of one target share."""
    shape: dict[str, Any] = {"tokens": tokens, "dim": dim, "p": p}
    trivial, stderr = evaluate.trivial_error(target, **shape)
    return TargetFacts(
        p=p,
        hypotheses=evaluate.hypotheses(target, **shape, budget=HYPOTHESES_BUDGET),
        moduli=evaluate.moduli_of(target, _own_moduli(target, shape), **shape),
        oscillation=evaluate.oscillation_of(target, tokens=tokens, dim=dim),
        trivial=trivial,
        trivial_stderr=stderr,
    )


def certificate_of(
    target: Target,
    spec: ConstructionSpec,
    facts: TargetFacts,
    *,
    network: Network | None = None,
    tolerance: float = TOLERANCE,
    budget: int = BOXES,
    seed: int = 0,
    report: Callable[[float], None] | None = None,
) -> tuple[Construction, Certificate]:
    """Compile a target, or take a network said to be its construction, and certify it.

    Parameters
    ----------
    target : Target
    spec : ConstructionSpec
    facts : TargetFacts
        Of the same target, N and d.
    network : Network, optional
        From a file; a fresh compilation if left out.
    tolerance, budget, seed, report
        As in :func:`theory.construction.certificate.certify`.

    Raises
    ------
    ValueError
        If something is out of range or cannot be run in 64 bits.
    """
    construction = compile_construction(target, spec)
    if network is not None:
        construction = replace(construction, network=network)
    try:
        certificate = certify(
            construction,
            target,
            p=facts.p,
            moduli=facts.moduli,
            oscillation=facts.oscillation,
            trivial=facts.trivial,
            trivial_stderr=facts.trivial_stderr,
            hypotheses=facts.hypotheses,
            tolerance=tolerance,
            budget=budget,
            seed=seed,
            report=report,
        )
    except OverflowError as error:
        raise ValueError(str(error)) from None
    return construction, certificate


def _own_moduli(target: Target, shape: dict[str, Any]) -> list[dict[str, Any]]:
    """Lower bounds of the moduli where no closed form is known, else nothing."""
    if target.closed_form(0.1, kind="sequence", **shape) is not None:
        return []
    curves = evaluate.lower_curves(target, evaluate.DELTAS, **shape, budget=HYPOTHESES_BUDGET)
    return evaluate.moduli_rows(target, curves, **shape)
