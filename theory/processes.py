"""Processes of this package: children end with their parent, streams exist and take any letter."""

from __future__ import annotations

import codecs
import os
import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

__all__ = [
    "Stopped",
    "become_child",
    "finish",
    "interrupts_blocked",
    "open_streams",
    "stop_on_signals",
]

ENDS = (signal.SIGTERM, signal.SIGHUP)  # what tells a process to end, beside Ctrl-C
LOOK = 0.2  # seconds between looks at the parent
AGAIN = 0.05  # seconds until an end that could not be raised is asked for again
PLAIN = {
    **{"≤": "<=", "≥": ">=", "≈": "~", "≠": "!=", "×": "x", "·": "*", "−": "-", "→": "->"},
    **{"–": "-", "—": "-", "…": "...", "∞": "inf", "√": "sqrt", "∈": "in", "½": "1/2"},
    **{"∀": "for all", "∃": "there is", "⇒": "=>", "⌈": "ceil(", "⌉": ")", "⌊": "floor(", "⌋": ")"},
    **{"‘": "'", "’": "'", "“": '"', "”": '"', "‖": "||", "∑": "sum", "│": "|", "─": "-"},
}


class Stopped(KeyboardInterrupt):
    """This process was told to end by a signal other than Ctrl-C's.

    Attributes
    ----------
    code : int
        Its exit code: 128 and the signal's number.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def stop_on_signals() -> None:
    """Raise :class:`Stopped` when told to terminate, so that children and drafts are tidied up."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    for number in ENDS:
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores SIGHUP
            signal.signal(number, stop)
    _ask_again_where_an_end_is_lost(stop)


def _ask_again_where_an_end_is_lost(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let an end raised where nothing can be raised, in a finaliser say, come again a moment later.

    Python would print it, with its traceback, and go on.
    """
    usual = sys.unraisablehook

    def hook(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt | SystemExit):
            usual(lost)
        elif not sys.is_finalizing():
            code = getattr(lost.exc_value, "code", None)
            number = code - 128 if isinstance(code, int) and code > 128 else signal.SIGINT
            if signal.getsignal(number) is signal.SIG_IGN:  # see become_child
                signal.signal(number, handler)
            again = threading.Timer(AGAIN, os.kill, (os.getpid(), number))
            again.daemon = True
            again.start()

    sys.unraisablehook = hook


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Start children here: signals wait until they are there, and Ctrl-C is the parent's alone.

    A terminal sends Ctrl-C to all; children, see :func:`become_child`, never hear of it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, *ENDS})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def become_child(parent: int) -> None:
    """End in silence when told to, or soon after the parent, however that ended.

    Parameters
    ----------
    parent : int
        Its process id.
    """

    def end(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_IGN)  # once is enough
        raise SystemExit(128 + number)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(LOOK)
        os._exit(128 + signal.SIGTERM)  # drafts go with the next run

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end)
    _ask_again_where_an_end_is_lost(end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)  # blocked while it was started
    threading.Thread(target=watch, daemon=True).start()


def finish(code: int) -> NoReturn:
    """End this process, whose work is done, undisturbed by further signals."""
    for number in (signal.SIGINT, *ENDS):
        signal.signal(number, signal.SIG_IGN)
    if code > 128:  # an end that was asked for: nothing delays it, nothing complains
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def open_streams() -> None:
    """Open the standard streams that are closed, and let all print what they cannot encode."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
    codecs.register_error("looprate", _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="looprate")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Return what to print for characters that a stream cannot encode."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_ascii, error.object[error.start : error.end])), error.end


def _ascii(letter: str) -> str:
    """Return a character in ASCII: in other letters, by its Greek name, or by its number."""
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name
        return f"\\x{ord(letter) - 0xDC00:x}"
    name = unicodedata.name(letter, "").split()
    if name[:1] == ["GREEK"] and "LETTER" in name:
        word = name[name.index("LETTER") + 1].lower()
        return word.capitalize() if "CAPITAL" in name else word
    simple = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
    if unicodedata.combining(letter):
        return ""
    return PLAIN.get(letter) or simple or letter.encode("ascii", "backslashreplace").decode()
