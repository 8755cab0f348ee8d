"""Bounds carried between radii: the ends of the rules, and what no rule says anything about."""

from __future__ import annotations

import math
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from looprate.theory.continuity import transfer
from looprate.theory.continuity.transfer import (
    lower_from,
    pieces,
    strengthened_lower_bounds,
    upper_from,
)

LARGEST = sys.float_info.max
RADII = st.floats(1e-6, 1.0)


@given(radius=RADII, step=RADII)
def test_pieces_are_the_least_number_that_reaches(radius, step):
    k = pieces(radius, step)
    assert k * Fraction(step) >= Fraction(radius)
    assert k == 1 or (k - 1) * Fraction(step) < Fraction(radius)


@given(step=st.floats(1e-9, 1e-3), k=st.integers(1, 999), ulps=st.integers(-1, 1))
def test_pieces_are_exact_where_radii_are_next_to_multiples(step, k, ulps):
    radius = k * step
    for _ in range(abs(ulps)):
        radius = math.nextafter(radius, math.inf * ulps)
    assert pieces(radius, step) == max(1, math.ceil(Fraction(radius) / Fraction(step)))


@given(
    known=st.lists(st.tuples(RADII, st.floats(0.0, 2.0)), min_size=1, max_size=5),
    delta=RADII,
)
def test_transfers_never_say_more_than_follows_and_as_much_as_follows(known, delta):
    low, source = lower_from(delta, known)
    exact = max(
        Fraction(v) / (1 if s <= delta else math.ceil(Fraction(s) / Fraction(delta)))
        for s, v in known
    )
    assert Fraction(low) <= exact
    assert low >= float(exact) * (1 - 1e-15)
    assert (source is None) == (low == 0)
    high, _ = upper_from(delta, known)
    exact = min(
        Fraction(v) * (1 if delta <= s else math.ceil(Fraction(delta) / Fraction(s)))
        for s, v in known
    )
    assert Fraction(high) >= exact
    assert high <= float(exact) * (1 + 1e-15)


@pytest.mark.parametrize("power", [0.1, 0.5, 1.0])
@given(radii=st.lists(RADII, min_size=1, max_size=6), delta=RADII)
def test_transfers_of_a_true_modulus_stay_on_their_side(power, radii, delta):
    known = [(r, r**power) for r in radii]
    assert lower_from(delta, known)[0] <= delta**power * (1 + 1e-12)
    assert upper_from(delta, known)[0] >= delta**power * (1 - 1e-12)


def test_transfers_between_multiples_lose_nothing():
    assert lower_from(0.25, [(1.0, 4.0)]) == (1.0, 1.0)
    assert upper_from(1.0, [(0.25, 1.0)]) == (4.0, "subadditive")
    assert lower_from(math.nextafter(0.25, 0), [(1.0, 4.0)])[0] == math.nextafter(0.8, 0)
    assert upper_from(math.nextafter(1.0, 2), [(0.25, 1.0)])[0] == 5.0
    assert lower_from(0.0, [(0.5, 1.0)]) == (0.0, None)
    assert upper_from(0.5, [(0.0, 0.0), (0.1, math.inf)]) == (math.inf, "direct")
    lower, rules, sources = strengthened_lower_bounds([0.25, 1.0, 2.0], [0.0, 4.0, 1.0])
    assert lower.tolist() == [1.0, 4.0, 4.0]
    assert rules == ("subadditive", "pair", "monotone")
    assert sources.tolist() == [1.0] * 3
    assert lower_from(1e-300, [(1.0, 1e-320)])[0] == 0
    assert upper_from(1e300, [(1e-300, 1.0)]) == (math.inf, "direct")


def test_pieces_are_counted_from_1_and_for_finite_radii_alone():
    assert [pieces(radius, 0.25) for radius in (0.0, 0.1, 0.25, 0.3, 1.0)] == [1, 1, 1, 2, 4]
    for bad in ((-1.0, 1.0), (1.0, 0.0), (1.0, -1.0), (math.inf, 1.0), (1.0, math.inf)):
        with pytest.raises(ValueError, match="finite"):
            pieces(*bad)
    assert pieces(0.0, 5e-324) == 1


def test_no_bound_counts_for_more_than_it_says():
    """At the same radius or a larger one as it is, at a smaller one by pieces, at 0 nothing."""
    for lower in (0.0, 1.0, 3.0):
        assert transfer._carried_down(0.5, 0.5, lower) == lower
        assert transfer._carried_down(0.5, 0.1, lower) == lower
        assert transfer._carried_down(0.5, 1.5, lower) == lower / 3
        assert transfer._carried_down(0.0, 0.5, lower) == 0
        assert transfer._carried_down(0.0, 0.0, lower) == lower
    assert transfer._carried_down(0.5, 0.1, math.inf) == math.inf
    assert transfer._carried_down(0.5, 1.0, math.inf) == LARGEST / 2
    assert lower_from(0.4, [(0.1, math.inf)]) == (math.inf, 0.1)
    assert lower_from(0.4, []) == (0.0, None)


def test_the_first_of_equal_bounds_is_named():
    assert lower_from(0.4, [(0.1, 1.0), (0.2, 1.0), (0.3, 0.5)]) == (1.0, 0.1)
    assert upper_from(0.4, [(0.2, 0.5), (0.5, 1.0)]) == (1.0, "subadditive")
    assert upper_from(0.4, [(0.5, 1.0), (0.2, 0.5)]) == (1.0, "monotone")


def test_radii_that_say_nothing_do_not_hide_those_after_them():
    for nothing in ((0.0, 0.0), (-1.0, 0.0), (0.5, math.inf)):
        assert upper_from(0.4, [nothing, (0.5, 1.0)]) == (1.0, "monotone")
        assert upper_from(0.4, [nothing]) == (math.inf, "direct")
    assert upper_from(0.4, [(0.5, 0.0)]) == (0.0, "monotone")
    assert upper_from(0.4, [(0.1, 0.0)]) == (0.0, "subadditive")
    assert lower_from(0.4, [(0.8, 0.0), (0.8, 1.0)]) == (0.5, 0.8)


def test_pairs_of_more_than_two_to_the_16_pieces_are_left_to_others():
    for share, carried in ((2.0**-16, True), (2.0**-16 * (1 - 2.0**-50), False)):
        lower, rules, sources = strengthened_lower_bounds([1.0, share], [2.0**16, 0.0])
        assert lower.tolist() == [2.0**16, 1.0 if carried else 0.0]
        assert rules == ("pair", "subadditive" if carried else "pair")
        assert sources.tolist() == [1.0, 1.0 if carried else share]


def test_bounds_of_a_pair_stay_its_own_unless_another_is_better():
    lower, rules, sources = strengthened_lower_bounds([0.1, 0.1, 0.2], [1.0, 1.0, 1.0])
    assert lower.tolist() == [1.0] * 3
    assert rules == ("pair",) * 3
    assert sources.tolist() == [0.1, 0.1, 0.2]
    lower, rules, sources = strengthened_lower_bounds([0.1, 0.1], [1.0, 2.0])
    assert lower.tolist() == [2.0, 2.0]
    assert rules == ("monotone", "pair")
    lower, rules, sources = strengthened_lower_bounds([0.0, 0.1], [0.0, 2.0])
    assert lower.tolist() == [0.0, 2.0]
    assert rules == ("pair", "pair")
    assert sources.tolist() == [0.0, 0.1]
    for wrong in (([0.1], [1.0, 2.0]), ([[0.1]], [[1.0]]), (0.1, 1.0)):
        with pytest.raises(ValueError, match="must both have shape"):
            strengthened_lower_bounds(*wrong)
    whole = strengthened_lower_bounds([4, 1], [2, 0])
    assert [part.dtype.kind for part in (whole[0], whole[2])] == ["f", "f"]
    assert whole[0].tolist() == [2.0, 0.5]
    none = strengthened_lower_bounds([], [])
    assert (len(none[0]), none[1], len(none[2])) == (0, (), 0)


def test_sums_are_rounded_outward_at_the_ends_of_the_floats():
    third = np.float64(1.0) / 3
    assert upper_from(3.0, [(1.0, float(third))])[0] >= 1
    assert upper_from(3.0, [(1.0, LARGEST / 2)]) == (math.inf, "direct")
    assert upper_from(2.0, [(1.0, LARGEST / 2)]) == (LARGEST, "subadditive")
    assert upper_from(2.0, [(1.0, 5e-324)]) == (1e-323, "subadditive")
    assert lower_from(0.5, [(1.0, 5e-324)]) == (0.0, None)
    assert lower_from(0.5, [(1.0, 1e-323)]) == (5e-324, 1.0)


def radii():
    """Pairs of radii whose quotient is a whole number, or next to one, or anything."""
    rng = np.random.default_rng(3)
    for k in (1, 2, 3, 7, 10, 1000):
        for s in (0.1, 0.3, 1 / 3, 0.07, 1e-3, float(rng.random())):
            for t in (k * s, math.nextafter(k * s, 0), math.nextafter(k * s, 9e9)):
                yield t, s
    yield from rng.random((60, 2)).tolist()
    yield from ((0.5, 0.2), (1.0, 0.3), (1e-300, 1e-3), (2.0, 1.999))


def test_bounds_move_to_other_radii_by_whole_pieces_and_are_the_nearest_floats_outside():
    """w(t) <= k w(s) and w(s) >= w(t)/k for k = ceil(t/s), in fractions: no float is nearer."""
    for t, s in radii():
        k = math.ceil(Fraction(t) / Fraction(s))
        assert pieces(t, s) == max(k, 1)
        for value in (2.0, 0.1, 1e-320, 1e-200):
            found, rule = upper_from(t, [(s, value)])
            exact = Fraction(value) * max(k, 1)
            assert Fraction(found) >= exact
            assert found == value or Fraction(math.nextafter(found, 0)) < exact
            assert rule == ("monotone" if t <= s else "subadditive")
            low, source = lower_from(s, [(t, value)])
            exact = Fraction(value) / max(k, 1)
            assert Fraction(low) <= exact
            assert Fraction(math.nextafter(low, math.inf)) > exact
            assert source == t or low == 0
