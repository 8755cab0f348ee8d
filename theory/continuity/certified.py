"""Certified upper bounds beside curves of lower bounds, as plain rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.lower.bound import ModulusLowerCurve
from looprate.theory.continuity.reconcile import beside_closed_form
from looprate.theory.continuity.transfer import pieces
from looprate.theory.continuity.upper.bound import ModulusUpperCurve, modulus_upper_bound
from looprate.theory.continuity.upper.stages import relative_gap
from looprate.theory.enclosure.forms import evaluated
from looprate.theory.enclosure.intervals import Interval
from looprate.theory.norms import p_norm
from looprate.theory.notation import Kind
from looprate.theory.targets import Target

__all__ = ["Follow", "certified_columns"]

Array = NDArray[np.float64]
Row = dict[str, Any]
Report = Callable[[float], None]
Follow = Callable[[Target, int, int], Target]
LEAST_SHARE = 0.3  # of its share: what a modulus has when earlier ones used up the time


def as_written(target: Target, tokens: int, dim: int) -> Target:
    """Return the target itself, once it is seen to have enclosures.

    Parameters
    ----------
    target : Target
    tokens, dim : int
        N and d.

    Raises
    ------
    ValueError
        If it does something that has no enclosure; the message says what.
    """
    evaluated(target, Interval(np.zeros((1, tokens, dim)), np.ones((1, tokens, dim))))
    return target


def certified_columns(
    target: Target,
    curves: Mapping[Kind, ModulusLowerCurve],
    *,
    tokens: int,
    dim: int,
    p: float,
    tolerance: float,
    seconds: float,
    boxes: int | None = None,
    follow: Follow = as_written,
    report: Report | None = None,
) -> tuple[list[Row], list[str]]:
    """Return {certified, gap, method, reached, note, boxes, seconds, x, y} for every radius.

    Parameters
    ----------
    target : Target
    curves : mapping from kind to ModulusLowerCurve
        Of the same target, N, d and p.
    tokens, dim : int
        N and d.
    p : float
        Exponent of the entrywise output norm.
    tolerance : float
        Relative gap at which a search ends.
    seconds : float
        For all kinds together; what one leaves over the next ones have.
    boxes : int, optional
        The same in boxes, for bounds that no clock decides; ``seconds`` are then a cap.
    follow : callable, optional
        ``(target, N, d) -> target`` that enclosures can follow, or ValueError; default: itself.
    report : callable, optional
        Called with the finished fraction.

    Returns
    -------
    columns : list of dict
        In the order of the curves and their radii.  ``certified`` is the upper bound, ``gap`` the
        relative one to the curve's lower bound, both None where infinite or unknown; ``x`` and
        ``y``, of shape (N, d), attain the lower bound.
    reasons : list of str
        Why there is no upper bound, where there is none.
    """
    columns: list[Row] = []
    reasons: list[str] = []
    seen: Target | None = None
    try:
        seen = follow(target, tokens, dim)  # a first tracing is mostly imports: on top
    except ValueError as error:  # an operation without an enclosure
        reasons.append(" ".join(str(error).split()))
    end, least = time.monotonic() + seconds, LEAST_SHARE * seconds / len(curves)
    for done, (kind, curve) in enumerate(curves.items()):
        share, most = end - time.monotonic(), None
        if boxes is None:
            share /= len(curves) - done
        else:
            most = max(0, boxes - sum(c["boxes"] for c in columns)) // (len(curves) - done)
        found: ModulusUpperCurve | None = None
        try:
            found = (
                None
                if seen is None
                else modulus_upper_bound(
                    seen,
                    curve.delta,
                    kind=kind,
                    tokens=tokens,
                    dim=dim,
                    p=p,
                    tolerance=tolerance,
                    seconds=max(share, least),
                    boxes=most,
                    lower=curve,
                    report=_part(report, done, len(curves)),
                )
            )
        except ValueError as error:  # values outside of the enclosures
            reasons.append(" ".join(str(error).split()))
        for k in range(len(curve.delta)):
            known = _known(found, k, curve, tolerance) if found else _unknown(reasons[-1])
            form = target.closed_form(float(curve.delta[k]), kind=kind, tokens=tokens, dim=dim, p=p)
            if form is not None:
                low, high = float(curve.lower[k]), known["certified"]
                beside_closed_form(target, form, low, high, tokens=tokens, dim=dim)
            x, y = attaining_pair(target, curve, k)
            columns.append({**known, "x": x.tolist(), "y": y.tolist()})
    return columns, list(dict.fromkeys(reasons))


def attaining_pair(target: Target, curve: ModulusLowerCurve, k: int) -> tuple[Array, Array]:
    """Return a pair within radius k of a curve that attains its lower bound there.

    Where the bound rests on a pair (x, y) of a larger radius, by subadditivity, the segment from x
    to y is cut into pieces within the radius; by the triangle inequality one of them attains it.

    Parameters
    ----------
    target : Target
    curve : ModulusLowerCurve
    k : int

    Returns
    -------
    x, y : arrays of shape (N, d)
        ‖x - y‖_2 is at most the radius, up to rounding.
    """
    pair = curve.pairs[curve.delta.tolist().index(curve.sources[k])]
    if curve.rules[k] != "subadditive":
        return pair.x, pair.y
    parts = pieces(pair.delta, curve.delta[k])
    part = np.linspace(0.0, 1.0, parts + 1)[:, None, None]
    points = np.clip(pair.x + part * (pair.y - pair.x), 0.0, 1.0)
    values = np.asarray(target(points))
    watched = values if pair.row is None else values[:, pair.row : pair.row + 1]
    steps = p_norm(np.diff(watched, axis=0).reshape(parts, -1), curve.p, axis=1)
    best = int(steps.argmax())
    return points[best], points[best + 1]


def _part(report: Report | None, done: int, parts: int) -> Report | None:
    """Return what reports a fraction of one part as one of the whole."""
    return None if report is None else lambda fraction: report((done + fraction) / parts)


def _known(found: ModulusUpperCurve, k: int, curve: ModulusLowerCurve, tolerance: float) -> Row:
    """The columns of one radius."""
    bound, upper, lower = found.bounds[k], float(found.upper[k]), float(curve.lower[k])
    gap = relative_gap(upper, lower)
    direct = found.rules[k] == "direct"
    return {
        "certified": upper if math.isfinite(upper) else None,
        "gap": gap if math.isfinite(gap) else None,
        "method": bound.method if direct else found.rules[k],
        "reached": bound.reached or gap <= tolerance,
        "note": bound.note if direct else f"{bound.note}; {found.rules[k]} from another radius",
        "boxes": bound.boxes,
        "seconds": bound.seconds,
    }


def _unknown(reason: str) -> Row:
    """The columns where there is no upper bound."""
    facts = {"certified": None, "gap": None, "method": None, "reached": False}
    return {**facts, "note": reason, "boxes": 0, "seconds": 0.0}
