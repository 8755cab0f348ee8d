"""The folder where compiled kernels and found facts are kept from one run to the next."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

__all__ = ["cache_folder", "trusted"]


def cache_folder() -> Path | None:
    """Return ``$XDG_CACHE_HOME/looprate``, by default ``~/.cache/looprate``, made where needed.

    None where it cannot be written, or others may write to it.
    """
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(cache) / "looprate"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder if trusted(folder.resolve()) else None
    except (OSError, RuntimeError):  # no home, or a full or read-only one
        return None


def trusted(path: Path) -> bool:
    """Tell whether a file or folder is this user's, and nobody else may write to it.

    Parameters
    ----------
    path : Path
    """
    found = path.lstat()
    return (
        (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
        and found.st_uid == os.geteuid()
        and not found.st_mode & 0o022
    )
