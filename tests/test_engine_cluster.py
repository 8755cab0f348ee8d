"""A cluster of two hosts: killed hosts, workers and drivers cost no point and no number."""

import json
import re
from contextlib import ExitStack
from pathlib import Path

import pytest
from cases import cluster, engine_points
from cases.cluster import started, wait_until

from experiments.engine import ATTEMPTS

PORT = 18786  # of the scheduler, in a network of its own or on loopback
DRIVER = Path(engine_points.__file__)
SCHEDULER = ["-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
WORKER = ["-m", "distributed.cli.dask_worker", "--nthreads", "1", "--no-dashboard"]


def numbers(folder):
    """Return number and value of every stored row."""
    path = folder / "run" / "rows.jsonl"
    rows = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
    return [(row["number"], row["value"]) for row in rows]


def said(folder, name):
    """Return what a process printed."""
    return (folder / f"{name}.log").read_text()


def start_cluster(stack, places, folder):
    """Start a scheduler and two hosts; return the hosts' processes."""
    hub, *hosts = places
    address = "0.0.0.0" if hub.prefix else hub.hub
    listen = ["--host", address, "--port", PORT, "--dashboard-address", "127.0.0.1:0"]
    stack.enter_context(started(hub, [*SCHEDULER, *listen], folder, "scheduler"))
    return [
        stack.enter_context(
            started(place, [*WORKER, f"tcp://{place.hub}:{PORT}"], folder, f"host{k}")
        )
        for k, place in enumerate(hosts)
    ]


def check_kills(places, folder):
    """Kill the driver once, one host for good, and a worker again and again."""
    command = [DRIVER, folder / "run", f"tcp://{places[0].hub}:{PORT}"]
    with ExitStack() as stack:
        hosts = start_cluster(stack, places, folder)
        with started(places[0], command, folder, "driver") as driver:
            assert wait_until(lambda: len(numbers(folder)) >= 20), said(folder, "driver")
        assert driver.returncode == -9
        before = numbers(folder)
        assert 20 <= len(before) < engine_points.DEADLY
        with started(places[0], command, folder, "driver") as driver:
            enough = len(before) + 20
            assert wait_until(lambda: len(numbers(folder)) >= enough), said(folder, "driver")
            cluster.kill(hosts[0])
            assert len(numbers(folder)) < engine_points.DEADLY, "the host was killed too late"
            driver.wait(cluster.STARTING)
        assert driver.returncode == 1, said(folder, "driver")
    found = numbers(folder)
    assert found[: len(before)] == before
    expected = [(n, engine_points.value(n)) for n in range(engine_points.COUNT)]
    assert sorted(found) == expected  # every row once, the numbers of a serial run
    words = said(folder, "driver")
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
