"""Memory of fits: planned within a fifth, banks sized and cut in slices and halves."""

import weakref
from contextlib import suppress

import pytest
import torch
from test_fit_banks import no_memory, on_gpu, run_of
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cases.small_fits import SMALL, mean, square
from looprate.approx.banks.bank import bank_forward
from looprate.approx.fit.fitted import Member, Recipe
from looprate.approx.fit.fitting import fit
from looprate.approx.fit.memory import ensemble_size, in_halves, kept_bytes, model_bytes, slices
from looprate.approx.models.looped import ModelConfig


class Live(TorchDispatchMode):
    """The bytes of all tensors made inside, now and at their peak."""

    def __init__(self):
        super().__init__()
        self.sizes, self.now, self.peak = {}, 0, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage):
        if storage._cdata not in self.sizes:
            self.sizes[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._gone, storage._cdata)

    def _gone(self, key):
        self.now -= self.sizes.pop(key)


MEMORY_CASES = [  # (configuration, N, batch, r)
    (ModelConfig(width=16, hidden=64), 2, 32, 8),
    (ModelConfig(width=16, hidden=64), 2, 32, 1),
    (ModelConfig(width=32, hidden=128, activation="gelu"), 4, 64, 4),
    (ModelConfig(width=16, hidden=32, family="lt", injection=True), 3, 32, 16),
    (ModelConfig(width=16, hidden=32, family="untied", blocks=8, dim=2), 2, 32, 8),
    (ModelConfig(width=16, hidden=32, heads=8, norm="none"), 8, 32, 4),
]


def counted(config, tokens, batch, loops, models=4):
    """Return the bytes a model takes at the peak of its first steps."""
    recipe = Recipe(steps=100, batch=batch, evaluations=50, validation_points=batch)
    members = [Member(0, seed, 1e-3) for seed in range(models)]
    shape = {"tokens": tokens, "loops": loops, "recipe": recipe}
    with Live() as live:
        bank = run_of(config, members=members, targets=[square], **shape)
        bank._validate = no_memory  # two steps are enough
        with suppress(torch.OutOfMemoryError):
            bank.advance()
    return live.peak / models


@pytest.mark.parametrize(("config", "tokens", "batch", "loops"), MEMORY_CASES)
def test_the_memory_model_is_within_a_fifth_of_the_tensors_counted(config, tokens, batch, loops):
    planned = model_bytes(config, tokens=tokens, batch=batch, loops=loops)
    assert 0.8 < planned / counted(config, tokens, batch, loops) < 1.2


def test_what_the_loops_keep_is_counted_exactly():
    bank = run_of(loops=5)
    out = bank_forward(bank.bank, SMALL, torch.rand(4, 8, 2, 1), 5, compiled=False)
    node = out.grad_fn
    while not hasattr(node, "kept"):
        node = next(parent for parent, _ in reversed(node.next_functions) if parent is not None)
    storages = {t.untyped_storage() for kept in node.kept for t in kept}
    found = sum(storage.nbytes() for storage in storages)
    last = 4 * SMALL.width * 16  # the last state belongs to the read-out
    expected = kept_bytes(SMALL, tokens=2, batch=8, loops=5) - last
    assert found == 4 * expected


def test_more_memory_holds_more_models_and_one_always_runs():
    shape = {"tokens": 2, "batch": 32, "loops": 8}
    sizes = [ensemble_size(SMALL, **shape, free_bytes=10**k) for k in range(1, 12)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 1
    assert 0.7e10 < sizes[9] * model_bytes(SMALL, **shape) <= 0.8e10
    with pytest.raises(ValueError, match="`free_bytes` must be an integer >= 1, got 0"):
        ensemble_size(SMALL, **shape, free_bytes=0)


def test_slices_cover_everything_once_in_equal_parts():
    for start, stop, size in ((0, 10, 10), (0, 10, 4), (3, 100, 7), (0, 1, 5)):
        parts = slices(start, stop, size)
        assert [k for a, b in parts for k in range(a, b)] == list(range(start, stop))
        lengths = {b - a for a, b in parts}
        assert max(lengths) <= size
        assert max(lengths) - min(lengths) <= 1


def test_halves_come_in_order_and_one_alone_that_does_not_fit_is_an_error():
    def work(start, stop, most):
        if stop - start > most:
            raise torch.OutOfMemoryError("full")
        return list(range(start, stop))

    assert in_halves(lambda a, b: work(a, b, 3), 0, 11) == list(range(11))
    with pytest.raises(torch.OutOfMemoryError, match="full"):
        in_halves(lambda a, b: work(a, b, 0), 0, 4)


@pytest.mark.gpu
@on_gpu
def test_a_fit_takes_no_more_gpu_memory_than_planned():
    config, shape = ModelConfig(width=16, hidden=64), {"tokens": 2, "batch": 32, "loops": 16}
    recipe = Recipe(steps=20, batch=32, evaluations=1, validation_points=32)
    torch.cuda.reset_peak_memory_stats()
    usual = {"learning_rates": [1e-2], "recipe": recipe, "device": "cuda"}
    fit([mean], config, tokens=2, loops=16, seeds=range(256), **usual)
    planned = 256 * model_bytes(config, **shape)
    assert torch.cuda.max_memory_allocated() < planned / 0.8
