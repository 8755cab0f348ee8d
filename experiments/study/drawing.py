"""Figures from a folder of rows, drawn in a process of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

from looprate.experiments.engine.child import children, lines_of, python
from looprate.experiments.engine.progress import Progress
from looprate.experiments.engine.task import default_processes

__all__ = ["FORMATS", "STYLES", "draw_folder"]

# Those of looprate.figures.style and looprate.figures.drawing, which are not imported here.
STYLES = ("paper", "slides", "poster", "phone")
FORMATS = ("png", "pdf", "svg")
WORTH_IT = 6  # figures; a process needs about as long to start as to draw one
Drawn: TypeAlias = list[tuple[Path, list[Path]]]


def draw_folder(
    folder: Path,
    style: str,
    formats: Sequence[str],
    *,
    dark: bool = False,
    only: Sequence[str] = (),
    to: Path | None = None,
    handouts: bool = False,
) -> tuple[int, Drawn]:
    """Draw a folder's figures in a process that sees nothing but its rows.

    Parameters
    ----------
    folder : Path
        Study folder.
    style : str
        One of :data:`STYLES`.
    formats : sequence of str
        Of :data:`FORMATS`; empty takes what is usual.
    dark, only, to, handouts
        As for ``looprate.figures.redraw``.

    Returns
    -------
    int
        Exit code; what is wrong has been printed.
    list of (Path, list of Path)
        Each file of rows with the files drawn from it.
    """
    asked = {
        **{"directory": str(folder), "style": style, "formats": list(formats)},
        "dark": dark,
        **{"only": list(only), "to": None if to is None else str(to), "handouts": handouts},
    }
    known = len(list((folder / "figures").glob("*__*.csv")))
    workers = default_processes() if known >= WORTH_IT else 1
    shares = [
        python("looprate.figures", json.dumps({**asked, "share": [k, workers]}))
        for k in range(workers)
    ]
    drawn: Drawn = []
    with Progress(known, "figures") as bar, children(shares) as running:
        for line in lines_of(running):  # one line a figure
            source, paths = json.loads(line)
            drawn.append((Path(source), list(map(Path, paths))))
            bar.to(len(drawn))
    return max(child.returncode for child in running), drawn
