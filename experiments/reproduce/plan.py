"""A reproduction as tasks with stored rows: one fit a task, model, loop count and seed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from looprate.approx.models.sequence import SequenceConfig
from looprate.experiments.engine.sweep import FITS, Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.reproduce.fitting import fit_row
from looprate.experiments.reproduce.preset import TaskPreset
from looprate.experiments.reproduce.recipe import SequenceRecipe
from looprate.experiments.rows.provenance import versions
from looprate.experiments.rows.question import stored_config
from looprate.experiments.rows.records import digest
from looprate.experiments.tasks.base import data_facts

__all__ = ["reproduce_sweep", "reproduced_rows"]

SCHEMA = 1  # raise it when code changes what a row's numbers mean
OVERHEAD = 5e6  # products that one loop of a step costs beside its own: calls of many small kernels
#: Task -> seconds a 10^9 of :func:`step_cost`, one thread; a quarter of stored fits are quicker.
SECONDS = {
    **{"sudoku": 0.21, "countdown": 0.10, "lcs": 0.19},
    **{"edit-distance": 0.17, "decision-tree": 0.09, "language": 0.17},
}
Row = dict[str, Any]


def reproduce_sweep(
    presets: Mapping[str, TaskPreset], name: str, folder: Path, device: str = "cpu"
) -> Sweep:
    """Return the planned fits; config.json keeps those of other tasks asked for here before.

    Parameters
    ----------
    presets : mapping from task key to TaskPreset
    name : str
        Name of the preset they are of.
    folder : Path
    device : {"cpu", "cuda"}

    Raises
    ------
    ValueError
        If the folder holds the fits of another preset.
    """
    tasks = _stored_tasks(folder, name)
    planned = []
    for key, preset in presets.items():
        fits = [
            _fit(folder, name, device, key, preset, recipe, model, loops, seed)
            for model in preset.models
            for loops in preset.counts(model)
            for seed in range(preset.seeds)
            for recipe in preset.recipes()
        ]
        planned += fits
        tasks[key] = preset.as_dict() | {"fits": [task.key for task in fits]}
    return Sweep(folder, {FITS: planned}, {"preset": name, "device": device, "tasks": tasks})


def reproduced_rows(sweep: Sweep) -> list[Row]:
    """Return the stored rows that config.json names, those of other tasks included."""
    tasks = sweep.question["tasks"] if sweep.question else {}
    return sweep.rows(FITS, [key for task in tasks.values() for key in task["fits"]])


def _stored_tasks(folder: Path, name: str) -> Row:
    """Return the tasks that were asked for in this folder before."""
    stored = stored_config(folder)
    if stored is None:
        return {}
    try:
        preset, tasks = stored["preset"], dict(stored["tasks"])
        if not all(isinstance(task["fits"], list) for task in tasks.values()):
            raise TypeError
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"`out` must hold a run of looprate reproduce or nothing, {folder} holds one "
            "of something else; take another folder"
        ) from None
    if preset != name:
        raise ValueError(
            f"`out` must hold a run of preset {name} or nothing, {folder} holds one "
            f"of {preset}; take another folder"
        )
    return tasks


def _fit(
    folder: Path,
    name: str,
    device: str,
    key: str,
    preset: TaskPreset,
    recipe: SequenceRecipe,
    model: str,
    loops: int,
    seed: int,
) -> Task:
    """Return one fit."""
    config = preset.model_config(model, loops)
    arguments: Row = {
        "name": key,
        "sizes": dict(preset.task.as_dict()),
        "preset": name,
        "model": model,
        "model_config": config.as_dict(),
        "recipe": recipe.as_dict(),
        "test_loops": list(preset.test_loops),
        "seed": seed,
        "device": device,
    }
    facts = {"schema": SCHEMA, "versions": versions(), **arguments, "what": "reproduce"}
    identity = digest(facts | data_facts(preset.task))
    first = recipe == preset.recipes()[0]
    drawn = seed == 0 and loops == max(preset.counts(model)) and first
    arguments |= {"picture": drawn, "key": identity, "folder": str(folder.absolute())}
    cost = step_cost(config, preset) * recipe.steps
    label = f"{key} {model} r={loops} seed {seed}"
    label += f" rate {recipe.learning_rate:g}" if preset.rates else ""
    return Task(identity, label, fit_row, arguments, cost, key)


def estimated_minutes(preset: TaskPreset, processes: int = 2) -> float:
    """Return about how many minutes all fits of a task take on processes of a CPU.

    By the times in ``results/reproduce-small``, see :data:`SECONDS`; other work on the machine
    makes it up to three times as long.
    """
    work = sum(
        step_cost(preset.model_config(model, loops), preset) * recipe.steps
        for model in preset.models
        for loops in preset.counts(model)
        for recipe in preset.recipes()
    )
    return SECONDS[preset.task.key] * 1e-9 * work * preset.seeds / processes / 60.0


def step_cost(config: SequenceConfig, preset: TaskPreset) -> float:
    """Return about how many products one training step takes, for the estimate of time left."""
    D, H, T = config.width, config.hidden, preset.task.length
    tokens = T * preset.recipe.batch
    loop = tokens * (4 * D * D + 2 * D * H + 2 * T * D) + OVERHEAD
    reads = config.loops if preset.recipe.loss == "every" else 1
    return 3.0 * (config.loops * loop + reads * tokens * D * config.predicted)
