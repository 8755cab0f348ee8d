"""Stage 3 by digits (this project's): no timestep, error 2^{-q} of the range, any order of labels.

Per coordinate put 2^q lattice points over the range [low, high] of the labels, ends included; c_k
is the one nearest to y_k, a number of q bits.  All bits, label after label, highest first, are one
string in row C.  Every loop e <- leading bit of C, C <- 2 (C without it).  J is the label of the
loop and stays for q loops; with u = k - J

    y += relu(y + e - B|u|),    B = 2^{q+1},

which is y <- 2y + e where u = 0, so y ends as c_k; L2 reads low + step y.  The update costs three
units a coordinate and two for all, since for a >= 0
relu(a - |b|) = relu(a+b) + relu(a-b) - a - |b|   (a = y + e, b = B u).

Error: |lattice point - y_k| <= step/2 = range / (2 (2^q - 1)) <= 2^{-q} range per coordinate.
Range, for any real k: y <- y + relu(y + e - B|u|) <= 2y + e.  At most one J has |u| < 1/2.  While
y <= 2^q - 1, no other J changes y, for there B|u| >= 2^q >= y + e.  So y is 0 until that J, grows
to at most 2^q - 1 in its q loops (i loops: at most 2^i - 1), and stays: within [low, high].
y = 0 also where k is no label's number (collisions).  After the string e is 0 and J beyond k, or y
is 0: further loops change nothing.  Before stage 3 e and y are 0, whatever u is.

The sub-counter l starts at -(values_start + 1), grows by 1 a loop and at q-1 falls back to 0, which
moves J on.  Since l <= q-1 always, relu(l - q + 2) is 1 at q-1 and 0 below.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from looprate.theory.construction.build.coding import label_form
from looprate.theory.construction.build.increments import Lattice
from looprate.theory.construction.build.memoriser import MemoriserKind
from looprate.theory.construction.build.network import Affine, Decoder, Unit
from looprate.theory.construction.build.parts import Part

if TYPE_CHECKING:
    from looprate.theory.construction.build.labels import LabelTable
    from looprate.theory.construction.build.spec import ConstructionSpec


def digit_lattice(table: LabelTable, coordinate: int, bits: int) -> Lattice:
    """Return the lattice of one coordinate: 2^q points over the labels' range."""
    values = [int(v) for v in table.values[:, coordinate]]
    low, span, points = min(values), max(values) - min(values), 2**bits - 1
    if not span:
        return Lattice(table.unit * low, Fraction(0), [0] * len(values))
    counts = [(2 * points * (v - low) + span) // (2 * span) for v in values]
    return Lattice(table.unit * low, table.unit * Fraction(span, points), counts)


def digits_value(k: Fraction | int, lattice: Lattice, bits: int) -> Fraction:
    """Return what the memoriser answers at label k, any real number."""
    near = round(Fraction(k))
    y, distance = Fraction(0), abs(Fraction(k) - near)
    if 0 <= near < len(lattice.counts):
        for place in reversed(range(bits)):
            bit = lattice.counts[near] >> place & 1
            y += max(y + bit - 2 ** (bits + 1) * distance, Fraction(0))
    return lattice.low + lattice.step * y


def _part(spec: ConstructionSpec, table: LabelTable) -> tuple[Part, Decoder]:
    """Rows l, J, y_i, C_i, e_i and their units, and L2."""
    q = spec.bits or 0
    form, offset = label_form(spec)
    above, far = {**form, "J": -1}, 2 ** (q + 1)
    names = [f"y_{i}" for i in range(spec.dim)]
    below = {row: -weight for row, weight in above.items()}
    units = [
        Unit("next_label", {"l": 1}, 2 - q, {"l": -q, "J": 1}),
        Unit("label_above", above, offset, dict.fromkeys(names, -far)),
        Unit("label_below", below, -offset, dict.fromkeys(names, -far)),
    ]
    rows = {"l": Affine(bias=-spec.values_start - 1), "J": Affine()}
    decoder: Decoder = ()
    for i, name in enumerate(names):
        lattice = digit_lattice(table, i, q)
        string = "0" * spec.values_start + "".join(f"{c:0{q}b}" for c in lattice.counts)
        rows |= {name: Affine(), f"C_{i}": Affine(bias=int(string, 2)), f"e_{i}": Affine()}
        units += _shift_units(i, len(string))
        own = {name: 1, f"e_{i}": 1}
        for what, sign in (("up", 1), ("down", -1)):
            reads = {row: sign * far * weight for row, weight in above.items()}
            bias = sign * far * offset
            units.append(Unit(f"append_{what}_{i}", {**own, **reads}, bias, {name: 1}))
        units.append(Unit(f"append_{i}", own, 0, {name: -1}))
        decoder += (({name: lattice.step}, lattice.low),)
    return Part(rows, units=tuple(units), drift={"l": 1}), decoder


def _shift_units(i: int, digits: int) -> list[Unit]:
    """Units of e <- leading bit of C, C <- 2 C - 2^digits e."""
    units = [
        Unit(f"shift_{i}", {f"C_{i}": 1}, 0, {f"C_{i}": 1}),
        Unit(f"clear_e_{i}", {f"e_{i}": 1}, 0, {f"e_{i}": -1}),
    ]
    for name, more, sign in (("from", 1, 1), ("past", 0, -1)):
        writes = {f"e_{i}": sign, f"C_{i}": -sign * 2**digits}
        units.append(Unit(f"bit_{name}_{i}", {f"C_{i}": 1}, more - 2 ** (digits - 1), writes))
    return units


def _answer(spec: ConstructionSpec, table: LabelTable) -> Callable[[Fraction | int, int], Fraction]:
    """What is answered at label k in coordinate i."""
    q = spec.bits or 0
    lattices = [digit_lattice(table, i, q) for i in range(spec.dim)]
    return lambda k, i: digits_value(k, lattices[i], q)


DIGITS = MemoriserKind(
    name="digits",
    coding="rank",
    takes_bits=True,
    loops=lambda label, q: q * (label + 1) + 1,
    error=lambda _, q: (0, Fraction(1, 2**q)),
    part=_part,
    answer=_answer,
    seconds_a_loop=2e-4,
    seconds_a_column=4e-8,
    bits_a_loop=1.0,
)
