"""Training throughput on one GPU: banks against eager PyTorch, one model at a time.

Both train the same TMLTs from the same weights on the same points with the same loss and Adam, in
float32, in one process, in alternating rounds; the losses must agree to rounding.  Eager PyTorch
gets its points and target values ready made; a bank makes its own, one seed a model, within the
time measured.  CUDA events take the time.  Two settings:

tiny   D 16, 2 heads, N 2, batch 32, r 8
small  D 32, 2 heads, N 4, batch 256, r 16

The ratios wanted on one H100, 100 and 30, are unmeasured until somebody runs this on one.

Prints models x steps per second, the ratio, and how near a step comes to the larger of two floors
measured in the same run: its matmuls alone, batched in the same shapes, and writing and reading
what the gradient needs at the speed of a copy.  The last line is one JSON object.

    python benchmarks/fit_gpu.py [--quick] [--device cpu]

``--device cpu`` runs everything at sizes far too small to mean anything.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: one thread for everybody

import torch
from torch import Tensor

from looprate.approx.banks.bank import bank_forward
from looprate.approx.fit.fitted import Member, Recipe
from looprate.approx.fit.memory import CHUNK, ensemble_size, free_memory, kept_bytes
from looprate.approx.fit.sampling import TrainingPoints
from looprate.approx.fit.state import fresh_state
from looprate.approx.fit.training import TrainingRun
from looprate.approx.models.looped import LoopedTransformer, ModelConfig

ROUNDING = 1e-4  # relative, of a loss after a few float32 steps
RATE = 1e-3
CHECKED = 5  # steps whose losses are compared
COPIED = 2**28  # floats of the copy that measures bandwidth


@dataclass(frozen=True)
class Setting:
    """One line of the table."""

    name: str
    width: int
    tokens: int
    batch: int
    loops: int
    models: int
    wanted: float  # ratio asked for
    heads: int = 2
    block: ModelConfig | None = None  # in place of these

    @property
    def config(self) -> ModelConfig:
        sizes = {"width": self.width, "heads": self.heads, "hidden": 4 * self.width}
        return replace(self.block or ModelConfig(**sizes), gate=1 / self.loops)

    @property
    def products(self) -> list[tuple[int, int, int]]:
        """Sizes (rows, inner, columns) of one model's matmuls in one loop, forward and back."""
        D, H, K = self.width, self.config.hidden, self.tokens * self.batch
        weights = [(3 * D, D), (D, D), (H, D), (D, H)]
        forward = [(out, into, K) for out, into in weights]
        states = [(into, out, K) for out, into in weights]
        return forward + states + [(out, K, into) for out, into in weights]

    @property
    def flops(self) -> int:
        """Matmul operations of one model's step."""
        return self.loops * sum(2 * a * b * c for a, b, c in self.products)

    @property
    def traffic(self) -> int:
        """Bytes of one model's step at least: what the loops keep, written once and read once."""
        shape = {"tokens": self.tokens, "batch": self.batch, "loops": self.loops}
        return 2 * kept_bytes(self.config, **shape)


SETTINGS = (Setting("tiny", 16, 2, 32, 8, 1024, 100.0), Setting("small", 32, 4, 256, 16, 128, 30.0))


def target(x: Tensor) -> Tensor:
    """What is learned; cheap, so that training is what is timed."""
    return torch.sin(6 * x) * x.mean(-2, keepdim=True)


def eager_stepper(setting: Setting, device: torch.device, seed: int) -> Callable[[int], Tensor]:
    """Train one plain module on ready-made points; returns ``steps -> losses``."""
    model = LoopedTransformer(setting.config, seed=seed).to(device)
    optimiser = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.99))
    source = TrainingPoints(
        [target], [seed], tokens=setting.tokens, dim=1, batch=setting.batch, device=device
    )
    x, y = source.chunk(0, CHUNK)

    def run(steps: int) -> Tensor:
        losses = []
        for step in range(steps):
            loss = (model(x[0, step], setting.loops) - y[0, 0, step]).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.detach())
        return torch.stack(losses)

    return run


def bank_of_models(setting: Setting, device: torch.device, *, compiled: bool) -> TrainingRun:
    """A bank of the setting's models, one seed each, before its first step."""
    recipe = Recipe(steps=10**6, batch=setting.batch, warmup=0.0, clip=float("inf"))
    members = [Member(0, seed, RATE) for seed in range(setting.models)]
    return TrainingRun(
        [target],
        setting.config,
        members,
        fresh_state(setting.config, members, evaluations=recipe.evaluations),
        tokens=setting.tokens,
        loops=setting.loops,
        p=1.0,
        recipe=recipe,
        device=device,
        compiled=compiled,
    )


def bank_losses(setting: Setting, device: torch.device, *, compiled: bool) -> Tensor:
    """Return the losses before each of the first steps, shape (steps, M)."""
    bank, losses = bank_of_models(setting, device, compiled=compiled), []
    seeds = [member.seed for member in bank.members]
    source = TrainingPoints(
        [target], seeds, tokens=setting.tokens, dim=1, batch=setting.batch, device=device
    )
    x, y = source.chunk(0, CHECKED)
    for step in range(CHECKED):
        with torch.no_grad():
            out = bank_forward(
                bank.bank, setting.config, x[:, step], setting.loops, compiled=bank.compiled
            )
        losses.append((out - y[0, :, step]).abs().mean((1, 2, 3)))
        bank.train(1)
    return torch.stack(losses)


def check_same_arithmetic(setting: Setting, device: torch.device, *, compiled: bool) -> float:
    """Return the largest relative difference of the first losses; refuse another computation."""
    ours, worst = bank_losses(setting, device, compiled=compiled), 0.0
    for seed in (0, setting.models - 1):
        eager = eager_stepper(setting, device, seed)(CHECKED)
        worst = max(worst, float(((ours[:, seed] - eager) / eager).abs().max()))
    if not worst < ROUNDING:
        raise SystemExit(f"losses differ by {worst:.2g}: not the same arithmetic")
    return worst


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Return the time something takes on the device, by its own events on a GPU."""
    if device.type != "cuda":
        start = time.perf_counter()
        run()
        return time.perf_counter() - start
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize()
    first.record()
    run()
    last.record()
    torch.cuda.synchronize()
    return float(first.elapsed_time(last)) / 1e3


def best(run: Callable[[], object], device: torch.device, times: int = 12) -> float:
    """Return the shortest time of some runs, the first left out."""
    return min([seconds(run, device) for _ in range(times)][1:])


def matmul_seconds(setting: Setting, device: torch.device) -> float:
    """Return the time of a step's matmuls alone: every shape batched over the models."""
    total = 0.0
    for rows, inner, columns in setting.products:
        a = torch.randn(setting.models, rows, inner, device=device)
        b = torch.randn(setting.models, inner, columns, device=device)
        out = torch.empty(setting.models, rows, columns, device=device)
        total += best(functools.partial(torch.bmm, a, b, out=out), device)
    return setting.loops * total


def copy_rate(device: torch.device) -> float:
    """Return the bytes a second that a large copy reads and writes."""
    size = COPIED if device.type == "cuda" else COPIED // 256
    source = torch.ones(size, device=device)
    into = torch.empty_like(source)
    return 2 * 4 * size / best(lambda: into.copy_(source), device)


def measure(setting: Setting, device: torch.device, rounds: int, rate: float) -> dict[str, float]:
    """Time both in alternating rounds, eager before and after the bank, and compare by round."""
    found: dict[str, list[float]] = {"eager": [], "ours": [], "ratio": []}
    gpu = device.type == "cuda"
    worst = check_same_arithmetic(setting, device, compiled=gpu)
    eager = eager_stepper(setting, device, 0)
    bank = bank_of_models(setting, device, compiled=gpu)
    chunk = CHUNK if gpu else 2
    eager(3)
    bank.train(1)
    before = seconds(lambda: eager(chunk), device) / chunk
    for _ in range(rounds):
        one = seconds(lambda: bank.train(chunk), device) / chunk / setting.models
        after = seconds(lambda: eager(chunk), device) / chunk
        found["eager"].append(1 / after)
        found["ours"].append(1 / one)
        found["ratio"].append((before + after) / 2 / one)
        before = after
    result = {name: statistics.median(values) for name, values in found.items()}
    floors = {
        "matmul": matmul_seconds(setting, device) / setting.models,
        "bandwidth": setting.traffic / rate,
    }
    return result | floors | {"loss": worst}


def fitting(setting: Setting, device: torch.device) -> Setting:
    """Return a setting with as many models as the GPU holds; a tiny one on the CPU."""
    free = free_memory(device)
    if free is None:
        return replace(setting, tokens=2, batch=4, loops=2, models=3)
    shape = {"tokens": setting.tokens, "batch": setting.batch, "loops": setting.loops}
    size = ensemble_size(setting.config, **shape, free_bytes=free)
    return replace(setting, models=min(setting.models, size))


def print_line(setting: Setting, found: dict[str, float]) -> dict[str, float | str]:
    """Print one line of the table; return what the JSON object holds of it."""
    binds = max(("matmul", "bandwidth"), key=lambda name: found[name])
    share, operations = found[binds] * found["ours"], found["ours"] * setting.flops
    print(
        f"{setting.name:<8} {setting.models:>6} {found['eager']:>8.1f} {found['ours']:>10.1f} "
        f"{found['ratio']:>8.1f} {setting.wanted:>7.0f} {operations / 1e12:>7.2f} "
        f"{binds:>10} {share:>9.2f} {found['loss']:>16.1g}",
        flush=True,
    )
    return {
        setting.name: round(found["ratio"], 2),
        f"{setting.name}_models": setting.models,
        f"{setting.name}_per_second": round(found["ours"], 1),
        f"{setting.name}_binds": binds,
        f"{setting.name}_of_ceiling": round(share, 4),
    }


def main() -> int:
    """Print the table and the JSON line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 21")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu: a dry run")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print(
            "`--device` must name a device of this machine, got cuda but torch sees no GPU; take "
            "--device cpu for a dry run",
            file=sys.stderr,
        )
        return 2
    device = torch.device(options.device)
    torch.set_num_threads(1)
    gpu = device.type == "cuda"
    name = torch.cuda.get_device_name() if gpu else "CPU: a dry run, its numbers mean nothing"
    rate = copy_rate(device)
    print(f"torch {torch.__version__}, {name}, float32, copy {rate / 1e9:.0f} GB/s")
    print("medians of alternating rounds; of ceiling: the floor that binds over the time taken")
    print(
        "setting  models  eager/s     ours/s    ratio  wanted  TFLOP/s      binds  of ceiling  "
        "loss differs by"
    )
    result: dict[str, float | str] = {"device": name}
    for setting in (fitting(each, device) for each in SETTINGS):
        rounds = (5 if options.quick else 21) if gpu else 2
        result |= print_line(setting, measure(setting, device, rounds, rate))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
