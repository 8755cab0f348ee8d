"""Derivatives as affine functions on boxes: they hold on the box, and are close on small ones."""

from __future__ import annotations

import numpy as np
import pytest
from mpmath import mp

from looprate.theory.enclosure import cosine_expansion
from looprate.theory.enclosure.cosines import pair_cosines
from looprate.theory.enclosure.expanded import expanded_variables
from looprate.theory.enclosure.forms import evaluated
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.jets import variables
from looprate.theory.targets import parse_target

FIELD = parse_target("smooth-field:features=6,seed=3")


def mixed(x):
    """Sums, constants, slices and means of inputs and of a field."""
    return 0.5 * FIELD(x) - x[:, ::-1] * np.array([[2.0], [0.3]]) + x.mean(1, keepdims=True) / 3 + 1


def boxes(tokens, dim, side, count=12):
    low = np.random.default_rng(tokens).random((count, tokens, dim)) * (1 - side)
    return Interval(low, low + side)


def exceeded(f, box):
    """The most by which derivatives at points exceed their affine enclosure on the box."""
    found, rng, worst = evaluated(f, expanded_variables(box)), np.random.default_rng(5), -np.inf
    for _ in range(40):
        share = rng.choice([0.0, 1.0, 0.5, rng.random()], box.shape)
        point = np.clip(box.lo + share * (box.hi - box.lo), box.lo, box.hi)
        slopes = evaluated(f, variables(Interval(point))).slope
        moved = (point - box.middle()).reshape(len(point), -1)
        line = found.start + np.einsum("kibnd,bi->kbnd", found.turn, moved)
        off = np.maximum(slopes.lo - line, line - slopes.hi)
        worst = max(worst, float((off - found.loose).max()))
    return worst


def flat(x):
    """Two waves whose third derivatives cancel in the middle of the cube: the fifth remains."""
    omega = np.array([[3.0, 6.0]])
    return pair_cosines(x, omega, 0 * omega, np.pi / 2 - omega[0] / 2, np.array([[8.0], [-1.0]]))


@pytest.mark.parametrize("f", [FIELD, mixed])
@pytest.mark.parametrize("side", [0.0, 0.05, 0.3, 1.0])
def test_derivatives_lie_within(f, side):
    for tokens, dim in ((2, 1), (2, 2)):
        assert exceeded(f, boxes(tokens, dim, side)) <= 1e-12


@pytest.mark.parametrize("name", ["bent", "remainder", "at"])
def test_one_wrong_step_is_caught(monkeypatch, name):
    right = getattr(cosine_expansion._Terms, name)

    def wrong(*inputs, **settings):
        made = right(*inputs, **settings)
        return [0.9 * part for part in made] if name == "at" else 0.0 * made

    monkeypatch.setattr(cosine_expansion._Terms, name, wrong)
    middle = Interval([[[0.4]]], [[[0.6]]])
    assert max(exceeded(FIELD, boxes(2, 2, 0.05)), exceeded(flat, middle)) > 1e-12


def test_the_controls_are_right_when_nothing_is_broken():
    assert exceeded(flat, Interval([[[0.4]]], [[[0.6]]])) <= 1e-12


def test_what_is_left_out_falls_with_the_third_power_beyond_the_quadratic_terms():
    for tokens, dim in ((2, 1), (2, 2), (3, 1)):
        wide, half = (
            evaluated(FIELD, expanded_variables(boxes(tokens, dim, side))).loose.max()
            for side in (0.04, 0.02)
        )
        assert 3.5 < wide / half < 4.7


def test_one_derivative_against_fifty_digits():
    """The mean over two tokens of A cos(a x_n + b x_m + φ), d = 1, along both inputs."""
    own, other, phase, weight = (np.array(v) for v in ([[7.3]], [[-4.1]], [0.4], [[1.7]]))
    point = np.array([[[0.3], [0.8]]])
    found = cosine_expansion.expanded_pair_cosines(Interval(point), own, other, phase, weight)
    with mp.workdps(50):
        a, b, phi, size, x, y = map(mp.mpf, (7.3, -4.1, 0.4, 1.7, 0.3, 0.8))
        same, mixed_ = mp.sin((a + b) * x + phi), mp.sin(a * x + b * y + phi)
        exact = (-size / 2 * ((a + b) * same + a * mixed_), -size / 2 * b * mixed_)
        for k, value in enumerate(exact):
            assert abs(found.start[k, 0, 0, 0] - value) <= found.loose[k, 0, 0, 0] < 1e-12


def test_wide_boxes_fall_back_on_the_size_of_all_terms():
    found = evaluated(FIELD, expanded_variables(Interval(np.zeros((1, 2, 1)), np.ones((1, 2, 1)))))
    _, _, _, weight = FIELD._features(1)
    most = np.abs(weight).sum() * 30
    assert (found.loose < most).all()
    steep = parse_target("smooth-field:length=0.00001,features=6")
    wide = evaluated(steep, expanded_variables(Interval(np.zeros((1, 2, 1)), np.ones((1, 2, 1)))))
    assert np.isfinite(wide.loose).all()


@pytest.mark.parametrize(
    "f",
    [np.sin, lambda x: x * x, lambda x: x / (1 + x), lambda x: x**2, lambda x: np.maximum(x, 0.5)],
)
def test_what_has_no_expansion_is_refused(f):
    with pytest.raises(ValueError, match="has no expansion here"):
        evaluated(f, expanded_variables(boxes(2, 1, 0.1)))


def test_a_field_of_anything_but_the_inputs_is_refused():
    with pytest.raises(ValueError, match="only the inputs themselves"):
        evaluated(lambda x: FIELD(0.5 * x), expanded_variables(boxes(2, 1, 0.1)))
