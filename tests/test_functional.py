"""The toolkit's modules are plain torch modules: called with other weights, mapped, copied."""

import copy
from functools import partial

import numpy as np
import pytest
import torch
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap

from looprate.approx.constructed.network import constructed_transformer
from looprate.approx.models.looped import (
    LoopedTransformer,
    ModelConfig,
    matched_config,
    parameter_count,
)
from looprate.approx.models.sequence import SequenceModel
from looprate.approx.models.sequence_config import SequenceConfig
from looprate.approx.models.unrolled import compiler_works
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


def sequence(family, seed=0):
    config = SequenceConfig(
        vocabulary=11, width=8, heads=2, hidden=8, family=family, loops=2, length=6
    )
    return SequenceModel(config, seed=seed)


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
    inputs = (torch.rand(5, 2, 1).double(),)
    yield "constructed", constructed_transformer(network()), inputs
    yield "constructed-free", constructed_transformer(network(), exact=False), inputs
    yield "constructed-soft", constructed_transformer(network(), beta=30.0), inputs


CASES = [pytest.param(module, args, id=name) for name, module, args in modules()]
TRACED = [case for case in CASES if case.id != "constructed"]  # its checks read values
EVERYDAY = ("looped-tmlt", "sequence-lt")
SOME = [
    pytest.param(*case.values, id=case.id, marks=[] if case.id in EVERYDAY else pytest.mark.slow)
    for case in TRACED
]


@pytest.mark.parametrize(("module", "args"), CASES)
def test_a_module_is_called_with_weights_from_outside(module, args):  # C6
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    assert torch.equal(functional_call(module, state, args), module(*args))
    changed = {name: 1.5 * value for name, value in module.named_parameters()}
    if changed:  # the negative control: other weights, other values
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
@pytest.mark.parametrize(
    ("make", "x"),
    [
        *((partial(looped, family), torch.rand(3, 4, 2)) for family in FAMILIES),
        (partial(sequence, "tmlt"), torch.arange(12).reshape(2, 6) % 11),
        (partial(official_model, WIKITEXT), torch.arange(12).reshape(2, 6) % 11),
    ],
    ids=[*FAMILIES, "sequence", "official"],
)
def test_many_models_are_mapped_at_once(make, x):  # C6
    models = [make(seed=seed) for seed in range(3)]
    parameters, buffers = stack_module_state(models)
    more = {} if x.ndim == 2 else {"loops": 2}

    def one(p, b):
        return functional_call(models[0], (p, b), (x,), more)

    found = vmap(one)(parameters, buffers)
    wanted = torch.stack([model(x, **more) for model in models])
    assert (found - wanted).abs().max() < CLOSE
    assert (found[0] - found[1]).abs().max() > 100 * CLOSE  # the negative control


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("family", FAMILIES)
def test_jacobians_are_the_difference_quotients(family):  # C6
    model, step = looped(family).double(), 1e-6
    x = torch.rand(1, 3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    slope = jacrev(lambda given: model(given, 2))(x)[0, :, :, 0, 1, 0]
    ahead, behind = x.clone(), x.clone()
    ahead[0, 1, 0] += step
    behind[0, 1, 0] -= step
    quotient = (model(ahead, 2) - model(behind, 2))[0] / (2 * step)
    assert (slope - quotient).abs().max() < CLOSE
    assert slope.abs().max() > 0.01


@pytest.mark.parametrize("exact", [True, False])
def test_a_constructed_network_is_flat_on_cells_and_steep_in_strips(exact):
    spec = ConstructionSpec(2, 1, 3, "timestep", "rank", sharpness=8)  # strips end at 3/8
    built = compile_construction(parse_target("mean-field"), spec).network
    model, step = constructed_transformer(built, exact=exact), 2.0**-9
    cell, strip = (torch.tensor([[[x], [0.875]]]).double() for x in (0.25, 23 / 64))
    assert not jacrev(model)(cell).any()
    ahead = strip + torch.tensor([[step], [0.0]])
    quotient = (model(ahead) - model(strip)).flatten() / step
    slope = jacrev(model)(strip)[0, :, :, 0, 0].flatten()
    assert (slope - quotient).abs().max() < CLOSE
    assert slope.abs().min() > 10


@pytest.mark.parametrize(("module", "args"), SOME)
def test_a_module_is_exported(module, args):  # C6
    with torch.no_grad():
        exported = torch.export.export(module.eval(), args, strict=True).module()
        assert (exported(*args) - module(*args)).abs().max() < CLOSE
        other = tuple(a / 2 if torch.is_tensor(a) and a.is_floating_point() else a for a in args)
        assert (exported(*other) - module(*other)).abs().max() < CLOSE  # no constant


@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
@pytest.mark.parametrize(("module", "args"), SOME)
def test_a_module_compiles_in_one_piece(module, args):  # C6
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    assert (compiled(*args) - module(*args)).abs().max() < CLOSE


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
@pytest.mark.parametrize(("module", "args"), TRACED)
def test_a_compiled_module_computes_the_same(module, args):  # C6
    if not compiler_works("cpu"):
        pytest.skip("no C++ compiler")
    torch.compiler.reset()
    compiled = torch.compile(module, fullgraph=True)
    assert (compiled(*args) - module(*args)).abs().max() < CLOSE


@pytest.mark.filterwarnings("ignore")  # torch's own, while it compiles
def test_what_checks_values_refuses_to_be_traced_and_names_the_cure():
    module, x = constructed_transformer(network()), torch.rand(5, 2, 1).double()
    with pytest.raises(ValueError, match="make the module with exact=False"):
        vmap(module)(x[:, None])
    with pytest.raises(Exception, match="make the module with exact=False"):
        torch.compile(module, fullgraph=True, backend="eager")(x)


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
