"""Sets of cells of a grid on the cube, asked many times whether boxes meet them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Whole = NDArray[np.int32]


@dataclass(frozen=True)
class Places:
    """A set of cells of a grid on [0,1]^K, a power of 2 steps a side.

    Attributes
    ----------
    below : int array of shape (G + 1, ..., G + 1)
        How many cells of the set lie below each corner in every coordinate.
    """

    below: Whole

    @classmethod
    def of(cls, low: Array, high: Array, steps: int) -> Places:
        """Return the cells that boxes (B, K) overlap; a face in common is not enough."""
        mask = np.zeros((steps,) * low.shape[1], dtype=np.int32)
        first, last = _covered(low, high, steps)
        for a, b in zip(first, last, strict=True):
            mask[tuple(slice(i, j + 1) for i, j in zip(a, b, strict=True))] = 1
        return cls._counted(mask)

    @classmethod
    def _counted(cls, mask: Whole) -> Places:
        """Return the set from a grid of 0 and 1."""
        below = np.pad(mask, [(1, 0)] * mask.ndim)
        for axis in range(mask.ndim):
            below = below.cumsum(axis, dtype=np.int32)
        return cls(below)

    @property
    def share(self) -> float:
        """The share of the cube that the set fills."""
        return float(self.below[(-1,) * self.below.ndim] / (self.below.shape[0] - 1) ** self.ndim)

    @property
    def ndim(self) -> int:
        """K."""
        return self.below.ndim

    def permuted(self, tokens: tuple[int, ...], dim: int) -> Places:
        """Return the union of the sets that permutations of some tokens make of this one.

        Parameters
        ----------
        tokens : tuple of int
            The tokens that change places.
        dim : int
            d, coordinates of a token.
        """
        mask = self.below
        for axis in range(self.ndim):
            mask = np.diff(mask, axis=axis)
        total = np.zeros_like(mask)
        for order in permutations(tokens):
            place = list(range(self.ndim // dim))
            for k, token in zip(tokens, order, strict=True):
                place[k] = token
            total |= mask.transpose([token * dim + k for token in place for k in range(dim)])
        return Places._counted(total)

    def meet(self, low: Array, high: Array) -> NDArray[np.bool_]:
        """Tell which boxes (B, K) overlap the set; of a box without width, where it lies."""
        first, last = _covered(low, high, self.below.shape[0] - 1)
        ends = (first, last + 1)
        total = np.zeros(len(low), dtype=np.int64)
        for choice in product((0, 1), repeat=self.ndim):
            corner = tuple(ends[end][:, axis] for axis, end in enumerate(choice))
            total += (-1) ** (self.ndim - sum(choice)) * self.below[corner]
        return total > 0


def _covered(low: Array, high: Array, steps: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the first and the last cell that boxes overlap."""
    first = np.clip(np.floor(low * steps).astype(np.intp), 0, steps - 1)
    last = np.clip(np.ceil(high * steps).astype(np.intp) - 1, first, steps - 1)
    return first, last
