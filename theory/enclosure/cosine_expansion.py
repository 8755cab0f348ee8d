r"""Derivatives of means of cosine features of token pairs, by Taylor expansions about centres.

f(X)_n is the mean over m of h(x_n, x_m), h_e(u) = Σ_k A_ke cos(ω_k · u + φ_k).  With T_α the
derivative ∂^α h at the middle of a box with half sides r, s = u - middle and γ a multi-index,

    ∂_b h(u) = T_b + Σ_a T_(a+b) s_a + Σ_(2 <= |γ| <= q) T_(γ+b) s^γ/γ! + ρ,
    |ρ| <= Σ_k |A_k ω_kb| (|ω_k| · r)^(q+1) / (q+1)!,

as every derivative of a cosine is at most 1.  The third term is at most Σ |T_(γ+b)| r^γ/γ!; what
depends on x_n alone is added up over the partners before sizes are taken, for there much cancels.

How f bends is known in the same way.  A difference of cosines is a product of sines, and
|2 sin(t/2) - t + t^3/24| <= |t|^5/1920, so that with y = ω_k · v, c the middle of a pair u

    h(u + v/2) - h(u - v/2) = ∂h(u)[v] + ∂^3 h(u)[v, v, v]/24 + ρ,  |ρ_e| <= Σ_k |A_ke| |y|^5/1920,
    ∂^3_α h(u) = T_α + Σ_a T_(α+a) s_a + ρ',  |ρ'| <= Σ_k |A_k ω_k^α| (|ω_k| · r)^2/2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.bent import Bent
from looprate.theory.enclosure.expanded import Expanded
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import EPS, LIBM_ULPS, TINY

Array = NDArray[np.float64]
ORDER = 3  # q
SLACK = 2.0**-40  # of reaches, which need not be tight


def expanded_pair_cosines(
    box: Interval, own: Array, other: Array, phase: Array, weight: Array
) -> Expanded:
    """Return the expansion of :func:`looprate.theory.enclosure.cosines.pair_cosines`.

    Parameters
    ----------
    box : Interval of shape (B, N, d)
    own, other : ndarray of shape (d, F)
    phase : ndarray of shape (F,)
    weight : ndarray of shape (F, d)
    """
    batch, tokens, dim = box.shape
    reach, which = _reaches(box)
    waves = _Waves.of(box.middle(), own, other, phase)
    pair, same = _Terms(np.concatenate([own, other]), weight), _Terms(own + other, weight)
    shape = (batch, tokens, dim, tokens, dim)  # box, output token and entry, input token and entry
    start, loose, crude = np.zeros(shape), np.zeros(shape), np.zeros(shape[1:])
    turn = np.zeros((*shape, tokens, dim))
    for n in range(tokens):
        parts = same.at(*waves.pair(n, n))
        least = same.remainder(reach[:, n], waves.loose)
        crude[n, :, n] += same.size
        for m in (m for m in range(tokens) if m != n):
            found = pair.at(*waves.pair(n, m))
            both = np.concatenate([reach[:, n], reach[:, m]], 1)
            parts = [x + y[:, :, k] for x, y, k in zip(parts, found, pair.of_own, strict=True)]
            bent = pair.bent(found, both, which, apart=True)
            bent += pair.remainder(both, waves.loose)[which]
            loose[:, n, :, n] += bent[:, :, :dim]
            loose[:, n, :, m] += bent[:, :, dim:]
            crude[n, :, n] += pair.size[:, :dim]
            crude[n, :, m] += pair.size[:, dim:]
            start[:, n, :, m] = found[0][:, :, dim:]
            square = found[1][:, :, pair.second]
            turn[:, n, :, n, :, m] = square[:, :, :dim, dim:]
            turn[:, n, :, m, :, n] = square[:, :, dim:, :dim]
            turn[:, n, :, m, :, m] = square[:, :, dim:, dim:]
        start[:, n, :, n] = parts[0]
        turn[:, n, :, n, :, n] = parts[1][:, :, same.second]
        loose[:, n, :, n] += same.bent(parts, reach[:, n], which, apart=False) + least[which]
    return _assembled(start, turn, loose, crude)


def bent_pair_cosines(
    box: Interval, delta: float, own: Array, other: Array, phase: Array, weight: Array
) -> Bent:
    """Return how :func:`looprate.theory.enclosure.cosines.pair_cosines` bends within a radius.

    Parameters
    ----------
    box : Interval of shape (B, N, d)
        Of the middles.
    delta : float
    own, other, phase, weight
        As in :func:`expanded_pair_cosines`.
    """
    batch, tokens, dim = box.shape
    reach, which = _reaches(box)
    waves = _Waves.of(box.middle(), own, other, phase)
    pair, same = _Terms(np.concatenate([own, other]), weight), _Terms(own + other, weight)
    shape = (batch, tokens, dim, *(tokens, dim) * 3)
    third, loose, fourth = np.zeros(shape), np.zeros(shape), np.zeros((*shape, tokens, dim))
    for n, m in product(range(tokens), repeat=2):
        terms, places = (same, [n]) if n == m else (pair, [n, m])
        both = np.concatenate([reach[:, k] for k in places], 1)
        parts = terms.thirds(waves.pair(n, m), both, which, waves.loose)
        for whole, part in zip((third, fourth, loose), parts, strict=True):
            count = (whole.ndim - 3) // 2
            split = part.reshape(batch, dim, *(len(places), dim) * count)
            for at in product(range(len(places)), repeat=count):
                there = [x for k in at for x in (places[k], slice(None))]
                here = [x for k in at for x in (k, slice(None))]
                whole[(slice(None), n, slice(None), *there)] += split[(..., *here)]
    flat = (batch, tokens, dim, (tokens * dim) ** 3)
    first, rest = (np.moveaxis(x.reshape(flat), 3, 0) for x in (third, loose * (1 + SLACK)))
    second = np.moveaxis(fourth.reshape(*flat, -1), (3, 4), (0, 1))
    beyond = (same.beyond(delta) + (tokens - 1) * pair.beyond(delta)) * (1 + SLACK)
    bent = Bent(Expanded(first, second, rest), np.broadcast_to(beyond, (batch, tokens, dim)))
    return bent.over(Interval(float(tokens)))


def _assembled(start: Array, turn: Array, loose: Array, crude: Array) -> Expanded:
    """Return the mean of sums over partners; the size of all terms where that is less."""
    batch, tokens, dim = start.shape[:3]
    wide = ~(loose <= crude)
    start, loose = np.where(wide, 0.0, start), np.where(wide, crude, loose) * (1 + SLACK)
    turn = np.where(wide[..., None, None], 0.0, turn)
    count = tokens * dim
    first = np.moveaxis(start.reshape(batch, tokens, dim, count), 3, 0)
    rest = np.moveaxis(loose.reshape(batch, tokens, dim, count), 3, 0)
    second = np.moveaxis(turn.reshape(batch, tokens, dim, count, count), (3, 4), (0, 1))
    return Expanded(first, second, rest).over(Interval(float(tokens)))


def _reaches(box: Interval) -> tuple[Array, NDArray[np.intp]]:
    """Return the different half sides (U, N, d) of boxes, and which of them each box has."""
    reach = box.reach() * (1 + SLACK)
    some, which = np.unique(reach.reshape(len(reach), -1), axis=0, return_inverse=True)
    return some.reshape(-1, *reach.shape[1:]), which.reshape(-1)


@dataclass(frozen=True)
class _Waves:
    """Cosines and sines (B, N, F) of own angles and of the partner's, and how far sums are off."""

    own: tuple[Array, Array]
    other: tuple[Array, Array]
    loose: float

    @classmethod
    def of(cls, middle: Array, own: Array, other: Array, phase: Array) -> _Waves:
        """Return the waves at points (B, N, d)."""
        a, b = middle @ own + phase, middle @ other
        angle = 1 + float(np.abs(a).max(initial=0.0) + np.abs(b).max(initial=0.0))
        # of sums of F products, of cosines, of products of waves, and of angles of 2d terms
        loose = EPS * (len(phase) + 4 * LIBM_ULPS + 32 + (2 * len(own) + 4) * angle)
        return cls((np.cos(a), np.sin(a)), (np.cos(b), np.sin(b)), loose)

    def pair(self, n: int, m: int) -> tuple[Array, Array]:
        """Return cosine and sine (B, F) of the angles of a pair."""
        (ca, sa), (cb, sb) = self.own, self.other
        cosine = ca[:, n] * cb[:, m] - sa[:, n] * sb[:, m]
        return cosine, sa[:, n] * cb[:, m] + ca[:, n] * sb[:, m]


class _Terms:
    """All derivatives of Σ_k A_k cos(ω_k · u + φ_k), orders 1 to q + 1, u of D coordinates."""

    def __init__(self, omega: Array, weight: Array) -> None:
        self.omega, self.weight = omega, weight
        self.entries, self.dim = weight.shape[1], len(omega)
        self.indices = [_multi_indices(self.dim, order) for order in range(1, ORDER + 2)]
        self.factors = [self._factor(indices, weight) for indices in self.indices]
        self.sizes = np.abs(weight[:, :, None] * omega.T[:, None])  # (F, E, D)
        self.size = self.sizes.sum(0)
        self.second = _places(self.dim, 2)
        half = self.dim // 2  # of a pair: the derivatives along the own token
        self.of_own = [np.flatnonzero(~i[:, half:].any(1)) for i in self.indices]

    def _factor(self, indices: NDArray[np.intp], weight: Array) -> Array:
        """Return A_ke ω_k^α with its sign, (F, E * number of α)."""
        powers = np.prod(self.omega.T[:, None] ** indices, axis=2)  # (F, number)
        sign = -1.0 if indices[0].sum() % 4 in (1, 2) else 1.0
        return np.asarray((sign * weight[:, :, None] * powers[:, None]).reshape(len(weight), -1))

    def at(self, cosine: Array, sine: Array) -> list[Array]:
        """Return the derivatives of every order, (B, E, number)."""
        waves = (sine, cosine)
        return [
            (waves[k % 2] @ factor).reshape(len(cosine), self.entries, -1)
            for k, factor in enumerate(self.factors)
        ]

    def bent(
        self, found: list[Array], reach: Array, which: NDArray[np.intp], *, apart: bool
    ) -> Array:
        """Return Σ_γ |T_(γ+b)| r^γ/γ! of (B, E, D), reaches (U, D).

        ``apart`` leaves out what depends on the own token alone, in its own directions.
        """
        total = np.zeros((len(which), self.entries, self.dim))
        for indices, terms in zip(self.indices[2:], found[2:], strict=True):
            weights = _monomials(indices, reach)
            if apart:
                half = self.dim // 2
                alone = ~indices[:, half:].any(1)
                weights[:, alone, :half] = 0.0
            total += np.abs(terms) @ weights[which]
        return total

    def remainder(self, reach: Array, loose: float) -> Array:
        """Return bounds of ρ and of rounding for reaches (U, D), (U, E, D)."""
        turn = reach @ np.abs(self.omega) * (1 + SLACK)
        each = turn ** (ORDER + 1) / math.factorial(ORDER + 1) + 2 * loose * np.exp(turn)
        return np.asarray(np.tensordot(each, self.sizes, (1, 0))) * (1 + SLACK)

    def thirds(
        self, waves: tuple[Array, Array], reach: Array, which: NDArray[np.intp], loose: float
    ) -> tuple[Array, Array, Array]:
        """Return third and fourth derivatives (B, E, D^3 or D^4), and what the third are off by."""
        found = self.at(*waves)
        third, fourth = (_places(self.dim, order).ravel() for order in (3, 4))
        size = np.abs(self.factors[2]).reshape(-1, self.entries, len(self.indices[2]))
        turn = reach @ np.abs(self.omega) * (1 + SLACK)
        each = turn**2 / 2 + 2 * loose * np.exp(turn)  # roundings of fourth ones, too
        change = np.tensordot(each, size, (1, 0))[:, :, third][which]
        return found[2][:, :, third], found[3][:, :, fourth], change * (1 + SLACK)

    def beyond(self, delta: float) -> Array:
        """Return bounds (E,) of Σ_k |A_k| |ω_k · v|^5/1920, ‖v‖_2 <= δ.

        |ω·v|^5 <= |ω| δ (ω·v)^4, a quadratic form M in v ⊗ v, and ‖M‖ <= ‖M^4‖_F^(1/4).
        """
        length = np.sqrt((self.omega**2).sum(0))
        square = (self.omega[:, None] * self.omega).reshape(-1, len(length)).T  # (F, D^2)
        share = square / np.maximum(length, TINY)[:, None] ** 2
        form = share.T @ ((np.abs(self.weight) * length[:, None] ** 5).T[:, :, None] * share)
        size = np.sqrt((form**2).sum((1, 2)))
        fourth = form / np.maximum(size, TINY)[:, None, None]
        for _ in range(2):
            fourth = fourth @ fourth
        norm = size * (np.sqrt((fourth**2).sum((1, 2))) + SLACK) ** 0.25
        return np.asarray(norm * delta**5 / 1920 * (1 + SLACK))


@cache
def _places(dim: int, order: int) -> NDArray[np.intp]:
    """Return the places of sums of unit vectors among the multi-indices, dim, ..., dim."""
    eye, total = np.eye(dim, dtype=int), np.zeros((1,) * order + (dim,), dtype=int)
    for axis in range(order):
        total = total + eye.reshape(*(dim if k == axis else 1 for k in range(order)), -1)
    return np.asarray((total[..., None, :] == _multi_indices(dim, order)).all(-1).argmax(-1))


@cache
def _multi_indices(dim: int, order: int) -> NDArray[np.intp]:
    """Return the multi-indices of an order, (number, dim), unit vectors in their order."""
    if dim == 1:
        return np.array([[order]])
    parts = []
    for first in range(order, -1, -1):
        rest = _multi_indices(dim - 1, order - first)
        parts.append(np.concatenate([np.full((len(rest), 1), first), rest], 1))
    return np.concatenate(parts)


def _monomials(indices: NDArray[np.intp], reach: Array) -> Array:
    """Return r^γ/γ! for γ = α - e_b, 0 where α has none of b, (U, number of α, D)."""
    dim = indices.shape[1]
    less = indices[:, None] - np.eye(dim, dtype=int)  # (number, D, D)
    factorial = np.array([math.factorial(k) for k in range(ORDER + 2)], dtype=float)
    powers = reach[:, :, None] ** np.arange(ORDER + 2) / factorial  # (U, D, powers)
    product = np.ones((len(reach), len(indices), dim))
    for axis in range(dim):
        product *= powers[:, axis][:, less[:, :, axis].clip(0)]
    return np.where((less < 0).any(2), 0.0, product)
