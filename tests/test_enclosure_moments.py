"""Absolute moments of affine functions on boxes: exact ones inside, every bound as documented."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from cases.exact_intervals import BITS
from looprate.theory.enclosure import Interval
from looprate.theory.enclosure.moments import _even_power, _signed_power, absolute_moments
from looprate.theory.enclosure.rounding import EPS

REACH = {
    1.0: 1,
    1.5: 64,
    3.0: 64,
    4.5: 1000,
    5.5: 1000,
}  # |α| / s up to which the closed form is used
STEEPER = {
    1.0: 14.0,
    1.5: 9.0,
    3.0: 2.5,
    4.0: 0.5,
    6.0: 0.6,
}  # what intervals of ends lose in the closed form
P_VALUES = (1.0, 1.3, 2.0, 2.7, 3.0, 4.0, 5.0, 5.5)


def expanded(alpha, parts, p):
    """E|α + Σ u_k|^p by all corners; parts of 0 are left out."""
    parts = [a for a in parts if a]
    q, total = p + len(parts), mpmath.mpf(0)
    for signs in itertools.product((1, -1), repeat=len(parts)):
        x = alpha + sum(s * a for s, a in zip(signs, parts, strict=True))
        term = abs(x) ** q * math.prod(signs)
        total += term * (mpmath.sign(x) if len(parts) % 2 else 1)
    for k, a in enumerate(parts):
        total /= 2 * a * (p + k + 1)
    return total


def documented(alpha, parts, p):
    """The best of the bounds at the top of the module, without rounding."""
    s, v = sum(parts), sum(a * a for a in parts) / 3
    second = alpha**2 + v
    fourth = alpha**4 + 6 * alpha**2 * v + 3 * v**2 - 2 * sum(a**4 for a in parts) / 15
    plain = second ** (p / 2)
    if p in (2, 4):
        return (plain, plain) if p == 2 else (fourth, fourth)
    lower, upper = [alpha**p], [((alpha + s) ** p + abs(alpha - s) ** p) / 2]
    if p <= 4:
        mixed = second ** ((4 - p) / 2) * fourth ** ((p - 2) / 2)
        lower.append(mixed if p < 2 else plain)
        upper.append(plain if p < 2 else mixed)
    else:
        lower.append(plain)
    order = sorted(parts, reverse=True)
    main = [a for a in order[:4] if a > s / 100]
    if main and alpha < (1 if p == 1 else 64 if p < 4 else 1000) * s:
        rest = sum(order[len(main) :])
        lower.append(expanded(alpha, main, p))
        upper.append((expanded(alpha + rest, main, p) + expanded(alpha - rest, main, p)) / 2)
    return max(lower), min(upper)


def cases(count, tokens, seed):
    """Random |α| and parts: equal ones, some small, some 0."""
    rng = np.random.default_rng(seed)
    parts = rng.random((tokens, count)) ** rng.choice([1, 4], (tokens, count))
    parts[rng.random(parts.shape) < 0.1] = 0.0
    alpha = rng.uniform(0, 3, count) * parts.sum(0) * (rng.random(count) < 0.9)
    return alpha, parts


@pytest.mark.parametrize("p", P_VALUES)
@pytest.mark.parametrize("tokens", [1, 3, 6])
def test_moments_hold_the_exact_ones_and_are_the_bounds_of_the_docstring(tokens, p):
    alpha, parts = cases(12, tokens, 1)
    found = absolute_moments(Interval(alpha), Interval(parts), p)
    with mpmath.workprec(BITS):
        exponent = mpmath.mpf(p)
        for k in range(len(alpha)):
            numbers = mpmath.mpf(alpha[k]), [mpmath.mpf(a) for a in parts[:, k]]
            lo, hi = mpmath.mpf(found.lo[k]), mpmath.mpf(found.hi[k])
            exact, tiny = expanded(*numbers, exponent), hi / mpmath.mpf(10) ** 60
            assert lo - tiny <= exact <= hi + tiny
            low, high = documented(*numbers, exponent)
            room = (high + sum(numbers[1]) ** exponent) * mpmath.mpf(10) ** -9
            assert low - room <= lo <= low
            assert high <= hi <= high + room


def near(p, share, parts):
    """The relative width of the moments at |α| = share · s."""
    found = absolute_moments(Interval([share * sum(parts)]), Interval(np.c_[parts]), p)
    with mpmath.workprec(BITS):
        numbers = mpmath.mpf(share * sum(parts)), [mpmath.mpf(a) for a in parts]
        assert found.lo[0] <= expanded(*numbers, mpmath.mpf(p)) <= found.hi[0]
    return (found.width / found.hi)[0]


@pytest.mark.parametrize("p", REACH)
def test_the_closed_form_is_used_up_to_a_multiple_of_the_parts(p):
    assert near(p, REACH[p] - 0.01, [1.0]) < 1e-9
    if p == 1:  # beyond: the size of α itself
        assert near(p, 1.0, [1.0]) == near(p, 1.01, [1.0]) == 0
        return
    beyond = near(p, float(REACH[p]), [1.0])
    least, most = (1e-10, 1e-3) if p < 4 else (1e-7, 1e-4)
    assert least < beyond < most


def test_parts_down_to_a_hundredth_of_all_are_integrated_the_others_replaced():
    """Four at the most: where all others are 0 the closed form is exact, and tight."""
    for p in (1.0, 3.0, 5.5):
        assert near(p, 0.5, [1.0, 0.5, 0.25, 0.25]) < 1e-9
        assert near(p, 0.5, [1.0, 0.5, 0.25, 0.25, 0.25]) > 1e-5
        assert near(p, 0.5, [0.985, 0.0151]) < 1e-9
        assert near(p, 0.5, [0.0151, 0.985]) < 1e-9
        assert near(p, 0.5, [0.992, 0.008]) > 1e-7
        assert near(p, 0.5, [0.01, 0.99]) > 1e-7


def test_intervals_hold_the_moments_of_their_ends_and_little_more():
    rng, step = np.random.default_rng(2), 1e-6
    alpha, parts = rng.random(30) * 2, 0.5 + rng.random((2, 30)) / 2
    wide = Interval(alpha, alpha + step), Interval(parts, parts + step)
    for p, most in STEEPER.items():
        found = absolute_moments(*wide, p)
        for a, b in ((0.0, 0.0), (step, step), rng.random(2) * step):
            at = absolute_moments(Interval(alpha + a), Interval(parts + b), p)
            assert (found.lo <= at.hi).all()
            assert (at.lo <= found.hi).all()
        points = absolute_moments(Interval(alpha), Interval(parts), p)
        steep = p * step * (alpha + parts.sum(0)) ** (p - 1)
        assert (found.width - points.width <= most * steep).all()


def test_moments_keep_the_shape_of_what_they_are_of():
    alpha, parts = cases(12, 2, 4)
    flat = absolute_moments(Interval(alpha), Interval(parts), 3.0)
    deep = absolute_moments(
        Interval(alpha.reshape(2, 3, 2)), Interval(parts.reshape(2, 2, 3, 2)), 3.0
    )
    assert np.array_equal(deep.lo, flat.lo.reshape(2, 3, 2))
    assert np.array_equal(deep.hi, flat.hi.reshape(2, 3, 2))
    nothing = absolute_moments(Interval([0.5, 0.0]), Interval(np.zeros((3, 2))), 3.0)
    assert nothing.contains([0.125, 0.0]).all()
    assert nothing.width.max() < 1e-15


def test_powers_with_and_without_sign_hold_the_exact_ones():
    x = np.random.default_rng(5).standard_normal(200)
    for exponent in (Fraction(5, 2), Fraction(13, 5)):
        for power, signed in ((_signed_power, True), (_even_power, False)):
            found = power(Interval(x), exponent)
            wide = power(Interval(x, x + 0.5), exponent)
            assert (found.width <= 64 * EPS * np.abs(x) ** float(exponent)).all()
            with mpmath.workprec(BITS):
                for k, value in enumerate(x):
                    at = [mpmath.mpf(v) for v in (value, value + 0.5)]
                    q = mpmath.mpf(exponent.numerator) / exponent.denominator
                    exact = [abs(v) ** q * (mpmath.sign(v) if signed else 1) for v in at]
                    assert found.lo[k] <= exact[0] <= found.hi[k]
                    assert wide.lo[k] <= min(exact)
                    assert max(exact) <= wide.hi[k]
                    least = 0 if not signed and at[0] < 0 < at[1] else min(exact)
                    assert wide.lo[k] >= least - 1e-13
                    assert wide.hi[k] <= max(exact) + 1e-13
