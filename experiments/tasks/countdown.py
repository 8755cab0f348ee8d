"""Countdown: reach a target from a few numbers, each used once, with + - * and /.

A row is the numbers, the target, and a blank for every token of the answer.  The model sees all of
it (no causal mask) and writes the answer in place of the blanks: one step is "a op b = c", five
tokens, and the last c is the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from looprate.experiments.tasks.base import Batch, Task, check_split, generator
from looprate.experiments.tasks.checks import check_integer
from looprate.experiments.tasks.redraw import accepted_rows

__all__ = ["Countdown"]

Array = NDArray[Any]
Step = tuple[int, str, int, int]
SIGNS = "+*-/"  # in the order in which they are tried
BLANK, EQUALS = 0, 1 + len(SIGNS)
STEP = 5  # tokens
HELD_OUT = 10  # one target in so many is of the split "test"
SALT = 0xC0D0
CELLS = 1 << 19  # derivations looked at together
USED = -1  # in place of a number that is used up


@dataclass(frozen=True)
class Countdown(Task):
    """Reach a target from ``numbers`` numbers, each used exactly once.

    Numbers are uniform in 1...``max_number``, targets uniform among those of the split in
    ``min_target``...``max_target``; numbers from which the target cannot be reached are drawn
    again.  A difference is never negative, and a quotient is a whole number.  The answer in a row
    is the first derivation found when pairs are tried in order, each with + * - and / in turn; any
    other correct derivation scores as well.

    "train" and "test" share no row because they share no target: a tenth of the targets, always the
    same ones, is held out for "test".

    The vocabulary is a blank, the four signs, "=", and the numbers 0 ... M with M = ``max_number``
    times the larger of ``max_number`` and ``max_target``.  No derivation from four numbers has a
    larger one: its last step comes down to the target by a quotient or difference, from a product
    of two numbers or from at most ``max_number`` times the target.

    Parameters
    ----------
    numbers : int
        2, 3 or 4.
    max_number : int
        1...255: products of three are exact in single precision.
    min_target, max_target : int
    """

    numbers: int = 4
    max_number: int = 99
    min_target: int = 10
    max_target: int = 100

    key: ClassVar[str] = "countdown"
    summary: ClassVar[str] = "reach a target from a few numbers; the answer is the steps"
    causal: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse sizes for which there are no rows."""
        check_integer("numbers", self.numbers, least=2, most=4)
        check_integer("max_number", self.max_number, least=1, most=255)
        check_integer("min_target", self.min_target, least=1, most=9_999)
        check_integer("max_target", self.max_target, least=self.min_target + 1, most=10_000)

    @property
    def length(self) -> int:
        """T: numbers, target, and five tokens a step."""
        return self.numbers + 1 + STEP * (self.numbers - 1)

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """Blank, signs, "=", then numbers from 0."""
        largest = self.max_number * max(self.max_number, self.max_target)
        return ("<blank>", *SIGNS, "=", *map(str, range(largest + 1)))

    def targets(self, split: str) -> NDArray[np.int64]:
        """Return the targets of a split, a fixed choice, rising."""
        every = np.arange(self.min_target, self.max_target + 1)
        order = np.random.default_rng(SALT).permutation(every)
        held = max(1, len(every) // HELD_OUT)
        return np.sort(order[:held] if check_split(split) == "test" else order[held:])

    def sample(self, split: str, seed: int | tuple[int, ...], count: int) -> Batch:
        """Return ``count`` rows of a split, the same for the same arguments.

        Raises
        ------
        ValueError
            If the split is unknown, a number is out of range, or some target cannot be reached.
        """
        check_integer("count", count, least=0)
        rng = generator(split, seed, salt=SALT)
        goals = rng.choice(self.targets(split), count)
        block = CELLS // prod(_choices(self.numbers))

        def attempt(owners: Array) -> tuple[Array, tuple[Array, ...]]:
            numbers = rng.integers(1, self.max_number + 1, (len(owners), self.numbers))
            found = [
                _solved(numbers[start : start + block], goals[owners[start : start + block]])
                for start in range(0, max(1, len(owners)), block)
            ]
            paths = np.concatenate(found)
            kept = np.flatnonzero(paths >= 0)
            return kept, (numbers[kept], paths[kept])

        numbers, paths = accepted_rows(count, attempt, block=block)
        return self._batch(numbers, goals, paths)

    def _batch(self, numbers: Array, goals: Array, paths: Array) -> Batch:
        """Write numbers (B, n), targets (B,) and derivations (B,) as rows of token ids."""
        inputs = np.full((len(goals), self.length), BLANK)
        inputs[:, : self.numbers] = numbers + EQUALS + 1
        inputs[:, self.numbers] = goals + EQUALS + 1
        targets, mask = np.zeros_like(inputs), np.zeros(inputs.shape, np.bool_)
        targets[:, self.numbers + 1 :] = _tokens(numbers, paths)
        mask[:, self.numbers + 1 :] = True
        return Batch(inputs, targets, mask)

    def oracle(self, inputs: Array) -> Array:
        """Return the targets (B, T), by a search of every row on its own."""
        targets, number = np.zeros_like(inputs), EQUALS + 1
        for row, ids in enumerate(inputs):
            numbers, goal = ids[: self.numbers] - number, ids[self.numbers] - number
            steps = first_solution(numbers.tolist(), int(goal))
            if steps:  # else it stays blank, as is right for a target that cannot be reached
                targets[row, self.numbers + 1 :] = [
                    token
                    for a, sign, b, c in steps
                    for token in (a + number, 1 + SIGNS.index(sign), b + number, EQUALS, c + number)
                ]
        return targets

    def score(self, outputs: Array, batch: Batch) -> NDArray[np.float64]:
        """Return 1 for rows whose answer is a correct derivation, else 0, shape (B,)."""
        rows = np.where(batch.mask, outputs, batch.inputs)
        return self.valid(rows).astype(np.float64)

    def valid(self, rows: Array) -> NDArray[np.bool_]:
        """Return whether rows (B, T) hold a correct derivation, shape (B,): any, not only ours."""
        if rows.ndim != 2 or rows.shape[1] != self.length:
            raise ValueError(f"`rows` must have shape (B, {self.length}), got {rows.shape}")
        number = EQUALS + 1
        left = rows[:, : self.numbers] - number
        steps = rows[:, self.numbers + 1 :].reshape(len(rows), -1, STEP)
        right = (steps[:, :, 3] == EQUALS).all(1) & (steps[:, :, [0, 2, 4]] >= number).all((1, 2))
        right &= steps[:, -1, 4] == rows[:, self.numbers]
        for step in range(steps.shape[1]):
            a, sign, b, _, c = steps[:, step].T
            a, b, c = a - number, b - number, c - number
            right &= _take(left, a) & _take(left, b) & _computes(a, sign, b, c)
            left = np.concatenate([left, c[:, None]], 1)
        return right


def _take(left: Array, value: Array) -> NDArray[np.bool_]:
    """Use up one number equal to ``value`` (B,) in every row; return where there was one."""
    found = left == value[:, None]
    left[np.arange(len(left)), found.argmax(1)] = USED
    return found.any(1)


def _computes(a: Array, sign: Array, b: Array, c: Array) -> NDArray[np.bool_]:
    """Return whether a sign b = c in every row, where ids of signs are 1...4."""
    right = np.stack([a + b == c, a * b == c, a - b == c, (b > 0) & (b * c == a)])
    known = (sign >= 1) & (sign <= len(SIGNS))
    return known & right[np.where(known, sign - 1, 0), np.arange(len(a))]


def first_solution(numbers: Sequence[int], target: int) -> list[Step] | None:
    """Return the first derivation of the target in the order of the search, or None: the plain way.

    Returns
    -------
    list of (a, sign, b, c)
        Steps a sign b = c; each takes two numbers and leaves c behind the others.

    Examples
    --------
    >>> first_solution([2, 3, 4], 20)
    [(2, '+', 3, 5), (4, '*', 5, 20)]
    """
    if len(numbers) == 1:
        return [] if numbers[0] == target else None
    for i, j in combinations(range(len(numbers)), 2):
        rest = [value for k, value in enumerate(numbers) if k not in (i, j)]
        x, y = numbers[i], numbers[j]
        high, low = max(x, y), min(x, y)
        steps = [(x, "+", y, x + y), (x, "*", y, x * y), (high, "-", low, high - low)]
        if low > 0 and high % low == 0:
            steps.append((high, "/", low, high // low))
        for step in steps:
            after = first_solution([*rest, step[3]], target)
            if after is not None:
                return [step, *after]
    return None


def _choices(count: int) -> list[int]:
    """Return in how many ways each step can be made: pairs times signs."""
    return [n * (n - 1) // 2 * len(SIGNS) for n in range(count, 1, -1)]


def _solved(numbers: Array, goals: Array) -> NDArray[np.int64]:
    """Return the number of the first derivation of every row's target, or -1, shape (B,)."""
    state = numbers.T[:, None].astype(np.float32)  # (numbers left, derivations, B)
    while len(state) > 2:
        state = _all_steps(state)
    x, y = state
    high, low = np.maximum(x, y), np.minimum(x, y)
    goals = goals.astype(np.float32)
    quotient = (low * goals == high) & (low > 0)  # not 0 / 0
    hits = np.stack([x + y == goals, x * y == goals, high - low == goals, quotient], 1)
    hits = hits.reshape(len(x) * len(SIGNS), len(goals))
    return np.where(hits.any(0), hits.argmax(0), -1)


def _all_steps(state: Array) -> Array:
    """Return numbers left (n - 1, P * pairs * signs, B) after every step from numbers (n, P, B).

    An impossible quotient is NaN, and so is all that is made of it.
    """
    n, paths, count = state.shape
    pairs = list(combinations(range(n), 2))
    after = np.empty((n - 1, paths, len(pairs), len(SIGNS), count), state.dtype)
    for k, (i, j) in enumerate(pairs):
        after[:-1, :, k] = state[[m for m in range(n) if m not in (i, j)], :, None]
        x, y = state[i], state[j]
        high, low = np.maximum(x, y), np.minimum(x, y)
        quotient = high / np.where(low > 0, low, np.float32(np.nan))
        quotient[quotient != np.floor(quotient)] = np.nan
        for sign, value in enumerate((x + y, x * y, high - low, quotient)):
            after[-1, :, k, sign] = value
    return after.reshape(n - 1, paths * len(pairs) * len(SIGNS), count)


def _tokens(numbers: Array, paths: Array) -> Array:
    """Return the tokens of derivations (B,), by their number in the order of the search."""
    left, row, tokens = numbers, np.arange(len(numbers)), []
    for choice in np.unravel_index(paths, _choices(numbers.shape[1])):
        pair, sign = choice // len(SIGNS), choice % len(SIGNS)
        places = range(left.shape[1])
        pairs = np.array(list(combinations(places, 2)))
        rest = np.array([np.delete(places, both) for both in pairs], np.int64)
        x, y = left[row, pairs[pair, 0]], left[row, pairs[pair, 1]]
        high, low = np.maximum(x, y), np.minimum(x, y)
        value = np.choose(sign, [x + y, x * y, high - low, high // np.maximum(low, 1)])
        a, b = np.where(sign < 2, x, high), np.where(sign < 2, y, low)
        number, equals = EQUALS + 1, np.full(len(row), EQUALS)
        tokens += [a + number, sign + 1, b + number, equals, value + number]
        left = np.concatenate([left[row[:, None], rest[pair]], value[:, None]], 1)
    return np.stack(tokens, 1)
