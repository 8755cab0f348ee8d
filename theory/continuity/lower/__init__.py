"""Lower bounds of moduli of continuity, each with the pair of inputs that proves it."""
