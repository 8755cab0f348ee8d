"""Certified upper bounds: never below what is attained or proven, close, and valid at any time."""

from __future__ import annotations

import math
import time
from itertools import product

import numpy as np
import pytest

from cases.pairs import lower_of_pairs, pair_values, random_pairs, row_of
from cases.targets import EXAMPLES, KINDS
from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.continuity.lower.bound import ModulusLowerBound
from looprate.theory.continuity.upper import branching
from looprate.theory.gate import Contradiction
from looprate.theory.targets import parse_target

ROUNDING = 1e-9  # relative
NOISE = 1e-12  # absolute
P_VALUES = (1.0, 2.0, math.inf, 1.5, 3.0)
SHAPES = ((1, 1), (2, 1), (3, 1), (2, 2))
DELTAS = (0.02, 0.1, 0.5)
CLOSE = ("token-power", "token-sine", "mean-field", "dial", "context-max", "token-times-mean")


def denied(name, *, kind, tokens, dim, delta, p, seconds, pairs=2000, tolerance=0.02):
    """Tell whether a bound is below a closed form, a random pair or an optimised one."""
    f, case = parse_target(name), {"kind": kind, "tokens": tokens, "dim": dim}
    lower = lower_of_pairs(f, delta, p=p, **case)
    more = {"seconds": seconds, "tolerance": tolerance, "lower": lower}
    found = modulus_upper_bound(f, delta, p=p, **more, **case)
    x, y = random_pairs(np.random.default_rng(1), pairs, delta, **case)
    least = max(lower.value, pair_values(f, x, y, row=row_of(kind), p=p).max())
    form = f.closed_form(delta, p=p, **case)
    least = max(least, form.value) if form.side == "exact" else least
    return found.value < least * (1 - ROUNDING) - NOISE


@pytest.mark.parametrize("name", EXAMPLES)
def test_bounds_hold_however_early_the_search_ends(name):
    """Two cases each; the slow twin tries every one."""
    every = list(product(KINDS, SHAPES, DELTAS, P_VALUES))
    for k in range(2):
        kind, (tokens, dim), delta, p = every[(31 * EXAMPLES.index(name) + 67 * k) % len(every)]
        case = {"kind": kind, "tokens": tokens, "dim": dim, "delta": delta, "p": p}
        assert not denied(name, seconds=0.01, tolerance=0.3, **case), case


@pytest.mark.slow
@pytest.mark.parametrize("p", P_VALUES)
@pytest.mark.parametrize("name", EXAMPLES)
def test_bounds_hold_for_every_kind_shape_and_radius(name, p):
    for kind, (tokens, dim), delta in product(KINDS, SHAPES, DELTAS):
        case = {"kind": kind, "tokens": tokens, "dim": dim, "delta": delta, "p": p}
        assert not denied(name, seconds=0.2, pairs=10_000, **case), case


@pytest.mark.parametrize(
    "name",
    ["smooth-field:features=5", pytest.param("softmax-attention", marks=pytest.mark.slow)],
)
def test_a_hundred_thousand_pairs_and_optimised_ones_stay_below(name):
    f, case = parse_target(name), {"kind": "sequence", "tokens": 2, "dim": 1}
    lower = modulus_lower_bound(f, 0.2, effort=0.2, **case)
    found = modulus_upper_bound(f, 0.2, seconds=0.2, lower=lower, **case)
    x, y = random_pairs(np.random.default_rng(2), 100_000, 0.2, **case)
    assert pair_values(f, x, y, row=None, p=2.0).max() <= found.value
    assert found.lower.value <= found.value


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("name", "shape", "gap"),
    [(name, shape, 0.02) for name in CLOSE for shape in ((2, 1), (2, 2), (4, 1))]
    + [(name, shape, 0.1) for name in CLOSE for shape in ((3, 2), (6, 1))]
    + [(name, (2, 1), 0.02) for name in ("softmax-attention", "smooth-field")],
)
def test_bounds_are_close(name, shape, gap, kind):
    case = {"kind": kind, "tokens": shape[0], "dim": shape[1]}
    found = modulus_upper_bound(parse_target(name), 0.1, seconds=20, tolerance=gap, **case)
    assert found.gap <= gap * (1 + ROUNDING), found
    assert found.reached


def uneven(x):
    """Steeper in the last token: not equivariant, with a kink and a largest entry."""
    steep = np.arange(1.0, x.shape[1] + 1)[:, None]
    return steep * np.maximum(x, 0.3) + abs(x - 0.5) + x.max(1, keepdims=True)


def test_every_token_is_watched_unless_equivariance_is_promised():
    case = {"kind": "token", "tokens": 3, "dim": 1, "seconds": 1.0}
    every = modulus_upper_bound(uneven, 0.1, equivariant=False, **case)
    promised = modulus_upper_bound(uneven, 0.1, equivariant=True, **case)
    assert 0.5 <= every.value <= 0.5 * 1.03  # 3 + 1 + 1 times 0.1
    assert promised.value <= 0.3 * 1.03  # the first token alone: 1 + 1 + 1


@pytest.mark.parametrize("tolerance", [0.02, 0.1])
def test_reached_is_a_gap_within_the_tolerance_itself(tolerance):
    """Of 2x, whose modulus 2 delta no bound is below, against lower bounds that leave a gap."""
    case = {"kind": "sequence", "tokens": 1, "dim": 1, "seconds": 0.05, "tolerance": tolerance}
    x, y = np.zeros((1, 1)), np.full((1, 1), 0.1)
    for share in (0.5, 0.98, 1.05, 1.5, 1.98, 2.5):
        value = 0.2 / (1 + share * tolerance)
        lower = ModulusLowerBound("sequence", 0.1, value, x, y, 2.0, None)
        found = modulus_upper_bound(lambda x: 2.0 * x, 0.1, lower=lower, **case)
        assert 0.2 <= found.value <= 0.2 * (1 + 1e-6)
        assert found.gap == pytest.approx(share * tolerance, rel=1e-3)
        assert found.reached == (share < 1), share
        assert ("before the gap was closed" in found.note) == (share > 1)
        assert "0 up to rounding" not in found.note


def test_what_has_no_enclosure_is_refused():
    with pytest.raises(ValueError, match="no rigorous enclosure"):
        modulus_upper_bound(np.floor, 0.1, kind="token", tokens=2, dim=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"p": 0.5}, "`p`"),
        ({"kind": "both"}, "`kind`"),
        ({"tokens": 0}, "`tokens`"),
        ({"delta": 0.3}, "`lower` must be of the radii `delta`"),
    ],
)
def test_bad_arguments_are_refused(wrong, said):
    f, case = parse_target("mean-field"), {"kind": "token", "tokens": 2, "dim": 1, "p": 2.0}
    lower = lower_of_pairs(f, 0.1, **case)
    with pytest.raises(ValueError, match=said):
        modulus_upper_bound(f, **({"delta": 0.1, "lower": lower} | case | wrong))


def test_cells_bounded_a_tenth_too_low_are_caught(monkeypatch):
    case = {"kind": "sequence", "tokens": 2, "dim": 1, "delta": 0.1, "p": 2.0, "seconds": 0.5}
    assert not denied("token-times-mean", **case)
    right = branching.cell_bounds

    def low(*inputs):
        bounds, sides, cells = right(*inputs)
        return bounds * 0.9, sides, cells

    monkeypatch.setattr(branching, "cell_bounds", low)
    with pytest.raises(Contradiction):  # the gate's word for it
        denied("token-times-mean", **case)


def test_counted_in_boxes_bounds_are_the_same_on_a_slow_machine():
    def bent(x):
        return np.sin(5 * x) * x.mean(axis=1, keepdims=True)

    def slow(x):
        time.sleep(0.01)
        return bent(x)

    case = {"kind": "sequence", "tokens": 2, "dim": 1, "p": 1.0}
    lower = modulus_lower_bound(bent, [1e-3, 0.1, 0.4], effort=0.1, **case)
    fast, again = (
        modulus_upper_bound(f, [1e-3, 0.1, 0.4], lower=lower, boxes=1500, **case)
        for f in (bent, slow)
    )
    assert fast.upper.tolist() == again.upper.tolist()
    assert sum(bound.boxes for bound in fast.bounds) <= 1500 + 3 * 600  # the first boxes of a grid
    more = modulus_upper_bound(bent, [1e-3, 0.1, 0.4], lower=lower, boxes=6000, **case)
    assert (more.upper <= fast.upper).all()
    assert (more.upper < fast.upper).any()
