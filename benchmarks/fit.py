"""Training throughput: this project's banks against eager PyTorch, one model at a time.

Banks run through the CPU kernel (fused) and through torch's compiler (torch), which is what they do
where the kernel cannot be built.  All train the same models from the same weights on the same
points with the same loss and Adam, on one thread, in one process, in alternating rounds; the losses
must agree to float32 rounding.  Eager PyTorch gets its points and target values ready made; a bank
makes its own, one seed a model, within the time measured.  Times are the processor's, of this one
thread, so that what neighbours take is not counted.  Settings:

tiny     TMLT, D 16, 2 heads, hidden 64, N 2, batch 32, r 8, many models
small    TMLT, D 32, 2 heads, hidden 128, N 4, batch 256, r 8
lt1 ...  the study's: D 8, one head, N 2, batch 32, 48 starts; LT (hidden 25) and TMLT (hidden 16)
         with r 1, 4, 16

Prints models x steps per second, the ratio to eager, and the kernel's rate of useful operations
(products with weights alone) as a fraction of the best matmul measured in the same run, over square
sizes from 256 to 512.  Then what a step's time goes to: its products if they ran at that ceiling,
the rest of the kernel's forward and backward pass, points and target values, and all else (eta,
clipping, Adam, Python).  The last line is one JSON object: {"tiny": ratio, ...}.

    python benchmarks/fit.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: one thread for everybody

import torch
from fit_gpu import Setting, bank_of_models, check_same_arithmetic, eager_stepper

import looprate.approx.banks.adam
import looprate.approx.banks.bank
from looprate.approx.banks.bank import bank_eta
from looprate.approx.banks.fused import kernel
from looprate.approx.fit.memory import CHUNK
from looprate.approx.models.looped import ModelConfig, matched_config

CPU = torch.device("cpu")
STUDY = ModelConfig(width=8, heads=1, hidden=16, frequencies=4, clock=4)
BLOCKS = {"lt": matched_config(STUDY, "lt"), "tmlt": STUDY}
SETTINGS = (
    Setting("tiny", 16, 2, 32, 8, 48, 60.0),
    Setting("small", 32, 4, 256, 8, 2, 4.5),
    *(
        Setting(f"{family}{r}", 8, 2, 32, r, 48, 0.0, block=block)
        for family, block in BLOCKS.items()
        for r in (1, 4, 16)
    ),
)
PARTS = ("products", "kernel", "points", "else")
Call = Callable[[], Any]


def seconds(run: Call, times: int = 1) -> float:
    """Return the processor's time of a call, on average."""
    start = time.process_time()
    for _ in range(times):
        run()
    return (time.process_time() - start) / times


def without_kernel(call: Call) -> Any:
    """Call as where the kernel cannot be built."""
    with (
        patch.object(looprate.approx.banks.bank, "covers", lambda *_: False),
        patch.object(looprate.approx.banks.adam, "library", lambda: None),
    ):
        return call()


def torch_stepper(setting: Setting) -> Callable[[int], Any]:
    """Train a bank as where the kernel is missing, checked first."""
    without_kernel(lambda: check_same_arithmetic(setting, CPU, compiled=True))
    run = without_kernel(lambda: bank_of_models(setting, CPU, compiled=True))
    return lambda steps: without_kernel(lambda: run.train(steps))


def matmul_rate() -> float:
    """Best float32 matmul rate of one thread just now, in operations a second."""
    best = 0.0
    for size in (256, 384, 512):
        a, out = torch.randn(size, size), torch.empty(size, size)
        took = min(seconds(lambda a=a, out=out: torch.mm(a, a, out=out)) for _ in range(6))
        best = max(best, 2 * size**3 / took)
    return best


def pass_stepper(setting: Setting) -> Call:
    """Return the kernel's forward and backward pass alone, of all models."""
    run = bank_of_models(setting, CPU, compiled=True)
    bank = {name: value.detach() for name, value in run.bank.items()}
    x = torch.rand(setting.models, setting.batch, setting.tokens, 1)
    inputs = [bank_eta(bank, setting.config, setting.loops), *map(bank.get, kernel.PARAMETERS)]
    grads = [None if t is None else torch.empty(t.shape) for t in inputs]
    shape = setting.models, setting.batch, setting.tokens, setting.loops
    sizes, ends = kernel.sizes_of(setting.config, *shape), [x, x, None, torch.empty(len(x))]
    return lambda: kernel._run(sizes, 1.0, ends, inputs, grads)


def measure(setting: Setting, rounds: int, steps: int, *, compiler: bool) -> dict[str, float]:
    """Time all in alternating rounds, eager before and after the banks, and compare by round."""
    worst = check_same_arithmetic(setting, CPU, compiled=True)
    eager, once = eager_stepper(setting, CPU, 0), pass_stepper(setting)
    bank = bank_of_models(setting, CPU, compiled=True)
    runs: dict[str, Callable[[int], Any]] = {"fused": bank.train}
    if compiler:
        runs["torch"] = torch_stepper(setting)
    eager(3), [run(3) for run in runs.values()]
    found: dict[str, list[float]] = {}

    def note(**values: float) -> None:
        for name, value in values.items():
            found.setdefault(name, []).append(value)

    before = seconds(lambda: eager(steps)) / steps
    for _ in range(rounds):
        one = {n: seconds(lambda r=r: r(steps)) / steps / setting.models for n, r in runs.items()}
        after = seconds(lambda: eager(steps)) / steps
        note(eager=1 / after, ceiling=matmul_rate())
        for name, each in one.items():
            note(**{name: 1 / each, f"{name} ratio": (before + after) / 2 / each})
        note(once=seconds(once, steps), points=seconds(lambda: bank._fill(CHUNK)) / CHUNK)
        before = after
    return summary(setting, found) | {"loss": worst}


def summary(setting: Setting, found: dict[str, list[float]]) -> dict[str, float]:
    """Return medians, the largest ceiling, and the shares of a step."""
    result = {name: statistics.median(values) for name, values in found.items()}
    ceiling, step = max(found["ceiling"]), setting.models / result["fused"]
    products = setting.models * setting.flops / ceiling
    parts = (products, result["once"] - products, result["points"])
    shares = [part / step for part in parts]
    result |= dict(zip(PARTS, [*shares, 1 - sum(shares)], strict=True))
    return result | {"ceiling": ceiling}


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    wide = any("avx512f" in line for line in lines if line.startswith("flags"))
    return f"{names[0] if names else 'unnamed'}{', AVX-512' if wide else ''}"


def print_line(setting: Setting, found: dict[str, float]) -> dict[str, float]:
    """Print one line of the table; return what the JSON object holds of it."""
    rate, name = found["fused"] * setting.flops, setting.name
    torch_ratio = f"{found['torch ratio']:.2f}" if "torch ratio" in found else "-"
    shares = " ".join(f"{found[part]:>8.2f}" for part in PARTS)
    print(
        f"{name:<7} {setting.models:>6} {found['eager']:>8.1f} {torch_ratio:>6} "
        f"{found['fused']:>9.0f} {found['fused ratio']:>6.2f} {rate / 1e9:>6.1f} {shares} "
        f"{found['loss']:>9.1g}",
        flush=True,
    )
    told = {
        name: round(found["fused ratio"], 3),
        f"{name}_per_second": round(found["fused"], 1),
        f"{name}_of_ceiling": round(found["products"], 4),
    }
    return told | ({f"{name}_torch": round(found["torch ratio"], 3)} if "torch" in found else {})


def main() -> None:
    """Print the table and the JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="11 rounds instead of 41")
    rounds = 11 if parser.parse_args().quick else 41
    torch.set_num_threads(1)
    if not kernel.covers(SETTINGS[0].config, torch.empty(0)):
        raise SystemExit("the CPU kernel is not available: install g++ or set CXX")
    print(f"torch {torch.__version__}, {processor()}, 1 thread, medians of alternating rounds")
    print(
        "setting models  eager/s  torch   fused/s  ratio   GF/s products   kernel   points     else"
        "  losses by"
    )
    result: dict[str, float] = {}
    for setting in SETTINGS:
        paper = setting.block is None
        steps = 5 if setting.name == "small" else 12
        found = measure(setting, rounds, steps, compiler=paper)
        result |= print_line(setting, found)
    print("products: useful operations at the ceiling, as a share of the step; the other three are")
    print("the rest of the kernel's pass, points and target values, and eta, clipping and Adam")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
