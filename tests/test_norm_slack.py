"""Norms and operator norms against slow twins: never below, and above by little more than slack."""

from __future__ import annotations

import math
from itertools import product

import mpmath
import numpy as np
import pytest

from cases.slack import P_VALUES, above
from looprate.theory.continuity.upper import cells
from looprate.theory.continuity.upper.operator_norm import (
    entries_norm_upper_bound,
    operator_norm_upper_bound,
)


def entries():
    """Rows of numbers >= 0 of all sizes; ties, one entry alone, next to nothing."""
    rng = np.random.default_rng(0)
    rows = rng.random((60, 4)) * 10.0 ** rng.integers(-3, 3, (60, 1))
    rows[:20] *= 10.0 ** rng.integers(-6, 1, (20, 4))
    rows[20:24] = [[1, 1, 1, 1], [0, 0, 0, 2], [3, 3, 0, 0], [1e-200, 2e-200, 0, 1e-210]]
    rows[24:26] = [[1e200, 3e200, 1e190, 0], [1, 1e-9, 1e-12, 1e-17]]
    return rows


def exact_norms(rows, p):
    with mpmath.workdps(60):
        return [
            float(mpmath.power(sum(mpmath.mpf(v) ** p for v in row), mpmath.mpf(1) / p))
            for row in rows.tolist()
        ]


@pytest.mark.parametrize("p", P_VALUES)
def test_norms_of_entries_exceed_the_exact_ones_by_their_slack(p):
    rows = entries()
    assert above(entries_norm_upper_bound(rows, p), exact_norms(rows, p), most=2.0)


@pytest.mark.parametrize("p", [*P_VALUES, math.inf])
def test_norms_of_nothing_are_0_of_the_unbounded_inf_and_for_p_inf_the_largest(p):
    rows = np.array([[0.0, 0.0], [1.0, math.inf], [0.25, 0.5]])
    found = entries_norm_upper_bound(rows, p)
    assert found[0] == 0
    assert found[1] == math.inf
    assert found[2] >= 0.5
    assert found[2] == 0.5 or p < math.inf


def test_lengths_exceed_the_exact_ones_by_their_slack():
    rows = entries()[:23]
    assert above(cells.lengths(rows), exact_norms(rows, 2.0), most=2.0)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_operator_norms_exceed_the_exact_ones_by_their_slack(p):
    rng = np.random.default_rng(1)
    for shape in ((1, 1), (1, 4), (4, 1), (3, 3), (2, 5)):
        some = rng.standard_normal((30, *shape))
        some[:3] = np.eye(*shape)
        if p == 2:
            exact = np.linalg.svd(some, compute_uv=False).max(1)
        elif p == 1:
            signs = np.array(list(product((-1.0, 1.0), repeat=shape[0])))
            exact = np.sqrt(((signs @ some) ** 2).sum(2)).max(1)
        else:
            exact = np.sqrt((some**2).sum(2)).max(1)
        found = operator_norm_upper_bound(some, p)
        assert above(found, exact, least=0.2, most=40.0), shape


def test_between_the_norms_that_are_known_lyapunov_s_inequality_is_used():
    some = np.random.default_rng(2).standard_normal((40, 3, 4))
    one, two, most = (operator_norm_upper_bound(some, p) for p in (1.0, 2.0, math.inf))
    rows = np.sqrt((some**2).sum(2))
    for p in (1.2, 1.7, 2.5, 6.0):
        share = 2 / p - 1 if p < 2 else 2 / p
        between = one**share * two ** (1 - share) if p < 2 else two**share * most ** (1 - share)
        exact = np.minimum(between, (rows**p).sum(1) ** (1 / p))
        assert operator_norm_upper_bound(some, p) == pytest.approx(exact, rel=1e-10)
        assert (between < (rows**p).sum(1) ** (1 / p)).any()
