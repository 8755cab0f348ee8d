"""The trivial bound: the L^p error of the best constant, which any useful bound must beat.

For a permutation-equivariant target the best constant can be taken equal for all tokens: averaging
a constant over the tokens never raises the error, which is convex and symmetric.  So one number per
coordinate is sought, over the values of all tokens at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from looprate.theory.norms import p_norm
from looprate.theory.notation import check_p, check_size
from looprate.theory.values import values_of

__all__ = ["best_constant_error"]

Array = NDArray[np.float64]
CONSTANT_TOLERANCE = 1e-10  # of the range; errors are flat to second order at the best constant


def best_constant_error(
    f: Callable[[Array], Array],
    *,
    tokens: int,
    dim: int,
    p: float,
    points: int = 2**14,
    replicates: int = 8,
    rng: np.random.Generator,
) -> tuple[float, float, Array]:
    """Estimate the L^p error of the best constant, with its standard error.

    Parameters
    ----------
    f : callable
        Permutation-equivariant target, shape (B, N, d) -> (B, N, d).
    tokens, dim : int
        Sequence length N and coordinates per token d.
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    points : int
        Sobol points per replicate, a power of two.
    replicates : int
        Independent scramblings, at least 2, for the standard error.
    rng : numpy.random.Generator
        Source of the scramblings.

    Returns
    -------
    value : float
        (∫ Σ_{n,i} |f(X)_{n,i} - c_i|^p dX)^{1/p}, the mean over the replicates.
    stderr : float
        Standard error of ``value`` over the replicates.
    constant : (d,) ndarray
        Best constant c: median (p = 1), mean (p = 2), midrange (p = inf), else by convex search.

    Raises
    ------
    ValueError
        If an argument is out of range or ``f`` returns a wrong shape or non-finite values.

    Notes
    -----
    The constant is fitted to all points together, so ``value`` is low by a bias of the order of one
    over their number.  For p = inf both are taken over the sampled points only: a lower estimate,
    with which a bound is rather called vacuous than informative.
    """
    (n, d), exponent = check_size(tokens, dim), check_p(p)
    if points < 2 or points & (points - 1):
        raise ValueError(f"`points` must be a power of two >= 2, got {points}")
    if replicates < 2:
        raise ValueError(f"`replicates` must be >= 2 for a standard error, got {replicates}")
    draws = (_cube(points, n, d, rng) for _ in range(replicates))
    samples = np.stack([values_of(f, x, name="f", where="on the cube") for x in draws])
    constant = np.array([_best_constant(samples[..., i].ravel(), exponent) for i in range(d)])
    gaps = np.abs(samples - constant)  # (replicates, points, N, d)
    errors = p_norm(gaps, exponent, axis=(1, 2, 3), weights=1.0 / points)
    top = float(errors.max()) or 1.0  # a scaled copy: squares of tiny errors would all be 0
    stderr = top * float((errors / top).std(ddof=1) / math.sqrt(replicates))
    return top * float((errors / top).mean()), stderr, constant


def _cube(points: int, tokens: int, dim: int, rng: np.random.Generator) -> Array:
    """Scrambled Sobol points of the cube, shape (points, N, d)."""
    from scipy.stats import qmc  # takes half a second, and moduli need none of it

    sampler = qmc.Sobol(tokens * dim, scramble=True, seed=rng)
    return sampler.random(points).reshape(points, tokens, dim)


def _best_constant(values: Array, p: float) -> float:
    """Minimiser c of Σ |values - c|^p."""
    if p == 1.0:
        return float(np.median(values))
    low, half = float(values.min()), float(values.max()) / 2 - float(values.min()) / 2
    if math.isinf(p) or half == 0:
        return low + half
    unit = (values / 2 - low / 2) / half  # a scaled copy keeps sums and powers in range
    if p == 2.0:
        return low + half * 2 * float(unit.mean())
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda c: float(p_norm(unit - c, p)),
        bounds=(0.0, 1.0),
        method="bounded",
        options={"xatol": CONSTANT_TOLERANCE},
    )
    return low + half * float(found.x) * 2
