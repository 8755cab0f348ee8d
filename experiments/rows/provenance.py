"""Where rows come from: versions, commit, device, seed and wall time, noted where a task ran."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from functools import cache, wraps
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

__all__ = ["provenance", "stamped", "versions"]

HERE = Path(__file__)
PATIENCE = 10.0  # seconds git gets
#: What holds for a task whose rows do not say otherwise.
DEVICE, SEED = "cpu", 0  # every search and sample of a task without seeds of its own draws from 0
#: Names, at any depth of a row, of what does not decide its numbers.
TRACES = frozenset({"commit", "device", "directory", "seconds", "torch", "version", "versions"})
Row = dict[str, Any]


@cache
def provenance() -> dict[str, str | None]:
    """Return the version and the commit that run here, as every stored row holds them.

    Returns
    -------
    dict
        "version", and "commit": twelve digits, "-dirty" after them if files are changed; None where
        this file is not under git.
    """
    try:
        installed = version("looprate")
    except PackageNotFoundError:  # a bare checkout on the path
        installed = None
    return {"version": installed, "commit": _commit()}


def versions() -> dict[str, str]:
    """Return the versions that decide numbers."""
    import platform

    import numpy
    import scipy
    import torch

    return {
        "python": platform.python_version(),
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "torch": torch.__version__,
    }


def stamped(work: Callable[..., list[Row]]) -> Callable[..., list[Row]]:
    """Return a task's function with provenance in its rows, measured in the process that runs it.

    Parameters
    ----------
    work : callable
        Returns the rows of one task; importable by its name, as a task's function must be.

    Returns
    -------
    callable
        The same, each row with "device", "seed", "version", "commit" and "seconds", its share of
        the task's wall time; what a row says itself stays.
    """

    @wraps(work)
    def run(*values: Any, **arguments: Any) -> list[Row]:
        started = time.monotonic()
        rows = work(*values, **arguments)
        share = (time.monotonic() - started) / max(1, len(rows))
        stamp = {"device": DEVICE, "seed": SEED, "seconds": round(share, 3), **provenance()}
        return [row | {name: stamp[name] for name in stamp if name not in row} for row in rows]

    return run


def _commit() -> str | None:
    """Return the commit of this very file's repository, not of one it merely lies in."""
    if _git("ls-files", "--error-unmatch", HERE.name) is None:
        return None
    return _git("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def _git(*arguments: str) -> str | None:
    """Return what git says in this folder, or None where it has nothing to say."""
    try:
        done = subprocess.run(
            ["git", "-C", str(HERE.parent), *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
