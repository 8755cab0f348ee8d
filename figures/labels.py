"""Names at the ends of lines, in their colours, where a legend would have to be looked up.

A name is tried at places around the end of its line; the place it gets lies on no other name, on as
little of any line as there is, pale ones apart, and near.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from looprate.figures.style import PALE

ENTRY = "entry"  # the mark of texts that tell lines apart
GAP = 0.45  # between a line and its name, in font sizes
STEP, STEPS = 0.4, 24  # how far apart the places are, and how many up and as many down
PIXELS = 4.0  # between the points at which a line is looked at
MOST_ROOM = 0.55  # of the width of the axes, to the right of the last end
ON_NAME, OUTSIDE, ON_LINE = 1e6, 1e5, 15.0  # costs, in pixels of distance


@dataclass(frozen=True)
class End:
    """A name and the point that it is of, in the units of the axes.

    Attributes
    ----------
    x, y : float
    text : str
    colour : str
    side : {"right", "below"}
        Of the point, on which the name is.
    mark : str
        What kind of text this is.
    """

    x: float
    y: float
    text: str
    colour: str
    side: Literal["right", "below"] = "right"
    mark: str = ENTRY


def end_of(line: Line2D, text: str, **look: Any) -> End | None:
    """Return where a line leaves its axes or ends, on the right; None where none of it is seen."""
    if line.axes is None:
        return None
    x, y = (np.asarray(data, dtype=float) for data in line.get_data())
    low, high = line.axes.get_ylim()
    seen = np.isfinite(y) & (y >= low) & (y <= high)
    if not seen.any():
        return None
    at = int(np.flatnonzero(seen)[-1])
    return End(float(x[at]), float(y[at]), text, str(line.get_color()), **look)


def lay_out(figure: Figure | SubFigure) -> None:
    """Give axes the place that they will have, so that letters can be measured against lines."""
    root: Any = figure.get_figure(root=True)
    engine = root.get_layout_engine()
    if engine is not None:
        engine.execute(root)


def room_right(ax: Axes, ends: Sequence[End]) -> None:
    """Let a logarithmic x axis reach so far that names to the right of their ends are inside."""
    width = ax.get_window_extent().width
    left, right = ax.get_xlim()
    for end in (end for end in ends if end.side == "right"):
        text = ax.text(0.0, 0.0, end.text, fontsize="small", transform=None)
        need = min(MOST_ROOM, (text.get_window_extent().width + 2.0 * _gap(ax)) / width)
        text.remove()
        right = max(right, left * math.exp(math.log(end.x / left) / (1.0 - need)))
    ax.set_xlim(left, right)


def place_labels(ax: Axes, ends: Sequence[End]) -> list[Text]:
    """Write every name where it lies on no other name and on as little of a line as can be.

    Parameters
    ----------
    ax : Axes
        With its final limits and, see :func:`lay_out`, its final place.
    ends : sequence of End
        The first has the first choice.

    Returns
    -------
    list of Text
        In the order of ``ends``, each with its ``mark`` as its gid.
    """
    named = [line for line in ax.get_lines() if line.get_color() != PALE]
    lines = np.concatenate([_points(line) for line in named] or [np.empty((0, 2))])
    taken = [text.get_window_extent() for text in ax.texts if text.get_gid()]
    placed = []
    for end in ends:
        text = ax.text(
            end.x, end.y, end.text, color=end.colour, fontsize="small", gid=end.mark, zorder=7
        )
        text.set(va="center" if end.side == "right" else "top", ha="left", in_layout=False)
        text.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.7, "pad": 0.3})
        _move(ax, text, end, taken, lines)
        taken.append(text.get_window_extent())
        placed.append(text)
    return placed


def _move(ax: Axes, text: Text, end: End, taken: Sequence[Bbox], lines: Any) -> None:
    """Put a text at the best of its places."""
    x, y = ax.transData.transform((end.x, end.y))
    size = _gap(ax) / GAP
    inside, here = ax.get_window_extent(), text.get_window_extent()  # as it is at (x, y)

    def cost(place: tuple[float, float]) -> float:
        box = here.translated(place[0] - x, place[1] - y)
        around = box.padded(-0.08 * size)
        hits = sum(1 for other in taken if box.overlaps(other))
        out = sum(inside.contains(*corner) for corner in box.corners()) < 4
        on = int(around.count_contains(lines)) if len(lines) else 0
        far = math.dist(place, (x, y))
        return ON_NAME * hits + OUTSIDE * out + ON_LINE * on + far

    best = min(_places(x, y, end, size), key=cost)
    left, middle = ax.transData.inverted().transform(best)
    text.set_position((float(left), float(middle)))


def _places(x: float, y: float, end: End, size: float) -> Iterator[tuple[float, float]]:
    """Places of a text in pixels, from near to far; of two that are as far the upper."""
    start = 0.0 if end.side == "right" else -GAP
    for k in sorted(range(-STEPS, STEPS + 1), key=lambda k: (abs(k), -k)):
        for along in (GAP, GAP + 2.0, GAP + 5.0, -3.0) if end.side == "right" else (0.0, -2.0, 2.0):
            yield x + along * size, y + (start + k * STEP) * size


def _gap(ax: Axes) -> float:
    """The gap between a line and its name in pixels."""
    dpi = ax.get_figure(root=True).dpi  # type: ignore[union-attr]
    return GAP * float(matplotlib.rcParams["font.size"]) * dpi / 72.0


def _points(line: Line2D) -> NDArray[np.float64]:
    """Points along a line in pixels, close to each other where it is joined, shape (K, 2)."""
    corners = line.get_transform().transform(line.get_xydata())
    corners = corners[np.isfinite(corners).all(axis=1)]
    if len(corners) < 2 or line.get_linestyle() == "None":
        return corners
    lengths = np.append(0.0, np.cumsum(np.hypot(*np.diff(corners, axis=0).T)))
    along = np.linspace(0.0, lengths[-1], 1 + int(min(lengths[-1] / PIXELS, 5e3)))
    return np.column_stack([np.interp(along, lengths, corners[:, k]) for k in (0, 1)])
