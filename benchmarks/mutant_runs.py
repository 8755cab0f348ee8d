"""The tests of a mutant: which execute its line, and one run of them in a fork of this process."""

from __future__ import annotations

import ast
import collections
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

import pytest
from mutators import Mutant

ROOT = Path(__file__).resolve().parent.parent
ABOUT = (  # what a file of tests must name
    r"theory\.(bounds|explicit|facts|gate|norms|continuity|enclosure"
    r"|construction\.certify\.certificate)|approx\.(error|enclosed|models\.looped)\b"
)
NOT = (  # what takes long and is about other things
    *("claims", "cli", "command", "construct_", "construction", "docs", "eta", "explorer"),
    *("figure", "functional", "fused", "gallery", "handout", "identity", "imports", "learned"),
    *(
        "lessons",
        "outputs",
        "processes",
        "readme",
        "reproduce",
        "sequence",
        "site",
        "study",
    ),
)
ALONE = (
    *("-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header"),
    *("-m", "not slow", "-W", "ignore", "-o", "timeout=0"),  # the alarms here are ours
)
NEAR = 3  # lines around one that no test was seen to execute
GRACE, FACTOR = 5.0, 3.0  # seconds, and times what a file of tests takes, until it is endless
BUSY = 10.0  # by the clock, on a busy machine
MEMORY = 24 * 2**30  # bytes of address space
Lines = dict[str, dict[int, list[int]]]  # file -> line -> numbers of tests

# -- what executes which line --------------------------------------------------------------------


class Watch:
    """A pytest plugin: the time of every test, and a coverage context for each."""

    def __init__(self, coverage: Any) -> None:
        self.coverage = coverage
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self.failed: set[str] = set()

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Every line from here on is executed by this test."""
        self.coverage.switch_context(nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Add what the test computes for: seconds that a busy machine does not make longer."""
        before = sum(os.times()[:4])
        done = yield
        self.seconds[item.nodeid] += sum(os.times()[:4]) - before
        return done

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Leave out a test that did not pass."""
        if report.failed or report.skipped:
            self.failed.add(report.nodeid)


def covered(files: list[str], tests: list[str]) -> dict[str, Any]:
    """Run the tests once; return their names, seconds, and the tests of every line."""
    import coverage

    with tempfile.TemporaryDirectory() as folder:
        measured = coverage.Coverage(
            data_file=f"{folder}/data", include=[str(ROOT / f) for f in files]
        )
        watch = Watch(measured)
        measured.start()
        pytest.main([*(a for a in ALONE if a != "-x"), *tests], plugins=[watch])
        measured.stop()
        data = measured.get_data()
        names = [name for name in watch.seconds if name not in watch.failed]
        number = {name: k for k, name in enumerate(names)}
        lines: Lines = {
            file: {
                line: sorted(number[name] for name in contexts if name in number)
                for line, contexts in data.contexts_by_lineno(str(ROOT / file)).items()
            }
            for file in files
        }
    return {"names": names, "seconds": [watch.seconds[name] for name in names], "lines": lines}


def files_of_tests(only: list[str]) -> list[str]:
    """Return the files of tests that name what is mutated, those of pictures and pages excepted.

    Given some files of code, those that name one of them.
    """
    named = "|".join(re.escape(file[:-3].replace("/", ".")) for file in only)
    files = sorted(ROOT.glob("tests/test_*.py"))
    about = [f for f in files if re.search(rf"({named or ABOUT})\b", f.read_text())]
    return [str(f.relative_to(ROOT)) for f in about if not any(word in f.name for word in NOT)]


def map_of_tests(files: list[str], tests: list[str]) -> dict[str, Any]:
    """Return what :func:`covered` does, from a file where neither sources nor tests changed."""
    digest = hashlib.sha256(repr(tests).encode())
    for path in sorted([*ROOT.glob("tests/**/*.py"), *(ROOT / file for file in files)]):
        digest.update(path.read_bytes())
    kept = ROOT / "build" / f"mutation-{digest.hexdigest()[:16]}.json"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        found = in_child(lambda: covered(files, tests), 3600.0)
        if not isinstance(found, dict):
            sys.exit("the tests could not be run under coverage")
        kept.write_text(json.dumps(found))
    return dict(json.loads(kept.read_text()))


def lines_of_function(path: str, line: int) -> range:
    """Return the lines of the innermost function that holds a line, or none."""
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    heads = [node for node in nodes if isinstance(node, ast.FunctionDef)]
    spans = [(n.lineno, n.end_lineno or n.lineno) for n in heads]
    start, end = max((span for span in spans if span[0] <= line <= span[1]), default=(0, -1))
    return range(start, end + 1)


def chosen_tests(
    known: dict[str, Any], mutant: Mutant, cap: float
) -> list[tuple[list[str], float]]:
    """Return the tests of a mutant by file, with seconds, the quickest first, up to ``cap``.

    Files that killed the most mutants of this file so far come first.
    """
    lines = known["lines"].get(mutant.path, {})
    numbers = set(lines.get(str(mutant.line), ()))
    if not numbers:  # heads run on import, before any test
        for line in lines_of_function(mutant.path, mutant.line):
            numbers |= set(lines.get(str(line), ()))
    for step in range(1, NEAR + 1):
        for line in (mutant.line - step, mutant.line + step):
            numbers |= set(lines.get(str(line), ())) if not numbers else set()
    if not numbers:  # a constant, or a head: whatever executes the file
        numbers = {number for found in lines.values() for number in found}
    left, groups = cap, collections.defaultdict(list)
    for number in sorted(numbers, key=known["seconds"].__getitem__):
        left -= known["seconds"][number]
        if left < 0:
            break
        groups[known["names"][number].split("::")[0]].append(number)
    kills = known.setdefault("kills", collections.Counter())
    timed = [
        (-kills[mutant.path, file], sum(known["seconds"][k] for k in group), group)
        for file, group in groups.items()
    ]
    return [([known["names"][k] for k in group], seconds) for _, seconds, group in sorted(timed)]


# -- one mutant ----------------------------------------------------------------------------------


class Changed(importlib.machinery.SourceFileLoader):
    """Loads a module from changed source."""

    text = ""

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code of the changed source."""
        return self.source_to_code(self.text.encode(), self.path)


class Finder(importlib.abc.MetaPathFinder):
    """Finds one module, changed."""

    def __init__(self, mutant: Mutant) -> None:
        self.mutant = mutant
        self.name = "looprate." + mutant.path.removesuffix(".py").removesuffix("/__init__").replace(
            "/", "."
        )

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> Any:
        """Return the changed module's spec, None for all others."""
        if name != self.name:
            return None
        loader = Changed(name, str(ROOT / self.mutant.path))
        loader.text = self.mutant.source
        return importlib.util.spec_from_file_location(name, loader.path, loader=loader)


def in_child(work: Callable[[], Any], seconds: float) -> Any:
    """Return what ``work`` returns in a fork, "timeout" or "crash"."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setsid()
        os.close(read)
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        with os.fdopen(write, "w") as out:
            json.dump(work(), out)
        os._exit(0)
    os.close(write)
    try:
        with os.fdopen(read) as source, alarm(seconds, work=False):
            return json.loads(source.read() or '"crash"')
    except TimeoutError:
        return "timeout"
    except json.JSONDecodeError:
        return "crash"
    finally:
        stop(child)


@contextmanager
def alarm(seconds: float, *, work: bool) -> Iterator[None]:
    """Raise TimeoutError inside after some seconds of work of this process, or by the clock."""
    timer, name = (
        (signal.ITIMER_PROF, signal.SIGPROF) if work else (signal.ITIMER_REAL, signal.SIGALRM)
    )

    def ring(*_: Any) -> None:
        raise TimeoutError

    old = signal.signal(name, ring)
    signal.setitimer(timer, seconds)
    try:
        yield
    finally:
        signal.setitimer(timer, 0)
        signal.signal(name, old)


def stop(child: int) -> None:
    """End a child and what it started."""
    with suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)


class Verdict:
    """A pytest plugin: the first test that failed."""

    failed = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Note a failure."""
        if report.failed and not self.failed:
            self.failed = report.nodeid

    def pytest_collectreport(self, report: Any) -> None:
        """Note a file that cannot be imported."""
        if report.failed and not self.failed:
            self.failed = report.nodeid


def tried(mutant: Mutant, groups: list[tuple[list[str], float]]) -> str:
    """Return what killed a mutant, empty if nothing did."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    sys.meta_path.insert(0, Finder(mutant))
    for names, seconds in groups:
        verdict = Verdict()
        try:
            with alarm(GRACE + FACTOR * seconds, work=True):
                code = pytest.main([*ALONE, *names], plugins=[verdict])
        except BaseException as error:
            return type(error).__name__
        if code != 0:
            return verdict.failed or f"exit code {int(code)}"
    return ""
