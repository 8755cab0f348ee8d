"""Files written for the user: whole or not at all, and never in the place of what is no file.

Every output goes to a draft beside it, which its writer locks, and is moved into place at the end.
A draft without a living writer is what a killed program left; whoever writes next removes it.
"""

from __future__ import annotations

import errno
import glob
import json
import math
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from pathlib import Path
from typing import Any
from uuid import uuid4

__all__ = [
    "at_least",
    "at_most",
    "checked_folder",
    "checked_input",
    "checked_output",
    "one_line",
    "remove_dead_drafts",
    "replacing",
    "replacing_folder",
    "strict_json",
    "write_atomically",
]

DRAFT = ".draft"
LONGEST = 50  # characters of a file's name that its draft repeats; names have 255 bytes at most
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_FILE = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENOTDIR)
SORTS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def at_least(value: float, digits: int = 6) -> str:
    """Return a proven lower side in words: rounded down, so that what is printed is proven, too.

    Parameters
    ----------
    value : float
    digits : int, optional
        Significant ones, at most 15.
    """
    return _rounded(value, digits, ROUND_FLOOR)


def at_most(value: float, digits: int = 6) -> str:
    """Return a proven upper side in words: rounded up.

    Parameters
    ----------
    value : float
    digits : int, optional
        Significant ones, at most 15.
    """
    return _rounded(value, digits, ROUND_CEILING)


def _rounded(value: float, digits: int, direction: str) -> str:
    """A number of few digits on the true side of its shortest decimal."""
    near = Context(prec=digits, rounding=direction).create_decimal(repr(float(value)))
    return f"{float(near):.{digits}g}"


def checked_output(path: Path) -> Path:
    """Return the regular file an output goes to: there already, or possible; links are followed.

    Parameters
    ----------
    path : Path

    Raises
    ------
    OSError
        With the path, if it is a folder, a device, a pipe, a link to nothing or to one of these,
        the file that standard output or error goes to, or may not be written.
    """
    goal = path
    with _named(path):
        if path.exists():
            _check_sort(path.stat())
            _check_not_printed_to(path.stat())
        if path.is_symlink():
            goal = Path(os.path.realpath(path, strict=True))
        above = next(p for p in goal.absolute().parents if os.path.lexists(p))
        if not above.is_dir():
            raise _error(errno.ENOTDIR)
        if not os.access(above, os.W_OK | os.X_OK):
            raise _error(errno.EACCES)
        if goal.exists() and not os.access(goal, os.W_OK):
            raise _error(errno.EACCES)
    return goal


def checked_input(path: Path) -> Path:
    """Return the path of a file in a folder of ours, before it is opened: a pipe would wait.

    Raises
    ------
    OSError
        With the path, if there is something other than a regular file.
    """
    with _named(path):
        if path.exists():
            _check_sort(path.stat())
    return path


def _error(code: int) -> OSError:
    """Return the error of a code, in the system's words."""
    return OSError(code, os.strerror(code))


def _check_sort(found: os.stat_result) -> None:
    """Refuse what is no regular file."""
    if not stat.S_ISREG(found.st_mode):
        sort = SORTS.get(stat.S_IFMT(found.st_mode), "of another sort")
        raise OSError(errno.EINVAL, f"it is {sort}, not a regular file")


def _check_not_printed_to(found: os.stat_result) -> None:
    """Refuse the file that this program prints to."""
    for stream in (1, 2):
        with suppress(OSError):
            if os.path.samestat(found, os.fstat(stream)):
                break
    else:
        return
    raise OSError(errno.EINVAL, "it is what this command prints to")


def checked_folder(path: Path) -> Path:
    """Make a folder if need be and return it.

    Raises
    ------
    OSError
        With the path, if there is something else or it cannot be made.
    """
    with _named(path):
        if os.path.lexists(path) and not path.is_dir():
            raise _error(errno.ENOTDIR)
        path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def _named(path: Path, draft: Path | None = None) -> Iterator[None]:
    """Make errors name the path, which those of write and flush, and of its draft, do not."""
    try:
        yield
    except OSError as error:
        if draft is not None and error.filename not in (None, str(draft)):
            raise  # of another file
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a draft to write to, then put it in the path's place in one step.

    A reader, or a kill at any moment, sees the old file or the new one, never a part.

    Parameters
    ----------
    path : Path
        See :func:`checked_output`; its folder is made if need be.

    Yields
    ------
    Path
        An empty file of this writer alone.

    Raises
    ------
    OSError
        With the path, if it cannot be written; what was there is as it was.
    """
    goal = checked_output(path)
    with _named(path):
        goal.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft_of(goal)
    with _named(path, draft):
        handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            _lock(handle)
            yield draft
            if goal.exists():
                os.fchmod(handle, stat.S_IMODE(goal.stat().st_mode))
            os.fsync(handle)  # what was written outlasts a power cut
            draft.replace(goal)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)  # of no use, and a full disk needs the room
            os.close(handle)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a folder to write to, then put it in the path's place, as :func:`replacing` does.

    Parameters
    ----------
    path : Path
        A new or empty folder.

    Yields
    ------
    Path
        An empty folder of this writer alone.

    Raises
    ------
    OSError
        With the path, if it cannot be written.
    """
    with _named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    draft = _draft_of(path)
    with _named(path, draft):
        draft.mkdir()
        handle = os.open(draft, os.O_RDONLY)
        try:
            _lock(handle)
            yield draft
            draft.replace(path)
        finally:
            shutil.rmtree(draft, ignore_errors=True)  # gone already if all went well
            os.close(handle)


def _draft_of(goal: Path) -> Path:
    """Return the path of a new draft; remove those that killed writers of the same file left."""
    start = f".{goal.name[:LONGEST]}."
    _remove_dead(goal.parent.glob(f"{glob.escape(start)}*{DRAFT}"))
    return goal.with_name(f"{start}{uuid4().hex[:8]}{DRAFT}")


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file by :func:`replacing`.

    Raises
    ------
    OSError
        With the path, if it cannot be written; the old file is as it was.
    """
    with replacing(path) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)


def remove_dead_drafts(folder: Path) -> None:
    """Remove the drafts, at any depth of a folder, whose writers were killed."""
    _remove_dead(folder.rglob(f".*{DRAFT}"))


def _remove_dead(drafts: Iterable[Path]) -> None:
    """Remove drafts that nobody holds."""
    for draft in list(drafts):
        with suppress(OSError):  # held, gone meanwhile, or on a file system without locks
            mode = os.O_RDONLY if draft.is_dir() else os.O_RDWR
            handle = os.open(draft, mode | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                sort = stat.S_IFMT(os.fstat(handle).st_mode)
                if sort in (stat.S_IFREG, stat.S_IFDIR):
                    _lock(handle, strict=True)
                    draft.unlink() if sort == stat.S_IFREG else shutil.rmtree(draft)
            finally:
                os.close(handle)


def _lock(handle: int, *, strict: bool = False) -> None:
    """Hold a file until it is closed or this process ends, however it ends."""
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another, or a file system without locks
        if strict:
            raise


def strict_json(value: Any) -> str:
    """Return a value as JSON, null where a number is not finite."""
    return json.dumps(_finite(value), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return a value with None for every number in it that is infinite or none."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def one_line(error: Exception) -> str:
    """Return an error's message on one line."""
    if isinstance(error, OSError) and error.strerror and not error.filename:
        return f"cannot print: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        cure = "check the path and its permissions"
        if error.errno in NO_FILE:
            cure = "name another"
        if error.errno in FULL:
            cure = "free some space and run the same command again, finished work is kept"
        return f"cannot use {error.filename}: {error.strerror}; {cure}"
    return " ".join(str(error).split())
