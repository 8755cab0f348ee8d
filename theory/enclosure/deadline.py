"""A time after which enclosures are computed no further, one for each thread."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["OutOfTimeError", "time_limit", "until"]

_NOW = threading.local()


class OutOfTimeError(Exception):
    """The time of a search is over; what it knows so far stands."""


@contextmanager
def until(end: float) -> Iterator[None]:
    """Let enclosures of this thread raise :class:`OutOfTimeError` after ``end``, monotonic time."""
    before = getattr(_NOW, "end", math.inf)
    _NOW.end = min(before, end)
    try:
        yield
    finally:
        _NOW.end = before


def time_limit() -> float:
    """Return when the time of this thread is over."""
    return float(getattr(_NOW, "end", math.inf))


def check_time() -> None:
    """Raise :class:`OutOfTimeError` if the time of this thread is over."""
    if time.monotonic() > getattr(_NOW, "end", math.inf):
        raise OutOfTimeError
