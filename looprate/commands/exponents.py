"""``looprate exponents``: slopes of certified errors against the optimal exponents, few bits."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from looprate.options import add_option
from looprate.parser import Commands, add_command
from looprate.printing import print_findings, print_json
from looprate.study import add_study, run_study

__all__ = ["add_exponents"]


def add_exponents(commands: Commands) -> None:
    """Add the study of the exponents that constructions attain."""
    exponents = add_command(
        commands,
        "exponents",
        "Do constructed networks attain the optimal exponents, and with how many bits?\n\n"
        "Certifies networks over grids, with and without eta(t), and compares the slope of their\n"
        "errors with -s/(Nd) and -2s/(Nd): least and largest slope through the certified\n"
        "intervals, no estimate. Certifies every memoriser on every code. Runs networks in floats\n"
        "and integers of few bits and compares the error that is left with a prediction.\n"
        "Killed at any moment and run again it resumes and ends with the same numbers.\n\n"
        "JSON: {config, versions, lines, certificates, floors}; lines is a list of {memoriser,\n"
        "coding, target, ..., low, high, predicted, verdict, points}.",
        "looprate exponents --preset smoke",
    )
    add_option(
        exponents,
        "preset",
        ": smoke (under 40 s, the default), full (about half an hour on one core)",
        default="smoke",
        choices=["smoke", "full"],
    )
    add_study(exponents, "exponents")
    exponents.set_defaults(run=run_exponents)


def run_exponents(options: Namespace) -> int:
    """Run or resume the study, write its report and figure, and print the verdicts."""
    from looprate.experiments.engine.sweep import CONSTRUCTIONS, Sweep
    from looprate.experiments.exponents.config import PRESETS
    from looprate.experiments.exponents.plan import exponents_sweep
    from looprate.experiments.exponents.report import write_exponents_report
    from looprate.experiments.study.figure_rows import slug

    config = PRESETS[options.preset]

    def tell(sweep: Sweep, failed: Sequence[str]) -> dict[str, Any]:
        rows = sweep.rows(CONSTRUCTIONS)  # a slope needs all its points: no report if one failed
        return {} if failed else write_exponents_report(config, sweep.folder, rows)

    folder, code, report = run_study(
        options, "exponents", config.as_dict(), lambda folder: exponents_sweep(config, folder), tell
    )
    if code or options.json:
        return code or print_json(report)
    print_findings([line["finding"] for line in report["lines"]])
    print(f"report:  {folder / 'exponents.html'} (the same as Markdown: exponents.md)")
    name = slug(config.few_bits_target, 2, 1)
    print(f"figure:  {folder / 'figures' / f'few-bits__{name}.png'}")
    return 0
