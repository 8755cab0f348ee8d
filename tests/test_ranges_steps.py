"""Steps of the bounds from one partition, each beside a slow twin or an answer known by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import looprate.theory.continuity.upper.ranges as ranges
from looprate.theory.continuity.upper.ranges import (
    _Pairs,
    _Tree,
    ranges_upper_bound,
)
from looprate.theory.enclosure.deadline import OutOfTimeError

SAME = 1e-9  # relative: far above every slack
DELTA = 0.25


def tilted(x):
    """Two tokens: (3x + 4y, x - 2y)."""
    return np.array([[3.0], [-2.0]]) * x + np.array([[4.0], [1.0]]) * x[:, ::-1]


TILT = np.array([[3.0, 4.0], [1.0, -2.0]])


def slopes_only(x):
    """The same, and its square, without affine forms."""
    if type(x).__name__ == "Affine":
        raise TypeError("no affine form")
    return tilted(x) + x**2


class Ticking:
    """A clock that moves by one second whenever it is read."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 1.0
        return self.now


# -- the tree --------------------------------------------------------------------------------------


def test_a_grid_counts_its_boxes_in_sides():
    assert ranges._grid(np.array([1, 2])).tolist() == [
        [i, j] for i in (0.0, 1.0) for j in (0.0, 1.0, 2.0, 3.0)
    ]
    assert ranges._grid(np.array([0])).tolist() == [[0.0]]


@pytest.mark.parametrize("f", [tilted, slopes_only])
@pytest.mark.parametrize("row", [None, 0, 1])
def test_forms_are_those_of_the_function_on_every_box(monkeypatch, f, row):
    monkeypatch.setattr(ranges, "AT_ONCE", 100)
    tree = _Tree(f, 2, 1, row, 1.0)
    forms, rows = tree.forms, slice(None) if row is None else slice(row, row + 1)
    assert tree.first.tolist() == [4, 4]
    assert len(forms) == len(tree.children) == 256
    assert (tree.children == -1).all()
    assert (forms.level == 0).all()
    assert (forms.high - forms.low == 1 / 16).all()
    assert len(np.unique(forms.low, axis=0)) == 256
    assert (forms.centre == (forms.low + forms.high) / 2).all()
    square = f is slopes_only
    value = forms.centre @ TILT.T + square * forms.centre**2
    assert forms.value == pytest.approx(value[:, rows], abs=1e-12)
    steep = TILT + square * 2 * forms.centre[:, :, None] * np.eye(2)
    assert np.abs(forms.gradient - steep[:, rows]).max() <= 0.07 * square + 1e-9
    assert (forms.rest >= 0).all()
    assert forms.rest.max() <= 0.004 * square + 1e-10
    reach = np.abs(steep).sum(2)[:, rows] / 32
    assert forms.most - forms.value[:] == pytest.approx(reach, abs=0.004 * square + 1e-9)
    assert forms.value[:] - forms.least == pytest.approx(reach, abs=0.004 * square + 1e-9)
    share = np.random.default_rng(0).random((30, 256, 2))
    x = forms.low + share * (forms.high - forms.low)
    exact = x @ TILT.T + square * x**2
    guess = forms.value + ((x - forms.centre)[..., None, :] * forms.gradient).sum(-1)
    assert (np.abs(exact[..., rows] - guess) <= forms.rest + 1e-12).all()


def test_affine_forms_are_tried_first_and_no_more_where_there_are_none():
    seen = []

    def watched(x):
        seen.append(type(x).__name__)
        return slopes_only(x)

    tree = _Tree(watched, 2, 1, None, 0.0)
    assert seen[0] == "Affine"
    assert seen.count("Affine") == 1
    assert not tree.affine
    assert _Tree(tilted, 2, 1, None, 0.0).affine


def test_a_constant_has_no_slope_and_hardly_a_rest():
    for f in (lambda x: np.full(x.shape, 0.5), lambda x: 0 * x + 0.5):
        forms = _Tree(f, 2, 1, 0, 0.0).forms
        assert forms.gradient.shape == (256, 1, 2)
        assert (forms.gradient == 0).all()
        assert forms.value == pytest.approx(0.5)
        assert forms.rest.max() < 1e-11
        assert forms.least == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("f", "known"),
    [
        (lambda x: 1e150 * (x - 0.5), False),
        (lambda x: 1e150 + x, False),
        (lambda x: 1e139 * x, True),
        (lambda x: 1e135 + x, True),
    ],
)
def test_numbers_whose_squares_overflow_are_unknown(f, known):
    forms = _Tree(f, 1, 1, None, 0.0).forms
    assert (np.isfinite(forms.rest) == known).all()
    assert ((forms.value == 0) & (forms.gradient[:, :, 0] == 0)).all() != known
    assert np.isfinite(forms.most).all()


def test_where_a_value_is_unknown_so_is_the_rest():
    def inverse(x):
        if type(x).__name__ == "Affine":
            raise TypeError("no affine form")
        return 1 / (x - 0.5 - 2.0**-9)  # the middle of a box

    forms = _Tree(inverse, 1, 1, None, 0.0).forms
    lost = ~np.isfinite(forms.rest[:, 0])
    assert lost.tolist() == (forms.low[:, 0] == 0.5).tolist()
    assert forms.value[lost].tolist() == [[0.0]]


def started(monkeypatch, seconds, width=1, share=1.0, most=None):
    """How often sides are halved where rests are a share of what the slopes move."""
    boxes = []

    def form(self, low, high):
        boxes.append((low, high))
        gradient = np.ones((len(low), 1, width))
        rest = share * (high - low)[:, :1].min() * width * np.ones((len(low), 1))
        rest[: len(rest) // 3] = 100.0  # the median does not see them
        return None, None, gradient, rest

    monkeypatch.setattr(_Tree, "_form", form)
    monkeypatch.setattr(ranges, "time", Ticking())
    tree = object.__new__(_Tree)
    tree.width = width
    times = tree._start(seconds, most)
    for low, high in boxes:
        assert low.shape == (ranges.SAMPLE, width)
        assert (low >= 0).all()
        assert (high <= 1).all()
        assert low.max() > 0.5
    assert (boxes[-1][1] - boxes[-1][0] == 2.0**-times).all()
    return times.tolist()


def test_sides_are_halved_until_forms_say_something_or_time_is_short(monkeypatch):
    """A sample of 64 boxes takes a second here, so that 2^8 boxes twice take eight."""
    assert started(monkeypatch, 1e9, share=0.9) == [8]
    assert started(monkeypatch, 1e9, share=1.0) == [12]
    assert started(monkeypatch, 8.0) == [10]
    assert started(monkeypatch, 7.9) == [8]
    assert started(monkeypatch, 32.0) == [12]
    assert started(monkeypatch, 31.9) == [10]
    assert started(monkeypatch, 1e9, width=3, share=0.9) == [3, 3, 2]
    assert started(monkeypatch, 1e9, width=3, share=1.5) == [4, 4, 4]
    assert started(monkeypatch, 0.0, width=5) == [2, 2, 2, 1, 1]
    assert started(monkeypatch, 0.0, most=2**11) == [10]  # counted in boxes, whatever the time
    assert started(monkeypatch, 1e9, most=2**11 - 1) == [8]


def test_boxes_are_halved_along_one_side_after_the_other():
    tree = _Tree(lambda x: x + x.sum(1, keepdims=True), 3, 1, None, 0.0)
    assert tree.first.tolist() == [3, 3, 2]
    first = tree.halves(np.array([7, 0, 7]))
    assert first.tolist() == [258, 256, 258]
    assert len(tree.forms) == len(tree.children) == 260
    for parent, child in ((0, 256), (7, 258)):
        for side, at in ((0, child), (1, child + 1)):
            low, high = tree.forms.low[parent].copy(), tree.forms.high[parent].copy()
            (high if side == 0 else low)[2] = tree.forms.centre[parent, 2]
            assert (tree.forms.low[at] == low).all()
            assert (tree.forms.high[at] == high).all()
            assert tree.forms.level[at] == 1
    assert tree.halves(np.array([0])).tolist() == [256]
    assert len(tree.forms) == 260
    again = tree.halves(np.array([257]))[0]
    assert (tree.forms.high[again] - tree.forms.low[again]).tolist() == [1 / 16, 1 / 8, 1 / 8]
    assert tree.forms.level[again] == 2
    assert (tree.children[[0, 7, 257]] == [256, 258, 260]).all()
    assert (tree.children[[1, 6, 8, 256, 258, 259, 260, 261]] == -1).all()


def test_boxes_are_divisible_while_their_sides_are_exact():
    tree = object.__new__(_Tree)
    for level, divisible in ((44, True), (45, False), (46, False)):
        tree.forms = SimpleNamespace(level=np.array([0, level, 3]))
        assert tree.divisible == divisible


# -- the search ------------------------------------------------------------------------------------


def asked(f=tilted, **more):
    given = {"moving": np.array([True, True]), "row": None, "p": 2.0, "threshold": 0.0}
    return ranges_upper_bound(f, DELTA, tokens=2, dim=1, **given | {"seconds": 0.2} | more)


def curved(x):
    return np.sin(3 * x) * x.sum(1, keepdims=True)


@pytest.fixture
def at_first():
    """The bound of the first partition."""
    value, boxes = asked(curved, seconds=1e-9)
    assert boxes == 256
    return value


def test_a_search_that_may_not_go_on_keeps_its_first_bound(monkeypatch, at_first):
    for name, value in (("MOST_PAIRS", 1), ("MOST_LEVELS", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(ranges, name, value)
            assert asked(curved) == (at_first, 256)

    def over(*_):
        raise OutOfTimeError

    with monkeypatch.context() as patch:
        patch.setattr(_Pairs, "halved", over)
        assert asked(curved) == (at_first, 256)
    with monkeypatch.context() as patch:
        patch.setattr(ranges, "MOST_LEVELS", 1)
        value, boxes = asked(curved, seconds=1.0)
        assert value < at_first
        assert 256 < boxes <= 256 + 512


def test_a_search_ends_where_all_pairs_are_below_the_threshold(at_first):
    value, boxes = asked(curved, threshold=at_first, seconds=9.0)
    assert (value, boxes) == (at_first, 256)
    goal = 0.96 * at_first
    value, boxes = asked(curved, threshold=goal, seconds=9.0)
    assert 0.9 * goal < value <= goal
    assert boxes > 256


def test_most_of_the_time_is_for_the_start_at_most(monkeypatch):
    class Stop(Exception):
        pass

    def tree(*given):
        raise Stop(given)

    monkeypatch.setattr(ranges, "_Tree", tree)
    with pytest.raises(Stop) as told:
        asked(row=1, seconds=10.0)
    assert told.value.args[0] == (tilted, 2, 1, 1, 8.0, None, ((), 0.25))
