"""Steps as fine as float32's rounding in the values of a function along short lines.

``x + sin(float32(6 x))`` is smooth between steps of float32's spacing of ``6 x``, wherever these
lie.  A function of float64 moves evenly along lines of a millionth or less: neither a kink nor a
stair of wide steps has several separate leaps there.
"""

from __future__ import annotations

import numpy as np

from looprate.theory.hypotheses.subject import Array, Subject

STEPS = 2.0 ** -np.arange(35, 26, -2.0)  # of a line; its length is SAMPLES of them
SAMPLES, LINES = 128, 4
MOST_ENTRIES = 2**22  # of one batch; lines of larger inputs are left out
OUTLIER, ROUNDINGS = 32.0, 256.0  # a leap, in what the other moves differ by and in units of |f|
FEWEST = 4  # separate leaps
LOWEST, HIGHEST = 2.0**-29, 2.0**-20  # of the largest |f|: heights of float32's steps
SHARE = 0.05  # of the way of f that its leaps make at least
DOUBLE = 2.0**-52


def steps_finely(subject: Subject, x: Array) -> bool:
    """Tell whether half the lines through inputs (B, N, d) have several leaps like float32's."""
    lines = x[: min(LINES, MOST_ENTRIES // (SAMPLES * x[0].size))]
    if not len(lines):
        return False
    rng = np.random.default_rng(0)
    way = rng.choice((-1.0, 1.0), lines.shape) * (0.5 + rng.random(lines.shape) / 2)
    way[::2] = np.abs(way[::2])  # means move too
    places = np.arange(SAMPLES)[:, None, None, None]
    found = []
    for step in STEPS:
        values = subject((lines + step * places * way).reshape(-1, *x.shape[1:]))
        found.append(_leaps(values.reshape(SAMPLES, *lines.shape)))
    live = np.array([moves for moves, _ in found]).any(0)
    leaping = np.array([leaps for _, leaps in found]).any(0)
    return bool(live.any() and 2 * leaping.sum() >= live.sum())


@np.errstate(all="ignore")
def _leaps(values: Array) -> tuple[Array, Array]:
    """Which entries move along their line, and which by leaps; values (SAMPLES, B, N, d)."""
    moves = np.diff(values, axis=0)
    apart = np.abs(moves - np.median(moves, axis=0))
    size = np.abs(values).max()
    floor = np.maximum(OUTLIER * np.median(apart, axis=0), ROUNDINGS * DOUBLE * size)
    leaps = apart > floor
    height = np.where(leaps, apart, 0.0)
    runs = leaps[0] + (leaps[1:] & ~leaps[:-1]).sum(0)
    separate = (runs >= FEWEST) & (leaps.sum(0) <= np.minimum(2 * runs, 0.4 * len(moves)))
    tall = (height.max(0) >= LOWEST * size) & (height.max(0) < HIGHEST * size)
    counts = height.sum(0) >= SHARE * np.abs(moves).sum(0)
    return (moves != 0).any(0), separate & tall & counts
