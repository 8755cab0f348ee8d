"""Two boxes of two tokens whose affine forms can be worked out by hand."""

import numpy as np

from looprate.theory.enclosure import Interval
from looprate.theory.enclosure.affine import affine_variables

LOW, HIGH = (
    np.array([[[0.25], [1.0]], [[-0.5], [2.0]]]),
    np.array([[[0.75], [1.5]], [[0.5], [4.0]]]),
)
CENTRE, HALF = (LOW + HIGH) / 2, (HIGH - LOW) / 2
NEAR = 1e-6  # relative, of remainders that come from rounding alone


def inputs():
    """Two boxes of two tokens: centres 1/2, 5/4 and 0, 3; half sides 1/4, 1/4 and 1/2, 1."""
    return affine_variables(Interval(LOW, HIGH))
