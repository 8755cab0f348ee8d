"""Rows that take seconds to find, kept as JSON from one run to the next.

They lie in a folder of :func:`looprate.theory.cache.cache_folder`, at most :data:`KEPT` files each,
and may be removed at any time; ``LOOPRATE_CACHE=0`` neither reads nor writes any.  A file is named
by all that decides its numbers: the target, what its own functions are, the setting, the code of
this project and the versions of what it computes with.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from looprate.experiments.rows.records import digest
from looprate.experiments.study.source import source_digest
from looprate.theory.cache import cache_folder, trusted
from looprate.theory.outputs import write_atomically
from looprate.theory.sources import HERE
from looprate.theory.targets import Target, own_functions

Row = dict[str, Any]
KEPT = 200  # files, of about 10 kB each
OFF = "LOOPRATE_CACHE", "0"
DECIDE = (  # the numbers
    *("theory", "approx/enclosed"),
    *("experiments/study/followed.py", "experiments/study/certificates.py"),
)
LIBRARIES = ("numpy", "scipy", "torch")
PATIENCE, PAUSE = 120.0, 0.1  # seconds for another process that finds the same, and between looks


def place_of(kind: str, target: Target, setting: Row) -> Path | None:
    """Return the file of a row, None where none is kept.

    Parameters
    ----------
    kind : str
        Names the folder.
    target : Target
        Functions that were handed over, not named by a text, are not kept.
    setting : dict
        ``tokens``, ``dim``, and all else that decides the row: JSON, but ``p`` may be inf.
    """
    name, off = OFF
    named = all(":" in own.source for own in own_functions(target))
    folder = None if os.environ.get(name) == off or not named else cache_folder()
    if folder is None:
        return None
    own = source_digest(target, tokens=setting["tokens"], dim=setting["dim"])
    key = digest({"target": str(target), "own": own, **setting, "p": repr(setting["p"]), **_code()})
    return folder / kind / f"{key}.json"


@cache
def _code() -> Row:
    """Return what this project and its libraries are, as far as they decide rows."""
    files = [path for part in DECIDE for path in _files(HERE / part)]
    whole = hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()
    return {"code": whole, "libraries": {name: _version(name) for name in LIBRARIES}}


def _files(where: Path) -> list[Path]:
    """Return the Python files of a folder, or the one file."""
    return [where] if where.is_file() else sorted(where.rglob("*.py"))


def _version(name: str) -> str:
    """Return the version of an installed library, without importing it."""
    try:
        return version(name)
    except PackageNotFoundError:
        return ""


def kept_row(path: Path | None, column: str) -> Row | None:
    """Return the row of a file that is whole, nobody else's and has a column; else None."""
    with suppress(OSError, ValueError):
        if path is not None and trusted(path) and trusted(path.parent):
            row = json.loads(path.read_text())
            return row if isinstance(row, dict) and column in row else None
    return None


def keep(path: Path | None, row: Row) -> None:
    """Write a row, and remove the oldest of too many; a full disk is no error."""
    if path is None:
        return
    with suppress(OSError, ValueError):  # infinite numbers are no JSON
        path.parent.mkdir(exist_ok=True, mode=0o700)
        write_atomically(path, json.dumps(row, allow_nan=False))
        path.chmod(0o600)
        files = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in files[:-KEPT]:
            file.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(path: Path | None) -> Iterator[None]:
    """Wait while another process finds the row of a file, which can be read then.

    Parameters
    ----------
    path : Path or None
        Of :func:`place_of`.
    """
    stream = None
    with suppress(OSError):  # a full disk, or a file system without locks: both find it
        if path is not None:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            stream = (path.parent / ".lock").open("a")
            _wait(stream.fileno(), int(path.stem[:7], 16))
    try:
        yield
    finally:
        if stream is not None:
            stream.close()


def _wait(handle: int, place: int) -> None:
    """Hold one byte of a file, which stands for one row, or go on where that takes too long."""
    import fcntl

    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with suppress(BlockingIOError, PermissionError):
            return fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        time.sleep(PAUSE)
