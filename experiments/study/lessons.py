"""What the workers of a study do for constructed networks: certificates and lessons."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from looprate.experiments.rows.provenance import stamped
from looprate.experiments.study.certificates import (
    asked_spec,
    cost_of,
    known_certificate,
)
from looprate.experiments.study.construction_rows import arithmetic_rows, memoriser_rows, stage_rows
from looprate.experiments.study.known import known_facts
from looprate.experiments.study.work import planned_target
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.facts import Facts
from looprate.theory.gate import SECONDS
from looprate.theory.targets import resolve_target

__all__ = ["TOLERANCE", "boxes_for"]

Row = dict[str, Any]
LESSON_TARGET = "dial:token=0.7,context=0.3,periods=1"
TOLERANCE = 2e-2  # of the errors' enclosures: slopes need no more
BOXES = 300_000
LOW, FEW_BOXES = 4, 5_000  # beyond so many entries of an input more boxes hardly narrow it
START = 0.5  # seconds of a certificate beside the estimate: the error's enclosure
DIGITS = (4, 8)  # q of the digit memorisers shown
ARITHMETIC_GRIDS = (2, 3, 4, 6, 8, 12, 16)
STAGE_GRID = 4  # few enough labels to tell apart on a page


def boxes_for(tokens: int, dim: int) -> int:
    """Return how many boxes the enclosure of an error may take at one N and d."""
    return BOXES if tokens * dim <= LOW else FEW_BOXES


def planned_specs(
    *, tokens: int, dim: int, memoriser: str, grids: list[int], seconds: float
) -> tuple[list[ConstructionSpec], dict[int, float]]:
    """Return the constructions of one memoriser that their estimated cost allows, smallest first.

    Grids left out come second, with their estimated seconds; grids with fewer cells than tokens do
    not count.
    """
    specs, left_out = [], {}
    for grid in sorted(grids):
        if grid**dim < tokens:
            continue
        spec = asked_spec(tokens=tokens, dim=dim, grid=grid, memoriser=memoriser)
        cost = cost_of(spec).seconds
        if cost <= seconds:
            specs.append(spec)
        else:
            left_out[grid] = cost
    return specs, left_out


@stamped
def certificate_rows(
    report: Callable[[float], None],
    *,
    target: str,
    p: float,
    specs: list[dict[str, Any]],
    tolerance: float,
    boxes: int,
    source: str | None = None,
    hypotheses: bool = False,
    seconds: float = SECONDS,
) -> list[Row]:
    """Return one certificate a specification, as rows, with the findings on hypotheses if asked.

    ``source`` is what own functions in it are: facts of others are not used.  ``seconds`` are of
    certified moduli.
    """
    plan = [ConstructionSpec(**given) for given in specs]
    f = planned_target(target, source, tokens=plan[0].tokens, dim=plan[0].dim)
    facts = _facts(target, plan[0].tokens, plan[0].dim, p, source, seconds)
    costs = [cost_of(spec).seconds + START for spec in plan]
    rows = []
    for place, spec in enumerate(plan):
        _, found, _ = known_certificate(f, spec, facts, tolerance=tolerance, boxes=boxes)
        report(sum(costs[: place + 1]) / sum(costs))
        row = found.as_dict() | {"target": target, "p": p}
        row.pop("checks")
        if hypotheses:
            row["hypotheses"] = [finding.as_dict() for finding in facts.hypotheses]
        rows.append(row)
    return rows


@lru_cache(maxsize=4)
def _facts(
    target: str, tokens: int, dim: int, p: float, source: str | None, seconds: float
) -> Facts:
    """Facts that the tasks of one target share, once in each worker."""
    f = resolve_target(target, tokens=tokens, dim=dim)
    return known_facts(f, tokens=tokens, dim=dim, p=p, seconds=seconds)


def lesson_arguments(grid: int) -> dict[str, Any]:
    """Return what the lessons show, given the grid of the one on memorisers."""
    return {
        "grid": grid,
        "periods": list(range(1, (grid + 1) // 3 + 1)),  # more would alias on the grid
        "digits": list(DIGITS),
        "grids": [m for m in ARITHMETIC_GRIDS if m <= grid],
        "target": LESSON_TARGET,
        "stage_grid": STAGE_GRID,
    }


@stamped
def lesson_rows(
    report: Callable[[float], None],
    *,
    grid: int,
    periods: list[int],
    digits: list[int],
    grids: list[int],
    target: str,
    stage_grid: int,
) -> list[Row]:
    """Return rows of the figures memorisers, arithmetic and stages, with their ``figure``."""
    memorisers = memoriser_rows(
        lambda part: report(0.5 * part), grid=grid, periods=periods, digits=digits
    )
    arithmetic = arithmetic_rows(lambda part: report(0.5 + 0.4 * part), target=target, grids=grids)
    f = resolve_target(target)
    spec = ConstructionSpec(2, 1, stage_grid, "increments", "sum")
    common = {"target": target, "latex": f.latex, "tokens": 2, "dim": 1}
    stages = [{**row, **common} for row in stage_rows(compile_construction(f, spec))]
    tables = {"memorisers": memorisers, "arithmetic": arithmetic, "stages": stages}
    return [{**row, "figure": figure} for figure, rows in tables.items() for row in rows]
