"""Forms of f(X) - f(Y) on cells of pairs, of functions whose differences are known by hand.

For f = x² it is 2cD, for a linear f it is JD, for x³ it is 3c²D + D³/4.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from looprate.theory.continuity.upper import centre_form, ends_form
from looprate.theory.continuity.upper.cell_bounds import _slopes, cell_bounds
from looprate.theory.continuity.upper.cells import CellProblem, Cells, Derivatives, Ends
from looprate.theory.continuity.upper.centre_form import CentreForm, steepness
from looprate.theory.continuity.upper.ends_form import EndsForm
from looprate.theory.continuity.upper.operator_norm import SLACK
from looprate.theory.enclosure.intervals import Interval

NEAR = 1e-9


def square(x):
    return x**2


def cube(x):
    return x**3


def falling(x):
    return (1 - x) ** 2


def tilted(x):
    """Two tokens: (3x + 4y, x - 2y)."""
    flipped = x[:, ::-1]
    weight = np.array([[3.0], [-2.0]])
    return weight * x + np.array([[4.0], [1.0]]) * flipped


TILT = np.array([[3.0, 4.0], [1.0, -2.0]])


def cell(c_low, c_high, d_low, d_high):
    return Cells(
        *(np.atleast_2d(np.asarray(v, dtype=float)) for v in (c_low, c_high, d_low, d_high))
    )


def problem_of(f, *, tokens=1, p=2.0, delta=0.6, row=None):
    return CellProblem(f, tokens, 1, np.ones(tokens, dtype=bool), row, p, delta)


def ends_form_of(f, cells, **case):
    problem = problem_of(f, **case)
    ends = Ends.of(problem, cells)
    return EndsForm.of(problem, ends), ends


def test_the_ends_form_of_a_square_is_its_second_order_expansion():
    form, _ = ends_form_of(square, cell(0.4, 0.5, 0.1, 0.14))
    c0, d0, reach = 0.45, 0.12, 0.05 + 0.02 / 2
    assert form.v0[0, 0] == pytest.approx(2 * c0 * d0, rel=NEAR)
    assert form.in_c[0, 0, 0] == pytest.approx(2 * d0, rel=NEAR)
    assert form.in_d[0, 0, 0] == pytest.approx(2 * c0, rel=NEAR)
    assert form.loose[0, 0] == pytest.approx(2 * reach**2, rel=1e-6)  # ½ 2 reach², twice
    assert form.c_low[0, 0, 0] == pytest.approx(2 * 0.12 - 4 * reach, abs=1e-9)
    assert form.c_high[0, 0, 0] == pytest.approx(2 * 0.12 + 4 * reach, rel=1e-6)
    for low, exact, high in ((form.low, 2 * 0.4 * 0.1, 0), (form.high, 2 * 0.5 * 0.14, 1)):
        gap = (low[0, 0] - exact) * (1 if high else -1)
        assert 0 <= gap <= 3 * reach**2
    assert form.high[0, 0] <= form.bound(2.0)[0] * (1 + NEAR) <= form.high[0, 0] * (1 + 2 * NEAR)
    # a tenth of the middles of both slopes, and their radii
    assert form.column[0, 0] == pytest.approx(0.1 * 2 * (0.45 + 0.45) + 2 * 2 * reach, rel=1e-6)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_linear_functions_are_bounded_exactly_on_cells_of_differences(p):
    """c does not matter; the corners of D, and the ball, do."""
    for d_low, d_high in (([0.1, 0.2], [0.15, 0.25]), ([-0.3, 0.1], [-0.2, 0.3])):
        cells = cell([0.4, 0.4], [0.6, 0.6], d_low, d_high)
        form, _ = ends_form_of(tilted, cells, tokens=2, p=p, delta=5.0)
        corners = np.array([[a, b] for a in (d_low[0], d_high[0]) for b in (d_low[1], d_high[1])])
        values = corners @ TILT.T
        assert form.low[0] == pytest.approx(values.min(0), rel=1e-7, abs=1e-7)
        assert form.high[0] == pytest.approx(values.max(0), rel=1e-7, abs=1e-7)
        exact = np.linalg.norm(values, p, axis=1).max()
        found = form.bound(p)[0]
        assert exact * (1 - 1e-15) <= found <= exact * 1.08
        assert form.loose.max() < 1e-10
    small = cell([0.4, 0.4], [0.6, 0.6], [0.0, 0.0], [1.0, 1.0])
    inside = ends_form_of(tilted, small, tokens=2, p=p, delta=0.01)[0]
    norm = {1.0: math.hypot(4, 2), 2.0: np.linalg.norm(TILT, 2), math.inf: 5.0}[p]
    assert inside.bound(p)[0] >= norm * 0.01 * (1 - NEAR) * (0.99 if p != math.inf else 1)
    assert inside.high[0] == pytest.approx(np.linalg.norm(TILT, axis=1) * 0.01, rel=1.0)


def test_the_part_of_a_cell_above_a_threshold_is_found():
    """Of 2cD > 0.1 near (0.45, 0.12), and of a linear function, where it is a half-space."""
    cells = cell(0.44, 0.46, 0.1, 0.14)
    form, ends = ends_form_of(square, cells)
    boxes = form.half_space(2.0, 0.12, ends, 0.6)
    assert boxes[2][0, 0] == pytest.approx(0.12 / (2 * 0.46), rel=0.03)
    assert boxes[2][0, 0] <= 0.12 / (2 * 0.46)
    assert boxes[0][0, 0] == pytest.approx(0.12 / (2 * 0.14), rel=0.06)
    assert boxes[0][0, 0] <= 0.12 / (2 * 0.14)
    assert (boxes[1] > 0.46).all()
    assert (boxes[3] > 0.14).all()
    for p in (1.0, 2.0):
        turned = cell([0.3, 0.3], [0.5, 0.5], [0.1, 0.1], [0.3, 0.3])
        form, ends = ends_form_of(lambda x: x * 2.0, turned, tokens=2, p=p, delta=5.0)
        high = 2 * np.linalg.norm([0.3, 0.3], p)
        threshold = 0.95 * high
        found = form.half_space(p, threshold, ends, 5.0)
        least = (threshold / 2 - 0.3) if p == 1 else math.sqrt((threshold / 2) ** 2 - 0.3**2)
        assert (found[2][0] <= least).all()
        assert (found[2][0] >= least - (1e-6 if p == 1 else 0.05)).all()
        assert np.isneginf(found[0]).all()  # c does not matter
        assert (found[3] >= 0.3).all()
    back = cell(0.44, 0.46, -0.14, -0.1)
    form, ends = ends_form_of(square, back)
    boxes = form.half_space(2.0, 0.12, ends, 0.6)
    assert boxes[3][0, 0] == pytest.approx(-0.12 / (2 * 0.46), rel=0.03)
    assert boxes[3][0, 0] >= -0.12 / (2 * 0.46)
    none = form.half_space(math.inf, 0.12, ends, 0.6)
    assert all(np.isinf(part).all() for part in none)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_maximisers_are_where_neither_point_can_move_on(p):
    """2cD grows with c, (2 - 2c)D falls; at the face ahead, or where D may be 0, all is open."""
    inner, upper, lower = (0.4, 0.41, 0.2, 0.21), (0.88, 0.9, 0.2, 0.21), (0.1, 0.12, 0.2, 0.21)
    flat = (0.4, 0.41, -0.01, 0.02)
    for f, expected in (
        (square, (True, False, True, False)),
        (falling, (True, True, False, False)),
        (lambda x: x * 2.0, (False,) * 4),
    ):
        for where, settled in zip((inner, upper, lower, flat), expected, strict=True):
            form, ends = ends_form_of(f, cell(*where), p=p)
            assert form.without_maximiser(p, ends).tolist() == [settled], (f, where)
            assert form.without_maximiser(math.inf, ends).tolist() == [False]
            low, high, d_low, d_high = where
            back, ends = ends_form_of(f, cell(low, high, -d_high, -d_low), p=p)
            assert back.without_maximiser(p, ends).tolist() == [settled], (f, where)


@pytest.mark.parametrize("scale", [1.0, 2.0**-20, 2.0**100])
def test_maximisers_are_the_same_at_any_scale_of_f(scale):  # R1: powers of small entries are not 0
    for where, settled in (((0.4, 0.41, 0.2, 0.21), True), ((0.88, 0.9, 0.2, 0.21), False)):
        form, ends = ends_form_of(lambda x: scale * x**2, cell(*where), p=100.0)
        assert form.without_maximiser(100.0, ends).tolist() == [settled]


def derivatives(middle, radius, bend=0.0, bend_radius=0.0):
    at = np.array([[[middle]]])
    return Derivatives(
        Interval([[0.0]]),
        at,
        np.array([[[radius]]]),
        np.array([[[[bend]]]]),
        np.array([[[[bend_radius]]]]),
    )


def test_of_two_linear_functions_the_one_that_misses_less_is_taken():
    reach = np.array([[0.1]])
    at = derivatives(2.0, 0.01)
    for bend, expected in ((1.0, (2.0, 0.5 * 1.0 * 0.01 + 0.01 * 0.1)), (50.0, (3.0, 0.5 * 0.1))):
        found = ends_form._best_linear(derivatives(3.0, 0.5, bend), at, reach)
        assert found[0].item() == expected[0]
        assert found[1].item() == pytest.approx(expected[1])
        assert found[1].item() > expected[1]
    wide = ends_form._best_linear(derivatives(3.0, math.inf, 0.5, 0.5), at, reach)
    assert wide[1].item() == pytest.approx(0.006)
    nothing = ends_form._best_linear(derivatives(3.0, math.inf, math.inf), at, 0 * reach)
    assert nothing[1].item() == math.inf


def test_slopes_are_known_by_themselves_and_by_second_derivatives():
    reach = np.array([[0.1]])
    low, high = ends_form._slope_range(
        derivatives(3.0, 0.5, 2.0, 1.0), derivatives(2.9, 0.1), reach
    )
    assert (low.item(), high.item()) == pytest.approx((2.9 - 0.4, 2.9 + 0.4))
    assert low.item() < 2.5
    assert high.item() > 3.3
    low, high = ends_form._slope_range(
        derivatives(3.0, 0.2, 2.0, 1.0), derivatives(2.9, 0.1), reach
    )
    assert (low.item(), high.item()) == pytest.approx((2.8, 3.2))


# -- the centre form -------------------------------------------------------------------------------


def test_steepness_is_the_largest_derivative_on_the_box():
    problem, cells = problem_of(square), cell(0.4, 0.6, -0.1, 0.1)
    ends = Ends.of(problem, cells)
    core = problem.derivatives(Interval(cells.c_low, cells.c_high))
    ratio, spread, change, start = steepness(problem, core, ends)
    assert ratio[0] == pytest.approx(1.2, rel=NEAR)
    assert ratio[0] > 1.2 * (1 + SLACK)
    assert spread[0] == pytest.approx(0.2, rel=1e-6)
    assert change[0] == pytest.approx(0.2, rel=NEAR)
    assert change[0] > 0.2 * (1 + SLACK)
    assert start[0, 0, 0] == pytest.approx(1.0)
    five = CellProblem(square, 5, 1, np.ones(5, dtype=bool), None, 1.0, 0.1)
    cells = cell([0.4] * 5, [0.6, 0.6, 0.5, 0.45, 0.42], [0.0] * 5, [0.1] * 5)
    core = five.derivatives(Interval(cells.c_low, cells.c_high))
    ratio, _, change, _ = steepness(five, core, Ends.of(five, cells))
    exact = math.hypot(1.2, 1.2, 1.0, 0.9, 0.84)  # all corners of four, the fifth added
    assert exact <= ratio[0] <= exact * 1.03
    assert change[0] == pytest.approx(math.hypot(0.2, 0.2, 0.1, 0.05) + 0.02, rel=1e-6)


def test_what_second_derivatives_add_to_the_centre_form():
    """|ρ| <= rad(H) D²/4, rad(H) = 3D on the hull of a cube's pair; by shells nearly D³/4."""
    problem, cells = problem_of(cube), cell(0.5, 0.5, 0.2, 0.2)
    ends = Ends.of(problem, cells)
    form = CentreForm.of(problem, cells, ends)
    assert form.steep[0] == pytest.approx(3 * 0.25 * 0.2, rel=1e-6)
    assert form.reach[0] == pytest.approx(0.2)
    hull = problem.derivatives(Interval(*ends.hull()))
    whole = form.bent(problem, ends, hull)[0]
    assert whole == pytest.approx(3 * 0.2**3 / 4, rel=1e-6)
    shells = form.bent_by_shells(problem, cells, ends)[0]
    assert shells == pytest.approx(12 * 30 / 1024 * 0.2**3, rel=1e-6)
    assert 0.2**3 / 4 < shells < whole
    small = problem_of(cube, delta=0.1)
    near = CentreForm.of(small, cells, ends)
    assert near.reach[0] == 0.1  # the ball is smaller than the box
    assert near.bent(small, ends, hull)[0] == pytest.approx(0.6 * 0.1**2 / 4, rel=1e-6)


# -- what is done with them ------------------------------------------------------------------------


def test_slopes_and_ranges_of_a_hull_bound_a_pair():
    problem, cells = problem_of(square), cell(0.4, 0.6, 0.1, 0.2)
    ends = Ends.of(problem, cells)
    hull = problem.derivatives(Interval(*ends.hull()))
    found = _slopes(problem, hull, ends)[0]
    assert found == pytest.approx(min(1.4 * 0.2, 0.49 - 0.09), rel=1e-6)
    far = problem_of(square, delta=0.05)
    assert _slopes(far, hull, ends)[0] == pytest.approx(1.4 * 0.05, rel=1e-6)
    wide = cell(0.1, 0.9, 0.0, 0.6)
    ends = Ends.of(problem, wide)
    hull = problem.derivatives(Interval(*ends.hull()))
    assert _slopes(problem, hull, ends)[0] == pytest.approx(1.0, rel=1e-6)  # the range


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_small_cells_are_bounded_to_second_order(p):
    for f, value in ((square, 2 * 0.5 * 0.2), (cube, 3 * 0.25 * 0.2 + 0.2**3 / 4)):
        problem = problem_of(f, p=p)
        for half in (1e-3, 1e-5):
            small = cell(0.5 - half, 0.5 + half, 0.2 - half, 0.2 + half)
            bound = cell_bounds(problem, small, 0.0)[0][0]
            if bound == -math.inf:  # no maximiser: both points can move on
                continue
            assert value <= bound <= value + 8 * half
        settled = cell_bounds(problem, small, 1.0)
        assert value <= settled[0][0] <= 1.0 or settled[0][0] == -math.inf


def test_forms_without_their_ingredients_are_caught(monkeypatch):
    monkeypatch.setattr(centre_form, "SHELLS", 1)
    with pytest.raises(AssertionError):
        test_what_second_derivatives_add_to_the_centre_form()
