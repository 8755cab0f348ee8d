"""A sweep: planned tasks with stored rows in one folder, run and resumed by one loop.

Tasks are planned from a question alone.  A task whose rows are stored under the digest of
everything that decides them is not run again; a changed question has other digests, so stale rows
are never used.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from looprate.experiments.engine.progress import Progress
from looprate.experiments.engine.run import run_tasks
from looprate.experiments.engine.task import HERE, Engine, Report, Task, TaskFailed
from looprate.experiments.rows.question import ask
from looprate.experiments.rows.records import RowStore, exclusive

__all__ = ["CONSTRUCTIONS", "FITS", "THEORY", "Sweep", "checkpoint_of", "run_in_folder"]

FITS, THEORY, CONSTRUCTIONS = "rows.jsonl", "theory.jsonl", "constructions.jsonl"
Row = dict[str, Any]
Told = TypeVar("Told")


class Sweep:
    """Tasks planned in a folder: their stored rows, and which are missing.

    Parameters
    ----------
    folder : Path
    files : mapping of str to sequence of Task
        By the name of the file that keeps their rows, in the order in which they run.
    question : dict, optional
        What config.json is to hold.
    """

    def __init__(
        self, folder: Path, files: Mapping[str, Sequence[Task]], question: Row | None = None
    ) -> None:
        self.folder, self.files, self.question = folder, dict(files), question
        self._stores = {name: RowStore(folder / name) for name in files}
        self._file = {task.key: name for name, tasks in files.items() for task in tasks}

    def tasks(self) -> list[Task]:
        """Return every task."""
        return [task for tasks in self.files.values() for task in tasks]

    def missing(self) -> list[Task]:
        """Return the tasks without stored rows."""
        return [task for task in self.tasks() if task.key not in self._stores[self._file[task.key]]]

    def keep(self, task: Task, rows: Sequence[Row]) -> None:
        """Store the rows of a finished task, then drop its checkpoint, where it had one."""
        self._stores[self._file[task.key]].append(task.key, rows)
        checkpoint_of(self.folder, task.key).unlink(missing_ok=True)

    def rows(self, file: str = FITS, keys: Iterable[str] | None = None) -> list[Row]:
        """Return the stored rows of one file: of the tasks planned here, or of the keys given."""
        if keys is None:
            keys = (task.key for task in self.files[file])
        return [row for key in keys for row in self._stores[file].task(key) or []]

    def run(
        self,
        *,
        processes: int = 1,
        report: Report = lambda task, part: None,
        engine: Engine = HERE,
    ) -> None:
        """Run what is missing and store it as it comes.

        Parameters
        ----------
        processes : int
            Worker processes, one thread each; 1 runs in this one, on one thread meanwhile.
        report : callable
            Called with (task, finished fraction).
        engine : Engine

        Raises
        ------
        TaskFailed
            After all other tasks, if some failed three times.
        """
        import torch

        self._drop_checkpoints()
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # more only spin on tensors this small, several times slower
        try:
            results = run_tasks(self.missing(), processes=processes, report=report, engine=engine)
            for task, rows in results:
                self.keep(task, rows)
                report(task, 1.0)
        finally:
            torch.set_num_threads(threads)

    def _drop_checkpoints(self) -> None:
        """Remove the checkpoints of stored tasks: a kill may come between the two."""
        for path in checkpoint_of(self.folder, "").parent.glob("*.npz"):
            if any(path.stem in store for store in self._stores.values()):
                path.unlink(missing_ok=True)


def checkpoint_of(folder: Path, key: str) -> Path:
    """Return the file that keeps a task's unfinished fit until its rows are stored."""
    return folder / "checkpoints" / f"{key}.npz"


def run_in_folder(
    folder: Path,
    plan: Callable[[], Sweep],
    tell: Callable[[Sweep, Sequence[str]], Told],
    *,
    name: str,
    processes: int,
    engine: Engine = HERE,
) -> Told:
    """Hold a folder, run what is missing of a sweep in it, and return what is told of its rows.

    Parameters
    ----------
    folder : Path
    plan : callable
        Returns the sweep once the folder is held.
    tell : callable
        Called at the end with the sweep and a line for each task that was given up, such as writes
        a report.
    name : str
        Of the progress bar.
    processes : int
    engine : Engine

    Raises
    ------
    ValueError
        If the folder is in use, or answers another question.
    TaskFailed
        After ``tell``, if tasks were given up.
    """
    with exclusive(folder):
        sweep = plan()
        if sweep.question is not None:
            ask(folder, sweep.question)
        try:
            _run_told(sweep, name, processes, engine)
        except TaskFailed as error:  # a report says what there is, and what is missing
            tell(sweep, error.lost)
            raise
        return tell(sweep, [])


def _run_told(sweep: Sweep, name: str, processes: int, engine: Engine) -> None:
    """Run what is missing under a progress bar, and say what is there already."""
    missing, planned = sweep.missing(), len(sweep.tasks())
    if done := planned - len(missing):
        print(f"resuming {sweep.folder}: {done} of {planned} tasks are done", file=sys.stderr)
    parts: dict[str, float] = {}
    with Progress(sum(task.cost for task in missing), name) as bar:

        def report(task: Task, part: float) -> None:
            parts[task.key] = part * task.cost
            bar.to(sum(parts.values()), task.label)

        sweep.run(processes=processes, report=report, engine=engine)
