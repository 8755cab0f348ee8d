"""``looprate claims`` and ``looprate explain``: the ledger, run and explained."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from looprate.experiments.claims import CLAIMS, Claim
from looprate.experiments.claims.ledger import chosen_claims, results, stored_result
from looprate.experiments.claims.page import markdown, told
from looprate.experiments.claims.trained import TRAINED, check_trained
from looprate.experiments.engine.progress import Progress
from looprate.experiments.rows.records import digest, exclusive
from looprate.printing import print_json, print_table
from looprate.theory.verdict import Verdict

FOLDER = Path("runs") / "claims"
NONE_STORED = "not run yet: looprate claims {}"


def run_claims(options: Namespace) -> int:
    """Run the ledger and print its table; 1 where a claim is violated or a control passes."""
    if options.markdown:
        print(markdown(), end="")
        return 0
    claims = chosen_claims(options.ids)
    if options.list:
        return _list(claims if options.ids else list(CLAIMS.values()), json=options.json)
    claims, given = _with_study(claims, options.study)
    if options.controls:
        claims = [claim for claim in claims if claim.controls]
    folder = options.out or FOLDER
    with exclusive(folder), Progress(1.0, "claims") as bar:
        rows = results(
            claims,
            folder,
            controls=options.controls,
            again=options.again,
            given=given,
            report=bar.to,
        )
    if options.json:
        print_json(rows)
    elif options.controls:
        _print_controls(rows)
    else:
        _print_claims(rows)
    return int(any(_failed(row) for row in rows))


def run_explain(options: Namespace) -> int:
    """Say what one claim states, how to read it, what was found and which figure shows it."""
    (claim,) = chosen_claims([options.id])
    stored = stored_result(options.out or FOLDER, claim, controls=False)
    row = stored["rows"][0] if stored else None
    if options.json:
        drawn = claim.drawn
        facts = dict(told(claim)) | {
            "id": claim.id,
            "title": claim.title,
            "hypotheses": list(claim.hypotheses),
            "controls": [control.name for control in claim.controls],
            "figure": drawn and {"name": drawn.name, "command": drawn.command},
            "last": row,
        }
        return print_json(facts)
    print(f"{claim.id}: {claim.title}\n")
    for name, text in told(claim):
        print(f"{name:>10}  {text}")
    last = f"{row['verdict']}: {row['reason']}" if row else NONE_STORED.format(claim.id)
    print(f"{'verdict':>10}  {last}")
    if row:
        print(f"{'evidence':>10}  {row['file']}")
    return 0


def _with_study(claims: list[Claim], study: Path | None) -> tuple[list[Claim], dict[str, str]]:
    """The claims, the trained one reading a study's rows, and the digest of these rows."""
    if study is None:
        return claims, {}
    names = ("rows.jsonl", "constructions.jsonl", "theory.jsonl")
    files = [study / name for name in names if (study / name).is_file()]
    if not files:
        raise ValueError(f"`study` must be a folder of looprate verify, got {study}")
    check = partial(check_trained, study=study)
    changed = [
        replace(claim, check=check, controls=()) if claim.id == TRAINED else claim
        for claim in claims
    ]
    return changed, {TRAINED: digest([path.read_bytes().hex() for path in files])}


def _list(claims: Sequence[Claim], *, json: bool) -> int:
    """Print ids and titles."""
    if json:
        return print_json([{"id": claim.id, "title": claim.title} for claim in claims])
    return print_table(["claim", "what it says"], [[claim.id, claim.title] for claim in claims])


def _failed(row: dict[str, Any]) -> bool:
    """Whether a result says that something is wrong."""
    if "rejected" in row:
        return not row["rejected"]
    return bool(row["verdict"] == str(Verdict.VIOLATED))


def _print_claims(rows: Sequence[dict[str, Any]]) -> None:
    """One line a claim, the reasons of what does not hold, and the count of verdicts."""
    table = [
        [
            row["verdict"],
            row["id"],
            row["figure"],
            Path(row["file"]).name,
            f"{row['seconds']:.1f} s",
        ]
        for row in rows
    ]
    print_table(["verdict", "claim", "figure", "evidence", "time"], table)
    for row in rows:
        if row["verdict"] != str(Verdict.HOLDS):
            print(f"{row['id']}: {row['verdict']}: {row['reason']}")
    count = Counter(row["verdict"] for row in rows)
    print(", ".join(f"{number} {word}" for word, number in count.items()), end="")
    print(f"; evidence in {Path(rows[0]['file']).parent}")
    print(
        "Each verdict speaks of the finitely many cases in the claim's scope: looprate explain ID."
    )


def _print_controls(rows: Sequence[dict[str, Any]]) -> None:
    """One line a wrong variant."""
    table = [
        ["rejected" if row["rejected"] else "PASSED", row["verdict"], row["id"], row["control"]]
        for row in rows
    ]
    print_table(["control", "verdict", "claim", "what was broken"], table)
    passed = sum(not row["rejected"] for row in rows)
    print(f"{len(rows) - passed} of {len(rows)} wrong variants rejected")
    if passed:
        print("A check that lets a wrong variant pass shows nothing: its verdicts do not count.")
