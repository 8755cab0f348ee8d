"""The memorisers there are, one line each: every choice, loop count and figure reads them here."""

from __future__ import annotations

from looprate.theory.construction.build.digits import DIGITS
from looprate.theory.construction.build.increments import INCREMENTS
from looprate.theory.construction.build.memoriser import MemoriserKind
from looprate.theory.construction.build.timestep import TIMESTEP
from looprate.theory.construction.build.two_level_digits import TWO_LEVEL_DIGITS
from looprate.theory.construction.build.two_level_increments import TWO_LEVEL_INCREMENTS
from looprate.theory.notation import check_choice

__all__ = ["MEMORISERS", "memoriser_kind", "one_level"]

MEMORISERS: dict[str, MemoriserKind] = {
    kind.name: kind
    for kind in (
        INCREMENTS,
        TIMESTEP,
        DIGITS,
        TWO_LEVEL_INCREMENTS,
        TWO_LEVEL_DIGITS,
    )
}


def one_level() -> list[MemoriserKind]:
    """Return the memorisers that spend a loop or more on every label, as the paper's do."""
    return [kind for kind in MEMORISERS.values() if not kind.bitwise]


def memoriser_kind(name: str) -> MemoriserKind:
    """Return a memoriser by its name.

    Parameters
    ----------
    name : str

    Raises
    ------
    ValueError
        If there is none of that name.
    """
    return MEMORISERS[check_choice(name, "memoriser", tuple(MEMORISERS))]
