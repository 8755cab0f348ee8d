"""What engines share: tasks, where they run, failures counted and put in words.

A task is a picklable pair (function, arguments); the function gets a ``report`` callable for its
progress (a fraction) and returns the task's rows.
"""

from __future__ import annotations

import os
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Engine", "Task", "TaskFailed", "chosen_device", "default_processes", "visible_devices"]

#: Where the driver of a GPU shows: of NVIDIA, beside Windows, on a Jetson, of AMD.
DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/nvmap", "/dev/kfd")
ATTEMPTS = 3  # a task that fails this often is given up
DEVICES = ("auto", "cpu", "cuda")
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


def chosen_device(asked: str) -> str:
    """Return "cpu" or "cuda"; ``auto`` takes a GPU where torch sees one.

    Raises
    ------
    ValueError
        If it is another word, or there is no GPU.
    """
    if asked not in DEVICES:
        raise ValueError(f"`device` must be {', '.join(DEVICES)}, got {asked!r}; take auto")
    if asked == "cpu":
        return asked
    if asked == "auto" and not any(map(os.path.exists, DRIVERS)):
        return "cpu"  # torch, which takes seconds to import, would see none
    seen = bool(visible_devices())
    if asked == "cuda" and not seen:
        raise ValueError("`device` is cuda but torch sees no GPU; take --device cpu")
    return "cuda" if seen else "cpu"


def in_words(error: Exception) -> str:
    """Return what a task's error says; of one that is not a refusal also its type and place."""
    if isinstance(error, ValueError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"
