"""A bank of starts as a task: many networks of one arm, trained alike, and their errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from looprate.experiments.engine.sweep import FITS, Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.eta.arms import arm_model
from looprate.experiments.eta.starts_config import Cell, StartsConfig
from looprate.experiments.rows.provenance import stamped
from looprate.experiments.study.plan import key_of
from looprate.experiments.study.work import planned_target

if TYPE_CHECKING:
    from looprate.approx.fit.training import Law

__all__ = ["starts_sweep"]

TEST_BATCH = 512
Row = dict[str, Any]


def starts_sweep(config: StartsConfig, folder: Path) -> Sweep:
    """Return the planned sweep of a configuration, target by target."""
    return Sweep(folder, {FITS: [_task(config, c) for c in config.cells()]}, config.as_dict())


def _task(config: StartsConfig, cell: Cell) -> Task:
    """Return the task of one bank of starts."""
    shared = ("tokens", "dim", "p", "learning_rates", "steps", "batch", "points", "replicates")
    arguments: Row = {name: getattr(config, name) for name in (*shared, "compiled", "device")}
    model = arm_model(cell.arm, config.block(), loops=cell.loops)
    arguments |= {"target": cell.dial.name, "arm": cell.arm, "loops": cell.loops, "law": cell.law}
    arguments |= {"model": replace(model, bits=cell.bits).as_dict(), "starts": config.seeds}
    arguments["tests"] = [list(each) for each in config.tests(cell)]
    arguments["learning_rates"] = list(config.learning_rates)
    label = f"{cell.arm} r={cell.loops} {cell.dial.roughness} s={cell.dial.share:g}"
    label += f" {cell.law}" * (cell.law != "fixed") + f" {cell.bits} bits" * bool(cell.bits)
    cost = (cell.loops + 2.0) * (16 + model.hidden) * (2 if cell.bits else 1)
    key = key_of(arguments, what="starts")
    return Task(key, label, start_rows, arguments, cost, f"starts/{cell.arm}")


@stamped
def start_rows(
    report: Callable[[float], None],
    *,
    target: str,
    arm: str,
    tokens: int,
    dim: int,
    p: float,
    loops: int,
    law: Law,
    model: Row,
    starts: int,
    learning_rates: list[float],
    steps: int,
    batch: int,
    tests: list[list[int]],
    points: int,
    replicates: int,
    compiled: bool,
    device: str,
) -> list[Row]:
    """Train every start and return a row a test: the held-out errors, null where one diverged.

    ``tests`` holds the loops and the bits of the state of each test.
    """
    from looprate.approx.banks.bank import bank_path
    from looprate.approx.fit.fitted import FitResult, Member, Recipe, member_errors
    from looprate.approx.fit.state import bank_at, fresh_state
    from looprate.approx.fit.training import TrainingRun
    from looprate.approx.models.looped import ModelConfig, parameter_count

    f = planned_target(target, None, tokens=tokens, dim=dim)
    config = ModelConfig(**model)
    members = [Member(0, s, learning_rates[s % len(learning_rates)]) for s in range(starts)]
    recipe = Recipe(steps=steps, batch=batch, evaluations=1, validation_points=16 * batch)
    how: Row = {"tokens": tokens, "p": p, "device": device, "compiled": compiled}
    state = fresh_state(config, members, evaluations=1)
    run = TrainingRun([f], config, members, state, loops=loops, recipe=recipe, law=law, **how)
    while run.step < steps:
        run.advance()
        report(0.95 * run.step / steps)
    diverged, none = run.diverged_at.cpu().numpy(), np.empty(0)
    bank = bank_at(run.flat.detach(), config)
    rows = []
    for count, bits in tests:
        tested = replace(config, bits=bits)
        found = member_errors(
            FitResult(bank, tested, members, none, none, diverged),
            [f],
            loops=count,
            points=points,
            replicates=replicates,
            batch=min(points, TEST_BATCH),
            **how,
        )
        values = [e.value if d < 0 else math.nan for e, d in zip(found, diverged, strict=True)]
        rows.append(
            {"target": target, "arm": arm, "tokens": tokens, "dim": dim, "p": p}
            | {"loops": loops, "law": law, "bits": config.bits}
            | {"test_loops": count, "test_bits": bits, "parameters": parameter_count(config)}
            | {"path": bank_path(config, bank["embed"], compiled=compiled)}
            | {"errors": [float(f"{v:.6g}") if math.isfinite(v) else None for v in values]}
        )
    return rows
