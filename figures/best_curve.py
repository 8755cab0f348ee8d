"""Best found networks in the main figure: the curve, its certificate, and the spread of starts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes

from looprate.figures.common import band_over_seeds, draw_band, plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import FAMILY_STYLE, points

APART = 1.12  # factor between the bars of two families, which would lie on each other


def draw_best(ax: Axes, rows: Sequence[Row]) -> list[Artist]:
    """Draw the best found errors of each family as a heavy line, certified ones as bars.

    Parameters
    ----------
    ax : Axes
        With logarithmic axes.
    rows : sequence of rows
        Of curves "best" (held-out errors), "certified" (both proven ends) and "start" (validation
        error of every start where it stopped), with ``family``, ``label`` and ``loops``.

    Returns
    -------
    list of Artist
        One a family, with its label, for the legend; one for the bars.
    """
    handles: list[Artist] = []
    families = [name for name in FAMILY_STYLE if where(rows, family=name)]
    for place, family in enumerate(families):
        own, style = where(rows, family=family), FAMILY_STYLE[family]
        best = band_over_seeds(where(own, curve="best"), x="loops")
        names = ", ".join(str(name) for name in distinct(where(own, curve="best"), "label"))
        if starts := where(own, curve="start"):
            spread = band_over_seeds(starts, x="loops")
            draw_band(ax, spread, colour=style.colour, alpha=0.08, label=f"_{family} starts")
        (line,) = ax.plot(
            best.x,
            best.median,
            color=style.colour,
            linewidth=points(1.6),
            marker="*",
            markersize=points(6.0),
            markeredgecolor="white",
            markeredgewidth=points(0.3),
            label=plain_text(f"{style.name} {names}, polished (faint band: starts before)"),
            zorder=4.8,
        )
        handles.append(line)
        aside = APART ** (place - 0.5 * (len(families) - 1))
        handles += _bars(ax, where(own, curve="certified"), style.colour, style.name, aside)
    return handles


def _bars(ax: Axes, rows: Sequence[Row], colour: str, name: str, aside: float) -> list[Artist]:
    """Draw both certified ends of every error beside its star, a cap at the upper one."""
    if not rows:
        return []
    loops, low, high = (column(rows, key) for key in ("loops", "lower", "value"))
    loops = loops * aside
    floor = np.maximum(low, np.finfo(float).tiny)  # a logarithmic axis has no 0
    ax.vlines(
        loops, floor, high, color=colour, linewidth=points(0.8), label="_certified", zorder=4.6
    )
    (caps,) = ax.plot(
        loops,
        high,
        color=colour,
        linestyle="none",
        marker="_",
        markersize=points(6.0),
        markeredgewidth=points(1.2),
        label=plain_text(f"{name} best, certified: its error is in the bar"),
        zorder=4.7,
    )
    return [caps]
