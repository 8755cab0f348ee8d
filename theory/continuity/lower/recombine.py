"""Candidates made from others: of another radius, or of exchanged entries."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from looprate.theory.continuity.lower.problem import (
    Array,
    Problem,
    best_candidates,
    capped,
    ends,
    fitted,
    score,
)

ELITE = 8  # candidates kept per radius for recombination
CHUNK = 1 << 24  # numbers held at once, several times over


def shared(problem: Problem, c: Array, diff: Array) -> tuple[Array, Array]:
    """Return candidates that every radius takes over from the best of every other, (L, 7L, N, d).

    From a larger radius: pieces of its segment (one of them keeps its share, by subadditivity) and
    one with the centre kept; from a smaller one: the same with longer differences.
    """
    count = len(c)
    source_c, source_d = c[None, :, 0], diff[None, :, 0]  # (1, L, N, d)
    scaled = fitted(
        np.broadcast_to(source_d, (count, *source_d.shape[1:])), problem.reach[:, None, None, None]
    )
    x, y = ends(source_c, source_d)
    moves = [source_c + t * (source_d - scaled) for t in (-0.5, -0.25, 0.25, 0.5)]
    bent = np.clip(source_c, np.abs(scaled) / 2, 1 - np.abs(scaled) / 2)
    centre = np.broadcast_to((x + y) / 2, scaled.shape)
    short = capped(np.broadcast_to(source_d, scaled.shape), problem.reach[:, None, None, None])
    all_c = np.concatenate([centre, centre, bent, *moves], 1)
    return np.clip(all_c, 0, 1), np.concatenate([short, *[scaled] * 6], 1)


def recombined(problem: Problem, c: Array, diff: Array, rounds: int) -> tuple[Array, Array]:
    """Return the best candidate of every radius after exchanging entries with the elite.

    Each entry may take (c_i, ±D_i) from another candidate; the best single exchange, or the best of
    every entry at once, is kept.  Also one entry's values are tried for all.
    """
    c, diff, _ = best_candidates(problem, c, diff, ELITE)
    size = max(1, CHUNK // (2 * ELITE * c[0, 0].size ** 2))
    parts = [
        _recombined(
            replace(problem, deltas=problem.deltas[k : k + size]),
            c[k : k + size],
            diff[k : k + size],
            rounds,
        )
        for k in range(0, len(c), size)
    ]
    best_c, best_d = zip(*parts, strict=True)
    return np.concatenate(best_c), np.concatenate(best_d)


def _recombined(problem: Problem, c: Array, diff: Array, rounds: int) -> tuple[Array, Array]:
    """Recombine the elite (L, E, N, d) of a few radii."""
    count, _, tokens, dim = c.shape
    width = tokens * dim
    reach = problem.reach[:, None, None, None]
    eye = np.eye(width, dtype=bool).reshape(width, tokens, dim)
    donors_c = np.concatenate([c, c], 1)[:, :, None]  # (L, 2E, 1, N, d)
    donors_d = np.concatenate([diff, -diff], 1)[:, :, None]
    best_c, best_d = c[:, :1], diff[:, :1]
    best = score(problem, best_c, best_d)
    for _ in range(rounds):
        new_c = np.where(eye, donors_c, best_c[:, None])  # (L, 2E, width, N, d)
        new_d = capped(np.where(eye, donors_d, best_d[:, None]), reach[:, None])
        scores = score(problem, new_c, new_d)
        donor = scores.argmax(1)  # (L, width)
        lines = np.arange(count)[:, None]
        joint_c = donors_c[lines, donor].reshape(count, width, width)
        joint_d = donors_d[lines, donor].reshape(count, width, width)
        diagonal = np.arange(width)
        joint_c = joint_c[:, diagonal, diagonal].reshape(count, 1, tokens, dim)
        joint_d = joint_d[:, diagonal, diagonal].reshape(count, 1, tokens, dim)
        alike_c = np.repeat(best_c.reshape(count, width)[:, :, None, None], tokens, 2)
        alike_c = np.broadcast_to(alike_c, (count, width, tokens, dim))
        alike_d = best_d.reshape(count, width)[:, :, None, None] * problem.moving[:, None]
        alike_d = np.broadcast_to(alike_d, alike_c.shape)
        pool_c = [best_c, new_c.reshape(count, -1, tokens, dim), joint_c, alike_c]
        pool_d = [
            best_d,
            new_d.reshape(count, -1, tokens, dim),
            capped(joint_d, reach),
            fitted(alike_d, reach),
        ]
        best_c, best_d, now = best_candidates(
            problem, np.concatenate(pool_c, 1), np.concatenate(pool_d, 1), 1
        )
        if not (now > best * (1 + 1e-12)).any():
            break
        best = now
    return best_c, best_d
