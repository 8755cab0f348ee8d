"""What the workers of a study do: the theory of one target, the fits of one bank.

Both functions take plain values only, so that they travel to a spawned process, and return plain
rows.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from experiments import evaluate
from experiments.provenance import stamped, versions
from experiments.records import digest, write_npz
from theory.hypotheses import check_hypotheses
from theory.targets import Target, own_functions, resolve_target
from theory.targets.formula import FORMULA

__all__ = ["fit_rows", "source_digest", "theory_rows"]

Report = Callable[[float], None]


def source_digest(target: Target) -> str | None:
    """Return a digest of the files own functions were read from, None for a built-in target."""
    sources = []
    for own in own_functions(target):
        if own.source.startswith(FORMULA):
            continue  # its name is its source
        where = own.source.rpartition(":")[0]
        file = where if where.endswith(".py") else importlib.import_module(where).__file__
        sources.append(Path(file).read_bytes().hex() if file else "")
    return digest(sources) if sources else None


@stamped
def theory_rows(
    report: Report, *, target: str, tokens: int, dim: int, p: float, budget: float
) -> list[dict[str, Any]]:
    """Return one row: hypotheses, moduli, oscillation and trivial error of a target."""
    f = resolve_target(target)
    shape: dict[str, Any] = {"tokens": tokens, "dim": dim, "p": p}
    findings = check_hypotheses(f, **shape, budget=budget)
    report(0.25)
    curves = evaluate.lower_curves(
        f, evaluate.DELTAS, **shape, budget=budget, report=lambda part: report(0.25 + part / 2)
    )
    trivial, stderr = evaluate.trivial_error(f, **shape)
    return [
        {
            "target": target,
            "latex": f.latex,
            **shape,
            "hypotheses": [finding.as_dict() for finding in findings],
            "moduli": evaluate.moduli_rows(f, curves, **shape),
            "oscillation": evaluate.oscillation_of(f, tokens=tokens, dim=dim),
            "smoothness": asdict(f.smoothness),
            "trivial": trivial,
            "trivial_stderr": stderr,
        }
    ]


@stamped
def fit_rows(
    report: Report,
    *,
    targets: list[str],
    family: str,
    loops: int,
    tokens: int,
    dim: int,
    p: float,
    seeds: list[int],
    learning_rates: list[float],
    model: dict[str, Any],
    recipe: dict[str, Any],
    points: int,
    replicates: int,
    compiled: bool,
    device: str,
    key: str,
    folder: str,
) -> list[dict[str, Any]]:
    """Fit one bank and return one row per model, with its held-out error and training curve.

    The trained weights stay in ``folder/models/KEY.npz``; a checkpoint lies there meanwhile.
    """
    import torch

    from approx.fit import Recipe, fit
    from approx.looped import ModelConfig, parameter_count
    from approx.training import member_errors

    started = time.monotonic()
    config, plan = ModelConfig(**model), Recipe(**recipe)
    functions = [resolve_target(name) for name in targets]
    checkpoint = Path(folder) / "models" / f"{key}.checkpoint.npz"
    result = fit(
        functions,
        config,
        tokens=tokens,
        loops=loops,
        seeds=seeds,
        learning_rates=learning_rates,
        p=p,
        recipe=plan,
        compiled=compiled,
        device=device,
        checkpoint=checkpoint,
        progress=lambda step: report(0.95 * step / plan.steps),
    )
    estimates = member_errors(
        result,
        functions,
        tokens=tokens,
        loops=loops,
        p=p,
        points=points,
        replicates=replicates,
        batch=plan.batch,
        compiled=compiled,
        device=device,
    )
    late = result.late_gain()
    write_npz(
        Path(folder) / "models" / f"{key}.npz",
        {name: value.cpu().numpy() for name, value in result.bank.items()},
    )
    checkpoint.unlink(missing_ok=True)
    shared = {
        "family": family,
        "loops": loops,
        "tokens": tokens,
        "dim": dim,
        "p": p,
        "parameters": parameter_count(config),
        "config": {"model": model, "recipe": recipe, "points": points, "replicates": replicates},
        "curve_steps": result.steps.tolist(),
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "versions": versions(),
    }
    seconds = (time.monotonic() - started) / len(result.members)
    rows = []
    for index, (member, estimate) in enumerate(zip(result.members, estimates, strict=True)):
        diverged = int(result.diverged_at[index])
        rows.append(
            {
                "target": targets[member.target],
                "seed": member.seed,
                "learning_rate": member.learning_rate,
                **shared,
                "diverged_at": diverged if diverged >= 0 else None,
                "error": None if diverged >= 0 else estimate.value,
                "error_stderr": None if diverged >= 0 else estimate.stderr,
                "validation_error": None if diverged >= 0 else float(result.curve[-1, index]),
                "late_gain": float(late[index]),
                "curve": result.curve[:, index].tolist(),
                "seconds": round(seconds, 3),
            }
        )
    return rows
