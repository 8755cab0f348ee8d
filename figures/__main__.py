"""``python -m figures DIR``: draw every figure of a study folder again from its stored rows."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from figures.drawing import FORMATS, redraw_each
from figures.style import STYLES

__all__ = ["main"]

BAD_INPUT = 2


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        print(f"error: {message}; see --help", file=sys.stderr)
        raise SystemExit(BAD_INPUT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 if an input was bad."""
    options = _parser().parse_args(arguments)
    status = 0
    try:
        for source, outcome in redraw_each(
            options.directory,
            style=options.style,
            formats=options.format,
            processes=options.processes,
        ):
            if isinstance(outcome, str):
                print(f"error: {outcome}", file=sys.stderr)
                status = BAD_INPUT
            elif not options.quiet:
                print(f"{source.name} -> {', '.join(path.name for path in outcome)}")
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT
    return status


def _parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = _Parser(prog="python -m figures", description=__doc__)
    parser.add_argument("directory", metavar="DIR", help="study folder, with figures/*.csv in it")
    parser.add_argument("--style", default="paper", help=f"{' or '.join(STYLES)} (paper)")
    parser.add_argument(
        "--format",
        nargs="+",
        default=["png", "pdf"],
        metavar="FORMAT",
        help=f"any of {', '.join(FORMATS)} (png pdf)",
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="that draw, a figure at a time each (1)"
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
