"""The command ``looprate``: its options, and one line with exit code 2 for bad input."""

from __future__ import annotations

import os
import sys
import sysconfig
import traceback
from contextlib import suppress
from typing import NoReturn

from looprate.commands.autopsy import add_autopsy
from looprate.commands.bound import add_bound
from looprate.commands.claims import add_claims
from looprate.commands.construct import add_construct
from looprate.commands.eta import add_eta
from looprate.commands.explain import add_explain
from looprate.commands.explore import add_explore
from looprate.commands.exponents import add_exponents
from looprate.commands.figures import add_figures
from looprate.commands.learned import add_learned
from looprate.commands.moduli import add_moduli
from looprate.commands.reproduce import add_reproduce
from looprate.commands.rows import add_rows
from looprate.commands.targets import add_targets
from looprate.commands.verify import add_verify
from looprate.parser import Parser, add_about, add_command, add_group
from looprate.theory.outputs import one_line
from looprate.theory.processes import Stopped, finish, open_streams, stop_on_signals
from looprate.theory.sources import FOLDERS, HERE
from looprate.waiting import Waiting

__all__ = ["main", "run"]

ABOUT = """\
Check the approximation theory of looped Transformers against numbers.

A TARGET is a function on [0,1]^(N x d): a name with parameters such as token-power:alpha=0.5 (see
looprate targets), a sum such as "mean-field + 0.5*context-max", a formula such as
"formula: sin(6*x) + mean(x)/2" (x is the token; mean, sum, max and min run over all tokens), or a
function of your own, path/file.py:name or module:name, that maps an array of shape (B, N, d) to the
same shape; it may be written for NumPy, for torch, or for both.

Theorem numbers are those of Xu & Sato, arXiv 2410.01405v7."""

GROUPS = {
    "start": (add_verify, add_explore),
    "study": (
        add_moduli,
        add_bound,
        add_construct,
        add_learned,
        add_autopsy,
        add_eta,
        add_exponents,
        add_reproduce,
    ),
    "evidence": (add_claims, add_explain, add_figures),
    "data": (add_rows, add_targets),
}
INTERRUPTED = "interrupted", 130
USER_ERRORS = (ValueError, TypeError, OSError)
CONTRADICTION = "Contradiction: "  # in what a failed task says


def _parser() -> Parser:
    """Return the parser of the whole command."""
    parser = add_command(None, "looprate", ABOUT, "looprate verify --preset smoke")
    add_about(parser)
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True
    )

    for title, adders in GROUPS.items():
        add_group(commands, title, *adders)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for bad input, after one line on stderr.

    3 where a proven bound lies below what an input attains: a fault of this project, never printed
    as a number.

    Set LOOPRATE_DEBUG=1 to see the traceback instead.
    """
    from looprate.experiments.engine.task import TaskFailed
    from looprate.theory.gate import Contradiction

    try:
        try:
            options = _parser().parse_args(arguments)
        except SystemExit:  # --help; errors raise
            code = 0
        else:
            with Waiting(f"looprate {options.command}: at work ..."):
                code = int(options.run(options))
        sys.stdout.flush()  # while it can still be said that this fails
        return code
    except KeyboardInterrupt as stop:
        how, code = ("terminated", stop.code) if isinstance(stop, Stopped) else INTERRUPTED
        return _fail(f"{how}; run the same command again to resume", code)
    except BrokenPipeError:
        _print_nowhere()  # the reader left
        return 0
    except Contradiction as error:
        if os.environ.get("LOOPRATE_DEBUG"):
            raise
        return _fail(f"internal error, please report it: {one_line(error)}", 3)
    except (*USER_ERRORS, TaskFailed) as error:
        if os.environ.get("LOOPRATE_DEBUG"):
            raise
        if isinstance(error, OSError) and error.errno and not error.filename:  # of a stream
            _print_nowhere()
        kept = "; finished work is kept" if isinstance(error, TaskFailed) else ""
        return _fail(one_line(error) + kept, 3 if CONTRADICTION in str(error) else 2)
    except (Exception, SystemExit) as error:
        place = _place_in_own_code(error)
        if place is None or os.environ.get("LOOPRATE_DEBUG"):
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        return _fail(f"`target` failed at {place} with {said}; correct the function", 2)


def _place_in_own_code(error: BaseException) -> str | None:
    """Return where in the user's own code an error arose, None if it did not."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    ours = [str(HERE / name) for name in FOLDERS]
    known = ("<", *ours, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(known):
            return f"{frame.filename}, line {frame.lineno}"
    return None


def _fail(message: str, code: int) -> int:
    """Print one line on stderr and return the exit code."""
    with suppress(OSError):  # nobody reads it
        print(f"looprate: {message}", file=sys.stderr)
    return code


def _print_nowhere() -> None:
    """Let what waits to be printed vanish."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def run() -> NoReturn:
    """Entry point of the installed command."""
    open_streams()
    stop_on_signals()
    try:
        code = main()
    except KeyboardInterrupt:  # a second one, while the first was told
        code = 130
    finish(code)
