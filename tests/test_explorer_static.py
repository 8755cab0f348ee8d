"""The explorer as one file: what is in it, and what its sliders do in a real browser."""

import re
from pathlib import Path

import pytest

from cases.browser import check_width, slider
from looprate.figures.explorer import static, views
from looprate.figures.explorer.precomputed import Panels, precomputed
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.states import loop_states
from looprate.figures.explorer.words import state_words

ROOT = Path(__file__).resolve().parent.parent
LARGEST_PAGE = 4e6  # characters of the static page


@pytest.fixture(scope="module")
def static_page(tmp_path_factory):
    examples = {"the mean": "mean-field", "the largest": "context-max"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(static, "EXAMPLES", examples)
        return static.write_static(tmp_path_factory.mktemp("static") / "new")


def test_the_static_page_holds_everything_it_needs(static_page):
    page = static_page.read_text()
    assert re.findall(r"<script[^>]*src=", page) == []
    plain = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert re.findall(r"<(?:link|img|iframe)[^>]*(?:src|href)=", plain) == []
    assert "the mean" in page
    assert "increments" in page
    assert len(page) < LARGEST_PAGE


def test_the_static_page_in_a_browser(browser, static_page):
    browser.goto(static_page.as_uri())
    browser.get_by_text("All values were computed beforehand").wait_for()
    assert browser.get_by_text("The input is the one that the picture shows").is_visible()
    browser.get_by_text("At r = 10,000 the bound is").wait_for()
    slider(browser, "loops r: 10,000").press("End")
    browser.get_by_text("At r = 1,000,000,000,000 the bound is").wait_for()
    browser.get_by_text("Moduli at δ = 0.1").wait_for()
    slider(browser, "radius δ: 0.1").press("End")
    browser.get_by_text("Moduli at δ = 1").wait_for()
    browser.get_by_text("After 0 of 34 loops").wait_for()
    slider(browser, "loops done t").press("End")
    browser.get_by_text("After 34 of 34 loops").wait_for()
    browser.get_by_label("Target").select_option("the largest")
    slider(browser, "loops r").press("Home")
    browser.get_by_text("At r = 10 the bound is").wait_for()
    browser.get_by_label("Memoriser").select_option("increments")
    browser.get_by_text("After 34 of 121 loops").wait_for()
    slider(browser, "cells a side").press("Home")
    browser.get_by_text("After 13 of 13 loops").wait_for()
    slider(browser, "cells a side").press("End")
    browser.get_by_text("up to m = 4").last.wait_for()
    browser.get_by_role("row", name="LT r−1/2 r−1/2").first.wait_for()
    slider(browser, "s, Hölder").press("ArrowLeft")
    browser.get_by_role("row", name="LT r−1/4 r−1/4").first.wait_for()
    for width in (1280, 640):
        check_width(browser, width)


def test_the_static_page_has_trained_networks_where_rows_of_them_are(static_page):
    name = Setting().target
    panels = Panels.made(dark=False)
    found = precomputed(name, panels, [ROOT / "docs"])
    assert found["trained"]["lt/0"]["value"]
    own = found["networks"]["timestep"]["rank"]
    assert "LT trained: 1,000 steps, 5 seeds" in own["marks"]
    assert "certified: timestep" in own["marks"]
    others = [codes.values() for name, codes in found["networks"].items() if name != "timestep"]
    assert all("timestep" not in one["marks"] for codes in others for one in codes)
    assert all(one["colour"] != own["colour"] for codes in others for one in codes)
    without = precomputed(name, panels, [])
    assert without["trained"]["lt/0"]["value"] == []
    assert "trained" not in without["networks"]["timestep"]["rank"]["marks"]
    assert list(found["networks"]["increments"]) == ["sum", "others"]
    assert list(found["networks"]["two-level-digits"]) == ["others"]
    assert len(found["networks"]["increments"]["others"]["runs"]["4"]["words"]) == 34
    run = found["networks"]["timestep"]["rank"]["runs"]["4"]
    loops = loop_states(Setting(grid=4))
    assert run["words"][-1] == state_words(loops, 34)
    assert len(run["share"]) == len(run["value"]) == len(run["names"]) * 35
    for grid, built in found["networks"]["digits"]["rank"]["built"].items():
        row = views.constructed_row(Setting(grid=int(grid), memoriser="digits"))
        assert (built["lower"], built["value"]) == ([row["lower"]], [row["upper"]])
