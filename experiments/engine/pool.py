"""The default engine: spawned processes of this machine, killed workers replaced.

Tasks of one ``kin`` prefer one worker, so that what was compiled there is used again.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
import os
from bisect import insort
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from looprate.experiments.engine.task import Failures, Report, Results, Task, in_words
from looprate.theory.processes import become_child, interrupts_blocked

PATIENCE = 5.0  # seconds an idle worker gets to end by itself


class _Waiting:
    """Tasks to give out, by kin, each list in ascending cost: the next one is at a list's end."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.lists: dict[str, list[Task]] = {}
        for task in sorted(reversed(tasks), key=_cost):  # of equal ones the first goes first
            self.lists.setdefault(task.kin, []).append(task)

    def __bool__(self) -> bool:
        return bool(self.lists)

    def add(self, task: Task) -> None:
        """Take a task back."""
        insort(self.lists.setdefault(task.kin, []), task, key=_cost)

    def take(self, mine: set[str], others: set[str]) -> Task:
        """Give out the longest task of a worker's own kin, else of nobody's, else of others'."""

        def rank(kin: str) -> tuple[int, float]:
            return 0 if kin in mine else 1 if kin not in others else 2, -self.lists[kin][-1].cost

        kin = min(self.lists, key=rank)
        task = self.lists[kin].pop()
        if not self.lists[kin]:
            del self.lists[kin]
        return task


def _cost(task: Task) -> float:
    """What tasks are ordered by."""
    return task.cost


class Pool:
    """Spawned workers, each fed one task at a time over a pipe.

    Parameters
    ----------
    tasks : sequence of Task
    size : int
        Number of workers.
    report : callable
        Called with a task and its finished fraction.
    devices : sequence of str
        CUDA devices, dealt to the workers; empty: workers see all.
    failures : Failures
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        size: int,
        report: Report,
        devices: Sequence[str],
        failures: Failures,
    ) -> None:
        self.waiting = _Waiting(tasks)
        self.report, self.size, self.failures = report, size, failures
        self.context = multiprocessing.get_context("spawn")
        self.devices = [devices[k % len(devices)] if devices else None for k in range(size)]
        self.busy: dict[Connection, Task] = {}
        self.workers: dict[Connection, Any] = {}
        self.kin: dict[Connection, set[str]] = {}
        self.device: dict[Connection, str | None] = {}

    def run(self) -> Results:
        """Yield (task, rows) as tasks finish; end the workers, however this is left."""
        try:
            while self.waiting or self.busy:
                while self.waiting and len(self.busy) < self.size:
                    self._feed()
                for ready in multiprocessing.connection.wait(list(self.busy)):
                    yield from self._listen(ready)  # type: ignore[arg-type]
        finally:
            with interrupts_blocked():  # it does not take long, and is not to be left half done
                self._end_workers()

    def _end_workers(self) -> None:
        """End the workers, those at work at once."""
        for connection, worker in self.workers.items():
            connection.close()  # an idle worker ends by itself
            if connection in self.busy:
                worker.terminate()
        for worker in self.workers.values():
            worker.join(PATIENCE)
            worker.kill()
            worker.join()

    def _feed(self) -> None:
        """Give an idle worker, or a new one, the longest task of its kin, else the longest."""
        idle = [connection for connection in self.workers if connection not in self.busy]
        connection = idle[0] if idle else self._start()
        mine = self.kin[connection]
        others = {k for c, kin in self.kin.items() if c is not connection for k in kin}
        task = self.waiting.take(mine, others)
        mine.add(task.kin)
        self.busy[connection] = task
        with suppress(OSError):  # a worker that died idle: its closed pipe is heard of next
            connection.send(task)

    def _start(self) -> Connection:
        ours, theirs = self.context.Pipe()
        device = self.devices.pop(0)  # of a worker that died, if this one is in its place
        # Threads of a worker must not fight those of its neighbours: one each.
        multiprocessing.resource_tracker.ensure_running()  # it unblocks interrupts when it starts
        with (
            _environment(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES=device),
            interrupts_blocked(),  # until it is known, and so ended with the others
        ):
            worker = self.context.Process(target=_serve, args=(theirs,), daemon=True)
            worker.start()
            self.workers[ours] = worker
            self.kin[ours], self.device[ours] = set(), device
        theirs.close()
        return ours

    def _listen(self, connection: Connection) -> Results:
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
        if kind == "done":
            yield task, content
        elif self.failures.again(task, content):
            self.waiting.add(task)

    def _bury(self, connection: Connection, task: Task) -> None:
        """Forget a dead worker and queue its task again, or give the task up."""
        worker = self.workers.pop(connection)
        worker.join()
        self.devices.append(self.device.pop(connection))
        del self.busy[connection], self.kin[connection]
        connection.close()
        message = (
            f"its worker died (exit code {worker.exitcode}; -9 usually means too little memory: "
            "try --processes 1)"
        )
        if self.failures.again(task, message):
            self.waiting.add(task)


@contextmanager
def _environment(**wanted: str | None) -> Iterator[None]:
    """Set variables for processes started meanwhile; None leaves one as it is."""
    names = [name for name, value in wanted.items() if value is not None]
    saved = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(wanted[name]) for name in names})
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(connection: Connection) -> None:
    """Work in a spawned process until the pipe closes."""
    parent = multiprocessing.parent_process()
    become_child(parent.pid if parent and parent.pid else os.getppid())
    import torch

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
            message = ("failed", in_words(error))
        try:
            connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return
