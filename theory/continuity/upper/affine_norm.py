r"""Upper bounds of the norms of matrices that are affine in a point of a box, up to a remainder.

A family G(s) = start + Σ_k s_k turn_k + R, |s_k| <= 1, |R| <= loose, as the derivative of a
function is on a box.  The norm of an affine function is convex, hence largest at corners.

For p = 2 one pair of unit vectors u, v near the first singular ones of ``start`` serves all
corners.  With P = u u^T and Q = v v^T a matrix G has norms a, b, c, r of its four parts P G Q,
P G (1-Q), (1-P) G Q and (1-P) G (1-Q), the first three of which are products with u and v, and
‖G‖ is at most the norm of the 2 x 2 matrix (a, b; c, r): exact where u and v are singular vectors,
and b, c count to second order.  No eigenvalues of corners are needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    circles,
    operator_norm_upper_bound,
    positive_norm_upper_bound,
)
from looprate.theory.enclosure.rounding import EPS

Array = NDArray[np.float64]

CORNERS = 4  # directions whose corners are all tried, 2^4 of them; the others are added
POSITIVE_STEPS = 2  # of the power method, for the norm of a matrix >= 0
NEAR_UNIT = 1e-13  # what an orthogonal matrix of the library may miss


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
    found = _euclidean(start, turn, loose) if p == 2 else _by_corners(start, turn, loose, p)
    most, spread, change = (np.where(known, part, np.inf) for part in found)
    return AffineNorm(most, np.where(known, spread, 0.0), change)


def _by_corners(start: Array, turn: Array, loose: Array, p: float) -> tuple[Array, Array, Array]:
    """Return the bounds for any p, by the norm of every corner."""
    kept, rest = _largest_first(turn)
    missed = positive_norm_upper_bound(loose, p)
    most = missed + operator_norm_upper_bound(rest, p).sum(1)
    most += operator_norm_upper_bound(start[:, None] + _at_corners(kept), p).max(1)
    change = missed + operator_norm_upper_bound(turn, p).sum(1)
    spread = most - operator_norm_upper_bound(start, p)
    return most * (1 + 4 * SLACK), spread, change * (1 + 4 * SLACK)


def _largest_first(turn: Array) -> tuple[Array, Array]:
    """Return the directions that add most, and the rest."""
    order = np.argsort(-np.abs(turn).sum((2, 3)), axis=1)
    pick = np.arange(len(order))[:, None]
    return turn[pick, order[:, :CORNERS]], turn[pick, order[:, CORNERS:]]


def _at_corners(turn: Array) -> Array:
    """Return the sums over directions with every choice of signs, (B, corners, E, M)."""
    count, directions, *shape = turn.shape
    signs = np.array(list(product((1.0, -1.0), repeat=directions)))
    flat = signs.reshape(2**directions, directions) @ turn.reshape(
        count, directions, math.prod(shape)
    )
    return np.asarray(flat.reshape(count, len(signs), *shape))


def _euclidean(start: Array, turn: Array, loose: Array) -> tuple[Array, Array, Array]:
    """Return the bounds for p = 2."""
    if start.shape[1] < start.shape[2]:
        start, turn, loose = (part.swapaxes(-1, -2) for part in (start, turn, loose))
    size = (np.abs(start) + np.abs(turn).sum(1) + loose).max((1, 2), initial=0.0)
    exponent = np.frexp(size)[1][:, None, None]  # squares stay in range
    start, loose = np.ldexp(start, -exponent), np.ldexp(loose, -exponent)
    turn = np.ldexp(turn, -exponent[:, None])
    u, v, second = _first_pair(start)
    kept, rest = _largest_first(turn)
    moved = _at_corners(kept)
    whole, step = _Parts.of(start[:, None] + moved, u, v), _Parts.of(moved, u, v)
    beyond = np.minimum(whole.r, second[:, None] + step.r)
    more = _Parts.of(rest, u, v).total()
    lost = positive_norm(loose)
    missed = _Parts.of_loose(loose, u, v, lost)
    corner = _Parts(whole.a, whole.b, whole.c, beyond).plus(more)
    apart = corner.norm().max(1) + lost
    together = corner.plus(missed).norm().max(1)
    change = step.plus(more).norm().max(1) + lost
    rounding = 64 * SLACK * np.sqrt(np.float64(start[0].size if len(start) else 1))
    most = np.minimum(apart, together) + rounding
    middle = np.sqrt(((start @ v[:, :, None]) ** 2).sum((1, 2)))
    scale = exponent[:, 0, 0]
    most, spread, change = (np.ldexp(x, scale) for x in (most, most - middle, change + rounding))
    return most, spread, change


def _first_pair(matrices: Array) -> tuple[Array, Array, Array]:
    """Return unit vectors near the first singular ones, and bounds of the second singular value."""
    gram = matrices.swapaxes(1, 2) @ matrices
    vectors = np.linalg.eigh(gram)[1]
    v = vectors[:, :, -1] / np.sqrt((vectors[:, :, -1] ** 2).sum(1, keepdims=True))
    image = (matrices @ v[:, :, None])[:, :, 0]
    length = np.sqrt((image**2).sum(1, keepdims=True))
    u = np.where(length > 0, image, 1.0)
    u = u / np.sqrt((u**2).sum(1, keepdims=True))
    across = vectors.swapaxes(1, 2)
    fine = np.abs(across @ vectors - np.eye(gram.shape[1])).max((1, 2)) <= NEAR_UNIT
    if gram.shape[1] == 1:
        return u, v, np.zeros(len(u))
    top = circles((across @ gram @ vectors)[:, :-1, :-1])[1]
    lost = 8 * gram.shape[1] * NEAR_UNIT  # v is a little along the others, and they along it
    square = top.clip(0) * (1 + SLACK) + lost * np.trace(gram, axis1=1, axis2=2)
    return u, v, np.where(fine, np.sqrt(square), np.inf)


def positive_norm(matrices: Array) -> Array:
    """Return upper bounds of the spectral norms of matrices (B, E, M) with entries >= 0.

    For A >= 0 and any x > 0 the largest eigenvalue of A is at most max (A x)_i / x_i.
    """
    gram = matrices.swapaxes(1, 2) @ matrices
    x = gram.sum(2)
    for _ in range(POSITIVE_STEPS):
        top = x.max(1, keepdims=True)
        x = np.where(top > 0, x / np.where(top > 0, top, 1.0), 1.0) + 2.0**-30
        image = (gram @ x[:, :, None])[:, :, 0]
        ratio, x = image / x, image
    return np.asarray(np.sqrt(ratio.max(1)) * (1 + SLACK))


@dataclass(frozen=True)
class _Parts:
    """Bounds of the norms of the four parts of matrices, each (B, C)."""

    a: Array
    b: Array
    c: Array
    r: Array

    @classmethod
    def of(cls, matrices: Array, u: Array, v: Array) -> _Parts:
        """Return the parts of (B, C, E, M) along u (B, E) and v (B, M)."""
        left = (u[:, None, None] @ matrices)[:, :, 0]
        right = (matrices @ v[:, None, :, None])[..., 0]
        a = (left * v[:, None]).sum(2)
        square = (matrices**2).sum((2, 3))
        lost = (math.prod(matrices.shape[2:]) + 16) * 2 * EPS  # of sizes, by rounding
        size = lost * np.sqrt(square)
        b = np.sqrt(((left - a[:, :, None] * v[:, None]) ** 2).sum(2)) + size
        c = np.sqrt(((right - a[:, :, None] * u[:, None]) ** 2).sum(2)) + size
        rest = square - (left**2).sum(2) - (right**2).sum(2) + a**2
        return cls(np.abs(a) + size, b, c, np.sqrt(rest.clip(0) + 2 * lost * square))

    @classmethod
    def of_loose(cls, loose: Array, u: Array, v: Array, norm: Array) -> _Parts:
        """Return bounds for any |R| <= loose (B, E, M) with a norm (B,)."""
        left, right = (np.abs(u)[:, None] @ loose)[:, 0], (loose @ np.abs(v)[:, :, None])[..., 0]
        a = (left * np.abs(v)).sum(1)
        b, c = np.sqrt((left**2).sum(1)), np.sqrt((right**2).sum(1))
        return cls(*(part[:, None] for part in (a, b, c, norm)))

    def __iter__(self) -> Iterator[Array]:
        return iter((self.a, self.b, self.c, self.r))

    def total(self) -> _Parts:
        """Return the sums over C."""
        return _Parts(*(part.sum(1, keepdims=True) for part in self))

    def plus(self, other: _Parts) -> _Parts:
        """Return bounds for sums of matrices."""
        return _Parts(*(x + y for x, y in zip(self, other, strict=True)))

    def norm(self) -> Array:
        """Return the norms of the 2 x 2 matrices."""
        first, last = self.a**2 + self.b**2, self.c**2 + self.r**2
        cross = self.a * self.c + self.b * self.r
        root = np.sqrt((first - last) ** 2 + 4 * cross**2)
        return np.asarray(np.sqrt((first + last + root) / 2))
