"""Targets whose context enters by a maximum, a product or an attention."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

from looprate.theory.enclosure.attention import softmax_mean
from looprate.theory.enclosure.namespace import ArrayNamespace
from looprate.theory.notation import Kind
from looprate.theory.targets.base import LIPSCHITZ, ClosedForm, Target, entry_count
from looprate.theory.targets.mixes import mix_closed_form
from looprate.theory.targets.parameters import format_number, latex_factor, parameter
from looprate.theory.targets.scalar import (
    ConcaveModulus,
    PowerModulus,
    arc_supremum,
    interpolated,
    of_one_output,
    separable_supremum,
)

IDENTITY_MODULUS = PowerModulus(1.0)


class Average(Target):
    """Base of targets whose values are ``scale`` times numbers of [0,1], with bounded slopes."""

    scale: float
    smoothness = LIPSCHITZ

    def _oscillation(self, tokens: int, dim: int) -> float:
        return abs(self.scale)


@final
@dataclass(frozen=True)
class ContextMax(Average):
    """f(X)_n = scale max_m x_m, coordinate by coordinate: every output token is the same."""

    key: ClassVar[str] = "context-max"
    summary: ClassVar[str] = "the coordinatewise maximum over all tokens"
    scale: float = parameter(1.0, "factor")

    def _evaluate(self, x: Any, xp: Any) -> Any:
        return self.scale * xp.amax(x, 1, keepdims=True) + xp.zeros_like(x)

    def _closed_form(self, delta: float, kind: Kind, tokens: int, dim: int, p: float) -> ClosedForm:
        """One token carries the maximum: S(min(u,1), d), times N^{1/p} for all output tokens."""
        one = separable_supremum(IDENTITY_MODULUS, dim, delta, p)
        copies = tokens ** (1 / p) if kind == "sequence" else 1.0
        return one.times(abs(self.scale) * copies)

    @property
    def latex(self) -> str:
        return rf"f(X)_n = {latex_factor(self.scale)}\max_m x_m"


def _product_row(tokens: int, t: float) -> float:
    """Return the p = inf sequence modulus of token-times-mean, exactly.

    With x = 1 and y = 1 - e one entry moves by 1 - (1-c)(1-u), u = e_n and c the mean of e; the
    other N-1 entries share s equally because c is concave in them.
    """
    root = math.sqrt(tokens - 1)

    def row(u: float, s: float) -> float:
        own, mean = min(u, 1.0), (min(u, 1.0) + root * min(s, root)) / tokens
        return own + mean - own * mean

    return arc_supremum(row, t)


@final
@dataclass(frozen=True)
class TokenTimesMean(Average):
    """f(X)_n = scale x_n ⊙ mean over all tokens: bilinear, steepest near the all-ones corner."""

    key: ClassVar[str] = "token-times-mean"
    summary: ClassVar[str] = "the token times the mean of all tokens (bilinear)"
    scale: float = parameter(1.0, "factor")

    def _evaluate(self, x: Any, xp: Any) -> Any:
        return self.scale * x * x.mean(1, keepdims=True)

    def _closed_form(self, delta: float, kind: Kind, tokens: int, dim: int, p: float) -> ClosedForm:
        r"""Return the modulus; the maximisers have x = 1 in every entry that moves.

        token: per coordinate g(u) = u(N+1-u)/N.  contextual: min(√(N-1) v, N-1)/N.  sequence,
        p <= 2: (Nd)^{1/p} w(2-w), w = min(t/√(Nd), 1).  Proof for p = 2: xx̄ - yȳ = m ē + m̄ e with m
        the midpoint, so x = 1, e >= 0 is best; then F_n = c + (1-c) e_n with c = ē, and with
        Σ e_n² = N w² one has Σ F_n² = N (c² + 2c²(1-c) + (1-c)² w²), increasing in c on [w², w].
        """
        size = abs(self.scale)
        if kind == "token":
            g = ConcaveModulus(lambda u: u * (tokens + 1 - u) / tokens, 1.0)
            return separable_supremum(g, dim, delta, p).times(size)
        if kind == "contextual":
            pooled = PowerModulus(1.0, math.sqrt(tokens - 1), math.sqrt(tokens - 1) / tokens)
            return separable_supremum(pooled, dim, delta, p).times(size)
        count = tokens * dim
        w = min(delta / math.sqrt(count), 1.0)
        spread = size * count ** (1 / min(p, 2.0)) * w * (2 - w)
        if p <= 2:
            return ClosedForm(spread, "exact", "equal spread below the all-ones corner")
        return of_one_output(spread, size * _product_row(tokens, delta), count, p)

    @property
    def latex(self) -> str:
        scale = latex_factor(self.scale)
        return rf"f(X)_n = {scale}x_n \odot \frac{{1}}{{N}}\sum_m x_m"


def attention_constants(beta: float, tokens: int, dim: int) -> dict[str, float]:
    r"""Return upper bounds of the Jacobian of softmax attention in the 2-norm.

    With weights A_nm the differential is
    df_n = Σ_m A_nm dx_m + β Cov_n dx_n + β Σ_m A_nm (x_m - f_n) (x_n·dx_m), and |x_n|² <= d,
    Cov_n <= d/4, A_nm |x_m - f_n| <= A_nm (1-A_nm) √d <= √d/4::

        token       max_a [a + βd a(1-a)] + βd/4;
        contextual  1 + βd/√8, because
                    Σ_m A_nm² |x_m-f_n|² <= (√d/4) Σ_m A_nm |x_m-f_n| <= d/8;
        sequence    the smaller of √N (1 + βd/√8) + βd/4 (values and keys by rows, queries block
                    diagonal) and √N √(token² + contextual²) (rows as a whole);
        row         √(token² + contextual²), one output token, all inputs.

    Parameters
    ----------
    beta : float
        Inverse temperature, >= 0.
    tokens, dim : int
        N and d, N >= 2.
    """
    c = beta * dim
    token = (1.0 if c <= 1 else (1 + c) ** 2 / (4 * c)) + c / 4
    contextual = 1 + c / math.sqrt(8)
    row = math.hypot(token, contextual)
    sequence = min(math.sqrt(tokens) * contextual + c / 4, math.sqrt(tokens) * row)
    return {"token": token, "contextual": contextual, "sequence": sequence, "row": row}


@final
@dataclass(frozen=True)
class SoftmaxAttention(Average):
    """f(X)_n = scale Σ_m softmax_m(beta x_n·x_m) x_m."""

    key: ClassVar[str] = "softmax-attention"
    summary: ClassVar[str] = "one softmax attention head over the raw tokens"
    beta: float = parameter(4.0, "inverse temperature", low=0)
    scale: float = parameter(1.0, "factor")

    def _evaluate(self, x: Any, xp: Any) -> Any:
        logits = self.beta * xp.matmul(x, xp.swapaxes(x, 1, 2))  # (B, N, N)
        if isinstance(xp, ArrayNamespace):  # one step loses less than a quotient
            return self.scale * softmax_mean(logits, x)
        weights = xp.exp(logits - xp.amax(logits, 2, keepdims=True))
        return self.scale * xp.matmul(weights, x) / weights.sum(2, keepdims=True)

    def _closed_form(self, delta: float, kind: Kind, tokens: int, dim: int, p: float) -> ClosedForm:
        """Return the linear cases exactly, else the Jacobian bound capped by the oscillation."""
        size = abs(self.scale)
        if self.beta == 0 or tokens == 1:  # the plain mean of all tokens
            a, b = (1 / tokens, (tokens - 1) / tokens) if tokens > 1 else (1.0, 0.0)
            plain = mix_closed_form(
                a, b, IDENTITY_MODULUS, delta, kind=kind, tokens=tokens, dim=dim, p=p
            )
            return plain.times(size)
        constants = attention_constants(self.beta, tokens, dim)
        entry = constants["row"] if kind == "sequence" else constants[kind]
        count = entry_count(kind, tokens, dim)
        value = lipschitz_bound(constants[kind], entry, 1.0, count, delta, p)
        return ClosedForm(size * value, "upper", "Jacobian")

    @property
    def latex(self) -> str:
        scale, beta = latex_factor(self.scale), format_number(self.beta)
        return (
            rf"f(X)_n = {scale}\frac{{\sum_m e^{{{beta} x_n\cdot x_m}} x_m}}"
            rf"{{\sum_m e^{{{beta} x_n\cdot x_m}}}}"
        )


def lipschitz_bound(
    constant: float, entry: float, span: float, count: int, t: float, p: float
) -> float:
    """Return an upper bound of ‖f(X)-f(X')‖_p from Lipschitz constants.

    Parameters
    ----------
    constant : float
        Lipschitz constant of all ``count`` entries, 2-norm to 2-norm.
    entry : float
        Lipschitz constant of one entry, 2-norm to absolute value (at most ``constant``).
    span : float
        Oscillation of every entry.
    count : int
        How many entries the p-norm runs over.
    t : float
        Radius, Frobenius norm.
    p : float
        Exponent, 1 <= p <= inf.
    """
    at_two = min(constant * t, math.sqrt(count) * span)
    at_inf = min(entry * t, constant * t, span)
    if math.isinf(p):
        return at_inf
    if p > 2:
        return interpolated(at_two, at_inf, p)
    return float(count ** (1 / p - 1 / 2) * at_two)
