"""The search for a jump: segments are halved towards where the function bends most.

Across a jump the change of f stays as a segment shrinks; a continuous f loses it, a Hölder function
of exponent s like the length to the power s.  A bend is a fourth difference: a jump shows in it at
once, a slope or a curve hardly.  The search can refute continuity, never prove it.  It misses a
jump of less than ``LEAST`` of the largest |f| (or 1000 roundings of it), one on a set that neither
lines through the cube nor the special points meet, one beside bends that are sharper, and f that
oscillates ever faster towards a point.  An exponent below 0.04 looks like a jump.  Steps of a
coarser type inside, float32 say, are rounding where :mod:`looprate.theory.hypotheses.narrow` has
seen it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from looprate.theory.hypotheses.inputs import lines, special_points
from looprate.theory.hypotheses.precision import Precision
from looprate.theory.hypotheses.subject import Array, Subject
from looprate.theory.norms import p_norm

BEFORE, TINY = 1e-10, 1e-13  # lengths between which a continuous f's change shrinks
CLOSE = 1e-6  # from where on a segment with a change below LEAST is given up
KEPT = 0.8  # ... to less than this share: exponents above 0.04 pass
LEAST = 1e-9  # of the largest |f|: lower jumps may be rounding
ROUNDINGS = 1000.0
SEGMENTS = 96  # of each of three kinds, at effort 1
LINE, FROM_A_LINE = 257, 2  # points of a line at which f is looked at, bends that are followed
AROUND = 65  # points around a suspected jump
RADII = 10.0 ** -np.arange(0.0, 14.0)
ENTRIES = 1 << 10  # of SEGMENTS inputs at most: fewer segments in larger cubes
FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])  # of the five points of a segment
PAIRS = np.triu_indices(len(FOURTH), 1)


@dataclass(frozen=True, eq=False)
class JumpSearch:
    """What the search found.

    Attributes
    ----------
    changes : list of (float, float)
        Radius, largest change of f (p-norm) seen between two inputs that close: a lower bound of
        the sequence modulus.
    least : float
        Jumps below this are not told from rounding.
    segments : int
    height : float
        Of the highest jump, 0 if none was found.
    x, y : ndarray, shape (N, d), or None
        Two inputs at most ``TINY`` apart between which f jumps.
    """

    changes: list[tuple[float, float]]
    least: float
    segments: int
    height: float
    x: Array | None
    y: Array | None


def search_jumps(
    subject: Subject, precision: Precision, *, p: float, effort: float, rng: np.random.Generator
) -> JumpSearch:
    """Halve segments towards bends of f; say whether a change survives below ``TINY``."""
    x = _segments(subject, effort, rng)
    values, length = _stacked(subject, x), _length(x)
    spread = _spread(values, p)
    changes, before = np.zeros(len(RADII)), np.full(x.shape[1], np.inf)
    _record(changes, length, spread)
    least = max(LEAST, ROUNDINGS * precision.epsilon) * precision.scale
    while (longer := (length > TINY) & ((length > CLOSE) | (spread > least))).any():
        x[:, longer], values[:, longer] = _halved(subject, x[:, longer], values[:, longer])
        length, spread = _length(x), _spread(values, p)
        _record(changes, length, spread)
        before = np.where(np.isinf(before) & (length <= BEFORE), spread, before)
    suspects = np.flatnonzero((spread > least) & (spread > KEPT * before))
    around = _around(subject, x[:, suspects], values[:, suspects], p)
    height = np.where(spread[suspects] > KEPT * around, spread[suspects], 0.0)
    curve = [(float(r), float(c)) for r, c in zip(RADII, changes, strict=True)]
    if not height.any():
        return JumpSearch(curve, least, x.shape[1], 0.0, None, None)
    best = suspects[int(height.argmax())]
    first, second = (ends[_gaps(values[:, [best]], p)[:, 0].argmax()] for ends in PAIRS)
    pair = x[first, best], x[second, best]
    return JumpSearch(curve, least, x.shape[1], float(height.max()), *pair)


def _segments(subject: Subject, effort: float, rng: np.random.Generator) -> Array:
    """Return segments as five evenly spaced points, shape (5, S, N, d)."""
    tokens, dim = subject.tokens, subject.dim
    count = max(16, int(min(SEGMENTS * effort, ENTRIES / (tokens * dim))))
    special = special_points(tokens, dim, count=16, rng=rng)
    chosen = special[rng.permutation(len(special))[:count]]
    starts = np.concatenate([rng.random((count, tokens, dim)), chosen])
    way = rng.random(starts.shape) - starts
    long = np.stack([starts + share * way for share in np.linspace(0.0, 1.0, len(FOURTH))])
    return np.concatenate([long, _bent(subject, count, rng)], axis=1)


def _bent(subject: Subject, count: int, rng: np.random.Generator) -> Array:
    """Return the pieces of lines on which f bends most, shape (5, S, N, d)."""
    number = -(-count // FROM_A_LINE)
    x = lines(subject.tokens, subject.dim, count=number, points=LINE, rng=rng)
    x = np.ascontiguousarray(x.swapaxes(0, 1))  # (LINE, lines, N, d)
    values = _stacked(subject, x)
    last = LINE - len(FOURTH) + 1
    bend = np.stack([_bend(values[k : k + len(FOURTH)]) for k in range(last)])
    best = np.argsort(-bend, axis=0)[:FROM_A_LINE]  # (FROM_A_LINE, lines)
    which = np.arange(number)
    pieces = [x[best + k, which].reshape(-1, *x.shape[2:]) for k in range(len(FOURTH))]
    return np.stack(pieces)


def _bend(values: Array) -> Array:
    """Return the largest fourth difference over entries of five points (5, S, N, d)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.asarray(_tame(np.tensordot(FOURTH, values, 1)).max((-2, -1)))


def _tame(difference: Array) -> Array:
    """Absolute values, 0 where they are not finite."""
    size = np.abs(difference)
    return np.where(np.isfinite(size), size, 0.0)


def _halved(subject: Subject, x: Array, values: Array) -> tuple[Array, Array]:
    """Keep of each segment, (5, S, N, d), the half in which f bends most: left, middle or right."""
    inner = (x[:-1] + x[1:]) / 2
    x, values = _woven(x, inner), _woven(values, _stacked(subject, inner))
    size = len(FOURTH)
    bends = np.stack([_bend(values[k : k + size]) for k in (0, 2, 4)])
    rows = 2 * bends.argmax(0) + np.arange(size)[:, None]  # (5, S)
    columns = np.arange(x.shape[1])
    return x[rows, columns], values[rows, columns]


def _woven(outer: Array, inner: Array) -> Array:
    """Five points and the four between them, in order."""
    both = np.empty((len(outer) + len(inner), *outer.shape[1:]))
    both[::2], both[1::2] = outer, inner
    return both


def _around(subject: Subject, x: Array, values: Array, p: float) -> Array:
    """Norm of f's oscillation on segments, (5, S, N, d), made as long as BEFORE, shape (S,)."""
    way = (x[-1] - x[0]) / np.maximum(_length(x), 1e-300)[:, None, None]
    share = np.linspace(-0.5, 0.5, AROUND)[:, None, None, None]
    wide = np.clip(x[len(x) // 2] + share * BEFORE * way, 0.0, 1.0)
    seen = np.concatenate([values, _stacked(subject, wide)])
    seen = np.where(np.isfinite(seen), seen, values[:1])
    with np.errstate(invalid="ignore", over="ignore"):
        return _norms(_tame(seen.max(0) - seen.min(0)), p)


def _stacked(subject: Subject, x: Array) -> Array:
    """Values on an array (k, S, N, d) of inputs."""
    if not x.size:
        return np.zeros(x.shape)
    return subject(x.reshape(-1, *x.shape[2:])).reshape(x.shape)


def _length(x: Array) -> Array:
    """Frobenius length of segments (5, S, N, d)."""
    return np.asarray(np.sqrt(((x[-1] - x[0]) ** 2).sum((1, 2))))


def _spread(values: Array, p: float) -> Array:
    """Largest p-norm of the change between two of five points (5, S, N, d), shape (S,)."""
    return np.asarray(_gaps(values, p).max(0))


def _gaps(values: Array, p: float) -> Array:
    """p-norms of the changes between every two of five points, shape (10, S)."""
    with np.errstate(invalid="ignore", over="ignore"):
        return _norms(_tame(values[PAIRS[0]] - values[PAIRS[1]]), p)


def _norms(sizes: Array, p: float) -> Array:
    """Entrywise p-norms of absolute values (..., N, d)."""
    return np.asarray(p_norm(sizes, p, axis=(-2, -1)))


def _record(changes: Array, length: Array, spread: Array) -> None:
    """Raise, in place, the changes at every radius that some segment does not exceed."""
    for k, radius in enumerate(RADII):
        within = length <= radius
        if within.any():
            changes[k] = max(changes[k], float(spread[within].max()))
