"""Figures of constructed networks: what was drawn, and what is refused."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgba

from cases.construction_rows import (
    SETTING,
    arithmetic_rows,
    constructed_rows,
    memoriser_rows,
    stage_rows,
)
from cases.drawn import change, legend, line, texts
from looprate import figures
from looprate.figures import arithmetic, error_against_loops
from looprate.figures.drawing import make_figure
from looprate.figures.rows import read_rows, write_rows
from looprate.figures.style import FAMILY_STYLE, MEMORISER_STYLE

TRIVIAL = 0.5
STYLES = ("paper", "slides")
KINDS = {"memorisers": memoriser_rows, "arithmetic": arithmetic_rows, "stages": stage_rows}
EDGE = 1.0  # pixel by which ink may leave the figure


def main_rows(*, constructed=True, optional=True):
    """Rows of the main figure with one trained network, one bound and three constructions."""
    names = [*error_against_loops.COLUMNS, *(error_against_loops.OPTIONAL if optional else ())]
    rows = [{"curve": "trivial", "value": TRIVIAL}]
    rows += [
        {"curve": "trained", "family": "lt", "loops": r, "seed": 0, "value": 0.1 / r}
        for r in (1, 8)
    ]
    rows += [
        {"curve": "bound", "family": "lt", "label": "increments", "loops": r, "value": value}
        | {"status": "holds" if value < TRIVIAL else "vacuous"}
        for r, value in ((10**3, 0.6), (10**6, 0.1))
    ]
    rows += constructed_rows(TRIVIAL) if constructed else []
    return [{name: row.get(name, SETTING.get(name)) for name in names} for row in rows]


# constructed networks in the main figure


def test_a_constructed_network_is_a_filled_marker_at_its_certified_error():
    (ax,) = make_figure("error-against-loops", main_rows()).axes
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
    names = legend(make_figure("error-against-loops", main_rows()).axes[0])
    half = len(names) // 2
    assert "LT constructed: increments, sum code: slope −0.33" in names[:half]
    assert sum("constructed" in name for name in names) == 3
    assert not [name for name in names[half:] if "constructed" in name]


def test_a_bar_shows_the_certified_interval_where_it_is_wide_enough_to_be_seen():
    (ax,) = make_figure("error-against-loops", main_rows()).axes
    bars = [one for one in ax.collections if one.get_label() == "_certified"]
    assert [len(one.get_segments()) for one in bars] == [5, 0, 5]  # LT sum, LT rank, TMLT
    (x, low), (again, high) = bars[0].get_segments()[0]
    assert (x, again, low, high) == (20, 20, 0.97 * TRIVIAL, TRIVIAL)
    rows = change(main_rows(), {"lower": 0.0}, curve="constructed", loops=20)
    (ax,) = make_figure("error-against-loops", rows).axes
    ends = [b.get_segments()[0][0][1] for b in ax.collections if b.get_label() == "_certified"]
    assert all(0.0 < low < ax.get_ylim()[0] for low in ends)  # down to the edge


def test_every_constructed_error_is_in_view():
    rows = change(main_rows(), {"value": 9 * TRIVIAL}, family="tmlt", loops=20)
    for each in (main_rows(), rows):
        (ax,) = make_figure("error-against-loops", each).axes
        values = [row["value"] for row in each if row["curve"] == "constructed"]
        assert ax.get_ylim()[0] < min(values)
        assert max(values) < ax.get_ylim()[1]
        assert ax.get_xlim()[1] > 10**6


@pytest.mark.parametrize("trained", [True, False])
def test_constructed_networks_alone_set_the_limits(trained):
    rows = [row for row in main_rows() if row["curve"] != "trained" or trained]
    (ax,) = make_figure("error-against-loops", rows).axes
    smallest = min(row["value"] for row in rows if row["curve"] in ("trained", "constructed"))
    assert ax.get_ylim()[0] == pytest.approx(smallest / error_against_loops.ROOM_BELOW)


def test_the_note_speaks_of_constructed_networks_only_where_there_are_some():
    note = {
        there: make_figure("error-against-loops", main_rows(constructed=there))
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
    write_rows(path, main_rows(constructed=False, optional=False))
    assert "lower" not in path.read_text(encoding="utf-8")
    assert figures.redraw(tmp_path, formats=["svg"])
    write_rows(path, main_rows(optional=False))
    (ax,) = make_figure("error-against-loops", read_rows(path)).axes
    bars = [one for one in ax.collections if one.get_label() == "_certified"]
    assert len(bars) == 3
    assert not any(one.get_segments() for one in bars)


# memorisers


def test_increments_grow_below_the_gap_timestep_is_at_0_and_digits_are_level():
    (ax,) = make_figure("memorisers", memoriser_rows()).axes
    assert ax.get_yscale() == "linear"
    low, high = ax.get_ylim()
    assert low < 0 < 2.0 < high
    growing = line(ax, "increments (Lemma 4.1)")
    gap = line(ax, "_bound increments")
    assert np.all(np.diff(growing.get_ydata()) > 0)
    assert np.all(growing.get_ydata() < gap.get_ydata())
    assert list(gap.get_ydata()) == [
        row["gap"] for row in memoriser_rows() if row["memoriser"] == "increments"
    ]
    assert gap.get_linestyle() == "--"
    assert not np.any(line(ax, "timestep (Theorem 4.2)").get_ydata())
    for q in (2, 4, 8):
        level = line(ax, f"digits, $q = {q}$")
        assert np.allclose(level.get_ydata(), 1.8 * 2.0**-q)
        assert level.get_color() == MEMORISER_STYLE["digits"].colour


def test_the_memorisers_are_named_from_above_with_what_they_need_and_cost():
    (ax,) = make_figure("memorisers", memoriser_rows()).axes
    names = legend(ax)
    assert [name.split()[0].strip(",") for name in names[:5]] == [
        "increments",
        *3 * ["digits"],
        "timestep",
    ]
    assert "at most the gap" in names[0]
    assert r"no $\eta(t)$, $r \leq 121$" in names[0]
    assert "at most 0.5\n" in names[1]
    assert "exactly 0" in names[4]
    assert r"needs $\eta(t)$, $r \leq 34$" in names[4]
    assert {"$q = 2$", "$q = 4$", "$q = 8$"} < set(texts(ax))
    assert any("Lemma 4.1's bound" in text for text in texts(ax))
    assert list(ax.get_xticks()) == [1, 2, 3, 4, 6, 8]


BREAKING = {
    "timestep that errs": ({"residual": 0.1}, {"memoriser": "timestep", "periods": 3}),
    "above its bound": ({"residual": 3.0}, {"memoriser": "increments", "periods": 8}),
    "no growth": ({"residual": 0.0}, {"memoriser": "increments"}),
}


@pytest.mark.parametrize("name", BREAKING)
def test_the_title_claims_nothing_that_the_rows_contradict(name):
    new, equal = BREAKING[name]
    title = make_figure("memorisers", memoriser_rows()).axes[0].get_title(loc="left")
    assert title.startswith("Only increments pay")
    (ax,) = make_figure("memorisers", change(memoriser_rows(), new, **equal)).axes
    assert ax.get_title(loc="left").startswith("Error of the memorised table")


def test_a_timestep_that_errs_is_not_called_exact():
    rows = change(memoriser_rows(), {"residual": 0.1}, memoriser="timestep", periods=3)
    (found,) = [n for n in legend(make_figure("memorisers", rows).axes[0]) if "timestep" in n]
    assert "not 0" in found


def test_two_codings_of_one_memoriser_are_two_lines():
    rank = [r | {"coding": "rank"} for r in memoriser_rows() if r["memoriser"] == "increments"]
    (ax,) = make_figure("memorisers", memoriser_rows() + rank).axes
    assert sum(name.startswith("increments") for name in legend(ax)) == 2
    both = [one for one in ax.get_lines() if str(one.get_label()).startswith("increments")]
    assert len({one.get_markerfacecolor() for one in both}) == 2
    assert sum("Lemma 4.1's bound" in text for text in texts(ax)) == 1


def test_rows_without_a_memoriser_are_an_empty_figure():
    rows = [row | {"memoriser": None} for row in memoriser_rows()]
    assert legend(make_figure("memorisers", rows).axes[0]) == ["proven bound"]
    rows = [row | {"memoriser": None, "arithmetic": None} for row in arithmetic_rows()]
    assert len(make_figure("arithmetic", rows).axes) == 1


# arithmetic


def test_each_arithmetic_has_a_panel_with_0_and_not_finite_as_levels():
    axes = make_figure("arithmetic", arithmetic_rows()).axes
    assert [ax.get_title() for ax in axes] == ["float32", "float64", "exact integers"]
    for ax in axes:
        assert ax.get_xscale() == "log"
        low, high = ax.get_ylim()
        assert low < 0
        ticks = [ax.yaxis.get_major_formatter()(at) for at in ax.get_yticks()]
        assert (ticks[0], ticks[-1]) == ("exactly 0", "not finite")
        assert ax.get_yticks()[-1] < high
    for name in MEMORISER_STYLE:
        assert not np.any(line(axes[2], name).get_ydata())


def test_what_is_not_finite_is_at_the_top_and_what_is_refused_is_hollow():
    _, ax, _ = make_figure("arithmetic", arithmetic_rows()).axes
    roof = ax.get_yticks()[-1]
    heights = dict(zip(*line(ax, "increments").get_data(), strict=True))
    assert heights[32] == 0
    assert heights[64] == 0.7
    assert heights[1024] == heights[16384] == roof
    refused = line(ax, "_increments refused")
    assert list(refused.get_xdata()) == [64, 128, 256]
    assert to_rgba(refused.get_markerfacecolor()) == to_rgba("white")
    held = line(ax, "_increments held")
    assert list(held.get_xdata()) == [8, 16, 32, 1024, 4096, 16384]
    assert same_color(held.get_markerfacecolor(), MEMORISER_STYLE["increments"].colour)


def test_what_was_refused_without_a_number_is_at_the_top_too_and_the_level_says_so():
    rows = change(arithmetic_rows(), {"value": None}, refused=True)
    _, ax, _ = make_figure("arithmetic", rows).axes
    roof = ax.get_yticks()[-1]
    assert set(line(ax, "_increments refused").get_ydata()) == {roof}
    assert ax.yaxis.get_major_formatter()(roof) == "no number"


def test_title_and_legend_say_what_breaks_and_where():
    figure = make_figure("arithmetic", arithmetic_rows())
    assert figure.get_suptitle().startswith(
        "Floating point breaks digits, then increments, not timestep; exact integers never\n"
    )
    unknown = [row for row in arithmetic_rows() if row["arithmetic"] != "float64"]
    title = make_figure("arithmetic", unknown).get_suptitle()  # digits never held here
    assert title.startswith("Floating point breaks increments and digits, not timestep")
    names = legend(figure.axes[-1])
    assert "float32: 32 labels\n  float64: 64 labels\n  exact: holds here" in names[0]
    assert "float32: holds here" in names[1]
    assert "hollow" in names[-1]


def test_an_exact_network_that_errs_is_not_said_to_hold():
    rows = change(arithmetic_rows(), {"value": 0.5}, arithmetic="exact", labels=4096)
    figure = make_figure("arithmetic", rows)
    assert "exact integers never" not in figure.get_suptitle()
    assert "exact: 4096 labels" in legend(figure.axes[-1])[0]
    calm = [row | {"value": 0.0} for row in arithmetic_rows()]
    assert make_figure("arithmetic", calm).get_suptitle().startswith("Error of the arithmetic")


def test_draw_alone_draws_the_first_arithmetic():
    ax = matplotlib.figure.Figure().add_subplot()
    arithmetic.draw(ax, arithmetic_rows())
    first = make_figure("arithmetic", arithmetic_rows()).axes[0]
    for one, want in zip(ax.get_lines(), first.get_lines(), strict=True):
        assert np.array_equal(one.get_data(), want.get_data())


# all kinds


@pytest.fixture
def study(tmp_path):
    """A study folder with a file of each kind."""
    (tmp_path / "figures").mkdir()
    for kind, rows in KINDS.items():
        write_rows(tmp_path / "figures" / f"{kind}__a.csv", rows())
    return tmp_path


BAD_CELLS = {
    "column": ("memorisers", "residual", "rest", "must have a column `residual`"),
    "word": (
        "arithmetic",
        "float64",
        "float16",
        "must hold float32, float64, exact, got 'float16'",
    ),
    "flag": ("arithmetic", "true", "maybe", "column `refused` must be true or false, got 'maybe'"),
    "stage": ("stages", "quantise", "first", "must hold quantise, context, values, got 'first'"),
    "number": ("stages", "0.45", "left", "column `position` must be a number, got 'left'; correct"),
    "least": ("memorisers", ",121,", ",-1,", "column `loops` must be a number >= 1, got '-1'"),
}


@pytest.mark.parametrize("name", BAD_CELLS)
def test_a_bad_file_is_named_with_the_cell(name, study):
    kind, old, new, words = BAD_CELLS[name]
    path = study / "figures" / f"{kind}__a.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=words):
        figures.redraw(study, formats=())


def test_the_command_draws_every_kind_and_the_same_bytes_again(study):
    found = []
    for _ in range(2):
        assert figures.redraw(study, formats=["svg"])
        found.append({path.name: path.read_bytes() for path in study.glob("figures/*.svg")})
    assert set(found[0]) == {f"{kind}__a.svg" for kind in KINDS}
    assert found[0] == found[1]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("kind", [*KINDS, "error-against-loops"])
def test_nothing_leaves_the_figure_and_no_two_texts_overlap(kind, style):
    figure = make_figure(kind, KINDS.get(kind, main_rows)(), style=style)
    figure.draw_without_rendering()
    box = figure.get_tightbbox().transformed(figure.dpi_scale_trans)
    assert box.x0 > -EDGE
    assert box.y0 > -EDGE
    assert box.x1 < figure.bbox.width + EDGE
    assert box.y1 < figure.bbox.height + EDGE
    boxes = [text.get_window_extent() for text in _shown_texts(figure)]
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            assert not one.padded(-EDGE).overlaps(other.padded(-EDGE))


def _shown_texts(figure):
    """Texts that are seen, titles, ticks and legends included."""
    found = [figure._suptitle] if figure._suptitle else []
    for ax in figure.axes:
        found += [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, ax.yaxis.label]
        for axis, limits in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            ticks = zip(axis.get_ticklocs(), axis.get_ticklabels(), strict=False)
            found += [text for at, text in ticks if min(limits) <= at <= max(limits)]
        if ax.get_legend():
            found += [*ax.get_legend().get_texts(), ax.get_legend().get_title()]
    return [text for text in found if text.get_visible() and text.get_text().strip()]
