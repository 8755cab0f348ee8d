"""Lower bounds of moduli: never above the closed form, close to it, proved by their pairs."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
import torch

from cases.targets import EXAMPLES, KINDS
from looprate.theory.continuity import modulus_lower_bound, strengthened_lower_bounds
from looprate.theory.continuity.lower.objective import (
    gradient_ascent,
    objective,
    watched_outputs,
)
from looprate.theory.continuity.lower.problem import Problem, Span, score
from looprate.theory.continuity.lower.slopes import slope_starts
from looprate.theory.targets import OwnFunction, TokenPower, TokenSine, parse_target

ROUNDING = 1e-9  # relative; float64 differences of outputs at radius 0.02
NOISE = 1e-12  # absolute, where the modulus is 0
CLOSE = 0.99
DELTAS = np.array([0.02, 0.25, 1.0])
SMALL = ((1, 1), (2, 1), (2, 2))  # (N, d)
EVERY = ((1, 1), (2, 1), (3, 1), (2, 2), (4, 2), (4, 4))


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def compare(name, kind, shapes, p_values, effort=1.0):
    target = parse_target(name)
    for (tokens, dim), p in product(shapes, p_values):
        curve = modulus_lower_bound(
            target, DELTAS, kind=kind, tokens=tokens, dim=dim, p=p, effort=effort
        )
        for delta, lower in zip(DELTAS, curve.lower, strict=True):
            form = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
            assert lower <= form.value * (1 + ROUNDING) + NOISE, (tokens, dim, p, delta)
            if form.side == "exact":
                assert lower >= CLOSE * form.value - NOISE, (tokens, dim, p, delta)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_lower_bounds_never_exceed_closed_forms_and_come_close(name, kind):
    """The three p in turn, so that the everyday suite sees each branch."""
    costly = name.startswith("smooth-field")
    for shape, p in zip(SMALL, (1.0, math.inf, 2.0), strict=True):
        compare(name, kind, (shape,), (p,), effort=0.2 if costly else 0.5)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_lower_bounds_come_close_at_every_shape_and_norm(name, kind):
    compare(name, kind, EVERY, (1.0, 2.0, 3.0, math.inf))


@pytest.mark.parametrize("name", ["token-power", "dial", "token-times-mean", "context-max"])
def test_sixteen_entries_are_searched_to_one_percent(name):
    compare(name, "sequence", ((4, 4),), (2.0, math.inf))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["token-power", "token-sine", "dial"])
def test_sixty_four_entries_are_searched_to_one_percent(name):
    compare(name, "sequence", ((8, 8),), (2.0, math.inf))


def scattered_cusps(x):
    """A cusp of power 1/2 in another place for every coordinate."""
    places = np.linspace(0.13, 0.88, x.shape[2])
    return abs(x - (places if isinstance(x, np.ndarray) else torch.tensor(places))) ** 0.5


@pytest.mark.parametrize("shape", [(4, 2), (4, 4)])
def test_cusps_elsewhere_in_every_coordinate_are_found(shape):
    """Their modulus is that of cusps in one place; a common centre misses it by 16 % and more."""
    tokens, dim = shape
    bound = modulus_lower_bound(scattered_cusps, 0.1, kind="sequence", tokens=tokens, dim=dim)
    exact = TokenPower().closed_form(0.1, kind="sequence", tokens=tokens, dim=dim, p=2.0)
    assert CLOSE * exact.value <= bound.value <= exact.value * (1 + ROUNDING)


def mixed(weights):
    """Return x -> W x over all entries, and the exact modulus of radius 1 at p = 1, 2 and inf."""
    signs = np.array(list(product((-1.0, 1.0), repeat=len(weights))))
    exact = {
        1.0: np.linalg.norm(signs @ weights, axis=1).max(),
        2.0: np.linalg.norm(weights, 2),
        math.inf: np.linalg.norm(weights, axis=1).max(),
    }
    return lambda x: (x.reshape(len(x), -1) @ weights.T).reshape(x.shape), exact


@pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
def test_starts_along_steepest_directions_are_right_for_linear_functions(p):
    f, exact = mixed(np.random.default_rng(3).standard_normal((6, 6)))
    values, outputs = objective(f, p, None), watched_outputs(f, None)
    problem = Problem(values, None, np.ones(3, dtype=bool), 2, np.array([1e-3, 0.1]), outputs, p)
    c, diff = slope_starts(problem)
    share = score(problem, c, diff).max(1) / (problem.deltas * exact[p])
    assert (share <= 1 + 1e-8).all()
    assert (share >= (0.9 if p < 2 else 0.97)).all()  # the power method may end beside the best


@pytest.mark.parametrize("shape", [(4, 2), (4, 4)])
@pytest.mark.parametrize("name", ["context-max", "mean-field"])
def test_the_first_pairs_tried_are_the_best_where_f_is_linear_on_pieces(name, shape):
    told, target = [], parse_target(name)
    case = {"kind": "sequence", "tokens": shape[0], "dim": shape[1], "p": 2.0}
    modulus_lower_bound(target, 0.1, effort=0.01, trace=told.append, **case)
    assert told[0] >= CLOSE * target.closed_form(0.1, **case).value


def test_ascents_stay_in_the_cube_and_reach_its_corners():
    """f = x y over two tokens is steepest at 1: along faces nothing is clipped."""
    free, like = np.ones(2, dtype=bool), {"dtype": torch.float64}
    told = []
    ascend = gradient_ascent(lambda x: x * x.flip(1), like, 2.0, None, free, told.append)
    rng = np.random.default_rng(0)
    c, diff = rng.random((8, 2, 1)), 0.1 * np.array([[[1.0], [0.0]], [[0.6], [-0.8]]] * 4)
    c, diff = ascend(c, diff, np.full(8, 0.1), 24, Span(0.3, 0.02, 1.0))
    assert (np.linalg.norm(diff, axis=(1, 2)) <= 0.1 * (1 + ROUNDING)).all()
    assert (np.abs(c - 0.5) + np.abs(diff) / 2 <= 0.5 + NOISE).all()  # both ends in the cube
    exact = math.sqrt(2) * (1 - (1 - 0.1 / math.sqrt(2)) ** 2)
    found = objective(lambda x: x * x[:, ::-1], 2.0, None)(c + diff / 2, c - diff / 2)
    assert CLOSE * exact <= found.max() <= exact * (1 + ROUNDING)
    assert max(told) == pytest.approx(found.max(), rel=1e-12)


def test_a_trace_sees_lower_bounds_up_to_the_one_returned():
    seen = []
    common = {"kind": "sequence", "tokens": 2, "dim": 2, "effort": 0.2}
    target = parse_target("softmax-attention")
    bound = modulus_lower_bound(target, 0.1, trace=seen.append, **common)
    assert max(seen) == pytest.approx(bound.value, rel=1e-9)
    assert seen[0] < bound.value
    assert bound.value == modulus_lower_bound(target, 0.1, **common).value
    with pytest.raises(ValueError, match="`trace` needs `delta` as one number, got shape"):
        modulus_lower_bound(target, [0.1], trace=seen.append, **common)


def test_a_closed_form_wrong_by_two_is_caught_both_ways():
    sine = TokenSine(2)
    right = sine.closed_form(0.1, kind="token", tokens=2, dim=1, p=2.0).value
    found = modulus_lower_bound(sine, 0.1, kind="token", tokens=2, dim=1, effort=0.3).value
    assert found > 1.5 * (right / 2)
    assert found < 0.6 * (2 * right)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_are_feasible_and_reproduce_the_value(kind):
    target = parse_target("softmax-attention")
    curve = modulus_lower_bound(target, DELTAS, kind=kind, tokens=3, dim=2, p=3, effort=0.3)
    for bound, direct in zip(curve.pairs, curve.direct, strict=True):
        pair = np.stack([bound.x, bound.y])
        assert pair.min() >= 0
        assert pair.max() <= 1
        assert np.linalg.norm(bound.x - bound.y) <= bound.delta * (1 + 1e-12)
        out = target(pair)
        if kind != "sequence":
            same = bound.x == bound.y
            assert (same[1:] if kind == "token" else same[0]).all()
            out = out[:, bound.row]
        value = np.linalg.norm((out[0] - out[1]).ravel(), ord=3)
        assert bound.value == direct == pytest.approx(value, rel=1e-12)


def test_tiny_radii_stay_feasible():
    for delta in (1e-9, 1e-6):
        bound = modulus_lower_bound(
            TokenPower(1.0, 0.0), delta, kind="sequence", tokens=2, dim=2, effort=0.1
        )
        assert np.linalg.norm(bound.x - bound.y) <= delta * (1 + 1e-12)
        assert 0.99 * delta <= bound.value <= delta * (1 + ROUNDING)


def test_strengthening_uses_each_rule_where_it_helps():
    deltas, truth = np.array([0.1, 0.2, 0.35, 0.4]), np.array([0.1, 0.2, 0.35, 0.4])
    direct = np.array([0.02, 0.2, 0.05, 0.4])
    lower, rules, sources = strengthened_lower_bounds(deltas, direct)
    np.testing.assert_allclose(lower, [0.1, 0.2, 0.2, 0.4])
    assert rules == ("subadditive", "pair", "monotone", "pair")
    assert sources.tolist() == [0.2, 0.2, 0.2, 0.4] or sources.tolist() == [0.4, 0.2, 0.2, 0.4]
    assert (lower <= truth * (1 + ROUNDING)).all()
    with pytest.raises(ValueError, match=r"must both have shape \(L,\)"):
        strengthened_lower_bounds([0.1, 0.2], [0.1])


@pytest.mark.parametrize("kind", KINDS)
def test_results_repeat_for_a_seed(kind):
    def run(seed):
        return modulus_lower_bound(
            parse_target("dial"),
            [0.1, 0.3],
            kind=kind,
            tokens=2,
            dim=2,
            rng=np.random.default_rng(seed),
            effort=0.2,
        )

    assert (run(3).direct == run(3).direct).all()


def test_structural_zeros_are_found():
    for name, kind in (("token-sine", "contextual"), ("others-mean", "token")):
        bound = modulus_lower_bound(parse_target(name), 0.5, kind=kind, tokens=3, dim=1, effort=0.1)
        assert bound.value <= NOISE


def numpy_cusp(x):
    if not isinstance(x, np.ndarray):
        raise TypeError("NumPy only")
    return np.sqrt(np.abs(x - 0.37))


@pytest.mark.parametrize("shape", [(2, 1), (2, 2)])
def test_numpy_functions_are_searched_without_a_gradient(shape):
    tokens, dim = shape
    curve = modulus_lower_bound(numpy_cusp, DELTAS, kind="sequence", tokens=tokens, dim=dim)
    for delta, lower in zip(DELTAS, curve.direct, strict=True):
        exact = TokenPower(0.5, 0.37).closed_form(
            delta, kind="sequence", tokens=tokens, dim=dim, p=2.0
        )
        assert CLOSE * exact.value <= lower <= exact.value * (1 + ROUNDING)


def written_over(x):
    y = torch.exp(x)
    z = y * y  # its gradient needs y
    y += 1
    return z


def written_over_at_times(x):
    y = torch.exp(x)
    z = y * y
    if x.mean() > 0.45:
        y += 1
    return z


def doubled_in_place(x):
    x *= 2
    return x


@pytest.mark.parametrize(
    ("f", "exact"),
    [
        (written_over, math.exp(2) - math.exp(1.8)),
        (written_over_at_times, math.exp(2) - math.exp(1.8)),
        (doubled_in_place, 0.2),
    ],
)
def test_tensors_that_are_written_over_need_no_gradient(f, exact):
    own = OwnFunction("own", f, accepts=frozenset({"torch"}))
    bound = modulus_lower_bound(own, 0.1, kind="token", tokens=2, dim=1, effort=0.2)
    assert CLOSE * exact <= bound.value <= exact * (1 + ROUNDING)


def test_far_radii_lend_no_bound_whose_pair_is_never_found():
    lower, rules, _ = strengthened_lower_bounds([1e-300, 1e-5, 1e-4, 1.0], [0.0, 0.0, 0.0, 1.0])
    assert rules == ("pair", "pair", "subadditive", "pair")
    assert lower[2] == pytest.approx(1e-4, rel=1e-9)


def test_the_worst_output_token_is_watched_unless_f_is_called_equivariant():
    weights = np.array([1.0, 3.0])[:, None]
    own = OwnFunction("weighted", lambda x: x * weights)
    common = {"kind": "token", "tokens": 2, "dim": 1, "effort": 0.2}
    found = modulus_lower_bound(own, 0.1, **common)
    assert found.value == pytest.approx(0.3, rel=1e-6)
    assert found.row == 1
    first = modulus_lower_bound(own, 0.1, equivariant=True, **common)
    assert first.value == pytest.approx(0.1, rel=1e-6)
