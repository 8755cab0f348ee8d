"""Hosts of a cluster for tests: network namespaces with their own addresses, else this machine."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Place", "free_port", "kill", "loopback", "namespaces", "started", "wait_until"]

ROOT = Path(__file__).resolve().parents[2]
STARTING = 120.0  # seconds a process may take to start beside busy neighbours
#: Workers import a torch that only counts its threads: they start in 1 s, not in 5.
TORCH = """
__version__, threads = "stub", 1


def set_num_threads(n):
    global threads
    threads = n


def get_num_threads():
    return threads
"""


@dataclass(frozen=True)
class Place:
    """Where to start processes: a prefix of every command, and the address of the hub from here."""

    hub: str
    prefix: tuple[str, ...] = field(default=())


def loopback(count):
    """Return the hub and so many hosts, all this machine."""
    return [Place("127.0.0.1")] * (count + 1)


@contextmanager
def namespaces(count):
    """Yield the hub and so many hosts, each in its own network, or raise OSError with the reason.

    Nothing of this machine's own network is touched: cables run between the new ones alone.
    """
    missing = [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]
    if missing:
        raise OSError(f"needs {' and '.join(missing)}")
    with ExitStack() as stack:
        pids = [stack.enter_context(_namespace()) for _ in range(count + 1)]
        hub, *hosts = pids
        _ip(hub, "link set lo up")
        for k, host in enumerate(hosts, start=1):
            _ip(host, "link set lo up")
            _ip(hub, f"link add out{k} type veth peer name in{k}")
            _ip(hub, f"link set in{k} netns {host}")
            _ip(hub, f"addr add 10.77.{k}.1/24 dev out{k}")
            _ip(hub, f"link set out{k} up")
            _ip(host, f"addr add 10.77.{k}.2/24 dev in{k}")
            _ip(host, f"link set in{k} up")
        places = [Place("127.0.0.1", _enter(hub))]
        yield places + [Place(f"10.77.{k}.1", _enter(pid)) for k, pid in enumerate(hosts, start=1)]


@contextmanager
def _namespace():
    """Yield the id of a process in a network of its own."""
    command = ["unshare", "--net", "sh", "-c", "echo ready; exec sleep 600"]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        if holder.stdout.readline() != "ready\n":
            raise OSError("unshare --net is not allowed here")
        yield holder.pid
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()


def _enter(pid):
    """Return the prefix of a command that runs in the network of a process."""
    return ("nsenter", f"--net=/proc/{pid}/ns/net", "--")


def _ip(pid, words):
    """Run ip in the network of a process."""
    done = subprocess.run([*_enter(pid), "ip", *words.split()], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {words}: {done.stderr.strip()}")


@contextmanager
def started(place, arguments, folder, name, *, torch=TORCH, **variables):
    """Start Python in a session of its own; kill all of it at the end.  Output: folder/name.log."""
    stub = folder / f"torch of {name}"
    stub.mkdir(exist_ok=True)
    (stub / "torch.py").write_text(torch)
    path = os.pathsep.join([str(stub), str(ROOT / "tests"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "DASK_TEMPORARY_DIRECTORY": str(folder)}
    environment |= variables
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [*place.prefix, sys.executable, *map(str, arguments)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill(process)


def free_port():
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def kill(process):
    """SIGKILL a process with all its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition, seconds=STARTING):
    """Poll; tell whether the condition came true."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met
