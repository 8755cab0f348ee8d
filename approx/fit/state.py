"""The state of a fit on the host: weights and averages of every model, how far each has come.

Parameters of a bank also live in one flat (M, P) tensor, models first, on which Adam works.  A
checkpoint is this state as arrays.  Models may have come to different steps, where memory held only
some of them at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looprate.approx.banks.bank import PER_BLOCK, Bank, bank_of
from looprate.approx.fit.fitted import Member
from looprate.approx.fit.memory import slices
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.theory.stored_arrays import read_arrays, write_arrays

__all__ = ["fresh_state"]


@dataclass
class FitState:
    """Where every model of a fit stands, models first.

    Attributes
    ----------
    step : ndarray of int, shape (M,)
        Steps each model has been trained.
    flat, mean, square : ndarray of float32, shape (M, P)
        Parameters and Adam's averages of the gradient and of its square.
    diverged_at : ndarray of int, shape (M,)
        Step at which a model was frozen, or -1.
    curve : ndarray, shape (M, E)
        L^p validation errors, NaN where not yet measured.
    """

    step: np.ndarray
    flat: np.ndarray
    mean: np.ndarray
    square: np.ndarray
    diverged_at: np.ndarray
    curve: np.ndarray

    def part(self, start: int, stop: int) -> FitState:
        """Return the state of models start..stop-1, copied."""
        return FitState(*(getattr(self, f.name)[start:stop].copy() for f in fields(self)))

    def put(self, start: int, part: FitState) -> None:
        """Write the state of some models back, the first of them at ``start``."""
        for f in fields(self):
            values = getattr(part, f.name)
            getattr(self, f.name)[start : start + len(values)] = values

    def banks(self, size: int) -> list[tuple[int, int]]:
        """Return stretches of at most ``size`` models that stand at the same step."""
        changes = np.flatnonzero(np.diff(self.step)) + 1
        ends = [0, *changes.tolist(), len(self.step)]
        return [bank for start, stop in pairwise(ends) for bank in slices(start, stop, size)]


def flatten(bank: Bank) -> Tensor:
    """Collect tensors shaped like a bank's into one (M, P)."""
    return torch.cat([_models_first(name, value).flatten(1) for name, value in bank.items()], dim=1)


def write_bank(flat: Tensor, bank: Bank) -> None:
    """Write flat parameters (M, P) into a bank, in place and without a gradient."""
    for name, value in bank_views(flat, bank).items():
        bank[name].detach().copy_(value)


def bank_views(flat: Tensor, like: Bank) -> Bank:
    """Return flat parameters (M, P) as a bank, differentiable in them; ``like`` gives the sizes."""
    views, start = {}, 0
    for name, value in like.items():
        size = _models_first(name, value).shape[1:]
        part = flat[:, start : (start := start + size.numel())].view(len(flat), *size)
        views[name] = part.movedim(0, 1) if name in PER_BLOCK else part
    return views


def _models_first(name: str, tensor: Tensor) -> Tensor:
    """View one parameter with its model axis first."""
    return tensor.movedim(1, 0) if name in PER_BLOCK else tensor


def bank_at(flat: Tensor, config: ModelConfig) -> Bank:
    """Return a new bank on the device of its flat parameters (M, P)."""
    model = LoopedTransformer(config, seed=0)
    bank = {name: value.to(flat.device) for name, value in bank_of([model] * len(flat)).items()}
    write_bank(flat, bank)
    return bank


def fresh_state(config: ModelConfig, members: Sequence[Member], *, evaluations: int) -> FitState:
    """Return the state before the first step: initial weights decided by each member's seed."""
    models = {member.seed: LoopedTransformer(config, seed=member.seed) for member in members}
    flat = flatten(bank_of([models[member.seed] for member in members])).numpy()
    return untrained_state(flat, evaluations=evaluations)


def untrained_state(flat: np.ndarray, *, evaluations: int) -> FitState:
    """Return the state before the first step from given parameters (M, P)."""
    count = len(flat)
    return FitState(
        step=np.zeros(count, dtype=np.int64),
        flat=flat,
        mean=np.zeros_like(flat),
        square=np.zeros_like(flat),
        diverged_at=np.full(count, -1, dtype=np.int64),
        curve=np.full((count, evaluations), np.nan),
    )


def save_state(path: Path, stamp: str, state: Any) -> None:
    """Write the arrays of a dataclass atomically (npz, no objects)."""
    write_arrays(path, {"stamp": np.array(stamp), **vars(state)})


def load_state(path: Path, stamp: str) -> FitState | None:
    """Return the state stored under the same stamp; None of any other, or a torn, file."""
    try:
        stored = read_arrays(path)
        if str(stored["stamp"]) != stamp:
            return None
        return FitState(*(stored[f.name] for f in fields(FitState)))
    except (OSError, ValueError, KeyError):
        return None  # torn by a kill, or damaged: start this fit again
