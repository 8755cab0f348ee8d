"""The steps of one bank: what :func:`looprate.approx.fit.fitting.fit` repeats.

All models of a bank advance together.  A chunk of steps has its points, target values and schedule
on the device before it starts; a counter on the device says which of them a step reads, and a
non-finite model is frozen without a branch.  So the step needs nothing from the host: on a GPU it
is captured once as a CUDA graph and replayed, and the host waits only where the curve is measured.
On a CPU the kernel makes all steps of a chunk in one call where it can: at the sizes of a study
half of a step or more was Python's.

The speed on a GPU is unmeasured until somebody runs ``benchmarks/fit_gpu.py`` on one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from looprate.approx.banks.adam import adam_function
from looprate.approx.banks.bank import bank_losses, bank_path
from looprate.approx.banks.fused.train import fused_train
from looprate.approx.error import HELD_OUT
from looprate.approx.fit.fitted import FitResult, Member, Recipe, member_errors
from looprate.approx.fit.memory import CHUNK
from looprate.approx.fit.sampling import Function, TrainingPoints
from looprate.approx.fit.state import FitState, bank_at, bank_views, flatten, write_bank
from looprate.approx.models.looped import ModelConfig
from looprate.theory.notation import check_choice

__all__ = ["TrainingRun", "drawn_loops"]

VALIDATION = HELD_OUT - 1_000  # seed of the validation scramble: neither training nor test
WARM_UP = 3  # steps before a capture, which then finds everything compiled
Law = Literal["fixed", "uniform", "log-uniform"]
LAWS: tuple[Law, ...] = get_args(Law)


def drawn_loops(law: Law, loops: int, step: int) -> int:
    """Return the loop count of one training step, the same for all models of a bank.

    Parameters
    ----------
    law : {"fixed", "uniform", "log-uniform"}
        ``loops`` themselves; or a draw from 1..2 ``loops``, each equally often, or with a
        probability that falls about like 1/r.
    loops : int
        r.
    step : int
        Decides the draw.
    """
    if law == "fixed":
        return loops
    share = float(np.random.default_rng(step).random())
    if law == "uniform":
        return 1 + int(share * 2 * loops)
    return int((2 * loops + 1) ** share)


class TrainingRun:
    """One bank in training: parameters, Adam's averages, the curve so far.

    Parameters
    ----------
    targets : sequence of callables (B, N, d) -> (B, N, d)
    config : ModelConfig
    members : sequence of Member
    state : FitState
        Where the members stand, all at the same step.
    tokens, loops : int
        N and r.
    p : float
        Exponent of the loss, finite.
    recipe : Recipe
    device : str or torch.device
    compiled : bool
        Compile the block and Adam where a compiler works.
    law : {"fixed", "uniform", "log-uniform"}
        Of the loops of a step, see :func:`drawn_loops`; validation has ``loops``.
    """

    def __init__(
        self,
        targets: Sequence[Function],
        config: ModelConfig,
        members: Sequence[Member],
        state: FitState,
        *,
        tokens: int,
        loops: int,
        p: float,
        recipe: Recipe,
        device: str | torch.device,
        compiled: bool,
        law: Law = "fixed",
    ) -> None:
        self.law = check_choice(law, "law", LAWS)
        self.targets, self.config, self.members = targets, config, list(members)
        self.tokens, self.loops, self.p, self.recipe = tokens, loops, p, recipe
        self.device, self.compiled = torch.device(device), compiled
        arrays = (state.flat, state.mean, state.square, state.diverged_at)
        # clones: a tensor made of an array on the CPU would share its memory
        self._state = [torch.from_numpy(array).to(self.device).clone() for array in arrays]
        self.flat, self.mean, self.square, self.diverged_at = self._state
        self.bank = {k: v.requires_grad_() for k, v in bank_at(self.flat, config).items()}
        self.rates = self._column([member.learning_rate for member in members])
        self.step, self._loops = int(state.step[0]), loops
        self.curve = list(state.curve.T[: sum(mark <= self.step for mark in recipe.marks)])
        self._update = adam_function(
            *self.flat.shape,
            beta1=recipe.beta1,
            beta2=recipe.beta2,
            device=self.device.type,
            compiled=compiled,
        )
        self._graph: torch.cuda.CUDAGraph | None = None
        self._lay_out()

    def _column(self, values: Sequence[float]) -> Tensor:
        """Return one number a model, shape (M, 1)."""
        return torch.tensor(values, dtype=torch.float32, device=self.device)[:, None]

    def _lay_out(self) -> None:
        """Make the buffers of a chunk, and each model's first row in them."""
        used = sorted({member.target for member in self.members})
        seeds = list(dict.fromkeys(member.seed for member in self.members))
        functions = [self.targets[target] for target in used]
        shape = {"tokens": self.tokens, "dim": self.config.dim, "batch": self.recipe.batch}
        self._points = TrainingPoints(functions, seeds, **shape, device=self.device)
        count = min(CHUNK, self.recipe.steps)
        of_seed = [seeds.index(member.seed) for member in self.members]
        of_pair = [
            used.index(member.target) * len(seeds) + s
            for member, s in zip(self.members, of_seed, strict=True)
        ]
        self._x_rows = torch.tensor(of_seed, device=self.device) * count
        self._y_rows = torch.tensor(of_pair, device=self.device) * count
        entries = (count, self.recipe.batch, self.tokens, self.config.dim)
        self._x = torch.empty(len(seeds), *entries, device=self.device)
        self._y = torch.empty(len(used), len(seeds), *entries, device=self.device)
        self._table = torch.empty(count, 4, device=self.device)
        self._place = torch.zeros(1, dtype=torch.long, device=self.device)

    # -- training -------------------------------------------------------------------------------
    def advance(self) -> None:
        """Train up to the next point of the curve, or one chunk, whichever is nearer.

        If the GPU's memory ends meanwhile, the run stays where it was.

        Raises
        ------
        torch.OutOfMemoryError
        """
        start, before = self.step, [tensor.clone() for tensor in self._state]
        mark = self.recipe.marks[len(self.curve)]
        count = min(mark - start, CHUNK)
        try:
            self.train(count)
            if self.step == mark:
                self.curve.append(self._validate())
        except torch.OutOfMemoryError:
            self.step = start
            self._restore(before)
            raise

    def train(self, count: int) -> None:
        """Train 1 to ``CHUNK`` steps; nothing between the first and the last waits for the device.

        The curve is left alone: that is what :meth:`advance` is for.
        """
        self._fill(count)
        if self.p <= 2 and bank_path(self.config, self.flat, compiled=self.compiled) == "fused":
            self._run_kernel(count)
            return
        if self.device.type == "cuda" and self._graph is None and self.law == "fixed":
            self._graph = self._captured()
        self._place.zero_()
        once = self.train_step if self._graph is None else self._graph.replay
        for step in range(self.step, self.step + count):
            self._loops = drawn_loops(self.law, self.loops, step)
            once()
        self.step += count

    def _run_kernel(self, count: int) -> None:
        """Train the steps whose points are in the buffers, in one call where r is fixed."""
        r, stretch = self.recipe, count if self.law == "fixed" else 1
        like, x, y = bank_views(self.flat, self.bank), self._x.flatten(0, 1), self._y.flatten(0, 2)
        for place in range(0, count, stretch):
            fused_train(
                self.config,
                self._state,
                like,
                (x, y, self._x_rows + place, self._y_rows + place),
                self._table[place : place + stretch],
                self.rates,
                drawn_loops(self.law, self.loops, self.step + place),
                p=self.p,
                beta1=r.beta1,
                beta2=r.beta2,
                clip=r.clip,
            )
        write_bank(self.flat, self.bank)
        self.step += count

    def _fill(self, count: int) -> None:
        """Put the points, values and schedule of the next steps into the buffers."""
        x, y = self._points.chunk(self.step, count)
        self._x[:, :count].copy_(x)
        self._y[:, :, :count].copy_(y)
        self._table[:count].copy_(self.schedule(count))

    def schedule(self, count: int) -> Tensor:
        """Return (learning-rate fraction, two bias corrections, step) of steps, shape (count, 4).

        One copy to the device serves all of them.
        """
        r = self.recipe
        rows = [
            [r.rate(k), 1 - r.beta1 ** (k + 1), 1 - r.beta2 ** (k + 1), k]
            for k in range(self.step, self.step + count)
        ]
        return torch.tensor(rows, dtype=torch.float32, device=self.device)

    def train_step(self) -> None:
        """Train every model on the points the counter names, and move the counter on."""
        inputs = self._x.flatten(0, 1).index_select(0, self._x_rows + self._place)
        truth = self._y.flatten(0, 2).index_select(0, self._y_rows + self._place)
        self.learn(inputs, truth, self._table.index_select(0, self._place)[0])
        self._place += 1

    def learn(self, inputs: Tensor, truth: Tensor, scalars: Tensor) -> None:
        """One step of every model on its inputs and target values, both (M, B, N, d).

        ``scalars`` is a row of :meth:`schedule`.
        """
        models = self.bank, self.config, inputs, truth, self._loops
        loss = bank_losses(*models, p=self.p, compiled=self.compiled)
        grads = torch.autograd.grad(loss.sum(), list(self.bank.values()))
        with torch.no_grad():
            grad = flatten(dict(zip(self.bank, grads, strict=True)))
            self._adam(grad, loss, scalars)

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
        write_bank(self.flat, self.bank)

    def _captured(self) -> torch.cuda.CUDAGraph:
        """Return the step as a CUDA graph, the state as it was before."""
        before = [tensor.clone() for tensor in self._state]
        side, graph = torch.cuda.Stream(), torch.cuda.CUDAGraph()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self._place.zero_()  # the chunk may be one step long
                self.train_step()
        torch.cuda.current_stream().wait_stream(side)
        with torch.cuda.graph(graph):
            self.train_step()
        self._restore(before)
        return graph

    def _restore(self, tensors: Sequence[Tensor]) -> None:
        """Go back to an earlier state, in place."""
        for tensor, value in zip(self._state, tensors, strict=True):
            tensor.copy_(value)
        write_bank(self.flat, self.bank)

    # -- measuring ------------------------------------------------------------------------------
    def _validate(self) -> np.ndarray:
        """Return the L^p validation error of every model."""
        bank = {name: value.detach() for name, value in self.bank.items()}
        none = np.empty(0)
        estimates = member_errors(
            FitResult(bank, self.config, self.members, none, none, none),
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

    def state(self) -> FitState:
        """Return where the bank stands, on the host."""
        arrays = [tensor.cpu().numpy() for tensor in self._state]
        flat, mean, square, diverged_at = (array.copy() for array in arrays)
        curve = np.full((len(self.members), self.recipe.evaluations), np.nan)
        curve[:, : len(self.curve)] = np.array(self.curve).reshape(-1, len(self.members)).T
        step = np.full(len(self.members), self.step)
        return FitState(step, flat, mean, square, diverged_at, curve)
