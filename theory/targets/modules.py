"""Torch modules that a function is, or holds: found, put in evaluation mode, taken in float64.

A file's modules are nobody else's: they are changed in place, so that closures, lambdas and plain
attributes that hold them see the change, too.  Of what Python hands over, or a dotted module holds,
copies are changed.
"""

from __future__ import annotations

import copy
import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

LIBRARIES = {"torch", "numpy", "scipy", "sympy", "builtins", "looprate"}
MOST = 20_000  # objects looked at
PLAIN = (str, bytes, int, float, complex, bool, type(None), range)


class Holdings:
    """Torch modules and plain tensors that a function can reach.

    Parameters
    ----------
    modules : list of torch.nn.Module
        None of them a part of another one that was found before.
    tensors : list of torch.Tensor
        Floating point, in no module.
    """

    def __init__(self, modules: list[Any], tensors: list[Any]) -> None:
        self.modules, self.tensors = modules, tensors
        self._dtypes = [(t, t.dtype) for m in modules for t in _parts(m)]
        self._dtypes += [(t, t.dtype) for t in tensors]

    def __bool__(self) -> bool:
        return bool(self.modules or self.tensors)

    def settle(self) -> list[str]:
        """Put the modules in evaluation mode, without gradients; return what is worth a word."""
        trained = [m for one in self.modules for m in one.modules() if m.training and _cares(m)]
        for module in self.modules:
            module.train(False)
            for weights in module.parameters():  # a script has no requires_grad_ of its own
                weights.requires_grad_(False)
        if not trained:
            return []
        kinds = ", ".join(sorted({type(m).__name__ for m in trained}))
        return [f"was in training mode ({kinds}): taken in evaluation mode, without dropout"]

    def in_double(self) -> list[str]:
        """Turn every floating point number into float64; return what is worth a word."""
        import torch

        coarse = sorted({str(d).removeprefix("torch.") for _, d in self._dtypes})
        for module in self.modules:
            module.double()
        for tensor in self.tensors:
            tensor.data = tensor.data.to(torch.float64)
        coarse = [name for name in coarse if name != "float64"]
        return [f"its {', '.join(coarse)} weights are taken in float64"] if coarse else []

    def as_they_were(self) -> list[str]:
        """Undo :meth:`in_double`, exactly; of which there is nothing to say."""
        for tensor, dtype in self._dtypes:
            tensor.data = tensor.data.to(dtype)
        return []


def _parts(module: Any) -> list[Any]:
    """Return the floating point parameters and buffers of a module."""
    return [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]


def _cares(module: Any) -> bool:
    """Tell whether a module's own code asks whether it is in training mode."""
    code = getattr(getattr(type(module), "forward", None), "__code__", None)
    return code is not None and "training" in names_in(code)


def names_in(code: types.CodeType) -> set[str]:
    """Return the globals and attributes that a code names, and the functions defined in it."""
    inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
    return set(code.co_names).union(*map(names_in, inner))


def made(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a module for its class or for a function without arguments that makes one."""
    torch = sys.modules.get("torch")
    if torch is None or not _makes(function, torch.nn.Module):
        return function
    found = function()
    return found if isinstance(found, torch.nn.Module) else function


def _makes(function: Callable[..., Any], kind: type) -> bool:
    """Tell whether to call something for a module: its class, or a function of no arguments."""
    try:
        needs = inspect.signature(function)
        needs.bind()
    except (TypeError, ValueError):  # it needs some, or says nothing
        return False
    return issubclass(function, kind) if isinstance(function, type) else not needs.parameters


def copied(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function whose torch modules and tensors are its own; itself if it holds none.

    What is said in its closure and in the globals its code names is copied, functions there too, so
    that nobody else's modules change when these are put in evaluation mode and float64.

    Raises
    ------
    TypeError
        If something cannot be copied.
    """
    try:
        return _copied(function, {})
    except (TypeError, RuntimeError, AttributeError) as error:  # what copy.deepcopy raises
        raise TypeError(
            f"`of` must be something that copy.deepcopy copies, got {type(function).__name__}: "
            f"{error}; hand over a plain torch module or a function of one"
        ) from None


def _copied(one: Any, memo: dict[int, Any]) -> Any:
    """Return a copy of what holds modules or tensors, and anything else as it is."""
    if id(one) in memo or not held_by(one):
        return memo.get(id(one), one)
    if not isinstance(one, types.FunctionType):
        return copy.deepcopy(one, memo)
    named = dict(one.__globals__)
    cells = tuple(
        types.CellType(_copied(cell.cell_contents, memo)) if _filled(cell) else cell
        for cell in one.__closure__ or ()
    )
    twin = types.FunctionType(one.__code__, named, one.__name__, None, cells)
    memo[id(one)] = twin
    for name in names_in(one.__code__) & named.keys():
        named[name] = _copied(named[name], memo)
    twin.__defaults__ = tuple(_copied(value, memo) for value in one.__defaults__ or ()) or None
    twin.__kwdefaults__ = {k: _copied(v, memo) for k, v in (one.__kwdefaults__ or {}).items()}
    twin.__qualname__ = one.__qualname__
    return twin


def held_by(function: Callable[..., Any]) -> Holdings:
    """Return the torch modules and tensors a function can reach.

    Looked at are closures, the globals that its code names, defaults, attributes, containers, bound
    objects and partial arguments; not the insides of libraries.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return Holdings([], [])
    modules: list[Any] = []
    tensors: list[Any] = []
    inside: set[int] = set()
    for one in _reachable(function):
        if isinstance(one, torch.nn.Module):
            if id(one) not in inside:
                modules.append(one)
            inside |= {id(part) for part in one.modules()}
            inside |= {id(part) for part in (*one.parameters(), *one.buffers())}
        elif isinstance(one, torch.Tensor) and one.is_floating_point():
            tensors.append(one)
    return Holdings(modules, [tensor for tensor in tensors if id(tensor) not in inside])


def _reachable(start: Any) -> Iterator[Any]:
    """Yield every object that can be reached from one, itself first, each once."""
    seen: set[int] = set()
    waiting = [start]
    while waiting and len(seen) < MOST:
        one = waiting.pop(0)
        if isinstance(one, PLAIN) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting.extend(_next(one))


def _next(one: Any) -> list[Any]:
    """Return the objects that one holds."""
    if isinstance(one, functools.partial):
        return [one.func, *one.args, *one.keywords.values()]
    if isinstance(one, types.MethodType):
        return [one.__self__, one.__func__]
    if isinstance(one, types.FunctionType):
        return _of_function(one)
    if isinstance(one, dict):
        return list(one.values())
    if isinstance(one, list | tuple | set | frozenset):
        return list(one)
    if isinstance(one, type | types.ModuleType | types.BuiltinFunctionType):
        return []
    torch = sys.modules["torch"]
    if isinstance(one, torch.Tensor):
        return []
    module = isinstance(one, torch.nn.Module)
    if _of_library(type(one)) and not module:
        return [one.__wrapped__] if hasattr(one, "__wrapped__") else []
    methods = () if _of_library(type(one)) else [m for c in type(one).__mro__ for m in _own_code(c)]
    return [*getattr(one, "__dict__", {}).values(), *methods]


def _own_code(cls: type) -> list[Any]:
    """Return the functions that a class of the user's defines."""
    if _of_library(cls):
        return []
    return [value for value in vars(cls).values() if isinstance(value, types.FunctionType)]


def _of_function(function: types.FunctionType) -> list[Any]:
    """Return what a function of the user's holds: closure, defaults, globals it names."""
    if _of_library(function):
        return [function.__wrapped__] if hasattr(function, "__wrapped__") else []
    found = [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]
    found += [*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()]
    found += list(vars(function).values())
    names = names_in(function.__code__)
    for name in names & set(function.__globals__):
        value = function.__globals__[name]
        if isinstance(value, types.ModuleType):
            if not _of_library(value):
                found += [getattr(value, n) for n in names if hasattr(value, n)]
        else:
            found.append(value)
    return found


def _filled(cell: types.CellType) -> bool:
    """Tell whether a closure's cell has its value yet."""
    try:
        cell.cell_contents  # noqa: B018  (an empty one raises)
    except ValueError:
        return False
    return True


def _of_library(thing: Any) -> bool:
    """Tell whether a function, class or module is a library's rather than the user's."""
    name = thing.__name__ if isinstance(thing, types.ModuleType) else thing.__module__ or ""
    root = str(name).partition(".")[0]
    return root in LIBRARIES or root in sys.stdlib_module_names
