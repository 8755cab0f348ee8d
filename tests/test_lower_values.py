"""Pairs, values and gradients of the search for lower bounds."""

import itertools
import math

import numpy as np
import pytest
import torch

from cases.searches import asked, identity
from looprate.theory.continuity.lower import objective as objectives
from looprate.theory.continuity.lower.objective import (
    checked_output,
    gradient_ascent,
    objective,
    watched_outputs,
)
from looprate.theory.continuity.lower.problem import (
    Effort,
    Problem,
    Span,
    best_candidates,
    capped,
    direction,
    ends,
    fitted,
    moving_tokens,
    score,
    take,
)

U = 2.0**-53  # half the distance of floats above 1/2
EPS = float(np.finfo(float).eps)
CLOSE = {"rtol": 1e-12, "atol": 1e-14}


# -- problem ---------------------------------------------------------------------------------------


def test_effort_scales_every_part_and_each_is_at_least_one():
    assert Effort().scaled(1.0) == Effort() == Effort(12, 240, 5, 36, 2, 8)
    assert Effort().scaled(1e-3) == Effort(1, 1, 1, 1, 2, 2)
    assert Effort().scaled(0.5) == Effort(6, 120, 2, 18, 2, 4)
    assert Effort().scaled(10) == Effort(120, 2400, 50, 360, 2, 32)


def test_radii_are_capped_at_the_diameter_of_what_moves_and_spare_its_rounding():
    deltas = [1e-300, 9e-13, 1e-12, 0.1, 1.9, 2.1]
    problem = asked(identity, deltas, tokens=3, dim=2, moving=[True, False, True])
    assert problem.movable.tolist() == [0, 1, 4, 5]
    spared = [1e-309, 9e-22, *[8 * EPS] * 4]
    expected = [d - s for d, s in zip(deltas, spared, strict=True)]
    assert problem.reach.tolist() == [*expected[:5], 2.0]
    assert Problem(None, None, problem.moving, 2, problem.deltas).p == 2.0


def test_which_tokens_move():
    assert moving_tokens("sequence", 3, 1).tolist() == [True] * 3
    assert moving_tokens("token", 3, 1).tolist() == [False, True, False]
    assert moving_tokens("contextual", 3, 1).tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("c", "diff", "x", "y"),
    [
        (0.5, 0.25, 0.625, 0.375),
        (0.9, 0.5, 1.0, 0.65),
        (0.1, -0.5, 0.0, 0.35),
        (0.5, 2**-45, 0.5 + 2**-46, 0.5 - 2**-46),  # no rounding: kept, however small
        (0.5, 1.6 * U, 0.5 + U, 0.5 + U),  # would move by 2 U
        (0.5, 3.2 * U, 0.5 + 2 * U, 0.5 + 2 * U),  # would move by 3.5 U
        (0.5, -2.4 * U, 0.5 - U, 0.5 + U),  # moves by less
    ],
)
def test_ends_lie_in_the_cube_and_tiny_entries_move_no_further_than_they_say(c, diff, x, y):
    found = ends(np.full((1, 1, 1), c), np.full((1, 1, 1), diff))
    assert [float(end[0, 0, 0]) for end in found] == pytest.approx([x, y], rel=1e-17)


def test_rounding_of_differences_that_are_not_tiny_is_left():
    c = np.full((1, 1, 1), 0.7)
    for diff, moved in ((0.99e-12, False), (1e-12, True), (1.01e-12, True)):
        x, y = ends(c, np.full((1, 1, 1), diff))
        beyond = abs((0.7 + diff / 2) - (0.7 - diff / 2)) > diff * (1 + 1e-9)
        assert bool(x != y) == (moved or not beyond)
    assert abs((0.7 + 0.5e-12) - (0.7 - 0.5e-12)) > 1e-12 * (1 + 1e-9)  # the boundary itself


def test_differences_are_fitted_to_the_radius_as_far_as_the_cube_allows():
    diff = np.array([[[10.0, 1.0, -1.0]]])
    one = 1.3 / math.sqrt(102)  # length of the others, where the first is cut to 1
    two = one * 1.3 / math.hypot(1, one, one)
    assert np.allclose(fitted(diff, 1.3), [[[1.0, two, -two]]], **CLOSE)
    assert np.allclose(fitted(diff, 0.1), diff / math.sqrt(102) / 10, **CLOSE)
    assert np.allclose(fitted(diff * [[[1, 0, 0]]], 1.3), [[[1.0, 0, 0]]], **CLOSE)
    flat = np.array([[[0.6, 0.6, 0.0, 0.0]]])
    assert np.allclose(fitted(flat, 1.4), [[[1.4 * 0.5**0.5] * 2 + [0.0] * 2]], **CLOSE)
    assert not fitted(np.zeros((1, 2, 1)), 0.5).any()
    assert np.allclose(capped(diff, 9.0), [[[1.0, 1.0, -1.0]]])
    assert np.allclose(capped(diff, 1.5), np.array([[[1, 1, -1]]]) * 1.5 / 3**0.5, **CLOSE)
    exact = np.array([[[0.3, 0.4]]])
    assert np.array_equal(capped(exact, direction(exact)[1]), exact)


def test_scores_are_the_values_of_pairs_and_the_best_come_first():
    rng = np.random.default_rng(0)
    problem = asked(lambda x: x**2, [0.1, 0.2])
    c, diff = rng.random((2, 3, 4, 2, 1)), rng.uniform(-0.3, 0.3, (2, 3, 4, 2, 1))
    x, y = np.clip(c + diff / 2, 0, 1), np.clip(c - diff / 2, 0, 1)
    assert np.allclose(score(problem, c, diff), np.linalg.norm(x**2 - y**2, axis=-2)[..., 0])
    c, diff = np.full((2, 4, 2, 1), 0.5), np.zeros((2, 4, 2, 1))
    diff[0, :, 0, 0], diff[1, :, 0, 0] = (0.1, 0.3, -0.3, 0.2), (0.4, 0.1, 0.2, 0.3)
    _, best, values = best_candidates(problem, c, diff, 3)
    assert best[:, :, 0, 0].tolist() == [[0.3, -0.3, 0.2], [0.4, 0.3, 0.2]]
    assert np.allclose(values, np.abs(best[:, :, 0, 0]))
    assert take(np.arange(6).reshape(2, 3), np.array([[2], [0]])).tolist() == [[2], [3]]


# -- objective -------------------------------------------------------------------------------------


def test_outputs_are_finite_float64_of_the_shape_of_the_inputs():
    assert checked_output(np.ones((2, 1, 1), dtype=int), (2, 1, 1)).dtype == np.float64
    with pytest.raises(ValueError, match=r"shape \(2, 1\), expected \(2, 1, 1\)"):
        checked_output(np.ones((2, 1)), (2, 1, 1))
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="NaN or inf"):
            checked_output(np.array([[[1.0]], [[bad]]]), (2, 1, 1))


@pytest.mark.parametrize(("chunk", "pairs", "points"), [(24, 2, 4), (23, 1, 3), (1, 1, 1)])
@pytest.mark.parametrize("row", [None, 0, 2])
def test_values_and_outputs_are_the_same_in_pieces(chunk, pairs, points, row, monkeypatch):
    rng, sizes = np.random.default_rng(1), []

    def f(x):
        sizes.append(len(x))
        return np.cumsum(x, 1) ** 2

    x, y = rng.random((2, 5, 3, 2))
    gap = np.cumsum(x, 1) ** 2 - np.cumsum(y, 1) ** 2
    gap = gap if row is None else gap[:, row : row + 1]
    monkeypatch.setattr(objectives, "CHUNK", chunk)
    for p in (1.0, 2.0, math.inf):
        values = objective(f, p, row)(x, y)
        assert np.allclose(values, np.linalg.norm(gap.reshape(5, -1), p, axis=1), **CLOSE)
    assert sizes[: -(-5 // pairs)] == [2 * len(part) for part in _cut(5, pairs)]
    sizes.clear()
    out = watched_outputs(f, row)(x) - watched_outputs(f, row)(y)
    assert np.allclose(out, gap.reshape(5, -1), **CLOSE)
    assert sizes == [len(part) for part in _cut(5, points)] * 2


def _cut(count, size):
    return [range(count)[k : k + size] for k in range(0, count, size)]


def test_batches_hold_131072_numbers():
    sizes, x = [], np.zeros((140_000, 1, 1))

    def f(x):
        sizes.append(x.size)
        return x

    watched_outputs(f, None)(x)
    assert sizes == [131_072, 8_928]
    objective(f, 2.0, None)(x, x)
    assert sizes[2:] == [131_072, 131_072, 17_856]


def test_segments_stay_between_the_faces_and_places_say_where():
    place = torch.tensor([0.0, 1.0, 0.5, 0.25, 0.3])
    diff = torch.tensor([0.4, -0.4, 0.4, 0.2, 1.0])
    x, y = objectives._ends(torch.stack([place, diff]).double())
    assert np.allclose(x, [0.4, 0.6, 0.7, 0.4, 1.0])
    assert np.allclose(y, [0.0, 1.0, 0.3, 0.2, 0.0])
    centre, diff = ((x + y) / 2).numpy(), diff.double().numpy()
    assert np.allclose(objectives._places(centre, diff)[:4], place[:4])
    past = objectives._places(np.array([0.05, 0.95, 0.7]), np.array([0.4, 0.4, 1.0]))
    assert past.tolist() == [0.0, 1.0, 1.0]  # what clipping would cut moves inside


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("row", [None, 1])
def test_gradients_are_difference_quotients(p, row):
    rng = np.random.default_rng(2)
    point = np.stack([rng.random((3, 2, 2)), rng.uniform(-0.5, 0.5, (3, 2, 2))])

    def f(x):
        return torch.sin(3 * x) + x.flip(1) ** 2

    def values(point):
        value, grad = objectives._slopes(f, p, row, torch.as_tensor(point))
        return value.numpy(), grad.numpy()

    value, grad = values(point)
    pair = [end.numpy() for end in objectives._ends(torch.as_tensor(point))]
    reference = objective(lambda x: f(torch.as_tensor(x)).numpy(), p, row)
    assert np.allclose(value, reference(*pair), **CLOSE)
    for part, token, entry in itertools.product(range(2), repeat=3):
        step = np.zeros_like(point)
        step[part, :, token, entry] = 1e-6
        quotient = (values(point + step)[0] - values(point - step)[0]) / 2e-6
        assert np.allclose(grad[part, :, token, entry], quotient, atol=1e-7)


def test_gradients_at_cusps_are_nothing_and_those_beside_them_are_kept():
    point = torch.zeros((2, 2, 2, 1), dtype=torch.float64)
    point[1, :, 0], point[0, 1] = 0.5, 0.5
    for f, face in ((torch.sqrt, 0.0), (lambda x: torch.sqrt(1 - x), 1.0)):
        point[0, 0] = face  # one end on the cusp: slopes there are infinite, of either sign
        value, grad = objectives._slopes(f, 2.0, None, point)
        assert value[0] == pytest.approx(0.5**0.5)
        assert not grad[:, 0].any()
        assert grad[:, 1, 0].all()


def test_functions_that_overwrite_what_their_gradient_needs_have_none():
    def overwriting(x):
        out = torch.exp(x)
        kept = out * out
        out += 1
        return kept

    point = torch.full((2, 1, 2, 1), 0.25, dtype=torch.float64)
    value, grad = objectives._slopes(overwriting, 2.0, None, point)
    assert not grad.any()
    assert float(value) > 0


def test_the_better_iterate_is_kept_and_the_first_of_equals():
    one, two = torch.zeros((2, 3, 1, 1)), torch.ones((2, 3, 1, 1))
    point, value = objectives._best(
        (one, torch.tensor([1.0, 1.0, 1.0])), two, torch.tensor([0.5, 1.0, 2.0])
    )
    assert point[:, :, 0, 0].tolist() == [[0.0, 0.0, 1.0]] * 2
    assert value.tolist() == [1.0, 1.0, 2.0]


def test_only_what_lengthens_full_differences_is_taken_from_gradients():
    diff = torch.tensor([0.6, 0.8], dtype=torch.float64).reshape(1, 2, 1)
    out = torch.tensor([2.0, 1.0]).double().reshape(1, 2, 1)
    side = out - 2.0 * diff  # 2 = 2 * 0.6 + 1 * 0.8
    for length, radius, grad, expected in (
        (1.0, 1.0, out, side),
        (1.0 - 0.9e-9, 1.0, out, side),
        (1.0 - 1.1e-9, 1.0, out, out),
        (1.0, 1.0, -out, -out),
        (0.0, 1.0, out, out),
        (0.5, 0.5, out, side),
    ):
        found = objectives._tangent(grad, diff * length, torch.tensor(radius).double())
        assert np.allclose(found, expected, **CLOSE), (length, radius)


def adam(value_and_slopes, place, diff, radius, steps, span, moving):
    """Projected Adam with decays 0.8 and 0.95 on one candidate, entry by entry."""
    mean, square = np.zeros((2, 2, len(place)))
    told, kept = [], (-1.0, None)
    for step in range(1, steps + 1):
        value, grad = value_and_slopes(place, diff)
        told.append(value)
        if value > kept[0]:
            kept = (value, (place.copy(), diff.copy()))
        grad = np.array(grad)
        grad[1] *= moving
        outward = grad[1] @ diff / np.linalg.norm(diff)
        if np.linalg.norm(diff) >= radius * (1 - 1e-9) and outward > 0:
            grad[1] -= outward * diff / np.linalg.norm(diff)
        mean, square = 0.8 * mean + 0.2 * grad, 0.95 * square + 0.05 * grad**2
        rate = span.first * (span.last / span.first) ** ((step - 1) / steps)
        move = rate * (mean / (1 - 0.8**step)) / np.sqrt(square / (1 - 0.95**step) + 1e-300)
        place = np.clip(place + move[0] * max(radius, span.floor), 0, 1)
        diff = np.clip(diff + move[1] * radius, -1, 1) * moving
        diff = diff * min(1.0, radius / np.linalg.norm(diff))
    return told, kept[1]


@pytest.mark.parametrize(("radius", "moving"), [(0.3, (1, 1)), (0.05, (0, 1)), (1.3, (1, 1))])
def test_the_ascent_is_projected_adam_that_keeps_its_best(radius, moving):
    def f(x):
        return torch.sin(4 * x) + 3 * x.flip(1) * x

    def slopes_at(place, diff):
        point = torch.as_tensor(np.stack([place, diff]).reshape(2, 1, 2, 1))
        value, grad = objectives._slopes(f, 2.0, None, point)
        return float(value), grad.numpy().reshape(2, 2)

    told, span = [], Span(0.4, 0.01, 0.2)
    like = {"dtype": torch.float64}
    mask = np.array(moving, dtype=bool)
    ascend = gradient_ascent(f, like, 2.0, None, mask, told.append)
    c, diff = np.array([0.4, 0.6]), np.array([0.7, -0.5]) * radius * moving
    both = np.stack([c, c]).reshape(2, 2, 1), np.stack([diff, diff / 8]).reshape(2, 2, 1)
    found = ascend(*both, np.array([radius, radius / 8]), 9, span)
    place = np.clip((c - np.abs(diff) / 2) / (1 - np.abs(diff)), 0, 1)
    expected, (place, diff) = adam(slopes_at, place, diff, radius, 9, span, np.array(moving))
    assert np.allclose(told, expected, rtol=1e-9)  # of the larger radius: the larger values
    assert max(expected) > expected[0]
    assert np.allclose(found[1][0].ravel(), diff, rtol=1e-9)
    centre = np.abs(diff) / 2 + place * (1 - np.abs(diff))
    assert np.allclose(found[0][0].ravel(), centre, rtol=1e-9)
