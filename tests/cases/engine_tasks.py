"""Tasks for the tests of the engine, importable by its workers."""

import os
import signal
import sys
import time
from pathlib import Path

__all__ = [
    "device",
    "dies",
    "dies_once",
    "fails",
    "lives_on",
    "naps",
    "recovers",
    "refuses",
    "square",
    "threads",
]


def square(report, *, value):
    report(0.5)
    return [{"value": value, "square": value * value}]


def naps(report, *, value, seconds):
    time.sleep(seconds)
    return square(report, value=value)


def threads(report):
    return [{"omp": os.environ["OMP_NUM_THREADS"], "torch": sys.modules["torch"].threads}]


def device(report, *, folder, workers):
    """Return the CUDA device this worker sees, once so many workers are here."""
    (Path(folder) / str(os.getpid())).touch()
    while len(list(Path(folder).iterdir())) < workers:
        time.sleep(0.01)
    return [{"device": os.environ.get("CUDA_VISIBLE_DEVICES"), "worker": os.getpid()}]


def dies(report, *, log):
    note(log)
    os.kill(os.getpid(), signal.SIGKILL)


def dies_once(report, *, marker):
    if not Path(marker).exists():
        dies(report, log=marker)
    return [{"square": -1}]


def refuses(report, *, log):
    note(log)
    raise ValueError("`x` must be even, got 3")


def fails(report, *, log):
    note(log)
    raise ZeroDivisionError("nothing to divide by")


def recovers(report, *, log):
    """Raise twice, then succeed."""
    if note(log) < 3:
        raise ZeroDivisionError("not yet")
    return [{"square": -2}]


def note(log):
    """Write a line; return how many there are."""
    with Path(log).open("a") as stream:
        stream.write("once more\n")
    return len(Path(log).read_text().splitlines())


def lives_on(report, *, folder):
    """Report for ever, after saying which process this is."""
    (Path(folder) / str(os.getpid())).touch()
    while True:
        report(0.5)
        time.sleep(0.05)
