"""In the kernel of a lesson: a figure that is shown comes on black, too, in the same output."""

from __future__ import annotations

import base64

from IPython.core.formatters import BaseFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import retina_figure
from matplotlib.figure import Figure, FigureBase
from traitlets import ObjectName, Unicode

from looprate.figures.dark import darken

DARK = "image/x-dark+png"


class _DarkFormatter(BaseFormatter):
    """Formats figures alone: nothing has the method of its name."""

    format_type = Unicode(DARK)
    print_method = ObjectName("_repr_on_black_")


def _on_black(figure: Figure) -> str:
    """Return a figure on black, as PNG in letters; all other formats are made before."""
    darken(figure)
    return base64.b64encode(retina_figure(figure)[0]).decode()


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add a format, the last one, to what the kernel sends of a figure."""
    formatter = _DarkFormatter(parent=shell.display_formatter)
    formatter.for_type(FigureBase, _on_black)  # the inline backend takes away what is for Figure
    shell.display_formatter.formatters[DARK] = formatter
