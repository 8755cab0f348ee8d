"""Dynamic programming over two strings, for many rows at once.

A cell (i, j) of the table needs (i-1, j), (i, j-1) and (i-1, j-1) only, so all cells of one
anti-diagonal i + j = k are computed together, for all rows of a block, from the two diagonals
before.
Cells beyond the end of a row's strings are computed too, and never read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Combine = Callable[[Array, Array, Array, Array, Array], None]
BLOCK = 2048  # rows: a few diagonals stay in the cache


def last_cells(
    first: Array,
    second: Array,
    lengths_first: Array,
    lengths_second: Array,
    *,
    border: int,
    compare: np.ufunc,
    combine: Combine,
    largest: int,
) -> NDArray[np.int64]:
    """Return the cell (length of first, length of second) of every row's table.

    Parameters
    ----------
    first, second : integer arrays of shapes (B, n) and (B, m)
        Strings, padded with anything.
    lengths_first, lengths_second : integer arrays of shape (B,)
    border : int
        What one step along the first row or the first column adds, from 0 in the corner.
    compare : numpy.equal or numpy.not_equal
        What ``combine`` is told of the two characters of a cell.
    combine : callable
        ``combine(above, beside, diagonal, flags, out)`` writes new cells to ``out``; it may
        overwrite ``diagonal`` and ``flags`` (uint8, 0 or 1).
    largest : int
        No cell, and nothing that it is computed from, is larger.

    Returns
    -------
    int64 array of shape (B,)

    Raises
    ------
    ValueError
        If shapes or lengths do not belong together.
    """
    parts = (("first", first, lengths_first), ("second", second, lengths_second))
    ends = np.stack([_checked(*part, len(first)) for part in parts])
    dtype = np.dtype(np.uint8 if largest < 256 else np.int32)
    result = np.zeros(len(first), np.int64)
    for start in range(0, len(first), BLOCK):
        rows = slice(start, start + BLOCK)
        a, b = _columns(first[rows]), _columns(second[rows])[::-1].copy()
        result[rows] = _block(a, b, ends[:, rows], border, compare, combine, dtype)
    return result


def _checked(name: str, strings: Array, lengths: Array, count: int) -> NDArray[np.int64]:
    """Return the lengths of ``count`` strings, or raise if they do not belong to the strings."""
    lengths = np.asarray(lengths, np.int64)
    if strings.ndim != 2 or len(strings) != count or lengths.shape != (count,):
        raise ValueError(
            f"the {name} strings must be an array ({count}, n) with lengths ({count},), "
            f"got shapes {strings.shape} and {lengths.shape}"
        )
    if count and not 0 <= lengths.min() <= lengths.max() <= strings.shape[1]:
        raise ValueError(
            f"lengths of the {name} strings must be 0...{strings.shape[1]}, "
            f"got {lengths.min()}...{lengths.max()}"
        )
    return lengths


def _columns(strings: Array) -> Array:
    """Return strings (B, n) as (n, B), in one byte a character where they fit."""
    fits = strings.dtype == np.uint8 or (
        strings.size and strings.min() >= 0 and strings.max() < 256
    )
    return np.ascontiguousarray(strings.T, dtype=np.uint8 if fits else strings.dtype)


def _block(
    a: Array,
    reversed_b: Array,
    ends: Array,
    border: int,
    compare: np.ufunc,
    combine: Combine,
    dtype: np.dtype[Any],
) -> Array:
    """Walk the diagonals k = i + j; row i of a diagonal's array holds the cells (i, k - i)."""
    (n, count), m = a.shape, len(reversed_b)
    older, last, new = np.zeros((3, n + 1, count), dtype)
    flags = np.empty((n, count), np.bool_)
    total = ends.sum(0)
    result = np.zeros(count, np.int64)
    shortest = max(1, int(total.min()))  # two empty strings leave the corner, 0
    for k in range(1, int(total.max()) + 1):
        low, high = max(1, k - m), min(n, k - 1) + 1  # inner cells: 1 <= i <= n, 1 <= k - i <= m
        if low < high:
            same = flags[: high - low]
            compare(a[low - 1 : high - 1], reversed_b[m - k + low : m - k + high], out=same)
            above, beside, diagonal = last[low - 1 : high - 1], last[low:high], older[low - 1 :]
            combine(above, beside, diagonal[: high - low], same.view(np.uint8), new[low:high])
        if k <= m:
            new[0] = border * k
        if k <= n:
            new[k] = border * k
        if k >= shortest:
            here = np.flatnonzero(total == k)
            result[here] = new[ends[0, here], here]
        older, last, new = last, new, older
    return result
