"""Rows on disk: append-only JSON lines, one writer, safe against a kill at any moment.

Each row is one line of JSON, with the version and commit it comes from.  Rows of one task share the
digest ``task`` of everything that decides their numbers, carry their number ``of`` that task, and
are appended in one write; a task counts as done when all its rows are there, one after the other.
A last task torn by a kill (its last line without a newline, or fewer rows than ``of``) is dropped
when the next rows are appended; any other unreadable line is an error and nothing is touched.

A line ends with a digest of itself but for its wall time, which no two runs share; rows do not show
it.  Lines of versions before it have none.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from looprate.experiments.rows.provenance import provenance
from looprate.theory.outputs import (
    checked_folder,
    checked_input,
    remove_dead_drafts,
)

__all__ = ["RowStore", "digest", "exclusive", "read_rows"]

Row = dict[str, Any]
FRAME = {"task", "index", "of"}  # what the store adds to every row
CHECK, HEX = b', "check": "sha256:', 16  # and how a line ends: this, so many digits, and END
END = b'"}\n'
SECONDS = re.compile(rb'"seconds": [-+.0-9e]+')


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


def _of_path(error: OSError, path: Path) -> OSError:
    """Return an error that names its file, which errors of write and flush do not."""
    return OSError(error.errno, error.strerror or str(error), str(path))


def _lines(path: Path) -> Iterator[tuple[Row, int]]:
    """Yield every row of a file and where its line ends, but for a line torn in its middle."""
    end = 0
    with checked_input(path).open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            if not line.endswith(b"\n"):
                return  # torn by a kill in the middle of a write, even if it can be read
            end += len(line)
            yield _row(line, path, number), end


def _line_of(row: Row) -> bytes:
    """Return a row as a line with its digest."""
    text = json.dumps(row, allow_nan=False).encode()
    return text[:-1] + CHECK + _digest_of(text[:-1]) + END


def _digest_of(text: bytes) -> bytes:
    """Return the digest of a line's content, wall times left out."""
    return hashlib.sha256(SECONDS.sub(b"", text)).hexdigest()[:HEX].encode()


def _parsed(line: bytes) -> Row:
    """Return the row of a line, or raise a ValueError if it is none or not as it was written."""
    start = len(line) - len(CHECK) - HEX - len(END)
    mark, found = line[max(start, 0) :][: len(CHECK)], line[-len(END) - HEX : -len(END)]
    alike = sum(a == b for a, b in zip(mark, CHECK, strict=False))
    if 2 * alike > len(CHECK) and (mark != CHECK or found != _digest_of(line[:start])):
        raise ValueError("its digest does not match")
    try:
        row = json.loads(line.decode("utf-8"))
    except RecursionError:
        raise ValueError("its brackets nest too deep") from None
    if not isinstance(row, dict) or not row.keys() >= FRAME:
        raise ValueError("not a row")
    numbers = type(row["index"]) is type(row["of"]) is int and 0 <= row["index"] < row["of"]
    if not numbers or not isinstance(row["task"], str):
        raise ValueError("not a row of a task")
    if mark == CHECK:
        del row["check"]
    return row


def _row(line: bytes, path: Path, number: int) -> Row:
    """Return the row of a line or say where the file is unsound."""
    try:
        row = _parsed(line)
    except ValueError:
        raise CorruptRows(
            f"`{path.name}` must hold one JSON row a line, line {number} of {path} is not one "
            f"({line[:40]!r}); nothing was changed: delete that line (its task runs again), move "
            "the file away or take another --out"
        ) from None
    return row


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a file without those of a last task that is torn.

    Raises
    ------
    CorruptRows
        If any line but a torn last one is not a row.
    """
    rows: list[Row] = []
    whole = 0
    for row, _ in _lines(path) if path.exists() else ():
        rows.append(row)
        if row["index"] + 1 >= row["of"]:
            whole = len(rows)
    return rows[:whole]


class RowStore:
    """The rows of one file: read when asked for, appended at once.

    Memory holds the place of every task's rows, not the rows.

    Parameters
    ----------
    path : Path
        Created with its folder when the first rows arrive.

    Raises
    ------
    CorruptRows
        If any line but a torn last one is not a row.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts: dict[str, tuple[int, int]] = {}  # of each finished task: start, rows
        self._sound = 0  # bytes up to the end of the last whole task
        self._size = checked_input(path).stat().st_size if path.exists() else 0
        if self._size:
            self._find_tasks()

    def _find_tasks(self) -> None:
        """Note where finished tasks start; of rows stored twice the later ones count."""
        key, start, count, begin = "", 0, 0, 0
        for row, end in _lines(self.path):
            if row["index"] == 0:
                key, start, count = row["task"], begin, 0
            if row["task"] == key and row["index"] == count:
                count += 1
                if count == row["of"]:
                    self._starts[key] = start, count
            else:
                key = ""  # rows of a task that is not whole
            if row["index"] + 1 >= row["of"]:
                self._sound = end
            begin = end

    def __contains__(self, key: str) -> bool:
        """Whether the rows of a finished task are here; reads nothing."""
        return key in self._starts

    def __len__(self) -> int:
        """Number of finished tasks."""
        return len(self._starts)

    def keys(self) -> list[str]:
        """Return the finished tasks in the order in which they are stored."""
        return sorted(self._starts, key=self._starts.__getitem__)

    def task(self, key: str) -> list[Row] | None:
        """Return the rows of a finished task in order, or None."""
        lines = self.lines(key)
        return None if lines is None else list(map(_parsed, lines))

    def lines(self, key: str) -> list[bytes] | None:
        """Return the rows of a finished task as they are on disk, or None."""
        if key not in self._starts:
            return None
        start, count = self._starts[key]
        with self.path.open("rb") as stream:
            stream.seek(start)
            return [stream.readline() for _ in range(count)]

    def append(self, key: str, rows: Sequence[Row]) -> list[Row]:
        """Append the rows of one task, with their provenance, in one write; return them so.

        Raises
        ------
        OSError
            With the path, if it cannot be written, as on a full disk; rows stored before stay.
        CorruptRows
            If another program changed the file meanwhile.
        """
        frames = ({"task": key, "index": index, "of": len(rows)} for index in range(len(rows)))
        origin = provenance()
        stored = [
            _clean({**frame, **row, **{name: origin[name] for name in origin if name not in row}})
            for frame, row in zip(frames, rows, strict=True)
        ]
        start = self._sound
        self._write(b"".join(map(_line_of, stored)))
        if stored:
            self._starts[key] = start, len(stored)
        return stored

    def _write(self, content: bytes) -> None:
        """Put bytes behind the last whole task: all of them, or none."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self.path.open("ab") as stream:
                self._check_size(os.fstat(stream.fileno()).st_size)
                stream.truncate(self._sound)  # drops a torn last task, nothing else
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())  # to outlast a power cut
        except OSError as error:
            with suppress(OSError):
                os.truncate(self.path, self._sound)
                self._size = self._sound
            raise _of_path(error, self.path) from None
        self._sound += len(content)
        self._size = self._sound

    def _check_size(self, size: int) -> None:
        """Refuse to write where somebody else wrote: truncating would lose their rows."""
        if size != self._size:
            raise CorruptRows(
                f"`{self.path.name}` must have one writer, {self.path} has {size} bytes instead of "
                f"{self._size}: another program changed it; nothing was written: run the same "
                "command again"
            )


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
    checked_folder(folder)
    stream: TextIO = checked_input(folder / ".lock").open("a")
    try:
        import fcntl

        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"`--out` must not be in use, another run is writing to {folder}; "
                "wait for it or take another folder"
            ) from None
        except OSError as error:  # a file system without locks
            raise _of_path(error, folder / ".lock") from None
        remove_dead_drafts(folder)
        yield
    finally:
        stream.close()
