"""Countdown: every row can be solved, and every correct derivation counts but no other."""

from fractions import Fraction
from functools import cache
from itertools import permutations, product

import numpy as np
import pytest

from cases.task_rows import SMALL
from looprate.experiments.tasks.countdown import Countdown, first_solution


@cache
def reachable(numbers):
    """Every value of every expression that uses all numbers once; no negative, no fraction."""
    if len(numbers) == 1:
        return frozenset(numbers)
    found = set()
    for order in set(permutations(numbers)):
        for cut in range(1, len(order)):
            left, right = (reachable(tuple(sorted(part))) for part in (order[:cut], order[cut:]))
            for a, b in product(left, right):
                found |= {a + b, a * b, abs(a - b)}
                if b and Fraction(a, b).denominator == 1:
                    found.add(a // b)
    return frozenset(found)


@pytest.mark.parametrize("task", [task for task in SMALL if not task.causal], ids=str)
def test_every_row_can_be_solved_and_its_target_is_of_its_split(task):
    held = set(task.targets("test").tolist())
    every = range(task.min_target, task.max_target + 1)
    assert len(held) == len(every) // 10
    assert held | set(task.targets("train").tolist()) == set(every)
    for split in ("train", "test"):
        batch = task.sample(split, 0, 30)
        values = batch.inputs[:, : task.numbers + 1] - 6
        for *numbers, target in values.tolist():
            assert target in reachable(tuple(sorted(numbers)))
            assert (target in held) == (split == "test")
            assert 1 <= min(numbers) <= max(numbers) <= task.max_number


def test_the_search_finds_a_solution_where_there_is_one_and_only_there():
    rng = np.random.default_rng(4)
    counts = {True: 0, False: 0}
    for numbers in rng.integers(1, 30, (150, 3)).tolist():
        target = int(rng.integers(1, 60))
        there = target in reachable(tuple(sorted(numbers)))
        assert (first_solution(numbers, target) is not None) == there
        counts[there] += 1
    assert min(counts.values()) > 10


def valid(task, row):
    """Return whether one row holds a correct derivation."""
    return bool(task.valid(np.asarray(row)[None])[0])


def row_of(task, numbers, target, steps):
    """Token ids of a row written as text: "(3+4=7) (7*2=14)"."""
    ids = {word: k for k, word in enumerate(task.vocabulary)}
    words = [*map(str, numbers), str(target)]
    for step in steps.split():
        for sign in "+*-/=":
            step = step.replace(sign, f" {sign} ")
        words += step.split()
    return np.array([ids[word] for word in words])


GAME = (6, 4, 3, 20)
RIGHT = (
    "20-4=16 6/3=2 16-2=14",
    "6+4=10 20/10=2 2*3=6",
    "4-3=1 6*1=6 20-6=14",
    "3*4=12 20*6=120 120/12=10",
)


@pytest.mark.parametrize("steps", RIGHT)
def test_any_correct_derivation_is_accepted_for_its_own_target_only(steps):
    task = Countdown()
    reached = int(steps.split("=")[-1])
    assert valid(task, row_of(task, GAME, reached, steps))
    assert not valid(task, row_of(task, GAME, reached + 1, steps))


@pytest.mark.parametrize(
    ("steps", "target"),
    [
        ("20-4=15 6/3=2 15-2=13", 13),  # wrong arithmetic
        ("20-4=16 6/3=3 16-3=13", 13),
        ("20-4=16 20-6=14 16+14=30", 30),  # a number twice
        ("20-4=16 16-4=12 12+6=18", 18),
        ("20-5=15 6/3=2 15-2=13", 13),  # a number that is not there
        ("4/6=0 20*3=60 60-0=60", 60),  # a quotient that is not whole
        ("20+4=24 6*3=18 24+18=41", 41),
        ("4-3=1 6*1=6 6-20=14", 14),  # the smaller first
    ],
)
def test_wrong_derivations_are_rejected(steps, target):
    task = Countdown()
    assert not valid(task, row_of(task, GAME, target, steps))


def test_a_row_that_is_no_equation_is_rejected():
    task = Countdown()
    row = row_of(task, GAME, 14, RIGHT[0])
    assert valid(task, row)
    for place in range(task.numbers + 1, task.length):
        for wrong in (0, 1, 5, 3000):
            changed = row.copy()
            changed[place] = wrong
            assert not valid(task, changed) or (changed == row).all()
    with pytest.raises(ValueError, match=r"`rows` must have shape \(B, 20\)"):
        valid(task, row[:-1])


def test_a_number_that_is_used_up_is_not_the_number_before_zero():
    task = Countdown()
    row = row_of(task, GAME, 4, "6+4=10 1*1=1 3+1=4")
    row[[10, 12]] = 5  # "=" stands where -1 would
    assert not valid(task, row)


def test_an_equal_number_may_be_used_as_often_as_it_is_there():
    task = Countdown(numbers=3, max_number=20, max_target=40)
    assert valid(task, row_of(task, (5, 5, 2), 20, "5+5=10 10*2=20"))
    assert not valid(task, row_of(task, (5, 4, 2), 20, "5+5=10 10*2=20"))
    assert valid(task, row_of(task, (7, 7, 12), 12, "7-7=0 12+0=12"))


def test_nothing_is_divided_by_zero():
    task = Countdown()
    assert valid(task, row_of(task, (7, 7, 9, 12), 12, "7-7=0 0/9=0 0+12=12"))
    assert not valid(task, row_of(task, (7, 7, 5, 5), 12, "7-7=0 5-5=0 0/0=12"))
    assert not valid(task, row_of(task, (7, 7, 3, 12), 15, "7-7=0 12/0=12 12+3=15"))


def test_the_score_counts_any_correct_derivation():
    task = Countdown()
    batch = task.sample("train", 0, 60)
    swapped = batch.targets.copy()
    first = task.numbers + 1
    turn = np.isin(swapped[:, first + 1], (1, 2))  # a + b and a * b may be turned round
    swapped[turn, first], swapped[turn, first + 2] = (
        batch.targets[turn, first + 2],
        batch.targets[turn, first],
    )
    assert (swapped != batch.targets).any(1).sum() > 20
    assert task.score(swapped, batch).all()
    swapped[:, -1] += 1
    assert not task.score(swapped, batch).any()


def test_the_oracle_leaves_blank_what_cannot_be_reached():
    task = Countdown(numbers=2)
    rows = np.array([[1, 1, 90], [40, 50, 90]]) + 6
    rows = np.pad(rows, ((0, 0), (0, 5)))
    found = task.oracle(rows)
    assert not found[0].any()
    assert task.text(found[1, 3:]) == "40 + 50 = 90"
