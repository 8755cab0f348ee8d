"""Pictures of f, of the network beside it, and of what the network reads out loop by loop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    ColorBar,
    ColumnDataSource,
    CustomJS,
    FixedTicker,
    Grid,
    LinearColorMapper,
    Range1d,
    Span,
)

from looprate.figures.explorer.around import SIDE, Floats, Slice, There
from looprate.figures.explorer.key import Entry, key
from looprate.figures.explorer.look import coloured, ink
from looprate.figures.explorer.panels import plot_of, with_text
from looprate.figures.explorer.place import Place
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.states import Loops
from looprate.figures.style import ALARM, MEMORISER_STYLE, TOKEN_COLOURS, coordinate_names

COLOURS = "Cividis256"  # in order in greyscale, and for eyes without green
WIDEST = 5.5  # pixels, of token 1: two tokens may be read out alike
#: A press or a drag moves the input: to the right and up, or to the right alone.
MOVE = """
const near = value => Math.round(1000 * Math.min(1, Math.max(0, value))) / 1000;
const event = cb_obj;
if (event.x === null || event.y === null) return;
at.data = {x: [near(event.x)], y: [flat ? at.data.y[0] : near(event.y)]};
"""


def let_move(plot: Any, at: ColumnDataSource, *, flat: bool) -> None:
    """Let a hand on a plot move the input."""
    react = CustomJS(args={"at": at, "flat": flat}, code=MOVE)
    for event in ("tap", "panstart", "pan"):
        plot.js_on_event(event, react)


def axis_names(setting: Setting) -> tuple[str, str]:
    """Return what runs to the right and what runs up."""
    names = coordinate_names(setting.tokens, setting.dim)
    across, up = setting.plane
    return names[across], names[up]


class MapPanel:
    """f over two coordinates of its input, the cells, and the input as a point to be dragged."""

    def __init__(self, dark: bool, *, moves: bool = True) -> None:
        self.moves = moves
        self.values: Floats | None = None
        self.plot = plot_of(
            "",
            "",
            dark,
            tools="",
            x_range=Range1d(0, 1),
            y_range=Range1d(0, 1),
            output_backend="canvas",
        )
        self.part, self.words = with_text("map", self.plot, dark)
        self.source = ColumnDataSource({"image": [np.zeros((1, 1))]})
        self.colours = LinearColorMapper(COLOURS, low=0.0, high=1.0)
        self.plot.image(
            "image", source=self.source, x=0, y=0, dw=1, dh=1, color_mapper=self.colours
        )
        bar = ColorBar(color_mapper=self.colours, width=10, padding=4, background_fill_alpha=0.0)
        bar.bar_line_color = None
        self.plot.add_layout(bar, "right")
        self.lines = FixedTicker(ticks=[])
        for dimension in (0, 1):
            self.plot.add_layout(
                Grid(dimension=dimension, ticker=self.lines, level="overlay",
                     grid_line_color="#FFFFFF", grid_line_alpha=0.45)
            )  # fmt: skip
        self.cell = BoxAnnotation(
            fill_alpha=0.0,
            line_color=ALARM,
            line_width=3,
            level="overlay",
            left=0,
            right=0,
            bottom=0,
            top=0,
        )
        self.plot.add_layout(self.cell)
        self.at = ColumnDataSource({"x": [0.5], "y": [0.5]})
        for size, colour in ((17, "#FFFFFF"), (12, ALARM)):
            self.plot.scatter("x", "y", source=self.at, size=size, color=colour,
                              line_color="#000000")  # fmt: skip
        if moves:
            let_move(self.plot, self.at, flat=False)

    def show(self, setting: Setting, values: Floats) -> None:
        """Draw other values."""
        low, high = float(values.min()), float(values.max())
        if values is not self.values:  # else the browser has them
            self.values = values
            self.colours.update(low=low, high=high if high > low else low + 1.0)
            self.source.data = {"image": [values.astype(np.float32)]}
        self.plot.xaxis.axis_label, self.plot.yaxis.axis_label = axis_names(setting)
        self.lines.ticks = [k / setting.grid for k in range(1, setting.grid)]
        self.plot.visible = setting.tokens * setting.dim > 1
        if not self.plot.visible:
            self.words.text = (
                '<p class="note">The input has one coordinate: the line is the whole of f.</p>'
            )
            return
        more = " Drag the point, or use the sliders." if self.moves else ""
        self.words.text = f'<p class="note">{_said_of_map(setting, low, high)}{more}</p>'

    def point(self, setting: Setting, place: Place) -> None:
        """Move the input and its cell, unless a hand has put it there."""
        x, y = (place.floats[k] for k in setting.plane)
        if abs(self.at.data["x"][0] - x) + abs(self.at.data["y"][0] - y) > 1e-6:
            self.at.data = {"x": [x], "y": [y]}
        left, bottom = (max(math.ceil(v * setting.grid - 1e-6), 1) - 1 for v in (x, y))
        side = 1 / setting.grid
        self.cell.update(
            left=left * side,
            right=(left + 1) * side,
            bottom=bottom * side,
            top=(bottom + 1) * side,
        )


def _said_of_map(setting: Setting, low: float, high: float) -> str:
    """Say what is drawn, and from where to where it goes."""
    what = {"f": "f", "network": "T", "difference": "T − f"}[setting.drawn]
    across, up = axis_names(setting)
    count = setting.tokens * setting.dim
    rest = "" if count <= 2 else ", all other coordinates as in the input"
    return (
        f"{what} at {SIDE} × {SIDE} inputs{rest}: the output in the place of "
        f"{across}, from {low:.4g} (dark) to {high:.4g} (bright). {across.capitalize()} runs to "
        f"the right, {up} up. Lines bound the network's cells."
    )


class SlicePanel:
    """f and the network's staircase along one coordinate through the input."""

    def __init__(self, dark: bool, at: ColumnDataSource) -> None:
        self.dark = dark
        self.plot = plot_of("", "output there", dark, tools="", x_range=Range1d(0, 1))
        self.part, self.key = with_text("slice", self.plot, dark)
        self.f = ColumnDataSource({"x": [], "y": []})
        self.network = ColumnDataSource({"x": [], "y": []})
        self.plot.line("x", "y", source=self.f, color=ink(dark), line_width=2, line_dash="dashed")
        self.steps = self.plot.line("x", "y", source=self.network, line_width=2.5)
        self.points = ColumnDataSource({"x": [], "y": [], "colour": []})
        self.plot.scatter("x", "y", source=self.points, size=11, color="colour",
                          line_color="#000000")  # fmt: skip
        self.span = Span(dimension="height", line_width=2, line_color=ALARM)
        self.plot.add_layout(self.span)
        self.cells = FixedTicker(ticks=[])
        self.plot.xgrid.ticker = self.cells
        let_move(self.plot, at, flat=True)

    def show(self, setting: Setting, found: Slice, here: There) -> None:
        """Draw another line through the input."""
        across, _ = setting.plane
        colour = coloured(MEMORISER_STYLE[setting.memoriser].colour, self.dark)
        self.steps.glyph.line_color = colour
        self.f.data = {"x": found.x, "y": found.f}
        none = found.network is None
        self.network.data = {"x": [] if none else found.x, "y": [] if none else found.network}
        marks = [(here.f, ink(self.dark)), (here.network, colour)]
        seen = [(values.ravel()[across], c) for values, c in marks if values is not None]
        x = here.place.floats[across]
        self.points.data = {
            "x": [x for _ in seen],
            "y": [float(y) for y, _ in seen],
            "colour": [c for _, c in seen],
        }
        self.span.location = x
        self.cells.ticks = [k / setting.grid for k in range(setting.grid + 1)]
        self.plot.xaxis.axis_label = axis_names(setting)[0]
        entries = [Entry("f", ink(self.dark), dash="dashed")]
        more = Entry(f"T, the constructed network ({setting.memoriser})", colour, dash="solid")
        self.key.text = key(entries if none else [*entries, more])


class ReadoutPanel:
    """What the network would read out after every loop, and f, which it comes to."""

    def __init__(self, dark: bool) -> None:
        self.dark = dark
        self.plot = plot_of("loop t", "read out", dark, tools="")
        self.part, self.key = with_text("readout", self.plot, dark)
        self.lines = ColumnDataSource({"xs": [], "ys": [], "colour": [], "width": []})
        self.plot.multi_line("xs", "ys", source=self.lines, line_color="colour", line_width="width")
        self.aims = ColumnDataSource({"xs": [], "ys": [], "colour": []})
        self.plot.multi_line("xs", "ys", source=self.aims, line_color="colour", line_dash="dashed",
                             line_width=1.5)  # fmt: skip
        self.at = Span(dimension="height", line_width=3, line_color=ALARM)
        self.plot.add_layout(self.at)

    def show(self, run: Loops | None, f: Floats) -> None:
        """Draw another run."""
        outputs = run.outputs if run else []
        last = len(outputs) - 1
        places = [(n, i) for n in range(f.shape[0]) for i in range(f.shape[1])] if run else []
        colours = [coloured(TOKEN_COLOURS[n], self.dark) for n, _ in places]
        self.lines.data = {
            "xs": [list(range(last + 1)) for _ in places],
            "ys": [[tokens[n][i] for tokens in outputs] for n, i in places],
            "colour": colours,
            "width": [WIDEST / (n + 1) ** 0.7 for n, _ in places],
        }
        self.aims.data = {
            "xs": [[0, last] for _ in places],
            "ys": [[float(f[n, i])] * 2 for n, i in places],
            "colour": colours,
        }
        self.plot.visible = bool(places)
        named = [
            Entry(f"token {n + 1}", coloured(TOKEN_COLOURS[n], self.dark), dash="solid")
            for n in range(f.shape[0])
        ]
        self.key.text = key(
            [*named, Entry("f there", ink(self.dark), dash="dashed")] if run else []
        )


def moved_to(setting: Setting, at: ColumnDataSource, place: Place) -> Sequence[float]:
    """Return the input's coordinates once the point of the picture is where it is."""
    values = place.floats
    across, up = setting.plane
    values[up], values[across] = float(at.data["y"][0]), float(at.data["x"][0])
    return values
