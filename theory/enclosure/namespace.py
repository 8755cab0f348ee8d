"""The functions that targets call on enclosures, in place of NumPy's or torch's.

``FUNCTIONS`` and ``UFUNCS`` say what NumPy's functions are on enclosures; ``CURES`` what to write
for those that have none.  They take NumPy's arguments.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, final

from looprate.theory.enclosure import axes, functions, shapes
from looprate.theory.enclosure.shapes import is_enclosure

__all__ = ["ARRAY_NAMESPACE", "UFUNCS", "ArrayNamespace", "refusal"]

Axis = int | tuple[int, ...] | None
Function = Callable[..., Any]


def _method(name: str) -> Any:
    """Return the function that calls a method of its first argument."""
    return staticmethod(lambda a, *args, **settings: getattr(a, name)(*args, **settings))


def _of_two(name: str) -> Any:
    """Return a function of two, one of which is an enclosure, that calls a method of that one."""

    def called(a: Any, b: Any) -> Any:
        first, second = (a, b) if is_enclosure(a) else (b, a)
        return getattr(first, name)(second)

    return staticmethod(called)


def _full_like(x: Any, value: Any = 1.0, *_: Any, **__: Any) -> Any:
    """Return an enclosure of a constant, of the shape of another."""
    return x.zeros_like() + value


@final
class ArrayNamespace:
    """The functions of ``xp`` for enclosures: each calls the method of its first enclosure."""

    matmul = staticmethod(operator.matmul)
    swapaxes = staticmethod(lambda a, axis1, axis2: a.swapaxes(axis1, axis2))
    zeros_like = staticmethod(lambda a, *_, **__: a.zeros_like())
    copy = staticmethod(lambda a, *_, **__: a.copy())
    transpose, einsum = staticmethod(shapes.transposed), staticmethod(axes.einsum)
    reshape = staticmethod(lambda a, shape: a.reshape(shape))
    abs = absolute = staticmethod(abs)
    negative = staticmethod(operator.neg)
    positive = staticmethod(operator.pos)
    square = staticmethod(lambda x: x**2)
    sqrt, exp, log = _method("sqrt"), _method("exp"), _method("log")
    sin, cos, tanh = _method("sin"), _method("cos"), _method("tanh")
    maximum, minimum = _of_two("maximum"), _of_two("minimum")
    sum, mean, var, std = _method("sum"), _method("mean"), _method("var"), _method("std")
    amax = max = _method("amax")
    amin = min = _method("amin")

    @staticmethod
    def clip(
        a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
    ) -> Any:
        """Return ``a``, at least a lower and at most an upper limit, by NumPy's names of them."""
        return a.clip(min if a_min is None else a_min, max if a_max is None else a_max)

    @staticmethod
    def constant_near_max(x: Any, axis: int) -> Any:
        """Return numbers, no enclosures, near the maxima over an axis, which is kept."""
        return x.middle().max(axis, keepdims=True)


ARRAY_NAMESPACE = ArrayNamespace()


def _own(*names: str) -> dict[str, Function]:
    """Return functions of the namespace by their names."""
    return {name: getattr(ARRAY_NAMESPACE, name) for name in names}


#: Name of a ufunc of one or two arrays -> what it is on enclosures.
UFUNCS: dict[str, Function] = {
    **_own("absolute", "negative", "positive", "square", "sqrt", "exp", "log", "sin", "cos"),
    **_own("tanh", "maximum", "minimum"),
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "matmul": operator.matmul,
    "power": operator.pow,
    "float_power": operator.pow,
    "fabs": abs,
    "fmax": ARRAY_NAMESPACE.maximum,
    "fmin": ARRAY_NAMESPACE.minimum,
    "reciprocal": lambda x: 1.0 / x,
    "expm1": lambda x: x.exp() - 1.0,
    "exp2": lambda x: 2.0**x,
    "log1p": lambda x: (x + 1.0).log(),
    "log2": functions.log_of(2.0),
    "log10": functions.log_of(10.0),
    "tan": lambda x: x.sin() / x.cos(),
    "sinh": lambda x: (x.exp() - (-x).exp()) * 0.5,
    "cosh": lambda x: (x.exp() + (-x).exp()) * 0.5,
    "arctan": functions.arctan,
    "erf": functions.erf,
    "expit": functions.sigmoid,
    "log_expit": lambda x: -functions.softplus(-x),
    "logaddexp": functions.logaddexp,
    "hypot": functions.hypot,
}

#: Name of a ufunc -> what its ``reduce`` is on enclosures.
REDUCED: dict[str, Function] = {
    "add": ARRAY_NAMESPACE.sum,
    "multiply": functions.prod,
    "maximum": ARRAY_NAMESPACE.amax,
    "minimum": ARRAY_NAMESPACE.amin,
    "logaddexp": _method("logsumexp"),
}

#: Name of a function of NumPy -> what it is on enclosures.
FUNCTIONS: dict[str, Function] = {
    **_own("swapaxes", "zeros_like", "reshape", "clip", "sum", "mean", "var", "std", "amax"),
    **_own("amin", "max", "min", "copy", "transpose", "einsum"),
    "permute_dims": shapes.transposed,
    "matrix_transpose": functions.matrix_transpose,
    "ones_like": lambda x, *_, **__: _full_like(x),
    "empty_like": lambda x, *_, **__: x.zeros_like(),
    "full_like": _full_like,
    "prod": functions.prod,
    "cumsum": functions.cumsum,
    "cumprod": functions.cumprod,
    "diff": functions.diff,
    "average": functions.average,
    "sort": functions.sort,
    "median": functions.median,
    "interp": functions.interp,
    "polyval": functions.polyval,
    "linalg.norm": functions.norm,
    "linalg.vector_norm": lambda x, /, *, axis=None, keepdims=False, ord=2: functions.vector_norm(
        x, ord, axis, keepdims
    ),
    "tensordot": axes.tensordot,
    "dot": axes.dot,
    "inner": lambda a, b: axes.tensordot(a, b, ([-1], [-1])),
    "outer": lambda a, b: functions.outer(a.reshape(-1), b.reshape(-1)),
    "trace": functions.trace,
    "diagonal": shapes.diagonal,
    "triu": shapes.triangle(True),
    "tril": shapes.triangle(False),
    "where": shapes.where,
    "take": lambda x, indices, axis=None: shapes.taken(x, indices, axis),
    "concatenate": shapes.concatenated,
    "stack": shapes.stacked,
    "split": shapes.split,
    "array_split": shapes.split,
    "broadcast_to": shapes.broadcast,
    "expand_dims": shapes.expanded,
    "squeeze": shapes.squeezed,
    "moveaxis": shapes.moveaxis,
    "ravel": lambda x: x.reshape(-1),
    "flip": shapes.flipped,
    "roll": shapes.rolled,
    "repeat": shapes.repeated,
    "tile": shapes.tiled,
    "pad": shapes.padded,
    "shape": lambda x: x.shape,
    "ndim": lambda x: x.ndim,
    "size": lambda x: x.size,
}

_JUMPS = "it jumps, and the theorems ask for continuous functions"
_CASES = "it depends on which entries are the larger; write it with maximum, minimum, clip or abs"
_PLACES = "places of entries jump; write it with max, sort or softmax"

#: Name of an operation of NumPy or torch -> why it has no enclosure, or what to write.
CURES: dict[str, str] = {
    **dict.fromkeys(
        ("floor", "ceil", "rint", "round", "trunc", "fix", "sign", "heaviside"), _JUMPS
    ),
    **dict.fromkeys(("remainder", "fmod", "floor_divide", "modf", "frac", "mod"), _JUMPS),
    **dict.fromkeys(("greater", "less", "greater_equal", "less_equal", "equal"), _CASES),
    **dict.fromkeys(("not_equal", "gt", "lt", "ge", "le", "eq", "ne", "isclose"), _CASES),
    **dict.fromkeys(("argsort", "argmax", "argmin", "searchsorted", "nonzero"), _PLACES),
    **dict.fromkeys(("unique", "bincount", "one_hot"), _PLACES),
    "topk": "write it with sort and a slice",
    "cbrt": "write x ** (1 / 3) for numbers of 0 or more",
    "arctan2": "angles jump; write it with arctan of a quotient",
    "arcsin": "write it with arctan",
    "arccos": "write it with arctan",
    "det": "write it with products",
    "inv": "write it with products",
    "solve": "write it with products",
    "_linalg_det": "write it with products",
}


def refusal(name: str) -> str:
    """Return why an operation has no enclosure, "" where there is no more to say."""
    last = name.rpartition(".")[2]
    return f": {CURES[last]}" if last in CURES else ""
