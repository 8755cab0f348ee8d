"""The main job: theory and fits of a study, resumable at any moment, then its report.

Tasks are planned from the configuration alone.  A task whose rows are stored under the digest of
everything that decides them is not run again; a changed configuration has other digests, so stale
rows are never used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from looprate.experiments.engine.run import run_tasks
from looprate.experiments.engine.task import HERE, Engine, Task
from looprate.experiments.rows.provenance import versions
from looprate.experiments.rows.records import RowStore, digest
from looprate.experiments.study.certificates import cost_of
from looprate.experiments.study.config import StudyConfig, fit_arguments
from looprate.experiments.study.lessons import (
    BOXES,
    START,
    TOLERANCE,
    certificate_rows,
    lesson_arguments,
    lesson_rows,
    planned_specs,
)
from looprate.experiments.study.work import fit_rows, source_digest, theory_rows
from looprate.theory.bounds.loop_counts import SUITED_CODING
from looprate.theory.targets import resolve_target

__all__ = ["Study", "plan", "run_study"]

SCHEMA = 3  # raise it when code changes what a row's numbers mean
A_SECOND = 10_000.0  # in the units in which tasks count their cost
BANK = 32  # models a task trains on a CPU, at most, while one target fits; on a GPU all targets
Row = dict[str, Any]


class Study:
    """A planned study in its folder: tasks, stored rows, and which are missing.

    Parameters
    ----------
    config : StudyConfig
    folder : Path
    """

    def __init__(self, config: StudyConfig, folder: Path) -> None:
        self.config, self.folder = config, folder
        self.store = RowStore(folder / "rows.jsonl")
        self.theory_store = RowStore(folder / "theory.jsonl")
        self.construct_store = RowStore(folder / "constructions.jsonl")
        self.theory_tasks, self.fit_tasks = plan(config, folder)
        self.construct_tasks, self.lesson_task = plan_constructions(config)
        self._theory_keys = {task.key for task in self.theory_tasks}
        self._fit_keys = {task.key for task in self.fit_tasks}

    def missing(self) -> list[Task]:
        """Return the tasks without stored rows."""
        return [task for task in self.tasks() if task.key not in self._store_of(task)]

    def tasks(self) -> list[Task]:
        """Return every task of the study."""
        constructions = [*self.construct_tasks, self.lesson_task]
        return [*self.theory_tasks, *constructions, *self.fit_tasks]

    def keep(self, task: Task, rows: Sequence[Row]) -> None:
        """Store the rows of a finished task."""
        self._store_of(task).append(task.key, rows)

    def _store_of(self, task: Task) -> RowStore:
        """The file a task's rows belong to."""
        if task.key in self._theory_keys:
            return self.theory_store
        return self.store if task.key in self._fit_keys else self.construct_store

    def rows(self) -> list[Row]:
        """Return the stored fit rows of this configuration."""
        return [row for task in self.fit_tasks for row in self.store.task(task.key) or []]

    def theory(self) -> list[Row]:
        """Return the stored theory rows of this configuration."""
        return [row for task in self.theory_tasks for row in self.theory_store.task(task.key) or []]

    def certificates(self) -> list[Row]:
        """Return the stored certificates of this configuration."""
        stored = [self.construct_store.task(task.key) or [] for task in self.construct_tasks]
        return [row for rows in stored for row in rows]

    def lessons(self) -> list[Row]:
        """Return the stored rows of the lessons' figures."""
        return self.construct_store.task(self.lesson_task.key) or []


def plan(config: StudyConfig, folder: Path) -> tuple[list[Task], list[Task]]:
    """Return the theory tasks and the fit tasks of a configuration."""
    base = {"schema": SCHEMA, "versions": versions()}
    theory, fits = [], []
    for tokens, dim in config.shapes:
        sources = sources_of(config.targets, tokens=tokens, dim=dim)
        for name in config.targets:
            arguments: dict[str, Any] = {
                "target": name,
                "tokens": tokens,
                "dim": dim,
                "p": config.p,
                "source": sources[name],
            }
            key = digest({**base, **arguments})
            label = f"theory of {name} N={tokens} d={dim}"
            cost = 25_000.0 * (1 + tokens * dim)
            theory.append(Task(key, label, theory_rows, arguments, cost, "theory"))
        for family in config.families:
            for loops in config.loops:
                fits += _fit_tasks(config, folder, base, sources, tokens, dim, family, loops)
    return theory, fits


def sources_of(targets: Sequence[str], *, tokens: int, dim: int) -> dict[str, str | None]:
    """Return what own functions in each target are at one shape, as a digest."""
    return {name: source_digest(resolve_target(name), tokens=tokens, dim=dim) for name in targets}


def plan_constructions(config: StudyConfig) -> tuple[list[Task], Task]:
    """Return the tasks of constructed networks and the one of the lessons' figures."""
    base = {"schema": SCHEMA, "versions": versions()}
    tasks = []
    for tokens, dim in config.shapes:
        for name, source in sources_of(config.targets, tokens=tokens, dim=dim).items():
            for memoriser in SUITED_CODING:
                specs, _ = planned_specs(
                    tokens=tokens,
                    dim=dim,
                    memoriser=memoriser,
                    grids=list(config.grids),
                    seconds=config.construct_seconds,
                )
                if not specs:
                    continue
                arguments: dict[str, Any] = {
                    "target": name,
                    "p": config.p,
                    "specs": [spec.as_dict() for spec in specs],
                    "tolerance": TOLERANCE,
                    "boxes": BOXES,
                    "source": source,
                }
                key = digest({**base, **arguments, "what": "certificates"})
                label = f"{memoriser} of {name} N={tokens} d={dim}"
                cost = A_SECOND * sum(START + cost_of(spec).seconds for spec in specs)
                tasks.append(Task(key, label, certificate_rows, arguments, cost, "construct"))
    lesson = lesson_arguments(config.lesson_grid)
    key = digest({**base, **lesson, "what": "lessons"})
    cost = A_SECOND * config.lesson_grid
    return tasks, Task(key, "lessons of the construction", lesson_rows, lesson, cost, "construct")


def _fit_tasks(
    config: StudyConfig,
    folder: Path,
    base: dict[str, Any],
    sources: dict[str, str | None],
    tokens: int,
    dim: int,
    family: Any,
    loops: int,
) -> list[Task]:
    """Return the fits of one shape, family and loop count: as many targets a task as fill a bank.

    On a GPU that is all of them; the fit itself cuts them into banks that its memory holds.
    """
    each = config.seeds * len(config.learning_rates)
    size = len(config.targets) if config.device == "cuda" else max(1, BANK // each)
    tasks = []
    for start in range(0, len(config.targets), size):
        names = list(config.targets[start : start + size])
        arguments: dict[str, Any] = {
            "targets": names,
            **fit_arguments(config, family, loops=loops, tokens=tokens, dim=dim),
            "sources": [sources[name] for name in names],
        }
        key = digest({**base, **arguments})
        arguments |= {"key": key, "folder": str(folder.absolute())}
        label = f"{family} r={loops} N={tokens} d={dim}"
        cost = (loops + 1.0) * len(names) * each * config.recipe.steps * tokens * dim
        kin = f"{family}/{tokens}/{dim}/{len(names)}/{arguments['model']['blocks']}"
        tasks.append(Task(key, label, fit_rows, arguments, cost, kin))
    return tasks


class Planned(Protocol):
    """Tasks with stored rows, some of them missing: a :class:`Study`, or another sweep."""

    def missing(self) -> list[Task]: ...

    def keep(self, task: Task, rows: Sequence[Row]) -> None: ...


def run_study(
    study: Planned, *, processes: int, report: Callable[[Task, float], None], engine: Engine = HERE
) -> None:
    """Run what is missing and store it as it comes.

    Parameters
    ----------
    study : Planned
    processes : int
        Worker processes, one thread each; 1 runs in this one, on one thread meanwhile.
    report : callable
        Called with (task, finished fraction).
    engine : Engine
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # more only spin on tensors this small, several times slower
    try:
        missing = study.missing()
        for task, rows in run_tasks(missing, processes=processes, report=report, engine=engine):
            study.keep(task, rows)
            report(task, 1.0)
    finally:
        torch.set_num_threads(threads)
