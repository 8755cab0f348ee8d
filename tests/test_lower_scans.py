"""Scans of the search for lower bounds: of one entry at a time and along lines."""

import itertools
import math

import numpy as np
import pytest

from cases.searches import asked, column, cusps, valued
from looprate.theory.continuity.lower import lines, scan
from looprate.theory.continuity.lower.problem import ends, score

EPS = float(np.finfo(float).eps)


# -- scan ------------------------------------------------------------------------------------------


def test_the_best_candidate_and_the_best_that_moves_all_it_may_are_scanned():
    diff = column([0.5, 0, 0], [0.2, 0.1, 0], [0.1, 0.1, 0])[None]
    c = np.full_like(diff, 0.5)
    problem = valued(lambda x, y: (x - y).max((1, 2)), tokens=3, moving=[1, 1, 0])
    found = scan._chosen(problem, c, diff)
    assert found[1][0, :, :, 0].tolist() == [[0.5, 0, 0], [0.2, 0.1, 0]]
    assert found[2].tolist() == [pytest.approx([0.5, 0.2])]
    nothing = valued(lambda x, y: np.zeros(len(x)), tokens=3, moving=[1, 1, 0])
    assert scan._chosen(nothing, c, diff)[1][0, :, :, 0].tolist() == [[0.5, 0, 0], [0.2, 0.1, 0]]


def test_a_scan_finds_the_cusp_of_every_entry():
    kinks = np.array([0.21, 0.7315, 0.4])
    problem = asked(cusps(*kinks), [0.03, 0.3], tokens=3)
    diff = np.full((2, 1, 3, 1), 1 / 3**0.5) * problem.reach[:, None, None, None]
    c, new = scan.scanned(problem, np.full_like(diff, 0.5), diff)
    assert c.shape == new.shape == (2, 2, 3, 1)
    assert np.array_equal(np.abs(new), np.repeat(diff, 2, 1))  # signs alone may change
    for end, other in zip(ends(c, new), ends(c, -new), strict=True):
        beside = np.minimum(np.abs(end[..., 0] - kinks), np.abs(other[..., 0] - kinks))
        assert beside.max() < 1e-6
    best = np.sqrt(3 * problem.reach / 3**0.5)
    assert np.allclose(score(problem, c, new), best[:, None], rtol=1e-3)


def test_every_sixteenth_is_a_centre_and_both_signs_are_tried():
    centres = np.array([5, 11, 15])[:, None] / 16

    def values(x, y):
        hits = (np.abs((x + y) / 2 - centres) < 1e-9) * (x - y) * [[1.0], [-1.0], [1.0]]
        return hits.sum((1, 2)) + 1

    diff = column([0.02, 0.02, 0.02])[None]
    c, new = scan.scanned(valued(values, tokens=3), np.full_like(diff, 0.4), diff)
    assert np.allclose(c, centres, atol=1e-12)
    assert np.allclose(new[0, 0, :, 0], [0.02, -0.02, 0.02])


def test_three_rounds_over_the_grid_each_begin_where_the_last_one_ended():
    centres = np.array([5, 11, 15, 3])[:, None] / 16

    def values(x, y):  # entries in a row: each counts a little if those before it are right
        right = np.cumprod(np.abs((x + y) / 2 - centres) < 1e-9, 1)[:, :, 0]
        return 1 + right @ [1.0, 0.3, 0.1, 0.1]

    diff = column([0.02] * 4)[None]
    c, _ = scan.scanned(valued(values, tokens=4), np.full_like(diff, 0.4), diff)
    assert np.allclose(c[0, :, :3], centres[:3], atol=1e-12)
    assert (np.abs(c[0, :, 3] - 0.4) < 0.1).all()  # a fourth round is not made


def test_single_changes_are_scored_in_pieces_as_one_by_one(monkeypatch):
    rng, sizes = np.random.default_rng(0), []
    c, diff, new_c, new_d = (rng.uniform(0.2, 0.3, size) for size in [(2, 3)] * 2 + [(2, 3, 4)] * 2)

    def values(x, y):
        sizes.append(len(x))
        return (x * y).sum((1, 2))

    problem = valued(values, tokens=3)
    whole = scan._single(problem, (3, 1), c, diff, new_c, new_d)
    assert sizes == [24]
    for line, entry, option in itertools.product(range(2), range(3), range(4)):
        one_c, one_d = c[line].copy(), diff[line].copy()
        one_c[entry], one_d[entry] = new_c[line, entry, option], new_d[line, entry, option]
        expected = ((one_c + one_d / 2) * (one_c - one_d / 2)).sum()
        assert whole[line, entry, option] == pytest.approx(expected, rel=1e-12)
    for chunk, parts in ((15, [5] * 4 + [4]), (14, [4] * 6), (1, [1] * 24)):
        sizes.clear()
        monkeypatch.setattr(scan, "CHUNK", chunk)
        assert np.array_equal(scan._single(problem, (3, 1), c, diff, new_c, new_d), whole)
        assert sizes == parts


def test_scans_hold_2097152_numbers():
    sizes, wide = [], np.zeros((1, 2**12, 1))

    def values(x, y):
        sizes.append(x.size)
        return np.zeros(len(x))

    options = wide[:, :, 0], wide[:, :, 0], wide[:, :513], wide[:, :513]
    scan._single(valued(values, tokens=2**12), (2**12, 1), *options)
    assert sizes == [2**21, 2**12]


@pytest.mark.parametrize("together", [True, False])
def test_the_best_changes_are_made_together_where_that_helps(together):
    aims = np.array([[0.25], [0.5], [0.75]])

    def values(x, y):
        near = (np.abs((x + y) / 2 - aims) < 1e-9) * [[1.0], [3.0], [2.0]]
        return near.sum((1, 2)) if together else near.max((1, 2)) - 0.1 * (near > 0).sum((1, 2))

    c, diff = np.full((1, 3), 0.4), np.full((1, 3), 0.1)
    grid = np.linspace(0, 1, 5)[None, None]
    problem = valued(values, tokens=3)
    new_c, new_d, best = scan._improved(
        problem, (3, 1), c, diff, np.zeros(1), grid, np.array([1.0, -1.0])
    )
    assert np.allclose(new_c, aims.T if together else [[0.4, 0.5, 0.4]])
    assert np.allclose(new_d, diff)
    assert best == pytest.approx([6.0 if together else 2.9])
    same = scan._improved(problem, (3, 1), c, diff, np.full(1, 3.0), grid, np.ones(1))
    assert np.array_equal(same[0], c)  # none is better than 3: nothing is changed


def test_scanned_entries_stay_inside_the_cube():
    problem = asked(lambda x: x**2, [0.5])
    diff = column([0.5, 0.0])[None]
    c, new = scan.scanned(problem, np.full_like(diff, 0.5), diff)
    assert np.allclose(c[:, :, 0], 0.75, atol=1e-9)  # from 1/2 to 1
    assert (np.abs(c - 0.5) + np.abs(new) / 2 <= 0.5 + EPS).all()


def test_scans_end_after_a_round_and_three_zooms_without_gain():
    tried, centres = [], []

    def values(x, y):
        tried.append(len(x))
        centres.append((x + y)[:, 0, 0] / 2)
        return np.ones(len(x))

    diff = column([0.5, 0.1])[None]
    scan.scanned(valued(values), np.full_like(diff, 0.5), diff)
    # one choice; a round of 2 candidates, 2 entries, 17 centres, 2 signs; zooms of 4 places
    assert tried == [1, 2 * 2 * 34, 2 * 3, *[2 * 2 * 4, 2 * 3] * 3]
    for batch, step in ((3, 1 / 32), (5, 0.45 / 32)):
        near = 0.5 + step * np.array([-1.5, -0.5, 0.5, 1.5])
        assert np.allclose(centres[batch][:4], near, rtol=1e-12)


# -- lines -----------------------------------------------------------------------------------------


def test_lines_run_through_the_cube_alone_and_together():
    offset, slope = lines._lines(asked(lambda x: x, [0.1]))
    assert list(zip(offset.tolist(), slope.tolist(), strict=True)) == [
        ([0, 0], [1, 1]),
        ([0, 1], [1, -1]),
        *[([0, still], [1, 0]) for still in (0, 0.5, 1)],
        *[([still, 0], [0, 1]) for still in (0, 0.5, 1)],
    ]
    offset, slope = lines._lines(asked(lambda x: x, [0.1], tokens=2, moving=[0, 1]))
    assert list(zip(offset.tolist(), slope.tolist(), strict=True)) == [
        ([still, 0], [0, 1]) for still in (0, 0.5, 1)
    ]
    offset, slope = lines._lines(asked(lambda x: x, [0.1], tokens=3, moving=[1, 0, 1]))
    assert [0, 0.5, 1] in offset.tolist()
    assert set(map(tuple, slope)) == {(1, 0, 1), (1, 0, -1), (1, 0, 0), (0, 0, 1)}


@pytest.mark.parametrize(("tokens", "dim", "cells"), [(1, 1, 2**13), (1, 2, 2**13), (3, 1, 2**11)])
def test_lines_have_more_cells_where_there_are_up_to_two_entries(tokens, dim, cells):
    sizes = []

    def f(x):
        sizes.append(len(x))
        return x

    problem = asked(f, [0.1], tokens=tokens, dim=dim)
    found = lines.line_starts(problem)
    count = len(lines._lines(problem)[0])
    assert found[0].shape == found[1].shape == (1, count, tokens, dim)
    table = sum(sizes[: -24 * -(-count * 36 * tokens * dim // 2**17)])
    assert table == count * (cells + 1)


def test_inputs_of_up_to_eight_entries_are_scanned_by_lines():
    assert lines.line_starts(asked(lambda x: x, [0.1], tokens=9)) is None
    assert lines.line_starts(asked(lambda x: x, [0.1], tokens=4, dim=2)) is not None
    assert lines.line_starts(valued(lambda x, y: 0 * x)) is None  # outputs unknown


@pytest.mark.parametrize("delta", [0.003, 0.02, 0.7])
def test_lines_find_needles_anywhere(delta):
    def needle(x):
        return np.maximum(0, 1 - 300 * np.abs(x - 0.4141))

    problem = asked(needle, [delta, 2 * delta])
    c, diff = lines.line_starts(problem)
    assert (np.linalg.norm(diff, axis=(2, 3)) <= problem.reach[:, None] * (1 + EPS)).all()
    assert (np.abs(c - 0.5) + np.abs(diff) / 2 <= 0.5 + EPS).all()
    for reach, found in zip(problem.reach, score(problem, c, diff), strict=True):
        alone, together = (min(1, 300 * r) for r in (reach, reach / 2**0.5))
        assert found[2:] == pytest.approx([alone] * 6, rel=1e-9)
        assert found[0] == pytest.approx(together * 2**0.5, rel=1e-9)


def test_outputs_along_lines():
    offset, slope = np.array([[0.0, 1.0], [0.5, 0.0]]), np.array([[1.0, -1.0], [0.0, 1.0]])
    t = np.array([[0.0, 0.25, 1.0], [0.5, 0.75, 0.1]])
    found = lines._watched(lambda x: x.reshape(len(x), -1) * 2, (2, 1), offset, slope, t)
    first = [[0, 2], [0.5, 1.5], [2, 0]]
    assert np.allclose(found, [first, [[1, 1], [1, 1.5], [1, 0.2]]])


@pytest.mark.parametrize("cells", [10, 100])
def test_the_largest_change_in_a_table_is_found(cells):
    rng = np.random.default_rng(1)
    table = np.cumsum(rng.standard_normal((5, cells + 1, 2)), 1)
    widest = np.array([0.29, 0.3, 0.07 if cells == 100 else 0.1, 1.0, 0.5 + 1e-9])
    a, b = lines._coarse(table, widest)
    for values, width, one, two in zip(table, widest, a, b, strict=True):
        far = math.floor(round(width * cells, 9))
        pairs = itertools.product(range(cells + 1), repeat=2)
        best = max(np.abs(values[i] - values[j]).max() for i, j in pairs if abs(i - j) <= far)
        change = values[round(one * cells)] - values[round(two * cells)]
        assert np.abs(change).max() == best
        assert abs(one - two) <= width + EPS


def test_ends_closer_than_a_cell_are_cut_to_what_is_allowed():
    table = np.array([0.0, 0.0, 1.0, 0.0])[None, :, None]
    a, b = lines._coarse(table, np.array([0.1]))
    assert (a, b) in [(1 / 3, pytest.approx(1 / 3 + 0.1)), (1.0, pytest.approx(0.9))]
    table = -table
    a, b = lines._coarse(table, np.array([0.1]))
    assert a == pytest.approx(2 / 3)
    assert abs(a - b) == pytest.approx(0.1)


def test_zooms_find_the_best_ends_and_never_lose():
    asked_for, kink = [], 0.40007

    def watch(t):
        asked_for.append(t)
        return np.stack([-(np.abs(t - kink) ** 0.5), 0 * t], -1)

    widest = np.array([0.25, 0.25, 1.0])
    a, b = lines._zoomed(watch, np.array([0.4, 0.15, 0.4]), np.array([0.65, 0.4, 1.0]), widest)
    assert [t.shape for t in asked_for] == [(3, 36)] * 24
    near = np.arange(-8, 9) / 8 / 2**11  # about each end, and the limits of the second
    assert np.allclose(asked_for[0][0], [*(0.4 + near), *(0.65 + near), 0.15, 0.65], rtol=1e-12)
    assert np.abs(a - b) == pytest.approx([0.25, 0.25, 1 - kink], abs=1e-12)
    assert min(abs(a[0] - kink), abs(b[0] - kink)) < 1e-12
    assert a[2] == pytest.approx(kink, abs=1e-12)
    assert b[2] == 1.0
    assert (np.abs(a - b) <= widest).all()
