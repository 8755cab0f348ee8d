"""Adam for a bank: one update of the flat parameters (M, P), each model with its own rate.

The update is one pass over memory when compiled.  Gradients are clipped per model; a frozen model
keeps its parameters whatever its gradient holds.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from looprate.approx.banks.block import Block, compile_for
from looprate.approx.banks.fused.build import library
from looprate.approx.banks.fused.kernel import fused_adam

__all__ = ["adam_function"]

EPSILON = 1e-8


def _update(
    beta1: float,
    beta2: float,
    flat: Tensor,
    mean: Tensor,
    square: Tensor,
    grad: Tensor,
    share: Tensor,
    rate: Tensor,
    correction: Tensor,
) -> tuple[()]:
    """Update flat, mean and square (M, P) in place.

    ``share`` (M, 1) scales the gradient and is 0 where a model is frozen; ``rate`` (M, 1) is the
    learning rate over Adam's first bias correction, ``correction`` () the root of the second.
    """
    grad = torch.where(share > 0, grad * share, 0.0)
    mean.copy_(mean + (1 - beta1) * (grad - mean))
    square.copy_(beta2 * square + (1 - beta2) * grad * grad)
    step = mean / (square.sqrt() / correction + EPSILON)
    flat.copy_(flat - torch.where(share > 0, rate * step, 0.0))
    return ()


@functools.lru_cache(maxsize=64)
def adam_function(
    models: int, parameters: int, *, beta1: float, beta2: float, device: str, compiled: bool
) -> Block:
    """Return the update for (M, P) float32 parameters, compiled where a compiler works."""
    update = functools.partial(_update, beta1, beta2)
    if not compiled:
        return update
    if device == "cpu" and library() is not None:
        return functools.partial(fused_adam, beta1, beta2)
    wide = [torch.zeros(models, parameters, device=device) for _ in range(4)]
    narrow = [torch.ones(models, 1, device=device) for _ in range(2)]
    return compile_for(update, [*wide, *narrow, torch.ones((), device=device)])
