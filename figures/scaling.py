"""How the cost of a study grows: a point's overhead and memory, a step over loops, N and d."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from looprate.figures.common import is_narrow
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import GREY, PARTS, PHONE, fine_print, points
from looprate.theory.tables import TABLES

SIZE = (6.6, 5.0)  # inches of the four panels, at the size of a page
ROOM = 25.0  # factor above the lines, for the legend
BUDGET = 5.0  # milliseconds a point that scheduling and storage may take
MARKS = ("o", "s", "^", "D")
PANELS = {  # title, x axis, y axis
    "overhead": ("scheduling and storage", "points of the study", "ms a point"),
    "memory": ("memory of the main process", "points of the study", "MiB more than at the start"),
    "loops": ("training step over loops", "loops $r$", "ms a step of 8 networks"),
    "size": ("training step over N and d", "N or d", "ms a step of 8 networks"),
}
COLUMNS = TABLES["scaling"]
CHOICES = {"panel": tuple(PANELS)}
ALT = (
    "Cost of a study against its points, loops, N and d: scheduling stays far below its budget, a "
    "training step grows with the loops."
)


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the panels in the rows, in their fixed order."""
    there = distinct(rows, "panel")
    return [name for name in PANELS if name in there]


def size(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches."""
    return SIZE


def stacked(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches where the panels are below each other."""
    return PHONE, 2.7 * len(panels(rows))


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the first panel of the rows.

    Parameters
    ----------
    ax : Axes
        Empty; gets two logarithmic axes.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.

    Notes
    -----
    A line a label.  In panel overhead a dashed line is the budget, :data:`BUDGET`.
    """
    name = panels(rows)[0]
    title, x, y = PANELS[name]
    own = where(rows, panel=name)
    for place, label in enumerate(distinct(own, "label")):
        line = sorted(where(own, label=label), key=lambda row: float(row["position"] or 0))
        ax.plot(
            column(line, "position"),
            column(line, "value"),
            color=PARTS[place % len(PARTS)],
            marker=MARKS[place % len(MARKS)],
            linewidth=points(1.0),
            label=str(label),
        )
    if name == "overhead":
        ax.axhline(
            BUDGET, color=GREY, linestyle="dashed", linewidth=points(0.8), label=f"{BUDGET:g} ms"
        )
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.set_ylim(top=ROOM * ax.get_ylim()[1])
    ax.set_title(title, fontsize="medium")
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.legend(fontsize=fine_print(), loc="upper left")


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw the panels two beside each other."""
    names = panels(rows)
    across = 1 if is_narrow() else min(2, len(names))
    grid = figure.subplots(-(-len(names) // across), across, squeeze=False)
    for place, ax in enumerate(grid.flat):
        if place < len(names):
            draw(ax, where(rows, panel=names[place]))
        else:
            ax.set_axis_off()
