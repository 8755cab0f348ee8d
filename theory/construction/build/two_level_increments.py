"""Stage 3 by increments in two levels (this project's): eta(t), about 2 √K loops for K labels.

Counts c_k of a lattice as in :mod:`looprate.theory.construction.build.increments`, c_k - c_{k-1} in
{-1, 0, 1}.  The word of group a has the n-1 symbols c_k - c_{k-1} + 1 in {0, 1, 2} of all its
labels but the first (:mod:`looprate.theory.construction.build.two_level`), and pass one also writes
row y_i, with eta = the change of the group's first count: y = c_{an} after it.

Pass two adds D_i one loop after it was read, symbol l = 1..n-1 if it belongs to place b or before:

    y += relu(D) - relu(v) + relu(v - D) = D - clip(v, 0, D),      v = 2 (l - b),

which is D for l <= b and, as D <= 2, 0 for l >= b + 1.  Each symbol is one too large, so that the
count is y - b, a linear form, which L2 reads.  While D = 0 the three units cancel.

Error: that of the increments, <= the largest gap, near half of it where the range is many gaps.
Range: for any real k, y is an interpolation of first counts after pass one, in [0, top],
top = max c, and in [0, top + 2 (n-1)] after pass two.  One last loop clips y - b to [0, top]
exactly:

    y += relu(b - y + B') - relu(y - b - top + B'),      B' = B (t - last loop),

B so large that both units are 0 before that loop; eta of y is 0 after it.  So every output lies
between the smallest and the largest label.

Loops: A + n, with A = ceil(K/n).
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from looprate.theory.construction.build.coding import largest_label
from looprate.theory.construction.build.increments import (
    INCREMENTS,
    Lattice,
    increment_lattice,
    increments_value,
)
from looprate.theory.construction.build.memoriser import MemoriserKind
from looprate.theory.construction.build.network import Affine, Decoder, Unit
from looprate.theory.construction.build.parts import Part
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


def increment_groups(labels: int) -> Groups:
    """Return the groups of K labels: one symbol in base 4 for each label but a group's first."""
    size = group_size(labels, 1)
    return Groups(size, -(-labels // size), size - 1, 2)


def _padded(lattice: Lattice, groups: Groups) -> list[list[int]]:
    """The counts of each group, the last group filled with the last count."""
    size, counts = groups.size, lattice.counts
    counts = counts + [counts[-1]] * (size * groups.count - len(counts))
    return [counts[a * size : (a + 1) * size] for a in range(groups.count)]


def _words(own: list[list[int]], groups: Groups) -> list[int]:
    """The words of all groups, from their counts."""
    return groups.words([[after - before + 1 for before, after in pairwise(c)] for c in own])


def grouped_value(k: Fraction | int, lattice: Lattice, groups: Groups) -> Fraction:
    """Return what the memoriser answers at label k, any real number, pass by pass."""
    own = _padded(lattice, groups)
    b, y = groups.place(k), groups.at(k, [counts[0] for counts in own])
    for place, symbol in enumerate(groups.read(groups.at(k, _words(own, groups))), start=1):
        y += symbol - min(max(2 * (place - b), Fraction(0)), symbol)
    return lattice.low + lattice.step * min(max(y - b, Fraction(0)), Fraction(max(lattice.counts)))


def _part(spec: ConstructionSpec, table: LabelTable) -> tuple[Part, Decoder]:
    """Rows y_i and those of the groups, their units, and L2."""
    groups = increment_groups(spec.last_label + 1)
    lattices = [increment_lattice(table, i) for i in range(spec.dim)]
    counts = [_padded(lattice, groups) for lattice in lattices]
    names = [f"y_{i}" for i in range(spec.dim)]
    words = [_words(own, groups) for own in counts]
    part = group_part(spec, groups, words, also=names, used=lambda i: {names[i]: 1})
    form, offset = place_form(spec, groups)
    units = [*part.units, *_place_units(spec, groups, names)]
    idle, busy = (0,) * spec.values_start, (1,) * (groups.size + 1)
    rows, eta = dict(part.rows), dict(part.eta)
    decoder: Decoder = ()
    for name, own, lattice in zip(names, counts, lattices, strict=True):
        firsts = [group[0] for group in own]
        rows[name] = Affine(bias=firsts[0])
        eta[name] = (*idle, *(after - before for before, after in pairwise(firsts)), *busy)
        units += _clip_units(spec, groups, name, max(lattice.counts))
        reads = {name: lattice.step} | {row: -lattice.step * w for row, w in form.items()}
        decoder += ((reads, lattice.low - lattice.step * offset),)
    return Part(rows, units=tuple(units), drift=part.drift, eta=eta), decoder


def _place_units(spec: ConstructionSpec, groups: Groups, names: list[str]) -> list[Unit]:
    """Units of y_i += - relu(v) + relu(v - D_i), v = 2 (l - b) and l = t - symbols_start."""
    form, offset = place_form(spec, groups)
    reads = {row: -2 * weight for row, weight in form.items()} | {"clock": 2}
    bias = -2 * (offset + symbols_start(spec, groups))
    units = [Unit("beyond", reads, bias, dict.fromkeys(names, -1))]
    for i, name in enumerate(names):
        units.append(Unit(f"beyond_symbol_{i}", {**reads, f"D_{i}": -1}, bias, {name: 1}))
    return units


def _clip_units(spec: ConstructionSpec, groups: Groups, name: str, top: int) -> list[Unit]:
    """Units of the last loop: y - b is clipped to [0, top]."""
    form, offset = place_form(spec, groups)
    shut = largest_label(spec) + groups.size * (groups.count + 2) + top
    wait = -shut * (spec.loops - 1)
    above = {**form, name: -1, "clock": shut}
    below = {row: -weight for row, weight in form.items()} | {name: 1, "clock": shut}
    return [
        Unit(f"clip_low_{name}", above, wait + offset, {name: 1}),
        Unit(f"clip_high_{name}", below, wait - offset - top, {name: -1}),
    ]


def _answer(spec: ConstructionSpec, table: LabelTable) -> Callable[[Fraction | int, int], Fraction]:
    """What is answered at label k in coordinate i; a count where k is a label's number."""
    groups = increment_groups(spec.last_label + 1)
    lattices = [increment_lattice(table, i) for i in range(spec.dim)]

    def answer(k: Fraction | int, i: int) -> Fraction:
        if k == int(k) and 0 <= k <= spec.last_label:
            return increments_value(k, lattices[i])
        return grouped_value(k, lattices[i], groups)

    return answer


def _loops(label: int, _: int) -> int:
    """A + n."""
    groups = increment_groups(label + 1)
    return groups.count + groups.size


TWO_LEVEL_INCREMENTS = MemoriserKind(
    name="two-level-increments",
    coding="others",  # neighbouring labels need to have near values
    modulated=True,
    bitwise=True,
    levels=2,
    loops=_loops,
    error=INCREMENTS.error,
    part=_part,
    answer=_answer,
    seconds_a_loop=3e-4,
    seconds_a_column=6e-9,
    bits_a_loop=500.0,  # a word a group
)
