"""The command ``looprate``: its options, and one line with exit code 2 for bad input."""

from __future__ import annotations

import argparse
import math
import os
import sys
import sysconfig
import traceback
from pathlib import Path
from typing import Any, NoReturn

__all__ = ["main", "run"]

ABOUT = """\
Check the approximation theory of looped Transformers against reality.

A TARGET is a function on [0,1]^(N x d): a name with parameters such as token-power:alpha=0.5 (see
looprate targets), a sum such as "mean-field + 0.5*context-max", or a function of your own,
path/file.py:name or module:name, that maps an array of shape (B, N, d) to the same shape; it may be
written for NumPy, for torch, or for both.

Theorem numbers are those of Xu & Sato, arXiv 2410.01405v7."""

USER_ERRORS = (ValueError, TypeError, OSError)


class _Parser(argparse.ArgumentParser):
    """An argument parser that says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message} (see {self.prog} --help)")


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command."""
    parser = _command(None, "looprate", ABOUT, "looprate verify --preset smoke")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    targets = _command(
        commands,
        "targets",
        "List the built-in targets with their parameters.\n\n"
        "JSON: a list of {name, summary, parameters: [{name, default, doc}]}.",
        "looprate targets --json",
    )
    _json(targets)

    moduli = _command(
        commands,
        "moduli",
        "Moduli of continuity of TARGET: lower bounds that a pair of inputs attains, next to the\n"
        "closed forms.\n\n"
        "JSON: a list of {kind, delta, lower, exact, upper, side}; exact and upper are null where\n"
        "no closed form is known; side is the best that is: exact, upper or lower.",
        "looprate moduli token-power:alpha=0.5 --tokens 3 --dim 2 --p 1 --delta 0.05 0.1",
    )
    moduli.add_argument("target", metavar="TARGET")
    _shape(moduli, p=2.0)
    moduli.add_argument(
        "--delta", type=float, nargs="+", help="radii, Frobenius norm (default: 0.01 to 1)"
    )
    moduli.add_argument("--kind", nargs="+", help="sequence, token, contextual (default: all)")
    moduli.add_argument("--budget", type=float, default=1.0, help="scales the work (default: 1)")
    moduli.add_argument("--seed", type=int, default=0, help="of the search (default: 0)")
    _json(moduli)

    bound = _command(
        commands,
        "bound",
        "Evaluate the bound term by term and say where it is vacuous.\n\n"
        "vacuous: not below the error of the best constant. holds: the hypotheses are met and the\n"
        "bound is below it, so the statement says something. The O-constants, which the paper\n"
        "leaves open, are those of the explicit inequality.\n\n"
        "JSON: a list of {loops, delta, terms, total, trivial, verdict, ...}; terms has the keys\n"
        "token, context, sequence, memoriser, collisions, strips.",
        "looprate bound token-sine --tokens 2 --loops 100 10000 1000000000",
    )
    bound.add_argument("target", metavar="TARGET")
    _shape(bound, p=1.0)
    bound.add_argument(
        "--loops", type=int, nargs="+", help="loop counts r > N (default: powers of ten)"
    )
    bound.add_argument(
        "--version",
        default="theorem-3.6",
        metavar="V",
        help="theorem-3.6 (default); theorem-3.6-stages, its own stage counts; or the explicit "
        "inequality of a memoriser: increments, digits, timestep",
    )
    bound.add_argument(
        "--placement",
        default="default",
        choices=["default", "all"],
        help="all: (Nd)^(1/p) multiplies w too, the weaker reading of the theorem",
    )
    bound.add_argument(
        "--slope", type=float, default=math.inf, help="M, the quantiser's slope (default: inf)"
    )
    _json(bound)
    _construct(commands)
    _verify(commands)
    _learned(commands)
    _eta(commands)
    _claims(commands)

    figures = _command(
        commands,
        "figures",
        "Redraw every figure of DIR from its stored rows alone: no torch, no training.\n\n"
        "JSON: a list of the files drawn.",
        "looprate figures runs/verify-quick --style slides",
    )
    figures.add_argument("directory", metavar="DIR", type=Path)
    _style(figures)
    figures.add_argument(
        "--format", nargs="+", default=["png", "pdf"], choices=["png", "pdf", "svg"]
    )
    _json(figures)
    return parser


def _construct(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the compiler and its certificate."""
    construct = _command(
        commands,
        "construct",
        "Compile the proof of Theorem 3.6 into the weights of a looped Transformer for TARGET,\n"
        "run it in exact arithmetic on every cell, and certify its error.\n\n"
        "The error is enclosed rigorously and set against an explicit inequality; each term is\n"
        "shown next to its bound.\n"
        "holds: checked, and the bound is below the best constant's error. vacuous: checked, but\n"
        "the bound is not. violated: an output is not the construction's, or the error exceeds\n"
        "the bound. not testable: a hypothesis fails, or a weight is not the construction's.\n\n"
        "JSON: {rows, width, heads, loops, paper_loops, labels, memoriser_error, error_lower,\n"
        "error_upper, error_sampled, bound, trivial, terms, weight_bits, verdict, reason, checks,\n"
        "softmax, ...}; terms has {lower, upper, bound} for discretisation, memoriser,\n"
        "collisions, strips; softmax is null or {beta, tolerance, inputs, curve}, curve a list of\n"
        "[beta, error].",
        "looprate construct mean-field --grid 16 --memoriser timestep --save net.json",
    )
    construct.add_argument(
        "target", metavar="TARGET", nargs="?", help="may be left out with --load"
    )
    _shape(construct, p=1.0)
    construct.set_defaults(tokens=None, dim=None)  # told apart from 2 and 1 beside --load
    construct.add_argument(
        "-m", "--grid", type=int, help="m, cells a side; cells are 1/m wide (default: 8)"
    )
    construct.add_argument(
        "--memoriser",
        choices=["increments", "timestep", "digits"],
        help="increments (Lemma 4.1), timestep (Theorem 4.2, the default) or digits (this "
        "project's, no eta(t))",
    )
    construct.add_argument(
        "--bits", type=int, help="q, digits per label, for digits (default: 3 beyond the grid's)"
    )
    construct.add_argument(
        "--coding",
        choices=["sum", "rank"],
        help="label of a token (default: sum for increments, rank for the others)",
    )
    construct.add_argument(
        "--sharpness",
        type=int,
        help="M delta, cell width over strip width of the quantiser (default: 2^30)",
    )
    construct.add_argument(
        "--tolerance",
        type=float,
        default=5e-3,
        help="relative width of the error's enclosure to aim at (default: 0.005)",
    )
    construct.add_argument(
        "--budget",
        type=float,
        default=120.0,
        help="refuse what is estimated to take more seconds (default: 120); the error's enclosure "
        "and --softmax come on top",
    )
    construct.add_argument("--seed", type=int, default=0, help="of the cross-checks (default: 0)")
    construct.add_argument(
        "--softmax",
        type=float,
        metavar="ERROR",
        help="also find the inverse temperature at which softmax attention, in float64, is within "
        "ERROR of hardmax in every output; measured on the cells' centres, so no bound elsewhere "
        "(timestep; other memorisers leave float64's range beyond tiny grids)",
    )
    construct.add_argument("--save", type=Path, metavar="FILE", help="write the network as JSON")
    construct.add_argument(
        "--load", type=Path, metavar="FILE", help="certify a saved network instead of compiling"
    )
    construct.add_argument(
        "--out", type=Path, metavar="DIR", help="draw the stages of the proof (N = 2, d = 1)"
    )
    _style(construct)
    _json(construct)


def _verify(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the main job."""
    verify = _command(
        commands,
        "verify",
        "The main job: moduli, bounds, fits and the rate figure, with verdicts in words.\n\n"
        "Estimates the moduli of every target, evaluates the bounds, trains LT and TMLT over loop\n"
        "counts and seeds, and writes rows, figures, report.md and report.json to one folder.\n"
        "Killed at any moment and run again it resumes and ends with the same numbers.\n\n"
        "JSON: the content of report.json.",
        "looprate verify --preset smoke --target mean-field --loops 1 2 4 --out runs/mine",
    )
    verify.add_argument(
        "--preset",
        default="quick",
        choices=["smoke", "quick", "full"],
        help="smoke (under 40 s), quick (under 4 minutes on 2 cores, the default), full (hours)",
    )
    verify.add_argument("--target", nargs="+", metavar="TARGET", help="instead of the preset's")
    verify.add_argument("-N", "--tokens", type=int, help="N, the sequence length")
    verify.add_argument("-d", "--dim", type=int, help="d, coordinates per token")
    verify.add_argument("--p", type=float, help="exponent of the error and of the loss")
    verify.add_argument("--loops", type=int, nargs="+", help="loop counts to train")
    verify.add_argument("--seeds", type=int, help="number of seeds")
    verify.add_argument("--families", nargs="+", choices=["lt", "tmlt", "untied"])
    verify.add_argument("--rates", type=float, nargs="+", help="peak learning rates to try")
    verify.add_argument("--steps", type=int, help="training steps")
    verify.add_argument("--out", type=Path, help="folder (default: runs/verify-PRESET)")
    verify.add_argument("--device", choices=["cpu", "cuda"], help="where to train (default: cpu)")
    verify.add_argument("--processes", type=int, help="workers (default: one per core)")
    _style(verify)
    _json(verify)


def _eta(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the sweep that asks when eta(t) helps."""
    eta = _command(
        commands,
        "eta",
        "When does eta(t) help? The gain of TMLT over LT against w_tok + w_cont.\n\n"
        "Sweeps dials of one sequence modulus, whose token share runs from -1/4 to 1, at several\n"
        "levels of roughness. The gain is the error of LT over that of TMLT, for constructed\n"
        "networks (certified errors, at equal grids and at equal loops) and for trained ones\n"
        "(matched parameters, paired seeds). Verdicts: does eta(t) help, and does its gain grow\n"
        "with w_tok + w_cont at fixed roughness? Trained networks never speak for or against a\n"
        "bound. Killed at any moment and run again it resumes and ends with the same numbers.\n\n"
        "JSON: {config, versions, hypotheses, parts, table}; parts is a list of {part, facts,\n"
        "findings}, table one row a target and part with value, lower, upper: the error ratio.",
        "looprate eta --preset smoke",
    )
    eta.add_argument(
        "--preset",
        default="quick",
        choices=["smoke", "quick", "full"],
        help="smoke (under 40 s), quick (about 8 minutes on 2 cores, the default), full (hours)",
    )
    eta.add_argument("--loops", type=int, nargs="+", help="loop counts to train")
    eta.add_argument("--seeds", type=int, help="number of seeds; verdicts need 4")
    eta.add_argument("--out", type=Path, help="folder (default: runs/eta-PRESET)")
    eta.add_argument("--device", choices=["cpu", "cuda"], help="where to train (default: cpu)")
    eta.add_argument("--processes", type=int, help="workers (default: one per core)")
    _style(eta)
    _json(eta)


def _learned(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the moduli of trained networks."""
    learned = _command(
        commands,
        "learned",
        "Does training reproduce the moduli of its target?\n\n"
        "Sets the moduli of the trained networks in DIR, a folder of looprate verify, beside\n"
        "those of the functions they were trained on. A network's lower bound is attained by a\n"
        "pair of inputs, so it can prove that the network is rougher than its target, never that\n"
        "it is as smooth; --certify adds upper bounds, of use for small N d and few loops.\n"
        "holds: proven within 10 % for every network. violated: proven outside for some. not\n"
        "testable: the bounds do not decide, or the target's modulus is 0.\n"
        "Networks are those at the chosen learning rate, each held against its row's error.\n"
        "Killed at any moment and run again it resumes and ends with the same lower bounds.\n\n"
        "JSON: {cells, hypotheses, findings}; a cell is a target, modulus, radius, family and\n"
        "loop count: {target_lower, target_upper, exact, seeds, errors, lower, upper, found,\n"
        "at_least, at_most, word, ...}, lists over seeds, null where unknown.",
        "looprate learned runs/verify-smoke --loops 1 4 --delta 0.05",
    )
    learned.add_argument("directory", metavar="DIR", type=Path)
    learned.add_argument("--target", nargs="+", metavar="TARGET", help="some of the folder's")
    learned.add_argument("--loops", type=int, nargs="+", help="some of the folder's loop counts")
    learned.add_argument(
        "--delta", type=float, nargs="+", help="radii, Frobenius norm (default: 0.05 0.2)"
    )
    learned.add_argument(
        "--effort", type=float, help="scales the search for lower bounds (default: 0.2)"
    )
    learned.add_argument("--certify", action="store_true", help="add certified upper bounds")
    learned.add_argument(
        "--budget", type=float, help="seconds for each certified bound (default: 20)"
    )
    learned.add_argument("--processes", type=int, help="workers (default: one per core)")
    _style(learned)
    _json(learned)


def _claims(commands: argparse._SubParsersAction[_Parser]) -> None:
    """Add the ledger and what explains one claim of it."""
    claims = _command(
        commands,
        "claims",
        "The ledger: claims of the paper and of this project, checked on finitely many cases.\n\n"
        "holds: no case contradicts the claim. violated: one does. vacuous: true, but it says\n"
        "nothing. not testable: a hypothesis fails or the number is only reported. No verdict\n"
        "means proved. Results are kept, one JSON file a claim, and reused while claims, sources\n"
        "and versions stay the same: killed at any moment and run again, it resumes.\n"
        "--controls hands each check a broken ingredient instead, which it must reject.\n"
        "Exit code 1: a claim is violated or a control passes.\n\n"
        "JSON: a list of {id, title, verdict, reason, figure, evidence, seconds, file, ...}; with\n"
        "--controls also control and rejected.",
        "looprate claims lemma-4-1-error theorem-4-2-exact",
    )
    claims.add_argument("ids", metavar="ID", nargs="*", help="claims (default: all quick ones)")
    claims.add_argument("--controls", action="store_true", help="run the wrong variants instead")
    claims.add_argument("--out", type=Path, metavar="DIR", help="folder (default: runs/claims)")
    claims.add_argument("--again", action="store_true", help="run what is stored, too")
    claims.add_argument("--list", action="store_true", help="list the claims and run nothing")
    claims.add_argument("--markdown", action="store_true", help="print docs/claims.md")
    claims.add_argument(
        "--study",
        type=Path,
        metavar="DIR",
        help="folder of looprate verify that trained-beside-constructed reads instead of training",
    )
    _json(claims)

    explain = _command(
        commands,
        "explain",
        "Say what one claim states, where it is from, how to read it, on what it is checked, what\n"
        "was found last and which figure shows it.\n\n"
        "JSON: {id, title, statement, source, hypotheses, reading, checked on, controls, figure,\n"
        "last}; last is the stored result, null where there is none.",
        "looprate explain corollary-3-7",
    )
    explain.add_argument("id", metavar="ID", help="a claim, see looprate claims --list")
    explain.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of stored results (default: runs/claims)"
    )
    _json(explain)


def _command(
    commands: argparse._SubParsersAction[_Parser] | None,
    name: str,
    about: str,
    example: str | None = None,
) -> _Parser:
    """Return a parser whose help keeps its line breaks and ends with an example."""
    settings: dict[str, Any] = {
        "description": about,
        "epilog": f"example:\n  {example}" if example else None,
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "allow_abbrev": False,
    }
    if commands is None:
        return _Parser(prog=name, **settings)
    summary = about.split("\n\n")[0].replace("\n", " ")
    return commands.add_parser(name, help=summary, **settings)


def _shape(parser: argparse.ArgumentParser, *, p: float) -> None:
    """Add N, d and p."""
    parser.add_argument("-N", "--tokens", type=int, default=2, help="N (default: 2)")
    parser.add_argument("-d", "--dim", type=int, default=1, help="d (default: 1)")
    parser.add_argument(
        "--p", type=float, default=p, help=f"exponent of the norm, 1 to inf (default: {p:g})"
    )


def _style(parser: argparse.ArgumentParser) -> None:
    """Add the figure style."""
    parser.add_argument("--style", default="paper", choices=["paper", "slides"])


def _json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code: 2 for bad input, after one line on stderr.

    Set LOOPRATE_DEBUG=1 to see the traceback instead.
    """
    from experiments import commands
    from experiments.engine import TaskFailed

    try:
        try:
            options = _parser().parse_args(arguments)
        except SystemExit:  # --help; errors raise
            return 0
        return int(getattr(commands, options.command)(options))
    except KeyboardInterrupt:
        return _fail("interrupted; run the same command again to resume", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left
        return 0
    except (*USER_ERRORS, TaskFailed) as error:
        if os.environ.get("LOOPRATE_DEBUG"):
            raise
        kept = "; finished work is kept" if isinstance(error, TaskFailed) else ""
        return _fail(_one_line(error) + kept, 2)
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
    root = Path(__file__).resolve().parent.parent
    ours = [str(root / name) for name in ("theory", "approx", "experiments", "figures")]
    known = ("<", *ours, *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(known):
            return f"{frame.filename}, line {frame.lineno}"
    return None


def _one_line(error: Exception) -> str:
    """Return an error's message on one line."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"cannot use {error.filename}: {error.strerror}; check the path and its permissions"
    return " ".join(str(error).split())


def _fail(message: str, code: int) -> int:
    """Print one line on stderr and return the exit code."""
    print(f"looprate: {message}", file=sys.stderr)
    return code


def run() -> None:
    """Entry point of the installed command."""
    sys.exit(main())
