"""From the contextual code and the token to one label: the sum, the rank and the others code.

sum code (the paper's route)
    k = V s + z_pad,  z_pad = b_0 + 2m Σ_{i>=1} b_i m^{i-1} = 2z - b_0,  V = 2U.
    Proof that it is one to one: z_pad < 2U = V and b_0 < m, so s, then b_1.. and b_0 are read off k
    by division.  The padding moves the label by m+1, over m empty ones, at every carry of b_0, and
    by at least as many between two codes s; the label table fills the empty ones (see
    :mod:`looprate.theory.construction.build.labels`).
others code (this project's)
    k = V s + z_pad with the s of :mod:`looprate.theory.construction.build.others`, which has the
    cells of the other tokens alone: one factor U fewer labels.  One to one by the same proof.
    L = V (U^{N-1} - 1) + 2 (U-1) - (m-1) = 2 U^N - m - 1.
rank code (this project's)
    k = N s + rank.  One to one on distinct cells: rank < N, and the rank in the sorted cells s
    says which cell the token is in.  Fewer labels, but neighbours are unrelated.

Both are integers for integer cells.  For any input |k| is at most :func:`largest_label`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from looprate.theory.construction.build.contextual import code_offset, largest_code
from looprate.theory.construction.build.network import Form
from looprate.theory.construction.build.others import largest_others_code

if TYPE_CHECKING:
    from looprate.theory.construction.build.spec import ConstructionSpec

__all__ = ["label_form"]


def label(
    code: Fraction | int,
    *,
    cell: Fraction | int,
    first: Fraction | int,
    rank: Fraction | int,
    spec: ConstructionSpec,
) -> Fraction | int:
    """Return the label k of a token.

    Parameters
    ----------
    code : exact number
        s without its offset, on the others code the token's own.
    cell, first : exact number
        z and b_0 of the token; the sum and the others code read them.
    rank : exact number
        Its place in the order of cells; the rank code reads it.
    spec : ConstructionSpec
    """
    if spec.coding != "rank":
        return 2 * spec.cells * code + 2 * cell - first
    return spec.tokens * code + rank


def label_form(spec: ConstructionSpec) -> tuple[Form, int]:
    """Return k as a linear form of the rows and a bias that takes the offset of s away."""
    if spec.coding == "rank":
        scale, own = spec.tokens, {"rank": 1}
    else:
        scale, own = 2 * spec.cells, {"z": 2, "b_0": -1}
    offset = 0 if spec.coding == "others" else code_offset(spec)
    return {"s": scale, **own}, -scale * offset


def largest_label(spec: ConstructionSpec) -> int:
    """Return an upper bound of k over every input and every loop, partial states included."""
    if spec.coding == "rank":
        return spec.tokens * largest_code(spec) + spec.tokens
    largest = largest_others_code(spec) if spec.coding == "others" else largest_code(spec)
    return 2 * spec.cells * largest + 2 * (spec.cells - 1)
