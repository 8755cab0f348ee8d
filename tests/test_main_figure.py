"""The main figure: what is in which panel, where a bound is drawn, what is named and how."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from cases.construction_rows import constructed_rows
from cases.drawn import band, change, line, points
from cases.figure_rows import TRAINED, TRIVIAL, beside_rows, main_rows
from looprate import figures
from looprate.figures import error_against_loops, labels
from looprate.figures.constructed_curves import chosen, name_of
from looprate.figures.drawing import make_figure, make_handout
from looprate.figures.explorer.export import figure_rows
from looprate.figures.explorer.setting import Setting
from looprate.figures.rows import read_rows, where, write_rows
from looprate.figures.style import FAMILY_STYLE, MEMORISER_STYLE, PALE

DIAL = "docs/figures/error-against-loops__dial.csv"
MOST = 6  # entries that need telling apart


@pytest.fixture(scope="module")
def dial(pytestconfig):
    """Stored rows with every curve there is."""
    return read_rows(pytestconfig.rootpath / DIAL)


@pytest.fixture(scope="module")
def drawn(dial):
    """The figure of these rows; not to be changed."""
    return make_figure("error-against-loops", dial)


@pytest.fixture(scope="module")
def panels(drawn):
    """Its axes by panel."""
    return dict(zip(("trained", "constructed", "proven"), drawn.axes, strict=True))


def main_figure(rows):
    """The axes of the figure by panel."""
    axes = make_figure("error-against-loops", rows).axes
    return dict(zip(error_against_loops.panels(rows) or ["proven"], axes, strict=True))


def marked(figure, mark):
    """Texts of one kind."""
    return [text for ax in figure.axes for text in ax.texts if text.get_gid() == mark]


def heads(figure):
    """What is written above the panels."""
    return [text.get_text() for ax in figure.axes for text in ax.texts if not text.get_gid()]


# what is in which panel


def test_trained_constructed_and_proven_have_a_panel_each_on_one_y_axis(panels):
    axes = panels
    assert list(axes) == ["trained", "constructed", "proven"]
    assert [ax.get_title(loc="left") for ax in axes.values()] == list(axes)
    assert len({ax.get_ylim() for ax in axes.values()}) == 1
    for name, ax in axes.items():
        words = {"trained": "best of", "constructed": "constructed:", "proven": "proven:"}
        seen = [str(one.get_label()) for one in ax.get_lines()]
        assert any(words[name] in one for one in seen)
        assert not any(other in one for k, other in words.items() if k != name for one in seen)
    right = [ax.get_xlim()[1] for ax in axes.values()]
    assert right == sorted(right)


def test_at_most_six_things_have_to_be_told_apart_and_no_two_names_overlap(drawn):
    figure = drawn
    assert len({text.get_text() for text in marked(figure, labels.ENTRY)}) <= MOST
    assert not any(ax.get_legend() for ax in figure.axes)
    assert overlaps(figure) == []


def overlaps(figure):
    """Pairs of texts of a drawn figure of which one lies on the other."""
    figure.draw_without_rendering()
    texts = [text for ax in figure.axes for text in ax.texts if text.get_text()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    pairs = itertools.combinations(boxes, 2)
    return [(a, b) for (a, one), (b, other) in pairs if one.overlaps(other)]


def test_names_without_a_choice_of_places_overlap(dial, monkeypatch):
    place = labels._places
    monkeypatch.setattr(labels, "_places", lambda *given: list(place(*given))[:1])
    assert overlaps(make_figure("error-against-loops", dial))


@pytest.mark.parametrize("count", [2, 5])
def test_names_of_lines_that_end_at_one_point_lie_beside_each_other(count):
    figure = Figure(figsize=(5, 4))
    ax = figure.add_subplot()
    ends = [labels.End(0.5, 0.5, f"name {k}", "black") for k in range(count)]
    boxes = [text.get_window_extent() for text in labels.place_labels(ax, ends)]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


def test_a_name_is_as_near_to_its_line_as_it_can_be_and_on_none():
    figure = Figure(figsize=(5, 4))
    ax = figure.add_subplot()
    ax.plot([0.0, 0.4], [0.5, 0.5])
    (free,) = labels.place_labels(ax, [labels.End(0.4, 0.5, "free", "black")])
    assert free.get_position()[1] == 0.5
    ax.plot([0.4, 1.0], [0.5, 0.5])
    (moved,) = labels.place_labels(ax, [labels.End(0.4, 0.5, "moved", "black")])
    box = moved.get_window_extent()
    assert box.y0 > ax.transData.transform((0, 0.5))[1]


def test_all_of_it_in_one_pair_of_axes_has_the_same_lines_and_no_overlap(dial, panels):
    figure = Figure(layout="constrained", figsize=(9, 5))
    error_against_loops.draw(figure.add_subplot(), dial)
    alone = {one.get_label() for ax in panels.values() for one in ax.get_lines()}
    assert {one.get_label() for one in figure.axes[0].get_lines()} == alone
    assert overlaps(figure) == []
    names = {text.get_text() for text in marked(figure, labels.ENTRY)}
    assert {"LT, trained", "LT, digits, constructed", "Theorem 3.6, proven"} <= names


def test_loop_counts_that_lie_close_share_a_tick():
    close = [row | {"loops": r} for row in beside_rows() if row["curve"] == "constructed"
             for r in (13, 14, 16, 28, 34, 156)]  # fmt: skip
    (ax,) = main_figure(close).values()
    assert list(ax.get_xticks()) == [13, 28, 156]


# bounds


def test_a_bound_is_drawn_where_it_holds_and_only_there():
    ax = main_figure(main_rows())["proven"]
    proven = line(ax, "LT proven: explicit, increments")
    assert points(proven) == [(10**6, 0.4), (10**8, 0.2)]
    assert proven.get_color() == MEMORISER_STYLE["increments"].colour
    assert proven.get_drawstyle() == "steps-post"


@pytest.mark.parametrize("status", ["vacuous", "not testable", "violated", None])
def test_a_bound_without_the_verdict_holds_is_neither_drawn_nor_named(status):
    rows = [row | {"status": status} if row["curve"] == "bound" else row for row in main_rows()]
    ax = main_figure(rows)["proven"]
    assert not [one for one in ax.get_lines() if "proven" in str(one.get_label())]
    assert "LT" not in " ".join(text.get_text() for text in ax.texts)


def test_theorem_3_6_is_drawn_as_evaluated_and_never_above_the_best_constant(dial, panels):
    ax = panels["proven"]
    bounds = where(dial, curve="bound", label="Theorem 3.6", status="holds")
    evaluated = points(line(ax, "LT proven: Theorem 3.6"))
    assert evaluated == [(row["loops"], row["value"]) for row in bounds]
    (constant,) = where(dial, curve="trivial")
    assert max(value for _, value in evaluated) < constant["value"]
    assert any("Theorem 3.6: with our constants" in words for words in heads(ax.figure))


def test_the_shaded_span_ends_at_the_first_loop_count_where_a_bound_holds():
    axes = main_figure(main_rows())
    (span,) = axes["proven"].patches
    assert not axes["trained"].patches
    assert span.get_x() == axes["proven"].get_xlim()[0]
    assert span.get_x() + span.get_width() == pytest.approx(10**6)
    assert span.get_hatch()  # seen without colours
    (words,) = marked(axes["proven"].figure, "words")
    assert words.get_text().startswith("vacuous: no proven bound")
    assert span.get_window_extent().contains(*words.get_window_extent().p0)


def test_the_whole_width_is_shaded_where_no_bound_holds_and_the_text_says_so():
    ax = main_figure(main_rows(informative=False))["proven"]
    (span,) = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx(ax.get_xlim())
    assert "on this whole range" in marked(ax.figure, "words")[0].get_text()
    assert "nowhere below the best constant" in heads(ax.figure)[-1]
    rows = change(main_rows(), {"status": "not testable"}, curve="bound")
    (words,) = marked(main_figure(rows)["proven"].figure, "words")
    assert words.get_text().startswith("not testable on this")


def test_without_bounds_there_is_no_panel_of_them():
    rows = [row for row in main_rows() if row["curve"] != "bound"]
    assert list(main_figure(rows)) == ["trained"]


def test_a_triangle_has_the_slope_of_its_row_and_stands_below_its_line(drawn):
    figure = drawn
    words = {text.get_text(): text.get_color() for text in marked(figure, "slope")}
    assert {text.partition("\n")[0] for text in words} == {
        "slope $-1/4$", "slope $-1/2$", "slope $-1$"
    }  # fmt: skip
    triangles = [one for ax in figure.axes for one in ax.get_lines() if one.get_label() == "_slope"]
    for one in triangles:
        (a, top), (b, bottom), *_ = one.get_xydata()
        slope = np.log(bottom / top) / np.log(b / a)
        (text,) = [t for t, colour in words.items() if same_color(colour, one.get_color())]
        assert (
            f"{slope:g}" in {"-0.25": "-1/4 -0.25", "-0.5": "-1/2 -0.5", "-1": "-1"}[f"{slope:g}"]
        )
        assert text.startswith(
            f"slope $-{ {'-0.25': '1/4', '-0.5': '1/2', '-1': '1'}[f'{slope:g}'] }$"
        )
    assert len(triangles) == 3


# trained networks


def test_the_line_is_the_median_and_the_band_all_seeds_without_missing_values():
    ax = main_figure(main_rows())["trained"]
    trained = line(ax, "LT trained (median, band: all 3 seeds; 1 diverged)")
    assert points(trained) == [(1, 0.3), (8, pytest.approx(0.07)), (32, 0.03)]
    assert trained.get_color() == FAMILY_STYLE["lt"].colour
    corners = {(x, y) for x, y in band(ax, "_lt band")}
    for r, values in TRAINED.items():
        there = [value for value in values if value is not None]
        assert {(r, min(there)), (r, max(there))} <= corners
        assert all(min(there) <= y <= max(there) for x, y in corners if x == r)
    assert "median, band: all 3 seeds\n1 diverged" in heads(ax.figure)[0]


def test_the_best_found_is_named_and_medians_of_seeds_are_thin_behind_it(panels):
    ax = panels["trained"]
    best, median = line(ax, "LT best of"), line(ax, "LT trained")
    assert median.get_linewidth() < 0.5 * best.get_linewidth()
    names = [text for text in ax.texts if text.get_gid() == labels.ENTRY]
    assert [text.get_text() for text in names] == ["LT", "TMLT", "best constant 0.811"]
    assert all(
        same_color(text.get_color(), FAMILY_STYLE[text.get_text().lower()].colour)
        for text in names[:2]
    )


def test_every_error_of_a_network_and_the_best_constant_are_in_view():
    for rows in (
        main_rows(),
        change(beside_rows(), {"value": 9 * TRIVIAL}, family="tmlt", loops=20),
    ):
        axes = main_figure(rows)
        low, high = axes["trained"].get_ylim()
        errors = [row["value"] for row in rows if row["curve"] in ("trained", "constructed")]
        assert all(low < value < high for value in errors if value is not None)
        assert high > TRIVIAL
        for ax in axes.values():
            assert list(line(ax, "best constant").get_ydata()) == [TRIVIAL, TRIVIAL]
    named = [
        text.get_text()
        for text in marked(make_figure("error-against-loops", main_rows()), labels.ENTRY)
    ]
    assert "best constant 0.5 ± 0.01" in named


def test_the_heads_tell_the_least_errors_and_where_a_bound_begins_to_say_something(dial, drawn):
    trained, constructed, proven = heads(drawn)
    for words, curve in ((trained, "best"), (constructed, "constructed")):
        least = min(where(dial, curve=curve), key=lambda row: row["value"])
        assert words.startswith(f"least error {least['value']:.2g}, at $r = {least['loops']:.0f}$")
    first = min(row["loops"] for row in where(dial, curve="bound", status="holds"))
    assert proven.startswith(f"below the best constant from $r = {first:.0f}$")
    said = error_against_loops.alt(dial)
    assert said.startswith("Error against loops. Trained: least error 0.0016, at r = 16. ")
    assert f"Proven: below the best constant from r = {first:.0f}" in said


def test_the_order_of_rows_does_not_matter():
    rows = main_rows()
    random.Random(2).shuffle(rows)
    for ax, want in zip(main_figure(rows).values(), main_figure(main_rows()).values(), strict=True):
        assert [points(one) for one in ax.lines] == [points(one) for one in want.lines]


# constructed networks


def test_a_constructed_network_is_a_filled_marker_at_its_certified_error():
    ax = main_figure(beside_rows())["constructed"]
    first = line(ax, "LT constructed: digits")
    rows = [row for row in constructed_rows(TRIVIAL) if "digits" in row["label"]]
    assert list(first.get_xdata()) == [row["loops"] for row in rows]
    assert list(first.get_ydata()) == [row["value"] for row in rows]
    assert first.get_color() == MEMORISER_STYLE["digits"].colour
    assert same_color(first.get_markerfacecolor(), first.get_color())
    assert line(ax, "TMLT constructed").get_color() == MEMORISER_STYLE["timestep"].colour
    other = line(ax, "LT constructed: increments")
    assert (other.get_color(), other.get_marker()) == (PALE, MEMORISER_STYLE["increments"].marker)
    assert "grey: other constructions" in heads(ax.figure)[1]


def test_of_a_family_the_construction_with_the_fewest_loops_to_a_common_error_is_named():
    rows = where(beside_rows(), curve="constructed")
    assert chosen(rows) == {"lt": "digits", "tmlt": "timestep"}
    slower = [
        row | {"loops": 10**6 * row["loops"]} if "digits" in row["label"] else row for row in rows
    ]
    assert chosen(slower)["lt"] == "increments"
    assert name_of("explicit inequality, two-level-digits, rank code") == "two-level-digits"
    assert name_of("Theorem 3.6 (v7), printed delta") == "Theorem 3.6"


def test_a_bar_shows_the_certified_interval_where_it_is_wide_enough_to_be_seen():
    def bars(rows):
        ax = main_figure(rows)["constructed"]
        found = [one for one in ax.collections if one.get_label() == "_certified"]
        return ax, [one.get_segments() for one in found]

    ax, segments = bars(beside_rows())
    assert [len(each) for each in segments] == [5, 0, 5]  # LT sum, LT rank, TMLT
    (x, low), (again, high) = segments[0][0]
    assert (x, again, low, high) == (20, 20, 0.97 * TRIVIAL, TRIVIAL)
    ax, segments = bars(change(beside_rows(), {"lower": 0.0}, curve="constructed", loops=20))
    assert all(0.0 < each[0][0][1] < ax.get_ylim()[0] for each in segments)  # down to the edge


def test_files_of_before_without_the_column_lower_and_with_rates_are_still_drawn(tmp_path):
    (tmp_path / "figures").mkdir()
    path = tmp_path / "figures" / "error-against-loops__a.csv"
    old = [*main_rows(), main_rows()[0] | {"curve": "rate", "label": "slope −1/4", "seed": None}]
    for rows in (old, beside_rows(constructed=False, optional=False)):
        write_rows(path, rows)
        assert "lower" not in path.read_text(encoding="utf-8")
        assert figures.redraw(tmp_path, formats=["svg"])
    write_rows(path, beside_rows(optional=False))
    ax = main_figure(read_rows(path))["constructed"]
    bars = [one for one in ax.collections if one.get_label() == "_certified"]
    assert len(bars) == 3
    assert not any(one.get_segments() for one in bars)


# other pages


@pytest.mark.parametrize("style", ["slides", "phone"])
def test_no_two_texts_overlap_on_slides_and_phones(style, dial):
    assert overlaps(make_figure("error-against-loops", dial, style=style)) == []


def test_no_two_texts_of_the_figure_overlap_on_a_handout(dial):
    page = make_handout(dial, source="rows.csv")
    page.draw_without_rendering()
    (part,) = (part for part in page.subfigs[1].subfigs if part.axes)
    boxes = [text.get_window_extent() for ax in part.axes for text in ax.texts]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("memoriser", ["timestep", "increments"])
def test_a_picture_taken_along_from_the_page_names_everything_once(memoriser):
    fitted = [
        {"family": family, "label": "here", "loops": r, "seed": s, "value": v * 0.4**s}
        for family, v in (("lt", 0.6), ("tmlt", 0.5))
        for r in (1, 2, 4, 8)
        for s in range(2)
    ]
    rows = figure_rows(Setting(memoriser=memoriser), "error-against-loops", fitted=fitted)
    figure = make_figure("error-against-loops", rows)
    assert overlaps(figure) == []
    names = [text.get_text() for text in marked(figure, labels.ENTRY)]
    assert {"LT", "TMLT", "Theorem 3.6"} <= set(names)
    assert len(set(names)) <= MOST
