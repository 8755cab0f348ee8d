"""The explorer's controls, in the order of the Tab key."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from bokeh.layouts import column, row
from bokeh.models import (
    Button,
    ColumnDataSource,
    CustomJS,
    CustomJSTickFormatter,
    Select,
    Slider,
    Spinner,
    TextInput,
)

from looprate.figures.explorer.certifier import CERTIFY
from looprate.figures.explorer.export import EXPORTS, MEDIA
from looprate.figures.explorer.live import TRAIN
from looprate.figures.explorer.look import ADDRESS, PLAY, SAVE, THEME
from looprate.figures.explorer.place import DIGITS, Place
from looprate.figures.explorer.setting import (
    CODE_TITLE,
    CODES,
    DRAWN,
    LARGEST_GRID,
    LARGEST_LOOPS,
    LARGEST_SHAPE,
    ROUGHEST,
    Setting,
    exponent,
    whole,
)
from looprate.figures.explorer.smoothness import knob_of
from looprate.figures.explorer.words import EXAMPLES
from looprate.figures.style import coordinate_names
from looprate.theory.construction.memorisers import MEMORISERS

STEP = 0.05  # of the sliders of δ and r, in powers of ten
THREE_DIGITS = "return Number((10 ** tick).toPrecision(3)).toString()"
WHOLE = "return Math.round(10 ** tick).toLocaleString('en')"
#: Control of a part of the setting -> how its value is read.
READ: dict[str, Callable[[Any], Any]] = {
    "target": str.strip,
    "tokens": whole,
    "dim": whole,
    "p": exponent,
    "delta": lambda power: round(10.0**power, 6),
    "loops": lambda power: round(10.0**power),
    "memoriser": str,
    "coding": str,
    "grid": int,
    "step": int,
    "holder": lambda value: round(value, 2),
    "across": int,
    "up": int,
    "drawn": str,
}
PLAYED, PAUSED = "▶ Play the loops", "❚❚ Pause"


def play_button(step: Slider, **wide: Any) -> Button:
    """Return a button that goes through the loops of a slider, in the browser."""
    button = Button(label=PLAYED, **wide)
    given = {"step": step, "button": button, "play": PLAYED, "pause": PAUSED}
    button.js_on_click(CustomJS(args=given, code=PLAY))
    return button


class Controls:
    """What a reader can move, at a setting's values.

    Parameters
    ----------
    setting : Setting
    dark : bool
        Whether the button of the theme leads to the light one.
    wide : dict
        Width and style, as :func:`looprate.figures.explorer.look.sheet` gives them.
    """

    def __init__(self, setting: Setting, *, dark: bool, wide: dict[str, Any]) -> None:
        self.wide = wide
        known = [("", "choose an example"), *((v, k) for k, v in EXAMPLES.items())]
        self.examples = Select(title="Examples", options=known, value="", **wide)
        self.target = TextInput(title="Target: a name, or formula: ...", **wide)
        self.smoothness = Slider(title="Smoothness", start=0, end=1, value=0, step=1, **wide)
        self.tokens = Spinner(title="N, tokens", step=1, **wide)
        self.dim = Spinner(title="d, coordinates", step=1, **wide)
        self.p = TextInput(title="p of the norm: 1 or more", **wide)
        self.delta = self._powers("radius δ", THREE_DIGITS, -2, 0)
        self.loops = self._powers("loops r", WHOLE, 0, math.log10(LARGEST_LOOPS))
        self.memoriser = Select(title="Memoriser (network)", options=list(MEMORISERS), **wide)
        self.coding = Select(title=CODE_TITLE, options=list(CODES), **wide)
        self.grid = Slider(title="cells a side m", start=2, end=LARGEST_GRID, step=1, value=2,
                           **wide)  # fmt: skip
        self.step = Slider(title="loops done t", start=0, end=1, step=1, value=0, **wide)
        self.holder = Slider(title="s, Hölder exponent of the class", start=ROUGHEST, end=1,
                             step=0.05, value=1, **wide)  # fmt: skip
        self.play = play_button(self.step, **wide)
        self.inputs = [Slider(title="x", start=0, end=1, step=0.01, value=0, format="0[.]000",
                              **wide) for _ in range(LARGEST_SHAPE)]  # fmt: skip
        self.across = Select(title="Picture: to the right", **wide)
        self.up = Select(title="and up", **wide)
        self.drawn = Select(title="What is drawn", options=list(DRAWN.items()), **wide)
        self.certify = Button(label=CERTIFY, **wide)
        self.fit = Button(label=TRAIN, button_type="primary", **wide)
        self.what = Select(
            title="What to download", options=list(EXPORTS), value=EXPORTS[0], **wide
        )
        self.format = Select(title="as", options=list(MEDIA), value="png", **wide)
        self.save = Button(label="Download", **wide)
        other = "light" if dark else "dark"
        self.theme = Button(label=f"Show it {other}", **wide)
        self.theme.js_on_click(CustomJS(args={"other": other}, code=THEME))
        self._hidden()
        self.show(setting)

    def _powers(self, title: str, code: str, start: float, end: float) -> Slider:
        """Return a slider over powers of ten that says the power's value."""
        shown = CustomJSTickFormatter(code=code)
        return Slider(
            title=title, start=start, end=end, value=start, step=STEP, format=shown, **self.wide
        )

    def _hidden(self) -> None:
        """Make what carries files to the reader and the setting to the address."""
        self.payload = ColumnDataSource({"name": [], "mime": [], "base64": []})
        self.address = ColumnDataSource({"query": [""]})
        for source, code in ((self.payload, SAVE), (self.address, ADDRESS)):
            source.js_on_change("data", CustomJS(args={"source": source}, code=code))
            # a model is known to the page by its use
            self.save.js_on_click(CustomJS(args={"source": source}, code=""))

    def show(self, setting: Setting) -> None:
        """Move the controls to a setting."""
        s = setting
        self.target.value, self.tokens.value, self.dim.value = s.target, s.tokens, s.dim
        self.p.value, self.memoriser.value = f"{s.p:g}", s.memoriser
        self.delta.value, self.loops.value = math.log10(s.delta), math.log10(s.loops)
        self.step.end = max(self.step.end, s.step)
        self.grid.value, self.step.value, self.holder.value = s.grid, s.step, s.holder
        self.coding.value, self.drawn.value = s.coding, s.drawn
        self.show_smoothness(s.target)

    def show_one(self, name: str, setting: Setting) -> None:
        """Move one of the numbers or choices back to a setting's."""
        value = getattr(setting, name)
        shown: dict[str, Callable[[Any], Any]] = {
            "delta": math.log10,
            "loops": math.log10,
            "p": "{:g}".format,
            "across": str,
            "up": str,
        }
        getattr(self, name).value = shown.get(name, lambda same: same)(value)

    def show_smoothness(self, target: str) -> None:
        """Show the slider of a target's smoothness, if it has one, at its value."""
        knob = knob_of(target)
        self.smoothness.visible = knob is not None
        if knob is not None:
            self.smoothness.update(
                title=f"{knob.name} ({knob.words})",
                start=knob.low,
                end=knob.high,
                step=knob.step,
                value=knob.value,
            )
        self.examples.value = target if target in EXAMPLES.values() else ""

    def show_input(self, setting: Setting, place: Place) -> None:
        """Show the sliders of the input's coordinates, and the two that the picture is over."""
        names = coordinate_names(setting.tokens, setting.dim)
        for k, slider in enumerate(self.inputs):
            slider.visible = k < len(names)
            if slider.visible:
                slider.update(title=f"x of {names[k]}", value=round(place.floats[k], DIGITS))
        self.drawn.visible = len(names) > 1
        numbered = [(str(k), name) for k, name in enumerate(names)]
        for choice, k in zip((self.across, self.up), setting.plane, strict=True):
            choice.update(options=numbered, value=str(k), visible=len(names) > 2)

    def layout(self) -> dict[str, Any]:
        """Return the controls in columns, by the part of the page that they belong to."""
        plain = {"sizing_mode": "stretch_width"}
        parts = {
            "theme": [self.theme],
            "function": [
                *(self.examples, self.target, self.smoothness),
                *(row(self.tokens, self.dim, **plain), self.p),
                *(*self.inputs, self.drawn, self.across, self.up),
            ],
            "networks": [self.memoriser, self.coding, self.grid, self.step, self.play,
                         self.certify],
            "bounds": [self.loops, self.fit],
            "radius": [self.delta],
            "take": [row(self.what, self.format, self.save, **plain)],
        }  # fmt: skip
        return {name: column(*made, name=name, **plain) for name, made in parts.items()}
