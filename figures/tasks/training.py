"""Metric on held-out rows against training step, for one task: a panel a model."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from looprate.figures.common import band_over_seeds, fit_width, loop_counts, panel_axes
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import GREY, points, shade_of
from looprate.figures.tasks.common import (
    METRICS,
    MODEL_STYLE,
    metric_axis,
    sound,
    title_of,
)
from looprate.figures.training_curves import legend_of_counts
from looprate.theory.tables import TABLES

SIZE = (2.1, 2.3)  # inches a panel, at the size of a page
ALT = (
    "Metric on held-out rows of one task against training step, a colour a loop count: thick lines "
    "are medians, thin ones seeds, dashed ones diverged."
)
MARGIN = 1.2  # for the legend on the right
COLUMNS = TABLES["task-training"]
CHOICES = {"metric": tuple(METRICS), "model": tuple(MODEL_STYLE)}


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the models in the rows, one panel each."""
    return [model for model in MODEL_STYLE if where(rows, model=model)]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a model, all on one y axis and with the same colours.

    Notes
    -----
    A fit that diverged is dashed, ends in a cross and is in no median.
    """
    models: list[str | None] = [*panels(rows)] or [None]
    grid = panel_axes(figure, len(models), sharey=True)
    counts = loop_counts(rows)
    for ax, model in zip(grid, models, strict=True):
        for place, loops in enumerate(counts):
            own = where(rows, model=model, loops=loops)
            _draw_count(ax, own, shade_of(place, len(counts)), loops)
        ax.set_xlabel("training step")
        ax.set_title(MODEL_STYLE[model][1] if model else "", fontsize="medium")
        ax.margins(x=0.02)
    metric_axis(grid[0], rows)
    fit_width(figure.suptitle(title_of(rows), fontsize="large"))
    lost = Line2D([], [], color=GREY, marker="x", linestyle="dashed", label="diverged")
    more = [lost] if where(rows, diverged=True) else []
    legend_of_counts(grid[-1], counts, "thin: a seed\nthick: median", more)


def _draw_count(ax: Axes, rows: Sequence[Row], colour: str, loops: float) -> None:
    """Draw the seeds and the median of one loop count."""
    for seed in distinct(rows, "seed"):
        own = where(rows, seed=seed)
        lost = bool(where(own, diverged=True))
        ax.plot(
            column(own, "step"),
            column(own, "value"),
            color=colour,
            linewidth=points(0.45),
            linestyle="dashed" if lost else "solid",
            alpha=0.7,
            label=f"_r = {loops:g}, seed {seed:g}",
            zorder=2,
        )
        if lost:
            last = [row for row in own if row["value"] is not None][-1:]
            ax.plot(column(last, "step"), column(last, "value"), color=colour, marker="x",
                    linestyle="none", label="_diverged", zorder=4)  # fmt: skip
    band = band_over_seeds(sound(rows), x="step")
    ax.plot(band.x, band.median, color=colour, linewidth=points(1.4), label=f"{loops:g}", zorder=3)
