"""What every array of enclosures can do, and how NumPy's functions reach it.

A subclass gives a dozen operations; operators, ``mean``, ``minimum``, the namespace that targets
are called with and NumPy's ufuncs and functions follow here.  Whatever is not listed raises a
TypeError: comparisons, truth, conversion to numbers.  So a function that runs through has been
followed in every step.
"""

from __future__ import annotations

import math
import operator
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

import numpy as np

from looprate.theory.enclosure.functions import Increasing, outer, raised
from looprate.theory.enclosure.namespace import (
    ARRAY_NAMESPACE,
    FUNCTIONS,
    REDUCED,
    UFUNCS,
    ArrayNamespace,
    Axis,
    refusal,
)
from looprate.theory.enclosure.past import Remembering
from looprate.theory.enclosure.shapes import (
    assigned,
    axes_of,
    expanded,
    indexed,
    squeezed,
    transposed,
)

__all__ = ["EnclosureArray"]


def _refused(sign: str) -> Any:
    """Return a comparison that raises."""

    def compare(self: Any, other: object) -> Any:
        raise TypeError(f"enclosures have no `{sign}`{refusal('equal')}")

    return compare


_REFLECTED = {  # ufunc -> the operator that NumPy's own would call in a circle
    **{"add": "__radd__", "subtract": "__rsub__", "multiply": "__rmul__"},
    **{"divide": "__rtruediv__", "matmul": "__rmatmul__"},
    **dict.fromkeys(("power", "float_power"), "__rpow__"),
}


def _method(name: str) -> Any:
    """Return a function of NumPy as the method of its name."""
    return lambda self, *args, **settings: FUNCTIONS[name](self, *args, **settings)


class EnclosureArray(Remembering):
    """Base of arrays whose entries stand for sets of reals (and of their slopes)."""

    __looprate_namespace__: ClassVar[ArrayNamespace] = ARRAY_NAMESPACE
    __array_priority__: ClassVar[float] = 100.0
    __slots__ = ()
    __hash__: ClassVar[None] = None  # type: ignore[assignment]

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""

    @abstractmethod
    def operand(self, value: Any) -> Any:
        """Return a number or an array as something the operations below take."""

    @abstractmethod
    def plus(self, other: Any) -> Self:
        """Return self + other, ``other`` from :meth:`operand`."""

    @abstractmethod
    def times(self, other: Any) -> Self:
        """Return self * other."""

    @abstractmethod
    def over(self, other: Any) -> Self:
        """Return self / other."""

    def under(self, other: Any) -> Self:
        """Return other / self."""
        made: Self = self.operand(other).over(self)
        return made

    def matrix(self, other: Any, *, left: bool) -> Self:
        """Return self @ other, or other @ self if ``left``; both with at least two axes."""
        a, b = (other, self) if left else (self, other)
        total: Self = a[..., :, :1].times(b[..., :1, :])
        for k in range(1, a.shape[-1]):
            total = total.plus(a[..., :, k : k + 1].times(b[..., k : k + 1, :]))
        return total

    @abstractmethod
    def power(self, exponent: float) -> Self:
        """Return self ** exponent."""

    @abstractmethod
    def maximum(self, other: Any) -> Self:
        """Return the entrywise maximum with a number, an array or an enclosure."""

    @abstractmethod
    def reduce(self, how: str, axis: int, keepdims: bool) -> Self:
        """Return the ``how`` ("sum" or "amax") over one axis >= 0."""

    @abstractmethod
    def __neg__(self) -> Self: ...

    @abstractmethod
    def entrywise(self, function: Callable[[Any], Any]) -> Self:
        """Return a function of one number, written with the functions of enclosures."""

    @abstractmethod
    def moved(self, move: Callable[[Any, int], Any]) -> Self:
        """Return the array with its parts moved; ``move`` takes each with its leading axes."""

    def __abs__(self) -> Self:
        return self.entrywise(abs)

    def sqrt(self) -> Self:
        """Return square roots."""
        return self.entrywise(lambda x: x.sqrt())

    def exp(self) -> Self:
        """Return exponentials."""
        return self.entrywise(lambda x: x.exp())

    def log(self) -> Self:
        """Return logarithms."""
        return self.entrywise(lambda x: x.log())

    def sin(self) -> Self:
        """Return sines."""
        return self.entrywise(lambda x: x.sin())

    def cos(self) -> Self:
        """Return cosines."""
        return self.entrywise(lambda x: x.cos())

    def tanh(self) -> Self:
        """Return hyperbolic tangents."""
        return self.entrywise(lambda x: x.tanh())

    def swapaxes(self, first: int, second: int) -> Self:
        """Return the array with two axes exchanged."""
        a, b = (range(self.ndim)[k] for k in (first, second))
        return self.moved(lambda x, lead: x.swapaxes(a + lead, b + lead))

    def reshape(self, *shape: Any) -> Self:
        """Return the array in another shape of as many entries."""
        given = shape if hasattr(shape[0], "__index__") else tuple(shape[0])
        wanted = [self.size // max(-math.prod(given), 1) if n == -1 else n for n in given]
        return self.moved(lambda x, lead: x.reshape((*x.shape[:lead], *wanted)))

    def transpose(self, *axes: Any) -> Self:
        """Return the array with its axes in another order."""
        given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return cast(Self, transposed(self, given or None))

    def increasing(self, rule: Increasing) -> Self:
        """Return an increasing function of every entry."""
        return self.entrywise(lambda x: x.increasing(rule))

    @abstractmethod
    def known(self, low: float, high: float) -> Self:
        """Return the array, whose values are known to lie in [low, high]."""

    def zeros_like(self) -> Self:
        """Return zeros of the same shape."""
        return self.moved(lambda x, _: np.zeros_like(x))

    def __getitem__(self, key: Any) -> Self:
        parts = key if isinstance(key, tuple) else (key,)
        plain = [operator.index(part) if hasattr(part, "__index__") and not np.ndim(part) else part
                 for part in parts]  # fmt: skip
        if not all(k is None or k is Ellipsis or isinstance(k, int | slice) for k in plain):
            made: Self = indexed(self, plain)
            return made
        return self.moved(lambda x, lead: x[(*(slice(None),) * lead, *plain)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self.becomes(assigned(self, key, value))

    @abstractmethod
    def middle(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return one number of each set, about in its middle."""

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> np.dtype[np.float64]:
        """Type of the ends: float64."""
        return np.dtype(np.float64)

    @property
    def T(self) -> Self:
        """The array with its axes in reverse order."""
        return self.transpose()

    @property
    def mT(self) -> Self:
        """The array with its last two axes exchanged."""
        return self.swapaxes(-1, -2)

    def astype(self, dtype: Any, *, copy: bool = True) -> Self:
        """Return a copy, for float64."""
        if np.dtype(dtype) != np.float64:
            raise TypeError(
                f"a cast to {np.dtype(dtype)} rounds, which has no enclosure; stay in float64"
            )
        return self.copy()

    def is_floating_point(self) -> bool:
        """Return True: enclosures are of real numbers."""
        return True

    def __len__(self) -> int:
        return self.shape[0]

    def __pos__(self) -> Self:
        return self.copy()

    def __add__(self, other: Any) -> Self:
        return self.plus(self.operand(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Self:
        return self.plus(-self.operand(other))

    def __rsub__(self, other: Any) -> Self:
        return (-self).plus(self.operand(other))

    def __mul__(self, other: Any) -> Self:
        if isinstance(other, int | float) and other == 1:
            return self.copy()
        return self.times(self.operand(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Self:
        return self.over(self.operand(other))

    def __rtruediv__(self, other: Any) -> Self:
        return self.under(self.operand(other))

    def __matmul__(self, other: Any) -> Self:
        if np.ndim(other) == 1:  # a vector
            return cast(Self, squeezed(self @ expanded(other, 1), -1))
        return self.matrix(self.operand(other), left=False)

    def __rmatmul__(self, other: Any) -> Self:
        if np.ndim(other) == 1:
            return cast(Self, squeezed(expanded(other, 0) @ self, -2))
        return self.matrix(self.operand(other), left=True)

    def __pow__(self, exponent: Any) -> Self:
        if isinstance(exponent, EnclosureArray) or np.ndim(exponent) > 0:
            return cast(Self, raised(self, exponent))
        return self.power(float(exponent)).apart_from(self)

    def __rpow__(self, base: Any) -> Self:
        return cast(Self, raised(base, self))

    def minimum(self, other: Any) -> Self:
        """Return the entrywise minimum with a number, an array or an enclosure."""
        return -((-self).maximum(-self.operand(other)))

    def logsumexp(self, axis: int, *, keepdims: bool = False) -> Self:
        """Return log Σ exp over an axis: about a constant near the maxima, which has no slope."""
        about = ARRAY_NAMESPACE.constant_near_max(self, axis)
        return (self - about).exp().sum(axis, keepdims=keepdims).log() + (
            about if keepdims else about.squeeze(axis)
        )

    def sum(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Return sums over axes."""
        return self._reduced("sum", axis, keepdims)

    def amax(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Return maxima over axes."""
        return self._reduced("amax", axis, keepdims)

    def amin(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Return minima over axes."""
        return -(-self)._reduced("amax", axis, keepdims)

    max, min = amax, amin
    cumsum, prod, dot, take = map(_method, ("cumsum", "prod", "dot", "take"))
    repeat, squeeze, ravel = map(_method, ("repeat", "squeeze", "ravel"))
    diagonal, trace = map(_method, ("diagonal", "trace"))

    def flatten(self) -> Self:
        """Return a copy with one axis."""
        return self.reshape(-1).copy()

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Return means over axes."""
        count = math.prod(self.shape[k] for k in axes_of(self, axis))
        return self._reduced("sum", axis, keepdims) / count

    def var(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """Return variances over axes, the sums of squares divided by their number less ``ddof``."""
        count = math.prod(self.shape[k] for k in axes_of(self, axis)) - ddof
        gap = self - self.mean(axis, keepdims=True)
        return (gap**2).sum(axis, keepdims=keepdims) / count

    def std(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """Return standard deviations over axes."""
        count = math.prod(self.shape[k] for k in axes_of(self, axis)) - ddof
        gap = self - self.mean(axis, keepdims=True)
        return gap.euclidean(axis, keepdims=keepdims) / self.operand(float(count)).sqrt()

    def euclidean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Return Euclidean norms over axes."""
        return (self**2).sum(axis, keepdims=keepdims).sqrt()

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Return the array, at least ``min`` and at most ``max``."""
        at_least = self if min is None else self.maximum(min)
        return (at_least if max is None else at_least.minimum(max)).apart_from(self)

    def _reduced(self, how: str, axis: Axis, keepdims: bool) -> Self:
        """Reduce one axis after the other."""
        result = self
        for k in reversed(axes_of(self, axis)):
            result = result.reduce(how, k, keepdims)
        return result.apart_from(self)

    __eq__, __ne__ = _refused("=="), _refused("!=")
    __lt__, __le__, __gt__, __ge__ = map(_refused, ("<", "<=", ">", ">="))

    def __bool__(self) -> bool:
        raise TypeError("enclosures have no truth value")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(
            f"`{type(self).__name__}` cannot become a NumPy array: it holds sets; use NumPy's "
            "functions, not SciPy's, begin with `np.zeros_like(x)` where entries are assigned, and "
            "make lists one array by `np.stack`"
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Follow the ufuncs that have an enclosure, refuse the others."""
        name, out = ufunc.__name__, kwargs.pop("out", None)
        if out is not None and not isinstance(out[0], EnclosureArray):
            raise TypeError(
                "an in-place step puts an enclosure into a NumPy array: write `a = a + x` for "
                "`a += x`, and begin sums with `np.zeros_like(x)`"
            )
        if method == "reduce" and name in REDUCED:
            return REDUCED[name](*inputs, **{"axis": 0} | kwargs)
        if method == "outer" and name == "multiply":
            return outer(*inputs)
        if method != "__call__" or kwargs:
            raise TypeError(f"`numpy.{name}` has no enclosure with {method}, {sorted(kwargs)}")
        if name not in UFUNCS:
            raise TypeError(f"`numpy.{name}` has no enclosure here{refusal(name)}")
        made = _called(name, inputs)
        return made if out is None else out[0].becomes(made)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Follow the NumPy functions that have an enclosure, refuse the others."""
        name = f"{func.__module__}.{func.__name__}".removeprefix("numpy.")
        if name not in FUNCTIONS:
            raise TypeError(f"`numpy.{name}` has no enclosure here{refusal(name)}")
        if "dtype" in kwargs and np.dtype(kwargs["dtype"]) == np.float64:
            del kwargs["dtype"]
        return FUNCTIONS[name](*args, **kwargs)


def _called(name: str, inputs: Any) -> Any:
    """Return a ufunc of enclosures; an array before one gets to its reflected operator."""
    if name in _REFLECTED and not isinstance(inputs[0], EnclosureArray):
        return getattr(inputs[1], _REFLECTED[name])(inputs[0])
    return UFUNCS[name](*inputs)
