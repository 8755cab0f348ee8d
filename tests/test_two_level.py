"""Two levels of labels, cells bit by bit: loops, steps, random tables, broken networks, large m."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np
import pytest
import torch

from cases.constructions import hand_table, make_spec, plain_value, strip_point
from looprate.approx.constructed.network import constructed_transformer
from looprate.experiments.study.certificates import softmax_of
from looprate.theory.bounds.loop_counts import CODINGS, construction_loops
from looprate.theory.construction.build import two_level_digits, two_level_increments
from looprate.theory.construction.build.bits import bits_part, bitwise_coordinates
from looprate.theory.construction.build.compile import (
    compile_construction,
    compile_table,
)
from looprate.theory.construction.build.digits import digit_lattice
from looprate.theory.construction.build.increments import increment_lattice
from looprate.theory.construction.build.labels import (
    cell_points,
    every_cell,
    label_table,
    labels_in_use,
)
from looprate.theory.construction.build.network import Network
from looprate.theory.construction.build.parts import join
from looprate.theory.construction.build.quantise import cell_coordinates
from looprate.theory.construction.build.stages import token_labels
from looprate.theory.construction.build.two_level import Groups
from looprate.theory.construction.files import load_network, save_network
from looprate.theory.construction.run import lazy
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.oracle import oracle_labels
from looprate.theory.construction.run.reference import reference_output, reference_states
from looprate.theory.targets import parse_target

INCREMENTS, DIGITS = "two-level-increments", "two-level-digits"
SHAPES = ((1, 1, 4), (2, 1, 6), (1, 2, 3), (2, 2, 2), (3, 1, 3))  # (N, d, m)


def random_table(spec, seed=0):
    """Labels whose neighbours differ by -1, 0 or 1 for increments, and anything for the others."""
    rng, shape = np.random.default_rng(seed), (spec.dim, spec.last_label + 1)
    if spec.memoriser.endswith("increments"):
        values = rng.integers(-1, 2, shape).cumsum(1)
        values[:, -1] = values[:, -2] + (1 if shape[1] > 1 else 0)
    else:
        values = rng.integers(0, 2 ** (spec.bits or 6), shape)
        values[:, :1], values[:, -1:] = 0, 2 ** (spec.bits or 6) - 1
    return hand_table(values.tolist(), spec.dim)


# --- loops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("memoriser", "tokens", "loops"),
    [
        (INCREMENTS, 2, {4: 15, 16: 51, 48: 144}),
        (INCREMENTS, 3, {8: 70, 32: 520}),
        ("increments", 2, {4: 33, 16: 513}),
        ("increments", 3, {8: 1026, 32: 65538}),
    ],
)
def test_loops_on_the_others_code_are_those_of_the_table(memoriser, tokens, loops):
    how = {"tokens": tokens, "dim": 1, "memoriser": memoriser, "coding": "others"}
    assert {m: construction_loops(m, **how) for m in loops} == loops


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("tokens", [1, 2, 3])
def test_loops_are_those_of_the_formulas_and_grow_like_half_the_power(tokens, dim):
    how = {"tokens": tokens, "dim": dim, "coding": "others"}
    for m in range(1, 40):
        labels = 2 * m ** (tokens * dim) - m
        plain = construction_loops(m, memoriser="increments", **how)
        assert plain == 2 * m ** (tokens * dim) + tokens - 1
        found = construction_loops(m, memoriser=INCREMENTS, **how)
        n = max(2, round(math.sqrt(labels)))
        bound = math.ceil(math.log2(m)) + tokens + math.ceil(labels / n) + n
        assert bound - 1 <= found <= bound
        by_digits = construction_loops(m, memoriser=DIGITS, bits=4, **how)
        assert by_digits <= math.log2(m) + tokens + 2 * math.sqrt(4 * labels) + 10
    large = [construction_loops(m, memoriser=INCREMENTS, **how) for m in (10**9, 10**10)]
    assert math.log10(large[1] / large[0]) == pytest.approx(tokens * dim / 2, abs=1e-3)


# --- the quantiser --------------------------------------------------------------------------------


def bits_states(spec, token, more=3):
    """The rows of one token in the quantiser alone."""
    block, encoder, eta = join([bits_part(spec)])
    decoder = (({"z": Fraction(1)}, Fraction(0)),) * spec.dim
    network = Network(block, encoder, decoder, eta, spec.context_start + more)
    return [rows for (rows,) in reference_states(network, [token])]


@pytest.mark.parametrize("sharpness", [2, 5, 2**30])
@pytest.mark.parametrize(("dim", "grid"), [(1, 1), (1, 2), (1, 5), (1, 8), (2, 3), (3, 2)])
def test_bits_find_the_cell_in_log2_m_loops_and_keep_their_bounds(dim, grid, sharpness):
    spec = make_spec(1, dim, grid, INCREMENTS, "others", sharpness=sharpness)
    assert spec.context_start == math.ceil(math.log2(grid))
    step, rng = Fraction(1, spec.slope), random.Random(1)
    lines = [Fraction(j, grid) for j in range(grid + 1)]
    axis = [x + step * Fraction(part, 7) for x in lines for part in (-1, 0, 1, 3, 5, 7, 8)]
    axis = [x for x in axis if 0 <= x <= 1]
    for x in axis:
        token = [x, *rng.choices(axis, k=dim - 1)]
        b = bitwise_coordinates(token, spec)
        assert all(0 <= part <= grid - 1 for part in b)
        if all(part.denominator == 1 for part in cell_coordinates(token, spec)):  # off the strips
            assert b == cell_coordinates(token, spec)
        states = bits_states(spec, token)
        for loop, rows in enumerate(states):
            assert rows["x_0"] + spec.sharpness * rows["b_0"] == spec.slope * x
            assert 0 <= rows["b_0"] <= rows["z"] <= spec.cells - 1
            if loop >= spec.context_start:
                assert rows["z"] == sum(part * grid**i for i, part in enumerate(b))


def test_each_grid_line_has_one_strip_as_line_by_line():
    spec = make_spec(1, 1, 6, INCREMENTS, "others", sharpness=4)
    at = [Fraction(2 * j + 1, 8 * spec.slope) for j in range(4 * spec.slope)]
    by_bits = [x for x in at if bitwise_coordinates([x], spec) != [int(x * 6)]]
    by_lines = [x for x in at if cell_coordinates([x], spec) != [int(x * 6)]]
    assert set(by_bits) <= set(by_lines)
    assert len(by_lines) == 4 * 5
    assert len(by_bits) >= 0.6 * len(by_lines)


# --- the memorisers -------------------------------------------------------------------------------


@pytest.mark.parametrize(("memoriser", "bits"), [(INCREMENTS, None), (DIGITS, 1), (DIGITS, 5)])
@pytest.mark.parametrize("grid", [2, 5, 23])
def test_pass_by_pass_every_label_gets_its_count_and_any_number_the_range(memoriser, bits, grid):
    spec = make_spec(1, 1, grid, memoriser, "others", bits=bits)
    table, rng = random_table(spec), random.Random(2)
    last = spec.last_label
    if bits is None:
        groups = two_level_increments.increment_groups(last + 1)
        lattice = increment_lattice(table, 0)
        value = lambda k: two_level_increments.grouped_value(k, lattice, groups)  # noqa: E731
    else:
        groups, lattice = (
            two_level_digits.digit_groups(last + 1, bits),
            digit_lattice(table, 0, bits),
        )
        value = lambda k: two_level_digits.grouped_value(k, lattice, groups, bits)  # noqa: E731
    for k in range(last + 1):
        assert value(k) == lattice.low + lattice.step * lattice.counts[k] == table.value(k)[0]
    (low, high) = table.ranges[0]
    for k in [Fraction(rng.randrange(-9000, 999 * (last + 9)), 999) for _ in range(80)]:
        assert low <= value(k) <= high
        assert value(k) == plain_value(k, spec, table, 0)


def test_symbols_of_any_word_are_in_range_and_the_rest_never_negative():
    groups = Groups(size=5, count=2, symbols=4, most=2)
    assert groups.words([[0, 1, 2, 0], [2, 2, 2, 2]]) == [0o0 + 0b00011000, 0b10101010]
    rng = random.Random(3)
    for word in [Fraction(rng.randrange(171 * 64), 64) for _ in range(200)] + [Fraction(127)]:
        rest = word
        for theta, symbol in zip(groups.places, groups.read(word), strict=True):
            assert 0 <= symbol <= 2
            rest -= theta * symbol
            assert rest >= 0
    assert list(groups.read(Fraction(0b00011000))) == [0, 1, 2, 0]
    assert list(groups.read(Fraction(0b01111111))) == [1, 2, 2, 2]  # between words: a rest is left


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("memoriser", [INCREMENTS, DIGITS])
@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_random_tables_are_answered_exactly_on_every_class_of_inputs(
    tokens, dim, grid, memoriser, coding
):
    """Any order of the tokens; on the others code shared cells, too.  Smooth targets hide much."""
    spec = make_spec(tokens, dim, grid, memoriser, coding, bits=6, sharpness=2**12)
    table, rng = random_table(spec, seed=tokens), np.random.default_rng(4)
    network = compile_table(spec, table)
    cells = every_cell(spec)[0] if coding == "others" else labels_in_use(spec)[0]
    points = cell_points(cells, spec)
    order = np.argsort(rng.random(cells.shape), axis=1)
    inputs = np.take_along_axis(points, order[..., None], axis=1)
    found = exact_output(network, inputs, denominator=spec.slope, loops=spec.loops + 3).fractions
    for row, places, outputs in zip(cells.tolist(), order.tolist(), found, strict=True):
        values = [table.value(k) for k in oracle_labels(row, spec)]
        assert outputs.tolist() == [values[n] for n in places]
    three = [[[Fraction(int(v), spec.slope) for v in token] for token in x] for x in inputs[:3]]
    assert found[:3].tolist() == [reference_output(network, point) for point in three]


@pytest.mark.parametrize("memoriser", ["increments", "digits", INCREMENTS, DIGITS])
@pytest.mark.parametrize(("tokens", "dim", "grid"), [(2, 1, 4), (2, 2, 2), (3, 1, 3)])
def test_outputs_at_strips_and_near_ties_stay_between_the_labels(tokens, dim, grid, memoriser):
    spec = make_spec(tokens, dim, grid, memoriser, "others", sharpness=8)
    table, rng = random_table(spec, seed=5), random.Random(6)
    network, scale = compile_table(spec, table), 16 * spec.slope
    points = []
    for _ in range(60):
        point = strip_point(spec, rng)
        for token in point[1:]:
            near = point[0][0] + Fraction(rng.randrange(-20, 21), 16 * spec.slope)
            token[0] = min(max(near, Fraction(0)), Fraction(1)) if rng.random() < 0.6 else token[0]
        points.append([[Fraction(int(x * scale), scale) for x in token] for token in point])
    inputs = np.array([[[int(x * scale) for x in token] for token in x] for x in points])
    found = exact_output(network, inputs, denominator=scale).fractions
    for i, (low, high) in enumerate(table.ranges):
        assert all(low <= y <= high for y in found[..., i].ravel())
    for point, outputs in zip(points[:12], found, strict=False):
        labels = token_labels(point, spec)
        assert outputs.tolist() == [
            [plain_value(k, spec, table, i) for i in range(dim)] for k in labels
        ]


# --- broken on purpose ----------------------------------------------------------------------------


@lru_cache(maxsize=8)
def built(memoriser, coding="others"):
    """A network of a random table, inputs on every class of cells, and its outputs."""
    spec = make_spec(2, 1, 6, memoriser, coding, bits=6, sharpness=2**10)
    network = compile_table(spec, random_table(spec, seed=7))
    inputs = cell_points(every_cell(spec)[0], spec)
    inputs = np.concatenate([inputs, inputs[:, ::-1]])
    return spec, network, inputs, exact_output(network, inputs, denominator=spec.slope).fractions


def without(network, name):
    """The network without one hidden unit."""
    units = tuple(unit for unit in network.block.units if unit.name != name)
    return replace(network, block=replace(network.block, units=units))


@pytest.mark.parametrize(
    "memoriser",
    ["increments", "timestep", pytest.param("digits", marks=pytest.mark.slow), INCREMENTS, DIGITS],
)
def test_without_any_unit_but_the_clips_some_output_changes(memoriser):
    spec, network, inputs, outputs = built(memoriser)
    idle = {"clip_low_y_0", "clip_high_y_0"}
    for unit in network.block.units:
        broken = exact_output(without(network, unit.name), inputs, denominator=spec.slope).fractions
        assert (broken == outputs).all() == (unit.name in idle), unit.name


def test_without_the_clips_outputs_leave_the_range():
    spec = make_spec(1, 1, 25, INCREMENTS, "others", sharpness=64)
    table = hand_table(np.random.default_rng(10).integers(-1, 2, 25).cumsum().tolist())
    network, (low, high) = compile_table(spec, table), table.ranges[0]
    inputs = 64 * spec.sharpness * np.arange(1, 25)[:, None] + np.arange(64)  # all in strips
    inputs = inputs.reshape(-1, 1, 1)
    for name, beyond in (("clip_low_y_0", -1), ("clip_high_y_0", 1)):
        clipped = exact_output(network, inputs, denominator=64 * spec.slope).floats
        loose = exact_output(without(network, name), inputs, denominator=64 * spec.slope).floats
        assert low <= clipped.min() <= clipped.max() <= high
        assert loose.max() > high if beyond > 0 else loose.min() < low


@pytest.mark.parametrize("memoriser", [INCREMENTS, DIGITS])
def test_a_changed_symbol_or_word_is_seen(memoriser):
    spec, network, inputs, outputs = built(memoriser)
    schedule, start = network.eta["G_0"], spec.values_start
    for loop in (start, start + 3, len(schedule) - 2):
        wrong = (*schedule[:loop], schedule[loop] + 1, *schedule[loop + 1 :])
        broken = replace(network, eta={**network.eta, "G_0": wrong})
        found = exact_output(broken, inputs, denominator=spec.slope).fractions
        assert (found != outputs).any()


# --- elsewhere: torch, files, the command, a certificate ------------------------------------------


def test_float64_runs_the_same_loops_and_softmax_comes_near_at_some_temperature():
    target, spec = parse_target("mean-field"), make_spec(2, 1, 6, INCREMENTS, "others")
    found = compile_construction(target, spec)
    points = cell_points(every_cell(spec)[0], spec)
    x = torch.tensor(np.rint(np.ldexp(points / spec.slope, 20)) / 2**20)
    exact = exact_output(found.network, np.rint(x.numpy() * 2**20).astype(int), denominator=2**20)
    model = constructed_transformer(found.network)
    assert np.abs(model(x).numpy() - exact.floats).max() <= 1e-14  # L2 rounds, no loop does
    softmax = softmax_of(found, 1e-6)
    assert softmax["beta"] is not None
    assert 0 < softmax["beta"] < 1  # keys are strip widths apart
    wide = compile_construction(target, make_spec(2, 1, 48, INCREMENTS, "others"))
    with pytest.raises(ValueError, match="within ±2\\^53"):
        constructed_transformer(wide.network)


@pytest.mark.parametrize("memoriser", ["increments", INCREMENTS, DIGITS])
def test_networks_survive_a_file(tmp_path, memoriser):
    network = built(memoriser)[1]
    save_network(tmp_path / "net.json", network)
    assert load_network(tmp_path / "net.json").network == network


@pytest.mark.parametrize(
    ("memoriser", "grid", "loops"),
    [(INCREMENTS, 16, 51), (DIGITS, 8, 59), ("increments", 16, 513), ("timestep", 8, 128)],
)
def test_the_command_certifies_the_others_code_with_the_keys_there_were(
    said, memoriser, grid, loops
):
    asked = ("construct", "mean-field", "--grid", grid, "--json")
    old = json.loads(said(*asked)[1])
    new = json.loads(said(*asked, "--memoriser", memoriser, "--coding", "others")[1])
    assert list(new) == list(old)
    assert (new["heads"], new["coding"], new["loops"]) == (2, "others", loops)
    assert new["verdict"] == "holds"
    assert new["terms"]["collisions"] == {"lower": 0.0, "upper": 0.0, "bound": 0.0}
    assert new["error_lower"] <= new["error_upper"] <= new["bound"] < new["trivial"]
    assert new["error_lower"] > 0.98 * new["error_upper"]


# --- large grids ----------------------------------------------------------------------------------


def counted(memoriser, grid):
    """Whether a network answers every class of cells as its lattice says, N = 2 and d = 1."""
    bits = (grid - 1).bit_length() + 3 if memoriser == DIGITS else None
    spec = make_spec(2, 1, grid, memoriser, "others", bits=bits)
    table = label_table(parse_target("mean-field"), spec)
    cells, _ = every_cell(spec)
    network = compile_table(spec, table)
    found = exact_output(network, cell_points(cells, spec), denominator=spec.slope)
    lattice = digit_lattice(table, 0, bits) if bits else increment_lattice(table, 0)
    labels = 2 * grid * cells[:, ::-1] + cells
    counts = np.array(lattice.counts)[labels]
    answers = [
        (lattice.low + lattice.step * c) * found.denominator for c in range(counts.max() + 1)
    ]
    assert all(answer.denominator == 1 for answer in answers)
    expected = np.array([int(answer) for answer in answers], dtype=object)[counts]
    return (found.numerators[..., 0] == expected).all(), network


@pytest.mark.parametrize(("memoriser", "grid"), [(INCREMENTS, 100), (DIGITS, 24)])
def test_words_far_beyond_int64_are_exact(memoriser, grid):
    right, network = counted(memoriser, grid)
    assert right
    assert network.weight_bits() > 90


@pytest.mark.parametrize("memoriser", [INCREMENTS, DIGITS])
def test_sums_are_exact_over_many_blocks(memoriser, monkeypatch):
    monkeypatch.setattr(lazy, "BLOCK", 7)  # does not divide the batch
    assert counted(memoriser, 9)[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("memoriser", "loops", "bits"), [(INCREMENTS, 2840, 2825), (DIGITS, 10_208, 5097)]
)
def test_a_thousand_cells_a_side_are_exact(memoriser, loops, bits):
    right, network = counted(memoriser, 1000)
    assert right
    assert (network.loops, network.weight_bits()) == (loops, bits)


def test_the_network_is_the_same_for_shapes_of_any_table():
    """Which rows and units there are depends on d alone."""
    names = set()
    for (tokens, grid), memoriser in product(((1, 4), (2, 3), (3, 2)), (INCREMENTS, DIGITS)):
        spec = make_spec(tokens, 1, grid, memoriser, "others")
        block = compile_table(spec, random_table(spec)).block
        names.add((memoriser, block.rows, tuple(unit.name for unit in block.units)))
    assert len(names) == 2
