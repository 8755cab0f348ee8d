"""Targets, kinds and shapes shared by the tests of targets and of moduli."""

from looprate.theory.notation import KINDS
from looprate.theory.targets import TARGETS

__all__ = ["EXAMPLES", "KINDS", "SHAPES"]

# every class at its defaults, and the branches the defaults do not reach
EXAMPLES = (
    *TARGETS,
    "token-power:alpha=0.3,center=0.37",
    "token-power:alpha=2.5,center=0.3,scale=-2",
    "token-sine:periods=3",
    "mean-field:a=1,b=-1",  # the largest eigenvalue is not that of equal spread
    "dial:token=0.2,context=0.8,sequence=1.5,alpha=1,center=0",
    "dial:token=0.7,context=0.3,alpha=0.5,center=0.37",
    "softmax-attention:beta=0,scale=2",
    "0.5*mean-field + -2*context-max",
)
SHAPES = ((1, 1), (2, 1), (3, 1), (2, 2), (4, 2))  # (N, d)
