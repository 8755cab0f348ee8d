"""The four words in which every check of this project ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

__all__ = ["Finding", "Verdict"]


class Verdict(StrEnum):
    """Outcome of one check.

    ``HOLDS``
        The hypotheses are met and the numbers satisfy the claim.
    ``VIOLATED``
        The hypotheses are met and the numbers contradict the claim.
    ``VACUOUS``
        The claim is true but says nothing: the bound is not below the trivial one.
    ``NOT_TESTABLE``
        A hypothesis fails, or the evidence at hand cannot decide (the reason says which).
    """

    HOLDS = "holds"
    VIOLATED = "violated"
    VACUOUS = "vacuous"
    NOT_TESTABLE = "not testable"


@dataclass(frozen=True)
class Finding:
    """One checked claim: what was claimed, the verdict, why, and the numbers behind it."""

    claim: str
    verdict: Verdict
    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, row: dict[str, Any]) -> Finding:
        """Return the finding that a dictionary of :meth:`as_dict` holds."""
        return cls(row["claim"], Verdict(row["verdict"]), row["reason"], row["evidence"])

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary."""
        return {
            "claim": self.claim,
            "verdict": str(self.verdict),
            "reason": self.reason,
            "evidence": self.evidence,
        }
