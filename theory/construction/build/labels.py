"""The label table: which value every label 0..L stands for, padding included.

Labels in use are those of N distinct cells; label k of a token stands for f at the centre of the
cells, f̂(k).  Inputs whose tokens share cells reach further labels (the contextual mapping takes
cells that tokens share as one): those get f at the centre, too, or its mean where several inputs
cannot be told apart (N >= 3), weighted by the orders of their tokens.  All other labels are filled
linearly between their neighbours, and constantly beyond the first and the last.  Values are
integers in a unit of 2^{-b}, b chosen so that the largest has 40 bits: a rounding of 1e-12,
relative, by which the table differs from f̂.

Largest gap of the sum code (unit aside): max_k |y_k - y_{k-1}| <= w_tok(δ√d) + w_cont(δ√(Nd)) in
every coordinate.  Proof: let two filled labels be g apart.  If their codes s differ, then
g >= V - (2U - m - 1) = m + 1, more cells than any coordinate can move.  If s is the same, so is the
set of cells (the numbers that enter s fall strictly, and a lead in the first that differs cannot be
undone by the rest), so the two tokens belong to the same inputs; as b_0 counts once and every other
b_i in steps of 2m, no coordinate of the own cell differs by more than g cells, and the context
exchanges one cell for the other.  Either way the own token is at most g δ√d away and its context
g δ√(Nd), so the values differ by at most w_tok(g δ√d) + w_cont(g δ√(Nd)), which is at most
g (w_tok(δ√d) + w_cont(δ√(Nd))); linear filling spreads it evenly.

Others code: every s in [0, U^{N-1}) and z in [0, U) has a label, in use or not: f at the centre of
z among the centres of s, shared cells included, so no input collides.  An s in no order of first
coordinates occurs for no input, but is a legitimate value, exactly that of the ordered s: of tokens
with equal b_0 the cells do not say who is first, and so it does not matter.  Largest gap
<= w_tok(δ√d) + w_cont(δ√((N-1)d)): from z to z+1 without a carry of b_0 it is one label and one
cell of the own token; at a carry, and from (s, U-1) to (s+1, 0), it is exactly m+1 labels, and no
coordinate of any token moves by more than m-1 cells.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.build.coding import label
from looprate.theory.construction.build.contextual import contextual_code
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.values import values_of

__all__ = [
    "LabelTable",
    "cell_centres",
    "cell_points",
    "every_cell",
    "grid_coordinates",
    "labels_in_use",
]

VALUE_BITS = 40  # of the largest value; eta, sums and scaled sums of such stay exact in 64 bits
MOST_LABELS = 2**21  # linear filling multiplies a value by a count of labels in 64 bits
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LabelTable:
    """Values of the labels 0..L.

    Attributes
    ----------
    values : (L + 1, d) int64 ndarray
        In units of ``unit``.
    used : (L + 1,) bool ndarray
        Whether some input without a collision has this label; on the others code, whether it is
        that of some s and z.
    unit : Fraction
        A power of two.
    """

    values: Integers
    used: NDArray[np.bool_]
    unit: Fraction

    @property
    def gaps(self) -> list[Fraction]:
        """Largest difference of adjacent labels, one per coordinate: the bound of Lemma 4.1."""
        if len(self.values) < 2:
            return [Fraction(0)] * self.values.shape[1]
        steps = np.abs(np.diff(self.values, axis=0)).max(0)
        return [self.unit * int(step) for step in steps]

    @property
    def ranges(self) -> list[tuple[Fraction, Fraction]]:
        """Smallest and largest label value of each coordinate."""
        low, high = self.values.min(0), self.values.max(0)
        return [(self.unit * int(a), self.unit * int(b)) for a, b in zip(low, high, strict=True)]

    def value(self, label: int) -> list[Fraction]:
        """Return the value of a label, one fraction per coordinate; labels beyond the ends as the
        ends."""
        place = min(max(label, 0), len(self.values) - 1)
        return [self.unit * int(v) for v in self.values[place]]


def labels_in_use(spec: ConstructionSpec) -> tuple[Integers, Integers]:
    """Return every set of N distinct cells and the labels of its tokens.

    Returns
    -------
    cells : (K, N) int64 ndarray
        Cell numbers, descending in each row.
    labels : (K, N) int64 ndarray
        Label of the token in the same place; on the others code, of tokens with equal b_0 the first
        in the row has the largest first coordinate.
    """
    n, base = spec.tokens, spec.cells
    picked = itertools.combinations(range(base - 1, -1, -1), n)
    flat = np.fromiter(itertools.chain.from_iterable(picked), dtype=np.int64)
    cells = flat.reshape(-1, n)
    if spec.coding == "others":
        return cells, _others_labels(cells, spec)
    codes = cells @ powers_of(base, n)[::-1]
    if spec.coding == "rank":
        return cells, n * codes[:, None] + np.arange(n)
    return cells, 2 * base * codes[:, None] + 2 * cells - cells % spec.grid


def _others_labels(cells: Integers, spec: ConstructionSpec) -> Integers:
    """Labels on the others code of cells (K, N) in any order, all in one block of tokens."""
    order = np.argsort(-(cells % spec.grid), axis=1, kind="stable")
    ranked = np.take_along_axis(cells, order, axis=1)
    labels = np.empty_like(cells)
    for place in range(spec.tokens):
        codes = np.delete(ranked, place, axis=1) @ powers_of(spec.cells, spec.tokens - 1)[::-1]
        own = ranked[:, place]
        found = 2 * spec.cells * codes + 2 * own - own % spec.grid
        np.put_along_axis(labels, order[:, place : place + 1], found[:, None], axis=1)
    return labels


def every_cell(spec: ConstructionSpec) -> tuple[Integers, Integers]:
    """Return all cells of N tokens, (K, N) descending with ties, and the orders of each, (K,)."""
    picked = itertools.combinations_with_replacement(range(spec.cells - 1, -1, -1), spec.tokens)
    flat = np.fromiter(itertools.chain.from_iterable(picked), dtype=np.int64)
    cells = flat.reshape(-1, spec.tokens)
    run, copies = np.ones(len(cells), dtype=np.int64), np.ones(len(cells), dtype=np.int64)
    for j in range(1, spec.tokens):  # N! / (product of the factorials of multiplicities)
        run = np.where(cells[:, j] == cells[:, j - 1], run + 1, 1)
        copies = copies * (j + 1) // run
    return cells, copies


def colliding(cells: Integers, spec: ConstructionSpec) -> NDArray[np.bool_]:
    """Return which rows of :func:`every_cell` have a label that does not stand for f there, (K,).

    Rows with a cell that tokens share; for N = 2 the table holds f at the centres of all of them
    but cell 0, whose label is negative.
    """
    if spec.coding == "others":
        return np.zeros(len(cells), dtype=bool)
    shared = np.asarray((cells[:, 1:] == cells[:, :-1]).any(axis=1))
    return shared & (cells[:, 0] == 0) if spec.tokens == 2 else shared


def grid_coordinates(cells: Integers, spec: ConstructionSpec) -> Integers:
    """Return b_0..b_{d-1} of cells (K, N), whose numbers are Σ b_i m^i, as (K, N, d)."""
    return np.asarray(cells[..., None] // powers_of(spec.grid, spec.dim) % spec.grid)


def powers_of(base: int, count: int) -> Integers:
    """1, base, base^2, ..."""
    return np.array([base**i for i in range(count)], dtype=np.int64)


def cell_centres(cells: Integers, spec: ConstructionSpec) -> NDArray[np.float64]:
    """Return the centres of cells (K, N) as inputs (K, N, d)."""
    return (grid_coordinates(cells, spec) + 0.5) / spec.grid


def cell_points(
    cells: Integers, spec: ConstructionSpec, where: Literal["centre", "low", "high"] = "centre"
) -> Integers:
    """Return inputs in cells (K, N) off the strips, times the slope M: (K, N, d) integers.

    At the centre (or half a strip beside it), the corner just above the lower strips, or the upper
    corner.  On the others code, where first coordinates must differ, tokens are apart in x_0, the
    first in a row highest: at the centre by a (2N)th of a cell, at corners by one strip width.
    """
    lines = grid_coordinates(cells, spec) * spec.sharpness
    apart, last = 0, spec.tokens - 1
    if spec.coding == "others":
        apart = max(spec.sharpness // (2 * spec.tokens), 1) if where == "centre" else 1
    start = {
        "centre": lines + (spec.sharpness + 1) // 2,
        "low": np.where(lines > 0, lines + 1, 0),
        "high": lines + spec.sharpness,
    }[where]
    back = {"centre": (apart * last) // 2, "low": 0, "high": apart * last}[where]
    start[..., 0] += apart * np.arange(last, -1, -1) - back
    return start


def label_table(target: Callable[[Any], Any], spec: ConstructionSpec) -> LabelTable:
    """Return the label table of a target.

    Parameters
    ----------
    target : callable
        Permutation-equivariant, (B, N, d) float64 to the same shape.
    spec : ConstructionSpec

    Raises
    ------
    ValueError
        If there are too many labels, or the target returns a wrong shape or non-finite values.
    """
    count = spec.last_label + 1
    if count > MOST_LABELS:
        raise ValueError(
            f"`grid` must give at most {MOST_LABELS} labels, got grid={spec.grid} with {count} for "
            f"tokens={spec.tokens}, dim={spec.dim}, coding={spec.coding}; take a smaller grid"
        )
    known = _others_values if spec.coding == "others" else _known_values
    at, values, in_use = known(target, spec)
    found = _rounded(values)
    columns = [_filled(at, found.numerators[:, i], count) for i in range(spec.dim)]
    used = np.zeros(count, dtype=bool)
    used[in_use] = True
    return LabelTable(np.stack(columns, axis=1), used, found.unit)


def _known_values(
    target: Callable[[Any], Any], spec: ConstructionSpec
) -> tuple[Integers, NDArray[np.float64], Integers]:
    """Labels of a value of their own, ascending, these values, and those that are in use."""
    cells, labels = labels_in_use(spec)
    in_use = np.unique(labels)
    own = _centre_values(target, cells, spec).reshape(-1, spec.dim)
    at, values = _means(labels.ravel(), own, np.ones(labels.size))
    at_shared, shared = _shared_values(target, spec, in_use)
    at, values = np.concatenate([at, at_shared]), np.concatenate([values, shared])
    order = np.argsort(at)
    return at[order], values[order], in_use


def _others_values(
    target: Callable[[Any], Any], spec: ConstructionSpec
) -> tuple[Integers, NDArray[np.float64], Integers]:
    """The same on the others code: every s in every order, with the value of one token for all."""
    cells, _ = every_cell(spec)
    values = _centre_values(target, cells, spec)
    powers = powers_of(spec.cells, spec.tokens - 1)[::-1]
    labels, own = [], []
    for place in range(spec.tokens):
        rest, z = np.delete(cells, place, axis=1), cells[:, place]
        for order in itertools.permutations(range(spec.tokens - 1)):
            codes = rest[:, list(order)] @ powers
            labels.append(2 * spec.cells * codes + 2 * z - z % spec.grid)
            own.append(values[:, place])
    at, first = np.unique(np.concatenate(labels), return_index=True)
    return at, np.concatenate(own)[first], at


def _shared_values(
    target: Callable[[Any], Any], spec: ConstructionSpec, in_use: Integers
) -> tuple[Integers, NDArray[np.float64]]:
    """Labels that only inputs with shared cells reach, and the mean value of f at each."""
    cells, copies = every_cell(spec)
    tied = (cells[:, 1:] == cells[:, :-1]).any(axis=1)
    cells, copies = cells[tied], copies[tied]
    if not len(cells):
        return np.empty(0, dtype=np.int64), np.empty((0, spec.dim))
    labels = np.array([_any_labels(row, spec) for row in cells.tolist()], dtype=np.int64)
    values = _centre_values(target, cells, spec)
    first = np.ones_like(tied, shape=cells.shape)  # tokens that share a cell count once
    first[:, 1:] = cells[:, 1:] != cells[:, :-1]
    free = first & (labels >= 0) & (labels <= spec.last_label) & ~np.isin(labels, in_use)
    weights = np.broadcast_to(copies[:, None], cells.shape)
    return _means(labels[free], values[free], weights[free])


def _any_labels(cells: list[int], spec: ConstructionSpec) -> list[int]:
    """Labels of tokens in any cells, as the contextual mapping gives them."""
    code, ranks = contextual_code(cells, spec)
    return [
        int(label(code, cell=z, first=z % spec.grid, rank=rank, spec=spec))
        for z, rank in zip(cells, ranks, strict=True)
    ]


def _means(
    labels: Integers, values: NDArray[np.float64], weights: NDArray[Any]
) -> tuple[Integers, NDArray[np.float64]]:
    """Distinct labels, ascending, and the weighted means of their values, (K, d)."""
    at, place = np.unique(labels, return_inverse=True)
    total = np.bincount(place, weights, len(at))
    sums = [np.bincount(place, weights * values[:, i], len(at)) for i in range(values.shape[1])]
    return at, np.stack(sums, axis=1) / total[:, None]


@dataclass(frozen=True, eq=False)
class _Rounded:
    """Integers in a unit."""

    numerators: Integers
    unit: Fraction


def _centre_values(
    target: Callable[[Any], Any], cells: Integers, spec: ConstructionSpec
) -> NDArray[np.float64]:
    """Values of the target at cell centres, checked."""
    return values_of(target, cell_centres(cells, spec), name="target", where="at a cell centre")


def _rounded(values: NDArray[np.float64]) -> _Rounded:
    """Round to the unit in which the largest value has VALUE_BITS bits."""
    exponent = VALUE_BITS - math.frexp(float(np.abs(values).max()))[1]
    unit = Fraction(1, 2**exponent) if exponent >= 0 else Fraction(2**-exponent)
    return _Rounded(np.rint(np.ldexp(values, exponent)).astype(np.int64), unit)


def _filled(at: Integers, values: Integers, count: int) -> Integers:
    """Values of labels 0..count-1, linear between the known ones and constant beyond."""
    places = np.arange(count)
    right = np.clip(np.searchsorted(at, places, side="left"), 0, len(at) - 1)
    left = np.clip(np.searchsorted(at, places, side="right") - 1, 0, len(at) - 1)
    width = np.maximum(at[right] - at[left], 1)
    share = np.clip(places - at[left], 0, width)
    return np.asarray(values[left] + (values[right] - values[left]) * share // width)
