"""A reproduction as tasks with stored rows: one fit a task, model, loop count and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from looprate.approx.models.sequence import SequenceConfig
from looprate.experiments.engine.task import Task
from looprate.experiments.reproduce.fitting import checkpoint_of, fit_row
from looprate.experiments.reproduce.preset import TaskPreset
from looprate.experiments.rows.provenance import versions
from looprate.experiments.rows.question import ask, stored_config
from looprate.experiments.rows.records import RowStore, digest
from looprate.experiments.tasks.base import data_facts

__all__ = ["ReproduceStudy"]

SCHEMA = 1  # raise it when code changes what a row's numbers mean
OVERHEAD = 5e6  # products that one loop of a step costs beside its own: calls of many small kernels
Row = dict[str, Any]


class ReproduceStudy:
    """Planned fits in their folder: stored rows, and which are missing.

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

    def __init__(
        self, presets: Mapping[str, TaskPreset], name: str, folder: Path, device: str = "cpu"
    ) -> None:
        self.presets, self.name, self.folder, self.device = dict(presets), name, folder, device
        self.store = RowStore(folder / "rows.jsonl")
        self._before = self._stored_config()
        self.planned = {key: self._planned(key) for key in self.presets}

    def tasks(self) -> list[Task]:
        """Return every fit."""
        return [task for tasks in self.planned.values() for task in tasks]

    def missing(self) -> list[Task]:
        """Return the fits without a stored row."""
        return [task for task in self.tasks() if task.key not in self.store]

    def keep(self, task: Task, rows: Sequence[Row]) -> None:
        """Store the row of a finished fit, then drop its checkpoint."""
        self.store.append(task.key, rows)
        checkpoint_of(self.folder, task.key).unlink(missing_ok=True)

    def config(self) -> Row:
        """Return what config.json holds: this run's tasks, and others asked for here before."""
        tasks = dict(self._before)
        for key, preset in self.presets.items():
            fits = [task.key for task in self.planned[key]]
            tasks[key] = preset.as_dict() | {"fits": fits}
        return {"preset": self.name, "device": self.device, "tasks": tasks}

    def write_config(self) -> None:
        """Write config.json, unless fits of other settings are here, which a report would lose."""
        ask(self.folder, self.config())

    def rows(self) -> list[Row]:
        """Return the stored rows that config.json names, those of other tasks included."""
        fits = [key for task in self.config()["tasks"].values() for key in task["fits"]]
        return [row for key in fits for row in self.store.task(key) or []]

    def _stored_config(self) -> Row:
        """Return the tasks that were asked for in this folder before."""
        stored = stored_config(self.folder)
        if stored is None:
            return {}
        try:
            preset, tasks = stored["preset"], dict(stored["tasks"])
            if not all(isinstance(task["fits"], list) for task in tasks.values()):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"`out` must hold a run of looprate reproduce or nothing, {self.folder} holds one "
                "of something else; take another folder"
            ) from None
        if preset != self.name:
            raise ValueError(
                f"`out` must hold a run of preset {self.name} or nothing, {self.folder} holds one "
                f"of {preset}; take another folder"
            )
        return tasks

    def _planned(self, key: str) -> list[Task]:
        """Return the fits of one task."""
        preset = self.presets[key]
        return [
            self._fit(key, preset, model, loops, seed)
            for model in preset.models
            for loops in preset.counts(model)
            for seed in range(preset.seeds)
        ]

    def _fit(self, key: str, preset: TaskPreset, model: str, loops: int, seed: int) -> Task:
        """Return one fit."""
        config = preset.model_config(model, loops)
        arguments: Row = {
            "name": key,
            "sizes": dict(preset.task.as_dict()),
            "preset": self.name,
            "model": model,
            "model_config": config.as_dict(),
            "recipe": preset.recipe.as_dict(),
            "test_loops": list(preset.test_loops),
            "seed": seed,
            "device": self.device,
        }
        facts = {"schema": SCHEMA, "versions": versions(), **arguments, "what": "reproduce"}
        facts |= data_facts(preset.task)
        identity = digest(facts)
        drawn = seed == 0 and loops == max(preset.counts(model))
        arguments |= {"picture": drawn, "key": identity, "folder": str(self.folder.absolute())}
        label = f"{key} {model} r={loops} seed {seed}"
        cost = step_cost(config, preset) * preset.recipe.steps
        return Task(identity, label, fit_row, arguments, cost, key)


def step_cost(config: SequenceConfig, preset: TaskPreset) -> float:
    """Return about how many products one training step takes, for the estimate of time left."""
    D, H, T = config.width, config.hidden, preset.task.length
    tokens = T * preset.recipe.batch
    loop = tokens * (4 * D * D + 2 * D * H + 2 * T * D) + OVERHEAD
    reads = config.loops if preset.recipe.loss == "every" else 1
    return 3.0 * (config.loops * loop + reads * tokens * D * config.predicted)
