"""Branch and bound, with bounds of cells that are known: 1 plus the width of c, halved along c."""

from __future__ import annotations

import math
import threading
import time

import numpy as np
import pytest

from looprate.theory.continuity.upper import branching
from looprate.theory.continuity.upper.branching import branch_and_bound
from looprate.theory.continuity.upper.cells import CellProblem, Cells
from looprate.theory.enclosure.deadline import OutOfTimeError, time_limit, until

PROBLEM = CellProblem(None, 1, 1, np.array([True]), None, 2.0, 1.0)
LONG = 100.0  # seconds


def cell(c_low, c_high):
    """A cell of centres, with next to no room for differences."""
    c_low, c_high = (np.atleast_1d(np.asarray(v, dtype=float))[:, None] for v in (c_low, c_high))
    none = np.zeros_like(c_low)
    return Cells(c_low, c_high, none, none + 1e-3)


class Bounds:
    """The known bounds; remembers which cells were asked for, in what order, and how many."""

    def __init__(self, bound=lambda low, high: 1.0 + high - low):
        self.bound, self.asked, self.lock = bound, [], threading.Lock()

    def __call__(self, problem, cells, threshold):
        low, high = cells.c_low[:, 0], cells.c_high[:, 0]
        with self.lock:
            self.asked += zip(low.tolist(), high.tolist(), strict=True)
        return self.bound(low, high), np.zeros(len(cells), dtype=np.intp), cells


def search(threshold, bounds=None, root=None, **more):
    """A search from one cell, c from 0 to 1."""
    root = cell(0.0, 1.0) if root is None else root
    more = {"seconds": LONG} | more
    return branch_and_bound(PROBLEM, threshold, root=root, bounds=bounds or Bounds(), **more)


def sides(cells):
    return sorted(zip(cells.c_low[:, 0].tolist(), cells.c_high[:, 0].tolist(), strict=True))


def test_cells_are_halved_until_every_bound_is_at_most_the_threshold():
    bounds, told = Bounds(), []
    found = search(1.3, bounds, report=told.append)
    assert (found.value, found.boxes, len(found.live)) == (1.3, 7, 0)
    assert told == [2.0, 1.5]
    assert sorted(bounds.asked)[:3] == [(0.0, 0.25), (0.0, 0.5), (0.0, 1.0)]
    at = search(1.25)
    assert (at.value, at.boxes) == (1.25, 7)  # at the threshold is enough
    assert search(1.2499).boxes == 15


def test_the_largest_bound_that_is_open_is_told():
    told = []
    uneven = Bounds(
        lambda low, high: np.where(high - low > 0.6, 2.0, np.where(low < 0.5, 1.5, 1.2))
    )
    assert search(1.0, uneven, finest=0.3, report=told.append).value == 1.5
    assert told == [2.0, 1.5]


def test_what_needs_no_halving_has_its_own_bound_not_the_threshold():
    found = search(3.0)
    assert (found.value, found.boxes, len(found.live)) == (2.0, 1, 0)
    assert search(2.0).value == 2.0
    uneven = search(
        1.3, Bounds(lambda low, high: np.where(low > 0, 1.1, 1.2)), cell([0, 0.5], [0.5, 1])
    )
    assert (uneven.value, uneven.boxes) == (1.2, 2)
    negative = search(0.5, Bounds(lambda low, high: np.full(len(low), -1.0)))
    assert negative.value == 0.0  # a norm


def test_a_cell_without_a_maximiser_leaves_the_threshold():
    found = search(0.75, Bounds(lambda low, high: np.full(len(low), -np.inf)))
    assert (found.value, found.boxes, len(found.live)) == (0.75, 1, 0)


def test_no_cell_s_bound_exceeds_that_of_the_cell_it_came_from_or_what_is_known():
    assert search(1.3, least=1.1).value == 1.1
    assert search(1.3, least=1.75).boxes == 7
    grows = Bounds(lambda low, high: 2.0 - (high - low))
    assert search(0.5, grows, finest=0.3).value == 1.0
    nan = Bounds(lambda low, high: np.where(high - low > 0.5, np.nan, 1.0))
    assert search(1.3, nan, least=5.0).value == 1.3
    assert search(1.3, Bounds(lambda low, high: np.nan * low), least=1.2).value == 1.2


def test_cells_no_side_of_which_is_larger_than_the_finest_are_left_as_they_are():
    told = []
    found = search(1.1, finest=0.5, report=told.append)
    assert (found.value, found.boxes) == (1.5, 3)
    assert sides(found.live) == [(0.0, 0.5), (0.5, 1.0)]
    assert told == [2.0]
    assert search(1.1, finest=0.49).boxes == 7
    one = search(1.1, Bounds(lambda low, high: 1.0 + (high - low) * (low < 0.5)), finest=0.5)
    assert sides(one.live) == [(0.0, 0.5)]


def test_a_search_out_of_time_has_bounded_one_batch_and_ends_with_what_it_has():
    found = search(1.1, seconds=-1.0)
    assert (found.value, found.boxes) == (2.0, 1)
    assert sides(found.live) == [(0.0, 0.5), (0.5, 1.0)]
    started = time.monotonic()
    slow = Bounds(lambda low, high: time.sleep(0.02) or (1.0 + high - low))
    assert search(0.5, slow, seconds=0.1).value < 2.0
    assert 0.1 < time.monotonic() - started < 5.0


@pytest.mark.parametrize(("most", "boxes", "value"), [(1, 1, 2.0), (2, 3, 1.5), (3, 3, 1.5)])
def test_no_more_cells_are_kept_than_there_is_memory_for(monkeypatch, most, boxes, value):
    monkeypatch.setattr(branching, "MOST_CELLS", most)
    found = search(1.0, finest=0.1)
    assert (found.boxes, found.value, len(found.live)) == (boxes, value, 2 * (boxes + 1) // 2)


def test_the_largest_bounds_come_first(monkeypatch):
    monkeypatch.setattr(branching, "ENTRIES", 0)  # one cell at a time
    bounds = Bounds(lambda low, high: np.where(low < 0.5, 1.5, 1.7) + high - low - 0.9)
    search(1.0, bounds)
    # each waits with the bound of the cell it is half of: 1.6, 1.3, 1.1 and 1.05
    assert bounds.asked[0] == (0.0, 1.0)
    for place, pairs in (
        (1, {(0.0, 0.5), (0.5, 1.0)}),
        (3, {(0.5, 0.75), (0.75, 1.0)}),
        (5, {(0.0, 0.25), (0.25, 0.5)}),
    ):
        assert set(bounds.asked[place : place + 2]) == pairs
    assert len(bounds.asked) == 11


@pytest.mark.parametrize(("tokens", "batch"), [(1, 8192), (4, 2048), (9000, 1)])
def test_a_batch_holds_so_many_entries_and_at_least_one_cell(tokens, batch):
    """2^13 entries of inputs at once; the rest of 9000 cells waits for the next batch."""
    moving = np.arange(tokens) == 0
    problem = CellProblem(None, tokens, 1, moving, None, 2.0, 1.0)
    count = batch + 3
    c, d = np.full((count, tokens), 0.5), np.zeros((count, 1))
    bounds = Bounds(lambda low, high: np.full(len(low), 9.0))
    found = branch_and_bound(
        problem, 1.0, root=Cells(c, c, d, d), bounds=bounds, seconds=-1.0, least=8.0
    )
    assert (found.boxes, len(bounds.asked), found.value) == (batch, batch, 8.0)
    assert len(found.live) == batch + 3  # points are not halved


def test_some_cells_are_taken_out_and_the_others_stay_with_their_bounds():
    live, heights = cell([0.0, 0.1, 0.2, 0.3], 1.0), np.array([3.0, 7.0, 1.0, 5.0])
    live = Cells(live.c_low, np.ones((4, 1)), live.d_low, live.d_high)
    chosen, rest, left, ceiling = branching._highest(live, heights, 2)
    assert sorted(zip(chosen.c_low.ravel(), ceiling, strict=True)) == [(0.1, 7.0), (0.3, 5.0)]
    assert sorted(zip(rest.c_low.ravel(), left, strict=True)) == [(0.0, 3.0), (0.2, 1.0)]
    for count in (4, 5):
        chosen, rest, left, ceiling = branching._highest(live, heights, count)
        assert chosen.c_low.ravel().tolist() == [0.0, 0.1, 0.2, 0.3]
        assert (len(rest), len(left), ceiling.tolist()) == (0, 0, heights.tolist())


def test_cells_that_no_pair_reaches_are_never_bounded():
    bounds = Bounds()
    far = cell([0.0, 0.9], [1.0, 1.0])
    far = Cells(far.c_low, far.c_high, np.array([[0.0], [0.5]]), np.array([[0.1], [0.6]]))
    found = search(3.0, bounds, far)  # 0.9 and more for c leaves no room for 0.5 between two points
    assert (bounds.asked, found.boxes) == ([(0.0, 1.0)], 1)
    nothing = search(3.0, bounds, far.picked(np.array([1])))
    assert (nothing.value, nothing.boxes, len(nothing.live)) == (0.0, 0, 0)


def test_cells_that_wait_behind_one_that_no_pair_reaches_are_bounded(monkeypatch):
    monkeypatch.setattr(branching, "ENTRIES", 0)  # one cell at a time
    none, some = np.array([[0.5], [0.0]]), np.array([[0.6], [0.1]])
    for order in ([0, 1], [1, 0]):
        c_low = np.array([[0.9], [0.25]])
        cells = Cells(c_low, c_low + 0.05, none, some).picked(np.array(order))
        assert search(0.5, root=cells, finest=1.0).value == pytest.approx(1.05)


def test_what_is_left_counts_with_its_largest_bound():
    uneven = Bounds(lambda low, high: np.where(low < 0.5, 1.5, 1.25))
    found = search(1.0, uneven, cell([0.0, 0.5], [0.5, 1.0]), seconds=-1.0)
    assert (found.value, len(found.live)) == (1.5, 4)


def test_work_in_threads_has_the_caller_s_clock_and_ignores_floating_point_warnings():
    seen = []

    def bound(low, high):
        seen.append(time_limit())
        with np.errstate():
            return 0.0 * (low / (high - high)) + 1.5  # 0/0 and 1/0: NaN is no bound

    end = time.monotonic() + 50.0
    with until(end):
        assert search(9.0, Bounds(bound), least=4.0).value == 4.0
    assert seen == [end]


@pytest.mark.parametrize("first", [True, False])
def test_an_interrupted_batch_keeps_what_was_known_of_its_cells(first):
    def bound(low, high):
        if first or (high - low < 0.6).any():
            raise OutOfTimeError
        return 1.0 + high - low

    found = search(1.1, Bounds(bound), least=7.0)
    assert found.value == (7.0 if first else 2.0)
    assert sides(found.live) == ([(0.0, 1.0)] if first else [(0.0, 0.5), (0.5, 1.0)])
    assert found.boxes == (0 if first else 1)


def test_by_default_a_search_starts_from_all_pairs_with_the_bounds_of_cells():
    problem = CellProblem(lambda x: 2.0 * x, 1, 1, np.array([True]), None, 2.0, 0.25)
    found = branch_and_bound(problem, 0.5 * (1 + 1e-9), seconds=LONG)
    assert 0.5 <= found.value <= 0.5 * (1 + 1e-9)
    assert len(found.live) == 0
    assert math.isfinite(found.value)
