"""The bounds of the worst case at their limits: one loop, tiny classes, many signs, two counts."""

import math
import random

import numpy as np
import pytest

import looprate
from looprate.theory.bounds.bumps import Bumps
from looprate.theory.bounds.lower import _at_grid, bump_norm
from looprate.theory.bounds.pattern_count import interval_context, log2_patterns, parameter_count
from looprate.theory.bounds.upper import worst_case_error_upper_bound


@pytest.mark.parametrize("p", [1.0, 3.0])
@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
def test_with_far_more_signs_than_patterns_the_bound_is_the_error_of_zero(p, family):
    """It cannot be larger: the network that is 0 errs by the norm of f, which is returned then."""
    size = looprate.NetworkSize(rows=2, width=1, heads=1, family=family)
    shape = {"tokens": 2, "dim": 1}
    norm = bump_norm(2**18, p=p, holder=0.7, **shape)
    found = _at_grid(2**18, 3, 2, 1, p, 1.0, 0.7, size)
    assert 0.99 * norm < found.value < norm
    assert _at_grid(2, 3, 2, 1, p, 1.0, 0.7, size) is None  # two signs: every network may be right


@pytest.mark.parametrize("seed", range(6))
def test_the_count_grows_with_every_resource(seed):
    rng, ctx = random.Random(seed), interval_context()
    names = ("rows", "width", "heads", "head_size")
    numbers = {name: rng.randint(1, 30) for name in names}
    family, tokens, dim = rng.choice(["lt", "tmlt", "untied"]), rng.randint(1, 5), rng.randint(1, 3)
    loops, inputs = rng.randint(1, 10**4), 10 ** rng.randint(0, 12)

    def count(r, n, **more):
        size = looprate.NetworkSize(**(numbers | more), family=family)
        return log2_patterns(size, r, n, tokens=tokens, dim=dim, context=ctx).b

    base = count(loops, inputs)
    assert base < count(loops + 1, inputs)
    assert base <= count(loops, 2 * inputs)
    assert all(base < count(loops, inputs, **{name: numbers[name] + 1}) for name in names)
    assert math.isfinite(float(base))


def test_the_count_of_paths_with_a_network_of_eta_by_hand():
    """g = 5 + l, and its units branch once a loop: N = d = 1, 3 hidden layers, 4 units, r = 50."""
    network = looprate.EtaNetwork(parameters=9, units=4, depth=3)
    size = looprate.NetworkSize(rows=1, width=1, heads=1, family="tmlt", eta_network=network)
    weights, g, r = 16 + 9, 5 + 3, 50
    found = log2_patterns(size, r, 5, tokens=1, dim=1).b
    polynomials = math.log2(5 * (1 + 1)) + r * (1 + 4)
    expected = 1 + weights * (math.log2(2 * math.e * 2 * g * r / weights) + polynomials)
    assert float(found) == pytest.approx(expected, rel=1e-12)


def test_twenty_bits_are_kept_spare():
    """H(α) <= 1 - (log2 Γ + 20)/K, nearly equal; W = 22 weights of a bit, K = 2 C(32, 2) signs."""
    size = looprate.NetworkSize(rows=1, width=3, heads=1, weight_bits=1)
    found = _at_grid(32, 4, 2, 1, 1.0, 1.0, 1.0, size)
    assert (found.signs, found.pattern_bits) == (992, pytest.approx(22))
    entropy = -sum(share * math.log2(share) for share in (found.share, 1 - found.share))
    assert entropy == pytest.approx(1 - (22 + 20) / 992, abs=1e-9)


def test_a_class_too_small_for_float64_has_the_bound_0():
    shape = {"tokens": 2, "dim": 1, "lipschitz": 1e-320}
    assert looprate.worst_case_error_lower_bound(9, **shape).value == 0.0
    assert 0.0 <= worst_case_error_upper_bound(9, **shape).total < 1e-318


@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
def test_a_class_without_smoothness_is_bounded_by_nearly_half_its_oscillation(family):
    size = looprate.NetworkSize.of_constructions(1, family=family)
    shape = {"tokens": 2, "dim": 1, "p": 400.0, "holder": 1e-9}
    assert 0.495 < looprate.worst_case_error_lower_bound(100, size=size, **shape).value < 0.5


@pytest.mark.parametrize(("n", "d"), [(1, 2), (2, 3), (3, 2)])
def test_the_count_loop_by_loop_by_hand(n, d):
    """One loop of many units: n q N signs of units, n h N²(N-1) of scores, n N d of outputs."""
    size = looprate.NetworkSize(rows=2, width=10**4, heads=2)
    weights, inputs = parameter_count(size, 1, dim=d), 10**6

    def log2_vectors(many, degree):
        return 1 + weights * math.log2(2 * math.e * max(many, weights) * degree / weights)

    expected = log2_vectors(inputs * 10**4 * n, 4) + log2_vectors(inputs * n * d, 6)
    if n > 1:
        expected += log2_vectors(inputs * 2 * n * n * (n - 1), 8)
    found = log2_patterns(size, 1, inputs, tokens=n, dim=d)
    assert float(found.b) == pytest.approx(expected, rel=1e-12)


def test_bumps_of_too_many_signs_or_no_box_are_refused_before_they_are_drawn():
    rng = np.random.default_rng(0)
    for grid, tokens in ((2237, 1), (1, 2)):  # 2 · 2237² is just above 10^7
        with pytest.raises(ValueError, match="at most 10,000,000 signs"):
            Bumps.random(grid, tokens=tokens, dim=2, rng=rng)
    assert Bumps.random(2, tokens=4, dim=2, rng=rng).signs.shape == (1, 4, 2)


@pytest.mark.parametrize(
    ("family", "memoriser", "coding"),
    [("lt", "timestep", None), ("lt", "increments", "rank"), ("tmlt", "increments", "rank")],
)
def test_constructions_that_a_family_has_not_or_that_bound_nothing_are_refused(
    family, memoriser, coding
):
    with pytest.raises(ValueError, match=f"`memoriser` must be one that {family} has"):
        worst_case_error_upper_bound(
            9, tokens=2, dim=1, family=family, memoriser=memoriser, coding=coding
        )
