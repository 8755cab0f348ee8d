"""A sweep of 200 points, one of them deadly, for the tests of the engine: ``FOLDER SCHEDULER``."""

import math
import sys
import time
from pathlib import Path

from cases import engine_tasks
from looprate.experiments.engine.sweep import FITS, Sweep
from looprate.experiments.engine.task import Engine, Task, TaskFailed
from looprate.experiments.rows.records import digest, exclusive

__all__ = ["COUNT", "DEADLY", "point", "points", "value"]

COUNT = 200
DEADLY = 120  # how many points come before the one that kills its worker
NAP = 0.02  # seconds of a point


def value(number):
    """Return a number that takes all digits of a float."""
    total = 0.0
    for k in range(1, 200):
        total += math.sin(number * k) / k
    return total


def point(report, *, number):
    report(0.5)
    time.sleep(NAP)
    return [{"number": number, "value": value(number)}]


def points(folder):
    """Return the tasks of the sweep: the 200 points and the deadly one."""
    tasks = [
        Task(digest({"number": n}), f"point {n}", point, {"number": n}, cost=COUNT - n)
        for n in range(COUNT)
    ]
    log = {"log": str(folder / "deaths")}
    return [*tasks, Task("deadly", "the deadly point", engine_tasks.dies, log, COUNT - DEADLY)]


def main(folder, scheduler):
    """Run what is missing; return 1 and say why if a point failed."""
    with exclusive(folder):
        try:
            Sweep(folder, {FITS: points(folder)}).run(
                processes=2, engine=Engine(scheduler=scheduler)
            )
        except TaskFailed as error:
            print(error, flush=True)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
