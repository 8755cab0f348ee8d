"""Rows about one target that print, as text and HTML, and draw themselves."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar

from looprate.experiments.rows.query import flat
from looprate.theory.outputs import at_least, at_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from looprate.asked import AskedTarget
    from looprate.theory.facts import Facts

Row = dict[str, Any]
SHOWN = 40  # rows printed of a long table
WIDEST = 60  # characters of a cell


@dataclass(frozen=True, repr=False, eq=False)
class Answer(ABC):
    """Rows about one target in one setting.

    It is a sequence of its flat rows: ``len(answer)``, ``answer[0]``, ``for row in answer``.  A
    column is an attribute: ``answer.total`` is the value where there is one row, else a list.

    Attributes
    ----------
    asked : AskedTarget
        The target and its setting.
    rows : tuple of dict
        JSON-ready.
    """

    asked: AskedTarget
    rows: tuple[Row, ...]
    columns: ClassVar[tuple[str, ...]]

    @property
    def facts(self) -> Facts:
        """What is known of the target, found out where it is first asked for."""
        return self.asked.facts

    @property
    def title(self) -> str:
        """What the rows are about, in one line."""
        return repr(self.asked)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        """Return a row by its number, some by a slice, a column by its name."""
        if isinstance(index, str):
            return [row[index] for row in self.to_rows()]
        return self.to_rows()[index]

    def __getattr__(self, name: str) -> Any:
        """Return a column: its value where there is one row, else a list."""
        rows = [flat(row) for row in self.__dict__.get("rows", ())]  # none while it is copied
        names = list(dict.fromkeys(key for row in rows for key in row))
        if name not in names:
            near = get_close_matches(name, [*names, *object.__dir__(self)], n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; it has {', '.join(self.columns)}"
            raise AttributeError(f"{type(self).__name__} has no {name!r}{hint}")
        found = [row.get(name) for row in rows]
        return found[0] if len(found) == 1 else found

    def __dir__(self) -> list[str]:
        return [*object.__dir__(self), *(key for row in self.to_rows()[:1] for key in row)]

    def to_rows(self) -> list[Row]:
        """Return one flat dictionary a row, as pandas.DataFrame and pyarrow take them."""
        return [flat(row) for row in self.rows]

    @abstractmethod
    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw into given axes, or into a figure of their own; return them."""

    def _table(self) -> list[list[str]]:
        """The head and the first rows, as text."""
        cells = [
            [_cell(row.get(name), name) for name in self.columns] for row in self.to_rows()[:SHOWN]
        ]
        return [list(self.columns), *cells]

    def __repr__(self) -> str:
        table = self._table()
        widths = [max(len(line[k]) for line in table) for k in range(len(self.columns))]
        lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table]
        more = [f"... {len(self.rows) - SHOWN} more rows"] if len(self.rows) > SHOWN else []
        return "\n".join([self.title, *lines, *more, *self._words()])

    def _repr_html_(self) -> str:
        head, *body = self._table()
        lines = [_html_row(head, "th"), *(_html_row(line, "td") for line in body)]
        words = "".join(f"<p>{html.escape(line)}</p>" for line in self._words())
        table = f"<table>{''.join(lines)}</table>"
        return f"<p><b>{html.escape(self.title)}</b></p>{table}{words}"

    def _words(self) -> list[str]:
        """Sentences below the table."""
        return []


def _cell(value: Any, name: str) -> str:
    """Return a value as a short text; a proven side, which its name tells, on the true side."""
    if isinstance(value, float):
        side = {"lower": at_least, "upper": at_most, "certified": at_most}.get(name.split("_")[-1])
        text = side(value, 5) if side else f"{value:.5g}"
    else:
        text = "-" if value is None else str(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _html_row(cells: Sequence[str], tag: str) -> str:
    """Return one row of a table."""
    return f"<tr>{''.join(f'<{tag}>{html.escape(cell)}</{tag}>' for cell in cells)}</tr>"
