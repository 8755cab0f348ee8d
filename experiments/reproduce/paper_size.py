"""Whether a fit's task has the published sizes, the only ones at which numbers are compared."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from looprate.experiments.reproduce.presets import PRESETS

NOT_SIZES = {"bases", "path", "cache", "download", "held_out"}  # where rows come from


def at_paper_size(row: Mapping[str, Any]) -> bool:
    """Tell whether a fit's task has the sizes of the preset "paper"."""
    return _sizes(row["sizes"]) == _sizes(PRESETS["paper"][row["name"]].task.as_dict())


def _sizes(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sizes proper, as they come back from JSON."""
    kept = {name: value for name, value in sizes.items() if name not in NOT_SIZES}
    return dict(json.loads(json.dumps(kept)))
