"""A figure on black: every colour of a drawn figure is turned, whatever drew it."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Tick
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, to_hex, to_rgba
from matplotlib.figure import Figure, FigureBase
from matplotlib.text import Text

from looprate.figures.style import on_dark

PARTS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")
SHADES = 64  # of a colour map
TURNED = "-on-dark"


def darken(figure: Figure) -> None:
    """Turn the colours of a finished figure, so that dark is light and hues stay what they are."""
    figure.draw_without_rendering()  # ticks and what is in legends is there
    ticks = {id(part) for tick in figure.findobj(Tick) for part in tick.findobj()}
    found: dict[int, Any] = {id(artist): artist for artist in figure.findobj()}
    for artist in list(found.values()):
        box = artist.get_bbox_patch() if isinstance(artist, Text) else None
        if box is not None:
            found[id(box)] = box
    for key, artist in found.items():
        if key not in ticks and not isinstance(artist, Axes | FigureBase):
            _turn(artist)
    for ax in figure.axes:
        _turn_ticks(ax)


def _turn(artist: Any) -> None:
    """Turn the colours of one artist, of those that it has."""
    if isinstance(artist, ScalarMappable) and artist.get_array() is not None:
        shades = artist.get_cmap()
        if not shades.name.endswith(TURNED):
            colours = [on_dark(colour) for colour in shades(np.linspace(0.0, 1.0, SHADES))]
            with artist.callbacks.blocked():  # a colour bar would forget its ticks
                artist.set_cmap(ListedColormap(colours, name=shades.name + TURNED))
        return
    new = {part: _turned(getattr(artist, f"get_{part}")()) for part in PARTS if _has(artist, part)}
    for part, colour in new.items():
        if part != "color" or "facecolor" not in new:
            getattr(artist, f"set_{part}")(colour)


def _has(artist: Any, part: str) -> bool:
    """Whether an artist has a colour of that name."""
    return hasattr(artist, f"get_{part}") and hasattr(artist, f"set_{part}")


def _turned(colour: Any) -> Any:
    """Turn a colour, or each of an array of them; how much is seen through stays."""
    if isinstance(colour, np.ndarray) and colour.ndim == 2:
        return [_turned(tuple(one)) for one in colour]
    *_, alpha = to_rgba(colour)
    if alpha == 0.0:
        return "none"
    return (on_dark(colour), alpha) if alpha < 1.0 else on_dark(to_hex(colour))


def _turn_ticks(ax: Axes) -> None:
    """Let ticks and their labels be light, those that are yet to be made, too."""
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_tick_params(which="both", color=on_dark("black"), labelcolor=on_dark("black"))
