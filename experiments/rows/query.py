"""Stored rows as one table: the row files of folders, conditions on rows, flat columns.

A row keeps its nested form; for conditions and tables it is made flat: the entry ``a`` of a
dictionary ``config`` is the column ``config.a``, a list is one cell, as text JSON.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from looprate.experiments.rows.records import RowStore

__all__ = [
    "Condition",
    "RowFile",
    "Survey",
    "check_known",
    "flat",
    "matching",
    "open_folders",
    "parse_condition",
    "survey",
]

Row = dict[str, Any]
Report = Callable[[int], None]
Cell = float | int | str | bool | list[Any] | None
FORM = re.compile(r"\s*([^\s<>=!~]+)\s*(<=|>=|!=|==|=|<|>|~)\s*(.*?)\s*", re.DOTALL)
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
FIRST = 5  # rows a survey keeps to show
NEAR = 3  # columns named beside one that does not exist


@dataclass(frozen=True)
class RowFile:
    """One row file.

    Attributes
    ----------
    folder : Path
        The run it belongs to, as it was given.
    name : str
        What its rows are about: rows, theory, constructions, ...
    store : RowStore
    """

    folder: Path
    name: str
    store: RowStore

    def rows(self) -> Iterator[Row]:
        """Yield the rows of finished tasks as they are stored, with "folder" and "file"."""
        place = {"folder": str(self.folder), "file": self.name}
        for key in self.store.keys():  # noqa: SIM118, a method with an order
            yield from (place | row for row in self.store.task(key) or [])


def open_folders(folders: Sequence[Path]) -> list[RowFile]:
    """Return the row files of run folders.

    Raises
    ------
    ValueError
        If a folder holds none, or one that cannot be read.
    """
    found = []
    for folder in folders:
        paths = sorted(folder.glob("*.jsonl"))
        if not paths:
            raise ValueError(
                f"`DIR` must be a folder with stored rows (*.jsonl), got {folder}; make one with "
                "looprate verify --preset smoke --out DIR"
            )
        found += [RowFile(folder, path.stem, RowStore(path)) for path in paths]
    return found


def flat(row: Row, prefix: str = "") -> dict[str, Cell]:
    """Return a row without nesting: dotted names for what is in dictionaries; lists stay."""
    cells: dict[str, Cell] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            cells |= flat(value, f"{prefix}{name}.")
        else:
            cells[prefix + name] = value
    return cells


@dataclass(frozen=True)
class Condition:
    """A comparison of one column with a value; a row without that column has null there."""

    name: str
    sign: str
    text: str

    def holds(self, cells: dict[str, Cell]) -> bool:
        """Whether a flat row meets it; null meets ``=null`` alone."""
        value = cells.get(self.name)
        if value is None:
            return self.sign == "=" and self.text == "null"
        if self.sign == "~":
            return self.text in _text(value)
        if self.sign in ORDER:
            numeric = isinstance(value, int | float) and not isinstance(value, bool)
            return numeric and ORDER[self.sign](value, _number(self.text))
        return (self.sign == "=") == self._equals(value)

    def _equals(self, value: Cell) -> bool:
        """Whether the value is what the text says: a number, a word, true or false."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number(self.text) == value
        return _text(value) == self.text


def parse_condition(text: str) -> Condition:
    """Read a condition such as ``loops=8``, ``model!=lt``, ``value>0.5`` or ``target~dial``.

    Raises
    ------
    ValueError
        If it has no such form, or orders by what is no number.
    """
    form = FORM.fullmatch(text)
    if form is None:
        raise ValueError(
            f"`where` must be COLUMN, one of = != < <= > >= ~, and a value, got {text!r}; "
            "try loops=8 or 'value>0.5' (quoted for the shell)"
        )
    name, sign, value = form.groups()
    if sign in ORDER and _number(value) is None:
        raise ValueError(
            f"`where` must compare with a number after {sign}, got {value!r} in {text!r}; "
            "words have = != and ~ (contains)"
        )
    return Condition(name, "=" if sign == "==" else sign, value)


def matching(
    files: Iterable[RowFile],
    conditions: Sequence[Condition],
    report: Report = lambda tasks: None,
) -> Iterator[Row]:
    """Yield the rows, nested, that meet every condition; report as :func:`survey` does."""
    tasks = 0
    for file in files:
        for row in file.rows():
            tasks += row["index"] == 0
            report(tasks)
            cells = flat(row) if conditions else {}
            if all(condition.holds(cells) for condition in conditions):
                yield row


@dataclass
class Survey:
    """What a first pass over the rows finds.

    Attributes
    ----------
    columns : dict of str to set of str
        Flat columns of the matching rows in order of appearance, and the sorts of their values:
        bool, int, long (beyond 2^53), huge (beyond 64 bits), float, str.
    known : dict of str to None
        Flat columns of all rows, in order.
    varying : set of str
        Columns in which matching rows differ.
    counts : list of int
        Matching rows of each file.
    first : list of dict
        The first matching rows, flat.
    """

    columns: dict[str, set[str]] = field(default_factory=dict)
    known: dict[str, None] = field(default_factory=dict)
    varying: set[str] = field(default_factory=set)
    counts: list[int] = field(default_factory=list)
    first: list[dict[str, Cell]] = field(default_factory=list)

    def add(self, cells: dict[str, Cell]) -> None:
        """Take in a matching row."""
        self.counts[-1] += 1
        if len(self.first) < FIRST:
            self.first.append(cells)
        for name, value in cells.items():
            sorts = self.columns.setdefault(name, set())
            if value is not None:
                sorts.add(_sort(value))
            if name not in self.varying and value != self.first[0].get(name):
                self.varying.add(name)


def survey(
    files: Sequence[RowFile],
    conditions: Sequence[Condition],
    report: Report = lambda tasks: None,
) -> Survey:
    """Go through all rows once.

    Parameters
    ----------
    files : sequence of RowFile
    conditions : sequence of Condition
    report : callable
        Called at every row with the number of tasks begun.

    Raises
    ------
    ValueError
        If a condition names a column that no row has.
    """
    found, tasks = Survey(), 0
    for file in files:
        found.counts.append(0)
        for row in file.rows():
            tasks += row["index"] == 0
            report(tasks)
            cells = flat(row)
            found.known |= dict.fromkeys(cells)
            if all(condition.holds(cells) for condition in conditions):
                found.add(cells)
    check_known("where", [condition.name for condition in conditions], found)
    return found


def check_known(option: str, names: Iterable[str], found: Survey) -> None:
    """Raise unless all names are columns of some row."""
    for name in names:
        if name not in found.known:
            near = difflib.get_close_matches(name, found.known, n=NEAR, cutoff=0.5)
            near += [known for known in found.known if known.endswith(f".{name}")]
            listed = ", ".join(dict.fromkeys(near)) or "none is near"
            raise ValueError(
                f"`{option}` must name a column of the stored rows, got {name!r}; near: {listed} "
                "(looprate rows DIR lists all)"
            )


def _sort(value: Cell) -> str:
    """Return the sort of a value: integers by what holds them exactly, lists as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        size = abs(value)
        return "int" if size <= 2**53 else "long" if size < 2**63 else "huge"
    return "str" if isinstance(value, list) else type(value).__name__


def _text(value: Cell) -> str:
    """Return a cell as text: as JSON has it, words without quotes."""
    return value if isinstance(value, str) else json.dumps(value)


def _number(text: str) -> int | float | None:
    """Return the number a text stands for, None if it is none; integers exactly."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value
