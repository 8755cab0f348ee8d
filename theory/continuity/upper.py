"""Certified upper bounds of moduli of continuity, by branch and bound with rigorous enclosures.

What is certified is the modulus of the function that the formula spells when its float64 constants
are taken at their exact values and every operation is exact (:mod:`theory.enclosure.forms`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from theory.continuity.additive import additive_upper_bound
from theory.continuity.branching import branch_and_bound
from theory.continuity.cells import CellProblem
from theory.continuity.lower import ModulusLowerBound, is_equivariant, modulus_lower_bound, radii_of
from theory.continuity.operator_norm import SLACK, positive_norm_upper_bound
from theory.continuity.ranges import ranges_upper_bound
from theory.continuity.steepest import steepest_upper_bound
from theory.enclosure.additive import additive_form
from theory.enclosure.forms import evaluated
from theory.enclosure.gains import Gain, grouped_variables
from theory.enclosure.intervals import Interval
from theory.notation import Kind, check_dim, check_kind, check_p, check_tokens
from theory.search import moving_tokens
from theory.targets.base import Target

__all__ = ["ModulusUpperBound", "ModulusUpperCurve", "modulus_upper_bound"]

Array = NDArray[np.float64]
Function = Callable[[Any], Any]
FLOOR, POINTS = 1e-12, 16  # of the largest |f| at some points: thresholds are not set lower
FEW_INPUTS = 2  # N·d up to which a partition of the cube is tried before pairs of inputs
PAIRS, PARTITION, ADDITIVE = "branch and bound", "partition", "additive"
STEEPEST = "steepest point"
FIRST_STAGES = ((PAIRS, 0.0), (ADDITIVE, 0.5))  # with shares of the time left: 0 is one cell
FEW_STAGES = (*FIRST_STAGES, (PARTITION, 0.6), (PAIRS, 1.0))
MANY_STAGES = (*FIRST_STAGES, (STEEPEST, 0.6), (PAIRS, 0.75), (PARTITION, 1.0))
ADDITIVE_SHARE = 0.5  # of the tolerance, for the resolution of functions of one variable


@dataclass(frozen=True, eq=False)
class ModulusUpperBound:
    """A certified upper bound of a modulus, beside a lower bound.

    Attributes
    ----------
    kind : {"sequence", "token", "contextual"}
    delta : float
        Radius, Frobenius norm.
    value : float
        sup ‖f(X) - f(Y)‖_p is at most this.
    p : float
    lower : ModulusLowerBound
        With the pair that attains it.
    method : str
        What gave the value: trivial (the range), steepness (Lipschitz constants on the cube),
        closed form (proven on paper, where that is an upper bound only), additive (functions of
        one variable each), steepest point (of the cube), branch and bound (over pairs of
        inputs), partition (of the cube), monotone or subadditive (from another radius).
    boxes : int
        Cells that were bounded.
    seconds : float
        Wall time, lower bound included.
    reached : bool
        Whether the gap is within the tolerance asked for.
    note : str
        How far the search got.
    """

    kind: Kind
    delta: float
    value: float
    p: float
    lower: ModulusLowerBound
    method: str
    boxes: int
    seconds: float
    reached: bool
    note: str

    @property
    def gap(self) -> float:
        """value / lower - 1: 0 where both are 0, inf where only the lower bound is."""
        return relative_gap(self.value, self.lower.value)


@dataclass(frozen=True, eq=False)
class ModulusUpperCurve:
    """Certified upper bounds of one modulus at several radii, in the order they were asked for.

    Attributes
    ----------
    kind, p
        As in :class:`ModulusUpperBound`.
    delta, upper, lower, gap : arrays of shape (L,)
    rules : tuple of {"direct", "monotone", "subadditive"}
        How each entry of ``upper`` was obtained.
    bounds : tuple of ModulusUpperBound
    """

    kind: Kind
    p: float
    delta: Array
    upper: Array
    lower: Array
    gap: Array
    rules: tuple[str, ...]
    bounds: tuple[ModulusUpperBound, ...]


def relative_gap(upper: float, lower: float) -> float:
    """Return upper / lower - 1: 0 where both are 0, inf where only ``lower`` is.

    A lower bound is a rounded value, and may exceed a modulus that is next to 0: then 0 too.
    """
    if lower > 0:
        return max(upper / lower - 1, 0.0)
    return 0.0 if upper == 0 else math.inf


@overload
def modulus_upper_bound(
    f: Function,
    delta: float,
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float = ...,
    tolerance: float = ...,
    budget: float = ...,
    equivariant: bool | None = ...,
    lower: Any = ...,
    report: Callable[[float], None] | None = ...,
) -> ModulusUpperBound: ...


@overload
def modulus_upper_bound(
    f: Function,
    delta: NDArray[Any] | list[float] | tuple[float, ...],
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float = ...,
    tolerance: float = ...,
    budget: float = ...,
    equivariant: bool | None = ...,
    lower: Any = ...,
    report: Callable[[float], None] | None = ...,
) -> ModulusUpperCurve: ...


def modulus_upper_bound(
    f: Function,
    delta: Any,
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float = 2.0,
    tolerance: float = 0.02,
    budget: float = 60.0,
    equivariant: bool | None = None,
    lower: Any = None,
    report: Callable[[float], None] | None = None,
) -> ModulusUpperBound | ModulusUpperCurve:
    """Return a certified upper bound of a modulus of continuity.

    Anytime: where ``budget`` ends the search, the bound returned is valid and ``note`` says how far
    it got.  Additive functions (each term a function of one entry) need no search over pairs.

    Parameters
    ----------
    f : callable
        A target, or a function (B, N, d) to (B, N, d) of array operations that has enclosures
        (:func:`theory.enclosure.enclose`).
    delta : float or array of shape (L,)
        Radii, Frobenius norm on [0,1]^{N x d}, >= 0.  The radii of an array share the budget, and
        each other's bounds: w is monotone and w(k t) <= k w(t).
    kind : {"sequence", "token", "contextual"}
    tokens, dim : int
        N and d.
    p : float
        Exponent of the entrywise output norm, 1 <= p <= inf.
    tolerance : float
        Relative gap to the lower bound at which the search ends, > 0.
    budget : float
        Seconds, > 0; the lower bound comes on top.
    equivariant : bool, optional
        True uses that f is permutation-equivariant: one output token is watched, and tokens are
        sorted.  Default: True for the built-in targets, else False.
    lower : ModulusLowerBound or ModulusLowerCurve, optional
        What :func:`modulus_lower_bound` returned for the same arguments; found if left out.
    report : callable, optional
        Called with the finished fraction; within one radius, that of its share of the budget.

    Returns
    -------
    ModulusUpperBound or ModulusUpperCurve
        A curve where ``delta`` is an array.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, or f has no rigorous enclosure.
    """
    kind, p = check_kind(kind), check_p(p)
    tokens, dim = check_tokens(tokens), check_dim(dim)
    radii, single = radii_of(delta)
    for name, value in (("tolerance", tolerance), ("budget", budget)):
        if not (math.isfinite(value) and value > 0):
            raise ValueError(f"`{name}` must be finite and > 0, got {value:g}")
    known = is_equivariant(f) if equivariant is None else equivariant
    started = time.monotonic()
    if lower is None:
        lower = modulus_lower_bound(
            f, radii, kind=kind, tokens=tokens, dim=dim, p=p, equivariant=known
        )
    pairs = (lower,) if isinstance(lower, ModulusLowerBound) else lower.pairs
    if [pair.delta for pair in pairs] != radii.tolist():
        raise ValueError("`lower` must be of the radii `delta`, from modulus_lower_bound")
    search = _Search(f, kind, tokens, dim, p, tolerance, known)
    spent = (time.monotonic() - started) / len(radii)
    bounds: dict[int, ModulusUpperBound] = {}
    end = time.monotonic() + budget
    for done, k in enumerate(np.argsort(radii, kind="stable").tolist()):
        share = max(0.0, end - time.monotonic()) / (len(radii) - done)
        near = [(bound.delta, bound.value) for bound in bounds.values()]
        clock = _clock(report, done, len(radii), share)
        bounds[k] = search.bound(pairs[k], share, near, spent, clock)
        if report is not None:
            report((done + 1) / len(radii))
    ordered = tuple(bounds[k] for k in range(len(radii)))
    return ordered[0] if single else _curve(kind, p, ordered)


def _clock(
    report: Callable[[float], None] | None, done: int, parts: int, seconds: float
) -> Callable[[float], None] | None:
    """Return what reports, when called with anything, how far the clock is in one of the parts."""
    if report is None:
        return None
    started = time.monotonic()

    def tick(_: float) -> None:
        passed = (time.monotonic() - started) / seconds if seconds > 0 else 1.0
        report((done + min(passed, 1.0)) / parts)

    return tick


def _curve(kind: Kind, p: float, bounds: tuple[ModulusUpperBound, ...]) -> ModulusUpperCurve:
    """Return the bounds as a curve, each strengthened by the others."""
    radii = np.array([bound.delta for bound in bounds])
    upper, rules = [], []
    for bound in bounds:
        known = [(other.delta, other.value) for other in bounds]
        value, rule = transferred(bound.delta, known)
        better = value < bound.value
        upper.append(value if better else bound.value)
        rules.append(rule if better else "direct")
    lower = np.array([bound.lower.value for bound in bounds])
    gaps = [relative_gap(high, low) for high, low in zip(upper, lower.tolist(), strict=True)]
    return ModulusUpperCurve(
        kind, p, radii, np.array(upper), lower, np.array(gaps), tuple(rules), bounds
    )


def transferred(delta: float, known: list[tuple[float, float]]) -> tuple[float, str]:
    """Return the least upper bound at ``delta`` that follows from others, and its rule.

    w(t) <= w(s) for t <= s, and w(t) <= k w(s) for k = ceil(t/s) on a convex domain.
    """
    best, rule = math.inf, "direct"
    for radius, value in known:
        if radius <= 0:
            continue
        pieces = 1 if delta <= radius else math.ceil(delta / radius * (1 + SLACK))
        offer = value * pieces * (1 + SLACK) if pieces > 1 else value
        if offer < best:
            best, rule = offer, "subadditive" if pieces > 1 else "monotone"
    return best, rule


class _Search:
    """The bounds of one function and kind, for one radius after the other."""

    def __init__(
        self,
        f: Function,
        kind: Kind,
        tokens: int,
        dim: int,
        p: float,
        tolerance: float,
        known: bool,
    ) -> None:
        self.f, self.kind, self.p, self.tolerance = f, kind, p, tolerance
        self.tokens, self.dim, self.equivariant = tokens, dim, known
        cube = np.zeros((1, tokens, dim)), np.ones((1, tokens, dim))
        self.span = evaluated(f, Interval(*cube)).width[0]  # refuses f without enclosures
        points = np.random.default_rng(0).random((POINTS, tokens, dim))
        self.size = float(evaluated(f, Interval(points)).magnitude.max())
        self.form = additive_form(f, tokens=tokens, dim=dim)
        gains = evaluated(f, grouped_variables(Interval(*cube)))
        self.gain = gains.gain[:, 0] if isinstance(gains, Gain) else np.zeros((1, tokens, dim))

    def bound(
        self,
        lower: ModulusLowerBound,
        seconds: float,
        near: list[tuple[float, float]],
        spent: float,
        clock: Callable[[float], None] | None = None,
    ) -> ModulusUpperBound:
        """Return the bound at the radius of a lower bound, from ``near`` where that suffices."""
        started = time.monotonic()
        rows = [None] if self.kind == "sequence" else list(range(self.tokens))
        rows = rows[:1] if self.equivariant else rows
        offers = [transferred(lower.delta, near)]
        value, method, boxes = 0.0, "steepness", 0
        threshold = max(lower.value * (1 + self.tolerance), FLOOR * self.size)
        if offers[0][0] <= threshold:
            value, method = offers[0]
        elif lower.delta > 0:
            for k, row in enumerate(rows):
                left = (seconds - (time.monotonic() - started)) / (len(rows) - k)
                found = self._row(lower.delta, row, threshold, left, clock)
                boxes += found[2]
                if found[0] >= value:
                    value, method = found[:2]
            if offers[0][0] < value:
                value, method = offers[0]
        gap = relative_gap(value, lower.value)
        reached = value <= threshold
        note = f"{boxes} cells" + (
            "" if reached else f"; stopped after {seconds:.3g} s, before the gap was closed"
        )
        passed = time.monotonic() - started + spent
        if reached and gap > 2 * self.tolerance:
            note += "; 0 up to rounding"
        return ModulusUpperBound(
            self.kind, lower.delta, value, self.p, lower, method, boxes, passed, reached, note
        )

    def _row(
        self,
        delta: float,
        row: int | None,
        threshold: float,
        seconds: float,
        clock: Callable[[float], None] | None,
    ) -> tuple[float, str, int]:
        """Return bound, method and cells where one output token, or all, is watched."""
        moving = moving_tokens(self.kind, self.tokens, row or 0)
        if not moving.any():
            return 0.0, "trivial", 0
        best, method = min(self._at_once(delta, row))
        others = tuple(n for n in range(self.tokens) if n != row) if self.equivariant else ()
        problem = CellProblem(self.f, self.tokens, self.dim, moving, row, self.p, delta, others)
        end, cells = time.monotonic() + seconds, 0
        few = self.tokens * self.dim <= FEW_INPUTS
        for name, share in FEW_STAGES if few else MANY_STAGES:
            if best <= threshold:
                break
            left = max(end - time.monotonic(), 0.0) * share
            if name == PAIRS:
                found = branch_and_bound(problem, threshold, seconds=left, least=best, report=clock)
                value, count = found.value, found.boxes
            elif name == STEEPEST:
                value, count, problem = steepest_upper_bound(problem, threshold, left, best, clock)
            elif name == ADDITIVE:
                value, count = self._additive(problem, threshold, left), 0
            else:
                value, count = self._partition(problem, threshold, left)
            cells += count
            if value < best:
                best, method = value, name
        return best, method, cells

    def _at_once(self, delta: float, row: int | None) -> list[tuple[float, str]]:
        """Return the bounds by range, by Lipschitz constants on the cube, by a proof on paper."""
        watched = slice(None) if row is None else slice(row, row + 1)
        gain = self.gain[:, watched].reshape(len(self.gain), -1)
        ratio = float(positive_norm_upper_bound(gain.T, self.p))
        offers = [
            (_p_norm(self.span[watched].ravel(), self.p), "trivial"),
            (ratio * delta * (1 + SLACK), "steepness"),
        ]
        if isinstance(self.f, Target):
            shape: dict[str, Any] = {"tokens": self.tokens, "dim": self.dim, "p": self.p}
            form = self.f.closed_form(delta, kind=self.kind, **shape)
            if form is not None and form.side == "upper":  # exact ones are left to compare with
                offers.append((form.value * (1 + SLACK), "closed form"))
        return offers

    def _additive(self, problem: CellProblem, threshold: float, seconds: float) -> float:
        """Return the bound for functions of one variable each, inf where f is no sum of them."""
        if self.form is None:
            return math.inf
        return additive_upper_bound(
            self.form,
            problem.delta,
            moving=problem.moving,
            row=problem.row,
            p=self.p,
            tolerance=self.tolerance * ADDITIVE_SHARE,
            threshold=threshold,
            seconds=seconds,
        )

    def _partition(
        self, problem: CellProblem, threshold: float, seconds: float
    ) -> tuple[float, int]:
        """Return the bound from one partition of the cube, and its boxes."""
        return ranges_upper_bound(
            self.f,
            problem.delta,
            tokens=self.tokens,
            dim=self.dim,
            moving=problem.moving,
            row=problem.row,
            p=self.p,
            threshold=threshold,
            seconds=seconds,
        )


def _p_norm(values: Array, p: float) -> float:
    """Return an upper bound of the p-norm of numbers >= 0."""
    if math.isinf(p):
        return float(values.max())
    most = float(values.max())
    if most == 0 or not math.isfinite(most):
        return most
    return float(most * ((values / most) ** p).sum() ** (1 / p) * (1 + SLACK))
