"""The functions that targets call on enclosures, in place of NumPy's or torch's."""

from __future__ import annotations

from typing import Any, final

from looprate.theory.enclosure.axes import einsum, transposed

__all__ = ["ARRAY_NAMESPACE", "ArrayNamespace"]

Axis = int | tuple[int, ...] | None


def _method(name: str) -> Any:
    """Return the function that calls a method of its first argument."""
    return staticmethod(lambda a, *args, **settings: getattr(a, name)(*args, **settings))


def _of_two(name: str) -> Any:
    """Return a function of two, one of which is an enclosure, that calls a method of that one."""

    def called(a: Any, b: Any) -> Any:
        first, second = (a, b) if hasattr(type(a), "__looprate_namespace__") else (b, a)
        return getattr(first, name)(second)

    return staticmethod(called)


@final
class ArrayNamespace:
    """The functions of ``xp`` for enclosures: each calls the method of its first enclosure."""

    matmul = staticmethod(lambda a, b: a @ b)
    swapaxes = staticmethod(lambda a, axis1, axis2: a.swapaxes(axis1, axis2))
    zeros_like, copy = _method("zeros_like"), _method("copy")
    transpose, einsum = staticmethod(transposed), staticmethod(einsum)
    reshape = staticmethod(lambda a, shape: a.reshape(shape))
    abs = absolute = staticmethod(lambda x: abs(x))
    negative = staticmethod(lambda x: -x)
    positive = staticmethod(lambda x: +x)
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
