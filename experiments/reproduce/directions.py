"""What the paper reports of TMLT against Looped beside what was found here: one row a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from looprate.experiments.reproduce.summary import HIGHER_IS_BETTER
from looprate.experiments.rows.markdown import table

__all__ = ["direction", "direction_lines"]

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
        tell; ``loops``: what more loops do here; ``seconds`` of all fits together.
    """
    reported = _reported(part)
    found = [each for each in part["answers"] if each["claim"].startswith(ANSWER)]
    status, ours = "open", "not run"
    if found:
        ours = found[-1]["reason"]
        status = STATUS[found[-1]["answer"]]
    if reported["better"] <= 0:
        status = OPPOSITE[status]
    loops = [each for each in part["answers"] if not each["claim"].startswith(ANSWER)]
    cells = part["table"]
    return {
        "name": part["name"],
        "paper": reported["words"],
        "ours": f"{found[-1]['claim'].partition(' at ')[2]}: {ours}" if found else ours,
        "status": status,
        "loops": ", ".join(
            f"{each['claim'].rpartition(': ')[2]} {each['answer']}" for each in loops
        ),
        "seconds": sum(c["seconds"] * (c["seeds"] + c["diverged"]) for c in cells),
    }


def direction_lines(parts: Sequence[Row]) -> list[str]:
    """Return the Markdown table of all tasks."""
    rows = [
        [d["name"], d["paper"], d["ours"], f"**{d['status']}**", d["loops"], in_time(d["seconds"])]
        for d in map(direction, parts)
    ]
    head = "task | paper, TMLT against Looped | ours, at the most loops | status | more loops help"
    return table(f"{head} here | seconds of fits", rows)


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
