"""Values of a function on a batch, checked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["values_of"]


def values_of(
    f: Callable[[Any], Any], x: NDArray[np.float64], *, name: str, where: str
) -> NDArray[np.float64]:
    """Return f(x) as float64, in the shape of x.

    Parameters
    ----------
    f : callable
    x : ndarray, shape (B, N, d)
    name, where : str
        What messages call the function, and the place the inputs are from.

    Raises
    ------
    ValueError
        If f returns another shape, or a value that is not finite.
    """
    with np.errstate(all="ignore"):  # what overflows is refused below
        y = np.asarray(f(x), dtype=np.float64)
    if y.shape != x.shape:
        raise ValueError(f"`{name}` must map shape {x.shape} to itself, got {y.shape}")
    if not np.isfinite(y).all():
        raise ValueError(f"`{name}` must return finite values, got inf or nan {where}")
    return y
