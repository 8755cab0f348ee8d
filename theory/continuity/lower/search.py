"""The optimiser behind lower bounds of moduli: maximise ‖f(x) - f(y)‖_p over ‖x - y‖_2 <= delta.

A candidate is a centre c and a difference D, both (N, d); its pair is x = clip(c + D/2) and
y = clip(c - D/2), and clipping to the cube never lengthens a difference, so ‖D‖ <= delta makes
every candidate feasible.  All radii are searched in one batch: arrays are (L, S, N, d) with L radii
and S candidates each.  Nothing here is an upper bound.

Steepest directions find the optimum of linear targets, structured starts that of separable ones, a
scan of one entry at a time that of cusps in many places; where a gradient exists, the best of many
random starts after a short ascent by wide steps, and all others, ascend on by projected Adam whose
steps decay slowly; recombination of coordinates among the best candidates repairs mixed modes;
pattern search sharpens kinks, early on what was scanned.
"""

from __future__ import annotations

import numpy as np

from looprate.theory.continuity.lower.lines import line_starts
from looprate.theory.continuity.lower.pattern import polished
from looprate.theory.continuity.lower.problem import (
    Array,
    Ascent,
    Effort,
    Problem,
    Span,
    best_candidates,
    ends,
)
from looprate.theory.continuity.lower.recombine import recombined, shared
from looprate.theory.continuity.lower.scan import scanned
from looprate.theory.continuity.lower.starts import starts, structured

STAGES = ((0.3, Span(0.5, 0.02, 0.1)), (0.7, Span(0.1, 1e-9, 0.1)))  # share of the steps, lengths
EARLY = 2  # part of the sweeps that the scanned candidates get at once
FINALISTS = 10  # candidates per radius in the second stage of the ascent


def _ascended(
    problem: Problem, ascend: Ascent, c: Array, diff: Array, effort: Effort
) -> tuple[Array, Array]:
    """Run the gradient ascent in two stages, the second on the best candidates only."""
    for share, span in STAGES:
        lead = c.shape
        reach = np.repeat(problem.reach, lead[1])
        steps = max(1, round(share * effort.ascent))
        flat = (c.reshape(-1, *lead[2:]), diff.reshape(-1, *lead[2:]))
        c, diff = (part.reshape(lead) for part in ascend(*flat, reach, steps, span))
        c, diff, _ = best_candidates(problem, c, diff, FINALISTS)
    return c, diff


def structured_pairs(problem: Problem) -> tuple[Array, Array]:
    """Return the best structured pair (x, y) of every radius, both (L, N, d); nothing is drawn.

    Parameters
    ----------
    problem : Problem
        Without a gradient.
    """
    c, diff, _ = best_candidates(problem, *structured(problem), 1)
    return ends(c[:, 0], diff[:, 0])


def search_pairs(problem: Problem, effort: Effort, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return a pair (x, y) for every radius that makes ‖f(x) - f(y)‖_p large.

    Parameters
    ----------
    problem : Problem
    effort : Effort
    rng : numpy.random.Generator

    Returns
    -------
    x, y : arrays of shape (L, N, d)
        In the cube, ‖x - y‖_2 <= delta up to rounding.
    """
    c, diff = starts(problem, effort, rng)
    more_c, more_d = scanned(problem, c, diff)
    more_c, more_d = polished(problem, more_c, more_d, max(1, effort.sweeps // EARLY), rng)
    found = [(more_c, more_d), (c, diff), line_starts(problem)]
    c, diff = (np.concatenate(part, 1) for part in zip(*filter(None, found), strict=True))
    if problem.ascend is None:
        c, diff, _ = best_candidates(problem, c, diff, effort.pattern_starts)
        new_c, new_d = polished(problem, c, diff, effort.sweeps, rng)
    else:
        new_c, new_d = _ascended(problem, problem.ascend, c, diff, effort)
    c, diff = np.concatenate([c, new_c], 1), np.concatenate([diff, new_d], 1)
    best_c, best_d = recombined(problem, c, diff, effort.recombinations)
    c, diff = np.concatenate([best_c, c], 1), np.concatenate([best_d, diff], 1)
    c, diff, _ = best_candidates(problem, c, diff, effort.polished)
    for sweeps, keep in ((effort.sweeps, effort.polished), (max(1, effort.sweeps // 2), 1)):
        more_c, more_d = shared(problem, c, diff)
        c, diff, _ = best_candidates(
            problem,
            np.concatenate([c, more_c], 1),
            np.concatenate([diff, more_d], 1),
            keep,
        )
        c, diff = polished(problem, c, diff, sweeps, rng)
    return ends(c[:, 0], diff[:, 0])
