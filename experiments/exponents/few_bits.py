"""Constructed networks in floats and in integers of few bits: errors over loops and bits, floors.

Inputs are random points, the same for all, each given to the nearest strip width.  Errors are means
over them: estimates of the L^1 error, with a standard error of a few percent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.rows.provenance import stamped
from looprate.experiments.study.certificates import asked_spec
from looprate.theory.bounds.loop_counts import Coding
from looprate.theory.bounds.lower import worst_case_error_lower_bound
from looprate.theory.bounds.pattern_count import NetworkSize
from looprate.theory.construction.build.compile import Construction, compile_construction
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.few_bits import (
    bits_needed,
    for_few_bits,
    saturated_output,
)
from looprate.theory.targets import resolve_target

__all__ = ["few_bits_rows", "few_bits_tasks", "floors"]

Row = dict[str, Any]
Array = NDArray[np.float64]
POINTS = 512
SHARPNESS = 8  # cell width in strip widths: few bits are left for it
BROKEN = 2.0  # times the exact network's error, from which on arithmetic is said to break it
LINES: tuple[tuple[str, Coding, tuple[int, ...]], ...] = (  # memoriser, code, m while r < 1e5
    ("increments", "others", (1, 2, 3, 4, 5, 6, 8)),
    ("two-level-increments", "others", (1, 2, 3, 4, 5, 6, 8, 12, 16, 20, 24, 32)),
    ("timestep", "rank", (2, 4, 8, 16, 32, 64, 128)),
)
BOUND_BITS = (4, 6, 8, 11, 16, 24, 32, 53, 64)
MANY = 10**9  # loops of the lower bound, which depends on them no more


@dataclass(frozen=True)
class Arithmetic:
    """One arithmetic: its name, b, and whether it is torch's floating point."""

    name: str
    bits: int
    floating: bool


ARITHMETICS = (
    *(Arithmetic(f"int{b}", b - 1, False) for b in (8, 12, 16, 20)),
    Arithmetic("bfloat16", 8, True),
    Arithmetic("float16", 11, True),
    Arithmetic("float32", 24, True),
    Arithmetic("float64", 53, True),
)


def few_bits_tasks(target: str, most: int) -> list[Row]:
    """Return the arguments of :func:`few_bits_rows` for every memoriser, grids up to ``most``."""
    return [
        {
            "target": target,
            "memoriser": memoriser,
            "grids": [m for m in grids if m <= most],
            "seed": 0,
        }
        for memoriser, _, grids in LINES
    ]


@stamped
def few_bits_rows(
    report: Callable[[float], None], *, target: str, memoriser: str, grids: list[int], seed: int
) -> list[Row]:
    """Return rows of one memoriser over grids and arithmetics, N = 2, d = 1.

    A grid's networks are not run in an arithmetic that broke the two grids before.
    """
    f = resolve_target(target)
    x = np.random.default_rng(seed).random((POINTS, 2, 1))
    wanted = np.asarray(f(x))
    rows: list[Row] = []
    broken = dict.fromkeys((a.name for a in ARITHMETICS), 0)
    (coding,) = (code for name, code, _ in LINES if name == memoriser)
    for done, grid in enumerate(grids, start=1):
        how: dict[str, Any] = {"memoriser": memoriser, "coding": coding}
        spec = asked_spec(tokens=2, dim=1, grid=grid, sharpness=SHARPNESS, **how)
        built = compile_construction(f, spec)
        numbers = np.rint(x * spec.slope)
        for arithmetic in ARITHMETICS:
            if broken[arithmetic.name] >= 2:
                continue
            small = for_few_bits(built, arithmetic.bits)
            right = exact_output(small.network, numbers.astype(np.int64), denominator=1).floats
            exact, value = _error(right, wanted), _error(_run(small, numbers, arithmetic), wanted)
            bad = value is None or value > BROKEN * (exact or 0.0)
            broken[arithmetic.name] += bad
            rows.append(
                {
                    "target": target,
                    "memoriser": memoriser,
                    "coding": spec.coding,
                    "arithmetic": arithmetic.name,
                    "bits": arithmetic.bits,
                    "grid": grid,
                    "loops": spec.loops,
                    "needed": bits_needed(small, floating=arithmetic.floating),
                    "exact": exact,
                    "value": value,
                    "tokens": 2,
                    "dim": 1,
                    "p": 1.0,
                }
            )
        report(done / len(grids))
    return rows


def _error(outputs: Array, wanted: Array) -> float | None:
    """Mean of |output - f| over points; None where there is no number."""
    value = float(np.abs(outputs - wanted).sum(axis=(1, 2)).mean())
    return value if math.isfinite(value) else None


@np.errstate(all="ignore")
def _run(built: Construction, numbers: Array, arithmetic: Arithmetic) -> Array:
    """Outputs in one arithmetic."""
    if not arithmetic.floating:
        return saturated_output(built.network, numbers, bits=arithmetic.bits)
    import torch

    from looprate.approx.constructed.network import constructed_transformer

    dtype = getattr(torch, arithmetic.name)
    model = constructed_transformer(built.network, dtype=dtype, exact=False)
    with torch.no_grad():
        return np.asarray(model(torch.tensor(numbers, dtype=dtype)).double().numpy())


def floors(rows: Sequence[Row]) -> list[Row]:
    """Return measured and predicted floors of every memoriser and arithmetic.

    The measured one is the least error over grids, None unless a finer grid was run and broke; the
    predicted one the exact network's error on the finest grid whose numbers fit.
    """
    found = []
    for memoriser, _, _ in LINES:
        for arithmetic in ARITHMETICS:
            name = memoriser, arithmetic.name
            own = [row for row in rows if (row["memoriser"], row["arithmetic"]) == name]
            fits = [row for row in own if row["needed"] <= arithmetic.bits]
            reached = any(row["needed"] > arithmetic.bits for row in own)
            known = [row for row in own if row["value"] is not None]
            if not known:
                continue
            best = min(known, key=lambda row: row["value"])
            found.append(
                {
                    "memoriser": memoriser,
                    "arithmetic": arithmetic.name,
                    "bits": arithmetic.bits,
                    "measured": best["value"],
                    "predicted": fits[-1]["exact"] if fits and reached else None,
                    "grid": best["grid"],
                    "loops": best["loops"],
                    "most_loops": max(row["loops"] for row in own),
                    "reached": reached,
                }
            )
    return found


def figure_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows of the figure: errors, floors and what is proven of all weight-tied networks."""
    shape = {name: rows[0][name] for name in ("target", "tokens", "dim", "p")}
    drawn = [{"curve": "run", **row} for row in rows]
    drawn += [
        {"curve": curve, **floor, "value": floor[curve]}
        for floor in floors(rows)
        for curve in ("measured", "predicted")
    ]
    drawn += [{"curve": "lower", "bits": b, "value": _lower(b)} for b in BOUND_BITS]
    latex = resolve_target(shape["target"]).latex
    return [{**row, **shape, "latex": latex} for row in drawn]


def _lower(bits: int) -> float:
    """What no LT of the constructions' size with weights of b bits and a sign is below."""
    size = NetworkSize.of_constructions(1, weight_bits=bits + 1)
    return worst_case_error_lower_bound(MANY, tokens=2, dim=1, size=size).value
