"""Steps of the upper bounds against slow twins: never below, and above by little more than slack.

A slack too small, or of the wrong sign, is below; one too large, or a step that gives up, is above.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from cases.slack import SAME
from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.continuity.upper import centre_form, ends_form, ranges
from looprate.theory.continuity.upper.cells import (
    CellProblem,
    Cells,
    Ends,
    in_cube,
    middle_and_radius,
)
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
)
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import EPS

# -- cells and their ends --------------------------------------------------------------------------


def problem_of(kind="sequence", *, tokens=2, dim=1, delta=0.5, p=2.0, f=None, ordered=()):
    row = None if kind == "sequence" else 0
    return CellProblem(f, tokens, dim, moving_tokens(kind, tokens, 0), row, p, delta, ordered)


def some_cells(problem, count=200, seed=4):
    """Cells of every size, at the faces of the cube and at the ends of D too."""
    rng = np.random.default_rng(seed)
    width, moving = problem.tokens * problem.dim, len(problem.movable)
    reach = min(problem.delta, 1.0)
    size = 10.0 ** rng.uniform(-4, 0, (count, 1))
    c_low = rng.random((count, width)) * (1 - size)
    d_low = (2 * rng.random((count, moving)) - 1) * reach * (1 - size)
    return Cells(c_low, c_low + size, d_low, np.minimum(d_low + size * reach, reach))


@pytest.mark.parametrize("kind", ["sequence", "token", "contextual"])
def test_ends_hold_both_points_of_every_pair_and_little_more(kind):
    problem = problem_of(kind, tokens=2, dim=2)
    inner, some = problem.contracted(some_cells(problem))
    inner = inner.picked(some)
    ends = Ends.of(problem, inner)
    wide = np.zeros((2, *inner.c_low.shape))
    wide[:, :, problem.movable] = inner.d_low, inner.d_high
    x = inner.c_low + wide[0] / 2, inner.c_high + wide[1] / 2
    y = inner.c_low - wide[1] / 2, inner.c_high - wide[0] / 2
    for box, (low, high) in ((ends.x, x), (ends.y, y)):
        assert np.abs(box.lo - np.clip(low, 0, 1)).max() <= 4 * EPS
        assert np.abs(box.hi - np.clip(high, 0, 1)).max() <= 4 * EPS
        for k, j in ((0, 0), (3, 1), (7, 2)):
            if low[k, j] >= 0:
                place = list(problem.movable).index(j) if j in problem.movable else None
                least = Fraction(inner.c_low[k, j])
                if place is not None:
                    d = inner.d_low[k, place] if box is ends.x else -inner.d_high[k, place]
                    least += Fraction(d) / 2
                assert Fraction(box.lo[k, j]) <= max(least, 0)
    d0 = np.zeros_like(inner.c_low)
    d0[:, problem.movable] = ends.d0
    for point, sign in ((ends.x0, 1), (ends.y0, -1)):
        assert np.abs(point.middle() - (ends.c0.lo + sign * d0 / 2)).max() <= 4 * EPS
        assert (point.lo >= 0).all()
        assert (point.hi <= 1).all()
    assert (ends.d_most == np.maximum(np.abs(inner.d_low), np.abs(inner.d_high))).all()
    for reach, low, high, at in (
        (ends.c_reach, inner.c_low, inner.c_high, ends.c0.lo),
        (ends.d_reach, inner.d_low, inner.d_high, ends.d0),
    ):
        assert np.abs(reach.lo - (low - at)).max() <= 4 * EPS
        assert np.abs(reach.hi - (high - at)).max() <= 4 * EPS
    hull = ends.hull()
    assert (hull[0] == np.minimum(ends.x.lo, ends.y.lo)).all()
    assert (hull[1] == np.maximum(ends.x.hi, ends.y.hi)).all()


def test_middles_lie_in_the_middle_of_c_and_d():
    problem = problem_of(tokens=1, dim=1)
    one = Cells(*(np.array([[v]]) for v in (0.3, 0.6, -0.1, 0.3)))
    ends = Ends.of(problem, one)
    assert ends.c0.lo[0, 0] == pytest.approx(0.45)
    assert ends.d0[0, 0] == pytest.approx(0.1)
    low = Ends.of(problem, Cells(*(np.array([[v]]) for v in (0.0, 0.1, 0.3, 0.5))))
    assert low.c0.lo[0, 0] == pytest.approx(0.2)  # where both points stay in the cube


def test_what_leaves_the_cube_is_cut_off():
    box = in_cube(Interval([-0.5, 0.25, 0.5, -2.0, 1.5], [0.25, 0.75, 1.5, -1.0, 1.75]))
    assert box.lo.tolist() == [0.0, 0.25, 0.5, 0.0, 1.0]
    assert box.hi.tolist() == [0.25, 0.75, 1.0, 0.0, 1.0]


def test_middle_and_radius_hold_the_slopes_exactly():
    rng = np.random.default_rng(5)
    low = rng.standard_normal(200) * 10.0 ** rng.integers(-8, 8, 200)
    high = low + np.abs(low) * 10.0 ** rng.uniform(-16, 1, 200)
    middle, radius = middle_and_radius(Interval(low, high))
    for lo, hi, m, r in zip(*map(np.ndarray.tolist, (low, high, middle, radius)), strict=True):
        assert Fraction(m) - Fraction(r) <= Fraction(lo)
        assert Fraction(hi) <= Fraction(m) + Fraction(r)
        assert r <= (hi - lo) / 2 * (1 + 16 * EPS) + EPS * max(abs(lo), abs(hi))
    whole = Interval([-math.inf, 0.0, -math.inf], [0.0, math.inf, math.inf])
    middle, radius = middle_and_radius(whole)
    assert middle.tolist() == [0.0] * 3
    assert radius.tolist() == [math.inf] * 3


def test_contraction_leaves_the_tight_box_of_what_a_pair_can_reach():
    """Of every entry in turn, with all others as small, or as far from the faces, as they go."""
    for kind, delta in product(("sequence", "contextual"), (0.3, 1.7)):
        problem = problem_of(kind, tokens=2, dim=2, delta=delta)
        some = some_cells(problem)
        inner, kept = problem.contracted(some)
        least = np.maximum(np.maximum(some.d_low, -some.d_high), 0.0)
        total = (least**2).sum(1, keepdims=True)
        assert (kept <= (total[:, 0] <= delta**2 * (1 + SAME))).all()
        room = np.sqrt(np.maximum(delta**2 - (total - least**2), 0.0))
        low, high = some.c_low.copy(), some.c_high.copy()
        at = problem.movable
        low[:, at], high[:, at] = (
            np.maximum(low[:, at], least / 2),
            np.minimum(high[:, at], 1 - least / 2),
        )
        room = np.minimum(room, 2 * np.minimum(high, 1 - low)[:, at])
        assert np.abs(inner.c_low - low).max() <= SAME
        assert np.abs(inner.c_high - high).max() <= SAME
        assert (inner.c_high >= np.minimum(some.c_high, high)).all()
        d_low, d_high = np.maximum(some.d_low, -room), np.minimum(some.d_high, room)
        assert np.abs(inner.d_low - d_low)[kept].max() <= 1e-6  # roots of nothing
        assert np.abs(inner.d_high - d_high)[kept].max() <= 1e-6
        assert (inner.d_low <= d_low + 4 * EPS)[kept].all()
        assert (inner.d_high >= d_high - 4 * EPS)[kept].all()
        fits = (low <= high).all(1) & (d_low <= d_high).all(1) & (total[:, 0] <= delta**2)
        assert (kept >= fits).all()
        assert 0.1 < kept.mean() < 1


def test_tokens_in_order_are_kept_and_others_left_out():
    problem = problem_of(tokens=3, dim=2, ordered=(0, 1, 2))
    first = np.array([[0.1, 0.9, 0.2, 0.1, 0.3, 0.5], [0.1, 0.1, 0.3, 0.1, 0.2, 0.1]])
    none = np.zeros((2, 6))
    cells_ = Cells(first, first + 0.05, none, none)
    assert problem.contracted(cells_)[1].tolist() == [True, False]
    overlap = Cells(first, first + 0.15, none, none)
    assert problem.contracted(overlap)[1].tolist() == [True, True]


def test_both_halves_share_the_middle_of_the_side():
    one = Cells(*(np.array([v]) for v in ([0.1, 0.2], [0.5, 0.8], [-0.3], [0.1])))
    assert one.widest.tolist() == [pytest.approx(0.6)]
    halves = one.halved(np.array([1]))
    assert halves.c_low.tolist() == [[0.1, 0.2], [0.1, 0.5]]
    assert halves.c_high.tolist() == [[0.5, 0.5], [0.5, 0.8]]
    halves = one.halved(np.array([2]))
    assert halves.d_low.ravel() == pytest.approx([-0.3, -0.1])
    assert halves.d_high.ravel() == pytest.approx([-0.1, 0.1])
    assert halves.c_high.tolist() == [[0.5, 0.8]] * 2


def test_a_cut_is_what_two_boxes_have_in_common():
    one = Cells(*(np.array([[v]]) for v in (0.1, 0.5, -0.3, 0.1)))
    cut = one.cut(*(np.array([[v]]) for v in (0.2, 0.9, -0.5, 0.0)))
    found = (cut.c_low, cut.c_high, cut.d_low, cut.d_high)
    assert [part.item() for part in found] == [0.2, 0.5, -0.3, 0.0]
    again = one.replaced(np.array([0]), cut)
    assert (again.c_low.item(), again.d_high.item(), one.c_low.item()) == (0.2, 0.0, 0.1)
    both = Cells.joined([one, cut])
    assert both.c_low.ravel().tolist() == [0.1, 0.2]
    assert both.picked(np.array([1])).d_high.item() == 0


def test_the_root_is_the_cube_times_the_half_ball_s_box():
    root = problem_of(tokens=2, dim=1, delta=0.25).root()
    assert (root.c_low.tolist(), root.c_high.tolist()) == ([[0.0, 0.0]], [[1.0, 1.0]])
    assert (root.d_low.tolist(), root.d_high.tolist()) == ([[0.0, -0.25]], [[0.25, 0.25]])
    wide = problem_of(tokens=1, dim=1, delta=2.0).root()
    assert (wide.d_low.tolist(), wide.d_high.tolist()) == ([[0.0]], [[1.0]])


# -- linear functionals over boxes and balls -------------------------------------------------------


def over_box_and_ball(g, low, high, delta):
    """max g·D over low <= D <= high and ‖D‖ <= δ, by halving Lagrange's multiplier."""
    ends = np.where(g > 0, high, low)
    if np.linalg.norm(ends) <= delta:
        return float(g @ ends)
    small, large = 0.0, 1e9
    for _ in range(200):
        factor = (small + large) / 2 or 1e-300
        point = np.clip(g / factor, low, high)
        small, large = (factor, large) if np.linalg.norm(point) > delta else (small, factor)
    return float(g @ point)


def boxes_and_functionals(seed, count=200, width=3, delta=0.5):
    rng = np.random.default_rng(seed)
    low = (2 * rng.random((count, width)) - 1) * delta
    high = np.minimum(low + rng.random((count, width)) * delta, delta)
    low[: count // 2] = -np.abs(low[: count // 2])
    high[: count // 2] = np.abs(high[: count // 2])
    near = np.maximum(low, np.minimum(high, 0.0))
    keep = np.linalg.norm(near, axis=1) < 0.95 * delta
    return low[keep], high[keep], rng.standard_normal((int(keep.sum()), width))


def test_functionals_over_box_and_ball_are_bounded_closely():
    delta, gaps = 0.5, []
    low, high, g = boxes_and_functionals(6)
    problem = problem_of(tokens=3, dim=1, delta=delta)
    ends = Ends.of(problem, Cells(np.zeros_like(low) + 0.5, np.zeros_like(low) + 0.5, low, high))
    found = ends_form._ball(g[:, None], ends, delta)[:, 0]
    centre = (low + high) / 2
    zero = np.zeros((len(g), 1))
    difference = ranges._Difference(
        zero, zero, zero, zero, zero, centre, (high - low) / 4, (high - low) / 2, delta
    )
    turned = difference._turned(g[:, None])[:, 0]
    for k in range(len(g)):
        exact = over_box_and_ball(g[k], low[k], high[k], delta)
        assert found[k] >= exact
        moved = exact - g[k] @ centre[k]
        assert turned[k] >= moved - 4 * EPS
        gaps.append((found[k] - exact, turned[k] - moved))
    gaps = np.array(gaps)
    assert np.median(gaps, axis=0).max() < 0.03 * delta
    assert gaps.max() < 0.5 * delta
    free = np.linalg.norm(np.where(g > 0, high, low), axis=1) > delta
    assert free.any()
    inside = np.linalg.norm(g, axis=1) > 0
    balls = over_box_and_ball(np.array([3.0, 4.0]), np.full(2, -1.0), np.full(2, 1.0), 0.5)
    assert balls == pytest.approx(2.5)
    assert inside.all()


def test_linear_functions_of_c_and_d_are_bounded_by_what_their_corners_have():
    """Where the ball does not matter, the sum of what each entry can give, and what is missing."""
    rng, count = np.random.default_rng(7), 60
    problem = problem_of(tokens=2, dim=1, delta=2.0)
    some = some_cells(problem, count)
    inner, kept = problem.contracted(some)
    ends = Ends.of(problem, inner.picked(kept))
    count = int(kept.sum())
    v0, loose = rng.standard_normal((count, 2)), rng.random((count, 2))
    in_c, in_d = rng.standard_normal((2, count, 2, 2))
    w = rng.standard_normal((count, 3, 2))
    found = ends_form._above(w, v0, loose, in_c, in_d, ends, 50.0)
    a, g = w @ in_c, w @ in_d
    exact = (w * v0[:, None]).sum(2) + (np.abs(w) * loose[:, None]).sum(2)
    for part, reach in ((a, ends.c_reach), (g, ends.d_reach)):
        exact += np.maximum(part * reach.lo[:, None], part * reach.hi[:, None]).sum(2)
    size = (np.abs(w) * (np.abs(v0) + loose)[:, None]).sum(2)
    assert (found >= exact + 0.5 * SLACK * size).all()
    assert (found <= exact + 40 * SLACK * (1 + size + np.abs(a).sum(2) + np.abs(g).sum(2))).all()


def test_a_cap_lies_in_its_box_and_touches_it():
    rng = np.random.default_rng(8)
    axis = rng.standard_normal((60, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    axis[:3] = np.eye(3)
    reach = 10.0 ** rng.uniform(-3, 0, 60)
    height = reach * rng.random(60)
    low, high = centre_form.cap_box(axis, height, reach)
    across = rng.standard_normal((4000, 60, 3))
    across -= (across * axis).sum(2, keepdims=True) * axis
    across /= np.linalg.norm(across, axis=2, keepdims=True)
    at = height + (reach - height) * rng.random((4000, 60)) * (rng.random((4000, 60)) < 0.5)
    far = np.sqrt(np.maximum(reach**2 - at**2, 0.0))
    points = at[..., None] * axis + far[..., None] * across
    assert (points >= low).all()
    assert (points <= high).all()
    touched = np.maximum(low - points.min(0), points.max(0) - high)
    span = (high - low).max(1)
    assert (np.abs(touched).max(1) <= span).all()
    rest = np.sqrt(np.maximum(reach**2 - height**2, 0.0))[:, None] * np.sqrt(1 - axis**2)
    least = np.minimum(axis * height[:, None], axis * reach[:, None]) - rest
    assert (low <= least).all()
    assert (low >= least - 1e-5 * reach[:, None]).all()
    most = np.maximum(axis * height[:, None], axis * reach[:, None]) + rest
    assert (high >= most).all()
    assert (high <= most + 1e-5 * reach[:, None]).all()
