"""What constructions reach for every f of a class: tables of the derivation, rates, refusals."""

from __future__ import annotations

import math

import pytest

from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.loop_counts import construction_loops
from looprate.theory.bounds.lower import worst_case_error_lower_bound
from looprate.theory.bounds.pattern_count import NetworkSize
from looprate.theory.bounds.theorem import theorem_3_6_bound
from looprate.theory.bounds.upper import worst_case_error_upper_bound

SHAPE = {"tokens": 2, "dim": 1}
LOOPS = [10**k for k in (2, 3, 4, 6, 8, 10, 12)]
#: N = 2, d = 1, p = s = L = 1, at these loops; derived by hand beforehand, two digits
TABLE = {
    ("increments", "others"): "0.67 0.21 0.067 6.7e-3 6.7e-4 6.7e-5 6.7e-6",
    ("two-level-increments", "others"): "0.15 1.3e-2 1.3e-3 1.3e-5 1.3e-7 1.3e-9 1.3e-11",
    ("two-level-digits", "others"): "7.0e-2 7.6e-3 8.4e-4 9.9e-6 1.1e-7 1.2e-9 1.3e-11",
}
#: The same with C(N,2) δ^d for the collisions, as before two tokens in a cell were looked at.
LOOSE = {
    ("increments", "sum"): "2.8 1.2 0.49 0.11 2.3e-2 4.9e-3 1.1e-3",
    ("digits", "rank"): "1.2 0.44 0.16 1.8e-2 2.0e-3 2.2e-4 2.4e-5",
    ("timestep", "rank"): "0.59 0.16 5.1e-2 5.0e-3 5.0e-4 5.0e-5 5.0e-6",
}


def upper(loops, memoriser=None, coding=None, *, family="untied", **more):
    how = SHAPE | {"memoriser": memoriser, "coding": coding, "family": family} | more
    return worst_case_error_upper_bound(loops, **how)


def two_digits(value):
    return float(f"{value:.2g}")


@pytest.mark.parametrize(("memoriser", "coding"), TABLE)
def test_table_of_the_derivation(memoriser, coding):
    expected = list(map(float, TABLE[memoriser, coding].split()))
    assert [two_digits(upper(r, memoriser, coding).total) for r in LOOPS] == expected


@pytest.mark.parametrize(("memoriser", "coding"), LOOSE)
def test_table_of_the_derivation_with_the_looser_collisions(memoriser, coding):
    """D δ in place of D δ²; at every number of digits, of which the least counts."""

    def loose(r, bits):
        row = explicit_bound(
            lambda kind, delta: (delta, "upper"), r, **SHAPE, p=1.0, oscillation=math.sqrt(2),
            memoriser=memoriser, coding=coding, bits=bits,
        )  # fmt: skip
        return row.total + 2 * math.sqrt(2) * (row.delta - row.delta**2)

    every = range(1, 64) if memoriser == "digits" else [None]
    found = [two_digits(min(loose(r, bits) for bits in every)) for r in LOOPS]
    assert found == list(map(float, LOOSE[memoriser, coding].split()))
    assert all(upper(r, memoriser, coding).total < loose(r, every[-1]) for r in LOOPS[1:])


def test_table_of_the_printed_theorem():
    found = [
        theorem_3_6_bound(
            lambda kind, delta: (delta, "upper"),
            r,
            **SHAPE,
            p=1.0,
            oscillation=math.sqrt(2),
            placement="inner",
        ).total
        for r in LOOPS
    ]
    assert list(map(two_digits, found)) == [3.4, 1.9, 1.1, 0.34, 0.11, 3.4e-2, 1.1e-2]


@pytest.mark.parametrize("p", [1.0, 2.0, 5.0])
@pytest.mark.parametrize(("n", "d", "holder"), [(2, 1, 1.0), (3, 1, 0.5), (2, 2, 1.0), (1, 2, 0.7)])
def test_exponents_are_those_of_the_lower_bound_at_every_p(n, d, holder, p):
    """No collision term: p costs nothing."""
    for memoriser, times in (("increments", 1), ("two-level-increments", 2)):
        how = {"tokens": n, "dim": d, "holder": holder, "p": p}
        low, high = (upper(10**k, memoriser, "others", **how).total for k in (20, 30))
        slope = (math.log10(high) - math.log10(low)) / 10
        assert slope == pytest.approx(-times * holder / (n * d), abs=2e-3)


@pytest.mark.parametrize(("n", "d", "grid"), [(2, 1, 5), (3, 1, 4), (2, 2, 3), (1, 3, 2)])
@pytest.mark.parametrize("slope", [math.inf, 1e4])
def test_on_the_others_code_every_term_is_that_of_the_inequality(n, d, grid, slope):
    """w(δ√(Nd)/2) + (Nd)^{1/p} [w_tok(δ√d) + w_cont(δ√((N-1)d))], strips and near ties."""
    p, span = 2.0, 40.0

    def moduli(kind, t):
        return {"sequence": 0.9 * t**0.7, "token": 0.4 * t, "contextual": 0.3 * t**0.5}[
            kind
        ], "upper"

    how = {"tokens": n, "dim": d, "memoriser": "increments", "coding": "others"}
    loops = construction_loops(grid, **how)
    assert loops == 2 * grid ** (n * d) + n - 1
    row = explicit_bound(moduli, loops, **how, p=p, oscillation=span, slope=slope)
    root, delta = math.sqrt(n * d), 1 / grid
    measure = (d * n * (grid - 1) + n * (n - 1)) / slope
    assert row.grid == grid
    assert row.terms == pytest.approx(
        {
            "token": root * 0.4 * delta * math.sqrt(d),
            "context": root * 0.3 * math.sqrt(delta * math.sqrt((n - 1) * d)),
            "sequence": 0.9 * (delta * root / 2) ** 0.7,
            "memoriser": 0.0,
            "collisions": 0.0,
            "strips": root * span * math.sqrt(measure),
        },
        rel=1e-12,
    )


@pytest.mark.parametrize(("n", "d", "grid"), [(2, 1, 4), (2, 1, 33), (3, 1, 8), (2, 2, 5)])
def test_two_levels_need_about_two_roots_of_the_labels(n, d, grid):
    labels = 2 * grid ** (n * d) - grid
    how = {"tokens": n, "dim": d, "memoriser": "two-level-increments", "coding": "others"}
    found = construction_loops(grid, **how) - math.ceil(math.log2(grid)) - n
    best = min(math.ceil(labels / a) + a for a in range(2, labels))
    assert best <= found <= best + 1


@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
def test_the_least_is_above_the_lower_bound_falls_and_scales(family):
    size = NetworkSize.of_constructions(1, family=family)
    totals = [upper(r, family=family).total for r in LOOPS]
    assert totals == sorted(totals, reverse=True)
    for r, total in zip(LOOPS, totals, strict=True):
        assert worst_case_error_lower_bound(r, **SHAPE, size=size).value < total
    assert upper(1000, family=family, lipschitz=3.0).total == pytest.approx(3 * totals[1])
    for memoriser, coding in (*TABLE, *LOOSE):
        if family != "lt" or memoriser in ("increments", "digits"):
            assert totals[1] <= upper(1000, memoriser, coding, family=family).total


def test_from_some_number_of_loops_on_eta_is_certainly_worth_it():
    """The upper bound with a free η(t) against the lower bound without, same size."""
    size = NetworkSize.of_constructions(1)

    def apart(r):
        lower = worst_case_error_lower_bound(r, **SHAPE, size=size).value
        return upper(r, "two-level-increments", family="tmlt").total < lower

    assert [apart(r) for r in (10**6, 4 * 10**9, 6 * 10**9, 10**12)] == [False, False, True, True]


def test_a_family_without_the_construction_is_named():
    with pytest.raises(ValueError, match="must be one that lt has, got two-level-digits"):
        upper(100, "two-level-digits", family="lt")
    with pytest.raises(ValueError, match="family"):
        upper(100, family="rnn")
    with pytest.raises(ValueError, match="holder"):
        upper(100, holder=1.5)


@pytest.mark.parametrize(
    ("grid", "loops"),
    [(8, "8034 9047 1515 1026 197 70"), (32, "2094978 785651 98235 65538 1781 520")],
)
def test_loops_of_every_construction_for_three_tokens(grid, loops):
    """Derived by hand beforehand; q = 3 + log2 m digits, groups of about √K or √(K/q) labels."""
    digits = 3 + (grid - 1).bit_length()
    every = [
        ("increments", "sum", None), ("digits", "rank", digits), ("timestep", "rank", None),
        ("increments", "others", None), ("two-level-digits", "rank", digits),
        ("two-level-increments", "others", None),
    ]  # fmt: skip
    found = [
        construction_loops(grid, tokens=3, dim=1, memoriser=name, coding=coding, bits=bits)
        for name, coding, bits in every
    ]
    assert found == list(map(int, loops.split()))
