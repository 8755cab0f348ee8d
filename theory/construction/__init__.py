"""The proof of Theorem 3.6 (v7) as weights: steps, compiler, exact evaluators and certificate."""
