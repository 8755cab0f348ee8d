"""The explorer in a real browser: moved, typed into, refused, trained, taken along, by keyboard."""

import csv
import io
import random
import re
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from cases.browser import check_width, slider

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def address():
    command = [sys.executable, "-m", "looprate.figures.explorer", "--no-browser", "--rows", "docs"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        yield child.stdout.readline().split()[0]
        child.terminate()


FOCUSED = """() => {
  let e = document.activeElement;
  while (e.shadowRoot && e.shadowRoot.activeElement) e = e.shadowRoot.activeElement;
  const around = e.closest('.bk-input-group') || e.parentNode;
  const look = getComputedStyle(e);
  return [(around.querySelector('label, .bk-slider-title') || e).textContent.trim(),
          look.outlineStyle + ' ' + look.outlineWidth];
}"""
TABS = (
    *("Show it dark", "Examples", "Target", "periods", "N, tokens", "d, coordinates"),
    *("p of the norm", "x of token 1", "x of token 2", "What is drawn", "Memoriser", "Code"),
    *("cells a side", "loops done", "▶ Play the loops", "Certify", "Every row"),
    *("loops r", "Train", "radius", "s, Hölder exponent of the class"),
    *("What to download", "as", "Download"),
)


def enter(field, text):
    """Type a text into a field, instead of what is there."""
    field.fill(text)
    field.press("Enter")


def test_sliders_formulas_and_downloads_in_a_browser(browser, address):
    page = browser
    page.goto(f"{address}?theme=light")
    page.get_by_text("At r = 10,000 the bound is 9.013: vacuous.").wait_for()
    page.get_by_text("After 0 of 34 loops").wait_for()

    slider(page, "loops r").press("ArrowRight")
    page.get_by_text("At r = 11,220 the bound is").wait_for()
    slider(page, "cells a side").press("ArrowLeft")
    page.get_by_text("After 0 of 19 loops").wait_for()
    slider(page, "loops done").press("End")
    page.get_by_text("After 19 of 19 loops").wait_for()
    slider(page, "cells a side").press("ArrowRight")
    page.get_by_text("After 19 of 34 loops").wait_for()
    slider(page, "loops done").press("End")
    page.get_by_text("After 34 of 34 loops").wait_for()
    slider(page, "loops done").press("ArrowLeft")
    page.get_by_text("After 33 of 34 loops").wait_for()
    page.wait_for_function("location.search.includes('step=33')")
    assert "loops=11220" in page.url
    assert "theme=light" in page.url

    assert page.get_by_role("row", name="TMLT r−1 r−1").is_visible()
    slider(page, "s, Hölder").press("ArrowLeft")
    page.get_by_role("row", name="TMLT r−19/20 r−19/20").wait_for()
    page.wait_for_function("location.search.includes('holder=0.95')")

    target = page.get_by_label("Target: a name, or formula: ...")
    slider(page, "periods").press("ArrowRight")
    page.wait_for_function("location.search.includes('periods%3D3')")
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(target).to_have_value("dial:token=0.5,context=0.5,periods=3")
    enter(target, "formula: x**2 - mean(x)")
    page.get_by_text("a pair was found").first.wait_for()
    page.wait_for_function("location.search.includes('formula')")
    assert not slider(page, "periods").is_visible()
    enter(target, "formula: 1/x + snh(x)")
    page.get_by_text("did you mean sin?").wait_for()
    page.get_by_text("The page shows formula: x**2 - mean(x) at N = 2, d = 1.").wait_for()
    enter(target, "formula: 1/(x - x)")
    page.get_by_text("keep denominators away from 0").wait_for()
    page.get_by_text("The page shows formula: x**2 - mean(x) at N = 2, d = 1.").wait_for()
    enter(target, "formula: n*x")
    page.get_by_text('permutation-equivariant" fails').wait_for()
    assert page.get_by_role("alert").count() == 0

    page.get_by_label("Examples").select_option("a sine of every token")
    page.get_by_text("exact: one").or_(page.get_by_text("(exact")).first.wait_for()
    page.get_by_label("What to download").select_option("moduli")
    page.get_by_label("as", exact=True).select_option("csv")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "moduli__explorer.csv"
    taken = Path(download.value.path()).read_text()
    assert taken.startswith("kind,delta,lower,exact,upper")
    assert "token-sine" in taken


def test_the_input_is_dragged_and_the_loops_are_played(browser, address):
    page = browser
    page.goto(f"{address}?target=token-sine:periods=2")
    page.get_by_role("row", name="token 1 0.875 3").wait_for()
    page.get_by_text("After 0 of 34 loops").wait_for()
    box = page.locator(".map .bk-Canvas").bounding_box()
    page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.35 * box["width"], box["y"] + 0.25 * box["height"], steps=8)
    page.mouse.up()
    page.get_by_role("row", name=re.compile(r"token 1 0\.2\d+ [01]")).wait_for()
    page.get_by_role("row", name=re.compile(r"token 2 0\.[67]\d* 2")).wait_for()
    page.wait_for_function("location.search.includes('point=0.2')")
    slider(page, "x of token 1").press("Home")
    page.get_by_role("row", name="token 1 0 0").wait_for()
    page.get_by_role("button", name="Play the loops").click()
    page.get_by_text(re.compile(r"After ([3-9]|[12]\d) of 34 loops")).wait_for()  # some are skipped
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Play the loops").wait_for()


def test_what_is_refused_is_put_back_and_what_is_typed_wrong_stays_told(browser, address):
    expect = pytest.importorskip("playwright.sync_api").expect
    page = browser
    page.goto(f"{address}?target=mean-field")
    page.get_by_text("After 0 of 34 loops").wait_for()
    tokens = page.get_by_label("N, tokens")
    for typed, words in (("9", "must be at most 6 here, got 9"), ("2.5", "a whole one, got 2.5")):
        enter(tokens, typed)
        page.get_by_text(words).wait_for()
        expect(tokens).to_have_value("2")
    target = page.get_by_label("Target: a name, or formula: ...")
    enter(target, "formula: snh(x)")
    page.get_by_text("did you mean sin?").wait_for()
    slider(page, "loops r").press("ArrowRight")
    page.get_by_text("At r = 11,220 the bound is").wait_for()
    assert page.get_by_text("did you mean sin?").is_visible()  # the field still holds it
    enter(target, "mean-field")
    page.get_by_text("did you mean sin?").wait_for(state="detached")


def test_a_function_that_takes_seconds_is_said_to_and_the_page_stays_in_hand(browser, address):
    page = browser
    page.goto(f"{address}?target=token-sine:periods=2")
    page.get_by_text("After 0 of 34 loops").wait_for()
    number = random.Random().random()  # a formula that no run has met
    enter(page.get_by_label("Target: a name, or formula: ..."), f"formula: sin({number}*x) - x**3")
    page.get_by_text("Until then the page shows token-sine:periods=2").wait_for()
    slider(page, "loops r").press("ArrowRight")
    page.get_by_text("At r = 11,220 the bound is").wait_for()
    tokens = page.get_by_label("N, tokens")
    tokens.press("ArrowUp")  # before the first is found: both are asked for
    page.get_by_text("At r = 11,220 the bound is").wait_for()
    page.wait_for_function("location.search.includes('tokens=3')")
    assert "formula" in page.url
    page.get_by_text("Until then the page shows").wait_for(state="detached")
    assert tokens.input_value() == "3"


def test_a_jump_is_told_and_the_page_goes_on(browser, address):
    page = browser
    page.goto(f"{address}?target={quote('formula: floor(3*x) - mean(x)')}")
    page.get_by_text("looks like a jump").first.wait_for()
    page.get_by_role("button", name="Certify this network").click()
    page.get_by_text("the network's error cannot be enclosed").wait_for()
    page.get_by_role("button", name="Certify this network").wait_for()


def test_a_run_that_is_too_long_is_told_and_a_step_is_never_beyond_the_run(browser, address):
    page = browser
    page.goto(f"{address}?tokens=3&step=60")
    page.get_by_text(re.compile("^After 60 of")).wait_for()
    page.get_by_label("N, tokens").press("ArrowDown")
    page.get_by_text("After 34 of 34 loops").wait_for()
    page.wait_for_function("location.search.includes('step=34')")
    page.goto(f"{address}?memoriser=increments&grid=16")
    page.get_by_text("at most 600 loops to be shown one by one").wait_for()


def test_a_fit_ends_when_its_function_leaves_the_page(browser, address):
    page = browser
    page.goto(f"{address}?target=mean-field&grid=2")
    page.get_by_role("button", name="Train LT and TMLT here").click()
    page.get_by_text(re.compile(r"training LT, r = 1: \d+%")).wait_for()
    page.get_by_label("Examples").select_option("the largest token")
    page.get_by_text("stopped: the page shows another function now").wait_for()


def test_ending_the_command_ends_the_server():
    command = [sys.executable, "-m", "looprate", "explore", "--no-browser"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        port = urlsplit(child.stdout.readline().split()[0]).port
        socket.create_connection(("127.0.0.1", port)).close()
        child.terminate()
        child.wait(20)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


def test_a_fit_is_watched_stopped_and_ended_in_a_browser(browser, address):
    page = browser
    page.goto(f"{address}?target=mean-field&grid=2")
    page.get_by_role("button", name="Train LT and TMLT here").click()
    page.get_by_text(re.compile(r"training LT, r = 1: \d+%")).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("stopped; what was trained stays").wait_for()
    page.get_by_role("button", name="Train LT and TMLT here").click()
    page.get_by_text("Trained: approximation plus optimisation error").wait_for()
    page.get_by_label("as", exact=True).select_option("csv")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
    trained = [row for row in rows if row["curve"] == "trained"]
    assert {row["loops"] for row in trained} == {"1", "2", "4", "8"}
    assert {row["family"] for row in trained} == {"lt", "tmlt"}
    assert [row["label"] for row in rows if row["curve"] == "constructed"]


def test_every_control_is_reached_by_tab_and_seen_at_every_width(browser, address):
    page = browser
    page.goto(address)
    page.get_by_text("After 0 of 34 loops").wait_for()
    page.locator(".noUi-handle[aria-labelledby]").first.wait_for()
    for name in TABS:
        page.keyboard.press("Tab")
        words, outline = page.evaluate(FOCUSED)
        assert words.startswith(name)
        assert outline == "solid 3px"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement === document.body")
    for width in (1280, 900, 640, 320):
        check_width(page, width)


def test_an_address_is_a_setting_and_a_bad_one_is_told(browser, address):
    query = quote("formula: max(x) - x")
    browser.goto(f"{address}?tokens=3&grid=3&step=2&theme=dark&target={query}")
    browser.get_by_text("After 2 of").wait_for()
    browser.get_by_role("row", name="token 3").wait_for()
    colour = "getComputedStyle(document.body).backgroundColor"
    assert browser.evaluate(colour) == "rgb(21, 25, 28)"
    browser.get_by_role("button", name="Show it light").click()
    browser.wait_for_function("location.search.includes('theme=light')")
    browser.get_by_text("After 2 of").wait_for()
    assert browser.evaluate(colour) == "rgb(245, 246, 247)"
    browser.goto(f"{address}?target=formula:1/(x-x)")
    browser.get_by_text("keep denominators away from 0").wait_for()
    browser.get_by_text("The page shows dial").wait_for()
    browser.get_by_text("After 0 of 34 loops").wait_for()


CLIPPED = """() => {
  const inside = root => [...root.querySelectorAll('*')].flatMap(
    e => e.shadowRoot ? [e, ...inside(e.shadowRoot)] : [e]);
  return inside(document.querySelector('main'))
    .filter(e => e.matches('h2, p, text, label, .bk-slider-title') && e.textContent.trim())
    .filter(e => !e.closest('.across'))
    .map(e => [e.textContent.trim().slice(0, 40), e.getBoundingClientRect()])
    .filter(([, b]) => b.width && (b.left < -1 || b.right > innerWidth + 1))
    .map(([words]) => words);
}"""
ARROW = """() => {
  const inside = root => [...root.querySelectorAll('*')].flatMap(
    e => e.shadowRoot ? [e, ...inside(e.shadowRoot)] : [e]);
  return getComputedStyle(inside(document).find(e => e.matches('select'))).backgroundImage;
}"""


@pytest.mark.parametrize("query", ["?theme=dark", "?target=context-max&d=3&theme=dark&r=1"])
def test_nothing_is_cut_off_and_dark_arrows_are_light(browser, address, query):  # W3, B5
    page = browser
    page.goto(f"{address}{query}")
    page.get_by_text(re.compile("^Moduli at")).wait_for()
    page.locator(".noUi-handle[aria-labelledby]").first.wait_for(state="attached")
    assert "rgb(240, 240, 240)" in page.evaluate(ARROW)  # not the library's black picture
    assert slider(page, "radius").get_attribute("aria-valuetext") == "0.1"
    for width in (390, 320, 640):  # 640: 1280 at 200 %
        check_width(page, width)
        assert page.evaluate(CLIPPED) == []
    if "d=3" in query:
        page.get_by_text("No network to look at.").wait_for()
        page.get_by_text("take m = 2").wait_for()
        page.get_by_text("The theorem needs r > N = 2, and r = 1 was asked for.").wait_for()
    else:
        slider(page, "loops r").press("ArrowRight")
        page.get_by_text("At r = 11,220 the bound is").wait_for()
        assert slider(page, "loops r").get_attribute("aria-valuetext") == "11,220"
