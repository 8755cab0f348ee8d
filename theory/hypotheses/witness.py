"""Findings that do not hold, as lines with their witness."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.verdict import Finding, Verdict

__all__ = ["failures", "plain", "with_witness"]

KEYS = ("x", "y", "order", "first", "second")  # of evidence that is a witness
LONGEST = 120  # characters of it in a line; the evidence holds all of it


def plain(values: Any) -> Any:
    """Return numbers as JSON-ready lists and floats; NaN and inf as texts."""
    if isinstance(values, np.ndarray):
        return plain(values.tolist())
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, float) and not np.isfinite(values):
        return str(values)
    return values


def with_witness(finding: Finding) -> str:
    """Return a finding's reason, with its witness where there is one."""
    parts = {key: finding.evidence[key] for key in KEYS if key in finding.evidence}
    if not parts:
        return finding.reason
    text = ", ".join(f"{key} = {json.dumps(value)}" for key, value in parts.items())
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    return f"{finding.reason} (witness {text})"


def failures(findings: Sequence[Finding]) -> list[str]:
    """Return one line for each hypothesis that fails: verdict, claim, reason, witness.

    Those not looked at because an earlier one fails are left out.
    """
    return [
        f'{finding.verdict}: "{finding.claim}" fails: {with_witness(finding)}'
        for finding in findings
        if finding.verdict is not Verdict.HOLDS and not finding.evidence.get("skipped")
    ]
