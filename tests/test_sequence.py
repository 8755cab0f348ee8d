"""Sequence models: LT and TMLT differ in eta alone, masks mask, segments change no number."""

import warnings

import pytest
import torch
import torch.nn.functional as F

from looprate.approx.models.looped import LoopedTransformer, ModelConfig
from looprate.approx.models.sequence import SequenceConfig, SequenceModel, parameter_count
from looprate.approx.models.unrolled import compiler_works, quick_norm, segment_length

FLOAT64 = 1e-12  # accumulated rounding of a few hundred float64 operations
SEEN = 1e-6  # a difference that is no rounding

ACTIVATION = {"gelu": F.gelu, "silu": F.silu, "relu": F.relu}
SMALL = {"width": 8, "heads": 2, "hidden": 12, "loops": 3, "gate": 0.4}
TOKENS = {"vocabulary": 7, "length": 6, **SMALL}
VECTORS = {"channels": 2, "outputs": 1, "positions": "none", **SMALL}
CONFIGS = [
    SequenceConfig(**TOKENS, family="tmlt", positions="sinusoidal", embedding_norm=True),
    SequenceConfig(**TOKENS, family="lt", tied=True, injection=True, activation="silu"),
    SequenceConfig(**TOKENS, family="untied", causal=False, norm="none", activation="relu"),
    SequenceConfig(**VECTORS, family="tmlt", injection=True),
]


def model_of(config, **options):
    """A float64 model with every parameter away from its special initial value."""
    model = SequenceModel(config, seed=0, **options).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            value += 0.2 * torch.randn(value.shape, generator=generator, dtype=value.dtype)
    return model


def inputs_of(config, tokens=5, batch=3):
    generator = torch.Generator().manual_seed(2)
    if config.vocabulary:
        return torch.randint(config.vocabulary, (batch, tokens), generator=generator)
    return torch.randn(batch, tokens, config.channels, generator=generator, dtype=torch.float64)


def changed(config, **changes):
    return SequenceConfig(**{**config.as_dict(), **changes})


def by_name(config):
    return f"{config.family}-{'tokens' if config.vocabulary else 'vectors'}"


every_config = pytest.mark.parametrize("config", CONFIGS, ids=by_name)


# -- the function it computes ----------------------------------------------------------------------
@pytest.mark.parametrize("family", ["lt", "tmlt", "untied"])
@pytest.mark.parametrize("injection", [False, True])
def test_states_are_those_of_the_reference_model(family, injection):
    config = SequenceConfig(
        **{**VECTORS, "channels": 8}, family=family, injection=injection, causal=False
    )
    model = model_of(config)
    names = ("width", "heads", "hidden", "family", "gate", "activation", "injection", "blocks")
    reference = LoopedTransformer(
        ModelConfig(dim=8, **{name: getattr(config, name) for name in names})
    ).double()
    shared = {name: p for name, p in model.state_dict().items() if name not in ("final", "read")}
    shared |= {"read": torch.eye(8).double(), "read_bias": torch.zeros(8).double()}
    reference.load_state_dict(shared)
    x = inputs_of(config)
    found, expected = model.states(x)[-1], reference(x, 3)
    torch.testing.assert_close(found, expected, rtol=FLOAT64, atol=FLOAT64)
    norm = found * torch.rsqrt(found.square().mean(-1, keepdim=True) + 1e-6)
    read = (norm * model.final) @ model.read.mT + model.read_bias
    torch.testing.assert_close(model(x), read, rtol=FLOAT64, atol=FLOAT64)


@pytest.mark.parametrize("changes", [TOKENS, VECTORS], ids=["tokens", "vectors"])
def test_lt_and_tmlt_start_as_the_same_function(changes):
    lt, tmlt = (SequenceConfig(**changes, family=family) for family in ("lt", "tmlt"))
    a, b = SequenceModel(lt, seed=3), SequenceModel(tmlt, seed=3)
    mine, clock = dict(a.named_parameters()), dict(b.named_parameters())
    assert {*clock} - {*mine} == {"clock_in", "clock_bias", "clock_out"}
    assert all(torch.equal(value, clock[name]) for name, value in mine.items())
    x = inputs_of(lt)
    torch.testing.assert_close(a(x, loops=5), b(x, loops=5))
    with torch.no_grad():
        b.clock_out += 0.1
    assert (a(x) - b(x)).abs().max() > SEEN  # and it is the clock that makes the difference


def test_eta_of_lt_is_one_row_and_of_tmlt_moves_with_t():
    lt, tmlt = (SequenceConfig(**TOKENS, family=family) for family in ("lt", "tmlt"))
    rows = model_of(lt).eta(4)
    assert torch.equal(rows, rows[:1].expand(4, -1, -1))
    assert (model_of(tmlt).eta(4).diff(dim=0).abs().amax((1, 2)) > SEEN).all()


@every_config
def test_a_causal_model_does_not_see_later_inputs(config):
    x = inputs_of(config)
    later = x.clone()
    later[:, 3] = (later[:, 3] + 1) % config.vocabulary if config.vocabulary else 0.5
    for causal in (True, False):
        model = model_of(changed(config, causal=causal))
        moved = (model(later) - model(x)).abs().amax((0, 2))
        assert moved[3:].min() > SEEN
        if causal:
            assert moved[:3].max() == 0
        else:  # the same test must see a mask that is not there
            assert moved[:3].min() > SEEN


def test_without_positions_and_mask_the_model_is_permutation_equivariant():
    free = changed(CONFIGS[0], positions="none", causal=False)
    order = torch.tensor([2, 0, 4, 3, 1])
    x = inputs_of(free)
    model = model_of(free)
    torch.testing.assert_close(model(x[:, order]), model(x)[:, order])
    for change in ({"positions": "learned"}, {"positions": "sinusoidal"}, {"causal": True}):
        other = model_of(changed(free, **change))
        assert (other(x[:, order]) - other(x)[:, order]).abs().max() > SEEN


# -- loops -----------------------------------------------------------------------------------------
@every_config
def test_every_loop_is_what_a_call_with_so_many_loops_gives(config):
    model, x = model_of(config), inputs_of(config)
    every = model(x, every=True)
    assert every.shape == (3, 3, 5, config.predicted)
    torch.testing.assert_close(every[-1], model(x))
    if config.family != "untied":
        for t in range(3):
            torch.testing.assert_close(every[t], model(x, loops=t + 1))
    states = model.states(x)
    assert states.shape == (4, 3, 5, 8)
    assert (every.diff(dim=0).abs().amax((1, 2, 3)) > SEEN).all()


def test_tied_models_run_with_more_loops_than_trained():
    model, x = model_of(CONFIGS[0]), inputs_of(CONFIGS[0])
    assert model(x, loops=40).isfinite().all()
    torch.testing.assert_close(model.eta(40)[:3], model.eta(3))
    assert (model(x, loops=40) - model(x)).abs().max() > SEEN


@every_config
def test_attention_weights_give_back_the_states(config):
    model, x = model_of(config), inputs_of(config)
    weights = model.attention(x)
    assert weights.shape == (3, 3, 2, 5, 5)
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
    assert (weights.triu(1) == 0).all() == config.causal
    states, eta = model.states(x), model.eta(3)
    for t in range(3):
        state = states[t] + states[0] if config.injection and t else states[t]
        k = t if config.family == "untied" else 0
        value = (normed(config, state) * eta[t, 0]) @ model.qkv[k, 16:].mT
        mixed = weights[t] @ value.view(3, 5, 2, 4).transpose(1, 2)
        mixed = mixed.transpose(1, 2).reshape(3, 5, 8)
        state = state + eta[t, 1] * (mixed @ model.out[k].mT)
        hidden = (normed(config, state) * eta[t, 2]) @ model.up[k].mT + model.up_bias[k]
        hidden = ACTIVATION[config.activation](hidden)
        state = state + eta[t, 3] * (hidden @ model.down[k].mT + model.down_bias[k])
        torch.testing.assert_close(states[t + 1], state, rtol=FLOAT64, atol=FLOAT64)


def normed(config, x):
    return x if config.norm == "none" else F.rms_norm(x, (8,), eps=1e-6)


def test_the_norm_s_own_derivative():
    x = torch.randn(2, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = (x * torch.tensor([1e-3, 1.0, 30.0])[:, None]).requires_grad_()  # EPS counts, or not at all
    torch.testing.assert_close(quick_norm(x), F.rms_norm(x, (8,), eps=1e-6))
    assert torch.autograd.gradcheck(quick_norm, x)


# -- memory and speed ------------------------------------------------------------------------------
def gradients(model, x, loops, every):
    """Loss and gradients of a smooth criterion."""
    model.zero_grad()
    loss = model.loss(x, lambda out: out.square().mean().sin(), loops=loops, every=every)
    loss.backward()
    return [loss.detach(), *(p.grad.clone() for p in model.parameters())]


@pytest.mark.parametrize("every", [False, True], ids=["last", "every"])
@every_config
def test_segments_change_no_number(config, every, monkeypatch):
    config = changed(config, loops=7)
    x = inputs_of(config)
    plain = gradients(model_of(config), x, 7, every)
    for span in (1, 2, 3):
        monkeypatch.setattr(
            "looprate.approx.models.unrolled.segment_length", lambda loops, span=span: span
        )
        again = gradients(model_of(config, checkpoint=True), x, 7, every)
        for a, b in zip(plain, again, strict=True):
            torch.testing.assert_close(a, b, rtol=FLOAT64, atol=FLOAT64)
    assert min(g.abs().max() for g in plain) > 0  # every parameter was reached


def saved_numbers(config, checkpoint, loops):
    """How many numbers the forward pass keeps for the gradient."""
    model, x = SequenceModel(config, seed=0, checkpoint=checkpoint), inputs_of(config)
    kept = {}

    def pack(tensor):
        kept[tensor.data_ptr()] = tensor.numel()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model.loss(x, lambda out: out.square().mean(), loops=loops)
    assert loss.requires_grad
    return sum(kept.values())


def test_segments_keep_less():
    config = SequenceConfig(vocabulary=7, length=6, width=32, heads=2, hidden=128)
    plain, lean = (saved_numbers(config, checkpoint, 64) for checkpoint in (False, True))
    assert lean < plain / 8


def test_segments_grow_like_the_square_root():
    assert [segment_length(r) for r in (1, 16, 63, 64, 100, 400, 1600)] == [1, 1, 1, 2, 2, 5, 10]


def test_loss_is_the_criterion_of_the_predictions():
    config = CONFIGS[0]
    model, x = model_of(config), inputs_of(config)

    def criterion(out):
        return F.cross_entropy(out.flatten(0, 1), x.flatten())

    torch.testing.assert_close(model.loss(x, criterion), criterion(model(x)))
    mean = torch.stack([criterion(out) for out in model(x, every=True)]).mean()
    torch.testing.assert_close(model.loss(x, criterion, every=True), mean)


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_compiled_body_changes_no_number(checkpoint):
    config = changed(CONFIGS[0], loops=7)
    if not compiler_works("cpu"):
        pytest.skip("no compiler here")
    plain, compiled = (
        gradients(model_of(config, checkpoint=checkpoint, compiled=on), inputs_of(config), 7, False)
        for on in (False, True)
    )
    for a, b in zip(plain, compiled, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_no_compiler_falls_back_with_one_warning(monkeypatch):
    def no_compiler(*_, **__):
        raise RuntimeError("g++ not found")

    config = CONFIGS[0]
    monkeypatch.setattr(torch, "compile", no_compiler)
    compiler_works.cache_clear()
    try:
        model = model_of(config, compiled=True)
        with pytest.warns(RuntimeWarning, match=r"install g\+\+"):
            found = model(inputs_of(config))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            torch.testing.assert_close(model(inputs_of(config)), found)
    finally:
        compiler_works.cache_clear()
    torch.testing.assert_close(found, model_of(config)(inputs_of(config)))


@every_config
def test_bfloat16_autocast_trains(config):
    model, x = SequenceModel(config, seed=0, checkpoint=True), inputs_of(config)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(x, lambda out: out.float().square().mean(), every=True)
    loss.backward()
    assert model.qkv.grad.isfinite().all()
    assert model.qkv.grad.abs().max() > 0
    exact = SequenceModel(config, seed=0).loss(x, lambda out: out.square().mean(), every=True)
    assert abs(float(loss.detach() / exact.detach()) - 1) < 0.1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_config
def test_a_gpu_gives_the_same_numbers(config):
    x = inputs_of(config)
    expected = gradients(model_of(config), x, 3, False)
    found = gradients(model_of(config).cuda(), x.cuda(), 3, False)
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(a, b.cpu(), rtol=1e-9, atol=1e-9)


# -- training, counts, refusals --------------------------------------------------------------------
def test_it_learns_to_repeat_the_token_before():
    config = SequenceConfig(vocabulary=5, length=8, width=16, heads=2, hidden=32, loops=2)
    model = SequenceModel(config, seed=0, checkpoint=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(80):
        ids = torch.randint(5, (32, 8), generator=generator)
        before = ids.roll(1, dims=1)[:, 1:].flatten()
        loss = model.loss(
            ids, lambda out, y=before: F.cross_entropy(out[:, 1:].flatten(0, 1), y), every=True
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


@every_config
def test_parameters_are_counted_without_being_made(config):
    assert parameter_count(config) == sum(p.numel() for p in SequenceModel(config).parameters())
    assert SequenceConfig(**config.as_dict()) == config
    a, b = SequenceModel(config, seed=5), SequenceModel(config, seed=5)
    assert all(map(torch.equal, a.parameters(), b.parameters()))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"vocabulary": 0}, "`vocabulary` or `channels` must be > 0"),
        ({"channels": 2}, "only one of them"),
        ({"length": 0}, "`length` must be >= 1 for learned positions"),
        ({"length": -1}, "`length` must be an integer >= 0"),
        ({"positions": "rotary"}, "`positions` must be one of learned, sinusoidal, none"),
        ({"positions": "sinusoidal", "width": 9, "heads": 3}, "`width` must be even"),
        ({"tied": True, "outputs": 3}, "`outputs` must be vocabulary=7"),
        ({"vocabulary": 0, "channels": 2}, "`outputs` must be >= 1"),
        (
            {"vocabulary": 0, "channels": 2, "outputs": 1, "tied": True, "positions": "none"},
            "`tied` must be False",
        ),
        ({"heads": 3}, "`heads` must divide width=8"),
        ({"family": "rnn"}, "`family` must be one of lt, tmlt, untied"),
        ({"activation": "tanh"}, "`activation` must be one of"),
        ({"loops": 0}, "`loops`"),
    ],
)
def test_bad_configurations_are_refused(change, match):
    with pytest.raises(ValueError, match=match):
        SequenceConfig(**{**TOKENS, **change})


def test_bad_calls_are_refused():
    model, vectors = SequenceModel(CONFIGS[0]), SequenceModel(CONFIGS[3])
    with pytest.raises(ValueError, match=r"token ids of shape \(B, T\) with T >= 1, got"):
        model(torch.zeros(2, 3, 1, dtype=torch.long))
    with pytest.raises(ValueError, match=r"got torch\.float32"):
        model(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="T <= length=6, got 7"):
        model(torch.zeros(2, 7, dtype=torch.long))
    with pytest.raises(ValueError, match="token ids from 0 to 6, got 0 to 7"):
        model(torch.tensor([[0, 7]]))
    with pytest.raises(ValueError, match=r"vectors of shape \(B, T, 2\)"):
        vectors(torch.zeros(2, 3, 1))
    with pytest.raises(ValueError, match="`loops`"):
        model(torch.zeros(2, 3, dtype=torch.long), loops=0)
    with pytest.raises(ValueError, match="must equal the depth 3"):
        SequenceModel(CONFIGS[2])(torch.zeros(2, 3, dtype=torch.long), loops=4)
