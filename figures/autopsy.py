"""One page on a looped model: what its loops do to states, outputs and errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from looprate.figures.common import fit_width, is_narrow, plain_text, without_file
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import (
    ALARM,
    GREY,
    KIND_STYLE,
    PARTS,
    PHONE,
    LineStyle,
    plain_log_ticks,
    plain_ticks,
    points,
)
from looprate.theory.tables import TABLES

SIZE = (7.2, 4.9)  # inches, at the size of a page
COLUMNS = TABLES["autopsy"]
PANELS = ("readout", "update", "similarity", "sensitivity", "moduli", "parts")
CHOICES = {"panel": PANELS}
LINES = {  # of the panels that follow the loops
    "error": LineStyle(PARTS[0], "o", 1.3, "error"),
    "change": LineStyle(PARTS[0], "o", 1.3, "output"),
    "choices": LineStyle(PARTS[1], "s", 1.0, "choices"),
    "update": LineStyle(PARTS[0], "o", 1.3, "update"),
    "distance": LineStyle(PARTS[1], "s", 1.0, "distance to the fixed point"),
    "stretch": LineStyle(PARTS[2], "o", 1.3, "stretch"),
}
ALT = (
    "What the loops of one model do: its error loop by loop, how far a state moves, how alike "
    "states are, how errors grow, its moduli, and which part of the block does the work."
)
LEAST = 1e-16  # of a logarithmic axis: numbers below are left out
PLAIN = 8  # loop counts that are labelled one by one, at most


def size(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches."""
    return SIZE


def stacked(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches where the panels are below each other."""
    return PHONE, 3.0 * len(PANELS)


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw six panels, each titled with what it shows.

    Notes
    -----
    Lines are medians over inputs, bands all inputs; the dotted line is the loop count of training.
    """
    grid = figure.subplots(*((6, 1) if is_narrow() else (2, 3))).flat
    draws: tuple[Callable[[Axes, Sequence[Row]], None], ...] = (
        _readout,
        _update,
        _similarity,
        _sensitivity,
        _moduli,
        _parts,
    )
    for ax, panel, draw in zip(grid, PANELS, draws, strict=True):
        own = where(rows, panel=panel)
        if own:
            draw(ax, own)
            ax.set_title(plain_text(str(own[0]["words"])))
        else:
            ax.set_axis_off()
            ax.set_title(f"{panel}: nothing to show")
    first = rows[0]
    title = f"{without_file(str(first['model']))}: {first['detail']}"
    fit_width(figure.suptitle(plain_text(title), fontsize="large"))


def _loops(ax: Axes, rows: Sequence[Row]) -> None:
    """Set the x axis of loops and mark the trained count."""
    ax.set_xlabel("loops")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    _mark(ax, rows)


def _mark(ax: Axes, rows: Sequence[Row]) -> None:
    """Mark the loop count of training."""
    at = column(rows, "trained")[0]
    ax.axvline(at, color=GREY, linestyle="dotted", linewidth=points(0.9), zorder=1)


def _line(ax: Axes, rows: Sequence[Row], name: str, *, log: bool = False) -> None:
    """Draw one line with its band."""
    own, style = where(rows, name=name), LINES[name]
    x, y = column(own, "loop"), column(own, "value")
    lower, upper = column(own, "lower"), column(own, "upper")
    if log:
        y, lower, upper = (np.where(part > LEAST, part, np.nan) for part in (y, lower, upper))
    ax.plot(
        x,
        y,
        color=style.colour,
        marker=style.marker if len(x) <= 20 else None,
        linewidth=points(style.width),
        label=style.name,
        zorder=3,
    )
    if np.isfinite(lower).any():
        ax.fill_between(x, lower, upper, color=style.colour, alpha=0.2, linewidth=0.0, zorder=2)


def _named(ax: Axes, rows: Sequence[Row], *, log: bool) -> None:
    """Draw every line that there is, with a legend for more than one."""
    names = [name for name in LINES if where(rows, name=name)]
    for name in names:
        _line(ax, rows, name, log=log)
    if log:
        ax.set_yscale("log")
    if len(names) > 1:
        ax.legend(loc="best")


def _readout(ax: Axes, rows: Sequence[Row]) -> None:
    """The error after every loop, or how far the output is from that at the trained count."""
    errors = where(rows, name="error")
    shown = errors or [row for row in rows if row["name"] != "error"]
    small = bool(errors) and _wide(column(errors, "value"))
    _named(ax, shown, log=small)
    if small:
        plain_log_ticks(ax)
    else:
        ax.set_ylim(bottom=0)
    ax.set_ylabel("error" if errors else "share changed from dotted")
    _loops(ax, rows)


def _wide(values: Any) -> bool:
    """Tell whether numbers need a logarithmic axis."""
    kept = values[values > 0]
    return len(kept) == len(values) and kept.max() > 20 * kept.min()


def _update(ax: Axes, rows: Sequence[Row]) -> None:
    """Size of the update, and distance to the fixed point."""
    log = bool((column(rows, "value") > LEAST).any())
    _named(ax, rows, log=log)
    if log:
        plain_log_ticks(ax)
    ax.set_ylabel("share of the state's length")
    _loops(ax, rows)


def _similarity(ax: Axes, rows: Sequence[Row]) -> None:
    """Cosines between the states after any two loops."""
    size = int(column(rows, "loop").max()) + 1
    cosines = column(rows, "cosine").reshape(size, size)
    least = min(0.0, float(np.floor(10 * cosines.min()) / 10))
    image = ax.imshow(cosines, cmap="viridis", vmin=least, vmax=1.0, origin="lower")
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85)
    bar.set_label("cosine")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    ax.set_xlabel("state after loop")
    ax.set_ylabel("state after loop")
    trained = column(rows, "trained")[0]
    ax.plot(trained, trained, marker="o", markerfacecolor="none", markeredgecolor="white")


def _sensitivity(ax: Axes, rows: Sequence[Row]) -> None:
    """How much each loop stretches, at least."""
    _line(ax, rows, "stretch")
    ax.axhline(1.0, color=GREY, linestyle="dashed", linewidth=points(0.8), zorder=1)
    if _wide(column(rows, "value")):
        ax.set_yscale("log")
        plain_log_ticks(ax)
    else:
        ax.set_ylim(bottom=0)
    ax.set_ylabel("singular value, at least")
    _loops(ax, rows)


def _moduli(ax: Axes, rows: Sequence[Row]) -> None:
    """Lower bounds of the moduli of the whole map against its loop count."""
    for kind in distinct(rows, "name"):
        own, style = where(rows, name=kind), KIND_STYLE[str(kind)]
        y = column(own, "value")
        ax.plot(
            column(own, "loop"),
            np.where(y > LEAST, y, np.nan),
            color=style.colour,
            marker=style.marker,
            linewidth=points(style.width),
            label=str(kind),
        )
    ax.set_xscale("log")
    if bool((column(rows, "value") > LEAST).any()):
        ax.set_yscale("log")
        plain_log_ticks(ax)
    counts = sorted({float(r) for r in column(rows, "loop")})
    plain_ticks(ax.xaxis, counts if len(counts) <= PLAIN else counts[:: len(counts) // PLAIN + 1])
    ax.set_xlabel("loops $r$ of the map")
    ax.set_ylabel(rf"modulus, at least ($\delta = {column(rows, 'delta')[0]:.2g}$)")
    ax.legend(loc="best")
    _mark(ax, rows)


def _parts(ax: Axes, rows: Sequence[Row]) -> None:
    """The error, or the change of the output, with one part off at a time."""
    names = [str(row["name"]) for row in rows]
    colours = [GREY if name == "whole" else ALARM for name in names]
    ax.barh(range(len(rows)), column(rows, "value"), color=colours, height=0.6)
    ax.set_yticks(range(len(rows)), [n if n == "whole" else f"no {n}" for n in names])
    ax.invert_yaxis()
    if _wide(column(rows, "value")):
        ax.set_xscale("log")
    erring = "whole" in names
    ax.set_xlabel("error" if erring else "share of the output that changes")
