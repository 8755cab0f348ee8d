"""The input under a reader's hand: its pictures, its sliders, its table, and what moves it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.document import Document
from bokeh.models import Div

from looprate.figures.explorer import around
from looprate.figures.explorer.controls import Controls
from looprate.figures.explorer.pictures import MapPanel, SlicePanel, moved_to
from looprate.figures.explorer.place import DIGITS, place_of, written
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.words import input_table

MOMENT = 10  # milliseconds in which a drag is taken once


class Hand:
    """The input of a page.

    Parameters
    ----------
    document : Document
        Whose page it is.
    controls : Controls
    setting : callable
        Returns what the page shows.
    moved : callable
        ``point -> None``, called with another input as a setting writes it.
    dark : bool
    """

    def __init__(
        self,
        document: Document,
        controls: Controls,
        setting: Callable[[], Setting],
        moved: Callable[[str], Any],
        *,
        dark: bool,
    ) -> None:
        self.document, self.controls = document, controls
        self.setting, self.moved, self.waiting = setting, moved, False
        self.map = MapPanel(dark)
        self.slice = SlicePanel(dark, self.map.at)
        self.words = Div(text="", name="reading", **controls.wide)
        self.parts = {"map": self.map.part, "slice": self.slice.part, "reading": self.words}
        self.map.at.on_change("data", lambda a, o, new: self._dragged())
        for k, one in enumerate(controls.inputs):
            one.on_change("value", lambda a, o, new, k=k: self._slid(k, new))

    def show(self) -> None:
        """Draw the function around the input and write what becomes of it."""
        s = self.setting()
        here = around.there(s)
        self.controls.show_input(s, here.place)
        self.map.point(s, here.place)
        self.words.text = input_table(here)
        self.slice.show(s, around.slice_of(s), here)
        self.show_map()

    def show_map(self) -> None:
        """Draw what is asked for over two coordinates; f, where there is no network to draw."""
        s = self.setting()
        if s.drawn != "f" and around.there(s).network is None:
            s = s.changed(drawn="f")
        self.map.show(s, around.map_of(s))

    def _dragged(self) -> None:
        """Take the point of the picture in a moment, where it is by then."""
        if not self.waiting:
            self.waiting = True
            self.document.add_timeout_callback(self._dropped, MOMENT)

    def _dropped(self) -> None:
        """Take the point of the picture as the input."""
        self.waiting = False
        place = place_of(self.setting())
        values = moved_to(self.setting(), self.map.at, place)
        if written(values) != written(place.floats):
            self.moved(written(values))

    def _slid(self, k: int, value: float) -> None:
        """Take one coordinate of the input from its slider."""
        values = place_of(self.setting()).floats
        if abs(round(values[k], DIGITS) - value) > 10.0**-DIGITS / 2:
            values[k] = value
            self.moved(written(values))
