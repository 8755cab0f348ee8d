"""What the workers of a study do for constructed networks: certificates and lessons."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from experiments.construct import (
    STANDARD,
    certificate_of,
    cost_of,
    default_bits,
    target_facts,
)
from experiments.construction_rows import arithmetic_rows, memoriser_rows, stage_rows
from theory.construction.certificate import TargetFacts
from theory.construction.compile import compile_construction
from theory.construction.spec import ConstructionSpec
from theory.loop_counts import Coding, Memoriser
from theory.targets import resolve_target

__all__ = ["LESSON_TARGET", "certificate_rows", "lesson_rows", "planned_specs"]

Row = dict[str, Any]
LESSON_TARGET = "dial:token=0.7,context=0.3,periods=1"
TOLERANCE = 2e-2  # of the errors' enclosures: slopes need no more
BOXES = 300_000
ARITHMETIC_GRIDS = (2, 3, 4, 6, 8, 12, 16)
STAGE_GRID = 4  # few enough labels to tell apart on a page


def planned_specs(
    *, tokens: int, dim: int, memoriser: Memoriser, grids: list[int], seconds: float
) -> list[ConstructionSpec]:
    """Return the constructions of one memoriser that its estimated cost allows, smallest first."""
    coding: Coding = dict(STANDARD)[memoriser]
    specs = []
    for grid in sorted(grids):
        if grid**dim < tokens:
            continue
        bits = default_bits(memoriser, grid)
        spec = ConstructionSpec(tokens, dim, grid, memoriser, coding, bits)
        if cost_of(spec).seconds <= seconds:
            specs.append(spec)
    return specs


def certificate_rows(
    report: Callable[[float], None],
    *,
    target: str,
    tokens: int,
    dim: int,
    p: float,
    memoriser: Memoriser,
    grids: list[int],
    seconds: float,
) -> list[Row]:
    """Return one certificate a grid, as rows; a single row without one where none is affordable."""
    f = resolve_target(target)
    specs = planned_specs(tokens=tokens, dim=dim, memoriser=memoriser, grids=grids, seconds=seconds)
    if not specs:
        return [{"target": target, "tokens": tokens, "dim": dim, "p": p, "grid": None}]
    facts = _facts(target, tokens, dim, p)
    costs = [cost_of(spec).seconds + 0.5 for spec in specs]
    rows = []
    for place, spec in enumerate(specs):
        _, found = certificate_of(f, spec, facts, tolerance=TOLERANCE, budget=BOXES)
        report(sum(costs[: place + 1]) / sum(costs))
        row = found.as_dict() | {"target": target}
        row.pop("checks")
        rows.append(row)
    return rows


@lru_cache(maxsize=4)
def _facts(target: str, tokens: int, dim: int, p: float) -> TargetFacts:
    """Facts that the tasks of one target share, once in each worker."""
    return target_facts(resolve_target(target), tokens=tokens, dim=dim, p=p)


def lesson_rows(report: Callable[[float], None], *, grid: int) -> list[Row]:
    """Return rows of the figures memorisers, arithmetic and stages, with their ``figure``."""
    periods = list(range(1, (grid + 1) // 3 + 1))  # more would alias on the grid
    memorisers = memoriser_rows(lambda part: report(0.5 * part), grid=grid, periods=periods)
    grids = [m for m in ARITHMETIC_GRIDS if m <= grid]
    arithmetic = arithmetic_rows(
        lambda part: report(0.5 + 0.4 * part), target=LESSON_TARGET, grids=grids
    )
    target = resolve_target(LESSON_TARGET)
    spec = ConstructionSpec(2, 1, STAGE_GRID, "increments", "sum")
    common = {"target": LESSON_TARGET, "latex": target.latex, "tokens": 2, "dim": 1}
    stages = [{**row, **common} for row in stage_rows(compile_construction(target, spec))]
    tables = {"memorisers": memorisers, "arithmetic": arithmetic, "stages": stages}
    return [{**row, "figure": figure} for figure, rows in tables.items() for row in rows]
