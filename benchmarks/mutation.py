"""How many small faults the tests notice: mutants of the files that bound, judge and estimate.

Draws mutants at random from every file (``mutators.py``: mutmut's operators and those of rounding),
seeded, in proportion to what each file holds; runs for each the tests that execute its line, the
quickest first, until one fails.  One process, forked for every mutant, one core.

A mutant is killed if a test fails, if its import fails, or if it runs for three times as long as
its tests should.  Of its tests it gets what fits into ``--cap`` seconds: one that only a slower
test would kill counts as alive, until ``--again FILE`` gives the unexplained ones of a file of
rows (same seed, sample and sources) 60 seconds of tests.  Controls: unchanged files, handled like
mutants, must stay alive; mutations named by hand are run, too.

Prints what is alive, why where ``mutation_alive.json`` says so (no test can tell it from the right
code, or it costs time alone), and the score of every file with a 95 % interval (Wilson).  The last
line is one JSON object of scores.  Needs the extra ``mutation``.

    python benchmarks/mutation.py [--quick] [--sample 220] [--cap 8] [--seed 0] [--json FILE]
                                 [--again FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy

import mpmath  # noqa: F401  imported once here, shared by every fork
import scipy.optimize
import scipy.stats
import sympy  # noqa: F401
import torch
from mutant_runs import (
    BUSY,
    GRACE,
    ROOT,
    chosen_tests,
    files_of_tests,
    in_child,
    map_of_tests,
    tried,
)
from mutators import Mutant, drawn

AGAIN = 60.0  # seconds of tests for those that were alive
SCOPE = (
    "theory/bounds/*.py",
    "theory/facts.py",
    "theory/gate.py",
    "theory/continuity/**/*.py",
    "theory/enclosure/*.py",
    "theory/versions.py",
    "approx/error.py",
)


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
        "theory/bounds/loop_counts.py",
        "m strips for m - 1",
        "return d * n * (m - 1) + near",
        "return d * n * m + near",
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
    ends = scipy.stats.binomtest(killed, count).proportion_ci(method="wilson")
    return float(ends.low), float(ends.high)


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
    parser.add_argument(
        "--only",
        default="",
        help="files whose path holds this, and the tests that name one of them",
    )
    parser.add_argument("--json", type=Path, help="write every mutant's row here")
    parser.add_argument("--again", type=Path, help="rows whose living get 60 seconds of tests")
    given = parser.parse_args()
    os.chdir(ROOT)
    sys.path[:0] = [str(ROOT)]
    torch.set_num_threads(1)
    files = [str(p.relative_to(ROOT)) for glob in SCOPE for p in sorted(ROOT.glob(glob))]
    files = [file for file in files if given.only in file]
    by_hand = [mutant for mutant in named() if given.only in mutant.path]
    tests = files_of_tests(files if given.only else [])
    started = time.monotonic()
    known = map_of_tests(sorted({*files, *(mutant.path for mutant in by_hand)}), tests)
    print(f"{len(known['names'])} tests, {sum(known['seconds']):.0f} s; {len(files)} files")
    cap = given.cap or (4.0 if given.quick else 8.0)
    texts = {file: (ROOT / file).read_text() for file in files}
    sample = drawn(texts, given.sample or (40 if given.quick else 220), given.least, given.seed)
    same = [Mutant(file, 0, "", "unchanged", "", "", text) for file, text in texts.items() if text]
    done: list[dict[str, Any]] = []
    if given.again:
        before = json.loads(given.again.read_text())
        done = [row for row in before if row["killed"] or row["why"]]
        left = {row["name"] for row in before} - {row["name"] for row in done}
        sample, by_hand = [mutant for mutant in sample if mutant.name in left], []
        cap = AGAIN
    controls = all_of(same[::8], known, cap)
    hand = all_of(by_hand, known, 4 * cap)
    rows = done + all_of(sample, known, cap)
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
