"""What every array of enclosures can do, and how NumPy's functions reach it.

A subclass gives a dozen operations; operators, ``mean``, ``minimum``, the namespace that targets
are called with and NumPy's ufuncs and functions follow here.  Whatever is not listed raises a
TypeError: comparisons, truth, conversion to numbers.  So a function that runs through has been
followed in every step.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np

from looprate.theory.enclosure.in_place import InPlace
from looprate.theory.enclosure.namespace import ARRAY_NAMESPACE, ArrayNamespace, Axis

__all__ = ["EnclosureArray"]


_OPERATORS = {  # ufunc -> the operator and its reflected twin, which NumPy would call in a circle
    "add": ("__add__", "__radd__"),
    "subtract": ("__sub__", "__rsub__"),
    "multiply": ("__mul__", "__rmul__"),
    "divide": ("__truediv__", "__rtruediv__"),
    "matmul": ("__matmul__", "__rmatmul__"),
    "power": ("__pow__", "__rpow__"),
    "float_power": ("__pow__", "__rpow__"),
}
_METHODS = (
    *("absolute", "square", "sqrt", "exp", "log", "sin", "cos", "tanh", "maximum", "minimum"),
    *("negative", "positive"),
)
_FUNCTIONS = frozenset(
    (
        *("swapaxes", "zeros_like", "reshape", "clip", "sum", "mean", "var", "std"),
        *("amax", "amin", "max", "min", "copy", "transpose", "einsum"),
    )
)


class EnclosureArray(InPlace):
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

    def zeros_like(self) -> Self:
        """Return zeros of the same shape."""
        return self.moved(lambda x, _: np.zeros_like(x))

    def __getitem__(self, key: Any) -> Self:
        parts = key if isinstance(key, tuple) else (key,)
        for part in parts:
            if not (part is None or part is Ellipsis or isinstance(part, int | slice)):
                raise TypeError(f"`key` must hold integers and slices, got {type(part).__name__}")
        return self.moved(lambda x, lead: x[(*(slice(None),) * lead, *parts)])

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
        return self.matrix(self.operand(other), left=False)

    def __rmatmul__(self, other: Any) -> Self:
        return self.matrix(self.operand(other), left=True)

    def __pow__(self, exponent: Any) -> Self:
        if isinstance(exponent, EnclosureArray) or np.ndim(exponent) > 0:
            raise TypeError(f"`exponent` must be one number, got {type(exponent).__name__}")
        return self.power(float(exponent)).apart_from(self)

    def __rpow__(self, base: Any) -> Self:
        raise TypeError("`exponent` must be one number, got an enclosure; use exp")

    def minimum(self, other: Any) -> Self:
        """Return the entrywise minimum with a number, an array or an enclosure."""
        return -((-self).maximum(-self.operand(other)))

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

    def mean(self, axis: Axis = None, *, keepdims: bool = False) -> Self:
        """Return means over axes."""
        count = math.prod(self.shape[k] for k in self._axes(axis))
        return self._reduced("sum", axis, keepdims) / count

    def var(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """Return variances over axes, the sums of squares divided by their number less ``ddof``."""
        count = math.prod(self.shape[k] for k in self._axes(axis)) - ddof
        gap = self - self.mean(axis, keepdims=True)
        return (gap**2).sum(axis, keepdims=keepdims) / count

    def std(self, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Self:
        """Return standard deviations over axes."""
        return self.var(axis, ddof=ddof, keepdims=keepdims).sqrt()

    def clip(self, min: Any = None, max: Any = None) -> Self:
        """Return the array, at least ``min`` and at most ``max``."""
        at_least = self if min is None else self.maximum(min)
        return (at_least if max is None else at_least.minimum(max)).apart_from(self)

    def _axes(self, axis: Axis) -> list[int]:
        """Return the axes as numbers >= 0, largest first."""
        given = range(self.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
        return sorted({range(self.ndim)[k] for k in given}, reverse=True)

    def _reduced(self, how: str, axis: Axis, keepdims: bool) -> Self:
        """Reduce one axis after the other."""
        result = self
        for k in self._axes(axis):
            result = result.reduce(how, k, keepdims)
        return result.apart_from(self)

    def __eq__(self, other: object) -> Any:
        raise TypeError("enclosures have no `==`: it may hold for a part of the set only")

    def __ne__(self, other: object) -> Any:
        raise TypeError("enclosures have no `!=`: it may hold for a part of the set only")

    def __bool__(self) -> bool:
        raise TypeError("enclosures have no truth value")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"`{type(self).__name__}` cannot become a NumPy array: it holds sets")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Follow the ufuncs that have an enclosure, refuse the others."""
        name, out = ufunc.__name__, kwargs.pop("out", None)
        if out is not None and not isinstance(out[0], EnclosureArray):
            raise TypeError(
                "an in-place step puts an enclosure into a NumPy array: write `a = a + x` for "
                "`a += x`, and begin sums with `np.zeros_like(x)`"
            )
        if method != "__call__" or kwargs:
            raise TypeError(f"`numpy.{name}` has no enclosure with {method}, {sorted(kwargs)}")
        if name in _OPERATORS:
            first, second = inputs
            own = isinstance(first, EnclosureArray)
            operator = _OPERATORS[name][0 if own else 1]
            made = getattr(*((first, operator) if own else (second, operator)))(
                second if own else first
            )
        elif name in _METHODS:
            made = getattr(ARRAY_NAMESPACE, name)(*inputs)
        else:
            raise TypeError(f"`numpy.{name}` has no enclosure here")
        return made if out is None else out[0].becomes(made)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Follow the NumPy functions that have an enclosure, refuse the others."""
        if func.__name__ in _FUNCTIONS:
            return getattr(ARRAY_NAMESPACE, func.__name__)(*args, **kwargs)
        raise TypeError(f"`numpy.{func.__name__}` has no enclosure here")
