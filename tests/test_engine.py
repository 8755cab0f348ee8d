"""Engine: one process or two give the same; tasks and workers may fail, and never go on alone."""

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest

from cases import engine_tasks
from looprate.experiments.engine.run import run_tasks
from looprate.experiments.engine.task import ATTEMPTS, Engine, Task, TaskFailed, visible_devices

SQUARES = [
    Task(f"square {k}", f"square of {k}", engine_tasks.square, {"value": k}, cost=k)
    for k in range(6)
]
PATIENCE = 10.0  # seconds until the workers of a killed parent must be gone
STARTING = 30.0  # seconds a worker may take to start beside busy neighbours


@pytest.fixture(autouse=True)
def light_workers(tmp_path_factory, monkeypatch):
    """Workers import a torch that only counts its threads: they start in 0.1 s, not 3 s."""
    folder = tmp_path_factory.mktemp("stub")
    text = "threads = None\n\ndef set_num_threads(n):\n    global threads\n    threads = n\n"
    (folder / "torch.py").write_text(text)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])  # spawned workers copy it


def collect(tasks, *, processes):
    """Run tasks; return rows by key, the reported parts, and the failure if there was one."""
    rows, parts = {}, []
    try:
        for task, found in run_tasks(
            tasks, processes=processes, report=lambda task, part: parts.append((task.key, part))
        ):
            assert task.key not in rows
            rows[task.key] = found
    except TaskFailed as error:
        return rows, parts, str(error)
    return rows, parts, None


def lone(function, **arguments):
    return Task(function.__name__, f"the task {function.__name__}", function, arguments)


def test_one_and_two_processes_give_the_same_rows_and_reports():
    alone, parts, _ = collect(SQUARES, processes=1)
    shared, shared_parts, _ = collect(SQUARES, processes=2)
    assert alone == {f"square {k}": [{"value": k, "square": k * k}] for k in range(6)}
    assert shared == alone
    assert sorted(shared_parts) == sorted(parts)


def test_workers_have_one_thread_and_leave_the_parents_setting(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    rows, _, _ = collect([lone(engine_tasks.threads), SQUARES[0]], processes=2)
    assert rows["threads"] == [{"omp": "1", "torch": 1}]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_a_task_that_kills_its_worker_once_is_run_again(tmp_path):
    marker = tmp_path / "died"
    tasks = [lone(engine_tasks.dies_once, marker=str(marker)), *SQUARES]
    rows, _, failure = collect(tasks, processes=2)
    assert failure is None
    assert marker.exists()
    assert rows["dies_once"] == [{"square": -1}]
    assert len(rows) == len(tasks)


def test_a_task_that_always_kills_its_worker_is_given_up_and_costs_no_other(tmp_path):
    log = tmp_path / "log"
    rows, _, failure = collect([lone(engine_tasks.dies, log=str(log)), *SQUARES], processes=2)
    assert failure is not None
    assert len(log.read_text().splitlines()) == ATTEMPTS == 3
    assert failure.startswith(
        "1 of 7 tasks failed 3 times, the others are done: the task dies: its worker died (exit "
        "code -9"
    )
    assert "--processes 1" in failure
    assert sorted(rows) == sorted(task.key for task in SQUARES)


@pytest.mark.parametrize("processes", [1, 2])
def test_tasks_that_raise_are_tried_three_times_and_named_when_the_rest_is_done(
    tmp_path, processes
):
    refusal, failing = tmp_path / "refusal", tmp_path / "failing"
    tasks = [
        lone(engine_tasks.refuses, log=str(refusal)),
        lone(engine_tasks.fails, log=str(failing)),
    ]
    rows, _, failure = collect([*tasks, *SQUARES], processes=processes)
    assert sorted(rows) == sorted(task.key for task in SQUARES)
    assert failure.startswith("2 of 8 tasks failed 3 times, the others are done: ")
    assert "the task refuses: `x` must be even, got 3" in failure
    assert re.search(r"the task fails: ZeroDivisionError: nothing .* \(fails, line \d+", failure)
    assert len(refusal.read_text().splitlines()) == ATTEMPTS
    assert len(failing.read_text().splitlines()) == ATTEMPTS


@pytest.mark.parametrize("processes", [1, 2])
def test_a_task_that_succeeds_the_third_time_is_no_failure(tmp_path, processes):
    flaky = lone(engine_tasks.recovers, log=str(tmp_path / "log"))
    rows, _, failure = collect([flaky, SQUARES[0]], processes=processes)
    assert failure is None
    assert rows["recovers"] == [{"square": -2}]


def test_every_worker_sees_its_own_device_and_a_new_worker_that_of_the_dead(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    waits = {"folder": str(folder), "workers": 3}
    deadly = Task("c", "c", engine_tasks.dies_once, {"marker": str(folder / "died")}, cost=2)
    tasks = [deadly, *(Task(k, k, engine_tasks.device, waits) for k in "ab")]
    engine = Engine(devices=("3", "GPU-5"))
    found = dict(run_tasks(tasks, processes=2, report=lambda task, part: None, engine=engine))
    seen = {rows[0]["device"] for task, rows in found.items() if task.key in "ab"}
    assert seen == {"3", "GPU-5"}
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 2, ("0", "1")), ("", 0, ()), ("4, 6", 2, ("4", "6")), ("4,-1,6", 1, ("4",))],
)
def test_devices_are_those_this_process_sees(monkeypatch, named, count, expected):
    torch = types.SimpleNamespace(cuda=types.SimpleNamespace(device_count=lambda: count))
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_devices() == expected


def test_leaving_early_ends_the_workers():
    results = run_tasks(SQUARES, processes=2, report=lambda task, part: None)
    next(results)
    assert multiprocessing.active_children()
    results.close()
    assert not multiprocessing.active_children()


def running(pid):
    """Tell whether a process runs; one that only waits to be collected does not."""
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def wait_until(condition, seconds):
    """Poll; tell whether the condition came true."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return met


PARENT = """
import sys
sys.path[:0] = {path!r}
from cases import engine_tasks
from looprate.experiments.engine.run import run_tasks
from looprate.experiments.engine.task import Task

if __name__ == "__main__":
    tasks = [Task(k, k, engine_tasks.lives_on, {{"folder": {folder!r}}}) for k in "ab"]
    list(run_tasks(tasks, processes=2, report=lambda task, part: None))
"""


def test_workers_end_when_their_parent_is_killed(tmp_path):
    folder = tmp_path / "pids"
    folder.mkdir()
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(path=[p for p in sys.path if p], folder=str(folder)))
    parent = subprocess.Popen([sys.executable, str(script)])
    try:
        assert wait_until(lambda: len(list(folder.iterdir())) == 2, STARTING)
        workers = [int(path.name) for path in folder.iterdir()]
        assert all(map(running, workers))  # the check can say no
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert wait_until(lambda: not any(map(running, workers)), PATIENCE)
