"""``looprate verify``: the main job, resumed if need be."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from looprate.options import add_option, asked_device
from looprate.parser import Commands, add_command
from looprate.printing import in_words, print_findings, print_json, print_sentences, say
from looprate.study import add_study, run_study

if TYPE_CHECKING:
    from looprate.experiments.study.config import StudyConfig

__all__ = ["add_verify"]


def add_verify(commands: Commands) -> None:
    """Add the parser of the main job."""
    verify = add_command(
        commands,
        "verify",
        "The main job: moduli, bounds, fits and the rate figure, with verdicts in words.\n\n"
        "Estimates the moduli of every target, evaluates the bounds, trains LT and TMLT over loop\n"
        "counts and seeds, searches and certifies the best networks of small blocks, and writes\n"
        "rows, figures and a report (report.html, .md, .json) to one folder.\n"
        "Killed at any moment and run again it resumes and ends with the same numbers.\n\n"
        "JSON: the content of report.json.",
        "looprate verify --preset smoke --target mean-field --loops 1 2 4 --out runs/mine",
    )
    add_option(
        verify,
        "preset",
        ": smoke (under 40 s), quick (under 4 minutes on 2 cores, the default), full (hours)",
        default="quick",
        choices=["smoke", "quick", "full"],
    )
    add_option(verify, "target", " instead of the preset's", nargs="+")
    for name in ("tokens", "dim", "p"):
        add_option(verify, name, " (default: the preset's)", default=None)
    add_option(verify, "loops", " to train")
    add_option(verify, "seeds")
    verify.add_argument(
        "--families", nargs="+", choices=["lt", "tmlt", "untied"], help="what to train"
    )
    verify.add_argument("--rates", type=float, nargs="+", help="peak learning rates to try")
    add_option(verify, "steps")
    add_study(verify, "verify")
    verify.set_defaults(run=run_verify)


def run_verify(options: Namespace) -> int:
    """Run the main job, resume it if need be, and write its report and figures."""
    from looprate.experiments.study.figure_rows import slug
    from looprate.experiments.study.plan import study_sweep
    from looprate.experiments.study.report import write_report
    from looprate.given import asked_target

    config = _study_config(options)
    for text in config.targets:  # a broken own function fails before any work
        for tokens, dim in config.shapes:
            asked_target(text, tokens=tokens, dim=dim)
    folder, code, report = run_study(
        options,
        "verify",
        config.as_dict(),
        lambda folder: study_sweep(config, folder),
        lambda study, failed: write_report(config, study, failed),
    )
    if code or options.json:
        return code or print_json(report)
    for part in report["parts"]:
        say(f"\n{part['target']}: {in_words(part)}")
        broken = [each for each in part["hypotheses"] if each["state"] != "holds"]
        print_findings([*broken, *part["findings"]])
    print()
    print_sentences(report["headline"])
    print(f"\nreport:  {folder / 'report.html'} (the same as Markdown: report.md)")
    for part in report["parts"]:
        name = slug(part["target"], part["tokens"], part["dim"])
        print(f"figure:  {folder / 'figures' / f'error-against-loops__{name}.png'}")
    return 0


def _study_config(options: Namespace) -> StudyConfig:
    """Return the preset with the given options in place."""
    from looprate.experiments.study.config import PRESETS
    from looprate.theory.targets import resolve_target

    config = PRESETS[options.preset]
    changes: dict[str, Any] = {}
    if options.target:
        changes["targets"] = tuple(str(resolve_target(text)) for text in options.target)
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
        for name in ("p", "seeds")
        if getattr(options, name) is not None
    }
    changes["device"] = asked_device(options)
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
