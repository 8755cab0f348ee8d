"""The mix family f(X)_n = a h(x_n) + b mean_{m != n} h(x_m), entry by entry.

On z = h(X) it is the matrix with eigenvalue a + b on the all-ones vector and a - b/(N-1) on its
complement; every closed form below follows from that and from the scalar modulus g of h.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, final

from looprate.theory.notation import Kind
from looprate.theory.targets.base import ClosedForm, Smoothness, Target
from looprate.theory.targets.parameters import format_number, latex_factor, parameter
from looprate.theory.targets.scalar import (
    PowerMap,
    ScalarMap,
    ScalarModulus,
    SineMap,
    arc_supremum,
    of_one_output,
    separable_supremum,
)

IDENTITY = PowerMap(1.0, 0.0)


def _row_supremum(a: float, b: float, g: ScalarModulus, tokens: int, t: float) -> float:
    """Return the p = inf sequence modulus of a mix with N >= 2, exactly.

    One output entry moves by |a| g(u) + |b| g(s/√(N-1)) at best, u² + s² <= t² (equal spread over
    the others); both terms are concave in u², so the maximum on the arc is unimodal.
    """
    root = math.sqrt(tokens - 1)
    return arc_supremum(lambda u, s: abs(a) * g(u) + abs(b) * g(s / root), t)


def _mix_sequence(
    a: float, b: float, g: ScalarModulus, tokens: int, dim: int, t: float, p: float
) -> ClosedForm:
    """Return the sequence modulus of a mix."""
    width = tokens * dim
    if tokens == 1 or b == 0:
        return separable_supremum(g, width, t, p).times(a)
    along, across = abs(a + b), abs(a - b / (tokens - 1))
    gain = max(along, across)
    attained = along >= across or tokens % 2 == 0
    spread = width ** (1 / min(p, 2.0)) * gain * g(t / math.sqrt(width))
    if p <= 2:
        note = "equal spread" if attained else "largest eigenvalue"
        return ClosedForm(spread, "exact" if attained else "upper", note)
    return of_one_output(spread, _row_supremum(a, b, g, tokens, t), width, p)


def mix_closed_form(
    a: float,
    b: float,
    g: ScalarModulus,
    delta: float,
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float,
) -> ClosedForm:
    """Return a modulus of f(X)_n = a h(x_n) + b mean_{m != n} h(x_m).

    sequence, p <= 2: K (Nd)^{1/p} g(t/√(Nd)), K = max(|a+b|, |a-b/(N-1)|), exact where |a+b| is the
    larger or N is even (alternating signs); token: |a| S(g); contextual: |b| S(v -> g(v/√(N-1))),
    S the separable supremum over the d coordinates.

    Parameters
    ----------
    a, b : float
        Weights of the own token and of the mean over the others (b is ignored for N = 1).
    g : ScalarModulus
        Modulus of h.
    delta : float
        Radius, Frobenius norm.
    kind, tokens, dim, p
        As in :meth:`Target.closed_form`.
    """
    if kind == "sequence":
        return _mix_sequence(a, b, g, tokens, dim, delta, p)
    if kind == "token":
        return separable_supremum(g, dim, delta, p).times(a)
    if tokens == 1:
        return ClosedForm(0.0, "exact", "one token has no context")
    pooled = g.stretched(math.sqrt(tokens - 1))
    return separable_supremum(pooled, dim, delta, p).times(b)


@dataclass(frozen=True)
class Mix(Target):
    """Base of the family: a subclass gives the map h and the weights a, b for each N."""

    @property
    @abstractmethod
    def _map(self) -> ScalarMap:
        """The map h of every entry."""

    @abstractmethod
    def _weights(self, tokens: int) -> tuple[float, float]:
        """Return (a, b) for N tokens."""

    def _evaluate(self, x: Any, xp: Any) -> Any:
        tokens = x.shape[1]
        a, b = self._weights(tokens)
        z = self._map.evaluate(x, xp)
        if tokens == 1 or b == 0:
            return a * z
        share = b / (tokens - 1)
        return (a - share) * z + share * z.sum(1, keepdims=True)

    def _closed_form(self, delta: float, kind: Kind, tokens: int, dim: int, p: float) -> ClosedForm:
        a, b = self._weights(tokens)
        g = self._map.scalar_modulus
        return mix_closed_form(a, b, g, delta, kind=kind, tokens=tokens, dim=dim, p=p)

    def _oscillation(self, tokens: int, dim: int) -> float:
        a, b = self._weights(tokens)
        return (abs(a) + (abs(b) if tokens > 1 else 0.0)) * self._map.oscillation

    @property
    def smoothness(self) -> Smoothness:
        return self._map.smoothness


class TokenMap(Mix):
    """Base of mixes without context: scale h(x_n)."""

    scale: float

    def _weights(self, tokens: int) -> tuple[float, float]:
        return self.scale, 0.0

    @property
    def latex(self) -> str:
        return f"f(X)_n = {latex_factor(self.scale)}{self._map.latex('x_n')}"


@final
@dataclass(frozen=True)
class TokenPower(TokenMap):
    """f(X)_n = scale |x_n - center|^alpha: token-wise, Hölder for alpha < 1."""

    key: ClassVar[str] = "token-power"
    summary: ClassVar[str] = "a power of the distance to a centre, token by token (Hölder)"
    alpha: float = parameter(0.5, "exponent", low=0, above=True)
    center: float = parameter(0.5, "where the cusp sits", low=0, high=1)
    scale: float = parameter(1.0, "factor")

    @property
    def _map(self) -> ScalarMap:
        return PowerMap(self.alpha, self.center)


@final
@dataclass(frozen=True)
class TokenSine(TokenMap):
    """f(X)_n = scale sin(2π periods x_n): token-wise, many maximisers."""

    key: ClassVar[str] = "token-sine"
    summary: ClassVar[str] = "a sine of whole periods, token by token"
    periods: int = parameter(2, "whole periods on [0,1]", integer=True, low=1)
    scale: float = parameter(1.0, "factor")

    @property
    def _map(self) -> ScalarMap:
        return SineMap(self.periods)


@final
@dataclass(frozen=True)
class MeanField(Mix):
    """f(X)_n = a x_n + b mean over all tokens of x: linear."""

    key: ClassVar[str] = "mean-field"
    summary: ClassVar[str] = "the token plus the mean of all tokens (linear)"
    a: float = parameter(1.0, "weight of the token")
    b: float = parameter(1.0, "weight of the mean of all tokens")
    _map = IDENTITY

    def _weights(self, tokens: int) -> tuple[float, float]:
        return self.a + self.b / tokens, self.b * (tokens - 1) / tokens

    @property
    def latex(self) -> str:
        a, b = latex_factor(self.a), latex_factor(self.b)
        return rf"f(X)_n = {a}x_n + {b}\frac{{1}}{{N}}\sum_m x_m"


@final
@dataclass(frozen=True)
class OthersMean(Mix):
    """f(X)_n = scale * mean of the other tokens (0 for N = 1): no token modulus."""

    key: ClassVar[str] = "others-mean"
    summary: ClassVar[str] = "the mean of the other tokens: token modulus 0"
    scale: float = parameter(1.0, "factor")
    _map = IDENTITY

    def _weights(self, tokens: int) -> tuple[float, float]:
        return 0.0, self.scale

    @property
    def latex(self) -> str:
        return rf"f(X)_n = {latex_factor(self.scale)}\frac{{1}}{{N-1}}\sum_{{m\neq n}} x_m"


@final
@dataclass(frozen=True)
class Dial(Mix):
    """Token and contextual modulus set apart at one and the same sequence modulus.

    a = sequence * token/(token + context), b = sequence * context/(token + context); for N >= 2 and
    p <= 2 the sequence modulus is |sequence| (Nd)^{1/p} g(t/√(Nd)) whatever the shares.
    """

    key: ClassVar[str] = "dial"
    summary: ClassVar[str] = "token and context shares at a fixed sequence modulus"
    token: float = parameter(0.5, "share of the own token", low=0)
    context: float = parameter(0.5, "share of the other tokens", low=0)
    sequence: float = parameter(1.0, "sum of the two weights")
    periods: int | None = parameter(None, "whole periods of the sine", integer=True, low=1)
    alpha: float | None = parameter(None, "exponent, instead of periods", low=0, above=True)
    center: float | None = parameter(None, "centre of the power", low=0, high=1)

    def _settle(self) -> None:
        if self.token + self.context == 0:
            raise ValueError("`token` and `context` must not both be 0, got 0 and 0")
        if self.alpha is not None and self.periods is not None:
            raise ValueError(
                "`periods` and `alpha` must not both be given: the map is a sine or a power, "
                f"got periods={self.periods} and alpha={format_number(self.alpha)}"
            )
        if self.alpha is None and self.center is not None:
            raise ValueError(
                f"`center` needs `alpha`, got center={format_number(self.center)} alone"
            )
        if self.alpha is None and self.periods is None:
            object.__setattr__(self, "periods", 2)
        if self.alpha is not None and self.center is None:
            object.__setattr__(self, "center", 0.5)

    @property
    def _map(self) -> ScalarMap:
        if self.alpha is not None and self.center is not None:
            return PowerMap(self.alpha, self.center)
        return SineMap(self.periods or 2)

    def _weights(self, tokens: int) -> tuple[float, float]:
        total = self.token + self.context
        return self.sequence * self.token / total, self.sequence * self.context / total

    @property
    def latex(self) -> str:
        a, b = (latex_factor(round(weight, 6)) for weight in self._weights(2))
        own, other = self._map.latex("x_n"), self._map.latex("x_m")
        return rf"f(X)_n = {a} {own} + {b}\frac{{1}}{{N-1}}\sum_{{m\neq n}} {other}"
