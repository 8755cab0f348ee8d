"""A vector over its own norm stays within its limits, however it is written; over another, not."""

from __future__ import annotations

import numpy as np
import pytest

from looprate.theory.enclosure import Interval, variables
from looprate.theory.enclosure.affine import affine_variables
from looprate.theory.enclosure.curved import curved_variables
from looprate.theory.enclosure.gains import grouped_variables

KINDS = (lambda box: box, variables, curved_variables, affine_variables, grouped_variables)
BOX = Interval(np.full((1, 3, 2), -1.0), np.full((1, 3, 2), 1.0))
POINTS = np.random.default_rng(0).uniform(-1, 1, (4000, 3, 2))
POINTS[:1000] *= 1e-6
POINTS[1000:2000, 1:] *= 1e-6
CLOSE = 1e-9


def norm(x, **settings):
    return np.linalg.norm(x, axis=1, keepdims=True, **settings)


def mean(x):
    return x.mean(1, keepdims=True)


def stale(x):
    h = 1 * x
    n = norm(h) + 1e-9
    h *= 3
    return h / n


def less_stale(x):
    n = norm(x) + 1e-9
    n -= 0.5 * n
    return x / n


def changed_after(x):
    h = 1 * x
    g, m = h, mean(h)
    g += 1
    return (h - m) / (np.std(h, axis=1, keepdims=True) + 1e-9)


def by_coordinates(gap):
    return gap / np.sqrt((gap**2).sum(2, keepdims=True) + 1e-12)


THREE = 3
OWN = {  # what is written -> the largest value it has, about
    "norm": (lambda x: x / (norm(x) + 1e-8), 1),
    "limit": (lambda x: x / np.maximum(norm(x), 1e-8), 1),
    "clip": (lambda x: x / np.clip(norm(x), 1e-8, None), 1),
    "by hand": (lambda x: x / np.sqrt((x**2).sum(1, keepdims=True) + 1e-12), 1),
    "mean square": (lambda x: x / np.sqrt(mean(np.square(x)) + 1e-12), THREE**0.5),
    "over N": (lambda x: x / np.sqrt((x**2).sum(1, keepdims=True) / 3 + 1e-12), THREE**0.5),
    "deviation": (lambda x: (x - mean(x)) / (x.std(1, keepdims=True) + 1e-8), 2**0.5),
    "of a sample": (lambda x: (x - mean(x)) / (x.std(1, ddof=1, keepdims=True) + 1e-8), 2 / 3**0.5),
    "last axis": (lambda x: x / (np.linalg.norm(x, axis=-1)[..., None] + 1e-8), 1),
    "last mean": (
        lambda x: (x - x.mean(-1)[..., None]) / np.sqrt(x.var(-1)[..., None] + 1e-12),
        1,
    ),
    "variance": (lambda x: (x - mean(x)) / np.sqrt(x.var(1, keepdims=True) + 1e-12), 2**0.5),
}
OTHER = {
    "doubled": lambda x: 2 * x / (norm(x) + 1e-8),
    "less": lambda x: x / (norm(x) - 0.5 * norm(x)),
    "part": lambda x: x / (0.25 * norm(x) + 1e-8),
    "reversed": lambda x: x[:, ::-1] / (norm(x[:, :1]) + 1e-8),
    "another": lambda x: x / (norm(x[:, ::-1] * np.array([[0.1], [0.2], [0.3]])) + 1e-8),
    "of squares": lambda x: x / (mean(x**2) + 1e-8),
    "no mean": lambda x: x / (x.std(1, keepdims=True) + 1e-8),
    "another mean": lambda x: (x - mean(x * x)) / (x.std(1, keepdims=True) + 1e-8),
    "moved": lambda x: (x - mean(x) - 1) / (x.std(1, keepdims=True) + 1e-8),
    "other axis": lambda x: x / (np.linalg.norm(x, axis=2, keepdims=True) * 0.1 + 1e-8),
    "mean and norm over other axes": lambda x: (
        2 * (x - mean(x)) / np.sqrt(((x - mean(x)) ** 2).sum(2, keepdims=True) + 1e-12)
    ),
    "its own gap": lambda x: by_coordinates(x - mean(x)) + by_coordinates(x - mean(x)),
    "the wrong axis back": lambda x: x[:, :2] / (np.linalg.norm(x[:, :2], axis=1)[..., None] + 0.1),
    "stale": stale,
    "less, in place": less_stale,
    "changed after": changed_after,
}


def values_inside(f):
    for kind in KINDS:
        with np.errstate(all="ignore"):
            found = f(kind(BOX))
        ranges, values = found if isinstance(found, Interval) else found.value, f(POINTS.copy())
        assert (ranges.lo - CLOSE * np.abs(values) <= values).all()
        assert (values <= ranges.hi + CLOSE * np.abs(values)).all()
        yield ranges, float(np.abs(values).max())


@pytest.mark.parametrize("name", OWN)
def test_over_its_own_norm_a_vector_keeps_within_what_it_reaches(name):
    f, most = OWN[name]
    for ranges, seen in values_inside(f):
        assert ranges.magnitude.max() <= most * (1 + 1e-9)
        assert seen >= 0.95 * most


@pytest.mark.parametrize("name", OTHER)
def test_over_anything_else_it_is_not_limited(name):
    for ranges, seen in values_inside(OTHER[name]):
        assert ranges.magnitude.max() >= seen > 1.5


def test_a_norm_that_is_forgotten_to_change_is_caught(monkeypatch):
    monkeypatch.setattr(Interval, "_take", lambda self, other: setattr(self, "lo", other.lo)
                        or setattr(self, "hi", other.hi))  # fmt: skip
    with pytest.raises(AssertionError):
        list(values_inside(less_stale))
