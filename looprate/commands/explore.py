"""``looprate explore``: the explorer in the browser, in a process of its own."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from argparse import Namespace
from pathlib import Path

from looprate.experiments.engine.child import child_environment, children, lines_of, python
from looprate.options import add_option
from looprate.parser import Commands, add_command
from looprate.theory.outputs import checked_folder

__all__ = ["add_explore"]

ROWS = (Path("runs/verify-quick"), Path("docs"))  # where trained networks are looked for
LARGEST_PORT = 65_535


def add_explore(commands: Commands) -> None:
    """Add the explorer's parser."""
    explore = add_command(
        commands,
        "explore",
        "Open a page in which a target, or a formula you type, is looked at from all sides.\n\n"
        "The three moduli, the bound term by term and where it is vacuous, the constructed\n"
        "network's certified error, trained networks (stored, or trained beside the page), and\n"
        "the constructed network's state loop by loop.  The address holds what the page shows.\n"
        "Figures, their rows and the Python that makes them can be taken along.\n\n"
        "The server listens on this machine alone and asks nothing of any other.\n\n"
        "JSON (with --static): the file written.",
        "looprate explore --target 'formula: sin(6*x) + mean(x)/2'",
    )
    add_option(explore, "target", ": the one to begin with")
    explore.add_argument(
        "--rows",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="folders of looprate verify with trained networks (default: runs/verify-quick)",
    )
    explore.add_argument("--port", type=int, default=0, help="port (default: a free one)")
    add_option(explore, "dark")
    explore.add_argument("--no-browser", action="store_true", help="print the address only")
    explore.add_argument(
        "--static", type=Path, metavar="DIR", help="write one HTML file that needs no server"
    )
    add_option(explore, "json")
    explore.set_defaults(run=run_explore)


def run_explore(options: Namespace) -> int:
    """Serve the page until interrupted, or write its static form."""
    if importlib.util.find_spec("bokeh") is None:
        raise ValueError(
            '`explore` needs the package bokeh, which is not installed; pip install "bokeh>=3.6"'
        )
    if not 0 <= options.port <= LARGEST_PORT:
        raise ValueError(f"`port` must be from 0 to {LARGEST_PORT}, got {options.port}; take 0")
    if options.json and options.static is None:
        raise ValueError("`json` needs --static DIR: a server prints its address only")
    for folder in options.rows or ():
        if not folder.is_dir():
            raise ValueError(f"`rows` must be folders of looprate verify, {folder} is none")
    if options.static is not None:
        checked_folder(options.static)
    folders = options.rows or [folder for folder in ROWS if folder.is_dir()]
    command = python(
        "looprate.figures.explorer", "--rows", *map(str, folders), "--port", str(options.port)
    )
    command += ["--target", options.target] if options.target else []
    command += ["--static", str(options.static)] if options.static is not None else []
    command += ["--dark"] if options.dark else []
    command += ["--no-browser"] if options.no_browser else []
    if options.static is None:
        if sys.stderr.isatty():
            print("looprate explore: the page is being made ...", file=sys.stderr, flush=True)
        sys.stdout.flush()  # one process, to be ended as one
        os.execve(command[0], command, child_environment(OMP_NUM_THREADS="1"))
    with children([command], OMP_NUM_THREADS="1") as running:
        written = "".join(lines_of(running)).strip()
    if running[0].returncode == 0:
        print(json.dumps({"file": written}) if options.json else written)
    return running[0].returncode
