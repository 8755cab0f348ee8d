"""How finely a function computes, and by how much rounding alone may move its values."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from looprate.theory.hypotheses.narrow import narrowest_inside
from looprate.theory.hypotheses.subject import Array, Subject

DOUBLE, SINGLE = 2.0**-52, 2.0**-23
STEPS = 2.0 ** -np.arange(10, 52, 3)
HIDDEN = 7  # of STEPS, 2^-31: below single precision's spacing, far above double's
FINE = 2.0**-20  # of the largest |f|: a staircase with higher steps is no rounding
POINTS = 64
SLACK = 4.0  # times what a rounding of the input does
SUM_SLACK = 64.0  # times N d roundings of the output


@dataclass(frozen=True)
class Precision:
    """What was measured.

    Attributes
    ----------
    dtype : str
        As returned for float64 input.
    floating : bool
    epsilon : float
        Relative spacing of the numbers it computes with.
    resolution : float or None
        Smallest change of the input, in every coordinate, that still shows in most outputs; None
        for a function that is constant near most inputs.
    quantum : float
        Smallest change of an output seen, the median over entries; 0 where resolution is None.
    scale : float
        Largest |f| seen.
    narrow : str
        The coarser type seen inside, such as "float32 (softmax)"; "" for none.
    """

    dtype: str
    floating: bool
    epsilon: float
    resolution: float | None
    quantum: float
    scale: float
    narrow: str = ""


def measured_precision(subject: Subject, *, rng: np.random.Generator) -> Precision:
    """Measure how small a change of the input still shows in the output."""
    shape = (POINTS, subject.tokens, subject.dim)
    x = 0.1 + 0.8 * rng.random(shape)
    way = rng.choice((-1.0, 1.0), shape) * (0.5 + rng.random(shape) / 2)
    found = subject.output(x)
    finite = np.where(np.isfinite(found.values), found.values, 0.0)
    scale = float(np.abs(finite).max())
    moved = [subject(x + step * way) for step in STEPS]
    with np.errstate(invalid="ignore"):
        changes = np.nan_to_num(np.abs(np.stack(moved) - found.values), posinf=0.0)
    live = changes[0] > 0
    resolution, quantum, single = None, 0.0, False
    if 2 * live.sum() > live.size:
        shown = (changes[:, live] > 0).mean(1) >= 0.5
        resolution = float(STEPS[max(int(shown.cumprod().sum()), 1) - 1])
        smallest = np.where(changes > 0, changes, np.inf).min(0)[live]
        quantum = float(np.median(smallest))
        single = _hides(changes, finite) and quantum < FINE * scale
    inside = narrowest_inside(subject, x[:8])
    epsilon = max(found.epsilon or DOUBLE, SINGLE if single else DOUBLE, inside.epsilon)
    floating = found.epsilon is not None
    return Precision(found.dtype, floating, epsilon, resolution, quantum, scale, inside.name)


def _hides(changes: Array, values: Array) -> bool:
    """Whether most changes that double precision would show at the step HIDDEN are not there."""
    expected = changes[0] * (STEPS[HIDDEN] / STEPS[0])
    visible = expected > SUM_SLACK * DOUBLE * np.abs(values)
    absent = visible & (changes[HIDDEN] == 0)
    return bool(visible.any() and 2 * absent.sum() > visible.sum())


def allowance(subject: Subject, x: Array, precision: Precision) -> Array:
    """Return how far two evaluations of f that differ by rounding may be apart, shape (B,).

    It is what f does when its inputs move by a few roundings, and as many roundings of the output
    as it has entries.
    """
    straight, size = subject(x), SLACK * precision.epsilon
    near = [subject(np.clip(x * (1 + s * size), 0.0, 1.0)) for s in (-1, 1)]
    with np.errstate(invalid="ignore"):
        moved = np.nan_to_num(np.abs(np.stack(near) - straight), posinf=0.0).max((0, 2, 3))
    roundings = SUM_SLACK * subject.tokens * subject.dim * precision.epsilon * precision.scale
    return np.asarray(SLACK * (moved + precision.quantum) + roundings)
