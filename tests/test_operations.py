"""What people write in targets is enclosed, or refused by name: the table of cases/operations.py.

Exact values are Arb's: no allowance for rounding enters.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
from flint import arb, ctx

from cases.operations import GROUPS, PAGE, SHAPE, enclosable, function_of, operations, page, status
from looprate.theory.enclosure import Interval, Jet, variables
from looprate.theory.enclosure.affine import Affine, affine_variables
from looprate.theory.enclosure.curved import curved_variables
from looprate.theory.enclosure.gains import grouped_variables

BITS = 200
KINDS = (lambda box: box, variables, curved_variables, affine_variables, grouped_variables)
SIDES = (0.0, 1e-7, 1e-3, 1e-1, 2.0, 2.0)  # largest sides of boxes
LINES = {line.label: line for line in operations()}
ROUNDING = 1e-12  # of the largest value: what float64 adds to exact values
VALUES = 1_000_000


def every(kind):
    """The lines that one kind of function has."""
    return [line.label for line in operations() if getattr(line, kind)]


def enclosed(label, kind):
    """The function of a line on enclosures; None where it is refused, by name or with the cure."""
    line = LINES[label]
    found = status(getattr(line, kind), kind, line.box)
    if found.word == "refused":
        assert "attribute" not in found.why  # it says what to write, not what is missing inside
        return None
    return enclosable(getattr(line, kind), kind)


@functools.cache
def boxes(label):
    """Boxes of all sizes in the domain of a line, and two points in each."""
    rng = np.random.default_rng(0)
    low, high = LINES[label].box
    shape = (len(SIDES), *SHAPE)
    middle, side = low + (high - low) * rng.random(shape), np.array(SIDES)[:, None, None]
    ends = np.maximum(middle - side / 2, low), np.minimum(middle + side / 2, high)
    points = [np.clip(ends[0] + (ends[1] - ends[0]) * rng.random(shape), *ends) for _ in (0, 1)]
    return Interval(*ends), points


@functools.cache
def exact(label):
    """The exact values of a line at the points, as balls, (point, box, entry)."""
    make = function_of(LINES[label].oracle, "exact")
    with ctx.workprec(BITS):
        rows = [[np.ravel(make(_balls(row[None]))) for row in x] for x in boxes(label)[1]]
        return [[[arb(v) for v in row.tolist()] for row in part] for part in rows]


def _balls(x):
    """Floats as an object array of balls."""
    made = np.empty(x.shape, dtype=object)
    made.reshape(-1)[:] = [arb(v) for v in x.ravel().tolist()]
    return made


def missed(f, label, kinds=KINDS, narrowed=0.0):
    """How many exact values, and differences of them, lie outside of what f's enclosures say."""
    box, points = boxes(label)
    values, count = exact(label), 0
    for kind in kinds:
        with np.errstate(all="ignore"):
            found = f(kind(box))
        ranges = found if isinstance(found, Interval) else found.value
        size = narrowed * np.maximum(np.minimum(ranges.magnitude, 1e9), 1.0)
        lo, hi = (
            end.reshape(len(SIDES), -1).tolist() for end in (ranges.lo + size, ranges.hi - size)
        )
        for rows in values:
            for k, row in enumerate(rows):
                pairs = zip(lo[k], row, hi[k], strict=True)
                count += sum(not (arb(a) <= v and v <= arb(b)) for a, v, b in pairs)
        if isinstance(found, Jet):
            count += unexplained(found.slope, points, values)
        if isinstance(found, Affine):
            count += off_the_line(found, box, points, values)
    return count


def unexplained(slope, points, values):
    """How many exact differences u(X) - u(Y) are no g · (X - Y) with g in the slopes."""
    count, flat = 0, slope.reshape((*slope.shape[:2], -1))
    with ctx.workprec(BITS):
        for k, (x, y) in enumerate(zip(*points, strict=True)):
            steps = [
                arb(a) - arb(b) for a, b in zip(x.ravel().tolist(), y.ravel().tolist(), strict=True)
            ]
            used = [j for j, step in enumerate(steps) if step != 0]
            for e, (a, b) in enumerate(zip(values[0][k], values[1][k], strict=True)):
                ends = [(flat.lo[j, k, e], flat.hi[j, k, e]) for j in used]
                if not used or not np.isfinite(ends).all():
                    continue
                products = [
                    sorted((arb(v) * steps[j] for v in pair), key=float)
                    for j, pair in zip(used, ends, strict=True)
                ]
                low, high = (sum((pair[side] for pair in products), arb(0)) for side in (0, 1))
                count += not (low <= a - b and a - b <= high)
    return count


def off_the_line(found, box, points, values):
    """How many exact values are farther from their affine form than it says."""
    half = np.maximum(box.hi / 2 - box.lo / 2, 1e-300).reshape(len(SIDES), -1)
    at, gradient, rest = found.linear(half)
    centre = np.clip(box.lo / 2 + box.hi / 2, box.lo, box.hi)
    count = 0
    for x, rows in zip(points, values, strict=True):
        moved = (x - centre).reshape(len(SIDES), -1)
        line = at + np.einsum("bk,kbnd->bnd", moved, gradient)
        size = np.abs(line) + np.einsum("bk,kbnd->bnd", np.abs(moved), np.abs(gradient))
        gap = np.abs(line.reshape(len(SIDES), -1) - np.array(rows, dtype=float))
        count += int((gap > (rest + ROUNDING * size).reshape(len(SIDES), -1)).sum())
    return count


@pytest.mark.parametrize("label", every("numpy"))
def test_exact_values_and_differences_of_numpys_functions_are_enclosed(label):
    f = enclosed(label, "numpy")
    assert f is None or missed(f, label, KINDS[:2]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["numpy", "torch"])
@pytest.mark.parametrize("label", LINES)
def test_exact_values_are_in_enclosures_of_every_kind(label, kind):
    f = enclosed(label, kind) if getattr(LINES[label], kind) else None
    assert f is None or missed(f, label) == 0


@pytest.mark.slow
@pytest.mark.parametrize("label", every("numpy"))
def test_a_million_values_are_enclosed(label):
    f = enclosed(label, "numpy")
    if f is None:
        return
    make, (low, high), rng = (
        function_of(LINES[label].numpy, "numpy"),
        LINES[label].box,
        np.random.default_rng(1),
    )
    count = VALUES // (4 * np.prod(SHAPE))
    middle = low + (high - low) * rng.random((count, *SHAPE))
    side = 10.0 ** rng.uniform(-8, 0, (count, 1, 1))
    ends = np.maximum(middle - side, low), np.minimum(middle + side, high)
    with np.errstate(all="ignore"):
        found = f(Interval(*ends))
    for _ in range(4):
        values = make(ends[0] + (ends[1] - ends[0]) * rng.random(middle.shape)).reshape(found.shape)
        slack = ROUNDING * np.maximum(np.abs(values), 1.0)
        assert (found.lo <= values + slack).all()
        assert (values - slack <= found.hi).all()


METHODS = {
    "cumsum": lambda x: (x.cumsum(1), np.cumsum(x, 1)),
    "prod": lambda x: (x.prod(axis=1, keepdims=True), np.prod(x, 1, keepdims=True)),
    "dot": lambda x: (x.dot(np.ones((2, 3))), x @ np.ones((2, 3))),
    "take": lambda x: (x.take([1, 0], axis=2), x[..., ::-1]),
    "repeat": lambda x: (x.repeat(2, axis=1), x[:, [0, 0, 1, 1, 2, 2]]),
    "squeeze": lambda x: (x[:, :1].squeeze(1), x[:, 0]),
    "ravel": lambda x: (x.ravel(), x.flatten()),
    "diagonal": lambda x: (x.diagonal(0, 1, 2), np.stack([x[:, 0, 0], x[:, 1, 1]], -1)),
    "trace": lambda x: (x.trace(0, 1, 2), x[:, 0, 0] + x[:, 1, 1]),
    "transposes": lambda x: (x.mT, x.T.transpose(2, 0, 1)),
    "in float64": lambda x: (np.sum(x, 1, dtype=np.float64), x.sum(1)),
    "of nothing": lambda x: (x[:, :0].sum(1), np.zeros((len(x), 2)) * x[:, 0]),
    "reduced": lambda x: (np.maximum.reduce(x, axis=1), x.max(1)),
}


@pytest.mark.parametrize("name", METHODS)
def test_methods_and_other_words_are_the_functions(name):
    low = np.random.default_rng(0).random((2, *SHAPE))
    one, other = METHODS[name](low)
    assert np.allclose(one, other)
    for kind in KINDS[:3]:
        made = METHODS[name](kind(Interval(low, low + 0.1)))
        first, second = (m if isinstance(m, Interval) else m.value for m in made)
        assert first.lo.shape == one.shape
        assert first.lo.ravel() == pytest.approx(second.lo.ravel(), abs=1e-12)
        assert first.hi.ravel() == pytest.approx(second.hi.ravel(), abs=1e-12)


@pytest.mark.parametrize("label", ["arctangent", "softplus", "Euclidean norm", "error function"])
def test_a_narrowed_enclosure_is_caught(label):
    assert missed(enclosed(label, "numpy"), label, KINDS[:1], narrowed=1e-12) > 0


@pytest.mark.parametrize("label", ["arctangent", "softplus", "Euclidean norm", "running sum"])
def test_wrong_slopes_are_caught(label, monkeypatch):
    f = enclosed(label, "numpy")

    def wrong(jet):
        made = f(jet)
        return Jet(made.value, made.slope * 0.999) if isinstance(made, Jet) else made

    assert missed(wrong, label, KINDS[1:2]) > 0


def test_the_page_has_every_line_of_the_table():
    told = PAGE.read_text(encoding="utf-8")
    assert all(f"\n| {label} | " in told for label in LINES)
    assert all(f"\n## {name}\n" in told for name in GROUPS)
    rows = told.count("\n| ") - len(GROUPS)
    assert rows == len(LINES), "run: python tests/cases/operations.py"


@pytest.mark.slow
def test_the_page_is_what_the_table_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python tests/cases/operations.py"
