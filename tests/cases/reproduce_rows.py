"""Made-up rows and pictures of a reproduction: plausible, measured by nobody."""

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from looprate.approx.models.sequence_config import SequenceConfig
from looprate.experiments.reproduce.catalogue import TASKS
from looprate.experiments.reproduce.figure_tables import write_figure_tables
from looprate.experiments.tasks.edit_distance import EditDistance
from looprate.experiments.tasks.sudoku import Sudoku
from looprate.figures.rows import read_rows
from looprate.theory.stored_arrays import write_arrays

__all__ = ["LEVELS", "SIZES", "figure_rows", "fit", "fits", "write_pictures"]

SIZES = {
    "sudoku": {"box_rows": 2, "box_columns": 2, "bases": 8},
    "countdown": {"numbers": 3, "max_number": 12, "max_target": 40},
    "lcs": {"size": 8, "letters": 5},
    "edit-distance": {"size": 7, "letters": 5},
    "decision-tree": {"dims": 4, "depth": 2, "points": 16},
    "language": {"context": 64},
}
LEVELS = {"looped": 0.5, "tmlt": 0.8, "untied": 0.4}  # what is reached with many loops
LOOPS, SEEDS, TEST_LOOPS = (1, 2, 4, 8), (0, 1), (1, 2, 4, 8, 16)


def value(metric, model, loops, seed):
    """An accuracy that rises with loops, or an error that falls."""
    share = LEVELS[model] * (1 - 0.7 / loops) * (1 - 0.05 * seed)
    return share if metric == "accuracy" else 3.0 - share


def fit(name, model, loops, seed, *, preset="small", sizes=None, **changes):
    """One row of a fit."""
    task = TASKS[name](**(SIZES[name] if sizes is None else sizes))
    vectors = bool(task.channels)
    config = SequenceConfig(
        vocabulary=0 if vectors else len(task.vocabulary) if name != "language" else 257,
        channels=task.channels,
        outputs=1 if vectors else 0,
        length=task.length,
        width=32,
        loops=loops,
        family={"looped": "lt"}.get(model, model),
        causal=task.causal,
    )
    found = value(task.metric, model, loops, seed)
    others = [] if model == "untied" else list(TEST_LOOPS)
    return {
        "kind": "fit",
        "name": name,
        "preset": preset,
        "model": model,
        "loops": loops,
        "seed": seed,
        "parameters": 1000 * loops if model == "untied" else 1000,
        "metric": task.metric,
        "value": found,
        "test_rows": 512,
        "test_loops": others,
        "at_test_loops": [at_test(task.metric, found, loops, k) for k in others],
        "curve_step": [0, 100, 200],
        "curve_loss": [2.0, 1.5, 1.0],
        "curve_value": [0.1 * found, 0.7 * found, found],
        "diverged_at": -1,
        "steps": 200,
        "batch": 64,
        "seconds": 10.0 * loops,
        "device": "cpu, 1 thread",
        "torch": "2.0",
        "sizes": dict(task.as_dict()),
        "model_config": config.as_dict(),
    } | changes


def at_test(metric, found, trained, loops):
    """Worse the further the loop count is from the trained one."""
    lost = 0.9 ** abs(np.log2(loops / trained))
    return float(found * lost if metric == "accuracy" else found / lost)


def fits(*names, seeds=SEEDS, loops=LOOPS, **changes):
    """All fits of some tasks."""
    return [
        fit(name, model, r, seed, **changes)
        for name in names or TASKS
        for model in LEVELS
        for r in loops
        for seed in seeds
    ]


def write_pictures(folder, loops=8):
    """Pictures of Sudoku, which gets more cells right with every loop, and of edit distance."""
    rng = np.random.default_rng(0)
    for task in (Sudoku(**SIZES["sudoku"]), EditDistance(**SIZES["edit-distance"])):
        batch = task.sample("test", 0, 4)
        arrays = {"inputs": batch.inputs, "targets": batch.targets, "mask": batch.mask}
        guesses = rng.integers(1, 5, (loops, *batch.inputs.shape))
        known = rng.random(guesses.shape) < np.linspace(0.3, 1.1, loops)[:, None, None]
        arrays["predictions"] = np.where(known | (batch.inputs > 0), batch.targets, guesses)
        if task.key == "edit-distance":
            scores = rng.normal(size=(loops, 2, task.length, task.length)) * 1.5
            scores[
                :, :, np.triu_indices(task.length, 1)[0], np.triu_indices(task.length, 1)[1]
            ] = -np.inf
            weights = np.exp(scores)
            arrays["attention"] = (weights / weights.sum(-1, keepdims=True)).astype(np.float16)
        for model in LEVELS:
            write_arrays(folder / "pictures" / f"{task.key}__{model}.npz", arrays)


@lru_cache
def _tables():
    """The rows of every figure of a small reproduction, read back from their files."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_pictures(folder, loops=2)
        paths = write_figure_tables(folder, fits("sudoku", "edit-distance", loops=(1, 2)))
        return {path.stem: tuple(read_rows(path)) for path in paths}


def figure_rows(kind):
    """Rows of one kind of figure."""
    stem = next(stem for stem in _tables() if stem.startswith(f"{kind}__"))
    return [dict(row) for row in _tables()[stem]]
