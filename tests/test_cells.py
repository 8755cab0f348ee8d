"""Bounds of cells of pairs: valid for every pair inside, or what was cut off is settled."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from cases.pairs import pair_values, random_pairs, row_of
from cases.targets import EXAMPLES, KINDS
from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.continuity.upper import cell_bounds as cell_bounds_file
from looprate.theory.continuity.upper import centre_form, ends_form
from looprate.theory.continuity.upper.affine_norm import AffineNorm
from looprate.theory.continuity.upper.cell_bounds import cell_bounds
from looprate.theory.continuity.upper.cells import CellProblem, Cells
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.targets import parse_target

ROUNDING = 1e-11  # relative to the output: plain float64 evaluations
EDGE = 1e-12  # absolute: by how much rounding may move a pair out of its box
NUDGE = 1e-6  # how far both points are moved to see the norm grow
CELLS, INSIDE = 16, 40  # cells of a problem, pairs of a cell
SHAPES = ((1, 1), (2, 1), (2, 2), (3, 1))
P_VALUES = (1.0, 2.0, math.inf)
THRESHOLDS = (0.0, 0.5, 0.97, math.inf)  # times the largest value seen


def problem_of(target, *, kind, tokens, dim, p, delta, f=None):
    """The problem, tokens that are not watched in order as in a search."""
    row = row_of(kind)
    free = tuple(n for n in range(tokens) if n != row)
    moving = moving_tokens(kind, tokens, 0)
    return CellProblem(f or target, tokens, dim, moving, row, p, delta, free)


@pytest.mark.parametrize("delta", [1e-100, 1e-160, 1e-200, 1e-300, 5e-324])
def test_what_a_pair_reaches_scales_with_the_radius_however_small(delta):
    inside = np.array([[0.4, 0.5]])  # in units of the radius: (0.6, 0.8) is on the sphere

    def contracted(radius, low):
        problem = problem_of(lambda x: x, kind="sequence", tokens=2, dim=1, p=2.0, delta=radius)
        centre = np.full((1, 2), 0.5)
        reach = np.full((1, 2), radius)
        cells, some = problem.contracted(Cells(centre, centre, low * radius, reach))
        return cells.d_high / radius, some.tolist()

    high, some = contracted(0.1, inside)
    assert high == pytest.approx(np.sqrt(1 - inside[:, ::-1] ** 2), abs=1e-9)
    tiny, some_tiny = contracted(delta, inside)
    assert some == some_tiny == [True]
    assert (tiny >= high * (1 - 1e-9)).all()
    if delta > 1e-300:
        assert tiny == pytest.approx(high, abs=1e-9)
        assert contracted(delta, np.array([[0.8, 0.8]]))[1] == [False]


@pytest.mark.parametrize("centre", [2.0**-20, 0.3, 0.75, 1 - 2.0**-40])
def test_a_pair_that_ends_on_a_face_of_the_cube_stays(centre):
    problem = problem_of(lambda x: x, kind="sequence", tokens=2, dim=1, p=2.0, delta=3.0)
    c = np.full((1, 2), centre)
    face = 2 * min(centre, 1 - centre)  # the difference of a pair with one end there; exact
    for side in (face, -face):
        d = np.array([[0.0, side]])
        inner, some = problem.contracted(Cells(c, c, np.minimum(d, -0.0), np.maximum(d, 0.0)))
        assert some.all()
        assert inner.d_low[0, 1] <= side <= inner.d_high[0, 1]


def cells_around(rng, problem, c, diff):
    """Boxes of all sizes that contain a centre and a difference each, as a search halves them."""
    reach = min(problem.delta, 1.0)
    size = 10.0 ** rng.uniform(-3, 0, (len(c), 1))
    low, high = (rng.random(c.shape) * size for _ in (0, 1))
    d_low, d_high = (rng.random(diff.shape) * size * reach for _ in (0, 1))
    return Cells(
        np.maximum(c - low, 0.0),
        np.minimum(c + high, 1.0),
        np.maximum(diff - d_low, -reach),
        np.minimum(diff + d_high, reach),
    )


def ends_of(problem, c, diff):
    """The pair (X, Y) of centres (..., K) and differences (..., M)."""
    half = np.zeros(c.shape)
    half[..., problem.movable] = diff / 2
    return c + half, c - half


def pairs_inside(rng, problem, cells, c, diff):
    """Feasible pairs of every cell, (INSIDE, B, .): on the way from its own pair to corners."""
    shape = (INSIDE, *c.shape), (INSIDE, *diff.shape)
    places = [np.where(rng.random(s) < 0.5, rng.integers(0, 2, s), rng.random(s)) for s in shape]
    c_to = cells.c_low + (cells.c_high - cells.c_low) * places[0]
    d_to = cells.d_low + (cells.d_high - cells.d_low) * places[1]
    share = np.ones((INSIDE, len(c), 1))
    for _ in range(12):
        cs, ds = c + share * (c_to - c), diff + share * (d_to - diff)
        ends = np.stack(ends_of(problem, cs, ds))
        good = ((ends >= 0) & (ends <= 1)).all((0, 3)) & (
            np.linalg.norm(ds, axis=2) <= problem.delta
        )
        share = np.where(good[..., None], share, share / 2)
    share = np.where(good[..., None], share, 0.0)
    return c + share * (c_to - c), diff + share * (d_to - diff)


def holds(cells, c, diff):
    """Tell which pairs (..., B, .) lie in their cells."""
    inside = ((c >= cells.c_low - EDGE) & (c <= cells.c_high + EDGE)).all(-1)
    return inside & ((diff >= cells.d_low - EDGE) & (diff <= cells.d_high + EDGE)).all(-1)


def values_of(target, problem, c, diff):
    """‖f(X) - f(Y)‖_p of pairs."""
    x, y = (np.clip(end, 0.0, 1.0) for end in ends_of(problem, c, diff))
    box = (-1, problem.tokens, problem.dim)
    found = pair_values(target, x.reshape(box), y.reshape(box), row=problem.row, p=problem.p)
    return found.reshape(c.shape[:-1])


def sampled(target, *, kind, tokens, dim, p, delta, f=None, seed=0):
    """A problem, cells, and pairs inside them with their values."""
    rng = np.random.default_rng(seed)
    problem = problem_of(target, kind=kind, tokens=tokens, dim=dim, p=p, delta=delta, f=f)
    x, y = random_pairs(rng, CELLS, delta, kind=kind, tokens=tokens, dim=dim)
    if problem.sorted_tokens:  # each end by the first coordinate of its centre
        order = np.argsort((x + y)[:, problem.sorted_tokens, 0], axis=1)
        for ends in (x, y):
            parts = np.take_along_axis(ends[:, problem.sorted_tokens], order[..., None], 1)
            ends[:, problem.sorted_tokens] = parts
    x, y = x.reshape(CELLS, -1), y.reshape(CELLS, -1)
    c, diff = (x + y) / 2, (x - y)[:, problem.movable]
    cells = cells_around(rng, problem, c, diff)
    cs, ds = pairs_inside(rng, problem, cells, c, diff)
    return problem, cells, (c, diff), (cs, ds), values_of(target, problem, cs, ds)


def movable_up(target, problem, c, diff, value):
    """Tell of one pair whether both points moved along an axis give a larger value."""
    steps = NUDGE * np.concatenate([np.eye(c.size), -np.eye(c.size)])
    ends = np.stack(ends_of(problem, c + steps, np.tile(diff, (len(steps), 1))))
    inside = ((ends >= 0) & (ends <= 1)).all((0, 2))
    found = values_of(target, problem, c + steps, np.tile(diff, (len(steps), 1)))
    return bool((found[inside] > value).any())


def faults(target, threshold_share, **case):
    """Count pairs that the bounds of their cells deny."""
    problem, cells, _, (cs, ds), values = sampled(target, **case)
    if not len(problem.movable):
        return 0
    threshold = threshold_share * values.max() if math.isfinite(threshold_share) else math.inf
    slack = ROUNDING * (1 + values.max())
    inner, some = problem.contracted(cells)
    count = int((~some).sum())  # each has a pair: its own
    cells, cs, ds, values = inner.picked(some), cs[:, some], ds[:, some], values[:, some]
    bounds, _, kept = cell_bounds(problem, cells, threshold)
    inside = holds(kept, cs, ds)
    wrong = (values > threshold + slack) & ~(inside & (values <= bounds + slack))
    for k, b in np.argwhere(wrong).tolist():
        holds_none = np.isneginf(bounds[b])
        count += not (holds_none and movable_up(target, problem, cs[k, b], ds[k, b], values[k, b]))
    return count


def cases(deltas=(0.05, 0.5)):
    """Kinds, shapes and radii, where anything can move."""
    for kind, (tokens, dim), delta in product(KINDS, SHAPES, deltas):
        if kind != "contextual" or tokens > 1:
            yield {"kind": kind, "tokens": tokens, "dim": dim, "delta": delta}


@pytest.mark.parametrize("p", P_VALUES)
@pytest.mark.parametrize("name", EXAMPLES)
def test_cells_are_bounded_or_settled(name, p):
    """Two cases each, all of them over the targets; the slow twin tries every one."""
    target = parse_target(name)
    every = list(product(cases(), THRESHOLDS))
    start = 7 * EXAMPLES.index(name) + 13 * P_VALUES.index(p)
    for k in (start % len(every), (start + 43) % len(every)):
        case, share = every[k]
        assert faults(target, share, p=p, seed=k, **case) == 0, (case, share)


@pytest.mark.slow
@pytest.mark.parametrize("p", [*P_VALUES, 1.5, 3.0])
@pytest.mark.parametrize("name", EXAMPLES)
def test_cells_are_bounded_or_settled_everywhere(name, p):
    target = parse_target(name)
    for case, share in product(cases((0.02, 0.1, 0.5, 1.5)), THRESHOLDS):
        assert faults(target, share, p=p, **case) == 0, (case, share)


@pytest.mark.parametrize("delta", [0.05, 0.5, 2.0])
@pytest.mark.parametrize("kind", KINDS)
def test_the_root_holds_every_pair_up_to_the_swap(kind, delta):
    tokens, dim = 3, 2
    problem = problem_of(None, kind=kind, tokens=tokens, dim=dim, p=2.0, delta=delta)
    rng = np.random.default_rng(0)
    x, y = (e.reshape(500, -1) for e in random_pairs(rng, 500, delta, kind=kind, tokens=3, dim=2))
    c, diff = (x + y) / 2, (x - y)[:, problem.movable]
    diff *= np.where(diff[:, :1] < 0, -1.0, 1.0)
    root = problem.root()
    assert ((c >= root.c_low) & (c <= root.c_high)).all()
    assert ((diff >= root.d_low) & (diff <= root.d_high)).all()
    assert (diff < 0).any()


def test_halves_cover_their_cell_and_contraction_keeps_every_pair():
    for kind, delta in product(KINDS, (0.05, 0.6, 1.7)):
        target = parse_target("mean-field")
        problem, cells, _, (cs, ds), _ = sampled(
            target, kind=kind, tokens=3, dim=2, p=2.0, delta=delta
        )
        inner, some = problem.contracted(cells)
        first = problem.sorted_tokens[0] * 2, problem.sorted_tokens[-1] * 2
        tidy = np.diff(cs[:, :, [n * 2 for n in problem.sorted_tokens]], axis=2).min(2) >= 0
        assert first[0] < first[1]
        assert some[tidy.any(0)].all()
        assert holds(inner, cs, ds)[:, some].all()
        sides = np.random.default_rng(1).integers(0, cs.shape[2] + ds.shape[2], len(cells))
        halves = cells.halved(sides)
        lower, upper = halves.picked(np.arange(CELLS)), halves.picked(np.arange(CELLS, 2 * CELLS))
        for half in (lower, upper):
            assert (half.c_low >= cells.c_low).all()
            assert (half.d_high <= cells.d_high).all()
        inside = [holds(half, cs, ds) for half in (lower, upper)]
        assert (inside[0] | inside[1]).all()
        assert inside[0].mean() < 0.9


def test_cells_without_any_pair_are_left_out():
    problem = problem_of(None, kind="sequence", tokens=2, dim=1, p=2.0, delta=0.1)
    far = Cells(*(np.array([row]) for row in ([0.4, 0.4], [0.6, 0.6], [0.09, 0.09], [0.1, 0.1])))
    unsorted = Cells(*(np.array([row]) for row in ([0.6, 0.1], [0.7, 0.2], [0, 0], [0.01, 0.01])))
    corner = Cells(*(np.array([row]) for row in ([0, 0], [0.01, 1], [0.05, 0], [0.06, 0.01])))
    for cells in (far, unsorted, corner):
        assert problem.contracted(cells)[1].tolist() == [False]


# -- one ingredient wrong at a time --------------------------------------------------------------


def bent_square(x):
    """u |u| about 1/2, whose second derivative jumps: the centre form is exact for it."""
    u = x - 0.5
    if not hasattr(u, "chain"):
        return u * abs(u)
    lo, hi = u.value.lo, u.value.hi
    value = Interval(lo * abs(lo) - 1e-15, hi * abs(hi) + 1e-15)
    bend = Interval(2 * np.where(lo > 0, 1.0, -1.0), 2 * np.where(hi < 0, -1.0, 1.0))
    return u.chain(value, abs(u.value) * 2.0, lambda: bend)


def tight_faults():
    """Faults of the one cell where the centre form is exact: c = 1/2, all D of one sign."""
    problem = CellProblem(bent_square, 1, 1, np.array([True]), None, 2.0, 0.4)
    cells = Cells(*(np.array([[v]]) for v in (0.5, 0.5, 0.0, 0.4)))
    bound = cell_bounds(problem, cells, 0.0)[0][0]
    return int(bound < 0.2**2 * 2 * (1 - ROUNDING))


def stretched(x):
    """Ten times as steep along one axis as along the other."""
    return x * np.array([1.0, 0.1])


def any_fault():
    """Tell whether a bound is denied: of the tight cell, of a linear function, of targets."""
    one = {"kind": "token", "tokens": 1, "dim": 2, "delta": 0.5}
    two = {"kind": "sequence", "tokens": 2, "dim": 2, "delta": 0.5}
    tries = [(stretched, 0.9, one | {"p": 2.0, "seed": seed}) for seed in range(3)]
    for name, p in product(("softmax-attention", "token-sine:periods=3"), P_VALUES):
        for share, case in ((math.inf, one), (0.5, two), (math.inf, two)):
            tries.append((parse_target(name), share, case | {"p": p, "seed": 5}))
    return tight_faults() > 0 or any(faults(f, share, **case) for f, share, case in tries)


def times(function, factor):
    """A function whose result is multiplied."""
    return lambda *inputs: function(*inputs) * factor


AFFINE = centre_form.affine_norm
ABOVE, LINEAR = ends_form._above, ends_form._best_linear
CAP, HALF = centre_form.cap_box, ends_form.EndsForm.half_space
WRONG = {  # what is broken -> (file, name, replacement)
    "no bent term": (centre_form, "_bent", times(centre_form._bent, 0.0)),
    "an eighth for a quarter": (centre_form, "_bent", times(centre_form._bent, 0.5)),
    "nothing missing": (
        ends_form,
        "_above",
        lambda w, v0, loose, *rest: ABOVE(w, v0, 0 * loose, *rest),
    ),
    "nothing loose": (ends_form, "_best_linear", lambda *a: (LINEAR(*a)[0], 0 * LINEAR(*a)[1])),
    "a ball too small": (ends_form, "_ball", times(ends_form._ball, 0.9)),
    "a steepness too small": (
        centre_form,
        "affine_norm",
        lambda *family: AffineNorm(*(0.9 * part for part in vars(AFFINE(*family)).values())),
    ),
    "slopes too small": (
        cell_bounds_file,
        "operator_norm_upper_bound",
        times(cell_bounds_file.operator_norm_upper_bound, 0.9),
    ),
    "rows too small": (
        cell_bounds_file,
        "entries_norm_upper_bound",
        times(cell_bounds_file.entries_norm_upper_bound, 0.9),
    ),
    "a cap too small": (
        centre_form,
        "cap_box",
        lambda axis, height, reach: CAP(axis, height * 1.2, reach),
    ),
    "a half-space too small": (
        ends_form.EndsForm,
        "half_space",
        lambda form, p, threshold, *rest: HALF(form, p, 1.1 * threshold, *rest),
    ),
    "wrong weights of entries": (ends_form, "_dual_weight", lambda v, p, scale: -np.sign(v)),
}


def test_the_checks_report_nothing_unbroken():
    assert not any_fault()


@pytest.mark.parametrize("what", WRONG)
def test_one_wrong_ingredient_is_caught(monkeypatch, what):
    file, name, wrong = WRONG[what]
    monkeypatch.setattr(file, name, wrong)
    assert any_fault()
