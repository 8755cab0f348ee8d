"""The state of one fit and its step: what :func:`approx.fit.fit` repeats.

All models of a bank advance together.  Their parameters also live in one flat (M, P) tensor, on
which Adam works; a non-finite model is frozen there without a branch, so that the whole step can be
captured in a CUDA graph.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from approx.adam import adam_function
from approx.bank import PER_BLOCK, Bank, bank_forward, bank_of
from approx.error import HELD_OUT, ErrorEstimate, errors_of, sobol_points
from approx.looped import LoopedTransformer, ModelConfig

__all__ = ["FitResult", "Member", "Recipe", "TrainingRun", "member_errors", "predictions"]

Function = Callable[[Any], Any]
VALIDATION = HELD_OUT - 1_000  # seed of the validation scramble: neither training nor test
CHUNK = 100  # steps whose points are drawn at once


@dataclass(frozen=True)
class Recipe:
    """How a bank is trained.

    Parameters
    ----------
    steps, batch : int
        Optimiser steps, and fresh points per step and model.
    warmup : float
        Fraction of the steps with linearly rising learning rate; cosine decay to 0 follows.
    beta1, beta2, clip : float
        Adam's averages; largest gradient norm per model.
    evaluations, validation_points : int
        Points of the training curve and size of the validation draw (multiple of ``batch``).
    """

    steps: int = 2000
    batch: int = 32
    warmup: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.99
    clip: float = 1.0
    evaluations: int = 10
    validation_points: int = 512

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "evaluations", "validation_points"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(self, name)}")
        if self.evaluations > self.steps:
            raise ValueError(
                f"`evaluations` must not exceed steps={self.steps}, got {self.evaluations}"
            )
        if self.validation_points % self.batch:
            raise ValueError(
                f"`validation_points` must be a multiple of batch={self.batch}, "
                f"got {self.validation_points}"
            )

    def rate(self, step: int) -> float:
        """Return the learning rate of step 0..steps-1 as a fraction of its peak."""
        ramp = max(1, round(self.warmup * self.steps))
        if step < ramp:
            return (step + 1) / ramp
        return 0.5 * (1 + math.cos(math.pi * (step - ramp) / max(1, self.steps - ramp)))


@dataclass(frozen=True)
class Member:
    """One model of a bank: which target, seed and peak learning rate."""

    target: int
    seed: int
    learning_rate: float


@dataclass
class FitResult:
    """A trained bank and how it got there.

    Attributes
    ----------
    bank, config, members : the parameters, their shape, and which model is which
    steps : ndarray, shape (E,)
        Steps after which the curve was measured.
    curve : ndarray, shape (E, M)
        L^p validation errors.
    diverged_at : ndarray of int, shape (M,)
        Step at which a model was frozen, or -1.
    """

    bank: Bank
    config: ModelConfig
    members: list[Member]
    steps: np.ndarray
    curve: np.ndarray
    diverged_at: np.ndarray

    @property
    def validation_error(self) -> np.ndarray:
        """Final L^p validation error of every model, inf where it diverged."""
        return np.where(self.diverged_at >= 0, np.inf, self.curve[-1])

    def late_gain(self) -> np.ndarray:
        """Relative improvement of the error over the last quarter of the curve, shape (M,)."""
        start = self.curve[max(0, len(self.curve) - 1 - len(self.curve) // 4)]
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.nan_to_num((start - self.curve[-1]) / start, nan=0.0)


def predictions(result: FitResult, x: Tensor, *, loops: int, compiled: bool = True) -> Tensor:
    """Return every model's output at the same points: (b, N, d) to (M, b, N, d)."""
    many = x.expand(len(result.members), *x.shape)
    return bank_forward(result.bank, result.config, many, loops, compiled=compiled)


def member_errors(
    result: FitResult,
    targets: Sequence[Function],
    *,
    tokens: int,
    loops: int,
    p: float,
    points: int,
    replicates: int,
    batch: int,
    seed: int = HELD_OUT,
    compiled: bool = True,
    device: str | torch.device = "cpu",
) -> list[ErrorEstimate]:
    """Return the L^p error of every model against its own target, in the members' order."""
    of_target = torch.tensor([member.target for member in result.members], device=device)
    return errors_of(
        lambda x: predictions(result, x, loops=loops, compiled=compiled),
        lambda x: torch.stack([f(x).to(x) for f in targets])[of_target],
        tokens=tokens,
        dim=result.config.dim,
        p=p,
        points=points,
        replicates=replicates,
        batch=batch,
        seed=seed,
        device=device,
    )


class TrainingRun:
    """State of one fit: parameters, Adam's averages, the curve so far."""

    def __init__(
        self,
        targets: Sequence[Function],
        config: ModelConfig,
        *,
        tokens: int,
        loops: int,
        seeds: Sequence[int],
        learning_rates: Sequence[float],
        p: float,
        recipe: Recipe,
        device: str | torch.device,
        compiled: bool,
    ) -> None:
        self.targets, self.config, self.tokens, self.loops = targets, config, tokens, loops
        self.seeds, self.p, self.recipe = list(seeds), p, recipe
        self.device, self.compiled = torch.device(device), compiled
        grid = product(range(len(targets)), range(len(seeds)), learning_rates)
        index = list(grid)
        self.members = [Member(t, self.seeds[s], rate) for t, s, rate in index]
        models = {seed: LoopedTransformer(config, seed=seed) for seed in self.seeds}
        bank = bank_of([models[member.seed] for member in self.members])
        self.bank = {k: v.to(self.device).requires_grad_() for k, v in bank.items()}
        self.flat = self._flatten([v.detach() for v in self.bank.values()])  # (M, P)
        self.mean, self.square = torch.zeros_like(self.flat), torch.zeros_like(self.flat)
        self.of_target = torch.tensor([t for t, _, _ in index], device=self.device)
        self.of_seed = torch.tensor([s for _, s, _ in index], device=self.device)
        self.rates = torch.tensor([[rate] for _, _, rate in index], device=self.device)
        self.diverged_at = torch.full((len(index),), -1, device=self.device)
        self.step = 0
        self.marks = [
            round(recipe.steps * (k + 1) / recipe.evaluations) for k in range(recipe.evaluations)
        ]
        self.curve: list[np.ndarray] = []
        self._update = adam_function(
            *self.flat.shape,
            beta1=recipe.beta1,
            beta2=recipe.beta2,
            device=self.device.type,
            compiled=compiled,
        )
        self._step = self._captured() if self.device.type == "cuda" else self.train_step

    # -- training -------------------------------------------------------------------------------
    def advance(self) -> None:
        """Train up to the next point of the curve, or one chunk, whichever is nearer."""
        mark = self.marks[len(self.curve)]
        count = min(mark - self.step, CHUNK)
        xs, ys = self._points(count)
        for k in range(count):
            rate = self.recipe.rate(self.step)
            self._step(xs[k], ys[k], self.scalars(rate))
            self.step += 1
        if self.step == mark:
            self.curve.append(self._validate())

    def _points(self, count: int) -> tuple[Tensor, Tensor]:
        """Return the next points (count, S, B, N, d) and values (count, T, S, B, N, d)."""
        recipe, d = self.recipe, self.config.dim
        drawn = [
            sobol_points(
                count * recipe.batch,
                tokens=self.tokens,
                dim=d,
                seed=seed,
                skip=self.step * recipe.batch,
            )
            for seed in self.seeds
        ]
        x = torch.stack(drawn).to(self.device)  # (S, count * B, N, d)
        shape = (len(self.seeds), count, recipe.batch, self.tokens, d)
        y = torch.stack([f(x.flatten(0, 1)).to(x).view(shape) for f in self.targets])
        return x.view(shape).transpose(0, 1), y.movedim(2, 0)

    def scalars(self, rate: float) -> Tensor:
        """Return (learning-rate fraction, bias corrections, step) as one small tensor."""
        k, r = self.step + 1, self.recipe
        values = [rate, 1 - r.beta1**k, 1 - r.beta2**k, self.step]
        return torch.tensor(values, dtype=torch.float32, device=self.device)

    def train_step(self, x: Tensor, y: Tensor, scalars: Tensor) -> None:
        """One step of every model: x (S, B, N, d), y (T, S, B, N, d)."""
        inputs, truth = x[self.of_seed], y[self.of_target, self.of_seed]
        output = bank_forward(self.bank, self.config, inputs, self.loops, compiled=self.compiled)
        gap = output - truth
        power = gap.abs() if self.p == 1 else gap.square() if self.p == 2 else gap.abs() ** self.p
        loss = power.mean((1, 2, 3))
        grads = torch.autograd.grad(loss.sum(), list(self.bank.values()))
        with torch.no_grad():
            self._adam(self._flatten(grads), loss, scalars)

    def _adam(self, grad: Tensor, loss: Tensor, scalars: Tensor) -> None:
        """Adam on (M, P) with per-model clipping and rate; non-finite models stay frozen."""
        r = self.recipe
        norm = grad.norm(dim=1, keepdim=True)
        broken = ~(torch.isfinite(norm[:, 0]) & torch.isfinite(loss))
        fresh = broken & (self.diverged_at < 0)
        self.diverged_at.copy_(torch.where(fresh, scalars[3].long(), self.diverged_at))
        frozen = (self.diverged_at >= 0)[:, None]
        share = torch.where(frozen, 0.0, r.clip / (norm + 1e-12)).clamp(max=1.0)
        rates = self.rates * (scalars[0] / scalars[1])
        self._update(self.flat, self.mean, self.square, grad, share, rates, scalars[2].sqrt())
        self._unflatten()

    def _flatten(self, tensors: Sequence[Tensor]) -> Tensor:
        """Collect tensors shaped like the bank's into one (M, P)."""
        rows = [self._rows(name, t) for name, t in zip(self.bank, tensors, strict=True)]
        return torch.cat(rows, dim=1)

    def _rows(self, name: str, tensor: Tensor) -> Tensor:
        """View one parameter with its model axis first, the rest flattened."""
        return (tensor.movedim(1, 0) if name in PER_BLOCK else tensor).flatten(1)

    def _unflatten(self) -> None:
        """Write the flat parameters back into the bank, in place."""
        start = 0
        for name, value in self.bank.items():
            block = name in PER_BLOCK
            shaped = value.detach().movedim(1, 0) if block else value.detach()
            size = shaped[0].numel()
            shaped.copy_(self.flat[:, start : start + size].view(shaped.shape))
            start += size

    def _captured(self) -> Callable[[Tensor, Tensor, Tensor], None]:
        """Return ``train_step`` replayed from a CUDA graph, captured on its first call."""
        holder: dict[str, Any] = {}

        def step(x: Tensor, y: Tensor, scalars: Tensor) -> None:
            if not holder:
                state = [t.clone() for t in self._state()]
                holder["inputs"] = [t.clone() for t in (x, y, scalars)]
                side = torch.cuda.Stream()
                side.wait_stream(torch.cuda.current_stream())
                with torch.cuda.stream(side):
                    for _ in range(3):
                        self.train_step(*holder["inputs"])
                torch.cuda.current_stream().wait_stream(side)
                holder["graph"] = torch.cuda.CUDAGraph()
                with torch.cuda.graph(holder["graph"]):
                    self.train_step(*holder["inputs"])
                for tensor, value in zip(self._state(), state, strict=True):
                    tensor.copy_(value)  # forget the warm-up steps
                self._unflatten()
            for static, value in zip(holder["inputs"], (x, y, scalars), strict=True):
                static.copy_(value)
            holder["graph"].replay()

        return step

    # -- measuring and storing --------------------------------------------------------------------
    def _validate(self) -> np.ndarray:
        """Return the L^p validation error of every model."""
        estimates = member_errors(
            self.result(),
            self.targets,
            tokens=self.tokens,
            loops=self.loops,
            p=self.p,
            points=self.recipe.validation_points,
            replicates=2,
            batch=self.recipe.batch,
            seed=VALIDATION,
            compiled=self.compiled,
            device=self.device,
        )
        return np.array([estimate.value for estimate in estimates])

    def _state(self) -> list[Tensor]:
        """Return the tensors that change from step to step."""
        return [self.flat, self.mean, self.square, self.diverged_at]

    def stamp(self) -> str:
        """Return a digest of everything that decides the numbers of this fit."""
        facts = {
            "targets": [_name(f) for f in self.targets],
            "config": self.config.as_dict(),
            "members": [asdict(member) for member in self.members],
            "recipe": asdict(self.recipe),
            "tokens": self.tokens,
            "loops": self.loops,
            "p": self.p,
            "device": self.device.type,
            "compiled": self.compiled,
            "torch": torch.__version__,
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def save(self, path: Path, stamp: str) -> None:
        """Write the state atomically (npz, no objects)."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        flat, mean, square, diverged = (t.cpu().numpy() for t in self._state())
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                stamp=np.array(stamp),
                step=np.array(self.step),
                curve=np.array(self.curve).reshape(-1, len(self.members)),
                flat=flat,
                mean=mean,
                square=square,
                diverged=diverged,
            )
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)

    def load(self, path: Path, stamp: str) -> None:
        """Continue from a checkpoint of the same fit; any other file is ignored."""
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
                if str(stored["stamp"]) != stamp:
                    return
                values = [stored[name] for name in ("flat", "mean", "square", "diverged")]
                step, curve = int(stored["step"]), stored["curve"]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return  # torn by a kill: start this fit again
        for tensor, value in zip(self._state(), values, strict=True):
            tensor.copy_(torch.from_numpy(value))
        self.step, self.curve = step, list(curve)
        with torch.no_grad():
            self._unflatten()

    def result(self) -> FitResult:
        """Return the trained bank with its curve."""
        return FitResult(
            {name: value.detach() for name, value in self.bank.items()},
            self.config,
            self.members,
            np.array(self.marks),
            np.array(self.curve),
            self.diverged_at.cpu().numpy(),
        )


def _name(function: Function) -> str:
    """Return a name that is the same in every process."""
    qualified = getattr(function, "__qualname__", None)
    return f"{function.__module__}.{qualified}" if qualified else str(function)
