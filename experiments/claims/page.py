"""The ledger as a page, from its data alone: no number that a run could change."""

from __future__ import annotations

from looprate.experiments.claims import CLAIMS, THEMES, Claim

__all__ = ["markdown", "told"]

HEAD = """\
# The ledger of claims

Written by `looprate claims --markdown > docs/claims.md`; do not edit.

{count} claims, {controls} negative controls. `looprate claims` checks them and prints one table;
`looprate claims --controls` hands each check a broken ingredient and fails if one passes;
`looprate explain ID` says what one claim states and what was found.

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


def markdown() -> str:
    """Return the page docs/claims.md."""
    controls = sum(len(claim.controls) for claim in CLAIMS.values())
    lines = [HEAD.format(count=len(CLAIMS), controls=controls)]
    for theme, claims in THEMES.items():
        lines += [f"## {theme}\n", *map(_entry, claims)]
    return "\n".join(lines)


def _entry(claim: Claim) -> str:
    """One claim as a section."""
    facts = "\n".join(f"- **{name}**: {_escaped(text)}" for name, text in told(claim))
    return f"### {claim.id}\n\n{_escaped(claim.title)}\n\n{facts}\n"


def _escaped(text: str) -> str:
    """Text with the characters that Markdown would take for markup outside of code."""
    parts = text.split("`")
    for place in range(0, len(parts), 2):
        for mark in "*_":
            parts[place] = parts[place].replace(mark, f"\\{mark}")
    return "`".join(parts)
