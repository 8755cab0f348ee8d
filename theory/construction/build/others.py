"""Stage 2 of the others code (this project's): every token learns the cells of the *other* tokens.

Two heads of size 1 with the same key, in N loops.  Tokens leave in the order of their first
coordinates, real numbers, which do not tie: so tokens of one cell are handled as any others, and
nothing collides.  The key is

    κ = M x_0 + ΩN - Ω left,       Ω = M + 1,

M x_0 made of the quantiser's rows, which keep it.  One head looks for the largest κ and returns it
into row `top`, the other returns z of the same token into row `cell`.  Then, all within the loop,

    left += relu(κ - top + 1)               1 for the token that attained the maximum, else 0
    A     = (U-1) s + cell
    s    += relu(A) - relu(A - B (top-κ))   Horner: s <- U s + cell, but not for that token
    top  -= relu(top),  cell -= relu(cell)  cleared for the next loop, in every loop

Proof, where first coordinates differ by at least 1/M.  M x_0 is in [0, M]: the keys of tokens that
have left are at most ΩN - 1, of others at least ΩN, and keys of two tokens that are in differ by at
least 1.  So round j finds the token of the j-th largest x_0; top - κ is 0 for it and at least 1 for
all others, where B >= A makes the difference A.  After N rounds every token has

    s = Σ_{i<N} U^{N-1-i} z'_(i),      z'_(1), z'_(2), ... the cells of the others in that order.

Always (near ties, strips): 0 <= z <= U-1, κ >= 0 and top >= κ, so 0 <= cell <= U-1,
0 <= relu(κ - top + 1) <= 1, 0 <= left <= N, and s grows by something in [0, A]: before round j
(0, 1, ...) 0 <= s <= U^j - 1, hence A <= (U-1) U^j <= B = (U-1) U^{N-1}, and at last s <= U^N - 1.
Outside stage 2 A <= (U-1) U^N.

The measure of near ties, |x_0 - x_0'| < 1/M for some pair, is at most N(N-1)/M.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from looprate.theory.construction.build.gate import closed, window
from looprate.theory.construction.build.network import Affine, Form, Head, Unit
from looprate.theory.construction.build.parts import Part

if TYPE_CHECKING:
    from looprate.theory.construction.build.spec import ConstructionSpec


def others_codes(
    positions: Sequence[Fraction | int], cells: Sequence[Fraction | int], spec: ConstructionSpec
) -> list[Fraction]:
    """Return s of every token, for any first coordinates x_0 and cell numbers z.

    Written as the stage computes it, so that near ties and fractional cells are covered too.
    """
    base, far, skip = spec.cells, spec.slope + 1, _skip(spec)
    left = [Fraction(0)] * len(cells)
    codes = [Fraction(0)] * len(cells)
    places = [Fraction(spec.slope * x) for x in positions]
    for _ in cells:
        keys = [place - far * out for place, out in zip(places, left, strict=True)]
        top = max(keys)
        best = [Fraction(z) for key, z in zip(keys, cells, strict=True) if key == top]
        found = sum(best, Fraction(0)) / len(best)
        grown = [(base - 1) * s + found for s in codes]
        codes = [
            s + more - max(more - skip * (top - key), Fraction(0))
            for s, more, key in zip(codes, grown, keys, strict=True)
        ]
        left = [out + max(key - top + 1, Fraction(0)) for out, key in zip(left, keys, strict=True)]
    return codes


def largest_others_code(spec: ConstructionSpec) -> int:
    """Return an upper bound of row s for any input: U^N - 1."""
    return int(spec.cells**spec.tokens) - 1


def others_part(spec: ConstructionSpec) -> Part:
    """Rows s, left, top, cell, one and clock, and two heads."""
    base, far, skip = spec.cells, spec.slope + 1, _skip(spec)
    key = {**_position(spec), "one": far * spec.tokens, "left": -far}
    grown = {"s": base - 1, "cell": 1, **closed(spec, (base - 1) * base**spec.tokens)}
    behind = {row: skip * weight for row, weight in key.items()} | {"top": -skip}
    units = (
        Unit("leave", {**key, "top": -1, **closed(spec, 1)}, 1, {"left": 1}),
        Unit("horner", grown, 0, {"s": 1}),
        Unit("skip_own", {**behind, **grown}, 0, {"s": -1}),
        Unit("clear_top", {"top": 1}, 0, {"top": -1}),
        Unit("clear_cell", {"cell": 1}, 0, {"cell": -1}),
    )
    heads = (
        Head(query={"one": 1}, key=key, value=key, output={"top": 1}),
        Head(query={"one": 1}, key=key, value={"z": 1}, output={"cell": 1}),
    )
    rows = dict.fromkeys(("s", "left", "top", "cell"), Affine())
    rows |= {"one": Affine(bias=1), "clock": Affine()}
    return Part(rows, heads, units, drift={"clock": 1}, eta=window(spec, "s", "left"))


def _position(spec: ConstructionSpec) -> Form:
    """M x_0 off the rows: what the quantiser took away is given back."""
    return {"x_0": 1, "b_0" if spec.bitwise else "clock": spec.sharpness}


def _skip(spec: ConstructionSpec) -> int:
    """B, at least A in stage 2 and at least 1."""
    return max((spec.cells - 1) * int(spec.cells ** (spec.tokens - 1)), 1)
