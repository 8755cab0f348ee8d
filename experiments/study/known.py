"""Facts of a target, kept from one run to the next where they take seconds to find.

They lie as JSON in the folder ``facts`` of :func:`looprate.theory.cache.cache_folder`, at most
:data:`KEPT` files, and may be removed at any time; ``LOOPRATE_CACHE=0`` neither reads nor writes
any.  A file is named by all that decides its numbers: the target, what its own functions are, the
setting, the code of this project and the versions of what it computes with.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from looprate.experiments.rows.records import digest
from looprate.experiments.study.followed import followed
from looprate.experiments.study.source import source_digest
from looprate.theory.cache import cache_folder, trusted
from looprate.theory.facts import Facts, facts_of, has_closed_forms, stored_facts
from looprate.theory.gate import SECONDS
from looprate.theory.outputs import write_atomically
from looprate.theory.sources import HERE
from looprate.theory.targets import Target, own_functions

__all__ = ["known_facts"]

KEPT = 200  # files, of about 10 kB each
OFF = "LOOPRATE_CACHE", "0"
DECIDE = ("theory", "approx/enclosed", "experiments/study/followed.py")  # the numbers
LIBRARIES = ("numpy", "scipy", "torch")


def known_facts(
    target: Target,
    *,
    tokens: int,
    dim: int,
    p: float,
    searched: bool = False,
    seconds: float = SECONDS,
    report: Callable[[float], None] | None = None,
) -> Facts:
    """Return what is known of a target, torch functions followed, from a file where there is one.

    Parameters and errors are those of :func:`looprate.theory.facts.facts_of`.
    """
    shape: dict[str, Any] = {"tokens": tokens, "dim": dim, "p": p}
    how: dict[str, Any] = {"searched": searched, "seconds": seconds}
    slow = searched or not has_closed_forms(target, **shape)
    named = all(":" in own.source for own in own_functions(target))  # by a text, not handed over
    path = _path(target, {**shape, **how}) if slow and named else None
    if path is not None and (row := _read(path)) is not None:
        return stored_facts(row, target)
    facts = facts_of(target, **shape, **how, follow=followed, report=report)
    if path is not None:
        _keep(path, facts)
    return facts


def _path(target: Target, setting: dict[str, Any]) -> Path | None:
    """Return where facts are kept, None where they are not."""
    name, off = OFF
    folder = None if os.environ.get(name) == off else cache_folder()
    if folder is None:
        return None
    own = source_digest(target, tokens=setting["tokens"], dim=setting["dim"])
    key = digest({"target": str(target), "own": own, **setting, "p": repr(setting["p"]), **_code()})
    return folder / "facts" / f"{key}.json"


@cache
def _code() -> dict[str, Any]:
    """Return what this project and its libraries are, as far as they decide facts."""
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


def _read(path: Path) -> dict[str, Any] | None:
    """Return the row of a file that is whole and nobody else's, else None."""
    with suppress(OSError, ValueError):
        if trusted(path) and trusted(path.parent):
            row = json.loads(path.read_text())
            return row if isinstance(row, dict) and "uncertified" in row else None
    return None


def _keep(path: Path, facts: Facts) -> None:
    """Write facts, and remove the oldest of too many; a full disk is no error."""
    with suppress(OSError, ValueError):  # infinite numbers are no JSON
        path.parent.mkdir(exist_ok=True, mode=0o700)
        write_atomically(path, json.dumps(facts.as_row(), allow_nan=False))
        path.chmod(0o600)
        files = sorted(path.parent.glob("*.json"), key=lambda file: file.stat().st_mtime)
        for file in files[:-KEPT]:
            file.unlink(missing_ok=True)
