"""Checks of sizes that several tasks share; each raises one line with the cure."""

from __future__ import annotations

from pathlib import Path

__all__ = ["check_integer"]


def check_integer(name: str, value: object, *, least: int, most: int | None = None) -> None:
    """Raise naming an argument that is not an integer from ``least`` to ``most``."""
    if type(value) is int and least <= value and (most is None or value <= most):
        return
    span = f">= {least}" if most is None else f"from {least} to {most}"
    raise ValueError(f"`{name}` must be an integer {span}, got {value!r}; try {least}")


def check_file(path: str, *, holds: str) -> Path:
    """Return the path of a file, or raise saying what it should hold."""
    found = Path(path).expanduser()
    if not found.is_file():
        raise ValueError(f"`path` must be a file with {holds}, got {path!r}; check its name")
    return found
