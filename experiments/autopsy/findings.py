"""What the numbers of an autopsy come to, in plain words, one finding a panel.

A stretch and a modulus are lower bounds: they can show that a loop is no contraction, never that it
is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Row = dict[str, Any]
SAME = 0.05  # relative: errors closer than this, or both this small, are called alike
ROUNDING = 1e-6  # of a singular value
TURNED = 0.9  # cosine below which a state is said to turn


def findings_of(rows: Sequence[Row], facts: Row) -> list[Row]:
    """Return the findings, each {panel, short, sentence}, in the order of the page."""
    makers = {
        "readout": _readout,
        "update": _update,
        "similarity": _similarity,
        "sensitivity": _sensitivity,
        "moduli": _moduli,
        "parts": _parts,
    }
    found = []
    for panel, maker in makers.items():
        own = [row for row in rows if row["panel"] == panel]
        given = own or panel == "parts"
        short, sentence = maker(own, facts) if given else ("not measured", _why_not(panel, facts))
        found.append({"panel": panel, "short": short, "sentence": sentence})
    return found


def _why_not(panel: str, facts: Row) -> str:
    """Say why a panel is empty."""
    reasons = [note for note in facts["notes"] if note.startswith("no gradient")]
    return f"{panel}: not measured" + (f": {reasons[0]}" if reasons else "")


def _named(rows: Sequence[Row], name: str) -> dict[int, Row]:
    """Return the rows of one line by loop."""
    return {row["loop"]: row for row in rows if row["name"] == name}


def _readout(rows: Sequence[Row], facts: Row) -> tuple[str, str]:
    """Do more loops than trained help?"""
    trained, last = facts["trained"], facts["loops"][-1]
    errors = {loop: row["value"] for loop, row in _named(rows, "error").items()}
    if not errors:
        return _change(rows, trained, last)
    best = min(errors, key=lambda loop: (errors[loop], loop))
    told = (
        f"error {errors[trained]:.3g} at r = {trained}, least {errors[best]:.3g} at r = {best}, "
        f"{errors[last]:.3g} at r = {last}"
    )
    if last == trained:
        return f"Least error at r = {best}", told
    gain = errors[last] - errors[trained]
    small = SAME * max(errors.values())  # of what there was to learn
    if abs(gain) <= SAME * errors[trained] or max(errors[trained], errors[last]) <= small:
        return f"Loops beyond {trained} change little", told
    return f"Loops beyond {trained} {'hurt' if gain > 0 else 'help'}", told


def _change(rows: Sequence[Row], trained: int, last: int) -> tuple[str, str]:
    """How far is the output at the last loop from that at the trained count?"""
    change = {loop: row["value"] for loop, row in _named(rows, "change").items()}
    if last == trained:
        before = change.get(trained - 1, 0.0)
        told = f"the output after {trained - 1} loops differs by {before:.2%} of its length"
        return f"The last loop moves the output {before:.2g}x", told
    told = f"from r = {trained} to r = {last} the output moves by {change[last]:.2%} of its length"
    if change[last] <= SAME:
        return f"Loops beyond {trained} change little", told
    return f"Loops beyond {trained} change the output", told


def _update(rows: Sequence[Row], facts: Row) -> tuple[str, str]:
    """Is there a fixed point?"""
    moves = _named(rows, "update")
    last = facts["loops"][-1]
    if facts["fixed_point"] is None:
        return (
            "No fixed point found",
            f"no fixed point found: loop {last} moves the state by {moves[last]['value']:.2g} of "
            f"its length, the last one tried by {facts['last_move']:.2g}",
        )
    factor = facts["factor"]
    shrinks = "" if factor is None else f"; the distance shrinks by {factor:.3g} a loop"
    return (
        "Settles at a fixed point",
        f"settles: from loop {facts['fixed_point']} on no input moves (to rounding){shrinks}",
    )


def _similarity(rows: Sequence[Row], facts: Row) -> tuple[str, str]:
    """How much does the state turn?"""
    cosine = {(row["loop"], row["position"]): row["cosine"] for row in rows}
    last, trained = facts["loops"][-1], facts["trained"]
    next_to = [cosine[k, k + 1] for k in range(last)]
    whole = cosine[0, trained]
    told = (
        f"cosine of the first state and that at r = {trained}: {whole:.2f}; neighbouring loops "
        f"{min(next_to):.2f} to {max(next_to):.2f}"
    )
    return ("The state turns" if whole < TURNED else "The state keeps its direction"), told


def _sensitivity(rows: Sequence[Row], facts: Row) -> tuple[str, str]:
    """Does a loop stretch?"""
    highest = max(rows, key=lambda row: row["upper"])
    middle = [row["value"] for row in rows]
    told = (
        f"a loop stretches some direction by at least {min(middle):.3g} to {max(middle):.3g} "
        f"(median input), at most seen {highest['upper']:.3g} at loop {highest['loop']}"
    )
    if all(row["upper"] < 1 - ROUNDING for row in rows):
        return "No stretch found", f"{told}: none above 1 was found, which proves nothing"
    if count := sum(row["upper"] > 1 + ROUNDING for row in rows):
        told += f"; {count} of {len(rows)} loops are no contraction"
    return f"Stretches up to {highest['upper']:.2g}x", told


def _moduli(rows: Sequence[Row], facts: Row) -> tuple[str, str]:
    """How do the moduli of the map grow?"""
    told, ratios = [], {}
    for kind in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == kind]
        first = own[0]
        last = next((row for row in own if row["loop"] == facts["trained"]), own[-1])
        told.append(
            f"{kind} modulus at least {first['value']:.3g} at r = {first['loop']} and "
            f"{last['value']:.3g} at r = {last['loop']}"
        )
        ratios[kind] = last["value"] / first["value"] if first["value"] > 0 else 0.0
    kind = max(ratios, key=lambda name: ratios[name])
    short = f"{kind.capitalize()} modulus: {ratios[kind]:.2g}x that of r = {rows[0]['loop']}"
    return short, f"{'; '.join(told)} (radius {facts['delta']:.3g})"


def _parts(rows: Sequence[Row], facts: Row) -> tuple[str, str]:
    """Which part matters most?"""
    whole = next((row["value"] for row in rows if row["name"] == "whole"), None)
    parts = [row for row in rows if row["name"] != "whole"]
    if not parts:
        return "No parts named", "the adapter names no parts to switch off (`without`)"
    most = max(parts, key=lambda row: row["value"])
    listed = ", ".join(f"{row['name']} {row['value']:.3g}" for row in parts)
    if whole is not None:
        told = f"error {whole:.3g} whole; without {listed}"
    else:
        told = f"output moves, as a share of its length, without {listed}"
    if most["value"] <= (whole or 0.0) * (1 + SAME) + 1e-12:
        return "No part is missed", told
    return f"Missed most: {most['name']}", told
