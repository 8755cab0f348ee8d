"""Additive functions, found by following their formula: f_e(X) = const_e + Σ_k A_ek h_k(x_j(k)).

A target is called on an array of such sums in place of numbers.  Sums, shifts and products with
constants keep the form; a function of one entry keeps it where that entry depends on one input
variable alone, and then makes a new atom h_k of that variable.  Everything else raises, so that a
function that runs through is additive, exactly, with the coefficients found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.deadline import OutOfTimeError
from looprate.theory.enclosure.intervals import Interval, spread

__all__ = ["AdditiveForm", "Atom", "additive_form"]

Function = Callable[..., Any]


@dataclass(frozen=True)
class Atom:
    """A function h of one input variable, which takes enclosures of any shape.

    Attributes
    ----------
    variable : int
        Which entry of an input (N, d), row by row.
    function : callable
    """

    variable: int
    function: Function


@dataclass(frozen=True)
class AdditiveForm:
    """f_e(X) = const_e + Σ_k A_ek h_k(x_j(k)).

    Attributes
    ----------
    coefficients : Interval of shape (A, N, d)
        A_ek, first axis k, output entries as they are in an output.
    atoms : tuple of Atom, length A
    """

    coefficients: Interval
    atoms: tuple[Atom, ...]


@final
class _Sums(EnclosureArray):
    """An array of sums: constants of shape S and coefficients of shape (A, *S) of A atoms.

    ``tape`` holds the atoms made so far, shared by all arrays of one call.
    """

    __slots__ = ("coef", "const", "tape")

    def __init__(self, tape: list[Atom], const: Interval, coef: Interval) -> None:
        self.tape, self.const, self.coef = tape, const, coef

    @property
    def shape(self) -> tuple[int, ...]:
        return self.const.shape

    def middle(self) -> NDArray[np.float64]:
        raise TypeError("a sum has no middle")

    def operand(self, value: Any) -> _Sums:
        """Return numbers as sums without atoms."""
        if isinstance(value, _Sums):
            return value
        const = Interval(0.0).operand(value)
        return _Sums(self.tape, const, Interval(np.zeros((0, *const.shape))))

    def plus(self, other: _Sums) -> _Sums:
        shape = np.broadcast_shapes(self.shape, other.shape)
        a, b = self._spread(shape), other._spread(shape)
        return _Sums(self.tape, a.const.plus(b.const), a.coef.plus(b.coef))

    def times(self, other: _Sums) -> _Sums:
        for first, second in ((self, other), (other, self)):
            if second._constant():
                shape = np.broadcast_shapes(first.shape, second.shape)
                spread, factor = first._spread(shape), second.const.broadcast_to(shape)
                return _Sums(self.tape, spread.const.times(factor), spread.coef.times(factor))
        return self.entrywise(lambda x, y: x * y, other)

    def over(self, other: _Sums) -> _Sums:
        if other._constant():
            return self.times(other.operand(Interval(1.0).over(other.const)))
        return self.entrywise(lambda x, y: x / y, other)

    def power(self, exponent: float) -> _Sums:
        return self if exponent == 1 else self.entrywise(lambda x: x**exponent)

    def maximum(self, other: Any) -> _Sums:
        return self.entrywise(lambda x, y: x.maximum(y), self.operand(other))

    def reduce(self, how: str, axis: int, keepdims: bool) -> _Sums:
        if how != "sum" and self.shape[axis] > 1:
            raise TypeError("a maximum over several entries is no sum")
        const = self.const.reduce("sum", axis, keepdims)
        return _Sums(self.tape, const, self.coef.reduce("sum", axis + 1, keepdims))

    def known(self, low: float, high: float) -> _Sums:
        return self

    def __neg__(self) -> _Sums:
        return _Sums(self.tape, -self.const, -self.coef)

    def moved(self, move: Callable[[Any, int], Any]) -> _Sums:
        return _Sums(self.tape, move(self.const, 0), move(self.coef, 1))

    def _constant(self) -> bool:
        """Tell whether no entry depends on an atom."""
        return not (self.coef.lo.any() or self.coef.hi.any())

    def _spread(self, shape: tuple[int, ...]) -> _Sums:
        """Return the array broadcast to a shape, with a coefficient for every atom made so far."""
        lifted = spread(self.coef, shape)
        more = np.zeros((len(self.tape) - len(lifted), *shape))
        coef = Interval(np.concatenate([lifted.lo, more]), np.concatenate([lifted.hi, more]))
        return _Sums(self.tape, self.const.broadcast_to(shape), coef)

    def entrywise(self, function: Function, *others: _Sums) -> _Sums:
        """Return a function of every entry: a constant, or a new atom of its one variable."""
        shape = np.broadcast_shapes(self.shape, *(other.shape for other in others))
        spread = [operand._spread(shape) for operand in (self, *others)]
        const_lo, const_hi = np.zeros(shape), np.zeros(shape)
        made: list[tuple[int, tuple[int, ...]]] = []
        for index in np.ndindex(shape):
            parts = [operand._part(index) for operand in spread]
            variables = {variable for part in parts for variable in part.variables}
            if len(variables) > 1:
                raise TypeError("a function of an entry that depends on several variables")
            if variables:
                made.append((len(self.tape), index))
                self.tape.append(Atom(variables.pop(), _Composed(function, tuple(parts))))
            else:
                value = function(*(part.const for part in parts))
                const_lo[index], const_hi[index] = value.lo, value.hi
        coef = np.zeros((len(self.tape), *shape))
        for atom, index in made:
            coef[(atom, *index)] = 1.0
        return _Sums(self.tape, Interval(const_lo, const_hi), Interval(coef))

    def _part(self, index: tuple[int, ...]) -> _Entry:
        """Return one entry."""
        column = self.coef[(slice(None), *index)]
        used = np.flatnonzero((column.lo != 0) | (column.hi != 0)).tolist()
        terms = [(column[k], self.tape[k]) for k in used]
        return _Entry(self.const[index], tuple(terms))


@dataclass(frozen=True)
class _Entry:
    """One sum: const + Σ coefficient * atom."""

    const: Interval
    terms: tuple[tuple[Interval, Atom], ...]

    @property
    def variables(self) -> set[int]:
        """Which input variables it depends on."""
        return {atom.variable for _, atom in self.terms}

    def __call__(self, x: Any) -> Any:
        """Return the sum where its one variable is x."""
        if not self.terms:
            return self.const
        total = None
        for coefficient, atom in self.terms:
            term = atom.function(x) * coefficient
            total = term if total is None else total + term
        return total + self.const


@dataclass(frozen=True)
class _Composed:
    """A function of sums of one variable."""

    function: Function
    parts: tuple[_Entry, ...]

    def __call__(self, x: Any) -> Any:
        return self.function(*(part(x) for part in self.parts))


def additive_form(f: Function, *, tokens: int, dim: int) -> AdditiveForm | None:
    """Return f as a sum of functions of one variable each, None where it is not found to be one.

    Parameters
    ----------
    f : Target, or a function written with NumPy's functions
        Called on an array of sums of shape (1, N, d).
    tokens, dim : int
        N and d.

    Returns
    -------
    AdditiveForm or None
        Atoms that no output depends on are left out.
    """
    count = tokens * dim
    tape = [Atom(j, lambda x: x) for j in range(count)]
    eye = Interval(np.eye(count).reshape(count, 1, tokens, dim))
    try:
        result = f(_Sums(tape, Interval(np.zeros((1, tokens, dim))), eye))
        if not isinstance(result, _Sums) or result.shape != (1, tokens, dim):
            return None
    except OutOfTimeError:
        raise
    except Exception:  # whatever a user's function may raise; it is then followed by other means
        return None
    coef = result._spread((1, tokens, dim)).coef[:, 0]
    used = np.flatnonzero(((coef.lo != 0) | (coef.hi != 0)).any((1, 2)))
    return AdditiveForm(coef.picked(used), tuple(tape[k] for k in used))
