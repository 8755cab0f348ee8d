"""The versions of a bound that the commands, the study and the explorer offer."""

from __future__ import annotations

import math
from collections.abc import Callable

from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.loop_counts import SUITED_CODING, Memoriser
from looprate.theory.bounds.rows import BoundRow, Moduli
from looprate.theory.bounds.theorem import Placement, theorem_3_6_bound
from looprate.theory.notation import check_loops

__all__ = ["bound_function"]

VERSIONS = ("theorem-3.6", "theorem-3.6-stages", "increments", "digits", "timestep")


def bound_function(
    version: str,
    moduli: Moduli,
    *,
    tokens: int,
    dim: int,
    p: float,
    oscillation: float,
    trivial: float | None,
    trivial_stderr: float | None,
    placement: Placement = "default",
    slope: float = math.inf,
) -> Callable[[int], BoundRow]:
    """Return ``loops -> BoundRow`` for one of :data:`VERSIONS`.

    ``theorem-3.6`` is the statement (v7), ``theorem-3.6-stages`` the same with the cell width of
    the paper's own stage counts; the other three are the explicit inequality for the increments
    memoriser with the sum code, and for digits and timestep with the rank code.
    """
    if version not in VERSIONS:
        raise ValueError(f"`version` must be one of {', '.join(VERSIONS)}, got {version!r}")

    def at(loops: int) -> BoundRow:
        r = check_loops(loops, tokens=tokens)
        if version.startswith("theorem"):
            return theorem_3_6_bound(
                moduli,
                r,
                tokens=tokens,
                dim=dim,
                p=p,
                oscillation=oscillation,
                slope=slope,
                placement=placement,
                delta_rule="stages" if version.endswith("stages") else "printed",
                trivial=trivial,
                trivial_stderr=trivial_stderr,
            )
        memoriser: Memoriser = version  # type: ignore[assignment]
        return explicit_bound(
            moduli,
            r,
            tokens=tokens,
            dim=dim,
            p=p,
            oscillation=oscillation,
            memoriser=memoriser,
            coding=SUITED_CODING[memoriser],
            slope=slope,
            trivial=trivial,
            trivial_stderr=trivial_stderr,
        )

    return at
