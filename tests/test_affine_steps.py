"""Affine forms one step at a time: centres, coefficients, symbols and remainders by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cases.affine_boxes import CENTRE, HALF, HIGH, LOW, NEAR, inputs
from looprate.theory.enclosure import Interval, affine, intervals
from looprate.theory.enclosure.affine import SLACK, SMALL, Affine, affine_variables
from looprate.theory.enclosure.rounding import EPS


def made(centre, coef, rest, value=None):
    """Forms of one box from their parts, with fresh symbols."""
    centre, coef, rest = (np.asarray(x, dtype=float) for x in (centre, coef, rest))
    symbols = affine._Symbols(len(coef), len(coef))
    return Affine(symbols, np.zeros(centre.shape, dtype=int), centre, coef, rest, value)


def forms_of(found, entry=(0, 0, 0)):
    """Centre, coefficients and remainder of one entry."""
    return found.centre[entry], found.coef[(slice(None), *entry)].tolist(), found.rest[entry]


# -- parts -----------------------------------------------------------------------------------------


def test_inputs_have_a_symbol_each_and_no_remainder():
    x = inputs()
    assert x.centre.tolist() == CENTRE.tolist()
    eye = np.eye(2).reshape(2, 1, 2, 1)
    assert x.coef.tolist() == (eye * HALF * (1 + SLACK)).tolist()
    assert x.rest.tolist() == np.zeros(LOW.shape).tolist()
    assert x.box[:, :, 0].tolist() == [[0, 0], [1, 1]]
    assert (x.symbols.inputs, x.symbols.count) == (2, 2)
    assert (x.value.lo.tolist(), x.value.hi.tolist()) == (LOW.tolist(), HIGH.tolist())
    low, high = np.full((1, 1, 1), 5e-324), np.full((1, 1, 1), 5e-324)
    point = affine_variables(Interval(low, high))
    assert point.centre.item() == 5e-324
    assert point.coef.item() == 0
    tall = affine_variables(Interval(np.full((1, 1, 1), 1e308), np.full((1, 1, 1), 1.7e308)))
    assert tall.centre.item() == pytest.approx(1.35e308)
    skew = affine_variables(Interval(np.ones((1, 1, 1)), np.ones((1, 1, 1)) + 3 * EPS))
    reach = max(skew.centre.item() - 1, 1 + 3 * EPS - skew.centre.item())
    assert skew.coef.item() == reach * (1 + SLACK)


def test_ranges_are_centres_and_sizes_of_terms_rounded_outwards():
    form = made([3.0, 0.0], [[1.0, 0.5], [-2.0, 0.25]], [0.5, 0.0])
    assert form.size_of_terms.tolist() == [3 * (1 + 8 * EPS), 0.75 * (1 + 8 * EPS)]
    radius = (form.size_of_terms + form.rest) * (1 + SLACK) + SMALL
    assert form.radius.tolist() == radius.tolist()
    reach = radius + (EPS * np.array([3.0, 0.0]) + SMALL)
    assert form.value.lo.tolist() == (form.centre - reach).tolist()
    assert form.value.hi.tolist() == (form.centre + reach).tolist()
    nothing = made([0.0], [[0.0]], [0.0])
    assert (nothing.radius[0], nothing.value.hi[0]) == (SMALL, 2 * SMALL)
    known = made([3.0], [[2.0]], [0.0], Interval([2.0], [9.0]))
    assert (known.value.lo[0], known.value.hi[0]) == (2, pytest.approx(5))


@pytest.mark.parametrize("wrong", ["centre", "rest", "coef"])
@pytest.mark.parametrize("number", [math.inf, math.nan])
def test_what_is_unbounded_keeps_its_range_alone(wrong, number):
    parts = {"centre": [1.0, 2.0], "rest": [0.5, 0.5], "coef": [[1.0, 1.0]]}
    parts[wrong] = [[number, 1.0]] if wrong == "coef" else [number, parts[wrong][1]]
    with np.errstate(invalid="ignore"):
        form = made(parts["centre"], parts["coef"], parts["rest"], Interval([0.0, 0.0], [3.0, 9.0]))
    assert form.centre.tolist() == [0, 2]
    assert form.coef.tolist() == [[0, 1]]
    assert form.rest.tolist() == [math.inf, 0.5]
    assert form.size_of_terms[0] == 0
    assert (form.value.lo[0], form.value.hi[0]) == (0, 3)
    assert (form.value.lo[1], form.value.hi[1]) == pytest.approx((0.5, 3.5))


def test_common_parts_are_those_of_the_second_where_rounding_leaves_nothing():
    a, b = (
        Interval([0.0, 0.0, 2.0, 5.0], [1.0, 1.0, 3.0, 6.0]),
        Interval([0.5, 1.0, 0.0, 2.0], [2.0, 3.0, 1.0, 9.0]),
    )
    found = affine._common(a, b)
    assert found.lo.tolist() == [0.5, 1.0, 0.0, 5.0]
    assert found.hi.tolist() == [1.0, 1.0, 1.0, 6.0]


def test_ranks_count_earlier_entries_of_a_box():
    for boxes, ranks in (
        ([3, 1, 3, 1, 1], [0, 0, 1, 1, 2]),
        ([0, 0, 0], [0, 1, 2]),
        ([2, 1, 0], [0, 0, 0]),
        ([], []),
        ([5], [0]),
    ):
        assert affine._rank(np.array(boxes, dtype=int)).tolist() == ranks
    box = np.array([[0, 0, 0], [1, 1, 1]])
    assert affine._same_box(box, 1).tolist() == [[0], [1]]
    with pytest.raises(TypeError, match="mixes different inputs"):
        affine._same_box(box, 0)
    lifted = intervals.lifted(np.zeros((5, 2, 3)), 4)
    assert lifted.shape == (5, 1, 1, 2, 3)
    assert affine._size(np.array([[1.0], [-2.0]])).tolist() == [3 * (1 + 8 * EPS)]


# -- sums and products -----------------------------------------------------------------------------


def test_sums_add_parts_and_their_remainder_is_of_rounding():
    x = inputs()
    for found, centre, coef, radii in (
        (x + 3.0, CENTRE + 3, x.coef, x.radius),
        (x + x, 2 * CENTRE, 2 * x.coef, 2 * x.radius),
        (
            x - x[:, ::-1],
            CENTRE - CENTRE[:, ::-1],
            x.coef - x.coef[:, :, ::-1],
            x.radius + x.radius[:, ::-1],
        ),
    ):
        assert found.centre.tolist() == centre.tolist()
        assert found.coef.tolist() == coef.tolist()
        assert found.rest == pytest.approx(SLACK * (np.abs(centre) + radii), rel=NEAR, abs=0)
        assert found.symbols is x.symbols
    assert (x - x).value.width.max() < 100 * EPS
    wide = x + Interval(np.full(LOW.shape, 1.0), np.full(LOW.shape, 2.0))
    assert wide.centre.tolist() == (CENTRE + 1.5).tolist()
    assert wide.rest == pytest.approx(np.full(LOW.shape, 0.5))
    assert wide.value.lo == pytest.approx(LOW + 1)
    assert wide.value.hi == pytest.approx(HIGH + 2)
    twice = wide + wide
    assert twice.rest == pytest.approx(np.ones(LOW.shape))
    assert (1.0 - x).centre.tolist() == (1 - CENTRE).tolist()


def test_forms_with_more_and_fewer_symbols_are_paired():
    x = inputs()
    bent = x * x  # two more symbols a box
    assert (len(x.coef), len(bent.coef)) == (2, 4)
    for found in (x + bent, bent + x):
        assert found.coef[:2].tolist() == (x.coef + bent.coef[:2]).tolist()
        assert found.coef[2:].tolist() == bent.coef[2:].tolist()
    for found in (x * bent, bent * x):
        wanted = x.coef * bent.centre + bent.coef[:2] * x.centre
        assert found.coef[:2] == pytest.approx(wanted)
        assert found.coef[2:4] == pytest.approx(bent.coef[2:] * x.centre)
    assert x.symbols.count == 8  # two more for each product
    one = affine_variables(Interval(LOW[:1], HIGH[:1]))
    spread = one + one[0, 0]  # axes are put in
    assert spread.centre.tolist() == (CENTRE[:1] + CENTRE[0, 0]).tolist()
    assert spread.coef.tolist() == (one.coef + one.coef[:, 0, 0].reshape(2, 1, 1, 1)).tolist()
    spread = one[0, 0] * one
    assert spread.value.hi == pytest.approx(HIGH[:1] * HIGH[0, 0])


def test_products_miss_what_the_radii_come_to():
    x = inputs()
    y = x[:, ::-1] + 0.0
    linear, missed = x._product(y)
    other, far = CENTRE[:, ::-1], HALF[:, ::-1]
    assert linear.centre.tolist() == (CENTRE * other).tolist()
    wanted = x.coef * other + x.coef[:, :, ::-1] * CENTRE
    assert linear.coef == pytest.approx(wanted, rel=1e-14)
    assert missed == pytest.approx(HALF * far, rel=1e-13)
    assert (missed >= HALF * far).all()
    size = np.abs(CENTRE * other) + np.abs(CENTRE) * far + HALF * np.abs(other)
    rest = y.rest * np.abs(CENTRE) + SLACK * size
    assert linear.rest == pytest.approx(rest, rel=NEAR, abs=0)
    found = x * y
    assert found.coef[2:4, 0, :, 0] == pytest.approx(np.diag((HALF * far)[0, :, 0]))
    assert found.coef[2:4, 1, :, 0] == pytest.approx(np.diag((HALF * far)[1, :, 0]))
    assert found.rest.tolist() == linear.rest.tolist()
    assert found.symbols.count == 4


def test_products_with_numbers_scale_and_make_no_symbols():
    x = inputs()
    for factor in (-3.0, 0.0, np.array([[2.0], [-0.5]])):
        found = x * factor
        assert found.centre.tolist() == (CENTRE * factor).tolist()
        assert found.coef.tolist() == (x.coef * factor).tolist()
        size = np.abs(factor) * (np.abs(CENTRE) + x.radius)
        assert found.rest == pytest.approx(SLACK * size + SMALL, rel=NEAR, abs=0)
        assert found.size_of_terms == pytest.approx(np.abs(factor) * HALF, rel=1e-13, abs=1e-299)
        assert len(found.coef) == 2
    wide = x * Interval(np.full(LOW.shape, 1.0), np.full(LOW.shape, 2.0))
    assert wide.centre.tolist() == (CENTRE * 1.5).tolist()
    assert wide.rest == pytest.approx(0.5 * np.abs(CENTRE))
    assert wide.coef[2:4].sum(0) == pytest.approx(0.5 * HALF)
    again = (x + Interval(np.full(LOW.shape, -0.25), np.full(LOW.shape, 0.25))) * -2.0
    assert again.rest == pytest.approx(np.full(LOW.shape, 0.5))


def test_quotients_are_products_with_inverses():
    x = inputs()
    for found, exact in (
        (x / 4.0, (LOW / 4, HIGH / 4)),
        (x / Interval(np.full(LOW.shape, 2.0), np.full(LOW.shape, 4.0)), None),
        (2.0 / (x + 1.0), (2 / (HIGH + 1), 2 / (LOW + 1))),
    ):
        if exact is None:
            assert (found.value.lo <= np.minimum(LOW / 4, LOW / 2)).all()
            assert (found.value.hi >= HIGH / 2).all()
            assert found.centre == pytest.approx(CENTRE * 0.375)
            assert found.rest == pytest.approx(np.abs(CENTRE) * 0.125)
        else:
            assert found.value.lo == pytest.approx(exact[0])
            assert found.value.hi == pytest.approx(exact[1])
    same = (x + 1.0) / (x + 1.0)
    assert (same.value.lo <= 1).all()
    assert (same.value.hi >= 1).all()
    assert same.value.width[0].max() < 0.3  # intervals would say 0.5 and more
    quarter = x / 4.0
    assert quarter.coef[:2].tolist() == (x.coef / 4).tolist()
    assert np.abs(quarter.coef[2:]).max() < 4 * EPS  # of the division


# -- products with matrices ------------------------------------------------------------------------

WEIGHTS = np.array([[1.0, -2.0], [0.5, 3.0]])


def test_matrices_of_numbers_act_on_every_part():
    x = inputs().swapaxes(1, 2)  # (2, 1, 2)
    given = x + Interval(np.full(x.shape, -0.125), np.full(x.shape, 0.125))
    centre = CENTRE.swapaxes(1, 2)
    found = given @ WEIGHTS
    assert found.centre == pytest.approx(centre @ WEIGHTS)
    assert found.coef == pytest.approx(given.coef @ WEIGHTS)
    assert found.rest == pytest.approx(np.full(centre.shape, 0.125) @ np.abs(WEIGHTS))
    assert len(found.coef) == 2
    exact = x @ WEIGHTS
    most = (np.abs(centre) + HALF.swapaxes(1, 2)) @ np.abs(WEIGHTS)
    assert exact.rest == pytest.approx(4 * SLACK * most, rel=NEAR, abs=0)
    turned = WEIGHTS @ inputs()
    assert turned.centre == pytest.approx(WEIGHTS @ CENTRE)
    assert turned.coef == pytest.approx(WEIGHTS @ inputs().coef)
    assert turned.shape == (2, 2, 1)
    assert len(turned.coef) == 2
    with np.errstate(over="raise", invalid="raise"):  # overflow is seen in the ends
        huge = affine_variables(Interval(np.full((1, 1, 2), 1e200), np.full((1, 1, 2), 2e200)))
        huge = huge @ np.full((2, 2), 1e200)
    assert (huge.value.hi == math.inf).all()
    assert (huge.rest == math.inf).all()
    tall = x @ np.ones((2, 3))
    assert tall.shape == (2, 1, 3)
    assert tall.box[:, 0].tolist() == [[0] * 3, [1] * 3]


def test_matrices_of_intervals_and_of_forms_make_one_symbol_a_sum():
    x = inputs().swapaxes(1, 2)
    centre, half = CENTRE.swapaxes(1, 2), HALF.swapaxes(1, 2)
    wide = Interval(WEIGHTS - 0.25, WEIGHTS + 0.25)
    turned = x.swapaxes(1, 2).matrix(wide.swapaxes(0, 1), left=True)
    for found in (x @ wide, turned.swapaxes(1, 2)):
        assert found.centre == pytest.approx(centre @ WEIGHTS)
        assert found.coef[:2] == pytest.approx(x.coef @ WEIGHTS)
        assert found.coef[2:].sum(0) == pytest.approx(half @ np.full((2, 2), 0.25))
        assert found.rest == pytest.approx(np.abs(centre) @ np.full((2, 2), 0.25))
        assert np.count_nonzero(found.coef[2:]) == 4  # one for each entry
    stacked = x @ np.broadcast_to(WEIGHTS, (2, 2, 2))
    assert stacked.centre == pytest.approx(centre @ WEIGHTS)
    assert stacked.value.hi == pytest.approx((x @ WEIGHTS).value.hi)
    for found in (x @ x.swapaxes(1, 2), np.matmul(x, inputs_of(x))):
        assert found.shape == (2, 1, 1)
        assert found.centre.ravel() == pytest.approx((centre**2).sum((1, 2)))
        assert found.coef[2:].sum(0).ravel() == pytest.approx((half**2).sum((1, 2)))
        assert np.count_nonzero(found.coef[2:]) == 2
    outer = x.swapaxes(1, 2) @ x
    assert outer.centre == pytest.approx(centre.swapaxes(1, 2) @ centre)
    assert np.count_nonzero(outer.coef[2:]) == 8


def inputs_of(x):
    return x.swapaxes(2, 1)


# -- reductions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("keepdims", [True, False])
def test_sums_over_axes_add_parts_and_count_their_rounding(keepdims):
    x = inputs()
    found = x.sum(1, keepdims=keepdims)
    assert found.shape == ((2, 1, 1) if keepdims else (2, 1))
    assert found.centre.ravel().tolist() == CENTRE.sum((1, 2)).tolist()
    assert found.coef.reshape(2, 2).tolist() == x.coef.sum(2).reshape(2, 2).tolist()
    size = (np.abs(CENTRE) + HALF).sum((1, 2))
    assert found.rest.ravel() == pytest.approx(2 * SLACK * size, rel=NEAR, abs=0)
    assert found.value.hi.ravel() == pytest.approx(HIGH.sum((1, 2)))
    assert found.box.ravel().tolist() == [0, 1]
    wide = x + Interval(np.full(LOW.shape, -0.5), np.full(LOW.shape, 0.5))
    assert wide.sum(1, keepdims=keepdims).rest.ravel() == pytest.approx([1.0, 1.0])
    most = x.max(1, keepdims=keepdims)
    assert most.shape == found.shape
    assert most.value.lo.ravel() == pytest.approx([1.0, 2.0])
    assert most.value.hi.ravel() == pytest.approx([1.5, 4.0])
    three = affine_variables(Interval(*np.reshape([0.1, 0.5, 0.2, 0.3, 0.9, 0.6], (2, 1, 3, 1))))
    most = three.max(1, keepdims=keepdims)
    assert most.value.lo.ravel() == pytest.approx([0.5])
    assert most.value.hi.ravel() == pytest.approx([0.9])
    assert three.min((1, 2)).value.hi.ravel() == pytest.approx([0.3])


def test_means_of_squares_by_hand():
    """((c + h ξ)²) lies h²/2 about c² + h²/2 + 2 c h ξ."""
    x = inputs()
    found = x.mean_square(1)
    assert found.shape == (2, 1, 1)
    assert found.centre.ravel() == pytest.approx((CENTRE**2 + HALF**2 / 2).mean((1, 2)))
    wanted = (2 * CENTRE * HALF / 2)[:, :, 0].T
    assert found.coef[:2, :, 0, 0] == pytest.approx(wanted)
    assert found.coef[2].ravel() == pytest.approx((HALF**2 / 2).mean((1, 2)))
    most = (x._product(x)[1] / 2).sum((1, 2)) * (1 + 2 * SLACK)
    assert found.coef[2].ravel() == pytest.approx(most / 2, rel=2 * EPS, abs=0)
    assert found.coef[3:].max(initial=0) < 10 * EPS  # of the division
    assert found.rest.max() < 500 * EPS
    last = x.mean_square(-1)
    assert last.centre == pytest.approx(CENTRE**2 + HALF**2 / 2)
    across = affine_variables(Interval(-np.ones((1, 1, 2)), np.ones((1, 1, 2)))).mean_square(2)
    assert across.value.lo.item() >= -1e-14  # squares are
    assert across.value.hi.item() == pytest.approx(1)
    pole = 1 / (affine_variables(Interval(-np.ones((1, 1, 2)), np.ones((1, 1, 2)))) + 0.5)
    assert pole.mean_square(2).value.hi.item() == math.inf
    assert pole.mean_square(2).rest.item() == math.inf
