"""Tables of labels: values at centres, padding, means at shared cells, gaps between neighbours."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest

from cases.constructions import (
    ONE_CODE,
    SHAPES,
    cell_tuples,
    make_spec,
)
from looprate.theory.bounds.loop_counts import CODINGS
from looprate.theory.construction.build.contextual import (
    contextual_code,
)
from looprate.theory.construction.build.labels import (
    cell_centres,
    label_table,
)
from looprate.theory.construction.run.oracle import oracle_labels
from looprate.theory.targets import parse_target

WITH_MODULI = (
    "mean-field",
    "mean-field:a=1,b=-1",
    "token-power:alpha=0.5",
    "dial:token=0.8,context=0.2,periods=2",
    "dial:token=0.2,context=0.8,alpha=0.5,center=0.37",
    "context-max",
    "others-mean",
    "token-times-mean",
)


GAP_SHAPES = ((1, 1, 6), (2, 1, 5), (3, 1, 4), (1, 2, 5), (2, 2, 4), (3, 2, 2), (1, 3, 3))


FLOAT_ROUNDING = 1e-9  # relative, of a closed form


def token_and_context(target, spec, p):
    """The right-hand side of the gap, without the unit."""
    radius = {"token": math.sqrt(spec.dim), "contextual": math.sqrt(spec.tokens * spec.dim)}
    shape = {"tokens": spec.tokens, "dim": spec.dim, "p": p}
    return sum(
        target.closed_form(factor / spec.grid, kind=kind, **shape).value
        for kind, factor in radius.items()
    )


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("name", WITH_MODULI)
def test_labels_in_use_hold_the_value_at_the_centres(name, coding):
    target, rng = parse_target(name), random.Random(8)
    for tokens, dim, grid in SHAPES:
        spec = make_spec(tokens, dim, grid, coding=coding)
        table = label_table(target, spec)
        assert table.values.dtype == np.int64
        assert table.unit.numerator == 1
        for cells in rng.sample(list(permutations(range(spec.cells), tokens)), 3):
            centre = [[(z // grid**i % grid + 0.5) / grid for i in range(dim)] for z in cells]
            assert cell_centres(np.array([cells]), spec)[0].tolist() == centre
            exact = target(np.array([centre]))[0]
            for k, values in zip(oracle_labels(cells, spec), exact, strict=True):
                assert table.used[k]
                for coordinate, value in enumerate(values):
                    error = abs(table.value(k)[coordinate] - Fraction(float(value)))
                    # sums over tokens in another order differ by some float64 roundings
                    assert error <= table.unit / 2 + Fraction(1, 10**14)


@pytest.mark.parametrize("coding", CODINGS)
def test_the_unit_gives_the_largest_value_forty_bits(coding):
    for factor in (1e-200, 3.0, 7e150):
        spec = make_spec(2, 1, 3, coding=coding)
        table = label_table(lambda x, factor=factor: factor * (x - 0.9), spec)
        largest = int(np.abs(table.values).max())
        assert 2**39 <= largest <= 2**40
        assert float(table.unit) * largest == pytest.approx(factor * (0.9 - 1 / 6), rel=1e-12)
    zero = label_table(lambda x: 0 * x, make_spec(2, 1, 3))
    assert not zero.values.any()
    assert zero.gaps == [0]


@pytest.mark.parametrize("coding", ONE_CODE)
@pytest.mark.parametrize(("tokens", "dim", "grid"), SHAPES)
def test_padding_is_linear_between_labels_in_use(tokens, dim, grid, coding):
    spec = make_spec(tokens, dim, grid, coding=coding)
    table = label_table(parse_target("dial:token=0.8,context=0.2,periods=2"), spec)
    used = np.flatnonzero(table.used)
    reached = {k for cells in cell_tuples(spec) for k in oracle_labels(cells, spec)}
    assert set(used) <= reached
    assert len(used) == tokens * math.comb(spec.cells, tokens)
    assert used[-1] == spec.last_label
    first = min(k for k in reached if k >= 0)
    assert (table.values[:first] == table.values[first]).all()
    for left, right in pairwise(sorted(k for k in reached if k >= 0)):
        between = table.values[left : right + 1]
        share = (np.arange(right - left + 1) / (right - left))[:, None]
        straight = between[0] + (between[-1] - between[0]) * share
        assert np.abs(between - straight).max() <= 1
        rising = np.sign(between[-1] - between[0])
        assert (np.diff(between, axis=0) * rising >= 0).all()
    assert table.value(-5) == table.value(0)
    assert table.value(spec.last_label + 5) == table.value(spec.last_label)


@pytest.mark.parametrize("coding", ONE_CODE)
@pytest.mark.parametrize(("tokens", "dim", "grid"), [*SHAPES, (4, 1, 4)])
def test_labels_of_shared_cells_hold_the_mean_over_the_inputs_they_stand_for(
    tokens, dim, grid, coding
):
    def target(x):  # not linear in the context: the weights of the mean matter
        return np.sin(5 * x) + x.mean(1, keepdims=True) ** 2

    spec = make_spec(tokens, dim, grid, coding=coding)
    table, found = label_table(target, spec), {}
    for cells in cell_tuples(spec):  # every order of the tokens on its own
        values = target(cell_centres(np.array([cells]), spec))[0]
        pairs = dict(zip(cells, zip(oracle_labels(cells, spec), values, strict=True), strict=True))
        for k, value in pairs.values():  # tokens that share a cell count once
            found.setdefault(k, []).append(value)
    for k, values in found.items():
        if 0 <= k <= spec.last_label and not table.used[k]:
            mean = [float(y) for y in table.value(k)]
            assert mean == pytest.approx(np.mean(values, axis=0).tolist(), abs=1e-11)


@pytest.mark.parametrize(
    ("tokens", "base"), [(2, 5), (3, 2), (3, 5), (4, 2), (4, 5), (5, 3), (6, 4)]
)
def test_the_code_tells_every_set_of_cells_from_every_other(tokens, base):
    """Shared cells included: the cells taken in turn, in order, rise with the code."""
    spec = make_spec(min(tokens, base), 1, base)
    found = {}
    for count in range(1, min(tokens, base) + 1):
        for cells in combinations(range(base), count):
            padded = [*cells, *cells[:1] * (tokens - count)]
            found.setdefault(contextual_code(padded, spec)[0], set()).add(cells)
    assert all(len(sets) == 1 for sets in found.values())


@pytest.mark.parametrize("name", WITH_MODULI)
def test_gaps_of_the_sum_code_stay_below_the_token_and_contextual_moduli(name):
    target = parse_target(name)
    for tokens, dim, grid in GAP_SHAPES:
        spec = make_spec(tokens, dim, grid, coding="sum")
        table = label_table(target, spec)
        for p in (1.0, 2.0, math.inf):
            bound = token_and_context(target, spec, p) * (1 + FLOAT_ROUNDING)
            assert max(map(float, table.gaps)) <= bound + 2 * float(table.unit)


@pytest.mark.parametrize(
    ("name", "share"), [("token-power:alpha=1,center=0", 1.0), ("mean-field:a=1,b=-1", 0.82)]
)
def test_neighbouring_cells_come_close_to_the_gap(name, share):
    """Two tokens change places, one label apart: own token and context each move one cell."""
    target, spec = parse_target(name), make_spec(2, 1, 6, coding="sum")
    bound = token_and_context(target, spec, 2.0)
    assert share * bound * (1 - FLOAT_ROUNDING) <= float(label_table(target, spec).gaps[0])


def test_a_shuffled_table_breaks_the_gap():
    target, spec = parse_target("mean-field"), make_spec(2, 1, 5, coding="sum")
    table = label_table(target, spec)
    np.random.default_rng(9).shuffle(table.values)
    assert float(table.gaps[0]) > 2 * token_and_context(target, spec, 2.0)


def test_without_padding_a_carry_breaks_the_gap():
    """Labels U s + z in place of V s + z_pad: at a carry b_0 falls by m - 1 over one label."""
    target, spec = parse_target("token-power:alpha=1,center=0"), make_spec(1, 2, 6, coding="sum")
    centres = cell_centres(np.arange(spec.cells)[:, None], spec)
    steps = np.abs(np.diff(target(centres)[:, 0], axis=0)).max()
    assert steps > token_and_context(target, spec, math.inf)
    assert max(label_table(target, spec).gaps) < token_and_context(target, spec, math.inf)


def test_the_rank_code_has_no_such_gap():
    target, spec = parse_target("mean-field"), make_spec(2, 1, 8)
    assert float(label_table(target, spec).gaps[0]) > token_and_context(target, spec, 2.0)


def test_tables_of_one_label_are_constant():
    table = label_table(parse_target("mean-field"), make_spec(1, 1, 1))
    assert table.gaps == [0]
    assert table.value(7) == table.value(0) == [1]
    assert table.ranges == [(1, 1)]


def test_tables_refuse_what_they_cannot_hold():
    with pytest.raises(ValueError, match="at most 2097152 labels"):
        label_table(parse_target("mean-field"), make_spec(3, 2, 16))
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="`target` must return finite values"):
            label_table(lambda x, bad=bad: np.where(x > 0.6, bad, x), make_spec(2, 1, 3))
    with pytest.raises(ValueError, match=r"`target` must map shape \(3, 2, 1\) to itself"):
        label_table(lambda x: x[..., 0], make_spec(2, 1, 3))
