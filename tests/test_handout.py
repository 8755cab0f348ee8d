"""One command a figure: styles, formats with editable text, a choice of figures, the handout."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.transforms import Bbox
from sympy.parsing.sympy_parser import (
    convert_xor,
    implicit_multiplication,
    parse_expr,
    split_symbols,
    standard_transformations,
)

from cases.construction_rows import arithmetic_rows
from looprate.cli import main as looprate
from looprate.experiments.study.drawing import FORMATS as OFFERED_FORMATS
from looprate.experiments.study.drawing import STYLES as OFFERED_STYLES
from looprate.figures import handout, redraw
from looprate.figures.__main__ import main
from looprate.figures.drawing import FORMATS, make_figure, make_handout
from looprate.figures.rows import read_rows, where
from looprate.figures.style import STYLES
from looprate.theory.bounds import symbolic as sy

DOCS = Path(__file__).resolve().parent.parent / "docs"
SOURCE = DOCS / "figures" / "error-against-loops__dial.csv"
A4 = (8.27, 11.69)  # inches
EDGE = 0.2  # inches that stay free around a page
LEAST_SIZE = 7.0  # points of text on a page that is read in the hand
POSTER_SIZE = 20.0  # points of text on a board that is read from two metres


def inches(figure, artist):
    """Left, bottom, right and top of what is drawn."""
    return artist.get_window_extent().extents / figure.dpi


def read_formula(tex):
    """A right-hand side on the page as an expression in the symbols of the project."""
    for old, new in (
        *((r"w_{\mathrm{tok}}", "W1"), (r"w_{\mathrm{cont}}", "W2"), (r"e_{\mathrm{mem}}", "E9")),
        *((r"\left[", "("), (r"\right]", ")"), ("{", "("), ("}", ")"), ("O(", "("), (r"\;", " ")),
        *(
            (r"\delta", " t "),
            (r"\mu", " u "),
            (r"\sqrt", " sqrt"),
            (r"\min", "Min"),
            ("w(", "W0("),
        ),
    ):
        tex = tex.replace(old, new)
    names = {one.name: one for one in (sy.N, sy.d, sy.m, sy.M, sy.D, sy.r, sy.p)}
    names |= {"W0": sy.w, "W1": sy.w_tok, "W2": sy.w_cont, "E9": sy.e_mem, "t": sy.delta}
    rules = (*standard_transformations, split_symbols, implicit_multiplication, convert_xor)
    return parse_expr(tex, local_dict=names, transformations=rules)


def equal(one, other):
    """Whether two expressions agree at a point that no coincidence favours."""
    at = {sy.N: 3, sy.d: 2, sy.m: 7, sy.M: 901, sy.D: 5, sy.r: 47, sy.p: 1.5, sy.e_mem: 0.3}
    moduli = {
        sy.w: lambda t: 2 * t**0.5,
        sy.w_tok: lambda t: 3 * t,
        sy.w_cont: lambda t: 5 * t**0.3,
    }

    def value(expr):
        for name, modulus in moduli.items():
            expr = expr.replace(name, modulus)
        return float(expr.subs(sy.delta, 1 / sy.m).subs(at))

    return value(one) == pytest.approx(value(other), rel=1e-12)


def test_the_formulas_on_the_page_are_those_of_the_theory():
    right = handout.FORMULAS[0].partition(r"\leq")[2].rstrip("$,")
    assert equal(read_formula(right), sy.theorem_3_6_expr(constants=False))
    assert not equal(
        read_formula(right.replace("2/p", "1/p")), sy.theorem_3_6_expr(constants=False)
    )
    delta = handout.FORMULAS[1].partition("=")[2].rstrip("$.")
    assert equal(read_formula(delta), sy.delta_of_loops_expr())
    right, _, mu = handout.INEQUALITY.partition(r"\leq")[2].partition(r",\quad \mu=")
    whole = right.replace(r"\mu", f"({mu.rstrip('$,')})")
    assert equal(read_formula(whole), sy.explicit_inequality_expr())
    assert not equal(read_formula(whole.replace("(m-1)", "m")), sy.explicit_inequality_expr())


def memoriser_arithmetic():
    """The figure with the tallest legend."""
    return "arithmetic", arithmetic_rows()


def constant_moduli():
    """The figure with the widest legend: no modulus has a place on the axes."""
    setting = {"target": "formula: 5", "latex": "f(X)_n = 5", "tokens": 2, "dim": 1, "p": 1}
    rows = [
        {"kind": kind, "delta": delta, "lower": 0.0, "exact": None, "upper": None, **setting}
        for kind in ("sequence", "token", "contextual")
        for delta in (0.1, 1.0)
    ]
    return "moduli", rows


@pytest.fixture(scope="module")
def page():
    figure = make_handout(read_rows(SOURCE), source=SOURCE.name)
    figure.draw_without_rendering()
    return figure


@pytest.fixture(scope="module")
def words(page):
    return [text for part in page.subfigs for text in part.texts]


def test_a_handout_is_one_page_with_the_statement_and_the_main_figure(page, words):
    assert tuple(page.get_size_inches()) == A4
    text = "\n".join(one.get_text() for one in words)
    for quantifier in ("For every continuous, permutation-equivariant", "every loop", "there is a"):
        assert quantifier in text
    assert "r > N" in text
    assert SOURCE.name in text
    alone = make_figure("error-against-loops", read_rows(SOURCE))
    drawn, expected = (
        [
            line.get_xydata().tolist()
            for ax in part.axes
            for line in ax.get_lines()
            if line.get_label() != "_slope"  # whose size is that of the axes
        ]
        for part in (page.subfigs[1].subfigs[1], alone)
    )
    assert str(drawn) == str(expected)  # as text: nan equals nan


def test_everything_on_a_handout_is_on_the_page_large_enough_and_over_nothing_else(page, words):
    boxes = [inches(page, text) for text in words]
    for text, (left, bottom, right, top) in zip(words, boxes, strict=True):
        assert min(left, bottom) > EDGE, text
        assert right < A4[0] - EDGE, text
        assert top < A4[1] - EDGE, text
        assert text.get_fontsize() >= LEAST_SIZE, text
    axes = page.subfigs[1].subfigs[1].axes
    boxes.append(Bbox.union([ax.get_tightbbox() for ax in axes]).extents / page.dpi)
    for a, b in combinations(boxes, 2):
        assert a[2] < b[0] or b[2] < a[0] or a[3] < b[1] + 0.02 or b[3] < a[1] + 0.02


def test_a_handout_explains_what_is_drawn_and_nothing_else():
    rows = [row for row in read_rows(SOURCE) if row["curve"] != "constructed"]
    figure = make_handout(rows, source="a.csv")
    text = "\n".join(one.get_text() for part in figure.subfigs for one in part.texts)
    assert handout.READING["trained"] in text
    assert handout.READING["constructed"] not in text
    assert where(read_rows(SOURCE), curve="constructed")


def test_a_command_writes_the_handout_as_a_pdf_with_its_rows(tmp_path, capsys):
    arguments = ["figures", str(DOCS), "--handout", "--to", str(tmp_path / "new"), "--json"]
    assert looprate(arguments) == 0
    path = tmp_path / "new" / "handout__dial.pdf"
    assert json.loads(capsys.readouterr().out) == [str(path)]
    assert path.read_bytes().startswith(b"%PDF")
    assert path.read_bytes().count(b"/Count 1 ") == 1  # one page
    assert (path.parent / SOURCE.name).read_bytes() == SOURCE.read_bytes()
    assert len(list(path.parent.iterdir())) == 2
    assert not list((DOCS / "figures").glob("handout*"))


@pytest.mark.parametrize("style", STYLES)
def test_text_of_a_vector_file_stays_text(style, tmp_path):
    chosen = {"only": ["moduli"], "to": tmp_path, "style": style}
    svg, pdf = redraw(DOCS, formats=["svg", "pdf"], **chosen)
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg.read_text())
    assert "closed form" in texts
    assert re.search(rb"/FontFile2", pdf.read_bytes())  # TrueType: letters, not their outlines
    assert b"/Subtype /Type3" not in pdf.read_bytes()


def test_a_poster_is_read_from_two_metres():
    figure = make_figure("moduli", read_rows(DOCS / "figures" / "moduli__dial.csv"), style="poster")
    (ax,) = figure.axes
    texts = [ax.xaxis.label, ax.yaxis.label, ax.title, *ax.get_legend().get_texts()]
    assert min(text.get_fontsize() for text in texts) >= POSTER_SIZE
    slides = make_figure("moduli", read_rows(DOCS / "figures/moduli__dial.csv"), style="slides")
    assert ax.lines[0].get_linewidth() > slides.axes[0].lines[0].get_linewidth()
    assert figure.get_figwidth() > slides.get_figwidth()


def test_the_command_offers_what_figures_can():
    assert tuple(STYLES) == OFFERED_STYLES
    assert tuple(FORMATS) == OFFERED_FORMATS


def test_figures_are_chosen_by_kind_or_name_and_written_elsewhere(tmp_path):
    drawn = redraw(DOCS, formats=["svg"], only=["moduli", "eta-gain__sines"], to=tmp_path / "a")
    assert [path.name for path in drawn] == ["eta-gain__sines.svg", "moduli__dial.svg"]
    names = {path.name for path in (tmp_path / "a").iterdir()}
    assert names == {
        f"{n}.{e}" for n in ("eta-gain__sines", "moduli__dial") for e in ("svg", "csv")
    }
    again = redraw(tmp_path / "a", formats=["svg"], to=tmp_path / "a")  # rows right in the folder
    assert [path.name for path in again] == ["eta-gain__sines.svg", "moduli__dial.svg"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": ["modulo"]}, "`only` must name a KIND or KIND__SLUG of "),
        ({"handouts": True, "style": "slides"}, "`style` of a handout must be paper"),
        ({"handouts": True, "only": ["moduli"]}, "`only` must name a KIND or KIND__SLUG of error"),
        ({"to": "FILE"}, "must be readable and its folder writable"),
    ],
)
def test_a_choice_that_cannot_be_is_one_line(arguments, message, tmp_path, capsys):
    (tmp_path / "file").touch()
    asked = json.dumps({"directory": str(DOCS), "formats": ["svg"], **arguments})
    assert main([asked.replace("FILE", str(tmp_path / "file"))]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert all(line.startswith("error: ") for line in error.splitlines())


def test_a_folder_without_the_main_figure_has_no_handout(tmp_path, capsys):
    redraw(DOCS, formats=[], only=["moduli"], to=tmp_path)
    assert main([json.dumps({"directory": str(tmp_path), "handouts": True})]) == 2
    assert (
        "must hold figures/KIND__SLUG.csv with KIND error-against-loops" in capsys.readouterr().err
    )


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "rows", [memoriser_arithmetic, constant_moduli], ids=["arithmetic", "moduli"]
)
def test_legends_stay_inside_their_figures(rows, style):
    kind, found = rows()
    figure = make_figure(kind, found, style=style)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches()
    for ax in figure.axes:
        if ax.get_legend() is not None:
            left, bottom, right, top = inches(figure, ax.get_legend())
            assert min(left, bottom) >= 0
            assert right <= width
            assert top <= height
