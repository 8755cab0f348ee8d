"""The functions that targets call on enclosures, in place of NumPy's or torch's."""

from __future__ import annotations

from typing import Any, final

from looprate.theory.enclosure.axes import einsum, transposed

__all__ = ["ARRAY_NAMESPACE", "ArrayNamespace"]

Axis = int | tuple[int, ...] | None


@final
class ArrayNamespace:
    """The functions of ``xp`` for enclosures: each calls the method of its first enclosure."""

    matmul = staticmethod(lambda a, b: a @ b)
    swapaxes = staticmethod(lambda a, axis1, axis2: a.swapaxes(axis1, axis2))
    zeros_like = staticmethod(lambda a: a.zeros_like())
    copy = staticmethod(lambda a: a.copy())
    transpose, einsum = staticmethod(transposed), staticmethod(einsum)
    reshape = staticmethod(lambda a, shape: a.reshape(shape))
    abs = absolute = staticmethod(lambda x: abs(x))
    negative = staticmethod(lambda x: -x)
    positive = staticmethod(lambda x: +x)
    square = staticmethod(lambda x: x**2)
    sqrt = staticmethod(lambda x: x.sqrt())
    exp = staticmethod(lambda x: x.exp())
    log = staticmethod(lambda x: x.log())
    sin = staticmethod(lambda x: x.sin())
    cos = staticmethod(lambda x: x.cos())
    tanh = staticmethod(lambda x: x.tanh())

    @staticmethod
    def maximum(a: Any, b: Any) -> Any:
        """Return the entrywise maximum; one of the two is an enclosure."""
        return a.maximum(b) if hasattr(type(a), "__looprate_namespace__") else b.maximum(a)

    @staticmethod
    def minimum(a: Any, b: Any) -> Any:
        """Return the entrywise minimum; one of the two is an enclosure."""
        return a.minimum(b) if hasattr(type(a), "__looprate_namespace__") else b.minimum(a)

    @staticmethod
    def clip(
        a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None
    ) -> Any:
        """Return ``a``, at least a lower and at most an upper limit, by NumPy's names of them."""
        return a.clip(min if a_min is None else a_min, max if a_max is None else a_max)

    @staticmethod
    def sum(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return sums over axes."""
        return a.sum(axis, keepdims=keepdims)

    @staticmethod
    def mean(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return means over axes."""
        return a.mean(axis, keepdims=keepdims)

    @staticmethod
    def var(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
        """Return variances over axes."""
        return a.var(axis, ddof=ddof, keepdims=keepdims)

    @staticmethod
    def std(a: Any, axis: Axis = None, *, ddof: float = 0, keepdims: bool = False) -> Any:
        """Return standard deviations over axes."""
        return a.std(axis, ddof=ddof, keepdims=keepdims)

    @staticmethod
    def amax(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return maxima over axes."""
        return a.amax(axis, keepdims=keepdims)

    @staticmethod
    def amin(a: Any, axis: Axis = None, *, keepdims: bool = False) -> Any:
        """Return minima over axes."""
        return a.amin(axis, keepdims=keepdims)

    max, min = amax, amin

    @staticmethod
    def constant_near_max(x: Any, axis: int) -> Any:
        """Return numbers, no enclosures, near the maxima over an axis, which is kept."""
        return x.middle().max(axis, keepdims=True)


ARRAY_NAMESPACE = ArrayNamespace()
