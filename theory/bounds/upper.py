"""What some network reaches for every function of a Hölder class: the explicit inequality there.

On the class F(L, s) of :mod:`looprate.theory.bounds.lower` all three moduli are at most L t^s, and
the cube has diameter √(Nd), so D = L (Nd)^{s/2} bounds every entry's oscillation.  The explicit
inequality then holds for all f of the class at once, at M = inf up to any η > 0: the right-hand
side is an upper bound of the worst-case error, for networks of any family that has the
construction.  Every η(t) is a choice of blocks, one for each loop, with the outputs' weights
scaled, so ``"untied"`` has all constructions.

Source: this project; the explicit inequality's proof is in :mod:`looprate.theory.bounds.explicit`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.loop_counts import CODINGS, Coding
from looprate.theory.bounds.pattern_count import FAMILIES, Family
from looprate.theory.bounds.rates import check_holder
from looprate.theory.bounds.rows import BoundRow, Side
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.notation import Kind, check_choice, check_p

__all__ = ["worst_case_error_upper_bound"]


def worst_case_error_upper_bound(
    loops: int,
    *,
    tokens: int,
    dim: int,
    p: float = 1.0,
    lipschitz: float = 1.0,
    holder: float = 1.0,
    family: Family = "lt",
    memoriser: str | None = None,
    coding: Coding | None = None,
) -> BoundRow:
    """Return an upper bound of sup over f in F(L, s) of the least L^p error, M = inf.

    Parameters
    ----------
    loops, tokens, dim, p, lipschitz, holder
        As in :func:`looprate.theory.bounds.lower.worst_case_error_lower_bound`; p < inf, since in
        the supremum norm a strip counts however narrow it is.
    family : {"lt", "tmlt", "untied"}
        Weight-tied, with a free η(t), or a block for each loop.
    memoriser : str, optional
        Of this construction alone; left out, the least over all that the family has.
    coding : str, optional
        On this code alone; left out, the least over all.

    Returns
    -------
    BoundRow
        Of the construction of the smallest total, which ``version`` names; without a trivial bound.

    Raises
    ------
    ValueError
        If an argument is out of range, or the family has no such construction.
    """
    s = check_holder(holder)
    check_choice(family, "family", FAMILIES)
    if math.isinf(check_p(p)):
        raise ValueError("`p` must be finite, got inf: at every M some strip is left")

    oscillation = lipschitz * float(tokens * dim) ** (s / 2)
    if not (math.isfinite(oscillation) and lipschitz > 0):
        raise ValueError(
            "`lipschitz` (L) must be > 0, and L (Nd)^(s/2) at most the largest float64 number, got "
            f"{lipschitz:g}"
        )

    def moduli(kind: Kind, delta: float) -> tuple[float, Side]:
        return lipschitz * float(delta) ** s, "upper"

    rows = [
        explicit_bound(
            moduli,
            loops,
            tokens=tokens,
            dim=dim,
            p=p,
            oscillation=oscillation,
            memoriser=name,
            coding=code,
        )
        for name, code in _constructions(family)
        if memoriser in (None, name) and coding in (None, code)
    ]
    if not rows:
        raise ValueError(f"`memoriser` must be one that {family} has, got {memoriser} on {coding}")
    return min(rows, key=lambda row: row.total)


def _constructions(family: Family) -> Iterator[tuple[str, Coding]]:
    """The memorisers a family has, on every code that bounds their error."""
    for name, kind in MEMORISERS.items():
        if family != "lt" or not kind.modulated:
            yield from ((name, code) for code in CODINGS if kind.error(code, 64)[1] < 1)
