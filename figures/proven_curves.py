"""Proven bounds in the main figure: where they hold, how steep they are, where they say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from looprate.figures.common import informative_from, plain_text, shade_vacuous
from looprate.figures.constructed_curves import name_of
from looprate.figures.labels import End
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import (
    FAMILY_STYLE,
    MEMORISER_STYLE,
    PALE,
    THEOREM_STYLE,
    LineStyle,
    points,
)
from looprate.theory.verdict import Verdict

MOST_OF_A_FRACTION = 200  # the largest denominator that is printed as one
LEGS = 0.16  # of the width of the axes: how wide a slope triangle is
BELOW = 0.6  # of its line, as a factor
AT = 0.45  # of the part of a line that is seen
WORDS = "0.3"
HERE = (  # the longest that the region has room for
    "vacuous: no proven bound below the best constant",
    "vacuous: no proven bound\nis below the best constant",
    "vacuous",
)
EVERYWHERE = "vacuous on this whole range:\nno proven bound is\nbelow the best constant"
NOT_TESTABLE = "not testable on this\nwhole range: see the verdicts"


def draw_proven(ax: Axes, rows: Sequence[Row], named: dict[str, str]) -> list[Line2D]:
    """Draw each bound where it holds, as steps; nothing elsewhere.

    Parameters
    ----------
    ax : Axes
        With logarithmic axes.
    rows : sequence of rows
        Of bounds, with ``family``, ``label``, ``loops``, ``value`` and ``status``.
    named : dict of str to str
        Construction of each family that has its colour; other ones are thin and pale.

    Returns
    -------
    list of Line2D
        Theorem 3.6 as evaluated, and those that are named.
    """
    shown = []
    for family in (name for name in FAMILY_STYLE if where(rows, family=name)):
        for label in distinct(where(rows, family=family), "label"):
            loops, value = _holding(where(rows, family=family, label=label))
            if not np.isfinite(value).any():
                continue
            name = name_of(label)
            pale = name not in (THEOREM_STYLE.name, named.get(family))
            style = _style_of(name, family)
            (line,) = ax.plot(
                loops,
                value,
                color=PALE if pale else style.colour,
                drawstyle="steps-post",
                linewidth=points(0.5 if pale else 1.2),
                label=plain_text(f"{FAMILY_STYLE[family].name} proven: {label}"),
                zorder=2.2 if pale else 3.5,
            )
            if not pale:
                shown.append(line)
    return shown


def _style_of(name: str, family: str) -> LineStyle:
    """The style of a theorem or of a construction."""
    if name == THEOREM_STYLE.name:
        return THEOREM_STYLE
    return MEMORISER_STYLE.get(name, FAMILY_STYLE[family])


def _holding(rows: Sequence[Row]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Loop counts, ascending, and values, nan where the bound does not hold."""
    loops, value = column(rows, "loops"), column(rows, "value")
    holds = np.array([row.get("status") == Verdict.HOLDS for row in rows], dtype=bool)
    order = np.argsort(loops, kind="stable")
    return loops[order], np.where(holds & np.isfinite(value), value, np.nan)[order]


def draw_vacuous(ax: Axes, rows: Sequence[Row], *, alone: bool) -> End | None:
    """Shade where no bound says anything, and write it there; return words yet to be placed.

    They are upright in the region where bounds are alone in their axes.
    """
    left, right = ax.get_xlim()
    low, high = ax.get_ylim()
    span = shade_vacuous(ax, rows, left=left, right=right)
    if span is None:
        return None
    first = informative_from(rows)
    if first is None or not alone:
        testable = distinct(rows, "status") != [str(Verdict.NOT_TESTABLE)]
        words = NOT_TESTABLE if not testable else EVERYWHERE if first is None else HERE[1]
        return End(left, float(np.sqrt(low * high)), words, WORDS, mark="words")
    box = span.get_window_extent()
    for words in HERE:
        text = ax.text(
            float(np.sqrt(left * min(first, right))),
            float(np.sqrt(low * high)),
            words,
            rotation=90,
            ha="center",
            va="center",
            fontsize="small",
            color=WORDS,
            gid="words",
            in_layout=False,
        )
        taken = text.get_window_extent()
        if taken.width < box.width and taken.height < box.height:
            break
        text.remove()
    return None


# -- slopes ----------------------------------------------------------------------------------------
def draw_slopes(ax: Axes, lines: Sequence[Line2D], rows: Sequence[Row]) -> list[End]:
    """Draw a triangle below each line with a proven exponent; return what to write beside them.

    Parameters
    ----------
    ax : Axes
        With its final limits.
    lines : sequence of Line2D
        Of bounds or constructions, by their labels.
    rows : sequence of rows
        ``label``: of which line, then a colon and a formula; ``value``: the exponent.
    """
    names = {name_of(str(line.get_label()).partition(": ")[2]): line for line in lines}
    ends = []
    for row in rows:
        line = names.get(name_of(row.get("label")))
        if line is None or row.get("value") is None:
            continue
        corners = _triangle(ax, line, float(row["value"] or 0.0))
        if corners is None:
            continue
        ax.plot(*corners.T, color=line.get_color(), linewidth=points(0.6), label="_slope", zorder=3)
        words = exponent_words(float(row["value"] or 0.0), str(row["label"]).partition(": ")[2])
        x, y = corners[2]
        ends.append(End(float(x), float(y), words, str(line.get_color()), "below", "slope"))
    return ends


def _triangle(ax: Axes, line: Line2D, exponent: float) -> NDArray[np.float64] | None:
    """Corners of a triangle below the part of a line that is seen, closed, shape (4, 2)."""
    x, y = (np.asarray(data, dtype=float) for data in line.get_data())
    left, right = ax.get_xlim()
    low, high = ax.get_ylim()
    seen = np.flatnonzero(np.isfinite(y) & (y >= low) & (y <= high))
    if len(seen) < 2:
        return None
    start = seen[0] + int(AT * (len(seen) - 1))
    a, width = float(x[start]), float((right / left) ** LEGS)
    width = min(width, (float(x[seen[-1]]) / a) or width, (high / low) ** (0.3 / exponent))
    top = BELOW * float(y[start])
    bottom = top * width**-exponent
    return np.array([[a, top], [a * width, bottom], [a, bottom], [a, top]])


def exponent_words(value: float, formula: str = "") -> str:
    """An exponent as a fraction, with the formula that it is from."""
    fraction = Fraction(value).limit_denominator(MOST_OF_A_FRACTION)
    exact = abs(float(fraction) - value) < 1e-9
    shown = f"{fraction}" if exact else f"{value:.3g}"
    return f"slope $-{shown}$" + (f"\n$-{formula}$" if formula else "")
