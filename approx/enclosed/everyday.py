"""Everyday operations on enclosures, written with those of ``operations`` beside it.

Each spells the function that torch computes, jumps included; none is an approximation.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from looprate.theory.enclosure import functions, shapes
from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.namespace import UFUNCS
from looprate.theory.enclosure.shapes import axes_of, axis_of


def _extreme(how: str) -> Callable[..., Any]:
    """Return torch's max or min: of all entries, or values and indices along an axis."""

    def extreme(x: Any, dim: Any = None, keepdim: bool = False) -> Any:
        if isinstance(dim, EnclosureArray | np.ndarray):
            raise ValueError(f"write {how} of two arrays as torch.{how}imum")
        found = getattr(x, f"a{how}")(None if dim is None else axis_of(x, dim), keepdims=keepdim)
        return found if dim is None else [found, None]  # indices have no enclosure

    return extreme


def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    axes = axes_of(x, dim)
    if len(axes) != 1:
        raise ValueError("logsumexp over several axes has no enclosure; reshape them into one")
    return x.logsumexp(axes[0], keepdims=keepdim)


def _softplus(x: Any, beta: float = 1, threshold: float = 20) -> Any:
    """Beyond the threshold torch returns x, which jumps."""
    scaled = x * beta
    if not scaled.value.hi.max() <= threshold:
        raise ValueError(
            f"softplus jumps to x beyond its threshold; keep its argument below {threshold:g}"
        )
    return functions.softplus(scaled) * (1 / beta)


def _elu(x: Any, alpha: float = 1, scale: float = 1, input_scale: float = 1) -> Any:
    below = (x.minimum(0.0) * input_scale).exp() - 1.0
    return x.maximum(0.0) * scale + below * alpha * scale


def _axes(dim: Any) -> Any:
    """Return torch's axes as NumPy's."""
    return tuple(dim) if isinstance(dim, list | tuple) and len(dim) else dim or None


def _vector_norm(
    x: Any, order: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    if dtype is not None:
        raise ValueError("a vector norm that casts has no enclosure; stay in float64")
    return functions.vector_norm(x, order, dim if dim == 0 else _axes(dim), keepdim)


def _prod(x: Any, dim: Any = None, keepdim: bool = False, **_: Any) -> Any:
    return functions.prod(x, dim, keepdims=keepdim)


def _sorted(x: Any, dim: int = -1, descending: bool = False, **_: Any) -> list[Any]:
    """Return torch's sort, of either signature: places have no enclosure."""
    made = functions.sort(x, dim)
    return [shapes.flipped(made, dim) if descending else made, None]


def _topk(x: Any, k: int, dim: int = -1, largest: bool = True, *_: Any) -> list[Any]:
    made = _sorted(x, dim, largest)[0]
    return [made[shapes.along(axis_of(x, dim), slice(0, k))], None]


def _median(x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """Return torch's median: of an even number the lower of the middle two."""
    if dim is None:
        return _median(x.reshape(-1), 0)[0]
    axis = axis_of(x, dim)
    lower = (x.shape[axis] - 1) // 2
    place = slice(lower, lower + 1) if keepdim else lower
    return [functions.sort(x, axis)[shapes.along(axis, place)], None]


def _pad(x: Any, widths: Sequence[int], value: float = 0.0) -> Any:
    """Return torch's padding, the last axis first."""
    pairs = [(0, 0)] * (x.ndim - len(widths) // 2)
    pairs += list(zip(widths[::2], widths[1::2], strict=True))[::-1]
    return shapes.padded(x, pairs, constant_values=value)


def _index(x: Any, indices: Sequence[Any]) -> Any:
    """Return entries at constant places along one axis."""
    parts = [slice(None) if index is None else index for index in indices]
    return x[tuple(parts)]


def _scattered(x: Any, part: Any, dim: int, places: Any) -> Any:
    """Return an array with its entries at places along an axis replaced."""
    rank = np.full(x.shape[dim], -1)
    rank[places] = np.arange(len(rank))[: len(rank[places])]
    lifted = (rank >= 0).reshape(-1, *(1,) * (x.ndim - 1 - axis_of(x, dim)))
    wide = np.take(part, np.maximum(rank, 0), axis=dim)
    return shapes.kept(x, ~lifted) + shapes.kept(wide, lifted)


def _slice_scatter(
    x: Any, part: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1
) -> Any:
    return _scattered(x, part, dim, slice(start, end, step))


def _select_scatter(x: Any, part: Any, dim: int, index: int) -> Any:
    return _scattered(x, shapes.expanded(part, axis_of(x, dim)), dim, [index])


def _index_put(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    if accumulate:
        raise ValueError("entries added at places have no enclosure; write a sum")
    return shapes.assigned(x, tuple(slice(None) if k is None else k for k in indices), values)


def _huber(x: Any, target: Any, reduction: int = 1, delta: float = 1.0) -> Any:
    if reduction:
        raise ValueError("a loss of the whole batch mixes its inputs; take reduction='none'")
    gap = x - target
    near = gap.clip(-delta, delta)
    return near * (gap - near * 0.5)


def _smooth_l1(x: Any, target: Any, reduction: int = 1, beta: float = 1.0) -> Any:
    return _huber(x, target, reduction, beta) * (1 / beta)


def _logit(x: Any, eps: float | None = None) -> Any:
    near = x if eps is None else x.clip(eps, 1 - eps)
    return near.log() - (1.0 - near).log()


def _like(value: float) -> Callable[..., Any]:
    """Return torch's zeros or ones of the shape of another."""
    return lambda x, *_, **__: np.full(x.shape, value)


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
    **{name: UFUNCS[name] for name in ("log", "log1p", "expm1", "exp2", "log2", "log10", "tan")},
    **{name: UFUNCS[name] for name in ("sinh", "cosh", "hypot", "logaddexp")},
    "atan": functions.arctan,
    "mish": lambda x: x * functions.softplus(x).tanh(),
    "log_sigmoid_forward": lambda x: [-functions.softplus(-x), None],
    "logsumexp": _logsumexp,
    "_log_softmax": lambda x, dim, *_: x - _logsumexp(x, dim, True),
    "softplus": _softplus,
    "elu": _elu,
    "celu": lambda x, alpha=1: x.maximum(0.0) + ((x.minimum(0.0) / alpha).exp() - 1.0) * alpha,
    "_prelu_kernel": lambda x, weight: x.maximum(0.0) + x.minimum(0.0) * weight,
    "hardsigmoid": lambda x: (x / 6.0 + 0.5).clip(0.0, 1.0),
    "hardswish": lambda x: x * (x / 6.0 + 0.5).clip(0.0, 1.0),
    "linalg_vector_norm": _vector_norm,
    "_cdist_forward": functions.distances,
    "_euclidean_dist": functions.distances,
    "prod": _prod,
    "cumsum": lambda x, dim, **_: functions.cumsum(x, dim),
    "cumprod": lambda x, dim, **_: functions.cumprod(x, dim),
    "lerp": lambda a, b, weight: a + (b - a) * weight,
    "huber_loss": _huber,
    "smooth_l1_loss": _smooth_l1,
    "softshrink": lambda x, limit=0.5: x - x.clip(-limit, limit),
    "logit": _logit,
    "erfc": lambda x: 1.0 - functions.erf(x),
    "var_mean": lambda x, dim=None, **settings: [
        deviation("var")(x, dim, **settings),
        x.mean(tuple(dim), keepdims=settings.get("keepdim", False)),
    ],
    "index_put": _index_put,
    "sort": _sorted,
    "topk": _topk,
    "median": _median,
    "masked_fill": lambda x, mask, value: shapes.where(mask, value, x),
    "where": shapes.where,
    "triu": shapes.triangle(True),
    "tril": shapes.triangle(False),
    "diagonal": lambda x, offset=0, dim1=0, dim2=1: shapes.diagonal(x, offset, dim1, dim2),
    "flip": shapes.flipped,
    "roll": lambda x, shifts, dims=None: shapes.rolled(x, shifts, dims or None),
    "constant_pad_nd": _pad,
    "index": _index,
    "index_select": lambda x, dim, index: shapes.taken(x, index, dim),
    "slice_scatter": _slice_scatter,
    "select_scatter": _select_scatter,
    "copy": lambda x, source, *_: shapes.broadcast(source, x.shape),
    "zeros_like": _like(0.0),
    "empty_like": _like(0.0),
    "ones_like": _like(1.0),
    "full_like": lambda x, value, **_: np.full(x.shape, value),
    "new_zeros": lambda x, size, **_: np.zeros(size),
    "new_ones": lambda x, size, **_: np.ones(size),
    "new_full": lambda x, size, value, **_: np.full(size, value),
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "native_group_norm": _group_norm,
    "repeat": shapes.tiled,
    "convolution": _convolution,
    "std": deviation("std"),
}
