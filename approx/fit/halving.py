"""Best found: the smallest error that many starts, successive halving and a polish come to.

A theorem on weights bounds an infimum; one fit, or the median of some, measures optimisation.
So many starts are trained for a few steps, the better half of them goes on for more, and so forth
(successive halving; Jamieson and Talwalkar 2016).  Starts differ in first weights, learning rate
and residual gate, which thereby are chosen the same way for every family.  Every rung is a fit with
a schedule of its own, so that errors are compared where the learning rate has come down.  Loops
grow: each rung before the last trains half as many as the next one.  With gate 1/loops a network
is nearly the same function after its loops have doubled, and blocks trained at 4, 4, 8, 16 loops
for 500 steps each came to .036 where those trained at 16 alone, for as long, came to .46 (geometric
means of banks of 48 starts, 916 parameters, the dial with 4 periods); begun at 1 or 2 they do no
better, and r = 4 does worse.  The finalists are polished (:mod:`looprate.approx.fit.polish`).

Selection reads validation points alone; what is reported is measured once, on held-out points.
Every random number is a function of a seed: the same search has the same numbers on one machine.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from looprate.approx.banks.bank import bank_of, model_of
from looprate.approx.error import HELD_OUT, ErrorEstimate
from looprate.approx.fit.fitted import Member, Recipe
from looprate.approx.fit.fitting import FORMAT, PROBED, identity_of
from looprate.approx.fit.polish import Descent, Polished, Polisher, Stage
from looprate.approx.fit.progress import Progress
from looprate.approx.fit.sampling import Function, SobolSource
from looprate.approx.fit.state import FitState, bank_views, fresh_state, untrained_state
from looprate.approx.fit.training import VALIDATION, TrainingRun
from looprate.approx.models.looped import LoopedTransformer, ModelConfig

__all__ = ["BestFound", "SearchPlan", "best_found"]

Array = np.ndarray
VALIDATION_POINTS, VALIDATION_REPLICATES = 2048, 2


@dataclass(frozen=True)
class SearchPlan:
    """How a best network is searched.

    Parameters
    ----------
    starts : int
        Seeds 0..starts-1; they take the rates and gates in turn.
    rungs : tuple of int
        Training steps of every rung; after each the better half goes on.
    least_loops : int
        Loops of the first rungs, at least; every later rung has twice as many, the last one r.
        Networks with weights of their own for every loop have r in all of them.
    learning_rates : tuple of float
        Peak rates.
    gates : tuple of float
        Exponents a of residual gates loops^-a.
    finalists : int
        How many of the last rung's are polished; after every stage the better half goes on.
    stages : tuple of Stage
        Of the polish; none leaves it out.
    recipe : Recipe
        Batch and schedule of the rungs; its steps are not read.
    """

    starts: int = 48
    rungs: tuple[int, ...] = (4000, 4000, 4000, 4000)
    least_loops: int = 4
    learning_rates: tuple[float, ...] = (1e-2, 2.5e-2)
    gates: tuple[float, ...] = (1.0,)
    finalists: int = 4
    stages: tuple[Stage, ...] = (Stage(2, 20), Stage(2, 40), Stage(8, 30))
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        for name in ("starts", "finalists", "least_loops"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(self, name)}")
        for name in ("rungs", "learning_rates", "gates"):
            if not getattr(self, name):
                raise ValueError(f"`{name}` must hold at least one value, got none")
        if min(self.rungs) < 1:
            raise ValueError(f"`rungs` must be integers >= 1, got {list(self.rungs)}")

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> SearchPlan:
        """Return the plan that ``dataclasses.asdict`` wrote, lists for tuples allowed."""
        made: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        made["stages"] = tuple(Stage(**stage) for stage in values["stages"])
        return cls(**{**made, "recipe": Recipe(**values["recipe"])})

    def loops_at(self, rung: int, loops: int) -> int:
        """Return how many loops a rung of a search for ``loops`` trains."""
        halved = -(-loops // 2 ** (len(self.rungs) - 1 - rung))
        return min(loops, max(self.least_loops, halved))

    def members(self) -> list[tuple[Member, float]]:
        """Return every start, and the exponent of its gate."""
        rates, gates = self.learning_rates, self.gates
        return [
            (Member(0, s, rates[s % len(rates)]), gates[s // len(rates) % len(gates)])
            for s in range(self.starts)
        ]


@dataclass(frozen=True)
class BestFound:
    """The best network of a search.

    Attributes
    ----------
    config : ModelConfig
        With the gate that was chosen.
    loops : int
    flat : Tensor of float64, shape (P,)
        Its parameters.
    member : Member
        The start it came from.
    stopped : ndarray, shape (starts,)
        Validation error of every start where halving stopped it, with the loops it had by then,
        before any polish; inf where it diverged.
    validation : float
        Error by which it was chosen, after the polish.
    polish : Polished or None
        Its last stage.
    error : ErrorEstimate
        On held-out points, which no choice has read.
    """

    config: ModelConfig
    loops: int
    flat: Tensor
    member: Member
    stopped: Array
    validation: float
    polish: Polished | None
    error: ErrorEstimate

    def model(self) -> LoopedTransformer:
        """Return the network as a torch module in float64."""
        like = bank_of([LoopedTransformer(self.config, seed=0)])
        return model_of(bank_views(self.flat[None], like), self.config, 0, loops=self.loops)


@dataclass
class _Starts:
    """Float32 parameters and error of every start, which are in the running, rungs passed."""

    flat: Array
    error: Array
    alive: Array
    rung: int = 0

    def __post_init__(self) -> None:
        self.rung = int(self.rung)  # an array, where it was stored


def best_found(
    target: Function,
    config: ModelConfig,
    *,
    tokens: int,
    loops: int,
    p: float = 1.0,
    plan: SearchPlan | None = None,
    points: int = 4096,
    replicates: int = 8,
    compiled: bool = True,
    device: str | torch.device = "cpu",
    checkpoint: Path | None = None,
    progress: Callable[[float], None] | None = None,
) -> BestFound:
    """Return the best network that a search finds, and its error on points no choice has read.

    Parameters
    ----------
    target : callable (B, N, d) -> (B, N, d)
    config : ModelConfig
        Its gate is replaced by those of the plan.
    tokens, loops : int
        N and r.
    p : float
        Exponent of loss and error, finite.
    plan : SearchPlan, optional
    points, replicates : int
        Of the held-out estimate.
    checkpoint : Path, optional
        Written while it runs, every 20 seconds; a later call with the same question goes on from
        it and ends, on a CPU, with the same numbers.
    progress : callable, optional
        Called with the finished fraction.
    """
    plan = SearchPlan() if plan is None else plan
    tell = progress or (lambda part: None)
    search = _Search(target, config, plan, tokens=tokens, loops=loops, p=p)
    place = compiled, torch.device(device)
    kept = Progress(checkpoint, search.stamp(*place) if checkpoint else "")
    starts = search.halved(*place, kept, lambda part: tell(part / 2))
    best = search.polished(starts, kept, lambda part: tell((1 + part) / 2))
    judge = search.polisher(best.gate)
    error = judge.error(best.flat, points=points, replicates=replicates, seed=HELD_OUT)
    stopped = np.where(np.isfinite(starts.error), starts.error, np.inf)
    return BestFound(
        judge.config, loops, best.flat, best.member, stopped, best.score, best.polish, error
    )


@dataclass(frozen=True)
class _Finalist:
    """A network, the start it came from, and its validation error."""

    score: float
    member: Member
    gate: float
    flat: Tensor
    polish: Polished | None = None


class _Search:
    """One question, and the plan by which it is answered."""

    def __init__(
        self,
        target: Function,
        config: ModelConfig,
        plan: SearchPlan,
        *,
        tokens: int,
        loops: int,
        p: float,
    ) -> None:
        self.target, self.plan = target, plan
        self.how: dict[str, Any] = {"tokens": tokens, "loops": loops, "p": p}
        self.configs = {a: replace(config, gate=float(loops) ** -a) for a in plan.gates}

    def polisher(self, gate: float) -> Polisher:
        """Return what polishes and measures networks with a gate."""
        return Polisher(self.configs[gate], self.target, **self.how)

    # -- halving --------------------------------------------------------------------------------
    def halved(
        self, compiled: bool, device: torch.device, kept: Progress, tell: Callable[[float], None]
    ) -> _Starts:
        """Return where every start was stopped, the last rung's included."""
        arms = self.plan.members()
        config = self.configs[self.plan.gates[0]]  # first weights do not depend on the gate
        starts = kept.load("starts", _Starts) or _Starts(
            fresh_state(config, [member for member, _ in arms], evaluations=1).flat,
            np.full(len(arms), np.inf),
            np.arange(len(arms)),
        )
        for rung in range(starts.rung, len(self.plan.rungs)):
            for gate in self.plan.gates:
                which = np.array([k for k in starts.alive if arms[k][1] == gate], dtype=int)
                if len(which):
                    members = [arms[k][0] for k in which]
                    run = self._run(gate, members, starts.flat[which], rung, compiled, device, kept)
                    self._train(run, f"rung{rung}.{gate}", kept)
                    _write_down(run.state(), which, starts)
            starts.rung = rung + 1
            if starts.rung < len(self.plan.rungs):
                better = np.argsort(starts.error[starts.alive], kind="stable")
                starts.alive = np.sort(starts.alive[better[: -(-len(better) // 2)]])
            kept.save("starts", starts, over="rung")
            tell(starts.rung / len(self.plan.rungs))
        return starts

    def _run(
        self,
        gate: float,
        members: list[Member],
        flat: Array,
        rung: int,
        compiled: bool,
        device: torch.device,
        kept: Progress,
    ) -> TrainingRun:
        """Return the training of some starts in one rung, where it was cut off."""
        loops, config = self.how["loops"], self.configs[gate]
        if config.eta_rows == 1:  # others have weights of every loop
            loops = self.plan.loops_at(rung, loops)
            config = replace(config, gate=float(loops) ** -gate)
        state = kept.load(f"rung{rung}.{gate}", FitState) or untrained_state(flat, evaluations=1)
        recipe = replace(self.plan.recipe, steps=self.plan.rungs[rung], evaluations=1)
        how: dict[str, Any] = {**self.how, "loops": loops, "recipe": recipe}
        place: dict[str, Any] = {"device": device, "compiled": compiled}
        return TrainingRun([self.target], config, members, state, **how, **place)

    def _train(self, run: TrainingRun, name: str, kept: Progress) -> None:
        """Train to the end of a rung."""
        while run.step < run.recipe.steps:
            run.advance()
            kept.save_now_and_then(name, run.state)

    def stamp(self, compiled: bool, device: torch.device) -> str:
        """Return a digest of everything that decides where starts stop."""
        seeds = [0]
        dim = next(iter(self.configs.values())).dim
        x = SobolSource(seeds, tokens=self.how["tokens"], dim=dim, device="cpu").draw(0, PROBED)[0]
        whole = {
            "format": FORMAT,
            **{"plan": asdict(self.plan), **self.how, "compiled": compiled, "device": device.type},
            "configs": [config.as_dict() for config in self.configs.values()],
            **{"target": identity_of(self.target, x), "torch": torch.__version__},
        }
        return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()

    # -- polish ---------------------------------------------------------------------------------
    def polished(self, starts: _Starts, kept: Progress, tell: Callable[[float], None]) -> _Finalist:
        """Return the best of the finalists by validation, before or after any stage."""
        arms = self.plan.members()
        better = np.argsort(starts.error[starts.alive], kind="stable")
        order = starts.alive[better[: self.plan.finalists]]  # all of r loops
        given = [
            (*arms[k], torch.from_numpy(starts.flat[k]).double())
            for k in order
            if np.isfinite(starts.error[k])
        ]
        if not given:
            raise ValueError("every start diverged; take smaller `learning_rates`")
        running = seen = [self._judged(*each) for each in given]
        for k, stage in enumerate(self.plan.stages):
            ends = [
                self._stage(each, stage, f"polish{k}.{place}", kept)
                for place, each in enumerate(running)
            ]
            found = [
                self._judged(each.member, each.gate, end.flat, end)
                for each, end in zip(running, ends, strict=True)
            ]
            seen = [*seen, *found]
            running = sorted(found, key=lambda each: each.score)[: -(-len(found) // 2)]
            tell((k + 1) / len(self.plan.stages))
        return min(seen, key=lambda each: each.score)

    def _stage(self, each: _Finalist, stage: Stage, name: str, kept: Progress) -> Polished:
        """Return a finalist after one stage of the polish, which goes on where it was cut off."""
        last: list[Descent] = []

        def keep(where: Descent) -> None:
            last[:] = [where]
            kept.save_now_and_then(name, lambda: where)

        begun = kept.load(name, Descent)
        end = self.polisher(each.gate).polished(each.flat, stage, begun=begun, keep=keep)
        if last:
            kept.save(name, last[0])
        return end

    def _judged(
        self, member: Member, gate: float, flat: Tensor, polish: Polished | None = None
    ) -> _Finalist:
        """Return a finalist with its error on the validation points."""
        found = self.polisher(gate).error(
            flat, points=VALIDATION_POINTS, replicates=VALIDATION_REPLICATES, seed=VALIDATION
        )
        score = found.value if math.isfinite(found.value) else math.inf
        return _Finalist(score, member, gate, flat, polish)


def _write_down(end: FitState, which: Array, starts: _Starts) -> None:
    """Write down where some starts are after a rung; diverged ones stay inf."""
    starts.flat[which] = end.flat
    starts.error[which] = np.where(end.diverged_at < 0, end.curve[:, -1], np.inf)
