"""Steps of a traced module that are done twice, as ``x - m`` is in many norms, done once.

What is one array then is known to be one: a vector over its own norm stays within its limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass, replace
from typing import Any


def once(steps: Sequence[Any], result: str) -> list[Any]:
    """Return the steps without repetitions; the one whose name is the result stays."""
    first: dict[Any, str] = {}
    same: dict[str, str] = {}
    kept = []
    for step in steps:
        args, kwargs = _renamed((step.args, step.kwargs), same)
        key = step.function, repr(args), repr(kwargs)
        name = first.setdefault(key, step.name)
        if name == step.name or step.name == result:
            kept.append(replace(step, args=args, kwargs=kwargs))
        else:
            same[step.name] = name
    return kept


def _renamed(item: Any, same: Mapping[str, str]) -> Any:
    """Return arguments with the names of repetitions replaced by those of the first."""
    if isinstance(item, dict):
        return {key: _renamed(value, same) for key, value in item.items()}
    if isinstance(item, tuple | list):
        return type(item)(_renamed(part, same) for part in item)
    if is_dataclass(item) and (name := same.get(getattr(item, "name", ""))):
        return replace(item, name=name)  # type: ignore[type-var]
    return item
