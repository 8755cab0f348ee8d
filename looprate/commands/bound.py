"""``looprate bound``: a bound term by term, and where it is vacuous."""

from __future__ import annotations

import math
from argparse import Namespace
from typing import Any

from looprate.commands.worst_case import add_worst_case, asks_worst_case, run_worst_case
from looprate.experiments.engine.progress import Progress
from looprate.options import add_option, add_options, checked_shape
from looprate.parser import Commands, add_command
from looprate.printing import in_words, print_json, print_table, say
from looprate.theory.bounds.loop_counts import THEOREMS
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.gate import SECONDS

__all__ = ["add_bound"]


def add_bound(commands: Commands) -> None:
    """Add the bound's parser."""
    bound = add_command(
        commands,
        "bound",
        "Evaluate the bound term by term and say where it is vacuous.\n\n"
        "vacuous: not below the error of the best constant. holds: the hypotheses are met and the\n"
        "bound is below it, so the statement says something. not testable: a hypothesis on TARGET\n"
        "fails; the reason holds the witness. The O-constants, which the paper leaves open, are\n"
        "those of the explicit inequality.\n"
        "--worst-case asks the other way round, and takes no TARGET: an error that no network of\n"
        "a size and number of loops falls below for all functions of a class (hardmax attention,\n"
        "real weights; the function depends on r; derived here, not yet reviewed by others).\n\n"
        "JSON: a list of {loops, delta, terms, total, trivial, verdict, ...}; terms has the keys\n"
        "token, context, sequence, memoriser, collisions, strips. With --worst-case a list of\n"
        "{loops, family, lower, grid, share, upper, by}: bounds of the worst case from both sides.",
        "looprate bound token-sine --tokens 2 --loops 100 10000 1000000000",
    )
    bound.add_argument("target", metavar="TARGET", nargs="?")
    add_options(bound, "tokens", "dim", "p")
    add_option(bound, "loops", ", each above N (default: powers of ten)")
    bound.add_argument(
        "--inequality",
        default=THEOREMS[0],
        choices=[*THEOREMS, *MEMORISERS],
        help="theorem-3.6 (default); theorem-3.6-stages, its own stage counts; or the explicit "
        f"inequality of a memoriser: {', '.join(MEMORISERS)}",
    )
    bound.add_argument(
        "--placement",
        default="all",
        choices=["all", "inner"],
        help="what (Nd)^(1/p) multiplies in the theorem, on which summaries disagree: all three "
        "moduli (default, the weaker reading, which follows from both) or inner, the token and "
        "the contextual one alone (the sharper)",
    )
    add_option(bound, "coding", "; for a memoriser's inequality")
    bound.add_argument(
        "--slope", type=float, default=math.inf, help="M, the quantiser's slope (default: inf)"
    )
    add_option(
        bound,
        "seconds",
        ": certified moduli where no closed forms are known, in boxes of an ordinary core "
        f"(default: {SECONDS:g})",
    )
    add_worst_case(bound)
    add_option(bound, "json")
    bound.set_defaults(run=run_bound)


def run_bound(options: Namespace) -> int:
    """Print a bound term by term."""
    from looprate.experiments.study.known import known_facts
    from looprate.given import asked_target
    from looprate.theory.notation import check_loops

    if asks_worst_case(options):
        return run_worst_case(options)
    seconds = SECONDS if options.seconds is None else options.seconds
    if not 0 < seconds < math.inf:
        raise ValueError(f"`seconds` must be finite and > 0, got {seconds:g}")
    shape = checked_shape(options)
    f = asked_target(options.target, tokens=options.tokens, dim=options.dim)
    counts = options.loops or [10**k for k in range(1, 13) if 10**k > options.tokens]
    for loops in counts:
        check_loops(loops, tokens=options.tokens)
    with Progress(1.0, "moduli") as bar:
        facts = known_facts(f, **shape, seconds=seconds, report=bar.to)
    given = {name: getattr(options, name) for name in ("placement", "slope", "coding")}
    at = facts.bound(options.inequality, **given)
    found = [at(loops) for loops in counts]
    if options.json:
        return print_json([row.as_dict() for row in found])
    say(f"{f}: {in_words(shape)}")
    say(
        f"{found[0].version}; best constant: {facts.trivial:.4g} (standard error "
        f"{facts.trivial_stderr:.1g})"
    )
    return _print_bound(found)


def _print_bound(rows: list[Any]) -> int:
    """Print the bound's table and what it means."""
    from looprate.theory.bounds.rows import TERM_NAMES

    names = [name for name in TERM_NAMES if any(row.terms[name] > 0 for row in rows)]
    table = [
        [
            f"{row.loops}",
            f"{row.delta:.4g}",
            *(f"{row.terms[name]:.4g}" for name in names),
            f"{row.total:.4g}",
            str(row.verdict),
        ]
        for row in rows
    ]
    print_table(["loops", "delta", *names, "total", "verdict"], table)
    say(f"r = {rows[-1].loops}: {rows[-1].reason}")
    if rows[-1].up_to_constant:
        terms = " and ".join(rows[-1].up_to_constant)
        say(f"The paper leaves the constants of {terms} open: ours are used, see --help")
    return 0
