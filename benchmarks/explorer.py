"""Milliseconds from a reader's hand to the changed page: the explorer in a real, headless Chromium.

Every control is moved by the keyboard, a choice or typed text; the clock runs in the page, from the
event to the first frame in which the text that must follow is another; the page is at rest before.
"floor" is a round trip
through a server of the same kind that computes nothing, in the same run.  Formulas are new in every
round; "found pairs" are the lower bounds of their moduli, of which the bound is made.  p, N,
memoriser and example come back to places seen before, so "first" is what a first visit costs.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one thread for everybody

from bokeh.document import Document
from bokeh.models import Div, TextInput
from bokeh.server.server import Server
from playwright.sync_api import Locator, sync_playwright
from playwright.sync_api import Page as Tab

ROUNDS, QUICK = 6, 3
STEPS = 3  # of a slider, all in the range where what follows changes
REST = 700  # milliseconds before each event, in which the page ends what it does beside
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
FIELD = "Target: a name, or formula: ..."
#: Start the clock at the next event of a kind; stop it when the text of a part has changed.
CLOCK = """([part, kind]) => {
  const text = root => [...root.childNodes].map(e => e.nodeType === 3 ? e.data
    : text(e) + (e.shadowRoot ? text(e.shadowRoot) : '')).join('');
  const seen = () => text(document.querySelector(part)), before = seen();
  window.took = new Promise(done => window.addEventListener(kind, () => {
    const start = performance.now();
    const look = () => seen() === before ? requestAnimationFrame(look)
      : done(performance.now() - start);
    look();
  }, {once: true, capture: true}));
}"""
#: Control -> the title of its slider and the part of the page that follows it.
SLIDERS = {
    "r": ("loops r", ".verdict"),
    "radius": ("radius", ".values"),
    "t": ("loops done", ".table"),
    "m": ("cells a side", ".table"),
    "input": ("x of token 1", ".reading"),
    "input, its run": ("x of token 1", ".table"),
    "smoothness": ("periods", ".verdict"),
}
#: Control -> its label, what is chosen in turn, and the part of the page that follows.
CHOICES = {
    "p": ("p of the norm", ("2.0", "1.0"), ".verdict"),
    "memoriser": ("Memoriser", ("digits", "increments", "timestep"), ".table"),
    "example": ("Examples", ("a sine of every token", "a cusp (Hölder 1/2)"), ".verdict"),
}
#: A formula's row in the table -> the address of the page on which it is typed.
FORMULAS = {"formula, found pairs, Nd=2": "?", "formula, found pairs, Nd=4": "?tokens=2&dim=2"}


def timed(tab: Tab, part: str, kind: str, act: Callable[[], object]) -> float:
    """Return milliseconds from an event of a kind, which ``act`` causes, to a part's change."""
    tab.wait_for_timeout(REST)
    tab.evaluate(CLOCK, [part, kind])
    act()
    return float(tab.evaluate("window.took"))


def chosen(tab: Tab, name: str, rounds: int) -> list[float]:
    """Time a choice from a list."""
    label, values, part = CHOICES[name]
    box: Locator = tab.get_by_label(label)
    turns = [values[k % len(values)] for k in range(rounds)]
    return [timed(tab, part, "input", lambda v=v: box.select_option(v)) for v in turns]


def moved(tab: Tab, name: str, rounds: int) -> list[float]:
    """Time a slider, a step to the right by the keyboard."""
    title, part = SLIDERS[name]
    handle = tab.get_by_role("slider", name=title)
    steps = range(min(rounds, STEPS))
    return [timed(tab, part, "keydown", lambda: handle.press("ArrowRight")) for _ in steps]


def counted(tab: Tab, rounds: int) -> list[float]:
    """Time the number of tokens, up and down by the keyboard."""
    box = tab.get_by_label("N, tokens")
    keys = [("ArrowUp", "ArrowDown")[k % 2] for k in range(rounds)]
    return [timed(tab, ".verdict", "keydown", lambda key=key: box.press(key)) for key in keys]


def typed(tab: Tab, part: str, text: str, label: str, rounds: int) -> list[float]:
    """Time typed text that is new in every round, from its Enter key."""
    box, found = tab.get_by_label(label), []
    for k in range(rounds):
        box.fill(text.format(6 + k / 16))
        found.append(timed(tab, part, "keydown", lambda: box.press("Enter")))
    return found


def settled(tab: Tab, address: str) -> None:
    """Open a page and wait until nothing is computed for it any more."""
    tab.goto(address)
    tab.locator(".noUi-handle[aria-labelledby]").first.wait_for()
    tab.get_by_role("button", name="Certify this network").wait_for()
    tab.wait_for_timeout(1000)


def measured(tab: Tab, address: str, floor: str, rounds: int) -> dict[str, list[float]]:
    """Return the milliseconds of every round of every control."""
    tab.goto(floor)
    tab.get_by_text("0 rounds").wait_for()
    found = {"floor": typed(tab, "body", "{}", "empty", rounds)}
    settled(tab, address)
    for name in SLIDERS:
        found[name] = moved(tab, name, rounds)
    for name in CHOICES:
        found[name] = chosen(tab, name, rounds)
    found["N"] = counted(tab, rounds)
    for name, query in FORMULAS.items():
        settled(tab, address + query)
        found[name] = typed(tab, ".values", "formula: sin({}*x) + mean(x)/2", FIELD, rounds)
    return found


def empty(document: Document) -> None:
    """Make a page whose only field counts its changes."""
    field, words = TextInput(title="empty"), Div(text="0 rounds")
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
        yield child.stdout.readline().split()[0] if child.stdout else ""
        child.terminate()


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = QUICK if parser.parse_args().quick else ROUNDS
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with explorer() as address, floor_server() as floor, sync_playwright() as run:
        browser = run.chromium.launch(executable_path=program, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        found = measured(tab, address, floor, rounds)
        browser.close()
    print(f"{'control':<28} {'median ms':>9} {'max ms':>7} {'first ms':>8} {'over floor':>10}")
    least = statistics.median(found["floor"])
    result = {name: statistics.median(took) / least for name, took in found.items()}
    for name, took in found.items():
        middle = statistics.median(took)
        print(f"{name:<28} {middle:>9.0f} {max(took):>7.0f} {took[0]:>8.0f} {result[name]:>10.1f}")
    print(json.dumps({name: round(ratio, 2) for name, ratio in result.items()}))


if __name__ == "__main__":
    main()
