r"""Derivatives over boxes as affine functions of the input, up to a remainder.

An expanded array of u over a box with middle c has, for every X in the box,

    ∂_k u(X) = start_k + Σ_i turn_ki (X - c)_i + ρ,   |ρ| <= loose_k,

which sums and constant factors keep.  Everything else is refused, and callers fall back on
:mod:`looprate.theory.enclosure.curved`; a step that knows an expansion of its own, such as
:mod:`looprate.theory.enclosure.cosine_expansion`, begins from the box of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, Self, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.intervals import Interval, lifted
from looprate.theory.enclosure.rounding import EPS, TINY

__all__ = ["expanded_variables"]

Array = NDArray[np.float64]


class Linear(EnclosureArray):
    """Base of arrays that sums and constant factors keep; everything else is refused."""

    __slots__ = ()

    def operand(self, value: Any) -> Any:
        """Return numbers as intervals."""
        return value if isinstance(value, type(self) | Interval) else Interval(value)

    def over(self, other: Any) -> Self:
        if isinstance(other, Linear):
            self._refused("a quotient")
        return self.times(Interval(1.0).over(other))

    def power(self, exponent: float) -> Self:
        self._refused("a power")

    def maximum(self, other: Any) -> Self:
        self._refused("a maximum")

    def entrywise(self, function: Callable[[Any], Any]) -> Self:
        self._refused("a function of entries")

    def known(self, low: float, high: float) -> Self:
        return self  # values say nothing of derivatives

    def middle(self) -> Array:
        self._refused("a value")

    def _refused(self, what: str) -> NoReturn:
        raise TypeError(f"{what} has no expansion here")


@final
class Expanded(Linear):
    """Start and loose of shape ``(K, *S)``, turn of shape ``(K, K, *S)``, the box in [0,1]^K.

    ``inputs`` is the box (B, N, d), where the array is the inputs themselves.
    """

    __slots__ = ("inputs", "loose", "start", "turn")

    def __init__(
        self, start: Array, turn: Array, loose: Array, inputs: Interval | None = None
    ) -> None:
        self.start, self.turn, self.loose, self.inputs = start, turn, loose, inputs

    @property
    def shape(self) -> tuple[int, ...]:
        return self.start.shape[1:]

    def plus(self, other: Expanded | Interval) -> Expanded:
        shape = np.broadcast_shapes(self.shape, other.shape)
        start, turn, loose = self._spread(shape)
        if isinstance(other, Expanded):
            theirs = other._spread(shape)
            start, turn, loose = (a + b for a, b in zip((start, turn, loose), theirs, strict=True))
        return _rounded(start, turn, loose)

    def times(self, other: Expanded | Interval) -> Expanded:
        if isinstance(other, Expanded):
            self._refused("a product")
        shape = np.broadcast_shapes(self.shape, other.shape)
        start, turn, loose = self._spread(shape)
        factor = other.middle()
        size = np.abs(start) + np.abs(turn).sum(1)
        loose = loose * other.magnitude + size * np.maximum(other.hi - factor, factor - other.lo)
        return _rounded(start * factor, turn * factor, loose)

    def reduce(self, how: str, axis: int, keepdims: bool) -> Expanded:
        if how != "sum":
            self._refused("a maximum")
        count = self.shape[axis]
        start, loose = (x.sum(axis + 1, keepdims=keepdims) for x in (self.start, self.loose))
        size = (np.abs(self.start) + np.abs(self.turn).sum(1)).sum(axis + 1, keepdims=keepdims)
        turn = self.turn.sum(axis + 2, keepdims=keepdims)
        return _rounded(start, turn, loose * (1 + count * EPS) + count * EPS * size)

    def __neg__(self) -> Expanded:
        return Expanded(-self.start, -self.turn, self.loose)

    def moved(self, move: Callable[[Any, int], Any]) -> Expanded:
        return Expanded(move(self.start, 1), move(self.turn, 2), move(self.loose, 1))

    def _spread(self, shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
        """Return the parts for an array of a larger shape."""
        parts = (self.start, self.turn.reshape(-1, *self.shape), self.loose)
        start, turn, loose = (
            np.broadcast_to(lifted(part, len(shape)), (len(part), *shape)) for part in parts
        )
        return start, turn.reshape(*self.turn.shape[:2], *shape), loose


def _rounded(start: Array, turn: Array, loose: Array) -> Expanded:
    """Return an array with room for the rounding of its parts; sides of boxes are at most 1."""
    slack = 4 * EPS * (np.abs(start) + np.abs(turn).sum(1)) + TINY
    return Expanded(start, turn, loose * (1 + 4 * EPS) + slack)


def expanded_variables(box: Interval) -> Expanded:
    """Return the inputs themselves: their derivatives are constants.

    Parameters
    ----------
    box : Interval of shape (B, N, d)
        In the cube.
    """
    batch, *entry = box.shape
    count = int(np.prod(entry))
    eye = np.eye(count).reshape(count, 1, *entry)
    start = np.broadcast_to(eye, (count, batch, *entry))
    turn = np.broadcast_to(0.0, (count, *start.shape))
    return Expanded(start, turn, np.zeros_like(start), box)
