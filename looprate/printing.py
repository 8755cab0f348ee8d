"""What commands print: JSON, tables, a setting in words."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any, TextIO

from looprate.experiments.rows.markdown import plain
from looprate.theory.outputs import strict_json

__all__ = [
    "in_words",
    "print_findings",
    "print_json",
    "print_sentences",
    "print_table",
    "say",
    "side",
]

GAP = 2  # spaces between columns


def in_words(shape: dict[str, Any]) -> str:
    """Return a shape in words."""
    return f"N = {shape['tokens']}, d = {shape['dim']}, p = {shape['p']:g}"


def side(value: float | None, rounded: Callable[[float], str]) -> str:
    """Return a proven side as :func:`at_least` or :func:`at_most` rounds it, or "unknown"."""
    return "unknown" if value is None else rounded(value)


def print_json(value: Any) -> int:
    """Print strict JSON."""
    print(strict_json(value))
    return 0


def print_table(head: list[str], rows: list[list[str]]) -> int:
    """Print a table.

    In a terminal it fits, and no word or number is broken: what has too many columns for that is
    printed a block a row.  Elsewhere a row is a line, for other programs.
    """
    lines = [head, *rows]
    columns = list(zip(*lines, strict=True))
    widths = [max(map(len, column)) for column in columns]
    if not sys.stdout.isatty():
        for line in lines:
            cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            print((" " * GAP).join(cells).rstrip())
        return 0
    room = shutil.get_terminal_size().columns
    words = [
        max(len(word) for cell in column for word in [*cell.split(), ""]) for column in columns
    ]
    if sum(words) + GAP * len(words) > room:
        whole = _wrapper(room)
        for row in rows:
            for name, cell in zip(head, row, strict=True):
                print(whole.fill(f"{name}: {cell}"))
            print()
        return 0
    return _print_fitting(head, rows, words, room)


def print_findings(findings: Sequence[dict[str, Any]]) -> int:
    """Print findings, each as its verdict, what is claimed, and why.

    A hypothesis has a state instead: it holds, fails, or is open.
    """
    rows = [
        [each.get("state", each["verdict"]), each["claim"], each["reason"]] for each in findings
    ]
    return print_table(["verdict", "claim", "why"], rows)


def print_sentences(sentences: Sequence[str]) -> None:
    """Print the sentences of a report, each a paragraph."""
    for sentence in map(plain, sentences):
        say(sentence)


def say(text: str, *, indent: int = 2, file: TextIO | None = None) -> None:
    """Print lines of prose; in a terminal they fit, and no word or number is broken.

    Parameters
    ----------
    text : str
    indent : int
        Spaces before what does not fit into a line.
    file : stream, optional
        Other than standard output.
    """
    file = file or sys.stdout
    if file.isatty():
        wrapper = _wrapper(shutil.get_terminal_size().columns, indent)
        text = "\n".join(wrapper.fill(line) for line in text.split("\n"))
    print(text, file=file)


def _wrapper(room: int, indent: int = 2) -> textwrap.TextWrapper:
    """Return what fills lines without breaking a word or number."""
    return textwrap.TextWrapper(
        room,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _print_fitting(head: list[str], rows: list[list[str]], words: list[int], room: int) -> int:
    """Print a table whose columns are at least as wide as their longest words."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(width=room, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name, width in zip(head, words, strict=True):
        table.add_column(name, min_width=width)
    for row in rows:
        table.add_row(*row)
    with console.capture() as told:  # printed here: rich ends the process where a reader left
        console.print(table)
    print(told.get(), end="")
    return 0
