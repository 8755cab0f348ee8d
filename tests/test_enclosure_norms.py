"""L^p errors enclosed at any exponent and scale: powers are of numbers near 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
from mpmath import mp, mpf

from looprate.theory.enclosure import Interval, error_integral, error_norm
from looprate.theory.enclosure.norms import interval_norm

EXPONENTS = [1.0, 2.0, 2.5, 40.0, 400.0, 5000.0]
BOX = np.zeros((1, 2, 1)), np.ones((1, 2, 1))  # two tokens


def by_hand(answer, p, scale):
    """(2 ∫ |scale (x - answer)|^p)^{1/p} over [0, 1]."""
    with mp.workdps(40):
        a, q = mpf(answer), mpf(p) + 1
        return mpf(scale) * (2 * (a**q + (1 - a) ** q) / q) ** (1 / mpf(p))


def of_line(answer, p, scale):
    return error_norm(
        lambda x: scale * x, *BOX, np.full(BOX[0].shape, answer * scale), p=p, boxes=20_000
    )


@pytest.mark.parametrize("answer", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("scale", [2.0**-700, 1.0, 2.0**700])
@pytest.mark.parametrize("p", EXPONENTS)
def test_the_error_of_a_line_is_enclosed_closely(p, scale, answer):  # R1
    found, wanted = of_line(answer, p, scale), by_hand(answer, p, scale)
    assert found.lower <= wanted <= found.upper
    assert found.upper - found.lower <= 0.01 * found.upper
    wrong = by_hand(answer + 0.02, p, scale)  # the check can fail
    assert p < 3 or not found.lower <= wrong <= found.upper


def test_unscaled_powers_would_say_nothing():  # R1: the scale is what makes it close
    plain = error_integral(lambda x: x, *BOX, np.full(BOX[0].shape, 0.5), p=5000.0, boxes=2000)
    assert plain.lower == 0


@pytest.mark.parametrize("p", [*EXPONENTS, 1e6, math.inf])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e300])
def test_norms_of_intervals_contain_those_of_their_ends(p, scale):  # R1
    low, high = np.array([0.3, 0.0, 0.29]) * scale, np.array([0.3, 0.1, 0.31]) * scale
    found = interval_norm(Interval(low, high), p)
    with mp.workdps(60):
        tiny = mpf(10) ** -40  # of the sixty digits of the norm
        for ends in (low, high):
            exact = [mpf(float(v)) for v in ends]
            norm = max(exact) if math.isinf(p) else sum(v**p for v in exact) ** (1 / mpf(p))
            assert mpf(float(found.lo)) * (1 - tiny) <= norm <= mpf(float(found.hi)) * (1 + tiny)
    assert found.hi <= found.lo * 1.25
