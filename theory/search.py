"""The optimiser behind lower bounds of moduli: maximise ‖f(x) - f(y)‖_p over ‖x - y‖_2 <= delta.

A candidate is a centre c and a difference D, both (N, d); its pair is x = clip(c + D/2) and
y = clip(c - D/2), and clipping to the cube never lengthens a difference, so ‖D‖ <= delta makes
every candidate feasible.  All radii are searched in one batch: arrays are (L, S, N, d) with L radii
and S candidates each.  Nothing here is an upper bound.

Structured starts find the optimum of separable and of linear targets; projected Adam with slowly
decaying steps finds the rest where a gradient exists; recombination of coordinates among the best
candidates repairs mixed modes; pattern search sharpens kinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.notation import Kind

__all__ = ["Array", "Effort", "Problem", "search_pairs"]

Array = NDArray[np.float64]
Values = Callable[[Array, Array], Array]
Ascent = Callable[[Array, Array, Array, int, tuple[float, float]], tuple[Array, Array]]

GRID = 17  # shared centres; 1/16 apart, so quarters and halves are hit
STRUCTURED = 20  # structured starts per radius
ZOOMS, ZOOM = 28, 0.45  # of their centres; the last step is below 1e-11
ELITE = 8  # candidates kept per radius for recombination
STAGES = ((0.3, 0.5, 0.02), (0.7, 0.1, 1e-9))  # share of the steps, first and last step / delta
FINALISTS = 10  # candidates per radius in the second stage of the ascent
SHRINK, GROW = 0.2, 2.0  # pattern steps after failure and success
PATIENCE, STALLED = 10, 1e-6  # a pattern search stops after so many sweeps of so little gain
PROBE = 0.01  # relative shortening of D_i that tells which end sits on a kink
ROUNDING = 4 * float(np.finfo(float).eps)  # of a difference of two points of the cube, per entry


@dataclass(frozen=True)
class Effort:
    """The deterministic amount of work; ``budget`` scales all of it."""

    randoms: int = 12  # random starts per radius
    ascent: int = 240  # gradient steps
    recombinations: int = 5
    sweeps: int = 36  # of the pattern search
    polished: int = 2  # candidates per radius that are polished
    pattern_starts: int = 8  # candidates per radius without a gradient

    def scaled(self, budget: float) -> Effort:
        """Return the effort times ``budget``, each part at least 1."""

        def at_least_one(number: int) -> int:
            return max(1, round(number * budget))

        return Effort(
            randoms=at_least_one(self.randoms),
            ascent=at_least_one(self.ascent),
            recombinations=at_least_one(self.recombinations),
            sweeps=at_least_one(self.sweeps),
            polished=self.polished,
            pattern_starts=max(self.polished, round(self.pattern_starts * min(budget, 4.0))),
        )


@dataclass(frozen=True)
class Problem:
    """One family of maximisations: the objective, where D may differ from 0, and the radii.

    Attributes
    ----------
    values : callable
        (M, N, d), (M, N, d) -> (M,), the norm of the difference of the outputs.
    ascend : callable or None
        Gradient ascent on (M, N, d) centres and differences, given radii, a number of steps and the
        first and last step over the radius; None without a gradient.
    moving : bool array of shape (N,)
        Tokens that may differ between x and y.
    dim : int
    deltas : array of shape (L,)
        Radii > 0.
    """

    values: Values
    ascend: Ascent | None
    moving: NDArray[np.bool_]
    dim: int
    deltas: Array

    @property
    def movable(self) -> NDArray[np.intp]:
        """Indices of the movable entries in token-major order."""
        return np.flatnonzero(np.repeat(self.moving, self.dim))

    @property
    def reach(self) -> Array:
        """Radii capped at the diameter, a rounding error below delta; shape (L,)."""
        count = self.movable.size
        return np.minimum(self.deltas - ROUNDING * math.sqrt(count), math.sqrt(count)).clip(0)


def moving_tokens(kind: Kind, tokens: int, row: int) -> NDArray[np.bool_]:
    """Return which tokens may move when output token ``row`` is watched."""
    if kind == "sequence":
        return np.ones(tokens, dtype=bool)
    own = np.arange(tokens) == row
    return own if kind == "token" else ~own


def ends(c: Array, diff: Array) -> tuple[Array, Array]:
    """Return the pair of a candidate, inside the cube."""
    return np.clip(c + diff / 2, 0, 1), np.clip(c - diff / 2, 0, 1)


def _score(problem: Problem, c: Array, diff: Array) -> Array:
    """Return the objective of candidates of any leading shape."""
    lead = c.shape[:-2]
    x, y = ends(c.reshape(-1, *c.shape[-2:]), diff.reshape(-1, *c.shape[-2:]))
    return problem.values(x, y).reshape(lead)


def _fitted(diff: Array, reach: Array) -> Array:
    """Scale differences to norm ``reach`` where the side 1 of the cube allows; shapes (..., N, d).

    Two rounds: entries capped at 1 free length for the others.
    """
    for _ in range(2):
        norm = np.sqrt((diff**2).sum((-2, -1), keepdims=True))
        diff = np.clip(diff * (reach / np.maximum(norm, 1e-300)), -1, 1)
    return _capped(diff, reach)


def _capped(diff: Array, reach: Array) -> Array:
    """Shorten differences (..., N, d) to norm ``reach`` at most."""
    diff = np.clip(diff, -1, 1)
    norm = np.sqrt((diff**2).sum((-2, -1), keepdims=True))
    return np.asarray(diff * np.minimum(1.0, reach / np.maximum(norm, 1e-300)))


def _take(array: Array, index: NDArray[np.intp]) -> Array:
    """Return array[l, index[l, k]] for arrays (L, S, ...)."""
    return np.asarray(array[np.arange(len(array))[:, None], index])


# -- starts --------------------------------------------------------------------------------------


def _directions(problem: Problem, reach: float) -> Array:
    """Return structured differences for one radius, shape (S, N, d).

    Equal spread over the first k movable entries, token by token or coordinate by coordinate; with
    signs alike, alternating over tokens, or the first token against the others; and entries filled
    one after another up to a height, shorter than the radius where all are full.
    """
    tokens, dim, movable = problem.moving.size, problem.dim, problem.movable
    count = movable.size
    by_coordinate = movable[np.argsort(movable % dim, kind="stable")]
    token = np.arange(tokens * dim) // dim
    first = token == movable[0] // dim
    signs = (np.ones(tokens * dim), np.where(token % 2, -1.0, 1.0), np.where(first, 1.0, -1.0))
    sizes = {k for k in (1, 2, 3, dim, 2 * dim, count // dim, count // 2, count) if 1 <= k <= count}
    rows = []
    for order in (movable, by_coordinate):
        for k in sorted(sizes):
            flat = np.zeros(tokens * dim)
            flat[order[:k]] = min(reach / math.sqrt(k), 1.0)
            rows += [flat * sign for sign in signs]
        for height in (0.25, 0.5, 0.75, 1.0):
            flat = np.zeros(tokens * dim)
            full = min(int(reach**2 / height**2), count)
            flat[order[:full]] = height
            if full < count:
                flat[order[full]] = math.sqrt(max(reach**2 - full * height**2, 0.0))
            if full:
                rows += [flat * sign for sign in signs]
    return np.unique(np.array(rows), axis=0).reshape(-1, tokens, dim)


def _structured(problem: Problem, index: int) -> tuple[Array, Array, Array]:
    """Return the best centre of every structured difference of one radius: c, D, values.

    The centres are shared by all entries; the entries that do not move share it or sit at 0 or 1.
    """
    diff = _directions(problem, problem.reach[index])  # (S, N, d)
    grid = np.linspace(0, 1, GRID)[:, None, None, None]
    c = np.clip(grid, np.abs(diff) / 2, 1 - np.abs(diff) / 2)  # (G, S, N, d)
    if (diff == 0).any():
        still = np.broadcast_to(diff == 0, c.shape)
        c = np.concatenate([c, np.where(still, 0.0, c), np.where(still, 1.0, c)])
    scores = _score(problem, c, np.broadcast_to(diff, c.shape))  # (G or 3G, S)
    best = scores.argmax(0)
    pick = np.arange(len(diff))
    return _zoomed(problem, c[best, pick], diff)


def _zoomed(problem: Problem, c: Array, diff: Array) -> tuple[Array, Array, Array]:
    """Shift the moving entries of every candidate (S, N, d) together, in ever smaller steps."""
    half = np.abs(diff) / 2
    step = 0.5 / (GRID - 1)
    pick = np.arange(len(diff))
    scores = _score(problem, c, diff)
    past = [scores]
    for zoom in range(ZOOMS):
        if zoom >= PATIENCE and (scores <= past[-PATIENCE] * (1 + STALLED)).all():
            break
        shift = step * np.array([0.0, -1.5, -0.5, 0.5, 1.5])[:, None, None, None] * (diff != 0)
        near = np.clip(c + shift, half, 1 - half)  # (5, S, N, d)
        scores = _score(problem, near, np.broadcast_to(diff, near.shape))
        best = scores.argmax(0)
        c, scores = near[best, pick], scores[best, pick]
        past.append(scores)
        step *= ZOOM
    return c, diff, scores


def _starts(problem: Problem, effort: Effort, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the best structured candidates and random ones for every radius, (L, S, N, d)."""
    shape = (problem.moving.size, problem.dim)
    found = [_structured(problem, index) for index in range(len(problem.deltas))]
    keep = min(STRUCTURED, *(len(values) for _, _, values in found))
    top = [np.argsort(-values, kind="stable")[:keep] for _, _, values in found]
    c = np.stack([part[0][t] for part, t in zip(found, top, strict=True)])
    diff = np.stack([part[1][t] for part, t in zip(found, top, strict=True)])
    size = (len(problem.deltas), effort.randoms, *shape)
    wild = rng.standard_normal(size) * (rng.random(size) < rng.uniform(0.1, 1, (*size[:2], 1, 1)))
    wild = (wild + 1e-12) * problem.moving[:, None]  # never all 0
    centre = rng.random(size)
    return np.concatenate([c, centre], 1), np.concatenate(
        [diff, _fitted(wild, problem.reach[:, None, None, None])], 1
    )


# -- improvements --------------------------------------------------------------------------------


def _best(problem: Problem, c: Array, diff: Array, keep: int) -> tuple[Array, Array, Array]:
    """Return the ``keep`` best candidates of every radius and their values, best first."""
    scores = _score(problem, c, diff)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :keep]
    return _take(c, order), _take(diff, order), _take(scores, order)


def _shared(problem: Problem, c: Array, diff: Array) -> tuple[Array, Array]:
    """Return candidates that every radius takes over from the best of every other, (L, 7L, N, d).

    From a larger radius: pieces of its segment (one of them keeps its share, by subadditivity) and
    one with the centre kept; from a smaller one: the same with longer differences.
    """
    count = len(c)
    source_c, source_d = c[None, :, 0], diff[None, :, 0]  # (1, L, N, d)
    scaled = _fitted(
        np.broadcast_to(source_d, (count, *source_d.shape[1:])), problem.reach[:, None, None, None]
    )
    x, y = ends(source_c, source_d)
    moves = [source_c + t * (source_d - scaled) for t in (-0.5, -0.25, 0.25, 0.5)]
    bent = np.clip(source_c, np.abs(scaled) / 2, 1 - np.abs(scaled) / 2)
    centre = np.broadcast_to((x + y) / 2, scaled.shape)
    short = _capped(np.broadcast_to(source_d, scaled.shape), problem.reach[:, None, None, None])
    all_c = np.concatenate([centre, centre, bent, *moves], 1)
    return np.clip(all_c, 0, 1), np.concatenate([short, *[scaled] * 6], 1)


def _recombined(problem: Problem, c: Array, diff: Array, rounds: int) -> tuple[Array, Array]:
    """Return the best candidate of every radius after exchanging entries with the elite.

    Each entry may take (c_i, ±D_i) from another candidate; the best single exchange, or the best of
    every entry at once, is kept.  Also one entry's values are tried for all.
    """
    c, diff, _ = _best(problem, c, diff, ELITE)
    count, _, tokens, dim = c.shape
    width = tokens * dim
    reach = problem.reach[:, None, None, None]
    eye = np.eye(width, dtype=bool).reshape(width, tokens, dim)
    donors_c = np.concatenate([c, c], 1)[:, :, None]  # (L, 2E, 1, N, d)
    donors_d = np.concatenate([diff, -diff], 1)[:, :, None]
    best_c, best_d = c[:, :1], diff[:, :1]
    best = _score(problem, best_c, best_d)
    for _ in range(rounds):
        new_c = np.where(eye, donors_c, best_c[:, None])  # (L, 2E, width, N, d)
        new_d = _capped(np.where(eye, donors_d, best_d[:, None]), reach[:, None])
        scores = _score(problem, new_c, new_d)
        donor = scores.argmax(1)  # (L, width)
        lines = np.arange(count)[:, None]
        joint_c = donors_c[lines, donor, 0].reshape(count, width, width)
        joint_d = donors_d[lines, donor, 0].reshape(count, width, width)
        diagonal = np.arange(width)
        joint_c = joint_c[:, diagonal, diagonal].reshape(count, 1, tokens, dim)
        joint_d = joint_d[:, diagonal, diagonal].reshape(count, 1, tokens, dim)
        alike_c = np.repeat(best_c.reshape(count, width)[:, :, None, None], tokens, 2)
        alike_c = np.broadcast_to(alike_c, (count, width, tokens, dim))
        alike_d = best_d.reshape(count, width)[:, :, None, None] * problem.moving[:, None]
        alike_d = np.broadcast_to(alike_d, alike_c.shape)
        pool_c = [best_c, new_c.reshape(count, -1, tokens, dim), joint_c, alike_c]
        pool_d = [
            best_d,
            new_d.reshape(count, -1, tokens, dim),
            _capped(joint_d, reach),
            _fitted(alike_d, reach),
        ]
        best_c, best_d, now = _best(
            problem, np.concatenate(pool_c, 1), np.concatenate(pool_d, 1), 1
        )
        if not (now > best * (1 + 1e-12)).any():
            break
        best = now
    return best_c, best_d


def _anchors(problem: Problem, c: Array, diff: Array) -> Array:
    """Return per entry which point stays when D_i changes: +1/2 y, 0 the centre, -1/2 x.

    The end whose move costs least may move; the other may sit on a kink.
    """
    count, tokens, dim = c.shape
    eye = np.eye(tokens * dim).reshape(-1, tokens, dim)
    change = -PROBE * diff[:, None] * eye  # (E, width, N, d)
    sides = (0.0, 0.5, -0.5)
    scores = np.stack(
        [_score(problem, c[:, None] + side * change, diff[:, None] + change) for side in sides], -1
    )
    return np.array(sides)[scores.argmax(-1)].reshape(count, tokens, dim)


def _moves(problem: Problem, diff: Array, rng: np.random.Generator) -> tuple[Array, Array, int]:
    """Return unit moves (centre, difference), each (E, J, N, d), and where transfers begin.

    Moves of the difference come twice: plain, and as transfers that keep ‖D‖.
    """
    count, tokens, dim = diff.shape
    width = tokens * dim
    eye = np.eye(width).reshape(width, tokens, dim)
    axes = np.broadcast_to(eye, (count, *eye.shape))
    moving = np.broadcast_to(eye[problem.movable], (count, problem.movable.size, tokens, dim))
    ones = np.ones((count, 1, tokens, dim))
    sign = np.where(diff < 0, -1.0, 1.0)[:, None]
    still = (diff == 0)[:, None] * 1.0
    wild = rng.standard_normal((count, 4, tokens, dim)) / math.sqrt(width)
    centre = np.concatenate([axes, ones, sign, still, wild[:, :2]], 1)
    radial = diff[:, None] / np.sqrt((diff**2).sum((1, 2)) + 1e-300)[:, None, None, None]
    change = np.concatenate([radial, moving, moving, wild[:, 2:] * problem.moving[:, None]], 1)
    unit_c = np.concatenate([centre, np.zeros_like(change)], 1)
    unit_d = np.concatenate([np.zeros_like(centre), change], 1)
    return unit_c, unit_d, centre.shape[1] + 1 + problem.movable.size


def _polished(
    problem: Problem, c: Array, diff: Array, sweeps: int, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Pattern search on every candidate (L, S, N, d) until it stalls."""
    lead = c.shape
    c, diff = c.reshape(-1, *lead[2:]).copy(), diff.reshape(-1, *lead[2:]).copy()
    reach = np.repeat(problem.reach, lead[1])[:, None, None, None]  # (E, 1, 1, 1)
    best = _score(problem, c, diff)
    anchor = _anchors(problem, c, diff)
    step = np.repeat(reach[:, :, 0, 0] / 4, _moves(problem, diff, rng)[0].shape[1], 1)  # (E, J)
    past = [best.copy()]
    live = np.arange(len(c))
    for sweep in range(sweeps):
        if sweep >= PATIENCE:
            live = live[best[live] > past[-PATIENCE][live] * (1 + STALLED)]
        if not live.size:
            break
        if sweep % 12 == 11:
            anchor[live] = _anchors(problem, c[live], diff[live])
        state = (c[live], diff[live], best[live], step[live], anchor[live], reach[live])
        c[live], diff[live], best[live], step[live] = _swept(problem, *state, rng)
        past.append(best.copy())
    return c.reshape(lead), diff.reshape(lead)


def _swept(
    problem: Problem,
    c: Array,
    diff: Array,
    best: Array,
    step: Array,
    anchor: Array,
    reach: Array,
    rng: np.random.Generator,
) -> tuple[Array, Array, Array, Array]:
    """Return c, D, values and steps after one sweep: the best move, or all gains at once."""
    unit_c, unit_d, split = _moves(problem, diff, rng)
    keeps = np.arange(unit_c.shape[1]) >= split
    radius = reach[:, :, 0, 0]
    bound = np.where(keeps, np.minimum(_length(diff), radius), radius)
    bound = np.concatenate([bound, bound], 1)[:, :, None, None]  # (E, 2J, 1, 1)
    both = np.concatenate([step, -step], 1)[:, :, None, None]
    dc, dd = (both * np.concatenate([unit, unit], 1) for unit in (unit_c, unit_d))
    old = (c[:, None], diff[:, None])
    new_c, new_d = _moved(*old, dc, dd, anchor[:, None], bound, np.tile(keeps, 2))
    scores = _score(problem, new_c, new_d)  # (E, 2J)
    lines, top = np.arange(len(c)), scores.argmax(1)
    signed = scores.reshape(len(c), 2, -1)
    gain = signed > best[:, None, None] * (1 + 1e-14)
    better = signed.argmax(1)[:, None] == np.arange(2)[:, None]
    chosen = (gain & better).reshape(len(c), -1)[:, :, None, None]
    joint_dc, joint_dd = ((move * chosen).sum(1, keepdims=True) for move in (dc, dd))
    never = np.zeros(1, dtype=bool)
    joint_c, joint_d = _moved(*old, joint_dc, joint_dd, anchor[:, None], reach, never)
    joint = _score(problem, joint_c, joint_d)[:, 0]
    single = scores[lines, top]
    order = np.stack([best, single, joint], 1).argmax(1)  # stay, one move, all moves
    next_c = np.stack([c, new_c[lines, top], joint_c[:, 0]], 1)[lines, order]
    next_d = np.stack([diff, new_d[lines, top], joint_d[:, 0]], 1)[lines, order]
    step = np.minimum(step * np.where(gain.any(1), GROW, SHRINK), 0.5)
    return next_c, next_d, np.maximum(best, np.maximum(single, joint)), step


def _length(diff: Array) -> Array:
    """Return ‖D‖ of (E, N, d) as (E, 1)."""
    return np.asarray(np.sqrt((diff**2).sum((1, 2)))[:, None])


def _moved(
    c: Array,
    diff: Array,
    dc: Array,
    dd: Array,
    anchor: Array,
    bound: Array,
    keeps: NDArray[np.bool_],
) -> tuple[Array, Array]:
    """Return candidates after a move, D held to ``bound`` about the anchors.

    Where ``keeps``, D is scaled to the bound exactly.
    """
    changed = _capped(diff + dd, bound)
    if keeps.any():
        changed[:, keeps] = _fitted((diff + dd)[:, keeps], bound[:, keeps])
    new = np.where(dd.any((-2, -1), keepdims=True), changed, diff)
    return np.clip(c + dc + anchor * (new - diff), 0, 1), new


# -- the search ----------------------------------------------------------------------------------


def _ascended(
    problem: Problem, ascend: Ascent, c: Array, diff: Array, effort: Effort
) -> tuple[Array, Array]:
    """Run the gradient ascent in two stages, the second on the best candidates only."""
    for share, first, last in STAGES:
        lead = c.shape
        reach = np.repeat(problem.reach, lead[1])
        steps = max(1, round(share * effort.ascent))
        flat = (c.reshape(-1, *lead[2:]), diff.reshape(-1, *lead[2:]))
        c, diff = (part.reshape(lead) for part in ascend(*flat, reach, steps, (first, last)))
        c, diff, _ = _best(problem, c, diff, FINALISTS)
    return c, diff


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
    c, diff = _starts(problem, effort, rng)
    if problem.ascend is None:
        c, diff, _ = _best(problem, c, diff, effort.pattern_starts)
        new_c, new_d = _polished(problem, c, diff, effort.sweeps, rng)
    else:
        new_c, new_d = _ascended(problem, problem.ascend, c, diff, effort)
    c, diff = np.concatenate([c, new_c], 1), np.concatenate([diff, new_d], 1)
    best_c, best_d = _recombined(problem, c, diff, effort.recombinations)
    c, diff = np.concatenate([best_c, c], 1), np.concatenate([best_d, diff], 1)
    c, diff, _ = _best(problem, c, diff, effort.polished)
    for sweeps, keep in ((effort.sweeps, effort.polished), (max(1, effort.sweeps // 2), 1)):
        more_c, more_d = _shared(problem, c, diff)
        c, diff, _ = _best(
            problem,
            np.concatenate([c, more_c], 1),
            np.concatenate([diff, more_d], 1),
            keep,
        )
        c, diff = _polished(problem, c, diff, sweeps, rng)
    c, diff, _ = _best(problem, c, diff, 1)
    return ends(c[:, 0], diff[:, 0])
