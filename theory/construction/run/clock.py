"""The rows that no input reaches: found over the sparsity pattern, run once as Python integers.

A row is a *data row* if the encoder gives it a coordinate of x, if a head writes to it, or if a
unit that reads a data row writes to it; every other row is a *clock row*.  Clock rows are equal
for all inputs and tokens: counters, gates, and the integers that hold the labels, which have as
many digits as there are loops.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from looprate.theory.construction.build.network import Form, Network

__all__ = ["Clock"]

Terms: TypeAlias = "tuple[tuple[str, int], ...]"
"""A form without its zero weights, in a fixed order: equal forms are equal terms."""


def nonzero(form: Form) -> Terms:
    """Return the terms of a form that matter, sorted by row."""
    return tuple(sorted((row, weight) for row, weight in form.items() if weight))


def dot(terms: Iterable[tuple[str, int]], values: Mapping[str, int]) -> int:
    """Return the form's value; a product by 0, 1 or -1 of a long integer is not computed."""
    total = 0
    for row, weight in terms:
        value = values[row]
        if value:
            total += value if weight == 1 else -value if weight == -1 else weight * value
    return total


def clock_rows(network: Network) -> frozenset[str]:
    """Return the rows that are equal for every input and every token, whatever the loop.

    Parameters
    ----------
    network : Network

    Returns
    -------
    frozenset of str
        All rows but the closure of "reads x, is written by a head, or is written by a unit that
        reads such a row".  Zero weights do not count.
    """
    data = {row for row, affine in network.encoder.items() if any(affine.weights.values())}
    data |= {row for head in network.block.heads for row, _ in nonzero(head.output)}
    arrows = [
        ({row for row, _ in nonzero(unit.reads)}, {row for row, _ in nonzero(unit.writes)})
        for unit in network.block.units
    ]
    while grown := {row for reads, writes in arrows if reads & data for row in writes - data}:
        data |= grown
    return frozenset(network.block.rows) - data


class Clock:
    """The clock rows of a network, loop by loop.

    Parameters
    ----------
    network : Network

    Attributes
    ----------
    rows : frozenset of str
        The clock rows, :func:`clock_rows`.
    loop : int
        t, loops run so far.
    values : dict of str to int
        The clock rows before the feed-forward layer of loop t (no head writes to them, so before
        its attention as well).
    """

    def __init__(self, network: Network) -> None:
        self.rows = clock_rows(network)
        self.loop = 0
        self.values = {
            row: network.encoder[row].bias if row in network.encoder else 0 for row in self.rows
        }
        self._network = network
        self._scheduled = [row for row in network.eta if row in self.rows]
        self._drift = [(row, w) for row, w in nonzero(network.block.drift) if row in self.rows]
        groups: dict[Terms, list[tuple[int, Terms]]] = {}
        for unit in network.block.units:
            writes = tuple((row, w) for row, w in nonzero(unit.writes) if row in self.rows)
            if writes:
                groups.setdefault(nonzero(unit.reads), []).append((unit.bias, writes))
        self._groups = [(reads, *_lines(units)) for reads, units in groups.items()]

    def advance(self) -> None:
        """Run one loop."""
        update = dict(self._drift)
        for reads, thresholds, lines in self._groups:
            value = dot(reads, self.values)
            for row, slope, constant in lines[bisect_left(thresholds, value)]:
                part = slope * value + constant if slope else constant
                update[row] = update.get(row, 0) + part
        for row in self._scheduled:
            if row in update:
                update[row] *= self._network.eta_at(row, self.loop)
        for row, change in update.items():
            self.values[row] += change
        self.loop += 1


def _lines(
    units: list[tuple[int, Terms]],
) -> tuple[list[int], list[list[tuple[str, int, int]]]]:
    """What units that read the same form add together: row, slope and constant by its value.

    Between neighbouring thresholds -bias the sum is linear; summing first avoids products of
    integers as long as the labels, which cancel in relu(u+1) - relu(u).
    """
    thresholds, slopes, constants = [], dict[str, int](), dict[str, int]()
    lines: list[list[tuple[str, int, int]]] = [[]]
    for bias, writes in sorted(units, key=lambda unit: -unit[0]):
        for row, weight in writes:
            slopes[row] = slopes.get(row, 0) + weight
            constants[row] = constants.get(row, 0) + weight * bias
        thresholds.append(-bias)
        lines.append([(r, slopes[r], c) for r, c in constants.items() if slopes[r] or c])
    return thresholds, lines
