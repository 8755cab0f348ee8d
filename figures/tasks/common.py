"""What the figures of the tasks share: models as families, panels in a grid, axes of a metric."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import (
    FixedLocator,
    FuncFormatter,
    MaxNLocator,
    NullLocator,
    PercentFormatter,
)

from looprate.figures.common import band_over_seeds, plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import FAMILY_STYLE, GREY, LineStyle, points

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
MOST_COLUMNS = 3
LEAST_TICKS, MOST_TICKS = 3, 9  # of a logarithmic y axis
FLOOR = 0.02  # of the axes' height, where a fit without a number is marked
PADDING = 1.25  # of logarithmic axes, beyond the last value


def sound(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of fits that did not diverge and have a value."""
    return [row for row in rows if not row["diverged"] and row["value"] is not None]


def loop_counts(rows: Sequence[Row], name: str = "loops") -> list[float]:
    """Return the loop counts of a column, ascending."""
    return sorted(float(count or 0.0) for count in distinct(rows, name))


def grid_of_panels(
    figure: Figure, names: Sequence[str], draw: Callable[[Axes, str], None]
) -> list[Axes]:
    """Draw one panel a name, up to three side by side; return the panels."""
    columns = min(MOST_COLUMNS, max(1, len(names)))
    grid = figure.subplots(math.ceil(max(1, len(names)) / columns), columns, squeeze=False)
    panels = list(grid.ravel())
    for ax, name in zip(panels, names, strict=False):
        draw(ax, name)
    for ax in panels[max(1, len(names)) :]:
        ax.set_visible(False)
    return panels[: max(1, len(names))]


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
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def title_of(rows: Sequence[Row]) -> str:
    """Return the task of the rows and its size, for a title."""
    name, detail = (distinct(rows, column_) for column_ in ("name", "detail"))
    size = f" ({plain_text(str(detail[0]))})" if detail else ""
    return f"{name[0]}{size}" if name else ""


def loop_axis(ax: Axes, counts: Sequence[float]) -> None:
    """Set a logarithmic x axis with a plain number at every loop count."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(list(counts)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_locator(NullLocator())
    if counts:
        ax.set_xlim(min(counts) / PADDING, max(counts) * PADDING)


def draw_model(ax: Axes, rows: Sequence[Row], model: str, *, line_order: float) -> None:
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
        zorder=line_order,
    )
    draw_diverged(ax, rows, style.colour)


def draw_diverged(ax: Axes, rows: Sequence[Row], colour: str, *, x: str = "loops") -> None:
    """Mark every fit that diverged with a cross on the floor of the axes; no line goes there."""
    lost = [row for row in rows if row["diverged"] or row["value"] is None]
    if lost:
        ax.plot(
            column(lost, x),
            np.full(len(lost), FLOOR),
            color=colour,
            marker="x",
            linestyle="none",
            transform=ax.get_xaxis_transform(),
            label="_diverged",
            zorder=5,
        )


def model_handle(model: str) -> Line2D:
    """Return the legend entry of a model."""
    style, name = MODEL_STYLE[model]
    return Line2D(
        [], [], color=style.colour, marker=style.marker, linewidth=points(style.width), label=name
    )


def seeds_handle() -> Line2D:
    """Return the legend entry of what a mark and a line are."""
    return Line2D([], [], color=GREY, marker="o", markerfacecolor="none", linestyle="none",
                  label="a seed; lines: medians")  # fmt: skip


def diverged_handle(rows: Sequence[Row]) -> list[Line2D]:
    """Return the legend entry of diverged fits, if there are any."""
    if not where(rows, diverged=True):
        return []
    return [Line2D([], [], color=GREY, marker="x", linestyle="none", label="diverged, not counted")]
