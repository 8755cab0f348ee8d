"""What the commands that run a study share: its options, its folder, its run and its figures."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from looprate.experiments.rows.page import write_page
from looprate.experiments.study.drawing import draw_folder
from looprate.options import add_engine, add_option, add_options, chosen_engine

if TYPE_CHECKING:
    from looprate.experiments.engine.sweep import Sweep

__all__ = ["add_study", "run_study"]

Told = TypeVar("Told")
REPORTS = {"eta": "eta.md", "exponents": "exponents.md"}  # of the others: report.md


def add_study(parser: ArgumentParser, name: str) -> None:
    """Add where the results of a command go and where its work runs, --style and --json."""
    usual = f"(default: runs/{name}-PRESET, or one beside it where that answers another question)"
    add_option(parser, "out", f" {usual}")
    add_option(parser, "device")
    add_engine(parser)
    add_options(parser, "style", "json")


def run_study(
    options: Namespace,
    name: str,
    asked: dict[str, Any],
    plan: Callable[[Path], Sweep],
    tell: Callable[[Sweep, Sequence[str]], Told],
) -> tuple[Path, int, Told]:
    """Run what is missing of a study, tell of its rows, and draw its figures.

    Parameters
    ----------
    options : Namespace
        Of a parser with a preset and :func:`add_study`.
    name : str
        Of the command.
    asked : dict
        The question, as config.json keeps it, with its device.
    plan : callable
        Returns the sweep in a folder.
    tell : callable
        See :func:`looprate.experiments.engine.sweep.run_in_folder`.

    Returns
    -------
    folder, code, told
        Where the results are, the exit code of the drawing, and what ``tell`` returned.
    """
    from looprate.experiments.engine.sweep import run_in_folder
    from looprate.experiments.rows.question import folder_for

    folder = folder_for(options.out, Path("runs") / f"{name}-{options.preset}", asked)
    engine, processes = chosen_engine(options, asked["device"])

    def told_and_paged(study: Sweep, failed: Sequence[str]) -> Told:
        found = tell(study, failed)
        _write_page(folder, name)  # without figures, should tasks have failed
        return found

    told = run_in_folder(
        folder, lambda: plan(folder), told_and_paged, name=name, processes=processes, engine=engine
    )
    code = draw_folder(folder, options.style, ["png", "pdf"])[0]
    _write_page(folder, name)
    return folder, code, told


def _write_page(folder: Path, name: str) -> None:
    """Write the page of HTML beside the report of a command, where there is one."""
    report = folder / REPORTS.get(name, "report.md")
    if report.is_file():
        write_page(report)
