"""Parsers of the commands whose own modules load numbers, kept apart so that --help is quick."""

from __future__ import annotations

from pathlib import Path

from looprate.experiments.study.drawing import FORMATS
from looprate.options import Commands, add_command, add_engine, add_json, add_shape, add_style

__all__ = ["add_claims", "add_construct", "add_eta", "add_figures", "add_learned"]


def add_construct(commands: Commands) -> None:
    """Add the compiler and its certificate."""
    construct = add_command(
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
    add_shape(construct, p=1.0)
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
        "(--seconds) and --softmax come on top",
    )
    construct.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        help="for the error's enclosure, which then stays as wide as it is (default: 60)",
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
    add_style(construct)
    add_json(construct)


def add_eta(commands: Commands) -> None:
    """Add the sweep that asks when eta(t) helps."""
    eta = add_command(
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
    eta.add_argument(
        "--out",
        type=Path,
        help="folder (default: runs/eta-PRESET, or one beside it where that answers another "
        "question)",
    )
    eta.add_argument("--device", choices=["cpu", "cuda"], help="where to train (default: cpu)")
    add_engine(eta)
    add_style(eta)
    add_json(eta)


def add_learned(commands: Commands) -> None:
    """Add the moduli of trained networks."""
    learned = add_command(
        commands,
        "learned",
        "Does training reproduce the moduli of its target?\n\n"
        "Sets the moduli of the trained networks in DIR, a folder of looprate verify, beside\n"
        "those of the functions they were trained on. A network's lower bound is attained by a\n"
        "pair of inputs, so it can prove that the network is rougher than its target, never that\n"
        "it is as smooth; --certify adds upper bounds, of use for small N d and few loops.\n"
        "holds: proven within 10 % for every network. violated: proven outside for some. not\n"
        "testable: the bounds do not decide, the target's modulus is 0, or a hypothesis does not\n"
        "hold. Figures of another --effort, --loops or --certify have names of their own.\n"
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
    add_engine(learned)
    add_style(learned)
    add_json(learned)


def add_claims(commands: Commands) -> None:
    """Add the ledger and what explains one claim of it."""
    claims = add_command(
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
    add_json(claims)

    explain = add_command(
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
    add_json(explain)


def add_figures(commands: Commands) -> None:
    """Add what draws figures again."""
    figures = add_command(
        commands,
        "figures",
        "Redraw every figure of DIR from its stored rows alone: no torch, no training.\n\n"
        "Rows are in DIR/figures/KIND__SLUG.csv; a figure is written beside them, or with a copy\n"
        "of them into another folder, so that it is never without its rows; other rows of that\n"
        "name are not replaced there. The same rows give the same bytes. Text in svg and pdf\n"
        "stays text, for editing and searching.\n\n"
        "more examples:\n"
        "  looprate figures docs --only moduli --format svg --to talk    one figure, editable\n"
        "  looprate figures runs/mine --only error-against-loops moduli  two kinds of it\n"
        "  looprate figures runs/mine --style poster --format pdf        for an A0 sheet\n"
        "  looprate figures docs --handout                               the main figure and its\n"
        "                                                                theorem on one A4 page\n\n"
        "JSON: a list of the files drawn.",
        "looprate figures runs/verify-quick --style slides",
    )
    figures.add_argument("directory", metavar="DIR", type=Path, help="folder of a study, or docs")
    add_style(figures)
    figures.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=[],
        help="what to write (default: png pdf; of a handout pdf)",
    )
    figures.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="KIND[__SLUG]",
        help="draw these alone: every figure of a kind such as moduli, or one such as moduli__dial",
    )
    figures.add_argument(
        "--to", type=Path, metavar="DIR2", help="write there, rows included (default: beside them)"
    )
    figures.add_argument(
        "--handout",
        action="store_true",
        help="write DIR/figures/handout__SLUG.pdf for each error-against-loops__SLUG.csv instead",
    )
    add_json(figures)
