"""Any command line, however odd: exit code 0, 2 or 130, no traceback, nothing left behind."""

import importlib
import json
import math
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from cases.command_lines import command_line, make_place
from looprate.cli import main
from looprate.experiments.engine import child
from looprate.experiments.engine import pool as engine_pool
from looprate.experiments.rows.provenance import provenance
from looprate.experiments.rows.records import RowStore
from looprate.experiments.study import drawing

ROOT = Path(__file__).resolve().parent.parent
LINES, MANY = 400, 4_000
LIMIT = 0.15  # seconds of this process's time until a line is interrupted, as by Ctrl-C
SLOWEST = 0.3  # share of lines that may be
AGAIN = 0.01  # seconds until an interruption that could not be raised is asked for again
HUNG = 20.0  # seconds by the clock until a line counts as one that waits for ever
OVER = "stopped at the limit"  # the end of a line that was interrupted
ALLOWED = {"out", "runs"}


@pytest.fixture
def place(tmp_path, monkeypatch, capfd):
    """A working folder with good, bad and odd files, in which no line replaces this process."""
    study = tmp_path / "made"
    RowStore(study / "rows.jsonl").append("a", [{"value": 0.5}, {"value": 0.25}])
    (study / "figures").mkdir()
    (source, *_) = sorted((ROOT / "docs" / "figures").glob("moduli__*.csv"))
    shutil.copy(source, study / "figures" / "moduli__a.csv")
    folder = tmp_path / "place"
    folder.mkdir()
    make_place(folder, study)
    monkeypatch.chdir(folder)
    net = ["construct", "mean-field", "--grid", "2", "--save", "net.json"]
    assert main(net) == 0
    capfd.readouterr()

    for path in sorted((ROOT / "experiments").rglob("[a-z]*.py")):  # no import is interrupted
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        importlib.import_module(f"looprate.{name}")
    import sympy  # noqa: F401
    import torch._dynamo  # noqa: F401

    def elsewhere(*_, **__):  # where a line goes on in processes of its own, it is over here
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "execve", elsewhere)
    monkeypatch.setattr(child, "children", elsewhere)
    monkeypatch.setattr(drawing, "children", elsewhere)
    monkeypatch.setattr(engine_pool, "Pool", elsewhere)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)  # one process
    provenance()  # asks git
    return folder


class Limited:
    """Runs a line; interrupts it after LIMIT seconds of work, or HUNG seconds of any kind."""

    def __init__(self):
        self.reached = None
        self.free = math.inf  # until then a limit is not heard: only a line is interrupted, once

    def interrupt(self, number, _):
        if time.monotonic() < self.free:  # two limits at once, or a line that has ended
            return
        self.free = time.monotonic() + HUNG
        signal.setitimer(signal.ITIMER_REAL, HUNG)  # a line may hold an interruption, not for ever
        self.reached = number
        signal.raise_signal(signal.SIGINT)  # as a terminal does: it can be made to wait

    def lost(self, what):
        """Ask again where an interruption fell into a finaliser, as the command's process does."""
        if isinstance(what.exc_value, KeyboardInterrupt):
            self.free = 0.0
            signal.setitimer(signal.ITIMER_PROF, AGAIN)
        else:
            self.usual(what)

    def run(self, words):
        """Return the exit code, or OVER, or in words what is wrong."""
        self.reached = None
        self.usual, sys.unraisablehook = sys.unraisablehook, self.lost
        self.free = 0.0
        signal.setitimer(signal.ITIMER_REAL, HUNG)
        signal.setitimer(signal.ITIMER_PROF, LIMIT)
        try:
            code = main(list(words))
        except KeyboardInterrupt:  # a line that was just over
            code = 130
        except BaseException as error:
            code = f"{type(error).__name__}: {error}"
        finally:
            self.free = math.inf
            signal.setitimer(signal.ITIMER_PROF, 0)
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = self.usual
        if self.reached == signal.SIGALRM:
            return "it hangs"
        return OVER if self.reached and code == 130 else code


@pytest.fixture
def limited():
    """What runs lines within limits."""
    made = Limited()
    before = {n: signal.signal(n, made.interrupt) for n in (signal.SIGALRM, signal.SIGPROF)}
    before[signal.SIGINT] = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # ignored after `&`
    yield made
    for number, handler in before.items():
        signal.signal(number, handler)


def state(folder):
    """Return what lies in a folder, but for outputs: names, sorts and sizes."""
    return {
        (str(path.relative_to(folder)), path.lstat().st_mode, path.lstat().st_size)
        for path in folder.rglob("*")
        if not {*path.relative_to(folder).parts[:1]} & ALLOWED
        and "figures" not in path.relative_to(folder).parts  # redrawn there when asked to
        and path.name not in ("learned.jsonl", "rows.jsonl", ".lock", "__pycache__")
        and "__pycache__" not in path.parts
    }


def faults(words, code, out, err):
    """Yield what is wrong with the end of a line."""
    if code not in (0, 2, 130, OVER):
        yield f"exit code {code}"
    if "Traceback" in out + err:
        yield f"a traceback: {(out + err)[-1500:]}"
    if code == 2 and not err.rstrip().splitlines()[-1:]:
        yield "no word of what is wrong"
    if code == 0 and "--json" in words and "--help" not in words and "--markdown" not in words:
        try:
            json.loads(out, parse_constant=lambda word: json.loads("no JSON"))
        except ValueError:
            yield f"no JSON: {out[:80]!r}"


def fuzz(count, seed, place, limited, capfd):
    """Run lines; return the exit codes, the time, and what was wrong."""
    rng, codes, wrong = random.Random(seed), Counter(), []
    before, begin = state(place), time.monotonic()
    for _ in range(count):
        words = command_line(rng)
        code = limited.run(words)
        codes[code] += 1
        wrong += [(words, fault) for fault in faults(words, code, *capfd.readouterr())]
        after = state(place)
        if {name.partition("/")[0] for name, *_ in after ^ before} - {*words}:  # not asked for
            wrong.append((words, f"left {sorted(after ^ before)}"))
        before = after
    return codes, time.monotonic() - begin, wrong


def check(count, seed, place, limited, capfd):
    """Run lines, print the figures and raise for what was wrong."""
    codes, seconds, wrong = fuzz(count, seed, place, limited, capfd)
    with capfd.disabled():
        print(f"\n{count} lines in {seconds:.0f} s: {dict(codes)}, {len(wrong)} faults")
    assert not wrong, "\n".join(f"{words}: {fault}" for words, fault in wrong)
    assert codes[OVER] < SLOWEST * count
    assert codes[130] < SLOWEST * count  # those that went on elsewhere
    assert codes[0] > 0.05 * count  # some lines are right
    assert not list(place.rglob("*.draft"))


def test_no_command_line_ends_but_in_order(place, limited, capfd):
    check(LINES, 16, place, limited, capfd)


@pytest.mark.slow
def test_no_command_line_of_many_ends_but_in_order(place, limited, capfd):
    check(MANY, 17, place, limited, capfd)


def busy():
    """Work in bytecode, between whose steps a signal is heard; a loop in C might never hear it."""
    while True:
        pass


class Hard:
    """Its finaliser works for a while: what is raised there is lost."""

    def __del__(self):
        end = time.process_time() + 2 * LIMIT
        while time.process_time() < end:
            pass


def drop_and_work():
    """Lose the first interruption in a finaliser, then go on."""
    one = Hard()
    del one
    busy()


def both():
    """Reach both limits at once."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM, signal.SIGPROF})
    signal.raise_signal(signal.SIGALRM)
    signal.raise_signal(signal.SIGPROF)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGALRM, signal.SIGPROF})
    finally:  # the other one is heard here, as it would be where the first one is caught
        signal.setitimer(signal.ITIMER_PROF, 0)


def held():
    """Swallow an interruption and go on."""
    try:
        busy()
    except KeyboardInterrupt:
        busy()


def test_an_interruption_lost_in_a_finaliser_comes_again(limited, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "main", lambda words: words[0]())
    assert limited.run([drop_and_work]) == OVER


def test_a_line_that_waits_for_ever_is_not_taken_for_one_that_works(limited, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "HUNG", 0.3)
    monkeypatch.setattr(sys.modules[__name__], "main", lambda words: words[0]())
    assert limited.run([lambda: time.sleep(5.0)]) == "it hangs"
    assert limited.run([busy]) in (OVER, "it hangs")  # on a busy machine
    assert limited.run([both]) == "it hangs"  # two limits at once are one interruption
    assert limited.run([held]) == "it hangs"  # an interruption that is held comes again
    assert limited.run([lambda: 130]) == 130
    assert list(faults(["moduli"], "it hangs", "", ""))


def test_faults_are_seen():  # the checks above can fail
    assert list(faults(["moduli"], 3, "", "")) == ["exit code 3"]
    assert list(faults(["moduli"], 2, "", "Traceback (most recent"))
    assert list(faults(["moduli"], 2, "", "")) == ["no word of what is wrong"]
    assert list(faults(["moduli", "--json"], 0, "[NaN]", ""))
    assert not list(faults(["moduli", "--json"], 0, "[null]", ""))
