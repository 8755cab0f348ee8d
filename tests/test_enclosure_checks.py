"""What is looked at before a certificate, piece by piece; arrays that are changed in place."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, LocalForm, local_form, variables
from looprate.theory.enclosure.forms import name_of
from looprate.theory.enclosure.soundness import (
    NotCertifiedError,
    _check_inside,
    _moved,
    _rounding,
    _values,
    check_enclosures,
)

# -- the boxes and points that are looked at ------------------------------------------------------


class Seen:
    """A function that keeps what it is called with."""

    def __init__(self, f):
        self.f, self.batches, self.alone, self.boxes = f, [], [], []
        self.name = "seen"

    def __call__(self, x):
        if isinstance(x, np.ndarray):
            (self.alone if len(x) == 1 else self.batches).append(x)
        elif isinstance(x, Interval):
            self.boxes.append(x)
        return self.f(x)


def test_boxes_of_all_sizes_are_looked_at_in_corners_and_inside():
    seen = Seen(lambda x: 2.0 * x)
    assert check_enclosures(seen, tokens=3, dim=2) == 0
    points = np.stack(seen.batches[:6])
    assert points.shape == (6, 8, 3, 2)
    assert np.array_equal(points, np.stack(seen.batches[6:]))  # called twice
    low, high = points[0], points[1]  # two corners
    sides = [1.0, 0.5, 0.25, 2.0**-10, 2.0**-20, 0.0, 0.0, 0.0]
    assert np.allclose(high - low, np.array(sides)[:, None, None], rtol=0, atol=1e-15)
    assert ((low >= 0) & (high <= 1)).all()
    assert (low[0] == 0).all()
    assert (high[0] == 1).all()
    assert ((points >= low) & (points <= high)).all()
    assert (np.diff(np.sort(points[2:, :5], axis=0), axis=0) > 0).all()
    assert (np.ptp(low[5:], axis=0) > 0).all()  # not one and the same point
    alone = [points[k % 6, k] for k in range(8)]
    assert np.array_equal(np.concatenate(seen.alone), alone)
    centres, flat = seen.boxes
    assert np.array_equal(centres.lo, np.clip(low / 2 + high / 2, low, high))
    assert np.array_equal(flat.lo, points.reshape(48, 3, 2))
    assert np.array_equal(flat.hi, flat.lo)


def test_values_are_those_of_batches_and_of_inputs_alone():
    points = np.random.default_rng(0).random((6, 8, 2, 1))
    found = _values(lambda x: x + (len(x) == 1), points)
    for k in range(6):
        for b in range(8):
            assert (found[k, b] == points[k, b] + (b % 6 == k)).all()
    with pytest.raises(NotCertifiedError, match=r"returned shape \(1, 1, 1\) for one input"):
        _values(lambda x: x[:, :1] if len(x) == 1 else x, points)
    calls = iter(range(99))
    with pytest.raises(NotCertifiedError, match="other values at a second call"):
        _values(lambda x: x + 1e-15 * (next(calls) // 6 == 1), points)
    single = _values(lambda x: x.astype(np.float32), points)
    assert single.dtype == np.float64
    undefined = _values(lambda x: np.where(x > 0.5, math.nan, x), points)
    assert np.array_equal(np.isnan(undefined), points > 0.5)


def test_a_function_may_change_what_it_is_given():
    points = np.random.default_rng(0).random((6, 8, 2, 1))
    kept = points.copy()

    def doubled(x):
        x *= 2
        return x

    assert np.array_equal(_values(doubled, points), 2 * kept)
    assert np.array_equal(points, kept)


def test_rounding_is_the_width_of_enclosures_of_points():
    points = np.random.default_rng(1).random((6, 8, 2, 3)) + 1
    found = _rounding(lambda x: x * x, points)
    assert found.shape == points.shape
    assert (found >= 2.0**-53 * points**2).all()
    assert (found <= 2.0**-49 * points**2).all()
    order = np.argsort(points.ravel())[[0, -1]]  # larger where the points are
    assert found.ravel()[order[0]] < found.ravel()[order[1]]


# -- what lies outside -----------------------------------------------------------------------------


def form(**parts):
    """A form of two boxes of one number around 1/2: 3 + 2 (x - 1/2) ± remainder."""
    shape = (2, 1, 1)
    made = {
        "centre": np.full(shape, 0.5),
        "value": Interval(np.full(shape, 3.0)),
        "gradient": np.full((1, *shape), 2.0),
        "remainder": np.full(shape, 0.25),
        "bounds": Interval(np.full(shape, -10.0), np.full(shape, 10.0)),
        "spread": np.zeros((1, *shape)),
    }
    return LocalForm(**{**made, **parts})


def inside(points, found, form_, allowed=0.0):
    """Whether values (S, 2) at points are let pass."""
    points, found = (np.asarray(e, dtype=float).reshape(-1, 2, 1, 1) for e in (points, found))
    try:
        _check_inside(lambda x: x, points, found, np.full(found.shape, allowed), form_)
    except NotCertifiedError:
        return False
    return True


def test_values_lie_in_the_range_of_their_box_up_to_what_is_allowed():
    bounds = Interval(np.array([0.0, 2.0]).reshape(2, 1, 1), np.array([1.0, 3.0]).reshape(2, 1, 1))
    ranges = form(bounds=bounds, remainder=np.full((2, 1, 1), math.inf))
    at = [[0.5, 0.5]]
    assert inside(at, [[0.0, 3.0]], ranges)
    assert inside(at, [[1.0, 2.0]], ranges)
    for value in ([-0.25, 2.5], [1.25, 2.5], [0.5, 1.75], [0.5, 3.25], [2.5, 0.5]):
        assert not inside(at, [value], ranges)
    assert inside(at, [[-0.25, 3.25]], ranges, 0.25)
    assert not inside(at, [[-0.2501, 2.5]], ranges, 0.25)
    assert not inside([[0.5, 0.5]] * 2, [[0.5, 2.5], [0.5, 4.0]], ranges)


def test_values_lie_within_the_remainder_of_the_line():
    at = [[0.75, 0.25]]  # the line has 3.5 and 2.5 there
    assert inside(at, [[3.75, 2.25]], form())
    assert inside(at, [[3.25, 2.75]], form())
    assert not inside(at, [[3.7501, 2.5]], form())
    assert not inside(at, [[3.2499, 2.5]], form())
    assert inside(at, [[3.7501, 2.5]], form(), 0.001)
    assert inside(at, [[9.0, 2.5]], form(remainder=np.full((2, 1, 1), math.inf)))
    wide = form(value=Interval(np.full((2, 1, 1), 2.75), np.full((2, 1, 1), 3.25)))
    assert inside(at, [[4.2, 2.5]], wide)  # its value at the centre is known to 1/2
    assert not inside(at, [[4.3, 2.5]], wide)
    steep = form(
        gradient=np.full((1, 2, 1, 1), 2e9),
        bounds=Interval(*np.full((2, 2, 1, 1), 1e12) * [[[[-1]]], [[[1]]]]),
    )
    line = 3 + 2e9 * 0.25
    assert inside(at, [[line + 0.7, 3 - 2e9 * 0.25 - 0.7]], steep)  # 1e-9 of 5e8 more
    assert not inside(at, [[line + 0.8, 3 - 2e9 * 0.25]], steep)
    assert not inside(at, [[line, 3 - 2e9 * 0.25 - 0.8]], steep)


def test_the_line_takes_every_direction_of_the_input():
    """Two tokens: f = (x_1 + 10 x_2, 100 x_1)."""
    f = lambda x: x * np.array([[1.0], [0.0]]) + x[:, ::-1] * np.array([[10.0], [100.0]])  # noqa: E731
    low = np.random.default_rng(2).random((3, 2, 1)) / 2
    points = low + np.random.default_rng(3).random((4, 3, 2, 1)) / 2
    line = local_form(f, low, low + 0.5)
    values = np.stack([f(x) for x in points])
    allowed = np.full(values.shape, 1e-12)
    _check_inside(f, points, values, allowed, line)
    with pytest.raises(NotCertifiedError, match=f"returns {values[0, 0, 0, 0] + 1:.6g} at"):
        _check_inside(f, points, values + 1, allowed, line)  # the first is told
    for k in np.ndindex(values.shape):
        wrong = values.copy()
        wrong[k] += 1e-6
        with pytest.raises(NotCertifiedError) as error:
            _check_inside(f, points, wrong, allowed, line)
        said = str(error.value)
        assert f"returns {wrong[k]:.6g} at an input" in said
        assert f"[{line.bounds.lo[k[1:]]:.6g}, {line.bounds.hi[k[1:]]:.6g}]" in said
        assert f"(input {np.round(points[k[:2]], 6).tolist()})" in said


def test_where_rounding_counts_it_is_told_how_much_it_may_move():
    shape = (2, 2, 1)  # two boxes of two tokens
    wide = np.array([[[0.5], [2.0]], [[900.0], [900.0]]])
    found = np.array([[[[-5.0], [1.0]], [[math.inf], [math.nan]]]])

    def moved(most, values=found, scale=1.0):
        rounding = np.zeros((1, *shape))
        rounding[0, 1, 1] = most
        span = form(bounds=Interval(np.zeros(shape), wide * scale))
        return _moved(rounding, values, span)

    assert moved(2.1e-6) == 2.1e-6  # above a millionth of the range of the first box
    assert moved(1.9e-6) == 0
    assert moved(math.inf) == 0
    large = found * 1e9 - 1e9
    assert moved(5.9e-3, large) == 0  # below 1e-12 of the largest value
    assert moved(6.1e-3, large) == 6.1e-3
    assert moved(1e-12 * 2.0**40, np.full(found.shape, 2.0**40)) == 0  # at it
    assert moved(0.5, np.full(found.shape, math.nan)) == 0.5
    assert moved(5.1e-15, found * 1e-3, 1e-10) == 5.1e-15
    assert moved(4.9e-15, found * 1e-3, 1e-10) == 0


@pytest.mark.parametrize(("off", "caught"), [(0.4e-9, False), (3e-9, True)])
@pytest.mark.parametrize("scale", [8.0, 2.0**-40])
def test_values_may_be_off_by_a_billionth_of_the_largest(off, caught, scale):
    def f(x):
        return scale * x + (scale * off if isinstance(x, np.ndarray) else 0.0)

    if caught:
        with pytest.raises(NotCertifiedError, match="on enclosures it does something else"):
            check_enclosures(f, tokens=2, dim=1)
    else:
        assert check_enclosures(f, tokens=2, dim=1) == 0


def test_functions_are_called_by_their_names():
    seen = Seen(abs)
    assert name_of(seen) == "seen"
    assert name_of(abs) == "abs"
    assert name_of(3) == "3"


@pytest.mark.parametrize(("tokens", "dim"), [(0, 1), (1, 0), (1.5, 1)])
def test_sizes_are_checked(tokens, dim):
    with pytest.raises((TypeError, ValueError), match=r"tokens|dim"):
        check_enclosures(lambda x: x, tokens=tokens, dim=dim)


# -- in place --------------------------------------------------------------------------------------


def box():
    return Interval([[1.0, 2.0]], [[3.0, 5.0]])


def test_every_step_in_place_is_the_operation():
    steps = {
        "__iadd__": lambda x: x + 2.0,
        "__isub__": lambda x: x - 2.0,
        "__imul__": lambda x: x * 2.0,
        "__itruediv__": lambda x: x / 2.0,
        "__ipow__": lambda x: x**2.0,
    }
    for name, step in steps.items():
        x = box()
        assert getattr(x, name)(2.0) is x
        wanted = step(box())
        assert np.array_equal(x.lo, wanted.lo)
        assert np.array_equal(x.hi, wanted.hi)
    x, turn = box(), np.array([[0.0, 1.0], [2.0, 0.0]])
    y = x
    y @= turn
    assert x is y
    assert np.array_equal(x.lo, (box() @ turn).lo)


def test_copies_share_nothing():
    for made in (copy.copy, copy.deepcopy, Interval.copy, np.copy):
        x = box()
        y = made(x)
        part = x[:, :1]
        y *= 2.0  # the view is of x
        assert y.hi.tolist() == pytest.approx((2 * box().hi).ravel()) or y.hi[0, 1] >= 10
        assert np.array_equal(x.hi, box().hi)
        assert part.hi.tolist() == [[3.0]]
    x = box()
    assert x.apart_from(x) is not x
    assert x.apart_from(box()) is x


def test_steps_are_refused_while_a_view_is_alive_and_taken_when_it_is_gone():
    x = box()
    views = [x[:, :1], x.reshape((2,)), x.swapaxes(0, 1), x[:, :1][:1]]
    for left in range(len(views), 0, -1):
        with pytest.raises(TypeError, match="shares memory with others"):
            x *= 2.0
        assert np.array_equal(x.hi, box().hi)
        del views[left - 1]
    x *= 2.0
    assert x.hi[0, 0] >= 6.0
    x, y = box(), box()
    part = x[:, :1]
    y *= 2.0  # of another array
    del x
    part *= 2.0  # the whole is gone
    assert part.hi.item() >= 6.0


def test_views_that_are_gone_are_forgotten():
    x = box()
    kept = x[:, :1]
    for _ in range(1000):
        x[:, 1:]
    assert len(x._family) <= 70
    with pytest.raises(TypeError, match="shares memory"):
        x += 1.0
    assert kept.hi.item() == 3.0
    alive = [x[:, 1:] for _ in range(100)]
    assert len(x._family) >= 102
    assert all(other._family is x._family for other in alive)


def test_steps_in_place_keep_kind_and_shape():
    x = box()
    with pytest.raises(TypeError, match="would make Jet of Interval"):
        x.becomes(variables(Interval(np.zeros((1, 1, 1)))))
    with pytest.raises(ValueError, match=r"cannot change shape \(1, 2\) to \(2, 2\)"):
        x.becomes(Interval(np.zeros((2, 2))))
    with pytest.raises(TypeError, match="assigned for all inputs"):
        x[0] = 1.0
    with pytest.raises(ValueError, match=r"cannot change shape \(1, 2\) to \(1, 1\)"):
        x @= np.ones((2, 1))
