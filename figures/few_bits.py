"""What few bits leave of constructed networks: error over loops, floors by bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from looprate.figures.common import fit_width, is_narrow, panel_axes, setting_title
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import GREY, MEMORISER_STYLE, plain_ticks, points
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.tables import TABLES

SIZE = (3.1, 3.1)  # inches a panel, at the size of a page
MARGIN = 0.2
COLUMNS = TABLES["few-bits"]
CURVES = ("run", "measured", "predicted", "lower")
CHOICES = {"curve": CURVES, "memoriser": tuple(MEMORISER_STYLE)}
SHOWN = "int16"  # the arithmetic of the first panel
MESSAGE = "Few bits end what more loops bring: later with η(t) than without"
ALT = (
    "Error of constructed networks against loops in numbers of few bits, and the least error that "
    "each number of bits allows: fewer bits end the fall earlier."
)
BROKEN = 2.0  # times the exact error
ROOF = 2.0  # where broken runs are drawn
LEAST_BITS, MOST_BITS = 4.0, 58.0
BITS = (8, 16, 24, 32, 40, 48, 56)


def panels(rows: Sequence[Row]) -> list[str]:
    """Return what there is a panel of."""
    return ["loops", "bits"] if rows else []


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw errors over loops in one arithmetic, and beside it the floor of every arithmetic.

    Notes
    -----
    Crosses at the top are networks that the arithmetic broke, at twice the exact error and more.
    Hollow floors were still falling at the most loops that were run.
    """
    left, right = panel_axes(figure, 2, sharey=True)
    named = str(
        (where(rows, arithmetic=SHOWN) and SHOWN) or (distinct(rows, "arithmetic") or [""])[0]
    )
    for name in (name for name in MEMORISER_STYLE if where(rows, memoriser=name)):
        _draw_loops(left, where(rows, curve="run", memoriser=name, arithmetic=named), name)
        _draw_floors(right, where(rows, memoriser=name), name)
    _draw_lower(right, where(rows, curve="lower"))
    left.set_xscale("log")
    left.set_yscale("log")
    left.set_ylim(top=1.4 * ROOF)
    left.set_xlabel("loops $r$")
    left.set_ylabel("error")
    left.set_title(f"in {named}: finer grids, more loops", fontsize="medium")
    right.set_xlim(LEAST_BITS, MOST_BITS)
    plain_ticks(right.xaxis, BITS)
    right.set_xlabel("bits of a number")
    right.set_title("the least error at any loop count", fontsize="medium")
    fit_width(figure.suptitle(f"{MESSAGE}\n{setting_title(rows)}", fontsize="large"))
    handles = [*left.get_legend_handles_labels()[0], *right.get_legend_handles_labels()[0]]
    figure.legend(handles=handles, loc="outside lower center", ncols=1 if is_narrow() else 3)


def _draw_loops(ax: Axes, rows: Sequence[Row], name: str) -> None:
    """Draw the networks that work as a line, and those that are broken at the roof."""
    style = MEMORISER_STYLE[name]
    ordered = sorted(rows, key=lambda row: float(row.get("loops") or 0.0))
    loops, value, exact = (column(ordered, each) for each in ("loops", "value", "exact"))
    bad = ~(value <= BROKEN * exact)
    height = np.where(bad, ROOF, value)
    last = int(np.argmax(bad)) + 1 if bad.any() else len(bad)
    look: dict[str, Any] = {"color": style.colour, "linewidth": points(style.width)}
    ax.plot(loops[:last], height[:last], linestyle="dotted", label="_breaks", **look)
    ax.plot(
        loops[~bad],
        height[~bad],
        marker=style.marker,
        label=f"{MEMORISERS[name].family.upper()}: {name}",
        **look,
    )
    ax.plot(loops[bad], height[bad], marker="x", linestyle="none", label="_broken", **look)


def _draw_floors(ax: Axes, rows: Sequence[Row], name: str) -> None:
    """Draw measured floors as markers, and the predicted ones dashed."""
    style = MEMORISER_STYLE[name]
    for reached, fill in ((True, style.colour), (False, "white")):
        own = where(rows, curve="measured", reached=reached)
        ax.plot(
            column(own, "bits"),
            column(own, "value"),
            color=style.colour,
            marker=style.marker,
            markerfacecolor=fill,
            linestyle="none",
            label=f"_{name} {'floor' if reached else 'still falling'}",
            zorder=4,
        )
    ordered = sorted(where(rows, curve="predicted"), key=lambda row: float(row["bits"] or 0.0))
    known = [row for row in ordered if row["value"] is not None]
    ax.plot(
        column(known, "bits"),
        column(known, "value"),
        color=style.colour,
        linestyle="dashed",
        linewidth=points(0.8),
        label=f"_{name} predicted",
    )


def _draw_lower(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw what is proven of all weight-tied networks of the size."""
    ax.plot([], [], color="0.3", linestyle="dashed", label="predicted floor")
    ax.plot([], [], "o", color="0.3", markerfacecolor="white", label="still falling")
    ax.plot(
        column(rows, "bits"),
        column(rows, "value"),
        color=GREY,
        linewidth=points(1.0),
        label="no LT is below, any r (worst case, L = 1)",
    )
