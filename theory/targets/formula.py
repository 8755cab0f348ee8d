"""Targets typed as a formula: ``formula: sin(6*x) + mean(x)/2``.

The text is read into a syntax tree, every node of which must be on a short list, and the tree is
walked with array operations; nothing is ever executed as code.  SymPy only prints it.
"""

from __future__ import annotations

import ast
import difflib
import math
import operator
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from looprate.theory.targets.base import namespace

__all__ = ["FORMULA"]

FORMULA = "formula:"  # what the text of such a target starts with
LARGEST_NUMBER = 1e6
LONGEST, LARGEST = 300, 64.0  # characters; exponents
NAMES = {
    "x": "the token's own coordinates, each by itself",
    "n": "the token's position 1...N; what depends on it is not permutation-equivariant",
    "N": "the number of tokens",
    "d": "the number of coordinates of a token",
    "pi": "3.14159...",
}
ENTRYWISE = ("sin", "cos", "tanh", "exp", "sqrt", "abs", "floor", "sign")
OVER_TOKENS = ("mean", "sum", "max", "min")
_BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}


@final
@dataclass(frozen=True)
class Formula:
    """f(X)_n by a formula in x (the own token, coordinate by coordinate) and means over tokens.

    ``+ - * / **``, numbers, ``sin cos tanh exp sqrt abs floor sign`` of one value, ``max min`` of
    two, and ``mean sum max min`` of one, which run over all tokens; the names are in ``NAMES``.
    Called on a batch (B, N, d), NumPy, torch or enclosures; nothing is proven about it.

    Parameters
    ----------
    text : str
        Such as ``sin(6*x) + mean(x**2)``; ``^`` is ``**``.

    Raises
    ------
    ValueError
        If the text is too long, does not parse, or holds anything else.

    Examples
    --------
    >>> Formula("2*x - mean(x)")(np.array([[[0.0], [1.0]]])).tolist()
    [[[-0.5], [1.5]]]
    """

    text: str
    tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", " ".join(self.text.split()))
        object.__setattr__(self, "tree", _parsed(self.text))

    def __call__(self, x: Any) -> Any:
        """Return f(x), shape (B, N, d) like ``x``; inf or NaN where it is not defined."""
        with np.errstate(all="ignore"):  # a target refuses what is not finite
            return _Walk(x, namespace(x)).value(self.tree) + 0 * x

    @property
    def latex(self) -> str:
        """One LaTeX line that defines f(X)_n."""
        import sympy

        return "f(X)_n = " + str(sympy.latex(_symbolic(self.tree)))


def _refused(text: str, what: str, cure: str) -> ValueError:
    """Return the error for a formula that is not one."""
    words = ", ".join((*NAMES, *ENTRYWISE, *OVER_TOKENS))
    return ValueError(
        f"`formula` {text!r}: {what}; {cure} (a formula is made of numbers, + - * / ** and {words})"
    )


def _parsed(text: str) -> ast.expr:
    """Return the syntax tree of a text, every node of it on the list."""
    if not text or len(text) > LONGEST:
        raise ValueError(
            f"`formula` must have 1 to {LONGEST} characters, got {len(text)}; try sin(6*x)"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # it is refused below, in our words
            tree = ast.parse(text.replace("^", "**"), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = getattr(error, "offset", None)
        place = f" at character {where}" if where else ""
        raise _refused(text, f"cannot read it{place}", "try sin(6*x) + mean(x)") from None
    _check(tree, text)
    return tree


def _check(node: ast.expr, text: str) -> None:
    """Raise unless a node and those below it are on the list."""
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if not abs(value) <= LARGEST_NUMBER:  # a whole one may be too long for a float
                raise _refused(text, "a number is too large", "stay below 1e6")
        case ast.Name(id=name):
            if name not in NAMES:
                raise _refused(text, f"unknown name {name!r}", _cure(name, NAMES))
        case ast.UnaryOp(op=ast.UAdd() | ast.USub(), operand=operand):
            _check(operand, text)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            _check(left, text)
            _check(right, text)
            if isinstance(op, ast.Pow):
                _check_exponent(right, text)
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            _check_call(name, len(arguments), text)
            for argument in arguments:
                _check(argument, text)
        case _:
            raise _refused(text, f"{ast.unparse(node)[:40]!r} is not allowed", "leave it out")


def _check_call(name: str, count: int, text: str) -> None:
    """Raise unless a function is on the list and has as many arguments as it takes."""
    if name not in (*ENTRYWISE, *OVER_TOKENS):
        raise _refused(text, f"unknown function {name!r}", _cure(name, [*ENTRYWISE, *OVER_TOKENS]))
    most = 2 if name in ("max", "min") else 1
    if not 1 <= count <= most:
        takes = "1 or 2 values" if most > 1 else "1 value"
        raise _refused(text, f"{name} takes {takes}, got {count}", f"try {name}(x)")


def _check_exponent(node: ast.expr, text: str) -> None:
    """Raise unless an exponent is a number of moderate size."""
    if not isinstance(node, ast.Constant) or not 0 <= float(str(node.value)) <= LARGEST:
        raise _refused(
            text,
            f"an exponent must be a number from 0 to {LARGEST:g}",
            "write exp(...) or / for others",
        )


def _cure(word: str, known: Any) -> str:
    """Return the nearest word there is."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"did you mean {close[0]}?" if close else "try x"


class _Walk:
    """Values of the nodes of a tree at one batch."""

    def __init__(self, x: Any, xp: Any) -> None:
        self.x, self.xp = x, xp
        _, self.tokens, self.dim = x.shape

    def value(self, node: Any) -> Any:
        """Return a number, or an array that fits (B, N, d)."""
        match node:
            case ast.Constant(value=value):
                return float(str(value))
            case ast.Name(id=name):
                return self._named(name)
            case ast.UnaryOp(op=op, operand=operand):
                value = self.value(operand)
                return -value if isinstance(op, ast.USub) else value
            case ast.BinOp(left=left, op=op, right=right):
                return self._binary(type(op), self.value(left), self.value(right))
            case ast.Call(func=ast.Name(id=name), args=arguments):
                return self._called(name, [self.value(a) for a in arguments])
        raise AssertionError(node)  # _check has refused it

    def _binary(self, op: type[ast.operator], left: Any, right: Any) -> Any:
        """Return an operation's value; of two numbers by NumPy, which returns inf for 1 / 0."""
        if isinstance(left, float) and isinstance(right, float):
            return float(_BINARY[op](np.float64(left), np.float64(right)))
        return _BINARY[op](left, right)

    def _named(self, name: str) -> Any:
        """Return what a name stands for."""
        if name == "x":
            return self.x
        if name == "n":
            positions = np.arange(1.0, self.tokens + 1)[:, None]
            if self.xp is np or hasattr(type(self.x), "__looprate_namespace__"):
                return positions
            return self.xp.tensor(positions, dtype=self.x.dtype, device=self.x.device)
        return {"N": float(self.tokens), "d": float(self.dim), "pi": math.pi}[name]

    def _called(self, name: str, values: list[Any]) -> Any:
        """Return a function's value."""
        if len(values) == 2:
            both = self.xp.maximum if name == "max" else self.xp.minimum
            return both(*(value + 0 * self.x for value in values))
        (value,) = values
        if name in OVER_TOKENS:
            reduce = getattr(self.xp, {"max": "amax", "min": "amin"}.get(name, name))
            return reduce(value + 0 * self.x, 1, keepdims=True)
        if isinstance(value, float):
            return float(getattr(np, name)(value))
        return getattr(self.xp, name)(value)


#: Functions whose exact value of a number may be too long to hold.
_ROUNDED = {
    **{"exp": np.exp, "floor": np.floor, "abs": np.abs, "sign": np.sign},
    **{"max": np.maximum, "min": np.minimum},
}


def _large(base: Any, exponent: Any) -> bool:
    """Whether a power of numbers has more digits than one would print."""
    with np.errstate(all="ignore"):
        return not abs(np.power(_as_float(base), _as_float(exponent))) <= LARGEST_NUMBER


def _rounded(function: Callable[..., Any], *parts: Any) -> Any:
    """Return a function of numbers as SymPy prints it, to six digits."""
    import sympy

    with np.errstate(all="ignore"):
        value = float(function(*map(_as_float, parts)))
    return (
        sympy.Integer(int(value))
        if abs(value) <= LARGEST_NUMBER and value == int(value)
        else (sympy.Float(value, 6))
    )


def _as_float(number: Any) -> np.float64:
    """Return a number of SymPy in double precision, inf where it is larger."""
    try:
        return np.float64(number.evalf(17))
    except (OverflowError, TypeError):
        return np.float64(np.inf)


def _symbolic(node: Any) -> Any:
    """Return a tree as a SymPy expression, for print."""
    import sympy

    match node:
        case ast.Constant(value=value):
            return sympy.nsimplify(value) if isinstance(value, int) else sympy.Float(value, 6)
        case ast.Name(id="pi"):
            return sympy.pi
        case ast.Name(id=name):
            return sympy.Symbol({"x": "x_n"}.get(name, name))
        case ast.UnaryOp(op=op, operand=operand):
            return -_symbolic(operand) if isinstance(op, ast.USub) else _symbolic(operand)
        case ast.BinOp(left=left, op=op, right=right):
            base, other = _symbolic(left), _symbolic(right)
            if isinstance(op, ast.Pow) and base.is_Rational and _large(base, other):
                return _rounded(np.power, base, other)
            return _BINARY[type(op)](base, other)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            parts = [_symbolic(argument) for argument in arguments]
            plain = {"abs": sympy.Abs, "max": sympy.Max, "min": sympy.Min}
            if name in OVER_TOKENS and len(parts) == 1:
                within = parts[0].subs(sympy.Symbol("x_n"), sympy.Symbol("x_m"))
                word = {"sum": r"\sum_m"}.get(name, rf"\operatorname{{{name}}}_m")
                return sympy.Symbol(rf"{word}\left({sympy.latex(within)}\right)")
            if name in _ROUNDED and all(part.is_number for part in parts):
                return _rounded(_ROUNDED[name], *parts)
            return (plain.get(name) or getattr(sympy, name))(*parts)
    raise AssertionError(node)
