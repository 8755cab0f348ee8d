"""Affine forms of functions, maxima and symbols of parts, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cases.affine_boxes import CENTRE, HALF, HIGH, LOW, NEAR, inputs
from looprate.theory.enclosure import Interval, affine
from looprate.theory.enclosure.affine import SLACK, SMALL, Affine, affine_variables
from looprate.theory.enclosure.rounding import EPS

# -- functions -------------------------------------------------------------------------------------


def one(low, high):
    return affine_variables(Interval(*np.reshape([low, high], (2, 1, 1, 1)).astype(float)))


def line(found, half):
    """Value, slope and remainder of one form on one box."""
    return [x.item() for x in found.linear(np.full((1, 1), half))]


@pytest.mark.parametrize(
    ("function", "low", "high", "slope", "rest"),
    [
        (np.sin, 0.0, 6.0, (1 + math.cos(math.pi)) / 2, 3.0),  # slopes in [-1, 1]
        (np.cos, -3.0, 3.0, 0.0, 3.0),
        (lambda x: abs(x), -1.0, 1.0, 0.0, 0.5),
        (np.tanh, -4.0, 4.0, 0.5, 2.0),
        (lambda x: x**2, -1.0, 1.0, 0.0, 0.5),  # half the second derivative
        (lambda x: x**3, 0.0, 2.0, 3.0, 3.0),  # 6 u/2 in [0, 6], squares to 1
    ],
)
def test_functions_follow_the_tangent_or_the_middle_of_their_slopes(
    function, low, high, slope, rest
):
    value, steep, left = line(function(one(low, high)), (high - low) / 2)
    assert steep == pytest.approx(slope, abs=1e-3)
    assert left == pytest.approx(rest, rel=2e-3)
    x = np.linspace(low, high, 101)
    away = function(x) - value - steep * (x - (low + high) / 2)
    assert np.abs(away).max() <= left


def test_functions_of_a_point_are_known_to_rounding():
    for f in (np.exp, np.sqrt, np.sin, np.cos, np.tanh, np.log, lambda x: x**1.5, lambda x: 1 / x):
        found = f(one(0.75, 0.75))
        assert line(found, 1.0)[0] == pytest.approx(f(0.75), rel=1e-15)
        assert 0 < line(found, 1.0)[2] < 100 * EPS
        assert found.value.width.max() < 100 * EPS


def test_functions_use_the_range_where_it_is_narrower_than_the_form():
    """x - x keeps a wide form where its parts are unknown; the range of the first box counts."""
    x = one(0.25, 0.75)
    vague = Affine(x.symbols, x.box, x.centre, x.coef, x.rest + 5.0, x.value)
    found = np.exp(vague)
    assert found.value.lo.item() == pytest.approx(math.exp(0.25))
    assert found.value.hi.item() == pytest.approx(math.exp(0.75))
    bend = math.exp(0.75) * 0.25**2 / 4
    assert found.coef[1].item() == pytest.approx(bend, rel=1e-3)


def test_maxima_with_forms_and_at_their_edges():
    x = one(-1.0, 3.0)
    for other, low, high in ((x * -1.0, -0.5, 3.0), (x * 0.0 + 1.0, 1.0, 3.0), (x + 1.0, 0.0, 4.0)):
        found = np.maximum(x, other)
        assert found.value.lo.item() == pytest.approx(low, abs=1e-12)
        assert found.value.hi.item() == pytest.approx(high)
    for a, b in ((1.0, 3.0), (1.0, 1.0), (0.5, 0.25), (0.1, 0.9)):  # it leaves its line by rest
        found, rest = np.maximum(one(-a, b), 0.0), a * b / (2 * (a + b))
        slope = b / (a + b)
        assert line(found, (a + b) / 2) == pytest.approx([slope * (b - a) / 2 + rest, slope, rest])
        assert (found.value.lo.item(), found.value.hi.item()) == pytest.approx((0, b), abs=1e-9)
    for bound, steep in ((-1.0, 1.0), (3.0, 0.0)):  # touching at an end only
        value, slope, rest = line(np.maximum(x, bound), 2.0)
        assert slope == pytest.approx(steep, abs=1e-12)
        assert rest < 1e-13
        assert value == pytest.approx(1.0 if steep else 3.0)
    with np.errstate(invalid="raise", over="raise"):  # what is endless is seen, not said
        endless = np.maximum(1 / x, 0.0)
    assert endless.value.hi.item() == math.inf
    assert endless.value.lo.item() == 0
    half = Affine(
        x.symbols,
        x.box,
        x.centre,
        x.coef,
        x.rest + math.inf,
        Interval(*np.reshape([-1.0, math.inf], (2, 1, 1, 1))),
    )
    assert np.maximum(half, 0.0).value.lo.item() == 0
    assert np.maximum(half, 0.0).rest.item() == math.inf
    kinked = np.maximum(x * 0.0 + 0.1, x * 0.0)
    assert kinked.value.width.max() < 100 * EPS


def test_powers_signs_and_places():
    x = inputs()
    assert (x**1).coef.tolist() == x.coef.tolist()
    assert (x**1).rest.tolist() == x.rest.tolist()
    assert len((x**0).coef) == 0
    assert (x**0).value.middle().tolist() == np.ones(LOW.shape).tolist()
    assert (x**0).rest.max() < 20 * EPS
    minus = -x
    assert minus.centre.tolist() == (-CENTRE).tolist()
    assert minus.coef.tolist() == (-x.coef).tolist()
    assert minus.value.lo.tolist() == (-HIGH).tolist()
    assert minus.rest.tolist() == x.rest.tolist()
    nothing = x.zeros_like()
    assert nothing.shape == x.shape
    assert len(nothing.coef) == 0
    assert np.abs(nothing.value.hi).max() <= 2 * SMALL
    bent = x * x + 1.0
    for move in (
        lambda a: a.swapaxes(1, 2),
        lambda a: a.swapaxes(-1, 1),
        lambda a: a.reshape(2, 2),
        lambda a: a.reshape((2, 1, -1)),
        lambda a: a[:, ::-1],
        lambda a: a[:, 1],
    ):
        moved = move(bent)
        for name in ("centre", "rest", "radius", "size_of_terms", "box"):
            assert getattr(moved, name).tolist() == move(getattr(bent, name)).tolist()
        assert moved.value.lo.tolist() == move(bent.value.lo).tolist()
        rows = [move(row).tolist() for row in bent.coef]
        assert moved.coef.tolist() == rows
    with pytest.raises(TypeError, match="whole numbers and slices, or slices and one list"):
        x[[0], [0]]


# -- linear forms, and symbols of parts ------------------------------------------------------------


def test_linear_forms_have_gradients_and_all_other_symbols_in_the_rest():
    x = inputs()
    found = x * x + Interval(np.full(LOW.shape, -0.5), np.full(LOW.shape, 0.5))
    value, gradient, rest = found.linear(HALF.reshape(2, 2))
    assert value.tolist() == found.centre.tolist()
    for k in range(2):
        for n in range(2):
            wanted = 2 * CENTRE[:, n, 0] if n == k else np.zeros(2)
            assert gradient[k, :, n, 0] == pytest.approx(wanted, rel=1e-14, abs=1e-300)
    assert rest == pytest.approx(HALF**2 + 0.5, rel=1e-13)
    _, gradient, rest = x.linear(HALF.reshape(2, 2))
    assert gradient.shape == (2, 2, 2, 1)
    assert rest == pytest.approx(SLACK * x.radius, rel=NEAR, abs=0)
    _, gradient, rest = x.zeros_like().linear(HALF.reshape(2, 2))
    assert gradient.shape == (2, 2, 2, 1)
    assert not gradient.any()


def test_parts_computed_alone_come_after_all_other_symbols():
    x = inputs()
    alone = x.alone()
    assert (alone.symbols.inputs, alone.symbols.count) == (2, 2)
    assert alone.symbols is not x.symbols
    inner = alone * alone
    outer = x * 2.0 * x * x  # two products: 4 symbols
    assert (x.symbols.count, alone.symbols.count) == (6, 4)
    joined = inner.among(x)
    assert joined.symbols is x.symbols
    assert x.symbols.count == 8
    assert joined.coef[:2].tolist() == inner.coef[:2].tolist()
    assert not joined.coef[2:6].any()
    assert joined.coef[6:].tolist() == inner.coef[2:].tolist()
    assert joined.centre.tolist() == inner.centre.tolist()
    assert joined.rest.tolist() == inner.rest.tolist()
    assert len((joined + outer).coef) == 8
    few = x.alone().zeros_like().among(x)
    assert x.symbols.count == 8
    assert len(few.coef) == 8


def test_condensed_forms_keep_the_largest_symbols_and_sum_up_the_others():
    x = affine_variables(Interval(-np.ones((2, 1, 2)), np.ones((2, 1, 2)))).alone()
    sizes = np.array([4.0, 0.5, 2.0, 0.25])
    coef = np.zeros((2 + len(sizes), 2, 1, 2))
    coef[:2] = x.coef
    coef[2:, 0] = sizes[:, None, None] * [1.0, 0.5]
    coef[2:, 1] = sizes[::-1, None, None]
    rest = np.full((2, 1, 2), 0.125)
    x.symbols.count = 6
    form = Affine(x.symbols, x.box, x.centre, coef, rest)
    for most in (4, 5, 9, 2, 1):  # few enough, or no room beside one symbol an entry
        assert form.condensed(most) is form
    short = form.condensed(3)
    assert len(short.coef) == 2 + 3
    assert short.coef[:2].tolist() == x.coef.tolist()
    assert short.coef[2, 0, 0].tolist() == [4.0, 2.0]
    assert short.coef[2, 1, 0].tolist() == [4.0, 4.0]
    left = np.array([[[2.75 + 0.125, 1.375 + 0.125]], [[2.75 + 0.125] * 2]])
    assert short.coef[3:].sum(0) == pytest.approx(left, rel=1e-13)
    assert (short.coef[3:].sum(0) >= left).all()
    assert (np.count_nonzero(short.coef[3:], axis=0) == 1).all()
    assert short.rest.max() == 0
    assert short.symbols.count == 5
    assert short.value.hi == pytest.approx(form.value.hi)
    assert short.value.lo == pytest.approx(form.value.lo)


def test_what_is_missed_without_bound_goes_to_the_rest():
    x = inputs()
    missed = np.array([[[0.5], [math.inf]], [[0.0], [math.nan]]])
    before = x.symbols.count
    found = x._with(missed)
    assert found.symbols.count == before + 1
    assert found.coef[2].ravel().tolist() == [0.5, 0, 0, 0]
    assert found.rest.ravel().tolist() == [0, math.inf, 0, math.inf]
    assert found.value.hi.ravel() == pytest.approx([1.25, math.inf, 0.5, math.inf])
    assert found.value.lo.ravel() == pytest.approx([-0.25, -math.inf, -0.5, -math.inf])
    assert found.size_of_terms.ravel()[[0, 2]] == pytest.approx([0.75, 0.5], rel=1e-13)
    assert found.size_of_terms.ravel()[0] > 0.75
    assert x._with(np.zeros(())).symbols.count == before + 1  # nothing missed, nothing made


def test_numbers_are_points_or_middles_with_a_radius():
    x = inputs()
    middle, rest = affine._number(Interval([1.0, -2.0]))
    assert (middle.tolist(), rest.tolist()) == ([1, -2], [0, 0])
    middle, rest = affine._number(Interval([1.0, -2.0], [2.0, 4.0]))
    assert middle.tolist() == [1.5, 1]
    assert rest == pytest.approx([0.5, 3])
    assert (rest >= [0.5, 3]).all()
    centre, rest = affine._number(x)
    assert centre is x.centre
    assert rest is x.rest
