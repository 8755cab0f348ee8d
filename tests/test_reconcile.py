"""Upper bounds beside lower ones: which is printed, which is refused, at both sides of each line.

Slacks here are a billionth of a value and a million-millionth of f's size; f is linear, so that
what is exact is known.
"""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from looprate.theory.continuity.lower.bound import ModulusLowerBound, ModulusLowerCurve
from looprate.theory.continuity.reconcile import (
    beside_closed_form,
    exact_difference_lower_bound,
    exceeds,
    reconciled,
    reconciled_at,
)
from looprate.theory.enclosure.soundness import NotCertifiedError
from looprate.theory.gate import Contradiction
from looprate.theory.targets import OwnFunction, parse_target
from looprate.theory.targets.base import ClosedForm

X = np.array([[0.25, 0.5], [0.5, 0.75]])
STEP = np.array([[0.05, 0.0], [0.02, -0.04]])  # of length 0.0671
DELTA = 0.1


def pair_of(x=X, y=X + STEP, *, value=0.0, delta=DELTA, p=2.0, row=None):
    return ModulusLowerBound("sequence", delta, value, np.array(x), np.array(y), p, row)


def scaled(factor, shift=0.0):
    return lambda x: factor * x + shift


# -- the exact difference at a pair ----------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, math.inf])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(("row", "rows"), [(None, [0, 1]), (0, [0]), (1, [1])])
def test_the_exact_difference_is_that_of_the_watched_rows(p, sign, row, rows):
    f = scaled(3.0, -2.0)
    found, size = exact_difference_lower_bound(f, pair_of(y=X + sign * STEP, p=p, row=row))
    exact = 3 * np.linalg.norm(STEP[rows].ravel(), p)
    assert exact * (1 - 3e-9) < found < exact * (1 - 5e-10)  # a billionth nearer
    ends = np.abs(np.stack([f(X), f(X + sign * STEP)]))
    assert size == pytest.approx(ends.max(), rel=1e-8)


def test_the_largest_size_is_of_either_sign_and_either_point():
    for shift, wanted in ((5.0, 5.79), (-5.0, 4.75)):
        assert exact_difference_lower_bound(scaled(1.0, shift), pair_of(y=X + 0.04))[1] == (
            pytest.approx(wanted)
        )
    assert exact_difference_lower_bound(scaled(-1.0), pair_of(y=X - 0.04))[1] == pytest.approx(0.75)


def test_pairs_count_only_exactly_within_their_radius():
    x = np.zeros((1, 2))
    for step, delta, kept in (
        ((0.06, 0.08), 0.1, True),  # rounding: a billionth nearer, they are within
        ((0.06, 0.08), 0.1 * (1 - 5e-10), True),
        ((0.06, 0.08), 0.1 * (1 - 5e-9), False),
        ((0.3, 0.4), 0.5, True),
        ((0.3, 0.4), 0.49, False),
        ((3e-200, 4e-200), 5e-200, True),  # their squares are 0 in float64
        ((3e-200, 4e-200), 4.9e-200, False),
    ):
        pair = pair_of(x, x + np.array([step]), delta=delta)
        found, size = exact_difference_lower_bound(scaled(2.0), pair)
        assert (found > 0) == kept, (step, delta)
        assert found == pytest.approx(2 * math.hypot(*step) * kept, rel=3e-9)
        assert size == pytest.approx(2 * max(step), rel=1e-8)
    on_it = pair_of(x, np.array([[0.25, 0.0]]), delta=float(Fraction(1, 4) * Fraction(1 - 1e-9)))
    assert exact_difference_lower_bound(scaled(2.0), on_it)[0] > 0.4999


def test_ranges_that_overlap_prove_no_difference_and_unbounded_ones_nothing():
    same = pair_of(y=X)
    assert exact_difference_lower_bound(scaled(3.0), same)[0] == 0.0
    blurred = exact_difference_lower_bound(lambda x: (x + 1e17) - 1e17, pair_of())
    assert blurred[0] == 0.0

    poles = exact_difference_lower_bound(lambda x: 1 / (x - 0.25), pair_of())  # one, at x
    rest = [
        1 / (v - 0.25) - 1 / (v + s - 0.25)
        for v, s in zip(X.flat, STEP.flat, strict=True)
        if v > 0.25
    ]
    assert poles == (pytest.approx(np.linalg.norm(rest), rel=1e-8), 0.0)
    ends = pair_of(np.array([[0.0], [0.5]]), np.array([[1.0], [0.25]]), delta=2.0)
    with np.errstate(over="ignore"):  # beyond all floats
        found = exact_difference_lower_bound(lambda x: 1.5e308 * (2 * x - 1), ends)
    assert found == (0.0, pytest.approx(1.5e308))


# -- certified beside attained ---------------------------------------------------------------------


def test_what_is_not_exceeded_is_printed_as_it_is():
    pair = pair_of()
    assert reconciled(None, 1.0, pair, 0.5) == 1.0  # f is not looked at
    assert reconciled(None, 1.0, pair, 1.0) == 1.0


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_the_exact_difference_shared_out_decides_what_is_a_contradiction(parts):
    f, pair = scaled(3.0), pair_of()
    proven = exact_difference_lower_bound(f, pair)[0]
    below = proven / parts * (1 - 2e-12)
    with pytest.raises(Contradiction, match=r"bound .* is below .* follows"):
        reconciled(f, below, pair, 3 * np.linalg.norm(STEP) / parts, parts)
    above = proven / parts * (1 - 0.5e-12)
    lower = proven / parts * (1 + 1e-10)
    assert reconciled(f, above, pair, lower, parts) == lower
    if parts == 1:
        assert reconciled(f, above, pair, lower) == lower


def test_rounding_is_a_billionth_of_the_bound_and_what_f_s_values_lose():
    pair = pair_of(y=X)  # nothing is proven of it
    for size, lower, upper, kept in (
        (0.0, 1.0, 1 - 0.9e-9, True),
        (0.0, 1.0, 1 - 1.1e-9, False),
        (0.0, 100.0, 100 * (1 - 0.9e-9), True),
        (0.0, 1e-5, 1e-5 * (1 - 0.9e-9), True),
        (0.0, 1e-5, 1e-5 * (1 - 1.1e-9), False),
        (1000.0, 1e-3, 1e-3 - 0.9e-9, True),
        (1000.0, 1e-3, 1e-3 - 1.1e-9, False),
        (1e-3, 1e-7, 1e-7 - 0.9e-15, True),
        (1e-3, 1e-7, 1e-7 - 1.3e-15, False),
    ):
        f = scaled(0.0, size)
        if kept:
            assert reconciled(f, upper, pair, lower) == lower, (size, lower, upper)
            continue
        with pytest.raises(NotCertifiedError, match="not certified: sequence modulus"):
            reconciled(f, upper, pair, lower)


def test_entries_of_a_curve_rest_on_the_pair_of_their_source():
    f = scaled(3.0)
    far, near = pair_of(delta=0.1), pair_of(y=X, delta=0.04)
    lower = np.array([0.05, 0.2, 0.2, 0.0])
    curve = ModulusLowerCurve(
        "sequence", 2.0, np.array([0.04, 0.1, 0.3, 0.0]), lower, lower,
        (near, far, near, near), ("subadditive", "pair", "monotone", "pair"),
        np.array([0.1, 0.1, 0.1, 0.1]),
    )  # fmt: skip
    proven = exact_difference_lower_bound(f, far)[0]
    assert proven == pytest.approx(0.2012, rel=1e-3)
    for k, least in ((0, proven / 3), (1, proven), (2, proven)):
        assert reconciled_at(f, least, curve, k) == least  # the lower bounds here are less
    raised = ModulusLowerCurve(
        *(getattr(curve, name) for name in ("kind", "p", "delta")),
        np.array([proven / 3, proven, proven, proven]) * (1 + 1e-10),
        lower, curve.pairs, curve.rules, curve.sources,
    )  # fmt: skip
    for k, parts in ((0, 3), (1, 1), (2, 1), (3, 1)):
        with pytest.raises(Contradiction):
            reconciled_at(f, proven / parts * (1 - 1e-10), raised, k)
        upper = proven / parts
        assert reconciled_at(f, upper, raised, k) == raised.lower[k]


# -- beside closed forms ---------------------------------------------------------------------------

SHAPE = {"tokens": 2, "dim": 1}


def form(value, side="exact"):
    return ClosedForm(value, side, "")


def test_exact_forms_are_the_best_bound_and_upper_ones_cap_it():
    f = parse_target("10*token-sine")
    assert beside_closed_form(f, form(1.0), 0.5, None, **SHAPE) == 1.0
    assert beside_closed_form(f, form(1.0, "upper"), 0.5, None, **SHAPE) == 0.5
    assert beside_closed_form(f, form(1.0, "upper"), 1 + 1e-10, None, **SHAPE) == 1.0
    assert beside_closed_form(f, form(1.0), 0.5, 1.0, **SHAPE) == 1.0
    assert beside_closed_form(f, form(1.0, "upper"), 0.5, 0.6, **SHAPE) == 0.5
    with pytest.raises(Contradiction, match=r"token-sine.*; so is 0\.9, below the exact"):
        beside_closed_form(f, form(1.0), 0.5, 0.9, told="; so", **SHAPE)
    with pytest.raises(Contradiction, match=r"token-sine.*; so is 1, below 1\.1, which a pair"):
        beside_closed_form(f, form(1.0), 1.1, None, told="; so", **SHAPE)


def test_what_may_be_rounding_is_measured_by_the_oscillation_or_by_one():
    large, none = parse_target("1000*token-sine"), OwnFunction("own", lambda x: x)
    D = large.oscillation(**SHAPE)
    assert D > 500
    assert none.oscillation(**SHAPE) is None
    for f, size in ((large, D), (none, 1.0)):
        beside_closed_form(f, form(0.0, "upper"), 0.9e-12 * size, None, **SHAPE)
        beside_closed_form(f, form(0.9e-12 * size), 0.0, 0.0, **SHAPE)
        for lower, value, certified in ((1.1e-12 * size, 0.0, None), (0.0, 1.1e-12 * size, 0.0)):
            with pytest.raises(Contradiction):
                beside_closed_form(f, form(value), lower, certified, **SHAPE)


def test_proven_values_are_exceeded_beyond_a_billionth_and_a_share_of_f_s_size():
    for upper in (1e-3, 1.0, 1e3):
        assert not exceeds(upper * (1 + 0.9e-9), upper, 0.0)
        assert exceeds(upper * (1 + 1.1e-9), upper, 0.0)
    for size in (1e-3, 1.0, 1e3):
        assert not exceeds(0.9e-12 * size, 0.0, size)
        assert exceeds(1.1e-12 * size, 0.0, size)
    assert not exceeds(0.0, 0.0, 0.0)
