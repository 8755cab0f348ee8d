"""Rows of a batch that are computed only when something non-linear reads them.

A row is  offset + Σ coefficient * array + Σ weight * relu(array + shift), the arrays int64 and
never changed, everything else Python integers.  Adding to a row touches no array.  The sums of
relus ("kinks") are evaluated when a unit that is neither dead nor linear on the whole batch reads
the row: a few as passes over the batch, thousands by one sorted table.

Every array has proven bounds, and a row whose values might not stay within :data:`LIMIT` is
refused.  Sums on the way may wrap: int64 arithmetic is exact modulo 2^64, and so the result is
right whenever the result itself fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

LIMIT = 2**62
"""Largest absolute value an array may hold."""
DIRECT_KINKS = 12
"""Up to so many kinks, passes over the batch cost less than a search in a table."""
FAR = 2**32
"""An array further than this from 0, and than its range is wide, is moved to 0."""
TOP = 2**63 - 1
MOST_PARTS = 6
"""A row that is not read holds at most so many arrays."""

Integers = NDArray[np.int64]


class Node:
    """An immutable int64 array with bounds; ``serial`` orders nodes by age."""

    __slots__ = ("array", "hi", "lo", "serial", "tight")
    made = 0

    def __init__(self, array: Integers, lo: int, hi: int) -> None:
        self.array, self.lo, self.hi, self.tight = array, lo, hi, lo == hi
        Node.made += 1
        self.serial = Node.made

    def tighten(self) -> None:
        """Replace the bounds by the smallest and largest value."""
        if not self.tight:
            self.lo, self.hi, self.tight = int(self.array.min()), int(self.array.max()), True


Combination = dict[Node, int]


def combine(parts: Iterable[tuple[Mapping[Node, int], int]]) -> Combination:
    """Return Σ weight * combination without zero coefficients."""
    total: Combination = {}
    for combination, weight in parts:
        for node, coefficient in combination.items():
            total[node] = total.get(node, 0) + weight * coefficient
    return {node: coefficient for node, coefficient in total.items() if coefficient}


def interval(combination: Combination) -> tuple[int, int]:
    """Return bounds of a combination from those of its nodes."""
    lo = hi = 0
    for node, a in combination.items():
        lo += a * (node.lo if a > 0 else node.hi)
        hi += a * (node.hi if a > 0 else node.lo)
    return lo, hi


def check_range(lo: int, hi: int, what: str, loop: int) -> None:
    """Refuse values that might leave int64."""
    if max(-lo, hi) > LIMIT:
        raise OverflowError(
            f"{what} may reach {max(-lo, hi).bit_length()} bits at loop {loop}, beyond int64: use "
            "a coarser lattice, fewer labels, or looprate.theory.construction.run.reference"
        )


class LazyRow:
    """One data row of every token of a batch; ``version`` changes with the part that varies."""

    def __init__(self, name: str, combination: Combination, offset: int) -> None:
        self.name = name
        self.combination = combination
        self.offset = offset
        self.kinks: dict[Node, dict[int, int]] = {}
        self.version = 0

    def add_linear(self, combination: Combination, weight: int) -> None:
        """Add weight * combination."""
        if combination:
            self.combination = combine([(self.combination, 1), (combination, weight)])
            self.version += 1

    def add_kink(self, node: Node, shift: int, weight: int) -> None:
        """Add weight * relu(node + shift)."""
        kinks = self.kinks.setdefault(node, {})
        kinks[-shift] = kinks.get(-shift, 0) + weight
        self.version += 1

    def settle(self, loop: int) -> None:
        """Evaluate the kinks, or too many arrays, into one array."""
        if not self.kinks and len(self.combination) <= MOST_PARTS:
            return
        pieces = [(node, _slopes(kinks)) for node, kinks in self.kinks.items()]
        lo, hi, offset = self._bounds(pieces)
        shift = lo if max(-lo, hi) > max(FAR, 2 * (hi - lo)) else 0
        check_range(lo - shift, hi - shift, f"row {self.name!r}", loop)
        out: Integers | None = None
        for node, slopes in pieces:
            out = _add_pieces(out, node.array, slopes)
        out = add_combination(out, self.combination)
        if shift and out is not None:
            out -= _wrap(shift)
            lo, hi, offset = 0, hi - shift, offset + shift
        self.kinks = {}
        self.combination = {} if out is None else {Node(out, lo, hi): 1}
        self.offset += offset
        self.version += 1

    def settle_if_long(self, loop: int) -> None:
        """Keep the memory of a row that nothing reads bounded."""
        if len(self.combination) + len(self.kinks) > MOST_PARTS:
            self.settle(loop)

    def _bounds(self, pieces: list[tuple[Node, list[tuple[int, int]]]]) -> tuple[int, int, int]:
        """Bounds of the array that :meth:`settle` makes, and what it leaves to the offset."""
        ranges = [_range(slopes, node) for node, slopes in pieces]
        offset = sum(_left_out(slopes) for _, slopes in pieces)
        for tight in (False, True):
            if tight:
                for node in self.combination:
                    node.tighten()
            lo, hi = interval(self.combination)
            lo += sum(r[0] for r in ranges) - offset
            hi += sum(r[1] for r in ranges) - offset
            if max(-lo, hi) <= LIMIT:
                break
        return lo, hi, offset


class LazyForm:
    """A linear form of data rows; its array is made when first needed and kept while it holds.

    Attributes
    ----------
    combination : Combination
        The part that varies, after :meth:`refresh`.
    lo, hi : int
        Its bounds.
    """

    def __init__(self, terms: Iterable[tuple[LazyRow, int]]) -> None:
        self.terms = tuple(terms)
        self.combination: Combination = {}
        self.lo = self.hi = 0
        self._node: Node | None = None
        self._versions: list[int] = []
        self._chain: list[tuple[tuple[Node, int], Integers]] = []

    def refresh(self, loop: int) -> int:
        """Bring the form up to date with its rows; return its offset."""
        if [row.version for row, _ in self.terms] != self._versions:
            for row, _ in self.terms:
                row.settle(loop)
            self._versions = [row.version for row, _ in self.terms]
            combination = combine((row.combination, w) for row, w in self.terms)
            if combination != self.combination:
                self.combination = combination
                self.lo, self.hi = interval(combination)
                self._node = None
        return sum(w * row.offset for row, w in self.terms)

    def node(self, loop: int) -> Node:
        """Return the form's array with tight bounds; call only where something varies."""
        if self._node is None:
            self._check(loop)
            array = self._follow_chain()
            only = next(iter(self.combination))
            self._node = only if array is only.array else Node(array, self.lo, self.hi)
            self._node.tighten()
            self.lo, self.hi = self._node.lo, self._node.hi
        return self._node

    def _check(self, loop: int) -> None:
        """Refuse an array that might leave int64, with the tightest bounds."""
        if max(-self.lo, self.hi) > LIMIT:
            for node in self.combination:
                node.tighten()
            self.lo, self.hi = interval(self.combination)
            names = [row.name for row, _ in self.terms]
            check_range(self.lo, self.hi, f"a unit or head that reads rows {names}", loop)

    def _follow_chain(self) -> Integers:
        """Sum oldest parts first, so that what did not change since last time is not redone."""
        old = self._chain
        chain: list[tuple[tuple[Node, int], Integers]] = []
        for place, node in enumerate(sorted(self.combination, key=lambda node: node.serial)):
            part = (node, self.combination[node])
            if place < len(old) and old[place][0] == part:
                total = old[place][1]
            else:
                old = []
                before = chain[-1][1] if chain else None
                total = node.array if part == (node, 1) and not place else _plus(before, *part)
            chain.append((part, total))
        self._chain = chain
        return chain[-1][1]


def add_combination(out: Integers | None, combination: Combination) -> Integers | None:
    """Add a combination to an array in place, modulo 2^64; None stands for 0."""
    for node, a in combination.items():
        if out is None:
            out = node.array * _wrap(a)
        elif abs(a) == 1:
            (np.add if a == 1 else np.subtract)(out, node.array, out=out)
        else:
            out += node.array * _wrap(a)
    return out


def _plus(out: Integers | None, node: Node, a: int) -> Integers:
    """A new array, out + a * node modulo 2^64."""
    if out is not None and abs(a) == 1:
        return out + node.array if a == 1 else out - node.array
    scaled = node.array * _wrap(a)
    if out is not None:
        scaled += out
    return scaled


def _wrap(value: int) -> int:
    """The int64 congruent to a number modulo 2^64."""
    return (value + 2**63) % 2**64 - 2**63


def _slopes(kinks: dict[int, int]) -> list[tuple[int, int]]:
    """Places in rising order with the slope that holds from there on."""
    slope, result = 0, []
    for place in sorted(kinks):
        if kinks[place]:
            slope += kinks[place]
            result.append((place, slope))
    return result


def _left_out(slopes: list[tuple[int, int]]) -> int:
    """What the few-kinks passes add too little: minus Σ slope * place; see _add_pieces."""
    return -sum(s * p for p, s in slopes) if len(slopes) <= DIRECT_KINKS else 0


def _range(slopes: list[tuple[int, int]], node: Node) -> tuple[int, int]:
    """Exact range of the sum of relus over the node's bounds: it is linear between kinks."""
    if not slopes:
        return 0, 0
    value, lo, hi = 0, 0, 0
    ends = [*slopes, (max(node.hi, slopes[-1][0]), 0)]
    for (start, slope), (end, _) in pairwise(ends):
        value += slope * (end - start)
        lo, hi = min(lo, value), max(hi, value)
    return lo, hi


def _add_pieces(
    out: Integers | None, u: Integers, slopes: list[tuple[int, int]]
) -> Integers | None:
    """Add the sum of relus of u, in place; few kinks: plus Σ slope * place (see _left_out)."""
    if len(slopes) > DIRECT_KINKS:
        table = _from_table(u, slopes)
        return table if out is None else np.add(out, table, out=out)
    for place, (start, slope) in enumerate(slopes):
        if slope:
            end = slopes[place + 1][0] if place + 1 < len(slopes) else TOP
            piece = u.clip(np.int64(start), np.int64(end))  # one pass; np.maximum is slower
            if slope != 1 and (out is None or slope != -1):
                piece *= _wrap(slope)
            if out is None:
                out = piece
            else:
                (np.subtract if slope == -1 else np.add)(out, piece, out=out)
    return out


def _from_table(u: Integers, slopes: list[tuple[int, int]]) -> Integers:
    """The sum of relus of u as slope * u + constant of the interval that u lies in."""
    constant, last, lines = 0, 0, [(0, 0)]
    for place, slope in slopes:
        constant -= (slope - last) * place
        last = slope
        lines.append((_wrap(slope), _wrap(constant)))
    table = np.array(lines, dtype=np.int64)
    which = np.searchsorted(np.array([p for p, _ in slopes], dtype=np.int64), u)
    result = table[:, 0][which]
    result *= u
    result += table[:, 1][which]
    return result
