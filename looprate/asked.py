"""The target a command is asked about: resolved for its N and d, with a word on what was done."""

from __future__ import annotations

import sys

from looprate.theory.targets import Target, notes_of, resolve_target

__all__ = ["asked_target"]


def asked_target(text: str, *, tokens: int, dim: int) -> Target:
    """Return the target of a text, checked for N and d; say on stderr what was done to it.

    Parameters
    ----------
    text : str
    tokens, dim : int
        N and d.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        See :func:`looprate.theory.targets.resolve_target`.
    """
    target = resolve_target(text, tokens=tokens, dim=dim)
    for line in notes_of(target):
        print(f"looprate: {line}", file=sys.stderr)
    return target
