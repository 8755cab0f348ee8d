"""``looprate eta``: when does eta(t) help?  Trains, constructs, compares, draws."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looprate.experiments.rows.question import folder_for
from looprate.experiments.study.drawing import draw_folder
from looprate.options import add_engine, add_option, add_options, asked_device, chosen_engine
from looprate.parser import Commands, add_command
from looprate.printing import print_json, print_table

if TYPE_CHECKING:
    from looprate.experiments.engine.task import Engine
    from looprate.experiments.eta.config import EtaConfig

__all__ = ["add_eta"]


def add_eta(commands: Commands) -> None:
    """Add the sweep that asks when eta(t) helps."""
    eta = add_command(
        commands,
        "eta",
        "When does eta(t) help? The gain of TMLT over LT against w_tok + w_cont.\n\n"
        "Sweeps dials of one sequence modulus, whose token share runs from -1/4 to 1, at several\n"
        "levels of roughness. The gain is the error of LT over that of TMLT, for constructed\n"
        "networks (certified errors, at equal grids and at equal loops) and for trained ones\n"
        "(matched parameters, paired seeds). Verdicts: does eta(t) help, and does its gain grow\n"
        "with w_tok + w_cont at fixed roughness? Trained networks never speak for or against a\n"
        "bound. Killed at any moment and run again it resumes and ends with the same numbers.\n\n"
        "JSON: {config, versions, hypotheses, parts, table}; parts is a list of {part, facts,\n"
        "findings}, table one row a target and part with value, lower, upper: the error ratio.",
        "looprate eta --preset smoke",
    )
    add_option(
        eta,
        "preset",
        ": smoke (under 40 s), quick (about 8 minutes on 2 cores, the default), full (hours)",
        default="quick",
        choices=["smoke", "quick", "full"],
    )
    add_option(eta, "loops", " to train")
    add_option(eta, "seeds", "; verdicts need 4")
    add_option(
        eta,
        "out",
        " (default: runs/eta-PRESET, or one beside it where that answers another question)",
    )
    add_option(eta, "device")
    add_engine(eta)
    add_options(eta, "style", "json")
    eta.set_defaults(run=run_eta)


def run_eta(options: Namespace) -> int:
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
    from looprate.experiments.eta.config import PRESETS

    changes: dict[str, Any] = {"device": asked_device(options)}
    if options.seeds is not None:
        changes["seeds"] = options.seeds
    if options.loops:
        changes["loops"] = tuple(options.loops)
    return replace(PRESETS[options.preset], **changes)


def _run(config: EtaConfig, folder: Path, engine: Engine, processes: int) -> dict[str, Any]:
    """Run what is missing of a sweep and write its report."""
    from looprate.experiments.engine.sweep import CONSTRUCTIONS, Sweep, run_in_folder
    from looprate.experiments.eta.plan import eta_sweep
    from looprate.experiments.eta.report import write_eta_report

    def tell(sweep: Sweep, failed: Sequence[str]) -> dict[str, Any]:
        certificates = sweep.rows(CONSTRUCTIONS)  # gains need every target: none if one failed
        told = {"fits": sweep.rows(), "certificates": certificates}
        return {} if failed else write_eta_report(config, folder, **told)

    return run_in_folder(
        folder,
        lambda: eta_sweep(config, folder),
        tell,
        name="eta",
        processes=processes,
        engine=engine,
    )


def _print(name: str, findings: list[dict[str, Any]]) -> None:
    """Print findings as a table under a name."""
    print(f"\n{name}")
    rows = [[f["verdict"], f["claim"], f["reason"]] for f in findings]
    print_table(["verdict", "claim", "why"], rows)
