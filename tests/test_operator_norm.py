"""Operator norms from the 2-norm to a p-norm: never below, sharp for p = 1, 2 and inf."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from cases.pairs import norms
from looprate.theory.continuity.upper import operator_norm
from looprate.theory.continuity.upper.operator_norm import (
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


@pytest.mark.parametrize("count", [10, 11])
def test_sign_vectors_are_tried_up_to_ten_rows_and_the_spectral_norm_stands_in_beyond(count):
    some = np.random.default_rng(7).standard_normal((3, count, 2))
    found = operator_norm._by_signs(some, np.sqrt((some**2).sum((1, 2))))
    exact = exact_norms(some, 1.0)
    if count > 10:
        exact = math.sqrt(count) * exact_norms(some, 2)
    assert (found > exact).all()
    assert found == pytest.approx(exact, rel=1e-10)


def test_where_eigenvectors_are_useless_the_frobenius_norm_is_the_way_out(monkeypatch):
    some = np.random.default_rng(8).standard_normal((4, 3, 2))
    size = np.sqrt((some**2).sum((1, 2)))
    exact = exact_norms(some, 2)
    assert operator_norm._spectral(some, size) == pytest.approx(exact, rel=1e-10)
    right = np.linalg.eigh

    def useless(gram):
        values, vectors = right(gram)
        vectors = vectors.copy()
        vectors[0] = 0.1  # singular
        vectors[1] *= 0.7  # of length 0.7: a quotient by nearly 1/2
        vectors[2] *= 3.0  # too large
        return values, vectors

    monkeypatch.setattr(np.linalg, "eigh", useless)
    found = operator_norm._spectral(some, size)
    assert found == pytest.approx([size[0], size[1], size[2], exact[3]], rel=1e-9)
    assert (found >= exact).all()


def test_eigenvectors_a_little_off_give_a_bound_a_little_above(monkeypatch):
    some = np.random.default_rng(9).standard_normal((50, 2, 2))
    size, exact = np.sqrt((some**2).sum((1, 2))), exact_norms(some, 2)
    right = np.linalg.eigh
    tilt = np.array([[1.0, 1e-3], [0.0, 0.9]])
    monkeypatch.setattr(np.linalg, "eigh", lambda gram: (None, right(gram)[1] @ tilt))
    found = operator_norm._spectral(some, size)
    assert (found >= exact * (1 - ROUNDING)).all()
    assert np.median(found / exact) < 1.2
    assert (found < size).any()


def test_circles_hold_all_eigenvalues_and_those_of_diagonal_matrices_exactly():
    some = np.random.default_rng(10).standard_normal((20, 3, 3))
    some += some.swapaxes(1, 2)
    values = np.linalg.eigvalsh(some)
    low, high = operator_norm._circles(some)
    assert (low <= values.min(1)).all()
    assert (high >= values.max(1)).all()
    by_hand = operator_norm._circles(np.array([[2.0, -1.0, 0.5], [-1.0, 5.0, 0.0], [0.5, 0.0, -1]]))
    assert by_hand == (-1.5, 6.0)
    flat = operator_norm._circles(np.diag([3.0, -2.0, 1.0]))
    assert flat == (-2.0, 3.0)


def test_norms_of_column_sums_overflow_to_inf_and_of_nothing_are_0():
    assert positive_norm_upper_bound(np.zeros((2, 3, 2)), 1.0).tolist() == [0.0, 0.0]
    with np.errstate(over="ignore"):
        huge = positive_norm_upper_bound(np.full((1, 2, 2), 1e308), 1.0)
    assert huge.tolist() == [math.inf]
    large = positive_norm_upper_bound(np.full((1, 1, 2), 1e200), 1.0)
    assert large == pytest.approx(math.sqrt(2) * 1e200, rel=1e-11)
    small = operator_norm_upper_bound(np.full((1, 2, 2), 1e-200), 2.0)
    assert small == pytest.approx(2e-200, rel=1e-11)
