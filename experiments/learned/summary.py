"""What the moduli of trained networks say: ratios to the target's, in words, from rows alone.

With L and U a network's lower and upper bound of one modulus and l and u the target's, the ratio of
the two moduli lies between L/u and U/l.  So lower bounds alone can prove that a network is rougher
than its target, never that it is as smooth: that takes the network's upper bound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from looprate.experiments.study.summary import NAMES
from looprate.theory.gate import under_hypotheses
from looprate.theory.notation import KINDS
from looprate.theory.verdict import Finding, Verdict

__all__ = ["figure_rows", "learned_cells", "learned_findings"]

Row = dict[str, Any]
WITHIN = 0.1  # a modulus is reproduced if its ratio to the target's is this near 1
PLACE = ("target", "tokens", "dim", "p", "kind", "delta")


def learned_cells(rows: Sequence[Row]) -> list[Row]:
    """Return one entry per target, modulus, radius, family and loop count.

    Each has the target's ``target_lower``, ``target_upper`` (None where unknown) and whether they
    are ``exact``; over seeds: ``lower``, ``upper``, ``found`` (L over the target's best known
    value), ``at_least`` (L/u) and ``at_most`` (U/l), None where unknown; and the ``word`` they
    allow.
    """
    targets = {_place(row): row for row in rows if row["what"] == "target"}
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row["what"] == "network":
            groups.setdefault((*_place(row), row["family"], row["loops"]), []).append(row)
    return [_cell(targets[place[:-2]], own) for place, own in groups.items()]


def _place(row: Row) -> tuple[Any, ...]:
    """Target, shape, modulus and radius of a row."""
    return tuple(row[name] for name in PLACE)


def _cell(target: Row, own: Sequence[Row]) -> Row:
    """Summarise the seeds of one family and loop count."""
    own = sorted(own, key=lambda row: row["seed"])
    best = target["upper"] if target["exact"] else target["lower"]
    cell = {
        **{name: target[name] for name in (*PLACE, "latex", "exact")},
        **{name: own[0][name] for name in ("family", "loops")},
        "target_lower": target["lower"],
        "target_upper": target["upper"],
        "seeds": [row["seed"] for row in own],
        "errors": [row["error"] for row in own],
        "lower": [row["lower"] for row in own],
        "upper": [row["upper"] for row in own],
        "found": [_ratio(row["lower"], best) for row in own],
        "at_least": [_ratio(row["lower"], target["upper"]) for row in own],
        "at_most": [_ratio(row["upper"], target["lower"]) for row in own],
        "notes": sorted({row["note"] for row in own if row["note"]}),
        "unmet": [
            check
            for row in (target, *own)
            for check in row.get("hypotheses", [])
            if check["verdict"] != "holds"
        ],
    }
    return cell | {"word": _word(cell)}


def _ratio(value: float | None, of: float | None) -> float | None:
    """Return value / of, None where either is unknown or the modulus is 0."""
    return None if value is None or not of else value / of


def _word(cell: Row) -> str:
    """Return what the bounds of all seeds prove."""
    if cell["target_upper"] == 0:
        return "target has none"
    words = {
        _seed_word(least, most)
        for least, most in zip(cell["at_least"], cell["at_most"], strict=True)
    }
    return words.pop() if len(words) == 1 else "undecided"


def _seed_word(least: float | None, most: float | None) -> str:
    """Return what the interval of one ratio proves."""
    low, high = 0.0 if least is None else least, math.inf if most is None else most
    if low > 1 + WITHIN:
        return "too rough"
    if high < 1 - WITHIN:
        return "too smooth"
    return "reproduced" if low >= 1 - WITHIN and high <= 1 + WITHIN else "undecided"


def learned_findings(cells: Sequence[Row]) -> list[Finding]:
    """Return whether training reproduces each modulus: one finding a target, modulus and family.

    holds: proven within 10 % for every seed, loop count and radius.  violated: proven outside for
    some.  not testable: neither, or the target's modulus is 0.
    """
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for cell in cells:
        place = tuple(cell[name] for name in ("target", "tokens", "dim", "p", "family", "kind"))
        groups.setdefault(place, []).append(cell)
    order = {kind: place for place, kind in enumerate(KINDS)}
    ordered = sorted(groups, key=lambda place: (*place[:-1], order[place[-1]]))
    return [_finding(groups[place]) for place in ordered]


def _finding(group: Sequence[Row]) -> Finding:
    """Judge one modulus of one family over loop counts and radii."""
    group = sorted(group, key=lambda cell: (cell["delta"], cell["loops"]))
    first = group[0]
    words = [
        _seed_word(least, most)
        for cell in group
        for least, most in zip(cell["at_least"], cell["at_most"], strict=True)
    ]
    if first["target_upper"] == 0:
        verdict = Verdict.NOT_TESTABLE
    elif all(word == "reproduced" for word in words):
        verdict = Verdict.HOLDS
    elif {"too rough", "too smooth"} & set(words):
        verdict = Verdict.VIOLATED
    else:
        verdict = Verdict.NOT_TESTABLE
    claim = (
        f"trained {NAMES[first['family']]} has the {first['kind']} modulus of {first['target']} "
        f"within {100 * WITHIN:g} %"
    )
    found = Finding(claim, verdict, _reason(group, words), {"cells": [_evidence(c) for c in group]})
    unmet = {check["claim"]: Finding.from_dict(check) for c in group for check in c["unmet"]}
    return under_hypotheses(found, list(unmet.values()))


def _reason(group: Sequence[Row], words: Sequence[str]) -> str:
    """Say what was proven and what was only found."""
    if group[0]["target_upper"] == 0:
        largest = max(value for cell in group for value in cell["lower"])
        return f"the target's is 0, so there is no ratio; the networks' is up to {largest:.3g}"
    counts = [f"{words.count(word)} {word}" for word in dict.fromkeys(words)]
    radii = sorted({cell["delta"] for cell in group})
    found = [f"radius {d:g}: {_by_loops(group, d)}" for d in radii]
    certified = any(value is not None for cell in group for value in cell["upper"])
    more = "" if certified else "; lower bounds can prove too rough only, see --certify"
    proven = f"{len(words)} cases, each a network at a radius: {', '.join(counts)}"
    return f"{proven}; median ratio found at {'; '.join(found)}{more}"


def _by_loops(group: Sequence[Row], delta: float) -> str:
    """Return the median ratio found at each loop count."""
    own = [cell for cell in group if cell["delta"] == delta]
    return ", ".join(
        f"{np.median([v for v in cell['found'] if v is not None]):.3g} (r = {cell['loops']})"
        for cell in own
    )


def _evidence(cell: Row) -> Row:
    """Return the numbers behind a verdict."""
    names = ("loops", "delta", "word", "target_lower", "target_upper", "lower", "upper", "found")
    return {name: cell[name] for name in (*names, "at_least", "at_most")}


def figure_rows(cells: Sequence[Row]) -> dict[tuple[Any, ...], list[Row]]:
    """Return the rows of the figure, by (target, N, d, radius): one a network and modulus."""
    tables: dict[tuple[Any, ...], list[Row]] = {}
    for cell in cells:
        place = (cell["target"], cell["tokens"], cell["dim"], cell["delta"])
        tables.setdefault(place, []).extend(_seed_rows(cell))
    return tables


def _seed_rows(cell: Row) -> list[Row]:
    """Return one figure row a seed."""
    shared = ("kind", "delta", "family", "loops", "target", "latex", "tokens", "dim", "p")
    return [
        {name: cell[name] for name in shared}
        | {"seed": seed, "value": found, "lower": least, "upper": most}
        for seed, found, least, most in zip(
            cell["seeds"], cell["found"], cell["at_least"], cell["at_most"], strict=True
        )
    ]
