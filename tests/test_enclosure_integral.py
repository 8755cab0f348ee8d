"""Which boxes are cut, what their halves and their sums are, and how many there may be."""

from __future__ import annotations

import inspect
import math
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, error_integral, error_norm, integral
from looprate.theory.enclosure.deadline import OutOfTimeError, time_limit
from looprate.theory.enclosure.integral import (
    ErrorIntegral,
    _Clock,
    _given,
    _halves,
    _Leaves,
    _share,
    _to_cut,
    _totals,
    norm_from_integral,
)
from looprate.theory.enclosure.rounding import EPS


def leaves(lower, upper, weight=None, *, side=None, low=None, high=None):
    """Boxes of one token in two dimensions with bounds."""
    count = len(lower)
    low = np.zeros((count, 1, 2)) if low is None else low
    high = np.ones((count, 1, 2)) if high is None else high
    weight = np.ones(count) if weight is None else np.asarray(weight, dtype=float)
    side = np.zeros(count, dtype=int) if side is None else np.asarray(side)
    lower, upper = np.asarray(lower, dtype=float), np.asarray(upper, dtype=float)
    return _Leaves(low, high, low, high, weight, lower, upper, side)


@pytest.fixture(autouse=True)
def _nothing_is_said_on_overflow():
    with np.errstate(all="raise"):
        yield


# -- sums ------------------------------------------------------------------------------------------


def test_sums_hold_the_exact_ones_and_come_close():
    rng = np.random.default_rng(0)
    for seed in range(40):
        lower = rng.random(30) * 10.0 ** rng.integers(-20, 3, 30)
        upper, weight = lower + rng.random(30), rng.integers(0, 50, 30)
        found = _totals(leaves(lower, upper, weight), 2.0)
        for total, bound, sign in zip(found, (lower, upper), (-1, 1), strict=True):
            exact = sum(
                Fraction(w) * Fraction(b)
                for w, b in zip(weight.tolist(), bound.tolist(), strict=True)
            )
            assert 0 < sign * (Fraction(total) - exact) <= exact * 4 * Fraction(EPS), seed


def test_sums_of_nothing_are_nothing_and_those_of_the_unbounded_infinite():
    low, high = _totals(leaves([0.0, 0.0], [0.0, 0.0]), 2.0)
    assert low == 0
    assert 0 < high < 1e-322
    assert _totals(leaves([0.5, 0.5], [math.inf, 1.0]), 1.0)[1] == math.inf
    without = _totals(leaves([0.5, 0.5], [math.inf, 1.0], [0, 2]), 1.0)
    assert without == pytest.approx((1.0, 2.0))


def test_suprema_are_those_of_the_boxes_that_count():
    assert _totals(leaves([0.5, 0.9], [0.75, 2.0]), math.inf) == (0.9, 2.0)
    assert _totals(leaves([0.5, 0.9], [0.75, 2.0], [3, 0]), math.inf) == (0.5, 0.75)
    assert _totals(leaves([0.5, 0.9], [0.75, 2.0], [0, 0]), math.inf) == (0.0, 0.0)


# -- what is cut -----------------------------------------------------------------------------------


def cut(boxes, p=2.0, *, lower=0.0, tolerated=0.0, room=100):
    return np.flatnonzero(_to_cut(boxes, p, lower, tolerated, room)).tolist()


def test_as_many_boxes_are_cut_as_halve_the_gap_to_nine_tenths_of_what_is_tolerated():
    boxes = leaves(np.zeros(5), [1.0, 8.0, 2.0, 4.0, 1.0])  # a gap of 16; a cut leaves half
    assert cut(boxes, tolerated=13.2 / 0.9) == [1]  # 8 / 2 saves enough
    assert cut(boxes, tolerated=11.9 / 0.9) == [1, 3]
    assert cut(boxes, tolerated=10.1 / 0.9) == [1, 3]
    assert cut(boxes, tolerated=9.9 / 0.9) == [1, 2, 3]
    assert cut(boxes, tolerated=8.9 / 0.9) == [0, 1, 2, 3]
    assert cut(boxes, tolerated=1.0) == [0, 1, 2, 3, 4]
    assert cut(boxes, tolerated=1.0, room=2) == [1, 3]
    assert cut(boxes, tolerated=1.0, room=1) == [1]
    assert cut(boxes, tolerated=1.0, room=0) == cut(boxes, tolerated=1.0, room=-3) == []


def test_gaps_count_by_weight_and_only_where_there_are_any():
    boxes = leaves([0.0, 0.5, 1.0, 0.0], [1.0, 1.0, 1.0, 9.0], [1, 3, 7, 0])
    assert cut(boxes, room=1) == [1]  # 1, 3/2, 0, 0
    assert cut(boxes, room=2) == cut(boxes) == [0, 1]


def test_unbounded_gaps_are_cut_first():
    boxes = leaves(np.zeros(4), [1.0, math.inf, 2.0, math.inf])
    assert cut(boxes, room=2) == [1, 3]
    assert cut(boxes, room=1) == [1]
    assert cut(boxes, room=3, tolerated=1.7e290) == [1]  # each stands for 10^290
    assert cut(boxes, room=3, tolerated=1.2e290) == [1, 3]
    assert cut(boxes, room=3, tolerated=1e290) == [1, 2, 3]
    assert cut(leaves([0.0, 0.0], [math.inf, 1.0], [0, 1])) == [1]


def test_for_suprema_all_boxes_are_cut_that_reach_above_what_is_tolerated():
    boxes = leaves([0.0, 0.3, 0.5, 0.1], [1.0, 0.6, 0.8, 0.5], [1, 1, 2, 1])
    case = {"p": math.inf, "lower": 0.5}
    assert cut(boxes, **case, tolerated=0.32) == [0, 2]  # gaps 0.5, 0.1, 0.3, 0; above 0.288
    assert cut(boxes, **case, tolerated=0.34) == [0]
    assert cut(boxes, **case, tolerated=0.1) == [0, 1, 2]
    assert cut(boxes, **case, tolerated=0.1, room=2) == [0, 2]
    assert cut(boxes, **case, tolerated=1.0) == []
    none = leaves([0.0, 0.3], [1.0, 0.6], [0, 1])
    assert cut(none, **case, tolerated=0.01) == [1]


def test_boxes_too_thin_to_be_cut_along_their_side_are_left():
    low, high = np.zeros((3, 1, 2)), np.ones((3, 1, 2))
    low[1:, 0, 1], high[1:, 0, 1] = 0.5, np.nextafter(0.5, 1.0)
    boxes = leaves(np.zeros(3), np.ones(3), low=low, high=high, side=[1, 1, 0])
    for p in (1.0, math.inf):
        assert cut(boxes, p=p) == [0, 2]
    low[0, 0, 1], high[0, 0, 1] = 0.5, 0.5
    assert cut(leaves([0.0], [1.0], low=low[:1], high=high[:1], side=[1])) == []


def test_halves_share_a_face_and_keep_outputs_and_weights():
    low = np.array([[[0.0, 0.25]], [[0.5, 0.0]]])
    high = np.array([[[1.0, 0.75]], [[1.0, 0.5]]])
    given = _Leaves(
        low, high, low + 2, low + 3, np.array([1.0, 4.0]), np.zeros(2), np.ones(2), np.array([1, 0])
    )
    first, second, y, weight = _halves(given)
    assert first.reshape(4, 2).tolist() == [[0, 0.25], [0.5, 0], [0, 0.5], [0.75, 0]]
    assert second.reshape(4, 2).tolist() == [[1, 0.5], [0.75, 0.5], [1, 0.75], [1, 0.5]]
    assert np.array_equal(y.lo, np.concatenate([low + 2, low + 2]))
    assert np.array_equal(y.hi, np.concatenate([low + 3, low + 3]))
    assert weight.tolist() == [1, 4, 1, 4]
    assert first.shape == second.shape == (4, 1, 2)
    both = type(given).joined([given.picked(np.array([True, False])), given])
    assert both.weight.tolist() == [1, 1, 4]
    assert both.side.tolist() == [1, 1, 0]


# -- the search ------------------------------------------------------------------------------------

ONE = np.zeros((1, 1, 1)), np.ones((1, 1, 1))
ZERO = np.zeros((1, 1, 1))


def bent(x):
    return x * (1 - x)


def test_the_budget_is_kept_to_the_box_and_rounds_are_reported():
    for most, boxes in ((0, 1), (1, 1), (2, 1), (3, 3), (4, 3), (5, 5), (8, 7)):
        found = error_integral(bent, *ONE, ZERO, p=1, tolerance=1e-12, boxes=most)
        assert (found.boxes, found.converged) == (boxes, False)
        assert found.lower <= 1 / 6 <= found.upper
    shares = []
    found = error_integral(bent, *ONE, ZERO, p=1, tolerance=1e-12, boxes=50, report=shares.append)
    assert found.boxes == 49
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(3 / 50)
    assert shares[-1] == pytest.approx(49 / 50)
    shares = []
    found = error_integral(bent, *ONE, ZERO, p=1, tolerance=0.01, report=shares.append)
    assert found.converged
    assert shares[-1] == 1
    assert found.upper - found.lower <= 0.01 * found.upper
    assert all(0 < share <= 1 for share in shares)


def test_progress_is_told_of_the_bounds_that_were_reached():
    shares = []

    def stop(share):
        shares.append(share)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        error_integral(bent, *ONE, ZERO, p=1, tolerance=0.03, report=stop)
    first = error_integral(bent, *ONE, ZERO, p=1, tolerance=0.03, boxes=3)
    assert shares == [pytest.approx(0.03 * first.upper / (first.upper - first.lower))]


def test_progress_is_the_tolerated_share_of_the_gap():
    assert _share(0.5, 0.5, 0.0) == 1.0
    assert _share(0.0, 0.0, 0.0) == 1.0
    assert _share(0.6, 0.3, 0.4) == 0.5


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_a_closed_gap_is_not_cut(p):
    found = error_integral(lambda x: 0 * x, *ONE, ZERO + 2.0, p=p, boxes=100)
    assert found.boxes == 1
    assert found.converged
    assert found.lower == pytest.approx(4.0 if p == 2 else 2.0)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_the_scale_divides_the_error(p):
    plain = error_integral(bent, *ONE, ZERO, p=p, tolerance=1e-3)
    scaled = error_integral(bent, *ONE, ZERO, p=p, tolerance=1e-3, scale=4.0)
    power = 1 if math.isinf(p) else p
    assert scaled.lower * 4.0**power == pytest.approx(plain.lower, rel=1e-12)
    assert scaled.upper * 4.0**power == pytest.approx(plain.upper, rel=1e-12)
    root = error_norm(bent, *ONE, ZERO, p=p, tolerance=1e-3)
    exact = {1.0: 1 / 6, 2.0: (1 / 30) ** (1 / 2), 3.0: (1 / 140) ** (1 / 3), math.inf: 0.25}[p]
    assert root.lower <= exact * (1 + 1e-15)
    assert exact * (1 - 1e-15) <= root.upper
    assert root.converged
    assert root.upper - root.lower <= 1e-3 * root.upper


def test_the_clock_knows_how_many_boxes_fit_into_the_time_left(monkeypatch):
    now = [100.0]

    def evaluated(target, low, *rest):
        assert (target, rest, time_limit()) == ("f", (1, 2), 140.0)
        now[0] += 4.0
        return low

    monkeypatch.setattr(integral, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(integral, "_evaluated_leaves", evaluated)
    clock, low = _Clock(140.0), np.zeros((8, 1, 1))
    assert clock.room() == 2**18  # nothing is known of the speed
    assert clock.evaluated("f", low, 1, 2) is low
    assert clock.room() == 72  # 36 s at half a second
    assert clock.spent() == 0.1
    now[0] = 139.9
    assert clock.room() == 0
    now[0] = 150.0
    assert (clock.room(), clock.spent()) == (0, 1.25)
    assert _Clock(150.0).spent() == _Clock(149.0).spent() == 1.0
    clock = _Clock(math.inf)
    clock.rate = 0.5
    assert (clock.room(), clock.spent()) == (2**18, 0.0)
    clock = _Clock(150.0 + 2.0**18)
    clock.rate = 1.0
    assert clock.room() == 2**18
    clock.rate = 1 + 2.0**-17
    assert clock.room() == 2**18 - 2


def test_a_search_out_of_time_has_what_it_knew(monkeypatch):
    with pytest.raises(OutOfTimeError):
        error_integral(bent, *ONE, ZERO, p=1, end=-math.inf)
    right, left = integral._Clock.evaluated, [2]

    def evaluated(self, *given):
        left[0] -= 1
        if left[0] < 0:
            raise OutOfTimeError
        return right(self, *given)

    monkeypatch.setattr(integral._Clock, "evaluated", evaluated)
    found = error_integral(bent, *ONE, ZERO, p=1, tolerance=1e-9)
    assert (found.boxes, found.converged) == (3, False)
    assert found.lower <= 1 / 6 <= found.upper
    left[0] = 99
    monkeypatch.setattr(integral._Clock, "room", lambda self: 2)  # the halves of one
    found = error_integral(bent, *ONE, ZERO, p=1, tolerance=1e-9, boxes=9)
    assert found.boxes == 9
    monkeypatch.setattr(integral._Clock, "room", lambda self: 1)
    assert error_integral(bent, *ONE, ZERO, p=1, tolerance=1e-9, boxes=9).boxes == 1
    monkeypatch.undo()
    shares = []
    monkeypatch.setattr(integral._Clock, "spent", lambda self: 0.75)
    error_integral(bent, *ONE, ZERO, p=1, tolerance=1e-12, boxes=20, report=shares.append)
    assert shares[0] == 0.75
    assert shares[-1] == 19 / 20


def test_searches_stop_at_a_thousandth_or_two_million_boxes_unless_told():
    for work in (error_integral, error_norm):
        given = inspect.signature(work).parameters
        assert given["tolerance"].default == 1e-3
        assert given["boxes"].default == 2_000_000


# -- norms -----------------------------------------------------------------------------------------


def asked(monkeypatch, answers, p, **given):
    """What a norm asks of the integrals, and what it makes of their answers."""
    calls, left = [], list(answers)

    def recorded(target, low, high, outputs, **kwargs):
        calls.append(kwargs)
        return left.pop(0)

    monkeypatch.setattr(integral, "error_integral", recorded)
    found = error_norm(bent, *ONE, ZERO, p=p, **given)
    return calls, found


def test_a_norm_is_that_of_the_error_over_its_supremum(monkeypatch):
    top, power = ErrorIntegral(1.0, 2.0, 10, False), ErrorIntegral(0.125, 1.0, 7, True)
    given = {"weights": [3], "report": print, "boxes": 1000, "tolerance": 0.01, "end": 140.0}
    monkeypatch.setattr(integral, "time", SimpleNamespace(monotonic=lambda: 100.0))
    calls, found = asked(monkeypatch, [top, power], 3.0, **given)
    half = {"end": 120.0, "weights": [3]}  # of the time
    assert calls[0] == {"p": math.inf, "tolerance": 20.0, "boxes": 0, **half}
    assert calls[1] == {
        "p": 3.0,
        "tolerance": pytest.approx(1 - math.exp(-0.03), rel=1e-12),
        "boxes": 990,
        "report": print,
        "scale": 2.0,
        "end": 140.0,
        "weights": [3],
    }
    assert (found.lower, found.upper) == pytest.approx((1.0, 2.0), rel=1e-14)
    assert found.lower <= 1.0
    assert found.upper >= 2.0
    assert (found.boxes, found.converged) == (17, False)


@pytest.mark.parametrize(("p", "cuts"), [(20.0, 0), (20.5, 250), (400.0, 250)])
def test_large_exponents_spend_a_quarter_on_the_supremum(monkeypatch, p, cuts):
    top, power = ErrorIntegral(1.0, 1.0, 1001, True), ErrorIntegral(0.5, 0.5, 1, False)
    calls, found = asked(monkeypatch, [top, power], p, boxes=1002)
    assert (calls[0]["boxes"], calls[1]["boxes"]) == (cuts, 1)
    assert calls[0]["tolerance"] == pytest.approx(60 / p)
    assert found.converged
    calls, _ = asked(monkeypatch, [top, power], p, boxes=10)
    assert calls[1]["boxes"] == 1


@pytest.mark.parametrize("upper", [0.0, math.inf])
def test_a_supremum_that_is_no_scale_is_none(monkeypatch, upper):
    answers = [ErrorIntegral(0.0, upper, 1, False), ErrorIntegral(0.0, upper, 1, False)]
    calls, found = asked(monkeypatch, answers, 2.0)
    assert calls[1]["scale"] == 1.0
    assert (found.lower, found.upper) == (0.0, upper)
    assert found.converged == (upper == 0)


@pytest.mark.parametrize("p", [1.0, math.inf])
def test_norms_that_are_integrals_ask_once(monkeypatch, p):
    answer = ErrorIntegral(0.5, 0.75, 3, False)
    given = {"weights": [3], "report": print, "boxes": 1000, "tolerance": 0.01, "end": 140.0}
    calls, found = asked(monkeypatch, [answer], p, **given)
    assert calls == [{"p": p, **given}]
    assert found is answer


def test_roots_take_every_pair_of_bounds():
    assert norm_from_integral(0.5, 0.5, 1.0) == (0.5, 0.5)
    assert norm_from_integral(0.0, math.inf, 2.0) == (0.0, math.inf)
    for wrong in ((-0.5, 0.5), (math.nan, 1.0), (0.0, math.nan), (1.0, 0.5)):
        with pytest.raises(ValueError, match="0 <= lower <= upper"):
            norm_from_integral(*wrong, 2.0)
    with pytest.raises(ValueError, match="0 <= lower <= upper"):
        norm_from_integral(1.0, 0.5, math.inf)


# -- arguments -------------------------------------------------------------------------------------


def test_arguments_are_taken_as_given_or_refused():
    low, _, y, weight = _given(*ONE, ZERO, None)
    assert (low.shape, weight.tolist(), y.hi.item()) == ((1, 1, 1), [1.0], 0.0)
    outputs = Interval(ZERO, ZERO + 1)
    assert _given(*ONE, outputs, [4])[2] is outputs
    assert _given(*ONE, outputs, np.array([4], dtype=np.uint8))[3].tolist() == [4.0]
    assert _given(*ONE, outputs, [0])[3].tolist() == [0.0]
    for weights in ([1.0], [-1], [1, 1], 1, [True], [[1]]):
        with pytest.raises(ValueError, match="`weights` must hold one integer"):
            _given(*ONE, ZERO, weights)
    with pytest.raises(ValueError, match="at least one box"):
        _given(ONE[0][:0], ONE[1][:0], ZERO[:0], None)
    for tolerance in (0, -1.0, math.inf, math.nan):
        for work in (error_integral, error_norm):
            with pytest.raises(ValueError, match="`tolerance` must be a finite number > 0"):
                work(bent, *ONE, ZERO, p=2, tolerance=tolerance)
    assert error_integral(bent, *ONE, ZERO, p=2, tolerance=0.5).converged
