"""Pattern search: it sharpens cusps and kinks, and is all there is without a gradient."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.problem import (
    PATIENCE,
    STALLED,
    Array,
    Problem,
    capped,
    direction,
    fitted,
    score,
)

SHRINK, GROW = 0.2, 2.0  # pattern steps after failure and success
CHUNK = 1 << 24  # numbers of the moves held at once, several times over
PROBE = 0.01  # relative shortening of D_i that tells which end sits on a kink


def _anchors(problem: Problem, c: Array, diff: Array) -> Array:
    """Return per entry which point stays when D_i changes: +1/2 y, 0 the centre, -1/2 x.

    The end whose move costs least may move; the other may sit on a kink.
    """
    count, tokens, dim = c.shape
    eye = np.eye(tokens * dim).reshape(-1, tokens, dim)
    change = -PROBE * diff[:, None] * eye  # (E, width, N, d)
    sides = (0.0, 0.5, -0.5)
    scores = np.stack(
        [score(problem, c[:, None] + side * change, diff[:, None] + change) for side in sides], -1
    )
    return np.array(sides)[scores.argmax(-1)].reshape(count, tokens, dim)


def _moves(problem: Problem, diff: Array, rng: np.random.Generator) -> tuple[Array, Array, int]:
    """Return unit moves (centre, difference), each (E, J, N, d), and where transfers begin.

    Moves of the difference come twice: plain, and as transfers that keep ‖D‖.
    """
    count, tokens, dim = diff.shape
    width = tokens * dim
    eye = np.eye(width).reshape(width, tokens, dim)
    axes = np.broadcast_to(eye, (count, *eye.shape))
    moving = np.broadcast_to(eye[problem.movable], (count, problem.movable.size, tokens, dim))
    ones = np.ones((count, 1, tokens, dim))
    sign = np.where(diff < 0, -1.0, 1.0)[:, None]
    still = np.where(diff == 0, 1.0, 0.0)[:, None]
    wild = rng.standard_normal((count, 4, tokens, dim)) / math.sqrt(width)
    centre = np.concatenate([axes, ones, sign, still, wild[:, :2]], 1)
    radial = direction(diff)[0][:, None]
    change = np.concatenate([radial, moving, moving, wild[:, 2:] * problem.moving[:, None]], 1)
    unit_c = np.concatenate([centre, np.zeros_like(change)], 1)
    unit_d = np.concatenate([np.zeros_like(centre), change], 1)
    return unit_c, unit_d, centre.shape[1] + 1 + problem.movable.size


def polished(
    problem: Problem, c: Array, diff: Array, sweeps: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Pattern search on every candidate (L, S, N, d) until it stalls."""
    lead = c.shape
    c, diff = c.reshape(-1, *lead[2:]).copy(), diff.reshape(-1, *lead[2:]).copy()
    reach = np.repeat(problem.reach, lead[1])[:, None, None, None]  # (E, 1, 1, 1)
    size = max(1, CHUNK // (6 * c[0].size ** 2))  # about 6 moves of each entry
    for start in range(0, len(c), size):
        part = slice(start, start + size)
        c[part], diff[part] = _polished(problem, c[part], diff[part], reach[part], sweeps, rng)
    return c.reshape(lead), diff.reshape(lead)


def _polished(
    problem: Problem,
    c: Array,
    diff: Array,
    reach: Array,
    sweeps: int,
    rng: np.random.Generator,
) -> tuple[Array, Array]:
    """Pattern search on candidates (E, N, d), in place."""
    best = score(problem, c, diff)
    anchor = _anchors(problem, c, diff)
    step = np.repeat(reach[:, :, 0, 0] / 4, _moves(problem, diff, rng)[0].shape[1], 1)  # (E, J)
    past: list[Array] = []  # values after every sweep
    live = np.arange(len(c))
    for sweep in range(sweeps):
        if sweep >= PATIENCE:
            live = live[best[live] > past[-PATIENCE][live] * (1 + STALLED)]
        if not live.size:
            break
        if sweep % 12 == 11:
            anchor[live] = _anchors(problem, c[live], diff[live])
        state = (c[live], diff[live], best[live], step[live], anchor[live], reach[live])
        c[live], diff[live], best[live], step[live] = _swept(problem, *state, rng)
        past.append(best.copy())
    return c, diff


def _swept(
    problem: Problem,
    c: Array,
    diff: Array,
    best: Array,
    step: Array,
    anchor: Array,
    reach: Array,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array, Array]:
    """Return c, D, values and steps after one sweep: the best move, or all gains at once."""
    unit_c, unit_d, split = _moves(problem, diff, rng)
    keeps = np.arange(unit_c.shape[1]) >= split
    radius = reach[:, :, 0, 0]
    bound = np.where(keeps, np.minimum(_length(diff), radius), radius)
    bound = np.concatenate([bound, bound], 1)[:, :, None, None]  # (E, 2J, 1, 1)
    both = np.concatenate([step, -step], 1)[:, :, None, None]
    dc, dd = (both * np.concatenate([unit, unit], 1) for unit in (unit_c, unit_d))
    old = (c[:, None], diff[:, None])
    new_c, new_d = _moved(*old, dc, dd, anchor[:, None], bound, np.tile(keeps, 2))
    scores = score(problem, new_c, new_d)  # (E, 2J)
    lines, top = np.arange(len(c)), scores.argmax(1)
    signed = scores.reshape(len(c), 2, -1)
    gain = signed > best[:, None, None] * (1 + 1e-14)
    better = signed.argmax(1)[:, None] == np.arange(2)[:, None]
    chosen = (gain & better).reshape(len(c), -1)[:, :, None, None]
    joint_dc, joint_dd = ((move * chosen).sum(1, keepdims=True) for move in (dc, dd))
    never = np.zeros(1, dtype=bool)
    joint_c, joint_d = _moved(*old, joint_dc, joint_dd, anchor[:, None], reach, never)
    joint = score(problem, joint_c, joint_d)[:, 0]
    single = scores[lines, top]
    order = np.stack([best, single, joint], 1).argmax(1)  # stay, one move, all moves
    next_c = np.stack([c, new_c[lines, top], joint_c[:, 0]], 1)[lines, order]
    next_d = np.stack([diff, new_d[lines, top], joint_d[:, 0]], 1)[lines, order]
    step = np.minimum(step * np.where(gain.any(1), GROW, SHRINK), 0.5)
    return next_c, next_d, np.maximum(best, np.maximum(single, joint)), step


def _length(diff: Array) -> Array:
    """Return ‖D‖ of (E, N, d) as (E, 1)."""
    return np.asarray(direction(diff)[1][:, :, 0])


def _moved(
    c: Array,
    diff: Array,
    dc: Array,
    dd: Array,
    anchor: Array,
    bound: Array,
    keeps: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """Return candidates after a move, D held to ``bound`` about the anchors.

    Where ``keeps``, D is scaled to the bound exactly.
    """
    changed = capped(diff + dd, bound)
    if keeps.any():
        changed[:, keeps] = fitted((diff + dd)[:, keeps], bound[:, keeps])
    new = np.where(dd.any((-2, -1), keepdims=True), changed, diff)
    return np.clip(c + dc + anchor * (new - diff), 0, 1), new
