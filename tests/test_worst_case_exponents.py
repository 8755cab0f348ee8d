"""Exponents of the worst case: the lower bound's by SymPy, the constructions' by their loops."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest

from looprate.theory.bounds import exponents
from looprate.theory.bounds.exponents import exponent_rows, loop_power
from looprate.theory.bounds.lower import worst_case_error_lower_bound
from looprate.theory.bounds.pattern_count import NetworkSize
from looprate.theory.bounds.upper import worst_case_error_upper_bound

SHAPES = [
    (1, 1, 1.0),
    (2, 1, 1.0),
    (2, 1, 0.5),
    (3, 1, 0.35),
    (2, 2, 1.0),
    (4, 3, 0.1),
    (50, 1, 1.0),
]


@pytest.mark.parametrize(("tokens", "dim", "holder"), SHAPES)
def test_no_gap_is_left_between_the_exponents(tokens, dim, holder):
    lt, tmlt = exponent_rows(tokens=tokens, dim=dim, holder=holder)
    assert (lt.family, tmlt.family) == ("lt", "tmlt")
    assert lt.lower == lt.upper == Fraction(str(holder)) / (tokens * dim)
    assert tmlt.lower == tmlt.upper == 2 * lt.lower


def test_a_construction_that_is_not_optimal_shows(monkeypatch):
    monkeypatch.setitem(exponents.ATTAINED_BY, "tmlt", "timestep")
    _, tmlt = exponent_rows(tokens=2, dim=1)
    assert tmlt.upper == tmlt.lower / 2
    assert loop_power(tokens=3, dim=2, memoriser="timestep") == 6


@pytest.mark.parametrize("row", exponent_rows(tokens=2, dim=1, holder=0.5), ids=lambda r: r.family)
def test_both_bounds_fall_with_their_exponents(row):
    how = {"tokens": 2, "dim": 1, "holder": 0.5}
    size = NetworkSize.of_constructions(1, family=row.family)
    lower = [worst_case_error_lower_bound(r, size=size, **how).value for r in (10**8, 10**11)]
    how |= {"family": row.family, "memoriser": row.memoriser, "coding": "others"}
    upper = [worst_case_error_upper_bound(r, **how).total for r in (10**8, 10**11)]
    for values, exponent in ((lower, row.lower), (upper, row.upper)):
        assert math.log10(values[0] / values[1]) / 3 == pytest.approx(float(exponent), abs=2e-3)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"tokens": 2000, "dim": 1}, "at most 1000"),
        ({"tokens": 2, "dim": 1, "holder": 2}, "holder"),
    ],
)
def test_what_is_out_of_range_is_refused(asked, message):
    with pytest.raises(ValueError, match=message):
        exponent_rows(**asked)


@pytest.mark.parametrize(("tokens", "dim"), [(100, 1), (30, 3)])
def test_both_exponents_agree_for_many_tokens(tokens, dim):
    for row in exponent_rows(tokens=tokens, dim=dim):
        assert row.upper == row.lower == Fraction(1 if row.family == "lt" else 2, tokens * dim)
