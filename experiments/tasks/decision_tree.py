"""Decision trees learnt in context, after Garg et al. (NeurIPS 2022) and Yang et al. (ICLR 2024).

Every row has its own random tree: a full binary tree whose inner nodes ask for the sign of one
coordinate, drawn evenly from all ``dims`` (right where it is > 0), and whose leaves hold N(0, 1)
values.  A row shows points and values in turn, x_1, y_1, x_2, y_2, ..., and asks for y_i at the
position of x_i, where a causal model has seen the i - 1 points before it.

**Splits.**  Rows are continuous draws from separate streams of random numbers: a row of "train" is
a row of "test" with probability zero, up to the rounding of float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.tasks.base import Batch, Split, Task, generator
from looprate.experiments.tasks.checks import check_integer

__all__ = ["DecisionTree", "tree_values"]

SALT = 80_001
Floats = NDArray[np.floating[Any]]
CHUNK = 128  # rows of a reference computed together
TIE = 1e-9  # relative gain below which splits count as equal


@dataclass(frozen=True)
class DecisionTree(Task):
    """Points and values of a random tree in turn; the value is asked for at every point.

    Inputs are (B, 2 * points, dims): x_i at position 2i - 2, then (y_i, 0, ..., 0).  Targets are
    y_i at the position of x_i, and 0 elsewhere, where nothing counts.

    Attributes
    ----------
    dims : int
        Coordinates of a point, at least 1.
    depth : int
        Questions from the root to a leaf, 1 to 12.
    points : int
        Points of a row, at least 2.
    active : int, optional
        Coordinates that are drawn; those after them are 0, so that questions about them send every
        point to the left.  By default all.
    last_only : bool
        Whether only the last point counts, in the loss and in the metric.
    """

    key: ClassVar[str] = "decision-tree"
    summary: ClassVar[str] = "learn a random decision tree from its values, in context"
    metric: ClassVar[str] = "squared error"

    dims: int = 20
    depth: int = 4
    points: int = 101
    active: int | None = None
    last_only: bool = False

    def __post_init__(self) -> None:
        check_integer("dims", self.dims, least=1)
        check_integer("depth", self.depth, least=1, most=12)
        check_integer("points", self.points, least=2)
        if self.active is not None:
            check_integer("active", self.active, least=1, most=self.dims)

    @property
    def length(self) -> int:
        """Two positions a point."""
        return 2 * self.points

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Empty: inputs are vectors."""
        return ()

    @property
    def channels(self) -> int:
        """Coordinates of a point."""
        return self.dims

    def at_step(
        self,
        step: int,
        *,
        interval: int = 2000,
        dims: tuple[int, int] = (5, 1),
        points: tuple[int, int] = (26, 5),
    ) -> DecisionTree:
        """Return the task of the curriculum at a training step: this one in the end.

        Parameters
        ----------
        step : int
            Steps taken, from 0.
        interval : int
            Steps between two changes.
        dims, points : (int, int)
            Start and increment of ``active`` and ``points``.  By default 5, 6, ..., 20 coordinates
            and 26, 31, ..., 101 points, both complete after 15 intervals.

        Raises
        ------
        ValueError
            If a number is out of range.
        """
        check_integer("step", step, least=0)
        check_integer("interval", interval, least=1)
        for name, (start, increment) in (("dims", dims), ("points", points)):
            check_integer(f"{name}[0]", start, least=1 if name == "dims" else 2)
            check_integer(f"{name}[1]", increment, least=0)
        changes = step // interval
        active = min(self.active or self.dims, dims[0] + changes * dims[1])
        return replace(
            self, active=active, points=min(self.points, points[0] + changes * points[1])
        )

    def sample(self, split: Split, seed: int | tuple[int, ...], count: int) -> Batch:
        """Return ``count`` rows, each with a tree of its own.

        Raises
        ------
        ValueError
            If an argument is out of range.
        """
        check_integer("count", count, least=1)
        rng = generator(split, seed, salt=SALT)
        x = rng.standard_normal((count, self.points, self.dims), dtype=np.float32)
        x[:, :, self.active or self.dims :] = 0
        questions = rng.integers(self.dims, size=(count, 2**self.depth - 1))
        leaves = rng.standard_normal((count, 2**self.depth), dtype=np.float32)
        y = tree_values(questions, leaves, x)
        inputs = np.zeros((count, self.length, self.dims), np.float32)
        inputs[:, 0::2], inputs[:, 1::2, 0] = x, y
        return Batch(inputs, self._at_points(y), self._mask(count))

    def _mask(self, count: int) -> NDArray[np.bool_]:
        """Return which positions count, (B, T)."""
        mask = np.zeros((count, self.length), np.bool_)
        mask[:, self.length - 2 if self.last_only else 0 :: 2] = True
        return mask

    def _at_points(self, values: Floats) -> NDArray[np.float32]:
        """Put values (B, points) at the positions of the points, 0 elsewhere, (B, T)."""
        row = np.zeros((len(values), self.length), np.float32)
        row[:, 0::2] = values
        return row

    def oracle(self, inputs: Any) -> NDArray[np.float32]:
        """Return the targets by looking ahead, at the value that follows each point.

        A causal model cannot: :meth:`nearest_neighbour` and :meth:`greedy_tree` see what it sees.
        """
        return self._at_points(self._split(inputs)[1])

    def score(self, outputs: Any, batch: Batch) -> NDArray[np.float64]:
        """Return the mean squared error over the counted positions of every row, shape (B,)."""
        gap = np.where(batch.mask, np.asarray(outputs, np.float64) - batch.targets, 0.0)
        return (gap**2).sum(1) / batch.mask.sum(1)

    def text(self, ids: Any) -> str:
        """Refuse: a row of vectors has no text."""
        raise ValueError("`ids` must be token ids, and decision-tree has none; print its arrays")

    def _split(self, inputs: Any) -> tuple[Floats, Floats]:
        """Return points (B, points, dims) and values (B, points) of inputs, or raise."""
        array = np.asarray(inputs)
        if array.ndim != 3 or array.shape[1:] != (self.length, self.dims):
            raise ValueError(
                f"`inputs` must be of shape (B, {self.length}, {self.dims}), got {array.shape}; "
                "take them from sample()"
            )
        return array[:, 0::2], array[:, 1::2, 0]

    def nearest_neighbour(self, inputs: Any, *, neighbours: int = 3) -> NDArray[np.float32]:
        """Return, at every point, the mean value of the nearest points before it.

        Parameters
        ----------
        inputs : float array of shape (B, T, dims)
        neighbours : int
            Fewer where fewer are before a point; the first point gets 0.

        Returns
        -------
        float32 array of shape (B, T)
        """
        check_integer("neighbours", neighbours, least=1)
        x, y = self._split(inputs)
        parts = range(0, len(x), CHUNK)
        values = [_neighbours(x[k : k + CHUNK], y[k : k + CHUNK], neighbours) for k in parts]
        return self._at_points(np.concatenate(values))

    def greedy_tree(self, inputs: Any, *, levels: int | None = None) -> NDArray[np.float32]:
        """Return, at every point, the value of a tree grown greedily on the points before it.

        The tree asks for signs, as the true one does; each question is the one that lowers the
        squared error most, the first coordinate among equals, and growth ends where none does.

        Parameters
        ----------
        inputs : float array of shape (B, T, dims)
        levels : int, optional
            Most questions on a path; by default ``depth``.

        Returns
        -------
        float32 array of shape (B, T)
        """
        most = self.depth if levels is None else levels
        check_integer("levels", most, least=0)
        x, y = self._split(inputs)
        parts = range(0, len(x), CHUNK)
        values = [_greedy(x[k : k + CHUNK], y[k : k + CHUNK], most) for k in parts]
        return self._at_points(np.concatenate(values))


def tree_values(questions: NDArray[np.int64], leaves: Floats, x: Floats) -> Floats:
    """Return the values of trees at points.

    Parameters
    ----------
    questions : int array of shape (B, 2**depth - 1)
        Coordinate of every inner node; the children of node k are 2k + 1 (left) and 2k + 2.
    leaves : float array of shape (B, 2**depth)
        From left to right.
    x : float array of shape (B, n, dims)

    Returns
    -------
    float array of shape (B, n)
    """
    node = np.zeros(x.shape[:2], np.int64)
    while node.min(initial=questions.shape[1]) < questions.shape[1]:
        coordinate = np.take_along_axis(questions, node, 1)[:, :, None]
        node = 2 * node + 1 + (np.take_along_axis(x, coordinate, 2)[:, :, 0] > 0)
    return np.take_along_axis(leaves, node - questions.shape[1], 1)


def _before(points: int) -> NDArray[np.bool_]:
    """Return (i, j): whether point j comes before point i."""
    return np.tri(points, k=-1, dtype=np.bool_)


def _neighbours(x: Floats, y: Floats, neighbours: int) -> Floats:
    """Return means over the nearest points before every point, (B, n)."""
    x, y = x.astype(np.float64), y.astype(np.float64)
    norms = (x**2).sum(2)
    distance = norms[:, None, :] - 2 * x @ x.transpose(0, 2, 1)  # up to a constant a row
    distance = np.where(_before(x.shape[1]), distance, np.inf)
    near = np.argsort(distance, axis=2, kind="stable")[:, :, :neighbours]
    known = np.isfinite(np.take_along_axis(distance, near, 2))
    values = np.where(known, y[np.arange(len(y))[:, None, None], near], 0.0)
    return values.sum(2) / np.maximum(known.sum(2), 1)


def _greedy(x: Floats, y: Floats, levels: int) -> Floats:
    """Follow every point down the greedy tree of the points before it, all at once, (B, n)."""
    signs, y = (x > 0).astype(np.float64), y.astype(np.float64)[:, None, :]
    held = np.broadcast_to(_before(x.shape[1]), (len(x), x.shape[1], x.shape[1]))
    for _ in range(levels):
        question, asked = _question(held, signs, y)
        mine = np.take_along_axis(signs, question[:, :, None], 2)  # of the point itself
        theirs = np.take_along_axis(signs.transpose(0, 2, 1), question[:, :, None], 1)
        held = held & ((theirs == mine) | ~asked[:, :, None])
    return (held * y).sum(2) / np.maximum(held.sum(2), 1)


def _question(
    held: NDArray[np.bool_], signs: Floats, y: Floats
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the best coordinate for each set of points ``held``, and whether it lowers the error.

    The squared error of a set about its mean falls, when split, by
    sum_R^2 / n_R + sum_L^2 / n_L - sum^2 / n.
    """
    counts, sums = held.sum(2)[:, :, None], (held * y).sum(2)[:, :, None]
    right, right_sums = held @ signs, (held * y) @ signs
    left, left_sums = counts - right, sums - right_sums
    gain = right_sums**2 / np.maximum(right, 1) + left_sums**2 / np.maximum(left, 1)
    gain = np.where((right > 0) & (left > 0), gain - sums**2 / np.maximum(counts, 1), 0.0)
    scale = (held * y**2).sum(2)[:, :, None]
    best = gain.max(2, keepdims=True)
    question = (gain >= best - TIE * scale).argmax(2)
    return question, (best > TIE * scale)[:, :, 0]
