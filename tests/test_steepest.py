"""The steepest point of the cube bounds a modulus, and tells where to look for pairs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from theory.continuity import modulus_lower_bound, modulus_upper_bound
from theory.continuity.branching import branch_and_bound
from theory.continuity.cells import CellProblem
from theory.continuity.places import Places
from theory.continuity.steepest import steepest_upper_bound
from theory.search import moving_tokens
from theory.targets import parse_target

DELTA = 0.1
TARGETS = ("softmax-attention", "smooth-field:features=8", "context-max", "token-times-mean")


def problem_of(f, tokens, dim, kind="sequence", p=2.0):
    row = None if kind == "sequence" else 0
    others = tuple(n for n in range(tokens) if n != row)
    return CellProblem(f, tokens, dim, moving_tokens(kind, tokens, 0), row, p, DELTA, others)


def slopes_of(f, points, problem):
    """Spectral norms of the derivatives that a problem watches, by automatic differentiation."""
    derivative = torch.func.vmap(torch.func.jacrev(lambda x: f(x[None])[0]))
    jacobian = derivative(torch.from_numpy(points))
    jacobian = jacobian if problem.row is None else jacobian[:, :1]
    jacobian = jacobian[:, :, :, problem.moving].flatten(3).flatten(1, 2)
    return torch.linalg.matrix_norm(jacobian, 2).numpy()


def test_places_meet_what_their_cells_overlap():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 8, (5, 2)) / 8
    places = Places.of(low, low + 1 / 8, 8)
    left = rng.integers(0, 64, (500, 2)) / 64
    right = np.minimum(left + rng.integers(1, 20, (500, 2)) / 64, 1.0)
    inside = (left[:, None] < low + 1 / 8).all(2) & (right[:, None] > low).all(2)
    assert (places.meet(left, right) == inside.any(1)).all()
    assert 0 < inside.any(1).mean() < 1
    assert places.share == len(np.unique(low, axis=0)) / 64


def test_places_are_not_met_across_a_face_and_points_lie_in_one_cell():
    places = Places.of(np.array([[0.5]]), np.array([[0.75]]), 4)
    low, high = np.array([[0.25], [0.75], [0.5], [1.0]]), np.array([[0.5], [1.0], [0.5], [1.0]])
    assert places.meet(low, high).tolist() == [False, False, True, False]


def test_permuted_places_hold_every_exchange():
    low = np.array([[0.0, 0.25, 0.5, 0.75, 0.0, 0.0]])  # three tokens of two coordinates
    places = Places.of(low, low + 0.25, 4).permuted((0, 2), 2)
    other = low.reshape(1, 3, 2)[:, [2, 1, 0]].reshape(1, 6)
    never = low.reshape(1, 3, 2)[:, [1, 0, 2]].reshape(1, 6)
    boxes = np.concatenate([low, other, never])
    assert places.meet(boxes, boxes + 0.25).tolist() == [True, True, False]


@pytest.mark.parametrize("kind", ["sequence", "token", "contextual"])
@pytest.mark.parametrize("name", TARGETS)
def test_no_derivative_is_steeper(name, kind):
    f, shape = parse_target(name), (2, 1)
    problem = problem_of(f, *shape, kind)
    value = steepest_upper_bound(problem, 0.0, 0.1, np.inf)[0]
    points = torch.rand(
        200, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    jacobian = torch.func.vmap(torch.func.jacrev(lambda x: f(x[None])[0]))(points)
    if problem.row is not None:
        jacobian = jacobian[:, :1]
    jacobian = jacobian[:, :, :, problem.moving].flatten(3).flatten(1, 2)
    assert value >= DELTA * torch.linalg.matrix_norm(jacobian, 2).max().item() * (1 - 1e-12)


def test_the_steepest_point_is_found():
    """f = x mean(x) is steepest at all ones, where J = I + 11^T/N has the norm 2."""
    problem = problem_of(parse_target("token-times-mean"), 3, 1)
    assert steepest_upper_bound(problem, 0.2 * 1.001, 20.0, np.inf)[0] == pytest.approx(
        0.2, rel=2e-3
    )


@pytest.mark.parametrize("kind", ["sequence", "contextual"])
def test_pairs_are_sought_where_it_is_steep_and_nothing_is_lost(kind):
    f, (tokens, dim) = parse_target("softmax-attention"), (2, 1)
    lower = modulus_lower_bound(f, DELTA, kind=kind, tokens=tokens, dim=dim, budget=0.1).value
    problem = problem_of(f, tokens, dim, kind)
    for threshold in (0.97 * lower, 1.001 * lower):
        value, _, narrowed = steepest_upper_bound(problem, threshold, 60.0, np.inf)
        assert value >= lower
        assert narrowed.steep is not None
        assert narrowed.steep.share < 0.5
        assert branch_and_bound(narrowed, threshold, seconds=0.3).value >= lower * (1 - 1e-12)


def test_every_steep_point_is_among_the_places():
    f = parse_target("softmax-attention")
    problem = problem_of(f, 2, 1)
    points = np.random.default_rng(0).random((20_000, 2, 1))
    size = DELTA * slopes_of(f, points, problem)
    threshold = np.quantile(size, 0.95)
    narrowed = steepest_upper_bound(problem, threshold, 60.0, np.inf)[2]
    steep = points[size > threshold].reshape(-1, 2)
    assert len(steep) == 1_000
    assert narrowed.steep.meet(steep, steep).all()


def test_wrong_places_would_be_noticed():
    """Without the places, the search over pairs calls everything settled: the control."""
    f = parse_target("softmax-attention")
    lower = modulus_lower_bound(f, DELTA, kind="sequence", tokens=2, dim=1, budget=0.1).value
    problem = problem_of(f, 2, 1)
    nowhere = Places.of(np.zeros((0, 2)), np.zeros((0, 2)), 8)
    lost = CellProblem(**{**vars(problem), "steep": nowhere})
    assert branch_and_bound(lost, 0.5 * lower, seconds=0.3).value < lower


def test_segments_of_sorted_centres_need_every_order():
    """A pair with a sorted centre may have its steep point at an unsorted one."""
    steep = Places.of(np.array([[0.25, 0.5]]), np.array([[0.5, 0.75]]), 4)
    both = steep.permuted((0, 1), 1)
    corners = np.array(list(itertools.permutations([0.3, 0.6])))
    assert steep.meet(corners, corners).tolist() == [True, False]
    assert both.meet(corners, corners).tolist() == [True, True]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sequence", "token"])
def test_attention_of_four_inputs_is_bracketed(kind):
    f = parse_target("softmax-attention")
    found = modulus_upper_bound(f, DELTA, kind=kind, tokens=2, dim=2, tolerance=0.05, budget=120)
    assert found.reached
    assert 0 <= found.gap <= 0.05
