"""What commands print: JSON, tables, a setting in words."""

from __future__ import annotations

import errno
import json
import math
import sys
from typing import Any

__all__ = ["in_words", "one_line", "print_json", "print_table", "strict_json"]

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_FILE = (errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENOTDIR)


def in_words(shape: dict[str, Any]) -> str:
    """Return a shape in words."""
    return f"N = {shape['tokens']}, d = {shape['dim']}, p = {shape['p']:g}"


def strict_json(value: Any) -> str:
    """Return a value as JSON, null where a number is not finite."""
    return json.dumps(_finite(value), indent=1, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return a value with None for every number in it that is infinite or none."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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


def one_line(error: Exception) -> str:
    """Return an error's message on one line."""
    if isinstance(error, OSError) and error.strerror and not error.filename:
        return f"cannot print: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        cure = "check the path and its permissions"
        if error.errno in NO_FILE:
            cure = "name another"
        if error.errno in FULL:
            cure = "free some space and run the same command again, finished work is kept"
        return f"cannot use {error.filename}: {error.strerror}; {cure}"
    return " ".join(str(error).split())
