"""What commands print: JSON, tables, a setting in words."""

from __future__ import annotations

import sys
from typing import Any

from looprate.theory.outputs import strict_json

__all__ = ["in_words", "print_json", "print_table"]


def in_words(shape: dict[str, Any]) -> str:
    """Return a shape in words."""
    return f"N = {shape['tokens']}, d = {shape['dim']}, p = {shape['p']:g}"


def print_json(value: Any) -> int:
    """Print strict JSON."""
    print(strict_json(value))
    return 0


def print_table(head: list[str], rows: list[list[str]]) -> int:
    """Print a table that fits the terminal, plain where it is not one."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 140, highlight=False)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    with console.capture() as told:  # printed here: rich ends the process where a reader left
        console.print(table)
    print(told.get(), end="")
    return 0
