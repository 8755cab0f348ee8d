"""What arrays of enclosures are known to be of others: norms, and differences from means.

A vector over its own norm, or over more, has entries of at most 1 in size; the quotient of two
enclosures does not know it, least of all near 0.  So sums of squares, their roots and differences
from means note what they were made of, and quotients look there.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from looprate.theory.enclosure.in_place import InPlace
from looprate.theory.enclosure.shapes import axes_of

SLACK = 1 + 1e-12  # of limits, for the roundings of a few factors


@dataclass(frozen=True, eq=False)
class Token:
    """Which array: by its ends, which no other has; or that array less its mean over axes."""

    ends: Any
    axes: tuple[int, ...] = ()
    count: int = 0  # of what a mean is over


@dataclass(frozen=True, eq=False)
class Past:
    """For entries v of ``of``: v² <= most * these ("squares"), or |v| <= most * these ("root").

    A "mean" is what is taken away from an array to give ``of``, a "gap" is ``of`` itself.  Squares
    were summed ``over`` axes; of what lacks the last of them, ``[..., None]`` brings it back.
    """

    kind: Literal["mean", "gap", "squares", "root"]
    of: Token
    most: float = 1.0
    over: tuple[int, ...] = ()
    lacks: bool = False


class Remembering(InPlace):
    """Base of arrays whose norms know what they are the norms of."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in RULES.keys() & vars(cls).keys():
            setattr(cls, name, _noted(vars(cls)[name], RULES[name]))


def _noted(method: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Any]:
    """Return a method whose result a rule adds to."""

    @functools.wraps(method)
    def noted(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = method(self, *args, **kwargs)
        found = rule(self, made, *args, **kwargs)
        if isinstance(found, Past):
            made._past = found
            return made
        return made if found is None else found

    return noted


def _past(x: Any, *kinds: str) -> Past | None:
    """Return what is known of an array, if it is of some kinds."""
    past: Past | None = getattr(x, "_past", None)
    return past if past is not None and past.kind in kinds else None


def _token(x: Any) -> Token | None:
    """Return what tells an array from all others."""
    if gap := _past(x, "gap"):
        return gap.of
    value = getattr(x, "value", None)
    return None if value is None else Token(value.lo)


def _gap(x: Any, axis: Any) -> Token | None:
    """Return the token of an array less its mean over axes."""
    own = _token(x)
    if own is None or own.axes:
        return None
    places = axes_of(x, axis)
    return Token(own.ends, places, math.prod(x.shape[k] for k in places))


def _along(x: Any, axis: Any, keepdims: bool, past: Past | None) -> Past | None:
    """Return what is known of a result along axes, all of them kept or the last one missing."""
    if past is None or past.lacks or not (keepdims or axes_of(x, axis) == (x.ndim - 1,)):
        return None
    return past if keepdims else replace(past, lacks=True)


def _is_number(x: Any, least: float) -> bool:
    """Tell whether something is a constant, nowhere below a limit."""
    return isinstance(x, int | float | np.ndarray) and bool((np.asarray(x) >= least).all())


def _less(x: Any, made: Any, other: Any) -> Past | None:
    mean, own = _past(other, "mean"), _token(x)
    same = mean and own and own.ends is mean.of.ends and not (own.axes or mean.lacks)
    return Past("gap", mean.of) if mean and same else None


def _power(x: Any, made: Any, exponent: Any) -> Past | None:
    own = _token(x) if isinstance(exponent, int | float) and exponent == 2 else None
    return None if own is None else Past("squares", own)


def _sum(x: Any, made: Any, axis: Any = None, *, keepdims: bool = False) -> Past | None:
    squares = _past(x, "squares")
    found = squares and replace(squares, over=squares.over + axes_of(x, axis))
    return _along(x, axis, keepdims, found)


def _mean(x: Any, made: Any, axis: Any = None, *, keepdims: bool = False) -> Past | None:
    if squares := _past(x, "squares"):
        count = math.prod(x.shape) / max(math.prod(made.shape), 1)
        over = squares.over + axes_of(x, axis)
        return _along(x, axis, keepdims, replace(squares, most=squares.most * count, over=over))
    gap = _gap(x, axis)
    return None if gap is None else _along(x, axis, keepdims, Past("mean", gap))


def _var(
    x: Any, made: Any, axis: Any = None, *, ddof: float = 0, keepdims: bool = False
) -> Past | None:
    gap = _gap(x, axis)
    if gap is None or gap.count <= ddof:
        return None
    return _along(x, axis, keepdims, Past("squares", gap, gap.count - ddof, gap.axes))


def _std(x: Any, made: Any, axis: Any = None, **settings: Any) -> Past | None:
    squares = _var(x, made, axis, **settings)
    return squares and _root(squares)


def _root(squares: Past) -> Past:
    """Return what is known of the root."""
    return replace(squares, kind="root", most=math.sqrt(squares.most) * SLACK)


def _sqrt(x: Any, made: Any) -> Past | None:
    squares = _past(x, "squares")
    return squares and _root(squares)


def _norm(x: Any, made: Any, axis: Any = None, *, keepdims: bool = False) -> Past | None:
    own, over = _token(x), axes_of(x, axis)
    return None if own is None else _along(x, axis, keepdims, Past("root", own, over=over))


def _more(x: Any, made: Any, other: Any) -> Past | None:
    return _past(x, "squares", "root") if _is_number(other, 0.0) else None


def _raised(x: Any, made: Any, other: Any) -> Past | None:
    return _past(x, "squares", "root")


def _quotient(x: Any, made: Any, other: Any) -> Any:
    """Return x over its own norm within its limits, or a norm over a number."""
    root, own, part = _past(other, "root"), _token(x), _past(x, "squares", "root")
    same = root and own and own.ends is root.of.ends and own.axes == root.of.axes
    if root and own and same and not root.lacks:
        whole = own.axes and set(own.axes) <= set(root.over)  # n numbers of mean 0 and their norm
        most = root.most * (math.sqrt(1 - 1 / own.count) if whole else 1.0) * SLACK
        return made.known(-most, most)
    if part and isinstance(other, int | float) and other > 0:
        return replace(part, most=part.most * other * SLACK)
    return None


def _indexed(x: Any, made: Any, key: Any) -> Past | None:
    past = _past(x, "mean", "squares", "root")
    back = isinstance(key, tuple) and len(key) == 2 and key[0] is Ellipsis and key[1] is None
    return replace(past, lacks=False) if past and past.lacks and back else None


#: Name of a method -> what its result is known to be.
RULES: dict[str, Callable[..., Any]] = {
    "__sub__": _less,
    "__add__": _more,
    "__radd__": _more,
    "__pow__": _power,
    "__truediv__": _quotient,
    "__getitem__": _indexed,
    "sum": _sum,
    "mean": _mean,
    "var": _var,
    "std": _std,
    "sqrt": _sqrt,
    "euclidean": _norm,
    "maximum": _raised,
}
