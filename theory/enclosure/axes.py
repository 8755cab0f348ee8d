"""Axes of enclosures, summed over: ``einsum``, ``tensordot`` and all of einops."""

from __future__ import annotations

import importlib
import math
import string
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from typing import Any

from looprate.theory.enclosure.shapes import axis_of, broadcast, diagonal, transposed

#: Reductions of einops and the methods that enclose them.
REDUCTIONS = {"sum": "sum", "mean": "mean", "max": "amax", "min": "amin"}


def einsum(pattern: str, *operands: Any, **_: Any) -> Any:
    """Return sums of products over named axes, as ``np.einsum``."""
    terms, out = _terms(pattern, operands)
    names = out + "".join(sorted(set("".join(terms)) - set(out)))
    product: Any = 1.0
    for term, x in zip(terms, operands, strict=True):
        term, x = _distinct(term, x)
        moved = transposed(x, [term.index(name) for name in sorted(term, key=names.index)])
        lengths = dict(zip(term, x.shape, strict=True))
        product = product * moved.reshape(tuple(lengths.get(name, 1) for name in names))
    summed = tuple(range(len(out), len(names)))
    return product.sum(axis=summed) if summed else product


def _terms(pattern: str, operands: Sequence[Any]) -> tuple[list[str], str]:
    """Return the names of the axes of operands and of the result, dots and arrow written out."""
    if not isinstance(pattern, str):
        raise TypeError("`einsum` has an enclosure for patterns that are text, such as 'bnd,de'")
    left, arrow, out = pattern.replace(" ", "").partition("->")
    spare = [name for name in string.ascii_letters if name not in pattern]
    terms = left.split(",")
    counts = [x.ndim - len(term) + 3 for term, x in zip(terms, operands, strict=True)]
    some = [count for term, count in zip(terms, counts, strict=True) if "..." in term]
    dots = "".join(spare[: max(some, default=0)])
    if not arrow:
        once = sorted(name for name in set(left) if name.isalpha() and left.count(name) == 1)
        out = ("..." if dots else "") + "".join(once)
    if (dots and "..." not in out) or len(set(out)) < len(out.replace("...", ".")):
        raise TypeError(
            f"`einsum` has no enclosure with the pattern {pattern!r}: name an axis once"
        )
    told = [
        term.replace("...", dots[len(dots) - count :] if count else "")
        for term, count in zip(terms, counts, strict=True)
    ]
    return told, out.replace("...", dots)


def _distinct(term: str, x: Any) -> tuple[str, Any]:
    """Return an operand whose axes have distinct names: of equal ones the diagonal."""
    for name in set(term):
        while term.count(name) > 1:
            first, second = term.index(name), term.rindex(name)
            x = diagonal(x, axis1=first, axis2=second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + name
    return term, x


def tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    """Return sums of products over axes of both, as ``np.tensordot``: one product of matrices."""
    if isinstance(axes, int):
        axes = (range(a.ndim - axes, a.ndim), range(axes))
    mine, theirs = (
        [axis_of(x, k) for k in ((part,) if isinstance(part, int) else part)]
        for x, part in zip((a, b), axes, strict=True)
    )
    kept_a, kept_b = (
        [k for k in range(x.ndim) if k not in part] for x, part in ((a, mine), (b, theirs))
    )
    count = math.prod(a.shape[k] for k in mine)
    left = transposed(a, [*kept_a, *mine]).reshape((-1, count))
    right = transposed(b, [*theirs, *kept_b]).reshape((count, -1))
    shape = (*(a.shape[k] for k in kept_a), *(b.shape[k] for k in kept_b))
    return (left @ right).reshape(shape)


def dot(a: Any, b: Any) -> Any:
    """Return ``np.dot``: over the last axis of a and the last but one of b."""
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    return tensordot(a, b, ([-1], [0 if b.ndim == 1 else -2]))


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
            return broadcast(x, tuple(map(max, repeats, x.shape)))

        def einsum(self, pattern: str, *x: Any) -> Any:
            return einsum(pattern, *x)

    return Enclosures
