"""Reasons that end in their witness."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

KEYS = ("x", "y", "order", "first", "second")  # of evidence that is a witness
LONGEST = 200  # characters of it in a reason; the evidence holds all of it


def plain(values: Any) -> Any:
    """Return numbers as JSON-ready lists and floats; NaN and inf as texts."""
    if isinstance(values, np.ndarray):
        return plain(values.tolist())
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    if isinstance(values, float) and not np.isfinite(values):
        return str(values)
    return values


def with_witness(reason: str, evidence: dict[str, Any]) -> str:
    """Return a reason followed by the witness that the evidence holds, if any."""
    parts = [f"{key} = {json.dumps(evidence[key])}" for key in KEYS if key in evidence]
    if not parts:
        return reason
    text = ", ".join(parts)
    if len(text) > LONGEST:
        text = text[:LONGEST] + "..."
    return f"{reason} (witness {text})"
