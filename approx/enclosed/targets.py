"""Functions of the user's written for torch, given enclosures."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from looprate.approx.enclosed.module import enclosed
from looprate.theory.targets import OwnFunction, Target
from looprate.theory.targets.base import Scaled, Sum
from looprate.theory.targets.resolve import settled


class _AsModule(nn.Module):
    """A torch function as a module."""

    def __init__(self, own: OwnFunction) -> None:
        super().__init__()
        self.function = own.function

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.function(x)
        return result


def with_enclosures(target: Target, *, tokens: int, dim: int, always: bool = False) -> Target:
    """Return a target whose own functions for torch alone can be enclosed, too.

    Parameters
    ----------
    target : Target
        Other targets, and own functions that take NumPy arrays, are returned as they are.
    tokens, dim : int
        N and d.
    always : bool
        Whether own functions that take NumPy arrays and tensors are traced by torch, too.

    Raises
    ------
    ValueError
        See :func:`looprate.approx.enclosed.enclosed`.
    """

    def followed(part: Target) -> Target:
        return with_enclosures(part, tokens=tokens, dim=dim, always=always)

    if isinstance(target, Sum):
        return Sum(tuple(map(followed, target.terms)))
    if isinstance(target, Scaled):
        return Scaled(target.factor, followed(target.inner))
    if isinstance(target, OwnFunction):
        target = settled(target, tokens=tokens, dim=dim)
    if not isinstance(target, OwnFunction) or "torch" not in target.accepts:
        return target
    if "numpy" in target.accepts and not always:
        return target
    function = enclosed(_AsModule(target), tokens=tokens, dim=dim)
    function.name = target.source
    return replace(target, function=function, accepts=frozenset({"numpy", "torch"}))
