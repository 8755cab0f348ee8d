"""The interface of a task: batches from a seed, what is scored, and an oracle that knows better.

A task is a frozen dataclass of its sizes.  ``sample(split, seed, count)`` is a pure function of its
arguments, so that training resumes with the same rows; no row of the split "train" is a row of
"test", whatever the seeds (each task's docstring says by what construction).
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Batch", "Task", "data_facts"]

Split = Literal["train", "test"]
SPLITS: tuple[Split, ...] = ("train", "test")
Array = NDArray[Any]


@dataclass(frozen=True)
class Batch:
    """Rows of one task.

    Attributes
    ----------
    inputs : int64 array of shape (B, T), or float32 array of shape (B, T, C)
        What the model reads: token ids, or vectors.
    targets : int64 array of shape (B, T), or float32 array of shape (B, T)
        What its output at each position should be; anything where ``mask`` is False.
    mask : bool array of shape (B, T)
        Positions that count, in the loss and in the metric.
    """

    inputs: Array
    targets: Array
    mask: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.inputs)


@dataclass(frozen=True)
class Task(ABC):
    """One family of problems at one size; a subclass has its sizes as fields.

    Attributes
    ----------
    key, summary : str
        Name on the command line, and one line about it.
    metric : str
        "accuracy" (rows all of whose counted positions are right), "squared error" or "perplexity".
    causal : bool
        Whether position t may see positions up to t only.
    """

    key: ClassVar[str]
    summary: ClassVar[str]
    metric: ClassVar[str] = "accuracy"
    causal: ClassVar[bool] = True

    def files(self) -> list[Path]:
        """Return the files of the user's own that rows are drawn from."""
        return []

    @property
    @abstractmethod
    def length(self) -> int:
        """T, positions of a row."""

    @property
    @abstractmethod
    def vocabulary(self) -> tuple[str, ...]:
        """The text of every token id; empty for a task on vectors."""

    @property
    def channels(self) -> int:
        """C, entries of an input vector; 0 for a task on token ids."""
        return 0

    @abstractmethod
    def sample(self, split: Split, seed: int | tuple[int, ...], count: int) -> Batch:
        """Return ``count`` rows of a split, the same for the same arguments.

        Raises
        ------
        ValueError
            If the split is unknown or a number is out of range.
        """

    @abstractmethod
    def oracle(self, inputs: Array) -> Array:
        """Return the targets (B, T) from the inputs alone, by another route than ``sample``."""

    def score(self, outputs: Array, batch: Batch) -> NDArray[np.float64]:
        """Return the metric of every row, shape (B,): higher is better for an accuracy only.

        Here 1 for rows all of whose counted positions are right, else 0.

        Parameters
        ----------
        outputs : int64 array (B, T) of predicted ids, or float array (B, T) of predicted numbers
        batch : Batch
        """
        return ((outputs == batch.targets) | ~batch.mask).all(1).astype(np.float64)

    def text(self, ids: Array) -> str:
        """Return one row of token ids as text."""
        words = self.vocabulary
        return " ".join(words[int(k)] for k in ids)

    def as_dict(self) -> Mapping[str, Any]:
        """Return the sizes, JSON-ready; ``type(task)(**sizes)`` inverts it."""
        return asdict(self)


def data_facts(task: Task) -> dict[str, list[str]]:
    """Return digests of a task's files, nothing where it has none: changed ones make another."""
    read = [hashlib.sha256(file.read_bytes()).hexdigest() for file in task.files()]
    return {"data": read} if read else {}


def check_split(split: str) -> Split:
    """Return the split, or raise naming it."""
    for known in SPLITS:
        if split == known:
            return known
    raise ValueError(f"`split` must be train or test, got {split!r}")


def generator(split: str, seed: int | tuple[int, ...], *, salt: int) -> np.random.Generator:
    """Return the random numbers of one batch of one task (``salt``): no stream is used twice."""
    parts = (seed,) if isinstance(seed, int) else tuple(seed)
    if any(part < 0 for part in parts):
        raise ValueError(f"`seed` must be >= 0, got {seed}")
    return np.random.default_rng((salt, SPLITS.index(check_split(split)), *parts))
