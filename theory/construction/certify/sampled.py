"""A Monte Carlo estimate of a constructed network's error, to check the enclosure against."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from looprate.theory.construction.build.labels import powers_of
from looprate.theory.construction.certify.error import ErrorProblem
from looprate.theory.norms import p_norm, root_mean_power

MONTE_CARLO = 2**14


def sampled_error(problem: ErrorProblem, rng: np.random.Generator) -> dict[str, Any]:
    """Estimate the error from random inputs, another road: cells by division, outputs looked up.

    Not rigorous: a network's output at a cell's centre is taken for the whole cell.

    Returns
    -------
    dict
        value, stderr (None for p = inf, where the value is a lower estimate) and points.
    """
    spec, run, p = problem.spec, problem.run, problem.p
    x = rng.random((MONTE_CARLO, spec.tokens, spec.dim))
    lines = np.minimum((x * spec.grid).astype(np.int64), spec.grid - 1)
    cells = lines @ powers_of(spec.grid, spec.dim)
    order = np.argsort(-cells, axis=1, kind="stable")
    base = powers_of(spec.cells, spec.tokens)[::-1]
    keys = run.cells @ base
    place = np.argsort(keys)
    ranked = np.take_along_axis(cells, order, axis=1) @ base
    outputs = run.centres.astype(np.float64)[place[np.searchsorted(keys[place], ranked)]]
    gap = np.abs(outputs - np.take_along_axis(problem.target(x), order[..., None], axis=1))
    if math.isinf(p):
        return {"value": float(gap.max()), "stderr": None, "points": MONTE_CARLO}
    value, spread = root_mean_power(p_norm(gap, p, axis=(1, 2)), p)
    return {"value": value, "stderr": spread, "points": MONTE_CARLO}
