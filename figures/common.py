"""What figures share: the title, the band over seeds, the region where bounds are vacuous."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.mathtext import MathTextParser
from matplotlib.patches import Patch
from matplotlib.text import Text
from numpy.typing import NDArray

from looprate.figures.rows import Cell, Row, column, distinct, where
from looprate.figures.style import FAMILY_STYLE, SHADE, plain_log_ticks
from looprate.theory.tables import SETTING
from looprate.theory.verdict import Verdict

__all__ = ["band_over_seeds", "fit_width", "panel_axes", "plain_text", "setting_title"]

LETTERS, SHORT = 42, 24  # of a line on a narrow page, and of one of two names side by side
NARROW = 5.0  # inches: a page no wider has its panels below each other
PLAIN = 1e5  # from which on a count is written as a power of ten
LARGEST_SHARE = 0.82  # of the width of a figure, for a title above axes left of its middle


@dataclass(frozen=True)
class Band:
    """Median, least and largest value over seeds at each x, all arrays of shape (L,)."""

    x: NDArray[np.float64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    seeds: int
    missing: int


def band_over_seeds(rows: Sequence[Row], *, x: str, y: str = "value") -> Band:
    """Group rows by ``x`` and take median, minimum and maximum of ``y`` over the rest.

    Parameters
    ----------
    rows : sequence of rows
        One per x and seed.
    x, y : str
        Columns.

    Returns
    -------
    Band
        x ascending; rows without a finite ``y`` are left out and counted in ``missing``; an x where
        none is left is left out.
    """
    places, values = column(rows, x), column(rows, y)
    there = np.isfinite(places) & np.isfinite(values)
    grid = np.unique(places[there])
    groups = [values[there & (places == at)] for at in grid]
    return Band(
        x=grid,
        median=np.array([np.median(group) for group in groups]),
        low=np.array([group.min() for group in groups]),
        high=np.array([group.max() for group in groups]),
        seeds=len(distinct(rows, "seed")),
        missing=int((~there).sum()),
    )


def draw_band(ax: Axes, band: Band, *, colour: str, alpha: float, label: str = "_band") -> None:
    """Fill what lies between the least and the largest value over seeds."""
    look: dict[str, Any] = {"color": colour, "alpha": alpha, "linewidth": 0.0, "zorder": 2.5}
    ax.fill_between(band.x, band.low, band.high, label=label, **look)


def loop_counts(rows: Sequence[Row], name: str = "loops") -> list[float]:
    """Return the loop counts of a column, ascending."""
    return sorted(float(count or 0.0) for count in distinct(rows, name))


def setting_title(rows: Sequence[Row]) -> str:
    """Return the formula of the target with N, d and p, for a title.

    Raises
    ------
    ValueError
        If the rows mix several targets or settings.
    """
    only = {name: _only(rows, name) for name in SETTING}
    target, latex = str(only["target"] or ""), _counted(str(only["latex"] or ""), only["tokens"])
    formula = (
        f"${latex}$" if latex and _is_mathtext(f"${latex}$") else plain_text(without_file(target))
    )
    names = {"tokens": "N", "dim": "d", "p": "p"}
    numbers = ", ".join(
        rf"${letter} = {_number(float(only[name] or 0))}$"
        for name, letter in names.items()
        if only[name] is not None
    )
    return (",\n" if is_narrow() else ",   ").join(part for part in (formula, numbers) if part)


def without_file(name: str) -> str:
    """Return the name of a function or module of the reader's own without that of its file."""
    return re.sub(r"[^\s+*(]+\.py:", "", name)


def _counted(latex: str, tokens: Cell) -> str:
    """Write numbers for N and N - 1 where they divide, as the title knows N."""
    if tokens is None:
        return latex
    for below, count in (("N-1", float(tokens) - 1.0), ("N", float(tokens))):
        shown = "" if count == 1.0 else rf"\frac{{1}}{{{count:g}}}"
        latex = latex.replace(rf"\frac{{1}}{{{below}}}", shown)
    return latex


def norm_name(rows: Sequence[Row]) -> str:
    """Return the name of the error norm, with the p that was used where the rows know it."""
    p = _only(rows, "p")
    return "$L^p$" if p is None else rf"$L^{{{_number(float(p))}}}$"


def is_narrow() -> bool:
    """Say whether panels are to be below each other in the style in force."""
    return float(matplotlib.rcParams["figure.figsize"][0]) < NARROW


def count_words(count: float) -> str:
    """Return a count as mathematics for a text: a power of ten where it is large."""
    if count < PLAIN:
        return f"{count:.0f}"
    digits, _, power = f"{count:.1e}".partition("e")
    return rf"{digits.removesuffix('.0')} \times 10^{{{int(power)}}}"


def panel_axes(
    figure: Figure | SubFigure,
    count: int,
    *,
    widths: Sequence[float] = (),
    sharex: bool = False,
    sharey: bool = False,
) -> list[Axes]:
    """Return axes side by side, or below each other where the page is narrow."""
    shared: Any = {"sharex": sharex, "sharey": sharey, "squeeze": False}
    if is_narrow():
        return list(figure.subplots(count, 1, **shared)[:, 0])
    return list(figure.subplots(1, count, width_ratios=list(widths) or None, **shared)[0])


def family_panels(
    figure: Figure, names: Sequence[str], rows: Sequence[Row], draw: Callable[..., None]
) -> list[Axes]:
    """Draw the rows of each family in a panel of its own, on one y axis; one panel if none."""
    families: list[str | None] = [*names] or [None]
    grid = panel_axes(figure, len(families), sharey=True)
    for ax, family in zip(grid, families, strict=True):
        draw(ax, where(rows, family=family))
        ax.set_title(FAMILY_STYLE[family].name if family else "", fontsize="medium")
        if not is_narrow():
            ax.label_outer()
    plain_log_ticks(grid[0])
    return grid


def legend_beside(ax: Axes, handles: Sequence[Artist], **look: Any) -> None:
    """Write a legend right of axes, or below the figure where it is narrow."""
    figure = ax.figure
    if is_narrow():
        longest = max((len(str(handle.get_label())) for handle in handles), default=0)
        ncols = 1 if longest > SHORT else 2
        figure.legend(handles=handles, loc="outside lower center", ncols=ncols, **look)
    else:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.0, 1.0), **look)


def fit_width(text: Text) -> None:
    """Make the letters of a title smaller until it is no wider than its figure."""
    figure = text.get_figure()
    if figure is None:
        return
    if is_narrow():
        lines = text.get_text().split("\n")
        text.set_text(
            "\n".join(one if "$" in one else textwrap.fill(one, LETTERS) for one in lines)
        )
    share = text.get_window_extent().width / (LARGEST_SHARE * figure.bbox.width)
    if share > 1.0:
        text.set_fontsize(float(text.get_fontsize()) / share)


def plain_text(text: str) -> str:
    """Return ``text`` so that no part of it is read as mathematics."""
    return text.replace("$", r"\$")


def informative_from(rows: Sequence[Row]) -> float | None:
    """Return the first loop count at which a bound holds and says something, or None."""
    holding = column(where(rows, status=str(Verdict.HOLDS)), "loops")
    return float(np.nanmin(holding)) if np.isfinite(holding).any() else None


def shade_vacuous(ax: Axes, rows: Sequence[Row], *, left: float, right: float) -> Patch | None:
    """Shade the loop counts at which no bound says anything.

    Parameters
    ----------
    ax : Axes
        With a logarithmic x axis of loop counts.
    rows : sequence of rows
        Rows of bounds, with ``loops`` and ``status``.
    left, right : float
        Limits of the x axis.

    Returns
    -------
    Patch or None
        The shaded span, from ``left`` to the first loop count where a bound holds and is below the
        best constant, to ``right`` if there is none; None if nothing is to be shaded.
    """
    first = informative_from(rows)
    end = right if first is None else min(first, right)
    if not rows or end <= left:
        return None
    return ax.axvspan(left, end, zorder=0, **SHADE)


def blank() -> Artist:
    """Return a legend handle that draws nothing, to fill a column."""
    return Patch(visible=False)


def _only(rows: Sequence[Row], name: str) -> float | str | bool | None:
    """Return the one value of a column, None if it is empty."""
    found = distinct(rows, name)
    if len(found) > 1:
        raise ValueError(
            f"column `{name}` must hold one value a file, got {found[0]} and {found[1]}; "
            "write one file for each"
        )
    return found[0] if found else None


def _number(value: float) -> str:
    """Return a number as mathtext."""
    return r"\infty" if math.isinf(value) else f"{value:g}"


def _is_mathtext(text: str) -> bool:
    """Say whether the formula can be set."""
    try:
        MathTextParser("path").parse(text)
    except ValueError:
        return False
    return True
