"""Figures: reads the rows a study has stored and draws them.  No torch, no training.

``redraw(directory)`` draws every figure of a study folder again; ``python -m looprate.figures`` is
the same from a shell.
"""

if __name__ != "looprate.figures":  # a second copy of every class
    raise ImportError(f"import looprate.figures instead of {__name__}")

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from looprate.figures.drawing import redraw

__all__ = ["redraw"]


def __getattr__(name: str) -> Any:
    """Import ``redraw`` where it is first used: the explorer's page draws without matplotlib."""
    if name == "redraw":
        from looprate.figures.drawing import redraw

        return redraw
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
