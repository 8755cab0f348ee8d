"""The functions that targets call on enclosures, in place of NumPy's or torch's."""

from __future__ import annotations

from typing import Any, final

__all__ = ["ARRAY_NAMESPACE", "ArrayNamespace", "Axis"]

Axis = int | tuple[int, ...] | None


@final
class ArrayNamespace:
    """The functions of ``xp`` for enclosures: each calls the method of its first enclosure."""

    matmul = staticmethod(lambda a, b: a @ b)
    swapaxes = staticmethod(lambda x, first, second: x.swapaxes(first, second))
    zeros_like = staticmethod(lambda x: x.zeros_like())
    reshape = staticmethod(lambda x, shape: x.reshape(shape))
    abs = absolute = staticmethod(lambda x: abs(x))
    square = staticmethod(lambda x: x**2)
    sqrt = staticmethod(lambda x: x.sqrt())
    exp = staticmethod(lambda x: x.exp())
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
    def clip(x: Any, low: Any = None, high: Any = None) -> Any:
        """Return x, at least ``low`` and at most ``high``."""
        x = x if low is None else x.maximum(low)
        return x if high is None else x.minimum(high)

    @staticmethod
    def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return sums over axes."""
        return x.sum(axis, keepdims=keepdims)

    @staticmethod
    def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return means over axes."""
        return x.mean(axis, keepdims=keepdims)

    @staticmethod
    def amax(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return maxima over axes."""
        return x.amax(axis, keepdims=keepdims)

    @staticmethod
    def amin(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
        """Return minima over axes."""
        return x.amin(axis, keepdims=keepdims)

    max, min = amax, amin

    @staticmethod
    def softmax_mean(logits: Any, values: Any) -> Any:
        """Return Σ_m softmax_m(logits) values_m for logits (..., N, M), values (..., M, D)."""
        from theory.enclosure.attention import softmax_mean

        return softmax_mean(logits, values)

    @staticmethod
    def pair_cosines(x: Any, own: Any, other: Any, phase: Any, weight: Any) -> Any:
        """Return means over partners of cosine features of token pairs, x of shape (B, N, d)."""
        from theory.enclosure.cosines import pair_cosines

        return pair_cosines(x, own, other, phase, weight)

    @staticmethod
    def constant_near_max(x: Any, axis: int) -> Any:
        """Return numbers, no enclosures, near the maxima over an axis, which is kept."""
        return x.middle().max(axis, keepdims=True)


ARRAY_NAMESPACE = ArrayNamespace()
