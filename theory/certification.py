"""Certified upper bounds of what bounds rest on, where nothing is proven of a target on paper.

The search is counted in boxes, not in seconds: its numbers are the same on every machine that is
not slow beyond reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from looprate.theory.bounds.rows import Moduli
from looprate.theory.continuity import ModulusLowerCurve
from looprate.theory.continuity.certified import Follow, certified_columns
from looprate.theory.continuity.transfer import lower_from, upper_from
from looprate.theory.enclosure.soundness import check_enclosures
from looprate.theory.gate import Side
from looprate.theory.notation import KINDS, Kind
from looprate.theory.oscillation import check_oscillation, enclosed_oscillation, oscillation_of
from looprate.theory.outputs import one_line
from looprate.theory.targets import Target

__all__ = ["closed_curves", "drawn", "drawn_rows"]

TOLERANCE = 0.05  # terms of bounds need no more
BOXES_A_SECOND = 50_000  # over (N·d)^3: so much more a box costs as inputs have more entries
BETWEEN = 49  # radii of a drawn closed form
PATIENCE = 12.0  # times the seconds, by the clock
Row = dict[str, Any]


@dataclass(frozen=True)
class Proof:
    """Upper sides of a target's moduli and of D, as far as there are any.

    Attributes
    ----------
    oscillation : float
        D.
    side : {"upper", "lower"}
        Of D: proven, or the largest that was seen.
    columns : tuple of dict
        {certified, method} of every radius of every kind, None where there is no upper bound.
    missing : str
        Why there are none, one line; "" where there are.

    See :func:`unproven` and :func:`proof_of`.
    """

    oscillation: float
    side: Side
    columns: tuple[Row, ...] = ()
    missing: str = ""


def unproven(target: Target, *, tokens: int, dim: int) -> Proof:
    """Return what is known of D without a search: proven on paper, or the largest that is seen.

    Parameters
    ----------
    target : Target
    tokens, dim : int
        N and d.
    """
    seen = oscillation_of(target, tokens=tokens, dim=dim)
    proven = target.oscillation(tokens=tokens, dim=dim) is not None
    return Proof(seen, "upper" if proven else "lower")


def proof_of(
    target: Target,
    curves: Mapping[Kind, ModulusLowerCurve],
    *,
    tokens: int,
    dim: int,
    p: float,
    seconds: float,
    follow: Follow,
    report: Callable[[float], None] | None = None,
) -> Proof:
    """Certify the moduli at the radii of curves, and D.

    Parameters
    ----------
    target : Target
    curves : mapping from kind to ModulusLowerCurve
    tokens, dim, p
        The setting.
    seconds : float
        > 0, of an ordinary core: so many boxes.
    follow : callable
        As in :func:`looprate.theory.continuity.certified.certified_columns`.
    report : callable, optional
        Called with the finished fraction.
    """
    size: Row = {"tokens": tokens, "dim": dim}
    known = unproven(target, **size)
    boxes = max(1, round(seconds * BOXES_A_SECOND / (tokens * dim) ** 3))
    how: Row = {"tolerance": TOLERANCE, "boxes": boxes}
    none = tuple({"certified": None, "method": None} for k in curves for _ in curves[k].delta)
    try:
        whole = follow(target, tokens, dim)
        moved = check_enclosures(whole, **size)
        if known.side == "lower":
            found = enclosed_oscillation(whole, **size, **how)
            if not moved:
                check_oscillation(whole, known.oscillation, found, **size)
            known = Proof(max(known.oscillation, found), "upper")
    except ValueError as error:
        return replace(known, columns=none, missing=one_line(error))
    if math.isinf(known.oscillation):
        why = "enclosures find no finite bound of the target's values"
        return replace(unproven(target, **size), columns=none, missing=why)
    how |= {"seconds": PATIENCE * seconds, "report": report}
    columns, reasons = certified_columns(whole, curves, **size, p=p, **how)
    kept = tuple({name: column[name] for name in ("certified", "method")} for column in columns)
    return replace(known, columns=kept, missing="; ".join(reasons))


def beside(row: Row, column: Row) -> Row:
    """Return a row of a modulus with an upper bound that is certified, and the best side known.

    Parameters
    ----------
    row : dict
        Of :func:`looprate.theory.facts.moduli_rows`.
    column : dict
        {certified, method}.
    """
    sided = row["side"] == "lower" and column["certified"] is not None
    return {**row, **column, "side": "upper" if sided else row["side"]}


def drawn(row: Row) -> Row:
    """Return a row of a modulus whose ``upper`` is the least that is proven, for a figure.

    Parameters
    ----------
    row : dict
        Its ``certified`` is None, or missing, where nothing is certified.
    """
    known = (row.get("upper"), row.get("certified"))
    return row | {"upper": min((value for value in known if value is not None), default=None)}


def closed_curves(
    target: Target, radii: Iterable[float], *, tokens: int, dim: int, p: float
) -> list[Row]:
    """Return rows {kind, delta, lower, exact, upper} of closed forms; none where there is none.

    ``lower`` is None: nothing was searched there.
    """
    found = []
    for kind in KINDS:
        for delta in radii:
            form = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
            if form is not None:
                exact = form.value if form.side == "exact" else None
                row = {"kind": kind, "delta": delta, "lower": None, "exact": exact}
                found.append(row | {"upper": form.value})
    return found


def drawn_rows(
    target: Target, rows: Iterable[Row], *, tokens: int, dim: int, p: float
) -> list[Row]:
    """Return rows of moduli for a figure, and closed forms at radii between theirs.

    A curve through the radii of a search alone would have corners that the modulus has not.
    """
    own = [drawn(row) for row in rows]
    radii = sorted({row["delta"] for row in own})
    if len(radii) < 2:
        return own
    between = np.setdiff1d(np.geomspace(radii[0], radii[-1], BETWEEN)[1:-1], radii).tolist()
    return own + closed_curves(target, between, tokens=tokens, dim=dim, p=p)


def moduli_of(target: Target, rows: Iterable[Row], *, tokens: int, dim: int, p: float) -> Moduli:
    """Return ``(kind, delta) -> (value, side)`` from closed forms, else from rows of bounds.

    Between the radii of the rows a bound is extended by monotonicity and subadditivity, so it stays
    one; where upper ones are certified, they are what is said.
    """
    known, proven = {}, {}
    for kind in KINDS:
        own = [row for row in rows if row["kind"] == kind]
        known[kind] = [(row["delta"], row["lower"]) for row in own]
        ends = [(row["delta"], row.get("certified")) for row in own]
        proven[kind] = [(delta, value) for delta, value in ends if value is not None]

    def modulus(kind: Kind, delta: float) -> tuple[float, Side]:
        form = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
        if form is not None:
            return form.value, form.side
        if proven[kind] and delta > 0:
            return upper_from(delta, proven[kind])[0], "upper"
        return lower_from(delta, known[kind])[0], "lower"

    return modulus
