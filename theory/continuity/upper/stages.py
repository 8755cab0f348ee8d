"""The stages by which one modulus is bounded from above, the cheapest first.

The function is scaled by a power of two so that what is watched varies by about 1, and radii are
kept away from the smallest numbers: then neither squares nor sizes leave the range of float64.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.problem import moving_tokens
from looprate.theory.continuity.transfer import upper_from
from looprate.theory.continuity.upper.additive import additive_upper_bound
from looprate.theory.continuity.upper.branching import branch_and_bound
from looprate.theory.continuity.upper.cells import CellProblem
from looprate.theory.continuity.upper.hulls import hulls_upper_bound, prefers_hulls
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    entries_norm_upper_bound,
    positive_norm_upper_bound,
)
from looprate.theory.continuity.upper.ranges import ranges_upper_bound
from looprate.theory.continuity.upper.steepest import steepest_upper_bound
from looprate.theory.enclosure.additive import AdditiveForm, additive_form
from looprate.theory.enclosure.deadline import OutOfTimeError, until
from looprate.theory.enclosure.forms import evaluated, name_of
from looprate.theory.enclosure.gains import Gain, grouped_variables
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.enclosure.rounding import TINY
from looprate.theory.enclosure.soundness import check_arithmetic, check_enclosures
from looprate.theory.notation import Kind
from looprate.theory.targets.base import Target

Array = NDArray[np.float64]
Function = Callable[[Any], Any]
Clock = Callable[[float], None] | None
FLOOR, POINTS = 1e-12, 16  # of the largest |f| at some points: thresholds are not set lower
FEW_CELLS = 2**13  # of the steepest point's search then: if it helps at all, these do
FEW_INPUTS = 2  # N·d up to which a partition of the cube is tried before pairs of inputs
PAIRS, PARTITION, ADDITIVE = "branch and bound", "partition", "additive"
STEEPEST, HULLS = "steepest point", "hulls of pairs"
FIRST_STAGES = ((PAIRS, 0.0), (ADDITIVE, 0.5))  # with shares of the time left: 0 is one cell
FEW_STAGES = (*FIRST_STAGES, (STEEPEST, 0.5), (PARTITION, 0.6), (PAIRS, 1.0))
MANY_STAGES = (*FIRST_STAGES, (STEEPEST, 0.6), (PAIRS, 0.75), (PARTITION, 1.0))
DEEP_STAGES = (*FIRST_STAGES, (HULLS, 0.75), (PARTITION, 1.0))  # where slopes say nothing
TINY_STAGES = ((STEEPEST, 1.0),)  # at the least radii, whose squares underflow
LEAST_RADIUS = 2.0**-200
ADDITIVE_SHARE = 0.5  # of the tolerance, for the resolution of functions of one variable


@dataclass(frozen=True)
class Found:
    """A bound, by which method, the cells it took, and whether it is low enough."""

    value: float
    method: str
    boxes: int
    reached: bool
    note: str


def relative_gap(upper: float, lower: float) -> float:
    """Return upper / lower - 1: 0 where both are 0, inf where only ``lower`` is.

    A lower bound is a rounded value, and may exceed a modulus that is next to 0: then 0 too.
    """
    if lower > 0:
        return max(upper / lower - 1, 0.0)
    return 0.0 if upper == 0 else math.inf


@dataclass(frozen=True)
class _Scaled:
    """A function times 2^-exponent, on enclosures."""

    f: Function
    exponent: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return name_of(self.f)

    def __call__(self, x: Any) -> Any:
        half = -self.exponent // 2  # in two steps: either factor is a float
        result = self.f(x)
        for part in (half, -self.exponent - half):
            result = result * 2.0**part if part else result
        return result


class Search:
    """The bounds of one function and kind, for one radius after the other.

    Parameters
    ----------
    f : callable
        A function that has enclosures, which are compared with its values first.
    kind, tokens, dim, p, tolerance
        As in :func:`looprate.theory.continuity.modulus_upper_bound`.
    known : bool
        Whether f is known to be permutation-equivariant.
    end : float
        Monotonic time at which the search is over.

    Raises
    ------
    ValueError
        If f has no enclosures, or they miss its values.
    """

    def __init__(
        self,
        f: Function,
        kind: Kind,
        tokens: int,
        dim: int,
        p: float,
        tolerance: float,
        known: bool,
        end: float = math.inf,
    ) -> None:
        self.moved = check_enclosures(f, tokens=tokens, dim=dim)
        self.f, self.kind, self.p, self.tolerance = f, kind, p, tolerance
        self.tokens, self.dim, self.equivariant, self.end = tokens, dim, known, end
        cube = np.zeros((1, tokens, dim)), np.ones((1, tokens, dim))
        self.span = evaluated(f, Interval(*cube)).width[0]
        points = np.random.default_rng(0).random((POINTS, tokens, dim))
        self.size = float(evaluated(f, Interval(points)).magnitude.max())
        gains = evaluated(f, grouped_variables(Interval(*cube)))
        self.gain = gains.gain[:, 0] if isinstance(gains, Gain) else np.zeros((1, tokens, dim))
        self._forms: dict[int, AdditiveForm | None] = {}
        self._steepest: set[int | None] = set()  # rows; its bounds reach larger radii by themselves

    def bound(
        self,
        delta: float,
        lower: float,
        seconds: float,
        near: list[tuple[float, float]],
        clock: Clock,
        most: int | None = None,
    ) -> Found:
        """Return the bound at a radius with a lower bound, from ``near`` where that suffices.

        With ``most`` cells the search ends after so many, on any machine alike.
        """
        started = time.monotonic()
        rows = [None] if self.kind == "sequence" else list(range(self.tokens))
        rows = rows[:1] if self.equivariant else rows
        offer = upper_from(delta, near)
        value, method, boxes = 0.0, "steepness", 0
        floor = FLOOR * self.size if math.isfinite(self.size) else 0.0
        threshold = max(lower * (1 + self.tolerance), floor)
        if offer[0] <= threshold:
            value, method = offer
        elif delta > 0:
            for k, row in enumerate(rows):
                left, room = seconds - (time.monotonic() - started), None
                if most is None:
                    left /= len(rows) - k
                else:
                    room = max(0, most - boxes) // (len(rows) - k)
                found = self._row(delta, row, threshold, left, clock, room)
                boxes += found[2]
                if not found[0] < value:
                    value, method = found[:2]
            if offer[0] < value:
                value, method = offer
        check_arithmetic()  # the function may have changed it
        reached = value <= threshold and math.isfinite(value)
        after = "" if most else f"after {time.monotonic() - started:.2g} s, "
        note = f"{boxes} cells" + ("" if reached else f"; stopped {after}before the gap was closed")
        if not math.isfinite(lower):
            note = "the modulus is beyond the largest float64 number"
        elif self.moved:
            note = f"rounding moves values by up to {self.moved:.2g}: only their range is certified"
        elif reached and relative_gap(value, lower) > 2 * self.tolerance:
            note += "; 0 up to rounding"
        return Found(value, method, boxes, reached, note)

    def _row(
        self,
        delta: float,
        row: int | None,
        threshold: float,
        seconds: float,
        clock: Clock,
        most: int | None = None,
    ) -> tuple[float, str, int]:
        """Return bound, method and cells where one output token, or all, is watched."""
        moving = moving_tokens(self.kind, self.tokens, row or 0)
        span = self.span if row is None else self.span[row]
        if not moving.any() or not span.any():
            return 0.0, "trivial", 0
        exponent = self._exponent(span)
        delta = min(delta, 2 * math.sqrt(self.tokens * self.dim))  # beyond the cube's diameter
        offers = self._at_once(delta, row, exponent)
        if self.moved:  # the range holds values in float64, too; slopes do not
            return shifted(offers[0][0], exponent), offers[0][1], 0
        best, method = min(offers)
        others = tuple(n for n in range(self.tokens) if n != row) if self.equivariant else ()
        scaled = _Scaled(self.f, exponent)
        problem = CellProblem(scaled, self.tokens, self.dim, moving, row, self.p, delta, others)
        end, cells = min(time.monotonic() + seconds, self.end), 0
        small = shifted(threshold, -exponent)
        few = self.tokens * self.dim <= FEW_INPUTS
        stages: tuple[tuple[str, float], ...] = FEW_STAGES if few else MANY_STAGES
        if not few and best > small and delta >= LEAST_RADIUS and prefers_hulls(problem):
            stages = DEEP_STAGES
        for name, share in TINY_STAGES if delta < LEAST_RADIUS else stages:
            if best <= small or time.monotonic() > end:
                break
            if few and name == STEEPEST and row in self._steepest:
                continue
            left, room = end - time.monotonic(), None
            if most is None:
                left *= share
            else:
                room = int(max(most - cells, 0) * share)
            if few and name == STEEPEST:
                room = FEW_CELLS if room is None else min(room, FEW_CELLS)
            try:
                with until(end if share == 0 else time.monotonic() + left):
                    value, count, problem = self._stage(
                        name, problem, small, left, best, clock, room
                    )
            except OutOfTimeError:
                continue
            if name == STEEPEST:
                self._steepest.add(row)
            cells += count
            if value < best:
                best, method = value, name
        return shifted(best, exponent), method, cells

    def _stage(
        self,
        name: str,
        problem: CellProblem,
        threshold: float,
        seconds: float,
        best: float,
        clock: Clock,
        most: int | None = None,
    ) -> tuple[float, int, CellProblem]:
        """Return the bound of one stage, its cells, and the problem for the stages after it."""
        limit: dict[str, Any] = {} if most is None else {"most": most}
        if name == PAIRS:
            found = branch_and_bound(
                problem, threshold, seconds=seconds, least=best, report=clock, **limit
            )
            return found.value, found.boxes, problem
        if name == STEEPEST and problem.delta < LEAST_RADIUS:  # δ sup ‖J‖ is linear in δ
            one, delta = replace(problem, delta=1.0), problem.delta
            limit["straight"] = True
            level = threshold / delta if threshold < delta * 1e300 else 1e300
            value, count, _ = steepest_upper_bound(one, level, seconds, math.inf, clock, **limit)
            return value * delta * (1 + SLACK) + TINY, count, problem
        if name == STEEPEST:
            return steepest_upper_bound(problem, threshold, seconds, best, clock, **limit)
        if name == HULLS:
            value, count = hulls_upper_bound(problem, threshold, seconds, best, clock, **limit)
            return value, count, problem
        if name == ADDITIVE:
            return self._additive(problem, threshold, seconds), 0, problem
        value, count = ranges_upper_bound(
            problem.f,
            problem.delta,
            tokens=self.tokens,
            dim=self.dim,
            moving=problem.moving,
            row=problem.row,
            p=self.p,
            threshold=threshold,
            seconds=seconds,
            others=problem.sorted_tokens,
            **limit,
        )
        return value, count, problem

    def _exponent(self, span: Array) -> int:
        """Return e so that 2^e is about how much the watched entries vary, as far as is known."""
        known = float(span.max()) if np.isfinite(span).all() else self.size
        return math.frexp(known)[1] if math.isfinite(known) else 0

    def _at_once(self, delta: float, row: int | None, exponent: int) -> list[tuple[float, str]]:
        """Return the bounds by range, by Lipschitz constants on the cube, by a proof on paper.

        They are scaled by 2^-exponent.
        """
        watched = slice(None) if row is None else slice(row, row + 1)
        gain = self.gain[:, watched].reshape(len(self.gain), -1)
        ratio = shifted(float(positive_norm_upper_bound(gain.T, self.p)), -exponent)
        steep = ratio * delta * (1 + SLACK) + TINY if ratio else 0.0
        span = np.array([shifted(float(x), -exponent) for x in self.span[watched].ravel()])
        offers = [
            (float(entries_norm_upper_bound(span[None], self.p)[0]), "trivial"),
            (steep, "steepness"),
        ]
        if isinstance(self.f, Target):
            shape: dict[str, Any] = {"tokens": self.tokens, "dim": self.dim, "p": self.p}
            form = self.f.closed_form(delta, kind=self.kind, **shape)
            if form is not None and form.side == "upper":  # exact ones are left to compare with
                offers.append((shifted(form.value * (1 + SLACK), -exponent), "closed form"))
        return [(math.inf if math.isnan(value) else value, how) for value, how in offers]

    def _additive(self, problem: CellProblem, threshold: float, seconds: float) -> float:
        """Return the bound for functions of one variable each, inf where f is no sum of them."""
        scaled: Any = problem.f
        if scaled.exponent not in self._forms:
            form = additive_form(scaled, tokens=self.tokens, dim=self.dim)
            self._forms[scaled.exponent] = form
        known = self._forms[scaled.exponent]
        if known is None:
            return math.inf
        return additive_upper_bound(
            known,
            problem.delta,
            moving=problem.moving,
            row=problem.row,
            p=self.p,
            tolerance=self.tolerance * ADDITIVE_SHARE,
            threshold=threshold,
            seconds=seconds,
        )


def shifted(value: float, exponent: int) -> float:
    """Return value * 2^exponent, rounded up; inf for NaN."""
    if math.isnan(value):
        return math.inf
    try:
        result = math.ldexp(value, exponent)
    except OverflowError:
        return math.inf
    return (
        math.nextafter(result, math.inf)
        if 0 < abs(result) < 2.0**-1021
        else result or (TINY if value > 0 else 0.0)
    )
