"""Rates: inverse pairs, counted labels, exponents by regression."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest

from looprate.theory.bounds.cell_width import delta_of_loops, delta_of_stages, loops_of_delta
from looprate.theory.bounds.loop_counts import (
    CODINGS,
    construction_loops,
    largest_grid,
    last_label,
    paper_stage_loops,
    printed_loops,
    smallest_grid,
)
from looprate.theory.bounds.rates import (
    construction_exponent,
    holder_exponent,
    stage_exponent,
    theorem_exponent,
    tian_shen_rate,
    zhang_lu_zhao_rate,
)
from looprate.theory.construction.memorisers import MEMORISERS

SIZES = [(1, 1), (2, 1), (3, 1), (2, 2), (8, 4)]  # (N, d)
SMALL = [(m, n, d) for m, n, d in itertools.product((1, 2, 3, 4), (1, 2, 3), (1, 2)) if n <= m**d]
SMALL = [case for case in SMALL if math.comb(case[0] ** case[2], case[1]) < 2000]
RELATIVE = 1e-12  # a few roundings of a power
SLOPE_TOLERANCE = 1e-3  # at the loop counts used the lower orders are far below it


def enumerated_labels(m: int, n: int, d: int, coding: str) -> list[int]:
    """Label every token of every collision-free input, one by one."""
    cells = list(itertools.product(range(m), repeat=d))
    if coding == "others":  # every own cell with every choice of the others' cells
        count = range(m ** (d * (n - 1)))
        return [2 * m**d * s + 2 * z - z % m for s in count for z in range(m**d)]
    number = {b: sum(digit * m**i for i, digit in enumerate(b)) for b in cells}
    labels = []
    for chosen in itertools.combinations(cells, n):
        ordered = sorted(chosen, key=number.__getitem__, reverse=True)
        s = 0
        for b in ordered:
            s = m**d * s + number[b]
        for rank, b in enumerate(ordered):
            padded = b[0] + sum(2 * m * b[i] * m ** (i - 1) for i in range(1, d))
            labels.append(2 * m**d * s + padded if coding == "sum" else n * s + rank)
    return labels


def options(memoriser: str) -> dict[str, int | None]:
    return {"bits": 4 if MEMORISERS[memoriser].takes_bits else None}


def fewest(labels: int, weight: int) -> int:
    """Loops of two levels, A + n w, for the best n of all."""
    return min(math.ceil(labels / n) + n * weight for n in range(2, labels + 3))


@pytest.mark.parametrize(("tokens", "dim"), SIZES)
def test_loops_and_cell_width_are_inverse(tokens, dim):
    for loops in (tokens + 1, tokens + 2, 97 + tokens, 10**6, 10**15):
        width = delta_of_loops(loops, tokens=tokens, dim=dim)
        back = loops_of_delta(width, tokens=tokens, dim=dim)
        assert back == pytest.approx(loops, rel=RELATIVE * theorem_power(tokens, dim))


def theorem_power(tokens: int, dim: int) -> int:
    return (tokens + 1) * dim + 1


@pytest.mark.parametrize(("tokens", "dim"), SIZES)
@pytest.mark.parametrize("grid", [1, 2, 3, 8, 100])
def test_a_whole_grid_has_whole_printed_loops(tokens, dim, grid):
    loops = printed_loops(grid, tokens=tokens, dim=dim)
    assert delta_of_loops(loops, tokens=tokens, dim=dim) == pytest.approx(1 / grid, rel=RELATIVE)
    assert loops_of_delta(1 / grid, tokens=tokens, dim=dim) == pytest.approx(loops, rel=1e-11)


@pytest.mark.parametrize(("tokens", "dim"), SIZES)
@pytest.mark.parametrize("grid", [1, 2, 3, 8, 100])
def test_stage_width_solves_the_paper_s_stage_counts(tokens, dim, grid):
    loops = paper_stage_loops(grid, tokens=tokens, dim=dim)
    assert delta_of_stages(loops, tokens=tokens, dim=dim) == pytest.approx(1 / grid, rel=RELATIVE)
    for other in (tokens + 1, tokens + 5, 12345 + tokens):
        width = delta_of_stages(other, tokens=tokens, dim=dim)
        count = (1 / width - 1) + tokens + 2 * width ** -((tokens + 1) * dim) - 1
        assert count == pytest.approx(other, rel=1e-11)


@pytest.mark.parametrize(("tokens", "dim"), SIZES)
def test_stage_width_never_exceeds_the_printed_one_or_the_cube(tokens, dim):
    for excess in (1, 2, 3, 10, 10**4, 10**12, 10**300):
        stages = delta_of_stages(tokens + excess, tokens=tokens, dim=dim)
        assert stages <= 1.0 + RELATIVE
        assert stages <= delta_of_loops(tokens + excess, tokens=tokens, dim=dim) * (1 + RELATIVE)


@pytest.mark.parametrize(("tokens", "dim"), SIZES)
def test_exponents_agree_with_a_regression_and_wrong_ones_do_not(tokens, dim):
    excess = [10**k for k in range(200, 260, 10)]
    logs = np.array([math.log(x) for x in excess])
    printed, stages = (
        -np.polyfit(
            logs, np.log([rule(tokens + x, tokens=tokens, dim=dim) for x in excess]), 1
        )[0]
        for rule in (delta_of_loops, delta_of_stages)
    )  # fmt: skip
    assert printed == pytest.approx(theorem_exponent(tokens=tokens, dim=dim), rel=SLOPE_TOLERANCE)
    assert stages == pytest.approx(stage_exponent(tokens=tokens, dim=dim), rel=SLOPE_TOLERANCE)
    assert printed != pytest.approx(stage_exponent(tokens=tokens, dim=dim), rel=SLOPE_TOLERANCE)
    assert stages != pytest.approx(theorem_exponent(tokens=tokens, dim=dim), rel=SLOPE_TOLERANCE)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("tokens", "dim"), SIZES)
def test_construction_exponent_agrees_with_counted_grids(tokens, dim, coding):
    excess = [10**k for k in range(200, 260, 10)]
    grids = [
        largest_grid(x, tokens=tokens, dim=dim, memoriser="timestep", coding=coding)
        for x in excess
    ]  # fmt: skip
    slope = np.polyfit([math.log(x) for x in excess], [math.log(m) for m in grids], 1)[0]
    expected = construction_exponent(tokens=tokens, dim=dim, coding=coding)
    assert slope == pytest.approx(expected, rel=SLOPE_TOLERANCE)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("grid", "tokens", "dim"), SMALL)
def test_last_label_is_the_largest_of_all_labels(grid, tokens, dim, coding):
    labels = enumerated_labels(grid, tokens, dim, coding)
    assert len(set(labels)) == len(labels)  # no two tokens of any inputs share a label
    assert min(labels) >= 0
    assert max(labels) == last_label(grid, tokens=tokens, dim=dim, coding=coding)


@pytest.mark.parametrize(("grid", "tokens", "dim"), SMALL)
def test_construction_loops_are_stages_plus_one_pass_over_the_labels(grid, tokens, dim):
    for coding in CODINGS:
        labels = max(enumerated_labels(grid, tokens, dim, coding)) + 1
        counts = {
            name: construction_loops(
                grid, tokens=tokens, dim=dim, memoriser=name, coding=coding, **options(name)
            )
            for name in MEMORISERS
        }
        lines, bits = grid - 1 + tokens, math.ceil(math.log2(grid)) + tokens
        assert counts == {
            "increments": lines + labels,
            "timestep": lines + labels - 1,
            "digits": lines + 4 * labels + 1,
            "two-level-increments": bits + fewest(labels, 1),
            "two-level-digits": bits + fewest(labels, 4),
        }


def test_known_counts_of_two_tokens_in_four_cells():
    size = {"tokens": 2, "dim": 1}
    assert construction_loops(4, memoriser="increments", coding="sum", **size) == 121
    assert construction_loops(4, memoriser="timestep", coding="rank", **size) == 34
    assert construction_loops(4, memoriser="digits", coding="rank", bits=4, **size) == 126
    assert paper_stage_loops(4, **size) == 132
    assert printed_loops(4, **size) == 514


@pytest.mark.parametrize(("tokens", "dim"), SIZES)
def test_our_increments_never_need_more_loops_than_the_paper_s_stages(tokens, dim):
    first = smallest_grid(tokens=tokens, dim=dim)
    for grid in (first, first + 1, 7 * first, 10**6):
        ours = construction_loops(
            grid, tokens=tokens, dim=dim, memoriser="increments", coding="sum"
        )  # fmt: skip
        assert ours <= paper_stage_loops(grid, tokens=tokens, dim=dim)


@pytest.mark.parametrize("memoriser", MEMORISERS)
@pytest.mark.parametrize(("tokens", "dim"), SIZES)
def test_largest_grid_fits_and_the_next_does_not(tokens, dim, memoriser):
    how = {"tokens": tokens, "dim": dim, "memoriser": memoriser, "coding": "rank"}
    how |= options(memoriser)
    first = construction_loops(smallest_grid(tokens=tokens, dim=dim), **how)
    for loops in (first, first + 1, first + 1000, 10**40, 10**40 + 1):
        if loops < first:
            continue
        grid = largest_grid(loops, **how)
        assert construction_loops(grid, **how) <= loops < construction_loops(grid + 1, **how)
    if first > 1:
        assert largest_grid(first - 1, **how) is None


def test_holder_exponent_takes_the_slower_of_moduli_and_collisions():
    size = {"tokens": 2, "dim": 1}
    assert holder_exponent(holder=1.0, p=1.0, **size) == pytest.approx(1 / 4)
    assert holder_exponent(holder=1.0, p=2.0, **size) == pytest.approx(1 / 8)
    assert holder_exponent(holder=0.25, p=2.0, **size) == pytest.approx(1 / 16)
    assert holder_exponent(holder=1.0, p=math.inf, **size) == 0.0
    assert holder_exponent(holder=1.0, p=math.inf, tokens=1, dim=1) == pytest.approx(1 / 3)
    assert holder_exponent(holder=1.0, p=1.0, delta_rule="stages", **size) == pytest.approx(1 / 3)


def test_neighbour_rates_fall_with_their_exponents():
    loops = [10**100, 10**120]
    gap = math.log(1e20)
    looped = [zhang_lu_zhao_rate(r, tokens=3, dim=2, modulus=lambda t: 5 * t**0.5) for r in loops]
    assert math.log(looped[0] / looped[1]) / gap == pytest.approx(0.5 / 6)
    softmax = [tian_shen_rate(r, tokens=3, dim=2, holder=0.5) for r in loops]
    no_log = [value / math.log(r) ** (0.5 / 6) for value, r in zip(softmax, loops, strict=True)]
    assert math.log(no_log[0] / no_log[1]) / gap == pytest.approx(0.5 / 6)


def test_loops_at_or_below_the_tokens_are_refused():
    for loops in (1, 2):
        with pytest.raises(ValueError, match=r"`loops` must exceed tokens=2 for Theorem 3.6"):
            delta_of_loops(loops, tokens=2, dim=1)
        with pytest.raises(ValueError, match=r"must exceed tokens=2"):
            delta_of_stages(loops, tokens=2, dim=1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: loops_of_delta(0.0, tokens=1, dim=1), r"`delta` .* must be positive"),
        (lambda: last_label(2, tokens=3, dim=1, coding="sum"), r"take grid >= 3"),
        (lambda: last_label(4, tokens=3, dim=1, coding="prod"), r"`coding` must be one of sum"),
        (lambda: paper_stage_loops(0, tokens=1, dim=1), r"`grid` .* >= 1, got 0"),
        (lambda: tian_shen_rate(2, tokens=1, dim=1, holder=1.0), r"at least 3"),
        (lambda: holder_exponent(tokens=1, dim=1, holder=1.5, p=1), r"`holder` .* \(0, 1\]"),
        (
            lambda: construction_loops(4, tokens=2, dim=1, memoriser="digits", coding="rank"),
            r"`bits` .* must be an integer >= 1",
        ),
        (
            lambda: construction_loops(
                4, tokens=2, dim=1, memoriser="timestep", coding="rank", bits=3
            ),
            "`bits` must be left out for ",
        ),
    ],
)
def test_arguments_out_of_range_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_importing_the_formulas_imports_no_heavy_library():
    code = (
        "import sys, looprate.theory.bounds.rates, looprate.theory.bounds.cell_width\n"
        "light = set(sys.modules) & {'sympy', 'scipy', 'torch'}\n"
        "import looprate.theory.bounds.theorem, looprate.theory.bounds.explicit\n"
        "import looprate.theory.bounds.trivial, looprate.theory.statistics.slopes\n"
        "import looprate.theory.bounds.symbolic\n"
        "print(sorted(light), sorted(set(sys.modules) & {'torch', 'matplotlib'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] []"


def test_the_rate_of_tian_and_shen_begins_at_three_loops():
    found = tian_shen_rate(3, tokens=1, dim=2, holder=0.5)
    assert found == pytest.approx((math.log(3) / 3) ** 0.25)


@pytest.mark.parametrize("power", [890, 1000, 3000])  # of two: floats end at 2^1024
@pytest.mark.parametrize(("delta_of", "root"), [(delta_of_loops, 9), (delta_of_stages, 8)])
def test_widths_of_cells_are_a_root_of_half_the_loops_however_many(delta_of, root, power):
    found = math.log2(delta_of(2**power, tokens=3, dim=2))
    assert found == pytest.approx(-(power - 1) / root, rel=1e-9)
