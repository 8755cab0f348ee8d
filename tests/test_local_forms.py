"""Affine forms of functions on boxes: by hand, at their ends, and what has none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cases.boxes import ends, one
from looprate.theory.enclosure import Interval, variables
from looprate.theory.enclosure.deadline import OutOfTimeError
from looprate.theory.enclosure.forms import check_boxes, directions, enclose, evaluated, local_form
from looprate.theory.enclosure.rounding import EPS, TINY


def test_forms_of_a_square_and_of_a_product_by_hand():
    form = local_form(lambda x: x * x, one(0.2), one(0.6))
    assert form.centre.item() == pytest.approx(0.4)
    assert ends(form.value) == pytest.approx((0.16, 0.16))
    assert form.value.width < 1e-15
    assert (form.gradient.item(), form.spread.item()) == pytest.approx((0.8, 0.4))
    assert form.remainder.item() == pytest.approx(0.4 * 0.2)
    assert ends(form.bounds) == pytest.approx((0.04, 0.36))  # by the values
    form = local_form(lambda x: x * (1 - x), one(0.2), one(0.6))
    assert ends(form.bounds) == pytest.approx((0.24 - 0.12, 0.24 + 0.12))  # by the slopes
    assert (form.gradient.item(), form.spread.item()) == pytest.approx((0.2, 0.4))
    assert enclose(lambda x: x * x, one(0.2), one(0.6)).hi.item() == pytest.approx(0.36)


def test_forms_have_one_row_for_each_direction():
    low, high = np.zeros((2, 2, 2)), np.ones((2, 2, 2))
    high[1] = 0.5
    form = local_form(lambda x: x[:, :, ::-1] * 3.0 + x.sum(1, keepdims=True), low, high)
    assert form.gradient.shape == form.spread.shape == (4, 2, 2, 2)
    swap, total = np.zeros((4, 2, 2)), np.zeros((4, 2, 2))
    for n in range(2):
        for i in range(2):
            swap[2 * n + i, n, 1 - i] = 3
            total[2 * n + i, :, i] = 1
    assert np.abs(form.gradient - (swap + total)[:, None]).max() < 1e-14
    assert form.remainder.max() < 1e-13
    values = Interval(np.arange(8.0).reshape(2, 2, 2))
    rows = directions(values)
    assert rows.shape == (4, 2, 1, 1)
    assert rows.lo[:, 0].ravel().tolist() == [0, 1, 2, 3]
    assert rows.lo[:, 1].ravel().tolist() == [4, 5, 6, 7]


def test_remainders_add_over_directions():
    form = local_form(lambda x: (x * x).sum(1, keepdims=True) + 0 * x, *np.ones((2, 1, 3, 1)))
    assert form.remainder.max() < 1e-13
    low, high = np.array([[[0.0], [0.0]]]), np.array([[[1.0], [0.5]]])
    form = local_form(lambda x: (x * x).sum(1, keepdims=True) + 0 * x, low, high)
    assert form.spread[:, 0, 0, 0] == pytest.approx([1, 0.5])
    assert form.remainder[0, 0, 0] == pytest.approx(1 * 0.5 + 0.5 * 0.25)


def test_slopes_without_a_bound_leave_no_gradient():
    for f, low, high in (
        (np.sqrt, 0.0, 0.25),
        (lambda x: -np.sqrt(x), 0.0, 0.25),
        (lambda x: abs(x - 0.5) ** 0.5, 0.4, 0.6),
    ):
        form = local_form(f, one(low), one(high))
        assert form.gradient.item() == 0
        assert form.spread.item() == math.inf
        assert form.remainder.item() == math.inf
        assert np.isfinite(ends(form.bounds)).all()


@pytest.mark.parametrize(
    "constant", [3.0, 2, np.array([[[1.5]]]), Interval(np.full((2, 1, 1), 4.0))]
)
def test_constants_have_neither_slope_nor_remainder(constant):
    form = local_form(lambda x: constant, one(0.1, 0.2), one(0.3, 0.4))
    value = np.asarray(getattr(constant, "lo", constant))
    assert form.bounds.lo.tolist() == np.broadcast_to(value, (2, 1, 1)).tolist()
    assert form.gradient.shape == (1, 2, 1, 1)
    assert not form.gradient.any()
    assert form.remainder.max() <= 1e-300


def test_centres_lie_in_their_boxes():
    low, high = one(TINY, 1e308, 0.1, -1.0), one(TINY, 1.7e308, 0.1 + EPS / 8, 3.0)
    form = local_form(lambda x: 1.0 * x, low, high)
    assert ((low <= form.centre) & (form.centre <= high)).all()
    assert form.centre.ravel()[[0, 3]].tolist() == [TINY, 1.0]
    assert form.centre.ravel()[1] == pytest.approx(1.35e308)


def test_corners_are_arrays_of_boxes():
    low, high = check_boxes([[[0]]], [[[0]]])
    assert low.dtype == high.dtype == np.float64
    for bad in (([[0.0]], [[1.0]]), ([[[0.0]]], [[[1.0], [1.0]]])):
        with pytest.raises(ValueError, match=r"both of shape \(B, N, d\)"):
            check_boxes(*bad)
    for left, right in ((1.0, 0.5), (-math.inf, 0.0), (0.0, math.inf), (math.nan, 1.0)):
        with pytest.raises(ValueError, match="both finite"):
            check_boxes(one(0.0, left), one(1.0, right))


def test_functions_are_followed_on_a_copy_and_their_failures_named():
    def changing(x):
        x += 1.0
        return x

    box = Interval(one(0.25))
    assert evaluated(changing, box).lo.item() == pytest.approx(1.25)
    assert box.lo.item() == 0.25

    def late(x):
        raise OutOfTimeError

    with pytest.raises(OutOfTimeError):
        evaluated(late, box)

    class Named:
        name = "mine"

        def __call__(self, x):
            raise KeyError("lost")

    with pytest.raises(ValueError, match="`target` mine has no rigorous enclosure: 'lost'"):
        evaluated(Named(), box)
    with pytest.raises(ValueError, match="`target` <lambda> must return an enclosure, a Interval"):
        evaluated(lambda x: "text", box)
    with pytest.raises(ValueError, match=r"must return shape \(1, 1, 1\), got \(1, 1\)"):
        evaluated(lambda x: x.sum(1), box)
    assert evaluated(lambda x: 2.0, variables(box)).shape == (1, 1, 1)
    with np.errstate(all="raise"):  # whatever the user set
        assert evaluated(lambda x: x * 1e308 * 10.0, box).hi.item() == math.inf
