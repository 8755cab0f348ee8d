"""The L^p error of a constructed network, enclosed from its outputs on the cells.

Off the transition strips the network is constant on a cell, so

    ‖net - f‖^p  =  Σ_cells ∫_{cell, strips cut off} |output - f|^p  +  ∫_strips |net - f|^p.

The first integrals are enclosed by :mod:`looprate.theory.enclosure`, as p-th roots, which floats
hold at any p.  In strips every output lies between the smallest and the largest label, exact
numbers, and f in an enclosure of its range or, where that is less, within a proven oscillation
(labels being values of f, rounded by less than a unit of the table); so the second lies between 0
and Σ_{n,i} reach_i^p times the measure of the strips, 1 - (1 - (m-1)/M)^{dN}.  Every step rounds
outwards.

On the others code the near ties, first coordinates less than 1/M apart, count as strips; they are
cut off no cell, so what the cells' outputs can do there is taken from the lower end of the whole.

By equivariance the cells in descending order stand for all orders of the tokens.  The network is
equivariant by its architecture; of an own function nothing is proven, so all orders are integrated.

All of this speaks of the network that was compiled: where a weight differs, outputs at points say
nothing about whole cells and strips, and no enclosure is given.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from looprate.theory.construction.build.labels import LabelTable, colliding, grid_coordinates
from looprate.theory.construction.build.spec import ConstructionSpec
from looprate.theory.construction.certify.cells import CellRun
from looprate.theory.construction.run.oracle import oracle_labels
from looprate.theory.enclosure.boxes import cell_boxes
from looprate.theory.enclosure.deadline import OutOfTimeError, until
from looprate.theory.enclosure.forms import enclose
from looprate.theory.enclosure.integral import error_norm
from looprate.theory.enclosure.intervals import Interval, rational_power
from looprate.theory.enclosure.norms import interval_norm
from looprate.theory.enclosure.soundness import check_enclosures
from looprate.theory.targets import Target, own_functions

Enclosed = tuple[float, float]
Fractions = NDArray[np.object_]
Integers = NDArray[np.int64]
Report = Callable[[float], None]
CHUNK = 2**12  # boxes whose range is enclosed together: bounds the memory
SLACK = 2.0**-40  # relative, of what was computed in floats to nearest


@dataclass(frozen=True, eq=False)
class ErrorProblem:
    """A network's outputs, what it was compiled from, and the norm.

    Attributes
    ----------
    run, spec, target
    table : LabelTable
        Of a fresh compilation, not of the network at hand.
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    """

    run: CellRun
    spec: ConstructionSpec
    table: LabelTable
    target: Target
    p: float

    @cached_property
    def colliding(self) -> NDArray[np.bool_]:
        """Which rows of the run collide."""
        return colliding(self.run.cells, self.spec)

    @cached_property
    def label_values(self) -> Fractions:
        """The label table's f̂ on the collision-free cells, (K', N, d)."""
        free = self.run.cells[~self.colliding].tolist()
        values = [[self.table.value(k) for k in oracle_labels(row, self.spec)] for row in free]
        shape = (len(free), self.spec.tokens, self.spec.dim)
        return np.array(values, dtype=object).reshape(shape)

    @cached_property
    def memoriser_error(self) -> Fraction:
        """The largest |output - f̂| over labels in use and coordinates, exactly."""
        gaps = np.abs(self.run.centres[~self.colliding] - self.label_values)
        return Fraction(gaps.max()) if gaps.size else Fraction(0)


@dataclass(frozen=True)
class MeasuredError:
    """Rigorous enclosures of L^p norms; None where there is none.

    Attributes
    ----------
    total : (float, float) or None
        ‖net - f‖ over the cube.
    discretisation, collisions, strips : (float, float) or None
        ‖f̂ - f‖ over collision-free cells off the strips, ‖net - f‖ over cells that collide off the
        strips, and ‖net - f‖ over the strips.
    boxes : int
        Boxes evaluated.
    note : str
        Why there is none, or why it is wider than it was to be.
    """

    total: Enclosed | None = None
    discretisation: Enclosed | None = None
    collisions: Enclosed | None = None
    strips: Enclosed | None = None
    boxes: int = 0
    note: str = ""


def enclosed_error(
    problem: ErrorProblem,
    *,
    tolerance: float,
    boxes: int,
    seconds: float = math.inf,
    report: Report = lambda part: None,
) -> MeasuredError:
    """Enclose the error and its parts.

    Parameters
    ----------
    problem : ErrorProblem
        Its outputs must be those of the compiled network.
    tolerance : float
        Relative width that is aimed at.
    boxes : int
        Boxes evaluated at most for each part.
    seconds : float
        Wall time after which the enclosures stay as they are.
    report : callable
        Called with the fraction done.

    Returns the error without enclosures where the target has none or the time allows none.

    Raises
    ------
    ValueError
        If the tolerance is out of range.
    """
    if not (tolerance > 0 and math.isfinite(tolerance)):
        raise ValueError(f"`tolerance` must be a finite number > 0, got {tolerance}")
    aim = _Aim(problem, tolerance, boxes, seconds, report)
    outputs, shared = problem.run.centres, problem.colliding
    try:
        check_enclosures(problem.target, tokens=problem.spec.tokens, dim=problem.spec.dim)
        with until(aim.start + seconds):
            strips = 0.0, _strip_norm(problem)
        rounded = problem.memoriser_error > 0
        good = aim.norm(~shared, outputs[~shared], (0.0, 0.5 if rounded else 0.8))
        plain = _discretisation(aim) if rounded else good
        ties = aim.norm(shared, outputs[shared], (0.8, 1.0))
    except ValueError as error:
        return MeasuredError(note=str(error))
    except OutOfTimeError:
        return MeasuredError(note=f"not certified within {seconds:g} s; give it more time")
    low, high = _joined([good, ties, strips], problem.p)
    if problem.spec.coding == "others":
        low = _off_ties(low, strips[1], problem.p)
    return MeasuredError(
        total=(low, high),
        discretisation=plain,
        collisions=ties,
        strips=strips,
        boxes=aim.boxes,
        note=aim.note(),
    )


def _discretisation(aim: _Aim) -> Enclosed | None:
    """‖f̂ - f‖ over collision-free cells; None if the time is over before it has an enclosure."""
    try:
        return aim.norm(~aim.problem.colliding, aim.problem.label_values, (0.5, 0.8))
    except OutOfTimeError:
        return None


def memoriser_norm(problem: ErrorProblem) -> Enclosed:
    """Return (Nd)^{1/p} times the memoriser's error, rounded outwards."""
    most = _interval(np.array([problem.memoriser_error], dtype=object))
    count = np.array([problem.spec.tokens * problem.spec.dim], dtype=object)
    return _ends(most.times(_root(count, problem.p)))


def strip_measure(spec: ConstructionSpec) -> Fraction:
    """Return the measure of the inputs with a coordinate in a strip, 1 - (1 - (m-1)/M)^{dN}.

    On the others code an upper bound, near ties included: N(N-1)/M more.
    """
    inside = 1 - (1 - Fraction(spec.grid - 1, spec.slope)) ** (spec.dim * spec.tokens)
    near = spec.tokens * (spec.tokens - 1) if spec.coding == "others" else 0
    return min(inside + Fraction(near, spec.slope), Fraction(1))


# -- integrals -------------------------------------------------------------------------------------
@dataclass
class _Aim:
    """Encloses parts of one problem and counts the boxes."""

    problem: ErrorProblem
    tolerance: float
    most: int
    seconds: float
    report: Report
    start: float = field(default_factory=time.monotonic, init=False)
    boxes: int = field(default=0, init=False)
    wide: bool = field(default=False, init=False)

    def norm(
        self, chosen: NDArray[np.bool_], outputs: Fractions, share: tuple[float, float]
    ) -> Enclosed:
        """‖output - f‖ over the chosen cells off the strips, all orders of tokens.

        ``share`` is the part of the whole time and progress it may take.
        """
        if not chosen.any():
            return 0.0, 0.0
        cells, answers, weights = _all_orders(self.problem, chosen, outputs)
        low, high = _boxes(cells, self.problem.spec)
        found = error_norm(
            self.problem.target,
            low,
            high,
            _interval(answers),
            p=self.problem.p,
            weights=weights,
            tolerance=self.tolerance,
            boxes=self.most,
            report=lambda part: self.report(share[0] + (share[1] - share[0]) * part),
            end=self.start + share[1] * self.seconds,
        )
        self.boxes += found.boxes
        self.wide |= not found.converged
        return found.lower, found.upper

    def note(self) -> str:
        """Why the enclosure is wider than was aimed at, if it is."""
        if not self.wide:
            return ""
        within = f" within {self.seconds:g} s" if math.isfinite(self.seconds) else ""
        return (
            f"stopped after {self.boxes:,} boxes{within}, before the relative width "
            f"{self.tolerance:g} was reached"
        )


def _all_orders(
    problem: ErrorProblem, chosen: NDArray[np.bool_], outputs: Fractions
) -> tuple[Integers, Fractions, Integers]:
    """Cells, outputs and weights that stand for all orders of the tokens."""
    cells, copies = problem.run.cells[chosen], problem.run.copies[chosen]
    if not own_functions(problem.target):
        return cells, outputs, copies
    orders = [list(order) for order in itertools.permutations(range(problem.spec.tokens))]
    every = np.concatenate([cells[:, order] for order in orders])
    kept = np.unique(every, axis=0, return_index=True)[1]
    answers = np.concatenate([outputs[:, order] for order in orders])
    return every[kept], answers[kept], np.ones(len(kept), dtype=np.int64)


def _boxes(
    cells: Integers, spec: ConstructionSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Corners of cells (K, N) without their lower strips, as nearest floats (K, N, d)."""
    lines = grid_coordinates(cells, spec)
    cut = Fraction(1, spec.slope)
    low = [float(Fraction(j, spec.grid) + (cut if j else 0)) for j in range(spec.grid)]
    return np.array(low)[lines], cell_boxes(lines, spec.grid)[1]


def _strip_norm(problem: ErrorProblem) -> float:
    """Upper bound of ‖net - f‖ over the strips."""
    measure = strip_measure(problem.spec)
    if not measure:
        return 0.0
    reach = interval_norm(Interval(_reach(problem)), problem.p)
    size = np.array([measure * problem.spec.tokens], dtype=object)
    return _ends(_root(size, problem.p).times(reach))[1]


def _reach(problem: ErrorProblem) -> NDArray[np.float64]:
    """Upper bounds (d,) of |y - f| over the cube, for y between the labels of a coordinate."""
    every = np.ones(len(problem.run.cells), dtype=bool)
    cells, _, _ = _all_orders(problem, every, problem.run.centres)
    lines = grid_coordinates(cells, problem.spec)
    low, high = cell_boxes(lines, problem.spec.grid)  # floats that neighbours share: they cover
    ends = np.array(problem.table.ranges, dtype=object)  # (d, 2)
    labels = Interval(_interval(ends[:, 0]).lo, _interval(ends[:, 1]).hi)
    parts = (slice(k, k + CHUNK) for k in range(0, len(low), CHUNK))
    found = [enclose(problem.target, low[part], high[part]) for part in parts]
    gaps = [abs(labels.plus(-values)).hi.max(axis=(0, 1)) for values in found]
    reach = np.max(gaps, axis=0)
    proven = problem.target.oscillation(tokens=problem.spec.tokens, dim=problem.spec.dim)
    if proven is None:
        return np.asarray(reach)
    return np.minimum(reach, proven * (1 + SLACK) + float(problem.table.unit))


def _off_ties(low: float, strips: float, p: float) -> float:
    """Lower bound of the norm off the near ties, where an output is a label's as in strips.

    (low^p - strips^p)^{1/p} = low (1 - q^p)^{1/p} >= low (1 - q^p), q = strips / low, p finite.
    """
    if math.isinf(p) or strips >= low:
        return max(math.nextafter(low - strips, -math.inf), 0.0)
    return low * (1.0 - (strips / low) ** p) * (1.0 - SLACK)


def _joined(parts: list[Enclosed], p: float) -> Enclosed:
    """The norm of an error whose parts lie on sets that do not overlap."""
    low, high = np.array(parts).T
    return _ends(interval_norm(Interval(low, high), p))


def _root(values: Fractions, p: float) -> Interval:
    """Enclosures of values^{1/p}; 1 for p = inf."""
    return rational_power(_interval(values), 1 / Fraction(p) if math.isfinite(p) else Fraction(0))


def _ends(value: Interval) -> Enclosed:
    """Both ends of one norm; rounded outwards, the lower may pass 0."""
    return max(float(value.lo.min()), 0.0), float(value.hi.max())


def _interval(values: Fractions) -> Interval:
    """Fractions as float64 intervals, points where they are floats."""
    near = values.astype(np.float64)
    exact = np.asarray(near.astype(object) == values, dtype=bool)
    low, high = np.nextafter(near, -np.inf), np.nextafter(near, np.inf)
    return Interval(np.where(exact, near, low), np.where(exact, near, high))
