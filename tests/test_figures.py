"""Figures: what was drawn (lines, bands, spans, legends), and what is said about bad files."""

from __future__ import annotations

import json
import math
import random
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.colors import to_rgb

from cases.construction_rows import arithmetic_rows, memoriser_rows, stage_rows
from cases.eta_rows import figure_rows as eta_rows
from cases.learned_rows import figure_rows as learned_rows
from cases.reproduce_rows import figure_rows as task_rows
from cases.scaling_rows import figure_rows as scaling_rows
from looprate import figures
from looprate.figures import bound_terms, error_against_loops, moduli, training_curves
from looprate.figures.__main__ import main
from looprate.figures.common import setting_title
from looprate.figures.drawing import KINDS, make_figure, redraw_each
from looprate.figures.rows import read_rows, write_rows
from looprate.figures.style import (
    FAMILY_STYLE,
    KIND_STYLE,
    MEMORISER_STYLE,
    TERM_STYLE,
    TOKEN_STYLE,
)

RESULTS = Path(__file__).resolve().parent.parent / "results"

SETTING = {
    "target": "mean-field",
    "latex": r"f(X)_n = \frac{x_n}{2}",
    "tokens": 2,
    "dim": 1,
    "p": 2,
}
TRIVIAL = 0.5
TRAINED = {1: (0.3, 0.45, 0.2), 8: (0.05, None, 0.09), 32: (0.02, 0.04, 0.03)}  # per seed
BOUND = {10: 4.0, 10**4: 0.6, 10**6: 0.4, 10**8: 0.2}
LEAST_GREY_GAP = 0.12  # of black to white: two colours side by side can be told apart


def complete(rows, module):
    """Rows with every column of a figure, in a fixed order."""
    return [{name: row.get(name, SETTING.get(name)) for name in module.COLUMNS} for row in rows]


def main_rows(*, informative=True):
    rows = [
        {"curve": "trained", "family": family, "loops": r, "seed": seed, "value": value}
        for family in ("lt", "tmlt")
        for r, values in TRAINED.items()
        for seed, value in enumerate(values)
    ]
    for r, value in BOUND.items():
        status = "holds" if value < TRIVIAL and informative else "vacuous"
        bound = {"curve": "bound", "family": "lt", "label": "explicit, increments"}
        rows.append(bound | {"loops": r, "value": value, "status": status})
        rows.append({"curve": "rate", "label": "slope −1/4", "loops": r, "value": r**-0.25})
    rows.append({"curve": "trivial", "value": TRIVIAL, "stderr": 0.01})
    return complete(rows, error_against_loops)


def moduli_rows():
    slopes = {"sequence": 2.0, "token": 1.0, "contextual": 0.0}
    rows = [
        {"kind": kind, "delta": delta, "lower": 0.9 * slope * delta}
        | {("upper" if kind == "token" else "exact"): slope * delta}
        for kind, slope in slopes.items()
        for delta in (0.01, 0.1, 1.0)
    ]
    return complete(rows, moduli)


def terms_rows():
    rows = []
    for version in ("theorem-3.6", "explicit-increments"):
        for r, total in BOUND.items():
            parts = {"token": 0.25 * total, "collisions": 0.75 * total, "strips": 0.0}
            status = "holds" if total < TRIVIAL else "vacuous"
            shared = {"version": version, "loops": r, "trivial": TRIVIAL, "total": total}
            rows += [shared | {"status": status, "term": t, "value": v} for t, v in parts.items()]
    return complete(rows, bound_terms)


def curves_rows():
    rows = [
        {"family": family, "loops": r, "seed": seed, "step": step, "chosen": chosen}
        | {"value": (1 + seed) / (r + step) * (1.0 if chosen else 50.0)}
        for family in ("lt", "untied")
        for r in (1, 4)
        for seed in range(3)
        for step in (0, 10, 20)
        for chosen in (True, False)
    ]
    return complete(rows, training_curves)


CASES = {
    "error-against-loops": main_rows,
    "moduli": moduli_rows,
    "bound-terms": terms_rows,
    "training-curves": curves_rows,
    "memorisers": memoriser_rows,
    "arithmetic": arithmetic_rows,
    "stages": stage_rows,
    "eta-gain": eta_rows,
    "learned-moduli": learned_rows,
    "scaling": scaling_rows,
    "task-accuracy": partial(task_rows, "task-accuracy"),
    "task-test-loops": partial(task_rows, "task-test-loops"),
    "task-training": partial(task_rows, "task-training"),
    "task-boards": partial(task_rows, "task-boards"),
    "task-attention": partial(task_rows, "task-attention"),
}


def drawn(kind, rows):
    """The axes of a figure."""
    return make_figure(kind, rows).axes


def line(ax, words):
    """Data of the one line whose label has these words."""
    (found,) = [one for one in ax.get_lines() if words in str(one.get_label())]
    return found


def points(found):
    """Finite points of a line."""
    x, y = (np.asarray(data, dtype=float) for data in found.get_data())
    return [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(b)]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def band(ax, label):
    (found,) = [one for one in ax.collections if one.get_label() == label]
    assert isinstance(found, FillBetweenPolyCollection)
    return found.get_paths()[0].vertices


@pytest.fixture
def study(tmp_path):
    """A study folder with one file of each kind."""
    (tmp_path / "figures").mkdir()
    for kind, rows in CASES.items():
        write_rows(tmp_path / "figures" / f"{kind}__a.csv", rows())
    return tmp_path


# the main figure


def test_a_bound_is_drawn_where_it_holds_and_only_there():
    (ax,) = drawn("error-against-loops", main_rows())
    proven = line(ax, "proven: explicit, increments")
    assert points(proven) == [(10**6, 0.4), (10**8, 0.2)]
    assert proven.get_linestyle() == "-"
    assert proven.get_color() == FAMILY_STYLE["lt"].colour
    assert proven.get_drawstyle() == "steps-post"


def test_a_bound_that_is_vacuous_everywhere_is_neither_drawn_nor_named():
    (ax,) = drawn("error-against-loops", main_rows(informative=False))
    assert not [one for one in ax.get_lines() if "proven" in str(one.get_label())]
    assert not [text for text in legend(ax) if "proven" in text]


@pytest.mark.parametrize("status", ["not testable", "violated", None])
def test_a_bound_without_the_verdict_holds_is_not_drawn(status):
    rows = [row | {"status": status} if row["curve"] == "bound" else row for row in main_rows()]
    (ax,) = drawn("error-against-loops", rows)
    assert not [one for one in ax.get_lines() if "proven" in str(one.get_label())]


def test_the_shaded_span_ends_at_the_first_loop_count_where_a_bound_holds():
    (ax,) = drawn("error-against-loops", main_rows())
    (span,) = ax.patches
    assert span.get_x() == ax.get_xlim()[0]
    assert span.get_x() + span.get_width() == pytest.approx(10**6)
    assert span.get_hatch()  # seen without colours
    assert "vacuous" in " ".join(text.get_text() for text in ax.texts)


def test_the_whole_width_is_shaded_where_no_bound_holds_and_the_text_says_so():
    (ax,) = drawn("error-against-loops", main_rows(informative=False))
    (span,) = ax.patches
    assert (span.get_x(), span.get_x() + span.get_width()) == pytest.approx(ax.get_xlim())
    assert "on this whole range" in ax.texts[0].get_text()


def test_nothing_is_shaded_without_bounds():
    rows = [row for row in main_rows() if row["curve"] != "bound"]
    assert not drawn("error-against-loops", rows)[0].patches


def test_a_narrow_span_is_named_in_the_legend_instead():
    rows = main_rows()
    for row in rows:
        if row["curve"] == "bound" and row["loops"] == 10:
            row |= {"status": "holds", "value": 0.4}
    (ax,) = drawn("error-against-loops", rows)
    assert not ax.texts
    assert any("vacuous" in text for text in legend(ax))


def test_the_line_is_the_median_and_the_band_all_seeds_without_missing_values():
    (ax,) = drawn("error-against-loops", main_rows())
    trained = next(one for one in ax.get_lines() if str(one.get_label()).startswith("LT trained"))
    assert points(trained) == [(1, 0.3), (8, pytest.approx(0.07)), (32, 0.03)]
    corners = {(x, y) for x, y in band(ax, "_lt band")}
    for r, values in TRAINED.items():
        there = [value for value in values if value is not None]
        assert {(r, min(there)), (r, max(there))} <= corners
        assert all(min(there) <= y <= max(there) for x, y in corners if x == r)


def test_the_legend_names_the_statistic_the_seeds_and_the_runs_that_diverged():
    names = legend(drawn("error-against-loops", main_rows())[0])
    assert "LT trained (median, band: all 3 seeds, 1 diverged)" in names


def test_rates_are_broken_grey_and_up_to_a_constant():
    (ax,) = drawn("error-against-loops", main_rows())
    rate = line(ax, "slope −1/4 (up to a constant)")
    assert rate.get_linestyle() != "-"
    assert len(set(to_rgb(rate.get_color()))) == 1
    assert len(points(rate)) == len(BOUND)
    assert "slope −1/4 (up to a constant)" in legend(ax)


def test_every_trained_error_and_the_best_constant_are_in_view():
    (ax,) = drawn("error-against-loops", main_rows())
    low, high = ax.get_ylim()
    assert low < 0.02
    assert 2 * TRIVIAL <= high <= 3 * TRIVIAL
    assert ax.get_xlim()[0] < 1
    assert ax.get_xlim()[1] > 10**8
    constant = line(ax, "best constant")
    assert list(constant.get_ydata()) == [TRIVIAL, TRIVIAL]
    assert constant.get_label() == "best constant (0.5 ± 0.01)"


def test_measured_and_proven_have_a_column_of_the_legend_each():
    names = legend(drawn("error-against-loops", main_rows())[0])
    assert len(names) % 2 == 0
    half = len(names) // 2
    assert all("proven" not in name and "constant)" not in name for name in names[:half])
    assert all("trained" not in name for name in names[half:])


def test_the_note_says_what_the_two_sides_are():
    (ax,) = drawn("error-against-loops", main_rows())
    assert "bounds are existence statements" in ax.get_legend().get_title().get_text()


def test_the_order_of_rows_does_not_matter():
    rows = main_rows()
    random.Random(2).shuffle(rows)
    (ax,), (want,) = drawn("error-against-loops", rows), drawn("error-against-loops", main_rows())
    for name in ("LT trained", "proven", "slope", "best constant"):
        found, wanted = (
            next(one for one in each.lines if name in one.get_label()) for each in (ax, want)
        )
        assert points(found) == points(wanted)


# titles and colours


def test_titles_show_formula_and_setting_or_the_name_if_the_formula_cannot_be_set():
    rows = [dict(SETTING)]
    assert setting_title(rows) == r"$f(X)_n = \frac{x_n}{2}$,   $N = 2$, $d = 1$, $p = 2$"
    broken = [SETTING | {"latex": r"\nosuch{", "target": "cost$", "p": math.inf}]
    assert setting_title(broken) == r"cost\$,   $N = 2$, $d = 1$, $p = \infty$"


@pytest.mark.parametrize("kind", CASES)
def test_a_long_title_stays_inside_its_figure(kind):
    rows = [row | {"latex": " + ".join(["x_n"] * 40)} for row in CASES[kind]()]
    figure = make_figure(kind, rows)
    figure.draw_without_rendering()
    box = (figure._suptitle or figure.axes[0].title).get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


def test_files_that_mix_targets_are_refused():
    with pytest.raises(ValueError, match="column `tokens` must hold one value a file, got 2 and 3"):
        setting_title([SETTING, SETTING | {"tokens": 3}])


@pytest.mark.parametrize(
    "table",
    [FAMILY_STYLE, KIND_STYLE, MEMORISER_STYLE, TOKEN_STYLE],
    ids=["family", "kind", "memoriser", "token"],
)
def test_colours_differ_in_greyscale(table):
    greys = sorted(np.dot((0.299, 0.587, 0.114), to_rgb(style.colour)) for style in table.values())
    assert min(np.diff(greys)) > LEAST_GREY_GAP
    assert len({style.marker for style in table.values()}) == len(table)


def test_neighbouring_terms_differ_by_more_than_colour():
    assert len({(style.hatch, style.colour) for style in TERM_STYLE.values()}) == len(TERM_STYLE)


# the other kinds


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
        assert ax.get_ylim() == (0.0, 3 * TRIVIAL)
        (span,) = ax.patches
        assert span.get_x() + span.get_width() == pytest.approx(10**6)
        assert band(ax, "_veil")[:, 0].max() == 10**6
    assert legend(ax) == ["collisions", "token", "best constant", "vacuous: stack paler"]
    assert [ax.get_title() for ax in drawn("bound-terms", terms_rows())] == [
        "theorem-3.6",
        "explicit-increments",
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


@pytest.mark.parametrize("module", [bound_terms, training_curves], ids=lambda one: one.__name__)
def test_draw_alone_draws_the_first_panel(module):
    kind = module.__name__.rpartition(".")[2].replace("_", "-")
    rows = CASES[kind]()
    ax = matplotlib.figure.Figure().add_subplot()
    module.draw(ax, rows)
    first = drawn(kind, rows)[0]
    assert [points(one) for one in ax.get_lines()] == [points(one) for one in first.get_lines()]


# files


@pytest.mark.parametrize("kind", CASES)
def test_rows_read_back_as_they_were_written_and_draw_the_same(kind, tmp_path):
    rows = CASES[kind]()
    write_rows(tmp_path / "a.csv", rows)
    again = read_rows(tmp_path / "a.csv")
    assert again == rows
    shuffled = [dict(random.Random(1).sample(list(row.items()), len(row))) for row in rows]
    write_rows(tmp_path / "b.csv", shuffled)
    want = [points(one) for ax in drawn(kind, rows) for one in ax.get_lines()]
    got = [points(one) for ax in drawn(kind, read_rows(tmp_path / "b.csv")) for one in ax.lines]
    assert got == want


def test_a_cell_with_nan_is_a_missing_value(tmp_path):
    (tmp_path / "a.csv").write_text("loops,value,p\n1,nan,inf\n")
    assert read_rows(tmp_path / "a.csv") == [{"loops": 1.0, "value": None, "p": math.inf}]


def test_redrawing_writes_the_same_bytes(study):
    formats = ("png", "pdf", "svg")
    keep_only(study, "moduli")
    paths = figures.redraw(study, formats=formats)
    before = {path.name: path.read_bytes() for path in paths}
    assert list(before) == [f"moduli__a.{name}" for name in formats]
    assert figures.redraw(study, formats=formats) == paths
    assert {path.name: path.read_bytes() for path in paths} == before
    names = {path.name for path in (study / "figures").iterdir()}
    assert names == {"moduli__a.csv", *before}  # no drafts left


def test_global_settings_are_neither_used_nor_changed(study):
    before = dict(matplotlib.rcParams)
    wanted = make_figure("moduli", moduli_rows()).axes[0].title.get_fontsize()
    with matplotlib.rc_context({"font.size": 40}):
        assert make_figure("moduli", moduli_rows()).axes[0].title.get_fontsize() == wanted
    assert dict(matplotlib.rcParams) == before


def test_slides_are_larger_in_every_way():
    paper, slides = (make_figure("moduli", moduli_rows(), style=s) for s in ("paper", "slides"))
    assert slides.get_figwidth() > paper.get_figwidth()
    assert slides.axes[0].lines[0].get_linewidth() > paper.axes[0].lines[0].get_linewidth()


# the command


def keep_only(study, *kinds):
    """Take the files of all other kinds away."""
    for kind in set(CASES) - set(kinds):
        (study / "figures" / f"{kind}__a.csv").unlink()


def broken(study, kind, change):
    """Rewrite the text of one file."""
    path = study / "figures" / f"{kind}__a.csv"
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")


BAD = {
    "column": (
        lambda text: text.replace("delta", "radius", 1),
        r"`moduli__a.csv` must have a column `delta` \(radius.*got kind, radius.*; add it",
    ),
    "number": (
        lambda text: text.replace("0.01", "abc", 1),
        r"`moduli__a.csv` line 2: column `delta` must be a number >= 0, got 'abc'; correct",
    ),
    "range": (
        lambda text: text.replace("0.01", "-0.01", 1),
        r"line 2: column `delta` must be a number >= 0, got '-0.01'",
    ),
    "word": (
        lambda text: text.replace("token,", "tokn,", 1),
        r"column `kind` must hold sequence, token, contextual, got 'tokn'; correct the cell",
    ),
    "cells": (
        lambda text: text + "sequence,1\n",
        r"line 11 must have 10 cells as its header, got 2; quote cells that hold a comma",
    ),
    "header": (lambda text: "a,a\n1,2\n", "must start with a header line of distinct column names"),
    "empty": (lambda text: text.splitlines()[0], "must hold at least one row below its header"),
    "quote": (lambda text: text + '"', "must be a UTF-8 CSV file, got one that cannot be read"),
    "mixed": (
        lambda text: text.replace("mean-field", "other", 1),
        "`moduli__a.csv`: column `target` must hold one value a file, got other and mean-field",
    ),
}


def test_rows_of_another_study_in_the_folder_asked_for_are_not_replaced(study, tmp_path):  # B7
    keep_only(study, "moduli")
    to = tmp_path / "talk"
    for _ in range(2):  # the same rows again are welcome
        assert figures.redraw(study, formats=["svg"], to=to) == [to / "moduli__a.svg"]
    before = {path.name: path.read_bytes() for path in to.iterdir()}
    rows = study / "figures" / "moduli__a.csv"
    rows.write_text(rows.read_text() + rows.read_text().splitlines()[-1] + "\n")
    with pytest.raises(ValueError, match=r"`to` must be .* holds another moduli__a.csv; take"):
        figures.redraw(study, formats=["svg"], to=to)
    assert {path.name: path.read_bytes() for path in to.iterdir()} == before


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_that_names_place_expectation_value_and_cure(name, study, capsys):
    change, words = BAD[name]
    keep_only(study, "moduli")
    broken(study, "moduli", change)
    with pytest.raises(ValueError, match=words) as caught:
        figures.redraw(study)
    assert main([json.dumps({"directory": str(study)})]) == 2
    assert capsys.readouterr() == ("", f"error: {caught.value}\n")
    assert "\n" not in str(caught.value)


def test_one_bad_file_does_not_stop_the_others(study, capsys):
    keep_only(study, "bound-terms", "moduli")
    broken(study, "bound-terms", lambda text: "")
    assert main([json.dumps({"directory": str(study), "formats": ["svg"]})]) == 2
    out, err = capsys.readouterr()
    source = study / "figures" / "moduli__a.csv"
    assert json.loads(out) == [str(source), [str(source.with_suffix(".svg"))]]
    assert err.count("\n") == 1


def test_a_flag_that_is_neither_true_nor_false_is_refused(study):
    broken(study, "training-curves", lambda text: text.replace("true", "maybe", 1))
    with pytest.raises(ValueError, match="column `chosen` must be true or false, got 'maybe'"):
        read_rows(study / "figures" / "training-curves__a.csv")


def test_every_known_kind_is_drawn_and_other_files_are_left_alone(study):
    (study / "figures" / "notes.csv").write_text("whatever")
    (study / "figures" / "other__a.csv").write_text("whatever")
    outcomes = list(redraw_each(study, style="paper", formats=()))
    assert {path.name for path, _ in outcomes} == {f"{kind}__a.csv" for kind in KINDS}
    assert all(outcome == [] for _, outcome in outcomes)


@pytest.mark.parametrize(
    ("directory", "others", "words"),
    [
        ("DIR", {"style": "board"}, "`style` must be one of paper, slides, poster, got 'board'"),
        ("DIR", {"formats": ["bmp"]}, "`formats` must be one of png, pdf, svg, got 'bmp'"),
        ("DIR/nowhere", {}, "must be a study folder with a folder figures in it"),
        ("DIR/empty", {}, "must hold figures/KIND__SLUG.csv with KIND one of error-against-loops"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(directory, others, words, study, capsys):
    (study / "empty" / "figures").mkdir(parents=True)
    status = main([json.dumps({"directory": directory.replace("DIR", str(study)), **others})])
    out, err = capsys.readouterr()
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err


def test_a_file_that_cannot_be_written_is_one_line(study, capsys):
    keep_only(study, "moduli")
    (study / "figures" / "moduli__a.svg").mkdir()  # stands for a read-only folder, also for root
    assert main([json.dumps({"directory": str(study), "formats": ["svg"]})]) == 2
    err = capsys.readouterr().err
    assert err.startswith("error: `moduli__a.csv` must be readable and its folder writable, got ")
    assert err.count("\n") == 1
    assert not list((study / "figures").glob(".*"))


def test_importing_figures_imports_no_torch_and_no_experiments():
    code = (
        "import sys, looprate.figures, looprate.figures.__main__;"
        "bad = {'torch', 'looprate.experiments', 'looprate.approx', 'matplotlib.pyplot'};"
        "bad &= set(sys.modules);"
        "sys.exit(', '.join(sorted(bad)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_shares_of_a_folder_draw_the_same_bytes_and_tell_what_is_wrong(tmp_path):
    for name in ("one", "two"):
        folder = tmp_path / name / "figures"
        folder.mkdir(parents=True)
        for source in sorted((RESULTS / "reproduce-small" / "figures").glob("*boards*.csv")):
            shutil.copy(source, folder)
        (folder / "moduli__broken.csv").write_text("kind\n")
    outcomes = {}
    for name, every in (("one", 1), ("two", 2)):
        found = [
            outcome
            for k in range(every)
            for outcome in redraw_each(
                tmp_path / name, style="paper", formats=["png"], share=(k, every)
            )
        ]
        outcomes[name] = sorted(
            (p.name, str(o if isinstance(o, str) else len(o))) for p, o in found
        )
    assert outcomes["one"] == outcomes["two"]
    assert any("must" in outcome for _, outcome in outcomes["one"])
    for path in (tmp_path / "one" / "figures").glob("*.png"):
        assert path.read_bytes() == (tmp_path / "two" / "figures" / path.name).read_bytes()
