"""Checks of the claims about what no network can do, and what some network does for every f."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from looprate.experiments.claims.claim import Row, compared
from looprate.theory.bounds.bumps import Bumps
from looprate.theory.bounds.lower import bump_norm, worst_case_error_lower_bound
from looprate.theory.bounds.pattern_count import EtaNetwork, Family, NetworkSize
from looprate.theory.bounds.theorem import theorem_3_6_bound
from looprate.theory.bounds.upper import worst_case_error_upper_bound
from looprate.theory.construction.build.compile import compile_construction
from looprate.theory.construction.build.labels import grid_coordinates
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify.cells import run_cells
from looprate.theory.construction.memorisers import MEMORISERS
from looprate.theory.verdict import Finding

FAR = (10**6, 10**10)  # r between which a slope is read
SLOPE = 1e-3  # tolerance of a slope of lower bounds
SHAPES = ((2, 1, 1.0), (2, 1, 0.5), (3, 1, 1.0), (2, 2, 1.0))  # N, d, s
PARTS = 512  # a side, of the quadrature of an error
EXPONENTS = {"lt": 1, "tmlt": 2, "untied": 2, "eta-network": 1}  # times s/(Nd)
Upper = Callable[[int], float]


def lower(loops: int, *, family: str = "lt", tokens: int = 2, dim: int = 1, **more: Any) -> float:
    """The lower bound for networks of the constructions' size."""
    network = EtaNetwork(parameters=200, units=20, depth=2) if family == "eta-network" else None
    kind: Any = "tmlt" if network else family
    size = NetworkSize.of_constructions(dim, family=kind, eta_network=network)
    return worst_case_error_lower_bound(loops, tokens=tokens, dim=dim, size=size, **more).value


def upper(loops: int, *, family: Family = "lt", **more: Any) -> float:
    """The least upper bound of this project's constructions, N = 2, d = 1, p = s = L = 1."""
    return worst_case_error_upper_bound(loops, tokens=2, dim=1, family=family, **more).total


# -- the functions -----------------------------------------------------------------------------
def check_in_class(factor: float = 1.0, holders: Sequence[float] = (1.0, 0.5)) -> Finding:
    """No pair of inputs refutes that bumps are in the class; signs of neighbours are opposite."""
    rng, rows = np.random.default_rng(0), list[Row]()
    for (n, d, m), s, p in itertools.product(
        ((1, 1, 3), (2, 1, 4), (3, 1, 4)), holders, (1.0, 2.0, math.inf)
    ):
        codes = np.array(sorted(c[::-1] for c in itertools.combinations(range(m**d), n)))
        signs = np.broadcast_to(
            (1 - 2 * (codes.sum(axis=1) % 2))[:, None, None], (len(codes), n, d)
        )
        f = Bumps(signs.astype(np.int8), m, p, factor, s)
        x = (rng.integers(0, m, (4000, n, d)) + 0.5) / m
        y = x.reshape(4000, -1).copy()
        y[np.arange(4000), rng.integers(0, n * d, 4000)] += (
            rng.choice([-1.0, -0.5, 0.5, 1.0], 4000) / m
        )
        beside = np.clip(y, 0, 1).reshape(x.shape)
        for a, b in ((x, beside), (x, rng.random(x.shape))):
            gap = np.linalg.norm((f(a) - f(b)).reshape(4000, -1), ord=p, axis=1)
            far = np.linalg.norm((a - b).reshape(4000, -1), axis=1)
            ratio = (gap[far > 0] / far[far > 0] ** s).max()
            rows.append((f"N={n}, d={d}, m={m}, s={s:g}, p={p:g}", float(ratio), 1.0))
    return compared(rows, "largest ‖f(X) - f(Y)‖_p / ‖X - Y‖^s against L = 1")


@lru_cache(maxsize=32)
def bump_errors(cells: int = 2, grids: tuple[int, ...] = (2, 4, 6, 10)) -> tuple[Any, ...]:
    """(construction, loops, its size, L1 error of its network on a bump function from below)."""
    f = Bumps.random(cells, tokens=2, dim=1, rng=np.random.default_rng(1))
    found = []
    for (name, kind), grid in itertools.product(MEMORISERS.items(), grids):
        bits = 8 if kind.takes_bits else None
        spec = ConstructionSpec(2, 1, grid, name, kind.coding, bits)
        built = compile_construction(f, spec)
        block = built.network.block
        size = NetworkSize(
            rows=len(block.rows), width=block.width, heads=len(block.heads), family=kind.family
        )
        found.append((f"{name}, m={grid}", spec.loops, size, _error_from_below(f, built)))
    return tuple(found)


def _error_from_below(f: Bumps, built: Any) -> float:
    """The error off the strips at least, by midpoints: both f and a constant are 1-Lipschitz."""
    spec = built.spec
    run = run_cells(built, strips=0, rng=np.random.default_rng(0))
    value = np.zeros((spec.grid, spec.grid))
    for (a, b), outputs in zip(grid_coordinates(run.cells, spec)[..., 0], run.centres, strict=True):
        value[a, b], value[b, a] = float(outputs[0, 0]), float(outputs[1, 0])
    middle = (np.arange(PARTS) + 0.5) / PARTS
    x, y = (part.ravel() for part in np.meshgrid(middle, middle, indexing="ij"))
    cells = np.minimum((np.stack([x, y]) * spec.grid).astype(int), spec.grid - 1)
    wanted = f(np.stack([x, y], axis=1)[..., None])[..., 0]
    off = abs(wanted[:, 0] - value[cells[0], cells[1]])
    off = off + abs(wanted[:, 1] - value[cells[1], cells[0]])
    return float(off.mean()) - math.sqrt(2) / PARTS - 1e-6  # its half cells; strips


def _at_size(loops: int, size: NetworkSize) -> float:
    """The lower bound, N = 2, d = 1, p = s = L = 1."""
    return worst_case_error_lower_bound(loops, tokens=2, dim=1, size=size).value


def fixed_bumps(loops: int, size: NetworkSize) -> float:
    """A wrong bound that does not fall with r: the error of 0 on bumps of 2 cells."""
    return bump_norm(2, tokens=2, dim=1, p=1)


def check_bump_errors(bound: Callable[[int, NetworkSize], float] = _at_size) -> Finding:
    """Networks compiled for a bump function err by more than the lower bound at their size."""
    rows: list[Row] = [
        (f"{words}, r={loops}", bound(loops, size), error)
        for words, loops, size, error in bump_errors()
    ]
    return compared(rows, "lower bound against the error on a bump function, from below")


# -- exponents ---------------------------------------------------------------------------------
def check_lower_exponents(exponents: dict[str, int] | None = None) -> Finding:
    """The lower bounds fall like r^(-s/(Nd)), with a free eta(t) like r^(-2s/(Nd))."""
    rows: list[Row] = []
    for family, times in (exponents or EXPONENTS).items():
        for n, d, s in SHAPES:
            shape: dict[str, Any] = {"family": family, "tokens": n, "dim": d, "holder": s}
            low, high = (math.log(lower(r, **shape)) for r in FAR)
            off = abs((high - low) / math.log(FAR[1] / FAR[0]) + times * s / (n * d))
            rows.append((f"{family}, N={n}, d={d}, s={s:g}", off, SLOPE))
    return compared(rows, "gap of the lower bound's slope to the exponent", exact=True)


def statement(loops: int) -> float:
    """Theorem 3.6 on the class, N = 2, d = 1, p = s = L = 1."""
    found = theorem_3_6_bound(
        lambda kind, delta: (delta, "upper"),
        loops,
        tokens=2,
        dim=1,
        p=1.0,
        oscillation=math.sqrt(2),
    )
    return found.total


def without_eta(loops: int) -> float:
    """The best construction without eta(t) and without a logarithm."""
    return upper(loops, memoriser="increments", coding="others")


def with_eta(loops: int) -> float:
    """The best construction with a free eta(t) that has the size."""
    return upper(loops, family="tmlt", memoriser="two-level-increments")


def timestep(loops: int) -> float:
    """The best construction with eta(t) whose labels are asked for one by one."""
    return upper(loops, family="tmlt", memoriser="timestep")


def sum_code(loops: int) -> float:
    """The paper's route, its stages counted exactly."""
    return upper(loops, memoriser="increments", coding="sum")


def fast(loops: int) -> float:
    """A wrong claim about weight-tied loops: the exponent of a free eta(t)."""
    return 10.0 / loops


def check_attained(of_tied: Upper = without_eta, of_eta: Upper = with_eta) -> Finding:
    """Upper bounds fall like the lower ones, N = 2, d = 1, s = 1."""
    rows: list[Row] = []
    for family, bound in (("lt", of_tied), ("tmlt", of_eta)):
        high, low = (math.log(bound(r)) for r in FAR)
        slope = (low - high) / math.log(FAR[1] / FAR[0])
        rows.append((family, slope + EXPONENTS[family] / 2, SLOPE))
    return compared(rows, "slope of the upper bound beyond the exponent", exact=True)


def check_separation(
    of_eta: Upper = with_eta,
    family: str = "lt",
    loops: Sequence[int] = (10**10, 10**11, 10**12, 10**15),
) -> Finding:
    """For some f no weight-tied network does what a network with eta(t) does for every f."""
    rows: list[Row] = [(f"r={r:.0e}", of_eta(r), lower(r, family=family)) for r in loops]
    return compared(rows, "upper bound with eta(t) against the lower bound without", exact=True)


def check_upper_bounds(
    of_tied: Sequence[Upper] = (statement, sum_code, without_eta, upper),
    loops: Sequence[int] = (10, 10**3, 10**9, 10**12),
) -> Finding:
    """No upper bound is below the lower bound of its family."""
    rows: list[Row] = []
    for family, bounds in (("lt", of_tied), ("tmlt", (with_eta, timestep))):
        for bound in bounds:
            place = f"{family}, {getattr(bound, '__name__', '')}"
            rows += [(f"{place}, r={r:.0e}", lower(r, family=family), bound(r)) for r in loops]
    return compared(rows, "lower bound against upper bounds of the worst case", exact=True)


def check_floor(weight_bits: int | None = 32) -> Finding:
    """With weights of few bits the bound does not fall below a number, whatever r."""
    size = NetworkSize(rows=15, width=20, heads=2, weight_bits=weight_bits)
    floor = _at_size(10**6, size)
    rows: list[Row] = [(f"r={r:.0e}", floor, _at_size(r, size)) for r in (10**9, 10**15, 10**18)]
    return compared(rows, "the bound at r = 10^6 against that at more loops")
