"""Where arithmetic breaks: error of a constructed network in floating point and in integers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from numpy.typing import NDArray

from looprate.figures.common import (
    fit_width,
    is_narrow,
    legend_beside,
    panel_axes,
    setting_title,
)
from looprate.figures.rows import Row, column, where
from looprate.figures.style import MEMORISER_STYLE, points
from looprate.theory.tables import TABLES

SIZE = (2.1, 3.1)  # inches a panel, at the size of a page
MARGIN = 1.35  # inches to the right of the panels, for the legend
COLUMNS = TABLES["arithmetic"]
ARITHMETIC = {"float32": "float32", "float64": "float64", "exact": "exact integers"}
CHOICES = {"memoriser": tuple(MEMORISER_STYLE), "arithmetic": tuple(ARITHMETIC)}
ALT = (
    "Error of one constructed network in floating point and in integers, against its number of "
    "labels: where a line leaps up, that arithmetic no longer holds the network."
)
NEUTRAL = "Error of the arithmetic against the number of labels"
BROKEN = 0.01  # error, in units of the target, that nobody would call rounding
MOST_DECADES = 6  # with a tick of their own
DECADES_BELOW, DECADES_ABOVE = 2, 1.5  # room for the level of 0, and for what is not finite


@dataclass(frozen=True)
class _Levels:
    """The y axis all panels share: decades of the positive values, and the level above them."""

    low: int
    high: int
    roof: float
    words: str

    @classmethod
    def of(cls, rows: Sequence[Row]) -> _Levels:
        """Return the levels of all rows."""
        values = column(rows, "value")
        values = values[np.isfinite(values) & (values > 0)]
        low = math.floor(math.log10(values.min(initial=0.1)))
        high = math.ceil(math.log10(values.max(initial=1.0)))
        words = "no number" if where(rows, value=None, refused=True) else "not finite"
        return cls(low, high, 10.0 ** (high + DECADES_ABOVE), words)

    def ticks(self) -> list[float]:
        """Return 0, some decades and the roof."""
        step = math.ceil((self.high - self.low) / MOST_DECADES) or 1
        return [0.0, *(10.0**e for e in range(self.low, self.high + 1, step)), self.roof]

    def tick(self, value: float) -> str:
        """Return the text of a tick: the two special levels in words."""
        if value == 0.0:
            return "exactly 0"
        return self.words if value == self.roof else rf"$10^{{{math.log10(value):.0f}}}$"


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the arithmetics in the rows, one panel each."""
    return [name for name in ARITHMETIC if where(rows, arithmetic=name)]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel an arithmetic, all on one y axis.

    Notes
    -----
    Hollow markers are what the exact module refuses.  A row without a value is drawn at the top:
    it is not finite, or, hollow, it was refused before there was a number.
    """
    names: list[str | None] = [*panels(rows)] or [None]
    grid = panel_axes(figure, len(names), sharex=True, sharey=True)
    for ax, name in zip(grid, names, strict=True):
        _draw_panel(ax, where(rows, arithmetic=name), _Levels.of(rows))
        heading = f"{ARITHMETIC.get(name or '', '')}\n{_breaks(where(rows, arithmetic=name))}"
        ax.set_title(heading, fontsize="medium", linespacing=1.3)
        if not is_narrow():
            ax.label_outer()
    fit_width(figure.suptitle(f"{_message(rows)}\n{setting_title(rows)}", fontsize="large"))
    _legend(grid[-1], rows)


def _draw_panel(ax: Axes, rows: Sequence[Row], levels: _Levels) -> None:
    """Draw the lines of one arithmetic on axes with room for 0 and for what is not finite."""
    low, roof = levels.low, levels.roof
    ax.set_xscale("log")
    ax.set_yscale("symlog", linthresh=10.0**low, linscale=DECADES_BELOW, subs=[])
    for index, name in enumerate(name for name in MEMORISER_STYLE if where(rows, memoriser=name)):
        _draw_line(ax, where(rows, memoriser=name), name, roof=roof, zorder=3 + index)
    ax.yaxis.set_major_locator(FixedLocator(levels.ticks()))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: levels.tick(value)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.set_ylim(-(10.0**low) * 0.25, roof * 4.0)
    ax.axhline(0.0, color="0.8", linewidth=points(0.5), zorder=1)
    ax.axhline(roof, color="0.8", linewidth=points(0.5), linestyle="dotted", zorder=1)
    ax.set_xlabel("number of labels")
    ax.set_ylabel("largest error of the output")


def _draw_line(ax: Axes, rows: Sequence[Row], name: str, *, roof: float, zorder: float) -> None:
    """Draw one memoriser: filled markers, hollow where refused, at the top where not finite."""
    style = MEMORISER_STYLE[name]
    ordered = sorted(rows, key=lambda row: float(row.get("labels") or 0.0))
    labels, value = column(ordered, "labels"), column(ordered, "value")
    refused = _refused(ordered)
    height = np.where(np.isfinite(value), value, roof)
    look: dict[str, Any] = {
        "color": style.colour,
        "marker": style.marker,
        "clip_on": False,
        "zorder": zorder,
    }
    ax.plot(labels, height, linewidth=points(style.width), label=style.name, markevery=[], **look)
    for chosen, fill, words in ((~refused, style.colour, "held"), (refused, "white", "refused")):
        if not chosen.any():
            continue
        ax.plot(
            labels[chosen],
            height[chosen],
            linestyle="none",
            markersize=points(0.9 + 2.0 * style.width),
            markerfacecolor=fill,
            label=f"_{name} {words}",
            **look,
        )


def _refused(rows: Sequence[Row]) -> NDArray[np.bool_]:
    """Whether the exact module refuses each row."""
    return np.array([row.get("refused") is True for row in rows], dtype=bool)


def _breaks(rows: Sequence[Row]) -> str:
    """Say in a line each which memorisers break in one arithmetic, and at how many labels."""
    found = {name: _broken(where(rows, memoriser=name)) for name in MEMORISER_STYLE}
    lines = [f"{name} breaks at {at[0]:g}" for name, at in found.items() if at]
    return "\n".join(lines or ["nothing breaks"])


def _message(rows: Sequence[Row]) -> str:
    """Title: which memoriser breaks first, and whether the exact one ever does."""
    names = [name for name in MEMORISER_STYLE if where(rows, memoriser=name)]
    floating = [row for row in rows if row.get("arithmetic") != "exact"]
    broken = [name for name in names if _broken(where(floating, memoriser=name))]
    if not broken:
        return NEUTRAL
    order = ", then ".join(" and ".join(group) for group in _order(floating, broken))
    kept = " and ".join(name for name in names if name not in broken)
    exact = column(where(rows, arithmetic="exact"), "value")
    tail = "; exact integers do not" if exact.size and not exact.any() else ""
    most = f" up to {np.nanmax(column(rows, 'labels')):.0f} labels"
    return f"Floating point breaks {order}{f', not {kept}' if kept else ''}{tail}{most}"


def _order(rows: Sequence[Row], names: Sequence[str]) -> list[list[str]]:
    """Names grouped by where they break, in an arithmetic in which all of them hold at first.

    One group where there is no such arithmetic: what never held may have broken anywhere.
    """
    for arithmetic in panels(rows):
        first: dict[float, list[str]] = {}
        for name in names:
            own = where(rows, arithmetic=arithmetic, memoriser=name)
            broken = _broken(own)
            if not broken or broken[0] <= np.nanmin(column(own, "labels")):
                break
            first.setdefault(broken[0], []).append(name)
        else:
            return [first[at] for at in sorted(first)]
    return [list(names)]


def _broken(rows: Sequence[Row]) -> list[float]:
    """Numbers of labels, ascending, at which the output is wrong or there is none."""
    value = column(rows, "value")
    bad = (value > BROKEN) | ~np.isfinite(value)
    return sorted(float(at) for at in column(rows, "labels")[bad])


def _legend(ax: Axes, rows: Sequence[Row]) -> None:
    """Right of the axes: each memoriser, and what a hollow marker is."""
    handles: list[Artist] = []
    for name in (name for name in MEMORISER_STYLE if where(rows, memoriser=name)):
        style = MEMORISER_STYLE[name]
        handles.append(Line2D([], [], color=style.colour, marker=style.marker, label=name))
    if _refused(rows).any():
        handles.append(
            Line2D(
                [],
                [],
                color="0.4",
                linestyle="none",
                marker="o",
                markerfacecolor="white",
                label="hollow: refused by\nthe exact module",
            )
        )
    legend_beside(ax, handles, title=f"breaks:\nerror > {BROKEN:g}", labelspacing=0.6)
