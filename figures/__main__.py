"""``python -m looprate.figures DIR``: draw every figure of a study folder again from its rows."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from looprate.figures.drawing import FORMATS, redraw_each
from looprate.figures.style import STYLES
from looprate.theory.processes import become_child, finish, open_streams

BAD_INPUT = 2


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see --help", file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 if an input was bad."""
    options = _parser().parse_args(arguments)
    if options.parent is not None:
        become_child(options.parent)
    try:
        return _drawn(options)
    except BrokenPipeError:  # nobody listens
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _drawn(options: argparse.Namespace) -> int:
    """Draw what the options ask for and say so."""
    status = 0
    try:
        for source, outcome in redraw_each(
            options.directory,
            style=options.style,
            formats=options.format or (["pdf"] if options.handout else ["png", "pdf"]),
            only=options.only,
            to=options.to,
            handouts=options.handout,
            share=tuple(options.share),
        ):
            if isinstance(outcome, str):
                print(f"error: {outcome}", file=sys.stderr)
                status = BAD_INPUT
            elif not options.quiet:
                print(_told(source, outcome, as_json=options.json))
    except ValueError as error:
        if options.share[0] == 0:  # all processes find the same
            print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return status


def _told(source: Path, drawn: Sequence[Path], *, as_json: bool) -> str:
    """One line on the files drawn from one file of rows."""
    if as_json:
        return json.dumps([str(path) for path in drawn])
    return f"{source.name} -> {', '.join(path.name for path in drawn)}"


def _parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = _Parser(prog="python -m looprate.figures", description=__doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", help="study folder, with figures/*.csv in it")
    add("--style", default="paper", help=f"one of {', '.join(STYLES)} (paper)")
    add(
        "--format",
        nargs="+",
        metavar="FORMAT",
        help=f"any of {', '.join(FORMATS)} (png pdf; of a handout pdf)",
    )
    add("--only", nargs="+", default=[], metavar="KIND[__SLUG]", help="draw these alone")
    add("--to", metavar="DIR2", help="write there, with a copy of the rows (beside the rows)")
    add("--handout", action="store_true", help="a page for each error-against-loops file instead")
    share = "K of N processes that draw at once (0 1)"
    add("--share", type=int, nargs=2, default=(0, 1), metavar=("K", "N"), help=share)
    add("--parent", type=int, metavar="PID", help="end when this process, the parent, does")
    add("--json", action="store_true", help="a JSON list of the files drawn, one line a figure")
    add("--quiet", action="store_true", help="print errors only")
    return parser


if __name__ == "__main__":
    open_streams()
    finish(main())
