"""The ledger as a page: its data, and what the stored run found of each claim."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from looprate.experiments.claims import CLAIMS, THEMES, Claim
from looprate.experiments.rows.markdown import tally

__all__ = ["markdown", "told"]

Result = dict[str, Any]
NOT_RUN = "not in the stored run"

HEAD = """\
# The ledger of claims

{count} claims, {controls} negative controls. `looprate claims` checks them and prints one table;
`looprate claims --controls` hands each check a broken ingredient and fails if one passes;
`looprate explain ID` says what one claim states and what was found.

Beside each claim: what the stored run (`results/claims.json`) found, on its day: {tally}.

Every check looks at finitely many cases, named in its scope, and its verdict speaks of these alone:
*holds* means that no case contradicts the statement, never that the statement is proved. Theorem
numbers are those of v7.
"""


def told(claim: Claim) -> list[tuple[str, str]]:
    """Return what a claim says of itself, as (name, text)."""
    controls = "; ".join(control.name for control in claim.controls)
    drawn = claim.drawn
    return [
        ("statement", claim.statement),
        ("source", claim.source),
        ("hypotheses", "; ".join(claim.hypotheses) or "none"),
        ("reading", claim.reading),
        ("checked on", claim.scope),
        ("controls", controls or "none: reported, not checked"),
        ("figure", f"{drawn.name}, by `{drawn.command}`" if drawn else "none"),
    ]


def markdown(stored: Mapping[str, Result]) -> str:
    """Return the page docs/claims.md.

    Parameters
    ----------
    stored : mapping of str to dict
        Results of the stored run by the claim's id.
    """
    controls = sum(len(claim.controls) for claim in CLAIMS.values())
    verdicts = [stored[name]["verdict"] if name in stored else NOT_RUN for name in CLAIMS]
    words = tally(verdicts, "claim")
    lines = [HEAD.format(count=len(CLAIMS), controls=controls, tally=words)]
    for theme, claims in THEMES.items():
        lines += [f"## {theme}\n", *(_entry(claim, stored.get(claim.id)) for claim in claims)]
    return "\n".join(lines)


def _entry(claim: Claim, row: Result | None) -> str:
    """One claim as a section, what was found of it first."""
    found = NOT_RUN
    if row is not None:
        found = f"{row['verdict']}: {row['figure']} ({row['date']}, {row['seconds']:.1f} s)"
    facts = [("stored run", found), *told(claim)]
    listed = "\n".join(f"- **{name}**: {_escaped(text)}" for name, text in facts)
    return f"### {claim.id}\n\n{_escaped(claim.title)}\n\n{listed}\n"


def _escaped(text: str) -> str:
    """Text with the characters that Markdown would take for markup outside of code."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        for mark in "*_":
            parts[place] = parts[place].replace(mark, f"\\{mark}")
    return "`".join(parts)
