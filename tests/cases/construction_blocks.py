"""Small networks that exercise every rule of the exact evaluators, with no proof behind them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from looprate.theory.construction.build.network import Affine, Block, Form, Head, Network, Unit

CLOCK = ("tick", "big", "one")
DATA = ("a", "b", "top", "y", "total")
LOOPS = 7


def random_network(rng: np.random.Generator, dim: int) -> Network:
    """A random block: clock rows (one of 300 bits), drift, eta, and one head of the fast kind."""
    x = tuple(f"x_{i}" for i in range(dim))
    rows = (*x, *DATA, *CLOCK)
    units = [
        Unit("clear_top", {"top": 1}, 0, {"top": -1}),
        Unit("lift_top", {"top": -1}, 0, {"top": 1}),
        Unit("halve", {"big": 1}, -(2**299), {"big": -1, "tick": 1}),
        Unit("past", {"big": 1}, -(2**299) - 1, {"big": 1, "tick": -1, "y": _weight(rng)}),
        Unit("zero_weights", {"a": 0, "one": 1}, 1, {"b": 0, "y": 1}),
    ]
    for place in range(int(rng.integers(4, 12))):
        reads = _form(rng, (*x, *DATA), 2) | _form(rng, ("tick", "one"), 1)
        writes = _form(rng, (*x, *DATA), 2)
        bias = int(rng.integers(-4, 5))
        units.append(Unit(f"from_{place}", reads, bias, writes))
        if rng.random() < 0.5:  # a step: the pair of units with opposite writes
            less = {row: -weight for row, weight in writes.items()}
            units.append(Unit(f"past_{place}", reads, bias - 1, less))
    key = {"a": 1, "tick": 1} | _form(rng, x, 1)
    encoder = {row: Affine({i: _weight(rng), 0: _weight(rng)}, 1) for i, row in enumerate(x)}
    encoder |= {"big": Affine(bias=2**300 + 5), "one": Affine(bias=1), "b": Affine(bias=-2)}
    eta = {
        row: tuple(int(v) for v in rng.integers(-1, 3, LOOPS - 1))
        for row in ("y", "a", "tick", "x_0")
        if rng.random() < 0.5
    }
    return Network(
        block=Block(
            rows=rows,
            heads=(Head({"one": 2}, key, key, {"top": 1, "total": _weight(rng)}),),
            units=tuple(units),
            drift={"tick": 1, "x_0": -1, "y": _weight(rng)},
        ),
        encoder=encoder,
        decoder=tuple(({"y": Fraction(1, 3), "tick": 2}, Fraction(i, 5)) for i in range(dim)),
        eta=eta,
        loops=LOOPS,
    )


def one_row(units: tuple[Unit, ...], *, heads: tuple[Head, ...] = (), loops: int = 3) -> Network:
    """x, a row y to write to and a row one = 1; d = 1, decoded from y."""
    block = Block(("x", "y", "one"), heads, units, {})
    encoder = {"x": Affine({0: 1}), "one": Affine(bias=1)}
    return Network(block, encoder, (({"y": Fraction(1)}, Fraction(0)),), {}, loops)


def _weight(rng: np.random.Generator) -> int:
    """-2, -1, 1 or 2."""
    return int(rng.choice([-2, -1, 1, 2]))


def _form(rng: np.random.Generator, rows: tuple[str, ...], most: int) -> Form:
    """Up to ``most`` rows with small weights."""
    picked = rng.choice(rows, size=int(rng.integers(0, most + 1)), replace=False)
    return {str(row): _weight(rng) for row in picked}
