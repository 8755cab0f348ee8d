"""The metric against the loop count at test time: what happens beyond the trained count."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from looprate.figures.common import is_narrow, loop_counts
from looprate.figures.rows import Row, where
from looprate.figures.style import GREY, points
from looprate.figures.tasks.accuracy import panels, size, stacked  # noqa: F401, the same of both figures
from looprate.figures.tasks.common import (
    METRICS,
    MODEL_STYLE,
    PADDING,
    diverged_handle,
    draw_models,
    grid_of_panels,
    handles_of,
    title_of,
)
from looprate.theory.tables import TABLES

COLUMNS = TABLES["task-test-loops"]
CHOICES = {"metric": tuple(METRICS), "model": tuple(MODEL_STYLE)}
BEYOND = "0.93"
ALT = (
    "How well each task is solved against the loops at test time: right of the dotted line a model "
    "runs more loops than it was trained with."
)


def shown_count(rows: Sequence[Row]) -> float:
    """Return the trained count that is drawn: the largest that was also tested with more loops."""
    counts = loop_counts(rows, "trained")
    tested = [c for c in counts if max(loop_counts(where(rows, trained=c)), default=0.0) > c]
    return max(tested or counts, default=0.0)


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the first task in the rows, at one trained loop count.

    Parameters
    ----------
    ax : Axes
        Empty; gets a logarithmic x axis.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.

    Notes
    -----
    Every seed is an open mark, lines join medians; models are set a little apart sideways.  The
    trained count is a vertical line; right of
    it, shaded, the model runs more loops than in training.
    """
    name = panels(rows)[0] if panels(rows) else ""
    own = where(rows, name=name)
    trained = shown_count(own)
    shown = where(own, trained=trained)
    counts = loop_counts(shown)
    if counts and max(counts) > trained:
        ax.axvspan(trained, max(counts) * PADDING, facecolor=BEYOND, label="_beyond", zorder=0)
    ax.axvline(trained or 1.0, color=GREY, linestyle="dotted", linewidth=points(1.0),
               label="_trained", zorder=1)  # fmt: skip
    draw_models(ax, shown, shown)
    ax.set_xlabel("loops at test time")
    ax.set_title(f"{title_of(own)}\ntrained with $r = {trained:g}$", fontsize="medium")


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a task, with one legend below."""
    parts = {name: where(rows, name=name) for name in panels(rows)}
    grid_of_panels(figure, list(parts), lambda ax, name: draw(ax, parts[name]))
    shown = [row for own in parts.values() for row in where(own, trained=shown_count(own))]
    handles: list[Line2D | Patch] = [
        *handles_of(rows),
        Line2D([], [], color=GREY, linestyle="dotted", label="loops in training"),
        Patch(color=BEYOND, label="more loops than trained: a loss here is overthinking"),
        *diverged_handle(shown),
    ]
    ncols = 1 if is_narrow() else 3
    figure.legend(handles=handles, ncols=ncols, loc="outside lower center")
