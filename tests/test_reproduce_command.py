"""The command ``looprate reproduce``: rows, resume, refusals, and every preset's sizes."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from looprate.approx.models.sequence import parameter_count
from looprate.cli import main
from looprate.commands import reproduce as command_reproduce
from looprate.experiments.engine.sweep import checkpoint_of
from looprate.experiments.reproduce import catalogue
from looprate.experiments.reproduce.fitting import picture_of
from looprate.experiments.reproduce.plan import (
    estimated_minutes,
    reproduce_sweep,
    reproduced_rows,
    step_cost,
)
from looprate.experiments.reproduce.preset import TaskPreset, model_of
from looprate.experiments.reproduce.presets import PRESETS

ROOT = Path(__file__).resolve().parent.parent
SMOKE = PRESETS["smoke"]
FIELDS = {
    *("kind", "name", "preset", "model", "loops", "seed", "parameters", "metric", "value"),
    *("test_rows", "test_loops", "at_test_loops", "curve_step", "curve_loss", "curve_value"),
    *("diverged_at", "steps", "batch", "device", "torch", "sizes", "model_config"),
}
PUBLISHED = {  # task -> T, width, heads, loops, steps, untied depth
    "sudoku": (81, 256, 4, (32,), 156_250, 6),
    "countdown": (20, 256, 4, (32, 50), 976_562, 6),
    "lcs": (204, 256, 4, (10, 50, 100), 781_250, 12),
    "edit-distance": (126, 256, 4, (10, 50, 100), 781_250, 12),
    "decision-tree": (202, 256, 8, (12, 15, 50, 70), 500_000, 12),
    "language": (1024, 768, 12, (24,), 100_000, 12),
}
every_preset = pytest.mark.parametrize(
    ("name", "key"), [(name, key) for name, tasks in PRESETS.items() for key in tasks]
)


@pytest.fixture
def undrawn(monkeypatch):
    """No figures: they have tests of their own."""
    monkeypatch.setattr("looprate.study.draw_folder", lambda *_: (0, ""))


def fits(folder):
    """Stored rows by model, loop count and seed, without times."""
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    drop = ("seconds", "task")  # times differ
    return {
        (row["name"], row["model"], row["loops"], row["seed"]): {
            key: value for key, value in row.items() if key not in drop
        }
        for row in rows
    }


def study_of(folder, **changes):
    """One task of the smoke preset."""
    preset = replace(SMOKE["edit-distance"], models=("tmlt", "untied"), **changes)
    return reproduce_sweep({"edit-distance": preset}, "smoke", folder)


# -- running ---------------------------------------------------------------------------------------
def test_smoke_ends_with_rows_pictures_and_a_report_and_resumes(tmp_path, said, undrawn):
    arguments = ["reproduce", "edit-distance", "--preset", "smoke", "--processes", 1]
    arguments += ["--model", "tmlt", "untied", "--out", tmp_path]
    code, out, _ = said(*arguments)
    assert code == 0
    assert "edit-distance: accuracy, median over seeds" in out
    assert str(tmp_path / "report.html") in out
    rows = fits(tmp_path)
    assert set(rows) == {
        ("edit-distance", model, loops, 0) for model in ("tmlt", "untied") for loops in (1, 2)
    }
    for (_, model, loops, _), row in rows.items():
        assert row.keys() >= FIELDS
        assert (row["kind"], row["diverged_at"], row["device"]) == ("fit", -1, "cpu, 1 thread")
        assert row["test_loops"] == ([] if model == "untied" else [1, 2, 3])
        assert len(row["at_test_loops"]) == len(row["test_loops"])
        if model == "tmlt":
            assert row["at_test_loops"][loops - 1] == row["value"]
        assert len(row["curve_step"]) == len(row["curve_loss"]) == len(row["curve_value"]) == 2
    with np.load(tmp_path / "pictures" / "edit-distance__tmlt.npz", allow_pickle=False) as found:
        assert found["predictions"].shape == (2, 4, found["inputs"].shape[1])
        assert found["attention"].shape == (2, 2, *2 * found["inputs"].shape[1:])
        assert found["attention"].dtype == np.float16
        assert set(found.files) == {"inputs", "targets", "mask", "predictions", "attention"}
    assert not list((tmp_path / "checkpoints").glob("*"))
    before = (tmp_path / "rows.jsonl").read_bytes()
    assert all(json.loads(line)["seconds"] > 0 for line in before.splitlines())
    code, out, err = said(*arguments, "--json")
    assert code == 0
    assert f"resuming {tmp_path}: 4 of 4 tasks are done" in err
    assert json.loads(out) == json.loads((tmp_path / "report.json").read_text())
    assert (tmp_path / "rows.jsonl").read_bytes() == before


def test_tasks_asked_for_before_stay_in_the_report(tmp_path, said, undrawn):
    for task in ("lcs", "decision-tree"):
        code, out, _ = said(
            "reproduce", task, "--preset", "smoke", "--processes", 1, "--loops", 1,
            *("--model", "looped", "--out", tmp_path, "--json"),
        )  # fmt: skip
        assert code == 0
    assert {part["name"] for part in json.loads(out)["tasks"]} == {"lcs", "decision-tree"}
    stored = json.loads((tmp_path / "config.json").read_text())
    assert (stored["preset"], set(stored["tasks"])) == ("smoke", {"lcs", "decision-tree"})
    assert stored["tasks"]["lcs"]["loops"] == [1]
    with pytest.raises(ValueError, match="holds one of smoke; take another folder"):
        reproduce_sweep(SMOKE, "small", tmp_path)


def test_a_fit_whose_row_is_not_stored_keeps_its_checkpoint(tmp_path):
    study = study_of(tmp_path)
    task = study.missing()[0]
    rows = task.function(lambda part: None, **task.arguments)
    assert checkpoint_of(tmp_path, task.key).exists()
    study.keep(task, rows)
    assert not checkpoint_of(tmp_path, task.key).exists()


def test_another_recipe_is_another_fit(tmp_path):
    keys = {task.key for task in study_of(tmp_path).tasks()}
    longer = replace(SMOKE["edit-distance"].recipe, steps=7)
    assert not keys & {task.key for task in study_of(tmp_path, recipe=longer).tasks()}
    more = {task.key for task in study_of(tmp_path, seeds=2).tasks()}
    assert keys < more  # more seeds leave the stored ones as they are


def test_only_the_deepest_model_of_seed_0_is_drawn(tmp_path):
    study = study_of(tmp_path, seeds=2)
    drawn = [task.arguments for task in study.tasks() if task.arguments["picture"]]
    assert [(a["model"], a["model_config"]["loops"], a["seed"]) for a in drawn] == [
        ("tmlt", 2, 0),
        ("untied", 2, 0),
    ]
    assert picture_of(tmp_path, "lcs", "tmlt") == tmp_path / "pictures" / "lcs__tmlt.npz"


def test_a_fit_that_diverged_is_told_in_its_row(tmp_path):
    wild = replace(SMOKE["decision-tree"].recipe, steps=60, learning_rate=1e30, clip=1e30)
    preset = replace(SMOKE["decision-tree"], recipe=wild, models=("looped",), loops=(2,))
    study = reproduce_sweep({"decision-tree": preset}, "smoke", tmp_path)
    study.run()
    (row,) = reproduced_rows(study)
    assert row["diverged_at"] >= 0
    assert row["curve_step"][-1] < 60 or row["curve_value"][-1] is None


@pytest.mark.parametrize("name", ["rows.jsonl", "config.json"])
def test_a_folder_of_something_else_is_refused(name, tmp_path, said):
    (tmp_path / name).write_text('{"targets": []}\n')
    code, out, err = said("reproduce", "lcs", "--preset", "smoke", "--out", tmp_path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "take another" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["sudko"], "did you mean sudoku?"),
        ([], "`TASK` must be all or some of sudoku"),
        (["lcs", "--loops", "0"], "`loops`"),
        (["lcs", "--loops", "2", "2"], "`loops` must hold distinct values, got [2, 2]"),
        (["lcs", "--seeds", "0"], "`seeds` must be an integer >= 1, got 0"),
        (["lcs", "--steps", "0"], "`steps` must be an integer >= 1, got 0"),
        (["lcs", "--processes", "0"], "`processes` must be an integer >= 1, got 0"),
        (["lcs", "--model", "lt"], "invalid choice: 'lt'"),
        (["lcs", "--model", "tmlt", "tmlt"], "`models` must hold distinct values"),
        (["lcs", "--preset", "huge"], "invalid choice: 'huge'"),
        (["lcs", "--loops", "two"], "a whole number such as 8 or 1e6, got 'two'"),
    ],
)
def test_bad_options_are_one_line_and_exit_2(arguments, words, tmp_path, capsys):
    folder = tmp_path / "x"
    assert main(["reproduce", "--preset", "smoke", "--out", str(folder), *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err
    assert not folder.exists()


def test_cuda_without_a_gpu_is_refused(tmp_path, said, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    folder = tmp_path / "x"
    code, _, err = said("reproduce", "lcs", "--device", "cuda", "--out", folder)
    assert (code, "`device` is cuda but torch sees no GPU" in err) == (2, True)
    assert not folder.exists()


def test_a_missing_text_is_told_before_any_work(tmp_path, said, monkeypatch):
    missing = replace(SMOKE["language"].task, source=str(tmp_path / "none.txt"))
    wanted = {**SMOKE, "language": replace(SMOKE["language"], task=missing)}
    monkeypatch.setitem(PRESETS, "smoke", wanted)
    folder = tmp_path / "x"
    code, _, err = said("reproduce", "all", "--preset", "smoke", "--out", folder)
    assert (code, err.count("\n")) == (2, 1)
    assert "none.txt" in err
    assert not folder.exists()


def test_steps_are_those_asked_for_and_warm_up_and_marks_fit():
    usual = PRESETS["small"]["lcs"].recipe
    longer, short = usual.lasting(3000), usual.lasting(3)
    assert (longer.steps, longer.warmup, longer.evaluations) == (3000, 50, 10)
    assert (short.steps, short.warmup, short.marks()) == (3, 2, [1, 2, 3])


# -- presets ---------------------------------------------------------------------------------------
@every_preset
def test_every_preset_builds(name, key):
    preset = PRESETS[name][key]
    assert preset.task.key == key
    assert preset.recipe.marks()[-1] == preset.recipe.steps
    for model, counts in preset.parameters().items():
        assert len(counts) == len(preset.counts(model))
        assert min(counts) > 0
    looped, tmlt = (preset.parameters()[model][-1] for model in ("looped", "tmlt"))
    if preset.matched:
        assert abs(looped - tmlt) <= preset.config.width + 1
    else:  # one block, and the clock on top
        c = preset.config
        assert tmlt - looped == c.clock * (c.frequencies + 1 + 4 * c.width)
    assert max(preset.test_loops) > max(preset.loops)  # beyond what was trained
    json.dumps(preset.as_dict(), allow_nan=False)


def stored_minutes(key):
    """Minutes on two cores that the stored fits of a task took."""
    text = (ROOT / "results" / "reproduce-small" / "rows.jsonl").read_text()
    rows = [row for row in map(json.loads, text.splitlines()) if row["name"] == key]
    return sum(row["seconds"] for row in rows) / 120, len(rows)


@pytest.mark.parametrize("key", PRESETS["evening"])
def test_an_evening_has_the_seeds_and_ends_in_time_by_the_times_of_stored_fits(key):
    preset = PRESETS["evening"][key]
    assert (preset.seeds, preset.loops) == (8, (1, 2, 4, 8, 16))
    assert len(preset.rates) == 2
    assert estimated_minutes(preset) <= 60
    small = PRESETS["small"][key]
    stored, count = stored_minutes(key)
    planned = small.seeds * sum(len(small.counts(model)) for model in small.models)
    share = estimated_minutes(small) * count / planned / stored
    assert 0.3 < share < 1.1  # they ran beside other work


def test_an_evening_has_five_hours():
    assert sum(map(estimated_minutes, PRESETS["evening"].values())) <= 300


def test_every_learning_rate_is_a_fit_of_its_own_and_one_is_pictured(tmp_path):
    preset = replace(SMOKE["lcs"], rates=(1e-3, 2e-3))
    sweep = reproduce_sweep({"lcs": preset}, "smoke", tmp_path)
    once = reproduce_sweep({"lcs": SMOKE["lcs"]}, "smoke", tmp_path)
    tasks, single = (study.tasks() for study in (sweep, once))
    assert len(tasks) == 2 * len(single) == len({task.key for task in tasks})
    assert {task.arguments["recipe"]["learning_rate"] for task in tasks} == {1e-3, 2e-3}
    assert sum(t.arguments["picture"] for t in tasks) == sum(t.arguments["picture"] for t in single)


@pytest.mark.parametrize("key", PUBLISHED)
def test_the_paper_preset_has_the_published_sizes(key):
    preset = PRESETS["paper"][key]
    c, (length, width, heads, loops, steps, depth) = preset.config, PUBLISHED[key]
    assert (preset.task.length, c.width, c.heads, c.hidden) == (length, width, heads, 4 * width)
    assert (preset.loops, preset.recipe.steps, preset.depths) == (loops, steps, (depth,))
    assert not preset.matched


def test_the_list_prints_every_parameter_count(said):
    code, out, _ = said("reproduce", "--list")
    assert code == 0
    for name, tasks in PRESETS.items():
        for key, preset in tasks.items():
            head = out.index(f"{name} {key}\n")
            for model in preset.models:
                for loops in preset.counts(model):
                    count = parameter_count(preset.model_config(model, loops))
                    assert f"{count:,}" in out[head : head + 900]
    code, out, _ = said("reproduce", "--list", "--json")
    assert len(json.loads(out)) == sum(map(len, PRESETS.values())) == 30


def test_names_on_the_command_line_are_those_of_the_catalogue():
    assert tuple(catalogue.TASKS) == command_reproduce.TASKS
    assert tuple(catalogue.MODELS) == command_reproduce.MODELS
    assert all(list(tasks) == list(catalogue.TASKS) for tasks in PRESETS.values())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"loops": ()}, "`loops` must hold at least one value"),
        ({"models": ("rnn",)}, "`models` must be of looped, tmlt, untied, got 'rnn'"),
        ({"depths": (0,)}, "`loops`"),
        ({"config": model_of(SMOKE["sudoku"].task)}, "`config` must have channels=0 and causal"),
        ({"config": model_of(SMOKE["lcs"].task, length=3)}, "`config` must have length >= 12"),
    ],
)
def test_a_bad_preset_is_refused(change, match):
    with pytest.raises(ValueError, match=match):
        replace(SMOKE["lcs"], **change)


def test_the_estimated_cost_grows_with_what_costs():
    preset = SMOKE["lcs"]
    costs = [step_cost(preset.model_config("tmlt", loops), preset) for loops in (1, 2, 4)]
    assert costs[0] < costs[1] < costs[2] < 4 * costs[0]
    every = replace(preset, recipe=replace(preset.recipe, loss="every"))
    assert step_cost(preset.model_config("tmlt", 4), every) > costs[2]
    assert isinstance(preset, TaskPreset)


@pytest.mark.slow
def test_the_smoke_preset_ends_with_six_tables_and_figures(tmp_path, said):
    code, out, _ = said("reproduce", "all", "--preset", "smoke", "--out", tmp_path, "--json")
    assert code == 0
    assert [part["name"] for part in json.loads(out)["tasks"]] == list(catalogue.TASKS)
    assert len(fits(tmp_path)) == 6 * 3 * 2
    assert len(list((tmp_path / "pictures").glob("*.npz"))) == 18
    assert list((tmp_path / "figures").glob("*.png"))
