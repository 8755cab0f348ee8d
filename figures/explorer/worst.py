"""The worst case of a class of functions, from both sides, whatever the page's target is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from bokeh.models import ColumnDataSource, Div, Span

from looprate.figures.explorer.key import Entry, key
from looprate.figures.explorer.look import coloured, ink
from looprate.figures.explorer.panels import MARKS, NAMES, plot_of, told, with_text
from looprate.figures.explorer.setting import Setting
from looprate.figures.style import FAMILY_STYLE
from looprate.theory.bounds.exponents import exponent_rows
from looprate.theory.bounds.lower import worst_case_error_lower_bound
from looprate.theory.bounds.pattern_count import Family, NetworkSize
from looprate.theory.bounds.upper import worst_case_error_upper_bound

HOLDERS = (0.25, 0.5, 1.0)  # of the page without a server
COUNTS = tuple(10**k for k in range(0, 13, 2))  # loops at which both sides are evaluated
SIDES = {"upper": "solid", "lower": "dashed"}


@dataclass(frozen=True)
class Asked:
    """The part of a setting that decides the worst case; the target does not."""

    tokens: int
    dim: int
    p: float
    holder: float


@dataclass(frozen=True)
class Point:
    """Both sides at one loop count, L = 1; no upper bound at p = inf, where strips count."""

    family: Family
    loops: int
    lower: float
    upper: float | None


def asked_of(setting: Setting) -> Asked:
    """Return what a setting asks of the worst case."""
    return Asked(setting.tokens, setting.dim, setting.p, setting.holder)


@lru_cache(maxsize=1024)
def worst_point(asked: Asked, family: Family, loops: int) -> Point:
    """Evaluate both sides for blocks of the size that attains the exponents."""
    how: dict[str, Any] = vars(asked)
    size = NetworkSize.of_constructions(asked.dim, family=family)
    lower = worst_case_error_lower_bound(loops, size=size, **how).value
    if math.isinf(asked.p):
        return Point(family, loops, lower, None)
    return Point(family, loops, lower, worst_case_error_upper_bound(
        loops, family=family, **how).total)  # fmt: skip


def point_places() -> list[tuple[Family, int]]:
    """Return what is evaluated for one curve after the other, as few loops first."""
    return [(family, loops) for loops in COUNTS for family in NAMES]


def exponents_table(asked: Asked) -> str:
    """Return both exponents of both kinds of loops as HTML, and all that they do not say."""
    lines = "".join(
        f"<tr><th>{row.family.upper()}</th><td>r<sup>−{row.lower}</sup></td>"
        f"<td>{'not known' if math.isinf(asked.p) else f'r<sup>−{row.upper}</sup>'}</td></tr>"
        for row in exponent_rows(tokens=asked.tokens, dim=asked.dim, holder=asked.holder)
    )
    return f"""
<p>For the worst f with ‖f(X) − f(Y)‖<sub>p</sub> ≤ ‖X − Y‖<sub>2</sub><sup>s</sup>, at these N, d
and p; the target of this page plays no part.</p>
<div class="across"><table><tr><th>error</th><th>no faster than</th><th>reached</th></tr>
{lines}</table></div>
<p>LT: all loops alike. TMLT: with a free scale η(t) for each loop and row. Reached by the
increments and the two-level increments, on the others code.</p>
<p><b>This project's derivation, not yet reviewed by others.</b> Hardmax attention, exact
arithmetic, blocks of a fixed size. A free η(t) has numbers for every loop: the comparison is per
loop, not per parameter; an η(t) from a network of fixed size has the exponent of LT. Worst case: f
depends on r. Weights exist; nothing about training. The sides are decades apart: read slopes, not
levels. Upper bounds are for p &lt; ∞.</p>
"""


class WorstPanel:
    """Lower and upper bounds of the worst case against the loop count."""

    def __init__(self, dark: bool) -> None:
        axes = {"x_axis_type": "log", "y_axis_type": "log"}
        self.plot = plot_of("loops r", "worst Lᵖ error, bounds", dark, **axes)
        self.part, self.key = with_text("worst", self.plot, dark)
        self.sources: dict[tuple[str, str], ColumnDataSource] = {}
        entries = []
        for family in NAMES:
            look = FAMILY_STYLE[family]
            colour, mark = coloured(look.colour, dark), MARKS[look.marker]
            for side, dash in SIDES.items():
                empty: dict[str, list[Any]] = {"loops": [], "value": [], "label": []}
                source = self.sources[family, side] = ColumnDataSource(empty)
                self.plot.line("loops", "value", source=source, color=colour, line_dash=dash,
                               line_width=2)  # fmt: skip
                self.plot.scatter("loops", "value", source=source, color=colour, marker=mark,
                                  size=6)  # fmt: skip
                entries.append(Entry(f"{look.name}, {side} bound", colour, dash=dash, mark=mark))
        self.key.text = key(entries)
        self.at = Span(dimension="height", line_dash="dotted", line_color=ink(dark))
        self.plot.add_layout(self.at)
        told(self.plot, ("", "@label"), ("r", "@loops{0,0}"), ("value", "@value"))

    def data_at(self, asked: Asked) -> dict[str, Any]:
        """Return exponents and points of what is asked, as a page's script takes them."""
        self.show([worst_point(asked, *place) for place in point_places()])
        shown = {"/".join(key): dict(source.data) for key, source in self.sources.items()}
        return {"text": exponents_table(asked), "data": shown}

    def show(self, points: Sequence[Point]) -> None:
        """Draw other points; a side that is not known has none."""
        for (family, side), source in self.sources.items():
            own = [(p.loops, getattr(p, side)) for p in points if p.family == family]
            drawn = sorted((loops, value) for loops, value in own if value)
            source.data = {
                "loops": [loops for loops, _ in drawn],
                "value": [value for _, value in drawn],
                "label": [f"{FAMILY_STYLE[family].name}, {side} bound"] * len(drawn),
            }


class WorstCase:
    """The worst case on a page: its exponents, its bounds, the lower one of LT beside the errors.

    Parameters
    ----------
    setting : callable
        Returns what the page shows.
    later : callable
        ``(act, of) -> None``: acts once the page shows what is quick, if ``of`` the setting is as
        it was.
    beside : callable
        ``(loops, values) -> None``: draws the lower bound of LT beside the errors.
    dark : bool
    wide : dict
        Width and style of the words.
    """

    def __init__(
        self,
        setting: Callable[[], Setting],
        later: Callable[[Callable[[], None], Callable[[Setting], Any]], None],
        beside: Callable[[Sequence[Any], Sequence[Any]], None],
        *,
        dark: bool,
        wide: dict[str, Any],
    ) -> None:
        self.setting, self.later, self.beside = setting, later, beside
        self.panel, self.words = WorstPanel(dark), Div(text="", **wide)
        self.asked: Asked | None = None

    def show(self) -> None:
        """Show the exponents, then the bounds, of what the setting asks, if it asks anew."""
        asked = asked_of(self.setting())
        if asked != self.asked:
            self.asked = asked
            self.panel.show([])
            self.beside([], [])
            self.later(self._show_exponents, asked_of)

    def _show_exponents(self) -> None:
        """Write the exponents, then draw the bounds, one point after another."""
        self.words.text = exponents_table(asked_of(self.setting()))
        self.later(lambda: self._show_points([]), asked_of)

    def _show_points(self, known: list[Point]) -> None:
        """Draw one more point than are known."""
        places = point_places()
        known = [*known, worst_point(asked_of(self.setting()), *places[len(known)])]
        self.panel.show(known)
        lower = self.panel.sources["lt", "lower"].data
        self.beside(lower["loops"], lower["value"])
        if len(known) < len(places):
            self.later(lambda: self._show_points(known), asked_of)
