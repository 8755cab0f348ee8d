"""Rows of the figures about constructed networks: memorisers, arithmetic, stages.

Everything here is measured on compiled networks: exact outputs, exact states, float runs of the
same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from looprate.experiments.study.certificates import asked_spec, default_bits
from looprate.experiments.study.figure_rows import slug, write_rows
from looprate.theory.construction.build.coding import label_form
from looprate.theory.construction.build.compile import Construction, compile_construction
from looprate.theory.construction.build.labels import (
    cell_centres,
    cell_points,
    every_cell,
    labels_in_use,
)
from looprate.theory.construction.build.memoriser import MemoriserKind
from looprate.theory.construction.build.network import Form
from looprate.theory.construction.build.spec import SHARPNESS, ConstructionSpec, stage_of
from looprate.theory.construction.memorisers import MEMORISERS, one_level
from looprate.theory.construction.run.exact import exact_output
from looprate.theory.construction.run.oracle import oracle_cells
from looprate.theory.construction.run.reference import reference_output, reference_states
from looprate.theory.targets import Target, resolve_target

__all__ = [
    "arithmetic_rows",
    "check_drawable",
    "memoriser_rows",
    "stage_rows",
    "write_stage_rows",
]

Row = dict[str, Any]
Report = Callable[[float], None]
DIAL = "dial:token=0.7,context=0.3,periods={}"
CHOSEN = (Fraction(5, 6), Fraction(2, 5))  # the input that the teaching figure follows
DTYPES = ("float32", "float64")
MOST_STAGE_LOOPS = 600  # beyond, the heat map and the staircase cannot be read
STEP_ENDS = (-2.0, 2.0)  # of u in the panel of the two ReLUs


def memoriser_rows(
    report: Report, *, grid: int, periods: list[int], digits: list[int]
) -> list[Row]:
    """Rows of Lemma 4.1 against Theorem 4.2: N = 2, d = 1, the dial target, rougher and rougher.

    Residuals are the largest |output - label| over labels in use, from the networks' exact outputs.
    """
    rows = []
    for done, k in enumerate(periods, start=1):
        target = resolve_target(DIAL.format(k))
        chosen: list[tuple[MemoriserKind, int | None]] = [
            (each, q) for each in one_level() for q in (digits if each.takes_bits else (None,))
        ]
        for kind, bits in chosen:
            spec = ConstructionSpec(2, 1, grid, kind.name, kind.coding, bits)
            found = compile_construction(target, spec)
            rows.append(
                {
                    "memoriser": kind.name,
                    "coding": kind.coding,
                    "periods": k,
                    "gap": float(found.table.gaps[0]),
                    "residual": float(residual(found)),
                    "bound": float(kind.table_error(spec, found.table, 0)),
                    "bits": bits,
                    "loops": spec.loops,
                }
            )
        report(done / len(periods))
    first, last = min(periods), max(periods)
    target_words = f"dial, {first} to {last} periods"
    return [{**row, "target": target_words, "tokens": 2, "dim": 1} for row in rows]


def residual(construction: Construction) -> Fraction:
    """Return the largest |output - label value| over all labels in use, exactly."""
    spec, table = construction.spec, construction.table
    cells, labels = labels_in_use(spec)
    gaps = np.abs(_centre_outputs(construction, cells) / table.unit - table.values[labels])
    return Fraction(gaps.max()) * table.unit


def arithmetic_rows(
    report: Report, *, target: str, grids: list[int], dtypes: tuple[str, ...] = DTYPES
) -> list[Row]:
    """Rows of where arithmetic breaks: N = 2, d = 1, every cell's centre, by number of labels."""
    import torch

    from looprate.approx.constructed.network import constructed_transformer

    rows: list[Row] = []
    f = resolve_target(target)
    for done, grid in enumerate(grids, start=1):
        for memoriser in (kind.name for kind in one_level()):
            # strips wide enough for float32: x in strip widths must be below 2^24
            spec = asked_spec(tokens=2, dim=1, grid=grid, memoriser=memoriser, sharpness=2**10)
            found = compile_construction(f, spec)
            cells, _ = every_cell(spec)
            exact = _centre_outputs(found, cells).astype(np.float64)
            common = {"memoriser": memoriser, "labels": spec.last_label + 1}
            rows.append({**common, "arithmetic": "exact", "value": 0.0, "refused": 0})
            for name in dtypes:
                dtype = getattr(torch, name)
                model = constructed_transformer(found.network, dtype=dtype, exact=False)
                x = torch.tensor(cell_centres(cells, spec), dtype=dtype)
                worst = float(np.abs(model(x).double().numpy() - exact).max())
                rows.append(
                    {
                        **common,
                        "arithmetic": name,
                        "value": worst if np.isfinite(worst) else None,
                        "refused": int(not _accepted(found, x, dtype)),
                    }
                )
        report(done / len(grids))
    return [{**row, "target": target, "latex": f.latex, "tokens": 2, "dim": 1} for row in rows]


def stage_rows(construction: Construction) -> list[Row]:
    """Rows of the teaching figure for N = 2, d = 1: cells, order, step, staircase, state.

    Columns as in ``figures/stages/figure.py``; loops count from 1.

    Raises
    ------
    ValueError
        If the construction has another shape or too many loops to be read.
    """
    spec = construction.spec
    check_drawable(spec)
    tokens = [[x] for x in CHOSEN]
    states = list(reference_states(construction.network, tokens))
    cells = oracle_cells(tokens, spec)
    places: dict[str, list[Any]] = {"input": list(map(float, CHOSEN)), "cell": list(cells)}
    rows: list[Row] = [
        {"panel": "cells", "name": name, "position": place[0], "height": place[1]}
        for name, place in places.items()
    ]
    rows += _order_rows(construction, states)
    for u in np.linspace(*STEP_ENDS, 81).tolist():
        above, past = max(u + 1, 0.0), max(u, 0.0)
        series = {"relu(u+1)": above, "relu(u)": past, "step(u)": above - past}
        rows += [
            {"panel": "step", "name": name, "position": u, "height": value}
            for name, value in series.items()
        ]
    rows += _staircase_rows(construction, tokens)
    rows += _state_rows(spec, states)
    return [{**row, "grid": spec.grid} for row in rows]


def check_drawable(spec: ConstructionSpec) -> None:
    """Raise unless the teaching figure can show a construction."""
    if (spec.tokens, spec.dim) != (2, 1):
        raise ValueError(
            f"the figure of stages needs tokens=2 and dim=1, got tokens={spec.tokens} "
            f"and dim={spec.dim}; construct with --tokens 2 --dim 1"
        )
    if spec.loops > MOST_STAGE_LOOPS:
        raise ValueError(
            f"the figure of stages needs at most {MOST_STAGE_LOOPS} loops, got "
            f"{spec.loops}; take a smaller grid, such as 4"
        )
    try:
        oracle_cells([[x] for x in CHOSEN], spec)
    except ValueError:
        raise ValueError(
            f"the figure of stages needs its input {', '.join(map(str, CHOSEN))} off the "
            f"transition strips, got sharpness={spec.sharpness} at grid={spec.grid}; take a larger "
            "sharpness"
        ) from None


def write_stage_rows(folder: Path, construction: Construction, target: Target, *, p: float) -> Path:
    """Write the teaching figure's rows into a folder and return the file."""
    spec = construction.spec
    common = {"target": str(target), "latex": target.latex, "tokens": 2, "dim": 1, "p": p}
    rows = [{**row, **common} for row in stage_rows(construction)]
    return write_rows(folder, "stages", slug(str(target), 2, 1, _told(spec, p)), rows)


def _told(spec: ConstructionSpec, p: float) -> str:
    """What tells a construction's figure from others of its target; the usual is left out."""
    facts = {
        "": (spec.coding, MEMORISERS[spec.memoriser].coding),
        "q": (spec.bits, default_bits(spec.memoriser, spec.grid)),
        "sharpness": (spec.sharpness, SHARPNESS),
        "p": (p, 1.0),
    }
    other = [f"-{name}{value}" for name, (value, usual) in facts.items() if value != usual]
    return f"-{spec.memoriser}-m{spec.grid}{''.join(other)}"


def _accepted(found: Construction, x: Any, dtype: Any) -> bool:
    """Whether the exact torch module takes these weights and runs them."""
    from looprate.approx.constructed.network import constructed_transformer

    try:
        model = constructed_transformer(found.network, dtype=dtype)
        model(x)
    except ValueError:
        return False
    return True


def _centre_outputs(construction: Construction, cells: Any) -> Any:
    """Exact outputs at the centres of cells (K, N), as fractions (K, N, d)."""
    spec = construction.spec
    points = cell_points(cells, spec)
    return exact_output(construction.network, points, denominator=spec.slope).fractions


def _order_rows(construction: Construction, states: list[Any]) -> list[Row]:
    """Keys and the attained maximum over the loops of the contextual mapping."""
    spec, head = construction.spec, construction.network.block.heads[0]
    rows: list[Row] = []
    for loop in range(spec.context_start, spec.values_start + 1):
        keys = [_value(head.key, token) for token in states[loop]]
        rows += [
            {"panel": "order", "name": "key", "token": n, "loop": loop + 1, "height": key}
            for n, key in enumerate(keys, start=1)
        ]
        if loop < spec.values_start:
            best = max(keys)
            rows.append(
                {
                    "panel": "order",
                    "name": "maximum",
                    "token": keys.index(best) + 1,
                    "loop": loop + 1,
                    "height": best,
                }
            )
    return rows


def _staircase_rows(construction: Construction, chosen: list[list[Fraction]]) -> list[Row]:
    """Label table, network outputs at the labels in use, and the chosen input's labels."""
    spec, table = construction.spec, construction.table
    rows: list[Row] = [
        {
            "panel": "staircase",
            "name": "table",
            "position": k,
            "height": float(table.value(k)[0]),
            "used": int(table.used[k]),
        }
        for k in range(len(table.values))
    ]
    cells, labels = labels_in_use(spec)
    outputs = _centre_outputs(construction, cells).astype(np.float64)[..., 0]
    seen = dict(zip(labels.ravel().tolist(), outputs.ravel().tolist(), strict=True))
    rows += [
        {"panel": "staircase", "name": "network", "position": k, "height": v, "used": 1}
        for k, v in sorted(seen.items())
    ]
    form, offset = label_form(spec)
    *_, last = reference_states(construction.network, chosen)
    answer = reference_output(construction.network, chosen)
    rows += [
        {
            "panel": "staircase",
            "name": "chosen",
            "token": n,
            "position": int(_value(form, token) + offset),
            "height": float(answer[n - 1][0]),
        }
        for n, token in enumerate(last, start=1)
    ]
    return rows


def _state_rows(spec: ConstructionSpec, states: list[Any]) -> list[Row]:
    """Every row of the residual stream after every loop; once where tokens agree throughout."""
    rows: list[Row] = []
    for name in states[0][0]:
        if name == "one":
            continue
        shared = all(len({token[name] for token in tokens}) == 1 for tokens in states)
        largest = max(abs(token[name]) for tokens in states for token in tokens)
        for loop, tokens in enumerate(states):
            for n, token in enumerate(tokens[:1] if shared else tokens, start=1):
                rows.append(
                    {
                        "panel": "state",
                        "name": name,
                        "token": None if shared else n,
                        "loop": loop,
                        "height": _share(token[name], largest),
                        "stage": stage_of(spec, loop),
                    }
                )
    return rows


def _share(value: Any, largest: Any) -> float:
    """A state as a float; rows beyond floats are given relative to their largest value."""
    if largest < 2**53:
        return float(value)
    return float(Fraction(value) / Fraction(largest))


def _value(form: Form, token: Any) -> int:
    """A linear form of one token's rows."""
    return int(sum(weight * token[row] for row, weight in form.items()))
