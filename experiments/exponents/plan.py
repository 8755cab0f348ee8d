"""The tasks of ``looprate exponents``: a certificate each, and networks of few bits."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from looprate.experiments.engine.sweep import CONSTRUCTIONS, Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.exponents.config import ExponentsConfig
from looprate.experiments.exponents.few_bits import few_bits_rows, few_bits_tasks
from looprate.experiments.study.certificates import cost_of
from looprate.experiments.study.lessons import START, TOLERANCE, certificate_rows
from looprate.experiments.study.plan import A_SECOND, key_of
from looprate.theory.construction.build.spec import ConstructionSpec

__all__ = ["exponents_sweep"]

BOXES = 60_000  # of the enclosure of an error, beside one a cell
SECONDS_A_GRID = 10.0  # of a network in all arithmetics
SECONDS_A_SET = 6e-4  # of cells, beside the estimate: its enclosure


def exponents_sweep(config: ExponentsConfig, folder: Path) -> Sweep:
    """Return the planned sweep of a configuration."""
    asked = [(line.target, line.p, spec) for line in config.lines for spec in line.specs]
    asked += [(target, 1.0, spec) for target in config.targets for spec in config.table_specs]
    tasks = [*_tasks(asked), *_few_bits(config)]
    return Sweep(folder, {CONSTRUCTIONS: tasks}, config.as_dict())


def _few_bits(config: ExponentsConfig) -> list[Task]:
    """Return the task of every memoriser that is run in numbers of few bits."""
    tasks = []
    for arguments in few_bits_tasks(config.few_bits_target, config.few_bits_grid):
        key, label = key_of(arguments, what="few bits"), f"few bits of {arguments['memoriser']}"
        cost = A_SECOND * (START + SECONDS_A_GRID * len(arguments["grids"]))
        tasks.append(Task(key, label, few_bits_rows, arguments, cost, "construct"))
    return tasks


def _tasks(asked: Iterable[tuple[str, float, ConstructionSpec]]) -> list[Task]:
    """Return a task for every different certificate."""
    tasks = {}
    for target, p, spec in asked:
        arguments: dict[str, Any] = {
            "target": target,
            "p": p,
            "specs": [spec.as_dict()],
            "tolerance": TOLERANCE,
            "boxes": BOXES,
        }
        key, cost = key_of(arguments, what="exponents"), cost_of(spec)
        label = f"{spec.memoriser} of {target} N={spec.tokens} m={spec.grid} p={p:g}"
        seconds = START + cost.seconds + SECONDS_A_SET * cost.inputs
        tasks[key] = Task(key, label, certificate_rows, arguments, A_SECOND * seconds, "construct")
    return list(tasks.values())
