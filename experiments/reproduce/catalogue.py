"""The six tasks and three models by the names they have on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from approx.parts import Family
from experiments.tasks.base import Task
from experiments.tasks.countdown import Countdown
from experiments.tasks.decision_tree import DecisionTree
from experiments.tasks.edit_distance import EditDistance
from experiments.tasks.language import Language
from experiments.tasks.lcs import LongestCommonSubsequence
from experiments.tasks.sudoku import Sudoku

__all__ = ["MODELS", "TASKS", "task_of"]

TASKS: dict[str, type[Task]] = {
    cls.key: cls
    for cls in (Sudoku, Countdown, LongestCommonSubsequence, EditDistance, DecisionTree, Language)
}
MODELS: dict[str, Family] = {"looped": "lt", "tmlt": "tmlt", "untied": "untied"}


def task_of(key: str, sizes: Mapping[str, Any]) -> Task:
    """Return a task from its name and the sizes that ``as_dict`` gave."""
    if key not in TASKS:
        raise ValueError(f"`task` must be one of {', '.join(TASKS)}, got {key!r}")
    return TASKS[key](**sizes)
