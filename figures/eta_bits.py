"""Error against loops with the state in few bits: rounded after training, or during it too."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from looprate.figures.common import is_narrow, loop_counts, norm_name, panel_axes
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import ETA_STYLE, plain_log_ticks, plain_ticks, points, shade_of
from looprate.theory.tables import TABLES

SIZE = (3.3, 3.3)  # inches a panel, at the size of a page
MARGIN = 0.2
COLUMNS = TABLES["eta-bits"]
ALT = (
    "Best error against loops with the network's state rounded to few bits: after training, or "
    "during it as well, beside the state that is not rounded."
)
WHEN = {"never": "-", "after": ":", "during": "--"}
CHOICES = {"arm": ("lt", "silu"), "when": tuple(WHEN)}


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the arms in the rows."""
    return [arm for arm in ETA_STYLE if where(rows, arm=arm)]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel an arm, of the first target, on one y axis."""
    shown = where(rows, target=(distinct(rows, "target") or [None])[0])
    names = panels(shown)
    grid = panel_axes(figure, max(1, len(names)), sharey=True)
    for ax, arm in zip(grid, names, strict=False):
        _draw(ax, where(shown, arm=arm))
        ax.set_title(ETA_STYLE[arm].name, fontsize="medium")
    grid[0].set_ylabel(f"best {norm_name(rows)} error of some starts")
    plain_log_ticks(grid[0])
    ncols = 1 if is_narrow() else 1 + len(names)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=ncols)


def _draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw a line for each number of bits, dotted after training and dashed during it."""
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    several = sorted({float(b) for b in distinct(rows, "bits") if b}, reverse=True)
    for when, line in WHEN.items():
        for bits in [None] if when == "never" else several:
            own = where(rows, when=when, bits=bits)
            if not own:
                continue
            colour = "black" if bits is None else shade_of(several.index(bits), len(several))
            name = f"{bits:g} bits {when} training" if bits else "not rounded"
            x = column(own, "loops")
            ax.plot(x, column(own, "value"), linestyle=line, color=colour, marker="o",
                    linewidth=points(1.0), label=name)  # fmt: skip
            ax.fill_between(x, column(own, "lower"), column(own, "upper"), color=colour,
                            alpha=0.1, linewidth=0.0, label="_interval")  # fmt: skip
    plain_ticks(ax.xaxis, loop_counts(rows))
    ax.set_xlabel("loops $r$")
