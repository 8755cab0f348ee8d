"""Looped Transformers and their fits: one model, one batched training loop, one error.

``looped``  the model, plain (LT) and timestep-modulated (TMLT) in one forward, and its untied twin;
``block``   the same block for many models at once, with its gradient, compiled where possible;
``bank``    many models as one set of stacked parameters;
``adam``    one update of a bank's parameters;
``training``  the state of one fit and its step; ``fit`` runs it, with checkpoints;
``error``   L^p errors on the cube.
"""

if __name__ != "looprate.approx":  # a second copy of every class
    raise ImportError(f"import looprate.approx instead of {__name__}")
