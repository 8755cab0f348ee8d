"""The figure of the stages of a network: what each panel shows, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from cases.construction_rows import GRID, INPUT, stage_rows
from cases.drawn import change, legend, line, texts
from looprate.figures.drawing import make_figure
from looprate.figures.style import TOKEN_STYLE


@pytest.fixture(scope="module")
def panels():
    """The axes of the five panels by name."""
    names = ("cells", "order", "staircase", "step", "state")
    return dict(zip(names, make_figure("stages", stage_rows()).axes, strict=False))


def test_the_chosen_input_is_in_its_cell_and_the_diagonal_is_hatched(panels):
    ax = panels["cells"]
    (point,) = [one for one in ax.get_lines() if one.get_label() == "input"]
    assert point.get_xydata().tolist() == [list(INPUT)]
    collisions = [patch for patch in ax.patches if patch.get_label() == "_collision"]
    assert [patch.get_xy() for patch in collisions] == [(i / GRID, i / GRID) for i in range(GRID)]
    assert all(patch.get_hatch() for patch in collisions)
    (cell,) = [patch for patch in ax.patches if patch.get_label() == "_chosen"]
    assert cell.get_xy() == (1 / GRID, 2 / GRID)
    assert cell.contains_point(ax.transData.transform(INPUT))
    assert "cells 1 and 2" in ax.texts[0].get_text()
    assert (ax.get_xlim(), ax.get_ylim()) == ((0, 1), (0, 1))


def test_keys_are_drawn_per_token_and_the_maximum_names_the_token_it_takes(panels):
    ax = panels["order"]
    for token, keys in ((1, [1, 1, -5]), (2, [2, -4, -4])):
        found = line(ax, f"token {token}")
        assert found.get_xydata().tolist() == [[3 + i, key] for i, key in enumerate(keys)]
        assert found.get_color() == TOKEN_STYLE[token].colour
    assert line(ax, "maximum").get_xydata().tolist() == [[3, 2], [4, 1]]
    assert texts(ax) == ["2", "1"]


def test_a_step_is_the_difference_of_two_relus(panels):
    ax = panels["step"]
    upper, lower, step = (
        line(ax, words).get_ydata() for words in ("relu$(u+1)$", "relu$(u)$", "their difference")
    )
    assert np.array_equal(upper - lower, step)
    assert set(step) == {0, 1}


def test_the_staircase_parts_labels_in_use_from_padding(panels):
    ax = panels["staircase"]
    used, padding = line(ax, "table: in use"), line(ax, "padding")
    rows = [row for row in stage_rows() if row["name"] == "table"]
    assert set(used.get_xdata()) == {row["position"] for row in rows if row["used"]}
    assert set(padding.get_xdata()) == {row["position"] for row in rows if not row["used"]}
    assert line(ax, "network").get_drawstyle() == "steps-mid"
    for token, label in ((1, 43), (2, 44)):
        mark = line(ax, f"token {token}: label {label}")
        assert list(mark.get_xdata()) == [label]
        assert mark.get_color() == TOKEN_STYLE[token].colour
    assert legend(ax)[-1] == "token 2: label 44"


def test_outputs_at_labels_in_use_alone_are_marks_without_a_staircase():
    rows = [row for row in stage_rows() if row["name"] != "network" or row["used"]]
    found = line(make_figure("stages", rows).axes[2], "network")
    assert (found.get_linestyle(), found.get_marker()) == ("None", "D")


def test_the_heat_map_has_a_line_per_row_each_from_its_least_to_its_largest(panels):
    ax = panels["state"]
    names = [text.get_text() for text in ax.get_yticklabels()]
    own = ["input, cells passed", "cell", "context of all", "out", "max", "output so far"]
    bits = ["up bits", "down bits", "up bit", "down bit"]  # of which no words are known
    assert names == [*own, *own, "clock", "gate of stage 2", *bits]
    share = ax.collections[0].get_array()
    assert share.shape[0] == len(names)
    assert np.all(share.min(axis=1) == 0)
    assert np.all(share.max(axis=1) == 1)
    assert texts(ax) == [
        "token 1", "token 2", "all tokens", "1 quantise", "2 context", "3 values"
    ]  # fmt: skip
    begins = [float(line(ax, f"_{stage}").get_xdata()[0]) for stage in ("quantise", "context")]
    assert begins == [0.5, GRID - 0.5]


def test_a_row_that_never_changes_is_drawn_as_its_least():
    rows = change(stage_rows(), {"height": 7.0}, panel="state", name="gate")
    ax = make_figure("stages", rows).axes[4]
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert not np.any(ax.collections[0].get_array()[names.index("gate of stage 2")])


REFUSED = {
    "tokens": ({"tokens": 3}, {}, "column `tokens` must be 2 everywhere"),
    "dim": ({"dim": 2}, {}, "column `dim` must be 1 everywhere"),
    "grid": ({"grid": 4}, {"name": "cell"}, "column `grid` must hold one whole number"),
    "token": ({"token": 3}, {"name": "key", "token": 2}, "must hold 1 or 2, got 3; write whose"),
    "no token": ({"token": None}, {"name": "chosen"}, "staircase must hold 1 or 2, got None"),
    "loop": ({"loop": None}, {"name": "clock"}, "`loop` of the panel state must hold a number"),
    "position": ({"position": None}, {"name": "relu(u)"}, "`position` of the panel step must hold"),
    "name": ({"name": "relu"}, {"name": "relu(u)"}, r"of the panel step must hold relu\(u\+1\)"),
    "absent": ({"panel": "state"}, {"panel": "order"}, "of the panel order must hold key, maximum"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_rows_that_are_no_network_of_two_scalars_are_refused(name):
    new, equal, words = REFUSED[name]
    with pytest.raises(ValueError, match=words):
        make_figure("stages", change(stage_rows(), new, **equal))
