"""Where eta(t) comes from, loops drawn in training, rounded states: each against a plain loop."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from looprate.approx.banks.bank import PER_BLOCK, bank_losses, bank_of
from looprate.approx.banks.fused.kernel import covers
from looprate.approx.fit.fitted import Member, Recipe
from looprate.approx.fit.state import fresh_state
from looprate.approx.fit.training import LAWS, TrainingRun, drawn_loops
from looprate.approx.models.looped import LoopedTransformer, ModelConfig, parameter_count
from looprate.approx.models.parts import rounded, sinusoids
from looprate.approx.models.sequence import SequenceModel
from looprate.approx.models.sequence_config import SequenceConfig
from looprate.experiments.eta.arms import ARMS, EQUAL_PARAMETERS, arm_model

BLOCK = ModelConfig(width=8, heads=1, hidden=16, frequencies=4, clock=4)
LOOPS = 4
every_arm = pytest.mark.parametrize("arm", ARMS)


def trained_like(config, seed=0):
    """A model of which no weight is 0 or 1."""
    model = LoopedTransformer(config, seed=seed, loops=LOOPS)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn(weight.shape, generator=generator)
    return model


def plain_eta(model, t):
    """Row t of eta, from its definition."""
    c, p = model.config, {k: v.detach().numpy() for k, v in model.named_parameters()}
    eta = p["eta_row"][t if c.table else 0]
    if "clock_in" in p:
        s = p["clock_in"] @ sinusoids(t + 1, c.frequencies)[t].numpy() + p["clock_bias"]
        hidden = np.maximum(s, 0) if c.clock_activation == "relu" else s / (1 + np.exp(-s))
        eta = eta + (p["clock_out"] @ hidden).reshape(4, c.width)
    return eta * np.array([1, c.gate, 1, c.gate])[:, None]


def plain_forward(model, x):
    """One input (N, d), token by token and loop by loop."""
    p = {k: v.detach().double().numpy() for k, v in model.named_parameters()}
    state, width = x @ p["embed"].T + p["embed_bias"], model.config.width
    for t in range(LOOPS):
        scale_a, gate_a, scale_f, gate_f = plain_eta(model, t)
        normed = state / np.sqrt((state**2).mean(1, keepdims=True) + 1e-6)
        q, k, v = np.split((normed * scale_a) @ p["qkv"][0].T, 3, axis=1)
        scores = np.exp(q @ k.T / math.sqrt(width))
        state = state + gate_a * (scores / scores.sum(1, keepdims=True) @ v @ p["out"][0].T)
        normed = state / np.sqrt((state**2).mean(1, keepdims=True) + 1e-6)
        hidden = np.maximum((normed * scale_f) @ p["up"][0].T + p["up_bias"][0], 0)
        state = state + gate_f * (hidden @ p["down"][0].T + p["down_bias"][0])
        if bits := model.config.bits:
            power = np.floor(np.log2(np.abs(state))) + 1 - bits
            state = np.round(state / 2.0**power) * 2.0**power
    return state @ p["read"].T + p["read_bias"]


@every_arm
def test_the_forward_is_that_of_a_plain_loop(arm):
    model = trained_like(arm_model(arm, BLOCK, loops=LOOPS))
    x = np.random.default_rng(0).random((2, 1))
    found = model.double()(torch.from_numpy(x)[None])[0].detach().numpy()
    assert found == pytest.approx(plain_forward(model, x), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("bits", [0, 5])
@pytest.mark.parametrize("arm", ["table", "relu", "silu"])
def test_a_bank_has_the_losses_and_gradients_of_its_modules(arm, bits):
    """Straight through: the module rounds by an added constant, the bank in its own gradient."""
    config = replace(arm_model(arm, BLOCK, loops=LOOPS), bits=bits)
    models = [trained_like(config, seed) for seed in range(2)]
    bank = {name: value.requires_grad_() for name, value in bank_of(models).items()}
    x, y = torch.rand(2, 2, 8, 2, 1, generator=torch.Generator().manual_seed(1))
    losses = bank_losses(bank, config, x, y, LOOPS, p=1.0, compiled=not bits)
    grads = dict(zip(bank, torch.autograd.grad(losses.sum(), list(bank.values())), strict=True))
    for k, model in enumerate(models):
        loss = (model(x[k]) - y[k]).abs().mean()
        torch.testing.assert_close(losses[k].detach(), loss.detach())
        loss.backward()
        for name, weight in model.named_parameters():
            own = grads[name][:, k] if name in PER_BLOCK else grads[name][k]
            torch.testing.assert_close(own, weight.grad, rtol=1e-3, atol=2e-6)


def test_the_kernel_leaves_rounding_alone():
    like = torch.zeros(1)
    assert not covers(replace(BLOCK, bits=4), like)


def test_rounding_has_so_many_bits_and_lets_the_gradient_through():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    for bits in (3, 8):
        q = rounded(x, bits)
        assert 0.9 <= float(((q - x) / x).abs().max()) * (2.0**bits + 1) <= 1  # comes close
        torch.testing.assert_close(rounded(q, bits), q, rtol=0, atol=0)
        scaled = torch.frexp(q).mantissa * 2**bits
        torch.testing.assert_close(scaled, scaled.round(), rtol=0, atol=0)
    torch.testing.assert_close(rounded(x, 24), x, rtol=0, atol=0)
    config = replace(arm_model("lt", BLOCK, loops=LOOPS), bits=3)
    coarse = trained_like(config)
    coarse(torch.rand(1, 2, 1)).sum().backward()
    assert float(coarse.embed.grad.abs().max()) > 0  # rounding itself has derivative 0


def test_a_rounded_state_is_that_of_a_plain_loop():
    model = trained_like(replace(arm_model("silu", BLOCK, loops=LOOPS), bits=6)).double()
    x = np.random.default_rng(1).random((2, 1))
    found = model(torch.from_numpy(x)[None])[0].detach().numpy()
    assert found == pytest.approx(plain_forward(model, x), rel=1e-6)


@pytest.mark.parametrize("loops", [2, 8, 32])
def test_parameters_are_matched_within_half_a_hidden_unit(loops):
    def count(arm):
        return parameter_count(arm_model(arm, BLOCK, loops=loops))

    for arm, other in EQUAL_PARAMETERS.items():
        assert abs(count(arm) - count(other)) <= (2 * BLOCK.width + 1) / 2
    assert count("table") == count("lt") + 4 * BLOCK.width * (loops - 1)
    assert count("relu") == count("silu")


def test_a_table_has_one_row_a_loop_and_none_beyond():
    model = LoopedTransformer(arm_model("table", BLOCK, loops=LOOPS), seed=0, loops=LOOPS)
    assert model.eta_row.shape == (LOOPS, 4, BLOCK.width)
    for loops in (LOOPS - 1, LOOPS + 1):
        with pytest.raises(ValueError, match=r"`loops` must equal the 4 rows of a free table"):
            model(torch.rand(1, 2, 1), loops=loops)
    with pytest.raises(ValueError, match="`table` must be 0 or the loops of a TMLT"):
        ModelConfig(family="lt", table=4)


def test_every_arm_starts_as_the_same_function():
    x = torch.rand(4, 2, 1)
    arms = [arm_model(arm, BLOCK, loops=LOOPS) for arm in ("lt", "table", "relu", "silu")]
    found = [LoopedTransformer(config, seed=3, loops=LOOPS)(x) for config in arms]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=0, atol=0)


def test_a_sequence_model_may_have_a_table_too():
    config = SequenceConfig(vocabulary=5, width=8, heads=1, hidden=8, positions="none", table=3,
                            loops=3)  # fmt: skip
    model = SequenceModel(config, seed=0)
    assert model.eta_row.shape == (3, 4, 8)
    with pytest.raises(ValueError, match="rows of a free table"):
        model(torch.zeros(1, 2, dtype=torch.int64), loops=2)


def test_configurations_of_old_runs_keep_their_words():
    assert not {"table", "bits", "clock_activation"} & BLOCK.as_dict().keys()
    for changed in (replace(BLOCK, table=3, bits=4), replace(BLOCK, clock_activation="relu")):
        assert ModelConfig(**changed.as_dict()) == changed


@pytest.mark.parametrize("law", LAWS)
def test_drawn_loops_are_reproducible_and_in_range(law):
    found = np.array([drawn_loops(law, 4, step) for step in range(2000)])
    assert (found == [drawn_loops(law, 4, step) for step in range(2000)]).all()
    counts = np.bincount(found, minlength=9)[1:] / len(found)
    if law == "fixed":
        assert (found == 4).all()
    elif law == "uniform":
        assert counts == pytest.approx(np.full(8, 1 / 8), abs=0.03)
    else:
        wanted = [math.log((r + 1) / r) / math.log(9) for r in range(1, 9)]
        assert counts == pytest.approx(wanted, abs=0.03)


def test_a_step_trains_with_the_loops_it_drew(monkeypatch):
    config = replace(BLOCK, family="lt")
    members, recipe = [Member(0, 0, 1e-2)], Recipe(steps=6, batch=4, evaluations=1,
                                                   validation_points=8)  # fmt: skip
    seen = []

    def watched(bank, config, x, y, loops, **how):
        seen.append(loops)
        return bank_losses(bank, config, x, y, loops, **how)

    monkeypatch.setattr("looprate.approx.fit.training.bank_losses", watched)
    ends = []
    for law in ("uniform", "fixed"):
        state = fresh_state(config, members, evaluations=1)
        run = TrainingRun([torch.sin], config, members, state, tokens=2, loops=3, p=1.0,
                          recipe=recipe, device="cpu", compiled=False, law=law)  # fmt: skip
        run.train(2)
        run.train(4)
        ends.append(run.flat.clone())
    assert seen == [drawn_loops("uniform", 3, step) for step in range(6)] + [3] * 6
    assert len(set(seen[:6])) > 1
    assert not torch.equal(*ends)
