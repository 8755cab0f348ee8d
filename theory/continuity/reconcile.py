"""What a certified upper bound may say beside a lower bound of the same modulus: never less.

An upper bound is of the formula's exact values, a lower one is attained by float64 values.  Where
the two cross, the enclosures at the attaining pair decide: they hold the exact values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.bound import ModulusLowerBound, ModulusLowerCurve
from looprate.theory.continuity.transfer import pieces
from looprate.theory.enclosure.forms import evaluated
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.soundness import NotCertifiedError
from looprate.theory.gate import Contradiction
from looprate.theory.norms import p_norm
from looprate.theory.targets import Target
from looprate.theory.targets.base import ClosedForm

__all__ = ["beside_closed_form", "reconciled_at"]

Array = NDArray[np.float64]
ROUNDING, FLOOR = 1e-9, 1e-12  # of the lower bound, and of f's values: no more than rounding
NEARER = 1 - 1e-9  # pairs lie within their radius up to rounding: taken nearer, exactly within


def reconciled(
    f: Callable[[Any], Any], upper: float, pair: ModulusLowerBound, lower: float, parts: int = 1
) -> float:
    """Return an upper bound that is at least a lower one, or raise.

    Parameters
    ----------
    f : callable
        The function whose enclosures gave ``upper``.
    upper : float
        Of the exact values.
    pair : ModulusLowerBound
        Whose value, over ``parts`` by subadditivity, is the lower bound.
    lower : float
        Of float64 values.
    parts : int

    Returns
    -------
    float
        ``upper``; or ``lower`` where it is the larger by no more than rounding.

    Raises
    ------
    Contradiction
        If the exact values at the pair exceed ``upper``, too.
    NotCertifiedError
        If they need not: the float64 values are not those of the formula.
    """
    if not lower > upper:
        return upper
    told = f"{pair.kind} modulus at delta {pair.delta:g}, p = {pair.p:g}"
    proven, size = exact_difference_lower_bound(f, pair)
    if proven / parts * (1 - FLOOR) > upper:
        raise Contradiction(
            f"{told}: the certified upper bound {upper:.6g} is below {lower:.6g}, which follows "
            f"from the pair of inputs x = {pair.x.tolist()}, y = {pair.y.tolist()}"
        )
    if lower - upper <= ROUNDING * lower + FLOOR * size:
        return lower
    raise NotCertifiedError(
        f"not certified: {told}: the function's values in float64 differ by {lower:.6g} where "
        f"those of its formula, computed exactly, differ by at most {upper:.6g}: rounding moves "
        "them; write the formula so that it does not cancel"
    )


def reconciled_at(f: Callable[[Any], Any], upper: float, curve: ModulusLowerCurve, k: int) -> float:
    """Return :func:`reconciled` of an upper bound and entry k of a curve of lower bounds.

    Parameters
    ----------
    f, upper
        As there.
    curve : ModulusLowerCurve
    k : int
    """
    delta, source = float(curve.delta[k]), float(curve.sources[k])
    pair = curve.pairs[curve.delta.tolist().index(source)]
    parts = pieces(source, delta) if source > delta > 0 else 1
    return reconciled(f, upper, pair, float(curve.lower[k]), parts)


def exact_difference_lower_bound(
    f: Callable[[Any], Any], pair: ModulusLowerBound
) -> tuple[float, float]:
    """Return a lower bound of ‖f(x) - f(y)‖_p in exact arithmetic, and the largest |f| there.

    Parameters
    ----------
    f : callable
        Has enclosures.
    pair : ModulusLowerBound
        y is moved towards x until it lies within the radius exactly; 0.0 where it never does.
    """
    x, y = pair.x, pair.x + (pair.y - pair.x) * NEARER
    found = evaluated(f, Interval(np.stack([x, y])))
    size = float(np.maximum(np.abs(found.lo), np.abs(found.hi)).max())
    gaps = zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
    if sum((Fraction(a) - Fraction(b)) ** 2 for a, b in gaps) > Fraction(pair.delta) ** 2:
        return 0.0, size
    watched = slice(None) if pair.row is None else slice(pair.row, pair.row + 1)
    low, high = found.lo[:, watched], found.hi[:, watched]
    apart = np.maximum(np.maximum(low[0] - high[1], low[1] - high[0]), 0.0).ravel()
    norm = float(p_norm(apart, pair.p)) if np.isfinite(apart).all() else 0.0
    return norm * (1 - FLOOR), size if math.isfinite(size) else 0.0


def beside_closed_form(
    target: Target,
    form: ClosedForm,
    lower: float,
    certified: float | None,
    *,
    tokens: int,
    dim: int,
    told: str = "",
) -> float:
    """Return the best lower bound of a modulus with a closed form.

    Parameters
    ----------
    target : Target
    form : ClosedForm
    lower : float
        Attained by float64 values.
    certified : float or None
        Upper bound, if there is one.
    tokens, dim : int
        N and d.
    told : str
        Which modulus, where a message must say so.

    Raises
    ------
    Contradiction
        If the three cannot all be right, beyond rounding.
    """
    size = target.oscillation(tokens=tokens, dim=dim) or 1.0
    if exceeds(lower, form.value, size):
        raise Contradiction(
            f"the closed form of {target}{told} is {form.value:.6g}, below {lower:.6g}, which a "
            "pair of inputs attains"
        )
    exact = form.side == "exact"
    if exact and certified is not None and exceeds(form.value, certified, size):
        raise Contradiction(
            f"the certified upper bound of {target}{told} is {certified:.6g}, below the exact "
            f"closed form {form.value:.6g}"
        )
    return form.value if exact else min(lower, form.value)


def exceeds(lower: float, upper: float, size: float) -> bool:
    """Tell whether an attained value exceeds a proven one, by more than rounding at a size."""
    return lower > upper * (1 + ROUNDING) + FLOOR * size
