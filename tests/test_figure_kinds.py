"""Figures of moduli, terms, training, memorisers and arithmetics: what was drawn."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgba

from cases.construction_rows import arithmetic_rows, memoriser_rows
from cases.drawn import band, change, drawn, legend, line, points, texts
from cases.figure_rows import BOUND, TRIVIAL, curves_rows, moduli_rows, terms_rows
from looprate.figures import bound_terms
from looprate.figures.drawing import make_figure
from looprate.figures.style import KIND_STYLE, MEMORISER_STYLE
from looprate.theory.construction.memorisers import one_level


def test_moduli_show_each_side_as_what_it_is():
    (ax,) = drawn("moduli", moduli_rows())
    assert line(ax, "sequence: closed form").get_linestyle() == "-"
    assert line(ax, "token: proven upper bound").get_linestyle() == "-."
    lower = line(ax, "token: lower bound (found pair)")
    assert lower.get_linestyle() == "None"
    assert lower.get_marker() == KIND_STYLE["token"].marker
    assert np.allclose(points(lower), [(0.01, 0.009), (0.1, 0.09), (1.0, 0.9)])
    assert {"closed form", "proven upper bound", "lower bound (found pair)"} < set(legend(ax))


def test_a_modulus_that_is_zero_is_named_and_not_drawn():
    (ax,) = drawn("moduli", moduli_rows())
    assert not [one for one in ax.get_lines() if "contextual" in str(one.get_label())]
    assert [text for text in legend(ax) if text.endswith(": identically 0")]
    unknown = [row | {"exact": None} for row in moduli_rows()]
    assert any("0 found at every radius" in text for text in legend(drawn("moduli", unknown)[0]))


def test_a_modulus_that_is_zero_at_one_radius_says_so():
    rows = [row | {"exact": 0.0} if row["delta"] == 0.01 else row for row in moduli_rows()]
    assert any("(0 at 1 radii, not drawn)" in text for text in legend(drawn("moduli", rows)[0]))


def test_an_upper_bound_is_drawn_only_where_the_closed_form_is_not_exact():
    rows = [row | {"exact": row["delta"], "upper": row["delta"]} for row in moduli_rows()]
    assert "proven upper bound" not in legend(drawn("moduli", rows)[0])
    rows = [row | {"exact": None} if row["delta"] == 1.0 else row for row in rows]
    (ax,) = drawn("moduli", rows)
    assert points(line(ax, "sequence: proven")) == [(0.1, 0.1), (1.0, 1.0)]
    assert points(line(ax, "sequence: closed")) == [(0.01, 0.01), (0.1, 0.1)]


def test_terms_are_stacked_to_the_total_and_zero_terms_left_out():
    for ax in drawn("bound-terms", terms_rows()):
        assert points(line(ax, "_total")) == list(BOUND.items())
        assert band(ax, "collisions")[:, 1].max() == max(BOUND.values())
        assert ax.get_ylim() == (0.0, bound_terms.SOME * TRIVIAL)  # where a bound says something
        assert ax.get_xlim()[0] == pytest.approx(10**6 / bound_terms.BEFORE)
        (span,) = ax.patches
        assert span.get_x() + span.get_width() == pytest.approx(10**6)
        assert band(ax, "_veil")[:, 0].max() == 10**6
    assert legend(ax) == ["collisions", "token", "best constant", "vacuous (paler)"]
    assert [ax.get_title() for ax in drawn("bound-terms", terms_rows())] == [
        "Theorem 3.6, our constants\nsays something from $r = 1 \\times 10^{6}$",
        "explicit inequality, increments\nsays something from $r = 1 \\times 10^{6}$",
    ]


def test_a_loop_count_without_a_total_stays_empty():
    rows = [row | {"total": None} if row["loops"] == 10 else row for row in terms_rows()]
    assert points(line(drawn("bound-terms", rows)[0], "_total")) == list(BOUND.items())[1:]


def test_terms_that_do_not_sum_to_the_total_are_refused():
    rows = [row for row in terms_rows() if row["term"] != "token"]
    with pytest.raises(ValueError, match=r"`total` must be the sum of the terms, got 4 .* to 3 at"):
        drawn("bound-terms", rows)


def test_training_curves_are_medians_of_the_chosen_recipe():
    first, second = drawn("training-curves", curves_rows())
    assert [first.get_title(), second.get_title()] == ["LT", "untied"]
    for ax in (first, second):
        four = next(one for one in ax.get_lines() if one.get_label() == "4")
        assert points(four) == [(0, 2 / 4), (10, 2 / 14), (20, 2 / 24)]
    assert legend(second) == ["$r = 1$", "$r = 4$"]
    assert "3 seeds" in second.get_legend().get_title().get_text()


# memorisers


def test_increments_grow_below_the_gap_timestep_is_at_0_and_digits_are_level():
    (ax,) = drawn("memorisers", memoriser_rows())
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
    (ax,) = drawn("memorisers", memoriser_rows())
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
    title = drawn("memorisers", memoriser_rows())[0].get_title(loc="left")
    assert title.startswith("Only the error of increments grows")
    (ax,) = drawn("memorisers", change(memoriser_rows(), new, **equal))
    assert ax.get_title(loc="left").startswith("Error of the memorised table")


def test_a_timestep_that_errs_is_not_called_exact():
    rows = change(memoriser_rows(), {"residual": 0.1}, memoriser="timestep", periods=3)
    (found,) = [n for n in legend(drawn("memorisers", rows)[0]) if "timestep" in n]
    assert "not 0" in found


def test_two_codings_of_one_memoriser_are_two_lines():
    rank = [r | {"coding": "rank"} for r in memoriser_rows() if r["memoriser"] == "increments"]
    (ax,) = drawn("memorisers", memoriser_rows() + rank)
    assert sum(name.startswith("increments") for name in legend(ax)) == 2
    both = [one for one in ax.get_lines() if str(one.get_label()).startswith("increments")]
    assert len({one.get_markerfacecolor() for one in both}) == 2
    assert sum("Lemma 4.1's bound" in text for text in texts(ax)) == 1


def test_rows_without_a_memoriser_are_an_empty_figure():
    rows = [row | {"memoriser": None} for row in memoriser_rows()]
    assert legend(drawn("memorisers", rows)[0]) == ["proven bound"]
    rows = [row | {"memoriser": None, "arithmetic": None} for row in arithmetic_rows()]
    assert len(drawn("arithmetic", rows)) == 1


# arithmetic


def test_each_arithmetic_has_a_panel_with_0_and_not_finite_as_levels():
    axes = drawn("arithmetic", arithmetic_rows())
    assert [ax.get_title() for ax in axes] == [
        "float32\nincrements breaks at 32\ndigits breaks at 8",
        "float64\nincrements breaks at 64\ndigits breaks at 16",
        "exact integers\nnothing breaks",
    ]
    for ax in axes:
        assert ax.get_xscale() == "log"
        low, high = ax.get_ylim()
        assert low < 0
        ticks = [ax.yaxis.get_major_formatter()(at) for at in ax.get_yticks()]
        assert (ticks[0], ticks[-1]) == ("exactly 0", "not finite")
        assert ax.get_yticks()[-1] < high
    for kind in one_level():
        assert not np.any(line(axes[2], kind.name).get_ydata())


def test_what_is_not_finite_is_at_the_top_and_what_is_refused_is_hollow():
    _, ax, _ = drawn("arithmetic", arithmetic_rows())
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
    _, ax, _ = drawn("arithmetic", rows)
    roof = ax.get_yticks()[-1]
    assert set(line(ax, "_increments refused").get_ydata()) == {roof}
    assert ax.yaxis.get_major_formatter()(roof) == "no number"


def test_title_and_legend_say_what_breaks_and_where():
    figure = make_figure("arithmetic", arithmetic_rows())
    assert figure.get_suptitle().startswith(
        "Floating point breaks digits, then increments, not timestep; "
        "exact integers do not up to 16384 labels\n"
    )
    unknown = [row for row in arithmetic_rows() if row["arithmetic"] != "float64"]
    title = make_figure("arithmetic", unknown).get_suptitle()  # digits never held here
    assert title.startswith("Floating point breaks increments and digits, not timestep")
    names = legend(figure.axes[-1])
    assert names[:3] == ["increments", "timestep", "digits"]
    assert "hollow" in names[-1]


def test_an_exact_network_that_errs_is_not_said_to_hold():
    rows = change(arithmetic_rows(), {"value": 0.5}, arithmetic="exact", labels=4096)
    figure = make_figure("arithmetic", rows)
    assert "exact integers do not" not in figure.get_suptitle()
    assert "digits breaks at 4096" in figure.axes[-1].get_title()
    calm = [row | {"value": 0.0} for row in arithmetic_rows()]
    assert make_figure("arithmetic", calm).get_suptitle().startswith("Error of the arithmetic")
