"""The explorer's page without a browser: what fails while it is open, who leaves, its verdicts."""

import html
import json
import math
import threading
import time
from pathlib import Path

import pytest
from bokeh.document import Document
from bokeh.events import ButtonClick
from test_explorer_server import token
from tornado import gen
from tornado.websocket import websocket_connect

from looprate.experiments.study import known
from looprate.figures.explorer import server, views
from looprate.figures.explorer.page import Page
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.words import verdict_words
from looprate.theory import facts

ROOT = Path(__file__).resolve().parent.parent
SOFT_MEDIAN = "docs/example_target.py:soft_median"


def settle(page, most=20):
    """Do what a server does between the reader's moves."""
    document = page.document
    for _ in range(most):
        if page.certifier.beside.waiting is not None:
            page.certifier.beside.waiting.result()
        if not document.session_callbacks:
            return
        for waiting in document.session_callbacks:
            document.callbacks.remove_session_callback(waiting)
            waiting.callback()
    raise AssertionError("the page never comes to rest")


# -- a target that fails while the page is open ----------------------------------------------------
FAILING = """
from pathlib import Path

def wave(x):
    if Path({flag!r}).exists() and {where}:
        {failure}
    return x - x.mean(1, keepdims=True) ** 2
"""
FAILURES = {
    "an error of its own": ("raise KeyError('no such key')", "KeyError: 'no such key'"),
    "no message": ("raise RuntimeError", "RuntimeError"),
    "markup": ("raise ValueError('<b>bold</b>')", "<b>bold</b>"),
    "recursion": ("return wave(x)", "RecursionError"),
    "an end of the process": ("raise SystemExit(3)", "SystemExit"),
    "another shape": ("return x[:, :1]", "shape"),
    "not a number": ("return x / 0", "finite"),
}


LONGER = {"no message", "recursion", "another shape", "not a number"}


@pytest.fixture
def failing(tmp_path):
    """A page on a function that works until its flag is there, by failure."""

    def made(failure, where="True"):
        flag = tmp_path / "flag"
        own = tmp_path / "own.py"
        own.write_text(FAILING.format(flag=str(flag), where=where, failure=failure))
        usual = Setting(target=f"{own}:wave", grid=3)
        page = Page(Document(), usual, [], usual=usual)
        settle(page)
        assert page.trouble.text == ""
        flag.touch()
        return page, flag

    return made


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n in LONGER)) for n in FAILURES]
)
def test_a_target_that_fails_while_the_page_is_open_is_told_and_the_page_goes_on(failing, name):
    failure, words = FAILURES[name]
    page, flag = failing(failure)
    page.controls.tokens.value = 3
    settle(page)
    assert html.escape(words) in page.trouble.text
    assert 'role="alert"' in page.trouble.text
    assert (page.setting.tokens, page.controls.tokens.value) == (2, 2)  # what is shown is whole
    flag.unlink()
    page.controls.tokens.value = 3
    settle(page)
    assert (page.setting.tokens, page.trouble.text) == (3, "")


def press(page, name):
    """Press a button and wait for what it began."""
    button = getattr(page.controls, name)
    button._trigger_event(ButtonClick(button))
    if page.trainer.live is not None:
        page.trainer.live.thread.join()
    settle(page)


def test_whatever_part_of_the_page_meets_the_failing_input_tells_it(failing):
    page, flag = failing("raise KeyError('gone')")
    page.controls.grid.value = 4  # its network reads the function anew
    settle(page)
    assert "KeyError" in page.states.absent.text
    for name, place in (("certify", page.trouble), ("save", page.trouble), ("fit", page.training)):
        page.trouble.text = ""
        press(page, name)
        assert "KeyError" in place.text, name
        assert not getattr(page.controls, name).disabled
    flag.unlink()
    page.controls.grid.value = 5
    settle(page)
    assert page.states.absent.text == page.trouble.text == ""
    assert page.built[-1]["grid"] == 5


# -- readers who leave -----------------------------------------------------------------------------
def test_a_fit_ends_when_its_page_is_closed(monkeypatch):
    assert sum(server.UNUSED.values()) <= 15_000
    for name, quick in zip(server.UNUSED, (300, 100), strict=True):
        monkeypatch.setitem(server.UNUSED, name, quick)
    pages, failures = [], []
    monkeypatch.setattr(server, "Page", lambda *given, **more: pages.append(Page(*given, **more)))
    monkeypatch.setattr(threading, "excepthook", failures.append)
    started = server.explore_server(Setting(), [])

    async def until(seen, seconds=15):
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end
            await gen.sleep(0.05)

    async def visit():
        address = f"ws://127.0.0.1:{started.port}/ws"
        reader = await websocket_connect(address, subprotocols=["bokeh", token()])
        await until(lambda: pages)
        document = pages[0].document
        document.add_next_tick_callback(pages[0]._train)
        await until(lambda: "training" in pages[0].training.text)
        fit = pages[0].trainer.live.thread
        await gen.sleep(1.0)  # as long as the reader is there, it goes on
        assert fit.is_alive()
        reader.close()
        await until(lambda: not started.get_sessions("/"))
        await until(lambda: not fit.is_alive())

    try:
        started.io_loop.run_sync(visit)
    finally:
        started.stop()
    assert failures == []


# -- verdicts --------------------------------------------------------------------------------------
CASES = {
    "vacuous": {"target": "dial:token=0.5,context=0.5,periods=2", "loops": 1000},
    "holds": {"target": "token-sine:periods=1", "loops": 10**12},
    "proven upper bounds": {"target": "softmax-attention", "loops": 10**9},
    "sum": {"target": "0.5*token-sine + context-max", "loops": 10**11, "tokens": 3},
    "own": {"target": SOFT_MEDIAN, "loops": 10**12},
    "formula": {"target": "formula: sin(6*x) + mean(x)/2", "loops": 10**6, "p": 2.5},
    "small formula": {"target": "formula: x - mean(x)/3", "loops": 10**12},
    "p = inf": {"target": "mean-field", "loops": 10**12, "p": math.inf},
    "p = inf, formula": {"target": "formula: x", "loops": 10**6, "p": math.inf},
    "not equivariant": {"target": "formula: n*x", "loops": 10**12},
    "not continuous": {"target": "formula: floor(3*x) - mean(x)", "loops": 10**12},
    "constant": {"target": "formula: 0*x + 2", "loops": 10**6},
    "two coordinates": {"target": "context-max", "loops": 10**12, "dim": 2},
}
EVERYDAY = {"vacuous", "holds", "proven upper bounds", "sum", "own", "formula", "p = inf"}
#: What is between the best constant and three standard errors: a verdict that nobody may give.
UNDECIDED = {"target": "token-sine:periods=1", "loops": 10**12}


def command_says(said, setting, version, *more):
    """Return what ``looprate bound`` says of a setting."""
    code, out, error = said(
        "bound", setting.target, "--tokens", setting.tokens, "--dim", setting.dim, "--p", setting.p,
        "--loops", setting.loops, "--inequality", version, *more,
    )  # fmt: skip
    assert code == 0, error
    return out


@pytest.fixture
def once(monkeypatch):
    """Let the command, which is asked several times, find out about a target once."""
    find, found_out = known.known_facts, {}

    def found(f, **given):
        given.pop("report")
        key = str(f), *given.values()
        found_out[key] = found_out.get(key) or find(f, **given)
        return found_out[key]

    return lambda: monkeypatch.setattr(known, "known_facts", found)


def same_words(setting, said, once):
    """Compare every word and digit of the page's verdict with the command's; return it."""
    found = views.bound_at(setting)  # the page finds out for itself
    once()
    (command,) = json.loads(command_says(said, setting, views.VERSION, "--json"))
    assert json.loads(json.dumps(found.as_dict())) == command
    page = html.unescape(verdict_words(found, setting))
    printed = command_says(said, setting, views.VERSION)
    reason = command["reason"]
    assert f"r = {setting.loops}: {reason}" in printed
    assert f"{found.total:.4g}" in printed.split()
    assert f"{reason[:1].upper()}{reason[1:]}." in page
    assert f"bound is {found.total:.4g}: {command['verdict']}." in page
    assert ("lower bound of the bound" in page) == (command["moduli_side"] == "lower")
    return str(found.verdict)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n not in EVERYDAY)) for n in CASES]
)
def test_the_page_s_verdicts_are_the_command_s(name, said, once, monkeypatch):
    monkeypatch.chdir(ROOT)
    setting = Setting(**CASES[name])
    verdict = same_words(setting, said, once)
    if name in ("vacuous", "holds"):
        assert verdict == name
    if name.startswith(("p = inf", "not")):
        assert verdict == "not testable"
    for version in (views.VERSION, setting.memoriser):  # the curves, too
        rows = [row for row in views.bound_rows(setting) if row["curve"] == version]
        row = rows[-1]
        at = setting.changed(loops=row["loops"])
        (command,) = json.loads(command_says(said, at, version, "--json"))
        value = row["value"] if math.isfinite(row["value"]) else None
        assert (value, row["status"]) == (command["total"], command["verdict"])


@pytest.mark.parametrize("errors", [0.5, 2.9, 3.1, -0.5, -2.9, -3.1])
def test_undecided_within_three_standard_errors_on_page_and_command(
    errors, said, once, monkeypatch
):
    setting = Setting(**UNDECIDED)
    total = views.bound_at(setting).total
    stderr = total / 50
    monkeypatch.setattr(facts, "trivial_error", lambda f, **k: (total + errors * stderr, stderr))
    views._facts.cache_clear(), views._bound.cache_clear()
    try:
        verdict = same_words(setting, said, once)
    finally:
        views._facts.cache_clear(), views._bound.cache_clear()
    assert verdict == ("holds" if errors > 3 else "vacuous" if errors < -3 else "not testable")
