"""Functions of enclosures by the operations they have: NumPy's, SciPy's and torch's.

``scipy.special.erf``, ``arctan`` and ``logaddexp`` are assumed within ``LIBM_ULPS`` ulp, as the C
library's functions are; tests hold them against Arb.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from looprate.theory.enclosure.shapes import (
    along,
    axes_of,
    axis_of,
    broadcast,
    concatenated,
    diagonal,
    is_enclosure,
    kept,
    stacked,
    transposed,
)

__all__ = [
    "arctan",
    "cumprod",
    "cumsum",
    "distances",
    "erf",
    "gelu",
    "prod",
    "sigmoid",
    "softplus",
    "sort",
    "vector_norm",
]

LARGEST_ATAN = math.nextafter(math.pi / 2, 2)


class Increasing(NamedTuple):
    """An increasing function: in float64, its limits, its slopes and theirs on an interval."""

    function: Callable[[Any], Any]
    low: float
    high: float
    slope: Callable[[Any], Any]
    second: Callable[[Any], Any]


def around(x: Any, value: float) -> Any:
    """Return the floats next to a correctly rounded constant, as an interval of the kind of x."""
    return type(x)(math.nextafter(value, -math.inf), math.nextafter(value, math.inf))


def _erf(x: Any) -> Any:
    from scipy.special import erf as in_float64  # slow to import, and few functions need it

    return in_float64(x)


def _bell(x: Any) -> Any:
    return (-(x**2)).exp() * around(x, 2 / math.sqrt(math.pi))


def _hill(x: Any) -> Any:
    return 1.0 / (1.0 + x**2)


def _hump(x: Any) -> Any:
    return (1.0 - (x * 0.5).tanh() ** 2) * 0.25


_ERF = Increasing(_erf, -1.0, 1.0, _bell, lambda x: x * _bell(x) * -2.0)
_ARCTAN = Increasing(
    np.arctan, -LARGEST_ATAN, LARGEST_ATAN, _hill, lambda x: x * _hill(x) ** 2 * -2.0
)
_SOFTPLUS = Increasing(lambda x: np.logaddexp(0.0, x), 0.0, math.inf, lambda x: sigmoid(x), _hump)


def erf(x: Any) -> Any:
    """Return the error function."""
    return x.increasing(_ERF)


def arctan(x: Any) -> Any:
    """Return arctangents."""
    return x.increasing(_ARCTAN)


def softplus(x: Any) -> Any:
    """Return log(1 + exp(x))."""
    return x.increasing(_SOFTPLUS)


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x)): through tanh, whose slopes are sharp."""
    return (x * 0.5).tanh() * 0.5 + 0.5


def gelu(x: Any, *, approximate: str = "none") -> Any:
    """Return x (1 + erf(x/√2))/2, or its approximation with tanh."""
    if approximate == "tanh":
        root = (x.operand(0.5) / arctan(x.operand(1.0))).sqrt()  # of 2/π
        return x * (((x + x**3 * 0.044715) * root).tanh() * 0.5 + 0.5)
    return x * (erf(x * x.operand(0.5).sqrt()) * 0.5 + 0.5)


def log_of(base: float) -> Callable[[Any], Any]:
    """Return the logarithm to a base."""
    return lambda x: x.log() / x.operand(base).log()


def raised(base: Any, exponent: Any) -> Any:
    """Return base ** exponent for several exponents: constants, or a base >= 0.

    Raises
    ------
    TypeError
        If the base may be negative: the power may then be no real number.
    """
    if not is_enclosure(exponent):
        exponents = np.asarray(exponent, dtype=float)
        base = broadcast(base, np.broadcast_shapes(base.shape, exponents.shape))
        powers = (kept(base ** float(e), exponents == e) for e in np.unique(exponents))
        return functools.reduce(operator.add, powers)
    if is_enclosure(base):
        ends = getattr(base, "value", None)
        positive = ends is not None and bool((ends.lo >= 0).all())
    else:
        positive = bool((np.asarray(base) > 0).all())
        base = exponent.operand(base)
    if not positive:
        raise TypeError("a power with an exponent that varies needs a base of 0 or more")
    return (exponent * base.log()).exp()


def logaddexp(a: Any, b: Any) -> Any:
    """Return log(exp a + exp b): a limit plus the softplus of what is above it."""
    low, high = (a, b) if is_enclosure(b) else (b, a)
    return softplus(high - low) + low


def hypot(a: Any, b: Any) -> Any:
    """Return √(a² + b²)."""
    shape = np.broadcast_shapes(np.shape(a), np.shape(b))
    return stacked([broadcast(a, shape), broadcast(b, shape)]).euclidean(0)


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Return ``np.linalg.norm`` of vectors, and of matrices by all of their entries."""
    both = axis is None or not isinstance(axis, int)
    matrix = both and (x.ndim if axis is None else len(axis)) == 2
    if (ord == "fro" and matrix) or ord is None:
        return x.euclidean(axis, keepdims=keepdims)
    if matrix or ord not in (1, 2, np.inf):
        raise TypeError(f"a norm of order {ord} has no enclosure; take 1, 2 or inf of vectors")
    return vector_norm(x, ord, axis, keepdims)


def vector_norm(x: Any, order: float = 2, axis: Any = None, keepdims: bool = False) -> Any:
    """Return norms of all entries along axes."""
    if order == 2:
        return x.euclidean(axis, keepdims=keepdims)
    if order not in (1, math.inf):
        raise ValueError(f"a vector norm of order {order} has no enclosure; take 1, 2 or inf")
    return getattr(abs(x), "sum" if order == 1 else "amax")(axis, keepdims=keepdims)


def distances(a: Any, b: Any, p: float = 2.0, *_: Any) -> Any:
    """Return the distances of vectors (..., n, d) and (..., m, d)."""
    gap = a[..., :, None, :] - b[..., None, :, :]
    if a is b:
        gap = gap * (1.0 - np.eye(a.shape[-2]))[..., None]  # a vector to itself: 0
    return vector_norm(gap, p, -1)


def prod(x: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    """Return products over axes."""
    for place in reversed(axes_of(x, axis)):
        parts = [slice(k, k + 1) if keepdims else k for k in range(x.shape[place])]
        x = functools.reduce(operator.mul, (x[along(place, part)] for part in parts))
    return x


def _running(step: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """Return running sums or products along an axis."""

    def running(x: Any, axis: int | None = None) -> Any:
        if axis is None:
            return running(x.reshape(-1), 0)
        place = axis_of(x, axis)
        parts = [x[along(place, slice(k, k + 1))] for k in range(x.shape[place])]
        return concatenated([*itertools.accumulate(parts, step)], place)

    return running


cumsum, cumprod = _running(operator.add), _running(operator.mul)


def diff(x: Any, n: int = 1, axis: int = -1) -> Any:
    """Return differences of neighbours along an axis."""
    place = axis_of(x, axis)
    for _ in range(n):
        x = x[along(place, slice(1, None))] - x[along(place, slice(None, -1))]
    return x


def average(x: Any, axis: int | None = None, weights: Any = None, *, keepdims: bool = False) -> Any:
    """Return means with constant weights."""
    if weights is None:
        return x.mean(axis, keepdims=keepdims)
    wide = np.asarray(weights, dtype=float)
    if wide.ndim == 1 and axis is not None:
        wide = wide.reshape(-1, *(1,) * (x.ndim - 1 - axis_of(x, axis)))
    whole = wide.ndim == x.ndim
    total = x.operand(wide).sum(axis if whole else None, keepdims=keepdims and whole)
    return (x * wide).sum(axis, keepdims=keepdims) / total


def interp(x: Any, xp: Any, fp: Any) -> Any:
    """Return ``np.interp``, a polygon: the sum of what its pieces rise by."""
    at, values = (x.operand(np.asarray(part, dtype=float)) for part in (xp, fp))
    pieces = (
        (x.clip(low, high) - low) * ((values[k + 1] - values[k]) / (at[k + 1] - at[k]))
        for k, (low, high) in enumerate(itertools.pairwise(np.asarray(xp, dtype=float).tolist()))
    )
    return functools.reduce(operator.add, pieces, x.zeros_like() + values[0])


def polyval(p: Any, x: Any) -> Any:
    """Return a polynomial, its highest coefficient first, by Horner's rule."""
    return functools.reduce(lambda done, c: done * x + c, np.ravel(p).tolist(), x.zeros_like())


def sort(x: Any, axis: int = -1, *_: Any) -> Any:
    """Return entries in order along an axis: neighbours in the wrong order change places."""
    place = axis_of(x, axis)
    count = x.shape[place]
    rows = [x[along(place, slice(k, k + 1))] for k in range(count)]
    for turn in range(count):
        for k in range(turn % 2, count - 1, 2):
            low, high = rows[k : k + 2]
            rows[k], rows[k + 1] = low.minimum(high), low.maximum(high)
    return concatenated(rows, place)


def median(x: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """Return medians over an axis: of an even number, the mean of the middle two."""
    if axis is None:
        return median(x.reshape(-1), 0).reshape((1,) * x.ndim if keepdims else ())
    place = axis_of(x, axis)
    count = x.shape[place]
    middle = slice((count - 1) // 2, count // 2 + 1)
    return sort(x, place)[along(place, middle)].mean(place, keepdims=keepdims)


def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return sums over diagonals."""
    return diagonal(x, offset, axis1, axis2).sum(-1)


def outer(a: Any, b: Any) -> Any:
    """Return products of every entry with every entry of another."""
    wide = a.reshape((*a.shape, *(1,) * np.ndim(b)))
    return wide * b


def matrix_transpose(x: Any) -> Any:
    """Return matrices with their two axes exchanged."""
    return transposed(x, [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2])
