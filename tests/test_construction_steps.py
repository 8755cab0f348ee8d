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
    ONE_CODE,
    SHAPES,
    cell_point,
    cell_tuples,
    make_spec,
    plain_labels,
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
from looprate.theory.construction.build.gate import gate_part
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
from looprate.theory.construction.build.stages import label_parts, token_labels
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.construction.run.oracle import oracle_cells, oracle_labels
from looprate.theory.construction.run.reference import reference_states

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
    parts = [own, contextual_part(spec), gate_part(spec)]
    network = stage(parts, "s", spec.values_start + more)
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
            if not spec.modulated:
                assert (old["gate"] == 0) == (loop in inside)
                assert old["gate"] >= 0
            if loop not in inside:
                assert [old[row] for row in ("s", "left", "rank")] == [
                    new[row] for row in ("s", "left", "rank")
                ]
            assert new["clock"] == loop + 1
    assert ("gate" in states[0][0]) != spec.modulated


# --- codings ----------------------------------------------------------------------------------

CODED = ((1, 1, 5), (2, 1, 4), (3, 1, 4), (1, 2, 3), (2, 2, 3), (3, 2, 2), (1, 3, 2), (2, 3, 2))


@pytest.mark.parametrize("coding", ONE_CODE)
@pytest.mark.parametrize(("tokens", "dim", "grid"), CODED)
def test_labels_are_one_to_one_and_end_at_the_last(tokens, dim, grid, coding):
    spec = make_spec(tokens, dim, grid, coding=coding)
    found = {}
    for cells in permutations(range(spec.cells), tokens):
        labels = plain_labels(cells, [z % grid for z in cells], spec)
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


@pytest.mark.parametrize("coding", ONE_CODE)
@pytest.mark.parametrize(("tokens", "dim", "grid"), CODED)
def test_labels_of_colliding_tokens_agree_with_the_oracle(tokens, dim, grid, coding):
    spec, rng = make_spec(tokens, dim, grid, coding=coding), random.Random(6)
    for _ in range(60):
        cells = [rng.randrange(min(spec.cells, 3)) for _ in range(tokens)]
        labels = plain_labels(cells, [z % grid for z in cells], spec)
        assert labels == oracle_labels(cells, spec)
        assert max(labels) <= spec.last_label


@pytest.mark.parametrize("memoriser", ["increments", "timestep"])
@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_the_label_form_reads_the_label_and_is_bounded_in_every_loop(
    tokens, dim, grid, coding, memoriser
):
    spec = make_spec(tokens, dim, grid, memoriser, coding, sharpness=4)
    network = stage(label_parts(spec), "s", spec.values_start + 2, dim)
    form, bias = label_form(spec)
    rng = random.Random(7)
    for point in (strip_point(spec, rng) for _ in range(25)):
        states = list(reference_states(network, point))
        labels = [
            [bias + sum(weight * token[row] for row, weight in form.items()) for token in rows]
            for rows in states
        ]
        assert max(abs(k) for row in labels for k in row) <= largest_label(spec)
        expected = token_labels(point, spec)
        assert all(row == expected for row in labels[spec.values_start :])


def test_the_sum_code_skips_a_side_of_labels_at_every_carry():
    spec = make_spec(1, 2, 4, coding="sum")
    padded = [label(0, cell=z, first=z % 4, rank=0, spec=spec) for z in range(spec.cells)]
    steps = [after - before for before, after in pairwise(padded)]
    assert steps == [spec.grid + 1 if z % 4 == 0 else 1 for z in range(1, spec.cells)]
    assert 2 * spec.cells - padded[-1] == spec.grid + 1  # to the next code s


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
    if tokens == 2 and coding != "others":
        assert not right[colliding(cells, spec)].any()
        assert copies[colliding(cells, spec)].sum() / copies.sum() == grid ** (-2 * dim)
