"""Processes of this package's own: another interpreter that finds it, and computes on one core."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["child_environment"]


def child_environment(**others: str) -> dict[str, str]:
    """Return the environment of a child process: this one's, with this checkout importable.

    Parameters
    ----------
    **others : str
        Variables to set, such as ``OMP_NUM_THREADS="1"``.
    """
    root = str(Path(__file__).resolve().parent.parent)  # a checkout need not be installed
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, **others}
