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
        "findings}, table one row a target and part with value, lower, upper: the error ratio.\n\n"
        "Three more presets train many starts of one small block. best: the best of LT against\n"
        "a free table of eta(t), a ReLU and a SiLU network of t, at equal parameters and at equal\n"
        "blocks. loops: other loop counts at test time, and drawn ones in training. bits: the\n"
        "state rounded after training, or during it. Their JSON: {config, versions, facts,\n"
        "findings, table}.",
        "looprate eta --preset smoke",
    )
    add_option(
        eta,
        "preset",
        ": smoke (under 40 s), quick (about 8 minutes on 2 cores, the default), full (hours); best "
        "(half an hour), loops and bits (about 5 minutes each)",
        default="quick",
        choices=["smoke", "quick", "full", "best", "loops", "bits"],
    )
    add_option(eta, "loops", " to train")
    add_option(eta, "seeds", "; verdicts need 4")
    add_study(eta, "eta")
    eta.set_defaults(run=run_eta)


def run_eta(options: Namespace) -> int:
    """Run or resume the sweep, write its report and figure, and print the verdicts."""
    from looprate.experiments.engine.sweep import CONSTRUCTIONS
    from looprate.experiments.eta.config import PRESETS
    from looprate.experiments.eta.plan import eta_sweep
    from looprate.experiments.eta.report import write_eta_report
    from looprate.experiments.eta.starts_config import STARTS

    if options.preset in STARTS:
        return _run_starts(options)
    config = replace(PRESETS[options.preset], **_changes(options))

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
    print(f"report:  {folder / 'eta.html'} (the same as Markdown: eta.md)")
    print(f"figure:  {folder / 'figures' / 'eta-gain__sweep.png'}")
    return 0


def _run_starts(options: Namespace) -> int:
    """Run or resume a sweep of many starts, write its report and figure, and print the verdicts."""
    from looprate.experiments.eta.starts import starts_sweep
    from looprate.experiments.eta.starts_config import STARTS
    from looprate.experiments.eta.starts_report import write_starts_report

    config = replace(STARTS[options.preset], **_changes(options))

    def tell(sweep: Sweep, failed: Sequence[str]) -> dict[str, Any]:
        return {} if failed else write_starts_report(config, sweep.folder, sweep.rows())

    folder, code, report = run_study(
        options, "eta", config.as_dict(), lambda folder: starts_sweep(config, folder), tell
    )
    if code or options.json:
        return code or print_json(report)
    print_findings(report["findings"])
    print(f"report:  {folder / 'eta.html'} (the same as Markdown: eta.md)")
    return 0


def _changes(options: Namespace) -> dict[str, Any]:
    """Return the given options as fields of a configuration."""
    changes: dict[str, Any] = {"device": asked_device(options)}
    if options.seeds is not None:
        changes["seeds"] = options.seeds
    if options.loops:
        changes["loops"] = tuple(options.loops)
    return changes
