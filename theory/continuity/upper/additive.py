r"""Upper bounds of the moduli of additive functions, f_e(X) = const_e + Σ_k A_ek h_k(x_j(k)).

The difference of two outputs is Σ_k A_ek z_k with z_k = h_k(x) - h_k(y), so that no search over
pairs of inputs is needed: with u_j = |x_j - y_j| and Σ u_j² <= δ²::

    p = inf   the largest over rows e of Σ_j G_j(u_j), G_j(u) the modulus of Σ_k A_ek h_k;
    p = 1     the same with Σ_k (s·A_k) h_k, the largest over sign vectors s;
    p = 2     the root of Σ_j Σ_k μ_k g_k(u_j)², g_k the modulus of h_k, where diag(μ) - A^T A is
              positive semidefinite: μ_k = ‖A‖_2², or the sums of rows of |A^T A|;
    other p   ‖y‖_p <= ‖y‖_1^(2/p-1) ‖y‖_2^(2-2/p) for p < 2, ‖y‖_2^(2/p) ‖y‖_inf^(1-2/p) for p > 2,
              and E^(1/p-1/2) ‖y‖_2 for p < 2, E entries.

The radii u are shared out by Lagrange's dual: max Σ_j W_j(u_j) <= Σ_j max_u [W_j(u) - λ u²] + λ δ²
for every λ >= 0.  Moduli of one variable come from a partition of [0,1] into cells on which the
function's range is short: pairs |x - y| <= u lie in cells at most u apart.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.operator_norm import (
    MOST_ROWS,
    SLACK,
    operator_norm_upper_bound,
)
from looprate.theory.enclosure.additive import AdditiveForm, Atom
from looprate.theory.enclosure.intervals import Interval

Array = NDArray[np.float64]

STEPS, ROUNDS = 32, 60  # first steps of the staircases, and how often they are refined
MULTIPLIERS, PASSES = 24, 6  # of λ tried, each time between the neighbours of the best
COARSE, MOST_CELLS = 256, 2**14  # cells of a partition
FINE, STEP = 1 / 8, 1 / 8  # of the tolerance: the shares of a cell's height and of all steps


def additive_upper_bound(
    form: AdditiveForm,
    delta: float,
    *,
    moving: NDArray[np.bool_],
    row: int | None,
    p: float,
    tolerance: float,
    threshold: float = 0.0,
    seconds: float = math.inf,
) -> float:
    """Return an upper bound of a modulus of continuity of an additive function.

    Parameters
    ----------
    form : AdditiveForm
    delta : float
        Radius, Frobenius norm, > 0.
    moving : bool array of shape (N,)
        Tokens that may differ.
    row : int or None
        The output token that is watched; None for all.
    p : float
        Exponent of the entrywise output norm, 1 <= p <= inf.
    tolerance : float
        Relative; how finely the functions of one variable are resolved.
    threshold : float
        A bound at most this large is good enough: no better one is then looked for.
    seconds : float
        Time after which the functions of one variable are resolved no further.

    Returns
    -------
    float
    """
    dim = form.coefficients.shape[2]
    if not form.atoms:  # a constant
        return 0.0
    watched = form.coefficients if row is None else form.coefficients[:, row : row + 1]
    watched = watched.reshape((watched.shape[0], -1))
    used = [k for k, atom in enumerate(form.atoms) if moving[atom.variable // dim]]
    used = [k for k in used if watched.lo[k].any() or watched.hi[k].any()]
    if not used:
        return 0.0
    columns, atoms = _levelled(watched.picked(np.array(used)), [form.atoms[k] for k in used])
    end = time.monotonic() + seconds
    value = _bounded(_Parts(atoms, columns, delta, tolerance, end), columns.shape[1], p, threshold)
    return math.inf if math.isnan(value) else value


def _levelled(columns: Interval, atoms: list[Atom]) -> tuple[Interval, list[Atom]]:
    """Return coefficients of size 1 and atoms to match: squares of either stay in range."""
    exponents = np.frexp(columns.magnitude.max(1))[1]
    scale = Interval(np.ldexp(1.0, np.clip(-exponents, -1000, 1000)))
    inverse = np.ldexp(1.0, np.clip(exponents, -1000, 1000)).tolist()
    levelled = [
        Atom(atom.variable, _Times(atom, factor)) if factor != 1 else atom
        for atom, factor in zip(atoms, inverse, strict=True)
    ]
    return columns.times(scale.reshape((-1, 1))), levelled


@dataclass(frozen=True)
class _Times:
    """An atom times a power of two."""

    atom: Atom
    factor: float

    def __call__(self, x: Any) -> Any:
        return self.atom.function(x) * self.factor


def _bounded(parts: _Parts, entries: int, p: float, threshold: float) -> float:
    """Return the bound for one p."""
    if math.isinf(p) or entries == 1:
        return parts.largest(np.eye(entries))
    two = parts.euclidean()
    if p == 1:
        quick = math.sqrt(entries) * two * (1 + SLACK)
        return quick if quick <= threshold else min(_by_signs(parts, entries), quick)
    if p == 2:
        return two
    if p > 2:
        share = 2 / p
        other = parts.largest(np.eye(entries))
        return two**share * other ** (1 - share) * (1 + SLACK)
    share = 2 / p - 1
    between = _by_signs(parts, entries) ** share * two ** (1 - share)
    return min(between, entries ** (1 / p - 0.5) * two) * (1 + SLACK)


def _by_signs(parts: _Parts, entries: int) -> float:
    """Return the bound for p = 1 by sign vectors, inf where they are too many."""
    if entries > MOST_ROWS:
        return math.inf
    signs = [(1, *rest) for rest in product((1, -1), repeat=entries - 1)]
    return parts.largest(np.array(signs, dtype=float))


class _Scalar:
    """A function of one variable on a partition, with the values of its modulus known so far."""

    def __init__(self, edges: Array, ranges: Interval) -> None:
        self.edges, self.ranges = edges, ranges
        self._known: dict[float, float] = {}

    @property
    def key(self) -> bytes:
        """Bytes that two functions share only if their partitions and ranges agree."""
        return self.edges.tobytes() + self.ranges.lo.tobytes() + self.ranges.hi.tobytes()

    def modulus(self, radii: Array) -> Array:
        """Return upper bounds of the modulus at radii."""
        new = [radius for radius in radii.tolist() if radius not in self._known]
        if new:
            found = _modulus_on(self.edges, self.ranges, np.array(new))
            self._known |= dict(zip(new, found.tolist(), strict=True))
        return np.array([self._known[radius] for radius in radii.tolist()])


class _Parts:
    """The functions of each variable on a partition of their own, and the radii to share out.

    Parameters
    ----------
    atoms : list of Atom, length A
    columns : Interval of shape (A, E)
        Coefficients of each atom in the watched entries.
    delta, tolerance : float
    end : float
        Time of the monotonic clock after which nothing is refined.
    """

    def __init__(
        self, atoms: list[Atom], columns: Interval, delta: float, tolerance: float, end: float
    ) -> None:
        self.columns, self.delta, self.tolerance, self.end = columns, delta, tolerance, end
        variables = sorted({atom.variable for atom in atoms})
        self.members = [
            np.array([k for k, atom in enumerate(atoms) if atom.variable == variable])
            for variable in variables
        ]
        typical = min(delta, 1.0) / math.sqrt(len(variables))
        self.cells = [
            _partition([atoms[k] for k in members], typical, tolerance) for members in self.members
        ]
        self._known: dict[bytes, _Scalar] = {}

    def largest(self, functionals: Array) -> float:
        """Return the largest bound of w · (difference) over functionals w of shape (S, E)."""
        seen: dict[tuple[int, ...], float] = {}
        for w in functionals:
            weights = Interval(w[None]).times(self.columns).reduce("sum", 1, False)  # (A,)
            terms = []
            for members, (edges, ranges) in zip(self.members, self.cells, strict=True):
                total = Interval(np.zeros(edges.size - 1))
                for k, atom_range in zip(members, ranges, strict=True):
                    total = total.plus(atom_range.times(weights[int(k)]))
                terms.append([(1.0, self._scalar(edges, total))])
            key = tuple(sorted(id(term[0][1]) for term in terms))
            if key not in seen:
                seen[key] = self._shared(terms, 1)
        return max(seen.values())

    def euclidean(self) -> float:
        """Return the bound for p = 2."""
        absolute = self.columns.magnitude
        middle = self.columns.middle()
        rest = self.columns.plus(-Interval(middle)).magnitude
        spectral = float(operator_norm_upper_bound(middle.T, 2.0))
        spectral += float(np.sqrt((rest**2).sum())) * (1 + SLACK)
        gram = np.abs(middle @ middle.T) + SLACK * (absolute @ absolute.T)
        gram += rest @ absolute.T + absolute @ rest.T
        bounds = []
        for weights in (np.full(len(absolute), spectral * spectral), gram.sum(1)):
            terms = [
                [(weights[k], self._scalar(edges, part)) for k, part in zip(m, ranges, strict=True)]
                for m, (edges, ranges) in zip(self.members, self.cells, strict=True)
            ]
            bounds.append(math.sqrt(self._shared(terms, 2)))
        return min(bounds) * (1 + SLACK)

    def _scalar(self, edges: Array, ranges: Interval) -> _Scalar:
        """Return the one function with this partition and these ranges."""
        made = _Scalar(edges, ranges)
        return self._known.setdefault(made.key, made)

    def _shared(self, terms: list[list[tuple[float, _Scalar]]], power: int) -> float:
        """Return a bound of max Σ_j W_j(u_j) over Σ u_j² <= δ², W_j = Σ weight * modulus^power.

        W_j is bounded by a staircase, whose steps are halved where the dual takes its maximum.
        """
        cap = min(self.delta, 1.0)
        radii = cap * np.arange(1, STEPS + 1) / STEPS
        best = math.inf
        for _ in range(ROUNDS):
            curves = np.array([sum(w * g.modulus(radii) ** power for w, g in t) for t in terms])
            inner = np.concatenate([[0.0], radii[:-1]])
            unique, counts = np.unique(curves * (1 + SLACK), axis=0, return_counts=True)
            bound, factor = _dual(unique, counts, inner * (1 - SLACK), self.delta)
            best = min(best, bound)
            gains = unique - factor * inner**2
            steps = factor * (radii**2 - inner**2)
            share = self.tolerance * STEP * power * best / counts.sum()
            near = gains > gains.max(1, keepdims=True) - share
            split = near.any(0) & (steps > share)
            if not split.any() or time.monotonic() > self.end:
                break
            radii = np.sort(np.concatenate([radii, ((inner + radii) / 2)[split]]))
        return best


def _dual(curves: Array, counts: NDArray[Any], inner: Array, delta: float) -> tuple[float, float]:
    """Return the least of Lagrange's duals tried, and its multiplier.

    Parameters
    ----------
    curves : ndarray of shape (J, S)
        Heights of the staircases on their steps.
    counts : ndarray of shape (J,)
        How many variables have this staircase.
    inner : ndarray of shape (S,)
        Inner radii of the steps.
    delta : float
    """
    best, factor = float(curves.max(1) @ counts), 0.0
    multipliers = max(best, 1e-300) / delta**2 * np.geomspace(1e-6, 1e3, MULTIPLIERS)
    for _ in range(PASSES):
        gains = curves[:, None] - multipliers[:, None] * inner**2  # (J, L, S)
        duals = counts @ gains.max(2).clip(0) + multipliers * delta**2
        at = int(duals.argmin())
        if duals[at] < best:
            best, factor = float(duals[at]), float(multipliers[at])
        low, high = max(at - 1, 0), min(at + 1, MULTIPLIERS - 1)
        multipliers = np.geomspace(multipliers[low], multipliers[high], MULTIPLIERS)
    return best * (1 + SLACK), factor


def _partition(atoms: list[Atom], typical: float, tolerance: float) -> tuple[Array, list[Interval]]:
    """Return edges (C + 1,) of cells of [0,1] and the range of every atom on them, (C,) each.

    Cells are halved until every range is short against the atom's modulus at the typical radius.
    """
    edges = np.linspace(0.0, 1.0, COARSE + 1)
    radius = np.array([typical])
    while True:
        ranges = [_ranges(atom, edges) for atom in atoms]
        long = np.zeros(edges.size - 1, dtype=bool)
        for part in ranges:
            height = float(_modulus_on(edges, part, radius)[0]) * tolerance * FINE
            long |= part.hi - part.lo > height
        long &= np.diff(edges) > 2.0**-40
        if not long.any() or edges.size > MOST_CELLS:
            return edges, ranges
        middle = (edges[:-1] / 2 + edges[1:] / 2)[long]
        edges = np.sort(np.concatenate([edges, middle]))


def _ranges(atom: Atom, edges: Array) -> Interval:
    """Return the ranges of an atom on cells."""
    found = atom.function(Interval(edges[:-1], edges[1:]))
    return found if isinstance(found, Interval) else Interval(found)


def _modulus_on(edges: Array, ranges: Interval, radii: Array) -> Array:
    """Return upper bounds of sup |h(x) - h(y)| over |x - y| <= u for radii u, from cell ranges."""
    left, right = edges[:-1], edges[1:]
    lows, highs = [ranges.lo], [ranges.hi]  # of runs of 1, 2, 4, ... cells
    while 2 ** len(lows) <= left.size:
        step = 2 ** (len(lows) - 1)
        lows.append(np.minimum(lows[-1][:-step], lows[-1][step:]))
        highs.append(np.maximum(highs[-1][:-step], highs[-1][step:]))
    found = np.zeros(radii.shape)
    first = np.arange(left.size)
    for at, radius in enumerate(radii):
        last = np.searchsorted(left, (right + radius) * (1 + SLACK), side="right") - 1
        level = np.frexp(last - first + 1)[1] - 1  # floor of log2
        most = 0.0
        for k in np.unique(level):
            here = level == k
            i, j = first[here], last[here] - 2**k + 1
            top = np.maximum(highs[k][i], highs[k][j]) - ranges.lo[i]
            bottom = ranges.hi[i] - np.minimum(lows[k][i], lows[k][j])
            most = max(most, float(top.max()), float(bottom.max()))
        found[at] = most
    return np.maximum.accumulate(found) * (1 + SLACK)
