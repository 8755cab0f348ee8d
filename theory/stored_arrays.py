"""Arrays from .npz files of this program: every byte of them checked, or refused in one line."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from looprate.theory.outputs import checked_input, replacing

__all__ = ["read_arrays", "write_arrays"]


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Write arrays by name atomically (npz, no objects)."""
    with replacing(path) as draft, draft.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def read_arrays(path: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a file that ``numpy.savez`` wrote, by name.

    NumPy alone reads past the checksums where the header of an array was changed; here they are
    compared first.  Members must not be compressed, so memory stays within the file's size.

    Raises
    ------
    ValueError
        In one line with the path, if the file is damaged, cut or none of these.
    OSError
        If it cannot be opened.
    """
    try:
        with checked_input(path).open("rb") as stream, zipfile.ZipFile(stream) as archive:
            members = archive.infolist()
            if any(member.compress_type != zipfile.ZIP_STORED for member in members):
                raise ValueError("a member is compressed")
            size = path.stat().st_size
            if sum(member.file_size for member in members) > size:
                raise ValueError("a member is longer than the file")
            if (name := archive.testzip()) is not None:
                raise ValueError(f"the checksum of {name} is wrong")
            if archive.comment or len(set(archive.namelist())) != len(members) or not members:
                raise ValueError("its list of members is not as it was written")
            stream.seek(0)
            with np.load(stream, allow_pickle=False) as stored:
                return {name: stored[name] for name in stored.files}
    except OSError as error:
        if error.errno is not None:  # of the system; others are of damaged archives
            raise
        reason = str(error)
    except (
        *(ValueError, KeyError, EOFError, RuntimeError, NotImplementedError, TypeError),
        *(IndexError, OverflowError, MemoryError, SyntaxError, RecursionError, AttributeError),
        *(zipfile.BadZipFile, zlib.error, struct.error),
    ) as error:
        reason = str(error) or type(error).__name__
    raise ValueError(
        f"`{path.name}` must be whole arrays as .npz, {path} is not ({' '.join(reason.split())}); "
        "delete it, and the command that made it makes it again"
    ) from None
