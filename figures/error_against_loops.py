"""The main figure: trained and constructed errors, proven bounds and rates against loops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from looprate.figures.best_curve import draw_best
from looprate.figures.common import (
    band_over_seeds,
    blank,
    draw_band,
    fit_width,
    plain_text,
    setting_title,
    shade_vacuous,
)
from looprate.figures.constructed_curves import draw_constructed
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import FAMILY_STYLE, GREY, plain_log_ticks, points
from looprate.theory.tables import TABLES
from looprate.theory.verdict import Verdict

__all__ = ["COLUMNS", "OPTIONAL", "draw"]

SIZE = (6.75, 4.5)  # inches, at the size of a page
COLUMNS = dict(TABLES["error-against-loops"])
OPTIONAL = {"lower": COLUMNS.pop("lower")}  # of files with constructed networks
CHOICES = {
    "curve": ("trained", "start", "best", "certified", "constructed", "bound", "rate", "trivial"),
    "family": tuple(FAMILY_STYLE),
    "status": tuple(str(word) for word in Verdict),
}
NOTES = {  # what a reader must not mix up, said of the curves that are there
    "trained": "trained = approximation + optimisation error",
    "best": "best = least error found, an upper estimate",
    "constructed": "constructed = exact weights, certified error",
    "bound": "bounds are existence statements",
}
BEST = ("start", "best", "certified")
NOTES_A_LINE = 2
SERIES = (("solid", "full"), ((0, (5, 2)), "none"), ((0, (1, 1.5)), "left"))  # one recipe each
DASHES = ((0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
BOUND_MARKS = ("", "D", "P", "X", "v")  # tell several bounds of one family apart
SMALLEST_MARGIN = 5e-4  # relative, below which three digits do not show a standard error
ROOM_ABOVE = 2.7  # of the best constant and of constructed errors, as a factor
ROOM_BELOW = 1.5  # of the smallest trained or constructed error
GROWTH_OF_AXES = 1.15  # by the layout, which comes after the words are placed
WORDS_AT = 0.975  # top of the words in the shaded region, in heights of the axes
ROOM_BELOW_WORDS = 0.045  # the same unit: half a mark, and the frame of the words
WORDS_EVERYWHERE = ("vacuous on this whole range: no proven bound is below the best constant",)
WORDS_HERE = (
    "vacuous: no proven bound here is below the best constant",
    "vacuous: no proven bound here\nis below the best constant",
    "vacuous: no proven\nbound here is below\nthe best constant",
)
WORDS_NOT_TESTABLE = ("not testable on this whole range: see the verdicts",)
WORDS_FOR_LEGEND = "vacuous: no proven bound below best constant"


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw trained and constructed errors, bounds where they say something, rates.

    Parameters
    ----------
    ax : Axes
        Empty; gets logarithmic axes.
    rows : sequence of rows
        With the columns :data:`COLUMNS`; a file without constructed networks needs none of
        :data:`OPTIONAL`.

    Notes
    -----
    A trained family is the median over seeds with the band from the smallest to the largest, one
    for every recipe that its label names; runs without a value are left out and counted in the
    legend.  A constructed network is a marker at
    its certified error, with a bar down to the lower end where it is seen.  A bound is drawn where
    its status is "holds" only, as steps that carry each value to the right, which never understates
    it between two stored loop counts.  Rates hold up to a constant: their level means nothing.
    """
    ax.set_xscale("log")
    ax.set_yscale("log")
    measured = _draw_trained(ax, where(rows, curve="trained"))
    measured += draw_best(ax, [row for row in rows if row.get("curve") in BEST])
    measured += draw_constructed(ax, where(rows, curve="constructed"))
    measured += _draw_trivial(ax, where(rows, curve="trivial"))
    bounds = where(rows, curve="bound")
    theory = _draw_bounds(ax, bounds) + _draw_rates(ax, where(rows, curve="rate"))
    left, right = _set_limits(ax, rows)
    span = shade_vacuous(ax, bounds, left=left, right=right)
    if span is not None:
        theory += _name_the_span(ax, span, bounds, left, right)
    fit_width(ax.set_title(setting_title(rows)))
    ax.set_xlabel("loops $r$")
    ax.set_ylabel("$L^p$ error on the cube")
    _legend(ax, measured, theory, note=_note(rows))
    if ax.texts:
        _make_room(ax, ax.texts[0], rows)
    plain_log_ticks(ax)


def _draw_trained(ax: Axes, rows: Sequence[Row]) -> list[Artist]:
    """Median with markers and the band over all seeds, per family and recipe."""
    handles: list[Artist] = []
    for family in (name for name in FAMILY_STYLE if where(rows, family=name)):
        own = where(rows, family=family)
        for index, label in enumerate(dict.fromkeys(row.get("label") for row in own)):
            series = [row for row in own if row.get("label") == label]
            handles.append(_draw_series(ax, series, family, str(label or ""), index))
    return handles


def _draw_series(ax: Axes, rows: Sequence[Row], family: str, label: str, index: int) -> Artist:
    """Draw the networks of one family that were trained alike."""
    style, band = FAMILY_STYLE[family], band_over_seeds(rows, x="loops")
    seeds = "1 seed" if band.seeds == 1 else f"median, band: all {band.seeds} seeds"
    lost = f", {band.missing} diverged" if band.missing else ""
    recipe = f", {plain_text(label)}" if label else ""
    dash, fill = SERIES[index % len(SERIES)]
    (line,) = ax.plot(
        band.x,
        band.median,
        color=style.colour,
        linestyle=dash,
        marker=style.marker,
        fillstyle=fill,
        linewidth=points(style.width),
        label=f"{style.name} trained{recipe} ({seeds}{lost})",
        zorder=4,
    )
    draw_band(ax, band, colour=style.colour, alpha=0.25, label=f"_{family} band")
    return line


def _draw_bounds(ax: Axes, rows: Sequence[Row]) -> list[Artist]:
    """Solid line per bound where it holds; nothing elsewhere."""
    handles: list[Artist] = []
    for family in (name for name in FAMILY_STYLE if where(rows, family=name)):
        style, drawn = FAMILY_STYLE[family], 0
        for label in distinct(where(rows, family=family), "label"):
            loops, value = _holding(where(rows, family=family, label=label))
            if not np.isfinite(value).any():
                continue
            (line,) = ax.plot(
                loops,
                value,
                color=style.colour,
                linestyle="solid",
                drawstyle="steps-post",
                marker=BOUND_MARKS[drawn % len(BOUND_MARKS)],
                markerfacecolor="white",
                markevery=(0.07 * (1 + drawn % 2), 0.14),
                linewidth=points(1.0),
                label=plain_text(f"{style.name} proven: {label}"),
                zorder=3.5,
            )
            handles.append(line)
            drawn += 1
    return handles


def _holding(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loop counts, ascending, and values, nan where the bound does not hold."""
    loops, value = column(rows, "loops"), column(rows, "value")
    holds = np.array([row.get("status") == Verdict.HOLDS for row in rows], dtype=bool)
    order = np.argsort(loops, kind="stable")
    return loops[order], np.where(holds & np.isfinite(value), value, np.nan)[order]


def _draw_rates(ax: Axes, rows: Sequence[Row]) -> list[Artist]:
    """Grey broken line per rate, named as what it is."""
    handles: list[Artist] = []
    for index, label in enumerate(distinct(rows, "label")):
        band = band_over_seeds(where(rows, label=label), x="loops")
        (line,) = ax.plot(
            band.x,
            band.median,
            color=GREY,
            linestyle=DASHES[index % len(DASHES)],
            linewidth=points(0.8),
            label=plain_text(f"{label} (up to a constant)"),
            zorder=2,
        )
        handles.append(line)
    return handles


def _draw_trivial(ax: Axes, rows: Sequence[Row]) -> list[Artist]:
    """Thin horizontal line at the error of the best constant."""
    handles: list[Artist] = []
    for row in rows[:1]:
        value, stderr = column([row], "value")[0], column([row], "stderr")[0]
        margin = f" ± {stderr:.1g}" if stderr > SMALLEST_MARGIN * value else ""
        if np.isfinite(value):
            name = f"best constant ({value:.3g}{margin})"
            handles.append(ax.axhline(value, color=GREY, linewidth=points(0.6), label=name))
    return handles


def _set_limits(ax: Axes, rows: Sequence[Row]) -> tuple[float, float]:
    """Limits that show every error of a network and the best constant; return those of x."""
    loops = column(rows, "loops")
    loops = loops[np.isfinite(loops)]
    left, right = (loops.min() / 1.3, loops.max() * 1.3) if loops.size else (1.0, 10.0)
    ax.set_xlim(left, right)
    trained = _positive(where(rows, curve="trained") + where(rows, curve="best"))
    constructed = _positive(where(rows, curve="constructed"))
    trivial = _positive(where(rows, curve="trivial"))
    seen = np.concatenate([trained, constructed, trivial])
    if not trained.size and not constructed.size:
        seen = np.concatenate([trivial, _positive(where(rows, status=str(Verdict.HOLDS)))])
    if seen.size:
        top = np.max([*trivial, *constructed] or seen)
        ax.set_ylim(seen.min() / ROOM_BELOW, max(ROOM_ABOVE * top, 1.2 * seen.max()))
    return float(left), float(right)


def _positive(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Return the values that a logarithmic axis can show."""
    values = column(rows, "value")
    return values[np.isfinite(values) & (values > 0)]


def _name_the_span(
    ax: Axes, span: Patch, bounds: Sequence[Row], left: float, right: float
) -> list[Artist]:
    """Write into the shaded region what it is, or return it for the legend if it is too narrow."""
    end = float(span.get_extents().transformed(ax.transData.inverted()).x1)
    share = float(np.log(end / left) / np.log(right / left))
    texts = WORDS_EVERYWHERE if np.isclose(share, 1.0) else WORDS_HERE
    if distinct(bounds, "status") == [str(Verdict.NOT_TESTABLE)]:
        texts = WORDS_NOT_TESTABLE
    for text in texts:
        note = ax.text(
            float(np.sqrt(left * end)),
            WORDS_AT,
            text,
            transform=blended_transform_factory(ax.transData, ax.transAxes),
            ha="center",
            va="top",
            fontsize="small",
            color="0.2",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.0},
            zorder=6,
        )
        width = ax.get_window_extent().width * GROWTH_OF_AXES
        if note.get_window_extent().width < share * width:
            return []
        note.remove()
    span.set_label(WORDS_FOR_LEGEND)
    return [span]


def _make_room(ax: Axes, words: Text, rows: Sequence[Row]) -> None:
    """Let the axes reach so high that no error below the words is covered by them."""
    figure: Any = ax.figure
    engine = figure.figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure.figure)  # the legend takes its height from the axes
    box = words.get_window_extent()
    beside = box.expanded(GROWTH_OF_AXES, 1.0).transformed(ax.transData.inverted())
    shown = ("trained", "best", "certified", "constructed")
    errors = [row for row in rows if row.get("curve") in shown]
    under = [row for row in errors if beside.x0 <= float(row["loops"] or 0) <= beside.x1]
    seen = _positive([*under, *where(rows, curve="trivial")])
    low, high = ax.get_ylim()
    free = WORDS_AT - ROOM_BELOW_WORDS - box.height / ax.get_window_extent().height
    if seen.size and free > 0:
        ax.set_ylim(low, max(high, low * float((seen.max() / low) ** (1 / free))))


def _note(rows: Sequence[Row]) -> str:
    """What the curves in the rows are, for the legend; a trained one is always compared."""
    there = {"trained", "bound", *distinct(rows, "curve")}
    parts = [words for name, words in NOTES.items() if name in there]
    lines = [parts[at : at + NOTES_A_LINE] for at in range(0, len(parts), NOTES_A_LINE)]
    return ";\n".join("; ".join(line) for line in lines)


def _legend(ax: Axes, measured: list[Artist], theory: list[Artist], *, note: str) -> None:
    """Below the axes, measured things on the left and theory on the right."""
    fill = [blank() for _ in range(abs(len(measured) - len(theory)))]
    short, long = sorted((measured, theory), key=len)
    short.extend(fill)
    handles = [*measured, *theory]
    if handles:
        legend = ax.legend(
            handles=handles,
            labels=[str(handle.get_label()) for handle in handles],
            ncols=2 if long and theory else 1,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            title=note,
        )
        legend.get_title().set_multialignment("center")
