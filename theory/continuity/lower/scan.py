"""One entry at a time: every centre on a grid and both signs, then ever smaller steps.

Where the output is separable, or nearly so, the best place of an entry does not depend on the
others: cusps that sit elsewhere in every coordinate are found so, while a common centre, a gradient
and a random step all miss them.
"""

from __future__ import annotations

import math

import numpy as np

from looprate.theory.continuity.lower.problem import Array, Problem, score, take

GRID = 17  # centres of an entry, 1/16 apart
ROUNDS = 3  # over the grid, while they help
ZOOMS, ZOOM = 28, 0.45  # then of steps around the centre; the last is below 1e-11
PATIENCE, STALLED = 3, 1e-4  # so many zooms of so little gain end them
CHUNK = 1 << 21  # numbers held at once


def _chosen(problem: Problem, c: Array, diff: Array) -> tuple[Array, Array, Array]:
    """Return the best candidate of every radius and the best that moves all it may, (L, 2, N, d).

    The second is often behind before the scan and ahead after it.
    """
    scores = score(problem, c, diff)
    all_move = ((diff != 0) | ~problem.moving[:, None]).all((2, 3))
    pick = np.stack([scores.argmax(1), np.where(all_move, scores, -math.inf).argmax(1)], 1)
    return take(c, pick), take(diff, pick), take(scores, pick)


def scanned(problem: Problem, c: Array, diff: Array) -> tuple[Array, Array]:
    """Return two candidates of every radius, chosen from (L, S, N, d) and improved by the scan."""
    c, diff, best = _chosen(problem, c, diff)
    lead, shape = c.shape[:2], c.shape[2:]
    state = (
        c.reshape(-1, shape[0] * shape[1]),
        diff.reshape(-1, shape[0] * shape[1]),
        best.ravel(),
    )
    grid = np.linspace(0, 1, GRID)
    for _ in range(ROUNDS):
        before = state[2]
        state = _improved(problem, shape, *state, grid[None, None], np.array([1.0, -1.0]))
        if (state[2] <= before * (1 + STALLED)).all():
            break
    step = 0.5 / (GRID - 1)
    past: list[Array] = []  # values after every zoom
    for zoom in range(ZOOMS):
        if zoom >= PATIENCE and (state[2] <= past[-PATIENCE] * (1 + STALLED)).all():
            break
        near = state[0][..., None] + step * np.array([-1.5, -0.5, 0.5, 1.5])
        state = _improved(problem, shape, *state, near, np.ones(1))
        past.append(state[2])
        step *= ZOOM
    return state[0].reshape(*lead, *shape), state[1].reshape(*lead, *shape)


def _improved(
    problem: Problem,
    shape: tuple[int, ...],
    c: Array,
    diff: Array,
    best: Array,
    centres: Array,
    signs: Array,
) -> tuple[Array, Array, Array]:
    """Change entries of candidates (E, W): the k best changes of single entries, for the best k."""
    count, width = c.shape
    half = np.abs(diff)[..., None] / 2
    near = np.clip(centres, half, 1 - half)  # (E, W, O)
    new_c = np.concatenate([near] * signs.size, 2)
    new_d = np.repeat(diff[..., None] * signs, near.shape[2], 2)
    scores = _single(problem, shape, c, diff, new_c, new_d)
    pick = scores.argmax(2)[..., None]
    found = np.take_along_axis(scores, pick, 2)[..., 0]  # (E, W)
    pick_c, pick_d = (np.take_along_axis(part, pick, 2)[..., 0] for part in (new_c, new_d))
    place = np.argsort(np.argsort(-found, axis=1, kind="stable"), axis=1)[:, None]  # 0 the best
    first = (place < np.arange(width + 1)[:, None]) & (found > best[:, None])[:, None]
    many_c = np.where(first, pick_c[:, None], c[:, None])  # (E, W + 1, W)
    many_d = np.where(first, pick_d[:, None], diff[:, None])
    lead = (count, width + 1, *shape)
    values = score(problem, many_c.reshape(lead), many_d.reshape(lead))
    top, line = values.argmax(1), np.arange(count)
    return many_c[line, top], many_d[line, top], values[line, top]


def _single(
    problem: Problem, shape: tuple[int, ...], c: Array, diff: Array, new_c: Array, new_d: Array
) -> Array:
    """Return the values (E, W, O) of candidates with one entry w changed to its option o."""
    scores = np.empty(new_c.size)
    step = max(1, CHUNK // c.shape[1])
    for start in range(0, scores.size, step):
        places = np.arange(start, min(start + step, scores.size))
        line, entry, _ = np.unravel_index(places, new_c.shape)
        one_c, one_d, row = c[line], diff[line], np.arange(places.size)
        one_c[row, entry], one_d[row, entry] = new_c.ravel()[places], new_d.ravel()[places]
        lead = (places.size, *shape)
        scores[places] = score(problem, one_c.reshape(lead), one_d.reshape(lead))
    return scores.reshape(new_c.shape)
