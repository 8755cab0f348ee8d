"""What one step of the construction contributes to the block, and how parts become a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from looprate.theory.construction.build.network import Affine, Block, Form, Head, Unit


@dataclass(frozen=True)
class Part:
    """Rows with their L1, and the heads, hidden units, output biases and eta that update them."""

    rows: Mapping[str, Affine]
    heads: tuple[Head, ...] = ()
    units: tuple[Unit, ...] = ()
    drift: Form = field(default_factory=dict)
    eta: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def stepped(
    row: str, values: Sequence[int]
) -> tuple[dict[str, Affine], dict[str, int], dict[str, tuple[int, ...]]]:
    """Return L1, drift and eta of a row that takes these values in loops 0, 1, ... and then stays.

    A drift of 1 and eta = the differences: no unit is needed.
    """
    steps = tuple(after - before for before, after in pairwise(values))
    return {row: Affine(bias=values[0] if values else 0)}, {row: 1}, {row: steps}


def join(
    parts: Sequence[Part],
) -> tuple[Block, dict[str, Affine], dict[str, tuple[int, ...]]]:
    """Return the block of all parts, L1 and eta.

    Raises
    ------
    ValueError
        If two parts own the same row or unit, or set the same drift.
    """
    rows = [row for part in parts for row in part.rows]
    drifting = [row for part in parts for row in part.drift]
    if len(set(drifting)) != len(drifting):
        raise ValueError(f"`parts` must not set a drift twice, got {drifting}")
    block = Block(
        rows=tuple(rows),
        heads=tuple(head for part in parts for head in part.heads),
        units=tuple(unit for part in parts for unit in part.units),
        drift={row: value for part in parts for row, value in part.drift.items()},
    )
    encoder = {row: affine for part in parts for row, affine in part.rows.items()}
    eta = {row: schedule for part in parts for row, schedule in part.eta.items()}
    return block, encoder, eta
