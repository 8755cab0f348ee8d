"""The figure of costs: every line where its rows are; its trivial study stores every point."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cases.drawn import legend, line
from cases.scaling_rows import figure_rows
from looprate.figures.drawing import KINDS, make_figure
from looprate.figures.rows import check_columns, read_rows
from looprate.figures.scaling import BUDGET

ROOT = Path(__file__).resolve().parent.parent
ROWS = figure_rows()


def test_lines_are_the_rows_in_order():
    figure = make_figure("scaling", ROWS)
    drawn = [ax for ax in figure.axes if ax.axison]
    assert [ax.get_title() for ax in drawn] == [
        *("scheduling and storage", "training step over loops", "training step over N and d"),
    ]
    for ax in drawn:
        np.testing.assert_array_equal(line(ax, "one").get_xdata(), [1, 10, 100])
        np.testing.assert_array_equal(line(ax, "two").get_ydata(), [2, 20, 200])
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert legend(drawn[0]) == ["one", "two", "5 ms"]
    assert set(line(drawn[0], "5 ms").get_ydata()) == {BUDGET}
    assert legend(drawn[1]) == ["one", "two"]


def test_an_unknown_panel_is_refused():
    wrong = [{"panel": "speed", "label": "a", "position": 1.0, "value": 1.0}]
    kind = KINDS["scaling"]
    with pytest.raises(ValueError, match="column `panel` must hold overhead, memory, loops, size"):
        check_columns(wrong, kind.columns, kind.choices, name="a.csv")


def test_the_rows_of_the_page_can_be_drawn():
    rows = read_rows(ROOT / "docs" / "figures" / "scaling__cpu.csv")
    kind = KINDS["scaling"]
    check_columns(rows, kind.columns, kind.choices, name="scaling__cpu.csv")
    assert len([ax for ax in make_figure("scaling", rows).axes if ax.axison]) == 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_trivial_study_stores_every_point(tmp_path):
    command = [sys.executable, "benchmarks/scaling.py", "--child", "60", "1", str(tmp_path)]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert 0 < found["ms"] < 1000
    assert 1100 < found["bytes"] < 1300
    assert list(tmp_path.iterdir()) == []
