"""Rows by rejection: draw again, for each row that was not accepted, until all are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Attempt = Callable[[Array], tuple[Array, tuple[Array, ...]]]
COPIES = 64  # tries of one row in one round, at most
PATIENCE = 20_000  # tries in a row without one accepted, before none is taken to exist


def accepted_rows(count: int, attempt: Attempt, *, block: int) -> tuple[Array, ...]:
    """Return, for every row, the first of its tries that is accepted.

    Parameters
    ----------
    count : int
        Number of rows, B.
    attempt : callable
        Takes the numbers of rows to try (k,), each perhaps several times, and returns the positions
        (a,) of the accepted tries and arrays (a, ...) of what they hold.
    block : int
        Tries worth making together: where fewer rows are left, each is tried several times at
        once if few tries are accepted.

    Returns
    -------
    arrays (B, ...)

    Raises
    ------
    ValueError
        If a row is not accepted in many tries.
    """
    pending, done = np.arange(count), None
    tried = accepted = vain = 0
    while done is None or len(pending):
        wanted = math.ceil(2 * (tried + 1) / (accepted + 1))  # so that two are accepted, likely
        copies = min(COPIES, wanted, max(1, block // max(1, len(pending))))
        owners = np.repeat(pending, copies)
        positions, found = attempt(owners)
        rows, first = np.unique(owners[positions], return_index=True)
        if done is None:
            done = tuple(np.zeros((count, *part.shape[1:]), part.dtype) for part in found)
        for store, part in zip(done, found, strict=True):
            store[rows] = part[first]
        pending = np.setdiff1d(pending, rows, assume_unique=True)
        tried, accepted = tried + len(owners), accepted + len(positions)
        vain = 0 if len(rows) else vain + len(owners)
        if vain >= PATIENCE:
            raise ValueError(f"no row of this split was found in {vain} tries: use larger sizes")
    return done
