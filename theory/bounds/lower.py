"""What no network of a size can do: a lower bound of the worst-case error over a Hölder class.

The class F(L, s), 0 < s <= 1: permutation-equivariant f on [0,1]^{N x d} with
‖f(X) - f(Y)‖_p <= L ‖X - Y‖_2^s, so that all three moduli are at most L t^s.

Bumps
-----
Cut the cube into m^d cells a token, U = m^d.  For every set S of N distinct cells let Q_S be the
box of its tokens in descending order of cells.  For signs σ let f_σ(X)_{ν,i} = σ_{S,rank(ν),i} B
on Q_S and its permutations, else 0, with B = c dist_∞(X, ∂Q)^s, c = L 2^{-(1-s)} (Nd)^{-1/p}.  Then
f_σ is in F, has K = Nd C(U,N) free signs and ‖f_σ‖_{L^p} = (L/2) m^{-s} (ρ I)^{1/p} with
ρ = Π_{j<N} (1 - j/U) and I = Π_{k<=Nd} k/(sp + k).

Proof.  In one box |u^s - v^s| <= |u - v|^s, and the distance to a box's faces is 1-Lipschitz.  In
two boxes of disjoint interiors the balls of radii u, v around the inputs are disjoint, so
u + v <= ‖X - Y‖_2, and u^s + v^s <= 2^{1-s} (u + v)^s.  All Nd entries may move: (Nd)^{1/p}.  With
y = 2m dist_∞ a box gives P(y > t) = (1-t)^{Nd} and E y^{sp} = I; there are N! C(U,N) = ρ U^N boxes.

Theorem
-------
Let Γ bound the number of sign patterns of networks of a size
(:mod:`looprate.theory.bounds.pattern_count`) at C(U,N) inputs.  For every m with m^d >= N and α in
(0, 1/2) with log2 Γ <= (1 - H(α)) K - 20, some f_σ has ‖T - f_σ‖_{L^p} >= (1 - 2^{-20}) α L m^{-s}
(ρ I)^{1/p} for every such network T.  For p = inf it is (L/2) m^{-s} as soon as K > log2 Γ.

Proof.  Suppose every σ has a network T_σ with error e_σ.  For real y, σ = ±1 and B >= 0,
|y - σB| >= ∫_{-B}^{B} 1[sgn(y - τ) ≠ σ] dτ.  By Hölder's inequality
‖e_σ‖_p ‖f_σ‖_p^{p-1} >= ∫ Σ |e_σ| |f_σ|^{p-1}.  Put X_S(u) for the point at place u of box S and
τ = κ B(u): the right-hand side is at least
N! m^{-Nd} ∫ du B(u)^p ∫_{-1}^{1} dκ #{signs that T_σ gets wrong at X_S(u), threshold κ B(u)}.
For fixed u and κ the signs that T_σ shows are one of Γ patterns, whatever σ.  At most
Γ 2^{H(α)K} <= 2^{K-20} of all σ differ from one of them in fewer than α K places; averaged over σ
the number is at least α K (1 - 2^{-20}), and N! m^{-Nd} K ∫ B^p = ‖f_σ‖_p^p.  For p = inf some σ is
no pattern near the boxes' centres, where B tends to (L/2) m^{-s}; there are finitely many σ, so one
is none on sets of positive measure arbitrarily near the centres.  ∎

What it says: for every r there is an f, which depends on r, that no network of the size
approximates better; nothing about one f at all r, about training, about softmax attention.

Source: this project; a derivation not yet reviewed by others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from looprate.theory.bounds.pattern_count import (
    NetworkSize,
    interval_context,
    log2_of,
    log2_patterns,
)
from looprate.theory.bounds.rates import check_holder
from looprate.theory.notation import check_dim, check_loops, check_p, check_size, check_tokens

__all__ = ["worst_case_error_lower_bound"]

SPARE_BITS = 20  # of the theorem: at most a share 2^-20 of all sign vectors is lost
STEPS_A_DOUBLING, COARSE = 16, 4  # of grids; at first every fourth
MOST_DOUBLINGS = 12  # tried beyond the first grid at which the theorem says something
MOST_SHAPE = 10**3  # N d, for time
LOG_2 = math.log(2.0)
SHRINK = 1e-12  # of a share that floating point found and intervals refuse
Interval = Any


@dataclass(frozen=True)
class WorstCase:
    """A proved lower bound of the worst-case error, and what it rests on.

    Attributes
    ----------
    value : float
        Every network of the size has an L^p error of at least this for some f of the class,
        rounded down.
    loops : int
    grid : int
        Cells a side m of the bumps.
    signs : int
        Free signs K.
    pattern_bits : float
        Upper bound of log2 of the number of patterns.
    share : float
        α, the share of signs that every network gets wrong; 1/2 for p = inf.
    """

    value: float
    loops: int
    grid: int
    signs: int
    pattern_bits: float
    share: float


def worst_case_error_lower_bound(
    loops: int,
    *,
    tokens: int,
    dim: int,
    size: NetworkSize | None = None,
    p: float = 1.0,
    lipschitz: float = 1.0,
    holder: float = 1.0,
) -> WorstCase:
    """Return a lower bound of sup over f in F(L, s) of the least L^p error of a network.

    Parameters
    ----------
    loops : int
        r >= 1, of any size.
    tokens, dim : int
        Sequence length N and coordinates per token d.
    size : NetworkSize, optional
        Rows, units, heads; weight-tied, with a free η(t), or untied; bits of a weight.  Left out,
        weight-tied blocks of the size of :meth:`NetworkSize.of_constructions`.
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    lipschitz : float
        L > 0.
    holder : float
        s in (0, 1].

    Returns
    -------
    WorstCase
        The best of the theorem over grids m; positive for every r, where no L is so small that
        the value underflows.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Notes
    -----
    Source: this project; statement and proof in the module's docstring.  The exponent of 1/r is
    s/(Nd) for ``"lt"`` and for η from a network of fixed size, 2s/(Nd) for a free η and for untied
    blocks.  With ``weight_bits`` and weight-tied loops it does not fall below a positive number.

    Examples
    --------
    >>> f"{worst_case_error_lower_bound(100, tokens=2, dim=1).value:.1e}"
    '1.8e-05'
    """
    r, (n, d) = check_loops(loops), check_size(tokens, dim, most=MOST_SHAPE)
    exponent, s = check_p(p), check_holder(holder)
    if not (math.isfinite(lipschitz) and lipschitz > 0):
        raise ValueError(f"`lipschitz` (L) must be finite and > 0, got {lipschitz:g}")

    of = NetworkSize.of_constructions(d) if size is None else size

    def at(grid: int) -> WorstCase | None:
        return _at_grid(grid, r, n, d, exponent, float(lipschitz), s, of)

    first = 1
    while (found := at(first)) is None:
        first *= 2
    best, middle = found, 0

    def better(tried: Iterable[int]) -> None:
        nonlocal best, middle
        for k in tried:
            candidate = at(_scaled(first, k))
            if candidate is not None and candidate.value > best.value:
                best, middle = candidate, k

    last = 3 * STEPS_A_DOUBLING
    better(range(-STEPS_A_DOUBLING, last + 1, COARSE))
    while middle == last < MOST_DOUBLINGS * STEPS_A_DOUBLING:  # of a small s, finer grids are best
        last += COARSE
        better([last])
    better(range(middle - COARSE + 1, middle + COARSE))
    return best


def bump_norm(
    grid: int, *, tokens: int, dim: int, p: float, lipschitz: float = 1.0, holder: float = 1.0
) -> float:
    """Return ‖f_σ‖_{L^p} of the module's bumps on m cells a side, rounded down.

    (L/2) m^{-s} (ρ I)^{1/p}; 0 if m^d < N, since no N cells are distinct.
    """
    n, d, exponent, s = check_tokens(tokens), check_dim(dim), check_p(p), check_holder(holder)
    ctx = interval_context()
    return _down(_norm(ctx, grid, n, d, exponent, lipschitz, s))


def _at_grid(
    grid: int, r: int, n: int, d: int, p: float, lipschitz: float, s: float, size: NetworkSize
) -> WorstCase | None:
    """The theorem at one grid, None where it says nothing."""
    ctx = interval_context()
    boxes = math.comb(grid**d, n)
    if boxes == 0:
        return None
    signs = n * d * boxes
    patterns = log2_patterns(size, r, boxes, tokens=n, dim=d, context=ctx)
    norm = _norm(ctx, grid, n, d, p, lipschitz, s)
    if math.isinf(p):
        share = 0.5 if patterns.b < ctx.mpf(signs).a else 0.0
        value = _down(norm)
    else:
        share = _share(ctx, 1 - (patterns + SPARE_BITS) / signs)
        value = _down(2 * ctx.mpf(share) * (1 - ctx.mpf(2) ** -SPARE_BITS) * norm)
    if share <= 0.0:
        return None
    return WorstCase(max(0.0, value), r, grid, signs, _up(patterns), share)


def _norm(ctx: Any, grid: int, n: int, d: int, p: float, lipschitz: float, s: float) -> Interval:
    """‖f_σ‖_{L^p} as an interval."""
    height = ctx.mpf(lipschitz) / 2 * ctx.mpf(grid) ** -ctx.mpf(s)
    cells = grid**d
    distinct = ctx.mpf(math.perm(cells, n)) / ctx.mpf(cells**n)
    if math.isinf(p) or not distinct.a > 0:
        return height if distinct.a > 0 else ctx.mpf(0)
    power, integral = ctx.mpf(s) * ctx.mpf(p), ctx.mpf(1)
    for k in range(1, n * d + 1):
        integral = integral * k / (power + k)
    return height * (distinct * integral) ** (1 / ctx.mpf(p))


def _share(ctx: Any, room: Interval) -> float:
    """An α < 1/2 with H(α) <= room whatever the room's interval holds, nearly the largest, or 0.

    Sought in floating point, proved in intervals.
    """
    most = min(1.0, float(room.a))
    if not most > 0.0:
        return 0.0
    low, high = 0.0, 0.5
    while low < (middle := (low + high) / 2) < high:
        fits = -middle * math.log2(middle) - (1 - middle) * math.log1p(-middle) / LOG_2 <= most
        low, high = (middle, high) if fits else (low, middle)
    while low > 0.0 and not _entropy(ctx, low).b <= room.a:
        low = low * (1.0 - SHRINK)
    return low


def _entropy(ctx: Any, share: float) -> Interval:
    """H(α) in bits, α in (0, 1)."""
    a = ctx.mpf(share)
    return -(a * log2_of(ctx, a) + (1 - a) * log2_of(ctx, 1 - a))


def _scaled(first: int, k: int) -> int:
    """A whole grid near first · 2^{k/16}, first of any size."""
    numerator, denominator = math.exp2(k / STEPS_A_DOUBLING).as_integer_ratio()
    return max(1, first * numerator // denominator)


def _down(number: Interval) -> float:
    """A float at most the interval's lower end."""
    return math.nextafter(float(number.a), -math.inf)


def _up(number: Interval) -> float:
    """A float at least the interval's upper end."""
    return math.nextafter(float(number.b), math.inf)
