"""Rows of the tasks a second, and the answers of edit distance against other routes.

Generators: rows a second of ``sample``, answers included, at the published sizes; ``batch`` is what
one batch of 64 training rows costs.  A task is a line of ``GENERATORS``.

Answers: the edit distances of the same pairs of strings of 60 letters, by this project for all rows
at once, by a plain Python double loop, and by rapidfuzz (compiled code, one pair a call, and all
pairs in one call); rapidfuzz knows the true distance only (border 2).  All must agree.

One thread, seconds of processor time (others may use the machine), medians of alternating rounds.
The last line is one JSON object: rows a second of every task ("..._rows_per_second"), and how many
times faster the answers are ("over_python_loop", "over_rapidfuzz_loop", "over_rapidfuzz_cpdist").

    python benchmarks/tasks.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one thread for everybody

import numpy as np
import rapidfuzz
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cpdist

from looprate.experiments.engine.progress import Progress
from looprate.experiments.tasks.base import Task
from looprate.experiments.tasks.countdown import Countdown
from looprate.experiments.tasks.edit_distance import EditDistance, cost, costs
from looprate.experiments.tasks.lcs import LongestCommonSubsequence

WEIGHTS = (2, 2, 3)  # insert, delete, replace
BATCH = 64
PLAIN = 200  # pairs for the double loop


@dataclass(frozen=True)
class Generator:
    """One line of the first table: a task, and the rows of one timed call."""

    task: Task
    rows: int


GENERATORS = (
    Generator(EditDistance(), 10_000),
    Generator(LongestCommonSubsequence(), 10_000),
    Generator(Countdown(), 10_000),
)


def seconds(run: Callable[[], object]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def generator_rates(rounds: int) -> dict[str, float]:
    """Print rows a second of every task and return them."""
    print(f"{'task':<15} {'T':>4} {'vocabulary':>10} {'rows/s':>9} {'ms a batch of 64':>17}")
    found = {}
    with Progress(len(GENERATORS) * rounds, "generators") as progress:
        for k, line in enumerate(GENERATORS):
            task, whole, batch = line.task, [], []
            task.sample("train", 0, BATCH)
            for seed in range(rounds):
                whole.append(seconds(lambda: task.sample("train", seed, line.rows)))  # noqa: B023
                batch.append(seconds(lambda: task.sample("train", seed, BATCH)))  # noqa: B023
                progress.to(k * rounds + seed + 1)
            rate = line.rows / statistics.median(whole)
            found[f"{task.key}_rows_per_second"] = round(rate)
            print(
                f"{task.key:<15} {task.length:>4} {len(task.vocabulary):>10} {rate:>9.0f} "
                f"{1e3 * statistics.median(batch):>17.2f}"
            )
    return found


def pairs(count: int) -> tuple[list[tuple[str, str]], tuple[Any, ...]]:
    """Return pairs of strings of the task, as text and as arrays."""
    task = EditDistance()
    inputs = task.sample("test", 0, count).inputs
    texts = []
    for ids in inputs:
        first, _, rest = task.text(ids).replace(" ", "").partition("|")
        texts.append((first, rest.partition("<sep>")[0]))
    return texts, (*arrays([a for a, _ in texts]), *arrays([b for _, b in texts]))


def arrays(strings: Sequence[str]) -> tuple[Any, Any]:
    """Return strings as an array of bytes (B, n), and their lengths."""
    lengths = np.array([len(string) for string in strings])
    codes = np.zeros((len(strings), lengths.max()), np.uint8)
    codes[np.arange(codes.shape[1]) < lengths[:, None]] = np.frombuffer(
        "".join(strings).encode(), np.uint8
    )
    return codes, lengths


def answer_ratios(rounds: int, count: int) -> dict[str, float]:
    """Print pairs a second by every route and return how many times faster this project is."""
    texts, (a, n, b, m) = pairs(count)
    first, second = [x for x, _ in texts], [y for _, y in texts]
    few = texts[:PLAIN]
    routes: dict[str, tuple[int, Callable[[], Any]]] = {
        "this project": (count, lambda: costs(a, b, n, m)),
        "this project, border 2": (count, lambda: costs(a, b, n, m, border=2)),
        "python_loop": (len(few), lambda: [cost(x, y) for x, y in few]),
        "rapidfuzz_loop": (
            count,
            lambda: [Levenshtein.distance(x, y, weights=WEIGHTS) for x, y in texts],
        ),
        "rapidfuzz_cpdist": (
            count,
            lambda: cpdist(
                first,
                second,
                scorer=Levenshtein.distance,
                scorer_kwargs={"weights": WEIGHTS},
                workers=1,
                dtype=np.int64,
            ),
        ),
    }
    check(routes)
    times: dict[str, list[float]] = {name: [] for name in routes}
    with Progress(rounds, "answers") as progress:
        for done in range(rounds):
            for name, (size, run) in routes.items():
                times[name].append(seconds(run) / size)
            progress.to(done + 1)
    print(f"\n{'edit distances of 60 letters':<29} {'pairs/s':>9} {'this project over it':>21}")
    found = {}
    for name, taken in times.items():
        ours = times["this project, border 2" if name.startswith("rapidfuzz") else "this project"]
        ratio = statistics.median(theirs / mine for theirs, mine in zip(taken, ours, strict=True))
        mark = "" if name.startswith("this") else f"{ratio:.2f}"
        print(f"{name:<29} {1 / statistics.median(taken):>9.0f} {mark:>21}")
        if mark:
            found[f"over_{name}"] = round(ratio, 3)
    return found


def check(routes: dict[str, tuple[int, Callable[[], Any]]]) -> None:
    """Refuse to time routes whose answers differ."""
    answers = {name: np.asarray(run()) for name, (_, run) in routes.items()}
    ours, true = answers["this project"], answers["this project, border 2"]
    for name, found in answers.items():
        truth = true if name.startswith("rapidfuzz") or "border 2" in name else ours
        if (found != truth[: len(found)]).any():
            raise SystemExit(f"the answers of {name} differ from those of this project")


def main() -> None:
    """Print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 15")
    quick = parser.parse_args().quick
    versions = f"numpy {np.__version__}, rapidfuzz {rapidfuzz.__version__}"
    print(f"{versions}, 1 thread, processor time, medians")
    rounds = 5 if quick else 15
    rates = generator_rates(rounds)
    print(json.dumps(rates | answer_ratios(rounds, 8_000)))


if __name__ == "__main__":
    main()
