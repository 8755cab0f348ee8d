"""What a long search has come to, kept in one file: a kill costs no more than the last seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from looprate.theory.stored_arrays import read_arrays, write_arrays

State = TypeVar("State")
EVERY = 20.0  # seconds between writes of what is not finished


class Progress:
    """Dataclasses of arrays under names of their own, in one .npz file for several questions.

    Parameters
    ----------
    path : Path or None
        None keeps nothing.
    stamp : str
        Digest of the question; what is kept of others stays in the file, unread.
    """

    def __init__(self, path: Path | None, stamp: str = "") -> None:
        self.path, self.stamp = path, stamp
        self._last = time.monotonic()
        self._arrays: dict[str, np.ndarray] = {}
        if path is not None:
            with suppress(OSError, ValueError):  # none yet, or torn: begin again
                self._arrays = read_arrays(path)

    def load(self, name: str, kind: Callable[..., State]) -> State | None:
        """Return the dataclass kept under a name, None where there is none."""
        keys = [self._key(name, f.name) for f in fields(kind)]  # type: ignore[arg-type]
        if not all(key in self._arrays for key in keys):
            return None
        return kind(*(self._arrays[key] for key in keys))

    def save(self, name: str, state: Any, *, over: str = "") -> None:
        """Keep a dataclass at once; what begins with ``over`` is not needed any more."""
        if over:
            first = self._key(over, "")[:-1]
            self._arrays = {k: v for k, v in self._arrays.items() if not k.startswith(first)}
        self._arrays |= {
            self._key(name, f.name): np.asarray(getattr(state, f.name)) for f in fields(state)
        }
        self._last = time.monotonic()
        if self.path is not None:
            write_arrays(self.path, self._arrays)

    def save_now_and_then(self, name: str, state: Callable[[], Any]) -> None:
        """Keep what is under way, where the last write was some time ago."""
        if self.path is not None and time.monotonic() - self._last >= EVERY:
            self.save(name, state())

    def _key(self, name: str, field: str) -> str:
        """The name of one array in the file."""
        return f"{self.stamp}.{name}.{field}"
