"""Moduli of continuity: what is proven from above, and what pairs of inputs prove from below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from looprate.figures.common import (
    blank,
    fit_width,
    setting_title,
)
from looprate.figures.rows import Row, column, where
from looprate.figures.style import KIND_STYLE, LineStyle, plain_log_ticks, points
from looprate.theory.notation import KINDS
from looprate.theory.tables import TABLES

__all__ = ["draw"]

SIZE = (3.6, 4.1)  # inches, at the size of a page
WIDEST_OF_TWO = 45  # characters of a label beside which there is room for another
COLUMNS = TABLES["moduli"]
CHOICES = {"kind": KINDS}
ALT = (
    "Moduli of continuity of the target against the radius: how far its output can move when the "
    "whole input, one token or all other tokens move that far."
)
#: Column -> how it is drawn and what it is called; the colour says which modulus.
SIDES: dict[str, tuple[Literal["solid", "dashdot", "none"], str]] = {
    "exact": ("solid", "closed form"),
    "upper": ("dashdot", "proven upper bound"),
    "lower": ("none", "lower bound (found pair)"),
}


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the closed form, the proven upper bound and the lower bounds of each modulus.

    Parameters
    ----------
    ax : Axes
        Empty; gets logarithmic axes.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.

    Notes
    -----
    A logarithmic axis has no place for 0: a modulus that is 0 everywhere is named in the legend, as
    are zeros at single radii.
    """
    ax.set_xscale("log")
    ax.set_yscale("log")
    handles: list[Artist] = []
    for kind in (name for name in KINDS if where(rows, kind=name)):
        own = where(rows, kind=kind)
        for side in SIDES:
            _draw_side(ax, own, kind, side)
        handles.append(_kind_handle(KIND_STYLE[kind], own))
    labels = [str(line.get_label()) for line in ax.get_lines()]
    shown = [_side_handle(side) for side in SIDES if any(SIDES[side][1] in s for s in labels)]
    wide = any(len(str(handle.get_label())) > WIDEST_OF_TWO for handle in handles)
    fill = [] if wide else [blank() for _ in range(len(shown) - len(handles))]
    handles += fill + shown  # a column of their own, where there is room for two
    fit_width(ax.set_title(setting_title(rows)))
    ax.set_xlabel(r"radius $\delta$ of the input (Frobenius norm)")
    p = column(rows[:1], "p")
    ax.set_ylabel(f"modulus of continuity ({f'{p[0]:g}' if p.size else '$p$'}-norm)")
    plain_log_ticks(ax)
    ncols = 1 if wide else 2
    ax.legend(handles=handles, ncols=ncols, loc="upper center", bbox_to_anchor=(0.45, -0.17))


def _draw_side(ax: Axes, rows: Sequence[Row], kind: str, side: str) -> None:
    """Draw one column of one modulus, if it has a positive value."""
    radius, value = _sorted(rows, side)
    there = np.isfinite(value) & (value > 0)
    if not there.any():
        return
    style, (linestyle, name) = KIND_STYLE[kind], SIDES[side]
    ax.plot(
        radius if side != "lower" else radius[there],
        np.where(there, value, np.nan) if side != "lower" else value[there],
        color=style.colour,
        linestyle=linestyle,
        linewidth=points(style.width),
        marker=style.marker if side == "lower" else "",
        markerfacecolor="none",
        label=f"{kind}: {name}",
        zorder=3 if side == "lower" else 2,
    )


def _sorted(rows: Sequence[Row], side: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radii, ascending, and the values to be drawn there, nan for none."""
    radius, value = column(rows, "delta"), column(rows, side)
    order = np.argsort(radius, kind="stable")
    radius, value = radius[order], value[order]
    if side == "upper":  # where the closed form is exact it says more; a neighbour joins the two
        inexact = np.isnan(column(rows, "exact")[order])
        near = inexact | np.append(inexact[1:], False) | np.insert(inexact[:-1], 0, False)
        value = np.where(near, value, np.nan)
    return radius, value


def _kind_handle(style: LineStyle, rows: Sequence[Row]) -> Artist:
    """Legend entry of a modulus: its colour, and where it is 0."""
    handle = Line2D([], [], color=style.colour, marker=style.marker, markerfacecolor="none")
    handle.set_label(style.name + _zeros(rows))
    return handle


def _zeros(rows: Sequence[Row]) -> str:
    """Say which values are 0, and on which side; "" if none is."""
    for side, all_words in (("exact", "identically 0"), ("lower", "0 found at every radius")):
        value = column(rows, side)
        known = value[np.isfinite(value)]
        if known.size and not known.any():
            return f": {all_words}"
        if (known == 0).any():
            return f" (0 at {int((known == 0).sum())} radii, not drawn)"
    return ""


def _side_handle(side: str) -> Artist:
    """Legend entry of a side, in the colour of no modulus."""
    linestyle, name = SIDES[side]
    marker = "o" if side == "lower" else ""
    return Line2D(
        [], [], color="0.5", linestyle=linestyle, marker=marker, markerfacecolor="none", label=name
    )
