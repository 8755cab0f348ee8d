"""Functions of one number on enclosures that carry slopes: the chain rule, written once."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from fractions import Fraction
from typing import Any, Self

import numpy as np

from looprate.theory.enclosure.arrays import EnclosureArray
from looprate.theory.enclosure.functions import Increasing
from looprate.theory.enclosure.intervals import Interval, rational_power


class Chained(EnclosureArray):
    """Base of enclosures with a value and something that the chain rule multiplies by slopes."""

    __slots__ = ()
    value: Interval

    @abstractmethod
    def chain(self, value: Interval, slope: Interval, second: Callable[[], Interval]) -> Self:
        """Return a function φ of every entry: its values, its slopes, and what finds its φ''."""

    def entrywise(self, function: Callable[[Any], Any]) -> Self:
        made: Self = function(self)
        return made

    def power(self, exponent: float) -> Self:
        if exponent == 0:
            return self.zeros_like() + 1.0
        if exponent < 0:
            return self.power(-exponent).under(Interval(1.0))
        if exponent == 1:
            return self
        base, exact = self.value, Fraction(exponent)
        value = base.power(exponent)
        slope = rational_power(base, exact - 1).times(Interval(exponent))

        def second() -> Interval:
            factor = Interval(exponent).times(Interval(exponent).plus(Interval(-1.0)))
            return rational_power(base, exact - 2).times(factor)

        return self.chain(value, slope, second)

    def __abs__(self) -> Self:
        lo = np.where(self.value.lo >= 0, 1.0, -1.0)
        hi = np.where(self.value.hi <= 0, -1.0, 1.0)
        slope = Interval(lo, np.maximum(lo, hi))
        kink = np.where(slope.lo < slope.hi, np.inf, 0.0)
        return self.chain(abs(self.value), slope, lambda: Interval(-kink, kink))

    def sqrt(self) -> Self:
        root = self.value.sqrt()
        slope = Interval(0.5).over(root)
        return self.chain(root, slope, lambda: -slope.over(self.value.times(Interval(2.0))))

    def exp(self) -> Self:
        value = self.value.exp()
        return self.chain(value, value, lambda: value)

    def log(self) -> Self:
        slope = Interval(1.0).over(self.value)
        return self.chain(self.value.log(), slope, lambda: -slope.power(2.0))

    def sin(self) -> Self:
        value = self.value.sin()
        return self.chain(value, self.value.cos(), lambda: -value)

    def cos(self) -> Self:
        value = self.value.cos()
        return self.chain(value, -self.value.sin(), lambda: -value)

    def tanh(self) -> Self:
        value = self.value.tanh()
        slope = Interval(1.0).plus(-value.power(2.0)).maximum(0.0)
        return self.chain(value, slope, lambda: value.times(slope).times(Interval(-2.0)))

    def increasing(self, rule: Increasing) -> Self:
        base = self.value
        return self.chain(base.increasing(rule), rule.slope(base), lambda: rule.second(base))
