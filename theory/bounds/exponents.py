"""Both exponents of the worst case: what no network of a size falls faster than, and what one does.

Of the class F(L, s) of :mod:`looprate.theory.bounds.lower`, as r grows.  The first comes from the
lower bound as SymPy states it, the second from the loops that a compiled network takes: two ways
that share no formula.

Source: this project; a derivation not yet reviewed by others.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from looprate.theory.bounds.loop_counts import construction_loops
from looprate.theory.bounds.lower import MOST_SHAPE
from looprate.theory.bounds.rates import check_holder
from looprate.theory.notation import check_size

__all__ = ["exponent_rows"]

#: Family -> the construction on the others code that attains its exponent, without a logarithm.
ATTAINED_BY = {"lt": "increments", "tmlt": "two-level-increments"}
LARGE = 10**12  # m where lower powers are gone
FINEST = 10**4  # denominators of a Hölder exponent


@dataclass(frozen=True)
class ExponentRow:
    """One family's exponents of 1/r.

    Attributes
    ----------
    family : {"lt", "tmlt"}
        Weight-tied loops; with a free η(t).
    lower : Fraction
        The worst-case error falls no faster than this power of 1/r.
    upper : Fraction
        Some network of the size falls as fast as this, for every f of the class.
    memoriser : str
        Whose loops ``upper`` counts, on the others code.
    """

    family: str
    lower: Fraction
    upper: Fraction
    memoriser: str


def exponent_rows(*, tokens: int, dim: int, holder: float = 1.0) -> tuple[ExponentRow, ...]:
    """Return the exponents of the worst-case error in 1/r, from below and from above.

    Parameters
    ----------
    tokens, dim : int
        Sequence length N and coordinates per token d.
    holder : float
        Hölder exponent s in (0, 1] of the class.

    Returns
    -------
    tuple of ExponentRow
        Weight-tied loops first.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Examples
    --------
    >>> [str(row.lower) for row in exponent_rows(tokens=2, dim=1)]
    ['1/2', '1']
    """
    from looprate.theory.bounds.symbolic import SYMBOLS, worst_case_exponents  # half a second

    n, d = check_size(tokens, dim, most=MOST_SHAPE)
    s = Fraction(check_holder(holder)).limit_denominator(FINEST)
    values = {SYMBOLS["N"]: n, SYMBOLS["d"]: d, SYMBOLS["s"]: s}
    found = []
    for family, slope in worst_case_exponents().items():
        least = -slope.subs(values)
        name = ATTAINED_BY[family]
        reached = s / loop_power(tokens=n, dim=d, memoriser=name)
        found.append(ExponentRow(family, Fraction(int(least.p), int(least.q)), reached, name))
    return tuple(found)


def loop_power(*, tokens: int, dim: int, memoriser: str) -> Fraction:
    """Return the power of m that a construction's loops on the others code grow like.

    From its loops on two large grids, m and m²; half of a whole number, as there are two levels.
    """
    counts = [
        construction_loops(m, tokens=tokens, dim=dim, memoriser=memoriser, coding="others")
        for m in (LARGE, LARGE**2)
    ]
    power = (math.log2(counts[1]) - math.log2(counts[0])) / math.log2(LARGE)
    return Fraction(round(2 * power), 2)
