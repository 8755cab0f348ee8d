r"""Upper bounds of the norms of matrices that are affine in a point of a box, up to a remainder.

A family G(s) = start + Σ_k s_k turn_k + R, |s_k| <= 1, |R| <= loose, as the derivative of a
function is on a box.  The norm of an affine function is convex, hence largest at corners.

There are many corners, and eigenvalues are dear.  For p = 2 a corner's norm is bounded by

    ‖G‖ <= (Σ σ^q)^(1/q) = ‖(G^T G)^(q/4)‖_F^(2/q),   q = 128,

products alone: exact but for a factor of at most M^(1/q), if all singular values are alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    operator_norm_upper_bound,
    positive_norm_upper_bound,
)

Array = NDArray[np.float64]

FEW_CORNERS, MOST_CORNERS = 4, 6  # directions all of whose corners are tried; others are added
SQUARINGS = 5
NEAR = 0.05  # of the norm: families that small are worth the eigenvalues of their middle


@dataclass(frozen=True)
class AffineNorm:
    """Bounds of the operator norms, 2 to p, of a family.

    Attributes
    ----------
    most : ndarray of shape (B,)
        Of the norm of any member.
    spread : ndarray of shape (B,)
        How much of it comes from the box and the remainder, about.
    change : ndarray of shape (B,)
        Of the norm of what members differ from ``start`` by.
    """

    most: Array
    spread: Array
    change: Array


def affine_norm(start: Array, turn: Array, loose: Array, p: float) -> AffineNorm:
    """Return bounds of the norms of families of matrices.

    Parameters
    ----------
    start : ndarray of shape (B, E, M)
    turn : ndarray of shape (B, K, E, M)
        For each direction, what half a side of the box adds.
    loose : ndarray of shape (B, E, M)
        Entries >= 0; inf gives inf.
    p : float
        Exponent of the output norm, 1 <= p <= inf.
    """
    finite = [np.isfinite(part).reshape(len(part), -1).all(1) for part in (start, turn, loose)]
    known: NDArray[np.bool_] = np.logical_and.reduce(finite)
    start, loose = (np.where(known[:, None, None], part, 0.0) for part in (start, loose))
    turn = np.where(known[:, None, None, None], turn, 0.0)
    most, spread, change = (
        np.where(known, part, np.inf) for part in _bounds(start, turn, loose, p)
    )
    return AffineNorm(most, np.where(known, spread, 0.0), change)


def _bounds(start: Array, turn: Array, loose: Array, p: float) -> tuple[Array, Array, Array]:
    """Return the bounds of finite families."""
    norm = spectral_norm if p == 2 else lambda matrices: operator_norm_upper_bound(matrices, p)
    kept, rest = _largest_first(turn, MOST_CORNERS if p == 2 else FEW_CORNERS)
    missed, step = positive_norm_upper_bound(loose, p), _at_corners(kept)
    beyond = missed + norm(rest).sum(1)
    most = beyond + norm(start[:, None] + step).max(1)
    change = beyond + norm(step).max(1)
    middle = norm(start)
    if p == 2 and (near := np.flatnonzero(change <= NEAR * most)).size:
        middle[near] = operator_norm_upper_bound(start[near], p)
        most[near] = np.minimum(most[near], middle[near] + change[near])
    return most * (1 + 4 * SLACK), most - middle, change * (1 + 4 * SLACK)


def _largest_first(turn: Array, count: int) -> tuple[Array, Array]:
    """Return the ``count`` directions that add most, and the rest."""
    order = np.argsort(-np.abs(turn).sum((2, 3)), axis=1)
    pick = np.arange(len(order))[:, None]
    return turn[pick, order[:, :count]], turn[pick, order[:, count:]]


def _at_corners(turn: Array) -> Array:
    """Return the sums over directions with every choice of signs, (B, corners, E, M)."""
    count, directions, *shape = turn.shape
    signs = np.array(list(product((1.0, -1.0), repeat=directions)))
    flat = signs.reshape(2**directions, directions) @ turn.reshape(
        count, directions, math.prod(shape)
    )
    return np.asarray(flat.reshape(count, len(signs), *shape))


def spectral_norm(matrices: Array) -> Array:
    """Return upper bounds of the largest singular values of finite matrices (..., E, M)."""
    if matrices.shape[-2] < matrices.shape[-1]:
        matrices = matrices.swapaxes(-1, -2)
    exponent = np.frexp(np.abs(matrices).max((-2, -1), initial=0.0))[1]
    scaled = np.ldexp(matrices, -exponent[..., None, None])
    size = np.sqrt((scaled**2).sum((-2, -1)))
    scaled = scaled / np.where(size > 0, size, 1.0)[..., None, None]
    power = scaled.swapaxes(-1, -2) @ scaled
    for _ in range(SQUARINGS):
        power = power @ power
    root = (power**2).sum((-2, -1)) ** (0.25 / 2**SQUARINGS)
    return np.ldexp(np.minimum(root, 1.0) * size * (1 + SLACK), exponent)
