"""Tables of reports in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["table"]


def table(head: str, rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table and an empty one.

    Parameters
    ----------
    head : str
        Names of the columns, with " | " between them.
    rows : iterable of sequences
        Cells; what Markdown would read as markup in them, such as <blank>, is escaped.
    """
    line = "|" + "---|" * (head.count("|") + 1)
    return [f"| {head} |", line, *(f"| {' | '.join(map(_cell, row))} |" for row in rows), ""]


def _cell(value: object) -> str:
    """Return a cell as text in one line."""
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
