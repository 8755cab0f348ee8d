"""Slopes, curvatures and gains of every operation: the formulas of their modules, without rounding.

Arrays of intervals are drawn at random, wide and as points; what is found must hold the exact
interval of the documented formula and come within a few ulps of it.
"""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from cases.exact_intervals import BITS, Exact, misfit, numbers
from looprate.theory.enclosure import Interval, variables
from looprate.theory.enclosure.curved import Curved, curved_variables
from looprate.theory.enclosure.gains import Gain, grouped_variables
from looprate.theory.enclosure.jets import Jet

WAYS, PAIRS = 3, 6  # input directions, and their pairs i <= j
FIRST, SECOND = np.triu_indices(WAYS)
SHAPE = (2, 2, 4)
SHAPES = [(SHAPE, SHAPE), (SHAPE, (4,)), ((4,), SHAPE), (SHAPE, (2, 1, 4)), ((2, 1, 4), SHAPE)]
SIDES = [0.0, 0.3]  # of the intervals


@pytest.fixture(autouse=True)
def _many_bits():
    with mpmath.workprec(BITS):
        yield


def interval(rng, shape, side, low=-2.0, high=2.0):
    """Random intervals; some of them across 0 if ``low`` is below it."""
    start = rng.uniform(low, high, shape)
    return Interval(start, start + side * rng.random(shape))


def curved(rng, shape, side, **ends):
    """Random values, slopes and curvatures."""
    jet = Jet(interval(rng, shape, side, **ends), interval(rng, (WAYS, *shape), side))
    return Curved(jet, interval(rng, (PAIRS, *shape), side))


def parts(x, ndim):
    """Value, slopes and curvature, exact, as broadcast to ``ndim`` axes of values."""
    if isinstance(x, Interval):
        return Exact.of(x), None, None
    lift = (slice(None), *(None,) * (ndim - x.ndim))
    return Exact.of(x.value), Exact.of(x.jet.slope)[lift], Exact.of(x.curvature)[lift]


def crossed(a, b):
    """G_a G_b^T + G_b G_a^T, pairs i <= j."""
    return a[FIRST] * b[SECOND] + a[SECOND] * b[FIRST]


def check(found, value, slope, bend, ulps=64.0):
    """Compare a curved array with exact intervals of its parts, broadcast to its shape."""
    for part, exact in ((found.value, value), (found.jet.slope, slope), (found.curvature, bend)):
        ends = np.broadcast_to(exact.lo, part.shape), np.broadcast_to(exact.hi, part.shape)
        assert not (said := misfit(part, Exact(*ends), ulps)), said
    jet = found.jet
    assert (jet.shape, found.shape) == (found.value.shape, found.value.shape)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("mine", "theirs"), SHAPES)
def test_sums_products_and_quotients_have_the_derivatives_of_their_rules(mine, theirs, side):
    rng, ndim = np.random.default_rng(1), 3
    a, b = curved(rng, mine, side), curved(rng, theirs, side, low=0.5)
    (u, g, h), (v, k, m) = parts(a, ndim), parts(b, ndim)
    check(a.plus(b), u + v, g + k, h + m)
    check(a.times(b), u * v, g * v + k * u, h * v + m * u + crossed(g, k))
    q = u / v
    slope = (g - k * q) / v
    check(a.over(b), q, slope, (h - m * q - crossed(slope, k)) / v)
    check(b.under(a), q, slope, (h - m * q - crossed(slope, k)) / v)
    zero = k * 0
    number = interval(rng, theirs, side, low=0.5)
    c = Exact.of(number)
    check(a.plus(number), u + c, g + zero, h + h * 0)
    check(a.times(number), u * c, g * c, h * c)
    check(a.over(number), u / c, g / c, h / c)
    over = c / v
    slope = -(k * over / v)
    if mine == theirs:
        check(b.under(number), over, slope, -((m * over + crossed(slope, k)) / v))
    if a.ndim == ndim:
        check(-a, -u, -g, -h)


@pytest.mark.parametrize("side", SIDES)
def test_products_of_matrices_are_sums_of_products(side):
    rng = np.random.default_rng(2)
    a, b = curved(rng, (2, 2, 3), side), curved(rng, (2, 3, 2), side)
    left, right = interval(rng, (4, 2), side), interval(rng, (3, 4), side)

    def rows(x, y):  # Σ_k x_ik y_kj of exact intervals
        return (x[..., :, :, None] * y[..., None, :, :]).sum(-2)

    (u, g, h), (v, k, m) = parts(a, 3), parts(b, 3)
    check(
        a.matrix(b, left=False),
        rows(u, v),
        rows(g, v) + rows(u, k),
        rows(h, v) + rows(u, m) + rows(g[FIRST], k[SECOND]) + rows(g[SECOND], k[FIRST]),
        256,
    )
    swapped = a.matrix(b, left=True)
    check(
        swapped,
        rows(v, u),
        rows(v, g) + rows(k, u),
        rows(v, h) + rows(m, u) + rows(k[FIRST], g[SECOND]) + rows(k[SECOND], g[FIRST]),
        256,
    )
    jet = a.jet.matrix(b.jet, left=True)
    assert not misfit(jet.slope, rows(k, u) + rows(v, g), 256)
    n, w = Exact.of(right), Exact.of(left)
    check(a.matrix(right, left=False), rows(u, n), rows(g, n), rows(h, n), 256)
    check(a.matrix(left, left=True), rows(w, u), rows(w, g), rows(w, h), 256)
    flat = curved(rng, (2, 3), side)  # fewer axes than the other factor
    deep = interval(rng, (5, 3, 2), side)
    (u, g, h), n = parts(flat, 3), Exact.of(deep)
    check(flat.matrix(deep, left=False), rows(u, n), rows(g, n), rows(h, n), 256)


def same(found, lo, hi):
    """Whether ends are exactly these."""
    return np.array_equal(found.lo, lo) and np.array_equal(found.hi, hi)


@pytest.mark.parametrize("other", ["curved", "number"])
def test_the_larger_of_two_is_the_one_that_can_be(other):
    """Apart on either side, overlapping, and touching at one point, where both can be largest."""
    rng = np.random.default_rng(3)
    mine = Interval([5.0, -5.0, 0.0, 1.0, 0.0], [6.0, -4.0, 1.0, 2.0, 1.0])
    theirs = Interval([1.0, 1.0, 0.5, 0.0, 1.0], [2.0, 2.0, 2.0, 1.0, 3.0])
    a = Curved(Jet(mine, interval(rng, (WAYS, 5), 0.5)), interval(rng, (PAIRS, 5), 0.5))
    b = Curved(Jet(theirs, interval(rng, (WAYS, 5), 0.5)), interval(rng, (PAIRS, 5), 0.5))
    found = a.maximum(b if other == "curved" else theirs)
    assert same(found.value, [5.0, 1.0, 0.5, 1.0, 1.0], [6.0, 2.0, 2.0, 2.0, 3.0])
    g, h = a.jet.slope, a.curvature
    k = b.jet.slope if other == "curved" else Interval(np.zeros((WAYS, 5)))
    m = b.curvature if other == "curved" else Interval(np.zeros((PAIRS, 5)))
    for array, x, y, wide in ((found.jet.slope, g, k, False), (found.curvature, h, m, True)):
        assert same(array[:, 0], x.lo[:, 0], x.hi[:, 0])
        assert same(array[:, 1], y.lo[:, 1], y.hi[:, 1])
        low, high = np.minimum(x.lo, y.lo), np.maximum(x.hi, y.hi)
        low = np.full(low.shape, -math.inf) if wide else low
        high = np.full(high.shape, math.inf) if wide else high
        assert same(array[:, 2:], low[:, 2:], high[:, 2:])
    wide = a.maximum(Interval(np.full((2, 1), 1.5)))  # the number has the shape of more
    assert (wide.shape, wide.jet.slope.shape) == ((2, 5), (WAYS, 2, 5))
    assert same(wide.curvature[:, :, 0], *[np.stack([e[:, 0]] * 2, 1) for e in (h.lo, h.hi)])
    assert (wide.jet.slope.lo[:, :, 1] == 0).all()
    assert (wide.curvature.hi[:, :, 1] == 0).all()


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [0, 1])
def test_sums_and_maxima_over_an_axis(axis, keepdims):
    rng = np.random.default_rng(4)
    low = np.array([[5.0, 0.0, 0.0, 1.0], [0.0, 1.0, 2.0, 4.0], [-1.0, 3.0, 0.0, 0.5]])
    high = np.array([[6.0, 1.0, 2.0, 5.0], [1.0, 2.0, 3.0, 5.0], [0.0, 4.0, 2.5, 2.0]])
    a = Curved(
        Jet(Interval(low, high), interval(rng, (WAYS, 3, 4), 0.5)),
        interval(rng, (PAIRS, 3, 4), 0.5),
    )
    found = a.reduce("sum", axis, keepdims)
    u, g, h = parts(a, 2)
    check(found, *(x.sum(axis + s, keepdims=keepdims) for x, s in ((u, 0), (g, 1), (h, 1))))
    found = a.reduce("amax", axis, keepdims)
    value, shape = np.stack([low, high]), found.shape
    assert same(found.value, *value.max(axis + 1, keepdims=keepdims))
    value = np.moveaxis(value, axis + 1, 1)
    for array, x, bent in ((found.jet.slope, a.jet.slope, 0), (found.curvature, a.curvature, 1)):
        assert array.shape == (len(x), *shape)
        ends = [np.moveaxis(e, axis + 1, 1) for e in (x.lo, x.hi)]
        for j in range(value.shape[2]):
            can = value[1, :, j] >= value[0, :, j].max()
            least, most = ends[0][:, can, j].min(1), ends[1][:, can, j].max(1)
            if bent and can.sum() > 1:
                least, most = np.full(len(x), -math.inf), np.full(len(x), math.inf)
            assert np.array_equal(array.lo.reshape(len(x), -1)[:, j], least)
            assert np.array_equal(array.hi.reshape(len(x), -1)[:, j], most)


MOVES = {
    "swapaxes": lambda e: e.swapaxes(-3, -1),
    "swapaxes of others": lambda e: e.swapaxes(-2, -1),
    "getitem": lambda e: e[..., 1:, ::2],
    "reshape": lambda e: e.reshape((*e.shape[:-3], 4, 4)),
}


@pytest.mark.parametrize("name", MOVES)
def test_what_moves_values_moves_all_that_belongs_to_them(name):
    move, a = MOVES[name], curved(np.random.default_rng(5), SHAPE, 0.5)
    gain = Gain(a.value, np.abs(a.jet.slope.lo))
    calls = {
        "swapaxes": lambda x: x.swapaxes(0, -1),
        "swapaxes of others": lambda x: x.swapaxes(-2, 2),
        "getitem": lambda x: x[:, 1:, ::2],
        "reshape": lambda x: x.reshape((4, 4)),
    }
    found, steep, jet = (calls[name](x) for x in (a, gain, a.jet))
    for array, x in (
        (found.value, a.value),
        (found.jet.slope, a.jet.slope),
        (found.curvature, a.curvature),
        (jet.value, a.value),
        (jet.slope, a.jet.slope),
        (steep.value, a.value),
    ):
        assert same(array, move(x.lo), move(x.hi))
    assert np.array_equal(steep.gain, move(gain.gain))
    assert (found.shape, steep.shape, jet.shape) == (move(a.value.lo).shape,) * 3


def test_first_parts_and_zeros():
    a = curved(np.random.default_rng(6), SHAPE, 0.5)
    gain = Gain(a.value, np.abs(a.jet.slope.lo))
    assert same(a[1].curvature, a.curvature.lo[:, 1], a.curvature.hi[:, 1])
    assert same(a[1].jet.slope, a.jet.slope.lo[:, 1], a.jet.slope.hi[:, 1])
    assert np.array_equal(gain[1].gain, gain.gain[:, 1])
    zero = a.zeros_like()
    arrays = (zero.value, zero.jet.slope, zero.curvature, gain.zeros_like().value)
    for array, x in zip(arrays, (a.value, a.jet.slope, a.curvature, a.value), strict=True):
        assert same(array, np.zeros(x.shape), np.zeros(x.shape))
    assert np.array_equal(gain.zeros_like().gain, np.zeros(gain.gain.shape))
    for x in (a, a.jet, gain):
        assert np.array_equal(x.middle(), a.value.middle())
        assert x.operand(x) is x
    assert same(a.operand(2.0), 2.0, 2.0)
    assert same(a.jet.operand(2.0), 2.0, 2.0)
    assert np.array_equal(gain.operand([2.0, 3.0]).gain, np.zeros((WAYS, 2)))
    assert same(gain.operand([2.0, 3.0]).value, [2.0, 3.0], [2.0, 3.0])
    assert repr(a.jet) == f"Jet({a.value}, slope={a.jet.slope})"


def test_inputs_have_slope_one_in_their_own_direction():
    box = Interval(np.zeros((2, 3, 2)), np.ones((2, 3, 2)))
    jet, bent, gain = variables(box), curved_variables(box), grouped_variables(box)
    assert jet.value is box
    assert jet.slope.shape == bent.jet.slope.shape == (6, 2, 3, 2)
    for x in (jet.slope, bent.jet.slope):
        for k in range(6):
            own = np.arange(6).reshape(3, 2) == k
            assert same(x[k], np.stack([own, own]), np.stack([own, own]))
    assert same(bent.curvature, *[np.zeros((21, 2, 3, 2))] * 2)
    assert gain.gain.shape == (2, 2, 3, 2)
    assert np.array_equal(gain.gain, np.broadcast_to(np.eye(2)[:, None, None], (2, 2, 3, 2)))


@pytest.mark.parametrize("side", [*SIDES, 2.0])
def test_functions_of_one_number_follow_the_chain_rule(side):
    rng = np.random.default_rng(7)
    a = curved(rng, SHAPE, side)
    value, slope, second = (interval(rng, SHAPE, side) for _ in range(3))
    found = a.chain(value, slope, lambda: second)
    _, g, h = parts(a, 3)
    square = g[FIRST] * g[SECOND]
    own = (FIRST == SECOND)[:, None, None, None]
    low = np.where(own, np.maximum(square.lo, mpmath.mpf(0)), square.lo)
    square = Exact(low, square.hi)
    s = Exact.of(slope)
    check(found, Exact.of(value), g * s, square * Exact.of(second) + h * s)
    gain = Gain(a.value, np.abs(a.jet.slope.lo))
    steep = gain.chain(value, slope, lambda: second)
    assert same(steep.value, value.lo, value.hi)
    gains(steep, numbers(gain.gain) * s.size)


# -- gains -----------------------------------------------------------------------------------------


def gains(found, exact):
    """Compare gains with exact ones."""
    ends = np.broadcast_to(exact, found.gain.shape)
    upper = Interval(np.zeros(found.gain.shape), found.gain)
    assert not (said := misfit(upper, Exact(ends * 0, ends), 32)), said
    assert found.gain.shape[1:] == found.value.shape == found.shape


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(("mine", "theirs"), SHAPES)
def test_gains_of_sums_products_and_quotients_are_those_of_their_rules(mine, theirs, side):
    rng = np.random.default_rng(8)
    a = Gain(interval(rng, mine, side), rng.random((WAYS, *mine)))
    b = Gain(interval(rng, theirs, side, low=0.5), rng.random((WAYS, *theirs)))
    lift = [(slice(None), *(None,) * (3 - x.ndim)) for x in (a, b)]
    g, k = numbers(a.gain)[lift[0]], numbers(b.gain)[lift[1]]
    u, v = Exact.of(a.value), Exact.of(b.value)
    gains(a.plus(b), g + k)
    gains(a.times(b), g * v.size + k * u.size)
    gains(a.over(b), (g + k * (u / v).size) / v.lo)
    gains(b.under(a), (g + k * (u / v).size) / v.lo)
    assert np.array_equal((-a).gain, a.gain)
    for found, exact in ((a.plus(b), u + v), (a.times(b), u * v), (a.over(b), u / v)):
        ends = Exact(*(np.broadcast_to(e, found.shape) for e in (exact.lo, exact.hi)))
        assert not misfit(found.value, ends)
    assert same((-a).value, -a.value.hi, -a.value.lo)
    number = rng.uniform(0.5, 2.0, theirs)
    gains(a * number, g * numbers(number))
    flat = numbers(number) / v.lo / v.lo
    gains(number / b, numbers(b.gain) * flat)


def test_gains_of_sums_over_an_axis_and_of_matrices_add():
    rng = np.random.default_rng(9)
    a = Gain(interval(rng, (2, 2, 3), 0.5), rng.random((WAYS, 2, 2, 3)))
    b = Gain(interval(rng, (2, 3, 2), 0.5), rng.random((WAYS, 2, 3, 2)))
    g, k = numbers(a.gain), numbers(b.gain)
    u, v = Exact.of(a.value).size, Exact.of(b.value).size
    for axis in (0, 1, 2):
        for keepdims in (False, True):
            gains(a.reduce("sum", axis, keepdims), g.sum(axis + 1, keepdims=keepdims))
    rows = lambda x, y: (x[..., :, :, None] * y[..., None, :, :]).sum(-2)  # noqa: E731
    gains(a.matrix(b, left=False), rows(g, v) + rows(u, k))
    gains(a.matrix(b, left=True), rows(v, g) + rows(k, u))


def test_the_gain_of_a_maximum_is_that_of_what_can_be_largest():
    """Apart on either side, overlapping, touching at one point."""
    mine = Interval([5.0, -5.0, 0.0, 1.0, 0.0], [6.0, -4.0, 1.0, 2.0, 1.0])
    theirs = Interval([1.0, 1.0, 0.5, 0.0, 1.0], [2.0, 2.0, 2.0, 1.0, 3.0])
    a, b = Gain(mine, np.array([[3.0, 3, 3, 1, 1]])), Gain(theirs, np.array([[2.0, 2, 2, 2, 2]]))
    found = a.maximum(b)
    assert found.gain.tolist() == [[3.0, 2.0, 3.0, 2.0, 2.0]]
    assert same(found.value, [5.0, 1.0, 0.5, 1.0, 1.0], [6.0, 2.0, 2.0, 2.0, 3.0])
    assert b.maximum(a).gain.tolist() == found.gain.tolist()
    values = Interval([[5.0, 0.0], [0.0, 1.0], [-1.0, 0.5]], [[6.0, 1.0], [1.0, 2.0], [0.0, 0.9]])
    rows = Gain(values, np.array([[[0.5, 5.0], [9.0, 2.0], [9.0, 9.0]]]))
    assert rows.reduce("amax", 0, False).gain.tolist() == [[0.5, 5.0]]
    assert rows.reduce("amax", 0, True).gain.tolist() == [[[0.5, 5.0]]]
    assert rows.reduce("amax", 1, False).gain.tolist() == [[0.5, 9.0, 9.0]]


def test_nothing_moves_what_is_unbounded_by_nothing():
    unbounded = Gain(Interval([-math.inf, 2.0]), np.array([[0.0, 0.0]]))
    steep = Gain(Interval([0.0, 3.0], [0.0, math.inf]), np.array([[1.0, math.inf]]))
    with np.errstate(all="raise"):
        assert (unbounded * Gain(Interval([0.0, 0.0]), np.array([[0.0, 1.0]]))).gain[0, 0] == 0
        assert steep.chain(steep.value, Interval([0.0, 0.0]), Interval).gain.tolist() == [
            [0.0, 0.0]
        ]
        assert steep.chain(steep.value, Interval([1.0, 1.0]), Interval).gain[0, 1] == math.inf
