"""Run independent tasks over processes: one thread each, one writer, killed workers replaced.

A task is a picklable pair (function, arguments); the function gets a ``report`` callable for its
progress (a fraction) and returns the task's rows.  Results come back to the caller, which alone
writes.  Tasks of one ``kin`` prefer one worker, so that what was compiled there is used again.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["Task", "TaskFailed", "run_tasks"]

Report = Callable[[float], None]
PATIENCE = 5.0  # seconds an idle worker gets to end by itself
ATTEMPTS = 3  # a task whose worker dies this often is given up


class TaskFailed(RuntimeError):
    """A task raised, or its worker kept dying."""


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
    function: Callable[..., list[dict[str, Any]]]
    arguments: dict[str, Any] = field(hash=False)
    cost: float = 1.0
    kin: str = ""


def run_tasks(
    tasks: Sequence[Task],
    *,
    processes: int,
    report: Callable[[Task, float], None],
) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
    """Yield (task, rows) as tasks finish, in no particular order.

    Parameters
    ----------
    tasks : sequence of Task
    processes : int
        Worker processes; 1 runs everything in this one.
    report : callable
        Called with a task and its finished fraction.

    Raises
    ------
    TaskFailed
        At once if a task raises (with its message); after all other tasks if one lost its worker
        three times.  Results yielded before stay valid.
    """
    if processes <= 1 or len(tasks) <= 1:
        for task in tasks:
            try:
                rows = task.function(lambda part, t=task: report(t, part), **task.arguments)
            except Exception as error:
                raise TaskFailed(f"{task.label}: {_message(error)}") from error
            yield task, rows
        return
    yield from _Pool(tasks, min(processes, len(tasks)), report).run()


class _Pool:
    """Spawned workers, each fed one task at a time over a pipe."""

    def __init__(
        self, tasks: Sequence[Task], size: int, report: Callable[[Task, float], None]
    ) -> None:
        self.waiting = sorted(tasks, key=lambda task: -task.cost)
        self.report, self.size = report, size
        self.context = multiprocessing.get_context("spawn")
        self.busy: dict[Connection, Task] = {}
        self.workers: dict[Connection, Any] = {}
        self.kin: dict[Connection, set[str]] = {}
        self.deaths: dict[str, int] = {}
        self.lost: list[str] = []  # messages of the tasks given up

    def run(self) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        try:
            while self.waiting or self.busy:
                while self.waiting and len(self.busy) < self.size:
                    self._feed()
                for ready in multiprocessing.connection.wait(list(self.busy)):
                    yield from self._listen(ready)  # type: ignore[arg-type]
            if self.lost:
                raise TaskFailed("; ".join(self.lost))
        finally:
            for connection, worker in self.workers.items():
                connection.close()  # an idle worker ends by itself
                if connection in self.busy:
                    worker.terminate()
            for worker in self.workers.values():
                worker.join(PATIENCE)
                worker.terminate()
                worker.join()

    def _feed(self) -> None:
        """Give an idle worker, or a new one, the longest task of its kin, else the longest."""
        idle = [connection for connection in self.workers if connection not in self.busy]
        connection = idle[0] if idle else self._start()
        mine = self.kin[connection]
        others = {k for c, kin in self.kin.items() if c is not connection for k in kin}
        task = min(
            self.waiting,
            key=lambda t: (0 if t.kin in mine else 1 if t.kin not in others else 2, -t.cost),
        )
        self.waiting.remove(task)
        mine.add(task.kin)
        self.busy[connection] = task
        connection.send(task)

    def _start(self) -> Connection:
        ours, theirs = self.context.Pipe()
        # Threads of a worker must not fight those of its neighbours: one each.
        saved = os.environ.get("OMP_NUM_THREADS")
        os.environ["OMP_NUM_THREADS"] = "1"
        try:
            worker = self.context.Process(target=_serve, args=(theirs,), daemon=True)
            worker.start()
        finally:
            if saved is None:
                del os.environ["OMP_NUM_THREADS"]
            else:
                os.environ["OMP_NUM_THREADS"] = saved
        theirs.close()
        self.workers[ours] = worker
        self.kin[ours] = set()
        return ours

    def _listen(self, connection: Connection) -> Iterator[tuple[Task, list[dict[str, Any]]]]:
        """Handle one message, or the death, of a busy worker."""
        task = self.busy[connection]
        try:
            kind, content = connection.recv()
        except (EOFError, OSError):
            self._bury(connection, task)
            return
        if kind == "part":
            self.report(task, content)
            return
        del self.busy[connection]
        if kind == "failed":
            raise TaskFailed(f"{task.label}: {content}")
        yield task, content

    def _bury(self, connection: Connection, task: Task) -> None:
        """Forget a dead worker and queue its task again, or give the task up."""
        worker = self.workers.pop(connection)
        worker.join()
        del self.busy[connection], self.kin[connection]
        connection.close()
        self.deaths[task.key] = self.deaths.get(task.key, 0) + 1
        if self.deaths[task.key] >= ATTEMPTS:
            self.lost.append(
                f"{task.label}: its worker died {ATTEMPTS} times (exit code {worker.exitcode}; "
                "-9 usually means too little memory: try --processes 1)"
            )
        else:
            self.waiting.append(task)


def _message(error: Exception) -> str:
    """Return what a task's error says; of one that is not a refusal also its type and place."""
    if isinstance(error, ValueError):
        return str(error)
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({place.name}, line {place.lineno})"


def _serve(connection: Connection) -> None:
    """Work in a spawned process until the pipe closes."""
    import signal

    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    torch.set_num_threads(1)
    while True:
        try:
            task = connection.recv()
        except (EOFError, OSError):
            return
        try:
            content = task.function(lambda part: connection.send(("part", part)), **task.arguments)
            message = ("done", content)
        except (BrokenPipeError, ConnectionResetError):
            return  # the parent is gone
        except Exception as error:
            message = ("failed", _message(error))
        try:
            connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return
