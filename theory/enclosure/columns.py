"""Dataclasses of arrays and intervals that share their first axis: a table, by columns."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np

from looprate.theory.enclosure.intervals import Interval

__all__ = ["Columns"]


@dataclass(frozen=True)
class Columns:
    """Base of such dataclasses; fields of subclasses are arrays, or intervals, of (B, ...)."""

    def __len__(self) -> int:
        return len(self._columns()[0])

    def picked(self, which: Any) -> Self:
        """Return some of the rows, by mask, indices or slice."""
        columns = (
            c.picked(which) if isinstance(c, Interval) else c[which] for c in self._columns()
        )
        return type(self)(*columns)

    @classmethod
    def joined(cls, parts: list[Self]) -> Self:
        """Return all rows of several tables of arrays."""
        columns = zip(*(part._columns() for part in parts), strict=True)
        return cls(*map(np.concatenate, columns))

    def _columns(self) -> list[Any]:
        """Return the fields in their order."""
        return [getattr(self, part.name) for part in fields(self)]
