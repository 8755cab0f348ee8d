"""Functions drawn at random: their enclosures and certified bounds hold what 300 bits say of them.

Exact values must lie inside, without any allowance.  A function may be refused, which is counted;
it may not have a bound that a pair of inputs exceeds.
"""

from __future__ import annotations

import collections
import warnings

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from cases.programs import BITS, Program, Step, exact, programs
from looprate.approx.enclosed import enclosed
from looprate.theory.continuity import modulus_lower_bound, modulus_upper_bound
from looprate.theory.enclosure import Interval, enclose, rounding
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.forms import evaluated
from looprate.theory.enclosure.in_place import InPlace
from looprate.theory.enclosure.soundness import check_enclosures

EVALUATION = 4  # widths of its point enclosure that a value in float64 may be off
SIDES = (0.0, 0.0, 1e-9, 0.1, 1.0)  # of boxes
SHAPES = ((2, 1), (1, 2), (2, 2), (3, 1))
LEAST_CERTIFIED = 0.3  # of functions drawn: the fuzz must not live on refusals
counts: collections.Counter[str] = collections.Counter()


def fuzz(examples, **more):
    """Settings of a run that draws the same functions each time."""
    return settings(
        max_examples=examples,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        **more,
    )


def boxes(shape, number):
    """Return boxes of all sizes and points in them, ends included."""
    rng = np.random.default_rng(number)
    side = np.array(SIDES)[:, None, None]
    low = rng.random((len(SIDES), *shape)) * (1 - side)
    high = np.minimum(low + side, 1.0)
    share = np.stack([rng.random(low.shape), rng.integers(0, 2, low.shape)])
    return low, high, np.clip(low + share * (high - low), low, high)


def assert_inside(found, balls):
    """Every ball meets its interval: none is proven to lie outside."""
    with ctx.workprec(BITS):
        ends = zip(found.lo.ravel().tolist(), found.hi.ravel().tolist(), strict=True)
        for (lo, hi), ball in zip(ends, balls.ravel().tolist(), strict=True):
            outside = ball < arb(lo) or ball > arb(hi)
            assert not outside, (lo, hi, ball)


def check_ranges(function, program, shape, number):
    """Compare enclosures on boxes with exact values, and values in float64 with both."""
    low, high, points = boxes(shape, number)
    found = [enclose(function, low, high)]
    try:
        found.append(evaluated(function, affine_variables(Interval(low, high))))
    except ValueError:  # affine forms have fewer operations
        counts["without affine form"] += 1
    for inner in points:
        balls = exact(program, inner)
        for ranges in found:
            assert_inside(ranges if isinstance(ranges, Interval) else ranges.value, balls)
        plain = function(inner.copy())
        thin = enclose(function, inner, inner)
        near = EVALUATION * thin.width
        sure = np.isfinite(near) & np.isfinite(plain)
        assert (plain >= thin.lo - near)[sure].all()
        assert (plain <= thin.hi + near)[sure].all()


def check_modulus(function, program, shape, number, seconds=0.05):
    """Compare a certified bound with pairs of inputs, differences exact."""
    rng = np.random.default_rng(number)
    delta, kind = 10.0 ** rng.uniform(-4, 0), ("sequence", "token")[number % 2]
    p = (1.0, 2.0, np.inf)[number % 3]
    asked = {"kind": kind, "tokens": shape[0], "dim": shape[1], "p": p}
    lower = modulus_lower_bound(program, delta, **asked, effort=0.01, equivariant=False)
    found = modulus_upper_bound(
        function, delta, **asked, seconds=seconds, lower=lower, equivariant=False
    )
    counts["bounded"] += bool(np.isfinite(found.value))
    x = rng.random((6, *shape))
    step = rng.normal(size=x.shape)
    moved = rng.integers(0, shape[0], len(x))  # of kind "token": the only one that is, and watched
    if kind == "token":
        step[np.arange(shape[0]) != moved[:, None]] = 0.0
    y = np.clip(
        x + delta * (1 - 1e-12) * step / np.sqrt((step**2).sum((1, 2), keepdims=True)), 0, 1
    )
    x, y = np.concatenate([x, lower.x[None]]), np.concatenate([y, lower.y[None]])
    with ctx.workprec(BITS):
        gaps = exact(program, x) - exact(program, y)
        length = np.frompyfunc(lambda v: arb(float(v)), 1, 1)(x - y)
        watched = [*moved.tolist(), lower.row]
        for gap, move, row in zip(gaps, length, watched, strict=True):
            if sum(v * v for v in move.ravel()).sqrt() > arb(float(delta)):
                continue  # by rounding of the pair
            sizes = [abs(v) for v in (gap if kind == "sequence" else gap[row]).ravel()]
            if p == np.inf:
                norms = sizes
            else:
                norms = [sum(sizes) if p == 1 else sum(v * v for v in sizes).sqrt()]
            assert not any(norm > arb(float(found.value)) for norm in norms)


def tried(function, program, shape, number):
    """Run every comparison; a refusal is a ValueError and is counted."""
    counts["drawn"] += 1
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            check_ranges(function, program, shape, number)
        except ValueError:
            counts["without enclosure"] += 1
            return
        try:
            check_enclosures(function, tokens=shape[0], dim=shape[1])
            check_modulus(function, program, shape, number)
        except ValueError:
            counts["not certified"] += 1


class AsModule(nn.Module):
    """A program as a torch module."""

    def __init__(self, program):
        super().__init__()
        self.program = program

    def forward(self, x):
        return self.program.tensors(x)


def tried_with_torch(program, shape, number):
    """The same through the tracing of torch modules."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            function = enclosed(AsModule(program), tokens=shape[0], dim=shape[1])
            function.program  # noqa: B018
        except ValueError:
            counts["not traced"] += 1
            counts["drawn"] += 1
            return
    tried(function, program, shape, number)


DRAWN = {
    "program": programs(),
    "shape": st.sampled_from(SHAPES),
    "number": st.integers(0, 10**6),
}


def run(examples, test, **more):
    """Draw functions and run a test on each; return the counts."""
    counts.clear()
    fuzz(examples, **more)(given(**DRAWN)(test))()
    return dict(counts)


def by_numpy(program, shape, number):
    tried(program, program, shape, number)


def certified_share(found):
    refused = sum(found.get(k, 0) for k in ("without enclosure", "not certified", "not traced"))
    return 1 - refused / found["drawn"]


def test_numpy_functions_drawn_at_random_stay_in_their_enclosures_and_bounds():
    found = run(40, by_numpy)
    assert found["drawn"] >= 40
    assert certified_share(found) > LEAST_CERTIFIED


def test_torch_functions_drawn_at_random_stay_in_their_enclosures_and_bounds():
    found = run(8, tried_with_torch)
    assert found["drawn"] >= 8


@pytest.mark.slow
@pytest.mark.parametrize(("test", "examples"), [(by_numpy, 2000), (tried_with_torch, 200)])
def test_thousands_of_functions_stay_in_their_enclosures_and_bounds(test, examples, capsys):
    found = run(examples, test)
    with capsys.disabled():
        print(f"\n{test.__name__}: {found}")
    assert certified_share(found) > LEAST_CERTIFIED


def caught(examples=300):
    """Tell whether the fuzz fails, without looking for the smallest failure."""
    try:
        run(examples, by_numpy)
    except AssertionError:
        return True
    except BaseExceptionGroup as group:  # several failures
        return group.subgroup(AssertionError) is not None
    return False


def test_steps_in_place_that_other_names_do_not_see_are_caught(monkeypatch):
    monkeypatch.setattr(InPlace, "becomes", lambda self, made: made)
    assert caught()


@pytest.mark.parametrize("view", ["flat", "turned"])
def test_views_forgotten_are_caught(monkeypatch, view):
    """A step through a view, then the memory below: drawn functions meet it now and then."""
    steps = (Step(view, 1, 0, 1, 2.0), Step("iadd", 1, 0, 1, 1.0), Step("add", 1, 0, 1, 1.0))
    by_numpy(Program(steps, 1.0), (2, 1), 0)
    monkeypatch.setattr(InPlace, "share", lambda self, made: None)
    with pytest.raises(AssertionError):
        by_numpy(Program(steps, 1.0), (2, 1), 0)


@pytest.mark.parametrize("name", ["down", "up", "up_sum", "down_sum"])
def test_rounding_to_nearest_alone_is_caught(monkeypatch, name):
    monkeypatch.setattr(rounding, name, lambda x: x)
    assert caught(300)
