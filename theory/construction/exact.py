"""The fast evaluator: a whole batch of inputs on a lattice, bit for bit what the slow one says.

With x = numerators / denominator every row is a multiple of 1 / resolution (weights are integers,
relu and hardmax positively homogeneous), so that resolution * row is computed in integers.  Clock
rows run once as Python integers (:mod:`theory.construction.clock`); data rows are int64 arrays of
the batch, with proven bounds, touched only where a unit is neither dead nor linear on the whole
batch (:mod:`theory.construction.lazy`).  What the bounds cannot prove is refused: float64 would be
right only below 2^53 and never say so.

Heads: those with a value form of clock rows only, and those that attend by a positive clock row and
return their own key, i.e. its maximum (how ties share the weight does not matter then).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.construction.clock import Clock, dot, nonzero
from theory.construction.lazy import (
    LIMIT,
    Combination,
    LazyForm,
    LazyRow,
    Node,
    add_combination,
    check_range,
    combine,
    interval,
)
from theory.construction.network import Form, Head, Network, Unit
from theory.notation import check_loops

__all__ = ["Outputs", "Rows", "exact_output", "exact_rows", "exact_states"]

REPORTS = 50
"""Most calls of ``report``."""


@dataclass(frozen=True)
class Outputs:
    """Decoded outputs, exact: ``numerators`` / ``denominator``.

    Attributes
    ----------
    numerators : ndarray of int64, or of Python integers where they do not fit, (B, N, d)
    denominator : int
    """

    numerators: NDArray[Any]
    denominator: int

    @property
    def fractions(self) -> NDArray[np.object_]:
        """The outputs as :class:`fractions.Fraction`, (B, N, d)."""
        return _as_fractions(self.numerators, self.denominator)

    @property
    def floats(self) -> NDArray[np.float64]:
        """The outputs, each rounded once, (B, N, d)."""
        return (self.numerators.astype(object) / self.denominator).astype(np.float64)


@dataclass(frozen=True)
class Rows:
    """Every row of every token, exact: ``values[row]`` / ``resolution``.

    Attributes
    ----------
    values : mapping of row to ndarray of int64 or of Python integers, (B, N)
    resolution : int
    """

    values: Mapping[str, NDArray[Any]]
    resolution: int

    def fractions(self, row: str) -> NDArray[np.object_]:
        """Return one row as :class:`fractions.Fraction`, (B, N)."""
        return _as_fractions(self.values[row], self.resolution)


def exact_output(
    network: Network,
    numerators: ArrayLike,
    *,
    denominator: int,
    loops: int | None = None,
    report: Callable[[float], None] | None = None,
) -> Outputs:
    """Return the network's exact outputs on a batch of inputs numerators / denominator.

    Parameters
    ----------
    network : Network
    numerators : array_like of int, (B, N, d)
    denominator : int
        Common denominator of the inputs, at least 1.
    loops : int, optional
        Loops to run; the network's own count if left out.
    report : callable, optional
        Called with the fraction done, at most 50 times.

    Returns
    -------
    Outputs

    Raises
    ------
    ValueError
        If an argument has another shape or type, or a head is of a kind that is not supported.
    OverflowError
        If an array of the computation might leave int64.

    Examples
    --------
    >>> from theory.construction.network import Affine, Block, Network, Unit
    >>> unit = Unit("up", {"x": 1}, 0, {"x": 1})
    >>> net = Network(Block(("x",), (), (unit,), {}), {"x": Affine({0: 1})},
    ...               (({"x": Fraction(1)}, Fraction(0)),), {}, 3)
    >>> exact_output(net, [[[1]], [[-1]]], denominator=4).floats.ravel().tolist()
    [2.0, -0.25]
    """
    last = _run(network, numerators, denominator, None, loops, report)
    return last.outputs()


def exact_rows(
    network: Network,
    numerators: ArrayLike,
    *,
    denominator: int,
    resolution: int | None = None,
    loops: int | None = None,
    report: Callable[[float], None] | None = None,
) -> Rows:
    """Return every row after the last loop.

    Parameters
    ----------
    network, numerators, denominator, loops, report
        As in :func:`exact_output`.
    resolution : int, optional
        Rows are stored as integers, this many times their value; by default the smallest that
        keeps the encoded rows of this batch integral.

    Returns
    -------
    Rows

    Raises
    ------
    ValueError, OverflowError
        As in :func:`exact_output`; also if ``resolution`` leaves an encoded row between integers.
    """
    return _run(network, numerators, denominator, resolution, loops, report).rows()


def exact_states(
    network: Network,
    numerators: ArrayLike,
    *,
    denominator: int,
    resolution: int | None = None,
    loops: int | None = None,
) -> Iterator[Rows]:
    """Yield every row before the first loop and after each: loops + 1 times.

    Parameters, errors
    ------------------
    As in :func:`exact_rows`.
    """
    count = network.loops if loops is None else check_loops(loops)
    batch = _Batch(network, numerators, denominator, resolution)
    yield batch.rows()
    for _ in range(count):
        batch.advance()
        yield batch.rows()


def _run(
    network: Network,
    numerators: ArrayLike,
    denominator: int,
    resolution: int | None,
    loops: int | None,
    report: Callable[[float], None] | None,
) -> _Batch:
    """All loops of one batch."""
    count = network.loops if loops is None else check_loops(loops)
    batch = _Batch(network, numerators, denominator, resolution)
    every = -(-count // REPORTS)
    for loop in range(count):
        batch.advance()
        if report is not None and ((loop + 1) % every == 0 or loop + 1 == count):
            report((loop + 1) / count)
    return batch


class _Batch:
    """One batch on its way through the loops; arrays are (N, B), so that a head reduces axis 0."""

    def __init__(
        self, network: Network, numerators: ArrayLike, denominator: int, resolution: int | None
    ) -> None:
        points = _check_points(numerators, denominator, network.dim)
        self.network = network
        self.clock = Clock(network)
        self.shape = points.shape[:2]
        encoded = _encode(network, points, denominator)
        self.resolution = _check_resolution((den for _, den in encoded.values()), resolution)
        self.data = {
            row: self._first_row(row, encoded.get(row))
            for row in network.block.rows
            if row not in self.clock.rows
        }
        self._forms: dict[tuple[tuple[str, int], ...], LazyForm] = {}
        self._heads = [self._compile_head(place, h) for place, h in enumerate(network.block.heads)]
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

    def _compile_form(self, form: Form) -> tuple[LazyForm, tuple[tuple[str, int], ...]]:
        """Split a form into data rows (shared by equal forms) and clock rows."""
        terms = nonzero(form)
        data = tuple((row, w) for row, w in terms if row in self.data)
        if data not in self._forms:
            self._forms[data] = LazyForm((self.data[row], w) for row, w in data)
        return self._forms[data], tuple((row, w) for row, w in terms if row not in self.data)

    def _compile_head(self, place: int, head: Head) -> _DataHead:
        """A head, refused unless it is of a kind that is supported."""
        form, clock = self._compile_form(head.value)
        query, query_clock = self._compile_form(head.query)
        output = [(self.data[row], w) for row, w in nonzero(head.output)]
        if form.terms and (query.terms or nonzero(head.value) != nonzero(head.key)):
            raise ValueError(
                f"head {place} must have a query that reads clock rows only and a value form equal "
                f"to its key form, got {head}; use theory.construction.reference for others"
            )
        return _DataHead(place, query_clock, form, clock, output)

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
        loop, values = self.clock.loop, self.clock.values
        dots: dict[tuple[tuple[str, int], ...], int] = {}
        linear: list[tuple[LazyRow, int, Combination, int]] = []
        kinked: list[tuple[LazyRow, int, Node, int]] = []
        for form, units in self._groups.items():
            offset: int | None = None
            for unit in units:
                writes = self._scaled(unit.writes) if unit.scheduled else unit.writes
                if not writes:
                    continue
                if offset is None:
                    offset = form.refresh(loop)
                if unit.clock not in dots:
                    dots[unit.clock] = self.resolution * dot(unit.clock, values)
                shift = dots[unit.clock] + unit.bias + offset
                if form.lo + shift < 0 < form.hi + shift:
                    node = form.node(loop)
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
            row.settle_if_long(loop)

    def _scaled(self, writes: list[tuple[LazyRow, int]]) -> list[tuple[LazyRow, int]]:
        """Weights times eta of this loop, zeros left out."""
        loop, eta_at = self.clock.loop, self.network.eta_at
        scaled = [(row, w * eta_at(row.name, loop)) for row, w in writes]
        return [(row, w) for row, w in scaled if w]

    def rows(self) -> Rows:
        """Every row of this moment."""
        R = self.resolution
        values: dict[str, NDArray[Any]] = {}
        for name in self.network.block.rows:
            if name in self.data:
                row = self.data[name]
                row.settle(self.clock.loop)
                values[name] = self._integers(row.combination, row.offset)
            else:
                values[name] = self._integers({}, R * self.clock.values[name])
        return Rows(values, R)

    def outputs(self) -> Outputs:
        """L2 of this moment."""
        scale = lcm(
            *(
                Fraction(c).denominator
                for form, b in self.network.decoder
                for c in (b, *form.values())
            )
        )
        columns = []
        for form, bias in self.network.decoder:
            offset = int(bias * scale) * self.resolution
            parts: list[tuple[Combination, int]] = []
            for name, fraction in form.items():
                weight = int(fraction * scale)
                if name in self.data:
                    row = self.data[name]
                    row.settle(self.clock.loop)
                    offset += weight * row.offset
                    parts.append((row.combination, weight))
                else:
                    offset += weight * self.resolution * self.clock.values[name]
            columns.append(self._integers(combine(parts), offset))
        return Outputs(np.stack(columns, axis=-1), scale * self.resolution)

    def _integers(self, combination: Combination, offset: int) -> NDArray[Any]:
        """A combination plus offset, (B, N): int64 where it surely fits, else Python integers."""
        lo, hi = interval(combination)
        total: NDArray[Any]
        if max(-lo - offset, hi + offset, -lo, hi, abs(offset)) <= LIMIT:
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

    clock: tuple[tuple[str, int], ...]
    bias: int
    writes: list[tuple[LazyRow, int]]
    scheduled: bool


class _DataHead:
    """A head of a supported kind; the maximum is kept while its keys do not change."""

    def __init__(
        self,
        place: int,
        query: tuple[tuple[str, int], ...],
        form: LazyForm,
        clock: tuple[tuple[str, int], ...],
        output: list[tuple[LazyRow, int]],
    ) -> None:
        self.place, self.query, self.form, self.clock = place, query, form, clock
        self.output = output
        self._seen: Node | None = None
        self._largest: Combination = {}

    def result(self, clock: Clock, resolution: int) -> tuple[Combination, int]:
        """What every token gets: an array part and an offset."""
        offset = self.form.refresh(clock.loop) + resolution * dot(self.clock, clock.values)
        if not self.form.combination:
            return {}, offset
        query = dot(self.query, clock.values)
        if query <= 0:
            raise ValueError(
                f"the query of head {self.place} must be positive at every loop, got {query} at "
                f"loop {clock.loop}; use theory.construction.reference for other heads"
            )
        keys = self.form.node(clock.loop)
        if keys is not self._seen:
            largest = np.broadcast_to(keys.array.max(axis=0), keys.array.shape)
            node = Node(np.ascontiguousarray(largest), keys.lo, keys.hi)
            self._seen, self._largest = keys, {node: 1}
        return self._largest, offset


def _check_points(numerators: ArrayLike, denominator: int, dim: int) -> NDArray[np.int64]:
    """The batch as int64, (B, N, d)."""
    if isinstance(denominator, bool) or not isinstance(denominator, int) or denominator < 1:
        raise ValueError(f"`denominator` must be an integer of at least 1, got {denominator!r}")
    points = np.asarray(numerators)
    if points.ndim != 3 or 0 in points.shape or points.shape[2] != dim:
        raise ValueError(
            f"`numerators` must have shape (B, N, d) with B, N >= 1 and d = {dim}, got "
            f"{points.shape}"
        )
    if points.dtype.kind not in "iu":
        raise ValueError(
            f"`numerators` must be integers of at most 64 bits (x = numerators / denominator), got "
            f"dtype {points.dtype}; put the inputs on a lattice first"
        )
    if max(-int(points.min()), int(points.max())) > LIMIT:
        raise OverflowError("`numerators` must stay within 2^62: use a coarser lattice")
    return points.astype(np.int64)


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
                "coarser lattice or theory.construction.reference"
            )
        if weights:
            total = np.zeros(points.shape[:2], dtype=np.int64)
            for i, w in weights.items():
                total += w * points[..., i]
            left = denominator // common
            common = gcd(left, int(np.gcd.reduce(total, axis=None)))
            encoded[row] = total // common, left // common
    return encoded


def _check_resolution(denominators: Iterable[int], resolution: int | None) -> int:
    """The smallest resolution that makes the encoded rows integers, or the one asked for."""
    smallest = lcm(*denominators)
    if resolution is None:
        return smallest
    if isinstance(resolution, bool) or not isinstance(resolution, int) or resolution < 1:
        raise ValueError(f"`resolution` must be an integer of at least 1, got {resolution!r}")
    if resolution % smallest:
        raise ValueError(
            f"`resolution` must be a multiple of {smallest}, or encoded rows of this batch fall "
            f"between integers, got {resolution}; leave it out for the smallest"
        )
    return resolution


def _as_fractions(numerators: NDArray[Any], denominator: int) -> NDArray[np.object_]:
    """Elementwise fractions."""
    flat = [Fraction(int(value), denominator) for value in numerators.ravel()]
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(numerators.shape)
