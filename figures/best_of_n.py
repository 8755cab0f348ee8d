"""What more starts buy: the best of n starts against n, for every loop count, before the polish."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from looprate.figures.common import (
    family_panels,
    fit_width,
    loop_counts,
    norm_name,
    setting_title,
)
from looprate.figures.rows import Row, column, where
from looprate.figures.style import FAMILY_STYLE, points, shade_of
from looprate.figures.training_curves import legend_of_counts
from looprate.theory.tables import TABLES

SIZE = (2.5, 2.6)  # inches a panel, at the size of a page
MARGIN = 1.0  # inches to the right of the panels, for the legend
COLUMNS = TABLES["best-of-n"]
CHOICES = {"family": tuple(FAMILY_STYLE)}
ALT = (
    "Least error of n starts against n, one panel a family and one line a loop count: a line that "
    "still falls at its right end says that more starts would help."
)


def panels(rows: Sequence[Row]) -> list[str]:
    """Return the families that were searched, one panel each."""
    return [name for name in FAMILY_STYLE if where(rows, family=name)]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a family: median of the bootstrap, with its central 90 % as a band."""
    counts = loop_counts(rows)
    grid = family_panels(figure, panels(rows), rows, partial(_draw_family, counts=counts))
    what = "A line still falling at its right end: more starts would help"
    fit_width(figure.suptitle(f"{what}\n{setting_title(rows)}", fontsize="large"))
    legend_of_counts(grid[-1], counts, "median;\nband: 90 %\nof draws")


def _draw_family(ax: Axes, rows: Sequence[Row], counts: Sequence[float]) -> None:
    """Draw one family; colours are set by ``counts``."""
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    for loops in (count for count in counts if where(rows, loops=count)):
        own = sorted(where(rows, loops=loops), key=lambda row: float(row["starts"] or 0))
        n, median, low, high = (column(own, name) for name in ("starts", "value", "low", "high"))
        colour = shade_of(counts.index(loops), len(counts))
        ax.plot(n, median, color=colour, linewidth=points(1.0), label=f"{loops:g}")
        ax.fill_between(n, low, high, color=colour, alpha=0.12, linewidth=0.0)
    shown = sorted({int(n) for n in column(rows, "starts")})
    ax.set_xticks(shown[::2], [str(n) for n in shown[::2]])
    ax.set_xlabel("starts $n$")
    ax.set_ylabel(f"best of $n$, {norm_name(rows)} error")
    ax.margins(x=0.0)
