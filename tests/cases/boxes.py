"""Boxes of one number each, and the ends of an interval of one."""

import numpy as np

__all__ = ["ends", "one"]


def one(*values):
    """Boxes (B, 1, 1) of one number each."""
    return np.reshape(values, (-1, 1, 1)).astype(float)


def ends(interval):
    return interval.lo.item(), interval.hi.item()
