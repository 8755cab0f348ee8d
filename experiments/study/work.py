"""What the workers of a study do: the theory of one target, the fits of one bank.

Both functions take plain values only, so that they travel to a spawned process, and return plain
rows.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from looprate.experiments.engine.sweep import checkpoint_of
from looprate.experiments.rows.provenance import stamped, versions
from looprate.experiments.study.known import known_facts
from looprate.experiments.study.source import source_digest
from looprate.theory.gate import SECONDS
from looprate.theory.stored_arrays import write_arrays
from looprate.theory.targets import Target, resolve_target
from looprate.theory.targets.formula import FORMULA

if TYPE_CHECKING:
    from looprate.approx.fit.fitted import FitResult

__all__ = ["located", "planned_target", "trained"]

Report = Callable[[float], None]
OWN_TERM = re.compile(r"[^\s*+]+:[^\W\d]\w*(?=\s*(\+|$))")  # of a sum: FILE.py:NAME, MODULE:NAME


class FittedRow(TypedDict):
    """One trained network of a study; stored rows have those of their origin besides."""

    target: str
    seed: int
    learning_rate: float
    family: str
    loops: int
    tokens: int
    dim: int
    p: float
    parameters: int
    config: dict[str, Any]  # model, recipe, points, replicates
    curve_steps: list[int]
    device: str
    versions: dict[str, str]
    diverged_at: int | None  # step; None: it did not
    error: float | None  # held-out L^p error; None: diverged
    error_stderr: float | None
    validation_error: float | None
    late_gain: float  # of the validation error, over the last quarter of training
    curve: list[float]
    seconds: float


def planned_target(
    name: str, source: str | None, *, tokens: int, dim: int, directory: str | None = None
) -> Target:
    """Return a target that is still the one its task was planned for.

    Parameters
    ----------
    name : str
    source : str or None
        What :func:`source_digest` gave then.
    tokens, dim : int
    directory : str, optional
        Where files that the name speaks of were found, see :func:`located`.

    Raises
    ------
    ValueError
        If its function has changed since: rows would be kept under the old one's key.
    """
    target = resolve_target(located(name, directory))
    if source_digest(target, tokens=tokens, dim=dim) != source:
        raise ValueError(
            f"`target` {name} must stay what it was when the run began, it has changed since; run "
            "the same command again"
        )
    return target


def located(name: str, directory: str | None) -> str:
    """Return a target's name with own functions' files where they were found, from any folder.

    Parameters
    ----------
    name : str
        As the user gave it, with files relative to ``directory``.
    directory : str or None
        Working directory of the run whose row names the target; None leaves the name.
    """
    if directory is None or name.startswith(FORMULA):
        return name
    whole = _placed(name, directory)
    return (
        OWN_TERM.sub(lambda found: _placed(found[0], directory), name) if whole == name else whole
    )


def _placed(term: str, directory: str) -> str:
    """Return ``file.py:name`` or ``module:name`` with its file in a directory, if it is there."""
    where, _, function = term.rpartition(":")
    file = where if where.endswith(".py") else f"{where.replace('.', '/')}.py"
    path = Path(directory) / file
    return f"{path}:{function}" if where and path.is_file() else term


@stamped
def theory_rows(
    report: Report,
    *,
    target: str,
    tokens: int,
    dim: int,
    p: float,
    source: str | None = None,
    seconds: float = SECONDS,
) -> list[dict[str, Any]]:
    """Return one row: hypotheses, moduli, oscillation and trivial error of a target.

    ``source`` is what :func:`source_digest` gave when the task was planned; ``seconds`` are of
    certified moduli.
    """
    f = planned_target(target, source, tokens=tokens, dim=dim)
    shape: dict[str, Any] = {"tokens": tokens, "dim": dim, "p": p}
    facts = known_facts(f, **shape, searched=True, seconds=seconds, report=report)
    return [facts.as_row() | {"target": target}]


@stamped
def fit_rows(
    report: Report,
    *,
    targets: list[str],
    tokens: int,
    dim: int,
    sources: list[str | None],
    key: str,
    folder: str,
    **how: Any,
) -> list[dict[str, Any]]:
    """Fit one bank and return one row per model, with its held-out error and training curve.

    The trained weights stay in ``folder/models/KEY.npz``; the checkpoint stays until the rows
    are stored.  The other arguments are those of :func:`trained`.
    """
    functions = [
        planned_target(name, source, tokens=tokens, dim=dim)
        for name, source in zip(targets, sources, strict=True)
    ]
    how |= {"tokens": tokens, "dim": dim, "report": report}
    checkpoint = checkpoint_of(Path(folder), key)
    result, rows = trained(functions, targets, checkpoint=checkpoint, **how)
    write_arrays(
        Path(folder) / "models" / f"{key}.npz",
        {name: value.cpu().numpy() for name, value in result.bank.items()},
    )
    place = {"directory": str(Path.cwd())} if any(sources) else {}
    return [{**place, **row} for row in rows]


def trained(
    functions: Sequence[Target],
    names: Sequence[str],
    *,
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
    report: Report | None = None,
    checkpoint: Path | None = None,
) -> tuple[FitResult, list[FittedRow]]:
    """Fit one bank; return it with a row per model: held-out error, training curve, setting.

    Parameters
    ----------
    functions, names
        The targets, and what rows call them.
    family, loops, ..., device
        See :func:`looprate.experiments.study.config.fit_arguments`.
    report : callable, optional
        Called with the finished fraction.
    checkpoint : Path, optional
        See :func:`looprate.approx.fit.fitting.fit`.
    """
    import torch

    from looprate.approx.fit.fitted import Recipe, member_errors
    from looprate.approx.fit.fitting import fit
    from looprate.approx.models.looped import ModelConfig, parameter_count

    started = time.monotonic()
    config, plan = ModelConfig(**model), Recipe(**recipe)
    place: dict[str, Any] = {"tokens": tokens, "loops": loops, "p": p}
    how: dict[str, Any] = {"compiled": compiled, "device": device}
    result = fit(
        functions,
        config,
        **place,
        **how,
        seeds=seeds,
        learning_rates=learning_rates,
        recipe=plan,
        checkpoint=checkpoint,
        progress=None if report is None else lambda step: report(0.95 * step / plan.steps),
    )
    sizes: dict[str, Any] = {"points": points, "replicates": replicates}
    estimates = member_errors(result, functions, **place, **how, **sizes, batch=plan.batch)
    late = result.late_gain()
    seconds = (time.monotonic() - started) / len(result.members)
    rows = []
    for index, (member, estimate) in enumerate(zip(result.members, estimates, strict=True)):
        diverged = int(result.diverged_at[index])
        whole = diverged < 0
        rows.append(
            FittedRow(
                target=names[member.target],
                seed=member.seed,
                learning_rate=member.learning_rate,
                family=family,
                loops=loops,
                tokens=tokens,
                dim=dim,
                p=p,
                parameters=parameter_count(config),
                config={"model": model, "recipe": recipe, **sizes},
                curve_steps=result.steps.tolist(),
                device=torch.cuda.get_device_name() if device == "cuda" else "cpu",
                versions=versions(),
                diverged_at=None if whole else diverged,
                error=estimate.value if whole else None,
                error_stderr=estimate.stderr if whole else None,
                validation_error=float(result.curve[-1, index]) if whole else None,
                late_gain=float(late[index]),
                curve=result.curve[:, index].tolist(),
                seconds=round(seconds, 3),
            )
        )
    return result, rows
