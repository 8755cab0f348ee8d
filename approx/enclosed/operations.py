"""What each ATen operation is on enclosures.

A function has the signature of the operation it stands for; at least one argument is an
:class:`~looprate.theory.enclosure.arrays.EnclosureArray`, the others are numbers and NumPy arrays.
Only the operations that every enclosure has are used, so that new kinds of enclosures work, too.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from looprate.approx.enclosed.everyday import EVERYDAY, deviation
from looprate.theory.enclosure.affine import Affine
from looprate.theory.enclosure.attention import softmax_mean
from looprate.theory.enclosure.functions import erf, gelu, sigmoid
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.namespace import ARRAY_NAMESPACE
from looprate.theory.enclosure.shapes import (
    along,
    axes_of,
    axis_of,
    broadcast,
    concatenated,
    squeezed,
    stacked,
)

LARGEST_PAIRWISE = 8  # entries of a softmax that are compared pair by pair, which is sharper


# -- arithmetic ------------------------------------------------------------------------------------
def _add(a: Any, b: Any, alpha: float = 1) -> Any:
    return a + (b if alpha == 1 else b * alpha)


def _sub(a: Any, b: Any, alpha: float = 1) -> Any:
    return a - (b if alpha == 1 else b * alpha)


def _addmm(bias: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    product = a @ b
    return _add(product if alpha == 1 else product * alpha, bias, beta)


def _power(x: Any, exponent: Any) -> Any:
    return 1 / x.sqrt() if isinstance(exponent, float) and exponent == -0.5 else x**exponent


# -- functions of one number -----------------------------------------------------------------------
def _leaky_relu(x: Any, slope: float = 0.01) -> Any:
    if not 0 <= slope <= 1:
        raise ValueError(f"leaky_relu needs a slope from 0 to 1, got {slope:g}")
    return x.maximum(x * slope)


# -- shapes ----------------------------------------------------------------------------------------
def _expand(x: Any, sizes: Sequence[int], *, implicit: bool = False) -> Any:
    lead = len(sizes) - x.ndim
    own = (1,) * lead + tuple(x.shape)
    shape = tuple(have if want == -1 else want for have, want in zip(own, sizes, strict=True))
    return x if shape == x.shape else broadcast(x, shape)


def _squeeze(x: Any, dim: Any = None) -> Any:
    return squeezed(x, [k for k in axes_of(x, dim) if x.shape[k] == 1])


def _slice(
    x: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Any:
    return x[along(axis_of(x, dim), slice(start, end, step))]


def _unbind(x: Any, dim: int = 0) -> list[Any]:
    axis = axis_of(x, dim)
    return [x[along(axis, k)] for k in range(x.shape[axis])]


def _split(x: Any, sizes: Any, dim: int = 0) -> list[Any]:
    total = x.shape[axis_of(x, dim)]
    if isinstance(sizes, int):
        sizes = [min(sizes, total - k) for k in range(0, total, sizes)]
    ends = np.cumsum([0, *sizes]).tolist()
    return [_slice(x, dim, a, b) for a, b in itertools.pairwise(ends)]


def _cat(parts: Sequence[Any], dim: int = 0) -> Any:
    return concatenated([part for part in parts if part.shape != (0,)], dim)  # as torch takes them


def _same(x: Any, *_: Any, **settings: Any) -> Any:
    """Copies and casts: the value stays."""
    if settings.get("dtype") not in (None, torch.float64):
        raise ValueError(
            f"a cast to {str(settings['dtype']).removeprefix('torch.')} rounds, which has no "
            "enclosure; stay in float64"
        )
    return x


# -- over axes -------------------------------------------------------------------------------------
def _over(how: str) -> Callable[..., Any]:
    """Return a reduction over axes with torch's arguments."""

    def reduction(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        axis = tuple(dim) if isinstance(dim, list | tuple) and len(dim) else dim
        axis = None if axis == [] or axis == () else axis
        return getattr(_same(x, dtype=dtype), how)(axis, keepdims=keepdim)

    return reduction


def normalised(x: Any, root: Any, axes: Sequence[int], more: float, by: Callable[..., Any]) -> Any:
    """Return x / sqrt(mean x² + a number >= 0): no entry exceeds the root of how many there are."""
    found = by(x, root)
    if isinstance(x, Affine) and len(axes) == 1:
        found = found.narrower(*_about_centre(x, axes[0], more))
    most = math.nextafter(math.sqrt(math.prod(found.shape[k] for k in axes)), math.inf)
    return found.known(-most, most)


def unit(x: Any, root: Any, by: Callable[..., Any]) -> Any:
    """Return x / (a norm of x, or more): no entry exceeds 1."""
    return by(x, root).known(-1.0, 1.0)


def _about_centre(x: Affine, axis: int, more: float) -> tuple[Affine, Any]:
    """Return x / sqrt(mean x² + more) by how x turns, and for which entries that holds.

    With u next to the direction of the centre and t = u·x > 0, x = t (u + w) where u·w = 1 - |u|²,
    and |u + w|² = 2 - |u|² + |w|²: to first order only w moves, and only across u.
    """
    length = np.sqrt((x.centre**2).sum(axis, keepdims=True))
    u = np.where(length > 0, x.centre / np.where(length > 0, length, 1.0), 0.0)
    t = (x * u).sum(axis, keepdims=True)
    inverse = 1 / t
    w = (x - t * u) * inverse
    count = x.shape[axis]
    square = w.mean_square(axis) + (2.0 - (Interval(u) ** 2).sum(axis, keepdims=True)) / count
    found = (w + u) / (square + inverse**2 * more).sqrt()
    return found, t.value.lo > 0


def mean_square(x: Any, dim: Any = None, keepdim: bool = False, **settings: Any) -> Any:
    """Return means of squares: in one step where the enclosure has it."""
    if isinstance(x, Affine) and keepdim and len(dim) == 1:
        return x.mean_square(dim[0])
    return OPERATIONS["mean"](x**2, dim, keepdim, **settings)


def _softmax(x: Any, dim: int, *_: Any, **__: Any) -> Any:
    """Return 1 / Σ_j exp(x_j - x_i); for two entries (1 ± tanh((x_0 - x_1)/2))/2.

    Either has the exact range if the entries vary on their own; a quotient of sums has not.
    """
    axis = axis_of(x, dim)
    x = x.swapaxes(axis, -1)
    if x.shape[-1] == 2:
        half = ((x[..., :1] - x[..., 1:]) * 0.5).tanh()
        weights = half * np.array([0.5, -0.5]) + 0.5
    elif x.shape[-1] <= LARGEST_PAIRWISE:
        others = 1.0 - np.eye(x.shape[-1])  # an entry less itself is 0, which slopes cannot know
        gaps = (x[..., None, :] - x[..., :, None]) * others
        weights = 1 / gaps.exp().sum(-1)
    else:
        grown = (x - ARRAY_NAMESPACE.constant_near_max(x, -1)).exp()  # a constant has no slope
        weights = grown / grown.sum(-1, keepdims=True)
    return weights.known(0.0, 1.0).swapaxes(axis, -1)


def attended(weights: Any, values: Any, logits: Any) -> Any:
    """Return weights @ values in one step, which knows that the weights add up to 1.

    They are softmax(logits) over the last axis, arranged anew.  What affine forms miss of a weight
    is multiplied by how far its value is from a number near all of them, not by the value.
    """
    sizes = (math.prod(weights.shape), weights.shape[-1])
    if sizes != (math.prod(logits.shape), logits.shape[-1]):
        return weights @ values  # some are repeated
    if not isinstance(weights, Affine):
        return softmax_mean(logits.reshape(weights.shape), values)
    about = values.middle().mean(-2, keepdims=True)
    about = np.where(np.isfinite(about), about, 0.0)
    return weights @ (values - about) + about


def _layer_norm(x: Any, shape: Sequence[int], weight: Any, bias: Any, eps: float) -> list[Any]:
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    gap = x - x.mean(axes, keepdims=True)
    scaled = gap * (1 / ((gap**2).mean(axes, keepdims=True) + eps).sqrt())
    scaled = _within_norm(scaled, math.prod(x.shape[k] for k in axes))
    scaled = scaled if weight is None else scaled * weight
    return [scaled if bias is None else scaled + bias, None, None]


def _within_norm(x: Any, count: int) -> Any:
    """Return n numbers of mean 0 and mean square at most 1, of which none exceeds √(n - 1)."""
    most = math.nextafter(math.sqrt(count - 1), math.inf)
    return x.known(-most, most)


def _divided(a: Any, b: Any, *, rounding_mode: str | None = None) -> Any:
    if rounding_mode is not None:
        raise ValueError("a division that rounds has no enclosure")
    return a / b


#: Name of an ATen operation -> what it is on enclosures.
OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": _add,
    "sub": _sub,
    "rsub": lambda a, b, alpha=1: _sub(b, a, alpha),
    "mul": lambda a, b: a * b,
    "div": _divided,
    "neg": lambda x: -x,
    "abs": abs,
    "mm": lambda a, b: a @ b,
    "bmm": lambda a, b: a @ b,
    "mv": lambda a, b: a @ b,
    "addmm": _addmm,
    "baddbmm": _addmm,
    "pow": _power,
    "square": lambda x: x**2,
    "sqrt": lambda x: x.sqrt(),
    "rsqrt": lambda x: 1 / x.sqrt(),
    "reciprocal": lambda x: 1 / x,
    "exp": lambda x: x.exp(),
    "sin": lambda x: x.sin(),
    "cos": lambda x: x.cos(),
    "tanh": lambda x: x.tanh(),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "erf": erf,
    "gelu": gelu,
    "relu": lambda x: x.maximum(0.0),
    "leaky_relu": _leaky_relu,
    "clamp": ARRAY_NAMESPACE.clip,
    "clamp_min": ARRAY_NAMESPACE.clip,
    "clamp_max": lambda x, high: x.clip(None, high),
    "hardtanh": lambda x, low=-1.0, high=1.0: x.clip(low, high),
    "maximum": ARRAY_NAMESPACE.maximum,
    "minimum": ARRAY_NAMESPACE.minimum,
    "view": lambda x, shape: x.reshape(tuple(shape)),
    "_unsafe_view": lambda x, shape: x.reshape(tuple(shape)),
    "reshape": lambda x, shape: x.reshape(tuple(shape)),
    "permute": ARRAY_NAMESPACE.transpose,
    "transpose": lambda x, a, b: x.swapaxes(axis_of(x, a), axis_of(x, b)),
    "t": lambda x: x.swapaxes(0, -1),
    "expand": _expand,
    "unsqueeze": lambda x, dim: x[along(range(x.ndim + 1)[dim], None)],
    "squeeze": _squeeze,
    "select": lambda x, dim, index: x[along(axis_of(x, dim), index)],
    "slice": _slice,
    "unbind": _unbind,
    "split": _split,
    "split_with_sizes": _split,
    "cat": _cat,
    "stack": stacked,
    "clone": _same,
    "detach": _same,
    "alias": _same,
    "contiguous": _same,
    "_to_copy": _same,
    "sum": _over("sum"),
    "mean": _over("mean"),
    "amax": _over("amax"),
    "amin": _over("amin"),
    "var": deviation("var"),
    "_softmax": _softmax,
    "_safe_softmax": _softmax,
    "native_layer_norm": _layer_norm,
    **EVERYDAY,
}

#: What only moves values, so that nothing more can be known of them afterwards.
MOVES = {operator.getitem} | {
    OPERATIONS[name]
    for name in (
        *("view", "_unsafe_view", "reshape", "permute", "transpose", "t", "unsqueeze", "squeeze"),
        *("select", "slice", "unbind", "split", "clone"),
    )
}
