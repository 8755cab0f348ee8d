"""Parameters of targets: declared with a meaning and a range, checked, written in names."""

from __future__ import annotations

import math
from dataclasses import field, fields
from numbers import Real
from typing import Any

__all__ = ["format_number"]


def format_number(value: float) -> str:
    """Return the shortest text that reads back as exactly ``value``."""
    short = f"{value:g}"
    return short if float(short) == value else repr(value)


def latex_factor(value: float) -> str:
    """Return a LaTeX factor to put before a term; nothing for 1."""
    return "" if value == 1 else "-" if value == -1 else rf"{format_number(value)}\,"


def parameter(
    default: float | None,
    doc: str,
    *,
    integer: bool = False,
    low: float = -math.inf,
    high: float = math.inf,
    above: bool = False,
) -> Any:
    """Declare one parameter of a target: its default, meaning and range.

    ``above`` makes ``low`` strict.  Values are checked when the target is made.
    """
    metadata = {"doc": doc, "integer": integer, "low": low, "high": high, "above": above}
    return field(default=default, metadata=metadata)


def _range_text(metadata: Any) -> str:
    """Say which numbers a parameter accepts."""
    what = "an integer" if metadata["integer"] else "a finite number"
    low, high = metadata["low"], metadata["high"]
    if math.isfinite(low) and math.isfinite(high):
        return f"{what} in [{low:g}, {high:g}]"
    if math.isfinite(low):
        return f"{what} {'>' if metadata['above'] else '>='} {low:g}"
    return what


def checked_parameter(value: object, name: str, metadata: Any) -> float | int:
    """Return ``value`` as the number a parameter needs, or raise naming it."""
    expected = f"`{name}` ({metadata['doc']}) must be {_range_text(metadata)}"
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{expected}, got {value!r}")
    number = float(value)
    low, high = metadata["low"], metadata["high"]
    inside = low < number <= high if metadata["above"] else low <= number <= high
    whole = number.is_integer() if metadata["integer"] and math.isfinite(number) else True
    if not (math.isfinite(number) and inside and whole):
        raise ValueError(f"{expected}, got {format_number(number)}")
    return int(number) if metadata["integer"] else number


def target_fields(target: Any) -> list[Any]:
    """Return the dataclass fields of a target (or its class) that are parameters."""
    return [f for f in fields(target) if "doc" in f.metadata]
