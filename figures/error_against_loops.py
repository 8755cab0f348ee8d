"""The main figure: what was trained, what is constructed and what is proven, against loops."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from looprate.figures.common import (
    count_words,
    fit_width,
    informative_from,
    is_narrow,
    norm_name,
    panel_axes,
    setting_title,
)
from looprate.figures.constructed_curves import chosen, draw_constructed, name_of
from looprate.figures.labels import End, end_of, lay_out, place_labels, room_right
from looprate.figures.proven_curves import draw_proven, draw_slopes, draw_vacuous
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import (
    FAMILY_STYLE,
    GREY,
    PHONE,
    THEOREM_STYLE,
    plain_log_ticks,
    plain_ticks,
    points,
)
from looprate.figures.trained_curves import draw_trained, trained_notes
from looprate.theory.tables import TABLES
from looprate.theory.verdict import Verdict

__all__ = ["COLUMNS", "OPTIONAL", "draw"]

WIDTHS = {"trained": 2.0, "constructed": 2.3, "proven": 2.9}  # inches, at the size of a page
HEIGHT, MARGIN = 3.6, 0.35
SIZE = (6.75, 4.0)  # inches, where all panels are drawn into one
STACKED = 3.1  # inches: height of one of several panels below each other
COLUMNS = dict(TABLES["error-against-loops"])
OPTIONAL = {"lower": COLUMNS.pop("lower")}  # of files with constructed networks
CURVES = ("trained", "start", "best", "certified", "constructed", "bound", "slope", "trivial")
CHOICES = {
    "curve": (*CURVES, "rate"),  # the last of files of before: the figure `rates` has its own
    "family": tuple(FAMILY_STYLE),
    "status": tuple(str(word) for word in Verdict),
}
#: Panel -> the curves that are in it.
PANELS = {
    "trained": ("trained", "start", "best", "certified"),
    "constructed": ("constructed",),
    "proven": ("bound",),
}
NETWORKS = ("trained", "best", "certified", "constructed")  # whose errors are in view
LEAST = ("trained", "best", "constructed")  # whose least error is told
NOTES = {  # what a reader must not mix up
    "constructed": ("the proof, reconstructed, as weights;", "marks: certified errors"),
    "proven": ("some weights reach this; hatched: vacuous", "Theorem 3.6: with our constants"),
}
OTHERS = "grey: other constructions"
SMALLEST_MARGIN = 5e-4  # relative, below which three digits do not show a standard error
ROOM_ABOVE = 2.0  # of the best constant and of constructed errors, as a factor
ROOM_BELOW = 1.6  # of the smallest trained or constructed error
WIDEST = 12  # letters of a line of a name
FEW_DECADES, MOST_TICKS = 2.2, 9  # of loop counts with a tick at each


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the panels that there are rows for, from left to right."""
    there = distinct(rows, "curve")
    return [name for name, curves in PANELS.items() if any(each in there for each in curves)]


def size(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches."""
    return MARGIN + sum(WIDTHS[name] for name in panels(rows) or ["proven"]), HEIGHT


def stacked(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches where the panels are below each other."""
    return PHONE, 0.4 + STACKED * (len(panels(rows)) or 1)


def alt(rows: Sequence[Row]) -> str:
    """Return what the figure shows, in one sentence with its numbers."""
    facts = [f"{name.capitalize()}: {_fact(name, rows)}" for name in panels(rows)]
    value = column(where(rows, curve="trivial"), "value")
    beside = f"; the best constant errs by {value[0]:.3g}" if value.size else ""
    return f"Error against loops. {'. '.join(facts)}{beside}.".replace("$", "")


def draw_all(figure: Figure | SubFigure, rows: Sequence[Row], *, title: bool = True) -> None:
    """Draw a panel each of what is trained, constructed and proven, on one y axis.

    Parameters
    ----------
    figure : Figure or SubFigure
        Empty.
    rows : sequence of rows
        With the columns :data:`COLUMNS`; a file without constructed networks needs none of
        :data:`OPTIONAL`.
    title : bool
        Whether the formula of the target stands above.

    Notes
    -----
    Of the constructions of a family the one with the fewest loops has its colour and its name.  A
    bound is drawn where its status is "holds" only, as steps that carry each value to the right,
    which never understates it between two stored loop counts.
    """
    names = panels(rows) or ["proven"]
    grid = panel_axes(figure, len(names), widths=[WIDTHS[name] for name in names], sharey=True)
    lines = [_draw_panel(ax, rows, name) for ax, name in zip(grid, names, strict=True)]
    heads = [[_fact(name, rows), *_notes(name, rows)] for name in names]
    for ax, name, head in zip(grid, names, heads, strict=True):
        _head(ax, name, head, room=0 if is_narrow() else max(map(len, heads)))
        if not is_narrow():
            ax.label_outer()
    if title:
        fit_width(figure.suptitle(setting_title(rows), fontsize="large"))
    lay_out(figure)
    for ax, own in zip(grid, lines, strict=True):
        _write(ax, own, rows, names[grid.index(ax) : grid.index(ax) + 1], first=names[0])


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw all of it into one pair of axes.

    Parameters
    ----------
    ax : Axes
        Empty; gets logarithmic axes.
    rows : sequence of rows
        As for :func:`draw_all`.
    """
    names = panels(rows) or ["proven"]
    lines = [
        (line, f"{text}, {name}" if len(names) > 1 else text)
        for name in names
        for line, text in _draw_panel(ax, rows, name)
    ]
    _limit(ax, rows, names)
    fit_width(ax.set_title(setting_title(rows)))
    lay_out(ax.figure)
    _write(ax, lines, rows, names, first=names[0])


def _draw_panel(ax: Axes, rows: Sequence[Row], name: str) -> list[tuple[Line2D, str]]:
    """Draw the lines of one panel and its axes; return what is to be named, with its names."""
    ax.set_xscale("log")
    ax.set_yscale("log")
    own = [row for row in rows if row.get("curve") in PANELS[name]]
    named = chosen(where(rows, curve="constructed") or _holding(rows))
    draw_trivial(ax, where(rows, curve="trivial"))
    if name == "trained":
        found = draw_trained(ax, own)
    else:
        draw_networks = draw_constructed if name == "constructed" else draw_proven
        found = [(line, _name(line)) for line in draw_networks(ax, own, named)]
    _limit(ax, rows, [name])
    ax.set_xlabel("loops $r$")
    ax.set_ylabel(f"{norm_name(rows)} error on the cube")
    return found


def draw_trivial(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw a thin horizontal line at the error of the best constant."""
    if any("best constant" in str(line.get_label()) for line in ax.get_lines()):
        return  # in axes that hold several panels
    for row in rows[:1]:
        value, stderr = column([row], "value")[0], column([row], "stderr")[0]
        margin = f" ± {stderr:.1g}" if stderr > SMALLEST_MARGIN * value else ""
        if np.isfinite(value):
            words = f"best constant {value:.3g}{margin}"
            ax.axhline(value, color=GREY, linewidth=points(0.6), label=words, zorder=1.5)


def _holding(rows: Sequence[Row]) -> list[Row]:
    """Rows of bounds of constructions where they say something."""
    held = where(rows, curve="bound", status=str(Verdict.HOLDS))
    return [row for row in held if name_of(row.get("label")) != THEOREM_STYLE.name]


def _name(line: Line2D) -> str:
    """How a line of a construction or bound is named at its end."""
    family, _, label = str(line.get_label()).partition(": ")
    name = name_of(label)
    if name == THEOREM_STYLE.name:
        return name
    return f"{family.split()[0]}, {textwrap.fill(name, WIDEST)}"


# -- words -----------------------------------------------------------------------------------------
def _head(ax: Axes, name: str, lines: Sequence[str], *, room: int) -> None:
    """Write above a panel what it is of, what it shows, and how to read it."""
    letters = 0.85 * float(matplotlib.rcParams["font.size"])
    room = max(room, len(lines))
    lines = [*lines, *[""] * (room - len(lines))]
    ax.set_title(name, loc="left", fontweight="bold", pad=(1.3 * room + 0.9) * letters)
    ax.annotate(
        "\n".join(lines),
        (0.0, 1.0),
        (0.0, 0.5 * letters),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=letters,
        color="0.25",
        va="bottom",
    )


def _fact(name: str, rows: Sequence[Row]) -> str:
    """What one panel shows, as a number."""
    if name == "proven":
        bounds = where(rows, curve="bound")
        first = informative_from(bounds)
        if first is not None:
            return f"below the best constant from $r = {count_words(first)}$"
        testable = distinct(bounds, "status") != [str(Verdict.NOT_TESTABLE)]
        return "nowhere below the best constant" if testable else "not testable"
    found = [row for curve in PANELS[name] if curve in LEAST for row in where(rows, curve=curve)]
    value = column(found, "value")
    if not np.isfinite(value).any():
        return "no error"
    at = int(np.nanargmin(value))
    return f"least error {value[at]:.2g}, at $r = {count_words(column(found, 'loops')[at])}$"


def _notes(name: str, rows: Sequence[Row]) -> list[str]:
    """How to read one panel."""
    own = [row for row in rows if row.get("curve") in PANELS[name]]
    if name == "trained":
        return trained_notes(own)
    theorem = any(name_of(row.get("label")) == THEOREM_STYLE.name for row in own)
    if name == "proven" and informative_from(own) is None:
        return []
    notes = list(NOTES[name][: 1 + (name == "constructed" or theorem)])
    several = len({name_of(row.get("label")) for row in own} - {THEOREM_STYLE.name})
    families = len(distinct(own, "family"))
    return [*notes, OTHERS] if several > families else notes


# -- limits and names ------------------------------------------------------------------------------
def _limit(ax: Axes, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Show every error of a network and the best constant, and the loops of these panels."""
    curves = [curve for name in names for curve in PANELS[name]]
    own = [row for row in rows if row.get("curve") in curves]
    loops = column(own, "loops")
    loops = loops[np.isfinite(loops)]
    left, right = (loops.min() / 1.3, loops.max() * 1.3) if loops.size else (1.0, 10.0)
    ax.set_xlim(left, right)
    if math.log10(right / left) < FEW_DECADES:
        plain_ticks(ax.xaxis, _apart(np.unique(loops), (right / left) ** (1.0 / MOST_TICKS)))
    networks = _positive([row for row in rows if row.get("curve") in NETWORKS])
    trivial = _positive(where(rows, curve="trivial"))
    seen = np.concatenate([networks, trivial])
    if not networks.size:
        seen = np.concatenate([trivial, _positive(where(rows, status=str(Verdict.HOLDS)))])
    if seen.size:
        top = np.max([*trivial, *_positive(where(rows, curve="constructed"))] or seen)
        ax.set_ylim(seen.min() / ROOM_BELOW, max(ROOM_ABOVE * top, 1.2 * seen.max()))
    plain_log_ticks(ax)


def _apart(counts: NDArray[np.float64], least: float) -> list[float]:
    """Leave out counts that are no such factor above the last one kept."""
    kept: list[float] = []
    for count in counts.tolist():
        if count > 0 and (not kept or count >= least * kept[-1]):
            kept.append(count)
    return kept


def _positive(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Return the values that a logarithmic axis can show."""
    values = column(rows, "value")
    return values[np.isfinite(values) & (values > 0)]


def _write(
    ax: Axes,
    lines: Sequence[tuple[Line2D, str]],
    rows: Sequence[Row],
    names: Sequence[str],
    *,
    first: str,
) -> None:
    """Name the lines of some panels at their ends, and draw what needs the final limits."""
    ends = [end for line, text in lines if (end := end_of(line, text)) is not None]
    room_right(ax, ends)
    if first in names:
        left = ax.get_xlim()[0] * 1.1
        for line in (one for one in ax.get_lines() if "best constant" in str(one.get_label())):
            height = float(np.asarray(line.get_ydata())[0])
            ends.append(End(left, height, str(line.get_label()), GREY))
    bounds = where(rows, curve="bound") if "proven" in names else []
    words = draw_vacuous(ax, bounds, alone=len(names) == 1)
    ends += [] if words is None else [words]
    slopes = where(rows, curve="slope")
    if "proven" in names and "constructed" not in names:
        made = {name_of(row.get("label")) for row in where(rows, curve="constructed")}
        slopes = [row for row in slopes if name_of(row.get("label")) not in made]
    ends += draw_slopes(ax, [line for line, _ in lines], slopes)
    place_labels(ax, ends)
