"""Parsers that say in one line what is wrong, help as wide as the terminal, completion."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

__all__ = ["Commands", "Parser", "add_about", "add_command", "add_group"]

SHELLS = ("bash", "zsh", "tcsh")
NEGATIVE = re.compile(r"^-(\d|\.\d|inf|nan)", re.IGNORECASE)
LARGEST = 10**18  # of what is written with an exponent


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, and what may have been meant."""

    group = ""  # of the command that it is the parser of

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register("type", int, whole_number)
        self._negative_number_matcher = NEGATIVE  # argparse knows -1, not -1e5 or -inf

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            word = next((word for word in unknown if word.startswith("-")), unknown[0])
            near = _near(word.partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{near}")
        return found, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            if value == []:  # of a place that may be left empty
                return
            near = _near(str(value), action.choices or ())
            raise argparse.ArgumentError(action, error.message + near) from None


def whole_number(text: str) -> int:
    """Return the integer a text spells, in digits or as 1e6."""
    with suppress(ValueError):
        return int(text)
    most = ""
    with suppress(ArithmeticError):
        value = Decimal(text)
        if value.is_finite() and abs(value) <= LARGEST and value == int(value):
            return int(value)
        most = f" of at most {LARGEST:.0e}" if value.is_finite() and abs(value) > LARGEST else ""
    raise argparse.ArgumentTypeError(f"must be a whole number{most} such as 8 or 1e6, got {text!r}")


def _near(word: str, known: Iterable[str]) -> str:
    """Return ``; did you mean ...?``, or nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


class _Version(argparse.Action):
    """Prints the version, which is looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        from looprate.experiments.rows.provenance import provenance

        found = provenance()
        commit = f" (commit {found['commit']})" if found["commit"] else ""
        print(f"looprate {found['version'] or 'from a checkout'}{commit}")
        parser.exit()


class _Completion(argparse.Action):
    """Prints what makes a shell complete commands, options, choices and names."""

    def __call__(self, parser: argparse.ArgumentParser, _: Any, shell: Any, *__: Any) -> NoReturn:
        import shtab

        from looprate.experiments.claims import CLAIMS
        from looprate.theory.targets import TARGETS

        claims = " ".join(CLAIMS)
        words = {"target": " ".join(TARGETS), "id": claims, "ids": claims}
        preamble = "".join(
            f'_looprate_{name}() {{ compgen -W "{known}" -- "$1"; compgen -f -- "$1"; }}\n'
            for name, known in words.items()
        )
        for action in self._of_all(parser):
            places: dict[str, Any] = shtab.DIRECTORY if "DIR" in str(action.metavar) else shtab.FILE
            if action.dest in words:
                listed = f"({words[action.dest]})"
                places = {"bash": f"_looprate_{action.dest}", "zsh": listed, "tcsh": listed}
            if action.dest in words or action.type is Path:
                action.complete = places  # type: ignore[attr-defined]
        print(shtab.complete(parser, shell, preamble=preamble if shell == "bash" else ""))
        parser.exit()

    def _of_all(self, parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
        """Yield the actions of a parser and of its commands."""
        for action in parser._actions:
            yield action
            if isinstance(action, argparse._SubParsersAction):
                for command in action.choices.values():
                    yield from self._of_all(command)


def add_about(parser: argparse.ArgumentParser) -> None:
    """Add what the whole command says of itself."""
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.add_argument(
        "--print-completion",
        action=_Completion,
        choices=SHELLS,
        help="print a script by which a shell completes commands, options and names; for bash: "
        "looprate --print-completion bash > ~/.local/share/bash-completion/completions/looprate",
    )


class _Help(argparse.HelpFormatter):
    """Fills paragraphs to the terminal's width, but for indented lines; commands in groups."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        parts = text.split("\n\n")
        filled = [
            part if "\n  " in part else textwrap.fill(part, width, break_on_hyphens=False)
            for part in parts
        ]
        return "\n\n".join(filled)

    def _split_lines(self, text: str, width: int) -> list[str]:
        words = " ".join(text.split())
        return textwrap.wrap(words, width, break_on_hyphens=False, break_long_words=False)

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        text, parsers = "", action.choices

        def group(one: argparse.Action) -> str:
            return str(parsers[one.dest].group)

        for title, commands in groupby(action._choices_actions, group):
            text += f"{' ' * self._current_indent}{title}:\n"
            self._indent()
            text += "".join(map(self._format_action, commands))
            self._dedent()
        return text


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_command(
    commands: Commands | None, name: str, about: str, example: str | None = None
) -> Parser:
    """Return a parser whose help is as wide as the terminal and ends with an example.

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
        "formatter_class": _Help,
        "allow_abbrev": False,
    }
    if commands is None:
        return Parser(prog=name, **settings)
    summary = about.split("\n\n")[0].replace("\n", " ")
    return commands.add_parser(name, help=summary, **settings)


def add_group(commands: Commands, title: str, *adders: Callable[[Commands], None]) -> None:
    """Add commands that the help shows together."""
    known = len(commands.choices)
    for add in adders:
        add(commands)
    for parser in list(commands.choices.values())[known:]:
        parser.group = title
