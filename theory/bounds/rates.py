"""Rates of the looped Transformer: exponents as plain formulas, and its neighbours' rates.

Functions ending in ``_rate`` are known up to a constant factor only and must be drawn as such.

Source: Xu & Sato, On Expressive Power of Looped Transformers, ICML 2025, arXiv 2410.01405v7.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from looprate.theory.bounds.loop_counts import Coding, label_power, printed_power
from looprate.theory.notation import check_choice, check_dim, check_loops, check_p, check_tokens

__all__ = [
    "construction_exponent",
    "holder_exponent",
    "stage_exponent",
    "theorem_exponent",
    "tian_shen_rate",
    "zhang_lu_zhao_rate",
]

DeltaRule = Literal["printed", "stages"]
DELTA_RULES: tuple[DeltaRule, ...] = get_args(DeltaRule)

LARGEST_EXACT_POWER = 2**900  # beyond this an integer ratio is turned into a float by logarithms


def theorem_exponent(*, tokens: int, dim: int) -> float:
    """Exponent of the printed cell width: δ ~ (r - N)^{-1/((N+1)d+1)}.

    Parameters
    ----------
    tokens, dim : int
        Sequence length N and coordinates per token d.

    Returns
    -------
    float
        1/((N+1)d+1), positive.

    Notes
    -----
    Source: Theorem 3.6 (v7).
    """
    return 1.0 / (printed_power(tokens, dim))


def stage_exponent(*, tokens: int, dim: int) -> float:
    """Exponent of the cell width if the paper's own stages are counted: 1/((N+1)d).

    Notes
    -----
    Source: proof of Theorem 3.6 (v7), where the stages take (m - 1) + N + (2 m^{(N+1)d} - 1)
    loops; the printed exponent is smaller by the one in its denominator.
    """
    return 1.0 / (printed_power(tokens, dim) - 1)


def construction_exponent(*, tokens: int, dim: int, coding: Coding, levels: int = 1) -> float:
    """Exponent of the cell width of this project's constructions, in r.

    Parameters
    ----------
    tokens, dim, coding
        As in :func:`looprate.theory.bounds.loop_counts.construction_loops`.
    levels : int
        Of the memoriser: loops grow like the number of labels to the power 1/``levels``.

    Returns
    -------
    float
        1/((N+1)d) for the sum code and 1/(Nd) for the rank and the others code, twice that in two
        levels; with digits it holds up to a factor logarithmic in r.
    """
    return levels / label_power(tokens=tokens, dim=dim, coding=coding)


def holder_exponent(
    *, tokens: int, dim: int, holder: float, p: float, delta_rule: DeltaRule = "printed"
) -> float:
    """Exponent of the whole bound for Hölder targets and an infinite quantiser slope M.

    Parameters
    ----------
    tokens, dim : int
        Sequence length N and coordinates per token d.
    holder : float
        Hölder exponent s in (0, 1] of all three moduli, w(t) ~ t^s.
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    delta_rule : {"printed", "stages"}
        Which cell width: the theorem's or the paper's stage counts.

    Returns
    -------
    float
        min(s, d/p)/((N+1)d+1), or the same over (N+1)d for ``"stages"``.  For N = 1 no two
        tokens can collide and it is s instead of min(s, d/p).

    Raises
    ------
    ValueError
        If s is not in (0, 1].

    Notes
    -----
    Source: Theorem 3.6 (v7): moduli fall as δ^s, the collision term O(N^{2/p} δ^{d/p}) as
    δ^{d/p}.  It is the exponent of an upper bound: errors may fall faster.
    """
    n, d, s, q = check_tokens(tokens), check_dim(dim), check_holder(holder), check_p(p)
    rule = check_choice(delta_rule, "delta_rule", DELTA_RULES)
    per_delta = s if n == 1 else min(s, d / q)
    exponent = theorem_exponent if rule == "printed" else stage_exponent
    return per_delta * exponent(tokens=n, dim=d)


def zhang_lu_zhao_rate(
    loops: int, *, tokens: int, dim: int, modulus: Callable[[float], float]
) -> float:
    """Rate w(r^{-1/D}), D = Nd, of a looped fixed-size ReLU net, up to a constant.

    Parameters
    ----------
    loops : int
        Loop count r >= 1.
    tokens, dim : int
        Sequence length N and coordinates per token d; D = Nd is the input dimension.
    modulus : callable
        The sequence modulus t -> w(t), t a Euclidean distance.

    Returns
    -------
    float
        A rate, not a bound: the constant is left out.

    Notes
    -----
    Source: Zhang, Lu & Zhao, On Enhancing Expressive Power via Compositions of Single Fixed-Size
    ReLU Network, ICML 2023, arXiv 2301.12353, whose net acts on the flattened input and is neither
    a Transformer nor permutation-equivariant.
    """
    total = check_tokens(tokens) * check_dim(dim)
    return modulus(_power(check_loops(loops), -1.0 / total))


def tian_shen_rate(loops: int, *, tokens: int, dim: int, holder: float) -> float:
    """Rate (log T / T)^{s/D}, D = Nd, of fixed-size softmax loops, up to a constant.

    Parameters
    ----------
    loops : int
        Loop count T >= 3; below e the expression grows with T.
    tokens, dim : int
        Sequence length N and coordinates per token d; D = Nd is the input dimension.
    holder : float
        Hölder exponent s in (0, 1].

    Returns
    -------
    float
        A rate, not a bound: the constant is left out.

    Raises
    ------
    ValueError
        If T < 3 or s is not in (0, 1].

    Notes
    -----
    Source: Tian & Shen, arXiv 2609.25778: L^2 error, scalar output, no timestep modulation.
    """
    t, s = check_loops(loops), check_holder(holder)
    if t < 3:
        raise ValueError(f"`loops` must be at least 3 for the rate (log T/T)^(s/D), got {t}")
    exponent = s / (check_tokens(tokens) * check_dim(dim))
    return math.log(t) ** exponent * _power(t, -exponent)


def _power(base: int, exponent: float) -> float:
    """Return ``base ** exponent`` as a float for a positive integer of any size."""
    if base <= LARGEST_EXACT_POWER:
        return float(base) ** exponent
    return math.exp(exponent * math.log(base))


def check_holder(holder: float) -> float:
    """Return s; raise unless 0 < s <= 1."""
    s = float(holder)
    if not 0.0 < s <= 1.0:
        raise ValueError(f"`holder` (Hölder exponent s) must be in (0, 1], got {s:g}")
    return s
