"""The explicit inequality term by term, and the grid and digits it chooses."""

from __future__ import annotations

import math
from itertools import product

import pytest

from looprate.theory.bounds import loop_counts
from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.rows import TERM_NAMES
from looprate.theory.verdict import Verdict

N, D, P, SPAN = 3, 2, 2.0, 1.5
ROOT = math.sqrt(6)
SHAPE = {"tokens": N, "dim": D}
SETTING = SHAPE | {"p": P, "oscillation": SPAN}
SAME = 1e-12


def moduli(scale):
    """Three different moduli, of a size."""

    def at(kind, delta):
        factor, power = {"sequence": (0.9, 0.7), "token": (0.4, 1.0), "contextual": (0.3, 0.5)}[
            kind
        ]
        return scale * factor * delta**power, "upper"

    return at


def loops_of(grid, memoriser, coding, bits=None):
    return loop_counts.construction_loops(
        grid, **SHAPE, memoriser=memoriser, coding=coding, bits=bits
    )


@pytest.mark.parametrize(
    ("memoriser", "coding", "bits"),
    [
        ("increments", "sum", None),
        ("increments", "rank", None),
        ("timestep", "rank", None),
        ("timestep", "sum", None),
        ("digits", "rank", 3),
    ],
)
@pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (2, 1), (3, 2)])
def test_every_term_is_that_of_the_inequality(n, d, p, memoriser, coding, bits):
    m, shape, capped = 7, {"tokens": n, "dim": d}, set()
    how = {"memoriser": memoriser, "coding": coding, "bits": bits}
    loops = loop_counts.construction_loops(m, **shape, **how)
    far, top = math.sqrt(n * d) / m, (n * d) ** (1 / p) * SPAN
    for scale, given, slope in product((0.01, 1.0, 100.0), (m, None), (math.inf, 1e4, 3.0)):
        row = explicit_bound(
            moduli(scale), loops, **shape, **how, p=p, oscillation=SPAN,
            grid=given, slope=slope, trivial=0.7, trivial_stderr=0.01,
        )  # fmt: skip
        terms = dict.fromkeys(TERM_NAMES, 0.0)
        terms["sequence"] = scale * 0.9 * (far / 2) ** 0.7
        pairs = m ** (-2 * d) if n == 2 else math.comb(n, 2) / m**d  # two collide in cell 0 alone
        collisions, both = (
            min(1.0, share) ** (1 / p) if share else 0.0
            for share in (pairs, pairs + n * d * (m - 1) / slope)
        )
        terms |= {"collisions": top * collisions, "strips": top * (both - collisions)}
        if coding == "sum" and memoriser == "increments":
            token, context = (
                top / SPAN * scale * part for part in (0.4 * math.sqrt(d) / m, 0.3 * far**0.5)
            )
            share = min(1.0, top / (token + context))
            terms |= {"token": share * token, "context": share * context}
            capped.add((scale, share < 1))
        else:
            terms["memoriser"] = {"digits": top / 8, "timestep": 0.0, "increments": top}[memoriser]
        assert row.terms == pytest.approx(terms, rel=SAME, abs=1e-12)
        assert min(row.terms.values()) >= 0
        assert row.total == pytest.approx(sum(terms.values()), rel=SAME)
        assert row.verdict is Verdict.VACUOUS or (memoriser, coding) != ("increments", "rank")
        assert (row.grid, row.delta, row.bits, row.loops) == (m, 1 / m, bits, loops)
        assert (row.moduli_side, row.trivial, row.trivial_stderr) == ("upper", 0.7, 0.01)
        assert row.version == f"explicit inequality, {memoriser} on the {coding} code"
    assert capped <= {(0.01, False), (1.0, False), (100.0, True)}


def test_terms_end_at_the_whole_range():
    how = SHAPE | {"p": 1.0, "oscillation": SPAN, "memoriser": "increments", "coding": "sum"}
    m = 2
    row = explicit_bound(moduli(100.0), 10**6, **how, grid=m, slope=1.0)
    top = 6 * SPAN
    assert row.terms["token"] + row.terms["context"] == pytest.approx(top)
    assert row.terms["collisions"] == pytest.approx(top * 0.75)  # 3 pairs, a quarter each
    assert row.terms["strips"] == pytest.approx(top * 0.25)  # no measure exceeds 1
    exact = explicit_bound(
        lambda kind, delta: ({"token": 1.0, "contextual": 0.5, "sequence": 0.0}[kind], "exact"),
        10**9, **how, grid=9,
    )  # fmt: skip
    assert (exact.terms["token"], exact.terms["context"]) == (6.0, 3.0)


def test_where_no_grid_fits_a_constant_in_range_is_left():
    for memoriser, coding in (("increments", "sum"), ("timestep", "rank"), ("digits", "rank")):
        bits = 1 if memoriser == "digits" else None
        how = SETTING | {"memoriser": memoriser, "coding": coding, "bits": bits}
        first = loops_of(2, memoriser, coding, bits)
        none = explicit_bound(moduli(1.0), first - 1, **how)
        assert (none.grid, none.delta, none.verdict) == (None, 1.0, Verdict.VACUOUS)
        assert none.terms == dict.fromkeys(TERM_NAMES, 0.0) | {"collisions": ROOT * SPAN}
        assert "no grid" in none.reason
        assert none.moduli_side == "exact"  # none was asked for
        assert explicit_bound(moduli(1.0), first, **how).grid == 2
        again = explicit_bound(moduli(1.0), 1, **how)
        assert again.total == none.total


def test_a_chosen_grid_needs_its_loops_and_no_more():
    how = SETTING | {"memoriser": "timestep", "coding": "rank"}
    needed = loops_of(5, "timestep", "rank")
    assert explicit_bound(moduli(1.0), needed, **how, grid=5).delta == 0.2
    assert explicit_bound(moduli(1.0), 10 * needed, **how, grid=5).delta == 0.2
    with pytest.raises(ValueError, match=f"`grid`=5 needs {needed} loops, got loops={needed - 1}"):
        explicit_bound(moduli(1.0), needed - 1, **how, grid=5)
    assert explicit_bound(moduli(1.0), needed - 1, **how).grid == 4


@pytest.mark.parametrize("coding", ["rank", "sum"])
@pytest.mark.parametrize("grid", [2, 4])
def test_with_a_chosen_grid_as_many_digits_are_taken_as_fit(grid, coding):
    how = SETTING | {"memoriser": "digits", "coding": coding, "grid": grid}
    for bits in (1, 2, 3, 63, 64):
        loops = loops_of(grid, "digits", coding, bits)
        assert explicit_bound(moduli(1.0), loops, **how).bits == bits
        if bits > 1:
            assert explicit_bound(moduli(1.0), loops - 1, **how).bits == bits - 1
        else:
            with pytest.raises(ValueError, match=f"`grid`={grid} needs {loops} loops"):
                explicit_bound(moduli(1.0), loops - 1, **how)
    assert explicit_bound(moduli(1.0), 10 * loops, **how).bits == 64
    assert explicit_bound(moduli(1.0), loops, **how | {"bits": 5}).bits == 5


@pytest.mark.parametrize("slope", [math.inf, 300.0])
@pytest.mark.parametrize("scale", [1e-6, 1.0])
def test_free_digits_are_those_of_the_smallest_total_and_the_fewest_of_equals(scale, slope):
    how = SETTING | {"memoriser": "digits", "coding": "rank", "slope": slope}
    found = set()
    for loops in (3, 60, 3000, 10**5, 10**12, 10**60):
        every = [explicit_bound(moduli(scale), loops, bits=q, **how) for q in range(1, 65)]
        best = min(every, key=lambda row: (row.total, row.bits))
        assert explicit_bound(moduli(scale), loops, **how) == best
        found.add(best.bits)
    assert len(found) > 2
    asked = []

    def counted(kind, delta):
        asked.append(kind)
        return moduli(1.0)(kind, delta)

    explicit_bound(counted, 10**5, **how)
    assert asked.count("sequence") < 40  # it ends where more digits cannot help


@pytest.mark.parametrize("memoriser", ["timestep", "two-level-increments"])
def test_no_number_of_loops_is_too_large_for_a_bound(memoriser):
    """Nor does any make it 0: the width of a cell and its square stay float64 numbers."""
    how = {"tokens": 2, "dim": 1, "p": 1.0, "oscillation": 1.0, "memoriser": memoriser}
    rows = [
        explicit_bound(lambda kind, delta: (delta, "upper"), 10**k, coding="others", **how)
        for k in (40, 700)
    ]
    assert rows[0].grid > 10**19
    assert rows[1].grid == 10**150
    assert 0 < rows[1].total < 1e-149 < rows[0].total
