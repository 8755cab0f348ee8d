"""``looprate learned``: moduli of a study's trained networks beside their targets'."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from looprate.experiments.study.drawing import draw_folder
from looprate.options import add_engine, add_option, add_options, chosen_engine
from looprate.parser import Commands, add_command
from looprate.printing import print_findings, print_json, print_table, say

if TYPE_CHECKING:
    from looprate.experiments.learned.moduli import LearnedPlan

__all__ = ["add_learned"]

Row = dict[str, Any]
SECONDS = 20.0  # of each certified bound


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
    add_option(learned, "target", ", some of the folder's", nargs="+")
    add_option(learned, "loops", ", some of the folder's")
    add_option(learned, "delta", " (default: 0.05 0.2)")
    add_option(learned, "effort", " (default: 0.2, a fifth of that of looprate moduli)")
    add_option(learned, "certify")
    add_option(learned, "seconds", f": each upper bound (default: {SECONDS:g})")
    add_engine(learned)
    add_options(learned, "style", "json")
    learned.set_defaults(run=run_learned)


def run_learned(options: Namespace) -> int:
    """Measure, write rows and figures, print what was found."""
    from looprate.experiments.engine.sweep import run_in_folder
    from looprate.experiments.learned import moduli, summary

    folder = Path(options.directory)
    if not (folder / "rows.jsonl").is_file():
        raise ValueError(
            f"`DIR` must be a study folder with rows.jsonl in it, got {folder}; make one with "
            "looprate verify --preset smoke --out DIR"
        )
    engine, processes = chosen_engine(options)
    plan = _plan(options, folder)
    rows = run_in_folder(
        folder,
        plan.sweep,
        lambda sweep, failed: sweep.rows(moduli.LEARNED),
        name="learned",
        processes=processes,
        engine=engine,
    )
    cells = summary.learned_cells(rows)
    tables = summary.figure_rows(cells)
    apart = _apart(plan)
    paths = [_write(folder, place, own, apart) for place, own in tables.items()]
    code, _ = draw_folder(folder, options.style, ["png", "pdf"])
    if code:
        return code
    findings = [finding.as_dict() for finding in summary.learned_findings(cells)]
    if options.json:
        return print_json({"cells": cells, "hypotheses": _hypotheses(rows), "findings": findings})
    _print(cells, _hypotheses(rows), findings)
    for path in paths:
        print(f"figure:  {path.with_suffix('.png')}")
    return 0


def _plan(options: Namespace, folder: Path) -> LearnedPlan:
    """Return what the options ask for."""
    from looprate.experiments.learned.moduli import DELTAS, EFFORT, LearnedPlan

    if options.seconds is not None and not options.certify:
        raise ValueError(f"`seconds` is for --certify, got {options.seconds:g}; add --certify")
    return LearnedPlan(
        folder,
        targets=tuple(map(_as_stored, options.target)) if options.target else None,
        loops=tuple(options.loops) if options.loops else None,
        deltas=tuple(options.delta or DELTAS),
        effort=EFFORT if options.effort is None else options.effort,
        seconds=(SECONDS if options.seconds is None else options.seconds)
        if options.certify
        else None,
    )


def _as_stored(text: str) -> str:
    """Return a target's name as rows have it, which say what a formula is."""
    from looprate.theory.targets import resolve_target

    with suppress(ValueError, OSError):  # of a file that is gone, its name must do
        return str(resolve_target(text))
    return text


def _apart(plan: LearnedPlan) -> str:
    """Return what tells a plan's figures from those of the usual one in the same folder."""
    from looprate.experiments.learned.moduli import EFFORT

    effort = "" if plan.effort == EFFORT else f"-effort{plan.effort!r}"
    certified = "" if plan.seconds is None else f"-certified{plan.seconds!r}"
    loops = "" if plan.loops is None else f"-loops{'+'.join(map(str, sorted(set(plan.loops))))}"
    return effort + certified + loops


def _write(folder: Path, place: tuple[Any, ...], rows: Sequence[Row], apart: str) -> Path:
    """Write the rows of one figure."""
    from looprate.experiments.study.figure_rows import slug, write_rows

    target, tokens, dim, delta = place
    name = slug(target, tokens, dim, f"-delta{delta!r}{apart}")
    (folder / "figures").mkdir(exist_ok=True)
    return write_rows(folder / "figures", "learned-moduli", name, rows)


def _hypotheses(rows: Sequence[Row]) -> list[Row]:
    """Return, for each hypothesis, of how many networks it was not refuted."""
    seen = {_network(row): row["hypotheses"] for row in rows if row["what"] == "network"}
    counts: dict[str, Row] = {}
    for checks in seen.values():
        for check in checks:
            claim = check["claim"].replace("the target", "the network")
            entry = counts.setdefault(claim, {"claim": claim, "holds": 0, "networks": 0})
            entry["networks"] += 1
            entry["holds"] += check["verdict"] == "holds"
    return list(counts.values())


def _network(row: Row) -> tuple[Any, ...]:
    """Return what tells one network from another."""
    return tuple(row[name] for name in ("target", "tokens", "dim", "p", "family", "loops", "seed"))


def _print(cells: Sequence[Row], hypotheses: Sequence[Row], findings: Sequence[Row]) -> None:
    """Print a table for each target, then the findings."""
    whole = [check for check in hypotheses if check["holds"] == check["networks"]]
    say(f"hypotheses not refuted for any network: {len(whole)} of {len(hypotheses)}")
    for check in (check for check in hypotheses if check not in whole):
        say(f"{check['claim']}: not refuted for {check['holds']} of {check['networks']} networks")
    for place in dict.fromkeys((c["target"], c["tokens"], c["dim"], c["p"]) for c in cells):
        target, tokens, dim, p = place
        say(f"\n{target}: N = {tokens}, d = {dim}, p = {p:g}")
        own = [c for c in cells if (c["target"], c["tokens"], c["dim"], c["p"]) == place]
        head = ["modulus", "delta", "family", "loops", "target", "learned", "ratio found", "proven"]
        print_table(head, [_line(cell) for cell in own])
    print_findings(findings)
    say("learned: median over seeds of lower bounds, each attained by a pair of inputs, to the")
    say("median of certified upper bounds where there are any. ratio found: lower bound over the")
    say("target's modulus, median [least, largest over seeds]. proven: what the bounds allow.")
    if sys.stdout.isatty():
        print()


def _line(cell: Row) -> list[str]:
    """Return one line of the table."""
    sign = "" if cell["exact"] else ">= "
    target = cell["target_upper"] if cell["exact"] else cell["target_lower"]
    return [
        cell["kind"],
        f"{cell['delta']:g}",
        cell["family"],
        f"{cell['loops']}",
        f"{sign}{target:.4g}",
        _bracket(cell),
        _spread(cell["found"]),
        cell["word"],
    ]


def _bracket(cell: Row) -> str:
    """Return the median lower bound, and the median upper bound if every seed has one."""
    lower = f"{median(cell['lower']):.4g}"
    if None in cell["upper"]:
        return f">= {lower}"
    return f"{lower} to {median(cell['upper']):.4g}"


def _spread(values: Sequence[float | None]) -> str:
    """Return the median with the least and the largest value."""
    known = [value for value in values if value is not None]
    if not known:
        return "none"
    return f"{median(known):.3g} [{min(known):.3g}, {max(known):.3g}]"
