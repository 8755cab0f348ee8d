"""The model and its batched twin: same numbers, same gradients, the stated symmetries."""

import pytest
import torch

from looprate.approx.banks.bank import PER_BLOCK, bank_eta, bank_forward, bank_of, model_of
from looprate.approx.banks.block import BLOCK_WEIGHTS, BlockShape, block_functions, looped_block
from looprate.approx.models.looped import (
    LoopedTransformer,
    ModelConfig,
    matched_config,
    parameter_count,
)

FLOAT64 = 1e-12  # accumulated rounding of a few hundred float64 operations
FLOAT32 = 2e-5

CONFIGS = [
    ModelConfig(family="tmlt", width=8, hidden=12, gate=0.4),
    ModelConfig(family="lt", width=8, hidden=12, activation="gelu", injection=True, positions=3),
    ModelConfig(family="untied", blocks=4, width=8, hidden=12, activation="silu", norm="none"),
    ModelConfig(family="tmlt", dim=2, width=12, heads=3, hidden=10, activation="silu"),
]


def models(config, count=3, dtype=torch.float64):
    """Models with every parameter away from its special initial value."""
    made = []
    for seed in range(count):
        model = LoopedTransformer(config, seed=seed).to(dtype)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for value in model.parameters():
                value += 0.2 * torch.randn(value.shape, generator=generator, dtype=dtype)
        made.append(model)
    return made


def inputs(config, count=3, tokens=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(7)
    return torch.rand(count, 5, tokens, config.dim, generator=generator, dtype=dtype)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.family}-{c.activation}")
def test_bank_and_modules_agree_in_value_and_gradient(config):
    made, x = models(config), inputs(config)
    bank = {name: value.requires_grad_() for name, value in bank_of(made).items()}
    out = bank_forward(bank, config, x, 4, compiled=False)
    reference = torch.stack([model(x[i], 4) for i, model in enumerate(made)])
    torch.testing.assert_close(out, reference, rtol=FLOAT64, atol=FLOAT64)
    grads = torch.autograd.grad(out.square().sum(), list(bank.values()))
    reference.square().sum().backward()
    for (name, _), grad in zip(bank.items(), grads, strict=True):
        expected = torch.stack(
            [model.get_parameter(name).grad for model in made], dim=1 if name in PER_BLOCK else 0
        )
        scale = expected.abs().max()
        torch.testing.assert_close(grad / scale, expected / scale, rtol=1e-9, atol=1e-9, msg=name)


def test_a_wrong_gradient_would_be_seen():
    config = CONFIGS[0]
    bank = {name: value.requires_grad_() for name, value in bank_of(models(config)).items()}
    shape = BlockShape.of(config, tokens=3, batch=5, like=bank["embed"])
    forward, backward = block_functions(shape, compiled=False)

    def broken(*arguments):
        grad, eta, *sums = backward(*arguments)
        return grad, eta, 1.01 * sums[0], *sums[1:]

    state = torch.rand(3, 8, 15, dtype=torch.float64)
    weights = [bank[name] for name in BLOCK_WEIGHTS]
    eta = bank_eta(bank, config, 2)
    right, wrong = (
        torch.autograd.grad(
            looped_block(pair, state, eta, weights).square().sum(), bank["qkv"], retain_graph=True
        )[0]
        for pair in ((forward, backward), (forward, broken))
    )
    assert (right - wrong).abs().max() > 1e-3 * right.abs().max()


def test_compiled_block_agrees_with_eager_to_rounding():
    config = CONFIGS[0]
    made, x = models(config, dtype=torch.float32), inputs(config, dtype=torch.float32)
    results = []
    for compiled in (False, True):
        bank = {name: value.requires_grad_() for name, value in bank_of(made).items()}
        out = bank_forward(bank, config, x, 3, compiled=compiled)
        loss = out.square().mean()
        results.append([loss.detach(), *torch.autograd.grad(loss, list(bank.values()))])
    for eager, compiled in zip(*results, strict=True):
        scale = eager.abs().max() + 1e-12
        torch.testing.assert_close(compiled / scale, eager / scale, rtol=FLOAT32, atol=FLOAT32)


def test_no_compiler_falls_back_with_one_warning(monkeypatch):
    import looprate.approx.banks.block as block

    def no_compiler(*_):
        raise RuntimeError("g++ not found")

    monkeypatch.setattr(block, "_compile", no_compiler)
    shape = BlockShape(2, 4, 1, 4, 2, 3, "rms", "relu", "cpu", "float32")
    with pytest.warns(RuntimeWarning, match="install g\\+\\+"):
        forward, _ = block_functions(shape)
    zeros = [torch.zeros(2, *s) for s in [(12, 4), (4, 4), (4, 4), (4,), (4, 4), (4,)]]
    assert forward(torch.ones(2, 4, 6), torch.ones(2, 4, 4), *zeros)[0].shape == (2, 4, 6)
    block_functions.cache_clear()


@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
def test_without_positions_the_model_is_permutation_equivariant(family):
    config = ModelConfig(family=family, blocks=3 if family == "untied" else 1, dim=2, width=8)
    (model,) = models(config, 1)
    x = inputs(config, 1, tokens=4)[0]
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(model(x[:, order], 3), model(x, 3)[:, order])


def test_positions_break_equivariance():
    config = ModelConfig(positions=4, width=8)
    (model,) = models(config, 1)
    x = inputs(config, 1, tokens=4)[0]
    order = torch.tensor([2, 0, 3, 1])
    assert (model(x[:, order], 3) - model(x, 3)[:, order]).abs().max() > 1e-3


def test_lt_is_tmlt_with_eta_one():
    tmlt = ModelConfig(family="tmlt", width=8, hidden=12)
    (model,) = models(tmlt, 1)
    shared = {k: v for k, v in model.state_dict().items() if not k.startswith("clock")}
    lt = LoopedTransformer(ModelConfig(family="lt", width=8, hidden=12), seed=0).double()
    lt.load_state_dict(shared)
    x, ones = inputs(tmlt, 1)[0], torch.ones(5, 4, 8, dtype=torch.float64)
    torch.testing.assert_close(model(x, 5, eta=ones), lt(x, 5, eta=ones))
    assert (model(x, 5) - lt(x, 5)).abs().max() > 1e-3  # its own eta does depend on t


def test_lt_and_tmlt_start_as_the_same_function():
    tmlt = ModelConfig(family="tmlt", width=8, hidden=12, gate=0.25)
    lt = ModelConfig(family="lt", width=8, hidden=12, gate=0.25)
    x = inputs(tmlt, 1)[0].float()
    a, b = (LoopedTransformer(config, seed=3) for config in (tmlt, lt))
    torch.testing.assert_close(a(x, 4), b(x, 4))


@pytest.mark.parametrize("width", [8, 16, 32, 64])
def test_matched_parameter_counts_are_within_two_percent(width):
    tmlt = ModelConfig(family="tmlt", width=width, hidden=2 * width)
    lt = matched_config(tmlt, "lt")
    counts = [sum(p.numel() for p in LoopedTransformer(c).parameters()) for c in (tmlt, lt)]
    assert counts == [parameter_count(tmlt), parameter_count(lt)]
    assert abs(counts[0] / counts[1] - 1) < 0.02
    assert abs(counts[0] - counts[1]) <= (2 * width + 1) / 2  # half a hidden unit
    same = {"hidden": lt.hidden, "family": "lt"}
    assert lt == ModelConfig(**{**tmlt.as_dict(), **same})  # nothing else differs


def test_loops_are_free_at_call_time():
    (model,) = models(CONFIGS[0], 1)
    x = inputs(CONFIGS[0], 1)[0]
    assert (model(x, 2) - model(x, 7)).abs().max() > 1e-6


def test_a_model_leaves_the_bank_as_it_entered():
    made = models(CONFIGS[2])
    out = model_of(bank_of(made), CONFIGS[2], 1)
    for name, value in made[1].state_dict().items():
        torch.testing.assert_close(out.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"heads": 3}, "`heads` must divide width=16"),
        ({"family": "rnn"}, "`family` must be one of lt, tmlt, untied"),
        ({"blocks": 2}, "`blocks` must be 1 for a weight-tied model"),
        ({"activation": "tanh"}, "`activation` must be one of"),
        ({"frequencies": 3}, "`frequencies` must be even"),
        ({"dim": 0}, "`dim`"),
    ],
)
def test_bad_configurations_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        ModelConfig(**change)


def test_bad_calls_are_refused():
    model = LoopedTransformer(ModelConfig(family="untied", blocks=3), seed=0)
    with pytest.raises(ValueError, match="must equal the depth 3"):
        model(torch.rand(2, 2, 1), 4)
    with pytest.raises(ValueError, match=r"`x` must have shape \(B, N, 1\)"):
        model(torch.rand(2, 2, 3), 3)
    with pytest.raises(ValueError, match="`eta` must have shape"):
        model(torch.rand(2, 2, 1), 3, eta=torch.ones(2, 4, 16))
