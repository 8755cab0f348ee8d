"""The explicit inequality: an error bound of a construction with every constant in place, proved.

The explicit inequality
-----------------------
Let a construction with grid m = 1/δ answer every cell that does not collide within e_mem of f at
the cell's centre, in every entry, and let every output lie between the smallest and the largest
value of f in that entry.  Let D bound the oscillation of every entry, let μ_c be the measure of the
cells that collide and μ = min(1, μ_c + dN(m-1)/M).  Then

    ‖net - f‖_{L^p} <= w(δ√(Nd)/2) + (Nd)^{1/p} e_mem + (Nd)^{1/p} D μ^{1/p}

Proof.  Off a set of measure μ no cell collides and no coordinate lies in one of the m-1 transition
strips of width 1/M.  There the output is within e_mem per entry of f at the centre, which is at
most δ√(Nd)/2 away.  On the rest both output and f lie in intervals of length D.  Minkowski's
inequality adds the two.

Collisions: μ_c <= C(N,2) δ^d: each pair of tokens shares a cell with probability δ^d.  For N = 2
it is δ^{2d}: the mapping takes two tokens in one cell z as z and, one U lower, as z again, so that
s = U(z-1) + z, which no two distinct cells have and which the label table fills with f at the
centre; for z = 0 alone s is negative.

On the others code nothing collides, but first coordinates must be 1/M apart: dN(m-1) + N(N-1) takes
the place of dN(m-1).

Increments of Lemma 4.1 (v7) on the sum code have e_mem <= w_tok(δ√d) + w_cont(δ√(Nd)): two labels
in use that are g apart stem from cells at most g δ√d (token) and g δ√(Nd) (its context) apart.  On
the others code it is w_cont(δ√((N-1)d)), since a label has the N-1 other tokens alone
(:mod:`looprate.theory.construction.build.labels`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TypedDict

from looprate.theory.bounds import loop_counts
from looprate.theory.bounds.loop_counts import Coding
from looprate.theory.bounds.rows import (
    BoundProblem,
    BoundRow,
    Moduli,
    ModuliRecorder,
    all_terms,
    judged_row,
)
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.notation import check_loops

__all__ = ["explicit_bound"]

FINEST_GRID = 10**150  # the square of a cell's width is a float64; a coarser grid fits, too
MOST_BITS = 64  # digits per label that a free choice of q looks at


class _Construction(TypedDict):
    """The keywords that name a construction in :mod:`looprate.theory.bounds.loop_counts`."""

    tokens: int
    dim: int
    memoriser: str
    coding: Coding


def explicit_bound(
    moduli: Moduli,
    loops: int,
    *,
    tokens: int,
    dim: int,
    p: float,
    oscillation: float,
    memoriser: str,
    coding: Coding,
    bits: int | None = None,
    grid: int | None = None,
    slope: float = math.inf,
    trivial: float | None = None,
    trivial_stderr: float | None = None,
) -> BoundRow:
    """Explicit inequality at the largest grid of a construction that fits into r loops.

    w(δ√(Nd)/2) + (Nd)^{1/p} e_mem + (Nd)^{1/p} D μ^{1/p}, μ = min(1, μ_c + dN(m-1)/M),

    μ_c = C(N,2) δ^d, for N = 2 even δ^{2d}, on the others code 0, with N(N-1)/M more for ties.

    Parameters
    ----------
    moduli, loops, tokens, dim, p, oscillation, slope, trivial, trivial_stderr
        As in :func:`looprate.theory.bounds.theorem.theorem_3_6_bound`; r may be at most N.
    memoriser : str
        One of :data:`looprate.theory.construction.memorisers.MEMORISERS`; for increments, timestep
        and digits e_mem is min(D, w_tok(δ√d) + w_cont(δ√(Nd))), 0 and 2^{-q} D, in two levels the
        same.
    coding : {"sum", "rank", "others"}
        Increments need the sum or the others code, the latter with w_cont(δ√((N-1)d)): on the rank
        code neighbouring labels are unrelated and e_mem is D.
    bits : int, optional
        Digits per label q of a memoriser that takes them; left out, the q <= 64 of the smallest
        total, or with a chosen ``grid`` the largest that fits.
    grid : int, optional
        Cells a side m whose loops fit into r (further loops change nothing); left out, the largest
        such m, which at a finite slope M need not be the best: strips grow with m.

    Returns
    -------
    BoundRow
        ``strips`` holds what the strips add to the collisions in μ^{1/p}.  Where no grid fits, a
        constant network in f's range still has error at most (Nd)^{1/p} D; that is the total, as
        ``collisions``, with ``grid=None`` and δ = 1.

    Raises
    ------
    ValueError
        If an argument is out of range or an option unknown.

    Notes
    -----
    Source: this project; proof in the module's docstring.  It allows p = inf, with the essential
    supremum for the norm: a bad set of positive measure then costs the whole D, so the inequality
    is true but says nothing unless N = 1 and M is infinite.
    """
    problem = BoundProblem(tokens, dim, p, oscillation, slope, trivial, trivial_stderr)
    r = check_loops(loops)
    version = f"explicit inequality, {memoriser} on the {coding} code"
    how = _Construction(tokens=tokens, dim=dim, memoriser=memoriser, coding=coding)

    def row(q: int | None) -> BoundRow:
        recorder = ModuliRecorder(moduli)  # of this row alone: others may not be taken
        side = grid if grid is not None else loop_counts.largest_grid(r, bits=q, **how)
        side = side and min(side, FINEST_GRID)
        if side is None:
            terms = all_terms(collisions=problem.ceiling)
        else:
            _check_fits(loop_counts.construction_loops(side, bits=q, **how), r, side)
            terms = _explicit_terms(problem, recorder, side, memoriser, coding, q)
        return judged_row(
            problem,
            r,
            terms,
            delta=1.0 if side is None else 1.0 / side,
            grid=side,
            side=recorder.side,
            version=version,
            bits=q,
        )

    if not memoriser_kind(memoriser).takes_bits or bits is not None:
        return row(bits)
    if grid is None:
        return _best_bits(row)
    loops_of = partial(loop_counts.construction_loops, grid, **how)
    return row(max((q for q in range(2, MOST_BITS + 1) if loops_of(bits=q) <= r), default=1))


def collision_power(tokens: int, dim: int, coding: Coding) -> float:
    """Power of δ in μ_c: d, 2d for N = 2, inf where nothing collides."""
    if tokens == 1 or coding == "others":
        return math.inf
    return 2 * dim if tokens == 2 else dim


def _explicit_terms(
    problem: BoundProblem,
    modulus: ModuliRecorder,
    grid: int,
    memoriser: str,
    coding: Coding,
    bits: int | None,
) -> dict[str, float]:
    """Terms of the explicit inequality on a grid of m cells a side."""
    n, d, delta = problem.tokens, problem.dim, 1.0 / grid
    far = delta * math.sqrt(n * d)
    gaps, share = memoriser_kind(memoriser).error(coding, bits or 0)
    parts = [0.0, 0.0, problem.ceiling * float(share)]
    if gaps:
        parts[0] = gaps * problem.root * modulus("token", delta * math.sqrt(d))
        others = n - 1 if coding == "others" else n
        parts[1] = gaps * problem.root * modulus("contextual", delta * math.sqrt(others * d))
    if sum(parts) > problem.ceiling:  # e_mem never exceeds D; keep the shares
        parts = [part * (problem.ceiling / sum(parts)) for part in parts]
    token, context, other = parts
    power, colliding = collision_power(n, d, coding), 0.0
    if math.isfinite(power):
        colliding = problem.root_of(math.comb(n, 2)) * delta ** (power / problem.p)
    collisions = problem.on_measures(colliding)
    strips = loop_counts.strip_count(grid, tokens=n, dim=d, coding=coding) / problem.slope
    bad = problem.on_measures(colliding, problem.root_of(strips))
    return all_terms(
        token=token,
        context=context,
        sequence=modulus("sequence", far / 2.0),
        memoriser=other,
        collisions=collisions,
        strips=bad - collisions,
    )


def _best_bits(row: Callable[[int], BoundRow]) -> BoundRow:
    """Row of the smallest total over q; stops once the terms beside the memoriser's exceed it."""
    best = row(1)
    for q in range(2, MOST_BITS + 1):
        candidate = row(q)
        if candidate.total < best.total:
            best = candidate
        strips = candidate.terms["strips"]  # the only term that may shrink with a coarser grid
        if candidate.total - candidate.terms["memoriser"] - strips >= best.total:
            break
    return best


def _check_fits(needed: int, loops: int, grid: int) -> None:
    """Raise unless a chosen grid's loops fit."""
    if needed > loops:
        raise ValueError(f"`grid`={grid} needs {needed} loops, got loops={loops}")
