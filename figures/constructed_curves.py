"""Constructed networks in the main figure: exact weights, certified errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from looprate.figures.common import plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import FAMILY_STYLE, points

MARKS = ("o", "^", "s", "D")  # tell several constructions of one family apart
SMALLEST_BAR = 1.03  # upper over lower end, below which a marker hides the bar between them


def draw_constructed(ax: Axes, rows: Sequence[Row]) -> list[Artist]:
    """Draw each construction as filled markers on a thin broken line, with bars to the lower ends.

    Parameters
    ----------
    ax : Axes
        With logarithmic axes.
    rows : sequence of rows
        With ``family``, ``label``, ``loops``, ``value`` and, where it is known, ``lower``.

    Returns
    -------
    list of Artist
        One a construction, with its label, for the legend.
    """
    handles: list[Artist] = []
    for family in (name for name in FAMILY_STYLE if where(rows, family=name)):
        for index, label in enumerate(distinct(where(rows, family=family), "label")):
            own = where(rows, family=family, label=label)
            if not np.isfinite(column(own, "value")).any():
                continue  # an error that could not be enclosed
            handles.append(_draw_one(ax, own, family, str(label), MARKS[index % len(MARKS)]))
    return handles


def _draw_one(ax: Axes, rows: Sequence[Row], family: str, label: str, mark: str) -> Artist:
    """Draw one construction."""
    style = FAMILY_STYLE[family]
    loops, low, high = (column(rows, name) for name in ("loops", "lower", "value"))
    order = np.argsort(loops, kind="stable")
    loops, low, high = loops[order], low[order], high[order]
    (line,) = ax.plot(
        loops,
        high,
        color=style.colour,
        linestyle="dashdot",
        linewidth=points(0.6),
        marker=mark,
        markersize=points(2.4),
        label=plain_text(f"{style.name} constructed: {label}"),
        zorder=4.5,
    )
    seen = high > SMALLEST_BAR * low  # never where an end is missing
    ax.vlines(
        loops[seen],
        np.maximum(low, np.finfo(float).tiny)[seen],  # a logarithmic axis has no 0
        high[seen],
        color=style.colour,
        linewidth=points(0.6),
        label="_certified",
        zorder=4.4,
    )
    return line
