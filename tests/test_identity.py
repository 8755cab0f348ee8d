"""What a result is kept under: file names, keys, stamps and folders tell different questions apart.

The numbers in comments are those of the list of faults found by use.
"""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_function_identity import Callable, helped, scaled

from cases.small_fits import begun, run
from looprate.approx.fit.fitted import Recipe
from looprate.experiments.claims import CLAIMS
from looprate.experiments.claims.ledger import evidence_file
from looprate.experiments.eta.config import PRESETS as ETA
from looprate.experiments.reproduce.plan import reproduce_sweep
from looprate.experiments.reproduce.presets import PRESETS as REPRODUCED
from looprate.experiments.rows.question import ask, check_question, folder_for, stored_config
from looprate.experiments.study.config import PRESETS
from looprate.experiments.study.construction_rows import write_stage_rows
from looprate.experiments.study.figure_rows import LONGEST_NAME, slug
from looprate.experiments.study.source import source_digest
from looprate.experiments.study.summary import cells
from looprate.experiments.study.work import located, planned_target
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.targets import resolve_target

ROOT = Path(__file__).resolve().parent.parent
FEW = settings(max_examples=200, deadline=None, derandomize=True)
#: What a command line may hold: any text, and texts that differ in few, lossy places.
NEAR = st.text(alphabet="aA_:,*/~.-+=N2d1 é", max_size=12)
NAMES = st.one_of(st.text(max_size=400), NEAR)
PLACES = st.tuples(NAMES, st.integers(1, 10**9), st.integers(1, 99), NEAR)


# -- names of files --------------------------------------------------------------------------------
@FEW
@given(st.lists(PLACES, min_size=2, max_size=8, unique=True))
@example([("formula: x*3", 2, 1, ""), ("formula: x/3", 2, 1, "")])  # R4
@example([("Ä.py:f", 2, 1, ""), ("Ö.py:f", 2, 1, "")])  # R4: letters beyond ASCII
@example([("a.py:f", 2, 1, ""), ("A.py:f", 2, 1, "")])  # one file on some systems
@example([("x" * 300, 2, 1, ""), ("x" * 299 + "y", 2, 1, "")])  # R14
@example([("a:b", 2, 1, ""), ("a,b", 2, 1, ""), ("a_b", 2, 1, "")])
@example([("a-n2-d1", 3, 1, ""), ("a", 2, 1, "-d1-n3-d1")])
@example([("a", 2, 1, "-d1"), ("a-N2-d1", 2, 1, ""), ("a", 21, 1, "")])
def test_other_targets_and_shapes_have_other_file_names(places):
    names = [slug(*place) for place in places]
    assert len({name.lower() for name in names}) == len(places)


@FEW
@given(PLACES)
@example(("formula: " + "+".join(["x"] * 145), 2, 1, ""))  # R14: 289 characters
def test_file_names_are_short_and_safe_on_every_file_system(place):
    name = slug(*place)
    assert len(name) <= LONGEST_NAME
    assert re.fullmatch(r"[A-Za-z0-9.=+~_-]+", name)
    assert "__" not in name  # which ends the kind of a figure
    assert not name.endswith((".", " "))


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("mean-field:a=1,b=1", "mean-field_a=1_b=1-N2-d1"),
        ("token-power:alpha=0.5,scale=1e-07", "token-power_alpha=0.5_scale=1e-07-N2-d1"),
        ("others-mean", "others-mean-N2-d1"),
    ],
)
def test_names_of_built_in_targets_are_read_off_their_files(target, name):
    assert slug(target, 2, 1) == name


def test_a_lossy_name_is_caught():  # the first check can fail
    lossy = [re.sub(r"[^A-Za-z0-9.=+-]+", "_", f"formula: x{sign}3") for sign in "*/"]
    assert lossy[0] == lossy[1]


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_constructions_of_one_target_have_figures_of_their_own(p, tmp_path):
    target = resolve_target("mean-field")
    specs = [
        ConstructionSpec(2, 1, 3, "increments", "sum"),
        ConstructionSpec(2, 1, 3, "increments", "rank"),
        ConstructionSpec(2, 1, 3, "increments", "sum", sharpness=64),
        ConstructionSpec(2, 1, 3, "timestep", "rank"),
    ]
    built = [compile_construction(target, spec) for spec in specs]
    paths = [write_stage_rows(tmp_path, each, target, p=p) for each in built]
    paths.append(write_stage_rows(tmp_path, built[0], target, p=3 - p))
    assert len(set(paths)) == 5


# -- checkpoints -----------------------------------------------------------------------------------
TINY = {"seeds": [0], "learning_rates": [1e-2], "loops": 1}
TINY["recipe"] = Recipe(steps=12, batch=8, evaluations=4)


def fitted(function, path, **more):
    """Fit one tiny model to a function and return its validation curve."""
    return run([function], checkpoint=path, **TINY, **more).curve


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x: x, lambda x: 1 - x),
        (scaled(1.0), scaled(-1.0)),
        (helped(scaled(1.0)), helped(scaled(2.0))),
        (Callable(torch.tensor([1.0])), Callable(torch.tensor([2.0]))),
    ],
)
def test_a_fit_never_continues_that_of_another_function(one, other, tmp_path):  # C1
    path = tmp_path / "checkpoint.npz"
    begun(path, 2, targets=[one], **TINY)
    np.testing.assert_array_equal(fitted(other, path), fitted(other, None))


@pytest.mark.parametrize("make", [lambda: scaled(0.5), lambda: Callable(torch.tensor([1.0]))])
def test_a_fit_of_the_same_function_made_again_is_continued(make, tmp_path):
    path, steps = tmp_path / "checkpoint.npz", []
    begun(path, 2, targets=[make()], **TINY)
    curve = fitted(make(), path, progress=steps.append)
    assert min(steps) > 3
    np.testing.assert_array_equal(curve, fitted(make(), None))


# -- keys of stored rows ---------------------------------------------------------------------------
MAIN = """
import json
from pathlib import Path
from helper import g
import wrapped
WEIGHT = json.loads((Path(__file__).parent / "at_import.json").read_text())

def f(x):
    late = json.loads((Path(__file__).parent / "at_call.json").read_text())
    return g(x) + wrapped.inner.deep(x) + WEIGHT * x + late
"""
FILES = {
    "main.py": MAIN,
    "helper.py": "def g(x):\n    return x\n",
    "wrapped.py": "import inner\n",
    "inner.py": "import numpy as np\n\ndef deep(x):\n    return np.where(x > 1 - 1e-12, 0, x)\n",
    "at_import.json": "1.0",
    "at_call.json": "0.5",
}
CHANGES = [  # R3: a file, what it says, what it says then
    ("helper.py", "return x", "return 2 * x"),
    ("inner.py", "1e-12", "1e-13 "),  # which no probe sees
    ("inner.py", "0, x", "0.0, 3 * x"),
    ("at_import.json", "1.0", "1.25"),
    ("at_call.json", "0.5", "0.25"),
    ("main.py", "+ late", "- late"),
]
KEYS = """
import json, os, sys
from pathlib import Path
from looprate.experiments.study.config import StudyConfig
from looprate.experiments.study.plan import construct_tasks, fit_tasks, theory_tasks
def keys(*targets):
    config = StudyConfig(targets, loops=(3,), families=("lt",), grids=(2,))
    made = construct_tasks(config)[:-1]
    tasks = [*theory_tasks(config), *fit_tasks(config, Path("out")), *made]
    return [task.key for task in tasks]
keys("mean-field")  # whatever is slow to import is imported once
for change in [None, *json.loads(sys.argv[1]), None]:
    if change:
        path = Path(change[0])
        path.write_text(path.read_text().replace(*change[1:]))
    if os.fork() == 0:  # which imports what the function imports anew
        print(*keys("main.py:f"), "|", *keys("mean-field"), flush=True)
        os._exit(0)
    os.wait()
"""


def test_whatever_a_function_reads_decides_the_key_of_its_rows(tmp_path):  # R3
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTHONDONTWRITEBYTECODE": "1"}
    said = subprocess.run(
        [sys.executable, "-c", KEYS, json.dumps(CHANGES)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    keys = [line.split(" | ") for line in said]
    assert len(keys) == 2 + len(CHANGES)
    assert len({built_in for _, built_in in keys}) == 1
    own, seen = [set(line.split()) for line, _ in keys], set()
    for now, change in zip(own, [None, *CHANGES], strict=False):
        assert not seen & now, change
        seen |= now
    assert own[-1] == own[-2]  # nothing changed: the same keys in another process


def test_a_function_that_changes_during_a_run_is_refused(tmp_path):
    path = tmp_path / "own.py"
    path.write_text("def f(x):\n    return x\n")
    name = f"{path}:f"
    source = source_digest(resolve_target(name), tokens=2, dim=1)
    assert str(planned_target(name, source, tokens=2, dim=1)) == name
    path.write_text("def f(x):\n    return 2 * x\n")
    with pytest.raises(ValueError, match="it has changed since; run the same command again"):
        planned_target(name, source, tokens=2, dim=1)


def test_a_study_of_an_own_function_is_read_from_any_folder(tmp_path, monkeypatch):  # R32
    home, away = tmp_path / "home", tmp_path / "away"
    (home / "pkg").mkdir(parents=True)
    away.mkdir()
    for name, factor in (("tgt.py", 2), ("pkg/mod.py", 3)):
        (home / name).write_text(f"def f(x):\n    return {factor} * x\n")
    (away / "tgt.py").write_text("def f(x):\n    return 9 * x\n")  # not the study's
    x = np.random.default_rng(0).random((3, 2, 1))
    names = {
        "tgt.py:f": 2,
        "pkg.mod:f": 3,
        "0.5*tgt.py:f + mean-field:a=0,b=0": 1,
        "tgt.py:f + 2*tgt.py:f": 6,
        "mean-field:a=5,b=0": 5,
        "formula: 7*x": 7,
    }
    monkeypatch.chdir(away)
    for name, factor in names.items():
        found = resolve_target(located(name, str(home)))
        np.testing.assert_allclose(found(x), factor * x)
    assert located("tgt.py:f", None) == "tgt.py:f"
    assert located("gone.py:f", str(home)) == "gone.py:f"


# -- folders ---------------------------------------------------------------------------------------
def asked(folder, **changes):
    """Ask a question of a folder, as verify does."""
    config = replace(PRESETS["smoke"], **changes).as_dict()
    ask(folder, config)
    (folder / "rows.jsonl").touch()


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"loops": (1, 2, 4, 8)}, True),
        ({"seeds": 3}, True),
        ({"targets": ("mean-field", *PRESETS["smoke"].targets)}, True),
        ({"device": "cuda"}, True),
        ({"loops": (1, 4)}, False),
        ({"seeds": 1}, False),
        ({"targets": ("mean-field",)}, False),
        ({"shapes": ((3, 1),)}, False),
        ({"p": 2.0}, False),
        ({"width": 24}, False),
        ({"points": 64}, False),
        ({"recipe": Recipe(steps=151, evaluations=5)}, False),
    ],
)
def test_a_folder_answers_one_question_or_the_same_asked_wider(changes, same, tmp_path):  # B7
    asked(tmp_path)
    before = (tmp_path / "config.json").read_bytes()
    if same:
        asked(tmp_path, **changes)
        return
    with pytest.raises(ValueError, match=r"asked for now: .*; take another --out") as caught:
        asked(tmp_path, **changes)
    assert str(caught.value).count("\n") == 0
    assert (tmp_path / "config.json").read_bytes() == before


def test_a_folder_of_another_command_is_refused(tmp_path):
    asked(tmp_path / "verify")
    with pytest.raises(ValueError, match="holds a run of looprate verify"):
        ask(tmp_path / "verify", ETA["smoke"].as_dict())
    ask(tmp_path / "eta", ETA["smoke"].as_dict())
    (tmp_path / "eta" / "eta.json").touch()
    with pytest.raises(ValueError, match="holds a run of looprate eta"):
        asked(tmp_path / "eta")
    with pytest.raises(ValueError, match=r"learning_rates = .*, asked for now"):
        ask(tmp_path / "eta", ETA["quick"].as_dict())


def test_a_folder_without_results_answers_nothing(tmp_path):
    ask(tmp_path, PRESETS["smoke"].as_dict())
    ask(tmp_path, PRESETS["quick"].as_dict())


def test_the_usual_folder_is_left_to_its_question(tmp_path, capsys):
    usual = tmp_path / "verify-smoke"
    one, other = (PRESETS[name].as_dict() for name in ("smoke", "quick"))
    assert folder_for(None, usual, one) == usual
    ask(usual, one)
    (usual / "report.json").touch()
    assert folder_for(None, usual, one) == usual
    apart = folder_for(None, usual, other)
    assert apart.parent == usual.parent
    assert apart != usual
    assert f"this one goes to {apart}" in capsys.readouterr().err
    assert folder_for(None, usual, {**other, "device": "cuda"}) == apart
    assert folder_for(tmp_path / "x", usual, other) == tmp_path / "x"


def test_settings_of_a_reproduced_task_are_not_replaced(tmp_path):
    def study(**changes):
        presets = {"lcs": replace(REPRODUCED["smoke"]["lcs"], **changes)}
        ask(tmp_path, reproduce_sweep(presets, "smoke", tmp_path).question)

    study()
    (tmp_path / "rows.jsonl").touch()
    study(seeds=7)
    longer = replace(REPRODUCED["smoke"]["lcs"].recipe, steps=77)
    with pytest.raises(ValueError, match=r"steps = .*, asked for now: 77; take another --out"):
        study(recipe=longer)
    other = {"sudoku": REPRODUCED["smoke"]["sudoku"]}
    ask(
        tmp_path, reproduce_sweep(other, "smoke", tmp_path).question
    )  # another task stands beside it
    with pytest.raises(ValueError, match="loops = "):
        study(loops=(9,))


def test_committed_results_are_read_as_before():
    folder = ROOT / "results" / "reproduce-small"
    stored = stored_config(folder)["tasks"]
    assert set(stored) == set(REPRODUCED["small"])
    presets = {k: replace(v, seeds=stored[k]["seeds"]) for k, v in REPRODUCED["small"].items()}
    check_question(folder, reproduce_sweep(presets, "small", folder).question)


def test_a_claim_about_another_study_is_kept_apart(tmp_path):
    claim = next(iter(CLAIMS.values()))
    places = {
        evidence_file(tmp_path, claim, controls=controls, given=given)
        for controls in (False, True)
        for given in ("", "a" * 20, "b" * 20)
    }
    assert len(places) == 6


# -- recipes ---------------------------------------------------------------------------------------
def test_rows_of_other_recipes_are_never_pooled():  # W1
    place = {"target": "t", "tokens": 2, "dim": 1, "p": 1.0, "family": "lt", "loops": 1}
    fit_of = {"parameters": 9, "late_gain": 0.0, "learning_rate": 0.01}
    rows = [
        {
            **place,
            **fit_of,
            "seed": seed,
            "error": 1 / steps,
            "validation_error": 1 / steps,
            "config": {"recipe": {"steps": steps}},
        }
        for steps in (1500, 400)
        for seed in range(5)
    ]
    long, short = cells(rows)
    assert (len(long["errors"]), len(short["errors"])) == (5, 5)
    assert long["low"] == long["high"] == 1 / 1500
    assert short["low"] == short["high"] == 1 / 400
    (whole,) = cells(rows[:5])
    assert whole["median"] == long["median"]
