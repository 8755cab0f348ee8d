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


# -- notation and the course plan ------------------------------------------------------------------
NOTATION = (ROOT / "docs" / "notation.md").read_text(encoding="utf-8")
PLAN = (ROOT / "docs" / "howto" / "teach.md").read_text(encoding="utf-8")


def lines_of_tables(text):
    """Return the cells of every line of every table, heads left out."""
    lines = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line] for line in lines if line[0].strip() != "symbol"]


def absent(name):
    """Return whether nothing of ours has a name such as looprate.ConstructionSpec.grid."""
    import looprate

    _, first, *rest = name.split(".")
    owner = getattr(looprate, first, None)
    fields = set(dir(owner)) | set(getattr(owner, "__dataclass_fields__", ()))
    return owner is None or not set(rest) <= fields


def test_every_name_of_the_notation_sheet_is_one_of_ours():
    from looprate.cli import _parser

    (commands,) = [a for a in _parser()._actions if a.dest == "command"]
    options = {o for c in commands.choices.values() for a in c._actions for o in a.option_strings}
    named = " ".join(line[2] for line in lines_of_tables(NOTATION))
    assert len(re.findall(r"`looprate\.", named)) > 15
    assert [name for name in re.findall(r"`(looprate\.[\w.]+)`", named) if absent(name)] == []
    assert set(re.findall(r"`(--[\w-]+)`", named)) <= options
    assert absent("looprate.ConstructionSpec.size")
    assert absent("looprate.nothing")


def test_the_notation_sheet_has_every_symbol_of_the_code():
    from looprate.theory import notation

    said = re.findall(r"^(\w)\s+``(\w+)``", notation.__doc__ or "", re.MULTILINE)
    assert len(said) == 4
    for symbol, name in said:
        (line, *_) = [line for line in lines_of_tables(NOTATION) if f"${symbol}$" in line[0]]
        assert name in line[2], symbol
    kinds = re.findall(r'kind="(\w+)"', NOTATION)
    assert tuple(kinds) == notation.KINDS


@pytest.mark.parametrize("minutes", [45, 90])
def test_a_course_plan_takes_its_time(minutes):
    (part,) = re.findall(rf"## {minutes} minutes.*?(?=\n## |\nHomework)", PLAN, re.DOTALL)
    spent = re.findall(r"^\| (\d+) \|", part, re.MULTILINE)
    assert sum(map(int, spent)) == minutes


def test_the_exercises_of_a_course_plan_exist():
    from looprate.solutions import LESSONS

    for number, names in re.findall(r"exercises? ([\d a-z,]+?) of lesson (\d)", PLAN):
        wanted = set(re.findall(r"\b\d[a-z]?\b", number))
        assert wanted
        assert wanted <= set(LESSONS[int(names)]), (number, names)


# -- dark figures ----------------------------------------------------------------------------------
def test_a_figure_gets_its_dark_version_beside_it_and_the_theme_chooses(tmp_path):
    from types import SimpleNamespace

    from docutils import nodes
    from PIL import Image

    from looprate.figures.drawing import redraw

    dark = importlib.import_module("dark")
    folder = tmp_path / "figures"
    folder.mkdir()
    redraw(ROOT / "docs", formats=["png"], only=["scaling__cpu"], to=folder)
    for name in ("film.gif", "film-dark.gif", "screen.png"):
        (folder / name).write_bytes(b"")
    document = nodes.paragraph()
    for name in ("scaling__cpu.png", "film.gif", "screen.png"):
        document += nodes.image(uri=f"figures/{name}", alt=name)
    app = SimpleNamespace(srcdir=tmp_path, env=SimpleNamespace(docname="index"))
    dark.add_twins(app, document)
    found = [(Path(node["uri"]).name, node["classes"], node["alt"]) for node in document]
    assert found == [
        ("scaling__cpu.png", ["only-light"], "scaling__cpu.png"),
        ("scaling__cpu-dark.png", ["only-dark"], "scaling__cpu.png"),
        ("film.gif", ["only-light"], "film.gif"),
        ("film-dark.gif", ["only-dark"], "film.gif"),
        ("screen.png", [], "screen.png"),
    ]
    for node, black in zip(document[:2], (False, True), strict=True):
        place = tmp_path / node["uri"].lstrip("/")
        with Image.open(place) as image:
            assert (image.convert("L").getpixel((0, 0)) < 60) == black
