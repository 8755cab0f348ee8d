"""What a function is, as digests: its values at fixed inputs, and what its code is made of.

A name tells no two versions of a function apart: the same file may import another helper, and two
lambdas of a notebook share theirs.  Values see every cause of a change, but only where they look;
code sees a change anywhere, but not behind a file that it reads.  What is kept under a function
goes by both.  Neither digest depends on the process, on addresses or on the hashes of texts.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import sysconfig
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from looprate.theory.targets.modules import names_in

__all__ = ["code_digest", "fingerprint"]

MOST_POINTS, LEAST_POINTS = 256, 16  # inputs drawn, within ENTRIES numbers where these are many
ENTRIES = 2**16
SEED = 0
MOST_CORNERS = 4  # coordinates N d up to which every corner is an input
DEPTH = 60  # of objects within objects; deeper ones count by their type
OWN = frozenset({"looprate"})  # its version is a key
PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), range)


def fingerprint(function: Callable[[Any], Any], *, tokens: int, dim: int) -> str:
    """Return a digest of a function's values, bit for bit, at fixed inputs of one shape.

    Parameters
    ----------
    function : callable
        From float64 arrays of shape (B, N, d), such as a target, to the same shape.
    tokens, dim : int
        N and d.

    Returns
    -------
    str
        The same for the same values; of an input where the function raises, the error's kind.
    """
    found = hashlib.sha256(f"{tokens} {dim}".encode())
    for x in fixed_inputs(tokens=tokens, dim=dim):
        try:
            found.update(np.ascontiguousarray(function(x), dtype="<f8").tobytes())
        except Exception as error:  # whatever a user's function may raise at a corner
            found.update(type(error).__name__.encode())
    return found.hexdigest()[:20]


def fixed_inputs(*, tokens: int, dim: int) -> list[np.ndarray]:
    """Return the inputs of a fingerprint, arrays (B, N, d): points inside the cube, and corners."""
    size = tokens * dim
    count = max(LEAST_POINTS, min(MOST_POINTS, ENTRIES // size))
    inside = np.random.default_rng(SEED).random((count, tokens, dim))
    ends = list(product((0.0, 1.0), repeat=size)) if size <= MOST_CORNERS else []
    corners = np.array(ends or [(0.0,) * size, (1.0,) * size]).reshape(-1, tokens, dim)
    return [inside, corners]


def code_digest(function: Any) -> str:
    """Return a digest of what a function is made of, as far as Python shows it.

    That is its code, its defaults, what it closes over, the globals it names and, within these, the
    same again: numbers, texts, arrays, weights of modules, functions of the user's other files.
    Libraries count by the names of what is taken from them.

    Parameters
    ----------
    function : callable
        Of any kind: a function, a lambda, a method, a torch module, an object that can be called.
    """
    found = hashlib.sha256()
    for piece in _pieces(function, {}, 0):
        found.update(len(piece).to_bytes(8, "little") + piece)
    return found.hexdigest()[:20]


def _pieces(value: Any, seen: dict[int, tuple[int, Any]], depth: int) -> Iterator[bytes]:
    """Yield what a value is, as bytes; ``seen`` keeps every object once, and alive."""
    if isinstance(value, PLAIN):
        yield f"{type(value).__name__} {value!r}".encode("utf-8", "surrogatepass")
        return
    if not isinstance(value, tuple | frozenset | CodeType):  # equal ones may or may not be one
        if id(value) in seen:
            yield b"object %d" % seen[id(value)][0]
            return
        seen[id(value)] = len(seen), value
    yield type(value).__qualname__.encode()
    if depth > DEPTH:
        return
    for part in _parts(value):
        yield from _pieces(part, seen, depth + 1)


def _parts(value: Any) -> Iterator[Any]:
    """Yield the values that a value is made of."""
    array = _as_array(value)
    if array is not None:
        yield from (array.dtype.str, *array.shape)
        yield array.tolist() if array.dtype.hasobject else array.tobytes()
    elif isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, set | frozenset):  # their order is that of hashes
        yield from sorted(code_digest(item) for item in value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, item)
    elif isinstance(value, CodeType):
        yield from (value.co_code, value.co_consts, value.co_names, value.co_freevars)
        yield from (value.co_argcount, value.co_kwonlyargcount, value.co_flags)
    elif isinstance(value, ModuleType):
        yield value.__name__
        if not _foreign(value.__name__, value.__dict__.get("__file__")):
            yield from (item for name, item in vars(value).items() if not name.startswith("__"))
    elif isinstance(value, FunctionType):
        yield from _function_parts(value)
    elif isinstance(value, MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, type):
        yield from _class_parts(value)
    else:
        yield from _object_parts(value)


def _function_parts(function: FunctionType) -> Iterator[Any]:
    """Yield the parts of a function, its name alone where a library made it."""
    yield f"{function.__module__}.{function.__qualname__}"
    if _foreign(function.__module__, function.__code__.co_filename):
        return
    yield from (function.__code__, function.__defaults__, function.__kwdefaults__)
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # of a name that has no value yet
            yield "empty"
    for name in sorted(names_in(function.__code__)):
        if name in function.__globals__:
            yield from (name, function.__globals__[name])


def _class_parts(kind: type) -> Iterator[Any]:
    """Yield the parts of a class, its name alone where a library made it."""
    yield f"{kind.__module__}.{kind.__qualname__}"
    module = sys.modules.get(kind.__module__)
    if _foreign(kind.__module__, getattr(module, "__file__", None)):
        return
    yield kind.__bases__
    hidden = {"__dict__", "__weakref__", "__module__", "__doc__"}
    hidden |= {"__firstlineno__", "__static_attributes__"}
    yield from ((name, item) for name, item in vars(kind).items() if name not in hidden)


def _object_parts(value: Any) -> Iterator[Any]:
    """Yield the class of any other object, what it wraps and its attributes."""
    yield type(value)
    for name in ("__func__", "__wrapped__", "fget"):
        inner = getattr(value, name, None)
        if inner is not None and inner is not value:
            yield from (name, inner)
    if type(value).__module__ != "builtins":
        yield getattr(value, "__dict__", None)
    yield getattr(value, "__name__", None)


def _as_array(value: Any) -> np.ndarray | None:
    """Return an array or tensor as an array of the same bits, None of anything else."""
    if isinstance(value, np.ndarray | np.generic):
        return np.asarray(value)
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor):
        return None
    flat = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return np.array(flat.numpy()).reshape(*value.shape, -1) if value.numel() else np.empty(0)


@functools.cache
def _libraries() -> tuple[Path, ...]:
    """Return the folders that libraries are installed in."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple({Path(sysconfig.get_path(name)).resolve() for name in names})


def _foreign(module: str | None, file: str | None) -> bool:
    """Whether code is a library's, which the versions in a key stand for, or this toolkit's own."""
    if (module or "").partition(".")[0] in OWN:
        return True
    if file is None:
        return module in sys.modules and module != "__main__"
    if file.startswith("<"):  # typed into a notebook or a shell, or made by a library
        return module in sys.stdlib_module_names
    place = Path(file).resolve()
    return any(folder in place.parents for folder in _libraries())
