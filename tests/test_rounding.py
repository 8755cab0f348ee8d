"""Ends of intervals to the last bit: how far every rounding goes, and which ends are taken."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, rounding
from looprate.theory.enclosure.deadline import OutOfTimeError
from looprate.theory.enclosure.intervals import (
    SHORT_CONTRACTION,
    hull,
    intersection,
    rational_power,
)
from looprate.theory.enclosure.rounding import EPS, LARGEST, LARGEST_ANGLE, TINY, TURN_SLACK

LEAST_NORMAL = 2.0**-1022
TURN = 2 * math.pi


def ends(interval):
    return list(zip(interval.lo.ravel().tolist(), interval.hi.ravel().tolist(), strict=True))


def same(a, b):
    """Whether two intervals have the same ends, to the last bit."""
    return ends(a) == ends(b)


@pytest.fixture(autouse=True)
def _no_warnings():
    """Overflow and 0 * inf are seen in the ends, not said."""
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        yield


def test_constants_are_those_of_float64():
    info = np.finfo(np.float64)
    assert (info.eps, info.max) == (EPS, LARGEST)
    assert np.nextafter(0.0, 1.0) == TINY
    assert (rounding.FUNCTION_SLACK, rounding.FUNCTION_TINY) == (5 * EPS, 5 * TINY)
    assert 2.0 ** (info.nmant + 1) == rounding.LARGEST_INTEGER
    assert (rounding.WHOLE_TURN, TURN_SLACK, LARGEST_ANGLE) == (TURN, 8 * EPS, 1e6)


@pytest.mark.parametrize(
    ("name", "at", "below", "above"),
    [
        ("", 1.0, 1 - EPS, 1 + EPS),
        ("", 0.0, -TINY, TINY),
        ("", LEAST_NORMAL, LEAST_NORMAL - 2 * TINY, LEAST_NORMAL + 2 * TINY),
        ("", math.inf, LARGEST * (1 - 2**-52), math.inf),
        ("_sum", 1.0, 1 - EPS, 1 + EPS),
        ("_sum", 0.0, 0.0, 0.0),
        ("_sum", TINY, TINY, TINY),
        ("_sum", LEAST_NORMAL, LEAST_NORMAL - TINY, LEAST_NORMAL + TINY),
        ("_sum", math.inf, LARGEST * (1 - 2**-52), math.inf),
        ("function", 1.0, 1 - 6 * EPS, 1 + 6 * EPS),
        ("function", 0.0, -6 * TINY, 6 * TINY),
        ("function", LEAST_NORMAL, LEAST_NORMAL - 12 * TINY, LEAST_NORMAL + 12 * TINY),
        ("function", math.inf, None, math.inf),
    ],
)
def test_roundings_go_outwards_by_a_known_step(name, at, below, above):
    down, up = (f"function_{way}" if name == "function" else way + name for way in ("down", "up"))
    down, up = getattr(rounding, down), getattr(rounding, up)
    x = np.array([at])
    if below is None:
        assert LARGEST * (1 - 8 * EPS) < down(x)[0] < LARGEST * (1 - 5 * EPS)
    else:
        assert down(x)[0] == below
        assert -up(-x)[0] == below
    assert up(x)[0] == above
    assert -down(-x)[0] == above


def test_only_numbers_that_float64_holds_are_taken():
    for value in (True, np.float16(0.1), np.float32(0.1), 2**53, -(2**53), np.uint8(3)):
        found = rounding.exact_floats(value, "x")
        assert found.dtype == np.float64
        assert found == value
    assert rounding.exact_floats(np.longdouble(0.5), "x") == 0.5
    for value in (2**53 + 1, 2**53 + 2, -(2**53) - 2, np.uint64(2**63), [1, 2**60 + 1]):
        with pytest.raises(ValueError, match="`x` must hold numbers that float64 represents"):
            rounding.exact_floats(np.asarray(value), "x")
    if np.finfo(np.longdouble).eps < EPS:  # of 80 bits where the machine has them
        with pytest.raises(ValueError, match="float64 represents"):
            rounding.exact_floats(np.longdouble(1) / 3, "x")
    for value in (1j, "1", None):
        with pytest.raises(TypeError, match="`x` must hold real numbers"):
            rounding.exact_floats(np.asarray(value), "x")


def test_extremes_are_of_all_pairs_of_ends_and_of_points_once():
    calls = []

    def product(x, y):
        calls.append(1)
        with np.errstate(invalid="ignore"):
            return x * y

    a, b, c, d = (np.array([v]) for v in (-2.0, 3.0, -5.0, 7.0))
    for given, wanted, count in (
        ((a, b, c, d), (-15, 21), 4),
        ((a, a, c, d), (-14, 10), 2),
        ((a, b, c, c), (-15, 10), 2),
        ((a, a, c, c), (10, 10), 1),
        ((0 * a, b, np.array([math.inf]), np.array([math.inf])), (0, math.inf), 4),
        ((-b, 0 * a, np.array([math.inf]), np.array([math.inf])), (-math.inf, 0), 4),
    ):
        calls.clear()
        lo, hi = rounding.extremes(product, *given)
        assert (lo.item(), hi.item(), len(calls)) == (*wanted, count)


def test_long_products_are_as_wide_as_their_rounding_can_be():
    """Σ|a||b| = 8 of terms that cancel: the reach is (n + 2) EPS of it, exactly known."""
    a = np.tile([1.0, -1.0], 4)[None]
    lo, hi = rounding.long_product(a, a, np.ones((8, 1)))
    assert hi.item() == -lo.item() == pytest.approx(80 * EPS, rel=1e-12, abs=0)
    assert hi.item() > 80 * EPS * (1 + 40 * EPS)
    lo, hi = rounding.long_product(0 * a, 0 * a, np.ones((8, 1)))
    assert hi.item() == -lo.item() == 32 * TINY
    lo, hi = rounding.long_product(a - 0.25, a + 0.5, -2 * np.ones((8, 1)))
    assert (lo.item(), hi.item()) == pytest.approx((-8, 4), rel=1e-12)
    assert lo.item() < -8
    assert hi.item() > 4
    one = np.ones((8, 1))
    for low, high in ((a, np.full((1, 8), math.inf)), (1e308 * abs(a), 1e308 * abs(a))):
        lo, hi = rounding.long_product(low, high, 10 * one)
        assert (lo.item(), hi.item()) == (-math.inf, math.inf)
    wide = np.full((2, 3, 8), 1.0)
    lo, hi = rounding.long_product(wide, wide, np.ones((8, 4)))
    assert lo.shape == hi.shape == (2, 3, 4)


@pytest.mark.parametrize(("name", "peak"), [("sin", 0.25), ("cos", 0.0)])
def test_sine_and_cosine_take_their_ends_or_an_extremum(name, peak):
    function, slack = getattr(np, name), 5 * EPS
    for turns in (0.0, 3.0, -2.0):
        top, bottom = (peak + turns) * TURN, (peak + turns + 0.5) * TURN
        for lo, hi in ((top + 0.1, top + 3), (top - 3, top - 0.1), (bottom + 0.1, bottom + 3)):
            left, right = function(lo), function(hi)
            found = getattr(Interval(lo, hi), name)()
            wanted = (min(left, right) - slack, max(left, right) + slack)
            assert (found.lo, found.hi) == wanted
        across = getattr(Interval(top - 0.2, top + 0.3), name)()
        assert (across.lo, across.hi) == (min(function(top - 0.2), function(top + 0.3)) - slack, 1)
        across = getattr(Interval(bottom - 0.3, bottom + 0.2), name)()
        least = max(function(bottom - 0.3), function(bottom + 0.2))
        assert (across.lo, across.hi) == (-1, least + slack)
        near = getattr(Interval(top + 1e-9, top + 1e-8), name)()  # no end leaves [-1, 1]
        assert near.hi == 1
        assert near.lo == function(top + 1e-8) - slack
        near = getattr(Interval(bottom + 1e-9, bottom + 1e-8), name)()
        assert near.lo == -1
        assert near.hi == function(bottom + 1e-8) + slack


def test_angles_are_followed_up_to_the_largest():
    top = LARGEST_ANGLE
    x = Interval([-top, top - 0.25, -top], [-top + 0.25, top, -top])
    assert (x.sin().width < 0.3).all()
    beyond = np.nextafter(top, math.inf)
    for lo, hi in ((top, beyond), (-beyond, -top), (-math.inf, 0.0), (0.0, math.inf)):
        assert ends(Interval(lo, hi).sin()) == [(-1, 1)]


def test_an_extremum_counts_within_the_slack_of_angles():
    """Angles are known to 8 EPS (turns + 1): nearer ones may hold the extremum, others do not."""
    for turns, inside, outside in ((0.0, 7, 9), (1.0, 14, 19), (1000.0, 7000, 9000)):
        for sign in (1, -1):
            for steps, wanted in ((inside, True), (outside, False)):
                at = np.array(sign * (turns + steps * EPS) * TURN)
                after, before = (at, at + 1.0), (at - 1.0, at)
                lo, hi = after if sign > 0 else before
                assert rounding._passes(lo, hi, 0.0) == wanted
        for sign in (1, -1):  # ends that fall short of it, turns counted from the other side
            for steps, wanted in ((inside, True), (outside, False)):
                at = np.array(sign * (turns - steps * EPS) * TURN)
                lo, hi = (at - 1.0, at) if sign > 0 else (at, at + 1.0)
                assert rounding._passes(lo, hi, 0.0) == wanted
    assert rounding._passes(np.array(0.2 * TURN), np.array(0.3 * TURN), 0.25)
    assert not rounding._passes(np.array(0.26 * TURN), np.array(1.24 * TURN), 0.25)


# -- operations on intervals -----------------------------------------------------------------------


def test_sums_and_products_have_their_ends_moved_once():
    a, b = Interval([3.0, -2.0], [5.0, 7.0]), Interval([-1.0, 0.5], [4.0, 2.0])
    assert same(a.plus(b), Interval(rounding.down_sum(a.lo + b.lo), rounding.up_sum(a.hi + b.hi)))
    lo, hi = np.array([-5.0, -4.0]), np.array([20.0, 14.0])
    assert same(a.times(b), Interval(rounding.down(lo), rounding.up(hi)))
    quotient = a.over(Interval([-4.0, 0.5], [-2.0, 2.0]))
    lo, hi = np.array([-2.5, -4.0]), np.array([-0.75, 14.0])
    assert same(quotient, Interval(rounding.down(lo), rounding.up(hi)))
    assert same(a.under(Interval(1.0)), Interval(1.0).over(a))
    assert ends(Interval(1e308).plus(Interval(1e308)))[0][1] == math.inf
    assert ends(Interval(-1e308).plus(Interval(-1e308)))[0][0] == -math.inf
    assert ends(Interval(1e308).over(Interval(1e-308)))[0][1] == math.inf


def test_nothing_stays_nothing_and_divisors_that_reach_zero_give_the_whole_line():
    nothing, whole = Interval(0.0), Interval(-math.inf, math.inf)
    for other in (whole, Interval(-1.0, 2.0), Interval(3.0), Interval(0.0, math.inf)):
        assert ends(nothing.times(other)) == ends(other.times(nothing)) == [(0.0, 0.0)]
    for half in (Interval(0.0, 1.0), Interval(-1.0, 0.0)):
        (lo, hi), (left, right) = ends(half.times(Interval(3.0)))[0], ends(half)[0]
        assert (lo, hi) == pytest.approx((3 * left, 3 * right), abs=1e-14)
        assert lo < 3 * left
        assert hi > 3 * right
        for top in (Interval(1.0), nothing):
            assert ends(top.over(half)) == [(-math.inf, math.inf)]
        for part in (0, 1):  # an end that is 0 does not make the quotient 0
            found = ends(half.over(Interval(2.0, 4.0)))[0][part]
            assert found == pytest.approx((left / 2, right / 2)[part], abs=1e-14)
        assert half.over(Interval(2.0)).width > 0.4
    for divisor in (Interval(2.0, 3.0), Interval(-3.0, -2.0), Interval(1.0, math.inf)):
        assert ends(nothing.over(divisor)) == [(0.0, 0.0)]
    for divisor, wanted in ((Interval(0.5, 1.0), (1, 2)), (Interval(-1.0, -0.5), (-2, -1))):
        assert ends(Interval(1.0).over(divisor))[0] == pytest.approx(wanted)
    ratio = ends(Interval(1.0, math.inf).over(Interval(1.0, math.inf)))[0]
    assert ratio[0] == pytest.approx(0, abs=1e-300)
    assert ratio[1] == math.inf


@pytest.mark.parametrize("terms", [SHORT_CONTRACTION - 1, SHORT_CONTRACTION])
def test_products_of_matrices_go_term_by_term_or_by_midpoints(terms):
    rng = np.random.default_rng(0)
    a = Interval(*np.sort(rng.standard_normal((2, 3, terms)), 0))
    points, wide = (
        Interval(rng.standard_normal((terms, 2))),
        Interval(*np.sort(rng.random((2, terms, 2)), 0)),
    )

    def by_terms(a, b):
        total = a[..., :, :1].times(b[..., :1, :])
        for k in range(1, terms):
            total = total.plus(a[..., :, k : k + 1].times(b[..., k : k + 1, :]))
        return total

    long = Interval(*rounding.long_product(a.lo, a.hi, points.lo))
    assert same(a.matrix(points, left=False), long if terms == 8 else by_terms(a, points))
    assert same(wide.matrix(a, left=True), by_terms(a, wide))
    assert same(points.matrix(a, left=True), a.matrix(points, left=False))
    stacked = Interval(np.broadcast_to(points.lo, (4, terms, 2)))
    found = a.matrix(stacked, left=False)
    assert found.shape == (4, 3, 2)
    assert same(found[1], by_terms(a, points))


def test_sums_are_pairwise_and_maxima_of_ends():
    x = Interval(*np.sort(np.random.default_rng(1).standard_normal((2, 2, 5, 3)), 0))
    a, b, c, d, e = (x[:, k] for k in range(5))
    wanted = a.plus(b).plus(c.plus(d)).plus(e)
    assert same(x.reduce("sum", 1, False), wanted)
    kept = x.reduce("sum", 1, True)
    assert kept.shape == (2, 1, 3)
    assert same(kept, wanted)
    for keep, shape in ((True, (2, 5, 1)), (False, (2, 5))):
        most = x.reduce("amax", 2, keep)
        assert most.shape == shape
        assert same(most, Interval(x.lo.max(2), x.hi.max(2)))
        assert x.reduce("sum", 2, keep).shape == shape
    assert same(x.reduce("sum", 0, False), x[0].plus(x[1]))
    assert same(x[:, :1].reduce("sum", 1, False), a)


def test_powers_take_the_rounding_of_what_they_are():
    x = Interval([2.0, -3.0, -2.0, 0.0], [3.0, -2.0, 3.0, 0.0])
    three = rounding.function_down, rounding.function_up
    cube = ends(x.power(3.0))
    low, high = (f(np.array([8.0, 27.0])) for f in three)
    assert cube[:3] == [(low[0], high[1]), (-high[1], -low[0]), (-high[0], high[1])]
    assert cube[3] == (0.0, 0.0)
    square = ends(x.power(2.0))
    low, high = (f(np.array([0.0, 4.0, 9.0])) for f in (rounding.down, rounding.up))
    assert square == [(low[1], high[2]), (low[1], high[2]), (0.0, high[2]), (0.0, 0.0)]
    four = ends(x.power(4.0))
    low, high = (f(np.array([16.0, 81.0])) for f in three)
    assert four == [(low[0], high[1]), (low[0], high[1]), (0.0, high[1]), (0.0, 0.0)]
    assert ends(x.power(0.0)) == [(1.0, 1.0)] * 4
    assert x.power(1.0) is x
    for exponent in (-1.0, -2.0):
        assert same(x.power(exponent), Interval(1.0).over(x.power(-exponent)))
    assert ends(Interval(-1.0, 0.0).power(0.5)) == [(0.0, 0.0)]
    assert ends(Interval(0.0, 4.0).power(1.5))[0] == pytest.approx((0, 8))
    assert ends(Interval(1e200, 1e300).power(2.0))[0][1] == math.inf
    assert ends(Interval(1e200, 1e300).power(3.0))[0][1] == math.inf
    for exponent in (0.5, 1.5, -0.5):
        with pytest.raises(ValueError, match="must reach 0 or more, got -1"):
            Interval([1.0, -2.0], [2.0, -1.0]).power(exponent)
        assert Interval(0.25).power(exponent).width < 1e-14
    for exponent in (math.inf, math.nan):
        with pytest.raises(ValueError, match="`exponent` must be finite"):
            x.power(exponent)


@pytest.mark.parametrize("exponent", [Fraction(1, 3), Fraction(7, 3), Fraction(-1, 3)])
def test_powers_of_fractions_lie_between_those_of_the_next_floats(exponent):
    x = Interval([0.25, 3.0, 0.5], [0.5, 4.0, 2.0])
    near = float(exponent)
    one, two = (x.power(math.nextafter(near, way * math.inf)) for way in (-1, 1))
    found = rational_power(x, exponent)
    assert same(found, Interval(np.minimum(one.lo, two.lo), np.maximum(one.hi, two.hi)))
    assert same(found, hull(one, two))
    assert same(rational_power(x, Fraction(3, 2)), x.power(1.5))


def test_functions_take_the_part_of_their_domain():
    root = Interval([4.0, -1.0, -1.0, 0.0], [9.0, 4.0, 0.0, 0.25]).sqrt()
    low, high = rounding.down_sum(np.array([2.0])), rounding.up_sum(np.array([3.0, 2.0, 0.5]))
    assert ends(root) == [(low[0], high[0]), (0.0, high[1]), (0.0, 0.0), (0.0, high[2])]
    with pytest.raises(ValueError, match=r"reach 0 or more, got -0\.5"):
        Interval([1.0, -1.0], [2.0, -0.5]).sqrt()
    log = Interval([0.0, -1.0, 1.0], [1.0, 0.5, 2.0]).log()
    assert log.lo.tolist() == [-math.inf, -math.inf, rounding.function_down(np.array(0.0))]
    assert log.hi == pytest.approx([0, math.log(0.5), math.log(2)], abs=1e-14)
    for top in (0.0, -0.5):
        with pytest.raises(ValueError, match=f"reach above 0, got {top:g}"):
            Interval([1.0, -1.0], [2.0, top]).log()
    for name, at in (("exp", 0.5), ("tanh", 0.5), ("exp", -3.0), ("tanh", -0.25)):
        y = getattr(np, name)(np.array(at))
        found = getattr(Interval(at, at + 1), name)()
        assert found.lo == rounding.function_down(y)
        assert found.hi == rounding.function_up(getattr(np, name)(np.array(at + 1)))
    assert ends(Interval(800.0, 900.0).exp())[0][1] == math.inf
    assert ends(Interval(-900.0, -800.0).exp()) == [(0.0, 6 * TINY)]
    low, high = Interval(-40.0).tanh(), Interval(40.0).tanh()
    assert (low.lo, high.hi) == (-1.0, 1.0)
    assert (-low.hi, high.lo) == pytest.approx((1 - 6 * EPS,) * 2, abs=EPS)


def test_parts_sizes_and_common_parts_to_the_last_bit():
    x = Interval([0.0, -3.0, 1.0], [1.0, -2.0, 4.0])
    assert x.width.tolist() == [1 + EPS, 1 + EPS, 3 * (1 + EPS)]
    assert Interval([1e308], [1.7e308]).middle() == pytest.approx(1.35e308)
    assert Interval([-math.inf, 2.0], [3.0, math.inf]).middle().tolist() == [3.0, 2.0]
    assert same(-x, Interval([-1.0, 2.0, -4.0], [0.0, 3.0, -1.0]))
    assert same(intersection(x, x + 0.5), Interval((x + 0.5).lo, x.hi))
    assert x.contains([1.0, -3.0, 1.0]).all()
    assert not x.contains(Interval([-0.1, -2.5, 3.0], [0.5, -1.9, 4.1])).any()
    assert not x.contains(Interval([0.5, -4.0, 0.0], [1.5, -2.5, 2.0])).any()


def test_moved_points_stay_points_and_both_ends_move():
    x = np.arange(6.0).reshape(1, 2, 3)
    moves = (
        lambda a: a.swapaxes(1, 2),
        lambda a: a.reshape(3, 2),
        lambda a: a.reshape((3, 2)),
        lambda a: a[0, None, ..., 1:],
        lambda a: a[..., -1],
    )
    for move in (*moves, lambda a: a.picked([0, 0]) if isinstance(a, Interval) else a[[0, 0]]):
        points, wide = move(Interval(x)), move(Interval(x, x + 1))
        assert points.lo is points.hi
        assert points.lo.tolist() == wide.lo.tolist() == move(x).tolist()
        assert wide.hi.tolist() == (move(x) + 1).tolist()
    spread = Interval(x, x + 1).broadcast_to((2, 2, 3))
    assert spread.hi.tolist() == np.broadcast_to(x + 1, (2, 2, 3)).tolist()
    assert Interval(x, x + 1).zeros_like().shape == x.shape
    assert ends(Interval(x).zeros_like()) == [(0.0, 0.0)] * 6
    for key in ([0], np.array([0, 0]), (slice(None), [1, 0]), (..., np.array([True, False, True]))):
        assert Interval(x)[key].lo.tolist() == x[key].tolist()
    for key in ((0, [1]), ([0], [1]), [[0, 1], [1, 0]]):
        with pytest.raises(TypeError, match="whole numbers and slices, or slices and one list"):
            Interval(x)[key]


def test_ends_that_cannot_be_name_the_first_wrong_one():
    with pytest.raises(ValueError, match=r"got .*3\.0.* and .*2\.0"):
        Interval([0.0, 3.0, 5.0], [1.0, 2.0, 4.0])
    with pytest.raises(ValueError, match=r"equal shapes, got \(1,\) and \(2,\)"):
        Interval([0.0], [1.0, 2.0])
    with pytest.raises(TypeError, match="`hi` must hold real numbers"):
        Interval([0.0], ["1"])
    with pytest.raises(TypeError, match="`lo` must hold real numbers"):
        Interval(["0"], [1.0])
    assert repr(Interval([0.0], [1.0])) == "Interval([0.], [1.])"


def test_numbers_become_points_and_other_enclosures_are_refused():
    x, box = Interval(1.0), Interval([0.0], [1.0])
    assert x.operand(box) is box
    assert ends(x.operand([2.0, 3.0])) == [(2.0, 2.0), (3.0, 3.0)]


def test_time_that_is_up_is_heard_at_every_interval(monkeypatch):
    def late():
        raise OutOfTimeError

    monkeypatch.setattr("looprate.theory.enclosure.intervals.check_time", late)
    with pytest.raises(OutOfTimeError):
        Interval(1.0)
