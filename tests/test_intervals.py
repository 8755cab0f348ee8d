"""Intervals and jets: every operation contains the exact result, held against mpmath."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from looprate.theory.enclosure import Interval, Jet, rounding, variables
from looprate.theory.enclosure.intervals import rational_power

DIGITS = 60
TIGHT = 40  # ulp: how wide the result of one operation on a point may be
NASTY = np.array(
    [0.0, 5e-324, -5e-324, 1e-310, 2.2250738585072014e-308, 1.0, -1.0, 1 + 2**-52, 1 - 2**-53]
    + [k * math.pi / 2 for k in (-7, -2, -1, 1, 2, 3, 4, 9, 1000, 123457)]
    + [1e-8, -1e-8, 0.1, -0.3, 1e5, -1e5, 999999.5, 2.0**-30, 700.0, -745.0, 1e150, -1e200]
)
RNG = np.random.default_rng(0)
POINTS = np.concatenate([NASTY, RNG.standard_normal(150) * 10.0 ** RNG.integers(-12, 6, 150)])
PARTNERS = RNG.permutation(POINTS)


def exact(x):
    return Fraction(float(x))


def ends(interval):
    return list(zip(interval.lo.ravel().tolist(), interval.hi.ravel().tolist(), strict=True))


def holds(interval, values):
    """Whether every exact value (a Fraction or an mpf) lies in its interval."""
    return all(
        lo <= value <= hi if isinstance(value, mpmath.mpf) else _between(lo, value, hi)
        for (lo, hi), value in zip(ends(interval), values, strict=True)
    )


def _between(lo, value, hi):
    return (lo == -math.inf or Fraction(lo) <= value) and (hi == math.inf or value <= Fraction(hi))


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_arithmetic_contains_the_exact_result(name):
    other = np.where(PARTNERS == 0, 3.0, PARTNERS) if name == "divide" else PARTNERS
    found = getattr(np, name)(Interval(POINTS), Interval(other))
    operation = {
        "add": lambda a, b: a + b,
        "subtract": lambda a, b: a - b,
        "multiply": lambda a, b: a * b,
        "divide": lambda a, b: a / b,
    }[name]
    values = [operation(exact(a), exact(b)) for a, b in zip(POINTS, other, strict=True)]
    assert holds(found, values)
    middle = np.abs(found.lo / 2 + found.hi / 2)
    small = np.isfinite(found.hi) & np.isfinite(found.lo) & (middle < 1e300)
    assert (found.width[small] <= TIGHT * (middle[small] * 2.0**-52 + 5e-324)).all()


@pytest.mark.parametrize("name", ["sin", "cos", "exp", "tanh", "sqrt"])
def test_functions_contain_the_exact_result_at_points_and_at_the_ends(name):
    points = np.abs(POINTS) if name == "sqrt" else POINTS
    points = points[points < 700] if name == "exp" else points
    found = getattr(np, name)(Interval(points))
    wide = getattr(np, name)(Interval(points, points + np.abs(points) * 0.3 + 0.1))
    with mpmath.workdps(DIGITS):
        function = getattr(mpmath, name)
        values = [function(mpmath.mpf(float(x))) for x in points]
        assert holds(found, values)
        assert holds(wide, values)
        for share in (0.37, 0.99):
            inner = points + (np.abs(points) * 0.3 + 0.1) * share
            inner = inner[inner < 700] if name == "exp" else inner
            if len(inner) == len(points):
                assert holds(wide, [function(mpmath.mpf(float(x))) for x in inner])


def test_sine_and_cosine_include_extrema_that_touch_the_ends():
    for k in range(-9, 10):
        x = k * math.pi / 2
        for gap in (0.0, 2.0**-52, -(2.0**-52), 1e-9):
            box = Interval(min(x + gap, x + 1e-3), x + 1e-3)
            with mpmath.workdps(DIGITS):
                for name in ("sin", "cos"):
                    function = getattr(mpmath, name)
                    inside = [mpmath.mpf(float(v)) for v in np.linspace(box.lo, box.hi, 7)]
                    inside += [e for e in (mpmath.pi / 2 * k,) if box.lo <= e <= box.hi]
                    found = getattr(np, name)(box)
                    assert all(found.lo <= function(v) <= found.hi for v in inside)


def test_sine_is_sharp_between_extrema_and_full_across_a_period():
    sharp = np.sin(Interval([0.1, 2.0], [0.2, 3.0]))
    np.testing.assert_allclose(sharp.lo, np.sin([0.1, 3.0]), atol=1e-14)
    np.testing.assert_allclose(sharp.hi, np.sin([0.2, 2.0]), atol=1e-14)
    full = np.cos(Interval([0.0, 1e17], [6.3, 1e17]))
    assert (full.lo == -1).all()
    assert (full.hi == 1).all()


@pytest.mark.parametrize("exponent", [0.3, 0.5, 1.0, 1.3, 2.0, 2.5, 3.0, 4.0, 7.0, -1.0, -0.5])
def test_powers_contain_the_exact_result(exponent):
    base = np.abs(POINTS)
    base = base[(base < 1e30) & (base > 1e-30)]
    whole = exponent.is_integer()
    base = np.concatenate([base, -base]) if whole else base
    with mpmath.workdps(DIGITS):
        values = [mpmath.power(mpmath.mpf(float(b)), mpmath.mpf(exponent)) for b in base]
        assert holds(Interval(base) ** exponent, values)
        narrow = Interval(base - np.abs(base) * 0.1, base + np.abs(base) * 0.1)
        assert holds(narrow**exponent, values)
        thirds = rational_power(Interval(np.abs(base)), Fraction(1, 3))
        assert holds(thirds, [mpmath.cbrt(abs(mpmath.mpf(float(b)))) for b in base])


def test_even_powers_and_sizes_of_intervals_across_zero_start_at_zero():
    box = Interval([-2.0], [1.0])
    assert ends(box**2)[0][0] == 0
    assert ends(abs(box)) == [(0.0, 2.0)]
    assert ends(box**3)[0] == pytest.approx((-8.0, 1.0))
    with pytest.raises(ValueError, match="must reach 0"):
        Interval(-1.0) ** 0.5


def test_sums_and_products_of_matrices_contain_the_exact_result():
    rng = np.random.default_rng(1)
    for terms in (3, 40):  # term by term, and by midpoints
        a, b = rng.standard_normal((5, terms)) * 1e8, rng.standard_normal((terms, 2))
        a[:, 0], b[0] = -(a[:, 1:] @ b[1:])[:, 0] / 7.0, 7.0  # cancels
        truth = [
            sum(exact(a[i, k]) * exact(b[k, j]) for k in range(terms))
            for i in range(5)
            for j in range(2)
        ]
        for factor in (Interval(b), b):
            assert holds(Interval(a) @ factor, truth)
        wide = Interval(a - 0.5, a + 0.25)
        assert holds(wide @ b, truth)
        assert (wide @ b).contains(Interval(a) @ b).all()
        assert holds(Interval(a).sum(1), [sum(map(exact, row)) for row in a])
        mean = Interval(a).mean(1, keepdims=True)
        assert holds(mean, [sum(map(exact, row)) / terms for row in a])
    assert (np.ones((2, 3)) @ Interval(np.ones((3, 2)))).contains(np.full((2, 2), 3.0)).all()


def test_random_sets_are_mapped_into_the_result():
    rng = np.random.default_rng(2)
    low = rng.standard_normal((2, 4000)) * 10.0 ** rng.integers(-3, 3, (2, 4000))
    high = low + rng.random((2, 4000)) ** 4
    inside = low + (high - low) * rng.random((200, 2, 4000))
    inside = np.clip(inside, low, high)
    (a, b), (x, y) = (Interval(low[k], high[k]) for k in (0, 1)), inside.swapaxes(0, 1)
    slack = 1e-12
    for found, seen in [
        (a * b, x * y),
        (a - b, x - y),
        (abs(a), np.abs(x)),
        (a**2, x**2),
        (np.maximum(a, b), np.maximum(x, y)),
        (np.minimum(a, b), np.minimum(x, y)),
        (np.sin(a), np.sin(x)),
        (np.clip(a, -0.5, 0.5), np.clip(x, -0.5, 0.5)),
    ]:
        size = slack * (1 + np.abs(seen))
        assert (seen >= found.lo - size).all()
        assert (seen <= found.hi + size).all()


def test_unbounded_results_are_the_whole_line():
    assert ends(1.0 / Interval([-1.0], [2.0])) == [(-math.inf, math.inf)]
    huge = Interval([1e308]) * 10.0
    assert huge.hi == math.inf
    assert 1e308 < huge.lo < math.inf
    whole = Interval(-math.inf, math.inf)
    assert ends(whole * 0.0) == [(0.0, 0.0)]
    assert ends(whole * Interval(0.0, 1.0)) == [(-math.inf, math.inf)]
    assert ends(np.exp(Interval(-1e4, 1e4))) == [(0.0, math.inf)]


def wrongly_rounded(name):
    """Whether an operation of random numbers misses its exact result, or turns ends around."""
    a, b = np.random.default_rng(4).standard_normal((2, 200))
    operation = {"add": Fraction.__add__, "multiply": Fraction.__mul__}[name]
    truth = [operation(exact(x), exact(y)) for x, y in zip(a, b, strict=True)]
    try:
        return not holds(getattr(np, name)(Interval(a), Interval(b)), truth)
    except ValueError:
        return True


@pytest.mark.parametrize("name", ["add", "multiply"])
def test_rounding_to_nearest_or_inwards_is_caught(monkeypatch, name):
    assert not wrongly_rounded(name)
    for ulps in (0.0, -1.0):
        shift = ulps * 2.0**-52
        for down, up in (("down", "up"), ("down_sum", "up_sum")):
            monkeypatch.setattr(rounding, down, lambda x, shift=shift: x - shift * np.abs(x))
            monkeypatch.setattr(rounding, up, lambda x, shift=shift: x + shift * np.abs(x))
        assert wrongly_rounded(name)


def test_functions_without_slack_are_caught(monkeypatch):
    monkeypatch.setattr(rounding, "FUNCTION_SLACK", 0.0)
    monkeypatch.setattr(rounding, "down", lambda x: x)
    monkeypatch.setattr(rounding, "up", lambda x: x)
    for name in ("sin", "exp"):
        with pytest.raises(AssertionError):
            test_functions_contain_the_exact_result_at_points_and_at_the_ends(name)


def formula(x):
    """Every operation, written as a user would with NumPy."""
    mean = x.mean(1, keepdims=True)
    bent = np.abs(x - 0.4) ** 1.5 + np.maximum(x, mean) - 0.3 * np.minimum(x, 0.6)
    wave = np.sin(7 * x) * np.cos(3 * mean) + np.tanh(2 * x) / (1 + x**2)
    pairs = np.matmul(np.swapaxes(x, 1, 2), x)
    return bent + wave + x @ (np.exp(-pairs) / np.sqrt(2 + pairs)) - np.max(x, 1, keepdims=True)


def test_slopes_explain_every_difference_of_values():
    rng = np.random.default_rng(3)
    low = rng.random((60, 3, 2)) * 0.7
    high = low + 0.3 * rng.random((60, 1, 1))
    jet = formula(variables(Interval(low, high)))
    x, y = (low + (high - low) * rng.random((300, 60, 3, 2)) for _ in range(2))
    step = np.moveaxis((x - y).reshape(300, 60, 6), 2, 1)[:, :, :, None, None]
    reach = (Interval(step) * jet.slope).sum(1)
    moved = np.stack([formula(a) - formula(b) for a, b in zip(x, y, strict=True)])
    assert (moved >= reach.lo - 1e-12).all()
    assert (moved <= reach.hi + 1e-12).all()
    single = formula(variables(Interval(low)))
    eye = 1e-6 * np.eye(6).reshape(6, 1, 3, 2)
    numeric = np.stack([(formula(low + e) - formula(low - e)) / 2e-6 for e in eye])
    assert np.abs(single.slope.middle() - numeric).max() < 1e-5
    assert single.slope.width.max() < 1e-11


def test_slopes_at_a_cusp_are_unbounded_and_at_a_corner_a_hull():
    x = variables(Interval([[[0.25]]], [[[0.75]]]))
    assert ends((np.abs(x - 0.5) ** 0.3).slope) == [(-math.inf, math.inf)]
    for corner, hull in ((0.5, (-1.0, 1.0)), (0.75, (-1.0, -1.0)), (0.25, (1.0, 1.0))):
        assert ends(np.abs(x - corner).slope)[0] == pytest.approx(hull, abs=1e-15)
    pair = variables(Interval([[[0.0], [0.4]]], [[[0.5], [0.9]]]))
    assert ends(np.amax(pair, 1).slope) == [(0.0, 1.0), (0.0, 1.0)]
    apart = variables(Interval([[[0.0], [0.6]]], [[[0.5], [0.9]]]))
    assert ends(np.amax(apart, 1).slope) == [(0.0, 0.0), (1.0, 1.0)]


@pytest.mark.parametrize("make", [lambda: Interval([0.0], [1.0]), lambda: _jet()])
def test_what_cannot_be_followed_is_refused(make):
    x = make()
    for attempt in (
        lambda: x > 0.5,
        lambda: x == 0.5,
        lambda: bool(x),
        lambda: float(x),
        lambda: np.asarray(x),
        lambda: np.floor(x),
        lambda: np.where(x, 1.0, 0.0),
        lambda: np.add(x, 1.0, dtype=np.float32),
        lambda: (-2.0) ** x,
        lambda: x["name"],
        lambda: x + "text",
    ):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(TypeError, match=r"numpy\.floor"):
        np.floor(x)


def _jet():
    return Jet(Interval([0.0], [1.0]), Interval([[1.0]]))


def test_wrong_ends_are_refused():
    with pytest.raises(ValueError, match="must be at most"):
        Interval([1.0], [0.5])
    with pytest.raises(ValueError, match="NaN"):
        Interval([math.nan])
    with pytest.raises(ValueError, match="equal shapes"):
        Interval([1.0], [[2.0]])
    with pytest.raises(ValueError, match="float64"):
        Interval(np.array([2**60 + 1]))
    with pytest.raises(TypeError, match="real numbers"):
        Interval([1j])
    with pytest.raises(ValueError, match="must have shape"):
        Jet(Interval([1.0]), Interval([1.0]))
