"""What a target is not: a function, defined on the cube, permutation-equivariant, continuous.

Each check looks at a few rows and returns whether the hypothesis stands there, a sentence and the
numbers behind it.  It can refute, with a witness, and never prove.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.tasks.base import Batch, Task
from looprate.experiments.tasks.decision_tree import DecisionTree, tree_values
from looprate.experiments.tasks.language import Language
from looprate.experiments.tasks.strings import BAR, StringTask
from looprate.experiments.tasks.sudoku import Sudoku

Checked = tuple[bool, str, dict[str, Any]]
ROWS = 8  # looked at
SWAPS = 8  # of two letters, tried on every row
STEP = 1e-6  # either way, across the surface on which a tree's root decides


def is_function(task: Task) -> Checked:
    """Tell whether the positions that are seen determine the target.

    Parameters
    ----------
    task : Task
        For a language the small text that comes with the project stands for any text.
    """
    if isinstance(task, Language):
        return _next_token()
    if isinstance(task, DecisionTree):
        questions, leaves, point = _trees(task)
        values = tree_values(questions, leaves, np.repeat(point, 2, axis=0))[:, 0]
        first, second = map(float, values)
        reason = (
            "nothing comes before the first point: at one point two trees have the values "
            f"{first:.3g} and {second:.3g}"
        )
        return first == second, reason, {"values": [first, second]}
    batch = _sample(task)
    agree = int(((task.oracle(batch.inputs) == batch.targets) | ~batch.mask).all(1).sum())
    reason = f"a search from the inputs alone finds the targets of {agree} of {len(batch)} rows"
    return agree == len(batch), reason, {"agree": agree, "rows": len(batch)}


def on_the_cube(task: Task, vocabulary: int) -> Checked:
    """Tell whether the inputs fill the cube [0,1]^{N x d}.

    Parameters
    ----------
    task : Task
    vocabulary : int
        Token ids there are.
    """
    if not task.channels:
        power = task.length * math.log10(vocabulary)
        reason = f"the inputs are ids, at most {vocabulary}^N or 10^{power:.0f} points"
        return False, reason, {"vocabulary": vocabulary, "log10_points": power}
    inputs = _sample(task).inputs
    outside = float(((inputs < 0) | (inputs > 1)).mean())
    reason = f"{outside:.0%} of the entries of {len(inputs)} rows lie outside [0,1]"
    return outside == 0, reason, {"share_outside": outside}


def equivariant(task: Task) -> Checked:
    """Look for a swap of two tokens after which the right output is not the swapped one.

    Where two counted positions hold the same token, swapping them changes nothing, so that an
    equivariant target would be the same at both.
    """
    batch = _sample(task)
    for row, (inputs, targets, mask) in enumerate(
        zip(batch.inputs, batch.targets, batch.mask, strict=True)
    ):
        for i, j in combinations(np.flatnonzero(mask).tolist(), 2):
            if inputs[i] == inputs[j] and targets[i] != targets[j]:
                words = task.vocabulary
                reason = (
                    f"positions {i + 1} and {j + 1} hold the same token, {words[inputs[i]]}, and "
                    f"should become {words[targets[i]]} and {words[targets[j]]}"
                )
                return False, reason, {"row": row, "positions": [i, j]}
    return _after_swaps(task, batch)


def continuous(task: Task) -> Checked:
    """Move a point across the surface on which a tree's root decides; ids have nothing between."""
    if not isinstance(task, DecisionTree):
        between = "" if task.channels else ": between ids there is nothing to be continuous on"
        return False, f"not looked at{between}", {"skipped": True}
    questions, leaves, point = _trees(task)
    points = np.repeat(point, 2, axis=1)
    points[:, :, questions[0, 0]] = -STEP, STEP
    left, right = (float(value) for value in tree_values(questions[:1], leaves[:1], points)[0])
    reason = f"points {2 * STEP:g} apart have the values {left:.3g} and {right:.3g} under one tree"
    return left == right, reason, {"distance": 2 * STEP, "values": [left, right]}


def _sample(task: Task) -> Batch:
    """Return a few rows, without what takes long to make."""
    if isinstance(task, Sudoku):
        task = replace(task, bases=1, path=None)
    return task.sample("test", 0, ROWS)


def _next_token() -> Checked:
    """Two tokens that follow the same first one, in the small text."""
    task = Language(context=1)
    batch = task.sample("train", 0, 16 * ROWS)
    followed: dict[int, int] = {}
    for token, after in zip(batch.inputs[:, 0].tolist(), batch.targets[:, 0].tolist(), strict=True):
        if followed.setdefault(token, after) != after:
            first, second = (repr(task.text([k])) for k in (followed[token], after))
            reason = (
                f"in the small text {task.text([token])!r} at the start of a window is followed by "
                f"{first} and by {second}"
            )
            return False, reason, {"token": token, "next": [followed[token], after]}
    return True, f"no token of {len(batch)} windows is followed by two", {"windows": len(batch)}


def _trees(task: DecisionTree) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the questions and leaves of two trees, and one point of shape (1, 1, dims)."""
    rng = np.random.default_rng(0)
    questions = rng.integers(task.dims, size=(2, 2**task.depth - 1))
    return questions, rng.standard_normal((2, 2**task.depth)), rng.random((1, 1, task.dims))


def _after_swaps(task: Task, batch: Batch) -> Checked:
    """Swap two letters of the first string: the answer's position is not moved."""
    tried = 0
    rng = np.random.default_rng(0)
    for row in range(len(batch) if isinstance(task, StringTask) else 0):
        inputs, mask = batch.inputs[row], batch.mask[row]
        end = int(np.flatnonzero(inputs == BAR)[0])
        for _ in range(SWAPS):
            i, j = sorted(rng.choice(end, 2, replace=False).tolist())
            swapped = inputs.copy()
            swapped[[i, j]] = inputs[[j, i]]
            tried += 1
            place = int(np.flatnonzero(mask)[0])
            before, after = (
                task.vocabulary[task.oracle(one[None])[0, place]] for one in (inputs, swapped)
            )
            if before != after:
                reason = (
                    f"letters {i + 1} and {j + 1} of the first string, swapped, change the answer "
                    f"at another position from {before} to {after}"
                )
                return False, reason, {"row": row, "positions": [i, j]}
    return True, f"not refuted by {tried} swaps of two letters", {"swaps": tried}
