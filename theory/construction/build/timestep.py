"""Stage 3 by timestep modulation, the memoriser of Theorem 4.2 (v7): exact, with eta(t).

In the loop of label j = t - values_start + 1 all coordinates share one step,

    y_i += eta_i(t) (relu(k-j+1) - relu(k-j)),       eta_i(t) = y_{j,i} - y_{j-1,i},

so that after L loops row y_i holds Σ_{j<=k} eta_i = y_{k,i} - y_{0,i} for k in 0..L; L2 adds y_0.

Error: 0, whatever the labels.
Range: for any real k the result is y_0 + Σ_j (y_j - y_{j-1}) clip(k-j+1, 0, 1), the linear
interpolation of the labels at k clipped to [0, L]: between the smallest and the largest label.
eta is 0 before stage 3 and after its last loop, so further loops change nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from looprate.theory.construction.build.coding import label_form
from looprate.theory.construction.build.memoriser import MemoriserKind
from looprate.theory.construction.build.network import Affine, Decoder, Unit
from looprate.theory.construction.build.parts import Part

if TYPE_CHECKING:
    from looprate.theory.construction.build.labels import LabelTable
    from looprate.theory.construction.build.spec import ConstructionSpec


def timestep_value(k: Fraction | int, table: LabelTable, coordinate: int) -> Fraction:
    """Return what the memoriser answers at label k, any real number."""
    values = table.values[:, coordinate]
    last = len(values) - 1
    at = min(max(Fraction(k), Fraction(0)), Fraction(last))
    floor = min(int(at), last - 1) if last else 0
    step = int(values[min(floor + 1, last)]) - int(values[floor])
    return table.unit * (int(values[floor]) + (at - floor) * step)


def _part(spec: ConstructionSpec, table: LabelTable) -> tuple[Part, Decoder]:
    """Rows y_i with their eta, the two units they share, and L2."""
    names = [f"y_{i}" for i in range(spec.dim)]
    form, offset = label_form(spec)
    first = offset + spec.values_start - 1
    units = tuple(
        Unit(name, {**form, "clock": -1}, first + more, dict.fromkeys(names, sign))
        for name, more, sign in (("label_from", 1, 1), ("label_past", 0, -1))
    )
    changes = table.values[1:] - table.values[:-1]
    wait = (0,) * spec.values_start
    eta = {name: wait + tuple(changes[:, i].tolist()) for i, name in enumerate(names)}
    decoder: Decoder = tuple(
        ({name: table.unit}, table.unit * int(table.values[0, i])) for i, name in enumerate(names)
    )
    return Part({name: Affine() for name in names}, units=units, eta=eta), decoder


def _answer(_: ConstructionSpec, table: LabelTable) -> Callable[[Fraction | int, int], Fraction]:
    """What is answered at label k in coordinate i."""
    return lambda k, i: timestep_value(k, table, i)


TIMESTEP = MemoriserKind(
    name="timestep",
    source="Theorem 4.2",
    coding="rank",
    modulated=True,
    loops=lambda label, _: label,
    error=lambda *_: (0, Fraction(0)),
    part=_part,
    answer=_answer,
    seconds_a_loop=3.5e-5,
    seconds_a_column=5e-9,
)
