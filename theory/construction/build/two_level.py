"""Two levels, with eta(t) (this project's): labels in groups of n, one word of symbols a group.

K = L + 1 labels are A = ceil(K/n) groups; label k = a n + b is place b of group a, and the word of
a group holds what is to be known of its labels as symbols in base 2 or 4, the first symbol highest.
One loop a label becomes one loop a group plus one loop a symbol: about 2 √K with n = √K.

Pass one, loops values_start + j - 1 for j = 1..A-1.  One pair of units, the step
clip(k - n j + 1, 0, 1), writes rows g (eta 1) and G_i (eta = change of the word from group j-1 to
group j), so that for k in 0..L in the end

    g = a,    G_i = word of group a,    k - n g = b: a linear form.

Pass two, from loop ``symbols_start``.  Row θ runs down the places base^{c-1}, ..., 1 of the c
symbols of a word.  With every symbol e at most 2 (base 4) or 1 (base 2),

    D_i <- Σ_{e'=1}^{most} clip(G_i - e' θ + 1, 0, 1),     G_i <- G_i - θ D_i        (eta = θ)

reads the leading symbol into D_i, one loop after another, since the rest of the word is less than
θ.  The memoriser uses D_i one loop later.

θ is H = base^c after the symbols: as G_i <= H - 1 always, D_i is then 0.  Up to pass two it is
H + B, B > |k|: no symbol is read either, and as the pair of pass one reads θ with weight 1 it is
open; later k - n j + 1 - B < 0 shuts it for every k.

Always, for any real k.  At most one step of pass one is fractional: g and G_i interpolate two
neighbouring groups, 0 <= G_i <= H - 1.  D_i is in [0, most].  G_i stays at least 0: where
e' <= D_i <= e'+1 is not a symbol but between, G_i >= (e'+1) θ - 1 + (D_i - e'), so the rest is at
least (e' + 1 - D_i)(θ - 1) >= 0.  (It need not stay below the next places: 1333 in base 4 lies
between the words 0 and 2222.)  For k in 0..L all is exact.  eta of g and G_i is 0 afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import isqrt
from typing import TYPE_CHECKING

from looprate.theory.construction.build.coding import label_form, largest_label
from looprate.theory.construction.build.network import Affine, Form, Unit
from looprate.theory.construction.build.parts import Part, stepped

if TYPE_CHECKING:
    from looprate.theory.construction.build.spec import ConstructionSpec


@dataclass(frozen=True)
class Groups:
    """How K labels are grouped.

    Attributes
    ----------
    size, count : int
        n labels a group, A groups.
    symbols : int
        c, symbols of a word.
    most : int
        The largest symbol, 1 or 2; the base is its square above it, 2 or 4.
    """

    size: int
    count: int
    symbols: int
    most: int

    @property
    def base(self) -> int:
        """2 or 4."""
        return 2 * self.most

    @property
    def top(self) -> int:
        """H, more than any word."""
        return int(self.base**self.symbols)

    @property
    def places(self) -> list[int]:
        """Place values of the symbols, the highest first."""
        return [self.base**place for place in reversed(range(self.symbols))]

    def words(self, symbols: Sequence[Sequence[int]]) -> list[int]:
        """Return the words of all groups, from the symbols of each."""
        return [int("0" + "".join(map(str, own)), self.base) for own in symbols]

    def at(self, k: Fraction | int, values: Sequence[int]) -> Fraction:
        """Return what pass one makes of one value a group at label k, any real number."""
        group = min(max(int((k + 1) // self.size), 0), self.count - 1)
        share = min(Fraction(k) + 1 - self.size * group, Fraction(1)) if group else Fraction(1)
        before = values[max(group - 1, 0)]
        return before + share * (values[group] - before)

    def place(self, k: Fraction | int) -> Fraction:
        """Return b = k - n g."""
        return k - self.size * self.at(k, range(self.count))

    def read(self, word: Fraction) -> Iterator[Fraction]:
        """Yield the symbols that pass two reads off a word, any real number."""
        for theta in self.places:
            over = [word - e * theta + 1 for e in range(1, self.most + 1)]
            symbol = sum((min(max(v, Fraction(0)), Fraction(1)) for v in over), Fraction(0))
            word -= theta * symbol
            yield symbol


def group_size(labels: int, weight: int) -> int:
    """Return n >= 2, beside sqrt(K / weight), for which A + n weight loops are fewest."""
    near = isqrt(labels // weight)
    return min((max(2, n) for n in (near, near + 1)), key=lambda n: -(-labels // n) + n * weight)


def symbols_start(spec: ConstructionSpec, groups: Groups) -> int:
    """First loop of pass two."""
    return spec.values_start + groups.count - 1


def place_form(spec: ConstructionSpec, groups: Groups) -> tuple[Form, int]:
    """Return b = k - n g as a linear form of the rows and a bias."""
    form, offset = label_form(spec)
    return {**form, "g": -groups.size}, offset


def group_part(
    spec: ConstructionSpec,
    groups: Groups,
    words: Sequence[Sequence[int]],
    *,
    also: Iterable[str] = (),
    used: Callable[[int], Form],
) -> Part:
    """Rows g, θ, G_i and D_i with their units.

    Parameters
    ----------
    words : d sequences of A words
    also : rows
        What else the pair of pass one writes, with eta of their own.
    used : callable
        i -> what else relu(D_i) writes when D_i is cleared, one loop after it was read.
    """
    start, after = symbols_start(spec, groups), largest_label(spec) + 1
    wait = groups.top + after
    theta, drift, eta = stepped("theta", [wait] * start + [*groups.places, groups.top])
    form, offset = label_form(spec)
    writes = dict.fromkeys(("g", *(f"G_{i}" for i in range(spec.dim)), *also), 1)
    reads, bias = {**form, "clock": -groups.size, "theta": 1}, groups.size * (spec.values_start - 1)
    units = pair("group", reads, offset + bias - wait, writes)
    rows = {**theta, "g": Affine()}
    idle = (0,) * spec.values_start
    eta["g"] = idle + (1,) * (groups.count - 1)
    for i, own in enumerate(words):
        word, symbol = f"G_{i}", f"D_{i}"
        rows |= {word: Affine(bias=own[0]), symbol: Affine()}
        steps = (after - before for before, after in pairwise(own))
        eta[word] = (*idle, *steps, *groups.places)
        for e in range(1, groups.most + 1):
            units += pair(f"symbol_{e}_{i}", {word: 1, "theta": -e}, 0, {symbol: 1, word: -1})
        units.append(Unit(f"use_{i}", {symbol: 1}, 0, {symbol: -1, **used(i)}))
    return Part(rows, units=tuple(units), drift=drift, eta=eta)


def pair(name: str, reads: Form, bias: int, writes: Form) -> list[Unit]:
    """Two units that add ``writes`` times clip(reads + bias + 1, 0, 1)."""
    past = {row: -weight for row, weight in writes.items()}
    return [Unit(f"{name}_from", reads, bias + 1, writes), Unit(f"{name}_past", reads, bias, past)]
