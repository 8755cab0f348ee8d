"""The steepest point of the cube bounds a modulus, and tells where to look for pairs."""

from __future__ import annotations

import itertools
import math
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.continuity.upper import steepest
from looprate.theory.continuity.upper.branching import Outcome, branch_and_bound
from looprate.theory.continuity.upper.cells import CellProblem, Cells
from looprate.theory.continuity.upper.operator_norm import operator_norm_upper_bound
from looprate.theory.continuity.upper.places import Places
from looprate.theory.continuity.upper.steepest import steepest_upper_bound
from looprate.theory.targets import parse_target

DELTA = 0.1
ROUNDING = 1e-12
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


@pytest.mark.parametrize("kind", ["sequence", "token", "contextual"])
@pytest.mark.parametrize("name", TARGETS)
def test_no_derivative_is_steeper(name, kind):
    f, shape = parse_target(name), (2, 1)
    problem = problem_of(f, *shape, kind)
    value = steepest_upper_bound(problem, 0.0, 0.1, np.inf)[0]
    points = np.random.default_rng(0).random((200, *shape))
    assert value >= DELTA * slopes_of(f, points, problem).max() * (1 - 1e-12)


def test_the_steepest_point_is_found():
    """f = x mean(x) is steepest at all ones, where J = I + 11^T/N has the norm 2."""
    problem = problem_of(parse_target("token-times-mean"), 3, 1)
    assert steepest_upper_bound(problem, 0.2 * 1.001, 20.0, np.inf)[0] == pytest.approx(
        0.2, rel=2e-3
    )


@pytest.mark.parametrize("kind", ["sequence", "contextual"])
def test_pairs_are_sought_where_it_is_steep_and_nothing_is_lost(kind):
    f, (tokens, dim) = parse_target("softmax-attention"), (2, 1)
    lower = modulus_lower_bound(f, DELTA, kind=kind, tokens=tokens, dim=dim, effort=0.1).value
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
    lower = modulus_lower_bound(f, DELTA, kind="sequence", tokens=2, dim=1, effort=0.1).value
    problem = problem_of(f, 2, 1)
    nowhere = Places.of(np.zeros((0, 2)), np.zeros((0, 2)), 8)
    lost = CellProblem(**{**vars(problem), "steep": nowhere})
    assert branch_and_bound(lost, 0.5 * lower, seconds=0.3).value < lower


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sequence", "token"])
def test_attention_of_four_inputs_is_bracketed(kind):
    f = parse_target("softmax-attention")
    found = modulus_upper_bound(f, DELTA, kind=kind, tokens=2, dim=2, tolerance=0.05, seconds=120)
    assert found.reached
    assert 0 <= found.gap <= 0.05 + ROUNDING


# -- what is asked of the search over points ------------------------------------------------------


def searched(monkeypatch, problem, live=None, threshold=0.1):
    """What is found where a search leaves some cells, and what that was asked for."""
    calls, width = [], problem.tokens * problem.dim
    cells = Cells(*(np.zeros((0, width)),) * 2, *(np.zeros((0, len(problem.movable))),) * 2)
    if live is not None:
        low, high = (np.asarray(end, dtype=float) for end in live)
        none = np.zeros((len(low), len(problem.movable)))
        cells = Cells(low, high, none, none)
    outcome = Outcome(0.7, 11, cells)
    monkeypatch.setattr(
        steepest, "branch_and_bound", lambda *a, **k: calls.append((a, k)) or outcome
    )
    found = steepest_upper_bound(problem, threshold, 2.0, 0.9, print)
    assert found[:2] == (0.7, 11 * len(calls))
    assert len(calls) == 1 + (live is not None)
    for (again, goal), more in calls[1:]:  # how steep what is left is, as far as it matters
        assert (again, more["root"], more["least"]) == (problem, cells, 0.7)
        assert goal >= threshold
    return found[2], calls[0]


@pytest.mark.parametrize(
    ("shape", "finest"),
    [
        ((1, 1), 2.0**-7),
        ((3, 1), 2.0**-7),
        ((2, 2), 2.0**-6),
        ((4, 1), 2.0**-6),
        ((5, 1), 2.0**-4),
        ((7, 1), 2.0**-2),
        ((6, 2), 0.5),
        ((24, 1), 1.0),
        ((25, 1), 1.0),
    ],
)
def test_points_of_the_whole_cube_are_searched_down_to_the_grid(monkeypatch, shape, finest):
    problem = problem_of(np.sin, *shape, "token")
    same, ((asked, threshold), more) = searched(monkeypatch, problem)
    assert (asked, threshold, same) == (problem, 0.1, problem)
    root, width = more.pop("root"), shape[0] * shape[1]
    assert (root.c_low.tolist(), root.c_high.tolist()) == ([[0.0] * width], [[1.0] * width])
    assert root.d_low.tolist() == root.d_high.tolist() == [[0.0] * shape[1]]
    half = int(sys.maxsize * 0.5)
    wanted = {"seconds": 1.0, "least": 0.9, "finest": finest, "report": print, "most": half}
    assert more == wanted | {"bounds": steepest._steepest}


def test_cells_that_are_left_are_places_in_every_order(monkeypatch):
    """Two cells of 16 of a plane; with the tokens exchanged four, and half of the cube at most."""
    live = ([[0.0, 0.25]], [[0.25, 0.75]])
    alone = replace(problem_of(np.sin, 2, 1), sorted_tokens=())
    found, _ = searched(monkeypatch, alone, live)
    assert found.steep.share == 1 / 8
    assert found.steep.meet(np.array([[0.1, 0.3]]), np.array([[0.1, 0.3]])).all()
    assert replace(found, steep=None) == replace(alone, steep=None)
    both, _ = searched(monkeypatch, problem_of(np.sin, 2, 1), live)
    assert both.steep.share == 1 / 4
    corners = np.array([[0.1, 0.3], [0.3, 0.1], [0.1, 0.1]])
    assert both.steep.meet(corners, corners).tolist() == [True, True, False]


@pytest.mark.parametrize(("high", "narrowed"), [(0.25, True), (0.25 + 2.0**-7, False)])
def test_a_set_that_fills_more_than_half_of_the_cube_spares_nothing(monkeypatch, high, narrowed):
    problem = problem_of(np.sin, 2, 1)  # two orders
    found, _ = searched(monkeypatch, problem, ([[0.0, 0.0]], [[high, 1.0]]))
    assert (found.steep is not None) == narrowed
    assert steepest.MOST_SHARE == 0.5


@pytest.mark.parametrize(("tokens", "steps"), [(4, 64), (6, 8), (8, 2), (11, None)])
def test_the_grid_is_coarser_where_there_are_more_orders(monkeypatch, tokens, steps):
    """The grid is not made, which is why a stand-in for it will do here."""
    fake = SimpleNamespace(share=1e-9, permuted=lambda tokens, dim: (tokens, dim))
    seen = []
    made = SimpleNamespace(of=lambda low, high, steps: seen.append(steps) or fake)
    monkeypatch.setattr(steepest, "Places", made)
    problem, few = problem_of(np.sin, tokens, 1), np.zeros((1, tokens))
    found, _ = searched(monkeypatch, problem, (few, few + 2.0**-4))
    assert seen == ([steps] if steps else [])
    assert found.steep == ((tuple(range(tokens)), 1) if steps else None)
    if steps:
        assert steps**tokens * math.factorial(tokens) <= steepest.MOST_MOVED


def test_the_time_is_kept_with_many_orders():
    """Six tokens have 720 orders, and 2^24 places took minutes."""
    problem = problem_of(parse_target("token-times-mean"), 6, 1)
    began = time.monotonic()
    steepest_upper_bound(problem, 0.199, 1.0, np.inf)
    assert time.monotonic() - began < 30


def bent(x):
    """Slopes 2x + 4y and 4x: a second derivative of its own in each entry."""
    return x**2 + 4 * x * x[:, ::-1]


def test_bounds_of_cells_hold_the_slopes_and_use_second_derivatives_where_they_help():
    for kind, p in itertools.product(("sequence", "contextual"), (1.0, 2.0)):
        problem = problem_of(bent, 2, 1, kind, p)
        low = np.random.default_rng(0).random((40, 2)) * 0.9
        none = np.zeros((40, len(problem.movable)))
        cells = Cells(low, low + 0.1, none, none)
        first, side, same = steepest._steepest(problem, cells, np.inf)  # slopes alone
        assert same is cells
        second = steepest._steepest(problem, cells, 0.0)[0]
        corner = low + 0.1  # the steepest point: every slope grows with both entries
        x, y = corner.T
        full = np.array([[2 * x + 4 * y, 4 * x], [4 * y, 2 * y + 4 * x]]).transpose(2, 0, 1)
        rows = full if problem.row is None else full[:, :1]
        rows = rows[:, :, problem.movable]
        exact = DELTA * operator_norm_upper_bound(rows, p)
        for found in (first, second):
            assert (found >= exact * (1 - 1e-9)).all()
            assert (found <= exact * 1.2).all()
        assert (second <= first).all()
        assert np.median(first / exact) < 1.02
        between = np.quantile(first, 0.5)  # bends are looked at above the threshold alone
        some = steepest._steepest(problem, cells, between)[0]
        assert (some == np.where(first > between, second, first)).all()
        column = np.sqrt((rows**2).sum(1)) if problem.row is None else None
        if column is not None:
            assert (side == column.argmax(1)).mean() > 0.9


def test_the_longest_side_is_halved_where_slopes_are_alike():
    problem = problem_of(lambda x: 3 * x, 2, 1)
    low = np.array([[0.1, 0.2], [0.1, 0.2]])
    high = low + np.array([[0.5, 0.25], [0.25, 0.5]])
    cells = Cells(low, high, *np.zeros((2, 2, 2)))
    value, side, _ = steepest._steepest(problem, cells, 0.0)
    assert side.tolist() == [0, 1]
    assert value == pytest.approx(3 * DELTA, rel=1e-9)
    assert (value >= 3 * DELTA).all()


def test_second_derivatives_are_asked_above_the_threshold_alone():
    """x² (1 - x): its slope 2x - 3x², taken term by term, is too wide."""
    problem, low = problem_of(lambda x: x * x * (1 - x), 1, 1), np.arange(10)[:, None] / 10
    cells = Cells(low, low + 0.1, *np.zeros((2, 10, 1)))
    first, _, _ = steepest._steepest(problem, cells, np.inf)
    second, _, _ = steepest._steepest(problem, cells, 0.0)
    assert (second < first).sum() > 5
    between = np.median(first)
    some, _, _ = steepest._steepest(problem, cells, between)
    assert (some == np.where(first > between, second, first)).all()
    x = np.linspace(low, low + 0.1, 101)
    exact = DELTA * np.abs(2 * x - 3 * x**2).max((0, 2))
    assert (second >= exact * (1 - 1e-9)).all()
    assert second.max() <= 1.2 * exact.max()


def test_a_grid_of_two_cells_a_side_is_one(monkeypatch):
    problem = replace(problem_of(np.sin, 13, 1), sorted_tokens=())
    none = np.zeros((1, 13))
    found, _ = searched(monkeypatch, problem, (none, none + 0.5))
    assert found.steep.share == 2.0**-13
