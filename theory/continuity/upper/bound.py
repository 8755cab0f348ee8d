"""Certified upper bounds of moduli of continuity, by branch and bound with rigorous enclosures.

What is certified is the modulus of the function that the formula spells when its float64 constants
are taken at their exact values and every operation is exact
(:mod:`looprate.theory.enclosure.forms`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.bound import (
    ModulusLowerBound,
    ModulusLowerCurve,
    is_equivariant,
    modulus_lower_bound,
    radii_of,
)
from looprate.theory.continuity.reconcile import reconciled, reconciled_at
from looprate.theory.continuity.transfer import upper_from
from looprate.theory.continuity.upper.stages import Search, relative_gap
from looprate.theory.notation import Kind, check_dim, check_kind, check_p, check_tokens

Array = NDArray[np.float64]
Function = Callable[[Any], Any]
FIRST_PART = 3  # of the boxes a third for the least radius: what is found there serves all others


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
        one variable each), steepest point (of the cube), hulls of pairs (forms of second order),
        branch and bound (over pairs of inputs), partition (of the cube), monotone or subadditive
        (from another radius).
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
    seconds: float = ...,
    boxes: int | None = ...,
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
    seconds: float = ...,
    boxes: int | None = ...,
    equivariant: bool | None = ...,
    lower: Any = ...,
    report: Callable[[float], None] | None = ...,
) -> ModulusUpperCurve: ...


@np.errstate(all="ignore")  # overflow and NaN are seen in the numbers
def modulus_upper_bound(
    f: Function,
    delta: Any,
    *,
    kind: Kind,
    tokens: int,
    dim: int,
    p: float = 2.0,
    tolerance: float = 0.02,
    seconds: float = 60.0,
    boxes: int | None = None,
    equivariant: bool | None = None,
    lower: Any = None,
    report: Callable[[float], None] | None = None,
) -> ModulusUpperBound | ModulusUpperCurve:
    """Return a certified upper bound of a modulus of continuity.

    Anytime: where ``seconds`` end the search, the bound returned is valid and ``note`` says how far
    it got.  Additive functions (each term a function of one entry) need no search over pairs.

    Parameters
    ----------
    f : callable
        A target, or a function (B, N, d) to (B, N, d) of array operations that has enclosures
        (:func:`looprate.theory.enclosure.enclose`).
    delta : float or array of shape (L,)
        Radii, Frobenius norm on [0,1]^{N x d}, >= 0.  The radii of an array share the time, and
        each other's bounds: w is monotone and w(k t) <= k w(t).
    kind : {"sequence", "token", "contextual"}
    tokens, dim : int
        N and d.
    p : float
        Exponent of the entrywise output norm, 1 <= p <= inf.
    tolerance : float
        Relative gap to the lower bound at which the search ends, > 0.
    seconds : float
        Seconds, > 0, by the clock on the wall; the lower bound comes on top.
    boxes : int, optional
        Cells after which the search ends, those of all radii together; ``seconds`` are then a cap
        that a slow machine alone meets, and the bounds on any other the same.
    equivariant : bool, optional
        True uses that f is permutation-equivariant: one output token is watched, and tokens are
        sorted.  Default: True for the built-in targets, else False.
    lower : ModulusLowerBound or ModulusLowerCurve, optional
        What :func:`modulus_lower_bound` returned for the same arguments; found if left out.
    report : callable, optional
        Called with the finished fraction; within one radius, that of its share of the time.

    Returns
    -------
    ModulusUpperBound or ModulusUpperCurve
        A curve where ``delta`` is an array.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, f has no rigorous enclosure, or its float64 values are not
        those of its formula.
    Contradiction
        If the exact values at the lower bound's pair exceed the upper bound: a fault of this
        project.
    """
    kind, p = check_kind(kind), check_p(p)
    tokens, dim = check_tokens(tokens), check_dim(dim)
    radii, single = radii_of(delta)
    for name, value in (("tolerance", tolerance), ("seconds", seconds)):
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
    end = time.monotonic() + seconds
    search = Search(f, kind, tokens, dim, p, tolerance, known, end)
    spent = (time.monotonic() - started) / len(radii)
    bounds: dict[int, ModulusUpperBound] = {}
    for done, k in enumerate(np.argsort(radii, kind="stable").tolist()):
        share, most = max(0.0, end - time.monotonic()), None
        if boxes is None:
            share /= len(radii) - done
        else:
            parts = len(radii) - done if done else min(len(radii), FIRST_PART)
            most = max(0, boxes - sum(bound.boxes for bound in bounds.values())) // parts
        near = [(bound.delta, bound.value) for bound in bounds.values()]
        clock = _clock(report, done, len(radii), share)
        began, pair = time.monotonic(), pairs[k]
        found = search.bound(pair.delta, pair.value, share, near, clock, most)
        bounds[k] = ModulusUpperBound(
            kind,
            pair.delta,
            found.value,
            p,
            pair,
            found.method,
            found.boxes,
            time.monotonic() - began + spent,
            found.reached,
            found.note,
        )
        if report is not None:
            report((done + 1) / len(radii))
    ordered = tuple(bounds[k] for k in range(len(radii)))
    if single:
        [bound], [pair] = ordered, pairs
        return replace(bound, value=reconciled(f, bound.value, pair, pair.value))
    return _above(f, _curve(kind, p, ordered), lower)


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


def _above(
    f: Function, curve: ModulusUpperCurve, lower: ModulusLowerBound | ModulusLowerCurve
) -> ModulusUpperCurve:
    """Return a curve of upper bounds that are nowhere below the lower ones, see reconciled."""
    values = curve.upper.tolist()
    if isinstance(lower, ModulusLowerBound):
        upper = [reconciled(f, values[0], lower, lower.value)]
    else:
        upper = [reconciled_at(f, value, lower, k) for k, value in enumerate(values)]
    return replace(curve, upper=np.array(upper))


def _curve(kind: Kind, p: float, bounds: tuple[ModulusUpperBound, ...]) -> ModulusUpperCurve:
    """Return the bounds as a curve, each strengthened by the others."""
    radii = np.array([bound.delta for bound in bounds])
    upper, rules = [], []
    for bound in bounds:
        known = [(other.delta, other.value) for other in bounds]
        value, rule = upper_from(bound.delta, known)
        better = value < bound.value
        upper.append(value if better else bound.value)
        rules.append(rule if better else "direct")
    lower = np.array([bound.lower.value for bound in bounds])
    gaps = [relative_gap(high, low) for high, low in zip(upper, lower.tolist(), strict=True)]
    return ModulusUpperCurve(
        kind, p, radii, np.array(upper), lower, np.array(gaps), tuple(rules), bounds
    )
