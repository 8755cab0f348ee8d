"""Heat map of every row of the residual stream over the loops."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator
from matplotlib.transforms import blended_transform_factory
from numpy.typing import NDArray

from looprate.figures.common import is_narrow, plain_text
from looprate.figures.rows import Cell, Row, column, distinct, where
from looprate.figures.style import TOKEN_STYLE, points

STAGES = {"quantise": "1 quantise", "context": "2 context", "values": "3 values"}
COLOUR_MAP, PALEST = "Blues", -0.08  # monotone in greyscale; the least is still seen on white
SHIFT = 2.0  # of the loop under the logarithm: the larger, the narrower the first loops
LETTERS, FITTING = 0.9, 22  # size of a line's name in font sizes, and how many of that size fit
TICKS = (0, 1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
SHARED = "all tokens"
#: Row of the state, without the number of its coordinate -> what it holds.
WORDS = {
    "x": "input, cells passed",
    "z": "cell",
    "b": "cell, 1st coordinate",
    "left": "left the sorting",
    "rank": "rank",
    "y": "output so far",
    "s": "context of all",
    "largest": "largest cell found",
    "top": "largest key found",
    "cell": "its cell",
    "clock": "clock",
    "gate": "gate of stage 2",
    "D": "increment now",
    "C": "increments to come",
    "e": "bit now",
}


def draw_state(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw each row of the stream from its least to its largest value, token by token.

    Parameters
    ----------
    ax : Axes
        Empty; gets an x axis that is logarithmic in loop + SHIFT: the first stages are short.
    rows : sequence of rows
        Those of the panel state of :mod:`looprate.figures.stages.figure`.
    """
    lines = _lines(rows)
    loops = np.unique(column(rows, "loop"))
    share = np.array([_normalised(where(rows, token=t, name=n), loops) for t, n in lines])
    edges = np.append(loops - 0.5, loops[-1] + 0.5)
    ax.set_xscale("function", functions=(_spread, _unspread))
    mesh = ax.pcolormesh(
        edges, np.arange(len(lines) + 1), share, cmap=COLOUR_MAP, vmin=PALEST, vmax=1.0
    )
    mesh.set_rasterized(True)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(len(lines), 0)
    ax.xaxis.set_major_locator(FixedLocator([t for t in TICKS if t <= loops[-1]]))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yticks(np.arange(len(lines)) + 0.5, [words_of(str(name)) for _, name in lines])
    size = float(matplotlib.rcParams["font.size"]) * min(LETTERS, LETTERS * FITTING / len(lines))
    ax.tick_params(axis="y", length=0, labelsize=size)
    ax.set_xlabel("after loop (0: the input)")
    _name_tokens(ax, [token for token, _ in lines])
    _name_stages(ax, rows)
    _key(ax)


def words_of(name: str) -> str:
    """Return what a row of the state holds, or its name where no words are known."""
    row, _, coordinate = name.partition("_")
    words = WORDS.get(row)
    if words is None:
        return plain_text(name)
    return words if coordinate in ("", "0") else f"{words}, {int(coordinate) + 1}"


def _spread(loops: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where loops are on the axis."""
    return np.log(np.asarray(loops) + SHIFT)


def _unspread(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Which loops are at places of the axis."""
    return np.exp(np.asarray(places)) - SHIFT


def _lines(rows: Sequence[Row]) -> list[tuple[Cell, Cell]]:
    """Token and name of each line from the top: token by token, then what all share."""
    tokens: list[Cell] = [*sorted(float(t or 0.0) for t in distinct(rows, "token")), None]
    return [(t, name) for t in tokens for name in distinct(where(rows, token=t), "name")]


def _normalised(rows: Sequence[Row], loops: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values over the loops from 0 (least) to 1 (largest), 0 if constant, nan where missing."""
    values = np.full_like(loops, np.nan)
    values[np.searchsorted(loops, column(rows, "loop"))] = column(rows, "height")
    values[~np.isfinite(values)] = np.nan
    if not np.isfinite(values).any():
        return values
    low, high = np.nanmin(values), np.nanmax(values)
    return (values - low) / (high - low) if high > low else values - low


def _name_tokens(ax: Axes, tokens: Sequence[Cell]) -> None:
    """Part the groups of lines and write left of the names whose they are."""
    for token in dict.fromkeys(tokens):
        first = tokens.index(token)
        count = tokens.count(token)
        style = TOKEN_STYLE.get(int(token)) if token is not None else None
        if first:
            ax.axhline(first, color="white", linewidth=points(3.0))
        ax.text(
            1.01,
            first + count / 2,
            style.name if style else SHARED,
            transform=blended_transform_factory(ax.transAxes, ax.transData),
            rotation=270,
            ha="left",
            va="center",
            color=style.colour if style else "black",
        )


def _name_stages(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw a line where a stage begins and write its name above."""
    for stage, words in STAGES.items():
        loops = column(where(rows, stage=stage), "loop")
        if not loops.size:
            continue
        left, right = float(loops.min()) - 0.5, float(loops.max()) + 0.5
        ax.axvline(left, color="black", linewidth=points(0.9), label=f"_{stage}")
        ax.text(
            float(_unspread(_spread(np.array([left, right])).mean())),
            1.01,
            words.split()[0] if is_narrow() and right < ax.get_xlim()[1] else words,
            transform=blended_transform_factory(ax.transData, ax.transAxes),
            ha="center",
            va="bottom",
            fontsize="small",
        )


def _key(ax: Axes) -> None:
    """Colour bar: the colours are those of each line's own range."""
    figure = ax.get_figure()
    if figure is None:
        return
    bar = figure.colorbar(
        ax.collections[0], ax=ax, ticks=[0.0, 1.0], pad=0.035, fraction=0.03, aspect=30
    )
    bar.ax.set_yticklabels(["its\nleast", "its\nlargest"])
    bar.ax.set_ylim(0.0, 1.0)
    bar.outline.set_visible(False)
