"""Upper bounds from one partition: never below what is exact, close, valid at any time."""

import numpy as np
import pytest

import looprate.theory.continuity.upper.ranges as ranges
from looprate.theory.continuity import modulus_lower_bound
from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.continuity.upper.ranges import ranges_upper_bound
from looprate.theory.enclosure.rounding import EPS
from looprate.theory.targets import parse_target

NAMES = ["token-sine", "mean-field", "context-max", "dial:token=0.5,context=0.5,periods=2"]
KINDS = ["sequence", "token", "contextual"]
DELTA = 0.2
CLOSE = 0.1
ROUNDING = 1 + 64 * EPS


def upper(f, kind, *, delta=DELTA, tokens=2, p=2.0, threshold=0.0, seconds=0.3, row=0):
    return ranges_upper_bound(
        f,
        delta,
        tokens=tokens,
        dim=1,
        moving=moving_tokens(kind, tokens, row),
        row=None if kind == "sequence" else row,
        p=p,
        threshold=threshold,
        seconds=seconds,
    )


def exact(target, kind, *, delta=DELTA, tokens=2, p=2.0):
    found = target.closed_form(delta, kind=kind, tokens=tokens, dim=1, p=p)
    assert found.side == "exact"
    return found.value


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("p", [1.0, 2.0])
def test_never_below_the_closed_form(name, kind, p):
    target = parse_target(name)
    for delta in (0.05, DELTA):
        known = exact(target, kind, delta=delta, p=p)
        assert upper(target, kind, delta=delta, p=p, seconds=0.05)[0] * ROUNDING >= known


@pytest.mark.parametrize("name", ["token-sine", "mean-field"])
@pytest.mark.parametrize("kind", KINDS)
def test_comes_close_to_the_closed_form(name, kind):
    target = parse_target(name)
    known = exact(target, kind)
    found = upper(target, kind, threshold=known * (1 + CLOSE / 2) + 0.005, seconds=5.0)[0]
    assert known <= found * ROUNDING
    assert found <= known * (1 + CLOSE) + 0.01  # token-sine has no context


@pytest.mark.parametrize("kind", KINDS)
def test_comes_close_to_a_lower_bound_where_no_closed_form_is_exact(kind):
    target = parse_target("softmax-attention")
    low = modulus_lower_bound(target, DELTA, kind=kind, tokens=2, dim=1, p=2, effort=0.1).value
    found = upper(target, kind, threshold=low * (1 + CLOSE / 2), seconds=5.0)[0]
    assert low <= found <= low * (1 + CLOSE)


@pytest.mark.parametrize("kind", KINDS)
def test_three_tokens(kind):
    target = parse_target("mean-field")
    known = exact(target, kind, tokens=3)
    found = upper(target, kind, tokens=3, threshold=known * 1.1, seconds=5.0)[0]
    assert known <= found * ROUNDING
    assert found <= known * 1.15


def test_a_partition_that_misses_pairs_is_caught(monkeypatch):
    """Boxes are taken to be apart by their centres: the control the first test would reject."""

    def by_centres(forms, pairs, delta, movable):
        gap = forms.centre[pairs.first] - forms.centre[pairs.second]
        side = (forms.high - forms.low)[pairs.first]
        return ((np.abs(gap) + side)[:, movable] ** 2).sum(1) <= delta**2

    monkeypatch.setattr(ranges, "_admissible", by_centres)
    target = parse_target("token-sine")
    assert upper(target, "token", seconds=0.05)[0] < 0.99 * exact(target, "token")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("level", "close"), [(4, 0.4), (8, 0.05)])
def test_forms_of_pairs_hold_all_pairs_of_their_boxes(kind, level, close, monkeypatch):
    def curved(x):
        return np.sin(2 * x) * x.sum(1, keepdims=True) + x**3

    monkeypatch.setattr(ranges, "FIRST", level)
    monkeypatch.setattr(ranges, "LAST", level)
    row = None if kind == "sequence" else 0
    movable = moving_tokens(kind, 2, 0)
    forms = ranges._Tree(curved, 2, 1, row, 1.0).forms
    first, second = np.triu_indices(len(forms))
    pairs = ranges._Pairs(first, second, np.full(len(first), np.inf))
    pairs = pairs.picked(ranges._admissible(forms, pairs, DELTA, movable))
    a, b = forms.picked(pairs.first), forms.picked(pairs.second)
    functionals = np.array([[1.0, 0.0], [0.6, -0.8]] if row is None else [[1.0], [-1.0]])
    above = ranges._Difference.of(a, b, DELTA, movable).above(functionals[None])
    bounds = {p: ranges._upper_bound(a, b, DELTA, movable, p) for p in (1.0, 2.0, np.inf)}
    rng, tight = np.random.default_rng(0), np.inf
    for _ in range(60):
        share = rng.random((2, len(a), 2))
        share = share.round() if rng.random() < 0.5 else share
        x, y = a.low + share[0] * (a.high - a.low), b.low + share[1] * (b.high - b.low)
        y[:, ~movable] = x[:, ~movable]
        near = np.linalg.norm(x - y, axis=1) <= DELTA
        v = (curved(x[..., None]) - curved(y[..., None]))[:, : functionals.shape[1], 0][near]
        gap = above[near] - v @ functionals.T
        assert gap.min() >= -1e-12
        tight = min(tight, gap.min())
        for p, bound in bounds.items():
            assert (np.linalg.norm(v, p, axis=1) <= bound[near] + 1e-12).all()
    assert tight < close  # some pair comes close


def test_static_tokens_may_lie_anywhere_but_are_equal():
    def product(x):
        return x * x.sum(1, keepdims=True)

    # token: f_0 = x (x + y), steepest at x = y = 1: 3 - (1 - t)(2 - t) + ... = 3t - t^2
    found = upper(product, "token", threshold=1.02 * (3 * DELTA - DELTA**2), seconds=5.0)[0]
    assert found == pytest.approx(3 * DELTA - DELTA**2, rel=0.03)
    assert found >= 3 * DELTA - DELTA**2
    found = upper(product, "contextual", threshold=1.02 * DELTA, seconds=5.0)[0]
    assert DELTA <= found <= 1.03 * DELTA


def test_slopes_stand_in_for_affine_forms():
    target = parse_target("mean-field")

    def slopes_only(x):
        if type(x).__name__ == "Affine":
            raise TypeError("no affine form")
        return target(x)

    known = exact(target, "token")
    assert upper(slopes_only, "token", threshold=known * 1.05)[0] <= known * 1.06
    with pytest.raises(ValueError, match="no rigorous enclosure"):
        upper(np.cbrt, "token")


def test_valid_at_any_time_and_better_with_more():
    target = parse_target("dial:token=0.5,context=0.5,periods=2")
    known = exact(target, "sequence")
    first, few = upper(target, "sequence", seconds=1e-6)
    later, more = upper(target, "sequence", seconds=0.5)
    assert few == 256 < more
    assert known <= later < first
    assert first <= 2 * known


def test_more_entries_than_halvings_to_start_from_are_bounded_too():
    target = parse_target("mean-field")
    known = exact(target, "token", tokens=10)
    assert upper(target, "token", tokens=10, seconds=0.01)[0] * ROUNDING >= known


# -- equivariant functions -------------------------------------------------------------------------
def test_fewer_boxes_do_where_tokens_may_be_renamed():
    """Three tokens; the second function has another modulus where they are in order: a control."""
    f = parse_target("dial:token=0.5,context=0.5,periods=1")
    moving, how = np.ones(3, dtype=bool), {"tokens": 3, "dim": 1, "row": None, "p": 2.0}
    how |= {"seconds": 20.0, "moving": moving}
    known = exact(f, "sequence", tokens=3)
    found = {}
    for others in ((), (0, 1, 2)):
        found[others] = ranges_upper_bound(
            f, DELTA, **how, threshold=1.1 * known, others=others, most=20_000
        )
        assert known <= found[others][0] * ROUNDING
        assert found[others][0] <= 1.1 * known
    assert found[0, 1, 2][1] < 0.7 * found[()][1]

    def steep_out_of_order(x):
        return np.array([[0.0], [0.0], [1.0]]) * np.maximum(x[:, 2:] - x[:, :1] - 0.5, 0.0)

    whole, part = (
        ranges_upper_bound(
            steep_out_of_order, 0.05, **how, threshold=0.0, others=others, most=3_000
        )[0]
        for others in ((), (0, 1, 2))
    )
    assert part < 0.5 * whole
