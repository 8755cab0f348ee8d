"""The proof of Theorem 3.6 (v7) as weights: steps and compiler."""
