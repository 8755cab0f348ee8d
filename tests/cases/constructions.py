"""Specs, exact inputs and label tables for the tests of constructed networks."""

from fractions import Fraction
from functools import lru_cache
from itertools import product

import numpy as np

from looprate.theory.construction.build.coding import label
from looprate.theory.construction.build.contextual import contextual_code
from looprate.theory.construction.build.labels import LabelTable
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.memorisers import MEMORISERS

__all__ = [
    "ONE_CODE",
    "SEQUENCES",
    "SHAPES",
    "VARIANTS",
    "cell_point",
    "cell_tuples",
    "hand_table",
    "make_spec",
    "plain_labels",
    "plain_value",
    "strip_point",
]

SHAPES = ((1, 1, 4), (2, 1, 3), (3, 1, 3), (1, 2, 2), (2, 2, 2), (3, 2, 2))  # (N, d, m)
ONE_CODE = ("sum", "rank")  # one code s for all tokens, shared cells as one
VARIANTS = (  # increments, timestep and digits on all codes, two levels on the others code alone
    *product(("increments", "timestep", "digits"), (*ONE_CODE, "others")),
    *((name, "others") for name in MEMORISERS if name.startswith("two-level")),
)
UNIT = Fraction(1, 4)  # of values made by hand

SEQUENCES = {  # hard sequences of label values, by their count
    "constant": lambda count: [3] * count,
    "monotone": lambda count: [k * k for k in range(count)],
    "falling": lambda count: [-7 * k for k in range(count)],
    "alternating": lambda count: [100 * (k % 2) for k in range(count)],
    "uneven gaps": lambda count: [0, 10, 7, -4][: min(count, 4)] + [-4] * (count - 4),
    "one spike": lambda count: [-5 if k == count // 2 else -1000 for k in range(count)],
    "random": lambda count: np.random.default_rng(count).integers(-99, 99, count).tolist(),
}


def make_spec(tokens, dim, grid, memoriser="timestep", coding="rank", *, bits=3, **more):
    """A spec in one line; bits are kept for memorisers that take them."""
    given = bits if MEMORISERS[memoriser].takes_bits else None
    return ConstructionSpec(tokens, dim, grid, memoriser, coding, given, **more)


def hand_table(values, dim=1):
    """A label table of integers: one sequence for all coordinates, or one for each."""
    columns = np.asarray(values, dtype=np.int64).reshape(dim if np.ndim(values) > 1 else 1, -1)
    values = np.ascontiguousarray(np.broadcast_to(columns, (dim, columns.shape[1])).T)
    return LabelTable(values, np.ones(len(values), dtype=bool), UNIT)


def plain_value(k, spec, table, coordinate):
    """What the memoriser's plain twin answers at a label k, any real number."""
    return _answer(spec, table)(k, coordinate)


@lru_cache(maxsize=64)
def _answer(spec, table):
    """What the memoriser answers, its lattices made once."""
    return MEMORISERS[spec.memoriser].answer(spec, table)


def plain_labels(cells, firsts, spec):
    """The labels of tokens in these cells, of first coordinates b_0, by the plain twins of one
    code."""
    code, ranks = contextual_code(cells, spec)
    tokens = zip(cells, firsts, ranks, strict=True)
    return [label(code, cell=z, first=b, rank=rank, spec=spec) for z, b, rank in tokens]


def cell_tuples(spec):
    """Every choice of a cell for every token, collisions included."""
    return product(range(spec.cells), repeat=spec.tokens)


def cell_point(cells, spec, rng):
    """An input off the strips with these cells; edges of the cells come up often.

    On the others code the earlier of two tokens of one b_0 has the larger first coordinate.
    """
    point = [
        [_inside(z // spec.grid**i % spec.grid, spec, rng) for i in range(spec.dim)] for z in cells
    ]
    if spec.coding == "others":
        below = [z % spec.grid for z in cells]
        places = sorted(rng.sample(range(spec.sharpness), len(cells)), reverse=True)
        for n, b in enumerate(below):
            if below.count(b) > 1:
                place = places[below[:n].count(b)] + 1
                point[n][0] = Fraction(b, spec.grid) + Fraction(place, spec.slope)
    return point


def strip_point(spec, rng):
    """An input with about half of its coordinates inside strips, the others anywhere."""

    def coordinate():
        inside = spec.grid > 1 and rng.random() < 0.5
        return _in_strip(spec, rng) if inside else Fraction(rng.randrange(33), 32)

    return [[coordinate() for _ in range(spec.dim)] for _ in range(spec.tokens)]


def _inside(b, spec, rng):
    """A coordinate of cell b: its lowest point off the strip, its upper grid line, or between."""
    low = Fraction(b, spec.grid) + (Fraction(1, spec.slope) if b else 0)
    high = Fraction(b + 1, spec.grid)
    return low + (high - low) * rng.choice([0, 1, Fraction(rng.randrange(9), 8)])


def _in_strip(spec, rng):
    """A coordinate inside a strip."""
    line = rng.randrange(1, spec.grid)
    return Fraction(line, spec.grid) + Fraction(rng.randrange(1, 8), 8 * spec.slope)
