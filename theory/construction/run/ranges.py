"""Bounds of combinations and of sums of relus from the bounds of their arrays, none touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Protocol

from looprate.theory.construction.run.wide import Combination, Node, Wide

Kinks = Mapping[int, int]
"""A sum of relus of one array: place -> weight of relu(array - place)."""


def combine(parts: Iterable[tuple[Mapping[Node | Wide, int], int]]) -> Combination:
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


class Row(Protocol):
    """What is read of a row; ``version`` changes with every kink, array and evaluation."""

    combination: Combination
    kinks: dict[Node | Wide, dict[int, int]]
    version: int


class Curve:
    """linear * u + Σ weight * relu(u - place), u within a node's bounds; kinks are added in order.

    The sum is linear between kinks, so its range is that of its values at them: exact.
    """

    def __init__(self, node: Node | Wide, linear: int = 0) -> None:
        self.start, self.stop = node.lo, node.hi
        self.last, self.slope = node.lo, linear
        self.value = self.lo = self.hi = linear * node.lo

    def extend(self, kinks: Iterable[tuple[int, int]]) -> bool:
        """Add (place, weight) pairs in rising order; return whether they came after all before."""
        for place, weight in kinks:
            if place >= self.stop:
                continue
            if place <= self.start and self.last == self.start:
                self.value += weight * (self.start - place)
                self.lo = self.hi = self.value
            elif place < self.last:
                return False
            else:
                self.value += self.slope * (place - self.last)
                self.last = place
                self.lo, self.hi = min(self.lo, self.value), max(self.hi, self.value)
            self.slope += weight
        return True

    def ends(self) -> tuple[int, int]:
        """Return the smallest and the largest value."""
        end = self.value + self.slope * (self.stop - self.last)
        return min(self.lo, end), max(self.hi, end)


def range_of(kinks: Kinks, node: Node | Wide) -> tuple[int, int]:
    """Return the exact range of a sum of relus over a node's bounds."""
    curve = Curve(node)
    curve.extend(sorted(kinks.items()))
    return curve.ends()


class Follower:
    """Bounds of a form Σ w * row whose rows have kinks, brought up to date by what was added.

    Exact where one array alone has kinks, of whatever rows, and nothing else varies.
    """

    def __init__(self, terms: Sequence[tuple[Row, int]]) -> None:
        self.terms = terms
        self._seen: list[tuple[int, int]] = []
        self._curve: Curve | None = None
        self._node: Node | Wide | None = None
        self._rest = (0, 0)

    def bounds(self) -> tuple[int, int]:
        """Return the bounds of now, offsets aside."""
        if self._curve is None or not self._followed(self._curve):
            found = self._anew()
            if self._curve is None:
                return found
        lo, hi = self._curve.ends()
        return lo + self._rest[0], hi + self._rest[1]

    def _followed(self, curve: Curve) -> bool:
        """Add what the rows gained, if that is kinks of the same array further on, and no more."""
        new: list[tuple[int, int]] = []
        for place, ((row, w), (version, count)) in enumerate(
            zip(self.terms, self._seen, strict=True)
        ):
            own = row.kinks.get(self._node, {}) if self._node is not None else {}
            if row.version - version != len(own) - count:
                return False
            new += [(at, w * weight) for at, weight in islice(own.items(), count, None)]
            self._seen[place] = row.version, len(own)
        return curve.extend(sorted(new))

    def _anew(self) -> tuple[int, int]:
        """The bounds from all kinks; remembered as a curve where they are of one array."""
        combination = combine((row.combination, w) for row, w in self.terms)
        nodes = list(dict.fromkeys(node for row, _ in self.terms for node in row.kinks))
        lo = hi = 0
        for node in nodes:
            curve = Curve(node, _taken_out(combination, node))
            curve.extend(
                sorted(
                    (at, w * weight)
                    for row, w in self.terms
                    for at, weight in row.kinks.get(node, {}).items()
                )
            )
            ends = curve.ends()
            lo, hi = lo + ends[0], hi + ends[1]
        self._rest = interval(combination)
        one = len(nodes) == 1
        self._curve, self._node = (curve, nodes[0]) if one else (None, None)
        counts = [len(row.kinks[nodes[0]]) if one and row.kinks else 0 for row, _ in self.terms]
        self._seen = [(row.version, n) for (row, _), n in zip(self.terms, counts, strict=True)]
        return lo + self._rest[0], hi + self._rest[1]


def _taken_out(combination: Combination, node: Node | Wide) -> int:
    """Take as much of a node, or of the sum it was made as, out of a combination; return it."""
    taken = combination.pop(node, 0)
    if isinstance(node, Node) and node.parts:
        first, weight = next(iter(node.parts.items()))
        times = combination.get(first, 0) // weight
        if times and all(combination.get(part) == times * a for part, a in node.parts.items()):
            for part in node.parts:
                del combination[part]
            taken += times
    return taken
