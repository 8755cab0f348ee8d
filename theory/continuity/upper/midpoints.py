r"""Upper bounds of ‖f(X) - f(Y)‖_p over pairs whose midpoint c = (X + Y)/2 lies in a box.

With D = X - Y and v a unit vector, D = a v + w with w across v, third derivatives T of f give

    f(X) - f(Y) = J(c) D + T[D, D, D]/24 + ρ
                = (J(c) + a^2 L) D + (3a T[v, w, w] + T[w, w, w])/24 + ρ,
    L = (T[v, v, v] v^T + 3 T[v, v, ·](I - v v^T))/24,

since (v·D) = a and (I - v v^T) D = w.  The first term is a matrix that is affine in (c, a^2) times
D, so that the norm of the matrix is largest at corners of the box of c and at the ends of an
interval of a; it is smaller than that of J(c) where f bends.  The others are of second order in
w, ‖w‖^2 <= δ^2 - a^2: little near v, and away from v the first term is small: for 0 < τ <= 1,
S = v v^T + (I - v v^T)/τ and |a| <= a1,

    ‖G D‖ <= ‖G S‖ ‖S^-1 D‖ <= ‖G S‖ sqrt(τ^2 δ^2 + (1 - τ^2) a1^2).

All a in [0, δ] are covered by intervals (D and -D are one pair), whatever v and τ: near the first
right singular vector of J, and the second singular value over the first, they are good.

X and Y lie in the cube, so that |D_i| <= r_i, twice the distance of the box to the farther face.
With weights q >= 1 of the entries, ‖q D‖^2 <= δ^2 + Σ (q_i^2 - 1) r_i^2, and all of the above
holds with q D in place of D: columns that a face holds back count less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from looprate.theory.continuity.upper.affine_norm import affine_norm, spectral_norm
from looprate.theory.continuity.upper.cells import CellProblem, Cells
from looprate.theory.continuity.upper.operator_norm import (
    SLACK,
    entries_norm_upper_bound,
    operator_norm_upper_bound,
)
from looprate.theory.enclosure.columns import Columns
from looprate.theory.enclosure.rounding import EPS, TINY

Array = NDArray[np.float64]

SHARES = np.array(
    [0.0, 0.4, 0.6, 0.75, 0.85, 0.91, 0.95, 0.975, 0.99, 0.9975, 1.0]
)  # of δ: ends of a
LEAST_SHARE = 0.5  # τ: less would not help, as w counts in the remainder
TURNS, LARGEST_WEIGHT = 12, 1e3  # of the search for the direction; q


@dataclass(frozen=True)
class Bend(Columns):
    """J(c) on boxes as start + turn + loose, third derivatives as third + fourth + spread.

    ``reach`` (B, M) bounds |D_i|, ``radius`` (B,) bounds ‖D‖_2, and ``beyond`` (B, E) the rest.
    """

    start: Array
    turn: Array
    loose: Array
    third: Array
    fourth: Array
    spread: Array
    beyond: Array
    reach: Array
    radius: Array

    @classmethod
    def of(cls, problem: CellProblem, cells: Cells) -> Bend | None:
        """Return what is known on cells of midpoints, or None."""
        slopes = problem.expansion(cells.c_low, cells.c_high)
        bend = None if slopes is None else problem.bend(cells.c_low, cells.c_high)
        if slopes is None or bend is None:
            return None
        room = np.minimum(cells.c_high, 1 - cells.c_low)[:, problem.movable]
        reach = np.minimum(problem.delta, 2 * (room + 2 * EPS))
        return cls(*slopes, *bend, reach, np.full(len(cells), problem.delta))

    def finite(self) -> NDArray[np.bool_]:
        """Tell which cells have finite numbers alone."""
        parts = [np.isfinite(x).reshape(len(x), -1).all(1) for x in self._columns()]
        return np.asarray(np.logical_and.reduce(parts))

    def weighted(self, weight: Array) -> Bend:
        """Return the same for q D in place of D, q >= 1 of shape (B, M)."""
        square = self.radius**2 + ((weight**2 - 1) * self.reach**2).sum(1)
        q = weight[:, None]
        cube = q[:, :, :, None, None] * q[:, :, None, :, None] * q[:, :, None, None]
        return Bend(
            self.start / q,
            self.turn / q[:, None],
            self.loose / q,
            self.third / cube,
            self.fourth / cube[:, None],
            self.spread / cube,
            self.beyond,
            self.reach * weight * (1 + SLACK),
            np.sqrt(square) * (1 + SLACK),
        )


def bends(problem: CellProblem, cells: Cells) -> bool:
    """Tell whether it is known how f bends."""
    return Bend.of(problem, cells.picked([0])) is not None


def midpoint_bounds(
    problem: CellProblem, cells: Cells, threshold: float
) -> tuple[Array, NDArray[np.intp], Cells]:
    """Return upper bounds (B,) over pairs with midpoints in cells, sides to halve, and the cells.

    Where no segment meets the places at which f may be steep enough, the bound is -inf.
    """
    sides = cells.c_high - cells.c_low
    bound, side = np.full(len(cells), -np.inf), sides.argmax(1)
    step = np.where(np.isin(np.arange(sides.shape[1]), problem.movable), problem.delta / 2, 0.0)
    low, high = (np.clip(x, 0.0, 1.0) for x in (cells.c_low - step, cells.c_high + step))
    near = np.arange(len(cells))
    if problem.steep is not None:
        near = np.flatnonzero(problem.steep.meet(low - EPS, high + EPS))
    bound[near] = np.inf
    bend = Bend.of(problem, cells.picked(near)) if len(near) else None
    known = None if bend is None else np.flatnonzero(bend.finite())
    if bend is not None and known is not None and len(known):
        bend, near = bend.picked(known), near[known]
        column = np.abs(bend.turn).sum((2, 3)) + bend.loose.sum((1, 2))[:, None] * sides[near]
        side[near] = column.argmax(1)
        bound[near] = _bound(bend.weighted(held_back(bend)), problem.p, threshold)
    return bound, side, cells


def held_back(bend: Bend) -> Array:
    """Return weights q >= 1 (B, M) of entries that a face holds back; 1 where none does.

    At the D of largest ‖J D‖_2 the gradient is (λ + ν_i) D_i with a multiplier ν_i of |D_i| <= r_i,
    and ‖J D‖^2 is about λ ‖D‖^2 + Σ ν_i D_i^2 at most.
    """
    gram = bend.start.swapaxes(1, 2) @ bend.start
    point = np.linalg.eigh(gram)[1][:, :, -1] * bend.radius[:, None]
    for _ in range(TURNS):
        pull = np.abs((gram @ point[:, :, None])[:, :, 0]) + TINY
        sign = np.sign((gram @ point[:, :, None])[:, :, 0])
        multiplier = np.sqrt((pull**2).sum(1, keepdims=True)) / bend.radius[:, None]
        for _ in range(TURNS // 2):
            point = np.minimum(pull / multiplier, bend.reach)
            size = np.sqrt((point**2).sum(1, keepdims=True))
            multiplier = multiplier * np.maximum(size / bend.radius[:, None], 1 / LARGEST_WEIGHT)
        point = sign * point
    ratio = pull / multiplier / np.maximum(bend.reach, TINY)
    return np.sqrt(np.clip(np.nan_to_num(ratio, nan=1.0), 1.0, LARGEST_WEIGHT**2))


def _bound(bend: Bend, p: float, threshold: float) -> Array:
    """Return bounds of the p-norm of the difference; no closer than the threshold asks for."""
    radius = bend.radius[:, None]
    change = affine_norm(bend.start, bend.turn, bend.loose, p).change
    v, tau = _axis(bend.start, change)
    along = v[:, :, None] * v[:, None]
    stretch = along + (np.eye(v.shape[1]) - along) / tau[:, None, None]
    bent = _bent(bend.third, v) @ stretch / 24
    moved = _bent(bend.fourth, v[:, None]) @ stretch[:, None] / 24
    low, high = SHARES[:-1], SHARES[1:]
    middle, half = radius**2 * (low**2 + high**2) / 2, radius**2 * (high**2 - low**2) / 2
    rest = _rest(bend, v, p)
    start = (bend.start @ stretch)[:, None] + middle[..., None, None] * bent[:, None]
    size = np.sqrt(tau[:, None] ** 2 + (1 - tau[:, None] ** 2) * high**2) * radius
    near = _norm(start, p)
    most = radius**2 * high**2 * _norm(moved, p).sum(1, keepdims=True)
    found = (near + (change / tau)[:, None] + half * _norm(bent, p)[:, None] + most) * size + rest
    cell, k = np.nonzero((found > threshold) & (near * size + rest <= threshold))
    if len(cell):
        part = half[cell, k, None, None]
        turn = (
            bend.turn[cell] @ stretch[cell, None] + middle[cell, k, None, None, None] * moved[cell]
        )
        turn = np.concatenate([turn, (part * bent[cell])[:, None]], 1)
        loose = bend.loose[cell] @ np.abs(stretch[cell]) + part * np.abs(moved[cell]).sum(1)
        family = affine_norm(start[cell, k], turn, loose, p).most
        found[cell, k] = np.minimum(found[cell, k], family * size[cell, k] + rest[cell, k])
    return np.asarray(found.max(1) * (1 + 16 * SLACK))


def _bent(third: Array, v: Array) -> Array:
    """Return T[v, v, v] v^T + 3 T[v, v, ·](I - v v^T) of T (..., E, M, M, M), v (..., M)."""
    once = (third @ v[..., None, None, :, None])[..., 0]
    twice = (once @ v[..., None, :, None])[..., 0]  # (..., E, M)
    return np.asarray(3 * twice - 2 * (twice @ v[..., None]) * v[..., None, :])


def _rest(bend: Bend, v: Array, p: float) -> Array:
    """Return bounds of all that is no matrix times D, for every interval of a, (B, intervals)."""
    across = np.eye(v.shape[1]) - v[:, :, None] * v[:, None]
    once = (bend.third @ v[:, None, None, :, None])[..., 0]
    cube = across[:, None, None] @ bend.third @ across[:, None, None]
    cube = across[:, None] @ cube.reshape(*cube.shape[:3], -1)
    turn = np.abs(bend.fourth).sum(1)
    turned = (turn @ np.abs(v)[:, None, None, :, None])[..., 0]
    second = _size(across[:, None] @ once @ across[:, None], p) + _size(turned, p)
    third = _size(cube, p) + _size(turn, p)
    always = _size(bend.spread, p) + SLACK * (_size(bend.third, p) + _size(turn, p))
    low, high = SHARES[:-1], SHARES[1:]
    w = np.sqrt(1 - low**2 + SLACK)
    parts = 3 * high * w**2 * second[:, None] + w**3 * third[:, None] + always[:, None]
    rounding = SLACK * _size(bend.start, p) * bend.radius  # much may cancel between J and L
    beyond = entries_norm_upper_bound(bend.beyond, p) + rounding
    return np.asarray(parts * bend.radius[:, None] ** 3 / 24 + beyond[:, None])


def _axis(start: Array, change: Array) -> tuple[Array, Array]:
    """Return unit vectors v (B, M) and numbers τ (B,) that suit matrices (B, E, M)."""
    values, vectors = np.linalg.eigh(start.swapaxes(1, 2) @ start)
    v = vectors[:, :, -1]
    size = np.sqrt((v**2).sum(1, keepdims=True))
    first = np.sqrt(values[:, -1].clip(TINY))
    second = np.sqrt(values[:, -2].clip(0.0)) if values.shape[1] > 1 else 0.0 * first
    tau = np.clip((second + change) / first, LEAST_SHARE, 1.0)
    return v / size, np.where(np.isnan(tau), 1.0, tau)


def _norm(matrices: Array, p: float) -> Array:
    """Return upper bounds of norms 2 to p."""
    return spectral_norm(matrices) if p == 2 else operator_norm_upper_bound(matrices, p)


def _size(tensors: Array, p: float) -> Array:
    """Return upper bounds (B,) of the p-norm of T[u, ..., u], ‖u‖_2 <= 1, of any |T| if T >= 0."""
    rows = np.sqrt((tensors**2).reshape(*tensors.shape[:2], -1).sum(2))
    return entries_norm_upper_bound(rows, p)
