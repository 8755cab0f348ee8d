"""How far a function is from permutation equivariance."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from looprate.theory.notation import check_dim, check_tokens


def equivariance_gap(
    f: Callable[[Any], Any], *, tokens: int, dim: int, rng: np.random.Generator, samples: int = 64
) -> tuple[float, float]:
    """Return how far f is from permutation equivariance, on random inputs and permutations.

    Parameters
    ----------
    f : callable
        (B, N, d) NumPy arrays to the same shape.
    tokens, dim : int
        N and d.
    rng : numpy.random.Generator
    samples : int
        How many inputs, each with its own permutation.

    Returns
    -------
    gap : float
        max |f(PX) - P f(X)| over samples and entries; 0 up to rounding for equivariant f.
    scale : float
        max f - min f over the same samples, to compare with.
    """
    tokens, dim = check_tokens(tokens), check_dim(dim)
    x = rng.random((samples, tokens, dim))
    order = rng.permuted(np.tile(np.arange(tokens), (samples, 1)), axis=1)
    rows = np.arange(samples)[:, None]
    straight = np.asarray(f(x))
    gaps = np.abs(np.asarray(f(x[rows, order])) - straight[rows, order])
    return float(gaps.max()), float(straight.max() - straight.min())
