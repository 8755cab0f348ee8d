"""Jets whose values are known from the centre of the box, not from one range after another.

Write X = c + hξ with half sides h and ξ in [-1, 1]^K.  A jet in the directions of ξ has slopes g
with u(X) = u(c) + g·ξ, so that |u(X) - u(c)| <= Σ_k |g_k|, the same sum for every box and whatever
the shape of u.  Ranges that follow a product of matrices by intervals grow with the sizes of its
weights; these do not, and what is multiplied by them later stays sharp.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.intervals import Interval, intersection
from looprate.theory.enclosure.jets import Jet, variables
from looprate.theory.enclosure.rounding import up_sum

LEAST_SIDE = 2.0**-400  # stands for sides of length 0, which no slope could be divided by


@dataclass(frozen=True)
class Centred:
    """The variables of boxes as jets in ξ, and their centres.

    Attributes
    ----------
    centre : Interval of shape (B, N, d)
    scaled : Jet
        X in the directions of ξ.
    half : ndarray of shape (N·d, B, 1, 1)
        h.
    """

    centre: Interval
    scaled: Jet
    half: NDArray[np.float64]

    @staticmethod
    def of(x: Any) -> Centred | None:
        """Return the variables of boxes so, None for anything else."""
        if not isinstance(x, Jet) or len(x.slope) != x.value[:1].size:
            return None
        unit = variables(x.value).slope
        if not ((unit.lo == x.slope.lo) & (unit.hi == x.slope.hi)).all():
            return None
        low, high = x.value.lo, x.value.hi
        if not (np.isfinite(low) & np.isfinite(high)).all():
            return None
        centre = np.clip(low / 2 + high / 2, low, high)
        half = np.maximum(up_sum(np.maximum(high - centre, centre - low)), LEAST_SIDE)
        half = half.reshape(len(half), -1).T[:, :, None, None]
        return Centred(Interval(centre), Jet(x.value, x.slope.times(Interval(half))), half)

    def unscaled(self, jet: Any) -> Any:
        """Return a jet of shape (B, N, d) in the directions of X again."""
        return Jet(jet.value, jet.slope.over(Interval(self.half))) if isinstance(jet, Jet) else jet


def tightened(jet: Any, centre: Any) -> Any:
    """Return a jet in ξ with what its value at the centre and its slopes say of its values.

    Parameters
    ----------
    jet : Jet, or a list of jets
        Anything else is returned as it is.
    centre : Interval, or a list of intervals
        The values at ξ = 0.
    """
    if isinstance(jet, list):
        return [tightened(*pair) for pair in zip(jet, centre, strict=True)]
    if not isinstance(jet, Jet):
        return jet
    reach = np.zeros(jet.shape)
    for size in jet.slope.magnitude:
        reach = up_sum(reach + size)
    return Jet(intersection(jet.value, centre.plus(Interval(-reach, reach))), jet.slope)
