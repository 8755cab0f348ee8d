"""The fast evaluator says, bit for bit, what the slow one says, or refuses."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from cases.constructions import SHAPES, make_spec
from looprate.theory.bounds.loop_counts import CODINGS
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.network import Affine, Block, Head, Network, Unit
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.construction.run.clock import Clock, clock_rows
from looprate.theory.construction.run.exact import exact_output, exact_rows, exact_states
from looprate.theory.construction.run.lazy import MOST_PARTS, LazyForm, LazyRow
from looprate.theory.construction.run.ranges import Follower, range_of
from looprate.theory.construction.run.reference import reference_output, reference_states
from looprate.theory.construction.run.wide import Node, Wide
from tests.cases.construction_blocks import LOOPS, one_row, random_network

COMPILED = [
    ConstructionSpec(2, 1, 3, "increments", "sum"),
    ConstructionSpec(1, 1, 4, "increments", "rank", sharpness=2),
    ConstructionSpec(2, 1, 3, "timestep", "rank", sharpness=2),
    ConstructionSpec(2, 2, 2, "timestep", "rank"),
    ConstructionSpec(3, 1, 3, "timestep", "sum"),
    ConstructionSpec(2, 1, 3, "digits", "rank", 3, sharpness=2),
    ConstructionSpec(2, 1, 4, "digits", "rank", 6),  # bounds would double every loop for 150 loops
]


def wave(x):
    """A target for compiled networks."""
    return np.sin(6 * x) * x.mean(1, keepdims=True)


def points(numerators, denominator):
    """The inputs of a batch as the slow evaluator takes them."""
    return [[[Fraction(v, denominator) for v in t] for t in x] for x in numerators.tolist()]


def assert_same_rows(rows, tokens, which):
    """One input's rows, fast and slow."""
    for row, values in rows.values.items():
        found = [Fraction(int(v), rows.resolution) for v in values[which]]
        assert found == [token[row] for token in tokens], row


@pytest.mark.parametrize("seed", range(60))
def test_every_row_of_a_random_network_is_that_of_the_reference_after_every_loop(seed):
    rng = np.random.default_rng(seed)
    tokens, dim, denominator = seed % 3 + 1, seed % 2 + 1, int(rng.integers(1, 13))
    network = random_network(rng, dim)
    inputs = rng.integers(-denominator, denominator + 1, (4, tokens, dim))
    slow = [list(reference_states(network, p)) for p in points(inputs, denominator)]
    fast = list(exact_states(network, inputs, denominator=denominator))
    assert len(fast) == LOOPS + 1
    for loop, rows in enumerate(fast):
        for which in range(4):
            assert_same_rows(rows, slow[which][loop], which)
    some = exact_states(network, inputs, denominator=denominator, at={0, 2, LOOPS})
    for loop, rows in zip((0, 2, LOOPS), some, strict=True):
        assert_same_rows(rows, slow[0][loop], 0)
    last = exact_rows(network, inputs, denominator=denominator)  # rows that are never read settle
    for which in range(4):
        assert_same_rows(last, slow[which][-1], which)


@pytest.mark.parametrize("seed", range(6))
def test_outputs_of_a_random_network_are_those_of_the_reference_for_any_number_of_loops(seed):
    rng = np.random.default_rng(100 + seed)
    network = random_network(rng, 2)
    inputs = rng.integers(0, 8, (3, 2, 2))
    for loops in (1, LOOPS + 2):
        found = exact_output(network, inputs, denominator=7, loops=loops)
        slow = [reference_output(network, p, loops=loops) for p in points(inputs, 7)]
        assert found.fractions.tolist() == slow
        assert found.floats.tolist() == np.array(slow, dtype=np.float64).tolist()


def kinds():
    """Every memoriser and coding on every shape, the largest of them slow."""
    for memoriser, coding, (tokens, dim, grid) in product(MEMORISERS, CODINGS, SHAPES):
        marks = pytest.mark.slow if (tokens, dim) == (3, 2) else ()
        spec = make_spec(tokens, dim, grid, memoriser, coding, bits=2, sharpness=4)
        yield pytest.param(spec, marks=marks, id=str(spec))


@pytest.mark.parametrize("spec", [*COMPILED, *kinds()], ids=str)
def test_compiled_constructions_agree_with_the_reference(spec):
    network = compile_construction(wave, spec).network
    rng, tokens, dim = np.random.default_rng(spec.loops), spec.tokens, spec.dim
    for denominator in (12, 16 * spec.slope):  # multiples of a 16th of a strip
        inputs = rng.integers(0, denominator + 1, (2, tokens, dim))
        if denominator > 12:
            inputs[1, -1] = spec.sharpness * 16 + 5  # in a strip
        rows = exact_rows(network, inputs, denominator=denominator)
        outputs = exact_output(network, inputs, denominator=denominator).fractions
        for which, point in enumerate(points(inputs, denominator)):
            *_, last = reference_states(network, point)
            assert_same_rows(rows, last, which)
            decoded = [
                [b + sum(w * t[row] for row, w in form.items()) for form, b in network.decoder]
                for t in last
            ]
            assert outputs[which].tolist() == decoded


@pytest.mark.parametrize("spec", COMPILED[::2], ids=str)
def test_the_clock_is_that_of_the_reference_and_needs_no_input(spec):
    network = compile_construction(wave, spec).network
    clock = Clock(network)
    assert {"clock", "one"} <= clock.rows
    assert not clock.rows & {"x_0", "z", "s", "left", "largest", "y_0"}
    for loop, tokens in enumerate(reference_states(network, [[Fraction(1, 3)]] * spec.tokens)):
        assert clock.loop == loop
        assert clock.values == {row: tokens[0][row] for row in clock.rows}
        clock.advance()


def test_the_closure_follows_units_and_heads_over_several_steps():
    rows = ("x", "one_away", "two_away", "headed", "free", "read_only", "unmoved")
    units = (
        Unit("second", {"one_away": 1}, 0, {"two_away": 1}),
        Unit("first", {"x": 1, "free": 1}, 0, {"one_away": 1}),
        Unit("clock", {"free": 1}, 0, {"free": 1, "two_away": 1}),
        Unit("no_weight", {"x": 0, "free": 1}, 0, {"read_only": 1}),
        Unit("no_write", {"x": 1}, 0, {"unmoved": 0}),
    )
    head = Head({"free": 1}, {"x": 1}, {"x": 1}, {"headed": 1, "free": 0})
    encoder = {"x": Affine({0: 1}), "free": Affine({0: 0}, 3)}
    network = Network(Block(rows, (head,), units, {}), encoder, (({}, Fraction(0)),), {}, 1)
    assert clock_rows(network) == {"free", "read_only", "unmoved"}


def test_a_head_may_return_a_clock_value_whatever_it_attends_to():
    head = Head({"x": -1}, {"y": 1, "x": 2}, {"one": 3}, {"y": 2})
    network = one_row((Unit("up", {"y": 1, "x": 1}, -7, {"y": 1}),), heads=(head,), loops=3)
    inputs = np.arange(-3, 3).reshape(3, 2, 1)
    found = exact_output(network, inputs, denominator=2).fractions
    assert found.tolist() == [reference_output(network, p) for p in points(inputs, 2)]


def test_a_row_that_is_never_read_holds_few_arrays():
    row = LazyRow("y", {}, 5)
    for loop in range(40):
        node = Node(np.arange(-loop, 9 - loop).reshape(1, 9), -loop, 8 - loop)
        row.add_linear({node: 3}, -1)
        row.add_kink(node, 1, 2)
        row.settle_if_long()
        assert len(row.combination) + len(row.kinks) <= MOST_PARTS
    row.settle()
    (total,) = row.combination
    u = np.arange(9) - np.arange(40)[:, None]
    assert (total.array + row.offset == 5 + (2 * np.maximum(u + 1, 0) - 3 * u).sum(0)).all()


def test_a_row_that_leaves_int64_between_its_ends_goes_on_in_python_integers():
    row, node = LazyRow("hump", {}, 0), Node(np.array([[0, 8, 16]]), 0, 16)
    for shift, weight in ((0, 2**60), (-8, -(2**61)), (-16, 2**60)):
        row.add_kink(node, shift, weight)
    row.settle()
    (total,) = row.combination
    assert isinstance(total, Wide)
    assert (total.array + row.offset).tolist() == [[0, 2**63, 0]]


@pytest.mark.parametrize("seed", range(20))
def test_ranges_of_sums_of_relus_are_exact(seed):
    rng = np.random.default_rng(seed)
    lo, hi = sorted(rng.integers(-30, 30, 2).tolist())
    u = np.arange(lo, hi + 1)
    node = Node(u[None], lo, hi)
    kinks = {int(at): int(w) for at, w in rng.integers(-35, 35, (int(rng.integers(1, 9)), 2))}
    total = sum(w * np.maximum(u - at, 0) for at, w in kinks.items())
    assert range_of(kinks, node) == (total.min(), total.max())


@pytest.mark.parametrize("seed", range(20))
def test_bounds_that_follow_the_kinks_of_rows_are_those_of_their_values(seed):
    """Kinks further on, kinks before, an array and an evaluation in between."""
    rng = np.random.default_rng(seed)
    u = np.arange(0, 60)[None]
    node, rows = Node(u, 0, 59), [LazyRow("g", {}, 0), LazyRow("y", {}, 0)]
    rows[0].add_linear({node: 2}, 1)
    follower, own = Follower([(rows[0], 1), (rows[1], -3)]), [2 * u, 0 * u]
    for loop in range(40):
        which, weight = int(rng.integers(2)), int(rng.integers(-3, 4))
        place = loop if rng.random() < 0.8 else int(rng.integers(60))
        rows[which].add_kink(node, -place, weight)
        own[which] = own[which] + weight * np.maximum(u - place, 0)
        if loop % 13 == 12:
            rows[1].settle()
        elif loop % 7 == 6:
            rows[1].add_linear({node: 1}, 1)
            own[1] = own[1] + u
        total = own[0] - 3 * own[1]
        bounds = follower.bounds()
        offset = rows[0].offset - 3 * rows[1].offset
        assert bounds[0] + offset <= total.min() <= total.max() <= bounds[1] + offset
        if loop < 6:
            assert bounds == (total.min(), total.max())


def test_kinks_of_two_arrays_add_up_by_table_and_by_passes():
    u = np.arange(-30, 30).reshape(2, 30)
    for count in (3, 40):  # a few passes, a table
        row = LazyRow("y", {Node(u, -30, 29): 7}, 1)
        expected = 1 + 7 * u
        for array in (u, 3 * u - 5):
            node = Node(array, int(array.min()), int(array.max()))
            for place in range(count):
                weight = (-1) ** place * (place % 5)
                row.add_kink(node, place - 15, weight)
                expected = expected + weight * np.maximum(array + place - 15, 0)
        row.settle()
        (total,) = row.combination
        assert (total.array + row.offset == expected).all()


def test_a_form_is_wide_by_its_values_not_by_loose_bounds_of_its_rows():
    loose = Node(np.array([[-3, 5]]), -(2**62), 2**62)
    form = LazyForm([(LazyRow("y", {loose: 4}, 0), 1)])
    assert form.refresh() == 0
    node = form.node()
    assert isinstance(node, Node)
    assert (node.lo, node.hi, node.array.tolist()) == (-12, 20, [[-12, 20]])


def test_a_row_is_wide_by_its_values_not_by_loose_bounds_of_its_parts():
    loose = Node(np.array([[-3, 5]]), -(2**62), 2**62)
    row = LazyRow("y", {loose: 4}, 0)
    row.add_kink(Node(np.array([[-2, 2]]), -2, 2), 0, 1)
    row.settle()
    (total,) = row.combination
    assert isinstance(total, Node)
    assert (total.array + row.offset).tolist() == [[-12, 22]]


def test_steep_encoders_are_exact_on_lattices_that_cancel_them():
    block = Block(("x",), (), (), {})
    network = Network(block, {"x": Affine({0: 3 * 2**70})}, (({"x": 1}, Fraction(0)),), {}, 1)
    assert exact_output(network, [[[5]]], denominator=2**69).fractions.item() == 30


def test_a_finer_resolution_changes_no_value():
    network = random_network(np.random.default_rng(3), 1)
    inputs = np.arange(6).reshape(3, 2, 1)
    coarse = exact_rows(network, inputs, denominator=6)
    fine = exact_rows(network, inputs, denominator=6, resolution=5 * coarse.resolution)
    assert fine.resolution == 5 * coarse.resolution
    for row in network.block.rows:
        assert (fine.fractions(row) == coarse.fractions(row)).all()


def test_the_smallest_resolution_keeps_encoded_rows_integral():
    network = Network(
        Block(("u", "v"), (), (), {}),
        {"u": Affine({0: 6}), "v": Affine({0: 4}, 1)},
        (({"u": Fraction(1, 2)}, Fraction(1, 3)),),
        {},
        1,
    )
    assert exact_rows(network, [[[1]]], denominator=24).resolution == 12
    assert exact_rows(network, [[[6]], [[12]]], denominator=24).resolution == 2
    assert exact_output(network, [[[1]]], denominator=24).fractions.item() == Fraction(11, 24)
    with pytest.raises(ValueError, match=r"`resolution` must be a multiple of 12.*got 6"):
        exact_rows(network, [[[1]]], denominator=24, resolution=6)


def doubling(loops):
    """y doubles each loop from x on, and takes both signs, so that relu bends on every batch."""
    up = Unit("up", {"y": 1, "x": 1}, 0, {"y": 1})
    down = Unit("down", {"y": -1, "x": -1}, 0, {"y": -1})
    return one_row((up, down), loops=loops)


@pytest.mark.parametrize("loops", [61, 63, 80])
def test_a_row_that_leaves_int64_is_exact(loops):
    last = exact_output(doubling(loops), np.array([[[1]], [[-1]]]), denominator=1)
    assert last.numerators.dtype == (np.int64 if loops == 61 else object)
    assert last.numerators.ravel().tolist() == [2**loops - 1, 1 - 2**loops]


def test_a_form_that_leaves_int64_is_exact():
    network = one_row((Unit("far", {"x": 2**62}, 0, {"y": 1}),))
    found = exact_output(network, [[[-2]], [[2]]], denominator=1)
    assert found.numerators.ravel().tolist() == [0, 3 * 2**63]


def test_numbers_beyond_int64_that_need_no_array_are_exact():
    network = one_row((Unit("far", {"x": 2**70, "one": 2**90}, 0, {"y": 3}),), loops=2)
    inputs = np.array([[[-2], [2]]])
    found = exact_output(network, inputs, denominator=3)
    assert found.numerators.dtype == object
    assert found.fractions.tolist() == [reference_output(network, p) for p in points(inputs, 3)]


@pytest.mark.parametrize("weight", [2**62, 2**70])
def test_an_encoded_row_that_leaves_int64_is_refused(weight):
    block = Block(("x",), (), (), {})
    network = Network(block, {"x": Affine({0: weight})}, (({"x": 1}, Fraction(0)),), {}, 1)
    with pytest.raises(OverflowError, match=r"row 'x'.* bits.*coarser lattice"):
        exact_output(network, [[[3]]], denominator=7)
    if weight == 2**62:
        with pytest.raises(OverflowError, match=r"row 'x', encoded at resolution 9"):
            exact_rows(network, [[[1]]], denominator=1, resolution=9)


@pytest.mark.parametrize(
    "head",
    [
        Head({"x": 1}, {"x": 1}, {"x": 1}, {"y": 1}),
        Head({"one": 1, "y": 1}, {"x": 1}, {"x": 1}, {"y": 1}),
    ],
    ids=["query of x", "query of a head's row"],
)
def test_heads_of_other_kinds_are_refused(head):
    with pytest.raises(ValueError, match=r"head 0 must have a query.*reference"):
        exact_output(one_row((), heads=(head,)), [[[1]]], denominator=1)


@pytest.mark.parametrize("weight", [-1, 0])
def test_a_query_that_is_not_positive_is_refused(weight):
    head = Head({"one": weight}, {"x": 1}, {"x": 1}, {"y": 1})
    with pytest.raises(ValueError, match=rf"query of head 0 .*got {weight} at loop 0"):
        exact_output(one_row((), heads=(head,)), [[[1], [2]]], denominator=1)


@pytest.mark.parametrize(
    ("numerators", "denominator", "message"),
    [
        (np.zeros((0, 2, 1), int), 1, r"`numerators` must have shape .* got \(0, 2, 1\)"),
        (np.zeros((2, 0, 1), int), 1, r"`numerators` must have shape"),
        (np.zeros((2, 1, 2), int), 1, r"d = 1, got \(2, 1, 2\)"),
        (np.zeros((2, 1), int), 1, r"`numerators` must have shape"),
        (np.full((2, 1, 1), 0.5), 1, r"`numerators` must be integers .* float64; put the inputs"),
        (np.zeros((2, 1, 1), int), 0, r"`denominator` must be an integer of at least 1, got 0"),
        (np.zeros((2, 1, 1), int), 2.0, r"`denominator` must be an integer"),
    ],
)
def test_wrong_inputs_are_refused(numerators, denominator, message):
    with pytest.raises(ValueError, match=message):
        exact_output(one_row(()), numerators, denominator=denominator)


@pytest.mark.parametrize("resolution", [0, 1.0, True])
def test_wrong_resolutions_are_refused(resolution):
    with pytest.raises(ValueError, match="`resolution` must be an integer of at least 1"):
        exact_rows(one_row(()), [[[1]]], denominator=1, resolution=resolution)


def test_numerators_beyond_int64_are_refused():
    with pytest.raises(OverflowError, match=r"`numerators` must stay within 2\^62"):
        exact_output(one_row(()), np.full((1, 1, 1), 2**63, np.uint64), denominator=1)


@pytest.mark.parametrize("loops", [3, 50, 1234])
def test_progress_is_reported_at_most_fifty_times_and_ends_at_one(loops):
    heard = []
    exact_output(one_row(()), [[[1]]], denominator=1, loops=loops, report=heard.append)
    assert heard == sorted(set(heard))
    assert heard[-1] == 1.0
    assert min(loops, 25) <= len(heard) <= 50
