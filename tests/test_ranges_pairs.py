"""Pairs of boxes of one partition: which are possible, halved, bounded, beside slow twins."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

import looprate.theory.continuity.upper.ranges as ranges
from looprate.theory.continuity.upper.operator_norm import SLACK
from looprate.theory.continuity.upper.ranges import (
    _Difference,
    _Forms,
    _Pairs,
)

SAME = 1e-9  # relative: far above every slack
DELTA = 0.25


def some_pairs(count=40, boxes=30, seed=0):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, boxes, (2, count))
    return _Pairs(first, second, rng.permutation(count) / 4.0)


@pytest.mark.parametrize("at_once", [2, 6, 20, 1000])
@pytest.mark.parametrize("most", [5, 40, 100])
def test_the_highest_pairs_are_taken_as_long_as_few_boxes_are_new(monkeypatch, at_once, most):
    monkeypatch.setattr(ranges, "AT_ONCE", at_once)
    monkeypatch.setattr(ranges, "PAIRS_AT_ONCE", most)
    for seed in range(20):
        pairs, rng = some_pairs(seed=seed), np.random.default_rng(seed)
        tree = SimpleNamespace(children=np.where(rng.random(30) < 0.3, 100, -1))
        chosen, rest = pairs.highest(tree)
        new, wanted = set(), []
        for k in sorted(range(40), key=lambda k: -pairs.bound[k])[:most]:
            boxes = (int(pairs.first[k]), int(pairs.second[k]))
            new |= {box for box in boxes if tree.children[box] < 0}
            if len(new) > at_once // 2 and wanted:
                break
            wanted.append(k)
        assert sorted(chosen.bound) == sorted(pairs.bound[wanted])
        assert len(chosen) + len(rest) == 40
        assert sorted([*chosen.bound, *rest.bound]) == sorted(pairs.bound)


def test_halves_are_paired_once_each():
    tree = SimpleNamespace(halves=lambda which: 10 * which)
    pairs = _Pairs(np.array([1, 2]), np.array([3, 2]), np.array([0.5, 0.25]))
    halves = pairs.halved(tree)
    found = sorted(zip(*(x.tolist() for x in vars(halves).values()), strict=True))
    apart = [(10 + i, 30 + j, 0.5) for i in (0, 1) for j in (0, 1)]
    assert found == [*apart, (20, 20, 0.25), (20, 21, 0.25), (21, 21, 0.25)]


@pytest.mark.parametrize("at_once", [3, 1000])
def test_pairs_above_the_threshold_stay_and_the_largest_of_the_others_is_told(monkeypatch, at_once):
    monkeypatch.setattr(ranges, "PAIRS_AT_ONCE", at_once)
    found = np.array([5.0, 2.0, math.nan, 1.0, 7.0, 9.0, 0.5, 3.0])
    before = np.array([4.0, 3.0, 6.0, 3.0, 8.0, 9.0, 8.0, 3.0])
    possible = np.array([1, 1, 1, 1, 0, 1, 1, 1], dtype=bool)
    forms = SimpleNamespace(picked=lambda which: which)
    monkeypatch.setattr(ranges, "_admissible", lambda _, some, *__: possible[some.first])
    monkeypatch.setattr(ranges, "_upper_bound", lambda a, b, *_: found[a])
    pairs = _Pairs(np.arange(8), np.arange(8), before)
    tree = SimpleNamespace(forms=forms, in_order=lambda which: np.ones(len(which), dtype=bool))
    live, settled = pairs.bounded(tree, DELTA, np.array([True]), 2.0, 2.0)
    assert live.first.tolist() == [0, 2, 5, 7]
    assert live.bound.tolist() == [4.0, 6.0, 9.0, 3.0]
    assert settled == 2.0
    possible[:] = False
    live, settled = pairs.bounded(tree, DELTA, np.array([True]), 2.0, 2.0)
    assert (len(live), settled) == (0, 0.0)


def boxes_of(low, high, gradient=None, rest=0.0, value=0.0):
    """Boxes with linear forms of two entries, all zero unless given."""
    low, high = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    count, width = low.shape
    gradient = np.zeros((2, width)) if gradient is None else np.asarray(gradient, dtype=float)
    centre = (low + high) / 2
    v = centre @ gradient.T + value
    reach = ((high - low) / 2) @ np.abs(gradient).T + rest
    every = np.broadcast_to(gradient, (count, *gradient.shape))
    rests = np.full(v.shape, float(rest))
    return _Forms(low, high, np.zeros(count), centre, v, every, rests, v - reach, v + reach)


def test_pairs_of_boxes_are_possible_up_to_the_radius_where_tokens_move():
    low = np.array([[0.0, 0.0], [0.5, 0.0], [0.5, 0.5], [0.0, 0.25], [0.75, 0.0]])
    forms = boxes_of(low, low + 0.25)
    none = np.zeros(5)

    def possible(delta, movable, other=range(5)):
        pairs = _Pairs(np.zeros(len(other), dtype=int), np.array(other), none[: len(other)])
        movable = np.array(movable)
        found = ranges._admissible(forms, pairs, delta, movable).tolist()
        turned = _Pairs(pairs.second, pairs.first, pairs.bound)
        assert ranges._admissible(forms, turned, delta, movable).tolist() == found
        return found

    assert possible(0.25, [True, True]) == [True, True, False, True, False]
    assert possible(0.36, [True, True]) == [True, True, True, True, False]
    assert possible(0.5, [True, True]) == [True] * 5
    assert possible(0.25, [True, False]) == [True, True, False, False, False]
    assert possible(9.0, [True, False]) == [True, True, False, False, True]
    assert possible(0.25 * (1 - SLACK / 4), [True, True], (1,)) == [True]
    assert possible(0.25 * (1 - SLACK), [True, True], (1,)) == [False]


def test_differences_of_forms_are_taken_term_by_term():
    rng = np.random.default_rng(0)
    sides = rng.random(6)[:, None] * [1.0, 2.0, 3.0] / 4
    parts = [
        _Forms(low, low + sides, np.zeros(6), low + sides / 2, *more)
        for low, *more in (
            (
                rng.random((6, 3)),
                rng.standard_normal((6, 2)),
                rng.standard_normal((6, 2, 3)),
                rng.random((6, 2)),
                rng.random((6, 2)),
                rng.random((6, 2)),
            )
            for _ in range(2)
        )
    ]
    (a, b), movable = parts, np.array([True, False, True])
    found = _Difference.of(a, b, DELTA, movable)
    for k, e in np.ndindex(6, 2):
        assert found.value[k, e] == a.value[k, e] - b.value[k, e]
        assert found.rest[k, e] == a.rest[k, e] + b.rest[k, e]
        size = abs(a.value[k, e]) + abs(b.value[k, e])
        for j in range(3):
            size += (abs(a.gradient[k, e, j]) + abs(b.gradient[k, e, j])) * sides[k, j]
        assert found.size[k, e] == pytest.approx(size, rel=1e-12)
    assert (found.turn == a.gradient - b.gradient).all()
    assert found.slope == pytest.approx(((a.gradient + b.gradient) / 2)[:, :, movable])
    assert found.apart == pytest.approx((a.centre - b.centre)[:, movable])
    assert found.half == pytest.approx(sides / 2)
    assert found.reach == pytest.approx(sides[:, movable])
    assert found.delta == DELTA


def dual_twin(g, apart, reach, delta):
    """The least of the duals at |g|/δ and two more multipliers, each times ‖D‖/δ, in loops."""
    best = sum(abs(a) * r for a, r in zip(g, reach, strict=True))
    factor = math.sqrt(sum(a * a for a in g)) / delta or 1 / delta
    for _ in range(3):
        total = square = 0.0
        for a, c, r in zip(g, apart, reach, strict=True):
            point = min(max(a / factor, c - r), c + r)
            total += a * (point - c)
            square += point**2
        best = min(best, total - factor * (square - delta**2) / 2)
        factor *= min(max(math.sqrt(max(square, 1e-300)) / delta, 0.1), 10.0)
    return best


def difference(**given):
    """A difference of one pair, zero but for what is given: two entries, three inputs."""
    parts = {
        "value": np.zeros((1, 2)),
        "turn": np.zeros((1, 2, 3)),
        "slope": np.zeros((1, 2, 3)),
        "rest": np.zeros((1, 2)),
        "size": np.zeros((1, 2)),
        "apart": np.zeros((1, 3)),
        "half": np.zeros((1, 3)),
        "reach": np.zeros((1, 3)),
        "delta": DELTA,
    }
    return _Difference(**parts | {k: np.asarray(v, dtype=float) for k, v in given.items()})


def test_functionals_over_box_and_ball_are_those_of_three_multipliers():
    rng = np.random.default_rng(1)
    for k in range(300):
        g, apart = rng.standard_normal(3), rng.uniform(-0.3, 0.3, 3)
        g *= [1.0, 1e-8, 1e8, 0.0][k % 4]
        reach = rng.random(3) * [0.01, 0.3, 3.0][k % 3]
        found = difference(apart=[apart], reach=[reach])._turned(g[None, None])[0, 0]
        twin = dual_twin(g.tolist(), apart.tolist(), reach.tolist(), DELTA)
        size = (np.linalg.norm(g) or 1.0) * (1 + (apart**2 + reach**2).sum()) / DELTA
        assert twin <= found <= twin + 1e3 * SLACK * size, k


def test_the_slack_of_a_dual_is_that_of_the_sizes_of_its_terms():
    """g = λ D at the surface of the ball: both duals are sharp, and sizes 2|g| (D + c) + 2λδ²."""
    wide = difference(reach=[[9.0] * 3])
    for g in (np.array([1.0, 0.0, 0.0]), np.array([0.6, 0.0, -0.8])):
        found = wide._turned(g[None, None])[0, 0] - DELTA
        # sizes: Σ |g||D| = δ, and λ (‖D‖² + δ²) = 2 δ at λ = 1/δ
        assert found == pytest.approx(3 * DELTA * SLACK, rel=0.01)
    apart = difference(apart=[[DELTA, 0, 0]], reach=[[9.0] * 3])
    found = apart._turned(np.array([[[1.0, 0.0, 0.0]]]))[0, 0]
    assert found == pytest.approx(4 * DELTA * SLACK, rel=0.01)


def test_functionals_of_a_difference_add_what_each_part_can_do():
    w = np.array([[[2.0, -3.0]]])
    assert difference(value=[[5.0, 1.0]]).above(w).item() == 7.0
    turn = [[[1.0, 0, 0], [0, 1.0, 1.0]]]
    assert difference(turn=turn, half=[[0.5, 0.25, 1.0]]).above(w).item() == 1.0 + 0.75 + 3.0
    rest = difference(rest=[[4.0, 1.0]]).above(w).item()
    assert rest - 11 == pytest.approx(11 * SLACK, rel=0.01)
    size = difference(size=[[4.0, 1.0]]).above(w).item()
    assert size == pytest.approx(11 * SLACK, rel=1e-6)
    slope = difference(slope=[[[3.0, 0, 0], [0, 0, 0]]], reach=[[0.01, 1.0, 1.0]]).above(w)
    assert slope.item() == pytest.approx(0.06)
    unknown = difference(rest=[[1.0, math.inf]])
    assert unknown.above(np.array([[[2.0, 0.0]]])).item() == pytest.approx(2.0)
    assert unknown.above(w).item() == math.inf


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
def test_where_forms_say_nothing_ranges_do(p):
    a = boxes_of([[0.0, 0.0]], [[0.5, 0.5]], rest=math.inf)
    wide = [np.array([[1.0, -2.0]]), np.array([[3.0, 2.0]]), np.array([[0.0, 0.0]])]
    a = _Forms(*[getattr(a, n) for n in list(vars(a))[:7]], wide[0], wide[1])
    b = _Forms(*[getattr(a, n) for n in list(vars(a))[:7]], wide[2], wide[2] + [[7.0, 1.0]])
    exact = float(np.linalg.norm([6.0, 3.0], p))  # max(3 - 0, 7 - 1), max(2 - 0, 1 + 2)
    for pair in ((a, b), (b, a)):
        found = ranges._upper_bound(*pair, DELTA, np.array([True, True]), p)[0]
        assert exact * (1 + SLACK / 2) <= found <= exact * (1 + 4 * SLACK)
    lost = [getattr(a, n) for n in list(vars(a))[:7]]
    lost = _Forms(*lost, np.full((1, 2), -math.inf), np.full((1, 2), math.inf))
    assert ranges._upper_bound(lost, lost, DELTA, np.array([True, True]), p)[0] == math.inf


def test_euclidean_bounds_are_along_the_difference_and_across_it():
    """f = (x, y) near the diagonal: no farther than δ along it, where entries leave more."""
    side = 0.1
    a = boxes_of([[0.4, 0.4]], [[0.4 + side] * 2], np.eye(2))
    b = boxes_of([[0.4 - 0.17] * 2], [[0.4 - 0.17 + side] * 2], np.eye(2))
    both = np.array([True, True])
    found = ranges._upper_bound(a, b, DELTA, both, 2.0)[0]
    apart, reach = np.array([0.17, 0.17]), np.array([side, side])
    terms = []
    for g in ([0.5**0.5, 0.5**0.5], [0.5, -0.5], [-0.5, 0.5]):
        g = np.array(g)
        shift = g @ apart
        terms.append(shift + dual_twin(g.tolist(), apart.tolist(), reach.tolist(), DELTA))
    exact = math.sqrt(terms[0] ** 2 + terms[1] ** 2 + terms[2] ** 2)
    assert found == pytest.approx(exact, rel=SAME)
    rows = ranges._upper_bound(a, b, DELTA, both, math.inf)[0]
    assert found < 0.98 * math.sqrt(2) * rows
    turned = ranges._upper_bound(b, a, DELTA, both, 2.0)[0]
    assert turned == pytest.approx(found, rel=SAME)
    itself = ranges._upper_bound(a, a, 0.01, both, 2.0)[0]  # no direction: all of them alike
    assert 0.01 <= itself <= 0.01 * math.sqrt(2) * (1 + SAME)
    parts = vars(a) | {n: vars(a)[n][:, :1] for n in ("value", "gradient", "rest", "least", "most")}
    one = _Forms(**parts)
    assert ranges._upper_bound(one, one, 0.01, both, 2.0)[0] == pytest.approx(0.01, rel=SAME)
