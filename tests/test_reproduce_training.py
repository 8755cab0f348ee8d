"""Training of a reproduction: recipes, rows, overfitting, resume bit for bit, divergence."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from looprate.approx.models.sequence import (
    SequenceConfig,
    SequenceModel,
    matched_config,
    parameter_count,
)
from looprate.experiments.reproduce.catalogue import MODELS, TASKS, task_of
from looprate.experiments.reproduce.measure import criterion, measured
from looprate.experiments.reproduce.preset import model_of
from looprate.experiments.reproduce.presets import PRESETS
from looprate.experiments.reproduce.recipe import SequenceRecipe
from looprate.experiments.reproduce.rows import TrainingRows, task_at
from looprate.experiments.reproduce.trainer import Trainer, parameter_groups
from looprate.experiments.tasks.decision_tree import DecisionTree
from looprate.experiments.tasks.edit_distance import EditDistance

ROOT = Path(__file__).resolve().parent.parent
CPU = torch.device("cpu")
ROUNDING = 1e-5  # relative, of float32 sums in another order
SMALL = {key: preset.task for key, preset in PRESETS["smoke"].items()}
RECIPE = SequenceRecipe(
    steps=60, batch=8, evaluations=3, validation_rows=16, test_rows=16, warmup=5
)
SHORT = replace(RECIPE, steps=12, warmup=2)  # for windows of 4 steps
EDIT = EditDistance(size=4, letters=3)
every_task = pytest.mark.parametrize("key", TASKS)


def tiny(task, **changes):
    """A model small enough for tests."""
    sizes = {"width": 16, "heads": 2, "hidden": 32, "frequencies": 4, "clock": 4, "loops": 2}
    return model_of(task, **{**sizes, **changes})


def edit_trainer(recipe=RECIPE, **changes):
    """Training on edit distances."""
    return Trainer(EDIT, tiny(EDIT), replace(recipe, **changes), seed=3)


# -- recipes ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("schedule", "values"),
    [
        ("cosine", [0.5, 1.0, 1.0, 0.1 + 0.9 * (0.5 + math.sqrt(0.125)), 0.55]),
        ("linear", [0.5, 1.0, 1.0, 0.775, 0.55]),
    ],
)
def test_rates_are_those_computed_by_hand(schedule, values):
    recipe = SequenceRecipe(
        steps=10, learning_rate=1.0, final_learning_rate=0.1, schedule=schedule, warmup=2
    )
    assert [recipe.rate(step) for step in (0, 1, 2, 4, 6)] == pytest.approx(values)
    assert recipe.rate(10) == pytest.approx(0.1)
    flat = replace(recipe, final_learning_rate=1.0, warmup=0)
    assert {flat.rate(step) for step in range(10)} == {1.0}


def test_marks_are_even_and_end_at_the_last_step():
    assert replace(RECIPE, steps=100, evaluations=4).marks() == [25, 50, 75, 100]
    assert SequenceRecipe(**RECIPE.as_dict()) == RECIPE


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"steps": 0}, "`steps` must be an integer >= 1, got 0"),
        ({"batch": 2.0}, "`batch` must be an integer >= 1, got 2.0"),
        ({"evaluations": 61}, "`evaluations` must be an integer from 1 to 60, got 61"),
        ({"warmup": 60}, "`warmup` must be an integer from 0 to 59, got 60"),
        ({"schedule": "flat"}, "`schedule` must be cosine or linear, got 'flat'"),
        ({"loss": "first"}, "`loss` must be last or every, got 'first'"),
        ({"learning_rate": 0.0}, "`learning_rate` must be a finite number > 0, got 0.0"),
        ({"learning_rate": math.nan}, "`learning_rate` must be a finite number"),
        ({"final_learning_rate": 1.0}, "`final_learning_rate` must .* <= learning_rate=0.002"),
        ({"weight_decay": -0.1}, "`weight_decay` must be a finite number >= 0"),
        ({"clip": 0}, "`clip` must be a finite number > 0"),
        ({"betas": (0.9, 1.0)}, "`betas` must be two numbers from 0 to below 1"),
        ({"curriculum": -1}, "`curriculum` must be an integer >= 0"),
    ],
)
def test_a_bad_recipe_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        replace(RECIPE, **change)


# -- rows ------------------------------------------------------------------------------------------
def test_rows_are_a_function_of_seed_and_step(monkeypatch):
    monkeypatch.setattr("looprate.experiments.reproduce.rows.CHUNK", 24)  # three batches
    first = [TrainingRows(EDIT, RECIPE, 5).batch(step).inputs for step in range(8)]
    rows = TrainingRows(EDIT, RECIPE, 5)
    for step in (7, 0, 3, 2, 6, 1, 5, 4):
        assert (rows.batch(step).inputs == first[step]).all()
    ahead = TrainingRows(EDIT, replace(RECIPE, steps=8), 5, ahead=True)
    assert all((ahead.batch(step).inputs == first[step]).all() for step in range(8))
    ahead.close()
    assert {step.shape for step in first} == {(RECIPE.batch, EDIT.length)}
    assert len({row.tobytes() for step in first for row in step}) > 60  # of 64, hardly one twice
    assert (TrainingRows(EDIT, RECIPE, 6).batch(0).inputs != first[0]).any()


def test_a_curriculum_grows_to_the_whole_task():
    task, recipe = DecisionTree(), replace(RECIPE, curriculum=10, steps=400)
    assert [task_at(task, recipe, step).active for step in (0, 9, 10, 150, 399)] == [
        5,
        5,
        6,
        20,
        20,
    ]
    assert task_at(task, recipe, 399).points == 101
    assert task_at(task, RECIPE, 0) is task
    assert task_at(EDIT, recipe, 0) is EDIT


# -- loss and metric -------------------------------------------------------------------------------
@every_task
def test_the_loss_is_over_the_positions_that_count(key):
    task = SMALL[key]
    batch = task.sample("train", 0, 5)
    out = torch.randn(5, task.length, tiny(task).predicted, generator=torch.Generator())
    mask = torch.from_numpy(batch.mask)
    truth = torch.from_numpy(batch.targets)[mask]
    if task.metric == "squared error":
        wanted = (out[..., 0][mask] - truth).square().mean()
    else:
        wanted = -out[mask].log_softmax(-1)[torch.arange(len(truth)), truth].mean()
    loss = criterion(task, batch, CPU)
    torch.testing.assert_close(loss(out), wanted)
    elsewhere = out + 7 * (~mask)[..., None] * torch.arange(out.shape[-1])
    torch.testing.assert_close(loss(elsewhere), wanted)
    moved = out + 7 * mask[..., None] * torch.arange(out.shape[-1]).flip(0) + mask[..., None]
    assert abs(loss(moved) - wanted) > 0.1


@every_task
def test_one_run_measures_every_loop_count(key, monkeypatch):
    task = SMALL[key]
    model = SequenceModel(tiny(task), seed=0)
    numbers = 7 * task.length * model.config.predicted  # those of 7 rows
    monkeypatch.setattr("looprate.experiments.reproduce.measure.NUMBERS", numbers)
    rows = task.sample("test", 9, 20)
    found = measured(model, task, rows, (1, 3), CPU)
    for loops in (1, 3):
        with torch.no_grad():
            out = model(torch.from_numpy(rows.inputs), loops=loops)
        truth = torch.from_numpy(rows.targets)
        if task.metric == "perplexity":
            wanted = float(F.cross_entropy(out.flatten(0, 1), truth.flatten()).exp())
        elif task.metric == "squared error":
            wanted = float((out[..., 0] - truth)[torch.from_numpy(rows.mask)].square().mean())
        else:
            wanted = task.score(out.argmax(-1).numpy(), rows).mean()
        assert found[loops] == pytest.approx(wanted, rel=ROUNDING)


# -- training --------------------------------------------------------------------------------------
EVERYDAY = {  # one model a task; the other pairs are slow
    *(("sudoku", "tmlt"), ("countdown", "untied"), ("lcs", "looped")),
    *(("edit-distance", "tmlt"), ("decision-tree", "looped"), ("language", "untied")),
}


@pytest.mark.parametrize(
    ("key", "model"),
    [
        pytest.param(key, model, marks=[] if (key, model) in EVERYDAY else pytest.mark.slow)
        for key in TASKS
        for model in MODELS
    ],
)
def test_every_model_learns_a_few_rows_of_every_task_by_heart(key, model, monkeypatch):
    task = SMALL[key]
    few = task.sample("train", 0, 4)
    monkeypatch.setattr(TrainingRows, "batch", lambda self, step: few)
    config = matched_config(tiny(task), MODELS[model], loops=2)
    every = "every" if key == "sudoku" else "last"
    recipe = replace(RECIPE, learning_rate=2e-2, loss=every, weight_decay=0.0)
    trainer = Trainer(task, config, recipe, seed=0)
    trainer.held_out = few
    curve = trainer.run()
    assert curve.diverged_at == -1
    assert curve.step == [20, 40, 60]
    assert curve.loss[-1] < 0.2 * curve.first
    best = {"accuracy": 1.0, "squared error": 0.0, "perplexity": 1.0}[task.metric]
    assert curve.value[-1] == pytest.approx(best, abs=0.3)


def test_fresh_rows_lower_the_loss_and_a_rate_of_nothing_does_not():
    learned = edit_trainer(learning_rate=1e-2).run()
    assert learned.loss[-1] < 0.8 * learned.loss[0]
    idle = edit_trainer(learning_rate=1e-12).run()
    assert idle.loss[-1] > 0.9 * idle.loss[0]


def test_the_loss_is_that_of_the_last_loop_or_of_every_one():
    for which in ("last", "every"):
        trainer = edit_trainer(SHORT, loss=which)
        rows = trainer.rows.batch(0)
        loss = criterion(EDIT, rows, CPU)
        with torch.no_grad():
            outs = trainer.model(torch.from_numpy(rows.inputs), every=True)
        each = [float(loss(out)) for out in outs]
        trainer.advance()
        wanted = each[-1] if which == "last" else sum(each) / 2
        assert trainer.curve.first == pytest.approx(wanted, rel=ROUNDING)
        assert abs(each[0] / each[1] - 1) > 0.01


def test_decay_is_for_matrices_only():
    for key, task in SMALL.items():
        config = tiny(task, embedding_norm=key == "lcs")
        model = SequenceModel(config, seed=0)
        names = {id(p): name for name, p in model.named_parameters()}
        decayed, free = (
            {names[id(p)] for p in group["params"]} for group in parameter_groups(model, 0.1)
        )
        assert decayed | free == set(names.values())
        assert not decayed & free
        for name, parameter in model.named_parameters():
            axes = parameter.ndim - (name in ("qkv", "out", "up", "up_bias", "down", "down_bias"))
            assert (name in decayed) == (axes == 2), name
        assert [group["weight_decay"] for group in parameter_groups(model, 0.1)] == [0.1, 0.0]


def test_the_decay_reaches_the_weights():
    """A step with zero gradients shrinks matrices by rate times decay, and moves nothing else."""
    trainer = edit_trainer(weight_decay=0.5)
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    for group in trainer.optimiser.param_groups:
        group["lr"] = 0.1
    for parameter in trainer.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    trainer.optimiser.step()
    after = dict(trainer.model.named_parameters())
    for name in ("qkv", "embed", "read"):
        torch.testing.assert_close(after[name].detach(), 0.95 * before[name])
    for name in ("up_bias", "eta_row", "final", "read_bias"):
        assert torch.equal(after[name].detach(), before[name])


def test_gradients_are_clipped(monkeypatch):
    seen = []
    real = torch.nn.utils.clip_grad_norm_

    def spy(parameters, most):
        parameters = list(parameters)
        real(parameters, most)
        seen.append(float(torch.stack([p.grad.norm() for p in parameters]).norm()))

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
    edit_trainer(SHORT, clip=0.01).run()
    assert len(seen) == 12
    assert max(seen) <= 0.01 * (1 + ROUNDING)


# -- divergence ------------------------------------------------------------------------------------
def test_a_run_that_diverges_ends_early_and_says_so():
    curve = edit_trainer(learning_rate=30.0, clip=1e9).run()
    assert 0 <= curve.diverged_at < RECIPE.steps
    assert curve.step[-1] <= curve.diverged_at + 50
    assert len(curve.step) == len(curve.loss) == len(curve.value)


@pytest.mark.parametrize(
    ("losses", "given_up"),
    [
        ([2.0] * 50, -1),
        ([2.0] * 20 + [math.nan] + [2.0] * 29, 70),
        ([2.0] * 49 + [math.inf], 99),
        ([2.5] * 50, 100),  # above its start for a tenth of the steps
        ([2.5] * 20 + [1.5] * 30, -1),  # not on average
    ],
)
def test_losses_that_are_not_finite_or_above_their_start_for_long_are_told(losses, given_up):
    trainer = edit_trainer(steps=400)
    trainer._judge(0, [2.0] * 50)
    trainer.step = 100
    trainer._judge(50, losses)
    assert trainer.curve.diverged_at == given_up


def test_a_stretch_above_the_start_must_be_on_end():
    trainer = edit_trainer(steps=2000)  # 200 steps
    trainer._judge(0, [2.0] * 50)
    for k in range(1, 20):
        trainer.step = 50 * (k + 1)
        trainer._judge(50 * k, [9.0 if k % 4 else 1.0] * 50)
    assert trainer.curve.diverged_at == -1
    for k in range(20, 24):
        trainer.step = 50 * (k + 1)
        trainer._judge(50 * k, [9.0] * 50)
    assert trainer.curve.diverged_at >= 0


# -- matched models --------------------------------------------------------------------------------
@pytest.mark.parametrize("width", [16, 64, 128])
def test_lt_is_widened_to_the_parameters_of_tmlt(width):
    config = SequenceConfig(vocabulary=9, length=7, width=width, hidden=2 * width, clock=16)
    lt, tmlt = (matched_config(config, family, loops=5) for family in ("lt", "tmlt"))
    assert abs(parameter_count(lt) - parameter_count(tmlt)) <= (2 * width + 1) / 2
    assert lt.hidden > tmlt.hidden == config.hidden
    assert replace(lt, family="tmlt", hidden=config.hidden) == tmlt
    untied = matched_config(config, "untied", loops=5)
    assert (untied.blocks, untied.hidden, untied.family) == (5, config.hidden, "untied")


def test_tasks_come_back_from_their_sizes():
    for key, task in SMALL.items():
        assert task_of(key, task.as_dict()) == task
    with pytest.raises(ValueError, match="`task` must be one of sudoku"):
        task_of("chess", {})
