"""Inputs on which hypotheses are checked: where functions tend to break, and spread evenly.

All return batches of shape (B, N, d) in the closed cube [0,1]^{N x d}.
"""

from __future__ import annotations

import itertools

import numpy as np

from looprate.theory.hypotheses.subject import Array

__all__ = ["special_points"]

PARTS = 60  # constants k/60: halves, thirds, tenths and twentieths among them
TWENTIETHS = 20
QUARTERS = 4  # sums of quarters are exact in any order
MOST_CORNERS = 64
EVERY_ORDER = 4  # tokens up to which every permutation is tried
MORE_ORDERS = 8  # random ones, beyond


def special_points(tokens: int, dim: int, *, count: int, rng: np.random.Generator) -> Array:
    """Return corners, constants k/60, and ``count`` points each on faces and on round numbers.

    Round numbers are multiples of 1/20 and of 1/4 (corners of cells), in some coordinates or in
    all; further points have all tokens equal, or two of them.
    """
    shape = (count, tokens, dim)
    faces, tied = rng.random((2, *shape))
    mask = rng.random(shape) < 0.5
    faces[mask] = rng.integers(0, 2, int(mask.sum()))
    some = np.where(rng.random(shape) < 0.5, rng.integers(0, 21, shape) / TWENTIETHS, tied)
    tied[:, -1] = tied[:, 0]
    return np.concatenate(
        [
            _corners(tokens, dim, rng),
            np.broadcast_to(np.arange(PARTS + 1)[:, None, None] / PARTS, (PARTS + 1, tokens, dim)),
            faces,
            some,
            rng.integers(0, QUARTERS + 1, shape) / QUARTERS,
            np.broadcast_to(rng.random((count, 1, dim)), shape),
            tied,
        ]
    )


def _corners(tokens: int, dim: int, rng: np.random.Generator) -> Array:
    """Every corner of the cube, or as many random ones as there is room for."""
    entries = tokens * dim
    if 2**entries <= MOST_CORNERS:
        every = np.array(list(itertools.product((0.0, 1.0), repeat=entries)))
        return every.reshape(-1, tokens, dim)
    return rng.integers(0, 2, (MOST_CORNERS, tokens, dim)).astype(float)


def spread_points(tokens: int, dim: int, *, count: int, rng: np.random.Generator) -> Array:
    """Return random points, and as many of a Kronecker sequence: multiples of irrationals mod 1."""
    entries = tokens * dim
    root = 2.0
    for _ in range(32):  # the real root of t^(entries + 1) = t + 1
        root = (1 + root) ** (1 / (entries + 1))
    steps = root ** -np.arange(1.0, entries + 1)
    even = (0.5 + np.arange(1, count + 1)[:, None] * steps) % 1.0
    return np.concatenate([rng.random((count, tokens, dim)), even.reshape(count, tokens, dim)])


def lines(tokens: int, dim: int, *, count: int, points: int, rng: np.random.Generator) -> Array:
    """Return evenly spaced points on lines through the cube, shape (count, points, N, d).

    A third moves one coordinate across the cube, a third one token, a third everything.
    """
    ends = rng.random((2, count, tokens, dim))
    which = np.arange(count) % 3
    token = (np.arange(tokens) == rng.integers(0, tokens, (count, 1)))[:, :, None]
    coordinate = (np.arange(dim) == rng.integers(0, dim, (count, 1)))[:, None, :]
    one, own = token & coordinate, np.broadcast_to(token, (count, tokens, dim))
    moved = np.where((which == 0)[:, None, None], one, own) | (which == 2)[:, None, None]
    start = np.where(one & (which == 0)[:, None, None], 0.0, ends[0])
    stop = np.where(one & (which == 0)[:, None, None], 1.0, np.where(moved, ends[1], ends[0]))
    share = np.linspace(0.0, 1.0, points)[None, :, None, None]
    return np.asarray(start[:, None] * (1 - share) + stop[:, None] * share)


def orders(tokens: int, *, rng: np.random.Generator) -> tuple[Array, bool]:
    """Return permutations of the tokens, shape (P, N), and whether they are all there are.

    All but the identity up to 4 tokens.  Beyond, adjacent transpositions and the cycle: a function
    that commutes with these commutes with all; and some random ones.
    """
    identity = np.arange(tokens)
    if tokens <= EVERY_ORDER:
        every = list(itertools.permutations(range(tokens)))[1:]
        return np.array(every, dtype=int).reshape(-1, tokens), True
    swaps = np.tile(identity, (tokens - 1, 1))
    for k in range(tokens - 1):
        swaps[k, [k, k + 1]] = k + 1, k
    more = rng.permuted(np.tile(identity, (MORE_ORDERS, 1)), axis=1)
    return np.concatenate([swaps, np.roll(identity, 1)[None], more]), False
