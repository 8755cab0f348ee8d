"""What a memoriser is to the rest: how labels become values, and all that tells one from another.

A memoriser is one file beside this one, with its proof, and one line in
:mod:`looprate.theory.construction.memorisers`.  Loop counts, the compiler, certificates, the
explicit inequality, costs, commands and figures read what they need of it here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from looprate.theory.construction.build.network import Decoder
from looprate.theory.construction.build.parts import Part

if TYPE_CHECKING:
    from looprate.theory.construction.build.labels import LabelTable
    from looprate.theory.construction.build.spec import ConstructionSpec

__all__ = ["Coding", "MemoriserKind"]

Coding = Literal["sum", "rank", "others"]


@dataclass(frozen=True, kw_only=True, eq=False)
class MemoriserKind:
    """One way from labels to values.

    Attributes
    ----------
    name : str
        Its name in options, rows and files.
    source : str
        Where it is from, in words; "" if from this project.
    coding : {"sum", "rank", "others"}
        The code that suits it.
    modulated : bool
        Whether it needs eta(t): its network is a TMLT and otherwise an LT.
    bitwise : bool
        Whether cells are found bit by bit, which needs eta(t), or else line by line.
    levels : int
        Its loops grow like the number of labels to the power 1/``levels``.
    takes_bits : bool
        Whether it has q digits per label, to be chosen; q is 0 where not.
    loops : callable
        (largest label L, q) -> loops of stage 3.
    error : callable
        (coding, q) -> (gaps, share): over all labels its error is at most gaps times the largest
        gap of adjacent labels plus share times their range.
    part : callable
        (spec, table) -> its rows with their units, and L2.
    answer : callable
        (spec, table) -> ``(k, i) -> value``, what it answers at label k, any real number, in
        coordinate i: computed without a network.
    seconds_a_loop, seconds_a_column, bits_a_loop : float
        Cost of an exact run, by coordinate: seconds a loop, seconds a loop and column of the
        batch, and bits a loop of the integer it holds the labels in.  Measured on one core of an
        AMD EPYC, 2.6 GHz.
    """

    name: str
    source: str = ""
    coding: Coding
    modulated: bool = False
    bitwise: bool = False
    levels: int = 1
    takes_bits: bool = False
    loops: Callable[[int, int], int]
    error: Callable[[Coding, int], tuple[int, Fraction]]
    part: Callable[[ConstructionSpec, LabelTable], tuple[Part, Decoder]]
    answer: Callable[[ConstructionSpec, LabelTable], Callable[[Fraction | int, int], Fraction]]
    seconds_a_loop: float
    seconds_a_column: float
    bits_a_loop: float = 0.0

    @property
    def label(self) -> str:
        """Its name with its source."""
        return f"{self.name} ({self.source})" if self.source else self.name

    @property
    def family(self) -> Literal["lt", "tmlt"]:
        """The family of networks it belongs to, as rows name it."""
        return "tmlt" if self.modulated else "lt"

    def table_error(self, spec: ConstructionSpec, table: LabelTable, coordinate: int) -> Fraction:
        """Return the proven bound of its error on a label table, in one coordinate."""
        gaps, share = self.error(spec.coding, spec.bits or 0)
        low, high = table.ranges[coordinate]
        return gaps * table.gaps[coordinate] + share * (high - low)

    def checked_bits(self, bits: int | None) -> int:
        """Return q, 0 for a memoriser without; raise unless ``bits`` fits."""
        if not self.takes_bits:
            if bits is not None:
                raise ValueError(f"`bits` must be left out for {self.name}, got {bits}")
            return 0
        if bits is None or isinstance(bits, bool) or not hasattr(bits, "__index__") or bits < 1:
            raise ValueError(
                f"`bits` (digits per label q) must be an integer >= 1 for {self.name}, got {bits!r}"
            )
        return int(bits)
