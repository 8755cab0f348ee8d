"""Figures from a folder of rows, drawn in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from looprate.experiments.engine.child import children, lines_of, python
from looprate.experiments.engine.progress import Progress
from looprate.experiments.engine.task import default_processes

__all__ = ["FORMATS", "STYLES", "draw_folder"]

STYLES = (
    "paper",
    "slides",
    "poster",
)  # those of looprate.figures.style, which is not imported here
FORMATS = ("png", "pdf", "svg")  # those of looprate.figures.drawing
WORTH_IT = 6  # figures; a process needs about as long to start as to draw one


def draw_folder(
    folder: Path, style: str, formats: Sequence[str], others: Sequence[str] = ()
) -> tuple[int, str]:
    """Draw a folder's figures in a process that sees nothing but its rows.

    Parameters
    ----------
    folder : Path
        Study folder.
    style : str
        One of :data:`STYLES`.
    formats : sequence of str
        Of :data:`FORMATS`; empty takes what is usual.
    others : sequence of str
        More arguments of ``python -m looprate.figures``.

    Returns
    -------
    int
        Exit code; what is wrong has been printed.
    str
        What was printed otherwise, a line a figure.
    """
    command = python("looprate.figures", str(folder), "--style", style, *others)
    command += ["--format", *formats] if formats else []
    known = len(list((folder / "figures").glob("*__*.csv")))
    workers = default_processes() if known >= WORTH_IT else 1
    shares = [[*command, "--share", str(k), str(workers)] for k in range(workers)]
    lines = []
    with Progress(known, "figures") as bar, children(shares) as running:
        for line in lines_of(running):  # one line a figure
            lines.append(line)
            bar.to(len(lines))
    return max(child.returncode for child in running), "".join(lines)
