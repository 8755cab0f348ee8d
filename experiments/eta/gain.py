"""From stored rows of a sweep to gains: one number a target, with its interval.

Trained: log(LT / TMLT) of held-out errors, paired by seed, each family at its own best learning
rate by validation.  Constructed: the same of certified errors, at equal grids (the memoriser alone
differs) and at equal loops (TMLT has the finer grid), with both ends of the enclosures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.eta.config import DialPoint, EtaConfig
from looprate.experiments.eta.plan import compared_specs
from looprate.experiments.study.summary import cells

Array = NDArray[np.float64]
Row = dict[str, Any]
Match = Literal["loops", "grid"]


@dataclass(frozen=True, eq=False)
class Trained:
    """Gains of trained networks, paired by seed.

    Attributes
    ----------
    points : list of DialPoint
        T targets.
    loops : list of int
        R loop counts.
    gains : ndarray, shape (S, T, R)
        log(LT / TMLT) of the seeds of which no fit diverged.
    dropped : int
        Seeds left out: a fit of theirs diverged.
    fits, improving : int
        Reported fits, and those that still gained 5 % over the last quarter of training.
    at_edge, cells : int
        Families, targets and loop counts for which the largest rate tried was the best, and all.
    parameters : (int, int)
        Of LT and TMLT.
    """

    points: list[DialPoint]
    loops: list[int]
    gains: Array
    dropped: int
    fits: int
    improving: int
    at_edge: int
    cells: int
    parameters: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Certified:
    """Gains of constructed networks.

    Attributes
    ----------
    match : {"loops", "grid"}
        What LT and TMLT have in common.
    points : list of DialPoint
        The T targets with certified errors.
    grid, tmlt_grid, loops, tmlt_loops : int
    low, high : ndarray, shape (T,)
        Rigorous ends of log(LT / TMLT).
    excess_low, excess_high : ndarray, shape (T,)
        Rigorous ends of LT - TMLT.
    memoriser : ndarray, shape (T,)
        Largest error of the LT's memoriser over labels in use and coordinates, exact but for its
        rounding to a float.
    """

    match: Match
    points: list[DialPoint]
    grid: int
    tmlt_grid: int
    loops: int
    tmlt_loops: int
    low: Array
    high: Array
    excess_low: Array
    excess_high: Array
    memoriser: Array


def trained_gains(config: EtaConfig, rows: Sequence[Row]) -> Trained:
    """Return the seed-paired gains of a sweep's fit rows, of all its targets and loop counts."""
    found = {(cell["target"], cell["family"], cell["loops"]): cell for cell in cells(rows)}
    points, loops = config.points_of_dial(), sorted(config.loops)

    def errors(family: str) -> Array:
        table = [[found[point.name, family, r]["errors"] for r in loops] for point in points]
        return np.moveaxis(np.array(table, dtype=float), 2, 0)  # (S, T, R), nan: diverged

    logs = np.log(errors("lt")) - np.log(errors("tmlt"))
    whole = np.isfinite(logs).all(axis=(1, 2))
    fits = sum(len(cell["rows"]) for cell in found.values())
    done = sum(round(cell["converged"] * len(cell["rows"])) for cell in found.values())
    sizes = [found[points[0].name, family, loops[0]]["parameters"] for family in ("lt", "tmlt")]
    return Trained(
        points=points,
        loops=loops,
        gains=logs[whole],
        dropped=int((~whole).sum()),
        fits=fits,
        improving=fits - done,
        at_edge=sum(c["learning_rate"] == max(config.learning_rates) for c in found.values()),
        cells=len(found),
        parameters=(sizes[0], sizes[1]),
    )


def certified_gains(config: EtaConfig, rows: Sequence[Row], *, match: Match) -> Certified:
    """Return the certified gains.

    Parameters
    ----------
    config : EtaConfig
    rows : stored certificates
    match : {"loops", "grid"}
        TMLT at the largest grid that fits the LT's loops, or at the same grid.
    """
    plain, *timed = compared_specs(config)
    grid, mate = plain.grid, timed[0 if match == "grid" else -1]
    by_place = {(row["target"], row["memoriser"], row["grid"]): row for row in rows}
    points, ends, memoriser = [], [], []
    for point in config.points_of_dial():
        lt = by_place.get((point.name, "increments", grid), {})
        tmlt = by_place.get((point.name, "timestep", mate.grid), {})
        if not (_sound(lt) and _sound(tmlt)):
            continue
        points.append(point)
        ends.append([row[f"error_{end}"] for row in (lt, tmlt) for end in ("lower", "upper")])
        memoriser.append(lt["memoriser_error"])
    a, b, c, e = np.array(ends, dtype=float).reshape(-1, 4).T
    return Certified(
        match=match,
        points=points,
        grid=grid,
        tmlt_grid=mate.grid,
        loops=plain.loops,
        tmlt_loops=mate.loops,
        low=np.log(a) - np.log(e),
        high=np.log(b) - np.log(c),
        excess_low=a - e,
        excess_high=b - c,
        memoriser=np.array(memoriser, dtype=float),
    )


def _sound(row: Row) -> bool:
    """Whether a certificate is of the construction itself and encloses its error away from 0."""
    low = row.get("error_lower")
    known = low is not None and math.isfinite(low) and low > 0
    return known and row["verdict"] in ("holds", "vacuous")
