"""What is asked about: a target from a text, a function or a module."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from looprate.asked import AskedTarget
from looprate.theory.notation import check_p, check_size
from looprate.theory.targets import OwnFunction, Target, notes_of, resolve_target

__all__ = ["asked_target", "target"]

NETWORK = re.compile(r".+\.npz(:\d+)?")  # a file of trained networks, and which of them
LOOPED = "looprate.approx.models.looped.LoopedTransformer"


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
    found = _named(text, tokens=tokens, dim=dim)
    for line in notes_of(found):
        print(f"looprate: {line}", file=sys.stderr)
    return found


def _named(text: str, *, tokens: int, dim: int) -> Target:
    """Return the target of a text, or the trained network whose file it names."""
    if NETWORK.fullmatch(text.strip()):
        from looprate.experiments.learned.saved import network_target

        return network_target(text, tokens=tokens, dim=dim)
    return resolve_target(text, tokens=tokens, dim=dim)


def _equivariant(function: Any) -> bool:
    """Tell whether a function is permutation-equivariant by construction: ours, no positions."""
    kind = f"{type(function).__module__}.{type(function).__name__}"
    return kind == LOOPED and not function.config.positions


def target(
    of: str | Target | Callable[[Any], Any],
    *,
    tokens: int = 2,
    dim: int = 1,
    p: float = 1.0,
    name: str | None = None,
) -> AskedTarget:
    """Return a target that can be asked about.

    Parameters
    ----------
    of : str, Target or callable
        What ``looprate moduli`` takes as TARGET, a file of trained networks included; or a
        function or torch module of your own, from arrays (B, N, d) to (B, N, d), for NumPy, torch
        or both.  Modules that it is or holds are copied, and the copies taken in evaluation mode
        and float64.
    tokens, dim : int
        N and d.
    p : float
        Exponent of the output norm, 1 <= p <= inf.
    name : str, optional
        Of a callable, in tables and figures (default: its own).

    Returns
    -------
    AskedTarget

    Raises
    ------
    TypeError
        If it is neither.
    ValueError
        If an argument is out of range, or it is no function (B, N, d) to (B, N, d).
    """
    tokens, dim = check_size(tokens, dim)
    p = check_p(p)
    if isinstance(of, str):
        found = _named(of, tokens=tokens, dim=dim)
    elif isinstance(of, Target):
        found = of
    elif isinstance(of, type) or not callable(of):
        raise TypeError(
            "`of` must be a name, a formula, a function or a module (an instance, not a class), "
            f"got {of!r}"
        )
    else:
        from looprate.theory.targets.modules import copied
        from looprate.theory.targets.resolve import checked

        called = str(name or getattr(of, "__name__", type(of).__name__))
        own = OwnFunction(called, copied(of), frozenset(), equivariant=_equivariant(of))
        found = checked(own, tokens=tokens, dim=dim)
    return AskedTarget(found, tokens, dim, p)
