"""Moduli of continuity of any function: lower bounds with a pair, upper bounds with a proof."""

from theory.continuity.lower import (
    ModulusLowerBound,
    ModulusLowerCurve,
    modulus_lower_bound,
)
from theory.continuity.transfer import strengthened_lower_bounds
from theory.continuity.upper import ModulusUpperBound, ModulusUpperCurve, modulus_upper_bound

__all__ = [
    "ModulusLowerBound",
    "ModulusLowerCurve",
    "ModulusUpperBound",
    "ModulusUpperCurve",
    "modulus_lower_bound",
    "modulus_upper_bound",
    "strengthened_lower_bounds",
]
