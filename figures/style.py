"""How figures look: rcParams as functions, and one table per meaning a colour can have.

Nothing here is global: a style is a dictionary that the drawing applies for its own time only.
Colours are from the palette of Okabe and Ito; within a table they also differ in greyscale.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from looprate.theory.construction.memorisers import MEMORISERS

__all__ = [
    "FAMILY_STYLE",
    "GREY",
    "KIND_STYLE",
    "TERM_STYLE",
    "TOKEN_STYLE",
    "LineStyle",
    "paper",
    "points",
]

COLOUR_MAP, LIGHTEST = "viridis", 0.88  # monotone in greyscale; the yellow end is cut
RcParams = dict[Any, Any]  # str -> value; the stubs of matplotlib want literal keys

GREY = "0.35"  # rates and the best constant: context, not a claim
SHADE: dict[str, Any] = {"facecolor": "0.95", "edgecolor": "0.86", "hatch": "///", "linewidth": 0.0}


@dataclass(frozen=True)
class LineStyle:
    """How one meaning is drawn; ``width`` is a factor of the style's line width."""

    colour: str
    marker: str
    width: float
    name: str


@dataclass(frozen=True)
class TermStyle:
    """How one term of a bound is filled."""

    colour: str
    hatch: str
    name: str


FAMILY_STYLE = {
    "lt": LineStyle("#0072B2", "o", 1.3, "LT"),
    "tmlt": LineStyle("#E69F00", "s", 1.3, "TMLT"),
    "untied": LineStyle("#000000", "^", 0.8, "untied"),
}
ETA_STYLE = {  # where eta comes from; LT and the paper's network as in FAMILY_STYLE
    "lt": LineStyle("#0072B2", "o", 1.3, "LT"),
    "table": LineStyle("#000000", "D", 1.3, "free table"),
    "relu": LineStyle("#009E73", "^", 1.0, "ReLU network of $t$"),
    "silu": LineStyle("#E69F00", "s", 1.3, "SiLU network of $t$ (TMLT)"),
}
KIND_STYLE = {  # widths differ: two moduli may coincide
    "sequence": LineStyle("#000000", "o", 1.0, r"sequence $w$"),
    "token": LineStyle("#009E73", "s", 1.5, r"token $w_{\mathrm{tok}}$"),
    "contextual": LineStyle("#CC79A7", "^", 0.8, r"contextual $w_{\mathrm{cont}}$"),
}
MEMORISER_LINES = (  # the first orange is what needs eta(t), as in FAMILY_STYLE; they may meet at 0
    ("#0072B2", "o", 1.5),
    ("#E69F00", "s", 1.1),
    ("#D55E00", "^", 0.8),
    ("#000000", "D", 1.3),
    ("#F0E442", "v", 0.95),
)
MEMORISER_STYLE = {
    name: LineStyle(*line, name)
    for name, line in zip(MEMORISERS, cycle(MEMORISER_LINES), strict=False)
}
TOKEN_STYLE = {
    1: LineStyle("#009E73", "o", 1.2, "token 1"),
    2: LineStyle("#CC79A7", "s", 1.2, "token 2"),
}
TERM_STYLE = {
    "token": TermStyle("#009E73", "", "token"),
    "context": TermStyle("#CC79A7", "...", "context"),
    "sequence": TermStyle("0.25", "", "sequence"),
    "memoriser": TermStyle("#F0E442", "xxx", "memoriser"),
    "collisions": TermStyle("#56B4E9", "\\\\\\", "collisions"),
    "strips": TermStyle("#D55E00", "---", "strips"),
}


def paper() -> RcParams:
    """Return the rcParams of a figure across a page of text (fonts of 6 to 9 points)."""
    return _base(font=8.0, line=1.3) | {"savefig.dpi": 200}


def slides() -> RcParams:
    """Return the rcParams of a figure on a wall: the same, larger and heavier."""
    return _base(font=15.0, line=2.6) | _frame(1.7) | {"savefig.dpi": 150}


def poster() -> RcParams:
    """Return the rcParams of a figure on an A0 sheet, read from two metres (fonts of 20 to 26)."""
    return _base(font=24.0, line=4.4) | _frame(3.0) | {"savefig.dpi": 120}


#: Name of a style -> its rcParams and the factor by which its figures are larger than the paper's.
STYLES: dict[str, tuple[Callable[[], RcParams], float]] = {
    "paper": (paper, 1.0),
    "slides": (slides, 1.8),
    "poster": (poster, 3.0),
}


def shade_of(index: int, count: int) -> str:
    """Return the colour of the index-th of several counts, dark to light."""
    share = index / (count - 1) if count > 1 else 0.0
    return matplotlib.colors.to_hex(matplotlib.colormaps[COLOUR_MAP](LIGHTEST * share))


def points(factor: float) -> float:
    """Return a line width in points: ``factor`` times that of the style in force."""
    return factor * float(matplotlib.rcParams["lines.linewidth"])


def plain_ticks(axis: Axis, places: Sequence[float]) -> None:
    """Label an axis with plain numbers at some places, and nowhere else."""
    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def plain_log_ticks(ax: Axes) -> None:
    """Label a logarithmic y axis of few decades with plain numbers at 1, 2 and 5."""
    low, high = ax.get_ylim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if len(decades) > 5:
        return
    ticks = [k * 10.0**e for e in decades for k in (1, 2, 5) if low <= k * 10.0**e <= high]
    ax.yaxis.set_major_locator(FixedLocator(ticks))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())


def _frame(factor: float) -> RcParams:
    """Margins, axes, ticks and hatches larger than matplotlib's own by a factor."""
    return {
        "figure.constrained_layout.h_pad": 0.04167 * factor,
        "figure.constrained_layout.w_pad": 0.04167 * factor,
        "axes.linewidth": 0.8 * factor,
        "axes.labelpad": 4.0 * factor,
        "axes.titlepad": 6.0 * factor,
        "hatch.linewidth": 0.6 * factor,
        **{f"{axis}tick.major.size": 3.5 * factor for axis in "xy"},
        **{f"{axis}tick.minor.size": 2.0 * factor for axis in "xy"},
        **{f"{axis}tick.{of}.width": 0.7 * factor for axis in "xy" for of in ("major", "minor")},
        **{f"{axis}tick.{of}.pad": 3.5 * factor for axis in "xy" for of in ("major", "minor")},
    }


def _base(*, font: float, line: float) -> RcParams:
    """What all styles share: fonts every installation has, text kept as text."""
    return {
        "font.family": "DejaVu Sans",
        "mathtext.fontset": "dejavusans",
        "font.size": font,
        "axes.titlesize": 1.1 * font,
        "axes.labelsize": font,
        "legend.fontsize": 0.85 * font,
        "legend.title_fontsize": 0.85 * font,
        "legend.frameon": False,
        "xtick.labelsize": 0.9 * font,
        "ytick.labelsize": 0.9 * font,
        "lines.linewidth": line,
        "lines.markersize": 3.2 * line,
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "hatch.linewidth": 0.5,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "looprate",
    }
