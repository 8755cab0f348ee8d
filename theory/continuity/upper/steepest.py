r"""Upper bounds of δ sup ‖J(x)‖_(2->p) over the cube, which no modulus exceeds.

The segment from Y to X lies in the cube, and f changes along it by at most the norm of its
derivative J.  That asks for one point where pairs are two: branch and bound in N·d dimensions
instead of 2N·d.  What it cannot see is how f bends within δ.  For that the search over pairs goes
on, but only where it matters: if a pair exceeds a threshold, then on its segment lies a point at
which δ ‖J‖ does.

Where it is known how f bends, pairs are then bounded by their midpoints, N·d dimensions again
(:mod:`looprate.theory.continuity.upper.midpoints`), near the places that are left.

On a box, J is bounded by the slopes on it and by J(c0) with second derivatives
(:mod:`looprate.theory.continuity.upper.centre_form`).
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.affine_norm import affine_norm
from looprate.theory.continuity.upper.branching import Bounds, branch_and_bound
from looprate.theory.continuity.upper.cells import CellProblem, Cells, Ends
from looprate.theory.continuity.upper.centre_form import steepness
from looprate.theory.continuity.upper.midpoints import bends, midpoint_bounds
from looprate.theory.continuity.upper.operator_norm import SLACK, operator_norm_upper_bound
from looprate.theory.continuity.upper.places import Places
from looprate.theory.enclosure.intervals import Interval

Array = NDArray[np.float64]

GRID, FINEST = 24, 7  # binary digits of the cells of the grid of places, in all and a side
MOST_MOVED = 2**29  # cells of the grid times the permutations of tokens that are made of it
FIRST_SHARE = 0.5  # of the time, to find the places; the rest, to see how steep they are
RESOLUTION = 0.004  # of the largest steepness seen: no bound need be closer to it
MOST_SEEN, NEARBY, LOOKS = 2**12, 2**8, 10  # points at which it is looked for
MOST_SHARE = 0.5  # of the cube: larger sets spare nothing


def steepest_upper_bound(
    problem: CellProblem,
    threshold: float,
    seconds: float,
    least: float,
    report: Callable[[float], None] | None = None,
    *,
    most: int = sys.maxsize,
    straight: bool = False,
) -> tuple[float, int, CellProblem]:
    """Return δ sup ‖J‖ or less, the cells bounded, and the problem for the search over pairs.

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
    straight : bool
        Whether it is δ sup ‖J‖ itself that is asked for, which is linear in δ.
    """
    width, tokens = problem.tokens * problem.dim, problem.sorted_tokens
    orders = math.factorial(len(tokens))
    digits = max(0, (MOST_MOVED // orders).bit_length() - 1)  # of the cells that can be moved
    steps = 2 ** min(GRID // width, FINEST, digits // width)
    none = np.zeros((1, len(problem.movable)))
    whole = Cells(np.zeros((1, width)), np.ones((1, width)), none, none)
    began, boxes, value = time.monotonic(), 0, least

    def searched(about: CellProblem, goal: float, root: Cells, bounds: Bounds) -> Cells:
        """Search in the time and the cells that are left; return the cells above the goal."""
        nonlocal value, boxes
        found = branch_and_bound(
            about,
            goal,
            seconds=seconds - (time.monotonic() - began),
            most=most - boxes,
            least=value,
            root=root,
            bounds=bounds,
            report=report,
        )
        value, boxes = min(value, max(found.value, threshold)), boxes + found.boxes
        return found.live

    first = branch_and_bound(
        problem,
        threshold,
        seconds=seconds * FIRST_SHARE,
        most=max(1, int(most * FIRST_SHARE)),
        least=least,
        root=whole,
        bounds=_steepest,
        finest=1 / steps,
        report=report,
    )
    live, value, boxes = first.live, first.value, first.boxes
    goal, over = threshold, True
    if len(live) and boxes < most and time.monotonic() - began < seconds:
        goal = max(threshold, _attained(problem, live) * (1 + RESOLUTION))
        over = len(searched(problem, goal, live, _steepest)) > 0
    if len(live) and steps > 1 and time.monotonic() - began < seconds:
        places = Places.of(live.c_low, live.c_high, steps)
        if places.share * orders <= MOST_SHARE:
            problem = replace(problem, steep=places.permuted(tokens, problem.dim))
    bent = goal > threshold and not over and not straight and bends(problem, live)
    if bent and boxes < most and time.monotonic() - began < seconds:
        searched(problem, threshold, whole, midpoint_bounds)
    return value, boxes, problem


def _attained(problem: CellProblem, cells: Cells) -> float:
    """Return the largest δ ‖J‖ seen at the middles of cells, and at points ever nearer to it."""
    rng, moving = np.random.default_rng(0), problem.movable
    low, high = cells.c_low.min(0), cells.c_high.max(0)
    points, best, at = (cells.c_low + cells.c_high)[:MOST_SEEN] / 2, 0.0, low
    for k in range(LOOKS):
        slopes = problem.derivatives(Interval(points), bend=False).middle[:, :, moving]
        sizes = operator_norm_upper_bound(slopes, problem.p) * problem.delta
        if sizes.max() > best:
            best, at = float(sizes.max()), points[sizes.argmax()]
        shifts = rng.uniform(-1, 1, (NEARBY, len(low))) * 2.0 ** -(k + 3)
        points = np.clip(at + shifts, low, high)
    return best


def _steepest(
    problem: CellProblem, cells: Cells, threshold: float
) -> tuple[Array, NDArray[np.intp], Cells]:
    """Return upper bounds (B,) of δ ‖J‖ on cells of points, the sides to halve (B,), the cells."""
    sides = cells.c_high - cells.c_low
    known = problem.expansion(cells.c_low, cells.c_high)
    if known is not None:
        start, turn, loose = known
        ratio = affine_norm(start, turn, loose, problem.p).most
        column = np.abs(turn).sum((2, 3)) + loose.sum((1, 2))[:, None] * sides
        return ratio * problem.delta * (1 + SLACK), column.argmax(1), cells
    ends, moving = Ends.of(problem, cells), problem.movable
    on = problem.derivatives(Interval(cells.c_low, cells.c_high))
    middle, radius = on.middle[:, :, moving], on.radius[:, :, moving]
    ratio = affine_norm(
        middle, np.zeros((len(middle), 0, *middle.shape[1:])), radius, problem.p
    ).most
    smooth = np.isfinite(on.bend_radius).all((1, 2, 3)) & (ratio * problem.delta > threshold)
    at = np.flatnonzero(smooth)
    if len(at):
        ratio[at] = np.minimum(ratio[at], steepness(problem, on.picked(at), ends.picked(at))[0])
    return ratio * problem.delta * (1 + SLACK), (sides * on.column()).argmax(1), cells
