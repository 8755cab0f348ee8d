"""The brute-force oracle: find the cells, sort them, look the label up, decode.  No network.

It knows nothing of rows, units and loops, and is written with other means than the steps it checks:
division for cells, sorting for ranks, bisection and arithmetic on the label table for values.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from looprate.theory.construction.build.labels import LabelTable
from looprate.theory.construction.build.spec import ConstructionSpec

__all__ = ["oracle_cells", "oracle_labels"]

Point = Sequence[Sequence[Fraction | int]]


def oracle_cells(point: Point, spec: ConstructionSpec) -> list[int]:
    """Return the cell number of every token; a grid line belongs to the cell below it.

    Raises
    ------
    ValueError
        If a coordinate lies inside a transition strip, where there is no one cell.
    """
    cells = []
    for token in point:
        number = 0
        for x in reversed(token):
            place = Fraction(x) * spec.grid
            line = min(int(place), spec.grid - 1)
            above = (place - line) / spec.grid
            if line and above == 0:
                line -= 1
            elif line and above < Fraction(1, spec.slope):
                raise ValueError(f"`point` must lie off the transition strips, got {x}")
            number = number * spec.grid + line
        cells.append(number)
    return cells


def oracle_labels(cells: Sequence[int], spec: ConstructionSpec) -> list[int]:
    """Return the label of every token from the cells of all.

    On the others code tokens are taken in the order of b_0 and, where that is equal, as given.  On
    the other codes tokens in one cell are taken as one; when all have been taken, the order starts
    again from the top, one U lower, until N were taken.
    """
    base, n = spec.cells, spec.tokens
    if spec.coding == "others":
        return [_others_label(own, cells, spec) for own in range(n)]
    order = sorted(set(cells), reverse=True)
    taken = [order[j % len(order)] - base * (j // len(order)) for j in range(n)]
    code = sum(z * base ** (n - 1 - j) for j, z in enumerate(taken))
    if spec.coding == "sum":
        return [2 * base * code + 2 * z - z % spec.grid for z in cells]
    times = [len(range(order.index(z), n, len(order))) for z in cells]  # how often it was taken
    return [n * code + order.index(z) - (count - 1) for z, count in zip(cells, times, strict=True)]


def _others_label(own: int, cells: Sequence[int], spec: ConstructionSpec) -> int:
    """The label of one token: its padded cell after the cells of the others."""
    others = sorted((z for n, z in enumerate(cells) if n != own), key=lambda z: -(z % spec.grid))
    code = sum(z * spec.cells**place for place, z in enumerate(reversed(others)))
    return 2 * spec.cells * code + 2 * cells[own] - cells[own] % spec.grid


def oracle_output(point: Point, spec: ConstructionSpec, table: LabelTable) -> list[list[Fraction]]:
    """Return the table's values for an input off the strips, before any memoriser's rounding.

    Labels below 0 and above L (collisions only) are answered as the first and the last; the digit
    memoriser answers them with its smallest value instead.
    """
    labels = oracle_labels(oracle_cells(point, spec), spec)
    return [table.value(k) for k in labels]
