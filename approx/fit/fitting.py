"""Fit many looped Transformers at once: targets x seeds x learning rates in banks.

Fresh scrambled Sobol points at every step, Adam with warm-up and cosine decay, gradients clipped
per model.  A model whose loss or gradient stops being finite is frozen and reported; the others go
on.  Every random number is a function of (seed, step), so a run continued from a checkpoint ends
with the same numbers as an unbroken one on the same machine.

On the CPU all models are one bank.  On a GPU a bank is as large as its free memory holds; where
that was too much, its halves go on from where it was.  A model's numbers are the same in any bank
up to rounding, which is what a fit continued with other memory free may differ by.  Speed on a GPU
is unmeasured, see :mod:`looprate.approx.fit.training`.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looprate.approx.banks.bank import bank_path
from looprate.approx.fit.fitted import FitResult, Member, Recipe
from looprate.approx.fit.memory import ensemble_size, free_memory, in_halves
from looprate.approx.fit.sampling import Function, SobolSource
from looprate.approx.fit.state import FitState, bank_at, fresh_state, load_state, save_state
from looprate.approx.fit.training import TrainingRun
from looprate.approx.models.looped import ModelConfig
from looprate.theory.notation import check_loops, check_p, check_tokens
from looprate.theory.targets.identity import code_digest

__all__ = ["fit"]

FORMAT = 4  # of a checkpoint; raised where the numbers of a fit change: older ones start anew
PROBED = 256  # training points at which a target's values are part of what a fit is


def fit(
    targets: Sequence[Function],
    config: ModelConfig,
    *,
    tokens: int,
    loops: int,
    seeds: Sequence[int],
    learning_rates: Sequence[float],
    p: float = 1.0,
    recipe: Recipe | None = None,
    device: str | torch.device = "cpu",
    compiled: bool = True,
    checkpoint: Path | None = None,
    checkpoint_seconds: float = 10.0,
    progress: Callable[[int], None] | None = None,
    free_bytes: int | None = None,
) -> FitResult:
    """Train one model per (target, seed, learning rate), all at once.

    Parameters
    ----------
    targets : sequence of callables (B, N, d) -> (B, N, d)
    config : ModelConfig
    tokens, loops : int
        N and r.
    seeds : sequence of int
        Each seed decides initial weights and training points; shared across targets, learning
        rates and families, so that comparisons are paired.
    learning_rates : sequence of float
        Peak learning rates.
    recipe : Recipe, optional
        Steps, batch, schedule; default ``Recipe()``.
    p : float
        Exponent of the loss, finite: the mean of |g - f|^p, for p > 2 its p-th root.
    checkpoint : Path, optional
        Written atomically every ``checkpoint_seconds``; a later call with the same arguments
        continues from it.  Targets are the same if their code, all that it uses and their values
        are; of any other the fit starts anew, and the file becomes its own.
    progress : callable, optional
        Called with the number of finished steps (their mean, where banks go one after another).
    free_bytes : int, optional
        Memory that a bank may plan with; by default what a GPU has free, and no limit on the CPU.

    Returns
    -------
    FitResult
    """
    check_tokens(tokens), check_loops(loops)
    recipe = Recipe() if recipe is None else recipe
    if math.isinf(check_p(p)):
        raise ValueError("`p` must be finite to train on the L^p error, got inf")
    if not targets or not seeds or not learning_rates:
        raise ValueError("`targets`, `seeds` and `learning_rates` must each hold at least one")
    members = [Member(*each) for each in product(range(len(targets)), seeds, learning_rates)]
    device = torch.device(device)
    shape: dict[str, Any] = {"tokens": tokens, "loops": loops}
    how: dict[str, Any] = {**shape, "p": p, "recipe": recipe, "compiled": compiled}
    path = bank_path(config, torch.empty(0, device=device), compiled=compiled)
    stamp, state = "", None
    if checkpoint is not None:
        probes = SobolSource(seeds[:1], tokens=tokens, dim=config.dim, device=device)
        functions = [identity_of(f, probes.draw(0, PROBED)[0]) for f in targets]
        stamp = _stamp(functions, config, members, device=device.type, path=path, **how)
        state = load_state(checkpoint, stamp)
    state = state or fresh_state(config, members, evaluations=recipe.evaluations)
    keeper = _Keeper(state, recipe.steps, checkpoint, stamp, checkpoint_seconds, progress)

    def train(start: int, stop: int) -> list[None]:
        bank = members[start:stop], state.part(start, stop)
        keeper.follow(start, TrainingRun(targets, config, *bank, device=device, **how))
        return []

    free_bytes = free_memory(device) if free_bytes is None else free_bytes
    size = len(members)
    if free_bytes is not None:
        size = ensemble_size(
            config, tokens=tokens, batch=recipe.batch, loops=loops, free_bytes=free_bytes
        )
    for start, stop in state.banks(size):
        in_halves(train, start, stop)
    bank = bank_at(torch.from_numpy(state.flat).to(device), config)
    return FitResult(
        bank, config, members, np.array(recipe.marks), state.curve.T.copy(), state.diverged_at
    )


@dataclass
class _Keeper:
    """Follows one bank after another to the end, and keeps the state of all of them."""

    state: FitState
    steps: int
    checkpoint: Path | None
    stamp: str
    every: float
    progress: Callable[[int], None] | None
    saved: float = field(default_factory=time.monotonic)

    def follow(self, start: int, run: TrainingRun) -> None:
        """Train a bank whose first model is ``start``; if its memory ends, keep where it came."""
        try:
            while run.step < self.steps:
                run.advance()
                self._report(start, run)
                self._save(start, run)
        finally:
            self.state.put(start, run.state())

    def _report(self, start: int, run: TrainingRun) -> None:
        """Say how many steps are done, on average over all models."""
        if self.progress is None:
            return
        step = self.state.step.copy()
        step[start : start + len(run.members)] = run.step
        self.progress(int(step.mean()))

    def _save(self, start: int, run: TrainingRun) -> None:
        """Write a checkpoint if one is due; none after the last step."""
        due = time.monotonic() - self.saved > self.every
        if self.checkpoint is None or not due:
            return
        self.state.put(start, run.state())
        if (self.state.step < self.steps).any():
            save_state(self.checkpoint, self.stamp, self.state)
            self.saved = time.monotonic()


def _stamp(
    functions: Sequence[str],
    config: ModelConfig,
    members: Sequence[Member],
    *,
    recipe: Recipe,
    **facts: Any,
) -> str:
    """Return a digest of everything that decides the numbers of a fit."""
    whole = {
        "format": FORMAT,
        "targets": list(functions),
        "config": config.as_dict(),
        "members": [asdict(member) for member in members],
        "recipe": asdict(recipe),
        "torch": torch.__version__,
        **facts,
    }
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def identity_of(function: Function, x: Tensor) -> str:
    """Return what tells a target from any other: its name, its code and its values."""
    name = getattr(function, "__qualname__", type(function).__qualname__)
    values = function(x).to(x).detach().cpu().numpy()
    return f"{name} {code_digest(function)} {hashlib.sha256(values.tobytes()).hexdigest()}"
