"""Everyday operations on enclosures, written with those of ``operations`` beside it.

Each spells the function that torch computes, jumps included; none is an approximation.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.namespace import ARRAY_NAMESPACE


def axis_of(x: Any, dim: int) -> int:
    """Return an axis as a number >= 0."""
    return range(x.ndim)[dim]


def _extreme(how: str) -> Callable[..., Any]:
    """Return torch's max or min: of all entries, or values and indices along an axis."""

    def extreme(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, EnclosureArray | np.ndarray):
            raise ValueError(f"write {how} of two arrays as torch.{how}imum")
        found = getattr(x, f"a{how}")(None if dim is None else axis_of(x, dim), keepdims=keepdim)
        return found if dim is None else [found, None]  # indices have no enclosure

    return extreme


def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    """About a constant near the maxima, which has no slope."""
    axes = [dim] if isinstance(dim, int) else list(dim)
    if len(axes) != 1:
        raise ValueError("logsumexp over several axes has no enclosure; reshape them into one")
    axis = axis_of(x, axes[0])
    about = ARRAY_NAMESPACE.constant_near_max(x, axis)
    total = (x - about).exp().sum(axis, keepdims=True).log() + about
    shape = tuple(n for k, n in enumerate(x.shape) if k != axis)
    return total if keepdim else total.reshape(shape)


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    """max(x, 0) + log(1 + exp(-|x|)); beyond the threshold torch returns x, which jumps."""
    scaled = x * beta
    if not scaled.value.hi.max() <= threshold:
        raise ValueError(
            f"softplus jumps to x beyond its threshold; keep its argument below {threshold:g}"
        )
    return ((scaled * 0.5).exp() + (scaled * -0.5).exp()).log() * (1 / beta) + x * 0.5


def _elu(x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    below = (x.minimum(0.0) * input_scale).exp() - 1.0
    return x.maximum(0.0) * scale + below * alpha * scale


def _vector_norm(
    x: Any, order: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    axis = tuple(dim) if isinstance(dim, list | tuple) else dim
    if dtype is not None or order not in (1, 2, math.inf):
        raise ValueError(f"a vector norm of order {order} has no enclosure; take 1, 2 or inf")
    if order == 2:
        return (x**2).sum(axis, keepdims=keepdim).sqrt()
    return getattr(abs(x), "sum" if order == 1 else "amax")(axis, keepdims=keepdim)


def _where(mask: Any, a: Any, b: Any) -> Any:
    """By zeros and ones, for a mask that does not depend on the input."""
    if isinstance(mask, EnclosureArray):
        raise ValueError("a choice by the input has no enclosure; write it with maximum or abs")
    chosen = np.asarray(mask).astype(float)
    return _kept(a, chosen) + _kept(b, 1.0 - chosen)


def _kept(x: Any, chosen: Any) -> Any:
    """Return x * chosen for zeros and ones; 0 times inf is 0."""
    if isinstance(x, EnclosureArray):
        return x * chosen
    return np.where(chosen > 0, x, 0.0)


def _part_of(above: bool) -> Callable[..., Any]:
    """Return torch's triu or tril."""

    def part(x: Any, diagonal: int = 0) -> Any:
        ones = np.ones(x.shape[-2:])
        return x * (np.triu(ones, diagonal) if above else np.tril(ones, diagonal))

    return part


def _batch_norm(
    x: Any, weight: Any, bias: Any, mean: Any, var: Any, *rest: Any, **settings: Any
) -> list[Any]:
    """By stored statistics, channels being axis 1."""
    training = rest[0] if len(rest) == 3 else False
    if training or mean is None or var is None:
        raise ValueError("a batch norm by the statistics of the batch mixes its inputs; use eval()")
    eps = rest[-1] if rest else settings["eps"]
    shape = (1, -1, *(1,) * (x.ndim - 2))
    factor = 1 / np.sqrt(np.asarray(var) + eps)
    scaled = (x - np.asarray(mean).reshape(shape)) * factor.reshape(shape)
    return [_affine(scaled, weight, bias, shape), None, None]


def _affine(x: Any, weight: Any, bias: Any, shape: tuple[int, ...]) -> Any:
    """Return x * weight + bias, either of which may be missing."""
    x = x if weight is None else x * np.asarray(weight).reshape(shape)
    return x if bias is None else x + np.asarray(bias).reshape(shape)


def _group_norm(
    x: Any, weight: Any, bias: Any, n: int, channels: int, size: int, groups: int, eps: float
) -> list[Any]:
    from looprate.approx.enclosed.operations import OPERATIONS

    parts = x.reshape((x.shape[0], groups, channels // groups * size))
    normal = OPERATIONS["native_layer_norm"](parts, [parts.shape[-1]], None, None, eps)[0]
    shape = (1, -1, *(1,) * (x.ndim - 2))
    return [_affine(normal.reshape(tuple(x.shape)), weight, bias, shape), None, None]


def _repeat(x: Any, repeats: Sequence[int]) -> Any:
    lead = len(repeats) - x.ndim
    x = x.reshape((*(1,) * lead, *x.shape))
    wide = [n for part in zip((1,) * x.ndim, x.shape, strict=True) for n in part]
    more = [n for pair in zip(repeats, x.shape, strict=True) for n in pair]
    shape = tuple(a * b for a, b in zip(repeats, x.shape, strict=True))
    return (x.reshape(tuple(wide)) + np.zeros(more)).reshape(shape)


def _convolution(
    x: Any,
    weight: Any,
    bias: Any,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Any:
    """Along one axis: Σ_k W_k x P_k, P_k what takes each place's k-th neighbour."""
    if x.ndim != 3 or transposed:
        raise ValueError("only convolutions along one axis, not transposed, have an enclosure")
    wide, length = np.asarray(weight), x.shape[2]
    out, part, taps = wide.shape
    places = np.arange((length + 2 * padding[0] - dilation[0] * (taps - 1) - 1) // stride[0] + 1)
    terms = []
    for k in range(taps):
        full = np.zeros((out, part * groups))
        for row in range(out):
            first = row // (out // groups) * part
            full[row, first : first + part] = wide[row, :, k]
        source = places * stride[0] - padding[0] + k * dilation[0]
        terms.append((full @ x) @ (np.arange(length)[:, None] == source).astype(float))
    total = functools.reduce(operator.add, terms)
    return total if bias is None else total + np.asarray(bias)[:, None]


def deviation(how: str) -> Callable[..., Any]:
    """Return torch's var or std."""

    def found(x: Any, dim: Any = None, *, correction: float = 1, keepdim: bool = False) -> Any:
        axis = tuple(dim) if dim else None
        return getattr(x, how)(axis, ddof=correction, keepdims=keepdim)

    return found


#: Name of an ATen operation -> what it is on enclosures.
EVERYDAY: dict[str, Callable[..., Any]] = {
    "max": _extreme("max"),
    "min": _extreme("min"),
    "log": lambda x: x.log(),
    "log1p": lambda x: (x + 1.0).log(),
    "expm1": lambda x: x.exp() - 1.0,
    "log_sigmoid_forward": lambda x: [((x * -1.0).exp() + 1.0).log() * -1.0, None],
    "logsumexp": _logsumexp,
    "_log_softmax": lambda x, dim, *_: x - _logsumexp(x, dim, True),
    "softplus": _softplus,
    "elu": _elu,
    "celu": lambda x, alpha=1: x.maximum(0.0) + ((x.minimum(0.0) / alpha).exp() - 1.0) * alpha,
    "_prelu_kernel": lambda x, weight: x.maximum(0.0) + x.minimum(0.0) * weight,
    "hardsigmoid": lambda x: (x / 6.0 + 0.5).clip(0.0, 1.0),
    "hardswish": lambda x: x * (x / 6.0 + 0.5).clip(0.0, 1.0),
    "linalg_vector_norm": _vector_norm,
    "masked_fill": lambda x, mask, value: _where(mask, np.asarray(value, dtype=float), x),
    "where": _where,
    "triu": _part_of(True),
    "tril": _part_of(False),
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "native_group_norm": _group_norm,
    "repeat": _repeat,
    "convolution": _convolution,
    "std": deviation("std"),
}
