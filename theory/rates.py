"""Rates of the looped Transformer: cell width, loop counts and exponents, as plain formulas.

The proof of Theorem 3.6 (v7) spends its loops in three stages on a grid of m = 1/δ cells a side:
quantise (m - 1), contextual mapping (N), value mapping (one loop per label).  Three counts follow:

* the printed one, r = N + 2 m^{(N+1)d+1}, of the theorem's statement;
* the sum of the paper's own stages, (m - 1) + N + (2 m^{(N+1)d} - 1), which needs fewer loops;
* the exact counts of this project's constructions, which end with the last label in use.

Counts are exact Python integers, cell widths are floats.  Functions ending in ``_rate`` are known
up to a constant factor only and must be drawn as such.

References
----------
.. [1] Xu & Sato, On Expressive Power of Looped Transformers, ICML 2025, arXiv 2410.01405v7.
.. [2] Zhang, Lu & Zhao, On Enhancing Expressive Power via Compositions of Single Fixed-Size ReLU
   Network, ICML 2023, arXiv 2301.12353.
.. [3] Tian & Shen, arXiv 2609.25778.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, TypeVar, get_args

from theory.notation import check_delta, check_dim, check_loops, check_p, check_tokens

__all__ = [
    "CODINGS",
    "DELTA_RULES",
    "MEMORISERS",
    "Coding",
    "DeltaRule",
    "Memoriser",
    "construction_exponent",
    "construction_loops",
    "delta_of_loops",
    "delta_of_stages",
    "holder_exponent",
    "largest_grid",
    "last_label",
    "loops_of_delta",
    "paper_stage_loops",
    "printed_loops",
    "smallest_grid",
    "stage_exponent",
    "theorem_exponent",
    "tian_shen_rate",
    "zhang_lu_zhao_rate",
]

Memoriser = Literal["increments", "timestep", "digits"]
MEMORISERS: tuple[Memoriser, ...] = get_args(Memoriser)
Coding = Literal["sum", "rank"]
CODINGS: tuple[Coding, ...] = get_args(Coding)
DeltaRule = Literal["printed", "stages"]
DELTA_RULES: tuple[DeltaRule, ...] = get_args(DeltaRule)
T = TypeVar("T", bound=str)

NEWTON_STEPS = 200  # monotone Newton on a convex polynomial; far more than it ever takes
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
    return 1.0 / (_printed_power(tokens, dim))


def stage_exponent(*, tokens: int, dim: int) -> float:
    """Exponent of the cell width if the paper's own stages are counted: 1/((N+1)d).

    Notes
    -----
    Source: proof of Theorem 3.6 (v7), where the stages take (m - 1) + N + (2 m^{(N+1)d} - 1)
    loops; the printed exponent is smaller by the one in its denominator.
    """
    return 1.0 / (_printed_power(tokens, dim) - 1)


def construction_exponent(*, tokens: int, dim: int, coding: Coding) -> float:
    """Exponent of the cell width of this project's constructions, in r.

    Returns
    -------
    float
        1/((N+1)d) for the sum code and 1/(Nd) for the rank code; with the digit memoriser the
        latter holds up to a factor logarithmic in r.
    """
    n, d = check_tokens(tokens), check_dim(dim)
    power = (n + 1) * d if _check_choice(coding, "coding", CODINGS) == "sum" else n * d
    return 1.0 / power


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
    n, d, s, q = check_tokens(tokens), check_dim(dim), _check_holder(holder), check_p(p)
    rule = _check_choice(delta_rule, "delta_rule", DELTA_RULES)
    per_delta = s if n == 1 else min(s, d / q)
    exponent = theorem_exponent if rule == "printed" else stage_exponent
    return per_delta * exponent(tokens=n, dim=d)


def delta_of_loops(loops: int, *, tokens: int, dim: int) -> float:
    """Cell width δ = ((r-N)/2)^{-1/((N+1)d+1)} of the printed theorem.

    Parameters
    ----------
    loops : int
        Loop count r, of any size; must exceed ``tokens``.
    tokens, dim : int
        Sequence length N and coordinates per token d.

    Returns
    -------
    float
        δ, a width in the units of the input cube.  It exceeds 1 for r = N + 1, where the
        theorem's formula describes no grid.

    Raises
    ------
    ValueError
        If r <= N.

    Notes
    -----
    Source: Theorem 3.6 (v7).

    Examples
    --------
    >>> delta_of_loops(514, tokens=2, dim=1)
    0.25
    """
    n = check_tokens(tokens)
    r = check_loops(loops, tokens=n)
    return _power_of_half(r - n, -theorem_exponent(tokens=n, dim=dim))


def loops_of_delta(delta: float, *, tokens: int, dim: int) -> float:
    """Real loop count r = N + 2 δ^{-((N+1)d+1)} at which the printed cell width is δ.

    Parameters
    ----------
    delta : float
        Cell width δ > 0.
    tokens, dim : int
        Sequence length N and coordinates per token d.

    Returns
    -------
    float
        r, not rounded; inf where it exceeds the floats.

    Raises
    ------
    ValueError
        If δ is not finite and positive.

    Notes
    -----
    Source: Theorem 3.6 (v7), inverse of :func:`delta_of_loops`.

    Examples
    --------
    >>> loops_of_delta(0.25, tokens=2, dim=1)
    514.0
    """
    width = check_delta(delta)
    if width == 0.0:
        raise ValueError("`delta` (cell width δ) must be positive, got 0; no loop count reaches it")
    try:
        return check_tokens(tokens) + 2.0 * width ** -_printed_power(tokens, dim)
    except OverflowError:
        return math.inf


def printed_loops(grid: int, *, tokens: int, dim: int) -> int:
    """Exact loop count N + 2 m^{(N+1)d+1} at which the printed cell width is 1/m.

    Notes
    -----
    Source: Theorem 3.6 (v7).
    """
    return check_tokens(tokens) + 2 * _check_grid(grid) ** _printed_power(tokens, dim)


def paper_stage_loops(grid: int, *, tokens: int, dim: int) -> int:
    """Exact sum of the paper's stages: (m - 1) + N + (2 m^{(N+1)d} - 1).

    Parameters
    ----------
    grid : int
        Cells a side, m = 1/δ.
    tokens, dim : int
        Sequence length N and coordinates per token d.

    Returns
    -------
    int
        Loops of quantisation, contextual mapping and value mapping together.

    Notes
    -----
    Source: proof of Theorem 3.6 (v7).
    """
    m, n = _check_grid(grid), check_tokens(tokens)
    return (m - 1) + n + (2 * m ** ((n + 1) * check_dim(dim)) - 1)


def delta_of_stages(loops: int, *, tokens: int, dim: int) -> float:
    """Cell width δ at which the paper's stages, counted with real 1/δ, take r loops.

    The root of (1/δ - 1) + N + 2 δ^{-(N+1)d} - 1 = r.  It is never above 1, and at most the
    printed width of :func:`delta_of_loops`.

    Parameters
    ----------
    loops : int
        Loop count r > N.
    tokens, dim : int
        Sequence length N and coordinates per token d.

    Returns
    -------
    float
        δ, in the units of the input cube.

    Raises
    ------
    ValueError
        If r <= N.

    Notes
    -----
    Source: proof of Theorem 3.6 (v7).  Its asymptotic exponent is 1/((N+1)d).
    """
    n = check_tokens(tokens)
    r = check_loops(loops, tokens=n)
    power = (n + 1) * check_dim(dim)
    side = _power_of_half(r - n + 2, 1.0 / power)  # above the root: the linear part is left out
    if r - n + 2 > LARGEST_EXACT_POWER:
        return 1.0 / side  # here the linear part is below rounding
    target = float(r - n + 2)
    for _ in range(NEWTON_STEPS):
        step = (side + 2.0 * side**power - target) / (1.0 + 2.0 * power * side ** (power - 1))
        side -= step
        if abs(step) <= 1e-16 * side:
            break
    return 1.0 / side


def smallest_grid(*, tokens: int, dim: int) -> int:
    """Smallest m with at least as many cells as tokens, m^d >= N: fewer and all inputs collide."""
    n, d = check_tokens(tokens), check_dim(dim)
    m = 1
    while m**d < n:
        m += 1
    return m


def last_label(grid: int, *, tokens: int, dim: int, coding: Coding) -> int:
    """Largest label L that any input without a collision receives.

    Parameters
    ----------
    grid : int
        Cells a side, m; m^d must be at least ``tokens``.
    tokens, dim : int
        Sequence length N and coordinates per token d.
    coding : {"sum", "rank"}
        Sum code V s + z_pad with V = 2U, or rank code N s + rank, U = m^d.

    Returns
    -------
    int
        L; labels run from 0 to L.

    Raises
    ------
    ValueError
        If there are fewer cells than tokens, or the coding is unknown.

    Notes
    -----
    The cells of a collision-free input, sorted, are read as digits in base U; the largest such
    number is s_max = Σ_{j=1..N} U^{N-j} (U-j).  The token in the last cell U-1 has the largest
    padded number z_pad = 2(U-1) - (m-1), and the last rank is N-1.
    """
    m, n, d = _check_grid(grid), check_tokens(tokens), check_dim(dim)
    cells = m**d
    if cells < n:
        raise ValueError(
            f"`grid` must give at least as many cells as tokens={n}, got grid={m} with {cells} "
            f"cells in dim={d}; take grid >= {smallest_grid(tokens=n, dim=d)}"
        )
    largest = sum(cells ** (n - j) * (cells - j) for j in range(1, n + 1))
    if _check_choice(coding, "coding", CODINGS) == "sum":
        return 2 * cells * largest + 2 * (cells - 1) - (m - 1)
    return n * largest + n - 1


def construction_loops(
    grid: int,
    *,
    tokens: int,
    dim: int,
    memoriser: Memoriser,
    coding: Coding,
    bits: int | None = None,
) -> int:
    """Exact loop count of one of this project's constructions on a grid of m cells a side.

    Parameters
    ----------
    grid : int
        Cells a side, m; m^d must be at least ``tokens``.
    tokens, dim : int
        Sequence length N and coordinates per token d.
    memoriser : {"increments", "timestep", "digits"}
        How labels become values.
    coding : {"sum", "rank"}
        How cells become labels 0..L, see :func:`last_label`.
    bits : int, optional
        Digits per label, q >= 1; required for ``"digits"`` and refused otherwise.

    Returns
    -------
    int
        (m - 1) + N + L + 1 for increments, (m - 1) + N + L for timestep, and
        (m - 1) + N + q (L + 1) + 1 for digits.

    Raises
    ------
    ValueError
        If there are fewer cells than tokens, an option is unknown or ``bits`` does not fit.

    Notes
    -----
    Increments are the memoriser of Lemma 4.1 (v7), timestep that of Theorem 4.2 (v7); digits and
    the rank code are this project's.

    Examples
    --------
    >>> construction_loops(4, tokens=2, dim=1, memoriser="timestep", coding="rank")
    34
    """
    kind, q = _check_memoriser(memoriser, bits)
    label = last_label(grid, tokens=tokens, dim=dim, coding=coding)
    stage_3 = {"increments": label + 1, "timestep": label, "digits": q * (label + 1) + 1}[kind]
    return (int(grid) - 1) + int(tokens) + stage_3


def largest_grid(
    loops: int,
    *,
    tokens: int,
    dim: int,
    memoriser: Memoriser,
    coding: Coding,
    bits: int | None = None,
) -> int | None:
    """Largest m whose construction fits into r loops, or None if none does.

    Parameters
    ----------
    loops : int
        Loop count r >= 1, of any size.
    tokens, dim, memoriser, coding, bits
        As in :func:`construction_loops`.

    Returns
    -------
    int or None
        m, found by integer bisection; None where even the smallest grid with as many cells as
        tokens needs more loops.
    """
    r = check_loops(loops)
    low = smallest_grid(tokens=tokens, dim=dim)

    def fits(grid: int) -> bool:
        count = construction_loops(
            grid, tokens=tokens, dim=dim, memoriser=memoriser, coding=coding, bits=bits
        )
        return count <= r

    if not fits(low):
        return None
    high = 2 * low
    while fits(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


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
    Source: Zhang, Lu & Zhao [2]_, whose net acts on the flattened input and is neither a
    Transformer nor permutation-equivariant.
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
    Source: Tian & Shen [3]_: L^2 error, scalar output, no timestep modulation.
    """
    t, s = check_loops(loops), _check_holder(holder)
    if t < 3:
        raise ValueError(f"`loops` must be at least 3 for the rate (log T/T)^(s/D), got {t}")
    exponent = s / (check_tokens(tokens) * check_dim(dim))
    return math.log(t) ** exponent * _power(t, -exponent)


def _printed_power(tokens: int, dim: int) -> int:
    """Return (N+1)d + 1."""
    return (check_tokens(tokens) + 1) * check_dim(dim) + 1


def _power(base: int, exponent: float) -> float:
    """Return ``base ** exponent`` as a float for a positive integer of any size."""
    if base <= LARGEST_EXACT_POWER:
        return float(base) ** exponent
    return math.exp(exponent * math.log(base))


def _power_of_half(base: int, exponent: float) -> float:
    """Return ``(base / 2) ** exponent`` as a float for a positive integer of any size."""
    if base <= LARGEST_EXACT_POWER:
        return float((base / 2) ** exponent)
    return math.exp(exponent * (math.log(base) - math.log(2)))


def _check_grid(grid: int) -> int:
    """Return m as an int; raise unless it is an integer >= 1."""
    if isinstance(grid, bool) or not hasattr(grid, "__index__"):
        raise TypeError(f"`grid` (cells a side m) must be an integer >= 1, got {grid!r}")
    if grid < 1:
        raise ValueError(f"`grid` (cells a side m) must be an integer >= 1, got {grid}")
    return int(grid)


def _check_holder(holder: float) -> float:
    """Return s; raise unless 0 < s <= 1."""
    s = float(holder)
    if not 0.0 < s <= 1.0:
        raise ValueError(f"`holder` (Hölder exponent s) must be in (0, 1], got {s:g}")
    return s


def _check_choice(value: T, name: str, choices: tuple[T, ...]) -> T:
    """Return ``value``; raise unless it is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")
    return value


def _check_memoriser(memoriser: Memoriser, bits: int | None) -> tuple[Memoriser, int]:
    """Return the memoriser and its bits per label (0 where it has none)."""
    kind = _check_choice(memoriser, "memoriser", MEMORISERS)
    if kind != "digits":
        if bits is not None:
            raise ValueError(f'`bits` belongs to memoriser="digits" only, got {bits} for {kind}')
        return kind, 0
    if bits is None or isinstance(bits, bool) or not hasattr(bits, "__index__") or bits < 1:
        raise ValueError(
            f'`bits` (digits per label q) must be an integer >= 1 for memoriser="digits", '
            f"got {bits!r}"
        )
    return kind, int(bits)
