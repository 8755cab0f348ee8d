"""Training throughput: this project's banks against eager PyTorch, one model at a time.

Both train the same TMLT (same initial weights, same points, same loss, Adam) on one thread, in one
process, in alternating rounds; the losses must agree to float32 rounding.  Two settings:

tiny   D 16, 2 heads, N 2, batch 32, r 8, many models
small  D 32, 2 heads, N 4, batch 256, r 8

Prints models x steps per second, the ratio, and the fraction of the matmul ceiling measured in the
same run.  The last line is one JSON object: {"tiny": ratio, "small": ratio, ...}.

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

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: one thread for everybody

import torch
from torch import Tensor

from approx.bank import bank_forward
from approx.looped import LoopedTransformer, ModelConfig
from approx.state import fresh_state
from approx.training import Member, Recipe, TrainingRun

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
                out = bank_forward(bank.bank, setting.config, many, setting.loops)
                found.append(float((out[0] - target(x)).abs().mean().detach()))
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
    eager, bank = eager_stepper(setting)(5), bank_stepper(setting, losses=True)(5)
    worst = max(abs(a - b) / abs(a) for a, b in zip(eager, bank, strict=True))
    if not worst < ROUNDING:
        raise SystemExit(f"losses differ by {worst:.2g}: not the same arithmetic")
    return worst


def measure(setting: Setting, rounds: int, steps: int) -> dict[str, float]:
    """Time both in alternating rounds, eager before and after the bank, and compare by round."""
    worst = check_same_arithmetic(setting)
    eager, bank = eager_stepper(setting), bank_stepper(setting)
    eager(3), bank(3)
    before = seconds(eager, steps) / steps
    found: dict[str, list[float]] = {"eager": [], "bank": [], "ratio": [], "fraction": []}
    for _ in range(rounds):
        one = seconds(bank, steps) / steps / setting.models
        after = seconds(eager, steps) / steps
        found["eager"].append(1 / after)
        found["bank"].append(1 / one)
        found["ratio"].append((before + after) / 2 / one)
        found["fraction"].append(setting.flops / one / matmul_ceiling())
        before = after
    return {name: statistics.median(values) for name, values in found.items()} | {"loss": worst}


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="21 rounds instead of 61")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, 1 thread, medians of alternating rounds")
    print("setting  models   eager/s    bank/s   ratio    GF/s  of ceiling  loss differs by")
    result: dict[str, float] = {}
    for setting in SETTINGS:
        steps = 12 if setting.name == "tiny" else 5
        found = measure(setting, 21 if quick else 61, steps)
        print(
            f"{setting.name:<8} {setting.models:>6} {found['eager']:>9.1f} {found['bank']:>9.1f} "
            f"{found['ratio']:>7.2f} {found['bank'] * setting.flops / 1e9:>7.1f} "
            f"{found['fraction']:>11.2f} {found['loss']:>16.1g}"
        )
        result[setting.name] = round(found["ratio"], 3)
        result[f"{setting.name}_of_ceiling"] = round(found["fraction"], 4)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
