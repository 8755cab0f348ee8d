"""How far a function is from permutation equivariance, and the input that shows it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.notation import check_dim, check_tokens

Array = NDArray[Any]


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
    _, _, straight, gaps = _permuted(f, tokens, dim, rng, samples)
    return float(gaps.max()), float(straight.max() - straight.min())


def equivariance_witness(
    f: Callable[[Any], Any], *, tokens: int, dim: int, rng: np.random.Generator, samples: int = 64
) -> tuple[Array, Array]:
    """Return the input (N, d) and order of its tokens (N,) with the largest gap.

    The same ``rng`` state as :func:`equivariance_gap` looks at the same samples.
    """
    x, order, _, gaps = _permuted(f, tokens, dim, rng, samples)
    worst = int(gaps.max((1, 2)).argmax())
    return x[worst], order[worst]


def _permuted(
    f: Callable[[Any], Any], tokens: int, dim: int, rng: np.random.Generator, samples: int
) -> tuple[Array, Array, Array, Array]:
    """Return random inputs X, permutations P, f(X) and |f(PX) - P f(X)|, samples first."""
    tokens, dim = check_tokens(tokens), check_dim(dim)
    x = rng.random((samples, tokens, dim))
    order = rng.permuted(np.tile(np.arange(tokens), (samples, 1)), axis=1)
    rows = np.arange(samples)[:, None]
    straight = np.asarray(f(x))
    return x, order, straight, np.abs(np.asarray(f(x[rows, order])) - straight[rows, order])
