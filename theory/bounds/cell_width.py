"""Cell width δ of the construction for r loops, and the loops for a cell width.

They invert the counts of :mod:`looprate.theory.bounds.loop_counts`, the printed one or the sum of
the paper's own stages, with a real 1/δ in place of the grid m.  Widths are floats, loops are
integers of any size.

Source: Xu & Sato, On Expressive Power of Looped Transformers, ICML 2025, arXiv 2410.01405v7.
"""

from __future__ import annotations

import math

from looprate.theory.bounds.loop_counts import printed_power
from looprate.theory.bounds.rates import LARGEST_EXACT_POWER, theorem_exponent
from looprate.theory.notation import check_delta, check_dim, check_loops, check_tokens

__all__ = ["delta_of_loops", "delta_of_stages", "loops_of_delta"]

NEWTON_STEPS = 200  # monotone Newton on a convex polynomial; far more than it ever takes


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
        return check_tokens(tokens) + 2.0 * width ** -printed_power(tokens, dim)
    except OverflowError:
        return math.inf


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


def _power_of_half(base: int, exponent: float) -> float:
    """Return ``(base / 2) ** exponent`` as a float for a positive integer of any size."""
    if base <= LARGEST_EXACT_POWER:
        return float((base / 2) ** exponent)
    return math.exp(exponent * (math.log(base) - math.log(2)))
