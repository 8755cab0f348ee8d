"""Derivatives and ends of many cells at once, known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from test_cell_steps import problem_of, some_cells

from looprate.theory.continuity.upper.cells import Derivatives, Ends
from looprate.theory.enclosure.intervals import Interval


@pytest.mark.parametrize("row", [None, 0, 1])
def test_derivatives_are_those_of_the_watched_rows(row):
    low, high = np.array([[0.1, 0.4], [0.5, 0.5]]), np.array([[0.3, 0.5], [0.5, 0.5]])
    rows = [0, 1] if row is None else [row]
    at = problem_of(row=row).derivatives(Interval(low, high))
    slopes_low = np.array([[6 * low[:, 0], [4, 4]], [[-2, -2], low[:, 1]]]).transpose(2, 0, 1)
    slopes_high = np.array([[6 * high[:, 0], [4, 4]], [[-2, -2], high[:, 1]]]).transpose(2, 0, 1)
    assert at.middle == pytest.approx((slopes_low + slopes_high)[:, rows] / 2, abs=1e-12)
    assert at.radius == pytest.approx((slopes_high - slopes_low)[:, rows] / 2, abs=1e-12)
    bend = np.array([[[6.0, 0], [0, 0]], [[0, 0], [0, 1.0]]])[rows]
    assert at.bend == pytest.approx(np.stack([bend, bend]), abs=1e-12)
    assert at.bend_radius == pytest.approx(np.zeros((2, len(rows), 2, 2)), abs=1e-12)
    ends = [3 * low[:, 0] ** 2 + 4 * low[:, 1], 0.5 * low[:, 1] ** 2 - 2 * high[:, 0]]
    assert at.value.lo == pytest.approx(np.stack(ends, 1)[:, rows], abs=1e-12)
    plain = problem_of(row=row).derivatives(Interval(low, high), bend=False)
    assert plain.middle == pytest.approx(at.middle, abs=1e-12)
    assert not plain.bend.any()
    points = problem_of(row=row).derivatives(Interval(low), bend=False).value
    assert points.middle() == pytest.approx(
        np.stack([ends[0], 0.5 * low[:, 1] ** 2 - 2 * low[:, 0]], 1)[:, rows]
    )
    second = at.picked(np.array([1]))
    for name in ("middle", "radius", "bend", "bend_radius"):
        assert np.array_equal(getattr(second, name), getattr(at, name)[1:])
    assert np.array_equal(second.value.lo, at.value.lo[1:])


@pytest.mark.parametrize("bend", [True, False])
def test_a_constant_has_slopes_and_second_derivatives_0(bend):
    box = Interval(np.zeros((3, 2)), np.ones((3, 2)))
    problem = problem_of(f=lambda x: Interval(np.full((3, 2, 1), 0.5)))
    at = problem.derivatives(box, bend=bend)
    assert at.middle.shape == at.radius.shape == (3, 2, 2)
    assert not np.concatenate([at.middle, at.radius]).any()
    if bend:
        assert at.bend.shape == at.bend_radius.shape == (3, 2, 2, 2)
    assert not at.bend.any()
    assert not at.bend_radius.any()


def test_mixed_second_derivatives_stand_on_both_sides_of_the_diagonal():
    at = problem_of(f=lambda x: x * x[:, ::-1] * np.array([[1.0], [3.0]])).derivatives(
        Interval([[0.0, 0.0]], [[1.0, 1.0]])
    )
    cross = np.array([[0.0, 1.0], [1.0, 0.0]])
    assert at.bend[0] == pytest.approx(np.stack([cross, 3 * cross]))
    other = problem_of(f=lambda x: x**2 * x[:, ::-1]).derivatives(
        Interval([[0.0, 0.0]], [[1.0, 0.5]])
    )
    assert other.bend_radius[0, 0] == pytest.approx(np.array([[0.5, 1.0], [1.0, 0.0]]))
    assert other.bend[0, 0] == pytest.approx(np.array([[0.5, 1.0], [1.0, 0.0]]))


def test_columns_are_the_largest_radius_and_a_tenth_of_the_slope_of_any_entry():
    middle = np.array([[[1.0, -2.0], [-30.0, 0.0]]])
    radius = np.array([[[0.5, math.inf], [0.0, 0.25]]])
    none = np.zeros((1, 2, 2, 2))
    found = Derivatives(Interval(np.zeros((1, 2))), middle, radius, none, none).column()
    assert found[0, 0] == pytest.approx(3.0)
    assert found[0, 1] == pytest.approx(1e100)


def test_ends_of_some_cells_are_the_ends_of_all_of_them_picked():
    problem = problem_of(moving=(False, True))
    cells = some_cells(problem, 20, 0)
    which = np.array([3, 1, 4])
    some, every = Ends.of(problem, cells.picked(which)), Ends.of(problem, cells).picked(which)
    for name in ("x", "y", "x0", "y0", "c0", "c_reach", "d_reach"):
        for end in ("lo", "hi"):
            assert np.array_equal(
                getattr(getattr(some, name), end), getattr(getattr(every, name), end)
            )
    for name in ("d0", "d_low", "d_high", "d_most"):
        assert np.array_equal(getattr(some, name), getattr(every, name))
