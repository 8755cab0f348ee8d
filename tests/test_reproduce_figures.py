"""Figures of a reproduction: what was drawn, from rows alone, and what must not be."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from cases.drawn import legend, line, texts
from cases.reproduce_rows import fit, fits, write_pictures
from looprate.experiments.reproduce.figure_tables import (
    shown_loops,
    size_in_words,
    write_figure_tables,
)
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.experiments.tasks.sudoku import Sudoku
from looprate.figures.drawing import KINDS, make_figure
from looprate.figures.rows import read_rows, where
from looprate.figures.style import FAMILY_STYLE
from looprate.figures.tasks import accuracy as task_accuracy
from looprate.figures.tasks import attention as task_attention
from looprate.figures.tasks import boards as task_boards
from looprate.figures.tasks import common as task_common
from looprate.figures.tasks import test_loops as task_test_loops
from looprate.theory.stored_arrays import write_arrays
from looprate.theory.tables import TABLES


def tables(folder, rows):
    return {path.stem: read_rows(path) for path in write_figure_tables(folder, rows)}


def fit_rows(values, model="tmlt", name="lcs"):
    """Fits: loop count -> values of seeds 0, 1, ...; None for one that diverged."""
    return [
        fit(name, model, r, s, value=v, diverged_at=-1 if v is not None else 50)
        for r, vs in values.items()
        for s, v in enumerate(vs)
    ]


def lines(ax, words):
    return [one for one in ax.get_lines() if str(one.get_label()).startswith(words)]


def data(one):
    x, y = (np.asarray(part, float) for part in one.get_data())
    return list(zip(x.tolist(), y.tolist(), strict=True))


# rows


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_figure_reads_the_columns_of_its_own_table(kind):
    assert list(TABLES) == list(KINDS)
    optional = {"lower"} if kind == "error-against-loops" else set()
    assert KINDS[kind].columns.keys() | optional == TABLES[kind].keys()


def test_shown_loops_are_powers_of_two_and_the_last():
    assert shown_loops(1) == [1]
    assert shown_loops(8) == [1, 2, 4, 8]
    assert shown_loops(32) == [1, 2, 4, 8, 16, 32]
    assert shown_loops(100) == [1, 2, 8, 16, 64, 100]


def test_sizes_are_told_in_words():
    assert size_in_words(fit("sudoku", "tmlt", 1, 0)) == "4x4"
    assert size_in_words(fit("decision-tree", "tmlt", 1, 0)) == "depth 2, 16 points"
    assert size_in_words(fit("language", "tmlt", 1, 0)) == "64 tokens"


def test_every_fit_is_a_row_and_nothing_is_reported_for_small_sizes(tmp_path):
    rows = fits("lcs")
    found = tables(tmp_path, rows)["task-accuracy__all"]
    assert {row["curve"] for row in found} == {"fit"}
    assert [row["value"] for row in found] == [row["value"] for row in rows]


def test_reported_rows_come_with_the_preset_and_the_sizes_of_the_paper_only(tmp_path):
    def reported_rows(**changes):
        found = tables(tmp_path, [fit("language", "tmlt", 24, 0, **changes)])
        return where(found["task-accuracy__all"], curve="reported")

    sizes = {"source": "wikitext-103", "context": 1024}
    assert not reported_rows(preset="paper")
    assert not reported_rows(preset="medium", sizes=sizes)
    reported = reported_rows(preset="paper", sizes=sizes)
    assert [(r["model"], r["loops"], r["value"]) for r in reported] == [
        ("untied", 12, 20.5),
        ("looped", 24, 20.6),
        ("tmlt", 24, 19.6),
    ]


def test_pictures_that_are_not_there_make_no_file(tmp_path):
    assert not any("boards" in stem for stem in tables(tmp_path, fits("sudoku")))


# metric against loops


def accuracy_axes(tmp_path, rows):
    return make_figure("task-accuracy", tables(tmp_path, rows)["task-accuracy__all"])


def test_seeds_are_points_and_medians_a_line(tmp_path):
    figure = accuracy_axes(tmp_path, fit_rows({1: (0.1, 0.3, 0.2), 4: (0.6, 0.5, 0.9)}))
    (ax,) = figure.axes
    seeds, middle = line(ax, "_seeds of TMLT"), line(ax, "TMLT")
    nudge = task_common.NUDGE["tmlt"]
    assert sorted(seeds.get_ydata()) == [0.1, 0.2, 0.3, 0.5, 0.6, 0.9]
    assert data(middle) == [(nudge, 0.2), (4 * nudge, 0.6)]
    assert middle.get_color() == FAMILY_STYLE["tmlt"].colour
    assert seeds.get_marker() == FAMILY_STYLE["tmlt"].marker
    assert ax.get_title() == "lcs (length 8)"


def test_a_diverged_fit_is_a_cross_and_in_no_median(tmp_path):
    figure = accuracy_axes(tmp_path, fit_rows({1: (0.1, 0.3), 4: (0.6, None)}))
    (ax,) = figure.axes
    cross = line(ax, "_diverged")
    assert (list(cross.get_xdata()), cross.get_marker()) == ([4.0], "x")
    assert len(line(ax, "_seeds of TMLT").get_ydata()) == 3
    assert data(line(ax, "TMLT"))[-1][1] == 0.6
    (found,) = figure.legends
    assert "diverged, not counted" in [text.get_text() for text in found.get_texts()]
    (sound,) = accuracy_axes(tmp_path, fit_rows({1: (0.1, 0.3)})).axes
    assert not lines(sound, "_diverged")


def test_a_diverged_fit_with_a_number_is_not_averaged_either(tmp_path):
    rows = fit_rows({1: (0.1, 0.3), 4: (0.6, 0.0)})
    rows[-1]["diverged_at"] = 10
    (ax,) = accuracy_axes(tmp_path, rows).axes
    assert data(line(ax, "TMLT"))[-1][1] == 0.6


def test_where_all_seeds_diverged_the_line_has_no_point(tmp_path):
    (ax,) = accuracy_axes(tmp_path, fit_rows({1: (0.1, 0.3), 4: (None, None)})).axes
    assert len(data(line(ax, "TMLT"))) == 1
    assert len(line(ax, "_diverged").get_xdata()) == 2


def test_reported_numbers_are_dashed_and_labelled(tmp_path):
    rows = [fit("sudoku", "tmlt", 32, 0, preset="paper", sizes={})]
    figure = accuracy_axes(tmp_path, rows)
    (ax,) = figure.axes
    found = line(ax, "_reported: TMLT, r = 32")
    assert found.get_linestyle() == "--"
    assert set(found.get_ydata()) == {0.902}
    assert len(lines(ax, "_star")) == 3
    (words,) = figure.legends
    assert any("secondary summary" in text.get_text() for text in words.get_texts())
    (plain,) = accuracy_axes(tmp_path, fits("sudoku")).axes
    assert not lines(plain, "_reported")


def test_tasks_come_in_their_usual_order_whatever_the_order_of_rows(tmp_path):
    found = tables(tmp_path, fits("sudoku", "lcs", "language")[::-1])["task-accuracy__all"]
    assert task_accuracy.panels(found) == ["sudoku", "lcs", "language"]


def test_each_task_has_a_panel_and_errors_a_logarithmic_axis(tmp_path):
    axes = accuracy_axes(tmp_path, fits("sudoku", "lcs", "decision-tree", "language")).axes
    shown = [ax for ax in axes if ax.get_visible()]
    assert [ax.get_title().partition(" (")[0] for ax in shown] == [
        *("sudoku", "lcs", "decision-tree", "language")
    ]
    assert [ax.get_yscale() for ax in shown] == ["linear", "linear", "log", "log"]
    assert "lower is better" in shown[2].get_ylabel()
    for ax in shown:
        low, high = ax.get_ylim()
        assert sum(low <= tick <= high for tick in ax.get_yticks()) >= 3


# other loop counts at test time


def test_the_trained_count_is_marked_and_what_is_beyond_is_shaded(tmp_path):
    rows = tables(tmp_path, fits("lcs"))["task-test-loops__all"]
    (ax,) = make_figure("task-test-loops", rows).axes
    assert ax.get_title() == "lcs (length 8)\ntrained with $r = 8$"
    assert set(line(ax, "_trained").get_xdata()) == {8.0}
    (beyond,) = [patch for patch in ax.patches if patch.get_label() == "_beyond"]
    assert beyond.get_x() == 8.0
    nudge = task_common.NUDGE["looped"]
    assert [x / nudge for x, _ in data(line(ax, "Looped"))] == pytest.approx([1, 2, 4, 8, 16])
    assert len(line(ax, "_seeds of Looped").get_xdata()) == 10


def test_of_several_trained_counts_the_largest_tested_beyond_is_drawn():
    rows = [
        {"trained": trained, "loops": loops}
        for trained, tested in ((2.0, (2, 4)), (4.0, (2, 4)))
        for loops in tested
    ]
    assert task_test_loops.shown_count(rows) == 2.0
    assert task_test_loops.shown_count(rows[2:]) == 4.0


# training


def test_training_draws_every_seed_and_the_median_of_those_that_did_not_diverge(tmp_path):
    rows = [
        fit("lcs", "looped", 2, 0, curve_step=[0, 10], curve_value=[0.1, 0.5]),
        fit("lcs", "looped", 2, 1, curve_step=[0, 10], curve_value=[0.3, 0.7]),
        fit("lcs", "looped", 2, 2, curve_step=[0, 10], curve_value=[0.2, None], diverged_at=4),
    ]
    (ax,) = make_figure("task-training", tables(tmp_path, rows)["task-training__lcs"]).axes
    assert [one.get_linestyle() for one in lines(ax, "_r = 2")] == ["-", "-", "--"]
    assert data(line(ax, "2")) == [(0.0, pytest.approx(0.2)), (10.0, pytest.approx(0.6))]
    assert data(line(ax, "_diverged")) == [(0.0, 0.2)]
    assert legend(ax) == ["$r = 2$", "diverged"]


# boards


def board_figure(tmp_path, predictions):
    task = Sudoku(2, 2, bases=4)
    batch = task.sample("test", 0, 1)
    arrays = {"inputs": batch.inputs, "targets": batch.targets, "mask": batch.mask}
    every = predictions(batch)
    write_arrays(tmp_path / "pictures" / "sudoku__tmlt.npz", arrays | {"predictions": every})
    row = fit("sudoku", "tmlt", len(every), 0, sizes={"box_rows": 2, "box_columns": 2})
    rows = tables(tmp_path, [row])["task-boards__sudoku-tmlt"]
    return batch, rows, make_figure("task-boards", rows)


def test_boards_tell_clues_right_and_wrong_cells_without_colour(tmp_path):
    def predictions(batch):
        wrong = batch.targets.copy()
        wrong[0, np.flatnonzero(batch.inputs[0] == 0)[:2]] += 1
        return np.stack([wrong, batch.targets])

    batch, rows, figure = board_figure(tmp_path, predictions)
    first, last = figure.axes
    empty = int((batch.inputs == 0).sum())
    assert first.get_title() == f"loop 1\n{empty - 2} of {empty} right"
    assert last.get_title() == f"loop 2\n{empty} of {empty} right"
    assert len(lines(first, "_wrong")) == 2
    assert not lines(last, "_wrong")
    assert len([p for p in first.patches if p.get_label() == "_clue"]) == 16 - empty
    bold = [text.get_text() for text in last.texts if text.get_fontweight() == "bold"]
    assert bold == [str(k) for k in batch.inputs[0] if k]
    assert texts(last) == [str(k) for k in batch.targets[0]]
    assert len(rows) == 2 * 16


def test_a_clue_that_is_not_repeated_and_an_empty_cell_are_wrong(tmp_path):
    _, rows, figure = board_figure(tmp_path, lambda batch: np.zeros_like(batch.inputs)[None])
    (ax,) = figure.axes
    assert len(lines(ax, "_wrong")) == len(rows) == 16
    assert set(texts(ax)) == {"·"}


def test_thick_lines_bound_the_boxes(tmp_path):
    _, rows, _ = board_figure(tmp_path, lambda batch: batch.targets[None])
    ax = Figure().add_subplot()
    task_boards.draw(ax, [row | {"box_rows": 4.0, "box_columns": 2.0} for row in rows])
    across = [one.get_linewidth() for one in ax.get_lines() if len(set(one.get_ydata())) == 1]
    down = [one.get_linewidth() for one in ax.get_lines() if len(set(one.get_xdata())) == 1]
    thick = max(across)
    assert [width == thick for width in across] == [True, False, False, False, True]
    assert [width == thick for width in down] == [True, False, True, False, True]


# attention


def test_attention_is_the_mean_of_heads_with_tokens_on_both_axes(tmp_path):
    write_pictures(tmp_path, loops=4)
    rows = tables(tmp_path, fits("edit-distance", loops=(4,)))
    rows = rows["task-attention__edit-distance-tmlt"]
    figure = make_figure("task-attention", rows)
    with np.load(tmp_path / "pictures" / "edit-distance__tmlt.npz") as stored:
        attention, inputs, mask = (stored[name] for name in ("attention", "inputs", "mask"))
    panels = [ax for ax in figure.axes if ax.get_title()]
    assert [ax.get_title() for ax in panels] == ["loop 1", "loop 2", "loop 4"]
    end = int((inputs[0] != 0).sum())
    task = EditDistance(size=7, letters=5)
    words = [task.vocabulary[k] for k in inputs[0, :end]]
    for ax, loop in zip(panels, (1, 2, 4), strict=True):
        (image,) = ax.get_images()
        weights = np.nan_to_num(np.asarray(image.get_array().filled(np.nan)))
        wanted = attention[loop - 1].astype(float).mean(0)[:end, :end]
        assert weights == pytest.approx(np.tril(wanted))
        assert np.allclose(weights.sum(1), 1.0, atol=2e-3)  # float16
        assert [label.get_text() for label in ax.get_xticklabels()] == words
        (frame,) = [patch for patch in ax.patches if patch.get_label() == "_asked"]
        assert frame.get_y() == np.flatnonzero(mask[0])[0] - 0.5
        assert words[int(frame.get_y() + 0.5)] == "<sep>"
    assert "mean of 2 heads" in [ax.get_ylabel() for ax in figure.axes][-1]


def test_long_rows_have_no_words_on_the_axes(tmp_path):
    rows = [
        {"name": "edit-distance", "model": "tmlt", "loops": 1.0, "loop": 1.0, "heads": 1.0}
        | {"query": q, "key": 1.0, "weight": 1.0, "asked": q == 3.0}
        | {"query_word": "a", "key_word": "b"}
        for q in map(float, range(1, task_attention.MOST_WORDS + 2))
    ]
    assert not len(make_figure("task-attention", rows).axes[0].get_xticks())
    assert len(make_figure("task-attention", rows[:-1]).axes[0].get_xticks())
