"""The rows that the figures of a reproduction are drawn from, written beside them as CSV."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.reproduce.catalogue import MODELS, TASKS, task_of
from looprate.experiments.reproduce.paper_size import at_paper_size
from looprate.experiments.reproduce.reported import reported_of
from looprate.experiments.reproduce.summary import diverged
from looprate.experiments.study.figure_rows import write_rows
from looprate.experiments.tasks.sudoku import Sudoku
from looprate.theory.stored_arrays import read_arrays

Row = dict[str, Any]
MOST_PANELS = 6  # loops of a board or an attention map that are drawn
PAD = 0
SIZE_WORDS = {
    "numbers": "{} numbers",
    "size": "length {}",
    "depth": "depth {}",
    "points": "{} points",
    "context": "{} tokens",
}


def write_figure_tables(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write the CSV files of all figures into ``folder``/figures and return their paths.

    Parameters
    ----------
    folder : Path
        Of a reproduction; its pictures are read from ``folder``/pictures.
    rows : sequence of dict
        Fits.
    """
    order = list(TASKS)
    rows = sorted(rows, key=lambda row: order.index(row["name"]))
    names = list(dict.fromkeys(row["name"] for row in rows))
    tables = [
        ("task-accuracy", "all", _accuracy_rows(rows)),
        ("task-test-loops", "all", _test_loop_rows(rows)),
        *(("task-training", name, _training_rows(rows, name)) for name in names),
    ]
    for row in _pictured(rows):
        path = folder / "pictures" / f"{row['name']}__{row['model']}.npz"
        if path.exists():
            tables += _picture_tables(row, path)
    return [
        write_rows(folder / "figures", kind, slug, table) for kind, slug, table in tables if table
    ]


def shown_loops(loops: int) -> list[int]:
    """Return up to :data:`MOST_PANELS` loops: powers of two and the last one.

    Examples
    --------
    >>> shown_loops(12)
    [1, 2, 4, 8, 12]
    """
    every = [*(2**k for k in range(loops.bit_length()) if 2**k < loops), loops]
    places = np.linspace(0, len(every) - 1, min(MOST_PANELS, len(every))).round()
    return [every[int(place)] for place in places]


def size_in_words(row: Row) -> str:
    """Return the size of a fit's task for a title."""
    sizes = row["sizes"]
    if row["name"] == "sudoku":
        side = sizes["box_rows"] * sizes["box_columns"]
        return f"{side}x{side}"
    return ", ".join(
        words.format(sizes[name]) for name, words in SIZE_WORDS.items() if sizes.get(name)
    )


def _common(row: Row) -> Row:
    """What every row of a figure repeats."""
    same = {name: row[name] for name in ("name", "metric", "model", "loops", "seed")}
    return same | {"detail": size_in_words(row)}


def _accuracy_rows(rows: Sequence[Row]) -> list[Row]:
    """One row a fit, and what is reported for the tasks that ran at the paper's preset."""
    table = [
        _common(row) | {"curve": "fit", "value": row["value"], "diverged": diverged(row)}
        for row in rows
    ]
    at_paper = dict.fromkeys(
        row["name"] for row in rows if row["preset"] == "paper" and at_paper_size(row)
    )
    same = {row["name"]: {k: _common(row)[k] for k in ("metric", "detail")} for row in rows}
    table += [
        {"curve": "reported", "name": name, **same[name], "model": cell.model}
        | {"loops": cell.loops, "value": cell.in_rows_unit, "diverged": False}
        for name in at_paper
        for cell in reported_of(name)
        if cell.compared
    ]
    return table


def _test_loop_rows(rows: Sequence[Row]) -> list[Row]:
    """One row a fit and loop count at test time."""
    return [
        _common(row)
        | {"trained": row["loops"], "loops": loops, "value": value, "diverged": diverged(row)}
        for row in rows
        for loops, value in zip(row["test_loops"], row["at_test_loops"], strict=True)
    ]


def _training_rows(rows: Sequence[Row], name: str) -> list[Row]:
    """One row a fit of one task and step at which it was measured."""
    return [
        _common(row) | {"step": step, "value": value, "diverged": diverged(row)}
        for row in rows
        if row["name"] == name
        for step, value in zip(row["curve_step"], row["curve_value"], strict=True)
    ]


def _pictured(rows: Sequence[Row]) -> list[Row]:
    """Return the fits that pictures are made of: seed 0 at the most loops."""
    found = []
    for name in dict.fromkeys(row["name"] for row in rows):
        for model in MODELS:
            own = [r for r in rows if (r["name"], r["model"], r["seed"]) == (name, model, 0)]
            found += sorted(own, key=lambda row: row["loops"])[-1:]
    return found


def _picture_tables(row: Row, path: Path) -> list[tuple[str, str, list[Row]]]:
    """Return the tables of one picture file: boards of Sudoku, attention where it is kept."""
    task, slug = task_of(row["name"], row["sizes"]), f"{row['name']}-{row['model']}"
    arrays = read_arrays(path)
    common = {"name": row["name"], "model": row["model"], "loops": row["loops"]}
    tables: list[tuple[str, str, list[Row]]] = []
    if isinstance(task, Sudoku):
        boards = [common | cell for cell in _board_rows(task, arrays)]
        tables.append(("task-boards", slug, boards))
    if "attention" in arrays:
        maps = [common | cell for cell in _attention_rows(task.vocabulary, arrays)]
        tables.append(("task-attention", slug, maps))
    return tables


def _board_rows(task: Sudoku, arrays: dict[str, NDArray[Any]]) -> list[Row]:
    """One row a cell of the first puzzle and shown loop."""
    clues, solution, every = arrays["inputs"][0], arrays["targets"][0], arrays["predictions"][:, 0]
    order = task.box.order
    return [
        {"loop": loop, "row": k // order + 1, "column": k % order + 1}
        | {"digit": int(every[loop - 1, k]), "given": bool(clues[k])}
        | {"right": bool(every[loop - 1, k] == solution[k])}
        | {"box_rows": task.box.rows, "box_columns": task.box.columns}
        for loop in shown_loops(len(every))
        for k in range(len(solution))
    ]


def _attention_rows(words: Sequence[str], arrays: dict[str, NDArray[Any]]) -> list[Row]:
    """One row a query, a key up to it and a shown loop: weights of the first row, mean of heads."""
    inputs, mask, attention = arrays["inputs"][0], arrays["mask"][0], arrays["attention"]
    end = int(np.flatnonzero(inputs != PAD)[-1]) + 1
    weights = attention.astype(np.float64).mean(1)  # (loops, T, T)
    asked = int(np.flatnonzero(mask)[0])  # where the answer is predicted
    text = [words[int(k)] for k in inputs[:end]]
    return [
        {"loop": loop, "query": i + 1, "key": j + 1, "weight": float(weights[loop - 1, i, j])}
        | {"query_word": text[i], "key_word": text[j], "asked": i == asked}
        | {"heads": attention.shape[1]}
        for loop in shown_loops(len(weights))
        for i in range(end)
        for j in range(i + 1)
    ]
