"""The sweep of ``looprate eta`` as tasks with stored rows: fits, and certificates of each dial."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from looprate.experiments.engine.sweep import CONSTRUCTIONS, FITS, Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.eta.config import EtaConfig
from looprate.experiments.study.certificates import cost_of
from looprate.experiments.study.lessons import TOLERANCE, boxes_for, certificate_rows
from looprate.experiments.study.plan import A_SECOND, fit_tasks, key_of
from looprate.theory.bounds.loop_counts import largest_grid
from looprate.theory.construction.build.spec import ConstructionSpec

__all__ = ["eta_sweep"]

ENCLOSURE = 2.0  # seconds of a certificate beside the estimate of the network's run
Row = dict[str, Any]


def compared_specs(config: EtaConfig) -> list[ConstructionSpec]:
    """Return the constructions of every dial: increments and timestep at equal grids and loops.

    Increments with the sum code need r loops; timestep with the rank code is built at the same grid
    and at the largest that fits r loops.
    """
    n, d = config.tokens, config.dim
    plain = ConstructionSpec(n, d, config.grid, "increments", "sum")
    finest = largest_grid(plain.loops, tokens=n, dim=d, memoriser="timestep", coding="rank")
    grids = sorted({config.grid, finest or config.grid})
    return [plain, *(ConstructionSpec(n, d, grid, "timestep", "rank") for grid in grids)]


def eta_sweep(config: EtaConfig, folder: Path) -> Sweep:
    """Return the planned sweep of a configuration."""
    files = {CONSTRUCTIONS: _construct_tasks(config), FITS: fit_tasks(config.study(), folder)}
    return Sweep(folder, files, config.as_dict())


def _construct_tasks(config: EtaConfig) -> list[Task]:
    """Return one task a dial: all its certificates."""
    specs = compared_specs(config)
    tasks = []
    for point in config.points_of_dial():
        arguments: Row = {
            "target": point.name,
            "p": config.p,
            "specs": [spec.as_dict() for spec in specs],
            "tolerance": TOLERANCE,
            "boxes": boxes_for(config.tokens, config.dim),
        }
        key = key_of(arguments, what="eta")
        arguments["hypotheses"] = True
        cost = A_SECOND * sum(ENCLOSURE + cost_of(spec).seconds for spec in specs)
        label = f"certificates of {point.roughness} s={point.share:g}"
        tasks.append(Task(key, label, certificate_rows, arguments, cost, "construct"))
    return tasks
