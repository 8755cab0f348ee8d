"""Bounds carried between radii against exact rationals: never on the wrong side, and near."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from looprate.theory.continuity.transfer import (
    lower_from,
    pieces,
    strengthened_lower_bounds,
    upper_from,
)


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


def test_the_best_transfer_is_taken_whatever_the_order():
    known = [(0.4, 5.0), (0.0, 0.0), (0.1, 1.0), (0.9, 8.0), (0.01, math.inf)]
    for some in (known, known[::-1]):
        assert upper_from(0.25, some) == (3.0, "subadditive")
        assert upper_from(0.05, some) == (1.0, "monotone")
        assert upper_from(0.4, some) == (4.0, "subadditive")
        assert upper_from(0.9, some) == (8.0, "monotone")
    assert upper_from(0.4, [(0.4, 5.0)]) == (5.0, "monotone")
    assert upper_from(0.4, []) == (math.inf, "direct")
    assert upper_from(0.4, [(0.0, 1.0)]) == (math.inf, "direct")
    assert upper_from(1.0, [(0.1, 1e308)])[0] == math.inf
    known = [(0.4, 4.0), (0.1, 1.5), (0.05, 0.0)]
    for some in (known, known[::-1]):
        assert lower_from(0.2, some) == (2.0, 0.4)
        assert lower_from(0.1, some) == (1.5, 0.1)
        assert lower_from(0.9, some) == (4.0, 0.4)
        assert lower_from(0.05, some)[0] == pytest.approx(0.75)
        assert lower_from(0.0, some) == (0.0, None)
    assert lower_from(0.01, [(0.05, 0.0)]) == (0.0, None)
    carried, source = lower_from(0.05, [(0.1, math.inf)])  # an overflow says: beyond all floats
    assert (carried < math.inf, carried > 1e307, source) == (True, True, 0.1)


def test_curves_say_where_their_values_come_from():
    lower, rules, sources = strengthened_lower_bounds([0.1, 0.2, 0.4, 0.8], [0.5, 2.0, 1.0, 3.0])
    assert lower.tolist() == [1.0, 2.0, 2.0, 3.0]
    assert rules == ("subadditive", "pair", "monotone", "pair")
    assert sources.tolist() == [0.2, 0.2, 0.2, 0.8]
    with pytest.raises(ValueError, match="shape"):
        strengthened_lower_bounds([0.1], [0.5, 1.0])
    for bad in ((0.1, 0.0), (-0.1, 1.0), (math.inf, 1.0), (0.1, math.nan)):
        with pytest.raises(ValueError, match="`radius` must be finite"):
            pieces(*bad)
