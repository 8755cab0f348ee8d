"""Who attends to whom, loop by loop, on one row of a task on strings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from looprate.figures.common import is_narrow, plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import ALARM, PHONE, fine_print, points
from looprate.figures.tasks.common import MODEL_STYLE
from looprate.theory.tables import TABLES

PANEL = 2.1  # inches
MOST_COLUMNS, MOST_WORDS = 3, 40
COLUMNS = TABLES["task-attention"]
CHOICES = {"model": tuple(MODEL_STYLE)}
COLOUR_MAP = "Greys"
ALT = (
    "Attention weights on one row of the task, loop by loop: dark where a token attends; the "
    "framed row is where the answer is predicted."
)


def panels(rows: Sequence[Row]) -> list[float]:
    """Return the loops in the rows, one panel each."""
    return sorted(float(loop or 0.0) for loop in distinct(rows, "loop"))


def size(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches."""
    count = max(1, len(panels(rows)))
    return PANEL * _across(count) + 0.7, PANEL * -(-count // _across(count)) + 0.6


def stacked(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches where the panels are below each other."""
    return PHONE, 3.4 * max(1, len(panels(rows))) + 0.4


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a loop, on one colour scale.

    Notes
    -----
    Weights are means over the heads, from 0 to the largest of all loops, on a square-root scale; a
    query's weights add up to 1 over its row.  The framed row is where the answer is predicted.
    """
    loops: list[float | None] = [*panels(rows)] or [None]
    across = 1 if is_narrow() else _across(len(loops))
    grid = figure.subplots(-(-len(loops) // across), across, squeeze=False)
    image = None
    for place, (ax, loop) in enumerate(zip(grid.ravel(), loops, strict=False)):
        image = _draw_loop(ax, where(rows, loop=loop), _largest(rows))
        if place + across >= len(loops):  # nothing below
            ax.set_xlabel("token attended to")
    for ax in grid.ravel()[len(loops) :]:
        ax.set_visible(False)
    for ax in grid[:, 0]:
        ax.set_ylabel("token that attends")
    first: Row = rows[0] if rows else {}
    name, heads = str(first.get("name") or ""), first.get("heads")
    model = MODEL_STYLE[str(first["model"])][1].partition(",")[0] if rows else ""
    figure.suptitle(f"{name}, {model}: framed, where the answer is predicted", fontsize="medium")
    if image is not None:
        label = f"attention weight, mean of {heads:g} heads" if heads else "attention weight"
        figure.colorbar(image, ax=grid.ravel().tolist(), label=label, shrink=0.7)


def _across(count: int) -> int:
    """How many panels stand side by side: four make a square."""
    return 2 if count == 4 else min(MOST_COLUMNS, count)


def _draw_loop(ax: Axes, rows: Sequence[Row], largest: float) -> AxesImage:
    """Draw the weights of one loop, with the row of the answer framed."""
    weights = _matrix(rows)
    scale = PowerNorm(0.5, vmin=0.0, vmax=largest)  # so that small weights show, too
    image = ax.imshow(weights, cmap=COLOUR_MAP, norm=scale, interpolation="nearest", aspect="equal")
    for query in distinct(where(rows, asked=True), "query"):
        corner = (-0.5, float(query or 1.0) - 1.5)
        frame = Rectangle(corner, len(weights), 1, facecolor="none", edgecolor=ALARM)
        frame.set(linewidth=points(1.0), label="_asked", clip_on=False, zorder=3)
        ax.add_patch(frame)
    _words(ax, rows, len(weights))
    ax.set_title(f"loop {rows[0]['loop']:g}" if rows else "", fontsize="small")
    return image


def _matrix(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Return the weights, queries down and keys across; nan where there is no row."""
    queries, keys = (column(rows, name).astype(int) for name in ("query", "key"))
    length = max(queries.max(initial=1), keys.max(initial=1))
    weights = np.full((length, length), np.nan)
    weights[queries - 1, keys - 1] = column(rows, "weight")
    return weights


def _words(ax: Axes, rows: Sequence[Row], length: int) -> None:
    """Write the tokens on both axes where there is room."""
    if length > MOST_WORDS:
        ax.set(xticks=[], yticks=[])
        return
    for axis, place in ((ax.xaxis, "key"), (ax.yaxis, "query")):
        words = {int(float(row[place] or 0)): str(row[f"{place}_word"]) for row in rows}
        names = [plain_text(words.get(k + 1, "")) for k in range(length)]
        axis.set_ticks(range(length), names, fontsize=fine_print())
        axis.set_tick_params(length=0)
    if any(len(word.get_text()) > 1 for word in ax.get_xticklabels()):
        ax.tick_params(axis="x", labelrotation=90)


def _largest(rows: Sequence[Row]) -> float:
    """Return the largest weight, 1 if there is none."""
    weights = column(rows, "weight")
    weights = weights[np.isfinite(weights)]
    return float(weights.max(initial=0.0)) or 1.0
