"""Flat rows as CSV, Parquet and JSON, written as they are read: memory does not grow with them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from looprate.experiments.rows.query import Cell, Row, flat
from looprate.theory.outputs import replacing
from looprate.theory.tables import cell_text, write_table

__all__ = ["write_csv", "write_json", "write_parquet"]

GROUP = 8192  # rows of a Parquet row group


def column_sort(sorts: set[str]) -> str:
    """Return what a column holds, given the sorts of its values: bool, int, float or str.

    Numbers that neither 64-bit integers nor float64 hold exactly make it a column of text.
    """
    if sorts == {"bool"}:
        return "bool"
    if sorts and sorts <= {"int", "long"}:
        return "int"
    return "float" if sorts and sorts <= {"int", "float"} else "str"


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a CSV file: a header line, cells as JSON has them, null empty."""
    write_table(path, columns, map(flat, rows))


def write_parquet(path: Path, columns: dict[str, set[str]], rows: Iterable[Row]) -> None:
    """Write a Parquet file; columns by :func:`column_sort`, lists as JSON text.

    Raises
    ------
    ValueError
        If pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise ValueError(
            "`parquet` must have pyarrow installed, which is missing; run pip install "
            "'looprate[store]' or take --csv"
        ) from None
    types = {"bool": pa.bool_(), "int": pa.int64(), "float": pa.float64(), "str": pa.string()}
    sorts = {name: column_sort(found) for name, found in columns.items()}
    schema = pa.schema([(name, types[sort]) for name, sort in sorts.items()])
    with replacing(path) as draft, pq.ParquetWriter(draft, schema) as writer:
        for group in _groups(flat(row) for row in rows):
            arrays = {
                name: [_parquet_value(cells.get(name), sort) for cells in group]
                for name, sort in sorts.items()
            }
            writer.write_table(pa.table(arrays, schema=schema))


def write_json(stream: TextIO, columns: Sequence[str] | None, rows: Iterable[Row]) -> None:
    """Write a list of rows, one a line: nested as stored, or the flat columns asked for."""
    before = "["
    for row in rows:
        cells: dict[str, Any] = row
        if columns is not None:
            found = flat(row)
            cells = {name: found.get(name) for name in columns}
        stream.write(f"{before}\n{json.dumps(cells, allow_nan=False)}")
        before = ","
    stream.write("[]\n" if before == "[" else "\n]\n")


def _groups(rows: Iterator[dict[str, Cell]]) -> Iterator[list[dict[str, Cell]]]:
    """Yield lists of up to GROUP rows."""
    while group := list(islice(rows, GROUP)):
        yield group


def _parquet_value(value: Cell, sort: str) -> Cell:
    """Return a cell as its column's sort has it."""
    if value is None or (sort != "str" and sort != "float"):
        return value
    return float(value) if isinstance(value, int | float) and sort == "float" else cell_text(value)
