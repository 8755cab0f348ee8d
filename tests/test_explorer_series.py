"""Networks trained otherwise are other series, in the picture, its key, its rows and its export."""

from pathlib import Path

import pytest

from looprate.figures.drawing import make_figure
from looprate.figures.explorer import views
from looprate.figures.explorer.export import figure_rows
from looprate.figures.explorer.live import RECIPE_WORDS
from looprate.figures.explorer.panels import ErrorPanel
from looprate.figures.explorer.setting import Setting
from looprate.figures.rows import read_rows, write_rows

ROOT = Path(__file__).resolve().parent.parent
SETTING = Setting(target="token-sine:periods=3")
LIVE = [
    {"family": family, "label": RECIPE_WORDS, "loops": loops, "seed": seed, "value": 0.15}
    for family in ("lt", "tmlt")
    for loops in (1, 2, 4)
    for seed in range(3)
]


def study(folder, label, value, seeds=5):
    """Write a study's rows of the main figure into a folder, and return the folder."""
    (folder / "figures").mkdir(parents=True)
    shape = {"tokens": 2, "dim": 1, "p": 1.0, "target": SETTING.target, "latex": ""}
    rows = [
        {"curve": "trained", "family": family, "label": label, "loops": loops, "seed": seed}
        | {"value": value + 0.001 * seed, "stderr": None, "status": None, **shape}
        for family in ("lt", "tmlt")
        for loops in (1, 2, 4)
        for seed in range(seeds)
    ]
    write_rows(folder / "figures" / "error-against-loops__token-sine.csv", rows)
    return folder


def drawn(rows):
    """Return {label: median at r = 1} of the trained lines of the main figure."""
    ax = make_figure("error-against-loops", rows).axes[0]
    return {
        str(line.get_label()): float(line.get_ydata()[0])
        for line in ax.lines
        if "trained" in str(line.get_label())
    }


def test_live_fits_are_never_pooled_with_stored_ones(tmp_path):  # W1
    stored = study(tmp_path / "quick", "1,500 steps", 0.08)
    rows = figure_rows(SETTING, "error-against-loops", folders=[stored], fitted=LIVE)
    lines = drawn(rows)
    assert lines == {
        "LT trained, 1,500 steps (median, band: all 5 seeds)": 0.082,
        f"LT trained, {RECIPE_WORDS} (median, band: all 3 seeds)": 0.15,
        "TMLT trained, 1,500 steps (median, band: all 5 seeds)": 0.082,
        f"TMLT trained, {RECIPE_WORDS} (median, band: all 3 seeds)": 0.15,
    }


def test_the_page_names_every_series_with_its_recipe_and_seeds(tmp_path):  # W1
    stored = study(tmp_path / "quick", "1,500 steps", 0.08)
    panel = ErrorPanel(False)
    panel.show_trained(views.trained_rows(SETTING, [stored], LIVE))
    assert "LT trained: 1,500 steps, 5 seeds" in panel.key.text
    assert f"LT trained: {RECIPE_WORDS}, 3 seeds" in panel.key.text
    assert set(panel.trained["lt", 0].data["value"]) == {0.08, 0.081, 0.082, 0.083, 0.084}
    assert set(panel.trained["lt", 1].data["value"]) == {0.15}
    assert panel.marks["lt", 0].mark != panel.marks["lt", 1].mark
    panel.show_trained([])
    assert "trained" not in panel.key.text


@pytest.mark.parametrize("label", ["1,500 steps", None], ids=["same recipe", "no recipe"])
def test_two_studies_are_never_pooled_even_under_one_label(tmp_path, label):  # W1
    folders = [study(tmp_path / name, label, v) for name, v in (("one", 0.08), ("two", 0.3))]
    lines = drawn(figure_rows(SETTING, "error-against-loops", folders=folders))
    word = label or views.STORED
    for family in ("LT", "TMLT"):
        for name, value in (("one", 0.082), ("two", 0.302)):
            assert lines[f"{family} trained, {word}, {name} (median, band: all 5 seeds)"] == value


def test_a_copy_of_a_file_adds_no_networks(tmp_path):  # W1
    folders = [study(tmp_path / name, "1,500 steps", 0.08) for name in ("one", "two")]
    rows = views.trained_rows(SETTING, folders)
    assert rows == views.trained_rows(SETTING, folders[:1])
    assert len(rows) == 2 * 3 * 5
    again = study(tmp_path / "three", RECIPE_WORDS, 0.15, seeds=3)
    assert views.trained_rows(SETTING, [again], LIVE) == LIVE


def test_rows_without_a_label_are_drawn_as_before(tmp_path):  # W1
    stored = read_rows(ROOT / "docs" / "figures" / "error-against-loops__dial.csv")
    without = [{**row, "label": None} for row in stored if row["curve"] == "trained"]
    (tmp_path / "figures").mkdir()
    write_rows(tmp_path / "figures" / "error-against-loops__dial.csv", without)
    rows = figure_rows(Setting(), "error-against-loops", folders=[tmp_path])
    assert {row["label"] for row in rows if row["curve"] == "trained"} == {views.STORED}
    assert set(drawn(rows)) == {
        f"{name} trained, stored (median, band: all 5 seeds)" for name in ("LT", "TMLT")
    }
