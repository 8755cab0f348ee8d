"""Milliseconds from a reader's hand to the changed page: the explorer in a real, headless Chromium.

Every control is moved by the keyboard, the mouse, a choice or typed text; the clock runs in the
page, from the event to the first frame in which the text that must follow is another; the page is
at rest before.  "floor" is a round trip through a server of the same kind that computes nothing, in
the same run.  Formulas are new in every round; "found pairs" are the lower bounds of their moduli,
of which the bound is made.  p, N,
memoriser and example come back to places seen before, so "first" is what a first visit costs.
Before, the time from the command to its address, to the first contentful paint and to the controls.

The last line is one JSON object: each control's median over that of the floor.  Needs chromium and
the package playwright.

    python benchmarks/explorer.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one thread for everybody

from bokeh.document import Document
from bokeh.models import Div, TextInput
from bokeh.server.server import Server
from playwright.sync_api import Browser, sync_playwright
from playwright.sync_api import Page as Tab

from looprate.figures.explorer.certifier import CERTIFY
from looprate.figures.explorer.controls import PAUSED, PLAYED, Controls
from looprate.figures.explorer.place import place_of
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.words import EXAMPLES

ROUNDS, QUICK = 6, 3
STEPS = 3  # of a slider, all in the range where what follows changes
REST = 700  # milliseconds before each event, in which the page ends what it does beside
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 20_000  # milliseconds until a part that does not change is an error
SIZE = {"width": 1280, "height": 900}
PAINTED = "performance.getEntriesByName('first-contentful-paint').length > 0"
PAGE = Controls(Setting(), dark=False, wide={})  # the page's own controls, for their titles
PAGE.show_input(Setting(), place_of(Setting()))
#: Start the clock at the next event of a kind; stop it when the text of a part has changed.
CLOCK = """([part, kind, patience]) => {
  const text = root => [...root.childNodes].map(e => e.nodeType === 3 ? e.data
    : text(e) + (e.shadowRoot ? text(e.shadowRoot) : '')).join('');
  const seen = () => text(document.querySelector('.' + part) || document.body), before = seen();
  window.took = new Promise(done => {
    setTimeout(() => done(-1), patience);
    window.addEventListener(kind, () => {
      const start = performance.now();
      const look = () => seen() === before ? requestAnimationFrame(look)
        : done(performance.now() - start);
      look();
    }, {once: true, capture: true});
  });
}"""
#: Control -> the title of its slider and the part of the page that follows it.
SLIDERS = {
    "r": (PAGE.loops, "verdict"),
    "radius": (PAGE.delta, "values"),
    "s": (PAGE.holder, "worst"),
    "t": (PAGE.step, "told"),
    "m": (PAGE.grid, "told"),
    "input": (PAGE.inputs[0], "reading"),
    "input, its run": (PAGE.inputs[0], "table"),
    "smoothness": (PAGE.smoothness, "verdict"),
}
#: Control -> its list, what is chosen in turn, and the part of the page that follows.
CHOICES = {
    "memoriser": (PAGE.memoriser, ("digits", "increments", "timestep"), "told"),
    "example": (PAGE.examples, tuple(EXAMPLES)[1:3], "verdict"),
}
#: A formula's row in the table -> the address of the page on which it is typed.
FORMULAS = {"formula, found pairs, Nd=2": "?", "formula, found pairs, Nd=4": "?tokens=2&dim=2"}


def timed(tab: Tab, name: str, part: str, kind: str, act: Callable[[], object]) -> float:
    """Return milliseconds from an event of a kind, which ``act`` causes, to a part's change."""
    tab.wait_for_timeout(REST)
    tab.evaluate(CLOCK, [part, kind, PATIENCE])
    act()
    took = float(tab.evaluate("window.took"))
    if took < 0:
        raise TimeoutError(f"{name}: .{part} did not change within {PATIENCE / 1000:g} s")
    return took


def chosen(tab: Tab, name: str, rounds: int) -> list[float]:
    """Time a choice from a list."""
    control, values, part = CHOICES[name]
    box = tab.get_by_label(control.title, exact=True)
    turns = [values[k % len(values)] for k in range(rounds)]
    return [timed(tab, name, part, "input", lambda v=v: box.select_option(v)) for v in turns]


def moved(tab: Tab, name: str, rounds: int) -> list[float]:
    """Time a slider, a step by the keyboard, inwards: right, or left where it stands at its end."""
    control, part = SLIDERS[name]
    handle = tab.get_by_role("slider", name=control.title)
    key = "ArrowLeft" if control.value == control.end else "ArrowRight"
    steps = range(min(rounds, STEPS))
    return [timed(tab, name, part, "keydown", lambda: handle.press(key)) for _ in steps]


def counted(tab: Tab, rounds: int) -> list[float]:
    """Time the number of tokens, up and down by the keyboard."""
    box = tab.get_by_label(PAGE.tokens.title)
    keys = [("ArrowUp", "ArrowDown")[k % 2] for k in range(rounds)]
    return [timed(tab, "N", "verdict", "keydown", lambda key=key: box.press(key)) for key in keys]


def typed(tab: Tab, name: str, part: str, texts: Iterable[str], label: str) -> list[float]:
    """Time typed texts, from the Enter key."""
    box, found = tab.get_by_label(label), []
    for text in texts:
        box.fill(text)
        found.append(timed(tab, name, part, "keydown", lambda: box.press("Enter")))
    return found


def dragged(tab: Tab, rounds: int) -> list[float]:
    """Time the point of the picture of f, a few pixels of a drag at a time."""
    canvas = tab.locator(".map .bk-Canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box() or {}
    x, y = box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"]
    tab.mouse.move(x, y)
    tab.mouse.down()
    tab.mouse.move(x - 20, y)  # a drag begins after some pixels
    found = []
    for k in range(rounds):
        to = x - 25 - 5 * k
        found.append(
            timed(tab, "drag", "reading", "pointermove", lambda to=to: tab.mouse.move(to, y))
        )
    tab.mouse.up()
    return found


def played(tab: Tab, rounds: int) -> list[float]:
    """Time the button that plays the loops, to the first loop that is shown."""
    found = []
    for _ in range(rounds):
        button = tab.get_by_role("button", name=PLAYED)
        found.append(timed(tab, "play", "told", "click", button.click))
        tab.get_by_role("button", name=PAUSED).click()
        button.wait_for()
    return found


def settled(tab: Tab, address: str) -> None:
    """Open a page and wait until nothing is computed for it any more."""
    tab.goto(address)
    tab.locator(".noUi-handle[aria-labelledby]").first.wait_for()
    tab.get_by_role("button", name=CERTIFY).wait_for()
    tab.locator("details.table summary").click()
    tab.wait_for_timeout(1000)


def measured(tab: Tab, address: str, floor: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every round of every control."""
    tab.goto(floor)
    tab.get_by_text("0 rounds").wait_for()
    found = {"floor": typed(tab, "floor", "floor", map(str, range(rounds)), "empty")}
    settled(tab, address)
    for name in SLIDERS:
        found[name] = moved(tab, name, rounds)
    found["drag"] = dragged(tab, rounds)
    found["play"] = played(tab, rounds)
    for name in CHOICES:
        found[name] = chosen(tab, name, rounds)
    found["p"] = typed(
        tab, "p", "verdict", [("2", "1")[k % 2] for k in range(rounds)], PAGE.p.title
    )
    found["N"] = counted(tab, rounds)
    for name, query in FORMULAS.items():
        settled(tab, address + query)
        texts = [f"formula: sin({6 + k / 16}*x) + mean(x)/2" for k in range(rounds)]
        found[name] = typed(tab, name, "values", texts, PAGE.target.title)
    return found


def painted(browser: Browser, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds from the command to its address, the first paint and the controls."""
    found: dict[str, list[float]] = {"address": [], "first paint": [], "controls": []}
    for _ in range(rounds):
        start = time.monotonic()
        with explorer() as address:
            took = [time.monotonic() - start]
            tab = browser.new_page(viewport=SIZE)
            tab.goto(address, wait_until="commit")
            tab.wait_for_function(PAINTED)
            took.append(time.monotonic() - start)
            tab.locator(".noUi-handle[aria-labelledby]").first.wait_for()
            took.append(time.monotonic() - start)
            tab.close()
        for part, seconds in zip(found.values(), took, strict=True):
            part.append(1000 * seconds)
    return found


def empty(document: Document) -> None:
    """Make a page whose only field counts its changes."""
    field, words = TextInput(title="empty"), Div(text="0 rounds", name="floor")
    field.on_change("value", lambda a, o, new: words.update(text=f"after {new}"))
    document.add_root(field)
    document.add_root(words)


@contextmanager
def floor_server() -> Iterator[str]:
    """Serve the empty page from a thread; give its address."""
    ready, made = threading.Event(), []

    def run() -> None:
        asyncio.set_event_loop(asyncio.new_event_loop())
        server = Server({"/": empty}, port=0, address="127.0.0.1")
        server.start()
        made.append(server)
        ready.set()
        server.io_loop.start()

    threading.Thread(target=run, daemon=True).start()
    ready.wait()
    yield f"http://127.0.0.1:{made[0].port}/"
    made[0].io_loop.add_callback(made[0].io_loop.stop)


@contextmanager
def explorer() -> Iterator[str]:
    """Run the explorer in a process of its own; give its address."""
    command = [sys.executable, "-m", "looprate.figures.explorer", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child.stdout.readline().split()[0] if child.stdout else ""
        finally:
            child.terminate()


def main() -> None:
    """Print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = QUICK if parser.parse_args().quick else ROUNDS
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with floor_server() as floor, sync_playwright() as run:
        browser = run.chromium.launch(executable_path=program, args=FLAGS)
        load = os.getloadavg()[0]
        shown("from the command", painted(browser, rounds), load)
        tab = browser.new_page(viewport=SIZE)
        with explorer() as address:
            found = measured(tab, address, floor, rounds)
        browser.close()
    least = statistics.median(found["floor"])
    shown("control", found, load)
    print(json.dumps({name: round(statistics.median(t) / least, 2) for name, t in found.items()}))


def shown(what: str, found: dict[str, list[float]], load: float) -> None:
    """Print one table; the load says how busy the machine was at the start."""
    print(f"\n{what:<28} {'median ms':>9} {'max ms':>7} {'first ms':>8}   (load {load:.1f})")
    for name, took in found.items():
        print(f"{name:<28} {statistics.median(took):>9.0f} {max(took):>7.0f} {took[0]:>8.0f}")


if __name__ == "__main__":
    main()
