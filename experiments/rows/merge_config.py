"""What a merged run was asked for: the config.json of its parts as one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from looprate.theory.outputs import checked_input

#: Entries that may differ between machines that share the work, and how they are joined.
UNITED = frozenset(
    [
        *("targets", "shapes", "loops", "families", "learning_rates", "grids"),  # of a study
        *("shares", "roughness"),  # of the sweep of eta(t)
        *("fits", "models", "depths", "test_loops"),  # of a reproduction
    ]
)
LARGEST = frozenset({"seeds"})
FIRST = frozenset({"device", "note"})


def merged_config(folders: Sequence[Path], notes: list[str]) -> Any:
    """Return the configurations of run folders as one, None where no folder has one.

    Parameters
    ----------
    folders : sequence of Path
    notes : list of str
        Gets a line for every choice made.

    Raises
    ------
    ValueError
        If they differ in what decides numbers, such as the preset; the entry is named.
    """
    paths = [folder / "config.json" for folder in folders]
    found = [(path.parent, _read(path)) for path in paths if path.exists()]
    if not found:
        return None
    owner, merged = found[0]
    for folder, config in found[1:]:
        merged = _join(merged, config, (), (owner, folder), notes)
    return merged


def _read(path: Path) -> Any:
    """Return what a config.json holds."""
    try:
        return json.loads(checked_input(path).read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(
            f"`config.json` must be JSON, {path} is not; delete it or run the command again there"
        ) from None


def _join(
    one: Any, other: Any, place: tuple[str, ...], owners: tuple[Path, Path], notes: list[str]
) -> Any:
    """Join two values found at one place."""
    if one == other:
        return one
    name = place[-1] if place else "config.json"
    if isinstance(one, dict) and isinstance(other, dict):
        shared = {
            key: _join(one[key], other[key], (*place, key), owners, notes)
            for key in one
            if key in other
        }
        return one | other | shared
    if name in UNITED and isinstance(one, list) and isinstance(other, list):
        return one + [item for item in other if item not in one]
    if name in LARGEST:
        return max(one, other)
    if name in FIRST:
        notes.append(f"config.json: {'.'.join(place)} is {one!r}, {owners[1]} has {other!r}")
        return one
    raise ValueError(
        f"`config.json` must agree in {'.'.join(place) or 'form'}, {owners[0]} has {one!r} and "
        f"{owners[1]} has {other!r}; merge runs of one preset"
    )
