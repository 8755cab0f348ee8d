"""Fits of two functions by small models, for the tests of fits and of their banks."""

import numpy as np
import pytest

from looprate.approx.fit.fitting import fit
from looprate.approx.models.looped import ModelConfig

__all__ = ["SMALL", "Stopped", "begun", "mean", "run", "square"]

SMALL = ModelConfig(width=8, hidden=16, gate=0.5)


class Stopped(Exception):
    """What ends a fit that is stopped."""


def mean(x):
    return 0.5 * x + 0.5 * x.mean(1, keepdim=True)


def square(x):
    return x * x


def run(targets=(mean, square), **changes):
    """A fit of both functions, uncompiled."""
    usual = {"tokens": 2, "loops": 2, "seeds": [0, 3], "learning_rates": [1e-2, 3e-2]}
    return fit(targets, SMALL, **{**usual, "compiled": False, **changes})


def begun(path, after, **changes):
    """Begin a fit that is stopped after so many reports; return the steps it reported."""
    steps = []

    def stop(step):
        steps.append(step)
        if len(steps) == after:
            raise Stopped

    with pytest.raises(Stopped):
        run(checkpoint=path, checkpoint_seconds=0.0, progress=stop, **changes)
    assert path.exists()
    assert (np.diff(steps) >= 0).all()
    return steps
