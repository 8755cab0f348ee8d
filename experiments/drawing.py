"""Figures from a folder of rows, drawn in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from experiments.engine import default_processes
from experiments.progress import Progress

__all__ = ["draw_folder"]

WORTH_IT = 6  # figures; a process needs about as long to start as to draw one


def draw_folder(folder: Path, style: str, formats: list[str]) -> tuple[int, str]:
    """Draw a folder's figures in a process that sees nothing but its rows."""
    command = [sys.executable, "-u", "-P", "-m", "figures", str(folder), "--style", style]
    root = str(Path(__file__).resolve().parent.parent)  # a checkout need not be installed
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    known = len(list((folder / "figures").glob("*__*.csv")))
    lines = []
    workers = default_processes() if known >= WORTH_IT else 1
    command += ["--processes", str(workers)]
    with (
        Progress(known, "figures") as bar,
        subprocess.Popen(
            [*command, "--format", *formats],
            env={**os.environ, "PYTHONPATH": path},
            text=True,
            stdout=subprocess.PIPE,
        ) as child,
    ):
        for line in child.stdout or ():  # one line a figure
            lines.append(line)
            bar.to(len(lines))
    return child.returncode, "".join(lines)
