"""Additive functions: found exactly, and bounded without a search over pairs."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from cases.pairs import pair_values, random_pairs, row_of
from cases.slack import above
from cases.targets import EXAMPLES, KINDS
from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.continuity.upper import additive
from looprate.theory.continuity.upper.additive import _bounded, additive_upper_bound
from looprate.theory.continuity.upper.operator_norm import SLACK
from looprate.theory.enclosure.additive import AdditiveForm, Atom, additive_form
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.targets import parse_target

ROUNDING = 1e-9  # relative
NOISE = 1e-12  # absolute
TOLERANCE = 0.02  # what is asked for, and within which closed forms must be met
NOT_ADDITIVE = (
    "context-max",
    "token-times-mean",
    "smooth-field",
    "softmax-attention",
    "0.5*mean-field",
)
ADDITIVE = tuple(
    name for name in EXAMPLES if not name.startswith(NOT_ADDITIVE) and name != "softmax-attention"
)
COARSE = 0.1  # the same in everyday tests: the finer, the slower
P_VALUES = (1.0, 1.5, 2.0, 3.0, math.inf)


def wave_and_bend(x):
    """Several functions of every entry, and the first token's in every output."""
    return np.sin(5 * x) - 0.4 * x**2 + 0.5 * abs(x - 0.3)[:, :1] - x.mean(1, keepdims=True)


def crossed(x):
    """A maximum of two functions of one entry, with an entry of the other coordinate."""
    return np.maximum(x, 1 - x) + 0.25 * x[:, :, ::-1]


OWN = {"wave_and_bend": wave_and_bend, "crossed": crossed}


def function_of(name):
    return OWN.get(name) or parse_target(name)


def bound_of(f, delta, *, kind, tokens, dim, p, tolerance=TOLERANCE):
    form = additive_form(f, tokens=tokens, dim=dim)
    moving = moving_tokens(kind, tokens, 0)
    row = row_of(kind)
    return additive_upper_bound(form, delta, moving=moving, row=row, p=p, tolerance=tolerance)


def evaluated_form(form, x):
    """The form at points (B, N, d), up to its constants."""
    flat = x.reshape(len(x), -1)
    total = np.zeros(x.shape)
    for k, atom in enumerate(form.atoms):
        column = flat[:, atom.variable]
        found = atom.function(Interval(column))
        total += form.coefficients[k].middle() * found.middle()[:, None, None]
    return total


@pytest.mark.parametrize("name", [*EXAMPLES, *OWN])
def test_only_additive_functions_have_a_form(name):
    form = additive_form(function_of(name), tokens=3, dim=2)
    assert (form is not None) == (name in ADDITIVE or name in OWN)


def test_what_is_no_sum_of_functions_of_one_entry_has_none():
    for f in (
        lambda x: x * x[:, ::-1],
        lambda x: np.sin(x + x[:, :, ::-1]),
        lambda x: x.max(1, keepdims=True) + 0 * x,
        lambda x: x.sum(1),
        lambda x: np.where(x > 0.5, x, 0.0),
    ):
        assert additive_form(f, tokens=2, dim=2) is None


@pytest.mark.parametrize("name", [*ADDITIVE, *OWN])
def test_a_form_is_the_function_up_to_a_constant(name):
    f, rng = function_of(name), np.random.default_rng(1)
    form = additive_form(f, tokens=3, dim=2)
    x = rng.random((60, 3, 2))
    rest = f(x) - evaluated_form(form, x)
    assert np.ptp(rest, axis=0).max() < 1e-11
    assert form.coefficients.width.max() < 1e-14


def test_coefficients_and_variables_of_a_mean_are_known():
    form = additive_form(parse_target("mean-field:a=2,b=-1"), tokens=2, dim=1)
    assert [atom.variable for atom in form.atoms] == [0, 1]
    found = form.coefficients.middle()[:, :, 0]
    x = np.eye(2)[:, :, None]
    effect = parse_target("mean-field:a=2,b=-1")(x) - parse_target("mean-field:a=2,b=-1")(0 * x)
    assert found == pytest.approx(effect[:, :, 0], abs=1e-15)


def test_a_constant_has_no_atoms_and_the_bound_0():
    for f in (lambda x: 0 * x + 0.5, lambda x: x - x):
        assert additive_form(f, tokens=2, dim=1).atoms == ()
        assert bound_of(f, 0.1, kind="sequence", tokens=2, dim=1, p=2.0) == 0


def misses(name, shapes, deltas=(0.02, 0.5), p_values=P_VALUES, tolerance=TOLERANCE):
    """Bounds below closed forms or random pairs, and those above by more than the tolerance."""
    f, below, wide = function_of(name), [], []
    rng = np.random.default_rng(2)
    for kind, (tokens, dim), delta, p in product(KINDS, shapes, deltas, p_values):
        case = {"kind": kind, "tokens": tokens, "dim": dim}
        bound = bound_of(f, delta, p=p, tolerance=tolerance, **case)
        x, y = random_pairs(rng, 500, delta, **case)
        least = pair_values(f, x, y, row=row_of(kind), p=p).max()
        if name not in OWN:
            form = f.closed_form(delta, p=p, **case)
            least = max(least, form.value) if form.side == "exact" else least
            if form.side == "exact" and bound > form.value * (1 + tolerance) + NOISE:
                wide.append((case, delta, p, bound / form.value - 1))
        if bound < least * (1 - ROUNDING) - NOISE:
            below.append((case, delta, p))
    return below, wide


@pytest.mark.parametrize("name", ADDITIVE)
def test_bounds_are_never_below_what_is_attained_nor_far_above(name):
    """Two norms each, in turn; the slow twin tries all at every shape."""
    at = [*ADDITIVE, *OWN].index(name)
    p_values = [P_VALUES[at % 5], P_VALUES[(at + 2) % 5]]
    below, wide = misses(name, ((2, 1),), (0.1,), p_values, COARSE)
    assert below == []
    assert [miss for miss in wide if miss[2] in (1.0, 2.0, math.inf)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ADDITIVE, *OWN])
def test_bounds_hold_and_are_close_at_every_shape_and_norm(name):
    shapes = ((1, 1), (2, 1), (3, 1), (2, 2), (4, 2))
    below, wide = misses(name, shapes, (0.02, 0.1, 0.5, 2.0))
    assert below == []
    assert [miss for miss in wide if miss[2] in (1.0, 2.0, math.inf)] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["token-power", "mean-field", "others-mean"])
def test_sixty_four_entries_are_bounded_closely(name):
    below, wide = misses(name, ((8, 8),), (0.1,), (2.0, math.inf))
    assert below == []
    assert [miss for miss in wide if miss[3] > 2 * TOLERANCE] == []


def test_atoms_of_one_variable_are_bounded_together():
    """sin² + cos² is constant: its parts move by 1, their sum does not."""
    f = lambda x: np.sin(3 * x) ** 2 + np.cos(3 * x) ** 2  # noqa: E731
    form = additive_form(f, tokens=1, dim=1)
    assert len(form.atoms) == 2
    case = {"kind": "sequence", "tokens": 1, "dim": 1}
    assert bound_of(f, 0.5, p=math.inf, **case) < 0.05
    assert bound_of(lambda x: np.sin(3 * x) ** 2, 0.5, p=math.inf, **case) > 0.9


def test_a_finer_tolerance_is_never_worse_and_a_radius_beyond_the_cube_is_the_range():
    case = {"kind": "sequence", "tokens": 2, "dim": 1, "p": 2.0}
    f = parse_target("token-sine")
    bounds = [bound_of(f, 0.1, tolerance=t, **case) for t in (0.5, 0.05)]
    assert bounds[0] >= bounds[1]
    assert bound_of(f, 9.0, tolerance=0.05, **case) == pytest.approx(math.sqrt(2) * 2, rel=0.02)


# -- one ingredient wrong at a time --------------------------------------------------------------


def cells_as_points(edges, ranges, radii):
    """The modulus of a partition whose cells have neither width nor height."""
    widest = float(np.diff(edges).max())
    return MODULUS(edges, Interval(ranges.middle()), np.maximum(radii - 2 * widest, 0.0))


MODULUS = additive._modulus_on
DUAL = additive._dual
WRONG = {
    "no widths of cells": ("_modulus_on", cells_as_points),
    "radii shared out too small": ("_dual", lambda c, n, u, delta: DUAL(c, n, u, 0.9 * delta)),
    "a spectral norm too small": (
        "operator_norm_upper_bound",
        lambda some, p: 0.5 * additive.SLACK + 0.9 * np.linalg.norm(some, 2),
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_one_wrong_ingredient_is_caught(monkeypatch, what):
    name, wrong = WRONG[what]
    monkeypatch.setattr(additive, name, wrong)
    caught = [misses(f, ((2, 1),), (0.1,), (2.0,), 0.05)[0] for f in ("mean-field", "token-power")]
    assert any(caught)


# -- coefficients known as intervals, norms known exactly ------------------------------------------


def linear_form(middle, radius):
    """Sums of the inputs themselves with coefficients middle ± radius, (E, K) of one row each."""
    outputs, inputs = middle.shape
    columns = np.stack([middle - radius, middle + radius]).swapaxes(1, 2)  # (2, K, E)
    columns = columns.reshape(2, inputs, 1, outputs)
    return AdditiveForm(
        Interval(columns[0], columns[1]), tuple(Atom(k, lambda x: x) for k in range(inputs))
    )


def linear_bound(middle, radius, p, delta=0.05, **more):
    """The bound for inputs of one token, all coordinates moving."""
    form = linear_form(np.asarray(middle, dtype=float), np.asarray(radius, dtype=float))
    given = {"moving": np.array([True]), "row": 0, "tolerance": COARSE} | more
    return additive_upper_bound(form, delta, p=p, **given) / delta


TALL = np.array([[1.0, 2.0, -1.0], [0.5, -1.0, 3.0], [2.0, 0.0, 1.0]])


def test_linear_functions_have_their_operator_norms():
    two, most = np.linalg.norm(TALL, 2), np.sqrt((TALL**2).sum(1)).max()
    signs = np.array(list(product((1.0, -1.0), repeat=3)))
    one = np.sqrt(((signs @ TALL) ** 2).sum(1)).max()
    for p, exact in ((1.0, one), (2.0, two), (math.inf, most)):
        assert exact <= linear_bound(TALL, 0 * TALL, p) <= exact * 1.1


@pytest.mark.parametrize("radius", [0.01, 0.3])
def test_what_is_unknown_of_coefficients_comes_on_top(radius):
    rng = np.random.default_rng(3)
    unknown = radius * (1 + rng.random(TALL.shape))
    some = TALL + unknown * np.concatenate([rng.uniform(-1, 1, (200, 3, 3)), np.sign([TALL])])
    worst = np.linalg.norm(some, 2, axis=(1, 2)).max()
    most = np.linalg.norm(TALL, 2) + np.linalg.norm(unknown)
    assert worst <= linear_bound(TALL, unknown, 2.0) <= most * 1.1


def test_orthogonal_and_parallel_columns_take_the_better_weights():
    """Rows of |A^T A| for columns that share nothing, the spectral norm for those that do."""
    apart = np.diag([1.0, 2.0, 3.0])
    assert 3 <= linear_bound(apart, 0 * apart, 2.0) <= 3.3
    same = np.ones((3, 3))
    assert 3 <= linear_bound(same, 0 * same, 2.0) <= 3.3
    for unknown in (apart * 0.1, same * 0.1):
        worst = np.linalg.norm(apart + unknown, 2)
        assert worst <= linear_bound(apart, unknown, 2.0) <= (3 + np.linalg.norm(unknown)) * 1.1


class Known:
    """Parts of which all is known."""

    def __init__(self, two=4.0, most=3.0, one=5.0):
        self.two, self.most, self.one, self.asked = two, most, one, []

    def euclidean(self):
        return self.two

    def largest(self, functionals):
        self.asked.append(functionals)
        rows = functionals.tolist()
        return self.most if rows == np.eye(functionals.shape[1]).tolist() else self.one


def test_norms_are_those_of_entries_signs_and_what_lies_between():
    for p in (1.0, 1.5, 2.0, 3.0, math.inf):
        assert _bounded(Known(), 1, p, 0.0) == 3.0  # one entry: all norms agree
    assert _bounded(Known(), 3, math.inf, 0.0) == 3.0
    assert _bounded(Known(), 3, 2.0, 0.0) == 4.0
    assert above(_bounded(Known(), 3, 3.0, 0.0), 4 ** (2 / 3) * 3 ** (1 / 3))
    assert above(_bounded(Known(), 3, 8.0, 0.0), 4**0.25 * 3**0.75)
    assert above(_bounded(Known(), 3, 1.5, 0.0), 5 ** (1 / 3) * 4 ** (2 / 3))
    assert above(_bounded(Known(one=99.0), 3, 1.5, 0.0), 3 ** (1 / 6) * 4)
    assert _bounded(Known(), 3, 1.0, 0.0) == 5.0
    quick = math.sqrt(3) * 4
    assert above(_bounded(Known(one=99.0), 3, 1.0, 0.0), quick)
    for threshold, value in ((quick * 1.001, quick), (quick * 0.999, 5.0)):
        assert _bounded(Known(), 3, 1.0, threshold) == pytest.approx(value)
    exactly = math.sqrt(3) * 4 * (1 + SLACK)
    assert _bounded(Known(), 3, 1.0, exactly) == exactly


def test_all_signs_but_the_first_are_tried_up_to_ten_entries():
    parts = Known()
    assert additive._by_signs(parts, 3) == 5.0
    rows = [[1.0, a, b] for a in (1.0, -1.0) for b in (1.0, -1.0)]
    assert sorted(parts.asked[0].tolist()) == sorted(rows)
    assert additive._by_signs(parts, 10) == 5.0
    assert parts.asked[1].shape == (512, 10)
    assert additive._by_signs(parts, 11) == math.inf
    assert len(parts.asked) == 2
