"""Where rows come from: the version of looprate, and the commit where it is a checkout."""

from __future__ import annotations

import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["provenance"]

HERE = Path(__file__)
PATIENCE = 10.0  # seconds git gets


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
