r"""Softmax means, Σ_m A_m v_m with A = softmax(z), as one step with derivatives that cancel.

With E and Cov for the weights A, w_m = v_m - E[v], ζ_i = ∂_i z - E[∂_i z], ν_i = ∂_i v - E[∂_i v],

    ∂_i E[v]  = E[∂_i v + w ∂_i z],
    ∂_ij E[v] = E[∂_ij v + w ∂_ij z] + E[ν_i ζ_j + ν_j ζ_i + w ζ_i ζ_j],

because ∂_j E[g] = E[∂_j g] + Cov(g, ∂_j z).  A quotient of sums would lose all these differences.
Enclosed are: A_m in 1/Σ_k exp(z_k - z_m); means about a number, E[g] = g0 + Σ_m A_m (g_m - g0), as
the weights add up to 1; and g_m - E[g] = Σ_k A_k (g_m - g_k), whose term k = m is 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from looprate.theory.enclosure.curved import Curved, slope_products
from looprate.theory.enclosure.gains import Gain
from looprate.theory.enclosure.intervals import Interval, intersection
from looprate.theory.enclosure.jets import Jet

__all__ = ["softmax_mean"]


def softmax_mean(logits: Any, values: Any) -> Any:
    """Return Σ_m softmax_m(logits) values_m, the kind of enclosure that goes in.

    Parameters
    ----------
    logits : enclosure of shape (..., N, M)
    values : enclosure of shape (..., M, D), of the same kind

    Returns
    -------
    enclosure of shape (..., N, D)
    """
    if isinstance(logits, Interval):
        return _mean(_weights(logits), _rows(values))
    if isinstance(logits, Jet):
        return _jet(logits, values)
    if isinstance(logits, Curved):
        return _curved(logits, values)
    if isinstance(logits, Gain):
        return _gain(logits, values)
    raise TypeError(f"`logits` must be an enclosure, got {type(logits).__name__}")


def _weights(logits: Interval) -> Interval:
    """Return softmax over the last axis, with an axis for the entries of values: (..., N, M, 1)."""
    pairs = _expanded(logits, -2).plus(-_expanded(logits, -1)).exp()  # [m, k] = z_k - z_m
    others = pairs.moved(lambda ends, _: np.where(np.eye(ends.shape[-1]), 0.0, ends))
    total = others.reduce("sum", others.ndim - 1, keepdims=False).plus(Interval(1.0))
    return _expanded(Interval(1.0).over(total), -1)


def _rows(values: Interval) -> Interval:
    """Return values (..., M, D) as (..., 1, M, D), the same for every query."""
    return _expanded(values, -3)


def _mean(weights: Interval, parts: Interval) -> Interval:
    """Return E[g] of parts (..., N, M, D), within the hull of the parts."""
    near = weights.middle()
    about = (near * parts.middle()).sum(-2, keepdims=True) / near.sum(-2, keepdims=True)
    about = np.where(np.isfinite(about), about, 0.0)
    terms = weights.times(parts.plus(-Interval(about)))
    total = terms.reduce("sum", terms.ndim - 2, keepdims=False).plus(Interval(about.squeeze(-2)))
    shape = total.shape
    inside = Interval(
        np.broadcast_to(parts.lo.min(-2), shape), np.broadcast_to(parts.hi.max(-2), shape)
    )
    return intersection(total, inside)


def _centred(weights: Interval, parts: Interval) -> Interval:
    """Return g_m - E[g] for parts (..., M, D), one after the other: (..., N, M, D)."""
    count = parts.shape[-2]
    found = []
    for m in range(count):
        total = None
        for k in range(count):
            if k != m:
                gap = parts[..., m : m + 1, :].plus(-parts[..., k : k + 1, :])
                term = weights[..., k : k + 1, :].times(gap)
                total = term if total is None else total.plus(term)
        if total is None:  # one token: it is its own mean
            gap = parts[..., m : m + 1, :]
            total = Interval(np.zeros(np.broadcast_shapes(weights.shape, gap.shape)))
        found.append(total)
    return Interval(
        np.concatenate([part.lo for part in found], -2),
        np.concatenate([part.hi for part in found], -2),
    )


def _first(weights: Interval, away: Interval, z: Interval, v: Interval) -> Interval:
    """Return ∂ E[v]; z (K, ..., N, M), v (K, ..., 1, M, D), ``away`` w (..., N, M, D)."""
    near = weights.middle().squeeze(-1)
    about = (near * z.middle()).sum(-1, keepdims=True) / near.sum(-1, keepdims=True)
    about = np.where(np.isfinite(about), about, 0.0)
    tilted = away.times(_expanded(z.plus(-Interval(about)), -1))  # E[w] = 0
    return _mean(weights, v).plus(_sum(weights.times(tilted)))


def _sum(terms: Interval) -> Interval:
    """Return sums over m of (..., M, D)."""
    return terms.reduce("sum", terms.ndim - 2, keepdims=False)


def _jet(logits: Jet, values: Jet) -> Jet:
    """Return the mean of jets."""
    weights = _weights(logits.value)
    away = _centred(weights, _rows(values.value))
    value = _mean(weights, _rows(values.value))
    return Jet(value, _first(weights, away, logits.slope, _rows(values.slope)))


def _curved(logits: Curved, values: Curved) -> Curved:
    """Return the mean of curved arrays."""
    weights = _weights(logits.value)
    away = _centred(weights, _rows(values.value))
    value = _mean(weights, _rows(values.value))
    z, v = logits.jet.slope, values.jet.slope
    slope = _first(weights, away, z, _rows(v))
    i, j = np.triu_indices(z.shape[0])
    zeta = _centred(weights, _expanded(z, -1))  # (K, ..., N, M, 1)
    nu = _centred(weights, _rows(v))  # (K, ..., N, M, D)
    bent = _first(weights, away, logits.curvature, _rows(values.curvature))
    turned = nu.picked(i).times(zeta.picked(j)).plus(nu.picked(j).times(zeta.picked(i)))
    squares = slope_products(zeta.picked(i), zeta.picked(j), i == j)
    turned = turned.plus(away.times(squares))
    return Curved(Jet(value, slope), bent.plus(_sum(weights.times(turned))))


def _gain(logits: Gain, values: Gain) -> Gain:
    """Return the mean of gains: |Δ E[v]| <= Σ A_m (|Δ v_m| + |w_m| |Δ z_m|)."""
    weights = _weights(logits.value)
    away = _centred(weights, _rows(values.value))
    tilted = Interval(np.abs(away.magnitude)).times(_expanded(Interval(logits.gain), -1))
    moved = _mean(weights, _rows(Interval(values.gain)))
    total = moved.plus(_sum(weights.times(tilted)))
    return Gain(_mean(weights, _rows(values.value)), total.hi)


def _expanded(array: Interval, axis: int) -> Interval:
    """Return an array with an axis of length 1 put in."""
    return array.moved(lambda ends, _: np.expand_dims(ends, axis))
