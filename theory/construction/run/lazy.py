"""Rows of a batch that are computed only when something non-linear reads them.

A row is  offset + Σ coefficient * array + Σ weight * relu(array + shift), the arrays int64 and
never changed, everything else Python integers.  Adding to a row touches no array.  The sums of
relus ("kinks") are evaluated when a unit that is neither dead nor linear on the whole batch reads
the row: a few as passes over the batch, thousands by one sorted table.

Every array has proven bounds; values that might not stay within :data:`LIMIT` go into a
:class:`~looprate.theory.construction.run.wide.Wide` node, Python integers, and come back when they
fit.  Sums on the way may wrap: int64 arithmetic is exact modulo 2^64, and so the result is right
whenever the result itself fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.run.ranges import Follower, combine, interval, range_of
from looprate.theory.construction.run.wide import LIMIT, Combination, Node, Wide, wide_sum

DIRECT_KINKS = 12
"""Up to so many kinks, passes over the batch cost less than a search in a table."""
FAR = 2**32
"""An array further than this from 0, and than its range is wide, is moved to 0."""
BLOCK = 2**15
"""Sums are formed so many entries at a time: a block stays near the processor from pass to pass."""
TOP = 2**63 - 1
MOST_PATIENCE = 64
"""So many loops at most a form's bounds are not tried."""
MOST_PARTS = 12
"""A row that is not read holds at most so many arrays."""

Integers = NDArray[np.int64]
Slopes = list[tuple[int, int]]
"""Places in rising order, each with the slope that holds from there on."""
_Term = tuple[Integers, bool, tuple[np.int64, np.int64] | None]
"""An array, whether it is added or taken away, and the ends it is clipped to."""


def check_range(lo: int, hi: int, what: str, loop: int) -> None:
    """Refuse values that might leave int64."""
    if max(-lo, hi) > LIMIT:
        raise OverflowError(
            f"{what} may reach {max(-lo, hi).bit_length()} bits at loop {loop}, beyond int64: use "
            "a coarser lattice or looprate.theory.construction.run.reference"
        )


class LazyRow:
    """One data row of every token of a batch; ``version`` changes with the part that varies."""

    def __init__(self, name: str, combination: Combination, offset: int) -> None:
        self.name = name
        self.combination = combination
        self.offset = offset
        self.kinks: dict[Node | Wide, dict[int, int]] = {}
        self.version = 0

    def add_linear(self, combination: Combination, weight: int) -> None:
        """Add weight * combination."""
        if combination:
            self.combination = combine([(self.combination, 1), (combination, weight)])
            self.version += 1

    def add_kink(self, node: Node | Wide, shift: int, weight: int) -> None:
        """Add weight * relu(node + shift)."""
        kinks = self.kinks.setdefault(node, {})
        kinks[-shift] = kinks.get(-shift, 0) + weight
        self.version += 1

    def settle(self) -> None:
        """Evaluate the kinks, or too many arrays, into one array."""
        if not self.kinks and len(self.combination) <= MOST_PARTS:
            return
        pieces = [(node, _slopes(kinks)) for node, kinks in self.kinks.items()]
        lo, hi, offset = self._bounds(pieces)
        shift = lo if max(-lo, hi) > max(FAR, 2 * (hi - lo)) else 0
        lo, hi, offset = lo - shift, hi - shift, offset + shift
        made: Node | Wide | None
        if max(-lo, hi) > LIMIT or _any_wide(self.combination, self.kinks):
            made = wide_sum(pieces, self.combination, -offset)
        else:
            made = self._settled(pieces, shift, lo, hi)
        self.kinks = {}
        self.combination = {} if made is None else {made: 1}
        self.offset += offset
        self.version += 1

    def _settled(
        self, pieces: list[tuple[Node | Wide, Slopes]], shift: int, lo: int, hi: int
    ) -> Node | None:
        """The int64 array that kinks and arrays add up to, less a shift."""
        nodes = [*self.combination, *(node for node, _ in pieces)]
        if not nodes:
            return None
        total = np.zeros(nodes[0].array.size, dtype=np.int64)
        terms: dict[int, list[_Term]] = {}
        for node, a in self.combination.items():
            u = np.asarray(node.array, dtype=np.int64).reshape(-1)
            terms.setdefault(abs(a), []).append((u, a > 0, None))
        for node, slopes in pieces:
            u = np.asarray(node.array, dtype=np.int64).reshape(-1)
            if len(slopes) > DIRECT_KINKS:
                total += _from_table(u, slopes)
            else:
                for slope, ends in _few(slopes):
                    terms.setdefault(abs(slope), []).append((u, slope > 0, ends))
        _add_terms(total, terms)
        if shift:
            total -= _wrap(shift)
        return Node(total.reshape(nodes[0].array.shape), lo, hi)

    def settle_if_long(self) -> None:
        """Keep the memory of a row that nothing reads bounded."""
        if len(self.combination) + len(self.kinks) > MOST_PARTS:
            self.settle()

    def _bounds(self, pieces: list[tuple[Node | Wide, Slopes]]) -> tuple[int, int, int]:
        """Bounds of the array that :meth:`settle` makes, and what it leaves to the offset."""
        ranges = [range_of(kinks, node) for node, kinks in self.kinks.items()]
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
        Bounds of what varies, after :meth:`survey` or :meth:`refresh`.
    """

    def __init__(self, terms: Iterable[tuple[LazyRow, int]]) -> None:
        self.terms = tuple(terms)
        self.combination: Combination = {}
        self.lo = self.hi = 0
        self._node: Node | Wide | None = None
        self._versions: list[int] = []
        self._surveyed: list[int] = []
        self._follower = Follower(self.terms)
        self._tried, self._idle, self._patience = False, 0, 1
        self._chain: list[tuple[tuple[Node | Wide, int], Integers]] = []

    def survey(self) -> int:
        """Bring the bounds up to date, touch no array if that may do; return the offset of now.

        After bounds that did not do, so that :meth:`refresh` had to follow, it is not tried for a
        while, twice as long every time.
        """
        if self._idle or not any(row.kinks for row, _ in self.terms):
            self._idle = max(self._idle - 1, 0)
            return self.refresh()
        self._patience = 1 if self._tried else self._patience
        self._tried = True
        versions = [row.version for row, _ in self.terms]
        if versions != self._surveyed:
            self._surveyed = versions
            self.lo, self.hi = self._follower.bounds()
        return sum(w * row.offset for row, w in self.terms)

    def refresh(self) -> int:
        """Bring the form up to date with its rows; return its offset."""
        if self._tried:
            self._tried, self._idle = False, self._patience
            self._patience = min(2 * self._patience, MOST_PATIENCE)
        if [row.version for row, _ in self.terms] != self._versions:
            for row, _ in self.terms:
                row.settle()
            self._versions = [row.version for row, _ in self.terms]
            combination = combine((row.combination, w) for row, w in self.terms)
            if combination != self.combination:
                self.combination = combination
                self._node = None
            self.lo, self.hi = interval(combination) if self._node is None else self._ends()
        return sum(w * row.offset for row, w in self.terms)

    def node(self) -> Node | Wide:
        """Return the form's array with tight bounds; call only where something varies."""
        if self._node is None:
            self._node = self._made()
            self._node.tighten()
            self.lo, self.hi = self._ends()
        return self._node

    def _ends(self) -> tuple[int, int]:
        """Bounds of the array there is."""
        node = self._node
        return (0, 0) if node is None else (node.lo, node.hi)

    def _made(self) -> Node | Wide:
        """The array of the form, Python integers where it might leave int64."""
        only, weight = next(iter(self.combination.items()))
        if weight == 1 and len(self.combination) == 1:
            return only
        if max(-self.lo, self.hi) > LIMIT:
            for node in self.combination:
                node.tighten()
            self.lo, self.hi = interval(self.combination)
        if max(-self.lo, self.hi) > LIMIT or _any_wide(self.combination):
            return wide_sum([], self.combination, 0)
        made = Node(self._follow_chain(), self.lo, self.hi)
        made.parts = dict(self.combination)
        return made

    def _follow_chain(self) -> Integers:
        """Sum oldest parts first, so that what did not change since last time is not redone."""
        old = self._chain
        chain: list[tuple[tuple[Node | Wide, int], Integers]] = []
        for place, node in enumerate(sorted(self.combination, key=lambda node: node.serial)):
            part = (node, self.combination[node])
            if place < len(old) and old[place][0] == part:
                total = old[place][1]
            else:
                old = []
                before = chain[-1][1] if chain else None
                total = _plus(before, *part)
            chain.append((part, total))
        self._chain = chain
        return chain[-1][1]


def add_combination(out: Integers | None, combination: Combination) -> Integers | None:
    """Add int64 arrays to an array in place, modulo 2^64; None stands for 0."""
    for node, a in combination.items():
        if out is None:
            out = node.array * _wrap(a)
        elif abs(a) == 1:
            (np.add if a == 1 else np.subtract)(out, node.array, out=out)
        else:
            out += node.array * _wrap(a)
    return out


def _any_wide(*parts: Iterable[Node | Wide]) -> bool:
    """Whether some node is one of Python integers."""
    return any(isinstance(node, Wide) for part in parts for node in part)


def _plus(out: Integers | None, node: Node | Wide, a: int) -> Integers:
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


def _slopes(kinks: dict[int, int]) -> Slopes:
    """Places in rising order with the slope that holds from there on."""
    slope, result = 0, []
    for place in sorted(kinks):
        if kinks[place]:
            slope += kinks[place]
            result.append((place, slope))
    return result


def _left_out(slopes: Slopes) -> int:
    """What the few-kinks passes add too little: minus Σ slope * place; see _few."""
    return -sum(s * p for p, s in slopes) if len(slopes) <= DIRECT_KINKS else 0


def _few(slopes: Slopes) -> Iterator[tuple[int, tuple[np.int64, np.int64]]]:
    """Slopes with the ends to clip to: they add up to the relus plus Σ slope * place."""
    for place, (start, slope) in enumerate(slopes):
        if slope:
            end = slopes[place + 1][0] if place + 1 < len(slopes) else TOP
            yield slope, (np.int64(start), np.int64(end))


def _add_terms(total: Integers, terms: dict[int, list[_Term]]) -> None:
    """Add weight * (sum of terms) for every weight in place, block by block, modulo 2^64."""
    for first in range(0, total.size, BLOCK):
        block = slice(first, first + BLOCK)
        for weight, own in terms.items():
            part = total[block] if weight == 1 else np.zeros_like(total[block])
            for u, added, ends in own:
                # one pass; np.maximum is slower
                piece = u[block] if ends is None else u[block].clip(*ends)
                (np.add if added else np.subtract)(part, piece, out=part)
            if weight != 1:
                part *= _wrap(weight)
                total[block] += part


def _from_table(u: Integers, slopes: Slopes) -> Integers:
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
