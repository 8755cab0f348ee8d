"""A word on the terminal while a command has nothing to show yet."""

from __future__ import annotations

import sys
from contextlib import suppress
from threading import Lock, Timer
from typing import Any

__all__ = ["Waiting"]

PATIENCE = 0.4  # seconds of silence before it is said that a command is at work
ERASE = "\r\x1b[K"


class Waiting:
    """Says on a terminal that a command is at work, until it says something itself; a context.

    Parameters
    ----------
    words : str
        What to say.  It is erased again; where stderr is no terminal nothing is said.
    """

    def __init__(self, words: str) -> None:
        self.words, self.shown, self.over = words, False, False
        self.lock = Lock()
        self.timer = Timer(PATIENCE, self._say)
        self.timer.daemon = True

    def __enter__(self) -> Waiting:
        self.streams = sys.stdout, sys.stderr
        if self.streams[1].isatty():
            sys.stdout, sys.stderr = (_Watched(stream, self.end) for stream in self.streams)
            self.timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        sys.stdout, sys.stderr = self.streams

    def _say(self) -> None:
        with self.lock, suppress(OSError, ValueError):  # nobody reads it
            if not self.over:
                self.shown = True
                self.streams[1].write(self.words)
                self.streams[1].flush()

    def end(self) -> None:
        """Erase the words, if they were said, and say them no more."""
        if self.over:
            return
        with self.lock, suppress(OSError, ValueError):
            self.over = True
            self.timer.cancel()
            if self.shown:
                self.streams[1].write(ERASE)
                self.streams[1].flush()


class _Watched:
    """A stream that calls a function before it is written to."""

    def __init__(self, stream: Any, before: Any) -> None:
        self._stream, self._before = stream, before

    def write(self, text: str) -> int:
        if text and self._stream.isatty():
            self._before()
        return int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
