"""The others code: two heads, the cells of the other tokens, and no collisions."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import pairwise, permutations, product

import numpy as np
import pytest

from cases.construction_blocks import one_row, random_network
from cases.constructions import cell_point, cell_tuples, make_spec, strip_point
from looprate.theory.construction.build.labels import (
    cell_points,
    every_cell,
    label_table,
    labels_in_use,
)
from looprate.theory.construction.build.network import Head, Network
from looprate.theory.construction.build.others import largest_others_code, others_codes
from looprate.theory.construction.build.parts import join
from looprate.theory.construction.build.stages import label_parts, token_labels
from looprate.theory.construction.run.exact import exact_output, exact_rows, exact_states
from looprate.theory.construction.run.oracle import oracle_labels
from looprate.theory.construction.run.reference import reference_output, reference_states
from looprate.theory.targets import parse_target

SHAPES = ((1, 1, 3), (2, 1, 1), (2, 1, 4), (3, 1, 2), (2, 2, 2), (3, 2, 2))  # (N, d, m)
ROADS = ("increments", "timestep", "two-level-increments")  # gate, eta, eta bit by bit


def states(spec, point, more=3):
    """States of stages 1 and 2 alone."""
    block, encoder, eta = join(label_parts(spec))
    decoder = (({"s": Fraction(1)}, Fraction(0)),) * spec.dim
    network = Network(block, encoder, decoder, eta, spec.values_start + more)
    return list(reference_states(network, point))


@pytest.mark.parametrize("memoriser", ROADS)
@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_every_token_learns_the_cells_of_the_others_in_the_order_of_x_0(
    tokens, dim, grid, memoriser
):
    spec, rng = make_spec(tokens, dim, grid, memoriser, "others", sharpness=8), random.Random(1)
    every = list(cell_tuples(spec))
    for cells in rng.sample(every, min(len(every), 12)):  # shared cells included
        point = cell_point(cells, spec, rng)
        rng.shuffle(point)
        order = sorted(point, key=lambda token: -token[0])
        cell_of = {id(token): oracle_cell(token, spec) for token in point}
        codes = [
            sum(
                cell_of[id(other)] * spec.cells ** (tokens - 2 - place)
                for place, other in enumerate(one for one in order if one is not token)
            )
            for token in point
        ]
        for rows in states(spec, point)[spec.values_start :]:
            assert [token["s"] for token in rows] == codes
        found = others_codes(
            [token[0] for token in point], [*map(cell_of.get, map(id, point))], spec
        )
        assert found == codes


def oracle_cell(token, spec):
    """The cell of a token off the strips, by rounding up."""
    return sum(max(math.ceil(x * spec.grid) - 1, 0) * spec.grid**i for i, x in enumerate(token))


def near_tie(spec, rng):
    """An input with strips, and first coordinates a part of a strip apart."""
    point = strip_point(spec, rng)
    for token in point[1:]:
        near = point[0][0] + Fraction(rng.randrange(-16, 17), 16 * spec.slope)
        token[0] = min(max(near, Fraction(0)), Fraction(1)) if rng.random() < 0.7 else token[0]
    return point


@pytest.mark.parametrize("memoriser", ROADS)
@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_the_stage_keeps_its_bounds_at_near_ties_and_rests_outside_its_loops(
    tokens, dim, grid, memoriser
):
    spec, rng = make_spec(tokens, dim, grid, memoriser, "others", sharpness=4), random.Random(2)
    for _ in range(12):
        point = near_tie(spec, rng)
        found = states(spec, point)
        for loop, (before, after) in enumerate(pairwise(found)):
            for old, new in zip(before, after, strict=True):
                assert 0 <= new["left"] <= tokens
                round_ = min(max(loop + 1 - spec.context_start, 0), tokens)
                assert 0 <= new["s"] <= spec.cells**round_ - 1
                assert new["top"] == new["cell"] == 0
                if not spec.context_start <= loop < spec.values_start:
                    assert (old["s"], old["left"]) == (new["s"], new["left"])
        form_labels = [
            2 * spec.cells * token["s"] + 2 * token["z"] - token["b_0"] for token in found[-1]
        ]
        assert form_labels == token_labels(point, spec)


def test_first_coordinates_a_strip_apart_are_told_apart_and_nearer_ones_are_not():
    spec, one = make_spec(2, 1, 4, coding="others", sharpness=4), Fraction(1)
    gaps = (Fraction(1, spec.slope), Fraction(1, 8 * spec.slope), Fraction(0))
    found = [others_codes([one, one - gap], [3, 1], spec) for gap in gaps]
    assert found[0] == [1, 3]
    assert found[1] == [1, Fraction(12, 8)]  # B = 12, an eighth of a strip
    assert found[2] == [0, 0]  # an exact tie is taken together, in both rounds
    assert largest_others_code(spec) == 15


@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_labels_end_at_the_last_and_no_input_collides(tokens, dim, grid):
    spec = make_spec(tokens, dim, grid, coding="others")
    sources = {}
    for cells in cell_tuples(spec):
        for n, k in enumerate(oracle_labels(cells, spec)):
            sources.setdefault(k, set()).add((cells[n], tuple(sorted(cells))))
    assert all(len(own) == 1 for own in sources.values())
    assert min(sources) == 0
    assert max(sources) == spec.last_label == 2 * grid ** (tokens * dim) - grid - 1
    cells, labels = labels_in_use(spec)
    for row, numbers in zip(cells.tolist(), labels.tolist(), strict=True):
        assert numbers == oracle_labels(row, spec)
    assert spec.last_label == len(label_table(lambda x: x, spec).values) - 1


@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_the_table_holds_f_for_every_order_of_the_others_exactly_alike(tokens, dim, grid):
    def rough(x):
        return np.sin(900 * x + 77 * (x * x).sum(axis=1, keepdims=True))

    spec = make_spec(tokens, dim, grid, coding="others")
    table, base = label_table(rough, spec), spec.cells
    for s in product(range(base), repeat=tokens - 1):
        for z in range(base):
            values = set()
            for order in permutations(s):
                code = sum(c * base ** (tokens - 2 - j) for j, c in enumerate(order))
                k = 2 * base * code + 2 * z - z % grid
                assert table.used[k]
                values.add(tuple(table.value(k)))
            assert len(values) == 1
            centre = [[(c // grid**i % grid + 0.5) / grid for i in range(dim)] for c in (z, *s)]
            exact = rough(np.array([centre]))[0, 0]
            assert [float(v) for v in values.pop()] == pytest.approx(exact.tolist(), abs=1e-9)


@pytest.mark.parametrize(
    "name", ["mean-field", "mean-field:a=1,b=-1", "context-max", "others-mean"]
)
def test_gaps_stay_below_the_token_modulus_and_that_of_one_token_less(name):
    target = parse_target(name)
    for tokens, dim, grid in ((1, 2, 5), (2, 1, 9), (3, 1, 4), (2, 2, 4), (3, 2, 2)):
        spec = make_spec(tokens, dim, grid, coding="others")
        gap = float(max(label_table(target, spec).gaps))
        shape = {"tokens": tokens, "dim": dim, "p": math.inf}
        radii = {"token": math.sqrt(dim), "contextual": math.sqrt((tokens - 1) * dim)}
        bound = sum(
            target.closed_form(radius / grid, kind=kind, **shape).value
            for kind, radius in radii.items()
        )
        assert gap <= bound * (1 + 1e-9) + 1e-11


def test_gaps_come_close_to_the_modulus_and_a_shuffled_table_has_larger_ones():
    spec = make_spec(1, 1, 9, coding="others")
    table = label_table(parse_target("token-power:alpha=1,center=0"), spec)
    assert 0.999 / 9 < float(table.gaps[0]) <= 1 / 9 + 1e-11
    np.random.default_rng(3).shuffle(table.values)
    assert float(table.gaps[0]) > 2 / 9


@pytest.mark.parametrize("where", ["centre", "low", "high"])
@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
@pytest.mark.parametrize("sharpness", [3, 4, 2**30])
def test_points_of_cells_are_in_them_and_far_enough_apart(tokens, dim, grid, sharpness, where):
    spec = make_spec(tokens, dim, grid, coding="others", sharpness=sharpness)
    cells, _ = every_cell(spec)
    points = cell_points(cells, spec, where)
    rng = np.random.default_rng(4)
    for k in rng.choice(len(cells), min(len(cells), 20), replace=False):
        exact = [[Fraction(int(v), spec.slope) for v in token] for token in points[k]]
        assert [oracle_cell(token, spec) for token in exact] == cells[k].tolist()
        assert token_labels(exact, spec) == oracle_labels(cells[k].tolist(), spec)


# --- heads whose value is not their key -----------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_heads_with_other_values_agree_with_the_reference_in_every_row(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng, 1)
    key = {"x_0": int(rng.integers(0, 3)), "tick": 1}
    more = Head({"one": 1}, key, {"b": 1, "one": int(rng.integers(-2, 3))}, {"y": 1, "a": 1})
    block = network.block
    network = Network(
        type(block)(block.rows, (*block.heads, more), block.units, block.drift),
        network.encoder,
        network.decoder,
        network.eta,
        network.loops,
    )
    inputs = rng.integers(-2, 3, (4, 2, 1))  # ties come up
    slow = [list(reference_states(network, [[Fraction(int(v[0]))] for v in x])) for x in inputs]
    finest = 2**network.loops  # a mean of two at every loop
    found = exact_states(network, inputs, denominator=1, resolution=finest)
    for loop, rows in enumerate(found):
        for which in range(4):
            for row in network.block.rows:
                exact = [token[row] for token in slow[which][loop]]
                assert rows.fractions(row)[which].tolist() == exact


def test_means_over_ties_are_exact_and_refused_at_a_resolution_that_has_them_not():
    network = one_row((), heads=(Head({"one": 1}, {"one": 1}, {"x": 1}, {"y": 1}),), loops=1)
    inputs = [[[0], [1], [1]]]
    assert exact_output(network, inputs, denominator=1).fractions[0, 0, 0] == Fraction(2, 3)
    assert reference_output(network, inputs[0])[0][0] == Fraction(2, 3)
    with pytest.raises(ValueError, match=r"head 0 must return multiples of 1/`resolution`.*loop 0"):
        exact_rows(network, inputs, denominator=1, resolution=2)
