"""Moduli of continuity of any function: lower bounds with the pair that attains them."""

from theory.continuity.lower import (
    ModulusLowerBound,
    ModulusLowerCurve,
    modulus_lower_bound,
    strengthened_lower_bounds,
)

__all__ = [
    "ModulusLowerBound",
    "ModulusLowerCurve",
    "modulus_lower_bound",
    "strengthened_lower_bounds",
]
