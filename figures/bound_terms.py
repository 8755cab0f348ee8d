"""What a bound consists of: its terms, stacked, against the loop count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from looprate.figures.common import (
    count_words,
    fit_width,
    informative_from,
    is_narrow,
    legend_beside,
    norm_name,
    panel_axes,
    plain_text,
    setting_title,
    shade_vacuous,
)
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import TERM_STYLE, points
from looprate.theory.tables import TABLES
from looprate.theory.verdict import Verdict

__all__ = ["draw"]

SIZE = (3.3, 3.3)  # inches a panel, at the size of a page
MARGIN = 1.4  # inches to the right of the panels, for the legend
COLUMNS = TABLES["bound-terms"]
CHOICES = {"term": tuple(TERM_STYLE), "status": tuple(str(word) for word in Verdict)}
VEIL = 0.55  # how much of the colours it hides
SUM_RTOL = 1e-6  # sums of six numbers, printed and read
TOP, SOME = 3.0, 1.3  # times the best constant: what lies above says nothing; where it does later
BEFORE = 30.0  # loops that are shown before a bound says something, as a factor
VERSIONS = {"theorem-3.6": "Theorem 3.6, our constants"}
ALT = (
    "The terms of each bound, stacked against loops: it says something where the stack is below "
    "the line of the best constant, and its tallest layer is what keeps it up."
)


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the versions in the rows, one panel each."""
    return [str(version) for version in distinct(rows, "version")]


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the terms of the first version in the rows.

    Parameters
    ----------
    ax : Axes
        Empty; gets a logarithmic x axis and a linear y axis, on which stacked heights add up.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.

    Raises
    ------
    ValueError
        If a total is not the sum of its terms.

    Notes
    -----
    Terms are steps that carry each value to the right.  Loop counts without a finite total stay
    empty; terms that are 0 everywhere are left out.
    """
    version = panels(rows)[0] if panels(rows) else None
    handles = _draw_version(ax, where(rows, version=version))
    fit_width(ax.set_title(setting_title(rows)))
    _legend(ax, handles)


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a version, all on one y axis."""
    versions: list[str | None] = [*panels(rows)] or [None]
    grid = panel_axes(figure, len(versions), sharey=True)
    handles: dict[str, Artist] = {}
    for ax, version in zip(grid, versions, strict=True):
        handles |= _draw_version(ax, where(rows, version=version))
        ax.set_title(f"{_named(version)}\n{_fact(where(rows, version=version))}", fontsize="medium")
        if not is_narrow():
            ax.label_outer()
    fit_width(figure.suptitle(setting_title(rows), fontsize="large"))
    _legend(grid[-1], handles)


def _named(version: str | None) -> str:
    """Return a version in words."""
    other = f"explicit inequality, {version.removeprefix('explicit-')}" if version else ""
    return plain_text(VERSIONS.get(version or "", other))


def _fact(rows: Sequence[Row]) -> str:
    """Say from where on a bound says something."""
    first = informative_from(rows)
    if first is None:
        return "nowhere below the best constant"
    return f"says something from $r = {count_words(first)}$"


def _draw_version(ax: Axes, rows: Sequence[Row]) -> dict[str, Artist]:
    """Stack, best constant and veil of one version; return what to name in the legend."""
    ax.set_xscale("log")
    first = informative_from(rows)
    rows = [row for row in rows if row.get("loops") is not None]
    loops = np.unique(column(rows, "loops"))
    total = _placed(rows, "total", loops, absent=np.nan)
    terms = {
        name: np.where(np.isfinite(total), _placed(where(rows, term=name), "value", loops), np.nan)
        for name in TERM_STYLE
    }
    _check_sum(loops, terms, total)
    handles = _stack(ax, loops, terms)
    trivial = column(rows, "trivial")
    trivial = trivial[np.isfinite(trivial)]
    if trivial.size:
        line = ax.axhline(trivial[0], color="black", linewidth=points(1.0), zorder=5)
        line.set_label("best constant")
        handles["best constant"] = line
        ax.set_ylim(0.0, (TOP if first is None else SOME) * trivial[0] or 1.0)  # one of 0 is f
    left, right = (loops.min(), loops.max()) if loops.size > 1 else (1.0, 10.0)
    left = max(left, (first or 0.0) / BEFORE)
    ax.set_xlim(left, right)
    span = shade_vacuous(ax, rows, left=float(left), right=float(right))
    if span is not None:
        _veil(ax, loops, total, end=first)
        span.set_label("vacuous (paler)")
        handles["span"] = span
    ax.set_xlabel("loops $r$")
    ax.set_ylabel(f"{norm_name(rows)} error: terms, stacked")
    return handles


def _veil(
    ax: Axes, loops: NDArray[np.float64], total: NDArray[np.float64], *, end: float | None
) -> None:
    """Make the stack paler up to ``end``, everywhere if it is None."""
    under = loops <= (np.inf if end is None else end)
    ax.fill_between(
        loops[under],
        0.0,
        total[under],
        step="post",
        color="white",
        alpha=VEIL,
        linewidth=0.0,
        label="_veil",
        zorder=3,
    )


def _placed(
    rows: Sequence[Row], name: str, loops: NDArray[np.float64], *, absent: float = 0.0
) -> NDArray[np.float64]:
    """Values of a column on the grid of loop counts, ``absent`` where there is no row."""
    values = np.full_like(loops, absent)
    values[np.searchsorted(loops, column(rows, "loops"))] = column(rows, name)
    return values


def _check_sum(
    loops: NDArray[np.float64],
    terms: Mapping[str, NDArray[np.float64]],
    total: NDArray[np.float64],
) -> None:
    """Raise where the stack would not have the height of the bound."""
    height = np.sum(list(terms.values()), axis=0)
    for at in np.flatnonzero(np.abs(height - total) > SUM_RTOL * total)[:1]:
        raise ValueError(
            f"column `total` must be the sum of the terms, got {total[at]:g} for terms that sum "
            f"to {height[at]:g} at loops={loops[at]:g}; write the rows of every term"
        )


def _stack(
    ax: Axes, loops: NDArray[np.float64], terms: Mapping[str, NDArray[np.float64]]
) -> dict[str, Artist]:
    """Fill the terms on top of each other."""
    handles: dict[str, Artist] = {}
    below = np.zeros_like(loops)
    for name, values in terms.items():
        above = below + values
        if np.nansum(values) > 0:
            style = TERM_STYLE[name]
            handles[name] = ax.fill_between(
                loops,
                below,
                above,
                step="post",
                facecolor=style.colour,
                edgecolor="0.15",
                hatch=style.hatch,
                linewidth=points(0.25),
                label=style.name,
                zorder=2,
            )
        below = above
    ax.plot(
        loops, below, color="0.15", drawstyle="steps-post", linewidth=points(0.6), label="_total"
    )
    return handles


def _legend(ax: Axes, handles: Mapping[str, Artist]) -> None:
    """Right of the axes, in the order of the stack from its top."""
    names = [name for name in reversed(TERM_STYLE) if name in handles]
    names += [name for name in handles if name not in TERM_STYLE]
    legend_beside(ax, [handles[name] for name in names])
