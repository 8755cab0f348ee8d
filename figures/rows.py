"""Tidy rows: CSV files with a header line, read and checked, and small helpers to select from them.

A row is a dictionary from column name to value: a float for the columns in :data:`NUMBERS`, a bool
for those in :data:`FLAGS`, text for all others, None where the cell is empty (or a number is nan).
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from looprate.theory.outputs import checked_input
from looprate.theory.tables import write_table

__all__ = ["FLAGS", "Cell", "Row", "column", "distinct", "read_rows", "where", "write_rows"]

Cell = float | str | bool | None
Row = Mapping[str, Cell]

#: The least value that makes sense in a column of numbers -> such columns, in every figure.
LEAST = {
    -math.inf: ("position", "height", "share", "cosine"),
    0.0: (
        *("loop", "step", "seed", "value", "lower", "upper", "exact", "stderr"),
        *("delta", "trivial", "total", "modulus_sum", "smallest"),  # of moduli and bounds
        *("periods", "gap", "residual", "bound"),  # of memorisers
        *("digit", "weight"),  # of the tasks
        *("exponent", "low", "high"),
    ),
    1.0: (
        *("tokens", "dim", "p", "token", "grid", "bits", "labels", "loops", "trained"),
        *("parameters", "starts"),  # of the search for a best network
        "needed",  # bits of a network
        *("row", "column", "box_rows", "box_columns"),  # of boards
        *("query", "key", "heads"),  # of attention
    ),
}
NUMBERS = {name: least for least, names in LEAST.items() for name in names}
FLAGS = frozenset({"chosen", "used", "refused", "diverged", "given", "right", "asked", "reached"})
TRUE, FALSE = ("1", "true", "yes"), ("0", "false", "no")


def read_rows(path: str | Path) -> list[dict[str, Cell]]:
    """Read a CSV file of tidy rows.

    Parameters
    ----------
    path : str or Path
        UTF-8, one header line, comma separated; the order of columns does not matter.

    Returns
    -------
    list of dict
        One per line, None where a cell is empty.

    Raises
    ------
    ValueError
        If the file is no such table, has no rows or a cell cannot be read; the message names file,
        line, column, what was expected, what came and the cure.
    OSError
        If the file cannot be opened.
    """
    place = Path(path)
    try:
        with checked_input(place).open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.reader(handle, strict=True)
            header = _checked_header(next(reader, []), place)
            rows = [_parsed(cells, header, place, reader.line_num) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(
            f"`{place.name}` must be a UTF-8 CSV file, got one that cannot be read ({error}); "
            "write it again from its study"
        ) from None
    if not rows:
        raise ValueError(
            f"`{place.name}` must hold at least one row below its header, got none; "
            "write it again from its study"
        )
    return rows


def write_rows(path: str | Path, rows: Sequence[Row]) -> None:
    """Write rows as :func:`read_rows` reads them; columns in the order they first appear."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_table(Path(path), names, rows)


def check_columns(
    rows: Sequence[Row],
    columns: Mapping[str, str],
    choices: Mapping[str, Iterable[str]],
    *,
    name: str,
) -> None:
    """Raise unless rows have the columns of a figure and only known words in them.

    Parameters
    ----------
    rows : sequence of rows
        At least one.
    columns : mapping of str to str
        Column that must exist -> its meaning.
    choices : mapping of str to iterable of str
        Column -> the words allowed in it; an empty cell is allowed everywhere.
    name : str
        What to call the rows in a message, a file's name.

    Raises
    ------
    ValueError
        The message names the column, what was expected, what came and the cure.
    """
    for missing in (column for column in columns if column not in rows[0]):
        raise ValueError(
            f"`{name}` must have a column `{missing}` ({columns[missing]}), got "
            f"{', '.join(rows[0])}; add it, its cells may be empty"
        )
    for label, allowed in choices.items():
        known = tuple(allowed)
        for found in distinct(rows, label):
            if found not in known:
                raise ValueError(
                    f"`{name}`: column `{label}` must hold {', '.join(known)}, got {found!r}; "
                    "correct the cell or leave it empty"
                )


def where(rows: Sequence[Row], **equal: Cell) -> list[Row]:
    """Return the rows whose columns equal the given values."""
    return [row for row in rows if all(row.get(name) == want for name, want in equal.items())]


def distinct(rows: Sequence[Row], name: str) -> list[Cell]:
    """Return the values of a column in order of appearance, each once, without empty cells."""
    return [value for value in dict.fromkeys(row.get(name) for row in rows) if value is not None]


def column(rows: Sequence[Row], name: str) -> NDArray[np.float64]:
    """Return a column of numbers, nan where a cell is empty, shape (len(rows),)."""
    values = [row.get(name) for row in rows]
    return np.array([math.nan if value is None else float(value) for value in values])


def _checked_header(header: list[str], place: Path) -> list[str]:
    """Return the header's names or raise."""
    names = [name.strip() for name in header]
    if not all(names) or not names or len(set(names)) < len(names):
        raise ValueError(
            f"`{place.name}` must start with a header line of distinct column names, got "
            f"{','.join(header)!r}; write it again from its study"
        )
    return names


def _parsed(cells: list[str], header: list[str], place: Path, line: int) -> dict[str, Cell]:
    """Turn one line of cells into a row."""
    if len(cells) != len(header):
        raise ValueError(
            f"`{place.name}` line {line} must have {len(header)} cells as its header, got "
            f"{len(cells)}; quote cells that hold a comma"
        )
    where_ = f"`{place.name}` line {line}"
    return {
        name: _cell(text.strip(), name, where_) for name, text in zip(header, cells, strict=True)
    }


def _cell(text: str, name: str, place: str) -> Cell:
    """Turn the text of one cell into its value."""
    if not text:
        return None
    if name in FLAGS:
        if text.lower() in TRUE + FALSE:
            return text.lower() in TRUE
        raise ValueError(
            f"{place}: column `{name}` must be true or false, got {text!r}; correct the cell"
        )
    if name not in NUMBERS:
        return text
    number, least = _number(text), NUMBERS[name]
    if number is None or number < least:
        wanted = "a number" if math.isinf(least) else f"a number >= {least:g}"
        raise ValueError(
            f"{place}: column `{name}` must be {wanted}, got {text!r}; "
            "correct the cell or leave it empty"
        )
    return None if math.isnan(number) else number


def _number(text: str) -> float | None:
    """Return the number a text stands for, None if it is no number."""
    try:
        return float(text)
    except ValueError:
        return None
