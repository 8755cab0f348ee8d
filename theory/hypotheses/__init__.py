"""The hypotheses of the theorems, checked on a function before anything is concluded from it.

``check_hypotheses`` returns one finding a hypothesis; each can refute, with a witness, and none can
prove.  ``testable`` says whether all hold.  Importing this package does not import torch.
"""

from looprate.theory.gate import failures
from looprate.theory.hypotheses.check import check_hypotheses, testable

__all__ = ["check_hypotheses", "failures", "testable"]
