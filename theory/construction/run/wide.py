"""Arrays of a batch: int64 with proven bounds, or Python integers where these are not enough.

The words that two levels of labels are held in have thousands of bits, but there is one for each
group of labels, so few are distinct.  A :class:`Wide` node is a table of distinct values and the
place in it of every token of the batch: what a loop does to a word is done to the table, not to the
batch.  Where no table is small, it has an entry for each token: slow, but right.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LIMIT = 2**62
"""Largest absolute value an int64 array may hold."""

Integers = NDArray[np.int64]
Table = NDArray[np.object_]


class Node:
    """An immutable int64 array with bounds; ``serial`` orders nodes by age.

    ``parts`` is the combination of other nodes that it was made as, if it was.
    """

    __slots__ = ("array", "hi", "lo", "parts", "serial", "tight")
    made = 0

    def __init__(self, array: Integers, lo: int, hi: int) -> None:
        self.array, self.lo, self.hi, self.tight = array, lo, hi, lo == hi
        self.parts: Combination = {}
        Node.made += 1
        self.serial = Node.made

    def tighten(self) -> None:
        """Replace the bounds by the smallest and largest value."""
        if not self.tight:
            self.lo, self.hi, self.tight = int(self.array.min()), int(self.array.max()), True


class Wide:
    """Python integers: ``table[codes]``; immutable, with exact bounds."""

    __slots__ = ("codes", "hi", "lo", "serial", "table")

    def __init__(self, table: Table, codes: NDArray[np.intp]) -> None:
        self.table, self.codes = table, codes
        self.lo, self.hi = int(table.min()), int(table.max())
        Node.made += 1
        self.serial = Node.made

    @property
    def array(self) -> Table:
        """The values of the whole batch."""
        return np.asarray(self.table[self.codes])

    def tighten(self) -> None:
        """Bounds are exact."""


Combination = dict["Node | Wide", int]
Pieces = Sequence[tuple["Node | Wide", list[tuple[int, int]]]]
"""Nodes with the places where a sum of relus of them bends and the slope from there on."""


def node_of(table: Table, codes: NDArray[np.intp]) -> Node | Wide:
    """Return an int64 node where the values fit, else a wide one."""
    wide = Wide(table, codes)
    if max(-wide.lo, wide.hi) > LIMIT:
        return wide
    return Node(table.astype(np.int64)[codes], wide.lo, wide.hi)


def wide_sum(pieces: Pieces, combination: Combination, offset: int) -> Node | Wide:
    """Return offset + Σ coefficient * node + Σ relus, in Python integers.

    Parameters
    ----------
    pieces : sequence of (node, slopes)
        Sums of relus of a node, as places and slopes.
    combination : dict of node to int
    offset : int
        All else.
    """
    nodes = [*combination, *(node for node, _ in pieces)]
    tables, codes = _aligned(nodes, pieces if not combination else ())
    parts = [tables[node] if a == 1 else a * tables[node] for node, a in combination.items()]
    for node, slopes in pieces:
        parts.append(_relus(tables[node], slopes, offset))  # a pass over the words saved
        offset = 0
    total = sum(parts[1:], start=parts[0])
    return node_of(total + offset if offset else total, codes)


def _aligned(
    nodes: list[Node | Wide], pieces: Pieces
) -> tuple[dict[Node | Wide, Table], NDArray[np.intp]]:
    """Tables of nodes with one entry for the same tokens, and the codes they share."""
    first = nodes[0]
    if isinstance(first, Wide) and all(
        isinstance(node, Wide) and node.codes is first.codes for node in nodes
    ):
        return {node: node.table for node in nodes if isinstance(node, Wide)}, first.codes
    if len(pieces) == 1 and isinstance(first, Node):
        table, codes = _told_apart(first.array, pieces[0][1])
        return {first: table}, codes
    shape = first.array.shape
    tables = {node: node.array.astype(object).ravel() for node in nodes}
    return tables, np.arange(first.array.size).reshape(shape)


def _told_apart(array: Integers, slopes: list[tuple[int, int]]) -> tuple[Table, NDArray[np.intp]]:
    """Values of an array that a sum of relus tells apart, and which of them each entry is like."""
    which = np.searchsorted(np.array([place for place, _ in slopes], dtype=np.int64), array)
    flat = np.array([True, *(slope == 0 for _, slope in slopes)])[which]
    first = np.array([min(0, slopes[0][0]), *(place for place, _ in slopes)], dtype=np.int64)
    alike = np.where(flat, first[which], array)
    values, codes = np.unique(alike, return_inverse=True)
    return values.astype(object), codes.reshape(array.shape)


def _relus(table: Table, slopes: list[tuple[int, int]], offset: int) -> Table:
    """offset + the sum of relus of every entry: most are where it is constant."""
    lines, constant, before = [(0, offset)], offset, 0
    for place, slope in slopes:
        constant -= (slope - before) * place
        before = slope
        lines.append((slope, constant))
    places = np.array([place for place, _ in slopes], dtype=object)
    which = np.searchsorted(places, table, side="right")
    total = np.array([constant for _, constant in lines], dtype=object)[which]
    slope_of = np.array([slope for slope, _ in lines], dtype=object)
    (bent,) = np.nonzero((slope_of != 0)[which])
    total[bent] += slope_of[which[bent]] * table[bent]
    return np.asarray(total)
