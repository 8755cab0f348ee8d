"""Errors on boxes: every ingredient as its formula says, and the best bound wins."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from cases.boxes import ends, one
from looprate.theory.enclosure import Interval, boxes
from looprate.theory.enclosure.boxes import BoxErrors, box_errors, cell_boxes
from looprate.theory.enclosure.forms import local_form
from looprate.theory.enclosure.rounding import EPS, TINY

CLOSE = 1e-9  # of bounds recomputed with plain floats
P_VALUES = (1.0, 1.5, 2.0, 3.0, math.inf)


# -- what enters the bounds ------------------------------------------------------------------------


def entered(monkeypatch, name, *args, **kwargs):
    """What a function of the module was given, the bounds being taken."""
    seen, right = [], getattr(boxes, name)

    def noted(*given):
        seen.append(given)
        return right(*given)

    with monkeypatch.context() as patch:
        patch.setattr(boxes, name, noted)
        box_errors(*args, **kwargs)
    return seen


def test_boxes_are_widened_by_an_ulp_but_at_0_and_1(monkeypatch):
    low, high = one(0.25, 0.0, 0.5, 1.0, 0.0, -2.0), one(0.75, 0.5, 1.0, 1.0, 0.0, 1.0)
    ((_, left, right),) = entered(
        monkeypatch, "local_form", lambda x: 1.0 * x, low, high, 0 * low, p=1
    )
    ulp = EPS * one(0.75, 0.5, 1.0, 1.0, 0.0, 2.0) + TINY
    keep_low, keep_high = one(0, 1, 0, 1, 1, 0) > 0, one(0, 0, 1, 1, 1, 1) > 0
    assert left.tolist() == np.where(keep_low, low, low - ulp).tolist()
    assert right.tolist() == np.where(keep_high, high, high + ulp).tolist()
    ((half,),) = entered(monkeypatch, "_volumes", lambda x: 1.0 * x, low, high, 0 * low, p=1)
    side = (high - low) / 2
    assert (half.lo <= np.maximum(side - ulp, 0)).all()
    assert (half.lo >= np.maximum(side - ulp - 5 * EPS * side, 0)).all()
    assert (half.hi >= side + ulp).all()
    assert (half.hi <= (side + ulp) * (1 + 5 * EPS) + 2 * TINY).all()


@pytest.mark.parametrize("scale", [1.0, 2.0, 4.0])
def test_what_enters_the_bounds_is_what_the_formulas_say(monkeypatch, scale):
    """3x and x² on [1/4, 3/4], y = 2: α, a_k, R and what the true centre adds."""
    low, high, y = one(0.25), one(0.75), one(2.0)
    for f, value, slope, spread in (
        (lambda x: 3 * x, 1.5, 3.0, 0.0),
        (lambda x: x * x, 0.25, 1.0, 0.5),
        (lambda x: -(x * x), -0.25, 1.0, 0.5),
    ):
        ((alpha, parts, rest, shift, _),) = entered(
            monkeypatch, "_entry_bounds", f, low, high, y, p=2, scale=scale
        )
        for found, wanted in (
            (alpha, 2 - value),
            (parts, slope * 0.25),
            (rest, spread * 0.25),
            (shift, (slope + spread) * 2 * 0.75 * EPS),
        ):
            assert ends(found) == pytest.approx(
                (wanted / scale,) * 2, rel=1e-6, abs=0.0 if wanted else 1e-15
            )
        assert parts.shape == (1, 1, 1, 1)
        assert rest.shape == (1, 1, 1)


def test_sizes_stay_sizes_when_they_are_scaled(monkeypatch):
    """|y - f| that may be 0 is not turned below it by the rounding of a division."""
    answer = Interval(one(0.0), one(2.0))
    (sizes,) = entered(
        monkeypatch, "_entry_bounds", lambda x: 3 * x, one(0.25), one(0.75), answer, p=2, scale=3.0
    )
    assert sizes[0].lo.item() == 0
    assert all(size.lo.min() >= 0 for size in sizes[:4])


def reference(f, low, high, y, p):
    """The three bounds of the mean of |y - f|^p on one box (1, 1, 1), by plain floats."""
    form, h = local_form(f, low, high), (high - low).item() / 2
    alpha, a = abs((y - form.value.middle()).item()), abs(form.gradient.item()) * h
    rest = form.spread.item() * h
    away = abs(Interval(y).plus(-form.bounds))
    out = (away.lo.item(), away.hi.item())
    if math.isinf(p):
        return {"norm": (max(alpha + a - rest, 0), alpha + a + rest), "range": out}
    turn = math.copysign(abs(alpha - a) ** (p + 1), alpha - a)
    moment = ((alpha + a) ** (p + 1) - turn) / (2 * a * (p + 1)) if a else alpha**p
    size, r = moment ** (1 / p), rest / (p + 1) ** (1 / p)
    return {
        "norm": (max(size - r, 0) ** p, (size + r) ** p),
        "range": (out[0] ** p, out[1] ** p),
        "mean": (max(alpha - rest / 2, 0) ** p, math.inf),
    }


CURVES = {  # f, box, y
    "far": (lambda x: x * x, (0.4, 0.6), 5.0),
    "across": (lambda x: x * x, (0.2, 0.9), 0.3),
    "steep": (lambda x: np.exp(3 * x), (0.1, 0.3), 1.0),
    "cusp": (lambda x: np.sqrt(x), (0.0, 0.5), 1.0),
    "bent": (lambda x: np.sin(4 * x), (0.1, 0.7), -0.5),
    "flat": (lambda x: (x - 0.5) ** 2, (0.4, 0.6), -0.25),
    "inside": (lambda x: (x - 0.5) ** 2, (0.25, 0.75), 0.01),
    "rough": (lambda x: np.sin(30 * x), (0.0, 1.0), 1.5),
    "constant": (lambda x: 0 * x + 0.25, (0.0, 0.5), 1.0),
    "tail": (lambda x: x**4, (0.0, 1.0), -0.01),
    "mild": (lambda x: x + 0.2 * x * x, (0.3, 0.6), 0.45),
}


@pytest.mark.parametrize("p", P_VALUES)
def test_the_best_of_the_bounds_is_taken(p):
    winners = set()
    for f, (left, right), value in CURVES.values():
        low, high, y = one(left), one(right), one(value)
        known = reference(f, low, high, y, p)
        below = max(known, key=lambda name: known[name][0])
        above = min(known, key=lambda name: known[name][1])
        winners |= {f"{below} below", f"{above} above"}
        volume = 1 if math.isinf(p) else right - left
        wanted = known[below][0] * volume, known[above][1] * volume
        found = box_errors(f, low, high, y, p=p)
        assert (found.lower.item(), found.upper.item()) == pytest.approx(
            wanted, rel=CLOSE, abs=1e-15
        )
        scaled = box_errors(f, low, high, y, p=p, scale=4.0)
        shrunk = 4.0 if math.isinf(p) else 4.0**p
        assert scaled.lower.item() == pytest.approx(wanted[0] / shrunk, rel=CLOSE, abs=1e-15)
        assert scaled.upper.item() == pytest.approx(wanted[1] / shrunk, rel=CLOSE, abs=1e-15)
        share = (np.arange(2000) + 0.5) / 2000  # and they are bounds
        error = abs(value - f(left + (right - left) * share))
        truth = error.max() if math.isinf(p) else (error**p).mean() * volume
        assert found.lower.item() <= truth * (1 + 1e-3)
        assert truth * (1 - 1e-3) <= found.upper.item()
    assert {"norm below", "norm above", "range below", "range above"} <= winners
    assert (p == 1.0) <= ("mean below" in winners)


@pytest.mark.parametrize("p", P_VALUES)
def test_lines_have_their_exact_errors_to_rounding(p):
    """|y - x| on boxes of the line: integrals by hand, suprema at an end."""
    low, high, y = one(0.0, 0.25, 0.5, 0.125), one(0.5, 0.75, 1.0, 0.125), one(-1.0, 3.0, 0.75, 0.5)
    found = box_errors(lambda x: 1.0 * x, low, high, y, p=p)
    for k, (a, b, c) in enumerate(zip(*(v.ravel().tolist() for v in (low, high, y)), strict=True)):
        if math.isinf(p):
            wanted = max(abs(c - a), abs(c - b))
        else:
            power = lambda e: math.copysign(abs(e) ** (p + 1), e) / (p + 1)  # noqa: E731
            wanted = power(b - c) - power(a - c)
        assert found.lower[k] <= wanted * (1 + EPS)
        assert found.upper[k] >= wanted * (1 - EPS)
        close = 1e-12 if k != 2 or p in (1, 2, 3, math.inf) else 0.2
        assert found.upper[k] - found.lower[k] <= close * wanted + 1e-15


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_entries_are_added_or_the_largest_is_taken(p):
    low, high = np.full((2, 2, 2), 0.25), np.full((2, 2, 2), 0.75)
    high[1] = 0.5
    y = np.array([[[2.0, 3.0], [4.0, 9.0]], [[7.0, 3.0], [8.0, 2.0]]])
    found = box_errors(lambda x: 0 * x + 1.0, low, high, y, p=p)
    wanted = [8, 7] if math.isinf(p) else (abs(y - 1) ** p).sum((1, 2)) * [0.5**4, 0.25**4]
    assert found.lower == pytest.approx(wanted)
    assert found.upper == pytest.approx(wanted)
    assert (found.lower <= wanted).all()
    assert (found.upper >= wanted).all()


def test_bounds_below_nothing_are_nothing():
    """|α| below its remainder: no bound turns its sign and is then squared."""
    nothing = Interval(one(0.0))
    for p in P_VALUES:
        for alpha, rest, part in ((0.1, 1.0, 0.0), (0.1, 5.0, 0.2), (0.0, 0.3, 0.0)):
            lower, upper = boxes._entry_bounds(
                Interval(one(alpha)), Interval(one(part)[None]), Interval(one(rest)), nothing, p
            )
            assert lower.item() == 0
            least = alpha + part + rest if math.isinf(p) else (rest / (p + 1) ** (1 / p)) ** p
            assert upper.item() >= least


def test_volumes_are_products_of_all_sides():
    half = Interval(np.arange(1.0, 9.0).reshape(2, 2, 2), np.arange(1.0, 9.0).reshape(2, 2, 2) + 1)
    volume = boxes._volumes(half)
    assert volume.lo == pytest.approx([16 * 24, 16 * 5 * 6 * 7 * 8])
    assert volume.hi == pytest.approx([16 * 120, 16 * 6 * 7 * 8 * 9])
    assert boxes._volumes(Interval(one(0.5, 2.0))).hi == pytest.approx([1, 4])


def test_boxes_are_cut_where_most_is_to_be_gained():
    def sides(f, low, high, y=0.0):
        low = np.reshape(low, (-1, 2, 1)).astype(float)
        high = np.reshape(high, (-1, 2, 1)).astype(float)
        return box_errors(f, low, high, np.full(low.shape, y), p=2).side.tolist()

    def first(x):
        return x[:, :1] * x[:, :1] + 0.1 * x

    assert sides(first, [0.1, 0.1], [0.5, 0.5]) == [0]
    assert sides(lambda x: first(x[:, ::-1]), [0.1, 0.1], [0.5, 0.5]) == [1]
    assert sides(lambda x: 0 * x + 1.0, [[0, 0], [0, 0]], [[0.5, 0.25], [0.25, 0.5]]) == [0, 1]
    root = lambda x: np.sqrt(x) + 0 * x.sum(1, keepdims=True)  # noqa: E731
    assert sides(root, [[0, 0.0], [0, 0]], [[0.5, 0.25], [0.25, 0.5]]) == [0, 1]
    assert sides(root, [[0, 0.5], [0.5, 0]], [[0.1, 1], [1, 0.1]]) == [0, 1]  # unbounded first


def test_gains_count_remainders_in_full_and_affine_parts_by_their_share():
    low, high = np.zeros((1, 1, 2)), np.array([[[0.5, 0.5]]])

    def side(wobble, alpha, parts):
        wobble = np.reshape(wobble, (2, 1)).astype(float)
        parts = Interval(np.repeat(np.reshape(parts, (2, 1, 1, 1)).astype(float), 2, 3))
        return boxes._side(wobble, Interval(np.full((1, 1, 2), alpha)), parts, low, high).item()

    assert side([1.0, 0.0], 1.0, [0.0, 0.4]) == 0  # 1 against 2 * 0.4 * 0.4
    assert side([0.3, 0.0], 1.0, [0.0, 0.4]) == 1  # 0.3 against 0.32
    assert side([0.7, 0.0], 0.0, [0.0, 0.4]) == 1  # near a zero parts count in full
    assert side([0.9, 0.0], 0.0, [0.0, 0.4]) == 0
    assert side([0.7, 0.0], 0.4, [0.0, 0.4]) == 1
    assert side([0.7, 0.0], 0.5, [0.0, 0.4]) == 0  # 0.7 against 0.64
    assert side([0.0, 0.0], 0.0, [0.0, 0.0]) == 0
    assert side([0.0, math.nan], 0.0, [1e90, 0.0]) == 1
    assert side([math.inf, math.inf], 0.0, [0.0, 0.0]) == 0
    low, high = np.zeros((1, 1, 2)), np.array([[[0.25, 0.5]]])
    assert side([math.inf, math.inf], 0.0, [0.0, 0.0]) == 1
    assert side([1.0, 1.0 - 1e-9], 0.0, [0.0, 0.0]) == 0


# -- chunks and arguments --------------------------------------------------------------------------


@pytest.mark.parametrize(("chunk", "sizes"), [(8, [2, 2, 1]), (3, [1] * 5), (100, [5])])
def test_chunks_do_not_change_the_bounds(monkeypatch, chunk, sizes):
    rng = np.random.default_rng(0)
    low = rng.random((5, 2, 1)) / 2
    high, y = low + 0.25, rng.random(low.shape)
    whole = box_errors(np.sin, low, high, y, p=2)
    seen, right = [], boxes._errors

    def noted(target, low, *rest):
        seen.append(len(low))
        return right(target, low, *rest)

    monkeypatch.setattr(boxes, "CHUNK", chunk)
    monkeypatch.setattr(boxes, "_errors", noted)
    parts = box_errors(np.sin, low, high, y, p=2)
    assert seen == sizes
    for name in ("lower", "upper", "side"):
        assert getattr(parts, name).tolist() == getattr(whole, name).tolist()


def test_no_boxes_have_no_errors():
    none = box_errors(np.sin, *np.zeros((3, 0, 2, 1)), p=2)
    assert isinstance(none, BoxErrors)
    for found in (none.lower, none.upper, none.side):
        assert found.shape == (0,)
    assert none.side.dtype.kind == "i"


def test_answers_may_be_intervals_of_the_shape_of_the_boxes():
    low, high = one(0.0), one(1.0)
    exact = box_errors(lambda x: 0 * x, low, high, Interval(one(1.0), one(2.0)), p=2)
    assert (exact.lower.item(), exact.upper.item()) == pytest.approx((1, 4))
    for bad in (np.zeros((1, 1)), np.zeros((2, 1, 1)), Interval(np.zeros((1, 2, 1)))):
        with pytest.raises(ValueError, match=r"shape of the boxes \(1, 1, 1\)"):
            box_errors(np.sin, low, high, bad, p=2)
    with pytest.raises(ValueError, match="`p`"):
        box_errors(np.sin, low, high, low, p=0.5)


def test_cells_of_every_grid_up_to_the_largest():
    most = boxes.LARGEST_GRID
    assert most == 2**26
    for grid in (1, 2, 3, most):
        low, high = cell_boxes(np.array([[[0]], [[grid - 1]]], dtype=np.uint32), grid)
        assert low.ravel().tolist() == [0, (grid - 1) / grid]
        assert high.ravel().tolist() == [1 / grid, 1]
        assert Fraction(high[0, 0, 0].item()) == Fraction(1 / grid)
    for empty in cell_boxes(np.zeros((0, 2, 1), dtype=int), 4):
        assert empty.shape == (0, 2, 1)
    for bad in (np.array([[[4]]]), np.array([[[0]], [[-1]]]), np.array([[0]])):
        with pytest.raises(ValueError, match="lie from 0 to grid - 1 = 3"):
            cell_boxes(bad, 4)
    for grid in (0, -1, most + 1):
        with pytest.raises(ValueError, match="`grid` must be from 1"):
            cell_boxes(np.array([[[0]]]), grid)
    for bad in (np.array([[[0.0]]]), np.array([[[True]]])):
        with pytest.raises(TypeError, match="`indices` must hold integers"):
            cell_boxes(bad, 4)
