"""``looprate rows``: list, filter, export and merge what runs have stored."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looprate.experiments.engine.progress import Progress
from looprate.options import add_option
from looprate.parser import Commands, add_command
from looprate.printing import print_json, print_table, say
from looprate.theory.outputs import checked_output

if TYPE_CHECKING:
    from looprate.experiments.rows.query import Condition, RowFile, Survey

__all__ = ["add_rows"]

HIDDEN = ("folder", "file", "task", "index", "of")  # known from the table above the first rows
SHOWN = 7  # columns of the first rows
WIDE = 28  # characters of a cell
Row = dict[str, Any]


def add_rows(commands: Commands) -> None:
    """Add the parser of stored rows."""
    rows = add_command(
        commands,
        "rows",
        "List, filter, export and merge the rows that runs have stored.\n\n"
        "DIR is a folder of verify, eta, reproduce or learned; its row files are *.jsonl. Only\n"
        "rows of finished tasks count, so a folder can be read while a run writes to it. Without\n"
        "an option: row files, counts, columns and the first rows.\n\n"
        "Columns are flat: config.model.width is the entry width of model of config; a list is\n"
        "one cell, in CSV and Parquet JSON text. `folder` and `file` (rows, theory, ...) are\n"
        "added.\n"
        "Every row has version, commit, device, seed and seconds, its share of the wall time of\n"
        "its task (rows of older versions may lack them).\n\n"
        "--where takes COLUMN=VALUE, or != < <= > >= and ~ (contains); all must hold. A row\n"
        "without the column meets COLUMN=null alone.\n\n"
        "--merge joins folders, such as those of two machines: every finished task once, with its\n"
        "weights. A task's key says what decides its numbers: where two folders have other\n"
        "numbers under one key nothing is written and the columns are named; where only\n"
        "provenance or wall time differ the first wins. Run the command of DIR with --out MERGED\n"
        "to go on, or for its report and figures.\n\n"
        "JSON: the list of rows, nested as stored, or with --columns flat; after --csv or\n"
        "--parquet {rows, columns, written}; after --merge {out, tasks, repeated, files, notes}.",
        "looprate rows runs/verify-quick --where file=rows loops=8 --csv rows.csv",
    )
    rows.add_argument("directory", metavar="DIR", nargs="+", type=Path)
    rows.add_argument(
        "--where", nargs="+", action="extend", default=[], metavar="CONDITION", help="see above"
    )
    rows.add_argument("--columns", nargs="+", metavar="COLUMN", help="these alone, in this order")
    rows.add_argument("--csv", type=Path, metavar="FILE", help="write rows as CSV")
    rows.add_argument(
        "--parquet", type=Path, metavar="FILE", help="write rows as Parquet (needs pyarrow)"
    )
    rows.add_argument("--merge", type=Path, metavar="MERGED", help="new folder for the union")
    add_option(rows, "json")
    rows.set_defaults(run=run_rows)


def run_rows(options: Namespace) -> int:
    """List, export or merge stored rows."""
    from looprate.experiments.rows.query import check_known, open_folders, parse_condition, survey

    if options.merge is not None:
        return _merge(options)
    conditions = [parse_condition(text) for text in options.where]
    for path in filter(None, (options.csv, options.parquet)):
        checked_output(path)
    files = open_folders(options.directory)
    tasks = sum(len(file.store) for file in files)
    passes = 1 + (options.csv is not None) + (options.parquet is not None)
    with Progress(passes * tasks, "rows") as bar:
        found = survey(files, conditions, bar.to)
        check_known("columns", options.columns or (), found)
        written = _write(options, files, conditions, found, lambda n: bar.to(tasks + n))
    if options.json:
        return _print_json(options, files, conditions, found, written)
    _print(options, files, found)
    for path in written:
        print(f"wrote {sum(found.counts)} rows to {path}")
    return 0


def _write(
    options: Namespace,
    files: Sequence[RowFile],
    conditions: Sequence[Condition],
    found: Survey,
    report: Callable[[int], None],
) -> list[Path]:
    """Write the files asked for and return their paths."""
    from looprate.experiments.rows.export import write_csv, write_parquet
    from looprate.experiments.rows.query import matching

    columns = {name: found.columns.get(name, set()) for name in options.columns or found.columns}
    written = []
    if options.parquet is not None:  # first: it may refuse
        write_parquet(options.parquet, columns, matching(files, conditions, report))
        written.append(options.parquet)
    if options.csv is not None:
        write_csv(options.csv, list(columns), matching(files, conditions, report))
        written.append(options.csv)
    return written


def _print_json(
    options: Namespace,
    files: Sequence[RowFile],
    conditions: Sequence[Condition],
    found: Survey,
    written: Sequence[Path],
) -> int:
    """Print the rows, or what was written."""
    from looprate.experiments.rows.export import write_json
    from looprate.experiments.rows.query import matching

    if not written:
        write_json(sys.stdout, options.columns, matching(files, conditions))
        return 0
    columns = options.columns or list(found.columns)
    names = [str(path) for path in written]
    return print_json({"rows": sum(found.counts), "columns": columns, "written": names})


def _print(options: Namespace, files: Sequence[RowFile], found: Survey) -> None:
    """Print row files with their counts, the columns, and the first rows."""
    table = [
        [str(file.folder), file.name, str(len(file.store)), str(count)]
        for file, count in zip(files, found.counts, strict=True)
    ]
    matching = "rows" if not options.where else "rows that match"
    print_table(["folder", "file", "finished tasks", matching], table)
    names = options.columns or list(found.columns)
    say(f"{len(names)} columns: {', '.join(names)}\n" if names else "no row matches\n")
    shown = list(options.columns or _telling(found))[:SHOWN]
    if shown and found.first:
        cells = [[_short(row.get(name)) for name in shown] for row in found.first]
        print_table(shown, cells)


def _telling(found: Survey) -> Iterator[str]:
    """Yield the columns that tell the first rows apart: they differ somewhere, no long text."""
    for name in found.columns:
        values = [row.get(name) for row in found.first]
        short = all(len(str(value)) <= WIDE for value in values)
        if (
            name in found.varying
            and name not in HIDDEN
            and short
            and any(value is not None for value in values)
        ):
            yield name


def _short(value: Any) -> str:
    """Return a cell that fits a table."""
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"


def _merge(options: Namespace) -> int:
    """Merge folders and say what was done."""
    from looprate.experiments.rows.merge import merge_folders

    for name in ("where", "columns", "csv", "parquet"):
        if getattr(options, name):
            raise ValueError(
                f"`merge` takes whole folders, got --{name} too; leave one of them out"
            )
    with Progress(1.0, "merge") as bar:
        found = merge_folders(options.directory, options.merge, report=bar.to)
    if options.json:
        return print_json({"out": str(options.merge), **vars(found)})
    print_table(["file", "finished tasks"], [[k, str(n)] for k, n in found.tasks.items()])
    print(f"{found.repeated} tasks in more than one folder, with the same numbers: kept once")
    print(f"{found.files} other files copied")
    for note in found.notes:
        print(f"note: {note}")
    print(f"merged: {options.merge}")
    return 0
