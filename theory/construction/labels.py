"""The label table: which value every label 0..L stands for, padding included.

Labels in use are those of N distinct cells; label k of a token stands for f at the centre of the
cells, f̂(k).  All other labels are filled linearly between their neighbours in use, and constantly
beyond the first and the last.  Values are integers in a unit of 2^{-b}, b chosen so that the
largest has 40 bits: a rounding of 1e-12, relative, by which the table differs from f̂.

Largest gap of the sum code (unit aside): max_k |y_k - y_{k-1}| <= w_tok(δ√d) + w_cont(δ√(Nd)) in
every coordinate.  Proof: two labels in use that are g apart stem from cells at most g δ√d (own
token) and g δ√(Nd) (context) apart, because the padding makes every change of several coordinates
at once cost as many labels; linear filling spreads w_tok(g δ√d) + w_cont(g δ√(Nd)) over g labels,
and subadditivity gives w(g t) <= g w(t).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.construction.spec import ConstructionSpec

__all__ = ["LabelTable", "cell_centres", "label_table", "labels_in_use"]

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
        Whether some input without a collision has this label.
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
        Label of the token in the same place.
    """
    n, base = spec.tokens, spec.cells
    picked = itertools.combinations(range(base - 1, -1, -1), n)
    flat = np.fromiter(itertools.chain.from_iterable(picked), dtype=np.int64)
    cells = flat.reshape(-1, n)
    codes = cells @ np.array([base ** (n - 1 - j) for j in range(n)], dtype=np.int64)
    if spec.coding == "rank":
        return cells, n * codes[:, None] + np.arange(n)
    return cells, 2 * base * codes[:, None] + 2 * cells - cells % spec.grid


def cell_centres(cells: Integers, spec: ConstructionSpec) -> NDArray[np.float64]:
    """Return the centres of cells (K, N) as inputs (K, N, d)."""
    powers = np.array([spec.grid**i for i in range(spec.dim)], dtype=np.int64)
    coordinates = cells[..., None] // powers % spec.grid
    return (coordinates + 0.5) / spec.grid


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
    cells, labels = labels_in_use(spec)
    found = _rounded(_centre_values(target, cells, spec))
    at, first = np.unique(labels.ravel(), return_index=True)
    known = found.numerators.reshape(-1, spec.dim)[first]
    values = np.stack([_filled(at, known[:, i], count) for i in range(spec.dim)], axis=1)
    used = np.zeros(count, dtype=bool)
    used[at] = True
    return LabelTable(values, used, found.unit)


@dataclass(frozen=True, eq=False)
class _Rounded:
    """Integers in a unit."""

    numerators: Integers
    unit: Fraction


def _centre_values(
    target: Callable[[Any], Any], cells: Integers, spec: ConstructionSpec
) -> NDArray[np.float64]:
    """Values of the target at cell centres, checked."""
    centres = cell_centres(cells, spec)
    values = np.asarray(target(centres), dtype=np.float64)
    if values.shape != centres.shape:
        raise ValueError(f"`target` must map shape {centres.shape} to itself, got {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError("`target` must return finite values, got inf or nan at a cell centre")
    return values


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
