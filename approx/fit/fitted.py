"""What a fit is asked for and what it returns: recipe, members, result, its errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from looprate.approx.banks.bank import PER_BLOCK, Bank, bank_forward
from looprate.approx.error import HELD_OUT, ErrorEstimate, errors_of
from looprate.approx.fit.memory import in_halves
from looprate.approx.fit.sampling import Function
from looprate.approx.models.looped import ModelConfig

__all__ = ["FitResult", "Member", "Recipe", "member_errors"]


@dataclass(frozen=True)
class Recipe:
    """How a bank is trained.

    Parameters
    ----------
    steps, batch : int
        Optimiser steps, and fresh points per step and model.
    warmup : float
        Fraction of the steps with linearly rising learning rate; cosine decay to 0 follows.
    beta1, beta2, clip : float
        Adam's averages; largest gradient norm per model.
    evaluations, validation_points : int
        Points of the training curve and size of the validation draw (multiple of ``batch``).
    """

    steps: int = 2000
    batch: int = 32
    warmup: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    clip: float = 1.0
    evaluations: int = 10
    validation_points: int = 512

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "evaluations", "validation_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(self, name)}")
        if self.evaluations > self.steps:
            raise ValueError(
                f"`evaluations` must not exceed steps={self.steps}, got {self.evaluations}"
            )
        if self.validation_points % self.batch:
            raise ValueError(
                f"`validation_points` must be a multiple of batch={self.batch}, "
                f"got {self.validation_points}"
            )

    @property
    def marks(self) -> list[int]:
        """Steps after which the curve is measured."""
        return [round(self.steps * (k + 1) / self.evaluations) for k in range(self.evaluations)]

    def rate(self, step: int) -> float:
        """Return the learning rate of step 0..steps-1 as a fraction of its peak."""
        ramp = max(1, round(self.warmup * self.steps))
        if step < ramp:
            return (step + 1) / ramp
        return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, self.steps - ramp)))


@dataclass(frozen=True)
class Member:
    """One model of a bank: which target, seed and peak learning rate."""

    target: int
    seed: int
    learning_rate: float


@dataclass
class FitResult:
    """A trained bank and how it got there.

    Attributes
    ----------
    bank, config, members : the parameters, their shape, and which model is which
    steps : ndarray, shape (E,)
        Steps after which the curve was measured.
    curve : ndarray, shape (E, M)
        L^p validation errors.
    diverged_at : ndarray of int, shape (M,)
        Step at which a model was frozen, or -1.
    """

    bank: Bank
    config: ModelConfig
    members: list[Member]
    steps: np.ndarray
    curve: np.ndarray
    diverged_at: np.ndarray

    @property
    def validation_error(self) -> np.ndarray:
        """Final L^p validation error of every model, inf where it diverged."""
        return np.where(self.diverged_at >= 0, np.inf, self.curve[-1])

    def late_gain(self) -> np.ndarray:
        """Relative improvement of the error over the last quarter of the curve, shape (M,)."""
        start = self.curve[max(0, len(self.curve) - 1 - len(self.curve) // 4)]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nan_to_num((start - self.curve[-1]) / start, nan=0.0)


def predictions(result: FitResult, x: Tensor, *, loops: int, compiled: bool = True) -> Tensor:
    """Return every model's output at the same points: (b, N, d) to (M, b, N, d)."""
    many = x.expand(len(result.members), *x.shape)
    return bank_forward(result.bank, result.config, many, loops, compiled=compiled)


def member_errors(
    result: FitResult,
    targets: Sequence[Function],
    *,
    tokens: int,
    loops: int,
    p: float,
    points: int,
    replicates: int,
    batch: int,
    seed: int = HELD_OUT,
    compiled: bool = True,
    device: str | torch.device = "cpu",
) -> list[ErrorEstimate]:
    """Return the L^p error of every model against its own target, in the members' order.

    Where a GPU's memory is short the models are measured in halves.
    """

    def some(start: int, stop: int) -> list[ErrorEstimate]:
        part = _part(result, start, stop)
        of_target = torch.tensor([member.target for member in part.members], device=device)
        return errors_of(
            lambda x: predictions(part, x, loops=loops, compiled=compiled),
            lambda x: torch.stack([f(x).to(x) for f in targets])[of_target],
            tokens=tokens,
            dim=result.config.dim,
            p=p,
            points=points,
            replicates=replicates,
            batch=batch,
            seed=seed,
            device=device,
        )

    return in_halves(some, 0, len(result.members))


def _part(result: FitResult, start: int, stop: int) -> FitResult:
    """Return some models of a result; all of them as they are."""
    if stop - start == len(result.members):
        return result
    some = slice(start, stop)
    bank = {
        name: (value[:, some] if name in PER_BLOCK else value[some]).clone()
        for name, value in result.bank.items()
    }
    members, diverged_at = result.members[some], result.diverged_at[some]
    return FitResult(bank, result.config, members, result.steps, result.curve[:, some], diverged_at)
