"""Dense scans along lines of the cube, where it has few entries: cusps and ripples of any size.

On a line every point is x = offset + slope t, t in [0,1], with slopes 0, 1 and -1: one entry moves,
or all do, together or against each other.  One table of outputs serves every radius: the best pair
of an output entry is a running maximum away.  Then both ends are moved in ever smaller steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from looprate.theory.continuity.lower.problem import Array, Problem

LARGEST = 8  # entries of an input that is scanned
FINE, CELLS = 2, (2**13, 2**11)  # cells of a line, for inputs of up to 2 entries and of more
STILL = (0.0, 0.5, 1.0)  # where the entries sit that do not move
NEAR, ZOOM, ZOOMS = 17, 0.25, 24  # points around an end, and how their reach shrinks


def line_starts(problem: Problem) -> tuple[Array, Array] | None:
    """Return a candidate (c, D) of every radius and line, (L, K, N, d); None where there are many
    entries."""
    shape = (problem.moving.size, problem.dim)
    if problem.outputs is None or shape[0] * shape[1] > LARGEST:
        return None
    offset, slope = _lines(problem)
    cells = CELLS[shape[0] * shape[1] > FINE]
    grid = np.broadcast_to(np.linspace(0, 1, cells + 1), (len(offset), cells + 1))
    watch = partial(_watched, problem.outputs, shape, offset, slope)
    table = watch(grid)
    pairs = []
    for reach in problem.reach.tolist():
        widest = np.minimum(reach / np.sqrt((slope**2).sum(1)), 1.0)
        pairs.append(_zoomed(watch, *_coarse(table, widest), widest))
    ends = np.array(pairs)[..., None]  # (L, 2, K, 1)
    x, y = offset + slope * ends[:, 0], offset + slope * ends[:, 1]
    lead = (len(problem.deltas), len(offset), *shape)
    return ((x + y) / 2).reshape(lead), (slope * (ends[:, 0] - ends[:, 1])).reshape(lead)


def _lines(problem: Problem) -> tuple[Array, Array]:
    """Return offsets and slopes of the lines, (K, N·d) each."""
    width, movable = problem.moving.size * problem.dim, problem.movable
    signs = np.zeros(width)
    signs[movable] = 1.0
    against = signs.copy()
    against[movable[1::2]] = -1.0
    slopes = [signs, against, *np.eye(width)[movable]]
    found = {}
    for slope in slopes:
        for still in STILL:
            offset = np.where(slope == 0, still, slope < 0)
            found[(*offset, *slope)] = (offset, slope)
    lines = np.array(list(found.values()))  # (K, 2, N·d)
    return lines[:, 0], lines[:, 1]


def _watched(
    outputs: Callable[[Array], Array],
    shape: tuple[int, int],
    offset: Array,
    slope: Array,
    t: Array,
) -> Array:
    """Return what is watched of f at the places t (K, T) of the lines, (K, T, E)."""
    points = offset[:, None] + slope[:, None] * t[..., None]
    return outputs(points.reshape(-1, *shape)).reshape(*t.shape, -1)


def _coarse(table: Array, widest: Array) -> tuple[Array, Array]:
    """Return the two places (K,) of the largest change within a distance, from a table."""
    from scipy.ndimage import maximum_filter1d  # late, as it takes a while

    ends, cells = [], table.shape[1] - 1
    for values, width in zip(table, widest.tolist(), strict=True):
        far = max(int(width * cells * (1 + 1e-12)), 1)
        near = maximum_filter1d(values, 2 * far + 1, axis=0, mode="nearest")
        first, entry = divmod(int((near - values).argmax()), values.shape[1])
        start = max(first - far, 0)
        second = start + int(values[start : first + far + 1, entry].argmax())
        ends.append((first / cells, second / cells))
    a, b = np.array(ends).T
    return a, np.clip(b, a - widest, a + widest)


def _zoomed(
    watch: Callable[[Array], Array], a: Array, b: Array, widest: Array
) -> tuple[Array, Array]:
    """Move both ends of the pair of every line in ever smaller steps, as long as it helps."""
    shifts, lines = np.linspace(-1, 1, NEAR), np.arange(len(a))
    reach = 1 / min(CELLS)
    for _ in range(ZOOMS):
        first = a[:, None] + reach * shifts
        second = b[:, None] + reach * shifts
        limits = np.stack([a - widest, a + widest], 1)
        second = np.clip(np.concatenate([second, limits], 1), 0, 1)
        ends = np.concatenate([np.clip(first, 0, 1), second], 1)
        out = watch(ends)
        size = np.abs(out[:, :NEAR, None] - out[:, None, NEAR:]).max(3)  # (K, T, T + 2)
        apart = np.abs(ends[:, :NEAR, None] - ends[:, None, NEAR:])
        size = np.where(apart <= widest[:, None, None], size, -math.inf)
        best = size.reshape(len(a), -1).argmax(1)
        i, j = np.divmod(best, size.shape[2])
        a, b = ends[lines, i], ends[lines, NEAR + j]
        reach *= ZOOM
    return a, b
