"""Torch modules on enclosures: what a trained network does on a whole box of inputs.

``enclosed`` follows a module operation by operation; the result can be given to everything that
takes a target: lower bounds of moduli, enclosures on boxes, certified upper bounds.
"""

from looprate.approx.enclosed.module import enclosed
from looprate.approx.enclosed.targets import with_enclosures

__all__ = ["enclosed", "with_enclosures"]
