"""``looprate figures``: figures drawn again from their stored rows."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from looprate.experiments.study.drawing import FORMATS, draw_folder
from looprate.options import add_option
from looprate.parser import Commands, add_command
from looprate.printing import print_json

__all__ = ["add_figures"]


def add_figures(commands: Commands) -> None:
    """Add what draws figures again."""
    figures = add_command(
        commands,
        "figures",
        "Redraw every figure of DIR from its stored rows alone: no torch, no training.\n\n"
        "Rows are in DIR/figures/KIND__SLUG.csv; a figure is written beside them, or with a copy\n"
        "of them into another folder, so that it is never without its rows; other rows of that\n"
        "name are not replaced there. The same rows give the same bytes. Text in svg and pdf\n"
        "stays text, for editing and searching.\n\n"
        "more examples:\n"
        "  looprate figures docs --only moduli --format svg --to talk    one figure, editable\n"
        "  looprate figures runs/mine --only error-against-loops moduli  two kinds of it\n"
        "  looprate figures runs/mine --style poster --format pdf        for an A0 sheet\n"
        "  looprate figures runs/mine --style phone --dark --to phone    for a phone at night\n"
        "  looprate figures docs --handout                               the main figure and its\n"
        "                                                                theorem on one A4 page\n\n"
        "JSON: a list of the files drawn.",
        "looprate figures runs/verify-quick --style slides",
    )
    figures.add_argument("directory", metavar="DIR", type=Path, help="folder of a study, or docs")
    add_option(figures, "style")
    add_option(figures, "dark")
    figures.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=[],
        help="what to write (default: png pdf; of a handout pdf)",
    )
    figures.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="KIND[__SLUG]",
        help="draw these alone: every figure of a kind such as moduli, or one such as moduli__dial",
    )
    figures.add_argument(
        "--to", type=Path, metavar="DIR2", help="write there, rows included (default: beside them)"
    )
    figures.add_argument(
        "--handout",
        action="store_true",
        help="write DIR/figures/handout__SLUG.pdf for each error-against-loops__SLUG.csv instead",
    )
    add_option(figures, "json")
    figures.set_defaults(run=run_figures)


def run_figures(options: Namespace) -> int:
    """Redraw a folder's figures from its rows."""
    code, drawn = draw_folder(
        options.directory,
        options.style,
        options.format,
        dark=options.dark,
        only=options.only,
        to=options.to,
        handouts=options.handout,
    )
    if code:
        return code
    if options.json:
        return print_json(sorted(str(path) for _, paths in drawn for path in paths))
    for source, paths in drawn:
        print(f"{source.name} -> {', '.join(path.name for path in paths)}")
    return 0
