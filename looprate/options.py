"""What options mean in every command, and the engine they ask for."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

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
from looprate.theory.bounds.loop_counts import CODINGS

__all__ = [
    "SHARED",
    "add_engine",
    "add_option",
    "add_options",
    "asked_device",
    "checked_shape",
    "chosen_engine",
]

#: What options mean in every command that has them: their strings, then their settings.
SHARED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "tokens": (("-N", "--tokens"), {"type": int, "default": 2, "help": "N, the sequence length"}),
    "dim": (("-d", "--dim"), {"type": int, "default": 1, "help": "d, coordinates a token"}),
    "p": (("--p",), {"type": float, "default": 1.0, "help": "exponent of the norm, 1 to inf"}),
    "target": (("--target",), {"metavar": "TARGET", "help": "targets"}),
    "delta": (("--delta",), {"type": float, "nargs": "+", "help": "radii, Frobenius norm"}),
    "loops": (("--loops",), {"type": int, "nargs": "+", "help": "loop counts"}),
    "steps": (("--steps",), {"type": int, "help": "training steps"}),
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
            "help": "of figures: a page of text, a screen on a wall, an A0 sheet, or a phone",
        },
    ),
    "dark": (("--dark",), {"action": "store_true", "help": "light on black"}),
    "coding": (
        ("--coding",),
        {
            "choices": CODINGS,
            "help": "label of a token; on others no two tokens collide (default: what suits the "
            "memoriser; rank for timestep)",
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
