"""Files written for the user: whole or not at all, and never in the place of what is no file.

Every output goes to a draft beside it, which its writer locks, and is moved into place at the end.
A draft without a living writer is what a killed program left; whoever writes next removes it.
"""

from __future__ import annotations

import errno
import glob
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

__all__ = [
    "checked_folder",
    "checked_output",
    "remove_dead_drafts",
    "replacing",
    "write_atomically",
]

DRAFT = ".draft"
LONGEST = 50  # characters of a file's name that its draft repeats; names have 255 bytes at most
SORTS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


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
            _check_sort(path)
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


def _error(code: int) -> OSError:
    """Return the error of a code, in the system's words."""
    return OSError(code, os.strerror(code))


def _check_sort(goal: Path) -> None:
    """Refuse what is no regular file, and what this program prints to."""
    found = goal.stat()
    if not stat.S_ISREG(found.st_mode):
        sort = SORTS.get(stat.S_IFMT(found.st_mode), "of another sort")
        raise OSError(errno.EINVAL, f"it is {sort}, not a regular file")
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
    _remove_dead(goal.parent.glob(f".{glob.escape(goal.name[:LONGEST])}.*{DRAFT}"))
    draft = goal.with_name(f".{goal.name[:LONGEST]}.{uuid4().hex[:8]}{DRAFT}")
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
    for draft in drafts:
        with suppress(OSError):  # held, gone meanwhile, or on a file system without locks
            handle = os.open(draft, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    _lock(handle, strict=True)
                    draft.unlink()
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
