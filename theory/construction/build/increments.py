"""Stage 3 by increments, the memoriser of Lemma 4.1 (v7): no timestep, error <= the largest gap.

Per coordinate let [low, high] be the range of the labels' values, gap = max_k |y_k - y_{k-1}|, and
put a lattice of step = range / n over the range, ends included, with n = floor(range / gap).  The
counts c_k = nearest lattice point of y_k satisfy |c_k - c_{k-1}| <= 1, since nearest points of
numbers at most one step >= gap apart are at most one apart.  (A lattice of n + 1 steps is taken
where their counts satisfy it, too: labels are rounded, and a gap may be a hair above range/n.)  So
the labels are a string of L increments -1, 0, +1.

It is held in one row C, in base 4 with digits 0, 1, 2.  Every loop

    D <- leading digit of C,    C <- 4 (C without it) + 1          a zero increment is shifted in

and one loop later, with j = t - values_start the label number of the loop,

    y += step01(k - j) if D = 2,   y -= step01(k - j) if D = 0,    step01(u) = relu(u+1) - relu(u).

B shuts the other one: step01(k - j + B (D-2)) and step01(k - j - B D), B > k - j + 1 always.
In the end y = c_k - c_0 for k in 0..L, and L2 reads low + step (c_0 + y).

Error: |lattice point - y_k| <= step/2 <= gap per coordinate (near gap/2 where the range is many
gaps), whatever the coding.
Range: for any real k the result is c_0 + Σ_j (c_j - c_{j-1}) clip(k-j+1, 0, 1), the linear
interpolation of the counts at k clipped to [0, L]: between the smallest and the largest label.
Further loops shift in zero increments and change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from looprate.theory.construction.build.coding import label_form, largest_label
from looprate.theory.construction.build.memoriser import MemoriserKind
from looprate.theory.construction.build.network import Affine, Decoder, Unit
from looprate.theory.construction.build.parts import Part

if TYPE_CHECKING:
    from looprate.theory.construction.build.labels import LabelTable
    from looprate.theory.construction.build.spec import ConstructionSpec


@dataclass(frozen=True)
class Lattice:
    """Counts c_k of the labels of one coordinate: label k is near low + step c_k."""

    low: Fraction
    step: Fraction
    counts: list[int]


def increment_lattice(table: LabelTable, coordinate: int) -> Lattice:
    """Return the lattice of one coordinate: neighbouring counts differ by at most 1."""
    values = [int(v) for v in table.values[:, coordinate]]
    low, span = min(values), max(values) - min(values)
    gap = max((abs(b - a) for a, b in pairwise(values)), default=0)
    if not gap:
        return Lattice(table.unit * low, Fraction(0), [0] * len(values))
    for points in (span // gap + 1, span // gap):
        counts = [(2 * points * (v - low) + span) // (2 * span) for v in values]
        if all(abs(b - a) <= 1 for a, b in pairwise(counts)):
            break
    return Lattice(table.unit * low, table.unit * Fraction(span, points), counts)


def increments_value(k: Fraction | int, lattice: Lattice) -> Fraction:
    """Return what the memoriser answers at label k, any real number."""
    last = len(lattice.counts) - 1
    at = min(max(Fraction(k), Fraction(0)), Fraction(last))
    floor = min(int(at), last - 1) if last else 0
    step = lattice.counts[min(floor + 1, last)] - lattice.counts[floor]
    return lattice.low + lattice.step * (lattice.counts[floor] + (at - floor) * step)


def _part(spec: ConstructionSpec, table: LabelTable) -> tuple[Part, Decoder]:
    """Rows y_i, C_i, D_i and their units, and L2."""
    rows: dict[str, Affine] = {}
    units: list[Unit] = []
    drift: dict[str, int] = {}
    decoder: Decoder = ()
    for i in range(spec.dim):
        lattice = increment_lattice(table, i)
        string = "1" * spec.values_start  # zero increments before stage 3
        string += "".join(str(b - a + 1) for a, b in pairwise(lattice.counts))
        rows |= {f"y_{i}": Affine(), f"D_{i}": Affine(bias=1)}
        rows[f"C_{i}"] = Affine(bias=int(string, 4))
        drift[f"C_{i}"] = 1
        units += _shift_units(i, len(string)) + _value_units(i, spec)
        bias = lattice.low + lattice.step * lattice.counts[0]
        decoder += (({f"y_{i}": lattice.step}, bias),)
    return Part(rows, units=tuple(units), drift=drift), decoder


def _shift_units(i: int, digits: int) -> list[Unit]:
    """Units of D <- leading digit of C, C <- 4 C - 4^digits D (+ 1 by drift)."""
    units = [
        Unit(f"shift_{i}", {f"C_{i}": 1}, 0, {f"C_{i}": 3}),
        Unit(f"clear_D_{i}", {f"D_{i}": 1}, 0, {f"D_{i}": -1}),
    ]
    for digit in (1, 2):
        for name, more, sign in (("from", 1, 1), ("past", 0, -1)):
            writes = {f"D_{i}": sign, f"C_{i}": -sign * 4**digits}
            bias = more - digit * 4 ** (digits - 1)
            units.append(Unit(f"digit_{digit}_{name}_{i}", {f"C_{i}": 1}, bias, writes))
    return units


def _value_units(i: int, spec: ConstructionSpec) -> list[Unit]:
    """Units of y_i += step01(k - j + B (D-2)) - step01(k - j - B D), j = t - values_start."""
    form, offset = label_form(spec)
    shut = largest_label(spec) + spec.values_start + 2
    units = []
    for name, weight, bias, sign in (("up", shut, -2 * shut, 1), ("down", -shut, 0, -1)):
        reads = {**form, "clock": -1, f"D_{i}": weight}
        for part, more in (("from", 1), ("past", 0)):
            writes = {f"y_{i}": sign if more else -sign}
            total = offset + spec.values_start + bias + more
            units.append(Unit(f"{name}_{part}_{i}", reads, total, writes))
    return units


def _answer(spec: ConstructionSpec, table: LabelTable) -> Callable[[Fraction | int, int], Fraction]:
    """What is answered at label k in coordinate i."""
    lattices = [increment_lattice(table, i) for i in range(spec.dim)]
    return lambda k, i: increments_value(k, lattices[i])


INCREMENTS = MemoriserKind(
    name="increments",
    source="Lemma 4.1",
    coding="sum",  # neighbouring labels need to have near values
    loops=lambda label, _: label + 1,
    error=lambda coding, _: (0, Fraction(1)) if coding == "rank" else (1, Fraction(0)),
    part=_part,
    answer=_answer,
    seconds_a_loop=4e-5,
    seconds_a_column=2e-9,
    bits_a_loop=2.0,
)
