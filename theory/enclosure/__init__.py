"""Rigorous enclosures: of functions on boxes, and of L^p errors.

``enclose`` bounds a target on boxes, ``error_integral`` the L^p error of a function that is
constant on boxes; intervals and jets take any function written with NumPy's operations.
"""

from looprate.theory.enclosure.boxes import box_errors, cell_boxes
from looprate.theory.enclosure.forms import LocalForm, enclose, local_form
from looprate.theory.enclosure.integral import (
    error_integral,
    error_norm,
    norm_from_integral,
)
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.jets import Jet, variables

__all__ = [
    "Interval",
    "Jet",
    "LocalForm",
    "box_errors",
    "cell_boxes",
    "enclose",
    "error_integral",
    "error_norm",
    "local_form",
    "norm_from_integral",
    "variables",
]
