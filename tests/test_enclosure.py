"""Enclosures of targets on boxes, and of L^p errors: contained, close, and refused if unknown."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from operator import attrgetter

import numpy as np
import pytest
from scipy.stats import qmc

from cases.targets import EXAMPLES
from looprate.theory.enclosure import (
    Interval,
    box_errors,
    boxes,
    cell_boxes,
    enclose,
    error_integral,
    local_form,
    moments,
    norm_from_integral,
)
from looprate.theory.targets import MeanField, OwnFunction, TokenPower, TokenSine, parse_target

SHAPES = ((1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2))  # (N, d)
ENDS = attrgetter("lower", "upper")
EVALUATION = 1e-12  # rounding of plain float evaluations of targets
P_VALUES = (1.0, 1.5, 2.0, 3.0, 4.0, 5.5, math.inf)
BUDGETED = (
    *("token-power", "token-sine", "context-max", "token-times-mean", "softmax-attention"),
    *("dial:token=0.7,context=0.3,alpha=0.5,center=0.37", "0.5*mean-field + -2*context-max"),
    "smooth-field:features=5,length=1",
)
MORE = ("softmax-attention:beta=20", "smooth-field:nu=0.5,features=9", "token-power:alpha=1.5")


def random_boxes(rng, count, tokens, dim):
    """Boxes of all sizes in the cube, some of them points, some at its corners and at 1/2."""
    side = 10.0 ** rng.uniform(-6, 0, (count, 1, 1)) * (rng.random((count, 1, 1)) < 0.9)
    low = rng.random((count, tokens, dim)) * (1 - side)
    low = np.where(rng.random((count, 1, 1)) < 0.2, np.round(low * 2) / 2, low)
    return low, np.minimum(low + side * rng.random((count, tokens, dim)), 1.0)


def inner_points(rng, low, high, count):
    """Points of the boxes, (count, B, N, d), corners and centres among them."""
    share = rng.random((count, *low.shape))
    share = np.where(rng.random((count, len(low), 1, 1)) < 0.3, np.round(share), share)
    return np.clip(low + (high - low) * share, low, high)


@pytest.mark.parametrize("name", [*EXAMPLES, *MORE])
def test_ranges_and_affine_forms_contain_random_evaluations(name):
    target, rng = parse_target(name), np.random.default_rng(5)
    seen = 0
    for tokens, dim in SHAPES:
        low, high = random_boxes(rng, 120, tokens, dim)
        x = inner_points(rng, low, high, 50)
        form = local_form(target, low, high)
        values = target(x.reshape(-1, tokens, dim)).reshape(x.shape)
        slack = EVALUATION * (1 + np.abs(values))
        assert (values >= form.bounds.lo - slack).all()
        assert (values <= form.bounds.hi + slack).all()
        step = np.moveaxis((x - form.centre).reshape(50, 120, -1), 2, 1)[..., None, None]
        affine = form.value.middle() + (form.gradient * step).sum(1)
        assert (np.abs(values - affine) <= form.remainder + slack).all()
        seen += values.size
    assert seen > 10**5


@pytest.mark.parametrize("name", [*EXAMPLES, *MORE])
def test_points_have_tight_ranges_and_small_boxes_nearly_the_range(name):
    target, rng = parse_target(name), np.random.default_rng(6)
    x = rng.random((50, 3, 2))
    found = enclose(target, x, x)
    assert found.width.max() < 1e-11
    assert np.abs(found.middle() - target(x)).max() < 1e-11
    side = 1e-5
    seen = target(inner_points(rng, x, x + side, 400).reshape(-1, 3, 2)).reshape(400, 50, 3, 2)
    width = enclose(target, x, x + side).width
    typical = np.median(width / np.maximum(np.ptp(seen, axis=0), 1e-12))
    assert typical < 2.5  # sampled ranges fall short of the true ones


def test_remainders_shrink_to_second_order_and_are_infinite_at_a_cusp():
    centre = np.random.default_rng(7).random((40, 2, 1)) * 0.8 + 0.1
    for name in ("smooth-field", "softmax-attention", "token-times-mean", "token-sine"):
        sizes = [
            local_form(parse_target(name), centre - h, centre + h).remainder.sum()
            for h in (2e-3, 1e-3)
        ]
        assert sizes[0] / sizes[1] == pytest.approx(4, rel=0.05)
    cusp = local_form(TokenPower(0.3, 0.5), [[[0.4]]], [[[0.6]]])
    assert np.isinf(cusp.remainder).all()
    assert cusp.gradient == 0
    assert cusp.bounds.lo >= 0
    assert cusp.bounds.hi == pytest.approx(0.1**0.3)


def test_own_functions_are_followed_or_refused():
    def simple(x):
        return np.sin(x) - x.mean(1, keepdims=True) ** 2

    def branching(x):
        return np.where(x > 0.5, x, 1 - x)

    low = np.random.default_rng(8).random((20, 3, 1)) * 0.9
    own = OwnFunction("mine.py:simple", simple)
    for target in (simple, own, 2.0 * own + MeanField(1.0, 1.0)):
        found = enclose(target, low, low + 0.1)
        assert found.contains(Interval(target(low + 0.05))).all()
    with pytest.raises(ValueError, match=r"mine\.py:branching has no rigorous enclosure"):
        enclose(OwnFunction("mine.py:branching", branching), low, low + 0.1)
    with pytest.raises(ValueError, match="must return shape"):
        enclose(lambda x: x.sum(1), low, low + 0.1)
    assert enclose(lambda x: np.full(x.shape, 0.5), low, low + 0.1).contains(0.5 + 0 * low).all()


# -- integrals ---------------------------------------------------------------------------------


def all_cells(grid, tokens, dim):
    indices = np.array(list(itertools.product(range(grid), repeat=tokens * dim)))
    return cell_boxes(indices.reshape(-1, tokens, dim), grid)


def sorted_cells(grid, tokens):
    """Cells of sequences in increasing order, and how many sequences each stands for."""
    rows = list(itertools.combinations_with_replacement(range(grid), tokens))
    count = [len(set(itertools.permutations(row))) for row in rows]
    return *cell_boxes(np.array(rows)[:, :, None], grid), np.array(count)


def linear_moment(y, grid, p):
    """∫_0^1 |y(x) - x|^p dx exactly, y constant on cells, p whole."""
    total = Fraction(0)
    for j, value in enumerate(y):
        low, high, c = Fraction(j, grid), Fraction(j + 1, grid), Fraction(float(value))
        for end, sign in ((high, 1), (low, -1)):
            side = 1 if end >= c else -1
            total += sign * side * abs(end - c) ** (p + 1) / (p + 1)
    return total


@pytest.mark.parametrize("p", [1, 2, 3, 4, 5])
def test_linear_targets_have_their_exact_integrals(p):
    grid, rng = 7, np.random.default_rng(9)
    table = rng.integers(0, 64, grid) / 64
    identity = MeanField(1.0, 0.0)
    low, high = all_cells(grid, 2, 1)
    y = table[np.floor(low * grid + 0.5).astype(int)]
    found = error_integral(identity, low, high, y, p=p, tolerance=1e-6, boxes=20_000)
    truth = 2 * linear_moment(table, grid, p)  # two entries, each integrated over the square
    assert found.converged
    assert Fraction(found.lower) <= truth <= Fraction(found.upper)
    lower, upper = norm_from_integral(found.lower, found.upper, p)
    assert lower <= float(truth) ** (1 / p) <= upper
    assert upper - lower < 1e-6


def test_the_supremum_of_a_linear_error_is_exact():
    low, high = all_cells(5, 2, 1)
    found = error_integral(MeanField(1.0, 0.0), low, high, np.full(low.shape, 0.25), p=math.inf)
    assert found.lower == pytest.approx(0.75, rel=1e-3)
    assert found.lower <= 0.75 <= found.upper
    assert norm_from_integral(found.lower, found.upper, math.inf) == (found.lower, found.upper)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, math.inf])
@pytest.mark.parametrize("name", BUDGETED)
def test_every_budget_contains_a_sobol_estimate(name, p):
    target, grid, tokens = parse_target(name), 4, 2
    low, high = all_cells(grid, tokens, 1)
    y = target(low)
    points = qmc.Sobol(tokens, scramble=True, seed=10).random(2**14).reshape(-1, tokens, 1)
    error = np.abs(target(np.floor(points * grid) / grid) - target(points))
    sampled = error.max() if math.isinf(p) else (error**p).sum((1, 2)).mean()
    noise = (0.2 if math.isinf(p) else 0.01) * sampled + 1e-9  # samples miss the supremum
    last = math.inf
    for most in (1, 200, 1_000):
        found = error_integral(target, low, high, y, p=p, tolerance=1e-3, boxes=most)
        assert found.lower <= sampled + noise
        assert sampled - noise <= found.upper
        assert found.boxes <= max(most, len(low))
        assert found.upper - found.lower <= last * (1 + 1e-9)
        last = found.upper - found.lower
    assert found.upper <= 4 * found.lower + 1e-9


@pytest.mark.parametrize("p", P_VALUES)
def test_boxes_contain_a_fine_quadrature(p):
    """Smooth one-dimensional errors on single boxes, against a million midpoints."""
    rng, count = np.random.default_rng(11), 60
    target = TokenSine(1)
    low = rng.random((count, 1, 1)) * 0.8
    high = low + 10.0 ** rng.uniform(-2.5, -0.7, (count, 1, 1))
    y = target(low + (high - low) * rng.uniform(-0.5, 1.5, (count, 1, 1)))
    lower, upper = ENDS(box_errors(target, low, high, y, p=p))
    share = (np.arange(4001) + 0.5) / 4001
    error = np.abs(y - np.sin(2 * np.pi * (low + (high - low) * share)))
    side = (high - low)[:, 0, 0]
    truth = error.max((1, 2)) if math.isinf(p) else (error**p).mean((1, 2)) * side
    quadrature = 2e-3 * truth if math.isinf(p) else 1e-5 * truth
    assert (lower <= truth + quadrature).all()
    assert (truth - quadrature <= upper).all()
    fine = side < 0.02
    assert np.median((upper - lower)[fine] / truth[fine]) < 0.15


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_the_gap_shrinks_to_second_order_when_boxes_halve(p):
    target = parse_target("smooth-field:features=4,length=1")
    y = Interval(0.3)
    gaps = []
    for grid in (16, 32, 64):
        low, high = all_cells(grid, 2, 1)
        lower, upper = ENDS(box_errors(target, low, high, y.broadcast_to(low.shape), p=p))
        gaps.append((upper - lower).sum())
    assert gaps[0] / gaps[1] == pytest.approx(4, rel=0.2)
    assert gaps[1] / gaps[2] == pytest.approx(4, rel=0.2)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_a_cusp_is_enclosed(p):
    target = TokenPower(0.3, 0.5)  # ∫ (1/2)^0.3-like powers: ∫_0^1 |x-1/2|^{0.3p} dx
    low, high = all_cells(3, 1, 1)
    found = error_integral(target, low, high, np.zeros(low.shape), p=p, tolerance=1e-4)
    q = 0.3 * p
    truth = 0.5**0.3 if math.isinf(p) else 2 * 0.5 ** (q + 1) / (q + 1)
    assert found.lower <= truth * (1 + 1e-12)
    assert truth * (1 - 1e-12) <= found.upper
    assert found.converged


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_weights_are_copies(p):
    target = parse_target("token-times-mean")
    low, high, count = sorted_cells(4, 3)
    y = target(low)
    weighted = error_integral(target, low, high, y, p=p, weights=count, boxes=1)
    copies = [np.repeat(a, count, axis=0) for a in (low, high, y)]
    full = error_integral(target, *copies, p=p, boxes=1)
    assert weighted.lower == pytest.approx(full.lower, rel=1e-12)
    assert weighted.upper == pytest.approx(full.upper, rel=1e-12)
    low, high = all_cells(4, 3, 1)
    cells = error_integral(target, low, high, target(low), p=p, boxes=1)
    assert weighted.upper == pytest.approx(cells.upper, rel=1e-9)  # by equivariance
    none = np.zeros(len(low), dtype=int)
    without = error_integral(target, low, high, target(low), p=p, weights=none)
    assert without.lower <= without.upper < 1e-300


def test_outputs_may_be_intervals_and_only_widen():
    target = TokenSine(1)
    low, high = all_cells(6, 2, 1)
    y = target(low)
    exact = box_errors(target, low, high, y, p=1)
    wide = box_errors(target, low, high, Interval(y - 1e-3, y + 1e-3), p=1)
    assert (wide.lower <= exact.lower).all()
    assert (exact.upper <= wide.upper).all()


def test_cells_are_the_nearest_floats_of_their_corners():
    low, high = cell_boxes(np.arange(49).reshape(-1, 1, 1), 49)
    assert low[0] == 0
    assert high[-1] == 1
    assert (low[1:] == high[:-1]).all()
    for j, value in enumerate(low.ravel().tolist()):
        assert abs(Fraction(value) - Fraction(j, 49)) <= Fraction(math.ulp(value)) / 2


def test_rational_cells_are_contained_where_floats_miss_them():
    """x - 1/49 on [1/49, 2/49]: the float corner misses 1/49, the integral must not."""
    low, high = cell_boxes(np.array([[[1]]]), 49)
    for p in (1, 2, 3):
        lower, upper = ENDS(box_errors(MeanField(1.0, 0.0), low, high, np.zeros((1, 1, 1)), p=p))
        truth = (Fraction(2, 49) ** (p + 1) - Fraction(1, 49) ** (p + 1)) / (p + 1)
        assert Fraction(lower[0]) <= truth <= Fraction(upper[0])
        assert upper[0] / lower[0] - 1 < 1e-12


@pytest.mark.parametrize(
    ("module", "name", "wrong"),
    [
        (boxes, "absolute_moments", lambda right: lambda *a: right(*a) * 0.9),
        (boxes, "absolute_moments", lambda right: lambda *a: right(*a) * 1.1),
        (boxes, "_volumes", lambda right: lambda *a: right(*a) * 1.05),
        (moments, "_integrated", lambda right: lambda *a: right(*a) * 0.95),
    ],
)
def test_a_wrong_formula_is_caught(monkeypatch, module, name, wrong):
    monkeypatch.setattr(module, name, wrong(getattr(module, name)))
    with pytest.raises((AssertionError, ValueError)):
        test_linear_targets_have_their_exact_integrals(3)


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_a_pole_is_never_called_converged(p):
    low, high = all_cells(3, 1, 1)
    found = error_integral(lambda x: 1 / (x - 0.3), low, high, 0 * low, p=p, boxes=300)
    assert not found.converged
    assert found.upper == math.inf
    assert found.lower > 1


def test_wrong_boxes_and_exponents_are_refused():
    target, (low, high) = TokenSine(1), all_cells(2, 1, 1)
    with pytest.raises(ValueError, match=r"shape \(B, N, d\)"):
        enclose(target, low[0], high[0])
    with pytest.raises(ValueError, match="at most `high`"):
        enclose(target, high, low)
    with pytest.raises(ValueError, match="`p`"):
        error_integral(target, low, high, low, p=0.5)
