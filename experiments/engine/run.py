"""Run independent tasks on this machine or many: one thread each, one writer, nothing lost.

A task is a picklable pair (function, arguments); the function gets a ``report`` callable for its
progress (a fraction) and returns the task's rows.  Results come back to the caller, which alone
writes.  A task that fails, by an error or with its worker, is tried three times, then reported
while the rest completes.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = [
    "ATTEMPTS",
    "Engine",
    "Failures",
    "Task",
    "TaskFailed",
    "default_processes",
    "run_tasks",
    "visible_devices",
]

ATTEMPTS = 3  # a task that fails this often is given up
EMBEDDED = "embedded"  # the scheduler that starts and ends with this process
Rows: TypeAlias = list[dict[str, Any]]


class TaskFailed(RuntimeError):
    """Tasks raised, or lost their workers, too often; the message names each.

    Parameters
    ----------
    message : str
    lost : sequence of str
        One line for each of them: its label and its last error.
    """

    def __init__(self, message: str, lost: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.lost = list(lost)


@dataclass(frozen=True)
class Task:
    """One unit of work.

    Attributes
    ----------
    key : str
        Digest of everything that decides the result.
    label : str
        A few words for the progress line.
    function, arguments
        Called as ``function(report, **arguments)`` in the worker; importable and picklable.
    cost : float
        Relative expected duration.
    kin : str
        Tasks alike enough to share a worker's compiled code.
    """

    key: str
    label: str
    function: Callable[..., Rows]
    arguments: dict[str, Any] = field(hash=False)
    cost: float = 1.0
    kin: str = ""


Results: TypeAlias = Iterator[tuple[Task, Rows]]
Report: TypeAlias = Callable[[Task, float], None]


@dataclass(frozen=True)
class Engine:
    """Where tasks run; by default in processes of this machine that need no extra package.

    Attributes
    ----------
    scheduler : str, optional
        Of dask.distributed: "embedded" (workers of this machine), the address of a running one, or
        slurm:FILE.  None: no dask.
    devices : tuple of str
        CUDA devices of this machine; worker k of those started here sees device k alone, round
        robin.  Empty: workers see what this process sees.
    gpu : bool
        Whether every task needs a GPU: a cluster then runs it on workers with the resource GPU=1.
    """

    scheduler: str | None = None
    devices: tuple[str, ...] = ()
    gpu: bool = False


HERE = Engine()


def run_tasks(
    tasks: Sequence[Task], *, processes: int, report: Report, engine: Engine = HERE
) -> Results:
    """Yield (task, rows) as tasks finish, in no particular order.

    Parameters
    ----------
    tasks : sequence of Task
    processes : int
        Worker processes of this machine; 1 without dask runs everything in this one.
    report : callable
        Called with a task and its finished fraction.
    engine : Engine

    Raises
    ------
    TaskFailed
        After all other tasks, if some failed three times.  Results yielded before stay valid.
    ValueError
        At once, if a cluster cannot be used: by a worker that is not like this process, say.
    """
    failures = Failures(len(tasks))
    if not tasks:
        return
    if engine.scheduler is not None:
        from looprate.experiments.engine.on_dask import run_on_dask

        yield from run_on_dask(tasks, processes, report, engine, failures)
    elif processes <= 1 or len(tasks) <= 1:
        yield from _run_here(tasks, report, failures)
    else:
        from looprate.experiments.engine.pool import Pool

        yield from Pool(tasks, min(processes, len(tasks)), report, engine.devices, failures).run()
    failures.check()


def _run_here(tasks: Sequence[Task], report: Report, failures: Failures) -> Results:
    """Run task after task in this process."""
    waiting = list(tasks)
    while waiting:
        task = waiting.pop(0)
        try:
            rows = task.function(lambda part, t=task: report(t, part), **task.arguments)
        except Exception as error:
            if failures.again(task, in_words(error)):
                waiting.append(task)
        else:
            yield task, rows


class Failures:
    """Counts how often each task failed and keeps the words of those given up.

    Parameters
    ----------
    total : int
        Number of tasks.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()
        self.given_up: list[str] = []

    def again(self, task: Task, message: str) -> bool:
        """Note a failure; tell whether the task is to be tried again."""
        self.counts[task.key] += 1
        if self.counts[task.key] < ATTEMPTS:
            return True
        self.given_up.append(f"{task.label}: {message}")
        return False

    def check(self) -> None:
        """Raise if a task was given up."""
        if self.given_up:
            lost = "; ".join(self.given_up)
            many = f"{len(self.given_up)} of {self.total} tasks failed {ATTEMPTS} times"
            raise TaskFailed(f"{many}, the others are done: {lost}", self.given_up)


def default_processes() -> int:
    """Return the number of cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def visible_devices() -> tuple[str, ...]:
    """Return the CUDA devices this process sees, each as CUDA_VISIBLE_DEVICES names it."""
    import torch

    count = torch.cuda.device_count()
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    names = [name.strip() for name in named.split(",") if name.strip()]
    return tuple(names[:count] or map(str, range(count)))


def in_words(error: Exception) -> str:
    """Return what a task's error says; of one that is not a refusal also its type and place."""
    if isinstance(error, ValueError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
