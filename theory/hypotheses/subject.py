"""A function under test: called on NumPy batches whatever it is written for, output untouched."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.targets import OwnFunction, Target, own_functions
from looprate.theory.targets.own import is_torch, on_tensors, the_torch
from looprate.theory.targets.resolve import settled

Array = NDArray[Any]
CHUNK = 256  # inputs of a call: larger batches leave the cache and are slower
ENTRIES = 1 << 20  # ... or as many as N times their entries, which attention holds, allow
SCANNED = 256  # inputs tried one by one in search of the one that fails


class EvaluationFailed(Exception):
    """The function raised, or returned no batch of the right shape; ``x`` is the input or None."""

    def __init__(self, reason: str, x: Array | None = None) -> None:
        super().__init__(reason)
        self.x = x


@dataclass(frozen=True, eq=False)
class Output:
    """What one call returned.

    Attributes
    ----------
    values : ndarray, shape (B, N, d)
        As float64; NaN and inf are kept.
    dtype : str
        As returned.
    epsilon : float or None
        Spacing of that dtype's numbers at 1; None where they are not floating.
    """

    values: Array
    dtype: str
    epsilon: float | None


@dataclass(frozen=True, eq=False)
class Subject:
    """A function on NumPy batches (B, N, d).

    Attributes
    ----------
    call : callable
        Batch to whatever the function returns.
    tokens, dim : int
        N and d.
    proven : bool
        Whether it is a target that is equivariant and continuous by construction.
    note : str
        How it is called, where that is not as it is.
    """

    call: Callable[[Array], Any]
    tokens: int
    dim: int
    proven: bool = False
    note: str = ""

    def output(self, x: Array) -> Output:
        """Return the output of one call; raise :class:`EvaluationFailed` naming an input."""
        try:
            return self._output(x)
        except EvaluationFailed as error:
            raise EvaluationFailed(str(error), self._culprit(x)) from error

    def __call__(self, x: Array) -> Array:
        """Return the values on a batch, evaluated in chunks."""
        size = max(1, min(CHUNK, ENTRIES // (self.tokens * self.tokens * self.dim)))
        parts = [self.output(x[k : k + size]).values for k in range(0, len(x), size)]
        return np.concatenate(parts)

    def _output(self, x: Array) -> Output:
        """One call, its output checked."""
        try:
            with np.errstate(all="ignore"):
                found = _plain(self.call(x.copy()))
        except Exception as error:  # whatever a user's function may raise
            said = " ".join(str(error).split())
            raise EvaluationFailed(f"it raised {type(error).__name__}: {said}") from error
        if found.values.shape != x.shape:
            shapes = f"{found.values.shape}, expected {x.shape} = (B, N, d)"
            raise EvaluationFailed(f"it returned shape {shapes}")
        return found

    def _culprit(self, x: Array) -> Array | None:
        """Return the first input of a batch on which the function fails by itself, if any."""
        for row in range(min(len(x), SCANNED)):
            try:
                self._output(x[row : row + 1])
            except EvaluationFailed:
                return np.asarray(x[row])
        return None


def _plain(out: Any) -> Output:
    """Return an output as float64 beside the type it came in."""
    if is_torch(out, "Tensor"):
        name = str(out.dtype).removeprefix("torch.")
        epsilon = float(the_torch().finfo(out.dtype).eps) if out.is_floating_point() else None
        real = out.real if out.is_complex() else out
        return Output(real.detach().double().cpu().numpy(), name, epsilon)
    array = np.asarray(out)
    epsilon = float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else None
    real = array.real if array.dtype.kind == "c" else array
    return Output(real.astype(np.float64), str(array.dtype), epsilon)


def subject_of(f: Callable[[Any], Any], *, tokens: int, dim: int) -> Subject:
    """Return any function as one on NumPy batches.

    A function of the user's is called without the checks that a target wraps around it; a torch
    module as a float64 copy, in the mode it is in.

    Parameters
    ----------
    f : callable
        A target, a torch module, or a NumPy or torch function, (B, N, d) to the same shape.
    tokens, dim : int
        N and d.

    Raises
    ------
    TypeError
        If ``f`` is not callable.
    """
    if not callable(f):
        raise TypeError(f"`f` must be callable on (B, N, d), got {type(f).__name__}")
    shape: dict[str, Any] = {"tokens": tokens, "dim": dim}
    if is_torch(f, "nn.Module"):
        return _module_subject(f, shape)
    if isinstance(f, OwnFunction):
        own = settled(f, tokens=tokens, dim=dim)
        return Subject(own.raw, **shape, note="; ".join(own.notes))
    if isinstance(f, Target):
        return Subject(f, **shape, proven=not own_functions(f))
    if _takes_arrays(f, (2, tokens, dim)):
        return Subject(f, **shape)
    return Subject(_in_double(f), **shape)


def _module_subject(module: Any, shape: dict[str, Any]) -> Subject:
    """Return a torch module as a float64 copy."""
    parts = [*module.parameters(), *module.buffers()]
    kinds = {str(part.dtype).removeprefix("torch.") for part in parts if part.is_floating_point()}
    single = sorted(kinds - {"float64"})
    note = f"its {', '.join(single)} weights are checked as a float64 copy" if single else ""
    double = copy.deepcopy(module).double()
    device = parts[0].device if parts else None
    return Subject(_in_double(double, device), **shape, note=note)


def _in_double(f: Callable[[Any], Any], device: Any = None) -> Callable[[Array], Any]:
    """Return f for NumPy input, called on tensors of float64."""
    return on_tensors(f, dtype=the_torch().float64, device=device)


def _takes_arrays(f: Callable[[Any], Any], shape: tuple[int, ...]) -> bool:
    """Tell whether a plain callable takes NumPy arrays; a torch one raises TypeError on them."""
    try:
        with np.errstate(all="ignore"):
            f(np.full(shape, 0.4))
    except (TypeError, AttributeError):
        return "torch" not in sys.modules  # nothing written for torch runs without it
    except Exception:  # it takes arrays and fails for a reason of its own
        return True
    return True
