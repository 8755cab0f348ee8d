"""The four pictures of the explorer as bokeh figures over data that the page replaces."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

from bokeh.layouts import column
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    Div,
    HoverTool,
    LinearColorMapper,
    Span,
    Whisker,
)
from bokeh.plotting import figure

from looprate.figures.explorer.key import Entry, key
from looprate.figures.explorer.look import DARK, HATCHES, LIGHT, coloured, ink, sheet
from looprate.figures.explorer.states import Loops, short
from looprate.figures.explorer.views import VERSION, constructed_words
from looprate.figures.rows import Row
from looprate.figures.style import (
    ALARM,
    FAMILY_STYLE,
    KIND_STYLE,
    MEMORISER_STYLE,
    TERM_STYLE,
    THEOREM_STYLE,
)
from looprate.theory.bounds.rows import TERM_NAMES, BoundRow
from looprate.theory.notation import KINDS
from looprate.theory.verdict import Verdict

HEIGHT = 330  # pixels
TOOLS = "pan,wheel_zoom,box_zoom,reset"
MARKS = {"o": "circle", "s": "square", "^": "triangle"}
#: How networks of the first, second and any further recipe are marked.
RECIPES: tuple[tuple[str, float], ...] = (("", 0.3), ("_x", 0.0), ("_cross", 0.0))
NAMES: tuple[Literal["lt", "tmlt"], ...] = ("lt", "tmlt")  # families that are trained
LOWER = "lower bound of LT, for the worst f of a class (below on this page), not for this f"
SIDES = {"closed form, exact": "exact", "proven upper bound": "upper", "found pair": "lower"}


def plot_of(x: str, y: str, dark: bool, **options: Any) -> Any:
    """Return an empty figure; its title is the page's."""
    plot = figure(
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_label=x,
        y_axis_label=y,
        **{"output_backend": "svg", "tools": TOOLS, **options},
    )
    plot.xaxis.ticker.desired_num_ticks = 4  # they have room at 320 pixels
    plot.toolbar.autohide = True
    plot.toolbar.logo = None
    if not plot.tools:
        plot.toolbar_location = None
    plot.background_fill_color = plot.border_fill_color = (DARK if dark else LIGHT)["card"]
    plot.outline_line_color = None
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_font_size = "13px"
    plot.axis.major_label_text_font_size = "12px"
    plot.axis.minor_tick_line_color = None
    plot.grid.grid_line_alpha = 0.12 if dark else 0.5
    return plot


def with_text(name: str, plot: Any, dark: bool) -> tuple[Any, Div]:
    """Return a part of the page: a figure and below it the text, which is returned as well."""
    text = Div(text="", **sheet())
    return column(plot, text, name=name, sizing_mode="stretch_width"), text


def told(plot: Any, *pairs: tuple[str, str]) -> None:
    """Show values under the pointer."""
    plot.add_tools(HoverTool(tooltips=list(pairs)))


class ModuliPanel:
    """Moduli against the radius: closed forms as lines, found pairs as points."""

    def __init__(self, dark: bool) -> None:
        axes = {"x_axis_type": "log", "y_axis_type": "log"}
        self.plot = plot_of("radius δ", "modulus", dark, **axes)
        self.part, self.key = with_text("moduli", self.plot, dark)
        self.dark = dark
        self.sources: dict[tuple[str, str], ColumnDataSource] = {}
        for kind in KINDS:
            look = KIND_STYLE[kind]
            colour = coloured(look.colour, dark)
            for side in SIDES.values():
                source = ColumnDataSource({"delta": [], "value": [], "kind": [], "side": []})
                self.sources[kind, side] = source
                if side == "lower":
                    self.plot.scatter(
                        "delta",
                        "value",
                        source=source,
                        marker=MARKS[look.marker],
                        size=8,
                        fill_alpha=0.25,
                        color=colour,
                    )
                else:
                    dash = "solid" if side == "exact" else "dashed"
                    self.plot.line(
                        "delta",
                        "value",
                        source=source,
                        line_dash=dash,
                        line_width=2 * look.width,
                        color=colour,
                    )
        self.at = Span(dimension="height", line_dash="dotted", line_color=ink(dark))
        self.plot.add_layout(self.at)
        told(self.plot, ("", "@kind, @side"), ("δ", "@delta{0.0000}"), ("value", "@value"))

    def show(self, rows: Sequence[Row], delta: float) -> None:
        """Draw other rows."""
        words = {side: name for name, side in SIDES.items()}
        for (kind, side), source in self.sources.items():
            own = [row for row in rows if row["kind"] == kind and _drawn(row, side)]
            own.sort(key=lambda row: float(row["delta"] or 0))
            source.data = {
                "delta": [row["delta"] for row in own],
                "value": [row[side] for row in own],
                "kind": [kind] * len(own),
                "side": [words[side]] * len(own),
            }
        self.key.text = key([self._entry(kind, rows) for kind in KINDS])
        self.at.location = delta

    def _entry(self, kind: str, rows: Sequence[Row]) -> Entry:
        """Return how a modulus is drawn, or why it is not."""
        absent = _absence([row for row in rows if row["kind"] == kind])
        if absent:
            return Entry(f"{kind}: {absent}", ink(self.dark))
        look = KIND_STYLE[kind]
        colour = coloured(look.colour, self.dark)
        return Entry(kind, colour, dash="solid", mark=MARKS[look.marker])


def _absence(rows: Sequence[Row]) -> str:
    """Say why a modulus has no mark on a logarithmic axis; nothing if it has one."""
    if any(_drawn(row, side) for row in rows for side in SIDES.values()):
        return ""
    known = any(row["exact"] == 0 or row["upper"] == 0 for row in rows)
    return "0 at every δ, not drawn" if known else "no pair found above 0, not drawn"


def _drawn(row: Row, side: str) -> bool:
    """Whether a row has a place on a logarithmic axis; exact values are not drawn twice."""
    value = row[side]
    return bool(value) and not (side == "upper" and row["exact"] is not None)


class ErrorPanel:
    """Errors and bounds against the loop count."""

    def __init__(self, dark: bool) -> None:
        self.plot = plot_of(
            "loops r",
            "Lᵖ error on the cube",
            dark,
            x_axis_type="log",
            y_axis_type="log",
        )
        self.vacuous = BoxAnnotation(
            fill_alpha=0.12, fill_color="#888888", line_color=None,
            hatch_pattern="right_diagonal_line", hatch_color="#888888", hatch_alpha=0.35,
        )  # fmt: skip
        self.plot.add_layout(self.vacuous)
        line: dict[str, list[Any]] = {"loops": [], "value": [], "label": [], "status": []}
        self.bounds = {name: ColumnDataSource(dict(line)) for name in ("theorem", "explicit")}
        self.trivial = ColumnDataSource({"loops": [], "value": []})
        point: dict[str, list[Any]] = {"loops": [], "value": [], "lower": [], "label": []}
        self.built, self.dark = ColumnDataSource({**point, "colour": []}), dark
        self.part, self.key = with_text("errors", self.plot, dark)
        self.known: dict[str, list[Entry]] = {}  # of what may have nothing to show
        self.marks = _marks(dark)
        self.trained = {name: ColumnDataSource(dict(point)) for name in self.marks}
        self.lines = [
            Entry("Theorem 3.6", coloured(THEOREM_STYLE.colour, dark), dash="solid"),
            Entry("explicit inequality", coloured(FAMILY_STYLE["lt"].colour, dark), dash="dashed"),
            Entry("best constant", ink(dark), dash="dotted"),
            Entry(LOWER, coloured(FAMILY_STYLE["lt"].colour, dark), dash="dotted"),
        ]
        self.lower = ColumnDataSource({"loops": [], "value": [], "label": []})
        drawn = (*self.bounds.values(), self.trivial, self.lower)
        *_, self.explicit, _, lower = (
            self.plot.line("loops", "value", source=source, color=entry.colour, line_width=2.5,
                           line_dash=entry.dash)
            for source, entry in zip(drawn, self.lines, strict=True)
        )  # fmt: skip
        for name, entry in self.marks.items():
            self.plot.scatter(
                "loops", "value", source=self.trained[name], size=8, fill_alpha=entry.filling,
                marker=entry.mark, color=entry.colour,
            )  # fmt: skip
        self.plot.scatter(
            "loops", "value", source=self.built, marker="diamond", size=15, color="colour"
        )
        self.plot.add_layout(
            Whisker(base="loops", lower="lower", upper="value", source=self.built,
                    line_color=ink(dark))
        )  # fmt: skip
        self.plot.y_range.renderers = [one for one in self.plot.renderers if one is not lower]
        self.at = Span(dimension="height", line_dash="dotted", line_color=ink(dark))
        self.plot.add_layout(self.at)
        told(self.plot, ("", "@label"), ("r", "@loops{0,0}"), ("value", "@value"))

    def show_bounds(self, rows: Sequence[Row], loops: int) -> None:
        """Draw other bounds, and shade where neither says anything."""
        own = {
            "theorem": [row for row in rows if row["curve"] == VERSION],
            "explicit": [row for row in rows if row["curve"] not in (VERSION, "trivial")],
        }
        for name, source in self.bounds.items():
            seen = [row for row in own[name] if row["value"] not in (None, float("inf"))]
            source.data = {key: [row[key] for row in seen] for key in source.column_names}
        for row in own["explicit"][:1]:  # in the colour of its construction
            self.lines[1] = replace(self.lines[1], colour=self._colour(row["curve"]))
            self.explicit.glyph.line_color = self.lines[1].colour
            self._say("bounds", [])
        (trivial,) = (row["value"] for row in rows if row["curve"] == "trivial")
        counts = [int(row["loops"]) for part in own.values() for row in part]  # type: ignore[arg-type]
        self.trivial.data = {"loops": [1, max(counts)], "value": [trivial, trivial]}
        says = [
            float(row["loops"] or 0)
            for part in own.values()
            for row in part
            if row["status"] == str(Verdict.HOLDS)
        ]
        self.vacuous.right = min(says, default=None)
        self.at.location = loops

    def show_lower(self, loops: Sequence[int], values: Sequence[float]) -> None:
        """Draw another lower bound of the worst case of a class; the axis does not follow it."""
        words = [LOWER] * len(loops)
        self.lower.data = {"loops": list(loops), "value": list(values), "label": words}

    def show_built(self, rows: Sequence[Row]) -> None:
        """Draw other constructed networks."""
        self.built.data = {
            "loops": [row["loops"] for row in rows],
            "value": [row["upper"] for row in rows],
            "lower": [row["lower"] for row in rows],
            "label": [f"constructed: {constructed_words(row)}" for row in rows],
            "colour": [self._colour(row["memoriser"]) for row in rows],
        }
        names = dict.fromkeys(str(row["memoriser"]) for row in rows)
        self._say(
            "built",
            [
                Entry(f"constructed, certified: {name}", self._colour(name), mark="diamond",
                      filling=1.0)
                for name in names
            ],
        )  # fmt: skip

    def _colour(self, memoriser: object) -> str:
        """The colour of a construction on this page."""
        return coloured(MEMORISER_STYLE[str(memoriser)].colour, self.dark)

    def _say(self, name: str, entries: list[Entry]) -> None:
        """Say other meanings of the marks of one part below the picture."""
        self.known[name] = entries
        more = (entry for part in ("trained", "built") for entry in self.known.get(part, []))
        self.key.text = key([*self.lines, *more])

    def show_trained(self, rows: Sequence[Row]) -> None:
        """Draw other trained networks, marked and named by how they were trained."""
        labels = list(dict.fromkeys(str(row["label"]) for row in rows))
        parts = [labels[:1], labels[1:2], labels[2:]]
        entries = []
        for (family, recipe), entry in self.marks.items():
            part = parts[recipe]
            own = [row for row in rows if row["family"] == family and row["label"] in part]
            drawn = [row for row in own if row["value"]]
            self.trained[family, recipe].data = {
                "loops": [row["loops"] for row in drawn],
                "value": [row["value"] for row in drawn],
                "lower": [row["value"] for row in drawn],
                "label": [f"{entry.words}: {row['label']}, seed {row['seed']:g}" for row in drawn],
            }
            if drawn:
                entries.append(replace(entry, words=f"{entry.words}: {_recipe(own, part)}"))
        self._say("trained", entries)


def _marks(dark: bool) -> dict[tuple[str, int], Entry]:
    """Return how the networks of each family and recipe are marked."""
    looks = ((name, FAMILY_STYLE[name]) for name in NAMES)
    return {
        (name, recipe): Entry(
            f"{look.name} trained",
            coloured(look.colour, dark),
            mark=MARKS[look.marker] + mark,
            filling=filling,
        )
        for name, look in looks
        for recipe, (mark, filling) in enumerate(RECIPES)
    }


def _recipe(rows: Sequence[Row], labels: Sequence[str]) -> str:
    """Say how many networks were trained and how."""
    seeds = len({row["seed"] for row in rows})
    words = labels[0] if len(labels) == 1 else f"{len(labels)} other recipes"
    return f"{words}, {seeds} seed{'s' * (seeds != 1)}"


class TermPanel:
    """The terms of Theorem 3.6 at one loop count beside the best constant."""

    def __init__(self, dark: bool) -> None:
        names = list(TERM_NAMES)[::-1]
        self.plot = plot_of("Lᵖ error", "", dark, y_range=names)
        self.part = column(self.plot, name="terms", sizing_mode="stretch_width")
        colours = [coloured(TERM_STYLE[name].colour, dark) for name in names]
        hatches = [HATCHES[TERM_STYLE[name].hatch] for name in names]
        self.source = ColumnDataSource(
            {"term": names, "value": [0.0] * len(names), "colour": colours, "hatch": hatches}
        )
        self.plot.hbar(
            y="term", right="value", height=0.7, source=self.source, color="colour",
            line_color=ink(dark), hatch_pattern="hatch", hatch_color="#000000", hatch_alpha=0.6,
        )  # fmt: skip
        self.plot.x_range.start = 0
        self.trivial = Span(
            dimension="height", line_dash="dotted", line_width=2, line_color=ink(dark)
        )
        self.plot.add_layout(self.trivial)
        told(self.plot, ("@term", "@value"))

    def show(self, row: BoundRow) -> None:
        """Draw the terms at another loop count; the dotted line is the best constant."""
        self.source.data = dict(self.source.data) | {"value": self.shown(row)}
        self.trivial.location = row.trivial or 0.0

    def shown(self, row: BoundRow) -> list[float]:
        """Return the terms in the order in which they are drawn, 0 for what cannot be."""
        values = (row.terms[name] for name in self.source.data["term"])
        return [value if value < float("inf") else 0.0 for value in values]


class StatePanel:
    """The residual stream of the constructed network, row by row and loop by loop."""

    def __init__(self, dark: bool) -> None:
        self.plot = plot_of(
            "loop t",
            "",
            dark,
            y_range=[""],
            output_backend="canvas",  # thousands of cells
        )
        self.part, self.absent = with_text("network", self.plot, dark)
        self.source = ColumnDataSource({"loop": [], "row": [], "share": [], "value": []})
        colours = LinearColorMapper("Cividis256", low=0.0, high=1.0)
        self.plot.rect(
            "loop", "row", 1, 0.9, source=self.source,
            fill_color={"field": "share", "transform": colours}, line_color=None,
        )  # fmt: skip
        self.at = Span(dimension="height", line_width=3, line_color=ALARM)
        self.plot.add_layout(self.at)
        told(self.plot, ("@row", "@value"), ("after loop", "@loop"))

    def show(self, run: Loops | None, why: str = "") -> None:
        """Draw another run, or say why there is none."""
        self.absent.text = why and f"<p><b>No network to look at.</b> {html.escape(why)}</p>"
        data: dict[str, list[Any]] = {"loop": [], "row": [], "share": [], "value": []}
        names: list[str] = []
        values = run.values if run else []
        for name in run.names if run else []:
            held = [token[name] for tokens in values for token in tokens]
            low, span = min(held), (max(held) - min(held)) or 1
            for n in range(len(values[0])):
                names.append(f"{name}, token {n + 1}")
                for t, tokens in enumerate(values):
                    value = tokens[n][name]
                    data["loop"].append(t)
                    data["row"].append(names[-1])
                    data["share"].append(float(Fraction(value - low) / span))
                    data["value"].append(short(value))
        self.plot.visible = bool(names)
        self.plot.y_range.factors = names[::-1] or [""]
        self.plot.height = max(HEIGHT, 90 + 17 * len(names))
        self.source.data = data
