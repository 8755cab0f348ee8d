"""Axes of enclosures: transpose, einsum and einops hold every value and little more.  R22."""

import sys
from types import ModuleType

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, axes, enclose
from looprate.theory.enclosure.arrays import EnclosureArray

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(2, 2))
LOW = 0.7 * RNG.random((20, 3, 2))
HIGH = LOW + 0.2 * RNG.random(LOW.shape)


def turned(x):
    h = np.sin(np.transpose(x, (0, 2, 1)))
    return np.transpose(np.transpose(h), (2, 0, 1)).swapaxes(1, 2).reshape(x.shape) + 0 * x


def scores(x):
    a = np.einsum("bnd,bmd->bnm", x, x)
    return np.einsum("bnm,bmd->bnd", a, np.einsum("bnd,de->bne", x, MATRIX))


def total(x):
    return x + np.einsum("b n d -> b", x)[:, None, None]


def left(x):
    return np.tanh(np.einsum("ed,bnd->bne", MATRIX, x))


@pytest.mark.parametrize("function", [turned, scores, total, left])
def test_values_lie_in_enclosures_that_come_close(function):
    found = enclose(function, LOW, HIGH)
    part = RNG.random((200, *LOW.shape))
    part[:60] = np.round(part[:60])  # corners
    values = np.stack([function(LOW + (HIGH - LOW) * each) for each in part])
    assert all(found.contains(each).all() for each in values)
    wide, seen = (found.hi - found.lo).mean(), (values.max(0) - values.min(0)).mean()
    assert wide < 1.6 * seen
    points = enclose(function, LOW, LOW)
    assert np.abs(points.hi - points.lo).max() < 1e-13


@pytest.mark.parametrize("pattern", ["b...->b", "bnd->bdd"])
def test_patterns_without_an_enclosure_are_refused(pattern):
    with pytest.raises(TypeError, match="`einsum` has no enclosure with the pattern"):
        axes.einsum(
            pattern, *[Interval(np.zeros((1, 2, 2)))] * len(pattern.partition("-")[0].split(","))
        )


def test_an_order_of_axes_is_checked():
    with pytest.raises(ValueError, match=r"`axes` must be an order of 0 to 2, got \(0, 1, 1\)"):
        np.transpose(Interval(np.zeros((1, 2, 2))), (0, 1, 1))


def test_what_einops_asks_of_arrays_is_there(monkeypatch):
    """A stand-in for einops, which looks for classes derived from its own."""
    stub = ModuleType("einops._backends")
    stub.AbstractBackend = type("AbstractBackend", (), {})
    axes._backend.cache_clear()
    monkeypatch.delitem(sys.modules, "einops", raising=False)
    axes.know_einops(EnclosureArray)
    assert not axes._backend.cache_info().currsize  # nobody has imported it
    monkeypatch.setitem(sys.modules, "einops", ModuleType("einops"))
    monkeypatch.setitem(sys.modules, "einops._backends", stub)
    axes.know_einops(EnclosureArray)
    (found,) = (made() for made in stub.AbstractBackend.__subclasses__())
    x = Interval(LOW, HIGH)
    assert found.is_appropriate_type(x)
    assert not found.is_appropriate_type(LOW)
    assert found.transpose(x, (1, 2, 0)).shape == (3, 2, 20)
    assert found.reduce(x, "max", (1,)).contains(LOW.max(1)).all()
    grown = found.add_axis(x, 1)
    assert found.tile(grown, (1, 4, 1, 1)).shape == (20, 4, 3, 2)
    assert found.tile(grown, (1, 4, 1, 1)).contains(LOW[:, None]).all()
    assert found.einsum("abc,cd->abd", x, MATRIX).contains(LOW @ MATRIX).all()
    with pytest.raises(TypeError, match="no enclosure with 'prod'"):
        found.reduce(x, "prod", (1,))
    axes._backend.cache_clear()


def test_functions_through_einops_are_enclosed():
    einops = pytest.importorskip("einops")

    def own(x):
        h = np.sin(einops.rearrange(x, "b n (c d) -> b c d n", c=1))
        m = einops.repeat(einops.reduce(x, "b n d -> b d", "max"), "b d -> b n d", n=x.shape[1])
        y = einops.einsum(
            einops.rearrange(h, "b c d n -> b n (c d)"), MATRIX, "b n d, d e -> b n e"
        )
        return y - m

    found = enclose(own, LOW, HIGH)
    for part in RNG.random((50, *LOW.shape)):
        assert found.contains(own(LOW + (HIGH - LOW) * part)).all()
