"""Fit many looped Transformers at once: targets x seeds x learning rates as one bank.

Fresh scrambled Sobol points at every step, Adam with warm-up and cosine decay, gradients clipped
per model.  A model whose loss or gradient stops being finite is frozen and reported; the others go
on.  Every random number is a function of (seed, step), so a run continued from a checkpoint ends
with the same numbers as an unbroken one on the same machine.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from approx.looped import ModelConfig
from approx.training import FitResult, Function, Member, Recipe, TrainingRun, predictions
from theory.notation import check_loops, check_p, check_tokens

__all__ = ["FitResult", "Member", "Recipe", "fit", "predictions"]


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
        The loss is the mean of |g - f|^p, p finite.
    checkpoint : Path, optional
        Written atomically every ``checkpoint_seconds``; a later call with the same arguments
        continues from it.
    progress : callable, optional
        Called with the number of finished steps.

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
    run = TrainingRun(
        targets,
        config,
        tokens=tokens,
        loops=loops,
        seeds=seeds,
        learning_rates=learning_rates,
        p=p,
        recipe=recipe,
        device=device,
        compiled=compiled,
    )
    stamp = run.stamp()
    if checkpoint is not None and checkpoint.exists():
        run.load(checkpoint, stamp)
    saved = time.monotonic()
    while run.step < recipe.steps:
        run.advance()
        if progress is not None:
            progress(run.step)
        due = time.monotonic() - saved > checkpoint_seconds
        if checkpoint is not None and due and run.step < recipe.steps:
            run.save(checkpoint, stamp)
            saved = time.monotonic()
    return run.result()
