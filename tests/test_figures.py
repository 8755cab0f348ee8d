"""Figures: what was drawn of each kind, and what is said about bad files."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import same_color, to_rgb

from cases.drawn import drawn, points
from cases.figure_rows import (
    CASES,
    SETTING,
    beside_rows,
    moduli_rows,
)
from looprate import figures
from looprate.figures import bound_terms, style
from looprate.figures import dark as dark_module
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
    on_dark,
)
from looprate.theory.construction.memorisers import MEMORISERS

EDGE = 1.0  # pixel by which ink may leave the figure
RESULTS = Path(__file__).resolve().parent.parent / "results"

LEAST_GREY_GAP = 0.12  # of black to white: two colours side by side can be told apart
LEAST_DARK_GAP = 0.06  # the same on black, where marks tell them apart as well
LEAST_DISTANCE = 0.08  # of Oklab, where 0.02 is just seen side by side
LEAST_CONTRAST = 3.0  # of graphics, by the web's guidelines
PIXELS, LEAST_PIXELS = 100.0, 9.0  # of a phone an inch of a figure; of a text
#: Linear sRGB as seen without green cones: G. Machado and others, 2009, severity 1.
NO_GREEN = np.array(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)
FIGURES = Path(__file__).resolve().parent.parent / "figures"
PAGES = ("index.md", "theory.md", "scaling.md")


@pytest.fixture
def study(tmp_path):
    """A study folder with one file of each kind."""
    (tmp_path / "figures").mkdir()
    for kind, rows in CASES.items():
        write_rows(tmp_path / "figures" / f"{kind}__a.csv", rows())
    return tmp_path


# titles and colours


def test_titles_show_formula_and_setting_or_the_name_if_the_formula_cannot_be_set():
    rows = [dict(SETTING)]
    assert setting_title(rows) == r"$f(X)_n = \frac{x_n}{2}$,   $N = 2$, $d = 1$, $p = 2$"
    broken = [SETTING | {"latex": r"\nosuch{", "target": "cost$", "p": math.inf}]
    own = [SETTING | {"latex": None, "target": "/home/me/a_b.py:f + docs/c.py:g"}]
    assert setting_title(own).startswith("f + g,")
    counted = [SETTING | {"latex": r"\frac{1}{N-1} x", "tokens": n} for n in (2, 4)]
    assert [setting_title([row]).split(", ")[0] for row in counted] == ["$ x$", r"$\frac{1}{3} x$"]
    assert setting_title(broken) == r"cost\$,   $N = 2$, $d = 1$, $p = \infty$"


@pytest.mark.parametrize("kind", CASES)
def test_a_long_title_stays_inside_its_figure(kind):
    rows = [row | {"latex": " + ".join(["x_n"] * 40)} for row in CASES[kind]()]
    figure = make_figure(kind, rows)
    figure.draw_without_rendering()
    box = (figure._suptitle or figure.axes[0].title).get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.width


@pytest.mark.parametrize("style", ["paper", "slides"])
@pytest.mark.parametrize("kind", ["memorisers", "arithmetic", "stages", "error-against-loops"])
def test_nothing_leaves_the_figure_and_no_two_texts_overlap(kind, style):
    figure = make_figure(
        kind, (beside_rows if kind == "error-against-loops" else CASES[kind])(), style=style
    )
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


def test_files_that_mix_targets_are_refused():
    with pytest.raises(ValueError, match="column `tokens` must hold one value a file, got 2 and 3"):
        setting_title([SETTING, SETTING | {"tokens": 3}])


TABLES = pytest.mark.parametrize(
    "table",
    [FAMILY_STYLE, KIND_STYLE, MEMORISER_STYLE, TOKEN_STYLE],
    ids=["family", "kind", "memoriser", "token"],
)


def greys(colours):
    """Lightness of colours on a black-and-white print, ascending."""
    return sorted(float(np.dot((0.299, 0.587, 0.114), to_rgb(colour))) for colour in colours)


def without_green(colours):
    """Places of colours, as eyes without green cones see them, in a space of seen distances."""
    seen = (NO_GREEN @ style._linear(np.array([to_rgb(colour) for colour in colours])).T).clip(0, 1)
    return (style.TO_LAB @ np.cbrt(style.TO_CONES @ seen)).T


def least_distance(places):
    return min(math.dist(a, b) for a, b in itertools.combinations(places, 2))


def contrast(one, other):
    """Ratio of the light of two colours, 1 to 21, as web pages are judged by."""
    amounts = (style._linear(np.array(to_rgb(each))) for each in (one, other))
    light = [each @ (0.2126, 0.7152, 0.0722) for each in amounts]
    return (max(light) + 0.05) / (min(light) + 0.05)


@TABLES
def test_colours_differ_in_greyscale_and_for_eyes_without_green(table):
    colours = [each.colour for each in table.values()]
    assert min(np.diff(greys(colours))) > LEAST_GREY_GAP
    assert least_distance(without_green(colours)) > LEAST_DISTANCE
    assert len({each.marker for each in table.values()}) == len(table)


@TABLES
def test_on_black_colours_differ_as_well_and_can_be_read(table):
    colours = [on_dark(each.colour) for each in table.values()]
    assert min(np.diff(greys(colours))) > LEAST_DARK_GAP
    assert least_distance(without_green(colours)) > LEAST_DISTANCE
    assert min(contrast(colour, on_dark("white")) for colour in colours) > LEAST_CONTRAST


def test_red_and_green_of_one_lightness_are_told_to_be_confused():
    assert least_distance(without_green(["#B5651D", "#7A8B1D"])) < LEAST_DISTANCE  # the control
    assert least_distance(without_green(["#0072B2", "#E69F00"])) > LEAST_DISTANCE


def test_constructions_have_the_hue_of_their_family():
    for name, each in MEMORISER_STYLE.items():
        red, _, blue = to_rgb(each.colour)
        assert (blue > red) == (MEMORISERS[name].family == "lt")
    assert to_rgb(FAMILY_STYLE["lt"].colour)[2] > to_rgb(FAMILY_STYLE["lt"].colour)[0]


def test_no_file_but_the_style_names_a_colour_of_its_own():
    own = re.compile(r"""["']#[0-9A-Fa-f]{6}["']""")
    files = [*FIGURES.glob("*.py"), *FIGURES.glob("stages/*.py"), *FIGURES.glob("tasks/*.py")]
    files += [*(FIGURES.parent / "docs").glob("examples/*.py")]
    assert [f.name for f in files if own.search(f.read_text(encoding="utf-8"))] == ["style.py"]


# other pages


@pytest.mark.parametrize(
    "kind", ["error-against-loops", *(pytest.param(kind, marks=pytest.mark.slow) for kind in CASES)]
)
def test_on_a_phone_every_text_is_nine_pixels_high_and_inside(kind):
    figure = make_figure(kind, CASES[kind](), style="phone")
    figure.draw_without_rendering()
    assert figure.get_figwidth() * PIXELS == pytest.approx(390)
    texts = _shown_texts(figure)
    assert min(text.get_fontsize() for text in texts) * PIXELS / 72 >= LEAST_PIXELS
    box = figure.get_tightbbox()
    assert min(box.x0, box.y0) > -2 * EDGE / PIXELS
    assert box.x1 < figure.get_figwidth() + 2 * EDGE / PIXELS


def test_a_dark_figure_is_light_on_black_and_keeps_its_lines():
    light, dark = (make_figure("stages", CASES["stages"](), dark=on) for on in (False, True))
    assert same_color(dark.get_facecolor(), on_dark("white"))
    for one, other in zip(light.axes, dark.axes, strict=True):
        assert same_color(other.get_facecolor(), on_dark("white"))
        for a, b in zip(one.get_lines(), other.get_lines(), strict=True):
            assert points(a) == points(b)
            assert same_color(b.get_color(), on_dark(a.get_color()))
    assert dark_module._turned((0.0, 0.0, 0.0, 0.0)) == "none"  # what is not drawn stays so
    texts = [text for text in _shown_texts(dark) if same_color(text.get_color(), "black")]
    assert texts == []


@pytest.mark.parametrize("kind", CASES)
def test_every_kind_says_in_a_sentence_what_it_shows(kind):
    said = KINDS[kind].alt(CASES[kind]())
    assert said.endswith(".")
    assert 60 < len(said) < 320


def test_the_sentence_is_in_the_files_and_under_the_figures_of_the_docs(study):
    keep_only(study, "moduli")
    png, svg = figures.redraw(study, formats=["png", "svg"])
    assert KINDS["moduli"].alt([]).encode() in png.read_bytes()
    assert KINDS["moduli"].alt([]) in svg.read_text(encoding="utf-8")
    pages = [FIGURES.parent / name for name in ("README.md", *map("docs/{}".format, PAGES))]
    shown = re.compile(r"!\[([^\]]*)\]\((?:docs/)?figures/(([a-z-]+)__\w+)\.png\)")
    found = [place for page in pages for place in shown.findall(page.read_text(encoding="utf-8"))]
    assert len(found) >= 4
    for said, name, kind in found:
        rows = read_rows(FIGURES.parent / "docs" / "figures" / f"{name}.csv")
        assert said == KINDS[kind].alt(rows)


def test_neighbouring_terms_differ_by_more_than_colour():
    assert len({(style.hatch, style.colour) for style in TERM_STYLE.values()}) == len(TERM_STYLE)


# all kinds


def test_draw_alone_draws_the_first_panel():
    rows = CASES["bound-terms"]()
    ax = matplotlib.figure.Figure().add_subplot()
    bound_terms.draw(ax, rows)
    first = drawn("bound-terms", rows)[0]
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


def swapped(old, new):
    """What a text is with the first of some words taken for others."""
    return lambda text: text.replace(old, new, 1)


BAD = {
    "column": (
        "moduli",
        swapped("delta", "radius"),
        r"`moduli__a.csv` must have a column `delta` \(radius.*got kind, radius.*; add it",
    ),
    "number": (
        "moduli",
        swapped("0.01", "abc"),
        r"`moduli__a.csv` line 2: column `delta` must be a number >= 0, got 'abc'; correct",
    ),
    "range": (
        "moduli",
        swapped("0.01", "-0.01"),
        r"line 2: column `delta` must be a number >= 0, got '-0.01'",
    ),
    "word": (
        "moduli",
        swapped("token,", "tokn,"),
        r"column `kind` must hold sequence, token, contextual, got 'tokn'; correct the cell",
    ),
    "cells": (
        "moduli",
        lambda text: text + "sequence,1\n",
        r"line 11 must have 10 cells as its header, got 2; quote cells that hold a comma",
    ),
    "header": (
        "moduli",
        lambda text: "a,a\n1,2\n",
        "must start with a header line of distinct column names",
    ),
    "empty": (
        "moduli",
        lambda text: text.splitlines()[0],
        "must hold at least one row below its header",
    ),
    "quote": (
        "moduli",
        lambda text: text + '"',
        "must be a UTF-8 CSV file, got one that cannot be read",
    ),
    "mixed": (
        "moduli",
        swapped("mean-field", "other"),
        "`moduli__a.csv`: column `target` must hold one value a file, got other and mean-field",
    ),
    "one word of several": (
        "arithmetic",
        swapped("float64", "float16"),
        "must hold float32, float64, exact, got 'float16'",
    ),
    "flag": (
        "arithmetic",
        swapped("true", "maybe"),
        "column `refused` must be true or false, got 'maybe'",
    ),
    "stage": (
        "stages",
        swapped("quantise", "first"),
        "must hold quantise, context, values, got 'first'",
    ),
    "least": (
        "memorisers",
        swapped(",121,", ",-1,"),
        "column `loops` must be a number >= 1, got '-1'",
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
    kind, change, words = BAD[name]
    keep_only(study, kind)
    broken(study, kind, change)
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


def test_every_known_kind_is_drawn_and_other_files_are_left_alone(study):
    (study / "figures" / "notes.csv").write_text("whatever")
    (study / "figures" / "other__a.csv").write_text("whatever")
    outcomes = list(redraw_each(study, style="paper", formats=()))
    assert {path.name for path, _ in outcomes} == {f"{kind}__a.csv" for kind in KINDS}
    assert all(outcome == [] for _, outcome in outcomes)


@pytest.mark.parametrize(
    ("directory", "others", "words"),
    [
        (
            "DIR",
            {"style": "board"},
            "`style` must be one of paper, slides, poster, phone, got 'board'",
        ),
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
