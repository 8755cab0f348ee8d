"""``looprate claims``: the ledger of claims, run."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from looprate.experiments.engine.progress import Progress
from looprate.options import add_option
from looprate.parser import Commands, add_command
from looprate.printing import print_json, print_table, say
from looprate.theory.verdict import Verdict

if TYPE_CHECKING:
    from looprate.experiments.claims import Claim

__all__ = ["add_claims"]

FOLDER = Path("runs") / "claims"


def add_claims(commands: Commands) -> None:
    """Add the ledger."""
    claims = add_command(
        commands,
        "claims",
        "The ledger: claims of the paper and of this project, checked on finitely many cases.\n\n"
        "holds: no case contradicts the claim. violated: one does. vacuous: true, but it says\n"
        "nothing. not testable: a hypothesis fails or the number is only reported. No verdict\n"
        "means proved. Results are kept, one JSON file a claim, and reused while claims, sources\n"
        "and versions stay the same: killed at any moment and run again, it resumes.\n"
        "--controls hands each check a broken ingredient instead, which it must reject.\n"
        "Exit code 1: a claim is violated or a control passes.\n\n"
        "JSON: a list of {id, title, verdict, reason, figure, evidence, date, seconds, file,\n"
        "...}; with --controls also control and rejected.",
        "looprate claims lemma-4-1-error theorem-4-2-exact",
    )
    claims.add_argument("ids", metavar="ID", nargs="*", help="claims (default: all quick ones)")
    claims.add_argument("--controls", action="store_true", help="run the wrong variants instead")
    add_option(claims, "out", " (default: runs/claims)")
    claims.add_argument("--again", action="store_true", help="run what is stored, too")
    add_option(claims, "list")
    claims.add_argument(
        "--markdown",
        action="store_true",
        help="print docs/claims.md, with the run stored in results",
    )
    claims.add_argument(
        "--study",
        type=Path,
        metavar="DIR",
        help="folder of looprate verify that trained-beside-constructed reads instead of training",
    )
    add_option(claims, "json")
    claims.set_defaults(run=run_claims)


def run_claims(options: Namespace) -> int:
    """Run the ledger and print its table; 1 where a claim is violated or a control passes."""
    from looprate.experiments.claims import CLAIMS
    from looprate.experiments.claims.ledger import chosen_claims, results, stored_run
    from looprate.experiments.claims.page import markdown
    from looprate.experiments.rows.records import exclusive

    if options.markdown:
        print(markdown(stored_run()), end="")
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


def _with_study(claims: list[Claim], study: Path | None) -> tuple[list[Claim], dict[str, str]]:
    """The claims, the trained one reading a study's rows, and the digest of these rows."""
    from looprate.experiments.claims.trained import TRAINED, check_trained
    from looprate.experiments.rows.records import digest

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
            say(f"{row['id']}: {row['verdict']}: {row['reason']}")
    count = Counter(row["verdict"] for row in rows)
    print(", ".join(f"{number} {word}" for word, number in count.items()), end="")
    print(f"; evidence in {Path(rows[0]['file']).parent}")
    say("Each verdict speaks of the finitely many cases in the claim's scope: looprate explain ID.")


def _print_controls(rows: Sequence[dict[str, Any]]) -> None:
    """One line a wrong variant."""
    table = [
        ["rejected" if row["rejected"] else "PASSED", row["verdict"], row["id"], row["control"]]
        for row in rows
    ]
    print_table(["control", "verdict", "claim", "what was broken"], table)
    passed = sum(not row["rejected"] for row in rows)
    say(f"{len(rows) - passed} of {len(rows)} wrong variants rejected")
    if passed:
        say("A check that lets a wrong variant pass shows nothing: its verdicts do not count.")
