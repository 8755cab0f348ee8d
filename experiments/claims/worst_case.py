"""Claims about what no number of loops can do, and what a free eta(t) buys, as data."""

from __future__ import annotations

from looprate.experiments.claims.check_worst_case import (
    check_attained,
    check_bump_errors,
    check_floor,
    check_in_class,
    check_lower_exponents,
    check_separation,
    check_upper_bounds,
    fast,
    fixed_bumps,
    sum_code,
    timestep,
    with_eta,
)
from looprate.experiments.claims.claim import THIS, Claim, wrong

LOWER = f"{THIS}, not yet reviewed by others: theory/bounds/lower.py and pattern_count.py"
UPPER = f"{THIS}, not yet reviewed by others: theory/bounds/explicit.py and upper.py"
CLASS = "F: equivariant f with ‖f(X) - f(Y)‖_p <= L ‖X - Y‖_2^s, 0 < s <= 1"
MODEL = ("hardmax attention", "exact arithmetic, real weights", "rows, units and heads fixed")
CAVEATS = (
    *MODEL,
    "eta(t) free, so Θ(r) parameters: per loop, not per parameter",
    "worst case over F, f depends on r",
    "existence, not training",
    "p < ∞",
    "constants 4 to 5 decades apart: exponents and not levels",
)
SIZE = "blocks of 4d+11 rows, 12d+8 units, two heads of size 1"

WORST_CASE_CLAIMS = (
    Claim(
        "bumps-in-class",
        "Bumps with any signs are in the Hölder class",
        f"∀ m, ∀ signs σ: f_σ ∈ F; {CLASS}.",
        LOWER,
        (),
        "The functions that no network of a size can all approximate. Boxes that touch, with "
        "opposite signs, are what comes closest.",
        "N <= 3, d = 1, m <= 4; s = 1 and 1/2; p = 1, 2, ∞; neighbours of opposite signs, 8,000 "
        "pairs each",
        check_in_class,
        (wrong("bumps √2 times as high", check_in_class, 2**0.5),),
    ),
    Claim(
        "bump-errors-above-worst-case",
        "Networks compiled for a bump function err by more than the lower bound",
        "For networks of rows, units, heads and loops as compiled: the L^1 error on f_σ is at "
        "least the lower bound of the worst case at that size.",
        LOWER,
        MODEL,
        "The lower bound is about some f that depends on r; this f is one of them at few loops "
        "only. Errors are 300 times the bound and more, so this would find a gross mistake, no "
        "fine one.",
        "one bump function with 2 cells a side, every memoriser, m = 2, 4, 6, 10; N = 2, d = 1, "
        "p = s = 1",
        check_bump_errors,
        (
            wrong(
                "a bound that does not fall with r: the error of 0",
                check_bump_errors,
                fixed_bumps,
            ),
        ),
        seconds=3.0,
    ),
    Claim(
        "worst-case-exponents",
        "The worst-case error falls at most like r^(-s/(Nd)), with a free eta(t) r^(-2s/(Nd))",
        "∀ r >= 1 ∃ f ∈ F: every network of the size with r loops has ‖T - f‖_{L^p} >= "
        f"c L r^(-s/(Nd)) (LT), >= c L r^(-2s/(Nd)) (TMLT with free eta(t), untied); {CLASS}.",
        LOWER,
        (*MODEL, "worst case over F, f depends on r"),
        "How fast any such network can get better with loops. With eta(t) from a ReLU network of "
        "fixed size the exponent is that of LT. Nothing about one f at all r, about softmax or "
        "about training.",
        f"{SIZE}; (N, d, s) in (2,1,1), (2,1,1/2), (3,1,1), (2,2,1); p = 1; slope between r = 10^6 "
        "and 10^10",
        check_lower_exponents,
        (
            wrong("the exponent of TMLT for LT", check_lower_exponents, {"lt": 2}),
            wrong("the exponent of LT for TMLT", check_lower_exponents, {"tmlt": 1}),
        ),
        seconds=3.0,
    ),
    Claim(
        "upper-bounds-above-lower",
        "No upper bound of the worst case is below the lower bound of its family",
        "∀ r: the lower bound for LT <= Theorem 3.6 and the explicit inequalities without eta(t), "
        "that for TMLT <= those with eta(t), each on F.",
        f"{LOWER}; {UPPER}; Theorem 3.6 (v7)",
        (*MODEL, "p < ∞"),
        "Two sides derived in different ways do not cross. A claim that weight-tied loops reach "
        "10/r crosses the lower bound, as it must.",
        "N = 2, d = 1, p = s = L = 1; r = 10, 10^3, 10^9, 10^12",
        check_upper_bounds,
        (
            wrong("10/r for weight-tied loops", check_upper_bounds, (fast,)),
            wrong("the two-level bound for weight-tied loops", check_upper_bounds, (with_eta,)),
        ),
        seconds=3.0,
    ),
    Claim(
        "exponents-attained",
        "Both worst-case exponents are attained, without logarithms",
        "∀ f ∈ F, ∀ r > N: some LT of the size has ‖T - f‖_{L^p} <= C L r^(-s/(Nd)), and some TMLT "
        "<= C L r^(-2s/(Nd)), p < ∞.",
        UPPER,
        CAVEATS,
        "Increments on the others code, and the same in two levels with eta(t). The weights of "
        "these networks have about as many bits as labels, with eta(t) the square root.",
        "N = 2, d = 1, p = s = L = 1; slope of the explicit inequality between r = 10^6 and 10^10",
        check_attained,
        (
            wrong("increments on the sum code", check_attained, sum_code),
            wrong("timestep, one label a loop", check_attained, of_eta=timestep),
        ),
    ),
    Claim(
        "free-eta-separates",
        "In the worst case a free eta(t) does what weight-tied loops cannot",
        "∀ r large ∃ f ∈ F: no LT of the size with r loops is within c L r^(-s/(Nd)) of f, while "
        f"∀ f ∈ F some TMLT of the size with r loops is within C L r^(-2s/(Nd)); {CLASS}.",
        f"{LOWER}; {UPPER}",
        CAVEATS,
        "The limitation of weight tying that the paper describes, in this model. Per loop: the "
        "TMLT has Θ(r) parameters more. With eta(t) from a network of fixed size, or with softmax, "
        "nothing here separates, and no experiment of this project is about such r.",
        f"{SIZE}; N = 2, d = 1, p = s = L = 1; r = 10^10, 10^11, 10^12, 10^15, where the bound "
        "with eta(t) is below the lower bound without",
        check_separation,
        (
            wrong("r = 10^6: there the levels do not tell", check_separation, loops=(10**6,)),
            wrong("one label a loop instead of two levels", check_separation, timestep),
            wrong("the lower bound for a free eta(t)", check_separation, family="tmlt"),
        ),
    ),
    Claim(
        "few-bits-leave-a-floor",
        "Weights of few bits leave an error that no number of loops removes",
        "∀ r ∃ f ∈ F: every LT of the size whose weights have b bits errs by at least a number "
        "that does not depend on r.",
        LOWER,
        ("hardmax attention", "every weight one of 2^b numbers", "worst case over F"),
        "There are at most 2^(bW) such networks. At 32 bits, 15 rows, 20 units and two heads it is "
        "2.2e-4.",
        "N = 2, d = 1, p = s = L = 1; b = 32; r = 10^6 against 10^9, 10^15, 10^18",
        check_floor,
        (wrong("real weights", check_floor, None),),
    ),
)
