"""Bounds that take seconds are found beside the page, which shows the old function till then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any

from bokeh.document import Document

from looprate.figures.explorer import views
from looprate.figures.explorer.beside import Beside
from looprate.figures.explorer.setting import Setting

DECISIVE = frozenset(field.name for field in fields(views.Subject))  # of a setting


class Finder:
    """Looks for the bounds of the function that a reader asked for last.

    Parameters
    ----------
    document : Document
        Whose page it is.
    setting : Setting
        Whose bounds are at hand.
    told : callable
        ``(changes, error) -> None``, called when the bounds of the setting with these changes are
        at hand, or with the error that there is in their place.

    Attributes
    ----------
    sought : dict
        Changes of the setting that wait for their bounds.
    """

    def __init__(
        self,
        document: Document,
        setting: Setting,
        told: Callable[[dict[str, Any], Exception | None], None],
    ) -> None:
        self.beside, self.told = Beside(document), told
        self.served = document.session_context is not None
        self.met = {views.subject_of(setting)}
        self.sought: dict[str, Any] = {}

    def with_sought(self, changes: dict[str, Any]) -> dict[str, Any]:
        """Return changes with those that wait, if they are of the function; these wait no more."""
        if DECISIVE.isdisjoint(changes):
            return changes
        waiting, self.sought = self.sought, {}
        return waiting | changes

    def sent(self, changes: dict[str, Any], setting: Setting) -> bool:
        """Tell whether a changed setting's bounds take long; then they are looked for by now."""
        subject = views.subject_of(setting)
        if not self.served or subject in self.met or views.is_quick(subject):
            return False
        self.sought = changes

        def told(found: Any) -> None:
            if self.sought is changes:  # else the reader is elsewhere by now
                self.sought = {}
                error = found if isinstance(found, Exception) else None
                self.met |= {subject} if error is None else set()
                self.told(changes, error)

        self.beside.start(lambda: views.bound_rows(setting), told)
        return True
