"""One Sudoku puzzle after several loops: clues, right cells and wrong cells."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle

from looprate.figures.common import is_narrow
from looprate.figures.rows import Row, distinct, where
from looprate.figures.style import PHONE, RIGHT, WRONG, points
from looprate.figures.tasks.common import MODEL_STYLE, grid_of_panels
from looprate.theory.tables import TABLES

CELL = 0.17  # inches
SMALL = 4  # cells a side of a board of which six fit in one line
COLUMNS = TABLES["task-boards"]
CHOICES = {"model": tuple(MODEL_STYLE)}
CLUE = "0.88"
ALT = (
    "One test puzzle after several loops: clues on grey, cells filled in right in blue, wrong ones "
    "struck through in red; wrong ones grow fewer where more loops help."
)


def panels(rows: Sequence[Row]) -> list[float]:
    """Return the loops after which there is a board, one panel each."""
    return sorted(_number(loop) for loop in distinct(rows, "loop"))


def size(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches."""
    side, across = CELL * len(distinct(rows, "row")) + 0.35, _across(rows)
    return max(4.0, across * side), -(-len(panels(rows)) // across) * (side + 0.2) + 0.75


def stacked(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches where two boards are beside each other."""
    lines = -(-max(1, len(panels(rows))) // 2)
    return PHONE, lines * 2.3 + 1.1


def draw(ax: Axes, rows: Sequence[Row]) -> None:
    """Draw the board after the first loop in the rows.

    Parameters
    ----------
    ax : Axes
        Empty.
    rows : sequence of rows
        With the columns :data:`COLUMNS`.

    Notes
    -----
    Clues are bold on grey; cells the model filled in are blue where right, and red and struck
    through where wrong.  A clue that the model does not repeat is struck through as well.
    """
    loop = panels(rows)[0] if panels(rows) else None
    own = where(rows, loop=loop)
    order = max((_number(row["row"]) for row in own), default=1.0)
    for row in own:
        _draw_cell(ax, row)
    for line in range(int(order) + 1):
        for name, draw_line in (("box_rows", ax.axhline), ("box_columns", ax.axvline)):
            edge = own and line % int(_number(own[0][name])) == 0
            draw_line(line, color="black", linewidth=points(1.0 if edge else 0.25))
    ax.set(xlim=(0, order), ylim=(order, 0), aspect="equal", xticks=[], yticks=[])
    empty = where(own, given=False)
    ax.set_title(
        f"loop {loop:g}\n{len(where(empty, right=True))} of {len(empty)} right" if own else "",
        fontsize="small",
    )


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw one board a loop side by side, with one legend below."""
    loops: list[float | None] = [*panels(rows)] or [None]
    grid_of_panels(figure, loops, lambda ax, at: draw(ax, where(rows, loop=at)), _across(rows))
    first: Row = rows[0] if rows else {}
    model, words = str(first.get("model")), ""
    if model in MODEL_STYLE:
        count = f"{_number(first.get('loops')):g}"
        words = f"{MODEL_STYLE[model][1].partition(',')[0]}, trained with $r = {count}$"
    figure.suptitle(f"{first.get('name') or ''}: one test puzzle, {words}", fontsize="medium")
    ncols = 1 if is_narrow() else 3
    figure.legend(handles=_handles(), ncols=ncols, loc="outside lower center")


def _across(rows: Sequence[Row]) -> int:
    """How many boards stand side by side: few where they are large."""
    return max(1, min(len(panels(rows)), 6 if len(distinct(rows, "row")) <= SMALL else 3))


def _draw_cell(ax: Axes, row: Row) -> None:
    """Draw one cell: its background, its digit, and a stroke where it is wrong."""
    x, y = _number(row["column"]) - 1, _number(row["row"]) - 1
    given, right = bool(row["given"]), bool(row["right"])
    if given:
        ax.add_patch(Rectangle((x, y), 1, 1, facecolor=CLUE, linewidth=0.0, label="_clue"))
    colour = WRONG if not right else "black" if given else RIGHT
    digit = int(_number(row["digit"]))
    ax.text(
        x + 0.5,
        y + 0.53,
        f"{digit}" if digit else "·",
        color=colour,
        fontweight="bold" if given else "normal",
        ha="center",
        va="center",
    )
    if not right:
        ax.plot([x + 0.12, x + 0.88], [y + 0.88, y + 0.12], color=WRONG, linewidth=points(0.6),
                label="_wrong")  # fmt: skip


def _handles() -> list[Artist]:
    """Legend: clue, right, wrong, told apart without colour too."""
    return [
        Patch(facecolor=CLUE, label="bold on grey: clue"),
        Line2D([], [], color=RIGHT, marker="$5$", linestyle="none", label="plain: right"),
        Line2D([], [], color=WRONG, label="struck through: wrong"),
    ]


def _number(cell: object) -> float:
    """A cell that is known to be a number."""
    return float(cell) if isinstance(cell, int | float) else 0.0
