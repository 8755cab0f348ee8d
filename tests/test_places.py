"""Sets of cells of a grid, asked whether boxes meet them, against slow twins."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from looprate.theory.continuity.upper.places import Places


def test_places_are_the_cells_that_boxes_overlap():
    rng = np.random.default_rng(11)
    steps = 8
    low = rng.integers(0, steps, (5, 2)) / steps
    high = low + rng.integers(1, 3, (5, 2)) / steps
    high = np.minimum(high, 1.0)
    places = Places.of(low, high, steps)
    mask = np.zeros((steps, steps), dtype=bool)
    for a, b in zip(low, high, strict=True):
        i, j = (np.round(a * steps).astype(int), np.round(b * steps).astype(int))
        mask[i[0] : j[0], i[1] : j[1]] = True
    assert places.share == pytest.approx(mask.mean())
    for i, j in product(range(steps), repeat=2):
        corner = np.array([[i, j]]) / steps
        assert places.meet(corner, corner + 1 / steps)[0] == mask[i, j]
        assert places.meet(corner + 0.3 / steps, corner + 0.3 / steps)[0] == mask[i, j]
        wide = mask[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2].any()
        around = np.clip(corner - 0.5 / steps, 0, 1), np.clip(corner + 1.5 / steps, 0, 1)
        assert places.meet(*around)[0] == wide
    turned = places.permuted((0, 1), 1)
    assert turned.share == pytest.approx((mask | mask.T).mean())
    assert places.permuted((0,), 1).share == places.share


@pytest.mark.parametrize(("width", "steps"), [(1, 4), (2, 4), (3, 2)])
def test_places_meet_boxes_as_sets_of_cells_do(width, steps):
    """Boxes of any ends, points and faces among them, against cells told one by one."""
    rng = np.random.default_rng(12)
    ends_ = np.sort(rng.integers(0, 2 * steps + 1, (2, 40, width)) / (2 * steps), axis=0)

    def cells_of(low, high):
        """The cells that a box overlaps; of a box without width, the one it lies in."""
        spans = []
        for a, b in zip(low, high, strict=True):
            inside = [k for k in range(steps) if k / steps < b and (k + 1) / steps > a]
            lies = min(int(a * steps), steps - 1)
            spans.append(inside if a < b else [lies])
        return set(product(*spans))

    for count in (0, 1, 2):
        low, high = ends_[:, :count]
        places = Places.of(low, high, steps)
        filled = set().union(*(cells_of(a, b) for a, b in zip(low, high, strict=True)))
        assert places.share == len(filled) / steps**width
        assert places.ndim == width
        assert places.below.dtype == np.int32
        met = places.meet(*ends_)
        wanted = [bool(cells_of(a, b) & filled) for a, b in zip(*ends_, strict=True)]
        assert met.tolist() == wanted
        assert count == 0 or 0 < sum(wanted) < 40


def test_places_of_tokens_in_every_order():
    low = np.array([[0.0, 0.5, 0.0, 0.0, 0.5, 0.5]])  # tokens (0, 1), (0, 0), (1, 1) of halves
    places = Places.of(low, low + 0.5, 2)
    assert places.share == 1 / 64
    assert places.permuted((0, 1, 2), 2).share == 6 / 64
    two = places.permuted((0, 2), 2)
    assert two.share == 2 / 64
    turned = np.array([[0.5, 0.5, 0.0, 0.0, 0.0, 0.5]])
    assert two.meet(turned, turned + 0.5).tolist() == [True]
    assert places.meet(turned, turned + 0.5).tolist() == [False]
    other = np.array([[0.0, 0.0, 0.0, 0.5, 0.5, 0.5]])
    assert two.meet(other, other + 0.5).tolist() == [False]
