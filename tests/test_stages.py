"""The stages of one upper bound: what each is asked for, in which order, and what is kept."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from cases.clock import Clock
from looprate.theory.continuity.upper import stages
from looprate.theory.continuity.upper.stages import Search, relative_gap, shifted
from looprate.theory.enclosure.deadline import OutOfTimeError, time_limit

SAME = 1e-11  # relative: a few slacks
NOW = 1000.0  # what a stopped clock shows
PAIRS, PARTITION, ADDITIVE, STEEPEST = "branch and bound", "partition", "additive", "steepest point"


def linear(x):
    """Every entry four times."""
    return 4.0 * x


def search_of(f=linear, kind="sequence", tokens=2, dim=1, *, p=2.0, known=False, **more):
    return Search(f, kind, tokens, dim, p, more.pop("tolerance", 0.1), known, **more)


@pytest.fixture
def clock(monkeypatch):
    """The clock of the stages, stopped."""
    stopped = Clock(NOW)
    monkeypatch.setattr(stages, "time", stopped)
    return stopped


def recorded(monkeypatch, name, answer):
    """Put an answer in place of a function of the stages; return what it is called with."""
    calls = []
    monkeypatch.setattr(stages, name, lambda *a, **k: calls.append((a, k)) or answer)
    return calls


# -- one radius ------------------------------------------------------------------------------------


def with_rows(search, found, clock=None):
    """Answer for the rows of a search one after the other; return what they were asked."""
    calls, answers = [], iter(found)

    def row(delta, watched, threshold, left, report, most):
        calls.append((delta, watched, threshold, left, report, most))
        if clock is not None:
            clock.now += 1.0
        return next(answers)

    search._row = row
    return calls


def bound_of(search, delta=0.5, lower=1.0, seconds=9.0, near=(), report=None):
    return search.bound(delta, lower, seconds, list(near), report)


def test_rows_share_what_time_is_left(clock):
    search = search_of(kind="token", tokens=3)
    calls = with_rows(search, [(1.0, "a", 5), (3.0, "b", 7), (2.0, "c", 9)], clock)
    found = bound_of(search, report=print)
    assert [call[1] for call in calls] == [0, 1, 2]
    assert [call[3] for call in calls] == [3.0, 4.0, 7.0]
    assert [call[2] for call in calls] == [pytest.approx(1.1)] * 3
    assert [(call[0], call[4]) for call in calls] == [(0.5, print)] * 3
    assert (found.value, found.method, found.boxes, found.reached) == (3.0, "b", 21, False)
    assert found.note == "21 cells; stopped after 3 s, before the gap was closed"


@pytest.mark.parametrize(
    ("kind", "known", "rows"),
    [
        ("sequence", False, [None]),
        ("sequence", True, [None]),
        ("token", True, [0]),
        ("contextual", False, [0, 1]),
    ],
)
def test_all_rows_are_watched_one_alone_or_each(kind, known, rows):
    search = search_of(kind=kind, known=known)
    calls = with_rows(search, [(1.0, "a", 1), (1.0, "b", 1)])
    found = bound_of(search)
    assert [call[1] for call in calls] == rows
    assert found.boxes == len(rows)
    assert found.method == ("b" if len(rows) == 2 else "a")
    assert found.note == f"{len(rows)} cells"
    assert found.reached


def test_a_row_without_a_bound_leaves_none():
    search = search_of(kind="token")
    with_rows(search, [(1.0, "a", 1), (math.inf, "b", 1)])
    found = bound_of(search)
    assert (found.value, found.method, found.reached) == (math.inf, "b", False)
    search = search_of()
    with_rows(search, [(math.inf, "a", 1)])
    found = bound_of(search, lower=math.inf)
    assert (found.value, found.reached) == (math.inf, False)
    assert found.note == "the modulus is beyond the largest float64 number"


def test_thresholds_are_the_lower_bound_and_its_tolerance_but_no_less_than_rounding():
    search = search_of()
    for lower in (1.0, 0.0, 1e-13, 1e-11):
        calls = with_rows(search, [(lower, "a", 0)])
        bound_of(search, lower=lower)
        assert calls[0][2] == max(lower * 1.1, stages.FLOOR * search.size)
    assert stages.FLOOR == 1e-12
    search.size = math.inf
    calls = with_rows(search, [(0.0, "a", 0)])
    bound_of(search, lower=0.0)
    assert calls[0][2] == 0


def test_other_radii_are_asked_first_and_last():
    search = search_of()
    calls = with_rows(search, [])
    found = bound_of(search, near=[(0.25, 0.55), (1.0, 7.0)])
    assert (found.value, found.method, found.boxes) == (1.1, "subadditive", 0)
    assert found.reached
    assert bound_of(search, near=[(1.0, 1.05)]).method == "monotone"
    assert not calls
    calls = with_rows(search, [(3.0, "a", 2), (3.0, "a", 2), (1.5, "a", 2)])
    found = bound_of(search, near=[(1.0, 2.0)])
    assert (found.value, found.method, found.boxes) == (2.0, "monotone", 2)
    found = bound_of(search, near=[(1.0, 3.0)])
    assert (found.value, found.method) == (3.0, "a")
    found = bound_of(search, near=[(1.0, 2.0)])
    assert (found.value, found.method) == (1.5, "a")
    assert len(calls) == 3


def test_at_radius_0_nothing_is_sought():
    search = search_of()
    calls = with_rows(search, [])
    found = bound_of(search, delta=0.0, lower=0.0)
    assert (found.value, found.method, found.boxes, found.reached) == (0.0, "steepness", 0, True)
    assert found.note == "0 cells"
    assert not calls


def test_notes_say_what_is_known(clock, monkeypatch):
    search, checks = search_of(), recorded(monkeypatch, "check_arithmetic", None)
    with_rows(search, [(v, "a", 4) for v in (1.1, 1.2, 1e-12, 1e-12, 1e-13, 9e-12)])
    assert bound_of(search).note == "4 cells"
    assert bound_of(search).note == "4 cells; stopped after 0 s, before the gap was closed"
    assert bound_of(search, lower=0.0).note == "4 cells; 0 up to rounding"
    assert bound_of(search, lower=9e-13).note == "4 cells"  # within twice the tolerance
    assert bound_of(search, lower=-1.0).note == "4 cells; 0 up to rounding"
    assert bound_of(search, lower=2.4e-12).note.endswith("before the gap was closed")
    assert len(checks) == 6
    twice = 1e-12 / 1.2
    with_rows(search, [(1e-12, "a", 4), (1e-12, "a", 4)])
    assert relative_gap(1e-12, twice * (1 + 1e-9)) < 0.2 < relative_gap(1e-12, twice * (1 - 1e-9))
    assert bound_of(search, lower=twice * (1 + 1e-9)).note == "4 cells"
    assert bound_of(search, lower=twice * (1 - 1e-9)).note == "4 cells; 0 up to rounding"
    search.moved = 0.25
    with_rows(search, [(1.0, "trivial", 0)] * 2)
    assert bound_of(search).note == (
        "rounding moves values by up to 0.25: only their range is certified"
    )
    assert bound_of(search, lower=math.inf).note == (
        "the modulus is beyond the largest float64 number"
    )


# -- one row ---------------------------------------------------------------------------------------


def with_stages(search, answers, clock=None):
    """Answer for the stages by name (inf where none is given); return what they were asked."""
    calls = []

    def stage(name, problem, threshold, left, best, report, most):
        calls.append(SimpleNamespace(**locals(), limit=time_limit()))
        answer = answers.get(name, math.inf)
        if clock is not None:
            clock.now += 1.0
        if answer is None:
            raise OutOfTimeError
        return answer, 10 ** len(calls), problem

    search._stage = stage
    return calls


FEW = [(PAIRS, 0.0), (ADDITIVE, 0.5), (STEEPEST, 0.5), (PARTITION, 0.6), (PAIRS, 1.0)]
MANY = [(PAIRS, 0.0), (ADDITIVE, 0.5), (STEEPEST, 0.6), (PAIRS, 0.75), (PARTITION, 1.0)]


@pytest.mark.parametrize(
    ("tokens", "delta", "known"),
    [
        (1, 0.5, FEW),
        (2, 0.5, FEW),
        (3, 0.5, MANY),
        (2, 2.0**-200, FEW),
        (2, 2.0**-201, [(STEEPEST, 1.0)]),
        (3, 1e-300, [(STEEPEST, 1.0)]),
    ],
)
def test_stages_come_in_order_each_with_its_share_of_the_time(clock, tokens, delta, known):
    search = search_of(tokens=tokens)
    calls = with_stages(search, {})
    value, method, cells = search._row(delta, None, 0.0, 8.0, print)
    assert [call.name for call in calls] == [name for name, _ in known]
    assert [call.left for call in calls] == [8.0 * share for _, share in known]
    limits = [NOW + 8.0 * (share or 1.0) for _, share in known]
    assert [call.limit for call in calls] == limits
    assert {call.report for call in calls} == {print}
    assert cells == sum(10**k for k in range(1, len(known) + 1))
    assert method == "steepness"
    steep = 4 * math.sqrt(tokens) * delta
    assert steep <= value <= steep * (1 + SAME)
    exponent = search._exponent(search.span)
    assert {shifted(call.best, exponent) for call in calls} == {value}


def test_time_is_that_of_the_row_and_at_most_that_of_the_search(clock):
    search = search_of(end=NOW + 3.0)
    calls = with_stages(search, {})
    search._row(0.5, None, 0.0, 8.0, None)
    assert [call.left for call in calls] == [0.0, 1.5, 1.5, pytest.approx(1.8), 3.0]
    calls = with_stages(search, {}, clock)
    search.end = NOW + 8.0
    search._row(0.5, None, 0.0, 100.0, None)  # the steepest point is known already
    assert [call.left for call in calls] == [0.0, 3.5, pytest.approx(3.6), 5.0]
    assert [call.limit for call in calls] == pytest.approx([NOW + 8, NOW + 4.5, NOW + 5.6, NOW + 8])
    calls = with_stages(search, {}, clock)
    search.end = NOW + 6.0
    search._row(0.5, None, 0.0, 100.0, None)
    assert [call.name for call in calls] == [
        PAIRS,
        ADDITIVE,
        PARTITION,
    ]  # at the end still, then over


def test_counted_in_cells_rows_and_stages_share_them_and_time_is_a_cap(clock):
    search = search_of(kind="token", tokens=3)
    calls = with_rows(search, [(1.0, "a", 5), (3.0, "b", 7), (2.0, "c", 9)], clock)
    found = search.bound(0.5, 1.0, 9.0, [], None, 35)
    assert [call[5] for call in calls] == [11, 15, 23]
    assert [call[3] for call in calls] == [9.0, 8.0, 7.0]
    assert found.note == "21 cells; stopped before the gap was closed"
    search = search_of()
    calls = with_stages(search, {})
    search._row(0.5, None, 0.0, 8.0, None, 5000)
    assert [call.most for call in calls] == [0, 2495, 2445, 2334, 0]  # 10, 100, ... of them spent
    assert {call.left for call in calls} == {8.0}


def test_a_stage_that_runs_out_of_time_leaves_the_others():
    search = search_of()
    calls = with_stages(search, {PAIRS: None, ADDITIVE: 0.01})
    value, method, cells = search._row(0.5, None, 0.0, 8.0, None)
    assert [call.name for call in calls] == [name for name, _ in FEW]
    assert (method, cells) == (ADDITIVE, 100 + 1000 + 10000)
    assert value == shifted(0.01, search._exponent(search.span))


def test_a_bound_that_is_low_enough_ends_the_stages():
    search = search_of()
    exponent = search._exponent(search.span)
    calls = with_stages(search, {ADDITIVE: 0.125})
    value, method, _ = search._row(0.5, None, shifted(0.125, exponent), 8.0, None)
    assert (value, method) == (shifted(0.125, exponent), ADDITIVE)
    assert [call.name for call in calls] == [PAIRS, ADDITIVE]
    assert {call.threshold for call in calls} == {0.125}
    calls = with_stages(search, {})
    value, method, cells = search._row(0.5, None, 100.0, 8.0, None)
    assert (calls, method, cells) == ([], "steepness", 0)
    calls = with_stages(search, {})
    assert search._row(50.0, None, 100.0, 8.0, None)[1] == "trivial"


def test_a_stage_that_only_equals_what_is_known_is_not_named():
    search = search_of()
    known = min(search._at_once(0.5, None, search._exponent(search.span)))[0]
    with_stages(search, {PAIRS: known, PARTITION: known})
    assert search._row(0.5, None, 0.0, 8.0, None)[1] == "steepness"


@pytest.mark.parametrize("known", [True, False])
def test_stages_are_given_the_scaled_problem(known):
    search = search_of(kind="token", tokens=3, dim=2, p=3.0, known=known)
    calls = with_stages(search, {})
    search._row(0.5, 1, 0.0, 8.0, None)
    problem = calls[0].problem
    assert (problem.f.f, problem.f.exponent) == (linear, 3)
    assert (problem.tokens, problem.dim, problem.row, problem.p) == (3, 2, 1, 3.0)
    assert problem.moving.tolist() == [False, True, False]
    assert problem.delta == 0.5
    assert problem.sorted_tokens == ((0, 2) if known else ())
    assert problem.steep is None


def test_radii_beyond_the_cube_are_cut_to_twice_its_diameter():
    search = search_of(tokens=3, dim=2)
    calls = with_stages(search, {})
    search._row(100.0, None, 0.0, 8.0, None)
    assert calls[0].problem.delta == 2 * math.sqrt(6)
    calls = with_stages(search, {})
    search._row(4.8, None, 0.0, 8.0, None)
    assert calls[0].problem.delta == 4.8


def test_what_cannot_move_is_bounded_at_once():
    alone = search_of(kind="contextual", tokens=1)
    with_stages(alone, {})
    assert alone._row(0.5, 0, 0.0, 8.0, None) == (0.0, "trivial", 0)
    level = search_of(lambda x: np.array([[0.0], [1.0]]) * x, kind="token")
    calls = with_stages(level, {})
    assert level._row(0.5, 0, 0.0, 8.0, None) == (0.0, "trivial", 0)
    assert not calls
    assert level._row(0.5, 1, 0.0, 8.0, None)[1] == "steepness"
    half = search_of(lambda x: np.array([0.0, 1.0]) * x, dim=2)
    with_stages(half, {})
    assert half._row(0.5, None, 0.0, 8.0, None)[0] >= 0.5


def test_where_rounding_moves_values_the_range_alone_holds():
    search = search_of()
    search.moved = 0.1
    calls = with_stages(search, {})
    value, method, cells = search._row(1e-3, None, 0.0, 8.0, None)
    assert (method, cells) == ("trivial", 0)
    assert 32**0.5 <= value <= 32**0.5 * (1 + SAME)
    assert not calls
