"""Exact evaluation of a compiled construction: the fast evaluator against the slow one.

Both run the same networks (N = 2, d = 1, about 10^4 loops) in one process on one thread; outputs on
the inputs that both run must be equal, bit for bit.  The fast evaluator runs 10^4 inputs.  The slow
one's cost is proportional to inputs, and one takes it about 20 s, so it runs one or two; with
--quick on increments only.

increments  Lemma 4.1 on the sum code: the line the two required figures come from
timestep    Theorem 4.2 on the rank code
digits      2^-10 of the range on the rank code: a row that changes on the batch every loop

"floor" is the time of one read and one write of an int64 batch per loop, the least an evaluator
that touches the outputs every loop would need; below 1 the batch was touched less often than that.
The last line is one JSON object: {"seconds_1e4x1e4": ..., "vs_reference": ..., ...}.

    python benchmarks/construction.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from fractions import Fraction
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy: one thread for everybody

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.network import Network
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.run.clock import Clock
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.reference import reference_output

INPUTS = 10**4
LOOPS = 10**4  # reported times are scaled to it; the networks are within 3 %
DENOMINATOR = 2**30
SPECS = (
    ConstructionSpec(2, 1, 17, "increments", "sum"),
    ConstructionSpec(2, 1, 70, "timestep", "rank"),
    ConstructionSpec(2, 1, 22, "digits", "rank", 10),
)


def target(x: NDArray[Any]) -> NDArray[Any]:
    """What is compiled."""
    return np.sin(6 * x) * x.mean(1, keepdims=True)


def clock_seconds(network: Network) -> float:
    """Time of the clock rows alone."""
    start, clock = time.perf_counter(), Clock(network)
    for _ in range(network.loops):
        clock.advance()
    return time.perf_counter() - start


def floor_seconds(network: Network) -> float:
    """Time of one in-place addition to every token of the batch per loop."""
    batch = np.zeros((2, INPUTS), dtype=np.int64)
    start = time.perf_counter()
    for _ in range(network.loops):
        np.add(batch, 1, out=batch)
    return time.perf_counter() - start


def measure(spec: ConstructionSpec, rounds: int, slow_inputs: int) -> dict[str, float]:
    """Time one network with both evaluators, alternating, and compare their outputs."""
    network = compile_construction(target, spec).network
    inputs = np.random.default_rng(0).integers(0, DENOMINATOR + 1, (INPUTS, 2, 1))
    fast, slow = [], []
    for which in range(max(rounds, slow_inputs)):
        if which < rounds:
            start = time.perf_counter()
            outputs = exact_output(network, inputs, denominator=DENOMINATOR)
            fast.append(time.perf_counter() - start)
        if which < slow_inputs:
            point = [[Fraction(int(v), DENOMINATOR) for v in token] for token in inputs[which]]
            start = time.perf_counter()
            expected = reference_output(network, point)
            slow.append(time.perf_counter() - start)
            found = [Fraction(int(v), outputs.denominator) for v in outputs.numerators[which].flat]
            if found != [value for token in expected for value in token]:
                raise SystemExit(f"{spec.memoriser}: outputs differ at input {which}")
    seconds = statistics.median(fast)
    return {
        "loops": network.loops,
        "seconds": seconds * LOOPS / network.loops,
        "clock": clock_seconds(network) / seconds,
        "of_floor": seconds / floor_seconds(network),
        "slow": statistics.median(slow) / network.loops if slow else math.nan,
        "ratio": statistics.median(slow) * INPUTS / seconds if slow else math.nan,
    }


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds and slow inputs")
    quick = parser.parse_args().quick
    print(f"numpy {np.__version__}, 1 thread, N 2, d 1, {INPUTS} inputs, medians")
    print(
        "memoriser   loops  s at 1e4 x 1e4  of it clock  over floor  slow us/loop/input     ratio"
    )
    result: dict[str, float] = {}
    for spec in SPECS:
        main_line = spec.memoriser == "increments"
        found = measure(spec, 3 if quick else 7, int(main_line) if quick else 2)
        print(
            f"{spec.memoriser:<11} {found['loops']:>5} {found['seconds']:>15.2f} "
            f"{found['clock']:>12.2f} {found['of_floor']:>11.1f} {1e6 * found['slow']:>19.1f} "
            f"{found['ratio']:>9.0f}"
        )
        tail = "" if main_line else f"_{spec.memoriser}"
        result[f"seconds_1e4x1e4{tail}"] = round(found["seconds"], 3)
        if found["slow"] > 0:
            result[f"vs_reference{tail}"] = round(found["ratio"])
    print(json.dumps(result))


if __name__ == "__main__":
    main()
