"""How figures look: rcParams as functions, and one table per meaning a colour can have.

Nothing here is global: a style is a dictionary that the drawing applies for its own time only.
matplotlib is loaded by what draws with it: the explorer's page takes colours and no more.
No other file of figures names a colour of its own.  Within a table colours also differ in
greyscale and for eyes without green: blue is without eta(t), orange with it, whatever was built.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from looprate.theory.construction.memorisers import MEMORISERS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

__all__ = [
    "FAMILY_STYLE",
    "GREY",
    "KIND_STYLE",
    "TERM_STYLE",
    "THEOREM_STYLE",
    "TOKEN_STYLE",
    "LineStyle",
    "on_dark",
    "paper",
    "points",
]

LEAST_TICKS = 3  # of a logarithmic axis of few decades, where the steps allow it
TICKS = ((1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.1, 1.2, 1.4, 1.7, 2, 2.5, 3, 4, 5, 6, 7, 8, 9))
COLOUR_MAP, LIGHTEST = "viridis", 0.88  # monotone in greyscale; the yellow end is cut
FINEST = 6.5  # points
PHONE = 3.9  # inches: the width of a page on a phone
RcParams = dict[Any, Any]  # str -> value; the stubs of matplotlib want literal keys

GREY = "0.35"  # the best constant: context, not a claim
PALE = "0.72"  # what is there to compare and has no name
CHOSEN = "#F0E442"  # the one cell, of many
RIGHT, WRONG = "#0072B2", "#B23A00"  # of cells that a network filled in
ALARM = "#D55E00"  # look here
PARTS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7")  # of a panel, which mean nothing elsewhere
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
    "token": LineStyle("#007A5A", "s", 1.5, r"token $w_{\mathrm{tok}}$"),
    "contextual": LineStyle("#D484B0", "^", 0.8, r"contextual $w_{\mathrm{cont}}$"),
}
THEOREM_STYLE = LineStyle("#000000", "", 1.3, "Theorem 3.6")
MEMORISER_LINES = {  # by family, shades of its hue; widths differ, as they may meet at 0
    "lt": (("#4193D0", "o", 1.5), ("#031633", "^", 0.8)),
    "tmlt": (("#E8991F", "s", 1.1), ("#A04F0C", "D", 1.3), ("#63290A", "v", 0.95)),
}
_lines = {family: cycle(lines) for family, lines in MEMORISER_LINES.items()}
MEMORISER_STYLE = {
    name: LineStyle(*next(_lines[kind.family]), name) for name, kind in MEMORISERS.items()
}
TOKEN_STYLE = {
    1: LineStyle(KIND_STYLE["token"].colour, "o", 1.2, "token 1"),
    2: LineStyle(KIND_STYLE["contextual"].colour, "s", 1.2, "token 2"),
}
TOKEN_COLOURS = (TOKEN_STYLE[1].colour, TOKEN_STYLE[2].colour, *PARTS[:2], "#56B4E9", "#8A8A8A")
TERM_STYLE = {
    "token": TermStyle(KIND_STYLE["token"].colour, "", "token"),
    "context": TermStyle(KIND_STYLE["contextual"].colour, "...", "context"),
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


def phone() -> RcParams:
    """Return the rcParams of a figure 390 pixels wide, whose letters are 9 pixels and more."""
    return (
        _base(font=8.5, line=1.5)
        | _even(7.3)
        | {
            "savefig.dpi": 200,
            "figure.figsize": (PHONE, PHONE),
        }
    )


@dataclass(frozen=True)
class Style:
    """One way to draw every figure.

    Attributes
    ----------
    parameters : callable
        Returns its rcParams.
    scale : float
        By which its figures are larger than the paper's.
    stacked : bool
        Whether panels are below each other.
    """

    parameters: Callable[[], RcParams]
    scale: float = 1.0
    stacked: bool = False


STYLES: dict[str, Style] = {
    "paper": Style(paper),
    "slides": Style(slides, 1.8),
    "poster": Style(poster, 3.0),
    "phone": Style(phone, stacked=True),
}

# -- dark ------------------------------------------------------------------------------------------
PAPER, INK, BEND = 0.21, 0.95, 1.3  # lightness of what is white and black on white; and between
DEEPEST, GREYEST = 0.46, 0.05  # no hue is darker; chroma from which a colour has one
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)  # of B. Ottosson's Oklab, whose lightness is that which is seen
TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def on_dark(colour: Any) -> str:
    """Return a colour of the tables as it is drawn on black: light for dark, of the same hue."""
    from matplotlib.colors import to_hex, to_rgb

    light, *hue = TO_LAB @ np.cbrt(TO_CONES @ _linear(np.array(to_rgb(colour))))
    floor = PAPER + (DEEPEST - PAPER) * min(1.0, float(np.hypot(*hue)) / GREYEST)
    light = INK - (INK - floor) * light**BEND
    for share in np.linspace(1.0, 0.0, 21):  # as vivid as a screen can
        cones = np.linalg.solve(TO_LAB, [light, *(share * np.array(hue))]) ** 3
        rgb = np.linalg.solve(TO_CONES, cones)
        if rgb.min() >= -1e-3 and rgb.max() <= 1.0 + 1e-3:
            break
    return to_hex(_seen(rgb.clip(0.0, 1.0)))


def _linear(seen: Any) -> Any:
    """Amounts of light of sRGB values."""
    return np.where(seen <= 0.04045, seen / 12.92, ((seen + 0.055) / 1.055) ** 2.4)


def _seen(linear: Any) -> Any:
    """SRGB values of amounts of light."""
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


# -- axes ------------------------------------------------------------------------------------------
def shade_of(index: int, count: int) -> str:
    """Return the colour of the index-th of several counts, dark to light."""
    import matplotlib

    share = index / (count - 1) if count > 1 else 0.0
    return matplotlib.colors.to_hex(matplotlib.colormaps[COLOUR_MAP](LIGHTEST * share))


def points(factor: float) -> float:
    """Return a line width in points: ``factor`` times that of the style in force."""
    import matplotlib

    return factor * float(matplotlib.rcParams["lines.linewidth"])


def fine_print() -> float:
    """Return the size of the smallest letters in points: still 9 pixels high on a phone."""
    import matplotlib

    return max(0.7 * float(matplotlib.rcParams["font.size"]), FINEST)


def plain_ticks(axis: Axis, places: Sequence[float]) -> None:
    """Label an axis with plain numbers at some places, and nowhere else."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(list(places)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def plain_log_ticks(ax: Axes) -> None:
    """Label a logarithmic y axis of few decades with plain numbers, at 1, 2 and 5 if it can."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    low, high = ax.get_ylim()
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    if len(decades) > 5:
        return
    for steps in TICKS:
        ticks = [k * 10.0**e for e in decades for k in steps if low <= k * 10.0**e <= high]
        if len(ticks) >= LEAST_TICKS:
            break
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


def _even(least: float) -> RcParams:
    """Letters of legends and ticks of these points."""
    names = ("legend.fontsize", "legend.title_fontsize", "xtick.labelsize", "ytick.labelsize")
    return dict.fromkeys(names, least)


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


def coordinate_names(tokens: int, dim: int) -> list[str]:
    """Return what readers see of the coordinates of an input, token by token."""
    return [
        f"token {n + 1}" if dim == 1 else f"token {n + 1}, coordinate {i + 1}"
        for n in range(tokens)
        for i in range(dim)
    ]
