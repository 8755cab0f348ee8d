"""Upper bounds of p-norms, and of operator norms from the Euclidean norm to them, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.rounding import TINY
from looprate.theory.norms import p_norm

Array = NDArray[np.float64]

SLACK = 2.0**-40  # of the sizes of all terms: covers the rounding of 2^12 operations and more
MOST_ROWS = 10  # rows whose 2^(rows-1) sign vectors are tried for p = 1


def entries_norm_upper_bound(rows: Array, p: float) -> Array:
    """Return upper bounds of the p-norms of entries that rows bound.

    Parameters
    ----------
    rows : ndarray of shape (B, E)
        Bounds of the entries' sizes.
    p : float
        Exponent, 1 <= p <= inf.

    Returns
    -------
    ndarray of shape (B,)
        The norms of the rows, exact for p = inf.
    """
    norm = np.asarray(p_norm(rows, p, axis=1))
    return norm if math.isinf(p) else norm * (1 + SLACK) + TINY * (norm > 0)


def dual_norm_upper_bound(near: Array, above: Callable[[Array], Array]) -> Array:
    """Return upper bounds (B,) of Euclidean norms, by functionals along and across vectors.

    Parameters
    ----------
    near : ndarray of shape (B, E)
        Vectors close to those that are bounded.
    above : callable
        Functionals (B, F, E) to upper bounds (B, F) of what they take.
    """
    count = near.shape[1]
    size = np.sqrt((near**2).sum(1, keepdims=True))
    unit = np.where(size > 0, near, 1.0) / np.where(size > 0, size, math.sqrt(count))
    along = above(np.stack([unit, -unit], 1)).max(1)
    across = np.eye(count) - unit[:, :, None] * unit[:, None]
    rest = np.maximum(above(across), above(-across))
    with np.errstate(over="ignore"):
        norm = np.sqrt(along.clip(0) ** 2 + (rest.clip(0) ** 2).sum(1)) * (1 + SLACK)
    return np.where(np.isnan(norm), np.inf, norm)


def operator_norm_upper_bound(matrices: Array, p: float) -> Array:
    """Return upper bounds of sup ‖G x‖_p over ‖x‖_2 <= 1.

    Exact up to rounding for p = 2, inf and, up to ten rows, p = 1.  Other p by Lyapunov's
    inequality, ‖y‖_p <= ‖y‖_1^(2/p-1) ‖y‖_2^(2-2/p) for p < 2 and ‖y‖_2^(2/p) ‖y‖_inf^(1-2/p) for
    p > 2, and by the p-norm of the row norms, whichever is smaller.

    Parameters
    ----------
    matrices : ndarray of shape (..., E, M)
        Finite entries; a matrix that has others gets the bound inf.
    p : float
        Exponent of the output norm, 1 <= p <= inf.

    Returns
    -------
    ndarray of shape (...)
    """
    known = np.asarray(np.isfinite(matrices).all((-2, -1)))
    safe = np.where(known[..., None, None], matrices, 0.0)
    exponent = np.frexp(np.abs(safe).max((-2, -1), initial=0.0))[1]
    safe = np.ldexp(safe, -exponent[..., None, None])  # exact, and squares do not underflow
    rows = np.sqrt((safe**2).sum(-1))
    size = np.sqrt((rows**2).sum(-1))
    most = rows.max(-1)
    by_rows = np.asarray(p_norm(rows, p, axis=-1)) * (1 + SLACK)
    if math.isinf(p):
        bound = by_rows
    elif p == 2:
        bound = np.minimum(by_rows, _spectral(safe, size))
    elif p == 1:
        bound = np.minimum(by_rows, _by_signs(safe, size))
    elif p < 2:
        share = 2 / p - 1
        one, two = _by_signs(safe, size), _spectral(safe, size)
        bound = np.minimum(by_rows, one**share * two ** (1 - share) * (1 + SLACK))
    else:
        share = 2 / p
        between = _spectral(safe, size) ** share * (most * (1 + SLACK)) ** (1 - share)
        bound = np.minimum(by_rows, between * (1 + SLACK))
    with np.errstate(over="ignore"):
        return np.where(known, np.ldexp(bound, exponent), np.inf)


def positive_norm_upper_bound(matrices: Array, p: float) -> Array:
    """Return upper bounds of the same norm, and of that of any |G| <= R, for R >= 0.

    Parameters
    ----------
    matrices : ndarray of shape (..., E, M)
        R, entries >= 0; inf gives inf.
    p : float
        Exponent of the output norm, 1 <= p <= inf.

    Returns
    -------
    ndarray of shape (...)
        For p = 1 the norm of the column sums, which is exact; else the operator norm of R itself,
        whose largest value is taken at an x >= 0.
    """
    if p != 1:
        return operator_norm_upper_bound(matrices, p)
    known = np.asarray(np.isfinite(matrices).all((-2, -1)))
    sums = np.where(known[..., None, None], matrices, 0.0).sum(-2)
    most = sums.max(-1, initial=0.0)
    shares = sums / np.where((most > 0) & np.isfinite(most), most, 1.0)[..., None]
    return np.where(known, most * np.sqrt((shares**2).sum(-1)) * (1 + SLACK), np.inf)


def _by_signs(matrices: Array, size: Array) -> Array:
    """Return sup ‖G x‖_1 = max ‖G^T s‖_2 over sign vectors s, or √E times the spectral norm."""
    count = matrices.shape[-2]
    if count > MOST_ROWS:
        return math.sqrt(count) * _spectral(matrices, size) * (1 + SLACK)
    signs = np.array([(1, *rest) for rest in product((1, -1), repeat=count - 1)], dtype=float)
    sums = signs @ matrices  # (..., 2^(E-1), M)
    return np.sqrt((sums**2).sum(-1)).max(-1) + SLACK * math.sqrt(count) * size


def _spectral(matrices: Array, size: Array) -> Array:
    """Return upper bounds of the largest singular values.

    With V nonsingular, M = V^T A V and Q = V^T V, the largest eigenvalue of A = G^T G is the
    largest quotient x^T M x / x^T Q x, which Gershgorin's circles of both bound, whatever V is.
    V is what the library takes for the eigenvectors; ``size``, the Frobenius norm, is the way out.
    """
    scaled = matrices / np.where(size > 0, size, 1.0)[..., None, None]
    wide = scaled.shape[-2] < scaled.shape[-1]
    turned = scaled.swapaxes(-1, -2)
    gram = scaled @ turned if wide else turned @ scaled
    vectors = np.linalg.eigh(gram)[1]
    across = vectors.swapaxes(-1, -2)
    top, bottom = across @ gram @ vectors, across @ vectors
    reach = _circles(top)[1] + SLACK
    least = _circles(bottom)[0] - SLACK
    fine = (least > 0.5) & (np.abs(vectors).max((-2, -1)) < 2)
    bound = np.sqrt(np.maximum(np.where(fine, reach / np.where(fine, least, 1.0), 1.0), 0.0))
    return np.asarray(np.minimum(bound, 1.0) * size * (1 + SLACK))


def _circles(matrices: Array) -> tuple[Array, Array]:
    """Return lower and upper bounds of the eigenvalues of symmetric matrices by Gershgorin."""
    diagonal = np.diagonal(matrices, axis1=-2, axis2=-1)
    radius = np.abs(matrices).sum(-1) - np.abs(diagonal)
    return (diagonal - radius).min(-1), (diagonal + radius).max(-1)
