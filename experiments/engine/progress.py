"""A progress bar with ETA, on stderr, that stays silent for quick work."""

from __future__ import annotations

import sys

__all__ = ["Progress"]

STEPS = 10_000  # of the bar: whole ones, whose sum never passes the end

FORMAT = "{desc} {percentage:3.0f}% |{bar:20}| {elapsed} gone, {remaining} to go{postfix}"


class Progress:
    """Counts cost up to a total; use as a context.

    Parameters
    ----------
    total : float
        What :meth:`to` ends at.
    label : str
    """

    def __init__(self, total: float, label: str) -> None:
        import threading

        from tqdm import tqdm

        tqdm.set_lock(threading.RLock())  # its default lock leaks a semaphore at exit
        self.total = max(total, 1e-300)
        self.bar = tqdm(
            total=STEPS,
            desc=label,
            file=sys.stderr,
            delay=1.0,
            mininterval=0.2 if sys.stderr.isatty() else 10.0,
            bar_format=FORMAT,
        )

    def to(self, value: float, note: str = "") -> None:
        """Move to ``value`` of the total, never back and never beyond it."""
        if note:
            self.bar.set_postfix_str(note, refresh=False)
        self.bar.update(max(0, int(STEPS * min(1.0, value / self.total)) - self.bar.n))

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()
