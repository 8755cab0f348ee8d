"""Whole compiled networks, run by the slow evaluator: against the oracle, and broken on purpose."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise, permutations

import numpy as np
import pytest

from cases.constructions import (
    SHAPES,
    VARIANTS,
    cell_point,
    cell_tuples,
    hand_table,
    make_spec,
    plain_value,
    strip_point,
)
from looprate.theory.construction.build.compile import compile_construction, compile_table
from looprate.theory.construction.build.network import Affine, Block, Head, Network, Unit
from looprate.theory.construction.build.stages import token_labels
from looprate.theory.construction.run.oracle import oracle_cells, oracle_labels, oracle_output
from looprate.theory.construction.run.reference import reference_output, reference_states
from looprate.theory.targets import parse_target

ONE_LEVEL = [variant for variant in VARIANTS if not variant[0].startswith("two-level")]
TARGET = parse_target("dial:token=0.6,context=0.4,periods=1 + 0.5*context-max")


def random_table(spec, seed=1):
    """A hand-made table: steps -1, 0, 1 for increments, else values in no order.

    Its last loop matters: the last increment is -1, the last value the largest.
    """
    rng, shape = np.random.default_rng(seed), (spec.dim, spec.last_label + 1)
    if spec.memoriser.endswith("increments"):
        steps = rng.integers(-1, 2, shape)
        steps[:, -2:] = (1, -1)
        return hand_table(steps.cumsum(1).tolist(), spec.dim)
    values = rng.integers(-99, 100, shape)
    values[:, -2:] = (-100, 100)
    return hand_table(values.tolist(), spec.dim)


def nearest_points(value, step, low):
    """Points low + step c at most half a step from the value: one, or two at a tie."""
    place = (value - low) / step
    around = [low + step * (int(place) + shift) for shift in (-1, 0, 1, 2)]
    return {point for point in around if abs(point - value) <= step / 2}


def memorised_values(value, spec, table, coordinate):
    """What a memoriser may answer for a value of the table, told without its bit string."""
    low, high = table.ranges[coordinate]
    if spec.memoriser == "timestep" or low == high:
        return {value}
    if spec.memoriser.endswith("digits"):
        return nearest_points(value, (high - low) / (2**spec.bits - 1), low)
    return nearest_points(value, finest_step(table, coordinate), low)


@lru_cache(maxsize=64)
def finest_step(table, coordinate):
    """Step of the increments: n = floor(range/gap) or n + 1 steps, the finer one if none jumps."""
    low, high = table.ranges[coordinate]
    steps = (high - low) // table.gaps[coordinate]
    values = [table.value(k)[coordinate] for k in range(len(table.values))]
    finer = [math.floor((y - low) * (steps + 1) / (high - low) + Fraction(1, 2)) for y in values]
    return (high - low) / (steps + all(abs(b - a) <= 1 for a, b in pairwise(finer)))


def wrong_labels(network, spec, table, point):
    """Labels of the tokens whose output is not what sorted cells, table and rounding say."""
    labels = oracle_labels(oracle_cells(point, spec), spec)
    values = oracle_output(point, spec, table)
    wrong = set()
    for k, value, output in zip(labels, values, reference_output(network, point), strict=True):
        allowed = [memorised_values(v, spec, table, i) for i, v in enumerate(value)]
        if spec.memoriser == "digits" and k < 0:  # a collision without a label: all digits 0
            allowed = [{low} for low, _ in table.ranges]
        if any(y not in points for y, points in zip(output, allowed, strict=True)):
            wrong.add(k)
    return wrong


def agrees_with_oracle(network, spec, table, point):
    """Whether every output is what the oracle says."""
    return not wrong_labels(network, spec, table, point)


# --- sizes ------------------------------------------------------------------------------------

SIZES = {  # rows and hidden units: as (per coordinate, constant)
    ("increments", "sum"): ((4, 8), (12, 6)),
    ("increments", "rank"): ((4, 8), (12, 7)),
    ("timestep", "sum"): ((2, 7), (2, 5)),
    ("timestep", "rank"): ((2, 7), (2, 6)),
    ("digits", "sum"): ((4, 10), (9, 9)),
    ("digits", "rank"): ((4, 10), (9, 10)),
    ("increments", "others"): ((4, 9), (12, 8)),
    ("timestep", "others"): ((2, 8), (2, 7)),
    ("digits", "others"): ((4, 11), (9, 11)),
    ("two-level-increments", "others"): ((4, 11), (10, 8)),
    ("two-level-digits", "others"): ((4, 12), (7, 9)),
}
PAPER = ((17, 9), (49, 25))


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_sizes_are_the_stated_ones_and_below_the_papers(memoriser, coding, dim):
    spec = make_spec(2 if dim < 4 else 1, dim, 2, memoriser, coding)
    network = compile_construction(parse_target("mean-field"), spec).network
    found = len(network.block.rows), network.block.width
    assert found == tuple(slope * dim + more for slope, more in SIZES[memoriser, coding])
    assert all(size <= a * dim + b for size, (a, b) in zip(found, PAPER, strict=True))
    matrices = network.block.matrices()
    for name in ("W_Q", "W_K", "W_V"):
        heads = 2 if coding == "others" else 1  # of size 1
        assert matrices[name].shape == (heads, len(network.block.rows))
    assert matrices["W_2"].shape == (len(network.block.rows), network.block.width)
    assert network.dim == dim
    assert bool(network.eta) == spec.modulated
    assert network.loops == spec.loops


def test_loops_are_those_of_the_table():
    chosen = (("increments", "sum"), ("timestep", "rank"), ("digits", "rank"))
    for (memoriser, coding), loops in zip(chosen, (121, 34, 126), strict=True):
        spec = make_spec(2, 1, 4, memoriser, coding, bits=4)
        assert spec.loops == compile_construction(TARGET, spec).network.loops == loops
        assert spec.paper_loops == 514


# --- against the oracle -----------------------------------------------------------------------


LONG = (3, 2, 2)  # up to 462 labels
ORACLE_CASES = [
    pytest.param(*variant, *shape, marks=pytest.mark.slow if shape == LONG else ())
    for variant in VARIANTS
    for shape in SHAPES
]


@pytest.mark.parametrize(("memoriser", "coding", "tokens", "dim", "grid"), ORACLE_CASES)
def test_networks_answer_what_the_oracle_answers(memoriser, coding, tokens, dim, grid):
    spec = make_spec(tokens, dim, grid, memoriser, coding, bits=2)
    built = compile_construction(TARGET, spec)
    rng = random.Random(20)
    for _ in range(max(1, min(4, 120 // spec.loops))):
        point = cell_point(rng.sample(range(spec.cells), tokens), spec, rng)
        assert agrees_with_oracle(built.network, spec, built.table, point)
        colliding = cell_point(rng.choices(range(min(2, spec.cells)), k=tokens), spec, rng)
        assert agrees_with_oracle(built.network, spec, built.table, colliding)


@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_every_choice_of_cells_is_answered(memoriser, coding):
    spec = make_spec(2, 1, 3, memoriser, coding)
    table, rng = random_table(spec), random.Random(21)
    network = compile_table(spec, table)
    for cells in cell_tuples(spec):
        assert agrees_with_oracle(network, spec, table, cell_point(cells, spec, rng))


def test_grid_lines_corners_and_the_end_of_a_strip_are_answered():
    spec = make_spec(2, 1, 3)
    table = random_table(spec)
    network = compile_table(spec, table)
    wide = Fraction(1, spec.slope)
    edges = [Fraction(j, 3) for j in range(4)] + [Fraction(j, 3) + wide for j in (1, 2)]
    for own in edges:
        for other in edges:
            assert agrees_with_oracle(network, spec, table, [[own], [other]])


@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_errors_at_the_centres_stay_below_the_memorisers_bound(memoriser, coding):
    spec = make_spec(2, 1, 3, memoriser, coding)
    built = compile_construction(TARGET, spec)
    (low, high), gap = built.table.ranges[0], built.table.gaps[0]
    kind = memoriser.removeprefix("two-level-")
    bound = {"increments": gap, "timestep": 0, "digits": (high - low) / 2**3}[kind]
    for cells in permutations(range(3), 2):
        centre = [[Fraction(2 * z + 1, 6)] for z in cells]
        exact = TARGET(np.array([[[float(x)] for (x,) in centre]]))[0, :, 0]
        for (output,), value in zip(reference_output(built.network, centre), exact, strict=True):
            assert abs(output - Fraction(float(value))) <= bound + built.table.unit


@pytest.mark.parametrize(("tokens", "dim", "grid"), [(3, 1, 3), (2, 2, 2)])
@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_permuted_tokens_give_permuted_outputs(memoriser, coding, tokens, dim, grid):
    spec = make_spec(tokens, dim, grid, memoriser, coding, bits=1, sharpness=4)
    network = compile_table(spec, random_table(spec))
    rng = random.Random(22)
    point = strip_point(spec, rng)
    outputs = reference_output(network, point)
    order = rng.sample(range(tokens), tokens)
    while order == sorted(order):
        order = rng.sample(range(tokens), tokens)
    permuted = reference_output(network, [point[n] for n in order])
    assert permuted == [outputs[n] for n in order]


# --- loops ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_three_more_loops_change_nothing_and_many_more_neither(memoriser, coding):
    spec = make_spec(2, 1, 3, memoriser, coding, bits=2, sharpness=4)
    network, rng = compile_table(spec, random_table(spec)), random.Random(23)
    points = [cell_point(cells, spec, rng) for cells in ((2, 1), (0, 0), (1, 1))]
    for point in points + [strip_point(spec, rng) for _ in range(2)]:
        states = list(reference_states(network, point, loops=spec.loops + 15))
        values = [[token["y_0"] for token in rows] for rows in states[spec.loops :]]
        assert all(row == values[0] for row in values)


@pytest.mark.parametrize(("memoriser", "coding"), ONE_LEVEL)
def test_one_loop_less_fails_exactly_for_the_last_label(memoriser, coding):
    """The last increment, the last digit and the last entry of eta are not 0."""
    spec = make_spec(2, 1, 3, memoriser, coding, bits=2)
    table, rng = random_table(spec), random.Random(24)
    network = compile_table(spec, table)
    short = replace(network, loops=network.loops - 1)
    for cells in cell_tuples(spec):
        point = cell_point(cells, spec, rng)
        expected = {spec.last_label} & set(oracle_labels(cells, spec))
        assert wrong_labels(short, spec, table, point) == expected
    assert spec.last_label in oracle_labels([2, 2 if coding == "others" else 1], spec)


# --- strips -----------------------------------------------------------------------------------


def chained_twins(point, spec, table):
    """The plain evaluators one after another, for any input."""
    return [
        [plain_value(k, spec, table, i) for i in range(spec.dim)] for k in token_labels(point, spec)
    ]


def in_range(outputs, table):
    """Whether every output is between the smallest and the largest label value."""
    return all(
        low <= y <= high
        for values in outputs
        for y, (low, high) in zip(values, table.ranges, strict=True)
    )


@pytest.mark.parametrize(("tokens", "dim", "grid"), [(1, 1, 4), (2, 1, 3), (3, 1, 3), (2, 2, 2)])
@pytest.mark.parametrize("sharpness", [2, 4, 16])
@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_strips_answer_between_the_smallest_and_the_largest_label(
    memoriser, coding, sharpness, tokens, dim, grid
):
    sharpness = max(sharpness, tokens)
    spec = make_spec(tokens, dim, grid, memoriser, coding, sharpness=sharpness)
    table, rng = random_table(spec), random.Random(25)
    for _ in range(40):
        assert in_range(chained_twins(strip_point(spec, rng), spec, table), table)


@pytest.mark.parametrize(("tokens", "dim", "grid"), [(1, 1, 4), (2, 1, 3), (3, 1, 3), (2, 2, 2)])
@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_networks_equal_their_twins_on_any_input(memoriser, coding, tokens, dim, grid):
    spec = make_spec(tokens, dim, grid, memoriser, coding, bits=2, sharpness=4)
    table, rng = random_table(spec), random.Random(26)
    network = compile_table(spec, table)
    for _ in range(max(2, min(12, 120 // spec.loops))):
        point = strip_point(spec, rng)
        outputs = reference_output(network, point)
        assert outputs == chained_twins(point, spec, table)
        assert in_range(outputs, table)


def test_digits_without_saturation_leave_the_range():
    """The control of the range: y <- 2y + e while |u| is below a fixed width overshoots."""
    spec = make_spec(1, 1, 4, "digits", "rank", bits=2, sharpness=4)
    table = random_table(spec)
    network = compile_table(spec, table)
    names = ("label_above", "label_below")
    units = [
        replace(unit, writes={row: weight + 1 for row, weight in unit.writes.items()})
        if unit.name in names
        else unit
        for unit in network.block.units
    ]
    loose = replace(network, block=replace(network.block, units=tuple(units)))
    rng = random.Random(28)
    points = [strip_point(spec, rng) for _ in range(10)]
    assert all(in_range(reference_output(network, point), table) for point in points)
    assert not all(in_range(reference_output(loose, point), table) for point in points)


# --- the network as matrices ------------------------------------------------------------------


@pytest.mark.parametrize(("memoriser", "coding"), VARIANTS)
def test_matrices_compute_the_same_loops(memoriser, coding):
    spec = make_spec(3, 2, 2, memoriser, coding, bits=1, sharpness=4)
    network = compile_construction(TARGET, spec).network
    w, rows = network.block.matrices(), network.block.rows
    rng = random.Random(33)
    states = list(reference_states(network, strip_point(spec, rng), loops=spec.values_start + 4))
    as_columns = [np.array([[t[row] for t in state] for row in rows], object) for state in states]
    for loop, (x, expected) in enumerate(pairwise(as_columns)):
        scores = (w["W_Q"] @ x).T @ (w["W_K"] @ x)  # query token, key token
        best = scores == scores.max(1, keepdims=True)
        weights = best / Fraction(1) / best.sum(1, keepdims=True).astype(object)
        x = x + w["W_O"] @ ((w["W_V"] @ x) @ weights.T)
        hidden = np.maximum(w["W_1"] @ x + w["b_1"][:, None], 0)
        eta = np.array([network.eta_at(row, loop) for row in rows], object)
        x = x + eta[:, None] * (w["W_2"] @ hidden + w["b_2"][:, None])
        assert (x == expected).all()


@pytest.mark.parametrize(("memoriser", "coding"), ONE_LEVEL)
def test_weight_bits_are_those_of_the_largest_integer(memoriser, coding):
    spec = make_spec(2, 1, 3, memoriser, coding)
    network = compile_construction(TARGET, spec).network
    digits = {  # of the string; W_2 takes base^digits away from C
        "increments": 2 * (spec.values_start + spec.last_label),
        "digits": spec.values_start + 3 * (spec.last_label + 1),
    }
    if memoriser in digits:
        assert network.weight_bits() == digits[memoriser] + 1
    else:
        changes = max(abs(change) for change in network.eta["y_0"])
        skip = 2 * 3 * spec.tokens if coding == "others" else 1  # B = (U-1) U^(N-1), times ΩN
        assert network.weight_bits() == max(changes, skip * (spec.slope + 1) - 1).bit_length()


def test_weight_bits_count_every_place_a_weight_can_be_in():
    plain = Network(Block(("x",), (), (), {}), {}, (({}, Fraction(0)),), {}, 1)
    assert plain.weight_bits() == 0
    for changes in (
        {"encoder": {"x": Affine({0: -8})}},
        {"encoder": {"x": Affine(bias=-8)}},
        {"eta": {"x": (1, -8)}},
        {"block": Block(("x",), (), (), {"x": -8})},
        {"block": Block(("x",), (), (Unit("u", {}, -8, {}),), {})},
        {"block": Block(("x",), (Head({"x": -8}, {}, {}, {}),), (), {})},
    ):
        assert replace(plain, **changes).weight_bits() == 4


def test_a_head_scores_by_query_times_key_and_its_rows_are_read_before_any_is_written():
    """Each token fetches the value of the largest q k: positive queries the largest key."""
    heads = (
        Head({"q": 1}, {"k": 1}, {"v": 1}, {"v": 1}),
        Head({"q": 0}, {"k": 1}, {"v": 3}, {"w": 1}),  # all scores tie: the mean
    )
    rows = {"q": Affine({0: 1}), "k": Affine({1: 1}), "v": Affine({2: 1}), "w": Affine()}
    shown = (({"v": Fraction(1)}, Fraction(0)), ({"w": Fraction(1)}, Fraction(0)))
    block = Block(tuple(rows), heads, (), {})
    network = Network(block, rows, (*shown, ({}, Fraction(5))), {}, 1)
    point = [[2, 1, 10], [-1, 3, 20], [1, 3, 60]]
    assert reference_output(network, point) == [[50, 90, 5], [30, 90, 5], [100, 90, 5]]
    for wrong in ([], [[1, 2]]):
        with pytest.raises(ValueError, match="at least one token of d = 3 coordinates"):
            reference_output(network, wrong)


def test_compiling_refuses_what_does_not_fit():
    spec = make_spec(1, 2, 2)
    for table in (hand_table([1, 2, 3], 2), hand_table([1, 2, 3, 4], 1)):
        with pytest.raises(ValueError, match=r"`table` must have shape \(4, 2\)"):
            compile_table(spec, table)
