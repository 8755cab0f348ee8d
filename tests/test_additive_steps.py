"""Steps of the bounds of additive functions, each beside a slow twin or an answer known by hand."""

from __future__ import annotations

import math
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from cases.slack import above
from looprate.theory.continuity.upper import additive
from looprate.theory.continuity.upper.additive import _dual, _modulus_on, _Parts, _Scalar
from looprate.theory.continuity.upper.operator_norm import SLACK
from looprate.theory.enclosure.additive import AdditiveForm, Atom
from looprate.theory.enclosure.intervals import Interval

NEVER = math.inf  # a time that does not come


def same(x):
    return x


# -- what is bounded -------------------------------------------------------------------------------


def form_of(coefficients, variables):
    """Sums of inputs with coefficients (A, N, d)."""
    return AdditiveForm(
        Interval(np.asarray(coefficients, dtype=float)), tuple(Atom(k, same) for k in variables)
    )


def watched(monkeypatch, form, moving, row, delta=0.5):
    """Variables, coefficients and the rest of what is bounded."""
    seen = []

    class Parts:
        """Keeps what it is made of."""

        def __init__(self, atoms, columns, *given):
            seen.extend([[atom.variable for atom in atoms], columns, given])

    monkeypatch.setattr(additive, "_Parts", Parts)
    monkeypatch.setattr(additive, "time", SimpleNamespace(monotonic=lambda: 100.0))
    monkeypatch.setattr(additive, "_bounded", lambda _, *more: seen.append(more) or 0.25)
    value = additive.additive_upper_bound(
        form,
        delta,
        moving=np.array(moving),
        row=row,
        p=3.0,
        tolerance=0.1,
        threshold=0.125,
        seconds=7.0,
    )
    return value, seen


def test_atoms_that_move_and_are_used_in_the_watched_rows_are_bounded(monkeypatch):
    """Two tokens of two coordinates; variable k belongs to token k // 2."""
    table = np.zeros((4, 2, 2))
    table[[0, 1, 2, 3], [0, 1, 0, 1], [0, 1, 1, 0]] = [1.0, 1.0, -1.0, 1.0]
    form = form_of(table, range(4))
    for moving, row, used in (
        ([True, True], None, [0, 1, 2, 3]),
        ([True, False], None, [0, 1]),
        ([False, True], None, [2, 3]),
        ([True, True], 0, [0, 2]),
        ([True, True], 1, [1, 3]),
        ([False, True], 1, [3]),
    ):
        value, (variables, columns, given, asked) = watched(monkeypatch, form, moving, row)
        assert value == 0.25
        assert variables == used
        rows = table if row is None else table[:, row : row + 1]
        assert columns.middle() == pytest.approx(rows.reshape(4, -1)[used] / 2)
        assert given == (0.5, 0.1, 107.0)
        assert asked == (columns.shape[1], 3.0, 0.125)
    for moving, row in (([False, False], None), ([True, False], None)):
        some = form_of(table[2:], (2, 3))
        value, seen = watched(monkeypatch, some, moving, row)
        assert (value, seen) == (0.0, [])
    half = AdditiveForm(Interval(-table[:1], 0 * table[:1]), form.atoms[:1])
    assert watched(monkeypatch, half, [True, True], None)[0] == 0.25
    half = AdditiveForm(Interval(0 * table[:1], table[:1]), form.atoms[:1])
    assert watched(monkeypatch, half, [True, True], None)[0] == 0.25


def test_no_number_is_no_bound(monkeypatch):
    monkeypatch.setattr(additive, "_bounded", lambda *_: math.nan)
    form = form_of(np.ones((1, 1, 1)), [0])
    given = {"moving": np.array([True]), "row": None, "p": 2.0, "tolerance": 0.1}
    assert additive.additive_upper_bound(form, 0.5, **given) == math.inf


@pytest.mark.parametrize("size", [1.0, 0.75, 3.0, 1e-200, 1e200, 5e-324])
def test_coefficients_are_levelled_and_atoms_take_the_power(size):
    columns = Interval(np.array([[size, -size / 2], [0.5, 0.25]]))
    levelled, atoms = additive._levelled(columns, [Atom(3, same), Atom(4, same)])
    most = levelled.magnitude.max(1)
    assert 0.5 <= most[0] < 1 or size < 1e-300
    assert most[1] == pytest.approx(0.5)
    assert atoms[1].function is same
    assert [atom.variable for atom in atoms] == [3, 4]
    power = atoms[0].function(1.0)
    assert math.frexp(power)[0] == 0.5
    assert levelled.middle()[0] * power == pytest.approx([size, -size / 2], rel=1e-12)
    assert (atoms[0].function is same) == (size == 0.75)


# -- functions of one variable ---------------------------------------------------------------------


def partition(seed, count):
    """Cells of all widths with ranges of all heights."""
    rng = np.random.default_rng(seed)
    edges = np.concatenate([[0.0], np.sort(rng.random(count - 1)), [1.0]])
    low = rng.standard_normal(count)
    return edges, Interval(low, low + rng.random(count))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 16, 17, 40])
def test_moduli_are_the_largest_difference_of_cells_that_are_near(count):
    radii = np.array([1e-6, 0.05, 0.2, 0.21, 0.5, 1.0, 2.0])
    for seed in range(8):
        edges, ranges = partition(seed, count)
        exact = []
        for radius in radii:
            near = [
                (i, j)
                for i, j in product(range(count), repeat=2)
                if i <= j and edges[j] <= edges[i + 1] + radius
            ]
            up = max(ranges.hi[j] - ranges.lo[i] for i, j in near)
            down = max(ranges.hi[i] - ranges.lo[j] for i, j in near)
            exact.append(max(up, down))
        assert above(_modulus_on(edges, ranges, radii), exact, most=2.0)


def test_cells_exactly_at_the_radius_are_near():
    edges, low = np.linspace(0.0, 1.0, 5), np.array([0.0, 0.0, 1.0, 5.0])
    ranges = Interval(low, low)
    radii = np.array([0.25 * (1 - 1e-9), 0.25, 0.25 * (1 + 1e-9), 0.5])
    assert above(_modulus_on(edges, ranges, radii), [4.0, 5.0, 5.0, 5.0])
    assert above(_modulus_on(edges, ranges, np.array([1e-9])), [4.0])
    falling = Interval(-low, -low)
    assert above(_modulus_on(edges, falling, np.array([1e-9, 0.25])), [4.0, 5.0])
    assert _modulus_on(edges, Interval(0 * low, 0 * low), np.array([0.5])) == 0


def test_moduli_are_computed_once_a_radius(monkeypatch):
    asked = []
    monkeypatch.setattr(
        additive, "_modulus_on", lambda _, __, radii: asked.append(radii.tolist()) or 2 * radii
    )
    scalar = _Scalar(*partition(0, 3))
    assert scalar.modulus(np.array([0.1, 0.2])).tolist() == [0.2, 0.4]
    assert scalar.modulus(np.array([0.2, 0.1])).tolist() == [0.4, 0.2]
    assert scalar.modulus(np.array([0.3, 0.1, 0.2])).tolist() == [0.6, 0.2, 0.4]
    assert asked == [[0.1, 0.2], [0.3]]


def test_functions_are_one_where_partitions_and_ranges_agree():
    edges, ranges = partition(0, 3)
    keys = {
        _Scalar(edges, ranges).key,
        _Scalar(edges.copy(), Interval(ranges.lo.copy(), ranges.hi.copy())).key,
    }
    assert len(keys) == 1
    others = [(edges**2, ranges), (edges, Interval(ranges.lo - 1, ranges.hi))]
    others += [(edges, Interval(ranges.lo, ranges.hi + 1))]
    assert len(keys | {_Scalar(*other).key for other in others}) == 4


def test_partitions_are_fine_where_functions_are_steep_and_not_elsewhere():
    tolerance = 0.1
    atom = Atom(0, lambda x: abs(x - 0.3) ** 0.5)
    flat = Atom(0, lambda x: 0 * x)
    edges, (ranges, none) = additive._partition([atom, flat], 0.1, tolerance)
    assert (edges[0], edges[-1]) == (0.0, 1.0)
    near = _modulus_on(edges, ranges, np.array([0.1]))[0]
    assert near == pytest.approx(math.sqrt(0.1), rel=0.05)
    long = near * tolerance * additive.FINE
    assert (ranges.hi - ranges.lo).max() <= long
    assert (none.hi == none.lo).all()
    middle = (edges[:-1] + edges[1:]) / 2
    coarse = np.diff(edges) == 1 / 256
    assert coarse.any()
    assert not coarse.all()
    away = np.abs(middle - 0.3)
    assert away[~coarse].max() < away[coarse].max()
    side = np.diff(edges)[~coarse]  # each was half of a cell that was too long
    start = np.floor(edges[:-1][~coarse] / (2 * side)) * 2 * side
    assert (atom.function(Interval(start, start + 2 * side)).width > long * 0.99).all()


def test_ranges_are_intervals_whatever_an_atom_returns():
    edges = np.linspace(0.0, 1.0, 5)
    found = additive._ranges(Atom(0, same), edges)
    assert (found.lo.tolist(), found.hi.tolist()) == (edges[:-1].tolist(), edges[1:].tolist())
    found = additive._ranges(Atom(0, lambda x: np.ones(x.shape)), edges)
    assert isinstance(found, Interval)
    assert found.hi.tolist() == [1.0] * 4


def test_no_cell_is_cut_below_two_to_the_minus_40_and_there_are_not_too_many(monkeypatch):
    """A jump is never short: cells are halved down to the last power."""
    jump = Atom(0, lambda x: Interval((x.lo > 0.3) * 1.0, (x.hi > 0.3) * 1.0))
    edges, _ = additive._partition([jump], 0.1, 0.1)
    assert np.diff(edges).min() == 2.0**-40
    assert edges.size == 257 + 32
    nowhere_short = Atom(0, lambda x: Interval(np.zeros(x.shape), np.ones(x.shape)))
    wild, _ = additive._partition([nowhere_short], 0.1, 0.1)
    assert additive.MOST_CELLS < wild.size <= 2 * additive.MOST_CELLS


# -- radii shared out ------------------------------------------------------------------------------


def test_duals_are_above_every_choice_and_close_for_concave_curves():
    rng = np.random.default_rng(0)
    for k in range(40):
        inner = np.concatenate([[0.0], np.sort(rng.random(4))])
        curves = np.sort(rng.random((2, 5)), axis=1) * 10.0 ** rng.integers(-3, 4)
        counts, delta = np.array([1, 2]), [0.3, 0.7, 3.0][k % 3]
        bound, factor = _dual(curves, counts, inner, delta)
        three = curves[[0, 1, 1]]
        best = max(
            sum(c[s] for c, s in zip(three, steps, strict=True))
            for steps in product(range(5), repeat=3)
            if sum(inner[s] ** 2 for s in steps) <= delta**2
        )
        assert bound >= best * (1 + SLACK / 2)
        at = counts @ (curves - factor * inner**2).max(1).clip(0) + factor * delta**2
        assert above(bound, at)
        finer = np.concatenate([[0.0], np.geomspace(1e-8, 1e4, 20_001) * curves.max()])
        gains = (curves[:, None] - finer[:, None] * inner**2).max(2).clip(0)
        least = (counts @ gains + finer * delta**2).min()
        assert bound <= least * 1.001


def test_duals_are_as_good_for_curves_of_every_size():
    curves, inner = np.array([[0.5, 0.75, 1.0], [0.1, 0.5, 2.0]]), np.array([0.0, 0.25, 0.5])
    counts = np.array([1, 2])
    bound, factor = _dual(curves, counts, inner, 0.5)
    assert factor > 0
    for power in (2.0**-60, 2.0**60):
        scaled, multiplier = _dual(power * curves, counts, inner, 0.5)
        assert scaled == pytest.approx(power * bound, rel=1e-6)
        assert multiplier == pytest.approx(power * factor, rel=1e-3)


def test_a_dual_of_what_one_may_take_wholly_has_no_multiplier():
    bound, factor = _dual(np.array([[1.0, 3.0]]), np.array([4]), np.array([0.0, 0.1]), 2.0)
    assert above(bound, 12.0)
    assert factor == 0
    bound, factor = _dual(np.zeros((1, 2)), np.array([1]), np.array([0.0, 0.1]), 0.5)
    assert bound == 0


def parts_of(delta=0.5, tolerance=0.01, end=NEVER, columns=((1.0,),), variables=(0,)):
    atoms = [Atom(variable, same) for variable in variables]
    return _Parts(atoms, Interval(np.array(columns)), delta, tolerance, end)


class Exact:
    """A function whose modulus is a power of the radius."""

    def __init__(self, power=1.0):
        self.power = power

    def modulus(self, radii):
        return np.asarray(radii) ** self.power


@pytest.mark.parametrize("delta", [0.02, 0.5, 3.0])
@pytest.mark.parametrize("tolerance", [0.05, 0.002])
def test_radii_are_shared_out_within_the_tolerance(delta, tolerance):
    parts = parts_of(delta=delta, tolerance=tolerance)
    cap = min(delta, 1.0)
    most = min(delta, math.sqrt(3))
    for terms, power, exact in (
        ([[(1.0, Exact())]], 1, cap),
        ([[(4.0, Exact())]], 2, 4 * cap**2),
        ([[(1.0, Exact()), (2.0, Exact())]], 1, 3 * cap),
        ([[(1.0, Exact())]] * 3, 1, most * math.sqrt(3)),
        ([[(1.0, Exact())]] * 3, 2, most**2),
        ([[(1.0, Exact())], [(3.0, Exact())]], 2, 3 * cap**2 + max(0, min(delta**2 - 1, 1))),
        ([[(2.0, Exact(0.5))]], 1, 2 * cap**0.5),
        ([[(1.0, Exact())], [(2.0, Exact())]], 1, min(math.sqrt(5) * delta, 3)),
    ):
        found = parts._shared(terms, power)
        assert exact <= found <= exact * (1 + max(tolerance, 0.01)), (terms, power)


def test_time_that_is_over_leaves_the_first_steps():
    exact = 0.5
    late = parts_of(end=0.0)._shared([[(1.0, Exact())]] * 3, 1)
    fine = parts_of()._shared([[(1.0, Exact())]] * 3, 1)
    root = exact * math.sqrt(3)
    assert root < fine < root * 1.01 < late < root * 1.2


def test_variables_have_their_atoms_and_a_radius_each(monkeypatch):
    asked = []
    monkeypatch.setattr(additive, "_partition", lambda *given: asked.append(given) or ("e", "r"))
    atoms = [Atom(k, same) for k in (2, 0, 2, 5)]
    for delta, typical in ((0.5, 0.5 / math.sqrt(3)), (2.0, 1 / math.sqrt(3))):
        parts = _Parts(atoms, Interval(np.ones((4, 1))), delta, 0.1, 9.0)
        assert [members.tolist() for members in parts.members] == [[1], [0, 2], [3]]
        assert [[atom.variable for atom in given[0]] for given in asked] == [[0], [2, 2], [5]]
        assert {given[1:] for given in asked} == {(typical, 0.1)}
        asked.clear()


def test_functionals_weigh_atoms_and_equal_ones_are_bounded_once(monkeypatch):
    columns = [[1.0, 0.0], [0.5, 1.0], [0.0, -2.0]]
    parts = parts_of(columns=columns, variables=(0, 0, 1))
    calls = []

    def shared(terms, power):
        heights = [term[0][1].ranges.hi.max() for term in terms]
        calls.append((heights, [term[0][0] for term in terms], power))
        return sum(heights)

    monkeypatch.setattr(parts, "_shared", shared)
    assert parts.largest(np.array([[1.0, 0.0]])) == pytest.approx(1.5)
    assert calls[0][1:] == ([1.0, 1.0], 1)
    assert parts.largest(np.array([[1.0, 0.0], [1.0, -1.0], [0.0, 0.5]])) == pytest.approx(
        2.5, rel=1e-3
    )
    assert len(calls) == 4
    parts.largest(np.array([[1.0, 0.0]] * 5))
    assert len(calls) == 5


@pytest.mark.parametrize("radius", [0.0, 0.25])
def test_squares_are_weighted_by_the_spectral_norm_or_by_sums_of_rows(monkeypatch, radius):
    middle = np.array([[1.0, 0.5], [-2.0, 1.0], [0.0, 3.0]])
    rest = radius * np.array([[1.0, 2.0], [0.0, 1.0], [1.0, 0.0]])
    parts = parts_of(variables=(0, 0, 1), columns=middle)
    parts.columns = Interval(middle - rest, middle + rest)
    calls, answers = [], iter((9.0, 4.0, 4.0, 9.0))

    def shared(terms, power):
        calls.append(([weight for term in terms for weight, _ in term], power))
        assert [len(term) for term in terms] == [2, 1]
        return next(answers)

    monkeypatch.setattr(parts, "_shared", shared)
    assert above(parts.euclidean(), 2.0)
    assert above(parts.euclidean(), 2.0)
    (spectral, two), (gram, power) = calls[:2]
    assert two == power == 2
    exact = np.linalg.norm(middle, 2) + np.linalg.norm(rest)
    assert above(spectral, [exact**2] * 3, most=50.0)
    most = np.abs(middle) + rest
    exact = (np.abs(middle @ middle.T) + rest @ most.T + most @ rest.T).sum(1)
    assert (gram >= exact * (1 + SLACK / 2)).all()
    assert (gram <= exact + 1.1 * SLACK * (most @ most.T).sum(1)).all()
