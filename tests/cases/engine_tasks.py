"""Tasks for the tests of the engine, importable by its workers."""

import os
import signal
import sys
import time
from pathlib import Path

__all__ = ["dies", "dies_once", "fails", "lives_on", "refuses", "square", "threads"]


def square(report, *, value):
    report(0.5)
    return [{"value": value, "square": value * value}]


def threads(report):
    return [{"omp": os.environ["OMP_NUM_THREADS"], "torch": sys.modules["torch"].threads}]


def dies(report, *, log):
    with Path(log).open("a") as stream:
        stream.write("once more\n")
    os.kill(os.getpid(), signal.SIGKILL)


def dies_once(report, *, marker):
    if not Path(marker).exists():
        dies(report, log=marker)
    return [{"square": -1}]


def refuses(report):
    raise ValueError("`x` must be even, got 3")


def fails(report):
    raise ZeroDivisionError("nothing to divide by")


def lives_on(report, *, folder):
    """Report for ever, after saying which process this is."""
    (Path(folder) / str(os.getpid())).touch()
    while True:
        report(0.5)
        time.sleep(0.05)
