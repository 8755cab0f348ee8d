"""One stage of an upper bound: numbers, what is known of a function, and what is asked for."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from test_stages import ADDITIVE, PAIRS, PARTITION, SAME, STEEPEST, linear, recorded, search_of

from looprate.theory.continuity.upper import stages
from looprate.theory.continuity.upper.cells import CellProblem
from looprate.theory.continuity.upper.stages import relative_gap, shifted
from looprate.theory.enclosure.additive import additive_form
from looprate.theory.enclosure.rounding import TINY
from looprate.theory.targets import parse_target


def test_gaps_are_relative_and_0_of_nothing():
    assert relative_gap(3.0, 2.0) == 0.5
    assert relative_gap(0.75, 0.5) == 0.5
    assert relative_gap(2.0, 2.0) == 0
    assert relative_gap(1.0, 2.0) == 0
    assert relative_gap(0.0, 0.0) == 0
    assert relative_gap(1.0, 0.0) == math.inf
    assert relative_gap(1e-300, 0.0) == math.inf
    assert relative_gap(math.inf, 1.0) == math.inf


def test_shifts_by_powers_of_two_are_exact_or_rounded_up():
    assert shifted(3.0, 2) == 12
    assert shifted(12.0, -2) == 3
    assert shifted(0.0, 5) == 0
    assert shifted(-0.75, 1) == -1.5
    assert shifted(math.inf, -3) == math.inf
    assert shifted(math.nan, 0) == math.inf
    assert shifted(1.0, 1024) == math.inf
    assert shifted(1.0, -1021) == 2.0**-1021
    below = shifted(1.0, -1022)
    assert 2.0**-1022 < below <= math.nextafter(2.0**-1022, 1)
    assert shifted(1.25, -1074) == 2 * TINY
    assert shifted(1.0, -2000) == TINY > 0
    assert shifted(-1.0, -2000) == 0


@pytest.mark.parametrize("exponent", [0, 1, 5, 6, -3, -8])
def test_scaled_functions_are_the_function_times_the_power(exponent):
    x = np.array([[[0.1], [0.7]]])
    scaled = stages._Scaled(linear, exponent)
    assert (scaled(x) == 4 * x * 2.0**-exponent).all()
    assert scaled.name == "linear"


def test_powers_beyond_the_floats_are_taken_in_two_steps_and_no_step_for_none():
    big = stages._Scaled(lambda x: x * 2.0**1000, 1900)
    assert big(np.ones((1, 1, 1))).item() == 2.0**-900
    small = stages._Scaled(lambda x: x * 2.0**-1000, -1901)
    assert small(np.ones((1, 1, 1))).item() == 2.0**901
    as_is = SimpleNamespace()  # no product with it
    assert stages._Scaled(lambda _: as_is, 0)(None) is as_is
    assert stages._Scaled(SimpleNamespace(name="mine"), 0).name == "mine"
    assert stages._Scaled(3, 0).name == "3"


def test_a_search_knows_range_size_and_gains_of_its_function():
    search = search_of(lambda x: 4.0 * x + x.sum(1, keepdims=True), tokens=3, dim=2)
    assert search.span == pytest.approx(np.full((3, 2), 7.0))
    assert search.gain.shape == (2, 3, 2)  # a group of inputs for each coordinate
    assert search.gain == pytest.approx(7 * np.eye(2)[:, None].repeat(3, 1))
    assert search.moved == 0
    points = np.random.default_rng(0).random((16, 3, 2))
    assert search.size == pytest.approx((4 * points + points.sum(1, keepdims=True)).max())
    assert search.end == math.inf
    constant = search_of(lambda x: 0 * x + 0.5)
    assert constant.gain.tolist() == np.zeros((1, 2, 1)).tolist()
    assert constant.size == pytest.approx(0.5)


def test_a_constant_that_has_no_gains_is_no_steeper_than_0():
    class Alone:
        """Forgets what it was called with."""

        def __call__(self, x):
            return x.operand(np.full(x.shape, 0.5)) if hasattr(x, "operand") else 0 * x + 0.5

    assert (search_of(Alone()).gain == 0).all()


@pytest.mark.parametrize(("p", "rise"), [(1.0, 8.0), (2.0, 32**0.5), (math.inf, 4.0)])
@pytest.mark.parametrize("exponent", [0, 2, -3])
def test_range_and_gains_bound_at_once(p, rise, exponent):
    search, delta = search_of(p=p), 0.25
    (span, trivial), (steep, steepness) = search._at_once(delta, None, exponent)
    assert (trivial, steepness) == ("trivial", "steepness")
    assert rise * 2.0**-exponent <= span <= rise * 2.0**-exponent * (1 + SAME)
    assert rise * delta * 2.0**-exponent < steep <= rise * delta * 2.0**-exponent * (1 + SAME)


def test_one_row_has_a_range_and_gains_of_its_own():
    search = search_of(lambda x: np.array([[1.0], [8.0]]) * x, kind="token")
    for row, rise in ((0, 1.0), (1, 8.0)):
        (span, _), (steep, _) = search._at_once(0.25, row, 0)
        assert span == pytest.approx(rise, rel=SAME)
        assert steep == pytest.approx(rise / 4, rel=SAME)
    none = search_of(lambda x: 0 * x)
    assert none._at_once(0.25, None, 0) == [(0.0, "trivial"), (0.0, "steepness")]


def test_what_is_proven_on_paper_is_offered_where_it_is_an_upper_bound_only():
    search = search_of(parse_target("softmax-attention"), kind="token", tokens=3, dim=2)
    form = search.f.closed_form(0.1, kind="token", tokens=3, dim=2, p=2.0)
    value, name = search._at_once(0.1, 0, 2)[2]
    assert name == "closed form"
    assert form.side == "upper"
    assert form.value / 4 < value <= form.value / 4 * (1 + SAME)
    exact = search_of(parse_target("context-max"), kind="token")
    assert [name for _, name in exact._at_once(0.1, 0, 0)] == ["trivial", "steepness"]


def test_the_least_radius_is_rounded_up():
    """32^(1/2) times the least float is between five and six of it."""
    steep, _ = search_of()._at_once(TINY, None, 0)[1]
    assert steep / TINY in (6, 7)


def test_what_is_unknown_is_inf():
    search = search_of()
    search.span = np.full((2, 1), math.nan)
    search.gain = np.full((1, 2, 1), math.inf)
    assert [value for value, _ in search._at_once(0.25, None, 0)] == [math.inf] * 2


def test_exponents_are_of_the_range_else_of_values_else_0():
    search = search_of()
    assert search._exponent(np.array([[3.0], [0.1]])) == 2
    assert search._exponent(np.array([[0.2]])) == -2
    search.size = 20.0
    assert search._exponent(np.array([[math.inf], [0.1]])) == 5
    search.size = math.inf
    assert search._exponent(np.array([[math.inf]])) == 0


def problem_of(delta=0.5, row=None):
    moving = np.array([True, False])
    return CellProblem(stages._Scaled(linear, 3), 2, 1, moving, row, 2.0, delta)


def test_pairs_are_searched_below_the_best_bound(monkeypatch):
    answer = SimpleNamespace(value=2.0, boxes=7)
    calls, problem = recorded(monkeypatch, "branch_and_bound", answer), problem_of()
    assert search_of()._stage(PAIRS, problem, 0.1, 3.0, 0.7, print) == (2.0, 7, problem)
    assert calls == [((problem, 0.1), {"seconds": 3.0, "least": 0.7, "report": print})]


def test_the_steepest_point_is_sought_and_narrows_the_problem(monkeypatch):
    calls = recorded(monkeypatch, "steepest_upper_bound", (2.0, 7, "narrower"))
    for delta in (0.5, 2.0**-200):
        problem = problem_of(delta)
        found = search_of()._stage(STEEPEST, problem, 0.1, 3.0, 0.7, print)
        assert found == (2.0, 7, "narrower")
        assert calls.pop() == ((problem, 0.1, 3.0, 0.7, print), {})


def test_at_the_least_radii_the_steepest_point_is_that_of_radius_1(monkeypatch):
    calls = recorded(monkeypatch, "steepest_upper_bound", (2.0, 7, "of radius 1"))
    delta = 2.0**-1000
    for threshold, level in (
        (3 * delta, 3.0),
        (0.9e300 * delta, 0.9e300),
        (1.0, 1e300),
        (0.0, 0.0),
    ):
        problem = problem_of(delta)
        value, count, same = search_of()._stage(STEEPEST, problem, threshold, 5.0, 0.7, print)
        assert 2 * delta < value <= 2 * delta * (1 + SAME)
        assert (count, same) == (7, problem)
        (one, asked, seconds, least, report), _ = calls.pop()
        assert (one.delta, one.f, asked) == (1.0, problem.f, level)
        assert (seconds, least, report) == (5.0, math.inf, print)
    value = search_of()._stage(STEEPEST, problem_of(TINY), 0.0, 5.0, 0.7, None)[0]
    assert value == 3 * TINY


def test_a_partition_is_of_the_scaled_function(monkeypatch):
    calls, problem = recorded(monkeypatch, "ranges_upper_bound", (2.0, 7)), problem_of(row=1)
    found = search_of(p=3.0)._stage(PARTITION, problem, 0.1, 3.0, 0.7, print)
    assert found == (2.0, 7, problem)
    asked = {"tokens": 2, "dim": 1, "moving": problem.moving, "row": 1, "p": 3.0}
    asked |= {"others": problem.sorted_tokens}
    assert calls == [((problem.f, 0.5), asked | {"threshold": 0.1, "seconds": 3.0})]


def test_functions_of_one_variable_are_resolved_to_half_the_tolerance(monkeypatch):
    calls, problem, search = (
        recorded(monkeypatch, "additive_upper_bound", 2.0),
        problem_of(row=1),
        search_of(p=3.0),
    )
    assert search._stage(ADDITIVE, problem, 0.25, 3.0, 0.7, print) == (2.0, 0, problem)
    (form, delta), asked = calls[0]
    exact = additive_form(problem.f, tokens=2, dim=1)
    assert [atom.variable for atom in form.atoms] == [atom.variable for atom in exact.atoms]
    assert (form.coefficients.lo == exact.coefficients.lo).all()
    wanted = {"moving": problem.moving, "row": 1, "p": 3.0, "tolerance": 0.05}
    assert (delta, asked) == (0.5, wanted | {"threshold": 0.25, "seconds": 3.0})
    search._stage(ADDITIVE, problem, 0.25, 3.0, 0.7, print)
    assert calls[1][0][0] is form  # found once


def test_what_is_no_sum_of_such_functions_has_no_bound_by_them(monkeypatch):
    calls = recorded(monkeypatch, "additive_upper_bound", 2.0)
    search = search_of(lambda x: x * x.sum(1, keepdims=True))
    problem = CellProblem(stages._Scaled(search.f, 0), 2, 1, np.ones(2, bool), None, 2.0, 0.5)
    for _ in range(2):
        assert search._stage(ADDITIVE, problem, 0.25, 3.0, 0.7, print) == (math.inf, 0, problem)
    assert not calls
