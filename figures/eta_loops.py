"""Error against the loops at test time, for loops fixed and drawn in training."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from looprate.figures.common import is_narrow, loop_counts, norm_name, panel_axes, plain_text
from looprate.figures.rows import Row, column, distinct, where
from looprate.figures.style import ETA_STYLE, GREY, plain_log_ticks, plain_ticks, points
from looprate.theory.tables import TABLES

SIZE = (2.1, 3.4)  # inches a panel, at the size of a page
MARGIN = 0.3
COLUMNS = TABLES["eta-loops"]
LAWS = {"fixed": "-", "uniform": "--", "log-uniform": ":"}
CHOICES = {"arm": ("lt", "silu"), "law": tuple(LAWS)}
ALT = (
    "Best error against the loops at test time: networks trained at one fixed loop count, and at "
    "drawn ones, below and beyond that count."
)
BEYOND = "0.93"
WIDE = 1.1  # factor of the axis beyond the largest count
TICKS = 6


def panels(rows: Sequence[Row]) -> list[tuple[str, float]]:
    """Return target and training loops of each panel."""
    return [
        (str(target), r)
        for target in distinct(rows, "target")
        for r in loop_counts(where(rows, target=target), "trained")
    ]


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one panel a target and loop count of training, on one y axis, with one legend."""
    names = panels(rows)
    grid = panel_axes(figure, max(1, len(names)), sharey=True)
    for ax, (target, loops) in zip(grid, names, strict=False):
        _draw(ax, where(rows, target=target, trained=loops), loops)
        ax.set_title(f"{_short(target)}\ntrained around $r = {loops:g}$", fontsize="small")
    grid[0].set_ylabel(f"best {norm_name(rows)} error of some starts")
    plain_log_ticks(grid[0])
    figure.legend(
        *grid[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=1 if is_narrow() else 2,
    )


def _draw(ax: Axes, rows: Sequence[Row], loops: float) -> None:
    """Draw a line for each model and law of the loops in training."""
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    counts = loop_counts(rows)
    ax.axvspan(loops, WIDE * max(counts), facecolor=BEYOND, label="more loops than $r$", zorder=0)
    ax.axvline(loops, color=GREY, linestyle="dotted", linewidth=points(0.8), label="_trained")
    for arm, style in ETA_STYLE.items():
        for law, line in LAWS.items():
            own = where(rows, arm=arm, law=law)
            if not own:
                continue
            x = column(own, "loops")
            ax.plot(x, column(own, "value"), linestyle=line, color=style.colour,
                    marker=style.marker, markersize=2.5, linewidth=points(0.9),
                    label=f"{style.name}, {law} loops in training")  # fmt: skip
            ax.fill_between(x, column(own, "lower"), column(own, "upper"), color=style.colour,
                            alpha=0.12, linewidth=0.0, label="_interval")  # fmt: skip
    ax.set_xlim(min(counts) / WIDE, WIDE * max(counts))
    plain_ticks(ax.xaxis, [c for c in counts if c in (1, 2, 4, 8, 16, 32, 64)][-TICKS:])
    ax.set_xlabel("loops at test time")


def _short(target: str) -> str:
    """The name of a target without its sequence part, which all dials here share."""
    return plain_text(target.removeprefix("dial:").replace("sequence=1,", ""))
