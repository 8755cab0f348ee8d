"""A random smooth target: a mean over tokens of a Matérn field in the pair (x_n, x_m)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.cosines import pair_cosines
from looprate.theory.enclosure.namespace import ArrayNamespace
from looprate.theory.notation import Kind
from looprate.theory.targets.base import ClosedForm, Smoothness, Target, entry_count
from looprate.theory.targets.context import lipschitz_bound
from looprate.theory.targets.parameters import latex_factor, parameter

ROUNDING = 1e-12  # rounding of norms and sums, added to the upper side


class Features(NamedTuple):
    """Random Fourier features of one field, float64 and read-only; K = number of features."""

    own: NDArray[np.float64]  # (d, K) frequencies of x_n
    other: NDArray[np.float64]  # (d, K) frequencies of x_m
    phase: NDArray[np.float64]  # (K,)
    weight: NDArray[np.float64]  # (K, d), with the factor √(2/K)


@lru_cache(maxsize=64)
def _draw(smoothness: float, length: float, features: int, seed: int, dim: int) -> Features:
    """Draw the features: Student-t frequencies with 2ν degrees of freedom over the length."""
    rng = np.random.default_rng((seed, dim))
    normal = rng.standard_normal((2 * dim, features))
    chi = rng.chisquare(2 * smoothness, features)
    omega = normal * np.sqrt(2 * smoothness / chi) / length
    phase = rng.uniform(0, 2 * math.pi, features)
    weight = rng.standard_normal((features, dim)) * math.sqrt(2 / features)
    drawn = Features(omega[:dim].copy(), omega[dim:].copy(), phase, weight)
    for array in drawn:
        array.setflags(write=False)
    return drawn


def _slope(weight: NDArray[np.float64], frequencies: NDArray[np.float64]) -> float:
    """Bound ‖A^T diag(s) Ω‖_2 over |s| <= 1: spectral norms, or the sum over features."""
    spectral = np.linalg.norm(weight, 2) * np.linalg.norm(frequencies, 2)
    summed = (np.linalg.norm(weight, axis=1) * np.linalg.norm(frequencies, axis=0)).sum()
    return float(min(spectral, summed)) * (1 + ROUNDING)


@final
@dataclass(frozen=True)
class SmoothField(Target):
    """f(X)_n = scale mean_m h(x_n, x_m), h_i(x,y) = √(2/K) Σ_k A_ki cos(ω_k·[x;y] + φ_k).

    The frequencies have the spectral density of a Matérn field of unit variance, smoothness ν and
    the given length; weights and frequencies come from (seed, d).
    """

    key: ClassVar[str] = "smooth-field"
    summary: ClassVar[str] = "a random Matérn field of token pairs, averaged over the partner"
    nu: float = parameter(1.5, "Matérn smoothness ν", low=0, above=True)
    length: float = parameter(0.3, "correlation length", low=0, above=True)
    features: int = parameter(64, "number of random features K", integer=True, low=1)
    seed: int = parameter(0, "seed of the draw", integer=True, low=0)
    scale: float = parameter(1.0, "factor")
    smoothness = Smoothness(1.0, "Lipschitz", "finitely many features are smooth, whatever ν")

    def _features(self, dim: int) -> Features:
        return _draw(self.nu, self.length, self.features, self.seed, dim)

    def _evaluate(self, x: Any, xp: Any) -> Any:
        if isinstance(xp, ArrayNamespace):  # enclosures: one step keeps what cancels
            return self.scale * pair_cosines(x, *self._features(x.shape[2]))
        # cos(a + b) = cos a cos b - sin a sin b, so the mean over m is taken once: O(N), not O(N²)
        own, other, phase, weight = (self._like(x, xp, part) for part in self._features(x.shape[2]))
        a, b = x @ own + phase, x @ other  # (B, N, K)
        mean_cos = xp.cos(b).mean(1, keepdims=True)  # (B, 1, K)
        mean_sin = xp.sin(b).mean(1, keepdims=True)
        return self.scale * ((xp.cos(a) * mean_cos - xp.sin(a) * mean_sin) @ weight)

    @staticmethod
    def _like(x: Any, xp: Any, part: NDArray[np.float64]) -> Any:
        """Return ``part`` as an array of the dtype and device of ``x``."""
        if not hasattr(xp, "tensor"):  # NumPy, and arrays that take NumPy's as constants
            return part.astype(x.dtype, copy=False)
        return xp.tensor(part, dtype=x.dtype, device=x.device)

    def _closed_form(self, delta: float, kind: Kind, tokens: int, dim: int, p: float) -> ClosedForm:
        """Return the Jacobian bound.

        With slopes L_x, L_y of h in its two arguments: token L_x + L_y/N, contextual
        L_y √(N-1)/N, sequence L_x + L_y (the mean over tokens is a projection).
        """
        drawn = self._features(dim)
        own, other = _slope(drawn.weight, drawn.own), _slope(drawn.weight, drawn.other)
        constant = {
            "token": own + other / tokens,
            "contextual": other * math.sqrt(tokens - 1) / tokens,
            "sequence": own + other,
        }[kind]
        count = entry_count(kind, tokens, dim)
        value = lipschitz_bound(constant, constant, self._span(dim), count, delta, p)
        return ClosedForm(abs(self.scale) * value, "upper", "Jacobian")

    def _span(self, dim: int) -> float:
        """Return twice the largest amplitude sum of a coordinate, at scale 1."""
        return 2 * float(np.abs(self._features(dim).weight).sum(0).max()) * (1 + ROUNDING)

    def _oscillation(self, tokens: int, dim: int) -> float:
        return abs(self.scale) * self._span(dim)

    @property
    def latex(self) -> str:
        scale = latex_factor(self.scale)
        return (
            rf"f(X)_n = {scale}\frac{{1}}{{N}}\sum_m \sqrt{{2/K}}\sum_k "
            r"A_k \cos(\omega_k\cdot[x_n; x_m] + \varphi_k)"
        )
