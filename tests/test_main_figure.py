"""The main figure: where a bound is drawn, what is shaded, who is named, what words cover."""

from __future__ import annotations

import random

import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgb

from cases.construction_rows import constructed_rows
from cases.drawn import band, change, drawn, legend, line, points
from cases.figure_rows import BOUND, TRAINED, TRIVIAL, beside_rows, main_rows
from looprate import figures
from looprate.figures import error_against_loops
from looprate.figures.drawing import make_figure, make_handout
from looprate.figures.explorer.export import figure_rows
from looprate.figures.explorer.setting import Setting
from looprate.figures.rows import read_rows, write_rows
from looprate.figures.style import FAMILY_STYLE

MARK = 3.0  # points, half of the largest mark  # points, half of the largest mark


def main_figure(rows):
    return drawn("error-against-loops", rows)


# bounds and trained networks


def test_a_bound_is_drawn_where_it_holds_and_only_there():
    (ax,) = main_figure(main_rows())
    proven = line(ax, "LT proven: explicit, increments")
    assert points(proven) == [(10**6, 0.4), (10**8, 0.2)]
    assert proven.get_linestyle() == "-"
    assert proven.get_color() == FAMILY_STYLE["lt"].colour
    assert proven.get_drawstyle() == "steps-post"


def test_a_bound_that_is_vacuous_everywhere_is_neither_drawn_nor_named():
    (ax,) = main_figure(main_rows(informative=False))
    assert not [one for one in ax.get_lines() if "proven" in str(one.get_label())]
    assert not [text for text in legend(ax) if "proven" in text]


@pytest.mark.parametrize("status", ["not testable", "violated", None])
def test_a_bound_without_the_verdict_holds_is_not_drawn(status):
    rows = [row | {"status": status} if row["curve"] == "bound" else row for row in main_rows()]
    (ax,) = main_figure(rows)
    assert not [one for one in ax.get_lines() if "proven" in str(one.get_label())]


def test_the_shaded_span_ends_at_the_first_loop_count_where_a_bound_holds():
    (ax,) = main_figure(main_rows())
    (span,) = ax.patches
    assert span.get_x() == ax.get_xlim()[0]
    assert span.get_x() + span.get_width() == pytest.approx(10**6)
    assert span.get_hatch()  # seen without colours
    assert "vacuous" in " ".join(text.get_text() for text in ax.texts)


def test_the_whole_width_is_shaded_where_no_bound_holds_and_the_text_says_so():
    (ax,) = main_figure(main_rows(informative=False))
    (span,) = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx(ax.get_xlim())
    assert "on this whole range" in ax.texts[0].get_text()


def test_nothing_is_shaded_without_bounds():
    rows = [row for row in main_rows() if row["curve"] != "bound"]
    assert not main_figure(rows)[0].patches


def test_a_narrow_span_is_named_in_the_legend_instead():
    rows = main_rows()
    for row in rows:
        if row["curve"] == "bound" and row["loops"] == 10:
            row |= {"status": "holds", "value": 0.4}
    (ax,) = main_figure(rows)
    assert not ax.texts
    assert any("vacuous" in text for text in legend(ax))


def test_the_line_is_the_median_and_the_band_all_seeds_without_missing_values():
    (ax,) = main_figure(main_rows())
    trained = next(one for one in ax.get_lines() if str(one.get_label()).startswith("LT trained"))
    assert points(trained) == [(1, 0.3), (8, pytest.approx(0.07)), (32, 0.03)]
    corners = {(x, y) for x, y in band(ax, "_lt band")}
    for r, values in TRAINED.items():
        there = [value for value in values if value is not None]
        assert {(r, min(there)), (r, max(there))} <= corners
        assert all(min(there) <= y <= max(there) for x, y in corners if x == r)


def test_the_legend_names_the_statistic_the_seeds_and_the_runs_that_diverged():
    names = legend(main_figure(main_rows())[0])
    assert "LT trained (median, band: all 3 seeds, 1 diverged)" in names


def test_rates_are_broken_grey_and_up_to_a_constant():
    (ax,) = main_figure(main_rows())
    rate = line(ax, "slope −1/4 (up to a constant)")
    assert rate.get_linestyle() != "-"
    assert len(set(to_rgb(rate.get_color()))) == 1
    assert len(points(rate)) == len(BOUND)
    assert "slope −1/4 (up to a constant)" in legend(ax)


def test_every_trained_error_and_the_best_constant_are_in_view():
    (ax,) = main_figure(main_rows())
    low, high = ax.get_ylim()
    assert low < 0.02
    assert 2 * TRIVIAL <= high <= 3 * TRIVIAL
    assert ax.get_xlim()[0] < 1
    assert ax.get_xlim()[1] > 10**8
    constant = line(ax, "best constant")
    assert list(constant.get_ydata()) == [TRIVIAL, TRIVIAL]
    assert constant.get_label() == "best constant (0.5 ± 0.01)"


def test_measured_and_proven_have_a_column_of_the_legend_each():
    names = legend(main_figure(main_rows())[0])
    assert len(names) % 2 == 0
    half = len(names) // 2
    assert all("proven" not in name and "constant)" not in name for name in names[:half])
    assert all("trained" not in name for name in names[half:])


def test_the_order_of_rows_does_not_matter():
    rows = main_rows()
    random.Random(2).shuffle(rows)
    (ax,), (want,) = main_figure(rows), main_figure(main_rows())
    for name in ("LT trained", "proven", "slope", "best constant"):
        found, wanted = (
            next(one for one in each.lines if name in one.get_label()) for each in (ax, want)
        )
        assert points(found) == points(wanted)


# constructed networks


def test_a_constructed_network_is_a_filled_marker_at_its_certified_error():
    (ax,) = main_figure(beside_rows())
    first = line(ax, "LT constructed: increments")
    rows = [row for row in constructed_rows(TRIVIAL) if "increments" in row["label"]]
    assert list(first.get_xdata()) == [row["loops"] for row in rows]
    assert list(first.get_ydata()) == [row["value"] for row in rows]
    assert first.get_color() == FAMILY_STYLE["lt"].colour
    assert first.get_linestyle() == "-."
    assert same_color(first.get_markerfacecolor(), first.get_color())
    assert first.get_linewidth() < line(ax, "LT proven").get_linewidth()
    second = line(ax, "LT constructed: digits")
    assert second.get_marker() != first.get_marker()
    assert line(ax, "TMLT constructed").get_color() == FAMILY_STYLE["tmlt"].colour


def test_constructed_networks_stand_with_the_measured_ones_in_the_legend():
    names = legend(main_figure(beside_rows())[0])
    half = len(names) // 2
    assert "LT constructed: increments, sum code: slope −0.33" in names[:half]
    assert sum("constructed" in name for name in names) == 3
    assert not [name for name in names[half:] if "constructed" in name]


def test_a_bar_shows_the_certified_interval_where_it_is_wide_enough_to_be_seen():
    (ax,) = main_figure(beside_rows())
    bars = [one for one in ax.collections if one.get_label() == "_certified"]
    assert [len(one.get_segments()) for one in bars] == [5, 0, 5]  # LT sum, LT rank, TMLT
    (x, low), (again, high) = bars[0].get_segments()[0]
    assert (x, again, low, high) == (20, 20, 0.97 * TRIVIAL, TRIVIAL)
    rows = change(beside_rows(), {"lower": 0.0}, curve="constructed", loops=20)
    (ax,) = main_figure(rows)
    ends = [b.get_segments()[0][0][1] for b in ax.collections if b.get_label() == "_certified"]
    assert all(0.0 < low < ax.get_ylim()[0] for low in ends)  # down to the edge


def test_every_constructed_error_is_in_view():
    rows = change(beside_rows(), {"value": 9 * TRIVIAL}, family="tmlt", loops=20)
    for each in (beside_rows(), rows):
        (ax,) = main_figure(each)
        values = [row["value"] for row in each if row["curve"] == "constructed"]
        assert ax.get_ylim()[0] < min(values)
        assert max(values) < ax.get_ylim()[1]
        assert ax.get_xlim()[1] > 10**6


@pytest.mark.parametrize("trained", [True, False])
def test_constructed_networks_alone_set_the_limits(trained):
    rows = [row for row in beside_rows() if row["curve"] != "trained" or trained]
    (ax,) = main_figure(rows)
    smallest = min(row["value"] for row in rows if row["curve"] in ("trained", "constructed"))
    assert ax.get_ylim()[0] == pytest.approx(smallest / error_against_loops.ROOM_BELOW)


def test_the_note_speaks_of_constructed_networks_only_where_there_are_some():
    note = {
        there: make_figure("error-against-loops", beside_rows(constructed=there))
        .axes[0]
        .get_legend()
        .get_title()
        .get_text()
        for there in (True, False)
    }
    assert "constructed = exact weights, certified error" in note[True]
    assert "constructed" not in note[False]
    for words in note.values():
        assert "trained = approximation + optimisation error" in words
        assert "bounds are existence statements" in words


def test_files_of_before_without_the_column_lower_are_still_drawn(tmp_path):
    (tmp_path / "figures").mkdir()
    path = tmp_path / "figures" / "error-against-loops__a.csv"
    write_rows(path, beside_rows(constructed=False, optional=False))
    assert "lower" not in path.read_text(encoding="utf-8")
    assert figures.redraw(tmp_path, formats=["svg"])
    write_rows(path, beside_rows(optional=False))
    (ax,) = main_figure(read_rows(path))
    bars = [one for one in ax.collections if one.get_label() == "_certified"]
    assert len(bars) == 3
    assert not any(one.get_segments() for one in bars)


# the words in the shaded region


def covered(figure):
    """Return the errors that the words of a drawn figure lie on."""
    figure.draw_without_rendering()
    ax = next(one for one in figure.findobj() if one.__class__.__name__ == "Axes" and one.texts)
    half = MARK * figure.dpi / 72
    box = ax.texts[0].get_bbox_patch().get_window_extent().padded(half)
    found = [
        point
        for line in ax.lines
        if line.get_marker() not in ("", "None", None)
        for point in np.column_stack(line.get_data())
        if box.contains(*ax.transData.transform(point))
    ]
    for bars in ax.collections:  # bands over seeds, bars of certified intervals
        for path in bars.get_paths():
            corners = ax.transData.transform(path.vertices)
            found += [corner for corner in corners if box.contains(*corner)]
    return found


def rows_with(errors, *, lowest):
    """Return rows of the main figure: trained errors at many loop counts, one of them low."""
    plain = [row for row in beside_rows(constructed=False) if row["curve"] != "trained"]
    like = {**plain[0], "curve": "trained", "family": "lt"}
    loops = np.unique(np.geomspace(1, 5 * 10**5, 12).astype(int)).tolist()
    rows = [like | {"loops": r, "seed": s, "value": v} for r in loops for s, v in enumerate(errors)]
    return [*plain, *rows, like | {"loops": 1, "seed": 9, "value": lowest}]


@pytest.mark.parametrize("lowest", [0.2, 1e-3, 1e-9])
@pytest.mark.parametrize("errors", [(0.5,), (0.45, 0.7), (3.0,)], ids=str)
def test_the_words_lie_on_no_trained_error(errors, lowest):  # B5
    assert covered(make_figure("error-against-loops", rows_with(errors, lowest=lowest))) == []


def test_the_words_lie_on_no_error_on_slides_and_handouts():  # B5
    rows = rows_with((0.45, 0.7), lowest=1e-3)
    assert covered(make_figure("error-against-loops", rows, style="slides")) == []
    assert covered(make_handout(rows, source="rows.csv")) == []


@pytest.mark.parametrize("memoriser", ["timestep", "increments"])
def test_the_words_of_a_picture_taken_along_lie_on_no_network(memoriser):  # B5
    setting = Setting(memoriser=memoriser)
    fitted = [
        {"family": family, "label": "here", "loops": r, "seed": s, "value": v * 0.4**s}
        for family, v in (("lt", 0.6), ("tmlt", 0.5))
        for r in (1, 2, 4, 8, 64, 10**4, 10**6)
        for s in range(3)
    ]
    rows = figure_rows(setting, "error-against-loops", fitted=fitted)
    assert covered(make_figure("error-against-loops", rows)) == []


def test_without_room_made_the_words_lie_on_errors(monkeypatch):
    monkeypatch.setattr(error_against_loops, "_make_room", lambda *given: None)
    assert covered(make_figure("error-against-loops", rows_with((3.0,), lowest=1e-3)))
