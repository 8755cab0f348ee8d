"""Longest common subsequence: length of the longest sequence that both strings hold in order."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.tasks.strings import Pairs, StringTask, draw_alphabets, random_strings
from looprate.experiments.tasks.tables import last_cells

__all__ = ["LongestCommonSubsequence"]

Array = NDArray[Any]
PUBLISHED_NUMBERS = 174  # 4 specials, 26 letters and these: the 204 entries at size 100


def length(first: Sequence[Hashable], second: Sequence[Hashable]) -> int:
    """Return the length of the longest common subsequence of two strings, the plain way.

    Examples
    --------
    >>> length("abcbdab", "bdcaba")
    4
    """
    above = [0] * (len(second) + 1)
    for mine in first:
        row = [0]
        for j, yours in enumerate(second, 1):
            row.append(above[j - 1] + 1 if mine == yours else max(above[j], row[j - 1]))
        above = row
    return above[-1]


def lengths_of(
    first: Array, second: Array, lengths_first: Array, lengths_second: Array
) -> NDArray[np.int64]:
    """Return the lengths for many pairs, shape (B,); see :func:`last_cells` for the arguments."""
    return last_cells(
        first,
        second,
        lengths_first,
        lengths_second,
        border=0,
        compare=np.equal,
        combine=_longest,
        largest=min(first.shape[-1], second.shape[-1]) + 1,
    )


def _longest(above: Array, beside: Array, diagonal: Array, equal: Array, out: Array) -> None:
    """Write the longest of leaving out a letter of either string and keeping an equal pair."""
    np.maximum(above, beside, out=out)
    np.add(diagonal, equal, out=diagonal)
    np.maximum(out, diagonal, out=out)


@dataclass(frozen=True)
class LongestCommonSubsequence(StringTask):
    """Length of the longest common subsequence of two random strings of ``size`` letters.

    A row's alphabet is 3...``letters`` letters drawn without replacement; both strings are random
    over it, and may be equal.

    The vocabulary has 204 entries up to size 173, as published for size 100: <pad>, <sep>, <eos>,
    "|", the letters, and the numbers 0 ... 173.  An answer is at most ``size``; larger numbers are
    never used.

    "train" and "test" share no pair of strings: see :mod:`looprate.experiments.tasks.strings`.

    Parameters
    ----------
    size, letters : int
    """

    size: int = 100
    letters: int = 26

    key: ClassVar[str] = "lcs"
    summary: ClassVar[str] = "length of the longest common subsequence of two strings"
    salt: ClassVar[int] = 0x1C5

    @property
    def numbers(self) -> int:
        """Answers 0 ... ``size`` have a token, and more as published."""
        return max(PUBLISHED_NUMBERS, self.size + 1)

    def answers(self, pairs: Pairs) -> Array:
        """Return the lengths for all pairs, shape (B,)."""
        return lengths_of(*pairs)

    def answer(self, first: str, second: str) -> int:
        """Return the length for one pair, the plain way."""
        return length(first, second)

    def draw(self, rng: np.random.Generator, steps: Array) -> tuple[Array, Pairs]:
        """Return a random pair for every entry of ``steps``, whose values are not used."""
        count = len(steps)
        alphabets = draw_alphabets(rng, count, self.letters)
        first, second = (random_strings(rng, alphabets, self.size) for _ in range(2))
        full = np.full(count, self.size)
        return np.arange(count), Pairs(first, second, full, full)
