"""Steps of the upper bounds against slow twins: never below, and above by little more than slack.

A slack too small, or of the wrong sign, is below; one too large, or a step that gives up, is above.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import mpmath
import numpy as np
import pytest

from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.continuity.transfer import (
    lower_from,
    pieces,
    strengthened_lower_bounds,
    upper_from,
)
from looprate.theory.continuity.upper import additive, cells, centre_form, ends_form, ranges
from looprate.theory.continuity.upper.cells import (
    CellProblem,
    Cells,
    Ends,
    in_cube,
    middle_and_radius,
)
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    entries_norm_upper_bound,
    operator_norm_upper_bound,
)
from looprate.theory.continuity.upper.places import Places
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import EPS

SAME = 1e-9  # relative: far above every slack, far below what a wrong step changes
P_VALUES = (1.0, 1.3, 2.0, 3.0, 40.0)


def above(found, exact, least=0.5, most=4.0):
    """Whether bounds exceed exact values >= 0 by some slack, at least and at most so much."""
    found, exact = np.asarray(found, dtype=float), np.asarray(exact, dtype=float)
    return bool(
        (found >= exact * (1 + least * SLACK)).all() and (found <= exact * (1 + most * SLACK)).all()
    )


# -- norms ---------------------------------------------------------------------------------------


def entries():
    """Rows of numbers >= 0 of all sizes; ties, one entry alone, next to nothing."""
    rng = np.random.default_rng(0)
    rows = rng.random((60, 4)) * 10.0 ** rng.integers(-3, 3, (60, 1))
    rows[:20] *= 10.0 ** rng.integers(-6, 1, (20, 4))
    rows[20:24] = [[1, 1, 1, 1], [0, 0, 0, 2], [3, 3, 0, 0], [1e-200, 2e-200, 0, 1e-210]]
    rows[24:26] = [[1e200, 3e200, 1e190, 0], [1, 1e-9, 1e-12, 1e-17]]
    return rows


def exact_norms(rows, p):
    with mpmath.workdps(60):
        return [
            float(mpmath.power(sum(mpmath.mpf(v) ** p for v in row), mpmath.mpf(1) / p))
            for row in rows.tolist()
        ]


@pytest.mark.parametrize("p", P_VALUES)
def test_norms_of_entries_exceed_the_exact_ones_by_their_slack(p):
    rows = entries()
    assert above(entries_norm_upper_bound(rows, p), exact_norms(rows, p), most=2.0)


@pytest.mark.parametrize("p", [*P_VALUES, math.inf])
def test_norms_of_nothing_are_0_of_the_unbounded_inf_and_for_p_inf_the_largest(p):
    rows = np.array([[0.0, 0.0], [1.0, math.inf], [0.25, 0.5]])
    found = entries_norm_upper_bound(rows, p)
    assert found[0] == 0
    assert found[1] == math.inf
    assert found[2] >= 0.5
    assert found[2] == 0.5 or p < math.inf


def test_lengths_exceed_the_exact_ones_by_their_slack():
    rows = entries()[:23]
    assert above(cells.lengths(rows), exact_norms(rows, 2.0), most=2.0)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_operator_norms_exceed_the_exact_ones_by_their_slack(p):
    rng = np.random.default_rng(1)
    for shape in ((1, 1), (1, 4), (4, 1), (3, 3), (2, 5)):
        some = rng.standard_normal((30, *shape))
        some[:3] = np.eye(*shape)
        if p == 2:
            exact = np.linalg.svd(some, compute_uv=False).max(1)
        elif p == 1:
            signs = np.array(list(product((-1.0, 1.0), repeat=shape[0])))
            exact = np.sqrt(((signs @ some) ** 2).sum(2)).max(1)
        else:
            exact = np.sqrt((some**2).sum(2)).max(1)
        found = operator_norm_upper_bound(some, p)
        assert above(found, exact, least=0.2, most=40.0), shape


def test_between_the_norms_that_are_known_lyapunov_s_inequality_is_used():
    some = np.random.default_rng(2).standard_normal((40, 3, 4))
    one, two, most = (operator_norm_upper_bound(some, p) for p in (1.0, 2.0, math.inf))
    rows = np.sqrt((some**2).sum(2))
    for p in (1.2, 1.7, 2.5, 6.0):
        share = 2 / p - 1 if p < 2 else 2 / p
        between = one**share * two ** (1 - share) if p < 2 else two**share * most ** (1 - share)
        exact = np.minimum(between, (rows**p).sum(1) ** (1 / p))
        assert operator_norm_upper_bound(some, p) == pytest.approx(exact, rel=1e-10)
        assert (between < (rows**p).sum(1) ** (1 / p)).any()


# -- transfers between radii -----------------------------------------------------------------------


def radii():
    """Pairs of radii whose quotient is a whole number, or next to one, or anything."""
    rng = np.random.default_rng(3)
    for k in (1, 2, 3, 7, 10, 1000):
        for s in (0.1, 0.3, 1 / 3, 0.07, 1e-3, float(rng.random())):
            for t in (k * s, math.nextafter(k * s, 0), math.nextafter(k * s, 9e9)):
                yield t, s
    yield from rng.random((60, 2)).tolist()
    yield from ((0.5, 0.2), (1.0, 0.3), (1e-300, 1e-3), (2.0, 1.999))


def test_bounds_move_to_other_radii_by_whole_pieces_and_are_the_nearest_floats_outside():
    """w(t) <= k w(s) and w(s) >= w(t)/k for k = ceil(t/s), in fractions: no float is nearer."""
    for t, s in radii():
        k = math.ceil(Fraction(t) / Fraction(s))
        assert pieces(t, s) == max(k, 1)
        for value in (2.0, 0.1, 1e-320, 1e-200):
            found, rule = upper_from(t, [(s, value)])
            exact = Fraction(value) * max(k, 1)
            assert Fraction(found) >= exact
            assert found == value or Fraction(math.nextafter(found, 0)) < exact
            assert rule == ("monotone" if t <= s else "subadditive")
            low, source = lower_from(s, [(t, value)])
            exact = Fraction(value) / max(k, 1)
            assert Fraction(low) <= exact
            assert Fraction(math.nextafter(low, math.inf)) > exact
            assert source == t or low == 0


def test_the_best_transfer_is_taken_whatever_the_order():
    known = [(0.4, 5.0), (0.0, 0.0), (0.1, 1.0), (0.9, 8.0), (0.01, math.inf)]
    for some in (known, known[::-1]):
        assert upper_from(0.25, some) == (3.0, "subadditive")
        assert upper_from(0.05, some) == (1.0, "monotone")
        assert upper_from(0.4, some) == (4.0, "subadditive")
        assert upper_from(0.9, some) == (8.0, "monotone")
    assert upper_from(0.4, [(0.4, 5.0)]) == (5.0, "monotone")
    assert upper_from(0.4, []) == (math.inf, "direct")
    assert upper_from(0.4, [(0.0, 1.0)]) == (math.inf, "direct")
    assert upper_from(1.0, [(0.1, 1e308)])[0] == math.inf
    known = [(0.4, 4.0), (0.1, 1.5), (0.05, 0.0)]
    for some in (known, known[::-1]):
        assert lower_from(0.2, some) == (2.0, 0.4)
        assert lower_from(0.1, some) == (1.5, 0.1)
        assert lower_from(0.9, some) == (4.0, 0.4)
        assert lower_from(0.05, some)[0] == pytest.approx(0.75)
        assert lower_from(0.0, some) == (0.0, None)
    assert lower_from(0.01, [(0.05, 0.0)]) == (0.0, None)
    carried, source = lower_from(0.05, [(0.1, math.inf)])  # an overflow says: beyond all floats
    assert (carried < math.inf, carried > 1e307, source) == (True, True, 0.1)


def test_curves_say_where_their_values_come_from():
    lower, rules, sources = strengthened_lower_bounds([0.1, 0.2, 0.4, 0.8], [0.5, 2.0, 1.0, 3.0])
    assert lower.tolist() == [1.0, 2.0, 2.0, 3.0]
    assert rules == ("subadditive", "pair", "monotone", "pair")
    assert sources.tolist() == [0.2, 0.2, 0.2, 0.8]
    with pytest.raises(ValueError, match="shape"):
        strengthened_lower_bounds([0.1], [0.5, 1.0])
    for bad in ((0.1, 0.0), (-0.1, 1.0), (math.inf, 1.0), (0.1, math.nan)):
        with pytest.raises(ValueError, match="`radius` must be finite"):
            pieces(*bad)


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


# -- functions of one variable ---------------------------------------------------------------------


def test_moduli_from_cell_ranges_are_those_of_all_pairs_of_cells_near_enough():
    rng = np.random.default_rng(9)
    for size in (1, 2, 7, 40):
        edges = np.concatenate([[0.0], np.sort(rng.random(size - 1)), [1.0]])
        lo = rng.standard_normal(size)
        hi = lo + rng.random(size)
        radii_ = np.sort(np.concatenate([[1e-3, 0.1, 1.0], rng.random(5)]))
        found = additive._modulus_on(edges, Interval(lo, hi), radii_)
        exact = []
        for radius in radii_:
            near = edges[:-1][None, :] - edges[1:][:, None] <= radius
            apart = np.maximum(hi[None] - lo[:, None], hi[:, None] - lo[None])
            exact.append(np.where(near & near.T, apart, 0.0).max())
        assert above(found, exact, most=2.0), size


def test_the_dual_holds_every_way_to_share_out_radii_and_comes_close():
    """Two variables, staircases under the square of a modulus; the sharing by trying all."""
    rng = np.random.default_rng(10)
    delta, steps = 0.4, 40
    inner = np.arange(steps) / steps * delta
    heights = np.cumsum(rng.random((2, steps)), axis=1)
    heights = np.concatenate([heights, [np.sqrt(np.arange(1, steps + 1.0))] * 2])
    for a, b in ((0, 1), (2, 3), (0, 3)):
        far = inner[:, None] ** 2 + inner[None] ** 2 <= delta**2
        exact = np.where(far, heights[a][:, None] + heights[b][None], 0.0).max()
        pair = heights[[a, b]]
        found, factor = additive._dual(pair, np.array([1, 1]), inner, delta)
        assert exact <= found <= 1.15 * exact
        assert factor >= 0
        value = sum((pair - factor * inner**2).max(1)) + factor * delta**2
        assert found == pytest.approx(value, rel=1e-9)
        assert found > value
    twice = additive._dual(heights[2:3], np.array([2]), inner, delta)[0]
    assert twice == pytest.approx(additive._dual(heights[2:], np.array([1, 1]), inner, delta)[0])


# -- places ----------------------------------------------------------------------------------------


def test_places_are_the_cells_that_boxes_overlap():
    rng = np.random.default_rng(11)
    steps = 8
    low = rng.integers(0, steps, (5, 2)) / steps
    high = low + rng.integers(1, 3, (5, 2)) / steps
    high = np.minimum(high, 1.0)
    places = Places.of(low, high, steps)
    mask = np.zeros((steps, steps), dtype=bool)
    for a, b in zip(low, high, strict=True):
        i, j = (np.round(a * steps).astype(int), np.round(b * steps).astype(int))
        mask[i[0] : j[0], i[1] : j[1]] = True
    assert places.share == pytest.approx(mask.mean())
    for i, j in product(range(steps), repeat=2):
        corner = np.array([[i, j]]) / steps
        assert places.meet(corner, corner + 1 / steps)[0] == mask[i, j]
        assert places.meet(corner + 0.3 / steps, corner + 0.3 / steps)[0] == mask[i, j]
        wide = mask[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].any()
        around = np.clip(corner - 0.5 / steps, 0, 1), np.clip(corner + 1.5 / steps, 0, 1)
        assert places.meet(*around)[0] == wide
    turned = places.permuted((0, 1), 1)
    assert turned.share == pytest.approx((mask | mask.T).mean())
    assert places.permuted((0,), 1).share == places.share


@pytest.mark.parametrize(("width", "steps"), [(1, 4), (2, 4), (3, 2)])
def test_places_meet_boxes_as_sets_of_cells_do(width, steps):
    """Boxes of any ends, points and faces among them, against cells told one by one."""
    rng = np.random.default_rng(12)
    ends_ = np.sort(rng.integers(0, 2 * steps + 1, (2, 40, width)) / (2 * steps), axis=0)

    def cells_of(low, high):
        """The cells that a box overlaps; of a box without width, the one it lies in."""
        spans = []
        for a, b in zip(low, high, strict=True):
            inside = [k for k in range(steps) if k / steps < b and (k + 1) / steps > a]
            lies = min(int(a * steps), steps - 1)
            spans.append(inside if a < b else [lies])
        return set(product(*spans))

    for count in (0, 1, 2):
        low, high = ends_[:, :count]
        places = Places.of(low, high, steps)
        filled = set().union(*(cells_of(a, b) for a, b in zip(low, high, strict=True)))
        assert places.share == len(filled) / steps**width
        assert places.ndim == width
        assert places.below.dtype == np.int32
        met = places.meet(*ends_)
        wanted = [bool(cells_of(a, b) & filled) for a, b in zip(*ends_, strict=True)]
        assert met.tolist() == wanted
        assert count == 0 or 0 < sum(wanted) < 40


def test_places_of_tokens_in_every_order():
    low = np.array([[0.0, 0.5, 0.0, 0.0, 0.5, 0.5]])  # tokens (0, 1), (0, 0), (1, 1) of halves
    places = Places.of(low, low + 0.5, 2)
    assert places.share == 1 / 64
    assert places.permuted((0, 1, 2), 2).share == 6 / 64
    two = places.permuted((0, 2), 2)
    assert two.share == 2 / 64
    turned = np.array([[0.5, 0.5, 0.0, 0.0, 0.0, 0.5]])
    assert two.meet(turned, turned + 0.5).tolist() == [True]
    assert places.meet(turned, turned + 0.5).tolist() == [False]
    other = np.array([[0.0, 0.0, 0.0, 0.5, 0.5, 0.5]])
    assert two.meet(other, other + 0.5).tolist() == [False]
