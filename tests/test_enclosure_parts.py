"""Gains, slopes of maxima, moments, boxes and features against what is known by hand."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, rounding, variables
from looprate.theory.enclosure.boxes import _entry_bounds, cell_boxes
from looprate.theory.enclosure.cosines import pair_cosines
from looprate.theory.enclosure.curved import curved_variables
from looprate.theory.enclosure.gains import Gain, grouped_variables
from looprate.theory.enclosure.integral import _closed, _outward, _share, norm_from_integral
from looprate.theory.enclosure.jets import Jet
from looprate.theory.enclosure.moments import absolute_moments
from looprate.theory.enclosure.rounding import EPS

# -- gains -----------------------------------------------------------------------------------------


def gain_of(f, low, high):
    """The gains (d, N, d) of a function on one box (N, d)."""
    return f(grouped_variables(Interval(np.array([low]), np.array([high])))).gain[:, 0]


def test_gains_are_those_known_by_hand():
    low, high = [[0.1, 0.2], [0.3, 0.4]], [[0.5, 0.6], [0.9, 1.0]]
    eye = np.broadcast_to(np.eye(2)[:, None], (2, 2, 2))
    top = np.array(high)
    mine = eye[0] * top[:, 1:] + eye[1] * top[:, :1]
    assert gain_of(lambda x: x * 3.0 - 1.0, low, high) == pytest.approx(3 * eye)
    assert gain_of(lambda x: -x + x[:, :, ::-1], low, high) == pytest.approx(np.ones((2, 2, 2)))
    product_ = gain_of(lambda x: x * x[:, :, ::-1], low, high)
    assert product_[0] == pytest.approx(np.stack([top[:, 1], top[:, 1]], 1))
    assert product_[1] == pytest.approx(np.stack([top[:, 0], top[:, 0]], 1))
    assert mine.shape == (2, 2)
    assert gain_of(lambda x: np.sin(x) + 0.0, low, high)[0, :, 0] == pytest.approx(
        np.cos(np.array(low)[:, 0])
    )
    quotient = gain_of(lambda x: x / (x[:, :, ::-1] + 1.0), low, high)
    # (1 + |q| ) / least divisor, by groups
    assert quotient[0, 0, 0] == pytest.approx(1 / 1.2)
    assert quotient[1, 0, 0] == pytest.approx(0.5 / 1.2 / 1.2)
    assert gain_of(lambda x: 1.0 / x, low, high)[0, 0, 0] == pytest.approx(1 / 0.1**2)
    total = gain_of(lambda x: x.sum(1, keepdims=True) + x, low, high)
    assert total == pytest.approx(3 * eye)
    weighted = gain_of(lambda x: x @ np.array([[1.0, 2.0], [-3.0, 4.0]]), low, high)
    assert weighted == pytest.approx(
        np.abs(np.array([[1, 2], [-3, 4]]))[:, None] * np.ones((2, 2, 2))
    )


def test_maxima_are_as_steep_as_what_can_be_largest():
    low, high = [[0.1], [0.6]], [[0.3], [0.9]]
    steep = np.array([[10.0], [2.0]])
    assert gain_of(lambda x: (x * steep).max(1), low, high).item() == pytest.approx(10)
    # 10 x - 8 lies below -5, and is never the largest
    shifted = gain_of(lambda x: (x * steep - np.array([[8.0], [0.0]])).max(1), low, high)
    assert shifted.item() == pytest.approx(2)
    pair = gain_of(lambda x: np.maximum(x, 0.5), low, high)
    assert pair.ravel().tolist() == [0.0, 1.0]
    assert gain_of(lambda x: np.maximum(x, 0.2), low, high).ravel().tolist() == [1.0, 1.0]
    assert gain_of(
        lambda x: np.maximum(x * 5.0 - 2.0, x * 2.0), low, high
    ).ravel() == pytest.approx([2.0, 5.0])
    zero = Gain(Interval([-math.inf], [math.inf]), np.zeros((1, 1)))
    assert (zero * zero).gain.item() == 0


def test_gains_are_rounded_up():
    rng = np.random.default_rng(3)
    a, b = (np.abs(rng.standard_normal((1, 400))) * 10.0 ** rng.integers(-9, 9, 400) for _ in "ab")
    u, v = (Gain(Interval(np.sort(rng.standard_normal((2, 400)), 0)[0]), g) for g in (a, b))
    for found, exact in (
        (u + v, lambda k: Fraction(a[0, k]) + Fraction(b[0, k])),
        (
            u * v,
            lambda k: (
                Fraction(a[0, k]) * abs(Fraction(v.value.lo[k]))
                + Fraction(b[0, k]) * abs(Fraction(u.value.lo[k]))
            ),
        ),
    ):
        for k in range(400):
            assert exact(k) <= Fraction(found.gain[0, k]) <= exact(k) * (1 + 16 * Fraction(EPS))


# -- slopes of maxima ------------------------------------------------------------------------------


def test_slopes_of_maxima_are_of_what_can_be_largest():
    low, high = np.array([[[0.1], [0.6]]]), np.array([[[0.3], [0.9]]])
    x = variables(Interval(low, high))
    steep = np.array([[10.0], [2.0]])
    both = (x * steep).max(1).slope
    assert both.lo[:, 0, 0].tolist() == [0.0, 0.0]
    assert both.hi[:, 0, 0].tolist() == pytest.approx([10.0, 2.0])
    one = (x * steep - np.array([[8.0], [0.0]])).max(1).slope
    assert (one.lo[:, 0, 0].tolist(), one.hi[:, 0, 0].tolist()) == ([0, 2.0], [0, 2.0]) or (
        one.hi[:, 0, 0] == pytest.approx([0, 2.0])
    )
    pair = np.maximum(x, 0.5).slope
    assert pair.hi[0, 0, 0].item() == 0
    assert (pair.lo[1, 0, 1].item(), pair.hi[1, 0, 1].item()) == (1.0, 1.0)
    hulls = np.maximum(x * 3.0, x * 2.0 + 0.2).slope
    assert (hulls.lo[0, 0, 0].item(), hulls.hi[0, 0, 0].item()) == pytest.approx((2, 3))
    with pytest.raises(ValueError, match="must have shape"):
        Jet(Interval([1.0]), Interval([1.0]))


# -- moments, boxes, integrals ---------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
def test_moments_of_affine_functions_are_those_of_a_fine_grid(p):
    """|α + u_1 + u_2| by the midpoint rule, far from zero, across it and with a small part."""
    steps, few = ((np.arange(n) + 0.5) / n * 2 - 1 for n in (2000, 400))
    for alpha, a, b in ((0.9, 0.5, 0.3), (0.2, 0.5, 0.3), (0.0, 0.5, 0.0), (3.0, 0.2, 0.001)):
        u = alpha + a * steps[:, None] + b * few[None]
        exact = (np.abs(u) ** p).mean()
        found = absolute_moments(Interval([alpha]), Interval([[a], [b]]), p)
        assert found.lo[0] <= exact * (1 + 1e-5)
        assert found.hi[0] >= exact * (1 - 1e-5)
        assert found.hi[0] - found.lo[0] <= 2e-4 * exact + 1e-9


def test_mean_errors_of_one_entry_by_hand():
    """|α| = 0.5 without parts: the mean is (0.5 ± r)^p, r = R/(p+1)^{1/p}; by the mean R/2."""
    one = np.ones((1, 1, 1))
    nothing = Interval(0 * one)
    alpha, rest = Interval(0.5 * one), Interval(0.1 * one)
    parts = Interval(np.zeros((1, 1, 1, 1)))
    for p in (1.0, 2.0, 3.0):
        r = 0.1 / (p + 1) ** (1 / p)
        lower, upper = _entry_bounds(alpha, parts, rest, nothing, p)
        assert upper.item() == pytest.approx((0.5 + r) ** p)
        assert lower.item() == pytest.approx((0.5 - min(r, 0.05)) ** p)
        shifted = _entry_bounds(alpha, parts, rest, Interval(0.01 * one), p)
        assert shifted[1].item() == pytest.approx((0.51 + r) ** p)
        assert shifted[0].item() == pytest.approx((0.49 - min(r, 0.05)) ** p)
    lower, upper = _entry_bounds(alpha, Interval(0.2 * one[None]), rest, nothing, math.inf)
    assert (lower.item(), upper.item()) == pytest.approx((0.6, 0.8))
    assert upper.item() > 0.8 - 1e-15
    far = _entry_bounds(Interval(0.01 * one), parts, rest, nothing, math.inf)[0]
    assert far.item() == 0


def test_sums_of_boxes_are_moved_outwards_where_a_product_rounds():
    weight, bound = np.array([0.0, 1.0, 3.0, 5.0]), np.array([math.inf, 0.1, 0.1, 0.0])
    with np.errstate(invalid="ignore"):
        low, high = (_outward(weight, bound, move) for move in (rounding.down, rounding.up))
    for found in (low, high):
        assert found[[0, 1, 3]].tolist() == [0.0, 0.1, 0.0]
    assert Fraction(low[2]) < 3 * Fraction(0.1) < Fraction(high[2])
    assert high[2] - low[2] < 8 * EPS


def test_roots_of_integrals_and_when_the_work_is_done():
    low, high = norm_from_integral(8.0, 27.0, 3.0)
    assert (low, high) == pytest.approx((2, 3))
    assert low <= 2
    assert high >= 3
    assert norm_from_integral(0.25, 0.5, math.inf) == (0.25, 0.5)
    assert norm_from_integral(0.0, 0.0, 2.0) == (0.0, 0.0)
    with pytest.raises(ValueError, match="0 <= lower <= upper"):
        norm_from_integral(0.5, 0.25, 2.0)
    assert _closed(0.9, 1.0, 0.1000001)
    assert not _closed(0.9, 1.0, 0.0999)
    assert not _closed(0.0, math.inf, 1.0)
    assert _closed(0.0, 0.0, 0.1)
    assert _share(1.0, 0.25, 0.1) == 0.25
    assert _share(1.0, 0.25, 0.5) == 0.5
    assert _share(0.1, 0.25, 0.5) == 1
    assert _share(math.inf, 0.25, 0.0) == 0
    assert _share(1.0, 0.25, 3.0) == 1


def test_cells_have_the_corners_of_the_grid():
    low, high = cell_boxes(np.array([[[0, 3]]]), 4)
    assert low.ravel().tolist() == [0.0, 0.75]
    assert high.ravel().tolist() == [0.25, 1.0]
    for bad in ([[[0, 4]]], [[[-1, 0]]], [[0, 1]]):
        with pytest.raises(ValueError, match="indices"):
            cell_boxes(np.array(bad), 4)
    for grid in (0, 2**26 + 1):
        with pytest.raises(ValueError, match="`grid` must be from 1"):
            cell_boxes(np.array([[[0]]]), grid)
    with pytest.raises(TypeError, match="integers"):
        cell_boxes(np.array([[[0.0]]]), 4)


def test_cosine_features_and_their_derivatives_are_those_of_the_formula():
    rng = np.random.default_rng(4)
    own, other = rng.standard_normal((2, 2, 3)) * 2
    phase, weight = rng.standard_normal(3), rng.standard_normal((3, 2))

    def plain(x):
        angles = (x @ own)[:, :, None] + (x @ other)[:, None] + phase
        return (np.cos(angles) @ weight).mean(2)

    x = np.random.default_rng(2).random((1, 2, 2)) + 0.1
    found = pair_cosines(curved_variables(Interval(x)), own, other, phase, weight)
    assert np.abs(found.value.middle() - plain(x)).max() < 1e-13
    assert found.value.width.max() < 1e-12
    eye, step = np.eye(4).reshape(4, 1, 2, 2), 1e-4
    slopes = np.stack([(plain(x + step * e) - plain(x - step * e)) / (2 * step) for e in eye])
    assert np.abs(found.jet.slope.middle() - slopes).max() < 1e-6
    pairs = [
        (plain(x + step * (a + b)) - plain(x + step * (a - b)) - plain(x - step * (a - b))
         + plain(x - step * (a + b))) / (4 * step**2)
        for a, b in ((eye[i], eye[j]) for i, j in zip(*np.triu_indices(4), strict=True))
    ]  # fmt: skip
    assert np.abs(found.curvature.middle() - np.stack(pairs)).max() < 1e-5
    assert found.curvature.width.max() < 1e-10
    angles = (x @ own)[:, :, None] + (x @ other)[:, None] + phase
    omega = np.concatenate([own, other])
    steep = [np.abs((np.sin(angles) * part) @ weight).mean(2) for part in omega]
    for half in (1e-2, 1e-3):
        box = Interval(x - half, x + half)
        reach = np.sum(steep, axis=0) * half
        for wide in (box, variables(box)):
            value = pair_cosines(wide, own, other, phase, weight)
            value = getattr(value, "value", value)
            assert (value.hi - plain(x) >= reach * (1 - 10 * half)).all()
            assert (value.hi - plain(x) <= reach + 100 * half**2).all()
            assert (plain(x) - value.lo <= reach + 100 * half**2).all()
            assert (plain(x) - value.lo >= reach * (1 - 10 * half)).all()
    gains = pair_cosines(grouped_variables(box), own, other, phase, weight).gain
    sums = np.abs(slopes).reshape(2, 2, 1, 2, 2)
    assert (gains >= sums.max(0)[:, 0] * (1 - 0.1) - 0.1).all()
    assert (gains <= np.sum(steep, axis=0) * 1.1 + 0.1).all()
