"""One batch of inputs on its way through the loops; see ``exact.py``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import gcd, lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.build.network import Form, Head, Network, Unit
from looprate.theory.construction.run.clock import Clock, Terms, dot, nonzero
from looprate.theory.construction.run.lazy import (
    LazyForm,
    LazyRow,
    add_combination,
    check_range,
)
from looprate.theory.construction.run.ranges import combine, interval
from looprate.theory.construction.run.wide import LIMIT, Combination, Node, Wide, node_of


class Batch:
    """One batch on its way through the loops; arrays are (N, B), so that a head reduces axis 0."""

    def __init__(
        self,
        network: Network,
        points: NDArray[np.int64],
        denominator: int,
        resolution: int | None,
    ) -> None:
        self.network, heads = network, network.block.heads
        self.clock = Clock(network)
        self.shape = points.shape[:2]
        encoded = _encode(network, points, denominator)
        shared = lcm(*range(1, self.shape[1] + 1)) if any(map(self._averages, heads)) else 1
        denominators = (den for _, den in encoded.values())
        self.resolution = _check_resolution(denominators, resolution, shared)
        self.data = {
            row: self._first_row(row, encoded.get(row))
            for row in network.block.rows
            if row not in self.clock.rows
        }
        self._forms: dict[Terms, LazyForm] = {}
        self._heads = [self._compile_head(place, head) for place, head in enumerate(heads)]
        self._groups: dict[LazyForm, list[_DataUnit]] = {}
        for unit in network.block.units:
            self._compile_unit(unit)
        drift = [(self.data[r], w) for r, w in nonzero(network.block.drift) if r in self.data]
        self._drift = [
            (row, self.resolution * w) for row, w in drift if row.name not in network.eta
        ]
        self._scheduled = [
            (row, self.resolution * w) for row, w in drift if row.name in network.eta
        ]

    def _first_row(self, name: str, encoded: tuple[NDArray[np.int64], int] | None) -> LazyRow:
        """A data row as L1 makes it."""
        affine = self.network.encoder.get(name)
        offset = self.resolution * affine.bias if affine else 0
        if encoded is None:
            return LazyRow(name, {}, offset)
        array, scale = encoded[0], self.resolution // encoded[1]
        lo, hi = scale * int(array.min()), scale * int(array.max())
        check_range(lo, hi, f"row {name!r}, encoded at resolution {self.resolution},", 0)
        if not lo and not hi:
            return LazyRow(name, {}, offset)
        return LazyRow(name, {Node(np.ascontiguousarray(array.T) * scale, lo, hi): 1}, offset)

    def _compile_form(self, form: Form) -> tuple[LazyForm, Terms]:
        """Split a form into data rows (shared by equal forms) and clock rows."""
        terms = nonzero(form)
        data = tuple((row, w) for row, w in terms if row in self.data)
        if data not in self._forms:
            self._forms[data] = LazyForm((self.data[row], w) for row, w in data)
        return self._forms[data], tuple((row, w) for row, w in terms if row not in self.data)

    def _averages(self, head: Head) -> bool:
        """Whether tokens that tie may have different values, of which a head returns the mean."""
        data = any(row not in self.clock.rows for row, _ in nonzero(head.value))
        return data and nonzero(head.value) != nonzero(head.key)

    def _compile_head(self, place: int, head: Head) -> _DataHead:
        """A head, refused unless it is of a kind that is supported."""
        value, clock = self._compile_form(head.value)
        key, _ = self._compile_form(head.key)
        query, query_clock = self._compile_form(head.query)
        output = [(self.data[row], w) for row, w in nonzero(head.output)]
        if value.terms and query.terms:
            raise ValueError(
                f"head {place} must have a query that reads clock rows only, got {head}; use the "
                "slow evaluator (reference.py) for others"
            )
        return _DataHead(place, query_clock, key, value, clock, output, self._averages(head))

    def _compile_unit(self, unit: Unit) -> None:
        """File a unit that writes data rows under its form."""
        writes = [(self.data[row], w) for row, w in nonzero(unit.writes) if row in self.data]
        if writes:
            form, clock = self._compile_form(unit.reads)
            scheduled = any(row.name in self.network.eta for row, _ in writes)
            data_unit = _DataUnit(clock, self.resolution * unit.bias, writes, scheduled)
            self._groups.setdefault(form, []).append(data_unit)

    def advance(self) -> None:
        """Run one loop."""
        self._attend()
        self._feed_forward()
        self.clock.advance()

    def _attend(self) -> None:
        """X + Attn(X); every head reads the rows before any has written."""
        results = [head.result(self.clock, self.resolution) for head in self._heads]
        for head, (combination, offset) in zip(self._heads, results, strict=True):
            for row, weight in head.output:
                row.add_linear(combination, weight)
                row.offset += weight * offset

    def _feed_forward(self) -> None:
        """X + eta(t) * FF(X); every unit reads the rows before any has written."""
        values = self.clock.values
        dots: dict[Terms, int] = {}
        linear: list[tuple[LazyRow, int, Combination, int]] = []
        kinked: list[tuple[LazyRow, int, Node | Wide, int]] = []
        for form, units in self._groups.items():
            offset, surveyed, settled = 0, False, False
            for unit in units:
                writes = self._scaled(unit.writes) if unit.scheduled else unit.writes
                if not writes:
                    continue
                if not surveyed:
                    offset, surveyed = form.survey(), True
                if unit.clock not in dots:
                    dots[unit.clock] = self.resolution * dot(unit.clock, values)
                fixed = dots[unit.clock] + unit.bias
                if form.hi + fixed + offset <= 0:
                    continue
                if not settled:
                    offset, settled = form.refresh(), True
                shift = fixed + offset
                if form.lo + shift < 0 < form.hi + shift:
                    node = form.node()
                if form.hi + shift <= 0:
                    continue
                if form.lo + shift >= 0:
                    linear += [(row, w, form.combination, shift) for row, w in writes]
                else:
                    kinked += [(row, w, node, shift) for row, w in writes]
        for row, weight, combination, shift in linear:
            row.add_linear(combination, weight)
            row.offset += weight * shift
        for row, weight, node, shift in kinked:
            row.add_kink(node, shift, weight)
        for row, weight in [*self._drift, *self._scaled(self._scheduled)]:
            row.offset += weight
        for row in {entry[0] for entry in [*linear, *kinked]}:
            row.settle_if_long()

    def _scaled(self, writes: list[tuple[LazyRow, int]]) -> list[tuple[LazyRow, int]]:
        """Weights times eta of this loop, zeros left out."""
        loop, eta_at = self.clock.loop, self.network.eta_at
        scaled = [(row, w * eta_at(row.name, loop)) for row, w in writes]
        return [(row, w) for row, w in scaled if w]

    def row(self, name: str) -> NDArray[Any]:
        """Return resolution * row of this moment, (B, N)."""
        return self.combine_rows({name: 1}, 0)

    def combine_rows(self, form: Form, bias: int) -> NDArray[Any]:
        """Return resolution * (form + bias) of this moment, (B, N)."""
        offset = self.resolution * bias
        parts: list[tuple[Combination, int]] = []
        for name, weight in form.items():
            if name in self.data:
                row = self.data[name]
                row.settle()
                offset += weight * row.offset
                parts.append((row.combination, weight))
            else:
                offset += self.resolution * weight * self.clock.values[name]
        return self._integers(combine(parts), offset)

    def _integers(self, combination: Combination, offset: int) -> NDArray[Any]:
        """A combination plus offset, (B, N): int64 where it surely fits, else Python integers."""
        lo, hi = interval(combination)
        total: NDArray[Any]
        wide = any(isinstance(node, Wide) for node in combination)
        if not wide and max(-lo - offset, hi + offset, -lo, hi, abs(offset)) <= LIMIT:
            total = np.full(self.shape[::-1], offset)
            add_combination(total, combination)
        else:
            total = np.full(self.shape[::-1], offset, dtype=object)
            for node, a in combination.items():
                total = total + node.array.astype(object) * a
        return total.T


@dataclass(frozen=True)
class _DataUnit:
    """A unit that writes data rows: ``bias`` is scaled, ``scheduled`` says that eta matters."""

    clock: Terms
    bias: int
    writes: list[tuple[LazyRow, int]]
    scheduled: bool


class _DataHead:
    """A head of a supported kind; what it returns is kept while keys and values do not change."""

    def __init__(
        self,
        place: int,
        query: Terms,
        key: LazyForm,
        value: LazyForm,
        clock: Terms,
        output: list[tuple[LazyRow, int]],
        averages: bool,
    ) -> None:
        self.place, self.query, self.key, self.value = place, query, key, value
        self.clock, self.output, self.averages = clock, output, averages
        self._seen: tuple[Node | Wide | None, ...] = ()
        self._mean: Combination = {}

    def result(self, clock: Clock, resolution: int) -> tuple[Combination, int]:
        """What every token gets: an array part and an offset."""
        offset = self.value.refresh() + resolution * dot(self.clock, clock.values)
        if not self.value.combination:
            return {}, offset
        query = dot(self.query, clock.values)
        if query <= 0:
            raise ValueError(
                f"the query of head {self.place} must be positive at every loop, got {query} at "
                f"loop {clock.loop}; use looprate.theory.construction.run.reference for other heads"
            )
        self.key.refresh()
        keys = self.key.node() if self.key.combination else None
        values = self.value.node()
        if (keys, values) != self._seen:
            mean = self._average(keys, values, clock.loop) if self.averages else _largest(values)
            self._seen, self._mean = (keys, values), {mean: 1}
        return self._mean, offset

    def _average(self, keys: Node | Wide | None, values: Node | Wide, loop: int) -> Node | Wide:
        """The mean of the values of the largest key."""
        array = values.array
        best = np.ones(array.shape, bool) if keys is None else keys.array == keys.array.max(axis=0)
        count = best.sum(axis=0)
        if len(array) * max(-values.lo, values.hi) > LIMIT:
            array = array.astype(object)
        total = np.where(best, array, 0).sum(axis=0)
        if (count > 1).any():
            if (total % count).any():
                raise ValueError(
                    f"head {self.place} must return multiples of 1/`resolution` where tokens tie, "
                    f"got others at loop {loop}; take a multiple, or "
                    "looprate.theory.construction.run.reference"
                )
            total = total // count
        return _everywhere(total, array.shape, values.lo, values.hi)


def _largest(keys: Node | Wide) -> Node | Wide:
    """The largest key of each input."""
    return _everywhere(keys.array.max(axis=0), keys.array.shape, keys.lo, keys.hi)


def _everywhere(values: NDArray[Any], shape: tuple[int, ...], lo: int, hi: int) -> Node | Wide:
    """One value an input (B,) for every token (N, B)."""
    spread = np.ascontiguousarray(np.broadcast_to(values, shape))
    if spread.dtype != object:
        return Node(spread, lo, hi)
    return node_of(spread.ravel(), np.arange(spread.size).reshape(shape))


def _encode(
    network: Network, points: NDArray[np.int64], denominator: int
) -> dict[str, tuple[NDArray[np.int64], int]]:
    """Rows that read x, without bias: integers (B, N) over a denominator in lowest terms."""
    largest = [int(np.abs(points[..., i]).max()) for i in range(network.dim)]
    encoded = {}
    for row, affine in network.encoder.items():
        common = gcd(denominator, *affine.weights.values())
        weights = {i: w // common for i, w in affine.weights.items() if w}
        bound = max((abs(w) * max(largest[i], 1) for i, w in weights.items()), default=0)
        if bound * len(weights) > LIMIT:
            raise OverflowError(
                f"row {row!r} reaches {bound.bit_length()} bits when encoded, beyond int64: use a "
                "coarser lattice or looprate.theory.construction.run.reference"
            )
        if weights:
            total = np.zeros(points.shape[:2], dtype=np.int64)
            for i, w in weights.items():
                total += w * points[..., i]
            left = denominator // common
            common = gcd(left, int(np.gcd.reduce(total, axis=None)))
            encoded[row] = total // common, left // common
    return encoded


def _check_resolution(denominators: Iterable[int], resolution: int | None, shared: int) -> int:
    """The smallest resolution that makes the encoded rows integers, or the one asked for.

    Without one asked for, means over as many tokens as ``shared`` is divisible by are integers too.
    """
    smallest = lcm(*denominators)
    if resolution is None:
        return smallest * shared
    if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 1:
        raise ValueError(f"`resolution` must be an integer of at least 1, got {resolution!r}")
    if resolution % smallest:
        raise ValueError(
            f"`resolution` must be a multiple of {smallest}, or encoded rows of this batch fall "
            f"between integers, got {resolution}; leave it out for the smallest"
        )
    return resolution
