"""Stage 3 by digits in two levels (this project's): eta(t), any order, about 2 √(qK) loops.

Counts c_k of q bits as in :mod:`looprate.theory.construction.build.digits`.  The word of a group is
the q bits of each of its n labels, label after label, highest first
(:mod:`looprate.theory.construction.build.two_level`).  Row J is the place in the group whose bit
D_i is, p = q-1, ..., 0 the place of the bit, 2^p eta of row y_i; with u = b - J

    y += 2^p (relu(D + u) + relu(D - u) - relu(D) - relu(u) - relu(-u)) = 2^p relu(D - |u|)

as D >= 0, which is 2^p D where J = b and 0 elsewhere: y ends as c_k, and L2 reads low + step y.

Error: that of the digits, <= range / (2 (2^q - 1)) <= 2^{-q} range, in any order of the labels.
Range: for any real k, of each place p Σ_J relu(D_J - |b - J|) <= Σ_J relu(1 - |b - J|) <= 1, so
0 <= y <= Σ 2^p = 2^q - 1: within [low, high].  y = 0 where b is not in a group (collisions on the
rank code).  eta of y is 0 afterwards.

Loops: A + n q, with A = ceil(K/n).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from looprate.theory.construction.build.digits import DIGITS, digit_lattice
from looprate.theory.construction.build.increments import Lattice
from looprate.theory.construction.build.memoriser import MemoriserKind
from looprate.theory.construction.build.network import Affine, Decoder, Unit
from looprate.theory.construction.build.parts import Part, stepped
from looprate.theory.construction.build.two_level import (
    Groups,
    group_part,
    group_size,
    place_form,
    symbols_start,
)

if TYPE_CHECKING:
    from looprate.theory.construction.build.labels import LabelTable
    from looprate.theory.construction.build.spec import ConstructionSpec


def digit_groups(labels: int, bits: int) -> Groups:
    """Return the groups of K labels of q bits."""
    size = group_size(labels, bits)
    return Groups(size, -(-labels // size), size * bits, 1)


def _words(lattice: Lattice, groups: Groups, bits: int) -> list[int]:
    """The words of all groups; the last one is filled with 0."""
    own = [lattice.counts[a * groups.size : (a + 1) * groups.size] for a in range(groups.count)]
    strings = ["".join(f"{c:0{bits}b}" for c in counts) for counts in own]
    return groups.words([[int(bit) for bit in s.ljust(groups.symbols, "0")] for s in strings])


def grouped_value(k: Fraction | int, lattice: Lattice, groups: Groups, bits: int) -> Fraction:
    """Return what the memoriser answers at label k, any real number, pass by pass."""
    b, y = groups.place(k), Fraction(0)
    for place, symbol in enumerate(groups.read(groups.at(k, _words(lattice, groups, bits)))):
        label, bit = divmod(place, bits)
        y += 2 ** (bits - 1 - bit) * max(symbol - abs(b - label), Fraction(0))
    return lattice.low + lattice.step * y


def _part(spec: ConstructionSpec, table: LabelTable) -> tuple[Part, Decoder]:
    """Rows J, y_i and those of the groups, their units, and L2."""
    q = spec.bits or 0
    groups = digit_groups(spec.last_label + 1, q)
    lattices = [digit_lattice(table, i, q) for i in range(spec.dim)]
    names = [f"y_{i}" for i in range(spec.dim)]
    words = [_words(lattice, groups, q) for lattice in lattices]
    part = group_part(spec, groups, words, used=lambda i: {names[i]: -1})
    idle, places = symbols_start(spec, groups) + 1, range(groups.symbols)
    label, drift, eta = stepped("J", [0] * idle + [place // q for place in places])
    values = (0,) * idle + tuple(2 ** (q - 1 - place % q) for place in places)
    rows = {**part.rows, **label, **dict.fromkeys(names, Affine())}
    eta |= {**part.eta, **dict.fromkeys(names, values)}
    units = (*part.units, *_label_units(spec, groups, names))
    decoder: Decoder = tuple(
        ({name: lattice.step}, lattice.low) for name, lattice in zip(names, lattices, strict=True)
    )
    return Part(rows, units=units, drift={**part.drift, **drift}, eta=eta), decoder


def _label_units(spec: ConstructionSpec, groups: Groups, names: list[str]) -> list[Unit]:
    """Units of y_i += relu(D_i + u) + relu(D_i - u) - relu(u) - relu(-u), u = b - J."""
    form, offset = place_form(spec, groups)
    units = []
    for what, sign in (("above", 1), ("below", -1)):
        reads = {row: sign * weight for row, weight in form.items()} | {"J": -sign}
        units.append(Unit(f"label_{what}", reads, sign * offset, dict.fromkeys(names, -1)))
        for i, name in enumerate(names):
            own = {**reads, f"D_{i}": 1}
            units.append(Unit(f"symbol_{what}_{i}", own, sign * offset, {name: 1}))
    return units


def _answer(spec: ConstructionSpec, table: LabelTable) -> Callable[[Fraction | int, int], Fraction]:
    """What is answered at label k in coordinate i; a count where k is a label's number."""
    q = spec.bits or 0
    groups = digit_groups(spec.last_label + 1, q)
    lattices = [digit_lattice(table, i, q) for i in range(spec.dim)]

    def answer(k: Fraction | int, i: int) -> Fraction:
        lattice = lattices[i]
        if k == int(k) and 0 <= k <= spec.last_label:
            return lattice.low + lattice.step * lattice.counts[int(k)]
        return grouped_value(k, lattice, groups, q)

    return answer


def _loops(label: int, bits: int) -> int:
    """A + n q."""
    groups = digit_groups(label + 1, bits)
    return groups.count + groups.size * bits


TWO_LEVEL_DIGITS = MemoriserKind(
    name="two-level-digits",
    coding="others",
    modulated=True,
    bitwise=True,
    levels=2,
    takes_bits=True,
    loops=_loops,
    error=DIGITS.error,
    part=_part,
    answer=_answer,
    seconds_a_loop=3e-4,
    seconds_a_column=2e-8,
    bits_a_loop=100.0,  # a word a group
)
