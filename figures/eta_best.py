"""Which eta(t) lowers the best found error, against loops: table, ReLU network, SiLU network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from looprate.figures.common import fit_width, is_narrow, loop_counts, panel_axes
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import ETA_STYLE, GREY, plain_ticks, points
from looprate.theory.tables import TABLES

SIZE = (3.3, 3.3)  # inches a panel, at the size of a page
MARGIN = 0.2
COLUMNS = TABLES["eta-best"]
PANELS = {
    "parameters": "equal parameters: LT widened",
    "blocks": "equal blocks: eta(t) added",
}
CHOICES = {"panel": tuple(PANELS), "arm": ("table", "relu", "silu")}
ALT = (
    "Best error of LT over best error with a timestep network, against loops, for three kinds of "
    "η(t): above 1 it lowers the error, beside LT of as many parameters and of the same block."
)
RATIOS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
APART = 1.05  # factor between the bars of neighbouring arms
ROOM = 1.05  # factor of the axis beyond the values


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the panels in the rows."""
    return [name for name in PANELS if where(rows, panel=name)]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw the ratio of bests over loops: the mean over targets with its bar, each target faint."""
    names = panels(rows)
    grid = panel_axes(figure, max(1, len(names)), sharey=True)
    for ax, name in zip(grid, names, strict=False):
        _draw(ax, where(rows, panel=name))
        ax.set_title(PANELS[name], fontsize="medium")
    ends = np.concatenate([column(rows, name) for name in ("value", "lower", "upper")])
    ends = ends[np.isfinite(ends) & (ends > 0)]
    grid[0].set_ylim(min([0.85, *ends / ROOM]), max([1.18, *ends * ROOM]))
    plain_ticks(grid[0].yaxis, RATIOS)
    grid[0].set_ylabel("best error of LT over best error\n(above 1: η(t) helps)")
    words = str((distinct(rows, "words") or [""])[0]).replace("|", "\n")
    fit_width(figure.suptitle(words, fontsize="small"))
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=1 if is_narrow() else 3,
    )


def _draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw one panel."""
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.axhline(1.0, color=GREY, linewidth=points(0.8), zorder=1, label="_equal")
    for k, (arm, style) in enumerate(
        (arm, style) for arm, style in ETA_STYLE.items() if where(rows, arm=arm)
    ):
        own = where(rows, arm=arm)
        for target in distinct(own, "target"):
            each = where(own, target=target)
            ax.plot(column(each, "loops"), column(each, "value"), color=style.colour, alpha=0.25,
                    linewidth=points(0.6), label=f"_{arm} of {target}", zorder=2)  # fmt: skip
        mean = [row for row in own if not row["target"]]
        x, y = column(mean, "loops") * APART ** (k - 1), column(mean, "value")
        ends = np.abs(np.array([column(mean, "lower"), column(mean, "upper")]) - y)
        ax.errorbar(x, y, ends, color=style.colour, marker=style.marker, label=style.name,
                    linewidth=points(style.width), elinewidth=points(0.8), zorder=4)  # fmt: skip
    plain_ticks(ax.xaxis, loop_counts(rows))
    ax.set_xlabel("loops $r$")
