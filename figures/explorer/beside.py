"""What takes longer than a hand waits, beside a page: in a thread, one thing after the other."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from bokeh.document import Document


def tell(document: Document, act: Callable[[], None]) -> None:
    """Let a thread beside a page do something on the page, unless its reader has left.

    Parameters
    ----------
    document : Document
    act : callable
        Called at the document's next tick.
    """
    with suppress(AttributeError):  # a page that has ended takes nothing any more
        document.add_next_tick_callback(act)


class Beside:
    """Does one thing after the other; of those that wait, only the last one.

    Parameters
    ----------
    document : Document
        Whose page it is.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        self.worker = ThreadPoolExecutor(1)
        self.waiting: Future[None] | None = None

    def start(self, work: Callable[[], Any], told: Callable[[Any], None]) -> None:
        """Do something, and tell what it returned or raised at the document's next tick."""

        def run() -> None:
            try:
                found: Any = work()
            except Exception as error:  # told on the page
                found = error
            tell(self.document, lambda: told(found))

        if self.waiting is not None:
            self.waiting.cancel()
        self.waiting = self.worker.submit(run)

    def end(self) -> None:
        """End for a reader who has left."""
        self.worker.shutdown(wait=False, cancel_futures=True)
