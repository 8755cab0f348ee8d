"""D, what an entry of a function varies by over the cube at most: proven, enclosed or sampled."""

from __future__ import annotations

import math
import sys

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.reconcile import exceeds
from looprate.theory.enclosure.forms import LocalForm, local_form
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.gate import Contradiction
from looprate.theory.hypotheses.inputs import special_points
from looprate.theory.targets import Target

Array = NDArray[np.float64]
HUGE = 1e100  # stands for unbounded slopes where sides are compared


def oscillation_of(target: Target, *, tokens: int, dim: int, points: int = 2**12) -> float:
    """Return D: what is proven of a target on paper, else the largest one seen, corners included.

    Parameters
    ----------
    target : Target
    tokens, dim : int
        N and d.
    points : int
        Random inputs.

    Raises
    ------
    ValueError
        If two values differ by more than a float64 number.
    """
    proven = target.oscillation(tokens=tokens, dim=dim)
    if proven is not None:
        return proven
    values = np.asarray(target(_inputs(tokens, dim, points)))
    with np.errstate(over="ignore"):
        found = float((values.max((0, 1)) - values.min((0, 1))).max())
    if math.isinf(found):
        raise ValueError(
            f"{target}: two of its values differ by more than the largest float64 number, "
            f"{sys.float_info.max:.3g}; scale it down"
        )
    return found


def _inputs(tokens: int, dim: int, points: int = 2**12) -> Array:
    """Return random inputs, and corners."""
    rng = np.random.default_rng(0)
    special = special_points(tokens, dim, count=points // 16, rng=rng)
    return np.concatenate([rng.random((points, tokens, dim)), special])


def check_oscillation(target: Target, seen: float, most: float, *, tokens: int, dim: int) -> None:
    """Raise where values differ by more than is proven, beyond rounding.

    Parameters
    ----------
    target : Target
    seen : float
        Of :func:`oscillation_of`.
    most : float
        Of :func:`enclosed_oscillation`.
    tokens, dim : int
        N and d.

    Raises
    ------
    Contradiction
        With the two inputs.
    """
    if not exceeds(seen, most, seen):
        return
    x = _inputs(tokens, dim)
    values = np.asarray(target(x))
    column = int((values.max((0, 1)) - values.min((0, 1))).argmax())
    ends = (x[end(values[..., column].max(1))].tolist() for end in (np.argmin, np.argmax))
    raise Contradiction(
        f"the values of {target} are certified to differ by at most {most:.6g}, and they differ by "
        "{:.6g} at the inputs x = {}, y = {}".format(seen, *ends)
    )


@np.errstate(all="ignore")
def enclosed_oscillation(
    target: Target, *, tokens: int, dim: int, tolerance: float, boxes: int
) -> float:
    """Return an upper bound of D, by cutting the cube into boxes on which the target is enclosed.

    As in :func:`oscillation_of` an entry is a coordinate, over all tokens together.

    Parameters
    ----------
    target : Target
        Has enclosures.
    tokens, dim : int
        N and d.
    tolerance : float
        Relative; boxes whose range adds no more to what is attained are left whole.
    boxes : int
        After which it is left at that: the bound is valid all the same, inf if nothing is known.
    """
    low, high = np.zeros((1, tokens, dim)), np.ones((1, tokens, dim))
    least, most = np.full(dim, np.inf), np.full(dim, -np.inf)  # attained
    bottom, top, spent = least.copy(), most.copy(), 0  # of boxes left whole
    while len(low):
        form, spent = local_form(target, low, high), spent + len(low)
        below, above = form.bounds.lo.min(1), form.bounds.hi.max(1)
        below, above = (np.where(np.isnan(v), w, v) for v, w in ((below, -np.inf), (above, np.inf)))
        least = np.fmin(least, form.value.hi.min((0, 1)))
        most = np.fmax(most, form.value.lo.max((0, 1)))
        slack = tolerance / 2 * max(float((most - least).max()), 0.0)
        excess = np.maximum(above - most, least - below).max(1)
        first = np.argsort(-excess, kind="stable")[: max(0, boxes - spent) // 2]
        cut = np.zeros(len(low), dtype=bool)
        cut[first] = excess[first] > slack
        whole = ~cut
        bottom = np.minimum(bottom, below[whole].min(0, initial=np.inf))
        top = np.maximum(top, above[whole].max(0, initial=-np.inf))
        low, high = _halved(form, low, high, cut)
    return float(Interval(top).plus(Interval(-bottom)).hi.max())


def _halved(
    form: LocalForm, low: Array, high: Array, which: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Return both halves of some boxes, cut where the function varies most."""
    slopes = np.minimum(np.abs(form.gradient) + form.spread, HUGE).max((2, 3)).T[which]
    low, high = low[which], high[which]
    shape, lines = low.shape[1:], np.arange(len(low))
    low, high = (ends.reshape(len(low), math.prod(shape)) for ends in (low, high))
    side = (slopes * (high - low)).argmax(1)
    middle = low[lines, side] / 2 + high[lines, side] / 2
    below, above = high.copy(), low.copy()
    below[lines, side], above[lines, side] = middle, middle
    new = (2 * len(low), *shape)
    return np.concatenate([low, above]).reshape(new), np.concatenate([below, high]).reshape(new)
