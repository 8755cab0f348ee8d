"""How one sequence model is trained on one task: steps, rates, loss, what is measured and when."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from looprate.experiments.tasks.checks import check_integer

Schedule = Literal["cosine", "linear"]
Loops = Literal["last", "every"]


@dataclass(frozen=True)
class SequenceRecipe:
    """AdamW with warm-up, decay and clipping, on fresh rows at every step.

    Parameters
    ----------
    steps, batch : int
        Optimiser steps, and rows per step.
    learning_rate, final_learning_rate : float
        The peak, and what the schedule ends at.
    schedule : {"cosine", "linear"}
        Shape of the fall from peak to end, after the warm-up.
    warmup : int
        Steps with linearly rising learning rate.
    weight_decay : float
        Of AdamW, on matrices only: no biases, gains, or modulation.
    betas : (float, float)
        Averages of AdamW.
    clip : float
        Largest Euclidean norm of a gradient.
    loss : {"last", "every"}
        Loss of the predictions after the last loop, or its mean over those after every loop.
    evaluations, validation_rows : int
        Points of the training curve, and held-out rows behind each.
    test_rows : int
        Held-out rows of the final test.
    curriculum : int
        Steps between two changes of a task that grows (decision trees); 0 for the whole at once.
    lean : bool
        Keep few states for the gradient and compute the rest again: less memory, more time.
    compiled : bool
        Compile the loop's body on a GPU; a CPU runs it as it is.
    """

    steps: int = 1000
    batch: int = 32
    learning_rate: float = 2e-3
    final_learning_rate: float = 0.0
    schedule: Schedule = "cosine"
    warmup: int = 0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.99)
    clip: float = 1.0
    loss: Loops = "last"
    evaluations: int = 10
    validation_rows: int = 256
    test_rows: int = 1000
    curriculum: int = 0
    lean: bool = False
    compiled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))  # from JSON
        for name in ("steps", "batch", "validation_rows", "test_rows"):
            check_integer(name, getattr(self, name), least=1)
        check_integer("evaluations", self.evaluations, least=1, most=self.steps)
        check_integer("warmup", self.warmup, least=0, most=self.steps - 1)
        check_integer("curriculum", self.curriculum, least=0)
        for name, options in (("schedule", get_args(Schedule)), ("loss", get_args(Loops))):
            if getattr(self, name) not in options:
                raise ValueError(
                    f"`{name}` must be {' or '.join(options)}, got {getattr(self, name)!r}; "
                    f"try {options[0]}"
                )
        _check_number("learning_rate", self.learning_rate, above=0.0)
        _check_number("clip", self.clip, above=0.0)
        _check_number("weight_decay", self.weight_decay)
        _check_number("final_learning_rate", self.final_learning_rate, most=self.learning_rate)
        if len(self.betas) != 2 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError(
                f"`betas` must be two numbers from 0 to below 1, got {self.betas}; try (0.9, 0.99)"
            )

    def rate(self, step: int) -> float:
        """Return the learning rate of step 0..steps-1.

        Warm-up reaches the peak at its last step; the fall starts there and would reach
        ``final_learning_rate`` at step ``steps``.
        """
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        part = (step - self.warmup) / (self.steps - self.warmup)
        left = 1 - part if self.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * part))
        return self.final_learning_rate + (self.learning_rate - self.final_learning_rate) * left

    def marks(self) -> list[int]:
        """Return the numbers of steps after which the curve is measured; the last is ``steps``."""
        return [round(self.steps * (k + 1) / self.evaluations) for k in range(self.evaluations)]

    def lasting(self, steps: int) -> SequenceRecipe:
        """Return the recipe with another number of steps, its warm-up and marks cut to fit."""
        check_integer("steps", steps, least=1)
        marks, warmup = min(self.evaluations, steps), min(self.warmup, steps - 1)
        return replace(self, steps=steps, evaluations=marks, warmup=warmup)

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; ``SequenceRecipe(**d)`` inverts it."""
        return asdict(self) | {"betas": list(self.betas)}


def _check_number(
    name: str, value: float, *, above: float | None = None, most: float = math.inf
) -> None:
    """Raise unless a number is finite, > ``above`` (>= 0 without one) and <= ``most``."""
    fits = value > above if above is not None else value >= 0
    if math.isfinite(value) and fits and value <= most:
        return
    span = f"> {above:g}" if above is not None else ">= 0"
    bound = f" and <= learning_rate={most:g}" if math.isfinite(most) else ""
    raise ValueError(f"`{name}` must be a finite number {span}{bound}, got {value}")
