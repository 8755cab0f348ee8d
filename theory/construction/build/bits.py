"""Stage 1 bit by bit, with eta(t) (this project's): cells in ceil(log2 m) loops instead of m - 1.

Row x_i starts at M x_i, a position in strip widths; a cell is Mδ wide.  Loop t has the place
p = 2^{n-1-t}, n = ceil(log2 m), and asks for the bit of that place: with row `line` at Mδ p,

    clip = relu(x_i - Mδ p) - relu(x_i - Mδ p - 1),
    x_i -= Mδ p clip,       z += m^i p clip,       b_0 += p clip for i = 0

(`line` takes its values as a drift of 1 times eta; Mδ p and p are eta of the other rows.)

Proof.  Off the strips a coordinate in cell b satisfies Mδ b + 1 <= M x <= Mδ (b+1), without the + 1
for b = 0.  If b >= p the clip is 1, if b < p it is 0, as b + 1 <= p; either way the rest satisfies
the same with the rest of b.  So the n bits of b are read off, z = Σ b_i m^i.  M x_i = x_i + Mδ b_i
is kept.

Slack: exact unless some x_i lies within 1/M above one of the m-1 inner grid lines, as in
:mod:`looprate.theory.construction.build.quantise`.  In any case 0 <= b_i <= m-1.  Proof: clips are
at least 0.  Let the last clip that is not 0 be c: before it the row is at least Mδ p + c, after it
at least Mδ p (1-c) + c = 1 + (1-c)(Mδ p - 1) >= 1.  So Mδ b_i <= M x_i - 1, at most Mδ (m-1) if x_i
is not above the last strip; above it b_i = m-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from looprate.theory.construction.build.network import Affine, Unit
from looprate.theory.construction.build.parts import Part, stepped

if TYPE_CHECKING:
    from looprate.theory.construction.build.spec import ConstructionSpec


def bitwise_coordinates(token: Sequence[Fraction | int], spec: ConstructionSpec) -> list[Fraction]:
    """Return b_0..b_{d-1} of one token with exact coordinates: integers off the strips."""
    return [_cell(Fraction(spec.slope * x), spec) for x in token]


def _cell(rest: Fraction, spec: ConstructionSpec) -> Fraction:
    """b of a coordinate in strip widths."""
    found = Fraction(0)
    for place in _places(spec):
        clip = min(max(rest - spec.sharpness * place, Fraction(0)), Fraction(1))
        rest -= spec.sharpness * place * clip
        found += place * clip
    return found


def bits_part(spec: ConstructionSpec) -> Part:
    """Rows x_i, z, line and, for the padding of the sum and the others code, b_0."""
    places = _places(spec)
    coordinates = [f"x_{i}" for i in range(spec.dim)]
    counted = ["z"] if spec.coding == "rank" else ["z", "b_0"]
    line, drift, eta = stepped("line", [spec.sharpness * place for place in places])
    units = []
    for i, row in enumerate(coordinates):
        for name, below, sign in (("above", 0, 1), ("past", 1, -1)):
            writes = {row: -sign, "z": sign * spec.grid**i}
            if i == 0 and "b_0" in counted:
                writes["b_0"] = sign
            units.append(Unit(f"{name}_{i}", {row: 1, "line": -1}, -below, writes))
    rows = {row: Affine({i: spec.slope}) for i, row in enumerate(coordinates)}
    rows |= {**dict.fromkeys(counted, Affine()), **line}
    eta |= dict.fromkeys(coordinates, tuple(spec.sharpness * place for place in places))
    eta |= dict.fromkeys(counted, tuple(places))
    return Part(rows, units=tuple(units), drift=drift, eta=eta)


def _places(spec: ConstructionSpec) -> list[int]:
    """Places of the bits of m - 1, the highest first."""
    return [2**t for t in reversed(range(spec.context_start))]
