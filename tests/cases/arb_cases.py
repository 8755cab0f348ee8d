"""Exact values of operations from Arb (python-flint), and how many lie outside our intervals.

An Arb ball holds the exact value by Arb's own proof, so a ball inside an interval proves that the
interval contains the exact value: no allowance for rounding enters.  Floats become balls exactly.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from flint import arb, ctx

from looprate.theory.enclosure import Interval, functions
from looprate.theory.enclosure.intervals import rational_power
from looprate.theory.enclosure.rounding import LARGEST_ANGLE

__all__ = [
    "BINARY",
    "BITS",
    "UNARY",
    "Case",
    "cases",
    "extrema",
    "outside",
    "partners",
    "points",
    "stretched",
    "truths",
]

BITS = 300
MANY_BITS = 2400  # tell cos 5e-324 and tanh 700 from 1


class Operation(NamedTuple):
    """One operation on intervals and on Arb balls, and the map of any float into its domain."""

    ours: Callable[..., Interval]
    theirs: Callable[..., arb]
    domain: Callable[[np.ndarray], np.ndarray] = lambda x: x
    sharp: int = 4  # ulp of the result that its interval may be wide at a point
    turns: Callable[[float, float], list[float]] = lambda lo, hi: []  # values at extrema inside
    bits: int = BITS


class Case(NamedTuple):
    """Intervals computed anew at every call, and the exact values that must lie in them."""

    name: str
    found: Callable[[], Interval]
    balls: list[arb]


def _zero_inside(lo, hi):
    """The least value of an even function, if taken inside."""
    return [0.0] if lo < 0 < hi else []


def _crest(slope):
    """The extremum of sin or cos inside a box shorter than half a turn, told by its slope."""

    def values(lo, hi):
        left, right = slope(arb(lo)), slope(arb(hi))
        return [1.0] if left > 0 > right else [-1.0] if left < 0 < right else []

    return values


def _power(exponent, sharp=24):
    """A power; whole exponents take every base."""
    whole = float(exponent).is_integer()
    low, high = (1e-30, 1e30) if abs(exponent) > 1 or exponent < 0 else (0.0, math.inf)

    def domain(x):
        return np.copysign(np.clip(np.abs(x), low, high), x if whole else 1.0)

    even = whole and exponent % 2 == 0
    return Operation(
        lambda x: x.power(exponent),
        (lambda b: b ** int(exponent)) if whole else (lambda b: b ** arb(exponent)),
        domain,
        sharp,
        _zero_inside if even else lambda lo, hi: [],
    )


UNARY = {
    "negative": Operation(lambda x: -x, lambda b: -b, sharp=0),
    "absolute": Operation(abs, abs, sharp=0, turns=_zero_inside),
    "square": Operation(lambda x: x.power(2.0), lambda b: b * b, turns=_zero_inside),
    "sqrt": Operation(Interval.sqrt, arb.sqrt, np.abs),
    "exp": Operation(Interval.exp, arb.exp, lambda x: np.clip(x, -750, 709), 24),
    "log": Operation(
        Interval.log, arb.log, lambda x: np.maximum(np.abs(x), 5e-324), 24, bits=MANY_BITS
    ),
    "tanh": Operation(Interval.tanh, arb.tanh, lambda x: np.clip(x, -700, 700), 24, bits=MANY_BITS),
    "arctan": Operation(functions.arctan, arb.atan, sharp=24),
    "erf": Operation(functions.erf, arb.erf, lambda x: np.clip(x, -30, 30), 32, bits=MANY_BITS),
    "softplus": Operation(
        functions.softplus, lambda b: b.exp().log1p(), lambda x: np.clip(x, -700, 700), 24
    ),
    "sin": Operation(Interval.sin, arb.sin, sharp=12, turns=_crest(arb.cos)),
    "cos": Operation(
        Interval.cos, arb.cos, sharp=12, turns=_crest(lambda b: -b.sin()), bits=MANY_BITS
    ),
    **{f"power {q}": _power(q) for q in (0.3, 0.5, 1.3, 2.5, 3.0, 4.0, 7.0)},
    **{f"power {q}": _power(q, sharp=32) for q in (-1.0, -0.5)},
    "cube root": Operation(
        lambda x: rational_power(x, Fraction(1, 3)), lambda b: b.root(3), np.abs, sharp=1024
    ),  # its exponent is known to one ulp, which counts |log x| times
}
BINARY = {
    "add": Operation(Interval.plus, lambda a, b: a + b),
    "subtract": Operation(lambda x, y: x - y, lambda a, b: a - b),
    "multiply": Operation(Interval.times, lambda a, b: a * b),
    "divide": Operation(Interval.over, lambda a, b: a / b, lambda y: np.where(y == 0, 3.0, y)),
    "maximum": Operation(Interval.maximum, arb.max, sharp=0),
    "minimum": Operation(Interval.minimum, arb.min, sharp=0),
}


def outside(found, balls):
    """Count the exact values that are not proven to lie in their intervals."""
    ends = zip(found.lo.ravel().tolist(), found.hi.ravel().tolist(), strict=True)
    pairs = zip(ends, balls, strict=True)
    return sum(not (arb(lo) <= ball and ball <= arb(hi)) for (lo, hi), ball in pairs)


def truths(function, *points, bits=BITS):
    """Return the balls of a function at floats."""
    with ctx.workprec(bits):
        rows = zip(*(np.ravel(x).tolist() for x in points), strict=True)
        return [function(*(arb(v) for v in row)) for row in rows]


@functools.cache
def points():
    """Floats of all sizes and signs: subnormal, huge, next to extrema and zeros of sin and cos."""
    rng = np.random.default_rng(0)
    turns = np.array([1, 2, 3, 4, 9, 1000, 123457, 636619]) * (math.pi / 2)
    near = np.concatenate([turns, np.nextafter(turns, 0), np.nextafter(turns, np.inf)])
    plain = [0.0, 5e-324, 1.5e-323, 1e-310, 2.0**-1022, 1e-200, 1e-8, 0.1, 0.5, 1 - 2**-53, 1.0]
    plain += [1 + 2**-52, 700.0, 745.1, 999999.5, 1e6, 1e17, 1e150, 1e300]
    spread = np.exp(rng.uniform(-30, 14, 120)) * (1 + rng.random(120))
    sizes = np.concatenate([plain, near, spread])
    return np.concatenate([sizes, -sizes])


@functools.cache
def partners():
    """The points in another order."""
    return np.random.default_rng(1).permutation(points())


def stretched(x, share):
    """Return where a box that starts at x and has a relative side of ``share`` ends."""
    return np.maximum(x, x + np.abs(x) * share)


@functools.cache
def cases():
    """Every operation at points, on boxes, summed and contracted, with its exact values."""
    return (*_point_cases(), *_box_cases(), *_sum_cases())


def _point_cases():
    """Single operations at points."""
    for name, op in UNARY.items():
        x = op.domain(points())
        yield Case(
            name, lambda op=op, x=x: op.ours(Interval(x)), truths(op.theirs, x, bits=op.bits)
        )
    for name, op in BINARY.items():
        x, y = points(), op.domain(partners())
        balls = truths(op.theirs, x, y)
        yield Case(name, lambda op=op, x=x, y=y: op.ours(Interval(x), Interval(y)), balls)


def _box_cases():
    """Single operations on boxes, at both ends and inside."""
    for (name, op), share in itertools.product(UNARY.items(), (2.0**-50, 1e-6, 0.4)):
        x = op.domain(points())
        end = op.domain(stretched(x, share))
        x, end = np.minimum(x, end), np.maximum(x, end)
        for at in (x, end, np.clip(x + 0.37 * (end - x), x, end)):
            found = functools.partial(lambda op, x, end: op.ours(Interval(x, end)), op, x, end)
            yield Case(f"{name} on boxes", found, truths(op.theirs, at, bits=op.bits))
    x = points()[np.abs(points()) < 1e150]
    y = np.random.default_rng(2).permutation(x)
    y = np.where(y == 0, 3.0, y)
    ends = stretched(x, 0.4), stretched(y, 0.3)
    for (name, op), a, b in itertools.product(BINARY.items(), (x, ends[0]), (y, ends[1])):
        found = functools.partial(
            lambda op: op.ours(Interval(x, ends[0]), Interval(y, ends[1])), op
        )
        yield Case(f"{name} on boxes", found, truths(op.theirs, a, b))


def _sum_cases():
    """Sums and products of matrices that cancel, short ones and long ones."""
    rng = np.random.default_rng(3)
    for terms, name in ((3, "short product"), (40, "long product")):
        a, b = rng.standard_normal((20, terms)) * 1e8, rng.standard_normal((terms, 3))
        a[:, 0], b[0] = -(a[:, 1:] @ b[1:])[:, 0] / 7.0, 7.0  # cancels
        with ctx.workprec(BITS):
            balls = [
                sum((arb(u) * arb(v) for u, v in zip(row, column, strict=True)), arb(0))
                for row in a.tolist()
                for column in b.T.tolist()
            ]
            sums = [sum(map(arb, row), arb(0)) for row in a.tolist()]
        yield Case(name, lambda a=a, b=b: Interval(a) @ b, balls)
        yield Case("sum", lambda a=a: Interval(a).sum(1), sums)


@functools.cache
def extrema():
    """Return boxes (lo, hi, phase) with ends next to an angle of ``phase`` turns, up to 1e6."""
    rng, rows = np.random.default_rng(4), []
    with ctx.workprec(BITS):
        for phase, k in itertools.product(
            (0.0, 0.25, 0.5, 0.75), rng.integers(-159_154, 159_154, 200)
        ):
            angle = 2 * arb.pi() * (int(k) + arb(phase))
            near = float(angle.mid())
            below = near if arb(near) <= angle else np.nextafter(near, -np.inf)
            above = np.nextafter(below, np.inf)
            rows += [(below, below + 1.0, phase), (above - 1.0, above, phase)]
    array = np.array(rows)
    return array[(np.abs(array[:, :2]) <= LARGEST_ANGLE).all(1)]
