"""Norms by scaled powers: no exponent, scale or radius makes a number wrong without a word."""

import itertools
import math

import numpy as np
import pytest
import torch
from mpmath import mp, mpf

from looprate.approx.banks.bank import bank_losses, bank_of
from looprate.approx.error import error, errors_of
from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.theory.bounds.rows import BoundProblem
from looprate.theory.bounds.theorem import theorem_3_6_bound
from looprate.theory.bounds.trivial import best_constant_error
from looprate.theory.construction.certify.error import _joined
from looprate.theory.continuity import modulus_lower_bound
from looprate.theory.enclosure.integral import norm_from_integral
from looprate.theory.norms import p_norm, root_mean_power, tensor_p_norm
from looprate.theory.targets import parse_target
from looprate.theory.targets.scalar import PowerModulus, separable_supremum

PS = (1.0, 1.5, 2.0, 2.5, 7.0, 120.0, 400.0, 1000.0, 1e6, math.inf)
SCALES = (5e-324, 1e-300, 1e-150, 1e-3, 1.0, 1e150, 1e307)
TARGETS = (
    "mean-field",
    "mean-field:a=1e-300,b=1e-300",
    "mean-field:a=1e307,b=-1e307",
    "others-mean",
    "context-max",
    "token-times-mean",
    "token-power:alpha=0.5",
    "token-power:alpha=2,center=0.3",
    "token-sine:periods=2",
    "dial:token=0.9,context=0.1",
    "softmax-attention",
    "smooth-field:features=8",
)
CLOSE = 1e-12  # relative: a few roundings


def exactly(values, p, weights=None):
    """The p-norm in 60 digits and any range of exponents."""
    with mp.workdps(60):
        w = [1] * len(values) if weights is None else weights
        sizes = [abs(mpf(float(v))) for v in values]
        if math.isinf(p):
            return float(max(s for s, k in zip(sizes, w, strict=True) if k))
        total = sum(mpf(k) * s ** mpf(p) for s, k in zip(sizes, w, strict=True))
        return float(total ** (1 / mpf(p)))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("p", PS)
def test_a_norm_is_that_of_exact_powers_at_any_exponent_and_scale(p, scale):  # R1
    values = scale * np.array([0.9, -1.0, 0.0, 0.31, 1.0])
    weights = np.array([1.0, 0.25, 3.0, 2.0, 0.0])
    slack = max(CLOSE, 2e-324 / scale)
    assert p_norm(values, p) == pytest.approx(exactly(values, p), rel=slack, abs=5e-324)
    found = p_norm(values, p, weights=weights)
    assert found == pytest.approx(exactly(values, p, weights), rel=slack, abs=5e-324)
    tensor = torch.from_numpy(values)[None]
    assert float(tensor_p_norm(tensor, p, 1)) == pytest.approx(p_norm(values, p), rel=CLOSE)


def test_norms_over_axes_keep_what_is_not_a_number():
    table = np.array([[[1.0, 2.0], [2.0, 4.0]], [[math.inf, 1.0], [0.0, math.nan]]])
    for p in (1.0, 3.0, math.inf):
        assert np.allclose(p_norm(table[0], p, axis=0), p_norm(table[0].T, p, axis=1))
        assert p_norm(table[1, 0], p) == math.inf
        assert math.isnan(p_norm(table[1, 1], p))
        assert float(tensor_p_norm(torch.tensor(table[1, :1]), p, 1)) == math.inf
        assert torch.isnan(tensor_p_norm(torch.tensor(table[1, 1:]), p, 1)).all()
    assert p_norm(table[0], 2.0, axis=(0, 1)) == pytest.approx(5.0)


@pytest.mark.parametrize("p", [2.0, 3.0, 400.0])
def test_the_gradient_of_a_norm_survives_large_exponents(p):  # R1: |x|^(p-1)
    x = torch.tensor([[1e-3, 2e-3], [0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    (grad,) = torch.autograd.grad(tensor_p_norm(x, p, 1).sum(), x)
    shares = np.array([0.5, 1.0]) ** (p - 1) / p_norm([0.5, 1.0], p) ** (p - 1)
    assert np.allclose(grad[0].numpy(), shares, rtol=CLOSE)
    assert (grad[1] == 0).all()


@pytest.mark.parametrize("scale", [1e-300, 1e-3, 1.0, 1e300])
@pytest.mark.parametrize("p", [1.0, 2.0, 5.0, 400.0])
def test_the_mean_of_powers_and_its_standard_error(p, scale):  # R1, C4: the factor p
    norms = np.array([1.0, 1.02, 0.99, 1.01])
    powers = norms**p
    mean, stderr = powers.mean(), powers.std(ddof=1) / 2
    value, found = root_mean_power(scale * norms, p)
    assert value == pytest.approx(scale * mean ** (1 / p), rel=CLOSE)
    assert found == pytest.approx(scale * stderr * mean ** (1 / p - 1) / p, rel=1e-10)
    assert root_mean_power(np.zeros(3), p) == (0.0, 0.0)


@pytest.mark.parametrize("p", [1.0, 3.0, 8.0])
def test_standard_errors_are_those_that_repetition_shows(p):  # C4: without the factor p
    def once(seed):
        return error(lambda x: x, lambda x: 0 * x, tokens=1, dim=1, p=p, points=16, seed=seed * 100)

    found = [once(seed) for seed in range(60)]
    spread = np.std([estimate.value for estimate in found], ddof=1)
    typical = float(np.sqrt(np.mean([estimate.stderr**2 for estimate in found])))
    assert 0.7 < typical / spread < 1.4


# -- closed forms ----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("kind", ["sequence", "token", "contextual"])
def test_closed_forms_fall_with_p_and_grow_with_the_radius(target, kind):  # R1
    """Norms of one vector fall with p and by at most (Nd)^(1/p - 1/q); moduli are subadditive."""
    f, radii = parse_target(target), np.array([1e-300, 1e-200, 1e-100, 1e-9, 1e-3, 0.1, 1.0])

    def value(radius, p):
        form = f.closed_form(radius, kind=kind, tokens=3, dim=2, p=p)
        return form.value if form.side == "exact" else math.nan

    for p in PS:
        values = np.array([value(radius, p) for radius in radii])
        assert (np.diff(values) >= -CLOSE * values[1:]).all() or np.isnan(values).any()
        steps = zip(*map(itertools.pairwise, (values, radii)), strict=True)
        for (small, large), (low, high) in steps:
            if small > 1e-290:  # else it underflowed, as the function itself does
                assert large <= math.ceil(high / low) * small * (1 + CLOSE)
    for radius in radii:
        for p, q in itertools.pairwise(PS):
            first, second = value(radius, p), value(radius, q)
            if not math.isnan(first + second):
                assert second <= first * (1 + CLOSE)
                assert first <= 6 ** (1 / p - 1 / q) * second * (1 + CLOSE) + 1e-320


@pytest.mark.parametrize("target", TARGETS)
def test_closed_forms_are_upper_bounds_of_what_a_step_from_a_corner_does(target):  # R1
    """Two-sided where exact: the best of many pairs never exceeds, and at p = inf comes close."""
    f, rng = parse_target(target), np.random.default_rng(0)
    for radius in (1e-12, 1e-6, 0.1, 1.0):
        x = rng.integers(0, 3, (4000, 2, 2)) / 2.0
        step = rng.standard_normal(x.shape) * (rng.random(x.shape) < 0.6)
        step *= radius / np.maximum(np.sqrt((step**2).sum((1, 2), keepdims=True)), 1e-9)
        y = np.clip(x + step, 0, 1)
        gap = f(x) - f(y)
        far = np.sqrt(((x - y) ** 2).sum((1, 2))) <= radius * (1 + 1e-4)
        for p in PS:
            form = f.closed_form(radius, kind="sequence", tokens=2, dim=2, p=p)
            best = p_norm(gap[far].reshape(far.sum(), -1), p, axis=1).max()
            assert best <= form.value * (1 + 1e-3)


@pytest.mark.parametrize("p", [2.5, 3.0, 50.0, 400.0, 1000.0])
@pytest.mark.parametrize("t", [1e-300, 1e-150, 0.3, 1.0, 1.4, 1.5, 2.4, 7.0, 1e200])
@pytest.mark.parametrize("exponent", [1.0, 0.9])
def test_coordinates_filled_in_turn_are_a_norm_of_exact_powers(exponent, t, p):  # R1
    limit, width = 0.7, 5
    found = separable_supremum(PowerModulus(exponent, limit), width, t, p)
    full = min(int((mpf(t) / mpf(limit)) ** 2), width)
    rest = mp.sqrt(max(mpf(t) ** 2 - full * mpf(limit) ** 2, 0)) if full < width else mpf(0)
    wanted = exactly([limit**exponent] * full + [float(rest) ** exponent], p)
    assert (found.side, found.value) == ("exact", pytest.approx(wanted, rel=1e-9))


@pytest.mark.parametrize("target", ["mean-field", "context-max", "others-mean"])
@pytest.mark.parametrize(("p", "delta"), [(400.0, 0.1), (120.0, 1e-3), (math.inf, 0.1)])
def test_no_closed_form_lies_below_an_attained_value(target, p, delta):  # R1
    f, shape = parse_target(target), {"tokens": 2, "dim": 1, "p": p}
    for kind in ("sequence", "token", "contextual"):
        form = f.closed_form(delta, kind=kind, **shape)
        found = modulus_lower_bound(f, delta, kind=kind, effort=0.3, **shape)
        assert found.value <= form.value * (1 + 1e-9) + 1e-15
        assert found.value >= 0.99 * form.value


@pytest.mark.parametrize("tiny", [0.0, 5e-324, 5e-323])
def test_sums_of_powers_that_nearly_vanish_have_a_root(tiny):  # R1: verify at p = 400 died
    low, high = norm_from_integral(0.0, tiny, 400.0)
    assert low == 0.0 <= exactly([tiny], 1.0) ** (1 / 400) <= high < 1
    low, high = _joined([(0.0, tiny), (0.0, 5e-324), (0.0, 0.0)], 400.0)
    assert low == 0.0 <= exactly([tiny, 5e-324], 400.0) <= high < 1e-320


# -- errors, bounds and fits -----------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 400.0])
@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e150])
def test_the_error_of_the_identity_is_its_integral(p, scale):  # R1
    """(∫ |x|^p)^{1/p} = (p+1)^{-1/p}, at every scale; models side by side in batches."""
    found = errors_of(
        lambda x: torch.stack([scale * x, 0 * x]),
        lambda x: 0 * x,
        tokens=1,
        dim=1,
        p=p,
        points=2**10,
        batch=2**8,
        replicates=3,
        dtype=torch.float64,
    )
    wanted = scale * (p + 1) ** (-1 / p)
    assert abs(found[0].value / wanted - 1) < 0.01
    assert 0 < found[0].stderr < 0.01 * wanted
    assert (found[1].value, found[1].stderr) == (0.0, 0.0)
    assert (found[0].points, found[0].replicates, found[0].p) == (3 * 2**10, 3, p)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, 400.0, 5000.0, math.inf])
@pytest.mark.parametrize("scale", [1e-300, 1.0, 1e308])
def test_the_best_constant_of_the_identity_is_the_middle(p, scale):  # R1
    rng = np.random.default_rng(0)
    value, stderr, constant = best_constant_error(
        lambda x: scale * (x - 0.25), tokens=1, dim=1, p=p, points=2**9, replicates=4, rng=rng
    )
    wanted = scale / 2 * (1.0 if math.isinf(p) else (p + 1) ** (-1 / p))
    assert abs(constant[0] / scale - 0.25) < 1e-2
    assert abs(value / wanted - 1) < 0.02
    assert 0 <= stderr < 0.02 * wanted


@pytest.mark.parametrize("p", [1.0, 2.0, 400.0, math.inf])
def test_collisions_keep_their_root_where_the_power_is_too_small(p):  # R1: a term that was lost
    problem = BoundProblem(2, 150, p, 1.0, math.inf, None, None)
    with mp.workdps(30):
        root = mpf(1) if math.isinf(p) else (mpf(1e-3) ** 150) ** (1 / mpf(p))
    found = problem.on_measures(problem.collision_root(1e-3)) / problem.ceiling
    assert found == pytest.approx(float(root), rel=1e-9)
    assert problem.on_measures(problem.collision_root(2.0)) == problem.ceiling
    alone = BoundProblem(1, 150, p, 1.0, math.inf, None, None)
    assert alone.on_measures(alone.collision_root(1e-3)) == 0.0


def test_the_bound_keeps_its_context_term_at_large_exponents():  # R1
    f = parse_target("mean-field")

    def moduli(kind, delta):
        form = f.closed_form(delta, kind=kind, tokens=2, dim=1, p=400.0)
        return form.value, form.side

    row = theorem_3_6_bound(moduli, 10**6, tokens=2, dim=1, p=400.0, oscillation=2.0)
    assert row.terms["context"] == pytest.approx(2 ** (1 / 400) * row.delta * math.sqrt(2) / 2)


@pytest.mark.parametrize("compiled", [False, True])
def test_losses_of_large_exponents_are_norms_with_a_gradient(compiled):  # R1: fits at p = 400
    config = ModelConfig(dim=2, width=8, hidden=8, activation="relu")
    models = [LoopedTransformer(config, seed=seed) for seed in (0, 1)]
    bank = {name: value.requires_grad_() for name, value in bank_of(models).items()}
    x = torch.rand(2, 4, 3, 2, generator=torch.Generator().manual_seed(0))
    y = x * torch.tensor([1e-3, 1.0])[:, None, None, None]
    losses = bank_losses(bank, config, x, y, 2, p=400.0, compiled=compiled)
    out = torch.stack([m(part, 2) for m, part in zip(models, x, strict=True)])
    gaps = (out - y).detach().double().numpy().reshape(2, -1)
    wanted = p_norm(gaps, 400.0, axis=1, weights=1 / gaps.shape[1])
    assert np.allclose(losses.detach().numpy(), wanted, rtol=1e-3)
    grads = torch.autograd.grad(losses.sum(), list(bank.values()))
    assert all(torch.isfinite(grad).all() for grad in grads)
    plain = bank_losses(bank, config, x, y, 2, p=400.0, compiled=False)
    others = torch.autograd.grad(plain.sum(), list(bank.values()))
    largest = max(float(grad.abs().max()) for grad in grads)
    assert largest > 1e-3
    for grad, other in zip(grads, others, strict=True):
        assert (grad - other).abs().max() < 0.05 * largest
