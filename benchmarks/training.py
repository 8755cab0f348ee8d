"""Training steps of sequence models: this project's against a plain eager implementation.

Both take the same Adam steps from the same weights on the same token ids; their losses must agree
to float32 rounding.  The plain one is written the obvious way: separate query, key and value
projections, attention as an explicit softmax, the timestep network run anew in every loop.

steps   seconds of a step, plain over ours, for LT and TMLT at several loop counts, with rounds of
        both in turn
memory  peak resident memory and seconds of a step at r = 100, D 256, T 64, batch 32: keeping
        everything, and with checkpoint=True, each in fresh processes.  Memory is measured where the
        C library hands freed blocks back at once (MALLOC_MMAP_THRESHOLD_), so that it is what the
        step holds; seconds in another process, without that.  Linux only.

One thread (OMP_NUM_THREADS=1).  The last line is one JSON object of ratios.

    python benchmarks/training.py [--quick] [--compiled]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: one thread for everybody

import torch
import torch.nn.functional as F
from torch import Tensor

from looprate.approx.models.sequence import SequenceConfig, SequenceModel

ROUNDING = 1e-4  # relative, of a loss after a few float32 steps
VOCABULARY = 32
RATE = 1e-4
Stepper = Callable[[], float]


def config_of(family: str, loops: int, *, width: int, length: int) -> SequenceConfig:
    """One model; gates of 1/loops keep deep loops tame."""
    return SequenceConfig(
        vocabulary=VOCABULARY,
        length=length,
        width=width,
        heads=4,
        hidden=4 * width,
        loops=loops,
        family=family,  # type: ignore[arg-type]
        gate=1 / loops,
    )


def batch_of(batch: int, length: int) -> tuple[Tensor, Tensor]:
    """Token ids and what comes next."""
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(VOCABULARY, (batch, length + 1), generator=generator)
    return ids[:, :-1].contiguous(), ids[:, 1:].contiguous()


def plain_logits(w: dict[str, Tensor], c: SequenceConfig, ids: Tensor) -> Tensor:
    """The model of :mod:`looprate.approx.models.sequence`, written the obvious way."""
    B, T = ids.shape
    x = F.embedding(ids, w["embed"]) + w["position"][:T]
    rate = torch.exp(-math.log(10_000.0) * torch.arange(c.frequencies // 2) / (c.frequencies // 2))
    for t in range(c.loops):
        eta = w["eta_row"][0]
        if c.family == "tmlt":
            wave = torch.cat([torch.cos(t * rate), torch.sin(t * rate)])
            hidden = F.silu(w["clock_in"] @ wave + w["clock_bias"])
            eta = eta + (w["clock_out"] @ hidden).view(4, c.width)
        y = plain_norm(x) * eta[0]
        split = (B, T, c.heads, c.width // c.heads)
        q, k, v = (F.linear(y, m).view(split).transpose(1, 2) for m in w["qkv"][0].chunk(3))
        scores = q @ k.transpose(-2, -1) / math.sqrt(c.width // c.heads)
        scores = scores.masked_fill(torch.ones(T, T, dtype=torch.bool).triu(1), -math.inf)
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, c.width)
        x = x + c.gate * eta[1] * F.linear(mixed, w["out"][0])
        hidden = F.gelu(F.linear(plain_norm(x) * eta[2], w["up"][0], w["up_bias"][0]))
        x = x + c.gate * eta[3] * F.linear(hidden, w["down"][0], w["down_bias"][0])
    return F.linear(plain_norm(x) * w["final"], w["read"], w["read_bias"])


def plain_norm(x: Tensor) -> Tensor:
    """Root-mean-square norm."""
    return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean over positions."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def plain_stepper(config: SequenceConfig, ids: Tensor, targets: Tensor) -> Stepper:
    """A step of the plain implementation, from the weights of our model of seed 0."""
    model = SequenceModel(config, seed=0)
    weights = dict(model.named_parameters())
    return stepper(
        list(weights.values()), lambda: cross_entropy(plain_logits(weights, config, ids), targets)
    )


def our_stepper(config: SequenceConfig, ids: Tensor, targets: Tensor, **options: bool) -> Stepper:
    """A step of ours."""
    model = SequenceModel(config, seed=0, **options)
    return stepper(
        list(model.parameters()),
        lambda: model.loss(ids, lambda logits: cross_entropy(logits, targets)),
    )


def stepper(parameters: list[Tensor], loss_of: Callable[[], Tensor]) -> Stepper:
    """Return a function that takes one Adam step and returns the loss before it."""
    optimiser = torch.optim.Adam(parameters, lr=RATE)

    def step() -> float:
        loss = loss_of()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    return step


def seconds(step: Stepper) -> float:
    """Processor time of one step."""
    start = time.process_time()
    step()
    return time.process_time() - start


def check_same_losses(plain: Stepper, ours: Stepper, steps: int = 3) -> float:
    """Return the largest relative difference of the first losses; refuse another computation."""
    losses = [(plain(), ours()) for _ in range(steps)]
    worst = max(abs(a - b) / abs(a) for a, b in losses)
    if not worst < ROUNDING:
        raise SystemExit(f"losses differ by {worst:.2g}: not the same arithmetic")
    return worst


def compare(family: str, loops: int, rounds: int, compiled: bool) -> dict[str, float]:
    """Time both in alternating rounds, plain before and after ours, and compare by round."""
    config = config_of(family, loops, width=128, length=64)
    data = batch_of(16, 64)
    plain, ours = plain_stepper(config, *data), our_stepper(config, *data, compiled=compiled)
    worst = check_same_losses(plain, ours)
    before, found = seconds(plain), []
    for _ in range(rounds):
        own, after = seconds(ours), seconds(plain)
        found.append((own, after, (before + after) / 2 / own))
        before = after
    own, other, ratio = (statistics.median(column) for column in zip(*found, strict=True))
    return {"ours": own, "plain": other, "ratio": ratio, "loss": worst}


def large_step(checkpoint: bool, compiled: bool, steps: int) -> dict[str, float]:
    """MiB of the process at its peak and of the step alone; seconds of later steps; the loss."""
    config = config_of("tmlt", 100, width=256, length=64)
    step = our_stepper(config, *batch_of(32, 64), checkpoint=checkpoint, compiled=compiled)
    before = resident("VmRSS")
    loss = step()
    peak = resident("VmHWM")
    times = [seconds(step) for _ in range(steps)]
    return {
        "process": peak,
        "step": peak - before,
        "seconds": statistics.median(times) if times else math.nan,
        "loss": loss,
    }


def resident(name: str) -> float:
    """Resident memory of this process in MiB: VmRSS now, VmHWM at its peak (a child's own)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"{name}:"))
    return int(line.split()[1]) / 2**10


def in_child(checkpoint: bool, compiled: bool, steps: int) -> dict[str, float]:
    """Run :func:`large_step` in a fresh process; without steps to time, to measure memory."""
    command = [sys.executable, __file__, "--large", json.dumps([checkpoint, compiled, steps])]
    lean = {} if steps else {"MALLOC_MMAP_THRESHOLD_": str(2**18)}
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **lean}
    ).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def print_steps(quick: bool, compiled: bool) -> dict[str, float]:
    """Print the first table; return its ratios."""
    print("D 128, 4 heads, T 64, batch 16, causal; medians of alternating rounds")
    print("family  loops  plain ms   ours ms   ratio  loss differs by")
    result = {}
    for family in ("lt", "tmlt"):
        for loops in (4, 16, 50) if quick else (4, 16, 50, 100):
            rounds = max(7, (80 if quick else 240) // loops)
            found = compare(family, loops, rounds, compiled)
            print(
                f"{family:<6} {loops:>6} {1e3 * found['plain']:>9.1f} {1e3 * found['ours']:>9.1f} "
                f"{found['ratio']:>7.2f} {found['loss']:>16.1g}",
                flush=True,
            )
            result[f"{family}_{loops}"] = round(found["ratio"], 3)
    return result


def print_memory(quick: bool, compiled: bool) -> dict[str, float]:
    """Print the second table; return its ratios."""
    print("r 100, D 256, 4 heads, T 64, batch 32, causal, TMLT; each in fresh processes")
    print("kept        step MiB   process MiB   s/step        loss")
    rows = []
    for checkpoint in (False, True):
        memory = in_child(checkpoint, compiled, 0)
        row = memory | {"seconds": in_child(checkpoint, compiled, 1 if quick else 3)["seconds"]}
        name = "segments" if checkpoint else "everything"
        print(
            f"{name:<10} {row['step']:>9.0f} {row['process']:>13.0f} {row['seconds']:>8.2f} "
            f"{row['loss']:>11.6f}",
            flush=True,
        )
        rows.append(row)
    if abs(rows[0]["loss"] / rows[1]["loss"] - 1) > ROUNDING:
        raise SystemExit("losses with and without segments differ: not the same arithmetic")
    ratio = {name: rows[0][name] / rows[1][name] for name in ("step", "process", "seconds")}
    return {
        "memory": round(ratio["step"], 2),
        "memory_of_process": round(ratio["process"], 2),
        "time_for_memory": round(1 / ratio["seconds"], 3),
    }


def main() -> None:
    """Print the tables and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="no r = 100, fewer rounds")
    parser.add_argument("--compiled", action="store_true", help="ours with a compiled loop body")
    parser.add_argument("--large", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.large:
        print(json.dumps(large_step(*json.loads(arguments.large))))
        return
    body = "compiled" if arguments.compiled else "eager"
    print(f"torch {torch.__version__}, 1 thread (OMP_NUM_THREADS=1), loop body {body}")
    result = print_steps(arguments.quick, arguments.compiled)
    result |= print_memory(arguments.quick, arguments.compiled)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
