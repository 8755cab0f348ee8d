"""A cluster of two hosts: killed hosts, workers and drivers cost no point and no number."""

import json
import os
import re
from contextlib import ExitStack
from pathlib import Path

import pytest

from cases import cluster, engine_points
from cases.cluster import started, wait_until
from looprate.experiments.engine.task import ATTEMPTS

DRIVER = Path(engine_points.__file__)
SCHEDULER = ["-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
WORKER = ["-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard"]


def numbers(folder):
    """Return number and value of every stored row."""
    path = folder / "run" / "rows.jsonl"
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [(row["number"], row["value"]) for row in rows]


def printed(folder, name):
    """Return what a process printed."""
    return (folder / f"{name}.log").read_text()


def start_cluster(stack, places, folder, **of_a_host):
    """Start a scheduler and hosts; return its address from the hub, and all these processes."""
    port = cluster.free_port()
    hub, *hosts = places
    address = "0.0.0.0" if hub.prefix else hub.hub
    listen = ["--host", address, "--port", port, "--dashboard-address", "127.0.0.1:0"]
    processes = [stack.enter_context(started(hub, [*SCHEDULER, *listen], folder, "scheduler"))]
    for k, place in enumerate(hosts):
        command = [*WORKER, f"tcp://{place.hub}:{port}"]
        host = started(place, command, folder, f"host{k}", **of_a_host)
        processes.append(stack.enter_context(host))
    return f"tcp://{hub.hub}:{port}", processes


def check_kills(places, folder):
    """Kill the driver once, one host for good, and a worker again and again."""
    with ExitStack() as stack:
        address, (_, host, _) = start_cluster(stack, places, folder)
        command = [DRIVER, folder / "run", address]
        with started(places[0], command, folder, "driver") as driver:
            assert wait_until(lambda: len(numbers(folder)) >= 20), printed(folder, "driver")
        assert driver.returncode == -9
        before = numbers(folder)
        assert 20 <= len(before) < engine_points.DEADLY
        with started(places[0], command, folder, "driver") as driver:
            enough = len(before) + 20
            assert wait_until(lambda: len(numbers(folder)) >= enough), printed(folder, "driver")
            cluster.kill(host)
            assert len(numbers(folder)) < engine_points.DEADLY, "the host was killed too late"
            driver.wait(cluster.STARTING)
        assert driver.returncode == 1, printed(folder, "driver")
    found = numbers(folder)
    assert found[: len(before)] == before
    expected = [(n, engine_points.value(n)) for n in range(engine_points.COUNT)]
    assert sorted(found) == expected  # every row once, the numbers of a serial run
    words = printed(folder, "driver")
    assert re.search(r"1 of \d+ tasks failed 3 times, .*: the deadly point: its worker died", words)
    assert len((folder / "run" / "deaths").read_text().splitlines()) == ATTEMPTS


def test_200_points_survive_a_killed_driver_a_killed_host_and_a_deadly_task(tmp_path):
    pytest.importorskip("distributed")
    with ExitStack() as stack:
        try:
            places = stack.enter_context(cluster.namespaces(2))
        except OSError as error:
            print(f"no hosts with addresses of their own ({error}): processes on loopback")
            places = cluster.loopback(2)
        check_kills(places, tmp_path)


@pytest.mark.slow
def test_the_same_on_loopback(tmp_path):
    check_kills(cluster.loopback(2), tmp_path)


def drive(folder, scheduler, **variables):
    """Run the sweep to its end; return its exit code and last line."""
    place, command = cluster.Place("127.0.0.1"), [DRIVER, folder / "run", scheduler]
    with started(place, command, folder, "driver", **variables) as driver:
        driver.wait(cluster.STARTING)
    return driver.returncode, printed(folder, "driver").strip().splitlines()[-1]


@pytest.mark.slow
def test_a_lost_scheduler_is_said_and_the_rerun_resumes(tmp_path):
    places = cluster.loopback(1)
    with ExitStack() as stack:
        address, (scheduler, _) = start_cluster(stack, places, tmp_path)
        command = [DRIVER, tmp_path / "run", address]
        with started(places[0], command, tmp_path, "driver") as driver:
            assert wait_until(lambda: len(numbers(tmp_path)) >= 5), printed(tmp_path, "driver")
            cluster.kill(scheduler)
            driver.wait(cluster.STARTING)
    assert "ConnectionError: the connection to the scheduler is lost" in printed(tmp_path, "driver")
    before = numbers(tmp_path)
    assert 5 <= len(before) < engine_points.COUNT
    assert drive(tmp_path, "embedded")[0] == 1  # the deadly point
    assert numbers(tmp_path)[: len(before)] == before
    expected = [(n, engine_points.value(n)) for n in range(engine_points.COUNT)]
    assert sorted(numbers(tmp_path)) == expected


@pytest.mark.slow
def test_a_host_with_another_torch_is_refused_by_name(tmp_path):
    other = cluster.TORCH.replace("stub", "other")
    with ExitStack() as stack:
        address, _ = start_cluster(stack, cluster.loopback(1), tmp_path, torch=other)
        _, line = drive(tmp_path, address)
    assert re.search(r"tcp://127\.0\.0\.1:\d+ on .*\(torch stub\), got torch other; install", line)
    assert numbers(tmp_path) == []


SBATCH = """#!/bin/sh
for file; do :; done
cp "$file" "$JOBS/job.$$"
setsid sh "$JOBS/job.$$" >> "$JOBS/log" 2>&1 &
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
for id; do kill -TERM -- -"$id"; done
"""


@pytest.mark.slow
def test_slurm_jobs_do_the_work_with_a_stand_in_for_sbatch(tmp_path):
    jobs, programs = tmp_path / "jobs", tmp_path / "bin"
    jobs.mkdir()
    programs.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    settings = tmp_path / "slurm.json"
    settings.write_text('{"jobs": 2, "cores": 1, "memory": "1GB", "interface": "lo"}')
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    code, line = drive(tmp_path, f"slurm:{settings}", PATH=path, JOBS=str(jobs))
    assert code == 1
    assert line.startswith("1 of 201 tasks failed 3 times, the others are done: the deadly point")
    expected = [(n, engine_points.value(n)) for n in range(engine_points.COUNT)]
    assert sorted(numbers(tmp_path)) == expected
    assert len(list(jobs.glob("job.*"))) == 2


@pytest.mark.slow
def test_the_study_has_the_same_rows_on_either_engine(said, tmp_path):
    def rows(engine):
        folder = tmp_path / engine
        common = ("verify", "--preset", "smoke", "--steps", 20, "--processes", 2, "--out", folder)
        assert said(*common, "--engine", engine)[0] == 0
        stored = []
        for name in ("rows", "theory", "constructions"):
            for line in (folder / f"{name}.jsonl").read_text().splitlines():
                stored.append(json.dumps(timeless(json.loads(line)), sort_keys=True))
        return sorted(stored)

    local = rows("local")
    assert len(local) > 100
    assert rows("dask") == local


def timeless(value):
    """Return a row without what clocks and commits say."""
    if isinstance(value, dict):
        gone = ("seconds", "commit")
        return {k: timeless(v) for k, v in value.items() if not any(word in k for word in gone)}
    return [timeless(item) for item in value] if isinstance(value, list) else value
