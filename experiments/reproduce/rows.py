"""Rows for training, as a pure function of the step: a run continued anywhere sees the same ones.

Rows are drawn in chunks of some thousands, each from a seed of its own, and cut into batches.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor

from looprate.experiments.reproduce.recipe import SequenceRecipe
from looprate.experiments.tasks.base import Batch, Task
from looprate.experiments.tasks.decision_tree import DecisionTree

CHUNK = 4096  # rows drawn together, about


def task_at(task: Task, recipe: SequenceRecipe, step: int) -> Task:
    """Return the task of a training step: a smaller one early in a curriculum."""
    if recipe.curriculum and isinstance(task, DecisionTree):
        return task.at_step(step, interval=recipe.curriculum)
    return task


class TrainingRows:
    """Batches of the split "train" by step.

    Parameters
    ----------
    task : Task
    recipe : SequenceRecipe
    seed : int
    ahead : bool
        Draw the next chunk in a second thread while a GPU works on this one.
    """

    def __init__(
        self, task: Task, recipe: SequenceRecipe, seed: int, *, ahead: bool = False
    ) -> None:
        self.task, self.recipe, self.seed = task, recipe, seed
        self.steps = max(1, CHUNK // recipe.batch)  # of one chunk
        self.pool = ThreadPoolExecutor(1) if ahead else None
        self.number = -1
        self.chunk: Batch | None = None
        self.coming: dict[int, Future[Batch]] = {}

    def batch(self, step: int) -> Batch:
        """Return the rows of a training step."""
        number, place = divmod(step, self.steps)
        if number != self.number or self.chunk is None:
            self.number, self.chunk = number, self._taken(number)
        rows = slice(place * self.recipe.batch, (place + 1) * self.recipe.batch)
        chunk = self.chunk
        return Batch(chunk.inputs[rows], chunk.targets[rows], chunk.mask[rows])

    def close(self) -> None:
        """End the second thread, if there is one."""
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)

    def _taken(self, number: int) -> Batch:
        """Return a chunk, drawn now or before, and let the next one be drawn."""
        coming = self.coming.pop(number, None)
        chunk = coming.result() if coming else self._drawn(number)
        first = (number + 1) * self.steps
        if self.pool is not None and first < self.recipe.steps:
            self.coming = {number + 1: self.pool.submit(self._drawn, number + 1)}
        return chunk

    def _drawn(self, number: int) -> Batch:
        """Draw a chunk; the curriculum's size is that at its first step."""
        task = task_at(self.task, self.recipe, number * self.steps)
        return task.sample("train", (self.seed, number), self.steps * self.recipe.batch)
