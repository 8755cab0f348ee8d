"""Fits: they learn, repeat, resume, survive a diverging neighbour; errors have honest bars."""

import functools
import importlib
import math

import numpy as np
import pytest
import torch

from cases.small_fits import SMALL, begun, run, square
from looprate.approx.banks.adam import adam_function
from looprate.approx.banks.bank import model_of
from looprate.approx.error import HELD_OUT, error, sobol_points
from looprate.approx.fit.fitted import FitResult, Recipe, predictions
from looprate.approx.fit.training import VALIDATION

fit_file = importlib.import_module("looprate.approx.fit.fitting")
RECIPE = Recipe(steps=120, batch=16, evaluations=4, validation_points=64)
run = functools.partial(run, recipe=RECIPE)


@functools.cache
def plain():
    """The run without changes, made once; not to be changed."""
    return run()


def test_fitting_lowers_the_error_of_every_model():
    result = plain()
    assert result.curve.shape == (4, 8)
    assert (result.curve[-1] < 0.5 * result.curve[0]).all() or (result.curve[-1] < 0.1).all()
    assert [m.target for m in result.members] == [0] * 4 + [1] * 4


def test_a_fit_repeats_bit_for_bit():
    np.testing.assert_array_equal(run().curve, plain().curve)


def test_models_do_not_depend_on_their_neighbours():
    alone = run([square], seeds=[3], learning_rates=[3e-2])
    together = plain()
    index = [(m.target, m.seed, m.learning_rate) for m in together.members].index((1, 3, 3e-2))
    # A bank's matmuls may round differently from one model's; training amplifies a little.
    np.testing.assert_allclose(together.curve[0, index], alone.curve[0, 0], rtol=1e-2)


def test_a_diverging_model_is_reported_and_the_others_go_on():
    sane = plain()
    result = run(learning_rates=[1e-2, 1e30])
    wild = np.array([m.learning_rate > 1 for m in result.members])
    assert (result.diverged_at[wild] >= 0).all()
    assert (result.diverged_at[~wild] == -1).all()
    assert np.isinf(result.validation_error[wild]).all()
    np.testing.assert_allclose(result.curve[:, ~wild], sane.curve[:, ~wild], rtol=1e-5)


def test_a_stopped_fit_resumes_to_the_same_numbers(tmp_path):
    path, seen = tmp_path / "fit.npz", []
    begun(path, 2, recipe=RECIPE)
    resumed = run(checkpoint=path, progress=seen.append)
    assert min(seen) > 30  # it did not start again
    np.testing.assert_array_equal(resumed.curve, plain().curve)


def test_a_checkpoint_of_another_fit_or_a_torn_one_is_not_used(tmp_path):
    path, seen = tmp_path / "fit.npz", []
    begun(path, 2, recipe=RECIPE)
    run(checkpoint=path, loops=3, progress=seen.append)
    assert min(seen) <= 30
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(run(checkpoint=path).curve, plain().curve)


def test_a_checkpoint_of_an_older_format_starts_anew(tmp_path, monkeypatch):
    """Fits of p > 2 took another loss until format 3."""
    path, seen = tmp_path / "fit.npz", []
    with monkeypatch.context() as older:
        older.setattr(fit_file, "FORMAT", 2)
        begun(path, 2, recipe=RECIPE, p=3.0)
    found = run(checkpoint=path, progress=seen.append, p=3.0)
    assert min(seen) <= 30
    np.testing.assert_array_equal(found.curve, run(p=3.0).curve)


def test_predictions_are_those_of_the_modules():
    result = plain()
    x = torch.rand(7, 2, 1)
    out = predictions(result, x, loops=2, compiled=False)
    for index in (0, 5):
        expected = model_of(result.bank, SMALL, index)(x, 2)
        torch.testing.assert_close(out[index], expected, rtol=1e-4, atol=1e-5)


def test_error_bars_are_not_too_small():
    def f(x):
        return torch.sin(9 * x) * x.mean(1, keepdim=True)

    truth = error(f, torch.zeros_like, tokens=2, dim=1, p=1.0, points=2**14, seed=1).value
    inside = 0
    for seed in range(0, 400, 20):
        found = error(f, torch.zeros_like, tokens=2, dim=1, p=1.0, points=64, seed=seed)
        inside += abs(found.value - truth) < 3 * found.stderr
    assert inside >= 17  # of 20; three standard errors from 8 scrambles cover about 98 %


def test_training_validation_and_test_points_are_disjoint():
    draws = [
        sobol_points(256, tokens=2, dim=1, seed=seed).view(-1) for seed in (0, VALIDATION, HELD_OUT)
    ]
    for i in range(3):
        for j in range(i):
            assert not np.intersect1d(draws[i].numpy(), draws[j].numpy()).size > 4


def test_rate_schedule_rises_then_falls_to_zero():
    recipe = Recipe(steps=100, warmup=0.1, evaluations=1)
    rates = [recipe.rate(step) for step in range(100)]
    assert math.isclose(max(rates), 1.0)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 1e-3


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"p": math.inf}, "`p` must be finite"),
        ({"p": 0.5}, "`p`"),
        ({"loops": 0}, "`loops`"),
        ({"seeds": []}, "must each hold at least one"),
    ],
)
def test_bad_fits_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        run(**changes)


def test_bad_recipes_are_refused():
    with pytest.raises(ValueError, match="`evaluations` must not exceed steps=5"):
        Recipe(steps=5, evaluations=6)
    with pytest.raises(ValueError, match="`validation_points` must be a multiple"):
        Recipe(batch=33)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_captured_gpu_fit_agrees_with_the_cpu():
    cpu, gpu = run(), run(device="cuda")
    np.testing.assert_allclose(gpu.curve[0], cpu.curve[0], rtol=0.05)


@pytest.mark.parametrize("compiled", [False, True])
def test_adam_of_a_bank_is_torch_s_adam_model_by_model(compiled):
    generator = torch.Generator().manual_seed(0)
    start, rates = torch.randn(3, 7, generator=generator), torch.tensor([[1e-2], [3e-2], [1e-3]])
    grads = torch.randn(5, 3, 7, generator=generator)
    update = adam_function(3, 7, beta1=0.9, beta2=0.99, device="cpu", compiled=compiled)
    flat, mean, square = start.clone(), torch.zeros(3, 7), torch.zeros(3, 7)
    share = torch.tensor([[1.0], [1.0], [0.0]])  # the last model is frozen
    for k, grad in enumerate(grads, start=1):
        grad = torch.where(share > 0, grad, torch.nan)
        rate = rates / (1 - 0.9**k)
        update(flat, mean, square, grad, share, rate, torch.tensor(1 - 0.99**k).sqrt())
    for model in range(2):
        parameter = torch.nn.Parameter(start[model].clone())
        adam = torch.optim.Adam([parameter], lr=float(rates[model]), betas=(0.9, 0.99), eps=1e-8)
        for grad in grads:
            parameter.grad = grad[model].clone()
            adam.step()
        torch.testing.assert_close(flat[model], parameter.detach(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(flat[2], start[2], rtol=0, atol=0)


def gain(curve):
    """The late gain of a fit with this curve."""
    table = np.array(curve, dtype=float)[:, None]
    steps, diverged = np.arange(len(curve)), np.array([-1])
    return FitResult({}, SMALL, [], steps, table, diverged).late_gain().item()


def test_the_late_gain_is_over_the_last_quarter_of_the_curve():
    """Nine points are eight steps, the last quarter of them two; not half, not one."""
    assert gain([9, 8, 7, 6, 5, 4, 4, 3, 2]) == pytest.approx(0.5)
    assert gain([10, 9, 8, 7, 6, 5, 4, 3]) == pytest.approx(2 / 5)
    assert gain([16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4]) == pytest.approx(3 / 7)
    assert gain([9] * 6 + [3] * 3) == 0
    assert gain([4, 2]) == 0
    assert gain([4]) == 0
    assert gain([2, 2, 2, 2, 4]) == pytest.approx(-1)
    assert gain([0.0] * 5) == 0
