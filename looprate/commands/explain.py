"""``looprate explain``: one claim of the ledger, explained."""

from __future__ import annotations

from argparse import Namespace

from looprate.commands.claims import FOLDER
from looprate.options import add_option
from looprate.parser import Commands, add_command
from looprate.printing import print_json, say

__all__ = ["add_explain"]

NONE_STORED = "not run yet: looprate claims {}"


def add_explain(commands: Commands) -> None:
    """Add what explains one claim of the ledger."""
    explain = add_command(
        commands,
        "explain",
        "Say what one claim states, where it is from, how to read it, on what it is checked, what\n"
        "was found last and which figure shows it.\n\n"
        "JSON: {id, title, statement, source, hypotheses, reading, checked on, controls, figure,\n"
        "last}; last is the stored result, null where there is none.",
        "looprate explain corollary-3-7",
    )
    explain.add_argument("id", metavar="ID", help="a claim, see looprate claims --list")
    add_option(explain, "out", " (default: runs/claims)")
    add_option(explain, "json")
    explain.set_defaults(run=run_explain)


def run_explain(options: Namespace) -> int:
    """Say what one claim states, how to read it, what was found and which figure shows it."""
    from looprate.experiments.claims.ledger import chosen_claims, stored_result
    from looprate.experiments.claims.page import told

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
    say(f"{claim.id}: {claim.title}\n")
    for name, text in told(claim):
        say(f"{name:>10}  {text}", indent=12)
    last = f"{row['verdict']}: {row['reason']}" if row else NONE_STORED.format(claim.id)
    say(f"{'verdict':>10}  {last}", indent=12)
    if row:
        print(f"{'evidence':>10}  {row['file']}")
    return 0
