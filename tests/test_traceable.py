"""The reference model can be traced: compiled, exported, and mapped over many models at once."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from looprate.approx.models.looped import LoopedTransformer, ModelConfig

FAMILIES = {"lt": 1, "tmlt": 1, "untied": 3}
CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # float32, sums in another order
pytestmark = pytest.mark.filterwarnings("ignore")  # of the tracer, about itself


def model_of(family, seed=0):
    config = ModelConfig(dim=2, width=8, hidden=8, family=family, blocks=FAMILIES[family])
    return LoopedTransformer(config, seed=seed).eval()


def inputs(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_forward_compiles_as_one_graph(family):
    model, x = model_of(family), inputs(5, 3, 2)
    torch.compiler.reset()
    traced = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(x, 3), model(x, 3), **CLOSE)
    torch.compiler.reset()


def test_gradients_of_the_compiled_forward_are_those_of_the_plain_one():
    model, x = model_of("tmlt"), inputs(5, 3, 2)
    torch.compiler.reset()
    traced = torch.compile(model, backend="aot_eager", fullgraph=True)
    names = list(model.parameters())
    found = torch.autograd.grad(traced(x, 2).square().sum(), names)
    wanted = torch.autograd.grad(model(x, 2).square().sum(), names)
    for ours, plain in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-4, atol=1e-5)
    torch.compiler.reset()


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exported_model_gives_the_same_outputs(family):
    model, x = model_of(family), inputs(5, 3, 2)
    batch = {"x": {0: torch.export.Dim("batch", min=2)}, "loops": None}
    exported = torch.export.export(model, (x, 3), dynamic_shapes=batch).module()
    for size in (5, 7):
        other = inputs(size, 3, 2)
        torch.testing.assert_close(exported(other, 3), model(other, 3), **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
def test_many_models_run_at_once(family):
    models, x = [model_of(family, seed) for seed in range(4)], inputs(4, 5, 3, 2)
    state = stack_module_state(models)

    def one(parameters, buffers, part):
        return functional_call(models[0], (parameters, buffers), (part, 3))

    found = vmap(one)(*state, x)
    wanted = torch.stack([model(part, 3) for model, part in zip(models, x, strict=True)])
    torch.testing.assert_close(found, wanted, **CLOSE)
    assert not torch.allclose(found[0], found[1])  # they are different models
