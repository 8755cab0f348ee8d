"""``looprate bound --worst-case``: what no network of a size can do, whatever its weights."""

from __future__ import annotations

import math
from argparse import ArgumentParser, Namespace
from typing import Any

from looprate.options import checked_shape
from looprate.printing import in_words, print_json, print_table, say
from looprate.theory.bounds.loop_counts import THEOREMS
from looprate.theory.outputs import at_least, at_most

FAMILIES = ("lt", "tmlt", "untied")
#: Options of a network: field of NetworkSize -> option, and words.
SIZES = {
    "rows": ("--stream-rows", "D, rows of the residual stream (default: 4d + 11)"),
    "width": ("--width", "q, ReLU units (default: 12d + 8)"),
    "heads": ("--heads", "h, heads of attention (default: 2)"),
    "head_size": ("--head-size", "of each head (default: 1)"),
    "weight_bits": ("--weight-bits", "b, bits of a weight (default: real numbers)"),
}
CLASS = {"lipschitz": "L of the class (default: 1)", "holder": "s of the class (default: 1)"}
#: What needs --worst-case: name in the options -> option.
NEEDING = {
    "family": "--family",
    **{name: option for name, (option, _) in SIZES.items()},
    "eta_network": "--eta-network",
    **{name: f"--{name}" for name in CLASS},
}
#: What is about a target: name in the options -> what it is where it is not given.
OF_A_TARGET = {"inequality": THEOREMS[0], "placement": "all", "coding": None, "slope": math.inf}


def add_worst_case(bound: ArgumentParser) -> None:
    """Add the options to the parser of ``looprate bound``."""
    group = bound.add_argument_group(
        "the worst case over all f with ‖f(X) - f(Y)‖_p <= L ‖X - Y‖^s, instead of TARGET"
    )
    group.add_argument("--worst-case", action="store_true", help="what no network of a size can do")
    group.add_argument(
        "--family",
        nargs="+",
        choices=FAMILIES,
        help="lt: weight-tied; tmlt: with eta(t); untied: a block a loop (default: lt tmlt)",
    )
    for name, (option, words) in SIZES.items():
        group.add_argument(option, dest=name, metavar=name.upper(), type=int, help=words)
    group.add_argument(
        "--eta-network",
        type=int,
        nargs=3,
        metavar=("PARAMETERS", "UNITS", "LAYERS"),
        help="of tmlt: eta(t) comes from a ReLU network of this size (default: free)",
    )
    for name, words in CLASS.items():
        group.add_argument(f"--{name}", type=float, help=words)


def asks_worst_case(options: Namespace) -> bool:
    """Tell what is asked for; raise where options do not fit."""
    given = [option for name, option in NEEDING.items() if getattr(options, name) is not None]
    if options.worst_case and options.target is not None:
        raise ValueError(
            f"`TARGET` must be left out with --worst-case, which is about a class of functions, "
            f"got {options.target!r}"
        )
    if not options.worst_case and options.target is None:
        raise ValueError("`TARGET` must be given, or --worst-case (see looprate bound --help)")
    if not options.worst_case and given:
        raise ValueError(f"`{given[0]}` needs --worst-case; leave it out")
    for name, default in OF_A_TARGET.items():
        if options.worst_case and getattr(options, name) != default:
            raise ValueError(f"`--{name}` is about a TARGET; leave it out with --worst-case")
    return bool(options.worst_case)


def run_worst_case(options: Namespace) -> int:
    """Print lower bounds of the worst-case error."""
    from looprate.theory.bounds.lower import worst_case_error_lower_bound

    shape = checked_shape(options)
    counts = options.loops or [10**k for k in range(1, 13)]
    sizes = _sizes(options, shape["dim"])
    asked = {name: getattr(options, name) for name in CLASS}
    of_class: dict[str, Any] = {
        name: 1.0 if value is None else value for name, value in asked.items()
    }
    rows = []
    for loops in counts:
        for size in sizes:
            found = worst_case_error_lower_bound(loops, size=size, **shape, **of_class)
            row = {"loops": loops, "family": size.family, "lower": found.value}
            row |= {"grid": found.grid, "share": found.share}
            rows.append(row | _reached(loops, size, shape, of_class))
    if options.json:
        return print_json(rows)
    return _print(rows, sizes[0], shape, of_class)


def _sizes(options: Namespace, dim: int) -> list[Any]:
    """The networks asked about, one a family."""
    from dataclasses import replace

    from looprate.theory.bounds.pattern_count import EtaNetwork, NetworkSize

    asked = {name: getattr(options, name) for name in SIZES}
    base = replace(
        NetworkSize.of_constructions(dim),
        **{name: value for name, value in asked.items() if value is not None},
    )
    network = EtaNetwork(*options.eta_network) if options.eta_network else None
    families = options.family or (["tmlt"] if network else ["lt", "tmlt"])
    return [replace(base, family=family, eta_network=network) for family in families]


def _reached(
    loops: int, size: Any, shape: dict[str, Any], of_class: dict[str, Any]
) -> dict[str, Any]:
    """What constructions of the family reach for every f of the class, and which."""
    from looprate.theory.bounds.upper import worst_case_error_upper_bound

    if size.weight_bits is not None or math.isinf(shape["p"]):  # long weights; strips count
        return {"upper": None, "by": None}
    family: Any = "lt" if size.eta_network else size.family
    found = worst_case_error_upper_bound(loops, family=family, **shape, **of_class)
    return {"upper": found.total, "by": found.version.partition(", ")[2]}


def _print(
    rows: list[dict[str, Any]], size: Any, shape: dict[str, Any], of_class: dict[str, Any]
) -> int:
    """Print the table and what it means."""
    lipschitz, holder = of_class["lipschitz"], of_class["holder"]
    say(
        f"{in_words(shape)}; all f with ‖f(X) - f(Y)‖_p <= {lipschitz:g} ‖X - Y‖^{holder:g}; "
        f"blocks of {size.rows} rows, {size.width} units, heads: {size.heads} of size "
        f"{size.head_size}"
    )
    print_table(
        ["loops", "family", "no error below", "all f within", "by"],
        [
            [f"{row['loops']}", row["family"], at_least(row["lower"], 3)]
            + (["unknown", ""] if row["upper"] is None else [at_most(row["upper"], 3), row["by"]])
            for row in rows
        ],
    )
    say(
        "no error below: in each line for some f of the class, which depends on it, no such "
        "network comes nearer in L^p; hardmax attention, exact arithmetic, "
        + ("weights of few bits." if size.weight_bits else "any real weights.")
    )
    say("all f within: what networks of a size of their own reach for every f of the class.")
    say("Derived by this project and not yet reviewed by others; exponents matter, not levels.")
    return 0
