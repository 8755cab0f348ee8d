"""Answers to the exercises of the lessons; see :mod:`looprate.exercises`."""

from looprate.solutions.lower import LOWER
from looprate.solutions.moduli import MODULI
from looprate.solutions.parts import Exercise
from looprate.solutions.proof import PROOF
from looprate.solutions.rates import RATES

__all__ = ["LESSONS"]

LESSONS: dict[int, dict[str, Exercise]] = {1: MODULI, 2: PROOF, 3: RATES, 4: LOWER}
