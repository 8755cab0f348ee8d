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


MODELS = ("untied", "looped", "tmlt")
UNLIKE = ("train perplexity",)  # metrics that no row of this project holds
#: Task, size, metric and unit; loop counts and values of the three models.
TABLE = (
    ("sudoku", "9x9", "board accuracy", "%", (6, 32, 32), (0.0, 87.9, 90.2)),
    ("countdown", "4 numbers", "accuracy", "%", (6, 32, 32), (53.8, 88.1, 90.5)),
    ("lcs", "length 100", "accuracy", "%", (12, 100, 100), (39.8, 98.2, 98.6)),
    ("edit-distance", "length 60", "accuracy", "%", (12, 100, 100), (41.4, 47.7, 88.3)),
    ("decision-tree", "depth 4", "mean squared error", "", (12, 12, 12), (8.6e-3, 1.4e-2, 1.7e-3)),
    ("language", "WikiText-103", "train perplexity", "", (12, 24, 24), (15.9, 17.1, 15.9)),
    ("language", "WikiText-103", "test perplexity", "", (12, 24, 24), (20.5, 20.6, 19.6)),
)
REPORTED = tuple(
    Reported(task, metric, model, loops, value, unit, size, metric not in UNLIKE)
    for task, size, metric, unit, counts, values in TABLE
    for model, loops, value in zip(MODELS, counts, values, strict=True)
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
