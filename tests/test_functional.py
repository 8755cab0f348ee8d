"""The toolkit's modules are plain torch modules: called with other weights, mapped, copied."""

import copy

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, stack_module_state, vmap

from looprate.approx.constructed.network import constructed_transformer
from looprate.approx.models.looped import (
    LoopedTransformer,
    ModelConfig,
    matched_config,
    parameter_count,
)
from looprate.approx.models.sequence import SequenceModel
from looprate.approx.models.sequence_config import SequenceConfig
from looprate.approx.official.model import from_official, official_model
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.targets import parse_target

WIKITEXT = {
    "cls": "model.TMLT",
    "vocab_size": 11,
    "block_size": 6,
    "n_embd": 8,
    "n_head": 2,
    "n_loop": 2,
}
FAMILIES = ("lt", "tmlt", "untied")
CLOSE = 1e-5


def looped(family, seed=0):
    blocks = 2 if family == "untied" else 1
    return LoopedTransformer(ModelConfig(dim=2, width=8, family=family, blocks=blocks), seed=seed)


def sequence(family):
    config = SequenceConfig(
        vocabulary=11, width=8, heads=2, hidden=8, family=family, loops=2, length=6
    )
    return SequenceModel(config, seed=0)


def network():
    spec = ConstructionSpec(2, 1, 3, "timestep", "rank")
    return compile_construction(parse_target("mean-field"), spec).network


def modules():
    """Every module with a call of it."""
    x = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0))
    ids = torch.arange(12).reshape(2, 6) % 11
    for family in FAMILIES:
        yield f"looped-{family}", looped(family), (x, 2)
        yield f"sequence-{family}", sequence(family), (ids,)
    for cls in ("model.TMLT", "model.LoopedGPT"):
        yield cls, official_model({**WIKITEXT, "cls": cls}, seed=0), (ids,)
    yield "constructed", constructed_transformer(network()), (torch.rand(5, 2, 1).double(),)


CASES = [pytest.param(module, args, id=name) for name, module, args in modules()]


@pytest.mark.parametrize(("module", "args"), CASES)
def test_a_module_is_called_with_weights_from_outside(module, args):  # C6
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert torch.equal(functional_call(module, state, args), module(*args))
    changed = {name: 1.5 * value for name, value in module.named_parameters()}
    if changed:
        assert not torch.equal(functional_call(module, changed, args), module(*args))
        fresh = copy.deepcopy(module)
        fresh.load_state_dict(changed | dict(module.named_buffers()))
        assert torch.equal(functional_call(module, changed, args), fresh(*args))


@pytest.mark.parametrize(("module", "args"), CASES)
def test_gradients_come_through_a_functional_call(module, args):  # C6
    parameters = dict(module.named_parameters())
    if not parameters:
        return
    slopes = grad(lambda given: functional_call(module, given, args).square().mean())(parameters)
    module(*args).square().mean().backward()
    for name, parameter in module.named_parameters():
        assert (slopes[name] - parameter.grad).abs().max() < CLOSE, name
    module.zero_grad(set_to_none=True)


@pytest.mark.parametrize(("module", "args"), CASES)
def test_a_copy_is_the_same_function(module, args):  # C6
    twin = copy.deepcopy(module)
    twin.load_state_dict(module.state_dict())
    assert torch.equal(twin(*args), module(*args))


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("family", FAMILIES)
def test_many_models_are_mapped_at_once(family):  # C6
    models = [looped(family, seed) for seed in range(3)]
    parameters, buffers = stack_module_state(models)
    x = torch.rand(3, 4, 2, generator=torch.Generator().manual_seed(0))

    def one(p, b):
        return functional_call(models[0], (p, b), (x, 2))

    found = vmap(one)(parameters, buffers)
    wanted = torch.stack([model(x, 2) for model in models])
    assert (found - wanted).abs().max() < CLOSE


@pytest.mark.parametrize("family", ["lt", "tmlt"])
def test_a_module_is_exported(family):  # C6
    model, x = looped(family).eval(), torch.rand(3, 4, 2)
    exported = torch.export.export(model, (x, 2)).module()
    assert (exported(x, 2) - model(x, 2)).abs().max() < CLOSE


# -- constructed networks on drawn inputs ----------------------------------------------------------


@pytest.mark.parametrize(("tokens", "dim", "grid"), [(2, 1, 4), (2, 1, 8), (2, 2, 3), (3, 1, 4)])
def test_a_constructed_network_takes_drawn_inputs_and_gives_the_centres_values(tokens, dim, grid):
    """B4a: torch.rand works; off shared cells the output is f at the centre of x's cell."""
    target = parse_target("mean-field")
    spec = ConstructionSpec(tokens, dim, grid, "timestep", "rank")
    model = constructed_transformer(compile_construction(target, spec).network)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, tokens, dim, dtype=torch.float64, generator=generator)
    cells = (x * grid).floor().clamp(max=grid - 1)
    codes = (cells * grid ** torch.arange(dim).double()).sum(2)
    apart = torch.tensor([len(set(row)) == tokens for row in codes.tolist()])
    assert apart.sum() > 50
    wanted = target((cells + 0.5) / grid)
    assert (model(x) - wanted)[apart].abs().max() < 1e-6


# -- checkpoints of the authors --------------------------------------------------------------------


def saved():
    """Weights under the authors' names, with the head beside the embedding."""
    from looprate.approx.official.layout import OfficialConfig, entries

    model = official_model(WIKITEXT, seed=3)
    weights = {}
    for (group, name), entry in entries(OfficialConfig.parse(WIKITEXT)).items():
        holder = model.ends if group == "ends" else model.blocks[int(group)]
        parts = holder[name].detach().chunk(len(entry.names))
        weights |= dict(zip(entry.names, parts, strict=True))
    weights["lm_head.weight"] = weights["transformer.wte.weight"]
    return model.eval(), weights


def prefixed(weights, prefix):
    return {f"{prefix}{name}": value for name, value in weights.items()}


def without(weights, *names):
    return {name: value for name, value in weights.items() if name not in names}


@pytest.mark.parametrize(
    "change",
    [
        lambda w: {"model": w, "optimizer": {"state": {}}, "iter_num": 7, "config": {"a": 1}},
        lambda w: {"state_dict": prefixed(w, "model."), "epoch": 1},
        lambda w: prefixed(w, "module._orig_mod."),
        lambda w: prefixed(w, "_orig_mod.module."),
        lambda w: prefixed(w, "model."),
        lambda w: without(w, "transformer.wte.weight"),
        lambda w: without(w, "lm_head.weight"),
        lambda w: {name: value.numpy() for name, value in w.items()},
    ],
    ids=["checkpoint", "lightning", "ddp", "compiled", "model", "head", "embedding", "numpy"],
)
def test_checkpoints_are_read_as_training_saves_them(change):  # R27
    model, weights = saved()
    ids = torch.arange(12).reshape(2, 6) % 11
    config = {key: np.int64(v) if type(v) is int else v for key, v in WIKITEXT.items()}
    assert torch.equal(from_official(change(weights), config)(ids), model(ids))


def test_what_is_no_checkpoint_is_refused_by_name():  # R27
    _, weights = saved()
    with pytest.raises(ValueError, match="entry optimizer must be an array or a tensor, got dict"):
        from_official({**weights, "optimizer": {}}, WIKITEXT)
    with pytest.raises(TypeError, match="`state_dict` must be a mapping from names to arrays"):
        from_official([1], WIKITEXT)
    with pytest.raises(ValueError, match=r"must name each weight once, got module\."):
        from_official(
            {**weights, **{f"module.{k}": v.clone() for k, v in weights.items()}}, WIKITEXT
        )
    for wrong in (True, np.True_, 2.0, np.float64(2), None, 0, np.int64(0), "2"):
        with pytest.raises(ValueError, match="integer n_head >= 1"):
            from_official(weights, {**WIKITEXT, "n_head": wrong})


# -- matched sizes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [4, 8, 16, 33])
@pytest.mark.parametrize("clock", [3, 8, 21])
def test_matched_sizes_differ_by_half_a_hidden_unit_at_most(width, clock):  # C4: 2D for 2D + 1
    base = ModelConfig(dim=2, width=width, heads=1, hidden=5, clock=clock)
    matched = matched_config(base, "lt")
    gap = abs(parameter_count(matched) - parameter_count(base))
    assert gap <= (2 * width + 1) / 2
    built = sum(p.numel() for p in LoopedTransformer(matched).parameters())
    assert built == parameter_count(matched)
