"""The input that the page looks at, on the lattice on which every network is exact."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.figures.explorer.setting import Setting
from looprate.theory.construction.build.labels import cell_points
from looprate.theory.construction.build.spec import SHARPNESS, ConstructionSpec

DIGITS = 3  # of a coordinate that a hand has chosen


@dataclass(frozen=True)
class Place:
    """One input, ``numbers`` / ``slope``: no multiple of 1/M lies inside a transition strip.

    Attributes
    ----------
    numbers : tuple of int
        N times d, token by token.
    slope : int
        M of the constructed network.
    tokens, dim : int
    """

    numbers: tuple[int, ...]
    slope: int
    tokens: int
    dim: int

    @property
    def array(self) -> NDArray[np.int64]:
        """The numbers as (N, d)."""
        return np.array(self.numbers, dtype=np.int64).reshape(self.tokens, self.dim)

    @property
    def floats(self) -> list[float]:
        """The coordinates, token by token."""
        return [number / self.slope for number in self.numbers]

    @property
    def fractions(self) -> list[list[Fraction]]:
        """The coordinates exactly, N lists of d."""
        return [[Fraction(int(x), self.slope) for x in token] for token in self.array]

    def over(self, columns: dict[int, NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return this input with some coordinates replaced by B numbers each, (B, N, d)."""
        count = max(len(column) for column in columns.values())
        flat = np.tile(np.array(self.numbers, dtype=np.int64), (count, 1))
        for k, column in columns.items():
            flat[:, k] = column
        return flat.reshape(count, self.tokens, self.dim)


def place_of(setting: Setting) -> Place:
    """Return the input of a setting: what it names, and the rest in different cells."""
    try:
        slope, numbers = setting.spec.slope, _usual(setting.spec)
    except ValueError:  # fewer cells than tokens: f is drawn all the same
        slope, count = SHARPNESS * setting.grid, setting.tokens * setting.dim
        numbers = [round((count - k - 0.5) / count * slope) for k in range(count)]
    for k, value in enumerate(setting.given):
        numbers[k] = round(value * slope)
    return Place(tuple(numbers), slope, setting.tokens, setting.dim)


def _usual(spec: ConstructionSpec) -> list[int]:
    """Return an input whose tokens lie in different cells, if they can, away from borders."""
    cells = [spec.cells - 1 - n * spec.cells // spec.tokens for n in range(spec.tokens)]
    return [int(x) for x in cell_points(np.array([cells]), spec).ravel()]


def written(values: Any) -> str:
    """Return coordinates as a setting's ``point`` holds them."""
    return ",".join(f"{round(value, DIGITS):g}" for value in values)
