"""Tasks on two strings and a number: rows, splits and random letters.

A row is the first string, "|", the second string, "<sep>", the answer as one token and "<eos>",
then "<pad>" up to a fixed length.  A causal model reads it and predicts the next token; the two
that count are the answer, predicted where "<sep>" is read, and the end, predicted where the answer
is read.

A 64-bit hash of the unordered pair of strings says to which split a pair belongs: one in
``TEST_SHARE`` to "test".  A pair of the other split is drawn again, so that no pair, in either
order, is ever in both, whatever the seeds, and nothing has to be stored.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.tasks.base import Batch, Task, check_split, generator
from looprate.experiments.tasks.checks import check_integer
from looprate.experiments.tasks.redraw import accepted_rows

__all__ = ["StringTask"]

Array = NDArray[Any]
PAD, SEP, EOS, BAR = range(4)
SPECIALS = ("<pad>", "<sep>", "<eos>", "|")
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SMALLEST_ALPHABET = 3
TEST_SHARE = 16
BLOCK = 2048
HASH_BASE, HASH_MIX = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9  # odd, so that no bit is lost


class Pairs(NamedTuple):
    """Two strings a row, letters as 1, 2, ... and 0 beyond the end.

    Attributes
    ----------
    first, second : uint8 arrays of shapes (B, n) and (B, m)
    lengths_first, lengths_second : int64 arrays of shape (B,)
    """

    first: Array
    second: Array
    lengths_first: Array
    lengths_second: Array

    def at(self, rows: Array) -> Pairs:
        """Return some of the rows."""
        return Pairs(*(part[rows] for part in self))


@dataclass(frozen=True)
class StringTask(Task):
    """Base of the tasks on two strings: a subclass draws pairs and says the answer.

    Parameters
    ----------
    size : int
        Length L of the first string drawn.
    letters : int
        Letters there are; each row uses 3 to ``letters`` of them.
    """

    size: int
    letters: int

    salt: ClassVar[int]  # of the random numbers
    slack: ClassVar[int] = 0  # how much longer than ``size`` the second string may be
    smallest: ClassVar[int] = 1  # size
    specials: ClassVar[tuple[str, ...]] = SPECIALS

    def __post_init__(self) -> None:
        """Refuse sizes for which there are no rows."""
        check_integer("size", self.size, least=self.smallest, most=10_000)
        check_integer("letters", self.letters, least=SMALLEST_ALPHABET, most=len(LETTERS))

    @property
    @abstractmethod
    def numbers(self) -> int:
        """Number tokens in the vocabulary, for the answers 0, 1, ..."""

    @abstractmethod
    def draw(self, rng: np.random.Generator, steps: Array) -> tuple[Array, Pairs]:
        """Try a pair for every entry of ``steps`` (B,); return those kept, rising, and pairs."""

    @abstractmethod
    def answers(self, pairs: Pairs) -> Array:
        """Return the answers of all pairs, shape (B,)."""

    @abstractmethod
    def answer(self, first: str, second: str) -> int:
        """Return the answer of one pair, the plain way."""

    @property
    def length(self) -> int:
        """T: two strings, two separators, answer and end."""
        return 2 * self.size + self.slack + 4

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Specials, letters, then numbers from 0."""
        return (*self.specials, *LETTERS[: self.letters], *map(str, range(self.numbers)))

    def sample(self, split: str, seed: int | tuple[int, ...], count: int) -> Batch:
        """Return ``count`` rows of a split, the same for the same arguments.

        Raises
        ------
        ValueError
            If the split is unknown, a number is out of range, or the sizes are so small that the
            split has no rows.
        """
        check_integer("count", count, least=0)
        rng = generator(split, seed, salt=self.salt)
        steps = rng.integers(1, self.size + 1, count)
        test = check_split(split) == "test"

        def attempt(owners: Array) -> tuple[Array, tuple[Array, ...]]:
            positions, pairs = self.draw(rng, steps[owners])
            ours = in_test_split(pairs) == test
            positions, pairs = positions[ours], pairs.at(ours)
            answers = self.answers(pairs)
            named = answers < self.numbers
            return positions[named], (*pairs.at(named), answers[named])

        *parts, answers = accepted_rows(count, attempt, block=BLOCK)
        return self.batch(Pairs(*parts), answers)

    def batch(self, pairs: Pairs, answers: Array) -> Batch:
        """Write pairs and answers as rows of token ids."""
        a, b = pairs.lengths_first[:, None], pairs.lengths_second[:, None]
        rows, place = np.arange(len(a))[:, None], np.arange(self.length)
        ids = np.full((len(a), self.length), PAD)
        letter = len(self.specials) - 1  # letters count from 1
        ids[place < a] = pairs.first[pairs.first > 0] + np.int64(letter)
        ids[(place > a) & (place <= a + b)] = pairs.second[pairs.second > 0] + np.int64(letter)
        number = len(self.specials) + self.letters
        targets, mask = np.zeros_like(ids), np.zeros(ids.shape, np.bool_)
        for after, token in enumerate((SEP, answers[:, None] + number, EOS)):
            ids[rows, a + b + 1 + after] = token
            if after:
                targets[rows, a + b + after] = token
                mask[rows, a + b + after] = True
        ids[rows, a] = BAR
        return Batch(ids, targets, mask)

    def oracle(self, inputs: Array) -> Array:
        """Return the targets (B, T), from the letters alone, one row at a time."""
        targets = np.zeros_like(inputs)
        for row, ids in enumerate(inputs):
            end = int(np.flatnonzero(ids == SEP)[0])
            first, second = self.text(ids[:end]).replace(" ", "").split("|")
            answer = self.answer(first, second)
            targets[row, end : end + 2] = len(self.specials) + self.letters + answer, EOS
        return targets


def in_test_split(pairs: Pairs) -> NDArray[np.bool_]:
    """Return whether each pair, in either order, belongs to the split "test", shape (B,)."""
    both = _hash(pairs.first) + _hash(pairs.second)
    return _mixed(both) >> np.uint64(32) & np.uint64(TEST_SHARE - 1) == 0


def _hash(strings: Array) -> NDArray[np.uint64]:
    """Return a hash of every string, whatever its padding, shape (B,)."""
    powers = np.cumprod(np.full(strings.shape[1], HASH_BASE, np.uint64))
    return _mixed((strings * powers).sum(1, dtype=np.uint64))


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread every bit over all 64."""
    for _ in range(2):
        values = (values ^ values >> np.uint64(31)) * np.uint64(HASH_MIX)
    return values ^ values >> np.uint64(29)


def draw_alphabets(rng: np.random.Generator, count: int, letters: int) -> tuple[Array, Array]:
    """Return a random order of the letters 1...``letters`` for every row, and how many are used.

    Returns
    -------
    uint8 array of shape (B, letters), and int64 array of shape (B,) of numbers 3...letters
    """
    order = np.tile(np.arange(1, letters + 1, dtype=np.uint8), (count, 1))
    return rng.permuted(order, axis=1), rng.integers(SMALLEST_ALPHABET, letters + 1, count)


def random_strings(
    rng: np.random.Generator, alphabets: tuple[Array, Array], width: int
) -> NDArray[np.uint8]:
    """Return random letters of every row's alphabet, shape (B, width)."""
    order, used = alphabets
    start = np.arange(0, order.size, order.shape[1])[:, None]
    u = rng.random((len(used), width), np.float32)
    return order.ravel()[start + (u * used[:, None].astype(np.float32)).astype(np.int64)]
