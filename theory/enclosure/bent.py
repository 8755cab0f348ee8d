r"""How functions bend: what differences hold beyond J(c) D, for every middle c in a box.

A bent array of u over a box has third derivatives T(c), affine in c up to a remainder as
:mod:`looprate.theory.enclosure.expanded` has them, and entries ``beyond`` such that, for every c in
the box and every D, ‖D‖_2 <= δ, with c ± D/2 in the cube, some t in T(c) has

    |u(c + D/2) - u(c - D/2) - J(c) D - t[D, D, D]/24| <= beyond.

What is even in D cancels, so that a box of middles need not be larger by δ/2.  Sums and constant
factors keep it; a step that knows how it bends, such as
:mod:`looprate.theory.enclosure.cosine_expansion`, begins from the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.expanded import Expanded, Linear
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import up

__all__ = ["bent_variables"]

Array = NDArray[np.float64]


@final
class Bent(Linear):
    """Third derivatives, expanded, K^3 of them, and ``beyond`` of their shape S.

    ``inputs`` is the box (B, N, d) and ``delta`` the radius, where the array is the inputs.
    """

    __slots__ = ("beyond", "delta", "inputs", "third")

    def __init__(
        self, third: Expanded, beyond: Array, inputs: Interval | None = None, delta: float = 0.0
    ) -> None:
        self.third, self.beyond, self.inputs, self.delta = third, beyond, inputs, delta

    @property
    def shape(self) -> tuple[int, ...]:
        return self.third.shape

    def plus(self, other: Bent | Interval) -> Bent:
        if isinstance(other, Interval):
            third = self.third.plus(other)
            return Bent(third, np.broadcast_to(self.beyond, third.shape))
        return Bent(self.third.plus(other.third), up(self.beyond + other.beyond))

    def times(self, other: Bent | Interval) -> Bent:
        if isinstance(other, Bent):
            self._refused("a product")
        return Bent(self.third.times(other), up(self.beyond * other.magnitude))

    def reduce(self, how: str, axis: int, keepdims: bool) -> Bent:
        third = self.third.reduce(how, axis, keepdims)
        return Bent(third, Interval(self.beyond).reduce("sum", axis, keepdims).hi)

    def __neg__(self) -> Bent:
        return Bent(-self.third, self.beyond)

    def moved(self, move: Callable[[Any, int], Any]) -> Bent:
        return Bent(self.third.moved(move), move(self.beyond, 0))


def bent_variables(box: Interval, delta: float) -> Bent:
    """Return the inputs themselves, which do not bend.

    Parameters
    ----------
    box : Interval of shape (B, N, d)
        Of middles c, in the cube.
    delta : float
        The largest ‖D‖_2.
    """
    count = int(np.prod(box.shape[1:]))
    none = np.broadcast_to(0.0, (count**3, *box.shape))
    third = Expanded(none, np.broadcast_to(0.0, (count**3, count, *box.shape)), none)
    return Bent(third, np.zeros(box.shape), box, delta)
