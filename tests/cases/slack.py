"""What a bound that is rounded outward may be beside the exact value."""

import numpy as np

from looprate.theory.continuity.upper.operator_norm import SLACK

SAME = 1e-9  # relative: far above every slack, far below what a wrong step changes
P_VALUES = (1.0, 1.3, 2.0, 3.0, 40.0)


def above(found, exact, least=0.5, most=4.0):
    """Whether bounds exceed exact values >= 0 by some slack, at least and at most so much."""
    found, exact = np.asarray(found, dtype=float), np.asarray(exact, dtype=float)
    return bool(
        (found >= exact * (1 + least * SLACK)).all() and (found <= exact * (1 + most * SLACK)).all()
    )
