"""The last stage of the construction: memorisers against their plain twins and their bounds."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import pairwise

import pytest

from cases.constructions import (
    SEQUENCES,
    hand_table,
    make_spec,
    plain_value,
)
from looprate.theory.construction.build.coding import largest_label
from looprate.theory.construction.build.contextual import (
    code_offset,
)
from looprate.theory.construction.build.digits import digit_lattice, digits_value
from looprate.theory.construction.build.increments import (
    increment_lattice,
    increments_value,
)
from looprate.theory.construction.build.network import Affine, Network
from looprate.theory.construction.build.parts import Part, join
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.construction.run.reference import reference_output, reference_states


def value_stage(spec, table):
    """Stage 3 alone, its label put in as the input: k = x_0 in every loop."""
    rows = {"s": Affine(bias=code_offset(spec)), "clock": Affine()}
    if spec.coding == "rank":
        rows["rank"] = Affine({0: 1})
    else:
        rows |= {"z": Affine(), "b_0": Affine({0: -1})}
    drift = {"clock": 1}
    part, decoder = MEMORISERS[spec.memoriser].part(spec, table)
    block, encoder, eta = join([Part(rows, drift=drift), part])
    return Network(block, encoder, decoder, eta, spec.loops)


def proven_error(spec, table, coordinate):
    """The bound of the memoriser's docstring."""
    low, high = table.ranges[coordinate]
    if spec.memoriser == "increments":
        return table.gaps[coordinate]
    return Fraction(0) if spec.memoriser == "timestep" else (high - low) / 2**spec.bits


def dense_labels(last, rng):
    """All quarters from -3 to L + 3, and odd fractions."""
    quarters = [Fraction(j, 4) for j in range(-12, 4 * (last + 3) + 1)]
    return quarters + [Fraction(rng.randrange(-3000, 1000 * (last + 3)), 999) for _ in range(40)]


def table_for(spec, name, dim=1):
    """A hand-made table with as many labels as the spec has; coordinate 1 is another sequence."""
    columns = [SEQUENCES[name](spec.last_label + 1), SEQUENCES["random"](spec.last_label + 1)]
    return hand_table(columns[:dim], dim)


ONE_LEVEL = tuple(name for name, kind in MEMORISERS.items() if kind.levels == 1)
STAGES = [  # memoriser, coding, d, m, q
    *((memoriser, "rank", 1, 9, 3) for memoriser in ONE_LEVEL),
    *((memoriser, "rank", 2, 3, 2) for memoriser in ONE_LEVEL),
    *((memoriser, "sum", 1, 3, 3) for memoriser in ONE_LEVEL),
    ("digits", "rank", 1, 6, 1),
    ("digits", "rank", 1, 6, 5),
]


@pytest.mark.parametrize("name", SEQUENCES)
@pytest.mark.parametrize(("memoriser", "coding", "dim", "grid", "bits"), STAGES)
def test_memorisers_answer_as_their_twins_and_keep_the_range(
    memoriser, coding, dim, grid, bits, name
):
    spec, rng = make_spec(1, dim, grid, memoriser, coding, bits=bits), random.Random(10)
    table = table_for(spec, name, dim)
    network, ranges = value_stage(spec, table), table.ranges
    kind = MEMORISERS[memoriser]
    for i in range(dim):
        told, proven = kind.table_error(spec, table, i), proven_error(spec, table, i)
        assert told == proven or (told > proven and coding != kind.coding)
    dense = dense_labels(spec.last_label, rng)
    # a few for the network, which is slow
    run = {Fraction(spec.last_label), Fraction(0), *rng.sample(dense, 8 - 3 * dim)}
    for k in dense:
        assert abs(k) <= largest_label(spec)
        expected = [plain_value(k, spec, table, i) for i in range(dim)]
        assert all(low <= y <= high for y, (low, high) in zip(expected, ranges, strict=True))
        if k.denominator == 1 and 0 <= k <= spec.last_label:
            for i, (y, exact) in enumerate(zip(expected, table.value(int(k)), strict=True)):
                assert abs(y - exact) <= proven_error(spec, table, i)
        if k in run:
            assert reference_output(network, [[k] * dim]) == [expected]


def test_labels_beyond_the_ends_get_the_end_or_the_lowest_value():
    values = [5, 9, -3, 8]
    for memoriser in ONE_LEVEL:
        spec = make_spec(1, 1, 4, memoriser)
        table = hand_table(values)
        below, above = (plain_value(k, spec, table, 0) for k in (-2, 7))
        low = table.ranges[0][0]
        ends = {"timestep": (Fraction(5, 4), 2), "digits": (low, low)}
        if memoriser in ends:
            assert (below, above) == ends[memoriser]
        else:
            assert below == plain_value(0, spec, table, 0)
            assert above == plain_value(3, spec, table, 0)


@pytest.mark.parametrize("name", SEQUENCES)
def test_increments_round_to_the_nearest_point_of_a_lattice_about_as_fine_as_the_gap(name):
    for count in (1, 2, 5, 40):
        values = SEQUENCES[name](count)
        table = hand_table(values)
        lattice, (low, high) = increment_lattice(table, 0), table.ranges[0]
        assert all(abs(b - a) <= 1 for a, b in pairwise(lattice.counts))
        if low == high:
            assert {increments_value(k, lattice) for k in range(count)} == {low}
            continue
        steps = (high - low) / lattice.step
        assert steps - (high - low) // table.gaps[0] in (0, 1)
        assert lattice.step < 2 * table.gaps[0]
        assert low + lattice.step * max(lattice.counts) == high
        for k, value in enumerate(values):
            error = abs(increments_value(k, lattice) - Fraction(value, 4))
            assert error <= lattice.step / 2
            assert error == min(
                abs(low + lattice.step * c - Fraction(value, 4)) for c in range(steps.numerator + 1)
            )


def test_the_errors_of_increments_and_digits_come_close_to_their_bounds():
    gap = 1000
    table = hand_table([0, 498, 498 + gap, 1996, 998])  # a lattice of two steps would need a jump
    error = abs(increments_value(4, increment_lattice(table, 0)) - table.value(4)[0])
    assert 0.99 * table.gaps[0] < error <= table.gaps[0]
    many = hand_table([*range(0, 100 * gap, gap), 99 * gap - gap // 2])
    error = abs(increments_value(100, increment_lattice(many, 0)) - many.value(100)[0])
    assert 0.49 * many.gaps[0] < error <= many.gaps[0]
    for bits in (1, 2, 4):
        points = 2**bits - 1
        table = hand_table([0, 1001, 2002 * points])
        lattice = digit_lattice(table, 0, bits)
        half = (table.ranges[0][1] - table.ranges[0][0]) / (2 * points)
        error = abs(digits_value(1, lattice, bits) - table.value(1)[0])
        assert 0.99 * half < error <= half <= (table.ranges[0][1]) / 2**bits


def test_increments_fail_on_a_lattice_finer_than_the_gap():
    """The control of the bit string: a count that jumps by two needs a digit it does not have."""
    table = hand_table([0, 1, 0, 40])
    counts = increment_lattice(table, 0).counts
    assert max(abs(b - a) for a, b in pairwise(counts)) == 1
    finer = [(2 * 2 * v + 40) // 80 for v in (0, 1, 0, 40)]
    assert max(abs(b - a) for a, b in pairwise(finer)) == 2


@pytest.mark.parametrize("memoriser", MEMORISERS)
def test_the_value_stage_equals_its_twin_at_every_quarter(memoriser):
    spec, rng = make_spec(1, 1, 4, memoriser, bits=2), random.Random(12)
    for name in ("random", "alternating"):
        table = table_for(spec, name)
        network = value_stage(spec, table)
        for k in dense_labels(spec.last_label, rng):
            assert reference_output(network, [[k]]) == [[plain_value(k, spec, table, 0)]]


@pytest.mark.parametrize("memoriser", MEMORISERS)
def test_a_memoriser_holds_its_value_in_further_loops(memoriser):
    spec, rng = make_spec(1, 1, 6, memoriser), random.Random(11)
    table = table_for(spec, "random")
    network = value_stage(spec, table)
    for k in dense_labels(spec.last_label, rng)[::3]:
        states = list(reference_states(network, [[k]], loops=spec.loops + 20))
        assert all(rows[0]["y_0"] == states[spec.loops][0]["y_0"] for rows in states[spec.loops :])
        assert all(rows[0]["y_0"] == 0 for rows in states[: spec.values_start + 1])


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_digits_read_each_label_for_as_many_loops_as_it_has_bits(bits):
    spec = make_spec(1, 1, 5, "digits", bits=bits)
    table = table_for(spec, "random")
    lattice = digit_lattice(table, 0, bits)
    read = ""
    for loop, (rows,) in enumerate(reference_states(value_stage(spec, table), [[Fraction(0)]])):
        assert rows["l"] <= bits - 1
        if spec.values_start < loop <= spec.values_start + bits * (spec.last_label + 1):
            place = loop - spec.values_start - 1
            assert (rows["J"], rows["l"]) == divmod(place, bits)
            read += str(rows["e_0"])
        else:
            assert rows["e_0"] == 0
    assert read == "".join(f"{c:0{bits}b}" for c in lattice.counts)


def test_increments_read_the_digit_of_the_label_of_the_loop():
    spec = make_spec(1, 1, 7, "increments")
    table = table_for(spec, "random")
    counts = increment_lattice(table, 0).counts
    network = value_stage(spec, table)
    for loop, (rows,) in enumerate(reference_states(network, [[0]], loops=spec.loops + 4)):
        j = loop - spec.values_start
        expected = counts[j] - counts[j - 1] if 1 <= j <= spec.last_label else 0
        assert rows["D_0"] - 1 == expected
