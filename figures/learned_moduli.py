"""Moduli of trained networks over their target's, against the loop count."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from looprate.figures.common import (
    band_over_seeds,
    draw_band,
    fit_width,
    is_narrow,
    legend_beside,
    loop_counts,
    panel_axes,
    setting_title,
)
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import (
    FAMILY_STYLE,
    GREY,
    KIND_STYLE,
    plain_log_ticks,
    plain_ticks,
    points,
)
from looprate.theory.tables import TABLES

SIZE = (2.1, 2.5)  # inches a panel, at the size of a page
MARGIN = 1.35  # inches to the right of the panels, for the legend
COLUMNS = TABLES["learned-moduli"]
CHOICES = {"kind": tuple(KIND_STYLE), "family": tuple(FAMILY_STYLE)}
ALT = (
    "Moduli of trained networks over their target's, against loops: at 1 a network is as sensitive "
    "as the target, above it more."
)
WITHIN = 0.1  # the strip around 1 that counts as reproduced
LEAST_SPAN = 1.5  # the y axis reaches at least this factor up and down from 1


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the moduli that the target has, one panel each."""
    return [
        kind for kind in KIND_STYLE if np.isfinite(column(where(rows, kind=kind), "value")).any()
    ]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a modulus, all on one y axis.

    Notes
    -----
    Lines are medians over seeds of lower bounds over the target's modulus, bands reach from the
    least to the largest; caps above are the largest certified upper bound.  1 is marked, the strip
    around it is 10 % wide either way.
    """
    kinds: list[str | None] = [*panels(rows)] or [None]
    grid = panel_axes(figure, len(kinds), sharey=True)
    for ax, kind in zip(grid, kinds, strict=True):
        _draw_kind(ax, where(rows, kind=kind))
        ax.set_title(KIND_STYLE[kind].name if kind else "the target has no modulus > 0")
        if not is_narrow():
            ax.label_outer()
    _finish(grid, rows)
    fit_width(figure.suptitle(setting_title(rows), fontsize="large"))


def _draw_kind(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the families of one modulus, and 1."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    ax.axhspan(1 - WITHIN, 1 + WITHIN, color="0.9", linewidth=0.0, zorder=0, label="within 10 %")
    ax.axhline(1.0, color=GREY, linestyle="dashed", linewidth=points(0.8), zorder=1, label="target")
    for family in (name for name in FAMILY_STYLE if where(rows, family=name)):
        _draw_family(ax, where(rows, family=family), family)
    plain_ticks(ax.xaxis, loop_counts(rows))
    ax.set_xlabel("loops $r$")
    ax.set_ylabel("network's modulus / target's")


def _draw_family(ax: Axes, rows: Sequence[Row], family: str) -> None:
    """Draw median and band of the lower bounds, and caps at the certified upper bounds."""
    style, band = FAMILY_STYLE[family], band_over_seeds(rows, x="loops")
    ax.plot(
        band.x,
        band.median,
        color=style.colour,
        marker=style.marker,
        linewidth=points(style.width),
        label=style.name,
        zorder=3,
    )
    draw_band(ax, band, colour=style.colour, alpha=0.2)
    caps = band_over_seeds(rows, x="loops", y="upper")
    if caps.x.size:
        ax.plot(
            caps.x,
            caps.high,
            color=style.colour,
            linestyle="none",
            marker="_",
            markeredgewidth=points(1.0),
            label=f"{style.name}: certified upper bound",
            zorder=3,
        )


def _finish(grid: Sequence[Axes], rows: Sequence[Row]) -> None:
    """Set the shared y axis and the legend right of the last panel."""
    values = np.concatenate([column(rows, name) for name in ("value", "upper")])
    known = values[np.isfinite(values) & (values > 0)]
    reach = [1 / LEAST_SPAN, LEAST_SPAN, *known]
    grid[0].set_ylim(0.9 * min(reach), 1.1 * max(reach))
    plain_log_ticks(grid[0])
    delta, seeds = column(rows, "delta")[0], len(distinct(rows, "seed"))
    title = rf"radius $\delta = {delta:g}$" + f"\nline: median of\n{seeds} seeds, at least"
    legend_beside(grid[-1], _handles(grid[0], rows), title=title)


def _handles(ax: Axes, rows: Sequence[Row]) -> list[Artist]:
    """Legend entries: families, certified caps, 1 and its strip."""
    families = [FAMILY_STYLE[name] for name in FAMILY_STYLE if where(rows, family=name)]
    handles: list[Artist] = [
        Line2D([], [], color=s.colour, marker=s.marker, linewidth=points(s.width), label=s.name)
        for s in families
    ]
    if np.isfinite(column(rows, "upper")).any():
        handles.append(
            Line2D([], [], color="0.5", linestyle="none", marker="_", label="certified at most")
        )
    handles.append(
        Line2D([], [], color=GREY, linestyle="dashed", linewidth=points(0.8), label="the target's")
    )
    return [*handles, Patch(color="0.9", label="within 10 %")]
