"""How many small faults the tests notice: mutants of the files that bound, judge and estimate.

Draws mutants at random from every file (``mutators.py``: mutmut's operators and those of rounding),
seeded, in proportion to what each file holds; runs for each the tests that execute its line, the
quickest first, until one fails.  One process, forked for every mutant, one core.

A mutant is killed if a test fails, if its import fails, or if it runs for three times as long as
its tests should.  Of its tests it gets what fits into ``--cap`` seconds: one that only a slower
test would kill counts as alive.  Controls: unchanged files, handled like mutants, must stay alive;
mutations named by hand are run, too.

Prints what is alive, why where ``mutation_alive.json`` says so (no test can tell it from the right
code, or it costs time alone), and the score of every file with a 95 % interval (Wilson).  The last
line is one JSON object of scores.  Needs the extra ``mutation``.

    python benchmarks/mutation.py [--quick] [--sample 220] [--cap 8] [--seed 0] [--json FILE]
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import math
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import mpmath  # noqa: F401  imported once here, shared by every fork
import pytest
import scipy.optimize
import scipy.stats  # noqa: F401
import sympy  # noqa: F401
import torch
from mutators import Mutant, drawn

ROOT = Path(__file__).resolve().parent.parent
SCOPE = (
    "theory/bounds/rows.py",
    "theory/bounds/explicit.py",
    "theory/facts.py",
    "theory/gate.py",
    "theory/continuity/**/*.py",
    "theory/enclosure/*.py",
    "theory/versions.py",
    "approx/error.py",
)
ABOUT = (  # what a file of tests must name
    r"theory\.(bounds|explicit|facts|gate|norms|continuity|enclosure"
    r"|construction\.certify\.certificate)|approx\.(error|enclosed|models\.looped)\b"
)
NOT = (  # what takes long and is about other things
    *(
        "claims",
        "cli",
        "command",
        "construct_",
        "construction",
        "docs",
        "eta",
        "explorer",
        "figure",
    ),
    *("functional", "fused", "gallery", "handout", "identity", "imports", "learned", "lessons"),
    *("outputs", "processes", "readme", "reproduce", "sequence", "site", "study", "worst_case"),
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

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Add the seconds of a phase of a test."""
        self.seconds[report.nodeid] += report.duration
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


def files_of_tests() -> list[str]:
    """Return the files of tests that name what is mutated, those of pictures and pages excepted."""
    files = sorted(ROOT.glob("tests/test_*.py"))
    about = [f for f in files if re.search(ABOUT, f.read_text())]
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


def chosen_tests(
    known: dict[str, Any], mutant: Mutant, cap: float
) -> list[tuple[list[str], float]]:
    """Return the tests of a mutant by file, with seconds, the quickest first, up to ``cap``.

    Files that killed the most mutants of this file so far come first.
    """
    lines = known["lines"].get(mutant.path, {})
    numbers = set(lines.get(str(mutant.line), ()))
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
        self.name = mutant.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

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


def explained() -> dict[tuple[str, ...], str]:
    """Return why some mutants are alive: equivalent, or of speed alone."""
    rows = json.loads(Path(__file__).with_name("mutation_alive.json").read_text())
    return {(row["path"], row["at"], row["old"], row["new"]): row["why"] for row in rows}


def run(mutant: Mutant, known: dict[str, Any], cap: float) -> dict[str, Any]:
    """Run one mutant; return its row."""
    started = time.monotonic()
    groups = chosen_tests(known, mutant, cap)
    total = sum(seconds for _, seconds in groups)
    known["why"] = known.get("why") or explained()
    killer = in_child(lambda: tried(mutant, groups), BUSY * (GRACE + total + len(groups)))
    known["kills"][mutant.path, killer.split("::")[0]] += 1
    return {
        "name": mutant.name,
        "path": mutant.path,
        "killed": bool(killer),
        "why": known["why"].get((mutant.path, mutant.at, mutant.old, mutant.new), ""),
        "by": killer,
        "tests": sum(len(names) for names, _ in groups),
        "seconds": round(time.monotonic() - started, 2),
    }


# -- the tables ----------------------------------------------------------------------------------

TRANSFER = "theory/continuity/transfer.py"
NAMED = (  # (file, what is wrong, text, the text that takes its place)
    (
        TRANSFER,
        "lower bounds of moduli carried with the floor of the ratio",
        "parts = pieces(radius, delta)\n",
        "parts = max(1, math.floor(Fraction(radius) / Fraction(delta)))\n",
    ),
    (
        TRANSFER,
        "pieces of a radius counted with a slack the wrong way",
        "math.ceil(Fraction(radius) / Fraction(step))",
        "math.ceil(radius / step * (1 - 2.0**-40))",
    ),
    (
        "approx/fit/fitted.py",
        "the late gain over half of the curve",
        "len(self.curve) // 4",
        "len(self.curve) // 2",
    ),
    (
        "theory/construction/certify/certificate.py",
        "m strips for m - 1",
        "spec.tokens * (spec.grid - 1) / spec.slope",
        "spec.tokens * spec.grid / spec.slope",
    ),
    (
        "theory/norms.py",
        "a standard error without the factor p",
        "stderr / (p * mean)",
        "stderr / mean",
    ),
    (
        "approx/models/looped.py",
        "2D parameters of a hidden unit for 2D + 1",
        "(2 * changed.width + 1)",
        "(2 * changed.width)",
    ),
    (
        "theory/continuity/upper/stages.py",
        "reached at twice the tolerance",
        "reached = value <= threshold and",
        "reached = value <= max(lower * (1 + 2 * self.tolerance), floor) and",
    ),
)


def wilson(killed: int, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share."""
    if not count:
        return 0.0, 1.0
    z, share = 1.96, killed / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count**2)) / (1 + z * z / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def score(rows: list[dict[str, Any]]) -> str:
    """Return "killed of count, share, interval"."""
    killed = sum(row["killed"] for row in rows)
    low, high = wilson(killed, len(rows))
    share = killed / max(1, len(rows))
    return f"{killed:>4} of {len(rows):<4} {share:>6.1%}   {low:.0%} to {high:.0%}"


def named() -> list[Mutant]:
    """Return the mutants named by hand; refuse a text that is not there exactly once."""
    found = []
    for path, name, old, new in NAMED:
        text = (ROOT / path).read_text()
        if text.count(old) != 1:
            sys.exit(f"{path} must hold {old!r} once for the mutation {name!r}")
        line = text[: text.index(old)].count("\n") + 1
        found.append(Mutant(path, line, "", name, old, new, text.replace(old, new)))
    return found


def all_of(mutants: list[Mutant], known: dict[str, Any], cap: float) -> list[dict[str, Any]]:
    """Run mutants one after the other, printing what stays alive."""
    from tqdm import tqdm

    rows: list[dict[str, Any]] = []
    try:
        for mutant in tqdm(mutants, file=sys.stderr, mininterval=5.0):
            rows.append(run(mutant, known, cap))
            if not rows[-1]["killed"]:
                why = rows[-1]["why"] or f"{rows[-1]['tests']} tests"
                print(f"alive: {mutant.name}  ({why})", flush=True)
    except KeyboardInterrupt:  # they come in a random order: what was run is a sample, too
        print(f"stopped after {len(rows)} of {len(mutants)}")
    return rows


def main() -> None:
    """Print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="40 mutants, 4 seconds of tests each")
    parser.add_argument("--sample", type=int, help="mutants in all (default 220)")
    parser.add_argument("--least", type=int, default=5, help="of every file")
    parser.add_argument("--cap", type=float, help="seconds of tests per mutant (default 8)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="files whose path holds this")
    parser.add_argument("--json", type=Path, help="write every mutant's row here")
    given = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT)]
    torch.set_num_threads(1)
    files = [str(p.relative_to(ROOT)) for glob in SCOPE for p in sorted(ROOT.glob(glob))]
    by_hand = named()
    tests = files_of_tests()
    started = time.monotonic()
    known = map_of_tests(sorted({*files, *(mutant.path for mutant in by_hand)}), tests)
    print(f"{len(known['names'])} tests, {sum(known['seconds']):.0f} s; {len(files)} files")
    cap = given.cap or (4.0 if given.quick else 8.0)
    texts = {file: (ROOT / file).read_text() for file in files if given.only in file}
    sample = drawn(texts, given.sample or (40 if given.quick else 220), given.least, given.seed)
    same = [Mutant(file, 0, "", "unchanged", "", "", text) for file, text in texts.items() if text]
    controls = all_of(same[::8], known, cap)
    hand = all_of(by_hand, known, 4 * cap)
    rows = all_of(sample, known, cap)
    report(given, rows, controls, hand, time.monotonic() - started)


def report(
    given: argparse.Namespace,
    rows: list[dict[str, Any]],
    controls: list[dict[str, Any]],
    by_hand: list[dict[str, Any]],
    seconds: float,
) -> None:
    """Print the tables and the JSON line."""
    print(f"\n{'file':<36}killed           score   95 % interval")
    for path in sorted({row["path"] for row in rows}):
        print(f"{path:<36}{score([row for row in rows if row['path'] == path])}")
    print(f"{'all':<36}{score(rows)}")
    print(f"\nunchanged files taken for mutants: {score(controls)}")
    for row in by_hand:
        print(f"named: {row['name']}: {'killed by ' + row['by'] if row['killed'] else 'ALIVE'}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    killed = sum(row["killed"] for row in rows)
    figures = {
        "mutants": len(rows),
        "score": round(killed / max(1, len(rows)), 4),
        "interval": [round(end, 4) for end in wilson(killed, len(rows))],
        "alive_explained": sum(not row["killed"] and bool(row["why"]) for row in rows),
        "named_killed": sum(row["killed"] for row in by_hand),
        "named": len(by_hand),
        "unchanged_killed": sum(row["killed"] for row in controls),
        "seconds": round(seconds),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
