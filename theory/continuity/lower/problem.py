"""What is searched: candidates, their pairs and their values, for all radii in one batch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from looprate.theory.notation import Kind

Array = NDArray[np.float64]
Values = Callable[[Array, Array], Array]

PATIENCE, STALLED = 10, 1e-6  # a pattern search stops after so many sweeps of so little gain
TINY = 1e-12  # radii below are met by each entry, whatever its rounding
ROUNDING = 4 * float(np.finfo(float).eps)  # of a difference of two points of the cube, per entry


@dataclass(frozen=True)
class Span:
    """How long the steps of an ascent are: those of D over the radius, those of a centre over the
    radius or ``floor``, what is larger."""

    first: float
    last: float
    floor: float


Ascent = Callable[[Array, Array, Array, int, Span], tuple[Array, Array]]


@dataclass(frozen=True)
class Effort:
    """The deterministic amount of work; a factor scales all of it."""

    randoms: int = 12  # random starts per radius
    ascent: int = 240  # gradient steps
    recombinations: int = 5
    sweeps: int = 36  # of the pattern search
    polished: int = 2  # candidates per radius that are polished
    pattern_starts: int = 8  # candidates per radius without a gradient

    def scaled(self, factor: float) -> Effort:
        """Return the effort times ``factor``, each part at least 1."""

        def at_least_one(number: int) -> int:
            return max(1, round(number * factor))

        return Effort(
            randoms=at_least_one(self.randoms),
            ascent=at_least_one(self.ascent),
            recombinations=at_least_one(self.recombinations),
            sweeps=at_least_one(self.sweeps),
            polished=self.polished,
            pattern_starts=max(self.polished, round(self.pattern_starts * min(factor, 4.0))),
        )


@dataclass(frozen=True)
class Problem:
    """One family of maximisations: the objective, where D may differ from 0, and the radii.

    Attributes
    ----------
    values : callable
        (M, N, d), (M, N, d) -> (M,), the norm of the difference of the outputs.
    ascend : callable or None
        Gradient ascent on (M, N, d) centres and differences, given radii, a number of steps and how
        long they are; None without a gradient.
    moving : bool array of shape (N,)
        Tokens that may differ between x and y.
    dim : int
    deltas : array of shape (L,)
        Radii > 0.
    outputs : callable or None
        (M, N, d) -> (M, E), the output entries that are watched.
    p : float
        Exponent of the norm.
    """

    values: Values
    ascend: Ascent | None
    moving: NDArray[np.bool_]
    dim: int
    deltas: Array
    outputs: Callable[[Array], Array] | None = None
    p: float = 2.0

    @property
    def movable(self) -> NDArray[np.intp]:
        """Indices of the movable entries in token-major order."""
        return np.flatnonzero(np.repeat(self.moving, self.dim))

    @property
    def reach(self) -> Array:
        """Radii capped at the diameter, a rounding error below delta; shape (L,)."""
        count = self.movable.size
        spared = np.where(self.deltas < TINY, 1e-9 * self.deltas, ROUNDING * math.sqrt(count))
        return np.minimum(self.deltas - spared, math.sqrt(count))


def moving_tokens(kind: Kind, tokens: int, row: int) -> NDArray[np.bool_]:
    """Return which tokens may move when output token ``row`` is watched."""
    if kind == "sequence":
        return np.ones(tokens, dtype=bool)
    own = np.arange(tokens) == row
    return own if kind == "token" else ~own


def ends(c: Array, diff: Array) -> tuple[Array, Array]:
    """Return the pair of a candidate, inside the cube.

    An entry that rounding would move further than a tiny difference says does not move.
    """
    x, y = np.clip(c + diff / 2, 0, 1), np.clip(c - diff / 2, 0, 1)
    size = np.abs(diff)
    tiny = size < TINY
    if tiny.any():
        y = np.where(tiny & (np.abs(x - y) > size * (1 + 1e-9)), x, y)
    return x, y


def score(problem: Problem, c: Array, diff: Array) -> Array:
    """Return the objective of candidates of any leading shape."""
    lead = c.shape[:-2]
    x, y = ends(c.reshape(-1, *c.shape[-2:]), diff.reshape(-1, *c.shape[-2:]))
    return problem.values(x, y).reshape(lead)


def fitted(diff: Array, reach: Array) -> Array:
    """Scale differences to norm ``reach`` where the side 1 of the cube allows; shapes (..., N, d).

    Two rounds: entries capped at 1 free length for the others.
    """
    for _ in range(2):
        diff = direction(diff)[0] * reach
        if (np.abs(diff) <= 1).all():
            return np.asarray(diff)
        diff = np.clip(diff, -1, 1)
    return capped(diff, reach)


def capped(diff: Array, reach: Array) -> Array:
    """Shorten differences (..., N, d) to norm ``reach`` at most."""
    diff = np.clip(diff, -1, 1)
    unit, norm = direction(diff)
    return np.asarray(np.where(norm > reach, unit * reach, diff))


def direction(diff: Array) -> tuple[Array, Array]:
    """Return differences (..., N, d) over their lengths, and the lengths (..., 1, 1).

    Scaled to a largest entry of 1 first: squares of the smallest radii would be 0.
    """
    top = np.abs(diff).max((-2, -1), keepdims=True)
    shares = diff / np.where(top > 0, top, 1.0)
    length = np.sqrt((shares**2).sum((-2, -1), keepdims=True))
    return shares / np.where(top > 0, length, 1.0), top * length


def take(array: Array, index: NDArray[np.intp]) -> Array:
    """Return array[l, index[l, k]] for arrays (L, S, ...)."""
    return np.asarray(array[np.arange(len(array))[:, None], index])


def best_candidates(
    problem: Problem, c: Array, diff: Array, keep: int
) -> tuple[Array, Array, Array]:
    """Return the ``keep`` best candidates of every radius and their values, best first."""
    scores = score(problem, c, diff)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :keep]
    return take(c, order), take(diff, order), take(scores, order)
