"""Softmax means and cosine features in one step: exact values inside, and the documented bounds."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from cases.exact_intervals import BITS, Exact, misfit, numbers
from looprate.theory.enclosure import Interval, variables
from looprate.theory.enclosure.attention import softmax_mean
from looprate.theory.enclosure.cosines import _Features, pair_cosines
from looprate.theory.enclosure.curved import Curved
from looprate.theory.enclosure.gains import Gain, grouped_variables
from looprate.theory.enclosure.jets import Jet
from looprate.theory.enclosure.rounding import EPS, LIBM_ULPS

WAYS, PAIRS = 3, 6  # input directions, and their pairs i <= j
FIRST, SECOND = np.triu_indices(WAYS)
NEAR = 1e-12  # the number that means are taken about is a float


@pytest.fixture(autouse=True)
def _many_bits():
    with mpmath.workprec(BITS):
        yield


def interval(rng, shape, side):
    """Random intervals."""
    start = rng.uniform(-1, 1, shape)
    return Interval(start, start + side * rng.random(shape))


def curved(rng, shape, side):
    """Random values, slopes and curvatures."""
    jet = Jet(interval(rng, shape, side), interval(rng, (WAYS, *shape), side))
    return Curved(jet, interval(rng, (PAIRS, *shape), side))


def holds(found, exact, inner=NEAR, ulps=2.0**14):
    """Compare an enclosure with an exact one."""
    assert not (said := misfit(found, exact, ulps, inner)), said


# -- softmax means: z (..., N, M), v (..., M, D) ---------------------------------------------------


def weights(z):
    """A_m in 1 / Σ_k exp(z_k - z_m), with an axis for the entries of values."""
    count = z.lo.shape[-1]
    columns = []
    for m in range(count):
        total = Exact.of(np.ones(z.lo.shape[:-1]))
        for k in range(count):
            total = total + (z[..., k] - z[..., m]).exp() if k != m else total
        columns.append(Exact.of(np.ones(())) / total)
    return Exact(
        *(np.stack(e, -1)[..., None] for e in zip(*((c.lo, c.hi) for c in columns), strict=True))
    )


def middle(x):
    """Numbers in the middle."""
    return (x.lo + x.hi) / 2


def mean(a, g):
    """E[g] about a number, and within the hull of the g."""
    about = (middle(a) * middle(g)).sum(-2, keepdims=True) / middle(a).sum(-2, keepdims=True)
    total = (a * (g + Exact(-about, -about))).sum(-2) + Exact(about, about)[..., 0, :]
    return Exact(np.maximum(total.lo, g.lo.min(-2)), np.minimum(total.hi, g.hi.max(-2)))


def centred(a, g):
    """g_m - E[g] = Σ_k A_k (g_m - g_k), k != m."""
    count, found = g.lo.shape[-2], []
    for m in range(count):
        terms = [a[..., k, :] * (g[..., m, :] - g[..., k, :]) for k in range(count) if k != m]
        found.append(sum(terms[1:], terms[0]))
    return Exact(*(np.stack(e, -2) for e in zip(*((x.lo, x.hi) for x in found), strict=True)))


def first(a, w, z, v):
    """E[∂v + w (∂z - a number)]."""
    near = middle(a)[..., 0]
    about = (near * middle(z)).sum(-1, keepdims=True) / near.sum(-1, keepdims=True)
    tilted = w * (z + Exact(-about, -about))[..., None]
    return mean(a, v) + (a * tilted).sum(-2)


@pytest.mark.parametrize("side", [0.0, 0.1, 1.0])
@pytest.mark.parametrize(("lead", "tokens"), [((2,), 2), ((1, 2), 3)])
def test_softmax_means_have_the_values_and_derivatives_of_the_docstring(lead, tokens, side):
    rng = np.random.default_rng(1)
    z, v = curved(rng, (*lead, 2, tokens), side), curved(rng, (*lead, tokens, 2), side)
    a, rows = weights(Exact.of(z.value)), Exact.of(v.value)[..., None, :, :]
    value, w = mean(a, rows), centred(a, rows)
    slopes, turns = Exact.of(z.jet.slope), Exact.of(v.jet.slope)[..., None, :, :]
    slope = first(a, w, slopes, turns)
    bend = first(a, w, Exact.of(z.curvature), Exact.of(v.curvature)[..., None, :, :])
    zeta, nu = centred(a, slopes[..., None]), centred(a, turns)
    square = zeta[FIRST] * zeta[SECOND]
    own = (FIRST == SECOND).reshape(-1, *(1,) * (square.lo.ndim - 1))
    low = np.where(own, np.maximum(square.lo, mpmath.mpf(0)), square.lo)
    turned = nu[FIRST] * zeta[SECOND] + nu[SECOND] * zeta[FIRST] + w * Exact(low, square.hi)
    bend = bend + (a * turned).sum(-2)
    holds(softmax_mean(z.value, v.value), value)
    found = softmax_mean(z.jet, v.jet)
    holds(found.value, value)
    holds(found.slope, slope)
    found = softmax_mean(z, v)
    holds(found.value, value)
    holds(found.jet.slope, slope)
    holds(found.curvature, bend)
    steep = [np.abs(x.jet.slope.lo) for x in (z, v)]
    gain = softmax_mean(Gain(z.value, steep[0]), Gain(v.value, steep[1]))
    holds(gain.value, value)
    tilted = Exact.of(steep[0])[..., None] * Exact(w.size * 0, w.size)
    moved = mean(a, Exact.of(steep[1])[..., None, :, :]) + (a * tilted).sum(-2)
    holds(Interval(np.zeros(gain.gain.shape), gain.gain), Exact(moved.hi * 0, moved.hi))


def test_softmax_means_at_points_hold_the_exact_ones():
    """Values, and slopes by ∂E[v] = E[∂v + w ∂z], with no allowance."""
    rng = np.random.default_rng(2)
    z, v = curved(rng, (4, 2, 3), 0.0), curved(rng, (4, 3, 2), 0.0)
    a, rows = weights(Exact.of(z.value)), Exact.of(v.value)[:, None]
    value = (a * rows).sum(-2)
    tilted = (rows - value[..., None, :]) * Exact.of(z.jet.slope)[..., None]
    slope = (a * (tilted + Exact.of(v.jet.slope)[:, :, None])).sum(-2)
    holds(softmax_mean(z.value, v.value), value, 0.0, 64)
    holds(softmax_mean(z.jet, v.jet).slope, slope, 0.0, 128)


def test_the_mean_of_one_token_is_its_own_value():
    rng = np.random.default_rng(3)
    z, v = curved(rng, (2, 2, 1), 0.3), curved(rng, (2, 1, 3), 0.3)
    found = softmax_mean(z, v)
    for got, of in (
        (found.value, v.value),
        (found.jet.slope, v.jet.slope),
        (found.curvature, v.curvature),
    ):
        wanted = Exact(*(np.broadcast_to(numbers(e), got.shape) for e in (of.lo, of.hi)))
        holds(got, wanted, 0.0, 8)
    with pytest.raises(TypeError, match="must be an enclosure, got ndarray"):
        softmax_mean(np.zeros((2, 1, 1)), v)


def test_unbounded_softmax_means_stay_within_the_values():
    whole = Interval([[[-math.inf, 0.0]]], [[[math.inf, 0.0]]])
    v = Interval([[[1.0], [2.0]]], [[[3.0], [4.0]]])
    with np.errstate(all="ignore"):
        found = softmax_mean(whole, v)
    assert (found.lo.item(), found.hi.item()) == (1.0, 4.0)


# -- cosine features: u = (x_n, x_m), 2d numbers ---------------------------------------------------

DIM, FEATURES = 2, 3
OMEGA = np.random.default_rng(4).standard_normal((2 * DIM, FEATURES)) * 2
PHASE = np.random.default_rng(5).standard_normal(FEATURES)
WEIGHT = np.random.default_rng(6).standard_normal((FEATURES, DIM))


def stacked(e):
    """Own token and partner: (..., N, d) as (..., N, N, 2d)."""
    return np.concatenate(np.broadcast_arrays(e[..., :, None, :], e[..., None, :, :]), -1)


def derivative(box, axes):
    """The enclosure T ± (|T'| r + ½ Σ |A ω| (|ω| r)²), or by the ranges of waves: middle, reach.

    For every pair of tokens, (B, N, N, d), in float64.
    """
    c, r = box.lo / 2 + box.hi / 2, box.hi / 2 - box.lo / 2
    c, r = stacked(c), stacked(r)
    angle, turn = c @ OMEGA + PHASE, r @ np.abs(OMEGA)
    weight = WEIGHT * np.prod(OMEGA[list(axes)], 0)[:, None]
    j, turns = len(axes), math.pi / 2
    wave, slope = np.cos(angle + j * turns), np.cos(angle + (j + 1) * turns)
    centre, size = wave @ weight, np.abs(weight)
    steep = np.abs(np.einsum("...f,fd,af->...ad", slope, weight, OMEGA))
    linear = np.einsum("...a,...ad->...d", r, steep) + turn**2 / 2 @ size
    each = np.minimum(np.abs(slope) * turn + turn**2 / 2, 2.0) @ size
    return centre, np.minimum(linear, each)


def called(x):
    return pair_cosines(x, OMEGA[:DIM], OMEGA[DIM:], PHASE, WEIGHT)


def boxes(half, count=4, tokens=2, seed=7):
    rng = np.random.default_rng(seed)
    shape = (count, tokens, DIM)
    at, side = rng.random(shape), half * rng.uniform(0.5, 1, shape)
    return Interval(at - side, at + side)


def close(found, middle_, reach, rel=1e-9):
    """The enclosure has this middle and half width."""
    size = rel * (1 + np.abs(middle_) + reach)
    assert (np.abs(found.lo - (middle_ - reach)) <= size).all()
    assert (np.abs(found.hi - (middle_ + reach)) <= size).all()


@pytest.mark.parametrize("half", [1e-6, 1e-2, 0.3, 3.0])
def test_features_have_the_values_slopes_and_gains_of_the_docstring(half):
    box = boxes(half)
    middle_, reach = (e.mean(2) for e in derivative(box, ()))
    jet, gain = called(variables(box)), called(grouped_variables(box))
    for value in (called(box), jet.value, gain.value):
        close(value, middle_, reach)
    parts = [derivative(box, (a,)) for a in range(2 * DIM)]
    slopes = np.zeros((2, 2 * DIM, *box.shape))
    for n in range(2):
        for a, part in enumerate(parts):  # of u_a: the own token or the partner
            for m in range(2):
                token = n if a < DIM else m
                for e, end in enumerate(part):
                    slopes[e, token * DIM + a % DIM, :, n] += end[:, n, m] / 2
    close(jet.slope, slopes[0], slopes[1])
    largest = [np.abs(c) + r for c, r in parts]
    for i in range(DIM):
        close(
            Interval(gain.gain[i]),
            sum(largest[a] for a in range(2 * DIM) if a % DIM == i).mean(2),
            0.0,
        )


@pytest.mark.parametrize("half", [1e-6, 1e-2, 0.3])
@pytest.mark.parametrize("bent", [0.0, 1.0])
def test_features_have_the_curvatures_of_the_docstring(half, bent):
    """By the slopes and the curvature of x, which need not be the input itself."""
    box, rng = boxes(half), np.random.default_rng(8)
    slopes, bends = (rng.standard_normal((k, *box.shape)) for k in (WAYS, PAIRS))
    found = called(Curved(Jet(box, Interval(slopes)), Interval(bent * bends)))
    g, h = stacked(slopes), stacked(bent * bends)
    middle_, reach = np.zeros((2, PAIRS, *box.shape))
    slope = np.zeros((2, WAYS, *box.shape))
    for a in range(2 * DIM):
        c, r = derivative(box, (a,))
        part = h[..., a : a + 1]
        slope += [(g[..., a : a + 1] * c).mean(3), (np.abs(g[..., a : a + 1]) * r).mean(3)]
        middle_, reach = middle_ + (part * c).mean(3), reach + (np.abs(part) * r).mean(3)
        for b in range(a, 2 * DIM):
            c, r = derivative(box, (a, b))
            part = g[FIRST][..., a : a + 1] * g[SECOND][..., b : b + 1]
            if a != b:
                part = part + g[SECOND][..., a : a + 1] * g[FIRST][..., b : b + 1]
            middle_, reach = middle_ + (part * c).mean(3), reach + (np.abs(part) * r).mean(3)
    close(found.jet.slope, *slope)
    close(found.curvature, middle_, reach)


def test_a_curvature_of_x_that_may_be_none_counts():
    box, rng = boxes(1e-2), np.random.default_rng(8)
    jet = Jet(box, Interval(rng.standard_normal((WAYS, *box.shape))))
    shape = (PAIRS, *box.shape)
    bends = np.where(rng.random(shape) < 0.5, rng.random(shape), 0.0)
    plain = called(Curved(jet, Interval(0 * bends))).curvature
    for turn in (Interval(0 * bends, bends), Interval(-bends, 0 * bends)):
        found = called(Curved(jet, turn)).curvature
        lo, hi = plain.lo, plain.hi
        for a in range(2 * DIM):
            c, r = derivative(box, (a,))
            ends = [stacked(e)[..., a : a + 1] for e in (turn.lo, turn.hi)]
            products = [end * (c + sign * r) for end in ends for sign in (-1, 1)]
            lo = lo + np.minimum.reduce(products).mean(3)
            hi = hi + np.maximum.reduce(products).mean(3)
        close(found, (lo + hi) / 2, (hi - lo) / 2)


def test_gains_of_features_are_rounded_up():
    """Means over partners of the largest slopes, added without rounding."""
    box = boxes(0.3, count=20)
    features = _Features(box, OMEGA, PHASE, WEIGHT)
    found = called(grouped_variables(box)).gain
    sizes = [numbers(features.derivative((a,)).magnitude) for a in range(2 * DIM)]
    for i in range(DIM):
        exact = (sizes[i] + sizes[DIM + i]).sum(2) / 2
        assert not misfit(Interval(0 * found[i], found[i]), Exact(0 * exact, exact), 32)


def test_no_boxes_have_no_features():
    none = Interval(np.zeros((0, 2, DIM)))
    assert called(none).shape == (0, 2, DIM)
    assert called(variables(none)).slope.shape == (2 * DIM, 0, 2, DIM)


def exact_derivative(x, n, m, axes):
    """Σ_k A_k ω_k^(axes) cos^(j)(ω_k · u + φ_k), 300 bits, d numbers."""
    u = numbers(np.concatenate([x[n], x[m]]))
    omega, found = numbers(OMEGA), 0
    for k in range(FEATURES):
        angle = u @ omega[:, k] + mpmath.mpf(PHASE[k])
        wave = [mpmath.cos(angle), -mpmath.sin(angle), -mpmath.cos(angle), mpmath.sin(angle)]
        factor = wave[len(axes) % 4] * math.prod(omega[list(axes), k])
        found = found + numbers(WEIGHT[k]) * factor
    return found


@pytest.mark.parametrize("axes", [(), (0,), (3,), (1, 1), (0, 2)])
def test_features_at_points_hold_the_exact_ones_within_their_roundings(axes):
    """Of the sum of F products, of a cosine, and of its angle, a sum of 2d products."""
    x = boxes(0.0, count=20).lo
    found = _Features(Interval(x), OMEGA, PHASE, WEIGHT).derivative(axes)
    pairs = np.concatenate(np.broadcast_arrays(x[:, :, None], x[:, None]), -1)
    angle = 1 + np.abs(pairs @ OMEGA + PHASE).max()
    loose = EPS * (FEATURES + LIBM_ULPS + 4 + (2 * DIM + 2) * angle)
    most = 2 * loose * np.abs(WEIGHT * np.prod(OMEGA[list(axes)], 0)[:, None]).sum(0)
    assert (np.abs(found.width / most - 1) < 0.05).all()  # and the rounding of the ends
    assert abs((found.width / most).mean() - 1) < 0.005
    for b, n, m in np.ndindex(20, 2, 2):
        exact = exact_derivative(x[b], n, m, axes)
        assert (found.lo[b, n, m] <= exact).all()
        assert (exact <= found.hi[b, n, m]).all()
