"""What each command of ``looprate`` does, given its parsed options.

Commands compute with the theory package and draw through ``python -m figures`` in a process of its
own, which reads nothing but stored rows.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.drawing import draw_folder
from experiments.printing import in_words, print_json, print_table
from experiments.progress import Progress

if TYPE_CHECKING:
    from experiments.config import StudyConfig
    from theory.targets import Target

__all__ = [
    "bound",
    "claims",
    "construct",
    "eta",
    "explain",
    "figures",
    "learned",
    "moduli",
    "targets",
    "verify",
]


def targets(options: Namespace) -> int:
    """List the built-in targets."""
    from theory.targets import TARGETS, target_parameters

    found: list[dict[str, Any]] = [
        {
            "name": name,
            "summary": cls.summary,
            "parameters": [
                {"name": key, "default": default, "doc": doc}
                for key, default, doc in target_parameters(cls)
            ],
        }
        for name, cls in TARGETS.items()
    ]
    if options.json:
        return print_json(found)
    rows = []
    for entry in found:
        parameters = [
            q["name"] if q["default"] is None else f"{q['name']}={q['default']}"
            for q in entry["parameters"]
        ]
        rows.append([entry["name"], ", ".join(parameters), entry["summary"]])
    return print_table(["target", "parameters", "what it is"], rows)


def moduli(options: Namespace) -> int:
    """Print lower bounds and closed forms of the moduli of a target."""
    from experiments import evaluate
    from theory.hypotheses import check_hypotheses, failures
    from theory.notation import KINDS, check_kind

    if options.seed < 0:
        raise ValueError(f"`seed` must be an integer >= 0, got {options.seed}")
    f = _target(options.target)
    deltas = options.delta or evaluate.DELTAS
    kinds = [check_kind(kind) for kind in options.kind or KINDS]
    shape = _shape(options)
    with Progress(1.0, "moduli") as bar:
        curves = evaluate.lower_curves(
            f,
            deltas,
            **shape,
            budget=options.budget,
            seed=options.seed,
            kinds=kinds,
            report=bar.to,
        )
    rows = evaluate.moduli_rows(f, curves, **shape)
    for line in failures(check_hypotheses(f, **shape, budget=evaluate.HYPOTHESES_BUDGET)):
        print(f"looprate: {line}", file=sys.stderr)
    if options.json:
        return print_json(rows)
    print(f"{f}: {in_words(shape)}; smoothness: {f.smoothness.note}")
    table = [
        [
            row["kind"],
            f"{row['delta']:g}",
            f"{row['lower']:.6g}",
            "unknown" if row["upper"] is None else f"{row['upper']:.6g}",
            row["side"],
        ]
        for row in rows
    ]
    print_table(["modulus", "delta", "lower bound", "closed form", "side"], table)
    print("Lower bounds are guaranteed: a pair of inputs attains each. A closed form is exact or a")
    print("proven upper bound, as its side says.")
    return 0


def bound(options: Namespace) -> int:
    """Print a bound term by term."""
    from experiments import evaluate
    from theory.hypotheses import check_hypotheses
    from theory.notation import check_loops

    f, shape = _target(options.target), _shape(options)
    counts = options.loops or [10**k for k in range(1, 13) if 10**k > options.tokens]
    for loops in counts:
        check_loops(loops, tokens=options.tokens)
    trivial, stderr = evaluate.trivial_error(f, **shape)
    rows: list[dict[str, Any]] = []
    if f.closed_form(0.1, kind="sequence", **shape) is None:
        deltas = [10 ** (k / 2 - 4) for k in range(9)]
        with Progress(1.0, "moduli") as bar:
            curves = evaluate.lower_curves(f, deltas, **shape, report=bar.to)
        rows = evaluate.moduli_rows(f, curves, **shape)
    at = evaluate.bound_function(
        options.version,
        evaluate.moduli_of(f, rows, **shape),
        **shape,
        oscillation=evaluate.oscillation_of(f, tokens=options.tokens, dim=options.dim),
        trivial=trivial,
        trivial_stderr=stderr,
        placement=options.placement,
        slope=options.slope,
    )
    findings = check_hypotheses(f, **shape, budget=evaluate.HYPOTHESES_BUDGET)
    found = [evaluate.under_hypotheses(at(loops), findings) for loops in counts]
    if options.json:
        return print_json([row.as_dict() for row in found])
    print(f"{f}: {in_words(shape)}")
    print(f"{found[0].version}; best constant: {trivial:.4g} (standard error {stderr:.1g})")
    return _print_bound(found)


def construct(options: Namespace) -> int:
    """Compile the proof for a target and certify it."""
    from experiments.command_construct import run_construct

    return run_construct(options)


def verify(options: Namespace) -> int:
    """Run the main job, resume it if need be, and write its report and figures."""
    from experiments.figure_rows import slug

    config = _study_config(options)
    folder = options.out or Path("runs") / f"verify-{options.preset}"
    report = _run_study(config, folder, options.processes)
    code, _ = draw_folder(folder, options.style, ["png", "pdf"])
    if code:
        return code
    if options.json:
        return print_json(report)
    for part in report["parts"]:
        print(f"\n{part['target']}: {in_words(part)}")
        rows = [[f["verdict"], f["claim"], f["reason"]] for f in part["findings"]]
        print_table(["verdict", "claim", "why"], rows)
    print(f"report:  {folder / 'report.md'}")
    for part in report["parts"]:
        name = slug(part["target"], part["tokens"], part["dim"])
        print(f"figure:  {folder / 'figures' / f'error-against-loops__{name}.png'}")
    return 0


def eta(options: Namespace) -> int:
    """Ask when eta(t) helps: run the sweep, resume it if need be, and write its report."""
    from experiments.command_eta import run_eta_command

    return run_eta_command(options)


def learned(options: Namespace) -> int:
    """Set the moduli of trained networks beside those of their targets."""
    from experiments.command_learned import run_command_learned

    return run_command_learned(options)


def claims(options: Namespace) -> int:
    """Run the ledger of claims."""
    from experiments.command_claims import run_claims

    return run_claims(options)


def explain(options: Namespace) -> int:
    """Explain one claim of the ledger."""
    from experiments.command_claims import run_explain

    return run_explain(options)


def figures(options: Namespace) -> int:
    """Redraw a folder's figures from its rows."""
    code, text = draw_folder(options.directory, options.style, options.format)
    if code:
        return code
    if options.json:
        drawn = sorted((options.directory / "figures").glob("*__*.*"))
        kinds = {f".{kind}" for kind in options.format}
        return print_json([str(path) for path in drawn if path.suffix in kinds])
    print(text, end="")
    return 0


# -- the main job ----------------------------------------------------------------------------------
def _study_config(options: Namespace) -> StudyConfig:
    """Return the preset with the given options in place."""
    from experiments.config import PRESETS

    config = PRESETS[options.preset]
    changes: dict[str, Any] = {}
    if options.target:
        changes["targets"] = tuple(str(_target(text)) for text in options.target)
    tokens, dim = options.tokens, options.dim
    if tokens is not None or dim is not None:
        n, d = config.shapes[0]
        changes["shapes"] = ((n if tokens is None else tokens, d if dim is None else dim),)
    lists = {
        "loops": options.loops,
        "families": options.families,
        "learning_rates": options.rates,
    }
    changes |= {name: tuple(values) for name, values in lists.items() if values}
    changes |= {
        name: getattr(options, name)
        for name in ("p", "seeds", "device")
        if getattr(options, name) is not None
    }
    if options.steps is not None:
        evaluations = max(1, min(config.recipe.evaluations, options.steps))
        changes["recipe"] = replace(config.recipe, steps=options.steps, evaluations=evaluations)
    config = replace(config, **changes)
    most = max(n for n, _ in config.shapes)
    if max(config.loops) <= most:
        raise ValueError(
            f"`loops` must include one above tokens={most} for Theorem 3.6 to apply, got "
            f"{sorted(config.loops)}; add loops >= {most + 1}"
        )
    return config


def _run_study(config: StudyConfig, folder: Path, processes: int | None) -> dict[str, Any]:
    """Run what is missing of a study and write its report."""
    import numpy as np

    from experiments.config import default_processes
    from experiments.engine import Task
    from experiments.records import exclusive, write_atomically
    from experiments.report import write_report
    from experiments.study import Study, run_study

    if processes is not None and processes < 1:
        raise ValueError(f"`processes` must be an integer >= 1, got {processes}")
    if config.device == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise ValueError("`device` is cuda but torch sees no GPU; take --device cpu")
        processes = 1
    for f in map(_target, config.targets):  # a broken own function fails before any work
        for tokens, dim in config.shapes:
            f(np.random.default_rng(0).random((4, tokens, dim)))
    with exclusive(folder):
        study = Study(config, folder)
        write_atomically(folder / "config.json", json.dumps(config.as_dict(), indent=1) + "\n")
        missing = study.missing()
        planned = len(study.tasks())
        if len(missing) < planned:
            done = planned - len(missing)
            print(f"resuming {folder}: {done} of {planned} tasks are done", file=sys.stderr)
        parts: dict[str, float] = {}
        with Progress(sum(task.cost for task in missing), "verify") as bar:

            def report(task: Task, part: float) -> None:
                parts[task.key] = part * task.cost
                bar.to(sum(parts.values()), task.label)

            run_study(study, processes=processes or default_processes(), report=report)
        return write_report(study)


# -- printing --------------------------------------------------------------------------------------
def _target(text: str) -> Target:
    """Return the target a text names."""
    from theory.targets import resolve_target

    return resolve_target(text)


def _shape(options: Namespace) -> dict[str, Any]:
    """Return N, d and p as keyword arguments, checked."""
    from theory.notation import check_dim, check_p, check_tokens

    return {
        "tokens": check_tokens(options.tokens),
        "dim": check_dim(options.dim),
        "p": check_p(options.p),
    }


def _print_bound(rows: list[Any]) -> int:
    """Print the bound's table and what it means."""
    from theory.bounds import TERM_NAMES

    names = [name for name in TERM_NAMES if any(row.terms[name] > 0 for row in rows)]
    table = [
        [
            f"{row.loops}",
            f"{row.delta:.4g}",
            *(f"{row.terms[name]:.4g}" for name in names),
            f"{row.total:.4g}",
            str(row.verdict),
        ]
        for row in rows
    ]
    print_table(["loops", "delta", *names, "total", "verdict"], table)
    print(f"r = {rows[-1].loops}: {rows[-1].reason}")
    if rows[-1].up_to_constant:
        terms = " and ".join(rows[-1].up_to_constant)
        print(f"The paper leaves the constants of {terms} open: ours are used, see --help")
    return 0
