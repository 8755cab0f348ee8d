"""Answers to the exercises of lesson 4, what no number of loops can do, with hints and usual slips.

Do not read on if you mean to solve them.
"""

from __future__ import annotations

from looprate.solutions.parts import Exercise, every, number, numbers, part

LOWER = {
    "1": Exercise(
        "a factor for each letter, at 10^8 loops",
        lambda f: number(2)(f["a"]) and 0.6 < f["b"] < 1 and f["c"] > 10 and f["d"] > 10,
        "More functions in the class, or fewer networks: the bound rises. More networks: it falls.",
        "(a) 2; (b) about 0.71; (c) and (d) much larger than 1, 3,700 and 12,000.",
        (
            (
                part("a", lambda a: not number(2)(a)),
                "(a): the class scales, so do errors.",
            ),
            (part("b", lambda b: b >= 1), "(b): more weights make more patterns."),
            (part("b", lambda b: b <= 0.6), "(b): twice the weights win 2^(s/(Nd)) at most."),
            (part("c", lambda c: c <= 10), "(c): rougher functions are in the class."),
            (
                part("d", lambda d: d <= 10),
                "(d): finite words, finitely many networks.",
            ),
        ),
    ),
    "2": Exercise(
        "two labels for each letter",
        every(a=numbers(25, 11), b=numbers(0, 0)),
        "Each token notes the cell of the other: k = 8 s + z for m = 4.",
        "(a) 25 and 11; (b) 0 and 0.",
        (
            (part("a", numbers(11, 25)), "(a): token 1, in cell 1, notes the cell of token 2."),
            (part("a", numbers(105, 107)), "(a): those are the labels of the sum code."),
            (part("b", lambda b: not numbers(0, 0)(b)), "(b): both tokens are in cell 0."),
        ),
    ),
    "3": Exercise(
        "a function of m and n",
        lambda loops: all(loops(m, n) == _two_levels(m, n) for m in (4, 16, 30) for n in (3, 20)),
        "Cells bit by bit, N loops for the label, one a group, one a label of a group.",
        "ceil(log2 m) + 2 + ceil((2m^2 - m) / n) + n; for m = 16 the best n is 20.",
        (
            (
                lambda loops: loops(16, 20) == _two_levels(16, 20) - 1,
                "Round up: the last group may be short, and still takes its loop.",
            ),
            (
                lambda loops: loops(16, 20) == _two_levels(16, 20) + 11,
                "Here cells are found bit by bit, in ceil(log2 m) loops.",
            ),
        ),
        (16, 20),
    ),
    "4": Exercise(
        "a list of rows whose scales depend on f",
        lambda rows: set(rows) == {"G_0", "y_0"},
        "Where are the words of all groups, and where does counting start?",
        "G_0 and y_0. The others are switches, or the same for every f.",
        (
            (
                lambda rows: "theta" in rows or "x_0" in rows,
                "Numbers other than 0 and 1 may be the same for every f.",
            ),
            (lambda rows: set(rows) < {"G_0", "y_0"}, "One more row depends on f."),
        ),
    ),
    "5": Exercise(
        "an exponent for each letter",
        lambda e: [round(abs(float(e[key])), 2) for key in "abc"] == [0.5, 1.0, 0.0],
        "What counts is how many free numbers a network of r loops has.",
        "(a) -1/2, as LT; (b) -1, as TMLT; (c) 0.",
        (
            (part("a", lambda a: abs(a) == 1), "(a): 100 weights, however many loops."),
            (part("b", lambda b: abs(b) == 0.5), "(b): a new block every loop."),
            (part("c", lambda c: c != 0), "(c): the number of networks does not grow with r."),
        ),
    ),
    "6": Exercise(
        "True or False for each sentence",
        lambda follows: [bool(part) for part in follows] == [False] * 4 and len(follows) == 4,
        "Ask of each: one f or one for each r; from where on; per loop or per number; exists or "
        "trained?",
        "None of them follows.",
        (
            (part(0, bool), "1: is the function the same for every r?"),
            (part(1, bool), "2: compare the two bounds at r = 1000."),
            (part(2, bool), "3: how many numbers has eta(t)?"),
            (part(3, bool), "4: who says that training finds these weights?"),
        ),
    ),
}


def _two_levels(m: int, n: int) -> int:
    """Loops for N = 2, d = 1 with groups of n labels."""
    return (m - 1).bit_length() + 2 - (m - 2 * m**2) // n + n
