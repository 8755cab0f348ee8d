"""``looprate moduli``: lower bounds, closed forms and, where asked for, certified upper bounds."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from looprate.experiments.engine.progress import Progress
from looprate.options import add_option, add_options, checked_shape
from looprate.parser import Commands, add_command
from looprate.printing import in_words, print_json, print_table, say, side
from looprate.theory.outputs import at_least, at_most

if TYPE_CHECKING:
    from looprate.theory.notation import Kind

__all__ = ["add_moduli"]

KINDS: tuple[Kind, ...] = (
    "sequence",
    "token",
    "contextual",
)  # of theory.notation, which loads numbers

Row = dict[str, Any]
TOLERANCE, SECONDS = 0.02, 60.0  # of --certify
RESOLVED = 2.0**-52  # entries of inputs are as far apart as this, or nearer to 0


def add_moduli(commands: Commands) -> None:
    """Add the parser of the moduli."""
    moduli = add_command(
        commands,
        "moduli",
        "Moduli of continuity of TARGET: lower bounds that a pair of inputs attains, next to the\n"
        "closed forms. TARGET may be a trained network of looprate verify, too:\n"
        "DIR/models/FILE.npz, or FILE.npz:INDEX where the file holds several.\n\n"
        "--certify adds upper bounds that are proven, by branch and bound in outward-rounded\n"
        "arithmetic. They bound the function that the formula spells, computed exactly; the lower\n"
        "ones are attained by its values in float64. Where rounding makes the two differ, nothing\n"
        "is certified, and it is said why. gap is upper / lower - 1. A search that\n"
        "ends before the gap is within the tolerance says not reached; its bound is valid all the\n"
        "same. A gap may also stay because the lower bound is low: raise --effort as well as\n"
        "--seconds. Own functions and torch modules need operations that have enclosures; for\n"
        "others the lower bounds are printed, and why there are no more.\n\n"
        "JSON: a list of {kind, delta, lower, exact, upper, side}; exact and upper are null where\n"
        "no closed form is known; side is the best that is: exact, upper or lower. lower is null\n"
        "where the modulus is beyond the largest float64 number. --certify adds\n"
        "{certified, gap, method, reached, note, boxes, seconds, x, y}: certified is the proven\n"
        "upper bound, null where there is none; gap is null where lower is 0; x, y is a pair that\n"
        "attains lower.",
        "looprate moduli token-power:alpha=0.5 --tokens 3 --dim 2 --p 1 --delta 0.05 0.1",
    )
    moduli.add_argument("target", metavar="TARGET")
    add_options(moduli, "tokens", "dim", "p")
    add_option(moduli, "delta", " (default: 0.01 to 1; no closed form: from 0.0001)")
    moduli.add_argument("--kind", nargs="+", choices=KINDS, help="some of them (default: all)")
    add_option(moduli, "effort", " (default: 1)", default=1.0)
    add_options(moduli, "seed", "certify")
    add_option(moduli, "tolerance", f" (default: {TOLERANCE:g}, that is 2 %%)")
    add_option(
        moduli,
        "seconds",
        f": all upper bounds together, the lower ones come on top (default: {SECONDS:g})",
    )
    add_option(moduli, "json")
    moduli.set_defaults(run=run_moduli)


def run_moduli(options: Namespace) -> int:
    """Print lower bounds, closed forms and certified upper bounds of the moduli of a target."""
    from looprate.given import asked_target
    from looprate.theory import facts
    from looprate.theory.hypotheses import check_hypotheses, failures

    if options.seed < 0:
        raise ValueError(f"`seed` must be an integer >= 0, got {options.seed}")
    limits = _limits(options)
    shape = checked_shape(options)
    f = asked_target(options.target, tokens=options.tokens, dim=options.dim)
    deltas = options.delta or facts.search_radii(f, **shape)
    with Progress(1.0, "moduli") as bar:
        curves = facts.lower_curves(
            f,
            deltas,
            **shape,
            effort=options.effort,
            seed=options.seed,
            kinds=options.kind or KINDS,
            report=bar.to,
        )
    rows = facts.moduli_rows(f, curves, **shape)
    warnings = [*failures(check_hypotheses(f, **shape)), *_beyond_floats(rows)]
    if options.certify:
        rows, refused = _certified(f, rows, curves, {**shape, **limits})
        warnings = [*warnings, *refused]
    for line in warnings:
        say(f"looprate: {line}", file=sys.stderr)
    if options.json:
        return print_json(rows)
    say(f"{f}: {in_words(shape)}; smoothness: {f.smoothness.note}")
    return _print_certified(rows) if options.certify else _print(rows)


def _beyond_floats(rows: Sequence[Row]) -> list[str]:
    """Return what float64 cannot tell: of moduli that overflow, and of the smallest radii."""
    huge = [" at delta ".join(_name(row)) for row in rows if math.isinf(row["lower"])]
    mute = [row["kind"] for row in rows if row["lower"] == 0 < row["delta"] < RESOLVED]
    lines = [f"{', '.join(huge)}: the modulus is beyond the largest float64 number"] if huge else []
    if mute and any(row["upper"] != 0 for row in rows if row["kind"] in mute):
        lines.append(
            f"{', '.join(dict.fromkeys(mute))}: at radii below {RESOLVED:.2g} float64 hardly tells "
            "inputs apart, so a lower bound of 0 there says nothing; ask for larger radii"
        )
    return lines


def _limits(options: Namespace) -> dict[str, float]:
    """Return tolerance and seconds, checked."""
    defaults = {"tolerance": TOLERANCE, "seconds": SECONDS}
    limits = {}
    for name, default in defaults.items():
        value = getattr(options, name)
        if value is not None and not options.certify:
            raise ValueError(f"`{name}` is for --certify, got {value:g}; add --certify")
        limits[name] = default if value is None else value
        if not 0 < limits[name] < float("inf"):
            raise ValueError(f"`{name}` must be finite and > 0, got {value:g}")
    return limits


def _certified(f: Any, rows: list[Row], curves: Any, setting: Row) -> tuple[list[Row], list[str]]:
    """Return the rows with their upper bounds, and why there are none where there are not."""
    from looprate.experiments.study.followed import followed
    from looprate.theory.continuity.certified import certified_columns

    with Progress(1.0, "certify") as bar:
        columns, reasons = certified_columns(f, curves, **setting, follow=followed, report=bar.to)
    joined = [{**row, **column} for row, column in zip(rows, columns, strict=True)]
    return joined, [f"no certified upper bounds: {reason}" for reason in reasons]


def _print(rows: Sequence[Row]) -> int:
    """Print lower bounds beside closed forms."""
    table = [[*_name(row), _attained(row), *_closed_form(row)] for row in rows]
    print_table(["modulus", "delta", "lower bound", "closed form", "side"], table)
    say("Lower bounds are guaranteed: a pair of inputs attains each. A closed form is exact or a")
    say("proven upper bound, as its side says.")
    return 0


def _print_certified(rows: Sequence[Row]) -> int:
    """Print lower and upper bounds beside closed forms, then what was not reached."""
    head = ["modulus", "delta", "at least", "at most", "gap", "by", "closed form", "side"]
    table = [
        [
            *_name(row),
            _attained(row),
            side(row["certified"], at_most),
            "unknown" if row["gap"] is None else f"{100 * row['gap']:.3g} %",
            "none" if row["certified"] is None else row["method"],
            *_closed_form(row),
        ]
        for row in rows
    ]
    print_table(head, table)
    for row in (row for row in rows if row["method"] is not None and not row["reached"]):
        say(f"not reached: {row['kind']}, delta {row['delta']:g}: {row['note']}")
    say("at least: a pair of inputs attains it. at most: certified, by the method named, whether")
    say("reached or not. A closed form is exact or a proven upper bound, as its side says.")
    return 0


def _name(row: Row) -> list[str]:
    """The modulus and its radius."""
    return [row["kind"], f"{row['delta']:g}"]


def _attained(row: Row) -> str:
    """The lower bound, or that no number holds it."""
    return at_least(row["lower"]) if math.isfinite(row["lower"]) else "beyond float64"


def _closed_form(row: Row) -> list[str]:
    """The closed form and the side that is known."""
    exact, value = row["side"] == "exact", row["upper"]
    return [f"{value:.6g}" if exact else side(value, at_most), row["side"]]
