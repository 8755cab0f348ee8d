r"""Upper bounds of δ sup ‖J(x)‖_(2->p) over the cube, which no modulus exceeds.

The segment from Y to X lies in the cube, and f changes along it by at most the norm of its
derivative J.  That asks for one point where pairs are two: branch and bound in N·d dimensions
instead of 2N·d.  What it cannot see is how f bends within δ.  For that the search over pairs goes
on, but only where it matters: if a pair exceeds a threshold, then on its segment lies a point at
which δ ‖J‖ does.

On a box, J is bounded by the slopes on it and by J(c0) with second derivatives
(:mod:`looprate.theory.continuity.upper.centre_form`).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.branching import branch_and_bound
from looprate.theory.continuity.upper.cells import CellProblem, Cells, Ends
from looprate.theory.continuity.upper.centre_form import steepness
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    operator_norm_upper_bound,
    positive_norm_upper_bound,
)
from looprate.theory.continuity.upper.places import Places
from looprate.theory.enclosure.intervals import Interval

Array = NDArray[np.float64]

GRID, FINEST = 24, 7  # binary digits of the cells of the grid of places, in all and a side
MOST_ORDERS = 720  # permutations of tokens that are made of places
MOST_SHARE = 0.5  # of the cube: larger sets spare nothing


def steepest_upper_bound(
    problem: CellProblem,
    threshold: float,
    seconds: float,
    least: float,
    report: Callable[[float], None] | None = None,
    *,
    most: int = sys.maxsize,
) -> tuple[float, int, CellProblem]:
    """Return δ sup ‖J‖, the cells that were bounded, and the problem for the search over pairs.

    Parameters
    ----------
    problem : CellProblem
    threshold : float
        How low the bound need be.
    seconds : float
        Time after which the search ends with what it has.
    least : float
        An upper bound known otherwise.
    report : callable, optional
        Called with the bound reached.
    most : int
        Cells after which the search ends.
    """
    width = problem.tokens * problem.dim
    steps = 2 ** min(GRID // width, FINEST)
    none = np.zeros((1, len(problem.movable)))
    found = branch_and_bound(
        problem,
        threshold,
        seconds=seconds,
        most=most,
        least=least,
        root=Cells(np.zeros((1, width)), np.ones((1, width)), none, none),
        bounds=_steepest,
        finest=1 / steps,
        report=report,
    )
    live, tokens = found.live, problem.sorted_tokens
    if len(live) and steps > 1 and math.factorial(len(tokens)) <= MOST_ORDERS:
        places = Places.of(live.c_low, live.c_high, steps)
        if places.share * math.factorial(len(tokens)) <= MOST_SHARE:
            problem = replace(problem, steep=places.permuted(tokens, problem.dim))
    return found.value, found.boxes, problem


def _steepest(
    problem: CellProblem, cells: Cells, threshold: float
) -> tuple[Array, NDArray[np.intp], Cells]:
    """Return upper bounds (B,) of δ ‖J‖ on cells of points, the sides to halve (B,), the cells."""
    ends, moving = Ends.of(problem, cells), problem.movable
    on = problem.derivatives(Interval(cells.c_low, cells.c_high))
    ratio = operator_norm_upper_bound(on.middle[:, :, moving], problem.p)
    ratio += positive_norm_upper_bound(on.radius[:, :, moving], problem.p)
    smooth = np.isfinite(on.bend_radius).all((1, 2, 3)) & (ratio * problem.delta > threshold)
    at = np.flatnonzero(smooth)
    if len(at):
        ratio[at] = np.minimum(ratio[at], steepness(problem, on.picked(at), ends.picked(at))[0])
    side = ((cells.c_high - cells.c_low) * on.column()).argmax(1)
    return ratio * problem.delta * (1 + SLACK), side, cells
