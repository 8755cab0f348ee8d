"""Checks of the claims about constructed networks: stages, loop counts, memorisers, sizes.

Everything here is compared as exact numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np

from looprate.experiments.claims.claim import Row, compared, found
from looprate.theory.bounds.loop_counts import (
    CODINGS,
    construction_loops,
)
from looprate.theory.construction.build.coding import label_form
from looprate.theory.construction.build.compile import (
    Construction,
    compile_construction,
)
from looprate.theory.construction.build.compile import compile_table as network_of
from looprate.theory.construction.build.labels import LabelTable, cell_points, labels_in_use
from looprate.theory.construction.build.network import Network, Unit
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify.cells import expected_outputs, run_cells
from looprate.theory.construction.certify.checks import range_finding
from looprate.theory.construction.memorisers import MEMORISERS, memoriser_kind, one_level
from looprate.theory.construction.run.exact import exact_output, exact_rows
from looprate.theory.targets import parse_target
from looprate.theory.verdict import Finding, Verdict

Change = Callable[[Network], Network]
TARGET = parse_target("dial:token=0.6,context=0.4,periods=1 + 0.5*context-max")
SHAPES = ((1, 1, 6), (2, 1, 5), (3, 1, 4), (2, 2, 2))  # (N, d, m)
SHARPNESS = 8  # strips wide enough to see, weights small
BITS = 4
PAPER_SIZES = {"rows": (17, 9), "width": (49, 25), "heads": (0, 2)}  # slope in d, constant
MEMORISER_SIZES = {"increments": (12, 18), "timestep": (4, 6)}  # rows, hidden units over d


def spec_of(shape: tuple[int, int, int], memoriser: Any, coding: Any = None) -> ConstructionSpec:
    """A specification with q = 4 where digits are asked for."""
    kind = memoriser_kind(memoriser)
    bits = BITS if kind.takes_bits else None
    return ConstructionSpec(*shape, memoriser, coding or kind.coding, bits, SHARPNESS)


@lru_cache(maxsize=64)
def built(spec: ConstructionSpec) -> Construction:
    """The construction of one target."""
    return compile_construction(TARGET, spec)


@lru_cache(maxsize=64)
def restless(spec: ConstructionSpec) -> Construction:
    """A construction of a table by hand: its last increment, digit and entry of eta are not 0."""
    count = spec.last_label + 1
    gaps, _ = memoriser_kind(spec.memoriser).error(spec.coding, spec.bits or 0)
    values = np.arange(count) % 2 if gaps else 37 * np.arange(count) % 101
    values[-1] = 1 - values[-2] if gaps else 101
    table = LabelTable(
        np.repeat(values[:, None], spec.dim, axis=1), np.ones(count, dtype=bool), Fraction(1)
    )
    return Construction(spec, table, network_of(spec, table))


def centre_outputs(network: Network, spec: ConstructionSpec, cells: Any, loops: int) -> Any:
    """Exact outputs at the centres of cells (K, N), as fractions (K, N, d)."""
    points = cell_points(cells, spec)
    return exact_output(network, points, denominator=spec.slope, loops=loops).fractions


# -- broken ingredients ----------------------------------------------------------------------------
def same(network: Network) -> Network:
    """The network itself."""
    return network


def _with_units(network: Network, change: Callable[[Unit], Unit]) -> Network:
    """The network with its hidden units changed."""
    block = network.block
    return replace(network, block=replace(block, units=tuple(map(change, block.units))))


def unclipped(network: Network) -> Network:
    """The quantiser's second unit starts one strip late."""
    return _with_units(
        network, lambda u: replace(u, bias=u.bias - 1) if u.name.startswith("past_") else u
    )


def leaning(network: Network) -> Network:
    """The unit that lets a token leave sees the maximum one too high."""
    return _with_units(network, lambda u: replace(u, bias=u.bias - 1) if u.name == "leave" else u)


def flipped_bit(network: Network) -> Network:
    """One bit of the string of increments or digits is another one; eta(t) in one loop."""
    if network.eta:
        return changed_eta(network)
    affine = network.encoder["C_0"]
    place = affine.bias.bit_length() // 2
    wrong = replace(affine, bias=affine.bias ^ (1 << (place - place % 2)))
    return replace(network, encoder={**network.encoder, "C_0": wrong})


def changed_eta(network: Network) -> Network:
    """The first entry of eta in stage 3 that is not 0 is one larger; plain networks drift."""
    if "y_0" not in network.eta:
        return drifting(network)
    schedule = list(network.eta["y_0"])
    place = next(t for t, value in enumerate(schedule) if value)
    schedule[place] += 2**20
    return replace(network, eta={**network.eta, "y_0": tuple(schedule)})


def drifting(network: Network) -> Network:
    """Row y_0 gains one in every loop."""
    block = network.block
    return replace(network, block=replace(block, drift={**block.drift, "y_0": 1}))


def padded(network: Network) -> Network:
    """300 hidden units more than needed."""
    block = network.block
    idle = tuple(Unit(f"idle_{k}", {}, 0, {}) for k in range(300))
    return replace(network, block=replace(block, units=block.units + idle))


# -- stages ----------------------------------------------------------------------------------------
def check_quantise(change: Change = same, missing: int = 0) -> Finding:
    """After m-1 loops row z is the cell, for every input of a lattice off the strips."""
    rows: list[Row] = []
    for shape in SHAPES:
        spec = spec_of(shape, "timestep")
        points = _off_strips(spec)
        lines = np.maximum(points - 1, 0) // (2 * spec.sharpness)
        cells = lines @ np.array([spec.grid**i for i in range(spec.dim)])
        loops = max(1, spec.context_start - missing)
        state = exact_rows(
            change(built(spec).network), points, denominator=2 * spec.slope, loops=loops
        )
        wrong = int((state.fractions("z") != cells).sum())
        place = f"N={spec.tokens}, d={spec.dim}, m={spec.grid}, {len(points)} inputs"
        rows.append((f"{place}, {loops} loops", wrong, 0))
    return compared(rows, "inputs whose cell is wrong after m-1 loops", exact=True)


def _off_strips(spec: ConstructionSpec) -> Any:
    """Numerators over 2M, (B, N, d), of inputs without a coordinate inside a strip."""
    axis = np.arange(2 * spec.slope + 1)
    line, beyond = divmod(axis, 2 * spec.sharpness)
    inside = (beyond == 1) & (line > 0)  # half a strip above an inner grid line
    axis = axis[~inside]
    rng = np.random.default_rng(0)
    picked = rng.choice(axis, (4 * len(axis), spec.tokens, spec.dim))
    picked[: len(axis)] = axis[:, None, None]
    return picked


def check_contextual(change: Change = same, missing: int = 0) -> Finding:
    """After N more loops labels are one to one with (set of cells, own cell), order aside."""
    rows: list[Row] = []
    for shape in SHAPES:
        for memoriser in ("timestep", "increments"):  # eta and gate
            spec = spec_of(shape, memoriser)
            cells, wanted = labels_in_use(spec)
            loops = max(1, spec.values_start - missing)
            place = f"N={spec.tokens}, d={spec.dim}, m={spec.grid}, {spec.coding} code, {loops}"
            network = change(built(spec).network)
            seen: dict[Any, set[Any]] = {}
            wrong = 0
            for order in itertools.permutations(range(spec.tokens)):
                labels = _labels(network, spec, cells[:, order], loops)
                wrong += int((labels != wanted[:, order]).sum())
                for row, own in zip(cells[:, order].tolist(), labels.tolist(), strict=True):
                    for cell, k in zip(row, own, strict=True):
                        seen.setdefault(k, set()).add((*sorted(row), cell))
            shared = sum(len(users) - 1 for users in seen.values())
            rows += [(f"{place} loops, shared", shared, 0), (f"{place} loops, other", wrong, 0)]
    return compared(rows, "labels shared by two (set, cell) pairs, or not the code's", exact=True)


def _labels(network: Network, spec: ConstructionSpec, cells: Any, loops: int) -> Any:
    """Labels that the rows of the network spell after some loops, (K, N)."""
    points = cell_points(cells, spec)
    state = exact_rows(network, points, denominator=spec.slope, loops=loops)
    form, offset = label_form(spec)
    return sum(weight * state.fractions(row) for row, weight in form.items()) + offset


def check_value_loops(shift: int = 0) -> Finding:
    """With its stated loops a network answers every label; with one less, not.

    Of two levels of increments the last loop clips, which only inputs in strips need.
    """
    rows: list[Row] = []
    for memoriser in (kind.name for kind in one_level()):
        for shape in SHAPES:
            spec = spec_of(shape, memoriser)
            own = restless(spec)
            stated = spec.loops + shift
            cells, _ = labels_in_use(spec)
            expected = expected_outputs(own, cells)
            place = f"{memoriser}, N={spec.tokens}, d={spec.dim}, m={spec.grid}, r={stated}"
            wrong = centre_outputs(own.network, spec, cells, stated) != expected
            early = centre_outputs(own.network, spec, cells, stated - 1) != expected
            rows.append((f"{place}: wrong outputs", int(wrong.sum()), 0))
            rows.append((f"{place}: one loop less is enough", int(not early.any()), 0))
    return compared(rows, "wrong outputs at the stated loops, none wrong with one less", exact=True)


# -- memorisers ------------------------------------------------------------------------------------
def check_memoriser_error(
    memoriser: str, change: Change = same, allowed: Fraction | int = 1
) -> Finding:
    """Error at labels in use: at most the largest gap, 0, or the range over 2^q."""
    rows: list[Row] = []
    for shape in SHAPES:
        spec = spec_of(shape, memoriser)
        for what, own in (("target", built(spec)), ("alternating table", restless(spec))):
            table = own.table
            cells, labels = labels_in_use(spec)
            outputs = centre_outputs(change(own.network), spec, cells, spec.loops)
            for i in range(spec.dim):
                values = table.values[labels, i].astype(object) * table.unit
                error = np.abs(outputs[..., i] - values).max()
                bound = memoriser_kind(memoriser).table_error(spec, table, i)
                place = f"{what}, N={spec.tokens}, d={spec.dim}, m={spec.grid}, i={i}"
                rows.append((place, error, allowed * bound))
    return compared(rows, "|output - label value| against the memoriser's bound", exact=True)


def check_memoriser_size(memoriser: str, times: int = 1) -> Finding:
    """Rows and hidden units that the memoriser adds, against those of the paper's."""
    rows: list[Row] = []
    most_rows, most_units = MEMORISER_SIZES[memoriser]
    for d in (1, 2, 3):
        spec = spec_of((2, d, 2), memoriser)
        part, _ = memoriser_kind(memoriser).part(spec, built(spec).table)
        rows.append((f"rows, d={d}", times * len(part.rows), most_rows * d))
        rows.append((f"hidden units, d={d}", times * len(part.units), most_units * d))
    return compared(rows, "size of the memoriser against the paper's", exact=True)


# -- whole networks --------------------------------------------------------------------------------
def check_sizes(change: Change = same) -> Finding:
    """Rows, hidden units and heads of whole networks against the paper's."""
    rows: list[Row] = []
    for d in (1, 2, 3):
        for memoriser, coding in itertools.product(MEMORISERS, CODINGS):
            block = change(built(spec_of((2, d, 2), memoriser, coding)).network).block
            sizes = {"rows": len(block.rows), "width": block.width, "heads": len(block.heads)}
            rows += [
                (f"{name}, {memoriser}, {coding}, d={d}", size, slope * d + more)
                for name, size in sizes.items()
                for slope, more in (PAPER_SIZES[name],)
            ]
    return compared(rows, "size against 17d+9 rows, 49d+25 hidden units, 2 heads", exact=True)


def check_extra_loops(
    change: Change = same, missing: int = 0, memorisers: Iterable[str] = MEMORISERS
) -> Finding:
    """1, 3 or 40 loops more give the same outputs, strips and shared cells included."""
    rows: list[Row] = []
    for memoriser in memorisers:
        for shape in SHAPES[:3]:
            spec = spec_of(shape, memoriser)
            network, start = change(restless(spec).network), spec.loops - missing
            points = np.random.default_rng(1).integers(
                0, 4 * spec.slope, (64, spec.tokens, spec.dim), endpoint=True
            )
            at = [
                exact_output(network, points, denominator=4 * spec.slope, loops=start + more)
                for more in (0, 1, 3, 40)
            ]
            gaps = [int((one.fractions != at[0].fractions).sum()) for one in at[1:]]
            place = f"{memoriser}, N={spec.tokens}, d={spec.dim}, m={spec.grid}"
            rows += [(f"{place}, r+{k}", gap, 0) for k, gap in zip((1, 3, 40), gaps, strict=True)]
    return compared(rows, "outputs that change with further loops", exact=True)


def check_range(change: Change = same) -> Finding:
    """No output leaves the range of the labels, strips included."""
    checked = 0
    for memoriser in MEMORISERS:
        for shape in SHAPES[:3]:
            spec = spec_of(shape, memoriser)
            fresh = restless(spec)
            own = replace(fresh, network=change(fresh.network))
            run = run_cells(own, strips=128, rng=np.random.default_rng(2))
            finding = range_finding(run, fresh)
            place = f"{memoriser}, N={spec.tokens}, d={spec.dim}, m={spec.grid}"
            if finding.verdict is not Verdict.HOLDS:
                return found(finding.verdict, place, f"{place}: {finding.reason}")
            checked += 3 * len(run.cells) + len(run.strips)
    reason = f"{checked} inputs, a third of them or more in strips or at corners, none outside"
    return found(True, f"{checked} inputs", reason, inputs=checked)


def check_fewer_loops(fast: str = "timestep", slow: str = "increments") -> Finding:
    """Timestep modulation takes fewer loops than increments, each on the code that suits it."""
    rows: list[Row] = []
    for n, d in ((1, 1), (2, 1), (3, 1), (2, 2), (8, 4)):
        for m in (2, 3, 4, 8, 16):
            if m**d < n:
                continue
            few, many = (
                construction_loops(m, tokens=n, dim=d, memoriser=kind.name, coding=kind.coding)
                for kind in map(memoriser_kind, (fast, slow))
            )
            rows.append((f"N={n}, d={d}, m={m}", few + 1, many))
    return compared(rows, f"loops of {fast} + 1 against those of {slow}", exact=True)
