"""What is known of one target in one setting: the only source that bounds and verdicts read.

One effort, one set of radii and one seed, so that every command gives the same digits for the same
question.  Needs torch only where the search of moduli uses it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from looprate.theory.bounds.loop_counts import Coding
from looprate.theory.bounds.rows import BoundRow, Moduli
from looprate.theory.bounds.theorem import Placement
from looprate.theory.bounds.trivial import best_constant_error
from looprate.theory.certification import beside, moduli_of, proof_of, unproven
from looprate.theory.continuity import ModulusLowerCurve, modulus_lower_bound
from looprate.theory.continuity.certified import Follow, as_written
from looprate.theory.continuity.reconcile import beside_closed_form
from looprate.theory.gate import SECONDS, Contradiction, Side, failures
from looprate.theory.hypotheses import check_hypotheses, testable
from looprate.theory.notation import KINDS, Kind, check_delta
from looprate.theory.targets import Target
from looprate.theory.targets.base import ClosedForm
from looprate.theory.verdict import Finding, Verdict
from looprate.theory.versions import bound_function

__all__ = [
    "Facts",
    "facts_of",
    "has_closed_forms",
    "lower_curves",
    "moduli_rows",
    "search_radii",
    "stored_facts",
]

DELTAS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SMALL = (1e-4, 1e-3)  # radii besides, where bounds at many loops rest on what is found there
EFFORT = 0.3  # of the search of moduli that bounds rest on
SEARCH_SHARE = 0.4  # of the time, for lower bounds
_TRIVIAL_POINTS = 2**12
Row = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Facts:
    """What is known of one target at one N, d and p.

    Attributes
    ----------
    target : Target
    tokens, dim : int
    p : float
    hypotheses : tuple of Finding
    rows : tuple of dict
        Lower bounds of the moduli, see :func:`moduli_rows`; empty where closed forms are known and
        nothing was searched.  ``certified`` is an upper bound besides, None where there is none.
    oscillation : float
        D, a bound of every entry's oscillation.
    oscillation_side : {"upper", "lower"}
        ``"lower"``: sampled, as nothing is proven.
    trivial, trivial_stderr : float
        The best constant's error and its standard error.
    moduli : callable, optional
        ``(kind, delta) -> (value, side)`` at any radius; from closed forms, else from the rows.
    uncertified : str
        Why there are no upper bounds, where there are none.
    """

    target: Target
    tokens: int
    dim: int
    p: float
    hypotheses: tuple[Finding, ...]
    rows: tuple[Row, ...]
    oscillation: float
    oscillation_side: Side
    trivial: float
    trivial_stderr: float
    moduli: Moduli = None  # type: ignore[assignment]  # never after __post_init__
    uncertified: str = ""

    def __post_init__(self) -> None:
        if self.moduli is None:
            known = moduli_of(self.target, self.rows, **self.shape)
            object.__setattr__(self, "moduli", known)

    @property
    def shape(self) -> Row:
        """N, d and p as keywords."""
        return {"tokens": self.tokens, "dim": self.dim, "p": self.p}

    @property
    def setting_columns(self) -> Row:
        """The columns that every row of a figure about the target has."""
        return {"target": str(self.target), "latex": self.target.latex, **self.shape}

    def bound(
        self,
        version: str,
        *,
        placement: Placement = "all",
        slope: float = math.inf,
        coding: Coding | None = None,
    ) -> Callable[[int], BoundRow]:
        """Return ``loops -> BoundRow``, not testable wherever a hypothesis on the target fails.

        Parameters
        ----------
        version, placement, slope, coding
            As in :func:`looprate.theory.versions.bound_function`.
        """
        at = bound_function(
            version,
            self.moduli,
            **self.shape,
            oscillation=self.oscillation,
            trivial=self.trivial,
            trivial_stderr=self.trivial_stderr,
            placement=placement,
            slope=slope,
            coding=coding,
        )
        return lambda loops: bound_under(self.explained(at(loops)), self.hypotheses)

    def explained(self, row: BoundRow) -> BoundRow:
        """Return a bound as it is, or with why its moduli have no upper bounds."""
        open_ = row.verdict is Verdict.NOT_TESTABLE and row.moduli_side == "lower"
        if not open_ or not self.uncertified:
            return row
        return replace(row, reason=f"{row.reason}; {self.uncertified}")

    def as_row(self) -> Row:
        """Return a JSON-ready row, which :func:`stored_facts` reads back."""
        return {
            **self.setting_columns,
            "hypotheses": [finding.as_dict() for finding in self.hypotheses],
            "moduli": [dict(row) for row in self.rows],
            "oscillation": self.oscillation,
            "oscillation_side": self.oscillation_side,
            "smoothness": asdict(self.target.smoothness),
            "trivial": self.trivial,
            "trivial_stderr": self.trivial_stderr,
            "uncertified": self.uncertified,
        }


def facts_of(
    target: Target,
    *,
    tokens: int,
    dim: int,
    p: float,
    searched: bool = False,
    seconds: float = SECONDS,
    follow: Follow = as_written,
    report: Callable[[float], None] | None = None,
) -> Facts:
    """Find out what is known of a target.

    Parameters
    ----------
    target : Target
    tokens, dim : int
        N and d.
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    searched : bool
        Whether to search lower bounds of the moduli also where closed forms are known.
    seconds : float
        Of certified upper bounds where there are no closed forms, in boxes of an ordinary core: so
        the numbers are the same on a slow one.
    follow : callable, optional
        ``(target, N, d) -> target`` that enclosures can follow, or ValueError; default: itself.
    report : callable, optional
        Called with the finished fraction.

    Raises
    ------
    ValueError
        If an argument is out of range.
    Contradiction
        If a lower bound exceeds a closed form.
    """
    shape: Row = {"tokens": tokens, "dim": dim, "p": p}
    target(np.full((2, tokens, dim), 0.4))  # an own function finds out what it can be called on
    hypotheses = tuple(check_hypotheses(target, **shape))
    rows: list[Row] = []
    known = has_closed_forms(target, **shape)
    proof = unproven(target, tokens=tokens, dim=dim)
    if searched or not known:
        effort, share = (1.0, 1.0) if known else (EFFORT, SEARCH_SHARE)
        tell = _part(report, 0.0, share)
        radii = search_radii(target, **shape)
        curves = lower_curves(target, radii, **shape, effort=effort, report=tell)
        rows = moduli_rows(target, curves, **shape)
        if not known and testable(hypotheses):
            how: Row = {"seconds": seconds, "follow": follow}
            proof = proof_of(target, curves, **shape, **how, report=_part(report, share, 1 - share))
            rows = [beside(row, column) for row, column in zip(rows, proof.columns, strict=True)]
    trivial, stderr = trivial_error(target, **shape)
    return Facts(
        target=target,
        **shape,
        hypotheses=hypotheses,
        rows=tuple(rows),
        oscillation=proof.oscillation,
        oscillation_side=proof.side,
        trivial=trivial,
        trivial_stderr=stderr,
        uncertified=proof.missing,
    )


def _part(
    report: Callable[[float], None] | None, start: float, share: float
) -> Callable[[float], None] | None:
    """Return what reports a fraction of one part as one of the whole."""
    return None if report is None else lambda done: report(start + share * done)


def stored_facts(row: Row, target: Target) -> Facts:
    """Return the facts that a row of :meth:`Facts.as_row` holds.

    Parameters
    ----------
    row : dict
    target : Target
        The same one.

    Raises
    ------
    Contradiction
        If a stored lower bound exceeds a closed form, the stored one or today's.
    """
    for known in row["moduli"]:
        _check_stored(known, target, **{name: row[name] for name in ("tokens", "dim", "p")})
    return Facts(
        target=target,
        hypotheses=tuple(map(Finding.from_dict, row["hypotheses"])),
        rows=tuple(row["moduli"]),
        oscillation_side=row["oscillation_side"],
        **{
            name: row[name]
            for name in ("tokens", "dim", "p", "oscillation", "trivial", "trivial_stderr")
        },
        uncertified=row.get("uncertified", ""),
    )


def _check_stored(known: Row, target: Target, *, tokens: int, dim: int, p: float) -> None:
    """Raise where a stored lower bound of a modulus exceeds a closed form."""
    kind, delta, upper = known["kind"], known["delta"], known["upper"]
    told = f", {kind} modulus at delta {delta:g}, p = {p:g}, as stored"
    now = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
    then = None if upper is None else ClosedForm(upper, "upper", "")
    for form in (now, then):
        if form is not None:
            beside_closed_form(
                target, form, known["lower"], None, tokens=tokens, dim=dim, told=told
            )
    certified = known.get("certified")
    if certified is not None and known["lower"] > certified:
        raise Contradiction(
            f"the certified upper bound of {target}{told} is {certified:.6g}, below the lower "
            f"bound {known['lower']:.6g}"
        )


def has_closed_forms(target: Target, *, tokens: int, dim: int, p: float) -> bool:
    """Tell whether something is proven of all three moduli, so that bounds need no search.

    Parameters
    ----------
    target : Target
    tokens, dim, p
        The setting.
    """
    shape: Row = {"tokens": tokens, "dim": dim, "p": p}
    return all(target.closed_form(0.1, kind=kind, **shape) is not None for kind in KINDS)


def search_radii(target: Target, *, tokens: int, dim: int, p: float) -> tuple[float, ...]:
    """Return the radii at which lower bounds are searched.

    Parameters
    ----------
    target : Target
    tokens, dim, p
        The setting.
    """
    known = has_closed_forms(target, tokens=tokens, dim=dim, p=p)
    return DELTAS if known else (*SMALL, *DELTAS)


def lower_curves(
    target: Target,
    deltas: Sequence[float],
    *,
    tokens: int,
    dim: int,
    p: float,
    effort: float = 1.0,
    seed: int = 0,
    kinds: Sequence[Kind] = KINDS,
    report: Callable[[float], None] | None = None,
) -> dict[Kind, ModulusLowerCurve]:
    """Return a curve of lower bounds for each kind of modulus."""
    radii = np.array([check_delta(delta) for delta in deltas])
    curves: dict[Kind, ModulusLowerCurve] = {}
    for done, kind in enumerate(kinds, start=1):
        forms = [target.closed_form(r, kind=kind, tokens=tokens, dim=dim, p=p) for r in deltas]
        exact = [form.value for form in forms if form and form.side == "exact"]
        curves[kind] = modulus_lower_bound(
            target,
            radii,
            kind=kind,
            tokens=tokens,
            dim=dim,
            p=p,
            effort=effort,
            rng=np.random.default_rng(seed),
            enough=np.array(exact) if len(exact) == len(radii) else None,
        )
        if report is not None:
            report(done / len(kinds))
    return curves


def moduli_rows(
    target: Target, curves: dict[Kind, ModulusLowerCurve], *, tokens: int, dim: int, p: float
) -> list[Row]:
    """Return rows {kind, delta, lower, exact, upper, side}.

    ``lower`` is guaranteed up to rounding; ``exact`` and ``upper`` come from a proven closed form,
    None where there is none; ``side`` names the best that is known: exact, upper or lower.

    Raises
    ------
    Contradiction
        If a lower bound exceeds a closed form by more than rounding.
    """
    rows = []
    for kind, curve in curves.items():
        for k, (delta, lower) in enumerate(
            zip(curve.delta.tolist(), curve.lower.tolist(), strict=True)
        ):
            form = target.closed_form(delta, kind=kind, tokens=tokens, dim=dim, p=p)
            if form is not None:
                told = f", {kind} modulus at delta {delta:g}, p = {p:g}"
                pair = curve.pairs[k]
                told += f", pair x = {pair.x.tolist()}, y = {pair.y.tolist()}"
                beside_closed_form(target, form, lower, None, tokens=tokens, dim=dim, told=told)
            rows.append(
                {
                    "kind": kind,
                    "delta": delta,
                    "lower": lower if form is None else min(lower, form.value),
                    "exact": form.value if form and form.side == "exact" else None,
                    "upper": form.value if form else None,
                    "side": form.side if form else "lower",
                }
            )
    return rows


def trivial_error(target: Target, *, tokens: int, dim: int, p: float) -> tuple[float, float]:
    """Return the L^p error of the best constant and its standard error."""
    rng = np.random.default_rng(0)
    value, stderr, _ = best_constant_error(
        target, tokens=tokens, dim=dim, p=p, points=_TRIVIAL_POINTS, rng=rng
    )
    return value, stderr


def bound_under(row: BoundRow, findings: Sequence[Finding]) -> BoundRow:
    """Return a bound as it is, or as not testable where a hypothesis on the target fails."""
    if testable(findings):
        return row
    return replace(row, verdict=Verdict.NOT_TESTABLE, reason="; ".join(failures(findings)))
