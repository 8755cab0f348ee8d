"""Schedulers and options of the engine: what they ask for, and what is refused in one line."""

import gc
import json
import signal
import socket
import sys
import threading
import time
import types
from contextlib import suppress
from importlib.util import find_spec

import pytest

from looprate.cli import main
from looprate.experiments.engine import cluster as engine_cluster
from looprate.experiments.engine.task import Engine

pytest.importorskip("distributed", reason='pip install "looprate[cluster]"')


def needs_jobqueue():
    """Skip without it; importing it here would take Ctrl-C from all that follows."""
    if find_spec("dask_jobqueue") is None:
        pytest.skip('pip install "looprate[cluster]"')


SLURM = {
    "jobs": 10,
    "queue": "long",
    "account": "lab",
    "cores": 8,
    "memory": "32GB",
    "walltime": "04:00:00",
    "interface": "lo",
    "job_extra_directives": ["--constraint=avx512"],
}


def test_slurm_jobs_leave_ctrl_c_as_it_was(tmp_path, monkeypatch):
    needs_jobqueue()
    for name in [name for name in sys.modules if name.startswith("dask_jobqueue")]:
        monkeypatch.delitem(sys.modules, name)  # it takes Ctrl-C when it is first imported
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    settings = {key: value for key, value in SLURM.items() if key != "jobs"}
    with engine_cluster._jobless(settings):
        found = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, before)
    assert found is signal.default_int_handler


def test_the_job_script_asks_slurm_for_the_job_and_runs_single_threaded_workers(tmp_path):
    needs_jobqueue()
    path = tmp_path / "slurm.json"
    path.write_text(json.dumps(SLURM))
    settings = engine_cluster._slurm_settings(path)
    assert settings.pop("jobs") == 10
    with engine_cluster._jobless(settings) as made:
        script, address = made.job_script(), made.scheduler_address
    for line in ("-p long", "-A lab", "--cpus-per-task=8", "-t 04:00:00", "--constraint=avx512"):
        assert f"#SBATCH {line}\n" in script
    command = script.strip().splitlines()[-1]
    assert f"distributed.cli.dask_worker {address} " in command
    for words in ("--nthreads 1 ", "--nworkers 8 ", "--no-dashboard --dashboard-address 127.0.0.1"):
        assert words in command


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "must hold JSON"),
        ("[]", 'the number of "jobs"'),
        ('{"cores": 1}', 'the number of "jobs"'),
        ('{"jobs": 1, "cores": 4, "processes": 2}', "got 2 and 4; leave"),
        ('{"jobs": 1, "memory": "1GB", "nonsense": 1}', "SLURMCluster, which says: .*nonsense"),
        ('{"jobs": 1}', "SLURMCluster, which says: .*memory"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_wrong_slurm_settings_are_refused(tmp_path, content, match):
    needs_jobqueue()
    path = tmp_path / "slurm.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=match):
        engine_cluster.slurm_cluster(path)
    gc.collect()  # dask-jobqueue's half-made cluster complains when it goes: let it be here


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ("--scheduler tcp://x:1", "`scheduler` is for --engine dask, got tcp://x:1; add --engine"),
        ("--engine dask --scheduler tcp://x:1 --processes 2", "got 2 beside --scheduler"),
        ("--engine ray", "invalid choice"),
        ("--engine dask --processes 0", "`processes` must be an integer >= 1, got 0"),
        ("--engine dask --device cuda", "`device` is cuda but torch sees no GPU"),
        ("--engine dask --scheduler nonsense://x", "must be the address of a running scheduler"),
    ],
)
@pytest.mark.parametrize("command", ["verify --preset smoke", "eta --preset smoke"])
def test_wrong_engines_are_refused_in_one_line(said, monkeypatch, tmp_path, command, words, match):
    monkeypatch.setattr("looprate.options.visible_devices", tuple)
    code, out, error = said(*command.split(), *words.split(), "--out", tmp_path / "out")
    lines = [line for line in error.splitlines() if line.startswith("looprate: ")]
    assert (code, out, len(lines)) == (2, "", 1)
    assert match in lines[0]


def test_without_the_extra_the_cure_is_said(said, monkeypatch, tmp_path):
    monkeypatch.setattr(engine_cluster, "find_spec", lambda name: None)
    for scheduler, names in (("tcp://x:1", "distributed,"), ("slurm:x", "distributed and dask_")):
        code, _, error = said(
            *("verify", "--engine", "dask", "--scheduler", scheduler, "--out", tmp_path)
        )
        assert code == 2
        assert f"`engine` dask needs {names}" in error
        assert 'pip install "looprate[cluster]"' in error


def test_processes_and_devices_follow_the_machine(monkeypatch):
    from looprate import options

    monkeypatch.setattr(options, "visible_devices", lambda: ("4", "6"))
    monkeypatch.setattr(options, "default_processes", lambda: 16)

    def chosen(device=None, **given):
        asked = {"engine": "local", "scheduler": None, "processes": None, **given}
        return options.chosen_engine(types.SimpleNamespace(**asked), device)

    assert chosen() == (Engine(), 16)
    assert chosen(processes=3) == (Engine(), 3)
    assert chosen("cuda") == (Engine(None, ("4", "6"), gpu=True), 2)
    assert chosen("cuda", engine="dask") == (Engine("embedded", ("4", "6"), gpu=True), 2)
    assert chosen("cuda", engine="dask", scheduler="tcp://x:1")[0] == Engine("tcp://x:1", gpu=True)
    assert chosen("cpu", engine="dask") == (Engine("embedded"), 16)


@pytest.mark.parametrize("listener", ["nobody", "mute", "another"])
def test_an_address_without_a_scheduler_is_refused_in_seconds(listener, tmp_path, capfd):  # F4
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        if listener != "nobody":
            server.listen()
        if listener == "another":
            threading.Thread(target=_greet, args=(server,), daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        line = ["verify", "--preset", "smoke", "--out", str(tmp_path / "out"), "--engine", "dask"]
        begin = time.monotonic()
        assert main([*line, "--scheduler", address]) == 2
    assert time.monotonic() - begin < 30.0  # seconds, on a busy machine; 60 before
    err = capfd.readouterr().err
    told = [line for line in err.replace("\r", "\n").splitlines() if line.startswith("looprate: ")]
    assert len(told) == 1
    assert told[0].startswith(
        f"looprate: `scheduler` must be the address of a running scheduler, got {address}"
    )
    assert "Traceback" not in err


def _greet(server):
    """Answer as a server of mail does."""
    with suppress(OSError), server.accept()[0] as one:
        one.sendall(b"220 ready\r\n")
        time.sleep(1.0)
