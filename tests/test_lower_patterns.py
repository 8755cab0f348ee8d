"""How the search for lower bounds sharpens and exchanges, and in which order."""

import itertools
import math

import numpy as np
import pytest

from cases.searches import Still, asked, column, cusps, valued
from looprate.theory.continuity.lower import pattern, recombine, search
from looprate.theory.continuity.lower.problem import (
    Effort,
    Span,
    best_candidates,
    capped,
    ends,
    fitted,
    score,
)
from looprate.theory.continuity.lower.starts import structured

EPS = float(np.finfo(float).eps)
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


# -- pattern ---------------------------------------------------------------------------------------


def test_the_end_on_a_cusp_stays_when_a_difference_changes():
    problem = asked(cusps(0.5, 0.5), [1.0])
    c = column([0.6, 0.6], [0.6, 0.4], [0.4, 0.4])
    diff = column([0.2, -0.2], [-0.2, 0.2], [0.2, -0.2])
    found = pattern._anchors(problem, c, diff)[:, :, 0]
    assert found.tolist() == [[0.5, -0.5], [-0.5, -0.5], [-0.5, 0.5]]
    assert not pattern._anchors(asked(lambda x: x, [1.0], p=1.0), c, diff * 0).any()


def test_anchors_are_found_by_shortening_one_entry_by_a_hundredth():
    pairs = []

    def values(x, y):
        pairs.append((x[:, :, 0], y[:, :, 0]))
        return np.zeros(len(x))

    pattern._anchors(valued(values), column([0.6, 0.5]), column([0.2, -0.4]))
    x, y = np.array([[0.7, 0.3]] * 2), np.array([[0.5, 0.7]] * 2)
    one = 0.01 * np.diag([0.2, -0.4])
    for found, (of_x, of_y) in zip(pairs, ((0.5, 0.5), (1, 0), (0, 1)), strict=True):
        assert np.allclose(found, (x - of_x * one, y + of_y * one), **CLOSE)


def test_moves_are_of_one_entry_of_all_and_along_the_difference():
    problem = valued(None, tokens=3, moving=[1, 0, 1])
    diff = column([0.3, 0.0, -0.4])
    unit_c, unit_d, split = pattern._moves(problem, diff, np.random.default_rng(2))
    wild = np.random.default_rng(2).standard_normal((1, 4, 3, 1))[0, :, :, 0] / 3**0.5
    eye = np.eye(3)
    centre = [*eye, [1, 1, 1], [1, 1, -1], [0, 1, 0], *wild[:2]]
    change = [[0.6, 0, -0.8], eye[0], eye[2], eye[0], eye[2], *(wild[2:] * [1, 0, 1])]
    assert np.allclose(unit_c[0, :, :, 0], [*centre, *np.zeros((7, 3))], **CLOSE)
    assert np.allclose(unit_d[0, :, :, 0], [*np.zeros((8, 3)), *change], **CLOSE)
    assert split == 8 + 1 + 2  # transfers: the second time that entries come, and the wild ones


def test_moved_candidates_hold_their_anchor_and_their_length():
    c, diff = column([0.5, 0.5])[:, None], column([0.3, 0.4])[:, None]
    dc, dd = column([0.0, 0.0])[:, None], column([0.1, 0.0])[:, None]
    bound, anchor = np.full((1, 1, 1, 1), 0.5), column([0.5, -0.5])[:, None]
    plain, keeps = np.array([False]), np.array([True])
    longer = np.array([0.4, 0.4]) / np.hypot(0.4, 0.4) * 0.5
    for sign, how, expected in (
        (1, plain, longer),  # cut to the bound
        (1, keeps, longer),
        (-1, plain, [0.2, 0.4]),  # shorter is left
        (-1, keeps, np.array([0.2, 0.4]) / np.hypot(0.2, 0.4) * 0.5),
    ):
        new_c, new = pattern._moved(c, diff, dc, sign * dd, anchor, bound, how)
        assert np.allclose(new.ravel(), expected, **CLOSE)
        x, y = new_c + new / 2, new_c - new / 2
        assert y[0, 0, 0] == pytest.approx(0.35)  # as it was
        assert x[0, 0, 1] == pytest.approx(0.7)
    new_c, new = pattern._moved(c, diff, dc + 0.6, 0 * dd, anchor, bound * 0.1, plain)
    assert np.array_equal(new, diff)  # where D is not moved it is not cut
    assert (new_c == 1).all()
    assert pattern._length(column([0.3, 0.4])).tolist() == [[0.5]]


def swept(problem, c, diff, step, reach=1.0):
    best, anchor = score(problem, c, diff), np.zeros_like(c)
    reach = np.full((len(c), 1, 1, 1), reach)
    steps = np.full((len(c), pattern._moves(problem, diff, Still())[0].shape[1]), step)
    return best, pattern._swept(problem, c, diff, best, steps, anchor, reach, Still())


def test_steps_double_where_they_gain_and_shrink_to_a_fifth_where_not():
    problem = asked(lambda x: x**2 * [[1.0], [0.0]], [1.0])
    c, diff = column([0.5, 0.5]), column([0.2, 0.1])
    best, (new_c, new_d, values, step) = swept(problem, c, diff, 0.1)
    gains = [0, 2, 3, 7, 8, 10, 11]  # of x_0: centre, all, signs, D along itself, D_0, transfers
    assert values > best
    assert values == score(problem, new_c, new_d)
    assert set(np.flatnonzero(step[0] == 0.2)) == set(np.flatnonzero(step[0] != 0.1 * 0.2))
    assert {0, 2, 3} <= set(np.flatnonzero(step[0] == 0.2)) <= {*gains, 9}
    assert step[0, 1] == step[0, 4] == 0.1 * 0.2
    assert swept(problem, c, diff, 0.3)[1][3].max() == 0.5


def test_a_sweep_makes_the_best_move_or_all_gains_at_once():
    aims = np.array([[0.6], [0.7]])

    def apart(x, y):
        return 1 / (0.01 + np.abs((x + y) / 2 - aims)).sum((1, 2))

    c, diff = column([0.5, 0.6]), column([0.2, 0.2])
    new_c = swept(valued(apart), c, diff, 0.1)[1][0]
    assert new_c.ravel() == pytest.approx([0.6, 0.7])  # both by one move: all entries alike

    def either(x, y):
        near = np.abs((x + y) / 2 - [[0.6], [0.5]]) < 1e-9
        return 1.0 + near[:, 0, 0] * ~(np.abs((x - y)[:, 0, 0] - 0.2) > 1e-9)

    best, (new_c, new_d, values, _) = swept(valued(either), c, diff, 0.1)
    assert best == 1
    assert values == 2
    assert new_c.ravel()[0] == pytest.approx(0.6)
    assert new_d[0, 0, 0] == pytest.approx(0.2)

    def joint(x, y):
        return (x + y)[:, 0, 0] + 2 * (x - y)[:, 1, 0] + (x + y)[:, 1, 0] ** 2

    _, (new_c, new_d, values, _) = swept(valued(joint), c, diff, 0.1)
    assert new_c[0, 0, 0] > 0.5
    assert new_d[0, 1, 0] > 0.2  # at once
    assert values == pytest.approx(joint(*ends(new_c, new_d)))
    best, (new_c, new_d, values, step) = swept(valued(lambda x, y: 0 * x[:, 0, 0]), c, diff, 0.1)
    assert np.array_equal(new_c, c)
    assert np.array_equal(new_d, diff)
    assert np.allclose(step, 0.02)


def test_what_does_not_gain_has_no_part_in_all_gains():
    def values(x, y):  # the last entry must stay
        centre, apart = ((x + y) / 2)[:, :, 0], (x - y)[:, :, 0]
        still = np.abs(centre[:, 2] - 0.5) + np.abs(apart[:, 2] - 0.2)
        return 10 + centre[:, 0] + centre[:, 1] - 10 * still

    c, diff = column([0.5, 0.5, 0.5]), column([0.2, 0.2, 0.2])
    new_c = swept(valued(values, tokens=3), c, diff, 0.1)[1][0]
    assert new_c.ravel() == pytest.approx([0.6, 0.6, 0.5])


def test_differences_never_outgrow_their_radius_and_transfers_do_not_lengthen():
    problem = asked(lambda x: x * [[3.0], [1.0]], [0.25])
    c, diff = column([0.5, 0.5]), column([0.15, 0.2])
    reach = float(problem.reach[0])
    for _ in range(30):
        _, (c, diff, values, _) = swept(problem, c, diff, 0.1, reach)
        assert np.linalg.norm(diff) <= reach * (1 + 2 * EPS)
    assert values == pytest.approx(3 * reach, rel=1e-3)


@pytest.mark.parametrize(("gain", "sweeps", "expected"), [(0, 36, 10), (0, 7, 7), (0.01, 36, 36)])
def test_pattern_searches_end_after_ten_sweeps_without_gain(gain, sweeps, expected):
    clock, rng = itertools.count(1), Still()

    def values(x, y):
        return np.full(len(x), 1.0 + gain * next(clock))

    c, diff = column([0.5, 0.5])[None], column([0.1, 0.1])[None]
    pattern.polished(valued(values), c, diff, sweeps, rng)
    assert rng.asked == 1 + expected  # the first to count the moves
    assert next(clock) - 1 == 4 + 2 * expected + 3 * (expected // 12)  # anchors, every 12 sweeps


def test_pattern_searches_stop_for_each_candidate_alone():
    rng = Still()
    problem = asked(lambda x: np.where(x > 0.5, (x - 0.5) ** 2, 0.0), [0.05])
    c, diff = column([0.1, 0.1], [0.55, 0.6])[None], column([0.01, 0.01], [0.01, 0.01])[None]
    new_c, new_d = pattern.polished(problem, c, diff, 36, rng)
    assert np.array_equal(new_c[0, 0], c[0, 0])
    best = max(2 * (0.5 - (problem.reach[0] / k**0.5) / 2) * problem.reach[0] for k in (1, 2))
    assert score(problem, new_c, new_d)[0, 1] == pytest.approx(best, rel=1e-3)
    assert rng.asked > 11


def test_patterns_sharpen_kinks_and_leave_what_they_are_given():
    problem = asked(cusps(0.21, 0.73), [0.04, 0.2], tokens=2)
    c, diff = np.full((2, 1, 2, 1), 0.5), np.full((2, 1, 2, 1), 0.01)
    c[:, 0, :, 0] = (0.22, 0.75)
    before = c.copy(), diff.copy()
    new_c, new_d = pattern.polished(problem, c, diff, 200, np.random.default_rng(3))
    assert np.array_equal(c, before[0])
    assert np.array_equal(diff, before[1])
    best = np.sqrt(2 * problem.reach / 2**0.5)
    assert np.allclose(score(problem, new_c, new_d)[:, 0], best, rtol=1e-3)


def test_pattern_searches_are_the_same_in_pieces(monkeypatch):
    problem = asked(lambda x: np.sin(5 * x) * x[:, ::-1], [0.1, 0.2])
    rng = np.random.default_rng(4)
    c, diff = rng.random((2, 3, 2, 1)), rng.uniform(-0.05, 0.05, (2, 3, 2, 1))
    whole = pattern.polished(problem, c, diff, 5, Still())
    for chunk, parts in ((24 * 6, 1), (24 * 6 - 1, 2), (48, 3), (1, 6)):
        monkeypatch.setattr(pattern, "CHUNK", chunk)
        rng = Still()
        pieces = pattern.polished(problem, c, diff, 5, rng)
        assert rng.asked == parts * 6
        for one, other in zip(pieces, whole, strict=True):
            assert np.array_equal(one, other)


# -- recombine -------------------------------------------------------------------------------------


def test_radii_take_over_pieces_and_stretches_of_each_others_best():
    problem = asked(lambda x: x**2, [0.1, 0.4])
    c, diff = column([0.1, 0.9], [0.5, 0.6])[:, None], column([0.06, 0.08], [0.0, -0.4])[:, None]
    worse = np.concatenate([c, c / 2], 1), np.concatenate([diff, diff / 2], 1)
    found_c, found_d = recombine.shared(problem, *worse)  # of the best alone
    assert found_c.shape == found_d.shape == (2, 14, 2, 1)
    for k, source in itertools.product(range(2), repeat=2):
        middle, way = c[source, 0], diff[source, 0]
        scaled = way / np.linalg.norm(way) * problem.reach[k]
        short = scaled if np.linalg.norm(way) > problem.reach[k] else way
        held = np.clip(middle, np.abs(scaled) / 2, 1 - np.abs(scaled) / 2)
        moves = [middle + t * (way - scaled) for t in (-0.5, -0.25, 0.25, 0.5)]
        pieces_c = [middle, middle, held, *np.clip(moves, 0, 1)]
        assert np.allclose(found_c[k, source::2], pieces_c, **CLOSE)
        assert np.allclose(found_d[k, source::2], [short, *[scaled] * 6], **CLOSE)
    beyond = recombine.shared(problem, column([0.0, 1.0], [0.5, 0.5])[:, None], diff)[0]
    assert np.allclose(beyond[0, 0], [[0.015], [0.98]])  # the middle of what lies in the cube


def test_entries_of_the_elite_are_exchanged_all_at_once():
    problem = asked(cusps(0.2, 0.5, 0.8), [0.3], tokens=3)
    share = float(problem.reach[0]) / 3**0.5
    right = np.array([0.2, 0.5, 0.8]) + share / 2
    c = np.array([np.where(np.arange(3) == k, right, 0.05 + share) for k in range(3)])
    diff = np.full_like(c, share)
    best_c, best_d = recombine.recombined(problem, c[None, :, :, None], diff[None, :, :, None], 1)
    assert np.allclose(best_c.ravel(), right, **CLOSE)
    assert best_d.shape == (1, 1, 3, 1)
    assert score(problem, best_c, best_d) == pytest.approx((3 * share) ** 0.5)


def test_entries_are_turned_round_and_cut_to_the_radius():
    problem = asked(lambda x: x - x[:, ::-1], [0.5], p=math.inf)
    c, diff = np.full((1, 2, 2, 1), 0.5), column([0.3, 0.3], [0.4, 0.3])[None]
    best_d = recombine.recombined(problem, c, diff, 5)[1]
    assert np.abs(best_d).ravel() == pytest.approx([0.4, 0.3])
    assert best_d.prod() < 0
    long = column([0.45, 0.0], [0.0, 0.45])[None]
    problem = asked(lambda x: x, [0.5], p=1.0)
    best_d = recombine.recombined(problem, c, long, 5)[1]
    assert best_d.ravel() == pytest.approx([0.5 / 2**0.5] * 2)
    assert np.linalg.norm(best_d) <= problem.deltas[0]


@pytest.mark.parametrize(("moving", "count"), [((1, 1, 1), 3), ((0, 1, 1), 2)])
def test_one_entry_is_tried_for_all_tokens_that_move(moving, count):
    problem = asked(cusps(0.4, 0.4, 0.4), [0.3], tokens=3, p=1.0, moving=moving)
    c, diff = column([0.5, 0.5, 0.4 + 0.15 / count**0.5])[None], column([0, 0, 0.3])[None]
    best_c, best_d = recombine.recombined(problem, c, diff, 1)
    assert np.allclose(best_d.ravel(), np.array(moving) * 0.3 / count**0.5)
    assert np.allclose(best_c, c[0, 0, 2])


@pytest.mark.parametrize(("rounds", "done"), [(1, 1), (3, 3), (4, 4), (9, 5)])
def test_rounds_end_where_none_helps(rounds, done):
    sizes, aims = [], np.array([0.1, 0.3, 0.5, 0.7, 0.9])

    def values(x, y):  # entries in a row: each counts if those before it do
        sizes.append(len(x))
        return np.cumprod(np.abs((x + y) / 2 - aims[:, None]) < 1e-9, 1).sum((1, 2)) + 1.0

    problem = valued(values, tokens=5)
    c, diff = np.where(np.eye(5), aims, 0.4)[None, ..., None], np.full((1, 5, 5, 1), 0.1)
    best_c, best_d = recombine._recombined(problem, c, diff, rounds)
    assert sizes == [1, *[10 * 5, 1 + 10 * 5 + 1 + 5] * done]
    assert score(problem, best_c, best_d) == min(2 + rounds, 6)


def test_eight_candidates_exchange_entries():
    sizes = []

    def values(x, y):
        sizes.append(len(x))
        return np.ones(len(x))

    c, diff = np.full((1, 9, 5, 1), 0.5), np.full((1, 9, 5, 1), 0.1)
    recombine.recombined(valued(values, tokens=5), c, diff, 3)
    assert sizes == [9, 1, 16 * 5, 1 + 16 * 5 + 1 + 5]


def test_exchanges_are_the_same_in_pieces_and_never_lose(monkeypatch):
    problem = asked(lambda x: np.sin(7 * x) * x[:, ::-1], [0.1, 0.2, 0.3], tokens=3)
    rng = np.random.default_rng(5)
    c, diff = rng.random((3, 4, 3, 1)), rng.standard_normal((3, 4, 3, 1))
    diff = fitted(diff, problem.reach[:, None, None, None])
    whole = recombine.recombined(problem, c, diff, 3)
    kept = score(problem, *whole)[:, 0]
    assert (kept > score(problem, c, diff).max(1)).all()
    assert (np.sqrt((whole[1] ** 2).sum((1, 2, 3))) <= problem.deltas).all()
    calls = []
    inner = recombine._recombined
    monkeypatch.setattr(
        recombine, "_recombined", lambda part, *rest: calls.append(1) or inner(part, *rest)
    )
    for chunk, parts in ((3 * 144, 1), (2 * 144, 2), (2 * 144 - 1, 3), (1, 3)):
        calls.clear()
        monkeypatch.setattr(recombine, "CHUNK", chunk)
        for one, other in zip(recombine.recombined(problem, c, diff, 3), whole, strict=True):
            assert np.array_equal(one, other)
        assert len(calls) == parts


# -- search ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ascent", "steps"), [(240, (72, 168)), (1, (1, 1)), (5, (2, 4))])
def test_the_ascent_has_a_wide_stage_for_all_and_a_long_one_for_the_best(ascent, steps):
    told = []

    def ascend(c, diff, reach, count, span):
        assert c.shape == diff.shape == (len(reach), 2, 1)
        told.append((len(c), reach, count, span))
        return c, diff * 0.9

    problem = asked(lambda x: x, [0.1, 0.2])
    rng = np.random.default_rng(6)
    c, diff = np.full((2, 12, 2, 1), 0.5), rng.uniform(0, 0.07, (2, 12, 2, 1))
    found = search._ascended(problem, ascend, c, diff, Effort(ascent=ascent))
    expected = best_candidates(problem, c, diff * 0.81, 10)
    assert np.allclose(found[1], expected[1])
    assert [(n, count, span) for n, _, count, span in told] == [
        (24, steps[0], Span(0.5, 0.02, 0.1)),
        (20, steps[1], Span(0.1, 1e-9, 0.1)),
    ]
    assert np.array_equal(told[1][1], np.repeat(problem.reach, 10))


def test_structured_pairs_are_the_best_structured_starts():
    problem = asked(lambda x: x**2, [0.1, 0.4])
    x, y = search.structured_pairs(problem)
    assert x.shape == y.shape == (2, 2, 1)
    assert np.allclose(problem.values(x, y), score(problem, *structured(problem)).max(1))
    assert (np.linalg.norm(x - y, axis=(1, 2)) <= problem.deltas).all()


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(("sweeps", "half"), [(9, 4), (1, 1)])
def test_what_is_sharpened_and_for_how_long(gradient, sweeps, half, monkeypatch):
    told, exchanged = [], []

    def polished(problem, c, diff, count, rng):
        told.append((c.shape[1], count))
        return c, diff

    def recombined(problem, c, diff, rounds):
        exchanged.append((c.shape[1], rounds))
        return best_candidates(problem, c, diff, 1)[:2]

    monkeypatch.setattr(search, "polished", polished)
    monkeypatch.setattr(search, "recombined", recombined)
    ascend = (lambda c, diff, *rest: (c, diff)) if gradient else None
    problem = asked(lambda x: x**2, [0.1, 0.4], ascend=ascend)
    work = Effort(randoms=3, recombinations=4, sweeps=sweeps, pattern_starts=7)
    x, y = search.search_pairs(problem, work, np.random.default_rng(8))
    late = [(2, sweeps), (1, half)]
    assert told == [(2, half), *late] if gradient else [(2, half), (7, sweeps), *late]
    pool = structured(problem)[0].shape[1] + 3 + 2 + 8  # and random, scanned ones and lines
    assert exchanged == [(pool + 10 if gradient else 14, 4)]
    assert x.shape == y.shape == (2, 2, 1)


@pytest.mark.parametrize("deltas", [[0.02, 0.3], [1e-300, 1.0]])
def test_searches_find_the_modulus_of_squares(deltas):
    problem = asked(lambda x: x**2, deltas)
    x, y = search.search_pairs(problem, Effort().scaled(0.1), np.random.default_rng(9))
    share = problem.reach / 2**0.5
    alone, both = 1 - (1 - np.minimum(problem.reach, 1)) ** 2, 2**0.5 * (1 - (1 - share) ** 2)
    found = problem.values(x, y)
    exact = np.where(problem.reach < 1e-12, 2 * problem.reach, np.maximum(alone, both))
    assert (found[problem.reach > 1e-12] >= 0.999 * exact[problem.reach > 1e-12]).all()
    assert (np.linalg.norm(x - y, axis=(1, 2)) <= problem.deltas).all()
    assert ((x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)).all()
    assert np.array_equal(capped(x - y, problem.deltas[:, None, None]), x - y)
