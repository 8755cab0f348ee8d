"""Operator norms from the 2-norm to a p-norm: never below, sharp for p = 1, 2 and inf."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from cases.pairs import norms

from theory.continuity import operator_norm
from theory.continuity.operator_norm import (
    MOST_ROWS,
    operator_norm_upper_bound,
    positive_norm_upper_bound,
)

P_VALUES = (1.0, 1.3, 2.0, 3.0, 100.0, math.inf)  # powers of 100 underflow
SHARP = 1e-9  # relative
ROUNDING = 1e-13  # relative: of the plain norms compared with
SHAPES = ((1, 1), (1, 5), (5, 1), (2, 3), (4, 4), (3, 8), (MOST_ROWS, 4), (MOST_ROWS + 2, 6))


def matrices(rng, rows, columns):
    """Random, of low rank, with equal singular values, of entries 0 and of all sizes."""
    some = rng.standard_normal((40, rows, columns))
    some[8:16] = some[8:16, :, :1] * some[8:16, :1]  # rank one
    some[16:20] = np.eye(rows, columns)
    some[20:24] = np.round(some[20:24])
    some[24] = 0.0
    some[25:32] *= 10.0 ** rng.integers(-100, 100, (7, 1, 1))
    some[32:36] *= 10.0 ** rng.uniform(-12, 0, (4, 1, columns))
    return some


def exact_norms(some, p):
    """The norm for p = 1, 2 and inf by what is slow and obvious."""
    if p == 2:
        return np.array([np.linalg.norm(one, 2) for one in some])
    if math.isinf(p):
        return np.sqrt((some**2).sum(2)).max(1)
    signs = np.array(list(product((-1.0, 1.0), repeat=some.shape[1])))
    return np.sqrt(((signs @ some) ** 2).sum(2)).max(1)


def attained(some, p, rng):
    """The largest p-norm of G x over unit vectors x: random ones, rows and singular vectors."""
    x = rng.standard_normal((len(some), 60, some.shape[2]))
    x = np.concatenate([x, some, np.linalg.svd(some, full_matrices=False)[2]], 1)
    x /= np.maximum(np.linalg.norm(x, axis=2, keepdims=True), 1e-300)
    return norms(x @ some.swapaxes(1, 2), p).max(1)


def below(p, bound=operator_norm_upper_bound):
    """Count matrices whose bound is below what a unit vector, or the exact norm, has."""
    rng, count = np.random.default_rng(1), 0
    for rows, columns in SHAPES:
        some = matrices(rng, rows, columns)
        found = bound(some, p)
        seen = attained(some, p, rng)
        if p in (1, 2) or math.isinf(p):
            seen = np.maximum(seen, exact_norms(some, p))
        count += int((found < seen * (1 - ROUNDING)).sum())
    return count


@pytest.mark.parametrize("p", P_VALUES)
def test_bounds_are_never_below_what_is_attained(p):
    assert below(p) == 0


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_bounds_are_sharp(p):
    rng = np.random.default_rng(2)
    for rows, columns in SHAPES:
        some = matrices(rng, rows, columns)
        if p == 1 and rows > MOST_ROWS:  # √E times the spectral norm instead
            continue
        exact = exact_norms(some, p)
        assert (operator_norm_upper_bound(some, p) <= exact * (1 + SHARP)).all(), (rows, columns)


@pytest.mark.parametrize("p", P_VALUES)
def test_other_exponents_stay_below_the_norm_of_rows(p):
    some = matrices(np.random.default_rng(3), 4, 3)
    rows = np.sqrt((some**2).sum(2))
    assert (operator_norm_upper_bound(some, p) <= norms(rows, p) * (1 + SHARP)).all()


@pytest.mark.parametrize("p", P_VALUES)
def test_positive_bounds_hold_for_every_smaller_matrix(p):
    rng = np.random.default_rng(4)
    for rows, columns in SHAPES:
        size = np.abs(matrices(rng, rows, columns))
        bound = positive_norm_upper_bound(size, p)
        for _ in range(3):
            signs = rng.choice([-1.0, 1.0], size.shape)
            smaller = size * signs * rng.choice([1.0, rng.random()], size.shape)
            assert (attained(smaller, p, rng) <= bound * (1 + ROUNDING)).all()
        assert (attained(size, p, rng) <= bound * (1 + ROUNDING)).all()


def test_the_positive_bound_of_column_sums_is_sharp():
    size = np.abs(matrices(np.random.default_rng(5), 4, 3))
    exact = exact_norms(size, 1.0)
    assert positive_norm_upper_bound(size, 1.0) == pytest.approx(exact, rel=SHARP)


@pytest.mark.parametrize("bound", [operator_norm_upper_bound, positive_norm_upper_bound])
@pytest.mark.parametrize("p", P_VALUES)
@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_matrices_that_are_not_finite_get_inf_and_their_neighbours_do_not(bound, p, bad):
    some = np.ones((3, 2, 2))
    some[1, 0, 1] = bad
    found = bound(some, p)
    assert np.isinf(found).tolist() == [False, True, False]


@pytest.mark.parametrize("p", P_VALUES)
def test_leading_axes_are_kept(p):
    some = np.random.default_rng(6).standard_normal((2, 3, 4, 5))
    found = operator_norm_upper_bound(some, p)
    assert found.shape == (2, 3)
    assert found[1, 2] == operator_norm_upper_bound(some[1, 2], p)


@pytest.mark.parametrize("p", P_VALUES)
def test_a_norm_a_tenth_too_small_is_caught(p):
    assert below(p, lambda some, p: 0.9 * operator_norm_upper_bound(some, p)) > 0


@pytest.mark.parametrize(
    ("name", "wrong", "p"),
    [
        ("_by_signs", lambda some, size: np.sqrt((some.sum(-2) ** 2).sum(-1)), 1.0),
        ("_spectral", lambda some, size: np.sqrt((some**2).sum(-1)).max(-1), 2.0),
        ("_circles", lambda some: (np.ones(len(some)), np.trace(some, 0, 1, 2) / 9), 2.0),
    ],
)
def test_a_wrong_ingredient_is_caught(monkeypatch, name, wrong, p):
    monkeypatch.setattr(operator_norm, name, wrong)
    assert below(p) > 0
