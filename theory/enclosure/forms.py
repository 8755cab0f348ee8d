"""Enclosures of targets on boxes: ranges, and an affine function with a remainder.

What is enclosed is the function that the target's formula spells when its float64 constants are
taken at their exact values and every operation on arrays is exact: sin(2πkx) is followed with the
float that the code makes of 2πk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.axes import know_einops
from looprate.theory.enclosure.deadline import OutOfTimeError
from looprate.theory.enclosure.intervals import Interval, intersection
from looprate.theory.enclosure.jets import Jet, variables
from looprate.theory.enclosure.rounding import TINY

__all__ = ["SharedSymbols", "enclose", "evaluated", "local_form"]

CURE = (
    "; write it with +, -, *, /, **, @, abs, sqrt, exp, log, sin, cos, tanh, maximum, minimum, "
    "clip, sum, mean, max, norm and what else is listed in docs/howto/operations.md"
)
Array = NDArray[np.float64]
Function = Callable[[Any], Any]


@dataclass(frozen=True)
class LocalForm:
    """On box b, f(X) = f(c) + g · (X - c) + ρ(X) with |ρ(X)| <= remainder, entry by entry.

    Attributes
    ----------
    centre : ndarray of shape (B, N, d)
        c, floats next to the midpoints of the boxes.
    value : Interval of shape (B, N, d)
        f(c).
    gradient : ndarray of shape (N·d, B, N, d)
        g, one number for each input direction (first axis) and output entry; 0 where unknown.
    remainder : ndarray of shape (B, N, d)
        r, inf where the slopes of the function are unbounded.
    bounds : Interval of shape (B, N, d)
        The range of f on the box, by whatever is known.
    spread : ndarray of shape (N·d, B, N, d)
        Radii of the slopes around g, inf where unbounded: |ρ(X)| <= Σ_k spread_k |X - c|_k, the
        largest of which on the box is ``remainder``.
    """

    centre: Array
    value: Interval
    gradient: Array
    remainder: Array
    bounds: Interval
    spread: Array


def check_boxes(low: Any, high: Any) -> tuple[Array, Array]:
    """Return the corners of boxes as float64 arrays (B, N, d).

    Raises
    ------
    ValueError
        If the shapes do not fit or ``low`` exceeds ``high``.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    if low.ndim != 3 or low.shape != high.shape:
        raise ValueError(
            "`low` and `high` must be corners of boxes, both of shape (B, N, d), got "
            f"{low.shape} and {high.shape}; a single box is low[None], high[None]"
        )
    if not (np.isfinite(low).all() and np.isfinite(high).all() and (low <= high).all()):
        raise ValueError("`low` must be at most `high` everywhere, both finite")
    return low, high


def enclose(target: Function, low: Any, high: Any) -> Interval:
    """Return the range of a target on boxes: natural interval extension and mean-value form.

    Parameters
    ----------
    target : Target, or a function written with NumPy's functions
        Called on an :class:`Interval` and on a :class:`Jet`.
    low, high : array_like of shape (B, N, d)
        Corners of the boxes.

    Returns
    -------
    Interval of shape (B, N, d)
        Contains f(X), entry by entry, for every X in the box.

    Raises
    ------
    ValueError
        If the corners are no boxes, or the function does something that has no enclosure.

    Examples
    --------
    >>> from looprate.theory.targets import parse_target
    >>> enclose(parse_target("mean-field:a=1,b=0"), [[[0.25]]], [[[0.5]]]).contains([[[0.3]]])
    array([[[ True]]])
    """
    return local_form(target, low, high).bounds


@np.errstate(all="ignore")
def local_form(target: Function, low: Any, high: Any) -> LocalForm:
    """Return the affine form of a target on boxes, see :class:`LocalForm`.

    The slopes G over the box have f(X) - f(c) = g' · (X - c) for some g' in G (property (P) of
    :mod:`looprate.theory.enclosure.jets`); g is the middle of G, and the remainder Σ_k rad(G_k) |X
    - c|_k.

    Parameters and errors are those of :func:`enclose`.
    """
    low, high = check_boxes(low, high)
    box = Interval(low, high)
    centre = np.clip(low / 2 + high / 2, low, high)
    value = evaluated(target, Interval(centre))
    jet = evaluated(target, variables(box))
    if isinstance(jet, Interval):  # a constant
        jet = Jet(jet, Interval(np.zeros((low.shape[1] * low.shape[2], *low.shape))))
    offset = directions(box.plus(-Interval(centre)))
    known = np.isfinite(jet.slope.lo) & np.isfinite(jet.slope.hi)
    gradient = np.where(known, jet.slope.middle(), 0.0)
    spread = jet.slope.plus(-Interval(gradient)).magnitude
    terms = Interval(np.zeros(spread.shape), spread).times(Interval(offset.magnitude))
    remainder = terms.reduce("sum", 0, keepdims=False).hi
    moved = jet.slope.times(offset).reduce("sum", 0, keepdims=False)
    bounds = intersection(jet.value, value.plus(moved))
    return LocalForm(centre, value, gradient, remainder, bounds, spread)


@dataclass(frozen=True)
class SharedSymbols:
    """A function whose L^p error is enclosed by affine forms, not by slopes.

    It costs more a box, and is the only way for a deep network, whose slopes on a box grow with the
    sizes of its weights.

    Attributes
    ----------
    function : callable
    """

    function: Function

    def __call__(self, x: Any) -> Any:
        return self.function(x)


@np.errstate(all="ignore")
def affine_form(target: Function, low: Any, high: Any) -> tuple[LocalForm, Array]:
    """Return an affine form of a target on boxes from shared symbols, and what it misses.

    On every box |f(X) - value - gradient · (X - centre)| is at most the second result, of shape
    (B, N, d), also at the centre; ``remainder`` and ``spread`` are 0.  Parameters and errors are
    those of :func:`enclose`.
    """
    low, high = check_boxes(low, high)
    box = Interval(low, high)
    centre = np.clip(low / 2 + high / 2, low, high)
    half = np.maximum(high - centre, centre - low).reshape(len(low), -1) + TINY
    found = evaluated(target, affine_variables(box))
    if isinstance(found, Interval):  # a constant
        return local_form(target, low, high), np.zeros(low.shape)
    value, gradient, rest = found.linear(half)
    zero, still = np.zeros(low.shape), np.zeros(gradient.shape)
    return LocalForm(centre, Interval(value), gradient, zero, found.value, still), rest


def directions(values: Interval) -> Interval:
    """Return one number an input entry (B, N, d) as one row a direction, (N·d, B, 1, 1)."""
    batch, tokens, dim = values.shape
    return values.reshape((batch, tokens * dim)).swapaxes(0, 1).reshape((-1, batch, 1, 1))


def name_of(f: Function) -> str:
    """Return what messages call a function."""
    return str(getattr(f, "name", getattr(f, "__name__", repr(f))))


def evaluated(target: Function, x: Any) -> Any:
    """Return the target on enclosures; raise naming it where it has none."""
    name = name_of(target)
    know_einops(EnclosureArray)
    try:
        with np.errstate(all="ignore"):  # overflow is seen in the ends, whatever the user set
            result = target(x.copy() if isinstance(x, EnclosureArray) else x)  # may change it
    except OutOfTimeError:
        raise
    except Exception as error:  # whatever a user's function may raise
        told = any(word in str(error) for word in ("write", "use ", "only lower bounds"))
        raise ValueError(
            f"`target` {name} has no rigorous enclosure: {error}{'' if told else CURE}"
        ) from error
    constant = isinstance(result, np.ndarray | float | int)
    if constant:
        result = Interval(np.asarray(result, dtype=np.float64))
    if not isinstance(result, type(x) | Interval):
        raise ValueError(
            f"`target` {name} must return an enclosure, a {type(x).__name__}, got "
            f"{type(result).__name__}"
        )
    if result.shape != x.shape:
        if constant:
            return result.broadcast_to(x.shape)
        raise ValueError(f"`target` {name} must return shape {x.shape}, got {result.shape}")
    return result
