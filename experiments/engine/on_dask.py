"""Tasks on dask.distributed: it places them and moves those of lost workers; the caller writes.

No more tasks are handed over than there are workers.  dask blames every task that was assigned to a
worker that died, whether it ran or waited; so the last attempt of a task that lost its worker twice
is made alone, when the others are done: a third death can then only be its own.
"""

from __future__ import annotations

import queue
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

from looprate.experiments.engine.task import (
    ATTEMPTS,
    Engine,
    Failures,
    Report,
    Results,
    Rows,
    Task,
    in_words,
)
from looprate.experiments.rows.provenance import provenance, versions

TICK = 1.0  # seconds between looks at workers and progress
QUIET = 0.5  # seconds between two reports of one task
GRACE = 10.0  # seconds without a worker until it is said


class PointFailed(RuntimeError):
    """What a task's error says, in words: errors themselves may not survive the journey."""


class UnlikeDriver(ValueError):
    """A worker that cannot give the numbers of this process, or not store them."""


class _Unwanted(RuntimeError):
    """The driver of this task is gone."""


def run_on_dask(
    tasks: Sequence[Task], processes: int, report: Report, engine: Engine, failures: Failures
) -> Results:
    """Yield (task, rows) as tasks finish; see :func:`looprate.experiments.engine.run.run_tasks`."""
    from looprate.experiments.engine.cluster import open_client

    with open_client(engine, processes) as client:
        yield from _Driver(client, tasks, report, engine, failures).run()


class _Driver:
    """What is handed over to a cluster, and what came back."""

    def __init__(
        self, client: Any, tasks: Sequence[Task], report: Report, engine: Engine, failures: Failures
    ) -> None:
        self.client, self.report, self.failures = client, report, failures
        self.engine = engine
        self.waiting = sorted(tasks, key=lambda task: -task.cost)
        self.suspects: list[Task] = []  # lost their worker twice
        self.running: dict[Any, Task] = {}  # by future
        self.alone = False  # whether the one running task is a suspect's last attempt
        self.name = f"looprate-{uuid.uuid4().hex}"  # of this run, on a scheduler others may use
        self.parts: queue.SimpleQueue[tuple[str, float]] = queue.SimpleQueue()
        self.submitted = 0
        self.expected = identity()
        self.seen = time.monotonic()  # when there was a worker last

    def run(self) -> Results:
        """Hand tasks over and yield their rows until none is left."""
        self.client.run_on_scheduler(_leave_retries_to_the_driver)
        self.client.subscribe_topic(self.name, lambda event: self.parts.put(event[1]))
        try:
            while self.waiting or self.suspects or self.running:
                with _scheduler_expected():
                    self._submit()
                    done = self._wait()
                self._report()
                for future in done:
                    yield from self._settle(future)
        finally:
            if self.client.status == "running":
                self.client.cancel(list(self.running))
                self.client.unsubscribe_topic(self.name)

    def _submit(self) -> None:
        """Hand over a task for every worker, or one suspect alone."""
        room = self._workers() - len(self.running)
        if self.waiting and not self.alone:
            for _ in range(min(room, len(self.waiting))):
                self._hand_over(self.waiting.pop(0))
        elif self.suspects and not self.running and room > 0:
            self.alone = True
            self._hand_over(self.suspects.pop(0))

    def _hand_over(self, task: Task) -> None:
        """Submit one task under a key of this run and attempt alone."""
        self.submitted += 1
        future = self.client.submit(
            work,
            task,
            self.expected,
            self.name,
            key=f"{self.name}-{task.key}-{self.submitted}",
            pure=False,
            retries=0,
            resources={"GPU": 1} if self.engine.gpu else None,
        )
        self.running[future] = task

    def _workers(self) -> int:
        """Return how many workers can run a task now; say so when there are none for long."""
        found = self.client.scheduler_info(n_workers=-1)["workers"]
        for address, worker in found.items():
            if worker["nthreads"] != 1:
                raise ValueError(
                    f"`scheduler` must have workers that run one task at a time, {address} runs "
                    f"{worker['nthreads']}; start it with dask worker --nthreads 1 --nworkers "
                    f"{worker['nthreads']}"
                )
        able = [w for w in found.values() if not self.engine.gpu or w["resources"].get("GPU", 0)]
        if able:
            self.seen = time.monotonic()
        elif time.monotonic() - self.seen > GRACE:
            what = 'worker with --resources "GPU=1"' if self.engine.gpu else "worker"
            print(f"no {what} is connected, waiting for one (see docs/cluster.md)", file=sys.stderr)
            self.seen = float("inf")
        return len(able)

    def _wait(self) -> Sequence[Any]:
        """Return the futures that are done, after a moment at most."""
        from distributed import wait

        if not self.running:
            time.sleep(TICK)
            return []
        try:
            with self.client.as_current():
                return list(wait(list(self.running), TICK, "FIRST_COMPLETED").done)
        except TimeoutError:
            return []

    def _report(self) -> None:
        """Pass on what the workers said of running tasks."""
        tasks = {task.key: task for task in self.running.values()}
        while not self.parts.empty():
            key, part = self.parts.get()
            if key in tasks:
                self.report(tasks[key], part)

    def _settle(self, future: Any) -> Results:
        """Yield the rows of a finished task, or note its failure."""
        from distributed import KilledWorker

        task, alone = self.running.pop(future), self.alone
        self.alone = False
        try:
            with _scheduler_expected():
                rows = future.result()
        except (UnlikeDriver, ConnectionError):
            raise
        except KilledWorker as error:
            self._bury(task, alone, error.last_worker.address)
        except Exception as error:
            if self.failures.again(task, _message(error)):
                self.waiting.append(task)
        else:
            yield task, rows

    def _bury(self, task: Task, alone: bool, address: str) -> None:
        """Note the death of a worker that had this task, where it counts."""
        message = f"its worker died (the last at {address}; too little memory is the usual reason)"
        before = self.failures.counts[task.key]
        if (alone or before < ATTEMPTS - 1) and not self.failures.again(task, message):
            return
        last = self.failures.counts[task.key] == ATTEMPTS - 1
        (self.suspects if last else self.waiting).append(task)


@contextmanager
def _scheduler_expected() -> Iterator[None]:
    """Say in one line that the scheduler was lost, if it was."""
    try:
        yield
    except (CancelledError, OSError) as error:
        raise ConnectionError(
            "the connection to the scheduler is lost; start it, and run the same command again "
            f"({type(error).__name__})"
        ) from None


def identity() -> dict[str, str | None]:
    """Return what a worker must have in common with the driver to give its numbers."""
    return provenance() | versions()


def work(task: Task, expected: dict[str, str | None], topic: str) -> Rows:
    """Run one task in a worker and return its rows.

    Parameters
    ----------
    task : Task
    expected : dict
        Identity of the driver.
    topic : str
        Where to report progress.

    Raises
    ------
    UnlikeDriver
        If this worker is not like the driver, or cannot write the task's folder.
    PointFailed
        If the task raises.
    """
    import torch
    from distributed import get_worker

    worker = get_worker()
    _check_host(worker.address, expected, task.arguments.get("folder"))
    torch.set_num_threads(1)
    try:
        return task.function(_teller(worker, task, topic), **task.arguments)
    except _Unwanted:
        raise
    except Exception as error:
        raise PointFailed(in_words(error)) from None


def _teller(worker: Any, task: Task, topic: str) -> Callable[[float], None]:
    """Return what a task reports to; it ends a task that nobody waits for any more."""
    key, last = worker.get_current_task(), float("-inf")

    def tell(part: float) -> None:
        nonlocal last
        state = worker.state.tasks.get(key)
        if state is None or state.state == "cancelled":
            raise _Unwanted(task.label)
        if time.monotonic() - last >= QUIET:
            last = time.monotonic()
            worker.log_event(topic, [task.key, part])

    return tell


def _check_host(address: str, expected: dict[str, str | None], folder: str | None) -> None:
    """Refuse to work where the numbers would be others, or their files lost."""
    place, mine = f"the worker {address} on {socket.gethostname()}", identity()
    other = [name for name in expected if expected[name] != mine[name]]
    if other:
        theirs = ", ".join(f"{name} {mine[name]}" for name in other)
        ours = ", ".join(f"{name} {expected[name]}" for name in other)
        raise UnlikeDriver(
            f"{place} must run what this process runs ({ours}), got {theirs}; install it there"
        )
    if folder is None:
        return
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UnlikeDriver(
            f"{place} must be able to write {folder}, got {error.strerror}; take an --out on a "
            "file system that all hosts share"
        ) from None


def _leave_retries_to_the_driver(dask_scheduler: Any) -> None:
    """Have every death of a worker reported, so that the driver counts attempts of all kinds."""
    dask_scheduler.allowed_failures = 0


def _message(error: BaseException) -> str:
    """Return the words of an error that came from a worker."""
    if isinstance(error, PointFailed):
        return str(error)
    return f"{type(error).__name__}: {error}"
