"""The fast evaluator: a whole batch of inputs on a lattice, bit for bit what the slow one says.

With x = numerators / denominator every row is a multiple of 1 / resolution (weights are integers,
relu and hardmax positively homogeneous), so that resolution * row is computed in integers.  Clock
rows run once as Python integers (:mod:`looprate.theory.construction.run.clock`); data rows are
int64 arrays of the batch, with proven bounds, touched only where a unit is neither dead nor linear
on the whole batch (:mod:`looprate.theory.construction.run.lazy`), and Python integers where int64
might not hold them (:mod:`looprate.theory.construction.run.wide`): float64 would be right only
below 2^53 and never say so.

Heads: those with a value form of clock rows only, and those that attend by a positive clock row.
Where tokens tie that have different values, a mean that is no multiple of 1/resolution is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from looprate.theory.construction.build.network import Network
from looprate.theory.construction.run.batch import Batch
from looprate.theory.construction.run.wide import LIMIT
from looprate.theory.notation import check_loops

__all__ = ["exact_output", "exact_rows", "exact_states"]

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
    >>> from looprate.theory.construction.build.network import Affine, Block, Network, Unit
    >>> unit = Unit("up", {"x": 1}, 0, {"x": 1})
    >>> net = Network(Block(("x",), (), (unit,), {}), {"x": Affine({0: 1})},
    ...               (({"x": Fraction(1)}, Fraction(0)),), {}, 3)
    >>> exact_output(net, [[[1]], [[-1]]], denominator=4).floats.ravel().tolist()
    [2.0, -0.25]
    """
    batch = _run(network, numerators, denominator, None, loops, report)
    numbers = [c for form, bias in network.decoder for c in (bias, *form.values())]
    scale = lcm(*(Fraction(number).denominator for number in numbers))
    columns = [
        batch.combine_rows({row: int(w * scale) for row, w in form.items()}, int(bias * scale))
        for form, bias in network.decoder
    ]
    return Outputs(np.stack(columns, axis=-1), scale * batch.resolution)


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
    return _rows(_run(network, numerators, denominator, resolution, loops, report))


def exact_states(
    network: Network,
    numerators: ArrayLike,
    *,
    denominator: int,
    resolution: int | None = None,
    loops: int | None = None,
    at: Collection[int] | None = None,
) -> Iterator[Rows]:
    """Yield every row before the first loop and after each: loops + 1 times.

    Parameters and errors are those of :func:`exact_rows`; with ``at`` rows are read off after these
    numbers of loops alone, in ascending order, which saves most of the time of a long run.
    """
    count = network.loops if loops is None else check_loops(loops)
    points = _check_points(numerators, denominator, network.dim)
    batch = Batch(network, points, denominator, resolution)
    for loop in range(count + 1):
        if at is None or loop in at:
            yield _rows(batch)
        if loop < count:
            batch.advance()


def _rows(batch: Batch) -> Rows:
    """Every row of this moment."""
    return Rows({name: batch.row(name) for name in batch.network.block.rows}, batch.resolution)


def _run(
    network: Network,
    numerators: ArrayLike,
    denominator: int,
    resolution: int | None,
    loops: int | None,
    report: Callable[[float], None] | None,
) -> Batch:
    """All loops of one batch."""
    count = network.loops if loops is None else check_loops(loops)
    points = _check_points(numerators, denominator, network.dim)
    batch = Batch(network, points, denominator, resolution)
    every = -(-count // REPORTS)
    for loop in range(count):
        batch.advance()
        if report is not None and ((loop + 1) % every == 0 or loop + 1 == count):
            report((loop + 1) / count)
    return batch


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


def _as_fractions(numerators: NDArray[Any], denominator: int) -> NDArray[np.object_]:
    """Elementwise fractions."""
    flat = [Fraction(int(value), denominator) for value in numerators.ravel()]
    result = np.empty(len(flat), dtype=object)
    result[:] = flat
    return result.reshape(numerators.shape)
