"""Best found error against loops for rough and smooth targets, one page; one loop alone, first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from looprate.figures.common import fit_width, norm_name, plain_text
from looprate.figures.labels import end_of, lay_out, place_labels, room_right
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import plain_log_ticks, points, shade_of
from looprate.theory.tables import TABLES

SIZE = (6.0, 3.6)  # inches, at the size of a page
COLUMNS = TABLES["roughness"]
CHOICES: dict[str, tuple[str, ...]] = {}
ALT = (
    "Best found error against loops, a line a target: what one loop alone leaves, and what more "
    "loops take off it."
)
RISE = "; a rise may be the search's limit"


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw one line a target, dark to light in the order of what one loop alone leaves.

    Parameters
    ----------
    ax : Axes
        Empty; gets logarithmic axes.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.
    """
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ends = []
    names = sorted(distinct(rows, "name"), key=lambda name: _first(where(rows, name=name)))
    for index, name in enumerate(names):
        own = where(rows, name=name)
        loops, value = column(own, "loops"), column(own, "value")
        order = np.argsort(loops, kind="stable")
        (line,) = ax.plot(
            loops[order],
            value[order],
            color=shade_of(index, len(names)),
            marker="*",
            linewidth=points(1.0),
            label=plain_text(str(name)),
        )
        end = end_of(line, plain_text(str(name)))
        ends += [end] if end else []
    if 1.0 in column(rows, "loops"):
        ax.axvline(1.0, color="0.8", linewidth=points(0.6), zorder=1)
        place: Any = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        ax.annotate("one loop alone", (1.0, 0.0), (3.0, 4.0), fontsize="small", **place)
    counts = sorted({int(r) for r in column(rows, "loops") if np.isfinite(r)})
    ax.set_xticks(counts, [str(r) for r in counts])
    ax.set_xlabel("loops $r$")
    ax.set_ylabel(f"best found {norm_name(rows)} error, LT")
    risen = any(_rises(where(rows, name=name)) for name in names)
    fit_width(ax.set_title("A line a target" + (RISE if risen else "")))
    plain_log_ticks(ax)
    lay_out(ax.figure)
    room_right(ax, ends)
    place_labels(ax, sorted(ends, key=lambda end: -end.y))


def _rises(rows: Sequence[Row]) -> bool:
    """Whether the error is larger at some loop count than at the one before."""
    order = np.argsort(column(rows, "loops"), kind="stable")
    return bool(np.any(np.diff(column(rows, "value")[order]) > 0))


def _first(rows: Sequence[Row]) -> float:
    """The error with the fewest loops."""
    loops, value = column(rows, "loops"), column(rows, "value")
    return float(value[int(np.nanargmin(loops))])
