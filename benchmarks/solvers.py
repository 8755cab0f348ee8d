"""SciPy's optimisers on the supremum behind a modulus, all traced and stopped the same way.

Global solvers search centres c and differences D = δ u / max(1, ‖u‖), u in [-1,1]^{N x d}; the pair
is clip(c ± D/2), feasible whatever they try, as in the search they are compared with.
Multistart SLSQP takes the pair (x, y) itself in the cube, the constraint ‖x - y‖ <= δ and gradients
from torch; its iterates are pulled into the ball before they count.
"""

from __future__ import annotations

import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.stats  # noqa: F401  (solvers import it late, in the middle of the clock)
import torch
from numpy.typing import NDArray
from scipy import optimize

from looprate.theory.targets.base import Target

__all__ = ["SOLVERS", "Case", "Trace", "solved"]

Array = NDArray[np.float64]


class TimeUp(BaseException):
    """Raised by the alarm; not an Exception, so that no solver swallows it."""


class Reached(BaseException):
    """Raised where a value is good enough."""


@dataclass(frozen=True)
class Case:
    """One supremum: ‖f(x) - f(y)‖_2 over ‖x - y‖_2 <= delta, sequence kind."""

    target: Target
    tokens: int
    dim: int
    delta: float = 0.1

    @property
    def shape(self) -> tuple[int, int]:
        return self.tokens, self.dim

    @property
    def width(self) -> int:
        return self.tokens * self.dim

    def values(self, x: Array, y: Array) -> Array:
        """Return the norms of the differences of a batch of pairs (M, N, d)."""
        out = self.target(np.concatenate([x, y]))
        return np.sqrt(((out[: len(x)] - out[len(x) :]) ** 2).sum((1, 2)))


@dataclass
class Trace:
    """Best value so far over the seconds since the start; stops the run at ``goal``."""

    goal: float = float("inf")
    start: float = field(default_factory=time.perf_counter)
    points: list[tuple[float, float]] = field(default_factory=list)

    def __call__(self, value: float) -> None:
        if not self.points or value > self.points[-1][1]:
            self.points.append((time.perf_counter() - self.start, value))
            if value >= self.goal:
                raise Reached

    @property
    def best(self) -> float:
        return self.points[-1][1] if self.points else 0.0

    def seconds_to(self, value: float) -> float:
        """Return when ``value`` was first reached; inf where it was not."""
        return next((t for t, found in self.points if found >= value), float("inf"))


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the block after some seconds of wall time."""

    def ring(*_: object) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _loss(case: Case, trace: Trace) -> Callable[[Array], Any]:
    """Return -‖f(x) - f(y)‖ of points (c, u): shape (2W,), or (2W, S) for S of them at once."""

    def loss(point: Array) -> Any:
        rows = np.atleast_2d(point.T).reshape(-1, 2, *case.shape)
        c, u = rows[:, 0], rows[:, 1]
        length = np.sqrt((u**2).sum((1, 2), keepdims=True))
        half = case.delta / 2 * u / np.maximum(1.0, length)
        values = case.values(np.clip(c + half, 0, 1), np.clip(c - half, 0, 1))
        trace(float(values.max()))
        return -values if point.ndim == 2 else -float(values[0])

    return loss


def _box(case: Case) -> list[tuple[float, float]]:
    """Bounds of (c, u)."""
    return [(0.0, 1.0)] * case.width + [(-1.0, 1.0)] * case.width


def differential_evolution(case: Case, trace: Trace, seed: int) -> None:
    """Whole generations are evaluated at once."""
    optimize.differential_evolution(
        _loss(case, trace),
        _box(case),
        rng=seed,
        vectorized=True,
        updating="deferred",
        polish=False,
        maxiter=10**9,
        tol=0.0,
        atol=0.0,
    )


def dual_annealing(case: Case, trace: Trace, seed: int) -> None:
    """Annealing with local searches, the default."""
    optimize.dual_annealing(_loss(case, trace), _box(case), rng=seed, maxiter=10**9, maxfun=10**12)


def shgo(case: Case, trace: Trace, seed: int) -> None:
    """Simplicial homology, more sampling points at every iteration."""
    optimize.shgo(_loss(case, trace), _box(case), iters=10**6)


def direct(case: Case, trace: Trace, seed: int) -> None:
    """DIRECT, the locally biased form (the default)."""
    most = {"maxfun": 3 * 10**5, "maxiter": 10**6}  # it allocates as much at once
    optimize.direct(_loss(case, trace), _box(case), vol_tol=0.0, len_tol=0.0, **most)


def slsqp(case: Case, trace: Trace, seed: int) -> None:
    """Local ascent from random pairs, one after another, until time is up."""
    rng = np.random.default_rng(seed)
    ball = {
        "type": "ineq",
        "fun": lambda z: case.delta**2 - ((z[: case.width] - z[case.width :]) ** 2).sum(),
        "jac": lambda z: -2 * np.tile(z[: case.width] - z[case.width :], 2) * _signs(case),
    }
    while True:
        x = rng.random(case.width)
        step = rng.standard_normal(case.width)
        y = np.clip(x + case.delta * step / np.linalg.norm(step), 0, 1)
        optimize.minimize(
            _pair_loss(case, trace),
            np.concatenate([x, y]),
            jac=True,
            method="SLSQP",
            bounds=[(0.0, 1.0)] * (2 * case.width),
            constraints=[ball],
            options={"maxiter": 200, "ftol": 1e-9},
        )


def _signs(case: Case) -> Array:
    """+1 for the entries of x, -1 for those of y."""
    return np.repeat([1.0, -1.0], case.width)


def _pair_loss(case: Case, trace: Trace) -> Callable[[Array], tuple[float, Array]]:
    """Return -‖f(x) - f(y)‖ and its gradient at (x, y); only feasible values count."""

    def loss(point: Array) -> tuple[float, Array]:
        pair = torch.tensor(point.reshape(2, *case.shape), requires_grad=True)
        out = case.target(pair)
        value = torch.linalg.vector_norm(out[0] - out[1])
        (slope,) = torch.autograd.grad(value, pair)
        x, y = np.clip(point.reshape(2, *case.shape), 0, 1)
        length = float(np.linalg.norm(x - y))
        if length <= case.delta:
            trace(float(value.detach()))
        else:
            y = x + (y - x) * (case.delta / length)
            trace(float(case.values(x[None], y[None])[0]))
        return -float(value.detach()), -np.nan_to_num(slope.numpy(), posinf=0, neginf=0).ravel()

    return loss


SOLVERS: dict[str, Callable[[Case, Trace, int], None]] = {
    "DE": differential_evolution,
    "annealing": dual_annealing,
    "shgo": shgo,
    "direct": direct,
    "SLSQP": slsqp,
}


def solved(name: str, case: Case, *, goal: float, cap: float, seed: int = 0) -> Trace:
    """Run one solver until ``goal`` is reached, it ends, or ``cap`` seconds are over."""
    trace = Trace(goal)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with _alarm(cap):
                SOLVERS[name](case, trace, seed)
        except (TimeUp, Reached):
            pass
    return trace
