"""Rows on disk: append-only JSON lines, one writer, safe against a kill at any moment.

Each row is one line of JSON, with the version and commit it comes from.  Rows of one task share the
digest ``task`` of everything that decides their numbers, carry their number ``of`` that task, and
are appended in one write; a task counts as done when all its rows are there.  A last task torn by a
kill (its last line without a newline, or fewer rows than ``of``) is dropped when the next rows are
appended; any other unreadable line is an error and nothing is touched.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from experiments.provenance import provenance

__all__ = [
    "CorruptRows",
    "RowStore",
    "digest",
    "exclusive",
    "read_rows",
    "write_atomically",
    "write_npz",
]

Row = dict[str, Any]
FRAME = {"task", "index", "of"}  # what the store adds to every row


class CorruptRows(ValueError):
    """A rows file that cannot be read; the message says where and what to do."""


def digest(facts: Any) -> str:
    """Return a short digest of JSON-ready facts."""
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _clean(value: Any) -> Any:
    """Replace non-finite numbers by None, recursively: JSON has no word for them."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader or a kill sees the old or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as stream:
        stream.write(content.encode() if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)


def write_npz(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named arrays atomically, without pickled objects."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(path, buffer.getvalue())


def read_rows(path: Path) -> tuple[list[Row], int]:
    """Return the rows of a file and the length in bytes of its sound part.

    A last task that is torn belongs to neither.

    Raises
    ------
    CorruptRows
        If any line but a torn last one is not a row.
    """
    if not path.exists():
        return [], 0
    rows: list[Row] = []
    sizes: list[int] = []
    data = path.read_bytes()
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if not line.endswith(b"\n"):
            break  # torn by a kill in the middle of a write, even if it can be read
        try:
            row = json.loads(line.decode("utf-8"))
            if not isinstance(row, dict) or not row.keys() >= FRAME:
                raise ValueError("not a row")
        except ValueError:
            raise CorruptRows(
                f"`{path.name}` must hold one JSON row a line, line {number} of {path} is not one "
                f"({line[:40]!r}); nothing was changed: move the file away or take another --out"
            ) from None
        rows.append(row)
        sizes.append(len(line))
    while rows and rows[-1]["index"] + 1 < rows[-1]["of"]:
        rows.pop(), sizes.pop()
    return rows, sum(sizes)


class RowStore:
    """The rows of one file, held in memory and appended on disk.

    Parameters
    ----------
    path : Path
        Created with its folder when the first rows arrive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        rows, self._sound = read_rows(path)
        self._tasks: dict[str, dict[int, Row]] = {}
        self._remember(rows)

    def _remember(self, rows: Sequence[Row]) -> None:
        """File rows under their task and index."""
        for row in rows:
            self._tasks.setdefault(row["task"], {})[row["index"]] = row

    def task(self, key: str) -> list[Row] | None:
        """Return the rows of a finished task in order, or None."""
        found = self._tasks.get(key, {})
        if not found or len(found) < next(iter(found.values()))["of"]:
            return None
        return [found[index] for index in sorted(found)]

    def append(self, key: str, rows: Sequence[Row]) -> list[Row]:
        """Append the rows of one task, with their provenance, in one write; return them so."""
        stored = [
            _clean({"task": key, "index": index, "of": len(rows), **row, **provenance()})
            for index, row in enumerate(rows)
        ]
        text = "".join(json.dumps(row, allow_nan=False) + "\n" for row in stored)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as stream:
            stream.truncate(self._sound)  # drops a torn last task, nothing else
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        self._sound += len(text.encode())
        self._remember(stored)
        return stored


@contextmanager
def exclusive(folder: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock ends with the process, however it ends.

    Raises
    ------
    ValueError
        If another process holds it.
    OSError
        If the folder cannot be created or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stream: TextIO = (folder / ".lock").open("a")
    try:
        import fcntl

        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"`--out` must not be in use, another run is writing to {folder}; "
                "wait for it or take another folder"
            ) from None
        yield
    finally:
        stream.close()
