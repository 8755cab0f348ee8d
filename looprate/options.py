"""How commands describe themselves: parsers that refuse in one line, and options many share."""

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

from looprate.experiments.engine.task import (
    DEVICES,
    EMBEDDED,
    HERE,
    Engine,
    chosen_device,
    default_processes,
    visible_devices,
)
from looprate.experiments.study.drawing import STYLES

__all__ = [
    "SHARED",
    "Commands",
    "Parser",
    "add_about",
    "add_command",
    "add_engine",
    "add_group",
    "add_option",
    "add_options",
    "asked_device",
    "checked_shape",
    "chosen_engine",
    "whole_number",
]


SHELLS = ("bash", "zsh", "tcsh")
NEGATIVE = re.compile(r"^-(\d|\.\d|inf|nan)", re.IGNORECASE)
LARGEST = 10**18  # of what is written with an exponent


class Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line, and what may have been meant."""

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
    with suppress(ArithmeticError):
        value = Decimal(text)
        if value.is_finite() and abs(value) <= LARGEST and value == int(value):
            return int(value)
    raise argparse.ArgumentTypeError(f"must be a whole number such as 8 or 1e6, got {text!r}")


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

    def __call__(self, parser: Any, _: Any, shell: Any, *__: Any) -> NoReturn:
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
            if action.dest in words:
                listed = f"({words[action.dest]})"
                places = {"bash": f"_looprate_{action.dest}", "zsh": listed, "tcsh": listed}
            else:
                places = shtab.DIRECTORY if "DIR" in str(action.metavar) else shtab.FILE
            if action.dest in words or action.type is Path:
                action.complete = places  # type: ignore[attr-defined]
        print(shtab.complete(parser, shell, preamble={"bash": preamble}))
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
        whole = {"break_on_hyphens": False, "break_long_words": False}
        return textwrap.wrap(" ".join(text.split()), width, **whole)

    def _format_action(self, action: argparse.Action) -> str:
        if not isinstance(action, argparse._SubParsersAction):
            return super()._format_action(action)
        text = ""
        for title, commands in groupby(action._choices_actions, lambda one: one.group):
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
    known = len(commands._choices_actions)
    for add in adders:
        add(commands)
    for action in commands._choices_actions[known:]:
        action.group = title


#: What options mean in every command that has them: their strings, then their settings.
SHARED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "tokens": (("-N", "--tokens"), {"type": int, "default": 2, "help": "N, the sequence length"}),
    "dim": (("-d", "--dim"), {"type": int, "default": 1, "help": "d, coordinates a token"}),
    "p": (("--p",), {"type": float, "default": 1.0, "help": "exponent of the norm, 1 to inf"}),
    "target": (("--target",), {"metavar": "TARGET", "help": "targets"}),
    "delta": (("--delta",), {"type": float, "nargs": "+", "help": "radii, Frobenius norm"}),
    "loops": (("--loops",), {"type": int, "nargs": "+", "help": "loop counts"}),
    "seeds": (("--seeds",), {"type": int, "help": "number of seeds"}),
    "seed": (("--seed",), {"type": int, "default": 0, "help": "seed of random inputs"}),
    "preset": (("--preset",), {"help": "size of the work"}),
    "effort": (
        ("--effort",),
        {"type": float, "help": "scales the work of the search for lower bounds, no time"},
    ),
    "certify": (("--certify",), {"action": "store_true", "help": "add certified upper bounds"}),
    "tolerance": (
        ("--tolerance",),
        {"type": float, "help": "relative gap between proven bounds at which a search ends"},
    ),
    "seconds": (("--seconds",), {"type": float, "help": "time for what is proven"}),
    "out": (("--out",), {"type": Path, "metavar": "DIR", "help": "folder of the results"}),
    "list": (("--list",), {"action": "store_true", "help": "list what there is, run nothing"}),
    "device": (
        ("--device",),
        {
            "default": "auto",
            "choices": DEVICES,
            "help": "where to train; auto takes a GPU where this machine has one",
        },
    ),
    "style": (
        ("--style",),
        {
            "default": "paper",
            "choices": STYLES,
            "help": "of figures: a page of text, a screen on a wall, or an A0 sheet",
        },
    ),
    "json": (("--json",), {"action": "store_true", "help": "print JSON for scripts"}),
}


def add_option(
    parser: argparse.ArgumentParser, name: str, note: str | None = None, **others: Any
) -> None:
    """Add an option that means the same in every command.

    Parameters
    ----------
    parser : ArgumentParser
    name : str
        Of :data:`SHARED`.
    note : str, optional
        What the help adds in this command; left out, the default.
    **others
        Settings that differ here.
    """
    strings, settings = SHARED[name]
    default = settings.get("default")
    if note is None:
        shown = f"{default:g}" if isinstance(default, float) else default
        note = "" if default is None else f" (default: {shown})"
    settings = {**settings, "help": f"{settings['help']}{note}", **others}
    parser.add_argument(*strings, **settings)


def add_options(parser: argparse.ArgumentParser, *names: str) -> None:
    """Add options of :data:`SHARED` as they are."""
    for name in names:
        add_option(parser, name)


def checked_shape(options: argparse.Namespace) -> dict[str, Any]:
    """Return N, d and p as keyword arguments, checked."""
    from looprate.theory.notation import check_p, check_size

    tokens, dim = check_size(options.tokens, options.dim)
    return {"tokens": tokens, "dim": dim, "p": check_p(options.p)}


def add_engine(parser: argparse.ArgumentParser) -> None:
    """Add where the work runs: --processes, --engine, --scheduler."""
    parser.add_argument(
        "--processes", type=int, help="workers here (default: one per core, on a GPU one per GPU)"
    )
    parser.add_argument(
        "--engine",
        default="local",
        choices=["local", "dask"],
        help="local: processes of this machine (default); dask: dask.distributed, which also runs "
        "on many machines, see docs/cluster.md",
    )
    parser.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="of --engine dask: a running scheduler such as tcp://10.0.0.1:8786, or slurm:FILE.json"
        " for SLURM jobs (default: one of its own with --processes workers)",
    )


def asked_device(options: argparse.Namespace) -> str:
    """Return cpu or cuda; of auto, cuda where the work is done here and a GPU is."""
    if options.device != "auto":
        return str(options.device)
    return "cpu" if options.scheduler else chosen_device("auto")


def chosen_engine(options: argparse.Namespace, device: str | None = None) -> tuple[Engine, int]:
    """Return the engine that is asked for and its number of workers on this machine, checked.

    Parameters
    ----------
    options : Namespace
        Of a parser with :func:`add_engine`.
    device : {"cpu", "cuda"}, optional
        Where tasks compute.

    Raises
    ------
    ValueError
        If options contradict each other, or what they need is not here.
    """
    processes, scheduler, gpu = options.processes, options.scheduler, device == "cuda"
    if processes is not None and processes < 1:
        raise ValueError(f"`processes` must be an integer >= 1, got {processes}; take 1")
    if scheduler is not None and options.engine != "dask":
        raise ValueError(f"`scheduler` is for --engine dask, got {scheduler}; add --engine dask")
    if scheduler is not None and processes is not None:
        raise ValueError(
            f"`processes` is for workers of this machine, got {processes} beside --scheduler "
            "with workers of its own; leave one of them out"
        )
    if options.engine == "dask":
        from looprate.experiments.engine.cluster import check_cluster_extra

        check_cluster_extra(scheduler or EMBEDDED)
        if scheduler is not None:
            return Engine(scheduler=scheduler, gpu=gpu), 1
    return _engine_here(EMBEDDED if options.engine == "dask" else None, processes, gpu=gpu)


def _engine_here(scheduler: str | None, processes: int | None, *, gpu: bool) -> tuple[Engine, int]:
    """Return an engine of this machine's cores or GPUs and its number of workers."""
    if not gpu:
        return Engine(scheduler=scheduler) if scheduler else HERE, processes or default_processes()
    devices = visible_devices()
    if not devices:
        raise ValueError("`device` is cuda but torch sees no GPU; take --device cpu")
    return Engine(scheduler, devices, gpu=True), processes or len(devices)
