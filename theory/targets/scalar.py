"""Scalar maps on [0,1], their moduli, and suprema over coordinates that share one radius.

A scalar modulus g here is concave, non-decreasing, g(0) = 0, constant from ``limit`` on.  Then
v -> g(√v)² is concave, because its derivative g(s)/s · g'(s), s = √v, is a product of two
non-negative non-increasing factors.  That is why equal spread is optimal for p <= 2.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from looprate.theory.norms import p_norm
from looprate.theory.targets.base import LIPSCHITZ, ClosedForm, Smoothness
from looprate.theory.targets.parameters import format_number

GOLDEN = (math.sqrt(5) - 1) / 2
GRID = 256  # brackets the maximiser on the arc before the golden section
GOLDEN_STEPS = 80  # 0.618^80 < 1e-16


class ScalarModulus(ABC):
    """A concave non-decreasing g with g(0) = 0, constant beyond ``limit``."""

    limit: float

    @abstractmethod
    def __call__(self, u: float) -> float:
        """Return g(u)."""

    @abstractmethod
    def stretched(self, length: float) -> ScalarModulus:
        """Return v -> g(v / length)."""


@final
@dataclass(frozen=True)
class PowerModulus(ScalarModulus):
    """g(u) = height * min(u, limit)^exponent, 0 < exponent <= 1."""

    exponent: float
    limit: float = 1.0
    height: float = 1.0

    def __call__(self, u: float) -> float:
        return float(self.height * min(u, self.limit) ** self.exponent)

    def stretched(self, length: float) -> PowerModulus:
        factor = self.height * length**-self.exponent
        return PowerModulus(self.exponent, self.limit * length, factor)


@final
@dataclass(frozen=True)
class ConcaveModulus(ScalarModulus):
    """g(u) = function(min(u, limit)) for a concave non-decreasing function."""

    function: Callable[[float], float]
    limit: float

    def __call__(self, u: float) -> float:
        return self.function(min(u, self.limit))

    def stretched(self, length: float) -> ConcaveModulus:
        return ConcaveModulus(lambda v: self.function(v / length), self.limit * length)


def of_one_output(at_two: float, at_inf: float, count: int, p: float) -> ClosedForm:
    """Return what is known of ``count`` entries at p > 2: exactly at inf, interpolated before."""
    if math.isinf(p):
        return ClosedForm(at_inf, "exact", "one output entry")
    value = min(interpolated(at_two, at_inf, p), count ** (1 / p) * at_inf)
    return ClosedForm(value, "upper", "interpolation of p=2 and p=inf")


def interpolated(at_two: float, at_inf: float, p: float) -> float:
    """Return the upper bound ‖y‖_p <= ‖y‖_inf^{1-2/p} ‖y‖_2^{2/p} for 2 < p < inf."""
    return float(at_inf ** (1 - 2 / p) * at_two ** (2 / p))


def separable_supremum(g: ScalarModulus, width: int, t: float, p: float) -> ClosedForm:
    """Return sup ‖(g(u_1), ..., g(u_D))‖_p over u >= 0 with ‖u‖_2 <= t.

    Exact for p <= 2 (equal spread), p = inf (one coordinate), and for powers at every p (v ->
    min(v, R²)^{ap/2} is concave for ap <= 2, else convex up to R², so coordinates are filled one
    after another).  Otherwise an upper bound by interpolation between p = 2 and p = inf.

    Parameters
    ----------
    g : ScalarModulus
    width : int
        D, the number of coordinates.
    t : float
        Euclidean radius shared by the coordinates.
    p : float
        Exponent of the norm, 1 <= p <= inf.
    """
    if math.isinf(p):
        return ClosedForm(g(t), "exact", "one coordinate")
    power = isinstance(g, PowerModulus)
    exponent = g.exponent if isinstance(g, PowerModulus) else 1.0
    if p <= 2 or (power and exponent * p <= 2):
        return ClosedForm(width ** (1 / p) * g(t / math.sqrt(width)), "exact", "equal spread")
    if power:
        full, rest = _filled(width, t / g.limit)
        value = p_norm([g(g.limit), g(rest * g.limit)], p, weights=[full, full < width])
        return ClosedForm(float(value), "exact", "coordinates filled in turn")
    at_two = separable_supremum(g, width, t, 2.0).value
    return of_one_output(at_two, g(t), width, p)


def _filled(width: int, t: float) -> tuple[int, float]:
    """Return how many of ``width`` coordinates reach 1 at the radius t, and what is left."""
    if t < 1:
        return 0, t
    full = width if t >= math.sqrt(width) else min(int(t * t), width)
    edge = math.sqrt(full)
    return full, math.sqrt(max((t - edge) * (t + edge), 0.0)) if full < width else 0.0


def arc_supremum(function: Callable[[float, float], float], radius: float) -> float:
    """Return max of function(u, s) over the quarter circle u² + s² = radius², u, s >= 0.

    Grid, then golden section around the best point: for a function unimodal on the arc the result
    is the maximum to rounding.
    """

    def value(angle: float) -> float:
        return function(radius * math.cos(angle), radius * math.sin(angle))

    step = math.pi / 2 / GRID
    best = max(range(GRID + 1), key=lambda k: value(k * step))
    low, high = max(best - 1, 0) * step, min(best + 1, GRID) * step
    for _ in range(GOLDEN_STEPS):
        left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        if value(left) < value(right):
            low = left
        else:
            high = right
    corners = function(radius, 0.0), function(0.0, radius)
    return max(value(best * step), value((low + high) / 2), *corners)


class ScalarMap(ABC):
    """A function h on [0,1] that is applied to every entry."""

    @abstractmethod
    def evaluate(self, x: Any, xp: Any) -> Any:
        """Return h of every entry."""

    @property
    @abstractmethod
    def scalar_modulus(self) -> ScalarModulus:
        """The modulus of continuity of h on [0,1], attained at every radius."""

    @property
    @abstractmethod
    def oscillation(self) -> float:
        """max h - min h on [0,1]."""

    @property
    @abstractmethod
    def smoothness(self) -> Smoothness:
        """The exponent of the scalar modulus."""

    @abstractmethod
    def latex(self, argument: str) -> str:
        """Return h(argument) in LaTeX."""


@final
@dataclass(frozen=True)
class PowerMap(ScalarMap):
    """h(x) = |x - center|^alpha; alpha = 1, center = 0 is the identity."""

    alpha: float
    center: float

    def evaluate(self, x: Any, xp: Any) -> Any:
        if self.alpha == 1 and self.center == 0:
            return x  # the identity, also outside the cube
        distance = xp.abs(x - self.center)
        return distance if self.alpha == 1 else distance**self.alpha

    @property
    def _reach(self) -> float:
        """R, the largest distance from the centre."""
        return max(self.center, 1 - self.center)

    @property
    def scalar_modulus(self) -> ScalarModulus:
        """min(u, R)^α, or R^α - (R - min(u, R))^α for α > 1."""
        reach, alpha = self._reach, self.alpha
        if alpha <= 1:
            return PowerModulus(alpha, reach)
        # R^α (1 - (1 - u/R)^α) without the cancellation at small u
        return ConcaveModulus(
            lambda u: (
                -(reach**alpha) * math.expm1(alpha * math.log1p(-u / reach))
                if u < reach
                else reach**alpha
            ),
            reach,
        )

    @property
    def oscillation(self) -> float:
        return float(self._reach**self.alpha)

    @property
    def smoothness(self) -> Smoothness:
        if self.alpha < 1:
            return Smoothness(self.alpha, "Hölder", "the cusp at the centre")
        return LIPSCHITZ

    def latex(self, argument: str) -> str:
        if self.alpha == 1 and self.center == 0:
            return argument
        power = "" if self.alpha == 1 else f"^{{{format_number(self.alpha)}}}"
        return rf"\left|{argument} - {format_number(self.center)}\right|{power}"


@final
@dataclass(frozen=True)
class SineMap(ScalarMap):
    """h(x) = sin(2π k x) with k = ``periods`` whole periods on [0,1]."""

    periods: int
    oscillation = 2.0
    smoothness = LIPSCHITZ

    def evaluate(self, x: Any, xp: Any) -> Any:
        return xp.sin(2 * math.pi * self.periods * x)

    @property
    def scalar_modulus(self) -> ScalarModulus:
        """2 sin(π k min(u, 1/(2k))), attained around every zero inside the interval."""
        rate = math.pi * self.periods
        return ConcaveModulus(lambda u: 2 * math.sin(rate * u), 1 / (2 * self.periods))

    def latex(self, argument: str) -> str:
        return rf"\sin({2 * self.periods}\pi {argument})"
