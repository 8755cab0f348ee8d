"""Exercises of the lessons: right answers pass, usual slips get their hint, nothing is revealed."""

from fractions import Fraction

import numpy as np
import pytest

from looprate.exercises import lesson
from looprate.solutions import LESSONS
from looprate.theory.bounds.loop_counts import construction_loops
from looprate.theory.verdict import Verdict

SHARES = {1: 1.0, 2: 0.998, 4: 0.965, 8: 0.884, 16: 0.815}
LABELS = [0, 2, 3, 4, 5, 6, 7, 10, 12, 13, 14, 15, 20, 22, 23]
WORDS = {"a": Verdict.HOLDS, **dict.fromkeys("bcd", Verdict.NOT_TESTABLE)}
REPLIES = {"a": 2, "b": 3, "c": 1}
FACTORS = {"a": 2.0, "b": 0.713, "c": 3665.8, "d": 11900.0}
GROW = {"increments": True, "timestep": False, "digits": False}


def causal(x):
    return np.cumsum(x, axis=1) / np.arange(1, x.shape[1] + 1)[:, None]


def even(x):
    return x + x.mean(axis=1, keepdims=True)


def stepping(x):
    return np.cumsum(x > 0.5, axis=1) * 1.0


def two_levels(m, n):
    return (m - 1).bit_length() + 2 + -(-(2 * m**2 - m) // n) + n


def loops(memoriser, coding):
    return lambda m: construction_loops(m, tokens=2, dim=1, memoriser=memoriser, coding=coding)


RIGHT = {
    (1, "1"): [(SHARES,)],
    (1, "2a"): [(0.3039,), (1.2157 / 4,)],
    (1, "2b"): [([(0, 0.1), (0.9, 1)],), ([(0.0, 0.05), (0.5, 0.55)],)],
    (1, "3"): [("upper", "lower"), ("Upper", " lower")],
    (1, "4"): [([1, 4], [0, 3]), ([4, 1], [3, 0])],
    (1, "5"): [(0.25,), (1 / 4,), (Fraction(1, 4),)],
    (1, "6"): [(causal,), (lambda x: x * np.arange(x.shape[1])[:, None],)],
    (2, "1a"): [((1, 3), 13), ([1, 3], 13.0)],
    (2, "1b"): [([27, 26],), ((27, 26),)],
    (2, "1c"): [([105, 107],)],
    (2, "2"): [(GROW,)],
    (2, "3a"): [(Fraction(1, 2), 26), (0.5, 26)],
    (2, "3b"): [({2: Fraction(1, 4), 3: Fraction(5, 8), 4: Fraction(29, 32)},)],
    (2, "4a"): [(lambda m: 2 * m**3 - 2 * m + 1,), (loops("increments", "sum"),)],
    (2, "4b"): [(lambda m: 2 * m**2 + m - 2,), (loops("timestep", "rank"),)],
    (2, "5"): [(LABELS,), (LABELS[::-1],)],
    (2, "6"): [(2,)],
    (3, "1"): [(32, 2**83)],
    (3, "2a"): [(236_935_286,)],
    (3, "2b"): [(16,), (14.59,)],
    (3, "3"): [("violated",), (Verdict.VIOLATED,)],
    (3, "4"): [("not in the asymptotic range",)],
    (3, "5"): [(WORDS,), ({key: str(word) for key, word in WORDS.items()},)],
    (3, "6"): [(REPLIES,)],
    (4, "1"): [(FACTORS,)],
    (4, "2"): [({"a": [25, 11], "b": (0, 0)},)],
    (4, "3"): [(two_levels,)],
    (4, "4"): [(["G_0", "y_0"],), ({"y_0", "G_0"},)],
    (4, "5"): [({"a": -0.5, "b": -1.0, "c": 0.0},), ({"a": 0.5, "b": 1, "c": 0},)],
    (4, "6"): [([False] * 4,)],
}
WRONG = [
    (1, "1", ({**SHARES, 2: 1.4},), "No pair exceeds"),
    (1, "1", (dict.fromkeys(SHARES, 1.0),), "every token"),
    (1, "2a", (1.2157,), "a quarter of the radius"),
    (1, "2a", (4.863,), "other way round"),
    (1, "2a", (0.6079,), "half the radius"),
    (1, "2a", (0.3135137,), "the one pair"),
    (1, "2b", ([(0, 1)],), "On one interval"),
    (1, "2b", ([(0, 0.5), (0.52, 1)],), "gap wider"),
    (1, "3", ("lower", "lower"), "left side may be larger"),
    (1, "3", ("upper", "upper"), "right side may be smaller"),
    (1, "3", ("lower", "upper"), "both true values"),
    (1, "4", ([2, 5], [1, 4]), "number 0"),
    (1, "4", ([1], [0, 3]), "may cancel"),
    (1, "4", ([1, 4], [0]), "how many other tokens"),
    (1, "5", (4,), "It falls"),
    (1, "5", (1 / 16,), "Euclidean"),
    (1, "5", ((2 / 17) ** 0.5,), "Count the others"),
    (1, "6", (even,), "equivariant on the inputs tried"),
    (1, "6", (stepping,), "seems to jump"),
    (2, "1a", ((2, 4), 13), "counted from 0"),
    (2, "1a", ((3, 1), 13), "order of tokens"),
    (2, "1a", ((1, 3), 7), "largest cell is read first"),
    (2, "1b", ((26, 27),), "rank 0"),
    (2, "1c", ((53, 55),), "V is 2U"),
    (2, "1c", ((107, 105),), "order of the tokens"),
    (2, "2", ({**GROW, "digits": True},), "Digits write"),
    (2, "2", ({**GROW, "timestep": True},), "Timestep adds"),
    (2, "2", (dict.fromkeys(GROW, False),), "three sizes"),
    (2, "3a", (1, 27), "in proportion"),
    (2, "3a", (0.5, 27), "one less"),
    (2, "3b", ({2: 0.25, 3: 0.75, 4: 1.0},), "sum over pairs"),
    (2, "3b", ({2: 0.75, 3: 3 / 8, 4: 3 / 32},), "no two share"),
    (2, "4a", (lambda m: 2 * m**3 - 2 * m,), "one loop more"),
    (2, "4a", (lambda m: 2 + 2 * m**4,), "printed count"),
    (2, "4a", (lambda m: 2 * m**3 + m,), "distinct cells"),
    (2, "4b", (lambda m: 2 * m**2 + m,), "distinct cells"),
    (2, "4b", (lambda m: 2 * m**2 + m - 1,), "no loop after"),
    (2, "5", ([*LABELS, 1],), "share a cell"),
    (2, "5", ([12, 13, 14, 15],), "and more"),
    (2, "6", (3,), "48 digits"),
    (2, "6", (11,), "Count bits"),
    (3, "1", (16, 2**82), "One power of two"),
    (3, "1", (8, 2**81), "not Nd"),
    (3, "1", (1 / 32, 2.0**-83), "more loops"),
    (3, "2a", (2_369_352_860,), "errs by 10"),
    (3, "2b", (8,), "the increments'"),
    (3, "2b", (2,), "many more"),
    (3, "3", ("holds",), "not in it"),
    (3, "3", ("not testable",), "is put"),
    (3, "4", ("asymptotic",), "no bend"),
    (3, "5", ({**WORDS, "a": "vacuous"},), "(a)"),
    (3, "5", ({**WORDS, "b": "holds"},), "(b)"),
    (3, "5", ({**WORDS, "c": "violated"},), "(c)"),
    (3, "5", ({**WORDS, "d": "holds"},), "(d)"),
    *((3, "6", ({**REPLIES, key: 4},), f"({key})") for key in REPLIES),
    (4, "1", ({**FACTORS, "a": 0.5},), "(a)"),
    (4, "1", ({**FACTORS, "b": 2},), "more patterns"),
    (4, "1", ({**FACTORS, "b": 0.5},), "at most"),
    (4, "1", ({**FACTORS, "c": 0.01},), "rougher"),
    (4, "1", ({**FACTORS, "d": 1},), "finitely many"),
    (4, "2", ({"a": [11, 25], "b": [0, 0]},), "notes the cell of token 2"),
    (4, "2", ({"a": [105, 107], "b": [0, 0]},), "sum code"),
    (4, "2", ({"a": [25, 11], "b": [1, 1]},), "in cell 0"),
    (4, "3", (lambda m, n: (m - 1).bit_length() + 2 + (2 * m**2 - m) // n + n,), "Round up"),
    (4, "3", (lambda m, n: two_levels(m, n) + m - 1 - (m - 1).bit_length(),), "bit by bit"),
    (4, "4", (["G_0"],), "One more row"),
    (4, "4", (["G_0", "y_0", "theta"],), "same for every f"),
    (4, "5", ({"a": -1, "b": -1, "c": 0},), "100 weights"),
    (4, "5", ({"a": -0.5, "b": -0.5, "c": 0},), "new block"),
    (4, "5", ({"a": -0.5, "b": -1, "c": -0.5},), "does not grow"),
    *((4, "6", ([k == j for k in range(4)],), f"{j + 1}: ") for j in range(4)),
]
EVERY = [(number, name) for number, each in LESSONS.items() for name in each]


def test_every_exercise_has_a_right_answer_and_a_slip_here():
    assert list(RIGHT) == EVERY
    assert {(number, name) for number, name, *_ in WRONG} == set(EVERY)
    hints = {hint for number, name in EVERY for _, hint in LESSONS[number][name].slips}
    given = [LESSONS[number][name].reply(*wrong) for number, name, wrong, _ in WRONG]
    assert [hint for hint in hints if not any(hint in said for said in given)] == []


@pytest.mark.parametrize(("number", "name"), EVERY)
def test_right_answers_pass(number, name):
    for answers in RIGHT[number, name]:
        assert LESSONS[number][name].reply(*answers) == "right."


@pytest.mark.parametrize(("number", "name", "answers", "words"), WRONG)
def test_a_usual_slip_gets_the_hint_that_fits_it(number, name, answers, words):
    exercise = LESSONS[number][name]
    said = exercise.reply(*answers)
    assert said.startswith("not yet. Hint: ")
    assert words in said
    assert exercise.solution not in said


@pytest.mark.parametrize(("number", "name"), EVERY)
def test_a_blank_or_unreadable_answer_is_told_so(number, name):
    exercise = LESSONS[number][name]
    count = len(RIGHT[number, name][0])
    for blank in (None, "", [], {}, [None, None], {"a": None}, lambda *_: None):
        assert exercise.reply(*[blank] * count) == "nothing to check yet."
    assert exercise.reply(*[object()] * count).startswith("not ")


def test_hints_and_solutions_are_given_on_asking_alone(capsys):
    check = lesson(1)
    check("5", None)
    told = capsys.readouterr().out
    assert told == 'Exercise 5: nothing to check yet. check.hint("5") gives a hint.\n'
    check("5", 4)
    assert "not yet. Hint: It falls" in capsys.readouterr().out
    check.hint("5")
    told = capsys.readouterr().out
    assert told.startswith("Exercise 5, a hint: The N - 1 others")
    assert "1/4" not in told
    check.solution("5")
    assert "1/4" in capsys.readouterr().out


def test_what_there_is_not_is_refused():
    with pytest.raises(ValueError, match="one of 1, 2a, 2b"):
        lesson(1)("9", 1)
    with pytest.raises(ValueError, match="`number` must be a lesson, 1 to 4, got 5"):
        lesson(5)
