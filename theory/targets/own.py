"""Targets the user wrote: ``path/file.py:name``, ``module:name``, or ``formula:`` and a formula."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, final

import numpy as np

from theory.notation import Kind
from theory.targets.base import ClosedForm, Scaled, Smoothness, Sum, Target, namespace
from theory.targets.formula import FORMULA, Formula
from theory.targets.registry import TARGETS, parse_target, parse_terms

__all__ = ["OwnFunction", "formula_target", "load_function", "own_functions", "resolve_target"]

PROBE_SHAPES = ((5, 2, 1), (5, 3, 2))  # (B, N, d); a function may insist on one N or d
PROBE_SEED = 0


def _torch() -> Any:
    """Import torch where it is needed."""
    return importlib.import_module("torch")


def _accepted(out: Any, x: Any, name: str) -> Any:
    """Return the output of an own function, or raise naming it, the expected and the got."""
    tensor = namespace(x) is not np
    kind: Any = _torch().Tensor if tensor else np.ndarray
    if not isinstance(out, kind):
        what = "a torch tensor" if tensor else "a NumPy array"
        raise TypeError(f"`{name}` returned {type(out).__name__}, expected {what}")
    if tuple(out.shape) != tuple(x.shape):
        raise ValueError(
            f"`{name}` returned shape {tuple(out.shape)}, expected {tuple(x.shape)} = (B, N, d)"
        )
    xp = _torch() if tensor else np
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

    Attributes
    ----------
    source : str
        Where it came from; also its name.
    function : callable
    accepts : frozenset of {"numpy", "torch"}
        What it can be called on.  The other kind is converted, without a gradient.
    """

    source: str
    function: Callable[[Any], Any] = field(compare=False)
    accepts: frozenset[str] = frozenset({"numpy"})

    def _evaluate(self, x: Any, xp: Any) -> Any:
        if hasattr(type(x), "__looprate_namespace__"):
            return self.function(x)  # enclosures follow what is written for NumPy, or refuse
        kind = "numpy" if xp is np else "torch"
        if kind in self.accepts:
            out = _accepted(self.function(x), x, self.source)
            return out.astype(x.dtype, copy=False) if xp is np else out.to(x.dtype)
        if kind == "numpy":
            tensor = _torch().tensor(x)
            with _torch().no_grad():
                out = _accepted(self.function(tensor), tensor, self.source)
            return out.cpu().numpy().astype(x.dtype, copy=False)
        array = x.detach().cpu().numpy()
        out = _accepted(self.function(array), array, self.source)
        return xp.tensor(out, dtype=x.dtype, device=x.device)

    def _closed_form(
        self, delta: float, kind: Kind, tokens: int, dim: int, p: float
    ) -> ClosedForm | None:
        return None if delta > 0 else ClosedForm(0.0, "exact", "radius 0")

    def _oscillation(self, tokens: int, dim: int) -> float | None:
        return None

    @property
    def smoothness(self) -> Smoothness:
        """Assumed, not proven: nothing is known about an own function."""
        return Smoothness(1.0, "Lipschitz", "assumed, not proven")

    @property
    def latex(self) -> str:
        if isinstance(self.function, Formula):
            return self.function.latex
        escaped = self.source.replace("_", r"\_")
        return rf"f(X)_n = \text{{{escaped}}}(X)_n"

    @property
    def name(self) -> str:
        return self.source


@contextmanager
def _working_directory_first() -> Iterator[None]:
    """Make modules of the working directory importable for the time of one import."""
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)


def _module(text: str, where: str) -> ModuleType:
    """Import the module a source names: a file, or a dotted name."""
    if not where.endswith(".py"):
        try:
            with _working_directory_first():
                return importlib.import_module(where)
        except ModuleNotFoundError as error:
            raise ValueError(
                f"`target` {text!r}: no module {error.name!r}; for a file write path/file.py:name"
            ) from None
    path = Path(where)
    if not path.is_file():
        raise FileNotFoundError(f"`target` {text!r}: no file {where!r}")
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ValueError(f"`target` {text!r}: {where!r} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _try_kind(function: Callable[[Any], Any], kind: str, name: str) -> Exception | None:
    """Call the function on the probe batches; return the last failure if none succeeded."""
    failure: Exception | None = None
    for shape in PROBE_SHAPES:
        x: Any = np.random.default_rng(PROBE_SEED).random(shape)
        if kind == "torch":
            x = _torch().tensor(x, requires_grad=True)  # refuses a detour through NumPy
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                _accepted(function(x), x, name)
        except Exception as error:  # whatever a user's function may raise
            failure = failure or error
        else:
            return None
    return failure


def _ready(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a function as it is; of a torch module, or its maker, one ready for evaluation."""
    if "torch" not in sys.modules:
        return function
    kind = _torch().nn.Module
    if _makes(function, kind):
        made = function()
        function = made if isinstance(made, kind) else function
    if not isinstance(function, kind):
        return function
    copied: Any = copy.deepcopy(function)
    result: Callable[[Any], Any] = copied.double().train(False).requires_grad_(False)
    return result


def _makes(function: Callable[..., Any], kind: type) -> bool:
    """Tell whether to call something for a module: its class, or a function of no arguments."""
    try:
        needs = inspect.signature(function)
        needs.bind()
    except (TypeError, ValueError):  # it needs some, or says nothing
        return False
    return issubclass(function, kind) if isinstance(function, type) else not needs.parameters


def load_function(text: str) -> OwnFunction:
    """Return the function that ``path/file.py:name`` or ``module:name`` points to.

    The function takes a batch of shape (B, N, d) and returns one of the same shape.  Whether it is
    written for NumPy, torch or both is found out by calling it on small batches.  A torch module,
    or a class or function without arguments that makes one, is taken in float64 and evaluation
    mode.

    Parameters
    ----------
    text : str

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    TypeError
        If the name is not callable.
    ValueError
        If the text has no name, the module lacks it, or the function accepts neither kind.
    """
    where, colon, name = text.rpartition(":")
    if not colon or not where or not name:
        raise ValueError(f"`target` must be path/file.py:name or module:name, got {text!r}")
    module = _module(text, where)
    if not hasattr(module, name):
        public = sorted(n for n, v in vars(module).items() if callable(v) and n[0] != "_")
        found = ", ".join(public) or "no functions"
        raise ValueError(f"`target` {text!r}: {where} has no {name!r}, it has {found}")
    function = getattr(module, name)
    if not callable(function):
        raise TypeError(f"`target` {text!r} must be a function, got {type(function).__name__}")
    function = _ready(function)
    failures = {kind: _try_kind(function, kind, text) for kind in ("numpy", "torch")}
    accepts = frozenset(kind for kind, failure in failures.items() if failure is None)
    if not accepts:
        raise ValueError(
            f"`target` {text!r} must accept a batch (B, N, d) as a NumPy array or a torch tensor; "
            f"NumPy: {failures['numpy']}; torch: {failures['torch']}"
        )
    return OwnFunction(text, function, accepts)


def _is_own(text: str) -> bool:
    """Tell whether a text points to a function rather than to a built-in target."""
    where, colon, name = text.rpartition(":")
    return bool(colon) and name.isidentifier() and where.strip() not in TARGETS


def resolve_target(text: str) -> Target:
    """Return the target a text names: built-in, formula, own function, or a sum of scaled ones.

    Parameters
    ----------
    text : str
        See :func:`theory.targets.registry.parse_target` and :func:`load_function`; what starts with
        ``formula:`` is a :class:`~theory.targets.formula.Formula`

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        See there.
    """

    def one(term: str) -> Target:
        if _is_own(term):
            return load_function(term)
        return parse_target(term)

    if isinstance(text, str) and text.strip().startswith(FORMULA):
        return formula_target(text.strip().removeprefix(FORMULA))
    whole = isinstance(text, str) and _is_own(text) and Path(text.rpartition(":")[0]).is_file()
    return load_function(text) if whole else parse_terms(text, one)


def formula_target(text: str) -> OwnFunction:
    """Return the target that a formula spells; see :class:`~theory.targets.formula.Formula`.

    Raises
    ------
    ValueError
        If the text is no formula.
    """
    formula = Formula(text)
    return OwnFunction(FORMULA + formula.text, formula, frozenset({"numpy", "torch"}))


def own_functions(target: Target) -> list[OwnFunction]:
    """Return the functions the user wrote in a target, terms of sums included."""
    if isinstance(target, Sum):
        return [own for term in target.terms for own in own_functions(term)]
    if isinstance(target, Scaled):
        return own_functions(target.inner)
    return [target] if isinstance(target, OwnFunction) else []
