"""Structured and random starts: they hold the optimum of separable and of linear targets."""

from __future__ import annotations

import math

import numpy as np

from looprate.theory.continuity.lower.problem import (
    PATIENCE,
    STALLED,
    Array,
    Effort,
    Problem,
    Span,
    best_candidates,
    fitted,
    score,
)
from looprate.theory.continuity.lower.slopes import slope_starts

GRID = 17  # shared centres; 1/16 apart, so quarters and halves are hit
STRETCH = 4.0  # of random centres about the middle, at most
POOL = 40  # random candidates that ascend for every one kept, shared by 4 radii or more
STRIDES, WIDE = 24, Span(0.3, 0.02, 1.0)  # steps of their ascent, and how long they are
STRUCTURED = 20  # structured starts per radius
ZOOMS, ZOOM = 28, 0.45  # of their centres; the last step is below 1e-11


def _directions(problem: Problem, reach: float) -> Array:
    """Return structured differences for one radius, shape (S, N, d).

    Equal spread over the first k movable entries, token by token or coordinate by coordinate; with
    signs alike, alternating over tokens, or the first token against the others; and entries filled
    one after another up to a height, shorter than the radius where all are full.
    """
    tokens, dim, movable = problem.moving.size, problem.dim, problem.movable
    count = movable.size
    by_coordinate = movable[np.argsort(movable % dim, kind="stable")]
    token = np.arange(tokens * dim) // dim
    first = token == movable[0] // dim
    signs = (np.ones(tokens * dim), np.where(token % 2, -1.0, 1.0), np.where(first, 1.0, -1.0))
    sizes = {k for k in (1, 2, 3, dim, 2 * dim, count // dim, count // 2, count) if 1 <= k <= count}
    rows = []
    for order in (movable, by_coordinate):
        for k in sorted(sizes):
            flat = np.zeros(tokens * dim)
            flat[order[:k]] = min(reach / math.sqrt(k), 1.0)
            rows += [flat * sign for sign in signs]
        for height in (0.25, 0.5, 0.75, 1.0):
            flat = np.zeros(tokens * dim)
            full = min(int(reach**2 / height**2), count)
            flat[order[:full]] = height
            if full < count:
                flat[order[full]] = math.sqrt(max(reach**2 - full * height**2, 0.0))
            if full:
                rows += [flat * sign for sign in signs]
    return np.unique(np.array(rows), axis=0).reshape(-1, tokens, dim)


def _structured(problem: Problem, index: int) -> tuple[Array, Array, Array]:
    """Return the best centre of every structured difference of one radius: c, D, values.

    The centres are shared by all entries; the entries that do not move share it or sit at 0 or 1.
    """
    diff = _directions(problem, problem.reach[index])  # (S, N, d)
    grid = np.linspace(0, 1, GRID)[:, None, None, None]
    c = np.clip(grid, np.abs(diff) / 2, 1 - np.abs(diff) / 2)  # (G, S, N, d)
    if (diff == 0).any():
        still = np.broadcast_to(diff == 0, c.shape)
        c = np.concatenate([c, np.where(still, 0.0, c), np.where(still, 1.0, c)])
    scores = score(problem, c, np.broadcast_to(diff, c.shape))  # (G or 3G, S)
    best = scores.argmax(0)
    pick = np.arange(len(diff))
    return _zoomed(problem, c[best, pick], diff)


def _zoomed(problem: Problem, c: Array, diff: Array) -> tuple[Array, Array, Array]:
    """Shift the moving entries of every candidate (S, N, d) together, in ever smaller steps."""
    half = np.abs(diff) / 2
    step = 0.5 / (GRID - 1)
    pick = np.arange(len(diff))
    scores = score(problem, c, diff)
    past: list[Array] = []  # values after every zoom
    for zoom in range(ZOOMS):
        if zoom >= PATIENCE and (scores <= past[-PATIENCE] * (1 + STALLED)).all():
            break
        shift = step * np.array([0.0, -1.5, -0.5, 0.5, 1.5])[:, None, None, None] * (diff != 0)
        near = np.clip(c + shift, half, 1 - half)  # (5, S, N, d)
        scores = score(problem, near, np.broadcast_to(diff, near.shape))
        best = scores.argmax(0)
        c, scores = near[best, pick], scores[best, pick]
        past.append(scores)
        step *= ZOOM
    return c, diff, scores


def _wild(problem: Problem, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return random candidates, (L, count, N, d), from all entries moving to few."""
    size = (len(problem.deltas), count, problem.moving.size, problem.dim)
    wild = rng.standard_normal(size) * (rng.random(size) < rng.uniform(0.1, 1, (*size[:2], 1, 1)))
    wild = (wild + 1e-12) * problem.moving[:, None]  # never all 0
    stretch = rng.uniform(1, STRETCH, (*size[:2], 1, 1))  # above 1 some entries are at 0 and 1
    centre = np.clip(0.5 + stretch * (rng.random(size) - 0.5), 0, 1)
    for part in (problem.moving, ~problem.moving):  # in every other one tokens are alike
        wild[:, 1::2, part], centre[:, 1::2, part] = (
            full[:, 1::2, part][:, :, :1] for full in (wild, centre)
        )
    return centre, fitted(wild, problem.reach[:, None, None, None])


def _random(problem: Problem, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return random candidates; with a gradient the best of a larger pool after a short ascent."""
    if problem.ascend is None:
        return _wild(problem, count, rng)
    c, diff = _wild(problem, count * max(1, POOL // max(4, 1 + len(problem.deltas))), rng)
    lead, shape = c.shape[:2], (-1, *c.shape[2:])
    reach = np.repeat(problem.reach, lead[1])
    near_c, near_d = problem.ascend(c.reshape(shape), diff.reshape(shape), reach, STRIDES, WIDE)
    c, diff, _ = best_candidates(problem, near_c.reshape(c.shape), near_d.reshape(c.shape), count)
    return c, diff


def structured(problem: Problem) -> tuple[Array, Array]:
    """Return the best structured candidates for every radius, (L, S, N, d)."""
    steep = slope_starts(problem)
    found = [_structured(problem, index) for index in range(len(problem.deltas))]
    keep = min(STRUCTURED, *(len(values) for _, _, values in found))
    top = [np.argsort(-values, kind="stable")[:keep] for _, _, values in found]
    c = np.stack([part[0][t] for part, t in zip(found, top, strict=True)])
    diff = np.stack([part[1][t] for part, t in zip(found, top, strict=True)])
    if steep is None:
        return c, diff
    return np.concatenate([c, steep[0]], 1), np.concatenate([diff, steep[1]], 1)


def starts(problem: Problem, effort: Effort, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the best structured candidates and random ones for every radius, (L, S, N, d)."""
    parts = (structured(problem), _random(problem, effort.randoms, rng))
    found_c, found_d = zip(*parts, strict=True)
    return np.concatenate(found_c, 1), np.concatenate(found_d, 1)
