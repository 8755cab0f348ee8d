r"""Means over partners of cosine features of token pairs, as one step with its derivatives.

h_e(u) = Σ_k A_ke cos(ω_k · u + φ_k) for a pair u = (x_n, x_m), and f(X)_n the mean of h over m.
Derivatives are sums over features whose terms largely cancel, which intervals lose: on a box of
half sides r around c, the derivative of order j is enclosed by its Taylor expansion of order two,

    T_j(c) ± (|T_{j+1}(c)| r + ½ Σ_k |A_k ω_k^(j)| (|ω_k| · r)²),

because every derivative of a cosine is at most 1, and by the sum of the ranges of its terms.
Numbers at c are computed in float64 and widened by what their roundings can come to.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.bent import Bent
from looprate.theory.enclosure.cosine_expansion import bent_pair_cosines, expanded_pair_cosines
from looprate.theory.enclosure.curved import Curved
from looprate.theory.enclosure.expanded import Expanded
from looprate.theory.enclosure.gains import Gain
from looprate.theory.enclosure.intervals import Interval, added
from looprate.theory.enclosure.jets import Jet
from looprate.theory.enclosure.rounding import EPS, LIBM_ULPS

__all__ = ["pair_cosines"]

Array = NDArray[np.float64]
SLACK = 2.0**-40  # of reaches, which need not be tight


def pair_cosines(x: Any, own: Array, other: Array, phase: Array, weight: Array) -> Any:
    """Return the mean over m of Σ_k weight_k cos(own_k · x_n + other_k · x_m + phase_k).

    Parameters
    ----------
    x : enclosure of shape (B, N, d)
    own, other : ndarray of shape (d, F)
    phase : ndarray of shape (F,)
    weight : ndarray of shape (F, d)

    Returns
    -------
    enclosure of shape (B, N, d), of the same kind
    """
    if isinstance(x, Expanded | Bent):
        if x.inputs is None:
            raise TypeError("only the inputs themselves have an expansion here")
        if isinstance(x, Bent):
            return bent_pair_cosines(x.inputs, x.delta, own, other, phase, weight)
        return expanded_pair_cosines(x.inputs, own, other, phase, weight)
    box = x if isinstance(x, Interval) else x.value
    features = _Features(box, np.concatenate([own, other]), phase, weight)
    value = _mean(features.derivative(()))
    if isinstance(x, Interval):
        return value
    if isinstance(x, Gain):
        moves = [Interval(_pair(x.gain, a)) for a in range(2 * len(own))]
        sizes = [Interval(features.derivative((a,)).magnitude) for a in range(2 * len(own))]
        terms = [size.times(move) for size, move in zip(sizes, moves, strict=True)]
        return Gain(value, _mean(added(terms)).hi)
    slopes = x.slope if isinstance(x, Jet) else x.jet.slope
    parts = [_pair(slopes, a) for a in range(2 * len(own))]
    slope = added([part.times(features.derivative((a,))) for a, part in enumerate(parts)])
    jet = Jet(value, _mean(slope))
    if isinstance(x, Jet):
        return jet
    i, j = np.triu_indices(slopes.shape[0])
    terms = []
    for a, part in enumerate(parts):
        bent = _pair(x.curvature, a)
        if bent.lo.any() or bent.hi.any():
            terms.append(bent.times(features.derivative((a,))))
        for b in range(a, len(parts)):
            square = part.picked(i).times(parts[b].picked(j))
            if a != b:
                square = square.plus(part.picked(j).times(parts[b].picked(i)))
            terms.append(square.times(features.derivative((a, b))))
    return Curved(jet, _mean(added(terms)))


class _Features:
    """The features on boxes of pairs: half sides, angles, and derivatives of every order."""

    def __init__(self, box: Interval, omega: Array, phase: Array, weight: Array) -> None:
        self.omega, self.weight = omega, weight
        middle = box.middle()
        self.reach = _pairs(box.reach() * (1 + SLACK))  # (B, N, N, 2d)
        self.angle = _pairs(middle) @ omega + phase  # (B, N, N, F)
        self.waves = np.cos(self.angle), np.sin(self.angle)
        self.turn = self.reach @ np.abs(omega) * (1 + SLACK)
        self.bent = self.turn**2 / 2
        # what a wave changes by: at most by its slope and half the square, never by more than 2
        self.near = [np.minimum(np.abs(w) * self.turn + self.bent, 2.0) for w in self.waves]
        # roundings of a sum of F products, of a cosine, and of its angle, each at most EPS/2
        angle = 1 + float(np.abs(self.angle).max(initial=0.0))
        self.loose = EPS * (len(phase) + LIBM_ULPS + 4 + (len(omega) + 2) * angle)

    def derivative(self, axes: tuple[int, ...]) -> Interval:
        """Return the derivative along axes of the pair, shape (B, N, N, d)."""
        order = len(axes)
        weight = self.weight * self.omega[list(axes)].prod(0)[:, None]  # (F, d)
        size = np.abs(weight)
        centre = self.waves[order % 2] @ (weight if order % 4 in (0, 3) else -weight)
        slack = self.loose * size.sum(0)
        slopes = self.waves[1 - order % 2]
        reach = sum(
            np.abs(slopes @ (weight * self.omega[a][:, None])) * self.reach[..., a : a + 1]
            for a in range(len(self.omega))
        )
        reach = reach + (self.turn @ size) * self.loose + self.bent @ size
        reach = np.minimum(reach, self.near[1 - order % 2] @ size + slack)
        reach = (reach + slack) * (1 + SLACK)
        return Interval(centre - reach, centre + reach)


def _pairs(array: Array) -> Array:
    """Return (B, N, d) as pairs (B, N, N, 2d): own token first, partner second."""
    batch, tokens, dim = array.shape
    shape = (batch, tokens, tokens, dim)
    own = np.broadcast_to(array[:, :, None], shape)
    return np.concatenate([own, np.broadcast_to(array[:, None], shape)], -1)


def _pair(array: Any, a: int) -> Any:
    """Return entry a of the pairs of arrays (..., B, N, d): (..., B, N or 1, N or 1, 1)."""
    dim = array.shape[-1]
    if a < dim:
        return array[..., :, None, a : a + 1]
    return array[..., None, :, a - dim : a - dim + 1]


def _mean(parts: Interval) -> Interval:
    """Return means over partners of (..., B, N, N, d)."""
    total = parts.reduce("sum", parts.ndim - 2, keepdims=False)
    return total.over(Interval(float(parts.shape[-2])))
