"""Sudoku puzzles from files: CSV with a puzzle and its solution on every line, checked whole."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.engine.progress import Progress
from looprate.experiments.tasks.checks import check_file
from looprate.experiments.tasks.sudoku_solver import Box, conflicts

PATH = str | os.PathLike[str]
COLUMNS = (("puzzle", "solution"), ("quizzes", "solutions"), ("question", "answer"))
BOXES = {16: (2, 2), 36: (2, 3), 64: (2, 4), 81: (3, 3)}  # cells -> box where none is given
CHUNK = 65536  # lines checked together


def read_csv(path: PATH, box: Box | None = None) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the puzzles and solutions of a CSV file.

    Its first line names the columns ``puzzle`` and ``solution``, ``quizzes`` and ``solutions``, or
    ``question`` and ``answer``; others are ignored.  Boards are strings of digits, row after row, 0
    or a point for empty.  That a puzzle has *one* solution is not checked: ``solve_all`` counts.

    Parameters
    ----------
    path : path
    box : Box, optional
        By default by the length of the first puzzle: 16, 36, 64 or 81 cells have boxes of
        2 by 2, 2 by 3, 2 by 4 or 3 by 3.

    Returns
    -------
    puzzles, solutions : int8 arrays of shape (rows, cells)
        Read-only; 0 for empty.

    Raises
    ------
    ValueError
        In one line with file and line number: a column is missing, a board has another length or
        other characters, a solution breaks a rule of Sudoku or differs from its puzzle's clues.
    """
    file = check_file(str(path), holds="Sudoku puzzles as CSV")
    state = file.stat()
    return _read(file, box or box_of(file), (state.st_mtime_ns, state.st_size))


@lru_cache(maxsize=4)
def _read(
    file: Path, box: Box, _state: tuple[int, int]
) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Read a file; its time and size make a changed file another one."""
    puzzles: list[NDArray[np.int8]] = []
    solutions: list[NDArray[np.int8]] = []
    with Progress(max(1, file.stat().st_size // (2 * box.cells)), f"read {file.name}") as bar:
        for lines, quizzes, answers in _chunks(file):
            puzzles.append(_digits(file, lines, quizzes, box, "puzzle"))
            solutions.append(_digits(file, lines, answers, box, "solution"))
            _check(file, lines, puzzles[-1], solutions[-1], box)
            bar.to(CHUNK * len(puzzles))
    if not puzzles:
        raise ValueError(f"{file}: must hold puzzles below its first line, got none; add some")
    return _frozen(puzzles), _frozen(solutions)


def box_of(path: PATH) -> Box:
    """Return the usual box shape for the boards of a CSV file.

    Raises
    ------
    ValueError
        If the length of the first puzzle is not that of a usual board.
    """
    file = check_file(str(path), holds="Sudoku puzzles as CSV")
    lines, quizzes, _ = next(_chunks(file), ([2], [""], [""]))
    if len(quizzes[0]) not in BOXES:
        raise ValueError(
            f"{file}, line {lines[0]}: the puzzle must have 81 characters (or 16, 36, 64), got "
            f"{len(quizzes[0])}; correct it, or give the box's rows and columns"
        )
    return Box(*BOXES[len(quizzes[0])])


def _chunks(file: Path) -> Iterator[tuple[list[int], list[str], list[str]]]:
    """Yield line numbers, puzzles and solutions, many lines at a time."""
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        reader = csv.reader(stream)
        first, second = _columns(file, next(_rows(file, reader), []))
        found = ((reader.line_num, row) for row in _rows(file, reader) if row)
        while some := list(islice(found, CHUNK)):
            for line, row in some:
                if len(row) <= max(first, second):
                    raise ValueError(
                        f"{file}, line {line}: must hold a puzzle and a solution, got "
                        f"{len(row)} column(s); complete or remove the line"
                    )
            numbers = [line for line, _ in some]
            yield (
                numbers,
                [row[first].strip() for _, row in some],
                [row[second].strip() for _, row in some],
            )


def _rows(file: Path, reader: Any) -> Iterator[list[str]]:
    """Yield the rows of a CSV reader; name the line it cannot read, as where a cell is too long."""
    try:
        yield from reader
    except csv.Error as error:
        raise ValueError(
            f"{file}, line {reader.line_num}: must be CSV, got what cannot be read ({error}); "
            "correct or remove the line"
        ) from None


def _columns(file: Path, header: list[str]) -> tuple[int, int]:
    """Return where puzzles and solutions are."""
    names = [name.strip().lower() for name in header]
    for first, second in COLUMNS:
        if first in names and second in names:
            return names.index(first), names.index(second)
    raise ValueError(
        f"{file}, line 1: must name the columns puzzle and solution (or quizzes and solutions, or "
        f"question and answer), got {','.join(header)[:60]!r}; add such a line"
    )


def _digits(
    file: Path, lines: list[int], texts: list[str], box: Box, what: str
) -> NDArray[np.int8]:
    """Return strings as boards (rows, cells), or raise naming the first bad line."""
    for line, text in zip(lines, texts, strict=True):
        if len(text) != box.cells or not text.isascii():
            raise ValueError(
                f"{file}, line {line}: the {what} must have {box.cells} characters, 1 to "
                f"{box.order}, got {len(text)} ({text[:20]!r}); correct or remove the line"
            )
    codes = np.frombuffer("".join(texts).encode("ascii"), np.uint8).reshape(-1, box.cells)
    boards = np.where(codes == ord("."), 0, codes.astype(np.int16) - ord("0"))
    least = 0 if what == "puzzle" else 1
    bad = (boards < least) | (boards > box.order)
    if bad.any():
        row, cell = np.argwhere(bad)[0]
        empty = ", 0 or a point for empty" if what == "puzzle" else ""
        raise ValueError(
            f"{file}, line {lines[row]}: the {what} must hold 1 to {box.order}{empty}, got "
            f"{texts[row][cell]!r} at character {cell + 1}; correct or remove the line"
        )
    return boards.astype(np.int8)


def _check(
    file: Path,
    lines: list[int],
    puzzles: NDArray[np.int8],
    solutions: NDArray[np.int8],
    box: Box,
) -> None:
    """Raise at the first line whose solution breaks a rule or differs from the clues."""
    faults = (
        (conflicts(solutions.astype(np.int64), box), "the solution holds a digit twice in a unit"),
        (((puzzles > 0) & (puzzles != solutions)).any(1), "the solution differs from the clues"),
    )
    for wrong, what in faults:
        if wrong.any():
            line = lines[int(wrong.argmax())]
            raise ValueError(
                f"{file}, line {line}: {what}, expected a solved board with "
                f"{box.rows} by {box.columns} boxes; correct or remove the line"
            )


def _frozen(parts: list[NDArray[np.int8]]) -> NDArray[np.int8]:
    """Return the parts as one read-only array."""
    whole = np.concatenate(parts)
    whole.flags.writeable = False
    return whole
