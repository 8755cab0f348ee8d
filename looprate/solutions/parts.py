"""What an exercise is, and tests of answers: functions that say whether an answer passes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isclose
from typing import Any

NEAR = 3e-3  # what a number may be off, relative
GRIDS = range(2, 20)
UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
Test = Callable[..., bool]


@dataclass(frozen=True)
class Exercise:
    """What answers of one exercise are told.

    Attributes
    ----------
    form : str
        What an answer looks like.
    right : callable
        Whether the answers, one argument each, are right.
    hint, solution : str
    slips : tuple of (callable, str)
        Typical wrong answers, and the hint that each gets; the first that fits.
    probe : tuple
        Arguments with which an answer that is a function returns something once it is written.
    """

    form: str
    right: Callable[..., bool]
    hint: str
    solution: str
    slips: tuple[tuple[Callable[..., bool], str], ...] = ()
    probe: tuple[Any, ...] = ()

    def reply(self, *answers: Any) -> str:
        """Return what is said to answers: one word or two, and a hint where they are not right."""
        try:
            if any(_blank(answer, self.probe) for answer in answers):
                return "nothing to check yet."
            if self.right(*answers):
                return "right."
            said = [hint for slip, hint in self.slips if slip(*answers)]
        except UNREADABLE as error:
            return f"not of the form that is asked for, {self.form} ({error or type(error)})."
        return f"not yet. Hint: {(said or [self.hint])[0]}"


def _blank(answer: Any, probe: tuple[Any, ...]) -> bool:
    """Whether an answer, or a part of it, has not been given."""
    if callable(answer):
        return answer(*probe) is None
    if isinstance(answer, Mapping):
        return not answer or any(_blank(part, ()) for part in answer.values())
    if isinstance(answer, list | tuple):
        return not answer or any(_blank(part, ()) for part in answer)
    return answer is None or (isinstance(answer, str) and not answer)


def number(value: float) -> Test:
    """Whether an answer is a number."""
    return lambda answer: isclose(float(answer), value, rel_tol=NEAR, abs_tol=1e-9)


def numbers(*values: float) -> Test:
    """Whether an answer is these numbers, in this order."""
    return lambda answer: (
        len(answer) == len(values)
        and all(number(value)(part) for part, value in zip(answer, values, strict=True))
    )


def says(*words: str) -> Test:
    """Whether answers are these words."""
    return lambda *answers: tuple(str(answer).lower().strip() for answer in answers) == words


def part(key: Any, test: Test) -> Test:
    """Whether one part of an answer passes a test."""
    return lambda answer, *_: test(answer[key])


def every(**tests: Test) -> Test:
    """Whether every part of an answer passes its test."""
    return lambda answer: all(test(answer[key]) for key, test in tests.items())


def word(word: str) -> Test:
    """Whether a part is a word."""
    return lambda part: str(part).lower().strip() == word


def counts(formula: Callable[[int], int]) -> Test:
    """Whether a function of the grid is a formula."""
    return lambda answer: all(answer(m) == formula(m) for m in GRIDS)
