"""L^p errors over the cube by randomised quasi-Monte Carlo, with their standard errors.

The estimate is unbiased for the p-th power (independent scrambles of a Sobol sequence), held out
from training by its own seeds, and comes with a standard error from the spread of the scrambles.
It is an estimate, never a certificate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from looprate.theory.norms import root_mean_power, tensor_p_norm
from looprate.theory.notation import check_dim, check_p, check_tokens

__all__ = ["ErrorEstimate", "error", "errors_of", "sobol_points"]

HELD_OUT = 1_000_003  # seeds of held-out scrambles start here, training seeds stay below


@dataclass(frozen=True)
class ErrorEstimate:
    """An estimated L^p error: value, its standard error, and how many points it took."""

    value: float
    stderr: float
    points: int
    replicates: int
    p: float


def sobol_points(
    count: int,
    *,
    tokens: int,
    dim: int,
    seed: int,
    skip: int = 0,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Return ``count`` scrambled Sobol points of the cube, shape (count, N, d), on the CPU."""
    engine = torch.quasirandom.SobolEngine(tokens * dim, scramble=True, seed=seed)
    if skip:
        engine.fast_forward(skip)
    return engine.draw(count, dtype=dtype).view(count, tokens, dim)


def errors_of(
    predict: Callable[[Tensor], Tensor],
    truth: Callable[[Tensor], Tensor],
    *,
    tokens: int,
    dim: int,
    p: float,
    points: int = 512,
    replicates: int = 8,
    batch: int = 512,
    seed: int = HELD_OUT,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> list[ErrorEstimate]:
    """Estimate the L^p errors of many models at the same points.

    Parameters
    ----------
    predict : maps (b, N, d) to (M, b, N, d), one output per model
    truth : maps (b, N, d) to (b, N, d) or (M, b, N, d)
    tokens, dim : int
    p : float
        Finite, at least 1: the norm is (int sum_{n,i} |g - f|^p dX)^{1/p}.
    points, replicates : int
        Points per scramble and independent scrambles (at least 2).
    batch : int
        Points per call of ``predict``; divides ``points``.
    seed : int
        First seed of the scrambles.

    Returns
    -------
    list of ErrorEstimate, one per model
    """
    check_tokens(tokens), check_dim(dim), check_p(p)
    if math.isinf(p):
        raise ValueError("`p` must be finite for an error estimated by sampling, got inf")
    if replicates < 2:
        raise ValueError(f"`replicates` must be >= 2 for a standard error, got {replicates}")
    if points % batch:
        raise ValueError(f"`points` must be a multiple of batch={batch}, got {points}")
    norms = []
    with torch.no_grad():
        for replicate in range(replicates):
            x = sobol_points(points, tokens=tokens, dim=dim, seed=seed + replicate, dtype=dtype)
            parts = [
                tensor_p_norm((predict(part) - truth(part)).double(), p, (-3, -2, -1))
                for part in x.to(device).split(batch)
            ]
            norms.append(tensor_p_norm(torch.stack(parts), p, 0) / points ** (1 / p))
    table = torch.stack(norms).cpu().numpy()  # (replicates, M)
    return [_estimate(column, points, p) for column in table.T]


def _estimate(norms: np.ndarray, points: int, p: float) -> ErrorEstimate:
    """Turn the L^p errors over single scrambles into one error and its standard error."""
    value, stderr = root_mean_power(norms, p)
    return ErrorEstimate(value, stderr, points * len(norms), len(norms), p)


def error(
    model: Callable[[Tensor], Tensor],
    target: Callable[[Tensor], Tensor],
    *,
    tokens: int,
    dim: int,
    p: float,
    points: int = 512,
    replicates: int = 8,
    seed: int = HELD_OUT,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> ErrorEstimate:
    """Estimate the L^p error of one model, both callables mapping (B, N, d) to (B, N, d)."""
    return errors_of(
        lambda x: model(x)[None],
        target,
        tokens=tokens,
        dim=dim,
        p=p,
        points=points,
        replicates=replicates,
        batch=points,
        seed=seed,
        dtype=dtype,
        device=device,
    )[0]
