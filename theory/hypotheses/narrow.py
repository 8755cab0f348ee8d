"""Coarser arithmetic inside a function, seen where its arrays and tensors change their type.

A function such as ``x + sin(x.astype(float32))`` returns float64 and moves with every change of its
input, and yet has steps of the height of float32's rounding.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from looprate.theory.hypotheses.fine_steps import steps_finely
from looprate.theory.hypotheses.subject import Array, Subject

BYTES = 8  # of float64
NEAR, FAR_MORE = 2.0**-44, 100.0  # a step's width, far below float32's; times the move elsewhere


@dataclass(frozen=True)
class Narrow:
    """The coarsest type seen.

    Attributes
    ----------
    name : str
        Such as "float32 (softmax)"; "" where there was none.
    epsilon : float
        Its relative spacing; 0 where there was none.
    """

    name: str = ""
    epsilon: float = 0.0


def narrowest_inside(subject: Subject, x: Array) -> Narrow:
    """Return the coarsest floating type into which a function turns something of float64.

    It is looked for once, on a batch, among arrays that come from the input (``astype``, ``dtype=``
    of a NumPy function) and among all calls of torch.  An input that turns into float32 in another
    way shows in steps half way between two numbers of float32, anything else in fine steps.
    """
    seen: list[Narrow] = []
    try:
        with _tensors_watched(seen), np.errstate(all="ignore"):
            subject.call(x.copy().view(_watching(seen)))
    except Exception:  # it may not take what is watched: nothing is known then
        seen.clear()
    if not seen and _steps_half_way(subject, x):
        return Narrow("float32", float(np.finfo(np.float32).eps))
    if not seen and steps_finely(subject, x):
        return Narrow("steps like float32's", float(np.finfo(np.float32).eps))
    return max(seen, key=lambda one: one.epsilon, default=Narrow())


def _steps_half_way(subject: Subject, x: Array) -> bool:
    """Tell whether f moves far more across what float32 rounds apart than elsewhere."""
    low = x.astype(np.float32)
    gap = np.spacing(low).astype(float)
    moves = []
    for place in (0.5, 0.25):
        at = low + place * gap
        there = [subject(at + side * NEAR) for side in (-1, 1)]
        with np.errstate(invalid="ignore"):
            moves.append(np.nan_to_num(np.abs(there[1] - there[0]), posinf=0.0))
    return float(np.median(moves[0])) > FAR_MORE * max(float(moves[1].max()), np.finfo(float).tiny)


def _watching(seen: list[Narrow]) -> type[np.ndarray[Any, Any]]:
    """Return a type of arrays that note when one of float64 becomes one of a coarser type."""

    class Watching(np.ndarray[Any, Any]):
        def __array_finalize__(self, source: Any) -> None:
            if isinstance(source, Watching) and _is_narrowing(source.dtype, self.dtype):
                seen.append(Narrow(str(self.dtype), float(np.finfo(self.dtype).eps)))

    return Watching


def _is_narrowing(before: np.dtype[Any], after: np.dtype[Any]) -> bool:
    """Tell whether a floating type is coarser than the float64 it comes from."""
    return before.kind == after.kind == "f" and after.itemsize < before.itemsize == BYTES


@contextmanager
def _tensors_watched(seen: list[Narrow]) -> Iterator[None]:
    """Note every call of torch that takes a tensor of float64 and returns a coarser one."""
    torch: Any = sys.modules.get("torch")
    if torch is None:
        yield
        return
    tree = torch.utils._pytree

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            given = tree.tree_leaves((args, kwargs))
            if any(isinstance(t, torch.Tensor) and t.dtype == torch.float64 for t in given):
                for one in tree.tree_leaves(out):
                    if isinstance(one, torch.Tensor) and one.is_floating_point():
                        _note(one.dtype, getattr(func, "__name__", "a call"))
            return out

    def _note(dtype: Any, call: str) -> None:
        eps = float(torch.finfo(dtype).eps)
        if eps > np.finfo(float).eps:
            seen.append(Narrow(f"{str(dtype).removeprefix('torch.')} ({call})", eps))

    with Watch():
        yield
