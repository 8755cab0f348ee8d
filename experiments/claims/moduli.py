"""Claims about the moduli of continuity, as data."""

from __future__ import annotations

from functools import partial

from looprate.experiments.claims.check_moduli import (
    SETTINGS,
    Setting,
    by_place,
    check_below_sequence,
    check_brackets,
    check_comes_close,
    check_monotone,
    check_multiples,
    check_never_exceeds,
    check_one_token,
    check_subadditive,
    check_vanishing,
    check_watched_row,
    check_zero,
    doubled,
    halved,
    lifted,
    mirrored,
    squared,
)
from looprate.experiments.claims.claim import PAPER, THIS, Claim, Drawn, wrong

DRAWN = Drawn("moduli", "looprate verify --preset smoke --out runs/smoke")
FUNCTIONS = "f: [0,1]^(N×d) → R^(N×d) continuous and permutation-equivariant"
KINDS = "w, w_tok, w_cont as defined there: entrywise p-norm of outputs, Frobenius norm of inputs"
SCOPE = (
    f"{len(SETTINGS)} targets (N <= 3, d <= 2, p from 1 to inf), all three moduli, radii 0.05 "
    "to 0.6; brackets from pairs that attain a value and from closed forms"
)
FROM_DEFINITION = f"{THIS}, from the definition of the moduli in {PAPER}"

MODULI_CLAIMS = (
    Claim(
        "moduli-zero-at-zero",
        "A modulus is 0 at radius 0",
        "∀ f, ∀ p ∈ [1,∞]: w(0) = w_tok(0) = w_cont(0) = 0.",
        FROM_DEFINITION,
        (FUNCTIONS, KINDS),
        "Inputs that do not differ have outputs that do not differ. Says nothing about how fast a "
        "modulus leaves 0.",
        f"{len(SETTINGS)} targets, all three moduli, closed forms at radius 0",
        check_zero,
        (wrong("every modulus raised by 0.01", check_zero, lifted),),
        DRAWN,
    ),
    Claim(
        "moduli-monotone",
        "A modulus never falls",
        "∀ f, ∀ p, ∀ 0 <= s <= t: w(s) <= w(t), and the same for w_tok and w_cont.",
        FROM_DEFINITION,
        (FUNCTIONS, KINDS),
        "A larger radius allows every pair a smaller one does.",
        SCOPE,
        check_monotone,
        (wrong("a modulus that falls with its radius", check_monotone, mirrored),),
        DRAWN,
    ),
    Claim(
        "moduli-subadditive",
        "A modulus is subadditive",
        "∀ f, ∀ p, ∀ s, t >= 0: w(s + t) <= w(s) + w(t), and the same for w_tok and w_cont.",
        FROM_DEFINITION,
        (FUNCTIONS, KINDS, "the domain is convex"),
        "A segment of length s + t can be walked in two parts. It lets lower bounds at large radii "
        "speak for small ones.",
        SCOPE,
        check_subadditive,
        (wrong("w^4 instead of w", check_subadditive, squared),),
        DRAWN,
    ),
    Claim(
        "moduli-multiples",
        "k times the radius, at most k times the modulus",
        "∀ f, ∀ p, ∀ k ∈ {1, 2, ...}, ∀ t >= 0: w(k t) <= k w(t), and the same for w_tok, w_cont.",
        FROM_DEFINITION,
        (FUNCTIONS, KINDS, "the domain is convex"),
        "The bound on labels g apart, and so the error of the increments, rests on it.",
        SCOPE,
        check_multiples,
        (wrong("w^4 instead of w", check_multiples, squared),),
        DRAWN,
    ),
    Claim(
        "token-below-sequence",
        "The token modulus is at most the sequence modulus",
        "∀ f, ∀ p, ∀ t >= 0: w_tok(t) <= w(t).",
        FROM_DEFINITION,
        (FUNCTIONS, KINDS),
        "Moving one token is one way of moving the sequence, and one output token is part of all.",
        SCOPE,
        partial(check_below_sequence, "token"),
        (wrong("sequence modulus halved", check_below_sequence, "token", halved),),
        DRAWN,
    ),
    Claim(
        "contextual-below-sequence",
        "The contextual modulus is at most the sequence modulus",
        "∀ f, ∀ p, ∀ t >= 0: w_cont(t) <= w(t).",
        FROM_DEFINITION,
        (FUNCTIONS, KINDS),
        "Moving all tokens but one is one way of moving the sequence.",
        SCOPE,
        partial(check_below_sequence, "contextual"),
        (wrong("sequence modulus halved", check_below_sequence, "contextual", halved),),
        DRAWN,
    ),
    Claim(
        "token-wise-no-context",
        "A token-wise target has contextual modulus 0",
        "∀ h, ∀ N, d, p, ∀ t >= 0: if f(X)_n = h(x_n) for all n, then w_cont(t) = 0.",
        FROM_DEFINITION,
        (FUNCTIONS, "f is token-wise"),
        "The closed form says 0 and the search finds no pair against it; a search alone shows "
        "nothing of the kind.",
        "token-sine and token-power at N = 2 and 3, radii 0 to 0.6",
        partial(
            check_vanishing,
            "contextual",
            (Setting("token-sine:periods=1"), Setting("token-power:alpha=0.5", 3, p=1.0)),
        ),
        (
            wrong(
                "a target with a context share of 0.3",
                check_vanishing,
                "contextual",
                (SETTINGS[1],),
            ),
        ),
        DRAWN,
    ),
    Claim(
        "others-mean-no-token",
        "The mean of the others has token modulus 0",
        "∀ N >= 2, ∀ d, p, t >= 0: if f(X)_n depends on the tokens m ≠ n only, then w_tok(t) = 0.",
        FROM_DEFINITION,
        (FUNCTIONS, "f(X)_n does not depend on x_n"),
        "Such a target makes the token term of Theorem 3.6 vanish.",
        "others-mean at N = 2 and 3, radii 0 to 0.6",
        partial(check_vanishing, "token", (Setting("others-mean"), Setting("others-mean", 3, 2))),
        (
            wrong(
                "mean-field, which looks at the own token too",
                check_vanishing,
                "token",
                (Setting("mean-field"),),
            ),
        ),
        DRAWN,
    ),
    Claim(
        "one-token",
        "With one token: no context, and the token modulus is the sequence modulus",
        "∀ f, ∀ d, p, ∀ t >= 0: N = 1 ⇒ w_cont(t) = 0 and w_tok(t) = w(t).",
        FROM_DEFINITION,
        (FUNCTIONS, "N = 1"),
        "The smallest case in which every formula of the project must still be right.",
        "mean-field, token-sine, context-max at N = 1, d = 2, radii 0.05 to 0.6",
        check_one_token,
        (wrong("N = 2", check_one_token, 2),),
        None,
    ),
    Claim(
        "watched-token-does-not-matter",
        "The token and contextual moduli do not depend on which token is watched",
        "∀ f equivariant, ∀ n, m: sup over pairs of ‖f(X)_n - f(X')_n‖_p equals that of token m.",
        FROM_DEFINITION,
        (FUNCTIONS, "f is permutation-equivariant"),
        "The search may watch token 1 only. For a function that looks at places it may not.",
        "the pairs found for 7 targets, both moduli, every token of N <= 3",
        check_watched_row,
        (wrong("a function that weights tokens by their place", check_watched_row, by_place),),
        None,
    ),
    Claim(
        "closed-forms-never-exceeded",
        "No pair of inputs beats a closed form",
        "∀ built-in f, ∀ kinds, t: every pair X, X' the search finds within radius t has "
        "‖f(X) - f(X')‖_p <= the closed form at t.",
        THIS,
        (FUNCTIONS, "closed forms of theory/targets"),
        "One pair beyond would refute a closed form. None found does not establish it: its proof "
        "stands in the docstrings.",
        SCOPE,
        check_never_exceeds,
        (
            wrong("sequence closed form halved", check_never_exceeds, halved),
            wrong("token closed form halved", check_never_exceeds, partial(halved, only="token")),
        ),
        DRAWN,
    ),
    Claim(
        "closed-forms-reached",
        "Where a closed form is exact, pairs come within 1 % of it",
        "∀ built-in f whose closed form is exact, ∀ kinds, t in scope: lower bound >= 0.99 × it.",
        THIS,
        (FUNCTIONS, "the closed form's side is exact"),
        "Shows that the closed form is not too large by more than 1 %, and that the search works "
        "on these targets; on others it may fall shorter.",
        SCOPE,
        check_comes_close,
        (wrong("closed forms doubled", check_comes_close, doubled),),
        DRAWN,
    ),
    Claim(
        "certified-brackets",
        "Lower bounds never exceed certified upper bounds",
        "∀ targets and kinds in scope: the value a pair attains is at most the upper bound that "
        "branch and bound certifies at the same radius.",
        THIS,
        (FUNCTIONS, "f has a rigorous enclosure"),
        "The two sides share no code: one searches pairs, the other encloses ranges with outward "
        "rounding. The gap says how much is left unknown.",
        "mean-field, token-times-mean, softmax-attention; N = 2, d = 1, p = 2, radius 0.1",
        check_brackets,
        (wrong("upper bound taken at half the radius", check_brackets, 0.5),),
        DRAWN,
        seconds=12.0,
    ),
)
