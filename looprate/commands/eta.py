"""``looprate eta``: when does eta(t) help?  Trains, constructs, compares, draws."""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

from looprate.experiments.engine.progress import Progress
from looprate.experiments.engine.task import Engine, Task
from looprate.experiments.eta.config import PRESETS, EtaConfig
from looprate.experiments.rows.question import folder_for
from looprate.experiments.study.drawing import draw_folder
from looprate.options import chosen_engine
from looprate.printing import print_json, print_table


def run_eta_command(options: Namespace) -> int:
    """Run or resume the sweep, write its report and figure, and print the verdicts."""
    config = _config(options)
    folder = folder_for(options.out, Path("runs") / f"eta-{options.preset}", config.as_dict())
    report = _run(config, folder, *chosen_engine(options, config.device))
    code, _ = draw_folder(folder, options.style, ["png", "pdf"])
    if code:
        return code
    if options.json:
        return print_json(report)
    _print("hypotheses", report["hypotheses"])
    for part in report["parts"]:
        _print(part["part"], part["findings"])
    print(f"report:  {folder / 'eta.md'}")
    print(f"figure:  {folder / 'figures' / 'eta-gain__sweep.png'}")
    return 0


def _config(options: Namespace) -> EtaConfig:
    """Return the preset with the given options in place."""
    changes: dict[str, Any] = {
        name: getattr(options, name)
        for name in ("seeds", "device")
        if getattr(options, name) is not None
    }
    if options.loops:
        changes["loops"] = tuple(options.loops)
    return replace(PRESETS[options.preset], **changes)


def _run(config: EtaConfig, folder: Path, engine: Engine, processes: int) -> dict[str, Any]:
    """Run what is missing of a sweep and write its report."""
    from looprate.experiments.eta.report import write_eta_report
    from looprate.experiments.eta.sweep import EtaStudy
    from looprate.experiments.rows.question import ask
    from looprate.experiments.rows.records import exclusive
    from looprate.experiments.study.run import run_study

    with exclusive(folder):
        study = EtaStudy(config, folder)
        ask(folder, config.as_dict())
        missing, planned = study.missing(), len(study.tasks())
        if len(missing) < planned:
            done = planned - len(missing)
            print(f"resuming {folder}: {done} of {planned} tasks are done", file=sys.stderr)
        parts: dict[str, float] = {}
        with Progress(sum(task.cost for task in missing), "eta") as bar:

            def report(task: Task, part: float) -> None:
                parts[task.key] = part * task.cost
                bar.to(sum(parts.values()), task.label)

            run_study(study, processes=processes, report=report, engine=engine)
        return write_eta_report(study)


def _print(name: str, findings: list[dict[str, Any]]) -> None:
    """Print findings as a table under a name."""
    print(f"\n{name}")
    rows = [[f["verdict"], f["claim"], f["reason"]] for f in findings]
    print_table(["verdict", "claim", "why"], rows)
