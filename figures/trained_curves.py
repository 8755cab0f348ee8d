"""Trained networks in the main figure: the best found of each family, and what others came to."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from looprate.figures.best_curve import draw_best
from looprate.figures.common import band_over_seeds, draw_band, plain_text
from looprate.figures.rows import Row, distinct, where
from looprate.figures.style import FAMILY_STYLE, points

BEST = ("start", "best", "certified")
SERIES = (("solid", "full"), ((0, (5, 2)), "none"), ((0, (1, 1.5)), "left"))  # one recipe each


def draw_trained(ax: Axes, rows: Sequence[Row]) -> list[tuple[Line2D, str]]:
    """Draw the best found networks of each family, and medians with bands over seeds.

    Parameters
    ----------
    ax : Axes
        With logarithmic axes.
    rows : sequence of rows
        Of the curves trained, start, best and certified.

    Returns
    -------
    list of (Line2D, str)
        One a family with its name; one a recipe where nothing better was found.

    Notes
    -----
    Runs without a value are left out and counted in the label.
    """
    found = [row for row in rows if row.get("curve") in BEST]
    trained = where(rows, curve="trained")
    better = distinct(where(rows, curve="best"), "family")
    named = []
    for family in (name for name in FAMILY_STYLE if where(trained, family=name)):
        own = where(trained, family=family)
        labels = list(dict.fromkeys(row.get("label") for row in own))
        for index, label in enumerate(labels):
            series = [row for row in own if row.get("label") == label]
            behind = family in better
            line = _draw_series(ax, series, family, str(label or ""), index, behind=behind)
            if not behind:
                more = f", {plain_text(str(label))}" if len(labels) > 1 else ""
                named.append((line, FAMILY_STYLE[family].name + more))
    lines = [line for line in draw_best(ax, found) if isinstance(line, Line2D)]
    for family in (name for name in FAMILY_STYLE if name in better):
        name = FAMILY_STYLE[family].name
        line = next(one for one in lines if str(one.get_label()).startswith(f"{name} "))
        named.append((line, name))
    return named


def _draw_series(
    ax: Axes, rows: Sequence[Row], family: str, label: str, index: int, *, behind: bool
) -> Line2D:
    """Draw the networks of one family that were trained alike; thin behind better ones."""
    style, band = FAMILY_STYLE[family], band_over_seeds(rows, x="loops")
    recipe = f", {label}" if label else ""
    dash, fill = SERIES[index % len(SERIES)]
    (line,) = ax.plot(
        band.x,
        band.median,
        color=style.colour,
        linestyle=dash,
        marker="" if behind else style.marker,
        fillstyle=fill,
        linewidth=points(0.4 * style.width if behind else style.width),
        label=plain_text(f"{style.name} trained{recipe} ({_spread(rows)})"),
        zorder=3 if behind else 4,
    )
    if not behind:
        draw_band(ax, band, colour=style.colour, alpha=0.25, label=f"_{family} band")
    return line


def _spread(rows: Sequence[Row]) -> str:
    """What a line and its band are."""
    band = band_over_seeds(rows, x="loops")
    seeds = "1 seed" if band.seeds <= 1 else f"median, band: all {band.seeds} seeds"
    return seeds + (f"; {band.missing} diverged" if band.missing else "")


def trained_notes(rows: Sequence[Row]) -> list[str]:
    """Return how the lines of trained networks are to be read, a line each."""
    trained = where(rows, curve="trained")
    best = where(rows, curve="best")
    notes = [plain_text(f"stars: {label}") for label in distinct(best, "label")[:1]]
    if where(rows, curve="certified"):
        notes.append("bars: certified; faint: starts")
    elif where(rows, curve="start"):
        notes.append("faint: where the starts stopped")
    families = {row.get("family") for row in trained}
    if trained and {row.get("family") for row in best} >= families:
        seeds = len(distinct(trained, "seed"))
        notes.append(f"thin: median of {seeds} seeds" if seeds > 1 else "thin: 1 seed")
    elif trained:
        first = trained[0].get("family")
        notes += _spread(where(trained, family=first)).split("; ")
    return notes
