"""When stage 2 runs: its N loops, by eta(t) or, without, by a gate.

With eta(t), eta is 1 on the stage's rows in these loops and 0 in all others.  Without, row `gate`
is 0 in these loops and at least 1 in all others; a unit that reads it with a weight of minus all
that the unit can hold is 0 whenever the gate is not.  `gate` counts from `clock` = t, one loop
ahead:

    gate <- relu(context_start - 1 - t) + relu(t + 2 - values_start).

Proof.  Loop t + 1 sees the value that loop t writes: 0 iff t + 1 >= context_start and
t + 1 <= values_start - 1, else an integer of at least 1.  Loop 0 sees the start, context_start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from looprate.theory.construction.build.network import Affine, Form, Unit
from looprate.theory.construction.build.parts import Part

if TYPE_CHECKING:
    from looprate.theory.construction.build.spec import ConstructionSpec


def gate_part(spec: ConstructionSpec) -> Part:
    """Row gate, none with eta(t)."""
    if spec.modulated:
        return Part({})
    units = (
        Unit("gate_before", {"clock": -1}, spec.context_start - 1, {"gate": 1}),
        Unit("gate_after", {"clock": 1}, 2 - spec.values_start, {"gate": 1}),
        Unit("clear_gate", {"gate": 1}, 0, {"gate": -1}),
    )
    return Part({"gate": Affine(bias=spec.context_start)}, units=units)


def closed(spec: ConstructionSpec, most: int) -> Form:
    """What a unit reads of the gate to be 0 outside stage 2, if it never holds more than this."""
    return {} if spec.modulated else {"gate": -most}


def window(spec: ConstructionSpec, *rows: str) -> dict[str, tuple[int, ...]]:
    """Return eta of the stage's rows, nothing without eta(t)."""
    schedule = (0,) * spec.context_start + (1,) * spec.tokens
    return dict.fromkeys(rows, schedule) if spec.modulated else {}
