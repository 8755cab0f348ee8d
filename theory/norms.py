"""Entrywise p-norms by scaled powers: no power under- or overflows before its root.

|v|^p leaves the range of floats long before the norm does: 0.1^400 is 0.  So every value is divided
by the largest, and the root multiplied by it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["p_norm", "root_mean_power", "root_of", "tensor_p_norm"]

Array = NDArray[np.float64]
Axes = int | tuple[int, ...] | None


def p_norm(values: ArrayLike, p: float, *, axis: Axes = None, weights: ArrayLike = 1.0) -> Any:
    """Return (Σ weights |values|^p)^{1/p}, or the largest |value| of a weight > 0 for p = inf.

    Parameters
    ----------
    values : array_like
        Infinite ones make the norm infinite, NaN makes it NaN.
    p : float
        Exponent, 1 <= p <= inf.
    axis : int or tuple of int, optional
        Over which the sum runs; all where left out.
    weights : array_like
        Numbers >= 0 that broadcast with ``values``: 1/n makes a mean over n of them.

    Returns
    -------
    float64 or ndarray
        Without the axes summed over.
    """
    sizes, w = np.abs(np.asarray(values, dtype=np.float64)), np.asarray(weights, dtype=np.float64)
    counted = np.where(w > 0, sizes, 0.0) if w.ndim or not w > 0 else sizes
    top = counted.max(axis=axis, keepdims=True, initial=0.0)
    flat = top.sum(axis=axis)  # one number for each sum
    if math.isinf(p):
        return flat
    if p == 1:
        with np.errstate(over="ignore"):
            return (w * counted).sum(axis=axis)
    safe = np.where((top > 0) & np.isfinite(top), top, 1.0)
    with np.errstate(under="ignore", over="ignore"):
        return safe.sum(axis=axis) * (w * (counted / safe) ** p).sum(axis=axis) ** (1 / p)


def tensor_p_norm(values: Any, p: float, dim: int | tuple[int, ...]) -> Any:
    """Return the p-norm of a torch tensor over some axes, differentiable like the norm itself.

    Parameters
    ----------
    values : Tensor
    p : float
        Exponent, 1 <= p <= inf.
    dim : int or tuple of int
        Axes to sum over; they are gone from the result.
    """
    sizes = values.abs()
    if math.isinf(p):
        return sizes.amax(dim)
    if p == 1:
        return sizes.sum(dim)
    top = sizes.detach().amax(dim, keepdim=True)
    safe = top.where((top > 0) & top.isfinite(), top.new_ones(()))
    shares = ((sizes / safe) ** p).sum(dim)
    tiny = values.new_tensor(2.0**-100)  # below the smallest sum, 1: a norm of 0 has the slope 0
    return top.sum(dim) * shares.maximum(tiny) ** (1 / p)


def root_mean_power(norms: ArrayLike, p: float) -> tuple[float, float]:
    """Return (mean norms^p)^{1/p} of independent draws, and its standard error.

    The standard error is that of the mean of p-th powers, carried to the root: for a mean μ with
    standard error s it is s μ^{1/p - 1} / p.

    Parameters
    ----------
    norms : array_like of shape (n,), n >= 2
        Values >= 0, each the p-norm of one draw.
    p : float
        Exponent, 1 <= p < inf.
    """
    values = np.asarray(norms, dtype=np.float64)
    top = float(values.max())
    if not (top > 0 and math.isfinite(top)):
        return top, top if top else 0.0
    with np.errstate(under="ignore"):
        powers = (values / top) ** p
    mean, stderr = float(powers.mean()), float(powers.std(ddof=1)) / math.sqrt(values.size)
    value = mean ** (1 / p)
    return top * value, top * value * stderr / (p * mean)


def root_of(measure: float, p: float) -> float:
    """Return measure^{1/p} for a measure >= 0; 0 has the root 0 even at p = inf."""
    return float(measure) ** (1.0 / p) if measure > 0 else 0.0
