"""The theory of looped Transformers as numbers: moduli of continuity, bounds, rates.

Importing this package needs NumPy, SciPy and SymPy only; torch is imported inside the gradient
search of moduli, where it is used.  Start at :mod:`looprate.theory.notation`.
"""

if __name__ != "looprate.theory":  # a second copy of every class
    raise ImportError(f"import looprate.theory instead of {__name__}")
