"""The results reported for the paper's experiments, as data: copied numbers, not verified here.

Cells that the summary at hand does not give do not exist in :data:`REPORTED`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["reported_of"]

SOURCE = "reported in arXiv 2410.01405v7 (secondary summary)"


@dataclass(frozen=True)
class Reported:
    """One reported number.

    Attributes
    ----------
    task : str
        Task key.
    metric : str
        What was measured, in the summary's words.
    model : str
        "looped", "tmlt" or "untied".
    loops : int
        r, or the layers L of an untied model.
    value : float
        In ``unit``.
    unit : str
        "%" of rows that are right, or "" for a plain number.
    size : str
        Size of the task in the summary's words.
    compared : bool
        Whether the rows of this project hold the same quantity: a train perplexity is not.
    source : str
    """

    task: str
    metric: str
    model: str
    loops: int
    value: float
    unit: str
    size: str
    compared: bool = True
    source: str = SOURCE

    @property
    def in_rows_unit(self) -> float:
        """The value as a row of a fit holds it: an accuracy is a share."""
        return self.value / 100 if self.unit == "%" else self.value

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return asdict(self)


def _line(
    task: str,
    size: str,
    metric: str,
    unit: str,
    cells: tuple[tuple[str, int, float], ...],
    *,
    compared: bool = True,
) -> tuple[Reported, ...]:
    """Return one line of the reported table."""
    return tuple(
        Reported(task, metric, model, loops, value, unit, size, compared)
        for model, loops, value in cells
    )


REPORTED: tuple[Reported, ...] = (
    *_line(
        "sudoku",
        "9x9",
        "board accuracy",
        "%",
        (("untied", 6, 0.0), ("looped", 32, 87.9), ("tmlt", 32, 90.2)),
    ),
    *_line(
        "countdown",
        "4 numbers",
        "accuracy",
        "%",
        (("untied", 6, 53.8), ("looped", 32, 88.1), ("tmlt", 32, 90.5)),
    ),
    *_line(
        "lcs",
        "length 100",
        "accuracy",
        "%",
        (("untied", 12, 39.8), ("looped", 100, 98.2), ("tmlt", 100, 98.6)),
    ),
    *_line(
        "edit-distance",
        "length 60",
        "accuracy",
        "%",
        (("untied", 12, 41.4), ("looped", 100, 47.7), ("tmlt", 100, 88.3)),
    ),
    *_line(
        "decision-tree",
        "depth 4",
        "mean squared error",
        "",
        (("untied", 12, 8.6e-3), ("looped", 12, 1.4e-2), ("tmlt", 12, 1.7e-3)),
    ),
    *_line(
        "language",
        "WikiText-103",
        "train perplexity",
        "",
        (("untied", 12, 15.9), ("looped", 24, 17.1), ("tmlt", 24, 15.9)),
        compared=False,
    ),
    *_line(
        "language",
        "WikiText-103",
        "test perplexity",
        "",
        (("untied", 12, 20.5), ("looped", 24, 20.6), ("tmlt", 24, 19.6)),
    ),
)


def reported_of(task: str) -> list[Reported]:
    """Return all that is reported of a task."""
    return [cell for cell in REPORTED if cell.task == task]


def reported_cell(task: str, model: str, loops: int) -> Reported | None:
    """Return what is reported of one model at one loop count, None where nothing is."""
    for cell in reported_of(task):
        if (cell.model, cell.loops, cell.compared) == (model, loops, True):
            return cell
    return None
