"""Answers to the exercises of lesson 3, rates and verdicts, with hints and usual slips.

Do not read on if you mean to solve them.
"""

from __future__ import annotations

from looprate.solutions.parts import Exercise, every, number, part, says, word
from looprate.theory.verdict import Verdict

HOLDS, UNTESTABLE = Verdict.HOLDS, Verdict.NOT_TESTABLE

RATES = {
    "1": Exercise(
        "two numbers",
        lambda three, sudoku: number(32)(three) and number(2.0**83)(sudoku),
        "r - N = 2 delta^(-((N+1)d+1)).",
        "2^5 = 32, and 2^83, about 10^25.",
        (
            (
                lambda three, sudoku: number(16)(three) or number(2.0**82)(sudoku),
                "One power of two is missing: the exponent is (N+1)d + 1.",
            ),
            (
                lambda three, sudoku: number(8)(three) or number(2.0**81)(sudoku),
                "The exponent is (N+1)d + 1, not Nd.",
            ),
            (lambda three, sudoku: three < 1, "Finer cells take more loops."),
        ),
    ),
    "2a": Exercise(
        "a number of loops, for the theorem",
        number(236_935_286),
        "Which sides of the comparison are multiplied by 10?",
        "The same as for f, 236,935,286: bound and best constant grow alike.",
        ((lambda r: r > 3e8, "The best constant of 10 f errs by 10 times as much, too."),),
    ),
    "2b": Exercise(
        "a factor",
        lambda factor: 14.0 <= factor <= 16.1,
        "With twice the periods half the cell width gives the same moduli.",
        "At most 2^4 = 16, for N = 2 and d = 1; computed, 14.59.",
        (
            (number(8.0), "For the theorem the exponent is (N+1)d + 1 = 4; 8 is the increments'."),
            (number(2.0), "Half the cell width takes many more loops than twice as many."),
        ),
    ),
    "3": Exercise(
        "a verdict",
        says("violated"),
        "Is -1/2 inside the interval that was printed?",
        "Violated: on these grids the slope is not -1/2. The local slopes move towards it, and the "
        "interval knows nothing of that.",
        (
            (says("holds"), "-0.5 is near to the interval, and not in it."),
            (says("not testable"), "The fit is in the asymptotic range, so the question is put."),
        ),
    ),
    "4": Exercise(
        "the status of the fit, in the words it prints",
        lambda status: "not" in str(status).lower() and "asymptotic" in str(status).lower(),
        "Do the local slopes stay where they are?",
        "Not in the asymptotic range: the local slopes drift from -0.40 to -0.22.",
        ((says("asymptotic"), "A pure power has no bend. This one has."),),
    ),
    "5": Exercise(
        "a verdict for each letter",
        every(a=word(HOLDS), b=word(UNTESTABLE), c=word(UNTESTABLE), d=word(UNTESTABLE)),
        "Ask three times: is a hypothesis missing, is a number on the right side, is it enough?",
        "(a) holds; (b), (c) and (d) not testable.",
        (
            (
                part("a", lambda given: not word(HOLDS)(given)),
                "(a): the bound is below the best constant there, and no hypothesis fails.",
            ),
            (
                part("b", lambda given: not word(UNTESTABLE)(given)),
                "(b): on which side of the moduli is what a search finds?",
            ),
            (
                part("c", lambda given: not word(UNTESTABLE)(given)),
                "(c): is the jump one of the functions that the theorem speaks of?",
            ),
            (
                part("d", lambda given: not word(UNTESTABLE)(given)),
                "(d): what would an interval of one slope be?",
            ),
        ),
    ),
    "6": Exercise(
        "the number of a reply for each letter",
        every(a=number(2), b=number(3), c=number(1)),
        "Where is the best constant? What is a trained error the sum of? Do local slopes agree?",
        "(a) 2, (b) 3, (c) 1. Reply 4 is true, and answers none of the three.",
        (
            (
                part("a", lambda given: not number(2)(given)),
                "(a): is anything below that bound at r = 8 that needs no Transformer?",
            ),
            (
                part("b", lambda given: not number(3)(given)),
                "(b): the theorem says that good weights exist. Who looked for them?",
            ),
            (
                part("c", lambda given: not number(1)(given)),
                "(c): what does the fit say of its own slope?",
            ),
        ),
    ),
}
