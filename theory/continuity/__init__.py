"""Moduli of continuity of any function: lower bounds with a pair, upper bounds with a proof."""

from looprate.theory.continuity.lower.bound import (
    ModulusLowerBound,
    ModulusLowerCurve,
    modulus_lower_bound,
)
from looprate.theory.continuity.transfer import strengthened_lower_bounds
from looprate.theory.continuity.upper.bound import modulus_upper_bound

__all__ = [
    "ModulusLowerBound",
    "ModulusLowerCurve",
    "modulus_lower_bound",
    "modulus_upper_bound",
    "strengthened_lower_bounds",
]
