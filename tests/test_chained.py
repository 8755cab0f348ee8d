"""The chain rule, norms and the operators of arrays: held against Arb's 300 bits, and close."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from looprate.theory.enclosure import Interval, Jet, variables
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.curved import curved_variables
from looprate.theory.enclosure.gains import grouped_variables
from looprate.theory.enclosure.intervals import rational_power
from looprate.theory.enclosure.namespace import ARRAY_NAMESPACE
from looprate.theory.enclosure.norms import interval_norm
from looprate.theory.enclosure.rounding import EPS, TINY

BITS = 300
CLOSE = 96  # ulp of the largest number of a step: what a point's enclosure may be wide
INNER = 7  # points inside of a box


def whole(q):
    """x^q, its slope and its second derivative for a whole exponent, as balls."""
    return lambda x: (x**q, q * x ** (q - 1) if q else arb(0), q * (q - 1) * x ** (q - 2))


def broken(q):
    q = Fraction(q)
    a = arb(q.numerator) / q.denominator
    return lambda x: (x**a, a * x ** (a - 1), a * (a - 1) * x ** (a - 2))


STEPS = {  # (ours, value and derivatives as balls, boxes)
    **{f"power {q}": (lambda x, q=q: x**q, whole(q), "pn") for q in (0, 1, 2, 3, 4, -1, -2)},
    **{f"power {q}": (lambda x, q=q: x**q, broken(q), "p") for q in (0.5, 1.5, 2.25, -0.5)},
    "abs": (abs, lambda x: (abs(x), x.sgn(), arb(0)), "pn"),
    "sqrt": (np.sqrt, broken(Fraction(1, 2)), "p"),
    "exp": (np.exp, lambda x: (x.exp(),) * 3, "pn"),
    "log": (np.log, lambda x: (x.log(), 1 / x, -1 / x**2), "p"),
    "sin": (np.sin, lambda x: (x.sin(), x.cos(), -x.sin()), "pn"),
    "cos": (np.cos, lambda x: (x.cos(), -x.sin(), -x.cos()), "pn"),
    "tanh": (
        np.tanh,
        lambda x: (x.tanh(), 1 - x.tanh() ** 2, -2 * x.tanh() * (1 - x.tanh() ** 2)),
        "pn",
    ),
}


def boxes(signs, share):
    low = np.array([0.11, 0.4, 0.73, 1.6, 2.9])
    low = np.concatenate([low, -low * (1 + share)]) if "n" in signs else low
    return low.reshape(-1, 1, 1), (low + np.abs(low) * share).reshape(-1, 1, 1)


def parts(made):
    """Values, slopes and curvatures of one entry each."""
    return [each.reshape(-1) for each in (made.value, made.jet.slope, made.curvature)]


def balls(truth, x):
    with ctx.workprec(BITS):
        return list(zip(*(truth(arb(v)) for v in x.ravel().tolist()), strict=True))


@pytest.mark.parametrize("name", STEPS)
def test_points_have_the_value_the_slope_and_the_second_derivative(name):
    ours, truth, signs = STEPS[name]
    x = boxes(signs, 0.0)[0]
    for found, exact in zip(
        parts(ours(curved_variables(Interval(x)))), balls(truth, x), strict=True
    ):
        for lo, hi, ball in zip(found.lo.tolist(), found.hi.tolist(), exact, strict=True):
            assert arb(lo) <= ball
            assert ball <= arb(hi)
            assert hi - lo <= CLOSE * EPS * max(1.0, abs(lo))


@pytest.mark.parametrize("name", STEPS)
def test_boxes_hold_every_slope_and_second_derivative_and_little_more(name):
    """Slopes of monotone derivatives are spanned by the ends: no wider by more than 3 %."""
    ours, truth, signs = STEPS[name]
    low, high = boxes(signs, 0.01)
    made = parts(ours(curved_variables(Interval(low, high))))
    share = np.random.default_rng(0).random(INNER)
    columns = [balls(truth, low + (high - low) * t) for t in (0.0, 1.0, *share)]
    for k, found in enumerate(made):
        for i, (lo, hi) in enumerate(zip(found.lo.tolist(), found.hi.tolist(), strict=True)):
            seen = [column[k][i] for column in columns]
            assert all(arb(lo) <= ball and ball <= arb(hi) for ball in seen)
            seen = [float(ball.mid()) for ball in seen]
            room = (k + 1) * 0.06 * max(1.0, abs(seen[0]))
            assert min(seen) - lo <= room
            assert hi - max(seen) <= room


def test_powers_at_zero_and_of_boxes_across_it():
    for x, exponent, value, slope, second in (
        ((-1.0, 2.0), 2, (0, 4), (-2, 4), (2, 2)),
        ((-1.0, 2.0), 3, (-1, 8), (0, 12), (-6, 12)),
        ((-1.0, 2.0), 0, (1, 1), (0, 0), (0, 0)),
        ((-1.0, 2.0), 1, (-1, 2), (1, 1), (0, 0)),
        ((0.0, 4.0), 1.5, (0, 8), (0, 3), (0.375, math.inf)),
        ((-1.0, 4.0), 1.5, (0, 8), (0, 3), (0.375, math.inf)),
        ((-1.0, 4.0), 2.5, (0, 32), (0, 20), (0, 7.5)),
        ((0.0, 4.0), 0.5, (0, 2), (0.25, math.inf), (-math.inf, -1 / 32)),
        ((0.0, 0.0), 2, (0, 0), (0, 0), (2, 2)),
    ):
        made = parts(curved_variables(Interval(*np.reshape(x, (2, 1, 1, 1)))) ** exponent)
        for found, wanted in zip(made, (value, slope, second), strict=True):
            both = (found.lo.item(), found.hi.item())
            if math.inf in np.abs(wanted) and exponent != 2:  # unbounded at one side, or at both
                assert (both[0] == wanted[0] or both[0] == -math.inf) or both[0] == pytest.approx(
                    wanted[0]
                )
                assert math.inf in np.abs(both)
            else:
                assert both == pytest.approx(wanted, abs=1e-13)
    for exponent in (0.5, 1.5, -0.5):
        with pytest.raises(ValueError, match="must reach 0"):
            curved_variables(Interval(*np.reshape([-2.0, -1.0], (2, 1, 1, 1)))) ** exponent


def test_sizes_have_the_slope_of_their_side_and_a_kink_between():
    ends = np.reshape([[1, 2], [0, 2], [-1, 2], [-2, 0], [-2, -1], [0, 0]], (6, 2, 1, 1)) * 1.0
    made = parts(abs(curved_variables(Interval(ends[:, 0], ends[:, 1]))))
    value, slope, second = ([*zip(e.lo.tolist(), e.hi.tolist(), strict=True)] for e in made)
    assert value == [(1, 2), (0, 2), (0, 2), (0, 2), (1, 2), (0, 0)]
    signs = [(1, 1), (1, 1), (-1, 1), (-1, -1), (-1, -1), (1, 1)]
    assert slope == [pytest.approx(sign, abs=4 * EPS) for sign in signs]
    whole = (-math.inf, math.inf)
    assert second == [(0, 0), (0, 0), whole, (0, 0), (0, 0), (0, 0)]


def test_slopes_of_tanh_stay_above_zero_up_to_a_last_bit():
    """1 - tanh² of wide boxes: [-1, 1] gives slopes from 0 on."""
    jet = np.tanh(variables(Interval(*np.reshape([-50.0, 50.0], (2, 1, 1, 1)))))
    assert jet.slope.lo.item() >= -TINY
    assert jet.slope.hi.item() == pytest.approx(1)
    far = np.tanh(variables(Interval(*np.reshape([40.0, 50.0], (2, 1, 1, 1)))))
    assert far.slope.lo.item() >= -TINY
    assert far.slope.hi.item() < 1e-14


# -- norms -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.25, 2.0, 3.0, 50.0, math.inf])
@pytest.mark.parametrize("axis", [0, 1])
def test_norms_are_those_of_arb_to_a_few_ulps(p, axis):
    values = np.array([[0.3, 7.0, 1e-3, 0.0], [0.0, 2.0, 4.0, 0.0], [5.0, 0.25, 1.0, 0.0]])
    for scale in (1.0, 2.0**-900, 2.0**900):
        found = interval_norm(Interval(scale * values), p, axis=axis)
        rows = values.T if axis == 0 else values
        assert found.shape == (len(rows),)
        for lo, hi, row in zip(found.lo.tolist(), found.hi.tolist(), rows.tolist(), strict=True):
            with ctx.workprec(BITS):
                some = [arb(v) for v in row if v]
                norm = sum((v ** arb(p) for v in some), arb(0)) if p < math.inf else arb(max(row))
                norm = norm ** (1 / arb(p)) if p < math.inf and some else norm
                norm *= arb(scale)
            if p == math.inf or not some:
                assert lo == scale * max(row)
                assert hi <= max(lo, 1e-300)
            else:
                assert arb(lo) <= norm
                assert norm <= arb(hi)
                assert hi - lo <= 40 * EPS * hi
    kept = interval_norm(Interval(values), p)
    assert kept.shape == (4,)


def test_norms_of_intervals_span_those_of_their_ends():
    low, high = np.array([[3.0, 0.0], [4.0, 0.0]]), np.array([[6.0, 1.0], [8.0, 1.0]])
    for p, wanted in ((2.0, (5, 10)), (1.0, (7, 14)), (math.inf, (4, 8))):
        found = interval_norm(Interval(low, high), p)
        assert (found.lo[0], found.hi[0]) == pytest.approx(wanted)
        assert found.lo[1] == 0
        assert found.hi[1] == pytest.approx(2 ** (1 / p) if p < math.inf else 1)
    endless = interval_norm(Interval([[2.0], [1.0]], [[3.0], [math.inf]]), 2.0)
    assert (endless.lo[0], endless.hi[0]) == (pytest.approx(math.sqrt(5)), math.inf)
    one = interval_norm(Interval([[0.0], [0.5]]), 7.0)  # never less than the largest
    assert one.lo[0] == 0.5
    assert one.hi[0] == pytest.approx(0.5)
    assert interval_norm(Interval([[0.1], [0.1]]), 1.0).lo[0] == Interval([0.1, 0.1]).sum(0).lo


# -- what every array can do -----------------------------------------------------------------------

KINDS = {
    "interval": lambda box: box,
    "jet": variables,
    "curved": curved_variables,
    "gain": grouped_variables,
    "affine": affine_variables,
}
X = np.random.default_rng(2).random((2, 3, 2)) + 0.25
Y = np.random.default_rng(3).random((2, 3, 2)) + 0.5
SQUARE = np.array([[1.0, -2.0], [0.25, 3.0]])
TALL = np.array([[0.5, 1.0, -1.0], [2.0, 0.0, 0.25], [1.0, -1.0, 3.0]])
PLAIN = {  # one formula for numbers and for enclosures, through operators, ufuncs and functions
    "sums": lambda x: (x + 2.0) + (Y + x) + np.add(x, Y) + np.add(Y, x),
    "differences": lambda x: (x - 2.0) * 3 + (Y - x) + np.subtract(x, Y) * 2 + np.subtract(Y, x),
    "products": lambda x: x * 2 + Y * x + np.multiply(Y, x) + np.multiply(x, x) + x * 1 + 1 * x,
    "quotients": lambda x: x / 4.0 + Y / x + np.divide(Y, x) + np.divide(x, Y) + 1.0 / x,
    "matrices": lambda x: x @ SQUARE + np.matmul(x, SQUARE) * 2 + np.matmul(TALL, x) + TALL @ x * 3,
    "powers": lambda x: x**2 + np.power(x, 3) + np.float_power(x, 0.5) + np.square(x) * 3,
    "signs": lambda x: -x + np.negative(x) * 2 + (+x) * 5 + np.positive(x) * 7,
    "sizes": lambda x: abs(x - 1.0) + np.abs(x - 0.5) * 3,
    "limits": lambda x: np.maximum(x, 0.6) + np.minimum(x, 0.7) + np.maximum(0.5, x) * x,
    "clipped": lambda x: np.clip(x, 0.4, 0.8) + x.clip(max=0.5) * 2 + x.clip(min=0.9) * 4,
    "functions": lambda x: np.exp(x) + np.log(x) * 2 + np.sin(x) * 3 + np.cos(x) * 5 + np.sqrt(x),
    "tanh": lambda x: np.tanh(x) + np.absolute(x),
    "means": lambda x: np.mean(x, 1, keepdims=True) + x.mean(-1, keepdims=True) * 2 + x,
    "means of several": lambda x: x.mean((1, 2), keepdims=True) + np.sum(x, (1, -1), keepdims=True),
    "spreads": lambda x: np.var(x, 1, keepdims=True) + np.std(x, axis=2, keepdims=True) * 2 + x,
    "samples": lambda x: x.var(1, ddof=1, keepdims=True) + x.std(1, ddof=1, keepdims=True) * x,
    "extrema": lambda x: x.max(1, keepdims=True) + np.min(x, 1, keepdims=True) * 2 + x,
    "extremes": lambda x: np.amax(x, 2, keepdims=True) * x + np.amin(x, 2, keepdims=True),
    "turned": lambda x: np.swapaxes(np.swapaxes(x, 1, 2) @ TALL, 1, 2) + x,
    "formed": lambda x: np.reshape(np.reshape(x, (2, 2, 3)) * 2, (2, 3, 2)) + np.copy(x),
    "nothing": lambda x: np.zeros_like(x) + x.copy(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", PLAIN)
def test_formulas_of_points_give_numpy_s_numbers(kind, name):
    made, exact = PLAIN[name](KINDS[kind](Interval(X))), PLAIN[name](X)
    found = getattr(made, "value", made)
    assert found.shape == made.shape == exact.shape
    assert np.abs(found.middle() - exact).max() < 1e-13 * np.abs(exact).max()
    assert found.width.max() < 1e-12 * np.abs(exact).max()


def test_axes_are_left_out_all_taken_or_kept():
    x, box = X, Interval(X)
    for ours, theirs in (
        (box.sum(), x.sum()),
        (box.mean(), x.mean()),
        (box.max(), x.max()),
        (box.min(), x.min()),
        (box.var(), x.var()),
        (box.std(ddof=2), x.std(ddof=2)),
        (box.sum((0, -1)), x.sum((0, -1))),
        (box.mean((-1, 1)), x.mean((-1, 1))),
        (box.std((0, 1)), x.std((0, 1))),
        (box.amin(keepdims=True), x.min(keepdims=True)),
        (ARRAY_NAMESPACE.sum(box), x.sum()),
        (ARRAY_NAMESPACE.std(box, 1, ddof=1), x.std(1, ddof=1)),
        (ARRAY_NAMESPACE.var(box, (1, 2), ddof=1), x.var((1, 2), ddof=1)),
    ):
        assert ours.shape == np.shape(theirs)
        assert np.abs(ours.middle() - theirs).max() < 1e-14 * (1 + np.abs(theirs).max())
    assert (box.ndim, box.size, len(box), box.shape) == (3, 12, 2, (2, 3, 2))
    assert box.dtype == np.float64
    assert box.is_floating_point()


def test_wide_arrays_are_clipped_and_compared_end_by_end():
    box = Interval([-1.0, 0.2, 3.0], [0.5, 0.3, 4.0])
    xp = ARRAY_NAMESPACE
    for found, wanted in (
        (box.clip(0.0, 1.0), ([0, 0.2, 1], [0.5, 0.3, 1])),
        (xp.clip(box, 0.0, 1.0), ([0, 0.2, 1], [0.5, 0.3, 1])),
        (xp.clip(box, min=0.0), ([0, 0.2, 3], [0.5, 0.3, 4])),
        (xp.clip(box, max=1.0), ([-1, 0.2, 1], [0.5, 0.3, 1])),
        (xp.clip(box, None, 1.0, min=0.25), ([0.25, 0.25, 1], [0.5, 0.3, 1])),
        (xp.clip(box), ([-1, 0.2, 3], [0.5, 0.3, 4])),
        (box.minimum(0.25), ([-1, 0.2, 0.25], [0.25, 0.25, 0.25])),
        (xp.maximum(Interval(0.25), box), ([0.25, 0.25, 3], [0.5, 0.3, 4])),
        (xp.minimum(Interval(0.25), box), ([-1, 0.2, 0.25], [0.25, 0.25, 0.25])),
        (box.max(), (3, 4)),
        (box.min(), (-1, 0.3)),
        (1.0 - box, ([0.5, 0.7, -3], [2, 0.8, -2])),
        (box - 1.0, ([-2, -0.8, 2], [-0.5, -0.7, 3])),
    ):
        assert found.lo == pytest.approx(np.array(wanted[0]))
        assert found.hi == pytest.approx(np.array(wanted[1]))
    assert xp.constant_near_max(Interval([[0.0, 3.0]], [[2.0, 3.5]]), 1).tolist() == [[3.25]]


def test_what_changes_nothing_is_an_array_of_its_own():
    box = Interval(X)
    for same in (box * 1, 1 * box, box * 1.0, +box, box**1, box.clip(), box.sum(()), box.copy()):
        assert same is not box
        assert same.lo.tolist() == X.tolist()
        assert same.hi.tolist() == X.tolist()
    assert (box * np.array(1.0)).width.max() > 0  # an array of one is a product like others
    assert (box * 2).hi.tolist() != X.tolist()


def test_in_place_steps_and_outputs_go_to_enclosures_only():
    box = Interval(X)
    name, mine = box, Interval(Y)
    np.add(box, mine, out=(box,))
    assert box is name
    assert np.abs(box.middle() - X - Y).max() < 1e-15
    np.exp(mine, out=(mine,))
    assert np.abs(mine.middle() - np.exp(Y)).max() < 1e-14
    with pytest.raises(TypeError, match="an in-place step puts an enclosure into a NumPy array"):
        np.add(mine, 1.0, out=np.zeros(Y.shape))
    array = np.zeros(Y.shape)
    with pytest.raises(TypeError, match="an in-place step puts"):
        array += mine


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda x: np.add.accumulate(x), "`numpy.add` has no enclosure with accumulate"),
        (lambda x: np.add(x, 1.0, where=True), "`numpy.add` has no enclosure with __call__"),
        (lambda x: np.floor(x), "`numpy.floor` has no enclosure here"),
        (lambda x: np.argsort(x), "has no enclosure here: places of entries jump"),
        (lambda x: (x - 100.0) ** x, "needs a base of 0 or more"),
        (lambda x: (-2.0) ** x, "needs a base of 0 or more"),
        (lambda x: np.power(0.0, x), "needs a base of 0 or more"),
        (lambda x: x == x, "no `==`"),
        (lambda x: x != x, "no `!=`"),
        (lambda x: bool(x), "no truth value"),
        (lambda x: np.asarray(x), "`Interval` cannot become a NumPy array"),
        (lambda x: hash(x), "unhashable"),
        (lambda x: x + variables(x), "put the latter first"),
    ],
)
def test_what_has_no_enclosure_says_so(attempt, message):
    with pytest.raises(TypeError) as caught:
        attempt(Interval(X))
    assert message in str(caught.value)


def test_exponents_may_be_arrays_of_no_axes_and_thirds_are_not_rounded():
    x = Interval([8.0, 27.0])
    assert (x ** np.array(2.0)).middle() == pytest.approx([64, 729])
    assert (x ** np.float32(0.5)).middle() == pytest.approx(np.sqrt([8, 27]))
    assert rational_power(x, Fraction(1, 3)).middle() == pytest.approx([2, 3])


def test_numbers_before_enclosures_give_enclosures():
    """NumPy's own operators leave the work to the array of enclosures."""
    for made in (Y + Interval(X), Y @ np.ones((2, 2)) - Interval(X), np.float64(2) * Interval(X)):
        assert isinstance(made, Interval)
    for made in (Y * variables(Interval(X)), np.float64(2) / variables(Interval(X))):
        assert isinstance(made, Jet)
