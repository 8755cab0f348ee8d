"""Fits in bulk: points made on the device, a step that needs no host, banks sized and halved."""

import functools
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from cases.small_fits import SMALL, begun, mean, run, square
from looprate.approx.banks.bank import bank_forward
from looprate.approx.banks.block import compile_for
from looprate.approx.error import sobol_points
from looprate.approx.fit.fitted import Member, Recipe, member_errors, predictions
from looprate.approx.fit.memory import model_bytes
from looprate.approx.fit.sampling import SobolSource, TrainingPoints
from looprate.approx.fit.state import fresh_state
from looprate.approx.fit.training import TrainingRun
from looprate.experiments.study.config import StudyConfig
from looprate.experiments.study.plan import fit_tasks
from looprate.theory.targets import resolve_target
from looprate.theory.targets.own import OwnFunction

RECIPE = Recipe(steps=30, batch=8, evaluations=3, validation_points=16)
NEIGHBOURS = (
    1e-3  # relative: a bank's matmuls may round otherwise in another bank; training grows it
)
run = functools.partial(run, recipe=RECIPE)


@functools.cache
def plain():
    """The run in one bank, made once; not to be changed."""
    return run()


def run_of(config=SMALL, *, members=None, tokens=2, loops=2, recipe=RECIPE, targets=(mean, square)):
    """One bank before its first step."""
    members = members or [Member(t, s, 1e-2) for t in (0, 1) for s in (0, 3)]
    state = fresh_state(config, members, evaluations=recipe.evaluations)
    return TrainingRun(
        targets,
        config,
        members,
        state,
        tokens=tokens,
        loops=loops,
        p=1.0,
        recipe=recipe,
        device="cpu",
        compiled=False,
    )


def assert_same(found, expected):
    assert found.members == expected.members
    np.testing.assert_array_equal(found.diverged_at, expected.diverged_at)
    np.testing.assert_allclose(found.curve, expected.curve, rtol=NEIGHBOURS)
    for name, value in expected.bank.items():
        torch.testing.assert_close(found.bank[name], value, rtol=NEIGHBOURS, atol=NEIGHBOURS)


# -- points ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("tokens", "dim"), [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("first", [0, 1, 63, 64, 3200, 2**20 - 5])
def test_points_made_on_the_device_are_the_engine_s_bit_for_bit(tokens, dim, first):
    seeds = [0, 7, 1_000_003]
    source = SobolSource(seeds, tokens=tokens, dim=dim, device="cpu")
    expected = [sobol_points(130, tokens=tokens, dim=dim, seed=s, skip=first) for s in seeds]
    torch.testing.assert_close(source.draw(first, 130), torch.stack(expected), rtol=0, atol=0)


def test_points_beyond_the_sequence_are_refused():
    source = SobolSource([0], tokens=2, dim=1, device="cpu")
    assert source.draw(2**30 - 2, 2).shape == (1, 2, 2, 1)
    for first, count in ((2**30 - 2, 3), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=r"must name points 0\.\.2\^30-1"):
            source.draw(first, count)


def test_a_target_for_numpy_alone_gets_one_copy_a_chunk():
    calls = []

    def squares(x):
        calls.append(x.shape)
        return np.square(x)

    own = OwnFunction("squares", squares, frozenset({"numpy"}))
    targets = [own, resolve_target("token-sine:periods=1")]
    points = TrainingPoints(targets, [0, 3], tokens=2, dim=1, batch=8, device="cpu")
    x, y = points.chunk(5, 10)
    assert calls == [(2 * 10 * 8, 2, 1)]
    assert x.shape == (2, 10, 8, 2, 1)
    assert y.shape == (2, 2, 10, 8, 2, 1)
    late = sobol_points(80, tokens=2, dim=1, seed=3, skip=5 * 8).view(10, 8, 2, 1)
    torch.testing.assert_close(x[1], late, rtol=0, atol=0)
    torch.testing.assert_close(y[0], x * x)
    torch.testing.assert_close(y[1], torch.sin(2 * torch.pi * x))


def test_every_model_trains_on_the_points_of_its_seed_and_its_target_s_values():
    members = [Member(1, 3, 1e-2), Member(0, 3, 1e-2), Member(1, 0, 2e-2), Member(1, 3, 2e-2)]
    bank, seen = run_of(members=members), []
    bank.learn = lambda *given: seen.append(given)
    bank.train(3)
    for step, (x, y, scalars) in enumerate(seen):
        for row, member in enumerate(members):
            drawn = sobol_points(8, tokens=2, dim=1, seed=member.seed, skip=8 * step)
            torch.testing.assert_close(x[row], drawn, rtol=0, atol=0)
            torch.testing.assert_close(y[row], (mean, square)[member.target](drawn))
        expected = [RECIPE.rate(step), 1 - 0.9 ** (step + 1), 1 - 0.99 ** (step + 1), step]
        torch.testing.assert_close(scalars, torch.tensor(expected))


# -- a step asks nothing of the host ---------------------------------------------------------------
class Recorded(TorchDispatchMode):
    """The names of the operations that ran."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.name().removeprefix("aten::"))
        return function(*args, **(kwargs or {}))


# A number read by the host, one brought from it, a shape that depends on values.
WAITING = {"_local_scalar_dense", "lift_fresh", "nonzero", "masked_select"}


def test_a_step_neither_reads_from_the_device_nor_writes_to_it():
    bank = run_of()
    bank.train(1)  # what is kept between steps is made now
    bank._place.zero_()
    with Recorded() as recorded:
        bank.train_step()
    assert {"bmm", "index_select"} <= recorded.names
    assert not WAITING & recorded.names


@pytest.mark.parametrize(
    "waits", [lambda x: float(x.sum()), lambda x: x * torch.tensor(2.0), lambda x: x[x > 0]]
)
def test_a_step_that_waits_is_noticed(waits):
    with Recorded() as recorded:
        waits(torch.ones(3))
    assert WAITING & recorded.names or "index.Tensor" in recorded.names


class Pretended:
    """Stands for a stream and for a graph: what is captured is run, and run again."""

    def __init__(self, step=None):
        self.replay = step

    def wait_stream(self, other):
        assert isinstance(other, Pretended)


def pretend_cuda(monkeypatch, bank):
    """Let a bank on the CPU capture its step as if it were on a GPU."""
    monkeypatch.setattr(torch.cuda, "Stream", Pretended)
    monkeypatch.setattr(torch.cuda, "current_stream", Pretended)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "graph", lambda _: nullcontext(bank._place.zero_()))
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: Pretended(bank.train_step))


@pytest.mark.parametrize("steps", [1, 7])
def test_a_capture_leaves_no_trace_and_its_replays_are_the_steps(monkeypatch, steps):
    recipe = replace(RECIPE, steps=steps, evaluations=1)
    bank, expected = run_of(recipe=recipe), run_of(recipe=recipe)
    pretend_cuda(monkeypatch, bank)
    before = bank.state()
    bank._fill(steps)
    bank._graph = bank._captured()
    after = bank.state()
    for name, value in vars(before).items():
        np.testing.assert_array_equal(getattr(after, name), value, err_msg=name)
    bank.advance()
    expected.advance()
    for name, value in vars(expected.state()).items():
        np.testing.assert_array_equal(getattr(bank.state(), name), value, err_msg=name)


# -- memory ----------------------------------------------------------------------------------------


def no_memory():
    raise torch.OutOfMemoryError("full")


# -- banks -----------------------------------------------------------------------------------------
def short_of_memory(monkeypatch, *, most, after):
    """Let steps from ``after`` on fail in banks of more than ``most``; return the steps trained."""
    learn, trained = TrainingRun.learn, []

    def limited(self, inputs, truth, scalars):
        step = int(scalars[3])
        if len(self.members) > most and step >= after:
            raise torch.OutOfMemoryError("full")
        learn(self, inputs, truth, scalars)
        trained.extend((member, step) for member in self.members)

    monkeypatch.setattr(TrainingRun, "learn", limited)
    return trained


@pytest.mark.parametrize(("most", "after"), [(4, 0), (3, 13), (1, 20)])
def test_a_fit_short_of_memory_goes_on_in_halves_from_where_it_was(monkeypatch, most, after):
    expected = plain()
    trained = short_of_memory(monkeypatch, most=most, after=after)
    assert_same(run(), expected)
    models, halvings = len(expected.members), {4: 1, 3: 2, 1: 3}[most]
    assert len(set(trained)) == models * RECIPE.steps
    again = len(trained) - len(set(trained))  # of each chunk that broke, the steps before
    assert again == models * halvings * (after % 10)


def test_memory_that_ends_in_the_compiler_is_not_taken_for_a_missing_compiler(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("full")

    monkeypatch.setattr("looprate.approx.banks.block._compile", full)
    with pytest.raises(torch.OutOfMemoryError):
        compile_for(lambda x: (x,), [torch.zeros(1)])


def test_a_model_alone_that_does_not_fit_is_an_error(monkeypatch):
    short_of_memory(monkeypatch, most=0, after=0)
    with pytest.raises(torch.OutOfMemoryError):
        run()


@pytest.mark.parametrize("where", ["learn", "_validate"])
def test_a_broken_chunk_leaves_the_run_as_it_was(monkeypatch, where):
    bank = run_of()
    bank.advance()
    before = bank.state()
    if where == "learn":
        short_of_memory(monkeypatch, most=0, after=15)
    else:
        bank._validate = no_memory
    with pytest.raises(torch.OutOfMemoryError):
        bank.advance()
    after = bank.state()
    for name, value in vars(before).items():
        np.testing.assert_array_equal(getattr(after, name), value, err_msg=name)
    x = torch.rand(4, 8, 2, 1)
    out = bank_forward(bank.bank, SMALL, x, 2, compiled=False)
    fresh = run_of()
    fresh.advance()
    expected = bank_forward(fresh.bank, SMALL, x, 2, compiled=False)
    torch.testing.assert_close(out, expected, rtol=0, atol=0)


def test_banks_planned_for_little_memory_give_the_same_models(monkeypatch):
    expected, sizes = plain(), []
    made = TrainingRun.__init__

    def noted(self, targets, config, members, *rest, **named):
        sizes.append(len(members))
        made(self, targets, config, members, *rest, **named)

    monkeypatch.setattr(TrainingRun, "__init__", noted)
    each = model_bytes(SMALL, tokens=2, batch=8, loops=2)
    assert_same(run(free_bytes=4 * each), expected)  # 3 with what is kept in reserve
    assert sizes == [2, 3, 3]


def test_a_task_holds_all_targets_on_a_gpu_and_a_bank_of_32_models_on_a_cpu(tmp_path):
    names = ("mean-field", "token-sine:periods=1", "others-mean")
    config = StudyConfig(targets=names, loops=(1, 2), seeds=8, learning_rates=(1e-2, 2e-2))
    for device, expected in (("cpu", [2, 1]), ("cuda", [3])):
        tasks = fit_tasks(replace(config, device=device), tmp_path)
        assert [len(task.arguments["targets"]) for task in tasks] == expected * 4
        assert len({task.key for task in tasks}) == len(tasks)


def test_a_stopped_fit_goes_on_in_banks_of_another_size(tmp_path):
    path, each, seen = tmp_path / "fit.npz", model_bytes(SMALL, tokens=2, batch=8, loops=2), []
    # after five reports the first bank has ended, the second is on its way
    assert begun(path, 5, recipe=RECIPE, free_bytes=4 * each)[-1] < RECIPE.steps
    assert_same(run(checkpoint=path, progress=seen.append, free_bytes=3 * each), plain())
    assert min(seen) > 10  # it did not start again
    assert seen[-1] == RECIPE.steps


def test_errors_of_a_bank_too_large_to_measure_at_once_are_its_halves(monkeypatch):
    result, names = plain(), {"tokens": 2, "loops": 2, "p": 1.0, "points": 16, "replicates": 2}
    whole = member_errors(result, [mean, square], **names, batch=8, compiled=False)
    many = predictions

    def limited(some, x, **rest):
        if len(some.members) > 3:
            raise torch.OutOfMemoryError("full")
        return many(some, x, **rest)

    monkeypatch.setattr("looprate.approx.fit.fitted.predictions", limited)
    parts = member_errors(result, [mean, square], **names, batch=8, compiled=False)
    np.testing.assert_allclose(
        [each.value for each in parts], [each.value for each in whole], rtol=NEIGHBOURS
    )


# -- on a GPU --------------------------------------------------------------------------------------
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


@pytest.mark.gpu
@on_gpu
def test_points_on_the_gpu_are_the_engine_s_bit_for_bit():
    drawn = SobolSource([0, 7], tokens=3, dim=2, device="cuda").draw(3200, 1000)
    expected = [sobol_points(1000, tokens=3, dim=2, seed=s, skip=3200) for s in (0, 7)]
    torch.testing.assert_close(drawn.cpu(), torch.stack(expected), rtol=0, atol=0)


@pytest.mark.gpu
@on_gpu
def test_replayed_steps_never_wait_for_the_gpu():
    members = [Member(0, seed, 1e-2) for seed in range(8)]
    state = fresh_state(SMALL, members, evaluations=RECIPE.evaluations)
    how = {"tokens": 2, "loops": 2, "p": 1.0, "recipe": RECIPE}
    bank = TrainingRun([mean], SMALL, members, state, **how, device="cuda", compiled=True)
    bank.advance()
    bank._fill(10)
    bank._place.zero_()
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(10):
            bank._graph.replay()
    finally:
        torch.cuda.set_sync_debug_mode(mode)


@pytest.mark.gpu
@on_gpu
def test_gpu_banks_of_any_size_agree_with_one():
    each = model_bytes(SMALL, tokens=2, batch=8, loops=2)
    whole, parts = run(device="cuda"), run(device="cuda", free_bytes=4 * each)
    np.testing.assert_allclose(parts.curve, whole.curve, rtol=0.05)
