"""Seconds to the explorer's first paint, and milliseconds from a reader's hand to the changed page.

Both in a real, headless Chromium that runs already.  *First paint* is counted from the start of the
command, in seconds of the clock and of the processor: its address is printed, the browser has
painted contents, the widgets answer, the picture of f is there, the bound is told.

*Controls* are moved by the keyboard, a choice, typed text or the mouse; the clock runs in the page,
from the event to the first frame in which the text that must follow is another; the page is at rest
before.  "floor" is a round trip through a server of the same kind that computes nothing, in the
same run.  Formulas are new in every round; "first" is what a first visit costs.

Names and places of controls are those of the page's own code.  The load of the machine is printed:
beside other work, seconds of the clock say little.  The last line is one JSON object: first paint
over its aim, and each control's median over the floor's.  Needs chromium, playwright and psutil.

    python benchmarks/explorer.py [--quick]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one thread for everybody

from bokeh.document import Document
from bokeh.models import Div, TextInput
from bokeh.server.server import Server

from looprate.figures.explorer.certifier import CERTIFY
from looprate.figures.explorer.controls import PAUSED, PLAYED, Controls
from looprate.figures.explorer.live import STOP, TRAIN
from looprate.figures.explorer.place import place_of
from looprate.figures.explorer.setting import CODES, DRAWN, Setting
from looprate.figures.explorer.words import EXAMPLES
from looprate.figures.style import coordinate_names
from looprate.theory.construction.memorisers import MEMORISERS

if TYPE_CHECKING:
    from playwright.sync_api import Page as Tab

ROUNDS, QUICK = 6, 3
AIM = 3.0  # seconds to the first paint
REST = 500  # milliseconds before each event, in which the page ends what it does beside
LIMIT = 30_000  # milliseconds for anything that is waited for
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
COMMAND = [sys.executable, "-m", "looprate", "explore", "--no-browser"]
#: Start the clock at the next event of a kind; stop it when the text of a part has changed, or,
#: without a part, when a file is handed to the reader.
CLOCK = """([part, kind, limit]) => {
  const text = root => [...root.childNodes].map(e => e.nodeType === 3 ? e.data
    : text(e) + (e.shadowRoot ? text(e.shadowRoot) : '')).join('');
  let files = 0;
  const click = HTMLAnchorElement.prototype.click;
  HTMLAnchorElement.prototype.click = function() { files += 1; return click.call(this); };
  const seen = () => part ? text(document.querySelector('.' + part)) : files, before = seen();
  window.took = new Promise(done => {
    setTimeout(() => done(null), limit);
    window.addEventListener(kind, () => {
      const start = performance.now();
      const look = () => seen() === before ? requestAnimationFrame(look)
        : done(performance.now() - start);
      look();
    }, {once: true, capture: true});
  });
}"""
PAINTED = """() => {
  const [paint] = performance.getEntriesByName('first-contentful-paint');
  return paint ? (performance.timeOrigin + paint.startTime) / 1000 : 0;
}"""


@dataclass(frozen=True)
class Moved:
    """One control of the page, how a hand moves it, and what must follow.

    Attributes
    ----------
    control : str
        Its name in :class:`looprate.figures.explorer.controls.Controls`; of several, the first.
    part : str
        Of the page, one of :data:`looprate.figures.explorer.look.PARTS`; empty for a file.
    how : str
        One of :data:`HANDS`, or "drag".
    turns : tuple of str
        Keys that are pressed, or what is chosen or typed, round by round.
    query : str
        Of the address on which it is moved.
    after : tuple of str
        The button that is there at rest, after the one that ends what has begun, if there is one.
    """

    control: str
    part: str
    how: str
    turns: tuple[str, ...] = ("",)
    query: str = ""
    after: tuple[str, ...] = ()


RIGHT, LEFT, UP_DOWN = ("ArrowRight",), ("ArrowLeft",), ("ArrowUp", "ArrowDown")
FORMULA = ("formula: sin({}*x) + mean(x)/2",)
USUAL = Setting()
NETWORKS = (*(name for name in MEMORISERS if name != USUAL.memoriser), USUAL.memoriser)
TOKENS = tuple(coordinate_names(3, 1))
OTHER_CODES = tuple(code for code in CODES[1:] if code != USUAL.code)
MOVES = {
    "loops r": Moved("loops", "verdict", "slide", RIGHT),
    "radius": Moved("delta", "values", "slide", RIGHT),
    "loop t": Moved("step", "told", "slide", RIGHT),
    "play, its first loop": Moved("play", "told", "press", after=(PAUSED, PLAYED)),
    "cells a side m": Moved("grid", "told", "slide", LEFT + RIGHT),
    "memoriser": Moved("memoriser", "told", "choose", NETWORKS),
    "code": Moved("coding", "table", "choose", (*OTHER_CODES, USUAL.coding), "?m=4"),
    "input, by its slider": Moved("inputs", "reading", "slide", LEFT),
    "the same, its run": Moved("inputs", "table", "slide", LEFT),
    "input, dragged": Moved("map", "reading", "drag"),
    "what is drawn": Moved("drawn", "map", "choose", tuple(DRAWN.values())[::-1]),
    "smoothness": Moved("smoothness", "verdict", "slide", RIGHT),
    "example": Moved("examples", "verdict", "choose", tuple(EXAMPLES)[1:3]),
    "N": Moved("tokens", "verdict", "step", UP_DOWN),
    "d": Moved("dim", "verdict", "step", UP_DOWN),
    "p": Moved("p", "verdict", "type", ("2", "1")),
    "s of the class": Moved("holder", "worst", "slide", LEFT),
    "train, begun": Moved("fit", "bounds", "press", after=(STOP, TRAIN)),
    "download of a figure": Moved("save", "", "press"),
    "picture, to the right": Moved("across", "map", "choose", TOKENS[::-2], "?N=3"),
    "picture, up": Moved("up", "map", "choose", TOKENS[:0:-1], "?N=3"),
    "a new formula, N d = 2": Moved("target", "values", "type", FORMULA, "?N=2"),
    "a new formula, N d = 4": Moved("target", "values", "type", FORMULA, "?N=2&d=2"),
    "theme, the page again": Moved("theme", "", "again"),
}
OTHER = ("what", "format", "certify")  # nothing follows them, or what is known within a frame


def titles() -> dict[str, str]:
    """Return what a reader sees of every control, from the page's own code."""
    controls = Controls(USUAL, dark=False, wide={})
    controls.show_input(USUAL, place_of(USUAL))
    shown = vars(controls) | {"inputs": controls.inputs[0]}
    words = {k: getattr(v, "title", "") or getattr(v, "label", "") for k, v in shown.items()}
    return {name: str(title) for name, title in words.items() if title}


def _slider(tab: Tab, title: str) -> Any:
    """Find a slider, whose name goes on with its value."""
    return tab.get_by_role("slider", name=re.compile("^" + re.escape(title)))


def _button(tab: Tab, title: str) -> Any:
    return tab.get_by_role("button", name=title, exact=True)


def _field(tab: Tab, title: str) -> Any:
    return tab.get_by_label(title, exact=True)


#: How a hand moves -> the event that starts the clock, where the control is, and the move.
HANDS: dict[str, tuple[str, Callable[[Any, str], Any], Callable[[Any, str], Any]]] = {
    "slide": ("keydown", _slider, lambda box, turn: box.press(turn)),
    "step": ("keydown", _field, lambda box, turn: box.press(turn)),
    "type": ("keydown", _field, lambda box, turn: box.press("Enter")),
    "choose": ("input", _field, lambda box, turn: box.select_option(turn)),
    "press": ("click", _button, lambda box, turn: box.click()),
}


def timed(tab: Tab, part: str, kind: str, act: Callable[[], object]) -> float:
    """Return milliseconds from an event of a kind, which ``act`` causes, to a part's change."""
    tab.wait_for_timeout(REST)
    tab.evaluate(CLOCK, [part, kind, LIMIT])
    act()
    took = tab.evaluate("window.took")
    if took is None:
        raise TimeoutError(f"{part or 'a file'} did not follow within {LIMIT / 1000:g} s")
    return float(took)


def by_hand(tab: Tab, move: Moved, title: str, rounds: int) -> list[float]:
    """Return the milliseconds of every round of a control."""
    kind, where, act = HANDS[move.how]
    took = []
    for k in range(rounds):
        turn, box = move.turns[k % len(move.turns)].format(6 + k / 16), where(tab, title)
        if move.how == "type":
            box.fill(turn)
        took.append(timed(tab, move.part, kind, lambda box=box, turn=turn: act(box, turn)))
        for name in move.after[:-1]:
            _button(tab, name).click()
        for name in move.after[-1:]:
            _button(tab, name).wait_for()
    return took


def dragged(tab: Tab, move: Moved, title: str, rounds: int) -> list[float]:
    """Time one motion of a hand that holds the point of the picture, in every round."""
    canvas = tab.locator(".map .bk-Canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box() or {}

    def at(share: float) -> None:
        tab.mouse.move(box["x"] + share * box["width"], box["y"] + 0.4 * box["height"])

    at(0.6)
    tab.mouse.down()
    at(0.55)
    turns = (lambda k=k: at(0.5 - 0.04 * k) for k in range(rounds))
    took = [timed(tab, move.part, "pointermove", turn) for turn in turns]
    tab.mouse.up()
    return took


def again(tab: Tab, move: Moved, title: str, rounds: int) -> list[float]:
    """Time the press of a button that loads the page again, until its widgets answer."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        with tab.expect_navigation():
            tab.get_by_role("button", name=re.compile(f"^{title.rpartition(' ')[0]}")).click()
        answering(tab)
        took.append(1000 * (time.perf_counter() - start))
        settled(tab)
    return took


def answering(tab: Tab) -> None:
    """Wait until the widgets answer: they have their names, the last thing that they get."""
    tab.locator(".noUi-handle[aria-labelledby]").first.wait_for(state="attached")


def settled(tab: Tab) -> None:
    """Wait until nothing is computed for a page any more."""
    answering(tab)
    tab.get_by_text(re.compile("^After ")).wait_for()
    _button(tab, CERTIFY).wait_for()
    tab.wait_for_timeout(REST)


def measured(tab: Tab, address: str, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Yield every control and the milliseconds of its rounds."""
    names, shown = titles(), ""
    ways = {"drag": dragged, "again": again}
    for name, move in MOVES.items():
        try:
            if address + move.query != shown:
                shown = address + move.query
                tab.goto(shown)
                settled(tab)
            title = names.get(move.control, "")
            yield name, ways.get(move.how, by_hand)(tab, move, title, rounds)
        except Exception as error:
            raise SystemExit(f"explorer.py: control {name!r}: {error}") from error


# -- first paint -----------------------------------------------------------------------------------
def processor(process: Any) -> float:
    """Return the processor seconds of a process and what it has started."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(float(one.user + one.system) for one in times)


@contextmanager
def ending() -> Iterator[subprocess.Popen[str]]:
    """Run the command, and end it whatever happens."""
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.terminate()


@contextmanager
def explorer(tab: Tab) -> Iterator[tuple[str, dict[str, tuple[float, float, float]]]]:
    """Run the command; give its address, and clock and processors (command, browser) at events."""
    import psutil

    rest, start = processor(psutil.Process()), time.time()
    with ending() as child:
        found: dict[str, tuple[float, float, float]] = {}

        def note(name: str, moment: float = 0.0) -> None:
            command = processor(psutil.Process(child.pid))
            browser = processor(psutil.Process()) - command - rest
            found[name] = ((moment or time.time()) - start, command, browser)

        dead = threading.Timer(LIMIT / 1000, child.kill)
        dead.start()
        line = child.stdout.readline().split() if child.stdout else []
        dead.cancel()
        if not line:
            raise SystemExit("explorer.py: first paint: the command printed no address")
        note("address printed")
        tab.goto(line[0], wait_until="commit")
        tab.wait_for_function(PAINTED)
        note("contents painted", float(tab.evaluate(PAINTED)))
        answering(tab)
        note("widgets answer")
        tab.locator(".map").get_by_text(re.compile("runs to the right")).wait_for()
        note("picture of f")
        tab.get_by_text(re.compile("^At r = ")).wait_for()
        note("bound told")
        yield line[0], found


# -- the floor -------------------------------------------------------------------------------------
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


def least(tab: Tab, rounds: int) -> list[float]:
    """Return the milliseconds of every round of the empty page."""
    with floor_server() as address:
        tab.goto(address)
        tab.get_by_text("0 rounds").wait_for()
        tab.evaluate("document.body.className = 'body'")
        return by_hand(tab, Moved("", "body", "type", ("{}",)), "empty", rounds)


def load() -> str:
    """Say the load of the machine in the last minute."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"


def main() -> None:
    """Print the tables and the JSON line."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    rounds = QUICK if parser.parse_args().quick else ROUNDS
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as run:
        browser = run.chromium.launch(executable_path=program, args=FLAGS)
        tab = browser.new_page(viewport={"width": 1280, "height": 900})
        tab.set_default_timeout(LIMIT)
        print(f"first paint, {load()}")
        print(f"{'':<28} {'clock s':>9} {'command, CPU s':>15} {'browser, CPU s':>15}")
        seen = []
        for _ in range(rounds):
            with explorer(tab) as (_, painted):
                seen.append(painted)
        result = {}
        for name in seen[0]:
            columns = zip(*(one[name] for one in seen), strict=True)
            clock, command, page = map(statistics.median, columns)
            result[f"{name} over {AIM:g} s"] = clock / AIM
            print(f"{name:<28} {clock:>9.2f} {command:>15.2f} {page:>15.2f}", flush=True)
        with explorer(tab) as (address, _):
            floor = least(tab, rounds)
            print(f"\n{'control':<28} {'median ms':>9} {'max ms':>7} {'first ms':>8} {'ratio':>7}")
            for name, took in chain([("floor", floor)], measured(tab, address, rounds)):
                middle = statistics.median(took)
                result[name] = middle / statistics.median(floor)
                print(f"{name:<28} {middle:>9.0f} {max(took):>7.0f} {took[0]:>8.0f} "
                      f"{result[name]:>7.1f}", flush=True)  # fmt: skip
        browser.close()
    print(f"controls, {load()}")
    print(json.dumps({name: round(ratio, 2) for name, ratio in result.items()}))


if __name__ == "__main__":
    main()
