"""Rates of looped networks beside each other: exponents, and what each result assumes."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes

from looprate.figures.common import fit_width, is_narrow, plain_text, setting_title
from looprate.figures.labels import End, lay_out, place_labels, room_right
from looprate.figures.proven_curves import exponent_words
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import GREY, MEMORISER_STYLE, THEOREM_STYLE, points
from looprate.theory.tables import TABLES

SIZE = (6.75, 4.3)  # inches, at the size of a page
COLUMNS = TABLES["rates"]
CHOICES: dict[str, tuple[str, ...]] = {}
ALT = (
    "Rates against loops, each from 1: the steeper a line, the faster the error is shown to fall; "
    "the results below the lines are about different networks."
)
SMOOTH = "s: Hölder exponent of f; N tokens of d coordinates"
WIDEST, NARROWEST = 96, 50  # letters of a line below the axes
DASHES = ("dashed", "dashdot", "dotted")  # of others' results


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw one line a result, and below the axes what it assumes.

    Parameters
    ----------
    ax : Axes
        Empty; gets logarithmic axes.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.
    """
    ax.set_xscale("log")
    ax.set_yscale("log")
    ends, notes = [], []
    for index, label in enumerate(str(label) for label in distinct(rows, "label")):
        own = where(rows, label=label)
        colour, dash = look_of(label, index)
        loops, value = column(own, "loops"), column(own, "value")
        look: dict[str, Any] = {"color": colour, "linestyle": dash, "linewidth": points(1.1)}
        ax.plot(loops, value, label=plain_text(label), **look)
        who, _, formula = label.partition(": ")
        slope = exponent_words(float(own[0]["exponent"] or 0.0))
        words = plain_text(who) if is_narrow() else f"{plain_text(who)}\n{slope}"
        ends.append(End(float(loops[-1]), float(value[-1]), words, colour))
        notes.append((f"{who}, slope −{formula}: {own[0]['detail']}", colour))
    notes.append((SMOOTH, GREY))
    ax.set_xlabel("loops $r$")
    ax.set_ylabel("rate over its first value\n(levels mean nothing)")
    fit_width(ax.set_title(setting_title(rows)))
    _write_notes(ax, notes)
    lay_out(ax.figure)
    room_right(ax, ends)
    place_labels(ax, sorted(ends, key=lambda end: -end.y))


def look_of(label: str, index: int) -> tuple[str, Any]:
    """Colour and line style of a result: the theorem's, a construction's, or grey."""
    name = next((part for part in (THEOREM_STYLE.name, *MEMORISER_STYLE) if part in label), "")
    if name == THEOREM_STYLE.name:
        return THEOREM_STYLE.colour, "solid"
    if name:
        longest = max((part for part in MEMORISER_STYLE if part in label), key=len)
        return MEMORISER_STYLE[longest].colour, "solid"
    return GREY, DASHES[index % len(DASHES)]


def _write_notes(ax: Axes, notes: Sequence[tuple[str, str]]) -> None:
    """Write what each result is about below the axes, in the colour of its line."""
    letters = 0.8 * float(matplotlib.rcParams["font.size"])
    width = NARROWEST if is_narrow() else WIDEST
    down = 4.5
    for words, colour in notes:
        lines = textwrap.wrap(words, width, subsequent_indent="   ")
        ax.annotate(
            plain_text("\n".join(lines)),
            (0.0, 0.0),
            (-5.0 * letters, -down * letters),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=letters,
            color=colour,
            va="top",
        )
        down += 1.35 * len(lines)
