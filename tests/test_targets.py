"""Targets: closed forms against brute force, names, errors, own functions."""

from __future__ import annotations

import math
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
import torch

from cases.own_functions import OWN
from cases.targets import EXAMPLES, KINDS, SHAPES
from looprate.theory.targets import (
    TARGETS,
    ClosedForm,
    MeanField,
    SmoothField,
    TokenSine,
    equivariance_gap,
    load_function,
    parse_target,
    resolve_target,
    target_parameters,
)
from looprate.theory.targets.context import attention_constants
from looprate.theory.targets.scalar import ConcaveModulus, PowerModulus, separable_supremum

ROUNDING = 1e-9  # of a modulus; float64 differences at radius 0.05
P_VALUES = (1.0, 2.0, 3.0, math.inf)


def closed(target, delta, kind, tokens, dim, p):
    found = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
    assert isinstance(found, ClosedForm)
    return found


def random_pairs(rng, kind, tokens, dim, delta, count=4000):
    """Feasible pairs, written without the search: sparse, equal, signed and wild."""
    shape = (count, tokens, dim)
    x = rng.random(shape)
    grid = rng.choice([4, 100], (count, 1, 1))  # corners, and cusps at hundredths
    x = np.where(rng.random((count, 1, 1)) < 0.6, np.round(x * grid) / grid, x)
    x = np.where(rng.random((count, 1, 1)) < 0.5, x[:, :1, :1], x)  # one value for all entries
    step = rng.standard_normal(shape)
    step = np.where(rng.random((count, 1, 1)) < 0.6, np.sign(step), step)
    step = np.where(rng.random((count, 1, 1)) < 0.5, np.abs(step), step)
    step *= rng.random(shape) < rng.choice([0.3, 1.0], (count, 1, 1))
    own = np.arange(tokens)[:, None] == 0
    if kind != "sequence":
        step = step * (own if kind == "token" else ~own)
    norm = np.maximum(np.sqrt((step**2).sum((1, 2), keepdims=True)), 1e-12)
    length = delta * np.where(rng.random((count, 1, 1)) < 0.6, 1.0, rng.random((count, 1, 1)))
    y = np.clip(x - step * length / norm, 0, 1)
    return x, y


def moved(target, x, y, kind, p):
    diff = target(x) - target(y)
    flat = np.abs(diff if kind == "sequence" else diff[:, :1]).reshape(len(x), -1)
    return np.linalg.norm(flat, ord=p, axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_no_pair_exceeds_the_closed_form(name, kind):
    target, rng = parse_target(name), np.random.default_rng(1)
    for (tokens, dim), delta in product(SHAPES, (0.05, 0.4, 1.2)):
        x, y = random_pairs(rng, kind, tokens, dim, delta, count=400)
        for p in P_VALUES:
            bound = closed(target, delta, kind, tokens, dim, p).value
            assert moved(target, x, y, kind, p).max() <= bound * (1 + ROUNDING) + 1e-12


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_brute_force_comes_close_to_exact_forms(name, kind):
    target, rng = parse_target(name), np.random.default_rng(2)
    for tokens, dim in ((1, 1), (2, 1)):
        x, y = random_pairs(rng, kind, tokens, dim, 0.3, count=20000)
        for p in (1.0, 2.0, math.inf):
            form = closed(target, 0.3, kind, tokens, dim, p)
            if form.side == "exact" and form.value > 0:
                assert moved(target, x, y, kind, p).max() >= 0.9 * form.value


def test_brute_force_catches_a_wrong_closed_form():
    right = closed(MeanField(1.0, 2.0), 0.3, "sequence", 2, 1, 2.0).value
    x, y = random_pairs(np.random.default_rng(3), "sequence", 2, 1, 0.3)
    best = moved(MeanField(1.0, 2.0), x, y, "sequence", 2.0).max()
    assert right / 2 < best  # half the truth is exceeded
    assert best < 0.9 * (2 * right)  # twice the truth is never approached


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 5.0, math.inf])
@pytest.mark.parametrize(
    "g",
    [
        PowerModulus(0.5, 0.6),
        PowerModulus(1.0, 1.0, 2.0),
        ConcaveModulus(lambda u: 2 * math.sin(2 * math.pi * u), 0.25),
    ],
    ids=["root", "linear", "sine"],
)
def test_separable_supremum_agrees_with_a_grid_of_splits(g, p):
    angles = np.linspace(0, math.pi / 2, 4001)
    for t in (0.1, 0.5, 0.9, 1.3):
        splits = [(g(t * math.cos(a)), g(t * math.sin(a))) for a in angles]
        brute = max(np.linalg.norm(split, ord=p) for split in splits)
        form = separable_supremum(g, 2, t, p)
        assert brute <= form.value * (1 + ROUNDING)
        if form.side == "exact":
            assert brute >= form.value * (1 - 1e-3)  # grid of splits


def test_attention_constants_bound_random_jacobians():
    beta, tokens, dim = 6.0, 3, 2
    target = parse_target(f"softmax-attention:beta={beta}")
    bounds = attention_constants(beta, tokens, dim)
    for seed in range(40):
        x = torch.tensor(np.random.default_rng(seed).random((tokens, dim)) ** 0.3)
        jacobian = torch.autograd.functional.jacobian(lambda z: target(z[None])[0], x).numpy()
        first = jacobian[0].reshape(dim, -1)
        assert np.linalg.norm(first[:, :dim], 2) <= bounds["token"]
        assert np.linalg.norm(first[:, dim:], 2) <= bounds["contextual"]
        assert np.linalg.norm(first, 2) <= bounds["row"]
        assert np.linalg.norm(jacobian.reshape(tokens * dim, -1), 2) <= bounds["sequence"]


@pytest.mark.parametrize("name", EXAMPLES)
def test_closed_forms_are_moduli(name):
    target, deltas = parse_target(name), np.linspace(0, 1.8, 19)
    for (tokens, dim), p in product(((2, 1), (3, 2)), P_VALUES):
        curve = {
            kind: [closed(target, t, kind, tokens, dim, p).value for t in deltas] for kind in KINDS
        }
        for values in curve.values():
            assert values[0] == 0
            assert (np.diff(values) >= -ROUNDING).all()
        exact = all(
            closed(target, t, kind, tokens, dim, p).side == "exact"
            for t, kind in product(deltas[1:], KINDS)
        )
        if exact:
            whole = np.array(curve["sequence"]) * (1 + ROUNDING)
            assert (np.array(curve["token"]) <= whole).all()
            assert (np.array(curve["contextual"]) <= whole).all()
            for k in range(1, 10):
                assert whole[2 * k] <= 2 * whole[k]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_single_token_has_no_context(name):
    target = parse_target(name)
    assert closed(target, 0.3, "contextual", 1, 2, 2.0).value == 0
    assert closed(target, 0.3, "token", 1, 2, 2.0) == closed(target, 0.3, "sequence", 1, 2, 2.0)


def test_mixes_say_upper_where_the_largest_eigenvalue_may_not_be_attained():
    centred = MeanField(1.0, -1.0)  # x_n minus the mean
    assert closed(centred, 0.3, "sequence", 4, 1, 1.0).side == "exact"
    odd = closed(centred, 0.3, "sequence", 3, 1, 1.0)
    x, y = random_pairs(np.random.default_rng(11), "sequence", 3, 1, 0.3, count=20000)
    assert odd.side == "upper"
    assert moved(centred, x, y, "sequence", 1.0).max() < 0.99 * odd.value


def test_smooth_field_is_the_mean_over_pairs_it_is_defined_as():
    field = SmoothField(features=5, seed=3)
    own, other, phase, weight = field._features(2)
    x = np.random.default_rng(12).random((1, 3, 2))
    for n in range(3):
        pairs = [np.cos(x[0, n] @ own + x[0, m] @ other + phase) @ weight for m in range(3)]
        np.testing.assert_allclose(field(x)[0, n], np.mean(pairs, axis=0), atol=1e-12)


def test_dial_keeps_the_sequence_modulus_whatever_the_split():
    values, tokens = set(), []
    for share in (0.0, 0.25, 0.5, 1.0):
        dial = parse_target(f"dial:token={share},context={1 - share},sequence=1.5")
        values.add(round(closed(dial, 0.2, "sequence", 3, 2, 2.0).value, 12))
        tokens.append(closed(dial, 0.2, "token", 3, 2, 2.0).value)
    assert len(values) == 1
    assert tokens == sorted(tokens)
    assert tokens[0] == 0 < tokens[1] < tokens[-1]


@pytest.mark.parametrize("name", EXAMPLES)
def test_oscillation_covers_what_was_seen(name):
    target, rng = parse_target(name), np.random.default_rng(4)
    for tokens, dim in ((1, 1), (3, 2)):
        x = rng.random((4000, tokens, dim))
        x = np.where(rng.random((4000, 1, 1)) < 0.5, np.round(x), x)
        seen = np.ptp(target(x), axis=0).max()
        assert seen <= target.oscillation(tokens=tokens, dim=dim) * (1 + ROUNDING)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXAMPLES)
def test_numpy_and_torch_agree(name, dtype):
    target = parse_target(name)
    x = np.random.default_rng(5).random((3, 4, 2)).astype(dtype)
    tensor = torch.tensor(x, requires_grad=True)
    out, expected = target(tensor), target(x)
    assert expected.dtype == dtype
    assert out.dtype == tensor.dtype
    assert expected.shape == tuple(out.shape) == x.shape
    tolerance = 2e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(out.detach().numpy(), expected, atol=tolerance)
    (gradient,) = torch.autograd.grad(out.sum(), tensor)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", EXAMPLES)
def test_targets_are_equivariant(name):
    rng = np.random.default_rng(6)
    gap, scale = equivariance_gap(parse_target(name), tokens=4, dim=2, rng=rng)
    assert gap <= 1e-12 * scale


def test_a_shuffled_function_has_a_large_equivariance_gap():
    rng = np.random.default_rng(7)
    gap, scale = equivariance_gap(lambda x: x[:, ::-1].cumsum(1), tokens=4, dim=1, rng=rng)
    assert gap > 0.3 * scale


@pytest.mark.parametrize("name", EXAMPLES)
def test_names_read_back(name):
    target = parse_target(name)
    assert parse_target(target.name) == target
    assert str(target) == target.name
    assert target.latex.startswith("f(X)_n = ")
    assert 0 < target.smoothness.exponent <= 1


def test_every_class_lists_parameters_with_defaults_that_make_it():
    for key, cls in TARGETS.items():
        values = {name: default for name, default, _ in target_parameters(cls)}
        assert cls(**values) == parse_target(key)
        assert cls.summary
        assert all(doc for _, _, doc in target_parameters(cls))


def test_scale_factors_multiply_and_sums_add():
    target = parse_target("2*token-sine + -0.5*mean-field:b=0")
    assert target.name == "2*token-sine:periods=2,scale=1 + -0.5*mean-field:a=1,b=0"
    x = np.random.default_rng(8).random((2, 3, 1))
    np.testing.assert_allclose(target(x), 2 * np.sin(4 * np.pi * x) - 0.5 * x, atol=1e-12)
    assert (0.5 * (2 * TokenSine(3))).name == "1*token-sine:periods=3,scale=1"
    parts = [closed(t, 0.1, "token", 2, 1, 2.0).value for t in target.terms]
    assert closed(target, 0.1, "token", 2, 1, 2.0) == ClosedForm(
        sum(parts), "upper", "triangle inequality"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tokn-sine", r"must be one of token-power, .* did you mean token-sine\?"),
        ("token-sine:period=3", r"has parameters periods, scale, got 'period'; did you mean"),
        ("token-sine:periods=1.5", r"`periods` .* must be an integer >= 1, got 1\.5"),
        ("token-power:alpha=0", r"`alpha` .* must be a finite number > 0, got 0"),
        ("token-power:center=2", r"`center` .* in \[0, 1\], got 2"),
        ("token-power:alpha", r"expected key=value, got 'alpha'"),
        ("mean-field:a=x", r"`a` must be a number, got 'x'"),
        ("mean-field:a=nan", r"`a` .* must be a finite number, got nan"),
        ("mean-field:a=1,a=2", r"`a` must be given once"),
        ("dial:token=0,context=0", r"must not both be 0"),
        ("dial:periods=1,alpha=1", r"must not both be given"),
        ("dial:center=0.3", r"`center` needs `alpha`"),
        ("x*mean-field", r"`factor` must be a number, got 'x'"),
    ],
)
def test_bad_names_are_refused(text, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse_target(text)
    assert "\n" not in str(caught.value)


def test_bad_batches_are_refused():
    target = parse_target("mean-field")
    with pytest.raises(ValueError, match=r"`x` must have shape \(B, N, d\), got \(3, 2\)"):
        target(np.zeros((3, 2)))
    with pytest.raises(TypeError, match="floating point"):
        target(np.zeros((1, 3, 2), dtype=int))
    with pytest.raises(TypeError, match="NumPy array or a torch tensor"):
        target([[[0.0]]])


@pytest.mark.parametrize(
    ("name", "accepts"),
    [("for_numpy", {"numpy"}), ("for_torch", {"torch"}), ("for_both", {"numpy", "torch"})],
)
def test_own_functions_work_on_both_kinds_of_batch(name, accepts):
    target = resolve_target(f"{OWN}:{name}", tokens=3, dim=1)
    assert target.accepts == accepts
    x = np.random.default_rng(9).random((2, 3, 1))
    np.testing.assert_allclose(target(torch.tensor(x)).numpy(), target(x), atol=1e-12)
    assert target.closed_form(0.1, kind="token", tokens=3, dim=1, p=2.0) is None
    assert target.oscillation(tokens=3, dim=1) is None
    assert target.name == f"{OWN}:{name}"


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("wrong_shape", ValueError, r"returned shape \(5, 1, 2\), expected \(5, 3, 2\)"),
        ("hollow", ValueError, r"returned inf, expected finite numbers; the first is at input"),
        ("missing", ValueError, r"has no 'missing', it has Bend, Mixer"),
        ("number", TypeError, r"must be a function, got int"),
    ],
)
@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_own_functions_that_break_the_rules_are_refused(name, error, message):
    with pytest.raises(error, match=message):
        load_function(f"{OWN}:{name}", tokens=3, dim=2)


def test_own_functions_are_checked_on_every_call():
    with pytest.raises(ValueError, match=r"far` returned NaN, .* input \[\[1\.0\], \[1\.0\]\]"):
        load_function(f"{OWN}:far")(np.ones((1, 2, 1)))


def test_missing_files_modules_and_names_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        resolve_target(f"{tmp_path}/none.py:f")
    with pytest.raises(ValueError, match="no module 'no_such_module'"):
        resolve_target("no_such_module:f")
    with pytest.raises(ValueError, match=r"path/file\.py:name or module:name, got 'f'"):
        load_function("f")


def test_resolve_target_reads_built_ins_modules_and_sums():
    assert resolve_target("dial:token=1") == parse_target("dial:token=1")
    assert resolve_target("numpy:sin", tokens=2, dim=1).accepts == {"numpy"}
    both = resolve_target(f"0.5*{OWN}:for_both + mean-field")
    x = np.random.default_rng(10).random((2, 3, 1))
    np.testing.assert_allclose(both(x), 0.5 * x**2 + x + x.mean(1, keepdims=True))
    assert both.closed_form(0.1, kind="token", tokens=3, dim=1, p=2.0) is None


def test_importing_targets_and_continuity_leaves_torch_alone():
    code = "import sys, looprate.theory.targets, looprate.theory.continuity\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
