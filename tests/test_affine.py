"""Affine forms: nothing outside, second order, symbols of each box its own, honest refusals."""

import math
from fractions import Fraction

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, affine
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.rounding import EPS
from looprate.theory.targets import parse_target

ROUNDING = 1e-12  # of float64 evaluations at sampled points
NAMES = [
    "token-sine",
    "mean-field:a=1,b=0.5",
    "context-max",
    "dial:token=0.5,context=0.5,periods=2",
]


def smooth(x):
    y = np.exp(x * 0.5) / (1.2 - x.mean(1, keepdims=True)) + np.sqrt(x + 0.3) * np.cos(3 * x)
    return np.tanh(y @ np.array([[1.0, -2.0], [0.5, 1.5]])) - (x + 1.0) ** 1.5 + x**3


def kinked(x):
    inner = np.abs(x - 0.4) - np.maximum(x, x.mean(1, keepdims=True)) * x.max(2, keepdims=True)
    return np.clip(inner @ x.swapaxes(1, 2) @ x, -0.3, 0.4) - inner.min(1, keepdims=True)


FUNCTIONS = {
    "smooth": smooth,
    "kinked": kinked,
    **{name: parse_target(name) for name in NAMES},
}


def boxes(half, *, count=12, shape=(3, 2), seed=0):
    centre = half + (1 - 2 * half) * np.random.default_rng(seed).random((count, *shape))
    return Interval(centre - half, centre + half)


def sampled(f, box, *, points=60, seed=1):
    """Points (P, B, N, d), corners among them, and what f does there."""
    share = np.random.default_rng(seed).random((points, *box.shape))
    share[::2] = share[::2].round()
    x = box.lo + share * (box.hi - box.lo)
    return x, f(x.reshape(-1, *box.shape[1:])).reshape(x.shape)


@pytest.fixture(params=FUNCTIONS)
def function(request):
    return FUNCTIONS[request.param]


@pytest.mark.parametrize("half", [0.2, 0.05, 1e-3])
def test_values_lie_in_range_and_linear_form(function, half):
    box = boxes(half)
    found = function(affine_variables(box))
    x, y = sampled(function, box)
    assert (found.value.lo <= y + ROUNDING).all()
    assert (found.value.hi >= y - ROUNDING).all()
    value, gradient, rest = found.linear((box.hi - box.lo).reshape(len(box), -1) / 2)
    step = (x - (box.lo / 2 + box.hi / 2)).reshape(len(x), len(box), -1)
    linear = value + np.einsum("pbk,kbnd->pbnd", step, gradient)
    assert (np.abs(y - linear) <= rest + ROUNDING).all()


def test_the_remainder_is_of_second_order():
    rests = []
    for half in (1e-2, 1e-3):
        box = boxes(half)
        found = smooth(affine_variables(box))
        rests.append(found.linear(np.full((len(box), 6), half))[2].max())
    assert 80 < rests[0] / rests[1] < 130


def test_what_cancels_is_known_to_cancel():
    box = boxes(0.1)
    x = affine_variables(box)
    bent = np.sin(3 * x)
    assert (bent - bent).value.width.max() < ROUNDING  # one symbol, twice
    other = np.sin(3 * affine_variables(box))  # of another call, where symbols say nothing
    assert (bent.value - other.value).width.max() > 0.1
    mixed = bent @ np.array([[1.0, 1.0], [1.0, 1.0 + 1e-9]])
    assert (mixed[..., :1] - mixed[..., 1:]).value.width.max() < 1e-8


def test_boxes_share_no_symbols():
    box = boxes(0.1, count=4)
    together = smooth(affine_variables(box))
    for k in range(4):
        alone = smooth(affine_variables(box[k : k + 1]))
        assert np.abs(alone.value.lo[0] - together.value.lo[k]).max() < ROUNDING
    x = affine_variables(box)
    turned = x.swapaxes(0, 1)  # the batch is no longer first
    folded = np.sin(turned.reshape(3, -1)).reshape(3, 4, 2).swapaxes(0, 1)
    sizes = [abs(sign * folded + np.sin(x)).value.hi for sign in (-1, 1)]
    points = sampled(lambda u: 2 * np.sin(u), box)[1]
    assert (sizes[1] >= points.max(0) - ROUNDING).all()
    assert (sizes[0] <= 2 * (0.1**2 / 2 + 0.1**3)).all()  # twice what a sine misses


def test_forms_of_two_calls_are_not_mixed():
    with pytest.raises(TypeError, match="of two calls"):
        affine_variables(boxes(0.1)) + affine_variables(boxes(0.1))


def test_mixing_inputs_of_a_batch_is_refused():
    x = affine_variables(boxes(0.1, count=2))
    with pytest.raises(TypeError, match="mixes different inputs"):
        x.sum(0)
    with pytest.raises(TypeError, match="mixes different inputs"):
        x.swapaxes(0, 2) @ np.ones((2, 2))
    with pytest.raises(TypeError, match="mixes different inputs"):
        x[:1] + x[1:]


def test_unbounded_slopes_give_the_whole_line_or_the_range():
    box = Interval(np.zeros((1, 2, 1)), np.full((1, 2, 1), 0.25))
    found = np.sqrt(affine_variables(box))
    assert found.value.contains(np.array([0.0, 0.5]).reshape(1, 2, 1)).all()
    assert found.value.hi.max() == pytest.approx(0.5)
    assert not np.isfinite((1 / (affine_variables(box) - 0.1)).value.width).any()


# -- rounding, told by exact fractions -------------------------------------------------------------

WEIGHTS = np.array([[0.1, -0.7], [1.3, 0.3]])
POLYNOMIALS = {  # of arrays of forms and of fractions alike
    "shifted": lambda x, w: x * 0.3 - 0.7,
    "added": lambda x, w: x + x[:, ::-1] * 0.1,
    "summed": lambda x, w: x.sum(1, keepdims=True) + x * 0,
    "averaged": lambda x, w: (x + x.sum(2, keepdims=True)) / 3.0,
    "weighted": lambda x, w: x @ w,
    "multiplied": lambda x, w: x * (x[:, :, ::-1] - 0.1),
    "cubed": lambda x, w: (x - 0.3) * (x * (x + 0.1)),
    "tall": lambda x, w: (x * 1e8) * (x - 0.1) - 1e8,
    "subtracted": lambda x, w: (x + 0.7) - x * 0.9,
}


def fractions(array):
    return np.vectorize(Fraction, otypes=[object])(array)


def exact_misses(name, half, seed=3):
    """By how much exact values leave their forms, and the largest remainder over rounding.

    Forms are c + Σ a ξ over the inputs, up to the remainder and to the symbols made on the way.
    """
    box = boxes(half, count=3, shape=(2, 2), seed=seed)
    found = POLYNOMIALS[name](affine_variables(box), WEIGHTS)
    share = np.random.default_rng(seed).integers(-1, 2, (6, *box.shape))
    x = np.clip(box.middle() + share * half, box.lo, box.hi)
    size = np.abs(POLYNOMIALS[name](np.abs(x), np.abs(WEIGHTS))).max() + 1.0
    worst, centre = -math.inf, fractions(affine_variables(box).centre)
    side = fractions((affine_variables(box).coef[:4]).sum(0))
    wide = np.abs(found.coef[4:]).sum(0) + found.rest
    for point in fractions(x):
        # c and a are floats: exact from here
        truth = POLYNOMIALS[name](_Exact(point), fractions(WEIGHTS)).values
        turn = ((point - centre) / side).reshape(len(point), -1)  # ξ of each input
        seen = fractions(found.centre)
        for k in range(4):
            seen = seen + fractions(found.coef[k]) * turn[:, k].reshape(-1, 1, 1)
        worst = max(worst, (np.abs(truth - seen) - fractions(wide)).max())
        lo, hi = fractions(found.value.lo), fractions(found.value.hi)
        worst = max(worst, (lo - truth).max(), (truth - hi).max())
    return float(worst), float(found.rest.max() / size)


class _Exact:
    """Arrays of fractions with the operators of forms; floats among them are exact."""

    def __init__(self, values):
        self.values = values

    def _made(self, other, how):
        other = other.values if isinstance(other, _Exact) else fractions(other)
        return _Exact(how(self.values, other))

    def __add__(self, other):
        return self._made(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._made(other, lambda a, b: a - b)

    def __mul__(self, other):
        return self._made(other, lambda a, b: a * b)

    def __truediv__(self, other):
        return self._made(other, lambda a, b: a / b)

    def __matmul__(self, other):
        return _Exact(self.values @ other)

    def __getitem__(self, key):
        return _Exact(self.values[key])

    def sum(self, axis, keepdims):
        return _Exact(self.values.sum(axis, keepdims=keepdims))


@pytest.mark.parametrize("half", [0.25, 1e-3, 1e-13])
@pytest.mark.parametrize("name", POLYNOMIALS)
def test_exact_values_lie_in_their_forms_and_remainders_are_of_rounding(name, half):
    for seed in (3, 4):
        worst, rest = exact_misses(name, half, seed)
        assert worst <= 0
        assert 2.0**-54 < rest < 400 * EPS


def test_remainders_without_their_slack_are_caught(monkeypatch):
    monkeypatch.setattr(affine, "SLACK", 0.0)
    assert any(exact_misses(name, 1e-13)[0] > 0 for name in POLYNOMIALS)
    monkeypatch.setattr(affine, "SLACK", -8 * EPS)
    assert any(exact_misses(name, 0.25)[0] > 0 for name in POLYNOMIALS)


def test_a_function_of_one_number_leaves_its_tangent_by_half_its_second_derivative():
    half = 1e-3
    for f, slope, bend in (
        (lambda x: x**2, 0.8, 2.0),
        (lambda x: x**3, 0.48, 2.4),
        (np.exp, math.exp(0.4), math.exp(0.4)),
        (lambda x: 1 / (1 + x), -1 / 1.96, 2 / 1.4**3),
        (np.sqrt, 0.5 / math.sqrt(0.4), -0.25 / 0.4**1.5),
    ):
        box = Interval(np.full((1, 1, 1), 0.4 - half), np.full((1, 1, 1), 0.4 + half))
        value, gradient, rest = f(affine_variables(box)).linear(np.full((1, 1), half))
        assert gradient[0, 0, 0, 0] == pytest.approx(slope, rel=1e-5)
        assert rest[0, 0, 0] == pytest.approx(abs(bend) * half**2 / 4, rel=0.02)
        # the middle of the parabola's range, not its end
        assert value[0, 0, 0] == pytest.approx(float(f(0.4)) + bend * half**2 / 4, abs=2e-9)


# -- with squares ----------------------------------------------------------------------------------
def bent(f, box):
    """The form of second order on boxes, and what it leaves of values at sampled points."""
    form = f(affine_variables(box, squares=True))
    half = ((box.hi - box.lo) / 2).reshape(len(box.lo), -1)
    value, gradient, bend, rest = form.quadratic(half)
    x, y = sampled(f, box)
    away = (x - (box.lo + box.hi) / 2).reshape(*x.shape[:2], -1)
    line = np.einsum("sbk,kbnd->sbnd", away, gradient)
    curve = np.einsum("sbk,sbl,klbnd->sbnd", away, away, bend) / 2
    return bend, rest, y - value - line - curve


@pytest.mark.parametrize("half", [0.2, 0.05, 1e-3])
@pytest.mark.parametrize("name", ["smooth", "kinked", "context-max"])
def test_values_lie_in_the_form_of_second_order(name, half):
    _, rest, gap = bent(FUNCTIONS[name], boxes(half))
    assert (np.abs(gap) <= rest + ROUNDING).all()


def test_what_is_left_of_second_order_is_of_third():
    bend, rest, _ = bent(smooth, boxes(0.05))
    _, less, _ = bent(smooth, boxes(0.025))
    linear = smooth(affine_variables(boxes(0.025)))
    known = linear.linear(np.full((12, 6), 0.025))[2]
    assert less.max() < rest.max() / 5
    assert less.mean() < 0.7 * known.mean()
    assert np.abs(bend).max() > 1


def test_products_of_inputs_leave_nothing():
    a, b = np.random.default_rng(3).normal(size=(2, 2, 2))
    bend, rest, gap = bent(lambda x: (x @ a) * (x @ b), boxes(0.2))
    assert np.abs(gap).max() <= ROUNDING
    assert rest.max() <= ROUNDING
    assert bend[0, 1, 0, 0, 0] == pytest.approx(a[0, 0] * b[1, 0] + a[1, 0] * b[0, 0])


def test_squares_without_their_cross_terms_are_caught(monkeypatch):
    plain = affine.Affine._with_squares

    def short(self, *args):
        total, coef, _ = plain(self, *args)
        return total, coef, np.zeros(total.shape)

    monkeypatch.setattr(affine.Affine, "_with_squares", short)
    _, rest, gap = bent(lambda x: x * x * x, boxes(0.2))
    assert not (np.abs(gap) <= rest + ROUNDING).all()
