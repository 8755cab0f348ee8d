"""The explorer: its settings, its numbers, its exports, and the page in a real browser."""

import csv
import io
import re
import runpy
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, quote

import pytest

from experiments import evaluate
from experiments.cli import main
from figures.drawing import redraw
from figures.explorer import static, views
from figures.explorer.export import EXPORTS, exported, figure_rows, file_name
from figures.explorer.live import LiveFit, Progress, Stopped
from figures.explorer.panels import ErrorPanel, ModuliPanel, StatePanel, TermPanel
from figures.explorer.precomputed import precomputed
from figures.explorer.setting import Setting, check_typed, setting_of
from figures.explorer.smoothness import KNOBS, knob_of, turned
from figures.explorer.states import loop_states
from figures.explorer.words import EXAMPLES, state_table, state_words
from figures.rows import read_rows
from theory.bounds import TERM_NAMES
from theory.construction.compile import compile_construction
from theory.construction.reference import reference_output
from theory.targets import resolve_target
from theory.verdict import Verdict

ROOT = Path(__file__).resolve().parent.parent
LARGEST_PAGE = 4e6  # characters of the static page
HEADS = {"png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}


# -- settings --------------------------------------------------------------------------------------
def test_a_setting_comes_back_from_its_address():
    setting = Setting(target="formula: sin(6*x) + mean(x)/2", tokens=3, p=2.0, grid=5, loops=10**9)
    arguments = {k: [v.encode() for v in vs] for k, vs in parse_qs(setting.query()).items()}
    assert set(arguments) == {"target", "tokens", "p", "grid", "loops"}
    assert setting_of(arguments) == setting
    assert Setting().query() == setting.query(setting) == ""
    assert setting_of({"grid": [b"3"]}, setting) == setting.changed(grid=3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"tokens": [b"x"]}, "`tokens` must be an integer, got 'x'"),
        ({"p": [b"x"]}, "`p` must be a number"),
        ({"word": [b"1"]}, "`word` must be one of target, tokens"),
        ({"tokens": [b"7"]}, "at most 6"),
        ({"grid": [b"17"]}, "`grid` must be from 2 to 16, got 17"),
        ({"memoriser": [b"none"]}, "`memoriser`"),
        ({"delta": [b"nan"]}, "`delta` must be from"),
    ],
)
def test_settings_out_of_range_are_refused(arguments, words):
    with pytest.raises(ValueError, match=r"`\w+` ") as error:
        setting_of(arguments)
    assert words in str(error.value)


def test_a_page_never_names_code_to_run():
    check_typed("formula: x", "mean-field")
    check_typed("2*mean-field + context-max", "mean-field")
    check_typed("docs/example_target.py:soft_median", "docs/example_target.py:soft_median")
    for text in ("os:abort", "docs/example_target.py:soft_median", "mean-field + os:abort"):
        with pytest.raises(ValueError, match="looprate explore --target"):
            check_typed(text, "mean-field")


@pytest.mark.parametrize(
    ("text", "name", "value", "after"),
    [
        ("dial:token=0.5,periods=2", "periods", 3, "dial:token=0.5,periods=3"),
        ("dial:alpha=0.5", "alpha", 0.25, "dial:alpha=0.25"),
        ("token-sine", "periods", 4, "token-sine:periods=4"),
        ("token-power: alpha = 0.5, scale=2", "alpha", 1, "token-power:alpha=1,scale=2"),
        ("softmax-attention", "beta", 9, "softmax-attention:beta=9"),
        ("smooth-field:seed=3", "length", 0.45, "smooth-field:seed=3,length=0.45"),
    ],
)
def test_the_smoothness_of_a_target_can_be_turned(text, name, value, after):
    assert knob_of(text).name == name
    assert turned(text, value) == after
    assert knob_of(after).value == value
    assert turned(after, knob_of(text).value) == turned(text, knob_of(text).value)


@pytest.mark.parametrize(
    "text", ["mean-field", "formula: x", "2*token-sine", "token-sine + mean-field", "nothing", ""]
)
def test_targets_without_a_smoothness_have_no_slider(text):
    assert knob_of(text) is None
    with pytest.raises(ValueError, match="`text` must name a target with a smoothness"):
        turned(text, 2)


def test_sliders_of_smoothness_hold_what_was_named_and_make_targets():
    assert knob_of("token-sine:periods=40").high == 40
    for text in ("dial:periods=2", "token-power", "softmax-attention", "smooth-field"):
        knob = knob_of(text)
        for value in (knob.low, knob.high):
            resolve_target(turned(text, value))
    assert {knob_of(t).name for t in EXAMPLES.values() if knob_of(t)} < {k.name for k in KNOBS}


# -- numbers ---------------------------------------------------------------------------------------
def test_moduli_are_those_of_the_target():
    setting = Setting()
    rows = views.moduli_rows(setting)
    f = resolve_target(setting.target)
    for row in rows:
        form = f.closed_form(row["delta"], kind=row["kind"], **setting.shape, p=setting.p)
        assert row["upper"] == form.value
        if row["lower"] is not None:
            assert 0.8 * form.value <= row["lower"] <= form.value * (1 + 1e-9)
    assert sum(row["lower"] is not None for row in rows) == 3 * len(views.RADII)


def test_closed_forms_come_without_a_search_and_a_formula_has_none(monkeypatch):
    monkeypatch.setattr(views.evaluate, "lower_curves", None)  # a search would fail
    setting = Setting(target="token-sine:periods=5")
    rows = views.closed_rows(setting)
    assert rows
    assert all(row["lower"] is None for row in rows)
    assert views.bound_rows(setting)
    assert views.closed_rows(Setting(target="formula: x + 0.25")) == []
    with pytest.raises(TypeError):
        views.moduli_rows(setting)


def test_found_pairs_are_read_off_at_no_larger_radius():
    setting = Setting(target="formula: x - mean(x)/3", delta=0.5)
    found = [row for row in views.moduli_rows(setting) if row["kind"] == "token"]
    for delta in (0.011, 0.2, 1.0):
        expected = max(row["lower"] for row in found if row["delta"] <= delta)
        assert views.lower_at(setting.changed(delta=delta), "token") == expected > 0
    assert views.lower_at(setting.changed(delta=0.002), "token") == 0


def test_the_bound_is_the_command_line_s(capsys):
    setting = Setting(loops=10**6)
    found = views.bound_at(setting)
    assert main(["bound", setting.target, "--loops", "1000000", "--json"]) == 0
    assert f'"total": {found.total!r}' in capsys.readouterr().out
    assert found.verdict is Verdict.VACUOUS
    rows = views.bound_rows(setting)
    (trivial,) = (row["value"] for row in rows if row["curve"] == "trivial")
    expected = evaluate.trivial_error(resolve_target(setting.target), **setting.shape, p=setting.p)
    assert trivial == expected[0]


def test_a_function_outside_the_theorem_is_told_with_its_witness():
    for formula, word in (("n*x", "permutation-equivariant"), ("floor(3*x)", "continuous")):
        found = views.bound_at(Setting(target=f"formula: {formula}"))
        assert found.verdict is Verdict.NOT_TESTABLE
        assert word in found.reason
        assert "witness" in found.reason


def test_the_last_state_reads_out_the_network_s_answer():
    setting = Setting(grid=3)
    run = loop_states(setting)
    built = compile_construction(resolve_target(setting.target), setting.spec)
    answer = reference_output(built.network, run.point)
    assert run.outputs[-1] == [[float(v) for v in token] for token in answer]
    assert len(run.values) == len(run.stages) == setting.spec.loops + 1
    assert run.outputs[0] != run.outputs[-1]
    with pytest.raises(ValueError, match="at most 600 loops"):
        loop_states(setting.changed(tokens=4, grid=6))


@pytest.mark.parametrize("memoriser", ["increments", "timestep", "digits"])
def test_the_state_is_told_in_words(memoriser):
    setting = Setting(grid=3, memoriser=memoriser)
    run = loop_states(setting)
    context, values = setting.spec.context_start, setting.spec.values_start
    assert "none read yet; labels counted: 0; read out" in state_table(run, context)
    assert "sorted: token 1; labels" in state_table(run, context + 1)
    assert "sorted: token 1 &gt; token 2; labels counted: 0; read out" in state_table(run, values)
    assert run.labels[-1] >= setting.spec.last_label
    table = state_table(run, values)
    assert "<th>cell</th><td>2</td><td>1</td>" in table
    assert [line for line in table.split("<tr>")[6:] if line.endswith("<td></td></tr>")] == []


def test_a_quick_certificate_is_wider_and_agrees_with_the_whole_one():
    setting = Setting(tokens=3, grid=3)
    quick, whole = (views.constructed_row(setting, quick=q) for q in (True, False))
    assert quick["lower"] <= whole["lower"] < whole["upper"] <= quick["upper"]
    assert quick["upper"] - quick["lower"] > 1.5 * (whole["upper"] - whole["lower"])
    other = whole | {"grid": 4}
    assert views.narrowest([quick, whole, other]) == [whole, other]
    assert views.narrowest([whole, quick]) == [whole]
    with pytest.raises(ValueError, match="over the budget of 2 s"):
        views.constructed_row(setting.changed(tokens=4, grid=16), quick=True)


def test_a_slow_target_is_searched_at_fewer_radii(monkeypatch):
    setting = Setting(target="formula: x*x - mean(x)/3")
    monkeypatch.setattr(views, "_seconds", lambda f, subject: 1.0)
    views._searched.cache_clear()
    slow = {row["delta"] for row in views.moduli_rows(setting)}
    assert slow == set(views.RADII[::2])
    views._searched.cache_clear()


def test_trained_rows_are_those_of_this_target_and_shape():
    folders = [ROOT / "docs"]
    rows = views.trained_rows(Setting(), folders)
    assert {row["family"] for row in rows} == {"lt", "tmlt"}
    assert views.trained_rows(Setting(p=2.0), folders) == []
    assert views.trained_rows(Setting(target="context-max"), folders) == []


def test_a_fit_tells_rows_and_stops_when_asked():
    told = []
    live = LiveFit(Setting(), told.append, loops=(1,))
    live._run()
    assert told[-1] is None
    rows = [row for part in told if isinstance(part, list) for row in part]
    assert [(row["family"], row["seed"]) for row in rows] == [
        (family, seed) for family in ("lt", "tmlt") for seed in range(3)
    ]
    assert all(0 < row["value"] < 0.8 for row in rows)  # below the best constant
    parts = [part.part for part in told if isinstance(part, Progress)]
    assert parts == sorted(parts)
    told.clear()
    live.stop()
    live._run()
    assert isinstance(told[-1], Stopped)


# -- taking along ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "ending"), list(zip(EXPORTS, ("png", "pdf", "svg", "png"), strict=True))
)
def test_figures_and_rows_can_be_taken_along(kind, ending):
    setting = Setting(grid=3)
    assert exported(setting, kind, ending).startswith(HEADS[ending])
    rows = list(csv.DictReader(io.StringIO(exported(setting, kind, "csv").decode())))
    assert rows
    assert {row["tokens"] for row in rows} == {"2.0"}


def test_a_file_of_rows_is_drawn_again_by_its_name(tmp_path):
    setting, folder = Setting(grid=3), tmp_path / "figures"
    folder.mkdir()
    name = folder / file_name("bound-terms", "csv")
    name.write_bytes(exported(setting, "bound-terms", "csv"))
    assert {row["term"] for row in read_rows(name)} == set(TERM_NAMES)
    (drawn,) = redraw(tmp_path, formats=["svg"])
    assert drawn.read_bytes() == exported(setting, "bound-terms", "svg")


def test_the_code_taken_along_makes_the_figure(tmp_path, monkeypatch):
    setting = Setting(target="formula: x - mean(x)", grid=3)
    (tmp_path / "own.py").write_bytes(exported(setting, "moduli", "py"))
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path("own.py")
    assert names["setting"] == setting
    assert (tmp_path / "moduli.pdf").read_bytes().startswith(b"%PDF")


def test_networks_of_the_page_are_taken_along():
    setting = Setting(grid=3)
    page = [views.constructed_row(setting.changed(grid=g)) for g in (3, 4)]
    rows = figure_rows(setting, "error-against-loops", built=page)
    built = [row for row in rows if row["curve"] == "constructed"]
    assert [row["value"] for row in built] == [row["upper"] for row in page]
    rows = figure_rows(setting, "error-against-loops", built=page[1:])  # its own is computed
    assert len([row for row in rows if row["curve"] == "constructed"]) == 2


def test_exports_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="`format` must be one of png"):
        exported(Setting(), "moduli", "gif")
    with pytest.raises(ValueError, match="`kind` must be one of"):
        exported(Setting(), "all", "png")
    with pytest.raises(ValueError, match="tokens=2 and dim=1"):
        exported(Setting(tokens=3), "stages", "png")


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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port", "70000"], "`port` must be from 0 to 65535"),
        (["--json"], "`json` needs --static"),
        (["--rows", "nowhere"], "`rows` must be folders"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, words, capsys):
    assert main(["explore", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


# -- in a browser ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def address():
    command = [sys.executable, "-m", "figures.explorer", "--no-browser", "--rows", "docs"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        yield child.stdout.readline().split()[0]
        child.terminate()


def slider(page, name):
    """Return the handle of the slider whose title begins with a name."""
    return page.get_by_role("slider", name=re.compile(f"^{name}"))


FOCUSED = """() => {
  let e = document.activeElement;
  while (e.shadowRoot && e.shadowRoot.activeElement) e = e.shadowRoot.activeElement;
  const around = e.closest('.bk-input-group') || e.parentNode;
  const look = getComputedStyle(e);
  return [(around.querySelector('label, .bk-slider-title') || e).textContent.trim(),
          look.outlineStyle + ' ' + look.outlineWidth];
}"""
TABS = (
    *("Examples", "Target", "periods", "N, tokens", "d, coordinates", "p of the norm"),
    *("radius", "loops r", "Memoriser", "cells a side", "loops done", "Certify", "Train"),
    *("Take along", "as", "Download", "Show it dark"),
)
OVERLAPS = """() => {
  const boxes = [...document.querySelectorAll('main > section')]
    .map(e => [e.className, e.getBoundingClientRect()]).filter(([, b]) => b.width * b.height);
  return boxes.flatMap(([one, a], k) => boxes.slice(k + 1).filter(([, b]) =>
    a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1)
    .map(([other]) => one + ' over ' + other));
}"""
WIDTHS = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"


def check_width(page, width):
    """The page at a width: nothing to scroll to the right, nothing over something else."""
    page.set_viewport_size({"width": width, "height": 450})
    page.wait_for_function(f"innerWidth === {width}")
    page.wait_for_timeout(300)  # plots follow
    whole, seen = page.evaluate(WIDTHS)
    assert whole <= seen == width
    assert page.evaluate(OVERLAPS) == []


def test_sliders_formulas_and_downloads_in_a_browser(browser, address):
    page = browser
    page.goto(f"{address}?theme=light")
    page.get_by_text("At r = 10,000 the bound is 6.295: vacuous.").wait_for()
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
    page.wait_for_function("location.search.includes('loops=11220')")
    assert "step=33" in page.url
    assert "theme=light" in page.url

    target = page.get_by_label("Target: a name, or formula: ...")
    slider(page, "periods").press("ArrowRight")
    page.wait_for_function("location.search.includes('periods%3D3')")
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(target).to_have_value("dial:token=0.5,context=0.5,periods=3")
    target.fill("formula: x**2 - mean(x)")
    target.press("Enter")
    page.get_by_text("a pair was found").first.wait_for()
    page.wait_for_function("location.search.includes('formula')")
    assert not slider(page, "periods").is_visible()
    target.fill("formula: 1/x + snh(x)")
    target.press("Enter")
    page.get_by_text("did you mean sin?").wait_for()
    page.get_by_text("The page shows formula: x**2 - mean(x) at N = 2, d = 1.").wait_for()
    target.fill("formula: 1/(x - x)")
    target.press("Enter")
    page.get_by_text("keep denominators away from 0").wait_for()
    page.get_by_text("The page shows formula: x**2 - mean(x) at N = 2, d = 1.").wait_for()
    target.fill("formula: n*x")
    target.press("Enter")
    page.get_by_text('permutation-equivariant" fails').wait_for()
    assert page.get_by_role("alert").count() == 0

    page.get_by_label("Examples").select_option("a sine of every token")
    page.get_by_text("exact: one").or_(page.get_by_text("(exact")).first.wait_for()
    page.get_by_label("Take along").select_option("moduli")
    page.get_by_label("as", exact=True).select_option("csv")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "moduli__explorer.csv"
    taken = Path(download.value.path()).read_text()
    assert taken.startswith("kind,delta,lower,exact,upper")
    assert "token-sine" in taken


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
    assert {row["loops"] for row in trained} == {"1.0", "2.0", "4.0", "8.0"}
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
    browser.get_by_text("token 3").first.wait_for()
    colour = "getComputedStyle(document.body).backgroundColor"
    assert browser.evaluate(colour) == "rgb(21, 25, 28)"
    browser.get_by_role("button", name="Show it light").click()
    browser.wait_for_function("location.search.includes('theme=light')")
    browser.get_by_text("After 2 of").wait_for()
    assert browser.evaluate(colour) == "rgb(255, 255, 255)"
    browser.goto(f"{address}?target=formula:1/(x-x)")
    browser.get_by_text("keep denominators away from 0").wait_for()
    browser.get_by_text("The page shows dial").wait_for()
    browser.get_by_text("After 0 of 34 loops").wait_for()


def test_the_static_page_in_a_browser(browser, static_page):
    browser.goto(static_page.as_uri())
    browser.get_by_text("All values were computed beforehand").wait_for()
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
    for width in (1280, 640):
        check_width(browser, width)


def test_the_static_page_has_trained_networks_where_rows_of_them_are(static_page):
    name = Setting().target
    panels = (ModuliPanel(False), ErrorPanel(False), TermPanel(False), StatePanel(False))
    found = precomputed(name, panels, [ROOT / "docs"])
    assert found["trained"]["lt"]["value"]
    assert precomputed(name, panels, [])["trained"]["lt"]["value"] == []
    assert not panels[1].legend["lt"].visible
    run = found["networks"]["timestep"]["runs"]["4"]
    loops = loop_states(Setting(grid=4))
    assert run["words"][-1] == state_words(loops, 34)
    assert len(run["share"]) == len(run["value"]) == len(run["names"]) * 35
    for grid, built in found["networks"]["digits"]["built"].items():
        row = views.constructed_row(Setting(grid=int(grid), memoriser="digits"))
        assert (built["lower"], built["value"]) == ([row["lower"]], [row["upper"]])
