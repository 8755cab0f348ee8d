"""Constructed networks in the main figure: exact weights, certified errors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from looprate.figures.common import plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import FAMILY_STYLE, MEMORISER_STYLE, PALE, THEOREM_STYLE, points

SMALLEST_BAR = 1.03  # upper over lower end, below which a marker hides the bar between them


def name_of(label: object) -> str:
    """Return which construction, or which theorem, the label of a row is of; else the label."""
    parts = [part.strip() for part in str(label).replace(":", ",").split(",")]
    if parts[0].startswith(THEOREM_STYLE.name):
        return THEOREM_STYLE.name
    return next((part for part in parts if part in MEMORISER_STYLE), str(label))


def chosen(rows: Sequence[Row]) -> dict[str, str]:
    """Return the construction of each family that needs the fewest loops.

    Compared are the loops to the least error that all constructions of the family reach; of those
    that are told apart by nothing, the first.
    """
    found = {}
    for family in (name for name in FAMILY_STYLE if where(rows, family=name)):
        curves: dict[str, list[tuple[float, float]]] = {}
        for row in where(rows, family=family):
            if row.get("value") is not None and row.get("loops") is not None:
                place = (float(row["loops"] or 0.0), float(row["value"] or 0.0))
                curves.setdefault(name_of(row.get("label")), []).append(place)
        if curves:
            level = max(min(value for _, value in curve) for curve in curves.values())
            loops = {name: _loops_to(level, sorted(curve)) for name, curve in curves.items()}
            found[family] = min(loops, key=lambda name: loops[name])
    return found


def _loops_to(level: float, curve: Sequence[tuple[float, float]]) -> float:
    """Loops at which a curve first comes to a level, between its points on logarithmic axes."""
    at = next(k for k, (_, value) in enumerate(curve) if value <= level)
    loops, value = curve[at]
    if at == 0 or value <= 0.0 or value == level:
        return loops
    before, above = curve[at - 1]
    share = np.log(above / level) / np.log(above / value)
    return float(before * (loops / before) ** share)


def draw_constructed(ax: Axes, rows: Sequence[Row], named: dict[str, str]) -> list[Line2D]:
    """Draw each construction as marks on a thin line, with bars to the lower ends.

    Parameters
    ----------
    ax : Axes
        With logarithmic axes.
    rows : sequence of rows
        With ``family``, ``label``, ``loops``, ``value`` and, where it is known, ``lower``.
    named : dict of str to str
        Construction of each family that has its colour; others are thin and pale.

    Returns
    -------
    list of Line2D
        Of those that are named.
    """
    shown = []
    for family in (name for name in FAMILY_STYLE if where(rows, family=name)):
        for label in distinct(where(rows, family=family), "label"):
            own = where(rows, family=family, label=label)
            if not np.isfinite(column(own, "value")).any():
                continue  # an error that could not be enclosed
            name = name_of(label)
            line = _draw_one(ax, own, family, str(label), pale=named.get(family) != name)
            if named.get(family) == name:
                shown.append(line)
    return shown


def _draw_one(ax: Axes, rows: Sequence[Row], family: str, label: str, *, pale: bool) -> Line2D:
    """Draw one construction."""
    style = MEMORISER_STYLE.get(name_of(label), FAMILY_STYLE[family])
    colour = PALE if pale else style.colour
    loops, low, high = (column(rows, name) for name in ("loops", "lower", "value"))
    order = np.argsort(loops, kind="stable")
    loops, low, high = loops[order], low[order], high[order]
    (line,) = ax.plot(
        loops,
        high,
        color=colour,
        linewidth=points(0.5 if pale else 1.0),
        marker=style.marker,
        markersize=points(1.4 if pale else 2.6),
        label=plain_text(f"{FAMILY_STYLE[family].name} constructed: {label}"),
        zorder=2.2 if pale else 4.5,
    )
    seen = high > SMALLEST_BAR * low  # never where an end is missing
    ax.vlines(
        loops[seen],
        np.maximum(low, np.finfo(float).tiny)[seen],  # a logarithmic axis has no 0
        high[seen],
        color=colour,
        linewidth=points(0.6),
        label="_certified",
        zorder=2.1 if pale else 4.4,
    )
    return line
