"""Exercises of the lessons: an answer is told right or wrong, with a hint; a solution on asking.

In a notebook::

    from looprate.exercises import lesson

    check = lesson(1)
    check("2a", 0.3)  # right, or a hint that fits the slip
    check.hint("2a")
    check.solution("2a")
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from looprate.solutions import LESSONS
from looprate.solutions.parts import Exercise

__all__ = ["lesson"]

WIDE = 78  # characters of a line


class Checker:
    """Checks answers to the exercises of one lesson; prints what it finds.

    Parameters
    ----------
    exercises : mapping of str to Exercise
    """

    def __init__(self, exercises: Mapping[str, Exercise]) -> None:
        self._exercises = exercises

    def __call__(self, name: str, *answers: Any) -> None:
        """Say whether answers are right."""
        said = self._of(name).reply(*answers)
        more = f' check.hint("{name}") gives a hint.' if said.startswith("nothing") else ""
        _say(f"Exercise {name}: {said}{more}")

    def hint(self, name: str) -> None:
        """Give a hint."""
        _say(f"Exercise {name}, a hint: {self._of(name).hint}")

    def solution(self, name: str) -> None:
        """Give the answer in a line or two; the whole solution is folded below the exercise."""
        _say(f"Exercise {name}: {self._of(name).solution}")

    def _of(self, name: str) -> Exercise:
        """The exercise of a name."""
        if name not in self._exercises:
            raise ValueError(
                f"`name` must be an exercise of this lesson, one of {', '.join(self._exercises)}, "
                f"got {name!r}"
            )
        return self._exercises[name]


def lesson(number: int) -> Checker:
    """Return what checks the answers to a lesson's exercises.

    Parameters
    ----------
    number : int
        Of the lesson, from 1 on.

    Returns
    -------
    Checker
        ``check(name, *answers)`` prints whether they are right, with a hint where not;
        ``check.hint(name)`` and ``check.solution(name)`` print these.

    Raises
    ------
    ValueError
        If there is no such lesson.
    """
    if number not in LESSONS:
        raise ValueError(f"`number` must be a lesson, 1 to {len(LESSONS)}, got {number!r}")
    return Checker(LESSONS[number])


def _say(text: str) -> None:
    """Print in lines that a page shows."""
    print(textwrap.fill(text, WIDE, subsequent_indent="  ", break_long_words=False))
