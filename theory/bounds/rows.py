"""Rows of error bounds, term by term, with what each row is worth.

Two bounds of the L^p error of a network with r loops on the cube [0,1]^{N x d} end in such rows:
Theorem 3.6 (v7) in :mod:`looprate.theory.bounds.theorem`, the explicit inequality in
:mod:`looprate.theory.bounds.explicit`.

Terms of a row, each >= 0, absent ones 0.0, their sum is the total: ``token`` and ``context`` (the
two moduli of the increments), ``sequence`` (w), ``memoriser`` (any other error of the memoriser),
``collisions`` (two tokens in one cell) and ``strips`` (the quantiser's finite slope).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, get_args

from looprate.theory.gate import Onset, Side, Total, below_trivial, judged_total
from looprate.theory.norms import p_norm, root_of
from looprate.theory.notation import Kind, check_dim, check_p, check_tokens
from looprate.theory.verdict import Verdict

__all__ = [
    "TERM_NAMES",
    "BoundProblem",
    "BoundRow",
    "Moduli",
    "Side",
    "all_terms",
    "first_informative_loops",
]

SIDES: tuple[Side, ...] = get_args(Side)
Moduli = Callable[[Kind, float], tuple[float, Side]]
TERM_NAMES = ("token", "context", "sequence", "memoriser", "collisions", "strips")


@dataclass(frozen=True)
class BoundRow:
    """One bound at one loop count.

    Attributes
    ----------
    loops : int
        Loop count r.
    delta : float
        Cell width δ the moduli were evaluated with; inf where a hypothesis fails.
    grid : int or None
        Cells a side m, or None: the printed theorem has a real δ, or no grid fits.
    terms : dict of str to float
        The parts of the bound, keys :data:`TERM_NAMES`, L^p norms of the entrywise p-norm.
    total : float
        Their sum; inf where a hypothesis fails.
    trivial, trivial_stderr : float or None
        L^p error of the best constant and its standard error, if known.
    verdict : Verdict
        See :func:`looprate.theory.gate.judged_total`.
    reason : str
        One sentence.
    version : str
        Which statement, which cell width, which placement of (Nd)^{1/p}.
    moduli_side : {"exact", "upper", "lower"}
        Worst side among the moduli used.  ``"lower"``: the total is itself only a lower estimate.
    up_to_constant : tuple of str
        Terms whose constants are not the source's but this project's.
    bits : int or None
        Digits per label q of the digit memoriser.
    """

    loops: int
    delta: float
    grid: int | None
    terms: dict[str, float]
    total: float
    trivial: float | None
    trivial_stderr: float | None
    verdict: Verdict
    reason: str
    version: str
    moduli_side: Side
    up_to_constant: tuple[str, ...] = ()
    bits: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dictionary; infinite numbers become None."""
        row = asdict(self) | {
            "verdict": str(self.verdict),
            "up_to_constant": list(self.up_to_constant),
            "terms": {name: _finite(value) for name, value in self.terms.items()},
        }
        return row | {name: _finite(row[name]) for name in ("delta", "total")}


@dataclass(frozen=True)
class BoundProblem:
    """The setting both bounds share, checked once."""

    tokens: int
    dim: int
    p: float
    oscillation: float
    slope: float
    trivial: float | None
    trivial_stderr: float | None

    def __post_init__(self) -> None:
        check_tokens(self.tokens)
        check_dim(self.dim)
        check_p(self.p)
        if not (math.isfinite(self.oscillation) and self.oscillation >= 0):
            raise ValueError(
                "`oscillation` (bound D on max - min of every entry of f) must be finite and "
                f">= 0, got {self.oscillation:g}"
            )
        if not self.slope > 0:
            raise ValueError(f"`slope` (quantiser slope M) must be > 0, got {self.slope:g}")
        for name, value in (("trivial", self.trivial), ("trivial_stderr", self.trivial_stderr)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"`{name}` must be finite and >= 0 or None, got {value:g}")

    @property
    def root(self) -> float:
        """(Nd)^{1/p}."""
        return float(self.tokens * self.dim) ** (1.0 / self.p)

    @property
    def ceiling(self) -> float:
        """(Nd)^{1/p} D: the error of any network whose outputs stay in f's range."""
        return self.root * self.oscillation

    def on_measures(self, *roots: float) -> float:
        """(Nd)^{1/p} D min(1, μ)^{1/p}, μ the sum of measures given by their p-th roots."""
        return self.ceiling * min(1.0, float(p_norm(roots, self.p)))

    def collision_root(self, delta: float) -> float:
        """min(1, C(N,2) δ^d)^{1/p} or more, the root taken of δ first: δ^d alone may underflow."""
        return self.root_of(math.comb(self.tokens, 2)) * min(delta, 1.0) ** (self.dim / self.p)

    def root_of(self, measure: float) -> float:
        """The p-th root of a measure, 0 for 0 even at p = inf."""
        return root_of(measure, self.p)


class ModuliRecorder:
    """Evaluates moduli and remembers the worst side seen."""

    def __init__(self, moduli: Moduli) -> None:
        self.moduli = moduli
        self.sides: set[Side] = set()

    def __call__(self, kind: Kind, delta: float) -> float:
        value, side = self.moduli(kind, delta)
        if side not in SIDES:
            raise ValueError(f"`moduli` must name a side among {', '.join(SIDES)}, got {side!r}")
        if math.isnan(value) or value < 0:
            raise ValueError(f"`moduli` must return values >= 0, got {value:g} for {kind}")
        self.sides.add(side)
        return float(value)

    @property
    def side(self) -> Side:
        """The worst side: lower before upper before exact."""
        if "lower" in self.sides:
            return "lower"
        return "upper" if "upper" in self.sides else "exact"


def first_informative_loops(
    bound_at: Callable[[int], BoundRow], *, tokens: int, cap: int = 10**18
) -> Onset:
    """Find the smallest r from which a bound is below the trivial one, and whether that is proven.

    Parameters
    ----------
    bound_at : callable
        ``r -> BoundRow``, with ``trivial`` set in its rows.
    tokens : int
        Sequence length N; the search starts at N + 1.
    cap : int
        Largest r looked at; Python integers, so of any size.

    Returns
    -------
    Onset
        The total need not fall below the trivial bound for good: the answer is exact where totals
        do not grow with r (an infinite slope M and non-decreasing moduli), otherwise it is the
        first crossing that a search over r = N + 2^k finds.

    Raises
    ------
    ValueError
        If a row has no trivial bound, or ``cap`` does not exceed ``tokens``.

    Notes
    -----
    Only totals are compared.  ``proven`` says whether the row found holds: with moduli of side
    ``"lower"``, without proved constants or where a hypothesis fails it does not, and the true
    bound becomes informative no earlier.
    """
    n = check_tokens(tokens)
    if cap <= n:
        raise ValueError(f"`cap` must exceed tokens={n}, got {cap}")
    low, high = n, n + 1
    while not _is_informative(bound_at(high)):
        if high >= cap:
            return Onset(None, False, cap)
        low, high = high, min(cap, n + 2 * (high - n))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_informative(bound_at(middle)) else (middle, high)
    return Onset(high, bound_at(high).verdict is Verdict.HOLDS, cap)


def judged_row(
    problem: BoundProblem,
    loops: int,
    terms: dict[str, float],
    *,
    delta: float,
    grid: int | None,
    side: Side,
    version: str,
    open_point: str | None = None,
    up_to_constant: tuple[str, ...] = (),
    bits: int | None = None,
) -> BoundRow:
    """Sum the terms and judge them."""
    total = math.fsum(terms.values())
    verdict, reason = judged_total(
        Total(total, side, problem.p, problem.ceiling, problem.trivial, problem.trivial_stderr),
        open_point,
    )
    if verdict is Verdict.VACUOUS and delta > 1.0:
        reason += "; delta exceeds 1: the formula describes no grid"
    if verdict is Verdict.VACUOUS and grid is None and not up_to_constant:
        reason += "; no grid with as many cells as tokens fits into the loops"
    return BoundRow(
        loops=loops,
        delta=delta,
        grid=grid,
        terms=terms,
        total=total,
        trivial=problem.trivial,
        trivial_stderr=problem.trivial_stderr,
        verdict=verdict,
        reason=reason,
        version=version,
        moduli_side=side,
        up_to_constant=up_to_constant,
        bits=bits,
    )


def _is_informative(row: BoundRow) -> bool:
    """Whether a row's total is below the trivial bound."""
    if row.trivial is None:
        raise ValueError("`bound_at` must return rows with a trivial bound, got trivial=None")
    return row.verdict is not Verdict.VACUOUS and below_trivial(
        row.total, row.trivial, row.trivial_stderr
    )


def all_terms(**given: float) -> dict[str, float]:
    """The full set of terms, absent ones 0.0."""
    return {name: given.get(name, 0.0) for name in TERM_NAMES}


def _finite(value: float) -> float | None:
    """Return a JSON number, or None for inf."""
    return value if math.isfinite(value) else None
