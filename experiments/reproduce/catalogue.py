"""The six tasks and three models by the names they have on the command line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looprate.approx.models.parts import Family
from looprate.experiments.tasks.base import Task
from looprate.experiments.tasks.countdown import Countdown
from looprate.experiments.tasks.decision_tree import DecisionTree
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.experiments.tasks.language import Language
from looprate.experiments.tasks.lcs import LongestCommonSubsequence
from looprate.experiments.tasks.sudoku import Sudoku

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
