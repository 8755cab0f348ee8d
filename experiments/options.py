"""How commands describe themselves: parsers that refuse in one line, and options many share."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn, TypeAlias

__all__ = [
    "Commands",
    "Parser",
    "add_command",
    "add_json",
    "add_shape",
    "add_style",
    "checked_shape",
]


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_command(
    commands: Commands | None, name: str, about: str, example: str | None = None
) -> Parser:
    """Return a parser whose help keeps its line breaks and ends with an example.

    Parameters
    ----------
    commands : subparsers, or None
        Where to add it; None makes the parser of the whole command.
    name, about : str
        The first paragraph of ``about`` is the summary among all commands.
    example : str, optional
    """
    settings: dict[str, Any] = {
        "description": about,
        "epilog": f"example:\n  {example}" if example else None,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    if commands is None:
        return Parser(prog=name, **settings)
    summary = about.split("\n\n")[0].replace("\n", " ")
    return commands.add_parser(name, help=summary, **settings)


def add_shape(parser: argparse.ArgumentParser, *, p: float) -> None:
    """Add N, d and p, whose default is given."""
    parser.add_argument("-N", "--tokens", type=int, default=2, help="N (default: 2)")
    parser.add_argument("-d", "--dim", type=int, default=1, help="d (default: 1)")
    parser.add_argument(
        "--p", type=float, default=p, help=f"exponent of the norm, 1 to inf (default: {p:g})"
    )


def checked_shape(options: argparse.Namespace) -> dict[str, Any]:
    """Return N, d and p as keyword arguments, checked."""
    from theory.notation import check_dim, check_p, check_tokens

    return {
        "tokens": check_tokens(options.tokens),
        "dim": check_dim(options.dim),
        "p": check_p(options.p),
    }


def add_style(parser: argparse.ArgumentParser) -> None:
    """Add the figure style."""
    parser.add_argument("--style", default="paper", choices=["paper", "slides"])


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
