"""The explorer: its settings, its numbers, its exports, and the page in a real browser."""

import csv
import io
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from experiments import evaluate
from experiments.cli import main
from figures.explorer import static, views
from figures.explorer.export import EXPORTS, exported
from figures.explorer.live import LiveFit, Progress, Stopped
from figures.explorer.setting import Setting, check_typed, setting_of
from theory.construction.compile import compile_construction
from theory.construction.reference import reference_output
from theory.targets import resolve_target
from theory.verdict import Verdict

ROOT = Path(__file__).resolve().parent.parent
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
    run = views.loop_states(setting)
    built = compile_construction(resolve_target(setting.target), setting.spec)
    answer = reference_output(built.network, run.point)
    assert run.outputs[-1] == [[float(v) for v in token] for token in answer]
    assert len(run.values) == len(run.stages) == setting.spec.loops + 1
    assert run.outputs[0] != run.outputs[-1]
    with pytest.raises(ValueError, match="at most 600 loops"):
        views.loop_states(setting.changed(tokens=4, grid=6))


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
@pytest.mark.parametrize("kind", EXPORTS)
def test_figures_and_rows_can_be_taken_along(kind):
    setting = Setting(grid=3)
    for ending, head in HEADS.items():
        assert exported(setting, kind, ending).startswith(head)
    rows = list(csv.DictReader(io.StringIO(exported(setting, kind, "csv").decode())))
    assert rows
    assert {row["tokens"] for row in rows} == {"2"}


def test_the_code_taken_along_makes_the_figure(tmp_path, monkeypatch):
    setting = Setting(target="formula: x - mean(x)", grid=3)
    (tmp_path / "own.py").write_bytes(exported(setting, "moduli", "py"))
    monkeypatch.chdir(tmp_path)
    names = runpy.run_path("own.py")
    assert names["setting"] == setting
    assert (tmp_path / "moduli.pdf").read_bytes().startswith(b"%PDF")


def test_exports_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="`format` must be one of png"):
        exported(Setting(), "moduli", "gif")
    with pytest.raises(ValueError, match="`kind` must be one of"):
        exported(Setting(), "all", "png")
    with pytest.raises(ValueError, match="tokens=2 and dim=1"):
        exported(Setting(tokens=3), "stages", "png")


def test_the_static_page_holds_everything_it_needs(tmp_path, monkeypatch):
    monkeypatch.setattr(static, "EXAMPLES", {"the mean": "mean-field"})
    page = static.write_static(tmp_path / "new").read_text()
    assert re.findall(r"<script[^>]*src=", page) == []
    plain = re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert re.findall(r"<(?:link|img|iframe)[^>]*(?:src|href)=", plain) == []
    assert "the mean" in page
    assert "increments" in page


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
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
SLOWLY = 60_000  # milliseconds a busy machine gets


@pytest.fixture(scope="module")
def address():
    command = [sys.executable, "-m", "figures.explorer", "--no-browser", "--rows", "docs"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        yield child.stdout.readline().split()[0]
        child.terminate()


@pytest.fixture
def browser():
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as run:
        chromium = run.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = chromium.new_page(viewport={"width": 1300, "height": 1100})
        page.set_default_timeout(SLOWLY)
        page.hosts = set()
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        assert page.errors == []
        assert page.hosts <= {"127.0.0.1", None, ""}
        chromium.close()


def test_sliders_formulas_and_downloads_in_a_browser(browser, address):
    page = browser
    page.goto(address)
    page.get_by_text("At r = 10,000 the bound is 6.295: vacuous.").wait_for()
    page.get_by_text("After 0 of 34 loops").wait_for()

    sliders = page.locator(".noUi-handle")
    sliders.nth(1).focus()
    page.keyboard.press("ArrowRight")  # r, by the keyboard
    page.get_by_text("At r = 11,220 the bound is").wait_for()
    sliders.nth(3).focus()
    page.keyboard.press("ArrowRight")  # t
    page.get_by_text("After 1 of 34 loops").wait_for()
    page.wait_for_function("location.search.includes('loops=11220')")
    assert "step=1" in page.url

    target = page.get_by_label("Target: a name, or formula: ...")
    target.fill("formula: x**2 - mean(x)")
    target.press("Enter")
    page.get_by_text("a pair was found").first.wait_for()
    page.wait_for_function("location.search.includes('formula')")
    target.fill("formula: snh(x)")
    target.press("Enter")
    page.get_by_text("did you mean sin?").wait_for()
    target.fill("formula: n*x")
    target.press("Enter")
    page.get_by_text('permutation-equivariant" fails').wait_for()

    target.fill("token-sine")
    target.press("Enter")
    page.get_by_text("exact: one").or_(page.get_by_text("(exact")).first.wait_for()
    page.get_by_label("Take along").select_option("moduli")
    page.get_by_label("as", exact=True).select_option("csv")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    taken = Path(download.value.path()).read_text()
    assert taken.startswith("kind,delta,lower,exact,upper")
    assert "token-sine" in taken


def test_an_address_is_a_setting_and_a_bad_one_is_told(browser, address):
    query = quote("formula: max(x) - x")
    browser.goto(f"{address}?tokens=3&grid=3&step=2&theme=dark&target={query}")
    browser.get_by_text("After 2 of").wait_for()
    browser.get_by_text("token 3").first.wait_for()
    colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert colour == "rgb(21, 25, 28)"
    browser.goto(f"{address}?target=os:abort")
    browser.get_by_text("looprate explore --target").wait_for()
    browser.goto(f"{address}?tokens=many")
    browser.get_by_text("`tokens` must be an integer, got 'many'").wait_for()


def test_the_static_page_in_a_browser(browser, tmp_path, monkeypatch):
    examples = {"the mean": "mean-field", "the largest": "context-max"}
    monkeypatch.setattr(static, "EXAMPLES", examples)
    path = static.write_static(tmp_path)
    browser.goto(path.as_uri())
    browser.get_by_text("At r = 10,000 the bound is").wait_for()
    browser.locator(".noUi-handle").first.focus()
    browser.keyboard.press("End")
    browser.get_by_text("At r = 1,000,000,000,000 the bound is").wait_for()
    browser.get_by_label("Target").select_option("the largest")
    browser.locator(".noUi-handle").first.focus()
    browser.keyboard.press("Home")
    browser.get_by_text("At r = 10 the bound is").wait_for()
