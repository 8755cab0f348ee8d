"""Starts along the steepest direction at some places: exact for linear functions, and for piecewise
linear ones where a segment stays in its piece."""

from __future__ import annotations

import math

import numpy as np

from looprate.theory.continuity.lower.problem import Array, Problem, best_candidates, fitted

PLACES, ENTRIES = 4, 1 << 16  # at most, and of all inputs tried to know the slopes there
STEP = 1e-6  # of difference quotients
POWER, OTHERS = 4, 0.1  # steps of the power method, the share of other outputs in its start


def slope_starts(problem: Problem) -> tuple[Array, Array] | None:
    """Return the best candidates (c, D) of every radius, (L, K, N, d), all along steepest
    directions; None where the outputs are not known."""
    if problem.outputs is None:
        return None
    shape = (problem.moving.size, problem.dim)
    width, movable = shape[0] * shape[1], problem.movable
    count = int(np.clip(ENTRIES // (width * (movable.size + 1)), 1, PLACES))
    places = _places(count, width)
    moved = np.zeros((movable.size + 1, width))
    moved[1 + np.arange(movable.size), movable] = STEP
    points = places[:, None] + moved
    out = problem.outputs(points.reshape(-1, *shape)).reshape(*points.shape[:2], -1)
    slopes = np.nan_to_num(out[:, 1:] - out[:, :1], posinf=0, neginf=0)
    unit = np.zeros((count, width))
    unit[:, movable] = _directions(slopes, problem.p)
    reach = problem.reach[:, None, None, None]
    diff = fitted(np.broadcast_to(unit.reshape(-1, *shape), (len(reach), count, *shape)), reach)
    half = np.abs(diff) / 2
    c = np.clip(places.reshape(-1, *shape), half, 1 - half)
    return best_candidates(problem, c, diff, count)[:2]


def _places(count: int, width: int) -> Array:
    """Return places spread over the cube, (K, W), the same every time."""
    shares = np.arange(1, count + 1)[:, None] * (0.5 + 0.618034 * np.arange(width)) * 0.7548777
    return 0.02 + 0.96 * (shares % 1)


def _directions(slopes: Array, p: float) -> Array:
    """Return directions h (K, V) that make ‖slopesᵀ h‖_p / ‖h‖_2 large, slopes (K, V, E).

    By the power method from the steepest output entry, which is right for p = inf; else with a
    little of all the others, where none would join it by itself.
    """
    slopes = slopes / np.maximum(np.abs(slopes).max((1, 2), keepdims=True), 1e-300)
    lengths = (slopes**2).sum(1)  # (K, E)
    line = np.arange(len(slopes))
    h = slopes[line, :, lengths.argmax(1)]
    if math.isinf(p):
        return h
    h = h + OTHERS * slopes.sum(2)
    for _ in range(POWER):
        out = (h[:, None] @ slopes)[:, 0]  # (K, E)
        size = np.abs(out)
        dual = np.sign(out) * (size / np.maximum(size.max(1, keepdims=True), 1e-300)) ** (p - 1)
        h = (slopes @ dual[:, :, None])[:, :, 0]
        h /= np.maximum(np.abs(h).max(1, keepdims=True), 1e-300)
    return h
