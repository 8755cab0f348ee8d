"""Entries of enclosures, moved, chosen and put together: NumPy's functions of shapes.

All are exact.  Those whose results share memory in NumPy are views here too, so that a step in
place is refused where it would have to change both.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "along",
    "assigned",
    "axes_of",
    "axis_of",
    "broadcast",
    "concatenated",
    "diagonal",
    "expanded",
    "flipped",
    "kept",
    "padded",
    "rolled",
    "squeezed",
    "stacked",
    "taken",
    "tiled",
    "triangle",
    "where",
]

JUMPS = "a choice by the input has no enclosure; write it with maximum, minimum, clip or abs"


def is_enclosure(x: Any) -> bool:
    """Tell whether something is an array of enclosures."""
    return hasattr(type(x), "__looprate_namespace__")


def axis_of(x: Any, axis: int) -> int:
    """Return an axis as a number >= 0."""
    return range(x.ndim)[axis]


def axes_of(x: Any, axis: int | Iterable[int] | None) -> tuple[int, ...]:
    """Return axes as numbers >= 0, in order, once each; all of them where none is given."""
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    return tuple(sorted({axis_of(x, k) for k in given}))


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """Return the index that takes ``part`` of an axis."""
    return (*(slice(None),) * axis, part)


def taken(x: Any, which: Any, axis: int | None = None) -> Any:
    """Return the entries at constant indices along an axis, as ``np.take``."""
    if is_enclosure(which):
        raise TypeError(f"indices that depend on the input: {JUMPS}")
    if axis is None:
        return taken(x.reshape(-1), which, 0)
    place, chosen = axis_of(x, axis), np.asarray(which)
    return x.moved(lambda a, lead: np.take(a, chosen, axis=place + lead))


def kept(x: Any, mask: NDArray[np.bool_]) -> Any:
    """Return the entries where a mask holds, which broadcasts to their shape, and 0 elsewhere."""
    if not is_enclosure(x):
        return np.where(mask, x, 0.0)
    return x.moved(lambda a, _: a if a.dtype.kind == "i" else kept(a, mask))  # boxes' numbers


def where(mask: Any, a: Any, b: Any) -> Any:
    """Return a where a constant mask holds, else b."""
    if is_enclosure(mask):
        raise TypeError(JUMPS)
    chosen = np.asarray(mask, dtype=bool)
    shape = np.broadcast_shapes(chosen.shape, np.shape(a), np.shape(b))
    first, second = (broadcast(x, shape) for x in (a, b))
    return kept(first, chosen) + kept(second, ~chosen)


def broadcast(x: Any, shape: Sequence[int]) -> Any:
    """Return an array repeated to a shape."""
    if not is_enclosure(x):
        return np.broadcast_to(x, shape)
    wanted = (shape,) if isinstance(shape, int) else tuple(shape)

    def move(a: Any, lead: int) -> Any:
        first, own = a.shape[:lead], a.shape[lead:]
        wide = a.reshape((*first, *(1,) * (len(wanted) - len(own)), *own))
        return np.broadcast_to(wide, (*first, *wanted))

    return viewed(x, move)


def viewed(x: Any, move: Callable[[Any, int], Any]) -> Any:
    """Return an array with its parts moved to what shares its memory."""
    made = x.moved(move)
    x.share(made)
    return made


def concatenated(parts: Sequence[Any], axis: int | None = 0) -> Any:
    """Return arrays and enclosures one after the other along an axis."""
    parts = [part if is_enclosure(part) else np.asarray(part) for part in parts]
    if axis is None:
        parts, axis = [part.reshape(-1) for part in parts], 0
    place, ndim = axis_of(parts[0], axis), parts[0].ndim
    parts = [part for part in parts if part.shape[place]]
    ends = np.cumsum([part.shape[place] for part in parts])
    terms, at = [], np.arange(ends[-1])
    for part, end in zip(parts, ends.tolist(), strict=True):
        which = at - (end - part.shape[place])
        inside = (which >= 0) & (at < end)
        wide = np.take(part, np.where(inside, which, 0), axis=place)
        terms.append(kept(wide, inside.reshape(-1, *(1,) * (ndim - 1 - place))))
    return functools.reduce(operator.add, terms)


def stacked(parts: Sequence[Any], axis: int = 0) -> Any:
    """Return arrays and enclosures of one shape along a new axis."""
    return concatenated([expanded(part, axis) for part in parts], axis)


def expanded(x: Any, axis: int | Sequence[int]) -> Any:
    """Return an array with axes of length 1 put in."""
    if not is_enclosure(x):
        return np.expand_dims(x, axis)
    given = (axis,) if isinstance(axis, int) else tuple(axis)
    new = {range(x.ndim + len(given))[k] for k in given}
    rest = iter(x.shape)
    return x.reshape(tuple(1 if k in new else next(rest) for k in range(x.ndim + len(given))))


def squeezed(x: Any, axis: int | Sequence[int] | None = None) -> Any:
    """Return an array without axes of length 1."""
    gone = axes_of(x, axis)
    if axis is not None and any(x.shape[k] != 1 for k in gone):
        raise ValueError(f"`axis` must name axes of length 1 of shape {x.shape}, got {axis}")
    return x.reshape(tuple(n for k, n in enumerate(x.shape) if not (k in gone and n == 1)))


def split(x: Any, parts: Any, axis: int = 0) -> list[Any]:
    """Return the parts of an array along an axis: so many equal ones, or cut at places."""
    place = axis_of(x, axis)
    pieces = np.array_split if isinstance(parts, int) and x.shape[place] % parts else np.split
    cut = pieces(np.arange(x.shape[place]), parts)
    return [x[along(place, slice(int(k[0]), int(k[-1]) + 1) if len(k) else slice(0))] for k in cut]


def flipped(x: Any, axis: Any = None) -> Any:
    """Return an array in the reverse order along axes."""
    for k in axes_of(x, axis):
        x = x[along(k, slice(None, None, -1))]
    return x


def rolled(x: Any, shift: Any, axis: Any = None) -> Any:
    """Return an array rolled along axes."""
    if axis is None:
        return rolled(x.reshape(-1), shift, 0).reshape(x.shape)
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    for by, k in zip(np.broadcast_to(shift, len(axes)).tolist(), axes, strict=True):
        x = taken(x, np.roll(np.arange(x.shape[k]), by), k)
    return x


def repeated(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Return an array with every entry repeated along an axis."""
    x, k = (x.reshape(-1), 0) if axis is None else (x, axis)
    return taken(x, np.repeat(np.arange(x.shape[k]), repeats), k)


def tiled(x: Any, reps: Any) -> Any:
    """Return an array repeated as a whole along its axes."""
    times = (reps,) if isinstance(reps, int) else tuple(reps)
    lead = max(0, len(times) - x.ndim)
    x, times = expanded(x, range(lead)), (*(1,) * (x.ndim - len(times)), *times)
    for k, n in enumerate(times):
        x = x if n == 1 else taken(x, np.tile(np.arange(x.shape[k]), n), k)
    return x.copy()


def padded(x: Any, pad_width: Any, mode: str = "constant", *, constant_values: float = 0.0) -> Any:
    """Return an array with entries before and after along its axes, as ``np.pad``."""
    widths = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    for k, (before, after) in enumerate(widths):
        if before or after:
            how = "edge" if mode == "constant" else mode
            at = np.pad(np.arange(x.shape[k]), (before, after), mode=how)  # type: ignore[call-overload]
            inner = np.pad(np.ones(x.shape[k], bool), (before, after))
            x, inside = taken(x, at, k), inner.reshape(-1, *(1,) * (x.ndim - 1 - k))
            x = where(inside, x, constant_values) if mode == "constant" else x
    return x.copy()


def triangle(above: bool) -> Callable[..., Any]:
    """Return ``np.triu`` or ``np.tril``."""

    def part(x: Any, k: int = 0) -> Any:
        ones = np.ones(x.shape[-2:])
        return kept(x, (np.triu(ones, k) if above else np.tril(ones, k)) > 0)

    return part


def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """Return the entries whose two indices are equal, along a last axis."""
    first, second = axis_of(x, axis1), axis_of(x, axis2)
    at = np.diagonal(
        np.arange(x.shape[first] * x.shape[second]).reshape(x.shape[first], -1), offset
    )
    rest = [k for k in range(x.ndim) if k not in (first, second)]
    turned = transposed(x, (*rest, first, second))
    return taken(turned.reshape((*turned.shape[:-2], -1)), at, -1)


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


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Return an array with axes at other places."""
    names = np.broadcast_to(0.0, tuple(range(1, x.ndim + 1)))  # axis k has length k + 1
    order = np.moveaxis(names, source, destination).shape
    return transposed(x, [length - 1 for length in order])


def assigned(x: Any, key: Any, value: Any) -> Any:
    """Return an array (B, ...) with entries replaced, the same ones of every input of the batch."""
    size = math.prod(x.shape[1:])
    at = np.arange(x.shape[0] * size).reshape(x.shape)[key]
    first = at[:1]
    if at.ndim == 0 or len(at) != x.shape[0] or (at != first + size * _lifted(at)).any():
        raise TypeError(
            "entries of an enclosure are assigned for all inputs of the batch: let the index "
            "begin with `:`"
        )
    value = broadcast(value if is_enclosure(value) else np.asarray(value, dtype=float), at.shape)
    source, mask = np.zeros(size, dtype=np.intp), np.zeros(size, dtype=bool)
    source[first.ravel()], mask[first.ravel()] = np.arange(first.size), True
    flat = value.reshape((x.shape[0], first.size))
    placed = np.take(flat, source, axis=1).reshape(x.shape)
    chosen = mask.reshape(x.shape[1:])
    return kept(x, ~chosen) + kept(placed, chosen)


def indexed(x: Any, parts: Sequence[Any]) -> Any:
    """Return entries by an index with one list of places along an axis, slices beside it."""
    if any(is_enclosure(part) for part in parts):
        raise TypeError(f"indices that depend on the input: {JUMPS}")
    lists = [k for k, part in enumerate(parts) if isinstance(part, list | np.ndarray)]
    others = [part for k, part in enumerate(parts) if k not in lists]
    plain = all(part is None or part is Ellipsis or isinstance(part, slice) for part in others)
    if len(lists) != 1 or not plain or np.ndim(parts[lists[0]]) != 1:
        raise TypeError(
            "an index of an enclosure holds whole numbers and slices, or slices and one list; "
            "write the others one after the other, as in `x[:, [0, 2]][..., 0]`"
        )
    place, which = lists[0], np.asarray(parts[lists[0]])
    which = np.flatnonzero(which) if which.dtype == bool else which
    named = sum(part is not None and part is not Ellipsis for part in parts)
    axis = sum(x.ndim - named if part is Ellipsis else 1 for part in parts[:place])
    return taken(x[(*parts[:place], slice(None), *parts[place + 1 :])], which, axis)


def _lifted(at: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of the inputs of a batch, to be broadcast."""
    return np.arange(len(at)).reshape(-1, *(1,) * (at.ndim - 1))
