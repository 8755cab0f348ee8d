"""Answers to the exercises of lesson 1, three moduli of continuity, with hints and usual slips.

Do not read on if you mean to solve them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from looprate.solutions.parts import Exercise, number, says

WIDE_MODULUS = 1.2157  # at radius 0.2, as the search attains it


def _shares_fall(shares: dict[int, float]) -> bool:
    """Shares of a lower bound that fall with the number of tokens."""
    counts = (1, 2, 4, 8, 16)
    falling = all(shares[a] >= shares[b] - 0.02 for a, b in pairwise(counts))
    return falling and 0.97 < shares[1] <= 1 + 1e-9 and 0.6 < shares[16] < 0.95


def _breaks_doubling(intervals: Sequence[tuple[float, float]]) -> bool:
    """Whether f(x) = x violates w(2t) <= 2 w(t) on a union of intervals in [0, 1]."""
    if any(not 0 <= low <= high <= 1 for low, high in intervals):
        raise ValueError("they must lie in [0, 1]")
    ranges = [(max(0.0, c - b), d - a) for a, b in intervals for c, d in intervals if d >= a]
    return any(
        _farthest(ranges, 2 * t) > 2 * _farthest(ranges, t) + 1e-9
        for t in np.linspace(0.005, 0.5, 100)
    )


def _farthest(ranges: list[tuple[float, float]], radius: float) -> float:
    """The largest distance of two points that is at most a radius."""
    return max(min(radius, most) for least, most in ranges if least <= radius)


def _ordered(f: Callable[[Any], Any]) -> float:
    """How far a function is from permuting with its tokens."""
    x = np.random.default_rng(0).random((5, 3, 1))
    order = [2, 0, 1]
    y, permuted = np.asarray(f(x)), np.asarray(f(x[:, order]))
    if y.shape != x.shape:
        raise ValueError(f"it maps the shape {x.shape} to {y.shape}")
    return float(np.abs(permuted - y[:, order]).max())


def _jumps(f: Callable[[Any], Any]) -> bool:
    """Whether small moves of the input make large moves of the output."""
    x = np.linspace(0, 1, 2001)[:, None, None] * np.array([1.0, 0.5, 0.25])[None, :, None]
    return float(np.abs(np.diff(np.asarray(f(x)), axis=0)).max()) > 0.1


MODULI = {
    "1": Exercise(
        "a share for each of 1, 2, 4, 8 and 16 tokens",
        _shares_fall,
        "Draw x uniformly and a direction from a normal distribution, scale it to length 0.05, "
        "clip, and divide the largest change by the closed form for the same N.",
        "It falls: about 1.00, 1.00, 0.97, 0.88 and 0.82.",
        (
            (
                lambda shares: max(shares.values()) > 1 + 1e-9,
                "No pair exceeds the modulus. Are yours at most 0.05 apart, in the norm over all "
                "tokens together, and is the modulus that of the same N?",
            ),
            (
                lambda shares: shares[16] > 0.95,
                "As much as that for 16 tokens? Let every token move by its own random amount.",
            ),
        ),
    ),
    "2a": Exercise(
        "a number",
        number(WIDE_MODULUS / 4),
        "Use w(kt) <= k w(t), with t = 0.05.",
        "A quarter of the value at 0.2, about 0.304.",
        (
            (number(WIDE_MODULUS), "That bounds w(0.2) itself. 0.05 is a quarter of the radius."),
            (number(4 * WIDE_MODULUS), "The other way round: w(0.2) is at most 4 w(0.05)."),
            (number(WIDE_MODULUS / 2), "That is what follows for half the radius."),
            (number(0.3135), "That is the modulus itself. Use the one pair at 0.2 alone."),
        ),
    ),
    "2b": Exercise(
        "a list of pairs (low, high)",
        _breaks_doubling,
        "The proof puts points between X and Y. Where are they no inputs?",
        "Any set with a wide gap, such as [(0, 0.1), (0.9, 1)]: w(0.4) = 0.1 but w(0.8) = 0.8.",
        (
            (
                lambda intervals: len(intervals) == 1,
                "On one interval every point between two inputs is an input, and the proof holds.",
            ),
            (
                lambda intervals: len(intervals) > 1,
                "Make the gap wider: 2t must reach across it, and t not nearly.",
            ),
        ),
    ),
    "3": Exercise(
        'two of the words "lower" and "upper"',
        says("upper", "lower"),
        "You want to be sure of left <= right whatever the true values are.",
        "An upper bound on the left and lower bounds on the right.",
        (
            (says("lower", "lower"), "The left side may be larger than its lower bound."),
            (says("upper", "upper"), "The right side may be smaller than its upper bound."),
            (says("lower", "upper"), "Then both true values may lie on the wrong side."),
        ),
    ),
    "4": Exercise(
        "two lists of case numbers",
        lambda token, context: (sorted(token), sorted(context)) == ([1, 4], [0, 3]),
        "Hold the others and move the token; then hold the token and move the others.",
        "Token modulus 0: cases 1 and 4. Contextual modulus 0: cases 0 and 3.",
        (
            (lambda token, context: sorted(token) == [2, 5], "The first case has the number 0."),
            (
                lambda token, context: sorted(token) == [1],
                "One more: the mean runs over all tokens, so the own value may cancel.",
            ),
            (
                lambda token, context: sorted(context) == [0],
                "One more: how many other tokens are there in each case?",
            ),
        ),
    ),
    "5": Exercise(
        "a number",
        number(0.25),
        "The N - 1 others are t apart together. By how much does each move, if all do alike?",
        "1/4: their mean moves by t / sqrt(N - 1), and sqrt(16) is 4.",
        (
            (number(4.0), "It falls: more tokens share the same distance."),
            (
                number(1 / 16),
                "The distance is Euclidean: N - 1 equal moves a add up to a sqrt(N - 1).",
            ),
            (number((1 / 8.5) ** 0.5), "Count the others, N - 1, and not all tokens."),
        ),
    ),
    "6": Exercise(
        "a function from arrays (B, N, d) to the same shape",
        lambda f: _ordered(f) > 1e-6 and not _jumps(f),
        "Let a token read those before it: np.cumsum along axis 1.",
        "Such as the mean of a token and of those before it, "
        "np.cumsum(x, axis=1) / np.arange(1, N + 1)[:, None].",
        (
            (
                lambda f: _ordered(f) <= 1e-6,
                "This one is equivariant on the inputs tried: let the place of a token matter.",
            ),
            (_jumps, "This one seems to jump: leave out steps, signs and comparisons."),
        ),
        (np.zeros((1, 3, 1)),),
    ),
}
