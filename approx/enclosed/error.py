"""The L^p error of a trained network over the whole cube, rigorously enclosed.

Network and target are followed together, as affine forms in the same symbols, so that what they
have in common cancels.  Softmax, norms and activation are those of the trained network; its weights
are floats, and taken at their exact values.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.approx.enclosed.module import enclosed
from looprate.approx.enclosed.targets import with_enclosures
from looprate.approx.models.looped import LoopedTransformer
from looprate.theory.enclosure.boxes import box_errors, cell_boxes
from looprate.theory.enclosure.forms import SharedSymbols
from looprate.theory.enclosure.integral import ErrorIntegral, error_norm
from looprate.theory.enclosure.soundness import check_enclosures
from looprate.theory.targets import Target, own_functions

__all__ = ["certified_error"]

GUESSED = 256  # boxes of a guess
SHARE = 0.5  # of the boxes, given at first; the others are cut where the gap is largest


def certified_error(
    model: LoopedTransformer,
    target: Target,
    *,
    tokens: int,
    dim: int,
    loops: int,
    p: float,
    boxes: int = 20_000,
    tolerance: float = 0.01,
) -> ErrorIntegral:
    """Return bounds of ‖model - target‖_{L^p}, valid however few boxes there are.

    Parameters
    ----------
    model : LoopedTransformer
    target : Target
    tokens, dim, loops : int
        N, d and r.
    p : float
        Exponent, 1 <= p <= inf.
    boxes : int
        At most.  A box costs about 1.6 ms a loop; its gap falls with the square of its sides once
        they are short, and the more loops, the shorter they must be.
    tolerance : float
        Relative width at which to stop.

    Raises
    ------
    ValueError
        If the target has no enclosure, or an argument is out of range.
    """
    gap = _gap(model, target, tokens=tokens, dim=dim, loops=loops)
    cells, copies, grid = _cells(tokens, dim, int(SHARE * boxes), _symmetric(model, target))
    low, high = cell_boxes(cells, grid)
    how: dict[str, Any] = {"p": p, "tolerance": tolerance, "boxes": boxes, "weights": copies}
    return error_norm(gap, low, high, np.zeros(low.shape), **how)


def guessed_upper(
    model: LoopedTransformer,
    target: Target,
    *,
    tokens: int,
    dim: int,
    loops: int,
    p: float,
    boxes: int,
) -> float:
    """Return about what :func:`certified_error` with so many equal boxes has as its upper end.

    A guess from a few of them, proven of nothing: whether a certificate is worth its time.
    Parameters and errors are those of :func:`certified_error`; p is finite.
    """
    gap = _gap(model, target, tokens=tokens, dim=dim, loops=loops)
    cells, copies, grid = _cells(tokens, dim, boxes, _symmetric(model, target))
    few = np.random.default_rng(0).choice(len(cells), min(GUESSED, len(cells)), replace=False)
    low, high = cell_boxes(cells[few], grid)
    found = box_errors(gap, low, high, np.zeros(low.shape), p=p).upper
    return float((found @ copies[few] * len(cells) / len(few)) ** (1 / p))


def _gap(
    model: LoopedTransformer, target: Target, *, tokens: int, dim: int, loops: int
) -> SharedSymbols:
    """Return model - target on enclosures."""
    net = enclosed(model, tokens=tokens, dim=dim, loops=loops)
    f = with_enclosures(target, tokens=tokens, dim=dim)
    check_enclosures(f, tokens=tokens, dim=dim)
    return SharedSymbols(lambda x: net(x) - f(x))


def _symmetric(model: LoopedTransformer, target: Target) -> bool:
    """Whether one order of the tokens stands for all."""
    return not own_functions(target) and not model.config.positions


def _cells(
    tokens: int, dim: int, most: int, symmetric: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]:
    """Return about ``most`` equal cells (K, N, d) of the cube, copies, and cells a side.

    Where network and target are equivariant one order of the tokens stands for all.
    """
    orders = math.factorial(tokens) if symmetric else 1
    grid = max(1, math.floor((most * orders + 0.5) ** (1 / (tokens * dim))))
    places = list(itertools.product(range(grid), repeat=dim))
    if not symmetric:
        every = list(itertools.product(places, repeat=tokens))
        return np.array(every), np.ones(len(every), dtype=np.int64), grid
    chosen = list(itertools.combinations_with_replacement(places, tokens))
    same = (math.prod(map(math.factorial, Counter(cell).values())) for cell in chosen)
    copies = [math.factorial(tokens) // alike for alike in same]
    return np.array(chosen), np.array(copies), grid
