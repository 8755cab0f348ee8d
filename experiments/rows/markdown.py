"""Reports in Markdown: their tables, and their sentences without its marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

__all__ = ["plain", "table"]

MARKS = re.compile(r"\*\*|`|\[([^\]]+)\]\([^()\s]+\)")


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


def plain(sentence: str) -> str:
    """Return a sentence as a terminal shows it: without emphasis, links by their words alone.

    Examples
    --------
    >>> plain("**Found**: [0.5](rows.jsonl) of `f`.")
    'Found: 0.5 of f.'
    """
    return MARKS.sub(lambda found: found[1] or "", sentence)


def _cell(value: object) -> str:
    """Return a cell as text in one line."""
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
