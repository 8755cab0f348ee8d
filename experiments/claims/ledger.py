"""Running claims and keeping what was found: one JSON file a claim, reused while nothing changed.

A stored result counts as long as its key, a digest of the claim's id, of every source file of this
project and of the versions of Python and the libraries, is the same.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from looprate.experiments.claims import CLAIMS, REJECTED, Claim
from looprate.experiments.rows.records import digest
from looprate.theory.outputs import checked_input, write_atomically
from looprate.theory.sources import HERE

__all__ = ["chosen_claims", "results", "stored_result", "stored_run"]

Result = dict[str, Any]
Report = Callable[[float, str], None]
PACKAGES = ("theory", "approx", "experiments")
STORED_RUN = HERE / "results" / "claims.json"  # looprate claims --json, in a checkout


def chosen_claims(names: Sequence[str]) -> list[Claim]:
    """Return the claims named, or the quick ones.

    Raises
    ------
    ValueError
        If an id is unknown; the message lists near ones.
    """
    for name in names:
        if name not in CLAIMS:
            words = set(name.split("-")) - {"the", "a", "of"}
            near = difflib.get_close_matches(name, CLAIMS, n=3, cutoff=0.4)
            near += [known for known in CLAIMS if words & set(known.split("-"))]
            listed = ", ".join(dict.fromkeys(near[:6])) or "none is near"
            raise ValueError(
                f"`ID` must be a claim of the ledger, got {name!r}; near: {listed} (all: looprate "
                "claims --list)"
            )
    if names:
        return [CLAIMS[name] for name in dict.fromkeys(names)]
    return [claim for claim in CLAIMS.values() if claim.quick]


def claim_key(claim: Claim, *, controls: bool, given: str = "") -> str:
    """Return the digest under which a result is stored; ``given`` stands for further inputs."""
    from looprate.experiments.rows.provenance import versions

    facts = [claim.id, controls, given, _sources(), versions()]
    return digest(facts)


@cache
def _sources() -> str:
    """Digest of every source file of the packages that claims call."""
    files = [path for name in PACKAGES for path in sorted((HERE / name).rglob("*.py"))]
    total = hashlib.sha256()
    for path in files:
        total.update(str(path.relative_to(HERE)).encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def evidence_file(folder: Path, claim: Claim, *, controls: bool, given: str = "") -> Path:
    """Return where a claim's result is kept, another place for every further input."""
    read = f".{given[:8]}" if given else ""
    return folder / f"{claim.id}{read}{'.controls' if controls else ''}.json"


def stored_result(folder: Path, claim: Claim, *, controls: bool, given: str = "") -> Result | None:
    """Return the stored result of a claim, whatever its key; None where there is none to read."""
    path = evidence_file(folder, claim, controls=controls, given=given)
    try:
        result = json.loads(checked_input(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(result, dict) or not result.keys() >= {"key", "rows"}:
        return None
    return result if result.get("check") == _check(result) else None  # damaged: run it again


def stored_run(path: Path = STORED_RUN) -> dict[str, Result]:
    """Return the results of the stored run by id, those whose claim still reads as it did then."""
    if not path.is_file():
        return {}
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {
        row["id"]: row
        for row in rows
        if row["id"] in CLAIMS and row["claim"] == CLAIMS[row["id"]].statement
    }


def _check(result: Result) -> str:
    """Return the digest that a result is stored with."""
    return digest([result["key"], result["rows"]])


def results(
    claims: Sequence[Claim],
    folder: Path,
    *,
    controls: bool = False,
    again: bool = False,
    given: Mapping[str, str] | None = None,
    report: Report = lambda part, note: None,
) -> list[Result]:
    """Run claims, or their controls, in order; stored results are reused.

    Parameters
    ----------
    claims : sequence of Claim
    folder : Path
        Where results are kept, one file a claim, written as soon as the claim is done.
    controls : bool
        Run the wrong variants instead of the claims.
    again : bool
        Run what is stored, too.
    given : mapping of str to str, optional
        What a claim's check reads besides the sources, as a digest under its id.
    report : callable
        Called with the fraction done and the id of the next claim.

    Returns
    -------
    list of dict
        For a claim {id, title, claim, verdict, reason, figure, evidence, date, seconds, file}; for
        controls one for each, with ``control`` and ``rejected``.
    """
    run = _controls if controls else _claim
    costs = [claim.seconds for claim in claims]
    found: list[Result] = []
    for place, claim in enumerate(claims):
        report(sum(costs[:place]) / max(sum(costs), 1e-9), claim.id)
        read = (given or {}).get(claim.id, "")
        key = claim_key(claim, controls=controls, given=read)
        path = evidence_file(folder, claim, controls=controls, given=read)
        kept = None if again else stored_result(folder, claim, controls=controls, given=read)
        if kept is None or kept["key"] != key:
            kept = {"key": key, "rows": list(_told(claim, run(claim), path))}
            kept["check"] = _check(json.loads(json.dumps(kept)))
            text = json.dumps(kept, indent=1, ensure_ascii=False, allow_nan=False)
            write_atomically(path, text + "\n")
        found += kept["rows"]
    report(1.0, "")
    return found


def _claim(claim: Claim) -> Iterator[tuple[Result, Any]]:
    """The claim's own check."""
    yield {}, claim.run()


def _controls(claim: Claim) -> Iterator[tuple[Result, Any]]:
    """Every wrong variant of a claim."""
    for control, finding in claim.run_controls():
        yield {"control": control.name, "rejected": finding.verdict in REJECTED}, finding


def _told(claim: Claim, findings: Iterable[tuple[Result, Any]], path: Path) -> Iterator[Result]:
    """Findings as results, timed, kept in one file."""
    started = time.perf_counter()
    for more, finding in findings:
        seconds, started = time.perf_counter() - started, time.perf_counter()
        yield {
            "id": claim.id,
            "title": claim.title,
            **more,
            **finding.as_dict(),
            "figure": finding.evidence["figure"],
            "date": datetime.now(UTC).date().isoformat(),
            "seconds": round(seconds, 3),
            "file": str(path),
        }
