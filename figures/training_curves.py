"""Validation error against training step, for the recipe that was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from looprate.figures.common import (
    band_over_seeds,
    draw_band,
    family_panels,
    fit_width,
    legend_beside,
    loop_counts,
    norm_name,
    setting_title,
)
from looprate.figures.rows import Row, distinct, where
from looprate.figures.style import FAMILY_STYLE, points, shade_of
from looprate.theory.tables import TABLES

SIZE = (2.5, 2.6)  # inches a panel, at the size of a page
MARGIN = 1.0  # inches to the right of the panels, for the legend
COLUMNS = TABLES["training-curves"]
CHOICES = {"family": tuple(FAMILY_STYLE)}
ALT = (
    "Validation error against training step, a line a loop count: the lower the line ends, the "
    "better; a line that still falls had not finished."
)


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
    chosen = where(rows, chosen=True)
    counts, seeds = loop_counts(chosen), len(distinct(chosen, "seed"))
    grid = family_panels(figure, panels(rows), chosen, partial(_draw_family, counts=counts))
    fit_width(figure.suptitle(setting_title(rows), fontsize="large"))
    title = "1 seed" if seeds == 1 else f"median;\nband: all\n{seeds} seeds"
    legend_of_counts(grid[-1], counts, title)


def _draw_family(ax: Axes, rows: Sequence[Row], counts: Sequence[float]) -> None:
    """Draw median and band of each loop count; colours are set by ``counts``."""
    ax.set_yscale("log")
    for loops in (count for count in counts if where(rows, loops=count)):
        band = band_over_seeds(where(rows, loops=loops), x="step")
        colour = shade_of(counts.index(loops), len(counts))
        ax.plot(band.x, band.median, color=colour, linewidth=points(1.0), label=f"{loops:g}")
        draw_band(ax, band, colour=colour, alpha=0.15)
    ax.set_xlabel("training step")
    ax.set_ylabel(f"validation {norm_name(rows)} error")
    ax.margins(x=0.0)


def legend_of_counts(
    ax: Axes, counts: Sequence[float], title: str, more: Sequence[Line2D] = ()
) -> None:
    """Write right of the axes every loop count once, in the colour it has in all panels."""
    handles = [
        Line2D([], [], color=shade_of(index, len(counts)), label=f"$r = {loops:g}$")
        for index, loops in enumerate(counts)
    ]
    legend_beside(ax, [*handles, *more], title=title)
