"""Training throughput: this project's banks against eager PyTorch, one model at a time.

Banks run through the CPU kernel (fused) and through torch's compiler (torch), which is what they do
where the kernel cannot be built.  All train the same TMLT, eta(t) included (same initial weights,
same points, same loss, Adam) on one thread, in one process, in alternating rounds; the losses must
agree to float32 rounding.  Two settings:

tiny   D 16, 2 heads, N 2, batch 32, r 8, many models
small  D 32, 2 heads, N 4, batch 256, r 8

Prints models x steps per second, the ratios to eager, and the kernel's fraction of the matmul
ceiling measured in the same run.  The last line is one JSON object: {"tiny": ratio, ...}.

    python benchmarks/fit.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: one thread for everybody

import torch
from torch import Tensor

import looprate.approx.banks.adam
import looprate.approx.banks.bank
from looprate.approx.banks.bank import bank_losses
from looprate.approx.fit.fitted import Member, Recipe
from looprate.approx.fit.state import fresh_state
from looprate.approx.fit.training import TrainingRun
from looprate.approx.models.looped import LoopedTransformer, ModelConfig

ROUNDING = 1e-4  # relative, of a loss after a few float32 steps
RATE = 1e-3


@dataclass(frozen=True)
class Setting:
    """One line of the table."""

    name: str
    width: int
    tokens: int
    batch: int
    models: int
    loops: int = 8
    heads: int = 2

    @property
    def config(self) -> ModelConfig:
        return ModelConfig(
            width=self.width, heads=self.heads, hidden=4 * self.width, gate=1 / self.loops
        )

    @property
    def flops(self) -> float:
        """Matmul operations of one model's step: forward, and twice that backward."""
        D, H = self.width, 4 * self.width
        per_token = 2 * (3 * D * D + D * D + 2 * D * H)
        return 3.0 * per_token * self.tokens * self.batch * self.loops


SETTINGS = (Setting("tiny", 16, 2, 32, 48), Setting("small", 32, 4, 256, 2))


def target(x: Tensor) -> Tensor:
    """What is learned; cheap, so that training is what is timed."""
    return torch.sin(6 * x) * x.mean(-2, keepdim=True)


def eager_stepper(setting: Setting) -> Callable[[int], list[float]]:
    """Train one plain module; returns ``steps -> losses``."""
    model = LoopedTransformer(setting.config, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.99))

    def run(steps: int) -> list[float]:
        losses = []
        for x in points(setting, steps):
            loss = (model(x, setting.loops) - target(x)).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        return [float(loss) for loss in losses]

    return run


def torch_stepper(setting: Setting, *, losses: bool = False) -> Callable[[int], list[float]]:
    """Train a bank as where the kernel is missing."""

    def without_kernel(call: Callable[[], Any]) -> Any:
        with (
            patch.object(looprate.approx.banks.bank, "covers", lambda *_: False),
            patch.object(looprate.approx.banks.adam, "library", lambda: None),
        ):
            return call()

    run = without_kernel(lambda: bank_stepper(setting, losses=losses))
    return lambda steps: without_kernel(lambda: run(steps))


def bank_stepper(setting: Setting, *, losses: bool = False) -> Callable[[int], list[float]]:
    """Train a bank of equal models; returns ``steps -> losses of the first`` (if asked for)."""
    recipe = Recipe(steps=10**6, batch=setting.batch, warmup=0.0, clip=float("inf"))
    members = [Member(0, 0, RATE)] * setting.models
    bank = TrainingRun(
        [target],
        setting.config,
        members,
        fresh_state(setting.config, members, evaluations=recipe.evaluations),
        tokens=setting.tokens,
        loops=setting.loops,
        p=1.0,
        recipe=recipe,
        device="cpu",
        compiled=True,
    )

    def run(steps: int) -> list[float]:
        found = []
        for x in points(setting, steps):
            many, truth = (v.repeat(setting.models, 1, 1, 1) for v in (x, target(x)))
            if losses:
                loss = bank_losses(bank.bank, setting.config, many, truth, setting.loops, p=1.0)
                found.append(float(loss[0].detach()))
            bank.learn(many, truth, bank.schedule(1)[0])
            bank.step += 1
        return found

    return run


def points(setting: Setting, steps: int) -> Tensor:
    """The same training points for everybody."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(steps, setting.batch, setting.tokens, 1, generator=generator)


def seconds(run: Callable[[int], object], steps: int) -> float:
    """Wall time of some steps."""
    start = time.perf_counter()
    run(steps)
    return time.perf_counter() - start


def matmul_ceiling() -> float:
    """Best float32 matmul rate of one thread, in operations a second."""
    a = torch.randn(1024, 1024)
    best = min(seconds(lambda _: a @ a, 0) for _ in range(12))
    return 2 * 1024**3 / best


def check_same_arithmetic(setting: Setting) -> float:
    """Return the largest relative difference of the first losses; refuse another computation."""
    eager = eager_stepper(setting)(5)
    banks = [make(setting, losses=True)(5) for make in (bank_stepper, torch_stepper)]
    worst = max(abs(a - b) / abs(a) for bank in banks for a, b in zip(eager, bank, strict=True))
    if not worst < ROUNDING:
        raise SystemExit(f"losses differ by {worst:.2g}: not the same arithmetic")
    return worst


def measure(setting: Setting, rounds: int, steps: int) -> dict[str, float]:
    """Time all in alternating rounds, eager before and after the banks, and compare by round."""
    worst = check_same_arithmetic(setting)
    eager = eager_stepper(setting)
    banks = {"fused": bank_stepper(setting), "torch": torch_stepper(setting)}
    eager(3), [bank(3) for bank in banks.values()]
    before = seconds(eager, steps) / steps
    names = "eager", "fused", "torch", "fused ratio", "torch ratio", "fraction"
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        one = {name: seconds(run, steps) / steps / setting.models for name, run in banks.items()}
        after = seconds(eager, steps) / steps
        found["eager"].append(1 / after)
        for name, each in one.items():
            found[name].append(1 / each)
            found[f"{name} ratio"].append((before + after) / 2 / each)
        found["fraction"].append(setting.flops / one["fused"] / matmul_ceiling())
        before = after
    return {name: statistics.median(values) for name, values in found.items()} | {"loss": worst}


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="21 rounds instead of 61")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    if not looprate.approx.banks.bank.covers(SETTINGS[0].config, torch.empty(0)):
        raise SystemExit("the CPU kernel is not available: install g++ or set CXX")
    print(f"torch {torch.__version__}, 1 thread, medians of alternating rounds")
    print(
        "setting  models   eager/s   torch/s  ratio   fused/s  ratio    GF/s  of ceiling  losses by"
    )
    result: dict[str, float] = {}
    for setting in SETTINGS:
        steps = 12 if setting.name == "tiny" else 5
        found = measure(setting, 21 if quick else 61, steps)
        print(
            f"{setting.name:<8} {setting.models:>6} {found['eager']:>9.1f} {found['torch']:>9.1f} "
            f"{found['torch ratio']:>6.2f} {found['fused']:>9.1f} {found['fused ratio']:>6.2f} "
            f"{found['fused'] * setting.flops / 1e9:>7.1f} {found['fraction']:>11.2f} "
            f"{found['loss']:>10.1g}"
        )
        result[setting.name] = round(found["fused ratio"], 3)
        result[f"{setting.name}_torch"] = round(found["torch ratio"], 3)
        result[f"{setting.name}_of_ceiling"] = round(found["fraction"], 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
