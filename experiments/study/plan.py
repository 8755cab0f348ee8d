"""The tasks of a study, from its configuration alone: theory, constructed networks and fits."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

from looprate.experiments.engine.sweep import CONSTRUCTIONS, FITS, THEORY, Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.rows.provenance import versions
from looprate.experiments.rows.records import digest
from looprate.experiments.study.best import BEST, best_arguments, best_rows, searched
from looprate.experiments.study.certificates import cost_of
from looprate.experiments.study.config import StudyConfig, fit_arguments
from looprate.experiments.study.lessons import (
    START,
    TOLERANCE,
    boxes_for,
    certificate_rows,
    lesson_arguments,
    lesson_rows,
    planned_specs,
)
from looprate.experiments.study.source import source_digest
from looprate.experiments.study.work import fit_rows, theory_rows
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.facts import has_closed_forms
from looprate.theory.gate import SECONDS
from looprate.theory.targets import resolve_target

__all__ = ["A_SECOND", "fit_tasks", "key_of", "study_sweep"]

SCHEMA = 4  # raise it when code changes what a row's numbers mean
A_SECOND = 10_000.0  # in the units in which tasks count their cost
CERTIFIED = 4  # N·d up to which certificates of best networks are tried
BANK = 32  # models a task trains on a CPU, at most, while one target fits; on a GPU all targets


def study_sweep(config: StudyConfig, folder: Path) -> Sweep:
    """Return the planned study of a configuration: theory, constructed networks, fits."""
    files = {
        THEORY: theory_tasks(config),
        CONSTRUCTIONS: construct_tasks(config),
        FITS: fit_tasks(config, folder),
        BEST: best_tasks(config, folder),
    }
    return Sweep(folder, files, config.as_dict())


def theory_tasks(config: StudyConfig) -> list[Task]:
    """Return the task of every target and shape."""
    tasks = []
    for tokens, dim in config.shapes:
        for name, source in sources_of(config.targets, tokens=tokens, dim=dim).items():
            arguments: dict[str, Any] = {
                "target": name,
                "tokens": tokens,
                "dim": dim,
                "p": config.p,
                "source": source,
                **_certified(name, tokens=tokens, dim=dim, p=config.p),
            }
            label = f"theory of {name} N={tokens} d={dim}"
            cost = 25_000.0 * (1 + tokens * dim)
            tasks.append(Task(key_of(arguments), label, theory_rows, arguments, cost, "theory"))
    return tasks


def _certified(name: str, *, tokens: int, dim: int, p: float) -> dict[str, float]:
    """Return how long moduli are certified: of a target without closed forms, in its key, too."""
    known = has_closed_forms(resolve_target(name), tokens=tokens, dim=dim, p=p)
    return {} if known else {"seconds": SECONDS}


def fit_tasks(config: StudyConfig, folder: Path) -> list[Task]:
    """Return the fits of every shape, family and loop count, as many targets a task as fill a bank.

    On a GPU that is all of them; the fit itself cuts them into banks that its memory holds.
    """
    each = config.seeds * len(config.learning_rates)
    size = len(config.targets) if config.device == "cuda" else max(1, BANK // each)
    tasks = []
    for tokens, dim in config.shapes:
        sources = sources_of(config.targets, tokens=tokens, dim=dim)
        for family, loops in product(config.families, config.loops):
            how = fit_arguments(config, family, loops=loops, tokens=tokens, dim=dim)
            for start in range(0, len(config.targets), size):
                names = list(config.targets[start : start + size])
                arguments = {"targets": names, **how, "sources": [sources[n] for n in names]}
                key = key_of(arguments)
                arguments |= {"key": key, "folder": str(folder.absolute())}
                label = f"{family} r={loops} N={tokens} d={dim}"
                cost = (loops + 1.0) * len(names) * each * config.recipe.steps * tokens * dim
                kin = f"{family}/{tokens}/{dim}/{len(names)}/{how['model']['blocks']}"
                tasks.append(Task(key, label, fit_rows, arguments, cost, kin))
    return tasks


def best_tasks(config: StudyConfig, folder: Path) -> list[Task]:
    """Return the searches of the best networks: all blocks, or for roughness the middle one."""
    tasks = []
    targets = [*config.targets, *(n for n in config.roughness if n not in config.targets)]
    for (tokens, dim), name in product(config.shapes if config.blocks else (), targets):
        rough = name not in config.targets
        blocks = [config.blocks[len(config.blocks) // 2]] if rough else config.blocks
        how = best_arguments(
            blocks=blocks,
            plan=config.search,
            boxes=config.boxes if tokens * dim <= CERTIFIED and not rough else 0,
            **{n: getattr(config, n) for n in ("points", "replicates", "compiled", "device")},
        )
        source = sources_of([name], tokens=tokens, dim=dim)[name]
        for family, loops in searched(config.families, config.loops, rough=rough):
            place: dict[str, Any] = {"target": name, "tokens": tokens, "dim": dim, "p": config.p}
            place |= {"family": family, "loops": loops, "source": source}
            key = key_of({**place, **how}, what="best")
            arguments = {**place, **how, "key": key, "folder": str(folder.absolute())}
            label = f"best {family} r={loops} of {name} N={tokens} d={dim}"
            cost = A_SECOND * len(blocks) * (1 + loops)
            tasks.append(Task(key, label, best_rows, arguments, cost, "best"))
    return tasks


def key_of(arguments: dict[str, Any], **more: Any) -> str:
    """Return the digest of everything that decides a task's rows."""
    return digest({"schema": SCHEMA, "versions": versions(), **arguments, **more})


def sources_of(targets: Sequence[str], *, tokens: int, dim: int) -> dict[str, str | None]:
    """Return what own functions in each target are at one shape, as a digest."""
    return {name: source_digest(resolve_target(name), tokens=tokens, dim=dim) for name in targets}


def construct_tasks(config: StudyConfig) -> list[Task]:
    """Return the tasks of constructed networks, and the one of the lessons' figures."""
    tasks = []
    for tokens, dim in config.shapes:
        for name, source in sources_of(config.targets, tokens=tokens, dim=dim).items():
            for memoriser in MEMORISERS:
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
                    "boxes": boxes_for(tokens, dim),
                    "source": source,
                    **_certified(name, tokens=tokens, dim=dim, p=config.p),
                }
                key = key_of(arguments, what="certificates")
                label = f"{memoriser} of {name} N={tokens} d={dim}"
                cost = A_SECOND * sum(START + cost_of(spec).seconds for spec in specs)
                tasks.append(Task(key, label, certificate_rows, arguments, cost, "construct"))
    lesson = lesson_arguments(config.lesson_grid)
    key, cost = key_of(lesson, what="lessons"), A_SECOND * config.lesson_grid
    return [
        *tasks,
        Task(key, "lessons of the construction", lesson_rows, lesson, cost, "construct"),
    ]
