"""What every certificate rests on, looked at before and after: the arithmetic and the function.

Enclosures assume IEEE 754 arithmetic, and that the function called on them is the one called on
numbers.  A function that looks at the type or the length of its argument, that mixes the inputs of
a batch or draws random numbers is another one on enclosures: values at points then lie outside.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.forms import LocalForm, local_form, name_of
from looprate.theory.notation import check_dim, check_tokens

__all__ = ["NotCertifiedError", "check_arithmetic", "check_enclosures"]

Array = NDArray[np.float64]
Function = Callable[[Any], Any]

SIDES = (1.0, 0.5, 0.25, 2.0**-10, 2.0**-20, 0.0, 0.0, 0.0)  # of the boxes looked at
POINTS = 6  # in each box
CLOSE = 1e-9  # of the largest value: what evaluation in float64 may add to what is enclosed
MOST_ROUNDING = 1e-6  # of the range: rounding that moves values by no more is left out of account
LEAST_ROUNDING = 1e-12  # of the largest value: never too much


class NotCertifiedError(ValueError):
    """Nothing rigorous can be said, and why."""


def check_arithmetic() -> None:
    """Raise unless float64 is rounded to nearest and keeps subnormal numbers, in this thread.

    Raises
    ------
    NotCertifiedError
        If not.
    """
    least = np.full(8, 2.0**-1022)
    with np.errstate(all="ignore"):
        kept = least * 0.5 * 2 == least
        sums = 1.0 + np.array([2.0**-53, 2.0**-53 + 2.0**-60] * 4)  # half an ulp, and more
    if not kept.all():
        raise NotCertifiedError(
            "not certified: this process flushes subnormal numbers to zero; undo it, such as by "
            "`torch.set_flush_denormal(False)`"
        )
    if (sums != [1.0, 1 + 2.0**-52] * 4).any():  # to even, up
        raise NotCertifiedError(
            "not certified: this process does not round to nearest; set the rounding mode back"
        )


def check_enclosures(f: Function, *, tokens: int, dim: int) -> float:
    """Raise unless values of a function in float64 lie in its enclosures, on thin and wide boxes.

    Parameters
    ----------
    f : callable
        Takes arrays and enclosures of shape (B, N, d).
    tokens, dim : int
        N and d.

    Returns
    -------
    float
        How far rounding in float64 may move values, where that is more than ``MOST_ROUNDING`` of
        their range; else 0.  Slopes of the formula then say nothing about values, its range does.

    Raises
    ------
    NotCertifiedError
        If a value lies outside.
    ValueError
        If f has no enclosure.
    """
    check_arithmetic()
    tokens, dim = check_tokens(tokens), check_dim(dim)
    rng = np.random.default_rng(0)
    sides = np.array(SIDES)[:, None, None]
    low = rng.random((len(SIDES), tokens, dim)) * (1 - sides)
    high = np.minimum(low + sides, 1.0)
    share = rng.random((POINTS, len(SIDES), tokens, dim))
    share[0], share[1] = 0.0, 1.0  # two corners
    points = np.clip(low + share * (high - low), low, high)
    with np.errstate(all="ignore"):
        found = _values(f, points)
        form = local_form(f, low, high)
        rounding = _rounding(f, points)
        size = np.abs(found[np.isfinite(found)]).max(initial=0.0)
        allowed = 4 * rounding + CLOSE * size
        _check_inside(f, points, found, allowed, form)
        return _moved(rounding, found, form)


def _values(f: Function, points: Array) -> Array:
    """Return values at points (S, B, N, d): each batch of B, and a few inputs alone."""
    found, again = (
        np.stack([np.asarray(f(batch.copy()), dtype=np.float64) for batch in points])
        for _ in range(2)
    )
    if not np.array_equal(found, again, equal_nan=True):
        raise NotCertifiedError(
            f"not certified: {name_of(f)} returns other values at a second call: it is no function "
            "of its input; let it draw no random numbers and keep nothing between calls"
        )
    for k in range(points.shape[1]):
        alone = np.asarray(f(points[k % POINTS, k : k + 1].copy()), dtype=np.float64)
        if alone.shape != (1, *points.shape[2:]):
            raise NotCertifiedError(
                f"not certified: {name_of(f)} returned shape {alone.shape} for one input, expected "
                f"{(1, *points.shape[2:])}"
            )
        found[k % POINTS, k : k + 1] = alone
    return found


def _rounding(f: Function, points: Array) -> Array:
    """Return how much rounding may move the values at points, by point enclosures."""
    flat = np.concatenate(points)
    width = np.asarray(local_form(f, flat, flat).value.width)
    return width.reshape(points.shape)


def _moved(rounding: Array, found: Array, form: LocalForm) -> float:
    """Return by how much rounding may move values where that is no small part of their range."""
    most = float(rounding[np.isfinite(rounding)].max(initial=0.0))
    span = float(form.bounds.width[0].max())
    size = float(np.abs(found[np.isfinite(found)]).max(initial=0.0))
    return most if most > MOST_ROUNDING * span and most > LEAST_ROUNDING * size else 0.0


def _check_inside(
    f: Function, points: Array, found: Array, allowed: Array, form: LocalForm
) -> None:
    """Raise where a value lies outside of the range, or of the affine form, of its box."""
    gap = np.maximum(form.bounds.lo - found, found - form.bounds.hi)
    moved = (points - form.centre).reshape(*points.shape[:2], -1)
    line = form.value.middle() + np.einsum("sbk,kbnd->sbnd", moved, form.gradient)
    off = np.abs(found - line) - form.remainder - form.value.width
    off -= CLOSE * np.einsum("sbk,kbnd->sbnd", np.abs(moved), np.abs(form.gradient))
    gap = np.maximum(gap, np.where(np.isfinite(form.remainder) & np.isfinite(line), off, -np.inf))
    outside = gap > allowed
    if outside.any():
        at = tuple(int(k) for k in np.argwhere(outside)[0])
        shown = np.round(points[at[:2]], 6).tolist()
        raise NotCertifiedError(
            f"not certified: {name_of(f)} returns {found[at]:.6g} at an input where its enclosure "
            f"is [{form.bounds.lo[at[1:]]:.6g}, {form.bounds.hi[at[1:]]:.6g}] (input {shown}): on "
            "enclosures it does something else than on numbers; let it not look at the type or "
            "length of its argument, mix the inputs of a batch or draw random numbers"
        )
