"""The site's own extensions: complete in itself, every public name, formulas as MathML."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytest.importorskip("sphinx", reason="the documentation is built with the extra docs")


@pytest.fixture(scope="module", autouse=True)
def _extensions():
    """Find the site's extensions, which are no package."""
    sys.path.insert(0, str(ROOT / "docs" / "extensions"))
    yield
    sys.path.remove(str(ROOT / "docs" / "extensions"))


@pytest.fixture
def faults(tmp_path):
    """Return what is wrong with a site of one page."""
    offline = importlib.import_module("offline")

    def of(page: str, style: str = "") -> list[str]:
        (tmp_path / "page.html").write_text(page)
        (tmp_path / "site.css").write_text(style)
        return list(offline.site_faults(tmp_path))

    return of


@pytest.mark.parametrize(
    "page",
    [
        '<script src="https://cdn.example.org/x.js"></script>',
        '<link rel="stylesheet" href="//cdn.example.org/x.css">',
        '<img src="http://example.org/x.png">',
        '<img srcset="a.png 1x, https://example.org/x.png 2x">',
        '<iframe src="https://example.org"></iframe>',
        "<style>@import 'https://example.org/x.css';</style>",
        '<p style="background: url(https://example.org/x.png)">',
    ],
)
def test_a_page_that_loads_from_another_host_is_refused(faults, page):
    assert any("example.org" in fault for fault in faults(page))


def test_a_style_sheet_that_loads_from_another_host_is_refused(faults):
    assert faults("", "p { background: url('https://example.org/x.png') }")


def test_a_dead_inner_link_is_refused_and_links_elsewhere_are_not(faults):
    assert faults('<a href="missing.html#x">x</a>') == [
        "page.html links to missing.html#x, which is not there"
    ]
    assert not faults(
        '<a href="https://example.org">x</a><a href="page.html">x</a><a href="#x">x</a>'
        '<img src="data:image/png;base64,AAAA"><link rel="canonical" href="https://example.org">'
    )


def test_the_reference_has_every_public_module_and_nothing_else():
    reference = importlib.import_module("reference")
    text = "\n".join(reference.pages().values())
    shown = set(re.findall(r"automodule:: (\S+)", text))
    sources = [
        source for package in reference.PACKAGES for source in (ROOT / package).rglob("*.py")
    ]
    assert shown == {
        reference.dotted(source) for source in sources if reference.public_names(source)
    }
    assert {
        "looprate.theory.bounds.theorem",
        "looprate.theory.continuity",
        "looprate.approx.models.looped",
        "looprate.figures.drawing",
    } <= shown


def test_bars_in_docstrings_are_absolute_values_outside_code():
    reference = importlib.import_module("reference")
    lines = ["|x - y| <= δ", "``a|b`` and |c|", ":func:`f|g`"]
    reference.plain_bars(None, "function", "f", None, None, lines)
    assert lines == [r"\|x - y\| <= δ", r"``a|b`` and \|c\|", ":func:`f|g`"]


def test_formulas_become_mathml_at_build():
    from docutils import nodes

    mathml = importlib.import_module("mathml")

    class Writer:
        body: list[str] = []  # noqa: RUF012  one writer, one page

    for write, node in ((mathml.inline, nodes.math), (mathml.displayed, nodes.math_block)):
        with pytest.raises(nodes.SkipNode):
            write(Writer, node(r"\frac{δ}{2}", r"\frac{δ}{2}"))
    assert all("<mfrac>" in text and "<math" in text for text in Writer.body)


def test_bars_of_a_norm_have_one_height():
    from docutils import nodes

    mathml = importlib.import_module("mathml")
    for bars in (r"‖x‖_{p}", r"\|x\|_{p}", r"\lVert x\rVert_{p}"):
        text = mathml.mathml(nodes.math("", bars), as_block=False)
        assert text.count('<mo stretchy="false">‖</mo>') == text.count("‖") == 2


def test_every_page_named_in_the_sources_of_the_site_exists():
    for page in (ROOT / "docs").glob("*.md"):
        for target in re.findall(r"\]\(([\w./-]+\.(?:md|png|py))\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
