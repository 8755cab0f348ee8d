"""Bounds by forms of second order on hulls of pairs: of networks, never below what pairs attain."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from looprate.approx.enclosed import enclosed
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.theory.continuity.upper import hulls, stages
from looprate.theory.continuity.upper.cells import CellProblem
from looprate.theory.enclosure.affine import Affine
from looprate.theory.targets import parse_target

DELTA = 0.1
#: family, loops, activation, norm, tokens, d, watched row
NETWORKS = {
    "lt 1": ("lt", 1, "relu", "rms", 2, 2, None),
    "tmlt 2": ("tmlt", 2, "relu", "rms", 4, 1, 0),
    "gelu": ("lt", 2, "gelu", "none", 2, 1, None),
    "silu": ("tmlt", 1, "silu", "rms", 3, 1, 1),
}


@functools.cache
def network(name):
    """A network with weights of a trained one's size, on enclosures."""
    family, loops, activation, norm, tokens, dim, _ = NETWORKS[name]
    config = ModelConfig(
        dim=dim, width=4, hidden=6, family=family, activation=activation, norm=norm, gate=1 / loops
    )
    model = LoopedTransformer(config, seed=1).double()
    for weight in model.parameters():
        weight.data *= 1.2
    return enclosed(model, tokens=tokens, dim=dim, loops=loops)


def problem_of(name):
    """The contextual or sequence modulus of a network at a radius."""
    *_, tokens, dim, row = NETWORKS[name]
    moving = np.arange(tokens) != (-1 if row is None else row)
    return CellProblem(network(name), tokens, dim, moving, row, 2.0, DELTA)


def cells_of(problem, side, count=4):
    """A few cells of centres."""
    low = np.random.default_rng(2).random((count, problem.tokens * problem.dim)) * (1 - side)
    return hulls._centres(problem, low, low + side)


def attained(problem, cells, parts):
    """The largest m ‖f(c + D/2) - f(c - D/2)‖ of sampled pairs with c in a cell, ‖D‖ <= δ/m."""
    rng, movable = np.random.default_rng(3), problem.movable
    share = rng.random((400, *cells.c_low.shape))
    centre = cells.c_low + share * (cells.c_high - cells.c_low)
    move = np.zeros(centre.shape)
    move[..., movable] = rng.normal(size=(*centre.shape[:2], len(movable)))
    move *= DELTA / parts / 2 / np.linalg.norm(move, axis=2, keepdims=True)
    inside = ((centre - np.abs(move) >= 0) & (centre + np.abs(move) <= 1)).all(2)
    shape = (-1, problem.tokens, problem.dim)
    x, y = (problem.f((centre + sign * move).reshape(shape)) for sign in (1, -1))
    size = np.linalg.norm(problem.rows(x - y), axis=1).reshape(inside.shape)
    return parts * np.where(inside, size, 0).max(0)


@pytest.mark.parametrize("name", NETWORKS)
def test_no_pair_exceeds_the_bound_of_its_cell_which_comes_close_on_small_ones(name):
    problem = problem_of(name)
    for side, parts, close in ((2.0**-3, 1, np.inf), (2.0**-7, 8, 1.6)):
        cells = cells_of(problem, side)
        bound, halved, _ = hulls._bounds(problem, cells, 0.0, parts=parts)
        seen = attained(problem, cells, parts)
        assert (seen <= bound).all()
        assert np.median(bound / seen) < close
        assert halved.max() < problem.tokens * problem.dim


@pytest.mark.parametrize("part", [1, 3])
def test_forms_without_slope_or_rest_are_caught(monkeypatch, part):
    problem, whole = problem_of("tmlt 2"), Affine.quadratic

    def less(self, half):
        found = list(whole(self, half))
        found[part] = found[part] * 0.2
        return tuple(found) if part == 1 else (found[0], found[1] * 0, found[2], found[3])

    monkeypatch.setattr(Affine, "quadratic", less)
    cells = cells_of(problem, 2.0**-7)
    bound, _, _ = hulls._bounds(problem, cells, 0.0, parts=8)
    assert not (attained(problem, cells, 8) <= bound).all()


def test_the_bound_of_a_network_falls_with_more_cells_and_stays_above_its_pairs():
    problem = problem_of("gelu")
    few, many = (hulls.hulls_upper_bound(problem, 0.0, 1e6, np.inf, most=most) for most in (8, 128))
    seen = attained(problem, problem_cell(problem), 1).max()
    assert seen <= many[0] < few[0]
    assert few[1] <= 8 < many[1] <= 128


def problem_cell(problem):
    """The whole cube as one cell of centres."""
    width = problem.tokens * problem.dim
    return hulls._centres(problem, np.zeros((1, width)), np.ones((1, width)))


def test_networks_are_bounded_by_hulls_and_smooth_targets_are_not():
    assert hulls.prefers_hulls(problem_of("tmlt 2"))
    field = parse_target("smooth-field")
    whole = CellProblem(field, 2, 2, np.ones(2, dtype=bool), None, 2.0, DELTA)
    assert not hulls.prefers_hulls(whole)
    assert stages.HULLS in dict(stages.DEEP_STAGES)
