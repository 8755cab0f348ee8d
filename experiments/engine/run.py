"""Run independent tasks on this machine or many: one thread each, one writer, nothing lost.

Results come back to the caller, which alone writes.  A task that fails, by an error or with its
worker, is tried three times, then reported while the rest completes.
"""

from __future__ import annotations

from collections.abc import Sequence

from looprate.experiments.engine.task import (
    HERE,
    Engine,
    Failures,
    Report,
    Results,
    Task,
    in_words,
)


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
