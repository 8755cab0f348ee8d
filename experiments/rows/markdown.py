"""Reports in Markdown: tables, sentences without their marks, verdicts counted in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

__all__ = ["plain", "table", "tally"]

MARKS = re.compile(r"\*\*|`|\[([^\]]+)\]\([^()\s]+\)")


def table(head: str, rows: Iterable[Sequence[object]]) -> list[str]:
    """Return the lines of a table and an empty one; columns without any content are left out.

    Parameters
    ----------
    head : str
        Names of the columns, with " | " between them.
    rows : iterable of sequences
        Cells; what Markdown would read as markup in them, such as <blank>, is escaped.
    """
    lines = [head.split(" | "), *([_cell(value) for value in row] for row in rows)]
    full = [k for k, cells in enumerate(zip(*lines, strict=True)) if any(map(str.strip, cells[1:]))]
    kept = full if len(lines) > 1 else range(len(lines[0]))
    told = [f"| {' | '.join(line[k] for k in kept)} |" for line in lines]
    return [told[0], "|" + "---|" * len(kept), *told[1:], ""]


def plain(sentence: str) -> str:
    """Return a sentence as a terminal shows it: without emphasis, links by their words alone.

    Examples
    --------
    >>> plain("**Found**: [0.5](rows.jsonl) of `f`.")
    'Found: 0.5 of f.'
    """
    return MARKS.sub(lambda found: found[1] or "", sentence)


def tally(words: Sequence[str], noun: str) -> str:
    """Return how often each word is said: "holds for 3 of 4 targets, open for 1".

    Parameters
    ----------
    words : sequence of str
        One of each thing, at least one.
    noun : str
        What a thing is called; its plural has an s.
    """
    (first, most), *others = Counter(words).most_common()
    if len(words) == 1:
        return first
    if not others:
        return f"{first} for {'both' if most == 2 else f'all {most}'} {noun}s"
    said = [f"{first} for {most} of {len(words)} {noun}s"]
    return ", ".join([*said, *(f"{word} for {count}" for word, count in others)])


def _cell(value: object) -> str:
    """Return a cell as text in one line."""
    return str(value).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
