"""Answers to the exercises of lesson 2, the proof as weights, with hints and usual slips.

Do not read on if you mean to solve them.
"""

from __future__ import annotations

from looprate.solutions.parts import Exercise, counts, number, numbers, part

WITHOUT_INPUT = (0, 2, 3, 4, 5, 6, 7, 10, 12, 13, 14, 15, 20, 22, 23)
ASKED = ["increments", "timestep", "digits"]  # only the error of the first grows

PROOF = {
    "1a": Exercise(
        "two cells, and a number",
        lambda cells, code: numbers(1, 3)(cells) and number(13)(code),
        "A cell is 1/4 wide, and the first has the number 0. s = U z_(1) + z_(2), the larger cell "
        "first.",
        "Cells 1 and 3, s = 4 * 3 + 1 = 13.",
        (
            (lambda cells, code: numbers(2, 4)(cells), "Cells are counted from 0."),
            (
                lambda cells, code: numbers(3, 1)(cells),
                "In the order of tokens: 0.30 is first.",
            ),
            (
                lambda cells, code: number(7)(code),
                "The largest cell is read first.",
            ),
        ),
    ),
    "1b": Exercise(
        "two labels",
        numbers(27, 26),
        "k = N s + rank, and the token with the largest cell has rank 0.",
        "27 and 26.",
        ((numbers(26, 27), "Who has rank 0? The token with the largest cell."),),
    ),
    "1c": Exercise(
        "two labels",
        numbers(105, 107),
        "k = V s + z with V = 2U, for d = 1.",
        "8 * 13 + 1 = 105 and 8 * 13 + 3 = 107.",
        (
            (numbers(53, 55), "V is 2U = 8, so that neighbouring codes stay apart."),
            (numbers(107, 105), "In the order of the tokens: the cell of token 1 is 1."),
        ),
    ),
    "2": Exercise(
        "True or False for each memoriser: does its error grow?",
        lambda grow: len(grow) == len(ASKED) and [k for k in ASKED if grow.get(k)] == ASKED[:1],
        "Whose bound is about neighbouring labels?",
        "Only that of the increments grows: its bound is the largest gap of neighbours. The other "
        "two do not see the order.",
        (
            (
                part("digits", bool),
                "Digits write each value by itself.",
            ),
            (part("timestep", bool), "Timestep adds each difference exactly, small or large."),
            (
                lambda grow: not grow["increments"],
                "An increment has one of three sizes. What if neighbours are far apart?",
            ),
        ),
    ),
    "3a": Exercise(
        "two numbers, the row z and the label",
        lambda z, label: number(0.5)(z) and number(26)(label),
        "Halfway through the strip the grid line is passed by half. s = 4 * 3 + z; token 1 has "
        "rank 1.",
        "z = 1/2, and the label 2 * 12.5 + 1 = 26: that of a token in cell 3 beside one in cell 1.",
        (
            (
                lambda z, label: not number(0.5)(z),
                "In a strip the row z goes from one cell to the next, in proportion.",
            ),
            (
                lambda z, label: number(27)(label),
                "s is 4 * 3 + 1/2, and N s is one less than for z = 1.",
            ),
        ),
    ),
    "3b": Exercise(
        "a fraction for each of 2, 3 and 4 tokens",
        lambda found: numbers(0.25, 5 / 8, 29 / 32)([found[n] for n in (2, 3, 4)]),
        "Ask for the probability that no two share a cell: one token after the other.",
        "1/4, 5/8 and 29/32: one minus the product of 1 - j/m.",
        (
            (
                lambda found: number(0.75)(found[3]) or number(1.5)(found[4]),
                "That is the sum over pairs, which counts some inputs twice.",
            ),
            (
                lambda found: number(3 / 8)(found[3]),
                "That is the probability that no two share one.",
            ),
        ),
    ),
    "4a": Exercise(
        "a function of m",
        counts(lambda m: 2 * m**3 - 2 * m + 1),
        "(m - 1) + N loops for cells and label, then one a label of 1..L and one more. Put the "
        "largest s and cell into k.",
        "2m^3 - 2m + 1.",
        (
            (counts(lambda m: 2 * m**3 - 2 * m), "Nearly: the increments take one loop more."),
            (counts(lambda m: 2 + 2 * m**4), "That is the printed count."),
            (
                counts(lambda m: 2 * m**3 + m),
                "The largest label in use has distinct cells: s is m^2 - 2.",
            ),
        ),
        (4,),
    ),
    "4b": Exercise(
        "a function of m",
        counts(lambda m: 2 * m**2 + m - 2),
        "The largest label is 2s + 1 with s = m^2 - 2.",
        "2m^2 + m - 2.",
        (
            (
                counts(lambda m: 2 * m**2 + m),
                "The largest label in use has distinct cells: s is m^2 - 2, not m^2 - 1.",
            ),
            (
                counts(lambda m: 2 * m**2 + m - 1),
                "Nearly: timestep needs no loop after the last label.",
            ),
        ),
        (4,),
    ),
    "5": Exercise(
        "a list of labels",
        lambda labels: sorted(labels) == list(WITHOUT_INPUT),
        "oracle_labels gives the labels of a set of cells, every_cell all sets.",
        f"{list(WITHOUT_INPUT)}.",
        (
            (
                lambda labels: set(labels) > set(WITHOUT_INPUT),
                "Inputs whose tokens share a cell have labels, too.",
            ),
            (
                lambda labels: bool(labels) and set(labels) < set(WITHOUT_INPUT),
                "These, and more: go through all labels from 0 to L.",
            ),
        ),
    ),
    "6": Exercise(
        "a number of cells",
        number(2),
        "Two bits a digit, and 2m^3 - 2m digits; float64 holds integers of 53 bits.",
        "m = 2: 24 bits of digits; m = 3 takes 96 already. Timestep does not run out of bits.",
        (
            (number(3), "m = 3 has 2 * 27 - 6 = 48 digits, of two bits each."),
            (lambda m: m > 3, "Count bits, not digits, and of all labels together."),
        ),
    ),
}
