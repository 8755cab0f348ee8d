"""What the checks look at: one function, where it is tried, the precision it computes in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from looprate.theory.hypotheses.inputs import special_points, spread_points
from looprate.theory.hypotheses.precision import Precision, measured_precision
from looprate.theory.hypotheses.subject import Array, Subject

Checked = tuple[bool, str, dict[str, Any]]  # holds, reason, evidence
POINTS, LEAST_POINTS, MOST_POINTS = 64, 8, 256  # of a kind: at effort 1, at least, at most
FEW = 48  # special points, and as many spread ones, where each costs many evaluations


@dataclass(frozen=True, eq=False)
class Probes:
    """A function under test and where to look.

    Attributes
    ----------
    subject : Subject
    p : float
        Exponent of the output norm, 1 <= p <= inf.
    effort : float
        Scales the number of inputs.
    seed : int
    """

    subject: Subject
    p: float
    effort: float
    seed: int

    def rng(self) -> np.random.Generator:
        """Return a fresh generator: what one check draws is no matter of another's."""
        return np.random.default_rng(self.seed)

    @property
    def count(self) -> int:
        """Points of a kind."""
        return max(LEAST_POINTS, min(MOST_POINTS, round(POINTS * self.effort)))

    @cached_property
    def special(self) -> Array:
        """Corners, faces, constants, round numbers, tied tokens."""
        n, d = self.subject.tokens, self.subject.dim
        return special_points(n, d, count=self.count, rng=self.rng())

    @cached_property
    def spread(self) -> Array:
        """Random and evenly spread points."""
        n, d = self.subject.tokens, self.subject.dim
        return spread_points(n, d, count=self.count, rng=self.rng())

    @cached_property
    def every(self) -> Array:
        """All of them."""
        return np.concatenate([self.special, self.spread])

    @cached_property
    def few(self) -> Array:
        """Some of each kind."""
        return np.concatenate(
            [part[:: -(-len(part) // FEW)] for part in (self.special, self.spread)]
        )

    @cached_property
    def precision(self) -> Precision:
        """The precision the function computes in."""
        return measured_precision(self.subject, rng=self.rng())
