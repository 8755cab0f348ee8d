"""The functions that are hard for every network of a size: bumps of free signs on distinct cells.

Their class, their norm and what they prove are in :mod:`looprate.theory.bounds.lower`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.bounds.rates import check_holder
from looprate.theory.notation import check_dim, check_p, check_tokens, positive_int

Array = NDArray[np.float64]
MOST_SIGNS = 10**7  # kept in memory


def box_count(grid: int, *, tokens: int, dim: int) -> int:
    """Return C(m^d, N), the number of boxes up to permutation."""
    return math.comb(positive_int(grid, "grid", "cells a side m") ** dim, tokens)


@final
@dataclass(frozen=True)
class Bumps:
    """f_σ: permutation-equivariant, ‖f(X) - f(Y)‖_p <= L ‖X - Y‖_2^s, a sign a box and entry.

    f(X)_{ν,i} = σ_{S,rank(ν),i} c dist_∞(X, ∂Q)^s, c = L 2^{-(1-s)} (Nd)^{-1/p}, where the tokens
    lie in N distinct cells S; 0 elsewhere.

    Attributes
    ----------
    signs : (C(m^d, N), N, d) ndarray of ±1
        σ; boxes in the order of the combinatorial number system of their cells, tokens in
        descending order of cells.
    grid : int
        Cells a side m.
    p : float
        Exponent of the norm, 1 <= p <= inf.
    lipschitz, holder : float
        L and s.
    """

    signs: NDArray[np.int8]
    grid: int
    p: float = 1.0
    lipschitz: float = 1.0
    holder: float = 1.0

    def __post_init__(self) -> None:
        check_p(self.p)
        check_holder(self.holder)
        if self.signs.ndim != 3:
            raise ValueError(f"`signs` must have shape (boxes, N, d), got {self.signs.shape}")
        _, n, d = self.signs.shape
        boxes = box_count(self.grid, tokens=n, dim=d)
        if len(self.signs) != boxes:
            raise ValueError(f"`signs` must be of {boxes} boxes, got {len(self.signs)}")
        if not bool((np.abs(self.signs) == 1).all()):
            raise ValueError("`signs` must be 1 or -1")

    @classmethod
    def random(
        cls,
        grid: int,
        *,
        tokens: int,
        dim: int,
        rng: np.random.Generator,
        p: float = 1.0,
        lipschitz: float = 1.0,
        holder: float = 1.0,
    ) -> Bumps:
        """Return bumps with independent fair signs."""
        n, d = check_tokens(tokens), check_dim(dim)
        boxes = box_count(grid, tokens=n, dim=d)
        if not 0 < boxes * n * d <= MOST_SIGNS:
            raise ValueError(
                f"`grid`={grid} has {boxes:,} boxes of {n * d} signs; needs at least 1 box "
                f"(m^d >= N) and at most {MOST_SIGNS:,} signs"
            )
        signs = rng.choice(np.array([-1, 1], dtype=np.int8), size=(boxes, n, d))
        return cls(signs, grid, p, lipschitz, holder)

    def __call__(self, x: Array) -> Array:
        """Return f(x), shape (B, N, d) -> (B, N, d)."""
        _, n, d = self.signs.shape
        scaled = np.clip(x, 0.0, 1.0) * self.grid
        cells = np.minimum(np.floor(scaled), self.grid - 1)
        offset = scaled - cells
        distance = np.minimum(offset, 1.0 - offset).min(axis=(1, 2)) / self.grid
        codes = (cells.astype(np.int64) * self.grid ** np.arange(d)).sum(axis=2)
        order = np.argsort(-codes, axis=1, kind="stable")
        descending = np.take_along_axis(codes, order, axis=1)
        distinct = (np.diff(descending, axis=1) < 0).all(axis=1)
        box = np.where(distinct, _combinatorial_number(descending), 0)
        signs = np.empty(x.shape)
        np.put_along_axis(signs, order[..., None], self.signs[box].astype(np.float64), axis=1)
        root = 1.0 if math.isinf(self.p) else float(n * d) ** (1.0 / self.p)
        height = self.lipschitz * 2.0 ** (self.holder - 1.0) / root * distance**self.holder
        return np.asarray(np.where(distinct, height, 0.0)[:, None, None] * signs)


def _combinatorial_number(descending: NDArray[np.int64]) -> NDArray[np.int64]:
    """Σ_j C(z_j, N-j), j from 0: a bijection of N distinct numbers below U onto 0..C(U,N)-1."""
    n = descending.shape[1]
    total = np.zeros(len(descending), dtype=np.int64)
    for j in range(n):
        take = n - j
        binomial = np.ones(len(descending), dtype=np.int64)
        for k in range(take):
            binomial = binomial * (descending[:, j] - k) // (k + 1)
        total += np.maximum(binomial, 0)
    return total
