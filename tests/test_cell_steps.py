"""Bounds of many cells at once against slow twins that take one cell, one entry at a time.

The function: two tokens, (3x² + 4y, y² / 2 - 2x), so that derivatives are known by hand.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from looprate.theory.continuity.upper import centre_form, ends_form
from looprate.theory.continuity.upper.cell_bounds import _slopes, cell_bounds
from looprate.theory.continuity.upper.cells import CellProblem, Cells, Derivatives, Ends
from looprate.theory.continuity.upper.centre_form import CentreForm
from looprate.theory.continuity.upper.ends_form import EndsForm
from looprate.theory.continuity.upper.operator_norm import SLACK
from looprate.theory.continuity.upper.places import Places
from looprate.theory.enclosure.intervals import Interval

DELTA = 0.5
SAME = 1e-11  # relative: other orders of sums
P_VALUES = (1.0, 2.0, 3.0, math.inf)
SQUARE, ACROSS = np.array([[3.0], [0.5]]), np.array([[4.0], [-2.0]])


def bent(x):
    return SQUARE * x**2 + ACROSS * x[:, ::-1]


def problem_of(p=2.0, *, f=bent, row=None, delta=DELTA, moving=(True, True), steep=None):
    return CellProblem(f, 2, 1, np.array(moving), row, p, delta, steep=steep)


def some_cells(problem, count, seed):
    """Contracted cells of many sizes, of half of them every difference > 0, some at the sphere."""
    rng = np.random.default_rng(seed)
    size = 10.0 ** rng.uniform(-2.5, -0.3, (count, 1))
    moving = len(problem.movable)
    c_low = rng.random((count, 2)) * (1 - size)
    d_low = (2 * rng.random((count, moving)) - 1) * DELTA * (1 - size)
    d_low[::2] = np.abs(d_low[::2])
    size_c = size * rng.uniform(0.1, 1.0, (count, 2)) * rng.choice([1.0, 0.03], (count, 1))
    d_high = d_low + size * DELTA
    d_high[::5] = DELTA  # beyond the ball
    cells, some = problem.contracted(Cells(c_low, c_low + size_c, d_low, d_high))
    return cells.picked(some)


def parts(cells):
    return [cells.c_low, cells.c_high, cells.d_low, cells.d_high]


# -- one cell at a time ----------------------------------------------------------------------------


def one_cell(problem, cell, threshold):
    """Bound, side and rest of one cell, by plain conditions; and which of them were met."""
    ends, met = Ends.of(problem, cell), set()
    hull = problem.derivatives(Interval(*ends.hull()))
    form = CentreForm.of(problem, cell, ends)
    rest = form.bent(problem, ends, hull)
    if form.steep[0] <= threshold < form.steep[0] + rest[0]:
        rest = form.bent_by_shells(problem, cell, ends)
        met.add("shells")
    bound = min(_slopes(problem, hull, ends)[0], (form.steep[0] + rest[0]) * (1 + SLACK))
    c_size, d_size = cell.c_high[0] - cell.c_low[0], cell.d_high[0] - cell.d_low[0]
    of_c = bool(form.spread[0] > rest[0] or c_size.max() > d_size.max() / 2)
    of_d = not of_c
    column = hull.column()[0]
    if problem.p == 2:
        cell = cell.cut(*form.cap(threshold, rest, ends))
    apart = any(
        low > 0 or high < 0 for low, high in zip(cell.d_low[0], cell.d_high[0], strict=True)
    )
    if bound > threshold and apart and (cell.d_low <= cell.d_high).all():
        inner, some = problem.contracted(cell)
        if some[0]:
            points = Ends.of(problem, inner)
            pair = EndsForm.of(problem, points)
            found, column = pair.bound(problem.p)[0], pair.column[0]
            if found < bound:
                bound, of_c, of_d = found, True, True
                met.add("ends")
            cell = inner.cut(*pair.half_space(problem.p, threshold, points, problem.delta))
            if pair.without_maximiser(problem.p, points)[0]:
                bound = -math.inf
                met.add("moves on")
    if bound > threshold and any(
        (low > high).any() for low, high in zip(*[iter(parts(cell))] * 2, strict=True)
    ):
        bound = -math.inf
        met.add("nothing left")
    gains = [
        of_c * max(w, 0) * k for w, k in zip((cell.c_high - cell.c_low)[0], column, strict=True)
    ]
    gains += [
        of_d * max(w, 0) / 2 * column[k]
        for w, k in zip((cell.d_high - cell.d_low)[0], problem.movable, strict=True)
    ]
    asked = [of_c] * 2 + [of_d] * len(problem.movable)
    side = max(range(len(gains)), key=lambda k: (asked[k], gains[k]))
    return bound, side, cell, met | {f"c {of_c}, d {of_d}"}


def steeper(x):
    """Of third order, so that second derivatives vary."""
    return SQUARE * x**3 + 0.25 * ACROSS * x[:, ::-1]


EVERY = {"c True, d True", "c True, d False", "c False, d True", "shells", "ends"}


@pytest.mark.parametrize(
    ("p", "moving", "more"),
    [
        (1.0, (True, True), {"moves on"}),
        (2.0, (True, True), {"moves on", "nothing left"}),
        (3.0, (True, True), {"moves on"}),
        (math.inf, (True, True), set()),
        (2.0, (False, True), {"moves on"}),
    ],
)
def test_many_cells_are_bounded_as_each_would_be_alone(p, moving, more):
    problem, seen = problem_of(p, f=steeper, moving=moving), set()
    cells = some_cells(problem, 24, 1)
    ends = Ends.of(problem, cells)
    form = CentreForm.of(problem, cells, ends)
    rest = form.bent(problem, ends, problem.derivatives(Interval(*ends.hull())))
    for threshold in (float(np.median(form.steep)), form.steep[3] + rest[3] / 2):
        bounds, sides, left = cell_bounds(problem, cells, threshold)
        for k in range(len(cells)):
            bound, side, cell, met = one_cell(problem, cells.picked(np.array([k])), threshold)
            assert bounds[k] == pytest.approx(bound, rel=SAME), (k, met)
            assert sides[k] == side, (k, met)
            for found, alone in zip(parts(left), parts(cell), strict=True):
                assert found[k] == pytest.approx(alone[0], abs=1e-9), (k, met)
            seen |= met
    assert seen >= EVERY | more


def test_cells_away_from_the_steep_places_are_settled_and_keep_their_size():
    steep = Places.of(np.array([[0.0, 0.0]]), np.array([[0.5, 0.5]]), 2)
    free, problem = problem_of(), problem_of(steep=steep)
    cells = some_cells(problem, 40, 2)
    near = steep.meet(*Ends.of(problem, cells).hull())
    assert 0 < near.sum() < len(near)
    bounds, sides, left = cell_bounds(problem, cells, 0.1)
    wanted = cell_bounds(free, cells, 0.1)
    assert bounds[near].tolist() == wanted[0][near].tolist()
    assert sides[near].tolist() == wanted[1][near].tolist()
    assert np.isneginf(bounds[~near]).all()
    for found, same, old in zip(parts(left), parts(wanted[2]), parts(cells), strict=True):
        assert np.array_equal(found[near], same[near])
        assert np.array_equal(found[~near], old[~near])
    none = cell_bounds(problem, cells.picked(~near), 0.1)
    assert np.isneginf(none[0]).all()
    every = cell_bounds(problem, cells.picked(near), 0.1)
    assert every[0].tolist() == bounds[near].tolist()


# -- the part of a cell above a threshold ----------------------------------------------------------


def cap_of_one(axis, height, reach):
    """The box of {D: axis · D >= height, ‖D‖ <= reach}."""
    far = math.sqrt(max(reach**2 - height**2, 0.0))
    across = [far * math.sqrt(max(1 - a * a, 0.0)) for a in axis]
    low = [min(a * height, a * reach) - w for a, w in zip(axis, across, strict=True)]
    return low, [max(a * height, a * reach) + w for a, w in zip(axis, across, strict=True)]


def half_space_of_one(form, ends, k, p, threshold):
    """Boxes of c and D, entry by entry; None where nothing is sure."""
    v0, low, high = form.v0[k], form.low[k], form.high[k]

    def above(w):
        every = np.broadcast_to(np.asarray(w), (len(form.v0), 1, len(v0)))
        return float(form.above(every)[k, 0])

    if p == 2:
        u = v0 / np.linalg.norm(v0)
        across = np.eye(len(u)) - np.outer(u, u)
        rest = [max(above(row), above(-row), 0.0) for row in across]
        height = math.sqrt(max(threshold**2 - sum(r * r for r in rest), 0.0))
        sure = above(-u) < height
    else:
        u = np.where(v0 < 0, -1.0, 1.0)
        height = threshold - 2 * sum(
            max(-lo if s > 0 else hi, 0.0) for s, lo, hi in zip(u, low, high, strict=True)
        )
        sure = height > 0
    if not sure:
        return None
    a, g = u @ form.in_c[k], u @ form.in_d[k]
    c_most = np.maximum(a * ends.c_reach.lo[k], a * ends.c_reach.hi[k])
    d_most = np.maximum(g * ends.d_reach.lo[k], g * ends.d_reach.hi[k])
    every = np.broadcast_to(g, (len(form.v0), 1, len(g)))
    turned = min(ends_form._ball(every, ends, DELTA)[k, 0] - g @ ends.d0[k], d_most.sum())
    need = height - u @ v0 - np.abs(u) @ form.loose[k]
    inf = math.inf
    box = [[-inf] * len(a), [inf] * len(a), [-inf] * len(g), [inf] * len(g)]
    for j, slope in enumerate(a):
        at = ends.c0.lo[k, j] + (need - (c_most.sum() - c_most[j]) - turned) / slope
        box[0 if slope > 0 else 1][j] = at
    top = (need - c_most.sum() + g @ ends.d0[k]) / np.linalg.norm(g)
    cap = cap_of_one(g / np.linalg.norm(g), top, DELTA) if 0 < top <= DELTA else None
    for j, slope in enumerate(g):
        at = ends.d0[k, j] + (need - c_most.sum() - (d_most.sum() - d_most[j])) / slope
        box[2 if slope > 0 else 3][j] = at
        if cap:
            box[2][j], box[3][j] = max(box[2][j], cap[0][j]), min(box[3][j], cap[1][j])
    return box


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_half_spaces_hold_what_each_entry_must_give_and_little_more(p):
    problem, sure, capped = problem_of(p), 0, 0
    cells = some_cells(problem, 60, 3)
    ends = Ends.of(problem, cells)
    form = EndsForm.of(problem, ends)
    for threshold in (0.3, 0.8, 1.5):
        found = form.half_space(p, threshold, ends, DELTA)
        for k in range(len(cells)):
            box = half_space_of_one(form, ends, k, p, threshold)
            if box is None:
                assert all(np.isinf(part[k]).all() for part in found)
                continue
            sure += 1
            for part, exact, sign in zip(found, box, (1, -1, 1, -1), strict=True):
                exact = np.array(exact)
                assert part[k] == pytest.approx(exact, abs=2e-6, rel=1e-6), (k, threshold)
                known = np.isfinite(exact)
                slack = 1e-12 * np.abs(exact[known])
                assert (sign * part[k][known] <= sign * exact[known] + slack).all()
            capped += box[2 + int(box[3][0] < math.inf)][0] > -math.inf
    assert sure > 30
    assert capped > 10


def test_caps_of_cells_are_those_of_their_largest_eigenvector():
    problem, sides = problem_of(), set()
    balls = Cells(*(np.full((9, 2), v) for v in (0.4, 0.41, -DELTA, DELTA)))
    cells = Cells.joined([some_cells(problem, 60, 4), balls])
    ends = Ends.of(problem, cells)
    form = CentreForm.of(problem, cells, ends)
    for threshold, rest in ((0.1, 0.0), (0.5, 0.01), (1.0, 0.02), (2.0, 0.0)):
        _, _, low, high = form.cap(threshold, np.full(len(cells), rest), ends)
        for k in range(len(cells)):
            (small, large), vectors = np.linalg.eigh(form.start[k].T @ form.start[k])
            reach, axis = form.reach[k], vectors[:, 1]
            least = threshold - rest - form.change[k] * reach
            square = (max(least, 0.0) ** 2 - small * reach**2) / (large - small)
            if least <= 0 or square <= 1e-12:
                if least <= 0 or square < -1e-9:
                    assert np.isneginf(low[k]).all()
                    assert np.isposinf(high[k]).all()
                    sides.add("unknown")
                continue
            height = math.sqrt(square)
            reached = [
                np.maximum(sign * axis * cells.d_low[k], sign * axis * cells.d_high[k]).sum()
                >= height
                for sign in (1, -1)
            ]
            boxes = [cap_of_one(sign * axis, height, reach) for sign in (1, -1)]
            boxes = [box for box, can in zip(boxes, reached, strict=True) if can]
            sides.add(tuple(reached))
            if not boxes:
                assert np.isposinf(low[k]).all()
                assert np.isneginf(high[k]).all()
                continue
            wanted = np.min([b[0] for b in boxes], 0), np.max([b[1] for b in boxes], 0)
            assert low[k] == pytest.approx(wanted[0], abs=1e-5)
            assert high[k] == pytest.approx(wanted[1], abs=1e-5)
            assert (low[k] <= wanted[0] + 1e-12).all()
            assert (high[k] >= wanted[1] - 1e-12).all()
    assert sides == {"unknown", (True, True), (True, False), (False, True), (False, False)}


# -- norms of what is left out ---------------------------------------------------------------------


@pytest.mark.parametrize("p", P_VALUES)
def test_what_second_derivatives_add_is_summed_over_the_box_or_over_the_ball(p):
    rng = np.random.default_rng(5)
    problem = problem_of(p)
    ends = Ends.of(problem, some_cells(problem, 30, 5))
    count = len(ends.d0)
    radius = rng.random((count, 2, 2, 2)) * 10.0 ** rng.integers(-2, 2, (count, 2, 1, 1))
    on = Derivatives(
        Interval(np.zeros((count, 2))), *(np.zeros((count, 2, 2)),) * 2, radius, radius
    )
    reach = rng.random(count) * 0.7
    found = centre_form._bent(problem, on, ends, reach, 0.25)
    by_ball = 0
    for k in range(count):
        most, entries = ends.d_most[k], []
        for h in radius[k]:
            box = sum(h[i, j] * most[i] * most[j] for i in range(2) for j in range(2))
            ball = math.sqrt((h**2).sum()) * reach[k] ** 2
            by_ball += ball < box
            entries.append(min(box, ball))
        exact = np.linalg.norm(entries, p) / 4
        assert exact <= found[k] <= exact * (1 + 8 * SLACK)
    assert 5 < by_ball < 2 * count - 5
    radius[0, 0, 0, 1] = math.inf
    assert centre_form._bent(problem, on, ends, reach, 0.25)[0] == math.inf


def test_without_second_derivatives_the_centre_form_says_nothing_and_others_keep_theirs():
    kink = problem_of(f=lambda x: abs(x - 0.5) + x**2)
    cells = Cells(
        np.array([[0.1, 0.1], [0.4, 0.1], [0.7, 0.7]]),
        np.array([[0.2, 0.2], [0.6, 0.2], [0.8, 0.8]]),
        np.full((3, 2), 0.01),
        np.full((3, 2), 0.02),
    )
    ends = Ends.of(kink, cells)
    form = CentreForm.of(kink, cells, ends)
    assert np.isinf(form.steep).tolist() == [False, True, False]
    assert np.isinf(form.change).tolist() == [False, True, False]
    assert (form.spread[1], form.start[1].any()) == (0.0, False)
    alone = CentreForm.of(kink, cells.picked(np.array([2])), ends.picked(np.array([2])))
    for name in ("steep", "spread", "reach", "start", "change"):
        assert getattr(form, name)[2] == pytest.approx(getattr(alone, name)[0], rel=SAME)
    assert form.start[2, 0, 0] == pytest.approx(1 + 2 * 0.75)
    none = CentreForm.of(kink, cells.picked(np.array([1])), ends.picked(np.array([1])))
    assert np.isinf(none.steep).all()
    assert none.start.shape == (1, 1, 2)
    assert not none.start.any()


@pytest.mark.parametrize("p", P_VALUES)
def test_norms_of_pairs_are_bounded_by_their_entries_or_by_the_dual_functional(p):
    problem = problem_of(p)
    cells = some_cells(problem, 60, 6)
    form = EndsForm.of(problem, Ends.of(problem, cells))
    found, better = form.bound(p), 0
    for k in range(len(cells)):
        v0, low, high = form.v0[k], form.low[k], form.high[k]
        entries = np.linalg.norm(np.maximum(high, -low), p)

        def above(w, k=k):
            every = np.broadcast_to(np.asarray(w), (len(cells), 1, 2))
            return float(form.above(every)[k, 0])

        dual = math.inf
        if p == 1:
            signs = np.where(v0 < 0, -1.0, 1.0)
            dual = above(signs) + 2 * sum(np.maximum(np.where(signs > 0, -low, high), 0.0))
        if p == 2:
            u = v0 / np.linalg.norm(v0)
            rows = np.eye(2) - np.outer(u, u)
            rest = [max(above(row), above(-row), 0.0) for row in rows]
            dual = math.hypot(max(above(u), above(-u), 0.0), *rest)
        better += dual < entries * (1 - 1e-6)
        exact = min(entries, dual)
        assert exact <= found[k] * (1 + 1e-15)
        assert found[k] <= exact * (1 + 8 * SLACK)
    assert (better > 10) == (p in (1, 2))
