"""The four pictures of the explorer as bokeh figures over data that the page replaces."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    HoverTool,
    LinearColorMapper,
    Span,
    Whisker,
)
from bokeh.plotting import figure

from figures.explorer.look import BOUND_COLOUR, HATCHES, OTHER_COLOUR, coloured, ink
from figures.explorer.states import Loops, short
from figures.explorer.views import VERSION
from figures.rows import Row
from figures.style import FAMILY_STYLE, KIND_STYLE, TERM_STYLE
from theory.bounds import TERM_NAMES, BoundRow
from theory.notation import KINDS
from theory.verdict import Verdict

__all__ = ["ErrorPanel", "ModuliPanel", "StatePanel", "TermPanel"]

HEIGHT = 330  # pixels
TOOLS = "pan,wheel_zoom,box_zoom,reset"
SIDES = {"closed form, exact": "exact", "proven upper bound": "upper", "found pair": "lower"}


def _plot(title: str, x: str, y: str, **options: Any) -> Any:
    """Return an empty figure."""
    plot = figure(
        title=title,
        height=HEIGHT,
        sizing_mode="stretch_width",
        tools=TOOLS,
        x_axis_label=x,
        y_axis_label=y,
        **{"output_backend": "svg", **options},
    )
    plot.toolbar.autohide = True
    plot.toolbar.logo = None
    return plot


def _told(plot: Any, *pairs: tuple[str, str]) -> None:
    """Show values under the pointer."""
    plot.add_tools(HoverTool(tooltips=list(pairs)))


class ModuliPanel:
    """Moduli against the radius: closed forms as lines, found pairs as points."""

    def __init__(self, dark: bool) -> None:
        self.plot = _plot(
            "Moduli of continuity", "radius δ", "modulus", x_axis_type="log", y_axis_type="log"
        )
        self.sources: dict[tuple[str, str], ColumnDataSource] = {}
        for kind in KINDS:
            look = KIND_STYLE[kind]
            colour = coloured(look.colour, dark)
            for side in SIDES.values():
                source = ColumnDataSource({"delta": [], "value": [], "kind": [], "side": []})
                self.sources[kind, side] = source
                if side == "lower":
                    marker = {"o": "circle", "s": "square", "^": "triangle"}[look.marker]
                    self.plot.scatter(
                        "delta",
                        "value",
                        source=source,
                        marker=marker,
                        size=8,
                        fill_alpha=0.25,
                        color=colour,
                        legend_label=kind,
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
                        legend_label=kind,
                    )
        self.at = Span(dimension="height", line_dash="dotted", line_color=ink(dark))
        self.plot.add_layout(self.at)
        self.plot.legend.location = "bottom_right"
        self.plot.legend.click_policy = "hide"
        _told(self.plot, ("", "@kind, @side"), ("δ", "@delta{0.0000}"), ("value", "@value"))

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
        self.at.location = delta


def _drawn(row: Row, side: str) -> bool:
    """Whether a row has a place on a logarithmic axis; exact values are not drawn twice."""
    value = row[side]
    return bool(value) and not (side == "upper" and row["exact"] is not None)


class ErrorPanel:
    """Errors and bounds against the loop count."""

    def __init__(self, dark: bool) -> None:
        self.plot = _plot(
            "Error against loops (hatched: bounds silent)",
            "loops r",
            "error on the cube, L^p",
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
        self.built = ColumnDataSource(dict(point))
        self.trained = {name: ColumnDataSource(dict(point)) for name in ("lt", "tmlt")}
        names = {"theorem": "Theorem 3.6", "explicit": "explicit inequality"}
        for (name, source), colour in zip(
            self.bounds.items(), (BOUND_COLOUR, OTHER_COLOUR), strict=True
        ):
            self.plot.line(
                "loops", "value", source=source, color=colour, line_width=2.5,
                line_dash="solid" if name == "theorem" else "dashed", legend_label=names[name],
            )  # fmt: skip
        self.plot.line(
            "loops", "value", source=self.trivial, color=ink(dark), line_dash="dotted",
            line_width=2, legend_label="best constant",
        )  # fmt: skip
        for name, source in self.trained.items():
            look = FAMILY_STYLE[name]
            self.plot.scatter(
                "loops", "value", source=source, size=8, fill_alpha=0.3,
                marker={"o": "circle", "s": "square"}[look.marker],
                color=coloured(look.colour, dark), legend_label=f"trained {look.name}",
            )  # fmt: skip
        self.plot.scatter(
            "loops", "value", source=self.built, marker="diamond", size=15, color="#009E73",
            legend_label="constructed, certified",
        )  # fmt: skip
        self.plot.add_layout(Whisker(base="loops", lower="lower", upper="value", source=self.built))
        self.at = Span(dimension="height", line_dash="dotted", line_color=ink(dark))
        self.plot.add_layout(self.at)
        legend = self.plot.legend[0]
        legend.click_policy, legend.location, legend.ncols = "hide", "bottom_left", 2
        legend.label_text_font_size, legend.spacing, legend.padding = "10px", 0, 4
        legend.label_height = legend.glyph_height = 14
        legend.background_fill_alpha = 0.7
        self.legend = {  # of what may have nothing to show
            name: item
            for name, source in {"built": self.built, **self.trained}.items()
            for item in legend.items
            if item.renderers[0].data_source is source
        }
        _told(self.plot, ("", "@label"), ("r", "@loops{0,0}"), ("value", "@value"))

    def show_bounds(self, rows: Sequence[Row], loops: int) -> None:
        """Draw other bounds, and shade where neither says anything."""
        own = {
            "theorem": [row for row in rows if row["curve"] == VERSION],
            "explicit": [row for row in rows if row["curve"] not in (VERSION, "trivial")],
        }
        for name, source in self.bounds.items():
            seen = [row for row in own[name] if row["value"] not in (None, float("inf"))]
            source.data = {key: [row[key] for row in seen] for key in source.column_names}
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

    def show_built(self, rows: Sequence[Row]) -> None:
        """Draw other constructed networks."""
        self.built.data = {
            "loops": [row["loops"] for row in rows],
            "value": [row["upper"] for row in rows],
            "lower": [row["lower"] for row in rows],
            "label": [f"constructed: {row['memoriser']}, grid {row['grid']}" for row in rows],
        }
        self.legend["built"].visible = bool(rows)

    def show_trained(self, rows: Sequence[Row]) -> None:
        """Draw other trained networks."""
        for name, source in self.trained.items():
            own = [row for row in rows if row["family"] == name and row["value"]]
            label = f"trained {FAMILY_STYLE[name].name}"
            source.data = {
                "loops": [row["loops"] for row in own],
                "value": [row["value"] for row in own],
                "lower": [row["value"] for row in own],
                "label": [f"{label}, seed {row['seed']:g}" for row in own],
            }
            self.legend[name].visible = bool(own)


class TermPanel:
    """The terms of Theorem 3.6 at one loop count beside the best constant."""

    def __init__(self, dark: bool) -> None:
        names = list(TERM_NAMES)[::-1]
        self.plot = _plot("Terms at r (dotted: best constant)", "error, L^p", "", y_range=names)
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
        _told(self.plot, ("@term", "@value"))

    def show(self, row: BoundRow) -> None:
        """Draw the terms at another loop count; the dotted line is the best constant."""
        values = [row.terms[name] for name in self.source.data["term"]]
        shown = [value if value < float("inf") else 0.0 for value in values]
        self.source.data = dict(self.source.data) | {"value": shown}
        self.trivial.location = row.trivial or 0.0


class StatePanel:
    """The residual stream of the constructed network, row by row and loop by loop."""

    def __init__(self, dark: bool) -> None:
        self.plot = _plot(
            "The constructed network, loop by loop",
            "loop t",
            "",
            y_range=[""],
            output_backend="canvas",  # thousands of cells
        )
        self.source = ColumnDataSource({"loop": [], "row": [], "share": [], "value": []})
        colours = LinearColorMapper("Cividis256", low=0.0, high=1.0)
        self.plot.rect(
            "loop", "row", 1, 0.9, source=self.source,
            fill_color={"field": "share", "transform": colours}, line_color=None,
        )  # fmt: skip
        self.at = Span(dimension="height", line_width=3, line_color="#D55E00")
        self.plot.add_layout(self.at)
        _told(self.plot, ("@row", "@value"), ("after loop", "@loop"))

    def show(self, run: Loops | None) -> None:
        """Draw another run, or nothing."""
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
