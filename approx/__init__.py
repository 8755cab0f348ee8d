"""Looped Transformers and their fits: one model, one batched training loop, one error.

``models``       plain (LT) and timestep-modulated (TMLT) in one forward, untied twins, on sequences
``banks``        many models as one set of stacked parameters, with their gradient and Adam
``fit``          the steps of a bank, with checkpoints
``constructed``  constructed networks as torch modules
``enclosed``     torch modules on boxes of inputs
``official``     the authors' public models
``error``        L^p errors on the cube
"""

if __name__ != "looprate.approx":  # a second copy of every class
    raise ImportError(f"import looprate.approx instead of {__name__}")
