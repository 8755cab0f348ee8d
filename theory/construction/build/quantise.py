"""Stage 1, loops 0..m-2: every token finds its cell.

Row x_i starts at M x_i, a position in strip widths, and falls by Mδ (one cell) every loop.  Two
units measure how far it is above Mδ, clipped to one strip:

    z += m^i (relu(x_i - Mδ) - relu(x_i - Mδ - 1)),       b_0 += the same for i = 0

Proof.  In loop t the row reads M x_i - t Mδ, so the bracket is clip(M (x_i - (t+1)δ), 0, 1): 0 at
or below the grid line (t+1)δ, 1 from one strip width 1/M above it.  After loops 0..m-2 the m-1
inner grid lines have each been counted once: z = Σ b_i m^i with b_i the number of grid lines below
x_i, which is the cell.  From loop m-1 on the row is at most M - (m-1) Mδ = Mδ, so both units are 0:
the stage runs always and is harmless afterwards.

Slack: exact unless some x_i lies within 1/M above a grid line (its *transition strip*), where b_i
is fractional, between the two neighbouring cells.  A grid line itself belongs to the cell below.
The strips of N tokens have measure at most dN(m-1)/M.  In any case 0 <= b_i <= m-1.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from looprate.theory.construction.build.network import Affine, Unit
from looprate.theory.construction.build.parts import Part
from looprate.theory.construction.build.spec import ConstructionSpec

ZERO, ONE = Fraction(0), Fraction(1)


def cell_coordinates(token: Sequence[Fraction | int], spec: ConstructionSpec) -> list[Fraction]:
    """Return b_0..b_{d-1} of one token with exact coordinates: integers off the strips."""
    return [sum((_passed(x, line, spec) for line in range(1, spec.grid)), ZERO) for x in token]


def cell_number(coordinates: Sequence[Fraction | int], spec: ConstructionSpec) -> Fraction:
    """Return z = Σ b_i m^i."""
    return sum((Fraction(b) * spec.grid**i for i, b in enumerate(coordinates)), ZERO)


def _passed(x: Fraction | int, line: int, spec: ConstructionSpec) -> Fraction:
    """clip(M (x - line δ), 0, 1): whether x is above a grid line, in its strip to what part."""
    return min(max(Fraction(spec.slope * x - line * spec.sharpness), ZERO), ONE)


def quantise_part(spec: ConstructionSpec) -> Part:
    """Rows x_i, z and, for the padding of the sum and the others code, b_0."""
    rows = {f"x_{i}": Affine({i: spec.slope}) for i in range(spec.dim)}
    rows["z"] = Affine()
    if spec.coding != "rank":
        rows["b_0"] = Affine()
    units = []
    for i in range(spec.dim):
        for name, below, sign in (("above", 0, 1), ("past", 1, -1)):
            writes = {"z": sign * spec.grid**i}
            if i == 0 and spec.coding != "rank":
                writes["b_0"] = sign
            units.append(Unit(f"{name}_{i}", {f"x_{i}": 1}, -spec.sharpness - below, writes))
    drift = {f"x_{i}": -spec.sharpness for i in range(spec.dim)}
    return Part(rows, units=tuple(units), drift=drift)
