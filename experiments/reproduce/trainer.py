"""Train one sequence model on one task, resumable at any moment with the same numbers.

Training goes in windows of some steps.  Between two windows the losses are looked at, progress is
told, and now and then everything that changes is written to one file.  Rows are a function of
(seed, step), so a run continued from that file ends, on a CPU, with the same bits as an unbroken
one.  On a GPU the order of sums is free, and so are the last digits.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looprate.approx.models.sequence import SequenceConfig, SequenceModel
from looprate.experiments.reproduce.measure import (
    VALIDATION,
    criterion,
    inputs_of,
    measured,
    precision,
)
from looprate.experiments.reproduce.recipe import SequenceRecipe
from looprate.experiments.reproduce.rows import TrainingRows
from looprate.experiments.rows.records import digest
from looprate.experiments.tasks.base import Task, data_facts
from looprate.theory.stored_arrays import read_arrays, write_arrays

MATRICES = ("embed", "position", "qkv", "out", "up", "down", "read", "clock_in", "clock_out")
WINDOW = 50  # steps between two looks at the losses
ABOVE = 1.2  # times the first loss: a model whose windows are there for long is given up
PATIENCE = 0.1  # of all steps: how long that is
AVERAGES = ("exp_avg", "exp_avg_sq")  # of AdamW


@dataclass
class Curve:
    """What was seen of a training run.

    Attributes
    ----------
    step, loss, value : list
        Steps taken at every mark passed, the mean training loss since the mark before, and the
        held-out metric there.
    diverged_at : int
        Step at which the run was given up, or -1.
    first : float
        Loss of the first batch, before any step.
    above : int
        Steps on end in windows whose mean loss is far above ``first``.
    seconds : float
        Spent so far, in all processes that worked on it.
    """

    step: list[int] = field(default_factory=list)
    loss: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    diverged_at: int = -1
    first: float = math.nan
    above: int = 0
    seconds: float = 0.0


class Trainer:
    """One model on its way through one recipe.

    Parameters
    ----------
    task : Task
    config : SequenceConfig
    recipe : SequenceRecipe
    seed : int
        Of the first weights and of the training rows; the same rows for every model.
    device : {"cpu", "cuda"}

    Attributes
    ----------
    model : SequenceModel
    step : int
        Steps taken.
    curve : Curve
    """

    def __init__(
        self,
        task: Task,
        config: SequenceConfig,
        recipe: SequenceRecipe,
        *,
        seed: int,
        device: str = "cpu",
    ) -> None:
        self.task, self.recipe, self.seed = task, recipe, seed
        self.device = torch.device(device)
        compiled = recipe.compiled and device == "cuda"
        model = SequenceModel(config, seed=seed, checkpoint=recipe.lean, compiled=compiled)
        self.model = model.to(self.device)
        self.optimiser = torch.optim.AdamW(
            parameter_groups(self.model, recipe.weight_decay), betas=recipe.betas, fused=True
        )
        self.rows = TrainingRows(task, recipe, seed, ahead=device == "cuda")
        self.held_out = task.sample("test", (VALIDATION,), recipe.validation_rows)
        self.step, self.curve, self.marks = 0, Curve(), recipe.marks()
        self.losses: list[float] = []  # since the last mark

    # -- training ----------------------------------------------------------------------------------
    def run(
        self,
        *,
        checkpoint: Path | None = None,
        every_seconds: float = 30.0,
        progress: Callable[[float], None] = lambda part: None,
    ) -> Curve:
        """Train to the end, or until the run diverges.

        Parameters
        ----------
        checkpoint : Path, optional
            Continued from if it exists; written now and then, and at the end.
        every_seconds : float
            Between two writes.
        progress : callable
            Called with the finished fraction.

        Raises
        ------
        ValueError
            If the checkpoint is of another run, or cannot be read.
        """
        if checkpoint is not None and checkpoint.exists():
            self.load(checkpoint)
        saved = started = time.monotonic()
        before = self.curve.seconds
        try:
            while not self._ended:
                self.advance()
                now = time.monotonic()
                self.curve.seconds = before + now - started
                progress(self.step / self.recipe.steps)
                if checkpoint is not None and (now - saved > every_seconds or self._ended):
                    self.save(checkpoint)
                    saved = now
        finally:
            self.rows.close()
        return self.curve

    @property
    def _ended(self) -> bool:
        """Whether there is nothing left to train."""
        return self.step >= self.recipe.steps or self.curve.diverged_at >= 0

    def advance(self) -> None:
        """Train one window, or up to the next mark of the curve, and look at the losses."""
        mark = self.marks[len(self.curve.value)]
        start = self.step
        end = min(mark, start - start % WINDOW + WINDOW)
        losses = torch.stack([self._train_step() for _ in range(start, end)]).tolist()
        self._judge(start, losses)
        self.losses += losses
        if self.step == mark or self.curve.diverged_at >= 0:
            self._measure()

    def _train_step(self) -> Tensor:
        """Take one step; return the loss before it, still on the device."""
        rate = self.recipe.rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        batch = self.rows.batch(self.step)
        loss_of = criterion(self.task, batch, self.device)
        self.optimiser.zero_grad(set_to_none=True)
        with precision(self.device):
            loss = self.model.loss(
                inputs_of(batch, self.device), loss_of, every=self.recipe.loss == "every"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimiser.step()
        self.step += 1
        return loss.detach()

    def _judge(self, start: int, losses: list[float]) -> None:
        """Give the run up at a loss that is not finite, or far above its start for long."""
        c = self.curve
        broken = [k for k, loss in enumerate(losses) if not math.isfinite(loss)]
        if broken:
            c.diverged_at = start + broken[0]
            return
        c.first = losses[0] if start == 0 else c.first
        mean = sum(losses) / len(losses)
        c.above = c.above + len(losses) if mean > ABOVE * c.first else 0
        if c.above >= max(WINDOW, PATIENCE * self.recipe.steps):
            c.diverged_at = self.step

    def _measure(self) -> None:
        """Add a point to the curve."""
        loops = self.model.config.loops
        found = measured(self.model, self.task, self.held_out, (loops,), self.device)
        self.curve.step.append(self.step)
        self.curve.loss.append(sum(self.losses) / len(self.losses))
        self.curve.value.append(found[loops])
        self.losses = []

    # -- storing -----------------------------------------------------------------------------------
    def stamp(self) -> str:
        """Return a digest of everything that decides the numbers of this run."""
        return digest(
            {
                "task": self.task.key,
                "sizes": self.task.as_dict(),
                "config": self.model.config.as_dict(),
                "recipe": self.recipe.as_dict(),
                "seed": self.seed,
                "device": self.device.type,
                "versions": [torch.__version__, np.__version__],
                **data_facts(self.task),
            }
        )

    def save(self, path: Path) -> None:
        """Write weights, averages of AdamW and the curve to one file, all or nothing."""
        arrays = {
            "stamp": np.array(self.stamp()),
            "step": np.array(self.step),
            "losses": np.array(self.losses),
            **{f"curve.{name}": np.array(value) for name, value in vars(self.curve).items()},
        }
        for name, parameter in self.model.named_parameters():
            arrays[f"weight.{name}"] = parameter.detach().cpu().numpy()
            for average in AVERAGES:
                value = self.optimiser.state[parameter][average]
                arrays[f"{average}.{name}"] = value.cpu().numpy()
        write_arrays(path, arrays)

    @torch.no_grad()
    def load(self, path: Path) -> None:
        """Continue from a file that :meth:`save` wrote.

        Raises
        ------
        ValueError
            If it is of another run, or cannot be read.
        """
        stored = _read(path)
        if str(stored.get("stamp")) != self.stamp():
            raise ValueError(
                f"`checkpoint` must be of this very run (task, model, recipe, seed, versions), "
                f"{path} is not; delete it or take another folder"
            )
        self.step, self.losses = int(stored["step"]), stored["losses"].tolist()
        self.curve = Curve(**{name: stored[f"curve.{name}"].tolist() for name in vars(self.curve)})
        for name, parameter in self.model.named_parameters():
            parameter.copy_(torch.from_numpy(stored[f"weight.{name}"]))
            steps = torch.tensor(float(self.step), device=self.device)
            self.optimiser.state[parameter] = {"step": steps} | {
                average: torch.from_numpy(stored[f"{average}.{name}"]).to(self.device)
                for average in AVERAGES
            }


def parameter_groups(model: SequenceModel, weight_decay: float) -> list[dict[str, Any]]:
    """Return the parameters for AdamW: matrices with decay; biases, gains, modulation without."""
    decayed: dict[bool, list[Tensor]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        decayed[name in MATRICES].append(parameter)
    return [
        {"params": decayed[True], "weight_decay": weight_decay},
        {"params": decayed[False], "weight_decay": 0.0},
    ]


def _read(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint."""
    try:
        return read_arrays(path)
    except ValueError:
        raise ValueError(
            f"`checkpoint` must be a file this program wrote, {path} cannot be read; delete it"
        ) from None
