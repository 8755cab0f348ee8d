"""Norms of matrices that are affine on a box: never below a member's, close, and broken once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from looprate.theory.continuity.upper import affine_norm as file
from looprate.theory.continuity.upper.affine_norm import affine_norm, spectral_norm
from looprate.theory.continuity.upper.operator_norm import operator_norm_upper_bound

SHAPES = ((1, 1, 1), (4, 4, 4), (2, 6, 5), (3, 1, 4), (6, 6, 2), (0, 3, 3))  # K, E, M


def families(shape, size, seed=0, count=40):
    """Random families whose boxes and remainders have about a size."""
    rng = np.random.default_rng(seed)
    directions, rows, columns = shape
    start = rng.standard_normal((count, rows, columns))
    start[:5] = np.eye(rows, columns)  # all singular values alike
    start[5] = 0
    turn = size * rng.standard_normal((count, directions, rows, columns))
    turn[6:9] = start[6:9, None] * size  # all directions add up at a corner
    return start, turn, size * rng.random((count, rows, columns))


def members(family, rng, count=60):
    """Members at corners and inside, remainders of either sign at their largest."""
    start, turn, loose = family
    for k in range(count):
        s = rng.uniform(-1, 1, turn.shape[:2])
        s = np.sign(s) if k % 2 else np.ones_like(s) if k == 0 else s
        yield start + np.einsum("bk,bkem->bem", s, turn) + loose * rng.choice([-1, 1], loose.shape)


def least_room(p, size=0.3):
    """The least of bound over member, and of change over distance, over many families."""
    least = math.inf
    for shape in SHAPES:
        family = families(shape, size)
        found = affine_norm(*family, p)
        for member in members(family, np.random.default_rng(1)):
            slack = 1 + 1e-9  # of operator_norm_upper_bound itself
            norm = operator_norm_upper_bound(member, p)
            apart = operator_norm_upper_bound(member - family[0], p)
            least = min(
                least, (found.most * slack - norm).min(), (found.change * slack - apart).min()
            )
    return least


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_no_member_is_larger(p):
    assert least_room(p) >= 0


@pytest.mark.parametrize("name", ["positive_norm_upper_bound", "spectral_norm", "_at_corners"])
def test_one_wrong_step_is_caught(monkeypatch, name):
    right = getattr(file, name)
    monkeypatch.setattr(file, name, lambda *inputs: 0.5 * right(*inputs))
    assert least_room(2.0) < 0


def test_bounds_come_close_on_small_boxes():
    """Corners are taken exactly, and small boxes cost no more than their size."""
    for shape in SHAPES:
        start, turn, loose = families(shape, 1e-3)
        found = affine_norm(start, turn, 0 * loose, 2.0)
        exact = max(
            operator_norm_upper_bound(member, 2.0)
            for member in members(
                (start[9:10], turn[9:10], 0 * loose[9:10]), np.random.default_rng(2)
            )
        )
        assert exact <= found.most[9] <= exact * 1.01
        flat = affine_norm(start, 0 * turn, 0 * loose, 2.0)
        assert flat.most == pytest.approx(operator_norm_upper_bound(start, 2.0), rel=1e-7, abs=1e-9)
        assert flat.spread == pytest.approx(np.zeros(len(start)), abs=1e-6)


@pytest.mark.parametrize("scale", [2.0**-500, 2.0**400])
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_sizes_do_not_matter(p, scale):
    family = families((3, 4, 2), 0.1)
    found, scaled = (affine_norm(*(k * part for part in family), p) for k in (1.0, scale))
    assert scaled.most == pytest.approx(scale * found.most, rel=1e-9)
    assert scaled.change == pytest.approx(scale * found.change, rel=1e-9)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_what_is_unbounded_is_inf_and_spoils_nothing_else(p):
    start, turn, loose = families((2, 3, 3), 0.1)
    alone = affine_norm(start, turn, loose, p)
    loose[3, 1, 1], turn[4, 0, 0, 0] = np.inf, np.inf
    found = affine_norm(start, turn, loose, p)
    assert np.isinf(found.most[3:5]).all()
    assert np.isinf(found.change[3:5]).all()
    rest = np.delete(np.arange(len(start)), [3, 4])
    assert np.array_equal(found.most[rest], alone.most[rest])


def test_spectral_norms_are_nearly_exact():
    some = np.random.default_rng(3).standard_normal((50, 4, 6))
    some[0], some[1, 1:], some[2] = 0, 0, np.eye(4, 6) * 2.0**-700
    found, exact = spectral_norm(some), np.linalg.norm(some, 2, (1, 2))
    assert (found >= exact * (1 - 1e-14)).all()
    assert (found <= exact * 4 ** (1 / 128) * (1 + 1e-9)).all()
    assert np.median(found[3:] / exact[3:]) < 1.0001
