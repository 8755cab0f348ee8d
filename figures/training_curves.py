"""Validation error against training step, for the recipe that was chosen."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from looprate.figures.common import (
    band_over_seeds,
    fit_width,
    setting_title,
)
from looprate.figures.rows import Row, distinct, where
from looprate.figures.style import FAMILY_STYLE, plain_log_ticks, points, shade_of
from looprate.theory.tables import TABLES

SIZE = (2.5, 2.6)  # inches a panel, at the size of a page
MARGIN = 1.0  # inches to the right of the panels, for the legend
COLUMNS = TABLES["training-curves"]
CHOICES = {"family": tuple(FAMILY_STYLE)}


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the families with a chosen recipe, one panel each."""
    return [name for name in FAMILY_STYLE if where(rows, family=name, chosen=True)]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a family, all on one y axis and with the same colours.

    Notes
    -----
    Lines are medians over seeds of the runs that have a value, with the band from the smallest to
    the largest.
    """
    families: list[str | None] = [*panels(rows)] or [None]
    grid = figure.subplots(1, len(families), sharey=True, squeeze=False)[0]
    for ax, family in zip(grid, families, strict=True):
        _draw_family(ax, where(rows, family=family, chosen=True), _loop_counts(rows))
        ax.set_title(FAMILY_STYLE[family].name if family else "", fontsize="medium")
        ax.label_outer()
    plain_log_ticks(grid[0])
    fit_width(figure.suptitle(setting_title(rows), fontsize="large"))
    _legend(grid[-1], rows)


def _draw_family(ax: Axes, rows: Sequence[Row], counts: Sequence[float]) -> None:
    """Draw median and band of each loop count; colours are set by ``counts``."""
    ax.set_yscale("log")
    for loops in (count for count in counts if where(rows, loops=count)):
        band = band_over_seeds(where(rows, loops=loops), x="step")
        colour = shade_of(counts.index(loops), len(counts))
        ax.plot(band.x, band.median, color=colour, linewidth=points(1.0), label=f"{loops:g}")
        ax.fill_between(
            band.x, band.low, band.high, color=colour, alpha=0.15, linewidth=0.0, label="_band"
        )
    ax.set_xlabel("training step")
    ax.set_ylabel("validation $L^p$ error")
    ax.margins(x=0.0)


def _loop_counts(rows: Sequence[Row]) -> list[float]:
    """Loop counts of the chosen rows, ascending."""
    return sorted(float(count or 0.0) for count in distinct(where(rows, chosen=True), "loops"))


def _legend(ax: Axes, rows: Sequence[Row]) -> None:
    """Right of the axes: every loop count once, in the colour it has in all panels."""
    counts = _loop_counts(rows)
    seeds = len(distinct(where(rows, chosen=True), "seed"))
    handles = [
        Line2D([], [], color=shade_of(index, len(counts)), label=f"$r = {loops:g}$")
        for index, loops in enumerate(counts)
    ]
    title = "1 seed" if seeds == 1 else f"median;\nband: all\n{seeds} seeds"
    ax.legend(handles=handles, title=title, loc="upper left", bbox_to_anchor=(1.0, 1.0))
