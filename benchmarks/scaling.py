"""What a study costs as it grows: points, loops, tokens and coordinates.

points   milliseconds a point of scheduling and storage, and memory, for studies of tasks that do
         nothing but return one row of usual size: here (1 process) and in a pool of 2, with rows
         on the disk of --folder and in memory (/dev/shm); each in a fresh process
store    the row store alone: append, open, read, and the memory its index takes
steps    milliseconds a training step of one bank (8 networks, width 16, batch 32) at several loop
         counts, and at several N and d: eager PyTorch, and the CPU kernel where it can be built;
         processor time, which neighbours disturb less

Other times are wall times, since waiting for the disk is part of them; medians where something is
repeated.  Linux only (/proc, /dev/shm).  The last line is one JSON object of figures; --csv writes
the rows of docs/figures/scaling__cpu.png.

    python benchmarks/scaling.py [--quick] [--csv FILE] [--folder DIR] [--pool-points N]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before numpy and torch: one thread for everybody

from looprate.approx.models.looped import ModelConfig
from looprate.experiments.engine.progress import Progress
from looprate.experiments.engine.sweep import FITS, Sweep
from looprate.experiments.engine.task import Task
from looprate.experiments.rows.records import RowStore

MEMORY = Path("/dev/shm")
PLAN = 1_000_000  # points to plan for, each a network of AT loops trained for STEPS steps
AT, STEPS = 8, 1500
MIB = 2**20
LEAST_SEEN = 1000  # points whose memory stands out of pages
LOOPS = (1, 2, 4, 8, 16, 32, 64)
SIZES = ((2, 1), (4, 1), (8, 1), (16, 1), (2, 2), (2, 4), (2, 8))
INTERVALS = 7  # timed, of a fit; the first, which sets up, is left out
Row = dict[str, Any]


def trivial(report: Callable[[float], None], *, number: int) -> list[Row]:
    """Return one row of the usual 1.2 kB."""
    return [{"number": number, "curve": [number + k / 7 for k in range(60)], "device": "cpu"}]


def sweep_of(points: int, folder: Path) -> Sweep:
    """Return a sweep of tasks that do nothing."""
    tasks = [
        Task(f"{number:020d}", f"point {number}", trivial, {"number": number}, kin="trivial")
        for number in range(points)
    ]
    return Sweep(folder, {FITS: tasks})


def resident() -> int:
    """Bytes of this process in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(points: int, processes: int, folder: Path) -> Row:
    """Run one trivial study here and say what it took."""
    with tempfile.TemporaryDirectory(dir=folder) as place:
        before = resident()
        sweep, times = sweep_of(points, Path(place)), [0.0, 0.0]

        def mark(task: Task, part: float) -> None:
            if part == 1.0:
                times[:] = [times[0] or time.perf_counter(), time.perf_counter()]

        planned, started = resident(), time.perf_counter()
        sweep.run(processes=processes, report=mark)
        first, last = times
        if sweep.missing():
            raise SystemExit(f"{len(sweep.missing())} of {points} rows were not stored")
        return {
            "start": first - started,
            "ms": 1e3 * (last - first) / (points - 1),
            "plan": (planned - before) / MIB,
            "run": (resident() - planned) / MIB,
            "bytes": (Path(place) / "rows.jsonl").stat().st_size / points,
        }


def in_fresh_process(points: int, processes: int, folder: Path) -> Row:
    """Run :func:`measure` in a process of its own, so that memory is its own."""
    command = [sys.executable, __file__, "--child", str(points), str(processes), str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def points_table(most: dict[str, int], disk: Path) -> tuple[list[Row], Row]:
    """Print the cost of a point at powers of ten; return rows to draw and what was found last."""
    places = {"disk": disk, "memory": MEMORY}
    runs = [
        (place, processes, 10**power)
        for place in places
        for processes in (1, 2)
        for power in range(2, 7)
        if 10**power <= most[f"{place} {processes}"]
    ]
    print(
        f"{'rows in':>8} {'processes':>9} {'points':>8} {'ms a point':>11} {'start s':>8}", end=""
    )
    print(f" {'plan MiB':>9} {'run MiB':>8} {'bytes a row':>12}")
    drawn, last = [], {}
    with Progress(sum(points for *_, points in runs), "points") as bar:
        for k, (place, processes, points) in enumerate(runs):
            found = in_fresh_process(points, processes, places[place])
            print(
                f"{place:>8} {processes:>9} {points:>8} {found['ms']:>11.3f} "
                f"{found['start']:>8.2f} {found['plan']:>9.1f} {found['run']:>8.1f} "
                f"{found['bytes']:>12.0f}",
                flush=True,
            )
            label = f"{processes} process{'es' * (processes > 1)}, rows {_where(place)}"
            drawn.append(_drawn("overhead", label, points, found["ms"]))
            if place == "memory" and points >= LEAST_SEEN:
                drawn.append(_drawn("memory", f"planned, {label}", points, found["plan"]))
                drawn.append(_drawn("memory", f"running, {label}", points, found["run"]))
            last[f"{place} {processes}"] = found | {"points": points}
            bar.to(sum(points for *_, points in runs[: k + 1]))
    return drawn, last


def _where(place: str) -> str:
    """Words for where rows are."""
    return "on disk" if place == "disk" else "in memory"


def _drawn(panel: str, label: str, position: float, value: float) -> Row:
    """Return one mark of the figure."""
    return {"panel": panel, "label": label, "position": position, "value": round(value, 5)}


def store_table(rows: int, disk: Path) -> Row:
    """Print what the store alone takes a row, and return it."""
    row = trivial(lambda part: None, number=7)
    with tempfile.TemporaryDirectory(dir=MEMORY) as place:
        path = Path(place) / "rows.jsonl"
        store = RowStore(path)
        append = _each(rows, lambda k: store.append(f"{k:020d}", row))
        opened = time.perf_counter()
        store = RowStore(path)
        opened = 1e6 * (time.perf_counter() - opened) / rows
        read = _each(rows, lambda k: store.task(f"{k:020d}"))
        tracemalloc.start()
        store = RowStore(path)
        index, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    with tempfile.TemporaryDirectory(dir=disk) as place:
        store = RowStore(Path(place) / "rows.jsonl")
        durable = _each(min(rows, 500), lambda k: store.append(f"{k:020d}", row))
    found = {
        "append_us": append,
        "append_disk_us": durable,
        "open_us": opened,
        "read_us": read,
        "index_bytes": index / rows,
    }
    print(f"\nrow store alone, {rows} rows, a row:")
    print(f"  append, in memory   {append:>8.0f} us (median)")
    print(f"  append, on disk     {durable:>8.0f} us (median; it waits until the disk has it)")
    print(f"  open, to resume     {opened:>8.1f} us")
    print(f"  read one            {read:>8.0f} us (median)")
    print(f"  index in memory     {index / rows:>8.0f} bytes")
    return found


def _each(count: int, run: Callable[[int], object]) -> float:
    """Median microseconds of a call."""
    times = []
    for k in range(count):
        start = time.perf_counter()
        run(k)
        times.append(time.perf_counter() - start)
    return 1e6 * statistics.median(times)


def paths() -> dict[str, bool]:
    """Return the ways to train that are timed here, and fit's ``compiled`` for each."""
    from torch import empty

    from looprate.approx.banks.bank import bank_path

    kernel = bank_path(model_of(1, 1), empty(0), compiled=True) == "fused"
    return {"eager": False} | ({"kernel": True} if kernel else {})


def model_of(loops: int, dim: int) -> ModelConfig:
    """Return the networks whose steps are timed."""
    return ModelConfig(family="tmlt", dim=dim, width=16, heads=2, hidden=32, gate=1 / loops)


def seconds_a_step(loops: int, tokens: int, dim: int, *, steps: int, compiled: bool) -> float:
    """Median processor time of a training step of one bank."""
    from looprate.approx.fit.fitted import Recipe
    from looprate.approx.fit.fitting import fit
    from looprate.theory.targets import parse_target

    times: list[float] = []
    total = steps * (INTERVALS + 1)
    fit(
        [parse_target("mean-field")],
        model_of(loops, dim),
        tokens=tokens,
        loops=loops,
        seeds=range(8),
        learning_rates=[1e-3],
        recipe=Recipe(steps=total, evaluations=INTERVALS + 1, validation_points=32),
        compiled=compiled,
        progress=lambda step: times.append(time.process_time()),
    )
    laps = [b - a for a, b in pairwise(times)]
    return statistics.median(laps) / steps


def steps_table(quick: bool) -> list[Row]:
    """Print milliseconds a step over loops, and over N and d; return rows to draw."""
    loops = LOOPS[::3] if quick else LOOPS
    sizes = SIZES[::2] if quick else SIZES
    work = [(r, 2, 1, path) for path in paths() for r in loops]
    work += [(8, n, d, path) for path in paths() for n, d in sizes]
    costs = [r * n * d for r, n, d, _ in work]
    print(f"\n{'loops':>5} {'N':>3} {'d':>3} {'path':>7} {'ms a step of 8 networks':>24}")
    drawn = []
    with Progress(sum(costs), "steps") as bar:
        for k, (r, n, d, path) in enumerate(work):
            steps, compiled = 4 if quick else 10, paths()[path]
            ms = 1e3 * seconds_a_step(r, n, d, steps=steps, compiled=compiled)
            print(f"{r:>5} {n:>3} {d:>3} {path:>7} {ms:>24.2f}", flush=True)
            if k < len(loops) * len(paths()):
                drawn.append(_drawn("loops", f"{path}, N = 2, d = 1", r, ms))
            else:
                drawn += [_drawn("size", f"{path}, over N", n, ms)] if d == 1 else []
                drawn += [_drawn("size", f"{path}, over d", d, ms)] if n == 2 else []
            bar.to(sum(costs[: k + 1]))
    return drawn


def plan(points: dict[str, Row], store: Row, steps: list[Row]) -> Row:
    """Print what PLAN points would take, extrapolated, and return it."""
    disk, here = points["disk 1"], points["memory 1"]
    at = [row["value"] for row in steps if row["panel"] == "loops" and row["position"] == AT]
    point = at[-1] / 8 * STEPS  # milliseconds of one network's training, by the quickest path
    memory = (here["plan"] + here["run"]) * MIB / here["points"]
    found = {
        "hours_of_one_writer": round(disk["ms"] * PLAN / 3.6e6, 2),
        "gib_memory": round(memory * PLAN / 2**30, 2),
        "gib_disk": round(disk["bytes"] * PLAN / 2**30, 2),
        "seconds_to_open": round(store["open_us"] * PLAN / 1e6, 1),
        "core_days_training": round(point * PLAN / 8.64e7, 1),
        "workers_one_writer_feeds": round(point / disk["ms"]),
    }
    print(f"\n{PLAN:,} points, extrapolated: {json.dumps(found)}")
    return found


def main() -> None:
    """Print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="up to 1,000 points, fewer steps")
    parser.add_argument("--csv", type=Path, help="write the rows of the figure")
    parser.add_argument("--folder", type=Path, help="disk to measure (default: of TMPDIR)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument(
        "--pool-points", type=int, default=10**5, help="largest study in the pool (default: 1e5)"
    )
    options = parser.parse_args()
    if options.child:
        points, processes, folder = options.child
        print(json.dumps(measure(int(points), int(processes), Path(folder))))
        return
    disk = options.folder or Path(tempfile.gettempdir())
    pool = options.pool_points
    most = {"disk 1": 10**5, "disk 2": min(pool, 10**4), "memory 1": 10**5, "memory 2": pool}
    if options.quick:
        most = dict.fromkeys(most, 1000)
    drawn, points = points_table(most, disk)
    store = store_table(1000 if options.quick else 20_000, disk)
    steps = steps_table(options.quick)
    figures = plan(points, store, steps)
    if options.csv is not None:
        with options.csv.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, list(drawn[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(drawn + steps)
    worst = {f"ms_a_point {name}": round(found["ms"], 3) for name, found in points.items()}
    rounded = {name: round(value, 1) for name, value in store.items()}
    print(json.dumps(worst | rounded | figures))


if __name__ == "__main__":
    main()
