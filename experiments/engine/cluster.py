"""Schedulers and workers of dask.distributed: one of this process, a running one, or SLURM jobs.

Workers run one task at a time on one thread.  The scheduler started here listens on loopback alone,
except for SLURM, whose workers are elsewhere; no dashboard is served.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from looprate.experiments.engine.task import EMBEDDED, Engine

__all__ = ["check_cluster_extra"]

SLURM = "slurm:"
LOOPBACK = "127.0.0.1"
PATIENCE = 30.0  # seconds a scheduler gets to accept a client
REPLY = 5.0  # seconds it gets to answer at all
CURE = 'pip install "looprate[cluster]"'


def check_cluster_extra(scheduler: str) -> None:
    """Refuse, in one line, where the packages that a scheduler needs are missing."""
    needed = ["distributed", *(["dask_jobqueue"] if scheduler.startswith(SLURM) else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise ValueError(f"`engine` dask needs {' and '.join(missing)}, not installed here; {CURE}")


@contextmanager
def open_client(engine: Engine, processes: int) -> Iterator[Any]:
    """Start or find the scheduler, and connect to it; end what was started here.

    Parameters
    ----------
    engine : Engine
        With a scheduler.
    processes : int
        Workers of an embedded scheduler.

    Yields
    ------
    distributed.Client
    """
    scheduler = str(engine.scheduler)
    check_cluster_extra(scheduler)
    from distributed import Client

    if scheduler == EMBEDDED:
        with (
            embedded_cluster(processes, engine.devices, gpu=engine.gpu) as cluster,
            Client(cluster, set_as_default=False) as client,
        ):
            yield client
    elif scheduler.startswith(SLURM):
        path = Path(scheduler.removeprefix(SLURM))
        with slurm_cluster(path) as cluster, Client(cluster, set_as_default=False) as client:
            yield client
    else:
        try:
            asyncio.run(_answers(scheduler))
        except Exception as error:  # another server may answer anything
            said = " ".join(str(error).split()) or f"no answer in {REPLY:g} s"
            raise ValueError(
                f"`scheduler` must be the address of a running scheduler, got {scheduler} "
                f"({said}); start one with dask scheduler"
            ) from None
        with (
            _said_by_us_alone(),
            Client(scheduler, timeout=PATIENCE, set_as_default=False) as client,
        ):
            yield client


@contextmanager
def _said_by_us_alone() -> Iterator[None]:
    """Keep dask from telling, with tracebacks, of a scheduler that is lost: the driver says so."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(before)


async def _answers(scheduler: str) -> None:
    """Raise unless somebody speaks dask's protocol there: a client that fails says so for long."""
    from distributed.comm import connect
    from distributed.security import Security

    security = Security().get_connection_args("client")
    comm = await asyncio.wait_for(connect(scheduler, timeout=REPLY, **security), REPLY + 1.0)
    await comm.close()


def embedded_cluster(processes: int, devices: tuple[str, ...] = (), *, gpu: bool = False) -> Any:
    """Return a scheduler in this process with workers of this machine, to be used as a context.

    Parameters
    ----------
    processes : int
        Workers.
    devices : tuple of str
        CUDA devices: worker k sees device k alone, round robin.
    gpu : bool
        Whether the workers carry the resource GPU=1.

    Returns
    -------
    distributed.SpecCluster
    """
    from distributed import Nanny, Scheduler, SpecCluster

    common = {
        "nthreads": 1,
        "memory_limit": 0,
        "host": LOOPBACK,
        "silence_logs": logging.CRITICAL,
        "preload": [__name__],
    }
    workers = {}
    for k in range(processes):
        env = {"CUDA_VISIBLE_DEVICES": devices[k % len(devices)]} if devices else {}
        resources = {"GPU": 1} if gpu else {}
        workers[k] = {"cls": Nanny, "options": common | {"env": env, "resources": resources}}
    options = {"host": LOOPBACK, "dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    return SpecCluster(
        workers=workers,
        scheduler={"cls": Scheduler, "options": options},
        silence_logs=logging.CRITICAL,
    )


def dask_setup(worker: Any) -> None:
    """Leave interrupts to the driver; called by dask in the embedded workers, as their preload."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def slurm_cluster(path: Path) -> Any:
    """Return a scheduler in this process with SLURM jobs as its workers, to be used as a context.

    Parameters
    ----------
    path : Path
        JSON: "jobs", their number, and arguments of dask_jobqueue.SLURMCluster.

    Returns
    -------
    dask_jobqueue.SLURMCluster
        Its jobs are submitted.
    """
    settings = _slurm_settings(path)
    jobs = settings.pop("jobs")
    cluster = _jobless(settings)
    cluster.scale(jobs=jobs)
    return cluster


def _jobless(settings: dict[str, Any]) -> Any:
    """Return the cluster of checked settings, before it submits anything."""
    before = signal.getsignal(signal.SIGINT)
    from dask_jobqueue import SLURMCluster

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, before)  # its import takes Ctrl-C, to end with exit code 0

    scheduler = {"dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    quiet = ["--no-dashboard", "--dashboard-address", f"{LOOPBACK}:0"]
    changed = {
        "scheduler_options": scheduler | settings.get("scheduler_options", {}),
        "worker_extra_args": quiet + settings.get("worker_extra_args", []),
    }
    try:
        return SLURMCluster(**(settings | changed))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            "`scheduler` must name a file of arguments of dask_jobqueue.SLURMCluster, which says: "
            f"{' '.join(str(error).split())}; see docs/cluster.md"
        ) from None


def _slurm_settings(path: Path) -> dict[str, Any]:
    """Return the checked content of a file of SLURM settings."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must hold JSON, got {error}; see docs/cluster.md") from None
    wanted = f"`scheduler` file {path} must hold"
    if not isinstance(settings, dict) or not isinstance(settings.get("jobs"), int):
        raise ValueError(f'{wanted} an object with the number of "jobs"; see docs/cluster.md')
    cores = settings.setdefault("cores", 1)
    if settings.setdefault("processes", cores) != cores:
        raise ValueError(
            f'{wanted} as many "processes" as "cores" (one task a thread, one thread a process), '
            f'got {settings["processes"]} and {cores}; leave "processes" out'
        )
    return settings
