"""Functions the user wrote, as targets: called on a copy, in float64, their output checked."""

from __future__ import annotations

import importlib
import operator
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, final

import numpy as np

from looprate.theory.notation import Kind
from looprate.theory.targets.base import ClosedForm, Scaled, Smoothness, Sum, Target, namespace
from looprate.theory.targets.formula import Formula
from looprate.theory.targets.home import Home

__all__ = ["OwnFunction", "own_functions"]

LONGEST = 200  # characters of somebody else's message
OURS = str(Path(__file__).resolve().parent.parent)


def the_torch() -> Any:
    """Import torch where it is needed."""
    return importlib.import_module("torch")


def is_torch(value: object, name: str) -> bool:
    """Tell whether a value is of a class of torch, such as nn.Module, without importing it."""
    if "torch" not in sys.modules:
        return False
    return isinstance(value, operator.attrgetter(name)(the_torch()))


def on_tensors(f: Callable[[Any], Any], **like: Any) -> Callable[[Any], Any]:
    """Return f for NumPy input, called on tensors made with ``like``, without a gradient."""

    def call(x: Any) -> Any:
        with the_torch().no_grad():
            return f(the_torch().as_tensor(x, **like))

    return call


def accepted(out: Any, x: Any, name: str) -> Any:
    """Return the output of an own function, or raise naming it, the expected and the got."""
    tensor = namespace(x) is not np
    kind: Any = the_torch().Tensor if tensor else np.ndarray
    if not isinstance(out, kind):
        what = "a torch tensor" if tensor else "a NumPy array"
        cure = "; return one of its parts, such as out[0]" if isinstance(out, tuple | list) else ""
        raise TypeError(f"`{name}` returned a {type(out).__name__}, expected {what}{cure}")
    if tuple(out.shape) != tuple(x.shape):
        raise ValueError(
            f"`{name}` returned shape {tuple(out.shape)}, expected {tuple(x.shape)} = (B, N, d)"
        )
    xp = the_torch() if tensor else np
    floating = out.is_floating_point() if tensor else np.issubdtype(out.dtype, np.floating)
    if not floating:
        raise ValueError(f"`{name}` returned {out.dtype}, expected floating point numbers")
    bad = ~xp.isfinite(out)
    if bool(bad.any()):
        row = int(np.argmax(np.asarray(bad.reshape(len(x), -1).any(1).tolist())))
        shown = np.round(np.asarray(x[row].tolist()), 6).tolist()
        what = "NaN" if bool(xp.isnan(out).any()) else "inf"
        raise ValueError(
            f"`{name}` returned {what}, expected finite numbers; the first is at input {shown}; "
            "keep denominators away from 0 and roots of what is >= 0"
        )
    return out


@final
@dataclass(frozen=True)
class OwnFunction(Target):
    """A function the user wrote, (B, N, d) to (B, N, d); nothing is proven about it.

    It gets a copy of its input, in float64 (or float32, where ``single``), so that what it does in
    place harms nobody, and every command evaluates one and the same function.

    Attributes
    ----------
    source : str
        Where it came from; also its name.
    function : callable
    accepts : frozenset of {"numpy", "torch"}
        What it can be called on.  The other kind is converted, without a gradient.  Empty: not
        looked at yet; the first call finds out.
    single : bool
        Whether it works in float32 only.
    notes : tuple of str
        What was done to it, for people.
    home : Home
        What its code finds around it.
    fixed : bool
        Whether it holds torch modules or tensors, and so computes on the CPU.
    equivariant : bool
        Whether it is known to be permutation-equivariant by construction.
    """

    source: str
    function: Callable[[Any], Any] = field(compare=False)
    accepts: frozenset[str] = frozenset({"numpy"})
    single: bool = field(default=False, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)
    home: Home = field(default_factory=Home, compare=False, repr=False)
    fixed: bool = field(default=False, compare=False, repr=False)
    equivariant: bool = field(default=False, compare=False, repr=False)
    smoothness = Smoothness(1.0, "Lipschitz", "taken to be Lipschitz, which is not proven")

    def _evaluate(self, x: Any, xp: Any) -> Any:
        if hasattr(type(x), "__looprate_namespace__"):
            return self._run(x)  # enclosures follow what is written for NumPy, or refuse
        if not self.accepts:
            from looprate.theory.targets.resolve import settled

            known = settled(self, tokens=x.shape[1], dim=x.shape[2])
            for name in ("accepts", "single", "notes", "fixed"):
                object.__setattr__(self, name, getattr(known, name))
        given = self.given(x, xp)
        try:
            out = self.called(given)
        except Exception as error:  # whatever a user's function may raise
            raise self._failed(error, x) from error
        return _like(accepted(out, given, self.source), x, xp)

    def raw(self, x: Any) -> Any:
        """Return what the function itself returns for its own copy of a NumPy batch, unchecked."""
        return self.called(self.given(x, np))

    def called(self, given: Any) -> Any:
        """Call the function at home; without gradients where its input has none."""
        if namespace(given) is np or given.requires_grad:
            return self._run(given)
        with the_torch().no_grad():
            return self._run(given)

    def _run(self, given: Any) -> Any:
        """Call the function at home, where it ends nothing but itself."""
        with self.home.entered():
            try:
                return self.function(given)
            except SystemExit as end:
                failed = RuntimeError(f"the function ends the process, SystemExit({end.code!r})")
                raise failed.with_traceback(end.__traceback__) from None

    def given(self, x: Any, xp: Any) -> Any:
        """Return a copy of a batch as the function takes it."""
        kind = "numpy" if xp is np else "torch"
        if kind not in self.accepts:
            kind = "torch" if kind == "numpy" else "numpy"
        if kind == "numpy":
            array = x if xp is np else x.detach().cpu().numpy()
            return np.array(array, np.float32 if self.single else np.float64, subok=True)
        torch = the_torch()
        dtype = torch.float32 if self.single else torch.float64
        if xp is np:
            return torch.tensor(x, dtype=dtype)
        return x.to(dtype=dtype, device="cpu" if self.fixed else x.device, copy=True)

    def _failed(self, error: Exception, x: Any) -> Exception:
        """Return the error of a call, naming the target, the place and the batch."""
        place = place_in(error, self.home.folder)
        return ValueError(
            f"`target` {self.source} failed{place} with {in_words(error)}, on a batch of shape "
            f"{tuple(x.shape)} = (B, N, d); correct the function"
        )

    def _closed_form(
        self, delta: float, kind: Kind, tokens: int, dim: int, p: float
    ) -> ClosedForm | None:
        return None if delta > 0 else ClosedForm(0.0, "exact", "radius 0")

    def _oscillation(self, tokens: int, dim: int) -> float | None:
        return None

    @property
    def latex(self) -> str:
        if isinstance(self.function, Formula):
            return self.function.latex
        escaped = self.source.replace("_", r"\_")
        return rf"f(X)_n = \text{{{escaped}}}(X)_n"

    @property
    def name(self) -> str:
        return self.source


def _like(out: Any, x: Any, xp: Any) -> Any:
    """Return an output as the kind, dtype and device that a batch has."""
    if xp is np:
        array = out if isinstance(out, np.ndarray) else out.detach().cpu().numpy()
        return array.astype(x.dtype, copy=False)
    if isinstance(out, np.ndarray):
        return xp.tensor(out, dtype=x.dtype, device=x.device)
    return out.to(dtype=x.dtype, device=x.device)


def place_in(error: BaseException, folder: str) -> str:
    """Return where in the user's code an error arose, as " at FILE, line N", or nothing."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _of_the_user(frame.filename, folder):
            return f" at {frame.filename}, line {frame.lineno}"
    return ""


def _of_the_user(file: str, folder: str) -> bool:
    """Tell whether a line of code is the user's: in the folder, and in no library."""
    inside = bool(folder) and file.startswith(folder + os.sep)
    return inside and "site-packages" not in file and not file.startswith(OURS)


def in_words(error: BaseException) -> str:
    """Return an error as a few words on one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:LONGEST]}{'...' if len(said) > LONGEST else ''}"


def own_functions(target: Target) -> list[OwnFunction]:
    """Return the functions the user wrote in a target, terms of sums included."""
    if isinstance(target, Sum):
        return [own for term in target.terms for own in own_functions(term)]
    if isinstance(target, Scaled):
        return own_functions(target.inner)
    return [target] if isinstance(target, OwnFunction) else []


def notes_of(target: Target) -> list[str]:
    """Return one line for each own function of which something is to be said before its numbers."""
    told = [(own.source, own.notes) for own in own_functions(target) if own.notes]
    return list(dict.fromkeys(f"{source}: {'; '.join(notes)}" for source, notes in told))
