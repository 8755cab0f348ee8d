"""Where the search for lower bounds starts: along slopes, in shapes and at random."""

import math

import numpy as np
import pytest

from cases.searches import asked, identity
from looprate.theory.continuity.lower import slopes, starts
from looprate.theory.continuity.lower.problem import Effort, Problem, Span, best_candidates, score

EPS = float(np.finfo(float).eps)
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


def linear(matrix):
    return lambda x: (x.reshape(len(x), -1) @ matrix.T).reshape(x.shape)


# -- slopes ----------------------------------------------------------------------------------------


def test_the_steepest_direction_of_a_linear_map_is_found():
    a = np.array([[3.0, 0.5], [-1.0, 0.4], [0.2, 2.0]])  # (V, E)
    by_signs = max((a @ s for s in np.array([[1, 1], [1, -1]])), key=np.linalg.norm)
    left = np.linalg.svd(a)[0]
    for p, best in ((1.0, by_signs), (math.inf, a[:, 0]), (2.0, left[:, 0])):
        h = slopes._directions(a[None], p)[0]
        cosine = abs(h @ best) / np.linalg.norm(h) / np.linalg.norm(best)
        assert cosine == pytest.approx(1.0, abs=1e-9 if p != 2.0 else 1e-3)
    h, tiny = (slopes._directions(scale * a[None], 1.5) for scale in (1.0, 1e-250))
    assert np.allclose(h, tiny, **CLOSE)
    assert not slopes._directions(np.zeros((1, 3, 2)), 2.0).any()


def power(a, p):
    """Four steps of the power method from the steepest output and a tenth of all."""
    h = a[:, np.argmax((a**2).sum(0))] + 0.1 * a.sum(1)
    for _ in range(4):
        out = h @ a
        h = a @ (np.sign(out) * np.abs(out) ** (p - 1))
    return h / np.abs(h).max()


def test_directions_are_those_of_the_power_method_from_the_steepest_output():
    a = np.random.default_rng(3).standard_normal((3, 4, 5))
    a /= np.abs(a).max((1, 2), keepdims=True)
    for p in (1.0, 1.5, 2.0, 4.0):
        assert np.allclose(slopes._directions(a, p), [power(part, p) for part in a])
    blocks = np.zeros((1, 2, 2))
    blocks[0, 0, 0], blocks[0, 1, 1] = 1.0, 0.9  # each output has its own entry
    assert np.allclose(slopes._directions(blocks, 1.0), [[1.0, 0.9]])


def test_slopes_are_taken_at_few_places_inside_the_cube_by_steps_of_a_millionth():
    tried = []

    def f(x):
        tried.append(x)
        return x * 2.0

    moving = [False, True, True]
    diff = slopes.slope_starts(asked(f, [0.1], tokens=3, moving=moving))[1]
    assert diff.shape == (1, 4, 3, 1)
    points = tried[0].reshape(4, 3, 3)
    places = np.array([[0.02 + 0.96 * ((k * 0.7548777 * s) % 1) for s in (0.5, 1.118034, 1.736068)]
                       for k in (1, 2, 3, 4)])  # fmt: skip
    assert np.allclose(points[:, 0], places, **CLOSE)
    steps = points[:, 1:] - points[:, :1]
    assert np.allclose(steps, 1e-6 * np.eye(3)[[1, 2]], atol=1e-15)
    assert not diff[:, :, 0].any()


@pytest.mark.parametrize(("tokens", "count"), [(100, 4), (128, 3), (180, 2), (255, 1), (300, 1)])
def test_slopes_are_taken_at_fewer_places_the_more_entries_there_are(tokens, count):
    found = slopes.slope_starts(asked(identity, [0.1], tokens=tokens))
    assert found[0].shape == found[1].shape == (1, count, tokens, 1)


@pytest.mark.parametrize(("move", "count"), [(63, 4), (127, 2), (128, 1)])
def test_65536_entries_are_tried_to_know_slopes(move, count):  # 256 a point, one and those moved
    problem = asked(identity, [0.1], tokens=256, moving=np.arange(256) < move)
    assert slopes.slope_starts(problem)[0].shape == (1, count, 256, 1)


@pytest.mark.parametrize(("p", "norm"), [(1.0, 3 * 2**0.5), (2.0, 3.0), (math.inf, 5**0.5)])
def test_slope_starts_reach_the_norm_of_a_linear_function(p, norm):
    matrix = np.array([[2.0, 1.0], [1.0, 2.0]])
    problem = asked(linear(matrix), [1e-5, 0.1, 0.5], p=p)
    c, diff = slopes.slope_starts(problem)
    assert np.allclose(score(problem, c, diff)[:, 0], norm * problem.reach, rtol=1e-4)
    assert (np.abs(c - 0.5) + np.abs(diff) / 2 <= 0.5 + EPS).all()
    assert slopes.slope_starts(Problem(None, None, np.ones(2, bool), 1, np.ones(1))) is None


def test_slope_starts_are_sorted():
    problem = asked(lambda x: x**3, [0.1])
    values = score(problem, *slopes.slope_starts(problem))[0]
    assert (np.diff(values) < 0).all()


@pytest.mark.parametrize("jump", [(-1e308, 1e308), (1e308, -1e308), (math.inf, math.inf)])
@pytest.mark.parametrize("p", [1.0, math.inf])
def test_slopes_beyond_float64_are_left_out(jump, p):
    def outputs(x):  # a place, then its two steps; the second output is 2 x_0 + x_1
        first = np.tile([jump[0], jump[1], jump[1]], len(x) // 3)
        return np.stack([first, x[:, :, 0] @ [2.0, 1.0]], 1)

    values = asked(identity, [0.1], p=p).values
    problem = Problem(values, None, np.ones(2, dtype=bool), 1, np.array([0.1]), outputs, p)
    with np.errstate(over="ignore", invalid="ignore"):
        diff = slopes.slope_starts(problem)[1]
    assert np.allclose(diff[0, :, :, 0], 0.1 / 5**0.5 * np.array([2, 1]), rtol=1e-6)


# -- starts ----------------------------------------------------------------------------------------


def rows(diff):
    return {tuple(np.round(row, 9) + 0.0) for row in diff.reshape(len(diff), -1)}


def test_structured_differences_of_two_entries():
    half, both = 0.5**1.5, asked(identity, [1.0])
    assert rows(starts._directions(both, 0.5)) == rows(
        np.array([[0.5, 0], [half, half], [half, -half], [0.25, 0.25], [0.25, -0.25]])
    )
    alone = asked(identity, [1.0], moving=[False, True])
    assert rows(starts._directions(alone, 0.6)) == rows(
        np.array([[0, 0.6], [0, -0.6], [0, 0.25], [0, -0.25], [0, 0.5], [0, -0.5]])
    )


def shapes_of(tokens, dim, moving, reach):
    """Structured differences: equal spread over k entries, or filled up to heights."""
    entries = [t * dim + j for t in range(tokens) for j in range(dim) if moving[t]]
    count, found = len(entries), []
    orders = [entries, sorted(entries, key=lambda e: (e % dim, e // dim))]
    sizes = {1, 2, 3, dim, 2 * dim, count // dim, count // 2, count}
    for order in orders:
        for k in sizes:
            if 1 <= k <= count:
                found.append({e: min(reach / k**0.5, 1.0) for e in order[:k]})
        for height in (0.25, 0.5, 0.75, 1.0):
            full = min(int(reach**2 / height**2), count)
            rest = math.sqrt(max(reach**2 - full * height**2, 0))
            if full:
                found.append(dict.fromkeys(order[:full], height))
                found[-1].update(dict.fromkeys(order[full : full + 1], rest))
    flat = np.array([[row.get(e, 0.0) for e in range(tokens * dim)] for row in found])
    token = np.arange(tokens * dim) // dim
    alternating = np.where(token % 2 == 0, 1.0, -1.0)
    against = np.where(token == entries[0] // dim, 1.0, -1.0)
    return rows(np.concatenate([flat, flat * alternating, flat * against]))


@pytest.mark.parametrize("reach", [0.2, 0.75, 1.2, 2.4])
@pytest.mark.parametrize(
    ("tokens", "dim", "moving"),
    [(3, 2, (1, 1, 1)), (4, 1, (0, 1, 1, 1)), (2, 3, (1, 1)), (5, 2, (1, 1, 0, 1, 1))],
)
def test_structured_differences_are_those_of_the_text(tokens, dim, moving, reach):
    problem = asked(identity, [1.0], tokens=tokens, dim=dim, moving=np.array(moving, dtype=bool))
    found = starts._directions(problem, reach)
    assert found.shape[1:] == (tokens, dim)
    assert rows(found) == shapes_of(tokens, dim, moving, reach)
    assert (np.linalg.norm(found, axis=(1, 2)) <= reach * (1 + EPS)).all()


def test_centres_of_structured_starts_are_found():
    needle = 5 / 16  # on the grid; entries that do not move sit at 0, at 1 or with the others
    problem = asked(lambda x: np.abs(x - 0.4141) ** 0.5 * x[:, ::-1], [0.01])
    c, diff, values = starts._structured(problem, 0)
    pick = (np.round(diff[:, :, 0], 9) == [[0.01, 0.0]]).all(1)
    # f_0 is 0 at the cusp and |D|^(1/2) beside it, where the other entry is 1; f_1 moves with x_0
    beside = math.hypot(0.01**0.5, 0.01 * 0.5859**0.5)
    assert values[pick] == pytest.approx(beside, rel=1e-4)
    assert c[pick].ravel() == pytest.approx([0.4191, 1.0], abs=1e-6)
    assert np.allclose(values, score(problem, c, diff), **CLOSE)
    spike = asked(lambda x: 1.0 * (np.abs(x - needle) < 1e-4), [0.05])
    assert starts._structured(spike, 0)[2].max() < 1e-9  # at 5/16 sits the centre, no end
    sided = asked(lambda x: 1.0 * (np.abs(x - needle - 0.025) < 1e-4), [0.05])
    assert starts._structured(sided, 0)[2].max() >= 1


@pytest.mark.parametrize("f", [np.sqrt, lambda x: np.sqrt(1 - x)])
def test_centres_of_structured_starts_reach_the_faces(f):
    values = starts._structured(asked(f, [0.5]), 0)[2]
    assert values.max() == pytest.approx((2 * 0.5 / 2**0.5) ** 0.5, rel=1e-6)


def test_shifts_of_centres_never_lose_and_stay_in_the_cube():
    problem = asked(lambda x: np.abs(x - 0.503) ** 0.5, [0.1])
    c, diff = np.array([[[0.5], [0.2]], [[0.05], [0.95]]]), np.array([[[0.1], [0]], [[0.1], [0.1]]])
    new_c, same, values = starts._zoomed(problem, c, diff)
    assert np.array_equal(same, diff)
    assert values[0] == pytest.approx(0.1**0.5, rel=1e-4)
    assert new_c[0].ravel() == pytest.approx([0.453, 0.2], abs=1e-6)  # what is still is not moved
    assert (values >= score(problem, c, diff)).all()
    assert (np.abs(new_c - 0.5) + np.abs(diff) / 2 <= 0.5 + EPS).all()


def test_entries_at_a_face_stay_when_others_are_shifted():
    problem = asked(lambda x: np.abs(x - 0.503) ** 0.5 * [[1.0], [0.0]], [0.2])
    diff = np.full((2, 2, 1), 0.1)
    c = starts._zoomed(problem, np.array([[[0.44], [0.95]], [[0.57], [0.05]]]), diff)[0]
    assert np.allclose(c[:, 0, 0], [0.453, 0.553], atol=1e-6)
    assert (np.abs(c - 0.5) <= 0.45 + EPS).all()


def test_random_starts_are_seeded_lie_in_the_cube_and_fill_the_radius():
    moving = [True, True, False]
    problem = asked(identity, [0.1, 0.5, 3.0], tokens=3, dim=2, moving=moving)
    c, diff = starts._wild(problem, 200, np.random.default_rng(4))
    again = starts._wild(problem, 200, np.random.default_rng(4))
    assert np.array_equal(c, again[0])
    assert np.array_equal(diff, again[1])
    assert c.shape == diff.shape == (3, 200, 3, 2)
    assert ((c >= 0) & (c <= 1)).all()
    assert (c[:, ::2] == 0).any()
    assert (c[:, ::2] == 1).any()
    assert 0.2 < ((c == 0) | (c == 1)).mean() < 0.55
    assert not diff[:, :, 2].any()
    lengths = np.linalg.norm(diff, axis=(2, 3))
    assert np.allclose(lengths[:2], problem.reach[:2, None], rtol=1e-12)
    assert (np.abs(diff[2]) <= 1).all()
    assert lengths[2].max() > 1.7
    for part in (c, diff):
        assert np.array_equal(part[:, 1::2, 0], part[:, 1::2, 1])  # tokens alike
        assert not (part[:, ::2, 0] == part[:, ::2, 1]).all((1, 2)).any()
    moved = (np.abs(diff[:, ::2, :2]) > 1e-6).mean((2, 3))
    assert {0.25, 0.5, 0.75, 1.0} <= set(moved.ravel().tolist())
    assert 0.4 < moved.mean() < 0.75
    middle, few = starts._wild(problem, 1, _Never(5))
    assert np.allclose(middle, 0.99)  # stretched by 1 at least
    assert np.allclose(np.linalg.norm(few, axis=(2, 3))[:2, 0], problem.reach[:2])  # never all 0


class _Never:
    """Draws that leave every entry out."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def random(self, size):
        return np.full(size, 0.99)

    def uniform(self, low, high, size):
        return np.full(size, low)

    def standard_normal(self, size):
        return self.rng.standard_normal(size)


@pytest.mark.parametrize(("radii", "pool"), [(1, 10), (3, 10), (4, 8), (9, 4), (60, 1)])
def test_random_starts_are_the_best_of_a_pool_after_a_short_ascent(radii, pool):
    asked_for = []

    def ascend(c, diff, reach, steps, span):
        asked_for.append((len(c), reach, steps, span))
        return c, diff / 2

    deltas = np.linspace(0.1, 0.2, radii)
    problem = asked(lambda x: x**2, deltas, ascend=ascend)
    c, diff = starts._random(problem, 2, np.random.default_rng(6))
    wild_c, wild_d = starts._wild(problem, 2 * pool, np.random.default_rng(6))
    expected = best_candidates(problem, wild_c, wild_d / 2, 2)
    assert np.array_equal(c, expected[0])
    assert np.array_equal(diff, expected[1])
    ((count, reach, steps, span),) = asked_for
    assert (count, steps, span) == (radii * 2 * pool, 24, Span(0.3, 0.02, 1.0))
    assert np.array_equal(reach, np.repeat(problem.reach, 2 * pool))


def test_starts_are_the_best_structured_ones_the_steep_ones_and_random_ones():
    problem = asked(lambda x: x**2, [0.4, 0.9], tokens=4, dim=2)
    c, diff = starts.structured(problem)
    assert c.shape == diff.shape == (2, 24, 4, 2)
    values = score(problem, c, diff)
    assert (np.diff(values[:, :20]) <= 1e-12).all()
    for index, best in enumerate(values[:, :20]):
        everything = np.sort(starts._structured(problem, index)[2])[::-1]
        assert np.allclose(best, everything[:20], rtol=1e-9)
    steep = slopes.slope_starts(problem)
    assert np.array_equal(c[:, 20:], steep[0])
    assert np.array_equal(diff[:, 20:], steep[1])
    every_c, every_d = starts.starts(problem, Effort(randoms=3), np.random.default_rng(7))
    wild = starts._wild(problem, 3, np.random.default_rng(7))
    assert np.array_equal(every_c, np.concatenate([c, wild[0]], 1))
    assert np.array_equal(every_d, np.concatenate([diff, wild[1]], 1))
    few = Problem(problem.values, None, np.ones(2, bool), 1, problem.deltas)  # outputs unknown
    assert starts.structured(few)[0].shape[1] == min(
        len(starts._directions(few, reach)) for reach in few.reach
    )
