"""Loss and metric of a sequence model on the rows of a task, after any loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from looprate.approx.models.sequence import SequenceModel
from looprate.experiments.tasks.base import Batch, Task
from looprate.experiments.tasks.language import perplexity

VALIDATION, TEST = 0, 1  # first seeds of the held-out rows: of the curve, and of the final test
PART = 256  # rows measured together, fewer where their predictions are more than
NUMBERS = 1 << 28
Array = NDArray[np.generic]


def criterion(task: Task, batch: Batch, device: torch.device) -> Callable[[Tensor], Tensor]:
    """Return the loss of predictions (B, T, V) over the positions that count.

    Cross-entropy with the target ids, or the squared error of the one number predicted.
    """
    places = np.flatnonzero(batch.mask)
    index = None if batch.mask.all() else torch.from_numpy(places).to(device)
    wanted = torch.from_numpy(batch.targets.reshape(-1)[places]).to(device)

    def loss(out: Tensor) -> Tensor:
        found = out.flatten(0, 1)
        found = (found if index is None else found.index_select(0, index)).float()
        if task.metric == "squared error":
            return F.mse_loss(found[:, 0], wanted)
        return F.cross_entropy(found, wanted)

    return loss


def inputs_of(batch: Batch, device: torch.device) -> Tensor:
    """Return the inputs of rows as a tensor."""
    return torch.from_numpy(batch.inputs).to(device)


def precision(device: torch.device) -> torch.autocast:
    """Return the context of a forward pass: bfloat16 products on a GPU, float32 on a CPU."""
    return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")


def measured(
    model: SequenceModel, task: Task, rows: Batch, loops: Sequence[int], device: torch.device
) -> dict[int, float]:
    """Return the metric after each of some loop counts, from one run through the longest.

    Parameters
    ----------
    model : SequenceModel
    task : Task
    rows : Batch
    loops : sequence of int
        For untied models the depth alone.
    device : torch.device

    Returns
    -------
    dict from loop count to the mean accuracy or squared error of a row, or the perplexity
    """
    scores: dict[int, list[NDArray[np.float64]]] = {count: [] for count in loops}
    size = max(1, min(PART, NUMBERS // (task.length * model.config.predicted)))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        batch = Batch(rows.inputs[part], rows.targets[part], rows.mask[part])
        for count, outputs in _outputs(model, task, batch, set(loops), device).items():
            scores[count].append(_scored(task, outputs, batch))
    total = perplexity if task.metric == "perplexity" else np.mean
    with np.errstate(over="ignore"):  # the perplexity of a broken model is inf
        return {count: float(total(np.concatenate(parts))) for count, parts in scores.items()}


@torch.no_grad()
def _outputs(
    model: SequenceModel, task: Task, batch: Batch, wanted: set[int], device: torch.device
) -> dict[int, Array]:
    """Return what ``task.score`` reads, (B, T), after every loop count that is wanted."""
    found: dict[int, Array] = {}
    targets = torch.from_numpy(batch.targets).to(device)
    done = 0

    def visit(out: Tensor) -> Tensor:
        nonlocal done
        done += 1
        if done in wanted:
            found[done] = _read(task, out, targets).cpu().numpy()
        return out.new_zeros(())

    with precision(device):
        model.loss(inputs_of(batch, device), visit, loops=max(wanted), every=True)
    return found


def _read(task: Task, out: Tensor, targets: Tensor) -> Tensor:
    """Turn predictions (B, T, V) into ids, numbers, or log-probabilities of the targets."""
    if task.metric == "squared error":
        return out[..., 0].float()
    if task.metric == "perplexity":
        return -F.cross_entropy(out.float().movedim(-1, 1), targets, reduction="none")
    return out.argmax(-1)


def _scored(task: Task, outputs: Array, batch: Batch) -> NDArray[np.float64]:
    """Return the metric of every row; NaN throughout where a model's numbers broke."""
    if outputs.dtype.kind == "f" and not np.isfinite(outputs).all():
        return np.full(len(batch), np.nan)
    return task.score(outputs, batch)
