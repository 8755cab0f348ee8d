"""The built site in a real browser: nothing from elsewhere, formulas set, solutions folded away."""

import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from cases.browser import LOOPBACK, watched

SITE = Path(__file__).resolve().parent.parent / "docs" / "_build" / "html"
PAGES = sorted(str(page.relative_to(SITE)) for page in SITE.rglob("*.html"))
NEEDED = (
    *("index.html", "start.html", "theory.html", "claims.html", "reproduction.html"),
    *("howto/own-target.html", "howto/figures.html", "howto/gpu.html", "cluster.html"),
    *("howto/teach.html", "notation.html", "slides/index.html"),
    *("lessons/1-moduli.html", "lessons/download/1-moduli.html", "gallery/index.html"),
    *(
        "api/looprate.html",
        "api/looprate.theory.continuity.html",
        "contributing.html",
        "explorer-page/explorer.html",
    ),
)
LEAST_GALLERY = 12
pytestmark = pytest.mark.skipif(not PAGES, reason="no site here: make docs")
BROKEN = "[...document.images].filter(i => i.complete && !i.naturalWidth).map(i => i.src)"


def test_the_site_has_its_parts():
    assert set(NEEDED) <= set(PAGES)
    assert sum("gallery/plot_" in page for page in PAGES) >= LEAST_GALLERY
    assert list((SITE / "handout").glob("*.pdf"))
    for lesson in (SITE / "lessons").glob("*-*.html"):
        for ending in ("html", "ipynb"):
            assert (SITE / "lessons" / "download" / f"{lesson.stem}.{ending}").exists()


def test_what_another_host_is_asked_is_seen(chromium, tmp_path):
    page = watched(chromium)
    (tmp_path / "page.html").write_text('<img src="http://127.0.0.2:9/x.png">')
    page.goto((tmp_path / "page.html").as_uri())
    assert not page.hosts <= LOOPBACK
    page.close()


def test_no_page_asks_another_host_for_anything_and_no_picture_is_missing(browser):
    assert len(PAGES) > len(NEEDED)
    for name in PAGES:
        browser.goto((SITE / name).as_uri())
        assert browser.evaluate(BROKEN) == [], name
        assert browser.hosts <= LOOPBACK, name


def test_formulas_are_set_in_the_font_that_comes_along(browser):
    for name in ("theory.html", "lessons/download/1-moduli.html"):
        browser.goto((SITE / name).as_uri())
        browser.wait_for_function("document.fonts.check('16px \"STIX Two Math\"')")
        assert browser.locator("math").count() > 20
        assert "\\mathrm" not in browser.locator("body").inner_text()


def test_a_solution_is_hidden_until_the_keyboard_opens_it(browser):
    browser.goto((SITE / "lessons" / "1-moduli.html").as_uri())
    fold = browser.locator("details.solution").first
    inside = fold.get_by_text("It falls.")
    assert not inside.is_visible()
    fold.locator("summary").press("Enter")
    assert inside.is_visible()


@pytest.mark.parametrize("name", ["index.html", "theory.html", "lessons/2-proof-as-weights.html"])
def test_pages_are_read_at_twice_the_size(browser, name):
    browser.set_viewport_size({"width": 640, "height": 450})
    browser.goto((SITE / name).as_uri())
    wide, seen = browser.evaluate("[document.body.scrollWidth, innerWidth]")
    assert wide <= seen


@pytest.fixture
def served():
    """The site on loopback, as the search needs it to show the text around what it found."""
    handler = partial(Quiet, directory=str(SITE))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files and says nothing of it."""

    def log_message(self, *_):
        pass


def test_a_word_is_found(browser, served):
    browser.goto(f"{served}/search.html?q=vacuous")
    browser.locator("#search-results li p.context").first.wait_for()
    assert re.search("vacuous", browser.locator("#search-results").inner_text(), re.IGNORECASE)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["index.html", "gallery/plot_02_three_moduli.html"])
def test_figures_are_those_of_the_theme(browser, scheme, name):
    browser.emulate_media(color_scheme=scheme)
    browser.goto((SITE / name).as_uri())
    shown = "[...document.querySelectorAll('.only-%s')].filter(i => i.offsetWidth).length"
    seen = {look: browser.evaluate(shown % look) for look in ("light", "dark")}
    assert seen.pop(scheme) >= 1
    assert set(seen.values()) == {0}


def test_slides_move_and_nothing_runs_out_of_them(browser):
    browser.set_viewport_size({"width": 1280, "height": 800})
    browser.goto((SITE / "slides" / "index.html").as_uri())
    browser.wait_for_function("Reveal.isReady()")
    browser.keyboard.press("ArrowRight")
    assert browser.evaluate("Reveal.getIndices().h") == 1
    count = browser.evaluate("Reveal.getTotalSlides()")
    assert count >= 10
    browser.evaluate("Reveal.slide(0)")
    for _ in range(count):
        words, high = browser.evaluate(
            "(s => [s.innerText.slice(0, 30), s.scrollHeight])(Reveal.getCurrentSlide())"
        )
        assert 0 < high <= browser.evaluate("Reveal.getConfig().height"), words
        browser.keyboard.press("Space")
    assert browser.evaluate("Reveal.isLastSlide()")
