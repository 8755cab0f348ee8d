"""What the workers of a reproduction do: one model on one task, to one row and its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from looprate.approx.models.sequence import SequenceConfig, SequenceModel
from looprate.experiments.engine.sweep import checkpoint_of
from looprate.experiments.reproduce.catalogue import task_of
from looprate.experiments.reproduce.measure import TEST, inputs_of, measured, precision
from looprate.experiments.reproduce.recipe import SequenceRecipe
from looprate.experiments.reproduce.trainer import Trainer
from looprate.experiments.rows.provenance import stamped
from looprate.experiments.tasks.base import Task
from looprate.theory.stored_arrays import write_arrays

DRAWN = 4  # rows of a picture
Row = dict[str, Any]


def picture_of(folder: Path, name: str, model: str) -> Path:
    """Return the file with what every loop of a model does to a few test rows."""
    return folder / "pictures" / f"{name}__{model}.npz"


@stamped
def fit_row(
    report: Callable[[float], None],
    *,
    name: str,
    sizes: Row,
    preset: str,
    model: str,
    model_config: Row,
    recipe: Row,
    test_loops: list[int],
    seed: int,
    device: str,
    picture: bool,
    key: str,
    folder: str,
) -> list[Row]:
    """Train one model, test it at its own and at other loop counts, and return one row.

    The checkpoint stays until the row is stored.
    """
    task, plan = task_of(name, sizes), SequenceRecipe(**recipe)
    config = SequenceConfig(**model_config)
    trainer = Trainer(task, config, plan, seed=seed, device=device)
    curve = trainer.run(
        checkpoint=checkpoint_of(Path(folder), key), progress=lambda part: report(0.97 * part)
    )
    test = task.sample("test", (TEST,), plan.test_rows)
    others = [] if model == "untied" else sorted(test_loops)
    counts = sorted({config.loops, *others})
    found = measured(trainer.model, task, test, counts, trainer.device)
    if picture:
        path = picture_of(Path(folder), name, model)
        write_arrays(path, _picture(trainer.model, task, trainer.device))
    return [
        {
            "kind": "fit",
            "name": name,
            "preset": preset,
            "model": model,
            "loops": config.loops,
            "seed": seed,
            "parameters": sum(p.numel() for p in trainer.model.parameters()),
            "metric": task.metric,
            "value": found[config.loops],
            "test_rows": plan.test_rows,
            "test_loops": others,
            "at_test_loops": [found[count] for count in others],
            "curve_step": curve.step,
            "curve_loss": curve.loss,
            "curve_value": curve.value,
            "diverged_at": curve.diverged_at,
            "steps": plan.steps,
            "batch": plan.batch,
            "seconds": round(curve.seconds, 3),
            "device": _in_words(trainer.device),
            "torch": torch.__version__,
            "sizes": dict(task.as_dict()),
            "model_config": config.as_dict(),
            "recipe": plan.as_dict(),
        }
    ]


def _in_words(device: torch.device) -> str:
    """Return a device's name for readers."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"cpu, {threads} thread{'s' if threads > 1 else ''}"


@torch.no_grad()
def _picture(model: SequenceModel, task: Task, device: torch.device) -> dict[str, np.ndarray]:
    """Return a few test rows, what is predicted after every loop, and (edit distance) attention."""
    rows = task.sample("test", (TEST,), DRAWN)
    inputs = inputs_of(rows, device)
    found: list[np.ndarray] = []

    def visit(out: torch.Tensor) -> torch.Tensor:
        read = out[..., 0].float() if task.metric == "squared error" else out.argmax(-1)
        found.append(read.cpu().numpy())
        return out.new_zeros(())

    with precision(device):
        model.loss(inputs, visit, every=True)
    arrays = {"inputs": rows.inputs, "targets": rows.targets, "mask": rows.mask}
    arrays["predictions"] = np.stack(found)
    if task.key == "edit-distance":
        weights = model.attention(inputs[:1])[:, 0]  # (loops, heads, T, T)
        arrays["attention"] = weights.cpu().numpy().astype(np.float16)
    return arrays
