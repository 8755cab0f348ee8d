"""Claims about the proof as weights: its stages, loop counts, memorisers and sizes, as data."""

from __future__ import annotations

from fractions import Fraction
from functools import partial

from looprate.experiments.claims.check_construction import (
    changed_eta,
    check_contextual,
    check_extra_loops,
    check_fewer_loops,
    check_memoriser_error,
    check_memoriser_size,
    check_quantise,
    check_range,
    check_sizes,
    check_value_loops,
    drifting,
    flipped_bit,
    leaning,
    padded,
    same,
    unclipped,
)
from looprate.experiments.claims.claim import PAPER, THIS, Claim, Drawn, wrong

STAGES = Drawn(
    "stages", "looprate construct mean-field --grid 4 --memoriser increments --out runs/stages"
)
MEMORISERS = Drawn("memorisers", "looprate verify --preset smoke --out runs/smoke")
PROOF = f"proof of Theorem 3.6 (v7), {PAPER}, as this project reads it"
SHAPES = "(N, d, m) in (1,1,6), (2,1,5), (3,1,4), (2,2,2)"
EXACT = "exact arithmetic"

CONSTRUCTION_CLAIMS = (
    Claim(
        "quantise-exact",
        "Stage 1 finds every cell, in m-1 loops",
        "∀ X off the transition strips: after m-1 loops row z of every token is the number of its "
        "cell.",
        PROOF,
        (EXACT, "no coordinate within 1/M above a grid line"),
        "Inside a strip the cell is fractional: that is what the strip term pays for.",
        f"{SHAPES}, Mδ = 8, thousands of lattice points off the strips, grid lines included",
        check_quantise,
        (
            wrong("the unit that ends a step is late", check_quantise, unclipped),
            wrong("m-2 loops", check_quantise, same, 1),
        ),
        STAGES,
    ),
    Claim(
        "contextual-mapping-distinct",
        "Stage 2 gives distinct labels to distinct (set of cells, own cell), in N loops",
        "∀ X whose tokens are in N distinct cells: after m-1+N loops the label of a token is a "
        "one-to-one function of (the set of cells, its own cell), whatever the order of tokens.",
        PROOF,
        (EXACT, "no two tokens in one cell"),
        "Tokens that share a cell are the collision term. Distinct labels are all the memoriser "
        "needs.",
        f"{SHAPES}, every set of cells, every order of the tokens, both codes",
        check_contextual,
        (
            wrong("one bias of the leaving unit lower", check_contextual, leaning),
            wrong("N-1 loops", check_contextual, same, 1),
        ),
        STAGES,
    ),
    Claim(
        "value-mapping-loops",
        "Stage 3 needs L+1, L or q(L+1)+1 loops, and no fewer",
        "For increments, timestep and digits: with (m-1) + N + (L+1, L, q(L+1)+1) loops every "
        "label in use is answered as the memoriser says; with one loop less, for a table whose "
        "last entry differs, not.",
        f"{THIS}; the paper's count is 2m^((N+1)d) - 1",
        (EXACT, "labels 0 to L of the code in use"),
        "Counts of this project's networks. That no other network needs fewer is not claimed.",
        f"{SHAPES}, q = 4, a table by hand, every label in use",
        check_value_loops,
        (
            wrong("one loop less than stated", check_value_loops, -1),
            wrong("one loop more stated than needed", check_value_loops, 1),
        ),
        STAGES,
    ),
    Claim(
        "lemma-4-1-error",
        "Lemma 4.1: increments fit labels within their largest gap",
        "∀ y_0..y_L ∈ R^d a weight-tied network answers label k with |output - y_k| <= "
        "max_j |y_j - y_{j-1}| in every coordinate.",
        f"Lemma 4.1 (v7), {PAPER}",
        (EXACT,),
        "The compiled network keeps the bound on the tables tried; the general proof is in "
        "theory/construction/build/increments.py.",
        f"{SHAPES}, a target's table and a table by hand, every label in use",
        partial(check_memoriser_error, "increments"),
        (
            wrong(
                "one bit of the stored increments flipped",
                check_memoriser_error,
                "increments",
                flipped_bit,
            ),
            wrong(
                "an eighth of the largest gap claimed",
                check_memoriser_error,
                "increments",
                same,
                Fraction(1, 8),
            ),
        ),
        MEMORISERS,
    ),
    Claim(
        "lemma-4-1-size",
        "Lemma 4.1: the increments add at most 12d rows and 18d hidden units",
        "∀ d: the memoriser adds at most 12d rows and 18d hidden units to the block.",
        f"sizes as reported of Lemma 4.1 (v7), {PAPER}",
        (),
        "Rows and units the memoriser adds to the stages before it; label and clock are theirs.",
        "d = 1, 2, 3",
        partial(check_memoriser_size, "increments"),
        (wrong("seven memorisers", check_memoriser_size, "increments", 7),),
    ),
    Claim(
        "theorem-4-2-exact",
        "Theorem 4.2: with eta(t) labels are fitted exactly",
        "∀ y_0..y_L ∈ R^d a network with timestep modulation answers label k with y_k exactly.",
        f"Theorem 4.2 (v7), {PAPER}",
        (EXACT,),
        "Exact on the tables tried, as fractions, not floats; the general proof is in "
        "theory/construction/build/timestep.py. In floats rounding comes on top.",
        f"{SHAPES}, a target's table and a table by hand, every label in use",
        partial(check_memoriser_error, "timestep"),
        (wrong("one entry of eta changed", check_memoriser_error, "timestep", changed_eta),),
        MEMORISERS,
    ),
    Claim(
        "theorem-4-2-size",
        "Theorem 4.2: the timestep memoriser adds at most 4d rows and 6d hidden units",
        "∀ d: the memoriser adds at most 4d rows and 6d hidden units to the block.",
        f"sizes as reported of Theorem 4.2 (v7), {PAPER}",
        (),
        "Rows and units the memoriser adds to the stages before it; label and clock are theirs.",
        "d = 1, 2, 3",
        partial(check_memoriser_size, "timestep"),
        (wrong("seven memorisers", check_memoriser_size, "timestep", 7),),
    ),
    Claim(
        "digits-error",
        "Digits fit labels within 2^-q of their range, without eta(t)",
        "∀ y_0..y_L ∈ R^d, ∀ q: a weight-tied network answers label k with |output - y_k| <= "
        "2^-q (max y - min y) in every coordinate.",
        THIS,
        (EXACT,),
        "Whatever the order of the labels: neighbours need not have near values, as they must for "
        "increments.",
        f"{SHAPES}, q = 4, a target's table and a table by hand, every label in use",
        partial(check_memoriser_error, "digits"),
        (
            wrong(
                "one bit of the stored digits flipped", check_memoriser_error, "digits", flipped_bit
            ),
            wrong(
                "three more digits claimed", check_memoriser_error, "digits", same, Fraction(1, 8)
            ),
        ),
        MEMORISERS,
    ),
    Claim(
        "extra-loops-change-nothing",
        "Loops beyond the count change no output",
        "∀ X ∈ [0,1]^(N×d), ∀ k >= 1: the outputs after r + k loops equal those after r.",
        THIS,
        (EXACT, "r the construction's own count"),
        "So a network for r loops is one for every larger r, as the theorem's monotone use of r "
        "needs.",
        "(N, d, m) in (1,1,6), (2,1,5), (3,1,4); 64 random lattice inputs, strips included; "
        "k = 1, 3, 40",
        check_extra_loops,
        (
            wrong(
                "a row that gains one in every loop",
                check_extra_loops,
                drifting,
                0,
                ("increments",),
            ),
            wrong("counted from r-1", check_extra_loops, same, 1),
        ),
        STAGES,
        seconds=2.0,
    ),
    Claim(
        "outputs-stay-in-range",
        "No output leaves the range of the labels, transition strips included",
        "∀ X ∈ [0,1]^(N×d), ∀ coordinates i: min_k y_{k,i} <= output <= max_k y_{k,i}.",
        THIS,
        (EXACT,),
        "The strip term of the explicit inequality rests on it. Proofs stand in the memorisers' "
        "docstrings.",
        "(N, d, m) in (1,1,6), (2,1,5), (3,1,4); every set of cells at its centre and two "
        "corners, 128 inputs in strips each",
        check_range,
        (wrong("a row that gains one in every loop", check_range, drifting),),
    ),
    Claim(
        "sizes-within-the-papers",
        "Constructed networks are no larger than the paper's",
        "∀ d, memorisers and codes: rows <= 17d + 9, hidden units <= 49d + 25, heads <= 2.",
        f"sizes as reported of Theorem 3.6 (v7), {PAPER}",
        (),
        "Every row is counted, the constant one included. Integers in the weights are long: size "
        "in numbers is not size in bits.",
        "d = 1, 2, 3, every memoriser on every code it has",
        check_sizes,
        (wrong("300 idle hidden units more", check_sizes, padded),),
    ),
    Claim(
        "timestep-needs-fewer-loops",
        "Timestep modulation needs fewer loops than increments",
        "∀ N, d, m >= 2 with m^d >= N: loops(timestep, rank code) < loops(increments, sum code).",
        THIS,
        ("each memoriser on the code that suits it",),
        "An upper bound against an upper bound, which does not say that a weight-tied block must "
        "need more: digits narrow the gap to a factor q. What none can do is another claim: "
        "worst-case-exponents.",
        "(N, d) in (1,1), (2,1), (3,1), (2,2), (8,4); m in 2, 3, 4, 8, 16",
        check_fewer_loops,
        (wrong("the two memorisers exchanged", check_fewer_loops, "increments", "timestep"),),
        MEMORISERS,
    ),
)
