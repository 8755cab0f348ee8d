"""Exact loop counts of the looped Transformer's constructions on a grid of m cells a side.

The proof of Theorem 3.6 (v7) spends its loops in three stages on a grid of m = 1/δ cells a side:
quantise (m - 1), contextual mapping (N), value mapping (one loop per label).  Three counts follow:

* the printed one, r = N + 2 m^{(N+1)d+1}, of the theorem's statement;
* the sum of the paper's own stages, (m - 1) + N + (2 m^{(N+1)d} - 1), which needs fewer loops;
* the exact counts of this project's constructions, which end with the last label in use.

Counts are exact Python integers of any size.

Source: Xu & Sato, On Expressive Power of Looped Transformers, ICML 2025, arXiv 2410.01405v7.
"""

from __future__ import annotations

from typing import get_args

from looprate.theory.construction.build.memoriser import Coding
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.notation import check_choice, check_dim, check_loops, check_tokens

__all__ = [
    "CODINGS",
    "Coding",
    "construction_loops",
    "label_power",
    "largest_grid",
    "last_label",
    "paper_stage_loops",
    "printed_loops",
    "quantise_loops",
    "smallest_grid",
    "strip_count",
]

THEOREMS = ("theorem-3.6", "theorem-3.6-stages")  # with the printed count, with the stages' own
CODINGS: tuple[Coding, ...] = get_args(Coding)


def printed_power(tokens: int, dim: int) -> int:
    """Power (N+1)d + 1 of m in the printed count of Theorem 3.6 (v7)."""
    return (check_tokens(tokens) + 1) * check_dim(dim) + 1


def printed_loops(grid: int, *, tokens: int, dim: int) -> int:
    """Exact loop count N + 2 m^{(N+1)d+1} at which the printed cell width is 1/m.

    Notes
    -----
    Source: Theorem 3.6 (v7).
    """
    return check_tokens(tokens) + 2 * _check_grid(grid) ** printed_power(tokens, dim)


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


def smallest_grid(*, tokens: int, dim: int, coding: Coding = "rank") -> int:
    """Smallest m with at least as many cells as tokens, m^d >= N: fewer and all inputs collide.

    On the others code nothing collides, and m = 1 will do.
    """
    n, d = check_tokens(tokens), check_dim(dim)
    m = 1
    if check_choice(coding, "coding", CODINGS) == "others":
        return m
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
    coding : {"sum", "rank", "others"}
        Sum code V s + z_pad with V = 2U, rank code N s + rank, or others code V s' + z_pad, U = m^d
        and s' of the other tokens alone.

    Returns
    -------
    int
        L; labels run from 0 to L.

    Raises
    ------
    ValueError
        If there are fewer cells than tokens and these could collide, or the coding is unknown.

    Notes
    -----
    On the others code all N-1 other tokens may be in the last cell, s' = U^{N-1} - 1, and
    L = 2 U^N - m - 1.  On the other codes the cells of a collision-free input, sorted, are read as
    digits in base U; the largest such number is s_max = Σ_{j=1..N} U^{N-j} (U-j).  The token in the
    last cell U-1 has the largest padded number z_pad = 2(U-1) - (m-1), and the last rank is N-1.
    """
    m, n, d = _check_grid(grid), check_tokens(tokens), check_dim(dim)
    cells = m**d
    if check_choice(coding, "coding", CODINGS) == "others":
        return 2 * cells**n - m - 1
    if cells < n:
        raise ValueError(
            f"`grid` must give at least as many cells as tokens={n}, got grid={m} with {cells} "
            f"cells in dim={d}; take grid >= {smallest_grid(tokens=n, dim=d)}"
        )
    largest = sum(cells ** (n - j) * (cells - j) for j in range(1, n + 1))
    if coding == "sum":
        return 2 * cells * largest + 2 * (cells - 1) - (m - 1)
    return n * largest + n - 1


def label_power(*, tokens: int, dim: int, coding: Coding) -> int:
    """Power of m in the number of labels: (N+1)d on the sum code, Nd on the others."""
    extra = check_choice(coding, "coding", CODINGS) == "sum"
    return (check_tokens(tokens) + extra) * check_dim(dim)


def quantise_loops(grid: int, *, memoriser: str) -> int:
    """Loops of the quantiser that goes with a memoriser: m - 1, a line each, or ceil(log2 m)."""
    m = _check_grid(grid)
    return (m - 1).bit_length() if memoriser_kind(memoriser).bitwise else m - 1


def strip_count(grid: int, *, tokens: int, dim: int, coding: Coding) -> int:
    """Measure of the strips times the slope M: dN(m-1), and N(N-1) more on the others code.

    A coordinate is in one of the m-1 strips of width 1/M with probability (m-1)/M.  The others code
    needs first coordinates that differ by 1/M or more: each of C(N,2) pairs of tokens fails to with
    a probability of at most 2/M.
    """
    m, n, d = _check_grid(grid), check_tokens(tokens), check_dim(dim)
    near = n * (n - 1) if check_choice(coding, "coding", CODINGS) == "others" else 0
    return d * n * (m - 1) + near


def construction_loops(
    grid: int,
    *,
    tokens: int,
    dim: int,
    memoriser: str,
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
    memoriser : str
        How labels become values, one of :data:`looprate.theory.construction.memorisers.MEMORISERS`.
    coding : {"sum", "rank", "others"}
        How cells become labels 0..L, see :func:`last_label`.
    bits : int, optional
        Digits per label, q >= 1; required where the memoriser takes them and refused
        otherwise.

    Returns
    -------
    int
        N and the quantiser's, :func:`quantise_loops`, and the memoriser's: L + 1 for increments, L
        for timestep, q (L + 1) + 1 for digits.

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
    kind = memoriser_kind(memoriser)
    q = kind.checked_bits(bits)
    label = last_label(grid, tokens=tokens, dim=dim, coding=coding)
    return quantise_loops(grid, memoriser=memoriser) + int(tokens) + kind.loops(label, q)


def largest_grid(
    loops: int,
    *,
    tokens: int,
    dim: int,
    memoriser: str,
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
    low = smallest_grid(tokens=tokens, dim=dim, coding=coding)

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


def _check_grid(grid: int) -> int:
    """Return m as an int; raise unless it is an integer >= 1."""
    if isinstance(grid, bool) or not hasattr(grid, "__index__"):
        raise TypeError(f"`grid` (cells a side m) must be an integer >= 1, got {grid!r}")
    if grid < 1:
        raise ValueError(f"`grid` (cells a side m) must be an integer >= 1, got {grid}")
    return int(grid)
