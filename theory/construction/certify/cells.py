"""A network run on every cell: its output table, what the construction answers there, and strips.

By equivariance one order of the tokens stands for all: cells are listed descending, with the number
of orders each stands for.  Off the strips the construction's output depends on the cells alone
(:mod:`looprate.theory.construction.build.quantise`), so its centre and two opposite corners are
run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.build.compile import Construction
from looprate.theory.construction.build.labels import cell_points, every_cell
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.memorisers import memoriser_kind
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.oracle import oracle_labels
from looprate.theory.construction.run.wide import LIMIT

__all__ = ["cell_count", "expected_outputs", "run_cells"]

STRIP_PARTS = 16  # positions within a strip that strip inputs are drawn from
Integers = NDArray[np.int64]
Fractions = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class CellRun:
    """Exact outputs of a network.

    Attributes
    ----------
    cells : (K, N) int64 ndarray
        Cell numbers, descending, ties included.
    copies : (K,) int64 ndarray
        Orders of the tokens that each row stands for.
    centres, low, high : (K, N, d) ndarrays of Fraction
        Outputs at the centre, at the corner just above the lower strips, and at the upper corner.
    strips : (S, N, d) ndarray of Fraction
        Outputs at random inputs in strips.
    strip_points : (S, N, d) float64 ndarray
        Those inputs, rounded.
    """

    cells: Integers
    copies: Integers
    centres: Fractions
    low: Fractions
    high: Fractions
    strips: Fractions
    strip_points: NDArray[np.float64]


def cell_count(spec: ConstructionSpec) -> int:
    """Return how many multisets of N cells there are."""
    return math.comb(spec.cells + spec.tokens - 1, spec.tokens)


def expected_outputs(construction: Construction, cells: Integers) -> Fractions:
    """Return what the construction answers on cells (K, N): steps run one by one, no network."""
    spec, table = construction.spec, construction.table
    answer = memoriser_kind(spec.memoriser).answer(spec, table)
    known: dict[int, list[Fraction]] = {}
    outputs = np.empty((*cells.shape, spec.dim), dtype=object)
    for place, row in enumerate(cells.tolist()):
        for n, k in enumerate(oracle_labels(row, spec)):
            if k not in known:
                known[k] = [answer(k, i) for i in range(table.values.shape[1])]
            outputs[place, n] = known[k]
    return outputs


def run_cells(
    construction: Construction,
    *,
    strips: int,
    rng: np.random.Generator,
    report: Callable[[float], None] | None = None,
) -> CellRun:
    """Run a construction's network on every cell and on random inputs in strips.

    Parameters
    ----------
    construction : Construction
    strips : int
        Inputs in strips, S; none where there is no strip (m = 1).
    rng : numpy.random.Generator
        Draws them.
    report : callable, optional
        Called with the fraction done.

    Raises
    ------
    OverflowError
        If the run might leave 64 bits, by its sharpness or on the way.
    """
    spec = construction.spec
    if STRIP_PARTS * spec.slope > LIMIT:
        raise OverflowError(
            f"`sharpness` must be at most 2^62 / ({STRIP_PARTS} grid) for an exact run in 64 bits, "
            f"got {spec.sharpness} at grid={spec.grid}; 2^30 is sharp enough"
        )
    cells, copies = every_cell(spec)
    points = [cell_points(cells, spec, where) for where in ("centre", "low", "high")]
    inside = strip_points(spec, strips, rng)
    batch = np.concatenate([STRIP_PARTS * np.concatenate(points), inside])
    scale = STRIP_PARTS * spec.slope
    found = exact_output(construction.network, batch, denominator=scale, report=report).fractions
    count = len(cells)
    centres, lower, higher, rest = np.split(found, [count, 2 * count, 3 * count])
    return CellRun(cells, copies, centres, lower, higher, rest, inside / scale)


def strip_points(spec: ConstructionSpec, count: int, rng: np.random.Generator) -> Integers:
    """Return random inputs (count, N, d) with a coordinate in a strip, times 16 M.

    Every coordinate is in a strip with probability 1/2, and at least one is.  On the others code
    the first two tokens of every other input nearly tie.
    """
    shape = (count if spec.grid > 1 else 0, spec.tokens, spec.dim)
    free = rng.integers(0, spec.slope * STRIP_PARTS, shape, endpoint=True)
    line = rng.integers(1, max(spec.grid, 2), shape) * spec.sharpness * STRIP_PARTS
    inside = line + rng.integers(1, STRIP_PARTS, shape)
    chosen = rng.random(shape) < 0.5
    forced = rng.integers(0, spec.tokens * spec.dim, shape[0])
    chosen.reshape(shape[0], spec.tokens * spec.dim)[np.arange(shape[0]), forced] = True
    found = np.where(chosen, inside, free)
    if spec.coding == "others" and spec.tokens > 1:
        near = rng.integers(-STRIP_PARTS, STRIP_PARTS, len(found[::2]), endpoint=True)
        found[::2, 1, 0] = (found[::2, 0, 0] + near).clip(0, spec.slope * STRIP_PARTS)
    return found
