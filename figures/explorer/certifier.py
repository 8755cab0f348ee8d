"""A certificate of a network's error, made beside the page, and its button."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bokeh.document import Document
from bokeh.models import Button

from looprate.figures.explorer import views
from looprate.figures.explorer.beside import Beside
from looprate.figures.explorer.setting import Setting
from looprate.figures.explorer.words import in_words

CERTIFY, CERTIFYING = "Certify this network", "certifying ..."


class Certifier:
    """Certifies one network after the other; of those that wait, only the last one asked for.

    Parameters
    ----------
    document : Document
        Whose page it is.
    button : Button
    drawn : callable
        ``(setting, row) -> None``, called with a row of
        :func:`looprate.figures.explorer.views.constructed_row`.
    refused : callable
        ``words -> None``, called where a network that the reader asked for cannot be certified.
    """

    def __init__(
        self,
        document: Document,
        button: Button,
        drawn: Callable[[Setting, dict[str, Any]], None],
        refused: Callable[[str], None],
    ) -> None:
        self.button, self.drawn, self.refused = button, drawn, refused
        self.beside = Beside(document)

    def start(self, setting: Setting, *, quick: bool) -> None:
        """Certify a setting's network; a quick certificate is one that nobody asked for."""
        self.button.update(label=CERTIFYING, disabled=True)
        self.beside.start(
            lambda: views.constructed_row(setting, quick=quick),
            lambda found: self._told(setting, found, quick),
        )

    def _told(self, setting: Setting, found: Any, quick: bool) -> None:
        """Take a certificate, or what was in its way."""
        self.button.update(label=CERTIFY, disabled=False)
        if isinstance(found, Exception):
            words = in_words(found)
        elif found["upper"] is None:
            words = f"the network's error cannot be enclosed: {found['reason']}"
        else:
            self.drawn(setting, found)
            return
        if not quick:
            self.refused(words)

    def end(self) -> None:
        """End for a reader who has left."""
        self.beside.end()
