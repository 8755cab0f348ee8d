"""The metric of each task against the loop count, for Looped, TMLT and untied models."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from looprate.figures.common import is_narrow
from looprate.figures.rows import Row, distinct, where
from looprate.figures.style import GREY, PHONE, points
from looprate.figures.tasks.common import (
    METRICS,
    MODEL_STYLE,
    diverged_handle,
    draw_models,
    grid_of_panels,
    handles_of,
    title_of,
)
from looprate.theory.tables import TABLES

PANEL = (2.4, 2.1)  # inches, at the size of a page
LEGEND = 0.6
ALT = (
    "How well each task is solved against the loop count, a panel a task: open marks are seeds, "
    "lines their medians, stars what the paper reports for its sizes."
)
COLUMNS = TABLES["task-accuracy"]
CHOICES = {
    "curve": ("fit", "reported"),
    "metric": tuple(METRICS),
    "model": tuple(MODEL_STYLE),
}


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the tasks in the rows, one panel each."""
    return [str(name) for name in distinct(rows, "name")]


def size(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches."""
    count = max(1, len(panels(rows)))
    return PANEL[0] * min(3, count) + 0.2, PANEL[1] * math.ceil(count / 3) + LEGEND


def stacked(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches where two panels are beside each other."""
    return PHONE, PANEL[1] * math.ceil(max(1, len(panels(rows))) / 2) + 2.0 * LEGEND


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the first task in the rows.

    Parameters
    ----------
    ax : Axes
        Empty; gets a logarithmic x axis.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.

    Notes
    -----
    Every seed is an open mark, lines join the medians of the seeds that did not diverge; those that
    did are crosses at the bottom.  Models are set a little apart sideways where they meet.  A
    dashed line with a star at its loop count is a reported number, copied from a summary.
    """
    name = panels(rows)[0] if panels(rows) else ""
    own = where(rows, name=name)
    draw_models(ax, where(own, curve="fit"), own)
    for row in where(own, curve="reported"):
        _draw_reported(ax, row)
    ax.set_xlabel("loops $r$")
    ax.set_title(title_of(own), fontsize="medium")


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a task, with one legend below."""
    grid_of_panels(figure, panels(rows), lambda ax, name: draw(ax, where(rows, name=name)))
    handles = handles_of(rows)
    if where(rows, curve="reported"):
        words = "reported (arXiv 2410.01405v7, secondary summary)"
        handles.append(Line2D([], [], color=GREY, linestyle="dashed", marker="*", label=words))
    handles += diverged_handle(rows)
    ncols = 1 if is_narrow() else 3
    figure.legend(handles=handles, ncols=ncols, loc="outside lower center")


def _draw_reported(ax: Axes, row: Row) -> None:
    """Draw a reported number: a dashed line, and a star at its loop count."""
    style, words = MODEL_STYLE[str(row["model"])]
    value, loops = (float(row[name] or 0.0) for name in ("value", "loops"))
    look: dict[str, Any] = {"color": style.colour, "zorder": 1}
    label = f"_reported: {words}, r = {loops:g}"
    ax.axhline(value, linestyle="dashed", linewidth=points(0.8), label=label, **look)
    ax.plot([loops], [value], marker="*", linestyle="none", label="_star", clip_on=False, **look)
