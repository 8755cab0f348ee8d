"""What a study still has to compute: whatever decides its numbers."""

from dataclasses import replace

import pytest

from looprate.approx.fit.fitted import Recipe
from looprate.experiments.study.config import StudyConfig
from looprate.experiments.study.plan import study_sweep


def pretend(config, folder):
    """Store something for every missing task; return how many were missing."""
    found = study_sweep(config, folder)
    missing = found.missing()
    for task in missing:
        found.keep(task, [{"made": "up"}])
    return len(missing)


@pytest.mark.parametrize("text", ["{}:f", "0.5*{}:f + mean-field", "-2*{}:g + {}:f"])
def test_rows_of_an_own_function_are_stale_once_its_file_changes(tmp_path, text):
    path, other = tmp_path / "own.py", tmp_path / "other.py"
    path.write_text("def f(x):\n    return x * x\n\ndef g(x):\n    return x\n")
    other.write_text("")
    config = StudyConfig(targets=(text.format(path, path),), loops=(3,))
    assert pretend(config, tmp_path / "out") == 9  # theory, LT, TMLT, 5 memorisers, lessons
    assert pretend(config, tmp_path / "out") == 0
    other.write_text("changed = True\n")
    assert pretend(config, tmp_path / "out") == 0
    path.write_text(path.read_text().replace("x * x", "x * x * x"))
    assert pretend(config, tmp_path / "out") == 8  # all but the lessons


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, 0),
        ({"seeds": 3}, 4),
        ({"learning_rates": (1e-2,)}, 4),
        ({"p": 2.0}, 10),
        ({"shapes": ((2, 2),)}, 10),
        ({"loops": (1, 3, 6)}, 2),
        ({"families": ("lt",)}, 0),
        ({"width": 24}, 4),
        ({"recipe": Recipe(batch=64)}, 4),
        ({"points": 1024}, 4),
        ({"targets": ("mean-field:a=1,b=2",)}, 10),
        ({"grids": (2, 3)}, 5),
        ({"construct_seconds": 1.0}, 2),  # timestep affords every grid either way
        ({"lesson_grid": 5}, 1),
    ],
)
def test_whatever_decides_the_numbers_decides_what_is_missing(tmp_path, changes, missing):
    config = StudyConfig(targets=("mean-field",), loops=(1, 3), seeds=2)
    assert pretend(config, tmp_path) == 11
    assert pretend(replace(config, **changes), tmp_path) == missing
