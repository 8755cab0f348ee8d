"""Steps of the construction: each against brute force, and its plain twin against its rows."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction
from itertools import pairwise, permutations, product

import numpy as np
import pytest

from cases.constructions import (
    SEQUENCES,
    SHAPES,
    cell_point,
    cell_tuples,
    hand_table,
    make_spec,
    plain_value,
    strip_point,
)
from looprate.theory.bounds.loop_counts import CODINGS, last_label
from looprate.theory.construction.build.coding import label, label_form, largest_label
from looprate.theory.construction.build.contextual import (
    code_offset,
    contextual_code,
    contextual_part,
    largest_code,
)
from looprate.theory.construction.build.digits import digit_lattice, digits_value
from looprate.theory.construction.build.increments import (
    increment_lattice,
    increments_value,
)
from looprate.theory.construction.build.labels import (
    cell_centres,
    colliding,
    every_cell,
    label_table,
    labels_in_use,
)
from looprate.theory.construction.build.network import Affine, Network
from looprate.theory.construction.build.parts import Part, join
from looprate.theory.construction.build.quantise import cell_coordinates, cell_number, quantise_part
from looprate.theory.construction.build.spec import SHARPNESS, ConstructionSpec
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.construction.run.oracle import oracle_cells, oracle_labels
from looprate.theory.construction.run.reference import reference_output, reference_states

TINY = Fraction(1, 10**15)


def stage(parts, row, loops, dim=1):
    """A network of some parts only that shows one row (no decoder of its own is needed)."""
    block, encoder, eta = join(parts)
    return Network(block, encoder, (({row: Fraction(1)}, Fraction(0)),) * dim, eta, loops)


# --- quantise ---------------------------------------------------------------------------------

GRIDS = ((1, 1), (1, 2), (1, 5), (2, 3), (3, 2))  # (d, m)


def interesting_coordinates(spec):
    """Ends, grid lines and both ends of every strip, and points just beside each."""
    lines = [Fraction(j, spec.grid) for j in range(spec.grid + 1)]
    ends = lines + [line + Fraction(1, spec.slope) for line in lines]
    beside = [x + shift for x in ends for shift in (-TINY, 0, TINY)]
    inside = [line + Fraction(j, 7 * spec.slope) for line in lines for j in range(1, 7)]
    return sorted({x for x in beside + inside if 0 <= x <= 1})


def counted_cell(x, spec):
    """b by the definition: grid lines at least 1/M below x count 1, nearer ones their share."""
    gone = [x - Fraction(j, spec.grid) for j in range(1, spec.grid)]
    return sum((min(above * spec.slope, Fraction(1)) for above in gone if above > 0), Fraction(0))


@pytest.mark.parametrize("sharpness", [2, 5, SHARPNESS])
@pytest.mark.parametrize(("dim", "grid"), GRIDS)
def test_rows_hold_the_cell_after_the_last_line_and_stay(dim, grid, sharpness):
    spec = make_spec(1, dim, grid, coding="sum", sharpness=sharpness)
    network = stage([quantise_part(spec)], "z", grid + 3, dim)
    rng = random.Random(3)
    axis = interesting_coordinates(spec)
    points = [[x] * dim for x in axis] + [rng.choices(axis, k=dim) for _ in range(20)]
    for token in points:
        b = cell_coordinates(token, spec)
        assert b == [counted_cell(x, spec) for x in token]
        assert all(0 <= part <= grid - 1 for part in b)
        for loop, (rows,) in enumerate(reference_states(network, [token])):
            assert 0 <= rows["b_0"] <= rows["z"] <= spec.cells - 1
            if loop >= grid - 1:
                assert (
                    rows["z"] == cell_number(b, spec) == sum(c * grid**i for i, c in enumerate(b))
                )
                assert rows["b_0"] == b[0]


def test_a_grid_line_belongs_to_the_cell_below_and_a_strip_ends_at_one_over_slope():
    spec = make_spec(1, 1, 4, sharpness=8)
    line, wide = Fraction(2, 4), Fraction(1, spec.slope)
    assert spec.slope == 32
    found = {x: cell_coordinates([x], spec)[0] for x in (0, line, line + wide / 4, line + wide, 1)}
    assert list(found.values()) == [0, 1, Fraction(5, 4), 2, 3]
    assert 2 - cell_coordinates([line + wide - TINY], spec)[0] == TINY * spec.slope
    with pytest.raises(ValueError, match="off the transition strips"):
        oracle_cells([[line + wide - TINY]], spec)
    assert oracle_cells([[line]], spec) == [1]
    assert oracle_cells([[line + wide]], spec) == [2]


@pytest.mark.parametrize(("dim", "grid"), GRIDS)
def test_the_cell_off_the_strips_is_the_one_found_by_division(dim, grid):
    spec, rng = make_spec(1, dim, grid), random.Random(4)
    for cell in range(spec.cells):
        (token,) = cell_point([cell], spec, rng)
        assert oracle_cells([token], spec) == [cell]
        assert cell_number(cell_coordinates(token, spec), spec) == cell


def test_strips_have_exactly_their_measure():
    spec = make_spec(2, 1, 3, sharpness=4)  # M = 12
    middles = [Fraction(2 * j + 1, 96) for j in range(48)]  # of intervals of a quarter strip
    strip = [x for x in middles if cell_coordinates([x], spec)[0].denominator > 1]
    assert Fraction(len(strip), 48) == Fraction(spec.grid - 1, spec.slope)
    pairs = sum(1 for pair in product(middles, repeat=2) if set(pair) & set(strip))
    exact = 1 - (1 - Fraction(spec.grid - 1, spec.slope)) ** 2
    assert Fraction(pairs, 48**2) == exact <= Fraction(2 * (spec.grid - 1), spec.slope)


# --- contextual -------------------------------------------------------------------------------


def context_states(cells, spec, more=3):
    """States of stage 2 alone on any cell numbers z, which are put in as inputs."""
    own = Part({"z": Affine({0: 1})})
    network = stage([own, contextual_part(spec)], "s", spec.values_start + more)
    return list(reference_states(network, [[z] for z in cells]))


def taken_in_turn(cells, base):
    """Stage 2 on whole cells, told without a ReLU: the leaders leave, one round after another."""
    times, ranks, code = [0] * len(cells), [0] * len(cells), 0
    for _ in cells:
        keys = [z - base * gone for z, gone in zip(cells, times, strict=True)]
        for n, key in enumerate(keys):
            ranks[n] += times[n] == 0
            if key == max(keys):
                times[n], ranks[n] = times[n] + 1, ranks[n] - 1
        code = code * base + max(keys)
    return code, ranks, times


CONTEXTS = ((1, 1, 1), (1, 1, 3), (2, 1, 2), (2, 1, 4), (3, 1, 3), (2, 2, 2))  # (N, d, m)


@pytest.mark.parametrize("memoriser", ["increments", "timestep"])  # gate, eta
@pytest.mark.parametrize(("tokens", "dim", "grid"), CONTEXTS)
def test_stage_two_sorts_the_cells_ties_included(tokens, dim, grid, memoriser):
    spec = make_spec(tokens, dim, grid, memoriser)
    for cells in cell_tuples(spec):
        code, ranks, times = taken_in_turn(cells, spec.cells)
        assert contextual_code(cells, spec) == (code, ranks)
        if len(set(cells)) == tokens:
            order = sorted(cells, reverse=True)
            assert code == sum(z * spec.cells ** (tokens - j) for j, z in enumerate(order, 1))
            assert ranks == [order.index(z) for z in cells]
        states = context_states(cells, spec)
        for rows in states[spec.values_start :]:
            assert [token["s"] for token in rows] == [code + code_offset(spec)] * tokens
            assert [token["rank"] for token in rows] == ranks
            assert [token["left"] for token in rows] == times
        assert all(token["largest"] == 0 for rows in states for token in rows)


@pytest.mark.parametrize("memoriser", ["increments", "timestep"])
@pytest.mark.parametrize(("tokens", "dim", "grid"), [*CONTEXTS, (4, 1, 4), (3, 2, 2)])
def test_stage_two_keeps_its_bounds_for_any_cells(tokens, dim, grid, memoriser):
    spec, rng = make_spec(tokens, dim, grid, memoriser), random.Random(5)
    for _ in range(15):
        near = Fraction(rng.randrange(8 * (spec.cells - 1) + 1), 8)
        cells = [Fraction(rng.randrange(8 * (spec.cells - 1) + 1), 8) for _ in range(tokens)]
        if rng.random() < 0.5:  # all within one cell of each other
            cells = [min(near + Fraction(rng.randrange(8), 8), spec.cells - 1) for _ in cells]
        states = context_states(cells, spec)
        for token in (token for rows in states for token in rows):
            assert 0 <= token["left"] <= tokens
            assert 0 <= token["s"] <= largest_code(spec)
            assert -tokens <= token["rank"] <= tokens
            assert token["z"] + spec.cells * (tokens - token["left"]) >= 0
        code, ranks = contextual_code(cells, spec)
        assert [token["s"] - code_offset(spec) for token in states[-1]] == [code] * tokens
        assert [token["rank"] for token in states[-1]] == ranks


def test_the_bounds_of_stage_two_are_attained():
    spec = make_spec(3, 1, 3)
    ends = [contextual_code(cells, spec)[1] for cells in ([0, 0, 0], [2, 1, 0])]
    assert ends == [[-2, -2, -2], [0, 1, 2]]
    one = make_spec(1, 1, 3)
    assert context_states([2], one)[-1][0]["s"] == largest_code(one)


@pytest.mark.parametrize("memoriser", MEMORISERS)
@pytest.mark.parametrize(("tokens", "dim", "grid"), CONTEXTS)
def test_stage_two_rests_outside_its_loops(tokens, dim, grid, memoriser):
    spec = make_spec(tokens, dim, grid, memoriser)
    inside = range(spec.context_start, spec.values_start)
    states = context_states(range(tokens), spec, more=9)
    for loop, (before, after) in enumerate(pairwise(states)):
        for old, new in zip(before, after, strict=True):
            if memoriser != "timestep":
                assert (old["gate"] == 0) == (loop in inside)
                assert old["gate"] >= 0
            if loop not in inside:
                assert [old[row] for row in ("s", "left", "rank")] == [
                    new[row] for row in ("s", "left", "rank")
                ]
            assert new["clock"] == loop + 1
    assert ("gate" in states[0][0]) == (memoriser != "timestep")


# --- codings ----------------------------------------------------------------------------------

CODED = ((1, 1, 5), (2, 1, 4), (3, 1, 4), (1, 2, 3), (2, 2, 3), (3, 2, 2), (1, 3, 2), (2, 3, 2))


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("tokens", "dim", "grid"), CODED)
def test_labels_are_one_to_one_and_end_at_the_last(tokens, dim, grid, coding):
    spec = make_spec(tokens, dim, grid, coding=coding)
    found = {}
    for cells in permutations(range(spec.cells), tokens):
        code, ranks = contextual_code(cells, spec)
        labels = [
            label(code, cell=z, first=z % grid, rank=rank, spec=spec)
            for z, rank in zip(cells, ranks, strict=True)
        ]
        assert labels == oracle_labels(cells, spec)
        for own, k in zip(cells, labels, strict=True):
            found.setdefault(k, set()).add((own, frozenset(cells)))
    assert all(len(sources) == 1 for sources in found.values())
    assert len(found) == tokens * math.comb(spec.cells, tokens)
    assert min(found) >= 0
    assert max(found) == spec.last_label
    assert spec.last_label == last_label(grid, tokens=tokens, dim=dim, coding=coding)
    cells, labels = labels_in_use(spec)
    assert sorted(labels.ravel().tolist()) == sorted(found)
    for row, numbers in zip(cells.tolist(), labels.tolist(), strict=True):
        assert numbers == oracle_labels(row, spec)


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("tokens", "dim", "grid"), CODED)
def test_labels_of_colliding_tokens_agree_with_the_oracle(tokens, dim, grid, coding):
    spec, rng = make_spec(tokens, dim, grid, coding=coding), random.Random(6)
    for _ in range(60):
        cells = [rng.randrange(min(spec.cells, 3)) for _ in range(tokens)]
        code, ranks = contextual_code(cells, spec)
        labels = [
            label(code, cell=z, first=z % grid, rank=rank, spec=spec)
            for z, rank in zip(cells, ranks, strict=True)
        ]
        assert labels == oracle_labels(cells, spec)
        assert max(labels) <= spec.last_label


@pytest.mark.parametrize("memoriser", ["increments", "timestep"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_the_label_form_reads_the_label_and_is_bounded_in_every_loop(
    tokens, dim, grid, coding, memoriser
):
    spec = make_spec(tokens, dim, grid, memoriser, coding, sharpness=4)
    network = stage([quantise_part(spec), contextual_part(spec)], "s", spec.values_start + 2, dim)
    form, bias = label_form(spec)
    rng = random.Random(7)
    for point in (strip_point(spec, rng) for _ in range(25)):
        states = list(reference_states(network, point))
        labels = [
            [bias + sum(weight * token[row] for row, weight in form.items()) for token in rows]
            for rows in states
        ]
        assert max(abs(k) for row in labels for k in row) <= largest_label(spec)
        b = [cell_coordinates(token, spec) for token in point]
        cells = [cell_number(part, spec) for part in b]
        code, ranks = contextual_code(cells, spec)
        expected = [
            label(code, cell=z, first=part[0], rank=rank, spec=spec)
            for z, part, rank in zip(cells, b, ranks, strict=True)
        ]
        assert all(row == expected for row in labels[spec.values_start :])


def test_the_sum_code_skips_a_side_of_labels_at_every_carry():
    spec = make_spec(1, 2, 4, coding="sum")
    padded = [label(0, cell=z, first=z % 4, rank=0, spec=spec) for z in range(spec.cells)]
    steps = [after - before for before, after in pairwise(padded)]
    assert steps == [spec.grid + 1 if z % 4 == 0 else 1 for z in range(1, spec.cells)]
    assert 2 * spec.cells - padded[-1] == spec.grid + 1  # to the next code s


# --- memorisers -------------------------------------------------------------------------------


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


STAGES = [  # memoriser, coding, d, m, q
    *((memoriser, "rank", 1, 9, 3) for memoriser in MEMORISERS),
    *((memoriser, "rank", 2, 3, 2) for memoriser in MEMORISERS),
    *((memoriser, "sum", 1, 3, 3) for memoriser in MEMORISERS),
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
    for memoriser in MEMORISERS:
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


# --- spec -------------------------------------------------------------------------------------


def test_specs_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="at least as many cells as tokens=5"):
        make_spec(5, 2, 2)
    with pytest.raises(ValueError, match="`bits` must be left out for"):
        ConstructionSpec(1, 1, 2, "timestep", "rank", bits=3)
    with pytest.raises(ValueError, match=r"`bits` .* must be an integer >= 1"):
        ConstructionSpec(1, 1, 2, "digits", "rank")
    with pytest.raises(ValueError, match="`memoriser` must be one of"):
        ConstructionSpec(1, 1, 2, "lookup", "rank")
    with pytest.raises(ValueError, match="`coding` must be one of"):
        ConstructionSpec(1, 1, 2, "timestep", "product")
    with pytest.raises(ValueError, match=r"`sharpness` \(Mδ\) must be an integer >= 2, got 1"):
        make_spec(1, 1, 2, sharpness=1)
    for bad in (4.0, True, "8"):
        with pytest.raises(TypeError, match="`sharpness`"):
            make_spec(1, 1, 2, sharpness=bad)
    for name in ("tokens", "dim", "grid"):
        shape = {"tokens": 1, "dim": 1, "grid": 2, name: 0}
        with pytest.raises(ValueError, match=f"`{name}`"):
            make_spec(**shape)
        with pytest.raises(TypeError, match=f"`{name}`"):
            make_spec(**{**shape, name: 2.0})


def test_specs_survive_as_dictionaries_of_plain_integers():
    spec = make_spec(np.int64(3), np.int64(1), np.int64(4), "digits", bits=np.int64(2))
    assert ConstructionSpec(**json.loads(json.dumps(spec.as_dict()))) == spec
    wide = make_spec(np.int32(1), np.int32(16), np.int32(8))
    assert wide.cells == 8**16
    assert wide.slope == SHARPNESS * 8


def test_parts_refuse_two_owners():
    spec = make_spec(1, 1, 2)
    with pytest.raises(ValueError, match="`rows` must not repeat a name"):
        join([quantise_part(spec), Part({"z": Affine()})])
    with pytest.raises(ValueError, match="must not set a drift twice"):
        join([quantise_part(spec), Part({}, drift={"x_0": 1})])
    with pytest.raises(ValueError, match="`units` must not repeat a name"):
        join([quantise_part(spec), Part({}, units=quantise_part(spec).units)])
    with pytest.raises(ValueError, match=r"forms must name rows of the block, got \['none'\]"):
        join([quantise_part(spec), Part({}, drift={"none": 1})])


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    ("tokens", "dim", "grid"), [(2, 1, 2), (2, 1, 7), (2, 2, 3), (2, 3, 2), (3, 1, 5)]
)
def test_the_table_holds_f_at_the_centre_of_every_cell_that_does_not_collide(
    tokens, dim, grid, coding
):
    """Of two tokens in one cell, only those in cell 0 collide: a share δ^{2d} of all inputs."""
    spec = make_spec(tokens, dim, grid, coding=coding)
    rough = lambda x: np.sin(900 * x + 77 * (x * x).sum(axis=1, keepdims=True))  # noqa: E731
    table, (cells, copies) = label_table(rough, spec), every_cell(spec)
    wanted = rough(cell_centres(cells, spec))
    held = [[table.value(k) for k in oracle_labels(row, spec)] for row in cells.tolist()]
    right = (np.abs(np.array(held, dtype=float) - wanted) < 1e-9).all(axis=(1, 2))
    assert right[~colliding(cells, spec)].all()
    if tokens == 2:
        assert not right[colliding(cells, spec)].any()
        assert copies[colliding(cells, spec)].sum() / copies.sum() == grid ** (-2 * dim)
