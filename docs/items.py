"""Write docs/items.md, the paper item by item, from stored rows alone: ``python docs/items.py``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from looprate.experiments.claims import CLAIMS
from looprate.experiments.claims.ledger import stored_run
from looprate.experiments.reproduce.catalogue import TASKS
from looprate.experiments.reproduce.directions import direction, in_time
from looprate.experiments.rows.markdown import table, tally

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "items.md"
#: Stored reports; a task is told by the first that has it.
REPORTS = [
    ROOT / "results" / f"reproduce-{preset}" / "report.json" for preset in ("evening", "small")
]
#: Item of the paper -> what its claims' sources begin with.
ITEMS = {
    "the three moduli": ("theory of this project, from the definition of the moduli",),
    "Theorem 3.6": ("Theorem 3.6", "proof of Theorem 3.6", "sizes as reported of Theorem 3.6"),
    "Corollary 3.7": ("Corollary 3.7",),
    "Lemma 4.1": ("Lemma 4.1", "sizes as reported of Lemma 4.1"),
    "Theorem 4.2": ("Theorem 4.2", "sizes as reported of Theorem 4.2"),
}
STATUS = {"holds": "agrees", "vacuous": "agrees", "violated": "differs"}


def statements() -> Iterator[list[str]]:
    """Yield a row for every statement: what the stored run of the ledger says of its claims."""
    run = stored_run()
    for item, starts in ITEMS.items():
        names = [name for name, claim in CLAIMS.items() if claim.source.startswith(starts)]
        found = [run[name] for name in names if name in run]
        words = [STATUS.get(row["verdict"], "open") for row in found]
        words += ["open"] * (len(names) - len(found))
        seconds = in_time(sum(row["seconds"] for row in found))
        links = ", ".join(f"[{name}](claims.md#{name})" for name in names)
        yield [
            f"{item}: {links}",
            f"`looprate claims {names[0]}` ...",
            tally(words, "claim"),
            seconds,
        ]


def parts() -> list[tuple[str, dict[str, Any]]]:
    """Return every task's preset and part of a stored report, in the tasks' order."""
    told: dict[str, tuple[str, dict[str, Any]]] = {}
    for path in REPORTS:
        report = json.loads(path.read_text(encoding="utf-8"))
        for part in report["tasks"]:
            told.setdefault(part["name"], (report["preset"], part))
    return [told[name] for name in TASKS]


def experiments() -> Iterator[list[str]]:
    """Yield a row for every task: the direction of TMLT against Looped."""
    for preset, part in parts():
        found = direction(part)
        name = part["name"]
        item = f"{name}, TMLT against Looped: reported {found['paper']}"
        command = f"`looprate reproduce {name} --preset {preset}`"
        yield [item, command, f"{found['status']}: {found['ours']}", in_time(found["seconds"])]


def page() -> str:
    """Return docs/items.md."""
    head = "item of the paper | command | status | cost"
    return "\n".join(table(head, [*statements(), *experiments()]))


if __name__ == "__main__":
    PLACE.write_text(page(), encoding="utf-8")
    print(PLACE)
