"""How much faster a study ends on more cores: seconds of the whole command, process by process.

Runs ``looprate verify`` with 1, then 2 worker processes, and the other way round in the next round,
each in a fresh folder with an empty compiler cache, from the start of the command to its last
figure.  On Linux a run is kept to as many cores as it has processes.  The machine must be
quiet: busy is the share of those cores' time that the run worked.

Prints the seconds of every run, and the speed-up of the medians.  The last line is one JSON object.

    python benchmarks/study_scaling.py [--quick] [--preset quick] [--processes 1 2] [--rounds 1]

Further options go to ``looprate verify``.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WANTED = 1.8  # from 1 to 2 cores


def run_seconds(preset: str, processes: int, extra: list[str]) -> dict[str, float]:
    """Run one study; return its wall time and the share of its cores' time it worked."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "TORCHINDUCTOR_CACHE_DIR": str(Path(folder) / "compiled"),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "looprate", "verify", "--preset", preset, *extra]
        command += ["--processes", str(processes), "--out", str(Path(folder) / "study"), "--json"]
        before, start = worked(), time.perf_counter()
        done = subprocess.run(
            command,
            env=environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            preexec_fn=pin(processes),
        )
        wall = time.perf_counter() - start
    if done.returncode not in (0, 1):  # 1: a claim is violated
        raise SystemExit(f"the study ended with exit code {done.returncode}")
    return {"seconds": wall, "busy": (worked() - before) / (wall * processes)}


def pin(processes: int) -> Callable[[], None] | None:
    """Return what keeps a child to as many cores as processes, where there is a way to."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    chosen = sorted(os.sched_getaffinity(0))[:processes]
    return lambda: os.sched_setaffinity(0, chosen)


def worked() -> float:
    """Return the processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(preset: str, counts: list[int], rounds: int, extra: list[str]) -> dict[int, float]:
    """Return the median seconds of every number of processes, printing each run."""
    found: dict[int, list[float]] = {count: [] for count in counts}
    for place in range(rounds):
        for count in counts if place % 2 == 0 else reversed(counts):
            run = run_seconds(preset, count, extra)
            found[count].append(run["seconds"])
            print(f"{count:>9} {run['seconds']:>9.1f} {run['busy']:>6.2f}", flush=True)
    return {count: statistics.median(values) for count, values in found.items()}


def main() -> int:
    """Print the table and the JSON line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="preset smoke: seconds, mostly start")
    parser.add_argument("--preset", choices=["smoke", "quick", "full"], default="quick")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="to compare")
    parser.add_argument("--rounds", type=int, default=1, help="runs of each")
    options, extra = parser.parse_known_args()  # what is unknown goes to looprate verify
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for count in options.processes:
        if not 1 <= count <= (cores or 1):
            parser.error(
                f"`--processes` must be among 1..{cores} cores of this machine, got {count}"
            )
    if options.rounds < 1:
        parser.error(f"`--rounds` must be an integer >= 1, got {options.rounds}; take 1")
    preset = "smoke" if options.quick else options.preset
    print(f"looprate verify --preset {preset}: start to last figure, one thread a process")
    print("processes   seconds   busy")
    medians = measure(preset, options.processes, options.rounds, extra)
    first, *others = options.processes
    result = {f"seconds_{count}": round(value, 1) for count, value in medians.items()}
    for count in others:
        ratio = medians[first] / medians[count]
        result[f"speedup_{count}"] = round(ratio, 3)
        wanted = f" (wanted: {WANTED})" if (first, count, preset) == (1, 2, "quick") else ""
        print(f"{count} processes are {ratio:.2f} times as fast as {first}{wanted}")
    print(json.dumps({"preset": preset, **result}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
