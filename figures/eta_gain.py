"""When eta(t) helps: error of LT over error of TMLT against the token and contextual modulus."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from looprate.figures.common import is_narrow, panel_axes, plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import GREY, fine_print, plain_ticks, points
from looprate.theory.tables import TABLES

SIZE = (2.6, 3.7)  # inches a panel, at the size of a page
MARGIN = 0.3
PANELS = {
    "constructed-loops": "constructed, same loops",
    "constructed-grid": "constructed, same grid",
    "trained": "trained, same loops",
}
COLUMNS = TABLES["eta-gain"]
CHOICES = {"panel": tuple(PANELS)}
ALT = (
    "Error of LT over error of TMLT against the token and the contextual modulus of the target: "
    "above 1 the timestep modulation helps."
)
SAYS = "error of LT over error of TMLT\n(above 1: η(t) helps)"
MARKS = ("o", "s", "^", "D", "v", "P")
RATIOS = (0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
MOST_TICKS = 9
LEAST_SPAN = 1.3  # of the ratio axis, above and below 1
SUMS = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0)


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the panels in the rows, constructed first."""
    there = distinct(rows, "panel")
    return [name for name in PANELS if name in there]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel beside the other, on one y axis, with one legend below.

    Notes
    -----
    Colour is the share, the mark the level; targets of one level, alike but for the share, are
    joined.  Bars are what ``detail`` says: certified enclosures or intervals over seeds.
    """
    names = panels(rows)
    grid = panel_axes(figure, max(1, len(names)), sharey=True)
    for ax, name in zip(grid, names, strict=False):
        _draw_panel(ax, where(rows, panel=name), rows)
    grid[0].set_ylabel(SAYS)
    handles = _handles(rows)
    figure.legend(
        handles=handles,
        ncols=2 if is_narrow() else max(1, math.ceil(len(handles) / 2)),
        loc="outside lower center",
    )


def _draw_panel(ax: Axes, rows: Sequence[Row], every: Sequence[Row]) -> None:
    """Draw the targets of one panel; ``every`` row decides colours, marks and limits."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.axhline(1.0, color=GREY, linewidth=points(0.8), zorder=1, label="_equal")
    levels = distinct(every, "roughness")
    for mark, level in zip(MARKS, levels, strict=False):
        own = sorted(where(rows, roughness=level), key=lambda row: float(row["share"] or 0))
        if own:
            _draw_level(ax, own, mark, str(level), _colours(every))
    _limits(ax, every)
    if rows:
        name = PANELS[str(rows[0]["panel"])]
        ax.set_title(f"{name}\n{_lines(rows, 'words')}", fontsize="medium")
        delta = column(rows, "delta")[0]
        ax.set_xlabel(
            r"$x = w_{\mathrm{tok}}(\delta\sqrt{d}) + w_{\mathrm{cont}}(\delta\sqrt{Nd})$"
            f"\nat $\\delta = {delta:.3g}$"
        )
        ax.text(
            0.5,
            0.015,
            _lines(rows, "detail"),
            transform=ax.transAxes,
            ha="center",
            va="bottom",
            fontsize=fine_print(),
            color="0.3",
        )


def _draw_level(
    ax: Axes, rows: Sequence[Row], mark: str, level: str, colours: dict[float, str]
) -> None:
    """Draw one level: a thin line through its targets, and each with its bar."""
    x, y = column(rows, "modulus_sum"), column(rows, "value")
    low, high = column(rows, "lower"), column(rows, "upper")
    order = np.argsort(x, kind="stable")
    ax.plot(
        x[order], y[order], color="0.75", linewidth=points(0.6), zorder=2, label=f"_{level} joined"
    )
    for k, row in enumerate(rows):
        colour = colours[float(row["share"] or 0)]
        ax.vlines(x[k], low[k], high[k], color=colour, linewidth=points(0.9), zorder=3)
        ax.plot(
            x[k],
            y[k],
            color=colour,
            marker=mark,
            markeredgecolor="0.2",
            markeredgewidth=0.4,
            linestyle="none",
            label=plain_text(f"_{level}, s = {row['share']:g}"),
            zorder=4,
        )


def _limits(ax: Axes, rows: Sequence[Row]) -> None:
    """Show every bar, 1, and plain numbers on both axes."""
    ends = np.concatenate([column(rows, name) for name in ("value", "lower", "upper")])
    ends = ends[np.isfinite(ends) & (ends > 0)]
    low = min(1 / LEAST_SPAN, 0.8 * float(ends.min(initial=1.0)))
    high = max(LEAST_SPAN, 1.1 * float(ends.max(initial=1.0)))
    ax.set_ylim(low, high)
    sums = column(rows, "modulus_sum")
    sums = sums[np.isfinite(sums) & (sums > 0)]
    if sums.size:
        ax.set_xlim(sums.min() / 1.25, sums.max() * 1.25)
    _ticks(ax.xaxis, SUMS, ax.get_xlim())
    _ticks(ax.yaxis, RATIOS, (low, high))


def _ticks(axis: matplotlib.axis.Axis, values: Sequence[float], ends: tuple[float, float]) -> None:
    """Label an axis at round numbers within its limits."""
    inside = [value for value in values if ends[0] <= value <= ends[1]]
    step = math.ceil(len(inside) / MOST_TICKS) or 1
    kept = [v for k, v in enumerate(inside) if v == 1.0 or k % step == 0]
    plain_ticks(axis, kept)


def _handles(rows: Sequence[Row]) -> list[Artist]:
    """Legend: a colour a share, a grey mark a level."""
    shares = [
        Line2D([], [], color=colour, marker="o", linestyle="none", label=f"share $s = {share:g}$")
        for share, colour in _colours(rows).items()
    ]
    levels = [
        Line2D([], [], color="0.5", marker=mark, linestyle="none", label=plain_text(str(level)))
        for mark, level in zip(MARKS, distinct(rows, "roughness"), strict=False)
    ]
    return [*shares, *levels]


def _colours(rows: Sequence[Row]) -> dict[float, str]:
    """Colour of each share, dark to light with the share."""
    shares = sorted({float(share) for share in column(rows, "share") if math.isfinite(share)})
    scale = matplotlib.colormaps["viridis"]
    places = np.linspace(0.0, 0.92, max(2, len(shares)))
    return {
        share: matplotlib.colors.to_hex(scale(place))
        for share, place in zip(shares, places, strict=False)
    }


def _lines(rows: Sequence[Row], name: str) -> str:
    """Text of a column's one value, a line for each part."""
    found = distinct(rows, name)
    return plain_text(str(found[0])).replace("|", "\n") if found else ""
