"""Figures: reads the rows a study has stored and draws them.  No torch, no training.

``redraw(directory)`` draws every figure of a study folder again; ``python -m looprate.figures`` is
the same from a shell.
"""

from looprate.figures.drawing import redraw

__all__ = ["redraw"]
