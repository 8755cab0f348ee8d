"""How a constructed network works, d = 1 and N = 2: its three stages in five panels.

The rows of the five panels share one table; ``panel`` says which panel a row is of.  Loops are
counted from 1: "at loop t" is what loop t reads, "after loop t" what it leaves.

cells
    Two rows.  ``name`` = input: the chosen input, ``position`` = its token 1, ``height`` = its
    token 2, both in [0, 1].  ``name`` = cell: their cell numbers after the first stage,
    ``position`` = that of token 1, ``height`` = that of token 2, both in 0 .. grid - 1.
order
    ``name`` = key: ``height`` = the key of ``token`` at ``loop``; one row a token and loop of the
    second stage, and one for the loop after it.  ``name`` = maximum: ``height`` = the maximum that
    attention attained at ``loop``, ``token`` = who attained it; one row a loop of the stage.
step
    ``name`` = relu(u+1), relu(u) or step(u), which is their difference: ``position`` = u,
    ``height`` = the value there.
staircase
    ``name`` = table: ``position`` = label, ``height`` = the value it should have, ``used`` = 1 if
    an input has this label, 0 for padding.  ``name`` = network: the same with the value that the
    network gives, at every label (drawn as a staircase) or at those in use (drawn as marks).
    ``name`` = chosen: the label (``position``) of ``token`` of the chosen input, and the network's
    output there (``height``).
state
    ``name`` = a row of the residual stream, ``height`` = its value after ``loop``, loop 0 being the
    input; ``token`` empty where the row is the same for all tokens.  ``stage`` = the stage to which
    ``loop`` belongs, empty at loop 0.  Rows are drawn in the order in which they first appear.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec

from looprate.figures.common import fit_width, is_narrow, setting_title
from looprate.figures.rows import Row, distinct, where
from looprate.figures.stages.panels import (
    STEP_STYLE,
    draw_cells,
    draw_order,
    draw_staircase,
    draw_step,
)
from looprate.figures.stages.state import STAGES, draw_state
from looprate.figures.style import PHONE, TOKEN_STYLE
from looprate.theory.tables import TABLES

SIZE = (6.75, 7.5)  # inches, at the size of a page
STACKED = (PHONE, 13.5)
COLUMNS = TABLES["stages"]
#: Panel -> its title and the names its rows may have, None for any.
PANELS: dict[str, tuple[str, tuple[str, ...] | None]] = {
    "cells": ("1. Which cell?", ("input", "cell")),
    "order": ("2. Which tokens?", ("key", "maximum")),
    "staircase": ("3. Which value?", ("table", "network", "chosen")),
    "step": ("Their building block: a step", tuple(STEP_STYLE)),
    "state": ("The whole run: every row", None),
}
CHOICES = {"panel": tuple(PANELS), "stage": tuple(STAGES)}
STAGE_NAMES = 1.7  # room for them above the heat map, in font sizes
HEIGHTS = (1.0, 0.9, 1.8)  # of the three lines of panels
STACKED_HEIGHTS = (1.1, 1.0, 1.0, 0.9, 2.2)
DRAW = {
    "cells": draw_cells,
    "order": draw_order,
    "staircase": draw_staircase,
    "step": draw_step,
    "state": draw_state,
}
ALT = (
    "A constructed network in three stages: each token finds its cell, attention sorts the tokens "
    "into one label, a staircase maps the label to a value; below, every row of the state over "
    "the loops."
)


def size(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches."""
    return SIZE


def stacked(rows: Sequence[Row]) -> tuple[float, float]:
    """Return width and height in inches where the panels are below each other."""
    return STACKED


def draw_all(figure: Figure, rows: Sequence[Row]) -> None:
    """Draw the five panels.

    Parameters
    ----------
    figure : Figure
        Empty, with constrained layout.
    rows : sequence of rows
        With the columns :data:`COLUMNS`, as said at the top of this module.

    Raises
    ------
    ValueError
        If the rows are not of two tokens of one coordinate, mix grids, a panel has a name that
        is none of its own or lacks one of them, or a row has no token or no place.
    """
    _check_shape(rows)
    for panel, place in _places(figure).items():
        draw = DRAW[panel]
        own = where(rows, panel=panel)
        _check_names(own, panel)
        _check_places(own, panel)
        ax = figure.add_subplot(place)
        draw(ax, own)
        room = STAGE_NAMES * float(matplotlib.rcParams["font.size"]) if panel == "state" else None
        words = PANELS[panel][0]
        ax.set_title(words, loc="left", fontsize="medium", fontweight="bold", pad=room)
    fit_width(figure.suptitle(setting_title(rows), fontsize="large"))


def _places(figure: Figure) -> dict[str, SubplotSpec]:
    """Return where each panel is, in the order in which they are read."""
    if is_narrow():
        column = figure.add_gridspec(len(DRAW), 1, height_ratios=STACKED_HEIGHTS)
        return {name: column[place, 0] for place, name in enumerate(DRAW)}
    grid = figure.add_gridspec(3, 6, height_ratios=HEIGHTS)
    return {
        "cells": grid[0, :3],
        "order": grid[0, 3:],
        "staircase": grid[1, :4],
        "step": grid[1, 4:],
        "state": grid[2, :],
    }


def _check_shape(rows: Sequence[Row]) -> None:
    """Raise unless the rows are of one grid, N = 2 and d = 1."""
    for name, want in (("tokens", 2.0), ("dim", 1.0)):
        found = distinct(rows, name)
        if found != [want]:
            raise ValueError(
                f"column `{name}` must be {want:g} everywhere for this figure, got "
                f"{', '.join(str(one) for one in found) or 'nothing'}; draw a smaller network"
            )
    grids = distinct(where(rows, panel="cells"), "grid")
    if len(grids) != 1 or float(grids[0] or 0.0) % 1.0:
        raise ValueError(
            f"column `grid` must hold one whole number in the panel cells, got "
            f"{', '.join(str(one) for one in grids) or 'nothing'}; write the cells per axis"
        )


def _check_names(rows: Sequence[Row], panel: str) -> None:
    """Raise unless a panel has all of its names and no other."""
    wanted, found = PANELS[panel][1], distinct(rows, "name")
    if wanted is None and found:
        return
    if set(wanted or ()) != set(found) or not found:
        raise ValueError(
            f"column `name` of the panel {panel} must hold {', '.join(wanted or ('row names',))}, "
            f"got {', '.join(str(one) for one in found) or 'nothing'}; write these rows"
        )


def _check_places(rows: Sequence[Row], panel: str) -> None:
    """Raise unless every row has the token and the place that its panel needs."""
    x = "loop" if panel in ("order", "state") else "position"
    for row in rows:
        needs_token = panel == "order" or row.get("name") == "chosen"
        token = row.get("token")
        if token not in TOKEN_STYLE and (needs_token or token is not None):
            raise ValueError(
                f"column `token` of the panel {panel} must hold 1 or 2, got {token}; write whose "
                f"the row {row.get('name')} is"
            )
        if row.get(x) is None:
            raise ValueError(
                f"column `{x}` of the panel {panel} must hold a number, got none in the row "
                f"{row.get('name')}; write where it is"
            )
