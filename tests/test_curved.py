"""Second derivatives are enclosed, and what kinks is told; attention and cosines in one step."""

from __future__ import annotations

import math

import numpy as np
import pytest

from looprate.theory.enclosure import attention, cosines, curved
from looprate.theory.enclosure.attention import softmax_mean
from looprate.theory.enclosure.cosines import pair_cosines
from looprate.theory.enclosure.curved import Curved, curved_variables
from looprate.theory.enclosure.gains import Gain, grouped_variables
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.jets import Jet, variables
from looprate.theory.targets import parse_target

STEP = 1e-4  # of central differences, whose error is about STEP² |f''''| / 12 + EPS / STEP²
SLACK = 1e-5  # relative to 1 + |f''|: both errors, for functions of the size used here
SAME = 1e-12  # at points, against the plain formula
SHAPES = ((1, 1), (2, 1), (2, 2))  # (N, d)


def turned(x):
    """Every entry with another one: products and quotients of different variables."""
    return x[:, ::-1, ::-1]


SMOOTH = {
    "square": lambda x: x**2,
    "cube": lambda x: x**3,
    "power 0.3": lambda x: (x + 0.1) ** 0.3,
    "power 2.5": lambda x: (x + 0.1) ** 2.5,
    "power -2": lambda x: (x + 0.5) ** -2,
    "sqrt": lambda x: np.sqrt(x + 0.2),
    "exp": lambda x: np.exp(-2 * x),
    "sin": lambda x: np.sin(4 * x),
    "cos": lambda x: np.cos(4 * x),
    "tanh": lambda x: np.tanh(3 * x - 1),
    "abs away from 0": lambda x: abs(x + 0.5) * x,
    "product": lambda x: x * turned(x) * (x + 1),
    "quotient": lambda x: np.sin(x) / (turned(x) + 0.5),
    "number over": lambda x: 2.0 / (x * turned(x) + 0.5),
    "matrix": lambda x: (x @ np.swapaxes(x, 1, 2)) @ x,
    "matrix of numbers": lambda x: (x**2) @ np.full((x.shape[2], x.shape[2]), 0.3),
    "mean": lambda x: (x * x).mean(1, keepdims=True) * x,
    "maximum away from ties": lambda x: np.maximum(x**2, x - 3),
    "largest away from ties": lambda x: (
        (x**2 + 4 * np.arange(x.shape[1])[:, None]).max(1, keepdims=True) * (1 + 0 * x)
    ),
    "softmax mean": parse_target("softmax-attention"),
    "pair cosines": parse_target("smooth-field:features=6,length=0.5"),
    "composed": lambda x: np.exp(-np.sin(x * turned(x)) / (1 + x**2)),
}
KINKED = {
    "abs": lambda x: abs(x - 0.5),
    "maximum": lambda x: np.maximum(x, 1 - x),
    "largest": lambda x: (x - 0.5) ** 2 + abs(x - 0.5),
    "root": lambda x: np.sqrt(abs(x - 0.5)),
}


def boxes(rng, count, tokens, dim):
    """Boxes in the cube of sides from 1e-4 to 1/2, and points inside, (2, 20, B, N, d)."""
    side = 10.0 ** rng.uniform(-4, -0.3, (count, 1, 1))
    low = 0.01 + rng.random((count, tokens, dim)) * (0.98 - side)
    high = low + side * rng.random(low.shape)
    return low, high, low + (high - low) * rng.random((2, 20, *low.shape))


def second_differences(f, x):
    """Central second differences (Q, B, N, d) at points (B, N, d), pairs i <= j."""
    width = x.shape[1] * x.shape[2]
    shifts = STEP * np.eye(width).reshape(width, *x.shape[1:])
    i, j = np.triu_indices(width)
    found = []
    for a, b in zip(shifts[i], shifts[j], strict=True):
        parts = f(x + a + b) - f(x + a - b) - f(x - a + b) + f(x - a - b)
        found.append(parts / (4 * STEP**2))
    return np.array(found)


def bends_missed(f, shapes=SHAPES):
    """Count second differences outside the curvature of boxes."""
    rng, count = np.random.default_rng(1), 0
    for tokens, dim in shapes:
        low, high, inside = boxes(rng, 20, tokens, dim)
        bend = f(curved_variables(Interval(low, high))).curvature
        for x in inside[0, :6]:
            found = second_differences(f, x)
            slack = SLACK * (1 + np.abs(found))
            count += int(((found < bend.lo - slack) | (found > bend.hi + slack)).sum())
    return count


@pytest.mark.parametrize("name", SMOOTH)
def test_curvatures_hold_second_differences(name):
    assert bends_missed(SMOOTH[name]) == 0


@pytest.mark.parametrize("name", SMOOTH)
def test_curvatures_of_small_boxes_are_close(name):
    """So that an infinite curvature would not pass."""
    x = np.random.default_rng(2).random((10, 2, 2)) * 0.8 + 0.1
    bend = SMOOTH[name](curved_variables(Interval(x - 1e-7, x + 1e-7))).curvature
    found = second_differences(SMOOTH[name], x)
    assert np.abs(bend.middle() - found).max() < 1e-4 * (1 + np.abs(found).max())
    assert bend.width.max() < 1e-3


@pytest.mark.parametrize("name", KINKED)
def test_curvatures_are_unbounded_where_it_kinks_and_only_there(name):
    f = KINKED[name]
    low, high = np.array([[[0.4]], [[0.1]], [[0.6]]]), np.array([[[0.6]], [[0.3]], [[0.9]]])
    bend = f(curved_variables(Interval(low, high))).curvature
    known = np.isfinite(bend.lo) & np.isfinite(bend.hi)
    assert known.ravel().tolist() == [False, True, True]


def test_the_largest_of_tied_entries_has_no_curvature():
    x = np.array([[[0.4], [0.5]], [[0.1], [0.5]]])
    curved = (curved_variables(Interval(x, x + 0.15)) ** 2).max(1, keepdims=True)
    assert np.isfinite(curved.curvature.hi).all((0, 2, 3)).tolist() == [False, True]


def test_exact_second_derivatives_at_points():
    x = np.array([[[0.3], [0.7]]])
    curved = SMOOTH["composed"](curved_variables(Interval(x)))
    a, b = x.ravel()  # exp(-sin(ab) / (1 + a²)), first output, by hand
    u, v = math.sin(a * b), 1 + a * a
    g = u / v
    g_a = b * math.cos(a * b) / v - 2 * a * u / v**2
    g_b = a * math.cos(a * b) / v
    g_bb = -a * a * u / v
    g_aa = -b * b * u / v - 4 * a * b * math.cos(a * b) / v**2 - 2 * u / v**2
    g_aa += 8 * a * a * u / v**3
    g_ab = (math.cos(a * b) - a * b * u) / v - 2 * a * a * math.cos(a * b) / v**2
    e = math.exp(-g)
    exact = [e * (g_a**2 - g_aa), e * (g_a * g_b - g_ab), e * (g_b**2 - g_bb)]
    assert curved.curvature.middle()[:, 0, 0, 0] == pytest.approx(exact, abs=1e-12)
    assert curved.curvature.width.max() < 1e-12


# -- one step for what would cancel ---------------------------------------------------------------


FEATURES = [
    np.random.default_rng(3).standard_normal(shape) for shape in ((2, 5), (2, 5), 5, (5, 2))
]


def attended(x):
    """A softmax mean with the plain formula for numbers."""
    logits = 3 * (x @ np.swapaxes(x, 1, 2))
    if not isinstance(x, np.ndarray):
        return softmax_mean(logits, x)
    weights = np.exp(logits)
    return weights @ x / weights.sum(2, keepdims=True)


def waved(x):
    """Pair cosines with the plain formula for numbers."""
    own, other, phase, weight = FEATURES
    if not isinstance(x, np.ndarray):
        return pair_cosines(x, *FEATURES)
    angles = (x @ own)[:, :, None] + (x @ other)[:, None] + phase
    return (np.cos(angles) @ weight).mean(2)


ONE_STEP = {"attended": attended, "waved": waved}


@pytest.mark.parametrize("name", ONE_STEP)
@pytest.mark.parametrize("start", [lambda box: box, variables, curved_variables])
def test_points_give_the_plain_formula(name, start):
    f, x = ONE_STEP[name], np.random.default_rng(4).random((8, 3, 2))
    found = f(start(Interval(x)))
    value = found if isinstance(found, Interval) else found.value
    assert np.abs(value.middle() - f(x)).max() < SAME
    assert value.width.max() < SAME
    assert value.contains(f(x)).all() or np.abs(value.middle() - f(x)).max() < 1e-15


def one_step_missed(name):
    """Count differences outside values, slopes, gains or curvatures of boxes."""
    f, rng = ONE_STEP[name], np.random.default_rng(5)
    low, high, (one, two) = boxes(rng, 20, 3, 2)
    box = Interval(low, high)
    count = bends_missed(f, ((3, 2),))
    jet, curved, gain = f(variables(box)), f(curved_variables(box)), f(grouped_variables(box))
    assert isinstance(jet, Jet)
    assert isinstance(curved, Curved)
    assert isinstance(gain, Gain)
    for a, b in zip(one, two, strict=True):
        moved, step = f(a) - f(b), (a - b).reshape(20, -1)
        for slope in (jet.slope, curved.jet.slope):
            reach = (Interval(step.T[..., None, None]) * slope).sum(0)
            count += int(((moved < reach.lo - SAME) | (moved > reach.hi + SAME)).sum())
        groups = np.sqrt(((a - b) ** 2).sum(1)).T[..., None, None]  # (d, B, 1, 1)
        count += int((np.abs(moved) > (gain.gain * groups).sum(0) + SAME).sum())
        for value in (f(box), jet.value, curved.value, gain.value):
            count += int(((f(a) < value.lo - SAME) | (f(a) > value.hi + SAME)).sum())
    return count


@pytest.mark.parametrize("name", ONE_STEP)
def test_one_step_holds_differences_of_every_sort(name):
    assert one_step_missed(name) == 0


def test_gains_explain_differences():
    rng = np.random.default_rng(6)
    for name, f in SMOOTH.items():
        low, high, (one, two) = boxes(rng, 20, 2, 2)
        gain = f(grouped_variables(Interval(low, high))).gain
        for a, b in zip(one, two, strict=True):
            groups = np.sqrt(((a - b) ** 2).sum(1)).T[..., None, None]
            assert (np.abs(f(a) - f(b)) <= (gain * groups).sum(0) + SAME).all(), name


# -- one ingredient wrong at a time --------------------------------------------------------------


def scaled(gain, factor):
    return Gain(gain.value, gain.gain * factor)


def test_a_wrong_curvature_is_caught(monkeypatch):
    crossed, first, centred = curved._crossed, attention._first, attention._centred
    lifted = curved.lifted
    derivative = cosines._Features.derivative
    gain, zero = attention._gain, Interval(0.0)
    wrongs = [
        (curved, "_crossed", lambda a, b, n: crossed(a, b, n) * 0.5, "product"),
        (curved, "slope_products", lambda a, b, square: a.times(b) * 0.5, "sin"),
        (curved, "lifted", lambda part, n: zero + 0 * lifted(part, n), "mean"),
        (attention, "_first", lambda w, a, z, v: first(w, 0 * a, z, v), "attended"),
        (attention, "_centred", lambda w, p: centred(w, p) * 0.9, "attended"),
        (attention, "_gain", lambda z, v: scaled(gain(z, v), 0.1), "attended"),
        (cosines._Features, "derivative", lambda s, a: derivative(s, a) * 0.99, "waved"),
        (
            cosines._Features,
            "derivative",
            lambda s, a: Interval(derivative(s, a).middle()),
            "waved",
        ),
    ]
    for file, name, wrong, where in wrongs:
        with monkeypatch.context() as patch:
            patch.setattr(file, name, wrong)
            f = SMOOTH.get(where)
            assert (bends_missed(f) if f else one_step_missed(where)) > 0, (name, where)
