"""Targets as enclosures can follow them: by NumPy, or else as torch sees them."""

from __future__ import annotations

from contextlib import suppress

from looprate.theory.continuity.certified import as_written
from looprate.theory.targets import Target
from looprate.theory.targets.own import own_functions

__all__ = ["followed"]


def followed(target: Target, tokens: int, dim: int) -> Target:
    """Return the target so that enclosures can follow it, by NumPy or else as torch sees it.

    Parameters
    ----------
    target : Target
    tokens, dim : int
        N and d.

    Raises
    ------
    ValueError
        If neither has an enclosure.
    """
    own = own_functions(target)
    if not all("numpy" in each.accepts for each in own):
        return _traced(target, tokens, dim)
    try:
        return as_written(target, tokens, dim)
    except ValueError:
        if not own or not all("torch" in each.accepts for each in own):
            raise
        with suppress(ValueError):
            return _traced(target, tokens, dim)
        raise


def _traced(target: Target, tokens: int, dim: int) -> Target:
    """Return the target with its own functions traced by torch."""
    from looprate.approx.enclosed import with_enclosures

    return as_written(with_enclosures(target, tokens=tokens, dim=dim, always=True), tokens, dim)
