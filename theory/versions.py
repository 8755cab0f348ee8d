"""The versions of a bound that the commands, the study and the explorer offer."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from looprate.theory.bounds.explicit import explicit_bound
from looprate.theory.bounds.loop_counts import THEOREMS, Coding
from looprate.theory.bounds.rows import BoundRow, Moduli
from looprate.theory.bounds.theorem import Placement, theorem_3_6_bound
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.notation import check_choice, check_loops

__all__ = ["bound_function"]


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
    placement: Placement = "all",
    slope: float = math.inf,
    coding: Coding | None = None,
) -> Callable[[int], BoundRow]:
    """Return ``loops -> BoundRow`` for one of :data:`THEOREMS`, or for a memoriser by its name.

    ``theorem-3.6`` is the statement (v7), ``theorem-3.6-stages`` the same with the cell width of
    the paper's own stage counts; a memoriser's is its explicit inequality on ``coding``, left out
    on the code that suits it.
    """
    check_choice(version, "version", (*THEOREMS, *MEMORISERS))
    if coding is not None and version in THEOREMS:
        raise ValueError(
            f"`coding` is for the inequality of a memoriser, got {coding!r} with {version}; leave "
            "it out or choose a memoriser"
        )
    setting: dict[str, Any] = {"tokens": tokens, "dim": dim, "p": p, "oscillation": oscillation}
    setting |= {"slope": slope, "trivial": trivial, "trivial_stderr": trivial_stderr}
    bound: Callable[[Moduli, int], BoundRow]
    if version in THEOREMS:
        rule: Literal["printed", "stages"] = "stages" if version.endswith("stages") else "printed"
        bound = partial(theorem_3_6_bound, placement=placement, delta_rule=rule, **setting)
    else:
        code = coding or MEMORISERS[version].coding
        bound = partial(explicit_bound, memoriser=version, coding=code, **setting)
    return lambda loops: bound(moduli, check_loops(loops, tokens=tokens))
