r"""Affine forms: u(X) = c + Σ_k a_k ξ_k + ρ on a box, with symbols ξ_k in [-1, 1] and |ρ| <= r.

The first symbols are the coordinates of the box, X = centre + half side * ξ.  What a nonlinear step
misses becomes a symbol of its own, shared by all that is computed from it, so that later sums and
products with matrices cancel it as they cancel the inputs; intervals of values or of slopes would
add up the sizes of the weights instead.  Steps:

* sums and products with numbers act on c, a and r;
* uv = c_u c_v + Σ (c_u b_k + c_v a_k) ξ_k + ε, |ε| <= rad(u) rad(v), rad = Σ|a| + r;
* a function φ of one number: φ(c) + φ'(c)(u - c) + ½ φ''(U) [0, rad²], or where that is less the
  middle of its slopes on U and their radius times rad;
* a maximum with 0 on U = [l, u] across 0: it lies between s x and s (x - l), s = u / (u - l).

With squares, products of two inputs are symbols, too, which uv and φ''(c) (u - c)² / 2 fill: what
such a step misses is of third order, and curvature, as slopes, cancels later.

What rounding adds is counted in r.  Beside the form an interval is kept, the two being intersected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure import rounding
from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.curved import Curved
from looprate.theory.enclosure.intervals import Interval, lifted
from looprate.theory.enclosure.jets import Jet
from looprate.theory.enclosure.rounding import EPS

__all__ = ["Affine", "affine_variables"]

Array = NDArray[np.float64]
Whole = NDArray[np.intp]
SLACK = 8 * EPS  # of the sizes that enter a step of a few roundings, and of their computed sums
SMALL = 1e-300  # exceeds what underflow loses in all the products of a step


class _Symbols:
    """How many symbols all arrays of one call have used: the inputs, their squares, others."""

    def __init__(self, lines: int, inputs: int) -> None:
        self.lines, self.inputs, self.count = lines, inputs, inputs

    @property
    def squared(self) -> bool:
        """Whether products of two inputs are symbols, too."""
        return self.lines < self.inputs


@final
class Affine(EnclosureArray):
    """Affine forms of shape S: centres, coefficients ``(n, *S)`` of n symbols, remainders, ranges.

    ``box`` (S) says which box of the batch an entry belongs to: symbols are each box's own.
    """

    __slots__ = ("box", "centre", "coef", "radius", "rest", "size_of_terms", "symbols", "value")

    def __init__(
        self,
        symbols: _Symbols,
        box: Whole,
        centre: Array,
        coef: Array,
        rest: Array,
        value: Interval | None = None,
        size: Array | None = None,
    ) -> None:
        size = _size(coef) if size is None else size
        known = np.isfinite(centre) & np.isfinite(rest) & np.isfinite(size)
        if not known.all():
            centre, rest = np.where(known, centre, 0.0), np.where(known, rest, np.inf)
            coef, size = np.where(known, coef, 0.0), np.where(known, size, 0.0)
        self.symbols, self.box = symbols, box
        self.centre, self.coef, self.rest, self.size_of_terms = centre, coef, rest, size
        self.radius = (size + rest) * (1 + SLACK) + SMALL
        slack = EPS * np.abs(centre) + SMALL
        reach = Interval(centre - (self.radius + slack), centre + (self.radius + slack))
        self.value = reach if value is None else _common(reach, value)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.centre.shape

    def middle(self) -> Array:
        return self.value.middle()

    def operand(self, value: Any) -> Affine | Interval:
        """Return numbers as intervals: constants, without symbols."""
        return value if isinstance(value, Affine) else Interval(0.0).operand(value)

    def plus(self, other: Affine | Interval) -> Affine:
        value = self.value.plus(other.value)
        centre, rest = _number(other)
        coef = self._paired(other, value.shape, None, None)
        total = self.centre + centre
        radius = other.radius if isinstance(other, Affine) else 0.0
        slack = SLACK * (np.abs(total) + self.radius + radius) + SMALL
        left = (self.rest + rest) * (1 + SLACK) + slack
        return self._made(other, total, coef, left, value, 1.0)

    def times(self, other: Affine | Interval) -> Affine:
        linear, missed = self._product(other)
        return linear._with(missed)

    def _product(self, other: Affine | Interval) -> tuple[Affine, Array]:
        """Return the linear part of a product and the size of what it misses."""
        value = self.value.times(other.value)
        centre, rest = _number(other)
        coef = self._paired(other, value.shape, centre, self.centre)
        total = self.centre * centre
        mine, theirs = np.abs(self.centre), np.abs(centre)
        radius = other.radius if isinstance(other, Affine) else rest
        with np.errstate(invalid="ignore", over="ignore"):
            size = mine * theirs + mine * radius + self.radius * theirs
            left = (self.rest * theirs + rest * mine) * (1 + SLACK) + SLACK * size + SMALL
            missed = self.radius * radius * (1 + SLACK)
            if isinstance(other, Affine) and self.symbols.squared:
                total, coef, missed = self._with_squares(other, total, coef)
                left = left + SLACK * self.radius * radius
        return self._made(other, total, coef, left, value, theirs), missed

    def _with_squares(self, other: Affine, total: Array, coef: Array) -> tuple[Array, ...]:
        """Return centre, coefficients and what is missed, products of inputs being symbols."""
        lines, squares = self.symbols.lines, self.symbols.inputs - self.symbols.lines
        ndim = total.ndim
        if min(len(self.coef), len(other.coef)) < lines:  # a constant
            return total, coef, self.radius * other.radius * (1 + SLACK)
        a, b = (lifted(x.coef[:lines], ndim) for x in (self, other))
        i, j = np.triu_indices(lines)
        made = np.zeros((max(len(coef), lines + squares), *total.shape))
        made[: len(coef)] = coef
        for k, (m, n) in enumerate(zip(i, j, strict=True)):
            if m == n:  # ξ² = (1 + symbol) / 2
                half = a[m] * b[m] / 2
                total, made[lines + k] = total + half, made[lines + k] + half
            else:
                made[lines + k] += a[m] * b[n] + a[n] * b[m]
        line, other_line = np.abs(a).sum(0), np.abs(b).sum(0)
        rest = (self.radius - line * (1 - SLACK)).clip(0)
        other_rest = (other.radius - other_line * (1 - SLACK)).clip(0)
        missed = line * other_rest + rest * other_line + rest * other_rest
        return total, made, missed * (1 + 4 * SLACK)

    def over(self, other: Affine | Interval) -> Affine:
        if isinstance(other, Interval):
            return self.times(Interval(1.0).over(other))
        return self.times(other.under(Interval(1.0)))

    def under(self, other: Any) -> Affine:
        if isinstance(other, Affine):
            return other.over(self)
        return self.entrywise(lambda u: u.under(Interval(1.0))).times(other)

    def matrix(self, other: Affine | Interval, *, left: bool) -> Affine:
        if isinstance(other, Interval) and left:
            turned = other.swapaxes(-1, -2)
            return self.swapaxes(-1, -2).matrix(turned, left=False).swapaxes(-1, -2)
        if isinstance(other, Interval) and other.ndim == 2 and other.lo is other.hi:
            return self._weighted(other)
        a, b = (other, self) if left else (self, other)
        pairs = [(a[..., :, k : k + 1], b[..., k : k + 1, :]) for k in range(a.shape[-1])]
        return _inner(pairs)

    def maximum(self, other: Any) -> Affine:
        b = self.operand(other)
        low = self.plus(-b)
        value = self.value.maximum(b.value)
        lo, hi = np.minimum(low.value.lo, 0.0), np.maximum(low.value.hi, 0.0)
        with np.errstate(invalid="ignore"):
            share = np.where(lo == 0, 1.0, np.where(hi == 0, 0.0, hi / (hi - lo)))
            half = np.where((lo == 0) | (hi == 0), 0.0, share * -lo / 2)
        share, half = np.where(np.isnan(share), 0.5, share), np.where(np.isnan(half), np.inf, half)
        near = np.where(np.isfinite(half), half, 0.0)
        part = low.times(Interval(share)).plus(Interval(near))
        kinked = np.where(half > 0, half * (1 + SLACK) + SLACK * (hi - lo), 0.0)
        kinked = np.where(np.isnan(kinked), np.inf, kinked)
        whole = part._with(kinked).plus(b)
        return whole._within(value)

    def reduce(self, how: str, axis: int, keepdims: bool) -> Affine:
        if how != "sum":
            parts = [self[_along(axis, slice(k, k + 1))] for k in range(self.shape[axis])]
            most = parts[0]
            for part in parts[1:]:
                most = most.maximum(part)
            return most if keepdims else most[_along(axis, 0)]
        value = self.value.reduce("sum", axis, keepdims)
        box = _same_box(self.box, axis)
        count = self.shape[axis]
        size = (np.abs(self.centre) + self.radius).sum(axis, keepdims=keepdims)
        rest = self.rest.sum(axis, keepdims=keepdims) * (1 + count * SLACK)
        return Affine(
            self.symbols,
            box if keepdims else box[_along(axis, 0)],
            self.centre.sum(axis, keepdims=keepdims),
            self.coef.sum(axis + 1, keepdims=keepdims),
            rest + count * SLACK * size + SMALL,
            value,
        )

    def mean_square(self, axis: int) -> Affine:
        """Return the mean of squares over an axis, which is kept: one symbol for each mean."""
        axis = range(self.ndim)[axis]
        linear, missed = self._product(self)
        if not self.symbols.squared:  # what a square misses has one sign: half of it, both
            some = np.isfinite(missed)
            shift = np.where(some, missed / 2, 0.0)
            linear, missed = linear.plus(Interval(shift)), np.where(some, shift, np.inf)
        total = linear._within(self.value.power(2.0)).reduce("sum", axis, keepdims=True)
        most = missed.sum(axis, keepdims=True) * (1 + self.shape[axis] * SLACK)
        mean = total._with(most).over(Interval(float(self.shape[axis])))
        return mean._within(mean.value.maximum(0.0))  # so that a norm's root has a value

    def linear(self, half: Array) -> tuple[Array, Array, Array]:
        """Return f(c), a gradient g and r with |f(X) - f(c) - g · (X - c)| <= r on the boxes.

        Parameters
        ----------
        half : ndarray of shape (B, N·d)
            Half sides > 0 of the boxes of :func:`affine_variables`.

        Returns
        -------
        value, gradient, rest : ndarray
            Of shapes (B, N, d), (N·d, B, N, d) and (B, N, d).
        """
        inputs = self.symbols.lines
        steep = np.zeros((inputs, *self.shape))
        steep[: len(self.coef)] = self.coef[:inputs]
        rest = _size(self.coef[inputs:]) + self.rest + SLACK * self.radius
        sides = (half * (1 + SLACK)).T.reshape(inputs, -1, *(1,) * (self.ndim - 1))
        return self.centre, steep / sides, rest * (1 + SLACK)

    def quadratic(self, half: Array) -> tuple[Array, Array, Array, Array]:
        """Return v, g, H and r with |f(X) - v - g · x - ½ x · H x| <= r, x = X - c, on the boxes.

        Parameters
        ----------
        half : ndarray of shape (B, N·d)
            Half sides > 0 of the boxes of :func:`affine_variables`, with squares.

        Returns
        -------
        value, gradient, bend, rest : ndarray
            Of shapes (B, N, d), (N·d, B, N, d), (N·d, N·d, B, N, d) and (B, N, d).
        """
        lines, inputs = self.symbols.lines, self.symbols.inputs
        coef = np.zeros((inputs, *self.shape))
        coef[: len(self.coef)] = self.coef[:inputs]
        bend, own = np.zeros((lines, lines, *self.shape)), range(lines)
        i, j = np.triu_indices(lines)
        bend[i, j] = bend[j, i] = coef[lines:]
        value = self.centre - bend[own, own].sum(0)  # of 2 ξ² - 1
        bend[own, own] *= 4
        sides = (half * (1 + SLACK)).T.reshape(lines, -1, *(1,) * (self.ndim - 1))
        slack = lines * SLACK * (self.radius + np.abs(self.centre))
        rest = _size(self.coef[inputs:]) + self.rest + slack
        return value, coef[:lines] / sides, bend / sides / sides[:, None], rest * (1 + SLACK)

    def alone(self) -> Affine:
        """Return the inputs with a count of symbols of their own, for :meth:`among`."""
        made = self.moved(lambda x, lead: x)
        made.symbols = _Symbols(self.symbols.lines, self.symbols.inputs)
        return made

    def among(self, others: Affine) -> Affine:
        """Return what was computed from ``others.alone()``, its symbols after all others'."""
        count, inputs = others.symbols.count, self.symbols.inputs
        more = max(0, len(self.coef) - inputs)
        coef = np.zeros((count + more, *self.shape))
        coef[: min(inputs, len(self.coef))] = self.coef[:inputs]
        coef[count:] = self.coef[inputs:]
        others.symbols.count = count + more
        return Affine(others.symbols, self.box, self.centre, coef, self.rest, self.value)

    def condensed(self, most: int) -> Affine:
        """Return the forms with at most ``most`` symbols a box beside those of the inputs.

        For use after :meth:`alone`, where no other array is needed any more.  The smallest
        symbols of each box, and the remainder, become one symbol for each entry.
        """
        count, inputs = len(self.coef), self.symbols.inputs
        own = self.coef[0].size // (int(self.box.max()) + 1) if self.centre.size else 0
        if count - inputs <= most or most <= own or (np.diff(self.box.ravel()) < 0).any():
            return self
        rows = self.coef[inputs:].reshape(count - inputs, -1, own)  # (symbols, boxes, entries)
        kept = np.argpartition(-np.abs(rows).sum(2), most - own, axis=0)
        first, others = (
            np.take_along_axis(rows, part[:, :, None], 0)
            for part in (kept[: most - own], kept[most - own :])
        )
        left = _size(others).reshape(self.shape) + self.rest
        coef = np.concatenate([self.coef[:inputs], first.reshape(-1, *self.shape)])
        self.symbols.count = len(coef)
        zero = np.zeros(self.shape)
        plain = Affine(self.symbols, self.box, self.centre, coef, zero, self.value)
        return plain._with(left * (1 + SLACK))._within(self.value)

    def power(self, exponent: float) -> Affine:
        if exponent == 0:
            return self.zeros_like() + 1.0
        return self if exponent == 1 else self.entrywise(lambda u: u.power(exponent))

    def __neg__(self) -> Affine:
        size = self.size_of_terms
        return Affine(
            self.symbols, self.box, -self.centre, -self.coef, self.rest, -self.value, size
        )

    def __abs__(self) -> Affine:
        return self.maximum(-self)

    def zeros_like(self) -> Affine:
        zero = np.zeros(self.shape)
        return Affine(self.symbols, self.box, zero, np.zeros((0, *self.shape)), zero)

    def moved(self, move: Callable[[Any, int], Any]) -> Affine:
        made = object.__new__(Affine)
        made.symbols = self.symbols
        made.box, made.centre, made.rest = (move(x, 0) for x in (self.box, self.centre, self.rest))
        made.coef, made.radius = move(self.coef, 1), move(self.radius, 0)
        made.size_of_terms = move(self.size_of_terms, 0)
        made.value = move(self.value, 0)
        return made

    def _paired(
        self, other: Affine | Interval, shape: tuple[int, ...], mine: Any, theirs: Any
    ) -> Array:
        """Return mine * own coefficients + theirs * the other's; None stands for 1."""
        own = lifted(self.coef, len(shape))
        own = own if mine is None else own * mine
        if isinstance(other, Interval):
            return np.broadcast_to(own, (len(own), *shape))
        add = lifted(other.coef, len(shape))
        add = add if theirs is None else add * theirs
        both, more = min(len(own), len(add)), own if len(own) > len(add) else add
        total = np.empty((len(more), *shape))
        np.add(own[:both], add[:both], out=total[:both])
        total[both:] = more[both:]
        return total

    def _made(
        self,
        other: Affine | Interval,
        centre: Array,
        coef: Array,
        rest: Array,
        value: Interval,
        factor: Any,
    ) -> Affine:
        """Return forms computed from two; a constant changes the size by a factor."""
        shape, size = centre.shape, None
        if isinstance(other, Interval):
            with np.errstate(invalid="ignore", over="ignore"):
                size = np.broadcast_to(self.size_of_terms * factor * (1 + 2 * EPS) + SMALL, shape)
        box = np.broadcast_to(self.box, centre.shape)
        if isinstance(other, Affine) and other.symbols is not self.symbols:
            raise TypeError("affine forms of two calls have no symbols in common")
        if isinstance(other, Affine) and (box != other.box).any():
            raise TypeError("an operation mixes different inputs of a batch")
        rest = np.broadcast_to(rest, shape)
        return Affine(self.symbols, box, centre, coef, rest, value, size)

    def known(self, low: float, high: float) -> Affine:
        """Return the forms of numbers known to lie in [low, high]: a box where they say less."""
        middle = low / 2 + high / 2
        half = np.nextafter(max(high - middle, middle - low), np.inf)
        wide = ~(self.radius <= half)
        ends = Interval(np.full(self.shape, low), np.full(self.shape, high))
        return Affine(
            self.symbols,
            self.box,
            np.where(wide, middle, self.centre),
            np.where(wide, 0.0, self.coef),
            np.where(wide, half, self.rest),
            _common(self.value, ends),
        )

    def narrower(self, other: Affine, some: NDArray[np.bool_]) -> Affine:
        """Return one of two forms of the same numbers, entry by entry the one of less radius.

        The other holds in some entries only.
        """
        taken = some & (other.radius < self.radius)
        count = max(len(self.coef), len(other.coef))
        coef = np.zeros((count, *self.shape))
        coef[: len(self.coef)] = np.where(taken, 0.0, self.coef)
        coef[: len(other.coef)] += np.where(taken, other.coef, 0.0)
        centre = np.where(taken, other.centre, self.centre)
        rest = np.where(taken, other.rest, self.rest)
        return Affine(self.symbols, self.box, centre, coef, rest)._within(self.value)

    def _within(self, value: Interval) -> Affine:
        """Return the forms with ranges known otherwise."""
        self.value = _common(self.value, value)
        return self

    def _with(self, missed: Array) -> Affine:
        """Return the forms plus numbers of at most that size, each a symbol of its own."""
        missed = np.broadcast_to(missed, self.shape)
        own = (missed > 0) & np.isfinite(missed)
        rest = self.rest + np.where(own, 0.0, missed)
        where = np.flatnonzero(own)
        place = _rank(self.box.ravel()[where])
        start, more = self.symbols.count, int(place.max(initial=-1)) + 1
        self.symbols.count += more
        coef = self.coef
        if more:
            coef = np.zeros((start + more, *self.shape))
            coef[: len(self.coef)] = self.coef
            coef[start:].reshape(more, -1)[place, where] = missed.ravel()[where]
        wide = np.where(np.isnan(missed), np.inf, missed)
        value = self.value.plus(Interval(-wide, wide))
        size = (self.size_of_terms + np.where(own, missed, 0.0)) * (1 + 2 * EPS)
        return Affine(self.symbols, self.box, self.centre, coef, rest, value, size)

    def entrywise(self, function: Callable[[Any], Any]) -> Affine:
        """Return a function of one number, given as one that takes curved arrays and jets."""
        one = Interval(np.ones((1, *self.shape)))
        on = function(Curved(Jet(self.value, one), Interval(np.zeros(one.shape))))
        c = np.clip(self.centre, self.value.lo, self.value.hi)
        at = function(Jet(Interval(c), one))
        away = self.plus(Interval(-c))
        span = Interval(self.value.lo, self.value.hi).plus(-Interval(c))
        far = np.minimum(span.magnitude, (away.radius + np.abs(away.centre)) * (1 + SLACK))
        with np.errstate(invalid="ignore", over="ignore"):
            slopes = on.jet.slope[0]
            flat = slopes.middle()
            first = _above(slopes.plus(-Interval(flat)).magnitude, far)
            steep = at.slope[0].middle()
            loose = _above(at.slope[0].plus(-Interval(steep)).magnitude, far)
            square = Interval(np.zeros(far.shape), _above(far, far / 2 + SMALL * (far > 0)))
            bent = on.curvature[0].times(square)
            shift = bent.middle()
            second = (bent.plus(-Interval(shift)).magnitude + loose) * (1 + SLACK)
        smooth = second < first
        slope, missed = np.where(smooth, steep, flat), np.where(smooth, second, first)
        start = at.value.plus(Interval(np.where(smooth, shift, 0)))
        turned = None
        if self.symbols.squared:
            turned, third = self._turned(function, away, c, on.curvature[0], far)
            third = (third + loose) * (1 + SLACK)
            better = third < missed
            turned = turned.times(Interval(np.where(better, 1.0, 0.0)))
            slope, missed = np.where(better, steep, slope), np.where(better, third, missed)
            ends = (at.value.lo, start.lo), (at.value.hi, start.hi)
            start = Interval(*(np.where(better, *pair) for pair in ends))
        lost = ~np.isfinite(missed)  # its range is still known
        if lost.any():
            middle = Interval(on.value.middle())
            slope = np.where(lost, 0.0, slope)
            start = Interval(*(np.where(lost, middle.lo, end) for end in (start.lo, start.hi)))
            missed = np.where(lost, on.value.plus(-middle).magnitude, missed)
        made = away.times(Interval(slope)).plus(start)
        made = made if turned is None else made.plus(turned)
        return made._with(missed)._within(on.value)

    def _turned(
        self, function: Callable[[Any], Any], away: Affine, c: Array, second: Interval, far: Array
    ) -> tuple[Affine, Array]:
        """Return φ''(c) (u - c)² / 2, and what it and the tangent miss of φ where |u - c| <= far.

        ``second`` is φ'' on the range of u.
        """
        one = Interval(np.ones((1, *self.shape)))
        at = function(Curved(Jet(Interval(c), one), Interval(np.zeros(one.shape)))).curvature[0]
        bend = np.where(np.isfinite(at.lo) & np.isfinite(at.hi), at.middle(), 0.0) / 2
        square, missed = away._product(away)
        with np.errstate(invalid="ignore", over="ignore"):
            change = second.times(Interval(0.5)).plus(-Interval(bend)).magnitude
            third = _above(_above(change, far), far) + _above(np.abs(bend), missed)
        return square.times(Interval(bend)), third

    def _weighted(self, weights: Interval) -> Affine:
        """Return self @ weights for a matrix of numbers."""
        matrix, terms = weights.lo, weights.shape[0]
        shape = (*self.shape[:-1], matrix.shape[1])
        size = np.abs(matrix)
        flat = [x.reshape(-1, terms) for x in (self.centre, self.coef, self.rest)]
        most = (np.abs(self.centre) + self.radius).reshape(-1, terms)
        with np.errstate(invalid="ignore", over="ignore"):
            centre, rest = flat[0] @ matrix, flat[2] @ size
            slack = (terms + 2) * SLACK * (most @ size) + SMALL
            coef = (flat[1] @ matrix).reshape(len(self.coef), *shape)
        return Affine(
            self.symbols,
            np.broadcast_to(_same_box(self.box, self.ndim - 1), shape),
            centre.reshape(shape),
            coef,
            (rest * (1 + terms * SLACK) + slack).reshape(shape),
            self.value.matrix(weights, left=False),
        )


def affine_variables(box: Interval, *, squares: bool = False) -> Affine:
    """Return the inputs themselves: a symbol for each of the N·d entries of a box.

    Parameters
    ----------
    box : Interval of shape (B, N, d)
    squares : bool
        Whether products of two inputs are symbols, too: 2 ξ_i² - 1 and ξ_i ξ_j, in the order of
        ``numpy.triu_indices``.  What a step misses is then of third order.
    """
    batch, *entry = box.shape
    count = int(np.prod(entry))
    centre = np.clip(box.lo / 2 + box.hi / 2, box.lo, box.hi)
    half = np.maximum(box.hi - centre, centre - box.lo) * (1 + SLACK)
    coef = np.eye(count).reshape(count, 1, *entry) * half
    inputs = count + (count * (count + 1) // 2 if squares else 0)
    coef = np.concatenate([coef, np.zeros((inputs - count, *coef.shape[1:]))])
    which = np.broadcast_to(np.arange(batch).reshape(-1, *(1,) * len(entry)), box.shape)
    return Affine(_Symbols(count, inputs), which, centre, coef, np.zeros(box.shape), box)


def _inner(pairs: list[tuple[Any, Any]]) -> Affine:
    """Return sums of products, with one symbol for what each sum misses."""
    products = (a._product(b) if isinstance(a, Affine) else b._product(a) for a, b in pairs)
    total, missed = next(products)
    missed = missed * (1 + SLACK)
    for part, more in products:
        total = total.plus(part)
        missed = (missed + more) * (1 + SLACK)
    return total._with(missed)


def _number(operand: Affine | Interval) -> tuple[Array, Array]:
    """Return centre and remainder of an operand."""
    if isinstance(operand, Affine):
        return operand.centre, operand.rest
    if operand.lo is operand.hi:
        return operand.lo, np.zeros(operand.shape)
    middle = operand.middle()
    return middle, operand.plus(-Interval(middle)).magnitude


def _above(a: Array, b: Array) -> Array:
    """Return upper bounds of products of sizes, which may leave the range of float64 downwards."""
    some = (a > 0) & (b > 0)
    return np.where(some, rounding.up(a * b), np.where(np.isnan(a * b), np.nan, 0.0))


def _size(coef: Array) -> Array:
    """Return upper bounds of Σ|a| over the symbols."""
    return np.asarray(np.abs(coef).sum(0) * (1 + 2 * (len(coef) + 2) * EPS))


def _common(a: Interval, b: Interval) -> Interval:
    """Return what two enclosures have in common; of the second where rounding leaves nothing."""
    found = np.maximum(a.lo, b.lo), np.minimum(a.hi, b.hi)
    some = found[0] <= found[1]
    return Interval(np.where(some, found[0], b.lo), np.where(some, found[1], b.hi))


def _same_box(box: Whole, axis: int) -> Whole:
    """Return the boxes along an axis, which must be the same: a length of 1."""
    first = box[_along(axis, slice(0, 1))]
    if (box != first).any():
        raise TypeError("a sum over an axis mixes different inputs of a batch")
    return first


def _along(axis: int, part: Any) -> tuple[Any, ...]:
    """Return the index that takes ``part`` of an axis."""
    return (*(slice(None),) * axis, part)


def _rank(box: Whole) -> Whole:
    """Return how many earlier entries have the same box."""
    order = np.argsort(box, kind="stable")
    same = box[order]
    starts = np.flatnonzero(np.concatenate([[True], same[1:] != same[:-1]])) if len(box) else order
    lengths = np.diff(np.append(starts, len(box)))
    rank = np.empty(len(box), dtype=np.intp)
    rank[order] = np.arange(len(box)) - np.repeat(starts, lengths)
    return rank
