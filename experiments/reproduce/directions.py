"""What the paper reports of TMLT against Looped beside what was found here: one row a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprate.experiments.reproduce.summary import HIGHER_IS_BETTER
from looprate.experiments.rows.markdown import table

__all__ = ["direction", "in_time"]

Row = dict[str, Any]
STATUS = {"yes": "agrees", "no": "differs", "not clear": "open"}  # where the paper says yes
OPPOSITE = {"agrees": "differs", "differs": "agrees", "open": "open"}
ANSWER = "TMLT better than Looped"


def direction(part: Row) -> Row:
    """Return how one task of a report compares with the paper.

    Returns
    -------
    dict
        ``paper`` and ``ours`` in words; ``status``: agrees, differs, or open where seeds cannot
        tell; ``loops``: what more loops do here, with the answers on a trend by rank; ``seconds``
        of all fits together, those at learning rates not kept included.
    """
    reported, metric = _reported(part), part["metric"]
    status = STATUS[part["compared"]["timestep"]["answer"]]
    if reported["better"] <= 0:
        status = OPPOSITE[status]
    trends = [each for each in part["answers"] if not each["claim"].startswith(ANSWER)]
    ranks = ", ".join(f"{each['claim'].rpartition(': ')[2]} {each['answer']}" for each in trends)
    more = part["compared"]["loops"]
    return {
        "name": part["name"],
        "paper": reported["words"],
        "ours": _effect(part["compared"]["timestep"], metric),
        "status": status,
        "loops": f"{more['answer']}: {_effect(more, metric)}; by rank: {ranks}",
        "seconds": part["seconds"],
    }


def direction_lines(parts: Sequence[Row]) -> list[str]:
    """Return the Markdown table of all tasks."""
    rows = [
        [d["name"], d["paper"], d["ours"], f"**{d['status']}**", d["loops"], in_time(d["seconds"])]
        for d in map(direction, parts)
    ]
    head = "task | paper, TMLT against Looped | ours, at the most loops | status | more loops help"
    return table(f"{head} here | time of all fits", rows)


def _effect(one: Row, metric: str) -> str:
    """A comparison in words: better or worse by how much, its interval, pairs, p."""
    if one["mean"] is None:
        return f"{one['claim']}: no pairs"
    unit = "points" if metric == "accuracy" else "%"
    word = {"yes": "better, ", "no": "worse, "}.get(one["answer"], "")
    told = f"{one['claim']}: {word}{one['mean']:+.3g} {unit}"
    if one["interval"] is not None:
        told += f" ({one['interval'][0]:+.3g} to {one['interval'][1]:+.3g})"
    told += f", {one['pairs']} pair{'' if one['pairs'] == 1 else 's'}"
    return told if one["holm"] is None else f"{told}, Holm's p {one['holm']:.2g}"


def in_time(seconds: float) -> str:
    """Return a time in two digits or so."""
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


def _reported(part: Row) -> Row:
    """The paper's difference between the two models, in words and as a number."""
    known = [cell for cell in part["reported"] if cell["compared"]]
    at = {model: [c for c in known if c["model"] == model][-1] for model in ("looped", "tmlt")}
    before, after = at["looped"], at["tmlt"]
    sign = 1 if HIGHER_IS_BETTER[part["metric"]] else -1
    unit = " %" if after["unit"] == "%" else ""
    better = sign * (after["value"] - before["value"])
    word = "better" if better > 0 else "not better"
    words = (
        f"{word}: {after['value']:g}{unit} against {before['value']:g}{unit} ({after['metric']}, "
        f"{after['size']}, r = {after['loops']})"
    )
    return {"better": better, "words": words}
