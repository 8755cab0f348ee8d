"""Enclosures one operation at a time: equal to what is known by hand, rounded outwards, no wider.

Every function of the namespace gives NumPy's numbers on points, for every kind of enclosure.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, rounding, variables
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.attention import softmax_mean
from looprate.theory.enclosure.curved import curved_variables
from looprate.theory.enclosure.gains import grouped_variables
from looprate.theory.enclosure.intervals import hull, intersection, rational_power
from looprate.theory.enclosure.namespace import ARRAY_NAMESPACE
from looprate.theory.enclosure.rounding import EPS, TINY

ULPS = 8 * EPS  # what one operation may be wide, of its size
RNG = np.random.default_rng(0)
SIZES = RNG.standard_normal(300) * 10.0 ** RNG.integers(-30, 30, 300)
OTHERS = RNG.permutation(SIZES)


# -- directions of rounding ------------------------------------------------------------------------


def test_every_widening_goes_outwards_by_one_to_a_few_ulps():
    x = np.concatenate([SIZES, [0.0, TINY, -TINY, 2.0**-1022, 1.0, -1.0, 1e308, -1e308]])
    for name, most in (("down", 2), ("down_sum", 2), ("function_down", 9)):
        low, high = getattr(rounding, name)(x), getattr(rounding, name.replace("down", "up"))(x)
        plain = (np.abs(x) >= 2.0**-1022) if "sum" in name else np.ones(len(x), dtype=bool)
        assert (low[plain] < x[plain]).all()
        assert (high[plain] > x[plain]).all()
        for value, lo, hi in zip(*map(np.ndarray.tolist, (x, low, high)), strict=True):
            room = most * (Fraction(abs(value)) * Fraction(EPS) + Fraction(TINY))
            assert Fraction(value) - Fraction(lo) <= room
            assert Fraction(hi) - Fraction(value) <= room
    for name in ("down_sum", "up_sum"):
        assert getattr(rounding, name)(np.zeros(1)).tolist() == [0.0]
    inf = np.array([math.inf])
    for name in ("down", "down_sum", "function_down"):
        assert 1e308 < getattr(rounding, name)(inf)[0] < math.inf
        assert getattr(rounding, name)(-inf)[0] == -math.inf
        up = getattr(rounding, name.replace("down", "up"))
        assert -math.inf < up(-inf)[0] < -1e308
        assert up(inf)[0] == math.inf


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide"])
def test_lower_ends_go_down_and_upper_ends_go_up_exactly(name):
    exact = {
        "add": Fraction.__add__,
        "subtract": Fraction.__sub__,
        "multiply": Fraction.__mul__,
        "divide": Fraction.__truediv__,
    }[name]
    width = np.abs(SIZES) * 10.0 ** RNG.uniform(-17, 0, len(SIZES))
    a, b = Interval(SIZES - width, SIZES + width), Interval(OTHERS, OTHERS + np.abs(OTHERS) / 8)
    found = getattr(np, name)(a, b)
    for k in range(len(SIZES)):
        ends = [
            exact(Fraction(x), Fraction(y))
            for x, y in product((a.lo[k], a.hi[k]), (b.lo[k], b.hi[k]))
        ]
        lo, hi = Fraction(found.lo[k]), Fraction(found.hi[k])
        room = ULPS * max(abs(min(ends)), abs(max(ends))) + Fraction(4 * TINY)
        assert min(ends) - room <= lo <= min(ends), k
        assert max(ends) <= hi <= max(ends) + room, k


def test_sums_over_axes_and_products_of_matrices_are_no_wider_than_their_rounding():
    rng = np.random.default_rng(1)
    for terms in (1, 2, 5, 7, 8, 30):
        a, b = rng.standard_normal((3, terms)), rng.standard_normal((terms, 2))
        size = np.abs(a) @ np.abs(b)
        for left, right in ((Interval(a), b), (a, Interval(b)), (Interval(a), Interval(b))):
            found = left @ right
            assert np.abs(found.middle() - a @ b).max() <= terms * EPS * size.max()
            assert (found.width <= 16 * (terms + 2) * EPS * size).all()
        wide = Interval(a - 0.5, a + 0.25) @ b
        exact = np.minimum((a - 0.5)[..., None] * b, (a + 0.25)[..., None] * b).sum(1)
        assert np.abs(wide.lo - exact).max() < 1e-12
        exact = np.maximum((a - 0.5)[..., None] * b, (a + 0.25)[..., None] * b).sum(1)
        assert np.abs(wide.hi - exact).max() < 1e-12
        total = Interval(a).sum(1)
        assert (total.width <= 4 * terms * EPS * np.abs(a).sum(1)).all()
    short = Interval(np.full((1, 8), 1e308)) @ np.full((8, 1), 10.0)
    assert (short.lo.item(), short.hi.item()) == (-math.inf, math.inf)


def test_nothing_times_anything_is_nothing_at_unbounded_ends_too():
    half = Interval([-1.0, 0.0], [0.0, 1.0]) * Interval([1.0, 1.0], [math.inf, math.inf])
    assert (half.hi[0], half.lo[0]) == (pytest.approx(0.0, abs=1e-300), -math.inf)
    assert (half.lo[1], half.hi[1]) == (pytest.approx(0.0, abs=1e-300), math.inf)


def test_parts_of_intervals_by_hand():
    box = Interval([-2.0, 1.0, -3.0, 0.0], [1.0, 2.0, -1.0, 0.0])
    assert box.mignitude.tolist() == [0.0, 1.0, 1.0, 0.0]
    assert box.magnitude.tolist() == [2.0, 2.0, 3.0, 0.0]
    assert box.middle().tolist() == [-0.5, 1.5, -2.0, 0.0]
    assert abs(box).lo.tolist() == box.mignitude.tolist()
    assert (box.width >= [3.0, 1.0, 2.0, 0.0]).all()
    assert (box.width <= np.array([3.0, 1.0, 2.0, 0.0]) * (1 + 2 * EPS)).all()
    half = Interval([-math.inf, 2.0, -math.inf], [3.0, math.inf, math.inf])
    assert half.middle().tolist() == [3.0, 2.0, 0.0]
    other = Interval([0.0, 0.0, -2.0, -1.0], [5.0, 1.5, -1.5, 1.0])
    both, common = hull(box, other), intersection(box, other)
    assert both.lo.tolist() == [-2.0, 0.0, -3.0, -1.0]
    assert both.hi.tolist() == [5.0, 2.0, -1.0, 1.0]
    assert common.lo.tolist() == [0.0, 1.0, -2.0, 0.0]
    assert common.hi.tolist() == [1.0, 1.5, -1.5, 0.0]
    assert box.contains(other).tolist() == [False, False, True, False]
    assert box.contains(box).all()
    assert box.contains([-2.0, 2.0, -2.5, 0.1]).tolist() == [True, True, True, False]
    most = box.maximum(Interval([0.0, 0.0, -2.0, -1.0], [0.5, 9.0, -1.5, 1.0]))
    assert most.lo.tolist() == [0.0, 1.0, -2.0, 0.0]
    assert most.hi.tolist() == [1.0, 9.0, -1.0, 1.0]
    assert (-box).lo.tolist() == [-1.0, -2.0, 1.0, 0.0]


def test_powers_of_intervals_by_hand():
    box = Interval([-2.0, 1.0, -3.0], [1.0, 2.0, -1.0])
    for exponent, lo, hi in (
        (2.0, [0, 1, 1], [4, 4, 9]),
        (3.0, [-8, 1, -27], [1, 8, -1]),
        (4.0, [0, 1, 1], [16, 16, 81]),
        (0.0, [1, 1, 1], [1, 1, 1]),
        (1.0, [-2, 1, -3], [1, 2, -1]),
        (-1.0, [-math.inf, 0.5, -1], [math.inf, 1, -1 / 3]),
        (-2.0, [-math.inf, 0.25, 1 / 9], [math.inf, 1, 1]),
    ):
        found = box**exponent
        assert found.lo == pytest.approx(np.array(lo, dtype=float), rel=1e-14)
        assert found.hi == pytest.approx(np.array(hi, dtype=float), rel=1e-14)
    part = Interval([-1.0, 0.0, 4.0], [4.0, 0.0, 9.0])
    for root in (np.sqrt(part), part**0.5):
        assert root.lo == pytest.approx([0, 0, 2], abs=1e-14)
        assert root.hi == pytest.approx([2, 0, 3], abs=1e-14)
    third = rational_power(Interval([8.0], [27.0]), Fraction(1, 3))
    assert (third.lo[0], third.hi[0]) == pytest.approx((2, 3))
    for edge in (np.sqrt, lambda x: x**0.5):
        with pytest.raises(ValueError, match="reach 0"):
            edge(Interval([-2.0], [-1e-9]))
    assert np.exp(Interval(-1e4)).lo == 0
    assert np.tanh(Interval(0.0, 99.0)).hi == 1
    assert np.tanh(Interval(-99.0, 0.0)).lo == -1
    for function, at in ((np.sin, math.pi / 2), (np.cos, 0.0)):
        top = function(Interval(at - 0.1, at + 0.1))
        assert top.hi == 1
        assert top.lo == pytest.approx(math.cos(0.1), abs=1e-14)
        bottom = function(Interval(at + math.pi - 0.1, at + math.pi + 0.2))
        assert bottom.lo == -1
        assert bottom.hi == pytest.approx(-math.cos(0.2), abs=1e-14)
        far = function(Interval(rounding.LARGEST_ANGLE, rounding.LARGEST_ANGLE + 0.25))
        assert (far.lo, far.hi) == (-1, 1)
        near = function(Interval(rounding.LARGEST_ANGLE - 0.25, rounding.LARGEST_ANGLE))
        assert near.width < 0.3 or near.hi == 1


# -- the namespace, for every kind of enclosure ----------------------------------------------------


def points(shape=(2, 3, 2)):
    return np.random.default_rng(2).random(shape) + 0.1


KINDS = {
    "interval": lambda box: box,
    "jet": variables,
    "curved": curved_variables,
    "gain": grouped_variables,
    "affine": affine_variables,
}
XP = ARRAY_NAMESPACE
CALLS = {  # of enclosures and their namespace, or of numbers and NumPy
    "matmul": lambda x, xp: xp.matmul(x, WEIGHT),
    "matmul from the left": lambda x, xp: xp.matmul(LEFT, x),
    "matmul with itself": lambda x, xp: xp.matmul(x, xp.swapaxes(x, 1, 2)),
    "swapaxes": lambda x, xp: xp.swapaxes(x, 1, 2),
    "zeros_like": lambda x, xp: xp.zeros_like(x) + 1.0,
    "reshape": lambda x, xp: xp.reshape(x, (2, 2, 3)),
    "abs": lambda x, xp: xp.abs(x - 0.5) + xp.absolute(x),
    "square": lambda x, xp: xp.square(x),
    "functions": lambda x, xp: xp.sqrt(x) + xp.exp(x) * xp.sin(x) - xp.cos(x) / xp.tanh(x),
    "maximum": lambda x, xp: xp.maximum(x, 0.5),
    "maximum of a number": lambda x, xp: xp.maximum(0.5, x),
    "minimum": lambda x, xp: xp.minimum(x, 0.5),
    "minimum of a number": lambda x, xp: xp.minimum(0.5, x),
    "clip": lambda x, xp: xp.clip(x, 0.3, 0.7),
    "clip from below": lambda x, xp: xp.clip(x, 0.3, None),
    "clip from above": lambda x, xp: xp.clip(x, None, 0.7),
    "sum": lambda x, xp: xp.sum(x, 1),
    "sum of two axes": lambda x, xp: xp.sum(x, (1, 2)),
    "sum, kept": lambda x, xp: xp.sum(x, -1, keepdims=True),
    "mean": lambda x, xp: xp.mean(x, 2),
    "mean of two axes": lambda x, xp: xp.mean(x, (1, 2), keepdims=True),
    "var": lambda x, xp: xp.var(x, 1),
    "var, of a sample": lambda x, xp: xp.var(x, 1, ddof=1, keepdims=True),
    "std": lambda x, xp: xp.std(x, 1),
    "log": lambda x, xp: xp.log(x),
    "amax": lambda x, xp: xp.amax(x, 1) + xp.max(x, 1),
    "amin": lambda x, xp: xp.amin(x, 1) + xp.min(x, 1),
    "amin, kept": lambda x, xp: xp.amin(x, -1, keepdims=True),
    "divided": lambda x, xp: 2.0 / (1.0 + x) - x / (x + 1.0),
    "powers": lambda x, xp: x**3 - x**1.5 + x**-2.0,
    "parts": lambda x, xp: x[:, :1] + x[:, 1:, ::-1],
    "softmax_mean": lambda x, xp: SOFTMAX[xp](x @ xp.swapaxes(x, 1, 2), x),
    "reflected": lambda x, xp: 1.0 - 2.0 * x,
}
WEIGHT = np.array([[1.0, -2.0, 0.5], [0.25, 3.0, -1.0]])
LEFT = np.array([[0.5, 1.0, -1.0], [2.0, 0.0, 0.25]])


def softmax(z):
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


SOFTMAX = {np: lambda z, x: softmax(z) @ x, XP: softmax_mean}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CALLS)
def test_points_give_numpy_s_numbers(kind, name):
    call = CALLS[name]
    if kind == "affine" and name == "softmax_mean":
        return  # has no step of its own
    x = points()
    made = call(KINDS[kind](Interval(x)), XP)
    found = getattr(made, "value", made)
    exact = call(x, np)
    assert found.shape == exact.shape
    assert made.shape == exact.shape
    assert np.abs(found.middle() - exact).max() < 1e-12
    assert found.width.max() < 1e-12
    slope = {"jet": lambda m: m.slope, "curved": lambda m: m.jet.slope}.get(kind)
    if slope is not None and not name.startswith(("abs", "max", "min", "clip")):
        step, eye = 1e-6, np.eye(6).reshape(6, 1, 3, 2)
        numeric = np.stack(
            [(call(x + step * e, np) - call(x - step * e, np)) / (2 * step) for e in eye]
        )
        got = slope(made)
        assert got.shape == numeric.shape
        assert np.abs(got.middle() - numeric).max() < 1e-7
        assert got.width.max() < 1e-9


def test_numbers_near_maxima_are_numbers():
    x = points()
    near = XP.constant_near_max(Interval(x - 0.01, x + 0.01), 1)
    assert near == pytest.approx(x.max(1, keepdims=True))
    assert near.shape == (2, 1, 2)
