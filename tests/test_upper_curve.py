"""Several radii and one budget: what the search is asked for, in which order, and what is told."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cases.clock import Clock
from looprate.theory.continuity.lower.bound import ModulusLowerBound, ModulusLowerCurve
from looprate.theory.continuity.upper import bound as upper
from looprate.theory.continuity.upper.bound import ModulusUpperBound, modulus_upper_bound

CASE = {"kind": "sequence", "tokens": 1, "dim": 1}
NOW = 500.0


def linear(x):
    """Every entry twice: its modulus is 2 delta."""
    return 2.0 * x


@pytest.fixture
def clock(monkeypatch):
    stopped = Clock(NOW)
    monkeypatch.setattr(upper, "time", stopped)
    return stopped


@pytest.fixture
def asked(monkeypatch, clock):
    """Searches that take two seconds a radius and find 2.5 delta; what they are asked for."""
    calls = SimpleNamespace(made=[], bound=[])

    class Search:
        """Keeps what it is asked, and reports once in its middle."""

        def __init__(self, *given):
            calls.made.append(given)
            clock.now += 3.0

        def bound(self, delta, lower, seconds, near, report, most):
            calls.bound.append((delta, lower, seconds, list(near), most))
            clock.now += 1.0
            if report is not None:
                report(0.125)
            clock.now += 1.0
            return SimpleNamespace(
                value=2.5 * delta, method="told", boxes=7, reached=False, note="a note"
            )

    monkeypatch.setattr(upper, "Search", Search)
    return calls


def lower_of(radii):
    """The pairs 0 and delta, which attain the modulus."""
    if isinstance(radii, float):
        ends = np.zeros((1, 1)), np.full((1, 1), radii)
        return ModulusLowerBound("sequence", radii, 2 * radii, *ends, 2.0)
    delta = np.array(radii)
    pairs = tuple(lower_of(radius) for radius in delta.tolist())
    rules = ("pair",) * len(pairs)
    return ModulusLowerCurve("sequence", 2.0, delta, 2 * delta, 2 * delta, pairs, rules, delta)


def test_radii_share_the_budget_and_go_from_small_to_large(asked, clock):
    radii, told = [0.4, 0.1, 0.2], []
    lower = lower_of(radii)
    curve = modulus_upper_bound(
        linear, radii, lower=lower, seconds=12.0, tolerance=0.3, p=3.0, report=told.append, **CASE
    )
    end = NOW + 12.0
    assert asked.made == [(linear, "sequence", 1, 1, 3.0, 0.3, False, end)]
    assert [call[0] for call in asked.bound] == [0.1, 0.2, 0.4]
    assert [call[1] for call in asked.bound] == [lower.direct[k] for k in (1, 2, 0)]
    assert [call[2] for call in asked.bound] == [9 / 3, 7 / 2, 5 / 1]
    assert [call[3] for call in asked.bound] == [
        [],
        [(0.1, 0.25)],
        [(0.1, 0.25), (0.2, 0.5)],
    ]
    assert {call[4] for call in asked.bound} == {None}
    assert told == pytest.approx(
        [1 / 9, 1 / 3, (1 + 1 / 3.5) / 3, 2 / 3, (2 + 1 / 5) / 3, 1.0], rel=1e-12
    )
    assert curve.delta.tolist() == radii
    assert curve.upper.tolist() == [1.0, 0.25, 0.5]
    assert curve.rules == ("direct",) * 3
    assert curve.lower.tolist() == lower.direct.tolist()
    assert curve.gap == pytest.approx([0.25] * 3, rel=1e-9)
    assert (curve.kind, curve.p) == ("sequence", 3.0)
    for bound, radius in zip(curve.bounds, radii, strict=True):
        assert (bound.kind, bound.delta, bound.p) == ("sequence", radius, 3.0)
        assert (bound.value, bound.method, bound.boxes) == (2.5 * radius, "told", 7)
        assert (bound.reached, bound.note) == (False, "a note")
        assert bound.seconds == 2.0 + 3.0 / 3  # its own, and a share of what all need
        assert bound.gap == pytest.approx(0.25)


def test_radii_share_cells_the_least_has_a_third_of_them_and_time_is_a_cap(asked):
    radii = [0.4, 0.1, 0.2, 0.3]
    modulus_upper_bound(linear, radii, lower=lower_of(radii), seconds=12.0, boxes=90, **CASE)
    assert [call[4] for call in asked.bound] == [30, 83 // 3, 76 // 2, 69]
    assert [call[2] for call in asked.bound] == [9.0, 7.0, 5.0, 3.0]


def test_time_that_is_over_is_none_and_not_less(asked, clock):
    modulus_upper_bound(
        linear, [0.1, 0.2, 0.4], lower=lower_of([0.1, 0.2, 0.4]), seconds=4.5, **CASE
    )
    assert [call[2] for call in asked.bound] == [0.5, 0.0, 0.0]
    assert asked.made[0][-1] == NOW + 4.5


def test_one_radius_has_all_of_the_budget(asked):
    told = []
    found = modulus_upper_bound(
        linear, 0.2, lower=lower_of(0.2), seconds=7.0, report=told.append, **CASE
    )
    assert asked.bound == [(0.2, pytest.approx(0.4), 4.0, [], None)]
    assert asked.made[0][4:6] == (2.0, 0.02)
    assert told == [0.25, 1.0]
    assert isinstance(found, ModulusUpperBound)
    assert (found.value, found.seconds) == (0.5, 5.0)


def test_an_array_of_one_radius_is_a_curve_beside_one_bound(asked):
    for lower in (lower_of(0.2), lower_of([0.2])):
        curve = modulus_upper_bound(linear, [0.2], lower=lower, **CASE)
        assert curve.upper.tolist() == [0.5]
        assert asked.made[-1][-1] == NOW + 60.0 + 5.0 * (len(asked.made) - 1)
        assert asked.made[-1][4:6] == (2.0, 0.02)


@pytest.mark.parametrize("equivariant", [None, True, False])
def test_a_lower_bound_that_is_not_given_is_sought(monkeypatch, asked, clock, equivariant):
    calls = []

    def sought(f, radii, **given):
        calls.append((f, radii.tolist(), given))
        clock.now += 4.0
        return lower_of(radii)

    monkeypatch.setattr(upper, "modulus_lower_bound", sought)
    found = modulus_upper_bound(linear, 0.2, seconds=10.0, equivariant=equivariant, **CASE)
    known = bool(equivariant)
    assert calls == [(linear, [0.2], CASE | {"p": 2.0, "equivariant": known})]
    assert asked.made[0][6] == known
    assert asked.made[0][7] == NOW + 14.0  # the budget is the search's own
    assert asked.bound[0][2] == 7.0
    assert found.seconds == 2.0 + 7.0


@pytest.mark.parametrize("name", ["tolerance", "seconds"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_numbers_that_cannot_be_are_refused(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be finite and > 0"):
        modulus_upper_bound(linear, 0.2, **CASE, **{name: value})


def test_clocks_tell_how_far_a_part_is_and_never_more_than_all_of_it(clock):
    told = []
    assert upper._clock(None, 1, 4, 8.0) is None
    tick = upper._clock(told.append, 1, 4, 8.0)
    for now in (0.0, 2.0, 8.0, 9.0, 100.0):
        clock.now = NOW + now
        tick(0.3)
    assert told == [1 / 4, 1.25 / 4, 2 / 4, 2 / 4, 2 / 4]
    clock.now, told[:] = NOW, []
    upper._clock(told.append, 0, 2, 0.0)(0.3)
    fast = upper._clock(told.append, 0, 2, 0.5)
    clock.now += 0.25
    fast(0.3)
    assert told == [0.5, 0.25]


def bound_at(delta, value, lower=1.0):
    x = np.zeros((1, 1))
    pair = ModulusLowerBound("sequence", delta, lower, x, x, 2.0)
    return ModulusUpperBound("sequence", delta, value, 2.0, pair, "told", 0, 0.0, True, "")


def test_curves_take_what_follows_from_other_radii_only_where_it_is_better():
    curve = upper._curve("sequence", 2.0, (bound_at(0.4, 8.0), bound_at(0.1, 1.0), bound_at(1, 3)))
    assert curve.upper.tolist() == [3.0, 1.0, 3.0]
    assert curve.rules == ("monotone", "direct", "direct")
    assert curve.gap.tolist() == [2.0, 0.0, 2.0]
    curve = upper._curve("token", 3.0, (bound_at(0.25, 1.0, 0.5), bound_at(0.5, 9.0, 0.0)))
    assert curve.upper.tolist() == [1.0, 2.0]
    assert curve.rules == ("direct", "subadditive")
    assert curve.lower.tolist() == [0.5, 0.0]
    assert curve.gap.tolist() == [1.0, math.inf]
    assert (curve.kind, curve.p, curve.delta.tolist()) == ("token", 3.0, [0.25, 0.5])
    assert [bound.value for bound in curve.bounds] == [1.0, 9.0]
    alone = upper._curve("sequence", 2.0, (bound_at(0.5, math.inf),))
    assert (alone.upper.tolist(), alone.rules) == ([math.inf], ("direct",))
    unlike = upper._curve("sequence", 2.0, (bound_at(0.0, 0.0, 0.0), bound_at(0.5, 1.0)))
    assert (unlike.upper.tolist(), unlike.rules) == ([0.0, 1.0], ("direct",) * 2)


def test_bounds_are_reconciled_with_the_lower_ones_last(monkeypatch, asked):
    """Stand-ins add 1, and 10 times the entry's number."""
    calls = []

    def one(f, value, pair, least):
        calls.append((f, pair.delta, least))
        return value + 1

    monkeypatch.setattr(upper, "reconciled", one)
    monkeypatch.setattr(upper, "reconciled_at", lambda f, value, curve, k: value + 10 * k)
    assert modulus_upper_bound(linear, 0.2, lower=lower_of(0.2), **CASE).value == 1.5
    assert modulus_upper_bound(linear, [0.2], lower=lower_of(0.2), **CASE).upper.tolist() == [1.5]
    assert calls == [(linear, 0.2, 0.4)] * 2
    radii = [0.2, 0.4]
    curve = modulus_upper_bound(linear, radii, lower=lower_of(radii), **CASE)
    assert curve.upper.tolist() == [0.5, 11.0]
