"""dask engine: its workers, what it refuses, and that nobody pays for a neighbour's death."""

import logging
import os
import sys
import types
from concurrent.futures import CancelledError
from pathlib import Path

import numpy as np
import pytest

from cases import cluster, engine_tasks
from looprate.approx.fit.state import save_state
from looprate.experiments.engine import cluster as engine_cluster
from looprate.experiments.engine import on_dask as engine_dask
from looprate.experiments.engine.on_dask import UnlikeDriver
from looprate.experiments.engine.run import run_tasks
from looprate.experiments.engine.task import ATTEMPTS, Engine, Failures, Task, TaskFailed
from looprate.theory.outputs import write_atomically

pytest.importorskip("distributed", reason='pip install "looprate[cluster]"')


def lone(function, cost=1.0, **arguments):
    return Task(function.__name__, f"the task {function.__name__}", function, arguments, cost)


SQUARES = [
    Task(f"square {k}", f"square of {k}", engine_tasks.square, {"value": k}) for k in range(6)
]


@pytest.fixture
def light_torch(tmp_path, monkeypatch):
    """Let this process and its workers import a torch that only counts its threads."""
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "torch.py").write_text(cluster.TORCH)
    monkeypatch.setattr(sys, "path", [str(stub), *sys.path])  # spawned workers copy it
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(__version__="stub"))


def test_embedded_workers_see_one_device_on_one_thread_and_failures_are_named(
    light_torch, tmp_path
):
    folder = tmp_path / "pids"
    folder.mkdir()
    waits = {"folder": str(folder), "workers": 2}
    tasks = [Task(k, k, engine_tasks.device, waits, cost=2) for k in "ab"]
    tasks += [
        lone(engine_tasks.threads),
        lone(engine_tasks.fails, log=str(tmp_path / "fails")),
        lone(engine_tasks.recovers, log=str(tmp_path / "recovers")),
        *SQUARES,
    ]
    engine = Engine("embedded", ("3", "GPU-5"), gpu=True)
    found, parts = {}, []

    def collect():
        options = {"processes": 2, "engine": engine, "report": lambda *part: parts.append(part)}
        for task, rows in run_tasks(tasks, **options):
            assert task.key not in found
            found[task.key] = rows

    with pytest.raises(TaskFailed, match=r"^1 of 11 tasks .*the task fails: ZeroDivisionError: "):
        collect()
    assert len((tmp_path / "fails").read_text().splitlines()) == ATTEMPTS
    assert sorted(found) == sorted({task.key for task in tasks} - {"fails"})
    assert {found[k][0]["device"] for k in "ab"} == {"3", "GPU-5"}
    assert found["threads"] == [{"omp": "1", "torch": 1}]
    assert found["recovers"] == [{"square": -2}]
    assert [found[f"square {k}"] for k in range(6)] == [
        [{"value": k, "square": k * k}] for k in range(6)
    ]
    assert all(task in tasks and part == 0.5 for task, part in parts)
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


def test_an_embedded_cluster_is_on_loopback_with_a_gpu_resource_a_worker():
    made = engine_cluster.embedded_cluster
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("distributed.SpecCluster", lambda **specification: specification)
        plain, gpus = made(2), made(3, ("0", "1"), gpu=True)
    for spec in (plain, gpus):
        options = [worker["options"] for worker in spec["workers"].values()]
        assert {o["host"] for o in options} == {spec["scheduler"]["options"]["host"]}
        assert spec["scheduler"]["options"]["host"] == "127.0.0.1"
        assert spec["scheduler"]["options"]["dashboard_address"].startswith("127.0.0.1:")
        assert {o["nthreads"] for o in options} == {1}
    workers = [worker["options"] for worker in gpus["workers"].values()]
    assert [o["env"]["CUDA_VISIBLE_DEVICES"] for o in workers] == ["0", "1", "0"]
    assert [o["resources"] for o in workers] == [{"GPU": 1}] * 3
    assert [w["options"]["env"] for w in plain["workers"].values()] == [{}, {}]
    assert [w["options"]["resources"] for w in plain["workers"].values()] == [{}, {}]


# -- one worker's death is not its neighbours' fault -----------------------------------------------
class Future:
    """What a submitted task will be: rows, or an error."""

    error = None

    def result(self):
        if self.error is not None:
            raise self.error
        return []


class FakeClient:
    """Two workers that finish what they hold, but for the deadly task: it takes both down."""

    status = "running"

    def __init__(self, workers=2, nthreads=1, resources=None, error=None):
        self.held, self.starts, self.asked, self.error = {}, [], [], error
        worker = {"nthreads": nthreads, "resources": resources or {}}
        self.workers = {f"tcp://{k}": worker for k in range(workers)}

    def run_on_scheduler(self, function):
        self.scheduler = types.SimpleNamespace(allowed_failures=3)
        function(dask_scheduler=self.scheduler)

    def subscribe_topic(self, *_): ...

    def unsubscribe_topic(self, *_): ...

    def cancel(self, futures): ...

    def scheduler_info(self, n_workers):
        return {"workers": self.workers}

    def submit(self, work, task, *_, key, resources, **__):
        assert key not in self.asked
        assert len(self.starts) < 100, "tried for ever"
        self.asked.append(key)
        self.resources = resources
        self.starts.append(task.key)
        future = Future()
        self.held[future] = task
        return future

    def settle(self):
        """Finish what is held; return the futures."""
        from distributed import KilledWorker

        dead = any(task.key == "deadly" for task in self.held.values())
        at = types.SimpleNamespace(address="tcp://1")
        for future, task in self.held.items():
            future.error = KilledWorker(task.key, at, 0) if dead else self.error
        done, self.held = list(self.held), {}
        return done


def drive(monkeypatch, client, tasks, engine=None):
    """Run tasks with a fake client; return the keys that came back, and the failures."""
    monkeypatch.setattr(engine_dask, "identity", dict)
    monkeypatch.setattr(engine_dask._Driver, "_wait", lambda self: self.client.settle())
    failures = Failures(len(tasks))
    driver = engine_dask._Driver(client, tasks, lambda *_: None, engine or Engine("x"), failures)
    return [task.key for task, _ in driver.run()], failures


def test_tasks_beside_a_deadly_one_are_done_and_it_dies_three_times(monkeypatch):
    client = FakeClient()
    tasks = [*SQUARES[:3], Task("deadly", "the deadly task", engine_tasks.dies, {})]
    done, failures = drive(monkeypatch, client, tasks)
    assert sorted(done) == sorted(task.key for task in SQUARES[:3])
    assert client.starts.count("deadly") == ATTEMPTS
    assert len(failures.given_up) == 1
    assert failures.given_up[0].startswith("the deadly task: its worker died (the last at tcp://1")
    assert client.scheduler.allowed_failures == 0


def test_a_death_beside_others_never_ends_a_task(monkeypatch):
    monkeypatch.setattr(engine_dask, "identity", dict)
    failures, (task,) = Failures(1), SQUARES[:1]
    failures.counts[task.key] = ATTEMPTS - 1  # it raised, say
    driver = engine_dask._Driver(FakeClient(), [], lambda *_: None, Engine("x"), failures)
    driver._bury(task, False, "tcp://1")
    assert (driver.suspects, failures.given_up) == ([task], [])
    driver._bury(driver.suspects.pop(), True, "tcp://1")
    assert (driver.suspects, driver.waiting, len(failures.given_up)) == ([], [], 1)


def test_no_more_is_handed_over_than_there_are_workers(monkeypatch):
    client = FakeClient()
    most = []
    submit = client.submit
    client.submit = lambda *a, **k: (submit(*a, **k), most.append(len(client.held)))[0]
    done, _ = drive(monkeypatch, client, SQUARES)
    assert max(most) == 2
    assert len(done) == 6
    assert client.resources is None


def test_gpu_tasks_go_to_workers_with_a_gpu_alone(monkeypatch, capsys):
    client = FakeClient(resources={"GPU": 1.0})
    drive(monkeypatch, client, SQUARES, Engine("x", gpu=True))
    assert client.resources == {"GPU": 1}
    monkeypatch.setattr(engine_dask, "GRACE", -1.0)
    driver = engine_dask._Driver(
        FakeClient(), SQUARES, lambda *_: None, Engine("x", gpu=True), Failures(6)
    )
    assert [driver._workers(), driver._workers()] == [0, 0]
    words = capsys.readouterr().err
    assert words.count('no worker with --resources "GPU=1" is connected, waiting for one') == 1


def test_workers_of_several_threads_are_refused(monkeypatch):
    with pytest.raises(ValueError, match=r"one task at a time, tcp://0 runs 8; start .*nworkers 8"):
        drive(monkeypatch, FakeClient(nthreads=8), SQUARES)


@pytest.mark.parametrize("error", [CancelledError(), OSError("closed")], ids=repr)
def test_a_scheduler_that_is_gone_is_said(monkeypatch, error):
    with pytest.raises(ConnectionError, match="scheduler is lost; start it, and run the same"):
        drive(monkeypatch, FakeClient(error=error), SQUARES)


def test_an_unlike_worker_ends_the_run_at_once(monkeypatch):
    client = FakeClient(error=UnlikeDriver("the worker tcp://1 on h must run"))
    with pytest.raises(UnlikeDriver, match="tcp://1"):
        drive(monkeypatch, client, SQUARES)
    assert len(client.starts) == 2


def test_an_error_that_is_not_the_tasks_counts_as_its_failure(monkeypatch):
    client = FakeClient(error=ModuleNotFoundError("No module named 'own'"))
    done, failures = drive(monkeypatch, client, SQUARES[:1])
    assert done == []
    assert failures.given_up == ["square of 0: ModuleNotFoundError: No module named 'own'"]


# -- what a worker refuses -------------------------------------------------------------------------
def test_a_worker_of_another_commit_or_version_is_named(monkeypatch):
    mine = {"commit": "abc", "version": "0.1.0", "torch": "2.13.0"}
    monkeypatch.setattr(engine_dask, "identity", lambda: mine)
    engine_dask._check_host("tcp://1", dict(mine), None)
    with pytest.raises(
        UnlikeDriver, match=r"tcp://1 on \S+ must run .*\(commit xyz\), got commit abc; install"
    ):
        engine_dask._check_host("tcp://1", mine | {"commit": "xyz"}, None)


def test_a_worker_that_cannot_write_the_folder_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(engine_dask, "identity", dict)
    engine_dask._check_host("tcp://1", {}, str(tmp_path))
    with pytest.raises(UnlikeDriver, match=r"tcp://1 on \S+ must be able to write .*/no.* share$"):
        engine_dask._check_host("tcp://1", {}, str(tmp_path / "no"))


@pytest.mark.parametrize(("state", "wanted"), [("executing", True), ("cancelled", False)])
def test_a_task_whose_driver_is_gone_ends_at_its_next_report(state, wanted):
    events = []
    worker = types.SimpleNamespace(
        get_current_task=lambda: "key",
        state=types.SimpleNamespace(tasks={"key": types.SimpleNamespace(state=state)}),
        log_event=lambda topic, message: events.append((topic, message)),
    )
    tell = engine_dask._teller(worker, SQUARES[0], "topic")
    if wanted:
        tell(0.25)
        tell(0.26)  # too soon after the first
        assert events == [("topic", ["square 0", 0.25])]
        worker.state.tasks.clear()
    with pytest.raises(engine_dask._Unwanted):
        tell(0.5)


def save_some_state(path, stamp):
    save_state(path, stamp, types.SimpleNamespace(step=np.zeros(1)))


@pytest.mark.parametrize(
    "write", [write_atomically, save_some_state], ids=lambda write: write.__name__
)
def test_two_writers_of_one_file_share_no_temporary_one(tmp_path, monkeypatch, write):
    """A task whose driver was killed may write its checkpoint while its successor does."""
    seen, replace = [], Path.replace
    monkeypatch.setattr(Path, "replace", lambda *paths: seen.append(paths[0]) or replace(*paths))
    for _ in range(2):
        write(tmp_path / "file", "content")
    assert len(set(seen)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


# -- schedulers and options ------------------------------------------------------------------------


def test_a_lost_scheduler_is_told_of_by_the_driver_alone(monkeypatch, caplog):  # F5
    class Client:
        def __init__(self, *_, **__): ...

        def __enter__(self):
            return self

        def __exit__(self, *_):
            logging.getLogger("distributed.client").error("closing")

    async def answers(_):
        return None

    monkeypatch.setattr("distributed.Client", Client)
    monkeypatch.setattr(engine_cluster, "_answers", answers)
    for name in ("distributed", "distributed.client"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    with engine_cluster.open_client(Engine("tcp://127.0.0.1:1"), 1):
        for name in ("distributed.client", "asyncio", "tornado.application"):
            logging.getLogger(name).error("a traceback")
    assert caplog.messages == []
    logging.getLogger("distributed.client").error("of another program")
    assert caplog.messages == ["of another program"]
