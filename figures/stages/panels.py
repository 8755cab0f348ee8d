"""Four panels of the figure of stages: cells, order, step and staircase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from looprate.figures.common import is_narrow
from looprate.figures.rows import Row, column, where
from looprate.figures.style import CHOSEN, FAMILY_STYLE, GREY, TOKEN_STYLE, points

NETWORK = FAMILY_STYLE["lt"].colour
#: Name in the panel step -> line style, width as a factor, colour and name.
STEP_STYLE = {
    "relu(u+1)": ((0, (5, 2)), 0.9, GREY, "relu$(u+1)$"),
    "relu(u)": ((0, (1, 1.5)), 0.9, GREY, "relu$(u)$"),
    "step(u)": ("solid", 1.4, NETWORK, "their difference"),
}


def draw_cells(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the square of inputs, its grid, the cells where tokens collide and the chosen input."""
    grid = int(column(rows, "grid")[0])
    width = 1.0 / grid
    place = {name: _place(where(rows, name=name)) for name in ("input", "cell")}
    for index in range(grid):
        box = Rectangle((index * width, index * width), width, width)
        box.set(facecolor="none", edgecolor="0.6", hatch="////", linewidth=0.0, label="_collision")
        ax.add_patch(box)
    corner = (place["cell"][0] * width, place["cell"][1] * width)
    ax.add_patch(Rectangle(corner, width, width, facecolor=CHOSEN, label="_chosen", zorder=1.5))
    for edge in np.linspace(0.0, 1.0, grid + 1):
        ax.axvline(edge, color="0.4", linewidth=points(0.4))
        ax.axhline(edge, color="0.4", linewidth=points(0.4))
    ax.plot(*place["input"], color="black", marker="o", linestyle="none", label="input", zorder=4)
    centres = (np.arange(grid) + 0.5) * width
    for token, axis in ((1, ax.xaxis), (2, ax.yaxis)):
        axis.set_ticks(centres, [f"{cell}" for cell in range(grid)])
        axis.set_tick_params(length=0)
        axis.set_label_text(f"cell of token {token}", color=TOKEN_STYLE[token].colour)
    ax.set(xlim=(0.0, 1.0), ylim=(0.0, 1.0), aspect="equal")
    ax.text(
        0.5,
        -0.36,
        f"input in cells {place['cell'][0]:g} and {place['cell'][1]:g};\nhatched: tokens collide",
        transform=ax.transAxes,
        ha="center",
        va="top",
        fontsize="small",
    )


def draw_order(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw each token's key over the loops and the maximum that attention takes."""
    for token, style in TOKEN_STYLE.items():
        loops, keys = _sorted(where(rows, name="key", token=float(token)), "loop")
        ax.plot(
            loops,
            keys,
            color=style.colour,
            marker=style.marker,
            linewidth=points(style.width),
            label=style.name,
            zorder=3,
        )
    ring = 2.0 * float(matplotlib.rcParams["lines.markersize"])
    taken = where(rows, name="maximum")
    ax.plot(
        *_sorted(taken, "loop"),
        color="black",
        linestyle="none",
        marker="o",
        markersize=ring,
        markerfacecolor="none",
        label="maximum: taken,\nthen it leaves",
        zorder=4,
    )
    for row in taken:
        ax.annotate(
            f"{row.get('token'):g}",
            (float(row.get("loop") or 0.0), float(row.get("height") or 0.0)),
            (0.75 * ring, 0.1 * ring),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontweight="bold",
        )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.margins(x=0.12, y=0.22)
    ax.set_xlabel("loop")
    ax.set_ylabel("key of the token")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3))


def draw_step(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the two ReLUs of a step and their difference."""
    for name, (linestyle, width, colour, words) in STEP_STYLE.items():
        u, value = _sorted(where(rows, name=name), "position")
        ax.plot(
            u,
            value,
            color=colour,
            linestyle=linestyle,
            linewidth=points(width),
            marker="o" if name == "step(u)" else "",
            markevery=[int(at) for at in np.flatnonzero(u % 1.0 == 0.0)],
            label=words,
            clip_on=False,
        )
    ax.set_xlabel("$u$, integer in the network")
    ax.margins(x=0.0)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.3))


def draw_staircase(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the table, padding paler, the network's output on top and the chosen labels."""
    table = where(rows, name="table")
    labels, values = _sorted(table, "position")
    ax.plot(labels, values, color="0.75", linewidth=points(0.8), label="_table", zorder=2)
    looks: tuple[tuple[bool, dict[str, Any], str], ...] = (
        (True, {"marker": "o", "color": "black"}, "table: in use"),
        (False, {"marker": "|", "color": "0.6"}, "padding"),
    )
    for used, look, words in looks:
        where_ = _sorted(where(table, used=used), "position")
        ax.plot(*where_, linestyle="none", label=words, zorder=3, **look)
    _draw_network(ax, *_sorted(where(rows, name="network"), "position"))
    handles = [line for line in ax.get_lines() if not str(line.get_label()).startswith("_")]
    for row in where(rows, name="chosen"):
        handles.append(_mark_chosen(ax, row))
    ax.margins(x=0.02, y=0.1)
    ax.set_xlabel("label")
    ax.set_ylabel("value")
    ncols = 2 if is_narrow() else 3
    ax.legend(handles=handles, ncols=ncols, loc="upper center", bbox_to_anchor=(0.5, -0.29))


def _draw_network(ax: Axes, labels: NDArray[np.float64], values: NDArray[np.float64]) -> None:
    """Draw the network's outputs: a staircase if no label is left out, else one mark a label."""
    look: dict[str, Any] = {"drawstyle": "steps-mid", "linewidth": points(0.9)}
    if not np.all(np.diff(labels) == 1.0):
        size = 1.5 * float(matplotlib.rcParams["lines.markersize"])
        look = {"linestyle": "none", "marker": "D", "markerfacecolor": "none", "markersize": size}
    ax.plot(labels, values, color=NETWORK, label="network", zorder=4, **look)


def _mark_chosen(ax: Axes, row: Row) -> Line2D:
    """Mark the label of one token of the chosen input; return what to name in the legend."""
    style = TOKEN_STYLE[int(row.get("token") or 1)]
    label, value = float(row.get("position") or 0.0), float(row.get("height") or 0.0)
    ax.axvline(label, color=style.colour, linewidth=points(0.8), linestyle="dotted", zorder=2.5)
    (mark,) = ax.plot(
        [label],
        [value],
        color=style.colour,
        marker=style.marker,
        markersize=2.3 * float(matplotlib.rcParams["lines.markersize"]),
        markerfacecolor="none",
        markeredgewidth=points(0.9),
        linestyle="none",
        label=f"{style.name}: label {label:g}",
        zorder=5,
    )
    return mark


def _place(rows: Sequence[Row]) -> tuple[float, float]:
    """Position and height of the first row."""
    return float(column(rows, "position")[0]), float(column(rows, "height")[0])


def _sorted(rows: Sequence[Row], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Values of a column, ascending, and the heights there."""
    x, y = column(rows, name), column(rows, "height")
    order = np.argsort(x, kind="stable")
    return x[order], y[order]
