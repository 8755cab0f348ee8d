"""What the figures of the tasks share: models as families, panels in a grid, axes of a metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter

from looprate.figures.common import band_over_seeds, is_narrow, loop_counts, plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import FAMILY_STYLE, GREY, LineStyle, plain_ticks, points

Name = TypeVar("Name")
MODEL_STYLE: dict[str, tuple[LineStyle, str]] = {
    "looped": (FAMILY_STYLE["lt"], "Looped"),
    "tmlt": (FAMILY_STYLE["tmlt"], "TMLT"),
    "untied": (FAMILY_STYLE["untied"], "untied, depth $r$"),
}
METRICS = {
    "accuracy": "accuracy",
    "squared error": "squared error (lower is better)",
    "perplexity": "perplexity (lower is better)",
}
NUDGE = {"looped": 0.965, "tmlt": 1.035, "untied": 1.0}  # sideways, so that equal ones show
MOST_COLUMNS, MOST_NARROW = 3, 2
LEAST_TICKS, MOST_TICKS = 3, 9  # of a logarithmic y axis
FLOOR = 0.02  # of the axes' height, where a fit without a number is marked
PADDING = 1.25  # of logarithmic axes, beyond the last value


def sound(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of fits that did not diverge and have a value."""
    return [row for row in rows if not row["diverged"] and row["value"] is not None]


def grid_of_panels(
    figure: Figure, names: Sequence[Name], draw: Callable[[Axes, Name], None], columns: int = 0
) -> None:
    """Draw one panel a name, so many side by side: by default up to three."""
    columns = columns or min(MOST_COLUMNS, max(1, len(names)))
    columns = min(columns, MOST_NARROW) if is_narrow() else columns
    grid = figure.subplots(math.ceil(max(1, len(names)) / columns), columns, squeeze=False)
    panels = list(grid.ravel())
    for ax, name in zip(panels, names, strict=False):
        draw(ax, name)
    for ax in panels[max(1, len(names)) :]:
        ax.set_visible(False)


def metric_axis(ax: Axes, rows: Sequence[Row]) -> None:
    """Set the y axis of a metric: shares of 0 to 100 %, errors logarithmic with plain numbers."""
    metric = str((distinct(rows, "metric") or [""])[0])
    ax.set_ylabel(METRICS.get(metric, metric))
    if metric == "accuracy":
        ax.set_ylim(-0.04, 1.04)
        ax.yaxis.set_major_locator(FixedLocator(list(np.linspace(0.0, 1.0, 5))))
        ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        return
    ax.set_yscale("log")
    values = column(rows, "value")
    values = values[np.isfinite(values) & (values > 0)]
    if values.size:
        ax.set_ylim(values.min() / PADDING, values.max() * PADDING)
        _plain_ticks(ax)


def _plain_ticks(ax: Axes) -> None:
    """Label a logarithmic y axis with plain numbers: at 1, 2 and 5, or evenly where it is short."""
    low, high = ax.get_ylim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [k * 10.0**e for e in decades for k in (1, 2, 5) if low <= k * 10.0**e <= high]
    if len(ticks) > MOST_TICKS:
        ticks = [10.0**e for e in decades if low <= 10.0**e <= high]
    if len(ticks) < LEAST_TICKS:
        even = MaxNLocator(nbins=LEAST_TICKS + 1).tick_values(low, high)
        ticks = [float(tick) for tick in even if low <= tick <= high]
    plain_ticks(ax.yaxis, ticks)


def title_of(rows: Sequence[Row]) -> str:
    """Return the task of the rows and its size, for a title."""
    name, detail = (distinct(rows, column_) for column_ in ("name", "detail"))
    size = f"{chr(10) if is_narrow() else ' '}({plain_text(str(detail[0]))})" if detail else ""
    return f"{name[0]}{size}" if name else ""


def draw_models(ax: Axes, fits: Sequence[Row], every: Sequence[Row]) -> None:
    """Draw the fits of every model against loops, on axes with room for ``every`` row of a task."""
    for model in (model for model in MODEL_STYLE if where(fits, model=model)):
        _draw_model(ax, where(fits, model=model), model)
    metric_axis(ax, every)
    counts = loop_counts(every)
    ax.set_xscale("log")
    plain_ticks(ax.xaxis, counts)
    if counts:
        ax.set_xlim(min(counts) / PADDING, max(counts) * PADDING)


def _draw_model(ax: Axes, rows: Sequence[Row], model: str) -> None:
    """Draw the seeds, the medians and the crosses of one model against the loop count."""
    style, words = MODEL_STYLE[model]
    kept = sound(rows)
    ax.plot(
        column(kept, "loops") * NUDGE[model],
        column(kept, "value"),
        color=style.colour,
        marker=style.marker,
        markerfacecolor="none",
        linestyle="none",
        label=f"_seeds of {words}",
        zorder=3,
    )
    band = band_over_seeds(kept, x="loops")
    ax.plot(
        band.x * NUDGE[model],
        band.median,
        color=style.colour,
        linewidth=points(style.width),
        label=words,
        zorder=2,
    )
    lost = [row for row in rows if row["diverged"] or row["value"] is None]
    if lost:  # a cross on the floor of the axes; no line goes there
        ax.plot(
            column(lost, "loops"),
            np.full(len(lost), FLOOR),
            color=style.colour,
            marker="x",
            linestyle="none",
            transform=ax.get_xaxis_transform(),
            label="_diverged",
            zorder=5,
        )


def handles_of(rows: Sequence[Row]) -> list[Line2D]:
    """Return the legend entries of the models, and of what a mark and a line are."""
    looks = [MODEL_STYLE[model] for model in MODEL_STYLE if where(rows, model=model)]
    models = [
        Line2D([], [], color=s.colour, marker=s.marker, linewidth=points(s.width), label=name)
        for s, name in looks
    ]
    seeds = Line2D([], [], color=GREY, marker="o", markerfacecolor="none", linestyle="none")
    seeds.set_label("a seed; lines: medians")
    return [*models, seeds]


def diverged_handle(rows: Sequence[Row]) -> list[Line2D]:
    """Return the legend entry of diverged fits, if there are any."""
    if not where(rows, diverged=True):
        return []
    return [Line2D([], [], color=GREY, marker="x", linestyle="none", label="diverged, not counted")]
