"""Error bounds of looped Transformers, evaluated term by term, with what each row is worth.

Two bounds on the L^p error of a network with r loops on the cube [0,1]^{N x d}:

* :func:`theorem_3_6_bound`: the right-hand side of Theorem 3.6 (v7).  The paper leaves the
  constants of its two O-terms open; here they are those of the explicit inequality below.
* :func:`explicit_bound`: an inequality without open constants for one of this project's
  constructions, at the largest grid whose loops fit.

The explicit inequality
-----------------------
Let a construction with grid m = 1/δ answer every collision-free cell within e_mem of f at the
cell's centre, in every entry, and let every output lie between the smallest and the largest value
of f in that entry.  Let D bound the oscillation of every entry and
μ = min(1, C(N,2) δ^d + dN(m-1)/M).  Then

    ‖net - f‖_{L^p} <= w(δ√(Nd)/2) + (Nd)^{1/p} e_mem + (Nd)^{1/p} D μ^{1/p}

Proof.  Off a set of measure μ no two tokens share a cell (each of C(N,2) pairs does with
probability δ^d) and no coordinate lies in one of the m-1 transition strips of width 1/M.  There the
output is within e_mem per entry of f at the centre, which is at most δ√(Nd)/2 away.  On the rest
both output and f lie in intervals of length D.  Minkowski's inequality adds the two.  For the
increments of Lemma 4.1 (v7) on the sum code e_mem <= w_tok(δ√d) + w_cont(δ√(Nd)): two labels in
use that are g apart stem from cells at most g δ√d (token) and g δ√(Nd) (its context) apart.

Terms of a row, each >= 0, absent ones 0.0, their sum is the total: ``token`` and ``context`` (the
two moduli of the increments), ``sequence`` (w), ``memoriser`` (any other error of the memoriser),
``collisions`` (two tokens in one cell) and ``strips`` (the quantiser's finite slope).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypedDict, get_args

from theory import rates
from theory.notation import Kind, check_dim, check_loops, check_p, check_tokens
from theory.rates import Coding, DeltaRule, Memoriser
from theory.verdict import Verdict

__all__ = [
    "TERM_NAMES",
    "BoundRow",
    "Moduli",
    "Side",
    "explicit_bound",
    "first_informative_loops",
    "theorem_3_6_bound",
    "theorem_constants_are_proved",
]

Side = Literal["exact", "upper", "lower"]
SIDES: tuple[Side, ...] = get_args(Side)
Moduli = Callable[[Kind, float], tuple[float, Side]]
Placement = Literal["default", "all"]
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)

TERM_NAMES = ("token", "context", "sequence", "memoriser", "collisions", "strips")
STDERR_MARGIN = 3.0  # a bound must be this many standard errors below the trivial one to count
UNPROVED = (
    "the O-constants are this project's and not proved at this r: the grid ceil(1/delta) needs "
    "more loops"
)
MOST_BITS = 64  # digits per label that a free choice of q looks at


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
        ``VACUOUS`` if the total is not below the trivial bound; ``HOLDS`` if the hypotheses are met
        and it is: it says something here; ``NOT_TESTABLE`` otherwise, see ``reason``.
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
class _Problem:
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

    def on_measure(self, measure: float) -> float:
        """(Nd)^{1/p} D μ^{1/p}, with 0 for μ = 0 even at p = inf."""
        return self.ceiling * min(1.0, measure) ** (1.0 / self.p) if measure > 0 else 0.0

    def collision_measure(self, delta: float) -> float:
        """C(N,2) δ^d."""
        return math.comb(self.tokens, 2) * delta**self.dim


class _Construction(TypedDict):
    """The keywords that name a construction in :mod:`theory.rates`."""

    tokens: int
    dim: int
    memoriser: Memoriser
    coding: Coding


class _Recorder:
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


def theorem_3_6_bound(
    moduli: Moduli,
    loops: int,
    *,
    tokens: int,
    dim: int,
    p: float,
    oscillation: float,
    slope: float = math.inf,
    placement: Placement = "default",
    delta_rule: DeltaRule = "printed",
    trivial: float | None = None,
    trivial_stderr: float | None = None,
) -> BoundRow:
    """Right-hand side of Theorem 3.6 (v7) at r loops, with explicit constants.

    (Nd)^{1/p} [w_tok(δ√d) + w_cont(δ√(Nd))] + w(δ√(Nd))
    + (Nd)^{1/p} D min(1, C(N,2) δ^d)^{1/p} + (Nd)^{1/p} D min(1, dN/(Mδ))^{1/p}

    Parameters
    ----------
    moduli : callable
        ``(kind, delta) -> (value, side)``: a modulus of f at a Euclidean radius, in the p-norm of
        the output, and whether it is exact, an upper or a lower bound.
    loops : int
        Loop count r >= 1.
    tokens, dim : int
        Sequence length N and coordinates per token d.
    p : float
        Exponent of the error norm, 1 <= p <= inf.
    oscillation : float
        D, an upper bound of max - min over the cube of every entry of f.
    slope : float, optional
        Slope M of the quantiser, a free weight; inf by default, where the strips vanish.
    placement : {"default", "all"}
        Sources disagree whether (Nd)^{1/p} also multiplies w: ``"all"`` is that weaker variant.
    delta_rule : {"printed", "stages"}
        δ of the theorem's statement or the smaller one of the paper's own stage counts.
    trivial, trivial_stderr : float, optional
        L^p error of the best constant and its standard error.

    Returns
    -------
    BoundRow
        For r <= N the theorem says nothing: the total is inf and the verdict ``NOT_TESTABLE``.

    Raises
    ------
    ValueError
        If an argument is out of range or an option unknown.

    Notes
    -----
    Source: Theorem 3.6 (v7).  ``collisions`` and ``strips`` are O(N^{2/p} δ^{d/p}) and
    O(((Mδ)^{-1} dN)^{1/p}) there; their constants here are this project's, the paper's factor
    (Nd)^{1/p} D hidden in O as a bound on the p-norm of an output difference.  The whole is proved
    with these constants wherever :func:`theorem_constants_are_proved`; a row elsewhere that would
    say something is ``NOT_TESTABLE``.
    """
    problem = _Problem(tokens, dim, p, oscillation, slope, trivial, trivial_stderr)
    r, recorder = check_loops(loops), _Recorder(moduli)
    _check_option(placement, "placement", PLACEMENTS)
    _check_option(delta_rule, "delta_rule", rates.DELTA_RULES)
    version = f"Theorem 3.6 (v7), {delta_rule} delta, {placement} placement of (Nd)^(1/p)"
    if r <= tokens:
        return _hypothesis_fails(problem, r, version)
    delta_of = rates.delta_of_loops if delta_rule == "printed" else rates.delta_of_stages
    delta = delta_of(r, tokens=tokens, dim=dim)
    terms = _theorem_terms(problem, recorder, delta, placement)
    proved = theorem_constants_are_proved(r, tokens=tokens, dim=dim, delta_rule=delta_rule)
    open_point = None if proved else UNPROVED
    return _row(
        problem,
        r,
        terms,
        delta=delta,
        grid=None,
        side=recorder.side,
        version=version,
        open_point=open_point,
        up_to_constant=("collisions", "strips"),
    )


def theorem_constants_are_proved(
    loops: int, *, tokens: int, dim: int, delta_rule: DeltaRule = "printed"
) -> bool:
    """Say whether Theorem 3.6's bound with this project's constants is proved at r loops.

    Parameters
    ----------
    loops : int
        Loop count r > N.
    tokens, dim : int
        Sequence length N and coordinates per token d.
    delta_rule : {"printed", "stages"}
        Which cell width δ.

    Returns
    -------
    bool
        True if the increments on the sum code with grid ceil(1/δ) fit into r loops: each of that
        grid's terms in the explicit inequality is at most the theorem's at δ, and so follows it.
        True also where ceil(1/δ)^d < N: the collision term is then the whole range of f.

    Raises
    ------
    ValueError
        If r <= N.
    """
    n = check_tokens(tokens)
    r = check_loops(loops, tokens=n)
    count = rates.printed_loops if delta_rule == "printed" else rates.paper_stage_loops
    grid = _smallest_at_least(lambda m: count(m, tokens=n, dim=dim), r)  # ceil(1/δ), exactly
    if grid < rates.smallest_grid(tokens=n, dim=dim):
        return True
    needed = rates.construction_loops(grid, tokens=n, dim=dim, memoriser="increments", coding="sum")
    return needed <= r


def explicit_bound(
    moduli: Moduli,
    loops: int,
    *,
    tokens: int,
    dim: int,
    p: float,
    oscillation: float,
    memoriser: Memoriser,
    coding: Coding,
    bits: int | None = None,
    grid: int | None = None,
    slope: float = math.inf,
    trivial: float | None = None,
    trivial_stderr: float | None = None,
) -> BoundRow:
    """Explicit inequality at the largest grid of a construction that fits into r loops.

    w(δ√(Nd)/2) + (Nd)^{1/p} e_mem + (Nd)^{1/p} D μ^{1/p}, μ = min(1, C(N,2) δ^d + dN(m-1)/M)

    Parameters
    ----------
    moduli, loops, tokens, dim, p, oscillation, slope, trivial, trivial_stderr
        As in :func:`theorem_3_6_bound`; r may be at most N.
    memoriser : {"increments", "timestep", "digits"}
        e_mem is min(D, w_tok(δ√d) + w_cont(δ√(Nd))), 0 and 2^{-q} D.
    coding : {"sum", "rank"}
        Increments need the sum code: on the rank code neighbouring labels are unrelated and e_mem
        is D.
    bits : int, optional
        Digits per label q of ``"digits"``; left out, the q <= 64 of the smallest total, or
        with a chosen ``grid`` the largest that fits.
    grid : int, optional
        Cells a side m whose loops fit into r (further loops change nothing); left out, the largest
        such m, which at a finite slope M need not be the best: strips grow with m.

    Returns
    -------
    BoundRow
        ``strips`` holds what the strips add to the collisions in μ^{1/p}.  Where no grid fits, a
        constant network in f's range still has error at most (Nd)^{1/p} D; that is the total, as
        ``collisions``, with ``grid=None`` and δ = 1.

    Raises
    ------
    ValueError
        If an argument is out of range or an option unknown.

    Notes
    -----
    Source: this project; proof in the module's docstring.
    """
    problem = _Problem(tokens, dim, p, oscillation, slope, trivial, trivial_stderr)
    r, recorder = check_loops(loops), _Recorder(moduli)
    version = f"explicit inequality, {memoriser} on the {coding} code"
    how = _Construction(tokens=tokens, dim=dim, memoriser=memoriser, coding=coding)

    def row(q: int | None) -> BoundRow:
        side = grid if grid is not None else rates.largest_grid(r, bits=q, **how)
        if side is None:
            terms = _all_terms(collisions=problem.ceiling)
        else:
            _check_fits(rates.construction_loops(side, bits=q, **how), r, side)
            terms = _explicit_terms(problem, recorder, side, memoriser, coding, q)
        return _row(
            problem,
            r,
            terms,
            delta=1.0 if side is None else 1.0 / side,
            grid=side,
            side=recorder.side,
            version=version,
            bits=q,
        )

    if memoriser != "digits" or bits is not None:
        return row(bits)
    if grid is None:
        return _best_bits(row)
    label = rates.last_label(grid, tokens=tokens, dim=dim, coding=coding)
    fitting = (r - (grid - 1) - tokens - 1) // (label + 1)
    return row(min(MOST_BITS, max(1, fitting)))


def first_informative_loops(
    bound_at: Callable[[int], BoundRow], *, tokens: int, cap: int = 10**18
) -> int | None:
    """Smallest r from which a bound is below the trivial one, or None up to ``cap``.

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
    int or None
        The total need not fall below the trivial bound for good: the answer is exact where totals
        do not grow with r (an infinite slope M and non-decreasing moduli), otherwise it is the
        first crossing that a search over r = N + 2^k finds.

    Raises
    ------
    ValueError
        If a row has no trivial bound, or ``cap`` does not exceed ``tokens``.

    Notes
    -----
    With moduli of side ``"lower"`` the answer is itself a lower bound: the true bound becomes
    informative no earlier.  Only totals are compared: the row found may still be
    ``NOT_TESTABLE`` for want of upper bounds or of proved constants.
    """
    n = check_tokens(tokens)
    if cap <= n:
        raise ValueError(f"`cap` must exceed tokens={n}, got {cap}")
    low, high = n, n + 1
    while not _is_informative(bound_at(high)):
        if high >= cap:
            return None
        low, high = high, min(cap, n + 2 * (high - n))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _is_informative(bound_at(middle)) else (middle, high)
    return high


def _theorem_terms(
    problem: _Problem, modulus: _Recorder, delta: float, placement: Placement
) -> dict[str, float]:
    """Terms of Theorem 3.6 at cell width δ."""
    n, d = problem.tokens, problem.dim
    far = delta * math.sqrt(n * d)
    return _all_terms(
        token=problem.root * modulus("token", delta * math.sqrt(d)),
        context=problem.root * modulus("contextual", far),
        sequence=(problem.root if placement == "all" else 1.0) * modulus("sequence", far),
        collisions=problem.on_measure(problem.collision_measure(delta)),
        strips=problem.on_measure(d * n / (problem.slope * delta)),
    )


def _explicit_terms(
    problem: _Problem,
    modulus: _Recorder,
    grid: int,
    memoriser: Memoriser,
    coding: Coding,
    bits: int | None,
) -> dict[str, float]:
    """Terms of the explicit inequality on a grid of m cells a side."""
    n, d, delta = problem.tokens, problem.dim, 1.0 / grid
    far = delta * math.sqrt(n * d)
    token = context = other = 0.0
    if memoriser == "increments" and coding == "sum":
        token = problem.root * modulus("token", delta * math.sqrt(d))
        context = problem.root * modulus("contextual", far)
        if token + context > problem.ceiling:  # e_mem never exceeds D; keep the shares
            share = problem.ceiling / (token + context)
            token, context = token * share, context * share
    elif memoriser == "increments":
        other = problem.ceiling
    elif memoriser == "digits" and bits is not None:
        other = problem.ceiling * 2.0**-bits
    colliding = problem.collision_measure(delta)
    collisions = problem.on_measure(colliding)
    bad = problem.on_measure(colliding + d * n * (grid - 1) / problem.slope)
    return _all_terms(
        token=token,
        context=context,
        sequence=modulus("sequence", far / 2.0),
        memoriser=other,
        collisions=collisions,
        strips=bad - collisions,
    )


def _best_bits(row: Callable[[int], BoundRow]) -> BoundRow:
    """Row of the smallest total over q; stops once the terms beside the memoriser's exceed it."""
    best = row(1)
    for q in range(2, MOST_BITS + 1):
        candidate = row(q)
        if candidate.total < best.total:
            best = candidate
        strips = candidate.terms["strips"]  # the only term that may shrink with a coarser grid
        if candidate.total - candidate.terms["memoriser"] - strips >= best.total:
            break
    return best


def _row(
    problem: _Problem,
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
    verdict, reason = _judge(problem, total, side, open_point)
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


def _judge(
    problem: _Problem, total: float, side: Side, open_point: str | None
) -> tuple[Verdict, str]:
    """Verdict and reason of a total; the trivial error never exceeds (Nd)^{1/p} D/2."""
    if total >= problem.ceiling / 2.0:
        return Verdict.VACUOUS, (
            f"the bound {total:.4g} is not below (Nd)^(1/p) D/2 = {problem.ceiling / 2.0:.4g}, "
            "which some constant always reaches"
        )
    if problem.trivial is None:
        return Verdict.NOT_TESTABLE, "the trivial bound (best constant's error) was not given"
    threshold = _threshold(problem.trivial, problem.trivial_stderr)
    if total >= threshold:
        return Verdict.VACUOUS, (
            f"the bound {total:.4g} is not below the best constant's error {problem.trivial:.4g} "
            f"(less {STDERR_MARGIN:g} standard errors)"
        )
    if side == "lower":
        return Verdict.NOT_TESTABLE, (
            "the moduli are lower bounds, so is this total: needs upper bounds of the moduli"
        )
    if open_point is not None:
        return Verdict.NOT_TESTABLE, open_point
    return Verdict.HOLDS, (
        f"the hypotheses are met and the bound {total:.4g} is below the best constant's error "
        f"{problem.trivial:.4g}: it says something here"
    )


def _hypothesis_fails(problem: _Problem, loops: int, version: str) -> BoundRow:
    """Row for r <= N, where Theorem 3.6 is silent."""
    return BoundRow(
        loops=loops,
        delta=math.inf,
        grid=None,
        terms=dict.fromkeys(TERM_NAMES, math.inf),
        total=math.inf,
        trivial=problem.trivial,
        trivial_stderr=problem.trivial_stderr,
        verdict=Verdict.NOT_TESTABLE,
        reason=f"Theorem 3.6 needs loops > tokens={problem.tokens}, got {loops}",
        version=version,
        moduli_side="exact",
        up_to_constant=("collisions", "strips"),
    )


def _threshold(trivial: float, stderr: float | None) -> float:
    """Trivial error less the margin for its own uncertainty."""
    return trivial - STDERR_MARGIN * (stderr or 0.0)


def _is_informative(row: BoundRow) -> bool:
    """Whether a row's total is below the trivial bound."""
    if row.trivial is None:
        raise ValueError("`bound_at` must return rows with a trivial bound, got trivial=None")
    return row.verdict is not Verdict.VACUOUS and row.total < _threshold(
        row.trivial, row.trivial_stderr
    )


def _smallest_at_least(count: Callable[[int], int], value: int) -> int:
    """Smallest m >= 1 with count(m) >= value, for an increasing count."""
    high = 1
    while count(high) < value:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if count(middle) >= value else (middle, high)
    return high


def _all_terms(**given: float) -> dict[str, float]:
    """The full set of terms, absent ones 0.0."""
    return {name: given.get(name, 0.0) for name in TERM_NAMES}


def _check_fits(needed: int, loops: int, grid: int) -> None:
    """Raise unless a chosen grid's loops fit."""
    if needed > loops:
        raise ValueError(f"`grid`={grid} needs {needed} loops, got loops={loops}")


def _check_option(value: str, name: str, choices: tuple[str, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise ValueError(f"`{name}` must be one of {', '.join(choices)}, got {value!r}")


def _finite(value: float) -> float | None:
    """Return a JSON number, or None for inf."""
    return value if math.isfinite(value) else None
