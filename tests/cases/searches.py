"""Problems of the search for lower bounds, made of functions, and small things for them."""

from __future__ import annotations

import numpy as np

from looprate.theory.continuity.lower.objective import objective, watched_outputs
from looprate.theory.continuity.lower.problem import Problem

__all__ = ["Still", "asked", "column", "cusps", "identity", "valued"]


def asked(f, deltas, tokens=2, dim=1, p=2.0, moving=None, ascend=None):
    """The problem of a NumPy function on the whole output."""
    moving = np.ones(tokens, dtype=bool) if moving is None else np.array(moving, dtype=bool)
    outputs = watched_outputs(f, None)
    return Problem(objective(f, p, None), ascend, moving, dim, np.array(deltas), outputs, p)


def identity(x):
    return x


def valued(values, deltas=(1.0,), tokens=2, moving=None):
    """The problem of a function of pairs, (M, N, 1), (M, N, 1) -> (M,)."""
    moving = np.ones(tokens, dtype=bool) if moving is None else np.array(moving, dtype=bool)
    return Problem(values, None, moving, 1, np.array(deltas))


def column(*rows):
    """Candidates of two or more entries each, (E, N, 1)."""
    return np.array(rows, dtype=float)[..., None]


def cusps(*places):
    places = np.array(places)[:, None]
    return lambda x: np.abs(x - places) ** 0.5


class Still:
    """A generator of no steps that counts how often it is asked."""

    asked = 0

    def standard_normal(self, size):
        self.asked += 1
        return np.zeros(size)
