"""``looprate eta``: when does eta(t) help?  Trains, constructs, compares, draws."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from looprate.options import add_option, asked_device
from looprate.parser import Commands, add_command
from looprate.printing import print_findings, print_json
from looprate.study import add_study, run_study

if TYPE_CHECKING:
    from looprate.experiments.engine.sweep import Sweep
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
    add_study(eta, "eta")
    eta.set_defaults(run=run_eta)


def run_eta(options: Namespace) -> int:
    """Run or resume the sweep, write its report and figure, and print the verdicts."""
    from looprate.experiments.engine.sweep import CONSTRUCTIONS
    from looprate.experiments.eta.plan import eta_sweep
    from looprate.experiments.eta.report import write_eta_report

    config = _config(options)

    def tell(sweep: Sweep, failed: Sequence[str]) -> dict[str, Any]:
        certificates = sweep.rows(CONSTRUCTIONS)  # gains need every target: none if one failed
        told = {"fits": sweep.rows(), "certificates": certificates}
        return {} if failed else write_eta_report(config, sweep.folder, **told)

    folder, code, report = run_study(
        options, "eta", config.as_dict(), lambda folder: eta_sweep(config, folder), tell
    )
    if code or options.json:
        return code or print_json(report)
    findings = {"hypotheses": report["hypotheses"]}
    findings |= {part["part"]: part["findings"] for part in report["parts"]}
    for name, found in findings.items():
        print(f"\n{name}")
        print_findings(found)
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
