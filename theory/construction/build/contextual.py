"""Stage 2, the N loops from m-1: tokens leave in the order of their cells; all learn that order.

One head of size 1 looks for the largest key c = z + UN - U left over all tokens (query 1; UN keeps
keys from being negative) and puts it into row `largest`.  Then, all within the loop,

    s    += (U-1) s + largest                        Horner: s <- U s + largest
    left += relu(c - largest + 1)                    1 for tokens that attained the maximum, else 0
    rank += relu(1 - left) - relu(c - largest + 1)   1 while the token is still in
    largest -= relu(largest)                         cleared for the next loop, in every loop

Proof, for distinct integer cells z_(1) > ... > z_(N).  Tokens that have left have keys at most
UN - 1, the others at least UN: round j finds z_(j) + UN.  Keys differ by at least 1, so
relu(c - largest + 1) is 1 for that token and 0 for all others.  After N rounds every token has

    s = Σ_j U^{N-j} z_(j)  +  code_offset,      code_offset = UN (U^{N-1} + ... + 1),

and rank = its place in the order, 0 for the largest cell.

Always (ties, strips): 0 <= z <= U-1 and largest >= c give 0 <= relu(c - largest + 1) <= 1, so
0 <= left <= N, 0 <= c <= U-1+UN, 0 <= s <= largest_code = (U-1+UN)(U^{N-1} + ... + 1), and
-N <= rank <= N.  Tokens in one cell attain the maximum together, with equal values: ties in the
hardmax average equal numbers.

Outside its N loops the stage must rest.  With eta(t), eta is 0 on rows s, left and rank there.
Without, row `gate` of :mod:`looprate.theory.construction.build.gate` enters every unit above with a
negative weight at least as large as all it can hold: 1 for relu(c - largest + 1) <= 1 and
relu(1 - left) <= 1, U largest_code for (U-1) s + largest.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from looprate.theory.construction.build.gate import closed, window
from looprate.theory.construction.build.network import Affine, Head, Unit
from looprate.theory.construction.build.parts import Part

if TYPE_CHECKING:
    from looprate.theory.construction.build.spec import ConstructionSpec


def contextual_code(
    cells: Sequence[Fraction | int], spec: ConstructionSpec
) -> tuple[Fraction, list[Fraction]]:
    """Return s without its offset, and the rank of each token, for any cell numbers z.

    Written as the stage computes it, so that colliding and fractional cells are covered too.
    """
    base, left = spec.cells, [Fraction(0)] * len(cells)
    rank, code = [Fraction(0)] * len(cells), Fraction(0)
    for _ in cells:
        keys = [z - base * out for z, out in zip(cells, left, strict=True)]
        best = max(keys)
        leaving = [max(key - best + 1, Fraction(0)) for key in keys]
        code = base * code + best
        rank = [
            place + max(1 - out, Fraction(0)) - go
            for place, out, go in zip(rank, left, leaving, strict=True)
        ]
        left = [out + go for out, go in zip(left, leaving, strict=True)]
    return code, rank


def code_offset(spec: ConstructionSpec) -> int:
    """Return what the shift UN of every key adds to row s: UN (U^{N-1} + ... + 1)."""
    return spec.cells * spec.tokens * _repunit(spec)


def largest_code(spec: ConstructionSpec) -> int:
    """Return an upper bound of row s for any input: (U-1+UN)(U^{N-1} + ... + 1)."""
    return (spec.cells - 1 + spec.cells * spec.tokens) * _repunit(spec)


def contextual_part(spec: ConstructionSpec) -> Part:
    """Rows s, left, largest, one, clock and, where needed, rank."""
    cells, key = spec.cells, {"z": 1, "one": spec.cells * spec.tokens, "left": -spec.cells}
    shut = cells * largest_code(spec)
    rows = {
        "s": Affine(),
        "left": Affine(),
        "largest": Affine(),
        "one": Affine(bias=1),
        "clock": Affine(),
    }
    leave, units = {"left": 1}, []
    if spec.coding == "rank":
        rows["rank"], leave["rank"] = Affine(), -1
        units.append(Unit("still_in", {"left": -1, **closed(spec, 1)}, 1, {"rank": 1}))
    units += [
        Unit("leave", {**key, "largest": -1, **closed(spec, 1)}, 1, leave),
        Unit("horner", {"s": cells - 1, "largest": 1, **closed(spec, shut)}, 0, {"s": 1}),
        Unit("clear_largest", {"largest": 1}, 0, {"largest": -1}),
    ]
    eta = window(spec, *(row for row in ("s", "left", "rank") if row in rows))
    head = Head(query={"one": 1}, key=key, value=key, output={"largest": 1})
    return Part(rows, heads=(head,), units=tuple(units), drift={"clock": 1}, eta=eta)


def _repunit(spec: ConstructionSpec) -> int:
    """U^{N-1} + ... + U + 1."""
    return sum(spec.cells**j for j in range(spec.tokens))
