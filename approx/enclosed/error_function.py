"""The error function and GELU on enclosures.

``scipy.special.erf`` is assumed within ``LIBM_ULPS`` ulp, as the C library's functions are; a test
holds it against mpmath.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import erf as float_erf

from looprate.theory.enclosure.affine import Affine
from looprate.theory.enclosure.chained import Chained
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import function_down, function_up


def _around(value: float) -> Interval:
    """Return the floats next to a correctly rounded constant, which lies between them."""
    return Interval(np.nextafter(value, -np.inf), np.nextafter(value, np.inf))


def _on_interval(x: Interval) -> Interval:
    """erf increases from -1 to 1."""
    lo, hi = function_down(float_erf(x.lo)), function_up(float_erf(x.hi))
    return Interval(np.maximum(lo, -1.0), np.minimum(hi, 1.0))


def erf(x: Any) -> Any:
    """Return the error function of enclosures; its slope is s = 2/√π exp(-x²), and s' = -2x s.

    Raises
    ------
    TypeError
        If ``x`` is another enclosure.
    """
    if isinstance(x, Interval):
        return _on_interval(x)
    if isinstance(x, Affine):
        return x.entrywise(erf)
    if isinstance(x, Chained):
        slope = (-(x.value**2)).exp() * _around(2 / math.sqrt(math.pi))
        return x.chain(_on_interval(x.value), slope, lambda: x.value * slope * -2.0)
    raise TypeError(f"erf has no enclosure for {type(x).__name__}; take relu, silu or tanh")


def gelu(x: Any, *, approximate: str = "none") -> Any:
    """Return x (1 + erf(x/√2))/2, or its approximation with tanh, of enclosures."""
    if approximate == "tanh":
        inner = (x + x**3 * 0.044715) * _around(math.sqrt(2 / math.pi))
        return x * (inner.tanh() * 0.5 + 0.5)
    return x * (erf(x * _around(math.sqrt(0.5))) * 0.5 + 0.5)
