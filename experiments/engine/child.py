"""Processes of this package's own: another interpreter that finds it, and ends with this one."""

from __future__ import annotations

import os
import site
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeAlias

from looprate.theory.processes import interrupts_blocked
from looprate.theory.sources import IMPORTED_FROM

__all__ = ["child_environment", "children", "lines_of", "python"]

PATIENCE = 5.0  # seconds a child gets to tidy up when it is no longer wanted
SAID = (0, 2)  # exit codes of a child that has said what there was to say
Child: TypeAlias = "subprocess.Popen[bytes]"


def child_environment(**others: str) -> dict[str, str]:
    """Return the environment of a child process: this one's, with this checkout importable.

    Parameters
    ----------
    **others : str
        Variables to set, such as ``OMP_NUM_THREADS="1"``.
    """
    installed = map(Path, [*site.getsitepackages(), site.getusersitepackages()])
    # A checkout need not be installed; installed packages must not hide the standard library.
    known = IMPORTED_FROM in (path.resolve() for path in installed)
    root = "" if known else str(IMPORTED_FROM)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8", **others}


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of ours in another interpreter."""
    return [sys.executable, "-u", "-P", "-m", module, *arguments]


@contextmanager
def children(commands: Sequence[Sequence[str]], **environment: str) -> Iterator[list[Child]]:
    """Run programs of ours, with a pipe from each; however this is left, they have ended.

    Parameters
    ----------
    commands : sequence of commands
        See :func:`python`; each takes ``--parent PID``, after which it ends with that process.
    **environment : str
        See :func:`child_environment`.

    Raises
    ------
    ChildProcessError
        At the end, if one was killed.
    """
    started: list[Child] = []
    try:
        for command in commands:
            with interrupts_blocked():
                started.append(
                    subprocess.Popen(
                        [*command, "--parent", str(os.getpid())],
                        env=child_environment(**environment),
                        stdout=subprocess.PIPE,
                        bufsize=0,  # a line is read as soon as it is there
                    )
                )
        yield started
        for child in started:
            child.wait()
    finally:
        with interrupts_blocked():  # it does not take long, and is not to be left half done
            for child in started:
                child.terminate()
            for child in started:
                _end(child)
    for child in started:
        if child.returncode not in SAID:
            raise ChildProcessError(
                f"a process of this command was lost (exit code {child.returncode}; -9 usually "
                "means too little memory); run the same command again"
            )


def lines_of(running: Sequence[Child]) -> Iterator[str]:
    """Yield the lines that children print, as they come, until all have ended."""
    streams: list[Any] = [child.stdout for child in running]
    while streams:
        for stream in wait(streams):
            line: bytes = stream.readline()  # type: ignore[union-attr]
            if line:
                yield line.decode()
            else:
                streams.remove(stream)


def _end(child: Child) -> None:
    """Wait for a child that was told to end, but not for long."""
    if child.stdout is not None:
        child.stdout.close()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
