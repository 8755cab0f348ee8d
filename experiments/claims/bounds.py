"""Claims about formulas and about what Theorem 3.6 says where, as data."""

from __future__ import annotations

from functools import partial

from looprate.experiments.claims.check_bounds import (
    STEP_FUNCTION,
    UNEQUAL,
    check_constructions_fit,
    check_delta_inverts,
    check_exponent,
    check_hypotheses,
    check_placement,
    check_printed_exponent,
    check_vacuous_near_n,
    check_whole_limit,
    only_token_term,
)
from looprate.experiments.claims.claim import PAPER, THIS, Claim, Drawn, wrong
from looprate.theory.bounds import rates
from looprate.theory.bounds.cell_width import delta_of_stages
from looprate.theory.bounds.loop_counts import printed_loops

TERMS = Drawn("bound-terms", "looprate verify --preset smoke --out runs/smoke")
LOOPS = Drawn("error-against-loops", "looprate verify --preset smoke --out runs/smoke")
THEOREM = f"Theorem 3.6 (v7), {PAPER}"
SHAPES = "(N, d) in (1,1), (2,1), (3,1), (2,2), (8,4); m in 2, 3, 4, 8, 16"
MODULI = "moduli of f by closed forms"

BOUNDS_CLAIMS = (
    Claim(
        "targets-equivariant",
        "The built-in targets are permutation-equivariant",
        "∀ built-in f with default parameters, ∀ X, ∀ permutations P: f(P X) = P f(X).",
        THIS,
        (),
        "Random inputs can refute equivariance with a witness; they cannot establish it. The "
        "formulas of the targets do.",
        "9 targets, (N, d) = (2, 1) and (3, 2), 64 random inputs and permutations each",
        partial(check_hypotheses, 0),
        (wrong("a function that weights tokens by their place", check_hypotheses, 0, (UNEQUAL,)),),
        seconds=10.0,
    ),
    Claim(
        "targets-continuous",
        "The built-in targets are continuous",
        "∀ built-in f with default parameters: w(t) → 0 as t → 0.",
        THIS,
        (),
        "A jump found by bisection refutes continuity; that none was found does not establish it. "
        "The formulas of the targets do.",
        "9 targets, (N, d) = (2, 1) and (3, 2), pairs 1e-6 apart, 512 bisected segments each",
        partial(check_hypotheses, 1),
        (wrong("a step at 1/2 in every coordinate", check_hypotheses, 1, (STEP_FUNCTION,)),),
    ),
    Claim(
        "delta-and-loops-invert",
        "The cell width and the loop count of Theorem 3.6 invert one another",
        "∀ N, d, ∀ m ∈ {1, 2, ...}: δ(r) = ((r-N)/2)^(-1/((N+1)d+1)) is 1/m at "
        "r = N + 2 m^((N+1)d+1), and r(δ(r)) = r.",
        THEOREM,
        ("r > N",),
        "What a cell width costs in loops by the printed formula; 514 loops for quarter cells at "
        "N = 2, d = 1.",
        SHAPES,
        check_delta_inverts,
        (
            wrong(
                "exponent 1/((N+1)d), of the stages, instead of the printed one",
                check_delta_inverts,
                delta_of_stages,
            ),
        ),
        LOOPS,
    ),
    Claim(
        "printed-exponent-loose",
        "The printed exponent is smaller than that of the proof's own stages",
        "∀ N, d: 1/((N+1)d+1) < 1/((N+1)d), and ∀ m >= 2: "
        "(m-1) + N + (2 m^((N+1)d) - 1) < N + 2 m^((N+1)d+1).",
        f"{THEOREM}, against the loop counts of its proof",
        ("stage counts as reported of v7: m-1, N, 2m^((N+1)d)-1",),
        "The theorem, as reported, gives away a power of m: the count of its stages is "
        "tighter. No statement about networks built otherwise.",
        f"{SHAPES}; the power of m read at m = 10^6 and 10^7",
        check_printed_exponent,
        (wrong("stages counted with the printed formula", check_printed_exponent, printed_loops),),
        LOOPS,
    ),
    Claim(
        "construction-within-stages",
        "The increments construction needs no more loops than the proof's stages",
        "∀ N, d, ∀ m with m^d >= N: (m-1) + N + L + 1 <= (m-1) + N + 2 m^((N+1)d) - 1, L the last "
        "label of the sum code.",
        f"{THIS}, against the stage counts of v7",
        ("increments on the sum code",),
        "The network compiled here is one that the theorem's loop count allows.",
        SHAPES,
        check_constructions_fit,
        (wrong("digits with q = 4 on the sum code", check_constructions_fit, "digits", 4),),
    ),
    Claim(
        "bound-exponent",
        "Theorem 3.6's bound of a Lipschitz target falls like (r-N)^(-min(1,d/p)/((N+1)d+1))",
        "f Lipschitz, M = ∞: log bound / log(r-N) → -min(1, d/p)/((N+1)d+1) as r → ∞, with 1 "
        "instead of the minimum for N = 1.",
        THEOREM,
        ("f Lipschitz", "M = ∞", "O-terms with this project's constants"),
        "The rate of an upper bound. Errors may fall faster, and in the worst case do: see "
        "exponents-attained.",
        "mean-field; (N, d) in (1,1), (2,1), (2,2); p in 1, 2, 4; r = 10^60 and 10^80",
        check_exponent,
        (
            wrong(
                "the exponent of the stages instead of the printed one",
                check_exponent,
                partial(rates.holder_exponent, delta_rule="stages"),
            ),
        ),
        LOOPS,
    ),
    Claim(
        "bound-vanishes",
        "The right-hand side of Theorem 3.6 tends to 0",
        "∀ f Lipschitz: the right-hand side of Theorem 3.6 → 0 as r → ∞, provided M δ → ∞.",
        f"Corollary 3.7 (v7), {PAPER}, by SymPy",
        ("f Lipschitz", "M = ∞"),
        "The limit is taken symbolically, for three shapes. With a quantiser slope M that stays "
        "fixed the strips grow with r and the limit is infinite.",
        "(N, d, p) in (1,1,1), (2,1,1), (2,2,2)",
        check_whole_limit,
        (wrong("M fixed at 1000", check_whole_limit, 1000),),
        seconds=2.0,
    ),
    Claim(
        "vacuous-near-n",
        "Just above r = N Theorem 3.6 says nothing",
        "∀ targets in scope, ∀ r ∈ {N+1, N+2, N+3}: the bound is not below the error of the best "
        "constant.",
        THEOREM,
        (MODULI, "M = ∞", "O-terms with this project's constants"),
        "There δ is near 1 or above. The figure is the first loop count at which the bound is "
        "below the best constant for some target in scope (N = 2, d = 1, p = 1).",
        "6 targets; (N, d) in (1,1), (2,1), (3,1), (2,2); p = 1",
        check_vacuous_near_n,
        (wrong("every term but the token one dropped", check_vacuous_near_n, only_token_term),),
        LOOPS,
    ),
    Claim(
        "placement-weaker",
        "With (Nd)^(1/p) on w as well, Theorem 3.6 is weaker",
        "∀ f, N, d, p, r > N: the bound with (Nd)^(1/p) w(δ√(Nd)) exceeds that with w(δ√(Nd)) by "
        "((Nd)^(1/p) - 1) w(δ√(Nd)) >= 0.",
        f"{THEOREM}; summaries of it disagree on the placement",
        (MODULI, "M = ∞"),
        "Both readings are offered by name; the weaker one, which follows from both, is the "
        "default. The explicit inequality of this project has no factor on w.",
        "6 targets; (N, d, p) in (1,1,1), (2,1,1), (2,2,2), (3,1,4); three loop counts",
        check_placement,
        (wrong("the two placements exchanged", check_placement, "inner", "all"),),
        TERMS,
    ),
)
