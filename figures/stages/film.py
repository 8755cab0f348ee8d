"""A constructed network at work, as an animation: every input's cell, label and value by loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from looprate.figures.common import fit_width, setting_title
from looprate.figures.dark import darken
from looprate.figures.stages.encoding import FPS, check_suffix, encoded_film
from looprate.figures.stages.state import COLOUR_MAP as CODES
from looprate.figures.stages.state import PALEST
from looprate.figures.style import (
    CHOSEN,
    COLOUR_MAP,
    FAMILY_STYLE,
    PHONE,
    STYLES,
    TOKEN_STYLE,
    coordinate_names,
    points,
)
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.construction.run.film import Film
from looprate.theory.outputs import write_atomically

__all__ = ["write_film"]

SIZE = (PHONE, 5.2)  # inches in every style: it is read on a phone
HEIGHTS = (0.12, 2.0, 0.75, 1.3)  # of the bar of loops, the maps, the table and the staircase
PIXELS = 640  # of the width at the scale of a page


class _Stage(NamedTuple):
    """Seconds that a stage lasts, its name on the bar, and what the map then shows."""

    seconds: float
    name: str
    shown: str


STAGES: dict[str | None, _Stage] = {
    None: _Stage(1.0, "", "token 1: nothing yet"),
    "quantise": _Stage(2.4, "1 cell", "token 1: its cell"),
    "context": _Stage(2.4, "2 label", "token 1: its label"),
    "values": _Stage(6.0, "3 value", "token 1: its output"),
}
LAST = 3.0  # seconds that the end stays
COLUMNS = ("input", "cell", "label", "output", "$f$")  # of the table
PLACES = (0.3, 0.47, 0.61, 0.77, 0.94)  # of their middles
FILLED = {"quantise": 1, "context": 2, "values": 3}  # the column that a stage fills
PENDING = "…"


def write_film(
    film: Film,
    path: Path,
    *,
    style: str = "paper",
    dark: bool = False,
    report: Callable[[float], None] | None = None,
) -> None:
    """Write an animation, whole or not at all.

    Parameters
    ----------
    film : Film
    path : Path
        Its suffix says the format: .gif, .webp, or .mp4 where ffmpeg is installed.
    style : {"paper", "slides", "poster", "phone"}
    dark : bool
        Light on black.
    report : callable, optional
        Called with the fraction done.

    Raises
    ------
    ValueError, OSError
        If the suffix or the place will not do.
    """
    check_suffix(path)
    images = []
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLES[style].parameters())
        scene = Scene(film, style, dark)
        for frame in range(len(film.loops)):
            images.append(scene.image(frame))
            if report is not None:
                report((frame + 1) / len(film.loops))
        encoded = encoded_film(images, _copies(film), path)
    write_atomically(path, encoded)


def _copies(film: Film) -> list[int]:
    """How many FPS-ths of a second each frame stays: a stage of few loops can be followed, too."""
    found = [
        max(1, round(FPS * STAGES[stage].seconds / film.stages.count(stage)))
        for stage in film.stages
    ]
    return [*found[:-1], round(FPS * LAST)]


class Scene:
    """The picture, and what of it changes from loop to loop.

    Parameters
    ----------
    film : Film
    style : str
        In force while this is made and drawn.
    dark : bool
    """

    def __init__(self, film: Film, style: str, dark: bool) -> None:
        scale = STYLES[style].scale
        size = scale * SIZE[0], scale * SIZE[1]
        self.figure = Figure(figsize=size, dpi=PIXELS / SIZE[0], layout="constrained")
        self.canvas = FigureCanvasAgg(self.figure)
        grid = self.figure.add_gridspec(len(HEIGHTS), 2, height_ratios=HEIGHTS)
        self.parts = (
            _Bar(self.figure.add_subplot(grid[0, :]), film),
            _Map(self.figure.add_subplot(grid[1, 0]), film),
            _Table(self.figure.add_subplot(grid[2, :]), film),
            _Staircase(self.figure.add_subplot(grid[3, :]), film),
        )
        _draw_function(self.figure.add_subplot(grid[1, 1]), film)
        fit_width(self.figure.suptitle(_title(film), fontsize="medium"))
        self.show(len(film.loops) - 1)  # the widest numbers
        self.figure.draw_without_rendering()
        self.figure.set_layout_engine("none")  # nothing jumps
        if dark:
            darken(self.figure)

    def show(self, frame: int) -> None:
        """Show what is after one of the film's loops."""
        for part in self.parts:
            part.show(frame)

    def image(self, frame: int) -> Image.Image:
        """Draw what is after one of the film's loops."""
        self.show(frame)
        self.canvas.draw()
        return Image.fromarray(np.asarray(self.canvas.buffer_rgba())).convert("RGB")


def _title(film: Film) -> str:
    """The function, and which network it is that is seen at work."""
    spec = film.construction.spec
    facts = {"target": str(film.target), "latex": film.target.latex, "p": None}
    setting = setting_title([{**facts, "tokens": spec.tokens, "dim": spec.dim}])
    return f"{setting}\n{spec.grid} cells a side, memoriser: {spec.memoriser}"


def _colour(film: Film) -> str:
    """The colour of the family of the network."""
    return FAMILY_STYLE[memoriser_kind(film.construction.spec.memoriser).family].colour


class _Bar:
    """Which stage and loop it is."""

    def __init__(self, ax: Axes, film: Film) -> None:
        self.loops, self.ends = film.loops, np.cumsum(_copies(film))
        whole = self.ends[-2] + 1  # the last frame stays, but the bar is full
        self.ends[-1] = whole
        ax.set(xlim=(0, whole), ylim=(0, 1))
        ax.set_axis_off()
        look: dict[str, Any] = {"edgecolor": "none", "clip_on": False}
        ax.add_patch(Rectangle((0, 0), whole, 1, facecolor="0.88", **look))
        self.gone = Rectangle((0, 0), 0, 1, facecolor=_colour(film), **look)
        ax.add_patch(self.gone)
        for stage in dict.fromkeys(film.stages):
            frames = [k for k, found in enumerate(film.stages) if found == stage]
            start = self.ends[frames[0] - 1] if frames[0] else 0
            if start:
                ax.axvline(start, color="black", linewidth=points(0.8), clip_on=False)
            middle = (start + self.ends[frames[-1]]) / 2
            ax.text(middle, 1.3, STAGES[stage].name, ha="center", va="bottom", fontsize="small")
        self.loop = ax.text(whole, -0.3, "", ha="right", va="top", fontsize="small")

    def show(self, frame: int) -> None:
        """Fill the bar up to a frame."""
        self.gone.set_width(self.ends[frame])
        self.loop.set_text(f"after loop {self.loops[frame]:,} of {self.loops[-1]:,}")


class _Map:
    """What token 1 has found, for every input of the plane: its cell, its label, its output."""

    def __init__(self, ax: Axes, film: Film) -> None:
        self.film, self.ax = film, ax
        blank = np.zeros(film.shape)
        self.codes = _mesh(ax, blank, CODES, (PALEST, 1.0))
        self.values = _mesh(ax, blank, COLOUR_MAP, _range(film))
        _label_plane(ax, film)

    def show(self, frame: int) -> None:
        """Colour codes from their least to their largest, outputs as the function is coloured."""
        film, stage = self.film, self.film.stages[frame]
        shown = {"context": film.labels, "values": film.outputs}.get(str(stage), film.cells)
        heights = shown[frame, :, 0].reshape(film.shape)
        self.values.set_visible(stage == "values")
        self.codes.set_visible(stage != "values")
        if stage == "values":
            self.values.set_array(heights)
        else:
            self.codes.set_array((heights - heights.min()) / max(np.ptp(heights), 1e-300))
        self.ax.set_title(STAGES[stage].shown, fontsize="medium")


class _Table:
    """The way of one input through the network: a line a token, a column a stage."""

    def __init__(self, ax: Axes, film: Film) -> None:
        self.film, self.tokens = film, range(min(film.construction.spec.tokens, 2))
        ax.set(xlim=(0, 1), ylim=(-0.6 - len(self.tokens), 0.6))
        ax.set_axis_off()
        self.now = {
            stage: ax.add_patch(
                Rectangle((PLACES[k] - 0.08, ax.get_ylim()[0]), 0.16, 1.2 + len(self.tokens))
            )
            for stage, k in FILLED.items()
        }
        for patch in self.now.values():
            patch.set(facecolor=CHOSEN, edgecolor="none", alpha=0.5, clip_on=False)
        look: dict[str, Any] = {"va": "center", "ha": "center"}
        for place, words in zip(PLACES, COLUMNS, strict=True):
            ax.text(place, 0, words, fontweight="bold", **look)
        self.cells = [[ax.text(x, -1 - n, "", **look) for x in PLACES] for n in self.tokens]
        for n in self.tokens:
            style = TOKEN_STYLE[n + 1]
            ax.text(0, -1 - n, style.name, color=style.colour, ha="left", va="center")
            self.cells[n][0].set_text(_place(film.inputs[film.chosen, n]))
            self.cells[n][4].set_text(_number(film.wanted[n]))

    def show(self, frame: int) -> None:
        """Fill the columns that are known, and mark the one that is being filled."""
        film, stage = self.film, self.film.stages[frame]
        for name, patch in self.now.items():
            patch.set_visible(name == stage)
        reached = FILLED.get(str(stage), 0)
        for n in self.tokens:
            at = frame, film.chosen, n
            said = (f"{film.cells[at]:.0f}", f"{film.labels[at]:.0f}", _number(film.outputs[at]))
            complete = film.loops[frame] >= film.construction.spec.values_start
            known = (reached >= 1, complete, reached >= 3)
            for cell, words, there in zip(self.cells[n][1:4], said, known, strict=True):
                cell.set_text(words if there else PENDING)


class _Staircase:
    """The table of labels, and what the network gives at each of them so far."""

    def __init__(self, ax: Axes, film: Film) -> None:
        self.film, table = film, film.construction.table
        places = np.arange(len(table.values))
        heights = table.values[:, 0] * float(table.unit)
        self.labels = film.labels[-1]
        inside = (self.labels >= 0) & (self.labels < len(places))
        self.inside = np.nonzero(inside.ravel())[0]
        ax.plot(places, heights, color="0.7", linewidth=points(0.8), label="table")
        (self.network,) = ax.plot(
            self.labels.ravel()[self.inside],
            np.zeros(len(self.inside)),
            color=_colour(film),
            marker="o",
            linestyle="none",
            markersize=0.7 * float(matplotlib.rcParams["lines.markersize"]),
            label="network so far",
        )
        self.marks = [self._mark(ax, n) for n in range(min(film.construction.spec.tokens, 2))]
        low, high = min(_range(film)[0], heights.min()), max(_range(film)[1], heights.max())
        ax.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
        ax.yaxis.set_major_locator(MaxNLocator(nbins=4))
        ax.set(xlabel="label", ylabel="value")
        ax.legend(ncols=2, loc="lower left", bbox_to_anchor=(0.0, 0.98), borderaxespad=0.0)

    def _mark(self, ax: Axes, token: int) -> Any:
        """Mark the label of one token of the input that is followed."""
        style, size = TOKEN_STYLE[token + 1], float(matplotlib.rcParams["lines.markersize"])
        label = self.labels[self.film.chosen, token]
        ax.axvline(label, color=style.colour, linewidth=points(0.8), linestyle="dotted")
        look: dict[str, Any] = {"markerfacecolor": "none", "markersize": 2.3 * size, "zorder": 4}
        return ax.plot([label], [0.0], color=style.colour, marker=style.marker, **look)[0]

    def show(self, frame: int) -> None:
        """Move every point to the height that the network gives it."""
        outputs = self.film.outputs[frame]
        self.network.set_ydata(outputs.ravel()[self.inside])
        for token, mark in enumerate(self.marks):
            mark.set_ydata([outputs[self.film.chosen, token]])


def _draw_function(ax: Axes, film: Film) -> None:
    """Draw the function at token 1, to compare."""
    mesh = _mesh(ax, film.function, COLOUR_MAP, _range(film))
    mesh.set_rasterized(True)
    _label_plane(ax, film)
    ax.set_title("the function $f$", fontsize="medium")
    ax.set_ylabel("")
    ax.tick_params(labelleft=False)
    figure = ax.get_figure()
    if figure is not None:
        bar = figure.colorbar(mesh, ax=ax, location="bottom", aspect=14, fraction=0.07, pad=0.03)
        bar.locator = MaxNLocator(nbins=4)
        bar.outline.set_visible(False)


def _mesh(
    ax: Axes, heights: NDArray[np.float64], colours: str, ends: tuple[float, float]
) -> QuadMesh:
    """A map of the plane, its first row at the bottom."""
    edges = [np.linspace(0.0, 1.0, count + 1) for count in heights.shape]
    return ax.pcolormesh(edges[1], edges[0], heights, cmap=colours, vmin=ends[0], vmax=ends[1])


def _range(film: Film) -> tuple[float, float]:
    """The least and the largest value of the function on the plane, apart."""
    low, high = float(film.function.min()), float(film.function.max())
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _label_plane(ax: Axes, film: Film) -> None:
    """Name the axes of the plane and mark the input that is followed."""
    spec, place = film.construction.spec, film.inputs[film.chosen].ravel()
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=(0, 1), yticks=(0, 1))
    across, up = film.plane
    names = coordinate_names(spec.tokens, spec.dim)
    ax.set_xlabel(names[across], labelpad=-6)
    ax.set_ylabel(names[up], labelpad=-6)
    height = place[up]
    if across == up:
        ax.set(yticks=(), ylabel="")
        height = 0.5
    ax.plot([place[across]], [height], color="white", marker="o", markeredgecolor="black")


def _place(token: NDArray[np.float64]) -> str:
    """A token in few digits."""
    shown = ", ".join(f"{x:.2f}" for x in token[:2])
    return shown if len(token) <= 2 else f"{shown}, …"


def _number(value: float) -> str:
    """A value in few digits."""
    return f"{value:.2f}".replace("-", "−")
