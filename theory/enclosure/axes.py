"""Axes of enclosures, moved and summed over: ``transpose``, ``einsum`` and all of einops."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

#: Reductions of einops and the methods that enclose them.
REDUCTIONS = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}


def transposed(x: Any, axes: Sequence[int] | None = None) -> Any:
    """Return an array with its axes in another order, the reverse where none is given."""
    order = list(range(x.ndim))
    wanted = order[::-1] if axes is None else [order[k] for k in axes]
    if sorted(wanted) != order:
        raise ValueError(f"`axes` must be an order of 0 to {x.ndim - 1}, got {axes}")
    for place, axis in enumerate(wanted):
        if (now := order.index(axis)) != place:
            x = x.swapaxes(place, now)
            order[place], order[now] = order[now], order[place]
    return x


def einsum(pattern: str, *operands: Any) -> Any:
    """Return sums of products over named axes, as ``np.einsum`` with an arrow."""
    left, arrow, out = pattern.replace(" ", "").partition("->")
    terms = left.split(",")
    plain = all(part.isalpha() for part in terms) and (out.isalpha() or not out)
    if not (arrow and plain and all(len(set(part)) == len(part) for part in (*terms, out))):
        raise TypeError(f"`einsum` has no enclosure with the pattern {pattern!r}: give it an arrow")
    names = out + "".join(sorted(set(left) - {",", *out}))
    product: Any = 1.0
    for term, x in zip(terms, operands, strict=True):
        moved = transposed(x, [term.index(name) for name in sorted(term, key=names.index)])
        lengths = dict(zip(term, x.shape, strict=True))
        product = product * moved.reshape(tuple(lengths.get(name, 1) for name in names))
    summed = tuple(range(len(out), len(names)))
    return product.sum(axis=summed) if summed else product


def know_einops(base: type) -> None:
    """Let einops, where a function has imported it, work on arrays of a base class."""
    if "einops" in sys.modules:
        with suppress(ImportError, AttributeError):  # another einops: it says what it cannot do
            _backend(base)


@cache
def _backend(base: type) -> type:
    """Return a class that einops finds by itself among those derived from its own."""
    above: Any = importlib.import_module("einops._backends").AbstractBackend

    class Enclosures(above):
        framework_name = __name__

        def is_appropriate_type(self, tensor: Any) -> bool:
            return isinstance(tensor, base)

        def is_float_type(self, x: Any) -> bool:
            return True

        def transpose(self, x: Any, axes: Sequence[int]) -> Any:
            return transposed(x, axes)

        def reduce(self, x: Any, operation: str, axes: Sequence[int]) -> Any:
            if operation not in REDUCTIONS:
                raise TypeError(f"`reduce` of einops has no enclosure with {operation!r}")
            return getattr(x, REDUCTIONS[operation])(tuple(axes))

        def add_axis(self, x: Any, new_position: int) -> Any:
            return x.reshape((*x.shape[:new_position], 1, *x.shape[new_position:]))

        def tile(self, x: Any, repeats: Sequence[int]) -> Any:
            """Repeat axes of length 1, the only ones that einops repeats."""
            return x + np.zeros(tuple(map(max, repeats, x.shape)))

        def einsum(self, pattern: str, *x: Any) -> Any:
            return einsum(pattern, *x)

    return Enclosures
