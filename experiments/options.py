"""How commands describe themselves: parsers that refuse in one line, and options many share."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn, TypeAlias

from experiments.drawing import STYLES
from experiments.engine import EMBEDDED, HERE, Engine, default_processes, visible_devices

__all__ = [
    "Commands",
    "Parser",
    "add_command",
    "add_engine",
    "add_json",
    "add_shape",
    "add_style",
    "checked_shape",
    "chosen_engine",
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
    from theory.notation import check_p, check_size

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
        from experiments.engine_cluster import check_cluster_extra

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


def add_style(parser: argparse.ArgumentParser) -> None:
    """Add the figure style."""
    parser.add_argument(
        "--style",
        default="paper",
        choices=STYLES,
        help="of figures: a page of text (default), a screen on a wall, or an A0 sheet",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
