"""Lemma 4.1 against Theorem 4.2: what a memoriser loses on the same labels as they get rougher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from looprate.figures.common import fit_width, legend_beside, setting_title
from looprate.figures.rows import Cell, Row, column, distinct, where
from looprate.figures.style import MEMORISER_STYLE, points
from looprate.theory.bounds.loop_counts import CODINGS
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.tables import TABLES

SIZE = (5.9, 3.4)  # inches, at the size of a page
COLUMNS = TABLES["memorisers"]
CHOICES = {"memoriser": tuple(MEMORISER_STYLE), "coding": CODINGS}
MESSAGE = "Only the error of increments grows with roughness; that of timestep encoding is 0"
ALT = (
    "Error of the label table against the target's roughness: that of increments grows with it, "
    "below its proven bound; that of digits depends on their number alone."
)
NEUTRAL = "Error of the memorised table against the roughness of the target"
BOUND_WORDS = "Lemma 4.1's bound:\nthe gap of\nadjacent labels"
ROOM_ABOVE, ROOM_BELOW = 1.22, 0.05  # of the largest value; 0 must be seen
ROOM_RIGHT = 0.06  # of the width, for the numbers of bits
FLAT = 1e-9  # relative, above the rounding of a value printed and read


@dataclass(frozen=True)
class Series:
    """One memoriser on one coding, x ascending; arrays of shape (number of roughnesses,)."""

    memoriser: str
    coding: str
    bits: float | None
    periods: NDArray[np.float64]
    gap: NDArray[np.float64]
    residual: NDArray[np.float64]
    bound: NDArray[np.float64]
    loops: NDArray[np.float64]


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the residual and the proven bound of each memoriser against the roughness.

    Parameters
    ----------
    ax : Axes
        Empty; gets linear axes: 0 is a value here.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.

    Notes
    -----
    Residuals are markers on a solid line, proven bounds dashed in the same colour.  The title says
    that only increments pay if the rows say so, and what is shown otherwise.
    """
    series = _series(rows)
    handles: list[Artist] = []
    seen: list[str] = []
    for index, each in enumerate(series):
        again = each.bits is None and each.memoriser in seen
        handles.append(_draw_series(ax, each, zorder=4.0 - 0.1 * index, again=again))
        seen.append(each.memoriser)
    handles.append(Line2D([], [], color="0.4", linestyle="dashed", label="proven bound"))
    heights = np.array([v for each in series for v in (*each.residual, *each.bound)])
    top = float(np.max(heights[np.isfinite(heights)], initial=0.0)) or 1.0
    ax.set_ylim(-ROOM_BELOW * top, ROOM_ABOVE * top)
    ax.axhline(0.0, color="0.7", linewidth=points(0.5), zorder=1)
    ax.margins(x=0.08)
    left, right = ax.get_xlim()
    ax.set_xlim(left, right + ROOM_RIGHT * (right - left))
    ax.set_xticks(sorted({float(at) for each in series for at in each.periods if np.isfinite(at)}))
    ax.set_xlabel("periods of the target: rougher to the right")
    ax.set_ylabel("largest error of the table")
    message = MESSAGE if _only_increments_pay(series) else NEUTRAL
    fit_width(ax.set_title(f"{message}\n{setting_title(rows)}", loc="left"))
    legend_beside(ax, handles, labelspacing=0.9)


def _series(rows: Sequence[Row]) -> list[Series]:
    """Series in the rows, the largest last residual first, as they are seen from above."""
    found = [
        _one_series(where(rows, memoriser=name, coding=coding, bits=bits), name, coding, bits)
        for name in MEMORISER_STYLE
        for coding in distinct(where(rows, memoriser=name), "coding")
        for bits in distinct(where(rows, memoriser=name, coding=coding), "bits") or [None]
    ]
    return sorted(found, key=lambda each: -float(np.max(each.residual, initial=0.0)))


def _one_series(rows: Sequence[Row], memoriser: str, coding: Cell, bits: Cell) -> Series:
    """Sort the rows of one series by roughness."""
    ordered = sorted(rows, key=lambda row: float(row.get("periods") or 0.0))
    names = ("periods", "gap", "residual", "bound", "loops")
    return Series(
        memoriser,
        str(coding),
        None if bits is None else float(bits),
        *(column(ordered, name) for name in names),
    )


def _draw_series(ax: Axes, series: Series, *, zorder: float, again: bool) -> Artist:
    """Draw one series and its bound, hollow for another coding; return it for the legend."""
    style = MEMORISER_STYLE[series.memoriser]
    if np.nanmax(series.bound, initial=0.0) > 0:
        ax.plot(
            series.periods,
            series.bound,
            color=style.colour,
            linestyle="dashed",
            linewidth=points(0.8),
            label=f"_bound {series.memoriser}",
            zorder=2,
        )
        if not again:
            _name_in_place(ax, series)
    (line,) = ax.plot(
        series.periods,
        series.residual,
        color=style.colour,
        marker=style.marker,
        markerfacecolor="white" if again else style.colour,
        markersize=points(0.9 + 2.0 * style.width),
        linewidth=points(style.width),
        label=_name(series),
        clip_on=False,
        zorder=zorder,
    )
    return line


def _name_in_place(ax: Axes, series: Series) -> None:
    """Write beside the curves which bound it is, or how many bits."""
    colour = MEMORISER_STYLE[series.memoriser].colour
    if series.bits is not None:
        ends, words, offset, anchor = -1, f"$q = {series.bits:g}$", (0.7, 0.0), "left"
    else:
        ends, words, offset, anchor = len(series.bound) // 2, BOUND_WORDS, (-0.4, 0.0), "right"
    size = float(matplotlib.rcParams["font.size"])
    ax.annotate(
        words,
        (series.periods[ends], series.bound[ends]),
        (offset[0] * size, offset[1] * size),
        textcoords="offset points",
        color=colour,
        fontsize="small",
        ha=anchor,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
        va="bottom" if series.bits is None else "center",
    )


def _name(series: Series) -> str:
    """Legend entry: what it is, what it needs, what it costs and what it loses."""
    kind = MEMORISERS[series.memoriser]
    time = r"needs $\eta(t)$" if kind.modulated else r"no $\eta(t)$"
    who = kind.label if series.bits is None else f"{kind.label}, $q = {series.bits:g}$"
    loops = series.loops[np.isfinite(series.loops)]
    cost = f", $r \\leq {loops.max():.0f}$" if loops.size else ""
    return f"{who}: {_outcome(series)}\n{series.coding} code, {time}{cost}"


def _outcome(series: Series) -> str:
    """Say in words what the bounds of a series are."""
    bound = series.bound[np.isfinite(series.bound)]
    if not bound.size:
        return "no bound"
    if not bound.any():
        exact = not np.nanmax(series.residual, initial=0.0)
        return "exactly 0" if exact else "not 0"
    if np.allclose(series.bound, series.gap, rtol=FLAT):
        return "at most the gap"
    return f"at most {bound.max():.3g}"


def _only_increments_pay(series: Sequence[Series]) -> bool:
    """Say whether the rows show what the message says."""
    growing = [each for each in series if each.memoriser == "increments"]
    exact = [each for each in series if each.memoriser == "timestep"]
    kept = all(np.all(each.residual <= each.bound * (1 + FLAT)) for each in series)
    grows = all(each.residual[-1] > each.residual[0] for each in growing if each.residual.size)
    return bool(growing and exact and kept and grows and not any(e.residual.any() for e in exact))
